//! What has to hold of the tables. Each check takes its data, so that broken data can be put to it.

use std::collections::BTreeMap;

use crate::expected;
use crate::sources::{Sources, Standing};
use crate::tables::{EdgeCase, Evidence, Statement};

/// One line for each.
pub(crate) type Problems = Vec<String>;

/// How often each is there.
fn counted<'a>(ids: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

pub(crate) fn statements(statements: &[Statement]) -> Problems {
    let mut problems = Problems::new();
    let mut found = counted(statements.iter().map(|one| one.id.as_str()));
    for (id, role) in expected::statements() {
        match found.remove(id.as_str()) {
            None => problems.push(format!("{id} is missing")),
            Some(1) => {}
            Some(count) => problems.push(format!("{id} is there {count} times")),
        }
        for one in statements.iter().filter(|one| one.id == id) {
            if one.role != role {
                problems.push(format!("{id} binds {role} and not {}", one.role));
            }
        }
    }
    problems.extend(found.keys().map(|id| format!("there is no statement {id}")));
    for one in statements {
        if one.section.is_empty() || one.summary.is_empty() {
            problems.push(format!("{} has no section or no summary", one.id));
        }
    }
    problems
}

pub(crate) fn edge_cases(edge_cases: &[EdgeCase]) -> Problems {
    let mut problems = Problems::new();
    for number in 1..=expected::EDGE_CASES {
        match edge_cases.iter().filter(|one| one.number == number).count() {
            0 => problems.push(format!("edge case {number} is missing")),
            1 => {}
            count => problems.push(format!("edge case {number} is there {count} times")),
        }
    }
    for one in edge_cases {
        if !(1..=expected::EDGE_CASES).contains(&one.number) {
            problems.push(format!("there is no {}", one.name()));
        }
        if one.situation.is_empty() || one.required.is_empty() {
            problems.push(format!("{} does not say what it is", one.name()));
        }
        if one.statements.is_empty() && one.sections.is_empty() {
            problems.push(format!("{} has no source", one.name()));
        }
        for id in &one.statements {
            if !is_statement(id) {
                problems.push(format!("{}: there is no statement {id}", one.name()));
            }
        }
    }
    problems
}

fn is_statement(id: &str) -> bool {
    expected::statements().any(|(known, _)| known == id)
}

/// Whether there is evidence, if it is `needed`, and none of it is empty.
pub(crate) fn evidence(name: &str, needed: bool, evidence: Evidence<'_>) -> Problems {
    let Evidence { proofs, reason } = evidence;
    let mut problems = Problems::new();
    if needed && proofs.is_empty() && reason.is_none() {
        problems.push(format!("{name} has neither a proof nor a reason"));
    }
    if reason.is_some_and(|reason| reason.trim().is_empty()) {
        problems.push(format!("{name} has an empty reason"));
    }
    if proofs.iter().any(|proof| proof.trim().is_empty()) {
        problems.push(format!("{name} has an empty proof"));
    }
    problems
}

/// Whether every proof is there and runs. `cases` are the names of the cases.
pub(crate) fn proofs(
    name: &str,
    evidence: Evidence<'_>,
    sources: &mut Sources<'_>,
    cases: &[String],
) -> Problems {
    let mut problems = Problems::new();
    for (proof, count) in counted(evidence.proofs.iter().map(String::as_str)) {
        if count > 1 {
            problems.push(format!("{name} names {proof} {count} times"));
        }
        let wrong = match proof.strip_prefix("case:") {
            Some(case) if cases.iter().any(|known| known == case) => None,
            Some(_) => Some("there is no such case"),
            None => wrong_test(proof, sources),
        };
        problems.extend(wrong.map(|wrong| format!("{name}: {proof}: {wrong}")));
    }
    problems
}

fn wrong_test(proof: &str, sources: &mut Sources<'_>) -> Option<&'static str> {
    let Some((path, function)) = proof.split_once("::") else {
        return Some("a proof is FILE::FUNCTION or case:NAME");
    };
    match sources.look_up(path, function) {
        Standing::Runs => None,
        Standing::NoFile => Some("there is no such file"),
        Standing::NotBuilt => Some("no test binary is made of this file"),
        Standing::NoFunction => Some("the file has no such function"),
        Standing::NoTest => Some("the function is not a test"),
        Standing::Ignored => Some("the test is ignored"),
        Standing::Conditional => Some("the test is built under a condition only"),
    }
}

/// Whether the manifest knows what the cases say they prove: `3.3.4-7`, or `edge 132`.
pub(crate) fn cases(cases: &[(String, Vec<String>)]) -> Problems {
    let mut problems = Problems::new();
    for (name, proves) in cases {
        if proves.is_empty() {
            problems.push(format!("case {name} proves nothing"));
        }
        for id in proves {
            let known = match id.strip_prefix("edge ") {
                Some(number) => number
                    .parse()
                    .is_ok_and(|number| (1..=expected::EDGE_CASES).contains(&number)),
                None => is_statement(id),
            };
            if !known {
                problems.push(format!("case {name} proves {id}, which there is not"));
            }
        }
    }
    problems
}
