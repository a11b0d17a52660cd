//! Bounded taps: whoever does not read in time loses the oldest, and is told how many.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use mqtt5_proto::session::{AckToken, Message, OperationId, PublishVerdict, Warning};
use mqtt5_proto::{QoS, TopicFilter};

use crate::shared::{Core, Shared};
use crate::wake::Wakeups;

/// The verdict of a publish whose completion was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnobservedVerdict {
    /// The operation, as [`Completion::operation`](crate::Completion::operation) told it.
    pub operation: OperationId,
    /// What became of it.
    pub verdict: PublishVerdict,
}

/// What an operator might want to know, and no operation tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The server did something odd that does not cost the connection.
    Warning(Warning),
    /// A consumer has not acknowledged a message for so long that half of the Receive Maximum waits
    /// behind it (`4.6.0-2`, `4.6.0-3`).
    AcksStalled {
        /// The QoS whose acknowledgements wait.
        qos: QoS,
        /// The message that must be acknowledged first.
        first: AckToken,
        /// How many messages of this QoS are not acknowledged.
        waiting: usize,
    },
    /// The server lost the session; the client subscribes again.
    SessionLost,
    /// A subscription that was there before could not be made again; its streams have ended, unless
    /// other filters keep them.
    SubscriptionLost(TopicFilter),
}

#[derive(Debug)]
struct Tap<T> {
    number: u64,
    queue: VecDeque<T>,
    capacity: usize,
    lost: u64,
    waker: Option<Waker>,
}

/// All taps for one kind of thing.
#[derive(Debug)]
pub(crate) struct Taps<T> {
    taps: Vec<Tap<T>>,
    closed: bool,
}

impl<T> Default for Taps<T> {
    fn default() -> Self {
        Self {
            taps: Vec::new(),
            closed: false,
        }
    }
}

impl<T: Clone> Taps<T> {
    pub(crate) fn push(&mut self, item: &T, wakeups: &mut Wakeups) {
        for tap in &mut self.taps {
            if tap.queue.len() >= tap.capacity {
                tap.queue.pop_front();
                tap.lost += 1;
            }
            tap.queue.push_back(item.clone());
            wakeups.wake(tap.waker.take());
        }
    }
}

impl<T> Taps<T> {
    pub(crate) fn close(&mut self, wakeups: &mut Wakeups) {
        self.closed = true;
        for tap in &mut self.taps {
            wakeups.wake(tap.waker.take());
        }
    }

    fn get(&mut self, number: u64) -> Option<&mut Tap<T>> {
        self.taps.iter_mut().find(|tap| tap.number == number)
    }
}

/// A thing that can be tapped. Sealed.
pub trait Observed: Clone + sealed::Observed {}

impl<T: Clone + sealed::Observed> Observed for T {}

pub(crate) mod sealed {
    use super::{Core, Message, Notice, Taps, UnobservedVerdict};

    #[allow(
        unreachable_pub,
        private_interfaces,
        reason = "the seal of a public trait"
    )]
    pub trait Observed: Sized {
        fn taps(core: &mut Core) -> &mut Taps<Self>;
    }

    #[allow(private_interfaces, reason = "the seal of a public trait")]
    impl Observed for Message {
        fn taps(core: &mut Core) -> &mut Taps<Self> {
            &mut core.observed_messages
        }
    }

    #[allow(private_interfaces, reason = "the seal of a public trait")]
    impl Observed for UnobservedVerdict {
        fn taps(core: &mut Core) -> &mut Taps<Self> {
            &mut core.observed_verdicts
        }
    }

    #[allow(private_interfaces, reason = "the seal of a public trait")]
    impl Observed for Notice {
        fn taps(core: &mut Core) -> &mut Taps<Self> {
            &mut core.notices
        }
    }
}

/// A bounded tap. When it is full, the oldest is lost; [`lost`](Self::lost) tells how many were.
///
/// It ends (`None`) when the client is closed and all was taken. It does not keep the client alive.
pub struct Observer<T: Observed> {
    shared: Arc<Shared>,
    number: u64,
    kind: std::marker::PhantomData<fn() -> T>,
}

impl<T: Observed> Observer<T> {
    pub(crate) fn new(shared: &Arc<Shared>, capacity: usize) -> Self {
        let number = shared.run(|core| {
            let number = core.next_number();
            let capacity = capacity.max(1);
            let queue = VecDeque::new();
            T::taps(core).taps.push(Tap {
                number,
                queue,
                capacity,
                lost: 0,
                waker: None,
            });
            number
        });
        Self {
            shared: Arc::clone(shared),
            number,
            kind: std::marker::PhantomData,
        }
    }

    /// The next; `None` once the client is closed and all was taken.
    ///
    /// Cancel safe: nothing is lost by dropping the future.
    pub async fn next(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// How many were lost because they were not taken in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared
            .run(|core| T::taps(core).get(self.number).map_or(0, |tap| tap.lost))
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        self.shared.run(|core| {
            let mut wakeups = std::mem::take(&mut core.wakeups);
            let taps = T::taps(core);
            let closed = taps.closed;
            let polled = match taps.get(self.number) {
                None => Poll::Ready(None),
                Some(tap) => match tap.queue.pop_front() {
                    Some(item) => Poll::Ready(Some(item)),
                    None if closed => Poll::Ready(None),
                    None => {
                        wakeups.store(&mut tap.waker, cx);
                        Poll::Pending
                    }
                },
            };
            core.wakeups = wakeups;
            polled
        })
    }
}

impl<T: Observed> Stream for Observer<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll(cx)
    }
}

impl<T: Observed> Drop for Observer<T> {
    fn drop(&mut self) {
        self.shared.run(|core| {
            let taps = &mut T::taps(core).taps;
            if let Some(index) = taps.iter().position(|tap| tap.number == self.number) {
                let tap = taps.swap_remove(index);
                core.wakeups.discard(tap.waker);
            }
        });
    }
}

impl<T: Observed> std::fmt::Debug for Observer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
