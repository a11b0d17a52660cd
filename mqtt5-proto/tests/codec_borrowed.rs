//! Packets of values that are borrowed: the bytes they become, and what is refused.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

mod codec_support;

use std::num::NonZeroU16;

use allocation_counter::measure;
use bytes::BytesMut;
use codec_support::hex;
use mqtt5_proto::codec::{DataTypeError, MaximumPacketSize, PacketTooLarge};
use mqtt5_proto::packet::{
    AuthenticationRef, ConnectPropertiesRef, ConnectRef, Delivery, EncodeError,
    MessagePropertiesRef, PacketId, PayloadFormatIndicator, PublishRef, QoS,
    SubscriptionIdentifier, TopicAlias, WillRef,
};
use mqtt5_proto::topic::TopicError;

const TOO_LONG: EncodeError = EncodeError::Data(DataTypeError::TooLong);
const NUL: EncodeError = EncodeError::Data(DataTypeError::Nul);
const WILDCARD: EncodeError = EncodeError::Topic(TopicError::Wildcard);

#[track_caller]
fn publish_is(packet: &PublishRef<'_>, bytes: &str) {
    let bytes = hex(bytes);
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(packet.encode(&mut out), Ok(bytes.len()));
    assert_eq!(out[6..], bytes);
    let mut out = BytesMut::new();
    assert_eq!(packet.encode_without_payload(&mut out), Ok(bytes.len()));
    assert_eq!(out, bytes[..bytes.len() - packet.payload.len()]);
}

#[track_caller]
fn publish_fails(packet: &PublishRef<'_>, error: EncodeError) {
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(packet.encode(&mut out), Err(error));
    assert_eq!(packet.encode_without_payload(&mut out), Err(error));
    assert_eq!(out, &b"before"[..]);
}

#[track_caller]
fn connect_is(packet: &ConnectRef<'_>, bytes: &str) {
    let bytes = hex(bytes);
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(packet.encode(&mut out), Ok(bytes.len()));
    assert_eq!(out[6..], bytes);
}

#[track_caller]
fn connect_fails(packet: &ConnectRef<'_>, error: EncodeError) {
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(packet.encode(&mut out), Err(error));
    assert_eq!(out, &b"before"[..]);
}

#[test]
fn a_publish_with_nothing_besides() {
    publish_is(
        &PublishRef::new("a/b", b"hi"),
        "30 08 00 03 61 2F 62 00 68 69",
    );
    let packet = PublishRef {
        delivery: Delivery::ExactlyOnce {
            packet_id: PacketId::new(0x1234).unwrap(),
            dup: true,
        },
        retain: true,
        ..PublishRef::new("t", b"")
    };
    publish_is(&packet, "3D 06 00 01 74 12 34 00");
}

#[test]
fn a_publish_with_every_property() {
    let properties = MessagePropertiesRef {
        payload_format_indicator: Some(PayloadFormatIndicator::Utf8),
        message_expiry_interval: Some(0x0102_0304),
        content_type: Some("x"),
        response_topic: Some("r"),
        correlation_data: Some(&[0, 0xFF]),
        user_properties: &[("k", "v"), ("", "")],
    };
    let packet = PublishRef {
        delivery: Delivery::AtLeastOnce {
            packet_id: PacketId::new(7).unwrap(),
            dup: false,
        },
        topic_alias: TopicAlias::new(5),
        properties: Some(&properties),
        subscription_identifiers: &[SubscriptionIdentifier::new(200).unwrap()],
        ..PublishRef::new("t", b"p")
    };
    publish_is(
        &packet,
        "32 2D 00 01 74 00 07 26 \
         01 01 02 01 02 03 04 03 00 01 78 08 00 01 72 09 00 02 00 FF \
         26 00 01 6B 00 01 76 26 00 00 00 00 0B C8 01 23 00 05 70",
    );
}

#[test]
fn each_of_the_numbers_alone_makes_a_property_section() {
    let alias = PublishRef {
        topic_alias: TopicAlias::new(5),
        ..PublishRef::new("t", b"")
    };
    publish_is(&alias, "30 07 00 01 74 03 23 00 05");
    let identifier = PublishRef {
        subscription_identifiers: &[SubscriptionIdentifier::new(1).unwrap()],
        ..PublishRef::new("t", b"")
    };
    publish_is(&identifier, "30 06 00 01 74 02 0B 01");
    let format = MessagePropertiesRef {
        payload_format_indicator: Some(PayloadFormatIndicator::Unspecified),
        ..MessagePropertiesRef::default()
    };
    let properties = PublishRef {
        properties: Some(&format),
        ..PublishRef::new("t", b"")
    };
    publish_is(&properties, "30 06 00 01 74 02 01 00");
}

#[test]
fn a_topic_is_left_out_only_for_an_alias() {
    let alias = PublishRef {
        topic_alias: TopicAlias::new(5),
        ..PublishRef::new("", b"")
    };
    publish_is(&alias, "30 06 00 00 03 23 00 05");
    let empty = EncodeError::Topic(TopicError::Empty);
    publish_fails(&PublishRef::new("", b""), empty);
}

#[test]
fn what_breaks_a_rule_is_not_published() {
    let long = "l".repeat(65_536);
    let nul = EncodeError::Topic(TopicError::String(DataTypeError::Nul));
    let too_long = EncodeError::Topic(TopicError::String(DataTypeError::TooLong));
    publish_fails(&PublishRef::new("a/+", b""), WILDCARD);
    publish_fails(&PublishRef::new("#", b""), WILDCARD);
    publish_fails(&PublishRef::new("a\0b", b""), nul);
    publish_fails(&PublishRef::new(&long, b""), too_long);
    let aliased = PublishRef {
        topic_alias: TopicAlias::new(5),
        ..PublishRef::new("a/+", b"")
    };
    publish_fails(&aliased, WILDCARD);

    let none = MessagePropertiesRef::default;
    let with = |properties: MessagePropertiesRef<'_>, error| {
        let packet = PublishRef {
            properties: Some(&properties),
            ..PublishRef::new("t", b"")
        };
        publish_fails(&packet, error);
    };
    for (text, error) in [("a\0", NUL), (&long[..], TOO_LONG)] {
        let content_type = Some(text);
        with(
            MessagePropertiesRef {
                content_type,
                ..none()
            },
            error,
        );
        let user_properties = &[("k", "v"), (text, "v")];
        with(
            MessagePropertiesRef {
                user_properties,
                ..none()
            },
            error,
        );
        let user_properties = &[("k", text)];
        with(
            MessagePropertiesRef {
                user_properties,
                ..none()
            },
            error,
        );
    }
    let response_topic = Some("a/#");
    with(
        MessagePropertiesRef {
            response_topic,
            ..none()
        },
        WILDCARD,
    );
    let correlation_data = Some(long.as_bytes());
    with(
        MessagePropertiesRef {
            correlation_data,
            ..none()
        },
        TOO_LONG,
    );
}

#[test]
fn a_publish_above_the_limit_of_the_protocol_is_not_written() {
    // The same text many times, so that the 256 MiB are only counted.
    let value = "v".repeat(65_535);
    let user_properties = vec![(&value[..], &value[..]); 2048];
    let properties = MessagePropertiesRef {
        user_properties: &user_properties,
        ..MessagePropertiesRef::default()
    };
    let packet = PublishRef {
        properties: Some(&properties),
        ..PublishRef::new("t", b"")
    };
    // 2048 x 131075, topic and Property Length.
    let remaining_length = 268_441_600 + 3 + 4;
    publish_fails(&packet, PacketTooLarge { remaining_length }.into());
}

#[test]
fn the_smallest_connect() {
    connect_is(
        &ConnectRef::default(),
        "10 0D 00 04 4D 51 54 54 05 00 00 00 00 00 00",
    );
}

fn will() -> WillRef<'static> {
    WillRef {
        qos: QoS::ExactlyOnce,
        retain: true,
        delay_interval: 0x0A0B_0C0D,
        properties: MessagePropertiesRef {
            content_type: Some("x"),
            ..MessagePropertiesRef::default()
        },
        ..WillRef::new("w", &[0xFF])
    }
}

fn connect<'a>(will: &'a WillRef<'a>) -> ConnectRef<'a> {
    ConnectRef {
        clean_start: true,
        keep_alive: 0x0102,
        client_id: "c",
        will: Some(will),
        user_name: Some("u"),
        password: Some(&[0]),
        authentication: Some(AuthenticationRef {
            method: "m",
            data: Some(&[1]),
        }),
        properties: ConnectPropertiesRef {
            session_expiry_interval: Some(0xFFFF_FFFF),
            request_problem_information: Some(false),
            request_response_information: Some(true),
            receive_maximum: NonZeroU16::new(3),
            topic_alias_maximum: Some(4),
            user_properties: &[("k", "v")],
            maximum_packet_size: MaximumPacketSize::new(5),
        },
    }
}

#[test]
fn a_connect_with_everything() {
    connect_is(
        &connect(&will()),
        "10 47 00 04 4D 51 54 54 05 F6 01 02 \
         23 11 FF FF FF FF 17 00 19 01 21 00 03 22 00 04 26 00 01 6B 00 01 76 27 00 00 00 05 \
         15 00 01 6D 16 00 01 01 \
         00 01 63 \
         09 03 00 01 78 18 0A 0B 0C 0D 00 01 77 00 01 FF \
         00 01 75 00 01 00",
    );
}

#[test]
fn flags_tell_what_a_connect_holds() {
    let none = ConnectRef::default;
    let password = Some(&b"p"[..]);
    connect_is(
        &ConnectRef { password, ..none() },
        "10 10 00 04 4D 51 54 54 05 40 00 00 00 00 00 00 01 70",
    );
    let user_name = Some("u");
    connect_is(
        &ConnectRef {
            user_name,
            ..none()
        },
        "10 10 00 04 4D 51 54 54 05 80 00 00 00 00 00 00 01 75",
    );
    let will = WillRef::new("w", b"");
    connect_is(
        &ConnectRef {
            will: Some(&will),
            ..none()
        },
        "10 13 00 04 4D 51 54 54 05 04 00 00 00 00 00 00 00 01 77 00 00",
    );
}

#[test]
fn what_breaks_a_rule_is_not_sent_in_a_connect() {
    let long = "l".repeat(65_536);
    let good = will();
    let packet = connect(&good);
    for (text, error) in [("a\0", NUL), (&long[..], TOO_LONG)] {
        connect_fails(
            &ConnectRef {
                client_id: text,
                ..packet
            },
            error,
        );
        connect_fails(
            &ConnectRef {
                user_name: Some(text),
                ..packet
            },
            error,
        );
        let authentication = Some(AuthenticationRef {
            method: text,
            data: None,
        });
        connect_fails(
            &ConnectRef {
                authentication,
                ..packet
            },
            error,
        );
        let properties = ConnectPropertiesRef {
            user_properties: &[(text, "v")],
            ..packet.properties
        };
        connect_fails(
            &ConnectRef {
                properties,
                ..packet
            },
            error,
        );
        let mut will = good;
        will.properties.content_type = Some(text);
        connect_fails(&connect(&will), error);
    }
    let data = Some(long.as_bytes());
    connect_fails(
        &ConnectRef {
            password: data,
            ..packet
        },
        TOO_LONG,
    );
    let authentication = Some(AuthenticationRef { method: "m", data });
    connect_fails(
        &ConnectRef {
            authentication,
            ..packet
        },
        TOO_LONG,
    );
    let payload = long.as_bytes();
    connect_fails(&connect(&WillRef { payload, ..good }), TOO_LONG);
    connect_fails(
        &connect(&WillRef {
            topic: "w/#",
            ..good
        }),
        WILDCARD,
    );
    let empty = EncodeError::Topic(TopicError::Empty);
    connect_fails(&connect(&WillRef { topic: "", ..good }), empty);
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", connect(&will()));
    assert!(shown.contains("password: Some(\"…\")"), "{shown}");
    assert!(shown.contains("data: Some(\"…\")"), "{shown}");
}

#[test]
fn writing_into_a_buffer_with_room_allocates_nothing() {
    let mut out = BytesMut::with_capacity(1024);
    let will = will();
    let topic = "a/topic/of/more/than/thirty-eight/characters";
    let properties = MessagePropertiesRef {
        content_type: Some("application/json"),
        user_properties: &[("k", "v"); 20],
        ..MessagePropertiesRef::default()
    };
    let publish = PublishRef {
        properties: Some(&properties),
        ..PublishRef::new(topic, b"payload")
    };
    let connect = connect(&will);
    let writing = measure(|| {
        connect.encode(&mut out).unwrap();
        publish.encode(&mut out).unwrap();
    });
    assert_eq!(writing.count_total, 0);
    assert!(out.len() > 200);
}
