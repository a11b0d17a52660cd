//! Arrivals of messages, and which of them a stream has given out.

use mqtt5_client::proto::session::AckToken;

use super::{NONE, Receiving};
use crate::judge::StreamId;
use crate::universe::Messages;
use crate::wire::{Property, Publish};

/// One PUBLISH that came.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) number: u32,
    pub(super) qos: u8,
    /// Its marks, by which copies of one message can mostly be told apart.
    pub(super) marks: u32,
    /// Those of its latest copy: the first may have been read and not looked at when the link broke.
    pub(super) copy_marks: u32,
    /// The arrival of the same message before it.
    pub(super) before: usize,
    pub(super) delivered: Vec<StreamId>,
    /// By what the application acknowledges it, once that is known: what tells two arrivals of the
    /// same message apart.
    pub(super) token: Option<AckToken>,
    pub(super) settled: Vec<u8>,
    /// The code of the PUBACK or PUBREC that has left.
    pub(super) answered: Option<u8>,
    /// No stream claims it, or one that did has gone.
    pub(super) excused: bool,
    /// It may be a copy of this arrival: the client is free to deliver it or not, also in its place.
    pub(super) copy_of: Option<usize>,
}

/// Mixes what is particular about one PUBLISH into one number.
pub(in crate::judge) fn marks(
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

pub(super) fn marks_of(publish: &Publish<'_>, size: usize) -> u32 {
    let identifiers = publish.properties.numbers(Property::SubscriptionIdentifier);
    marks(publish.dup, publish.retain, size, identifiers)
}

/// What has to become of a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Some stream has to get it.
    Claimed,
    Unclaimed,
    /// It may be delivered a second time: it is a copy of this arrival.
    Again(usize),
}

/// A message that a stream gave out.
#[derive(Debug)]
pub(in crate::judge) struct Taken {
    pub(in crate::judge) number: u32,
    pub(in crate::judge) qos: u8,
    pub(in crate::judge) marks: u32,
    pub(in crate::judge) token: Option<AckToken>,
    /// It is rather one of the arrivals from this on.
    pub(in crate::judge) from: usize,
}

impl Arrival {
    /// Whether the application has given this answer.
    fn is_answered_by(&self, code: u8) -> bool {
        let done = !self.settled.is_empty() && self.settled.len() >= self.delivered.len();
        done && self.settled.iter().copied().max() == Some(code)
    }

    /// Whether the application, or the want of one, allows this answer.
    fn allows(&self, code: u8) -> bool {
        (self.excused && self.copy_of.is_none()) || self.is_answered_by(code)
    }
}

impl Receiving {
    pub(super) fn arrive(
        &mut self,
        publish: &Publish<'_>,
        size: usize,
        number: u32,
        how: How,
    ) -> usize {
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
            answered: None,
            excused: how != How::Claimed,
            copy_of: match how {
                How::Again(original) => Some(original),
                How::Claimed | How::Unclaimed => None,
            },
        });
        index
    }

    /// All arrivals of a message, the latest first.
    pub(in crate::judge) fn arrivals_of(&self, number: u32) -> Vec<&impl std::fmt::Debug> {
        let mut all = Vec::new();
        let mut at = self.latest.get(&number).copied();
        while let Some(arrival) = at.and_then(|at| self.arrivals.get(at)) {
            all.push(arrival);
            at = Some(arrival.before);
        }
        all
    }

    pub(in crate::judge) const fn count(&self) -> usize {
        self.arrivals.len()
    }

    /// Whether no stream has gone that it may have waited in.
    pub(in crate::judge) fn is_in_place(&self, arrival: usize) -> bool {
        self.arrivals
            .get(arrival)
            .is_some_and(|arrival| !arrival.excused)
    }

    pub(in crate::judge) fn number(&self, arrival: usize) -> Option<u32> {
        self.arrivals.get(arrival).map(|arrival| arrival.number)
    }

    /// The arrival that a stream has most likely given out: one with this token, or else the oldest
    /// that it has not had; and whether it can be no other.
    pub(in crate::judge) fn take(
        &mut self,
        stream: StreamId,
        taken: &Taken,
    ) -> Option<(usize, bool)> {
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
                let first = arrival.copy_of.is_none();
                let rank = [arrival.token.is_some(), exact, later, first];
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

    pub(in crate::judge) fn settle(&mut self, arrival: usize, code: u8) {
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
    pub(super) fn twin(&self, arrival: usize, wanted: impl Fn(&Arrival) -> bool) -> Option<usize> {
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
    pub(super) fn answer(&mut self, arrival: usize, code: u8) -> bool {
        let Some(original) = self.arrivals.get(arrival) else {
            return false;
        };
        if !original.is_answered_by(code) {
            let allowed = original.allows(code);
            let is_open = |it: &Arrival| it.answered.is_none();
            let twin = self
                .twin(arrival, |it| is_open(it) && it.is_answered_by(code))
                .or_else(|| self.twin(arrival, |it| is_open(it) && it.allows(code)));
            // One whose answer left before can have been taken for this one, too, if what is known
            // of either fits the other's answer.
            let twin = twin.or_else(|| {
                let fits = |it: &Arrival| it.answered.is_some_and(|sent| original.allows(sent));
                let wanted = |it: &Arrival| it.is_answered_by(code) && fits(it);
                self.twin(arrival, wanted).filter(|_| !allowed)
            });
            match twin {
                Some(twin) => self.exchange_guesses(arrival, twin),
                None if allowed => {}
                None => return false,
            }
        }
        if let Some(arrival) = self.arrivals.get_mut(arrival) {
            arrival.answered = Some(code);
        }
        true
    }

    /// What the application did with each of two arrivals, it did with the other.
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

    pub(in crate::judge) fn excuse(&mut self, wants: impl Fn(usize) -> bool, messages: &Messages) {
        for arrival in &mut self.arrivals {
            if messages
                .get(arrival.number)
                .is_some_and(|made| wants(made.topic))
            {
                arrival.excused = true;
            }
        }
    }

    /// Whether some arrival of the same message allows this answer.
    pub(super) fn some_allows(&self, arrival: usize, code: u8) -> bool {
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
}
