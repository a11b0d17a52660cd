//! The sending half of a session: operations from their acceptance to their verdict.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::exchange::{Sender, SenderStep, ToSender, sender};
use super::messages::{Accepted, AckAnswer, Content, List, Messages, Outgoing, Place, expiry};
use super::packet_ids::{PacketIds, Request};
use super::{Acknowledgement, OperationId, PublishVerdict};
use crate::packet::{
    ApplicationMessage, MessageProperties, PacketId, PublishReasonCode, QoS, Received,
    ReleaseReasonCode,
};
use crate::time::Instant;

/// What a message counts to the budget of bytes.
#[inline]
pub(super) fn cost(message: &ApplicationMessage) -> usize {
    let properties = message.properties.as_deref().map_or(0, properties_cost);
    size_of::<Outgoing>() + message.topic.as_bytes().len() + message.payload.len() + properties
}

fn properties_cost(properties: &MessageProperties) -> usize {
    let users = properties.user_properties.iter();
    let users = users.map(|user| user.name.as_bytes().len() + user.value.as_bytes().len() + 96);
    let data = properties
        .correlation_data
        .as_ref()
        .map_or(0, |data| data.as_bytes().len());
    let content = properties
        .content_type
        .as_ref()
        .map_or(0, |text| text.as_bytes().len());
    let topic = properties
        .response_topic
        .as_ref()
        .map_or(0, |topic| topic.as_bytes().len());
    users.sum::<usize>() + data + content + topic + 256
}

#[inline]
fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// What an acknowledgement led to.
#[derive(Debug)]
pub(super) enum Acked {
    Nothing,
    /// Send PUBREL.
    Release {
        known: bool,
    },
    Verdict(OperationId, PublishVerdict),
    /// The peer confuses exchanges.
    Violation,
}

#[derive(Debug, Default)]
pub(super) struct Outbound {
    pub(super) messages: Messages,
    pub(super) packet_ids: PacketIds,
    /// Accepted and not sent.
    pub(super) requests: VecDeque<(OperationId, Request)>,
    /// No waiting message expires before this.
    pub(super) next_expiry: Option<Instant>,
    /// Operations without a verdict, and what they count to the budgets.
    pub(super) operations: usize,
    pub(super) bytes: usize,
    accepted: u64,
    /// Exchanges that count to the server's Receive Maximum.
    pub(super) in_flight: usize,
    /// The next message to be sent again after a resumption.
    pub(super) resend: Option<Place>,
}

impl Outbound {
    pub(super) const fn accept(&mut self) -> OperationId {
        self.operations += 1;
        let operation = OperationId::nth(self.accepted);
        self.accepted += 1;
        operation
    }

    /// Where `message` is to be put, which counts `cost`.
    // Not handed over, so that it is moved but once: from where the application had it.
    #[inline]
    pub(super) fn accept_message(
        &mut self,
        message: &ApplicationMessage,
        remaining_length: u32,
        cost: usize,
        now: Instant,
    ) -> (OperationId, Option<&mut Content>) {
        self.bytes += cost;
        self.next_expiry = earliest(self.next_expiry, expiry(message, now));
        let list = match message.qos {
            QoS::AtMostOnce => List::WaitingQos0,
            _ => List::Waiting,
        };
        let accepted = Accepted {
            operation: self.accept(),
            at: now,
            qos: message.qos,
            remaining_length,
        };
        // There are places for as many as memory could hold.
        let place = self.messages.add(accepted, list);
        (accepted.operation, place.map(|place| &mut place.content))
    }

    pub(super) fn note_expiry(&mut self, place: Place) {
        let expires = self.messages.get(place).and_then(Outgoing::expires);
        self.next_expiry = earliest(self.next_expiry, expires);
    }

    /// The operation has its verdict, and its message is handed back or gone.
    #[inline]
    pub(super) fn settle(&mut self, message: Option<&ApplicationMessage>) {
        self.operations -= 1;
        if let Some(message) = message {
            self.bytes -= cost(message);
        }
    }

    /// Ends a message for a verdict without an answer.
    pub(super) fn take(&mut self, place: Place) -> Option<(OperationId, ApplicationMessage)> {
        let outgoing = self.messages.get_mut(place)?;
        let (operation, message) = (outgoing.operation.take(), outgoing.take_message());
        if let Some(id) = outgoing.packet_id {
            self.packet_ids.release(id);
        }
        self.messages.remove(place);
        let (operation, message) = (operation?, message?);
        self.settle(Some(&message));
        Some((operation, message))
    }

    /// Ends a message of QoS 0 that is sent.
    #[inline]
    pub(super) fn finish_sent(&mut self, place: Place) -> Option<OperationId> {
        let sent = self.messages.get_mut(place)?;
        let operation = sent.operation.take()?;
        if let Content::Message(message) = &sent.content {
            self.bytes -= cost(message);
        }
        self.operations -= 1;
        self.messages.remove(place);
        Some(operation)
    }

    /// Whether anything waits to be sent, if only for the quota.
    #[inline]
    pub(super) fn has_waiting(&self) -> bool {
        self.has_waiting_message() || !self.requests.is_empty()
    }

    /// Whether a message waits to be sent, for the first time or again.
    #[inline]
    pub(super) fn has_waiting_message(&self) -> bool {
        self.messages.first(List::Waiting).is_some()
            || self.messages.first(List::WaitingQos0).is_some()
            || self.resend.is_some()
    }

    /// Carries out what the table of exchanges says to an acknowledgement of `packet_id`. Without an
    /// `answer` a PUBACK or PUBREC says that all went well.
    #[inline(always)]
    pub(super) fn handle_ack(
        &mut self,
        packet_id: PacketId,
        packet: ToSender,
        answer: Option<AckAnswer>,
        completion: Option<Received<ReleaseReasonCode>>,
    ) -> Acked {
        let place = self.packet_ids.message(packet_id);
        let exchange = place.and_then(|place| Some((place, self.messages.get(place)?.state)));
        if exchange.is_none() && self.packet_ids.is_request(packet_id) {
            return Acked::Violation;
        }
        match (sender(exchange.map(|(_, state)| state), packet), exchange) {
            (SenderStep::Finish, Some((place, _))) => {
                self.finish(packet_id, place, answer, completion)
            }
            (SenderStep::Release, Some((place, _))) => {
                self.release(place, answer);
                Acked::Release { known: true }
            }
            (SenderStep::ReleaseAgain, _) => Acked::Release { known: true },
            (SenderStep::ReleaseUnknown, _) => Acked::Release { known: false },
            (SenderStep::Violation, _) => Acked::Violation,
            (SenderStep::Ignore | SenderStep::Finish | SenderStep::Release, _) => Acked::Nothing,
        }
    }

    fn release(&mut self, place: Place, answer: Option<AckAnswer>) {
        self.skip_resend(place);
        self.messages.move_last(place, List::Releases);
        let Some(exchange) = self.messages.get_mut(place) else {
            return;
        };
        exchange.state = Sender::AwaitPubcomp;
        if let Some(message) = exchange.message() {
            self.bytes -= cost(message);
        }
        exchange.content = Content::Released(answer);
        // Not resent yet when its PUBREC came: from now on it is an open exchange.
        if !core::mem::replace(&mut exchange.counted, true) {
            self.in_flight += 1;
        }
    }

    #[inline(always)]
    fn finish(
        &mut self,
        packet_id: PacketId,
        place: Place,
        answer: Option<AckAnswer>,
        completion: Option<Received<ReleaseReasonCode>>,
    ) -> Acked {
        self.skip_resend(place);
        self.packet_ids.release(packet_id);
        let Some(exchange) = self.messages.get_mut(place) else {
            return Acked::Nothing;
        };
        self.in_flight -= usize::from(exchange.counted);
        let operation = exchange.operation.take();
        let pubrec = match &mut exchange.content {
            Content::Message(message) => {
                self.bytes -= cost(message);
                None
            }
            Content::Released(answer) => answer.take(),
            Content::Gone => None,
        };
        self.messages.remove(place);
        let Some(operation) = operation else {
            return Acked::Nothing;
        };
        self.operations -= 1;
        let success = (Received::Tabled(PublishReasonCode::Success), None);
        let (reason_code, properties) = answer.or(pubrec).unwrap_or(success);
        let acknowledgement = Acknowledgement {
            reason_code,
            completion,
            properties,
        };
        let verdict = if reason_code.is_error() {
            PublishVerdict::Refused(acknowledgement)
        } else {
            PublishVerdict::Acknowledged(acknowledgement)
        };
        Acked::Verdict(operation, verdict)
    }

    /// Takes the operation of an exchange away from it, for a verdict without an answer. A message
    /// of QoS 2 that was sent keeps its Packet Identifier: a PUBREC may be on its way, and would be
    /// taken for that of another message.
    pub(super) fn give_up(&mut self, place: Place) -> Option<(OperationId, ApplicationMessage)> {
        let exchange = self.messages.get_mut(place)?;
        if exchange.state != Sender::AwaitPubrec {
            return self.take(place);
        }
        let (operation, message) = (exchange.operation.take()?, exchange.take_message()?);
        self.messages.unlink(place);
        self.settle(Some(&message));
        Some((operation, message))
    }

    /// The message at `place` leaves the list of what is to be sent again.
    #[inline]
    pub(super) fn skip_resend(&mut self, place: Place) {
        if self.resend == Some(place) {
            self.resend = self.messages.next(place);
        }
    }

    /// The connection is gone, the session goes on. `transmitted` is how many bytes of the
    /// connection's stream left; messages of which nothing left wait again.
    pub(super) fn handle_closed(&mut self, transmitted: u64) {
        self.in_flight = 0;
        self.resend = None;
        let mut next = self.messages.first(List::Publishes);
        while let Some(place) = next {
            next = self.messages.next(place);
            let Some(exchange) = self.messages.get_mut(place) else {
                continue;
            };
            let counted = core::mem::replace(&mut exchange.counted, false);
            exchange.sent |= counted && exchange.start < transmitted;
            if !exchange.sent
                && let Some(id) = exchange.packet_id.take()
            {
                self.packet_ids.release(id);
            }
        }
        // From the last to the first, so that they keep their order at the head of the waiting.
        let mut previous = self.messages.last(List::Publishes);
        while let Some(place) = previous {
            previous = self.messages.previous(place);
            if self
                .messages
                .get(place)
                .is_some_and(|exchange| exchange.packet_id.is_none())
            {
                self.messages.move_first(place, List::Waiting);
                self.note_expiry(place);
            }
        }
    }

    /// The server goes on with the session: what waits for PUBCOMP is open on this connection from
    /// the start, what waits for PUBACK or PUBREC will be sent again.
    pub(super) fn resume(&mut self) {
        self.in_flight = 0;
        let mut next = self.messages.first(List::Releases);
        while let Some(place) = next {
            next = self.messages.next(place);
            if let Some(exchange) = self.messages.get_mut(place) {
                exchange.counted = true;
            }
            self.in_flight += 1;
        }
        self.resend = self.messages.first(List::Publishes);
    }

    /// The session is over: the verdicts of what was sent. Requests are not part of a session and
    /// must be gone by now.
    pub(super) fn end_session(&mut self) -> Vec<(OperationId, PublishVerdict)> {
        let mut verdicts = Vec::new();
        for place in core::mem::take(&mut self.packet_ids).messages() {
            let Some(exchange) = self.messages.get_mut(place) else {
                continue;
            };
            let (operation, message) = (exchange.operation.take(), exchange.take_message());
            self.messages.remove(place);
            if let Some(operation) = operation {
                self.settle(message.as_ref());
                let message = message.map(Box::new);
                verdicts.push((operation, PublishVerdict::Unknown { message }));
            }
        }
        verdicts.sort_unstable_by_key(|(operation, _)| *operation);
        self.in_flight = 0;
        self.resend = None;
        verdicts
    }

    /// Takes what has expired out of the waiting.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<(OperationId, ApplicationMessage)> {
        if self.next_expiry.is_none_or(|next| next > now) {
            return Vec::new();
        }
        self.next_expiry = None;
        let mut expired = Vec::new();
        for list in [List::Waiting, List::WaitingQos0] {
            let mut next = self.messages.first(list);
            while let Some(place) = next {
                next = self.messages.next(place);
                let expires = self.messages.get(place).and_then(Outgoing::expires);
                if expires.is_some_and(|expires| expires <= now) {
                    expired.extend(self.take(place));
                } else {
                    self.note_expiry(place);
                }
            }
        }
        expired
    }
}
