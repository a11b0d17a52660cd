//! Connections: the first, the next, and the last.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mqtt5_client::proto::codec::BinaryData;
use mqtt5_client::proto::packet::DisconnectReasonCode;
use mqtt5_client::proto::session::{Challenge, EndReason};
use mqtt5_client::{
    Authenticator, Client, CloseReason, ConnectionState, Culprit, DisconnectError, Failure,
    LoopGuard, NoAnswer, PublishError, Published, QoS, ReauthenticateError, ReconnectPolicy,
};
use support::*;

const SECOND: Duration = Duration::from_secs(1);

fn refusal(code: u8) -> Vec<u8> {
    vec![0x20, 3, 0, code, 0]
}

fn closed(client: &Client) -> Option<CloseReason> {
    match client.state() {
        ConnectionState::Closed(reason) => Some(reason),
        _ => None,
    }
}

#[test]
fn the_first_failure_is_the_end_unless_told_otherwise() {
    for dial in [Dial::Refuse, Dial::Hang] {
        let (client, mut sim) = Sim::new(options());
        sim.net.lock().unwrap().script.push_back(dial);
        sim.run();
        sim.advance(Duration::from_secs(10));
        let Err(CloseReason::Final(failure)) = now(client.connected()) else {
            panic!()
        };
        assert_eq!(failure.culprit(), Culprit::Network);
        assert_eq!(sim.dials(), 1);
    }
    let (client, mut sim) = Sim::new(options().retry_first_connect(true));
    sim.net
        .lock()
        .unwrap()
        .script
        .extend([Dial::Refuse, Dial::Hang]);
    sim.run();
    assert!(matches!(
        client.state(),
        ConnectionState::Waiting { failed: 1, .. }
    ));
    sim.advance(SECOND);
    assert!(matches!(
        client.state(),
        ConnectionState::Connecting { failed: 1 }
    ));
    sim.advance(Duration::from_secs(10));
    assert!(matches!(
        client.state(),
        ConnectionState::Waiting { failed: 2, .. }
    ));
    let mut connected = pin!(client.connected());
    assert!(poll(connected.as_mut()).is_pending());
    sim.advance(SECOND);
    sim.send(CONNACK);
    assert!(matches!(poll(connected), Poll::Ready(Ok(_))));
}

#[test]
fn the_connect_timeout_is_that_of_the_whole_attempt() {
    const NANOSECOND: Duration = Duration::from_nanos(1);
    let limit = 10 * SECOND;
    let options = options().connect_timeout(limit).retry_first_connect(true);
    let (client, mut sim) = Sim::new(options);
    sim.net.lock().unwrap().script.push_back(Dial::Hold);
    sim.run();
    sim.advance(6 * SECOND);
    sim.open();
    assert_eq!(sim.packets()[0][0], 0x10);
    sim.advance(4 * SECOND - NANOSECOND);
    assert!(matches!(
        client.state(),
        ConnectionState::Connecting { failed: 0 }
    ));
    sim.advance(NANOSECOND);
    assert!(matches!(
        client.state(),
        ConnectionState::Waiting { failed: 1, .. }
    ));
    // The next attempt has all its time again.
    sim.advance(SECOND);
    sim.advance(limit - NANOSECOND);
    assert!(matches!(
        client.state(),
        ConnectionState::Connecting { failed: 1 }
    ));
    sim.send(CONNACK);
    assert!(client.state().is_connected());
}

#[test]
fn a_refusal_of_the_first_connection_tells_the_servers_reason() {
    let (client, mut sim) = Sim::new(options().retry_first_connect(true));
    sim.run();
    sim.send(&refusal(0x86));
    let Err(reason) = now(client.connected()) else {
        panic!()
    };
    assert_eq!(reason.culprit(), Culprit::Server);
    let end = reason.failure().and_then(Failure::end_reason);
    let Some(EndReason::Refused { reason_code, .. }) = end else {
        panic!("{reason:?}")
    };
    assert_eq!(reason_code.raw(), 0x86);
    assert!(matches!(sim.reason, Some(CloseReason::Final(_))));
}

#[test]
fn classes_of_codes_decide_about_the_next_attempt() {
    // CONNACKs of a second connection, and whether there is a third.
    for (code, again) in [
        (0x88, true),
        (0x89, true),
        (0x97, true),
        (0xF0, true),
        (0x87, false),
        (0x8A, false),
        (0x84, false),
        (0x9C, true),
        (0x9D, false),
    ] {
        let (client, mut sim) = Sim::connected(options());
        sim.reset();
        sim.reconnect(&refusal(code));
        sim.advance(SECOND);
        assert_eq!(sim.dials(), if again { 3 } else { 2 }, "{code:#x}");
        assert_eq!(closed(&client).is_none(), again, "{code:#x}");
    }
    // DISCONNECTs of the first.
    for (code, again) in [
        (0x00, true),
        (0x8B, true),
        (0x8D, true),
        (0x82, true),
        (0x8E, false),
        (0x87, false),
        (0x9D, false),
        (0x9C, true),
    ] {
        let (client, mut sim) = Sim::connected(options());
        sim.send(&[0xE0, 2, code, 0]);
        sim.close();
        sim.advance(SECOND);
        assert_eq!(sim.dials(), if again { 2 } else { 1 }, "{code:#x}");
        assert_eq!(closed(&client).is_none(), again, "{code:#x}");
    }
}

#[test]
fn attempts_end_where_the_policy_says() {
    let policy = ReconnectPolicy {
        max_attempts: Some(2),
        ..ReconnectPolicy::fixed(SECOND)
    };
    let (client, mut sim) = Sim::connected(options().reconnect(policy));
    sim.net
        .lock()
        .unwrap()
        .script
        .extend([Dial::Refuse, Dial::Refuse]);
    sim.reset();
    sim.advance(SECOND);
    assert!(closed(&client).is_none());
    sim.advance(SECOND);
    assert!(matches!(
        closed(&client),
        Some(CloseReason::GaveUp { attempts: 2, .. })
    ));
    let (client, mut sim) = Sim::connected(options().reconnect(ReconnectPolicy::never()));
    sim.close();
    assert!(matches!(closed(&client), Some(CloseReason::Final(_))));
}

#[test]
fn a_session_that_nobody_knows_is_dropped_once() {
    let (client, mut sim) = Sim::new(options());
    sim.run();
    assert_eq!(sim.packets()[0][9] & 2, 2);
    sim.send(CONNACK_RESUMED);
    assert_eq!(sim.packets(), [[0xE0, 0]]);
    sim.close();
    assert_eq!(sim.reconnect(CONNACK_RESUMED)[9] & 2, 2);
    sim.close();
    assert!(matches!(closed(&client), Some(CloseReason::Final(_))));
    assert_eq!(sim.dials(), 2);
}

#[test]
fn a_session_that_ends_its_connections_is_dropped_or_given_up() {
    for guard in [LoopGuard::CleanStart, LoopGuard::Stop] {
        let policy = ReconnectPolicy {
            loop_guard: guard,
            ..ReconnectPolicy::fixed(SECOND)
        };
        let (client, mut sim) = Sim::connected(options().reconnect(policy));
        let mut done = pin!(
            client
                .publish("a", "poison")
                .qos(QoS::AtLeastOnce)
                .into_future()
        );
        assert!(poll(done.as_mut()).is_pending());
        sim.settle();
        sim.reset();
        for _ in 0..3 {
            sim.reconnect(CONNACK_RESUMED);
            sim.send(&[0xE0, 2, 0x99, 0]);
            sim.close();
        }
        if guard == LoopGuard::Stop {
            assert!(matches!(closed(&client), Some(CloseReason::LoopGuard(_))));
        } else {
            assert_eq!(sim.reconnect(CONNACK)[9] & 2, 2, "Clean Start");
        }
        assert!(matches!(
            poll(done),
            Poll::Ready(Err(PublishError::Unknown { .. }))
        ));
    }
}

#[test]
fn a_busy_or_restarting_server_does_not_cost_the_session() {
    let (client, mut sim) = Sim::connected(options());
    let mut done = pin!(client.publish("a", "x").qos(QoS::AtLeastOnce).into_future());
    assert!(poll(done.as_mut()).is_pending());
    sim.settle();
    // Server busy, shutting down, keep alive timeout: none of them blames the session.
    for code in [0x89, 0x8B, 0x8D] {
        sim.reset();
        for _ in 0..5 {
            assert_eq!(sim.reconnect(CONNACK_RESUMED)[9] & 2, 0, "{code:#04x}");
            sim.send(&[0xE0, 2, code, 0]);
            sim.close();
        }
    }
    assert_eq!(sim.reconnect(CONNACK_RESUMED)[9] & 2, 0);
    sim.send(&puback(1));
    assert!(matches!(poll(done), Poll::Ready(Ok(_))));
}

#[test]
fn every_state_is_told() {
    let (client, mut sim) = Sim::new(options());
    let mut changes = client.state_changes();
    let mut told = Vec::new();
    let mut look = |changes: &mut mqtt5_client::StateChanges| {
        while let Poll::Ready(Some(state)) = poll(pin!(changes.changed())) {
            told.push(
                format!("{state:?}")
                    .split([' ', '('])
                    .next()
                    .unwrap()
                    .to_owned(),
            );
        }
    };
    sim.run();
    look(&mut changes);
    sim.send(CONNACK);
    look(&mut changes);
    sim.reset();
    look(&mut changes);
    sim.advance(SECOND);
    look(&mut changes);
    sim.drop_driver();
    look(&mut changes);
    assert!(now(changes.changed()).is_none());
    assert_eq!(
        told,
        ["Connecting", "Connected", "Waiting", "Connecting", "Closed"]
    );
    assert!(now(client.state_changes().changed()).is_some());
}

#[test]
fn disconnect_waits_for_verdicts_says_goodbye_and_waits_for_the_server() {
    let (client, mut sim) = Sim::connected(options());
    let completion = client
        .publish("a", "b")
        .qos(QoS::AtLeastOnce)
        .try_enqueue()
        .unwrap();
    let mut bye = pin!(client.disconnect().into_future());
    assert!(poll(bye.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 1, "no DISCONNECT yet");
    assert!(now(client.publish("a", "late")).is_err());
    sim.send(&puback(1));
    assert!(matches!(now(completion), Ok(Published::Acknowledged(_))));
    // Ends the session, which is not durable.
    assert_eq!(sim.packets(), [[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0]]);
    assert!(sim.wire().lock().unwrap().client_shut_down);
    assert!(!sim.wire().lock().unwrap().client_dropped);
    assert!(poll(bye.as_mut()).is_pending());
    sim.close();
    assert!(matches!(poll(bye), Poll::Ready(Ok(()))));
    assert!(sim.wire().lock().unwrap().client_dropped);
    assert!(matches!(sim.reason, Some(CloseReason::Requested)));
    // Once more does no harm.
    now(client.disconnect()).unwrap();
}

#[test]
fn nothing_holds_a_disconnect_up_for_ever() {
    // A server that answers nothing.
    let (client, mut sim) = Sim::connected(options());
    let completion = client
        .publish("a", "b")
        .qos(QoS::AtLeastOnce)
        .try_enqueue()
        .unwrap();
    let mut bye = pin!(client.disconnect().drain_timeout(SECOND).into_future());
    assert!(poll(bye.as_mut()).is_pending());
    sim.settle();
    sim.advance(SECOND);
    assert_eq!(sim.packets().len(), 2);
    sim.advance(Duration::from_millis(999));
    assert!(poll(bye.as_mut()).is_pending());
    sim.advance(Duration::from_millis(1));
    assert!(matches!(poll(bye), Poll::Ready(Ok(()))));
    assert!(matches!(now(completion), Err(PublishError::Unknown { .. })));

    // One that reads nothing.
    let (client, mut sim) = Sim::connected(options());
    sim.set_window(Some(0));
    let mut bye = pin!(client.disconnect().into_future());
    assert!(poll(bye.as_mut()).is_pending());
    sim.settle();
    sim.advance(Duration::from_secs(2));
    assert!(matches!(
        poll(bye),
        Poll::Ready(Err(DisconnectError::NotSent))
    ));

    // One that is not there.
    let (client, mut sim) = Sim::connected(options());
    sim.reset();
    let mut bye = pin!(client.disconnect().into_future());
    assert!(poll(bye.as_mut()).is_pending());
    sim.settle();
    assert!(matches!(
        poll(bye),
        Poll::Ready(Err(DisconnectError::NotConnected))
    ));
}

#[test]
fn a_disconnect_that_a_client_may_not_send_changes_nothing() {
    let (client, mut sim) = Sim::connected(options().session_expiry(Duration::ZERO));
    let bad = client
        .disconnect()
        .reason_code(DisconnectReasonCode::ServerBusy);
    assert!(matches!(now(bad), Err(DisconnectError::NotAccepted(_))));
    let bad = client.disconnect().session_expiry(SECOND);
    assert!(matches!(now(bad), Err(DisconnectError::NotAccepted(_))));
    sim.settle();
    let reason = DisconnectReasonCode::DisconnectWithWillMessage;
    let mut good = pin!(client.disconnect().reason_code(reason).into_future());
    assert!(poll(good.as_mut()).is_pending());
    assert_eq!(sim.packets(), [[0xE0, 1, 4]]);
}

#[test]
fn dropping_the_last_handle_is_a_disconnect() {
    let (client, mut sim) = Sim::connected(options().durable("c", SECOND));
    let stream = client.messages();
    let clone = client.clone();
    drop(client);
    drop(stream);
    assert!(sim.packets().is_empty());
    drop(clone);
    assert_eq!(sim.packets(), [[0xE0, 0]]);
    sim.close();
    assert!(matches!(sim.reason, Some(CloseReason::Requested)));
    // Before there is a connection, too.
    let (client, mut sim) = Sim::new(options());
    sim.net.lock().unwrap().script.push_back(Dial::Hang);
    sim.run();
    drop(client);
    sim.settle();
    assert!(matches!(sim.reason, Some(CloseReason::Requested)));
}

#[test]
fn a_violation_is_answered_before_the_connection_is_closed() {
    let (client, mut sim) = Sim::connected(options());
    sim.send(&[0x36, 0]);
    assert_eq!(sim.packets(), [[0xE0, 1, 0x81]]);
    assert!(sim.wire().lock().unwrap().client_shut_down);
    sim.advance(SECOND);
    let ConnectionState::Waiting { cause, .. } = client.state() else {
        panic!()
    };
    assert_eq!(cause.culprit(), Culprit::Peer);
    assert!(sim.wire().lock().unwrap().client_dropped);
}

#[test]
fn a_header_that_promises_much_reserves_little() {
    let (_client, mut sim) = Sim::connected(options());
    sim.send(&[0x30, 0xFF, 0xFF, 0xFF, 0x07]);
    for _ in 0..100 {
        sim.send(&[0; 10]);
    }
    assert!(sim.wire().lock().unwrap().largest_buffer <= 256 << 10);
}

#[test]
fn what_a_flood_makes_us_answer_is_bounded() {
    let (client, mut sim) = Sim::connected(options());
    sim.set_window(Some(0));
    // Each PUBREL of an exchange that is not known is answered by a PUBCOMP.
    let flood: Vec<u8> = (0..150_000u32).flat_map(|_| [0x62, 2, 0, 1]).collect();
    sim.send(&flood);
    assert!(sim.unread() > 100_000, "{}", sim.unread());
    assert!(closed(&client).is_none());
    sim.set_window(None);
    assert_eq!(sim.unread(), 0);
    assert_eq!(sim.packets().len(), 150_000);
}

/// Answers with the challenge backwards; knows no answer to an empty one.
struct Backwards;

impl Authenticator for Backwards {
    fn begin(&mut self) -> Option<BinaryData> {
        BinaryData::new("hi").ok()
    }

    fn respond(&mut self, challenge: &Challenge) -> Result<Option<BinaryData>, NoAnswer> {
        let data = challenge.data.as_ref().ok_or(NoAnswer)?;
        let backwards: Vec<u8> = data.as_bytes().iter().rev().copied().collect();
        Ok(BinaryData::new(backwards).ok())
    }

    fn verify(&mut self, data: Option<&BinaryData>) -> Result<(), NoAnswer> {
        if data.is_some_and(|data| data.as_bytes() == "forged") {
            Err(NoAnswer)
        } else {
            Ok(())
        }
    }
}

fn auth(reason: u8, data: &str) -> Vec<u8> {
    let length = [u8::try_from(data.len()).unwrap()];
    let properties = [b"\x15\0\x01m\x16\0", &length[..], data.as_bytes()].concat();
    packet(
        0xF0,
        &[
            &[reason, u8::try_from(properties.len()).unwrap()],
            &properties,
        ],
    )
}

const CONNACK_METHOD: &[u8] = b"\x20\x07\0\0\x04\x15\0\x01m";

#[test]
fn challenges_are_answered() {
    let (client, mut sim) = Sim::new(options().authentication("m", Backwards));
    sim.run();
    let connect = sim.packets().remove(0);
    assert!(
        connect
            .windows(9)
            .any(|part| part == b"\x15\0\x01m\x16\0\x02hi")
    );
    sim.send(&auth(0x18, "abc"));
    assert_eq!(sim.packets(), [auth(0x18, "cba")]);
    sim.send(CONNACK_METHOD);
    assert!(client.state().is_connected());
    let mut again = pin!(client.reauthenticate());
    assert!(poll(again.as_mut()).is_pending());
    let second = now(client.reauthenticate());
    assert!(matches!(second, Err(ReauthenticateError::NotAccepted(_))));
    assert_eq!(sim.packets(), [auth(0x19, "hi")]);
    sim.send(&auth(0x18, "xyz"));
    assert_eq!(sim.packets(), [auth(0x18, "zyx")]);
    sim.send(&auth(0, "ok"));
    assert!(matches!(poll(again), Poll::Ready(Ok(()))));
    let mut cut = pin!(client.reauthenticate());
    assert!(poll(cut.as_mut()).is_pending());
    sim.settle();
    sim.send(&[0xE0, 2, 0x87, 0]);
    sim.close();
    let Poll::Ready(Err(ReauthenticateError::Disconnected)) = poll(cut) else {
        panic!()
    };
}

#[test]
fn a_challenge_without_an_answer_and_a_forged_yes_are_the_end() {
    let (client, mut sim) = Sim::new(options().authentication("m", Backwards));
    sim.run();
    sim.packets();
    sim.send(b"\xF0\x06\x18\x04\x15\0\x01m");
    assert_eq!(sim.packets(), [[0xE0, 1, 0x80]]);
    sim.close();
    assert!(matches!(closed(&client), Some(CloseReason::Authentication)));

    let (client, mut sim) = Sim::new(options().authentication("m", Backwards));
    sim.run();
    sim.packets();
    sim.send(b"\x20\x10\0\0\x0D\x15\0\x01m\x16\0\x06forged");
    assert_eq!(sim.packets(), [[0xE0, 1, 0x80]]);
    sim.advance(SECOND);
    assert!(matches!(closed(&client), Some(CloseReason::Authentication)));
}

#[test]
fn pings_keep_the_connection_and_their_want_ends_it() {
    let (client, mut sim) = Sim::connected(options().keep_alive(Duration::from_secs(8)));
    sim.advance(Duration::from_secs(8));
    assert_eq!(sim.packets(), [[0xC0, 0]]);
    sim.send(&[0xD0, 0]);
    sim.advance(Duration::from_secs(8));
    assert_eq!(sim.packets(), [[0xC0, 0]]);
    sim.advance(Duration::from_secs(20));
    assert!(!client.state().is_connected());
    assert!(sim.dials() > 1);
}

#[test]
fn a_disconnect_that_did_not_fit_is_sent_without_properties() {
    let small = [0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 4];
    let (client, mut sim) = Sim::connected_by(options(), &small);
    let mut ending = pin!(client.disconnect().into_future());
    assert!(poll(ending.as_mut()).is_pending());
    assert_eq!(sim.packets(), [[0xE0, 0]]);
    sim.close();
    assert!(matches!(poll(ending), Poll::Ready(Ok(()))));
}

#[test]
fn another_goodbye_is_not_taken_for_the_one_that_was_asked_for() {
    let (client, mut sim) = Sim::connected(options());
    sim.set_window(Some(0));
    sim.send(&[0xF0, 0xFF, 0xFF, 0xFF, 0xFF]);
    let mut ending = pin!(client.disconnect().into_future());
    assert!(poll(ending.as_mut()).is_pending());
    sim.settle();
    sim.set_window(None);
    sim.close();
    let ended = poll(ending);
    assert!(
        matches!(ended, Poll::Ready(Err(DisconnectError::NotSent))),
        "{ended:?}"
    );
}

#[test]
fn an_answer_that_lay_unread_is_not_too_late() {
    let (client, mut sim) = Sim::connected(options().keep_alive(Duration::from_secs(10)));
    sim.advance(Duration::from_secs(8));
    assert_eq!(sim.packets(), [[0xC0, 0]]);
    sim.suspend(Duration::from_secs(60));
    sim.send(&[0xD0, 0]);
    assert!(client.state().is_connected());
}

#[test]
fn the_servers_last_words_are_read_though_writing_fails() {
    let (client, mut sim) = Sim::connected(options());
    sim.set_window(Some(0));
    let _sent = client.publish("a", "x").try_enqueue().unwrap();
    sim.settle();
    sim.wire().lock().unwrap().broken_pipe = true;
    sim.send(&[0xE0, 1, 0x8E]);
    let state = client.state();
    assert!(matches!(state, ConnectionState::Closed(_)), "{state:?}");
}
