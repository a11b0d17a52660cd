//! What the server sends: which PUBLISH is a new message, and which acknowledgement may leave.

mod arrivals;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Judge, Judged, World, broken};
use crate::wire::{AckKind, Property, Publish};
use arrivals::{Arrival, How, marks_of};
pub(super) use arrivals::{Taken, marks};

/// No earlier arrival.
const NONE: usize = usize::MAX;

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
        let delivered = self.arrivals.iter().filter(|it| !it.delivered.is_empty());
        let copied: BTreeSet<usize> = delivered.filter_map(|it| it.copy_of).collect();
        let lost = self.arrivals.iter().enumerate().find(|(index, arrival)| {
            !lenient
                && arrival.qos > 0
                && arrival.delivered.is_empty()
                && !arrival.excused
                && arrival.copy_of.is_none()
                && !copied.contains(index)
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
                let original = exchange.arrival;
                if settled && exchange.state == State::Owed {
                    let again = receiving.arrive(publish, size, number, How::Again(original));
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
