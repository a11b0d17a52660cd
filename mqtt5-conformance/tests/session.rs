//! Every case against the core, on a virtual clock: all pass, and nothing is left unjudged.

mod session_client;
#[path = "../clients/words.rs"]
mod words;

use std::path::Path;

use mqtt5_conformance::{Outcome, cases, run};

use session_client::SessionClient;

#[test]
fn every_case_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let cases = cases(&folder).unwrap_or_else(|error| panic!("{error}"));
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let outcome = run(case, &mut SessionClient::default());
            let passed = outcome == Outcome::Passed { not_observable: 0 };
            (!passed).then(|| format!("{}.case: {outcome}", case.name))
        })
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {}\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}
