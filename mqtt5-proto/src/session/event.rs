//! What a session tells its caller: events and verdicts.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU64;

use bytes::Bytes;

use crate::codec::{BinaryData, DecodeError};
use crate::packet::{
    AckProperties, ApplicationMessage, AuthProperties, ConnackProperties, ConnackReasonCode,
    DisconnectProperties, DisconnectReasonCode, PacketId, PublishPropertiesView, PublishReasonCode,
    QoS, Received, ReceivedPublish, ReleaseReasonCode, SubackReasonCode, UnsubackReasonCode,
};
use crate::session::Rule;

/// The number of an accepted operation: rising, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(NonZeroU64);

impl OperationId {
    /// That of the operation that was accepted after `earlier` others.
    pub(super) const fn nth(earlier: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(earlier))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The server accepted the connection.
    Connected(Box<Connected>),
    /// The connection is over. Comes once per [`handle_opened`](super::Session::handle_opened),
    /// after [`handle_closed`](super::Session::handle_closed).
    Disconnected(Box<ConnectionEnd>),
    /// A message came in.
    Message(Message),
    /// The verdict of a publish.
    Published {
        /// What [`publish`](super::Session::publish) returned.
        operation: OperationId,
        /// What became of it.
        verdict: PublishVerdict,
    },
    /// The verdict of a subscribe.
    Subscribed {
        /// What [`subscribe`](super::Session::subscribe) returned.
        operation: OperationId,
        /// What became of it.
        verdict: RequestVerdict<SubackReasonCode>,
    },
    /// The verdict of an unsubscribe.
    Unsubscribed {
        /// What [`unsubscribe`](super::Session::unsubscribe) returned.
        operation: OperationId,
        /// What became of it.
        verdict: RequestVerdict<UnsubackReasonCode>,
    },
    /// The server wants more data to authenticate: answer with
    /// [`authenticate`](super::Session::authenticate).
    Challenge(Box<Challenge>),
    /// A re-authentication succeeded.
    Reauthenticated(Box<Challenge>),
    /// Acknowledgements of received messages wait for an earlier message of the same QoS, because
    /// the standard fixes their order (`4.6.0-2`, `4.6.0-3`); half of the Receive Maximum is used
    /// up. Comes once, and again only after the jam has cleared.
    AcksStalled {
        /// The QoS whose acknowledgements wait.
        qos: QoS,
        /// The message that must be acknowledged first.
        first: AckToken,
        /// How many messages of this QoS are not acknowledged.
        waiting: usize,
    },
    /// The peer did something odd that does not cost the connection.
    Warning(Warning),
}

/// What the server said in its CONNACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Whether the server went on with the session.
    pub session_present: bool,
    /// Whether we had a session that the server did not have any more: subscriptions are gone,
    /// messages in flight got their verdict, tokens of messages not acknowledged are dead.
    pub session_lost: bool,
    /// The properties as they came. What they mean for this connection is in
    /// [`limits`](super::Session::limits).
    pub properties: ConnackProperties,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEnd {
    /// Who ended it, and why.
    pub reason: EndReason,
    /// Whether the server had accepted the connection.
    pub was_connected: bool,
    /// Whether the session goes on with the next connection.
    pub session_kept: bool,
    /// How many resumed connections in a row ended by an error at the same kind of packet with the
    /// same Packet Identifier, this one included. At three the session cannot be helped: stop, or
    /// drop it with [`start_clean`](super::Session::start_clean).
    pub repeated: u32,
}

/// Who ended a connection, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// We did, with [`disconnect`](super::Session::disconnect).
    #[error("disconnected on request")]
    Requested,
    /// The transport was closed or broke without a word.
    #[error("the transport closed")]
    TransportClosed,
    /// The server refused the connection.
    #[error("the server refused the connection: {reason_code}")]
    Refused {
        /// Its reason.
        reason_code: Received<ConnackReasonCode>,
        /// What else it said.
        properties: Box<ConnackProperties>,
    },
    /// The server speaks MQTT 3.1.1 and refused the connection.
    #[error("the server speaks MQTT 3.1.1 (it answered with return code {return_code})")]
    ServerSpeaksV3 {
        /// The return code of its CONNACK.
        return_code: u8,
    },
    /// The server sent a DISCONNECT.
    #[error("the server disconnected: {reason_code}")]
    ServerDisconnected {
        /// Its reason.
        reason_code: Received<DisconnectReasonCode>,
        /// What else it said.
        properties: Box<DisconnectProperties>,
    },
    /// The server broke a rule of the protocol.
    #[error("the server broke the protocol: {0}")]
    Violation(#[from] DecodeError),
    /// The server went on with a session that we do not have (`3.2.2-4`). The next connection
    /// starts clean.
    #[error("the server has a session that this client does not know")]
    UnexpectedSessionPresent,
    /// The server's Maximum Packet Size leaves no room for an acknowledgement.
    #[error("the server takes packets of {limit} bytes at most, too few for an acknowledgement")]
    PacketSizeUnusable {
        /// The server's Maximum Packet Size in bytes.
        limit: u32,
    },
    /// The server did not answer a PINGREQ in time.
    #[error("the server did not answer a PINGREQ in time")]
    KeepAliveTimeout,
    /// The CONNACK did not come in time.
    #[error("the server did not answer the CONNECT in time")]
    ConnectTimeout,
}

/// What became of a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishVerdict {
    /// QoS 0: the transport took all of its bytes.
    Sent,
    /// QoS 1 and 2: the server has it.
    Acknowledged(Acknowledgement),
    /// QoS 1 and 2: the server does not want it.
    Refused(Acknowledgement),
    /// It does not fit the limits of the connection that came after it was accepted. If it was
    /// sent on an earlier connection, the server may have it.
    Rejected {
        /// The limit.
        rule: Rule,
        /// The message.
        message: Box<ApplicationMessage>,
    },
    /// Its Message Expiry Interval ran out before it was sent.
    Expired {
        /// The message.
        message: Box<ApplicationMessage>,
    },
    /// Not a byte of it was sent.
    NeverSent {
        /// The message.
        message: Box<ApplicationMessage>,
    },
    /// It was sent, at least in part, and no answer can come any more: the server may have it.
    Unknown {
        /// The message; `None` if the server had already taken it over (QoS 2 after PUBREC).
        message: Option<Box<ApplicationMessage>>,
    },
}

/// A server's answer to a message of QoS 1 or 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The reason code of the PUBACK or PUBREC.
    pub reason_code: Received<PublishReasonCode>,
    /// The reason code of the PUBCOMP, for QoS 2. The exchange is finished whatever it says.
    pub completion: Option<Received<ReleaseReasonCode>>,
    /// What else the PUBACK or PUBREC said.
    pub properties: Option<Box<AckProperties>>,
}

/// What became of a subscribe or unsubscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestVerdict<R> {
    /// The server answered.
    Answered {
        /// One reason code per filter, in order.
        reason_codes: Vec<Received<R>>,
        /// What else it said.
        properties: Option<Box<AckProperties>>,
    },
    /// The server answered with a wrong number of codes, or with the wrong packet: what it did is
    /// not known.
    MalformedAnswer,
    /// It does not fit the limits of the connection that came after it was accepted.
    Rejected {
        /// The limit.
        rule: Rule,
    },
    /// Not a byte of it was sent.
    NeverSent,
    /// It was sent, at least in part, and the connection ended before the answer.
    Unknown,
}

/// A step of an enhanced authentication, from the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Authentication Data.
    pub data: Option<BinaryData>,
    /// The other properties.
    pub properties: AuthProperties,
}

impl core::fmt::Debug for Challenge {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Challenge")
            .field("data", &self.data.as_ref().map(|_| "…"))
            .field("properties", &self.properties)
            .finish()
    }
}

/// What is odd about a peer that is tolerated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// A PUBLISH whose topic holds a wildcard was refused, or dropped at QoS 0.
    #[error("a PUBLISH with a wildcard in its topic was not delivered")]
    WildcardInTopic,
    /// A message came with a Payload Format Indicator that does not exist; it was delivered without
    /// one.
    #[error("a message has a Payload Format Indicator that does not exist")]
    PayloadFormatIndicator,
    /// A message came with a Response Topic that is no topic name; it was delivered without one.
    #[error("a message has a Response Topic that is no topic name")]
    ResponseTopic,
    /// A SUBACK or UNSUBACK came for no request.
    #[error("an answer came for the unknown Packet Identifier {0}")]
    UnknownRequest(PacketId),
    /// A Packet Identifier was used for a new message while an older exchange of the other QoS was
    /// not finished; the older one is forgotten.
    #[error("Packet Identifier {0} was used again before its exchange was finished")]
    PacketIdReused(PacketId),
    /// The server has more messages in flight than our Receive Maximum allows, which is tolerated
    /// as far as [`receive_excess`](super::SessionConfig::receive_excess) says. Told once per
    /// connection.
    #[error("the server exceeds our Receive Maximum")]
    ReceiveMaximumExceeded,
    /// The server sent Authentication Method or Data though none was sent; ignored.
    #[error("the server sent authentication properties that were not asked for")]
    UnrequestedAuthentication,
    /// The server assigned a Client Identifier though one was sent; ignored.
    #[error("the server assigned a Client Identifier though one was sent")]
    UnrequestedClientIdentifier,
    /// The server was sent no Client Identifier and assigned none: the session cannot be resumed.
    #[error("the server assigned no Client Identifier; the session cannot be resumed")]
    NoClientIdentifier,
    /// The server announced Maximum QoS 2, which is what its absence means.
    #[error("the server announced Maximum QoS 2, which only its absence may mean")]
    MaximumQoS2,
    /// The server released a message of QoS 2 that we had not acknowledged yet; the message stays
    /// delivered, and an acknowledgement of it has no effect any more.
    #[error("the server released Packet Identifier {0} before it was acknowledged")]
    ReleasedEarly(PacketId),
}

/// The right to acknowledge one received message of QoS 1 or 2.
///
/// It belongs to the exchange and not to the connection: it survives a resumption and dies with
/// the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AckToken {
    pub(super) packet_id: PacketId,
    pub(super) exchange: u64,
}

/// A received message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub(super) publish: ReceivedPublish,
    /// The topic, if a Topic Alias stood for it.
    pub(super) aliased_topic: Option<Arc<str>>,
    pub(super) token: Option<AckToken>,
}

impl Message {
    /// The topic name. Costs a UTF-8 check; [`topic_bytes`](Self::topic_bytes) does not.
    #[must_use]
    pub fn topic(&self) -> &str {
        match &self.aliased_topic {
            Some(topic) => topic,
            None => self.publish.topic(),
        }
    }

    /// The bytes of the topic name.
    #[must_use]
    pub fn topic_bytes(&self) -> &[u8] {
        match &self.aliased_topic {
            Some(topic) => topic.as_bytes(),
            None => self.publish.topic_bytes(),
        }
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.publish.payload()
    }

    /// The payload as bytes of its own: shared, not copied, unless the message is small.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.publish.payload_bytes()
    }

    /// At which QoS it came.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.publish.delivery().qos()
    }

    /// Whether it is a retained message, or was published as one and the subscription asked to be
    /// told (Retain As Published).
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.publish.retain()
    }

    /// Whether it may have been sent before. Proves nothing.
    #[must_use]
    pub const fn dup(&self) -> bool {
        self.publish.delivery().dup()
    }

    /// The properties.
    #[must_use]
    pub fn properties(&self) -> PublishPropertiesView<'_> {
        self.publish.properties()
    }

    /// The right to acknowledge it; `None` at QoS 0.
    #[must_use]
    pub const fn token(&self) -> Option<AckToken> {
        self.token
    }

    /// The size of the packet in which it came, in bytes.
    #[must_use]
    pub fn packet_size(&self) -> usize {
        self.publish.packet_size()
    }

    /// A copy that shares nothing with the buffer in which the message came.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self {
            publish: self.publish.detach(),
            ..self.clone()
        }
    }
}

impl core::fmt::Debug for Message {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("qos", &self.qos())
            .field("retain", &self.retain())
            .field("dup", &self.dup())
            .field("properties", &self.properties())
            .field("payload", &Bytes::copy_from_slice(self.payload()))
            .finish()
    }
}
