//! The sending half of a session: operations from their acceptance to their verdict.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::exchange::{Sender, SenderStep, ToSender, sender};
use super::in_flight::{Exchange, Request, Table};
use super::{Acknowledgement, OperationId, PublishVerdict};
use crate::packet::{
    AckProperties, ApplicationMessage, PacketId, PublishReasonCode, QoS, Received,
    ReleaseReasonCode,
};
use crate::time::Instant;

/// A message that was accepted and waits to be sent.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) operation: OperationId,
    pub(super) message: ApplicationMessage,
    pub(super) accepted: Instant,
}

impl Queued {
    /// When the message expires, if it does.
    pub(super) fn expires(&self) -> Option<Instant> {
        expires(&self.message, self.accepted)
    }
}

pub(super) fn expires(message: &ApplicationMessage, accepted: Instant) -> Option<Instant> {
    let seconds = message.properties.as_ref()?.message_expiry_interval?;
    Some(accepted + core::time::Duration::from_secs(seconds.into()))
}

/// What a message counts to the budget of bytes.
pub(super) fn cost(message: &ApplicationMessage) -> usize {
    let properties = message.properties.as_ref().map_or(0, |properties| {
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
    });
    size_of::<Exchange>() + message.topic.as_bytes().len() + message.payload.len() + properties
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
    pub(super) table: Table,
    /// Accepted and not sent, QoS 1 and 2.
    pub(super) queue: VecDeque<Queued>,
    /// Accepted and not sent, QoS 0: the quota does not hold them up.
    pub(super) queue_qos0: VecDeque<Queued>,
    /// Accepted and not sent.
    pub(super) requests: VecDeque<(OperationId, Request)>,
    /// No queued message expires before this.
    pub(super) next_expiry: Option<Instant>,
    /// Operations without a verdict, and what they count to the budgets.
    pub(super) operations: usize,
    pub(super) bytes: usize,
    next_operation: u64,
    /// Exchanges that count to the server's Receive Maximum.
    pub(super) in_flight: usize,
    /// The next message to be sent again after a resumption.
    pub(super) resend: Option<PacketId>,
}

impl Outbound {
    pub(super) fn accept(&mut self) -> OperationId {
        self.operations += 1;
        self.next_operation += 1;
        OperationId(self.next_operation)
    }

    pub(super) fn accept_message(
        &mut self,
        message: ApplicationMessage,
        now: Instant,
    ) -> OperationId {
        self.bytes += cost(&message);
        let operation = self.accept();
        let queued = Queued {
            operation,
            message,
            accepted: now,
        };
        self.note_expiry(&queued);
        match queued.message.qos {
            QoS::AtMostOnce => self.queue_qos0.push_back(queued),
            _ => self.queue.push_back(queued),
        }
        operation
    }

    pub(super) fn note_expiry(&mut self, queued: &Queued) {
        if let Some(expires) = queued.expires() {
            self.next_expiry = Some(self.next_expiry.map_or(expires, |next| next.min(expires)));
        }
    }

    /// The operation has its verdict, and its message is handed back or gone.
    pub(super) fn settle(&mut self, message: Option<&ApplicationMessage>) {
        self.operations -= 1;
        if let Some(message) = message {
            self.bytes -= cost(message);
        }
    }

    /// Carries out what the table of exchanges says to an acknowledgement of `packet_id`.
    pub(super) fn handle_ack(
        &mut self,
        packet_id: PacketId,
        packet: ToSender,
        answer: Option<(Received<PublishReasonCode>, Option<Box<AckProperties>>)>,
        completion: Option<Received<ReleaseReasonCode>>,
    ) -> Acked {
        if self.table.is_request(packet_id) {
            return Acked::Violation;
        }
        let state = self
            .table
            .exchange(packet_id)
            .map(|exchange| exchange.state);
        match sender(state, packet) {
            SenderStep::Ignore => Acked::Nothing,
            SenderStep::Violation => Acked::Violation,
            SenderStep::ReleaseUnknown => Acked::Release { known: false },
            SenderStep::ReleaseAgain => Acked::Release { known: true },
            SenderStep::Release => {
                self.release(packet_id, answer);
                Acked::Release { known: true }
            }
            SenderStep::Finish => self.finish(packet_id, answer, completion),
        }
    }

    fn release(
        &mut self,
        packet_id: PacketId,
        answer: Option<(Received<PublishReasonCode>, Option<Box<AckProperties>>)>,
    ) {
        self.skip_resend(packet_id);
        self.table.move_to_releases(packet_id);
        let Some(exchange) = self.table.exchange_mut(packet_id) else {
            return;
        };
        exchange.state = Sender::AwaitPubcomp;
        exchange.pubrec = answer;
        let counted = core::mem::replace(&mut exchange.counted, true);
        if let Some(message) = exchange.message.take() {
            self.bytes -= cost(&message);
        }
        // Not resent yet when its PUBREC came: from now on it is an open exchange.
        if !counted {
            self.in_flight += 1;
        }
    }

    fn finish(
        &mut self,
        packet_id: PacketId,
        answer: Option<(Received<PublishReasonCode>, Option<Box<AckProperties>>)>,
        completion: Option<Received<ReleaseReasonCode>>,
    ) -> Acked {
        self.skip_resend(packet_id);
        let Some(exchange) = self.table.remove_publish(packet_id) else {
            return Acked::Nothing;
        };
        if exchange.counted {
            self.in_flight -= 1;
        }
        let Some(operation) = exchange.operation else {
            return Acked::Nothing;
        };
        self.settle(exchange.message.as_ref());
        let success = (Received::Tabled(PublishReasonCode::Success), None);
        let (reason_code, properties) = answer.or(exchange.pubrec).unwrap_or(success);
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

    /// `packet_id` leaves the list of what is to be sent again.
    pub(super) fn skip_resend(&mut self, packet_id: PacketId) {
        if self.resend == Some(packet_id) {
            self.resend = self.table.next(packet_id);
        }
    }

    /// The connection is gone, the session goes on. `transmitted` is how many bytes of the
    /// connection's stream left; messages of which nothing left are queued again.
    pub(super) fn handle_closed(&mut self, transmitted: u64) {
        self.in_flight = 0;
        self.resend = None;
        let mut unsent = Vec::new();
        let mut next = self.table.first_publish();
        while let Some(id) = next {
            next = self.table.next(id);
            let Some(exchange) = self.table.exchange_mut(id) else {
                continue;
            };
            let counted = core::mem::replace(&mut exchange.counted, false);
            exchange.sent |= counted && exchange.start < transmitted;
            if !exchange.sent {
                unsent.extend(self.unsend(id));
            }
        }
        for queued in unsent.into_iter().rev() {
            self.note_expiry(&queued);
            self.queue.push_front(queued);
        }
    }

    /// Takes a message of which nothing left out of its exchange.
    fn unsend(&mut self, id: PacketId) -> Option<Queued> {
        let exchange = self.table.remove_publish(id)?;
        Some(Queued {
            operation: exchange.operation?,
            message: exchange.message?,
            accepted: exchange.accepted,
        })
    }

    /// The server goes on with the session: what waits for PUBCOMP is open on this connection from
    /// the start, what waits for PUBACK or PUBREC will be sent again.
    pub(super) fn resume(&mut self) {
        self.in_flight = 0;
        let mut next = self.table.first_release();
        while let Some(id) = next {
            next = self.table.next(id);
            if let Some(exchange) = self.table.exchange_mut(id) {
                exchange.counted = true;
            }
            self.in_flight += 1;
        }
        self.resend = self.table.first_publish();
    }

    /// The session is over: the verdicts of what was sent. Requests are not part of a session and
    /// must be gone by now.
    pub(super) fn end_session(&mut self) -> Vec<(OperationId, PublishVerdict)> {
        let mut verdicts = Vec::new();
        for head in [self.table.first_release(), self.table.first_publish()] {
            let mut next = head;
            while let Some(id) = next {
                next = self.table.next(id);
                let Some(exchange) = self.table.remove_publish(id) else {
                    continue;
                };
                let Some(operation) = exchange.operation else {
                    continue;
                };
                self.settle(exchange.message.as_ref());
                let message = exchange.message.map(Box::new);
                verdicts.push((operation, PublishVerdict::Unknown { message }));
            }
        }
        verdicts.sort_unstable_by_key(|(operation, _)| *operation);
        self.table = Table::default();
        self.in_flight = 0;
        self.resend = None;
        verdicts
    }

    /// Takes what has expired out of the queues.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Queued> {
        if self.next_expiry.is_none_or(|next| next > now) {
            return Vec::new();
        }
        self.next_expiry = None;
        let mut expired = Vec::new();
        for queue in [&mut self.queue, &mut self.queue_qos0] {
            let kept = queue.len();
            for _ in 0..kept {
                let Some(queued) = queue.pop_front() else {
                    break;
                };
                if queued.expires().is_some_and(|expires| expires <= now) {
                    expired.push(queued);
                } else {
                    queue.push_back(queued);
                }
            }
        }
        let waiting = self.queue.iter().chain(&self.queue_qos0);
        self.next_expiry = waiting.filter_map(Queued::expires).min();
        for queued in &expired {
            self.settle(Some(&queued.message));
        }
        expired
    }
}
