//! Packets that are refused, each with its reason code and the offset of what is wrong with it; and
//! packets that look wrong and are not.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod codec_support;

use bytes::BytesMut;
use codec_support::{
    connack_with, connect_with, hex, packet, publish, publish_with, refusal, refused, text,
    tolerated, will_with, with_properties, written,
};
use mqtt5_proto::codec::{
    DataTypeError, Decoder, FixedHeader, Frame, MaximumPacketSize, Utf8String, Violation,
};
use mqtt5_proto::packet::{
    Packet, PacketType, PublishReasonCode, ReceivedPublish, ReleaseReasonCode, SubackReasonCode,
    UnsubackReasonCode,
};
use mqtt5_proto::{PacketId, Topic};

fn header_refused(bytes: &str, violation: Violation, offset: usize) {
    let error = FixedHeader::parse(&hex(bytes)).unwrap_err();
    assert_eq!(
        (error.violation, error.offset),
        (violation, offset),
        "{bytes}"
    );
    assert_eq!(error.reason_code(), 0x81);
}

// --- A. Decoding ------------------------------------------------------------

#[test]
fn edge_case_1_a_variable_byte_integer_is_too_long_at_its_fourth_byte() {
    header_refused("30 80 80 80 80", Violation::VariableByteIntegerTooLong, 1);
    header_refused("30 FF FF FF FF", Violation::VariableByteIntegerTooLong, 1);
    header_refused(
        "30 80 80 80 80 01",
        Violation::VariableByteIntegerTooLong,
        1,
    );
    // Property Length, and Subscription Identifier.
    refused(
        "30 07 00 01 74 80 80 80 80",
        0x81,
        Violation::VariableByteIntegerTooLong,
        5,
    );
    let bytes = publish_with("0B 80 80 80 80 01");
    refused(&bytes, 0x81, Violation::VariableByteIntegerTooLong, 7);
}

#[test]
fn edge_case_2_a_variable_byte_integer_is_not_padded() {
    for padded in [
        "80 00",
        "81 80 00",
        "80 80 00",
        "80 80 80 00",
        "FF FF FF 00",
    ] {
        header_refused(
            &format!("C0 {padded}"),
            Violation::VariableByteIntegerNotMinimal,
            1,
        );
        let bytes = publish_with(&format!("0B {padded}"));
        refused(&bytes, 0x81, Violation::VariableByteIntegerNotMinimal, 7);
    }
    // Property Length.
    refused(
        "30 05 00 01 74 80 00",
        0x81,
        Violation::VariableByteIntegerNotMinimal,
        5,
    );
    refused(
        "20 04 00 00 80 00",
        0x81,
        Violation::VariableByteIntegerNotMinimal,
        4,
    );
    // A property identifier: 0x01 padded. No identifier is above 0x7F, so its first byte tells.
    refused(
        &publish_with("81 00 00"),
        0x81,
        Violation::PropertyNotAllowed(0x81),
        6,
    );
}

#[test]
fn edge_case_3_a_remaining_length_may_come_in_pieces() {
    for part in ["", "30", "30 80", "30 80 80", "30 FF FF FF"] {
        let part = hex(part);
        assert_eq!(FixedHeader::parse(&part), Ok(None));
        let mut buffer = BytesMut::from(&part[..]);
        let mut decoder = Decoder::default();
        assert_eq!(decoder.next_frame(&mut buffer), Ok(None));
        assert_eq!(
            decoder.missing(&part),
            Ok(if part.is_empty() { 2 } else { 1 })
        );
        assert_eq!(buffer, part);
        // As a whole packet it is cut short.
        let error = refusal(&part);
        assert_eq!(error.violation, Violation::Truncated);
        assert_eq!(error.offset, part.len());
    }
    assert_eq!(Decoder::default().missing(&hex("30 08 00")), Ok(7));
    assert_eq!(Decoder::default().missing(&hex("C0 00")), Ok(0));
}

#[test]
fn edge_case_4_packet_type_0() {
    for first in 0..=0x0F {
        let error = FixedHeader::parse(&[first]).unwrap_err();
        assert_eq!(error.violation, Violation::ReservedPacketType);
        assert_eq!((error.packet, error.offset), (None, 0));
        assert_eq!(error.reason_code(), 0x81);
    }
}

#[test]
fn edge_cases_5_to_8_flags_of_the_fixed_header() {
    for first in 0x10..=0xFF_u8 {
        let kind = PacketType::from_raw(first >> 4).unwrap();
        let flags = first & 0x0F;
        let expected = match kind {
            PacketType::Publish => match flags {
                0b0110 | 0b0111 | 0b1110 | 0b1111 => Some(Violation::QoS3),
                0b1000 | 0b1001 => Some(Violation::DupOnQoS0),
                _ => None,
            },
            PacketType::Pubrel | PacketType::Subscribe | PacketType::Unsubscribe => {
                (flags != 0b0010).then_some(Violation::FixedHeaderFlags)
            }
            _ => (flags != 0).then_some(Violation::FixedHeaderFlags),
        };
        // The first byte alone is enough to tell.
        match (FixedHeader::parse(&[first]), expected) {
            (Ok(None), None) => {}
            (Err(error), Some(violation)) => {
                assert_eq!((error.violation, error.offset), (violation, 0));
                assert_eq!((error.packet, error.reason_code()), (Some(kind), 0x81));
            }
            (parsed, _) => panic!("{first:#04x}: {parsed:?}"),
        }
    }
    refused("60 02 00 0A", 0x81, Violation::FixedHeaderFlags, 0);
    refused(
        "80 09 00 0A 00 00 03 61 2F 62 01",
        0x81,
        Violation::FixedHeaderFlags,
        0,
    );
    refused("D1 00", 0x81, Violation::FixedHeaderFlags, 0);
    refused(
        "36 0A 00 03 61 2F 62 00 0A 00 68 69",
        0x81,
        Violation::QoS3,
        0,
    );
    refused(
        "38 08 00 03 61 2F 62 00 68 69",
        0x81,
        Violation::DupOnQoS0,
        0,
    );
}

#[test]
fn edge_case_9_a_publish_of_qos_0_has_no_packet_identifier() {
    // The bytes that would be one: Property Length 0 and the payload.
    let bytes = hex("30 05 00 01 74 00 0A");
    let view = publish(&bytes);
    assert_eq!(view.delivery().packet_id(), None);
    assert_eq!(view.payload(), [0x0A]);
    // 10 bytes of properties that are not there.
    refused("30 05 00 01 74 0A 00", 0x81, Violation::Truncated, 5);
}

#[test]
fn edge_cases_10_and_11_packet_identifier_0() {
    refused("32 06 00 01 74 00 00 00", 0x82, Violation::PacketIdZero, 5);
    refused("34 06 00 01 74 00 00 00", 0x82, Violation::PacketIdZero, 5);
    for first in ["40", "50", "62", "70"] {
        refused(
            &format!("{first} 02 00 00"),
            0x82,
            Violation::PacketIdZero,
            2,
        );
    }
    refused(
        "82 07 00 00 00 00 01 61 00",
        0x82,
        Violation::PacketIdZero,
        2,
    );
    refused("90 04 00 00 00 00", 0x82, Violation::PacketIdZero, 2);
    refused("A2 06 00 00 00 00 01 61", 0x82, Violation::PacketIdZero, 2);
    refused("B0 04 00 00 00 00", 0x82, Violation::PacketIdZero, 2);
    assert_eq!(PacketId::new(0), None);
}

/// Builds a packet around a string.
type Build = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Where strings stand: packets that hold any one, and its offset.
fn strings() -> Vec<(Build, usize)> {
    fn place(first: u8, before: &str, after: &str) -> (Build, usize) {
        let (before, after) = (hex(before), hex(after));
        let offset = 2 + before.len();
        let build = move |string: &[u8]| {
            let mut body = before.clone();
            body.extend(u16::try_from(string.len()).unwrap().to_be_bytes());
            body.extend_from_slice(string);
            body.extend_from_slice(&after);
            packet(first, &body)
        };
        (Box::new(build), offset)
    }
    fn property(first: u8, before: &str, id: u8, after: &str) -> (Build, usize) {
        let (before, after) = (hex(before), hex(after));
        let offset = 2 + before.len() + 2;
        let build = move |string: &[u8]| {
            let mut value = vec![id];
            if id == 0x26 {
                // The value of a pair; its name is empty.
                value.extend([0, 0]);
            }
            value.extend(u16::try_from(string.len()).unwrap().to_be_bytes());
            value.extend_from_slice(string);
            let mut body = before.clone();
            body.extend(packet(0, &value).split_off(1));
            body.extend_from_slice(&after);
            packet(first, &body)
        };
        (
            Box::new(build),
            if id == 0x26 { offset + 2 } else { offset },
        )
    }
    vec![
        place(0x30, "", "00"),
        place(0x34, "", "00 01 00"),
        place(0x10, "00 04 4D 51 54 54 05 02 00 00 00", ""),
        place(0x10, "00 04 4D 51 54 54 05 06 00 00 00 00 00 00", "00 00"),
        place(0x10, "00 04 4D 51 54 54 05 82 00 00 00 00 00", ""),
        place(0x82, "00 01 00", "00"),
        place(0xA2, "00 01 00", ""),
        property(0x30, "00 01 74", 0x03, ""),
        property(0x30, "00 01 74", 0x08, ""),
        property(0x30, "00 01 74", 0x26, ""),
        property(0x20, "00 00", 0x12, ""),
        property(0x20, "00 00", 0x15, ""),
        property(0x20, "00 00", 0x1A, ""),
        property(0x20, "00 00", 0x1C, ""),
        property(0x20, "00 00", 0x1F, ""),
        property(0x40, "00 01 00", 0x1F, ""),
        property(0x90, "00 01", 0x26, "00"),
        property(0xE0, "00", 0x1C, ""),
        property(0xF0, "18", 0x15, ""),
        property(0xF0, "18", 0x26, ""),
    ]
}

#[test]
fn edge_case_12_surrogates_overlong_and_cut_sequences_are_malformed() {
    for bad in [
        "ED A0 80",       // the first surrogate
        "ED BF BF",       // the last
        "61 ED B0 80 62", // one in between
        "C0 80",          // U+0000 too long
        "C1 BF",          // U+007F too long
        "E0 80 AF",       // `/` too long
        "F0 80 80 80",    // U+0000 far too long
        "F4 90 80 80",    // U+110000
        "F5 80 80 80",
        "F8 88 80 80 80", // five bytes
        "FF",
        "80", // goes on without a start
        "C3", // cut off
        "61 E2 82",
        "F0 9F 98",
        "61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 C3 28",
    ] {
        let bad = hex(bad);
        for (build, offset) in strings() {
            let bytes = build(&bad);
            let error = refusal(&bytes);
            assert_eq!(error.violation, Violation::InvalidUtf8, "{bytes:02X?}");
            assert_eq!(
                (error.reason_code(), error.offset),
                (0x81, offset),
                "{bytes:02X?}"
            );
        }
        // The topic of a PUBLISH is checked by code of its own where its packet is kept.
        let len = u8::try_from(bad.len()).unwrap();
        let publish = [&[0x30, len + 3, 0, len], &bad[..], &[0]].concat();
        let error = ReceivedPublish::new(Frame::copy_from(&publish)).unwrap_err();
        assert_eq!(error.violation, Violation::InvalidUtf8, "{publish:02X?}");
        let error = Utf8String::try_from(bytes::Bytes::from(bad)).unwrap_err();
        assert_eq!(error, DataTypeError::InvalidUtf8);
    }
}

#[test]
fn edge_case_13_u_0000_is_malformed() {
    for bad in [
        &b"\0"[..],
        b"a\0",
        b"\0a",
        "a\0\u{e9}".as_bytes(),
        &[b'a'; 50].map(|_| 0),
    ] {
        for (build, offset) in strings() {
            let bytes = build(bad);
            let error = refusal(&bytes);
            assert_eq!(error.violation, Violation::NulInString, "{bytes:02X?}");
            assert_eq!((error.reason_code(), error.offset), (0x81, offset));
        }
    }
    assert_eq!(Utf8String::new("a\0"), Err(DataTypeError::Nul));
    assert_eq!(Utf8String::from_static("\0"), Err(DataTypeError::Nul));
    assert_eq!(
        Utf8String::try_from(String::from("\0")),
        Err(DataTypeError::Nul)
    );
}

#[test]
fn edge_case_14_a_byte_order_mark_is_kept() {
    let bytes = hex("30 07 00 04 EF BB BF 78 00");
    assert_eq!(publish(&bytes).topic(), "\u{FEFF}x");
    assert_ne!(Topic::new("\u{FEFF}x"), Topic::new("x"));
    assert_eq!(text("\u{FEFF}x").as_bytes(), hex("EF BB BF 78"));
}

#[test]
fn edge_case_15_control_characters_and_non_characters_are_accepted() {
    for odd in [
        "\u{1}",
        "\u{1F}",
        "\u{7F}",
        "\u{9F}",
        "\u{FDD0}",
        "\u{FFFE}",
        "\u{FFFF}",
        "\u{10FFFF}",
    ] {
        for (build, _) in strings() {
            Packet::parse(&build(odd.as_bytes())).unwrap();
        }
        assert!(Topic::new(odd).is_ok());
    }
}

#[test]
fn edge_case_16_binary_data_has_any_content() {
    let connect =
        "10 1A 00 04 4D 51 54 54 05 46 00 00 00 00 00 00 00 01 77 00 03 00 FF C0 00 02 00 80";
    let bytes = hex(connect);
    let Packet::Connect(view) = Packet::parse_strict(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(view.will().unwrap().payload(), [0x00, 0xFF, 0xC0]);
    assert_eq!(view.password(), Some(&[0x00, 0x80][..]));

    let bytes = hex(&publish_with("09 00 02 00 ED"));
    assert_eq!(
        publish(&bytes).properties().correlation_data(),
        Some(&[0x00, 0xED][..])
    );
    let bytes = hex(&with_properties(
        0xF0,
        "18",
        "15 00 01 58 16 00 02 00 FF",
        "",
    ));
    let Packet::Auth(view) = Packet::parse_strict(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(view.data(), Some(&[0x00, 0xFF][..]));
    let bytes = hex("30 06 00 01 74 00 00 FF");
    assert_eq!(publish(&bytes).payload(), [0x00, 0xFF]);
}

#[test]
fn acknowledgements_of_0_or_1_bytes_are_malformed() {
    for first in ["40", "50", "62", "70"] {
        refused(&format!("{first} 00"), 0x81, Violation::Truncated, 2);
        refused(&format!("{first} 01 00"), 0x81, Violation::Truncated, 2);
    }
}

#[test]
fn edge_case_35_flags_of_connack() {
    for flags in 2..=0xFF_u8 {
        let bytes = format!("20 03 {flags:02X} 00 00");
        refused(&bytes, 0x81, Violation::ConnackFlagsReserved, 2);
    }
    tolerated(
        "20 03 01 87 00",
        0x82,
        Violation::SessionPresentInRefusal,
        2,
    );
    for short in ["20 00", "20 01 00"] {
        assert_eq!(refusal(&hex(short)).violation, Violation::Truncated);
    }
}

#[test]
fn edge_cases_36_and_37_bytes_left_over() {
    refused("C0 01 00", 0x81, Violation::TrailingBytes, 2);
    refused("D0 01 00", 0x81, Violation::TrailingBytes, 2);
    refused("20 04 00 00 00 00", 0x81, Violation::TrailingBytes, 5);
    refused("40 05 00 01 00 00 00", 0x81, Violation::TrailingBytes, 6);
    refused("E0 03 00 00 00", 0x81, Violation::TrailingBytes, 4);
    refused(
        "F0 07 18 04 15 00 01 58 00",
        0x81,
        Violation::TrailingBytes,
        8,
    );
    let connect = "10 0E 00 04 4D 51 54 54 05 02 00 3C 00 00 00 00";
    refused(connect, 0x81, Violation::TrailingBytes, 15);
    // Half an entry of a list.
    refused(
        "82 09 00 01 00 00 01 61 00 00 05",
        0x81,
        Violation::Truncated,
        9,
    );
    refused("82 06 00 01 00 00 01 61", 0x81, Violation::Truncated, 8);
    refused("A2 07 00 01 00 00 01 61 00", 0x81, Violation::Truncated, 8);
}

#[test]
fn exactly_one_packet_is_parsed() {
    // The payload of a PUBLISH ends with its packet, not with the slice.
    for whole in [
        "30 05 00 01 74 00 78",
        "C0 00",
        "40 02 00 01",
        "82 07 00 01 00 00 01 61 00",
    ] {
        let whole = hex(whole);
        Packet::parse_strict(&whole).unwrap();
        let mut two = whole.clone();
        two.push(0xC0);
        let error = refusal(&two);
        assert_eq!(error.violation, Violation::TrailingBytes);
        assert_eq!(error.offset, whole.len());
        for cut in 0..whole.len() {
            let error = refusal(&whole[..cut]);
            assert_eq!(error.violation, Violation::Truncated);
            assert_eq!(error.offset, cut);
        }
    }
}

#[test]
fn edge_case_38_reason_codes_below_0x80_that_are_not_tabled() {
    let known = |first: u8, code: u8| match first {
        0x40 | 0x50 => PublishReasonCode::ALL.iter().any(|c| c.raw() == code),
        0x62 | 0x70 => ReleaseReasonCode::ALL.iter().any(|c| c.raw() == code),
        0x90 => SubackReasonCode::ALL.iter().any(|c| c.raw() == code),
        0xB0 => UnsubackReasonCode::ALL.iter().any(|c| c.raw() == code),
        _ => matches!(code, 0x00 | 0x18 | 0x19),
    };
    for code in 0..=0xFF_u8 {
        for first in [0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xF0] {
            let (body, offset) = match first {
                0xF0 => (vec![code], 2),
                0x90 | 0xB0 => (vec![0, 1, 0, 0, code], 6),
                _ => (vec![0, 1, code], 4),
            };
            let bytes = packet(first, &body);
            // Edge cases 181 and 182: a failure is a failure, but for PUBREL and AUTH.
            let failure = code >= 0x80 && !matches!(first, 0x62 | 0xF0);
            if known(first, code) {
                Packet::parse(&bytes).unwrap();
                if first != 0xF0 {
                    Packet::parse_strict(&bytes).unwrap();
                }
            } else if failure {
                Packet::parse(&bytes).unwrap();
                let error = Packet::parse_strict(&bytes).unwrap_err();
                assert_eq!(error.violation, Violation::ReasonCode(code));
                assert_eq!((error.reason_code(), error.offset), (0x82, offset));
            } else {
                let error = refusal(&bytes);
                assert_eq!(error.violation, Violation::ReasonCode(code));
                assert_eq!((error.reason_code(), error.offset), (0x82, offset));
            }
        }
    }
}

#[test]
fn edge_cases_39_and_40_a_packet_is_too_large_as_soon_as_its_size_is_known() {
    // 12 bytes: two of the fixed header and ten behind it.
    let header = hex("30 0A");
    let mut decoder = Decoder::new(MaximumPacketSize::new(12).unwrap());
    assert_eq!(decoder.missing(&header), Ok(10));
    let mut decoder_11 = Decoder::new(MaximumPacketSize::new(11).unwrap());
    let error = decoder_11.header(&header).unwrap_err();
    assert_eq!(error.violation, Violation::PacketTooLarge);
    assert_eq!(
        (error.reason_code(), error.packet),
        (0x95, Some(PacketType::Publish))
    );
    assert_eq!(decoder_11.missing(&header), Err(error));
    assert_eq!(
        decoder_11.next_frame(&mut BytesMut::from(&header[..])),
        Err(error)
    );
    assert_eq!(
        decoder.next_frame(&mut BytesMut::from(&header[..])),
        Ok(None)
    );
    // The largest packet of all is no error by itself.
    let largest = hex("30 FF FF FF 7F");
    let decoder = Decoder::new(MaximumPacketSize::PROTOCOL);
    assert_eq!(
        decoder.header(&largest).unwrap().unwrap().packet_size(),
        268_435_460
    );
    assert_eq!(
        Decoder::default()
            .header(&largest)
            .unwrap_err()
            .reason_code(),
        0x95
    );
    assert_eq!(MaximumPacketSize::default().get(), 16 * 1024 * 1024);
}

#[test]
fn edge_case_41_a_payload_may_be_empty() {
    let bytes = hex("31 04 00 01 74 00");
    assert_eq!(publish(&bytes).payload(), b"");
    Packet::parse_strict(&bytes).unwrap();
}

#[test]
fn edge_cases_43_and_44_connect_flags() {
    for flags in 0..=0xFF_u8 {
        let will = flags & 0x04 != 0;
        let mut body = hex("00 04 4D 51 54 54 05");
        body.push(flags);
        body.extend(hex("00 00 00 00 00"));
        if will {
            body.extend(hex("00 00 01 77 00 00"));
        }
        if flags & 0x80 != 0 {
            body.extend(hex("00 01 75"));
        }
        if flags & 0x40 != 0 {
            body.extend(hex("00 01 70"));
        }
        let bytes = packet(0x10, &body);
        let violation = if flags & 0x01 != 0 {
            Violation::ConnectFlagsReserved
        } else if !will && flags & 0x38 != 0 {
            Violation::WillFlagsWithoutWill
        } else if flags & 0x18 == 0x18 {
            Violation::QoS3
        } else {
            let Packet::Connect(view) = Packet::parse_strict(&bytes).unwrap() else {
                panic!()
            };
            assert_eq!(view.clean_start(), flags & 0x02 != 0);
            assert_eq!(view.will().is_some(), will);
            assert_eq!(view.user_name().is_some(), flags & 0x80 != 0);
            assert_eq!(view.password().is_some(), flags & 0x40 != 0);
            assert_eq!(written(&view), bytes);
            continue;
        };
        let error = refusal(&bytes);
        assert_eq!(
            (error.violation, error.offset),
            (violation, 9),
            "{flags:#04x}"
        );
        assert_eq!(error.reason_code(), 0x81);
    }
}

#[test]
fn protocol_name_and_version() {
    // MQTT 3.1.1 and 3.1.
    let v311 = "10 0C 00 04 4D 51 54 54 04 02 00 3C 00 00";
    refused(v311, 0x84, Violation::ProtocolVersion(4), 8);
    let v31 = "10 0E 00 06 4D 51 49 73 64 70 03 02 00 3C 00 00";
    refused(v31, 0x84, Violation::ProtocolName, 2);
    refused(
        "10 0D 00 04 6D 71 74 74 05 02 00 3C 00 00 00",
        0x84,
        Violation::ProtocolName,
        2,
    );
    refused("10 00", 0x81, Violation::Truncated, 2);
    refused("10 03 00 04 4D", 0x81, Violation::Truncated, 2);
}

#[test]
fn a_connect_is_refused_wherever_it_is_cut() {
    let whole = hex(
        "00 04 4D 51 54 54 05 F6 00 3C  08 21 00 0A 11 00 00 00 07  00 01 63
         0B 01 01 18 00 00 00 05 08 00 01 72  00 01 77  00 01 78  00 01 75  00 01 70",
    );
    Packet::parse_strict(&packet(0x10, &whole)).unwrap();
    for cut in 0..whole.len() {
        let error = refusal(&packet(0x10, &whole[..cut]));
        assert_eq!(error.violation, Violation::Truncated, "{error:?}");
        assert_eq!(error.reason_code(), 0x81);
    }
}

#[test]
fn a_will_is_judged_strictly() {
    refused(
        &will_with("01 02"),
        0x82,
        Violation::PropertyValue(0x01),
        17,
    );
    refused(
        &will_with("08 00 00"),
        0x82,
        Violation::PropertyValue(0x08),
        17,
    );
    refused(
        &will_with("08 00 01 2B"),
        0x82,
        Violation::PropertyValue(0x08),
        17,
    );
    let will_topic = |topic| {
        let before = "00 04 4D 51 54 54 05 06 00 00 00 00 00";
        with_properties(0x10, before, "", &format!("{topic} 00 00"))
    };
    refused(&will_topic("00 00"), 0x82, Violation::TopicMissing, 16);
    refused(
        &will_topic("00 01 23"),
        0x82,
        Violation::WildcardInTopic,
        16,
    );
}

#[test]
fn authentication_data_does_not_stand_alone() {
    let without_method = Violation::AuthenticationDataWithoutMethod;
    refused(&connect_with("16 00 01 58"), 0x82, without_method, 12);
    refused(
        &with_properties(0xF0, "18", "16 00 01 58", ""),
        0x82,
        without_method,
        3,
    );
    // Edge case 204: ignored in a CONNACK.
    tolerated(&connack_with("16 00 01 58"), 0x82, without_method, 4);
}

#[test]
fn edge_case_46_packets_are_cut_from_a_stream() {
    let stream = hex("C0 00  30 05 00 01 74 00 78  40 02 00 0A  D0 00  E0");
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::new();
    let mut sizes = Vec::new();
    for byte in stream {
        buffer.extend_from_slice(&[byte]);
        while let Some(frame) = decoder.next_frame(&mut buffer).unwrap() {
            Packet::parse_strict(frame.as_slice()).unwrap();
            sizes.push(frame.as_slice().len());
        }
    }
    assert_eq!(sizes, [2, 7, 4, 2]);
    assert_eq!(buffer, hex("E0"));
}
