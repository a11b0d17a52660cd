//! The answer to something rare, to be waited for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::shared::{Core, Shared};
use crate::slots::{SlotKey, Slots};

/// A slot, and where it is.
pub(crate) struct Answer<T> {
    shared: Arc<Shared>,
    slots: fn(&mut Core) -> &mut Slots<T>,
    slot: SlotKey,
}

impl<T> Answer<T> {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        slots: fn(&mut Core) -> &mut Slots<T>,
        slot: SlotKey,
    ) -> Self {
        Self {
            shared,
            slots,
            slot,
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.shared.run(|core| {
            let mut wakeups = std::mem::take(&mut core.wakeups);
            let polled = (self.slots)(core).poll(self.slot, cx, &mut wakeups);
            core.wakeups = wakeups;
            polled
        })
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.shared.run(|core| {
            let mut wakeups = std::mem::take(&mut core.wakeups);
            // Harmless if the answer was taken: the slot is another's by then, with another
            // generation.
            let _ = (self.slots)(core).remove(self.slot, &mut wakeups);
            core.wakeups = wakeups;
        });
    }
}
