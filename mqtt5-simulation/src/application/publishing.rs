//! Publishing, in every way there is.

use std::future::IntoFuture;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{future::Future, pin::Pin};

use mqtt5_client::proto::QoS;
use mqtt5_client::{Client, Publish};

use super::jobs::Kind;
use super::{Application, Life, MOST_JOBS};
use crate::judge::{Judged, broken};
use crate::random::Random;
use crate::scene::Scene;
use crate::universe::{LEAST_PAYLOAD, Made, TOPICS};

pub(super) fn qos(random: &mut Random) -> QoS {
    random.one_of([
        QoS::AtMostOnce,
        QoS::AtLeastOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::ExactlyOnce,
    ])
}

/// How long a payload is: mostly short, at times larger than any buffer.
pub(crate) fn length(random: &mut Random) -> usize {
    LEAST_PAYLOAD
        + match random.below(2_000) {
            0..1_400 => random.below(40),
            1_400..1_850 => random.below(400),
            1_850..1_980 => random.below(3_000),
            1_980..1_999 => 4_096 + random.below(5_000),
            _ => random.below(300_000),
        }
}

/// A message that is new, and how it begins to be published.
fn draft(client: &Client, random: &mut Random, scene: &mut Scene) -> (u32, Publish) {
    let qos = qos(random);
    let made = Made {
        topic: random.below(TOPICS.len()),
        length: length(random),
        qos: qos as u8,
        retain: random.percent(4),
        expiry: random.percent(6).then(|| random.one_of([1, 1, 3, 60])),
    };
    scene.tally.published_large += u64::from(made.length >= 4_096);
    match qos {
        QoS::AtMostOnce => scene.tally.published_qos0 += 1,
        QoS::AtLeastOnce => scene.tally.published_qos1 += 1,
        QoS::ExactlyOnce => scene.tally.published_qos2 += 1,
    }
    let number = scene.messages.add(made);
    let payload = scene.messages.payload(number);
    let mut publish = client
        .publish(TOPICS[made.topic], payload)
        .qos(qos)
        .retain(made.retain);
    if let Some(expiry) = made.expiry {
        publish = publish.message_expiry_interval(Duration::from_secs(expiry.into()));
    }
    (number, publish)
}

impl Application {
    /// Publishes something, somehow.
    pub(crate) fn publish(&mut self, random: &mut Random, scene: &mut Scene) -> Judged {
        let running = self.life == Life::Running && self.jobs.len() < MOST_JOBS;
        let Some(client) = self.client.clone().filter(|_| running) else {
            return Ok(());
        };
        let (number, publish) = draft(&client, random, scene);
        drop(client);
        self.judge.publishing(number, &scene.world());
        let way = random.below(100);
        let made = scene.messages.get(number).copied();
        scene.note(format_args!(
            "c{}: publish message {number} {made:?} way {way}",
            self.index()
        ));
        let at_once = random.percent(90);
        match way {
            0..25 => {
                scene.tally.published_awaited += 1;
                let future = publish.into_future();
                let kind = Kind::Publish {
                    number,
                    accepted: false,
                    future,
                };
                self.add_job(kind, at_once, scene)
            }
            25..55 => {
                scene.tally.published_enqueued += 1;
                let future = publish.enqueue();
                self.add_job(Kind::Enqueue { number, future }, at_once, scene)
            }
            55..90 => {
                scene.tally.published_tried += 1;
                match publish.try_enqueue() {
                    Ok(completion) => self.took_on(number, completion, scene),
                    Err(error) => self.told(number, &Err(error), scene),
                }
            }
            _ => {
                scene.tally.published_permitted += 1;
                let Some(permit) = self.permits.pop() else {
                    self.judge.not_accepted(number)?;
                    return self.reserve(scene);
                };
                let payload = scene.messages.payload(number);
                let Some(made) = scene.messages.get(number) else {
                    return Ok(());
                };
                let mut publish = permit.publish(TOPICS[made.topic], payload);
                publish = publish.retain(made.retain).qos(match made.qos {
                    0 => QoS::AtMostOnce,
                    1 => QoS::AtLeastOnce,
                    _ => QoS::ExactlyOnce,
                });
                if let Some(expiry) = made.expiry {
                    publish = publish.message_expiry_interval(Duration::from_secs(expiry.into()));
                }
                let future = publish.enqueue();
                self.add_job(Kind::Enqueue { number, future }, true, scene)
            }
        }
    }

    /// Asks for a permit.
    pub(crate) fn reserve(&mut self, scene: &mut Scene) -> Judged {
        let Some(client) = self.client.as_ref().filter(|_| self.life == Life::Running) else {
            return Ok(());
        };
        if self.jobs.len() >= MOST_JOBS {
            return Ok(());
        }
        scene.tally.reserved += 1;
        let future = client.reserve();
        self.add_job(Kind::Reserve(future), true, scene)
    }

    pub(crate) fn drop_permit(&mut self, scene: &mut Scene) {
        if self.permits.pop().is_some() {
            scene.tally.dropped_permits += 1;
        }
    }

    /// Gives up all permits. Whether there were any.
    pub(crate) fn give_permits_back(&mut self) -> bool {
        let any = !self.permits.is_empty();
        self.permits.clear();
        any
    }

    /// At rest two messages of not quite half of the budget of bytes find room.
    pub(crate) fn fill_budget(&mut self, scene: &mut Scene) -> Judged {
        let asked = &self.settings.asked;
        let (bytes, messages) = (asked.outbound_bytes, asked.outbound_messages);
        let Some(client) = self.client.clone().filter(|_| self.life == Life::Running) else {
            return Ok(());
        };
        if bytes > 1 << 20 || messages < 2 {
            return Ok(());
        }
        for _ in 0..2 {
            let made = Made {
                topic: 0,
                // What a message counts beside its payload is the client's own affair.
                length: bytes / 2 - 500,
                qos: 1,
                retain: false,
                expiry: None,
            };
            let number = scene.messages.add(made);
            let payload = scene.messages.payload(number);
            self.judge.publishing(number, &scene.world());
            let publish = client.publish(TOPICS[made.topic], payload);
            match publish.qos(QoS::AtLeastOnce).try_enqueue() {
                Ok(completion) => self.took_on(number, completion, scene)?,
                Err(error) if error.is_full() => {
                    return broken("the outbound budget is given back", error);
                }
                // The server's limits forbid it.
                Err(error) => self.told(number, &Err(error), scene)?,
            }
        }
        Ok(())
    }

    /// At rest all of the budget is there: as many permits as messages may be on their way, and not
    /// one more.
    pub(crate) fn check_budget(&mut self) -> Judged {
        self.permits.clear();
        let Some(client) = self.client.as_ref().filter(|_| self.life == Life::Running) else {
            return Ok(());
        };
        let mut cx = Context::from_waker(Waker::noop());
        let mut permits = Vec::new();
        for _ in 0..self.settings.asked.outbound_messages {
            let mut reserve = client.reserve();
            match Pin::new(&mut reserve).poll(&mut cx) {
                Poll::Ready(Ok(permit)) => permits.push(permit),
                _ => {
                    return broken(
                        "the outbound budget is given back",
                        format_args!("{} permits", permits.len()),
                    );
                }
            }
        }
        let mut reserve = client.reserve();
        if Pin::new(&mut reserve).poll(&mut cx).is_ready() {
            return broken("the outbound count is kept", "one permit too many");
        }
        Ok(())
    }
}
