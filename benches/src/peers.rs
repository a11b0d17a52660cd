//! Building and writing packets with other crates, from the same values.

use std::hint::black_box;
use std::num::{NonZeroU16, NonZeroU32};

use ::rumqttc::v5::mqttbytes as rumqttc_types;
use ::rumqttc::v5::mqttbytes::v5 as rumqttc;
use bytes::{Bytes, BytesMut};
use mqtt_protocol_core::mqtt::packet::{self as core_packet, v5_0};
use mqttbytes::v5 as plain;
use ntex_bytes::ByteString;
use ntex_mqtt::v5::codec as ntex;

use crate::encode::{Output, read_connect, read_puback, read_publish, write};
use crate::samples as s;
use crate::work::{Contender, Side};

impl Output for ntex_bytes::BytesMut {
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

#[allow(deprecated, reason = "the method that writes into one buffer")]
fn ntex_write(packet: ntex::Encoded, out: &mut ntex_bytes::BytesMut) {
    use ntex_codec::Encoder as _;
    let codec = ntex::Codec::new();
    codec.encode(packet, out).expect("a legal packet");
}

fn text(text: &'static str) -> ByteString {
    ByteString::from_static(black_box(text))
}

fn user() -> Vec<(String, String)> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    black_box(s::USER_PROPERTIES).map(owned).into()
}

const LEGAL: &str = "a legal packet";

/// PUBLISH of QoS 0.
pub(crate) fn write_publish() -> Vec<Contender> {
    vec![
        write("rumqttc", Side::Peer, read_publish, |out: &mut BytesMut| {
            let payload = Bytes::from_static(black_box(&s::SMALL));
            let (topic, qos) = (black_box(s::TOPIC), rumqttc_types::QoS::AtMostOnce);
            let packet = rumqttc::Publish::new(topic, qos, payload, None);
            packet.write(out).expect(LEGAL);
        }),
        write(
            "mqttbytes",
            Side::Peer,
            read_publish,
            |out: &mut BytesMut| {
                let payload = Bytes::from_static(black_box(&s::SMALL));
                let (topic, qos) = (black_box(s::TOPIC), mqttbytes::QoS::AtMostOnce);
                let packet = plain::Publish::from_bytes(topic, qos, payload);
                packet.write(out).expect(LEGAL);
            },
        ),
        write(
            "mqtt-protocol-core",
            Side::Peer,
            read_publish,
            |out: &mut BytesMut| {
                let builder = v5_0::Publish::builder().topic_name(black_box(s::TOPIC));
                let packet = builder
                    .expect("a topic")
                    .qos(core_packet::Qos::AtMostOnce)
                    .payload(black_box(&s::SMALL[..]))
                    .build();
                out.extend_from_slice(&packet.expect(LEGAL).to_continuous_buffer());
            },
        ),
        write("ntex-mqtt", Side::Peer, read_publish, |out| {
            let packet = ntex_publish(ntex::QoS::AtMostOnce);
            let payload = ntex_bytes::Bytes::from_static(black_box(&s::SMALL));
            ntex_write(ntex::Encoded::Publish(packet, Some(payload)), out);
        }),
    ]
}

fn ntex_publish(qos: ntex::QoS) -> ntex::Publish {
    ntex::Publish {
        dup: false,
        retain: false,
        qos,
        packet_id: None,
        topic: text(s::TOPIC),
        payload_size: s::SMALL.len() as u32,
        properties: ntex::PublishProperties::default(),
    }
}

/// PUBLISH of QoS 1 with properties.
pub(crate) fn write_full_publish() -> Vec<Contender> {
    vec![
        write("rumqttc", Side::Peer, read_publish, |out: &mut BytesMut| {
            let properties = rumqttc::PublishProperties {
                topic_alias: Some(black_box(s::ALIAS)),
                content_type: Some(black_box(s::CONTENT_TYPE).to_owned()),
                correlation_data: Some(Bytes::from_static(black_box(s::CORRELATION))),
                user_properties: user(),
                ..rumqttc::PublishProperties::default()
            };
            let payload = Bytes::from_static(black_box(&s::SMALL));
            let (topic, qos) = (black_box(s::TOPIC), rumqttc_types::QoS::AtLeastOnce);
            let mut packet = rumqttc::Publish::new(topic, qos, payload, Some(properties));
            packet.pkid = black_box(s::PACKET_ID);
            packet.write(out).expect(LEGAL);
        }),
        write(
            "mqttbytes",
            Side::Peer,
            read_publish,
            |out: &mut BytesMut| {
                let payload = Bytes::from_static(black_box(&s::SMALL));
                let (topic, qos) = (black_box(s::TOPIC), mqttbytes::QoS::AtLeastOnce);
                let mut packet = plain::Publish::from_bytes(topic, qos, payload);
                packet.pkid = black_box(s::PACKET_ID);
                packet.properties = Some(plain::PublishProperties {
                    payload_format_indicator: None,
                    message_expiry_interval: None,
                    topic_alias: Some(black_box(s::ALIAS)),
                    response_topic: None,
                    correlation_data: Some(Bytes::from_static(black_box(s::CORRELATION))),
                    user_properties: user(),
                    subscription_identifiers: Vec::new(),
                    content_type: Some(black_box(s::CONTENT_TYPE).to_owned()),
                });
                packet.write(out).expect(LEGAL);
            },
        ),
        write(
            "mqtt-protocol-core",
            Side::Peer,
            read_publish,
            |out: &mut BytesMut| {
                use core_packet::Property as P;
                let mut properties = vec![
                    P::ContentType(
                        core_packet::ContentType::new(black_box(s::CONTENT_TYPE)).unwrap(),
                    ),
                    P::CorrelationData(
                        core_packet::CorrelationData::new(black_box(s::CORRELATION)).unwrap(),
                    ),
                    P::TopicAlias(core_packet::TopicAlias::new(black_box(s::ALIAS)).unwrap()),
                ];
                for (name, value) in black_box(s::USER_PROPERTIES) {
                    let property = core_packet::UserProperty::new(name, value).unwrap();
                    properties.push(P::UserProperty(property));
                }
                let builder = v5_0::Publish::builder().topic_name(black_box(s::TOPIC));
                let packet = builder
                    .expect("a topic")
                    .qos(core_packet::Qos::AtLeastOnce)
                    .packet_id(black_box(s::PACKET_ID))
                    .props(properties)
                    .payload(black_box(&s::SMALL[..]))
                    .build();
                out.extend_from_slice(&packet.expect(LEGAL).to_continuous_buffer());
            },
        ),
        write("ntex-mqtt", Side::Peer, read_publish, |out| {
            let mut packet = ntex_publish(ntex::QoS::AtLeastOnce);
            packet.packet_id = NonZeroU16::new(black_box(s::PACKET_ID));
            let user = black_box(s::USER_PROPERTIES);
            packet.properties = ntex::PublishProperties {
                topic_alias: NonZeroU16::new(black_box(s::ALIAS)),
                correlation_data: Some(ntex_bytes::Bytes::from_static(black_box(s::CORRELATION))),
                content_type: Some(text(s::CONTENT_TYPE)),
                user_properties: user.map(|(name, value)| (text(name), text(value))).into(),
                ..ntex::PublishProperties::default()
            };
            let payload = ntex_bytes::Bytes::from_static(black_box(&s::SMALL));
            ntex_write(ntex::Encoded::Publish(packet, Some(payload)), out);
        }),
    ]
}

/// PUBACK.
pub(crate) fn write_puback() -> Vec<Contender> {
    vec![
        write("rumqttc", Side::Peer, read_puback, |out: &mut BytesMut| {
            let packet = rumqttc::PubAck::new(black_box(s::PACKET_ID), None);
            packet.write(out).expect(LEGAL);
        }),
        write(
            "mqttbytes",
            Side::Peer,
            read_puback,
            |out: &mut BytesMut| {
                let packet = plain::PubAck::new(black_box(s::PACKET_ID));
                packet.write(out).expect(LEGAL);
            },
        ),
        write(
            "mqtt-protocol-core",
            Side::Peer,
            read_puback,
            |out: &mut BytesMut| {
                let packet = v5_0::Puback::builder()
                    .packet_id(black_box(s::PACKET_ID))
                    .build();
                out.extend_from_slice(&packet.expect(LEGAL).to_continuous_buffer());
            },
        ),
        write("ntex-mqtt", Side::Peer, read_puback, |out| {
            let packet = ntex::PublishAck {
                packet_id: NonZeroU16::new(black_box(s::PACKET_ID)).expect("not 0"),
                reason_code: ntex::PublishAckReason::Success,
                properties: Vec::new(),
                reason_string: None,
            };
            ntex_write(ntex::Encoded::Packet(ntex::Packet::PublishAck(packet)), out);
        }),
    ]
}

fn model() -> Vec<(String, String)> {
    vec![("model".to_owned(), "T-1000".to_owned())]
}

/// CONNECT.
pub(crate) fn write_connect() -> Vec<Contender> {
    // It can write a CONNECT only to the start of a buffer.
    let mut start = BytesMut::with_capacity(1024);
    vec![
        write(
            "rumqttc",
            Side::Peer,
            read_connect,
            move |out: &mut BytesMut| {
                let (connect, will, login) = rumqttc_connect();
                let packet = rumqttc::Packet::Connect(connect, Some(will), Some(login));
                start.clear();
                packet.write(&mut start, None).expect(LEGAL);
                out.extend_from_slice(&start);
            },
        ),
        write(
            "mqtt-protocol-core",
            Side::Peer,
            read_connect,
            |out: &mut BytesMut| {
                out.extend_from_slice(&core_connect().to_continuous_buffer());
            },
        ),
        write("ntex-mqtt", Side::Peer, read_connect, |out| {
            let packet = ntex::Packet::Connect(Box::new(ntex_connect()));
            ntex_write(ntex::Encoded::Packet(packet), out);
        }),
    ]
}

fn rumqttc_connect() -> (rumqttc::Connect, rumqttc::LastWill, rumqttc::Login) {
    let connect = rumqttc::Connect {
        keep_alive: black_box(s::KEEP_ALIVE),
        client_id: black_box(s::CLIENT_ID).to_owned(),
        clean_start: true,
        properties: Some(rumqttc::ConnectProperties {
            session_expiry_interval: Some(black_box(s::SESSION_EXPIRY)),
            receive_maximum: Some(black_box(s::RECEIVE_MAXIMUM)),
            user_properties: model(),
            ..rumqttc::ConnectProperties::new()
        }),
    };
    let properties = rumqttc::LastWillProperties {
        delay_interval: Some(black_box(s::WILL_DELAY)),
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: Some(black_box(s::WILL_CONTENT_TYPE).to_owned()),
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    let will = rumqttc::LastWill::new(
        black_box(s::WILL_TOPIC),
        black_box(s::WILL_PAYLOAD),
        rumqttc_types::QoS::AtLeastOnce,
        true,
        Some(properties),
    );
    let login = rumqttc::Login::new(black_box(s::USER_NAME), black_box(s::PASSWORD));
    (connect, will, login)
}

fn core_connect() -> v5_0::Connect {
    use core_packet::Property as P;
    let expiry = core_packet::SessionExpiryInterval::new(black_box(s::SESSION_EXPIRY)).unwrap();
    let maximum = core_packet::ReceiveMaximum::new(black_box(s::RECEIVE_MAXIMUM)).unwrap();
    let delay = core_packet::WillDelayInterval::new(black_box(s::WILL_DELAY)).unwrap();
    let content_type = core_packet::ContentType::new(black_box(s::WILL_CONTENT_TYPE)).unwrap();
    let (topic, payload) = (black_box(s::WILL_TOPIC), black_box(s::WILL_PAYLOAD));
    v5_0::Connect::builder()
        .client_id(black_box(s::CLIENT_ID))
        .unwrap()
        .clean_start(true)
        .keep_alive(black_box(s::KEEP_ALIVE))
        .props(vec![
            P::SessionExpiryInterval(expiry),
            P::ReceiveMaximum(maximum),
            P::UserProperty(core_packet::UserProperty::new("model", "T-1000").unwrap()),
        ])
        .will_message(topic, payload, core_packet::Qos::AtLeastOnce, true)
        .unwrap()
        .will_props(vec![
            P::WillDelayInterval(delay),
            P::ContentType(content_type),
        ])
        .user_name(black_box(s::USER_NAME))
        .unwrap()
        .password(black_box(s::PASSWORD))
        .unwrap()
        .build()
        .expect(LEGAL)
}

fn ntex_connect() -> ntex::Connect {
    ntex::Connect {
        clean_start: true,
        keep_alive: black_box(s::KEEP_ALIVE),
        session_expiry_interval_secs: black_box(s::SESSION_EXPIRY),
        auth_method: None,
        auth_data: None,
        request_problem_info: true,
        request_response_info: false,
        receive_max: NonZeroU16::new(black_box(s::RECEIVE_MAXIMUM)),
        topic_alias_max: 0,
        user_properties: vec![(text("model"), text("T-1000"))],
        max_packet_size: None::<NonZeroU32>,
        last_will: Some(ntex::LastWill {
            qos: ntex::QoS::AtLeastOnce,
            retain: true,
            topic: text(s::WILL_TOPIC),
            message: ntex_bytes::Bytes::from_static(black_box(s::WILL_PAYLOAD.as_bytes())),
            will_delay_interval_sec: Some(black_box(s::WILL_DELAY)),
            correlation_data: None,
            message_expiry_interval: None,
            content_type: Some(text(s::WILL_CONTENT_TYPE)),
            user_properties: Vec::new(),
            is_utf8_payload: None,
            response_topic: None,
        }),
        client_id: text(s::CLIENT_ID),
        username: Some(text(s::USER_NAME)),
        password: Some(ntex_bytes::Bytes::from_static(black_box(
            s::PASSWORD.as_bytes(),
        ))),
    }
}
