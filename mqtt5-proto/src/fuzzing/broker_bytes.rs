//! A connected client, and a hostile broker.

use alloc::vec::Vec;

use super::choices::Choices;
use super::client::Client;
use super::{application, server};
use crate::packet::PublishReasonCode;
use crate::session::{Event, InputStatus};

/// Any bytes at all, from the broker of a client that has operations open: the connection goes on
/// or ends as it must, and every operation gets one verdict. What the client makes of the bytes
/// does not depend on the pieces in which they come.
pub fn broker_bytes(data: &[u8]) {
    let mut choices = Choices::new(data);
    let how = choices.byte();
    let piece = usize::from(how >> 2).max(1);
    if how & 1 == 0 {
        let whole = stream(choices.clone(), usize::MAX);
        assert_eq!(stream(choices, piece), whole);
    } else {
        conversation(choices, piece, how & 2 != 0);
    }
}

/// A client with a message of each QoS and a request of each kind on their way. Takes twelve
/// bytes, the last of which says whether a CONNACK comes from here or not.
fn client(choices: &mut Choices<'_>) -> Client {
    let mut client = Client::new(application::config(choices));
    let mut setup = Choices::new(choices.bytes(9));
    let mut bytes = Vec::new();
    client.open();
    client.poll(&mut bytes);
    client.transmit(u64::MAX);
    bytes.clear();
    server::connack(&mut setup, &mut bytes);
    let accepts = setup.byte();
    if accepts & 1 == 0 {
        client.give(&bytes);
    }
    for number in 0..3 {
        let message = application::message(number, &mut setup);
        let qos = [
            crate::QoS::AtMostOnce,
            crate::QoS::AtLeastOnce,
            crate::QoS::ExactlyOnce,
        ];
        client.publish(number, message.with_qos(qos[number as usize]));
    }
    client.subscribe(application::subscribe(&mut Choices::new(&[1, 0])));
    client.unsubscribe(application::unsubscribe(&mut Choices::new(&[2, 0, 1])));
    client.poll(&mut bytes);
    client.transmit(if accepts & 2 == 0 { u64::MAX } else { 30 });
    client
}

/// The bytes come in pieces; what the client makes of them and what it sends.
fn stream(mut choices: Choices<'_>, piece: usize) -> (Vec<Event>, Vec<u8>) {
    let mut client = client(&mut choices);
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    for bytes in choices.rest().chunks(piece) {
        give(&mut client, bytes, &mut events);
    }
    client.poll(&mut sent);
    client.transmit(u64::MAX);
    client.close();
    client.check();
    client.finish();
    (events, sent)
}

fn give(client: &mut Client, bytes: &[u8], events: &mut Vec<Event>) {
    let mut status = client.give(bytes);
    loop {
        while let Some(event) = client.session.poll_event() {
            client.event(&event);
            events.push(event);
        }
        match status {
            InputStatus::EventsWaiting => status = client.give(&[]),
            // A peer that does not read.
            InputStatus::OutputFull | InputStatus::NeedMore { .. } | InputStatus::Closed => return,
        }
    }
}

/// The application acknowledges what comes, and the client sends what it has, piece by piece.
fn conversation(mut choices: Choices<'_>, piece: usize, refuses: bool) {
    let mut client = client(&mut choices);
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    for bytes in choices.rest().chunks(piece) {
        give(&mut client, bytes, &mut events);
        for event in events.drain(..) {
            let Event::Message(message) = event else {
                continue;
            };
            if let Some(token) = message.token() {
                let code = if refuses {
                    PublishReasonCode::QuotaExceeded
                } else {
                    PublishReasonCode::Success
                };
                // The server may have released it, or used its identifier again.
                let _ = client.session.acknowledge(token, code);
            }
        }
        client.poll(&mut sent);
        client.transmit(u64::MAX);
        client.check();
    }
    client.close();
    client.finish();
}
