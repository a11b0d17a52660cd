//! What everybody in a world shares.

use mqtt5_client::Clock;
use mqtt5_client::proto::Instant;

use crate::clock::{Bell, VirtualClock};
use crate::judge::World;
use crate::tally::Tally;
use crate::trace::Trace;
use crate::universe::{Matching, Messages};

#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) messages: Messages,
    matching: Matching,
    pub(crate) tally: Tally,
    pub(crate) trace: Trace,
    pub(crate) clock: VirtualClock,
    pub(crate) bell: Bell,
}

impl Scene {
    pub(crate) fn new(keeps_lines: bool) -> Self {
        Self {
            messages: Messages::default(),
            matching: Matching::new(),
            tally: Tally::default(),
            trace: Trace::new(keeps_lines),
            clock: VirtualClock::new(),
            bell: Bell::default(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn world(&mut self) -> World<'_> {
        World {
            now: self.clock.now(),
            messages: &self.messages,
            matching: &self.matching,
            tally: &mut self.tally,
            trace: &mut self.trace,
        }
    }

    pub(crate) fn note(&mut self, line: std::fmt::Arguments<'_>) {
        let now = self.clock.now();
        self.trace.line(now, line);
    }
}
