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

mod runtime;
mod timer;
mod transport;

use std::future::Future;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

pub use runtime::Tokio;
pub use timer::{TokioClock, TokioTimer};
pub use transport::IoTransport;

pub use mqtt5_client::{bytes, proto};
#[doc(inline)]
pub use mqtt5_transport::application::*;
#[cfg(feature = "tls")]
pub use mqtt5_transport::rustls;

/// A client that is being put together; from [`builder`] or [`over`], or by what
/// [`mqtt5_transport::Builder`] has to begin with. There all that can be set is told.
///
/// ```
/// use mqtt5_tokio::{Builder, Server};
///
/// let host = "localhost".to_owned();
/// let builder = Builder::new(Server { host, port: 1883 }).client_id("socks-drawer");
/// # drop(builder);
/// ```
pub type Builder<C = Network> = mqtt5_transport::Builder<Tokio, C>;

/// Opens connections to the server that a URL names.
pub type NetworkConnect = mqtt5_transport::NetworkConnect<Tokio>;

/// Opens connections by a function that gives a stream.
pub type StreamConnect<F> = mqtt5_transport::StreamConnect<Tokio, F>;

/// A socket of Tokio.
pub type Socket = mqtt5_transport::Socket<Tokio>;

/// Connects to the server at `url`, such as `mqtts://user:password@host:8883`, with default options;
/// [`Url`] tells which URLs there are.
///
/// # Errors
/// [`ConnectError`] if the URL is malformed, the server cannot be reached (within 10 s), or it
/// refuses the connection. Only the first attempt is made; once connected, the client reconnects by
/// itself. What TLS, WebSocket or a proxy failed by is told by [`TransportError::of`].
///
/// Cancel safe: the attempt ends with the future.
pub async fn connect(url: &str) -> Result<Client, ConnectError> {
    builder(url)?.connect().await
}

/// Begins a client for the server at `url`; see [`Url`] for its form.
///
/// # Errors
/// [`UrlError`].
pub fn builder(url: &str) -> Result<Builder, UrlError> {
    Builder::from_url(url)
}

/// Begins a client over streams of one's own: `open` is called for every connection, and gives any
/// stream of Tokio, such as one of a serial line, of QUIC, or of a test.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use tokio::net::TcpStream;
///
/// let client = mqtt5_tokio::over(|| TcpStream::connect("localhost:1883"))
///     .client_id("socks-drawer")
///     .connect()
///     .await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
pub fn over<F, O, S>(open: F) -> Builder<StreamConnect<F>>
where
    F: FnMut() -> O,
    O: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin,
{
    Builder::with(StreamConnect::new(open))
}
