//! The cases against client programs, over TCP: our own client passes, and another one does what is
//! recorded of it.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "support of tests is no test to clippy"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use mqtt5_conformance::{Known, Strength, Suite, cases};

const PAHO_VERSION: &str = "2.2.0";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs the cases of at least this strength and compares with what is recorded in `known`.
fn check(command: Vec<String>, weakest: Strength, known: &str) {
    let mut cases = cases(&file("cases")).unwrap_or_else(|error| panic!("{error}"));
    cases.retain(|case| case.strength <= weakest);
    let mut suite = Suite::new(command);
    suite.known = Known::read(&file(known)).unwrap();
    let report = suite
        .run(&cases)
        .unwrap_or_else(|broken| panic!("{}", broken.0));
    println!("{report}");
    let differences = report.differences(&suite.known);
    assert!(
        differences.is_empty(),
        "not as in {known}:\n{}",
        differences.join("\n")
    );
}

#[test]
fn mqtt5_tokio_passes() {
    // Cargo tells tests where binaries are, but not examples; they lie beside the tests.
    let test = std::env::current_exe().unwrap();
    let program = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/tokio_client");
    assert!(
        program.exists(),
        "{} is missing: cargo build -p mqtt5-conformance --example tokio_client",
        program.display()
    );
    check(
        vec![program.display().to_string()],
        Strength::Choice,
        "clients/tokio.expected",
    );
}

#[test]
fn paho_does_what_is_recorded() {
    let python = std::env::var("CONFORMANCE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let version = Command::new(&python)
        .args([
            "-c",
            "import importlib.metadata as m; print(m.version('paho-mqtt'))",
        ])
        .output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    assert!(
        version
            .as_ref()
            .is_ok_and(|version| version == PAHO_VERSION),
        "{python} has no paho-mqtt {PAHO_VERSION} ({version:?}). To get it:\n    \
         python3 -m venv /tmp/paho && /tmp/paho/bin/pip install -r mqtt5-conformance/clients/requirements.txt\n    \
         export CONFORMANCE_PYTHON=/tmp/paho/bin/python"
    );
    let adapter = file("clients/paho_client.py").display().to_string();
    // What the standard leaves open is no matter of right or wrong for others.
    check(
        vec![python, adapter],
        Strength::Should,
        "clients/paho.expected",
    );
}
