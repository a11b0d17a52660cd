use std::time::Duration;

use mqtt5_client::proto::codec::{BinaryData, DataTypeError, Utf8String};
use mqtt5_client::proto::packet::Will;
use mqtt5_client::{
    Authenticator, Client, ClientOptions, CloseReason, Connect, OptionsError, ReconnectPolicy,
    StallPolicy,
};
use tokio::runtime::Handle;

use crate::connect::TcpConnect;
use crate::timer::TokioTimer;
use crate::url::{Server, Url, UrlError};

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is malformed, or asks for what this build cannot do.
    #[error("{0}")]
    Url(#[from] UrlError),
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

/// Connects to the server at `url`, such as `mqtt://user:password@host:1883`, with default options.
///
/// User name and password may be percent-encoded; the default port is 1883.
///
/// # Errors
/// [`ConnectError`] if the URL is malformed, the server cannot be reached (within 10 s), or it
/// refuses the connection. Only the first attempt is made; once connected, the client reconnects by
/// itself.
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
    let Url {
        server,
        user_name,
        password,
    } = Url::parse(url)?;
    let mut builder = Builder::new(server);
    if let Some(user_name) = user_name {
        builder = builder.user_name(user_name);
    }
    if let Some(password) = password {
        builder = builder.password(password);
    }
    Ok(builder)
}

/// A client that is being put together; from [`builder`]. What its setters mean, and their defaults,
/// is told by those of [`ClientOptions`].
#[derive(Debug)]
#[must_use = "nothing happens before it is connected or started"]
pub struct Builder {
    server: Server,
    options: ClientOptions,
    retry_first: Option<bool>,
}

macro_rules! setters {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[doc = concat!("See [`ClientOptions::", stringify!($name), "`].")]
        pub fn $name(mut self $(, $argument: $type)*) -> Self {
            self.options = self.options.$name($($argument),*);
            self
        }
    )*};
}

macro_rules! string_setters {
    ($($name:ident;)*) => {$(
        #[doc = concat!("See [`ClientOptions::", stringify!($name), "`].")]
        pub fn $name<S>(mut self, value: S) -> Self
        where
            S: TryInto<Utf8String>,
            DataTypeError: From<S::Error>,
        {
            self.options = self.options.$name(value);
            self
        }
    )*};
}

impl Builder {
    /// For `server`.
    pub fn new(server: Server) -> Self {
        Self {
            server,
            options: ClientOptions::new(),
            retry_first: None,
        }
    }

    /// Takes all options from `options`, those from the URL included.
    pub fn options(mut self, options: ClientOptions) -> Self {
        self.options = options;
        self
    }

    string_setters! {
        client_id;
        user_name;
    }

    setters! {
        session_expiry(expiry: Duration);
        keep_alive(keep_alive: Duration);
        ping_timeout(timeout: Duration);
        will(will: Will);
        receive_maximum(messages: u16);
        receive_excess(bytes: usize);
        maximum_packet_size(bytes: u32);
        inbound_budget(bytes: u32);
        topic_alias_maximum(aliases: u16);
        request_response_information(request: bool);
        request_problem_information(request: bool);
        user_property(name: &str, value: &str);
        connect_timeout(timeout: Duration);
        reconnect(policy: ReconnectPolicy);
        outbound_messages(messages: usize);
        outbound_bytes(bytes: usize);
        queue_qos0_offline(queue: bool);
        drain_timeout(timeout: Duration);
        stall_policy(policy: StallPolicy);
    }

    /// See [`ClientOptions::durable`].
    pub fn durable<S>(mut self, client_id: S, expiry: Duration) -> Self
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
    {
        self.options = self.options.durable(client_id, expiry);
        self
    }

    /// See [`ClientOptions::password`].
    pub fn password<B>(mut self, password: B) -> Self
    where
        B: TryInto<BinaryData>,
        DataTypeError: From<B::Error>,
    {
        self.options = self.options.password(password);
        self
    }

    /// See [`ClientOptions::credentials`].
    pub fn credentials<S, B>(self, user_name: S, password: B) -> Self
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
        B: TryInto<BinaryData>,
        DataTypeError: From<B::Error>,
    {
        self.user_name(user_name).password(password)
    }

    /// See [`ClientOptions::authentication`].
    pub fn authentication<S>(
        mut self,
        method: S,
        authenticator: impl Authenticator + 'static,
    ) -> Self
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
    {
        self.options = self.options.authentication(method, authenticator);
        self
    }

    /// Whether the policy for reconnecting holds from the start; if not, the first attempt that
    /// fails is the end of the client. Default: no with [`connect`](Self::connect), yes with
    /// [`start`](Self::start).
    pub const fn retry_first_connect(mut self, retry: bool) -> Self {
        self.retry_first = Some(retry);
        self
    }

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
        let retry = self.retry_first.unwrap_or(true);
        let options = self.options.retry_first_connect(retry);
        spawn(options, TcpConnect::new(self.server))
    }
}

fn spawn<C>(options: ClientOptions, connect: C) -> Result<Client, ConnectError>
where
    C: Connect + Unpin + Send + 'static,
    C::Transport: Send + 'static,
    C::Future: 'static,
{
    let runtime = Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
    let (client, driver) = Client::new(options, connect, TokioTimer::new())?;
    runtime.spawn(driver);
    Ok(client)
}
