//! The broker without I/O: bytes and instants in, bytes out.

mod auth;
mod connect;
mod deliver;
mod end;
mod output;
mod publish;
mod script;
mod subscribe;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use mqtt5_proto::codec::{DecodeError, Frame};
use mqtt5_proto::packet::{
    ConnackReasonCode, DisconnectReasonCode, Packet, PacketType, PublishReasonCode, ReasonCode,
    SubackReasonCode,
};
use mqtt5_proto::{Instant, TopicFilter};

pub use script::Restart;

use crate::config::Config;
use crate::connection::{Connection, Phase};
use crate::fault::{Ending, Fate, Faults, Plan};
use crate::retained::Retained;
use crate::session::Session;
use crate::trace::{Direction, Record, Trace};
use output::Waiting;

/// Names a connection for as long as the broker lives; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What the driver is to do with a connection. A connection that it closes or cuts is gone for the
/// broker: [`Broker::connection_closed`] need not follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write these bytes.
    Send(Bytes),
    /// Close in order: the client is to read all that was sent, then the end.
    Close,
    /// Break the link, as a network failure does.
    Cut,
}

/// A scripted MQTT 5 broker without I/O.
///
/// The driver tells what happened ([`connection_opened`](Self::connection_opened),
/// [`handle_input`](Self::handle_input), [`connection_closed`](Self::connection_closed),
/// [`handle_timeout`](Self::handle_timeout)), then does what [`poll_output`](Self::poll_output)
/// returns until that is `None`, and calls [`handle_timeout`](Self::handle_timeout) at the instant
/// that [`poll_timeout`](Self::poll_timeout) names. The same calls always have the same results.
///
/// All other methods script the broker or look into it. They too may leave output behind.
#[derive(Debug, Default)]
pub struct Broker {
    config: Arc<Config>,
    connections: BTreeMap<ConnectionId, Connection>,
    last_connection: u64,
    sessions: BTreeMap<Arc<str>, Session>,
    last_assigned: u64,
    retained: Retained,
    /// Who got the last message of a shared subscription.
    shares: BTreeMap<TopicFilter, Arc<str>>,
    refused_topics: Vec<(TopicFilter, PublishReasonCode)>,
    refused_filters: Vec<(TopicFilter, SubackReasonCode)>,
    faults: Faults,
    held: Vec<Waiting>,
    /// By due time, then by age.
    delayed: BTreeMap<(Instant, u64), Waiting>,
    last_delayed: u64,
    output: VecDeque<(ConnectionId, Action)>,
    trace: Trace,
}

/// How handling a packet went; the error is what the DISCONNECT is to say.
type Handled = Result<(), DisconnectReasonCode>;

impl Broker {
    /// A broker that behaves as `config` says.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config: Arc::new(config),
            ..Self::default()
        }
    }

    /// A client has opened a connection.
    pub fn connection_opened(&mut self, now: Instant) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        let connection = Connection::new(Arc::clone(&self.config), now);
        self.connections.insert(id, connection);
        id
    }

    /// Bytes have come from a client, in any portions. Without effect on a connection that has
    /// ended.
    pub fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let client_id = Arc::clone(&connection.client_id);
        let strike = self
            .faults
            .at_bytes(Direction::FromClient, bytes.len(), id, &client_id);
        match strike {
            None => self.take_input(id, bytes, now),
            Some((at, plan)) => {
                let (before, behind) = bytes.split_at(at.min(bytes.len()));
                self.take_input(id, before, now);
                self.carry_out(id, &plan, now);
                self.take_input(id, behind, now);
            }
        }
        self.settle(now);
    }

    fn take_input(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.input.extend_from_slice(bytes);
            self.process_input(id, now);
        }
    }

    /// Processes the packets that are whole.
    fn process_input(&mut self, id: ConnectionId, now: Instant) {
        while let Some(connection) = self.connections.get_mut(&id)
            && connection.reading
            && !connection.has_ended()
        {
            match connection.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => self.receive(id, frame, now),
                Err(error) => self.refuse_bytes(id, &error, now),
            }
        }
    }

    /// A packet has come: takes note of it and lets the faults at it.
    fn receive(&mut self, id: ConnectionId, frame: Frame, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.heard_at = now;
        let client_id = if matches!(connection.phase, Phase::Opened)
            && let Ok(Packet::Connect(connect)) = Packet::parse(frame.as_slice())
        {
            Arc::from(connect.client_id())
        } else {
            Arc::clone(&connection.client_id)
        };
        if !self.config.no_records {
            self.trace.push(Record {
                at: now,
                connection: id,
                client_id: client_id.to_string(),
                direction: Direction::FromClient,
                bytes: frame.slice_from(0),
            });
        }
        let plan = self
            .faults
            .at_packet(Direction::FromClient, frame.as_slice(), &client_id);
        if plan.ending == Some(Ending::CutBefore) {
            self.end(id, Action::Cut);
            return;
        }
        if plan.lose_session {
            self.lose_session(&client_id);
        }
        self.send_raw_bytes(id, &plan.before, now);
        match plan.fate {
            Fate::Pass => {
                self.process(id, &frame, now);
                if plan.duplicate.is_some() {
                    self.process(id, &frame, now);
                }
            }
            Fate::Drop => {}
            Fate::Hold => self.held.push(Waiting::received(id, frame)),
            Fate::Delay(delay) => self.delay(now + delay, Waiting::received(id, frame)),
        }
        self.send_raw_bytes(id, &plan.after, now);
        self.finish_plan(id, &plan);
    }

    /// What a plan asks for beside the fate of a packet.
    fn carry_out(&mut self, id: ConnectionId, plan: &Plan, now: Instant) {
        self.send_raw_bytes(id, &plan.before, now);
        self.send_raw_bytes(id, &plan.after, now);
        self.finish_plan(id, plan);
    }

    fn finish_plan(&mut self, id: ConnectionId, plan: &Plan) {
        if plan.stop_reading {
            self.stop_reading(id);
        }
        match plan.ending {
            None => {}
            Some(Ending::CutBefore | Ending::CutAfter) => self.end(id, Action::Cut),
            Some(Ending::CloseAfter) => self.end(id, Action::Close),
        }
    }

    /// Handles a packet, the faults aside.
    fn process(&mut self, id: ConnectionId, frame: &Frame, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let packet = match Packet::parse_strict(frame.as_slice()) {
            Ok(packet) => packet,
            Err(error) => return self.refuse_bytes(id, &error, now),
        };
        match (&connection.phase, packet) {
            (Phase::Opened, Packet::Connect(connect)) => self.on_connect(id, &connect, frame, now),
            // Nobody to answer to.
            (Phase::Opened, _) => self.end(id, Action::Close),
            (Phase::Authenticating { .. }, packet) => self.on_early_packet(id, &packet, now),
            (Phase::Running, packet) => {
                if let Err(reason) = self.on_packet(id, packet, now) {
                    self.disconnect_with(id, reason, now);
                }
            }
            (Phase::Ended, _) => {}
        }
    }

    /// A packet on a connection whose CONNECT was taken.
    fn on_packet(&mut self, id: ConnectionId, packet: Packet<'_>, now: Instant) -> Handled {
        match packet {
            Packet::Publish(publish) => self.on_publish(id, &publish, now),
            Packet::Puback(puback) => {
                self.on_puback(id, puback.packet_id(), puback.reason_code(), now)
            }
            Packet::Pubrec(pubrec) => {
                self.on_pubrec(id, pubrec.packet_id(), pubrec.reason_code(), now)
            }
            Packet::Pubrel(pubrel) => self.on_pubrel(id, pubrel.packet_id(), now),
            Packet::Pubcomp(pubcomp) => {
                self.on_pubcomp(id, pubcomp.packet_id(), pubcomp.reason_code(), now)
            }
            Packet::Subscribe(subscribe) => self.on_subscribe(id, &subscribe, now),
            Packet::Unsubscribe(unsubscribe) => self.on_unsubscribe(id, &unsubscribe, now),
            Packet::Pingreq(_) => {
                self.send(id, &mqtt5_proto::packet::Pingresp, now);
                Ok(())
            }
            Packet::Disconnect(disconnect) => self.on_disconnect(id, &disconnect),
            Packet::Auth(auth) => self.on_reauthentication(id, &auth, now),
            Packet::Connect(_)
            | Packet::Connack(_)
            | Packet::Suback(_)
            | Packet::Unsuback(_)
            | Packet::Pingresp(_) => Err(DisconnectReasonCode::ProtocolError),
        }
    }

    /// Bytes that are no valid packet.
    fn refuse_bytes(&mut self, id: ConnectionId, error: &DecodeError, now: Instant) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let code = error.reason_code();
        if connection.is_running() {
            let reason = DisconnectReasonCode::from_raw(code);
            self.disconnect_with(
                id,
                reason.unwrap_or(DisconnectReasonCode::ProtocolError),
                now,
            );
        } else if error.packet == Some(PacketType::Connect) {
            let reason = ConnackReasonCode::from_raw(code);
            self.refuse_connect(id, reason.unwrap_or(ConnackReasonCode::ProtocolError), now);
        } else {
            self.end(id, Action::Close);
        }
    }

    /// What the driver is to do next; `None` if there is nothing.
    pub fn poll_output(&mut self) -> Option<(ConnectionId, Action)> {
        self.output.pop_front()
    }

    /// Whether bytes of this connection are to be read at present.
    #[must_use]
    pub fn wants_input(&self, id: ConnectionId) -> bool {
        self.connections
            .get(&id)
            .is_none_or(|connection| connection.reading)
    }
}
