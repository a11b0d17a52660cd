//! The seam to a runtime: three small traits with static dispatch and only `core::task` types.
//!
//! A runtime gives [`Connect`] (opens a [`Transport`]), [`Timer`] (one alarm, and a [`Clock`] that
//! the handles can read), and a way to spawn the [`Driver`](crate::Driver).

use std::future::Future;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::BytesMut;
use mqtt5_proto::Instant;

/// Opens transports: one for each connection.
pub trait Connect {
    /// What is opened.
    type Transport: Transport;

    /// Opening it. Dropped if it takes longer than
    /// [`connect_timeout`](crate::ClientOptions::connect_timeout).
    ///
    /// An error may hold one of the transport's own; its kind then tells who is at fault:
    /// [`Failure::culprit`](crate::Failure::culprit).
    type Future: Future<Output = io::Result<Self::Transport>> + Send;

    /// Begins to open the next transport.
    fn connect(&mut self) -> Self::Future;

    /// What the last attempt was waiting for when it was dropped because it took longer than
    /// [`connect_timeout`](crate::ClientOptions::connect_timeout), if that is known: it becomes
    /// [`Failure::Network`](crate::Failure::Network). Unless overridden, and with `None`, it is
    /// [`Failure::TimedOut`](crate::Failure::TimedOut).
    fn timed_out(&mut self) -> Option<io::Error> {
        None
    }
}

/// A stream of bytes in both directions, in order (section 4.2).
///
/// All methods follow the rules of polling: with [`Poll::Pending`] they have arranged for the task
/// to be woken, and nothing was taken or given.
pub trait Transport: Unpin {
    /// Reads once, to the end of `buffer` and at most into its spare capacity, which is not 0.
    /// Returns how many bytes came; 0 if the peer has shut down writing.
    ///
    /// # Errors
    /// Any error ends the connection.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut)
    -> Poll<io::Result<usize>>;

    /// Writes once from the front of `bytes`, which is not empty. Returns how many bytes were
    /// taken; 0 counts as an error.
    ///
    /// # Errors
    /// Any error ends the connection.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes once from the front of several slices, which are not all empty. Unless overridden,
    /// writes from the first that is not.
    ///
    /// # Errors
    /// As [`poll_write`](Self::poll_write).
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(cx, first.map_or(&[], |slice| slice))
    }

    /// Sends what an inner buffer still holds.
    ///
    /// # Errors
    /// Any error ends the connection.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Shuts down writing; reading goes on.
    ///
    /// # Errors
    /// Any error ends the connection at once.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// Tells the time. Handles read it from any thread.
pub trait Clock: Send + Sync + 'static {
    /// Now. Should not go back; if it does, no time has passed.
    fn now(&self) -> Instant;
}

/// One alarm.
pub trait Timer: Unpin {
    /// The clock by which the alarm is set.
    type Clock: Clock;

    /// The clock.
    fn clock(&self) -> Self::Clock;

    /// Sets the alarm, or takes it back. Replaces what was set before.
    fn reset(&mut self, at: Option<Instant>);

    /// Ready once the alarm has gone off; pending for ever if none is set. Asked again after that
    /// without a [`reset`](Self::reset), either answer is right.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
