//! Handing over a payload of 1 MiB, to the transport and from it: without a copy, it does not
//! matter how large it is.

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use mqtt5_proto::codec::Decoder;
use mqtt5_proto::packet::{ApplicationMessage, ReceivedPublish};
use mqtt5_proto::session::Transmit;
use mqtt5_proto::{Instant, Topic};

use crate::hand::encode::publish_head;
use crate::rounds::connected_session;
use crate::samples;
use crate::work::{Contender, Facts, Proof, Side, Work};

const SIZE: usize = 1 << 20;
const MESSAGES: usize = 8;
const NOW: Instant = Instant::ZERO;

/// Where the bytes lie that were handed over: in the payload of the application, or not.
fn facts(given: &Bytes, handed: &[u8]) -> Facts {
    let same = given.as_ptr() == handed.as_ptr() && given.len() == handed.len();
    vec![("same memory", vec![u8::from(same)])]
}

/// A contender that takes a payload and returns what is to be written, apart from the head.
fn hand_over(
    name: &'static str,
    side: Side,
    mut take: impl FnMut(Bytes, &mut BytesMut) -> Bytes + Clone + 'static,
) -> Contender {
    let payload = Bytes::from(samples::payload(SIZE));
    let given = payload.clone();
    let mut again = take.clone();
    let mut out = BytesMut::with_capacity(4096);
    Contender::new(name, side, MESSAGES, move |meter| {
        meter.region(|| {
            for _ in 0..MESSAGES {
                out.clear();
                black_box(take(payload.clone(), &mut out));
            }
        });
    })
    .proven_by(move || {
        let mut proof = Proof::new();
        for _ in 0..MESSAGES {
            let handed = again(given.clone(), &mut BytesMut::new());
            proof.push(facts(&given, &handed));
        }
        proof
    })
}

/// A session is no value that can be copied; the proof gets one of its own.
struct Ours(mqtt5_proto::Session, Topic);

impl Ours {
    fn new() -> Self {
        Self(
            connected_session(),
            Topic::new(samples::TOPIC).expect("a topic"),
        )
    }

    fn take(&mut self, payload: Bytes, out: &mut BytesMut) -> Bytes {
        let message = ApplicationMessage::new(self.1.clone(), payload);
        self.0.publish(message, NOW).expect("room");
        let mut handed = Bytes::new();
        let start = out.len();
        while let Some(step) = self.0.poll_transmit(out, NOW) {
            if let Transmit::Payload(payload) = step {
                handed = payload;
            }
        }
        self.0
            .handle_transmitted(out.len() - start + handed.len(), NOW);
        while self.0.poll_event().is_some() {}
        handed
    }
}

impl Clone for Ours {
    fn clone(&self) -> Self {
        Self::new()
    }
}

fn outgoing() -> Vec<Contender> {
    let mut ours = Ours::new();
    let mut copied = Vec::with_capacity(SIZE + 64);
    let mut buffer = BytesMut::with_capacity(SIZE + 64);
    let payload = Bytes::from(samples::payload(SIZE));
    let rumqttc_payload = payload.clone();
    vec![
        Contender::new("memcpy", Side::Memcpy, 1, move |meter| {
            copied.clear();
            meter.region(|| copied.put_slice(black_box(&payload)));
            black_box(&copied);
        }),
        hand_over("by hand", Side::Strict, |payload, out| {
            publish_head(out, samples::TOPIC.as_bytes(), payload.len()).expect("small enough");
            payload
        }),
        hand_over("ours", Side::Ours, move |payload, out| {
            ours.take(payload, out)
        }),
        Contender::new("rumqttc", Side::Peer, 1, move |meter| {
            use rumqttc::v5::mqttbytes::{QoS, v5::Publish};
            let payload = rumqttc_payload.clone();
            buffer.clear();
            meter.region(|| {
                let (topic, payload) = (samples::TOPIC, payload.clone());
                let packet = Publish::new(topic, QoS::AtMostOnce, payload, None);
                packet.write(&mut buffer).expect("legal");
            });
            black_box(&buffer);
        }),
    ]
}

/// In one buffer that holds nothing else, as a large packet is read.
fn received() -> (BytesMut, usize) {
    let packet = samples::publish(&samples::payload(SIZE));
    let at = packet.len() - SIZE;
    (BytesMut::from(&packet[..]), at)
}

fn take_received(buffer: &mut BytesMut) -> Bytes {
    let frame = Decoder::default().next_frame(buffer);
    let frame = frame.expect("a packet").expect("a packet");
    ReceivedPublish::new(frame)
        .expect("a PUBLISH")
        .payload_bytes()
}

fn incoming() -> Vec<Contender> {
    let payload = samples::payload(SIZE);
    let mut copied = Vec::with_capacity(SIZE + 64);
    let by_hand = |buffer: &mut BytesMut| {
        let (publish, size) = crate::hand::strict::publish(buffer).expect("a PUBLISH");
        let start = size - publish.payload.len();
        buffer.split_to(size).freeze().slice(start..)
    };
    vec![
        Contender::new("memcpy", Side::Memcpy, 1, move |meter| {
            copied.clear();
            meter.region(|| copied.put_slice(black_box(&payload)));
            black_box(&copied);
        }),
        take_over("by hand", Side::Strict, by_hand),
        take_over("ours", Side::Ours, take_received),
    ]
}

fn take_over(name: &'static str, side: Side, take: fn(&mut BytesMut) -> Bytes) -> Contender {
    Contender::new(name, side, 1, move |meter| {
        let (mut buffer, _) = received();
        meter.region(|| {
            black_box(take(&mut buffer));
        });
    })
    .proven_by(move || {
        let (mut buffer, at) = received();
        let lies = buffer[at..].as_ptr();
        let payload = take(&mut buffer);
        let same = payload.as_ptr() == lies && payload.len() == SIZE;
        vec![vec![("same memory", vec![u8::from(same)])]]
    })
}

/// The rows.
#[must_use]
pub fn works() -> Vec<Work> {
    let same = || vec![("same memory", vec![1])];
    vec![
        Work::new(
            "payload-out",
            "hand a 1 MiB payload to the transport (no copy)",
            "message",
            move || samples::proof(&same(), MESSAGES),
            outgoing,
        ),
        Work::new(
            "payload-in",
            "take a 1 MiB payload from the transport's buffer (no copy)",
            "message",
            move || vec![same()],
            incoming,
        ),
    ]
}
