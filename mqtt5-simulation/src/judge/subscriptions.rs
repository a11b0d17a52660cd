//! Which subscriptions the server holds, as the wire shows it. A stream lives as long as one of its
//! filters can be had, and at rest it has all of those.

use std::collections::{BTreeMap, BTreeSet};

use mqtt5_client::proto::session::Rule;
use mqtt5_client::{StreamEnd, SubscribeError};

use super::connection::Limits;
use super::{Judge, Judged, StreamId, World, broken};
use crate::universe::FILTERS;

/// The largest SUBSCRIBE of the simulated world is smaller than this.
const LARGEST_SUBSCRIBE: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Granted in this session, and not unsubscribed since.
    granted: BTreeSet<usize>,
    /// When an UNSUBSCRIBE last had a filter: the how manieth request that was.
    left: BTreeMap<usize, u64>,
    requests: u64,
}

impl Subscriptions {
    pub(super) fn lose_session(&mut self) {
        self.granted.clear();
    }

    /// Counts a request.
    pub(super) const fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// An UNSUBSCRIBE has left. Whether it was heard or not, nothing can be relied on any more.
    pub(super) fn leave(&mut self, filter: usize, request: u64) {
        self.granted.remove(&filter);
        self.left.insert(filter, request);
    }

    /// The answer to a SUBSCRIBE.
    pub(super) fn grant(&mut self, filter: usize, request: u64) {
        if self.left.get(&filter).is_none_or(|left| *left < request) {
            self.granted.insert(filter);
        }
    }
}

impl Limits {
    /// Whether a filter may be subscribed to.
    pub(super) fn take_filter(&self, filter: &str) -> bool {
        (self.wildcards || !filter.contains(['+', '#']))
            && (self.shared || !filter.starts_with("$share/"))
    }
}

impl Judge {
    /// Streams have to do without what the server does not take on this connection.
    pub(super) fn limit_streams(&mut self) {
        let limits = self.connection.as_ref().and_then(|it| it.limits.as_ref());
        if let Some(limits) = limits {
            let too_large = limits.maximum_packet_size < LARGEST_SUBSCRIBE;
            self.streams
                .do_without(|filter| !limits.take_filter(FILTERS[filter]), too_large);
        }
    }

    /// A stream has ended without having been asked to. `None`: it is gone, and does not say why.
    pub(crate) fn stream_ended(
        &mut self,
        id: StreamId,
        end: Option<&StreamEnd>,
        world: &World<'_>,
    ) -> Judged {
        if !self.streams.is_alive(id) {
            return Ok(());
        }
        let true_one = match end {
            Some(StreamEnd::Closed(_)) => self.closing,
            Some(StreamEnd::Refused(_) | StreamEnd::NotPossible) => !self.streams.has_hope(id),
            _ => false,
        };
        if !true_one && !self.tainted {
            return broken(
                "a stream ends only for a reason",
                format_args!("stream {id}: {end:?}"),
            );
        }
        self.stream_gone(id, world);
        Ok(())
    }

    /// A subscribe has failed.
    pub(crate) fn not_subscribed(
        &mut self,
        id: StreamId,
        error: &SubscribeError,
        world: &World<'_>,
    ) -> Judged {
        let true_one = match error {
            SubscribeError::Closed(_) | SubscribeError::NotAccepted(Rule::Closing) => self.closing,
            SubscribeError::NotAccepted(Rule::QueueFull) => true,
            SubscribeError::NotAccepted(_) => self.streams.lacks_something(id),
            SubscribeError::Refused { .. } => !self.streams.has_hope(id),
            _ => false,
        };
        if !true_one && !self.tainted {
            return broken(
                "a subscribe fails only for a reason",
                format_args!("stream {id}: {error}"),
            );
        }
        self.stream_gone(id, world);
        Ok(())
    }

    /// Every stream that goes on gets what it asked for, as far as the server lets it.
    pub(super) fn subscribed_at_rest(&self) -> Judged {
        let missing = self
            .streams
            .wanted()
            .find(|(_, filter)| !self.subscriptions.granted.contains(filter));
        match missing {
            Some((id, filter)) => broken(
                "a stream keeps its subscriptions",
                format_args!("stream {id} lacks {}", FILTERS[filter]),
            ),
            None => Ok(()),
        }
    }
}
