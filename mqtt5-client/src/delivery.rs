//! From a received message to its streams, and back to one acknowledgement (section 4.6).

use mqtt5_proto::packet::{AckProperties, PublishReasonCode};
use mqtt5_proto::session::{AckError, AckToken, Message, Phase};

use crate::shared::Core;
use crate::streams::{MessageQueue, StreamKey, StreamOptions, WhenFull};

/// A message that several streams own. It is acknowledged when all have, by the worst reason.
#[derive(Debug)]
pub(crate) struct SharedExchange {
    owners: usize,
    /// A consumer of one of them was done with it.
    consumed: bool,
    /// Its session is lost: no answer has an effect any more, but it is one message still.
    lost: bool,
    worst: PublishReasonCode,
    /// What the owner with the worst reason has to say about it.
    properties: Option<AckProperties>,
}

impl Core {
    pub(crate) fn add_stream(&mut self, options: StreamOptions) -> StreamKey {
        let key = self.next_number();
        // Twice: a server that counts by the letter may exceed it after a resumption. And what is
        // tolerated beyond it, of which each message takes 256 bytes at least.
        let config = self.session.config();
        let maximum = usize::from(config.receive_maximum.get());
        let most_held = (2 * maximum).saturating_add(config.receive_excess / 256);
        let stream = MessageQueue::new(options, most_held);
        self.streams.insert(key, stream);
        if options.when_full == WhenFull::PauseReading {
            self.pausing.push(key);
        }
        key
    }

    /// Whether reading may rest: nobody waits for an answer.
    fn may_pause(&self) -> bool {
        self.session.phase() == Phase::Connected
            && self.closing.is_none()
            && self.session.pending_operations() == 0
    }

    /// Whether reading is to rest because a stream is full.
    pub(crate) fn wants_pause(&self) -> bool {
        !self.pausing.is_empty()
            && self.may_pause()
            && self.pausing.iter().any(|key| {
                self.streams
                    .get(key)
                    .is_some_and(MessageQueue::asks_to_pause)
            })
    }

    /// A message came in.
    #[inline]
    pub(crate) fn route(&mut self, message: Message) {
        self.statistics.messages_received += 1;
        self.observed_messages.push(&message, &mut self.wakeups);
        let mut targets = std::mem::take(&mut self.targets);
        targets.clear();
        self.routes.targets(&message, &mut targets);
        match targets.as_slice() {
            [] => self.leave_unclaimed(message),
            [only] => self.put(*only, message),
            several => {
                if let Some(token) = message.token() {
                    let worst = PublishReasonCode::Success;
                    let exchange = SharedExchange {
                        owners: several.len(),
                        consumed: false,
                        lost: false,
                        worst,
                        properties: None,
                    };
                    self.exchanges.insert(token, exchange);
                }
                for target in several {
                    self.put(*target, message.clone());
                }
            }
        }
        self.targets = targets;
    }

    #[inline]
    fn put(&mut self, key: StreamKey, message: Message) {
        let may_pause = !self.pausing.is_empty() && self.may_pause();
        let Some(stream) = self.streams.get_mut(&key) else {
            return self.leave_unclaimed(message);
        };
        let owed = message.token().is_some();
        self.statistics.qos0_dropped += stream.put(message, may_pause, &mut self.wakeups);
        while owed && let Some(token) = self.streams.get_mut(&key).and_then(MessageQueue::give_up) {
            self.statistics.stale_dropped += 1;
            let _ = self.settle(token, PublishReasonCode::QuotaExceeded, None);
        }
    }

    /// A message that no stream claims, or whose stream has gone.
    fn leave_unclaimed(&mut self, message: Message) {
        if let Some(token) = message.token()
            && let Some(exchange) = self.exchanges.get_mut(&token)
        {
            if exchange.owners > 1 {
                // Others have it.
                exchange.owners -= 1;
                return;
            }
            if exchange.consumed {
                let worst = exchange.worst;
                let _ = self.settle(token, worst, None);
                return;
            }
            self.exchanges.remove(&token);
        }
        let unclaimed = self.unclaimed;
        let wanted = self
            .streams
            .get(&unclaimed)
            .is_some_and(|stream| stream.consumers > 0);
        // Somebody may come for it, unless it is of what was unsubscribed: held, it would be in the
        // way of all acknowledgements behind it for good.
        let held =
            self.durable && message.token().is_some() && !self.routes.was_left(message.topic());
        if wanted || held {
            return self.put(unclaimed, message);
        }
        self.statistics.unclaimed_discarded += 1;
        if let Some(token) = message.token() {
            let _ = self.settle(token, PublishReasonCode::Success, None);
        }
    }

    /// A new stream takes over what is held for want of one.
    pub(crate) fn claim_held(&mut self, key: StreamKey) {
        let routes = &self.routes;
        let Some(unclaimed) = self.streams.get_mut(&self.unclaimed) else {
            return;
        };
        if unclaimed.len() == 0 {
            return;
        }
        let claimed = unclaimed.extract(|message| routes.stream_matches(key, message.topic()));
        for message in claimed {
            self.put(key, message);
        }
    }

    /// The session is lost, and with it the right to acknowledge what it brought.
    pub(crate) fn lose_exchanges(&mut self) {
        for exchange in self.exchanges.values_mut() {
            exchange.lost = true;
        }
    }

    /// One owner of a message is done with it.
    pub(crate) fn settle(
        &mut self,
        token: AckToken,
        reason: PublishReasonCode,
        properties: Option<AckProperties>,
    ) -> Result<(), AckError> {
        let (mut reason, mut properties) = (reason, properties);
        if let Some(exchange) = self.exchanges.get_mut(&token) {
            if reason.raw() > exchange.worst.raw() {
                exchange.worst = reason;
                exchange.properties = properties;
            }
            exchange.owners -= 1;
            exchange.consumed = true;
            if exchange.owners > 0 && !exchange.lost {
                return Ok(());
            }
            reason = exchange.worst;
            properties = exchange.properties.take();
            if exchange.owners == 0 {
                self.exchanges.remove(&token);
            }
        }
        match properties {
            Some(properties) => self.session.acknowledge_with(token, reason, properties),
            None => self.session.acknowledge(token, reason),
        }
    }

    /// The messages that `consumer` was given are done with, because it asks for the next. Whether
    /// there were any.
    pub(crate) fn finish_taken(&mut self, key: StreamKey, consumer: u64) -> bool {
        let mut any = false;
        while let Some(token) = self
            .streams
            .get_mut(&key)
            .and_then(|stream| stream.finish(consumer))
        {
            any = true;
            // Late after a lost session, which is harmless.
            let _ = self.settle(token, PublishReasonCode::Success, None);
        }
        any
    }

    /// A message is in the way of others for too long.
    pub(crate) fn refuse_stalled(&mut self, first: AckToken) {
        self.exchanges.remove(&first);
        for stream in self.streams.values_mut() {
            stream.forget(first);
        }
        if self
            .session
            .acknowledge(first, PublishReasonCode::QuotaExceeded)
            .is_ok()
        {
            self.statistics.stalled_refused += 1;
        }
    }

    /// A handle of a stream has gone. With the last one goes the stream.
    pub(crate) fn remove_consumer(&mut self, key: StreamKey, consumer: u64) {
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        stream.stop_waiting(consumer, &mut self.wakeups);
        stream.give_back(consumer, &mut self.wakeups);
        stream.consumers -= 1;
        if stream.consumers > 0 {
            return;
        }
        if key != self.unclaimed {
            self.remove_stream(key);
        } else if !self.durable {
            let held = stream.drain();
            for message in held {
                self.leave_unclaimed(message);
            }
        }
        if self.paused {
            self.wake_driver();
        }
    }

    fn remove_stream(&mut self, key: StreamKey) {
        let Some(mut stream) = self.streams.remove(&key) else {
            return;
        };
        self.pausing.retain(|pausing| *pausing != key);
        if self.is_closed() {
            return;
        }
        self.leave_routes(key, &stream.routes);
        for message in stream.drain() {
            if message.token().is_some() {
                self.leave_unclaimed(message);
            } else {
                // Another stream may have had it: QoS 0 is at most once.
                self.statistics.unclaimed_discarded += 1;
            }
        }
    }
}
