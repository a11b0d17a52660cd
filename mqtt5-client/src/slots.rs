//! Answers without an allocation or a channel each: a slot is an index and a generation.

use std::task::{Context, Poll, Waker};

use crate::wake::Wakeups;

/// One slot, for one use of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotKey {
    index: usize,
    generation: u32,
}

#[derive(Debug)]
enum State<T> {
    Free,
    Pending(Option<Waker>),
    Done(T),
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    state: State<T>,
}

/// Slots for values that come later.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slots<T> {
    pub(crate) fn insert(&mut self) -> SlotKey {
        let state = State::Pending(None);
        if let Some(index) = self.free.pop()
            && let Some(entry) = self.entries.get_mut(index)
        {
            entry.state = state;
            return SlotKey {
                index,
                generation: entry.generation,
            };
        }
        self.entries.push(Entry {
            generation: 0,
            state,
        });
        SlotKey {
            index: self.entries.len() - 1,
            generation: 0,
        }
    }

    fn entry(&mut self, key: SlotKey) -> Option<&mut Entry<T>> {
        let entry = self.entries.get_mut(key.index)?;
        (entry.generation == key.generation).then_some(entry)
    }

    /// The value has come. Hands it back if nobody waits for it any more.
    pub(crate) fn resolve(&mut self, key: SlotKey, value: T, wakeups: &mut Wakeups) -> Option<T> {
        match self.entry(key) {
            Some(entry) if matches!(entry.state, State::Pending(_)) => {
                let old = std::mem::replace(&mut entry.state, State::Done(value));
                if let State::Pending(waker) = old {
                    wakeups.wake(waker);
                }
                None
            }
            _ => Some(value),
        }
    }

    /// The value, once; after that, and for a slot that was removed, pending for ever.
    pub(crate) fn poll(
        &mut self,
        key: SlotKey,
        cx: &Context<'_>,
        wakeups: &mut Wakeups,
    ) -> Poll<T> {
        match self.entry(key) {
            Some(Entry {
                state: State::Pending(waker),
                ..
            }) => {
                wakeups.store(waker, cx);
                Poll::Pending
            }
            Some(Entry {
                state: State::Done(_),
                ..
            }) => match self.take(key) {
                Some(State::Done(value)) => Poll::Ready(value),
                _ => Poll::Pending,
            },
            _ => Poll::Pending,
        }
    }

    fn take(&mut self, key: SlotKey) -> Option<State<T>> {
        let entry = self.entry(key)?;
        let state = std::mem::replace(&mut entry.state, State::Free);
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(state)
    }

    /// Nobody waits any more. Hands the value back if it has come.
    pub(crate) fn remove(&mut self, key: SlotKey, wakeups: &mut Wakeups) -> Option<T> {
        match self.take(key)? {
            State::Done(value) => Some(value),
            State::Pending(waker) => {
                wakeups.discard(waker);
                None
            }
            State::Free => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn a_value_comes_once_and_frees_its_slot() {
        let (mut slots, mut wakeups) = (Slots::default(), Wakeups::default());
        let key = slots.insert();
        assert_eq!(slots.poll(key, &context(), &mut wakeups), Poll::Pending);
        assert_eq!(slots.resolve(key, 1, &mut wakeups), None);
        assert_eq!(slots.poll(key, &context(), &mut wakeups), Poll::Ready(1));
        assert_eq!(slots.poll(key, &context(), &mut wakeups), Poll::Pending);
        assert_eq!(slots.insert().index, key.index);
    }

    #[test]
    fn a_late_value_does_not_reach_the_next_user_of_the_slot() {
        let (mut slots, mut wakeups) = (Slots::default(), Wakeups::default());
        let old = slots.insert();
        assert_eq!(slots.remove(old, &mut wakeups), None);
        let new = slots.insert();
        assert_eq!(slots.resolve(old, 1, &mut wakeups), Some(1));
        assert_eq!(slots.poll(new, &context(), &mut wakeups), Poll::Pending);
        assert_eq!(slots.resolve(new, 2, &mut wakeups), None);
        assert_eq!(slots.remove(new, &mut wakeups), Some(2));
    }
}
