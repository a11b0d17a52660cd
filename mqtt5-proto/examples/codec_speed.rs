//! Measures the codec beside the least that a hand-written one has to do.
//!
//! ```text
//! cargo run --release -p mqtt5-proto --example codec_speed
//! ```
//!
//! All variants run in turn, many times over; the best time of each is told, because noise only
//! ever adds. Figures are nanoseconds per packet.

#![allow(
    clippy::print_stdout,
    reason = "an example that measures has to tell the result"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use mqtt5_proto::Topic;
use mqtt5_proto::codec::{Decoder, Encode, FixedHeader};
use mqtt5_proto::packet::{Delivery, Packet, Publish, PublishTopic, ReceivedPublish};

const TOPIC: &str = "house/kitchen/temp";
const PACKETS: usize = 1000;
const ROUNDS: usize = 300;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let topic = Topic::new(TOPIC)?;
    let small = stream(&topic, 16)?;
    let medium = stream(&topic, 200)?;

    println!("decode PUBLISH QoS 0, {TOPIC:?}, 16 bytes, from a full buffer");
    compare(&mut [
        Variant::new("by hand, strict", || drain(&small, by_hand::strict)),
        Variant::new("by hand, lax", || drain(&small, by_hand::lax)),
        Variant::new("borrowed view", || drain(&small, view)),
        Variant::new("owned, inline", || owned(&small)),
    ]);

    println!("decode PUBLISH QoS 0, {TOPIC:?}, 200 bytes, from a full buffer");
    compare(&mut [
        Variant::new("by hand, strict", || drain(&medium, by_hand::strict)),
        Variant::new("by hand, lax", || drain(&medium, by_hand::lax)),
        Variant::new("borrowed view", || drain(&medium, view)),
        Variant::new("owned, copied", || owned(&medium)),
        Variant::new("owned, shared", || owned_shared(&medium)),
    ]);

    println!("encode PUBLISH QoS 0, {TOPIC:?}, 16 bytes");
    let payload = [b'x'; 16];
    let mut out = BytesMut::with_capacity(64 * 1024);
    let mut out_by_hand = out.clone();
    out_by_hand.reserve(64 * 1024);
    compare(&mut [
        Variant::new("by hand", || {
            timed(|| {
                out_by_hand.clear();
                for _ in 0..PACKETS {
                    by_hand::encode(
                        &mut out_by_hand,
                        black_box(TOPIC).as_bytes(),
                        black_box(&payload),
                    );
                }
                black_box(&out_by_hand);
            })
        }),
        Variant::new("Publish::encode", || {
            timed(|| {
                out.clear();
                for _ in 0..PACKETS {
                    let publish = publish(black_box(&topic), black_box(&payload));
                    let _ = black_box(publish.encode(&mut out));
                }
                black_box(&out);
            })
        }),
    ]);
    Ok(())
}

fn publish<'a>(topic: &'a Topic, payload: &'a [u8]) -> Publish<'a> {
    Publish {
        delivery: Delivery::AtMostOnce,
        retain: false,
        topic: PublishTopic::Name(topic),
        properties: None,
        subscription_identifiers: &[],
        payload,
    }
}

fn stream(topic: &Topic, payload_len: usize) -> Result<BytesMut, Box<dyn std::error::Error>> {
    let payload = vec![b'x'; payload_len];
    let mut out = BytesMut::new();
    for _ in 0..PACKETS {
        publish(topic, &payload).encode(&mut out)?;
    }
    Ok(out)
}

/// A way of doing the same thing, and the best time it took.
struct Variant<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> Duration + 'a>,
    best: Duration,
}

impl<'a> Variant<'a> {
    fn new(name: &'static str, run: impl FnMut() -> Duration + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
            best: Duration::MAX,
        }
    }
}

fn compare(variants: &mut [Variant<'_>]) {
    for _ in 0..ROUNDS {
        for variant in &mut *variants {
            variant.best = variant.best.min((variant.run)());
        }
    }
    let per_packet = |time: Duration| time.as_secs_f64() * 1e9 / PACKETS as f64;
    let base = variants.first().map_or(1.0, |first| per_packet(first.best));
    for variant in variants {
        let time = per_packet(variant.best);
        println!("  {:<18} {time:7.1} ns  x {:.2}", variant.name, time / base);
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Decodes all packets of `input`; `decode` returns the size of the first.
fn drain(input: &BytesMut, decode: fn(&[u8]) -> Option<usize>) -> Duration {
    timed(|| {
        let mut left = black_box(&input[..]);
        let mut count = 0;
        while let Some(size) = decode(left) {
            left = &left[size..];
            count += 1;
        }
        assert_eq!(count, PACKETS);
    })
}

fn view(input: &[u8]) -> Option<usize> {
    let header = FixedHeader::parse(input).ok()??;
    let packet = input.get(..header.packet_size())?;
    match Packet::parse(packet).ok()? {
        Packet::Publish(publish) => {
            black_box((publish.topic(), publish.payload()));
            Some(packet.len())
        }
        _ => None,
    }
}

/// From a buffer of which every packet is a small part.
fn owned(input: &BytesMut) -> Duration {
    let mut input = input.clone();
    // Larger than four times any packet: nothing is shared.
    input.reserve(64 * 1024);
    let mut decoder = Decoder::default();
    timed(|| {
        let mut count = 0;
        while let Ok(Some(frame)) = decoder.next_frame(&mut input) {
            count += usize::from(ReceivedPublish::new(frame).map(black_box).is_ok());
        }
        assert_eq!(count, PACKETS);
    })
}

/// From buffers of one packet each, which is shared then.
fn owned_shared(input: &BytesMut) -> Duration {
    let size = input.len() / PACKETS;
    let mut buffers: Vec<BytesMut> = input.chunks(size).map(BytesMut::from).collect();
    let mut decoder = Decoder::default();
    timed(|| {
        for buffer in &mut buffers {
            let frame = decoder.next_frame(buffer);
            let publish = frame.ok().flatten().map(ReceivedPublish::new);
            assert!(matches!(black_box(publish), Some(Ok(_))));
        }
    })
}

/// What one writes who knows that only PUBLISH packets without properties come.
#[allow(clippy::cast_possible_truncation, reason = "the lengths are known")]
mod by_hand {
    use super::{BufMut, BytesMut, black_box};

    fn remaining_length(input: &[u8]) -> Option<(usize, usize)> {
        let mut value = 0;
        for index in 0..4 {
            let byte = *input.get(1 + index)?;
            value |= usize::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                return Some((2 + index, value));
            }
        }
        None
    }

    /// Cuts the packet into pieces and checks only that they fit.
    pub(super) fn lax(input: &[u8]) -> Option<usize> {
        let (start, length) = remaining_length(input)?;
        if input[0] & 0xF0 != 0x30 {
            return None;
        }
        let body = input.get(start..start + length)?;
        let topic_len = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
        let topic = body.get(2..2 + topic_len)?;
        let rest = body.get(2 + topic_len..)?;
        let properties = usize::from(*rest.first()?);
        let payload = rest.get(1 + properties..)?;
        black_box((topic, payload));
        Some(start + length)
    }

    /// Checks flags, UTF-8, U+0000 and the property length too.
    pub(super) fn strict(input: &[u8]) -> Option<usize> {
        let (start, length) = remaining_length(input)?;
        if start > 2 && input[start - 1] == 0 {
            return None;
        }
        let first = input[0];
        if first & 0xF0 != 0x30 || first & 0x0E != 0 {
            return None;
        }
        let body = input.get(start..start + length)?;
        let topic_len = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
        let topic = core::str::from_utf8(body.get(2..2 + topic_len)?).ok()?;
        if topic.is_empty() || topic.as_bytes().contains(&0) {
            return None;
        }
        let rest = body.get(2 + topic_len..)?;
        if *rest.first()? != 0 {
            return None;
        }
        let payload = rest.get(1..)?;
        black_box((topic, payload));
        Some(start + length)
    }

    pub(super) fn encode(out: &mut BytesMut, topic: &[u8], payload: &[u8]) {
        let mut length = 2 + topic.len() + 1 + payload.len();
        out.reserve(5 + length);
        out.put_u8(0x30);
        loop {
            let low = length as u8 & 0x7F;
            length >>= 7;
            if length == 0 {
                out.put_u8(low);
                break;
            }
            out.put_u8(low | 0x80);
        }
        out.put_u16(topic.len() as u16);
        out.put_slice(topic);
        out.put_u8(0);
        out.put_slice(payload);
    }
}
