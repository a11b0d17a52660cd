use std::io;
use std::sync::Arc;

use mqtt5_proto::session::EndReason;

use super::Culprit;

/// Why one connection ended, or did not come about.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Opening the transport, reading or writing failed. What is inside the error, if anything, is
    /// what the transport says of it.
    #[error("{prefix}{0}", prefix = if .0.get_ref().is_some() { "" } else { "network: " })]
    Network(Arc<io::Error>),
    /// Opening the transport took longer than the connect timeout.
    #[error("the server could not be reached in time")]
    TimedOut,
    /// The protocol ended it, by either side.
    #[error("{0}")]
    Ended(Box<EndReason>),
}

impl Failure {
    /// Who has to do something about it.
    ///
    /// With [`Network`](Self::Network) it is the network, unless the transport put an error of its
    /// own inside, whose kind tells: [`InvalidData`](io::ErrorKind::InvalidData) if the other side
    /// broke the transport's protocol or is not whom it should be,
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if it understood and said no,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the caller asked for what cannot be done.
    #[must_use]
    pub fn culprit(&self) -> Culprit {
        match self {
            Self::Network(error) if error.get_ref().is_some() => match error.kind() {
                io::ErrorKind::InvalidData => Culprit::Peer,
                io::ErrorKind::PermissionDenied => Culprit::Server,
                io::ErrorKind::InvalidInput => Culprit::Caller,
                _ => Culprit::Network,
            },
            Self::Network(_) | Self::TimedOut => Culprit::Network,
            Self::Ended(reason) => match **reason {
                EndReason::Requested => Culprit::Nobody,
                EndReason::TransportClosed
                | EndReason::KeepAliveTimeout
                | EndReason::ConnectTimeout => Culprit::Network,
                EndReason::Violation(_) => Culprit::Peer,
                _ => Culprit::Server,
            },
        }
    }

    /// What the protocol says about it, if it was not the network.
    #[must_use]
    pub fn end_reason(&self) -> Option<&EndReason> {
        match self {
            Self::Ended(reason) => Some(reason),
            Self::Network(_) | Self::TimedOut => None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Network(Arc::new(error))
    }
}

/// Why a client is closed for good.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// [`Client::disconnect`](crate::Client::disconnect) was called, or every handle and stream was
    /// dropped.
    #[error("the client was closed")]
    Requested,
    /// The driver, or the runtime that ran it, was dropped.
    #[error("the driver of the client was dropped")]
    DriverDropped,
    /// The connection ended in a way that another attempt cannot mend; or the first attempt failed
    /// and [`retry_first_connect`](crate::ClientOptions::retry_first_connect) is off.
    #[error("{0}")]
    Final(Failure),
    /// As many attempts failed as the policy allows.
    #[error("gave up after {attempts} failed attempts to connect; the last one: {last}")]
    GaveUp {
        /// How many attempts failed in a row.
        attempts: u32,
        /// What the last one failed by.
        last: Failure,
    },
    /// Three resumed connections in a row ended by an error at the same packet, and the policy says
    /// [`LoopGuard::Stop`](crate::LoopGuard::Stop).
    #[error("the session ends its connections again and again: {0}")]
    LoopGuard(Failure),
    /// The [`Authenticator`](crate::Authenticator) had no answer to a challenge.
    #[error("the authenticator had no answer to the server's challenge")]
    Authentication,
}

impl CloseReason {
    /// Who has to do something about it.
    #[must_use]
    pub fn culprit(&self) -> Culprit {
        match self {
            Self::Requested => Culprit::Nobody,
            Self::DriverDropped | Self::Authentication => Culprit::Caller,
            Self::Final(failure) | Self::LoopGuard(failure) => failure.culprit(),
            Self::GaveUp { last, .. } => last.culprit(),
        }
    }

    /// How the last connection failed, if one did.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Final(failure) | Self::LoopGuard(failure) => Some(failure),
            Self::GaveUp { last, .. } => Some(last),
            Self::Requested | Self::DriverDropped | Self::Authentication => None,
        }
    }
}
