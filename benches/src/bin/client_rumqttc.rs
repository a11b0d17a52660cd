//! A client of `rumqttc`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that measures: its figures are its output, and failures end it"
)]

use std::time::{Duration, Instant};

use benches::clients::measured::{Measured, Task, WINDOW, Workload};
use benches::clients::wire;
use benches::samples;
use rumqttc::NetworkOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

fn main() {
    Task::from_arguments().run(run);
}

/// The messages of QoS 1 that may come at once: as many as ours takes.
const RECEIVE_MAXIMUM: u16 = 256;

async fn run(task: Task) {
    let (host, port) = task.address.split_once(':').expect("host:port");
    let mut options = MqttOptions::new("bench", host, port.parse().expect("a port"));
    // The largest it takes, which keeps pings away.
    options.set_keep_alive(Duration::from_secs(u64::from(u16::MAX)));
    options.set_connect_properties(ConnectProperties {
        receive_maximum: Some(RECEIVE_MAXIMUM),
        max_packet_size: Some(16 << 20),
        ..ConnectProperties::new()
    });
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    options.set_outgoing_inflight_upper_limit(WINDOW);
    let (client, mut events) = AsyncClient::new(options, usize::from(WINDOW));
    until(&mut events, |packet| matches!(packet, Packet::ConnAck(_))).await;
    let mut measured = Measured::start(task.messages);
    match task.workload {
        // The acknowledgement of the last tells that all before it have left.
        Workload::Publish0 => publish(&client, &mut events, &task, 1).await,
        // It tells of acknowledgements in its own order, to whom it may concern.
        Workload::Publish1 | Workload::Unordered1 => {
            publish(&client, &mut events, &task, task.messages).await;
        }
        Workload::Receive0 => receive(&client, &mut events, &task, QoS::AtMostOnce).await,
        Workload::Receive1 => receive(&client, &mut events, &task, QoS::AtLeastOnce).await,
        Workload::Latency => latency(&client, &mut events, &task, &mut measured).await,
    }
    println!("{}", measured.report(task.messages));
}

/// Polls until a packet comes that is wanted.
async fn until(events: &mut EventLoop, mut wanted: impl FnMut(&Packet) -> bool) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(packet)) if wanted(&packet) => return,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Publishes in a task of its own, the last `acknowledged` messages at QoS 1.
async fn publish(client: &AsyncClient, events: &mut EventLoop, task: &Task, acknowledged: usize) {
    let payload = rumqttc_bytes(task.payload);
    let (client, messages) = (client.clone(), task.messages);
    let publisher = tokio::spawn(async move {
        for number in 0..messages {
            let qos = if number + acknowledged < messages {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            };
            let published = client.publish(wire::TOPIC, qos, false, payload.clone());
            published.await.expect("room");
        }
    });
    for _ in 0..acknowledged {
        until(events, |packet| matches!(packet, Packet::PubAck(_))).await;
    }
    publisher.await.expect("the publisher ends well");
}

fn rumqttc_bytes(len: usize) -> bytes::Bytes {
    bytes::Bytes::from(samples::payload(len))
}

async fn receive(client: &AsyncClient, events: &mut EventLoop, task: &Task, qos: QoS) {
    let filter = wire::flood_filter(qos as u8, task.payload, task.messages);
    client.subscribe(filter, qos).await.expect("room");
    let size = task.payload;
    for _ in 0..task.messages {
        until(events, |packet| match packet {
            Packet::Publish(publish) => {
                assert_eq!(publish.payload.len(), size);
                true
            }
            _ => false,
        })
        .await;
    }
}

async fn latency(
    client: &AsyncClient,
    events: &mut EventLoop,
    task: &Task,
    measured: &mut Measured,
) {
    let payload = rumqttc_bytes(task.payload);
    for _ in 0..task.messages {
        let start = Instant::now();
        let published = client.publish(wire::TOPIC, QoS::AtLeastOnce, false, payload.clone());
        published.await.expect("room");
        until(events, |packet| matches!(packet, Packet::PubAck(_))).await;
        measured.note(start.elapsed());
    }
}
