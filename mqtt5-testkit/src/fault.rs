//! Scripted faults: when something goes wrong, and what.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mqtt5_proto::packet::{Packet, PacketType};

use crate::{ConnectionId, Direction};

type Filter = dyn Fn(&Packet<'_>) -> bool + Send + Sync;

/// When a fault strikes: at the first packet that matches, unless told otherwise.
#[derive(Clone)]
pub struct When {
    trigger: Trigger,
    client_id: Option<String>,
    filter: Option<Arc<Filter>>,
    skip: u32,
    times: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    Packet(Direction, Option<PacketType>),
    Bytes(Direction, usize),
}

impl When {
    const fn new(trigger: Trigger) -> Self {
        Self {
            trigger,
            client_id: None,
            filter: None,
            skip: 0,
            times: Some(1),
        }
    }

    /// At a packet from the client.
    #[must_use]
    pub const fn received(packet_type: PacketType) -> Self {
        Self::new(Trigger::Packet(Direction::FromClient, Some(packet_type)))
    }

    /// At any packet from the client.
    #[must_use]
    pub const fn received_any() -> Self {
        Self::new(Trigger::Packet(Direction::FromClient, None))
    }

    /// At a packet to the client.
    #[must_use]
    pub const fn sent(packet_type: PacketType) -> Self {
        Self::new(Trigger::Packet(Direction::ToClient, Some(packet_type)))
    }

    /// At any packet to the client.
    #[must_use]
    pub const fn sent_any() -> Self {
        Self::new(Trigger::Packet(Direction::ToClient, None))
    }

    /// When one connection has received `count` bytes since it was opened or the fault was added,
    /// whichever was later. What came before is processed as far as packets are whole.
    #[must_use]
    pub const fn received_bytes(count: usize) -> Self {
        Self::new(Trigger::Bytes(Direction::FromClient, count))
    }

    /// When one connection has sent `count` bytes since it was opened or the fault was added,
    /// whichever was later; exactly as many leave before the fault strikes.
    #[must_use]
    pub const fn sent_bytes(count: usize) -> Self {
        Self::new(Trigger::Bytes(Direction::ToClient, count))
    }

    /// Only on connections of this client. One that lets the broker choose its identifier has an
    /// empty one until then.
    #[must_use]
    pub fn client(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Only at packets for which `filter` holds. No effect on a count of bytes.
    #[must_use]
    pub fn matching(
        mut self,
        filter: impl Fn(&Packet<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// At the `n`th match, counted from 1, instead of at the first.
    #[must_use]
    pub const fn nth(mut self, n: u32) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// At this many matches in a row instead of at one.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// At every match from the first (or [`nth`](Self::nth)) on.
    #[must_use]
    pub const fn always(mut self) -> Self {
        self.times = None;
        self
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("trigger", &self.trigger)
            .field("client_id", &self.client_id)
            .field("filter", &self.filter.is_some())
            .field("skip", &self.skip)
            .field("times", &self.times)
            .finish()
    }
}

/// What goes wrong. Faults that strike at the same packet add up.
///
/// A *cut* is a network failure: on TCP a reset, without anything the protocol would send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Cuts the link instead of processing the packet, or of sending it.
    CutBefore,
    /// Cuts the link once the packet was processed and what it caused was sent, or once it was
    /// sent.
    CutAfter,
    /// As [`CutAfter`](Self::CutAfter), but closes in order: on TCP the client reads all that was
    /// sent, then the end of the stream.
    CloseAfter,
    /// The packet is lost: not processed, or not sent. Silence to a CONNECT and unanswered pings
    /// are this effect at a received CONNECT or PINGREQ.
    Drop,
    /// The packet waits until [`Broker::release_held`](crate::Broker::release_held).
    Hold,
    /// The packet waits for this long.
    Delay(Duration),
    /// These bytes are sent, instead of processing the packet or of sending it.
    Replace(Bytes),
    /// These bytes are sent before the packet is processed or sent.
    SendBefore(Bytes),
    /// These bytes are sent after the packet was processed or sent.
    SendAfter(Bytes),
    /// The packet is processed or sent twice.
    Duplicate {
        /// Whether the second copy of a PUBLISH of QoS 1 or 2 has DUP set.
        dup: bool,
    },
    /// The session of the client is lost first. At a received CONNECT that is the session which it
    /// would resume.
    LoseSession,
    /// A CONNACK that is sent says this for Session Present, whatever is true.
    SessionPresent(bool),
    /// From then on nothing is read from the connection, until
    /// [`Broker::resume_reading`](crate::Broker::resume_reading).
    StopReading,
}

/// Names a fault that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(u64);

/// What becomes of a packet itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Pass,
    Drop,
    Hold,
    Delay(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    CutBefore,
    CutAfter,
    CloseAfter,
}

/// All that the faults want of one packet.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) ending: Option<Ending>,
    pub(crate) fate: Fate,
    pub(crate) before: Vec<Bytes>,
    pub(crate) after: Vec<Bytes>,
    pub(crate) duplicate: Option<bool>,
    pub(crate) lose_session: bool,
    pub(crate) session_present: Option<bool>,
    pub(crate) stop_reading: bool,
}

impl Plan {
    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::CutBefore => self.ending = Some(Ending::CutBefore),
            Effect::CutAfter => {
                self.ending.get_or_insert(Ending::CutAfter);
            }
            Effect::CloseAfter => {
                self.ending.get_or_insert(Ending::CloseAfter);
            }
            Effect::Drop => self.fate = Fate::Drop,
            Effect::Hold => self.fate = Fate::Hold,
            Effect::Delay(delay) => self.fate = Fate::Delay(*delay),
            Effect::Replace(bytes) => {
                self.fate = Fate::Drop;
                self.before.push(bytes.clone());
            }
            Effect::SendBefore(bytes) => self.before.push(bytes.clone()),
            Effect::SendAfter(bytes) => self.after.push(bytes.clone()),
            Effect::Duplicate { dup } => self.duplicate = Some(*dup),
            Effect::LoseSession => self.lose_session = true,
            Effect::SessionPresent(present) => self.session_present = Some(*present),
            Effect::StopReading => self.stop_reading = true,
        }
    }
}

#[derive(Debug)]
struct Rule {
    id: FaultId,
    when: When,
    effect: Effect,
    seen: u32,
    struck: u32,
    counted: BTreeMap<ConnectionId, usize>,
}

impl Rule {
    fn is_live(&self) -> bool {
        self.when.times.is_none_or(|times| self.struck < times)
    }

    fn is_for(&self, client_id: &str) -> bool {
        self.when
            .client_id
            .as_ref()
            .is_none_or(|wanted| wanted == client_id)
    }

    /// Counts a match; whether the fault strikes at it.
    fn strikes(&mut self) -> bool {
        self.seen = self.seen.saturating_add(1);
        let strikes = self.is_live() && self.seen > self.when.skip;
        self.struck += u32::from(strikes);
        strikes
    }
}

/// The faults of a broker, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    next_id: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, when: When, effect: Effect) -> FaultId {
        let id = FaultId(self.next_id);
        self.next_id += 1;
        self.rules.push(Rule {
            id,
            when,
            effect,
            seen: 0,
            struck: 0,
            counted: BTreeMap::new(),
        });
        id
    }

    pub(crate) fn remove(&mut self, id: FaultId) {
        self.rules.retain(|rule| rule.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn struck(&self, id: FaultId) -> u32 {
        let rule = self.rules.iter().find(|rule| rule.id == id);
        rule.map_or(0, |rule| rule.struck)
    }

    /// What is to happen to `packet`, which starts with its fixed header.
    pub(crate) fn at_packet(
        &mut self,
        direction: Direction,
        packet: &[u8],
        client_id: &str,
    ) -> Plan {
        let mut plan = Plan::default();
        let packet_type = packet
            .first()
            .and_then(|first| PacketType::from_raw(first >> 4));
        for rule in &mut self.rules {
            let Trigger::Packet(of, wanted) = rule.when.trigger else {
                continue;
            };
            if of == direction
                && (wanted.is_none() || wanted == packet_type)
                && rule.is_live()
                && rule.is_for(client_id)
                && (rule.when.filter.as_ref())
                    .is_none_or(|filter| Packet::parse(packet).is_ok_and(|view| filter(&view)))
                && rule.strikes()
            {
                plan.add(&rule.effect);
            }
        }
        plan
    }

    /// Counts `len` bytes; if a fault strikes among them, after how many and what it wants.
    pub(crate) fn at_bytes(
        &mut self,
        direction: Direction,
        len: usize,
        connection: ConnectionId,
        client_id: &str,
    ) -> Option<(usize, Plan)> {
        let mut first: Option<(usize, Plan)> = None;
        for rule in &mut self.rules {
            let Trigger::Bytes(of, limit) = rule.when.trigger else {
                continue;
            };
            if of != direction || !rule.is_live() || !rule.is_for(client_id) {
                continue;
            }
            let counted = rule.counted.entry(connection).or_default();
            let before = *counted;
            *counted = before.saturating_add(len);
            if before > limit || before + len < limit || (before == limit && limit > 0) {
                continue;
            }
            if rule.strikes() {
                let at = limit - before;
                let (nearest, plan) = first.get_or_insert_with(|| (at, Plan::default()));
                *nearest = at.min(*nearest);
                plan.add(&rule.effect);
            }
        }
        first
    }

    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        for rule in &mut self.rules {
            rule.counted.remove(&connection);
        }
    }
}
