//! What a client is made of.

use std::num::NonZeroU16;
use std::time::Duration;

use mqtt5_proto::codec::{BinaryData, DataTypeError, MaximumPacketSize, Utf8String};
use mqtt5_proto::packet::{Authentication, UserProperty, Will};
use mqtt5_proto::session::SessionConfig;

use crate::authentication::Authenticator;
use crate::errors::OptionsError;
use crate::reconnect::ReconnectPolicy;
use crate::streams::{StreamOptions, WhenFull};

/// What happens to a message of QoS 1 or 2 that its consumer does not acknowledge for so long that
/// half of the Receive Maximum waits behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StallPolicy {
    /// Nothing, but for the [`Notice`](crate::Notice): the server stops sending messages of QoS 1
    /// and 2 when the Receive Maximum is used up.
    #[default]
    Hold,
    /// It is refused with 0x97 (quota exceeded), so that the others can go on. A consumer that was
    /// given it still has it; one that was not does not get it.
    Refuse,
}

/// All about a client: identity, requests to the server, budgets and policies.
///
/// Every setter takes and returns the options. A value that cannot be sent is told by
/// [`check`](Self::check), and by making a client of the options; the first such value counts.
///
/// ```
/// # use mqtt5_client::ClientOptions;
/// # use std::time::Duration;
/// let options = ClientOptions::new()
///     .client_id("socks-drawer")
///     .keep_alive(Duration::from_secs(30))
///     .credentials("heinz", "secret");
/// assert!(options.check().is_ok());
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[must_use]
pub struct ClientOptions {
    pub(crate) session: SessionConfig,
    pub(crate) durable: bool,
    pub(crate) reconnect: ReconnectPolicy,
    pub(crate) retry_first_connect: bool,
    pub(crate) drain_timeout: Duration,
    pub(crate) stall_policy: StallPolicy,
    pub(crate) unclaimed: StreamOptions,
    pub(crate) authenticator: Option<Box<dyn Authenticator>>,
    fault: Option<OptionsError>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            session: SessionConfig {
                receive_excess: 16 << 20,
                ..SessionConfig::default()
            },
            durable: false,
            reconnect: ReconnectPolicy::default(),
            retry_first_connect: false,
            drain_timeout: Duration::from_secs(5),
            stall_policy: StallPolicy::default(),
            unclaimed: StreamOptions::default(),
            authenticator: None,
            fault: None,
        }
    }
}

impl ClientOptions {
    /// An ephemeral session with an identifier of the server's choice: begun anew by the first
    /// connection, kept over cuts of up to 300 s, ended by
    /// [`disconnect`](crate::Client::disconnect).
    pub fn new() -> Self {
        Self::default()
    }

    /// The first value that cannot be sent.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn check(&self) -> Result<(), OptionsError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let session = &self.session;
        if self.durable && (session.client_id.is_empty() || session.session_expiry_interval == 0) {
            return Err(OptionsError::DurableSession);
        }
        if session
            .will
            .as_ref()
            .is_some_and(|will| !will.payload_fits_format())
        {
            return Err(OptionsError::WillPayloadFormat);
        }
        Ok(())
    }

    fn fail(&mut self, fault: OptionsError) {
        self.fault.get_or_insert(fault);
    }

    fn string<S>(&mut self, option: &'static str, value: S) -> Option<Utf8String>
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
    {
        match value.try_into().map_err(DataTypeError::from) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(OptionsError::Invalid { option, error });
                None
            }
        }
    }

    fn seconds(&mut self, option: &'static str, duration: Duration, most: u32) -> u32 {
        let seconds = duration
            .as_secs()
            .saturating_add(u64::from(duration.subsec_nanos() > 0));
        let seconds = u32::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds <= most);
        seconds.unwrap_or_else(|| {
            self.fail(OptionsError::OutOfRange { option });
            0
        })
    }

    /// Client Identifier (section 3.1.3.1). Default: empty, the server chooses one.
    pub fn client_id<S>(mut self, client_id: S) -> Self
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
    {
        if let Some(client_id) = self.string("client identifier", client_id) {
            self.session.client_id = client_id;
        }
        self
    }

    /// A session that outlives this process: kept by the server for `expiry` after a connection
    /// ends, [`disconnect`](crate::Client::disconnect) included, and taken up again by the first
    /// connection if it is there. `Duration::MAX`: for ever.
    ///
    /// The caller vouches that nobody else uses this Client Identifier. What the server has queued
    /// arrives at once: declare the streams for it right after making the client. Messages of QoS 1
    /// and 2 that no stream claims are held for one that does, or for
    /// [`messages`](crate::Client::messages).
    pub fn durable<S>(mut self, client_id: S, expiry: Duration) -> Self
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
    {
        self.durable = true;
        self.session.session_may_exist = true;
        self.client_id(client_id).session_expiry(expiry)
    }

    /// Session Expiry Interval (section 3.1.2.11.2): how long the server keeps the session after a
    /// connection has ended; rounded up to whole seconds, `Duration::MAX`: for ever. 0: not at all.
    /// Default: 300 s.
    pub fn session_expiry(mut self, expiry: Duration) -> Self {
        self.session.session_expiry_interval = if expiry == Duration::MAX {
            u32::MAX
        } else {
            self.seconds("session expiry", expiry, u32::MAX - 1)
        };
        self
    }

    /// Keep Alive (section 3.1.2.10), up to 65,535 s, rounded up to whole seconds; 0 is off.
    /// Default: 60 s.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        let seconds = self.seconds("keep alive", keep_alive, u32::from(u16::MAX));
        self.session.keep_alive = u16::try_from(seconds).unwrap_or(u16::MAX);
        self
    }

    /// How long at least to wait for the answer to a ping. Default: 10 s.
    pub const fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.session.ping_timeout = timeout;
        self
    }

    /// User Name (section 3.1.3.5). Default: none.
    pub fn user_name<S>(mut self, user_name: S) -> Self
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
    {
        self.session.user_name = self.string("user name", user_name);
        self
    }

    /// Password (section 3.1.3.6), up to 65,535 bytes; with or without a User Name. Default: none.
    pub fn password<B>(mut self, password: B) -> Self
    where
        B: TryInto<BinaryData>,
        DataTypeError: From<B::Error>,
    {
        match password.try_into().map_err(DataTypeError::from) {
            Ok(password) => self.session.password = Some(password),
            Err(error) => self.fail(OptionsError::Invalid {
                option: "password",
                error,
            }),
        }
        self
    }

    /// User Name and Password.
    pub fn credentials<S, B>(self, user_name: S, password: B) -> Self
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
        B: TryInto<BinaryData>,
        DataTypeError: From<B::Error>,
    {
        self.user_name(user_name).password(password)
    }

    /// The message that the server publishes if this client goes without a DISCONNECT (section
    /// 3.1.2.5). Default: none.
    pub fn will(mut self, will: Will) -> Self {
        self.session.will = Some(Box::new(will));
        self
    }

    /// Enhanced authentication (section 4.12) by this method. Default: none.
    pub fn authentication<S>(
        mut self,
        method: S,
        authenticator: impl Authenticator + 'static,
    ) -> Self
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
    {
        if let Some(method) = self.string("authentication method", method) {
            self.session.authentication = Some(Authentication { method, data: None });
            self.authenticator = Some(Box::new(authenticator));
        }
        self
    }

    /// Receive Maximum (section 3.1.2.11.3): how many messages of QoS 1 and 2 the server may have
    /// in flight to us, 1 to 65,535. Default: 256.
    pub fn receive_maximum(mut self, messages: u16) -> Self {
        match NonZeroU16::new(messages) {
            Some(messages) => self.session.receive_maximum = messages,
            None => self.fail(OptionsError::OutOfRange {
                option: "receive maximum",
            }),
        }
        self
    }

    /// How many bytes of messages of QoS 1 and 2 the server may have in flight to us beyond the
    /// Receive Maximum before that ends the connection; each counts 256 at least. Default: 16 MiB,
    /// because Mosquitto 2.0, for one, exceeds it whenever it has a backlog, and a strict client
    /// would never get through that. A [`Notice`](crate::Notice) tells of it. 0 is strict.
    pub const fn receive_excess(mut self, bytes: usize) -> Self {
        self.session.receive_excess = bytes;
        self
    }

    /// Maximum Packet Size (section 3.1.2.11.4) that the server may send, in bytes, at least 1.
    /// Default: 16 MiB.
    pub fn maximum_packet_size(mut self, bytes: u32) -> Self {
        match MaximumPacketSize::new(bytes) {
            Some(size) => self.session.maximum_packet_size = size,
            None => self.fail(OptionsError::OutOfRange {
                option: "maximum packet size",
            }),
        }
        self
    }

    /// Bounds the memory that unacknowledged messages of QoS 1 and 2 can take: lowers Maximum
    /// Packet Size, Receive Maximum and [`receive_excess`](Self::receive_excess), as far as needed,
    /// so that the product of the first two, and the third, are not above half of `bytes` each.
    /// Call it after them. Default: what they add up to, 4 GiB.
    pub fn inbound_budget(mut self, bytes: u32) -> Self {
        let bytes = bytes / 2;
        let excess = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.session.receive_excess = self.session.receive_excess.min(excess);
        let size = self.session.maximum_packet_size.get().min(bytes);
        let Some(maximum) = MaximumPacketSize::new(size) else {
            self.fail(OptionsError::OutOfRange {
                option: "inbound budget",
            });
            return self;
        };
        self.session.maximum_packet_size = maximum;
        let messages = u16::try_from(bytes / size).unwrap_or(u16::MAX);
        if let Some(messages) = NonZeroU16::new(messages) {
            self.session.receive_maximum = self.session.receive_maximum.min(messages);
        }
        self
    }

    /// Topic Alias Maximum (section 3.1.2.11.5): how many aliases the server may use; each can hold
    /// 64 KiB of memory. Default: 0.
    pub const fn topic_alias_maximum(mut self, aliases: u16) -> Self {
        self.session.topic_alias_maximum = aliases;
        self
    }

    /// Whether to ask for Response Information (section 3.1.2.11.6), which
    /// [`ConnectionInfo`](crate::ConnectionInfo) has then. Default: no.
    pub const fn request_response_information(mut self, request: bool) -> Self {
        self.session.request_response_information = request;
        self
    }

    /// Whether the server may explain its answers by Reason Strings and User Properties (section
    /// 3.1.2.11.7). Default: yes.
    pub const fn request_problem_information(mut self, request: bool) -> Self {
        self.session.request_problem_information = request;
        self
    }

    /// Adds a User Property to the CONNECT (section 3.1.2.11.8).
    pub fn user_property(mut self, name: &str, value: &str) -> Self {
        match UserProperty::new(name, value) {
            Ok(property) => self.session.user_properties.push(property),
            Err(error) => self.fail(OptionsError::Invalid {
                option: "user property",
                error,
            }),
        }
        self
    }

    /// How long an attempt to connect may take, from opening the transport to the CONNACK
    /// (section 3.2). Default: 10 s.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.session.connect_timeout = timeout;
        self
    }

    /// How to connect again after a connection has ended. Default: [`ReconnectPolicy::default`].
    pub const fn reconnect(mut self, policy: ReconnectPolicy) -> Self {
        self.reconnect = policy;
        self
    }

    /// Whether the policy for reconnecting holds from the start. If not, the first attempt that
    /// fails is the end of the client. Default: no.
    pub const fn retry_first_connect(mut self, retry: bool) -> Self {
        self.retry_first_connect = retry;
        self
    }

    /// How many messages may be on their way: accepted without a verdict, with a verdict that was
    /// not taken, or reserved. At least 1. Default: 8,192.
    pub const fn outbound_messages(mut self, messages: usize) -> Self {
        self.session.outbound_messages = if messages == 0 { 1 } else { messages };
        self
    }

    /// How many bytes those messages may take, with topics and properties. A single message may
    /// always take more. Default: 64 MiB.
    pub const fn outbound_bytes(mut self, bytes: usize) -> Self {
        self.session.outbound_bytes = bytes;
        self
    }

    /// Whether messages of QoS 0 are accepted without a connection, to be sent with the next one.
    /// Default: no.
    pub const fn queue_qos0_offline(mut self, queue: bool) -> Self {
        self.session.queue_qos0 = queue;
        self
    }

    /// How long [`disconnect`](crate::Client::disconnect) and the drop of the last handle wait for
    /// operations to finish. Default: 5 s.
    pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// What to do about consumers that do not acknowledge. Default: [`StallPolicy::Hold`].
    pub const fn stall_policy(mut self, policy: StallPolicy) -> Self {
        self.stall_policy = policy;
        self
    }

    /// The queue of [`messages`](crate::Client::messages) for messages of QoS 0. Default: 1,024
    /// messages or 16 MiB, then the newest is dropped.
    pub const fn unclaimed_buffer(
        mut self,
        messages: usize,
        bytes: usize,
        when_full: WhenFull,
    ) -> Self {
        self.unclaimed.messages = messages;
        self.unclaimed.bytes = bytes;
        self.unclaimed.when_full = when_full;
        self
    }
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions")
            .field("session", &self.session)
            .field("durable", &self.durable)
            .field("reconnect", &self.reconnect)
            .field("retry_first_connect", &self.retry_first_connect)
            .finish_non_exhaustive()
    }
}
