//! Enhanced authentication (section 4.12): at connect, and again on a running connection.

use alloc::boxed::Box;

use super::connection::AuthState;
use super::{Challenge, Event, Phase, Refused, Rule, Session};
use crate::codec::{BinaryData, Encode, Violation};
use crate::packet::{
    Auth, AuthProperties, AuthReasonCode, AuthView, Authentication, PacketType, UserProperty,
};

impl Session {
    /// Answers a [`Challenge`], or begins a re-authentication (section 4.12).
    ///
    /// # Errors
    /// [`Refused`], with the data, if no authentication was agreed on or it is the server's turn,
    /// or the packet would be larger than the server takes.
    pub fn authenticate(
        &mut self,
        data: Option<BinaryData>,
    ) -> Result<(), Refused<Option<BinaryData>>> {
        match self.put_auth(data.clone()) {
            Ok(()) => Ok(()),
            Err(rule) => Err(Refused { rule, given: data }),
        }
    }

    fn put_auth(&mut self, data: Option<BinaryData>) -> Result<(), Rule> {
        let connection = self.connection.as_mut().ok_or(Rule::NotConnected)?;
        let method = connection.asked.authentication_method.clone();
        let method = method.ok_or(Rule::Authentication)?;
        let reason_code = match (connection.auth, connection.phase) {
            (_, Phase::Closing) => return Err(Rule::Closing),
            (AuthState::AwaitApplication, _) => AuthReasonCode::ContinueAuthentication,
            (AuthState::Done, Phase::Connected) => AuthReasonCode::ReAuthenticate,
            _ => return Err(Rule::Authentication),
        };
        let authentication = Authentication { method, data };
        let properties = AuthProperties::default();
        let packet = Auth {
            reason_code,
            authentication,
            properties,
        };
        let (size, limit) = (packet.packet_size()?, connection.packet_limit);
        if size > limit {
            return Err(Rule::MaximumPacketSize { size, limit });
        }
        packet.encode(&mut connection.control)?;
        connection.auth = AuthState::AwaitServer;
        Ok(())
    }

    pub(super) fn handle_auth(&mut self, auth: &AuthView<'_>, connected: bool) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let asked = &connection.asked.authentication_method;
        let violation = match (auth.method(), asked) {
            _ if connection.auth == AuthState::None => Some(Violation::UnexpectedPacket),
            (None, _) => Some(Violation::AuthenticationMethodMissing),
            (Some(method), asked) if asked.as_ref().is_none_or(|asked| *asked != method) => {
                Some(Violation::AuthenticationMethodMismatch)
            }
            _ if connection.auth != AuthState::AwaitServer => Some(Violation::UnexpectedPacket),
            _ => match auth.reason_code() {
                AuthReasonCode::ContinueAuthentication => None,
                AuthReasonCode::Success if connected => None,
                AuthReasonCode::Success => Some(Violation::UnexpectedPacket),
                code => Some(Violation::ReasonCode(code.raw())),
            },
        };
        let explained = auth.properties().reason_string().is_some()
            || auth.properties().user_properties().next().is_some();
        let violation = violation.or((!connection.problem_information && explained)
            .then_some(Violation::UnrequestedProblemInformation));
        if let Some(violation) = violation {
            return self.violation(PacketType::Auth, violation);
        }
        let challenge = Box::new(Challenge {
            data: auth.data().and_then(|data| data.try_into().ok()),
            properties: AuthProperties {
                reason_string: auth
                    .properties()
                    .reason_string()
                    .and_then(|s| s.try_into().ok()),
                user_properties: auth
                    .properties()
                    .user_properties()
                    .filter_map(|(name, value)| UserProperty::new(name, value).ok())
                    .collect(),
            },
        });
        if auth.reason_code() == AuthReasonCode::Success {
            connection.auth = AuthState::Done;
            self.events.push(Event::Reauthenticated(challenge));
        } else {
            connection.auth = AuthState::AwaitApplication;
            self.events.push(Event::Challenge(challenge));
        }
    }
}
