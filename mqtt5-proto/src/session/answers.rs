//! The answers to what we sent: PUBACK, PUBREC, PUBCOMP, SUBACK and UNSUBACK, and the PUBRELs that
//! follow from them (sections 3.4 to 3.7, 3.9 and 3.11).

use alloc::boxed::Box;

use super::exchange::ToSender;
use super::lifecycle::request_event;
use super::messages::{AckAnswer, List};
use super::outbound::Acked;
use super::packet_ids::{PendingRequest, Request};
use super::{RequestVerdict, Session, Warning};
use crate::codec::{Encode, Violation};
use crate::packet::{
    AckProperties, AckPropertiesView, PacketId, PacketType, Pubrel, Received, ReleaseReasonCode,
    SubackView, UnsubackView,
};

impl Session {
    /// As [`handle_other`](Self::handle_other) handles it, without what cannot be there.
    #[inline]
    pub(super) fn handle_plain_ack(&mut self, packet_type: PacketType, packet_id: PacketId) {
        self.note_packet(packet_type, Some(packet_id));
        let success = Some(Received::Tabled(ReleaseReasonCode::Success));
        let (kind, completion) = match packet_type {
            PacketType::Puback => (ToSender::Puback, None),
            PacketType::Pubrec => (ToSender::Pubrec, None),
            PacketType::Pubcomp => (ToSender::Pubcomp, success),
            _ => return self.handle_pubrel(packet_id),
        };
        let acked = self.outbound.handle_ack(packet_id, kind, None, completion);
        self.follow_ack(packet_id, kind, acked);
    }

    pub(super) fn handle_ack(
        &mut self,
        packet_id: PacketId,
        kind: ToSender,
        answer: Option<AckAnswer>,
        completion: Option<Received<ReleaseReasonCode>>,
    ) {
        let acked = self
            .outbound
            .handle_ack(packet_id, kind, answer, completion);
        self.follow_ack(packet_id, kind, acked);
    }

    #[inline(always)]
    fn follow_ack(&mut self, packet_id: PacketId, kind: ToSender, acked: Acked) {
        match acked {
            Acked::Nothing => {}
            Acked::Release { known } => {
                let reason_code = if known {
                    ReleaseReasonCode::Success
                } else {
                    ReleaseReasonCode::PacketIdentifierNotFound
                };
                self.queue_pubrel(packet_id, reason_code);
            }
            Acked::Verdict(operation, verdict) => {
                self.events.push_verdict(operation, verdict);
            }
            Acked::Violation => {
                let packet = match kind {
                    ToSender::Puback => PacketType::Puback,
                    ToSender::Pubrec | ToSender::PubrecFailure => PacketType::Pubrec,
                    ToSender::Pubcomp => PacketType::Pubcomp,
                };
                self.violation(packet, Violation::WrongAcknowledgement);
            }
        }
    }

    fn queue_pubrel(&mut self, packet_id: PacketId, reason_code: ReleaseReasonCode) {
        if let Some(connection) = &mut self.connection {
            if reason_code == ReleaseReasonCode::Success {
                connection
                    .control
                    .extend_from_slice(&Pubrel::plain(packet_id));
                return;
            }
            // Five bytes, which a server with a limit of four does not get: they are courtesy.
            let packet = Pubrel::new(packet_id, reason_code);
            if packet
                .packet_size()
                .is_ok_and(|size| size <= connection.packet_limit)
            {
                let _ = packet.encode(&mut connection.control);
            }
        }
    }

    /// After a resumption: PUBREL again for what waits for PUBCOMP, in the order of the PUBRECs.
    pub(super) fn queue_releases(&mut self) {
        let mut next = self.outbound.messages.first(List::Releases);
        while let Some(place) = next {
            next = self.outbound.messages.next(place);
            let exchange = self.outbound.messages.get(place);
            if let Some(packet_id) = exchange.and_then(|exchange| exchange.packet_id) {
                self.queue_pubrel(packet_id, ReleaseReasonCode::Success);
            }
        }
    }

    pub(super) fn handle_suback(&mut self, suback: &SubackView<'_>) {
        let (id, properties) = (suback.packet_id(), suback.properties());
        let Some(pending) = self.take_request(PacketType::Suback, id, properties) else {
            return;
        };
        let verdict = match &pending.request {
            Request::Subscribe(_) => answered(&pending, suback.reason_codes(), properties),
            Request::Unsubscribe(_) => RequestVerdict::MalformedAnswer,
        };
        let other = RequestVerdict::MalformedAnswer;
        let event = request_event(pending.operation, &pending.request, verdict, other);
        self.events.push(event);
    }

    pub(super) fn handle_unsuback(&mut self, unsuback: &UnsubackView<'_>) {
        let (id, properties) = (unsuback.packet_id(), unsuback.properties());
        let Some(pending) = self.take_request(PacketType::Unsuback, id, properties) else {
            return;
        };
        let verdict = match &pending.request {
            Request::Unsubscribe(_) => answered(&pending, unsuback.reason_codes(), properties),
            Request::Subscribe(_) => RequestVerdict::MalformedAnswer,
        };
        let other = RequestVerdict::MalformedAnswer;
        let event = request_event(pending.operation, &pending.request, other, verdict);
        self.events.push(event);
    }

    /// The request that an answer is for, whatever the answer says.
    fn take_request(
        &mut self,
        packet: PacketType,
        packet_id: PacketId,
        properties: AckPropertiesView<'_>,
    ) -> Option<PendingRequest> {
        if !self.may_explain(packet, properties) {
            return None;
        }
        let pending = self.outbound.packet_ids.remove_request(packet_id);
        match pending {
            Some(_) => self.outbound.settle(None),
            None => self.warn(Warning::UnknownRequest(packet_id)),
        }
        pending
    }
}

/// The verdict of an answer of the right kind: there must be one code for each filter.
fn answered<R>(
    pending: &PendingRequest,
    reason_codes: impl ExactSizeIterator<Item = Received<R>>,
    properties: AckPropertiesView<'_>,
) -> RequestVerdict<R> {
    if reason_codes.len() != pending.request.filters() {
        return RequestVerdict::MalformedAnswer;
    }
    RequestVerdict::Answered {
        reason_codes: reason_codes.collect(),
        properties: owned(properties),
    }
}

pub(super) fn owned(properties: AckPropertiesView<'_>) -> Option<Box<AckProperties>> {
    (!properties.is_empty()).then(|| Box::new(properties.to_owned()))
}
