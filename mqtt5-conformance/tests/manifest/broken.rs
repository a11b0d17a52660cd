//! Each check finds what it is for: tables, sources and cases that are wrong in one respect.

use crate::checks;
use crate::expected;
use crate::lessons;
use crate::sources::{Sources, Standing, functions};
use crate::tables::{self, EdgeCase, Evidence, Statement};

#[track_caller]
fn only(problems: &[String], problem: &str) {
    assert_eq!(problems, [problem]);
}

// --- Statements and edge cases ----------------------------------------------

fn without(id: &str) -> Vec<Statement> {
    let mut statements = tables::statements();
    statements.retain(|one| one.id != id);
    assert_eq!(statements.len(), expected::STATEMENTS - 1);
    statements
}

#[test]
fn a_missing_statement_is_found() {
    for (id, _) in expected::statements() {
        only(
            &checks::statements(&without(&id)),
            &format!("{id} is missing"),
        );
    }
}

#[test]
fn a_doubled_statement_is_found() {
    let mut statements = tables::statements();
    statements.push(statements[100].clone());
    let id = &statements[100].id;
    only(
        &checks::statements(&statements),
        &format!("{id} is there 2 times"),
    );
}

#[test]
fn a_statement_that_the_standard_does_not_have_is_found() {
    // The id of the draft of another section, in place of the right one.
    let mut statements = tables::statements();
    let one = statements.iter_mut().find(|one| one.id == "4.2.0-1");
    one.unwrap().id = "4.2-1".to_owned();
    assert_eq!(
        checks::statements(&statements),
        ["4.2.0-1 is missing", "there is no statement 4.2-1"]
    );
}

#[test]
fn a_statement_of_another_role_or_without_a_summary_is_found() {
    let mut statements = tables::statements();
    let one = statements.iter_mut().find(|one| one.id == "3.3.4-7");
    one.unwrap().role = "server".to_owned();
    only(
        &checks::statements(&statements),
        "3.3.4-7 binds client and not server",
    );
    let mut statements = tables::statements();
    statements[0].summary.clear();
    only(
        &checks::statements(&statements),
        "1.5.4-1 has no section or no summary",
    );
}

fn edge_cases(change: impl FnOnce(&mut Vec<EdgeCase>)) -> Vec<String> {
    let mut edge_cases = tables::edge_cases();
    change(&mut edge_cases);
    checks::edge_cases(&edge_cases)
}

#[test]
fn a_missing_doubled_or_surplus_edge_case_is_found() {
    for number in 1..=expected::EDGE_CASES {
        let problems = edge_cases(|all| all.retain(|one| one.number != number));
        only(&problems, &format!("edge case {number} is missing"));
    }
    let problems = edge_cases(|all| all.push(all[41].clone()));
    only(&problems, "edge case 42 is there 2 times");
    let problems = edge_cases(|all| all[220].number = 222);
    assert_eq!(
        problems,
        ["edge case 221 is missing", "there is no edge case 222"]
    );
}

#[test]
fn an_edge_case_without_text_or_source_or_with_an_unknown_statement_is_found() {
    let problems = edge_cases(|all| all[4].required.clear());
    only(&problems, "edge case 5 does not say what it is");
    let problems = edge_cases(|all| {
        all[4].statements.clear();
        all[4].sections.clear();
    });
    only(&problems, "edge case 5 has no source");
    let problems = edge_cases(|all| all[4].statements = vec!["3.6.1-2".to_owned()]);
    only(&problems, "edge case 5: there is no statement 3.6.1-2");
}

// --- Evidence ---------------------------------------------------------------

fn evidence(needed: bool, proofs: &[&str], reason: Option<&str>) -> Vec<String> {
    let proofs: Vec<_> = proofs.iter().map(|&proof| proof.to_owned()).collect();
    let evidence = Evidence {
        proofs: &proofs,
        reason,
    };
    checks::evidence("it", needed, evidence)
}

#[test]
fn missing_and_empty_evidence_is_found() {
    only(
        &evidence(true, &[], None),
        "it has neither a proof nor a reason",
    );
    only(&evidence(true, &[], Some(" ")), "it has an empty reason");
    only(&evidence(true, &[""], None), "it has an empty proof");
    assert_eq!(evidence(true, &[""], Some("")).len(), 2);
    // For a server's statement there need be none, but not an empty one.
    only(&evidence(false, &[], Some("")), "it has an empty reason");
    for fine in [
        evidence(true, &["a"], None),
        evidence(true, &[], Some("b")),
        evidence(true, &["a"], Some("b")),
        evidence(false, &[], None),
    ] {
        assert!(fine.is_empty(), "{fine:?}");
    }
}

/// A workspace of a few files.
fn read(path: &str) -> Option<String> {
    let text = match path {
        "a/tests/plain.rs" => {
            "#[test]\nfn runs() {}\n\nfn helper() {}\n\n#[test]\n#[ignore = \"slow\"]\nfn ignored() {}\n
             #[cfg(windows)]\n#[test]\nfn elsewhere() {}\n
             // #[test]\n// fn commented_out() {}\n"
        }
        "a/tests/many/main.rs" => "mod taken;\n// mod left;\n",
        "a/tests/many/taken.rs" | "a/tests/many/left.rs" | "a/src/lib.rs" | "a/benches/b.rs" => {
            "#[test]\nfn runs() {}\n"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn proof(proof: &str) -> Vec<String> {
    proofs(&[proof])
}

fn proofs(proofs: &[&str]) -> Vec<String> {
    let proofs: Vec<_> = proofs.iter().map(|&proof| proof.to_owned()).collect();
    let evidence = Evidence {
        proofs: &proofs,
        reason: None,
    };
    let cases = ["qos1/resend".to_owned()];
    checks::proofs("it", evidence, &mut Sources::new(&read), &cases)
}

#[test]
fn proofs_that_are_none_are_found() {
    for (named, problem) in [
        ("a/tests/gone.rs::runs", "there is no such file"),
        ("a/tests/plain.rs::gone", "the file has no such function"),
        ("a/tests/plain.rs::run", "the file has no such function"),
        (
            "a/tests/plain.rs::commented_out",
            "the file has no such function",
        ),
        ("a/tests/plain.rs::helper", "the function is not a test"),
        ("a/tests/plain.rs::ignored", "the test is ignored"),
        (
            "a/tests/plain.rs::elsewhere",
            "the test is built under a condition only",
        ),
        (
            "a/tests/many/left.rs::runs",
            "no test binary is made of this file",
        ),
        (
            "a/benches/b.rs::runs",
            "no test binary is made of this file",
        ),
        ("a/tests/plain.rs", "a proof is FILE::FUNCTION or case:NAME"),
        ("case:qos1/gone", "there is no such case"),
        ("case:qos1", "there is no such case"),
    ] {
        only(&proof(named), &format!("it: {named}: {problem}"));
    }
    let twice = ["case:qos1/resend", "case:qos1/resend"];
    only(&proofs(&twice), "it names case:qos1/resend 2 times");
    for good in [
        "a/tests/plain.rs::runs",
        "a/tests/many/taken.rs::runs",
        "a/src/lib.rs::runs",
        "case:qos1/resend",
    ] {
        assert!(proof(good).is_empty(), "{:?}", proof(good));
    }
}

// --- Sources ----------------------------------------------------------------

#[test]
fn tests_are_told_from_what_only_looks_like_them() {
    let source = r##"
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn with_a_runtime() {}

        /// Documented.
        #[test]
        #[allow(
            clippy::panic,
            reason = "a ] in a string, and #[ignore]"
        )]
        pub(crate) fn documented<'a>(_: &'a str) { let _quote = '"'; let _tick = '\''; }

        proptest! {
            #![proptest_config(Config { cases: 10 })]

            #[test]
            fn property(one in "[a-z\"]{1,4}", other in 0..3) {}
        }

        on_both_brokers! {
            first,
            second
        }

        async fn first(kind: Kind) {}

        #[ignore]
        #[test]
        fn ignored() {}

        #[test]
        const NOT_A_FUNCTION: u8 = 0;
        fn behind_a_constant() {}

        fn holder() {
            let _text = "
                #[test]
                fn in_a_string() {}
            ";
            let _raw = r#"" #[test] fn in_a_raw_string() {}"#;
            /* #[test] /* */ fn in_a_comment() {} */
        }

        #[testing]
        fn of_another_attribute() {}

        macro_rules! on_both_brokers { ($name:ident) => { #[test] fn $name() {} } }
    "##;
    let functions = functions(source);
    let standing = |name: &str| functions.get(name).copied();
    for name in [
        "with_a_runtime",
        "documented",
        "property",
        "first",
        "second",
    ] {
        assert_eq!(standing(name), Some(Standing::Runs), "{name}");
    }
    assert_eq!(standing("ignored"), Some(Standing::Ignored));
    for name in ["behind_a_constant", "holder", "of_another_attribute"] {
        assert_eq!(standing(name), Some(Standing::NoTest), "{name}");
    }
    for name in ["in_a_string", "in_a_raw_string", "in_a_comment", "name"] {
        assert_eq!(standing(name), None, "{name}");
    }
}

// --- Cases and lessons ------------------------------------------------------

#[test]
fn a_case_that_proves_what_there_is_not_is_found() {
    let case = |proves: &[&str]| {
        let proves = proves.iter().map(|&id| id.to_owned()).collect();
        checks::cases(&[("qos1/resend".to_owned(), proves)])
    };
    assert!(case(&["3.3.4-7", "edge 1", "edge 221"]).is_empty());
    only(&case(&[]), "case qos1/resend proves nothing");
    for unknown in ["3.3.4-11", "2.2.1-1", "edge 0", "edge 222", "edge", ""] {
        only(
            &case(&["3.3.4-7", unknown]),
            &format!("case qos1/resend proves {unknown}, which there is not"),
        );
    }
}

#[test]
fn a_lesson_without_a_test_is_found() {
    let table = |cell: &str| {
        let row = format!("| a lesson | {cell} |\n");
        let lessons = row.repeat(lessons::LESSONS);
        format!(
            "\n## Lessons\n\n| behaviour | test |\n|---|---|\n{lessons}\n## Promises\n\n\
             | promise | tests |\n|---|---|\n| a promise | `taken.rs` |\n"
        )
    };
    let check = |text: &str| {
        let unit_tests = ["a_unit_test".to_owned()];
        lessons::check(text, "a/tests/many", &mut Sources::new(&read), &unit_tests)
    };
    for good in [
        "`taken::runs`",
        "`taken::ru…`",
        "`taken.rs`",
        "unit test `a_unit_test` of `mqtt5-client`",
    ] {
        let problems = check(&table(good));
        assert!(problems.is_empty(), "{problems:?}");
    }
    for bad in [
        "`taken::gone`",
        "`gone::runs`",
        "`taken::wa…`",
        "`gone.rs`",
        "`left.rs`",
        "`gone`",
    ] {
        let problems = check(&table(&format!("`taken::runs`, {bad}")));
        let name = bad.trim_matches('`');
        assert_eq!(problems.len(), lessons::LESSONS);
        assert_eq!(problems[0], format!("a lesson: there is no test {name}"));
    }
    let problems = check(&table("none"));
    assert_eq!(problems[0], "a lesson: no test");
    let problems = check(&table("`taken::runs`").replacen("| a lesson | `taken::runs` |\n", "", 1));
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problems =
        check(&table("`taken::runs`").replace("a promise | `taken.rs`", "a promise | none"));
    only(&problems, "a promise: no test");
}
