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
        let mut bytes = [0; 4];
        let len = variable_byte_integer_len(value);
        for (index, byte) in bytes.iter_mut().enumerate().take(len) {
            let more = if index + 1 < len { 0x80 } else { 0 };
            let [.., low] = (value >> (7 * index)).to_be_bytes();
            *byte = low & 0x7F | more;
        }
        self.slice(&bytes[..len]);
    }

    /// A two-byte length and the bytes. Every caller holds a type that is at most 65,535 long.
    #[inline]
    fn length_prefixed(&mut self, bytes: &[u8]) {
        self.be_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        self.slice(bytes);
    }
}

/// Counts what would be written.
#[derive(Default)]
pub(crate) struct Count(pub(crate) usize);

impl Count {
    pub(crate) fn of(write: impl FnOnce(&mut Self)) -> u32 {
        let mut count = Self(0);
        write(&mut count);
        // A sum above u32 is above the protocol's limit too, which `Encode` refuses.
        u32::try_from(count.0).unwrap_or(u32::MAX)
    }
}

impl Sink for Count {
    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        // What is shared can be counted more often than memory is large on a 32-bit machine.
        self.0 = self.0.saturating_add(bytes.len());
    }
}

impl Sink for BytesMut {
    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
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
fn remaining_length<P: Body>(packet: &P) -> Result<u32, PacketTooLarge> {
    let mut count = Count(packet.tail().len());
    packet.body(&mut count);
    match u32::try_from(count.0) {
        Ok(length) if length <= MAX_VARIABLE_BYTE_INTEGER => Ok(length),
        _ => Err(PacketTooLarge {
            remaining_length: count.0,
        }),
    }
}

impl<P: Body> Encode for P {
    #[inline]
    fn packet_size(&self) -> Result<usize, PacketTooLarge> {
        Ok(size(remaining_length(self)?))
    }

    #[inline]
    fn encode(&self, out: &mut BytesMut) -> Result<usize, PacketTooLarge> {
        let length = remaining_length(self)?;
        out.reserve(size(length));
        write(self, length, out);
        out.slice(self.tail());
        Ok(size(length))
    }

    #[inline]
    fn encode_without_payload(&self, out: &mut BytesMut) -> Result<usize, PacketTooLarge> {
        let length = remaining_length(self)?;
        out.reserve(size(length) - self.tail().len());
        write(self, length, out);
        Ok(size(length))
    }
}

/// Of a whole packet with this Remaining Length.
const fn size(remaining_length: u32) -> usize {
    1 + variable_byte_integer_len(remaining_length) + remaining_length as usize
}

#[inline]
fn write<P: Body>(packet: &P, remaining_length: u32, out: &mut BytesMut) {
    out.byte(packet.first_byte());
    out.variable_byte_integer(remaining_length);
    packet.body(out);
}
