//! What a fuzz target runs, as plain functions, so that the target itself is a few lines and tests
//! can run the same. Each panics if a promise is broken.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a broken promise has to be seen by the fuzzer"
)]

mod application;
mod broker_bytes;
mod choices;
mod client;
mod codec;
mod server;
mod session_ops;
mod wire;

pub use broker_bytes::broker_bytes;
pub use codec::{decode, roundtrip, split};
pub use session_ops::session_ops;
