//! Random commands, random pieces of input, and cuts at random bytes, against a broker written for
//! this test. A run that fails prints its seed; `SESSION_SIMULATION_SEED=n` replays it, and
//! `SESSION_SIMULATION_RUNS=n` makes more runs.

#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

mod session_support;

#[path = "session_support/broker.rs"]
mod broker;

use core::num::NonZeroU16;
use std::collections::{BTreeMap, BTreeSet};

use broker::{Broker, Published, Random, cut_packet};
use bytes::BytesMut;
use mqtt5_proto::packet::{ApplicationMessage, PublishReasonCode, Subscription};
use mqtt5_proto::session::{
    AckToken, Event, InputStatus, OperationId, Phase, PublishVerdict, RequestVerdict,
    SessionConfig, SubscribeRequest, Transmit, UnsubscribeRequest,
};
use mqtt5_proto::{Instant, QoS, Session, Topic, TopicFilter};

const RUNS: u64 = 1000;
const STEPS: usize = 1000;

/// What the client has put on the wire of one connection.
#[derive(Default)]
struct Wire {
    /// Handed out, not cut into packets yet.
    uncut: Vec<u8>,
    /// Where the next packet starts.
    at: usize,
    /// Messages, and where their PUBLISH starts.
    publishes: Vec<(usize, u32)>,
    /// Handed out, not taken by the transport.
    held: Vec<u8>,
    transmitted: usize,
    /// Taken by the transport, not arrived at the broker.
    up: Vec<u8>,
    /// Sent by the broker, not arrived at the client.
    down: Vec<u8>,
    /// The rank of the last message that was sent again; and whether a new one was sent.
    resent: Option<usize>,
    new_sent: bool,
    disconnected: bool,
    asked_to_close: bool,
}

struct World {
    random: Random,
    now: Instant,
    session: Session,
    broker: Broker,
    wire: Wire,
    input: BytesMut,
    next_number: u32,
    accepted: BTreeMap<OperationId, Option<(u8, u32)>>,
    verdicts: BTreeMap<OperationId, Event>,
    tokens: Vec<(AckToken, u32)>,
    refused: BTreeSet<u32>,
    delivered: BTreeMap<u32, u32>,
    /// Messages to the client, by number.
    sent_down: BTreeMap<u32, u8>,
    /// Messages of which a byte left on an earlier connection.
    left: BTreeSet<u32>,
    /// Messages of QoS 1 and 2 in the order of first sending.
    order: Vec<u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let config = SessionConfig {
            client_id: session_support::text("c"),
            keep_alive: 0,
            receive_maximum: NonZeroU16::new(8).unwrap(),
            queue_qos0: random.percent(50),
            session_expiry_interval: if random.percent(90) { 300 } else { 0 },
            ..SessionConfig::default()
        };
        Self {
            random,
            now: Instant::ZERO,
            session: Session::new(config),
            broker: Broker::default(),
            wire: Wire::default(),
            input: BytesMut::new(),
            next_number: 0,
            accepted: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            tokens: Vec::new(),
            refused: BTreeSet::new(),
            delivered: BTreeMap::new(),
            sent_down: BTreeMap::new(),
            left: BTreeSet::new(),
            order: Vec::new(),
        }
    }

    fn number(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..=11 => self.publish(),
            12..=13 => self.request(),
            14..=21 => self.send_down(),
            22..=33 => self.acknowledge(),
            34..=47 => self.poll(),
            48..=61 => self.transmit(),
            62..=73 => self.arrive_up(),
            74..=84 => self.write_down(false),
            85..=97 => self.arrive_down(),
            98 => self.cut(),
            _ if self.random.percent(20) => self.disconnect(),
            _ => {}
        }
        if self.random.percent(50) {
            self.take_events();
        }
        self.close_and_open();
    }

    fn close_and_open(&mut self) {
        if self.wire.asked_to_close && self.wire.held.is_empty() {
            self.cut();
        }
        if self.session.phase() == Phase::Offline && self.random.percent(30) {
            self.open();
        }
    }

    // --- the application ----------------------------------------------------

    fn publish(&mut self) {
        let number = self.number();
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][self.random.below(3)];
        let mut payload = number.to_be_bytes().to_vec();
        if self.random.percent(5) {
            payload.resize(5000, 0);
        }
        let message = ApplicationMessage::new(Topic::new("t").unwrap(), payload).with_qos(qos);
        if let Ok(operation) = self.session.publish(message, self.now) {
            let accepted = Some((qos as u8, number));
            assert_eq!(self.accepted.insert(operation, accepted), None);
        }
    }

    fn request(&mut self) {
        let filter = TopicFilter::new("t").unwrap();
        let operation = if self.random.percent(50) {
            let request = SubscribeRequest::from(Subscription::new(filter));
            self.session.subscribe(request).ok()
        } else {
            let request = UnsubscribeRequest::from(filter);
            self.session.unsubscribe(request).ok()
        };
        if let Some(operation) = operation {
            assert_eq!(self.accepted.insert(operation, None), None);
        }
    }

    fn acknowledge(&mut self) {
        if self.tokens.is_empty() {
            return;
        }
        let index = self.random.below(self.tokens.len());
        let (token, number) = self.tokens.swap_remove(index);
        let code = if self.random.percent(15) {
            self.refused.insert(number);
            PublishReasonCode::QuotaExceeded
        } else {
            PublishReasonCode::Success
        };
        // A token may have died with its session.
        let _ = self.session.acknowledge(token, code);
    }

    fn take_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match &event {
                Event::Message(message) => {
                    let payload = message.payload();
                    let number = u32::from_be_bytes(payload[..4].try_into().unwrap());
                    *self.delivered.entry(number).or_default() += 1;
                    self.tokens.push((message.token().unwrap(), number));
                }
                Event::Published { operation, .. }
                | Event::Subscribed { operation, .. }
                | Event::Unsubscribed { operation, .. } => {
                    let operation = *operation;
                    assert!(self.accepted.contains_key(&operation));
                    let earlier = self.verdicts.insert(operation, event);
                    assert_eq!(earlier, None, "a second verdict");
                }
                Event::Connected(_) | Event::Disconnected(_) | Event::AcksStalled { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn disconnect(&mut self) {
        use mqtt5_proto::packet::{Disconnect, DisconnectReasonCode};
        let packet = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
        if self.session.phase() == Phase::Connected {
            self.session.disconnect(packet).unwrap();
        }
    }

    // --- the transport ------------------------------------------------------

    fn open(&mut self) {
        self.wire = Wire::default();
        self.input.clear();
        self.session.handle_opened(self.now);
    }

    fn poll(&mut self) {
        let mut out = BytesMut::new();
        while let Some(transmit) = self.session.poll_transmit(&mut out, self.now) {
            assert!(!self.wire.asked_to_close, "bytes behind the close");
            self.wire.held.extend_from_slice(&out);
            self.wire.uncut.extend_from_slice(&out);
            let appended = out.split();
            match transmit {
                Transmit::Buffered => assert!(!appended.is_empty()),
                Transmit::Payload(payload) => {
                    self.wire.held.extend_from_slice(&payload);
                    self.wire.uncut.extend_from_slice(&payload);
                }
                Transmit::Close => self.wire.asked_to_close = true,
            }
        }
        loop {
            let before = self.wire.uncut.len();
            let Some((first, body)) = cut_packet(&mut self.wire.uncut) else {
                break;
            };
            let start = self.wire.at;
            self.wire.at += before - self.wire.uncut.len();
            assert!(!self.wire.disconnected, "a packet behind the DISCONNECT");
            self.wire.disconnected = first >> 4 == 14;
            if first >> 4 == 3 {
                self.note_publish(start, &Published::read(first, &body));
            }
        }
        assert!(self.wire.uncut.is_empty(), "a packet in parts");
    }

    fn note_publish(&mut self, start: usize, message: &Published) {
        self.wire.publishes.push((start, message.number));
        if message.qos == 0 {
            return;
        }
        let again = self.left.contains(&message.number);
        assert_eq!(message.dup, again, "DUP of {}", message.number);
        let known = self.order.iter().position(|n| *n == message.number);
        if again {
            assert!(!self.wire.new_sent, "a repetition behind a new message");
            assert!(known > self.wire.resent, "the order of repetitions");
            self.wire.resent = known;
        } else {
            self.wire.new_sent = true;
            // What was handed out before and never left goes in its order too, but among the new.
            if let Some(known) = known {
                self.order.remove(known);
            }
            self.order.push(message.number);
        }
    }

    fn transmit(&mut self) {
        let count = self.random.part(self.wire.held.len());
        self.transmit_bytes(count);
    }

    fn transmit_bytes(&mut self, count: usize) {
        self.wire.up.extend(self.wire.held.drain(..count));
        self.wire.transmitted += count;
        self.session.handle_transmitted(count, self.now);
    }

    fn arrive_up(&mut self) {
        let count = self.random.part(self.wire.up.len());
        let bytes: Vec<u8> = self.wire.up.drain(..count).collect();
        self.broker.read(&bytes, &mut self.random);
    }

    fn send_down(&mut self) {
        let number = self.number();
        let qos = u8::try_from(1 + self.random.below(2)).unwrap();
        self.sent_down.insert(number, qos);
        self.broker.publish(qos, number);
    }

    fn write_down(&mut self, all: bool) {
        let bytes = self.broker.write(&mut self.random, all);
        self.wire.down.extend_from_slice(&bytes);
    }

    fn arrive_down(&mut self) {
        let count = self.random.part(self.wire.down.len());
        self.input.extend(self.wire.down.drain(..count));
        let status = self.session.handle_input(&mut self.input, self.now);
        assert_ne!(status, InputStatus::OutputFull);
    }

    /// A part of what the transport took arrives; the rest is lost.
    fn cut(&mut self) {
        if self.session.phase() == Phase::Offline {
            return;
        }
        self.arrive_up();
        self.broker.closed();
        for (start, number) in core::mem::take(&mut self.wire.publishes) {
            if start < self.wire.transmitted {
                self.left.insert(number);
            }
        }
        self.session.handle_closed(self.now);
        self.wire = Wire::default();
    }

    // --- the end ------------------------------------------------------------

    /// No more cuts: all that was promised must come to its end.
    fn settle(&mut self) {
        for _ in 0..2000 {
            if self.session.phase() == Phase::Offline {
                self.open();
            }
            self.poll();
            self.transmit_bytes(self.wire.held.len());
            let bytes = core::mem::take(&mut self.wire.up);
            self.broker.read(&bytes, &mut self.random);
            self.write_down(true);
            self.input.extend(self.wire.down.drain(..));
            self.session.handle_input(&mut self.input, self.now);
            self.take_events();
            self.acknowledge();
            if self.wire.asked_to_close && self.wire.held.is_empty() {
                self.cut();
            }
            let quiet = self.broker.is_connected() && self.broker.is_idle();
            if quiet && self.tokens.is_empty() && self.session.pending_operations() == 0 {
                self.check_deliveries_are_complete();
                return;
            }
        }
        panic!(
            "it never settles: {:?}, {} tokens",
            self.session,
            self.tokens.len()
        );
    }

    fn check_deliveries_are_complete(&self) {
        for (number, qos) in &self.sent_down {
            let count = self.delivered.get(number).copied().unwrap_or(0);
            if !self.broker.lost.contains(number) {
                assert!(count >= 1, "message {number} of QoS {qos} was lost");
            }
        }
    }

    fn check(&mut self) {
        self.session.abandon(self.now);
        self.take_events();
        assert_eq!(self.session.pending_operations(), 0);
        assert_eq!(self.session.pending_bytes(), 0);
        assert!(self.session.is_settled());
        assert_eq!(self.accepted.len(), self.verdicts.len());
        for (operation, accepted) in &self.accepted {
            match (&self.verdicts[operation], accepted) {
                (Event::Published { verdict, .. }, Some((qos, number))) => {
                    self.check_verdict(verdict, *qos, *number);
                }
                (Event::Subscribed { verdict, .. }, None) => {
                    assert_ne!(*verdict, RequestVerdict::MalformedAnswer);
                }
                (Event::Unsubscribed { verdict, .. }, None) => {
                    assert_ne!(*verdict, RequestVerdict::MalformedAnswer);
                }
                other => panic!("{other:?}"),
            }
        }
        for (number, count) in &self.delivered {
            // A message that was refused may come again, if the refusal was lost.
            if self.sent_down[number] == 2 && !self.refused.contains(number) {
                assert_eq!(*count, 1, "QoS 2 message {number} came {count} times");
            }
        }
    }

    fn check_verdict(&self, verdict: &PublishVerdict, qos: u8, number: u32) {
        let taken = self.broker.taken.get(&number).copied().unwrap_or(0);
        assert!(qos == 1 || taken <= 1, "{number} was taken {taken} times");
        match verdict {
            PublishVerdict::Sent => assert_eq!(qos, 0),
            PublishVerdict::Acknowledged(ack) => {
                assert!(taken >= 1, "{number} was acknowledged but not taken");
                assert_eq!(ack.completion.is_some(), qos == 2);
            }
            PublishVerdict::Refused(_) => assert!(qos > 0),
            PublishVerdict::NeverSent { message } => {
                assert_eq!(taken, 0, "{number} was never sent but taken");
                assert_eq!(message.payload[..4], number.to_be_bytes());
            }
            PublishVerdict::Unknown { message } => match message {
                Some(message) => assert_eq!(message.payload[..4], number.to_be_bytes()),
                None => assert_eq!(qos, 2),
            },
            other => panic!("{other:?}"),
        }
    }
}

/// Tells the seed of a run that panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with SESSION_SIMULATION_SEED={}", self.0);
        }
    }
}

fn run(seed: u64) -> u32 {
    let _seed = Seed(seed);
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    if world.random.percent(60) {
        world.settle();
    }
    world.check();
    world.broker.resumed
}

#[test]
fn promises_hold_under_random_commands_pieces_and_cuts() {
    if let Ok(seed) = std::env::var("SESSION_SIMULATION_SEED") {
        run(seed.parse().unwrap());
        return;
    }
    let runs = std::env::var("SESSION_SIMULATION_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    let resumed: u32 = (0..runs).map(run).sum();
    assert!(
        resumed > 100,
        "only {resumed} resumptions: the runs say little"
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_events() {
    for seed in 0..20 {
        let mut worlds = [World::new(seed), World::new(seed)];
        for _ in 0..STEPS {
            let [first, second] = worlds.each_mut().map(|world| {
                world.step();
                (world.wire.held.clone(), format!("{:?}", world.session))
            });
            assert_eq!(first, second);
        }
        let [first, second] = worlds.map(|world| world.verdicts);
        assert_eq!(first, second);
    }
}
