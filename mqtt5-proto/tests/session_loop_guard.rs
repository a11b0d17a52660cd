//! Resumed connections that end by an error at the same packet.

mod session_support;

use mqtt5_proto::session::SessionConfig;
use session_support::*;

/// The transport breaks and opens again; the session goes on, its events are skipped.
fn resume(peer: &mut Peer) {
    peer.reconnect(RESUMED);
}

#[test]
fn edge_case_211_resumed_connections_that_end_at_the_same_packet_are_counted() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    for repeated in [0, 1, 2, 3] {
        peer.drain();
        // A PUBREC for a QoS 1 exchange. The first connection was not a resumed one.
        peer.given("50 02 00 01");
        peer.cut();
        let end = peer.expect_disconnected();
        assert_eq!(end.repeated, repeated);
        peer.open();
        peer.drain();
        peer.given(RESUMED);
        peer.expect_connected();
    }
    // One that ends without an error starts the count again.
    peer.cut();
    assert_eq!(peer.expect_disconnected().repeated, 0);
}

#[test]
fn edge_case_211_another_packet_or_id_is_another_failure() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.qos1("b");
    for (answer, repeated) in [
        ("50 02 00 01", 0),
        ("50 02 00 01", 1),
        ("50 02 00 02", 1),
        ("70 02 00 02", 1),
        ("70 02 00 02", 2),
    ] {
        peer.drain();
        peer.given(answer);
        peer.cut();
        assert_eq!(peer.expect_disconnected().repeated, repeated, "{answer}");
        peer.open();
        peer.drain();
        peer.given(RESUMED);
        peer.expect_connected();
    }
}

#[test]
fn edge_case_211_attempts_that_did_not_connect_do_not_change_the_count() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.drain();
    resume(&mut peer);
    peer.given("50 02 00 01");
    peer.cut();
    assert_eq!(peer.expect_disconnected().repeated, 1);
    peer.open();
    peer.cut();
    assert_eq!(peer.expect_disconnected().repeated, 1);
    peer.open();
    peer.drain();
    peer.given(RESUMED);
    peer.expect_connected();
    peer.given("50 02 00 01");
    peer.cut();
    assert_eq!(peer.expect_disconnected().repeated, 2);
}

#[test]
fn edge_case_211_a_packet_that_cannot_be_parsed_does_not_count_as_the_one_before_it() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.drain();
    // QoS 1 messages under different ids, and then one without a topic.
    for (id, repeated) in [(1, 0), (2, 1), (3, 2)] {
        peer.given(&format!(
            "32 07 00 01 74 00 {id:02X} 00 61 | 32 06 00 00 00 07 00 61"
        ));
        peer.events();
        peer.cut();
        assert_eq!(peer.expect_disconnected().repeated, repeated);
        peer.open();
        peer.drain();
        peer.given(RESUMED);
        peer.expect_connected();
    }
}

#[test]
fn edge_case_211_a_servers_disconnect_with_an_error_counts_as_well() {
    let mut peer = Peer::connected();
    resume(&mut peer);
    for repeated in [1, 2, 3] {
        peer.given("E0 01 82");
        peer.cut();
        assert_eq!(peer.expect_disconnected().repeated, repeated);
        peer.open();
        peer.drain();
        peer.given(RESUMED);
        peer.expect_connected();
    }
}

#[test]
fn edge_case_211_every_answer_is_told_from_the_same_with_another_id() {
    let config = SessionConfig {
        request_problem_information: false,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    resume(&mut peer);
    // PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK with an empty Reason String, which was
    // not asked for.
    for (before, after) in [
        ("40 07 00", "00 03 1F 00 00"),
        ("50 07 00", "00 03 1F 00 00"),
        ("62 07 00", "00 03 1F 00 00"),
        ("70 07 00", "00 03 1F 00 00"),
        ("90 07 00", "03 1F 00 00 00"),
        ("B0 07 00", "03 1F 00 00 00"),
    ] {
        for (id, repeated) in [("07", 1), ("07", 2), ("08", 1)] {
            peer.given(&format!("{before} {id} {after}"));
            peer.cut();
            let end = peer.expect_disconnected();
            assert_eq!(end.repeated, repeated, "{before} {id} {after}");
            peer.open();
            peer.drain();
            peer.given(RESUMED);
            peer.expect_connected();
        }
    }
}

#[test]
fn edge_case_211_a_servers_normal_disconnect_is_no_failure() {
    let mut peer = Peer::connected();
    resume(&mut peer);
    for _ in 0..3 {
        peer.given("E0 00");
        peer.cut();
        assert_eq!(peer.expect_disconnected().repeated, 0);
        peer.open();
        peer.drain();
        peer.given(RESUMED);
        peer.expect_connected();
    }
}
