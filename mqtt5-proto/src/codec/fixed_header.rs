//! The fixed header (MQTT 5.0 section 2.1).

use super::error::{DecodeError, Violation};
use crate::packet::PacketType;

/// The first byte and the Remaining Length of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedHeader {
    packet_type: PacketType,
    flags: u8,
    len: u8,
    remaining_length: u32,
}

impl FixedHeader {
    /// Reads a fixed header from the start of `input`; `None` means that more bytes are needed.
    ///
    /// Errors are told as soon as they can be seen: reserved types and flags at the first byte, a
    /// Remaining Length of more than four bytes at the fourth.
    ///
    /// # Errors
    /// [`DecodeError`] if no packet can start like this.
    #[inline]
    pub fn parse(input: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some((&first, rest)) = input.split_first() else {
            return Ok(None);
        };
        let packet_type = check_first_byte(first)?;
        let (len, remaining_length) = match rest {
            // The usual case, without the loop.
            [length @ 0..=0x7F, ..] => (2, u32::from(*length)),
            _ => match long_remaining_length(rest) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(None),
                Err(violation) => return Err(error(packet_type, violation)),
            },
        };
        Ok(Some(Self {
            packet_type,
            flags: first & 0x0F,
            len,
            remaining_length,
        }))
    }

    /// The kind of packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// The flags: bits 3 to 0 of the first byte.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// The number of bytes behind the fixed header.
    #[must_use]
    pub const fn remaining_length(&self) -> u32 {
        self.remaining_length
    }

    /// The size of the fixed header itself: 2 to 5 bytes.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.len as usize
    }

    pub(crate) const fn header_len_u8(&self) -> u8 {
        self.len
    }

    /// The size of the whole packet in bytes, fixed header included.
    #[must_use]
    pub const fn packet_size(&self) -> usize {
        self.len as usize + self.remaining_length as usize
    }
}

/// The size of the fixed header and the Remaining Length, read from what follows the first byte.
fn long_remaining_length(input: &[u8]) -> Result<Option<(u8, u32)>, Violation> {
    let mut remaining_length = 0;
    // The size of the fixed header if it ends with this byte, and what the byte counts for.
    for ((len, shift), &byte) in (2..).zip([0, 7, 14, 21]).zip(input) {
        remaining_length |= u32::from(byte & 0x7F) << shift;
        if byte == 0 && len > 2 {
            return Err(Violation::VariableByteIntegerNotMinimal);
        }
        if byte & 0x80 == 0 {
            return Ok(Some((len, remaining_length)));
        }
    }
    if input.len() >= 4 {
        return Err(Violation::VariableByteIntegerTooLong);
    }
    Ok(None)
}

fn error(packet_type: PacketType, violation: Violation) -> DecodeError {
    DecodeError {
        violation,
        packet: Some(packet_type),
        offset: 1,
    }
}

/// The first bytes that packets have: a bit for each.
const FIRST_BYTES: [u64; 4] = {
    let mut legal = [0; 4];
    let mut first = 0_u8;
    loop {
        if first_byte_fault(first).is_none() {
            legal[(first >> 6) as usize] |= 1 << (first & 63);
        }
        match first.checked_add(1) {
            Some(next) => first = next,
            None => break legal,
        }
    }
};

/// What is wrong with a first byte, if anything.
const fn first_byte_fault(first: u8) -> Option<Violation> {
    let Some(packet_type) = PacketType::from_raw(first >> 4) else {
        return Some(Violation::ReservedPacketType);
    };
    let flags = first & 0x0F;
    match packet_type {
        PacketType::Publish if flags & 0b0110 == 0b0110 => Some(Violation::QoS3),
        PacketType::Publish if flags & 0b1110 == 0b1000 => Some(Violation::DupOnQoS0),
        PacketType::Publish => None,
        _ if flags == packet_type.reserved_flags() => None,
        _ => Some(Violation::FixedHeaderFlags),
    }
}

#[inline]
fn check_first_byte(first: u8) -> Result<PacketType, DecodeError> {
    let legal = FIRST_BYTES[usize::from(first >> 6)];
    match PacketType::from_raw(first >> 4) {
        Some(packet_type) if legal >> (first & 63) & 1 != 0 => Ok(packet_type),
        packet => Err(DecodeError {
            violation: first_byte_fault(first).unwrap_or(Violation::FixedHeaderFlags),
            packet,
            offset: 0,
        }),
    }
}
