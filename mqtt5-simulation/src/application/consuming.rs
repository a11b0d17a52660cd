//! Taking messages from streams, and acknowledging them early, late, or never.

use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream;
use mqtt5_client::proto::packet::PublishReasonCode;
use mqtt5_client::{Message, Messages};

use super::jobs::Kind;
use super::{Application, Life};
use crate::clock::{Bell, Task};
use crate::judge::{Judged, StreamId};
use crate::random::Random;
use crate::scene::Scene;

/// One handle of a stream.
pub(super) struct Consumer {
    stream: StreamId,
    manual: bool,
    messages: Messages,
    task: Task,
    /// It waits for the next message.
    asking: bool,
    /// Given to it and not acknowledged: the message and which arrival it was.
    taken: Vec<(Message, usize)>,
}

impl Consumer {
    pub(super) fn new(stream: StreamId, manual: bool, messages: Messages, bell: &Bell) -> Self {
        Self {
            stream,
            manual,
            messages,
            task: Task::new(bell),
            asking: false,
            taken: Vec::new(),
        }
    }

    pub(super) const fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }
}

const REASONS: [PublishReasonCode; 4] = [
    PublishReasonCode::UnspecifiedError,
    PublishReasonCode::NotAuthorized,
    PublishReasonCode::ImplementationSpecificError,
    PublishReasonCode::PayloadFormatInvalid,
];

impl Application {
    pub(super) fn run_consumers(&mut self, scene: &mut Scene) -> Judged<bool> {
        let mut any = false;
        let mut index = 0;
        while index < self.consumers.len() {
            let consumer = &self.consumers[index];
            if consumer.task.take() && consumer.asking {
                any = true;
                if !self.ask(index, scene)? {
                    continue;
                }
            }
            index += 1;
        }
        Ok(any)
    }

    /// Looks for streams that have ended.
    pub(super) fn look_for_ends(&mut self, scene: &mut Scene) -> Judged {
        for consumer in &self.consumers {
            if let Some(end) = consumer.messages.end_reason() {
                self.judge
                    .stream_ended(consumer.stream, Some(&end), &scene.world())?;
            }
        }
        Ok(())
    }

    /// Asks for the next message of some stream.
    pub(crate) fn consume(&mut self, random: &mut Random, scene: &mut Scene) -> Judged {
        if self.consumers.is_empty() {
            return Ok(());
        }
        let index = random.below(self.consumers.len());
        self.ask(index, scene)?;
        Ok(())
    }

    /// Whether the consumer is still there.
    fn ask(&mut self, index: usize, scene: &mut Scene) -> Judged<bool> {
        let consumer = &mut self.consumers[index];
        if !consumer.manual {
            for (_, arrival) in consumer.taken.drain(..) {
                scene.tally.acknowledged_by_next += 1;
                self.judge.settled(arrival, 0);
            }
        }
        let mut cx = consumer.task.context();
        let polled = Pin::new(&mut consumer.messages).poll_next(&mut cx);
        consumer.asking = polled.is_pending();
        match polled {
            Poll::Pending => Ok(true),
            Poll::Ready(None) => {
                scene.tally.streams_ended += 1;
                let end = consumer.messages.end_reason();
                self.judge
                    .stream_ended(consumer.stream, end.as_ref(), &scene.world())?;
                self.drop_consumer(index, scene);
                Ok(false)
            }
            Poll::Ready(Some(message)) => {
                let stream = consumer.stream;
                let qos = message.qos() as u8;
                let arrival = self.judge.delivered(stream, &message, &mut scene.world())?;
                scene.trace.mix(arrival as u64);
                scene.note(format_args!(
                    "c{}: stream {stream} gives arrival {arrival} (message {:?}, qos {qos})",
                    self.settings.asked.index,
                    crate::universe::number_of(message.payload())
                ));
                if qos > 0 {
                    consumer.taken.push((message, arrival));
                }
                Ok(true)
            }
        }
    }

    /// Acknowledges something, in any order, or refuses it.
    pub(crate) fn acknowledge(&mut self, random: &mut Random, scene: &mut Scene) {
        let holding = self.consumers.iter().filter(|it| it.has_taken()).count();
        if holding == 0 {
            return;
        }
        let chosen = random.below(holding);
        let mut holders = self.consumers.iter_mut().filter(|it| it.has_taken());
        let Some(consumer) = holders.nth(chosen) else {
            return;
        };
        let last = consumer.taken.len() - 1;
        let index = random.one_of([0, last, last / 2]);
        let (message, arrival) = consumer.taken.swap_remove(index);
        let reason = if random.percent(15) {
            random.one_of(REASONS)
        } else {
            PublishReasonCode::Success
        };
        let result = if reason == PublishReasonCode::Success {
            scene.tally.acknowledged += 1;
            consumer.messages.acknowledge(&message)
        } else {
            scene.tally.rejected += 1;
            consumer.messages.reject(&message, reason)
        };
        let code = reason as u8;
        scene.note(format_args!(
            "c{}: answers arrival {arrival} {code:#04x}: {result:?}",
            self.settings.asked.index
        ));
        if result.is_ok() {
            self.judge.settled(arrival, code);
        } else {
            scene.tally.acknowledged_in_vain += 1;
        }
    }

    /// Acknowledges all that it has, and asks for more: as an application does that lives.
    pub(crate) fn consume_all(&mut self, scene: &mut Scene) -> Judged<bool> {
        let mut any = false;
        let mut index = 0;
        while index < self.consumers.len() {
            let consumer = &mut self.consumers[index];
            if consumer.has_taken() {
                any = true;
                for (message, arrival) in consumer.taken.drain(..) {
                    scene.tally.acknowledged += 1;
                    if consumer.messages.acknowledge(&message).is_ok() {
                        self.judge.settled(arrival, 0);
                    } else {
                        scene.tally.acknowledged_in_vain += 1;
                    }
                }
            }
            if !self.consumers[index].asking {
                any = true;
                if !self.ask(index, scene)? {
                    continue;
                }
            }
            index += 1;
        }
        Ok(any)
    }

    /// Takes what no stream claims.
    pub(crate) fn claim_rest(&mut self, scene: &mut Scene) {
        let Some(client) = self.client.as_ref().filter(|_| self.life == Life::Running) else {
            return;
        };
        if self
            .consumers
            .iter()
            .any(|it| self.judge.is_unclaimed(it.stream))
        {
            return;
        }
        let stream = self.judge.stream_made(None);
        let consumer = Consumer::new(stream, false, client.messages(), &scene.bell);
        self.consumers.push(consumer);
    }

    pub(crate) fn clone_stream(&mut self, random: &mut Random, scene: &mut Scene) {
        if self.consumers.is_empty() || self.consumers.len() >= 10 {
            return;
        }
        scene.tally.cloned_streams += 1;
        let original = &self.consumers[random.below(self.consumers.len())];
        let messages = original.messages.clone();
        let clone = Consumer::new(original.stream, original.manual, messages, &scene.bell);
        self.consumers.push(clone);
    }

    pub(crate) fn drop_stream(&mut self, random: &mut Random, scene: &mut Scene) {
        if self.consumers.is_empty() {
            return;
        }
        scene.tally.dropped_streams += 1;
        self.drop_consumer(random.below(self.consumers.len()), scene);
    }

    pub(super) fn drop_consumer(&mut self, index: usize, scene: &mut Scene) {
        let consumer = self.consumers.swap_remove(index);
        scene.note(format_args!(
            "c{}: a handle of stream {} is dropped",
            self.index(),
            consumer.stream
        ));
        self.let_go(&consumer, scene);
    }

    /// What a consumer has is given back to its stream, or goes with it.
    fn let_go(&mut self, consumer: &Consumer, scene: &mut Scene) {
        for (message, arrival) in &consumer.taken {
            self.judge.gave_back(consumer.stream, *arrival, message);
        }
        let shared = self.consumers.iter().any(|it| it.stream == consumer.stream);
        if !shared {
            self.judge.stream_gone(consumer.stream, &scene.world());
        }
    }

    pub(crate) fn unsubscribe(&mut self, random: &mut Random, scene: &mut Scene) -> Judged {
        if self.consumers.is_empty() || self.life != Life::Running {
            return Ok(());
        }
        scene.tally.unsubscribed += 1;
        let consumer = self
            .consumers
            .swap_remove(random.below(self.consumers.len()));
        scene.note(format_args!(
            "c{}: unsubscribes stream {}",
            self.index(),
            consumer.stream
        ));
        self.let_go(&consumer, scene);
        self.judge.stream_gone(consumer.stream, &scene.world());
        let future = Box::pin(consumer.messages.unsubscribe());
        self.add_job(Kind::Unsubscribe(future), true, scene)
    }
}
