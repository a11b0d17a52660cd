//! What a session is made of: identity, requests to the server, budgets.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU16;
use core::time::Duration;

use crate::codec::{BinaryData, MaximumPacketSize, Utf8String};
use crate::packet::{Authentication, Connect, ConnectProperties, UserProperty, Will};

/// How a session connects, and how much it may hold.
///
/// All but the budgets go into the CONNECT (section 3.1); a change takes effect with the next
/// connection.
#[derive(Clone)]
pub struct SessionConfig {
    /// Client Identifier. Empty (the default) lets the server choose one, which is used from then
    /// on.
    pub client_id: Utf8String,
    /// Keep Alive in seconds; 0 is off. Default: 60.
    pub keep_alive: u16,
    /// User Name. Default: none.
    pub user_name: Option<Utf8String>,
    /// Password. Default: none.
    pub password: Option<BinaryData>,
    /// The Will. Default: none.
    pub will: Option<Box<Will>>,
    /// Method and first data of an enhanced authentication (section 4.12). Default: none.
    pub authentication: Option<Authentication>,
    /// How many seconds the session outlives a connection; `u32::MAX`: for ever. Default: 300.
    pub session_expiry_interval: u32,
    /// Whether a session of this Client Identifier may exist on the server from before: then the
    /// first connection resumes it (Clean Start 0) instead of dropping it. Default: no.
    pub session_may_exist: bool,
    /// Receive Maximum: how many messages of QoS 1 and 2 the server may have in flight to us.
    /// Default: 256. The most that they can take is this many times the Maximum Packet Size, and
    /// [`receive_excess`](Self::receive_excess).
    pub receive_maximum: NonZeroU16,
    /// How many bytes of messages the server may have in flight beyond the Receive Maximum before
    /// that ends the connection with 0x93 (`3.3.4-9`); each counts 256 at least. Some servers
    /// exceed it whenever they have a backlog, and with them a strict client never gets through
    /// it. Default: 0.
    pub receive_excess: usize,
    /// The largest packet that we take. Default: 16 MiB.
    pub maximum_packet_size: MaximumPacketSize,
    /// How many Topic Aliases the server may use. Default: 0, since each can hold 64 KiB.
    pub topic_alias_maximum: u16,
    /// Whether the server is asked for Response Information. Default: no.
    pub request_response_information: bool,
    /// Whether the server may add Reason Strings and User Properties to all of its answers.
    /// Default: yes.
    pub request_problem_information: bool,
    /// User Properties of the CONNECT, in order. Default: none.
    pub user_properties: Vec<UserProperty>,
    /// How long to wait for the CONNACK. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long at least to wait for a PINGRESP; a longer Keep Alive makes it longer. Default:
    /// 10 s.
    pub ping_timeout: Duration,
    /// How many messages may be accepted and not yet have their verdict. Default: 8,192.
    pub outbound_messages: usize,
    /// How many bytes those messages may take, with topics and properties. Default: 64 MiB.
    pub outbound_bytes: usize,
    /// Whether messages of QoS 0 are accepted without a connection, to be sent with the next.
    /// Default: no.
    pub queue_qos0: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            client_id: Utf8String::default(),
            keep_alive: 60,
            user_name: None,
            password: None,
            will: None,
            authentication: None,
            session_expiry_interval: 300,
            session_may_exist: false,
            receive_maximum: NonZeroU16::MIN.saturating_add(255),
            receive_excess: 0,
            maximum_packet_size: MaximumPacketSize::DEFAULT,
            topic_alias_maximum: 0,
            request_response_information: false,
            request_problem_information: true,
            user_properties: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(10),
            outbound_messages: 8192,
            outbound_bytes: 64 << 20,
            queue_qos0: false,
        }
    }
}

impl SessionConfig {
    /// The CONNECT that this configuration asks for.
    pub(super) fn to_connect(&self, client_id: Utf8String, clean_start: bool) -> Connect {
        Connect {
            clean_start,
            keep_alive: self.keep_alive,
            client_id,
            will: self.will.clone(),
            user_name: self.user_name.clone(),
            password: self.password.clone(),
            authentication: self.authentication.clone(),
            properties: ConnectProperties {
                session_expiry_interval: (self.session_expiry_interval != 0)
                    .then_some(self.session_expiry_interval),
                request_problem_information: (!self.request_problem_information).then_some(false),
                request_response_information: self.request_response_information.then_some(true),
                receive_maximum: (self.receive_maximum != NonZeroU16::MAX)
                    .then_some(self.receive_maximum),
                topic_alias_maximum: (self.topic_alias_maximum != 0)
                    .then_some(self.topic_alias_maximum),
                user_properties: self.user_properties.clone(),
                maximum_packet_size: Some(self.maximum_packet_size),
            },
        }
    }
}

impl core::fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionConfig")
            .field("client_id", &self.client_id)
            .field("keep_alive", &self.keep_alive)
            .field("user_name", &self.user_name)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("session_expiry_interval", &self.session_expiry_interval)
            .field("session_may_exist", &self.session_may_exist)
            .finish_non_exhaustive()
    }
}
