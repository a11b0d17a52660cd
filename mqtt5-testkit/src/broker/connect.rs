//! CONNECT and its answer (sections 3.1 and 3.2).

use std::sync::Arc;

use bytes::Bytes;
use mqtt5_proto::codec::{BinaryData, Encode, Frame, Utf8String};
use mqtt5_proto::packet::{
    Connack, ConnackReasonCode, ConnectView, DisconnectReasonCode, Packet, PayloadFormatIndicator,
    Pubrel, ReleaseReasonCode, Will,
};
use mqtt5_proto::{Instant, QoS};

use super::{Action, Broker, ConnectionId};
use crate::config::Config;
use crate::connection::Phase;

impl Broker {
    pub(super) fn on_connect(
        &mut self,
        id: ConnectionId,
        connect: &ConnectView<'_>,
        frame: &Frame,
        now: Instant,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.set_limits(connect);
        connection.client_id = Arc::from(connect.client_id());
        if let Some(reason) = refusal(&connection.config, connect) {
            return self.refuse_connect(id, reason, now);
        }
        match connect.authentication() {
            None => self.accept_connect(id, connect, None, now),
            Some(authentication) => {
                connection.phase = Phase::Authenticating {
                    connect: frame.detach(),
                };
                self.begin_authentication(id, &authentication, now);
            }
        }
    }

    /// Answers the CONNECT with a failure and closes.
    pub(super) fn refuse_connect(
        &mut self,
        id: ConnectionId,
        reason: ConnackReasonCode,
        now: Instant,
    ) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let configured = &connection.config.connack;
        let mut connack = Connack {
            reason_code: reason,
            ..Connack::default()
        };
        connack.properties.reason_string = configured.reason_string.clone();
        connack.properties.user_properties = configured.user_properties.clone();
        connack.properties.server_reference = configured.server_reference.clone();
        trim(&mut connack, connection.maximum_packet_size);
        self.send(id, &connack, now);
        self.end(id, Action::Close);
    }

    /// The authentication of a kept CONNECT has succeeded.
    pub(super) fn finish_connect(
        &mut self,
        id: ConnectionId,
        connect: &Frame,
        data: Option<&Bytes>,
        now: Instant,
    ) {
        if let Ok(Packet::Connect(connect)) = Packet::parse(connect.as_slice()) {
            self.accept_connect(id, &connect, data, now);
        }
    }

    fn accept_connect(
        &mut self,
        id: ConnectionId,
        connect: &ConnectView<'_>,
        authentication_data: Option<&Bytes>,
        now: Instant,
    ) {
        self.expire(now);
        let Some(config) = self.connections.get(&id).map(|c| Arc::clone(&c.config)) else {
            return;
        };
        let (client_id, assigned) = self.client_id(connect, &config);
        self.take_over(&client_id, id, now);
        if connect.clean_start() {
            self.end_session(&client_id, now);
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.client_id = Arc::clone(&client_id);
        connection.phase = Phase::Running;
        let mut properties = config.connack.clone();
        let keep_alive = properties.server_keep_alive;
        connection.set_keep_alive(keep_alive.unwrap_or_else(|| connect.keep_alive()));
        properties.assigned_client_identifier = assigned;
        if connect.properties().request_response_information() != Some(true) {
            properties.response_information = None;
        }
        let method = connection.method.as_deref();
        properties.authentication_method = method.and_then(|method| Utf8String::new(method).ok());
        properties.authentication_data =
            authentication_data.and_then(|data| BinaryData::new(data.clone()).ok());
        let expiry = properties.session_expiry_interval;
        let expiry = expiry.unwrap_or(connection.asked_expiry);
        let limit = connection.maximum_packet_size;

        let session_present = self.sessions.contains_key(&client_id);
        let session = self.sessions.entry(Arc::clone(&client_id)).or_default();
        let will = connect.will().and_then(|will| will.to_will());
        let released = session.attach(id, expiry, will.map(Box::<Will>::new));
        let mut connack = Connack {
            session_present,
            reason_code: ConnackReasonCode::Success,
            properties,
        };
        trim(&mut connack, limit);
        self.send(id, &connack, now);
        for packet_id in released {
            self.send(id, &Pubrel::new(packet_id, ReleaseReasonCode::Success), now);
        }
        self.pump(&client_id, now);
    }

    /// The identifier of the client, and the same again if it was the broker that chose it.
    fn client_id(
        &mut self,
        connect: &ConnectView<'_>,
        config: &Config,
    ) -> (Arc<str>, Option<Utf8String>) {
        if !connect.client_id().is_empty() {
            return (Arc::from(connect.client_id()), None);
        }
        let assigned = match &config.connack.assigned_client_identifier {
            Some(assigned) => assigned.clone(),
            None => {
                self.last_assigned += 1;
                // Too short and plain to be refused.
                Utf8String::new(&format!("assigned-{}", self.last_assigned)).unwrap_or_default()
            }
        };
        (Arc::from(assigned.as_str()), Some(assigned))
    }

    /// Ends an older connection of the same client (`3.1.4-3`).
    fn take_over(&mut self, client_id: &Arc<str>, newer: ConnectionId, now: Instant) {
        let older = self.sessions.get(client_id).and_then(|s| s.connection);
        if let Some(older) = older
            && older != newer
        {
            self.disconnect_with(older, DisconnectReasonCode::SessionTakenOver, now);
            self.close_connection(older, now);
        }
    }
}

/// Why this CONNECT is refused, if it is.
fn refusal(config: &Config, connect: &ConnectView<'_>) -> Option<ConnackReasonCode> {
    if config.refuse.is_some() {
        return config.refuse;
    }
    if !config
        .credentials
        .accept(connect.user_name(), connect.password())
    {
        return Some(ConnackReasonCode::BadUserNameOrPassword);
    }
    let will = connect.will()?;
    let limits = &config.connack;
    if will.qos() > limits.maximum_qos.unwrap_or(QoS::ExactlyOnce) {
        Some(ConnackReasonCode::QoSNotSupported)
    } else if will.retain() && limits.retain_available == Some(false) {
        Some(ConnackReasonCode::RetainNotSupported)
    } else if will.properties().payload_format_indicator() == Some(PayloadFormatIndicator::Utf8)
        && std::str::from_utf8(will.payload()).is_err()
    {
        Some(ConnackReasonCode::PayloadFormatInvalid)
    } else {
        None
    }
}

/// Leaves out what may not make the packet too large (`3.2.2-19`, `3.2.2-20`).
fn trim(connack: &mut Connack, limit: usize) {
    let fits = |connack: &Connack| connack.packet_size().is_ok_and(|size| size <= limit);
    if !fits(connack) {
        connack.properties.user_properties.clear();
    }
    if !fits(connack) {
        connack.properties.reason_string = None;
    }
}
