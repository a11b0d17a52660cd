use mqtt5_proto::codec::DataTypeError;
use mqtt5_proto::packet::{AckProperties, NoLocalOnShared, Received, SubackReasonCode};
use mqtt5_proto::session::Rule;
use mqtt5_proto::topic::FilterError;

use super::{CloseReason, Culprit};

/// Why a subscription did not come about. There is no stream then, and nothing to undo.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// A filter is no topic filter. Nothing was sent.
    #[error("invalid topic filter: {0}")]
    InvalidFilter(#[from] FilterError),
    /// No Local was asked for on a shared subscription (`3.8.3-4`). Nothing was sent.
    #[error("{0}")]
    NoLocalOnShared(#[from] NoLocalOnShared),
    /// A User Property cannot be sent. Nothing was sent.
    #[error("invalid User Property: {0}")]
    InvalidUserProperty(DataTypeError),
    /// The request breaks a limit of the server or of this client. Nothing was sent; or it no longer
    /// fits the connection after the one that it was sent on, and what that may have done is undone.
    #[error("not accepted: {0}")]
    NotAccepted(Rule),
    /// The server refused every filter.
    #[error("the server refused the subscription: {reason_code}")]
    Refused {
        /// Its reason for the first filter.
        reason_code: Received<SubackReasonCode>,
        /// What else it said.
        properties: Option<Box<AckProperties>>,
    },
    /// The server's answer could not be understood. What it may have done is undone.
    #[error("the server's answer to the subscription could not be understood")]
    MalformedAnswer,
    /// The client is closed.
    #[error("the client is closed: {0}")]
    Closed(CloseReason),
}

impl SubscribeError {
    /// Who has to do something about it.
    #[must_use]
    pub fn culprit(&self) -> Culprit {
        match self {
            Self::InvalidFilter(_)
            | Self::NoLocalOnShared(_)
            | Self::InvalidUserProperty(_)
            | Self::NotAccepted(_) => Culprit::Caller,
            Self::Refused { .. } => Culprit::Server,
            Self::MalformedAnswer => Culprit::Peer,
            Self::Closed(reason) => reason.culprit(),
        }
    }
}

/// Why it is not known whether a subscription is gone. The stream has ended all the same.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsubscribeError {
    /// The request breaks a limit of this client. Nothing was sent.
    #[error("not accepted: {0}")]
    NotAccepted(Rule),
    /// The server refused to unsubscribe.
    #[error("the server refused to unsubscribe: {0}")]
    Refused(Received<mqtt5_proto::packet::UnsubackReasonCode>),
    /// The server's answer could not be understood.
    #[error("the server's answer could not be understood")]
    MalformedAnswer,
    /// The client was closed before the answer came.
    #[error("the client is closed: {0}")]
    Closed(CloseReason),
}

/// Why no DISCONNECT reached the transport. The client is closed all the same, but for
/// [`NotAccepted`](Self::NotAccepted).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectError {
    /// A client may not send this. Nothing happened, the client goes on.
    #[error("not accepted: {0}")]
    NotAccepted(Rule),
    /// There was no connection to end.
    #[error("there was no connection")]
    NotConnected,
    /// The connection broke, or the server did not read, before the DISCONNECT was out.
    #[error("the connection broke before the DISCONNECT was sent")]
    NotSent,
    /// The client was closed before, for another reason.
    #[error("the client is closed: {0}")]
    Closed(CloseReason),
}

/// Why a re-authentication did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReauthenticateError {
    /// There is no [`Authenticator`](crate::Authenticator), no connection, or one is running.
    #[error("not accepted: {0}")]
    NotAccepted(Rule),
    /// The authenticator had nothing to say.
    #[error("the authenticator had no answer")]
    NoAnswer,
    /// The connection ended before the server had decided; a failed re-authentication ends it
    /// (`4.12.1-2`).
    #[error("the connection ended")]
    Disconnected,
    /// The client is closed.
    #[error("the client is closed: {0}")]
    Closed(CloseReason),
}

/// What is wrong with [`ClientOptions`](crate::ClientOptions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A string or binary value cannot be sent.
    #[error("invalid {option}: {error}")]
    Invalid {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        error: DataTypeError,
    },
    /// A duration, a size or a count is out of its range.
    #[error("{option} is out of range")]
    OutOfRange {
        /// The option.
        option: &'static str,
    },
    /// A durable session needs a Client Identifier of its own and an expiry above 0.
    #[error("a durable session needs a client identifier and an expiry")]
    DurableSession,
    /// The payload of the Will is not the UTF-8 that its Payload Format Indicator promises (section
    /// 3.1.3.2.3).
    #[error("the payload of the Will is not the UTF-8 that it promises")]
    WillPayloadFormat,
}
