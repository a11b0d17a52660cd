//! What a peer sends decides how much memory is taken: never more than a fixed multiple of what
//! arrived, whatever the bytes claim, and for a session never more than its limits allow.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod codec_support;
#[path = "codec_support/parts.rs"]
mod parts;
#[path = "codec_support/strategies.rs"]
mod strategies;

use std::num::NonZeroU16;

use allocation_counter::{AllocationInfo, measure};
use bytes::BytesMut;
use codec_support::packet;
use mqtt5_proto::codec::{Decoder, Frame, MaximumPacketSize, Utf8String};
use mqtt5_proto::packet::{Packet, ReceivedPublish};
use mqtt5_proto::session::{Event, InputStatus, SessionConfig};
use mqtt5_proto::{Instant, Session};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use strategies::parts;

/// An owned User Property takes 80 bytes and can arrive in 5; a list that grows is, for a moment,
/// there twice, the new one up to double in size.
const OWNED: u64 = 80 / 5 * 3;

/// A packet of a stream is copied once at most; or it takes its part of the buffer along, which
/// costs a little for being shared.
const FRAMES: u64 = 2;

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damages = vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (parts(), damages).prop_map(|(parts, damages)| {
        let mut bytes = parts.written();
        for (at, byte) in damages {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..80), damaged()]
}

/// What it takes at most to own all that a packet says.
fn own(packet: &Packet<'_>) -> AllocationInfo {
    measure(|| match packet {
        Packet::Connect(connect) => {
            let _ = (
                connect.authentication(),
                connect.will().map(|will| will.to_will()),
            );
        }
        Packet::Connack(connack) => drop(connack.properties().to_owned()),
        Packet::Publish(publish) => drop(publish.properties().to_message_properties()),
        Packet::Puback(ack) => drop(ack.properties().to_owned()),
        Packet::Suback(ack) => drop(ack.properties().to_owned()),
        Packet::Disconnect(disconnect) => drop(disconnect.properties().to_owned()),
        _ => {}
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_a_packet_allocates_nothing_and_owning_it_a_multiple_of_its_size(bytes in any_bytes()) {
        let size = bytes.len() as u64;
        let reading = measure(|| {
            let _ = Packet::parse(&bytes);
            let _ = Packet::parse_strict(&bytes);
        });
        prop_assert_eq!(reading.count_total, 0);
        if let Ok(packet) = Packet::parse(&bytes) {
            let owning = own(&packet);
            prop_assert!(owning.bytes_max <= OWNED * size, "{owning:?} for {size} bytes");
            prop_assert_eq!(owning.bytes_current, 0);
        }
        let frame = Frame::copy_from(&bytes);
        let receiving = measure(|| drop(ReceivedPublish::new(frame)));
        prop_assert_eq!(receiving.count_total, 0);
    }

    #[test]
    fn cutting_a_stream_allocates_no_more_than_arrives(stream in vec(any_bytes(), 0..6), piece in 1..50_usize) {
        let stream = stream.concat();
        let mut buffer = BytesMut::new();
        let mut decoder = Decoder::new(MaximumPacketSize::PROTOCOL);
        for bytes in stream.chunks(piece) {
            // The caller's own.
            buffer.extend_from_slice(bytes);
            let available = buffer.len() as u64;
            let mut ended = false;
            let cutting = measure(|| {
                loop {
                    match decoder.next_frame(&mut buffer) {
                        Ok(Some(frame)) => drop(frame),
                        Ok(None) => break,
                        Err(_) => {
                            ended = true;
                            break;
                        }
                    }
                }
            });
            prop_assert!(cutting.bytes_total <= FRAMES * available, "{cutting:?}, {available}");
            if ended {
                break;
            }
        }
    }
}

#[test]
fn a_claimed_size_reserves_nothing() {
    // A PUBLISH of 268,435,455 bytes behind its fixed header.
    let header = [0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1];
    let mut buffer = BytesMut::from(&header[..]);
    let mut decoder = Decoder::new(MaximumPacketSize::PROTOCOL);
    let cutting = measure(|| {
        assert_eq!(decoder.missing(&buffer), Ok(5 + 268_435_455 - 7));
        assert_eq!(decoder.next_frame(&mut buffer), Ok(None));
    });
    assert_eq!(cutting.count_total, 0);
    assert_eq!(buffer.capacity(), header.len());

    let (mut session, _) = connected(SessionConfig {
        maximum_packet_size: MaximumPacketSize::PROTOCOL,
        ..config()
    });
    let mut input = BytesMut::from(&header[..]);
    let taking = measure(|| {
        let missing = 5 + 268_435_455 - 7;
        let status = session.handle_input(&mut input, NOW);
        assert_eq!(status, InputStatus::NeedMore { missing });
    });
    assert_eq!(taking.count_total, 0);

    // A section of properties that claims as much, in a packet that is whole.
    let lying = packet(0x30, &[0, 1, b't', 0xFF, 0xFF, 0xFF, 0x7F]);
    let reading = measure(|| assert!(Packet::parse(&lying).is_err()));
    assert_eq!(reading.count_total, 0);
}

// --- Sessions ---------------------------------------------------------------

const NOW: Instant = Instant::ZERO;

/// Little may be in flight, and nothing be kept for aliases.
fn config() -> SessionConfig {
    SessionConfig {
        client_id: Utf8String::new("c").unwrap(),
        receive_maximum: NonZeroU16::new(8).unwrap(),
        ..SessionConfig::default()
    }
}

fn connected(config: SessionConfig) -> (Session, BytesMut) {
    let mut session = Session::new(config);
    let mut out = BytesMut::new();
    session.handle_opened(NOW);
    while session.poll_transmit(&mut out, NOW).is_some() {}
    session.handle_transmitted(out.len(), NOW);
    out.clear();
    let mut connack = BytesMut::from(&[0x20, 3, 0, 0, 0][..]);
    session.handle_input(&mut connack, NOW);
    assert!(matches!(session.poll_event(), Some(Event::Connected(_))));
    (session, out)
}

/// The events that wait: 256, and those of the packet that was the last. Their queue doubles, and
/// while it does it is there twice.
const EVENTS: u64 = 3 * 256 * size_of::<Event>() as u64;

/// The answers that wait: 64 KiB, and those to the packet that was the last. Their buffer doubles.
const ANSWERS: u64 = 3 * (64 << 10);

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_session_takes_no_more_than_arrives_and_its_limits_allow(stream in vec(any_bytes(), 0..40)) {
        let stream = stream.concat();
        let size = stream.len() as u64;
        let (mut session, _) = connected(config());
        let mut input = BytesMut::from(&stream[..]);
        let taking = measure(|| {
            session.handle_input(&mut input, NOW);
        });
        prop_assert!(taking.bytes_max <= OWNED * size + EVENTS, "{taking:?} for {size} bytes");
    }
}

/// Sends `stream` again and again to a session whose application takes the events and whose
/// transport does what `reads` says; the most memory that it takes meanwhile.
fn flood(config: SessionConfig, stream: &[u8], times: usize, reads: bool) -> u64 {
    let (mut session, mut out) = connected(config);
    let mut input = BytesMut::with_capacity(stream.len());
    let taken = measure(|| {
        for _ in 0..times {
            if input.is_empty() {
                input.extend_from_slice(stream);
            }
            session.handle_input(&mut input, NOW);
            while session.poll_event().is_some() {}
            while reads && session.poll_transmit(&mut out, NOW).is_some() {
                session.handle_transmitted(out.len(), NOW);
                out.clear();
            }
        }
    });
    assert_ne!(session.phase(), mqtt5_proto::session::Phase::Offline);
    taken.bytes_max
}

/// What is kept of messages whose PUBACK was written and did not leave: 96 bytes at most for the
/// five bytes or more of each, in a queue that doubles.
const UNSENT: u64 = 3 * (64 << 10) / 5 * 96;

#[test]
fn a_flood_takes_no_more_memory_the_longer_it_lasts() {
    let floods: [(&str, Vec<u8>, u64); 7] = [
        ("PUBLISH of QoS 0", packet(0x30, &[0, 1, b't', 0]), EVENTS),
        ("SUBACK for nothing", packet(0x90, &[0, 9, 0, 0]), EVENTS),
        ("PINGRESP", packet(0xD0, &[]), 0),
        ("PUBREL for nothing", packet(0x62, &[0, 9]), ANSWERS),
        ("PUBREC for nothing", packet(0x50, &[0, 9]), ANSWERS),
        (
            "the same PUBLISH of QoS 2",
            packet(0x34, &[0, 1, b't', 0, 9, 0]),
            1000,
        ),
        (
            "PUBLISH that is refused",
            packet(0x32, &[0, 1, b'+', 0, 9, 0]),
            EVENTS + ANSWERS + UNSENT,
        ),
    ];
    for (name, one, bound) in floods {
        let stream = one.repeat(5000);
        for reads in [true, false] {
            let most = flood(config(), &stream, 50, reads);
            assert!(most <= bound, "{name}, reads: {reads}: {most} of {bound}");
            let later = flood(config(), &stream, 300, reads);
            assert_eq!(later, most, "{name}, reads: {reads}");
        }
    }
}

#[test]
fn topic_aliases_hold_no_more_than_they_may() {
    let config = SessionConfig {
        topic_alias_maximum: 4,
        ..config()
    };
    let mut stream = Vec::new();
    // Each alias stands for 5,000 bytes, time and again another topic.
    for round in 0..20_u8 {
        for alias in 1..=4 {
            let mut body = vec![0x13, 0x88];
            body.extend(vec![b'a' + round; 5000]);
            body.extend([3, 0x23, 0, alias]);
            stream.extend(packet(0x30, &body));
        }
    }
    let most = flood(config.clone(), &stream, 5, true);
    // Four topics and one that replaces another; the messages that wait, copied from the input.
    let bound = 5 * 5100 + EVENTS + 2 * stream.len() as u64;
    assert!(most <= bound, "{most} of {bound}");
    assert_eq!(flood(config, &stream, 50, true), most);
}

#[test]
fn messages_in_flight_are_bounded_by_the_receive_maximum() {
    let mut stream = Vec::new();
    for id in 1..=200 {
        stream.extend(packet(0x32, &[0, 1, b't', 0, id, 0]));
    }
    let (mut session, _) = connected(config());
    let mut input = BytesMut::from(&stream[..]);
    assert_eq!(session.handle_input(&mut input, NOW), InputStatus::Closed);
    let messages = std::iter::from_fn(|| session.poll_event())
        .filter(|event| matches!(event, Event::Message(_)))
        .count();
    assert_eq!(messages, 8);
}

/// Of what a strategy makes a part has to be legal, else the properties above say little.
#[test]
fn damaged_packets_are_not_all_broken() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut legal = 0;
    for _ in 0..1000 {
        let bytes = damaged().new_tree(&mut runner).unwrap().current();
        legal += u32::from(Packet::parse(&bytes).is_ok());
    }
    assert!((300..1000).contains(&legal), "{legal}");
}
