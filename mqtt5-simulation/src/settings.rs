//! What a run is made of, all of it from its seed.

use std::num::NonZeroU16;
use std::time::Duration;

use mqtt5_client::proto::QoS;
use mqtt5_client::proto::codec::MaximumPacketSize;
use mqtt5_client::proto::packet::ConnackProperties;
use mqtt5_client::{ClientOptions, ReconnectPolicy, StallPolicy};

use crate::judge::Asked;
use crate::random::Random;

/// Whether the broker keeps the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does, with the habits of real brokers.
    Lawful,
    /// It breaks them at random.
    Hostile,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// How many steps there are.
    pub steps: usize,
    /// How the broker is.
    pub mode: Mode,
    /// The steps that are taken, if not all of them: first and last.
    pub kept: Option<Vec<(usize, usize)>>,
}

const CLIENT_IDS: [&str; 3] = ["c0", "c1", "c2"];

/// How many clients there are at most.
pub(crate) const MOST_CLIENTS: usize = CLIENT_IDS.len();

/// How one client is made, every time.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    pub(crate) asked: Asked,
    /// The broker may exceed its Receive Maximum.
    pub(crate) tolerant: bool,
    topic_alias_maximum: u16,
    drain_timeout: Duration,
    delay: Duration,
    jitter: bool,
}

impl ClientSettings {
    pub(crate) fn choose(index: usize, random: &mut Random) -> Self {
        let session_expiry = random.one_of([0, 5, 300, 300, 300]);
        let durable = session_expiry > 0 && random.percent(40);
        let tolerant = random.percent(70);
        let receive_maximum = random.one_of([1, 2, 3, 5, 16, 256]);
        let asked = Asked {
            index,
            durable,
            session_expiry,
            keep_alive: random.one_of([0, 1, 5, 5, 30]),
            ping_timeout: random.one_of([3, 10]),
            receive_maximum,
            maximum_packet_size: random.one_of([16 << 20, 16 << 20, 2_000, 200]),
            outbound_messages: random.one_of([1, 2, 8, 32, 64]),
            outbound_bytes: random.one_of([2_000, 20_000, 64 << 20, 64 << 20]),
            queue_qos0: random.percent(40),
            refuses_stalled: random.percent(20),
            gives_up: !tolerant,
            pauses_reading: random.percent(25),
            client_id: CLIENT_IDS[index % MOST_CLIENTS],
        };
        Self {
            asked,
            tolerant,
            topic_alias_maximum: random.one_of([0, 0, 2]),
            drain_timeout: Duration::from_millis(random.one_of([0, 500, 5_000])),
            delay: Duration::from_millis(random.one_of([20, 100, 2_000])),
            jitter: random.percent(50),
        }
    }

    /// The options for the `generation`th client of this name.
    pub(crate) fn options(&self, generation: u64) -> ClientOptions {
        let asked = &self.asked;
        let expiry = Duration::from_secs(asked.session_expiry.into());
        let options = ClientOptions::new();
        let options = if asked.durable {
            options.durable(asked.client_id, expiry)
        } else {
            options.client_id(asked.client_id).session_expiry(expiry)
        };
        let reconnect = ReconnectPolicy {
            jitter: if self.jitter { 0.5 } else { 0.0 },
            factor: if self.jitter { 2.0 } else { 1.0 },
            max_delay: self.delay * 4,
            seed: Some(generation),
            ..ReconnectPolicy::fixed(self.delay)
        };
        let stall = if asked.refuses_stalled {
            StallPolicy::Refuse
        } else {
            StallPolicy::Hold
        };
        options
            .keep_alive(Duration::from_secs(asked.keep_alive.into()))
            .ping_timeout(Duration::from_secs(asked.ping_timeout.into()))
            .receive_maximum(asked.receive_maximum)
            .receive_excess(if self.tolerant { 16 << 20 } else { 0 })
            .maximum_packet_size(asked.maximum_packet_size)
            .topic_alias_maximum(self.topic_alias_maximum)
            .outbound_messages(asked.outbound_messages)
            .outbound_bytes(asked.outbound_bytes)
            .queue_qos0_offline(asked.queue_qos0)
            .drain_timeout(self.drain_timeout)
            .stall_policy(stall)
            .retry_first_connect(true)
            .reconnect(reconnect)
    }
}

/// What the broker offers from now on.
pub(crate) fn offer(random: &mut Random) -> ConnackProperties {
    let mut connack = ConnackProperties::default();
    if random.percent(60) {
        connack.receive_maximum = NonZeroU16::new(random.one_of([1, 2, 3, 10, 100]));
    }
    if random.percent(25) {
        connack.maximum_packet_size = MaximumPacketSize::new(random.one_of([64, 300, 5_000]));
    }
    if random.percent(15) {
        connack.maximum_qos = Some(random.one_of([QoS::AtMostOnce, QoS::AtLeastOnce]));
    }
    connack.retain_available = random.percent(15).then_some(false);
    connack.wildcard_subscription_available = random.percent(10).then_some(false);
    connack.subscription_identifier_available = random.percent(20).then_some(false);
    connack.shared_subscription_available = random.percent(10).then_some(false);
    connack.server_keep_alive = random.percent(15).then(|| random.one_of([1, 4, 60]));
    connack.session_expiry_interval = random.percent(10).then(|| random.one_of([1, 60]));
    connack
}
