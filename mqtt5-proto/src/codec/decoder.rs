//! Cutting a stream of bytes into packets.

use core::num::NonZeroU32;

use bytes::{Buf, BytesMut};

use super::{DecodeError, FixedHeader, Frame, Violation};

/// The Maximum Packet Size that a side announces (section 3.1.2.11.4): the largest packet it will
/// take, in bytes, fixed header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaximumPacketSize(NonZeroU32);

impl MaximumPacketSize {
    /// 268,435,460 bytes: no packet of the protocol is larger.
    pub const PROTOCOL: Self = Self::constant(268_435_460);
    /// 16 MiB.
    pub const DEFAULT: Self = Self::constant(16 << 20);

    const fn constant(bytes: u32) -> Self {
        match NonZeroU32::new(bytes) {
            Some(bytes) => Self(bytes),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// A limit of `bytes`; `None` for 0, which the protocol forbids.
    #[must_use]
    pub const fn new(bytes: u32) -> Option<Self> {
        match NonZeroU32::new(bytes) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// The limit in bytes.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl Default for MaximumPacketSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Cuts a stream of bytes into packets.
///
/// The decoder holds no bytes: they stay in the caller's buffer until a packet is whole, so that a
/// packet which arrives in many pieces is neither parsed nor copied twice. Use one for each stream,
/// because it watches the size of the buffer (see [`Frame`]).
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    limit: MaximumPacketSize,
    /// The size of the allocation behind the buffer.
    chunk: usize,
    /// The capacity that the buffer had when it was last seen.
    capacity: usize,
}

impl Decoder {
    /// A decoder that refuses packets larger than `limit`.
    #[must_use]
    pub const fn new(limit: MaximumPacketSize) -> Self {
        Self {
            limit,
            chunk: 0,
            capacity: 0,
        }
    }

    /// The header of the packet at the start of `input`, its size checked against the limit;
    /// `None` if more bytes are needed to tell.
    ///
    /// # Errors
    /// [`DecodeError`] if no packet can start like this or it is too large.
    #[inline]
    pub fn header(&self, input: &[u8]) -> Result<Option<FixedHeader>, DecodeError> {
        let header = FixedHeader::parse(input)?;
        match header {
            Some(header) if header.packet_size() > self.limit.get() as usize => Err(DecodeError {
                violation: Violation::PacketTooLarge,
                packet: Some(header.packet_type()),
                offset: 1,
            }),
            header => Ok(header),
        }
    }

    /// How many bytes `input` lacks before [`next_frame`](Self::next_frame) can tell more: 0 if a
    /// packet is whole. Before the size is known the answer is what the header still needs at
    /// least.
    ///
    /// # Errors
    /// As [`header`](Self::header).
    pub fn missing(&self, input: &[u8]) -> Result<usize, DecodeError> {
        Ok(Self::lacks(self.header(input)?, input))
    }

    /// As [`missing`](Self::missing), for a header that was read.
    #[inline]
    pub(crate) fn lacks(header: Option<FixedHeader>, input: &[u8]) -> usize {
        match header {
            Some(header) => header.packet_size().saturating_sub(input.len()),
            None if input.is_empty() => 2,
            None => 1,
        }
    }

    /// Takes the next whole packet from the start of `input`; `None` if it has not arrived yet.
    ///
    /// # Errors
    /// As [`header`](Self::header); the stream cannot go on after an error.
    #[inline]
    pub fn next_frame(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, DecodeError> {
        match self.header(input)? {
            Some(header) if header.packet_size() <= input.len() => {
                Ok(self.take_frame(input, header.packet_size()))
            }
            _ => {
                self.watch(input);
                Ok(None)
            }
        }
    }

    /// Takes a packet of `size` bytes; `None` if it has not arrived yet.
    #[inline]
    pub(crate) fn take_frame(&mut self, input: &mut BytesMut, size: usize) -> Option<Frame> {
        self.watch(input);
        Frame::take(input, size, self.chunk)
    }

    /// Passes over `size` bytes that were read where they lie.
    #[inline]
    pub(crate) fn skip(&mut self, input: &mut BytesMut, size: usize) {
        self.watch(input);
        input.advance(size.min(input.len()));
    }

    /// A buffer tells only what is left of its allocation, which shrinks as packets are taken.
    /// When it grows, the allocation is a new one, or one that was won back whole.
    #[inline]
    fn watch(&mut self, input: &BytesMut) {
        let capacity = input.capacity();
        if capacity > self.capacity {
            self.chunk = capacity;
        }
        self.capacity = capacity;
    }
}
