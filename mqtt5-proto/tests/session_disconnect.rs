//! DISCONNECT of both sides (MQTT 5.0 sections 3.1, 3.2 and 3.14), as packet traces.

mod session_support;

use mqtt5_proto::QoS;
use mqtt5_proto::packet::{Disconnect, DisconnectReasonCode, PublishReasonCode, Received};
use mqtt5_proto::session::{
    EndReason, InputStatus, Phase, PublishVerdict, Rule, SessionConfig, SubscribeRequest,
};
use session_support::*;

fn with_expiry(seconds: u32) -> Disconnect {
    let mut packet = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
    packet
        .properties
        .get_or_insert_default()
        .session_expiry_interval = Some(seconds);
    packet
}

// --- ours -------------------------------------------------------------------

#[test]
fn edge_case_160_the_disconnect_goes_out_before_the_connection_is_closed() {
    let mut peer = Peer::connected();
    peer.disconnect();
    assert_eq!(peer.session.phase(), Phase::Closing);
    assert!(!peer.session.is_settled());
    peer.expect_close("E0 00");
    assert!(peer.session.is_settled());
    // The end is asked for once.
    peer.expect_nothing();
    peer.cut();
    let end = peer.expect_disconnected();
    assert_eq!(end.reason, EndReason::Requested);
    assert!(end.was_connected);
    assert!(end.session_kept);
    assert_eq!(peer.session.phase(), Phase::Offline);
}

#[test]
fn edge_case_159_acks_that_were_given_go_out_before_and_nothing_after() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    let first = peer.expect_token("a");
    let second = peer.expect_token("b");
    peer.acknowledge(first);
    peer.qos1("c");
    peer.subscribe(&["a"]);
    peer.disconnect();
    peer.acknowledge(second);
    peer.expect_close("40 02 00 01 | E0 00");
    peer.expect_nothing();
    // The second ack answers the resent copy; what waited goes then.
    peer.reconnect(RESUMED);
    peer.given("3A 07 00 01 74 00 02 00 62");
    peer.expect("40 02 00 02 | 82 07 00 01 00 00 01 61 02 | 32 07 00 01 74 00 02 00 63");
}

#[test]
fn what_comes_in_after_our_disconnect_is_ignored() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.drain();
    peer.disconnect();
    assert_eq!(
        peer.given("30 05 00 01 74 00 61 | 40 02 00 01 | 20 03 00 00 00"),
        InputStatus::Closed
    );
    peer.expect_no_event();
    peer.expect_close("E0 00");
}

#[test]
fn commands_are_refused_while_the_connection_closes() {
    let mut peer = Peer::connected();
    peer.disconnect();
    let given = message(QoS::AtLeastOnce, "a");
    let refused = peer.session.publish(given.clone(), peer.now).unwrap_err();
    assert_eq!((refused.rule, refused.given), (Rule::Closing, given));
    let refused = peer
        .session
        .subscribe(SubscribeRequest::default())
        .unwrap_err();
    assert_eq!(refused.rule, Rule::Closing);
    let packet = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
    let refused = peer.session.disconnect(packet.clone()).unwrap_err();
    assert_eq!((refused.rule, refused.given), (Rule::Closing, packet));
    peer.expect_close("E0 00");
}

#[test]
fn a_connection_that_ends_by_an_error_takes_commands_for_the_next() {
    let mut peer = Peer::connected();
    // Packet type 0.
    peer.given("00 00");
    assert_eq!(peer.session.phase(), Phase::Closing);
    peer.qos1("a");
    peer.subscribe(&["a"]);
    let given = message(QoS::AtMostOnce, "b");
    let refused = peer.session.publish(given, peer.now).unwrap_err();
    assert_eq!(refused.rule, Rule::NotConnected);
    peer.expect_close("E0 01 81");
    peer.reconnect(RESUMED);
    peer.expect("82 07 00 01 00 00 01 61 02 | 32 07 00 01 74 00 02 00 61");
}

#[test]
fn edge_case_161_a_disconnect_may_ask_for_the_will() {
    let mut peer = Peer::connected();
    let packet = Disconnect::new(DisconnectReasonCode::DisconnectWithWillMessage);
    peer.session.disconnect(packet).unwrap();
    peer.expect_close("E0 01 04");
}

#[test]
fn a_code_that_only_servers_send_is_refused() {
    for code in DisconnectReasonCode::ALL {
        let mut peer = Peer::connected();
        let allowed = [
            0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
        ];
        let given = peer.session.disconnect(Disconnect::new(*code));
        if allowed.contains(&code.raw()) {
            assert_eq!(given, Ok(()));
        } else {
            assert_eq!(given.unwrap_err().rule, Rule::ReasonCode);
            peer.expect_nothing();
        }
    }
}

#[test]
fn a_server_reference_is_refused() {
    let mut peer = Peer::connected();
    let mut packet = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
    packet.properties.get_or_insert_default().server_reference = Some(text("b"));
    let refused = peer.session.disconnect(packet).unwrap_err();
    assert_eq!(refused.rule, Rule::ServerReference);
}

#[test]
fn edge_case_162_a_session_that_ends_with_its_connection_cannot_be_prolonged() {
    let config = SessionConfig {
        session_expiry_interval: 0,
        ..config()
    };
    // Not even if the server's CONNACK says 60.
    for connack in [ACCEPTED, "20 08 00 00 05 11 00 00 00 3C"] {
        let mut peer = Peer::connected_with(config.clone(), connack);
        // What the CONNECT said counts, not what the next one will say.
        peer.session.config_mut().session_expiry_interval = 300;
        let refused = peer.session.disconnect(with_expiry(1)).unwrap_err();
        assert_eq!(refused.rule, Rule::SessionExpiryInterval);
        assert_eq!(refused.given, with_expiry(1));
        peer.session.disconnect(with_expiry(0)).unwrap();
        peer.expect_close("E0 07 00 05 11 00 00 00 00");
    }
}

#[test]
fn edge_case_163_a_disconnect_with_expiry_0_ends_the_session() {
    let mut peer = Peer::connected();
    let sent = peer.qos1("a");
    peer.drain();
    peer.session.disconnect(with_expiry(0)).unwrap();
    peer.expect_close("E0 07 00 05 11 00 00 00 00");
    peer.cut();
    expect_unknown(peer.expect_verdict(sent), "a");
    assert!(!peer.expect_disconnected().session_kept);
    peer.open();
    peer.expect(CONNECT_CLEAN);
}

#[test]
fn edge_case_163_but_not_if_it_never_left() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.drain();
    peer.session.disconnect(with_expiry(0)).unwrap();
    peer.expect_held("E0 07 00 05 11 00 00 00 00");
    peer.transmit(8);
    peer.cut();
    assert!(peer.expect_disconnected().session_kept);
    peer.open();
    peer.expect(CONNECT_RESUME);
    peer.given(RESUMED);
    peer.expect_connected();
    peer.expect("3A 07 00 01 74 00 01 00 61");
}

#[test]
fn a_disconnect_may_prolong_a_session_that_the_server_meant_to_end() {
    // 300 s asked for, 0 in the CONNACK, 60 in the DISCONNECT.
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 11 00 00 00 00");
    peer.session.disconnect(with_expiry(60)).unwrap();
    peer.expect_close("E0 07 00 05 11 00 00 00 3C");
    peer.cut();
    assert!(peer.expect_disconnected().session_kept);
    peer.open();
    peer.expect(CONNECT_RESUME);
}

#[test]
fn operations_without_a_verdict_wait_for_the_next_connection() {
    let mut peer = Peer::connected();
    let sent = peer.qos1("a");
    peer.drain();
    let queued = peer.qos1("b");
    peer.disconnect();
    peer.expect_close("E0 00");
    peer.cut();
    peer.expect_disconnected();
    assert_eq!(peer.session.pending_operations(), 2);
    peer.open();
    peer.drain();
    peer.given(RESUMED);
    peer.expect_connected();
    peer.expect("3A 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    peer.given("40 02 00 01 | 40 02 00 02");
    peer.expect_acknowledged(sent, 0x00);
    peer.expect_acknowledged(queued, 0x00);
}

#[test]
fn qos_0_that_waited_behind_the_disconnect_was_never_sent() {
    let mut peer = Peer::connected();
    let operation = peer.qos0("a");
    peer.disconnect();
    peer.expect_close("E0 00");
    peer.cut();
    expect_never_sent(peer.expect_verdict(operation), "a");
    peer.expect_disconnected();
}

#[test]
fn a_disconnect_without_a_connection_is_refused() {
    let mut peer = Peer::new(config());
    let packet = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
    let refused = peer.session.disconnect(packet.clone()).unwrap_err();
    assert_eq!((refused.rule, refused.given), (Rule::NotConnected, packet));
}

#[test]
fn a_disconnect_while_connecting_follows_the_connect() {
    let mut peer = Peer::new(config());
    peer.open();
    peer.disconnect();
    peer.expect_close(&format!("{CONNECT_CLEAN} | E0 00"));
    peer.cut();
    let end = peer.expect_disconnected();
    assert_eq!(end.reason, EndReason::Requested);
    assert!(!end.was_connected);
}

// --- the server's -----------------------------------------------------------

#[test]
fn edge_case_157_a_normal_disconnect_of_the_server_is_not_answered() {
    let mut peer = Peer::connected();
    assert_eq!(peer.given("E0 00"), InputStatus::Closed);
    peer.expect_close("");
    match peer.end() {
        EndReason::ServerDisconnected { reason_code, .. } => {
            assert_eq!(reason_code, DisconnectReasonCode::NormalDisconnection);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_sent_after_the_servers_disconnect_not_even_acks() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 01 00 61 | 34 07 00 01 74 00 02 00 62");
    let first = peer.expect_token("a");
    let second = peer.expect_token("b");
    peer.acknowledge(first);
    let code = PublishReasonCode::QuotaExceeded;
    peer.session.acknowledge(second, code).unwrap();
    peer.given("62 02 00 09 | E0 01 8B");
    peer.expect_close("");
    // The acks answer the resent copies.
    peer.reconnect(RESUMED);
    peer.given("3A 07 00 01 74 00 01 00 61 | 3C 07 00 01 74 00 02 00 62");
    peer.expect("40 02 00 01 | 50 03 00 02 97");
    peer.expect_no_event();
}

#[test]
fn edge_case_158_a_session_expiry_of_the_server_is_ignored() {
    let mut peer = Peer::connected();
    // Server shutting down, Session Expiry 0
    peer.given("E0 07 8B 05 11 00 00 00 00");
    peer.expect_close("");
    peer.cut();
    let end = peer.expect_disconnected();
    assert!(end.session_kept);
    match end.reason {
        EndReason::ServerDisconnected {
            reason_code,
            properties,
        } => {
            assert_eq!(reason_code, DisconnectReasonCode::ServerShuttingDown);
            assert_eq!(properties.session_expiry_interval, None);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_183_odd_codes_of_a_servers_disconnect_are_reported_and_not_answered() {
    for (bytes, raw) in [("E0 01 04", 0x04), ("E0 01 FE", 0xFE), ("E0 01 8C", 0x8C)] {
        let mut peer = Peer::connected();
        peer.given(bytes);
        peer.expect_close("");
        match peer.end() {
            EndReason::ServerDisconnected { reason_code, .. } => {
                assert_eq!(reason_code.raw(), raw);
                assert_eq!(
                    reason_code == Received::Untabled(raw),
                    reason_code.tabled().is_none()
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn edge_case_142_a_disconnect_and_a_connack_may_explain_themselves_unasked() {
    let config = SessionConfig {
        request_problem_information: false,
        ..config()
    };
    let mut peer = Peer::connected_with(config, "20 08 00 00 05 1F 00 02 6E 6F");
    peer.given("E0 07 8B 05 1F 00 02 6E 6F");
    match peer.end() {
        EndReason::ServerDisconnected { properties, .. } => {
            assert_eq!(properties.reason_string, Some(text("no")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transport_that_closes_without_a_word_keeps_the_session() {
    let mut peer = Peer::connected();
    let operation = peer.qos0("a");
    peer.drain();
    peer.cut();
    assert_eq!(peer.expect_verdict(operation), PublishVerdict::Sent);
    let end = peer.expect_disconnected();
    assert_eq!(end.reason, EndReason::TransportClosed);
    assert!(end.session_kept);
    // Once.
    peer.cut();
    peer.expect_no_event();
}
