use std::time;

use mqtt5_client::Clock;
use mqtt5_client::proto::Instant;

/// The clock of the system, counted from when it was made: for a [`Timer`](mqtt5_client::Timer)
/// whose runtime has none of its own.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: time::Instant,
}

impl SystemClock {
    /// Begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: time::Instant::now(),
        }
    }

    /// The same time in the terms of the system. `None` if it cannot be told, as it never comes.
    #[must_use]
    pub fn at(&self, at: Instant) -> Option<time::Instant> {
        self.start.checked_add(at.since_start())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }
}
