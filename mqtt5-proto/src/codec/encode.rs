//! Writing packets: one description per packet, run once to count and once to write.

use bytes::BytesMut;

use super::data_type::{MAX_VARIABLE_BYTE_INTEGER, variable_byte_integer_len};

/// The packet is larger than the protocol can tell: its Remaining Length would exceed 268,435,455
/// bytes (section 2.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet would have a Remaining Length of {remaining_length}, above 268435455")]
pub struct PacketTooLarge {
    /// The Remaining Length that the packet would have, in bytes.
    pub remaining_length: usize,
}

/// Where the description of a packet goes: into a count or into a buffer.
pub trait Sink {
    fn slice(&mut self, bytes: &[u8]);

    #[inline]
    fn byte(&mut self, value: u8) {
        self.slice(&[value]);
    }

    #[inline]
    fn be_u16(&mut self, value: u16) {
        self.slice(&value.to_be_bytes());
    }

    #[inline]
    fn be_u32(&mut self, value: u32) {
        self.slice(&value.to_be_bytes());
    }

    #[inline]
    fn variable_byte_integer(&mut self, value: u32) {
        let [a, b, c, d] = [0, 7, 14, 21].map(|shift| {
            let [low, ..] = (value >> shift).to_le_bytes();
            low & 0x7F
        });
        match variable_byte_integer_len(value) {
            1 => self.byte(a),
            2 => self.slice(&[a | 0x80, b]),
            3 => self.slice(&[a | 0x80, b | 0x80, c]),
            _ => self.slice(&[a | 0x80, b | 0x80, c | 0x80, d]),
        }
    }

    /// A length as a Variable Byte Integer, and then that many bytes: the properties.
    fn section<P: PutProperties + ?Sized>(&mut self, properties: &P);

    /// A two-byte length and the bytes. Every caller holds a type that is at most 65,535 long.
    #[inline]
    fn length_prefixed(&mut self, bytes: &[u8]) {
        self.be_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        self.slice(bytes);
    }
}

/// Packets that end in, or go on with, a property section.
pub trait PutProperties {
    /// Writes the properties without their length.
    fn put_properties<S: Sink>(&self, sink: &mut S);

    /// Writes the end of a packet that may leave out its Property Length, and then its reason code
    /// too if that is 0 (sections 3.4.2, 3.14.2 and 3.15.2).
    #[inline]
    fn put_short_form<S: Sink>(&self, reason_code: u8, sink: &mut S) {
        let mut properties = Count(0);
        self.put_properties(&mut properties);
        let without = properties.0 == 0;
        if reason_code != 0 || !without {
            sink.byte(reason_code);
        }
        if !without {
            sink.section(self);
        }
    }
}

/// Counts what would be written.
// What is shared can be counted more often than memory is large on a 32-bit machine, but not more
// often than u64 can tell.
#[derive(Default)]
pub(crate) struct Count(u64);

impl Sink for Count {
    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }

    #[inline]
    fn variable_byte_integer(&mut self, value: u32) {
        self.0 += variable_byte_integer_len(value) as u64;
    }

    #[inline]
    fn section<P: PutProperties + ?Sized>(&mut self, properties: &P) {
        let start = self.0;
        properties.put_properties(self);
        // A length above u32 is above the protocol's limit too, which `Encode` refuses.
        self.variable_byte_integer(u32::try_from(self.0 - start).unwrap_or(u32::MAX));
    }
}

/// Writes to where room was made. The room is what [`Count`] counted for the same description.
struct Room<'a>(&'a mut [u8]);

impl Sink for Room<'_> {
    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        let room = core::mem::take(&mut self.0);
        if let Some((here, rest)) = room.split_at_mut_checked(bytes.len()) {
            here.copy_from_slice(bytes);
            self.0 = rest;
        }
    }

    /// Most sections are so short that their length takes one byte: it is put in when the section is
    /// written, and only a longer one is moved to make room.
    #[inline]
    fn section<P: PutProperties + ?Sized>(&mut self, properties: &P) {
        let room = core::mem::take(&mut self.0);
        let Some((first, rest)) = room.split_first_mut() else {
            return;
        };
        let available = rest.len();
        let mut section = Room(rest);
        properties.put_properties(&mut section);
        let length = available - section.0.len();
        match u8::try_from(length) {
            Ok(short @ 0..=0x7F) => {
                *first = short;
                self.0 = room.get_mut(1 + length..).unwrap_or_default();
            }
            _ => self.long_section(room, length),
        }
    }
}

impl<'a> Room<'a> {
    /// Puts the length before the `length` bytes that were written behind the first one of `room`.
    #[cold]
    fn long_section(&mut self, room: &'a mut [u8], length: usize) {
        let value = u32::try_from(length).unwrap_or(u32::MAX);
        let start = variable_byte_integer_len(value);
        if start + length <= room.len() {
            room.copy_within(1..=length, start);
            self.0 = room;
            self.variable_byte_integer(value);
            let rest = core::mem::take(&mut self.0);
            self.0 = rest.get_mut(length..).unwrap_or_default();
        }
    }
}

/// What stands behind the fixed header, and the first byte before it.
pub trait Body {
    fn first_byte(&self) -> u8;

    /// Writes all that follows the Remaining Length, but for the [`tail`](Self::tail).
    fn body<S: Sink>(&self, sink: &mut S);

    /// The payload of a PUBLISH: the last bytes, which can leave as a slice of their own.
    #[inline]
    fn tail(&self) -> &[u8] {
        &[]
    }
}

/// Packets that can be written.
pub trait Encode: Body {
    /// The exact size of the packet in bytes, fixed header included (section 2.1.4).
    ///
    /// # Errors
    /// [`PacketTooLarge`] if the protocol cannot express the size.
    fn packet_size(&self) -> Result<usize, PacketTooLarge>;

    /// Appends the packet to `out` and returns its size. Reserves once, and writes the shortest
    /// legal form.
    ///
    /// # Errors
    /// [`PacketTooLarge`] if the protocol cannot express the size; `out` is as before then.
    fn encode(&self, out: &mut BytesMut) -> Result<usize, PacketTooLarge>;

    /// Appends the packet without the payload of a PUBLISH, which the caller sends behind it from
    /// where it lies. Returns the size of the whole packet, payload included. For every packet
    /// but PUBLISH this is [`encode`](Self::encode).
    ///
    /// # Errors
    /// [`PacketTooLarge`] if the protocol cannot express the size; `out` is as before then.
    fn encode_without_payload(&self, out: &mut BytesMut) -> Result<usize, PacketTooLarge>;
}

#[inline]
pub(crate) fn remaining_length<P: Body>(packet: &P) -> Result<u32, PacketTooLarge> {
    let mut count = Count(packet.tail().len() as u64);
    packet.body(&mut count);
    match u32::try_from(count.0) {
        Ok(length) if length <= MAX_VARIABLE_BYTE_INTEGER => Ok(length),
        _ => Err(PacketTooLarge {
            remaining_length: usize::try_from(count.0).unwrap_or(usize::MAX),
        }),
    }
}

impl<P: Body> Encode for P {
    #[inline]
    fn packet_size(&self) -> Result<usize, PacketTooLarge> {
        Ok(packet_size(remaining_length(self)?))
    }

    #[inline]
    fn encode(&self, out: &mut BytesMut) -> Result<usize, PacketTooLarge> {
        Ok(encode_counted(self, remaining_length(self)?, out))
    }

    #[inline]
    fn encode_without_payload(&self, out: &mut BytesMut) -> Result<usize, PacketTooLarge> {
        let length = remaining_length(self)?;
        encode_head(self, length, out);
        Ok(packet_size(length))
    }
}

/// Of a whole packet with this Remaining Length, in bytes.
pub(crate) const fn packet_size(remaining_length: u32) -> usize {
    1 + variable_byte_integer_len(remaining_length) + remaining_length as usize
}

/// Writes a packet whose Remaining Length was counted before. Returns its size.
#[inline]
pub(crate) fn encode_counted<P: Body>(
    packet: &P,
    remaining_length: u32,
    out: &mut BytesMut,
) -> usize {
    let size = packet_size(remaining_length);
    out.reserve(size);
    encode_head(packet, remaining_length, out);
    out.extend_from_slice(packet.tail());
    size
}

/// All but the [`tail`](Body::tail).
#[inline]
pub(crate) fn encode_head<P: Body>(packet: &P, remaining_length: u32, out: &mut BytesMut) {
    let start = out.len();
    let head = packet_size(remaining_length) - packet.tail().len();
    // To fill zeros in and write over them costs less than to look at the capacity for each field.
    out.resize(start + head, 0);
    let mut room = Room(out.get_mut(start..).unwrap_or_default());
    room.byte(packet.first_byte());
    room.variable_byte_integer(remaining_length);
    packet.body(&mut room);
}
