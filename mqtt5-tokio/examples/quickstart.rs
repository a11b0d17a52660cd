//! Subscribes, publishes at QoS 0, 1 and 2, and survives a cut in the middle of a QoS 2 exchange.
//!
//! ```sh
//! cargo run --release -p mqtt5-tokio --example quickstart
//! ```
//!
//! starts a broker of its own; `MQTT_URL=mqtt://host:port` uses one of yours.

#![allow(
    clippy::print_stdout,
    reason = "it is an example that shows what happens"
)]

use std::error::Error;
use std::time::Duration;

use mqtt5_testkit::{Effect, TestBroker, When};
use mqtt5_tokio::proto::packet::PacketType;
use mqtt5_tokio::{Client, ConnectionState, Message, Messages, Published, QoS};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("MQTT_URL").ok();
    let broker = match &url {
        Some(_) => None,
        None => Some(TestBroker::start().await?),
    };
    let url = url.unwrap_or_else(|| broker.as_ref().map(TestBroker::url).unwrap_or_default());

    let client = mqtt5_tokio::connect(&url).await?;
    println!("connected to {url}");

    // Topics of this run alone, in case the broker is used by others too.
    let root = format!("quickstart/{}", std::process::id());
    let mut messages = client.subscribe(format!("{root}/#")).await?;
    println!("subscribed to {root}/#, granted {:?}\n", messages.granted());

    publish_at_every_qos(&client, &mut messages, &root).await?;
    match &broker {
        Some(broker) => survive_a_cut(broker, &client, &mut messages, &root).await?,
        None => println!("no cut: the broker is not ours to script"),
    }

    client.disconnect().await?;
    println!("disconnected");
    Ok(())
}

async fn publish_at_every_qos(
    client: &Client,
    messages: &mut Messages,
    root: &str,
) -> Result<(), Box<dyn Error>> {
    for (qos, name) in [
        (QoS::AtMostOnce, "at-most-once"),
        (QoS::AtLeastOnce, "at-least-once"),
        (QoS::ExactlyOnce, "exactly-once"),
    ] {
        let verdict = client
            .publish(format!("{root}/{name}"), format!("hello, {name}"))
            .qos(qos)
            .utf8()
            .content_type("text/plain")
            .user_property("example", "quickstart")
            .message_expiry_interval(Duration::from_secs(60))
            .await?;
        println!("published {name}: {}", describe(&verdict));
        print(&next(messages).await?);
    }
    Ok(())
}

/// The broker drops the link when it gets our PUBREL, half-way through the exchange.
async fn survive_a_cut(
    broker: &TestBroker,
    client: &Client,
    messages: &mut Messages,
    root: &str,
) -> Result<(), Box<dyn Error>> {
    println!("\nthe broker will cut the link in the middle of the next exchange");
    broker.add_fault(When::received(PacketType::Pubrel), Effect::CutBefore);
    let mut states = client.state_changes();

    let topic = format!("{root}/cut");
    let verdict = client
        .publish(topic.as_str(), "only once")
        .qos(QoS::ExactlyOnce)
        .await?;
    while let Some(state) = states.changed().await {
        println!("connection: {}", name(&state));
        if matches!(state, ConnectionState::Connected(_)) {
            break;
        }
    }
    println!("published over the cut: {}", describe(&verdict));
    client
        .publish(format!("{root}/end"), "")
        .qos(QoS::ExactlyOnce)
        .await?;

    let mut copies = 0;
    loop {
        let message = next(messages).await?;
        print(&message);
        if message.topic() != topic {
            break;
        }
        copies += 1;
    }
    println!("it arrived {copies} time(s)\n");
    if copies == 1 {
        Ok(())
    } else {
        Err("a message of QoS 2 must arrive exactly once".into())
    }
}

async fn next(messages: &mut Messages) -> Result<Message, Box<dyn Error>> {
    let message = tokio::time::timeout(Duration::from_secs(10), messages.next()).await?;
    message.ok_or_else(|| "the stream of messages ended".into())
}

fn print(message: &Message) {
    let (topic, qos) = (message.topic(), message.qos());
    println!(
        "received  {topic} at {qos:?}: {:?}",
        String::from_utf8_lossy(message.payload())
    );
    let properties = message.properties();
    if let Some(content_type) = properties.content_type() {
        println!("          content type {content_type}");
    }
    if let Some(seconds) = properties.message_expiry_interval() {
        println!("          expires in {seconds} s");
    }
    for (name, value) in properties.user_properties() {
        println!("          user property {name} = {value}");
    }
}

fn describe(verdict: &Published) -> String {
    match verdict {
        Published::Sent => "sent".to_owned(),
        Published::Acknowledged(answer) => format!("acknowledged, {}", answer.reason_code),
        other => format!("{other:?}"),
    }
}

fn name(state: &ConnectionState) -> &'static str {
    match state {
        ConnectionState::Connected(_) => "connected again",
        ConnectionState::Closed(_) => "closed",
        _ => "lost, connecting",
    }
}
