//! Clients over links that fail without end, to two brokers: one in this process and one real.
//!
//! Each connection is closed, reset, silenced, refused, stalled, delayed or cut to pieces at some
//! byte, by chance from one seed, while messages of every QoS go both ways. Judged is every single
//! operation, message and exchange: see `judge.rs`.
//!
//! `CHAOS_FAULTS=n` says how many faults to wait for, and `CHAOS_SEED=n` brings the plans and the
//! traffic of a failure back; threads and sockets have a timing of their own. `CHAOS_FIGURES=1`
//! prints what a run has done (with `-- --nocapture`).

// A helper of a test that cannot do its work has no better way to fail it than to panic.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod chance;
mod clients;
mod judge;
mod ledger;
mod rest;
mod run;
mod wire;
mod world;

use support::broker::Kind;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_every_verdict_is_true_with_the_test_broker() {
    run::run(Kind::Testkit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_every_verdict_is_true_with_mosquitto() {
    run::run(Kind::Mosquitto).await;
}
