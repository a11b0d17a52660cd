//! What comes in, packet by packet (section 4 and the tables of section 3).

use alloc::boxed::Box;

use bytes::BytesMut;

use super::answers::owned;
use super::connection::Connection;
use super::exchange::ToSender;
use super::inbound::{Answer, InboundLimit, Reception};
use super::{EndReason, Event, Message, Phase, Session, Warning};
use crate::codec::{DecodeError, Decoder, FixedHeader, Violation, has_wildcard};
use crate::packet::{
    AckPropertiesView, DisconnectView, Packet, PacketId, PacketType, PublishReasonCode, QoS,
    ReceivedPublish,
};
use crate::time::Instant;

/// Input rests while this many events wait to be taken.
const MAX_EVENTS: usize = 256;

/// Input rests while this many bytes of answers wait to be polled: a peer that sends and does not
/// read gets no more.
const MAX_CONTROL: usize = 64 << 10;

/// What input needs before it can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputStatus {
    /// More bytes: at least `missing` of them before the next packet can be whole.
    NeedMore {
        /// How many bytes, as far as can be told.
        missing: usize,
    },
    /// Room for events: take them with [`poll_event`](Session::poll_event), then call again with
    /// the same buffer.
    EventsWaiting,
    /// Room for answers: send what [`poll_transmit`](Session::poll_transmit) gives, then call
    /// again with the same buffer.
    OutputFull,
    /// Nothing: there is no connection, or it is being closed. The buffer was emptied.
    Closed,
}

impl Session {
    /// Bytes came in. Takes whole packets from the front of `input` and leaves what is not whole.
    ///
    /// Handles a bounded number of packets and stops while their events wait to be taken.
    pub fn handle_input(&mut self, input: &mut BytesMut, now: Instant) -> InputStatus {
        self.note_received(input, now);
        let status = loop {
            self.take_plain_acks(input);
            if let Some(status) = self.rests() {
                break status;
            }
            let Some(connection) = &mut self.connection else {
                break InputStatus::Closed;
            };
            connection.last_packet = None;
            match connection.decoder.header(input) {
                Ok(Some(header)) if header.packet_size() <= input.len() => {
                    if let Err(error) = self.handle_packet(header, input) {
                        self.close_for(error);
                    }
                }
                Ok(header) => {
                    let missing = Decoder::lacks(header, input);
                    break InputStatus::NeedMore { missing };
                }
                Err(error) => self.close_for(error),
            }
        };
        if status == InputStatus::Closed {
            input.clear();
        }
        if let Some(connection) = &mut self.connection {
            connection.input_left = input.len();
        }
        status
    }

    /// Why no packet may be taken now.
    #[inline]
    fn rests(&self) -> Option<InputStatus> {
        match &self.connection {
            Some(connection) if connection.phase != Phase::Closing => self.lacks_room(connection),
            _ => Some(InputStatus::Closed),
        }
    }

    /// What has to be taken before another packet may be.
    #[inline]
    fn lacks_room(&self, connection: &Connection) -> Option<InputStatus> {
        if self.events.len() >= MAX_EVENTS {
            Some(InputStatus::EventsWaiting)
        } else if connection.control.len() >= MAX_CONTROL {
            Some(InputStatus::OutputFull)
        } else {
            None
        }
    }

    /// Takes the acknowledgements from the front of `input` that are as short as most are. They
    /// are passed over together.
    #[inline]
    fn take_plain_acks(&mut self, input: &mut BytesMut) {
        let mut taken = 0;
        while let Some((packet_type, packet_id)) = plain_ack(input.get(taken..).unwrap_or_default())
            && self.takes_plain_ack()
        {
            self.handle_plain_ack(packet_type, packet_id);
            taken += PLAIN_ACK;
        }
        if taken > 0
            && let Some(connection) = &mut self.connection
        {
            connection.decoder.skip(input, taken);
        }
    }

    /// Whether nothing speaks against an acknowledgement now. Its size does not: a limit that were
    /// too low for it would not have let the CONNACK in.
    #[inline]
    fn takes_plain_ack(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            connection.phase == Phase::Connected && self.lacks_room(connection).is_none()
        })
    }

    fn note_received(&mut self, input: &BytesMut, now: Instant) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if input.len() > connection.input_left
            && let Some(keep_alive) = &mut connection.keep_alive
            && keep_alive.awaits_answer()
        {
            let mid_packet = connection
                .decoder
                .missing(input)
                .is_ok_and(|missing| missing > 0);
            keep_alive.handle_received(mid_packet, now);
        }
    }

    fn close_for(&mut self, error: DecodeError) {
        if let Some(connection) = &mut self.connection {
            if connection.last_packet.is_none() {
                connection.last_packet = error.packet.map(|packet| (packet, None));
            }
            connection.close_for(error);
        }
    }

    pub(super) fn violation(&mut self, packet: PacketType, violation: Violation) {
        self.close_for(DecodeError {
            violation,
            packet: Some(packet),
            offset: 0,
        });
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.events.push(Event::Warning(warning));
    }

    pub(super) fn note_packet(&mut self, packet: PacketType, packet_id: Option<PacketId>) {
        if let Some(connection) = &mut self.connection {
            connection.last_packet = Some((packet, packet_id));
        }
    }

    /// Takes the packet at the start of `input`, which is whole.
    #[inline]
    fn handle_packet(
        &mut self,
        header: FixedHeader,
        input: &mut BytesMut,
    ) -> Result<(), DecodeError> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let (packet_type, size) = (header.packet_type(), header.packet_size());
        if connection.polled == 0 {
            // Whoever speaks before the CONNECT does not answer it.
            return Err(DecodeError {
                violation: Violation::UnexpectedPacket,
                packet: Some(packet_type),
                offset: 0,
            });
        }
        let connected = connection.phase == Phase::Connected;
        if packet_type == PacketType::Publish {
            let taken = ReceivedPublish::take(input, header, &mut connection.decoder)?;
            let Some(publish) = taken else {
                return Ok(());
            };
            self.note_packet(PacketType::Publish, publish.delivery().packet_id());
            if connected {
                self.handle_publish(publish);
            } else {
                self.violation(PacketType::Publish, Violation::UnexpectedPacket);
            }
            return Ok(());
        }
        let packet = input.get(..size).unwrap_or_default();
        self.handle_other(Packet::parse(packet)?, connected);
        if let Some(connection) = &mut self.connection {
            connection.decoder.skip(input, size);
        }
        Ok(())
    }

    // Apart from the usual packets, which would pay for its room on the stack.
    #[inline(never)]
    fn handle_other(&mut self, packet: Packet<'_>, connected: bool) {
        self.note_packet(packet.packet_type(), packet_id(&packet));
        match packet {
            Packet::Connack(connack) if !connected => self.handle_connack(&connack),
            Packet::Auth(auth) => self.handle_auth(&auth, connected),
            Packet::Disconnect(disconnect) => self.handle_disconnect(&disconnect),
            Packet::Puback(ack) if connected => {
                let answer = Some((ack.reason_code(), owned(ack.properties())));
                if self.may_explain(PacketType::Puback, ack.properties()) {
                    self.handle_ack(ack.packet_id(), ToSender::Puback, answer, None);
                }
            }
            Packet::Pubrec(ack) if connected => {
                let answer = Some((ack.reason_code(), owned(ack.properties())));
                let kind = if ack.reason_code().is_error() {
                    ToSender::PubrecFailure
                } else {
                    ToSender::Pubrec
                };
                if self.may_explain(PacketType::Pubrec, ack.properties()) {
                    self.handle_ack(ack.packet_id(), kind, answer, None);
                }
            }
            Packet::Pubcomp(ack) if connected => {
                if self.may_explain(PacketType::Pubcomp, ack.properties()) {
                    let code = Some(ack.reason_code());
                    self.handle_ack(ack.packet_id(), ToSender::Pubcomp, None, code);
                }
            }
            Packet::Pubrel(release) if connected => {
                if self.may_explain(PacketType::Pubrel, release.properties()) {
                    self.handle_pubrel(release.packet_id());
                }
            }
            Packet::Suback(suback) if connected => self.handle_suback(&suback),
            Packet::Unsuback(unsuback) if connected => self.handle_unsuback(&unsuback),
            Packet::Pingresp(_) if connected => {
                if let Some(keep_alive) =
                    self.connection.as_mut().and_then(|c| c.keep_alive.as_mut())
                {
                    keep_alive.handle_answer();
                }
            }
            other => self.violation(other.packet_type(), Violation::UnexpectedPacket),
        }
    }

    /// Whether an answer may carry what it carries: nothing but its code if we asked for no
    /// problem information (`3.1.2-29`).
    pub(super) fn may_explain(
        &mut self,
        packet: PacketType,
        properties: AckPropertiesView<'_>,
    ) -> bool {
        let asked = self
            .connection
            .as_ref()
            .is_none_or(|c| c.problem_information);
        if asked || properties.is_empty() {
            return true;
        }
        self.violation(packet, Violation::UnrequestedProblemInformation);
        false
    }

    #[inline]
    fn handle_publish(&mut self, publish: ReceivedPublish) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut message = Message {
            publish,
            aliased_topic: None,
            token: None,
        };
        let publish = &message.publish;
        let (mut odd_format, mut odd_response) = (false, false);
        if publish.has_properties() {
            let properties = publish.properties();
            if let Some(alias) = properties.topic_alias() {
                match connection.resolve_alias(alias, publish.topic()) {
                    Ok(topic) => message.aliased_topic = topic,
                    Err(violation) => return self.violation(PacketType::Publish, violation),
                }
            }
            odd_format = properties.has_odd_payload_format();
            odd_response = properties.has_odd_response_topic();
        }
        let poisoned = has_wildcard(message.topic_bytes());
        message.token = match publish.delivery().qos() {
            QoS::AtMostOnce => None,
            _ => {
                let limit = InboundLimit {
                    messages: connection.receive_maximum,
                    excess: self.config.receive_excess,
                };
                let (delivery, size) = (publish.delivery(), publish.packet_size());
                match self.inbound.handle_publish(delivery, size, limit) {
                    Reception::Deliver { token, stale } => {
                        if stale {
                            self.warn(Warning::PacketIdReused(token.packet_id));
                        }
                        if self.inbound.tells_excess() {
                            self.warn(Warning::ReceiveMaximumExceeded);
                        }
                        Some(token)
                    }
                    Reception::Repeated => {
                        self.flush_answers();
                        return self.tell_stalls();
                    }
                    Reception::ReceiveMaximumExceeded => {
                        let violation = Violation::ReceiveMaximumExceeded;
                        return self.violation(PacketType::Publish, violation);
                    }
                }
            }
        };
        if poisoned {
            self.warn(Warning::WildcardInTopic);
            if let Some(token) = message.token {
                let answer = Answer::new(PublishReasonCode::TopicNameInvalid);
                let _ = self.inbound.answer(token, answer);
                self.flush_answers();
            }
            return;
        }
        if odd_format {
            self.warn(Warning::PayloadFormatIndicator);
        }
        if odd_response {
            self.warn(Warning::ResponseTopic);
        }
        let owed = message.token.is_some();
        self.events.push(Event::Message(message));
        if owed {
            self.tell_stalls();
        }
    }

    /// Writes the acknowledgements whose turn it is.
    pub(super) fn flush_answers(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if connection.phase == Phase::Connected {
            let limit = connection.packet_limit;
            self.inbound.flush(limit, &mut connection.control);
        }
    }

    #[inline]
    pub(super) fn tell_stalls(&mut self) {
        if self.inbound.may_stall() {
            self.look_for_stalls();
        }
    }

    fn look_for_stalls(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        let threshold = (connection.receive_maximum / 2).max(2);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            if let Some((first, waiting)) = self.inbound.stall(qos, threshold) {
                self.events.push(Event::AcksStalled {
                    qos,
                    first,
                    waiting,
                });
            }
        }
    }

    pub(super) fn handle_pubrel(&mut self, packet_id: PacketId) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let early = self.inbound.handle_pubrel(
            packet_id,
            connection.resumed.then_some(connection.receive_maximum),
            connection.packet_limit,
            &mut connection.control,
        );
        if early {
            self.warn(Warning::ReleasedEarly(packet_id));
            // The message that was released may have been the one that held up others.
            self.flush_answers();
        }
    }

    fn handle_disconnect(&mut self, disconnect: &DisconnectView<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut properties = disconnect.properties().to_owned();
        // Illegal from a server (`3.14.2-2`); ignored rather than answered.
        properties.session_expiry_interval = None;
        let reason_code = disconnect.reason_code();
        let properties = Box::new(properties);
        connection.close_silently(EndReason::ServerDisconnected {
            reason_code,
            properties,
        });
    }
}

/// The size of an acknowledgement that says only that all went well.
const PLAIN_ACK: usize = 4;

/// The PUBACK, PUBREC, PUBREL or PUBCOMP at the start of `input`, if it is as short as most are: all
/// went well, and there is nothing to add.
#[inline]
fn plain_ack(input: &[u8]) -> Option<(PacketType, PacketId)> {
    let (packet_type, high, low) = match *input {
        [0x40, 2, high, low, ..] => (PacketType::Puback, high, low),
        [0x50, 2, high, low, ..] => (PacketType::Pubrec, high, low),
        [0x62, 2, high, low, ..] => (PacketType::Pubrel, high, low),
        [0x70, 2, high, low, ..] => (PacketType::Pubcomp, high, low),
        _ => return None,
    };
    Some((packet_type, PacketId::new(u16::from_be_bytes([high, low]))?))
}

fn packet_id(packet: &Packet<'_>) -> Option<PacketId> {
    match packet {
        Packet::Puback(ack) => Some(ack.packet_id()),
        Packet::Pubrec(ack) => Some(ack.packet_id()),
        Packet::Pubrel(ack) => Some(ack.packet_id()),
        Packet::Pubcomp(ack) => Some(ack.packet_id()),
        Packet::Suback(ack) => Some(ack.packet_id()),
        Packet::Unsuback(ack) => Some(ack.packet_id()),
        _ => None,
    }
}
