//! What the broker knows of one connection; nothing of it outlives that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt5_proto::codec::{DecodeError, Decoder, Encode, FixedHeader, Frame, MaximumPacketSize};
use mqtt5_proto::packet::{
    ConnectView, Delivery, DisconnectReasonCode, PacketType, Publish, PublishTopic, TopicAlias,
};
use mqtt5_proto::{Instant, PacketId, QoS, Topic};

use crate::config::{AuthenticationScript, Config};
use crate::message::Outgoing;

/// Where the connection stands.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Nothing has come.
    Opened,
    /// A CONNECT has come, and its authentication goes on.
    Authenticating { connect: Frame },
    /// CONNACK was sent.
    Running,
    /// The broker has ended it: nothing more is read or sent.
    Ended,
}

/// An authentication on its way, and the step whose answer is awaited.
#[derive(Debug)]
pub(crate) struct Authenticating {
    pub(crate) script: AuthenticationScript,
    pub(crate) step: usize,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) config: Arc<Config>,
    pub(crate) phase: Phase,
    decoder: Decoder,
    pub(crate) input: BytesMut,
    pub(crate) reading: bool,
    pub(crate) client_id: Arc<str>,
    /// When the last packet came.
    pub(crate) heard_at: Instant,
    /// Keep Alive times 1.5 (`3.1.2-22`).
    pub(crate) patience: Option<Duration>,
    /// The client's Session Expiry Interval of the CONNECT.
    pub(crate) asked_expiry: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) maximum_packet_size: usize,
    pub(crate) problem_information: bool,
    pub(crate) method: Option<String>,
    pub(crate) authenticating: Option<Authenticating>,
    topics: BTreeMap<TopicAlias, Topic>,
    aliases: Aliases,
    /// QoS 1 and 2 messages of the client that the broker owes an acknowledgement.
    open: BTreeSet<PacketId>,
    /// What a client may count on top of the Receive Maximum, having finished exchanges of an
    /// earlier connection.
    allowance: usize,
}

impl Connection {
    pub(crate) fn new(config: Arc<Config>, now: Instant) -> Self {
        let limit = config.connack.maximum_packet_size.unwrap_or_default();
        Self {
            config,
            phase: Phase::Opened,
            decoder: Decoder::new(limit),
            input: BytesMut::new(),
            reading: true,
            client_id: Arc::from(""),
            heard_at: now,
            patience: None,
            asked_expiry: 0,
            receive_maximum: u16::MAX,
            maximum_packet_size: MaximumPacketSize::PROTOCOL.get() as usize,
            problem_information: true,
            method: None,
            authenticating: None,
            topics: BTreeMap::new(),
            aliases: Aliases::default(),
            open: BTreeSet::new(),
            allowance: 0,
        }
    }

    /// The next packet that is whole.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        self.decoder.next_frame(&mut self.input)
    }

    /// Takes over what the CONNECT says of the connection.
    pub(crate) fn set_limits(&mut self, connect: &ConnectView<'_>) {
        let properties = connect.properties();
        if let Some(maximum) = properties.receive_maximum() {
            self.receive_maximum = maximum.get();
        }
        if let Some(maximum) = properties.maximum_packet_size() {
            self.maximum_packet_size = maximum.get() as usize;
        }
        if self.config.use_topic_aliases {
            self.aliases.maximum = properties.topic_alias_maximum().unwrap_or(0);
        }
        self.problem_information = properties.request_problem_information().unwrap_or(true);
        self.asked_expiry = properties.session_expiry_interval().unwrap_or(0);
        self.method = properties.authentication_method().map(str::to_owned);
    }

    /// Sets the clock that closes the connection when the client falls silent.
    pub(crate) fn set_keep_alive(&mut self, seconds: u16) {
        let patience = Duration::from_millis(u64::from(seconds) * 1500);
        self.patience = (seconds > 0).then_some(patience);
    }

    /// When the client has been silent for too long; never while the broker does not listen.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let patience = self.patience.filter(|_| self.reading)?;
        Some(self.heard_at + patience)
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The topic of a received PUBLISH, its alias resolved (section 3.3.2.3.4).
    pub(crate) fn topic(
        &mut self,
        name: &str,
        alias: Option<TopicAlias>,
    ) -> Result<Topic, DisconnectReasonCode> {
        if let Some(alias) = alias {
            let maximum = self.config.connack.topic_alias_maximum.unwrap_or(0);
            if alias.get() > maximum {
                return Err(DisconnectReasonCode::TopicAliasInvalid);
            }
            if name.is_empty() {
                let known = self.topics.get(&alias);
                return known.cloned().ok_or(DisconnectReasonCode::ProtocolError);
            }
        }
        let topic = Topic::new(name).map_err(|_| DisconnectReasonCode::ProtocolError)?;
        if let Some(alias) = alias {
            self.topics.insert(alias, topic.clone());
        }
        Ok(topic)
    }

    /// Counts a received PUBLISH of QoS 1 or 2 against the broker's Receive Maximum (section 4.9).
    pub(crate) fn open(&mut self, packet_id: PacketId) -> Result<(), DisconnectReasonCode> {
        let maximum = (self.config.connack.receive_maximum)
            .map_or(usize::from(u16::MAX), |maximum| maximum.get().into());
        self.open.insert(packet_id);
        if self.open.len() > maximum + self.allowance {
            return Err(DisconnectReasonCode::ReceiveMaximumExceeded);
        }
        Ok(())
    }

    pub(crate) fn is_open(&self, packet_id: PacketId) -> bool {
        self.open.contains(&packet_id)
    }

    /// Takes note of an acknowledgement that leaves.
    pub(crate) fn acknowledged(&mut self, packet: &[u8]) {
        let Ok(Some(header)) = FixedHeader::parse(packet) else {
            return;
        };
        let Some(&[high, low, ref rest @ ..]) = packet.get(header.header_len()..) else {
            return;
        };
        let Some(packet_id) = PacketId::new(u16::from_be_bytes([high, low])) else {
            return;
        };
        match header.packet_type() {
            PacketType::Pubrec if rest.first().is_none_or(|reason| *reason < 0x80) => {}
            PacketType::Puback | PacketType::Pubrec => {
                self.open.remove(&packet_id);
            }
            PacketType::Pubcomp if !self.open.remove(&packet_id) => self.allowance += 1,
            _ => {}
        }
    }

    /// The PUBLISH that brings `outgoing` to the client; `None` if it is too large for it.
    pub(crate) fn publish(
        &mut self,
        outgoing: &Outgoing,
        packet_id: Option<PacketId>,
        dup: bool,
        now: Instant,
    ) -> Option<Bytes> {
        let message = &outgoing.stored.message;
        let properties = outgoing.stored.properties(now);
        let delivery = match (outgoing.qos, packet_id) {
            (QoS::AtLeastOnce, Some(packet_id)) => Delivery::AtLeastOnce { packet_id, dup },
            (QoS::ExactlyOnce, Some(packet_id)) => Delivery::ExactlyOnce { packet_id, dup },
            _ => Delivery::AtMostOnce,
        };
        let mut publish = Publish {
            delivery,
            retain: outgoing.retain,
            topic: self.aliases.choose(&message.topic),
            properties: properties.as_deref(),
            subscription_identifiers: &outgoing.identifiers,
            payload: &message.payload,
        };
        let limit = self.maximum_packet_size;
        let fits = |publish: &Publish<'_>| publish.packet_size().is_ok_and(|size| size <= limit);
        if !fits(&publish) {
            publish.topic = PublishTopic::Name(&message.topic);
            if !fits(&publish) {
                return None;
            }
        }
        if let PublishTopic::NameAndAlias(topic, alias) = publish.topic {
            self.aliases.assign(topic, alias);
        }
        let mut out = BytesMut::new();
        publish.encode(&mut out).ok()?;
        Some(out.freeze())
    }
}

/// The aliases that the broker has given to topics.
#[derive(Debug, Default)]
struct Aliases {
    maximum: u16,
    by_topic: BTreeMap<Topic, TopicAlias>,
    /// The topic of each alias, in the order of the aliases.
    topics: Vec<Topic>,
    /// Where the next topic goes.
    next: u16,
}

impl Aliases {
    fn choose<'a>(&self, topic: &'a Topic) -> PublishTopic<'a> {
        if let Some(alias) = self.by_topic.get(topic) {
            return PublishTopic::Alias(*alias);
        }
        match TopicAlias::new(self.next.saturating_add(1)) {
            Some(alias) if self.maximum > 0 => PublishTopic::NameAndAlias(topic, alias),
            _ => PublishTopic::Name(topic),
        }
    }

    fn assign(&mut self, topic: &Topic, alias: TopicAlias) {
        self.by_topic.insert(topic.clone(), alias);
        match self.topics.get_mut(usize::from(self.next)) {
            Some(old) => {
                self.by_topic.remove(old);
                *old = topic.clone();
            }
            None => self.topics.push(topic.clone()),
        }
        self.next = alias.get().checked_rem(self.maximum).unwrap_or(0);
    }
}
