//! Plans left to chance, which a seed brings back.

use std::fmt;
use std::time::Duration;

use super::LinkPlan;
use crate::Direction;

/// Plans without end for [`FaultyLink::script`](crate::FaultyLink::script), of which each ends its
/// connection in some way: most by a close or a reset, some by silence, and some are refused. Before
/// that, many stall, delay or go in pieces.
///
/// The same seed and settings give the same plans. `Debug` shows them, and how many plans were
/// taken.
///
/// ```
/// use mqtt5_testkit::RandomPlans;
///
/// let plans = || RandomPlans::new(7).within(200);
/// assert!(plans().take(100).eq(plans().take(100)));
/// ```
#[derive(Clone)]
pub struct RandomPlans {
    seed: u64,
    within: u64,
    pause: Duration,
    silence: bool,
    taken: u64,
    state: u64,
}

impl RandomPlans {
    /// With faults within the first 1,000 bytes of either direction, half of them within the first
    /// 64, where connections are made, and with pauses of up to 10 ms.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            within: 1000,
            pause: Duration::from_millis(10),
            silence: true,
            taken: 0,
            state: seed,
        }
    }

    /// Lets all faults strike within so many bytes.
    #[must_use]
    pub const fn within(mut self, bytes: u64) -> Self {
        self.within = bytes;
        self
    }

    /// How long stalls and delays may last.
    #[must_use]
    pub const fn pause(mut self, longest: Duration) -> Self {
        self.pause = longest;
        self
    }

    /// Leaves out [`LinkPlan::silence`], which a client with a long keep alive takes as long to
    /// notice.
    #[must_use]
    pub const fn without_silence(mut self) -> Self {
        self.silence = false;
        self
    }

    /// The generator is SplitMix64.
    const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Any number up to `most`.
    const fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(count) => self.draw() % count,
            None => self.draw(),
        }
    }

    const fn direction(&mut self) -> Direction {
        if self.up_to(1) == 0 {
            Direction::FromClient
        } else {
            Direction::ToClient
        }
    }

    fn place(&mut self) -> u64 {
        let within = if self.up_to(1) == 0 { 64 } else { u64::MAX };
        self.up_to(within.min(self.within))
    }

    fn short_pause(&mut self) -> Duration {
        let most = u64::try_from(self.pause.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.up_to(most))
    }

    fn disturb(&mut self, plan: LinkPlan) -> LinkPlan {
        let (direction, after) = (self.direction(), self.place());
        match self.up_to(5) {
            0 => plan.stall_for(direction, after, self.short_pause()),
            1 => plan.delay(direction, after, self.short_pause()),
            2 => {
                let size = 1 + usize::try_from(self.up_to(2)).unwrap_or(0);
                plan.in_pieces(direction, after, size)
            }
            _ => plan,
        }
    }

    fn end(&mut self, plan: LinkPlan) -> LinkPlan {
        let (direction, after, later) = (self.direction(), self.place(), self.place());
        match self.up_to(if self.silence { 15 } else { 11 }) {
            0..6 => plan.close(direction, after),
            6..12 => plan.reset(direction, after),
            12 => plan.silence(direction, after),
            13 => plan
                .silence(Direction::FromClient, after)
                .silence(Direction::ToClient, later),
            // One side is gone, and the other does not know.
            14 => plan
                .silence(Direction::FromClient, after)
                .reset(Direction::ToClient, later),
            _ => plan
                .silence(Direction::ToClient, after)
                .reset(Direction::FromClient, later),
        }
    }
}

impl Iterator for RandomPlans {
    type Item = LinkPlan;

    fn next(&mut self) -> Option<LinkPlan> {
        self.taken += 1;
        if self.up_to(15) == 0 {
            return Some(LinkPlan::refused());
        }
        let plan = self.disturb(LinkPlan::sound());
        Some(self.end(plan))
    }
}

impl fmt::Debug for RandomPlans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RandomPlans")
            .field("seed", &self.seed)
            .field("within", &self.within)
            .field("pause", &self.pause)
            .field("silence", &self.silence)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}
