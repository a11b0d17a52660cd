//! Keep Alive (sections 3.1.2.10 and 3.12): when to send a PINGREQ, and how long to wait for the
//! answer.

use core::time::Duration;

use crate::time::Instant;

/// The most that a PINGREQ goes out before it must.
const MAX_MARGIN: Duration = Duration::from_secs(10);

/// How many times its deadline an answer may be late while other bytes arrive.
const PATIENCE: u32 = 3;

#[derive(Debug)]
pub(super) struct KeepAlive {
    /// How long after the end of sending a PINGREQ is due; `None` if keep alive is off.
    interval: Option<Duration>,
    timeout: Duration,
    /// When the last bytes were sent.
    last_sent: Instant,
    /// Where in the stream of bytes the PINGREQ ends that the transport has not taken: there is
    /// one at most, since another behind it would say nothing more.
    unsent: Option<u64>,
    awaiting: Option<Awaiting>,
    paused: bool,
}

/// A PINGREQ without its answer.
#[derive(Clone, Copy, Debug)]
struct Awaiting {
    deadline: Instant,
    /// Until here arriving bytes put the deadline off.
    limit: Instant,
}

/// What time it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    TimedOut,
}

impl KeepAlive {
    pub(super) fn new(keep_alive: u16, ping_timeout: Duration, now: Instant) -> Self {
        let keep_alive = Duration::from_secs(keep_alive.into());
        let margin = (keep_alive / 4).min(MAX_MARGIN);
        Self {
            interval: (!keep_alive.is_zero()).then(|| keep_alive - margin),
            timeout: keep_alive.max(ping_timeout),
            last_sent: now,
            unsent: None,
            awaiting: None,
            paused: false,
        }
    }

    /// The transport has taken bytes, `transmitted` in all.
    pub(super) fn handle_sent(&mut self, transmitted: u64, now: Instant) {
        self.last_sent = self.last_sent.max(now);
        self.unsent = self.unsent.filter(|end| *end > transmitted);
    }

    /// A PINGREQ waits to be sent; it ends at `end` in the stream of bytes.
    pub(super) fn handle_ping_queued(&mut self, end: u64, now: Instant) {
        self.unsent = Some(end);
        if self.awaiting.is_none() {
            self.await_answer(now);
        }
    }

    fn await_answer(&mut self, now: Instant) {
        let limit = now + self.timeout * PATIENCE;
        self.awaiting = Some(Awaiting {
            deadline: now + self.timeout,
            limit,
        });
    }

    pub(super) const fn awaits_answer(&self) -> bool {
        self.awaiting.is_some()
    }

    /// Any bytes show life, up to a bound; but a peer in the middle of a packet cannot answer
    /// before it is through, so the bound waits for the packet's end.
    pub(super) fn handle_received(&mut self, mid_packet: bool, now: Instant) {
        if let Some(awaiting) = &mut self.awaiting {
            let deadline = now + self.timeout;
            if mid_packet {
                awaiting.limit = awaiting.limit.max(deadline);
            }
            awaiting.deadline = deadline.min(awaiting.limit);
        }
    }

    /// A PINGRESP came. It does not answer what has not left, and that one is still waited for.
    pub(super) fn handle_answer(&mut self) {
        if self.unsent.is_none() {
            self.awaiting = None;
        }
    }

    pub(super) fn handle_paused(&mut self) {
        self.paused = true;
    }

    /// The answer may lie unread since the pause began: the wait for it starts again.
    pub(super) fn handle_resumed(&mut self, now: Instant) {
        self.paused = false;
        if self.awaiting.is_some() {
            self.await_answer(now);
        }
    }

    pub(super) fn due(&self, now: Instant) -> Due {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            Due::TimedOut
        } else if self.ping_at().is_some_and(|ping| ping <= now) {
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    fn ping_at(&self) -> Option<Instant> {
        let interval = self.interval.filter(|_| self.unsent.is_none())?;
        Some(self.last_sent + interval)
    }

    fn deadline(&self) -> Option<Instant> {
        if self.paused {
            None
        } else {
            self.awaiting.map(|awaiting| awaiting.deadline)
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        [self.ping_at(), self.deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}
