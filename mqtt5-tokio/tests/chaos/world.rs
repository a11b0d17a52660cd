//! A broker, clients on links that fail, and clients on links that do not.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mqtt5_testkit::LinkCounters;
use mqtt5_tokio::{Client, Messages};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;

use crate::chance::Chance;
use crate::clients::{Publisher, RECEIVE_MAXIMUM, Watched, come_and_go, consume, mortals};
use crate::ledger::{Arrivals, Ledger};
use crate::rest::Rest;
use crate::run::bounded;
use crate::support::broker::{Broker, Kind, Setup};

/// Clients that live as long as the run; they publish and receive.
const LASTING: u64 = 6;

/// Clients that are ended again and again; they publish.
const MORTAL: u64 = 2;

/// How many messages of QoS 1 and 2 may be on their way to one client.
const BACKLOG: usize = 50;

/// How long the next fault may be in coming.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) kind: Kind,
    /// What was published to the observer.
    pub(crate) up: Arc<Ledger>,
    pub(crate) source: Sound,
    pub(crate) observer: Sound,
    pub(crate) observing: Consumer,
    pub(crate) lasting: Vec<Lasting>,
    pub(crate) mortal: Vec<Mortal>,
    stop: watch::Sender<bool>,
}

/// A client on a link that does not fail.
pub(crate) struct Sound {
    pub(crate) watched: Watched,
    pub(crate) client: Client,
}

/// A task that takes messages.
pub(crate) struct Consumer {
    pub(crate) arrivals: Arc<Mutex<Arrivals>>,
    task: JoinHandle<Messages>,
    stop: oneshot::Sender<()>,
}

impl Consumer {
    fn of(stream: Messages, backlog: &Arc<Semaphore>) -> Self {
        let arrivals = Arc::new(Mutex::new(Arrivals::default()));
        let (stop, stopped) = oneshot::channel();
        let backlog = Arc::clone(backlog);
        let task = consume(stream, Arc::clone(&arrivals), backlog, stopped);
        let task = tokio::spawn(task);
        Self {
            arrivals,
            task,
            stop,
        }
    }

    /// Ends the task, with its latest message not acknowledged.
    pub(crate) async fn stop(self) -> Messages {
        self.stop.send(()).expect("the consumer goes on");
        bounded("the end of a consumer", self.task).await.unwrap()
    }
}

/// A client that lives as long as the run, on a link that fails.
pub(crate) struct Lasting {
    pub(crate) watched: Watched,
    pub(crate) client: Client,
    pub(crate) consumer: Consumer,
    /// What was published to it.
    pub(crate) down: Arc<Ledger>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) supplier: Arc<Publisher>,
    publishing: JoinHandle<()>,
    supplying: JoinHandle<()>,
    changing: JoinHandle<u64>,
}

pub(crate) struct Mortal {
    pub(crate) watched: Arc<Watched>,
    task: JoinHandle<u64>,
}

impl World {
    pub(crate) async fn begin(kind: Kind, seed: u64) -> Self {
        let setup = Setup {
            receive_maximum: Some(RECEIVE_MAXIMUM),
            ..Setup::default()
        };
        let broker = Broker::start_with(kind, setup).await;
        let source = Sound::client(&broker, "source").await;
        let observer = Sound::client(&broker, "observer").await;
        let stream = bounded("a SUBACK", observer.client.subscribe("up/#")).await;
        let no_limit = Arc::new(Semaphore::new(0));
        let observing = Consumer::of(stream.unwrap(), &no_limit);
        let up = Arc::new(Ledger::default());
        let (stop, stopped) = watch::channel(false);
        let mut lasting = Vec::new();
        for number in 0..LASTING {
            let chance = Chance::of(seed, number);
            let parts = Lasting::begin(number, &broker, &source.client, &up, chance, &stopped);
            lasting.push(parts.await);
        }
        let mut mortal = Vec::new();
        for number in 0..MORTAL {
            let chance = Chance::of(seed, LASTING + number);
            mortal.push(Mortal::begin(number, &broker, &up, chance, &stopped).await);
        }
        Self {
            broker,
            kind,
            up,
            source,
            observer,
            observing,
            lasting,
            mortal,
            stop,
        }
    }

    /// The links that fail.
    pub(crate) fn failing(&self) -> impl Iterator<Item = &Watched> {
        let lasting = self.lasting.iter().map(|client| &client.watched);
        lasting.chain(self.mortal.iter().map(|client| &*client.watched))
    }

    pub(crate) fn counters(&self) -> Vec<LinkCounters> {
        self.failing()
            .map(|watched| watched.link.counters())
            .collect()
    }

    /// Waits until so many faults have struck.
    pub(crate) async fn until_struck(&self, faults: u64) {
        let struck = || -> u64 { self.counters().iter().map(LinkCounters::faults).sum() };
        let (mut before, mut since) = (0, Instant::now());
        loop {
            let now = struck();
            if now >= faults {
                return;
            }
            if now > before {
                (before, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "no fault since {before}");
            self.expect_all_alive();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A task that has ended has failed: why, is in its result.
    fn expect_all_alive(&self) {
        for client in &self.lasting {
            let state = client.client.state();
            let ended = client.publishing.is_finished()
                || client.supplying.is_finished()
                || client.changing.is_finished()
                || client.consumer.task.is_finished();
            assert!(!ended, "a task has failed; its client is {state:?}");
        }
        for client in &self.mortal {
            assert!(!client.task.is_finished(), "a task has failed");
        }
    }

    /// Puts the links right, and waits for what was begun to end.
    pub(crate) async fn settle(mut self) -> Rest {
        let counters = self.counters();
        self.stop.send_replace(true);
        for watched in self.failing() {
            watched.link.script([]);
            watched.link.reset_connections();
        }
        let mut subscriptions = 0;
        for client in &mut self.lasting {
            bounded("the end of a publisher", &mut client.publishing)
                .await
                .unwrap();
            bounded("the end of a supplier", &mut client.supplying)
                .await
                .unwrap();
            subscriptions += bounded("the end of subscribing", &mut client.changing)
                .await
                .unwrap();
            client.publisher.finish().await;
            client.supplier.finish().await;
        }
        let mut lives = 0;
        for client in &mut self.mortal {
            lives += bounded("the end of a client", &mut client.task)
                .await
                .unwrap();
        }
        Rest::new(self, &counters, subscriptions, lives).await
    }
}

impl Sound {
    async fn client(broker: &Broker, id: &str) -> Self {
        let watched = Watched::to(broker.direct_address()).await;
        let client = bounded("a connection", watched.client().client_id(id).connect()).await;
        let client = client.unwrap();
        Self { watched, client }
    }
}

impl Lasting {
    async fn begin(
        number: u64,
        broker: &Broker,
        source: &Client,
        up: &Arc<Ledger>,
        mut chance: Chance,
        stop: &watch::Receiver<bool>,
    ) -> Self {
        let watched = Watched::failing(broker.direct_address(), chance.draw()).await;
        let name = format!("lasting-{number}");
        let client = if number.is_multiple_of(2) {
            watched.durable(&name)
        } else {
            watched.client().client_id(&*name).start().unwrap()
        };
        let subscribe = client.subscribe(format!("down/{name}/+"));
        let stream = bounded("a SUBACK", subscribe).await.unwrap();
        let backlog = Arc::new(Semaphore::new(BACKLOG));
        let consumer = Consumer::of(stream, &backlog);
        let publisher = Arc::new(Publisher {
            client: client.clone(),
            topic: format!("up/{name}"),
            ledger: Arc::clone(up),
            lasting: true,
            backlog: None,
        });
        let down = Arc::new(Ledger::default());
        let supplier = Arc::new(Publisher {
            client: source.clone(),
            topic: format!("down/{name}"),
            ledger: Arc::clone(&down),
            lasting: true,
            backlog: Some(backlog),
        });
        let run = |publisher: &Arc<Publisher>, chance| {
            let publisher = Arc::clone(publisher);
            let stop = stop.clone();
            tokio::spawn(async move {
                let no_end = async |_: &Client| {};
                publisher.run(chance, stop, u64::MAX, no_end).await;
            })
        };
        let publishing = run(&publisher, Chance::new(chance.draw()));
        let supplying = run(&supplier, Chance::new(chance.draw()));
        let changing = come_and_go(client.clone(), source.clone(), name, stop.clone());
        Self {
            watched,
            client,
            consumer,
            down,
            publisher,
            supplier,
            publishing,
            supplying,
            changing: tokio::spawn(changing),
        }
    }
}

impl Mortal {
    async fn begin(
        number: u64,
        broker: &Broker,
        up: &Arc<Ledger>,
        mut chance: Chance,
        stop: &watch::Receiver<bool>,
    ) -> Self {
        let seed = chance.draw();
        let watched = Arc::new(Watched::failing(broker.direct_address(), seed).await);
        let name = format!("mortal-{number}");
        let task = mortals(
            Arc::clone(&watched),
            name,
            Arc::clone(up),
            chance,
            stop.clone(),
        );
        Self {
            watched,
            task: tokio::spawn(task),
        }
    }
}
