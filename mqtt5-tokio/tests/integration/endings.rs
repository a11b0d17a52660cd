//! The end of a client: asked for, and by dropping it.

use std::time::Duration;

use mqtt5_proto::packet::{Packet, PacketType};
use mqtt5_testkit::{Effect, TestBroker, When};
use mqtt5_tokio::{
    CloseReason, ConnectionState, DisconnectError, PublishError, Published, QoS, ReconnectPolicy,
    StreamEnd, builder,
};

use crate::clients::{connect, direct, expect, next, over_link, state};
use crate::support::broker::{Broker, Kind, on_both_brokers};
use crate::support::{soon, within_limit};

on_both_brokers! {
    a_disconnect_drains,
    the_last_handle_disconnects,
    a_client_without_a_connection_can_be_ended,
}

const QOS1: QoS = QoS::AtLeastOnce;

async fn a_disconnect_drains(kind: Kind) {
    let broker = Broker::start(kind).await;
    let peer = connect(direct(&broker, "peer")).await;
    let mut stream = soon(peer.subscribe("t")).await.unwrap();
    let client = connect(direct(&broker, "c")).await;
    let completions: Vec<_> = (0..300)
        .map(|n| client.publish("t", format!("{n}")).qos(QOS1))
        .map(|publish| publish.try_enqueue().unwrap())
        .collect();
    let disconnect = client.disconnect();
    let (ended, late) = tokio::join!(soon(disconnect), async {
        // From the moment of the call on, nothing is accepted any more.
        tokio::task::yield_now().await;
        soon(client.publish("t", "late").qos(QOS1)).await
    });
    ended.unwrap();
    let late = late.unwrap_err();
    assert_eq!(&late.into_message().unwrap().payload[..], b"late");
    for completion in completions {
        let published = soon(completion).await.unwrap();
        assert!(matches!(published, Published::Acknowledged(_)));
    }
    for n in 0..300 {
        expect(&mut stream, &n.to_string()).await;
    }
    assert_eq!(stream.waiting(), 0);
    broker.sees_disconnect("c").await;
    broker.sees_gone("c").await;
}

async fn the_last_handle_disconnects(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = connect(direct(&broker, "c")).await;
    let mut changes = client.state_changes();
    let stream = soon(client.subscribe("t")).await.unwrap();
    let clone = client.clone();
    let completion = client.publish("t", "x").qos(QOS1).try_enqueue().unwrap();
    drop(client);
    drop(clone);
    // A stream is a handle too.
    soon(stream.client().publish("t", "y").qos(QOS1))
        .await
        .unwrap();
    drop(stream);
    soon(completion).await.unwrap();
    broker.sees_disconnect("c").await;
    broker.sees_gone("c").await;
    let last = soon(changes.changed()).await;
    let closed = matches!(last, Some(ConnectionState::Closed(CloseReason::Requested)));
    assert!(closed, "{last:?}");
    assert!(soon(changes.changed()).await.is_none());
    if kind == Kind::Testkit {
        // An ephemeral session goes with it.
        assert!(
            broker
                .testkit()
                .script(|broker, _| !broker.has_session("c"))
        );
    }
}

async fn a_client_without_a_connection_can_be_ended(kind: Kind) {
    let broker = Broker::start(kind).await;
    // No attempt to connect is under way when it ends.
    let policy = ReconnectPolicy::fixed(Duration::from_secs(3600));
    let client = connect(over_link(&broker, "c").reconnect(policy)).await;
    let mut stream = soon(client.subscribe("t")).await.unwrap();
    broker.link.accept_connections(false);
    broker.link.reset_connections();
    state(&client, |state| (!state.is_connected()).then_some(())).await;
    let waiting = client.publish("t", "x").qos(QOS1).try_enqueue().unwrap();
    let unsubscribed = soon(client.subscribe("u")).into_future();
    let disconnect = client.disconnect().drain_timeout(Duration::from_millis(50));
    let (ended, refused) = tokio::join!(soon(disconnect), unsubscribed);
    let ended = ended.unwrap_err();
    assert!(matches!(ended, DisconnectError::NotConnected), "{ended:?}");
    assert!(refused.is_err());
    let error = soon(waiting).await.unwrap_err();
    assert!(matches!(error, PublishError::NeverSent { .. }), "{error:?}");
    assert!(soon(stream.next()).await.is_none());
    assert!(matches!(
        stream.end_reason(),
        Some(StreamEnd::Closed(CloseReason::Requested))
    ));
}

/// The last packet tells what an ordinary end is.
#[tokio::test]
async fn the_disconnect_of_an_ephemeral_session_ends_the_session() {
    within_limit(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(builder(&broker.url()).unwrap().connect())
            .await
            .unwrap();
        drop(client);
        let gone = |broker: &mqtt5_testkit::Broker| broker.connections().count() == 0;
        broker.wait_for(gone).await.unwrap();
        let received = broker.received();
        let last = received.last().unwrap().packet().unwrap();
        let Packet::Disconnect(disconnect) = last else {
            panic!("{last:?}");
        };
        assert_eq!(disconnect.reason_code().raw(), 0);
        assert_eq!(disconnect.properties().session_expiry_interval(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_drain_that_takes_too_long_leaves_its_messages_unknown() {
    within_limit(async {
        let broker = TestBroker::start().await.unwrap();
        broker.add_fault(When::received(PacketType::Publish).always(), Effect::Drop);
        let client = soon(builder(&broker.url()).unwrap().connect())
            .await
            .unwrap();
        let enqueue = |payload: &'static str, qos| {
            client.publish("t", payload).qos(qos).try_enqueue().unwrap()
        };
        let completions = [enqueue("1", QOS1), enqueue("2", QoS::ExactlyOnce)];
        let disconnect = client
            .disconnect()
            .drain_timeout(Duration::from_millis(100));
        soon(disconnect).await.unwrap();
        for (payload, completion) in ["1", "2"].into_iter().zip(completions) {
            let error = soon(completion).await.unwrap_err();
            assert!(matches!(error, PublishError::Unknown { .. }), "{error:?}");
            assert_eq!(
                &error.into_message().unwrap().payload[..],
                payload.as_bytes()
            );
        }
        let is_last = |broker: &mqtt5_testkit::Broker| {
            let last = broker.received().next_back();
            last.is_some_and(|last| last.packet_type() == Some(PacketType::Disconnect))
        };
        broker.wait_for(is_last).await.unwrap();
    })
    .await;
}

/// Messages that wait in a stream can be taken after the end.
#[tokio::test]
async fn what_has_come_can_be_taken_after_the_end() {
    within_limit(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(builder(&broker.url()).unwrap().connect())
            .await
            .unwrap();
        let mut stream = soon(client.subscribe("t")).await.unwrap();
        for _ in 0..3 {
            soon(client.publish("t", "x").qos(QOS1)).await.unwrap();
        }
        crate::support::until(|| stream.waiting() == 3).await;
        soon(client.disconnect()).await.unwrap();
        for _ in 0..3 {
            next(&mut stream).await;
        }
        assert!(soon(stream.next()).await.is_none());
    })
    .await;
}
