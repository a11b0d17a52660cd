//! How values read in a log, and how they come from text.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

use std::borrow::Borrow;
use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use mqtt5_proto::codec::{
    BinaryData, DataTypeError, DecodeError, Frame, PacketTooLarge, Utf8String, Violation,
};
use mqtt5_proto::packet::{
    ConnackReasonCode, Packet, PacketId, PacketType, PayloadFormatIndicator, PublishReasonCode,
    Received, ReceivedPublish, Will,
};
use mqtt5_proto::session::{Event, Rule, SessionConfig};
use mqtt5_proto::topic::{FilterError, TopicError};
use mqtt5_proto::{Instant, Session, Topic, TopicFilter};

#[test]
fn packets_are_called_as_in_the_standard() {
    // Section 2.1.2, table 2-1.
    let names = [
        "CONNECT",
        "CONNACK",
        "PUBLISH",
        "PUBACK",
        "PUBREC",
        "PUBREL",
        "PUBCOMP",
        "SUBSCRIBE",
        "SUBACK",
        "UNSUBSCRIBE",
        "UNSUBACK",
        "PINGREQ",
        "PINGRESP",
        "DISCONNECT",
        "AUTH",
    ];
    let ways = [
        PacketType::Connect,
        PacketType::Connack,
        PacketType::Publish,
        PacketType::Puback,
        PacketType::Pubrec,
        PacketType::Pubrel,
        PacketType::Pubcomp,
        PacketType::Subscribe,
        PacketType::Suback,
        PacketType::Unsubscribe,
        PacketType::Unsuback,
        PacketType::Pingreq,
        PacketType::Pingresp,
        PacketType::Disconnect,
        PacketType::Auth,
    ];
    for (name, packet_type) in names.into_iter().zip(ways) {
        assert_eq!(packet_type.to_string(), name);
        assert_eq!(packet_type.name(), name);
    }
}

#[test]
fn a_reason_code_reads_as_its_name_and_number() {
    assert_eq!(
        ConnackReasonCode::NotAuthorized.to_string(),
        "not authorized (0x87)"
    );
    let tabled = Received::from(PublishReasonCode::QuotaExceeded);
    assert_eq!(tabled.to_string(), "quota exceeded (0x97)");
    assert!(tabled.is_error());
    let untabled = Received::<PublishReasonCode>::Untabled(0x7F);
    assert_eq!(untabled.to_string(), "untabled reason code (0x7f)");
    assert!(!untabled.is_error());
    assert!(Received::<PublishReasonCode>::Untabled(0x80).is_error());
}

#[test]
fn a_decode_error_names_rule_packet_and_place() {
    let error = Packet::parse(b"\x40\x02\0\0").unwrap_err();
    assert_eq!(
        error,
        DecodeError {
            violation: Violation::PacketIdZero,
            packet: Some(PacketType::Puback),
            offset: 2,
        }
    );
    assert_eq!(
        error.to_string(),
        "the Packet Identifier is 0 (in PUBACK, at byte 2)"
    );
    assert_eq!(
        Packet::parse(b"\x00\x00").unwrap_err().to_string(),
        "packet type 0 is reserved (in an unknown packet, at byte 0)"
    );
}

#[test]
fn a_packet_above_the_limit_of_the_protocol_breaks_the_rule_of_sizes() {
    let rule = Rule::from(PacketTooLarge {
        remaining_length: 268_435_456,
    });
    assert_eq!(
        rule.to_string(),
        "the packet has 268435456 bytes, 268435455 is the limit"
    );
}

#[test]
fn a_packet_id_reads_as_its_number() {
    assert_eq!(PacketId::new(0x0102).unwrap().to_string(), "258");
}

#[test]
fn a_frame_reads_as_its_size_and_gives_its_bytes() {
    let frame = Frame::copy_from(b"\xC0\0");
    assert_eq!(format!("{frame:?}"), "Frame(2 bytes)");
    assert_eq!(frame.as_ref(), b"\xC0\0");
    assert_eq!(frame, frame.detach());
    assert_ne!(frame, Frame::copy_from(b"\xD0\0"));
}

const PUBLISH: &[u8] = b"\x35\x0A\0\x03a/b\0\x07\0hi";

#[test]
fn a_received_publish_reads_without_its_payload() {
    let publish = ReceivedPublish::new(Frame::copy_from(PUBLISH)).unwrap();
    let text = format!("{publish:?}");
    assert!(
        text.starts_with("ReceivedPublish { topic: \"a/b\", delivery: ExactlyOnce"),
        "{text}"
    );
    assert!(text.contains("retain: true"), "{text}");
    assert!(text.ends_with("payload_len: 2 }"), "{text}");
}

#[test]
fn a_message_reads_as_what_it_says_and_can_be_detached() {
    let mut session = connected();
    session.handle_input(&mut BytesMut::from(PUBLISH), Instant::ZERO);
    let Some(Event::Message(message)) = session.poll_event() else {
        panic!("no message");
    };
    for message in [message.detach(), message] {
        let text = format!("{message:?}");
        assert!(
            text.starts_with(
                "Message { topic: \"a/b\", qos: ExactlyOnce, retain: true, dup: false"
            ),
            "{text}"
        );
        assert!(text.ends_with("payload: b\"hi\" }"), "{text}");
        assert_eq!(message.payload_bytes(), "hi");
        assert!(message.token().is_some());
        assert!(message.retain());
    }
    session.handle_input(
        &mut BytesMut::from(&b"\x30\x04\0\x01t\0"[..]),
        Instant::ZERO,
    );
    assert!(matches!(session.poll_event(), Some(Event::Message(message)) if !message.retain()));
}

#[test]
fn a_session_keeps_its_configuration_in_sight() {
    let session = Session::new(SessionConfig {
        keep_alive: 17,
        ..SessionConfig::default()
    });
    assert_eq!(session.config().keep_alive, 17);
    assert!(format!("{session:?}").contains("Offline"), "{session:?}");
}

#[test]
fn operations_are_numbered_upwards() {
    let mut session = connected();
    let mut numbers = (0..3).map(|_| {
        let message = mqtt5_proto::packet::ApplicationMessage::new(Topic::new("t").unwrap(), "");
        session.publish(message, Instant::ZERO).unwrap().get()
    });
    let (first, second, third) = (numbers.next(), numbers.next(), numbers.next());
    assert!(first < second && second < third);
}

fn connected() -> Session {
    let mut session = Session::new(SessionConfig::default());
    session.handle_opened(Instant::ZERO);
    let mut out = BytesMut::new();
    while session.poll_transmit(&mut out, Instant::ZERO).is_some() {}
    session.handle_transmitted(out.len(), Instant::ZERO);
    session.handle_input(
        &mut BytesMut::from(&b"\x20\x07\0\0\x04\x12\0\x01c"[..]),
        Instant::ZERO,
    );
    assert!(matches!(session.poll_event(), Some(Event::Connected(_))));
    session
}

/// Short text is kept in place, long text is not: both have to behave alike.
const TEXTS: [&str; 2] = ["a/b", "a/long/name/of/a/topic/that/does/not/fit/in/place"];

#[test]
fn strings_come_from_text_and_go_back() {
    for text in TEXTS {
        let string = Utf8String::new(text).unwrap();
        for other in [
            Utf8String::try_from(text),
            Utf8String::try_from(&text.to_owned()),
            Utf8String::try_from(text.to_owned()),
            Utf8String::try_from(Bytes::from(text)),
        ] {
            assert_eq!(other.as_ref(), Ok(&string));
        }
        assert_eq!(AsRef::<str>::as_ref(&string), text);
        assert!(string == *text && string != *"a");
        assert_eq!(string.to_string(), text);
        assert_eq!(format!("{string:?}"), format!("{text:?}"));
        // The hash is that of the text, or a map could not be asked by it.
        assert_eq!(HashMap::from([(string, 1)]).get(text), Some(&1));
    }
    let [short, long] = TEXTS.map(|text| Utf8String::new(text).unwrap());
    assert!(short < long);
    assert_eq!(short.partial_cmp(&long), Some("a/b".cmp("a/long")));
}

#[test]
fn what_is_no_string_of_the_protocol_is_refused_however_it_comes() {
    let nul = "a\0b";
    assert_eq!(Utf8String::try_from(nul), Err(DataTypeError::Nul));
    assert_eq!(
        Utf8String::try_from(&nul.to_owned()),
        Err(DataTypeError::Nul)
    );
    assert_eq!(
        Utf8String::try_from(nul.to_owned()),
        Err(DataTypeError::Nul)
    );
    assert_eq!(
        Utf8String::try_from(Bytes::from_static(b"\xFF")),
        Err(DataTypeError::InvalidUtf8)
    );
    let long = "x".repeat(65_536);
    assert_eq!(Utf8String::try_from(&long), Err(DataTypeError::TooLong));
    assert_eq!(
        BinaryData::try_from(long.clone()),
        Err(DataTypeError::TooLong)
    );
    assert_eq!(
        BinaryData::try_from(long.into_bytes()),
        Err(DataTypeError::TooLong)
    );
}

#[test]
fn binary_data_comes_from_bytes_of_every_kind() {
    let data = BinaryData::new(&b"\x00\xFF"[..]).unwrap();
    for other in [
        BinaryData::try_from(Bytes::from_static(b"\x00\xFF")),
        BinaryData::try_from(vec![0x00, 0xFF]),
        BinaryData::try_from(&b"\x00\xFF"[..]),
    ] {
        assert_eq!(other.as_ref(), Ok(&data));
    }
    assert_eq!(data.as_ref(), b"\x00\xFF");
    assert_eq!(format!("{data:?}"), r#"b"\0\xff""#);
    assert_eq!(BinaryData::try_from("pw".to_owned()), BinaryData::new("pw"));
}

#[test]
fn topics_come_from_text_and_go_back() {
    for text in TEXTS {
        let topic = Topic::new(text).unwrap();
        for other in [
            Topic::try_from(text),
            Topic::try_from(&text.to_owned()),
            Topic::try_from(text.to_owned()),
            Topic::try_from(&topic),
            Topic::try_from(Utf8String::new(text).unwrap()),
            text.parse(),
        ] {
            assert_eq!(other.as_ref(), Ok(&topic));
        }
        assert_eq!(AsRef::<str>::as_ref(&topic), text);
        assert_eq!(Borrow::<str>::borrow(&topic), text);
        assert_eq!(topic.to_string(), text);
        assert_eq!(format!("{topic:?}"), format!("{text:?}"));
        assert_eq!(Utf8String::from(topic), text);
    }
    for wrong in [
        Topic::try_from("a/+"),
        Topic::try_from(&"a/+".to_owned()),
        Topic::try_from("a/+".to_owned()),
        Topic::try_from(Utf8String::new("a/+").unwrap()),
        "a/#".parse(),
    ] {
        assert_eq!(wrong, Err(TopicError::Wildcard));
    }
}

#[test]
fn filters_come_from_text_and_go_back() {
    for text in ["a/+", "a/long/filter/for/many/topics/that/does/not/fit/#"] {
        let filter = TopicFilter::new(text).unwrap();
        for other in [
            TopicFilter::try_from(text),
            TopicFilter::try_from(&text.to_owned()),
            TopicFilter::try_from(text.to_owned()),
            TopicFilter::try_from(&filter),
            text.parse(),
        ] {
            assert_eq!(other.as_ref(), Ok(&filter));
        }
        assert_eq!(AsRef::<str>::as_ref(&filter), text);
        assert_eq!(filter.to_string(), text);
        assert_eq!(format!("{filter:?}"), format!("{text:?}"));
    }
    for wrong in [
        TopicFilter::try_from(""),
        TopicFilter::try_from(&String::new()),
        TopicFilter::try_from(String::new()),
        "".parse(),
    ] {
        assert_eq!(wrong, Err(FilterError::Empty));
    }
}

#[test]
fn a_will_knows_whether_its_payload_keeps_what_its_format_promises() {
    let topic = Topic::new("t").unwrap();
    let mut will = Will::new(topic, BinaryData::new(&b"\xFF"[..]).unwrap());
    assert!(will.payload_fits_format(), "nothing was promised");
    will.properties.payload_format_indicator = Some(PayloadFormatIndicator::Unspecified);
    assert!(will.payload_fits_format());
    will.properties.payload_format_indicator = Some(PayloadFormatIndicator::Utf8);
    assert!(!will.payload_fits_format());
    will.payload = BinaryData::new("\u{FF}").unwrap();
    assert!(will.payload_fits_format());
}
