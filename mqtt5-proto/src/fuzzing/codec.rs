//! Bytes through the codec.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use bytes::BytesMut;

use crate::codec::{DecodeError, Decoder, Encode, Frame, MaximumPacketSize};
use crate::packet::{Packet, PacketType, Publish, PublishTopic, PublishView, ReceivedPublish};
use crate::topic::Topic;

/// Any bytes at all: decoding ends with a view or an error whose offset lies within, and whatever
/// a view offers can be read.
pub fn decode(data: &[u8]) {
    match Packet::parse(data) {
        Ok(packet) => {
            read_all(&packet);
            if let Err(error) = Packet::parse_strict(data) {
                assert!(error.offset <= data.len(), "{error:?}");
                assert_eq!(error.packet, Some(packet.packet_type()));
            }
            if let Packet::Publish(view) = packet {
                let owned = ReceivedPublish::new(Frame::copy_from(data)).expect("the same rules");
                assert_eq!(owned.delivery(), view.delivery());
                assert_eq!(owned.retain(), view.retain());
                assert_eq!(owned.topic(), view.topic());
                assert_eq!(owned.properties(), view.properties());
                assert_eq!(
                    Text::of(&owned.properties()),
                    Text::of(&view.properties()),
                    "{view:?}"
                );
                assert_eq!(owned.payload(), view.payload());
                assert_eq!(owned.packet_size(), data.len());
            }
        }
        Err(error) => {
            assert!(error.offset <= data.len(), "{error:?}");
            assert!(matches!(
                error.reason_code(),
                0x81 | 0x82 | 0x84 | 0x94 | 0x95
            ));
            assert_eq!(Packet::parse_strict(data), Err(error));
            assert!(ReceivedPublish::new(Frame::copy_from(data)).is_err());
        }
    }
}

/// Text that is told apart and not kept, which is faster by far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Text(u64);

impl Text {
    /// Formatting a view goes through every property and every entry of it.
    fn of(view: &impl fmt::Debug) -> Self {
        let mut text = Self::default();
        write!(text, "{view:?}").expect("a view can be formatted");
        text
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        Ok(())
    }
}

fn read_all(packet: &Packet<'_>) {
    Text::of(packet);
    match packet {
        Packet::Connect(connect) => {
            let _ = connect.authentication();
            if let Some(will) = connect.will() {
                will.to_will().expect("a Will that parses can be owned");
            }
        }
        Packet::Connack(connack) => drop(connack.properties().to_owned()),
        Packet::Disconnect(disconnect) => drop(disconnect.properties().to_owned()),
        Packet::Publish(publish) => drop(publish.properties().to_message_properties()),
        Packet::Subscribe(subscribe) => assert_ne!(subscribe.subscriptions().count(), 0),
        Packet::Unsubscribe(unsubscribe) => assert_ne!(unsubscribe.filters().count(), 0),
        Packet::Suback(suback) => drop(suback.reason_codes().collect::<Vec<_>>()),
        Packet::Unsuback(unsuback) => drop(unsuback.reason_codes().collect::<Vec<_>>()),
        _ => {}
    }
}

/// Any bytes at all: what can be decoded is written in a form that is not longer, reads as the
/// same and is written as the same again.
pub fn roundtrip(data: &[u8]) {
    let Ok(packet) = Packet::parse(data) else {
        return;
    };
    let first = write(&packet);
    // The answer of a server of MQTT 3.1.1 lacks a Property Length that ours has.
    let v3 = packet.packet_type() == PacketType::Connack && data.len() == 4;
    assert!(
        first.len() <= data.len() + usize::from(v3),
        "not minimal: {packet:?}"
    );
    let again = Packet::parse(&first).expect("what is written can be read");
    assert_eq!(again, packet);
    assert_eq!(write(&again), first);
    if let Packet::Publish(view) = packet {
        publish_roundtrip(&first, view);
    }
}

/// Through the builder; what was tolerated is gone then.
fn publish_roundtrip(bytes: &[u8], view: PublishView<'_>) {
    let properties = view.properties();
    let message = properties.to_message_properties();
    let subscriptions: Vec<_> = properties.subscription_identifiers().collect();
    let name = Topic::new(view.topic()).ok();
    let topic = match (&name, properties.topic_alias()) {
        (Some(name), None) => PublishTopic::Name(name),
        (Some(name), Some(alias)) => PublishTopic::NameAndAlias(name, alias),
        (None, Some(alias)) if view.topic().is_empty() => PublishTopic::Alias(alias),
        // A wildcard.
        (None, _) => return,
    };
    let built = write(&Publish {
        delivery: view.delivery(),
        retain: view.retain(),
        topic,
        properties: Some(&message),
        subscription_identifiers: &subscriptions,
        payload: view.payload(),
    });
    if Packet::parse_strict(bytes).is_ok() {
        // Only the order of the properties may differ.
        assert_eq!(built.len(), bytes.len());
    }
    let Ok(Packet::Publish(rebuilt)) = Packet::parse_strict(&built) else {
        panic!("a builder wrote what is not legal: {built:?}");
    };
    assert_eq!(rebuilt.properties().to_message_properties(), message);
    assert_eq!(rebuilt.payload(), view.payload());
}

fn write(packet: &impl Encode) -> BytesMut {
    let mut out = BytesMut::new();
    let size = packet.encode(&mut out).expect("it fits: it was read");
    assert_eq!(size, out.len());
    assert_eq!(packet.packet_size(), Ok(size));
    out
}

/// Any bytes at all, as a stream: it gives the same packets, and ends with the same error, whether
/// it comes whole, byte by byte or in pieces. The first byte of `data` chooses the size of the
/// pieces and that of the largest packet.
pub fn split(data: &[u8]) {
    let [choice, stream @ ..] = data else {
        return;
    };
    let limit = if choice & 0x80 == 0 { 2048 } else { 64 };
    let mut whole = Vec::new();
    let end = cut(stream, stream.len().max(1), limit, |frame| {
        whole.push(frame);
    });
    let taken: usize = whole.iter().map(|frame| frame.as_slice().len()).sum();
    assert!(whole.iter().flat_map(Frame::as_slice).eq(&stream[..taken]));
    assert!(end.is_err() || end == Ok(stream.len() - taken));
    for piece in [1, usize::from(choice & 0x7F).max(2)] {
        let mut frames = whole.iter();
        let again = cut(stream, piece, limit, |frame| {
            assert_eq!(frames.next(), Some(&frame));
        });
        assert_eq!(again, end);
        assert_eq!(frames.next(), None);
    }
}

/// Cuts `stream`, which comes in pieces, and tells how it ended: with so many bytes left over, or
/// with an error.
fn cut(
    stream: &[u8],
    piece: usize,
    limit: u32,
    mut take: impl FnMut(Frame),
) -> Result<usize, DecodeError> {
    let mut decoder = Decoder::new(MaximumPacketSize::new(limit).unwrap_or_default());
    let mut buffer = BytesMut::with_capacity(piece.max(64));
    // No packet can be whole before there are so many bytes.
    let mut due = 0;
    for bytes in stream.chunks(piece) {
        buffer.extend_from_slice(bytes);
        loop {
            let (held, missing) = (buffer.len(), decoder.missing(&buffer));
            match decoder.next_frame(&mut buffer) {
                Ok(Some(frame)) => {
                    assert_eq!(missing, Ok(0));
                    assert!(held >= due, "whole before it could be");
                    due = 0;
                    take(frame);
                }
                Ok(None) => {
                    let missing = missing.expect("the same header");
                    assert_ne!(missing, 0, "it is whole");
                    due = held + missing;
                    break;
                }
                Err(error) => {
                    assert_eq!(missing, Err(error));
                    return Err(error);
                }
            }
        }
    }
    Ok(buffer.len())
}
