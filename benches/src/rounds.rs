//! Publishing in the core: from the application's message to its verdict, without I/O.

mod publishers;

use std::collections::VecDeque;
use std::hint::black_box;

use bytes::BytesMut;

use crate::hand::strict;
use crate::work::{Contender, Proof, Side, Work};
use crate::{facts, samples};
pub(crate) use publishers::connected_session;
use publishers::{Core, Hand, Ours, Rumqttc};

/// How many messages are published in one run.
const MESSAGES: usize = 500;
/// How many of them are looked at to prove it.
const PROVEN: usize = 20;

/// Who publishes the sample message, and has its own sort of state.
pub(crate) trait Publisher {
    /// One that is connected.
    fn connected(in_flight: usize) -> Self;
    /// Accepts a message, and writes its PUBLISH.
    fn publish(&mut self, exactly_once: bool, out: &mut BytesMut);
    /// Takes an acknowledgement, and writes what answers it. Whether there was a verdict.
    fn handle(&mut self, input: &[u8], out: &mut BytesMut) -> bool;
}

/// A publisher with a number of messages in flight, and the server's part in it.
struct Exchange<P> {
    publisher: P,
    out: BytesMut,
    /// In the order of their PUBLISHes.
    waiting: VecDeque<[u8; 2]>,
    exactly_once: bool,
}

/// Where the Packet Identifier stands in the PUBLISH of the sample message.
const ID_AT: usize = 4 + samples::TOPIC.len();

impl<P: Publisher> Exchange<P> {
    /// With all but one of `in_flight` messages in flight.
    fn new(in_flight: usize, exactly_once: bool) -> Self {
        let mut new = Self {
            publisher: P::connected(in_flight),
            out: BytesMut::with_capacity(4096),
            waiting: VecDeque::with_capacity(in_flight),
            exactly_once,
        };
        for _ in 1..in_flight {
            new.publish();
        }
        new
    }

    #[inline]
    fn publish(&mut self) {
        self.out.clear();
        self.publisher.publish(self.exactly_once, &mut self.out);
        self.waiting
            .push_back([self.out[ID_AT], self.out[ID_AT + 1]]);
    }

    /// The server answers the oldest. Whether there was a verdict.
    #[inline]
    fn answer(&mut self) -> bool {
        let Some([high, low]) = self.waiting.pop_front() else {
            return false;
        };
        self.out.clear();
        if self.exactly_once {
            let done = self.publisher.handle(&[0x50, 2, high, low], &mut self.out);
            let released = self.out[..] == [0x62, 2, high, low];
            released && !done && self.publisher.handle(&[0x70, 2, high, low], &mut self.out)
        } else {
            self.publisher.handle(&[0x40, 2, high, low], &mut self.out)
        }
    }
}

fn contender<P: Publisher + 'static>(
    name: &'static str,
    side: Side,
    in_flight: usize,
    exactly_once: bool,
    messages: usize,
) -> Contender {
    let mut kept = None;
    Contender::new(name, side, messages, move |meter| {
        let exchange = kept.get_or_insert_with(|| Exchange::<P>::new(in_flight, exactly_once));
        meter.region(|| {
            for _ in 0..messages {
                exchange.publish();
                black_box(exchange.answer());
            }
        });
    })
    .proven_by(move || prove::<P>(in_flight, exactly_once))
}

/// The first messages, with what was sent of each and whether it had its verdict.
fn prove<P: Publisher>(in_flight: usize, exactly_once: bool) -> Proof {
    let mut exchange = Exchange::<P>::new(in_flight, exactly_once);
    let mut proof = Proof::new();
    for _ in 0..PROVEN {
        exchange.publish();
        let (publish, size) = strict::publish(&exchange.out).expect("a PUBLISH");
        let mut facts = facts::hand::publish(&publish);
        facts.retain(|(name, _)| *name != "id");
        facts.push(("sent", vec![u8::from(size == exchange.out.len())]));
        facts.push(("verdict", vec![u8::from(exchange.answer())]));
        proof.push(facts);
    }
    proof
}

fn expected(exactly_once: bool) -> Proof {
    let qos = 1 + u8::from(exactly_once);
    let topic = samples::TOPIC.as_bytes();
    let mut facts = facts::publish(qos, topic, &samples::SMALL, None);
    facts.push(("sent", vec![1]));
    facts.push(("verdict", vec![1]));
    samples::proof(&facts, PROVEN)
}

fn contenders(in_flight: usize, exactly_once: bool, ratio: f64) -> Vec<Contender> {
    // This one searches: it takes too long for as many.
    let few = if in_flight > 1000 { 5 } else { MESSAGES };
    vec![
        contender::<Hand<false>>("by hand, lax", Side::Lax, in_flight, exactly_once, MESSAGES),
        contender::<Hand<true>>(
            "by hand, strict",
            Side::Strict,
            in_flight,
            exactly_once,
            MESSAGES,
        ),
        contender::<Ours>("ours", Side::Ours, in_flight, exactly_once, MESSAGES).within(ratio),
        contender::<Rumqttc>("rumqttc", Side::Peer, in_flight, exactly_once, MESSAGES),
        contender::<Core>(
            "mqtt-protocol-core",
            Side::Peer,
            in_flight,
            exactly_once,
            few,
        ),
    ]
}

/// The rows.
#[must_use]
pub fn works() -> Vec<Work> {
    let mut works = Vec::new();
    for in_flight in [1, 100, 10_000, 65_535] {
        works.push(Work::new(
            format!("round-qos1-{in_flight}"),
            format!("QoS 1 in the core: publish to PUBACK, {in_flight} in flight"),
            "message",
            || expected(false),
            move || contenders(in_flight, false, 1.9),
        ));
    }
    for in_flight in [1, 100] {
        works.push(Work::new(
            format!("round-qos2-{in_flight}"),
            format!("QoS 2 in the core: publish to PUBCOMP, {in_flight} in flight"),
            "message",
            || expected(true),
            move || contenders(in_flight, true, 2.5),
        ));
    }
    works
}

/// Makes a publisher with a number of messages in flight.
pub(crate) type Hold = fn(usize) -> Box<dyn std::any::Any>;

/// Those who can hold messages in flight.
pub(crate) fn holders() -> [(&'static str, Hold); 4] {
    [
        ("by hand", hold::<Hand<true>>),
        ("ours", hold::<Ours>),
        ("rumqttc", hold::<Rumqttc>),
        ("mqtt-protocol-core", hold::<Core>),
    ]
}

fn hold<P: Publisher + 'static>(messages: usize) -> Box<dyn std::any::Any> {
    // As large as they may all get.
    let mut publisher = P::connected(usize::from(u16::MAX));
    let mut out = BytesMut::with_capacity(4096);
    for _ in 0..messages {
        out.clear();
        publisher.publish(false, &mut out);
    }
    Box::new(publisher)
}
