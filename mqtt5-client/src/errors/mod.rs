//! Errors: who is at fault, and what is handed back.

mod close;
mod publish;
mod request;

pub use close::{CloseReason, Failure};
pub use publish::PublishError;
pub(crate) use publish::published;
pub use request::{
    DisconnectError, OptionsError, ReauthenticateError, SubscribeError, UnsubscribeError,
};

/// Who has to do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Culprit {
    /// The caller asked for what cannot be done. Nothing happened; ask for something else.
    Caller,
    /// The server understood and said no: its reason code tells why.
    Server,
    /// The server broke the protocol.
    Peer,
    /// The network, or a server that is not there. Trying again may help.
    Network,
    /// Nobody: the client was told to end.
    Nobody,
}
