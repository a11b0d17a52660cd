//! The integration tests of `mqtt5-tokio`, word for word, with async-std under the client. The
//! brokers and the tests themselves run on Tokio: client handles know no runtime.
//!
//! `MQTT5_LARGE=1` makes the traffic tests move 100 MB instead of 10 MB.

// A helper of a test that cannot do its work has no better way to fail it than to panic.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

/// What the tests call by that name.
extern crate mqtt5_async_std as mqtt5_tokio;

#[path = "../../../mqtt5-tokio/tests/support/mod.rs"]
mod support;

#[path = "../../../mqtt5-tokio/tests/integration/access.rs"]
mod access;
#[path = "../../../mqtt5-tokio/tests/integration/cancellation.rs"]
mod cancellation;
#[path = "../../../mqtt5-tokio/tests/integration/clients.rs"]
mod clients;
#[path = "../../../mqtt5-tokio/tests/integration/endings.rs"]
mod endings;
#[path = "../../../mqtt5-tokio/tests/integration/expiry.rs"]
mod expiry;
#[path = "../../../mqtt5-tokio/tests/integration/limits.rs"]
mod limits;
#[path = "../../../mqtt5-tokio/tests/integration/messages.rs"]
mod messages;
#[path = "../../../mqtt5-tokio/tests/integration/pressure.rs"]
mod pressure;
#[path = "../../../mqtt5-tokio/tests/integration/resumption.rs"]
mod resumption;
#[path = "../../../mqtt5-tokio/tests/integration/retained.rs"]
mod retained;
#[path = "../../../mqtt5-tokio/tests/integration/subscriptions.rs"]
mod subscriptions;
#[path = "../../../mqtt5-tokio/tests/integration/tools.rs"]
mod tools;
#[path = "../../../mqtt5-tokio/tests/integration/will.rs"]
mod will;
