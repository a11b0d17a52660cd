//! The tables as they are in their files.

use serde::Deserialize;

/// What an entry of a table is proven by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) proofs: &'a [String],
    pub(crate) reason: Option<&'a str>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    pub(crate) id: String,
    pub(crate) section: String,
    pub(crate) role: String,
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) proofs: Vec<String>,
    pub(crate) reason: Option<String>,
}

impl Statement {
    pub(crate) fn binds_a_client(&self) -> bool {
        self.role != "server"
    }

    pub(crate) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            proofs: &self.proofs,
            reason: self.reason.as_deref(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgeCase {
    pub(crate) number: u32,
    pub(crate) situation: String,
    pub(crate) required: String,
    #[serde(default)]
    pub(crate) statements: Vec<String>,
    #[serde(default)]
    pub(crate) sections: Vec<String>,
    #[serde(default)]
    pub(crate) proofs: Vec<String>,
    pub(crate) reason: Option<String>,
}

impl EdgeCase {
    pub(crate) fn name(&self) -> String {
        format!("edge case {}", self.number)
    }

    pub(crate) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            proofs: &self.proofs,
            reason: self.reason.as_deref(),
        }
    }
}

pub(crate) fn statements() -> Vec<Statement> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        statement: Vec<Statement>,
    }
    let file: File = toml::from_str(include_str!("../../statements.toml")).unwrap();
    file.statement
}

pub(crate) fn edge_cases() -> Vec<EdgeCase> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        edge_case: Vec<EdgeCase>,
    }
    let file: File = toml::from_str(include_str!("../../edge_cases.toml")).unwrap();
    file.edge_case
}
