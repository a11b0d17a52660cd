//! Acknowledgements that come in one piece: each is handled as if it had come alone.

mod session_support;

use bytes::BytesMut;
use mqtt5_proto::codec::{MaximumPacketSize, Violation};
use mqtt5_proto::session::{EndReason, Event, InputStatus, Phase, SessionConfig};
use session_support::*;

#[test]
fn all_four_kinds_behind_one_another_and_what_comes_behind_them() {
    let mut peer = Peer::connected();
    let (first, second, third) = (peer.qos1("a"), peer.qos2("b"), peer.qos2("c"));
    peer.drain();
    peer.given("34 06 00 01 74 00 07 00");
    let token = peer.expect_token("");
    peer.acknowledge(token);
    peer.expect("50 02 00 07");
    // PUBREC of both, PUBACK, PUBREL, PUBCOMP of one, a message, and half a PUBCOMP.
    let status = peer.given(
        "50 02 00 02 50 02 00 03 40 02 00 01 62 02 00 07 70 02 00 03 \
         30 05 00 01 74 00 61 70 02 00",
    );
    assert_eq!(status, InputStatus::NeedMore { missing: 1 });
    peer.expect_acknowledged(first, 0x00);
    peer.expect_acknowledged(third, 0x00);
    peer.expect_message("a");
    peer.expect_no_event();
    peer.expect("62 02 00 02 62 02 00 03 70 02 00 07");
    peer.given("02");
    peer.expect_acknowledged(second, 0x00);
    peer.expect_nothing();
}

#[test]
fn no_more_are_taken_than_there_is_room_for_verdicts() {
    let mut peer = Peer::connected();
    let operations: Vec<_> = (0..300).map(|_| peer.qos1("a")).collect();
    peer.drain();
    let acks: Vec<u8> = (1..=300_u16)
        .flat_map(|id| [0x40, 2, id.to_be_bytes()[0], id.to_be_bytes()[1]])
        .collect();
    let mut input = BytesMut::from(&acks[..]);
    let status = peer.session.handle_input(&mut input, peer.now);
    assert_eq!(status, InputStatus::EventsWaiting);
    assert_eq!(input, acks[4 * 256..]);
    for &operation in &operations[..256] {
        peer.expect_acknowledged(operation, 0x00);
    }
    peer.expect_no_event();
    let status = peer.session.handle_input(&mut input, peer.now);
    assert_eq!(status, InputStatus::NeedMore { missing: 2 });
    for &operation in &operations[256..] {
        peer.expect_acknowledged(operation, 0x00);
    }
    peer.expect_no_event();
}

#[test]
fn nothing_is_taken_behind_one_that_breaks_a_rule() {
    let mut peer = Peer::connected();
    let (first, second) = (peer.qos1("a"), peer.qos1("b"));
    peer.drain();
    // A PUBCOMP answers no message of QoS 1.
    let mut input = BytesMut::from(&hex("40 02 00 01 70 02 00 02 40 02 00 02")[..]);
    let status = peer.session.handle_input(&mut input, peer.now);
    assert_eq!(status, InputStatus::Closed);
    assert!(input.is_empty());
    peer.expect_acknowledged(first, 0x00);
    peer.expect_no_event();
    peer.expect_close("E0 01 82");
    match peer.end() {
        EndReason::Violation(error) => {
            assert_eq!(error.violation, Violation::WrongAcknowledgement);
        }
        other => panic!("{other:?}"),
    }
    // The message keeps waiting.
    assert_eq!(peer.session.pending_operations(), 1);
    peer.connect(RESUMED);
    peer.expect("3A 07 00 01 74 00 02 00 62");
    peer.given("40 02 00 02");
    peer.expect_acknowledged(second, 0x00);
}

#[test]
fn none_is_taken_before_the_connack() {
    for ack in ["40 02 00 01", "50 02 00 01", "62 02 00 01", "70 02 00 01"] {
        let mut peer = Peer::new(config());
        peer.open();
        peer.drain();
        assert_eq!(peer.given(ack), InputStatus::Closed);
        match peer.end() {
            EndReason::Violation(error) => {
                assert_eq!(error.violation, Violation::UnexpectedPacket, "{ack}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn verdicts_and_messages_are_told_in_the_order_in_which_they_came() {
    let mut peer = Peer::connected();
    let operations = [peer.qos1("a"), peer.qos1("b"), peer.qos1("c")];
    peer.drain();
    peer.given(
        "30 05 00 01 74 00 61 40 02 00 01 40 02 00 02 \
         30 05 00 01 74 00 62 30 05 00 01 74 00 63 40 02 00 03",
    );
    peer.expect_message("a");
    peer.expect_acknowledged(operations[0], 0x00);
    peer.expect_acknowledged(operations[1], 0x00);
    peer.expect_message("b");
    peer.expect_message("c");
    peer.expect_acknowledged(operations[2], 0x00);
    peer.expect_no_event();
}

/// Why the size of an acknowledgement needs no check of its own.
#[test]
fn no_connection_comes_about_whose_limit_is_below_an_acknowledgement() {
    let config = |limit| SessionConfig {
        maximum_packet_size: MaximumPacketSize::new(limit).unwrap(),
        ..config()
    };
    let mut peer = Peer::new(config(4));
    peer.open();
    peer.drain();
    assert_eq!(peer.given(ACCEPTED), InputStatus::Closed);
    match peer.end() {
        EndReason::Violation(error) => assert_eq!(error.violation, Violation::PacketTooLarge),
        other => panic!("{other:?}"),
    }
    let mut peer = Peer::new(config(5));
    peer.open();
    peer.drain();
    peer.given(ACCEPTED);
    assert!(matches!(peer.event(), Event::Connected(_)));
    assert_eq!(peer.session.phase(), Phase::Connected);
}

#[test]
fn an_exchange_that_was_superseded_does_not_count_any_more() {
    let config = SessionConfig {
        receive_maximum: maximum(2),
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("32 06 00 01 74 00 07 00");
    peer.expect_token("");
    peer.given("34 06 00 01 74 00 07 00");
    peer.expect_warning();
    peer.expect_token("");
    peer.given("32 06 00 01 74 00 08 00");
    peer.expect_token("");
    peer.expect_violation("32 06 00 01 74 00 09 00", 0x93);
}

/// At four bytes there is no room for the refusal: what the server hears is that the message came,
/// and so the exchange goes on.
#[test]
fn a_refusal_that_cannot_be_told_does_not_end_the_exchange() {
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 27 00 00 00 04");
    peer.given("34 06 00 01 74 00 07 00");
    let token = peer.expect_token("");
    let refusal = mqtt5_proto::packet::PublishReasonCode::UnspecifiedError;
    peer.session.acknowledge(token, refusal).unwrap();
    peer.expect("50 02 00 07");
    peer.given("3C 06 00 01 74 00 07 00");
    peer.expect("50 02 00 07");
    peer.expect_no_event();
}
