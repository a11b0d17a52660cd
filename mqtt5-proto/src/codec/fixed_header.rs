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

#[inline]
fn check_first_byte(first: u8) -> Result<PacketType, DecodeError> {
    let Some(packet_type) = PacketType::from_raw(first >> 4) else {
        let violation = Violation::ReservedPacketType;
        return Err(DecodeError {
            violation,
            packet: None,
            offset: 0,
        });
    };
    let flags = first & 0x0F;
    let violation = match packet_type {
        PacketType::Publish if flags & 0b0110 == 0b0110 => Violation::QoS3,
        PacketType::Publish if flags & 0b1110 == 0b1000 => Violation::DupOnQoS0,
        PacketType::Publish => return Ok(packet_type),
        _ if flags == packet_type.reserved_flags() => return Ok(packet_type),
        _ => Violation::FixedHeaderFlags,
    };
    Err(DecodeError {
        violation,
        packet: Some(packet_type),
        offset: 0,
    })
}
