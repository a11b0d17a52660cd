//! What the broker keeps of a client (section 4.1): subscriptions, exchanges of both directions,
//! queue, expiry and Will.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use mqtt5_proto::packet::{SubscriptionIdentifier, Will};
use mqtt5_proto::{Instant, PacketId, QoS, TopicFilter};

use crate::ConnectionId;
use crate::message::Outgoing;

/// A subscription as it was granted.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) filter: TopicFilter,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<SubscriptionIdentifier>,
}

/// A message of QoS 1 or 2 that was sent and is not done.
#[derive(Debug)]
struct Exchange {
    packet_id: PacketId,
    outgoing: Outgoing,
    /// PUBREC has come, PUBCOMP has not.
    released: bool,
    /// Whether the PUBLISH went out on the present connection.
    sent_here: bool,
}

/// The next PUBLISH of QoS 1 or 2.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) packet_id: PacketId,
    pub(crate) outgoing: Outgoing,
    pub(crate) dup: bool,
}

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// The exchange goes on, or ended.
    Done,
    /// No exchange has this identifier.
    Unknown,
    /// The exchange waits for an acknowledgement of another kind.
    Wrong,
}

/// Never expires.
pub(crate) const FOR_EVER: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) connection: Option<ConnectionId>,
    /// By the whole filter, `$share/{name}/` included.
    pub(crate) subscriptions: BTreeMap<TopicFilter, Granted>,
    /// In the order of sending.
    exchanges: VecDeque<Exchange>,
    used: BTreeSet<PacketId>,
    last_id: u16,
    /// How many exchanges are in flight on this connection, and how many wait to be resent.
    in_flight: usize,
    carried_over: usize,
    queue: VecDeque<Outgoing>,
    /// QoS 2 messages of the client that wait for PUBREL.
    pub(crate) incoming: BTreeSet<PacketId>,
    /// In seconds from the end of the connection.
    pub(crate) expiry: u32,
    pub(crate) expires_at: Option<Instant>,
    pub(crate) will: Option<Box<Will>>,
    pub(crate) will_at: Option<Instant>,
}

impl Session {
    /// Binds the session to a new connection; returns the exchanges whose PUBREL is due again.
    pub(crate) fn attach(
        &mut self,
        connection: ConnectionId,
        expiry: u32,
        will: Option<Box<Will>>,
    ) -> Vec<PacketId> {
        self.connection = Some(connection);
        self.expiry = expiry;
        self.expires_at = None;
        self.will = will;
        self.will_at = None;
        let mut released = Vec::new();
        for exchange in &mut self.exchanges {
            exchange.sent_here = false;
            if exchange.released {
                released.push(exchange.packet_id);
            }
        }
        self.in_flight = released.len();
        self.carried_over = self.exchanges.len() - released.len();
        released
    }

    /// The connection has gone: starts the clocks of expiry and Will.
    pub(crate) fn detach(&mut self, now: Instant) {
        let after = |seconds: u32| now + Duration::from_secs(seconds.into());
        self.connection = None;
        if self.expiry != FOR_EVER {
            self.expires_at = Some(after(self.expiry));
        }
        self.will_at = self
            .will
            .as_ref()
            .map(|will| after(will.delay_interval.min(self.expiry)));
    }

    /// The earlier of Will and expiry, if one of them is to come.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.expires_at.into_iter().chain(self.will_at).min()
    }

    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        self.queue.push_back(outgoing);
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn unacknowledged(&self) -> usize {
        self.exchanges.len()
    }

    /// The next PUBLISH of QoS 1 or 2 that `receive_maximum` leaves room for: what is to be resent
    /// first, then the queue.
    pub(crate) fn next(&mut self, receive_maximum: u16, now: Instant) -> Option<Next> {
        if self.in_flight >= usize::from(receive_maximum) {
            return None;
        }
        if self.carried_over > 0 {
            self.carried_over -= 1;
            let exchange = self
                .exchanges
                .iter_mut()
                .find(|exchange| !exchange.sent_here && !exchange.released)?;
            exchange.sent_here = true;
            self.in_flight += 1;
            return Some(Next {
                packet_id: exchange.packet_id,
                outgoing: exchange.outgoing.clone(),
                dup: true,
            });
        }
        loop {
            let outgoing = self.queue.pop_front()?;
            if outgoing.stored.is_expired(now) {
                continue;
            }
            let Some(packet_id) = self.free_id() else {
                self.queue.push_front(outgoing);
                return None;
            };
            self.used.insert(packet_id);
            self.in_flight += 1;
            self.exchanges.push_back(Exchange {
                packet_id,
                outgoing: outgoing.clone(),
                released: false,
                sent_here: true,
            });
            return Some(Next {
                packet_id,
                outgoing,
                dup: false,
            });
        }
    }

    fn free_id(&mut self) -> Option<PacketId> {
        for _ in 0..=u16::MAX {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.last_id)
                && !self.used.contains(&id)
            {
                return Some(id);
            }
        }
        None
    }

    /// Ends an exchange: it is acknowledged, or too large for the client (`3.1.2-25`).
    pub(crate) fn finish(&mut self, packet_id: PacketId) {
        let Some(index) = self.position(packet_id) else {
            return;
        };
        if let Some(exchange) = self.exchanges.remove(index) {
            self.used.remove(&packet_id);
            if exchange.sent_here || exchange.released {
                self.in_flight = self.in_flight.saturating_sub(1);
            } else {
                self.carried_over = self.carried_over.saturating_sub(1);
            }
        }
    }

    fn position(&self, packet_id: PacketId) -> Option<usize> {
        // Usually near the front.
        self.exchanges
            .iter()
            .position(|exchange| exchange.packet_id == packet_id)
    }

    fn find(&mut self, packet_id: PacketId) -> Option<&mut Exchange> {
        let index = self.position(packet_id)?;
        self.exchanges.get_mut(index)
    }

    pub(crate) fn puback(&mut self, packet_id: PacketId) -> Acknowledged {
        match self.find(packet_id) {
            None => Acknowledged::Unknown,
            Some(exchange) if exchange.outgoing.qos != QoS::AtLeastOnce => Acknowledged::Wrong,
            Some(_) => {
                self.finish(packet_id);
                Acknowledged::Done
            }
        }
    }

    pub(crate) fn pubrec(&mut self, packet_id: PacketId, refused: bool) -> Acknowledged {
        match self.find(packet_id) {
            None => Acknowledged::Unknown,
            Some(exchange)
                if exchange.outgoing.qos != QoS::ExactlyOnce || exchange.released && refused =>
            {
                Acknowledged::Wrong
            }
            Some(_) if refused => {
                self.finish(packet_id);
                Acknowledged::Done
            }
            Some(exchange) => {
                let was_waiting = !exchange.sent_here && !exchange.released;
                exchange.released = true;
                if was_waiting {
                    self.carried_over = self.carried_over.saturating_sub(1);
                    self.in_flight += 1;
                }
                Acknowledged::Done
            }
        }
    }

    pub(crate) fn pubcomp(&mut self, packet_id: PacketId) -> Acknowledged {
        match self.find(packet_id) {
            None => Acknowledged::Unknown,
            Some(exchange) if !exchange.released => Acknowledged::Wrong,
            Some(_) => {
                self.finish(packet_id);
                Acknowledged::Done
            }
        }
    }
}
