//! Building packets from an application's values, and writing them.

use std::hint::black_box;
use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use mqtt5_proto::Topic;
use mqtt5_proto::codec::{BinaryData, Encode, Utf8String};
use mqtt5_proto::packet::{
    Connect, ConnectProperties, ConnectPropertiesRef, ConnectRef, Delivery, MessageProperties,
    MessagePropertiesRef, PacketId, Puback, Publish, PublishReasonCode, PublishRef, PublishTopic,
    QoS, TopicAlias, UserProperty, Will, WillRef,
};

use crate::hand::{encode as hand, strict};
use crate::samples as s;
use crate::work::{Contender, Facts, Proof, Side, Work};
use crate::{facts, peers};
use hand::Checks;

/// How many packets are written in one run.
const PACKETS: usize = 1000;

/// Reads one packet of what was written: what is in it, and its size.
type Read = fn(&[u8]) -> (Facts, usize);

/// A buffer to write into.
pub(crate) trait Output {
    /// An empty one with room for this many bytes.
    fn with_room(bytes: usize) -> Self;
    /// Takes everything out.
    fn clear(&mut self);
    /// What was written.
    fn bytes(&self) -> &[u8];
}

impl Output for BytesMut {
    fn with_room(bytes: usize) -> Self {
        Self::with_capacity(bytes)
    }

    fn clear(&mut self) {
        Self::clear(self);
    }

    fn bytes(&self) -> &[u8] {
        self
    }
}

/// A contender that writes a packet into a buffer, again and again.
pub(crate) fn write<O: Output + 'static>(
    name: &'static str,
    side: Side,
    read: Read,
    put: impl FnMut(&mut O) + Clone + 'static,
) -> Contender {
    let mut out = O::with_room(PACKETS * 512);
    let mut again = put.clone();
    let mut put = put;
    Contender::new(name, side, PACKETS, move |meter| {
        out.clear();
        meter.region(|| {
            for _ in 0..PACKETS {
                put(&mut out);
            }
        });
        black_box(out.bytes());
    })
    .proven_by(move || {
        let mut out = O::with_room(PACKETS);
        for _ in 0..PACKETS {
            again(&mut out);
        }
        proof(out.bytes(), read)
    })
}

/// What is in the packets, one after the other.
pub(crate) fn proof(mut bytes: &[u8], read: Read) -> Proof {
    let mut proof = Proof::new();
    while !bytes.is_empty() {
        let (facts, size) = read(bytes);
        proof.push(facts);
        bytes = &bytes[size..];
    }
    proof
}

pub(crate) fn read_publish(input: &[u8]) -> (Facts, usize) {
    let (publish, size) = strict::publish(input).expect("a PUBLISH");
    (facts::hand::publish(&publish), size)
}

pub(crate) fn read_puback(input: &[u8]) -> (Facts, usize) {
    let (ack, size) = strict::puback(input).expect("a PUBACK");
    (facts::ack(4, ack.packet_id, ack.reason), size)
}

pub(crate) fn read_connect(input: &[u8]) -> (Facts, usize) {
    let (connect, size) = strict::connect(input).expect("a CONNECT");
    (facts::hand::connect(&connect), size)
}

/// Not written just before it is read, which would take longer than all the rest.
#[inline]
fn topic() -> &'static str {
    let written_long_ago: &'static &'static str = black_box(&s::TOPIC);
    written_long_ago
}

fn packet_id() -> PacketId {
    PacketId::new(black_box(s::PACKET_ID)).expect("not 0")
}

fn publish<'a>(topic: &'a Topic, payload: &'a [u8]) -> Publish<'a> {
    Publish {
        delivery: Delivery::AtMostOnce,
        retain: false,
        topic: PublishTopic::Name(topic),
        properties: None,
        subscription_identifiers: &[],
        payload,
    }
}

fn small() -> Vec<Contender> {
    let by_hand = |checks| {
        move |out: &mut BytesMut| {
            hand::publish(out, checks, topic(), black_box(&s::SMALL)).expect("legal");
        }
    };
    let kept = Topic::new(s::TOPIC).expect("a topic");
    let mut all = vec![
        write(
            "by hand, lax",
            Side::Lax,
            read_publish,
            by_hand(Checks::Lax),
        ),
        write(
            "by hand, strict",
            Side::Strict,
            read_publish,
            by_hand(Checks::Strict),
        ),
        write("ours", Side::Ours, read_publish, |out: &mut BytesMut| {
            let topic = Topic::new(topic()).expect("a topic");
            let packet = publish(&topic, black_box(&s::SMALL));
            packet.encode(out).expect("small enough");
        })
        .within_without_allocation(1.5),
        write(
            "ours, topic kept",
            Side::Ours,
            read_publish,
            move |out: &mut BytesMut| {
                let packet = publish(black_box(&kept), black_box(&s::SMALL));
                packet.encode(out).expect("small enough");
            },
        ),
        write(
            "ours, borrowed values",
            Side::Ours,
            read_publish,
            |out: &mut BytesMut| {
                let packet = PublishRef::new(topic(), black_box(&s::SMALL));
                packet.encode(out).expect("legal");
            },
        )
        .within_without_allocation(1.5),
    ];
    all.extend(peers::write_publish());
    all
}

fn full() -> Vec<Contender> {
    let by_hand = |checks| {
        move |out: &mut BytesMut| {
            let properties = hand::Properties {
                alias: black_box(s::ALIAS),
                content_type: black_box(s::CONTENT_TYPE),
                correlation: black_box(s::CORRELATION),
                user: black_box(&s::USER_PROPERTIES),
            };
            let (topic, id) = (black_box(s::TOPIC), black_box(s::PACKET_ID));
            hand::full_publish(out, checks, topic, id, &properties, black_box(&s::SMALL))
                .expect("legal");
        }
    };
    let mut all = vec![
        write(
            "by hand, lax",
            Side::Lax,
            read_publish,
            by_hand(Checks::Lax),
        ),
        write(
            "by hand, strict",
            Side::Strict,
            read_publish,
            by_hand(Checks::Strict),
        ),
        write("ours", Side::Ours, read_publish, |out: &mut BytesMut| {
            let topic = Topic::new(black_box(s::TOPIC)).expect("a topic");
            let alias = TopicAlias::new(black_box(s::ALIAS)).expect("not 0");
            let user = black_box(&s::USER_PROPERTIES).iter();
            let user = user.map(|(name, value)| UserProperty::new(name, value).expect("text"));
            let properties = MessageProperties {
                content_type: Some(Utf8String::new(black_box(s::CONTENT_TYPE)).expect("text")),
                correlation_data: Some(correlation()),
                user_properties: user.collect(),
                ..MessageProperties::default()
            };
            let packet = Publish {
                delivery: Delivery::AtLeastOnce {
                    packet_id: packet_id(),
                    dup: false,
                },
                topic: PublishTopic::NameAndAlias(&topic, alias),
                properties: Some(&properties),
                ..publish(&topic, black_box(&s::SMALL))
            };
            packet.encode(out).expect("small enough");
        })
        .within_without_allocation(1.5),
        write(
            "ours, borrowed values",
            Side::Ours,
            read_publish,
            |out: &mut BytesMut| {
                let properties = MessagePropertiesRef {
                    content_type: Some(black_box(s::CONTENT_TYPE)),
                    correlation_data: Some(black_box(s::CORRELATION)),
                    user_properties: black_box(&s::USER_PROPERTIES),
                    ..MessagePropertiesRef::default()
                };
                let packet = PublishRef {
                    delivery: Delivery::AtLeastOnce {
                        packet_id: packet_id(),
                        dup: false,
                    },
                    topic_alias: TopicAlias::new(black_box(s::ALIAS)),
                    properties: Some(&properties),
                    ..PublishRef::new(black_box(s::TOPIC), black_box(&s::SMALL))
                };
                packet.encode(out).expect("legal");
            },
        )
        .within_without_allocation(1.5),
    ];
    all.extend(peers::write_full_publish());
    all
}

/// Applications hold bytes of this kind as `Bytes`.
fn correlation() -> BinaryData {
    BinaryData::new(Bytes::from_static(black_box(s::CORRELATION))).expect("short")
}

fn puback() -> Vec<Contender> {
    let by_hand = |out: &mut BytesMut| hand::puback(out, black_box(s::PACKET_ID));
    let mut all = vec![
        write("by hand", Side::Strict, read_puback, by_hand),
        write("ours", Side::Ours, read_puback, |out: &mut BytesMut| {
            let packet = Puback::new(packet_id(), PublishReasonCode::Success);
            packet.encode(out).expect("small enough");
        })
        .within_without_allocation(1.5),
    ];
    all.extend(peers::write_puback());
    all
}

/// The values of the CONNECT, as a hand-written encoder takes them.
fn connect_values() -> hand::Connect<'static> {
    hand::Connect {
        keep_alive: s::KEEP_ALIVE,
        session_expiry: s::SESSION_EXPIRY,
        receive_maximum: s::RECEIVE_MAXIMUM,
        user: &[("model", "T-1000")],
        client_id: s::CLIENT_ID,
        will_delay: s::WILL_DELAY,
        will_content_type: s::WILL_CONTENT_TYPE,
        will_topic: s::WILL_TOPIC,
        will_payload: s::WILL_PAYLOAD.as_bytes(),
        user_name: s::USER_NAME,
        password: s::PASSWORD.as_bytes(),
    }
}

fn our_connect() -> Connect {
    let text = |text: &str| Utf8String::new(black_box(text)).expect("text");
    let data = |data: &'static str| {
        BinaryData::new(Bytes::from_static(black_box(data.as_bytes()))).expect("short")
    };
    let topic = Topic::new(black_box(s::WILL_TOPIC)).expect("a topic");
    let mut will = Will::new(topic, data(s::WILL_PAYLOAD));
    will.qos = QoS::AtLeastOnce;
    will.retain = true;
    will.delay_interval = black_box(s::WILL_DELAY);
    will.properties.content_type = Some(text(s::WILL_CONTENT_TYPE));
    Connect {
        clean_start: true,
        keep_alive: black_box(s::KEEP_ALIVE),
        client_id: text(s::CLIENT_ID),
        will: Some(Box::new(will)),
        user_name: Some(text(s::USER_NAME)),
        password: Some(data(s::PASSWORD)),
        authentication: None,
        properties: ConnectProperties {
            session_expiry_interval: Some(black_box(s::SESSION_EXPIRY)),
            receive_maximum: NonZeroU16::new(black_box(s::RECEIVE_MAXIMUM)),
            user_properties: vec![UserProperty::new("model", "T-1000").expect("text")],
            ..ConnectProperties::default()
        },
    }
}

fn write_our_connect(values: &hand::Connect<'_>, out: &mut BytesMut) {
    let will = WillRef {
        qos: QoS::AtLeastOnce,
        retain: true,
        delay_interval: values.will_delay,
        properties: MessagePropertiesRef {
            content_type: Some(values.will_content_type),
            ..MessagePropertiesRef::default()
        },
        ..WillRef::new(values.will_topic, values.will_payload)
    };
    let packet = ConnectRef {
        clean_start: true,
        keep_alive: values.keep_alive,
        client_id: values.client_id,
        will: Some(&will),
        user_name: Some(values.user_name),
        password: Some(values.password),
        authentication: None,
        properties: ConnectPropertiesRef {
            session_expiry_interval: Some(values.session_expiry),
            receive_maximum: NonZeroU16::new(values.receive_maximum),
            user_properties: values.user,
            ..ConnectPropertiesRef::default()
        },
    };
    packet.encode(out).expect("legal");
}

fn connect() -> Vec<Contender> {
    let by_hand = |checks| {
        move |out: &mut BytesMut| {
            hand::connect(out, checks, &black_box(connect_values())).expect("legal");
        }
    };
    let mut all = vec![
        write(
            "by hand, lax",
            Side::Lax,
            read_connect,
            by_hand(Checks::Lax),
        ),
        write(
            "by hand, strict",
            Side::Strict,
            read_connect,
            by_hand(Checks::Strict),
        ),
        write("ours", Side::Ours, read_connect, |out: &mut BytesMut| {
            our_connect().encode(out).expect("small enough");
        })
        .within_without_allocation(1.5),
        write(
            "ours, borrowed values",
            Side::Ours,
            read_connect,
            |out: &mut BytesMut| write_our_connect(&black_box(connect_values()), out),
        )
        .within_without_allocation(1.5),
    ];
    all.extend(peers::write_connect());
    all
}

/// The rows.
#[must_use]
pub fn works() -> Vec<Work> {
    let times = |facts: Facts| move || s::proof(&facts, PACKETS);
    vec![
        Work::new(
            "encode-publish-16",
            "build and encode PUBLISH QoS 0, 16 B payload",
            "packet",
            times(s::publish_facts(&s::SMALL)),
            small,
        ),
        Work::new(
            "encode-publish-properties",
            "build and encode PUBLISH QoS 1 with properties",
            "packet",
            times(s::full_publish_facts()),
            full,
        ),
        Work::new(
            "encode-puback",
            "build and encode PUBACK",
            "packet",
            times(s::puback_facts(s::PACKET_ID)),
            puback,
        ),
        Work::new(
            "encode-connect",
            "build and encode CONNECT with will and properties",
            "packet",
            times(s::connect_facts()),
            connect,
        ),
    ]
}
