//! SUBSCRIBE.

use super::{Step, cut, integer, packet_id, section, text};

/// A SUBSCRIBE.
#[derive(Debug)]
pub struct Subscribe<'a> {
    /// The Packet Identifier.
    pub packet_id: u16,
    /// The Subscription Identifier, or 0.
    pub identifier: u32,
    /// Filters and options, in which they can be read again.
    pub entries: &'a [u8],
    /// How many.
    pub count: usize,
}

/// Whether wildcards stand where they may.
#[inline]
fn is_filter(filter: &str) -> bool {
    let mut matched = filter.as_bytes();
    if let Some(shared) = matched.strip_prefix(b"$share/") {
        let Some(slash) = shared.iter().position(|byte| *byte == b'/') else {
            return false;
        };
        if slash == 0
            || shared[..slash]
                .iter()
                .any(|byte| matches!(byte, b'+' | b'#'))
        {
            return false;
        }
        matched = &shared[slash + 1..];
    }
    if matched.is_empty() {
        return false;
    }
    let mut before = b'/';
    for (index, &byte) in matched.iter().enumerate() {
        if byte == b'#' && (before != b'/' || index + 1 != matched.len()) {
            return false;
        }
        if (byte == b'+' && before != b'/') || (before == b'+' && byte != b'/') {
            return false;
        }
        before = byte;
    }
    true
}

/// A filter and its options.
#[inline]
pub(crate) fn entry(input: &[u8]) -> Step<'_, (&str, u8)> {
    let (filter, rest) = text(input)?;
    let (&options, rest) = rest.split_first()?;
    let legal = options & 0xC0 == 0
        && options & 3 != 3
        && options >> 4 != 3
        && is_filter(filter)
        && (options & 4 == 0 || !filter.starts_with("$share/"));
    legal.then_some(((filter, options), rest))
}

/// A SUBSCRIBE, and its size.
#[inline]
#[must_use]
pub fn subscribe(input: &[u8]) -> Option<(Subscribe<'_>, usize)> {
    let (first, body, size) = cut(input)?;
    if first != 0x82 {
        return None;
    }
    let (packet_id, rest) = packet_id(body)?;
    let (section, entries) = section(rest)?;
    let mut identifier = 0;
    let mut left = section;
    while let [id, value @ ..] = left {
        left = match id {
            0x0B if identifier == 0 => {
                let (value, rest) = integer(value).filter(|(value, _)| *value != 0)?;
                identifier = value as u32;
                rest
            }
            0x26 => text(text(value)?.1)?.1,
            _ => return None,
        };
    }
    let mut count = 0;
    left = entries;
    while !left.is_empty() {
        (_, left) = entry(left)?;
        count += 1;
    }
    let subscribe = Subscribe {
        packet_id,
        identifier,
        entries,
        count,
    };
    (count > 0).then_some((subscribe, size))
}
