//! Connections without a socket. Bytes are those of MQTT 5.0.

// A helper of a test that cannot do its work has no better way to fail it than to panic.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::future::poll_fn;
use std::pin::Pin;

use mqtt5_proto::packet::PacketType;
use mqtt5_testkit::{Config, MemoryStream, Restart, TestBroker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// CONNECT: Clean Start, Client Identifier `c`.
const CONNECT: &[u8] = b"\x10\x0E\0\x04MQTT\x05\x02\0\0\0\0\x01c";
const CONNACK: &[u8] = b"\x20\x03\0\0\0";

async fn connected(broker: &TestBroker) -> MemoryStream {
    let mut stream = broker.open();
    stream.write_all(CONNECT).await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, CONNACK);
    stream
}

#[tokio::test]
async fn a_client_in_memory_and_one_over_tcp_share_the_broker() {
    let broker = TestBroker::start().await.unwrap();
    let mut stream = connected(&broker).await;
    // SUBSCRIBE 1 to `t` at QoS 0, and its SUBACK.
    stream
        .write_all(b"\x82\x07\0\x01\0\0\x01t\0")
        .await
        .unwrap();
    let mut suback = [0; 6];
    stream.read_exact(&mut suback).await.unwrap();
    assert_eq!(&suback, b"\x90\x04\0\x01\0\0");

    let mut tcp = tokio::net::TcpStream::connect(broker.address())
        .await
        .unwrap();
    tcp.write_all(b"\x10\x0E\0\x04MQTT\x05\x02\0\0\0\0\x01d")
        .await
        .unwrap();
    tcp.write_all(b"\x30\x06\0\x01t\0hi").await.unwrap();
    let mut publish = [0; 8];
    stream.read_exact(&mut publish).await.unwrap();
    assert_eq!(&publish, b"\x30\x06\0\x01t\0hi");
    assert_eq!(
        broker.script(|broker, _| broker.count_received(PacketType::Connect)),
        2
    );
}

#[tokio::test]
async fn an_orderly_end_is_seen_from_both_sides() {
    let broker = TestBroker::start().await.unwrap();
    let mut stream = connected(&broker).await;
    stream.write_all(b"\xE0\0").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");

    // And one that is dropped without a word.
    drop(connected(&broker).await);
    let gone = |broker: &mqtt5_testkit::Broker| broker.connections().count() == 0;
    broker.wait_for(gone).await.unwrap();
}

#[tokio::test]
async fn a_cut_ends_the_stream_and_the_broker_can_refuse_and_stop() {
    let broker = TestBroker::start_with(Config::default()).await.unwrap();
    let mut stream = connected(&broker).await;
    broker.restart(Restart::KeepSessions);
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);

    broker.accept_connections(false);
    assert_eq!(broker.open().read(&mut [0; 8]).await.unwrap(), 0);

    broker.accept_connections(true);
    let mut stream = connected(&broker).await;
    broker.shutdown().await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    // DISCONNECT: Server shutting down.
    assert!(
        rest.starts_with(b"\xE0") && rest.get(2) == Some(&0x8B),
        "{rest:?}"
    );
}

/// As those do who know nothing of Tokio.
#[tokio::test]
async fn it_is_a_stream_of_futures_io_too() {
    use futures_io::{AsyncRead, AsyncWrite};

    let (mut near, mut far) = MemoryStream::pair();
    let written = poll_fn(|cx| AsyncWrite::poll_write(Pin::new(&mut near), cx, b"hello"));
    assert_eq!(written.await.unwrap(), 5);
    poll_fn(|cx| AsyncWrite::poll_flush(Pin::new(&mut near), cx))
        .await
        .unwrap();
    poll_fn(|cx| AsyncWrite::poll_close(Pin::new(&mut near), cx))
        .await
        .unwrap();
    let mut buffer = [0; 3];
    for expected in [&b"hel"[..], b"lo", b""] {
        let read = poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut far), cx, &mut buffer));
        let count = read.await.unwrap();
        assert_eq!(&buffer[..count], expected);
    }
}
