//! Packets and their bytes, both ways.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod codec_support;

use bytes::BytesMut;
use codec_support::{also_accepted, hex, id, publish, refused, text, written, written_as};
use mqtt5_proto::codec::{BinaryData, Decoder, Encode, FixedHeader, Frame, Violation};
use mqtt5_proto::packet::{
    AckProperties, ApplicationMessage, Auth, AuthProperties, AuthReasonCode, Authentication,
    Connack, ConnackProperties, ConnackReasonCode, Connect, ConnectProperties, Delivery,
    Disconnect, DisconnectProperties, DisconnectReasonCode, MessageProperties, Packet, PacketType,
    PayloadFormatIndicator, Pingreq, Pingresp, Puback, Pubcomp, Publish, PublishReasonCode,
    PublishTopic, Pubrec, Pubrel, ReceivedPublish, ReleaseReasonCode, RetainHandling, Suback,
    SubackReasonCode, Subscribe, Subscription, SubscriptionIdentifier, TopicAlias, Unsuback,
    UnsubackReasonCode, Unsubscribe, UserProperty, Will,
};
use mqtt5_proto::{QoS, Topic, TopicFilter};
use std::num::NonZeroU16;

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn subscription(filter: &str, qos: QoS) -> Subscription {
    let mut subscription = Subscription::new(TopicFilter::new(filter).unwrap());
    subscription.maximum_qos = qos;
    subscription
}

fn subscription_id(value: u32) -> SubscriptionIdentifier {
    SubscriptionIdentifier::new(value).unwrap()
}

// --- CONNECT and CONNACK ----------------------------------------------------

#[test]
fn connect_with_an_empty_client_id() {
    let connect = Connect {
        clean_start: true,
        keep_alive: 60,
        ..Connect::default()
    };
    let bytes = "10 0D 00 04 4D 51 54 54 05 02 00 3C 00 00 00";
    written_as(&connect, bytes);

    let bytes = hex(bytes);
    let Packet::Connect(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    assert!(view.clean_start());
    assert_eq!(view.keep_alive(), 60);
    assert_eq!(view.client_id(), "");
    assert!(view.properties().is_empty());
    assert_eq!(view.will(), None);
    assert_eq!((view.user_name(), view.password()), (None, None));
    assert_eq!(view.authentication(), None);
}

fn connect_c() -> Connect {
    Connect {
        clean_start: true,
        keep_alive: 60,
        client_id: text("c"),
        ..Connect::default()
    }
}

#[test]
fn edge_case_45_connect_with_a_will_without_properties() {
    let mut will = Will::new(topic("w"), "x".try_into().unwrap());
    will.qos = QoS::AtLeastOnce;
    let connect = Connect {
        will: Some(Box::new(will.clone())),
        ..connect_c()
    };
    let bytes = "10 15 00 04 4D 51 54 54 05 0E 00 3C 00 00 01 63 00 00 01 77 00 01 78";
    written_as(&connect, bytes);

    let bytes = hex(bytes);
    let Packet::Connect(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    let view = view.will().unwrap();
    assert_eq!((view.topic(), view.payload()), ("w", &b"x"[..]));
    assert_eq!((view.qos(), view.retain()), (QoS::AtLeastOnce, false));
    assert!(view.properties().is_empty());
    assert_eq!(view.to_will(), Some(will));
}

#[test]
fn edge_case_42_connect_with_a_password_only() {
    let connect = Connect {
        password: Some("pw".try_into().unwrap()),
        ..connect_c()
    };
    let bytes = "10 12 00 04 4D 51 54 54 05 42 00 3C 00 00 01 63 00 02 70 77";
    written_as(&connect, bytes);

    let bytes = hex(bytes);
    let Packet::Connect(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(
        (view.user_name(), view.password()),
        (None, Some(&b"pw"[..]))
    );
}

#[test]
fn connect_with_everything() {
    let mut will = Will::new(topic("w"), BinaryData::new(vec![0xFF, 0x00]).unwrap());
    will.qos = QoS::ExactlyOnce;
    will.retain = true;
    will.delay_interval = 5;
    will.properties = MessageProperties {
        payload_format_indicator: Some(PayloadFormatIndicator::Unspecified),
        message_expiry_interval: Some(1),
        content_type: Some(text("t")),
        response_topic: Some(topic("r")),
        correlation_data: Some(BinaryData::new(vec![0x00]).unwrap()),
        user_properties: vec![UserProperty::new("k", "v").unwrap()],
    };
    let connect = Connect {
        clean_start: false,
        keep_alive: 0xFFFF,
        client_id: text("c"),
        will: Some(Box::new(will.clone())),
        user_name: Some(text("u")),
        password: Some("p".try_into().unwrap()),
        authentication: Some(Authentication {
            method: text("X"),
            data: Some(BinaryData::new(vec![0x80]).unwrap()),
        }),
        properties: ConnectProperties {
            session_expiry_interval: Some(u32::MAX),
            request_problem_information: Some(false),
            request_response_information: Some(true),
            receive_maximum: NonZeroU16::new(10),
            topic_alias_maximum: Some(0),
            user_properties: vec![UserProperty::default()],
            maximum_packet_size: Some(mqtt5_proto::codec::MaximumPacketSize::new(1).unwrap()),
        },
    };
    let bytes = "10 5C  00 04 4D 51 54 54 05 F4 FF FF
        21  11 FF FF FF FF  17 00  19 01  21 00 0A  22 00 00  26 00 00 00 00  27 00 00 00 01
            15 00 01 58  16 00 01 80
        00 01 63
        1F  01 00  02 00 00 00 01  03 00 01 74  08 00 01 72  09 00 01 00  26 00 01 6B 00 01 76
            18 00 00 00 05
        00 01 77  00 02 FF 00
        00 01 75  00 01 70";
    written_as(&connect, bytes);

    let bytes = hex(bytes);
    let Packet::Connect(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    assert!(!view.clean_start());
    assert_eq!(view.will().unwrap().to_will(), Some(will));
    assert_eq!(view.authentication(), connect.authentication);
    let properties = view.properties();
    assert_eq!(properties.session_expiry_interval(), Some(u32::MAX));
    assert_eq!(properties.request_problem_information(), Some(false));
    assert_eq!(properties.request_response_information(), Some(true));
    assert_eq!(properties.receive_maximum(), NonZeroU16::new(10));
    assert_eq!(properties.topic_alias_maximum(), Some(0));
    assert_eq!(properties.user_properties().collect::<Vec<_>>(), [("", "")]);
    assert_eq!(properties.maximum_packet_size().unwrap().get(), 1);
    // A password is a secret, and so is Authentication Data.
    let debug = format!("{view:?} {connect:?}");
    assert!(
        !debug.contains("112") && !debug.contains("b\"p\""),
        "{debug}"
    );
    assert!(!debug.contains("128") && !debug.contains("x80"), "{debug}");
}

#[test]
fn connack() {
    written_as(&Connack::default(), "20 03 00 00 00");
    let resumed = Connack {
        session_present: true,
        properties: ConnackProperties {
            receive_maximum: NonZeroU16::new(10),
            ..ConnackProperties::default()
        },
        ..Connack::default()
    };
    written_as(&resumed, "20 06 01 00 03 21 00 0A");
    // 3.2.2-6
    let refused = Connack {
        session_present: true,
        reason_code: ConnackReasonCode::NotAuthorized,
        ..Connack::default()
    };
    written_as(&refused, "20 03 00 87 00");
}

#[test]
fn connack_with_everything() {
    let connack = Connack {
        session_present: false,
        reason_code: ConnackReasonCode::Success,
        properties: ConnackProperties {
            session_expiry_interval: Some(1),
            assigned_client_identifier: Some(text("a")),
            server_keep_alive: Some(2),
            authentication_method: Some(text("m")),
            authentication_data: Some("d".try_into().unwrap()),
            response_information: Some(text("i")),
            server_reference: Some(text("s")),
            reason_string: Some(text("r")),
            receive_maximum: NonZeroU16::new(3),
            topic_alias_maximum: Some(4),
            maximum_qos: Some(QoS::AtLeastOnce),
            retain_available: Some(false),
            user_properties: vec![],
            maximum_packet_size: mqtt5_proto::codec::MaximumPacketSize::new(5),
            wildcard_subscription_available: Some(true),
            subscription_identifier_available: Some(false),
            shared_subscription_available: Some(true),
        },
    };
    let bytes = "20 38 00 00 35
        11 00 00 00 01  12 00 01 61  13 00 02  15 00 01 6D  16 00 01 64  1A 00 01 69  1C 00 01 73
        1F 00 01 72  21 00 03  22 00 04  24 01  25 00  27 00 00 00 05  28 01  29 00  2A 01";
    written_as(&connack, bytes);
    let bytes = hex(bytes);
    let view = codec_support::connack(&bytes);
    assert_eq!(view.properties().to_owned(), connack.properties);
    // Text that is not in the packet: Authentication Data is a secret.
    assert!(!format!("{view:?}").contains("100"), "{view:?}");
}

#[test]
fn edge_case_25_maximum_qos_2_is_never_written() {
    // It says what its absence says, and only 0 and 1 are legal.
    let connack = Connack {
        properties: ConnackProperties {
            maximum_qos: Some(QoS::ExactlyOnce),
            ..ConnackProperties::default()
        },
        ..Connack::default()
    };
    written_as(&connack, "20 03 00 00 00");
}

#[test]
fn edge_case_34_connack_of_a_v3_server() {
    let bytes = hex("20 02 00 01");
    let view = codec_support::connack(&bytes);
    assert!(view.is_v3());
    assert_eq!(view.reason_code().raw(), 1);
    assert_eq!(view.reason_code().tabled(), None);
    // With a Property Length too.
    assert!(codec_support::connack(&hex("20 03 00 05 00")).is_v3());

    let bytes = hex("20 02 00 87");
    let view = codec_support::connack(&bytes);
    assert!(!view.is_v3());
    assert_eq!(view.reason_code(), ConnackReasonCode::NotAuthorized);

    for success in ["20 02 00 00", "20 02 01 00", "20 02 00 06", "20 02 00 7F"] {
        refused(success, 0x81, Violation::Truncated, 4);
    }
}

// --- PUBLISH ----------------------------------------------------------------

#[test]
fn publish_qos_0() {
    let message = ApplicationMessage::new(topic("a/b"), "hi");
    let bytes = "30 08 00 03 61 2F 62 00 68 69";
    written_as(&message.to_publish(Delivery::AtMostOnce), bytes);

    let bytes = hex(bytes);
    let view = publish(&bytes);
    assert_eq!(view.delivery(), Delivery::AtMostOnce);
    assert!(!view.retain());
    assert_eq!((view.topic(), view.payload()), ("a/b", &b"hi"[..]));

    let retained = message.with_retain(true);
    let bytes = "31 08 00 03 61 2F 62 00 68 69";
    written_as(&retained.to_publish(Delivery::AtMostOnce), bytes);
}

#[test]
fn publish_qos_1_and_2_and_the_same_resent() {
    let message = ApplicationMessage::new(topic("a/b"), "hi");
    let packet_id = id(10);
    for (dup, qos_1, qos_2) in [(false, "32", "34"), (true, "3A", "3C")] {
        let rest = "0A 00 03 61 2F 62 00 0A 00 68 69";
        let delivery = Delivery::AtLeastOnce { packet_id, dup };
        written_as(&message.to_publish(delivery), &format!("{qos_1} {rest}"));
        let delivery = Delivery::ExactlyOnce { packet_id, dup };
        written_as(&message.to_publish(delivery), &format!("{qos_2} {rest}"));
        let bytes = hex(&format!("{qos_2} {rest}"));
        assert_eq!(publish(&bytes).delivery(), delivery);
    }
}

#[test]
fn every_legal_first_byte_of_publish() {
    for first in 0x30..=0x3F_u8 {
        let mut bytes = hex("30 0A 00 03 61 2F 62 00 0A 00 68 69");
        bytes[0] = first;
        let legal = matches!(first, 0x30..=0x35 | 0x3A..=0x3D);
        // As QoS 0 the bytes read otherwise, and are legal too: 00 properties, 0A 00 68 69.
        let parsed = Packet::parse(&bytes);
        assert_eq!(parsed.is_ok(), legal, "{first:#04x}: {parsed:?}");
    }
}

#[test]
fn publish_with_an_alias_and_an_empty_topic() {
    let alias = TopicAlias::new(1).unwrap();
    let mut packet = Publish {
        delivery: Delivery::AtMostOnce,
        retain: false,
        topic: PublishTopic::Alias(alias),
        properties: None,
        subscription_identifiers: &[],
        payload: b"x",
    };
    written_as(&packet, "30 07 00 00 03 23 00 01 78");
    let bytes = hex("30 07 00 00 03 23 00 01 78");
    assert_eq!(publish(&bytes).topic(), "");
    assert_eq!(publish(&bytes).properties().topic_alias(), Some(alias));

    let name = topic("t");
    packet.topic = PublishTopic::NameAndAlias(&name, alias);
    written_as(&packet, "30 08 00 01 74 03 23 00 01 78");
}

#[test]
fn publish_with_subscription_identifiers() {
    let name = topic("a/b");
    let packet = Publish {
        delivery: Delivery::AtMostOnce,
        retain: false,
        topic: PublishTopic::Name(&name),
        properties: None,
        subscription_identifiers: &[subscription_id(1), subscription_id(128)],
        payload: b"hi",
    };
    let bytes = "30 0D 00 03 61 2F 62 05 0B 01 0B 80 01 68 69";
    written_as(&packet, bytes);
    let bytes = hex(bytes);
    let identifiers: Vec<_> = publish(&bytes)
        .properties()
        .subscription_identifiers()
        .map(SubscriptionIdentifier::get)
        .collect();
    assert_eq!(identifiers, [1, 128]);
}

#[test]
fn publish_with_everything() {
    let mut message = ApplicationMessage::new(topic("t"), "x").with_qos(QoS::AtLeastOnce);
    *message.properties_mut() = MessageProperties {
        payload_format_indicator: Some(PayloadFormatIndicator::Utf8),
        message_expiry_interval: Some(u32::MAX),
        content_type: Some(text("")),
        response_topic: Some(topic("r")),
        correlation_data: Some(BinaryData::default()),
        user_properties: vec![
            UserProperty::new("k", "").unwrap(),
            UserProperty::new("k", "v").unwrap(),
        ],
    };
    let packet_id = id(0xFFFF);
    let mut packet = message.to_publish(Delivery::AtLeastOnce {
        packet_id,
        dup: true,
    });
    packet.topic = PublishTopic::NameAndAlias(&message.topic, TopicAlias::new(0xFFFF).unwrap());
    packet.retain = true;
    let identifiers = [subscription_id(268_435_455)];
    packet.subscription_identifiers = &identifiers;
    let bytes = "3B 2D 00 01 74 FF FF
        26  01 01  02 FF FF FF FF  03 00 00  08 00 01 72  09 00 00
            26 00 01 6B 00 00  26 00 01 6B 00 01 76  0B FF FF FF 7F  23 FF FF
        78";
    written_as(&packet, bytes);

    let received = ReceivedPublish::new(Frame::copy_from(&hex(bytes))).unwrap();
    assert_eq!(received.topic(), "t");
    assert_eq!(received.topic_bytes(), b"t");
    assert!(received.retain() && received.delivery().dup());
    assert_eq!(received.delivery().packet_id(), Some(packet_id));
    assert_eq!(received.payload(), b"x");
    assert_eq!(received.payload_bytes(), "x".as_bytes());
    let properties = received.properties();
    assert_eq!(
        properties.subscription_identifiers().next(),
        Some(identifiers[0])
    );
    assert_eq!(properties.topic_alias().map(TopicAlias::get), Some(0xFFFF));
    message.retain = true;
    assert_eq!(received.to_application_message(), Some(message));
    assert_eq!(received.detach(), received);
}

#[test]
fn the_payload_can_leave_from_where_it_lies() {
    let message = ApplicationMessage::new(topic("a/b"), "hi");
    let mut out = BytesMut::new();
    let size = message
        .to_publish(Delivery::AtMostOnce)
        .encode_without_payload(&mut out);
    assert_eq!(size, Ok(10));
    assert_eq!(out, &hex("30 08 00 03 61 2F 62 00")[..]);
}

#[test]
fn received_publish_finds_its_parts_behind_every_size_of_header() {
    for size in [0, 100, 127, 128, 16_000, 16_384, 2_097_200] {
        let mut message = ApplicationMessage::new(topic("some/topic"), vec![7; size]);
        let id = id(1);
        for properties in [0_usize, 100, 200, 17_000] {
            let name = "n".repeat(properties);
            message.properties_mut().user_properties = match properties {
                0 => vec![],
                _ => vec![UserProperty::new(&name, "v").unwrap()],
            };
            for delivery in [
                Delivery::AtMostOnce,
                Delivery::ExactlyOnce {
                    packet_id: id,
                    dup: false,
                },
            ] {
                let mut bytes = BytesMut::from(&written(&message.to_publish(delivery))[..]);
                let frame = Decoder::default().next_frame(&mut bytes).unwrap().unwrap();
                let received = ReceivedPublish::new(frame).unwrap();
                assert_eq!(received.topic(), "some/topic");
                assert_eq!(received.payload(), vec![7; size]);
                assert_eq!(received.payload_bytes(), vec![7; size]);
                let first = received.properties().user_properties().next();
                assert_eq!(first.map_or(0, |(name, _)| name.len()), properties);
            }
        }
    }
}

#[test]
fn received_publish_takes_nothing_but_a_publish() {
    let error = ReceivedPublish::new(Frame::copy_from(&hex("D0 00"))).unwrap_err();
    assert_eq!(error.violation, Violation::UnexpectedPacket);
    assert_eq!(error.packet, Some(PacketType::Pingresp));
    assert_eq!(error.reason_code(), 0x82);
}

// --- Acknowledgements -------------------------------------------------------

#[test]
fn edge_cases_29_to_31_puback_in_all_of_its_forms() {
    let id = id(10);
    written_as(&Puback::new(id, PublishReasonCode::Success), "40 02 00 0A");
    also_accepted("40 03 00 0A 00", "40 02 00 0A");
    also_accepted("40 04 00 0A 00 00", "40 02 00 0A");
    let refused = Puback::new(id, PublishReasonCode::NotAuthorized);
    written_as(&refused, "40 03 00 0A 87");
    also_accepted("40 04 00 0A 87 00", "40 03 00 0A 87");

    let mut explained = refused;
    explained.properties = Some(Box::new(AckProperties {
        reason_string: Some(text("no")),
        user_properties: vec![],
    }));
    written_as(&explained, "40 09 00 0A 87 05 1F 00 02 6E 6F");
    // Properties force the reason code, even 0.
    explained.reason_code = PublishReasonCode::Success;
    written_as(&explained, "40 09 00 0A 00 05 1F 00 02 6E 6F");
    // Properties of which there are none do not.
    explained.properties = Some(Box::default());
    written_as(&explained, "40 02 00 0A");
}

#[test]
fn pubrec_pubrel_pubcomp() {
    let id = id(10);
    written_as(&Pubrec::new(id, PublishReasonCode::Success), "50 02 00 0A");
    written_as(&Pubrel::new(id, ReleaseReasonCode::Success), "62 02 00 0A");
    written_as(&Pubcomp::new(id, ReleaseReasonCode::Success), "70 02 00 0A");
    let not_found = ReleaseReasonCode::PacketIdentifierNotFound;
    written_as(&Pubcomp::new(id, not_found), "70 03 00 0A 92");
    for first in ["50", "62", "70"] {
        let short = format!("{first} 02 00 0A");
        also_accepted(&format!("{first} 03 00 0A 00"), &short);
        also_accepted(&format!("{first} 04 00 0A 00 00"), &short);
    }
    for first in ["62", "70"] {
        also_accepted(
            &format!("{first} 04 00 0A 92 00"),
            &format!("{first} 03 00 0A 92"),
        );
    }
}

// --- Subscribing ------------------------------------------------------------

#[test]
fn subscribe() {
    let one = [subscription("a/b", QoS::AtLeastOnce)];
    let packet = Subscribe::new(id(10), &one).unwrap();
    written_as(&packet, "82 09 00 0A 00 00 03 61 2F 62 01");

    let all = [subscription("#", QoS::ExactlyOnce)];
    let mut packet = Subscribe::new(id(10), &all).unwrap();
    packet.subscription_identifier = Some(subscription_id(128));
    let bytes = "82 0A 00 0A 03 0B 80 01 00 01 23 02";
    written_as(&packet, bytes);

    let bytes = hex(bytes);
    let Packet::Subscribe(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(view.packet_id(), id(10));
    assert_eq!(
        view.properties().subscription_identifier(),
        Some(subscription_id(128))
    );
    let filters: Vec<_> = view.subscriptions().map(|s| s.filter()).collect();
    assert_eq!(filters, ["#"]);

    assert_eq!(Subscribe::new(id(1), &[]), None);
}

#[test]
fn every_legal_byte_of_subscription_options() {
    let handling = [
        RetainHandling::SendAtSubscribe,
        RetainHandling::SendIfNew,
        RetainHandling::DoNotSend,
    ];
    for options in 0..=0xFF_u8 {
        let mut bytes = hex("82 07 00 0A 00 00 01 61 00");
        bytes[8] = options;
        let qos = QoS::from_raw(options & 3);
        let handling = handling.get(usize::from(options >> 4 & 3));
        match Packet::parse_strict(&bytes) {
            Ok(Packet::Subscribe(view)) => {
                let view = view.subscriptions().next().unwrap();
                assert!(options < 0x40);
                assert_eq!(Some(view.maximum_qos()), qos);
                assert_eq!(view.no_local(), options & 4 != 0);
                assert_eq!(view.retain_as_published(), options & 8 != 0);
                assert_eq!(Some(&view.retain_handling()), handling);
                let mut subscription = subscription("a", view.maximum_qos());
                subscription.set_no_local(view.no_local()).unwrap();
                subscription.retain_as_published = view.retain_as_published();
                subscription.retain_handling = view.retain_handling();
                assert_eq!(
                    written(&Subscribe::new(id(10), &[subscription]).unwrap()),
                    bytes
                );
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) if options >= 0x40 => {
                assert_eq!(error.violation, Violation::SubscriptionOptionsReserved);
                assert_eq!((error.reason_code(), error.offset), (0x81, 8));
            }
            Err(error) => {
                assert!(qos.is_none() || handling.is_none());
                assert_eq!(error.violation, Violation::SubscriptionOptions);
                assert_eq!((error.reason_code(), error.offset), (0x82, 8));
            }
        }
    }
}

#[test]
fn suback() {
    let granted = Suback {
        packet_id: id(10),
        reason_codes: &[SubackReasonCode::GrantedQoS1],
        properties: None,
    };
    written_as(&granted, "90 04 00 0A 00 01");
    let codes = [
        SubackReasonCode::GrantedQoS0,
        SubackReasonCode::GrantedQoS2,
        SubackReasonCode::NotAuthorized,
    ];
    let mixed = Suback {
        reason_codes: &codes,
        ..granted
    };
    written_as(&mixed, "90 06 00 0A 00 00 02 87");
    let bytes = hex("90 06 00 0A 00 00 02 87");
    let Packet::Suback(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(view.reason_codes().len(), 3);
    assert!(
        view.reason_codes()
            .zip(codes)
            .all(|(received, sent)| received == sent)
    );
}

#[test]
fn unsubscribe_and_unsuback() {
    let filters = [TopicFilter::new("a/b").unwrap()];
    let unsubscribe = Unsubscribe::new(id(10), &filters).unwrap();
    written_as(&unsubscribe, "A2 08 00 0A 00 00 03 61 2F 62");
    assert_eq!(Unsubscribe::new(id(10), &[]), None);

    let unsuback = Unsuback {
        packet_id: id(10),
        reason_codes: &[UnsubackReasonCode::Success],
        properties: None,
    };
    written_as(&unsuback, "B0 04 00 0A 00 00");
    let properties = AckProperties {
        reason_string: None,
        user_properties: vec![UserProperty::default()],
    };
    let unsuback = Unsuback {
        reason_codes: &[UnsubackReasonCode::NoSubscriptionExisted],
        properties: Some(&properties),
        ..unsuback
    };
    written_as(&unsuback, "B0 09 00 0A 05 26 00 00 00 00 11");
}

// --- The rest ---------------------------------------------------------------

#[test]
fn ping() {
    written_as(&Pingreq, "C0 00");
    written_as(&Pingresp, "D0 00");
}

#[test]
fn edge_case_32_disconnect_in_all_of_its_forms() {
    written_as(&Disconnect::default(), "E0 00");
    also_accepted("E0 01 00", "E0 00");
    also_accepted("E0 02 00 00", "E0 00");
    let error = Disconnect::new(DisconnectReasonCode::ProtocolError);
    written_as(&error, "E0 01 82");
    also_accepted("E0 02 82 00", "E0 01 82");
    let bytes = hex("E0 00");
    let Packet::Disconnect(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(
        view.reason_code(),
        DisconnectReasonCode::NormalDisconnection
    );

    let disconnect = Disconnect {
        properties: Some(Box::new(DisconnectProperties {
            session_expiry_interval: Some(0),
            ..DisconnectProperties::default()
        })),
        ..Disconnect::default()
    };
    written_as(&disconnect, "E0 07 00 05 11 00 00 00 00");

    let moved = Disconnect {
        reason_code: DisconnectReasonCode::UseAnotherServer,
        properties: Some(Box::new(DisconnectProperties {
            server_reference: Some(text("b:1883")),
            ..DisconnectProperties::default()
        })),
    };
    let bytes = "E0 0B 9C 09 1C 00 06 62 3A 31 38 38 33";
    written_as(&moved, bytes);
    let bytes = hex(bytes);
    let Packet::Disconnect(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(view.properties().server_reference(), Some("b:1883"));
    assert_eq!(
        Some(Box::new(view.properties().to_owned())),
        moved.properties
    );
}

#[test]
fn auth() {
    let auth = Auth {
        reason_code: AuthReasonCode::ContinueAuthentication,
        authentication: Authentication {
            method: text("X"),
            data: None,
        },
        properties: AuthProperties::default(),
    };
    written_as(&auth, "F0 06 18 04 15 00 01 58");
    let bytes = hex("F0 06 18 04 15 00 01 58");
    let Packet::Auth(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(view.reason_code(), AuthReasonCode::ContinueAuthentication);
    assert_eq!((view.method(), view.data()), (Some("X"), None));
}

#[test]
fn edge_case_33_auth_without_a_method_parses_and_is_a_protocol_error() {
    for bytes in ["F0 00", "F0 01 18", "F0 02 18 00"] {
        let bytes = hex(bytes);
        let Packet::Auth(view) = Packet::parse(&bytes).unwrap() else {
            panic!()
        };
        assert_eq!(view.method(), None);
        let error = Packet::parse_strict(&bytes).unwrap_err();
        assert_eq!(error.violation, Violation::AuthenticationMethodMissing);
        assert_eq!(error.reason_code(), 0x82);
    }
}

// --- Variable Byte Integers -------------------------------------------------

#[test]
fn variable_byte_integers() {
    for (value, bytes) in [
        (0, "00"),
        (127, "7F"),
        (128, "80 01"),
        (16_383, "FF 7F"),
        (16_384, "80 80 01"),
        (2_097_151, "FF FF 7F"),
        (2_097_152, "80 80 80 01"),
        (268_435_455, "FF FF FF 7F"),
    ] {
        let bytes = hex(bytes);
        assert_eq!(
            mqtt5_proto::codec::variable_byte_integer_len(value),
            bytes.len()
        );
        let header = hex("30")
            .into_iter()
            .chain(bytes.clone())
            .collect::<Vec<_>>();
        let parsed = FixedHeader::parse(&header).unwrap().unwrap();
        assert_eq!(parsed.remaining_length(), value);
        assert_eq!(parsed.header_len(), header.len());
        assert_eq!(parsed.packet_size(), header.len() + value as usize);
        // And as a Subscription Identifier, which is written too.
        let Some(identifier) = SubscriptionIdentifier::new(value) else {
            assert_eq!(value, 0);
            continue;
        };
        let filters = [subscription("a", QoS::AtMostOnce)];
        let mut packet = Subscribe::new(id(1), &filters).unwrap();
        packet.subscription_identifier = Some(identifier);
        let out = written(&packet);
        assert_eq!(out[6..6 + bytes.len()], bytes);
        let Packet::Subscribe(view) = Packet::parse(&out).unwrap() else {
            panic!()
        };
        assert_eq!(
            view.properties().subscription_identifier(),
            Some(identifier)
        );
    }
    assert_eq!(SubscriptionIdentifier::new(268_435_456), None);
}

#[test]
fn a_property_length_takes_as_few_bytes_as_can_be() {
    for (length, length_bytes) in [
        (6, "06"),
        (127, "7F"),
        (128, "80 01"),
        (16_383, "FF 7F"),
        (16_384, "80 80 01"),
    ] {
        // Identifier and two lengths, and a value of one byte.
        let name = "n".repeat(length - 6);
        let mut message = ApplicationMessage::new(topic("t"), "payload");
        message.properties_mut().user_properties = vec![UserProperty::new(&name, "v").unwrap()];
        let mut body = hex("00 01 74");
        body.extend(hex(length_bytes));
        body.push(0x26);
        body.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
        body.extend(name.as_bytes());
        body.extend(hex("00 01 76"));
        body.extend(b"payload");
        let bytes = written(&message.to_publish(Delivery::AtMostOnce));
        let header = FixedHeader::parse(&bytes).unwrap().unwrap();
        assert_eq!(header.remaining_length() as usize, body.len());
        assert_eq!(bytes[header.header_len()..], body, "{length}");
    }
}

#[test]
fn a_packet_above_the_limit_of_the_protocol_is_not_written() {
    // Shared, so that the 256 MiB are only counted.
    let value = text(&"v".repeat(65_535));
    let property = UserProperty {
        name: value.clone(),
        value,
    };
    let mut message = ApplicationMessage::new(topic("t"), "");
    message.properties_mut().user_properties = vec![property; 2048];
    let mut out = BytesMut::from(&b"before"[..]);
    let packet = message.to_publish(Delivery::AtMostOnce);
    // 2048 x 131075, topic and Property Length.
    let remaining_length = 268_441_600 + 3 + 4;
    let error = mqtt5_proto::codec::PacketTooLarge { remaining_length };
    assert_eq!(packet.packet_size(), Err(error));
    assert_eq!(packet.encode(&mut out), Err(error));
    assert_eq!(packet.encode_without_payload(&mut out), Err(error));
    assert_eq!(out, &b"before"[..]);
}
