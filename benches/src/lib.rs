//! What the crates of this workspace are measured by: work items, each done by several contenders.
//!
//! A [`Work`](work::Work) is one row of the table: a thing that users do, and those who do it. Ours
//! and other crates stand beside code written by hand in this crate, which does nothing more than it
//! has to, and so says how fast it could be. Every contender proves what it did, so that none can
//! be fast by doing nothing.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "programs that measure: a failure has to end them, and their numbers are small"
)]

pub mod clients;
pub mod decode;
pub mod encode;
pub mod facts;
pub mod hand;
pub mod memory;
pub mod payload;
mod peers;
pub mod report;
pub mod rounds;
pub mod routing;
pub mod samples;
pub mod streams;
pub mod work;

/// All rows, in the order of the table.
#[must_use]
pub fn works() -> Vec<work::Work> {
    [
        decode::works(),
        streams::works(),
        encode::works(),
        payload::works(),
        rounds::works(),
        routing::works(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
