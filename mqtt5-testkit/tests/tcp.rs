//! The broker on a loopback port.

// Helpers of tests have no better way to fail one.
#![allow(clippy::unwrap_used, reason = "test support")]

mod support;

use std::io::ErrorKind;
use std::time::Duration;

use mqtt5_proto::packet::PacketType;
use mqtt5_testkit::{Broker, Config, Effect, Restart, TestBroker, When};
use support::{CONNACK, RESUMED, bytes, connect, resume};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);

/// A client that speaks in literal bytes.
struct Client(TcpStream);

impl Client {
    async fn open(broker: &TestBroker) -> Self {
        Self(TcpStream::connect(broker.address()).await.unwrap())
    }

    async fn join(broker: &TestBroker, connect: &str, connack: &str) -> Self {
        let mut client = Self::open(broker).await;
        client.send(connect).await;
        client.expect(connack).await;
        client
    }

    async fn send(&mut self, notation: &str) {
        self.0.write_all(&bytes(notation)).await.unwrap();
    }

    async fn expect(&mut self, notation: &str) {
        let expected = bytes(notation);
        let mut found = vec![0; expected.len()];
        let read = self.0.read_exact(&mut found);
        timeout(DEADLINE, read).await.unwrap().unwrap();
        assert_eq!(found, expected);
    }

    /// Whether the link ended in order; otherwise it was cut.
    async fn ended_in_order(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = self.0.read_to_end(&mut rest);
        let ended = timeout(DEADLINE, read).await.unwrap();
        match ended {
            Ok(_) => {
                assert_eq!(rest, []);
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                false
            }
        }
    }
}

fn has_session(client_id: &str) -> impl FnMut(&Broker) -> bool {
    move |broker| broker.has_session(client_id)
}

#[tokio::test]
async fn a_connection_and_its_end() {
    let broker = TestBroker::start().await.unwrap();
    assert_eq!(broker.url(), format!("mqtt://127.0.0.1:{}", broker.port()));
    let mut a = Client::join(&broker, &connect("a"), CONNACK).await;
    a.send("C0 00").await;
    a.expect("D0 00").await;
    assert_eq!(broker.received().len(), 2);
    a.send("E0 00").await;
    assert!(a.ended_in_order().await);

    let b = Client::join(&broker, &connect("b"), CONNACK).await;
    drop(b);
    let mut gone = has_session("b");
    broker.wait_for(|broker| !gone(broker)).await.unwrap();
}

#[tokio::test]
async fn shutdown_says_so() {
    let broker = TestBroker::start().await.unwrap();
    let address = broker.address();
    let mut a = Client::join(&broker, &connect("a"), CONNACK).await;
    let leave = async {
        a.expect("E0 01 8B").await;
        assert!(a.ended_in_order().await);
        drop(a);
    };
    timeout(DEADLINE, async { tokio::join!(broker.shutdown(), leave) })
        .await
        .unwrap();
    let error = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn dropping_ends_everything() {
    let broker = TestBroker::start().await.unwrap();
    let mut a = Client::join(&broker, &connect("a"), CONNACK).await;
    drop(broker);
    a.ended_in_order().await;
}

#[tokio::test]
async fn cuts_come_behind_what_was_sent() {
    let broker = TestBroker::start().await.unwrap();
    broker.add_fault(When::sent(PacketType::Pingresp), Effect::CutAfter);
    broker.add_fault(When::sent(PacketType::Pingresp).nth(2), Effect::CloseAfter);
    for in_order in [false, true] {
        let mut a = Client::join(&broker, &connect("a"), CONNACK).await;
        a.send("C0 00").await;
        a.expect("D0 00").await;
        assert_eq!(a.ended_in_order().await, in_order);
    }
    let mut a = Client::join(&broker, &connect("a"), CONNACK).await;
    broker.drop_connections();
    assert!(!a.ended_in_order().await);
}

#[tokio::test]
async fn restarts_stay_on_the_port() {
    let broker = TestBroker::start().await.unwrap();
    let mut a = Client::join(&broker, &resume("a"), CONNACK).await;
    broker.restart(Restart::KeepSessions);
    assert!(!a.ended_in_order().await);
    let mut a = Client::join(&broker, &resume("a"), RESUMED).await;
    broker.restart(Restart::LoseSessions);
    assert!(!a.ended_in_order().await);
    Client::join(&broker, &resume("a"), CONNACK).await;

    broker.accept_connections(false);
    let mut b = Client::open(&broker).await;
    assert!(!b.ended_in_order().await);
    broker.accept_connections(true);
    Client::join(&broker, &connect("b"), CONNACK).await;
}

#[tokio::test]
async fn a_cut_does_not_wait_for_a_client_that_does_not_read() {
    const MUCH: usize = 64 << 20;
    let broker = TestBroker::start().await.unwrap();
    let mut a = Client::join(&broker, &connect("a"), CONNACK).await;
    broker.script(|broker, now| {
        let id = broker.connection_of("a").unwrap();
        broker.send_raw(id, vec![0; MUCH], now);
    });
    // Something has arrived, more than the socket takes is on its way.
    a.expect("00").await;
    broker.drop_connections();
    let mut rest = Vec::new();
    let ended = timeout(DEADLINE, a.0.read_to_end(&mut rest)).await.unwrap();
    assert!(ended.is_err() && rest.len() < MUCH);
}

#[tokio::test]
async fn a_stopped_reader_loses_nothing() {
    const COUNT: usize = 64;
    let broker = TestBroker::start().await.unwrap();
    broker.add_fault(When::received(PacketType::Connect), Effect::StopReading);
    let mut a = Client::join(&broker, &connect("a"), CONNACK).await;
    let publish = bytes(&format!("30 | 0001 'a' 00 {}", "00".repeat(256 << 10)));
    let all = publish.repeat(COUNT);
    // Until the sockets are full.
    a.0.writable().await.unwrap();
    let mut written = 0;
    while let Ok(count) = a.0.try_write(&all[written..]) {
        written += count;
    }
    assert!(written < all.len());
    let received = |broker: &Broker| broker.count_received(PacketType::Publish);
    assert_eq!(broker.script(|broker, _| received(broker)), 0);
    broker.script(|broker, now| {
        let id = broker.connection_of("a").unwrap();
        broker.resume_reading(id, now);
    });
    a.0.write_all(&all[written..]).await.unwrap();
    broker
        .wait_for(|broker| received(broker) == COUNT)
        .await
        .unwrap();
}

#[tokio::test]
async fn delays_and_keep_alive_run_on_the_clock() {
    let broker = TestBroker::start().await.unwrap();
    let delay = Effect::Delay(Duration::from_millis(20));
    broker.add_fault(When::sent(PacketType::Pingresp), delay);
    let keep_alive = "10 | 0004 'MQTT' 05 02 0001 00 0001 'a'";
    let mut a = Client::join(&broker, keep_alive, CONNACK).await;
    let start = std::time::Instant::now();
    a.send("C0 00").await;
    a.expect("D0 00").await;
    assert!(start.elapsed() >= Duration::from_millis(20));
    a.expect("E0 01 8D").await;
    assert!(start.elapsed() >= Duration::from_millis(1500));
    assert!(a.ended_in_order().await);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_tells_what_happened() {
    let broker = TestBroker::start_with(Config::default()).await.unwrap();
    let _a = Client::join(&broker, &connect("abc"), CONNACK).await;
    let unmet = broker.wait_for_within(Duration::ZERO, |_| false).await;
    let text = unmet.unwrap_err().to_string();
    assert!(text.contains("\"abc\" -> Connect("), "{text}");
    assert!(text.contains("\"abc\" <- Connack("), "{text}");
}

#[tokio::test]
async fn tasks_and_waits_can_be_spawned() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let broker = is_send(TestBroker::start().await.unwrap());
    is_send(broker.wait_for(|_| true)).await.unwrap();
    is_send(broker.shutdown()).await;
}
