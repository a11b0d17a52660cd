//! Retained messages.

use mqtt5_proto::packet::RetainHandling;
use mqtt5_tokio::QoS;

use crate::clients::{EVERY_QOS, connect, direct, expect, publish};
use crate::support::broker::{Broker, Kind, on_both_brokers};
use crate::support::soon;

on_both_brokers! {
    a_retained_message_is_set_received_and_cleared,
    retain_handling_decides_about_retained_messages,
    retain_as_published_keeps_the_flag,
}

const QOS1: QoS = QoS::AtLeastOnce;

async fn a_retained_message_is_set_received_and_cleared(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    let reader = connect(direct(&broker, "reader")).await;
    for qos in EVERY_QOS {
        let topic = format!("kept/{}", qos as u8);
        let keep = |payload: &'static str| {
            let publish = publisher.publish(topic.as_str(), payload).qos(qos);
            publish.retain(true).user_property("k", "v")
        };
        soon(keep("old")).await.unwrap();
        soon(keep("new")).await.unwrap();
        // At QoS 0 the verdict says nothing about the broker; what comes behind it does.
        publish(&publisher, "elsewhere", "", QOS1).await;

        let mut stream = soon(reader.subscribe(topic.as_str())).await.unwrap();
        let message = expect(&mut stream, "new").await;
        assert!(message.retain());
        assert_eq!(message.qos(), qos);
        let properties = message.properties();
        assert_eq!(
            properties.user_properties().collect::<Vec<_>>(),
            [("k", "v")]
        );
        // A live one has no flag.
        soon(keep("live")).await.unwrap();
        assert!(!expect(&mut stream, "live").await.retain());
        soon(keep("")).await.unwrap();
        assert!(!expect(&mut stream, "").await.retain());
        soon(stream.unsubscribe()).await.unwrap();

        // The first thing a new subscriber gets comes after the subscription.
        let mut stream = soon(reader.subscribe(topic.as_str())).await.unwrap();
        publish(&publisher, &topic, "marker", QOS1).await;
        expect(&mut stream, "marker").await;
    }
}

async fn retain_handling_decides_about_retained_messages(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    soon(publisher.publish("kept", "kept").qos(QOS1).retain(true))
        .await
        .unwrap();
    let reader = connect(direct(&broker, "reader")).await;
    let subscribe = |handling| soon(reader.subscribe("kept").retain_handling(handling));

    // Each look ends with a message that came after the subscription.
    let mut never = subscribe(RetainHandling::DoNotSend).await.unwrap();
    publish(&publisher, "kept", "1", QOS1).await;
    expect(&mut never, "1").await;
    soon(never.unsubscribe()).await.unwrap();

    let mut new = subscribe(RetainHandling::SendIfNew).await.unwrap();
    assert!(expect(&mut new, "kept").await.retain());
    let mut not_new = subscribe(RetainHandling::SendIfNew).await.unwrap();
    publish(&publisher, "kept", "2", QOS1).await;
    expect(&mut new, "2").await;
    expect(&mut not_new, "2").await;

    let mut always = subscribe(RetainHandling::SendAtSubscribe).await.unwrap();
    for stream in [&mut new, &mut not_new, &mut always] {
        assert!(expect(stream, "kept").await.retain());
    }
}

async fn retain_as_published_keeps_the_flag(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    let keeps = connect(direct(&broker, "keeps")).await;
    let clears = connect(direct(&broker, "clears")).await;
    let mut kept = soon(keeps.subscribe("t").retain_as_published(true))
        .await
        .unwrap();
    let mut cleared = soon(clears.subscribe("t")).await.unwrap();
    for retain in [true, false] {
        let publish = publisher.publish("t", "x").qos(QOS1).retain(retain);
        soon(publish).await.unwrap();
        assert_eq!(expect(&mut kept, "x").await.retain(), retain);
        assert!(!expect(&mut cleared, "x").await.retain());
    }
}
