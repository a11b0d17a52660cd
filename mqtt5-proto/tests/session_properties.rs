//! What a session makes of a stream of packets does not depend on the pieces in which it comes, and
//! nothing that comes makes it panic.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod session_support;

use mqtt5_proto::session::{Event, InputStatus, SessionConfig};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use session_support::*;

/// A client with a message of each QoS, a SUBSCRIBE and an UNSUBSCRIBE on their way, and another
/// message released: Packet Identifiers 1 to 5.
fn busy() -> Peer {
    let config = SessionConfig {
        topic_alias_maximum: 2,
        receive_maximum: maximum(4),
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.qos0("0");
    peer.qos1("1");
    peer.qos2("2");
    peer.qos2("3");
    peer.drain();
    peer.subscribe(&["a", "b"]);
    peer.unsubscribe(&["a"]);
    peer.drain();
    peer.given("50 02 00 03");
    peer.drain();
    peer.events();
    peer
}

/// What a server may answer, to Packet Identifiers in use and others; and what it may not.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let answers = (
        select(vec![0x40, 0x50, 0x62, 0x70]),
        0..8_u8,
        select(vec![None, Some(0), Some(0x10), Some(0x80), Some(0x92)]),
    )
        .prop_map(|(first, id, code)| match code {
            None => vec![first, 2, 0, id],
            Some(code) => vec![first, 3, 0, id, code],
        });
    let granted =
        (select(vec![0x90, 0xB0]), 0..8_u8, vec(0..3_u8, 0..4)).prop_map(|(first, id, codes)| {
            let length = u8::try_from(3 + codes.len()).unwrap();
            [&[first, length, 0, id, 0], &codes[..]].concat()
        });
    let published =
        (0..12_u8, 1..8_u8, 0..5_u8, 0..40_usize).prop_map(|(flags, id, alias, size)| {
            let mut body = [&[0, 1, b'a'][..], &[0, 0]][usize::from(alias > 2)].to_vec();
            if flags & 6 != 0 {
                body.extend([0, id]);
            }
            match alias {
                0 => body.push(0),
                alias => body.extend([3, 0x23, 0, 1 + alias % 3]),
            }
            body.resize(body.len() + size, b'p');
            [
                &[0x30 | flags, u8::try_from(body.len()).unwrap()],
                &body[..],
            ]
            .concat()
        });
    prop_oneof![
        6 => answers,
        3 => granted,
        6 => published,
        1 => Just(vec![0xD0, 0]),
        1 => Just(vec![0xE0, 1, 0x8B]),
        1 => vec(any::<u8>(), 1..6),
    ]
}

/// What the session tells and sends, and how it wants to go on.
fn outcome(pieces: &[&[u8]]) -> (Vec<Event>, Vec<u8>, InputStatus) {
    let mut peer = busy();
    let mut status = peer.given_nothing();
    for piece in pieces {
        status = peer.given_bytes(piece);
    }
    let mut events = peer.events();
    let sent = peer.drain();
    peer.cut();
    events.extend(peer.events());
    (events, sent, status)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_may_come_in_any_pieces(packets in vec(packet(), 0..10)) {
        let stream = packets.concat();
        let whole = outcome(&[&stream]);
        prop_assert_eq!(&outcome(&stream.chunks(1).collect::<Vec<_>>()), &whole);
        for at in 0..=stream.len() {
            let (first, second) = stream.split_at(at);
            prop_assert_eq!(&outcome(&[first, second]), &whole);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_every_operation_gets_its_verdict(
        packets in vec(packet(), 0..10),
        rest in vec(any::<u8>(), 0..20),
    ) {
        let mut peer = busy();
        let before = peer.session.pending_operations();
        for bytes in packets.iter().chain([&rest]) {
            peer.given_bytes(bytes);
            peer.drain();
        }
        peer.session.abandon(peer.now);
        let verdicts = peer.events().iter().filter(|event| is_verdict(event)).count();
        prop_assert_eq!((before, verdicts), (5, 5));
        prop_assert_eq!(peer.session.pending_operations(), 0);
        prop_assert_eq!(peer.session.pending_bytes(), 0);
    }
}

fn is_verdict(event: &Event) -> bool {
    matches!(
        event,
        Event::Published { .. } | Event::Subscribed { .. } | Event::Unsubscribed { .. }
    )
}

#[test]
fn the_session_of_these_tests_has_something_to_lose() {
    let mut peer = busy();
    // Two of its messages wait for PUBACK and PUBREC, one for PUBCOMP, two requests for answers.
    assert_eq!(peer.session.pending_operations(), 5);
    for (bytes, verdicts) in [
        ("40 02 00 01", 1),
        ("50 03 00 02 80", 1),
        ("70 02 00 03", 1),
        ("90 05 00 04 00 00 01", 1),
        ("B0 04 00 05 00 00", 1),
    ] {
        peer.given(bytes);
        assert_eq!(
            peer.events()
                .iter()
                .filter(|event| is_verdict(event))
                .count(),
            verdicts
        );
    }
    assert_eq!(peer.session.pending_operations(), 0);
}
