//! How long a session lasts (MQTT 5.0 section 4.1), and that time alone makes nothing of it go
//! again (section 4.4).

mod session_support;

use mqtt5_proto::packet::PublishReasonCode;
use mqtt5_proto::session::{AckError, SessionConfig};
use session_support::*;

/// Longer than any interval in these tests.
const AGES: u64 = 1_000_000;

#[test]
fn a_session_is_not_discarded_while_its_connection_is_open() {
    for session_expiry_interval in [0, 1] {
        let config = SessionConfig {
            session_expiry_interval,
            keep_alive: 60,
            ..config()
        };
        let mut peer = Peer::connected_with(config, ACCEPTED);
        let first = peer.qos1("a");
        let second = peer.qos2("b");
        peer.drain();
        peer.given("50 02 00 02 | 34 07 00 01 74 00 0A 00 63");
        let token = peer.expect_token("c");
        peer.acknowledge(token);
        peer.expect("62 02 00 02 | 50 02 00 0A");
        peer.given("32 07 00 01 74 00 0B 00 64");
        let held = peer.expect_token("d");
        for _ in 0..100 {
            peer.wait_seconds(50);
            peer.expect("C0 00");
            peer.given("D0 00");
        }
        peer.expect_no_event();
        // What was received is remembered,
        peer.given("3C 07 00 01 74 00 0A 00 63");
        peer.expect_no_event();
        peer.given("62 02 00 0A");
        peer.expect("50 02 00 0A | 70 02 00 0A");
        peer.acknowledge(held);
        peer.expect("40 02 00 0B");
        // and so is what was sent.
        peer.given("40 02 00 01 | 70 02 00 02");
        peer.expect_acknowledged(first, 0x00);
        peer.expect_acknowledged(second, 0x00);
    }
}

#[test]
fn a_clean_start_drops_both_halves_of_the_session_when_its_connect_is_made() {
    let mut peer = Peer::connected();
    let sent = peer.qos1("a");
    peer.drain();
    peer.given("34 07 00 01 74 00 0A 00 62 | 32 07 00 01 74 00 0B 00 63");
    let remembered = peer.expect_token("b");
    let held = peer.expect_token("c");
    peer.acknowledge(remembered);
    peer.expect("50 02 00 0A");
    peer.session.start_clean();
    peer.cut();
    peer.expect_disconnected();
    // Not before: the session may still be wanted.
    peer.expect_no_event();
    peer.open();
    expect_unknown(peer.expect_verdict(sent), "a");
    assert_eq!(
        peer.session.acknowledge(held, PublishReasonCode::Success),
        Err(AckError::SessionLost)
    );
    peer.expect(CONNECT_CLEAN);
    peer.given(ACCEPTED);
    assert!(!peer.expect_connected().session_lost);
    peer.expect_nothing();
    // Under an identifier that was remembered comes a new message.
    peer.given("34 07 00 01 74 00 0A 00 64");
    peer.expect_message("d");
}

#[test]
fn an_overdue_pubrec_or_pubcomp_is_never_a_reason_to_resend() {
    let mut peer = Peer::connected();
    let operation = peer.qos2("a");
    peer.expect("34 07 00 01 74 00 01 00 61");
    peer.wait_seconds(AGES);
    peer.expect_nothing();
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    peer.wait_seconds(AGES);
    peer.expect_nothing();
    peer.expect_no_event();
    peer.given("70 02 00 01");
    peer.expect_acknowledged(operation, 0x00);
}

/// Each identifier has a session of its own, also where one may exist on the server.
#[test]
fn what_was_sent_under_another_client_identifier_is_never_sent_under_this_one() {
    let config = SessionConfig {
        session_may_exist: true,
        ..config()
    };
    let mut peer = Peer::connected_with(config, RESUMED);
    let sent = peer.qos1("a");
    peer.drain();
    peer.given("34 07 00 01 74 00 0A 00 62");
    let held = peer.expect_token("b");
    peer.session.config_mut().client_id = text("d");
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    expect_unknown(peer.expect_verdict(sent), "a");
    // Clean Start 0, Client Identifier "d"
    peer.expect(
        "10 1B 00 04 4D 51 54 54 05 00 00 00 \
         0D 11 00 00 01 2C 21 01 00 27 01 00 00 00 00 01 64",
    );
    peer.given(RESUMED);
    peer.expect_connected();
    peer.expect_nothing();
    // What the server has for "d" under the same Packet Identifier is another message.
    peer.given("3C 07 00 01 74 00 0A 00 63");
    peer.expect_message("c");
    assert_eq!(
        peer.session.acknowledge(held, PublishReasonCode::Success),
        Err(AckError::SessionLost)
    );
}
