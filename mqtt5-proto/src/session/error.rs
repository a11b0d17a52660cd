//! Commands that are refused: harmless, with what was passed in given back.

use crate::codec::PacketTooLarge;
use crate::packet::QoS;

/// Why a command is refused, or an accepted operation cannot be carried out on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The server's Maximum QoS is lower (`3.2.2-11`).
    #[error("the server takes QoS {} at most", *maximum as u8)]
    MaximumQoS {
        /// The server's limit.
        maximum: QoS,
    },
    /// The server keeps no retained messages (`3.2.2-14`).
    #[error("the server takes no retained messages")]
    RetainAvailable,
    /// The packet is larger than the server's Maximum Packet Size (`3.2.2-15`), or than the
    /// protocol allows.
    #[error("the packet has {size} bytes, {limit} is the limit")]
    MaximumPacketSize {
        /// The size of the packet in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The server takes no filters with wildcards (section 3.2.2.3.11).
    #[error("the server takes no topic filters with wildcards")]
    WildcardSubscriptionAvailable,
    /// The server takes no Subscription Identifiers (section 3.2.2.3.12).
    #[error("the server takes no Subscription Identifiers")]
    SubscriptionIdentifierAvailable,
    /// The server takes no shared subscriptions (section 3.2.2.3.13).
    #[error("the server takes no shared subscriptions")]
    SharedSubscriptionAvailable,
    /// The payload is not UTF-8 though its Payload Format Indicator says so (section 3.3.2.3.2).
    #[error("the payload is not the UTF-8 that its Payload Format Indicator promises")]
    PayloadFormat,
    /// There is no filter in the request (`3.8.3-2`, `3.10.3-2`).
    #[error("there is no topic filter")]
    NoTopicFilter,
    /// There is no connection, and the command needs one.
    #[error("there is no connection")]
    NotConnected,
    /// As many messages or bytes are waiting as the configuration allows.
    #[error("as many operations are waiting as the configuration allows")]
    QueueFull,
    /// The connection is being closed on request.
    #[error("the connection is being closed")]
    Closing,
    /// A client may not send this reason code (`3.14.2-1`).
    #[error("a client may not send this reason code")]
    ReasonCode,
    /// A session that ends with its connection cannot be prolonged (section 3.14.2.2.2).
    #[error("the session was to end with the connection and cannot be prolonged")]
    SessionExpiryInterval,
    /// A client may not send this property (section 3.14.2.2.5).
    #[error("a client may not send a Server Reference")]
    ServerReference,
    /// There is no Authentication Method, or nothing to answer (`4.12.0-7`).
    #[error("no enhanced authentication was agreed on, or it waits for the server")]
    Authentication,
}

impl From<PacketTooLarge> for Rule {
    fn from(error: PacketTooLarge) -> Self {
        Self::MaximumPacketSize {
            size: error.remaining_length,
            limit: 268_435_455,
        }
    }
}

/// A command that was refused, with what was passed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct Refused<T> {
    /// Why.
    pub rule: Rule,
    /// What was passed in.
    pub given: T,
}

/// Why an acknowledgement has no effect. Harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// The message was acknowledged before, or the server does not wait for it any more.
    #[error("the message was acknowledged before, or the server does not wait for it any more")]
    NotAwaited,
    /// The session of the message is over.
    #[error("the session of the message is over")]
    SessionLost,
    /// A client may not send this reason code (`3.4.2-1`).
    #[error("a client may not send this reason code")]
    ReasonCode,
}
