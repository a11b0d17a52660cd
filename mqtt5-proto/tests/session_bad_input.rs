//! What a client must not take, and how it answers (MQTT 5.0 section 4.13).

mod session_support;

use mqtt5_proto::codec::Violation;
use mqtt5_proto::packet::PacketType;
use mqtt5_proto::session::{EndReason, Event, InputStatus, SessionConfig};
use proptest::prelude::*;
use session_support::*;

#[test]
fn packets_that_only_clients_send_are_protocol_errors() {
    for bytes in [
        // CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ
        "10 0D 00 04 4D 51 54 54 05 02 00 3C 00 00 00",
        "82 09 00 0A 00 00 03 61 2F 62 01",
        "A2 08 00 0A 00 00 03 61 2F 62",
        "C0 00",
    ] {
        Peer::connected().expect_violation(bytes, 0x82);
    }
}

#[test]
fn malformed_packets_are_answered_with_0x81() {
    for bytes in [
        // packet type 0
        "00 00",
        // flags
        "41 02 00 01",
        "60 02 00 0A",
        "D1 00",
        // QoS 3, and DUP at QoS 0
        "36 07 00 01 74 00 01 00 61",
        "38 05 00 01 74 00 61",
        // Remaining Length of five bytes, and one that is not minimal
        "30 80 80 80 80",
        "D0 80 00",
        // fields over the end, and bytes left over
        "30 03 00 05 74",
        "40 01 00",
        "D0 01 00",
        "E0 03 00 00 00",
        // a property that is unknown, or not for this packet
        "30 07 00 01 74 02 7F 00 61",
        "30 0A 00 01 74 05 11 00 00 00 01 61",
        // the property section over the end
        "30 06 00 01 74 09 01 00",
        // ill-formed UTF-8, a surrogate, U+0000
        "30 05 00 01 FF 00 61",
        "30 07 00 03 ED A0 80 00 61",
        "30 05 00 01 00 00 61",
    ] {
        Peer::connected().expect_violation(bytes, 0x81);
    }
}

#[test]
fn protocol_errors_are_answered_with_0x82() {
    for bytes in [
        // packet id 0
        "32 07 00 01 74 00 00 00 61",
        "40 02 00 00",
        "62 02 00 00",
        "90 04 00 00 00 00",
        // a property twice: Payload Format Indicator, Message Expiry, Content Type
        "30 09 00 01 74 04 01 00 01 00 61",
        "30 0F 00 01 74 0A 02 00 00 00 01 02 00 00 00 01 61",
        // Subscription Identifier 0
        "30 07 00 01 74 02 0B 00 61",
        // a reason code that is not for the packet
        "40 03 00 01 01",
        "50 03 00 01 04",
        "62 03 00 01 80",
        "70 03 00 01 10",
        "90 04 00 01 00 03",
    ] {
        Peer::connected().expect_violation(bytes, 0x82);
    }
}

#[test]
fn a_property_twice_within_the_allowed_set_names_it() {
    // Topic Alias twice
    let config = SessionConfig {
        topic_alias_maximum: 3,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    match peer.expect_violation("30 0B 00 01 74 06 23 00 01 23 00 01 61", 0x82) {
        EndReason::Violation(error) => {
            assert_eq!(error.violation, Violation::DuplicateProperty(0x23));
            assert_eq!(error.packet, Some(PacketType::Publish));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_141_problem_information_that_was_not_asked_for_is_a_protocol_error() {
    let config = SessionConfig {
        request_problem_information: false,
        ..config()
    };
    for bytes in [
        // PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK with Reason String "no"
        "40 09 00 01 00 05 1F 00 02 6E 6F",
        "50 09 00 01 00 05 1F 00 02 6E 6F",
        "62 09 00 01 00 05 1F 00 02 6E 6F",
        "70 09 00 01 00 05 1F 00 02 6E 6F",
        "90 09 00 01 05 1F 00 02 6E 6F 00",
        "B0 09 00 01 05 1F 00 02 6E 6F 00",
        // PUBACK with a User Property
        "40 0B 00 01 00 07 26 00 01 6B 00 01 76",
    ] {
        let mut peer = Peer::connected_with(config.clone(), ACCEPTED);
        match peer.expect_violation(bytes, 0x82) {
            EndReason::Violation(error) => {
                assert_eq!(error.violation, Violation::UnrequestedProblemInformation);
            }
            other => panic!("{other:?}"),
        }
        // Asked for, it is welcome.
        let mut peer = Peer::connected();
        assert!(matches!(peer.given(bytes), InputStatus::NeedMore { .. }));
    }
    // With nothing to explain, the long form is fine.
    let mut peer = Peer::connected_with(config, ACCEPTED);
    assert!(matches!(
        peer.given("40 04 00 01 00 00"),
        InputStatus::NeedMore { .. }
    ));
}

#[test]
fn nothing_is_told_of_a_packet_that_is_refused_nor_of_those_behind_it() {
    let mut peer = Peer::connected();
    peer.given("30 05 00 01 74 00 61 | 30 05 00 01 FF 00 62 | 30 05 00 01 74 00 63");
    peer.expect_message("a");
    peer.expect_no_event();
    peer.expect_close("E0 01 81");
    assert_eq!(peer.given("30 05 00 01 74 00 64"), InputStatus::Closed);
    peer.expect_no_event();
}

#[test]
fn the_error_tells_the_packet_and_the_place() {
    // In the second packet, at the topic
    let mut peer = Peer::connected();
    match peer.expect_violation("D0 00 | 30 05 00 01 FF 00 61", 0x81) {
        EndReason::Violation(error) => {
            assert_eq!(error.violation, Violation::InvalidUtf8);
            assert_eq!(error.packet, Some(PacketType::Publish));
            assert_eq!(error.offset, 2);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn before_the_connack_a_bad_packet_closes_in_silence() {
    for (bytes, code) in [
        // reserved flags, Receive Maximum 0, Receive Maximum twice, Topic Alias
        ("20 03 02 00 00", 0x81),
        ("20 06 00 00 03 21 00 00", 0x82),
        ("20 09 00 00 06 21 00 0A 21 00 0A", 0x82),
        ("20 06 00 00 03 23 00 01", 0x81),
        // Maximum Packet Size 0, Maximum QoS 3, Retain Available 2
        ("20 08 00 00 05 27 00 00 00 00", 0x82),
        ("20 05 00 00 02 24 03", 0x82),
        ("20 05 00 00 02 25 02", 0x82),
        ("00 00", 0x81),
    ] {
        let mut peer = Peer::new(config());
        peer.open();
        peer.drain();
        assert_eq!(peer.given(bytes), InputStatus::Closed);
        peer.expect_close("");
        match peer.end() {
            EndReason::Violation(error) => assert_eq!(error.reason_code(), code, "{bytes}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_missing_bytes_are_told() {
    let mut peer = Peer::connected();
    let missing = |status| match status {
        InputStatus::NeedMore { missing } => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(peer.given("")), 2);
    assert_eq!(missing(peer.given("30")), 1);
    assert_eq!(missing(peer.given("85")), 1);
    assert_eq!(missing(peer.given("01")), 133);
    assert_eq!(missing(peer.given("00 01 74")), 130);
}

/// Packets that a server may send, with some bytes changed.
fn nearly_valid() -> impl Strategy<Value = Vec<u8>> {
    let packets = [
        "30 08 00 03 61 2F 62 00 68 69",
        "32 07 00 01 74 00 0A 00 61",
        "3C 0C 00 01 74 00 0A 05 02 00 00 00 01 61",
        "40 03 00 01 10",
        "50 09 00 02 00 05 1F 00 02 6E 6F",
        "62 02 00 0A",
        "70 02 00 02",
        "90 05 00 03 00 01 02",
        "B0 04 00 04 00 11",
        "D0 00",
        "E0 07 8B 05 1F 00 02 6E 6F",
        "F0 06 18 04 15 00 01 58",
    ];
    let packet = proptest::sample::select(packets.to_vec()).prop_map(hex);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2);
    let changed = (packet, changes).prop_map(|(mut packet, changes)| {
        for (index, byte) in changes {
            let index = index.index(packet.len());
            packet[index] = byte;
        }
        packet
    });
    prop::collection::vec(changed, 0..12).prop_map(|packets| packets.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_after_the_connack_end_in_closed_or_in_a_wish_for_more(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), nearly_valid()],
        size in 1..50_usize,
    ) {
        let mut peer = Peer::connected();
        peer.qos1("a");
        peer.qos2("b");
        peer.subscribe(&["a", "b"]);
        peer.unsubscribe(&["a"]);
        peer.drain();
        let mut status = InputStatus::NeedMore { missing: 2 };
        for piece in bytes.chunks(size) {
            status = peer.given_bytes(piece);
            peer.drain();
        }
        let settled = matches!(status, InputStatus::Closed | InputStatus::NeedMore { .. });
        prop_assert!(settled);
        peer.session.abandon(peer.now);
        let mut verdicts = 0;
        for event in peer.events() {
            verdicts += usize::from(matches!(
                event,
                Event::Published { .. } | Event::Subscribed { .. } | Event::Unsubscribed { .. }
            ));
        }
        prop_assert_eq!(verdicts, 4);
        prop_assert_eq!(peer.session.pending_operations(), 0);
        prop_assert_eq!(peer.session.pending_bytes(), 0);
    }
}
