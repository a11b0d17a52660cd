//! Connections that end by a decision of ours: the DISCONNECT is said if it can be, and the
//! connection is closed either way (MQTT 5.0 sections 4.12.1 and 4.13.2).

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
use mqtt5_client::proto::session::Challenge;
use mqtt5_client::{
    Authenticator, Client, ClientOptions, CloseReason, NoAnswer, PublishError, QoS,
    ReauthenticateError,
};
use support::*;

const SECOND: Duration = Duration::from_secs(1);

/// CONNACK: accepted, method "m".
const ACCEPTED_METHOD: &[u8] = b"\x20\x07\0\0\x04\x15\0\x01m";
/// AUTH: continue, method "m".
const CHALLENGE: &[u8] = b"\xF0\x06\x18\x04\x15\0\x01m";
/// AUTH: success, method "m", data "forged".
const FORGED: &[u8] = b"\xF0\x0F\0\x0D\x15\0\x01m\x16\0\x06forged";

/// Trusts a server at the first time, and never again.
struct Distrustful {
    connected: bool,
}

impl Authenticator for Distrustful {
    fn begin(&mut self) -> Option<BinaryData> {
        None
    }

    fn respond(&mut self, _: &Challenge) -> Result<Option<BinaryData>, NoAnswer> {
        Err(NoAnswer)
    }

    fn verify(&mut self, _: Option<&BinaryData>) -> Result<(), NoAnswer> {
        let first = !std::mem::replace(&mut self.connected, true);
        if first { Ok(()) } else { Err(NoAnswer) }
    }
}

/// After this answer of the server a re-authentication has failed on our side.
fn reauthentication_fails_on(answer: &[u8]) {
    let authenticator = Distrustful { connected: false };
    let options = options().authentication("m", authenticator);
    let (client, mut sim) = Sim::connected_by(options, ACCEPTED_METHOD);
    let mut again = pin!(client.reauthenticate());
    assert!(poll(again.as_mut()).is_pending());
    assert_eq!(sim.packets(), [b"\xF0\x06\x19\x04\x15\0\x01m"]);
    sim.send(answer);
    assert_eq!(sim.packets(), [[0xE0, 1, 0x80]]);
    let result = poll(again);
    assert!(
        matches!(result, Poll::Ready(Err(ReauthenticateError::NoAnswer))),
        "{result:?}"
    );
    // Closed though the server does not close its side.
    sim.advance(SECOND);
    assert!(sim.wire().lock().unwrap().client_dropped);
    assert!(matches!(sim.reason, Some(CloseReason::Authentication)));
}

#[test]
fn a_reauthentication_without_an_answer_ends_with_a_disconnect_and_closes() {
    reauthentication_fails_on(CHALLENGE);
}

#[test]
fn a_forged_yes_to_a_reauthentication_is_not_told_as_a_success() {
    reauthentication_fails_on(FORGED);
}

#[test]
fn nothing_is_sent_to_or_taken_from_a_server_whose_yes_is_forged() {
    let authenticator = Distrustful { connected: true };
    let (client, mut sim) = Sim::new(options().authentication("m", authenticator));
    let mut messages = client.messages();
    let secret = client.publish("t", "secret").qos(QoS::AtLeastOnce);
    let mut secret = secret.try_enqueue().unwrap();
    sim.run();
    assert_eq!(sim.packets()[0][0], 0x10);
    // CONNACK: accepted, method "m", data "forged"; and a message right behind.
    let mut forged = b"\x20\x10\0\0\x0D\x15\0\x01m\x16\0\x06forged".to_vec();
    forged.extend_from_slice(&publish(1, 7, "t", &[], "bait"));
    sim.send(&forged);
    assert_eq!(sim.packets(), [[0xE0, 1, 0x80]]);
    assert!(!client.state().is_connected());
    sim.advance(SECOND);
    assert!(matches!(sim.reason, Some(CloseReason::Authentication)));
    let verdict = poll(pin!(&mut secret));
    assert!(
        matches!(verdict, Poll::Ready(Err(PublishError::NeverSent { .. }))),
        "{verdict:?}"
    );
    assert!(now(messages.next()).is_none());
}

#[test]
fn a_server_that_is_believed_gets_what_waited_for_it() {
    let authenticator = Distrustful { connected: false };
    let (client, mut sim) = Sim::new(options().authentication("m", authenticator));
    let mut messages = client.messages();
    let waiting = client.publish("t", "x").qos(QoS::AtLeastOnce);
    let _waiting = waiting.try_enqueue().unwrap();
    sim.run();
    sim.packets();
    let mut accepted = ACCEPTED_METHOD.to_vec();
    accepted.extend_from_slice(&publish(1, 7, "t", &[], "y"));
    sim.send(&accepted);
    assert!(client.state().is_connected());
    assert_eq!(sim.packets(), [publish(1, 1, "t", &[], "x")]);
    let message = now(messages.next()).expect("the message behind the CONNACK");
    assert_eq!(message.payload(), b"y");
}

#[test]
fn a_violation_closes_the_connection_though_its_disconnect_cannot_be_written() {
    let (client, mut sim) = Sim::connected(options());
    sim.set_window(Some(0));
    let wire = sim.wire();
    // PUBLISH of QoS 3.
    sim.send(&[0x36, 0]);
    sim.advance(Duration::from_secs(10));
    assert!(wire.lock().unwrap().client_dropped);
    assert!(wire.lock().unwrap().from_client.is_empty());
    // The next connection is open by then.
    assert_eq!(sim.dials(), 2);
    sim.send(CONNACK_RESUMED);
    assert!(client.state().is_connected());
}

/// A connected client that waits for a server which takes 1000 bytes of 300,000.
fn stuck(options: ClientOptions) -> (Client, Sim) {
    let (client, mut sim) = Sim::connected(options);
    sim.set_window(Some(1000));
    let large = client
        .publish("t", "x".repeat(300_000))
        .qos(QoS::AtLeastOnce);
    let _detached = large.try_enqueue().unwrap();
    sim.settle();
    (client, sim)
}

#[test]
fn what_waits_when_the_server_says_disconnect_is_not_sent() {
    let (_client, mut sim) = stuck(options());
    let wire = sim.wire();
    // DISCONNECT: server busy.
    sim.send(&[0xE0, 1, 0x89]);
    assert!(wire.lock().unwrap().client_dropped);
    assert_eq!(wire.lock().unwrap().from_client.len(), 1000);
}

#[test]
fn what_was_published_when_the_server_said_disconnect_is_not_sent_after_it() {
    let (client, mut sim) = Sim::connected(options());
    let wire = sim.wire();
    // DISCONNECT: server busy.
    sim.lay(&[0xE0, 1, 0x89]);
    // So many that their bytes are made before the driver looks.
    for _ in 0..100 {
        drop(client.publish("a", "b").try_enqueue().unwrap());
    }
    sim.settle();
    assert!(wire.lock().unwrap().client_dropped);
    assert!(wire.lock().unwrap().from_client.is_empty());
}

#[test]
fn what_waits_when_the_server_does_not_answer_a_ping_is_not_sent() {
    let (_client, mut sim) = stuck(options().keep_alive(SECOND));
    let wire = sim.wire();
    // The PINGREQ is due after 750 ms, its answer 10 s later.
    sim.advance(Duration::from_millis(10_749));
    assert!(!wire.lock().unwrap().client_dropped);
    sim.advance(Duration::from_millis(1));
    assert!(wire.lock().unwrap().client_dropped);
    assert_eq!(wire.lock().unwrap().from_client.len(), 1000);
}

#[test]
fn one_pingreq_follows_a_publish_for_which_the_transport_took_its_time() {
    let (_client, mut sim) = stuck(options().keep_alive(SECOND));
    for _ in 0..9 {
        sim.advance(SECOND);
    }
    sim.set_window(None);
    let packets = sim.packets();
    assert_eq!(packets.len(), 2);
    assert_eq!(packets[0][0], 0x32);
    assert_eq!(packets[1], [0xC0, 0]);
}
