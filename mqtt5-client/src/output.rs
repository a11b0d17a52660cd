//! Bytes on their way out: small packets in one buffer, large payloads as they lie.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};

/// A buffer that was needed once for a burst is given back from this capacity on.
const KEPT_CAPACITY: usize = 512 << 10;

/// What is to be written, in order: the segments, then the tail.
#[derive(Debug, Default)]
pub(crate) struct Output {
    segments: VecDeque<Bytes>,
    tail: BytesMut,
    /// How much of the first segment, or of the tail if there is none, is written.
    written: usize,
    /// How much is left.
    left: usize,
}

impl Output {
    pub(crate) const fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Appends what `fill` puts into the buffer, and then the payload that it returns.
    pub(crate) fn append(&mut self, fill: impl FnOnce(&mut BytesMut) -> Option<Bytes>) -> usize {
        let before = self.tail.len();
        let payload = fill(&mut self.tail);
        let mut added = self.tail.len() - before;
        if let Some(payload) = payload.filter(|payload| !payload.is_empty()) {
            added += payload.len();
            if !self.tail.is_empty() {
                self.segments.push_back(self.tail.split().freeze());
            }
            self.segments.push_back(payload);
        }
        self.left += added;
        added
    }

    /// What is left, if it lies in one piece.
    pub(crate) fn only(&self) -> Option<&[u8]> {
        if self.segments.is_empty() {
            self.tail.get(self.written..)
        } else {
            None
        }
    }

    /// Lays out what is left in `slices`; returns how many are used.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        let mut skip = self.written;
        let parts = self.segments.iter().map(|segment| &segment[..]);
        for (slot, part) in slices
            .iter_mut()
            .zip(parts.chain(std::iter::once(&self.tail[..])))
        {
            *slot = IoSlice::new(part.get(skip..).unwrap_or_default());
            skip = 0;
            used += 1;
        }
        used
    }

    /// The transport took `count` bytes.
    pub(crate) fn advance(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.written += count;
        while let Some(first) = self.segments.front() {
            if self.written < first.len() {
                return;
            }
            self.written -= first.len();
            self.segments.pop_front();
        }
        if self.left == 0 {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.segments.clear();
        self.tail.clear();
        if self.tail.capacity() > KEPT_CAPACITY {
            self.tail = BytesMut::new();
        }
        self.written = 0;
        self.left = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(output: &mut Output, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let used = output.slices(&mut slices);
            let flat: Vec<u8> = slices[..used]
                .iter()
                .flat_map(|s| s.iter().copied())
                .collect();
            let taken = step.min(flat.len());
            assert!(taken > 0);
            assert!(output.only().is_none_or(|only| only == flat));
            all.extend_from_slice(&flat[..taken]);
            output.advance(taken);
        }
        all
    }

    #[test]
    fn order_holds_whatever_the_transport_takes() {
        for step in 1..12 {
            let mut output = Output::default();
            let small = |text: &'static [u8]| {
                move |tail: &mut BytesMut| {
                    tail.extend_from_slice(text);
                    None
                }
            };
            output.append(small(b"ab"));
            output.append(|tail| {
                tail.extend_from_slice(b"cd");
                Some(Bytes::from_static(b"PAYLOAD"))
            });
            output.append(|_| Some(Bytes::from_static(b"MORE")));
            assert_eq!(output.append(small(b"e")), 1);
            assert_eq!(written(&mut output, step), b"abcdPAYLOADMOREe");
            output.append(small(b"f"));
            assert_eq!(written(&mut output, step), b"f");
        }
    }
}
