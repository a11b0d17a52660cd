use mqtt5_proto::codec::BinaryData;
use mqtt5_proto::session::Challenge;

/// Answers the challenges of an enhanced authentication (section 4.12).
///
/// Called by the driver, between two looks at the connection and outside of all locks: it may take
/// its time, but must not block on something that the client is to do.
pub trait Authenticator: Send {
    /// Begins: with every connection, and with every re-authentication. Returns the Authentication
    /// Data of the CONNECT or of the AUTH 0x19, if the method wants any.
    fn begin(&mut self) -> Option<BinaryData>;

    /// Answers a challenge with the Authentication Data of the next AUTH.
    ///
    /// # Errors
    /// [`NoAnswer`] gives up: the connection is ended, and the client with it
    /// ([`CloseReason::Authentication`](crate::CloseReason::Authentication)).
    fn respond(&mut self, challenge: &Challenge) -> Result<Option<BinaryData>, NoAnswer>;

    /// Looks at what the server sent with its final yes: some methods authenticate the server too.
    /// Unless overridden, takes anything.
    ///
    /// # Errors
    /// [`NoAnswer`] as with [`respond`](Self::respond).
    fn verify(&mut self, data: Option<&BinaryData>) -> Result<(), NoAnswer> {
        let _ = data;
        Ok(())
    }
}

/// The [`Authenticator`] has no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("no answer to the challenge")]
pub struct NoAnswer;
