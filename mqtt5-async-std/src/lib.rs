//! MQTT 5 client for async-std.
//!
//! **async-std is discontinued** ([RUSTSEC-2025-0052]) and gets no more fixes, of security holes
//! neither. This crate is for programs that are still on it. For anything new use `mqtt5-tokio`, or
//! smol with the seam of [`mqtt5_client`], whose example `smol` shows how.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use mqtt5_async_std::QoS;
//!
//! let client = mqtt5_async_std::connect("mqtt://localhost:1883").await?;
//! let mut socks = client.subscribe("socks/+/status").await?;
//! client.publish("socks/right/status", "missing").qos(QoS::ExactlyOnce).await?;
//! while let Some(message) = socks.next().await {
//!     println!("{} {:?}", message.topic(), message.payload());
//! }
//! client.disconnect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! It is the client of `mqtt5-tokio`, with the same names, features and promises: only sockets, timer
//! and spawning are async-std's. [`connect`] tells which URLs there are, [`builder`] sets everything
//! else, and [`over`] takes any stream of `futures-io`.
//!
//! | feature | what |
//! |---|---|
//! | `tls`, on by default | `mqtts://`, by rustls with the cryptography of ring |
//! | `websocket` | `ws://`, and with `tls` `wss://`, by tungstenite |
//! | `proxy` | HTTP CONNECT and SOCKS5 |
//!
//! [RUSTSEC-2025-0052]: https://rustsec.org/advisories/RUSTSEC-2025-0052

mod builder;
mod connect;
mod timer;
mod transport;

pub use builder::{Builder, ConnectError, Network, builder, connect, over};
pub use connect::{NetworkConnect, StreamConnect};
pub use timer::{AsyncStdClock, AsyncStdTimer};
pub use transport::{IoTransport, Socket};

pub use mqtt5_transport::{
    Address, Layered, Route, RouteError, RouteOptions, Server, Step, TransportError, UrlError,
};
#[cfg(feature = "tls")]
pub use mqtt5_transport::{CertificateFault, Tls, TlsError, TlsOptions, TlsOptionsError, rustls};
#[cfg(feature = "proxy")]
pub use mqtt5_transport::{Proxy, ProxyError};
#[cfg(feature = "websocket")]
pub use mqtt5_transport::{WebSocket, WebSocketError, WebSocketOptions, WebSocketOptionsError};

pub use mqtt5_client::{
    Authenticator, Client, ClientOptions, CloseReason, Completion, ConnectionInfo, ConnectionState,
    Culprit, DisconnectBuilder, DisconnectError, Driver, Enqueue, Failure, Grant, LoopGuard,
    Message, Messages, NextMessage, NoAnswer, Notice, Observed, Observer, OptionsError, Permit,
    Publish, PublishError, PublishFuture, Published, QoS, ReauthenticateError, ReconnectPolicy,
    Reserve, StallPolicy, StateChanges, Statistics, StreamEnd, Subscribe, SubscribeError, Topic,
    TopicFilter, UnobservedVerdict, UnsubscribeError, WhenFull,
};
pub use mqtt5_client::{bytes, proto};
