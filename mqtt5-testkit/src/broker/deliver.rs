//! From a message to its subscribers (sections 3.3.4, 4.6 and 4.8).

use std::collections::BTreeMap;
use std::sync::Arc;

use mqtt5_proto::packet::SubscriptionIdentifier;
use mqtt5_proto::{Instant, QoS, TopicFilter};

use super::Broker;
use crate::message::{Outgoing, Stored};
use crate::session::{Granted, Session};

/// What the subscriptions of one session make of a message: one copy for all (`3.3.4-2`,
/// `3.3.4-3`).
#[derive(Debug)]
struct Matched {
    qos: QoS,
    retain_as_published: bool,
    identifiers: Vec<SubscriptionIdentifier>,
}

impl Matched {
    fn of(subscriptions: &[&Granted]) -> Option<Self> {
        let qos = subscriptions.iter().map(|granted| granted.qos).max()?;
        Some(Self {
            qos,
            retain_as_published: subscriptions
                .iter()
                .any(|granted| granted.retain_as_published),
            identifiers: subscriptions
                .iter()
                .filter_map(|granted| granted.identifier)
                .collect(),
        })
    }

    fn outgoing(self, stored: &Stored) -> Outgoing {
        Outgoing {
            qos: self.qos.min(stored.message.qos),
            retain: self.retain_as_published && stored.message.retain,
            identifiers: self.identifiers,
            stored: stored.clone(),
        }
    }
}

impl Broker {
    /// Keeps a retained message and brings every message to its subscribers; returns how many
    /// there are.
    pub(super) fn route(&mut self, stored: &Stored, now: Instant) -> usize {
        if stored.message.retain {
            self.retained.store(stored);
        }
        let topic = stored.message.topic.as_str();
        let mut copies: Vec<(Arc<str>, Outgoing)> = Vec::new();
        let mut shares: BTreeMap<TopicFilter, Vec<Arc<str>>> = BTreeMap::new();
        for (client_id, session) in &self.sessions {
            let matching = |granted: &&Granted| granted.filter.matches(topic);
            let (shared, own): (Vec<&Granted>, Vec<&Granted>) = session
                .subscriptions
                .values()
                .filter(matching)
                .partition(|granted| granted.filter.share_name().is_some());
            for granted in shared {
                let members = shares.entry(granted.filter.clone()).or_default();
                members.push(Arc::clone(client_id));
            }
            let is_local = stored.from.as_ref() == Some(client_id);
            let own: Vec<&Granted> = own
                .into_iter()
                .filter(|granted| !(is_local && granted.no_local))
                .collect();
            if let Some(matched) = Matched::of(&own) {
                copies.push((Arc::clone(client_id), matched.outgoing(stored)));
            }
        }
        for (filter, members) in shares {
            if let Some((client_id, matched)) = self.share(&filter, &members) {
                copies.push((client_id, matched.outgoing(stored)));
            }
        }
        let count = copies.len();
        for (client_id, outgoing) in copies {
            self.deliver(&client_id, outgoing, now);
        }
        count
    }

    /// Whose turn it is: members with a connection go before those without, and each group goes
    /// round in the order of the Client Identifiers.
    fn share(&mut self, filter: &TopicFilter, members: &[Arc<str>]) -> Option<(Arc<str>, Matched)> {
        let is_connected = |client_id: &&Arc<str>| {
            self.sessions
                .get(*client_id)
                .is_some_and(|session| session.connection.is_some())
        };
        let mut candidates: Vec<&Arc<str>> = members.iter().filter(is_connected).collect();
        if candidates.is_empty() {
            candidates = members.iter().collect();
        }
        let last = self.shares.get(filter);
        let next = candidates
            .iter()
            .find(|client_id| last.is_none_or(|last| last < **client_id))
            .or_else(|| candidates.first())?;
        let next = Arc::clone(next);
        self.shares.insert(filter.clone(), Arc::clone(&next));
        let granted = self.sessions.get(&next)?.subscriptions.get(filter)?;
        Some((next, Matched::of(&[granted])?))
    }

    /// Sends or queues a copy. One of QoS 0 is for who is there (section 3.1.2.11.2).
    pub(super) fn deliver(&mut self, client_id: &Arc<str>, outgoing: Outgoing, now: Instant) {
        let Some(session) = self.sessions.get_mut(client_id) else {
            return;
        };
        if outgoing.qos != QoS::AtMostOnce {
            session.push(outgoing);
            self.pump(client_id, now);
            return;
        }
        let Some(id) = session.connection else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(&id)
            && let Some(packet) = connection.publish(&outgoing, None, false, now)
        {
            self.emit(id, packet, now);
        }
    }

    /// Sends what is due to a client, as far as its Receive Maximum goes.
    pub(super) fn pump(&mut self, client_id: &Arc<str>, now: Instant) {
        loop {
            let Some(session) = self.sessions.get_mut(client_id) else {
                return;
            };
            let Some(id) = session.connection else {
                return;
            };
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            if !connection.is_running() {
                return;
            }
            let Some(next) = session.next(connection.receive_maximum, now) else {
                return;
            };
            match connection.publish(&next.outgoing, Some(next.packet_id), next.dup, now) {
                Some(packet) => self.emit(id, packet, now),
                None => session.finish(next.packet_id),
            }
        }
    }

    /// Sends the retained messages of a subscription that was just granted (section 3.3.1.3).
    pub(super) fn send_retained(&mut self, client_id: &Arc<str>, granted: &Granted, now: Instant) {
        for stored in self.retained.matching(&granted.filter, now) {
            if granted.no_local && stored.from.as_ref() == Some(client_id) {
                continue;
            }
            let outgoing = Outgoing {
                qos: granted.qos.min(stored.message.qos),
                retain: true,
                identifiers: granted.identifier.into_iter().collect(),
                stored,
            };
            self.deliver(client_id, outgoing, now);
        }
    }

    /// Forgets what is stored for a client, who keeps its connection if it has one.
    pub(super) fn forget_session(&mut self, client_id: &str) {
        let Some(session) = self.sessions.get_mut(client_id) else {
            return;
        };
        let Some(id) = session.connection else {
            self.sessions.remove(client_id);
            return;
        };
        let expiry = session.expiry;
        *session = Session::default();
        session.attach(id, expiry, None);
    }
}
