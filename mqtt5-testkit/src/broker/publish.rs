//! The exchanges of QoS 0, 1 and 2 in both directions (section 4.3).

use std::sync::Arc;

use bytes::Bytes;
use mqtt5_proto::codec::Encode;
use mqtt5_proto::packet::{
    AckProperties, ApplicationMessage, Delivery, DisconnectReasonCode, Puback, Pubcomp,
    PublishReasonCode, PublishView, Pubrec, Pubrel, Received, ReleaseReasonCode,
};
use mqtt5_proto::{Instant, PacketId, QoS};

use super::{Broker, ConnectionId, Handled};
use crate::message::Stored;
use crate::session::{Acknowledged, Session};

impl Broker {
    pub(super) fn on_publish(
        &mut self,
        id: ConnectionId,
        publish: &PublishView<'_>,
        now: Instant,
    ) -> Handled {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let properties = publish.properties();
        if properties.subscription_identifiers().next().is_some() {
            return Err(DisconnectReasonCode::ProtocolError);
        }
        let limits = &connection.config.connack;
        let delivery = publish.delivery();
        if delivery.qos() > limits.maximum_qos.unwrap_or(QoS::ExactlyOnce) {
            return Err(DisconnectReasonCode::QoSNotSupported);
        }
        if publish.retain() && limits.retain_available == Some(false) {
            return Err(DisconnectReasonCode::RetainNotSupported);
        }
        let topic = connection.topic(publish.topic(), properties.topic_alias())?;
        if let Some(packet_id) = delivery.packet_id() {
            connection.open(packet_id)?;
        }
        let client_id = Arc::clone(&connection.client_id);
        if self.is_repeated(&client_id, delivery) {
            self.acknowledge(id, delivery, PublishReasonCode::Success, now);
            return Ok(());
        }
        let properties = properties.to_message_properties();
        let message = ApplicationMessage {
            topic,
            payload: Bytes::copy_from_slice(publish.payload()),
            qos: delivery.qos(),
            retain: publish.retain(),
            properties: (!properties.is_empty()).then(|| Box::new(properties)),
        };
        if let Some(reason) = self.refusal(&message) {
            self.acknowledge(id, delivery, reason, now);
            return Ok(());
        }
        if let (Delivery::ExactlyOnce { packet_id, .. }, Some(session)) =
            (delivery, self.sessions.get_mut(&client_id))
        {
            session.incoming.insert(packet_id);
        }
        let matched = self.route(&Stored::new(message, Some(&client_id), now), now);
        let reason = if matched == 0 {
            PublishReasonCode::NoMatchingSubscribers
        } else {
            PublishReasonCode::Success
        };
        self.acknowledge(id, delivery, reason, now);
        Ok(())
    }

    /// Whether this is a QoS 2 message that the broker has already (`4.3.3-10`). A QoS 1 message
    /// with the identifier of one is a new message, and the old one is forgotten.
    fn is_repeated(&mut self, client_id: &str, delivery: Delivery) -> bool {
        let Some(session) = self.sessions.get_mut(client_id) else {
            return false;
        };
        match delivery {
            Delivery::AtMostOnce => false,
            Delivery::AtLeastOnce { packet_id, .. } => {
                session.incoming.remove(&packet_id);
                false
            }
            Delivery::ExactlyOnce { packet_id, .. } => session.incoming.contains(&packet_id),
        }
    }

    /// Why the broker does not take this message, if it does not.
    fn refusal(&self, message: &ApplicationMessage) -> Option<PublishReasonCode> {
        let topic = message.topic.as_str();
        self.refused_topics
            .iter()
            .find(|(filter, _)| filter.matches(topic))
            .map(|(_, reason)| *reason)
            .or_else(|| {
                let fits = message.payload_fits_format();
                (!fits).then_some(PublishReasonCode::PayloadFormatInvalid)
            })
    }

    fn acknowledge(
        &mut self,
        id: ConnectionId,
        delivery: Delivery,
        reason: PublishReasonCode,
        now: Instant,
    ) {
        match delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce { packet_id, .. } => {
                let puback = Puback::new(packet_id, reason);
                self.send_ack(
                    id,
                    puback,
                    |ack, properties| ack.properties = properties,
                    now,
                );
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                let pubrec = Pubrec::new(packet_id, reason);
                self.send_ack(
                    id,
                    pubrec,
                    |ack, properties| ack.properties = properties,
                    now,
                );
            }
        }
    }

    /// Sends an acknowledgement, with the configured properties if the client takes them.
    fn send_ack<A: Encode>(
        &mut self,
        id: ConnectionId,
        mut ack: A,
        set: fn(&mut A, Option<Box<AckProperties>>),
        now: Instant,
    ) {
        if let Some(properties) = self.ack_properties(id) {
            set(&mut ack, Some(Box::new(properties)));
            if !self.fits(id, &ack) {
                set(&mut ack, None);
            }
        }
        self.send(id, &ack, now);
    }

    /// What is to be added to acknowledgements on this connection (`3.1.2-29`).
    pub(super) fn ack_properties(&self, id: ConnectionId) -> Option<AckProperties> {
        let connection = self.connections.get(&id)?;
        let properties = connection.config.ack_properties.clone();
        properties.filter(|_| connection.problem_information)
    }

    /// Whether the client takes packets as large as this.
    pub(super) fn fits(&self, id: ConnectionId, packet: &impl Encode) -> bool {
        self.connections.get(&id).is_some_and(|connection| {
            packet
                .packet_size()
                .is_ok_and(|size| size <= connection.maximum_packet_size)
        })
    }

    /// The session of a connection, and whose it is.
    fn session_of(&mut self, id: ConnectionId) -> Option<(Arc<str>, &mut Session)> {
        let client_id = Arc::clone(&self.connections.get(&id)?.client_id);
        let session = self.sessions.get_mut(&client_id)?;
        Some((client_id, session))
    }

    pub(super) fn on_puback(
        &mut self,
        id: ConnectionId,
        packet_id: PacketId,
        reason: Received<PublishReasonCode>,
        now: Instant,
    ) -> Handled {
        from_client(reason)?;
        let Some((client_id, session)) = self.session_of(id) else {
            return Ok(());
        };
        right_kind(session.puback(packet_id))?;
        self.pump(&client_id, now);
        Ok(())
    }

    pub(super) fn on_pubrec(
        &mut self,
        id: ConnectionId,
        packet_id: PacketId,
        reason: Received<PublishReasonCode>,
        now: Instant,
    ) -> Handled {
        from_client(reason)?;
        let Some((client_id, session)) = self.session_of(id) else {
            return Ok(());
        };
        let release = match session.pubrec(packet_id, reason.is_error()) {
            Acknowledged::Wrong => return Err(DisconnectReasonCode::ProtocolError),
            Acknowledged::Done => ReleaseReasonCode::Success,
            Acknowledged::Unknown => ReleaseReasonCode::PacketIdentifierNotFound,
        };
        if reason.is_error() {
            self.pump(&client_id, now);
        } else {
            let pubrel = Pubrel::new(packet_id, release);
            self.send_ack(
                id,
                pubrel,
                |ack, properties| ack.properties = properties,
                now,
            );
        }
        Ok(())
    }

    pub(super) fn on_pubrel(
        &mut self,
        id: ConnectionId,
        packet_id: PacketId,
        now: Instant,
    ) -> Handled {
        let known = self
            .session_of(id)
            .is_some_and(|(_, session)| session.incoming.remove(&packet_id));
        let reason = if known {
            ReleaseReasonCode::Success
        } else {
            ReleaseReasonCode::PacketIdentifierNotFound
        };
        let pubcomp = Pubcomp::new(packet_id, reason);
        self.send_ack(
            id,
            pubcomp,
            |ack, properties| ack.properties = properties,
            now,
        );
        Ok(())
    }

    pub(super) fn on_pubcomp(
        &mut self,
        id: ConnectionId,
        packet_id: PacketId,
        reason: Received<ReleaseReasonCode>,
        now: Instant,
    ) -> Handled {
        if reason.tabled().is_none() {
            return Err(DisconnectReasonCode::ProtocolError);
        }
        let Some((client_id, session)) = self.session_of(id) else {
            return Ok(());
        };
        right_kind(session.pubcomp(packet_id))?;
        self.pump(&client_id, now);
        Ok(())
    }
}

/// Whether a client may send this code (`3.4.2-1`, `3.5.2-1`).
fn from_client(reason: Received<PublishReasonCode>) -> Handled {
    match reason.tabled() {
        None | Some(PublishReasonCode::NoMatchingSubscribers) => {
            Err(DisconnectReasonCode::ProtocolError)
        }
        Some(_) => Ok(()),
    }
}

fn right_kind(acknowledged: Acknowledged) -> Handled {
    match acknowledged {
        Acknowledged::Done | Acknowledged::Unknown => Ok(()),
        Acknowledged::Wrong => Err(DisconnectReasonCode::ProtocolError),
    }
}
