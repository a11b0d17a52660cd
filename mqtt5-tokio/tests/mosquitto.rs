//! The client against a real Mosquitto.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

mod support;

use std::time::Duration;

use mqtt5_tokio::{
    Builder, Client, ConnectError, PublishError, Published, QoS, ReconnectPolicy, SubscribeError,
    builder, connect,
};
use support::mosquitto::{Config, Mosquitto};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(10);

fn url(broker: &Mosquitto) -> String {
    format!("mqtt://127.0.0.1:{}", broker.port())
}

fn quick(broker: &Mosquitto) -> Builder {
    let policy = ReconnectPolicy::fixed(Duration::from_millis(20));
    builder(&url(broker)).unwrap().reconnect(policy)
}

async fn soon<F: IntoFuture>(future: F) -> F::Output {
    timeout(LONG, future).await.expect("did not end in time")
}

async fn reconnected(client: &Client, number: u64) -> bool {
    let mut changes = client.state_changes();
    loop {
        if let mqtt5_tokio::ConnectionState::Connected(info) = client.state()
            && info.number >= number
        {
            return info.session_lost;
        }
        soon(changes.changed()).await.expect("closed");
    }
}

#[test]
fn what_is_wrong_before_anything_is_sent_is_told() {
    let start = || builder("mqtt://127.0.0.1").unwrap();
    assert!(matches!(start().start(), Err(ConnectError::NoRuntime)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let error = start().client_id("\0").connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Options(_)), "{error:?}");
        let error = connect("http://127.0.0.1").await.unwrap_err();
        assert!(error.to_string().contains("unknown scheme http"), "{error}");
        let secret = builder("mqtt://heinz:secret@h").unwrap();
        assert!(!format!("{secret:?}").contains("secret"));
    });
}

#[tokio::test]
async fn publishes_and_receives_at_every_qos() {
    let broker = Mosquitto::start(Config::new());
    let client = soon(connect(&url(&broker))).await.unwrap();
    let mut socks = soon(client.subscribe("socks/+/status")).await.unwrap();
    assert_eq!(socks.granted(), Some(QoS::ExactlyOnce));
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let published = soon(client.publish("socks/right/status", "missing").qos(qos))
            .await
            .unwrap();
        assert_eq!(matches!(published, Published::Sent), qos == QoS::AtMostOnce);
        let message = soon(socks.next()).await.unwrap();
        assert_eq!(
            (message.topic(), message.payload()),
            ("socks/right/status", &b"missing"[..])
        );
        assert_eq!(message.qos(), qos);
    }
    soon(client.disconnect()).await.unwrap();
    assert!(soon(socks.next()).await.is_none());
    broker.wait_for_log("Received DISCONNECT");
}

#[tokio::test]
async fn many_messages_arrive_in_order() {
    let broker = Mosquitto::start(Config::new().line("max_queued_messages 0"));
    let client = soon(connect(&url(&broker))).await.unwrap();
    let mut all = soon(client.subscribe("n/#")).await.unwrap();
    let publisher = client.clone();
    let publishing = tokio::spawn(async move {
        for n in 0..5000u32 {
            let payload = vec![b'x'; if n % 500 == 0 { 100_000 } else { 20 }];
            let publish = publisher
                .publish(format!("n/{n}"), payload)
                .qos(if n % 2 == 0 {
                    QoS::AtLeastOnce
                } else {
                    QoS::ExactlyOnce
                });
            drop(publish.enqueue().await.unwrap());
        }
    });
    // The broker passes a message of QoS 2 on when it is released: order holds for each QoS.
    let mut next = [0, 1];
    for _ in 0..5000u32 {
        let message = soon(all.next()).await.unwrap();
        let next = &mut next[usize::from(message.qos() == QoS::ExactlyOnce)];
        assert_eq!(message.topic(), format!("n/{next}"));
        *next += 2;
    }
    publishing.await.unwrap();
    soon(client.disconnect()).await.unwrap();
    assert_eq!(client.statistics().publishes_succeeded, 5000);
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_server_are_told() {
    let broker = Mosquitto::start(Config::new().user("heinz", "right"));
    let wrong = format!("mqtt://heinz:wrong@127.0.0.1:{}", broker.port());
    let error = soon(connect(&wrong)).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    let right = format!("mqtt://heinz:right@127.0.0.1:{}", broker.port());
    soon(connect(&right)).await.unwrap();
    drop(broker);
    let error = soon(connect(&right)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Closed(_)), "{error:?}");
}

#[tokio::test]
async fn streams_and_handles_outlive_a_server_that_lost_the_session() {
    let mut broker = Mosquitto::start(Config::new());
    let client = soon(quick(&broker).connect()).await.unwrap();
    let mut socks = soon(client.subscribe("socks/#")).await.unwrap();
    broker.restart();
    assert!(reconnected(&client, 2).await);
    // Behind the SUBSCRIBE on the wire.
    soon(client.publish("socks/a", "1").qos(QoS::AtLeastOnce))
        .await
        .unwrap();
    assert_eq!(soon(socks.next()).await.unwrap().payload(), b"1");
    soon(client.disconnect()).await.unwrap();
}

#[tokio::test]
async fn a_resumed_session_delivers_what_came_meanwhile() {
    let mut broker = Mosquitto::start(Config::new().persistence());
    let durable = || quick(&broker).durable("drawer", Duration::from_secs(600));
    let client = soon(durable().connect()).await.unwrap();
    let socks = soon(client.subscribe("socks/#")).await.unwrap();
    soon(client.disconnect()).await.unwrap();
    drop(socks);
    broker.mosquitto_pub(&["-t", "socks/a", "-m", "hello", "-q", "1"]);
    let client = durable().start().unwrap();
    let info = soon(client.connected()).await.unwrap();
    assert!(info.session_present);
    // Declared late on purpose: what nobody claims is held.
    let mut socks = client.subscribe("socks/#").declare().unwrap();
    assert_eq!(soon(socks.next()).await.unwrap().payload(), b"hello");
    soon(client.disconnect()).await.unwrap();
    broker.stop();
}

#[tokio::test]
async fn limits_of_the_server_are_told_before_anything_is_sent() {
    let broker = Mosquitto::start(Config::new().max_qos(1).max_packet_size(1000));
    let client = soon(connect(&url(&broker))).await.unwrap();
    let error = soon(client.publish("a", "b").qos(QoS::ExactlyOnce))
        .await
        .unwrap_err();
    assert!(
        matches!(error, PublishError::NotAccepted { .. }),
        "{error:?}"
    );
    assert_eq!(&error.into_message().unwrap().payload[..], b"b");
    let error = soon(client.publish("a", vec![0; 2000])).await.unwrap_err();
    assert_eq!(error.payload().unwrap().len(), 2000);
    let error = soon(client.publish("a/#", "b")).await.unwrap_err();
    assert_eq!(&error.payload().unwrap()[..], b"b");
    let error = soon(client.subscribe("a/#/b")).await.unwrap_err();
    assert!(
        matches!(error, SubscribeError::InvalidFilter(_)),
        "{error:?}"
    );
    soon(client.publish("a", "b").qos(QoS::AtLeastOnce))
        .await
        .unwrap();
}

#[tokio::test]
async fn overlapping_streams_each_get_their_messages_once() {
    let broker = Mosquitto::start(Config::new());
    let client = soon(connect(&url(&broker))).await.unwrap();
    let mut all = soon(client.subscribe("s/#")).await.unwrap();
    let mut left = soon(client.subscribe_many(["s/left", "t/+"]))
        .await
        .unwrap();
    let mut again = soon(client.subscribe("s/#").qos(QoS::AtLeastOnce))
        .await
        .unwrap();
    for n in 0..20 {
        soon(
            client
                .publish("s/left", format!("{n}"))
                .qos(QoS::AtLeastOnce),
        )
        .await
        .unwrap();
    }
    for stream in [&mut all, &mut left, &mut again] {
        for n in 0..20 {
            assert_eq!(
                soon(stream.next()).await.unwrap().payload(),
                format!("{n}").as_bytes()
            );
        }
    }
    assert_eq!((all.waiting(), left.waiting(), again.waiting()), (0, 0, 0));
    soon(again.unsubscribe()).await.unwrap();
    soon(client.publish("s/left", "last").qos(QoS::AtLeastOnce))
        .await
        .unwrap();
    assert_eq!(soon(all.next()).await.unwrap().payload(), b"last");
    soon(all.unsubscribe()).await.unwrap();
    soon(left.unsubscribe()).await.unwrap();
    soon(client.disconnect()).await.unwrap();
}

#[tokio::test]
async fn dropping_everything_disconnects_in_the_background() {
    let broker = Mosquitto::start(Config::new());
    let client = soon(connect(&url(&broker))).await.unwrap();
    let messages = soon(client.subscribe("a")).await.unwrap();
    let completion = client
        .publish("a", "b")
        .qos(QoS::AtLeastOnce)
        .try_enqueue()
        .unwrap();
    drop(client);
    drop(messages);
    assert!(matches!(
        soon(completion).await,
        Ok(Published::Acknowledged(_))
    ));
    tokio::task::spawn_blocking(move || broker.wait_for_log("Received DISCONNECT"))
        .await
        .unwrap();
}
