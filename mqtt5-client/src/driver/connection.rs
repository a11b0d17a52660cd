//! One transport: reading and writing without the core.

use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll};

use bytes::BytesMut;
use mqtt5_proto::Instant;

use crate::output::Output;
use crate::transport::Transport;

/// The least that is made room for when reading.
const CHUNK: usize = 64 << 10;

/// With less room than this behind an unfinished packet, more is made.
const LEAST_ROOM: usize = 2 << 10;

/// How many pieces go into one write.
const SLICES: usize = 32;

/// How many writes are done in one turn.
const WRITES: usize = 8;

/// A transport, and how far things are with it.
#[derive(Debug)]
pub(super) struct Connection<T> {
    transport: T,
    needs_flush: bool,
    /// How many bytes the unfinished packet lacks.
    pub(super) missing: usize,
    /// The core took input in this turn, or whether to read has changed.
    pub(super) fed: bool,
    /// Input waits for the core to take it.
    pub(super) blocked: bool,
    /// The application asked not to read.
    pub(super) paused: bool,
    /// The peer has shut down writing.
    pub(super) ended: bool,
    /// What went wrong with writing. What the peer said before is read first.
    broken: Option<io::Error>,
    /// What went wrong.
    pub(super) error: Option<io::Error>,
    /// When the transport is closed whatever is left to do.
    pub(super) close_by: Option<Instant>,
    /// The authenticator has given up.
    pub(super) unauthenticated: bool,
    /// All is said: it is only waited for the peer to close.
    pub(super) lingering: bool,
    shut_down: bool,
}

impl<T: Transport> Connection<T> {
    pub(super) const fn new(transport: T) -> Self {
        Self {
            transport,
            needs_flush: false,
            missing: 0,
            fed: false,
            blocked: false,
            paused: false,
            ended: false,
            broken: None,
            error: None,
            close_by: None,
            unauthenticated: false,
            lingering: false,
            shut_down: false,
        }
    }

    /// Whether all that was written has left the transport's own buffers.
    pub(super) const fn is_flushed(&self) -> bool {
        !self.needs_flush
    }

    /// Whether it can still be read from and written to, as far as is known.
    pub(super) const fn is_whole(&self) -> bool {
        !self.ended && self.broken.is_none() && self.error.is_none()
    }

    /// Writes as much as the transport takes; returns how many bytes that were.
    pub(super) fn write(&mut self, output: &mut Output, cx: &mut Context<'_>) -> usize {
        let mut total = 0;
        for _ in 0..WRITES {
            if output.is_empty() || self.broken.is_some() {
                break;
            }
            let polled = match output.only() {
                Some(only) => self.transport.poll_write(cx, only),
                None => {
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    let used = output.slices(&mut slices);
                    let slices = slices.get(..used).unwrap_or_default();
                    self.transport.poll_write_vectored(cx, slices)
                }
            };
            match polled {
                Poll::Ready(Ok(0)) => self.broken = Some(ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    output.advance(count);
                    total += count;
                    self.needs_flush = true;
                }
                Poll::Ready(Err(error)) => self.broken = Some(error),
                Poll::Pending => break,
            }
        }
        if output.is_empty() && self.needs_flush && self.broken.is_none() {
            match self.transport.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.needs_flush = false,
                Poll::Ready(Err(error)) => self.broken = Some(error),
                Poll::Pending => {}
            }
        }
        total
    }

    /// Reads once, if reading is wanted; returns how many bytes came. If none did, writing that
    /// failed counts.
    pub(super) fn read(&mut self, input: &mut BytesMut, cx: &mut Context<'_>) -> usize {
        let count = self.read_once(input, cx);
        if count == 0 && self.error.is_none() {
            self.error = self.broken.take();
        }
        count
    }

    fn read_once(&mut self, input: &mut BytesMut, cx: &mut Context<'_>) -> usize {
        if self.blocked || self.paused || self.ended || self.error.is_some() {
            return 0;
        }
        make_room(input, self.missing);
        match self.transport.poll_read(cx, input) {
            Poll::Ready(Ok(0)) => self.ended = true,
            Poll::Ready(Ok(count)) => return count,
            Poll::Ready(Err(error)) => self.error = Some(error),
            Poll::Pending => {}
        }
        0
    }

    /// Shuts down writing and reads what is left, so that no reset destroys what was written. Done
    /// when the peer has closed too.
    pub(super) fn linger(&mut self, scratch: &mut BytesMut, cx: &mut Context<'_>) -> Poll<()> {
        if !self.shut_down {
            match self.transport.poll_close(cx) {
                Poll::Ready(Ok(())) => self.shut_down = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        if self.ended {
            return if self.shut_down {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        }
        for _ in 0..WRITES {
            scratch.clear();
            make_room(scratch, 0);
            match self.transport.poll_read(cx, scratch) {
                Poll::Ready(Ok(0)) => {
                    self.ended = true;
                    return if self.shut_down {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    };
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Makes room to read into. A packet that has begun gets at most as much again as has arrived of
/// it: its header may promise what never comes.
fn make_room(input: &mut BytesMut, missing: usize) {
    let room = input.capacity() - input.len();
    if room >= missing.clamp(1, LEAST_ROOM) && room > 0 && !(input.is_empty() && room < LEAST_ROOM)
    {
        return;
    }
    let wanted = missing.min(input.len());
    input.reserve(wanted.max(CHUNK));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_with_what_has_arrived_and_not_with_what_is_promised() {
        let mut input = BytesMut::new();
        make_room(&mut input, 0);
        assert!((CHUNK..2 * CHUNK).contains(&input.capacity()));
        input.extend_from_slice(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]);
        make_room(&mut input, 268_435_455);
        assert!(input.capacity() < 2 * CHUNK, "{}", input.capacity());
        let mut arrived = input.len();
        let mut steps = 0;
        while arrived < 16 << 20 {
            input.resize(input.capacity(), 0);
            arrived = input.len();
            make_room(&mut input, 268_435_455);
            assert!(input.capacity() <= 2 * arrived + CHUNK);
            steps += 1;
        }
        assert!(steps < 12, "{steps}");
    }

    #[test]
    fn a_packet_that_fits_needs_no_new_room() {
        let mut input = BytesMut::with_capacity(CHUNK);
        input.extend_from_slice(&[0; CHUNK - 100]);
        let before = input.as_ptr();
        make_room(&mut input, 100);
        assert_eq!(before, input.as_ptr());
        make_room(&mut input, 101);
        assert!(input.capacity() - input.len() >= CHUNK);
    }
}
