//! Enhanced authentication and re-authentication (section 4.12).

use bytes::Bytes;
use mqtt5_proto::Instant;
use mqtt5_proto::codec::{BinaryData, Frame};
use mqtt5_proto::packet::{
    Auth, AuthProperties, AuthReasonCode, AuthView, Authentication, ConnackReasonCode,
    DisconnectReasonCode, Packet,
};

use super::{Action, Broker, ConnectionId, Handled};
use crate::config::AuthenticationScript;
use crate::connection::{Authenticating, Connection, Phase};

/// What the client's data leads to.
enum Verdict {
    /// The next challenge.
    Continue(Authentication),
    /// The end of the script, with its last data.
    Accepted(Authentication),
    Refused,
}

impl Connection {
    fn begin(&mut self, script: AuthenticationScript, data: Option<&[u8]>) -> Verdict {
        let expected = script.initial.as_deref();
        let accepted = expected.is_none() || expected == data;
        self.authenticating = Some(Authenticating { script, step: 0 });
        if accepted {
            self.challenge(0)
        } else {
            Verdict::Refused
        }
    }

    /// The client has answered a challenge.
    fn answer(&mut self, data: Option<&[u8]>) -> Verdict {
        let Some(running) = &mut self.authenticating else {
            return Verdict::Refused;
        };
        let expected = running.script.steps.get(running.step);
        // An empty answer and none are the same.
        if expected.is_none_or(|step| step.response != data.unwrap_or_default()) {
            return Verdict::Refused;
        }
        running.step += 1;
        let step = running.step;
        self.challenge(step)
    }

    fn challenge(&mut self, step: usize) -> Verdict {
        let Some(running) = &self.authenticating else {
            return Verdict::Refused;
        };
        let script = &running.script;
        let authentication = |data: Option<&Bytes>| Authentication {
            method: script.method.clone(),
            data: data.and_then(|data| BinaryData::new(data.clone()).ok()),
        };
        match script.steps.get(step) {
            Some(step) => Verdict::Continue(authentication(Some(&step.challenge))),
            None => Verdict::Accepted(authentication(script.final_data.as_ref())),
        }
    }

    /// Whether an AUTH names the method of the CONNECT (`4.12.0-5`).
    fn has_method(&self, auth: &AuthView<'_>) -> bool {
        self.method.is_some() && auth.method() == self.method.as_deref()
    }
}

impl Broker {
    /// A CONNECT with an Authentication Method has come.
    pub(super) fn begin_authentication(
        &mut self,
        id: ConnectionId,
        authentication: &Authentication,
        now: Instant,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let script = connection.config.authentication.clone();
        let Some(script) = script.filter(|script| script.method == authentication.method) else {
            return self.refuse_connect(id, ConnackReasonCode::BadAuthenticationMethod, now);
        };
        let data = authentication.data.as_ref().map(AsRef::as_ref);
        let verdict = connection.begin(script, data);
        self.go_on(id, verdict, now);
    }

    /// A packet between CONNECT and CONNACK.
    pub(super) fn on_early_packet(&mut self, id: ConnectionId, packet: &Packet<'_>, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match packet {
            Packet::Disconnect(_) => self.end(id, Action::Close),
            Packet::Auth(auth)
                if auth.reason_code() == AuthReasonCode::ContinueAuthentication
                    && connection.has_method(auth) =>
            {
                let verdict = connection.answer(auth.data());
                self.go_on(id, verdict, now);
            }
            _ => self.refuse_connect(id, ConnackReasonCode::ProtocolError, now),
        }
    }

    fn go_on(&mut self, id: ConnectionId, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Continue(authentication) => {
                self.send_auth(
                    id,
                    AuthReasonCode::ContinueAuthentication,
                    authentication,
                    now,
                );
            }
            Verdict::Refused => self.refuse_connect(id, ConnackReasonCode::NotAuthorized, now),
            Verdict::Accepted(authentication) => {
                let data = authentication.data.map(|data| data.as_bytes().clone());
                if let Some(connect) = self.kept_connect(id) {
                    self.finish_connect(id, &connect, data.as_ref(), now);
                }
            }
        }
    }

    /// The CONNECT whose authentication has ended.
    fn kept_connect(&mut self, id: ConnectionId) -> Option<Frame> {
        let connection = self.connections.get_mut(&id)?;
        connection.authenticating = None;
        match &connection.phase {
            Phase::Authenticating { connect } => Some(connect.clone()),
            _ => None,
        }
    }

    /// An AUTH after CONNACK.
    pub(super) fn on_reauthentication(
        &mut self,
        id: ConnectionId,
        auth: &AuthView<'_>,
        now: Instant,
    ) -> Handled {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        if !connection.has_method(auth) {
            return Err(DisconnectReasonCode::ProtocolError);
        }
        let running = connection.authenticating.is_some();
        let verdict = match auth.reason_code() {
            AuthReasonCode::ReAuthenticate if !running => {
                let config = &connection.config;
                let script = config.reauthentication.as_ref();
                let Some(script) = script.or(config.authentication.as_ref()).cloned() else {
                    return Err(DisconnectReasonCode::ProtocolError);
                };
                connection.begin(script, auth.data())
            }
            AuthReasonCode::ContinueAuthentication if running => connection.answer(auth.data()),
            _ => return Err(DisconnectReasonCode::ProtocolError),
        };
        match verdict {
            Verdict::Continue(authentication) => {
                self.send_auth(
                    id,
                    AuthReasonCode::ContinueAuthentication,
                    authentication,
                    now,
                );
            }
            Verdict::Refused => return Err(DisconnectReasonCode::NotAuthorized),
            Verdict::Accepted(authentication) => {
                connection.authenticating = None;
                self.send_auth(id, AuthReasonCode::Success, authentication, now);
            }
        }
        Ok(())
    }

    fn send_auth(
        &mut self,
        id: ConnectionId,
        reason_code: AuthReasonCode,
        authentication: Authentication,
        now: Instant,
    ) {
        let auth = Auth {
            reason_code,
            authentication,
            properties: AuthProperties::default(),
        };
        self.send(id, &auth, now);
    }
}
