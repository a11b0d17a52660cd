//! Subscriptions: shared, overlapping, without one's own messages, and taken back.

use std::collections::BTreeSet;

use mqtt5_tokio::{Messages, QoS, StreamEnd};

use crate::clients::{EVERY_QOS, connect, direct, expect, next, publish};
use crate::support::broker::{Broker, Kind, on_both_brokers};
use crate::support::soon;

on_both_brokers! {
    a_shared_subscription_shares,
    overlapping_streams_each_get_a_message_once,
    no_local_leaves_out_ones_own,
    nothing_comes_after_unsubscribing,
    a_dropped_stream_is_unsubscribed,
}

const QOS1: QoS = QoS::AtLeastOnce;

async fn a_shared_subscription_shares(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    let (one, two) = (
        connect(direct(&broker, "one")).await,
        connect(direct(&broker, "two")).await,
    );
    let mut first = soon(one.subscribe("$share/group/work/+")).await.unwrap();
    let mut second = soon(two.subscribe("$share/group/work/+")).await.unwrap();
    for n in 0..100 {
        publish(&publisher, &format!("work/{n}"), "work", EVERY_QOS[n % 3]).await;
    }
    let (mut all, mut shares) = (BTreeSet::new(), [0, 0]);
    while all.len() < 100 {
        let message = tokio::select! {
            message = next(&mut first) => {
                shares[0] += 1;
                message
            }
            message = next(&mut second) => {
                shares[1] += 1;
                message
            }
        };
        assert!(
            all.insert(message.topic().to_owned()),
            "{message:?} came twice"
        );
    }
    assert!(shares[0] > 0 && shares[1] > 0, "{shares:?}");
}

async fn overlapping_streams_each_get_a_message_once(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    let client = connect(direct(&broker, "c")).await;
    let mut streams: Vec<Messages> = Vec::new();
    for filter in ["s/#", "s/+/x", "s/a/x", "s/#"] {
        streams.push(soon(client.subscribe(filter)).await.unwrap());
    }
    let mut other = soon(client.subscribe_many(["s/b/+", "other"]))
        .await
        .unwrap();
    for (n, qos) in EVERY_QOS.into_iter().cycle().take(30).enumerate() {
        publish(&publisher, "s/a/x", &n.to_string(), qos).await;
    }
    for stream in &mut streams {
        // The broker passes those of QoS 2 on when they are released.
        let mut seen = BTreeSet::new();
        for _ in 0..30 {
            let message = next(stream).await;
            assert!(
                seen.insert(message.payload().to_vec()),
                "{message:?} came twice"
            );
            let identifiers = message.properties().subscription_identifiers();
            assert!(identifiers.count() > 0, "{message:?}");
        }
    }
    publish(&publisher, "s/b/x", "marker", QOS1).await;
    publish(&publisher, "other", "other", QOS1).await;
    expect(&mut other, "marker").await;
    expect(&mut other, "other").await;
    for (number, stream) in streams.iter_mut().enumerate() {
        if number != 2 {
            expect(stream, "marker").await;
        }
        assert_eq!(stream.waiting(), 0);
    }
    assert_eq!(client.statistics().unclaimed_discarded, 0);
}

async fn no_local_leaves_out_ones_own(kind: Kind) {
    let broker = Broker::start(kind).await;
    let peer = connect(direct(&broker, "peer")).await;
    let client = connect(direct(&broker, "c")).await;
    let mut stream = soon(client.subscribe("t").no_local(true)).await.unwrap();
    for qos in EVERY_QOS {
        publish(&client, "t", "own", qos).await;
        publish(&peer, "t", "the peer's", qos).await;
        expect(&mut stream, "the peer's").await;
    }
}

async fn nothing_comes_after_unsubscribing(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = connect(direct(&broker, "c")).await;
    let gone = soon(client.subscribe_many(["gone/a", "gone/b"]))
        .await
        .unwrap();
    let mut clone = gone.clone();
    let mut stays = soon(client.subscribe("stays")).await.unwrap();
    publish(&client, "gone/a", "before", QOS1).await;
    soon(gone.unsubscribe()).await.unwrap();
    for topic in ["gone/a", "gone/b", "stays"] {
        publish(&client, topic, "after", QOS1).await;
    }
    expect(&mut stays, "after").await;
    // What had come can still be taken.
    expect(&mut clone, "before").await;
    assert!(soon(clone.next()).await.is_none());
    assert!(matches!(clone.end_reason(), Some(StreamEnd::Unsubscribed)));
    assert_eq!(client.statistics().messages_received, 2);
}

async fn a_dropped_stream_is_unsubscribed(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = connect(direct(&broker, "c")).await;
    let dropped = soon(client.subscribe("dropped")).await.unwrap();
    let mut stays = soon(client.subscribe("stays")).await.unwrap();
    drop(dropped);
    // Behind the UNSUBSCRIBE on the wire.
    publish(&client, "dropped", "after", QOS1).await;
    publish(&client, "stays", "after", QOS1).await;
    expect(&mut stays, "after").await;
    assert_eq!(client.statistics().messages_received, 1);
}
