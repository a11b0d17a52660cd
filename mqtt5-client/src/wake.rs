//! Wakers are foreign code: called, and dropped, only after the lock is released.

use std::task::{Context, Waker};

use smallvec::SmallVec;

/// What is to be woken, and what is to be dropped, after unlocking.
#[derive(Debug, Default)]
pub(crate) struct Wakeups {
    first: Option<Waker>,
    more: Vec<Waker>,
    /// Dropping the last waker of a task may drop the task, and with it handles that lock.
    dead: Vec<Waker>,
}

impl Wakeups {
    /// All of it, if there is anything.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Self> {
        let any = self.first.is_some() || !self.dead.is_empty();
        any.then(|| std::mem::take(self))
    }

    pub(crate) fn wake(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }

    #[inline]
    pub(crate) fn wake_all(&mut self, waiting: &mut Waiting) {
        for (_, waker) in waiting.0.drain(..) {
            self.wake(Some(waker));
        }
    }

    pub(crate) fn discard(&mut self, waker: Option<Waker>) {
        self.dead.extend(waker);
    }

    /// Puts the waker of `cx` into `slot`.
    pub(crate) fn store(&mut self, slot: &mut Option<Waker>, cx: &Context<'_>) {
        if slot
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            return;
        }
        let old = slot.replace(cx.waker().clone());
        self.discard(old);
    }

    /// Calls and drops them. Never under the lock.
    pub(crate) fn run(self) {
        for waker in self.first.into_iter().chain(self.more) {
            waker.wake();
        }
    }
}

/// Tasks that wait for the same thing, each with a number of its own. All are woken together: with
/// the few that usually wait, that is cheaper than to hand a wake-up on when its task has gone.
#[derive(Debug, Default)]
pub(crate) struct Waiting(SmallVec<[(u64, Waker); 1]>);

impl Waiting {
    pub(crate) fn store(&mut self, number: u64, cx: &Context<'_>, wakeups: &mut Wakeups) {
        match self.0.iter_mut().find(|(waiting, _)| *waiting == number) {
            Some((_, waker)) if waker.will_wake(cx.waker()) => {}
            Some((_, waker)) => {
                let old = std::mem::replace(waker, cx.waker().clone());
                wakeups.discard(Some(old));
            }
            None => self.0.push((number, cx.waker().clone())),
        }
    }

    pub(crate) fn remove(&mut self, number: u64, wakeups: &mut Wakeups) {
        if let Some(index) = self.0.iter().position(|(waiting, _)| *waiting == number) {
            wakeups.discard(Some(self.0.swap_remove(index).1));
        }
    }
}
