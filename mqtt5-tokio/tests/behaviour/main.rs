//! How the whole client behaves, each behaviour by a name. See README.md beside this file for the
//! table.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support fails a test by panicking"
)]

mod acknowledge;
mod authentication;
mod caller;
mod closing;
mod hangs;
mod hostile;
mod pressure_in;
mod pressure_out;
mod promises;
mod reconnect;
mod resumption;
mod streams;
mod subscribe;
mod support;
