//! The way of a packet out: faults, holding back, counting, cutting into pieces.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mqtt5_proto::Instant;
use mqtt5_proto::codec::{Encode, FixedHeader, Frame};
use mqtt5_proto::packet::{Disconnect, DisconnectReasonCode, PacketType};

use super::{Action, Broker, ConnectionId};
use crate::fault::{Ending, Fate};
use crate::trace::{Direction, Record};

/// A packet that is held back.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) connection: ConnectionId,
    packet: Held,
}

#[derive(Debug)]
enum Held {
    Received(Frame),
    Sent(Bytes),
}

impl Waiting {
    pub(super) const fn received(connection: ConnectionId, frame: Frame) -> Self {
        let packet = Held::Received(frame);
        Self { connection, packet }
    }
}

impl Broker {
    /// Sends a packet, which the faults may stop.
    pub(super) fn send(&mut self, id: ConnectionId, packet: &impl Encode, now: Instant) {
        let mut out = BytesMut::new();
        if packet.encode(&mut out).is_ok() {
            self.emit(id, out.freeze(), now);
        }
    }

    /// Sends an encoded packet, which the faults may stop.
    pub(super) fn emit(&mut self, id: ConnectionId, packet: Bytes, now: Instant) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if connection.has_ended() {
            return;
        }
        let client_id = Arc::clone(&connection.client_id);
        let plan = self
            .faults
            .at_packet(Direction::ToClient, &packet, &client_id);
        if plan.ending == Some(Ending::CutBefore) {
            self.end(id, Action::Cut);
            return;
        }
        if plan.lose_session {
            self.lose_session(&client_id);
        }
        let packet = match plan.session_present {
            Some(present) => with_session_present(packet, present),
            None => packet,
        };
        self.send_raw_bytes(id, &plan.before, now);
        let waiting = |packet: Bytes| Waiting {
            connection: id,
            packet: Held::Sent(packet),
        };
        match plan.fate {
            Fate::Pass => {
                self.write(id, &packet, now);
                if let Some(dup) = plan.duplicate {
                    self.write(id, &repeated(packet, dup), now);
                }
            }
            Fate::Drop => {}
            Fate::Hold => self.held.push(waiting(packet)),
            Fate::Delay(delay) => self.delay(now + delay, waiting(packet)),
        }
        self.send_raw_bytes(id, &plan.after, now);
        self.finish_plan(id, &plan);
    }

    pub(super) fn send_raw_bytes(&mut self, id: ConnectionId, all: &[Bytes], now: Instant) {
        for bytes in all {
            self.write(id, bytes, now);
        }
    }

    /// Hands bytes to the driver, up to where a fault strikes.
    pub(super) fn write(&mut self, id: ConnectionId, bytes: &Bytes, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.has_ended() {
            return;
        }
        connection.acknowledged(bytes);
        let client_id = Arc::clone(&connection.client_id);
        if !self.config.no_records {
            self.trace.push(Record {
                at: now,
                connection: id,
                client_id: client_id.to_string(),
                direction: Direction::ToClient,
                bytes: bytes.clone(),
            });
        }
        let strike = self
            .faults
            .at_bytes(Direction::ToClient, bytes.len(), id, &client_id);
        match strike {
            None => self.put(id, bytes.clone()),
            Some((at, plan)) => {
                let at = at.min(bytes.len());
                self.put(id, bytes.slice(..at));
                self.carry_out(id, &plan, now);
                self.put(id, bytes.slice(at..));
            }
        }
    }

    fn put(&mut self, id: ConnectionId, mut bytes: Bytes) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if connection.has_ended() {
            return;
        }
        if let Some(size) = connection.config.piece_size {
            while bytes.len() > size.get() {
                let piece = bytes.split_to(size.get());
                self.output.push_back((id, Action::Send(piece)));
            }
        }
        if !bytes.is_empty() {
            self.output.push_back((id, Action::Send(bytes)));
        }
    }

    pub(super) fn delay(&mut self, due: Instant, waiting: Waiting) {
        self.last_delayed += 1;
        self.delayed.insert((due, self.last_delayed), waiting);
    }

    /// Lets a packet go on that was held back. Faults that strike at packets have had it already.
    pub(super) fn release(&mut self, waiting: Waiting, now: Instant) {
        match waiting.packet {
            Held::Received(frame) => self.process(waiting.connection, &frame, now),
            Held::Sent(packet) => self.write(waiting.connection, &packet, now),
        }
    }

    /// Sends DISCONNECT and closes.
    pub(super) fn disconnect_with(
        &mut self,
        id: ConnectionId,
        reason: DisconnectReasonCode,
        now: Instant,
    ) {
        self.send(id, &Disconnect::new(reason), now);
        self.end(id, Action::Close);
    }
}

/// The CONNACK with another Session Present; any other packet as it is.
fn with_session_present(packet: Bytes, present: bool) -> Bytes {
    let Ok(Some(header)) = FixedHeader::parse(&packet) else {
        return packet;
    };
    if header.packet_type() != PacketType::Connack {
        return packet;
    }
    let mut changed = BytesMut::from(packet);
    if let Some(flags) = changed.get_mut(header.header_len()) {
        *flags = u8::from(present);
    }
    changed.freeze()
}

/// The second copy of a packet, with DUP if it is a PUBLISH that can have it.
fn repeated(packet: Bytes, dup: bool) -> Bytes {
    let mut copy = BytesMut::from(packet);
    if let Some(first) = copy.first_mut()
        && dup
        && *first >> 4 == PacketType::Publish as u8
        && *first & 0b0110 != 0
    {
        *first |= 0b1000;
    }
    copy.freeze()
}
