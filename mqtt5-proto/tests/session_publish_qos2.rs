//! Publishing at QoS 2 (MQTT 5.0 section 4.3), as packet traces.

mod session_support;

use mqtt5_proto::packet::{PublishReasonCode, Received, ReleaseReasonCode};
use mqtt5_proto::session::PublishVerdict;
use session_support::*;

#[test]
fn qos_2_is_finished_by_its_pubcomp() {
    let mut peer = Peer::connected();
    let operation = peer.qos2("a");
    peer.expect("34 07 00 01 74 00 01 00 61");
    peer.given("50 02 00 01");
    peer.expect_no_event();
    peer.expect("62 02 00 01");
    peer.given("70 02 00 01");
    match peer.expect_verdict(operation) {
        PublishVerdict::Acknowledged(ack) => {
            assert_eq!(ack.reason_code, PublishReasonCode::Success);
            assert_eq!(
                ack.completion,
                Some(Received::Tabled(ReleaseReasonCode::Success))
            );
        }
        other => panic!("{other:?}"),
    }
    peer.expect_nothing();
    assert_eq!(peer.session.pending_operations(), 0);
    assert_eq!(peer.session.pending_bytes(), 0);
}

#[test]
fn the_payload_is_dropped_and_its_bytes_are_given_back_at_the_pubrec() {
    let mut peer = Peer::connected();
    peer.qos2("a");
    peer.drain();
    assert!(peer.session.pending_bytes() > 0);
    peer.given("50 02 00 01");
    assert_eq!(peer.session.pending_bytes(), 0);
    assert_eq!(peer.session.pending_operations(), 1);
}

#[test]
fn edge_case_91_a_failed_pubrec_ends_the_exchange_without_pubrel() {
    // Receive Maximum 1
    let mut peer = Peer::connected_with(config(), "20 06 00 00 03 21 00 01");
    let refused = peer.qos2("a");
    let next = peer.qos2("b");
    peer.expect("34 07 00 01 74 00 01 00 61");
    peer.given("50 03 00 01 97");
    peer.expect_refused(refused, 0x97);
    // The id and the quota are free.
    peer.expect("34 07 00 01 74 00 01 00 62");
    // Not resent.
    peer.given("50 02 00 01 | 70 02 00 01");
    peer.expect_acknowledged(next, 0x00);
    peer.drain();
    peer.reconnect(RESUMED);
    peer.expect_nothing();
}

#[test]
fn edge_case_92_a_pubrec_without_subscribers_is_a_success_and_gives_no_quota_back() {
    let mut peer = Peer::connected_with(config(), "20 06 00 00 03 21 00 01");
    let operation = peer.qos2("a");
    peer.qos1("b");
    peer.drain();
    peer.given("50 03 00 01 10");
    peer.expect("62 02 00 01");
    peer.given("70 02 00 01");
    peer.expect_acknowledged(operation, 0x10);
    peer.expect("32 07 00 01 74 00 01 00 62");
}

#[test]
fn edge_case_96_a_pubrec_for_an_unknown_id_is_answered_with_pubrel_not_found() {
    let mut peer = Peer::connected();
    peer.given("50 02 00 09");
    peer.expect("62 03 00 09 92");
    // And its PUBCOMP is of no interest.
    peer.given("70 03 00 09 92");
    peer.expect_nothing();
    peer.expect_no_event();
}

#[test]
fn a_failed_pubrec_for_an_unknown_id_is_ignored() {
    let mut peer = Peer::connected();
    peer.given("50 03 00 09 80");
    peer.expect_nothing();
    peer.expect_no_event();
}

#[test]
fn edge_case_97_pubcomp_not_found_finishes_the_exchange() {
    let mut peer = Peer::connected_with(config(), "20 06 00 00 03 21 00 01");
    let operation = peer.qos2("a");
    peer.qos1("b");
    peer.drain();
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    peer.given("70 03 00 01 92");
    match peer.expect_verdict(operation) {
        PublishVerdict::Acknowledged(ack) => assert_eq!(
            ack.completion,
            Some(Received::Tabled(
                ReleaseReasonCode::PacketIdentifierNotFound
            ))
        ),
        other => panic!("{other:?}"),
    }
    peer.expect("32 07 00 01 74 00 01 00 62");
}

#[test]
fn edge_case_182_pubcomp_with_any_failure_finishes_the_exchange_and_the_raw_code_is_kept() {
    let mut peer = Peer::connected();
    let operation = peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01");
    peer.drain();
    peer.given("70 03 00 01 83");
    match peer.expect_verdict(operation) {
        PublishVerdict::Acknowledged(ack) => {
            assert_eq!(ack.completion, Some(Received::Untabled(0x83)));
        }
        other => panic!("{other:?}"),
    }
    peer.qos1("b");
    peer.expect("32 07 00 01 74 00 01 00 62");
}

#[test]
fn edge_case_181_an_untabled_failure_in_a_pubrec_fails_the_operation_with_the_raw_code() {
    let mut peer = Peer::connected();
    let operation = peer.qos2("a");
    peer.drain();
    peer.given("50 03 00 01 A2");
    match peer.expect_verdict(operation) {
        PublishVerdict::Refused(ack) => {
            assert_eq!(ack.reason_code, Received::Untabled(0xA2));
            assert_eq!(ack.completion, None);
        }
        other => panic!("{other:?}"),
    }
    peer.expect_nothing();
}

#[test]
fn edge_case_99_a_pubrec_again_is_answered_with_pubrel_again() {
    let mut peer = Peer::connected();
    let operation = peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    peer.expect_no_event();
    peer.given("70 02 00 01");
    peer.expect_acknowledged(operation, 0x00);
    peer.given("70 02 00 01");
    peer.expect_no_event();
}

#[test]
fn edge_case_100_a_pubcomp_for_an_unknown_id_is_ignored() {
    let mut peer = Peer::connected();
    peer.given("70 02 00 09");
    peer.expect_no_event();
    peer.expect_nothing();
}

#[test]
fn edge_case_101_a_puback_for_a_qos_2_exchange_is_a_protocol_error() {
    let mut peer = Peer::connected();
    peer.qos2("a");
    peer.drain();
    peer.expect_violation("40 02 00 01", 0x82);
}

#[test]
fn edge_case_101_a_pubcomp_before_the_pubrec_is_a_protocol_error() {
    let mut peer = Peer::connected();
    peer.qos2("a");
    peer.drain();
    peer.expect_violation("70 02 00 01", 0x82);
}

#[test]
fn edge_case_200_a_puback_while_waiting_for_pubcomp_is_a_protocol_error() {
    let mut peer = Peer::connected();
    peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01");
    peer.drain();
    peer.expect_violation("40 02 00 01", 0x82);
}

#[test]
fn a_failed_pubrec_while_waiting_for_pubcomp_is_a_protocol_error() {
    let mut peer = Peer::connected();
    peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01");
    peer.drain();
    peer.expect_violation("50 03 00 01 80", 0x82);
}

#[test]
fn edge_case_118_pubrels_follow_the_order_of_the_pubrecs() {
    let mut peer = Peer::connected();
    for payload in ["a", "b", "c"] {
        peer.qos2(payload);
    }
    peer.drain();
    peer.given("50 02 00 03 | 50 02 00 01 | 50 02 00 02");
    peer.expect("62 02 00 03 | 62 02 00 01 | 62 02 00 02");
}

#[test]
fn edge_case_114_the_same_id_in_both_directions_is_two_exchanges() {
    let mut peer = Peer::connected();
    let operation = peer.qos2("a");
    peer.expect("34 07 00 01 74 00 01 00 61");
    // The server's own message 1, of QoS 2.
    peer.given("34 07 00 01 74 00 01 00 62");
    let token = peer.expect_token("b");
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    peer.acknowledge(token);
    peer.expect("50 02 00 01");
    peer.given("62 02 00 01");
    peer.expect("70 02 00 01");
    peer.expect_no_event();
    peer.given("70 02 00 01");
    peer.expect_acknowledged(operation, 0x00);
}

#[test]
fn the_id_is_not_used_again_between_pubrec_and_pubcomp() {
    let mut peer = Peer::connected();
    peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01");
    peer.drain();
    peer.qos1("b");
    peer.expect("32 07 00 01 74 00 02 00 62");
}
