//! What happened and was not told yet.

use alloc::collections::VecDeque;

use super::{Event, OperationId, PublishVerdict};

/// Events, in the order in which they happened.
///
/// The verdicts of publishes, which are most of what a session that sends has to tell, are kept
/// apart: an [`Event`] has room for a message in place, and a verdict would be moved in and out
/// with all of it.
#[derive(Debug, Default)]
pub(super) struct Events {
    verdicts: VecDeque<Verdict>,
    others: VecDeque<Event>,
    /// How many of the others were ever taken.
    others_taken: u64,
}

#[derive(Debug)]
struct Verdict {
    operation: OperationId,
    verdict: PublishVerdict,
    /// How many of the others had ever happened before it.
    others_before: u64,
}

impl Events {
    /// Anything that is not the verdict of a publish, which has its own place.
    #[inline]
    pub(super) fn push(&mut self, event: Event) {
        self.others.push_back(event);
    }

    #[inline]
    pub(super) fn push_verdict(&mut self, operation: OperationId, verdict: PublishVerdict) {
        self.verdicts.push_back(Verdict {
            operation,
            verdict,
            others_before: self.others_taken + self.others.len() as u64,
        });
    }

    /// The one that happened first.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Event> {
        let taken = self.others_taken;
        if let Some(first) = self
            .verdicts
            .pop_front_if(|first| first.others_before <= taken)
        {
            return Some(Event::Published {
                operation: first.operation,
                verdict: first.verdict,
            });
        }
        let event = self.others.pop_front()?;
        self.others_taken += 1;
        Some(event)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.verdicts.len() + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Warning;

    /// Against one queue for all.
    #[test]
    fn are_told_in_the_order_in_which_they_happened() {
        let mut state = 1u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let (mut events, mut model) = (Events::default(), VecDeque::new());
        let mut accepted = 0;
        for step in 0..50_000 {
            // Now they pile up, now they are taken as they come.
            let pushes = if step / 100 % 2 == 0 { 3 } else { 1 };
            for _ in 0..random(pushes + 1) {
                if random(2) == 0 {
                    let (operation, verdict) = (OperationId::nth(accepted), PublishVerdict::Sent);
                    accepted += 1;
                    events.push_verdict(operation, verdict.clone());
                    model.push_back(Event::Published { operation, verdict });
                } else {
                    let kinds = [Warning::WildcardInTopic, Warning::ResponseTopic];
                    let [first, second] = kinds.map(Event::Warning);
                    let event = if random(2) == 0 { first } else { second };
                    events.push(event.clone());
                    model.push_back(event);
                }
            }
            for _ in 0..random(3) {
                assert_eq!(events.pop(), model.pop_front());
            }
            assert_eq!(events.len(), model.len());
        }
        while let Some(event) = model.pop_front() {
            assert_eq!(events.pop(), Some(event));
        }
        assert_eq!(events.pop(), None);
    }
}
