//! From CONNECT to CONNACK, as packet traces (MQTT 5.0 sections 3.1, 3.2 and 3.14).

mod session_support;

use core::time::Duration;

use mqtt5_proto::codec::{DecodeError, MaximumPacketSize, Violation};
use mqtt5_proto::packet::{
    Authentication, ConnackReasonCode, DisconnectReasonCode, PacketType, Received, UserProperty,
    Will,
};
use mqtt5_proto::session::{EndReason, InputStatus, Phase, SessionConfig, Warning};
use mqtt5_proto::{QoS, Topic};
use session_support::*;

/// The bytes of a new connection's CONNECT are taken; then the server sends `bytes`.
fn answered(bytes: &str) -> Peer {
    let mut peer = Peer::new(config());
    peer.open();
    peer.drain();
    peer.given(bytes);
    peer
}

/// Nothing is sent, the connection is to be closed; why.
#[track_caller]
fn closed_in_silence(peer: &mut Peer) -> EndReason {
    peer.expect_close("");
    peer.cut();
    let end = peer.expect_disconnected();
    assert!(!end.was_connected);
    end.reason
}

#[test]
fn the_default_connect_has_a_clean_start_an_expiry_and_limits() {
    let mut peer = Peer::new(SessionConfig::default());
    assert_eq!(peer.session.phase(), Phase::Offline);
    peer.open();
    assert_eq!(peer.session.phase(), Phase::Connecting);
    // Clean Start, Keep Alive 60, Session Expiry 300, Receive Maximum 256, Maximum Packet Size 16 MiB
    peer.expect(
        "10 1A 00 04 4D 51 54 54 05 02 00 3C 0D 11 00 00 01 2C 21 01 00 27 01 00 00 00 00 00",
    );
    peer.given("20 06 00 00 03 12 00 00");
    assert_eq!(peer.session.phase(), Phase::Connected);
}

#[test]
fn who_speaks_before_the_connect_is_no_server() {
    for (bytes, packet) in [
        (ACCEPTED, PacketType::Connack),
        ("E0 01 8B", PacketType::Disconnect),
    ] {
        let mut peer = Peer::new(config());
        peer.open();
        assert_eq!(peer.given(bytes), InputStatus::Closed);
        let reason = peer.end();
        let expected = DecodeError {
            violation: Violation::UnexpectedPacket,
            packet: Some(packet),
            offset: 0,
        };
        assert_eq!(reason, EndReason::Violation(expected));
    }
}

#[test]
fn everything_that_is_configured_is_in_the_connect() {
    let mut will = Will::new(Topic::new("w").unwrap(), data(b"x"));
    will.qos = QoS::ExactlyOnce;
    will.retain = true;
    will.delay_interval = 5;
    let config = SessionConfig {
        client_id: text("c"),
        keep_alive: 10,
        user_name: Some(text("u")),
        password: Some(data(b"pw")),
        will: Some(Box::new(will)),
        authentication: Some(Authentication {
            method: text("X"),
            data: Some(data(&[0xFF])),
        }),
        session_expiry_interval: u32::MAX,
        session_may_exist: true,
        receive_maximum: maximum(7),
        maximum_packet_size: MaximumPacketSize::new(1000).unwrap(),
        topic_alias_maximum: 3,
        request_response_information: true,
        request_problem_information: false,
        user_properties: vec![UserProperty::new("k", "v").unwrap()],
        ..SessionConfig::default()
    };
    let mut peer = Peer::new(config);
    peer.open();
    let sent = peer.drain();
    // Flags: user name, password, Will retained at QoS 2; Clean Start 0.
    let head = hex("10 44 00 04 4D 51 54 54 05 F4 00 0A");
    let tail = hex("00 01 63 | 05 18 00 00 00 05 | 00 01 77 00 01 78 | 00 01 75 00 02 70 77");
    assert_eq!(sent[..12], head);
    assert_eq!(sent[sent.len() - tail.len()..], tail);
    // The order of properties has no meaning.
    let properties = &sent[12..sent.len() - tail.len()];
    assert_eq!(properties[0], 0x23);
    for property in [
        "11 FF FF FF FF",
        "15 00 01 58",
        "16 00 01 FF",
        "17 00",
        "19 01",
        "21 00 07",
        "22 00 03",
        "26 00 01 6B 00 01 76",
        "27 00 00 03 E8",
    ] {
        let property = hex(property);
        let found = properties.windows(property.len()).any(|p| p == property);
        assert!(found, "{property:02X?} in {properties:02X?}");
    }
}

#[test]
fn edge_case_70_an_empty_client_identifier_is_legal_with_clean_start_0() {
    let config = SessionConfig {
        session_may_exist: true,
        keep_alive: 0,
        ..SessionConfig::default()
    };
    let mut peer = Peer::new(config);
    peer.open();
    peer.expect(
        "10 1A 00 04 4D 51 54 54 05 00 00 00 0D 11 00 00 01 2C 21 01 00 27 01 00 00 00 00 00",
    );
}

#[test]
fn edge_case_62_a_first_packet_other_than_connack_ends_the_connection() {
    for bytes in [
        "30 05 00 01 74 00 61",
        "32 07 00 01 74 00 01 00 61",
        "40 02 00 01",
        "50 02 00 01",
        "62 02 00 01",
        "70 02 00 01",
        "90 04 00 01 00 00",
        "B0 04 00 01 00 00",
        "D0 00",
    ] {
        let mut peer = answered(bytes);
        match closed_in_silence(&mut peer) {
            EndReason::Violation(error) => assert_eq!(error.reason_code(), 0x82),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn edge_case_63_a_second_connack_is_a_protocol_error() {
    let mut peer = Peer::connected();
    peer.expect_violation(ACCEPTED, 0x82);
}

#[test]
fn edge_case_64_a_refusal_is_reported_and_the_session_is_kept_for_the_next_try() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.drain();
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.drain();
    // Server unavailable, Reason String "no"
    assert_eq!(
        peer.given("20 08 00 88 05 1F 00 02 6E 6F"),
        InputStatus::Closed
    );
    peer.expect_close("");
    peer.cut();
    let end = peer.expect_disconnected();
    assert!(!end.was_connected);
    assert!(end.session_kept);
    match end.reason {
        EndReason::Refused {
            reason_code,
            properties,
        } => {
            assert_eq!(reason_code, ConnackReasonCode::ServerUnavailable);
            assert_eq!(properties.reason_string, Some(text("no")));
        }
        other => panic!("{other:?}"),
    }
    peer.open();
    peer.expect(CONNECT_RESUME);
    peer.given(RESUMED);
    peer.expect_connected();
    peer.expect("3A 07 00 01 74 00 01 00 61");
}

#[test]
fn edge_case_65_after_a_refused_clean_start_the_next_one_is_clean_too() {
    let mut peer = Peer::new(config());
    for _ in 0..3 {
        peer.open();
        peer.expect(CONNECT_CLEAN);
        peer.given("20 03 00 89 00");
        peer.cut();
        assert!(!peer.expect_disconnected().session_kept);
    }
}

#[test]
fn edge_case_66_a_session_that_the_client_does_not_have_is_closed_without_a_will() {
    let mut peer = Peer::new(config());
    peer.open();
    peer.expect(CONNECT_CLEAN);
    peer.given(RESUMED);
    peer.expect_close("E0 00");
    peer.cut();
    let end = peer.expect_disconnected();
    assert_eq!(end.reason, EndReason::UnexpectedSessionPresent);
    assert!(!end.session_kept);
    peer.open();
    peer.expect(CONNECT_CLEAN);
}

#[test]
fn edge_case_67_session_present_after_a_clean_start_keeps_what_never_left() {
    let mut peer = Peer::connected();
    let lost = peer.qos1("a");
    peer.drain();
    peer.session.start_clean();
    peer.cut();
    peer.expect_disconnected();
    let queued = peer.qos1("b");
    peer.open();
    expect_unknown(peer.expect_verdict(lost), "a");
    peer.expect(CONNECT_CLEAN);
    peer.given(RESUMED);
    peer.expect_close("E0 00");
    assert_eq!(peer.end(), EndReason::UnexpectedSessionPresent);
    peer.open();
    peer.expect(CONNECT_CLEAN);
    peer.given(ACCEPTED);
    peer.expect_connected();
    peer.expect("32 07 00 01 74 00 01 00 62");
    peer.given("40 02 00 01");
    peer.expect_acknowledged(queued, 0x00);
}

#[test]
fn edge_case_69_a_refusal_with_session_present_is_a_refusal() {
    let mut peer = answered("20 03 01 87 00");
    match closed_in_silence(&mut peer) {
        EndReason::Refused { reason_code, .. } => {
            assert_eq!(reason_code, ConnackReasonCode::NotAuthorized);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_71_an_assigned_client_identifier_is_used_from_then_on() {
    let config = SessionConfig {
        client_id: text(""),
        ..config()
    };
    let mut peer = Peer::new(config);
    peer.open();
    peer.drain();
    // Assigned Client Identifier "c"
    peer.given("20 07 00 00 04 12 00 01 63");
    peer.expect_connected();
    assert_eq!(peer.session.client_id().as_str(), "c");
    peer.cut();
    assert!(peer.expect_disconnected().session_kept);
    peer.open();
    peer.expect(CONNECT_RESUME);
    // Its absence is right this time.
    peer.given(RESUMED);
    peer.expect_connected();
}

#[test]
fn edge_case_72_without_a_client_identifier_the_session_is_not_resumable() {
    let config = SessionConfig {
        client_id: text(""),
        ..config()
    };
    let mut peer = Peer::new(config);
    peer.open();
    peer.drain();
    peer.given(ACCEPTED);
    assert_eq!(peer.expect_warning(), Warning::NoClientIdentifier);
    peer.expect_connected();
    peer.cut();
    assert!(!peer.expect_disconnected().session_kept);
    peer.open();
    peer.expect(
        "10 1A 00 04 4D 51 54 54 05 02 00 00 0D 11 00 00 01 2C 21 01 00 27 01 00 00 00 00 00",
    );
}

#[test]
fn edge_case_205_a_client_identifier_that_was_not_asked_for_is_ignored() {
    let mut peer = answered("20 07 00 00 04 12 00 01 78");
    assert_eq!(peer.expect_warning(), Warning::UnrequestedClientIdentifier);
    peer.expect_connected();
    assert_eq!(peer.session.client_id().as_str(), "c");
}

#[test]
fn edge_case_75_limits_that_are_absent_have_their_defaults() {
    let peer = Peer::connected();
    let limits = peer.session.limits().unwrap();
    assert_eq!(limits.receive_maximum.get(), 65_535);
    assert_eq!(limits.maximum_packet_size.get(), 268_435_460);
    assert_eq!(limits.maximum_qos, QoS::ExactlyOnce);
    assert!(limits.retain_available);
    assert!(limits.wildcard_subscription_available);
    assert!(limits.subscription_identifier_available);
    assert!(limits.shared_subscription_available);
    assert_eq!(limits.topic_alias_maximum, 0);
    assert_eq!(limits.keep_alive, 0);
    assert_eq!(limits.session_expiry_interval, 300);
}

#[test]
fn edge_cases_75_and_131_limits_are_those_of_this_connection_and_not_of_the_last() {
    // Expiry 60, Server Keep Alive 5, Receive Maximum 10, Topic Alias Maximum 4, Maximum QoS 0,
    // Retain 0, Maximum Packet Size 100, wildcard 0, identifiers 0, shared 0
    let mut peer = Peer::connected_with(
        config(),
        "20 20 00 00 1D 11 00 00 00 3C 13 00 05 21 00 0A 22 00 04 24 00 25 00 27 00 00 00 64 \
         28 00 29 00 2A 00",
    );
    let limits = peer.session.limits().unwrap();
    assert_eq!(limits.receive_maximum.get(), 10);
    assert_eq!(limits.maximum_packet_size.get(), 100);
    assert_eq!(limits.maximum_qos, QoS::AtMostOnce);
    assert!(!limits.retain_available);
    assert!(!limits.wildcard_subscription_available);
    assert!(!limits.subscription_identifier_available);
    assert!(!limits.shared_subscription_available);
    assert_eq!(limits.topic_alias_maximum, 4);
    assert_eq!(limits.keep_alive, 5);
    assert_eq!(limits.session_expiry_interval, 60);
    peer.reconnect(RESUMED);
    let fresh = Peer::connected();
    assert_eq!(peer.session.limits(), fresh.session.limits());
    peer.cut();
    assert_eq!(peer.session.limits(), None);
}

#[test]
fn edge_case_76_nothing_but_the_connect_is_sent_before_the_connack() {
    let mut peer = Peer::new(config());
    peer.qos1("a");
    peer.subscribe(&["a/b"]);
    peer.open();
    peer.qos1("b");
    peer.expect(CONNECT_CLEAN);
    peer.given(ACCEPTED);
    peer.expect(
        "82 09 00 01 00 00 03 61 2F 62 02 | 32 07 00 01 74 00 02 00 61 \
         | 32 07 00 01 74 00 03 00 62",
    );
}

#[test]
fn edge_case_77_a_connack_that_never_comes_ends_the_attempt() {
    let mut peer = Peer::new(config());
    peer.open();
    peer.drain();
    assert_eq!(
        peer.session.poll_timeout(),
        Some(peer.now + Duration::from_secs(10))
    );
    peer.wait(Duration::from_millis(9_999));
    // Something else may have been due.
    peer.session.handle_timeout(peer.now);
    assert_eq!(peer.session.phase(), Phase::Connecting);
    peer.wait(Duration::from_millis(1));
    assert_eq!(closed_in_silence(&mut peer), EndReason::ConnectTimeout);
    assert_eq!(peer.session.poll_timeout(), None);
}

#[test]
fn the_connect_timeout_ends_with_the_connack() {
    let mut peer = Peer::connected();
    assert_eq!(peer.session.poll_timeout(), None);
    peer.wait_seconds(60);
    assert_eq!(peer.session.phase(), Phase::Connected);
}

#[test]
fn edge_case_78_response_information_that_was_not_asked_for_is_ignored() {
    let connack = "20 07 00 00 04 1A 00 01 72";
    let peer = Peer::connected_with(config(), connack);
    assert_eq!(peer.session.limits().unwrap().response_information, None);
    let config = SessionConfig {
        request_response_information: true,
        ..config()
    };
    let peer = Peer::connected_with(config, connack);
    let limits = peer.session.limits().unwrap();
    assert_eq!(limits.response_information.as_deref(), Some(&text("r")));
}

#[test]
fn edge_case_79_a_redirection_comes_with_its_server_reference() {
    let mut peer = answered("20 0C 00 9C 09 1C 00 06 62 3A 31 38 38 33");
    match closed_in_silence(&mut peer) {
        EndReason::Refused {
            reason_code,
            properties,
        } => {
            assert_eq!(reason_code, ConnackReasonCode::UseAnotherServer);
            assert_eq!(properties.server_reference, Some(text("b:1883")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_183_an_untabled_refusal_is_reported_with_its_raw_code() {
    for (bytes, raw) in [
        ("20 03 00 FE 00", 0xFE),
        ("20 03 00 8E 00", 0x8E),
        ("20 03 00 10 00", 0x10),
    ] {
        let mut peer = answered(bytes);
        match closed_in_silence(&mut peer) {
            EndReason::Refused { reason_code, .. } => {
                assert_eq!(reason_code, Received::Untabled(raw));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn edge_case_184_a_return_code_of_version_3_tells_what_the_server_speaks() {
    for code in 1..=5 {
        for bytes in [
            format!("20 02 00 {code:02X}"),
            format!("20 03 00 {code:02X} 00"),
        ] {
            let mut peer = answered(&bytes);
            let reason = closed_in_silence(&mut peer);
            assert_eq!(reason, EndReason::ServerSpeaksV3 { return_code: code });
        }
    }
}

#[test]
fn edge_case_184_without_property_length_another_code_is_malformed() {
    for bytes in ["20 02 00 00", "20 02 00 06"] {
        let mut peer = answered(bytes);
        match closed_in_silence(&mut peer) {
            EndReason::Violation(error) => assert_eq!(error.reason_code(), 0x81),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn edge_case_190_a_disconnect_before_the_connack_is_a_refusal_with_its_code() {
    let mut peer = answered("E0 01 89");
    match closed_in_silence(&mut peer) {
        EndReason::ServerDisconnected { reason_code, .. } => {
            assert_eq!(reason_code, DisconnectReasonCode::ServerBusy);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_204_authentication_that_was_not_asked_for_is_ignored() {
    // Authentication Method "X", Authentication Data FF
    for bytes in ["20 07 00 00 04 15 00 01 58", "20 07 00 00 04 16 00 01 FF"] {
        let mut peer = answered(bytes);
        assert_eq!(peer.expect_warning(), Warning::UnrequestedAuthentication);
        peer.expect_connected();
        peer.expect_nothing();
    }
}

#[test]
fn maximum_qos_2_is_taken_as_absent() {
    let mut peer = answered("20 05 00 00 02 24 02");
    assert_eq!(peer.expect_warning(), Warning::MaximumQoS2);
    peer.expect_connected();
    let limits = peer.session.limits().unwrap();
    assert_eq!(limits.maximum_qos, QoS::ExactlyOnce);
}

#[test]
fn edge_case_206_a_declared_session_is_resumed_at_the_first_connection() {
    let config = SessionConfig {
        session_may_exist: true,
        ..config()
    };
    let mut peer = Peer::new(config.clone());
    peer.open();
    peer.expect(CONNECT_RESUME);
    peer.given(RESUMED);
    assert!(peer.expect_connected().session_present);
    // What the server sends of it is the application's.
    peer.given("3C 07 00 01 74 00 0A 00 61");
    peer.expect_message("a");

    // There was none: that is no loss.
    let mut peer = Peer::new(config);
    peer.open();
    peer.drain();
    peer.given(ACCEPTED);
    let connected = peer.expect_connected();
    assert!(!connected.session_present);
    assert!(!connected.session_lost);
}

#[test]
fn edge_case_206_a_declared_session_is_asked_for_until_a_connack_has_come() {
    let config = SessionConfig {
        session_may_exist: true,
        ..config()
    };
    let mut peer = Peer::new(config);
    for _ in 0..2 {
        peer.open();
        peer.expect(CONNECT_RESUME);
        peer.cut();
        peer.expect_disconnected();
    }
}

#[test]
fn edge_case_207_a_reconnect_is_clean_if_the_session_did_not_outlive_its_connection() {
    // CONNACK with Session Expiry 0 although 300 s were asked for.
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 11 00 00 00 00");
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.expect(CONNECT_CLEAN);
}

#[test]
fn edge_case_213_a_server_that_takes_no_acknowledgement_is_left_with_a_clear_error() {
    // Maximum Packet Size 3: the DISCONNECT fits; 1: nothing does.
    for (limit, sent) in [(3, "E0 00"), (2, "E0 00"), (1, "")] {
        let mut peer = answered(&format!("20 08 00 00 05 27 00 00 00 {limit:02X}"));
        peer.expect_close(sent);
        assert_eq!(peer.end(), EndReason::PacketSizeUnusable { limit });
    }
    let mut peer = answered("20 08 00 00 05 27 00 00 00 04");
    peer.expect_connected();
}

#[test]
fn a_session_that_was_lost_at_an_unusable_server_is_not_taken_up_again() {
    let mut peer = Peer::connected();
    let sent = peer.qos1("a");
    peer.drain();
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.drain();
    // No session, Maximum Packet Size 3: the server has begun a new one.
    peer.given("20 08 00 00 05 27 00 00 00 03");
    expect_unknown(peer.expect_verdict(sent), "a");
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.drain();
    peer.given(RESUMED);
    peer.expect_connected();
    peer.expect_nothing();
}

#[test]
fn what_is_configured_while_connecting_is_for_the_next_connection() {
    let config = SessionConfig {
        keep_alive: 100,
        ..config()
    };
    let mut peer = Peer::new(config);
    peer.open();
    peer.drain();
    let changed = peer.session.config_mut();
    changed.keep_alive = 10;
    changed.session_expiry_interval = 0;
    changed.request_response_information = true;
    changed.authentication = Some(Authentication {
        method: text("X"),
        data: None,
    });
    // Response Information "r", and no Authentication Method
    peer.given("20 07 00 00 04 1A 00 01 72");
    peer.expect_connected();
    let limits = peer.session.limits().unwrap();
    assert_eq!(limits.keep_alive, 100);
    assert_eq!(limits.session_expiry_interval, 300);
    assert_eq!(limits.response_information, None);
    peer.expect_violation("F0 06 18 04 15 00 01 58", 0x82);
    peer.open();
    let sent = peer.drain();
    // Keep Alive 10, Authentication Method "X", no Session Expiry
    assert_eq!(sent[10..12], [0x00, 0x0A]);
    assert!(sent.windows(4).any(|bytes| bytes == hex("15 00 01 58")));
}

#[test]
fn another_client_identifier_is_another_session() {
    let mut peer = Peer::connected();
    let lost = peer.qos1("a");
    peer.drain();
    peer.session.config_mut().client_id = text("d");
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    expect_unknown(peer.expect_verdict(lost), "a");
    peer.expect(
        "10 1B 00 04 4D 51 54 54 05 02 00 00 \
         0D 11 00 00 01 2C 21 01 00 27 01 00 00 00 00 01 64",
    );
}

#[test]
fn start_clean_while_connecting_is_for_the_next_connection() {
    let mut peer = Peer::connected();
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.expect(CONNECT_RESUME);
    peer.session.start_clean();
    peer.given(RESUMED);
    peer.expect_connected();
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.expect(CONNECT_CLEAN);
}

#[test]
fn opening_again_closes_what_was_open() {
    let mut peer = Peer::connected();
    peer.open();
    assert_eq!(
        peer.expect_disconnected().reason,
        EndReason::TransportClosed
    );
    peer.expect(CONNECT_RESUME);
}

#[test]
fn a_connect_beyond_the_largest_packet_is_not_begun() {
    let mut peer = Peer::new(config());
    let waiting = peer.qos1("a");
    // More than the 268,435,455 bytes of the largest Remaining Length. Clones share their text.
    let long = text(&"x".repeat(65_535));
    let user = UserProperty {
        name: long.clone(),
        value: long,
    };
    peer.session.config_mut().user_properties = vec![user; 2_049];
    peer.open();
    peer.expect_close("");
    peer.cut();
    let end = peer.expect_disconnected();
    assert!(!end.was_connected);
    // What waits is none the worse for it.
    peer.session.config_mut().user_properties.clear();
    peer.open();
    peer.expect(CONNECT_CLEAN);
    peer.given(ACCEPTED);
    peer.expect_connected();
    peer.expect("32 07 00 01 74 00 01 00 61");
    peer.given("40 02 00 01");
    peer.expect_acknowledged(waiting, 0x00);
}

#[test]
fn without_a_connection_nothing_happens() {
    let mut peer = Peer::new(config());
    assert_eq!(peer.given(ACCEPTED), InputStatus::Closed);
    peer.expect_nothing();
    peer.cut();
    peer.session.handle_transmitted(5, peer.now);
    peer.session.handle_timeout(peer.now);
    assert_eq!(peer.session.poll_timeout(), None);
    peer.expect_no_event();
}

#[test]
fn a_password_is_not_shown() {
    let config = SessionConfig {
        password: Some(data(b"secret")),
        ..config()
    };
    let mut peer = Peer::new(config.clone());
    assert!(!format!("{config:?}").contains("secret"));
    assert!(!format!("{:?}", peer.session).contains("secret"));
    // The CONNECT lies ready.
    peer.open();
    assert!(!format!("{:?}", peer.session).contains("secret"));
}
