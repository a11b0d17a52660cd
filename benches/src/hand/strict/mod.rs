//! Decoding with the checks that ours makes: UTF-8 without U+0000, topics without wildcards,
//! filters, reserved bits, shortest integers, Packet Identifiers, unknown and repeated properties,
//! reason codes.

mod connect;
mod subscribe;

pub use connect::{Connect, Will, connect};
pub(crate) use subscribe::entry;
pub use subscribe::{Subscribe, subscribe};

/// What is left of the input, and what was read.
type Step<'a, T> = Option<(T, &'a [u8])>;

#[inline]
fn be_u16(input: &[u8]) -> Step<'_, u16> {
    let (bytes, rest) = input.split_first_chunk()?;
    Some((u16::from_be_bytes(*bytes), rest))
}

#[inline]
fn be_u32(input: &[u8]) -> Step<'_, u32> {
    let (bytes, rest) = input.split_first_chunk()?;
    Some((u32::from_be_bytes(*bytes), rest))
}

#[inline]
fn integer(input: &[u8]) -> Step<'_, usize> {
    if let [byte @ 0..=0x7F, rest @ ..] = input {
        return Some((usize::from(*byte), rest));
    }
    let mut value = 0;
    for index in 0..4 {
        let byte = *input.get(index)?;
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return (byte != 0).then_some((value, &input[index + 1..]));
        }
    }
    None
}

#[inline]
fn data(input: &[u8]) -> Step<'_, &[u8]> {
    let (len, rest) = be_u16(input)?;
    rest.split_at_checked(usize::from(len))
}

/// The same byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Not 0 if one of eight bytes is 0.
#[inline]
pub(super) const fn zero(word: u64) -> u64 {
    word.wrapping_sub(eight(1)) & !word & eight(0x80)
}

/// Whether `odd` is 0 for all bytes, of which it sees eight at a time. Those of the end it may see
/// twice, and beyond the end `a`.
#[inline]
pub(super) fn none(bytes: &[u8], odd: impl Fn(u64) -> u64) -> bool {
    let Some(last) = bytes.last_chunk() else {
        let mut word = [b'a'; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        return odd(u64::from_ne_bytes(word)) == 0;
    };
    let mut found = odd(u64::from_ne_bytes(*last));
    for chunk in bytes.as_chunks().0 {
        found |= odd(u64::from_ne_bytes(*chunk));
    }
    found == 0
}

/// Not 0 if one of eight bytes is U+0000 or a wildcard.
#[inline]
pub(super) const fn not_in_topic(word: u64) -> u64 {
    zero(word) | zero(word ^ eight(b'+')) | zero(word ^ eight(b'#'))
}

#[inline]
fn text(input: &[u8]) -> Step<'_, &str> {
    let (bytes, rest) = data(input)?;
    let text = core::str::from_utf8(bytes).ok()?;
    none(bytes, zero).then_some((text, rest))
}

/// Text without U+0000 and wildcards, looked at once for both.
#[inline]
fn topic(input: &[u8]) -> Step<'_, &str> {
    let (bytes, rest) = data(input)?;
    let text = core::str::from_utf8(bytes).ok()?;
    none(bytes, not_in_topic).then_some((text, rest))
}

#[inline]
fn packet_id(input: &[u8]) -> Step<'_, u16> {
    be_u16(input).filter(|(id, _)| *id != 0)
}

#[inline]
fn section(input: &[u8]) -> Step<'_, &[u8]> {
    let (len, rest) = integer(input)?;
    rest.split_at_checked(len)
}

/// First byte, body and size of the packet at the start of `input`.
#[inline]
fn cut(input: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&first, rest) = input.split_first()?;
    let (len, rest) = integer(rest)?;
    let body = rest.get(..len)?;
    Some((first, body, input.len() - rest.len() + len))
}

/// The properties of a PUBLISH.
#[derive(Debug, Default)]
pub struct Properties<'a> {
    /// Which there are: a bit for each identifier.
    pub present: u64,
    /// Payload Format Indicator.
    pub format: u8,
    /// Message Expiry Interval.
    pub expiry: u32,
    /// Topic Alias.
    pub alias: u16,
    /// Content Type.
    pub content_type: &'a str,
    /// Response Topic.
    pub response_topic: &'a str,
    /// Correlation Data.
    pub correlation: &'a [u8],
    /// The whole section, in which the User Properties can be read again.
    pub section: &'a [u8],
}

/// Notes a property that may come once.
#[inline]
fn once(present: &mut u64, id: u8) -> Option<()> {
    let bit = 1 << id;
    if *present & bit != 0 {
        return None;
    }
    *present |= bit;
    Some(())
}

#[inline]
fn properties(section: &[u8]) -> Option<Properties<'_>> {
    let mut found = Properties {
        section,
        ..Properties::default()
    };
    let mut left = section;
    while let [id, value @ ..] = left {
        match id {
            0x26 => {
                let (_, rest) = text(value)?;
                (_, left) = text(rest)?;
                found.present |= 1 << 0x26;
                continue;
            }
            0x0B => {
                (_, left) = integer(value).filter(|(id, _)| *id != 0)?;
                found.present |= 1 << 0x0B;
                continue;
            }
            0x01 => (found.format, left) = (*value.first()?, &value[1..]),
            0x02 => (found.expiry, left) = be_u32(value)?,
            0x03 => (found.content_type, left) = text(value)?,
            0x08 => (found.response_topic, left) = text(value)?,
            0x09 => (found.correlation, left) = data(value)?,
            0x23 => (found.alias, left) = be_u16(value).filter(|(alias, _)| *alias != 0)?,
            _ => return None,
        }
        once(&mut found.present, *id)?;
    }
    Some(found)
}

/// The User Properties of a section that was checked.
pub fn user_properties(section: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    let mut left = section;
    core::iter::from_fn(move || {
        while let [id, value @ ..] = left {
            left = match id {
                0x26 => {
                    let (name, rest) = text(value)?;
                    let (value, rest) = text(rest)?;
                    left = rest;
                    return Some((name, value));
                }
                0x01 => value.get(1..)?,
                0x02 | 0x11 | 0x18 | 0x27 => value.get(4..)?,
                0x21..=0x23 => value.get(2..)?,
                0x0B => integer(value)?.1,
                _ => data(value)?.1,
            };
        }
        None
    })
}

/// A PUBLISH.
#[derive(Debug)]
pub struct Publish<'a> {
    /// The first byte: QoS, DUP and RETAIN are in it.
    pub first: u8,
    /// The Packet Identifier, or 0.
    pub packet_id: u16,
    /// The topic.
    pub topic: &'a str,
    /// The properties, if any.
    pub properties: Option<Properties<'a>>,
    /// The payload.
    pub payload: &'a [u8],
}

#[inline]
fn publish_body(first: u8, body: &[u8]) -> Option<Publish<'_>> {
    let qos = first & 0b110;
    if qos == 0b110 || first & 0b1110 == 0b1000 {
        return None;
    }
    let (topic, mut rest) = topic(body)?;
    let mut id = 0;
    if qos != 0 {
        (id, rest) = packet_id(rest)?;
    }
    let (properties, payload) = if let [0, payload @ ..] = rest {
        (None, payload)
    } else {
        let (section, payload) = section(rest)?;
        (Some(properties(section)?), payload)
    };
    if topic.is_empty() && properties.as_ref().is_none_or(|found| found.alias == 0) {
        return None;
    }
    Some(Publish {
        first,
        packet_id: id,
        topic,
        properties,
        payload,
    })
}

/// A PUBLISH, and its size.
#[inline]
#[must_use]
pub fn publish(input: &[u8]) -> Option<(Publish<'_>, usize)> {
    let (first, body, size) = cut(input)?;
    if first >> 4 != 3 {
        return None;
    }
    Some((publish_body(first, body)?, size))
}

/// Topic, payload and size of a PUBLISH of QoS 0 without properties, with the same checks; but the
/// topic stays bytes, which saves the second look that safe code needs to make a `str`.
#[inline]
#[must_use]
#[allow(clippy::type_complexity, reason = "a packet cut into pieces")]
pub fn plain_publish(input: &[u8]) -> Option<((&[u8], &[u8]), usize)> {
    let (first, body, size) = cut(input)?;
    let (topic, rest) = data(body)?;
    if !none(topic, |word| not_in_topic(word) | (word & eight(0x80))) {
        self::topic(body)?;
    }
    let [0, payload @ ..] = rest else {
        return None;
    };
    (first & 0xFE == 0x30 && !topic.is_empty()).then_some(((topic, payload), size))
}

/// An acknowledgement.
#[derive(Debug)]
pub struct Ack<'a> {
    /// The Packet Identifier.
    pub packet_id: u16,
    /// The reason code.
    pub reason: u8,
    /// The property section.
    pub properties: &'a [u8],
}

fn ack_properties(section: &[u8]) -> Option<()> {
    let mut left = section;
    let mut present = 0;
    while let [id, value @ ..] = left {
        left = match id {
            0x1F => {
                once(&mut present, *id)?;
                text(value)?.1
            }
            0x26 => text(text(value)?.1)?.1,
            _ => return None,
        };
    }
    Some(())
}

#[inline]
fn ack_body(kind: u8, body: &[u8]) -> Option<Ack<'_>> {
    let (packet_id, rest) = packet_id(body)?;
    let [reason, rest @ ..] = rest else {
        return Some(Ack {
            packet_id,
            reason: 0,
            properties: &[],
        });
    };
    // A failure that the standard does not list is a failure all the same, but not in a PUBREL.
    let known = match kind {
        4 | 5 => matches!(reason, 0x00 | 0x10 | 0x80..),
        6 => matches!(reason, 0x00 | 0x92),
        _ => matches!(reason, 0x00 | 0x80..),
    };
    if !known {
        return None;
    }
    let mut properties: &[u8] = &[];
    if !rest.is_empty() {
        let (section, end) = section(rest)?;
        if !end.is_empty() {
            return None;
        }
        ack_properties(section)?;
        properties = section;
    }
    Some(Ack {
        packet_id,
        reason: *reason,
        properties,
    })
}

/// A PUBACK, and its size.
#[inline]
#[must_use]
pub fn puback(input: &[u8]) -> Option<(Ack<'_>, usize)> {
    let (first, body, size) = cut(input)?;
    if first != 0x40 {
        return None;
    }
    Some((ack_body(4, body)?, size))
}

/// A packet that a client receives.
#[derive(Debug)]
pub enum Packet<'a> {
    /// PUBLISH.
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP: which, and what is in it.
    Ack(u8, Ack<'a>),
    /// SUBACK: Packet Identifier and reason codes.
    Suback(u16, &'a [u8]),
    /// PINGRESP.
    Pingresp,
}

/// Any packet that a connected client receives, and its size; `None` if it is not whole.
#[inline]
#[must_use]
pub fn packet(input: &[u8]) -> Option<(Packet<'_>, usize)> {
    let (first, body, size) = cut(input)?;
    let packet = match first {
        0x30..=0x3F => Packet::Publish(publish_body(first, body)?),
        0x40 | 0x50 | 0x62 | 0x70 => Packet::Ack(first >> 4, ack_body(first >> 4, body)?),
        0x90 => {
            let (packet_id, rest) = packet_id(body)?;
            let (section, codes) = section(rest)?;
            ack_properties(section)?;
            if !codes.iter().all(|code| matches!(code, 0..=2 | 0x80..)) {
                return None;
            }
            Packet::Suback(packet_id, codes)
        }
        0xD0 if body.is_empty() => Packet::Pingresp,
        _ => return None,
    };
    Some((packet, size))
}
