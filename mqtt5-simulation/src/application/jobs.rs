//! What the application waits for.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::Poll;

use mqtt5_client::{
    Client, Completion, DisconnectError, Enqueue, Messages, PublishFuture, Reserve, SubscribeError,
    UnsubscribeError, WhenFull,
};

use super::consuming::Consumer;
use super::{Application, Life, MOST_JOBS};
use crate::clock::Task;
use crate::judge::{Judged, StreamId, Told, broken};
use crate::random::Random;
use crate::scene::Scene;
use crate::universe::FILTERS;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) enum Kind {
    Publish {
        number: u32,
        accepted: bool,
        future: PublishFuture,
    },
    Enqueue {
        number: u32,
        future: Enqueue,
    },
    Completion {
        number: u32,
        future: Completion,
    },
    Reserve(Reserve),
    Subscribe {
        stream: StreamId,
        manual: bool,
        future: Boxed<Result<Messages, SubscribeError>>,
    },
    Unsubscribe(Boxed<Result<(), UnsubscribeError>>),
    Disconnect(Boxed<Result<(), DisconnectError>>),
}

pub(super) struct Job {
    task: Task,
    pub(super) polled: bool,
    kind: Kind,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Publish {
                number, accepted, ..
            } => write!(f, "publish of message {number} (accepted: {accepted})"),
            Kind::Enqueue { number, .. } => write!(f, "enqueue of message {number}"),
            Kind::Completion { number, .. } => write!(f, "completion of message {number}"),
            Kind::Reserve(_) => f.write_str("reserve"),
            Kind::Subscribe { stream, .. } => write!(f, "subscribe of stream {stream}"),
            Kind::Unsubscribe(_) => f.write_str("unsubscribe"),
            Kind::Disconnect(_) => f.write_str("disconnect"),
        }
    }
}

impl Job {
    /// Whether it holds a handle.
    pub(super) const fn keeps_client(&self) -> bool {
        !self.has_message()
    }

    /// Whether its message was accepted.
    const fn has_message(&self) -> bool {
        matches!(
            self.kind,
            Kind::Completion { .. } | Kind::Publish { accepted: true, .. }
        )
    }
}

/// What became of a job when it was polled.
enum Outcome {
    Pending(Kind),
    Done,
}

impl Application {
    /// Adds a job, which is polled at once or when it comes to that.
    pub(super) fn add_job(&mut self, kind: Kind, at_once: bool, scene: &mut Scene) -> Judged {
        let task = Task::new(&scene.bell);
        let job = Job {
            task,
            polled: false,
            kind,
        };
        if at_once {
            self.poll_job(job, scene)
        } else {
            self.jobs.push(job);
            Ok(())
        }
    }

    pub(super) fn run_jobs(&mut self, scene: &mut Scene) -> Judged<bool> {
        let mut any = false;
        while let Some(index) = self.woken_job() {
            any = true;
            let job = self.jobs.swap_remove(index);
            job.task.take();
            self.poll_job(job, scene)?;
        }
        Ok(any)
    }

    /// A job that was woken. Verdicts first: until the application has them, they count to the
    /// budgets.
    fn woken_job(&self) -> Option<usize> {
        let mut other = None;
        for (index, job) in self.jobs.iter().enumerate() {
            if !job.task.is_woken() {
                continue;
            }
            if job.has_message() {
                return Some(index);
            }
            other = other.or(Some(index));
        }
        other
    }

    /// Polls a job that was not polled yet, or one that was not woken: that is no harm.
    pub(crate) fn poll_some_job(&mut self, random: &mut Random, scene: &mut Scene) -> Judged {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let unpolled = self.jobs.iter().position(|job| !job.polled);
        let index = unpolled.unwrap_or_else(|| random.below(self.jobs.len()));
        let job = self.jobs.swap_remove(index);
        self.poll_job(job, scene)
    }

    /// Polls what was never polled. Whether there was any.
    pub(crate) fn poll_all_jobs(&mut self, scene: &mut Scene) -> Judged<bool> {
        let mut any = false;
        while let Some(index) = self.jobs.iter().position(|job| !job.polled) {
            any = true;
            let job = self.jobs.swap_remove(index);
            self.poll_job(job, scene)?;
        }
        Ok(any)
    }

    fn poll_job(&mut self, job: Job, scene: &mut Scene) -> Judged {
        let Job { task, kind, .. } = job;
        match self.poll_kind(kind, &task, scene)? {
            Outcome::Done => Ok(()),
            Outcome::Pending(kind) => {
                self.jobs.push(Job {
                    task,
                    polled: true,
                    kind,
                });
                Ok(())
            }
        }
    }

    fn accepted_so_far(&self) -> u64 {
        let statistics = self.client.as_ref().map(Client::statistics);
        statistics.map_or(0, |statistics| statistics.publishes_accepted)
    }

    fn poll_kind(&mut self, kind: Kind, task: &Task, scene: &mut Scene) -> Judged<Outcome> {
        let cx = &mut task.context();
        let now = scene.now();
        match kind {
            Kind::Publish {
                number,
                mut accepted,
                mut future,
            } => {
                let before = self.accepted_so_far();
                let polled = Pin::new(&mut future).poll(cx);
                if !accepted && self.accepted_so_far() != before {
                    accepted = true;
                    self.judge.accepted(number, None, self.permits.len(), now)?;
                }
                match polled {
                    Poll::Pending => {
                        return Ok(Outcome::Pending(Kind::Publish {
                            number,
                            accepted,
                            future,
                        }));
                    }
                    Poll::Ready(result) => self.told(number, &result, scene)?,
                }
            }
            Kind::Enqueue { number, mut future } => match Pin::new(&mut future).poll(cx) {
                Poll::Pending => return Ok(Outcome::Pending(Kind::Enqueue { number, future })),
                Poll::Ready(Ok(completion)) => {
                    drop(future);
                    self.took_on(number, completion, scene)?;
                }
                Poll::Ready(Err(error)) => self.told(number, &Err(error), scene)?,
            },
            Kind::Completion { number, mut future } => match Pin::new(&mut future).poll(cx) {
                Poll::Pending => return Ok(Outcome::Pending(Kind::Completion { number, future })),
                Poll::Ready(result) => self.told(number, &result, scene)?,
            },
            Kind::Reserve(mut future) => match Pin::new(&mut future).poll(cx) {
                Poll::Pending => return Ok(Outcome::Pending(Kind::Reserve(future))),
                Poll::Ready(result) => self.permits.extend(result),
            },
            Kind::Subscribe {
                stream,
                manual,
                mut future,
            } => match future.as_mut().poll(cx) {
                Poll::Pending => {
                    return Ok(Outcome::Pending(Kind::Subscribe {
                        stream,
                        manual,
                        future,
                    }));
                }
                Poll::Ready(result) => self.subscribed(stream, manual, result, scene)?,
            },
            Kind::Unsubscribe(mut future) => match future.as_mut().poll(cx) {
                Poll::Pending => return Ok(Outcome::Pending(Kind::Unsubscribe(future))),
                Poll::Ready(Ok(())) => scene.tally.unsubscribe_confirmed += 1,
                Poll::Ready(Err(_)) => scene.tally.unsubscribe_failed += 1,
            },
            Kind::Disconnect(mut future) => match future.as_mut().poll(cx) {
                Poll::Pending => return Ok(Outcome::Pending(Kind::Disconnect(future))),
                Poll::Ready(Ok(())) => {
                    scene.tally.disconnect_sent += 1;
                    if self.judge.says_it_left() == Some(false) {
                        return broken("disconnect tells the truth", "no DISCONNECT has left");
                    }
                }
                Poll::Ready(Err(_)) => scene.tally.disconnect_failed += 1,
            },
        }
        Ok(Outcome::Done)
    }

    /// A message was accepted by name.
    pub(super) fn took_on(
        &mut self,
        number: u32,
        completion: Completion,
        scene: &mut Scene,
    ) -> Judged {
        let id = completion.operation();
        self.judge
            .accepted(number, Some(id), self.permits.len(), scene.now())?;
        let kind = Kind::Completion {
            number,
            future: completion,
        };
        self.add_job(kind, true, scene)
    }

    /// The end of a publish.
    pub(super) fn told(
        &mut self,
        number: u32,
        result: &Result<mqtt5_client::Published, mqtt5_client::PublishError>,
        scene: &mut Scene,
    ) -> Judged {
        let told = Told::of_result(result);
        scene.note(format_args!(
            "c{}: message {number}: {told:?}",
            self.index()
        ));
        match told {
            Some(told) => self.judge.told(number, &told, &mut scene.world()),
            None => {
                scene.tally.not_accepted += 1;
                self.judge.not_accepted(number)
            }
        }
    }

    fn subscribed(
        &mut self,
        stream: StreamId,
        manual: bool,
        result: Result<Messages, SubscribeError>,
        scene: &mut Scene,
    ) -> Judged {
        match result {
            Ok(messages) => {
                scene.tally.subscribe_granted += 1;
                let consumer = Consumer::new(stream, manual, messages, &scene.bell);
                self.consumers.push(consumer);
                Ok(())
            }
            Err(error) => {
                scene.tally.subscribe_failed += 1;
                self.judge.not_subscribed(stream, &error, &scene.world())
            }
        }
    }

    /// Subscribes at random.
    pub(crate) fn subscribe(&mut self, random: &mut Random, scene: &mut Scene) -> Judged {
        let Some(client) = self.client.as_ref().filter(|_| self.life == Life::Running) else {
            return Ok(());
        };
        if self.consumers.len() >= 8 || self.jobs.len() >= MOST_JOBS {
            return Ok(());
        }
        let mut filters = vec![random.below(FILTERS.len())];
        while random.percent(25) && filters.len() < 4 {
            filters.push(random.below(FILTERS.len()));
        }
        let names = filters.iter().map(|filter| FILTERS[*filter]);
        let manual = random.percent(50);
        let shared = names.clone().any(|name| name.starts_with("$share/"));
        let pauses = self.settings.asked.pauses_reading;
        let when_full = match random.below(3) {
            0 if pauses => WhenFull::PauseReading,
            1 => WhenFull::DropOldest,
            _ => WhenFull::DropNewest,
        };
        let subscribe = client
            .subscribe_many(names)
            .qos(super::publishing::qos(random))
            .no_local(!shared && random.percent(10))
            .retain_as_published(random.percent(20))
            .when_full(when_full)
            .buffer(random.one_of([1, 10, 1000]));
        let subscribe = if manual {
            subscribe.manual_acknowledge()
        } else {
            subscribe
        };
        scene.note(format_args!(
            "c{}: subscribe {filters:?} manual {manual}",
            self.index()
        ));
        let stream = self.judge.stream_made(Some(filters));
        if random.percent(40) {
            scene.tally.declared += 1;
            let result = subscribe.declare();
            return self.subscribed(stream, manual, result, scene);
        }
        scene.tally.subscribed += 1;
        let kind = Kind::Subscribe {
            stream,
            manual,
            future: subscribe.into_future(),
        };
        self.add_job(kind, true, scene)
    }

    /// Drops a future or a completion.
    pub(crate) fn drop_some_job(&mut self, random: &mut Random, scene: &mut Scene) -> Judged {
        if self.jobs.is_empty() {
            return Ok(());
        }
        self.drop_job(random.below(self.jobs.len()), scene)
    }

    pub(super) fn drop_job(&mut self, index: usize, scene: &mut Scene) -> Judged {
        let job = self.jobs.swap_remove(index);
        scene.note(format_args!("c{}: dropped: {job:?}", self.index()));
        match job.kind {
            Kind::Completion { future, .. } => {
                scene.tally.dropped_completions += 1;
                drop(future);
            }
            kind => {
                scene.tally.dropped_futures += 1;
                match kind {
                    Kind::Publish {
                        number, accepted, ..
                    } => {
                        if accepted {
                            self.judge.dropped_unnamed(number);
                        } else {
                            self.judge.not_accepted(number)?;
                        }
                    }
                    Kind::Enqueue { number, .. } => self.judge.not_accepted(number)?,
                    Kind::Subscribe { stream, .. } => {
                        self.judge.stream_gone(stream, &scene.world());
                    }
                    _ => {}
                }
            }
        }
        self.read_verdicts(scene)
    }

    /// Asks for the end.
    pub(crate) fn disconnect(&mut self, at_once: bool, scene: &mut Scene) -> Judged {
        let Some(client) = self.client.as_ref().filter(|_| self.life == Life::Running) else {
            return Ok(());
        };
        scene.tally.disconnected += 1;
        scene.note(format_args!("c{}: disconnect", self.index()));
        let mut disconnect = client.disconnect();
        if at_once {
            disconnect = disconnect.drain_timeout(std::time::Duration::ZERO);
        }
        let future = disconnect.into_future();
        self.close();
        self.add_job(Kind::Disconnect(future), true, scene)
    }
}
