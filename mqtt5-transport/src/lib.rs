//! Every road to an MQTT server, and the builder of a client that takes one: TLS, WebSocket and
//! proxies over any stream of bytes.
//!
//! Applications use an adapter such as `mqtt5-tokio`; this crate is what the adapters share, and is
//! for the author of one. All of it is written over the seam of `mqtt5-client` and one trait beside
//! it: it knows no runtime, no socket and no clock.
//!
//! - [`Runtime`] is what an adapter brings: sockets, looking up names, a timer, spawning. [`Adapt`]
//!   adds streams of the application's own, and [`SystemClock`] is there for its timer.
//! - [`Builder`] makes a client of it, [`NetworkConnect`] and [`StreamConnect`] open its
//!   connections, and [`application`] is what else an adapter hands on.
//! - [`Url`] and [`Address`] say where the server is and how it is spoken to.
//! - [`Route`] is an address together with the options for its layers, checked before anything is
//!   opened. Its [`hop`](Route::hop) tells the adapter which socket to open, and
//!   [`establish`](Route::establish) puts proxy, TLS and WebSocket on it.
//! - [`Layered`] is what comes of it: a transport again, by static dispatch.
//! - [`first_to_open`] tries the addresses of a name, without waiting for a dead one.
//! - [`TransportError`] tells what went wrong, and is found inside the [`io::Error`](std::io::Error)
//!   of the seam.
//!
//! # Features
//!
//! Each only adds. None is on by default.
//!
//! | feature | what |
//! |---|---|
//! | `tls` | `mqtts://`: rustls with the cryptography of ring, TLS 1.2 and 1.3 |
//! | `websocket` | `ws://`, and `wss://` together with `tls`: tungstenite |
//! | `proxy` | HTTP CONNECT and SOCKS5, with credentials |

mod address;
pub mod application;
mod attempts;
mod builder;
mod clock;
mod connect;
mod error;
mod layered;
mod route;
mod runtime;
mod socket;

#[cfg(any(feature = "websocket", feature = "proxy"))]
mod http;
#[cfg(any(feature = "websocket", feature = "proxy"))]
mod io;
#[cfg(feature = "proxy")]
mod proxy;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod websocket;

pub use address::{Address, Server, Url, UrlError};
pub use attempts::first_to_open;
pub use builder::{Builder, ConnectError, Network};
pub use clock::SystemClock;
pub use connect::{NetworkConnect, StreamConnect};
pub use error::{Step, TransportError};
pub use layered::Layered;
#[cfg(feature = "proxy")]
pub use proxy::{Proxy, ProxyError};
pub use route::{Hop, Route, RouteError, RouteOptions};
pub use runtime::{Adapt, NoRuntime, Runtime};
pub use socket::Socket;
#[cfg(feature = "tls")]
pub use tls::{CertificateFault, Tls, TlsError, TlsOptions, TlsOptionsError};
#[cfg(feature = "websocket")]
pub use websocket::{WebSocket, WebSocketError, WebSocketOptions, WebSocketOptionsError};

/// The TLS library, for [`TlsOptions::from_rustls`].
#[cfg(feature = "tls")]
pub use rustls;
