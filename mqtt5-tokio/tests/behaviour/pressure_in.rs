//! Consumers that are slower than the server.

use std::time::Duration;

use mqtt5_tokio::proto::QoS;
use mqtt5_tokio::proto::session::AckError;
use mqtt5_tokio::{Client, ClientOptions, Messages, Notice, Observer, StallPolicy, WhenFull};
use tokio::net::TcpStream;

use crate::support::{
    Link, NEW_SESSION, QOS_1, QOS_2, Server, ack, by_hand, next, next_text, nothing_else,
    poll_once, publish, publish_id, run, settle, soon, subscribed, until,
};

/// A stream of `t` with room for so many messages of QoS 0.
async fn bounded(
    client: &Client,
    link: &mut Link<TcpStream>,
    messages: usize,
    when_full: WhenFull,
) -> Messages {
    let subscribe = client.subscribe("t").buffer(messages).when_full(when_full);
    let subscribe = async { subscribe.await.unwrap() };
    soon(async { tokio::join!(subscribe, link.grant("02")) })
        .await
        .0
}

async fn received(client: &Client, count: u64) {
    soon(async {
        while client.statistics().messages_received < count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn texts(messages: &mut Messages) -> Vec<String> {
    let mut texts = Vec::new();
    while messages.waiting() > 0 {
        texts.push(next_text(messages).await);
    }
    texts
}

/// Up to the bound, with nobody there to take them; then the newest is dropped, and counted.
#[test]
fn qos_0_messages_wait_for_a_consumer_up_to_the_bound() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = bounded(&client, &mut link, 3, WhenFull::DropNewest).await;
        for number in 1..=5 {
            link.send(publish(0x0, "t", None, number.to_string().as_bytes()))
                .await;
        }
        received(&client, 5).await;
        assert_eq!(texts(&mut messages).await, ["1", "2", "3"]);
        assert_eq!(client.statistics().qos0_dropped, 2);
    });
}

#[test]
fn the_oldest_qos_0_message_is_dropped_if_that_is_the_policy() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = bounded(&client, &mut link, 3, WhenFull::DropOldest).await;
        link.send(publish(0x2, "t", Some(1), b"kept")).await;
        for number in 1..=5 {
            link.send(publish(0x0, "t", None, number.to_string().as_bytes()))
                .await;
        }
        received(&client, 6).await;
        // A message of QoS 1 is not dropped for anybody.
        assert_eq!(texts(&mut messages).await, ["kept", "3", "4", "5"]);
        assert_eq!(client.statistics().qos0_dropped, 2);
    });
}

#[test]
fn qos_0_messages_are_bounded_in_bytes_too() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let subscribe = client.subscribe("t").buffer_bytes(2_500);
        let subscribe = async { subscribe.await.unwrap() };
        let (messages, _) = soon(async { tokio::join!(subscribe, link.grant("02")) }).await;
        for _ in 0..10 {
            link.send(publish(0x0, "t", None, &[7; 1_000])).await;
        }
        received(&client, 10).await;
        assert_eq!(messages.waiting(), 3);
        assert_eq!(client.statistics().qos0_dropped, 7);
    });
}

/// The pipe is small: what the server could not write, the client has not read.
#[test]
fn reading_pauses_for_a_full_stream_if_that_is_the_policy_and_nothing_is_lost() {
    run(async {
        let options = ClientOptions::new().keep_alive(Duration::ZERO);
        let (client, _server, mut link, _time) = by_hand(64, options).await;
        let subscribe = client
            .subscribe("t")
            .buffer(4)
            .when_full(WhenFull::PauseReading);
        let subscribe = async { subscribe.await.unwrap() };
        let (mut messages, _) = soon(async { tokio::join!(subscribe, link.grant("00")) }).await;
        let sending = tokio::spawn(async move {
            for number in 0..200 {
                link.send(publish(0x0, "t", None, number.to_string().as_bytes()))
                    .await;
            }
            link
        });
        soon(async {
            while messages.waiting() < 4 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        settle().await;
        assert!(!sending.is_finished());
        // One read of what the pipe holds.
        assert!(
            messages.waiting() <= 4 + 64 / 7,
            "{} wait",
            messages.waiting()
        );
        for number in 0..200 {
            assert_eq!(next_text(&mut messages).await, number.to_string());
        }
        assert_eq!(client.statistics().qos0_dropped, 0);
        soon(sending).await.unwrap();
    });
}

/// An answer could be behind the messages that are not read: then reading goes on, and the stream
/// drops and counts.
#[test]
fn reading_does_not_pause_while_an_operation_waits_for_its_answer() {
    run(async {
        let options = ClientOptions::new().keep_alive(Duration::ZERO);
        let (client, _server, mut link, _time) = by_hand(64, options).await;
        let subscribe = client
            .subscribe("t")
            .buffer(4)
            .when_full(WhenFull::PauseReading);
        let subscribe = async { subscribe.await.unwrap() };
        let (messages, _) = soon(async { tokio::join!(subscribe, link.grant("00")) }).await;
        let completion = client.publish("u", "").qos(QOS_1).enqueue().await.unwrap();
        let id = publish_id(&link.expect_kind(0x32).await);
        for number in 0..200 {
            link.send(publish(0x0, "t", None, number.to_string().as_bytes()))
                .await;
        }
        link.send(ack(0x40, id)).await;
        soon(completion).await.unwrap();
        assert!(messages.waiting() <= 8);
        assert!(client.statistics().qos0_dropped >= 192);
    });
}

/// Started while reading rests already.
#[test]
fn a_new_operation_ends_a_pause() {
    run(async {
        let options = ClientOptions::new().keep_alive(Duration::ZERO);
        let (client, _server, mut link, _time) = by_hand(64, options).await;
        let subscribe = client
            .subscribe("t")
            .buffer(1)
            .when_full(WhenFull::PauseReading);
        let subscribe = async { subscribe.await.unwrap() };
        let (_messages, _) = soon(async { tokio::join!(subscribe, link.grant("00")) }).await;
        let (reader, mut writer) = tokio::io::split(link.0);
        let mut reader = Link(tokio::io::join(reader, tokio::io::sink()));
        let flood = publish(0x0, "t", None, b"x").repeat(100);
        let answer = ack(0x40, 2);
        let sending = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut writer, &flood)
                .await
                .unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut writer, &answer)
                .await
                .unwrap();
            writer
        });
        settle().await;
        assert!(!sending.is_finished());
        let completion = client.publish("u", "").qos(QOS_1).enqueue().await.unwrap();
        let id = publish_id(&reader.expect_kind(0x32).await);
        assert!(id <= 2);
        if id == 2 {
            soon(completion).await.unwrap();
        }
        soon(sending).await.unwrap();
    });
}

/// Pings go on, and their answers, which nobody reads, are not missed.
#[test]
fn a_pause_keeps_pinging_and_suspends_the_deadline_of_the_answer() {
    run(async {
        let options = ClientOptions::new()
            .keep_alive(Duration::from_secs(10))
            .ping_timeout(Duration::from_secs(10));
        let (client, _server, mut link, time) = by_hand(1024, options).await;
        let subscribe = client
            .subscribe("t")
            .buffer(1)
            .when_full(WhenFull::PauseReading);
        let subscribe = async { subscribe.await.unwrap() };
        let (mut messages, _) = soon(async { tokio::join!(subscribe, link.grant("00")) }).await;
        link.send(publish(0x0, "t", None, b"1")).await;
        soon(async {
            while messages.waiting() < 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        settle().await;
        for _ in 0..12 {
            time.advance(Duration::from_secs(10));
            link.expect("C0 00").await;
            link.send("D0 00").await;
            settle().await;
            assert!(client.state().is_connected());
        }
        assert_eq!(next_text(&mut messages).await, "1");
        settle().await;
        assert!(client.state().is_connected());
        // Now it counts again.
        time.advance(Duration::from_secs(10));
        link.expect("C0 00").await;
        settle().await;
        time.advance(Duration::from_secs(31));
        until(&client, |state| !state.is_connected()).await;
    });
}

#[test]
fn a_slow_stream_does_not_starve_another_at_qos_0() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let slow = bounded(&client, &mut link, 1, WhenFull::DropNewest).await;
        let mut fast = subscribed(&client, &mut link, "fast").await;
        for number in 0..500 {
            link.send(publish(0x0, "t", None, b"")).await;
            link.send(publish(0x0, "fast", None, number.to_string().as_bytes()))
                .await;
            assert_eq!(next_text(&mut fast).await, number.to_string());
        }
        assert_eq!(slow.waiting(), 1);
    });
}

async fn stalled(notices: &mut Observer<Notice>) -> (QoS, usize) {
    match soon(notices.next()).await {
        Some(Notice::AcksStalled { qos, waiting, .. }) => (qos, waiting),
        other => panic!("{other:?}"),
    }
}

/// The standard orders acknowledgements: told at half of the Receive Maximum, and held.
#[test]
fn a_stream_that_does_not_acknowledge_is_told_of_at_half_of_the_receive_maximum() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().receive_maximum(8);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let mut notices = client.notices(8);
        let mut slow = subscribed(&client, &mut link, "slow").await;
        let mut fast = subscribed(&client, &mut link, "fast").await;
        link.send(publish(0x2, "slow", Some(1), b"slow")).await;
        let held = next(&mut slow).await;
        for id in 2..=8 {
            link.send(publish(0x2, "fast", Some(id), b"")).await;
            let message = next(&mut fast).await;
            fast.acknowledge(&message).unwrap();
        }
        assert_eq!(stalled(&mut notices).await, (QOS_1, 4));
        // Held: nothing is acknowledged in its place.
        nothing_else(&client, &mut link).await;
        slow.acknowledge(&held).unwrap();
        for id in 1..=8 {
            link.expect(ack(0x40, id)).await;
        }
        assert_eq!(client.statistics().stalled_refused, 0);
    });
}

#[test]
fn a_stream_that_does_not_acknowledge_is_refused_if_that_is_the_policy() {
    run(async {
        let server = Server::start().await;
        let builder = server
            .builder()
            .receive_maximum(8)
            .stall_policy(StallPolicy::Refuse);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let mut notices = client.notices(8);
        let mut slow = subscribed(&client, &mut link, "slow").await;
        let mut fast = subscribed(&client, &mut link, "fast").await;
        link.send(publish(0x4, "slow", Some(1), b"slow")).await;
        let held = next(&mut slow).await;
        for id in 2..=4 {
            link.send(publish(0x4, "fast", Some(id), b"")).await;
            let message = next(&mut fast).await;
            fast.acknowledge(&message).unwrap();
        }
        link.expect("50 03 00 01 97").await;
        for id in 2..=4 {
            link.expect(ack(0x50, id)).await;
        }
        assert_eq!(stalled(&mut notices).await.0, QOS_2);
        assert_eq!(client.statistics().stalled_refused, 1);
        // The consumer has it still; it only cannot take it back.
        assert_eq!(held.payload(), b"slow");
        assert_eq!(slow.acknowledge(&held), Err(AckError::NotAwaited));
        assert!(poll_once(&mut slow.next()).is_pending());
        nothing_else(&client, &mut link).await;
    });
}
