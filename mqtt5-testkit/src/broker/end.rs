//! Ends: of connections, of sessions, of patience.

use std::sync::Arc;

use mqtt5_proto::Instant;
use mqtt5_proto::packet::{ApplicationMessage, DisconnectReasonCode, DisconnectView, Role, Will};

use super::{Action, Broker, ConnectionId, Handled};
use crate::connection::{Connection, Phase};
use crate::message::Stored;
use crate::session::Session;

impl Broker {
    /// The client has closed the connection, or the network has failed.
    pub fn connection_closed(&mut self, id: ConnectionId, now: Instant) {
        self.close_connection(id, now);
        self.settle(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let connections = self.connections.values();
        let sessions = self.sessions.values();
        connections
            .filter_map(Connection::deadline)
            .chain(sessions.filter_map(Session::deadline))
            .chain(self.delayed.keys().map(|(due, _)| *due).take(1))
            .min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            let waiting = entry.remove();
            self.release(waiting, now);
        }
        let silent: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.deadline().is_some_and(|due| due <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            self.disconnect_with(id, DisconnectReasonCode::KeepAliveTimeout, now);
        }
        self.settle(now);
        self.expire(now);
        self.settle(now);
    }

    /// Publishes the Wills and ends the sessions that are due.
    pub(super) fn expire(&mut self, now: Instant) {
        let due: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.deadline().is_some_and(|due| due <= now))
            .map(|(client_id, _)| Arc::clone(client_id))
            .collect();
        for client_id in due {
            self.expire_session(&client_id, now);
        }
    }

    fn expire_session(&mut self, client_id: &Arc<str>, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let Some(session) = self.sessions.get_mut(client_id) else {
            return;
        };
        if is_due(session.will_at) {
            session.will_at = None;
            if let Some(will) = session.will.take() {
                self.publish_will(client_id, *will, now);
            }
        }
        if self
            .sessions
            .get(client_id)
            .is_some_and(|session| is_due(session.expires_at))
        {
            self.end_session(client_id, now);
        }
    }

    /// Drops a session; a Will that still waited is published (section 3.1.2.5).
    pub(super) fn end_session(&mut self, client_id: &Arc<str>, now: Instant) {
        if let Some(session) = self.sessions.remove(client_id)
            && session.will_at.is_some()
            && let Some(will) = session.will
        {
            self.publish_will(client_id, *will, now);
        }
    }

    fn publish_will(&mut self, client_id: &Arc<str>, will: Will, now: Instant) {
        let message = ApplicationMessage {
            topic: will.topic,
            payload: will.payload.as_bytes().clone(),
            qos: will.qos,
            retain: will.retain,
            properties: (!will.properties.is_empty()).then(|| Box::new(will.properties)),
        };
        self.route(&Stored::new(message, Some(client_id), now), now);
    }

    /// Tells the driver to end a connection. The broker's own part follows in
    /// [`settle`](Self::settle), so that nothing is pulled away from under a packet's handling.
    pub(super) fn end(&mut self, id: ConnectionId, action: Action) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !connection.has_ended()
        {
            connection.phase = Phase::Ended;
            self.output.push_back((id, action));
        }
    }

    /// Forgets the connections that have ended. A Will that this sets free may end others.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(id) = self
            .connections
            .iter()
            .find(|(_, connection)| connection.has_ended())
            .map(|(id, _)| *id)
        {
            self.close_connection(id, now);
        }
    }

    /// Forgets a connection, and starts the clocks of its session.
    pub(super) fn close_connection(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.held.retain(|waiting| waiting.connection != id);
        self.delayed.retain(|_, waiting| waiting.connection != id);
        self.faults.forget(id);
        let client_id = connection.client_id;
        if let Some(session) = self.sessions.get_mut(&client_id)
            && session.connection == Some(id)
        {
            session.detach(now);
            self.expire_session(&client_id, now);
        }
    }

    pub(super) fn on_disconnect(
        &mut self,
        id: ConnectionId,
        disconnect: &DisconnectView<'_>,
    ) -> Handled {
        let reason = disconnect.reason_code().tabled();
        let Some(reason) = reason.filter(|reason| reason.may_send(Role::Client)) else {
            return Err(DisconnectReasonCode::ProtocolError);
        };
        let properties = disconnect.properties();
        if properties.server_reference().is_some() {
            return Err(DisconnectReasonCode::ProtocolError);
        }
        let Some(connection) = self.connections.get(&id) else {
            return Ok(());
        };
        if let Some(session) = self.sessions.get_mut(&connection.client_id) {
            if let Some(expiry) = properties.session_expiry_interval() {
                if connection.asked_expiry == 0 && expiry != 0 {
                    return Err(DisconnectReasonCode::ProtocolError);
                }
                session.expiry = expiry;
            }
            if reason == DisconnectReasonCode::NormalDisconnection {
                session.will = None;
            }
        }
        self.end(id, Action::Close);
        Ok(())
    }
}
