//! Limits of either side.

use std::time::Duration;

use mqtt5_proto::packet::PacketType;
use mqtt5_proto::session::Rule;
use mqtt5_tokio::{PublishError, QoS};

use crate::clients::{connect, connection, direct, expect, next, over_link, publish, state};
use crate::support::broker::{Broker, Kind, Setup, on_both_brokers};
use crate::support::{soon, within_limit};

on_both_brokers! {
    a_receive_maximum_of_one_at_the_server_holds_nothing_up,
    a_receive_maximum_of_one_at_the_client_is_kept,
    the_maximum_packet_size_of_the_server_is_told_at_once,
    the_maximum_packet_size_of_the_client_is_kept,
    what_the_server_does_not_offer_is_told_at_once,
}

const QOS1: QoS = QoS::AtLeastOnce;

async fn a_receive_maximum_of_one_at_the_server_holds_nothing_up(kind: Kind) {
    let setup = Setup {
        receive_maximum: Some(1),
        ..Setup::default()
    };
    let broker = Broker::start_with(kind, setup).await;
    let client = connect(direct(&broker, "c")).await;
    let info = connection(&client, 1).await;
    assert_eq!(info.limits.receive_maximum.get(), 1);
    let mut stream = soon(client.subscribe("t")).await.unwrap();
    let qos = |n| if n % 2 == 0 { QOS1 } else { QoS::ExactlyOnce };
    let completions: Vec<_> = (0..50)
        .map(|n| client.publish("t", format!("{n}")).qos(qos(n)))
        .map(|publish| publish.try_enqueue().unwrap())
        .collect();
    for n in 0..50 {
        assert_eq!(expect(&mut stream, &n.to_string()).await.qos(), qos(n));
    }
    for completion in completions {
        soon(completion).await.unwrap();
    }
    // Either broker ends the connection of a client with two in flight.
    assert_eq!(client.statistics().connections, 1);
}

async fn a_receive_maximum_of_one_at_the_client_is_kept(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    let client = connect(direct(&broker, "c").receive_maximum(1)).await;
    let mut stream = soon(client.subscribe("t").manual_acknowledge())
        .await
        .unwrap();
    for qos in [QOS1, QoS::ExactlyOnce] {
        for n in 0..10 {
            publish(&publisher, "t", &n.to_string(), qos).await;
        }
        for n in 0..10 {
            let message = expect(&mut stream, &n.to_string()).await;
            // It comes although older messages wait: they wait for the acknowledgement.
            publish(&publisher, "t", "marker", QoS::AtMostOnce).await;
            expect(&mut stream, "marker").await;
            stream.acknowledge(&message).unwrap();
        }
    }
}

async fn the_maximum_packet_size_of_the_server_is_told_at_once(kind: Kind) {
    let setup = Setup {
        maximum_packet_size: Some(1000),
        ..Setup::default()
    };
    let broker = Broker::start_with(kind, setup).await;
    let client = connect(direct(&broker, "c")).await;
    let mut stream = soon(client.subscribe("t").qos(QoS::AtMostOnce))
        .await
        .unwrap();
    for (qos, largest) in [(QoS::AtMostOnce, 993), (QOS1, 991)] {
        let too_large = vec![b'x'; largest + 1];
        let error = soon(client.publish("t", too_large.clone()).qos(qos))
            .await
            .unwrap_err();
        let PublishError::NotAccepted { rule, message } = error else {
            panic!("{error:?}");
        };
        assert_eq!(
            rule,
            Rule::MaximumPacketSize {
                size: 1001,
                limit: 1000
            }
        );
        assert_eq!((&message.payload[..], message.qos), (&too_large[..], qos));
        assert_eq!(message.topic.as_str(), "t");
        soon(client.publish("t", vec![b'y'; largest]).qos(qos))
            .await
            .unwrap();
        assert_eq!(next(&mut stream).await.payload(), vec![b'y'; largest]);
    }
    assert_eq!(client.statistics().connections, 1);
}

async fn the_maximum_packet_size_of_the_client_is_kept(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    let client = connect(direct(&broker, "c").maximum_packet_size(500)).await;
    let mut stream = soon(client.subscribe("t")).await.unwrap();
    for qos in [QoS::AtMostOnce, QOS1, QoS::ExactlyOnce] {
        // The server has to drop it (3.1.2-25).
        soon(publisher.publish("t", vec![0; 2000]).qos(qos))
            .await
            .unwrap();
        publish(&publisher, "t", "small", qos).await;
        expect(&mut stream, "small").await;
    }
    assert_eq!(client.statistics().connections, 1);
}

async fn what_the_server_does_not_offer_is_told_at_once(kind: Kind) {
    let setup = Setup {
        maximum_qos: Some(1),
        retain_unavailable: true,
        ..Setup::default()
    };
    let broker = Broker::start_with(kind, setup).await;
    let client = connect(direct(&broker, "c")).await;
    let error = soon(client.publish("t", "x").qos(QoS::ExactlyOnce))
        .await
        .unwrap_err();
    let maximum = QOS1;
    let too_high = Rule::MaximumQoS { maximum };
    assert!(
        matches!(&error, PublishError::NotAccepted { rule, .. } if *rule == too_high),
        "{error:?}"
    );
    assert_eq!(&error.into_message().unwrap().payload[..], b"x");
    let error = soon(client.publish("t", "x").retain(true))
        .await
        .unwrap_err();
    let rule = Rule::RetainAvailable;
    assert!(
        matches!(&error, PublishError::NotAccepted { rule: told, .. } if *told == rule),
        "{error:?}"
    );
    publish(&client, "t", "x", QOS1).await;
    assert_eq!(client.statistics().connections, 1);
}

/// Mosquitto's shortest Keep Alive is 10 s, too long to wait for pings.
#[tokio::test]
async fn the_server_decides_about_the_keep_alive() {
    within_limit(async {
        for (kind, seconds) in [(Kind::Mosquitto, 10), (Kind::Testkit, 1)] {
            let setup = Setup {
                server_keep_alive: Some(seconds),
                ..Setup::default()
            };
            let broker = Broker::start_with(kind, setup).await;
            let client = connect(direct(&broker, "c").keep_alive(Duration::from_secs(60))).await;
            let info = connection(&client, 1).await;
            assert_eq!(info.limits.keep_alive, seconds);
            if kind == Kind::Testkit {
                // It ends the connection of a client that is silent for 1.5 s.
                let pings = |broker: &mqtt5_testkit::Broker| {
                    broker.count_received(PacketType::Pingreq) >= 3
                };
                broker.testkit().wait_for(pings).await.unwrap();
                assert_eq!(client.statistics().connections, 1);
            }
        }
    })
    .await;
}

/// Only the test broker can change what it offers between two connections.
#[tokio::test]
async fn a_message_that_does_not_fit_the_next_connection_comes_back() {
    within_limit(async {
        let broker = Broker::start(Kind::Testkit).await;
        let client = connect(over_link(&broker, "c")).await;
        broker.link.accept_connections(false);
        broker.link.reset_connections();
        state(&client, |state| (!state.is_connected()).then_some(())).await;
        let high = client.publish("t", "high").qos(QoS::ExactlyOnce);
        let high = high.try_enqueue().unwrap();
        let low = client.publish("t", "low").qos(QOS1).try_enqueue().unwrap();
        let testkit = broker.testkit();
        testkit.configure(|config| config.connack.maximum_qos = Some(QOS1));
        broker.link.accept_connections(true);
        let error = soon(high).await.unwrap_err();
        let PublishError::Rejected { rule, message } = error else {
            panic!("{error:?}");
        };
        assert_eq!(rule, Rule::MaximumQoS { maximum: QOS1 });
        assert_eq!(&message.payload[..], b"high");
        soon(low).await.unwrap();
    })
    .await;
}
