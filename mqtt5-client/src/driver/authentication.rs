//! Enhanced authentication (section 4.12), outside of the lock: the authenticator is foreign code.

use mqtt5_proto::packet::{Disconnect, DisconnectReasonCode};

use super::{Driver, Stage};
use crate::authentication::NoAnswer;
use crate::errors::{CloseReason, ReauthenticateError};
use crate::shared::{AuthStep, Trust};
use crate::transport::{Connect, Timer};

impl<C: Connect, T: Timer> Driver<C, T> {
    pub(super) fn authenticate(&mut self) {
        while let Some(step) = self.shared.run(|core| core.auth_steps.pop_front()) {
            if self.authenticate_step(&step).is_err() {
                self.give_up();
                return;
            }
        }
    }

    fn authenticate_step(&mut self, step: &AuthStep) -> Result<(), NoAnswer> {
        let authenticator = self.authenticator.as_mut().ok_or(NoAnswer)?;
        let data = match step {
            AuthStep::Begin => authenticator.begin(),
            AuthStep::Challenge(challenge) => authenticator.respond(challenge)?,
            // The server's yes counts only if the authenticator believes it.
            AuthStep::Succeeded(data) => {
                authenticator.verify(data.as_ref())?;
                self.shared.command(|core, _| core.trust_server());
                return Ok(());
            }
            AuthStep::Reauthenticated(data) => {
                authenticator.verify(data.as_ref())?;
                self.shared.run(|core| core.finish_reauthentication(Ok(())));
                return Ok(());
            }
        };
        self.shared.command(|core, _| {
            if let Err(refused) = core.session.authenticate(data) {
                let error = ReauthenticateError::NotAccepted(refused.rule);
                core.finish_reauthentication(Err(error));
            }
        });
        Ok(())
    }

    /// Ends the connection, and the client with it.
    fn give_up(&mut self) {
        self.shared.command(|core, _| {
            core.finish_reauthentication(Err(ReauthenticateError::NoAnswer));
            let reason = DisconnectReasonCode::UnspecifiedError;
            // Fails only if the connection is ending already.
            let _ = core.session.disconnect(Disconnect::new(reason));
            core.trust = Trust::Denied;
        });
        if let Stage::Open(connection) = &mut self.stage {
            connection.unauthenticated = true;
        }
    }

    /// Why the client is closed, if that is for want of an answer.
    pub(super) fn authentication_failure(&self) -> Option<CloseReason> {
        match &self.stage {
            Stage::Open(connection) if connection.unauthenticated => {
                Some(CloseReason::Authentication)
            }
            _ => None,
        }
    }
}
