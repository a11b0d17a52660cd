//! What a server says, as bytes put together without the codec under test. Most of it fits what
//! the client waits for.

use alloc::vec::Vec;

use super::application::METHOD;
use super::choices::Choices;
use super::wire::{Awaits, Use};

/// Appends a packet of fewer than 16,384 bytes to `out`.
fn packet(first: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    let [high, low] = u16::try_from(body.len()).unwrap_or(0).to_be_bytes();
    let (upper, lower) = (high << 1 | low >> 7, low & 0x7F);
    if upper == 0 {
        out.push(lower);
    } else {
        out.extend_from_slice(&[lower | 0x80, upper]);
    }
    out.extend_from_slice(body);
}

pub(super) fn connack(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let [a, b] = [choices.byte(), choices.byte()];
    let mut properties = Vec::new();
    let mut add = |wanted: bool, bytes: &[u8]| {
        if wanted {
            properties.extend_from_slice(bytes);
        }
    };
    add(a & 2 != 0, &[0x21, 0, 1 + (a >> 6)]);
    // 60, 4, 3 or 2 bytes.
    let size = [60, 60, 60, 60, 4, 3, 2, 60][usize::from(b & 7)];
    add(a & 4 != 0, &[0x27, 0, 0, 0, size]);
    add(a & 8 != 0, &[0x24, b >> 3 & 1]);
    add(a & 16 != 0, &[0x25, 0]);
    add(a & 32 != 0, b"\x12\0\x01s");
    add(b & 16 != 0, &[0x28, 0, 0x29, 0, 0x2A, 0]);
    add(b & 32 != 0, &[0x11, 0, 0, 0, b >> 3 & 1]);
    add(b & 64 != 0, &[0x13, 0, 10]);
    add(b & 128 != 0, &[0x15, 0, 1]);
    add(b & 128 != 0, METHOD.as_bytes());
    let code = [0, 0, 0, 0, 0, 0, 0x87, 1][choices.below(8)];
    let length = u8::try_from(properties.len()).unwrap_or(0);
    let present = a & u8::from(code == 0);
    packet(
        0x20,
        &[&[present, code, length], &properties[..]].concat(),
        out,
    );
}

/// The answer that the client waits for under one of its Packet Identifiers, or one that is off
/// by a little.
pub(super) fn answer(uses: &[Use], choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let [which, how] = [choices.byte(), choices.byte()];
    let Some(used) = uses.get(usize::from(which) % uses.len().max(1)) else {
        return;
    };
    let mut awaits = used.awaits;
    let [high, low] = used.id.get().to_be_bytes();
    if how & 0xE0 == 0xE0 {
        awaits = choices.one_of(&[
            Awaits::Puback,
            Awaits::Pubrec,
            Awaits::Pubcomp,
            Awaits::Suback(1),
            Awaits::Unsuback(1),
        ]);
    }
    let (first, count) = match awaits {
        Awaits::Puback => (0x40, 0),
        Awaits::Pubrec => (0x50, 0),
        Awaits::Pubcomp => (0x70, 0),
        Awaits::Suback(count) => (0x90, count),
        Awaits::Unsuback(count) => (0xB0, count),
    };
    let code = [0, 0, 0x80, 0xEE][usize::from(how & 3)];
    if first >= 0x90 {
        let count = count + usize::from(how & 0x1C == 0x1C);
        packet(
            first,
            &[&[high, low, 0], &[code; 4][..count.min(4)]].concat(),
            out,
        );
    } else if how & 4 == 0 && code == 0 {
        packet(first, &[high, low], out);
    } else if how & 8 == 0 {
        packet(first, &[high, low, code], out);
    } else {
        packet(first, &[high, low, code, 4, 0x1F, 0, 1, b'r'], out);
    }
}

/// A PUBLISH, whose Packet Identifier is one of a few.
pub(super) fn publish(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let [a, b] = [choices.byte(), choices.byte()];
    let qos = a & 3;
    let dup = if qos == 0 { 0 } else { a & 8 };
    let mut body = Vec::new();
    let topic: &[u8] = [&b"\0\x01a"[..], b"\0\0", b"\0\x01+", b"\0\x01b"][usize::from(a >> 6)];
    body.extend_from_slice(topic);
    if qos != 0 {
        body.extend_from_slice(&[0, 1 + (b & 15)]);
    }
    match (a >> 4 & 3, b >> 4) {
        (0, _) => body.push(0),
        (1, alias) => body.extend_from_slice(&[3, 0x23, 0, alias]),
        (2, format) => body.extend_from_slice(&[2, 0x01, format]),
        (_, identifier) => body.extend_from_slice(&[6, 0x0B, identifier, 0x08, 0, 1, b'r']),
    }
    let size = [0, 0, 1, 300][choices.below(4)];
    body.resize(body.len() + size, b'p');
    packet(0x30 | dup | qos << 1 | a >> 2 & 1, &body, out);
}

pub(super) fn pubrel(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let a = choices.byte();
    let id = 1 + (a & 15);
    if a & 16 == 0 {
        packet(0x62, &[0, id], out);
    } else {
        packet(0x62, &[0, id, 0x92], out);
    }
}

/// PINGRESP, AUTH, DISCONNECT.
pub(super) fn other(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let a = choices.byte();
    match a & 3 {
        0 | 1 => packet(0xD0, &[], out),
        2 => {
            let code = [0x18, 0, 0x19, 0x18][usize::from(a >> 2 & 3)];
            packet(0xF0, &[code, 4, 0x15, 0, 1, METHOD.as_bytes()[0]], out);
        }
        _ => {
            let code = [0, 0x8B, 0x8E, 0x98][usize::from(a >> 2 & 3)];
            packet(0xE0, &[code], out);
        }
    }
}
