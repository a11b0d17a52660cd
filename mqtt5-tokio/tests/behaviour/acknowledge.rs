//! Acknowledging what was received: when, how, and in which order.

use mqtt5_tokio::proto::codec::Utf8String;
use mqtt5_tokio::proto::packet::{AckProperties, PublishReasonCode, UserProperty};
use mqtt5_tokio::proto::session::AckError;
use mqtt5_tokio::{Client, ConnectionState, Messages};
use tokio::net::TcpStream;

use crate::support::{
    Link, NEW_SESSION, QOS_2, RESUMED, Server, ack, next, next_text, nothing_else, poll_once,
    publish, run, soon, subscribed, text,
};

async fn manual(client: &Client, link: &mut Link<TcpStream>) -> Messages {
    let subscribe = async { client.subscribe("t").manual_acknowledge().await.unwrap() };
    let (messages, _) = soon(async { tokio::join!(subscribe, link.grant("02")) }).await;
    messages
}

#[test]
fn a_message_is_acknowledged_when_the_next_one_is_asked_for() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        link.send(publish(0x2, "t", Some(1), b"1")).await;
        link.send(publish(0x4, "t", Some(2), b"2")).await;
        link.send(publish(0x2, "t", Some(3), b"3")).await;
        assert_eq!(next_text(&mut messages).await, "1");
        nothing_else(&client, &mut link).await;
        assert_eq!(next_text(&mut messages).await, "2");
        link.expect(ack(0x40, 1)).await;
        nothing_else(&client, &mut link).await;
        assert_eq!(next_text(&mut messages).await, "3");
        link.expect(ack(0x50, 2)).await;
        // The first poll counts, whether there is another message or not.
        assert!(poll_once(&mut messages.next()).is_pending());
        link.expect(ack(0x40, 3)).await;
    });
}

#[test]
fn a_dropped_message_is_not_acknowledged() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        link.send(publish(0x2, "t", Some(1), b"1")).await;
        drop(next(&mut messages).await);
        nothing_else(&client, &mut link).await;
    });
}

/// A crash of the consumer: the message goes to another one, before what came later.
#[test]
fn what_a_dropped_consumer_had_taken_returns_to_the_front_of_its_stream() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut one = subscribed(&client, &mut link, "t").await;
        let mut other = one.clone();
        for number in 1..=3 {
            let payload = number.to_string();
            link.send(publish(0x2, "t", Some(number), payload.as_bytes()))
                .await;
        }
        assert_eq!(next_text(&mut one).await, "1");
        drop(one);
        for number in 1..=3 {
            assert_eq!(next_text(&mut other).await, number.to_string());
        }
        link.expect(ack(0x40, 1)).await;
        link.expect(ack(0x40, 2)).await;
        nothing_else(&client, &mut link).await;
    });
}

/// The acknowledgement of a consumer that has gone has no effect: the message is another's now.
#[test]
fn a_returned_message_can_be_acknowledged_by_its_new_consumer_only() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut one = manual(&client, &mut link).await;
        let mut other = one.clone();
        link.send(publish(0x2, "t", Some(1), b"1")).await;
        let taken = next(&mut one).await;
        drop(one);
        assert_eq!(other.acknowledge(&taken), Err(AckError::NotAwaited));
        let again = next(&mut other).await;
        assert_eq!(again.token(), taken.token());
        other.acknowledge(&again).unwrap();
        link.expect(ack(0x40, 1)).await;
        assert_eq!(other.acknowledge(&again), Err(AckError::NotAwaited));
    });
}

#[test]
fn a_cancelled_receive_swallows_no_message() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let sending = tokio::spawn(async move {
            for number in 0..200_u8 {
                link.send(publish(0x0, "t", None, &[number])).await;
                tokio::task::yield_now().await;
            }
            link
        });
        let mut seen = Vec::new();
        soon(async {
            while seen.len() < 200 {
                tokio::select! {
                    biased;
                    message = messages.next() => seen.push(message.unwrap().payload()[0]),
                    () = tokio::task::yield_now() => {}
                }
            }
        })
        .await;
        assert_eq!(seen, (0..200).collect::<Vec<u8>>());
        soon(sending).await.unwrap();
    });
}

/// With reasons, in the reverse order: PUBACKs and PUBRECs leave in the order of their messages.
#[test]
fn manual_acknowledgements_in_any_order_leave_in_the_order_of_the_messages() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = manual(&client, &mut link).await;
        let mut taken = Vec::new();
        for id in 1..=6_u16 {
            let flags = if id % 2 == 1 { 0x2 } else { 0x4 };
            link.send(publish(flags, "t", Some(id), b"")).await;
            taken.push(next(&mut messages).await);
        }
        messages
            .reject(&taken[5], PublishReasonCode::NotAuthorized)
            .unwrap();
        messages.acknowledge(&taken[4]).unwrap();
        messages
            .reject(&taken[3], PublishReasonCode::QuotaExceeded)
            .unwrap();
        messages
            .reject(&taken[2], PublishReasonCode::UnspecifiedError)
            .unwrap();
        nothing_else(&client, &mut link).await;
        messages.acknowledge(&taken[0]).unwrap();
        link.expect(ack(0x40, 1)).await;
        link.expect("40 03 00 03 80").await;
        link.expect(ack(0x40, 5)).await;
        // QoS 2 has an order of its own.
        nothing_else(&client, &mut link).await;
        messages.acknowledge(&taken[1]).unwrap();
        link.expect(ack(0x50, 2)).await;
        link.expect("50 03 00 04 97").await;
        link.expect("50 03 00 06 87").await;
    });
}

#[test]
fn asking_for_the_next_message_acknowledges_nothing_in_manual_mode() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = manual(&client, &mut link).await;
        link.send(publish(0x2, "t", Some(1), b"1")).await;
        link.send(publish(0x2, "t", Some(2), b"2")).await;
        let first = next(&mut messages).await;
        let _second = next(&mut messages).await;
        assert!(poll_once(&mut messages.next()).is_pending());
        nothing_else(&client, &mut link).await;
        messages.acknowledge(&first).unwrap();
        link.expect(ack(0x40, 1)).await;
    });
}

/// Reason without properties: three bytes, no Property Length. With properties: both.
#[test]
fn an_acknowledgement_has_its_shortest_form() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        link.send(publish(0x2, "t", Some(10), b"")).await;
        let message = next(&mut messages).await;
        messages
            .reject(&message, PublishReasonCode::NotAuthorized)
            .unwrap();
        link.expect("40 03 00 0A 87").await;
        link.send(publish(0x4, "t", Some(11), b"")).await;
        let message = next(&mut messages).await;
        let properties = AckProperties {
            reason_string: Some(Utf8String::new("no").unwrap()),
            user_properties: vec![UserProperty::new("a", "b").unwrap()],
        };
        messages
            .reject_with(&message, PublishReasonCode::NotAuthorized, properties)
            .unwrap();
        link.expect("50 10 00 0B 87 0C 1F 00 02 6E 6F 26 00 01 61 00 01 62")
            .await;
        // A refused message of QoS 2 is forgotten: the same identifier is a new one.
        link.send(publish(0x4, "t", Some(11), b"new")).await;
        assert_eq!(next_text(&mut messages).await, "new");
    });
}

#[test]
fn a_reason_that_only_a_server_may_give_is_refused_and_the_message_still_waits() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = manual(&client, &mut link).await;
        link.send(publish(0x2, "t", Some(1), b"")).await;
        let message = next(&mut messages).await;
        let reason = PublishReasonCode::NoMatchingSubscribers;
        assert_eq!(messages.reject(&message, reason), Err(AckError::ReasonCode));
        messages.acknowledge(&message).unwrap();
        link.expect(ack(0x40, 1)).await;
    });
}

/// Not on the new connection by itself: only as the answer to the copy that is sent again, which is
/// not delivered a second time.
#[test]
fn an_acknowledgement_given_offline_answers_the_resent_copy() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = manual(&client, &mut link).await;
        link.send(publish(0x2, "t", Some(7), b"1")).await;
        link.send(publish(0x4, "t", Some(8), b"2")).await;
        let first = next(&mut messages).await;
        let second = next(&mut messages).await;
        drop(link);
        crate::support::until(&client, |state| !state.is_connected()).await;
        messages.acknowledge(&first).unwrap();
        messages.acknowledge(&second).unwrap();

        let (mut link, _) = server.answer(RESUMED).await;
        crate::support::until(&client, ConnectionState::is_connected).await;
        nothing_else(&client, &mut link).await;
        link.send(publish(0xA, "t", Some(7), b"1")).await;
        link.expect(ack(0x40, 7)).await;
        link.send(publish(0xC, "t", Some(8), b"2")).await;
        link.expect(ack(0x50, 8)).await;
        link.send(publish(0x0, "t", None, b"3")).await;
        assert_eq!(next_text(&mut messages).await, "3");
    });
}

#[test]
fn an_acknowledgement_of_a_lost_session_is_not_sent_and_says_so() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = manual(&client, &mut link).await;
        link.send(publish(0x2, "t", Some(7), b"1")).await;
        let message = next(&mut messages).await;
        drop(link);
        let (mut link, _) = server.answer(NEW_SESSION).await;
        link.grant("02").await;
        assert_eq!(messages.acknowledge(&message), Err(AckError::SessionLost));
        nothing_else(&client, &mut link).await;
        // The identifier belongs to somebody else now.
        link.send(publish(0x2, "t", Some(7), b"new")).await;
        let new = next(&mut messages).await;
        assert_eq!(text(&new), "new");
        messages.acknowledge(&new).unwrap();
        link.expect(ack(0x40, 7)).await;
    });
}

/// In automatic mode too: a message taken before the cut and finished after it.
#[test]
fn a_message_held_over_a_cut_is_delivered_once_and_acknowledged_once() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        link.send(publish(0x2, "t", Some(7), b"1")).await;
        assert_eq!(next_text(&mut messages).await, "1");
        drop(link);
        let (mut link, _) = server.answer(RESUMED).await;
        link.send(publish(0xA, "t", Some(7), b"1")).await;
        link.send(publish(0x2, "t", Some(8), b"2")).await;
        assert_eq!(next_text(&mut messages).await, "2");
        link.expect(ack(0x40, 7)).await;
        nothing_else(&client, &mut link).await;
        assert_eq!(client.statistics().messages_received, 2);
    });
}

#[test]
fn more_messages_than_our_receive_maximum_end_the_connection() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().receive_maximum(3).receive_excess(0);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        for id in 1..=3 {
            link.send(publish(0x2, "t", Some(id), b"")).await;
        }
        // Room for one more by an acknowledgement, and not for two.
        let first = next(&mut messages).await;
        messages.acknowledge(&first).unwrap();
        link.expect(ack(0x40, 1)).await;
        link.send(publish(0x4, "t", Some(4), b"")).await;
        nothing_else(&client, &mut link).await;
        link.send(publish(0x4, "t", Some(5), b"")).await;
        assert_eq!(link.rest().await, [0xE0, 0x01, 0x93]);
    });
}

#[test]
fn our_publishes_keep_to_the_servers_receive_maximum() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect("20 06 00 00 03 21 00 02").await;
        let mut completions = Vec::new();
        for number in 0..5 {
            let publish = client.publish("t", number.to_string()).qos(QOS_2);
            completions.push(publish.enqueue().await.unwrap());
        }
        link.expect(publish(0x4, "t", Some(1), b"0")).await;
        link.expect(publish(0x4, "t", Some(2), b"1")).await;
        nothing_else(&client, &mut link).await;
        // PUBREC gives nothing back, PUBCOMP does.
        link.send(ack(0x50, 1)).await;
        link.expect(ack(0x62, 1)).await;
        nothing_else(&client, &mut link).await;
        link.send(ack(0x70, 1)).await;
        assert!(link.expect_kind(0x34).await.ends_with(b"2"));
        nothing_else(&client, &mut link).await;
    });
}
