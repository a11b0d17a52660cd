//! The Message Expiry Interval, at the broker and in the client.

use std::time::Duration;

use mqtt5_tokio::{Client, PublishError, QoS};

use crate::clients::{connect, direct, expect, over_link, publish, state};
use crate::support::broker::{Broker, Kind, on_both_brokers};
use crate::support::soon;

on_both_brokers! {
    a_message_expires_at_the_broker,
    a_message_expires_in_the_client,
}

const QOS1: QoS = QoS::AtLeastOnce;

async fn publish_for(client: &Client, topic: &str, payload: &str, seconds: u64) {
    let expiry = Duration::from_secs(seconds);
    let publish = client.publish(topic, payload.to_owned()).qos(QOS1);
    soon(
        publish
            .retain(topic == "clock")
            .message_expiry_interval(expiry),
    )
    .await
    .unwrap();
}

/// Waits until a retained message that lasts for 3 s is gone.
async fn three_seconds_at_the_broker(client: &Client) {
    publish_for(client, "clock", "ticks", 3).await;
    loop {
        let mut stream = soon(client.subscribe("clock")).await.unwrap();
        publish(client, "clock", "is it over?", QOS1).await;
        let first = crate::clients::next(&mut stream).await;
        soon(stream.unsubscribe()).await.unwrap();
        if first.payload() == b"is it over?" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_message_expires_at_the_broker(kind: Kind) {
    let broker = Broker::start(kind).await;
    let durable = || direct(&broker, "durable").durable("durable", Duration::from_secs(600));
    let client = connect(durable()).await;
    drop(soon(client.subscribe("t")).await.unwrap());
    soon(client.disconnect()).await.unwrap();
    broker.sees_gone("durable").await;

    let publisher = connect(direct(&broker, "publisher")).await;
    publish_for(&publisher, "t", "short", 1).await;
    publish_for(&publisher, "t", "long", 1000).await;
    publish(&publisher, "t", "endless", QOS1).await;
    three_seconds_at_the_broker(&publisher).await;

    let client = durable().start().unwrap();
    let mut stream = client.subscribe("t").declare().unwrap();
    let long = expect(&mut stream, "long").await;
    let left = long.properties().message_expiry_interval();
    assert!(
        left.is_some_and(|left| (900..=998).contains(&left)),
        "{left:?}"
    );
    let endless = expect(&mut stream, "endless").await;
    assert_eq!(endless.properties().message_expiry_interval(), None);
}

async fn a_message_expires_in_the_client(kind: Kind) {
    let broker = Broker::start(kind).await;
    let peer = connect(direct(&broker, "peer")).await;
    let mut stream = soon(peer.subscribe("t")).await.unwrap();
    let client = connect(over_link(&broker, "c")).await;
    broker.link.accept_connections(false);
    broker.link.reset_connections();
    state(&client, |state| (!state.is_connected()).then_some(())).await;
    let enqueue = |payload: &'static str, seconds| {
        let publish = client.publish("t", payload).qos(QOS1);
        let expiry = Duration::from_secs(seconds);
        publish
            .message_expiry_interval(expiry)
            .try_enqueue()
            .unwrap()
    };
    let long = enqueue("long", 1000);
    let short = enqueue("short", 1);
    let error = soon(short).await.unwrap_err();
    assert!(matches!(error, PublishError::Expired { .. }), "{error:?}");
    assert_eq!(&error.into_message().unwrap().payload[..], b"short");
    broker.link.accept_connections(true);
    soon(long).await.unwrap();
    let message = expect(&mut stream, "long").await;
    // The time that it waited here counts.
    let left = message.properties().message_expiry_interval();
    assert!(
        left.is_some_and(|left| (900..=999).contains(&left)),
        "{left:?}"
    );
    publish(&client, "t", "marker", QOS1).await;
    expect(&mut stream, "marker").await;
}
