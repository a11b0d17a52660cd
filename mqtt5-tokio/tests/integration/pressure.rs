//! Much traffic, slow consumers, full queues.

use std::time::Duration;

use mqtt5_tokio::{Client, Messages, QoS, WhenFull};

use crate::clients::{connect, direct, expect, next, publish};
use crate::support::broker::{Broker, Kind, Setup, on_both_brokers};
use crate::support::{soon, until};

on_both_brokers! {
    a_slow_consumer_loses_nothing_of_qos_1_and_2,
    a_slow_consumer_bounds_qos_0,
    a_slow_consumer_can_hold_up_qos_0,
    publishing_in_a_receive_loop_with_every_queue_full_goes_on,
    megabytes_of_qos_1_pass_both_ways,
}

const QOS1: QoS = QoS::AtLeastOnce;

/// With a Receive Maximum that is soon used up. Mosquitto 2.0.11 exceeds it as soon as it has a
/// backlog, by up to as many messages again for each acknowledgement; the client bears with that.
async fn a_slow_consumer_loses_nothing_of_qos_1_and_2(kind: Kind) {
    slow_consumer(&Broker::start(kind).await, 10).await;
}

/// Publishes 500 messages to a client that takes none before all are at the broker and as many as
/// its Receive Maximum have come.
async fn slow_consumer(broker: &Broker, maximum: u16) {
    let first = usize::from(maximum);
    let publisher = connect(direct(broker, "publisher")).await;
    let client = connect(direct(broker, "c").receive_maximum(maximum)).await;
    for qos in [QOS1, QoS::ExactlyOnce] {
        let mut stream = soon(client.subscribe("slow").qos(qos)).await.unwrap();
        let completions: Vec<_> = (0..500)
            .map(|n| publisher.publish("slow", format!("{n}")).qos(qos))
            .map(|publish| publish.try_enqueue().unwrap())
            .collect();
        for completion in completions {
            soon(completion).await.unwrap();
        }
        until(|| stream.waiting() == first).await;
        for n in 0..500 {
            if broker.kind() == Kind::Testkit {
                assert!(stream.waiting() <= first);
            }
            expect(&mut stream, &n.to_string()).await;
        }
        assert_eq!(stream.waiting(), 0);
        soon(stream.unsubscribe()).await.unwrap();
    }
    let statistics = client.statistics();
    assert_eq!(statistics.messages_received, 1000);
    assert_eq!(statistics.connections, 1);
}

/// Publishes 200 messages of QoS 0 and one of QoS 1, and waits until the client has them.
async fn flood(publisher: &Client, client: &Client, stream: &Messages) {
    let before = client.statistics().messages_received;
    for n in 0..200 {
        publish(publisher, "fast", &n.to_string(), QoS::AtMostOnce).await;
    }
    publish(publisher, "fast", "marker", QOS1).await;
    until(|| client.statistics().messages_received == before + 201).await;
    assert_eq!(stream.waiting(), 11);
}

async fn a_slow_consumer_bounds_qos_0(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    let client = connect(direct(&broker, "c")).await;
    for (when_full, kept) in [
        (WhenFull::DropNewest, 0..10),
        (WhenFull::DropOldest, 190..200),
    ] {
        let subscribe = client.subscribe("fast").buffer(10).when_full(when_full);
        let mut stream = soon(subscribe).await.unwrap();
        let dropped = client.statistics().qos0_dropped;
        flood(&publisher, &client, &stream).await;
        for n in kept {
            expect(&mut stream, &n.to_string()).await;
        }
        expect(&mut stream, "marker").await;
        assert_eq!(client.statistics().qos0_dropped, dropped + 190);
        soon(stream.unsubscribe()).await.unwrap();
    }
}

async fn a_slow_consumer_can_hold_up_qos_0(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    let client = connect(direct(&broker, "c")).await;
    let subscribe = client.subscribe("fast").buffer(10);
    let mut stream = soon(subscribe.when_full(WhenFull::PauseReading))
        .await
        .unwrap();
    for n in 0..2000 {
        publish(&publisher, "fast", &n.to_string(), QoS::AtMostOnce).await;
    }
    publish(&publisher, "fast", "marker", QOS1).await;
    until(|| stream.waiting() >= 10).await;
    for n in 0..2000 {
        // What was read when it was paused still comes.
        assert!(stream.waiting() <= 10 + 256, "{}", stream.waiting());
        expect(&mut stream, &n.to_string()).await;
    }
    expect(&mut stream, "marker").await;
    assert_eq!(client.statistics().qos0_dropped, 0);
}

async fn publishing_in_a_receive_loop_with_every_queue_full_goes_on(kind: Kind) {
    const COUNT: usize = 300;
    let setup = Setup {
        receive_maximum: Some(2),
        ..Setup::default()
    };
    let broker = Broker::start_with(kind, setup).await;
    let peer = connect(direct(&broker, "peer")).await;
    let mut pongs = soon(peer.subscribe("pong")).await.unwrap();
    let maximum = 2;
    let small = direct(&broker, "c")
        .receive_maximum(maximum)
        .outbound_messages(2);
    let client = connect(small).await;
    let mut pings = soon(client.subscribe("ping")).await.unwrap();

    // They fill the queue whenever there is room in it.
    let noise: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(
                async move { while client.publish("noise", "x").qos(QOS1).await.is_ok() {} },
            )
        })
        .collect();
    let asking = async {
        for n in 0..COUNT {
            publish(&peer, "ping", &n.to_string(), QOS1).await;
        }
    };
    let answering = async {
        for n in 0..COUNT {
            let ping = expect(&mut pings, &n.to_string()).await;
            let pong = client.publish("pong", ping.payload_bytes());
            let qos = if n % 2 == 0 { QOS1 } else { QoS::ExactlyOnce };
            soon(pong.qos(qos)).await.unwrap();
        }
    };
    let listening = async {
        for n in 0..COUNT {
            expect(&mut pongs, &n.to_string()).await;
        }
    };
    tokio::join!(asking, answering, listening);
    soon(client.disconnect().drain_timeout(Duration::from_secs(1)))
        .await
        .unwrap();
    for noise in noise {
        soon(noise).await.unwrap();
    }
    let statistics = client.statistics();
    assert_eq!(statistics.connections, 1);
    let ended = statistics.publishes_succeeded + statistics.publishes_failed;
    assert_eq!(statistics.publishes_accepted, ended);
}

/// The payload of one message: as long as its number says, and made of it.
fn payload(n: usize) -> Vec<u8> {
    (0..1 + n * 7919 % 40_000)
        .map(|i| (n ^ i ^ i >> 8).to_le_bytes()[0])
        .collect()
}

async fn megabytes_of_qos_1_pass_both_ways(kind: Kind) {
    let large = std::env::var_os("MQTT5_LARGE").is_some_and(|value| value == "1");
    let total = if large { 100_000_000 } else { 10_000_000 };
    let broker = Broker::start(kind).await;
    let maximum = 256;
    let (one, two) = (
        connect(direct(&broker, "one").receive_maximum(maximum)).await,
        connect(direct(&broker, "two").receive_maximum(maximum)).await,
    );
    let mut of_one = soon(one.subscribe("to/one")).await.unwrap();
    let mut of_two = soon(two.subscribe("to/two")).await.unwrap();
    let send = async |client: &Client, topic: &'static str| {
        let (mut n, mut sent) = (0, 0);
        while sent < total {
            let payload = payload(n);
            (n, sent) = (n + 1, sent + payload.len());
            let publish = client.publish(topic, payload).qos(QOS1);
            drop(soon(publish.enqueue()).await.unwrap());
        }
    };
    let receive = async |stream: &mut Messages| {
        let (mut n, mut received) = (0, 0);
        while received < total {
            let message = next(stream).await;
            assert!(message.payload() == payload(n), "message {n}");
            (n, received) = (n + 1, received + message.payload().len());
        }
    };
    tokio::join!(
        send(&one, "to/two"),
        send(&two, "to/one"),
        receive(&mut of_one),
        receive(&mut of_two),
    );
    for client in [one, two] {
        soon(client.disconnect()).await.unwrap();
        let statistics = client.statistics();
        assert_eq!(statistics.publishes_failed, 0);
        assert_eq!(
            statistics.publishes_succeeded,
            statistics.publishes_accepted
        );
        assert_eq!(statistics.connections, 1);
    }
}
