//! Who waits for room in the outbound queue, first come, first served.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::wake::Wakeups;

#[derive(Debug)]
struct Waiter {
    number: u64,
    waker: Option<Waker>,
    /// It has a permit and waits for bytes alone.
    permitted: bool,
}

/// The waiting line. A waiter stays in it until it was served or has gone, so that no wake-up is
/// lost with a future that is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    /// By rising numbers: they are given out under the lock under which the line is joined.
    waiting: VecDeque<Waiter>,
    /// How many of them have a permit.
    permitted: usize,
    /// Permits that were given out and not used.
    pub(crate) reserved: usize,
    /// How many messages may be on their way, permits and verdicts not taken included.
    pub(crate) maximum: usize,
}

impl Room {
    pub(crate) const fn new(maximum: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            permitted: 0,
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

    fn find(&self, number: u64) -> Result<usize, usize> {
        self.waiting
            .binary_search_by_key(&number, |waiter| waiter.number)
    }

    /// Joins the line, or stays in it. `permitted`: with a permit.
    pub(crate) fn wait(
        &mut self,
        number: u64,
        permitted: bool,
        cx: &Context<'_>,
        wakeups: &mut Wakeups,
    ) {
        match self.find(number) {
            Ok(index) => {
                if let Some(waiter) = self.waiting.get_mut(index) {
                    wakeups.store(&mut waiter.waker, cx);
                }
            }
            Err(index) => {
                let waiter = Waiter {
                    number,
                    waker: Some(cx.waker().clone()),
                    permitted,
                };
                self.waiting.insert(index, waiter);
                self.permitted += usize::from(permitted);
            }
        }
    }

    /// Leaves the line, served or not.
    pub(crate) fn leave(&mut self, number: u64, wakeups: &mut Wakeups) {
        if let Ok(index) = self.find(number)
            && let Some(waiter) = self.waiting.remove(index)
        {
            self.permitted -= usize::from(waiter.permitted);
            wakeups.discard(waiter.waker);
        }
        self.wake_first(wakeups);
    }

    /// There may be room: for the first in line, or for those with a permit, who do not wait for
    /// what it waits for.
    pub(crate) fn wake_first(&mut self, wakeups: &mut Wakeups) {
        if let Some(first) = self.waiting.front_mut() {
            wakeups.wake(first.waker.take());
        }
        if self.permitted > 0 {
            for waiter in self.waiting.iter_mut().filter(|waiter| waiter.permitted) {
                wakeups.wake(waiter.waker.take());
            }
        }
    }

    /// Nobody will be served any more.
    pub(crate) fn wake_all(&mut self, wakeups: &mut Wakeups) {
        for waiter in &mut self.waiting {
            wakeups.wake(waiter.waker.take());
        }
    }
}
