//! Which streams a message goes to (sections 3.3.4 and 4.7).
//!
//! By Subscription Identifier where the server knows them, confirmed by a match of the filter; by
//! the filters alone for a message without an identifier, or with one that is not known or does not
//! fit.

use std::collections::{HashMap, VecDeque};

use mqtt5_proto::TopicFilter;
use mqtt5_proto::packet::{Subscription, SubscriptionIdentifier, UserProperty};
use mqtt5_proto::session::Message;
use smallvec::SmallVec;

use crate::filter_tree::FilterTree;
use crate::numbers::NumberMap;
use crate::streams::StreamKey;

/// How many identifiers of earlier requests a route remembers. Messages with a forgotten one are
/// routed by the filters.
const MAX_OLDER: usize = 4;

/// How many filters are remembered that were unsubscribed.
const MAX_LEFT: usize = 256;

/// Names a route.
pub(crate) type RouteKey = u64;

/// One filter that is, or is to be, subscribed to. What every message touches is in front.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Route {
    /// As it was last asked for.
    pub(crate) subscription: Subscription,
    pub(crate) streams: SmallVec<[StreamKey; 2]>,
    pub(crate) identifier: Option<SubscriptionIdentifier>,
    /// Those before it, which the server may use until it has granted the subscription by it.
    older: Vec<SubscriptionIdentifier>,
    pub(crate) user_properties: Vec<UserProperty>,
    /// Whether the server has said yes.
    pub(crate) granted: bool,
    /// It is being unsubscribed.
    pub(crate) leaving: bool,
    /// SUBSCRIBEs without an answer.
    pub(crate) pending: usize,
}

/// All routes.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    routes: NumberMap<RouteKey, Route>,
    by_filter: HashMap<TopicFilter, RouteKey>,
    by_identifier: NumberMap<u32, SmallVec<[RouteKey; 2]>>,
    tree: FilterTree,
    last_identifier: u32,
    /// Filters that were unsubscribed, the oldest first. The server may still have messages for
    /// them, which nobody is going to claim.
    left: VecDeque<TopicFilter>,
}

impl Routes {
    pub(crate) fn get(&self, key: RouteKey) -> Option<&Route> {
        self.routes.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: RouteKey) -> Option<&mut Route> {
        self.routes.get_mut(&key)
    }

    pub(crate) fn find(&self, filter: &TopicFilter) -> Option<RouteKey> {
        self.by_filter.get(filter).copied()
    }

    pub(crate) fn keys(&self) -> Vec<RouteKey> {
        let mut keys: Vec<_> = self.routes.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// An identifier that no route has; `None` if all 268,435,455 are taken.
    pub(crate) fn new_identifier(&mut self) -> Option<SubscriptionIdentifier> {
        for _ in 0..=self.by_identifier.len() {
            let next = SubscriptionIdentifier::new(self.last_identifier + 1);
            let identifier = next.or(SubscriptionIdentifier::new(1))?;
            self.last_identifier = identifier.get();
            if !self.by_identifier.contains_key(&identifier.get()) {
                return Some(identifier);
            }
        }
        None
    }

    /// Adds a route, or takes over what is asked of the one that is there.
    pub(crate) fn add(
        &mut self,
        new_key: RouteKey,
        subscription: Subscription,
        identifier: Option<SubscriptionIdentifier>,
        user_properties: &[UserProperty],
    ) -> RouteKey {
        self.left.retain(|left| *left != subscription.filter);
        let key = *self
            .by_filter
            .entry(subscription.filter.clone())
            .or_insert_with(|| {
                self.tree.insert(&subscription.filter, new_key);
                new_key
            });
        let route = self.routes.entry(key).or_insert_with(|| Route {
            subscription: subscription.clone(),
            identifier: None,
            older: Vec::new(),
            user_properties: Vec::new(),
            streams: SmallVec::new(),
            granted: false,
            leaving: false,
            pending: 0,
        });
        route.subscription = subscription;
        route.user_properties = user_properties.to_vec();
        self.set_identifier(key, identifier);
        key
    }

    /// The route goes by another identifier from now on, or by none; by the one before too, until
    /// that is [forgotten](Self::forget_older).
    pub(crate) fn set_identifier(
        &mut self,
        key: RouteKey,
        identifier: Option<SubscriptionIdentifier>,
    ) {
        let Some(route) = self.routes.get_mut(&key) else {
            return;
        };
        let old = std::mem::replace(&mut route.identifier, identifier);
        if old == identifier {
            return;
        }
        route.older.extend(old);
        route.older.retain(|older| Some(*older) != identifier);
        let too_many = route.older.len() > MAX_OLDER;
        let forgotten = too_many.then(|| route.older.remove(0));
        self.forget_identifiers(key, forgotten);
        if let Some(identifier) = identifier {
            let routes = self.by_identifier.entry(identifier.get()).or_default();
            if !routes.contains(&key) {
                routes.push(key);
            }
        }
    }

    /// The server has granted the subscription by its present identifier.
    pub(crate) fn forget_older(&mut self, key: RouteKey) {
        let route = self.routes.get_mut(&key);
        let older = route.map(|route| std::mem::take(&mut route.older));
        self.forget_identifiers(key, older.unwrap_or_default());
    }

    fn forget_identifiers(
        &mut self,
        key: RouteKey,
        identifiers: impl IntoIterator<Item = SubscriptionIdentifier>,
    ) {
        for identifier in identifiers {
            self.forget_identifier(key, identifier);
        }
    }

    fn forget_identifier(&mut self, key: RouteKey, identifier: SubscriptionIdentifier) {
        if let Some(routes) = self.by_identifier.get_mut(&identifier.get()) {
            routes.retain(|route| *route != key);
            if routes.is_empty() {
                self.by_identifier.remove(&identifier.get());
            }
        }
    }

    pub(crate) fn remove(&mut self, key: RouteKey) -> Option<Route> {
        let route = self.routes.remove(&key)?;
        self.by_filter.remove(&route.subscription.filter);
        self.tree.remove(&route.subscription.filter, key);
        let identifiers = route.identifier.iter().chain(&route.older);
        self.forget_identifiers(key, identifiers.copied());
        Some(route)
    }

    /// `filter` is unsubscribed.
    pub(crate) fn leave(&mut self, filter: TopicFilter) {
        self.left.retain(|left| *left != filter);
        if self.left.len() == MAX_LEFT {
            self.left.pop_front();
        }
        self.left.push_back(filter);
    }

    /// Whether a message of this topic can only come from what was unsubscribed.
    pub(crate) fn was_left(&self, topic: &str) -> bool {
        let is_there = |route: &Route| route.subscription.filter.matches(topic);
        self.left.iter().any(|filter| filter.matches(topic)) && !self.routes.values().any(is_there)
    }

    /// Whether some stream is to have messages of this topic.
    pub(crate) fn stream_matches(&self, stream: StreamKey, topic: &str) -> bool {
        self.routes.values().any(|route| {
            route.streams.contains(&stream) && route.subscription.filter.matches(topic)
        })
    }

    /// Puts the streams that `message` goes to into `targets`, each once.
    pub(crate) fn targets(&self, message: &Message, targets: &mut Vec<StreamKey>) {
        let topic = message.topic_bytes();
        let mut sure = false;
        let mut unsure = false;
        for identifier in message.properties().subscription_identifiers() {
            if self.targets_of(identifier, topic, targets) {
                sure = true;
            } else {
                unsure = true;
            }
        }
        if unsure || !sure {
            self.tree.matches(topic, |key| {
                if let Some(route) = self.routes.get(&key) {
                    add_streams(route, targets);
                }
            });
        }
    }

    #[inline]
    fn targets_of(
        &self,
        identifier: SubscriptionIdentifier,
        topic: &[u8],
        targets: &mut Vec<StreamKey>,
    ) -> bool {
        let Some(routes) = self.by_identifier.get(&identifier.get()) else {
            return false;
        };
        let mut matched = false;
        for route in routes.iter().filter_map(|key| self.routes.get(key)) {
            if route.subscription.filter.matches_bytes(topic) {
                matched = true;
                add_streams(route, targets);
            }
        }
        matched
    }
}

#[inline]
fn add_streams(route: &Route, targets: &mut Vec<StreamKey>) {
    for stream in &route.streams {
        if !targets.contains(stream) {
            targets.push(*stream);
        }
    }
}
