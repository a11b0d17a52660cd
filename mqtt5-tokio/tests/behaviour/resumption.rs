//! What a new connection does with the session of the one before.

use std::time::Duration;

use mqtt5_testkit::{Effect, Restart, TestBroker, When};
use mqtt5_tokio::proto::packet::PacketType;
use mqtt5_tokio::{Completion, ConnectionState, Notice, PublishError, Published};

use crate::support::{
    NEW_SESSION, QOS_0, QOS_1, QOS_2, RESUMED, Server, ack, client_of, id_of, inject, is_clean,
    next, next_text, publish, publish_id, run, run_on_two_threads, soon, subscribed, text, until,
};

/// Success, the session goes on, Receive Maximum 1.
const RESUMED_ONE_AT_A_TIME: &str = "20 06 01 00 03 21 00 01";

/// Success, no session, Receive Maximum 1.
const NEW_ONE_AT_A_TIME: &str = "20 06 00 00 03 21 00 01";

#[track_caller]
fn assert_acknowledged(verdict: &Result<Published, PublishError>) {
    assert!(
        matches!(verdict, Ok(Published::Acknowledged(_))),
        "{verdict:?}"
    );
}

/// Two stored publishes and a server that now takes one at a time: one goes out, the other after
/// the answer to the first. The QoS 0 message, which needs no quota, is the barrier.
#[test]
fn resending_keeps_to_the_receive_maximum_of_the_new_connection() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let first = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let second = client.publish("t", "2").qos(QOS_2).enqueue().await.unwrap();
        link.expect(publish(0x2, "t", Some(1), b"1")).await;
        link.expect(publish(0x4, "t", Some(2), b"2")).await;
        drop(link);

        let (mut link, connect) = server.answer(RESUMED_ONE_AT_A_TIME).await;
        assert!(!is_clean(&connect));
        link.expect(publish(0xA, "t", Some(1), b"1")).await;
        soon(client.publish("t", "barrier")).await.unwrap();
        link.expect(publish(0x0, "t", None, b"barrier")).await;
        link.send(ack(0x40, 1)).await;
        assert_acknowledged(&soon(first).await);
        link.expect(publish(0xC, "t", Some(2), b"2")).await;

        // The quota is one still, and not two by the answer to what was resent.
        let third = client.publish("t", "3").qos(QOS_1).enqueue().await.unwrap();
        link.send(ack(0x50, 2)).await;
        link.expect(ack(0x62, 2)).await;
        soon(client.publish("t", "barrier")).await.unwrap();
        link.expect(publish(0x0, "t", None, b"barrier")).await;
        link.send(ack(0x70, 2)).await;
        assert_acknowledged(&soon(second).await);
        let resent = link.expect_kind(0x32).await;
        link.send(ack(0x40, publish_id(&resent))).await;
        assert_acknowledged(&soon(third).await);
    });
}

#[test]
fn a_lost_session_gives_every_sent_operation_its_verdict_and_sends_what_only_waited() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_ONE_AT_A_TIME).await;
        let sent = client
            .publish("t", "sent")
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        let waiting = client
            .publish("t", "waiting")
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        link.expect(publish(0x2, "t", Some(1), b"sent")).await;
        drop(link);

        let (mut link, _) = server.answer(NEW_SESSION).await;
        match soon(sent).await {
            Err(PublishError::Unknown {
                message: Some(message),
            }) => {
                assert_eq!(&message.payload[..], b"sent");
            }
            other => panic!("{other:?}"),
        }
        let packet = link.expect_kind(0x32).await;
        assert!(packet.ends_with(b"waiting"));
        link.send(ack(0x40, publish_id(&packet))).await;
        assert_acknowledged(&soon(waiting).await);
    });
}

/// Identifiers are used again in another order than the messages were sent in, so that resending by
/// identifier would show.
#[test]
fn what_left_is_resent_in_its_first_order_with_dup_and_what_only_waited_follows_without() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect("20 06 00 00 03 21 00 02").await;
        let mut completions: Vec<Completion> = Vec::new();
        for number in 0..6 {
            let publish = client.publish("t", format!("{number}")).qos(QOS_1);
            completions.push(publish.enqueue().await.unwrap());
        }
        let first = link.expect_kind(0x32).await;
        let second = link.expect_kind(0x32).await;
        link.send(ack(0x40, publish_id(&second))).await;
        let third = link.expect_kind(0x32).await;
        link.send(ack(0x40, publish_id(&first))).await;
        let fourth = link.expect_kind(0x32).await;
        assert!(
            publish_id(&third) > publish_id(&fourth),
            "the order of the ids proves nothing"
        );
        drop(link);

        let (mut link, _) = server.answer(RESUMED).await;
        for (mut before, number) in [(third, b'2'), (fourth, b'3')] {
            before[0] = 0x3A;
            assert_eq!(before.last(), Some(&number));
            link.expect(before).await;
        }
        for number in [b'4', b'5'] {
            let packet = link.expect_kind(0x32).await;
            assert_eq!(packet.last(), Some(&number));
        }
    });
}

#[test]
fn an_inbound_qos_2_message_reaches_the_application_once_over_a_resumption() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        link.send(publish(0x4, "t", Some(9), b"once")).await;
        assert_eq!(next_text(&mut messages).await, "once");
        // Acknowledged by asking for the next.
        let asking = tokio::spawn(async move {
            let message = next(&mut messages).await;
            (messages, message)
        });
        link.expect(ack(0x50, 9)).await;
        drop(link);

        let (mut link, _) = server.answer(RESUMED).await;
        link.send(publish(0xC, "t", Some(9), b"once")).await;
        link.expect(ack(0x50, 9)).await;
        link.send(ack(0x62, 9)).await;
        link.expect(ack(0x70, 9)).await;
        link.send(publish(0x4, "t", Some(9), b"another")).await;
        let (_messages, message) = soon(asking).await.unwrap();
        assert_eq!(text(&message), "another");
    });
}

/// What the peer must not send is found before the application hears of it.
#[test]
fn a_message_in_a_bad_packet_does_not_reach_the_application() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        // The property section runs over the end of the packet.
        link.send("34 07 00 01 74 00 09 05 61").await;
        assert_eq!(link.rest().await, [0xE0, 0x01, 0x81]);
        let (mut link, _) = server.answer(RESUMED).await;
        link.send(publish(0x4, "t", Some(9), b"good")).await;
        assert_eq!(next_text(&mut messages).await, "good");
        assert_eq!(client.statistics().messages_received, 1);
    });
}

#[test]
fn a_failed_pubrec_frees_id_and_quota() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_ONE_AT_A_TIME).await;
        let refused = client.publish("t", "1").qos(QOS_2).enqueue().await.unwrap();
        let next = client.publish("t", "2").qos(QOS_2).enqueue().await.unwrap();
        link.expect(publish(0x4, "t", Some(1), b"1")).await;
        link.send("50 03 00 01 87").await;
        match soon(refused).await {
            Err(PublishError::Refused(answer)) => assert_eq!(answer.reason_code.raw(), 0x87),
            other => panic!("{other:?}"),
        }
        let second = link.expect_kind(0x34).await;
        let id = publish_id(&second);
        link.send(ack(0x50, id)).await;
        link.expect(ack(0x62, id)).await;
        link.send(ack(0x70, id)).await;
        assert_acknowledged(&soon(next).await);
    });
}

#[test]
fn a_failed_pubcomp_finishes_the_exchange_and_frees_id_and_quota() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_ONE_AT_A_TIME).await;
        let first = client.publish("t", "1").qos(QOS_2).enqueue().await.unwrap();
        let next = client.publish("t", "2").qos(QOS_1).enqueue().await.unwrap();
        link.expect(publish(0x4, "t", Some(1), b"1")).await;
        link.send(ack(0x50, 1)).await;
        link.expect(ack(0x62, 1)).await;
        link.send("70 03 00 01 92").await;
        match soon(first).await {
            Ok(Published::Acknowledged(answer)) => {
                assert_eq!(answer.completion.unwrap().raw(), 0x92);
            }
            other => panic!("{other:?}"),
        }
        let second = link.expect_kind(0x32).await;
        link.send(ack(0x40, publish_id(&second))).await;
        assert_acknowledged(&soon(next).await);
    });
}

#[test]
fn a_pubrec_without_subscribers_is_a_success_and_is_followed_by_pubrel() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let completion = client.publish("t", "1").qos(QOS_2).enqueue().await.unwrap();
        link.expect_kind(0x34).await;
        link.send("50 03 00 01 10").await;
        link.expect(ack(0x62, 1)).await;
        link.send(ack(0x70, 1)).await;
        match soon(completion).await {
            Ok(Published::Acknowledged(answer)) => assert_eq!(answer.reason_code.raw(), 0x10),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_resumed_session_may_begin_with_a_pubrel() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        link.send(publish(0x4, "t", Some(9), b"once")).await;
        let message = next(&mut messages).await;
        messages.acknowledge(&message).unwrap();
        link.expect(ack(0x50, 9)).await;
        drop(link);
        let (mut link, _) = server.answer(RESUMED).await;
        link.send(ack(0x62, 9)).await;
        link.expect(ack(0x70, 9)).await;
        // And one for an exchange that nobody knows.
        link.send(ack(0x62, 10)).await;
        link.expect("70 03 00 0A 92").await;
    });
}

/// The broker forgets everything while an identifier is in use, again and again.
#[test]
fn an_id_that_a_restart_left_unanswered_blocks_nothing() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        for restart in [
            Restart::LoseSessions,
            Restart::KeepSessions,
            Restart::LoseSessions,
        ] {
            let fault = broker.add_fault(When::received(PacketType::Publish), Effect::Drop);
            let lost = client
                .publish("t", "lost")
                .qos(QOS_1)
                .enqueue()
                .await
                .unwrap();
            soon(broker.wait_for(|broker| broker.struck(fault) == 1))
                .await
                .unwrap();
            broker.restart(restart);
            match (restart, soon(lost).await) {
                (Restart::LoseSessions, Err(PublishError::Unknown { message: Some(_) }))
                | (Restart::KeepSessions, Ok(Published::Acknowledged(_))) => {}
                (_, other) => panic!("{other:?}"),
            }
            for number in 0..20 {
                let qos = if number % 2 == 0 { QOS_1 } else { QOS_2 };
                assert_acknowledged(&soon(client.publish("t", "more").qos(qos)).await);
            }
        }
    });
}

#[test]
fn subscriptions_are_made_again_when_the_server_lost_the_session_and_the_application_is_told() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        let mut notices = client.notices(8);
        let mut one = soon(client.subscribe("one/+").qos(QOS_1)).await.unwrap();
        let mut two = soon(client.subscribe("two")).await.unwrap();
        broker.restart(Restart::LoseSessions);
        let state = until(
            &client,
            |state| matches!(state, ConnectionState::Connected(info) if info.number == 2),
        );
        let ConnectionState::Connected(info) = state.await else {
            unreachable!()
        };
        assert!(info.session_lost && !info.session_present);
        assert_eq!(info.sessions_lost, 1);
        assert_eq!(soon(notices.next()).await, Some(Notice::SessionLost));
        assert_eq!(client.statistics().sessions_lost, 1);

        soon(broker.wait_for(|broker| broker.subscriptions("c").count() == 2))
            .await
            .unwrap();
        inject(&broker, "one/x", "1", QOS_2);
        inject(&broker, "two", "2", QOS_2);
        let first = next(&mut one).await;
        // With the options that were asked for.
        assert_eq!((text(&first).as_str(), first.qos()), ("1", QOS_1));
        assert_eq!(next_text(&mut two).await, "2");
        assert!(one.end_reason().is_none() && two.end_reason().is_none());
    });
}

#[test]
fn a_session_that_is_kept_is_no_reason_to_subscribe_again() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        drop(link);
        let (mut link, _) = server.answer(RESUMED).await;
        soon(async {
            while client.statistics().connections < 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        soon(client.publish("t", "barrier")).await.unwrap();
        link.expect(publish(0x0, "t", None, b"barrier")).await;
        link.send(publish(0x0, "t", None, b"still here")).await;
        assert_eq!(next_text(&mut messages).await, "still here");
        let info = soon(client.connected()).await.unwrap();
        assert!(info.session_present && !info.session_lost);
    });
}

/// A subscription that the server will not make a second time: its stream ends, and says why.
#[test]
fn a_subscription_that_cannot_be_restored_ends_its_stream_and_is_told() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut notices = client.notices(8);
        let mut messages = subscribed(&client, &mut link, "t").await;
        drop(link);
        let (mut link, _) = server.answer(NEW_SESSION).await;
        let subscribe = link.expect_kind(0x82).await;
        let id = id_of(&subscribe).to_be_bytes();
        link.send(vec![0x90, 4, id[0], id[1], 0, 0x87]).await;
        assert!(soon(messages.next()).await.is_none());
        match messages.end_reason() {
            Some(mqtt5_tokio::StreamEnd::Refused(code)) => assert_eq!(code.raw(), 0x87),
            other => panic!("{other:?}"),
        }
        assert_eq!(soon(notices.next()).await, Some(Notice::SessionLost));
        match soon(notices.next()).await {
            Some(Notice::SubscriptionLost(filter)) => assert_eq!(filter.as_str(), "t"),
            other => panic!("{other:?}"),
        }
    });
}

/// While there is no connection, by the message's own clock; what goes out later carries what is
/// left.
#[test]
fn a_queued_message_expires_by_its_own_interval_and_another_carries_what_is_left() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_ONE_AT_A_TIME).await;
        let blocking = client
            .publish("t", "blocking")
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        link.expect_kind(0x32).await;
        let short = client.publish("t", "short").qos(QOS_1);
        let short = short
            .message_expiry_interval(Duration::from_secs(1))
            .enqueue()
            .await
            .unwrap();
        let long = client.publish("t", "long").qos(QOS_1);
        let long = long
            .message_expiry_interval(Duration::from_secs(100))
            .enqueue()
            .await
            .unwrap();
        match soon(short).await {
            Err(PublishError::Expired { message }) => assert_eq!(&message.payload[..], b"short"),
            other => panic!("{other:?}"),
        }
        link.send(ack(0x40, 1)).await;
        assert_acknowledged(&soon(blocking).await);
        let packet = link.expect_kind(0x32).await;
        assert!(packet.ends_with(b"long"));
        let at = packet
            .windows(5)
            .position(|window| window[..4] == [0x02, 0, 0, 0])
            .unwrap();
        assert!(
            (50..=99).contains(&packet[at + 4]),
            "{} s left",
            packet[at + 4]
        );
        link.send(ack(0x40, publish_id(&packet))).await;
        assert_acknowledged(&soon(long).await);
    });
}

/// Clean Start 1 once, then 0; and 1 again once the session is given up.
#[test]
fn the_first_connection_starts_clean_and_the_next_ones_resume() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().start().unwrap();
        let (link, connect) = server.answer(NEW_SESSION).await;
        assert!(is_clean(&connect));
        soon(client.connected()).await.unwrap();
        drop(link);
        let (link, connect) = server.answer(RESUMED).await;
        assert!(!is_clean(&connect));
        drop(link);
        let (_link, connect) = server.answer(NEW_SESSION).await;
        assert!(!is_clean(&connect));
    });
}

#[test]
fn a_session_that_the_client_does_not_know_is_left_and_begun_anew() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().start().unwrap();
        let (link, connect) = server.answer(RESUMED).await;
        assert!(is_clean(&connect));
        // In order, so that no Will is published.
        assert_eq!(link.rest().await, [0xE0, 0x00]);
        let (_link, connect) = server.answer(NEW_SESSION).await;
        assert!(is_clean(&connect));
        let info = soon(client.connected()).await.unwrap();
        assert!(!info.session_present);
    });
}

#[test]
fn a_durable_client_resumes_a_session_from_before_its_time() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().durable("c", Duration::from_secs(3600));
        let client = builder.start().unwrap();
        let mut messages = client.subscribe("t").declare().unwrap();
        let (mut link, connect) = server.answer(RESUMED).await;
        assert!(!is_clean(&connect));
        // What was queued comes before the subscription can have been made again.
        link.send(publish(0x2, "t", Some(1), b"queued")).await;
        assert_eq!(next_text(&mut messages).await, "queued");
        assert!(soon(client.connected()).await.unwrap().session_present);
    });
}

#[test]
fn qos_0_is_not_queued_offline_unless_asked_for() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().start().unwrap();
        match soon(client.publish("t", "0").qos(QOS_0)).await {
            Err(PublishError::NotAccepted { message, .. }) => {
                assert_eq!(&message.payload[..], b"0");
            }
            other => panic!("{other:?}"),
        }
        drop(client);
        drop(server);

        let server = Server::start().await;
        let client = server.builder().queue_qos0_offline(true).start().unwrap();
        let waiting = client.publish("t", "0").enqueue().await.unwrap();
        let (mut link, _) = server.answer(NEW_SESSION).await;
        link.expect(publish(0x0, "t", None, b"0")).await;
        assert_eq!(soon(waiting).await.unwrap(), Published::Sent);
    });
}
