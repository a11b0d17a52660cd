//! Decoding one packet after the other, from a buffer that holds them all.

use std::rc::Rc;

use bytes::BytesMut;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{PacketBuildResult, PacketBuilder, PacketData};
use mqtt_protocol_core::mqtt::packet::{Packet as PeerPacket, v5_0};
use mqtt5_proto::codec::{DecodeError, Decoder, FixedHeader};
use mqtt5_proto::packet::{Packet, ReceivedPublish};
use ntex_codec::Decoder as _;

use crate::hand::{lax, strict};
use crate::work::{Contender, Facts, Side, Work, drain};
use crate::{facts, samples};

/// How many packets are in the buffer.
const PACKETS: usize = 1000;

/// Bytes, and where the next packet starts.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) bytes: Rc<[u8]>,
    pub(crate) at: usize,
}

pub(crate) fn input(bytes: &Rc<[u8]>) -> impl Fn() -> Input + use<> {
    let bytes = Rc::clone(bytes);
    move || Input {
        bytes: Rc::clone(&bytes),
        at: 0,
    }
}

/// In a buffer whose size is that of the bytes.
pub(crate) fn buffer(bytes: &Rc<[u8]>) -> impl Fn() -> BytesMut + use<> {
    let bytes = Rc::clone(bytes);
    move || BytesMut::from(&bytes[..])
}

fn ntex_buffer(
    bytes: &Rc<[u8]>,
) -> impl Fn() -> (ntex_mqtt::v5::codec::Codec, ntex_bytes::BytesMut) + use<> {
    let bytes = Rc::clone(bytes);
    move || {
        let codec = ntex_mqtt::v5::codec::Codec::new();
        codec.set_min_chunk_size(u32::MAX);
        (codec, ntex_bytes::BytesMut::copy_from_slice(&bytes[..]))
    }
}

/// Takes the next packet with a parser that tells its size.
macro_rules! next {
    ($input:ident, $parser:expr) => {{
        let (packet, size) = $parser(&$input.bytes[$input.at..]).expect("a packet");
        $input.at += size;
        packet
    }};
}

/// The bytes of the next packet.
#[inline]
fn cut<'a>(input: &'a [u8], at: &mut usize) -> &'a [u8] {
    let rest = &input[*at..];
    let header = FixedHeader::parse(rest).expect("a header");
    let size = header.expect("a whole header").packet_size();
    *at += size;
    &rest[..size]
}

/// What the peer without a decoder of its own, which has one only inside its connection, is read
/// with.
pub(crate) struct PeerInput {
    builder: PacketBuilder,
    bytes: Rc<[u8]>,
    at: u64,
}

pub(crate) fn peer_input(bytes: &Rc<[u8]>) -> impl Fn() -> PeerInput + use<> {
    let bytes = Rc::clone(bytes);
    move || PeerInput {
        builder: PacketBuilder::new(),
        bytes: Rc::clone(&bytes),
        at: 0,
    }
}

impl PeerInput {
    fn next(&mut self) -> Option<PeerPacket> {
        let mut cursor = Cursor::new(&self.bytes[..]);
        cursor.set_position(self.at);
        let packet = protocol_core(&mut self.builder, &mut cursor);
        self.at = cursor.position();
        packet
    }
}

/// The next packet, cut and parsed as the connection does it.
pub(crate) fn protocol_core(
    builder: &mut PacketBuilder,
    cursor: &mut Cursor<&[u8]>,
) -> Option<PeerPacket> {
    let PacketBuildResult::Complete(raw) = builder.feed(cursor) else {
        return None;
    };
    if let PacketData::Publish(bytes) = &raw.data {
        let (publish, _) = v5_0::Publish::parse(raw.flags(), bytes.clone()).ok()?;
        return Some(PeerPacket::V5_0Publish(publish));
    }
    Some(match raw.packet_type() {
        1 => PeerPacket::V5_0Connect(raw.parse_exact(v5_0::Connect::parse).ok()?),
        4 => PeerPacket::V5_0Puback(raw.parse_exact(v5_0::Puback::parse).ok()?),
        5 => PeerPacket::V5_0Pubrec(raw.parse_exact(v5_0::Pubrec::parse).ok()?),
        6 => PeerPacket::V5_0Pubrel(raw.parse_exact(v5_0::Pubrel::parse).ok()?),
        7 => PeerPacket::V5_0Pubcomp(raw.parse_exact(v5_0::Pubcomp::parse).ok()?),
        8 => PeerPacket::V5_0Subscribe(raw.parse_exact(v5_0::Subscribe::parse).ok()?),
        9 => PeerPacket::V5_0Suback(raw.parse_exact(v5_0::Suback::parse).ok()?),
        13 => PeerPacket::V5_0Pingresp(raw.parse_exact(v5_0::Pingresp::parse).ok()?),
        _ => return None,
    })
}

/// A copy of the bytes of all packets.
pub(crate) fn memcpy(bytes: &Rc<[u8]>, items: usize) -> Contender {
    let bytes = Rc::clone(bytes);
    let mut copy = vec![0; bytes.len()];
    Contender::new("memcpy", Side::Memcpy, items, move |meter| {
        meter.region(|| {
            copy.copy_from_slice(std::hint::black_box(&bytes));
            std::hint::black_box(&copy);
        });
    })
}

/// The other crates, which decode everything in the same way.
fn peers(bytes: &Rc<[u8]>, items: usize) -> Vec<Contender> {
    vec![
        drain!(
            "rumqttc",
            Peer,
            items,
            buffer(bytes),
            |buffer| rumqttc::v5::mqttbytes::v5::Packet::read(&mut buffer, None).expect("a packet"),
            |packet| facts::rumqttc::packet(&packet)
        ),
        drain!(
            "mqttbytes",
            Peer,
            items,
            buffer(bytes),
            |buffer| mqttbytes::v5::read(&mut buffer, usize::MAX).expect("a packet"),
            |packet| facts::mqttbytes::packet(&packet)
        ),
        drain!(
            "mqtt-protocol-core",
            Peer,
            items,
            peer_input(bytes),
            |input| input.next().expect("a packet"),
            |packet| facts::protocol_core::packet(&packet)
        ),
        drain!(
            "ntex-mqtt",
            Peer,
            items,
            ntex_buffer(bytes),
            |input| input
                .0
                .decode(&mut input.1)
                .expect("a packet")
                .expect("a packet"),
            |packet| facts::ntex::packet(&packet)
        ),
    ]
}

/// By hand, without and with checks.
macro_rules! by_hand {
    ($bytes:expr, $lax:expr, $lax_facts:expr, $strict:expr, $facts:expr) => {
        [
            memcpy($bytes, PACKETS),
            drain!(
                "by hand, lax",
                Lax,
                PACKETS,
                input($bytes),
                |input| next!(input, $lax),
                $lax_facts
            ),
            drain!(
                "by hand, strict",
                Strict,
                PACKETS,
                input($bytes),
                |input| next!(input, $strict),
                $facts
            ),
        ]
    };
}

fn decoder(bytes: &Rc<[u8]>) -> impl Fn() -> (Decoder, BytesMut) + use<> {
    let buffer = buffer(bytes);
    move || (Decoder::default(), buffer())
}

/// Ours, owned.
fn owned(name: &'static str, bytes: &Rc<[u8]>) -> Contender {
    drain!(
        name,
        Ours,
        PACKETS,
        decoder(bytes),
        |input| {
            let frame = input.0.next_frame(&mut input.1).expect("a header");
            frame.map(ReceivedPublish::new)
        },
        |publish: Option<Result<ReceivedPublish, _>>| {
            facts::ours::received(&publish.expect("whole").expect("legal"))
        }
    )
}

type Parsed<'a> = Result<Packet<'a>, DecodeError>;

/// Whether it is a PUBLISH with a topic that is one, which a view does not say by itself.
#[inline]
fn is_publish(packet: &Parsed<'_>) -> bool {
    matches!(packet, Ok(Packet::Publish(publish)) if publish.has_valid_topic())
}

/// Of a PUBLISH whose topic is one, as a borrowed view.
fn borrowed(bytes: &Rc<[u8]>) -> Contender {
    drain!(
        "ours, borrowed",
        Ours,
        PACKETS,
        input(bytes),
        |input| {
            let packet = Packet::parse(cut(&input.bytes, &mut input.at));
            assert!(is_publish(&packet));
            packet
        },
        |packet: Parsed<'_>| facts::ours::packet(&packet.expect("legal"))
    )
}

fn publish_by_hand(bytes: &Rc<[u8]>) -> [Contender; 3] {
    by_hand!(
        bytes,
        lax::publish,
        |publish| facts::hand::lax_publish(&publish),
        strict::publish,
        |publish| facts::hand::publish(&publish)
    )
}

/// As the strict one, for those to whom a topic is bytes.
fn bytes_by_hand(bytes: &Rc<[u8]>) -> Contender {
    drain!(
        "by hand, strict, topic as bytes",
        Variant,
        PACKETS,
        input(bytes),
        |input| next!(input, strict::plain_publish),
        |(topic, payload): (&[u8], &[u8])| facts::publish(0, topic, payload, None)
    )
}

fn stream(packet: &[u8]) -> Rc<[u8]> {
    samples::repeated(packet, PACKETS).into()
}

fn small() -> Vec<Contender> {
    let bytes = stream(&samples::publish(&samples::SMALL));
    let mut all = Vec::from(publish_by_hand(&bytes));
    all.push(bytes_by_hand(&bytes));
    all.push(borrowed(&bytes).within_without_allocation(1.5));
    all.push(owned("ours, owned inline", &bytes).within_without_allocation(3.0));
    all.extend(peers(&bytes, PACKETS));
    all
}

fn medium() -> Vec<Contender> {
    let bytes = stream(&samples::publish(&samples::payload(200)));
    let mut all = Vec::from(publish_by_hand(&bytes));
    all.push(bytes_by_hand(&bytes));
    all.push(borrowed(&bytes).within_without_allocation(1.5));
    all.push(owned("ours, owned sliced", &bytes).within_without_allocation(3.5));
    all.extend(peers(&bytes, PACKETS));
    all
}

fn full() -> Vec<Contender> {
    let bytes = stream(&samples::full_publish());
    let mut all = Vec::from(publish_by_hand(&bytes));
    all.push(borrowed(&bytes).within_without_allocation(1.6));
    all.push(owned("ours, owned", &bytes));
    all.extend(peers(&bytes, PACKETS));
    all
}

/// What an application that looks at every property does with them.
#[inline]
fn read_all(properties: &mqtt5_proto::packet::PublishPropertiesView<'_>) -> usize {
    let user = properties.user_properties();
    usize::from(
        properties
            .topic_alias()
            .map_or(0, mqtt5_proto::packet::TopicAlias::get),
    ) + properties.content_type().map_or(0, str::len)
        + properties.correlation_data().map_or(0, <[u8]>::len)
        + user
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
}

fn full_and_read() -> Vec<Contender> {
    let bytes = stream(&samples::full_publish());
    let sum = |sum: usize| -> Facts { vec![("sum", sum.to_be_bytes().to_vec())] };
    vec![
        drain!(
            "by hand, lax",
            Lax,
            PACKETS,
            input(&bytes),
            |input| {
                let publish = next!(input, lax::publish);
                let read = lax::properties(publish.properties).expect("properties");
                let user = &read.user[..read.users];
                usize::from(read.alias)
                    + read.content_type.len()
                    + read.correlation.len()
                    + user
                        .iter()
                        .map(|(name, value)| name.len() + value.len())
                        .sum::<usize>()
            },
            sum
        ),
        drain!(
            "by hand, strict",
            Strict,
            PACKETS,
            input(&bytes),
            |input| {
                let publish = next!(input, strict::publish);
                let read = &publish.properties.expect("properties");
                let user = strict::user_properties(read.section);
                usize::from(read.alias)
                    + read.content_type.len()
                    + read.correlation.len()
                    + user
                        .map(|(name, value)| name.len() + value.len())
                        .sum::<usize>()
            },
            sum
        ),
        drain!(
            "ours, borrowed",
            Ours,
            PACKETS,
            input(&bytes),
            |input| match Packet::parse(cut(&input.bytes, &mut input.at)) {
                Ok(Packet::Publish(publish)) if publish.has_valid_topic() => {
                    read_all(&publish.properties())
                }
                _ => 0,
            },
            sum
        ),
    ]
}

fn puback() -> Vec<Contender> {
    let bytes = stream(&samples::puback(samples::PACKET_ID));
    let mut all = Vec::from(by_hand!(
        &bytes,
        lax::ack,
        |(id, reason)| facts::ack(4, id, reason),
        strict::puback,
        |ack: strict::Ack<'_>| facts::ack(4, ack.packet_id, ack.reason)
    ));
    all.push(ours(&bytes));
    all.extend(peers(&bytes, PACKETS));
    all
}

fn connect() -> Vec<Contender> {
    let bytes = stream(&samples::connect());
    let mut all = Vec::from(by_hand!(
        &bytes,
        lax::connect,
        |connect| facts::hand::lax_connect(&connect),
        strict::connect,
        |connect| facts::hand::connect(&connect)
    ));
    all.push(ours(&bytes));
    all.extend(peers(&bytes, PACKETS));
    all
}

fn subscribe() -> Vec<Contender> {
    let bytes = stream(&samples::subscribe());
    let mut all = Vec::from(by_hand!(
        &bytes,
        lax::subscribe,
        |(id, properties, entries, _): (u16, &[u8], &[u8], usize)| {
            facts::hand::subscribe(id, u32::from(properties[1]), entries)
        },
        strict::subscribe,
        |subscribe: strict::Subscribe<'_>| {
            facts::hand::subscribe(subscribe.packet_id, subscribe.identifier, subscribe.entries)
        }
    ));
    all.push(ours(&bytes));
    all.extend(peers(&bytes, PACKETS));
    all
}

/// Any packet, as a borrowed view.
fn ours(bytes: &Rc<[u8]>) -> Contender {
    drain!(
        "ours, borrowed",
        Ours,
        PACKETS,
        input(bytes),
        |input| Packet::parse(cut(&input.bytes, &mut input.at)),
        |packet: Parsed<'_>| facts::ours::packet(&packet.expect("legal"))
    )
    .within_without_allocation(3.0)
}

/// The rows.
#[must_use]
pub fn works() -> Vec<Work> {
    let times = |facts: Facts| move || samples::proof(&facts, PACKETS);
    let medium_payload = samples::payload(200);
    let sum = samples::ALIAS as usize
        + samples::CONTENT_TYPE.len()
        + samples::CORRELATION.len()
        + samples::USER_PROPERTIES
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
    vec![
        Work::new(
            "decode-publish-16",
            "decode PUBLISH QoS 0, 16 B payload",
            "packet",
            times(samples::publish_facts(&samples::SMALL)),
            small,
        ),
        Work::new(
            "decode-publish-200",
            "decode PUBLISH QoS 0, 200 B payload",
            "packet",
            times(samples::publish_facts(&medium_payload)),
            medium,
        ),
        Work::new(
            "decode-publish-properties",
            "decode PUBLISH QoS 1 with alias, content type, correlation data, 3 user properties",
            "packet",
            times(samples::full_publish_facts()),
            full,
        ),
        Work::new(
            "decode-publish-properties-read",
            "the same, and read every property",
            "packet",
            times(vec![("sum", sum.to_be_bytes().to_vec())]),
            full_and_read,
        ),
        Work::new(
            "decode-puback",
            "decode PUBACK",
            "packet",
            times(samples::puback_facts(samples::PACKET_ID)),
            puback,
        ),
        Work::new(
            "decode-connect",
            "decode CONNECT with will and properties",
            "packet",
            times(samples::connect_facts()),
            connect,
        ),
        Work::new(
            "decode-subscribe",
            "decode SUBSCRIBE of 10 filters",
            "packet",
            times(samples::subscribe_facts()),
            subscribe,
        ),
    ]
}
