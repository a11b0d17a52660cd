//! One client and the application that uses it, at random.

mod consuming;
mod jobs;
mod publishing;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use mqtt5_client::{Client, CloseReason, Driver, Observer, Permit, UnobservedVerdict};

use crate::clock::{Alarm, Task, VirtualTimer};
use crate::judge::{Judge, Judged, Told, broken};
use crate::link::{Dialer, Network, SharedLink, lock};
use crate::scene::Scene;
use crate::settings::{ClientSettings, Mode};
use consuming::Consumer;
use jobs::Job;
pub(crate) use publishing::length;

/// How often tasks are polled in a row before that counts as never resting.
const RESTLESS: usize = 20_000;

/// How many jobs there are at most.
const MOST_JOBS: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    /// The application has asked for the end.
    Closing,
    /// The driver is done.
    Over,
}

pub(crate) struct Application {
    pub(crate) settings: ClientSettings,
    pub(crate) life: Life,
    pub(crate) judge: Judge,
    pub(crate) network: Arc<Mutex<Network>>,
    /// The link that the client has, and those that it has opened since the world looked.
    pub(crate) link: Option<SharedLink>,
    pub(crate) opened: Vec<SharedLink>,
    client: Option<Client>,
    driver: Option<Pin<Box<Driver<Dialer, VirtualTimer>>>>,
    driver_task: Task,
    alarm: Alarm,
    verdicts: Observer<UnobservedVerdict>,
    jobs: Vec<Job>,
    consumers: Vec<Consumer>,
    permits: Vec<Permit>,
    generation: u64,
    mode: Mode,
    /// How many verdicts without an owner there were when the observer was read last.
    unobserved: u64,
}

impl Application {
    pub(crate) fn new(
        settings: ClientSettings,
        generation: u64,
        mode: Mode,
        scene: &mut Scene,
    ) -> Judged<Self> {
        let network = Network::new();
        let (timer, alarm) = VirtualTimer::new(&scene.clock);
        let dialer = Dialer(Arc::clone(&network));
        let made = Client::new(settings.options(generation), dialer, timer);
        let (client, driver) = match made {
            Ok(made) => made,
            Err(error) => return broken("the options can be sent", error),
        };
        scene.note(format_args!(
            "c{} is made: {:?}",
            settings.asked.index, settings
        ));
        let driver_task = Task::new(&scene.bell);
        driver_task.wake();
        Ok(Self {
            life: Life::Running,
            judge: Judge::new(settings.asked.clone()),
            network,
            link: None,
            opened: Vec::new(),
            verdicts: client.verdicts(1 << 16),
            client: Some(client),
            driver: Some(Box::pin(driver)),
            driver_task,
            alarm,
            jobs: Vec::new(),
            consumers: Vec::new(),
            permits: Vec::new(),
            generation,
            mode,
            unobserved: 0,
            settings,
        })
    }

    /// Another client with the same name, after the end of this one.
    pub(crate) fn successor(&self, scene: &mut Scene) -> Judged<Self> {
        let generation = self.generation + 100;
        Self::new(self.settings.clone(), generation, self.mode, scene)
    }

    pub(crate) const fn index(&self) -> usize {
        self.settings.asked.index
    }

    /// When the driver wants to be woken.
    pub(crate) fn wakes_at(&self) -> Option<mqtt5_client::proto::Instant> {
        self.alarm.at()
    }

    /// Time has come to `now`.
    pub(crate) fn time_passed(&mut self, scene: &mut Scene) -> Judged {
        let now = scene.now();
        if self.alarm.at().is_some_and(|at| at <= now) {
            self.alarm.clear();
            self.driver_task.wake();
        }
        Ok(())
    }

    /// Polls what was woken. Whether anything was.
    pub(crate) fn run(&mut self, scene: &mut Scene) -> Judged<bool> {
        let mut any = false;
        for _ in 0..RESTLESS {
            let mut again = false;
            if self.driver_task.take() {
                again = true;
                self.poll_driver(scene)?;
            }
            again |= self.run_jobs(scene)?;
            again |= self.run_consumers(scene)?;
            if !again {
                return Ok(any);
            }
            any = true;
        }
        broken(
            "the client comes to rest",
            format_args!("c{}", self.index()),
        )
    }

    fn poll_driver(&mut self, scene: &mut Scene) -> Judged {
        let Some(driver) = &mut self.driver else {
            return Ok(());
        };
        let polled = driver.as_mut().poll(&mut self.driver_task.context());
        self.watch(scene)?;
        if let Poll::Ready(reason) = polled {
            self.driver = None;
            self.ended(&reason, scene)?;
        }
        self.look_for_ends(scene)?;
        self.read_verdicts(scene)
    }

    /// Has the judge see what crossed the link.
    fn watch(&mut self, scene: &mut Scene) -> Judged {
        self.play(scene)?;
        let opened = lock(&self.network).opened.take();
        if let Some(link) = opened {
            scene.tally.links += 1;
            self.judge.opened(&scene.world())?;
            self.link = Some(link.clone());
            self.opened.push(link);
            self.play(scene)?;
        }
        Ok(())
    }

    fn play(&mut self, scene: &mut Scene) -> Judged {
        let Some(shared) = &self.link else {
            return Ok(());
        };
        let mut link = shared.lock();
        self.judge.play(&link.tape, &mut scene.world())?;
        link.tape.clear();
        if let Some(misuse) = link.misuse {
            return broken("the transport is used as it may be", misuse);
        }
        let limit = usize::try_from(self.settings.asked.maximum_packet_size).unwrap_or(usize::MAX);
        if link.largest_buffer > 2 * limit + (256 << 10) {
            return broken("input is bounded", link.largest_buffer);
        }
        let gone = link.client_gone;
        drop(link);
        if gone {
            self.link = None;
            self.judge.closed(&mut scene.world())?;
        }
        Ok(())
    }

    /// The driver is done.
    fn ended(&mut self, reason: &CloseReason, scene: &mut Scene) -> Judged {
        scene.note(format_args!("c{} has ended: {reason}", self.index()));
        let asked = self.life == Life::Closing;
        self.life = Life::Over;
        self.judge.closing = true;
        if asked {
            return Ok(());
        }
        scene.tally.ended_by_server += 1;
        let culprit = reason.culprit();
        if self.judge.tainted || culprit == mqtt5_client::Culprit::Server {
            return Ok(());
        }
        broken("a client ends only for a reason", format_args!("{reason}"))
    }

    /// Verdicts whose completion was dropped.
    fn read_verdicts(&mut self, scene: &mut Scene) -> Judged {
        if let Some(client) = &self.client {
            let told = client.statistics().verdicts_unobserved;
            if told == self.unobserved {
                return Ok(());
            }
            self.unobserved = told;
        }
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(verdict)) = Pin::new(&mut self.verdicts).poll_next(&mut cx) {
            let UnobservedVerdict {
                operation, verdict, ..
            } = verdict;
            let told = Told::of_verdict(&verdict);
            scene.trace.mix(operation.get());
            scene.note(format_args!(
                "operation {}: {told:?} (nobody waits)",
                operation.get()
            ));
            self.judge
                .told_unobserved(operation, &told, &mut scene.world())?;
        }
        Ok(())
    }

    /// The process dies: driver and runtime first.
    pub(crate) fn kill(&mut self, scene: &mut Scene) -> Judged {
        scene.tally.restarted += 1;
        scene.note(format_args!("c{} is killed", self.index()));
        self.judge.closing = true;
        self.life = Life::Over;
        self.driver = None;
        self.watch(scene)?;
        self.read_verdicts(scene)?;
        self.run(scene)?;
        Ok(())
    }

    /// Drops every handle: the client ends in the background.
    pub(crate) fn drop_handles(&mut self, scene: &mut Scene) -> Judged {
        scene.tally.dropped_clients += 1;
        scene.note(format_args!("c{}: all handles are dropped", self.index()));
        self.close();
        self.permits.clear();
        while let Some(index) = self.jobs.iter().position(Job::keeps_client) {
            self.drop_job(index, scene)?;
        }
        while !self.consumers.is_empty() {
            self.drop_consumer(0, scene);
        }
        self.client = None;
        self.read_verdicts(scene)
    }

    fn close(&mut self) {
        if self.life == Life::Running {
            self.life = Life::Closing;
        }
        self.judge.closing = true;
    }

    /// After the end: everybody has an answer, and then all is dropped.
    pub(crate) fn bury(&mut self, scene: &mut Scene) -> Judged {
        self.run(scene)?;
        self.read_verdicts(scene)?;
        // A task that was never polled waits for nothing.
        while let Some(index) = self.jobs.iter().position(|job| !job.polled) {
            self.drop_job(index, scene)?;
        }
        if let Some(job) = self.jobs.first() {
            return broken("every await ends with the client", format_args!("{job:?}"));
        }
        while !self.consumers.is_empty() {
            self.drop_consumer(0, scene);
        }
        self.permits.clear();
        self.client = None;
        self.watch(scene)?;
        self.judge.at_end()
    }

    /// What the application still waits for, and what it has not acknowledged.
    pub(crate) fn owes(&self) -> Option<String> {
        if let Some(job) = self.jobs.first() {
            return Some(format!("c{} waits for {job:?}", self.index()));
        }
        let consumer = self.consumers.iter().find(|consumer| consumer.has_taken());
        if consumer.is_some() {
            return Some(format!("c{} has not acknowledged", self.index()));
        }
        if self.life == Life::Closing {
            return Some(format!("c{} has not ended", self.index()));
        }
        let connected = self
            .client
            .as_ref()
            .map(|client| client.state().is_connected());
        match connected {
            Some(false) => Some(format!("c{} is not connected", self.index())),
            _ => None,
        }
    }

    pub(crate) fn was_lenient(&self) -> bool {
        let statistics = self.client.as_ref().map(Client::statistics);
        statistics.is_some_and(|counted| counted.stale_dropped + counted.stalled_refused > 0)
    }
}
