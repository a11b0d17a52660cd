//! The client against two brokers, one in this process and one real, over a link that can be cut.
//!
//! `MQTT5_LARGE=1` makes the traffic tests move 100 MB instead of 10 MB.

// A helper of a test that cannot do its work has no better way to fail it than to panic.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod cancellation;
mod clients;
mod dropped_runtime;
mod endings;
mod expiry;
mod limits;
mod messages;
mod pressure;
mod resumption;
mod retained;
mod subscriptions;
mod tools;
mod will;
