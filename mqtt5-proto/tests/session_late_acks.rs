//! Acknowledgements of received messages over a cut: answers and tokens outlive a connection.

mod session_support;

use mqtt5_proto::packet::PublishReasonCode;
use mqtt5_proto::session::{AckError, Event, SessionConfig};
use session_support::*;

/// The transport breaks and opens again; the session goes on, its events are skipped.
fn resume(peer: &mut Peer) {
    peer.reconnect(RESUMED);
}

#[test]
fn remembered_qos_2_ids_survive_a_resumption() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.expect("50 02 00 0A");
    resume(&mut peer);
    peer.given("3C 07 00 01 74 00 0A 00 61");
    peer.expect_no_event();
    peer.expect("50 02 00 0A");
    resume(&mut peer);
    peer.given("62 02 00 0A");
    peer.expect("70 02 00 0A");
}

#[test]
fn remembered_qos_2_ids_are_forgotten_with_the_session() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.drain();
    peer.reconnect(ACCEPTED);
    peer.given("34 07 00 01 74 00 0A 00 62");
    peer.expect_message("b");
}

#[test]
fn edge_case_119_an_ack_given_offline_answers_the_resent_copy() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61 | 34 07 00 01 74 00 0B 00 62");
    let first = peer.expect_token("a");
    let second = peer.expect_token("b");
    peer.cut();
    peer.expect_disconnected();
    peer.acknowledge(first);
    peer.acknowledge(second);
    assert!(
        peer.session.is_settled(),
        "nothing can be done for them now"
    );
    resume(&mut peer);
    // Not at once: the copies have not come.
    peer.expect_nothing();
    peer.given("3C 07 00 01 74 00 0B 00 62");
    peer.expect("50 02 00 0B");
    peer.given("3A 07 00 01 74 00 0A 00 61");
    peer.expect("40 02 00 0A");
    peer.expect_no_event();
}

#[test]
fn edge_case_196_a_token_still_held_answers_the_resent_copy_without_a_second_delivery() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    resume(&mut peer);
    peer.given("3A 07 00 01 74 00 0A 00 61");
    peer.expect_no_event();
    peer.expect_nothing();
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
}

#[test]
fn edge_case_119_an_ack_given_before_the_copy_has_come_is_kept_for_it() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    resume(&mut peer);
    let code = PublishReasonCode::NotAuthorized;
    peer.session.acknowledge(token, code).unwrap();
    peer.expect_nothing();
    peer.given("3C 07 00 01 74 00 0A 00 61");
    peer.expect("50 03 00 0A 87");
    peer.expect_no_event();
}

#[test]
fn edge_case_197_without_dup_after_a_resumption_it_is_a_new_message_and_the_token_is_dead() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let dead = peer.expect_token("a");
    resume(&mut peer);
    peer.given("32 07 00 01 74 00 0A 00 62");
    let token = peer.expect_token("b");
    assert_eq!(
        peer.session.acknowledge(dead, PublishReasonCode::Success),
        Err(AckError::NotAwaited)
    );
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
}

#[test]
fn edge_case_193_qos_2_repeated_over_a_resumption_is_not_delivered_again() {
    for repeat in ["34 07 00 01 74 00 0A 00 61", "3C 07 00 01 74 00 0A 00 61"] {
        let mut peer = Peer::connected();
        peer.given("34 07 00 01 74 00 0A 00 61");
        let token = peer.expect_token("a");
        resume(&mut peer);
        peer.given(repeat);
        peer.expect_no_event();
        peer.expect_nothing();
        peer.acknowledge(token);
        peer.expect("50 02 00 0A");
    }
}

#[test]
fn edge_case_198_tokens_die_with_the_session() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let dead = peer.expect_token("a");
    peer.reconnect(ACCEPTED);
    assert_eq!(
        peer.session.acknowledge(dead, PublishReasonCode::Success),
        Err(AckError::SessionLost)
    );
    peer.given("32 07 00 01 74 00 0A 00 62");
    let token = peer.expect_token("b");
    assert_ne!(token, dead);
    assert_eq!(
        peer.session.acknowledge(dead, PublishReasonCode::Success),
        Err(AckError::SessionLost)
    );
    peer.expect_nothing();
}

#[test]
fn edge_case_117_after_a_resumption_the_resent_copies_give_the_order() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    let first = peer.expect_token("a");
    let second = peer.expect_token("b");
    peer.acknowledge(second);
    peer.expect_nothing();
    resume(&mut peer);
    // The server sends them the other way round.
    peer.given("3A 07 00 01 74 00 02 00 62 | 3A 07 00 01 74 00 01 00 61");
    peer.expect("40 02 00 02");
    peer.acknowledge(first);
    peer.expect("40 02 00 01");
}

#[test]
fn a_stall_among_resent_copies_is_told() {
    let config = SessionConfig {
        receive_maximum: maximum(4),
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    let first = peer.expect_token("a");
    let second = peer.expect_token("b");
    peer.cut();
    peer.expect_disconnected();
    peer.acknowledge(second);
    peer.expect_no_event();
    resume(&mut peer);
    peer.given("3A 07 00 01 74 00 01 00 61 | 3A 07 00 01 74 00 02 00 62");
    match peer.event() {
        Event::AcksStalled {
            first: stuck,
            waiting,
            ..
        } => assert_eq!((stuck, waiting), (first, 2)),
        other => panic!("{other:?}"),
    }
    peer.acknowledge(first);
    peer.expect("40 02 00 01 | 40 02 00 02");
}

#[test]
fn an_ack_that_never_left_answers_the_resent_copy_without_a_second_delivery() {
    for held in [false, true] {
        let mut peer = Peer::connected();
        peer.given("32 07 00 01 74 00 0A 00 61 | 34 07 00 01 74 00 0B 00 62");
        let first = peer.expect_token("a");
        let second = peer.expect_token("b");
        peer.acknowledge(first);
        let code = PublishReasonCode::NotAuthorized;
        peer.session.acknowledge(second, code).unwrap();
        if held {
            peer.expect_held("40 02 00 0A | 50 03 00 0B 87");
        }
        resume(&mut peer);
        peer.expect_nothing();
        peer.given("3A 07 00 01 74 00 0A 00 61 | 3C 07 00 01 74 00 0B 00 62");
        peer.expect_no_event();
        peer.expect("40 02 00 0A | 50 03 00 0B 87");
    }
}

#[test]
fn an_ack_that_may_have_left_does_not_swallow_the_next_message_under_its_id() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61 | 32 07 00 01 74 00 0B 00 62");
    let first = peer.expect_token("a");
    let second = peer.expect_token("b");
    peer.acknowledge(first);
    peer.acknowledge(second);
    peer.expect_held("40 02 00 0A | 40 02 00 0B");
    // The first PUBACK left. The server sends "c" under its id, which is lost, and again.
    peer.transmit(4);
    resume(&mut peer);
    resume(&mut peer);
    peer.given("3A 07 00 01 74 00 0A 00 63");
    let token = peer.expect_token("c");
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
}

#[test]
fn acks_that_are_handed_out_one_by_one_are_told_apart_by_what_left() {
    let mut peer = Peer::connected();
    let acknowledge = |peer: &mut Peer, id: u8| {
        peer.given(&format!("32 07 00 01 74 00 {id:02X} 00 61"));
        let token = peer.expect_token("a");
        peer.acknowledge(token);
        peer.expect_held(&format!("40 02 00 {id:02X}"));
    };
    for id in [1, 2, 3] {
        acknowledge(&mut peer, id);
    }
    peer.transmit(4);
    acknowledge(&mut peer, 4);
    peer.transmit(4);
    acknowledge(&mut peer, 5);
    resume(&mut peer);
    // The PUBACKs of 1 and 2 left: whatever comes under their ids is new. The others did not.
    for id in [1, 2] {
        peer.given(&format!("3A 07 00 01 74 00 {id:02X} 00 62"));
        peer.expect_token("b");
    }
    for id in [3, 4, 5] {
        peer.given(&format!("3A 07 00 01 74 00 {id:02X} 00 61"));
        peer.expect_no_event();
    }
}

#[test]
fn an_ack_that_left_is_not_sent_again() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
    resume(&mut peer);
    peer.expect_nothing();
    // It did not arrive: at least once means twice here.
    peer.given("3A 07 00 01 74 00 0A 00 61");
    peer.expect_token("a");
}
