use std::future::Future;
use std::io;

use mqtt5_client::{Client, ClientOptions, CloseReason, Connect, OptionsError};
use mqtt5_transport::{Address, Route, RouteError, RouteOptions, Url, UrlError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

use crate::connect::{NetworkConnect, StreamConnect};
use crate::timer::TokioTimer;

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is malformed, or asks for what this build cannot do.
    #[error("{0}")]
    Url(#[from] UrlError),
    /// What the connection is to be made of does not fit together, such as a client certificate and
    /// another one's key.
    #[error("{0}")]
    Route(#[from] RouteError),
    /// An option holds what cannot be sent.
    #[error("{0}")]
    Options(#[from] OptionsError),
    /// This was not called from a task of Tokio.
    #[error("there is no Tokio runtime here")]
    NoRuntime,
    /// The server cannot be reached or has refused the connection.
    #[error("{0}")]
    Closed(#[from] CloseReason),
}

/// Connects to the server at `url`, such as `mqtts://user:password@host:8883`, with default options.
///
/// | URL | what | default port |
/// |---|---|---|
/// | `mqtt://host`, `tcp://` | TCP | 1883 |
/// | `mqtts://host`, `ssl://`, `tls://` | TLS (feature `tls`) | 8883 |
/// | `ws://host/path` | WebSocket (feature `websocket`) | 80 |
/// | `wss://host/path` | WebSocket over TLS (features `websocket` and `tls`) | 443 |
/// | `unix:/path` | a socket of Unix | |
///
/// User name and password may be percent-encoded; they are for MQTT, with WebSocket too.
///
/// # Errors
/// [`ConnectError`] if the URL is malformed, the server cannot be reached (within 10 s), or it
/// refuses the connection. Only the first attempt is made; once connected, the client reconnects by
/// itself. What TLS, WebSocket or a proxy failed by is told by
/// [`TransportError::of`](crate::TransportError::of).
///
/// Cancel safe: the attempt ends with the future.
pub async fn connect(url: &str) -> Result<Client, ConnectError> {
    builder(url)?.connect().await
}

/// Begins a client for the server at `url`; see [`connect`] for its form.
///
/// # Errors
/// [`UrlError`].
pub fn builder(url: &str) -> Result<Builder, UrlError> {
    let url = Url::parse(url)?;
    let mut builder = Builder::new(url.address);
    if let Some(user_name) = url.user_name {
        builder = builder.user_name(user_name);
    }
    if let Some(password) = url.password {
        builder = builder.password(password);
    }
    Ok(builder)
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

/// Where a [`Builder`] begins: a URL, and what the layers below MQTT are to be like.
#[derive(Clone, Debug)]
pub struct Network {
    address: Address,
    options: RouteOptions,
}

/// A client that is being put together; from [`builder`] or [`over`]. What its setters mean, and
/// their defaults, is told by those of [`ClientOptions`].
///
/// `C` is what opens its connections: [`Network`], or any [`Connect`].
#[derive(Debug)]
#[must_use = "nothing happens before it is connected or started"]
pub struct Builder<C = Network> {
    connect: C,
    options: ClientOptions,
    retry_first: Option<bool>,
}

impl Builder {
    /// For the server at `address`.
    pub fn new(address: impl Into<Address>) -> Self {
        Self::with(Network {
            address: address.into(),
            options: RouteOptions::default(),
        })
    }

    /// What TLS is to be like: whom to trust, who we are. Only with an address that asks for TLS.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, options: crate::TlsOptions) -> Self {
        self.connect.options.tls = Some(options);
        self
    }

    /// What WebSocket is to be like. Only with an address that asks for WebSocket.
    #[cfg(feature = "websocket")]
    pub fn websocket(mut self, options: crate::WebSocketOptions) -> Self {
        self.connect.options.websocket = Some(options);
        self
    }

    /// Goes through a proxy. Not with a Unix socket. Default: none, whatever the environment says.
    #[cfg(feature = "proxy")]
    pub fn proxy(mut self, proxy: crate::Proxy) -> Self {
        self.connect.options.proxy = Some(proxy);
        self
    }

    /// Connects, and waits until the server has accepted.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// Cancel safe: the attempt ends with the future.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        self.resolve()?.connect().await
    }

    /// Begins to connect, and returns at once: subscriptions can be declared and messages be
    /// enqueued before there is a connection. [`Client::connected`] waits for it.
    ///
    /// # Errors
    /// [`ConnectError::Route`], [`ConnectError::Options`] and [`ConnectError::NoRuntime`].
    pub fn start(self) -> Result<Client, ConnectError> {
        self.resolve()?.start()
    }

    fn resolve(self) -> Result<Builder<NetworkConnect>, RouteError> {
        let Network { address, options } = self.connect;
        Ok(Builder {
            connect: NetworkConnect::new(Route::new(address, options)?),
            options: self.options,
            retry_first: self.retry_first,
        })
    }
}

impl<C> Builder<C> {
    /// For whatever `connect` connects to.
    pub fn with(connect: C) -> Self {
        Self {
            connect,
            options: ClientOptions::new(),
            retry_first: None,
        }
    }

    /// Takes all options from `options`, those from the URL included.
    pub fn options(mut self, options: ClientOptions) -> Self {
        self.options = options;
        self
    }

    mqtt5_client::option_setters!();

    /// Whether the policy for reconnecting holds from the start; if not, the first attempt that
    /// fails is the end of the client. Default: no with [`connect`](Self::connect), yes with
    /// [`start`](Self::start).
    pub const fn retry_first_connect(mut self, retry: bool) -> Self {
        self.retry_first = Some(retry);
        self
    }
}

impl<C> Builder<C>
where
    C: Connect + Unpin + Send + 'static,
    C::Transport: Send + 'static,
    C::Future: 'static,
{
    /// Connects, and waits until the server has accepted.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// Cancel safe: the attempt ends with the future.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let retry = self.retry_first.unwrap_or(false);
        let client = self.retry_first_connect(retry).start()?;
        client.connected().await?;
        Ok(client)
    }

    /// Begins to connect, and returns at once: subscriptions can be declared and messages be
    /// enqueued before there is a connection. [`Client::connected`] waits for it.
    ///
    /// # Errors
    /// [`ConnectError::Options`] and [`ConnectError::NoRuntime`].
    pub fn start(self) -> Result<Client, ConnectError> {
        let runtime = Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
        let options = self
            .options
            .retry_first_connect(self.retry_first.unwrap_or(true));
        let (client, driver) = Client::new(options, self.connect, TokioTimer::new())?;
        runtime.spawn(driver);
        Ok(client)
    }
}
