//! The queues of message streams.

use std::collections::VecDeque;

use mqtt5_proto::packet::{Received, SubackReasonCode};
use mqtt5_proto::session::{AckToken, Message};
use mqtt5_proto::{QoS, TopicFilter};

use crate::errors::CloseReason;
use crate::numbers::NumberMap;
use crate::routes::RouteKey;
use crate::wake::{Waiting, Wakeups};

/// Names a stream.
pub(crate) type StreamKey = u64;

/// What happens to a message of QoS 0 when the queue of its stream is full. Messages of QoS 1 and 2
/// are never dropped: their number is bounded by the Receive Maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// The new message is dropped, and counted.
    #[default]
    DropNewest,
    /// The oldest message of QoS 0 in the queue is dropped, and counted.
    DropOldest,
    /// Nothing is read from the server until there is room: other streams wait too. What was read
    /// by then still comes into the queue, up to 256 messages. Only while no operation of this
    /// client waits for an answer; otherwise the new message is dropped.
    PauseReading,
}

/// How a stream queues and acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamOptions {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) manual: bool,
}

impl Default for StreamOptions {
    fn default() -> Self {
        let when_full = WhenFull::default();
        Self {
            messages: 1024,
            bytes: 16 << 20,
            when_full,
            manual: false,
        }
    }
}

/// Why a stream has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StreamEnd {
    /// It was unsubscribed.
    Unsubscribed,
    /// The server refused the subscription: at once, or when it was to be made again after the
    /// server had lost the session.
    Refused(Received<SubackReasonCode>),
    /// The subscription could not be made, or not again, for another reason.
    NotPossible,
    /// The client is closed.
    Closed(CloseReason),
}

/// What became of one filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The filter.
    pub filter: TopicFilter,
    /// The QoS that the server granted, at most the one that was asked for; or its reason not to;
    /// `None` before the server has answered.
    pub result: Option<Result<QoS, Received<SubackReasonCode>>>,
}

/// A message that was handed to a consumer and is not acknowledged.
#[derive(Debug)]
struct Taken {
    consumer: u64,
    token: AckToken,
    message: Message,
}

/// How many messages of QoS 0 wait, and how large they are.
#[derive(Debug, Default)]
struct Qos0 {
    messages: usize,
    bytes: usize,
}

impl Qos0 {
    fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += message.packet_size();
    }

    fn remove(&mut self, message: &Message) {
        self.messages -= 1;
        self.bytes -= message.packet_size();
    }
}

/// One stream. With thousands of them, each message finds its stream out of the cache: what every
/// message touches lies together, and in front.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct MessageQueue {
    queue: VecDeque<Message>,
    qos0: Qos0,
    options: StreamOptions,
    waiting: Waiting,
    taken: VecDeque<Taken>,
    /// How many messages of QoS 1 and 2 are held, taken ones included. The server cannot have more
    /// in flight, but exchanges can end that the consumer has not finished: with their session, or
    /// because the server says so.
    most_held: usize,
    /// How many handles there are.
    pub(crate) consumers: usize,
    pub(crate) end: Option<StreamEnd>,
    pub(crate) routes: Vec<RouteKey>,
    pub(crate) grants: Vec<Grant>,
}

impl MessageQueue {
    pub(crate) fn new(options: StreamOptions, most_held: usize) -> Self {
        Self {
            options,
            most_held,
            queue: VecDeque::new(),
            qos0: Qos0::default(),
            taken: VecDeque::new(),
            waiting: Waiting::default(),
            consumers: 0,
            end: None,
            routes: Vec::new(),
            grants: Vec::new(),
        }
    }

    pub(crate) const fn is_manual(&self) -> bool {
        self.options.manual
    }

    /// Whether messages were handed out and are not acknowledged.
    pub(crate) fn is_owed(&self) -> bool {
        !self.taken.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    const fn is_full(&self) -> bool {
        self.qos0.messages >= self.options.messages || self.qos0.bytes >= self.options.bytes
    }

    /// Whether nothing should be read on behalf of this stream.
    pub(crate) fn asks_to_pause(&self) -> bool {
        self.options.when_full == WhenFull::PauseReading && self.consumers > 0 && self.is_full()
    }

    /// Queues a message, and wakes who waits. `may_pause`: whether reading can be paused now.
    /// Returns how many messages of QoS 0 were dropped for it, or instead of it.
    #[inline]
    pub(crate) fn put(&mut self, message: Message, may_pause: bool, wakeups: &mut Wakeups) -> u64 {
        let mut dropped = 0;
        if message.token().is_none() {
            let pauses = may_pause && self.options.when_full == WhenFull::PauseReading;
            while self.is_full() && !pauses {
                dropped += 1;
                if self.options.when_full != WhenFull::DropOldest || !self.drop_oldest() {
                    return dropped;
                }
            }
            self.qos0.add(&message);
        }
        self.queue.push_back(message);
        wakeups.wake_all(&mut self.waiting);
        dropped
    }

    /// Gives up the oldest message of QoS 1 or 2, if more are held than should be.
    pub(crate) fn give_up(&mut self) -> Option<AckToken> {
        let held = self.queue.len() - self.qos0.messages + self.taken.len();
        if held <= self.most_held {
            return None;
        }
        if let Some(taken) = self.taken.pop_front() {
            return Some(taken.token);
        }
        let index = self.queue.iter().position(|held| held.token().is_some())?;
        self.queue.remove(index)?.token()
    }

    /// A message is no longer to be acknowledged. If it still waits, it is not handed out any more.
    pub(crate) fn forget(&mut self, token: AckToken) {
        if self.finish_token(token) {
            return;
        }
        let mut queued = self.queue.iter();
        if let Some(index) = queued.position(|held| held.token() == Some(token)) {
            self.queue.remove(index);
        }
    }

    /// Drops one message of QoS 0. Those of QoS 1 and 2 before it are few.
    fn drop_oldest(&mut self) -> bool {
        let Some(index) = self
            .queue
            .iter()
            .position(|queued| queued.token().is_none())
        else {
            return false;
        };
        if let Some(dropped) = self.queue.remove(index) {
            self.qos0.remove(&dropped);
        }
        true
    }

    /// The next message for `consumer`, which has to acknowledge it.
    #[inline]
    pub(crate) fn take(&mut self, consumer: u64) -> Option<Message> {
        // Looked at where it lies, and moved once.
        let message = self.queue.front()?;
        match message.token() {
            Some(token) => self.taken.push_back(Taken {
                consumer,
                token,
                message: message.clone(),
            }),
            None => self.qos0.remove(message),
        }
        self.queue.pop_front()
    }

    /// The tokens of what `consumer` has taken, no longer held.
    pub(crate) fn finish(&mut self, consumer: u64) -> Option<AckToken> {
        let index = self
            .taken
            .iter()
            .position(|taken| taken.consumer == consumer)?;
        self.taken.remove(index).map(|taken| taken.token)
    }

    /// Whether a message with this token was taken and not acknowledged; it no longer counts as
    /// taken then.
    pub(crate) fn finish_token(&mut self, token: AckToken) -> bool {
        let index = self.taken.iter().position(|taken| taken.token == token);
        index.and_then(|index| self.taken.remove(index)).is_some()
    }

    /// What `consumer` has taken goes back to the front, in order.
    pub(crate) fn give_back(&mut self, consumer: u64, wakeups: &mut Wakeups) {
        for index in (0..self.taken.len()).rev() {
            if self
                .taken
                .get(index)
                .is_some_and(|taken| taken.consumer == consumer)
                && let Some(taken) = self.taken.remove(index)
            {
                self.queue.push_front(taken.message);
            }
        }
        wakeups.wake_all(&mut self.waiting);
    }

    /// Takes out everything that waits.
    pub(crate) fn drain(&mut self) -> VecDeque<Message> {
        self.qos0 = Qos0::default();
        std::mem::take(&mut self.queue)
    }

    /// Takes out the messages of some topics.
    pub(crate) fn extract(&mut self, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
        let (out, kept): (Vec<_>, Vec<_>) = self.drain().into_iter().partition(wanted);
        for message in kept {
            if message.token().is_none() {
                self.qos0.add(&message);
            }
            self.queue.push_back(message);
        }
        out
    }

    pub(crate) fn wait(
        &mut self,
        consumer: u64,
        cx: &std::task::Context<'_>,
        wakeups: &mut Wakeups,
    ) {
        self.waiting.store(consumer, cx, wakeups);
    }

    pub(crate) fn stop_waiting(&mut self, consumer: u64, wakeups: &mut Wakeups) {
        self.waiting.remove(consumer, wakeups);
    }

    /// No more messages come; those that wait can still be taken.
    pub(crate) fn finish_stream(&mut self, end: StreamEnd, wakeups: &mut Wakeups) {
        if self.end.is_none() {
            self.end = Some(end);
        }
        wakeups.wake_all(&mut self.waiting);
    }
}

/// All streams.
pub(crate) type Streams = NumberMap<StreamKey, MessageQueue>;
