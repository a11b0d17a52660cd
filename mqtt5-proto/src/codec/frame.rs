//! The bytes of one received packet, owned.

use core::fmt;

use bytes::{Buf, Bytes, BytesMut};

const INLINE: usize = 94;

/// A slice that would keep more than this many times its own size alive is copied out instead.
const PIN_FACTOR: usize = 4;

#[derive(Clone)]
enum Storage {
    Inline { len: u8, bytes: [u8; INLINE] },
    Shared(Bytes),
}

/// The bytes of one whole packet, fixed header included.
///
/// Packets of up to 94 bytes are kept in place; larger ones share the chunk in which they came,
/// unless they would keep alive more than four times their own size: then they are copied out.
#[derive(Clone)]
pub struct Frame(Storage);

impl Frame {
    /// Takes the first `size` bytes out of `input`, whose allocation has `chunk` bytes; `None` if
    /// there are not as many.
    #[inline]
    pub(crate) fn take(input: &mut BytesMut, size: usize, chunk: usize) -> Option<Self> {
        let packet = input.get(..size)?;
        if size > INLINE && chunk <= size.saturating_mul(PIN_FACTOR) {
            return Some(Self(Storage::Shared(input.split_to(size).freeze())));
        }
        let frame = match (input.first_chunk(), u8::try_from(size)) {
            // A copy of fixed size is faster, even if it takes along a piece of the next packet,
            // which nobody gets to see.
            (Some(&bytes), Ok(len)) if size <= INLINE => Self(Storage::Inline { len, bytes }),
            _ => Self::copy_from(packet),
        };
        input.advance(size);
        Some(frame)
    }

    /// Copies `packet`.
    #[inline]
    #[must_use]
    pub fn copy_from(packet: &[u8]) -> Self {
        Self::inline(packet)
            .unwrap_or_else(|| Self(Storage::Shared(Bytes::copy_from_slice(packet))))
    }

    #[inline]
    fn inline(packet: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..packet.len())?.copy_from_slice(packet);
        let len = u8::try_from(packet.len()).ok()?;
        Some(Self(Storage::Inline { len, bytes }))
    }

    /// The bytes of the packet.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Storage::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Storage::Shared(bytes) => bytes,
        }
    }

    /// The part from `start` to the end as bytes of its own: shared where the frame is shared,
    /// copied where it is kept in place.
    #[must_use]
    pub fn slice_from(&self, start: usize) -> Bytes {
        match &self.0 {
            Storage::Inline { .. } => {
                Bytes::copy_from_slice(self.as_slice().get(start..).unwrap_or_default())
            }
            Storage::Shared(bytes) => bytes.slice(start.min(bytes.len())..),
        }
    }

    /// A copy that shares nothing with the chunk in which the packet came.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self::copy_from(self.as_slice())
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Frame {}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.as_slice().len())
    }
}
