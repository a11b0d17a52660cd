//! The verdicts of publishes, for those who wait for them: no allocation and no channel for each.
//!
//! An entry is found by whoever waits at its index, and by the session's event through a chain of
//! the operations whose numbers end alike. Numbers are never used twice, so that one that has gone
//! is never taken for another.

use std::task::{Context, Poll, Waker};

use mqtt5_proto::session::{OperationId, PublishVerdict};

use crate::wake::Wakeups;

/// How many chains there are at least; a power of two.
const LEAST: usize = 16;

/// Where the verdict of one operation will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) operation: OperationId,
    index: usize,
}

#[derive(Debug)]
enum State {
    Free,
    Pending(Option<Waker>),
    Done(PublishVerdict),
}

/// One more than the index of an entry; 0 is the end.
type Link = usize;

#[derive(Debug)]
struct Entry {
    operation: u64,
    /// The next in the chain of pending ones, or of free ones.
    next: Link,
    state: State,
}

/// All operations whose verdict has not come, or was not taken.
#[derive(Debug, Default)]
pub(crate) struct Completions {
    entries: Vec<Entry>,
    heads: Vec<Link>,
    free: Link,
    pending: usize,
    done: usize,
}

impl Completions {
    /// How many verdicts have come and were not taken.
    pub(crate) const fn done(&self) -> usize {
        self.done
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "only the low bits choose the chain"
    )]
    const fn chain(&self, operation: u64) -> usize {
        operation as usize & self.heads.len().wrapping_sub(1)
    }

    /// The verdict of `operation` is waited for from now on.
    pub(crate) fn insert(&mut self, operation: OperationId) -> Accepted {
        if self.pending >= self.heads.len() {
            self.double();
        }
        let chain = self.chain(operation.get());
        let mut entry = Entry {
            operation: operation.get(),
            next: 0,
            state: State::Pending(None),
        };
        let free = self.free.wrapping_sub(1);
        let index = if free < self.entries.len() {
            free
        } else {
            self.entries.len()
        };
        if let Some(head) = self.heads.get_mut(chain) {
            entry.next = std::mem::replace(head, index + 1);
        }
        match self.entries.get_mut(index) {
            Some(free) => {
                self.free = free.next;
                *free = entry;
            }
            None => self.entries.push(entry),
        }
        self.pending += 1;
        Accepted { operation, index }
    }

    fn double(&mut self) {
        let chains = (2 * self.heads.len()).max(LEAST);
        self.heads.clear();
        self.heads.resize(chains, 0);
        for index in 0..self.entries.len() {
            let Some(entry) = self.entries.get(index) else {
                return;
            };
            if !matches!(entry.state, State::Pending(_)) {
                continue;
            }
            let chain = self.chain(entry.operation);
            if let Some((entry, head)) = self.entries.get_mut(index).zip(self.heads.get_mut(chain))
            {
                entry.next = std::mem::replace(head, index + 1);
            }
        }
    }

    /// Takes a pending entry out of its chain.
    fn unlink(&mut self, operation: u64) -> Option<usize> {
        let chain = self.chain(operation);
        let mut previous = None;
        let mut index = self.heads.get(chain)?.checked_sub(1)?;
        loop {
            let entry = self.entries.get(index)?;
            let next = entry.next;
            if entry.operation == operation {
                match previous.and_then(|previous: usize| self.entries.get_mut(previous)) {
                    Some(previous) => previous.next = next,
                    None => *self.heads.get_mut(chain)? = next,
                }
                self.pending -= 1;
                return Some(index);
            }
            previous = Some(index);
            index = next.checked_sub(1)?;
        }
    }

    fn release(&mut self, index: usize) -> Option<State> {
        let entry = self.entries.get_mut(index)?;
        entry.next = std::mem::replace(&mut self.free, index + 1);
        // The number of no operation, so that nobody finds it.
        entry.operation = 0;
        Some(std::mem::replace(&mut entry.state, State::Free))
    }

    /// The verdict has come. Hands it back if nobody waits for it any more.
    pub(crate) fn resolve(
        &mut self,
        operation: OperationId,
        verdict: PublishVerdict,
        wakeups: &mut Wakeups,
    ) -> Option<PublishVerdict> {
        let index = self.unlink(operation.get());
        let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) else {
            return Some(verdict);
        };
        if let State::Pending(waker) = std::mem::replace(&mut entry.state, State::Done(verdict)) {
            wakeups.wake(waker);
        }
        self.done += 1;
        None
    }

    /// All that wait get `verdict`.
    pub(crate) fn resolve_all(&mut self, verdict: &PublishVerdict, wakeups: &mut Wakeups) {
        self.heads.clear();
        self.pending = 0;
        for entry in &mut self.entries {
            if let State::Pending(waker) = &mut entry.state {
                wakeups.wake(waker.take());
                entry.state = State::Done(verdict.clone());
                self.done += 1;
            }
        }
    }

    fn entry(&mut self, accepted: Accepted) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(accepted.index)?;
        (entry.operation == accepted.operation.get()).then_some(entry)
    }

    /// The verdict, once; after that pending for ever.
    pub(crate) fn poll(
        &mut self,
        accepted: Accepted,
        cx: &Context<'_>,
        wakeups: &mut Wakeups,
    ) -> Poll<PublishVerdict> {
        match self.entry(accepted) {
            Some(Entry {
                state: State::Pending(waker),
                ..
            }) => wakeups.store(waker, cx),
            Some(_) => {
                if let Some(State::Done(verdict)) = self.release(accepted.index) {
                    self.done -= 1;
                    return Poll::Ready(verdict);
                }
            }
            None => {}
        }
        Poll::Pending
    }

    /// Nobody waits any more. Hands the verdict back if it has come.
    pub(crate) fn remove(
        &mut self,
        accepted: Accepted,
        wakeups: &mut Wakeups,
    ) -> Option<PublishVerdict> {
        if matches!(self.entry(accepted)?.state, State::Pending(_)) {
            self.unlink(accepted.operation.get());
        }
        match self.release(accepted.index)? {
            State::Done(verdict) => {
                self.done -= 1;
                Some(verdict)
            }
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
    use std::collections::BTreeMap;

    use mqtt5_proto::session::{Session, SessionConfig};
    use mqtt5_proto::{Instant, Topic, packet::ApplicationMessage};

    use super::*;

    /// Numbers of operations as a session gives them out.
    fn operations() -> impl FnMut() -> OperationId {
        let mut session = Session::new(SessionConfig {
            queue_qos0: true,
            outbound_messages: usize::MAX,
            ..SessionConfig::default()
        });
        let message = ApplicationMessage::new(Topic::new("t").unwrap(), "");
        move || session.publish(message.clone(), Instant::ZERO).unwrap()
    }

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn a_verdict_is_given_once() {
        let (mut next, mut wakeups) = (operations(), Wakeups::default());
        let mut completions = Completions::default();
        let accepted = completions.insert(next());
        let poll = |completions: &mut Completions| {
            completions.poll(accepted, &context(), &mut Wakeups::default())
        };
        assert_eq!(poll(&mut completions), Poll::Pending);
        let sent = PublishVerdict::Sent;
        let left = completions.resolve(accepted.operation, sent.clone(), &mut wakeups);
        assert_eq!((left, completions.done()), (None, 1));
        assert_eq!(poll(&mut completions), Poll::Ready(sent.clone()));
        assert_eq!(
            (poll(&mut completions), completions.done()),
            (Poll::Pending, 0)
        );
        let again = completions.resolve(accepted.operation, sent.clone(), &mut wakeups);
        assert_eq!(again, Some(sent));
    }

    #[test]
    fn an_old_key_never_meets_the_operation_that_took_its_place() {
        let (mut next, mut wakeups) = (operations(), Wakeups::default());
        let mut completions = Completions::default();
        let old = completions.insert(next());
        assert_eq!(completions.remove(old, &mut wakeups), None);
        let new = completions.insert(next());
        assert_eq!(old.index, new.index);
        let sent = PublishVerdict::Sent;
        let unobserved = completions.resolve(old.operation, sent.clone(), &mut wakeups);
        assert_eq!(unobserved, Some(sent.clone()));
        assert_eq!(completions.remove(old, &mut wakeups), None);
        assert_eq!(
            completions.resolve(new.operation, sent.clone(), &mut wakeups),
            None
        );
        assert_eq!(completions.remove(new, &mut wakeups), Some(sent));
    }

    /// In any order, with operations that stay for long, against a map that is known to be right.
    #[test]
    fn finds_each_among_many() {
        let (mut next, mut wakeups) = (operations(), Wakeups::default());
        let mut completions = Completions::default();
        let (mut model, mut state) = (BTreeMap::new(), 7u32);
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = state >> 16;
            if random % 2 == 0 && model.len() < 300 {
                let accepted = completions.insert(next());
                model.insert(accepted.operation.get(), accepted);
            } else if let Some((&number, &accepted)) =
                model.range(u64::from(random) % 9_000..).next()
            {
                model.remove(&number);
                if random % 3 == 0 {
                    assert_eq!(completions.remove(accepted, &mut wakeups), None);
                } else {
                    let sent = PublishVerdict::Sent;
                    let left = completions.resolve(accepted.operation, sent.clone(), &mut wakeups);
                    assert_eq!(left, None);
                    let polled = completions.poll(accepted, &context(), &mut wakeups);
                    assert_eq!(polled, Poll::Ready(sent));
                }
            }
            assert_eq!((completions.pending, completions.done()), (model.len(), 0));
        }
        let unknown = PublishVerdict::Unknown { message: None };
        completions.resolve_all(&unknown, &mut wakeups);
        for accepted in model.into_values() {
            assert_eq!(
                completions.remove(accepted, &mut wakeups),
                Some(unknown.clone())
            );
        }
        assert_eq!((completions.pending, completions.done()), (0, 0));
        let accepted = completions.insert(next());
        assert_eq!(completions.remove(accepted, &mut wakeups), None);
    }
}
