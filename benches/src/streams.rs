//! Decoding what arrives in pieces: each piece is appended to a buffer, as a read does, and all
//! packets that are whole are taken out.

use std::hint::black_box;
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::PacketBuilder;
use mqtt5_proto::codec::Decoder;
use mqtt5_proto::packet::{Packet, ReceivedPublish};
use ntex_codec::Decoder as _;

use crate::decode::protocol_core;
use crate::hand::strict;
use crate::work::{Contender, Facts, Proof, Side, Work};
use crate::{facts, samples};

/// How much one read brings, where it is not the point that it brings little.
const READ: usize = 64 << 10;

/// The bytes, and where they are cut.
struct Arrival {
    bytes: Vec<u8>,
    cuts: Vec<usize>,
    packets: usize,
}

impl Arrival {
    fn new(bytes: Vec<u8>, packets: usize, mut size: impl FnMut() -> usize) -> Rc<Self> {
        let mut cuts = vec![0];
        let mut at = 0;
        while at < bytes.len() {
            at = (at + size()).min(bytes.len());
            cuts.push(at);
        }
        Rc::new(Self {
            bytes,
            cuts,
            packets,
        })
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.cuts.windows(2).map(|cut| &self.bytes[cut[0]..cut[1]])
    }
}

/// A way to decode: takes a piece, and tells of every packet that is whole.
trait Reader: Default {
    fn read(&mut self, piece: &[u8], tell: Option<&mut Proof>);
}

fn contender<R: Reader + 'static>(
    name: &'static str,
    side: Side,
    arrival: &Rc<Arrival>,
) -> Contender {
    let (arrival, again) = (Rc::clone(arrival), Rc::clone(arrival));
    // Kept from run to run: a connection's buffer grows once.
    let mut reader = R::default();
    Contender::new(name, side, arrival.packets, move |meter| {
        meter.region(|| {
            for piece in arrival.pieces() {
                reader.read(black_box(piece), None);
            }
        });
    })
    .proven_by(move || {
        let mut proof = Proof::new();
        let mut reader = R::default();
        for piece in again.pieces() {
            reader.read(piece, Some(&mut proof));
        }
        proof
    })
}

/// What was read goes to the proof, or nowhere.
fn tell<T>(proof: &mut Option<&mut Proof>, packet: &T, facts: impl Fn(&T) -> Facts) {
    black_box(packet);
    if let Some(proof) = proof {
        proof.push(facts(packet));
    }
}

/// A buffer that is read into. Makes room for a piece as a client does: a new one where the old
/// one is still held.
#[derive(Default)]
struct Buffer(BytesMut);

impl Buffer {
    #[inline]
    fn append(&mut self, piece: &[u8]) {
        if self.0.capacity() - self.0.len() < piece.len() {
            self.0.reserve(piece.len().max(READ));
        }
        self.0.extend_from_slice(piece);
    }
}

/// By hand: views of what lies in the buffer.
#[derive(Default)]
struct Hand(Buffer);

impl Reader for Hand {
    #[inline]
    fn read(&mut self, piece: &[u8], mut proof: Option<&mut Proof>) {
        self.0.append(piece);
        let mut at = 0;
        while let Some((packet, size)) = strict::packet(&self.0.0[at..]) {
            tell(&mut proof, &packet, facts::hand::packet);
            at += size;
        }
        self.0.0.advance(at);
    }
}

/// By hand: payloads that can be kept, sharing the buffer.
#[derive(Default)]
struct HandOwned(Buffer);

impl Reader for HandOwned {
    #[inline]
    fn read(&mut self, piece: &[u8], mut proof: Option<&mut Proof>) {
        self.0.append(piece);
        while let Some((packet, size)) = strict::packet(&self.0.0) {
            if let Some(proof) = &mut proof {
                proof.push(facts::hand::packet(&packet));
            }
            if let strict::Packet::Publish(publish) = packet {
                let start = size - publish.payload.len();
                let topic = publish.topic.len();
                let bytes = self.0.0.split_to(size).freeze();
                black_box(&(bytes, topic, start));
            } else {
                black_box(&packet);
                self.0.0.advance(size);
            }
        }
    }
}

/// Ours: views of what lies in the buffer.
#[derive(Default)]
struct Borrowed(Buffer, Decoder);

impl Reader for Borrowed {
    #[inline]
    fn read(&mut self, piece: &[u8], mut proof: Option<&mut Proof>) {
        self.0.append(piece);
        let mut at = 0;
        loop {
            let input = &self.0.0[at..];
            let header = self.1.header(input).expect("a legal header");
            let Some(bytes) = header.and_then(|header| input.get(..header.packet_size())) else {
                break;
            };
            let packet = Packet::parse(bytes);
            if let Ok(Packet::Publish(publish)) = &packet {
                assert!(publish.has_valid_topic());
            }
            tell(&mut proof, &packet, |packet| {
                facts::ours::packet(packet.as_ref().expect("a legal packet"))
            });
            at += bytes.len();
        }
        self.0.0.advance(at);
    }
}

/// Ours: as the session reads, with messages that can be kept.
#[derive(Default)]
struct Owned(Buffer, Decoder);

impl Reader for Owned {
    #[inline]
    fn read(&mut self, piece: &[u8], mut proof: Option<&mut Proof>) {
        self.0.append(piece);
        while let Some(frame) = self.1.next_frame(&mut self.0.0).expect("a legal header") {
            if frame.as_slice()[0] >> 4 == 3 {
                let publish = ReceivedPublish::new(frame);
                tell(&mut proof, &publish, |publish| {
                    facts::ours::received(publish.as_ref().expect("a legal PUBLISH"))
                });
            } else {
                let packet = Packet::parse(frame.as_slice());
                tell(&mut proof, &packet, |packet| {
                    facts::ours::packet(packet.as_ref().expect("a legal packet"))
                });
            }
        }
    }
}

#[derive(Default)]
struct Rumqttc(Buffer);

impl Reader for Rumqttc {
    fn read(&mut self, piece: &[u8], mut proof: Option<&mut Proof>) {
        use rumqttc::v5::mqttbytes::v5::Packet;
        self.0.append(piece);
        while let Ok(packet) = Packet::read(&mut self.0.0, None) {
            tell(&mut proof, &packet, facts::rumqttc::packet);
        }
    }
}

#[derive(Default)]
struct Mqttbytes(Buffer);

impl Reader for Mqttbytes {
    fn read(&mut self, piece: &[u8], mut proof: Option<&mut Proof>) {
        self.0.append(piece);
        while let Ok(packet) = mqttbytes::v5::read(&mut self.0.0, usize::MAX) {
            tell(&mut proof, &packet, facts::mqttbytes::packet);
        }
    }
}

/// This one has a buffer of its own.
struct Core(PacketBuilder);

impl Default for Core {
    fn default() -> Self {
        Self(PacketBuilder::new())
    }
}

impl Reader for Core {
    fn read(&mut self, piece: &[u8], mut proof: Option<&mut Proof>) {
        let mut cursor = Cursor::new(piece);
        while let Some(packet) = protocol_core(&mut self.0, &mut cursor) {
            tell(&mut proof, &packet, facts::protocol_core::packet);
        }
    }
}

struct Ntex(ntex_mqtt::v5::codec::Codec, ntex_bytes::BytesMut);

impl Default for Ntex {
    fn default() -> Self {
        let codec = ntex_mqtt::v5::codec::Codec::new();
        codec.set_min_chunk_size(u32::MAX);
        Self(codec, ntex_bytes::BytesMut::with_capacity(READ))
    }
}

impl Reader for Ntex {
    fn read(&mut self, piece: &[u8], mut proof: Option<&mut Proof>) {
        use ntex_mqtt::v5::codec::Decoded;
        self.1.extend_from_slice(piece);
        while let Some(packet) = self.0.decode(&mut self.1).expect("a legal packet") {
            match packet {
                // A payload that came later than its head.
                Decoded::PayloadChunk(payload, _) => {
                    black_box(&payload);
                    if let Some(facts) = proof.as_mut().and_then(|proof| proof.last_mut()) {
                        facts[3].1.extend_from_slice(&payload);
                    }
                }
                packet => tell(&mut proof, &packet, facts::ntex::packet),
            }
        }
    }
}

fn contenders(arrival: &Rc<Arrival>, ratio: f64) -> Vec<Contender> {
    let copied = Rc::clone(arrival);
    let mut copy = Vec::with_capacity(arrival.bytes.len());
    vec![
        Contender::new(
            "memcpy, piece by piece",
            Side::Memcpy,
            arrival.packets,
            move |meter| {
                copy.clear();
                meter.region(|| {
                    for piece in copied.pieces() {
                        copy.extend_from_slice(black_box(piece));
                    }
                });
                black_box(&copy);
            },
        ),
        contender::<Hand>("by hand, strict", Side::Strict, arrival),
        contender::<HandOwned>("by hand, strict, owned", Side::Variant, arrival),
        contender::<Borrowed>("ours, borrowed", Side::Ours, arrival).within(ratio),
        contender::<Owned>("ours, owned", Side::Ours, arrival).within(ratio),
        contender::<Rumqttc>("rumqttc", Side::Peer, arrival),
        contender::<Mqttbytes>("mqttbytes", Side::Peer, arrival),
        contender::<Core>("mqtt-protocol-core", Side::Peer, arrival),
        contender::<Ntex>("ntex-mqtt", Side::Peer, arrival),
    ]
}

/// The mixture many times over, and what is in it.
fn mixture(times: usize) -> (Vec<u8>, Proof) {
    let (mut bytes, mut proof) = (Vec::new(), Proof::new());
    for (packet, facts) in samples::mixture().into_iter().cycle().take(14 * times) {
        bytes.extend_from_slice(&packet);
        proof.push(facts);
    }
    (bytes, proof)
}

/// 1, 2, 3 … 7, 1, 2 …, in an order that does not repeat with the packets.
fn fragments() -> impl FnMut() -> usize {
    let mut state = 1u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 24) as usize % 7
    }
}

/// The rows.
#[must_use]
pub fn works() -> Vec<Work> {
    const LARGE: usize = 4 << 10;
    vec![
        Work::new(
            "stream-4k",
            "decode 4 KiB payloads as they arrive",
            "packet",
            || samples::proof(&samples::publish_facts(&samples::payload(LARGE)), 200),
            || {
                let packet = samples::publish(&samples::payload(LARGE));
                let bytes = samples::repeated(&packet, 200);
                contenders(&Arrival::new(bytes, 200, || READ), 1.2)
            },
        ),
        Work::new(
            "stream-mixed",
            "decode a mixed stream as it arrives",
            "packet",
            || mixture(70).1,
            || {
                let (bytes, proof) = mixture(70);
                contenders(&Arrival::new(bytes, proof.len(), || READ), 1.4)
            },
        ),
        Work::new(
            "stream-fragments",
            "decode a mixed stream in fragments of 1 to 7 bytes",
            "packet",
            || mixture(20).1,
            || {
                let (bytes, proof) = mixture(20);
                contenders(&Arrival::new(bytes, proof.len(), fragments()), 1.2)
            },
        ),
    ]
}
