//! What the client sends of its own: PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE, their packet
//! identifiers, their order, and the server's Receive Maximum.

mod answers;
mod expiry;

use std::collections::{BTreeMap, VecDeque};

use super::connection::{Connection, Limits};
use super::operations::{Operations, Seen};
use super::{Judge, Judged, World, broken};
use crate::universe::{TOPICS, number_of};
use crate::wire::{self, Packet, Property, Publish};

#[derive(Clone, Debug)]
struct Sent {
    number: u32,
    qos: u8,
    retain: bool,
    size: usize,
    /// The how manieth message of QoS 1 and 2 it was.
    rank: u64,
    /// Its PUBREC has come, the how manieth one that was.
    released: Option<u64>,
    /// It takes a place in the Receive Maximum of this connection.
    counted: bool,
    /// It has had its verdict because it does not fit any more.
    rejected: bool,
    /// It does not fit this connection: the client gives it up.
    unfit: bool,
}

#[derive(Clone, Debug)]
enum Use {
    Message(Sent),
    /// SUBSCRIBE or UNSUBSCRIBE, with the filters of the former, and the how manieth request.
    Request(Vec<usize>, u64),
}

/// The PUBLISH at which the last connection broke off.
#[derive(Clone, Copy, Debug)]
struct Part {
    packet_id: Option<u16>,
    number: Option<u32>,
    /// No connection since had limits that it may have been given up for.
    open: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Sending {
    in_use: BTreeMap<u16, Use>,
    /// PUBRELs that have to leave, in this order.
    releases: VecDeque<(u16, u8)>,
    /// What has to be sent again on this connection, in this order.
    resend: VecDeque<u16>,
    part: Option<Part>,
    counted: usize,
    next_rank: u64,
    next_release: u64,
    /// Messages of QoS 1 and 2, and of QoS 0, in the order in which they were accepted.
    waiting: [VecDeque<u32>; 2],
    /// How many messages of QoS 1 and 2 were without a verdict at once.
    open: usize,
    most_open: usize,
    most_requests: usize,
}

impl Sending {
    pub(super) fn accepted(&mut self, number: u32, qos: u8) {
        self.waiting[usize::from(qos > 0)].push_back(number);
        self.open += usize::from(qos > 0);
        self.most_open = self.most_open.max(self.open);
    }

    /// It has its verdict: it does not wait any more.
    pub(super) fn told(&mut self, number: u32) {
        for waiting in &mut self.waiting {
            if let Some(index) = waiting.iter().position(|other| *other == number) {
                waiting.remove(index);
            }
        }
        let mut rejected = None;
        for (id, usage) in &mut self.in_use {
            if let Use::Message(sent) = usage
                && sent.number == number
            {
                sent.rejected = true;
                // No PUBREC can be on its way: the identifier is free.
                rejected = (sent.qos == 1).then_some(*id);
            }
        }
        if let Some(id) = rejected {
            self.forget(id);
        }
    }

    fn forget(&mut self, packet_id: u16) -> Option<Use> {
        self.resend.retain(|id| *id != packet_id);
        let usage = self.in_use.remove(&packet_id)?;
        if let Use::Message(sent) = &usage {
            self.counted -= usize::from(sent.counted);
            if sent.number != u32::MAX {
                self.open = self.open.saturating_sub(1);
            }
        }
        Some(usage)
    }

    /// The connection is over: what was cut off in the middle?
    pub(super) fn closed(&mut self, connection: &Connection, operations: &mut Operations) {
        self.in_use
            .retain(|_, usage| matches!(usage, Use::Message(_)));
        for usage in self.in_use.values_mut() {
            if let Use::Message(sent) = usage {
                sent.counted = false;
            }
        }
        self.counted = 0;
        self.releases.clear();
        self.resend.clear();
        let unfinished = connection.unfinished();
        let Some(first) = unfinished.first().filter(|first| **first >> 4 == 3) else {
            return;
        };
        let qos = usize::from(first >> 1 & 3).min(2);
        let part = read_part(unfinished);
        let seen = part.number.and_then(|number| operations.get_mut(number));
        match seen {
            // A part of a message that was sent before tells nothing new.
            Some(operation) if operation.seen == Seen::Whole => return,
            Some(operation) => operation.seen = Seen::Part,
            None if first & 8 != 0 => return,
            None => operations.parts[qos] += 1,
        }
        if qos > 0 {
            self.part = Some(part);
        }
    }

    pub(super) fn lose_session(&mut self, operations: &mut Operations) {
        for usage in std::mem::take(&mut self.in_use).into_values() {
            if let Use::Message(sent) = usage
                && let Some(operation) = operations.get_mut(sent.number)
            {
                operation.lost = true;
            }
        }
        if let Some(part) = self.part.take()
            && let Some(number) = part.number
            && let Some(operation) = operations.get_mut(number)
        {
            operation.lost = true;
        }
        self.counted = 0;
        self.releases.clear();
        self.resend.clear();
    }

    /// The server has the session still.
    pub(super) fn resume(&mut self, limits: &Limits) {
        let mut released = Vec::new();
        let mut resend = Vec::new();
        for (id, usage) in &mut self.in_use {
            let Use::Message(sent) = usage else { continue };
            match sent.released {
                Some(rank) => {
                    sent.counted = true;
                    sent.unfit = false;
                    self.counted += 1;
                    released.push((rank, *id));
                }
                None if limits.take(sent.qos, sent.retain, sent.size) && !sent.rejected => {
                    sent.unfit = false;
                    resend.push((sent.rank, *id));
                }
                None => sent.unfit = true,
            }
        }
        // What does not fit any more may have been given up, and its identifier be free.
        if limits.restrict_something()
            && let Some(part) = &mut self.part
        {
            part.packet_id = None;
            part.open = false;
        }
        released.sort_unstable();
        resend.sort_unstable();
        self.releases = released.into_iter().map(|(_, id)| (id, 0)).collect();
        self.resend = resend.into_iter().map(|(_, id)| id).collect();
    }

    pub(super) fn at_rest(&self) -> Judged {
        if !self.releases.is_empty() {
            return broken(
                "every PUBREC gets its PUBREL",
                format_args!("{:?}", self.releases),
            );
        }
        let open = self.in_use.iter().find(|(_, usage)| match usage {
            Use::Message(sent) => !sent.rejected,
            Use::Request(..) => true,
        });
        match open {
            Some((id, usage)) => broken(
                "no packet id is in use at rest",
                format_args!("{id}: {usage:?}"),
            ),
            None => Ok(()),
        }
    }
}

/// What can be read of a PUBLISH that breaks off.
fn read_part(bytes: &[u8]) -> Part {
    let nothing = Part {
        packet_id: None,
        number: None,
        open: true,
    };
    let Ok(Some(size)) = wire::packet_size(bytes, usize::MAX) else {
        return nothing;
    };
    // Behind what is there anything may follow: zeros do.
    let header = 1 + bytes
        .iter()
        .skip(1)
        .position(|byte| byte & 0x80 == 0)
        .map_or(0, |at| at + 1);
    let topic = match bytes.get(header..header + 2) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return nothing,
    };
    let behind_topic = header + 2 + topic;
    let packet_id = match bytes.get(behind_topic..behind_topic + 2) {
        Some(&[high, low]) if bytes[0] & 6 != 0 => Some(u16::from_be_bytes([high, low])),
        _ => None,
    };
    let have = bytes.len();
    let mut whole = bytes.to_vec();
    whole.resize(size, 0);
    let number = match wire::read(&whole) {
        Ok(Packet::Publish(publish)) if have + publish.payload.len() >= size + 4 => {
            number_of(publish.payload)
        }
        _ => None,
    };
    Part {
        packet_id,
        number,
        open: true,
    }
}

impl Judge {
    pub(super) fn sent_publish(
        &mut self,
        publish: &Publish<'_>,
        size: usize,
        world: &mut World<'_>,
    ) -> Judged {
        let number = world.messages.check(publish.payload);
        let Some((number, made)) = number.and_then(|it| Some((it, world.messages.get(it)?))) else {
            return broken("what leaves is what was published", "an unknown payload");
        };
        if publish.topic != TOPICS[made.topic]
            || publish.qos != made.qos
            || publish.retain != made.retain
            || publish.properties.number(Property::TopicAlias).is_some()
            || publish
                .properties
                .number(Property::SubscriptionIdentifier)
                .is_some()
        {
            return broken(
                "what leaves is what was published",
                format_args!("message {number}"),
            );
        }
        expiry::check_interval(publish, made.expiry, number)?;
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        let Some(limits) = &connection.limits else {
            return Ok(());
        };
        if !limits.take(publish.qos, publish.retain, size) {
            return broken(
                "the server's limits are kept",
                format_args!("message {number}"),
            );
        }
        let (resumed, receive_maximum) = (connection.resumed, limits.receive_maximum);
        let Some(operation) = self.operations.get_mut(number) else {
            return broken(
                "only what was accepted leaves",
                format_args!("message {number}"),
            );
        };
        let before = std::mem::replace(&mut operation.seen, Seen::Whole);
        if before == Seen::Nothing && !publish.dup {
            expiry::check_lifetime(operation.accepted_at, made.expiry, connection, world.now)?;
        }
        if publish.qos == 0 {
            if before != Seen::Nothing {
                return broken("QoS 0 is sent once", format_args!("message {number}"));
            }
            return self.in_order(number, 0);
        }
        if publish.dup {
            world.tally.resent += 1;
            if !resumed {
                return broken(
                    "DUP only on a resumed session",
                    format_args!("message {number}"),
                );
            }
            self.resent(publish, number, before, size)?;
        } else {
            if before != Seen::Nothing {
                return broken(
                    "DUP marks what was sent before",
                    format_args!("message {number}"),
                );
            }
            self.sent_new(publish, number, size)?;
        }
        if self.sending.counted > receive_maximum && !self.tainted {
            return broken(
                "the server's Receive Maximum is kept",
                format_args!("{} of {receive_maximum}", self.sending.counted),
            );
        }
        world.tally.most_in_flight = world.tally.most_in_flight.max(self.sending.counted);
        Ok(())
    }

    /// A message leaves for the first time: it is its turn.
    fn in_order(&mut self, number: u32, qos: u8) -> Judged {
        let waiting = &mut self.sending.waiting[usize::from(qos > 0)];
        // Those before it can have ended otherwise: their verdicts are on their way.
        while let Some(first) = waiting.pop_front() {
            if first == number {
                return Ok(());
            }
            if let Some(operation) = self.operations.by_number.get_mut(&first) {
                operation.overtaken = true;
            }
        }
        if self.tainted {
            return Ok(());
        }
        broken(
            "messages leave in their order",
            format_args!("message {number}"),
        )
    }

    fn sent_new(&mut self, publish: &Publish<'_>, number: u32, size: usize) -> Judged {
        let id = publish.packet_id;
        let given_up = self.sending.in_use.get(&id).is_some_and(
            |usage| matches!(usage, Use::Message(sent) if sent.unfit && sent.qos == 1),
        );
        if self.tainted || given_up {
            self.sending.forget(id);
        }
        if !self.tainted {
            if let Some(usage) = self.sending.in_use.get(&id) {
                return broken("a packet id is used once", format_args!("{id}: {usage:?}"));
            }
            if !self.sending.resend.is_empty() {
                return broken("resent messages go first", format_args!("message {number}"));
            }
            // It was the last to be sent, and so it goes before all others.
            if self.sending.part.is_some_and(|part| part.open) {
                return broken(
                    "DUP marks what may have been sent",
                    format_args!("message {number}"),
                );
            }
        }
        self.in_order(number, publish.qos)?;
        self.check_leak(id)?;
        self.occupy(publish, number, size);
        Ok(())
    }

    fn occupy(&mut self, publish: &Publish<'_>, number: u32, size: usize) {
        let sending = &mut self.sending;
        let sent = Sent {
            number,
            qos: publish.qos,
            retain: publish.retain,
            size,
            rank: sending.next_rank,
            released: None,
            counted: true,
            rejected: false,
            unfit: false,
        };
        sending.next_rank += 1;
        sending.counted += 1;
        sending.in_use.insert(publish.packet_id, Use::Message(sent));
    }

    /// Freed identifiers are used again before new ones: a high one tells of others that were lost.
    fn check_leak(&mut self, id: u16) -> Judged {
        let sending = &mut self.sending;
        let in_use = sending.in_use.values();
        let requests = in_use
            .filter(|usage| matches!(usage, Use::Request(..)))
            .count();
        sending.most_requests = sending.most_requests.max(requests + 1);
        // Requests are on their way that have not been seen, and messages told of already.
        let most = sending.most_open + 2 * sending.most_requests + 12;
        if usize::from(id) > most && !self.tainted {
            return broken(
                "no packet id is leaked",
                format_args!("{id} with {most} in use at most"),
            );
        }
        Ok(())
    }

    fn resent(&mut self, publish: &Publish<'_>, number: u32, before: Seen, size: usize) -> Judged {
        let id = publish.packet_id;
        let sending = &mut self.sending;
        if self.tainted {
            if !sending.in_use.contains_key(&id) {
                self.occupy(publish, number, size);
            }
            return Ok(());
        }
        if before == Seen::Whole {
            if sending.resend.pop_front() != Some(id) {
                return broken(
                    "messages are resent in their order",
                    format_args!("message {number}"),
                );
            }
            let usage = sending.in_use.get_mut(&id);
            let Some(Use::Message(sent)) =
                usage.filter(|usage| matches!(usage, Use::Message(sent) if sent.number == number))
            else {
                return broken(
                    "a message keeps its packet id",
                    format_args!("message {number}"),
                );
            };
            sending.counted += usize::from(!sent.counted);
            sent.counted = true;
            return Ok(());
        }
        // Of this one a part was sent, or may have been.
        let part = sending.part.take();
        let fits = part.is_some_and(|part| {
            part.packet_id.is_none_or(|sent| sent == id)
                && part.number.is_none_or(|sent| sent == number)
        });
        if !fits || !sending.resend.is_empty() {
            return broken(
                "DUP only for what was sent",
                format_args!("message {number}: {part:?}"),
            );
        }
        if before == Seen::Nothing {
            let parts = &mut self.operations.parts[usize::from(publish.qos)];
            *parts = parts.saturating_sub(1);
        }
        self.in_order(number, publish.qos)?;
        self.occupy(publish, number, size);
        Ok(())
    }
}
