//! Packets that look wrong and are read all the same, and which reason codes belong where.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod codec_support;

use codec_support::{connack, hex, id, packet, publish, publish_with, refusal, tolerated, written};
use mqtt5_proto::codec::Violation;
use mqtt5_proto::packet::{
    ConnackReasonCode, DisconnectReasonCode, Packet, Puback, Pubcomp, PubcompView,
    PublishReasonCode, Pubrec, Pubrel, ReleaseReasonCode, Role, SubackReasonCode,
    UnsubackReasonCode,
};

#[test]
fn edge_cases_181_and_182_untabled_failures_keep_their_code() {
    let bytes = hex("40 03 00 0A 92");
    let Packet::Puback(view) = Packet::parse(&bytes).unwrap() else {
        panic!()
    };
    assert_eq!(
        (view.reason_code().raw(), view.reason_code().tabled()),
        (0x92, None)
    );
    assert!(view.reason_code().is_error());
    let bytes = hex("70 03 00 0A FF");
    let pubcomp = |bytes| -> PubcompView<'_> {
        match Packet::parse(bytes) {
            Ok(Packet::Pubcomp(view)) => view,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(pubcomp(&bytes).reason_code().raw(), 0xFF);
    assert_eq!(written(&pubcomp(&bytes)), bytes);
    // A SUBACK or UNSUBACK without any code fails its request and not the connection.
    tolerated("90 03 00 0A 00", 0x81, Violation::Truncated, 5);
    tolerated("B0 03 00 0A 00", 0x81, Violation::Truncated, 5);
}

#[test]
fn edge_case_183_connack_and_disconnect_take_any_code() {
    for code in 0..=0xFF_u8 {
        let bytes = packet(0x20, &[0, code, 0]);
        let view = connack(&bytes);
        assert_eq!(view.reason_code().raw(), code);
        let tabled = ConnackReasonCode::ALL
            .iter()
            .any(|known| known.raw() == code);
        assert_eq!(view.reason_code().tabled().is_some(), tabled);
        assert_eq!(Packet::parse_strict(&bytes).is_ok(), tabled);

        let bytes = packet(0xE0, &[code]);
        let Packet::Disconnect(view) = Packet::parse(&bytes).unwrap() else {
            panic!()
        };
        assert_eq!(view.reason_code().raw(), code);
        let tabled = DisconnectReasonCode::ALL
            .iter()
            .any(|known| known.raw() == code);
        assert_eq!(Packet::parse_strict(&bytes).is_ok(), tabled);
    }
    tolerated("20 02 00 87", 0x81, Violation::Truncated, 4);
    tolerated("20 02 00 01", 0x82, Violation::ReasonCode(1), 3);
}

#[test]
fn edge_case_185_an_odd_payload_format_indicator_reads_as_absent() {
    for value in 2..=0xFF_u8 {
        let bytes = publish_with(&format!("01 {value:02X}"));
        let bytes_read = hex(&bytes);
        let view = publish(&bytes_read);
        assert_eq!(view.properties().payload_format_indicator(), None);
        assert_eq!(
            view.properties().to_message_properties(),
            Default::default()
        );
        tolerated(&bytes, 0x82, Violation::PropertyValue(0x01), 7);
    }
}

#[test]
fn edge_case_186_an_odd_response_topic_reads_as_absent() {
    for topic in ["00 00", "00 01 2B", "00 03 61 2F 23"] {
        let bytes = publish_with(&format!("02 00 00 00 01 08 {topic}"));
        let bytes_read = hex(&bytes);
        let view = publish(&bytes_read);
        assert_eq!(view.properties().response_topic(), None);
        assert_eq!(view.properties().message_expiry_interval(), Some(1));
        tolerated(&bytes, 0x82, Violation::PropertyValue(0x08), 12);
    }
}

#[test]
fn edge_case_189_a_payload_that_is_not_text_is_not_looked_at() {
    Packet::parse_strict(&hex("30 07 00 01 74 02 01 01 FF")).unwrap();
}

// --- Reason codes -----------------------------------------------------------

#[test]
fn the_sets_of_reason_codes() {
    fn raw<T: Copy>(all: &[T], raw: fn(T) -> u8) -> Vec<u8> {
        all.iter().map(|&code| raw(code)).collect()
    }
    let connack = "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F";
    assert_eq!(
        raw(ConnackReasonCode::ALL, ConnackReasonCode::raw),
        hex(connack)
    );
    let publish = "00 10 80 83 87 90 91 97 99";
    assert_eq!(
        raw(PublishReasonCode::ALL, PublishReasonCode::raw),
        hex(publish)
    );
    assert_eq!(
        raw(ReleaseReasonCode::ALL, ReleaseReasonCode::raw),
        hex("00 92")
    );
    let suback = "00 01 02 80 83 87 8F 91 97 9E A1 A2";
    assert_eq!(
        raw(SubackReasonCode::ALL, SubackReasonCode::raw),
        hex(suback)
    );
    let unsuback = "00 11 80 83 87 8F 91";
    assert_eq!(
        raw(UnsubackReasonCode::ALL, UnsubackReasonCode::raw),
        hex(unsuback)
    );
    let may_send = |role| -> Vec<u8> {
        DisconnectReasonCode::ALL
            .iter()
            .filter(|code| code.may_send(role))
            .map(|code| code.raw())
            .collect()
    };
    let client = "00 04 80 81 82 83 90 93 94 95 96 97 98 99";
    assert_eq!(may_send(Role::Client), hex(client));
    let server =
        "00 80 81 82 83 87 89 8B 8D 8E 8F 90 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2";
    assert_eq!(may_send(Role::Server), hex(server));
}

#[test]
fn every_reason_code_of_the_acknowledgements_is_written_and_read() {
    let id = id(0x1234);
    for &code in PublishReasonCode::ALL {
        for bytes in [
            written(&Puback::new(id, code)),
            written(&Pubrec::new(id, code)),
        ] {
            assert_eq!(bytes.get(4).copied().unwrap_or(0), code.raw());
            Packet::parse_strict(&bytes).unwrap();
        }
    }
    for &code in ReleaseReasonCode::ALL {
        for bytes in [
            written(&Pubrel::new(id, code)),
            written(&Pubcomp::new(id, code)),
        ] {
            assert_eq!(bytes.get(4).copied().unwrap_or(0), code.raw());
            Packet::parse_strict(&bytes).unwrap();
        }
    }
}

#[test]
fn errors_tell_what_where_and_in_which_packet() {
    let error = refusal(&hex("20 06 00 00 03 21 00 00"));
    assert_eq!(
        error.to_string(),
        "property 0x21 has a value that is not allowed (in CONNACK, at byte 6)"
    );
    let error = refusal(&hex("00 00"));
    assert_eq!(
        error.to_string(),
        "packet type 0 is reserved (in an unknown packet, at byte 0)"
    );
}
