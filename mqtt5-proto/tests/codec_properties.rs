//! Whatever can be built can be written, is read back as the same, and is written as the same
//! bytes again; however a stream of it is cut into pieces.

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

use bytes::BytesMut;
use codec_support::{packet, written};
use mqtt5_proto::codec::{DecodeError, Decoder, Encode, Frame};
use mqtt5_proto::packet::{Packet, ReceivedPublish};
use parts::Parts;
use proptest::collection::vec;
use proptest::prelude::*;
use strategies::parts;

/// The packets of a stream, then how it ended: with so many bytes left over, or with an error.
fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Result<usize, DecodeError>) {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(buffer.len()))
}

/// Any bytes are refused within their bounds, or mean what their shortest form means.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    match Packet::parse(bytes) {
        Ok(view) => {
            let again = written(&view);
            // A refusal in the manner of MQTT 3.1.1 has no Property Length.
            let v3 = bytes[0] == 0x20 && bytes.len() == 4;
            prop_assert!(again.len() <= bytes.len() + usize::from(v3));
            let shortest = Packet::parse(&again).unwrap();
            prop_assert_eq!(shortest, view);
            prop_assert_eq!(written(&shortest), again);
        }
        Err(error) => {
            prop_assert!(error.offset <= bytes.len());
            prop_assert_eq!(Packet::parse_strict(bytes), Err(error));
        }
    }
    Ok(())
}

/// All legal forms of a packet that is `bytes` in its shortest form, by what may be left out: a
/// Property Length of 0, and a reason code of 0 before it.
fn longer_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    // PUBACK, PUBREC, PUBREL and PUBCOMP begin with a Packet Identifier, DISCONNECT does not.
    let fixed = match bytes[0] >> 4 {
        4..=7 => 2,
        14 => 0,
        _ => return Vec::new(),
    };
    // If the Remaining Length takes more bytes, nothing was left out.
    let body = &bytes[2..];
    let added: &[&[u8]] = match body.len() - fixed {
        0 => &[&[0], &[0, 0]],
        1 => &[&[0]],
        _ => &[],
    };
    let forms = added.iter();
    forms
        .map(|added| packet(bytes[0], &[body, added].concat()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_the_same(parts in parts()) {
        let bytes = parts.written();
        let view = Packet::parse_strict(&bytes).unwrap();
        parts.assert_same(&view);
        prop_assert_eq!(written(&view), &bytes[..]);
        let mut head = BytesMut::new();
        prop_assert_eq!(view.encode_without_payload(&mut head), Ok(bytes.len()));
        prop_assert!(bytes.starts_with(&head));

        let received = ReceivedPublish::new(Frame::copy_from(&bytes));
        let Packet::Publish(view) = view else {
            prop_assert!(received.is_err());
            return Ok(());
        };
        let received = received.unwrap();
        prop_assert_eq!(&bytes[head.len()..], view.payload());
        prop_assert_eq!(received.topic(), view.topic());
        prop_assert_eq!(received.delivery(), view.delivery());
        prop_assert_eq!(received.retain(), view.retain());
        prop_assert_eq!(received.properties(), view.properties());
        prop_assert_eq!(
            received.properties().to_message_properties(),
            view.properties().to_message_properties()
        );
        prop_assert_eq!(received.properties().topic_alias(), view.properties().topic_alias());
        prop_assert_eq!(received.payload(), view.payload());
        prop_assert_eq!(received.payload_bytes(), view.payload());
        prop_assert_eq!(received.packet_size(), bytes.len());
    }

    #[test]
    fn what_comes_in_a_longer_form_is_written_in_the_shortest(parts in parts()) {
        let shortest = parts.written();
        for longer in longer_forms(&shortest) {
            let view = Packet::parse_strict(&longer).unwrap();
            parts.assert_same(&view);
            prop_assert_eq!(written(&view), &shortest[..]);
        }
    }

    #[test]
    fn a_packet_that_is_cut_is_refused_and_one_that_goes_on_too(parts in parts(), at in any::<prop::sample::Index>()) {
        let mut bytes = parts.written();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(Packet::parse(cut).unwrap_err().offset, cut.len());
        bytes.push(0);
        prop_assert!(Packet::parse(&bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_may_be_cut_anywhere(packets in vec(parts(), 1..6)) {
        let packets: Vec<_> = packets.iter().map(Parts::written).collect();
        let stream = packets.concat();
        let whole = frames(&[&stream]);
        prop_assert_eq!(whole.1, Ok(0));
        prop_assert!(whole.0.iter().map(Frame::as_slice).eq(packets.iter().map(|p| &p[..])));
        prop_assert_eq!(frames(&stream.chunks(1).collect::<Vec<_>>()), whole.clone());
        for at in 0..=stream.len() {
            let (first, second) = stream.split_at(at);
            prop_assert_eq!(frames(&[first, second]), whole.clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in vec(any::<u8>(), 0..80), fit in any::<bool>()) {
        if fit && bytes.len() >= 2 {
            bytes[1] = u8::try_from(bytes.len() - 2).unwrap();
        }
        check(&bytes)?;
    }

    #[test]
    fn a_damaged_packet_is_read_or_refused(
        parts in parts(),
        damages in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        let mut bytes = parts.written();
        for (at, byte, kind) in damages {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte & 7),
                2 => bytes.insert(at, byte),
                _ => drop((bytes.len() > 1).then(|| bytes.remove(at))),
            }
        }
        check(&bytes)?;
        // As if the damage were on purpose, behind a Remaining Length that is right again.
        let body = match bytes[1..].iter().position(|byte| byte & 0x80 == 0) {
            Some(end) => &bytes[end + 2..],
            None => &[],
        };
        check(&packet(bytes[0], body))?;
    }

    #[test]
    fn any_bytes_are_the_same_stream_however_they_come(bytes in vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(frames(&bytes.chunks(1).collect::<Vec<_>>()), frames(&[&bytes]));
    }
}
