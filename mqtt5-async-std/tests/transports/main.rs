//! Every road to a broker, by the tests of `mqtt5-tokio`, word for word, with async-std under the
//! client. Only what opens streams of a runtime is written anew. The servers run on Tokio.

// A helper of a test that cannot do its work has no better way to fail it than to panic.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
// What only the tests of one feature use.
#![cfg_attr(
    not(all(feature = "tls", feature = "websocket", feature = "proxy")),
    allow(dead_code, reason = "with fewer features, fewer tests")
)]

/// What the tests call by that name.
extern crate mqtt5_async_std as mqtt5_tokio;

#[path = "../../../mqtt5-tokio/tests/support/mod.rs"]
mod support;

#[cfg(feature = "tls")]
#[path = "../../../mqtt5-tokio/tests/transports/certificates.rs"]
mod certificates;
mod drip;
mod own_streams;
#[cfg(feature = "proxy")]
#[path = "../../../mqtt5-tokio/tests/transports/proxy.rs"]
mod proxy;
#[path = "../../../mqtt5-tokio/tests/transports/servers.rs"]
mod servers;
#[path = "../../../mqtt5-tokio/tests/transports/sockets.rs"]
mod sockets;
#[cfg(feature = "tls")]
#[path = "../../../mqtt5-tokio/tests/transports/system_roots.rs"]
mod system_roots;
#[cfg(feature = "tls")]
#[path = "../../../mqtt5-tokio/tests/transports/tls.rs"]
mod tls;
#[path = "../../../mqtt5-tokio/tests/transports/traffic.rs"]
mod traffic;
#[cfg(feature = "websocket")]
#[path = "../../../mqtt5-tokio/tests/transports/websocket.rs"]
mod websocket;
