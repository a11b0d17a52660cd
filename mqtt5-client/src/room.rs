//! Who waits for room in the outbound queue, first come, first served.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::wake::Wakeups;

#[derive(Debug)]
struct Waiter {
    number: u64,
    waker: Option<Waker>,
}

/// The waiting line. A waiter stays in it until it was served or has gone, so that no wake-up is
/// lost with a future that is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    waiting: VecDeque<Waiter>,
    /// Permits that were given out and not used.
    pub(crate) reserved: usize,
    /// How many messages may be on their way, permits and verdicts not taken included.
    pub(crate) maximum: usize,
}

impl Room {
    pub(crate) const fn new(maximum: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            reserved: 0,
            maximum,
        }
    }

    /// Whether `number` may be served: it is the first in line, or there is no line.
    pub(crate) fn is_turn(&self, number: Option<u64>) -> bool {
        self.waiting
            .front()
            .is_none_or(|first| Some(first.number) == number)
    }

    /// Joins the line, or stays in it.
    pub(crate) fn wait(&mut self, number: u64, cx: &Context<'_>, wakeups: &mut Wakeups) {
        match self
            .waiting
            .iter_mut()
            .find(|waiter| waiter.number == number)
        {
            Some(waiter) => wakeups.store(&mut waiter.waker, cx),
            None => {
                let waker = Some(cx.waker().clone());
                self.waiting.push_back(Waiter { number, waker });
            }
        }
    }

    /// Leaves the line, served or not.
    pub(crate) fn leave(&mut self, number: u64, wakeups: &mut Wakeups) {
        if let Some(index) = self
            .waiting
            .iter()
            .position(|waiter| waiter.number == number)
            && let Some(waiter) = self.waiting.remove(index)
        {
            wakeups.discard(waiter.waker);
        }
        self.wake_first(wakeups);
    }

    /// There may be room.
    pub(crate) fn wake_first(&mut self, wakeups: &mut Wakeups) {
        if let Some(first) = self.waiting.front_mut() {
            wakeups.wake(first.waker.take());
        }
    }

    /// Nobody will be served any more.
    pub(crate) fn wake_all(&mut self, wakeups: &mut Wakeups) {
        for waiter in &mut self.waiting {
            wakeups.wake(waiter.waker.take());
        }
    }
}
