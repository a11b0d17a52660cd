//! The verdict of a publish, to be waited for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mqtt5_proto::session::OperationId;

use crate::completions::Accepted;
use crate::errors::{PublishError, published};
use crate::publish::{Enqueue, Published};
use crate::shared::Shared;
use crate::taps::UnobservedVerdict;

/// Tells what became of an accepted message.
///
/// Awaiting it gives the verdict, exactly once, also if the client is closed or its driver dropped.
/// Until then it counts to [`outbound_messages`](crate::ClientOptions::outbound_messages). It does
/// not keep the client alive. Dropping it does not take the message back; the verdict goes to
/// [`Client::verdicts`](crate::Client::verdicts).
#[derive(Debug)]
#[must_use = "awaiting it tells what became of the message; dropping it takes nothing back"]
pub struct Completion {
    shared: Arc<Shared>,
    accepted: Accepted,
    done: bool,
}

impl Completion {
    pub(crate) fn new(shared: &Arc<Shared>, accepted: Accepted) -> Self {
        Self {
            shared: Arc::clone(shared),
            accepted,
            done: false,
        }
    }

    /// The number of the operation.
    #[must_use]
    pub const fn operation(&self) -> OperationId {
        self.accepted.operation
    }
}

impl Future for Completion {
    type Output = Result<Published, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let accepted = self.accepted;
        let polled = self.shared.run(|core| {
            let polled = core.completions.poll(accepted, cx, &mut core.wakeups);
            if polled.is_ready() {
                core.room.wake_first(&mut core.wakeups);
            }
            polled
        });
        self.done |= polled.is_ready();
        polled.map(published)
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let accepted = self.accepted;
        self.shared.run(|core| {
            if let Some(verdict) = core.completions.remove(accepted, &mut core.wakeups) {
                let operation = accepted.operation;
                core.tell_unobserved(&UnobservedVerdict { operation, verdict });
                core.room.wake_first(&mut core.wakeups);
            }
        });
    }
}

/// Publishes and waits for the verdict; what awaiting a [`Publish`](crate::Publish) does.
#[derive(Debug)]
#[must_use = "nothing is published before this is awaited"]
pub struct PublishFuture(Step);

#[derive(Debug)]
enum Step {
    Accepting(Enqueue),
    Completing(Completion),
}

impl PublishFuture {
    pub(crate) const fn new(enqueue: Enqueue) -> Self {
        Self(Step::Accepting(enqueue))
    }
}

impl Future for PublishFuture {
    type Output = Result<Published, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                Step::Completing(completion) => return Pin::new(completion).poll(cx),
                Step::Accepting(enqueue) => match Pin::new(enqueue).poll(cx) {
                    Poll::Ready(Ok(completion)) => self.0 = Step::Completing(completion),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }
}
