//! A session that goes on over a new connection: what is sent again, and in which order.

mod session_support;

use core::time::Duration;

use mqtt5_proto::QoS;
use mqtt5_proto::packet::{PublishReasonCode, Received};
use mqtt5_proto::session::{Event, PublishVerdict, RequestVerdict, Rule, SessionConfig};
use session_support::*;

/// The transport breaks and opens again; the session goes on, its events are skipped.
fn resume(peer: &mut Peer) {
    peer.reconnect(RESUMED);
}

// --- what is sent again ---------------------------------------------------------

#[test]
fn edge_case_108_unacknowledged_publishes_are_sent_again_with_dup_and_their_id() {
    let mut peer = Peer::connected();
    let first = peer.qos1("a");
    let second = peer.qos2("b");
    peer.drain();
    peer.cut();
    assert!(peer.expect_disconnected().session_kept);
    peer.open();
    peer.expect(CONNECT_RESUME);
    peer.given(RESUMED);
    let connected = peer.expect_connected();
    assert!(connected.session_present);
    assert!(!connected.session_lost);
    peer.expect("3A 07 00 01 74 00 01 00 61 | 3C 07 00 01 74 00 02 00 62");
    peer.given("40 02 00 01 | 50 02 00 02");
    peer.expect_acknowledged(first, 0x00);
    peer.expect("62 02 00 02");
    peer.given("70 02 00 02");
    peer.expect_acknowledged(second, 0x00);
}

#[test]
fn edge_cases_109_and_110_in_the_pubrel_phase_only_pubrel_is_sent_again_with_its_flags() {
    let mut peer = Peer::connected();
    let operation = peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    resume(&mut peer);
    peer.expect("62 02 00 01");
    resume(&mut peer);
    peer.expect("62 02 00 01");
    peer.given("70 02 00 01");
    peer.expect_acknowledged(operation, 0x00);
    resume(&mut peer);
    peer.expect_nothing();
}

#[test]
fn edge_case_109_a_pubrel_that_never_left_is_sent_instead_of_the_publish() {
    let mut peer = Peer::connected();
    peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01");
    // Not polled.
    resume(&mut peer);
    peer.expect("62 02 00 01");
}

#[test]
fn pubrels_come_first_in_the_order_of_their_pubrecs_then_publishes_then_what_is_new() {
    let mut peer = Peer::connected();
    for payload in ["a", "b", "c"] {
        peer.qos2(payload);
    }
    peer.qos1("d");
    peer.drain();
    peer.given("50 02 00 03 | 50 02 00 01");
    peer.drain();
    peer.cut();
    peer.expect_disconnected();
    peer.qos1("e");
    peer.open();
    peer.drain();
    peer.qos1("f");
    peer.given(RESUMED);
    peer.expect_connected();
    peer.expect(
        "62 02 00 03 | 62 02 00 01 | 3C 07 00 01 74 00 02 00 62 | 3A 07 00 01 74 00 04 00 64 \
         | 32 07 00 01 74 00 05 00 65 | 32 07 00 01 74 00 06 00 66",
    );
}

#[test]
fn resends_follow_the_order_of_first_sending_and_not_of_ids() {
    let mut peer = Peer::connected();
    for payload in ["a", "b", "c"] {
        peer.qos1(payload);
    }
    peer.drain();
    // 2 and then 1 become free and are used again, behind 3.
    peer.given("40 02 00 02 | 40 02 00 01");
    peer.qos2("d");
    peer.qos1("e");
    peer.drain();
    resume(&mut peer);
    peer.expect(
        "3A 07 00 01 74 00 03 00 63 | 3C 07 00 01 74 00 02 00 64 | 3A 07 00 01 74 00 01 00 65",
    );
    // And again on the next connection.
    resume(&mut peer);
    peer.expect(
        "3A 07 00 01 74 00 03 00 63 | 3C 07 00 01 74 00 02 00 64 | 3A 07 00 01 74 00 01 00 65",
    );
}

#[test]
fn edge_case_111_what_never_left_goes_out_without_dup_after_the_resends() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.drain();
    peer.qos1("b");
    peer.qos1("c");
    peer.expect_held("32 07 00 01 74 00 02 00 62 | 32 07 00 01 74 00 03 00 63");
    // All of "b" but its last byte, and nothing of "c".
    peer.transmit(8);
    resume(&mut peer);
    peer.expect(
        "3A 07 00 01 74 00 01 00 61 | 3A 07 00 01 74 00 02 00 62 | 32 07 00 01 74 00 03 00 63",
    );
}

#[test]
fn one_byte_that_left_makes_it_a_repetition() {
    for (left, first) in [(0, "34"), (1, "3C")] {
        let mut peer = Peer::connected();
        peer.qos2("a");
        peer.expect_held("34 07 00 01 74 00 01 00 61");
        if left > 0 {
            peer.transmit(left);
        }
        resume(&mut peer);
        peer.expect(&format!("{first} 07 00 01 74 00 01 00 61"));
    }
}

#[test]
fn what_left_once_stays_a_repetition_though_it_did_not_leave_again() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.drain();
    resume(&mut peer);
    peer.expect_held("3A 07 00 01 74 00 01 00 61");
    resume(&mut peer);
    peer.expect("3A 07 00 01 74 00 01 00 61");
    // Nor when the connection never got so far.
    peer.cut();
    peer.open();
    peer.drain();
    resume(&mut peer);
    peer.expect("3A 07 00 01 74 00 01 00 61");
}

#[test]
fn edge_case_113_ids_of_resumed_exchanges_are_in_use() {
    let mut peer = Peer::connected();
    peer.qos2("a");
    peer.qos1("b");
    peer.qos1("c");
    peer.drain();
    peer.given("50 02 00 01 | 40 02 00 02");
    peer.drain();
    resume(&mut peer);
    peer.expect("62 02 00 01 | 3A 07 00 01 74 00 03 00 63");
    peer.qos1("d");
    peer.subscribe(&["a/b"]);
    peer.expect("82 09 00 02 00 00 03 61 2F 62 02 | 32 07 00 01 74 00 04 00 64");
}

#[test]
fn a_resumed_session_may_start_with_a_pubrec_before_the_publish_was_sent_again() {
    // The second connection has Receive Maximum 1.
    let mut peer = Peer::connected();
    let first = peer.qos2("a");
    let second = peer.qos2("b");
    peer.drain();
    peer.reconnect("20 06 01 00 03 21 00 01");
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    peer.given("70 02 00 01");
    peer.expect_acknowledged(first, 0x00);
    peer.expect("3C 07 00 01 74 00 02 00 62");
    peer.given("50 02 00 02");
    peer.expect("62 02 00 02");
    peer.given("70 02 00 02");
    peer.expect_acknowledged(second, 0x00);
}

#[test]
fn a_puback_for_what_was_not_sent_again_yet_finishes_it() {
    let mut peer = Peer::connected();
    let first = peer.qos1("a");
    let second = peer.qos1("b");
    peer.drain();
    peer.reconnect("20 06 01 00 03 21 00 01");
    peer.given("40 02 00 02");
    peer.expect_acknowledged(second, 0x00);
    peer.expect("3A 07 00 01 74 00 01 00 61");
    peer.given("40 02 00 01");
    peer.expect_acknowledged(first, 0x00);
    peer.expect_nothing();
}

#[test]
fn edge_case_129_resends_are_throttled_by_the_new_receive_maximum() {
    let mut peer = Peer::connected();
    let first = peer.qos1("a");
    let second = peer.qos1("b");
    peer.qos1("c");
    peer.drain();
    peer.qos1("d");
    peer.reconnect("20 06 01 00 03 21 00 01");
    peer.expect("3A 07 00 01 74 00 01 00 61");
    peer.given("40 02 00 01");
    peer.expect_acknowledged(first, 0x00);
    peer.expect("3A 07 00 01 74 00 02 00 62");
    peer.given("40 02 00 02");
    peer.expect_acknowledged(second, 0x00);
    peer.expect("3A 07 00 01 74 00 03 00 63");
    // What is new waits for the last of them.
    peer.expect_nothing();
    peer.given("40 02 00 03");
    peer.event();
    peer.expect("32 07 00 01 74 00 01 00 64");
}

#[test]
fn qos_0_does_not_wait_for_resends() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.qos1("b");
    peer.drain();
    peer.reconnect("20 06 01 00 03 21 00 01");
    peer.qos0("c");
    peer.expect("3A 07 00 01 74 00 01 00 61 | 30 05 00 01 74 00 63");
}

#[test]
fn edge_case_122_an_own_message_that_expired_after_it_was_sent_is_sent_again() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut peer = Peer::connected();
        peer.publish_message(expiring(qos, "a", 10));
        peer.drain();
        peer.wait(Duration::from_millis(4_100));
        peer.reconnect(RESUMED);
        let first = if qos == QoS::AtLeastOnce { "3A" } else { "3C" };
        // 5.9 s are left: 6
        peer.expect(&format!("{first} 0C 00 01 74 00 01 05 02 00 00 00 06 61"));
        peer.wait_seconds(60);
        peer.expect_no_event();
        peer.reconnect(RESUMED);
        // Nothing is left; 0 would be taken for "never" by some.
        peer.expect(&format!("{first} 0C 00 01 74 00 01 05 02 00 00 00 01 61"));
    }
}

#[test]
fn what_was_handed_out_and_never_left_expires_while_offline() {
    let mut peer = Peer::connected();
    let operation = peer.publish_message(expiring(QoS::AtLeastOnce, "a", 10));
    peer.expect_held("32 0C 00 01 74 00 01 05 02 00 00 00 0A 61");
    peer.cut();
    peer.expect_disconnected();
    peer.wait_seconds(10);
    expect_expired(peer.expect_verdict(operation), "a");
    peer.connect(RESUMED);
    peer.expect_nothing();
}

#[test]
fn edge_case_147_an_alias_of_the_last_connection_stands_for_nothing() {
    let config = SessionConfig {
        topic_alias_maximum: 3,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("30 08 00 01 74 03 23 00 01 61");
    peer.expect_message("a");
    resume(&mut peer);
    peer.expect_violation("30 07 00 00 03 23 00 01 62", 0x82);
}

#[test]
fn the_pubrec_that_was_kept_is_in_the_verdict_after_a_resumption() {
    let mut peer = Peer::connected();
    let operation = peer.qos2("a");
    peer.drain();
    peer.given("50 03 00 01 10");
    resume(&mut peer);
    peer.drain();
    peer.given("70 02 00 01");
    match peer.expect_verdict(operation) {
        PublishVerdict::Acknowledged(ack) => assert_eq!(
            ack.reason_code,
            Received::Tabled(PublishReasonCode::NoMatchingSubscribers)
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_handed_out_and_never_left_keeps_its_order() {
    let mut peer = Peer::connected();
    for payload in ["a", "b", "c"] {
        peer.qos1(payload);
    }
    peer.expect_held(
        "32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62 | 32 07 00 01 74 00 03 00 63",
    );
    peer.qos1("d");
    resume(&mut peer);
    peer.expect(
        "32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62 \
         | 32 07 00 01 74 00 03 00 63 | 32 07 00 01 74 00 04 00 64",
    );
}

// --- requests -------------------------------------------------------------------

#[test]
fn edge_case_112_a_request_that_was_sent_does_not_outlive_its_connection() {
    let mut peer = Peer::connected();
    let subscribe = peer.subscribe(&["a/b"]);
    let unsubscribe = peer.unsubscribe(&["a/b"]);
    peer.drain();
    peer.cut();
    assert_eq!(
        peer.event(),
        Event::Subscribed {
            operation: subscribe,
            verdict: RequestVerdict::Unknown
        }
    );
    assert_eq!(
        peer.event(),
        Event::Unsubscribed {
            operation: unsubscribe,
            verdict: RequestVerdict::Unknown
        }
    );
    peer.expect_disconnected();
    resume(&mut peer);
    peer.expect_nothing();
    // Its id is free.
    peer.subscribe(&["a/b"]);
    peer.expect("82 09 00 01 00 00 03 61 2F 62 02");
}

#[test]
fn a_request_that_never_left_goes_with_the_next_connection() {
    let mut peer = Peer::connected();
    peer.subscribe(&["a/b"]);
    peer.expect_held("82 09 00 01 00 00 03 61 2F 62 02");
    peer.unsubscribe(&["c"]);
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.drain();
    peer.given(ACCEPTED);
    peer.expect_connected();
    peer.expect("82 09 00 01 00 00 03 61 2F 62 02 | A2 06 00 02 00 00 01 63");
}

#[test]
fn requests_that_never_left_keep_their_order_whatever_their_ids_were() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.qos1("b");
    peer.drain();
    peer.given("40 02 00 02 | 40 02 00 01");
    peer.subscribe(&["c"]);
    peer.unsubscribe(&["d"]);
    peer.expect_held("82 07 00 02 00 00 01 63 02 | A2 06 00 01 00 00 01 64");
    peer.subscribe(&["e"]);
    resume(&mut peer);
    peer.expect(
        "82 07 00 01 00 00 01 63 02 | A2 06 00 02 00 00 01 64 | 82 07 00 03 00 00 01 65 02",
    );
}

// --- stored messages and new limits ---------------------------------------------

#[test]
fn edge_case_140_a_stored_qos_1_message_that_no_longer_fits_is_rejected_and_its_id_is_free() {
    let mut peer = Peer::connected();
    let big = peer.qos1("aaaa");
    let small = peer.qos1("b");
    peer.drain();
    // Maximum Packet Size 9: "b" just fits.
    peer.reconnect("20 08 01 00 05 27 00 00 00 09");
    peer.expect("3A 07 00 01 74 00 02 00 62");
    match peer.expect_verdict(big) {
        PublishVerdict::Rejected { rule, message } => {
            assert_eq!(rule, Rule::MaximumPacketSize { size: 12, limit: 9 });
            assert_eq!(&message.payload[..], b"aaaa");
        }
        other => panic!("{other:?}"),
    }
    peer.given("40 02 00 02");
    peer.expect_acknowledged(small, 0x00);
    assert_eq!(peer.session.pending_bytes(), 0);
}

#[test]
fn edge_case_140_a_stored_qos_2_message_that_no_longer_fits_keeps_its_id_blocked() {
    let mut peer = Peer::connected();
    let big = peer.qos2("aaaa");
    peer.drain();
    peer.reconnect("20 08 01 00 05 27 00 00 00 09");
    peer.expect_nothing();
    assert!(matches!(
        peer.expect_verdict(big),
        PublishVerdict::Rejected { .. }
    ));
    assert_eq!(peer.session.pending_operations(), 0);
    assert_eq!(peer.session.pending_bytes(), 0);
    peer.qos1("b");
    peer.expect("32 07 00 01 74 00 02 00 62");
    // Nor is it sent on a connection where it would fit.
    resume(&mut peer);
    peer.expect("3A 07 00 01 74 00 02 00 62");
    // Its PUBREC finishes the exchange, without a second verdict.
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    peer.qos1("c");
    peer.expect("32 07 00 01 74 00 03 00 63");
    peer.given("70 02 00 01");
    peer.expect_no_event();
    peer.qos1("d");
    peer.expect("32 07 00 01 74 00 01 00 64");
}

#[test]
fn a_blocked_id_is_free_when_the_session_ends() {
    let mut peer = Peer::connected();
    peer.qos2("aaaa");
    peer.drain();
    peer.reconnect("20 08 01 00 05 27 00 00 00 09");
    peer.expect_nothing();
    peer.event();
    peer.reconnect(ACCEPTED);
    peer.qos1("b");
    peer.expect("32 07 00 01 74 00 01 00 62");
}

#[test]
fn a_stored_message_above_the_new_maximum_qos_or_with_retain_is_rejected() {
    // Maximum QoS 1; Retain Available 0.
    for (connack, rule) in [
        (
            "20 05 01 00 02 24 01",
            Rule::MaximumQoS {
                maximum: QoS::AtLeastOnce,
            },
        ),
        ("20 05 01 00 02 25 00", Rule::RetainAvailable),
    ] {
        let mut peer = Peer::connected();
        let operation = peer.publish_message(message(QoS::ExactlyOnce, "a").with_retain(true));
        peer.drain();
        peer.reconnect(connack);
        peer.expect_nothing();
        match peer.expect_verdict(operation) {
            PublishVerdict::Rejected { rule: got, .. } => assert_eq!(got, rule),
            other => panic!("{other:?}"),
        }
    }
}
