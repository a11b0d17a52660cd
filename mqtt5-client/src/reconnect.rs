//! How long to wait before the next attempt to connect.

use std::time::Duration;

use crate::jitter::Jitter;

/// How a connection is made again after it ended.
///
/// The delay before attempt *n* is `initial_delay * factor^(n - 1)`, at most `max_delay`, less a
/// random part of up to `jitter` of it. It starts over once a connection has lasted ten seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct ReconnectPolicy {
    /// Delay before the first attempt. Default: 500 ms.
    pub initial_delay: Duration,
    /// The longest delay. Default: 60 s.
    pub max_delay: Duration,
    /// By how much each delay is longer than the one before; below 1 counts as 1. Default: 2.
    pub factor: f64,
    /// How much of a delay is left to chance: 0 (nothing) to 1 (all). Default: 0.5.
    pub jitter: f64,
    /// How many attempts in a row may fail before the client gives up; 0: never reconnect. `None`
    /// (the default): no end.
    pub max_attempts: Option<u32>,
    /// What to do about a session that ends its connections. Default:
    /// [`LoopGuard::CleanStart`].
    pub loop_guard: LoopGuard,
    /// The seed of the random part. `None` (the default): another one for every client.
    pub seed: Option<u64>,
}

/// What to do when three resumed connections in a row ended by an error at the same packet: going
/// on with this session would never end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoopGuard {
    /// Drop the session and connect with Clean Start 1; what was in flight is told to be unknown,
    /// and subscriptions are made again.
    #[default]
    CleanStart,
    /// Stop with [`CloseReason::LoopGuard`](crate::CloseReason::LoopGuard).
    Stop,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self {
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            factor: 2.0,
            jitter: 0.5,
            max_attempts: None,
            loop_guard: LoopGuard::default(),
            seed: None,
        }
    }
}

impl ReconnectPolicy {
    /// Never reconnect: the end of the first connection is the end of the client.
    #[must_use]
    pub fn never() -> Self {
        Self {
            max_attempts: Some(0),
            ..Self::default()
        }
    }

    /// Always the same delay, without end and without chance. For tests and local servers.
    #[must_use]
    pub fn fixed(delay: Duration) -> Self {
        Self {
            initial_delay: delay,
            max_delay: delay,
            factor: 1.0,
            jitter: 0.0,
            ..Self::default()
        }
    }
}

/// Connections that last this long start the delays over.
const STABLE: Duration = Duration::from_secs(10);

/// Counts attempts.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: ReconnectPolicy,
    jitter: Jitter,
    /// Failed attempts in a row: connecting did not lead to a CONNACK with success.
    failed: u32,
    /// The exponent of the next delay.
    step: u32,
}

impl Backoff {
    pub(crate) fn new(policy: ReconnectPolicy) -> Self {
        let jitter = policy.seed.map_or_else(Jitter::random, Jitter::seeded);
        Self {
            policy,
            jitter,
            failed: 0,
            step: 0,
        }
    }

    pub(crate) const fn loop_guard(&self) -> LoopGuard {
        self.policy.loop_guard
    }

    /// How many attempts in a row have failed.
    pub(crate) const fn failed(&self) -> u32 {
        self.failed
    }

    /// The server accepted the connection.
    pub(crate) const fn handle_connected(&mut self) {
        self.failed = 0;
    }

    /// An accepted connection ended after this time.
    pub(crate) fn handle_lasted(&mut self, lasted: Duration) {
        if lasted >= STABLE {
            self.step = 0;
        }
    }

    /// The attempt did not come to a connection.
    pub(crate) const fn handle_failed(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    /// The delay before the next attempt; `None` if there is to be none.
    pub(crate) fn next_delay(&mut self) -> Option<Duration> {
        if self
            .policy
            .max_attempts
            .is_some_and(|max| self.failed >= max)
        {
            return None;
        }
        let factor = self
            .policy
            .factor
            .max(1.0)
            .powi(i32::try_from(self.step).unwrap_or(i32::MAX));
        self.step = self.step.saturating_add(1);
        let longest = self.policy.max_delay.as_secs_f64();
        let delay = (self.policy.initial_delay.as_secs_f64() * factor).min(longest);
        let part = self.policy.jitter.clamp(0.0, 1.0) * self.jitter.next_unit();
        Some(Duration::try_from_secs_f64(delay * (1.0 - part)).unwrap_or(self.policy.max_delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> ReconnectPolicy {
        ReconnectPolicy {
            jitter: 0.0,
            ..ReconnectPolicy::default()
        }
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = Backoff::new(policy());
        let delays: Vec<_> = (0..9).map_while(|_| backoff.next_delay()).collect();
        let expected = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0];
        assert_eq!(delays, expected.map(Duration::from_secs_f64));
    }

    #[test]
    fn a_long_connection_starts_over_and_a_short_one_does_not() {
        let mut backoff = Backoff::new(policy());
        backoff.next_delay();
        backoff.handle_lasted(Duration::from_secs(1));
        assert_eq!(backoff.next_delay(), Some(Duration::from_secs(1)));
        backoff.handle_lasted(STABLE);
        assert_eq!(backoff.next_delay(), Some(Duration::from_millis(500)));
    }

    #[test]
    fn attempts_end_where_the_policy_says() {
        let mut backoff = Backoff::new(ReconnectPolicy {
            max_attempts: Some(2),
            ..policy()
        });
        assert!(backoff.next_delay().is_some());
        backoff.handle_failed();
        assert!(backoff.next_delay().is_some());
        backoff.handle_failed();
        assert_eq!(backoff.next_delay(), None);
        backoff.handle_connected();
        assert!(backoff.next_delay().is_some());
        assert_eq!(Backoff::new(ReconnectPolicy::never()).next_delay(), None);
    }

    #[test]
    fn jitter_only_shortens_and_odd_settings_do_no_harm() {
        let mut backoff = Backoff::new(ReconnectPolicy {
            jitter: 9.0,
            seed: Some(1),
            ..policy()
        });
        for _ in 0..2000 {
            assert!(backoff.next_delay().unwrap() <= Duration::from_secs(60));
        }
        let odd = ReconnectPolicy {
            factor: f64::NAN,
            jitter: f64::NAN,
            ..policy()
        };
        assert!(Backoff::new(odd).next_delay().is_some());
    }
}
