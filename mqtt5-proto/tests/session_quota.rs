//! An exhausted send quota holds up messages of QoS 1 and 2, and nothing else (MQTT 5.0 sections
//! 3.3.4 and 4.9).

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

mod session_support;

use mqtt5_proto::packet::Authentication;
use mqtt5_proto::session::{PublishVerdict, SessionConfig};
use session_support::*;

/// CONNACK: Authentication Method "X", Receive Maximum 1.
const ONE: &str = "20 0A 00 00 07 15 00 01 58 21 00 01";

/// A client with a message in flight, its only one, and two that wait.
fn exhausted() -> Peer {
    let config = SessionConfig {
        keep_alive: 20,
        authentication: Some(Authentication {
            method: text("X"),
            data: None,
        }),
        ..config()
    };
    let mut peer = Peer::connected_with(config, ONE);
    peer.qos1("a");
    peer.qos2("b");
    peer.qos1("c");
    peer.expect("32 07 00 01 74 00 01 00 61");
    peer
}

#[test]
fn every_other_type_of_packet_goes_out_while_the_quota_is_used_up() {
    let mut peer = exhausted();
    let sent = peer.qos0("d");
    peer.expect("30 05 00 01 74 00 64");
    assert_eq!(peer.expect_verdict(sent), PublishVerdict::Sent);
    peer.subscribe(&["s"]);
    peer.expect("82 07 00 02 00 00 01 73 02");
    peer.unsubscribe(&["s"]);
    peer.expect("A2 06 00 03 00 00 01 73");
    // PUBACK, PUBREC, PUBCOMP.
    peer.given("32 07 00 01 74 00 09 00 65 | 34 07 00 01 74 00 0A 00 66");
    for payload in ["e", "f"] {
        let token = peer.expect_token(payload);
        peer.acknowledge(token);
    }
    peer.expect("40 02 00 09 | 50 02 00 0A");
    peer.given("62 02 00 0A");
    peer.expect("70 02 00 0A");
    // PUBREL, for an exchange that is not known.
    peer.given("50 02 00 07");
    peer.expect("62 03 00 07 92");
    peer.session.authenticate(None).unwrap();
    peer.expect("F0 06 19 04 15 00 01 58");
    peer.wait_seconds(15);
    peer.expect("C0 00");
    peer.disconnect();
    peer.expect_close("E0 00");
}

#[test]
fn what_waits_for_the_quota_goes_as_it_is_given_back() {
    let mut peer = exhausted();
    peer.expect_nothing();
    peer.given("40 02 00 01");
    peer.expect("34 07 00 01 74 00 01 00 62");
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    peer.given("70 02 00 01");
    peer.expect("32 07 00 01 74 00 01 00 63");
}
