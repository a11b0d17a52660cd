//! No await hangs, and a dead peer is told from a slow one.

use std::time::Duration;

use mqtt5_client::Client;
use mqtt5_testkit::{Config, TestBroker};
use mqtt5_tokio::proto::session::{EndReason, Rule};
use mqtt5_tokio::{
    ClientOptions, ConnectionState, Failure, IoTransport, PublishError, Published, ReconnectPolicy,
    SubscribeError, TokioTimer, UnsubscribeError,
};
use tokio::io::BufStream;
use tokio::net::TcpStream;

use crate::support::{
    Link, NEW_SESSION, QOS_1, QOS_2, Server, ack, by_hand, client_of, hex, inject, next, packet,
    publish, publish_id, quick, run, run_on_two_threads, settle, soon, subscribed, text, until,
};

/// One message in each direction at a time, one place in the queue, and every message answered from
/// inside the loop that receives it.
#[test]
fn a_consumer_can_publish_from_its_receive_loop_with_every_queue_full() {
    run_on_two_threads(async {
        let mut config = Config::default();
        config.connack.receive_maximum = std::num::NonZeroU16::new(1);
        let broker = TestBroker::start_with(config).await.unwrap();
        let builder = client_of(&broker).receive_maximum(1).outbound_messages(1);
        let client = soon(builder.connect()).await.unwrap();
        let mut requests = soon(client.subscribe("request").buffer(1)).await.unwrap();
        let mut answers = soon(client.subscribe("answer").buffer(1)).await.unwrap();
        for number in 0..50 {
            inject(&broker, "request", &number.to_string(), QOS_2);
        }
        let collecting = tokio::spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < 50 {
                seen.push(text(&next(&mut answers).await));
            }
            seen
        });
        for _ in 0..50 {
            let request = next(&mut requests).await;
            let publish = client
                .publish("answer", request.payload().to_vec())
                .qos(QOS_2);
            soon(publish).await.unwrap();
        }
        // The last of them is acknowledged, so that its place is free.
        let _ask = soon(async {
            tokio::select! {
                seen = collecting => seen.unwrap(),
                _ = requests.next() => panic!("there were no more requests"),
            }
        });
        let seen = _ask.await;
        let expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        assert_eq!(seen, expected);
    });
}

#[test]
fn everything_that_waits_for_an_answer_gets_a_verdict_when_the_connection_is_gone_for_good() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().reconnect(ReconnectPolicy::never());
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let leaving = subscribed(&client, &mut link, "leaving").await;
        let mut staying = subscribed(&client, &mut link, "staying").await;

        let qos_1 = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let qos_2 = client.publish("t", "2").qos(QOS_2).enqueue().await.unwrap();
        link.expect_kind(0x32).await;
        // The server has taken over the second one, and nobody will hear of its end.
        let packet = link.expect_kind(0x34).await;
        link.send(ack(0x50, publish_id(&packet))).await;
        link.expect(ack(0x62, publish_id(&packet))).await;
        let subscribing = tokio::spawn(client.subscribe("new").into_future());
        link.expect_kind(0x82).await;
        let unsubscribing = tokio::spawn(leaving.unsubscribe());
        link.expect_kind(0xA2).await;
        drop(link);

        match soon(qos_1).await {
            Err(PublishError::Unknown { message: Some(_) }) => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            soon(qos_2).await,
            Err(PublishError::Unknown { message: None })
        ));
        assert!(matches!(
            soon(subscribing).await.unwrap(),
            Err(SubscribeError::Closed(_))
        ));
        assert!(matches!(
            soon(unsubscribing).await.unwrap(),
            Err(UnsubscribeError::Closed(_))
        ));
        assert!(soon(staying.next()).await.is_none());
        assert!(soon(client.connected()).await.is_err());
        assert!(soon(client.reserve()).await.is_err());
        assert!(soon(client.disconnect()).await.is_err());
        assert!(matches!(
            soon(client.publish("t", "late").qos(QOS_1)).await,
            Err(PublishError::Closed { .. })
        ));
        assert!(matches!(
            soon(client.subscribe("late")).await,
            Err(SubscribeError::Closed(_))
        ));
    });
}

/// Maximum Packet Size 50 on the connection that comes after the message was accepted.
#[test]
fn a_message_that_can_never_be_sent_gets_its_verdict_and_the_next_one_goes() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().start().unwrap();
        let large = client
            .publish("t", vec![7; 100])
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        let small = client
            .publish("t", "small")
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        let (mut link, _) = server.answer("20 08 00 00 05 27 00 00 00 32").await;
        match soon(large).await {
            Err(PublishError::Rejected { rule, message }) => {
                assert!(
                    matches!(rule, Rule::MaximumPacketSize { limit: 50, .. }),
                    "{rule}"
                );
                assert_eq!(message.payload.len(), 100);
            }
            other => panic!("{other:?}"),
        }
        let packet = link.expect_kind(0x32).await;
        assert!(packet.ends_with(b"small"));
        link.send(ack(0x40, publish_id(&packet))).await;
        soon(small).await.unwrap();
    });
}

fn pinging() -> ClientOptions {
    ClientOptions::new()
        .keep_alive(Duration::from_secs(10))
        .ping_timeout(Duration::from_secs(10))
}

async fn ended_by_keep_alive(client: &Client) -> bool {
    let state = until(client, |state| !state.is_connected()).await;
    let cause = match state {
        ConnectionState::Waiting { cause, .. } => cause,
        // It reconnected at once: the notice of the second connection is enough.
        ConnectionState::Connecting { .. } => return true,
        other => panic!("{other:?}"),
    };
    matches!(&cause, Failure::Ended(reason) if **reason == EndReason::KeepAliveTimeout)
}

/// 10 s of keep alive, 10 s for the answer.
#[test]
fn a_silent_peer_is_noticed_within_keep_alive_and_timeout() {
    run(async {
        let (client, mut server, mut link, time) = by_hand(1024, pinging()).await;
        time.advance(Duration::from_secs(10));
        link.expect("C0 00").await;
        time.advance(Duration::from_millis(9_900));
        settle().await;
        assert!(client.state().is_connected());
        time.advance(Duration::from_millis(200));
        // Keep Alive goes on meanwhile; no DISCONNECT code would fit.
        let rest = link.rest().await;
        assert!(
            rest.chunks(2).all(|packet| packet == [0xC0, 0x00]),
            "{rest:?}"
        );
        assert!(ended_by_keep_alive(&client).await);
        server.answer(NEW_SESSION).await;
    });
}

/// Whatever else it sends, the answer to the ping is due: at three times the timeout it is over.
#[test]
fn a_peer_that_sends_and_never_answers_the_ping_is_noticed() {
    run(async {
        let (client, _server, mut link, time) = by_hand(1024, pinging()).await;
        time.advance(Duration::from_secs(10));
        link.expect("C0 00").await;
        let mut waited = 0;
        while client.state().is_connected() {
            time.advance(Duration::from_secs(1));
            waited += 1;
            assert!(waited <= 31, "not noticed");
            // The pipe may be closed already.
            let _ =
                tokio::io::AsyncWriteExt::write_all(&mut link.0, &hex("30 04 00 01 74 00")).await;
            settle().await;
        }
        assert!(waited > 10, "given up after {waited} s though it sent");
    });
}

/// The pipe holds 64 bytes: what is written beyond them has arrived.
#[test]
fn a_peer_in_the_middle_of_a_large_packet_is_not_dead() {
    run(async {
        let (client, _server, mut link, time) = by_hand(64, pinging()).await;
        let mut messages = client.messages();
        let packet = publish(0x0, "t", None, &vec![7; 1 << 20]);
        let reading = async {
            for piece in packet.chunks(packet.len() / 20) {
                time.advance(Duration::from_secs(9));
                link.send(piece).await;
                assert!(client.state().is_connected());
            }
        };
        soon(reading).await;
        assert_eq!(next(&mut messages).await.payload().len(), 1 << 20);
        // Its pings were not held back meanwhile.
        link.expect("C0 00").await;
        link.send("D0 00").await;
        assert!(client.state().is_connected());
        assert_eq!(client.statistics().connections, 1);
    });
}

/// Through a pipe that takes 100 bytes at a time, and without a ping that could push the rest.
#[test]
fn the_tail_of_a_large_packet_leaves_without_waiting_for_anything() {
    run(async {
        let options = ClientOptions::new().keep_alive(Duration::ZERO);
        let (client, _server, mut link, _time) = by_hand(100, options).await;
        let payload = vec![7; 1 << 20];
        let completion = client
            .publish("t", payload.clone())
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        link.expect(publish(0x2, "t", Some(1), &payload)).await;
        link.send(ack(0x40, 1)).await;
        soon(completion).await.unwrap();
    });
}

/// A transport that sends nothing of its own accord before its buffer is full.
#[test]
fn a_buffering_transport_is_flushed() {
    struct Buffered(std::net::SocketAddr);
    impl mqtt5_client::Connect for Buffered {
        type Transport = IoTransport<BufStream<TcpStream>>;
        type Future =
            std::pin::Pin<Box<dyn Future<Output = std::io::Result<Self::Transport>> + Send>>;
        fn connect(&mut self) -> Self::Future {
            let address = self.0;
            Box::pin(async move {
                let stream = TcpStream::connect(address).await?;
                Ok(IoTransport::new(BufStream::with_capacity(
                    1 << 20,
                    1 << 20,
                    stream,
                )))
            })
        }
    }
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connect = Buffered(listener.local_addr().unwrap());
        let options = ClientOptions::new()
            .client_id("c")
            .keep_alive(Duration::ZERO);
        let (client, driver) = Client::new(options, connect, TokioTimer::new()).unwrap();
        tokio::spawn(driver);
        let mut link = Link(soon(listener.accept()).await.unwrap().0);
        link.expect_kind(0x10).await;
        link.send(NEW_SESSION).await;
        soon(client.connected()).await.unwrap();
        for size in [1, 5_000, 3 << 20] {
            let publish = client.publish("t", vec![7; size]).qos(QOS_1);
            let completion = publish.enqueue().await.unwrap();
            let packet = link.expect_kind(0x32).await;
            assert!(packet.len() > size);
            link.send(ack(0x40, 1)).await;
            soon(completion).await.unwrap();
        }
        let ending = tokio::spawn(client.disconnect().into_future());
        link.expect("E0 07 00 05 11 00 00 00 00").await;
        assert!(link.rest().await.is_empty());
        soon(ending).await.unwrap().unwrap();
    });
}

/// Verdicts come over a cut as well, when the session goes on.
#[test]
fn what_waits_is_finished_by_the_next_connection() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let leaving = subscribed(&client, &mut link, "leaving").await;
        let qos_1 = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        link.expect_kind(0x32).await;
        let unsubscribing = tokio::spawn(leaving.unsubscribe());
        link.expect_kind(0xA2).await;
        drop(link);
        let (mut link, _) = server.answer(crate::support::RESUMED).await;
        let mut answered = 0;
        while answered < 2 {
            let bytes = link.packet().await;
            match bytes[0] {
                0x3A => link.send(ack(0x40, publish_id(&bytes))).await,
                0xA2 => link.send(packet(0xB0, &[bytes[2], bytes[3], 0, 0])).await,
                _ => panic!("{bytes:?}"),
            }
            answered += 1;
        }
        assert!(matches!(soon(qos_1).await, Ok(Published::Acknowledged(_))));
        soon(unsubscribing).await.unwrap().unwrap();
    });
}

/// Nobody listens at all, and somebody who never says a word.
#[test]
fn a_server_that_is_not_there_does_not_hold_anybody() {
    run(async {
        let free = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let error = soon(quick(&format!("mqtt://{free}")).connect())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("network"), "{error}");
    });
}
