//! Enhanced authentication, at connect and again (MQTT 5.0 section 4.12), as packet traces.

#![allow(clippy::panic, reason = "helpers of tests are no tests to clippy")]

mod session_support;

use mqtt5_proto::codec::Violation;
use mqtt5_proto::packet::{Authentication, ConnackReasonCode};
use mqtt5_proto::session::{EndReason, Event, Phase, Rule, SessionConfig};
use session_support::*;

/// AUTH: continue, method "X", data 01.
const CHALLENGE: &str = "F0 0A 18 08 15 00 01 58 16 00 01 01";
/// CONNACK: accepted, method "X".
const AUTHENTICATED: &str = "20 07 00 00 04 15 00 01 58";

fn asking() -> SessionConfig {
    SessionConfig {
        authentication: Some(Authentication {
            method: text("X"),
            data: None,
        }),
        ..config()
    }
}

fn connecting() -> Peer {
    let mut peer = Peer::new(asking());
    peer.open();
    peer.drain();
    peer
}

fn connected() -> Peer {
    Peer::connected_with(asking(), AUTHENTICATED)
}

#[track_caller]
fn expect_challenge(peer: &mut Peer, data: Option<&[u8]>) {
    match peer.event() {
        Event::Challenge(challenge) => {
            let got = challenge.data.as_ref().map(|data| &data.as_bytes()[..]);
            assert_eq!(got, data);
        }
        other => panic!("{other:?} instead of a challenge"),
    }
}

/// Before the CONNACK a violation closes the connection without a DISCONNECT.
#[track_caller]
fn expect_refused_before_connack(mut peer: Peer, bytes: &str) -> Violation {
    peer.given(bytes);
    peer.expect_close("");
    match peer.end() {
        EndReason::Violation(error) => {
            assert_eq!(error.reason_code(), 0x82);
            error.violation
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_method_goes_into_the_connect() {
    let mut peer = Peer::new(asking());
    peer.open();
    peer.expect(
        "10 1F 00 04 4D 51 54 54 05 02 00 00 \
         11 11 00 00 01 2C 21 01 00 27 01 00 00 00 15 00 01 58 00 01 63",
    );
}

#[test]
fn challenges_are_answered_until_the_connack() {
    let mut peer = connecting();
    for _ in 0..2 {
        peer.given(CHALLENGE);
        expect_challenge(&mut peer, Some(&[0x01]));
        peer.session.authenticate(Some(data(&[0x02]))).unwrap();
        peer.expect("F0 0A 18 08 15 00 01 58 16 00 01 02");
    }
    peer.given("F0 06 18 04 15 00 01 58");
    expect_challenge(&mut peer, None);
    peer.session.authenticate(None).unwrap();
    peer.expect("F0 06 18 04 15 00 01 58");
    // The last word of the server is in the CONNACK.
    peer.given("20 0B 00 00 08 15 00 01 58 16 00 01 03");
    let connected = peer.expect_connected();
    assert_eq!(
        connected.properties.authentication_data,
        Some(data(&[0x03]))
    );
    assert_eq!(peer.session.phase(), Phase::Connected);
}

#[test]
fn edge_case_87_nothing_else_is_sent_while_the_authentication_runs() {
    let mut peer = connecting();
    peer.qos1("a");
    peer.subscribe(&["a/b"]);
    peer.given(CHALLENGE);
    expect_challenge(&mut peer, Some(&[0x01]));
    peer.expect_nothing();
    peer.session.authenticate(None).unwrap();
    peer.expect("F0 06 18 04 15 00 01 58");
    peer.given(AUTHENTICATED);
    peer.expect("82 09 00 01 00 00 03 61 2F 62 02 | 32 07 00 01 74 00 02 00 61");
}

#[test]
fn the_application_may_stop_with_a_disconnect() {
    let mut peer = connecting();
    peer.given(CHALLENGE);
    expect_challenge(&mut peer, Some(&[0x01]));
    peer.disconnect();
    peer.expect_close("E0 00");
    assert_eq!(peer.end(), EndReason::Requested);
}

#[test]
fn an_authentication_that_fails_is_a_refusal_and_needs_no_method() {
    let mut peer = connecting();
    peer.given(CHALLENGE);
    expect_challenge(&mut peer, Some(&[0x01]));
    // Answered, but not sent when the refusal comes: nothing goes to a server that has refused.
    peer.session.authenticate(None).unwrap();
    peer.given("20 03 00 8C 00");
    peer.expect_close("");
    match peer.end() {
        EndReason::Refused { reason_code, .. } => {
            assert_eq!(reason_code, ConnackReasonCode::BadAuthenticationMethod);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_82_auth_without_a_method_in_the_connect_is_a_protocol_error() {
    let mut peer = Peer::new(config());
    peer.open();
    peer.drain();
    expect_refused_before_connack(peer, CHALLENGE);
    for bytes in [CHALLENGE, "F0 00"] {
        // That it came at all is wrong, not the method.
        let reason = Peer::connected().expect_violation(bytes, 0x82);
        let EndReason::Violation(error) = reason else {
            panic!("{reason:?}");
        };
        assert_eq!(error.violation, Violation::UnexpectedPacket);
    }
}

#[test]
fn edge_case_83_auth_with_another_method_or_none_is_a_protocol_error() {
    for (bytes, violation) in [
        (
            "F0 06 18 04 15 00 01 59",
            Violation::AuthenticationMethodMismatch,
        ),
        ("F0 02 18 00", Violation::AuthenticationMethodMissing),
        ("F0 01 18", Violation::AuthenticationMethodMissing),
        ("F0 00", Violation::AuthenticationMethodMissing),
    ] {
        let refused = expect_refused_before_connack(connecting(), bytes);
        assert_eq!(refused, violation, "{bytes}");
        let mut peer = connected();
        peer.session.authenticate(None).unwrap();
        peer.drain();
        peer.expect_violation(bytes, 0x82);
    }
}

#[test]
fn edge_case_83_a_connack_without_the_method_or_with_another_is_a_protocol_error() {
    for (bytes, violation) in [
        (ACCEPTED, Violation::AuthenticationMethodMissing),
        (
            "20 07 00 00 04 15 00 01 59",
            Violation::AuthenticationMethodMismatch,
        ),
    ] {
        let mut peer = connecting();
        peer.given(bytes);
        peer.expect_close("E0 01 82");
        match peer.end() {
            EndReason::Violation(error) => assert_eq!(error.violation, violation),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn edge_case_84_success_before_the_connack_is_a_protocol_error() {
    expect_refused_before_connack(connecting(), "F0 06 00 04 15 00 01 58");
}

#[test]
fn edge_case_85_auth_after_the_connack_that_nobody_asked_for_is_a_protocol_error() {
    let mut peer = connected();
    peer.expect_violation(CHALLENGE, 0x82);
    let mut peer = connected();
    peer.expect_violation("F0 06 00 04 15 00 01 58", 0x82);
}

#[test]
fn edge_case_86_a_server_may_not_begin_a_re_authentication() {
    expect_refused_before_connack(connecting(), "F0 06 19 04 15 00 01 58");
    let mut peer = connected();
    peer.session.authenticate(None).unwrap();
    peer.drain();
    peer.expect_violation("F0 06 19 04 15 00 01 58", 0x82);
}

#[test]
fn two_challenges_in_a_row_are_a_protocol_error() {
    let mut peer = connecting();
    peer.given(CHALLENGE);
    expect_challenge(&mut peer, Some(&[0x01]));
    expect_refused_before_connack(peer, CHALLENGE);
}

#[test]
fn a_re_authentication_goes_by_challenges_to_success() {
    let mut peer = connected();
    peer.session.authenticate(Some(data(&[0x01]))).unwrap();
    peer.expect("F0 0A 19 08 15 00 01 58 16 00 01 01");
    peer.given(CHALLENGE);
    expect_challenge(&mut peer, Some(&[0x01]));
    peer.session.authenticate(Some(data(&[0x02]))).unwrap();
    peer.expect("F0 0A 18 08 15 00 01 58 16 00 01 02");
    // Success, data 03
    peer.given("F0 0A 00 08 15 00 01 58 16 00 01 03");
    match peer.event() {
        Event::Reauthenticated(last) => assert_eq!(last.data, Some(data(&[0x03]))),
        other => panic!("{other:?}"),
    }
    // And again.
    peer.session.authenticate(None).unwrap();
    peer.expect("F0 06 19 04 15 00 01 58");
    peer.given("F0 06 00 04 15 00 01 58");
    assert!(matches!(peer.event(), Event::Reauthenticated(_)));
}

#[test]
fn a_second_re_authentication_waits_for_the_first() {
    let mut peer = connected();
    peer.session.authenticate(None).unwrap();
    peer.drain();
    let given = Some(data(&[0x05]));
    let refused = peer.session.authenticate(given.clone()).unwrap_err();
    assert_eq!((refused.rule, refused.given), (Rule::Authentication, given));
    peer.expect_nothing();
}

#[test]
fn edge_case_88_other_traffic_goes_on_during_a_re_authentication() {
    let mut peer = connected();
    peer.session.authenticate(None).unwrap();
    peer.qos1("a");
    peer.expect("F0 06 19 04 15 00 01 58 | 32 07 00 01 74 00 01 00 61");
    peer.given("32 07 00 01 74 00 09 00 62");
    let token = peer.expect_token("b");
    peer.acknowledge(token);
    peer.expect("40 02 00 09");
}

#[test]
fn edge_case_89_a_re_authentication_that_fails_ends_with_the_servers_disconnect() {
    let mut peer = connected();
    peer.session.authenticate(None).unwrap();
    peer.drain();
    peer.given("E0 01 87");
    peer.expect_close("");
    match peer.end() {
        EndReason::ServerDisconnected { reason_code, .. } => assert_eq!(reason_code.raw(), 0x87),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unfinished_re_authentication_does_not_outlive_its_connection() {
    let mut peer = connected();
    peer.session.authenticate(None).unwrap();
    peer.drain();
    peer.reconnect("20 07 01 00 04 15 00 01 58");
    peer.session.authenticate(None).unwrap();
    peer.expect("F0 06 19 04 15 00 01 58");
}

#[test]
fn a_connack_before_the_challenge_was_answered_ends_the_authentication() {
    let mut peer = connecting();
    peer.given(CHALLENGE);
    expect_challenge(&mut peer, Some(&[0x01]));
    peer.given(AUTHENTICATED);
    peer.expect_connected();
    // What comes now begins anew.
    peer.session.authenticate(None).unwrap();
    peer.expect("F0 06 19 04 15 00 01 58");
}

#[test]
fn an_answer_that_the_connack_overtook_is_not_sent() {
    let mut peer = connecting();
    peer.given(CHALLENGE);
    expect_challenge(&mut peer, Some(&[0x01]));
    peer.session.authenticate(Some(data(&[2; 100]))).unwrap();
    // Accepted all the same, with a Maximum Packet Size of 60.
    peer.given("20 0C 00 00 09 27 00 00 00 3C 15 00 01 58");
    peer.expect_connected();
    peer.expect_nothing();
}

#[test]
fn the_disconnect_for_a_bad_connack_keeps_to_the_servers_maximum_packet_size() {
    // Accepted, but without the method: 0x82 would be due, if the server took three bytes.
    for (limit, disconnect) in [(1, ""), (2, ""), (3, "E0 01 82")] {
        let mut peer = connecting();
        peer.given(&format!("20 08 00 00 05 27 00 00 00 {limit:02X}"));
        peer.expect_close(disconnect);
        peer.session.handle_closed(peer.now);
        let end = peer.expect_disconnected();
        assert!(matches!(end.reason, EndReason::Violation(_)));
        assert!(!end.was_connected);
    }
}

#[test]
fn a_bad_connack_for_a_resumption_does_not_cost_the_session() {
    let mut peer = connected();
    let waiting = peer.qos1("a");
    peer.drain();
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.drain();
    // Session Present, but no method.
    peer.given(RESUMED);
    peer.expect_close("E0 01 82");
    peer.cut();
    assert!(peer.expect_disconnected().session_kept);
    peer.open();
    assert_eq!(peer.drain()[9] & 0x02, 0, "Clean Start");
    peer.given("20 07 01 00 04 15 00 01 58");
    peer.expect_connected();
    peer.expect("3A 07 00 01 74 00 01 00 61");
    peer.given("40 02 00 01");
    peer.expect_acknowledged(waiting, 0x00);
}

#[test]
fn authenticate_is_refused_where_it_is_not_due() {
    // No method was asked for.
    let mut peer = Peer::connected();
    let refused = peer.session.authenticate(None).unwrap_err();
    assert_eq!(refused.rule, Rule::Authentication);
    // No connection.
    let mut peer = Peer::new(asking());
    let refused = peer.session.authenticate(None).unwrap_err();
    assert_eq!(refused.rule, Rule::NotConnected);
    // It is the server's turn.
    let mut peer = connecting();
    let refused = peer.session.authenticate(None).unwrap_err();
    assert_eq!(refused.rule, Rule::Authentication);
    peer.expect_nothing();
    // The connection is being closed.
    let mut peer = connected();
    peer.disconnect();
    let refused = peer.session.authenticate(None).unwrap_err();
    assert_eq!(refused.rule, Rule::Closing);
    peer.expect_close("E0 00");
}

#[test]
fn an_auth_over_the_servers_maximum_is_refused() {
    // Method "X", Maximum Packet Size 8: without data it just fits.
    let mut peer = Peer::connected_with(asking(), "20 0C 00 00 09 15 00 01 58 27 00 00 00 08");
    let refused = peer.session.authenticate(Some(data(&[0x01]))).unwrap_err();
    assert_eq!(refused.rule, Rule::MaximumPacketSize { size: 12, limit: 8 });
    peer.session.authenticate(None).unwrap();
    peer.expect("F0 06 19 04 15 00 01 58");
}

#[test]
fn problem_information_in_an_auth_must_have_been_asked_for() {
    // Continue, method "X", Reason String "no"
    let explained = "F0 0B 18 09 15 00 01 58 1F 00 02 6E 6F";
    let mut peer = connecting();
    peer.given(explained);
    match peer.event() {
        Event::Challenge(challenge) => {
            assert_eq!(challenge.properties.reason_string, Some(text("no")));
        }
        other => panic!("{other:?}"),
    }
    let config = SessionConfig {
        request_problem_information: false,
        ..asking()
    };
    let mut peer = Peer::new(config);
    peer.open();
    peer.drain();
    expect_refused_before_connack(peer, explained);
}

#[test]
fn authentication_data_is_not_shown() {
    let config = SessionConfig {
        authentication: Some(Authentication {
            method: text("X"),
            data: Some(data(b"secret")),
        }),
        ..config()
    };
    let mut peer = Peer::new(config.clone());
    peer.open();
    peer.drain();
    let shown = format!("{config:?}");
    assert!(shown.contains("client_id") && !shown.contains("secret"));
    peer.given("F0 0F 18 0D 15 00 01 58 16 00 06 73 65 63 72 65 74");
    let shown = format!("{:?}", peer.event());
    assert!(shown.contains("Challenge { data: Some") && !shown.contains("secret"));
    peer.session.authenticate(Some(data(b"secret"))).unwrap();
    assert!(!format!("{:?}", peer.session).contains("secret"));
    peer.given("20 10 00 00 0D 15 00 01 58 16 00 06 73 65 63 72 65 74");
    assert!(!format!("{:?}", peer.event()).contains("secret"));
}
