//! A session that is lost, dropped or given up: every operation has its verdict, once.

mod session_support;

use core::time::Duration;

use mqtt5_proto::packet::PublishReasonCode;
use mqtt5_proto::session::{AckError, Event, PublishVerdict, RequestVerdict, SessionConfig};
use session_support::*;

// --- the session is lost --------------------------------------------------------

#[test]
fn edge_case_68_session_present_0_gives_verdicts_and_what_never_left_is_sent() {
    let mut peer = Peer::connected();
    let sent = peer.qos1("a");
    let released = peer.qos2("b");
    let twice = peer.qos2("c");
    peer.drain();
    peer.given("50 02 00 02");
    peer.drain();
    let held = peer.qos1("d");
    peer.expect_held("32 07 00 01 74 00 04 00 64");
    let queued = {
        peer.cut();
        peer.expect_disconnected();
        peer.qos1("e")
    };
    peer.open();
    peer.expect(CONNECT_RESUME);
    peer.given(ACCEPTED);
    let mut verdicts = Vec::new();
    let connected = loop {
        match peer.event() {
            Event::Published { operation, verdict } => verdicts.push((operation, verdict)),
            Event::Connected(connected) => break connected,
            other => panic!("{other:?}"),
        }
    };
    assert!(connected.session_lost);
    assert!(!connected.session_present);
    verdicts.sort_by_key(|(operation, _)| *operation);
    let [first, second, third] = <[_; 3]>::try_from(verdicts).unwrap();
    assert_eq!((first.0, second.0, third.0), (sent, released, twice));
    expect_unknown(first.1, "a");
    assert_eq!(second.1, PublishVerdict::Unknown { message: None });
    expect_unknown(third.1, "c");
    // Ids are free again; nothing is resent; what never left goes out for the first time.
    peer.expect("32 07 00 01 74 00 01 00 64 | 32 07 00 01 74 00 02 00 65");
    peer.given("40 02 00 01 | 40 02 00 02");
    peer.expect_acknowledged(held, 0x00);
    peer.expect_acknowledged(queued, 0x00);
    assert_eq!(peer.session.pending_bytes(), 0);
}

#[test]
fn edge_case_165_with_session_expiry_0_the_session_ends_with_the_connection() {
    let config = SessionConfig {
        session_expiry_interval: 0,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    let sent = peer.qos1("a");
    peer.drain();
    let queued = peer.qos1("b");
    peer.given("34 07 00 01 74 00 0A 00 63");
    let token = peer.expect_token("c");
    peer.cut();
    expect_unknown(peer.expect_verdict(sent), "a");
    assert!(!peer.expect_disconnected().session_kept);
    assert_eq!(
        peer.session.acknowledge(token, PublishReasonCode::Success),
        Err(AckError::SessionLost)
    );
    peer.open();
    // Clean Start 1, no Session Expiry Interval
    peer.expect("10 16 00 04 4D 51 54 54 05 02 00 00 08 21 01 00 27 01 00 00 00 00 01 63");
    peer.given(ACCEPTED);
    assert!(!peer.expect_connected().session_lost);
    peer.expect("32 07 00 01 74 00 01 00 62");
    peer.given("40 02 00 01");
    peer.expect_acknowledged(queued, 0x00);
}

#[test]
fn edge_case_74_the_servers_session_expiry_holds() {
    // CONNACK with Session Expiry Interval 0: the session ends with the connection.
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 11 00 00 00 00");
    let sent = peer.qos1("a");
    peer.drain();
    peer.cut();
    expect_unknown(peer.expect_verdict(sent), "a");
    assert!(!peer.expect_disconnected().session_kept);
    peer.open();
    peer.expect(CONNECT_CLEAN);
}

#[test]
fn edge_case_164_a_session_that_never_expires_is_kept() {
    // CONNACK with Session Expiry Interval 0xFFFFFFFF
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 11 FF FF FF FF");
    peer.qos1("a");
    peer.drain();
    peer.cut();
    assert!(peer.expect_disconnected().session_kept);
    peer.now = mqtt5_proto::Instant::from_start(Duration::MAX);
    peer.open();
    peer.expect(CONNECT_RESUME);
}

#[test]
fn edge_case_166_a_session_begun_with_clean_start_outlives_its_connection() {
    let mut peer = Peer::new(config());
    peer.open();
    peer.expect(CONNECT_CLEAN);
    peer.given(ACCEPTED);
    peer.expect_connected();
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.expect(CONNECT_RESUME);
}

#[test]
fn a_session_that_cannot_be_resumed_gives_its_verdicts_when_the_connection_ends() {
    // No client identifier, and none assigned.
    let config = SessionConfig {
        client_id: text(""),
        ..config()
    };
    let mut peer = Peer::new(config);
    peer.open();
    peer.drain();
    peer.given(ACCEPTED);
    peer.expect_warning();
    peer.expect_connected();
    let sent = peer.qos1("a");
    peer.drain();
    peer.cut();
    expect_unknown(peer.expect_verdict(sent), "a");
    assert!(!peer.expect_disconnected().session_kept);
}

#[test]
fn start_clean_ends_the_session_when_the_next_connect_is_made() {
    let mut peer = Peer::connected();
    let sent = peer.qos1("a");
    peer.drain();
    peer.session.start_clean();
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    expect_unknown(peer.expect_verdict(sent), "a");
    peer.expect(CONNECT_CLEAN);
    // Refused: Clean Start 1 again.
    peer.given("20 03 00 88 00");
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.expect(CONNECT_CLEAN);
    peer.given(ACCEPTED);
    assert!(!peer.expect_connected().session_lost);
    peer.cut();
    peer.expect_disconnected();
    peer.open();
    peer.expect(CONNECT_RESUME);
}

// --- abandon --------------------------------------------------------------------

#[test]
fn abandon_gives_every_operation_its_verdict_once() {
    let mut peer = Peer::connected();
    let config = peer.session.config_mut();
    config.queue_qos0 = true;
    let sent = peer.qos1("a");
    let released = peer.qos2("b");
    let subscribed = peer.subscribe(&["a"]);
    peer.drain();
    // The SUBSCRIBE went first, as 1.
    peer.given("50 02 00 03");
    let held1 = peer.qos1("c");
    let held0 = peer.qos0("d");
    peer.expect_held("62 02 00 03 | 32 07 00 01 74 00 04 00 63 | 30 05 00 01 74 00 64");
    let queued1 = peer.qos1("e");
    let queued0 = peer.qos0("f");
    let unsubscribed = peer.unsubscribe(&["a"]);
    peer.session.abandon(peer.now);
    let mut verdicts: Vec<_> = peer
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Published { operation, verdict } => Some((
                operation,
                match verdict {
                    PublishVerdict::Unknown { .. } => "unknown",
                    PublishVerdict::NeverSent { .. } => "never sent",
                    _ => "other",
                },
            )),
            Event::Subscribed { operation, verdict } => {
                assert_eq!(verdict, RequestVerdict::Unknown);
                Some((operation, "unknown"))
            }
            Event::Unsubscribed { operation, verdict } => {
                assert_eq!(verdict, RequestVerdict::NeverSent);
                Some((operation, "never sent"))
            }
            Event::Disconnected(end) => {
                assert!(!end.session_kept || end.was_connected);
                None
            }
            other => panic!("{other:?}"),
        })
        .collect();
    verdicts.sort_unstable();
    assert_eq!(
        verdicts,
        [
            (sent, "unknown"),
            (released, "unknown"),
            (subscribed, "unknown"),
            (held1, "never sent"),
            (held0, "never sent"),
            (queued1, "never sent"),
            (queued0, "never sent"),
            (unsubscribed, "never sent"),
        ]
    );
    assert_eq!(peer.session.pending_operations(), 0);
    assert_eq!(peer.session.pending_bytes(), 0);
    assert!(peer.session.is_settled());
    peer.session.abandon(peer.now);
    peer.expect_no_event();
}
