//! A client of this workspace, on tokio.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that measures: its figures are its output, and failures end it"
)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use benches::clients::measured::{Measured, Task, WINDOW, Workload};
use benches::clients::wire;
use benches::samples;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mqtt5_tokio::bytes::Bytes;
use mqtt5_tokio::{Client, Completion, Publish, QoS, WhenFull};

fn main() {
    Task::from_arguments().run(run);
}

async fn run(task: Task) {
    let url = format!("mqtt://{}", task.address);
    let client = mqtt5_tokio::builder(&url)
        .expect("an address")
        .client_id("bench")
        .keep_alive(Duration::ZERO)
        .connect()
        .await
        .expect("a connection");
    let mut measured = Measured::start(task.messages);
    match task.workload {
        Workload::Publish0 => publish0(&client, &task).await,
        Workload::Publish1 => publish1(&client, &task).await,
        Workload::Unordered1 => unordered1(&client, &task).await,
        Workload::Receive0 => receive(&client, &task, QoS::AtMostOnce).await,
        Workload::Receive1 => receive(&client, &task, QoS::AtLeastOnce).await,
        Workload::Latency => latency(&client, &task, &mut measured).await,
    }
    println!("{}", measured.report(task.messages));
}

fn message(client: &Client, payload: &Bytes, qos: QoS) -> Publish {
    client.publish(wire::TOPIC, payload.clone()).qos(qos)
}

fn payload(task: &Task) -> Bytes {
    Bytes::from(samples::payload(task.payload))
}

/// The answer to a last message of QoS 1 tells that all before it have left.
async fn publish0(client: &Client, task: &Task) {
    let payload = payload(task);
    for _ in 1..task.messages {
        let enqueued = message(client, &payload, QoS::AtMostOnce).enqueue().await;
        drop(enqueued.expect("room"));
    }
    let last = message(client, &payload, QoS::AtLeastOnce).await;
    last.expect("an acknowledgement");
}

async fn publish1(client: &Client, task: &Task) {
    let payload = payload(task);
    let mut waiting = VecDeque::<Completion>::with_capacity(usize::from(WINDOW));
    for _ in 0..task.messages {
        if waiting.len() == usize::from(WINDOW)
            && let Some(first) = waiting.pop_front()
        {
            first.await.expect("an acknowledgement");
        }
        let enqueued = message(client, &payload, QoS::AtLeastOnce).enqueue().await;
        waiting.push_back(enqueued.expect("room"));
    }
    for completion in waiting {
        completion.await.expect("an acknowledgement");
    }
}

async fn unordered1(client: &Client, task: &Task) {
    let payload = payload(task);
    let mut waiting = FuturesUnordered::<Completion>::new();
    for _ in 0..task.messages {
        if waiting.len() == usize::from(WINDOW) {
            let verdict = waiting.next().await.expect("one that waits");
            verdict.expect("an acknowledgement");
        }
        let enqueued = message(client, &payload, QoS::AtLeastOnce).enqueue().await;
        waiting.push(enqueued.expect("room"));
    }
    while let Some(verdict) = waiting.next().await {
        verdict.expect("an acknowledgement");
    }
}

async fn receive(client: &Client, task: &Task, qos: QoS) {
    let filter = wire::flood_filter(qos as u8, task.payload, task.messages);
    // The broker sends faster than anybody takes; nothing may be dropped.
    let subscribe = client.subscribe(filter).when_full(WhenFull::PauseReading);
    let mut messages = subscribe.await.expect("a subscription");
    for _ in 0..task.messages {
        let message = messages.next().await.expect("a message");
        assert_eq!(message.payload().len(), task.payload);
    }
}

async fn latency(client: &Client, task: &Task, measured: &mut Measured) {
    let payload = payload(task);
    for _ in 0..task.messages {
        let start = Instant::now();
        let verdict = message(client, &payload, QoS::AtLeastOnce).await;
        verdict.expect("an acknowledgement");
        measured.note(start.elapsed());
    }
}
