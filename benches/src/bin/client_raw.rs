//! A socket of tokio that writes the same bytes and reads the same answers: the limit.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that measures: its figures are its output, and failures end it"
)]

use std::time::Instant;

use benches::clients::measured::{Measured, Task, WINDOW, Workload};
use benches::clients::wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn main() {
    Task::from_arguments().run(run);
}

/// How much is put together for one write, and read at once at most.
const CHUNK: usize = 64 << 10;

async fn run(task: Task) {
    let mut stream = TcpStream::connect(&task.address)
        .await
        .expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    stream
        .write_all(&wire::connect("bench"))
        .await
        .expect("a peer");
    let mut input = vec![0; CHUNK];
    let read = stream.read(&mut input).await.expect("a peer");
    assert!(read >= 5 && input[0] == 0x20 && input[3] == 0, "a CONNACK");
    let mut measured = Measured::start(task.messages);
    match task.workload {
        Workload::Publish0 => publish0(&mut stream, &task).await,
        Workload::Publish1 | Workload::Unordered1 => publish1(&mut stream, &task).await,
        Workload::Receive0 => receive(&mut stream, &task, 0).await,
        Workload::Receive1 => receive(&mut stream, &task, 1).await,
        Workload::Latency => latency(&mut stream, &task, &mut measured).await,
    }
    println!("{}", measured.report(task.messages));
}

/// The answer to a last message of QoS 1 tells that all before it have left.
async fn publish0(stream: &mut TcpStream, task: &Task) {
    let (packet, _) = wire::publish(wire::TOPIC, 0, task.payload);
    let mut out = Vec::with_capacity(CHUNK + packet.len());
    for _ in 1..task.messages {
        out.extend_from_slice(&packet);
        if out.len() >= CHUNK {
            stream.write_all(&out).await.expect("a peer");
            out.clear();
        }
    }
    let (mut last, id_at) = wire::publish(wire::TOPIC, 1, task.payload);
    last[id_at + 1] = 1;
    out.extend_from_slice(&last);
    stream.write_all(&out).await.expect("a peer");
    stream.read_exact(&mut [0; 4]).await.expect("a PUBACK");
}

/// As many new messages as were acknowledged, at once.
async fn publish1(stream: &mut TcpStream, task: &Task) {
    let (mut packet, id_at) = wire::publish(wire::TOPIC, 1, task.payload);
    let mut out = Vec::new();
    let mut input = vec![0; CHUNK];
    let (mut sent, mut bytes, mut room) = (0, 0, usize::from(WINDOW));
    while bytes < 4 * task.messages {
        out.clear();
        for _ in 0..room.min(task.messages - sent) {
            let id = (1 + sent % usize::from(u16::MAX)) as u16;
            packet[id_at..id_at + 2].copy_from_slice(&id.to_be_bytes());
            out.extend_from_slice(&packet);
            sent += 1;
        }
        stream.write_all(&out).await.expect("a peer");
        let before = bytes / 4;
        bytes += stream.read(&mut input).await.expect("a peer");
        room = bytes / 4 - before;
    }
}

async fn receive(stream: &mut TcpStream, task: &Task, qos: u8) {
    let filter = wire::flood_filter(qos, task.payload, task.messages);
    let (packet, _) = wire::publish(&filter, qos, task.payload);
    stream
        .write_all(&wire::subscribe(&filter, qos))
        .await
        .expect("a peer");
    stream.read_exact(&mut [0; 6]).await.expect("a SUBACK");
    let mut input = vec![0; CHUNK.max(packet.len())];
    let mut acks = Vec::with_capacity(4 * input.len() / packet.len());
    let (mut bytes, mut acknowledged) = (0, 0);
    while bytes < task.messages * packet.len() {
        bytes += stream.read(&mut input).await.expect("a peer");
        if qos > 0 {
            // The identifiers come in this order.
            acks.clear();
            while acknowledged < bytes / packet.len() {
                let id = (1 + acknowledged % usize::from(u16::MAX)) as u16;
                let [high, low] = id.to_be_bytes();
                acks.extend_from_slice(&[0x40, 2, high, low]);
                acknowledged += 1;
            }
            stream.write_all(&acks).await.expect("a peer");
        }
    }
}

async fn latency(stream: &mut TcpStream, task: &Task, measured: &mut Measured) {
    let (mut packet, id_at) = wire::publish(wire::TOPIC, 1, task.payload);
    packet[id_at + 1] = 1;
    for _ in 0..task.messages {
        let start = Instant::now();
        stream.write_all(&packet).await.expect("a peer");
        stream.read_exact(&mut [0; 4]).await.expect("a PUBACK");
        measured.note(start.elapsed());
    }
}
