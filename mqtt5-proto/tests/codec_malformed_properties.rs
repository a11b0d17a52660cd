//! Properties that are refused, and some that look wrong and are not: which stand where, how often,
//! and with what values.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod codec_support;

use codec_support::{
    connack, connack_with, connect_with, hex, packet, publish, publish_with, refusal, refused,
    tolerated, will_with, with_properties,
};
use mqtt5_proto::QoS;
use mqtt5_proto::codec::{MaximumPacketSize, Violation};
use mqtt5_proto::packet::{Packet, SubscriptionIdentifier};

#[test]
fn edge_case_17_user_properties_may_be_empty_and_repeat_in_order() {
    let properties =
        "26 00 01 61 00 01 31  26 00 00 00 00  26 00 01 61 00 01 32  26 00 01 61 00 01 31";
    let expected = [("a", "1"), ("", ""), ("a", "2"), ("a", "1")];
    let bytes = hex(&publish_with(properties));
    let view = publish(&bytes);
    assert!(view.properties().user_properties().eq(expected));
    assert_eq!(
        view.properties()
            .to_message_properties()
            .user_properties
            .len(),
        4
    );
    // CONNECT's own and those of its Will are two sets.
    let bytes = hex(&will_with(properties));
    assert!(Packet::parse_strict(&bytes).is_ok());
}

/// Every property, with a legal value.
const PROPERTIES: [(u8, &str); 27] = [
    (0x01, "01"),
    (0x02, "00 00 00 01"),
    (0x03, "00 01 61"),
    (0x08, "00 01 61"),
    (0x09, "00 01 61"),
    (0x0B, "01"),
    (0x11, "00 00 00 01"),
    (0x12, "00 01 61"),
    (0x13, "00 01"),
    (0x15, "00 01 61"),
    (0x16, "00 01 61"),
    (0x17, "01"),
    (0x18, "00 00 00 01"),
    (0x19, "01"),
    (0x1A, "00 01 61"),
    (0x1C, "00 01 61"),
    (0x1F, "00 01 61"),
    (0x21, "00 01"),
    (0x22, "00 01"),
    (0x23, "00 01"),
    (0x24, "01"),
    (0x25, "01"),
    (0x26, "00 01 61 00 01 61"),
    (0x27, "00 00 00 01"),
    (0x28, "01"),
    (0x29, "01"),
    (0x2A, "01"),
];

/// Every property set: first byte, what stands before and behind it, what it may hold.
fn property_sets() -> Vec<(u8, &'static str, &'static str, Vec<u8>)> {
    let ack = || hex("1F 26");
    vec![
        (
            0x10,
            "00 04 4D 51 54 54 05 02 00 00",
            "00 00",
            hex("11 15 16 17 19 21 22 26 27"),
        ),
        (
            0x10,
            "00 04 4D 51 54 54 05 06 00 00 00 00 00",
            "00 01 77 00 00",
            hex("01 02 03 08 09 18 26"),
        ),
        (
            0x20,
            "00 00",
            "",
            hex("11 12 13 15 16 1A 1C 1F 21 22 24 25 26 27 28 29 2A"),
        ),
        (0x30, "00 01 74", "", hex("01 02 03 08 09 0B 23 26")),
        (0x40, "00 01 00", "", ack()),
        (0x50, "00 01 00", "", ack()),
        (0x62, "00 01 00", "", ack()),
        (0x70, "00 01 00", "", ack()),
        (0x82, "00 01", "00 01 61 00", hex("0B 26")),
        (0x90, "00 01", "00", ack()),
        (0xA2, "00 01", "00 01 61", hex("26")),
        (0xB0, "00 01", "00", ack()),
        (0xE0, "00", "", hex("11 1C 1F 26")),
        (0xF0, "18", "", hex("15 16 1F 26")),
    ]
}

#[test]
fn edge_cases_18_to_20_which_properties_stand_where_and_how_often() {
    for (first, before, after, allowed) in property_sets() {
        // Behind the Property Length.
        let offset = 2 + hex(before).len() + 1;
        for id in 0..=0xFF_u8 {
            let value = PROPERTIES.iter().find(|(known, _)| *known == id);
            let value = value.map_or("00 00 00 00", |(_, value)| *value);
            let one = format!("{id:02X} {value}");
            let bytes = with_properties(first, before, &one, after);
            if !allowed.contains(&id) {
                refused(&bytes, 0x81, Violation::PropertyNotAllowed(id), offset);
                continue;
            }
            // Authentication Data must not stand alone, or may not but is ignored in CONNACK.
            let method = if id == 0x16 { "15 00 01 61" } else { "" };
            let bytes = with_properties(first, before, &format!("{method} {one}"), after);
            Packet::parse(&hex(&bytes)).unwrap();

            // Twice, even with the same value.
            let twice = format!("{method} {one} {one}");
            let bytes = with_properties(first, before, &twice, after);
            let repeatable = id == 0x26 || id == 0x0B && first == 0x30;
            if repeatable {
                Packet::parse(&hex(&bytes)).unwrap();
            } else {
                let offset = offset + hex(method).len() + hex(&one).len();
                refused(&bytes, 0x82, Violation::DuplicateProperty(id), offset);
            }
        }
    }
    refused(
        "20 09 00 00 06 21 00 0A 21 00 0A",
        0x82,
        Violation::DuplicateProperty(0x21),
        8,
    );
    refused(
        "20 06 00 00 03 23 00 01",
        0x81,
        Violation::PropertyNotAllowed(0x23),
        5,
    );
}

#[test]
fn edge_case_21_a_property_does_not_run_over_the_property_length() {
    for (first, before, after, allowed) in property_sets() {
        let start = 2 + hex(before).len() + 1;
        for (id, value) in PROPERTIES {
            if !allowed.contains(&id) {
                continue;
            }
            let whole = hex(&format!("{id:02X} {value}"));
            // Only cut by the Property Length: the bytes of the value do follow.
            for cut in 1..whole.len() {
                let mut body = hex(before);
                body.push(u8::try_from(cut).unwrap());
                body.extend_from_slice(&whole);
                body.extend(hex(after));
                let error = refusal(&packet(first, &body));
                assert_eq!(error.violation, Violation::Truncated);
                assert_eq!(error.reason_code(), 0x81);
                assert!(
                    (start + 1..start + 1 + cut).contains(&error.offset),
                    "{error:?}"
                );
            }
        }
    }
}

#[test]
fn edge_case_22_the_property_length_does_not_run_over_the_packet() {
    refused("20 03 00 00 01", 0x81, Violation::Truncated, 4);
    refused("30 04 00 01 74 01", 0x81, Violation::Truncated, 5);
    refused("40 04 00 01 00 01", 0x81, Violation::Truncated, 5);
    refused("90 03 00 01 01", 0x81, Violation::Truncated, 4);
    refused("E0 02 00 01", 0x81, Violation::Truncated, 3);
    refused("F0 02 18 05", 0x81, Violation::Truncated, 3);
    // A Property Length that is itself cut off, or missing.
    refused("30 04 00 01 74 80", 0x81, Violation::Truncated, 5);
    refused("30 03 00 01 74", 0x81, Violation::Truncated, 5);
    refused("82 02 00 0A", 0x81, Violation::Truncated, 4);
    refused("90 02 00 0A", 0x81, Violation::Truncated, 4);
    refused("A2 02 00 0A", 0x81, Violation::Truncated, 4);
    refused("B0 02 00 0A", 0x81, Violation::Truncated, 4);
}

#[test]
fn edge_cases_23_and_24_a_receive_maximum_or_maximum_packet_size_of_0() {
    refused(
        "20 06 00 00 03 21 00 00",
        0x82,
        Violation::PropertyValue(0x21),
        6,
    );
    refused(
        &connect_with("21 00 00"),
        0x82,
        Violation::PropertyValue(0x21),
        14,
    );
    refused(
        &connack_with("27 00 00 00 00"),
        0x82,
        Violation::PropertyValue(0x27),
        6,
    );
    refused(
        &connect_with("27 00 00 00 00"),
        0x82,
        Violation::PropertyValue(0x27),
        14,
    );
    assert_eq!(MaximumPacketSize::new(0), None);
}

#[test]
fn edge_case_25_maximum_qos_2_is_taken_as_absent() {
    let bytes = hex(&connack_with("24 02"));
    let view = connack(&bytes);
    assert_eq!(
        view.properties().maximum_qos().unwrap_or(QoS::ExactlyOnce),
        QoS::ExactlyOnce
    );
    tolerated(
        &connack_with("24 02"),
        0x82,
        Violation::PropertyValue(0x24),
        6,
    );
    for qos in 3..=0xFF_u8 {
        let bytes = connack_with(&format!("24 {qos:02X}"));
        refused(&bytes, 0x82, Violation::PropertyValue(0x24), 6);
    }
}

#[test]
fn edge_case_26_booleans_are_0_or_1() {
    for value in 0..=0xFF_u8 {
        for id in [0x25, 0x28, 0x29, 0x2A] {
            let bytes = connack_with(&format!("{id:02X} {value:02X}"));
            match value {
                0 | 1 => drop(Packet::parse_strict(&hex(&bytes)).unwrap()),
                _ => refused(&bytes, 0x82, Violation::PropertyValue(id), 6),
            }
        }
        for id in [0x17, 0x19] {
            let bytes = connect_with(&format!("{id:02X} {value:02X}"));
            match value {
                0 | 1 => drop(Packet::parse_strict(&hex(&bytes)).unwrap()),
                _ => refused(&bytes, 0x82, Violation::PropertyValue(id), 14),
            }
        }
    }
}

#[test]
fn edge_cases_27_and_28_subscription_identifiers() {
    refused(
        &publish_with("0B 00"),
        0x82,
        Violation::PropertyValue(0x0B),
        7,
    );
    let subscribe = |properties| with_properties(0x82, "00 01", properties, "00 01 61 00");
    refused(&subscribe("0B 00"), 0x82, Violation::PropertyValue(0x0B), 6);
    refused(
        &subscribe("0B 01 0B 02"),
        0x82,
        Violation::DuplicateProperty(0x0B),
        7,
    );
    let bytes = hex(&publish_with("0B 01 0B 02 0B 01"));
    let identifiers = publish(&bytes).properties().subscription_identifiers();
    assert!(identifiers.map(SubscriptionIdentifier::get).eq([1, 2, 1]));
    assert_eq!(SubscriptionIdentifier::new(0), None);
}
