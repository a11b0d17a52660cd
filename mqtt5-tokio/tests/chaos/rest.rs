//! After the faults: nothing may be owed, lost, doubled or left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt5_testkit::{Direction, LinkCounters};
use mqtt5_tokio::QoS;

use crate::clients::{RECEIVE_MAXIMUM, WINDOW};
use crate::judge::{Judgement, judge};
use crate::ledger::{Arrivals, Ledger, Verdict};
use crate::run::bounded;
use crate::support::broker::Kind;
use crate::support::until;
use crate::world::{Lasting, World};

/// How long the last messages may take, on links that work again.
const PATIENCE: Duration = Duration::from_secs(20);

/// A world in which everything has ended that was begun.
pub(crate) struct Rest {
    world: World,
    figures: Figures,
}

/// What a run has done.
#[derive(Debug)]
#[allow(dead_code, reason = "shown by Debug")]
pub(crate) struct Figures {
    /// Of all links that fail, up to the last fault.
    links: LinkCounters,
    publishes_up: BTreeMap<String, u64>,
    publishes_down: BTreeMap<String, u64>,
    /// Subscribed to and unsubscribed from.
    subscriptions: u64,
    /// Clients that were ended.
    lives: u64,
    /// Connections that were accepted, of the clients that live as long as the run.
    connections: u64,
    delivered: u64,
    again_at_qos1: u64,
    begun_again_by_broker: u64,
    out_of_order_by_broker: u64,
    /// PUBLISHes of QoS 2 that were repeated within their exchanges, both ways.
    repeated_at_qos2: u64,
}

impl Rest {
    pub(crate) async fn new(
        world: World,
        counters: &[LinkCounters],
        subscriptions: u64,
        lives: u64,
    ) -> Self {
        arrived(&world.up, &world.observing.arrivals).await;
        for client in &world.lasting {
            arrived(&client.down, &client.consumer.arrivals).await;
        }
        let figures = Figures {
            links: sum(counters),
            publishes_up: count([Arc::clone(&world.up)]),
            publishes_down: count(world.lasting.iter().map(|client| Arc::clone(&client.down))),
            subscriptions,
            lives,
            connections: 0,
            delivered: 0,
            again_at_qos1: 0,
            begun_again_by_broker: 0,
            out_of_order_by_broker: 0,
            repeated_at_qos2: 0,
        };
        Self { world, figures }
    }

    /// Judges all that has happened.
    pub(crate) fn check(&mut self) -> &Figures {
        let Self { world, figures } = self;
        let mut wrong = Vec::new();
        let mut add = |judgement: Judgement| {
            figures.again_at_qos1 += judgement.again_at_qos1;
            figures.begun_again_by_broker += judgement.begun_again_by_broker;
            figures.out_of_order_by_broker += judgement.out_of_order_by_broker;
            figures.delivered += judgement.delivered;
            wrong.extend(judgement.wrong);
        };
        let observed = world.observer.watched.wire.lock().unwrap();
        let wires: Vec<_> = world
            .failing()
            .map(|watched| watched.wire.lock().unwrap())
            .collect();
        let sent: Vec<_> = wires
            .iter()
            .map(|wire| wire.exchanges(Direction::FromClient))
            .collect();
        let received = observed.exchanges(Direction::ToClient);
        let arrivals = world.observing.arrivals.lock().unwrap();
        add(judge(&world.up.publishes(), &arrivals, &sent, received));
        let source = world.source.watched.wire.lock().unwrap();
        let sent = [source.exchanges(Direction::FromClient)];
        for (client, wire) in world.lasting.iter().zip(&wires) {
            let arrivals = client.consumer.arrivals.lock().unwrap();
            let received = wire.exchanges(Direction::ToClient);
            add(judge(&client.down.publishes(), &arrivals, &sent, received));
        }
        for wire in &wires {
            let both = [Direction::FromClient, Direction::ToClient];
            let repeated = both.map(|direction| wire.exchanges(direction).repeated());
            figures.repeated_at_qos2 += repeated.iter().sum::<u64>();
        }
        let by_broker = figures.begun_again_by_broker + figures.out_of_order_by_broker;
        if world.kind == Kind::Testkit && by_broker > 0 {
            wrong.push("the test broker has broken the rules".to_owned());
        }
        for client in &world.lasting {
            figures.connections += client.client.statistics().connections;
        }
        let shown = &wrong[..wrong.len().min(20)];
        assert!(
            wrong.is_empty(),
            "{} facts: {shown:#?}\n{figures:#?}",
            wrong.len()
        );
        figures
    }

    /// Shows that no client owes anything, and ends it all.
    pub(crate) async fn end(self) {
        let World {
            broker,
            source,
            observer,
            observing,
            lasting,
            mortal,
            ..
        } = self.world;
        for client in lasting {
            nothing_is_owed(client, &source.client).await;
        }
        for client in mortal {
            let watched = Arc::into_inner(client.watched).expect("its task has ended");
            watched.link.shutdown().await;
        }
        drop(observing.stop().await);
        for side in [source, observer] {
            bounded("an end", side.client.disconnect()).await.unwrap();
            side.watched.link.shutdown().await;
        }
        drop(broker);
    }
}

/// Waits for everything to come that was acknowledged.
async fn arrived(ledger: &Ledger, arrivals: &Mutex<Arrivals>) {
    let publishes = ledger.publishes();
    let acknowledged = publishes
        .iter()
        .filter(|(_, publish)| publish.verdict == Verdict::Acknowledged);
    let mut missing: Vec<_> = acknowledged.map(|(number, _)| *number).collect();
    let all_is_there = async {
        while !missing.is_empty() {
            {
                let arrivals = arrivals.lock().unwrap();
                missing.retain(|number| arrivals.times(*number) == 0);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // What is missing then is lost, and the judge says so.
    let _ = tokio::time::timeout(PATIENCE, all_is_there).await;
}

/// All room for operations is there, as is all that the broker may have in flight to the client.
async fn nothing_is_owed(client: Lasting, source: &mqtt5_tokio::Client) {
    let Lasting {
        watched,
        client,
        consumer,
        supplier,
        ..
    } = client;
    let statistics = client.statistics();
    let told = statistics.publishes_succeeded + statistics.publishes_failed;
    assert_eq!(statistics.publishes_accepted, told, "{statistics:?}");
    assert_eq!(statistics.sessions_lost, 0, "{statistics:?}");
    let mut permits = Vec::new();
    for _ in 0..WINDOW {
        permits.push(bounded("room", client.reserve()).await.unwrap());
    }
    let one_more = client.publish("up/never", "x").try_enqueue().unwrap_err();
    assert!(one_more.is_full(), "{one_more:?}");
    drop(permits);

    let mut stream = consumer.stop().await;
    // The latest message is not acknowledged.
    let free = RECEIVE_MAXIMUM - 1;
    let topic = format!("{}/1", supplier.topic);
    for number in 0..free {
        let publish = source.publish(&*topic, number.to_string());
        bounded("a verdict", publish.qos(QoS::AtLeastOnce))
            .await
            .unwrap();
    }
    until(|| stream.waiting() == usize::from(free)).await;
    for number in 0..free {
        let message = bounded("a message", stream.next()).await.unwrap();
        assert_eq!(message.payload(), number.to_string().as_bytes());
    }
    bounded("an end", client.disconnect()).await.unwrap();
    watched.link.shutdown().await;
}

fn count(ledgers: impl IntoIterator<Item = Arc<Ledger>>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for publish in ledgers
        .into_iter()
        .flat_map(|ledger| ledger.publishes().into_values())
    {
        let kind = format!("{:?} {:?}", publish.qos, publish.verdict);
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

fn sum(counters: &[LinkCounters]) -> LinkCounters {
    let mut sum = LinkCounters::default();
    for counters in counters {
        sum.attempts += counters.attempts;
        sum.refused += counters.refused;
        sum.unreachable += counters.unreachable;
        sum.closed += counters.closed;
        sum.reset += counters.reset;
        sum.stalled += counters.stalled;
        sum.silenced += counters.silenced;
        sum.in_pieces += counters.in_pieces;
        sum.delayed += counters.delayed;
        sum.bytes_from_client += counters.bytes_from_client;
        sum.bytes_to_client += counters.bytes_to_client;
        sum.bytes_lost += counters.bytes_lost;
        sum.pieces += counters.pieces;
    }
    sum
}
