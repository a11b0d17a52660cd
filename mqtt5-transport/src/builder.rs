use std::marker::PhantomData;

use mqtt5_client::{Client, ClientOptions, CloseReason, Connect, OptionsError};

use crate::address::{Address, Url, UrlError};
use crate::connect::NetworkConnect;
use crate::route::{Route, RouteError, RouteOptions};
use crate::runtime::{NoRuntime, Runtime};

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
    /// This was not called from a task of the runtime, where that is needed.
    #[error("{NoRuntime}")]
    NoRuntime,
    /// The server cannot be reached or has refused the connection.
    #[error("{0}")]
    Closed(#[from] CloseReason),
}

/// Where a [`Builder`] begins: a URL, and what the layers below MQTT are to be like.
#[derive(Clone, Debug)]
pub struct Network {
    address: Address,
    options: RouteOptions,
}

impl From<NoRuntime> for ConnectError {
    fn from(NoRuntime: NoRuntime) -> Self {
        Self::NoRuntime
    }
}

/// A client that is being put together. What its setters mean, and their defaults, is told by those
/// of [`ClientOptions`].
///
/// `R` is the [`Runtime`] on which it will run, `C` what opens its connections: [`Network`], or any
/// [`Connect`].
#[derive(Debug)]
#[must_use = "nothing happens before it is connected or started"]
pub struct Builder<R, C = Network> {
    connect: C,
    options: ClientOptions,
    retry_first: Option<bool>,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> Builder<R> {
    /// For the server at `url`; see [`Url`] for its form. User name and password are those of the
    /// URL, if it has any.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let url = Url::parse(url)?;
        let mut builder = Self::new(url.address);
        if let Some(user_name) = url.user_name {
            builder = builder.user_name(user_name);
        }
        if let Some(password) = url.password {
            builder = builder.password(password);
        }
        Ok(builder)
    }

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

    /// Connects, and waits until the server has accepted. Unless
    /// [`retry_first_connect`](Self::retry_first_connect) says otherwise, only one attempt is made;
    /// once connected, the client reconnects by itself.
    ///
    /// # Errors
    /// [`ConnectError`] if what was set does not fit together, or if the server cannot be reached
    /// (within [`connect_timeout`](Self::connect_timeout)) or refuses the connection. What TLS,
    /// WebSocket or a proxy failed by is told by [`TransportError::of`](crate::TransportError::of).
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

    fn resolve(self) -> Result<Builder<R, NetworkConnect<R>>, RouteError> {
        let Network { address, options } = self.connect;
        Ok(Builder {
            connect: NetworkConnect::new(Route::new(address, options)?),
            options: self.options,
            retry_first: self.retry_first,
            runtime: PhantomData,
        })
    }
}

impl<R, C> Builder<R, C> {
    /// For whatever `connect` connects to.
    pub fn with(connect: C) -> Self {
        Self {
            connect,
            options: ClientOptions::new(),
            retry_first: None,
            runtime: PhantomData,
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

impl<R, C> Builder<R, C>
where
    R: Runtime,
    C: Connect + Unpin + Send + 'static,
    C::Transport: Send + 'static,
    C::Future: 'static,
{
    /// Connects, and waits until the server has accepted. Unless
    /// [`retry_first_connect`](Self::retry_first_connect) says otherwise, only one attempt is made;
    /// once connected, the client reconnects by itself.
    ///
    /// # Errors
    /// [`ConnectError`] if what was set does not fit together, or if the server cannot be reached
    /// (within [`connect_timeout`](Self::connect_timeout)) or refuses the connection. What TLS,
    /// WebSocket or a proxy failed by is told by [`TransportError::of`](crate::TransportError::of).
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
        let options = self
            .options
            .retry_first_connect(self.retry_first.unwrap_or(true));
        let (client, driver) = Client::new(options, self.connect, R::Timer::default())?;
        R::spawn(driver)?;
        Ok(client)
    }
}
