//! Keep Alive on a virtual clock (MQTT 5.0 section 3.1.2.10).

mod session_support;

use core::time::Duration;

use mqtt5_proto::session::{EndReason, InputStatus, Phase, SessionConfig};
use session_support::*;

fn keeping_alive(seconds: u16) -> SessionConfig {
    SessionConfig {
        keep_alive: seconds,
        ..config()
    }
}

/// Connected with this Keep Alive; the CONNECT was taken and answered at once.
fn connected(seconds: u16) -> Peer {
    Peer::connected_with(keeping_alive(seconds), ACCEPTED)
}

/// How long until the timer wants to fire.
fn due(peer: &Peer) -> Option<Duration> {
    let timeout = peer.session.poll_timeout()?;
    Some(timeout.saturating_since(peer.now))
}

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn edge_case_209_a_pingreq_goes_out_a_margin_before_it_must() {
    // A quarter of it, ten seconds at most.
    for (keep_alive, ping) in [(8, 6), (20, 15), (40, 30), (60, 50), (1000, 990)] {
        let mut peer = connected(keep_alive);
        assert_eq!(due(&peer), seconds(ping), "keep alive {keep_alive}");
        peer.wait(Duration::from_secs(ping) - Duration::from_millis(1));
        peer.expect_nothing();
        peer.wait(Duration::from_millis(1));
        peer.expect("C0 00");
    }
}

#[test]
fn keep_alive_of_one_second_and_of_the_longest() {
    let peer = connected(1);
    assert_eq!(due(&peer), Some(Duration::from_millis(750)));
    let peer = connected(u16::MAX);
    assert_eq!(due(&peer), seconds(65_525));
}

#[test]
fn edge_case_209_no_pingreq_before_the_connack() {
    let config = SessionConfig {
        connect_timeout: Duration::from_secs(100),
        ..keeping_alive(8)
    };
    let mut peer = Peer::new(config);
    peer.open();
    peer.drain();
    peer.wait_seconds(50);
    peer.expect_nothing();
    assert_eq!(peer.session.phase(), Phase::Connecting);
}

#[test]
fn the_time_counts_from_the_sending_of_the_connect_and_not_from_its_answer() {
    let mut peer = Peer::new(keeping_alive(20));
    peer.open();
    peer.wait_seconds(1);
    peer.drain();
    peer.wait_seconds(8);
    peer.given(ACCEPTED);
    // Sent 8 s ago; 15 s after that it is time.
    assert_eq!(due(&peer), seconds(7));
    // Even if that time is over: at once.
    let mut peer = Peer::new(keeping_alive(8));
    peer.open();
    peer.drain();
    peer.wait_seconds(9);
    peer.given(ACCEPTED);
    peer.wait_seconds(0);
    peer.expect("C0 00");
}

#[test]
fn any_packet_that_is_sent_puts_the_pingreq_off() {
    let mut peer = connected(20);
    peer.wait_seconds(14);
    peer.qos0("a");
    peer.expect("30 05 00 01 74 00 61");
    assert_eq!(due(&peer), seconds(15));
    peer.wait_seconds(14);
    peer.qos0("b");
    // Only what the transport took counts.
    peer.expect_held("30 05 00 01 74 00 62");
    assert_eq!(due(&peer), seconds(1));
    peer.transmit(7);
    assert_eq!(due(&peer), seconds(15));
}

#[test]
fn a_transport_that_takes_nothing_puts_no_pingreq_off() {
    let mut peer = connected(20);
    peer.qos0("a");
    peer.expect_held("30 05 00 01 74 00 61");
    peer.wait_seconds(10);
    peer.transmit(0);
    assert_eq!(due(&peer), seconds(5));
}

#[test]
fn edge_case_152_what_is_received_does_not_put_the_pingreq_off() {
    let mut peer = connected(20);
    for _ in 0..14 {
        peer.wait_seconds(1);
        peer.given("30 05 00 01 74 00 61");
    }
    peer.wait_seconds(1);
    peer.expect("C0 00");
}

#[test]
fn edge_case_153_keep_alive_0_needs_no_timer() {
    let mut peer = connected(0);
    assert_eq!(due(&peer), None);
    peer.wait_seconds(1_000_000);
    peer.expect_nothing();
}

#[test]
fn edge_case_73_the_servers_keep_alive_holds_whether_larger_or_smaller_or_off() {
    for (connack, ping) in [
        ("20 06 00 00 03 13 00 08", seconds(6)),
        ("20 06 00 00 03 13 03 E8", seconds(990)),
        ("20 06 00 00 03 13 00 00", None),
    ] {
        let peer = Peer::connected_with(keeping_alive(20), connack);
        assert_eq!(due(&peer), ping);
    }
    // Off in the CONNECT, on in the CONNACK.
    let peer = Peer::connected_with(config(), "20 06 00 00 03 13 00 08");
    assert_eq!(due(&peer), seconds(6));
}

#[test]
fn a_pingresp_in_time_keeps_the_connection() {
    let mut peer = connected(20);
    for _ in 0..5 {
        peer.wait_seconds(15);
        peer.expect("C0 00");
        peer.given("D0 00");
        assert_eq!(due(&peer), seconds(15));
    }
    peer.expect_no_event();
}

#[test]
fn edge_case_154_without_a_pingresp_the_connection_is_closed_without_a_disconnect() {
    let mut peer = connected(20);
    peer.wait_seconds(15);
    peer.expect("C0 00");
    // max(Keep Alive, 10 s) = 20 s; another PINGREQ meanwhile.
    peer.wait_seconds(15);
    peer.expect("C0 00");
    peer.wait(Duration::from_millis(4_999));
    assert_eq!(peer.session.phase(), Phase::Connected);
    peer.wait(Duration::from_millis(1));
    peer.expect_close("");
    assert_eq!(peer.end(), EndReason::KeepAliveTimeout);
}

#[test]
fn the_deadline_is_ten_seconds_at_least() {
    let mut peer = connected(4);
    peer.wait_seconds(3);
    peer.expect("C0 00");
    for _ in 0..3 {
        peer.wait_seconds(3);
        peer.expect("C0 00");
    }
    assert_eq!(due(&peer), seconds(1));
    peer.wait_seconds(1);
    peer.expect_close("");
}

#[test]
fn edge_case_208_received_bytes_put_the_deadline_off_up_to_three_times_its_length() {
    let mut peer = connected(20);
    peer.wait_seconds(15);
    peer.expect("C0 00");
    // The peer sends all the time and never answers: 3 x 20 s.
    for _ in 0..59 {
        peer.wait_seconds(1);
        peer.given("30 05 00 01 74 00 61");
        assert_eq!(peer.session.phase(), Phase::Connected);
    }
    peer.wait_seconds(1);
    assert_eq!(peer.session.phase(), Phase::Closing);
    peer.events_until_end(&EndReason::KeepAliveTimeout);
}

#[test]
fn edge_case_208_the_deadline_starts_again_with_the_last_bytes() {
    let mut peer = connected(20);
    peer.wait_seconds(15);
    peer.expect("C0 00");
    peer.wait_seconds(10);
    peer.given("30 05 00 01 74 00 61");
    peer.wait_seconds(19);
    assert_eq!(peer.session.phase(), Phase::Connected);
    peer.wait_seconds(1);
    assert_eq!(peer.session.phase(), Phase::Closing);
}

#[test]
fn a_peer_in_the_middle_of_a_large_packet_is_not_declared_dead() {
    let mut peer = connected(20);
    peer.wait_seconds(15);
    peer.expect("C0 00");
    // A PUBLISH of 3 + 1 + 1,000,000 bytes, 1000 a second: 1000 s.
    peer.given("30 C4 84 3D 00 01 74 00");
    for _ in 0..1000 {
        peer.wait_seconds(1);
        peer.drain();
        peer.given_bytes(&[0x61; 1000]);
        assert_eq!(peer.session.phase(), Phase::Connected);
    }
    assert!(matches!(
        peer.event(),
        mqtt5_proto::session::Event::Message(message) if message.payload().len() == 1_000_000
    ));
    // The answer can come now.
    peer.given("D0 00");
    assert_eq!(peer.session.phase(), Phase::Connected);
}

#[test]
fn a_peer_that_stops_in_the_middle_of_a_packet_is_declared_dead() {
    let mut peer = connected(20);
    peer.wait_seconds(15);
    peer.expect("C0 00");
    peer.given("30 C4 84 3D 00 01 74 00");
    peer.wait_seconds(10);
    // What was there already shows no life.
    peer.given_nothing();
    peer.wait_seconds(9);
    assert_eq!(peer.session.phase(), Phase::Connected);
    peer.wait_seconds(1);
    assert_eq!(peer.session.phase(), Phase::Closing);
}

#[test]
fn edge_case_155_a_pingresp_without_pingreq_is_ignored() {
    let mut peer = connected(20);
    assert!(matches!(
        peer.given("D0 00 | D0 00"),
        InputStatus::NeedMore { .. }
    ));
    peer.expect_no_event();
    peer.expect_nothing();
    peer.wait_seconds(15);
    peer.expect("C0 00");
    peer.wait_seconds(20);
    assert_eq!(peer.session.phase(), Phase::Closing);
}

#[test]
fn a_pause_of_the_application_suspends_the_deadline_but_not_the_pings() {
    let mut peer = connected(20);
    peer.wait_seconds(15);
    peer.expect("C0 00");
    peer.session.handle_input_paused(peer.now);
    for _ in 0..10 {
        peer.wait_seconds(15);
        peer.expect("C0 00");
    }
    // The answer may lie unread: the wait for it starts again.
    peer.session.handle_input_resumed(peer.now);
    peer.wait_seconds(15);
    peer.expect("C0 00");
    peer.wait(Duration::from_millis(4_999));
    assert_eq!(peer.session.phase(), Phase::Connected);
    peer.wait(Duration::from_millis(1));
    assert_eq!(peer.session.phase(), Phase::Closing);
}

#[test]
fn a_suspended_machine_that_wakes_up_pings_first() {
    let mut peer = connected(20);
    peer.wait_seconds(100_000);
    assert_eq!(peer.session.phase(), Phase::Connected);
    peer.expect("C0 00");
    peer.given("D0 00");
    assert_eq!(due(&peer), seconds(15));
}

#[test]
fn a_clock_that_jumps_back_is_no_time_passed() {
    let mut peer = connected(20);
    peer.now = mqtt5_proto::Instant::ZERO;
    peer.session.handle_timeout(peer.now);
    peer.qos0("a");
    peer.expect("30 05 00 01 74 00 61");
    peer.given("30 05 00 01 74 00 62");
    assert_eq!(peer.session.phase(), Phase::Connected);
    peer.now = mqtt5_proto::Instant::from_start(Duration::from_secs(1015));
    peer.wait_seconds(0);
    peer.expect("C0 00");
}

#[test]
fn a_long_upload_that_makes_progress_needs_no_ping() {
    let mut peer = connected(20);
    peer.qos0(&"x".repeat(100_000));
    // Remaining Length 3 + 1 + 100000 = 100004
    let mut sent = hex("30 A4 8D 06 00 01 74 00");
    sent.extend_from_slice(&[b'x'; 100_000]);
    peer.expect_held_bytes(&sent);
    for _ in 0..100 {
        peer.wait_seconds(10);
        peer.transmit(1000);
    }
    peer.expect_nothing();
    assert_eq!(peer.session.phase(), Phase::Connected);
}

#[test]
fn a_peer_that_does_not_read_does_not_hold_up_the_end() {
    let mut peer = connected(20);
    // The window is full, and none of it is taken.
    for _ in 0..4 {
        peer.qos0(&"x".repeat(100_000));
    }
    peer.poll_only();
    for _ in 0..4 {
        peer.wait_seconds(15);
        peer.poll_only();
    }
    assert_eq!(peer.session.phase(), Phase::Closing);
    assert!(peer.asked_to_close());
    assert_eq!(due(&peer), None);
}

#[test]
fn at_most_one_pingreq_waits_for_a_transport_that_takes_nothing() {
    let mut peer = connected(1);
    peer.qos0("a");
    peer.expect_held("30 05 00 01 74 00 61");
    peer.wait(Duration::from_millis(750));
    peer.expect_held("C0 00");
    // Ten more would be due before the deadline of the first.
    peer.wait_seconds(9);
    peer.expect_held("");
    assert_eq!(due(&peer), seconds(1));
    // The first byte of it does not make it sent.
    peer.transmit(8);
    peer.wait(Duration::from_millis(900));
    peer.expect_held("");
    // The next is due when it has left.
    peer.transmit(1);
    assert_eq!(due(&peer), Some(Duration::from_millis(100)));
    peer.given("D0 00");
    assert_eq!(due(&peer), Some(Duration::from_millis(750)));
    peer.wait(Duration::from_millis(750));
    peer.expect("C0 00");
}

#[test]
fn a_pingresp_does_not_answer_a_pingreq_that_has_not_left() {
    let mut peer = connected(1);
    peer.wait(Duration::from_millis(750));
    peer.expect_held("C0 00");
    peer.given("D0 00");
    // Ten seconds after the last bytes came.
    assert_eq!(due(&peer), seconds(10));
    peer.wait_seconds(10);
    peer.expect_close("");
    assert_eq!(peer.end(), EndReason::KeepAliveTimeout);
}

#[test]
fn edge_case_154_what_waits_when_the_pingresp_does_not_come_is_not_sent() {
    let mut peer = connected(20);
    peer.given("32 07 00 01 74 00 01 00 61");
    let token = peer.expect_token("a");
    // The window is full, and none of it is taken: PINGREQ and PUBACK wait.
    for _ in 0..4 {
        peer.qos0(&"x".repeat(100_000));
    }
    peer.poll_only();
    peer.wait_seconds(15);
    peer.acknowledge(token);
    peer.expect_held("");
    peer.wait_seconds(20);
    peer.expect_close("");
    peer.events_until_end(&EndReason::KeepAliveTimeout);
    // The answer is kept for the copy.
    peer.reconnect(RESUMED);
    peer.given("3A 07 00 01 74 00 01 00 61");
    peer.expect("40 02 00 01");
}
