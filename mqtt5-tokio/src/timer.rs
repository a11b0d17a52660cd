use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use mqtt5_client::proto::Instant;
use mqtt5_client::{Clock, Timer};
use tokio::time::Sleep;

/// Tokio's clock, counted from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }
}

/// An alarm by Tokio's clock.
#[derive(Debug)]
pub struct TokioTimer {
    clock: TokioClock,
    set: bool,
    /// Made when it is first set, because that needs a runtime.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl TokioTimer {
    /// An alarm that is not set, and a clock that begins now.
    #[must_use]
    pub fn new() -> Self {
        let clock = TokioClock {
            start: tokio::time::Instant::now(),
        };
        Self {
            clock,
            set: false,
            sleep: None,
        }
    }
}

impl Default for TokioTimer {
    fn default() -> Self {
        Self::new()
    }
}

impl Timer for TokioTimer {
    type Clock = TokioClock;

    fn clock(&self) -> TokioClock {
        self.clock
    }

    fn reset(&mut self, at: Option<Instant>) {
        // What lies beyond the clock's end never comes.
        let at = at.and_then(|at| self.clock.start.checked_add(at.since_start()));
        self.set = at.is_some();
        let Some(at) = at else { return };
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) if self.set => sleep.as_mut().poll(cx),
            _ => Poll::Pending,
        }
    }
}
