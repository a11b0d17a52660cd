//! MQTT 5 client for Tokio.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use mqtt5_tokio::QoS;
//!
//! let client = mqtt5_tokio::connect("mqtt://localhost:1883").await?;
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
//! - [`Client`] is a handle: cheap to clone, usable from many tasks. It and its streams outlive
//!   reconnects, which happen by themselves ([`ReconnectPolicy`]).
//! - [`Client::publish`] waits for the server's verdict, or only for room in the queue
//!   ([`Publish::enqueue`]), or for nothing ([`Publish::try_enqueue`]).
//! - [`Client::subscribe`] gives a stream of [`Messages`]. A message of QoS 1 or 2 is acknowledged
//!   when the next one is asked for.
//! - [`builder`] sets everything else, such as a session that outlives the process:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! let client = mqtt5_tokio::builder("mqtt://localhost")?
//!     .durable("socks-drawer", Duration::from_secs(3600))
//!     .keep_alive(Duration::from_secs(30))
//!     .start()?;
//! // Declared before there is a connection: what the server has queued finds its stream.
//! let socks = client.subscribe("socks/#").declare()?;
//! client.connected().await?;
//! # drop(socks);
//! # Ok(())
//! # }
//! ```
//!
//! # Roads to a server
//!
//! [`connect`] tells which URLs there are: TCP, TLS, WebSocket, and Unix sockets. [`over`] takes any
//! stream of Tokio.
//!
//! | feature | what |
//! |---|---|
//! | `tls`, on by default | `mqtts://`, by rustls with the cryptography of ring |
//! | `websocket` | `ws://`, and with `tls` `wss://`, by tungstenite |
//! | `proxy` | HTTP CONNECT and SOCKS5 |
//!
//! What went wrong below MQTT is told by [`TransportError::of`]:
//!
//! ```no_run
//! # async fn run() {
//! use mqtt5_tokio::{ConnectError, TransportError};
//!
//! if let Err(ConnectError::Closed(reason)) = mqtt5_tokio::connect("mqtt://localhost").await {
//!     match reason.failure().and_then(TransportError::of) {
//!         Some(transport) => println!("never came as far as MQTT: {transport}"),
//!         None => println!("{reason}"),
//!     }
//! }
//! # }
//! ```
//!
//! The runtime must have its I/O and time drivers enabled.

mod builder;
mod connect;
mod timer;
mod transport;

pub use builder::{Builder, ConnectError, Network, builder, connect, over};
pub use connect::{NetworkConnect, StreamConnect};
pub use timer::{TokioClock, TokioTimer};
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
