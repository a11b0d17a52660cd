use bytes::Bytes;
use mqtt5_proto::codec::DataTypeError;
use mqtt5_proto::packet::ApplicationMessage;
use mqtt5_proto::session::{Acknowledgement, PublishVerdict, Rule};
use mqtt5_proto::topic::TopicError;

use super::{CloseReason, Culprit};

/// Why a message was not published, or is not known to be.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic is no topic name. Nothing was sent.
    #[error("invalid topic: {error}")]
    InvalidTopic {
        /// What is wrong with it.
        error: TopicError,
        /// The payload that was to be sent.
        payload: Bytes,
    },
    /// A property cannot be sent. Nothing was sent.
    #[error("invalid {property}: {error}")]
    InvalidProperty {
        /// The property, as the standard calls it.
        property: &'static str,
        /// What is wrong with it.
        error: DataTypeError,
        /// The message, without that property.
        message: Box<ApplicationMessage>,
    },
    /// The message was not accepted: it breaks a limit of the server or of this client, or the
    /// payload is not what it is said to be. Nothing was sent.
    #[error("not accepted: {rule}")]
    NotAccepted {
        /// The limit.
        rule: Rule,
        /// The message.
        message: Box<ApplicationMessage>,
    },
    /// The client was closed before it accepted the message. Nothing was sent.
    #[error("the client is closed: {reason}")]
    Closed {
        /// Why.
        reason: CloseReason,
        /// The message.
        message: Box<ApplicationMessage>,
    },
    /// The server does not want the message.
    #[error("the server refused the message: {}", .0.reason_code)]
    Refused(Acknowledgement),
    /// After a reconnect, the message no longer fits the limits of the server. If it was sent on an
    /// earlier connection, the server may have it.
    #[error("the message does not fit the new connection: {rule}")]
    Rejected {
        /// The limit.
        rule: Rule,
        /// The message.
        message: Box<ApplicationMessage>,
    },
    /// The Message Expiry Interval ran out before the message was sent.
    #[error("the message expired before it was sent")]
    Expired {
        /// The message.
        message: Box<ApplicationMessage>,
    },
    /// The message was accepted, but not a byte of it was sent.
    #[error("the message was never sent")]
    NeverSent {
        /// The message.
        message: Box<ApplicationMessage>,
    },
    /// The message was sent, at least in part, and no answer can come any more: the server may have
    /// it.
    #[error("the message was sent, and what became of it is not known")]
    Unknown {
        /// The message; `None` if the server had already taken it over (QoS 2 after PUBREC).
        message: Option<Box<ApplicationMessage>>,
    },
}

impl PublishError {
    /// The message, where it is still held. For [`InvalidTopic`](Self::InvalidTopic) there is none,
    /// but a payload.
    #[must_use]
    pub fn message(&self) -> Option<&ApplicationMessage> {
        match self {
            Self::InvalidTopic { .. } | Self::Refused(_) => None,
            Self::InvalidProperty { message, .. }
            | Self::NotAccepted { message, .. }
            | Self::Closed { message, .. }
            | Self::Rejected { message, .. }
            | Self::Expired { message }
            | Self::NeverSent { message } => Some(message),
            Self::Unknown { message } => message.as_deref(),
        }
    }

    /// The message, to be published again; see [`message`](Self::message).
    #[must_use]
    pub fn into_message(self) -> Option<ApplicationMessage> {
        match self {
            Self::InvalidTopic { .. } | Self::Refused(_) => None,
            Self::InvalidProperty { message, .. }
            | Self::NotAccepted { message, .. }
            | Self::Closed { message, .. }
            | Self::Rejected { message, .. }
            | Self::Expired { message }
            | Self::NeverSent { message } => Some(*message),
            Self::Unknown { message } => message.map(|message| *message),
        }
    }

    /// The payload, where it is still held.
    #[must_use]
    pub fn payload(&self) -> Option<&Bytes> {
        match self {
            Self::InvalidTopic { payload, .. } => Some(payload),
            other => other.message().map(|message| &message.payload),
        }
    }

    /// Whether it is certain that the server did not get the message from this operation.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        !matches!(self, Self::Unknown { .. } | Self::Rejected { .. })
    }

    /// Whether the message was handed back because the client's queue is full.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(
            self,
            Self::NotAccepted {
                rule: Rule::QueueFull,
                ..
            }
        )
    }

    /// Who has to do something about it.
    #[must_use]
    pub fn culprit(&self) -> Culprit {
        match self {
            Self::NotAccepted {
                rule: Rule::NotConnected,
                ..
            }
            | Self::NeverSent { .. }
            | Self::Unknown { .. } => Culprit::Network,
            Self::InvalidTopic { .. }
            | Self::InvalidProperty { .. }
            | Self::NotAccepted { .. }
            | Self::Rejected { .. }
            | Self::Expired { .. } => Culprit::Caller,
            Self::Closed { reason, .. } => reason.culprit(),
            Self::Refused(_) => Culprit::Server,
        }
    }
}

/// What a verdict is to the caller.
pub(crate) fn published(verdict: PublishVerdict) -> Result<crate::Published, PublishError> {
    Err(match verdict {
        PublishVerdict::Sent => return Ok(crate::Published::Sent),
        PublishVerdict::Acknowledged(answer) => return Ok(crate::Published::Acknowledged(answer)),
        PublishVerdict::Refused(answer) => PublishError::Refused(answer),
        PublishVerdict::Rejected { rule, message } => PublishError::Rejected { rule, message },
        PublishVerdict::Expired { message } => PublishError::Expired { message },
        PublishVerdict::NeverSent { message } => PublishError::NeverSent { message },
        PublishVerdict::Unknown { message } => PublishError::Unknown { message },
        // The enum may grow; a verdict that is not understood is not known.
        _ => PublishError::Unknown { message: None },
    })
}
