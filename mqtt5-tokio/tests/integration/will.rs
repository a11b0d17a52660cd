//! Wills.

use std::time::{Duration, Instant};

use mqtt5_proto::packet::{DisconnectReasonCode, PayloadFormatIndicator, UserProperty, Will};
use mqtt5_tokio::{Client, Messages, QoS, ReconnectPolicy};

use crate::clients::{EVERY_QOS, connect, connection, direct, expect, over_link, publish};
use crate::support::broker::{Broker, Kind, on_both_brokers};
use crate::support::soon;

on_both_brokers! {
    a_cut_link_publishes_the_will_with_its_properties,
    a_disconnect_takes_the_will_back,
    a_disconnect_can_ask_for_the_will,
    a_delayed_will_comes_later,
    a_delayed_will_does_not_come_for_a_client_that_is_back,
}

const QOS1: QoS = QoS::AtLeastOnce;

fn will(payload: &'static str, delay: u32) -> Will {
    let mut will = Will::new(
        "will/topic".try_into().unwrap(),
        payload.as_bytes().try_into().unwrap(),
    );
    will.qos = QOS1;
    will.delay_interval = delay;
    will
}

async fn watch(broker: &Broker) -> (Client, Messages) {
    let watcher = connect(direct(broker, "watcher")).await;
    let stream = soon(watcher.subscribe("will/#")).await.unwrap();
    (watcher, stream)
}

async fn a_cut_link_publishes_the_will_with_its_properties(kind: Kind) {
    let broker = Broker::start(kind).await;
    let (watcher, mut wills) = watch(&broker).await;
    for qos in EVERY_QOS {
        let mut will = will("goodbye", 0);
        will.qos = qos;
        will.retain = true;
        will.properties.payload_format_indicator = Some(PayloadFormatIndicator::Utf8);
        will.properties.message_expiry_interval = Some(1000);
        will.properties.content_type = Some("text/plain".try_into().unwrap());
        will.properties.response_topic = Some("answers".try_into().unwrap());
        will.properties.correlation_data = Some(vec![1, 2, 3].try_into().unwrap());
        let user_property = UserProperty::new("why", "cut").unwrap();
        will.properties.user_properties = vec![user_property];
        let mut expected = will.properties.clone();

        let builder = over_link(&broker, "mortal").reconnect(ReconnectPolicy::never());
        let mortal = connect(builder.will(will)).await;
        broker.link.reset_connections();
        let message = expect(&mut wills, "goodbye").await;
        assert_eq!((message.topic(), message.qos()), ("will/topic", qos));
        let properties = message.properties().to_message_properties();
        let expiry = properties.message_expiry_interval;
        assert!(
            expiry.is_some_and(|left| (900..=1000).contains(&left)),
            "{expiry:?}"
        );
        expected.message_expiry_interval = expiry;
        assert_eq!(properties, expected);
        drop(mortal);

        let reader = connect(direct(&broker, "reader")).await;
        let mut kept = soon(reader.subscribe("will/topic")).await.unwrap();
        assert!(expect(&mut kept, "goodbye").await.retain());
        soon(reader.disconnect()).await.unwrap();
        let clear = watcher.publish("will/topic", "").qos(QOS1).retain(true);
        soon(clear).await.unwrap();
        expect(&mut wills, "").await;
    }
}

async fn a_disconnect_takes_the_will_back(kind: Kind) {
    let broker = Broker::start(kind).await;
    let (watcher, mut wills) = watch(&broker).await;
    let client = connect(over_link(&broker, "c").will(will("goodbye", 0))).await;
    soon(client.disconnect()).await.unwrap();
    broker.sees_gone("c").await;
    publish(&watcher, "will/marker", "marker", QOS1).await;
    expect(&mut wills, "marker").await;
}

async fn a_disconnect_can_ask_for_the_will(kind: Kind) {
    let broker = Broker::start(kind).await;
    let (_watcher, mut wills) = watch(&broker).await;
    let client = connect(over_link(&broker, "c").will(will("goodbye", 0))).await;
    let disconnect = client.disconnect();
    let reason = DisconnectReasonCode::DisconnectWithWillMessage;
    soon(disconnect.reason_code(reason)).await.unwrap();
    expect(&mut wills, "goodbye").await;
}

async fn a_delayed_will_comes_later(kind: Kind) {
    let broker = Broker::start(kind).await;
    let (watcher, mut wills) = watch(&broker).await;
    let builder = over_link(&broker, "c").reconnect(ReconnectPolicy::never());
    let _client = connect(builder.will(will("goodbye", 2))).await;
    let cut = Instant::now();
    broker.link.reset_connections();
    broker.sees_gone("c").await;
    publish(&watcher, "will/marker", "marker", QOS1).await;
    expect(&mut wills, "marker").await;
    expect(&mut wills, "goodbye").await;
    // Mosquitto counts whole seconds of the clock.
    assert!(
        cut.elapsed() > Duration::from_secs(1),
        "{:?}",
        cut.elapsed()
    );
}

async fn a_delayed_will_does_not_come_for_a_client_that_is_back(kind: Kind) {
    let broker = Broker::start(kind).await;
    let (watcher, mut wills) = watch(&broker).await;
    let back = connect(over_link(&broker, "back").will(will("of who is back", 2))).await;
    // The one whose Will tells that the time of the other one's is over.
    let builder = over_link(&broker, "gone").reconnect(ReconnectPolicy::never());
    let _gone = connect(builder.will(will("of who is gone", 4))).await;
    broker.link.reset_connections();
    let info = connection(&back, 2).await;
    assert!(info.session_present);
    expect(&mut wills, "of who is gone").await;
    publish(&watcher, "will/marker", "marker", QOS1).await;
    expect(&mut wills, "marker").await;
}
