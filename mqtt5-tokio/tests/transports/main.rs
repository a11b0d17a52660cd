//! Every road to a broker: TLS, WebSocket, Unix sockets, proxies, several addresses, and streams of
//! one's own; against Mosquitto, and against servers that are not what they should be.

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

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "tls")]
mod certificates;
mod drip;
mod names;
mod own_streams;
#[cfg(feature = "proxy")]
mod proxy;
mod servers;
mod sockets;
#[cfg(feature = "tls")]
mod system_roots;
#[cfg(feature = "tls")]
mod tls;
mod traffic;
#[cfg(feature = "websocket")]
mod websocket;
