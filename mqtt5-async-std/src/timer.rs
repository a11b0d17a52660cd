use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use mqtt5_client::Timer;
use mqtt5_client::proto::Instant;
use mqtt5_transport::SystemClock;

/// The clock of an [`AsyncStdTimer`].
pub type AsyncStdClock = SystemClock;

/// An alarm by the thread that waits for async-std's sockets too.
#[derive(Debug)]
pub struct AsyncStdTimer {
    clock: AsyncStdClock,
    alarm: async_io::Timer,
}

impl AsyncStdTimer {
    /// An alarm that is not set, and a clock that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            clock: AsyncStdClock::new(),
            alarm: async_io::Timer::never(),
        }
    }
}

impl Default for AsyncStdTimer {
    fn default() -> Self {
        Self::new()
    }
}

impl Timer for AsyncStdTimer {
    type Clock = AsyncStdClock;

    fn clock(&self) -> AsyncStdClock {
        self.clock
    }

    fn reset(&mut self, at: Option<Instant>) {
        // What lies beyond the clock's end never comes.
        match at.and_then(|at| self.clock.at(at)) {
            Some(at) => self.alarm.set_at(at),
            None => self.alarm = async_io::Timer::never(),
        }
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.alarm).poll(cx).map(drop)
    }
}
