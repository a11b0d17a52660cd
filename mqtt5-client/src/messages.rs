//! Message streams.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use mqtt5_proto::QoS;
use mqtt5_proto::packet::{AckProperties, PublishReasonCode};
use mqtt5_proto::session::{AckError, Message};

use crate::answer::Answer;
use crate::client::Client;
use crate::errors::UnsubscribeError;
use crate::shared::Handle;
use crate::streams::{Grant, MessageQueue, StreamEnd, StreamKey};

/// The messages of one subscription, in the order in which they came.
///
/// # Acknowledgement
/// A message of QoS 1 or 2 is acknowledged when its consumer asks for the next one, or explicitly
/// by [`acknowledge`](Self::acknowledge) or [`reject`](Self::reject); never on arrival, and not by
/// dropping the message. A process that dies in between gets it again. If a message goes to several
/// streams, all of them have to acknowledge it, and the worst reason is sent.
///
/// # Clones share the work
/// Each message goes to one of the clones. If a clone is dropped, the messages that it was given and
/// has not acknowledged go to the others, first of all.
///
/// # End
/// The stream outlives reconnects. It ends (`None`) when it is unsubscribed, when the server refuses
/// the subscription, or when the client is closed; [`end_reason`](Self::end_reason) tells. When the
/// last clone is dropped, an ephemeral session unsubscribes in the background; a durable session keeps
/// the subscription. Messages of QoS 1 and 2 that waited in the stream are treated as claimed by
/// nobody, unless another stream has them too; those of QoS 0 are discarded.
pub struct Messages {
    handle: Arc<Handle>,
    stream: StreamKey,
    consumer: u64,
}

impl Messages {
    /// The stream counts this consumer already.
    pub(crate) const fn new(handle: Arc<Handle>, stream: StreamKey, consumer: u64) -> Self {
        Self {
            handle,
            stream,
            consumer,
        }
    }

    /// The next message; `None` when the stream has ended.
    ///
    /// Cancel safe: a message that was not returned is returned by the next call, to this or to
    /// another clone. The message before counts as done with from the first poll on.
    #[allow(clippy::should_implement_trait, reason = "the name that streams use")]
    pub fn next(&mut self) -> NextMessage<'_> {
        NextMessage { messages: self }
    }

    #[inline]
    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        let (key, consumer) = (self.stream, self.consumer);
        let shared = self.handle.shared();
        shared.run(|core| {
            let Some(mut stream) = core.streams.get_mut(&key) else {
                return Poll::Ready(None);
            };
            if stream.is_owed() && !stream.is_manual() {
                if core.finish_taken(key, consumer) {
                    core.leave_to_driver(shared.clock());
                }
                let Some(same) = core.streams.get_mut(&key) else {
                    return Poll::Ready(None);
                };
                stream = same;
            }
            if stream.len() == 0 && stream.end.is_none() {
                stream.wait(consumer, cx, &mut core.wakeups);
                return Poll::Pending;
            }
            let taken = Poll::Ready(stream.take(consumer));
            if core.paused && !stream.asks_to_pause() {
                core.wake_driver();
            }
            taken
        })
    }

    /// The QoS that the server granted, at most the one that was asked for; of several filters the
    /// highest. `None` if the server has not answered.
    #[must_use]
    pub fn granted(&self) -> Option<QoS> {
        let grants = self.grants();
        grants.iter().filter_map(|grant| grant.result?.ok()).max()
    }

    /// The server's answer for each filter.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        self.handle.shared().run(|core| {
            core.streams
                .get(&self.stream)
                .map(|stream| stream.grants.clone())
                .unwrap_or_default()
        })
    }

    /// Why the stream has ended, or will when all that waits is taken; `None` if it goes on.
    #[must_use]
    pub fn end_reason(&self) -> Option<StreamEnd> {
        self.handle.shared().run(|core| {
            core.streams
                .get(&self.stream)
                .and_then(|stream| stream.end.clone())
        })
    }

    /// How many messages wait in the stream.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.handle
            .shared()
            .run(|core| core.streams.get(&self.stream).map_or(0, MessageQueue::len))
    }

    /// Acknowledges a message that this stream has given out. Does nothing for QoS 0. Messages may
    /// be acknowledged in any order; it is told to the server in the order of the standard
    /// (`4.6.0-2`, `4.6.0-3`).
    ///
    /// # Errors
    /// [`AckError`] if it has no effect any more; harmless.
    pub fn acknowledge(&self, message: &Message) -> Result<(), AckError> {
        self.settle(message, PublishReasonCode::Success, None)
    }

    /// Refuses a message that this stream has given out, or acknowledges it with a reason code of
    /// its own (section 3.4.2.1). Does nothing for QoS 0.
    ///
    /// # Errors
    /// As [`acknowledge`](Self::acknowledge).
    pub fn reject(&self, message: &Message, reason: PublishReasonCode) -> Result<(), AckError> {
        self.settle(message, reason, None)
    }

    /// As [`reject`](Self::reject), with a Reason String and User Properties. They are left out if
    /// the server cannot take them, or if other streams share the message and a worse reason of one
    /// of them is sent.
    ///
    /// # Errors
    /// As [`acknowledge`](Self::acknowledge).
    pub fn reject_with(
        &self,
        message: &Message,
        reason: PublishReasonCode,
        properties: AckProperties,
    ) -> Result<(), AckError> {
        self.settle(message, reason, Some(properties))
    }

    fn settle(
        &self,
        message: &Message,
        reason: PublishReasonCode,
        properties: Option<AckProperties>,
    ) -> Result<(), AckError> {
        let Some(token) = message.token() else {
            return Ok(());
        };
        if reason == PublishReasonCode::NoMatchingSubscribers {
            // Found before anything is settled: the message still waits for an answer.
            return Err(AckError::ReasonCode);
        }
        self.handle.shared().command(|core, _| {
            let taken = core.streams.get_mut(&self.stream);
            if !taken.is_some_and(|stream| stream.finish_token(token)) {
                return Err(AckError::NotAwaited);
            }
            core.settle(token, reason, properties)
        })
    }

    /// Ends the stream and all of its clones, and waits until the server has confirmed it. Filters
    /// that other streams share stay subscribed to. What waits in the stream can still be taken by
    /// clones.
    ///
    /// # Errors
    /// [`UnsubscribeError`] if the server did not confirm it; the stream has ended all the same.
    ///
    /// Cancel safe: if the future is dropped, it goes on in the background.
    pub async fn unsubscribe(self) -> Result<(), UnsubscribeError> {
        let shared = self.handle.shared();
        let slot = shared.command(|core, _| core.begin_unsubscribe(self.stream));
        match slot {
            None => Ok(()),
            Some(slot) => {
                Answer::new(Arc::clone(shared), |core| &mut core.unsubscribed, slot).await
            }
        }
    }

    /// A handle to the client.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::of(Arc::clone(&self.handle))
    }
}

/// The next message of a stream; from [`Messages::next`].
#[derive(Debug)]
#[must_use = "no message is taken before this is awaited"]
pub struct NextMessage<'a> {
    messages: &'a mut Messages,
}

impl Future for NextMessage<'_> {
    type Output = Option<Message>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.poll(cx)
    }
}

impl Stream for Messages {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll(cx)
    }
}

impl Clone for Messages {
    /// Another consumer of the same stream: each message goes to one of them.
    fn clone(&self) -> Self {
        let consumer = self.handle.shared().run(|core| {
            if let Some(stream) = core.streams.get_mut(&self.stream) {
                stream.consumers += 1;
            }
            core.next_number()
        });
        Self {
            handle: Arc::clone(&self.handle),
            stream: self.stream,
            consumer,
        }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        let (stream, consumer) = (self.stream, self.consumer);
        self.handle
            .shared()
            .command(|core, _| core.remove_consumer(stream, consumer));
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
