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

mod runtime;
mod timer;
mod transport;

use std::future::Future;
use std::io;

use futures_io::{AsyncRead, AsyncWrite};

pub use runtime::AsyncStd;
pub use timer::{AsyncStdClock, AsyncStdTimer};
pub use transport::IoTransport;

pub use mqtt5_client::{bytes, proto};
#[doc(inline)]
pub use mqtt5_transport::application::*;
#[cfg(feature = "tls")]
pub use mqtt5_transport::rustls;

/// A client that is being put together; from [`builder`] or [`over`], or by what
/// [`mqtt5_transport::Builder`] has to begin with. There all that can be set is told.
pub type Builder<C = Network> = mqtt5_transport::Builder<AsyncStd, C>;

/// Opens connections to the server that a URL names.
pub type NetworkConnect = mqtt5_transport::NetworkConnect<AsyncStd>;

/// Opens connections by a function that gives a stream.
pub type StreamConnect<F> = mqtt5_transport::StreamConnect<AsyncStd, F>;

/// A socket of async-std.
pub type Socket = mqtt5_transport::Socket<AsyncStd>;

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
/// stream of `futures-io`, such as one of a serial line, of QUIC, or of a test.
///
/// After a DISCONNECT the stream is closed, and dropped once the server has closed it too, or a
/// second later. Closing should shut down writing; async-std's own sockets only flush, which makes
/// it the second unless the server is quicker.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use async_std::net::TcpStream;
///
/// let client = mqtt5_async_std::over(|| TcpStream::connect("localhost:1883"))
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
