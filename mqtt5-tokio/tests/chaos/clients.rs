//! What clients do while their links fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt5_testkit::{FaultyLink, RandomPlans};
use mqtt5_tokio::{Builder, Client, Completion, Messages, QoS, ReconnectPolicy, builder};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::chance::Chance;
use crate::ledger::{Arrivals, Ledger, Number, Publish, Verdict};
use crate::run::bounded;
use crate::wire::Wire;

/// How many messages of QoS 1 and 2 may be in flight, either way.
pub(crate) const RECEIVE_MAXIMUM: u16 = 16;

/// How many operations of a client may be on their way.
pub(crate) const WINDOW: usize = 40;

const HOUR: Duration = Duration::from_secs(3600);

/// A link, and a witness of what it passes on.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) link: FaultyLink,
    pub(crate) wire: Arc<Mutex<Wire>>,
}

impl Watched {
    pub(crate) async fn to(address: std::net::SocketAddr) -> Self {
        let link = FaultyLink::to(address).await.unwrap();
        let wire = Arc::new(Mutex::new(Wire::default()));
        let witness = Arc::clone(&wire);
        link.tap(move |passed| {
            let mut witness = witness.lock().unwrap();
            witness.see(passed.connection, passed.direction, passed.bytes);
        });
        Self { link, wire }
    }

    pub(crate) async fn failing(address: std::net::SocketAddr, seed: u64) -> Self {
        let watched = Self::to(address).await;
        // Enough for all that is repeated at first, both ways: what never gets beyond it hangs.
        watched.link.script(RandomPlans::new(seed).within(8000));
        watched
    }

    /// What every client has: it notices silence soon, and comes back at once.
    pub(crate) fn client(&self) -> Builder {
        let reconnect = ReconnectPolicy::fixed(Duration::from_millis(1));
        builder(&self.link.url())
            .unwrap()
            .reconnect(reconnect)
            .keep_alive(Duration::from_secs(1))
            .ping_timeout(Duration::from_millis(200))
            .connect_timeout(Duration::from_secs(1))
            .receive_maximum(RECEIVE_MAXIMUM)
            .outbound_messages(WINDOW)
    }

    /// One whose session outlives everything.
    pub(crate) fn durable(&self, id: &str) -> Client {
        self.client().durable(id, HOUR).start().unwrap()
    }

    /// One whose session ends with it. It is given up soon.
    pub(crate) fn ephemeral(&self, id: &str) -> Client {
        let client = self.client().client_id(id);
        client
            .drain_timeout(Duration::from_millis(100))
            .start()
            .unwrap()
    }
}

pub(crate) fn any_qos(chance: &mut Chance) -> QoS {
    match chance.below(5) {
        0 => QoS::AtMostOnce,
        1 | 2 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

fn any_payload(chance: &mut Chance, number: Number) -> Vec<u8> {
    let most = if chance.below(16) == 0 { 400 } else { 40 };
    number.payload(usize::try_from(chance.below(most)).unwrap())
}

/// Publishes, and enters the verdicts.
pub(crate) struct Publisher {
    pub(crate) client: Client,
    /// Each QoS gets a topic of its own below it.
    pub(crate) topic: String,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) lasting: bool,
    /// How many more messages of QoS 1 and 2 their consumer can be owed.
    pub(crate) backlog: Option<Arc<Semaphore>>,
}

impl Publisher {
    /// Publishes one message, and waits until it is accepted.
    async fn publish(
        &self,
        chance: &mut Chance,
        qos: QoS,
        accepted: &mpsc::UnboundedSender<(Number, QoS, Completion)>,
    ) {
        if let (Some(backlog), true) = (&self.backlog, qos != QoS::AtMostOnce) {
            let permit = bounded(&self.topic, backlog.acquire()).await;
            permit.unwrap().forget();
        }
        let number = Number::next();
        let topic = format!("{}/{}", self.topic, qos as u8);
        let publish = self.client.publish(topic, any_payload(chance, number));
        match bounded("acceptance", publish.qos(qos).enqueue()).await {
            Ok(completion) => accepted.send((number, qos, completion)).unwrap(),
            Err(error) => {
                self.enter(number, qos, Verdict::of(&Err(error)));
                // QoS 0 is not accepted without a connection: others may go on meanwhile.
                let a_while = Duration::from_millis(10);
                let _ = tokio::time::timeout(a_while, self.client.connected()).await;
            }
        }
    }

    fn enter(&self, number: Number, qos: QoS, verdict: Verdict) {
        let lasting = self.lasting;
        self.ledger.enter(
            number,
            Publish {
                qos,
                lasting,
                verdict,
            },
        );
    }

    /// Publishes until told to stop, or so many messages; returns when each has its verdict.
    pub(crate) async fn run(
        &self,
        mut chance: Chance,
        stop: watch::Receiver<bool>,
        most: u64,
        at_end: impl AsyncFnOnce(&Client),
    ) {
        let (accepted, mut to_be_told) = mpsc::unbounded_channel();
        let publishing = async {
            for _ in 0..most {
                if *stop.borrow() {
                    break;
                }
                let qos = any_qos(&mut chance);
                self.publish(&mut chance, qos, &accepted).await;
            }
            at_end(&self.client).await;
            drop(accepted);
        };
        let judging = async {
            while let Some((number, qos, completion)) = to_be_told.recv().await {
                let result = bounded("a verdict", completion).await;
                self.enter(number, qos, Verdict::of(&result));
            }
        };
        tokio::join!(publishing, judging);
    }

    /// Publishes the last message of each QoS, on a link that works again.
    pub(crate) async fn finish(&self) {
        bounded("a connection", self.client.connected())
            .await
            .unwrap();
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let number = Number::next();
            let topic = format!("{}/{}", self.topic, qos as u8);
            let publish = self.client.publish(topic, number.payload(0)).qos(qos);
            let result = bounded("a verdict", publish).await;
            self.enter(number, qos, Verdict::of(&result));
        }
    }
}

/// Ends clients in the middle of their work, each in one of the ways there are, and begins new
/// ones.
pub(crate) async fn mortals(
    watched: Arc<Watched>,
    name: String,
    ledger: Arc<Ledger>,
    mut chance: Chance,
    stop: watch::Receiver<bool>,
) -> u64 {
    let mut lives = 0;
    while !*stop.borrow() {
        lives += 1;
        // Of a name of its own: the broker may come to an abandoned CONNECT late.
        let id = format!("{name}-{lives}");
        let client = watched.ephemeral(&id);
        let publisher = Publisher {
            client: client.clone(),
            topic: format!("up/{id}"),
            ledger: Arc::clone(&ledger),
            lasting: false,
            backlog: None,
        };
        let publishes = chance.below(60);
        let way = chance.below(3);
        let at_end = async |client: &Client| match way {
            // In order as far as the link allows: both results are right.
            0 => drop(bounded("an end", client.disconnect()).await),
            1 => {
                let hurry = client.disconnect().drain_timeout(Duration::ZERO);
                drop(bounded("an end", hurry).await);
            }
            // Begun and not waited for.
            _ => {
                let leave = client.disconnect().into_future();
                let _ = tokio::time::timeout(Duration::ZERO, leave).await;
            }
        };
        drop(client);
        let chance = Chance::new(chance.draw());
        publisher.run(chance, stop.clone(), publishes, at_end).await;
    }
    lives
}

/// Subscribes and unsubscribes; what is published in between has to come.
pub(crate) async fn come_and_go(
    client: Client,
    source: Client,
    name: String,
    stop: watch::Receiver<bool>,
) -> u64 {
    let mut rounds = 0;
    while !*stop.borrow() {
        let topic = format!("extra/{name}/{rounds}");
        let subscribe = client.subscribe(&*topic);
        let mut stream = bounded("a SUBACK", subscribe).await.unwrap();
        let publish = source.publish(&*topic, "x").qos(QoS::AtLeastOnce);
        bounded("a verdict", publish).await.unwrap();
        let message = bounded(&topic, stream.next()).await.unwrap();
        assert_eq!(message.topic(), topic);
        bounded("an UNSUBACK", stream.unsubscribe()).await.unwrap();
        rounds += 1;
    }
    rounds
}

/// Takes messages until told to stop; gives the stream back then.
pub(crate) async fn consume(
    mut stream: Messages,
    arrivals: Arc<Mutex<Arrivals>>,
    backlog: Arc<Semaphore>,
    mut stop: oneshot::Receiver<()>,
) -> Messages {
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => return stream,
            message = stream.next() => {
                let message = message.expect("the stream goes on");
                let is_new = arrivals.lock().unwrap().enter(message.topic(), message.payload());
                if is_new && message.qos() != QoS::AtMostOnce {
                    backlog.add_permits(1);
                }
            }
        }
    }
}
