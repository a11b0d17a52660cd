//! How much is proven, for people.

use std::collections::BTreeSet;

use mqtt5_conformance::Case;

use crate::tables::{EdgeCase, Evidence, Statement};

pub(crate) fn of(statements: &[Statement], edge_cases: &[EdgeCase], cases: &[Case]) -> String {
    let (client, server): (Vec<_>, Vec<_>) = statements
        .iter()
        .map(|one| (one.id.clone(), one))
        .partition(|(_, one)| one.binds_a_client());
    let evidence = |(name, one): (String, &Statement)| (name, one.evidence().state());
    let client: Vec<_> = client.into_iter().map(evidence).collect();
    let server: Vec<_> = server.into_iter().map(evidence).collect();
    let edges: Vec<_> = edge_cases
        .iter()
        .map(|one| (one.name(), one.evidence().state()))
        .collect();
    let proves: BTreeSet<_> = cases.iter().flat_map(|case| &case.proves).collect();
    let of_edges = proves.iter().filter(|id| id.starts_with("edge ")).count();
    let of_statements = proves.len() - of_edges;
    format!(
        "statements that bind a client: {}\nstatements that bind servers only: {}\n\
         edge cases: {}\n{} cases prove {} statements and {} edge cases",
        line(&client),
        line(&server),
        line(&edges),
        cases.len(),
        of_statements,
        of_edges
    )
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Proven,
    ByReason,
    Open,
}

impl Evidence<'_> {
    const fn state(self) -> State {
        match (self.proofs, self.reason) {
            ([_, ..], _) => State::Proven,
            ([], Some(_)) => State::ByReason,
            ([], None) => State::Open,
        }
    }
}

fn line(entries: &[(String, State)]) -> String {
    let names = |wanted: State| -> Vec<&str> {
        entries
            .iter()
            .filter(|(_, state)| *state == wanted)
            .map(|(name, _)| name.as_str())
            .collect()
    };
    let mut text = format!("{}, {} proven", entries.len(), names(State::Proven).len());
    for (wanted, why) in [
        (State::ByReason, "by reason only"),
        (State::Open, "without"),
    ] {
        let names = names(wanted);
        if !names.is_empty() {
            text += &format!(", {} {why} ({})", names.len(), names.join(", "));
        }
    }
    text
}
