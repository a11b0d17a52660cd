//! Time as a number that the caller supplies.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time: nanoseconds since a start of the caller's choice.
///
/// The core has no clock. It only compares the instants that it is given, and takes one that lies
/// before an earlier one as no time passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start.
    pub const ZERO: Self = Self(0);

    /// This long after the start. Saturates after 584 years.
    #[must_use]
    pub const fn from_start(elapsed: Duration) -> Self {
        let whole = elapsed.as_secs().saturating_mul(1_000_000_000);
        Self(whole.saturating_add(elapsed.subsec_nanos() as u64))
    }

    /// How long after the start.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier`; zero if it is not.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}
