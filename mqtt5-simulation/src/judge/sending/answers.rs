//! Requests, releases, and the server's answers to them.

use super::{Judge, Judged, Use, World, broken};
use crate::universe::FILTERS;
use crate::wire::{AckKind, Filters};

impl Judge {
    pub(in crate::judge) fn sent_pubrel(&mut self, packet_id: u16, code: u8) -> Judged {
        if self.tainted {
            return Ok(());
        }
        match self.sending.releases.pop_front() {
            Some(expected) if expected == (packet_id, code) => Ok(()),
            expected => broken(
                "PUBRELs leave in the order of the PUBRECs",
                format_args!("{packet_id} {code:#04x}, expected {expected:?}"),
            ),
        }
    }

    pub(in crate::judge) fn sent_subscribe(
        &mut self,
        packet_id: u16,
        identifier: Option<u32>,
        filters: Filters<'_>,
    ) -> Judged {
        let limits = self.connection.as_ref().and_then(|it| it.limits.as_ref());
        let mut known = Vec::new();
        for (filter, _) in filters {
            let breaks = limits.is_some_and(|limits| {
                !limits.take_filter(filter) || (!limits.identifiers && identifier.is_some())
            });
            if breaks {
                return broken("the server's limits are kept", filter);
            }
            let Some(index) = FILTERS.iter().position(|known| *known == filter) else {
                return broken("only what was asked for is subscribed", filter);
            };
            known.push(index);
        }
        if let Some(identifier) = identifier {
            self.streams.named(identifier, &known);
        }
        let request = self.subscriptions.next_request();
        self.sent_request(packet_id, Use::Request(known, request))
    }

    pub(in crate::judge) fn sent_unsubscribe(
        &mut self,
        packet_id: u16,
        filters: Filters<'_>,
    ) -> Judged {
        let request = self.subscriptions.next_request();
        for (filter, _) in filters {
            let Some(index) = FILTERS.iter().position(|known| *known == filter) else {
                return broken("only what was asked for is unsubscribed", filter);
            };
            self.subscriptions.leave(index, request);
        }
        self.sent_request(packet_id, Use::Request(Vec::new(), request))
    }

    fn sent_request(&mut self, packet_id: u16, request: Use) -> Judged {
        if let Some(usage) = self.sending.in_use.get(&packet_id)
            && !matches!(usage, Use::Message(sent) if sent.unfit && sent.qos == 1)
            && !self.tainted
        {
            return broken(
                "a packet id is used once",
                format_args!("{packet_id}: {usage:?}"),
            );
        }
        self.check_leak(packet_id)?;
        self.sending.in_use.insert(packet_id, request);
        Ok(())
    }

    /// SUBACK or UNSUBACK.
    pub(in crate::judge) fn read_answer(&mut self, packet_id: u16, codes: &[u8]) {
        if let Some(Use::Request(filters, request)) = self.sending.in_use.get(&packet_id) {
            self.streams.answered(filters);
            for (filter, code) in filters.iter().zip(codes) {
                if *code >= 0x80 {
                    self.streams.refused(*filter);
                } else {
                    self.subscriptions.grant(*filter, *request);
                }
            }
            self.sending.in_use.remove(&packet_id);
        }
    }

    /// PUBACK, PUBREC or PUBCOMP for a message of the client, or the server's PUBREL.
    pub(in crate::judge) fn read_ack(
        &mut self,
        kind: AckKind,
        packet_id: u16,
        code: u8,
        world: &mut World<'_>,
    ) -> Judged {
        if kind == AckKind::Pubrel {
            self.receiving.released(packet_id);
            return Ok(());
        }
        let sending = &mut self.sending;
        let known = match sending.in_use.get_mut(&packet_id) {
            Some(Use::Message(sent)) => Some(sent),
            _ => None,
        };
        if code >= 0x80 {
            world.tally.refusals += 1;
        }
        match (kind, known) {
            (AckKind::Puback, Some(sent)) if sent.qos == 1 => {
                let number = sent.number;
                sending.forget(packet_id);
                if let Some(operation) = self.operations.get_mut(number) {
                    operation.answer.get_or_insert(code);
                }
            }
            (AckKind::Pubrec, Some(sent)) if sent.qos == 2 => {
                let number = sent.number;
                self.operations.release(number, code);
                if code >= 0x80 {
                    sending.forget(packet_id);
                    return Ok(());
                }
                if sent.released.is_none() {
                    sent.released = Some(sending.next_release);
                    sending.next_release += 1;
                }
                if !sent.counted {
                    sent.counted = true;
                    sending.counted += 1;
                }
                sending.resend.retain(|id| *id != packet_id);
                sending.releases.push_back((packet_id, 0));
            }
            (AckKind::Pubcomp, Some(sent)) if sent.qos == 2 && sent.released.is_some() => {
                let number = sent.number;
                sending.forget(packet_id);
                if let Some(operation) = self.operations.get_mut(number) {
                    operation.completion.get_or_insert(code);
                }
            }
            (AckKind::Pubrec, None) if code < 0x80 => {
                sending.releases.push_back((packet_id, 0x92));
            }
            _ => {}
        }
        Ok(())
    }
}
