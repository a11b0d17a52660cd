//! Which streams the application has, and what each may be given.

use std::collections::{BTreeMap, BTreeSet};

use mqtt5_client::Message;
use mqtt5_client::proto::packet::SubscriptionIdentifier;
use mqtt5_client::proto::session::AckToken;

use super::receiving::{Taken, marks};
use super::{Judge, Judged, World, broken};
use crate::universe::{FILTERS, Matching, REFUSED_FILTER};

/// A stream of one client.
pub(crate) type StreamId = usize;

#[derive(Debug)]
struct Stream {
    /// `None`: what no other stream claims.
    filters: Option<Vec<usize>>,
    /// Those of its filters that the server has refused, or did not take on some connection.
    lacks: BTreeSet<usize>,
    /// Its SUBSCRIBE, with all of its filters, was answered. Until then it fails as a whole.
    answered: bool,
    alive: bool,
    /// The first arrival after it was made.
    born: usize,
    /// The latest arrival that was taken.
    latest: Option<usize>,
    /// Taken by a consumer that has gone: they come again.
    given_back: Vec<(usize, AckToken)>,
}

#[derive(Debug, Default)]
pub(crate) struct Streams {
    all: Vec<Stream>,
    /// The filters of each Subscription Identifier: it goes by itself for each that is restored.
    names: BTreeMap<u32, Vec<usize>>,
    /// A filter was refused that messages could come by: which filters hold is not followed any more.
    refused: bool,
}

impl Streams {
    pub(super) fn named(&mut self, identifier: u32, filters: &[usize]) {
        self.names
            .entry(identifier)
            .or_default()
            .extend_from_slice(filters);
    }

    pub(super) fn refused(&mut self, filter: usize) {
        self.refused |= FILTERS[filter] != REFUSED_FILTER;
        for stream in &mut self.all {
            let mut filters = stream.filters.iter().flatten();
            if filters.any(|other| *other == filter) {
                stream.lacks.insert(filter);
            }
        }
    }

    /// A SUBSCRIBE with these filters was answered. If it can be that of several streams, none of
    /// them is known to have its answer.
    pub(super) fn answered(&mut self, filters: &[usize]) {
        let asked: BTreeSet<_> = filters.iter().collect();
        let mut waiting = self.all.iter_mut().filter(|stream| {
            let wanted = stream.filters.as_ref();
            !stream.answered && wanted.is_some_and(|it| asked == it.iter().collect())
        });
        if let (Some(stream), None) = (waiting.next(), waiting.next()) {
            stream.answered = true;
        }
    }

    /// The streams that there are have no right to some filters. `too_large`: nor to a SUBSCRIBE of
    /// several.
    pub(super) fn do_without(&mut self, filters: impl Fn(usize) -> bool, too_large: bool) {
        for stream in &mut self.all {
            let lacked = stream.filters.iter().flatten().copied();
            let lacked: Vec<usize> = lacked.filter(|filter| filters(*filter)).collect();
            if !stream.answered && (too_large || !lacked.is_empty()) {
                stream.lacks.extend(stream.filters.iter().flatten());
            }
            stream.lacks.extend(lacked);
        }
    }

    pub(super) fn is_alive(&self, id: StreamId) -> bool {
        self.all.get(id).is_some_and(|stream| stream.alive)
    }

    pub(super) fn lacks_something(&self, id: StreamId) -> bool {
        self.all
            .get(id)
            .is_some_and(|stream| !stream.lacks.is_empty())
    }

    /// Whether there is a filter that the server has not refused to a stream.
    pub(super) fn has_hope(&self, id: StreamId) -> bool {
        self.all.get(id).is_some_and(|stream| {
            let mut filters = stream.filters.iter().flatten();
            stream.filters.is_none() || filters.any(|filter| !stream.lacks.contains(filter))
        })
    }

    /// What the streams that go on have a right to.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (StreamId, usize)> {
        let streams = self.all.iter().enumerate();
        streams
            .filter(|(_, stream)| stream.alive)
            .flat_map(|(id, stream)| {
                let filters = stream.filters.iter().flatten().copied();
                let had = filters.filter(|filter| !stream.lacks.contains(filter));
                had.map(move |filter| (id, filter))
            })
    }

    /// Whether some stream has to get a message that comes by these identifiers.
    pub(super) fn claim(
        &self,
        topic: usize,
        identifiers: impl Iterator<Item = u32>,
        matching: &Matching,
    ) -> bool {
        let mut named = Vec::new();
        let mut any = false;
        for identifier in identifiers {
            any = true;
            named.extend(self.names.get(&identifier).into_iter().flatten().copied());
        }
        let alive = |filter: usize| {
            let streams = self.all.iter().filter(|stream| stream.alive);
            streams
                .flat_map(|stream| stream.filters.iter().flatten())
                .any(|it| *it == filter)
        };
        if self.refused {
            return false;
        }
        if !any {
            return (0..FILTERS.len()).any(|filter| matching.holds(filter, topic) && alive(filter));
        }
        // It may have come by a filter whose stream has gone since.
        named.retain(|filter| matching.holds(*filter, topic));
        !named.is_empty() && named.into_iter().all(alive)
    }

    fn takes(&self, stream: StreamId, topic: usize, matching: &Matching) -> bool {
        self.all.get(stream).is_some_and(|stream| {
            let filters = stream.filters.as_ref();
            filters
                .is_none_or(|filters| filters.iter().any(|filter| matching.holds(*filter, topic)))
        })
    }
}

impl Judge {
    /// A stream was asked for. `None`: the one of messages that no other claims.
    pub(crate) fn stream_made(&mut self, filters: Option<Vec<usize>>) -> StreamId {
        self.streams.all.push(Stream {
            filters,
            lacks: BTreeSet::new(),
            answered: false,
            alive: true,
            born: self.receiving.count(),
            latest: None,
            given_back: Vec::new(),
        });
        self.limit_streams();
        self.streams.all.len() - 1
    }

    /// Its last handle was dropped: what waited in it may be discarded.
    pub(crate) fn stream_gone(&mut self, id: StreamId, world: &World<'_>) {
        if let Some(stream) = self.streams.all.get_mut(id) {
            stream.alive = false;
        }
        let streams = &self.streams;
        self.receiving.excuse(
            |topic| streams.takes(id, topic, world.matching),
            world.messages,
        );
    }

    /// A stream has given out a message. Returns which arrival it was.
    pub(crate) fn delivered(
        &mut self,
        id: StreamId,
        message: &Message,
        world: &mut World<'_>,
    ) -> Judged<usize> {
        let (topic, qos) = (message.topic(), message.qos() as u8);
        let number = world.messages.check(message.payload());
        let Some((number, made)) = number.and_then(|it| Some((it, world.messages.get(it)?))) else {
            if self.tainted {
                return Ok(usize::MAX);
            }
            return broken("what arrives is what was published", "an unknown payload");
        };
        if self.tainted {
            return Ok(usize::MAX);
        }
        if crate::universe::TOPICS[made.topic] != topic {
            return broken(
                "what arrives is what was published",
                format_args!("message {number}"),
            );
        }
        if !self.streams.takes(id, made.topic, world.matching) {
            return broken(
                "a stream gets what it asked for",
                format_args!("message {number}"),
            );
        }
        world.tally.delivered[usize::from(qos.min(2))] += 1;
        let Some(stream) = self.streams.all.get_mut(id) else {
            return broken("a stream gets what it asked for", "no such stream");
        };
        let back = stream.given_back.iter().position(|(arrival, token)| {
            Some(*token) == message.token() && self.receiving.number(*arrival) == Some(number)
        });
        if let Some(index) = back {
            world.tally.given_back += 1;
            return Ok(stream.given_back.remove(index).0);
        }
        let properties = message.properties();
        let identifiers = properties
            .subscription_identifiers()
            .map(SubscriptionIdentifier::get);
        let (dup, retain) = (message.dup(), message.retain());
        let marks = marks(dup, retain, message.packet_size(), identifiers);
        let taken = Taken {
            number,
            qos,
            marks,
            token: message.token(),
            from: stream
                .latest
                .map_or(stream.born, |latest| stream.born.max(latest + 1)),
        };
        let Some((arrival, certain)) = self.receiving.take(id, &taken) else {
            return broken(
                "a message is delivered once",
                format_args!(
                    "message {number} of QoS {qos} to stream {id}: {taken:?} of {:?}",
                    self.receiving.arrivals_of(number)
                ),
            );
        };
        if !certain {
            return Ok(arrival);
        }
        if stream.latest.is_some_and(|latest| latest > arrival)
            && self.receiving.is_in_place(arrival)
        {
            return broken("a stream keeps the order", format_args!("message {number}"));
        }
        stream.latest = stream.latest.max(Some(arrival));
        Ok(arrival)
    }

    /// The application is done with a message.
    pub(crate) fn settled(&mut self, arrival: usize, code: u8) {
        self.receiving.settle(arrival, code);
    }

    /// Whether this is the stream of messages that no other claims.
    pub(crate) fn is_unclaimed(&self, id: StreamId) -> bool {
        self.streams
            .all
            .get(id)
            .is_some_and(|stream| stream.alive && stream.filters.is_none())
    }

    /// A consumer has gone without acknowledging this: others get it.
    pub(crate) fn gave_back(&mut self, id: StreamId, arrival: usize, message: &Message) {
        if let Some(stream) = self.streams.all.get_mut(id)
            && let Some(token) = message.token()
        {
            stream.given_back.push((arrival, token));
        }
    }
}
