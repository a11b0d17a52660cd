//! The order in which received messages are acknowledged: that of their arrival on this connection
//! (`4.6.0-2`, `4.6.0-3`), whatever the order in which the application is done with them.

use alloc::collections::VecDeque;

use super::AckToken;

/// Messages of one QoS that were received on this connection and are not answered yet.
#[derive(Debug, Default)]
pub(super) struct AckOrder {
    waiting: VecDeque<AckToken>,
    /// How many of them have their answer. Only a hint for the application; entries that died are
    /// not counted out.
    answered: usize,
    stall_told: bool,
}

impl AckOrder {
    pub(super) fn push(&mut self, token: AckToken, answered: bool) {
        if self.waiting.is_empty() {
            self.answered = 0;
        }
        self.waiting.push_back(token);
        self.answered += usize::from(answered);
    }

    pub(super) fn first(&self) -> Option<AckToken> {
        self.waiting.front().copied()
    }

    /// The first has died.
    pub(super) fn pop(&mut self) {
        self.waiting.pop_front();
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn note_answered(&mut self) {
        self.answered += 1;
    }

    /// The first was answered in its turn.
    pub(super) fn pop_answered(&mut self) {
        self.waiting.pop_front();
        self.answered = self.answered.saturating_sub(1);
        self.stall_told = false;
    }

    /// Whether any that waits has its answer: else there is no jam.
    #[inline]
    pub(super) fn has_answered(&self) -> bool {
        self.answered > 0
    }

    /// Whether the jam is to be told now: the first message, which has no answer, holds up another
    /// that has one, `threshold` messages wait, and it was not told yet.
    pub(super) fn tells_stall(&mut self, threshold: usize) -> bool {
        let stalled = self.answered > 0 && self.waiting.len() >= threshold;
        let tell = stalled && !self.stall_told;
        self.stall_told |= tell;
        tell
    }
}
