//! The receiving half of a session: which messages of QoS 1 and 2 are not finished.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use bytes::BytesMut;

use super::ack_order::AckOrder;
use super::exchange::{Receiver, ReceiverStep, ToReceiver, receiver};
use super::id_map::IdMap;
use super::{AckError, AckToken};
use crate::codec::Encode;
use crate::packet::{
    AckProperties, Delivery, PacketId, Puback, Pubcomp, PublishReasonCode, Pubrec, QoS,
    ReleaseReasonCode,
};

/// The size of an acknowledgement with a reason code and no properties.
const ACK_WITH_CODE: usize = 5;

/// What the application answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) reason_code: PublishReasonCode,
    pub(super) properties: Option<Box<AckProperties>>,
}

impl Answer {
    pub(super) const fn new(reason_code: PublishReasonCode) -> Self {
        Self {
            reason_code,
            properties: None,
        }
    }

    /// Whether it says no more than that all went well.
    fn is_plain(&self) -> bool {
        self.reason_code == PublishReasonCode::Success && self.properties.is_none()
    }

    /// The reason code that a server with this Maximum Packet Size can take. At four bytes there is
    /// no room for one: then all that can be said is that the message came.
    fn code_within(&self, limit: usize) -> PublishReasonCode {
        if limit < ACK_WITH_CODE {
            PublishReasonCode::Success
        } else {
            self.reason_code
        }
    }
}

#[derive(Debug)]
struct Exchange {
    number: u64,
    state: Receiver,
    /// Whether a copy of the message came on this connection that is not answered yet.
    bound: bool,
    /// Whether it counts to our Receive Maximum on this connection.
    counted: bool,
    /// What it takes of the excess that is tolerated; 0 within the Receive Maximum.
    excess: usize,
    answer: Option<Answer>,
}

impl Exchange {
    /// The connection is gone on which its copy came.
    fn unbind(&mut self) {
        self.bound = false;
        self.counted = false;
        self.excess = 0;
    }
}

/// What a message in excess counts at least.
const LEAST_EXCESS: usize = 256;

/// What to do with a PUBLISH of QoS 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    Deliver {
        token: AckToken,
        stale: bool,
    },
    Repeated,
    /// More messages in flight than we allowed.
    ReceiveMaximumExceeded,
}

/// How much the server may have in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct InboundLimit {
    /// Our Receive Maximum.
    pub(super) messages: usize,
    /// What is tolerated beyond it, in bytes.
    pub(super) excess: usize,
}

#[derive(Debug, Default)]
pub(super) struct Inbound {
    exchanges: IdMap<Exchange>,
    order1: AckOrder,
    order2: AckOrder,
    next_number: u64,
    /// Exchanges below this number died with their session.
    session_start: u64,
    in_flight: usize,
    /// What a server may send in excess, because it counts by the letter: one for each PUBCOMP
    /// whose PUBLISH came on an earlier connection.
    allowance: usize,
    /// What is in flight beyond the Receive Maximum, in bytes.
    excess: usize,
    excess_told: bool,
    /// Exchanges that a PUBACK or a failed PUBREC ended whose bytes are not sent yet: if none of
    /// them leaves, the resent copy is answered without delivery.
    unsent: VecDeque<(PacketId, Exchange)>,
}

impl Inbound {
    pub(super) fn handle_publish(
        &mut self,
        delivery: Delivery,
        size: usize,
        limit: InboundLimit,
    ) -> Reception {
        let Some(packet_id) = delivery.packet_id() else {
            return Reception::Repeated;
        };
        let known = self.exchanges.get(packet_id);
        let is_known = known.is_some();
        let packet = match delivery {
            Delivery::ExactlyOnce { .. } => ToReceiver::Publish2,
            _ => ToReceiver::Publish1 {
                resent: known.is_some_and(|exchange| !exchange.bound),
                dup: delivery.dup(),
            },
        };
        let newly_counted = known.is_none_or(|exchange| !exchange.counted);
        let mut excess = 0;
        if newly_counted && self.in_flight >= limit.messages + self.allowance {
            excess = size.max(LEAST_EXCESS);
            if self.excess + excess > limit.excess {
                return Reception::ReceiveMaximumExceeded;
            }
        }
        let step = receiver(known.map(|exchange| exchange.state), packet);
        match step {
            ReceiverStep::AwaitApplication | ReceiverStep::AnswerAgain => {
                self.bind(packet_id, excess);
                Reception::Repeated
            }
            _ => {
                if is_known {
                    self.forget(packet_id);
                }
                let token = self.begin(packet_id, delivery.qos(), excess);
                Reception::Deliver {
                    token,
                    stale: step == ReceiverStep::SupersedeStale,
                }
            }
        }
    }

    /// Whether messages came in excess of the Receive Maximum for the first time on this
    /// connection.
    pub(super) fn tells_excess(&mut self) -> bool {
        let tell = self.excess > 0 && !self.excess_told;
        self.excess_told |= tell;
        tell
    }

    /// Begins an exchange with an identifier that no other has.
    fn begin(&mut self, packet_id: PacketId, qos: QoS, excess: usize) -> AckToken {
        let state = if qos == QoS::ExactlyOnce {
            Receiver::Owed2
        } else {
            Receiver::Owed1
        };
        let number = self.next_number;
        self.next_number += 1;
        let exchange = Exchange {
            number,
            state,
            bound: true,
            counted: true,
            excess,
            answer: None,
        };
        self.exchanges.insert(packet_id, exchange);
        self.in_flight += 1;
        self.excess += excess;
        let token = AckToken {
            packet_id,
            exchange: number,
        };
        self.order_mut(state).push(token, false);
        token
    }

    /// Another copy came: the answer that is owed, or was given, answers it in its turn.
    fn bind(&mut self, packet_id: PacketId, excess: usize) {
        let Some(exchange) = self.exchanges.get_mut(packet_id) else {
            return;
        };
        if !exchange.counted {
            exchange.counted = true;
            exchange.excess = excess;
            self.in_flight += 1;
            self.excess += excess;
        }
        if !exchange.bound {
            exchange.bound = true;
            let state = exchange.state;
            let answered = state == Receiver::AwaitPubrel || exchange.answer.is_some();
            let token = AckToken {
                packet_id,
                exchange: exchange.number,
            };
            self.order_mut(state).push(token, answered);
        }
    }

    fn order_mut(&mut self, state: Receiver) -> &mut AckOrder {
        match state {
            Receiver::Owed1 => &mut self.order1,
            Receiver::Owed2 | Receiver::AwaitPubrel => &mut self.order2,
        }
    }

    fn forget(&mut self, packet_id: PacketId) -> Option<Exchange> {
        let exchange = self.exchanges.remove(packet_id)?;
        if exchange.counted {
            self.in_flight -= 1;
            self.excess -= exchange.excess;
        }
        Some(exchange)
    }

    /// Keeps the application's answer until its turn.
    pub(super) fn answer(&mut self, token: AckToken, answer: Answer) -> Result<QoS, AckError> {
        if answer.reason_code == PublishReasonCode::NoMatchingSubscribers {
            return Err(AckError::ReasonCode);
        }
        if token.exchange < self.session_start {
            return Err(AckError::SessionLost);
        }
        let exchange = self
            .exchanges
            .get_mut(token.packet_id)
            .filter(|exchange| exchange.number == token.exchange)
            .filter(|exchange| exchange.answer.is_none())
            .ok_or(AckError::NotAwaited)?;
        let qos = match exchange.state {
            Receiver::Owed1 => QoS::AtLeastOnce,
            Receiver::Owed2 => QoS::ExactlyOnce,
            Receiver::AwaitPubrel => return Err(AckError::NotAwaited),
        };
        exchange.answer = Some(answer);
        let (state, bound) = (exchange.state, exchange.bound);
        if bound {
            self.order_mut(state).note_answered();
        }
        Ok(qos)
    }

    /// Whether there may be a jam.
    #[inline]
    pub(super) fn may_stall(&self) -> bool {
        self.order1.has_answered() || self.order2.has_answered()
    }

    /// The jam to tell of, if there is one: acknowledgements that wait for `first`.
    pub(super) fn stall(&mut self, qos: QoS, threshold: usize) -> Option<(AckToken, usize)> {
        let order = match qos {
            QoS::ExactlyOnce => &mut self.order2,
            _ => &mut self.order1,
        };
        if !order.tells_stall(threshold) {
            return None;
        }
        Some((order.first()?, order.len()))
    }

    /// Writes the answers whose turn it is. `limit` is the server's Maximum Packet Size.
    pub(super) fn flush(&mut self, limit: usize, out: &mut BytesMut) {
        while let Some(token) = self.order1.first() {
            let Some(exchange) = self.exchange_mut(token) else {
                self.order1.pop();
                continue;
            };
            let Some(answer) = &exchange.answer else {
                break;
            };
            if answer.is_plain() {
                out.extend_from_slice(&Puback::plain(token.packet_id));
            } else {
                put_puback(token.packet_id, answer, limit, out);
            }
            self.order1.pop_answered();
            self.finish(token.packet_id);
        }
        while let Some(token) = self.order2.first() {
            let Some(exchange) = self.exchange_mut(token) else {
                self.order2.pop();
                continue;
            };
            let refused = match (exchange.state, &exchange.answer) {
                (_, Some(answer)) if !answer.is_plain() => {
                    put_pubrec(token.packet_id, answer, limit, out)
                }
                (_, Some(_)) | (Receiver::AwaitPubrel, None) => {
                    out.extend_from_slice(&Pubrec::plain(token.packet_id));
                    false
                }
                _ => break,
            };
            if !refused {
                exchange.state = Receiver::AwaitPubrel;
                exchange.bound = false;
                exchange.answer = None;
            }
            self.order2.pop_answered();
            if refused {
                self.finish(token.packet_id);
            }
        }
    }

    /// The answer that ends the exchange is written, and not known to be sent.
    fn finish(&mut self, packet_id: PacketId) {
        if let Some(exchange) = self.forget(packet_id) {
            self.unsent.push_back((packet_id, exchange));
        }
    }

    fn exchange_mut(&mut self, token: AckToken) -> Option<&mut Exchange> {
        self.exchanges
            .get_mut(token.packet_id)
            .filter(|exchange| exchange.number == token.exchange)
    }

    /// Answers a PUBREL. Tells whether the message had not been acknowledged yet. `carried` is how
    /// many exchanges may have come from an earlier connection; `None` if the session is new.
    pub(super) fn handle_pubrel(
        &mut self,
        packet_id: PacketId,
        carried: Option<usize>,
        limit: usize,
        out: &mut BytesMut,
    ) -> bool {
        let state = self.exchanges.get(packet_id).map(|exchange| exchange.state);
        let step = receiver(state, ToReceiver::Pubrel);
        let ended = match step {
            ReceiverStep::Complete | ReceiverStep::CompleteEarly => self.forget(packet_id),
            _ => None,
        };
        if ended.is_none_or(|exchange| !exchange.counted) {
            self.allowance = (self.allowance + 1).min(carried.unwrap_or(0));
        }
        let reason_code = if step == ReceiverStep::Complete || limit < ACK_WITH_CODE {
            ReleaseReasonCode::Success
        } else {
            ReleaseReasonCode::PacketIdentifierNotFound
        };
        if reason_code == ReleaseReasonCode::Success {
            out.extend_from_slice(&Pubcomp::plain(packet_id));
        } else {
            // Five bytes: no size that the protocol could not express.
            let _ = Pubcomp::new(packet_id, reason_code).encode(out);
        }
        step == ReceiverStep::CompleteEarly
    }

    /// How many such answers were written since the last call of
    /// [`handle_acks_sent`](Self::handle_acks_sent) and are not known to be sent.
    pub(super) fn unsent_acks(&self) -> usize {
        self.unsent.len()
    }

    /// The bytes of the oldest `count` of them were sent, or may have been.
    pub(super) fn handle_acks_sent(&mut self, count: usize) {
        self.unsent.drain(..count.min(self.unsent.len()));
    }

    /// The connection is gone, the session goes on: what is not finished waits for the server to
    /// send it again.
    pub(super) fn handle_closed(&mut self) {
        self.order1.clear();
        self.order2.clear();
        self.in_flight = 0;
        self.allowance = 0;
        self.excess = 0;
        self.excess_told = false;
        for exchange in self.exchanges.values_mut() {
            exchange.unbind();
        }
        for (packet_id, mut exchange) in core::mem::take(&mut self.unsent) {
            exchange.unbind();
            if self.exchanges.get(packet_id).is_none() {
                self.exchanges.insert(packet_id, exchange);
            }
        }
    }

    /// The session is over: tokens die, identifiers are forgotten.
    pub(super) fn end_session(&mut self) {
        let next_number = self.next_number;
        *self = Self {
            next_number,
            session_start: next_number,
            ..Self::default()
        };
    }

    /// Whether no answer waits for its turn.
    pub(super) fn is_settled(&self) -> bool {
        !self
            .exchanges
            .values()
            .any(|exchange| exchange.bound && exchange.answer.is_some())
    }
}

/// Writes a PUBACK that says more than success.
#[inline(never)]
fn put_puback(packet_id: PacketId, answer: &Answer, limit: usize, out: &mut BytesMut) {
    let mut packet = Puback::new(packet_id, answer.code_within(limit));
    packet.properties.clone_from(&answer.properties);
    put_trimmed(&mut packet, |packet| packet.properties = None, limit, out);
}

/// Writes a PUBREC that says more than success. Tells whether it ends the exchange.
#[inline(never)]
fn put_pubrec(packet_id: PacketId, answer: &Answer, limit: usize, out: &mut BytesMut) -> bool {
    let mut packet = Pubrec::new(packet_id, answer.code_within(limit));
    packet.properties.clone_from(&answer.properties);
    put_trimmed(&mut packet, |packet| packet.properties = None, limit, out);
    packet.reason_code.is_error()
}

/// Writes an acknowledgement, without its properties if the server could not take them
/// (`3.4.2-2`, `3.4.2-3` and the like).
fn put_trimmed<P: Encode>(
    packet: &mut P,
    trim: impl FnOnce(&mut P),
    limit: usize,
    out: &mut BytesMut,
) {
    if packet.packet_size().is_ok_and(|size| size > limit) {
        trim(packet);
    }
    // Without properties five bytes at most: they fit in any packet size of the protocol.
    let _ = packet.encode(out);
}
