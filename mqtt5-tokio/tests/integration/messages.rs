//! Messages of every QoS, size and property, there and back.

use std::time::Duration;

use mqtt5_proto::packet::{MessageProperties, PayloadFormatIndicator, UserProperty};
use mqtt5_tokio::{Published, QoS};

use crate::clients::{EVERY_QOS, connect, direct, next};
use crate::support::broker::{Broker, Kind, on_both_brokers};
use crate::support::soon;

on_both_brokers! {
    every_property_arrives_at_every_qos,
    messages_of_every_size_arrive,
    the_granted_qos_bounds_that_of_the_message,
}

async fn every_property_arrives_at_every_qos(kind: Kind) {
    let broker = Broker::start(kind).await;
    let publisher = connect(direct(&broker, "publisher")).await;
    let subscriber = connect(direct(&broker, "subscriber")).await;
    let mut stream = soon(subscriber.subscribe("full/+")).await.unwrap();
    assert_eq!(stream.granted(), Some(QoS::ExactlyOnce));
    for qos in EVERY_QOS {
        let publish = publisher
            .publish("full/ü", "grüße")
            .qos(qos)
            .utf8()
            .message_expiry_interval(Duration::from_secs(1000))
            .content_type("text/plain")
            .response_topic("answers/here")
            .correlation_data(vec![0, 255, 0])
            .user_property("name", "one")
            .user_property("", "")
            .user_property("name", "two");
        let published = soon(publish).await.unwrap();
        match published {
            Published::Sent => assert_eq!(qos, QoS::AtMostOnce),
            Published::Acknowledged(answer) => {
                assert!(!answer.reason_code.is_error());
                assert_eq!(answer.completion.is_some(), qos == QoS::ExactlyOnce);
            }
            _ => panic!("{published:?}"),
        }
        let message = next(&mut stream).await;
        assert_eq!(message.topic(), "full/ü");
        assert_eq!(message.payload(), "grüße".as_bytes());
        assert_eq!((message.qos(), message.retain()), (qos, false));
        assert!(!message.dup());
        assert_eq!(message.token().is_some(), qos != QoS::AtMostOnce);
        let properties = message.properties().to_message_properties();
        let expiry = properties.message_expiry_interval;
        assert!(
            expiry.is_some_and(|left| (900..=1000).contains(&left)),
            "{expiry:?}"
        );
        let user_property = |name, value| UserProperty::new(name, value).unwrap();
        let expected = MessageProperties {
            payload_format_indicator: Some(PayloadFormatIndicator::Utf8),
            message_expiry_interval: expiry,
            content_type: Some("text/plain".try_into().unwrap()),
            response_topic: Some("answers/here".try_into().unwrap()),
            correlation_data: Some(vec![0, 255, 0].try_into().unwrap()),
            user_properties: vec![
                user_property("name", "one"),
                user_property("", ""),
                user_property("name", "two"),
            ],
        };
        assert_eq!(properties, expected);
    }
    soon(subscriber.disconnect()).await.unwrap();
    soon(publisher.disconnect()).await.unwrap();
}

async fn messages_of_every_size_arrive(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = connect(direct(&broker, "c")).await;
    let mut stream = soon(client.subscribe("sized")).await.unwrap();
    for size in [0, 1, 127, 128, 16 << 10, 1 << 20] {
        // A pattern whose period divides no buffer size.
        let payload: Vec<u8> = (0..=250).cycle().take(size).collect();
        for qos in EVERY_QOS {
            let publish = client.publish("sized", payload.clone()).qos(qos);
            let (published, message) = tokio::join!(soon(publish), next(&mut stream));
            published.unwrap();
            assert_eq!(message.qos(), qos);
            assert!(message.payload() == payload, "{size} bytes at {qos:?}");
        }
    }
    assert_eq!(client.statistics().connections, 1);
}

async fn the_granted_qos_bounds_that_of_the_message(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = connect(direct(&broker, "c")).await;
    for granted in EVERY_QOS {
        let topic = format!("bound/{}", granted as u8);
        let mut stream = soon(client.subscribe(topic.as_str()).qos(granted))
            .await
            .unwrap();
        assert_eq!(stream.granted(), Some(granted));
        for qos in EVERY_QOS {
            soon(client.publish(topic.as_str(), "x").qos(qos))
                .await
                .unwrap();
            assert_eq!(next(&mut stream).await.qos(), qos.min(granted));
        }
    }
}
