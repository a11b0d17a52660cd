//! Scripting the broker, and looking into it.

use std::sync::Arc;

use bytes::Bytes;
use mqtt5_proto::codec::Encode;
use mqtt5_proto::packet::{
    ApplicationMessage, Disconnect, PacketType, PublishReasonCode, SubackReasonCode,
};
use mqtt5_proto::{Instant, TopicFilter};

use super::{Action, Broker, ConnectionId};
use crate::config::Config;
use crate::fault::{Effect, FaultId, When};
use crate::message::Stored;
use crate::session::Session;
use crate::trace::{Direction, Record};

/// What a restart of the broker leaves of the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restart {
    /// All of it: the broker had stored them.
    KeepSessions,
    /// Nothing, nor of the retained messages and the Wills.
    LoseSessions,
}

/// Scripting.
impl Broker {
    /// How the broker behaves.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes how the broker behaves, for connections that are opened from now on.
    pub fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(Arc::make_mut(&mut self.config));
    }

    /// Lets `effect` happen `when` that comes.
    pub fn add_fault(&mut self, when: When, effect: Effect) -> FaultId {
        self.faults.add(when, effect)
    }

    /// How often a fault has struck.
    #[must_use]
    pub fn struck(&self, fault: FaultId) -> u32 {
        self.faults.struck(fault)
    }

    /// Takes a fault back.
    pub fn remove_fault(&mut self, fault: FaultId) {
        self.faults.remove(fault);
    }

    /// Takes all faults back. What is held or delayed stays so.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Lets all packets go on that [`Effect::Hold`] holds, in the order in which they came.
    /// Returns how many there were.
    pub fn release_held(&mut self, now: Instant) -> usize {
        let held = std::mem::take(&mut self.held);
        let count = held.len();
        for waiting in held {
            self.release(waiting, now);
        }
        self.settle(now);
        count
    }

    /// Refuses messages whose topic `filter` matches: with `reason` in PUBACK or PUBREC, without a
    /// word for QoS 0. Takes effect at once.
    pub fn refuse_publish(&mut self, filter: TopicFilter, reason: PublishReasonCode) {
        self.refused_topics.push((filter, reason));
    }

    /// Refuses subscriptions to exactly this filter, or to a filter that would be matched by it if
    /// it were a topic. Takes effect at once.
    pub fn refuse_subscribe(&mut self, filter: TopicFilter, reason: SubackReasonCode) {
        self.refused_filters.push((filter, reason));
    }

    /// Takes all refusals of topics and filters back.
    pub fn clear_refusals(&mut self) {
        self.refused_topics.clear();
        self.refused_filters.clear();
    }

    /// Publishes a message as if a client had. Returns for how many subscribers it is.
    pub fn publish(&mut self, message: ApplicationMessage, now: Instant) -> usize {
        let count = self.route(&Stored::new(message, None, now), now);
        self.settle(now);
        count
    }

    /// Sends a packet that the broker itself would not. Faults may strike at it.
    pub fn send_packet(&mut self, id: ConnectionId, packet: &impl Encode, now: Instant) {
        self.send(id, packet, now);
        self.settle(now);
    }

    /// Sends bytes as they are. Only faults that count bytes strike at them.
    pub fn send_raw(&mut self, id: ConnectionId, bytes: impl Into<Bytes>, now: Instant) {
        self.write(id, &bytes.into(), now);
        self.settle(now);
    }

    /// Sends a DISCONNECT and closes.
    pub fn disconnect(&mut self, id: ConnectionId, disconnect: &Disconnect, now: Instant) {
        self.send(id, disconnect, now);
        self.close(id, now);
    }

    /// Closes in order, without a DISCONNECT. The Will stands.
    pub fn close(&mut self, id: ConnectionId, now: Instant) {
        self.end(id, Action::Close);
        self.settle(now);
    }

    /// Cuts the link.
    pub fn cut(&mut self, id: ConnectionId, now: Instant) {
        self.end(id, Action::Cut);
        self.settle(now);
    }

    /// Cuts all links.
    pub fn cut_all(&mut self, now: Instant) {
        let all: Vec<_> = self.connections.keys().copied().collect();
        for id in all {
            self.end(id, Action::Cut);
        }
        self.settle(now);
    }

    /// Restarts: all links are cut, and sessions are kept or lost. Configuration, faults and
    /// records stay.
    pub fn restart(&mut self, restart: Restart, now: Instant) {
        match restart {
            Restart::KeepSessions => {}
            Restart::LoseSessions => {
                self.sessions.clear();
                self.shares.clear();
                self.retained.clear();
            }
        }
        self.cut_all(now);
    }

    /// Reads nothing more from a connection: bytes that come are kept, unseen.
    pub fn stop_reading(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.reading = false;
        }
    }

    /// Reads on.
    pub fn resume_reading(&mut self, id: ConnectionId, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.reading = true;
            connection.heard_at = now;
            self.process_input(id, now);
            self.settle(now);
        }
    }

    /// Loses what is stored for a client, its Will included: subscriptions, exchanges, queue. A
    /// connection that it has goes on.
    pub fn lose_session(&mut self, client_id: &str) {
        self.forget_session(client_id);
    }

    /// Forgets the records of packets so far.
    pub fn clear_records(&mut self) {
        self.trace.clear();
    }
}

/// Looking into it.
impl Broker {
    /// What came and left, oldest first; of very many packets the latest 100,000.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.trace.iter()
    }

    /// The packets from clients, oldest first.
    pub fn received(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records()
            .filter(|record| record.direction == Direction::FromClient)
    }

    /// The packets to clients, oldest first.
    pub fn sent(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records()
            .filter(|record| record.direction == Direction::ToClient)
    }

    /// How many packets of this kind have come.
    #[must_use]
    pub fn count_received(&self, packet_type: PacketType) -> usize {
        self.received()
            .filter(|record| record.packet_type() == Some(packet_type))
            .count()
    }

    /// How many packets of this kind have left.
    #[must_use]
    pub fn count_sent(&self, packet_type: PacketType) -> usize {
        self.sent()
            .filter(|record| record.packet_type() == Some(packet_type))
            .count()
    }

    /// The connections, oldest first, and whose they are; that is empty before a CONNECT.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &str)> {
        self.connections
            .iter()
            .map(|(id, connection)| (*id, &*connection.client_id))
    }

    /// The connection of a client whose CONNECT was accepted.
    #[must_use]
    pub fn connection_of(&self, client_id: &str) -> Option<ConnectionId> {
        self.sessions.get(client_id)?.connection
    }

    /// Whether there is a session of this client.
    #[must_use]
    pub fn has_session(&self, client_id: &str) -> bool {
        self.sessions.contains_key(client_id)
    }

    /// The filters that a client has subscribed to.
    pub fn subscriptions<'a>(&'a self, client_id: &str) -> impl Iterator<Item = &'a TopicFilter> {
        self.sessions
            .get(client_id)
            .into_iter()
            .flat_map(|session| session.subscriptions.keys())
    }

    /// How many messages wait for room in a client's Receive Maximum, or for the client.
    #[must_use]
    pub fn queued(&self, client_id: &str) -> usize {
        self.sessions.get(client_id).map_or(0, Session::queued)
    }

    /// How many messages of QoS 1 and 2 were sent to a client and are not done.
    #[must_use]
    pub fn unacknowledged(&self, client_id: &str) -> usize {
        self.sessions
            .get(client_id)
            .map_or(0, Session::unacknowledged)
    }

    /// The retained message of a topic.
    #[must_use]
    pub fn retained(&self, topic: &str) -> Option<&ApplicationMessage> {
        self.retained.get(topic)
    }

    /// How many packets are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }
}
