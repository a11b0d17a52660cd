//! The manifest: `statements.toml` and `edge_cases.toml` name, for every conformance statement and
//! every edge case, the tests that prove it or the reason why none can. These tests fail if one is
//! missing, or names a test that is not there or does not run.
//!
//! `cargo test -p mqtt5-conformance --test manifest -- --nocapture` prints how many are proven.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod broken;
mod checks;
mod expected;
mod lessons;
mod sources;
mod summary;
mod tables;

use std::path::{Path, PathBuf};

use checks::Problems;
use sources::Sources;

/// The folder of the workspace, to which the paths of proofs are relative.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn cases() -> Vec<mqtt5_conformance::Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    mqtt5_conformance::cases(&folder).unwrap()
}

#[track_caller]
fn none(problems: &Problems) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_statement_is_there_once_and_binds_whom_it_binds() {
    none(&checks::statements(&tables::statements()));
}

#[test]
fn every_edge_case_is_there_once_and_refers_to_statements_that_exist() {
    none(&checks::edge_cases(&tables::edge_cases()));
}

#[test]
fn what_binds_a_client_has_a_proof_or_a_reason() {
    let mut problems = Problems::new();
    for statement in tables::statements() {
        let needed = statement.binds_a_client();
        problems.extend(checks::evidence(
            &statement.id,
            needed,
            statement.evidence(),
        ));
    }
    for edge_case in tables::edge_cases() {
        problems.extend(checks::evidence(
            &edge_case.name(),
            true,
            edge_case.evidence(),
        ));
    }
    none(&problems);
}

#[test]
fn every_proof_is_a_test_that_runs_or_a_case() {
    let root = root();
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let mut sources = Sources::new(&read);
    let cases: Vec<_> = cases().into_iter().map(|case| case.name).collect();
    let mut problems = Problems::new();
    let (statements, edge_cases) = (tables::statements(), tables::edge_cases());
    let named = statements
        .iter()
        .map(|one| (one.id.clone(), one.evidence()))
        .chain(edge_cases.iter().map(|one| (one.name(), one.evidence())));
    for (name, evidence) in named {
        problems.extend(checks::proofs(&name, evidence, &mut sources, &cases));
    }
    none(&problems);
}

#[test]
fn every_case_proves_what_the_manifest_knows() {
    let proves: Vec<_> = cases()
        .into_iter()
        .map(|case| (case.name, case.proves))
        .collect();
    assert!(!proves.is_empty(), "no cases");
    none(&checks::cases(&proves));
}

#[test]
fn every_test_that_the_table_of_lessons_names_exists() {
    let root = root();
    let folder = "mqtt5-tokio/tests/behaviour";
    let table = std::fs::read_to_string(root.join(folder).join("README.md")).unwrap();
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let mut sources = Sources::new(&read);
    let unit_tests = sources::tests_below(&root.join("mqtt5-client/src"));
    none(&lessons::check(&table, folder, &mut sources, &unit_tests));
}

#[test]
fn summary() {
    let (statements, edge_cases) = (tables::statements(), tables::edge_cases());
    println!("{}", summary::of(&statements, &edge_cases, &cases()));
}
