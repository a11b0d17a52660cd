//! What the server sends: which PUBLISH is a new message, and which acknowledgement may leave.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt5_client::proto::session::AckToken;

use super::{Judge, Judged, StreamId, World, broken};
use crate::universe::Messages;
use crate::wire::{AckKind, Property, Publish};

/// No earlier arrival.
const NONE: usize = usize::MAX;

/// One PUBLISH that came.
#[derive(Debug)]
struct Arrival {
    number: u32,
    qos: u8,
    /// Its marks, by which copies of one message can mostly be told apart.
    marks: u32,
    /// Those of its latest copy: the first may have been read and not looked at when the link broke.
    copy_marks: u32,
    /// The arrival of the same message before it.
    before: usize,
    delivered: Vec<StreamId>,
    /// By what the application acknowledges it, once that is known: what tells two arrivals of the
    /// same message apart.
    token: Option<AckToken>,
    settled: Vec<u8>,
    /// PUBACK or PUBREC has left.
    answered: bool,
    /// No stream claims it, or one that did has gone.
    excused: bool,
    /// It may be a copy that the client is free to deliver or not.
    optional: bool,
}

/// Mixes what is particular about one PUBLISH into one number.
pub(super) fn marks(
    dup: bool,
    retain: bool,
    size: usize,
    identifiers: impl Iterator<Item = u32>,
) -> u32 {
    let flags = u32::from(dup) * 2 + u32::from(retain);
    let mix = |mixed: u32, number: u32| mixed.wrapping_mul(31).wrapping_add(number);
    let start = mix(flags, u32::try_from(size).unwrap_or(u32::MAX));
    identifiers.fold(start, mix)
}

fn marks_of(publish: &Publish<'_>, size: usize) -> u32 {
    let identifiers = publish.properties.numbers(Property::SubscriptionIdentifier);
    marks(publish.dup, publish.retain, size, identifiers)
}

/// What has to become of a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Some stream has to get it.
    Claimed,
    Unclaimed,
    /// It may be delivered a second time.
    Again,
}

/// A message that a stream gave out.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) number: u32,
    pub(super) qos: u8,
    pub(super) marks: u32,
    pub(super) token: Option<AckToken>,
    /// It is rather one of the arrivals from this on.
    pub(super) from: usize,
}

impl Arrival {
    /// Whether the application has given this answer.
    fn is_answered_by(&self, code: u8) -> bool {
        let done = !self.settled.is_empty() && self.settled.len() >= self.delivered.len();
        done && self.settled.iter().copied().max() == Some(code)
    }

    /// Whether the application, or the want of one, allows this answer.
    fn allows(&self, code: u8) -> bool {
        (self.excused && !self.optional) || self.is_answered_by(code)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// PUBACK or PUBREC is owed.
    Owed,
    /// PUBREC was sent.
    Received,
}

#[derive(Debug)]
struct Exchange {
    number: u32,
    qos: u8,
    arrival: usize,
    /// The arrival of a copy that may have been delivered again.
    again: usize,
    state: State,
    /// A copy of it came on this connection.
    here: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Receiving {
    arrivals: Vec<Arrival>,
    latest: BTreeMap<u32, usize>,
    exchanges: BTreeMap<u16, Exchange>,
    /// The order in which PUBACKs and PUBRECs are due.
    order: [VecDeque<u16>; 2],
    /// PUBCOMPs that are due, and their reason codes if there is no doubt.
    completions: VecDeque<(u16, Option<u8>)>,
    /// PUBRELs that were read and not answered when their connection was over: the client may not
    /// have come to them.
    unheard: BTreeSet<u16>,
    /// Copies came of these when their answer may have been on its way: it may leave once more.
    /// Whether that would be the answer to a message of its own.
    doubtful: Vec<(u16, bool)>,
    /// Bounds of the window, for the record.
    in_flight: usize,
}

impl Receiving {
    fn arrive(&mut self, publish: &Publish<'_>, size: usize, number: u32, how: How) -> usize {
        let index = self.arrivals.len();
        let before = self.latest.insert(number, index).unwrap_or(NONE);
        let marks = marks_of(publish, size);
        self.arrivals.push(Arrival {
            number,
            qos: publish.qos,
            marks,
            copy_marks: marks,
            before,
            delivered: Vec::new(),
            token: None,
            settled: Vec::new(),
            answered: false,
            excused: how != How::Claimed,
            optional: how == How::Again,
        });
        index
    }

    /// All arrivals of a message, the latest first.
    pub(super) fn arrivals_of(&self, number: u32) -> Vec<&impl std::fmt::Debug> {
        let mut all = Vec::new();
        let mut at = self.latest.get(&number).copied();
        while let Some(arrival) = at.and_then(|at| self.arrivals.get(at)) {
            all.push(arrival);
            at = Some(arrival.before);
        }
        all
    }

    pub(super) const fn count(&self) -> usize {
        self.arrivals.len()
    }

    /// Whether no stream has gone that it may have waited in.
    pub(super) fn is_in_place(&self, arrival: usize) -> bool {
        self.arrivals
            .get(arrival)
            .is_some_and(|arrival| !arrival.excused)
    }

    pub(super) fn number(&self, arrival: usize) -> Option<u32> {
        self.arrivals.get(arrival).map(|arrival| arrival.number)
    }

    /// The arrival that a stream has most likely given out: one with this token, or else the oldest
    /// that it has not had; and whether it can be no other.
    pub(super) fn take(&mut self, stream: StreamId, taken: &Taken) -> Option<(usize, bool)> {
        let mut candidates = 0;
        let mut best: Option<([bool; 4], usize)> = None;
        let mut at = self.latest.get(&taken.number).copied().unwrap_or(NONE);
        while let Some(arrival) = self.arrivals.get(at) {
            let same = arrival.qos == taken.qos
                && (arrival.marks == taken.marks || arrival.copy_marks == taken.marks);
            let known = arrival
                .token
                .is_some_and(|token| Some(token) != taken.token);
            candidates += usize::from(same);
            if same && !known && !arrival.delivered.contains(&stream) {
                let later = at >= taken.from;
                let exact = arrival.marks == taken.marks;
                let rank = [arrival.token.is_some(), exact, later, !arrival.optional];
                if best.is_none_or(|(best, _)| rank >= best) {
                    best = Some((rank, at));
                }
            }
            at = arrival.before;
        }
        let (_, index) = best?;
        let arrival = self.arrivals.get_mut(index)?;
        arrival.delivered.push(stream);
        arrival.token = taken.token;
        Some((index, candidates == 1))
    }

    pub(super) fn settle(&mut self, arrival: usize, code: u8) {
        let is_full = |arrival: &Arrival| arrival.settled.len() >= arrival.delivered.len();
        let other = match self.arrivals.get(arrival) {
            Some(it) if is_full(it) => self.twin(arrival, |twin| !is_full(twin)),
            _ => None,
        };
        if let Some(arrival) = self.arrivals.get_mut(other.unwrap_or(arrival)) {
            arrival.settled.push(code);
        }
    }

    /// Another arrival of the same message that looks the same. Which of them a stream gave out is a
    /// guess, and what follows from it holds for both.
    fn twin(&self, arrival: usize, wanted: impl Fn(&Arrival) -> bool) -> Option<usize> {
        let original = self.arrivals.get(arrival)?;
        let mut at = self.latest.get(&original.number).copied()?;
        while let Some(twin) = self.arrivals.get(at) {
            let alike = twin.qos == original.qos && twin.marks == original.marks;
            if at != arrival && alike && wanted(twin) {
                return Some(at);
            }
            at = twin.before;
        }
        None
    }

    /// Answers an arrival with this code, or one that it was mistaken for. Whether that may be.
    fn answer(&mut self, arrival: usize, code: u8) -> bool {
        let Some(original) = self.arrivals.get(arrival) else {
            return false;
        };
        if !original.is_answered_by(code) {
            let allowed = original.allows(code);
            let twin = self.twin(arrival, |it| !it.answered && it.is_answered_by(code));
            let twin = twin.or_else(|| self.twin(arrival, |it| !it.answered && it.allows(code)));
            match twin {
                Some(twin) => self.exchange_guesses(arrival, twin),
                None if allowed => {}
                None => return false,
            }
        }
        if let Some(arrival) = self.arrivals.get_mut(arrival) {
            arrival.answered = true;
        }
        true
    }

    fn exchange_guesses(&mut self, one: usize, two: usize) {
        let guess = |arrival: &Arrival| {
            let delivered = arrival.delivered.clone();
            (
                delivered,
                arrival.settled.clone(),
                arrival.token,
                arrival.excused,
            )
        };
        let Some((first, second)) = self.arrivals.get(one).zip(self.arrivals.get(two)) else {
            return;
        };
        for (index, guess) in [(one, guess(second)), (two, guess(first))] {
            if let Some(arrival) = self.arrivals.get_mut(index) {
                let (delivered, settled, token, excused) = guess;
                arrival.delivered = delivered;
                arrival.settled = settled;
                arrival.token = token;
                arrival.excused = excused;
            }
        }
    }

    pub(super) fn excuse(&mut self, wants: impl Fn(usize) -> bool, messages: &Messages) {
        for arrival in &mut self.arrivals {
            if messages
                .get(arrival.number)
                .is_some_and(|made| wants(made.topic))
            {
                arrival.excused = true;
            }
        }
    }

    pub(super) fn closed(&mut self) {
        self.order = Default::default();
        self.unheard
            .extend(self.completions.drain(..).map(|(id, _)| id));
        self.doubtful.clear();
        self.in_flight = 0;
        for exchange in self.exchanges.values_mut() {
            exchange.here = false;
        }
    }

    pub(super) fn lose_session(&mut self) {
        self.exchanges.clear();
        self.closed();
        self.unheard.clear();
    }

    /// Whether some arrival of the same message allows this answer.
    fn some_allows(&self, arrival: usize, code: u8) -> bool {
        let number = self.number(arrival);
        let mut at = number.and_then(|number| self.latest.get(&number).copied());
        while let Some(arrival) = at.and_then(|at| self.arrivals.get(at)) {
            if arrival.allows(code) {
                return true;
            }
            at = Some(arrival.before);
        }
        false
    }

    /// The server's PUBREL.
    pub(super) fn released(&mut self, packet_id: u16) {
        let known = self.exchanges.get(&packet_id).filter(|it| it.qos == 2);
        let code = match known.map(|exchange| exchange.state) {
            Some(State::Received) => Some(0),
            None if self.unheard.contains(&packet_id) => None,
            _ => Some(0x92),
        };
        if known.is_some() {
            self.in_flight = self.in_flight.saturating_sub(1);
            // A second PUBREC that was on its way leaves all the same, for nothing.
            for (id, own) in &mut self.doubtful {
                *own &= *id != packet_id;
            }
            if code == Some(0) && self.order[1].contains(&packet_id) {
                self.doubtful.push((packet_id, false));
            }
            self.exchanges.remove(&packet_id);
            self.order[1].retain(|id| *id != packet_id);
        }
        self.completions.push_back((packet_id, code));
    }

    pub(super) fn at_rest(&self, lenient: bool, world: &World<'_>) -> Judged {
        if let Some((id, exchange)) = self.exchanges.iter().find(|(_, it)| it.here) {
            return broken(
                "every message is answered",
                format_args!("{id}: {exchange:?}"),
            );
        }
        if let Some(owed) = self.completions.front() {
            return broken("every PUBREL gets its PUBCOMP", format_args!("{owed:?}"));
        }
        let lost = self.arrivals.iter().enumerate().find(|(index, arrival)| {
            !lenient
                && arrival.qos > 0
                && arrival.delivered.is_empty()
                && !arrival.excused
                && !arrival.optional
                && self
                    .twin(*index, |twin| twin.excused && !twin.delivered.is_empty())
                    .is_none()
        });
        match lost {
            Some((_, arrival)) => broken(
                "QoS 1 and 2 are never lost",
                format_args!("{arrival:?}, {:?}", world.messages.get(arrival.number)),
            ),
            None => Ok(()),
        }
    }
}

impl Judge {
    /// Whether streams can end on this connection because their filters do not fit it.
    fn restricts_subscriptions(&self) -> bool {
        let limits = self.connection.as_ref().and_then(|it| it.limits.as_ref());
        limits.is_some_and(|it| !(it.wildcards && it.identifiers && it.shared))
    }

    pub(super) fn read_publish(
        &mut self,
        publish: &Publish<'_>,
        size: usize,
        world: &mut World<'_>,
    ) -> Judged {
        let number = world.messages.check(publish.payload);
        let Some((number, made)) = number.and_then(|it| Some((it, world.messages.get(it)?))) else {
            if self.tainted {
                return Ok(());
            }
            return broken("the broker sends what was published", "an unknown payload");
        };
        let identifiers = publish.properties.numbers(Property::SubscriptionIdentifier);
        let restricted = self.restricts_subscriptions();
        let claimed = !restricted && self.streams.claim(made.topic, identifiers, world.matching);
        let qos = publish.qos;
        let how = if claimed {
            How::Claimed
        } else {
            How::Unclaimed
        };
        if qos == 0 {
            self.receiving.arrive(publish, size, number, how);
            return Ok(());
        }
        let receiving = &mut self.receiving;
        let id = publish.packet_id;
        let row = usize::from(qos == 2);
        if let Some(exchange) = receiving.exchanges.get_mut(&id) {
            let same = exchange.number == number && exchange.qos == qos;
            let settled = receiving
                .arrivals
                .get(exchange.arrival)
                .is_some_and(|arrival| !arrival.settled.is_empty() || arrival.excused)
                || self.asked.refuses_stalled
                || self.asked.gives_up;
            // A copy of a message of QoS 1 is one only if it says so (`3.3.1-1`).
            let copy = same && (qos == 2 || exchange.here || publish.dup);
            if copy {
                world.tally.repeated += 1;
                if let Some(arrival) = receiving.arrivals.get_mut(exchange.arrival)
                    && arrival.delivered.is_empty()
                {
                    arrival.copy_marks = marks_of(publish, size);
                }
                if !exchange.here {
                    exchange.here = true;
                    receiving.in_flight += 1;
                    receiving.order[row].push_back(id);
                } else if exchange.state == State::Received && !receiving.order[row].contains(&id) {
                    receiving.order[row].push_back(id);
                } else if settled {
                    receiving.doubtful.push((id, true));
                }
                // Its answer may have left with the connection, as far as the client knows.
                if settled && exchange.state == State::Owed {
                    let again = receiving.arrive(publish, size, number, How::Again);
                    if let Some(exchange) = receiving.exchanges.get_mut(&id) {
                        exchange.again = again;
                    }
                }
                return Ok(());
            }
            receiving.order[usize::from(exchange.qos == 2)].retain(|other| *other != id);
        }
        let arrival = receiving.arrive(publish, size, number, how);
        receiving.exchanges.insert(
            id,
            Exchange {
                number,
                qos,
                arrival,
                again: NONE,
                state: State::Owed,
                here: true,
            },
        );
        receiving.in_flight += 1;
        receiving.order[row].push_back(id);
        if receiving.in_flight > usize::from(self.asked.receive_maximum) {
            world.tally.excess += 1;
        }
        Ok(())
    }

    /// PUBACK, PUBREC or PUBCOMP by the client.
    pub(super) fn sent_ack(&mut self, kind: AckKind, packet_id: u16, code: u8) -> Judged {
        if self.tainted {
            return Ok(());
        }
        let receiving = &mut self.receiving;
        if kind == AckKind::Pubcomp {
            return match receiving.completions.pop_front() {
                Some((id, due)) if id == packet_id && due.unwrap_or(code) == code => {
                    receiving.unheard.remove(&id);
                    Ok(())
                }
                expected => broken(
                    "each PUBREL gets its PUBCOMP, in order",
                    format_args!("{packet_id} {code:#04x}, expected {expected:?}"),
                ),
            };
        }
        let row = usize::from(kind == AckKind::Pubrec);
        let expected = receiving.order[row].pop_front();
        if expected != Some(packet_id)
            && let Some(index) = receiving
                .doubtful
                .iter()
                .position(|(id, _)| *id == packet_id)
        {
            let (_, own) = receiving.doubtful.swap_remove(index);
            if own && kind == AckKind::Pubrec && code < 0x80 {
                // The copy was a message of its own if its original was refused before it came.
                let exchange = receiving.exchanges.entry(packet_id).or_insert(Exchange {
                    number: u32::MAX,
                    qos: 2,
                    arrival: NONE,
                    again: NONE,
                    state: State::Received,
                    here: true,
                });
                exchange.state = State::Received;
            }
            receiving.order[row].extend(expected);
            receiving.order[row].rotate_right(usize::from(expected.is_some()));
            return Ok(());
        }
        if expected != Some(packet_id) {
            return broken(
                "acknowledgements leave in the order of the messages",
                format_args!("{kind:?} {packet_id}, expected {expected:?}"),
            );
        }
        let Some(exchange) = receiving.exchanges.get_mut(&packet_id) else {
            return broken("only messages are acknowledged", packet_id);
        };
        let again = exchange.state == State::Received;
        let copies = [exchange.arrival, exchange.again];
        if kind == AckKind::Pubrec && code < 0x80 {
            exchange.state = State::Received;
        } else {
            receiving.exchanges.remove(&packet_id);
            receiving.in_flight = receiving.in_flight.saturating_sub(1);
        }
        // Of several arrivals of one message, those that were refused for being in the way cannot be
        // told from the others.
        let refuses = self.asked.refuses_stalled || self.asked.gives_up;
        let stalled = refuses && (code == 0x97 || receiving.some_allows(copies[0], code));
        let answered = copies.iter().any(|at| receiving.answer(*at, code));
        if stalled || (again && code == 0) || answered {
            return Ok(());
        }
        broken(
            "nothing is acknowledged before the application has",
            format_args!(
                "{kind:?} {code:#04x} for {:?}",
                receiving.arrivals.get(copies[0])
            ),
        )
    }
}
