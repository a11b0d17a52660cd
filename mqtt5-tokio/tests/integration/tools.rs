//! Mosquitto's command line clients at the other end: a judge that knows nothing of our code.

use std::time::Duration;

use mqtt5_testkit::TestBroker;
use mqtt5_tokio::proto::packet::PayloadFormatIndicator;
use mqtt5_tokio::{Client, Messages, QoS, builder};

use crate::clients::{EVERY_QOS, next};
use crate::support::mosquitto::{Config, Finished, Mosquitto, Running, publish_to, subscribe_to};
use crate::support::{soon, within_limit};

async fn client(port: u16) -> Client {
    let url = format!("mqtt://127.0.0.1:{port}");
    soon(builder(&url).unwrap().client_id("ours").connect())
        .await
        .unwrap()
}

/// Has mosquitto_pub publish one message of each QoS, with properties, and takes them.
async fn receive_from_tool(port: u16) {
    let client = client(port).await;
    let mut stream: Messages = soon(client.subscribe("from/tool")).await.unwrap();
    for qos in EVERY_QOS {
        let (number, payload) = ((qos as u8).to_string(), format!("qos {}", qos as u8));
        let message = ["-t", "from/tool", "-q", &number, "-m", &payload];
        let properties = [
            "-D publish payload-format-indicator 1",
            "-D publish message-expiry-interval 1000",
            "-D publish content-type text/plain",
            "-D publish response-topic answers",
            "-D publish correlation-data 4711",
        ];
        let mut arguments: Vec<&str> = message.to_vec();
        arguments.extend(properties.iter().flat_map(|property| property.split(' ')));
        arguments.extend(["-D", "publish", "user-property", "key one", "value one"]);
        arguments.extend(["-D", "publish", "user-property", "key", "two"]);
        publish_to(port, &arguments).await;

        let message = next(&mut stream).await;
        assert_eq!(message.payload(), payload.as_bytes());
        assert_eq!(message.qos(), qos);
        let properties = message.properties();
        let format = properties.payload_format_indicator();
        assert_eq!(format, Some(PayloadFormatIndicator::Utf8));
        let expiry = properties.message_expiry_interval();
        assert!(
            expiry.is_some_and(|left| (900..=1000).contains(&left)),
            "{expiry:?}"
        );
        assert_eq!(properties.content_type(), Some("text/plain"));
        assert_eq!(properties.response_topic(), Some("answers"));
        assert_eq!(properties.correlation_data(), Some(&b"4711"[..]));
        let user_properties: Vec<_> = properties.user_properties().collect();
        assert_eq!(user_properties, [("key one", "value one"), ("key", "two")]);
    }
}

const SUBSCRIBE: [&str; 10] = [
    "-i",
    "tool",
    "-t",
    "to/tool",
    "-q",
    "2",
    "-C",
    "3",
    "-F",
    "%q|%p|%F|%C|%R|%D|%P",
];

/// Publishes one message of each QoS, with properties, which mosquitto_sub is to print.
async fn send_to_tool(port: u16, tool: Running) {
    let client = client(port).await;
    for qos in EVERY_QOS {
        let publish = client
            .publish("to/tool", format!("qos {}", qos as u8))
            .qos(qos)
            .utf8()
            .message_expiry_interval(Duration::from_secs(1000))
            .content_type("text/plain")
            .response_topic("answers")
            .correlation_data(b"4711".to_vec())
            .user_property("key one", "value one")
            .user_property("key", "two");
        soon(publish).await.unwrap();
    }
    let finished: Finished = soon(tool.finish_async()).await;
    assert!(finished.status.success(), "{finished:?}");
    let expected: String = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
        .map(|qos| qos as u8)
        .map(|qos| format!("{qos}|qos {qos}|1|text/plain|answers|4711|key one:value one key:two\n"))
        .concat();
    assert_eq!(finished.stdout, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_from_mosquitto_pub_through_mosquitto() {
    let broker = Mosquitto::start(Config::new());
    within_limit(receive_from_tool(broker.port())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_from_mosquitto_pub_through_the_test_broker() {
    let broker = TestBroker::start().await.unwrap();
    within_limit(receive_from_tool(broker.port())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_to_mosquitto_sub_through_mosquitto() {
    let broker = Mosquitto::start(Config::new());
    let tool = broker.mosquitto_sub(&SUBSCRIBE);
    within_limit(send_to_tool(broker.port(), tool)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_to_mosquitto_sub_through_the_test_broker() {
    let broker = TestBroker::start().await.unwrap();
    let tool = subscribe_to(broker.port(), &SUBSCRIBE);
    let subscribed = |broker: &mqtt5_testkit::Broker| broker.subscriptions("tool").count() == 1;
    broker.wait_for(subscribed).await.unwrap();
    within_limit(send_to_tool(broker.port(), tool)).await;
}
