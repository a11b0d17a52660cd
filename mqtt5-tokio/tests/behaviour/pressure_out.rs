//! Publishers that are faster than the server.

use std::task::Poll;
use std::time::Duration;

use mqtt5_tokio::proto::session::{PublishVerdict, Rule};
use mqtt5_tokio::{CloseReason, PublishError, Published};

use crate::support::{
    NEW_SESSION, QOS_1, QOS_2, RESUMED, Server, ack, next, nothing_else, poll_once, publish,
    publish_id, run, settle, soon, subscribed,
};

#[test]
fn try_enqueue_hands_the_message_back_when_full() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(2);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let first = client.publish("t", "1").qos(QOS_1).try_enqueue().unwrap();
        let _second = client.publish("t", "2").qos(QOS_2).try_enqueue().unwrap();
        let error = client
            .publish("t", "3")
            .qos(QOS_1)
            .try_enqueue()
            .unwrap_err();
        assert!(error.is_full() && error.is_certain());
        let message = error.into_message().unwrap();
        assert_eq!((&message.payload[..], message.qos), (&b"3"[..], QOS_1));
        link.expect(publish(0x2, "t", Some(1), b"1")).await;
        link.send(ack(0x40, 1)).await;
        soon(first).await.unwrap();
        drop(client.publish_message(message).try_enqueue().unwrap());
    });
}

/// A verdict that was not taken holds its place.
#[test]
fn completions_that_nobody_polls_count_to_the_bound() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(1);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let first = client.publish("t", "1").qos(QOS_1).try_enqueue().unwrap();
        link.expect_kind(0x32).await;
        link.send(ack(0x40, 1)).await;
        soon(async {
            while client.statistics().publishes_succeeded < 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(
            client
                .publish("t", "2")
                .qos(QOS_1)
                .try_enqueue()
                .unwrap_err()
                .is_full()
        );
        soon(first).await.unwrap();
        drop(client.publish("t", "2").qos(QOS_1).try_enqueue().unwrap());
    });
}

#[test]
fn enqueue_waits_for_room_first_come_first_served() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(1);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let mut last = client.publish("t", "0").qos(QOS_1).enqueue().await.unwrap();
        let mut waiting = Vec::new();
        for number in 1..=3 {
            let mut enqueue = client.publish("t", number.to_string()).qos(QOS_1).enqueue();
            assert!(poll_once(&mut enqueue).is_pending());
            waiting.push(enqueue);
        }
        // Nobody overtakes those who wait, and who goes loses his place.
        drop(waiting.remove(1));
        for expected in ["0", "1", "3"] {
            let packet = link.expect_kind(0x32).await;
            assert!(packet.ends_with(expected.as_bytes()));
            link.send(ack(0x40, publish_id(&packet))).await;
            soon(last).await.unwrap();
            assert!(
                waiting.is_empty() || client.publish("t", "").qos(QOS_1).try_enqueue().is_err()
            );
            if waiting.is_empty() {
                break;
            }
            last = soon(waiting.remove(0)).await.unwrap();
        }
        nothing_else(&client, &mut link).await;
    });
}

#[test]
fn a_permit_is_room_that_nobody_else_can_take() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(1);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let permit = soon(client.reserve()).await.unwrap();
        assert!(
            client
                .publish("t", "x")
                .qos(QOS_1)
                .try_enqueue()
                .unwrap_err()
                .is_full()
        );
        let mut waiting = client.reserve();
        assert!(poll_once(&mut waiting).is_pending());
        let completion = permit.publish("t", "1").qos(QOS_1).try_enqueue().unwrap();
        link.expect(publish(0x2, "t", Some(1), b"1")).await;
        assert!(poll_once(&mut waiting).is_pending());
        link.send(ack(0x40, 1)).await;
        soon(completion).await.unwrap();
        let permit = soon(waiting).await.unwrap();
        // Unused, the room is free again; and a place in the line is given up by dropping it.
        let mut second = client.reserve();
        let mut third = client.reserve();
        assert!(poll_once(&mut second).is_pending());
        assert!(poll_once(&mut third).is_pending());
        drop(permit);
        drop(second);
        drop(soon(third).await.unwrap());
        drop(client.publish("t", "2").qos(QOS_1).try_enqueue().unwrap());
    });
}

/// The wake-up that came to who has gone goes on to who waits behind.
#[test]
fn a_wake_up_is_not_lost_with_the_future_that_it_was_for() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(1);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let permit = soon(client.reserve()).await.unwrap();
        let mut first = client.reserve();
        assert!(poll_once(&mut first).is_pending());
        let mut second = client.publish("t", "2").qos(QOS_1).enqueue();
        assert!(poll_once(&mut second).is_pending());
        let publish = client.publish("t", "3").qos(QOS_1);
        let third = tokio::spawn(publish.into_future());
        settle().await;
        drop(permit);
        drop(first);
        drop(second);
        let packet = link.expect_kind(0x32).await;
        assert!(packet.ends_with(b"3"));
        link.send(ack(0x40, publish_id(&packet))).await;
        soon(third).await.unwrap().unwrap();
    });
}

#[test]
fn the_queue_is_bounded_in_bytes_and_one_large_message_always_fits() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_bytes(1_000);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let large = client
            .publish("t", vec![7; 5_000])
            .qos(QOS_1)
            .try_enqueue()
            .unwrap();
        let error = client
            .publish("t", "small")
            .qos(QOS_1)
            .try_enqueue()
            .unwrap_err();
        assert!(error.is_full());
        let mut waiting = client.publish("t", "small").qos(QOS_1).enqueue();
        assert!(poll_once(&mut waiting).is_pending());
        link.expect_kind(0x32).await;
        link.send(ack(0x40, 1)).await;
        soon(large).await.unwrap();
        drop(soon(waiting).await.unwrap());
    });
}

/// Before acceptance a message goes with its future; after it, it is sent whoever listens.
#[test]
fn a_dropped_publish_is_never_sent_before_acceptance_and_always_after() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(1);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let mut verdicts = client.verdicts(8);
        let mut accepted = client.publish("t", "1").qos(QOS_1).into_future();
        assert!(poll_once(&mut accepted).is_pending());
        let mut waiting = client.publish("t", "2").qos(QOS_1).into_future();
        assert!(poll_once(&mut waiting).is_pending());
        drop(client.publish("t", "never polled").qos(QOS_1).into_future());
        drop(waiting);
        drop(accepted);
        link.expect(publish(0x2, "t", Some(1), b"1")).await;
        link.send(ack(0x40, 1)).await;
        let verdict = soon(verdicts.next()).await.unwrap().verdict;
        assert!(
            matches!(verdict, PublishVerdict::Acknowledged(_)),
            "{verdict:?}"
        );
        // Its room is free, and nobody stands in the line.
        let next = client.publish("t", "3").qos(QOS_1).try_enqueue().unwrap();
        let packet = link.expect_kind(0x32).await;
        assert!(packet.ends_with(b"3"));
        link.send(ack(0x40, publish_id(&packet))).await;
        soon(next).await.unwrap();
        assert_eq!(client.statistics().publishes_accepted, 2);
    });
}

/// A caller that gave up waiting can still learn what became of the message, by its number.
#[test]
fn the_verdict_of_an_operation_whose_caller_timed_out_goes_to_the_observer() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut verdicts = client.verdicts(8);
        let completion = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let operation = completion.operation();
        let late = tokio::time::timeout(Duration::from_millis(10), completion).await;
        assert!(late.is_err());
        link.expect_kind(0x32).await;
        link.send("40 03 00 01 87").await;
        let told = soon(verdicts.next()).await.unwrap();
        assert_eq!(told.operation, operation);
        match told.verdict {
            PublishVerdict::Refused(answer) => assert_eq!(answer.reason_code.raw(), 0x87),
            other => panic!("{other:?}"),
        }
        assert_eq!(client.statistics().verdicts_unobserved, 1);
    });
}

/// Dropped after the verdict had come, and before anybody took it.
#[test]
fn a_verdict_that_was_not_taken_goes_to_the_observer_when_its_completion_is_dropped() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(1);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let mut verdicts = client.verdicts(8);
        let completion = client.publish("t", "1").qos(QOS_1).try_enqueue().unwrap();
        let operation = completion.operation();
        link.expect_kind(0x32).await;
        link.send(ack(0x40, 1)).await;
        soon(async {
            while client.statistics().publishes_succeeded < 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(client.statistics().verdicts_unobserved, 0);
        drop(completion);
        assert_eq!(soon(verdicts.next()).await.unwrap().operation, operation);
        assert_eq!(client.statistics().verdicts_unobserved, 1);
        drop(client.publish("t", "2").qos(QOS_1).try_enqueue().unwrap());
    });
}

#[test]
fn dropped_verdicts_go_to_a_bounded_observer_that_counts_what_it_lost() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut verdicts = client.verdicts(2);
        let mut operations = Vec::new();
        for number in 0..5 {
            let publish = client.publish("t", number.to_string()).qos(QOS_1);
            operations.push(publish.try_enqueue().unwrap().operation());
        }
        for _ in 0..5 {
            let packet = link.expect_kind(0x32).await;
            link.send(ack(0x40, publish_id(&packet))).await;
        }
        soon(async {
            while client.statistics().verdicts_unobserved < 5 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(verdicts.lost(), 3);
        assert_eq!(
            soon(verdicts.next()).await.unwrap().operation,
            operations[3]
        );
        assert_eq!(
            soon(verdicts.next()).await.unwrap().operation,
            operations[4]
        );
        assert!(matches!(
            poll_once(&mut Box::pin(verdicts.next())),
            Poll::Pending
        ));
    });
}

/// Without an observer only the counters move, and no place is held.
#[test]
fn dropped_verdicts_without_an_observer_are_counted_and_hold_nothing() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(1);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        for _ in 0..50 {
            drop(
                soon(client.publish("t", "").qos(QOS_1).enqueue())
                    .await
                    .unwrap(),
            );
            let packet = link.expect_kind(0x32).await;
            link.send(ack(0x40, publish_id(&packet))).await;
        }
        soon(async {
            while client.statistics().verdicts_unobserved < 50 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(client.statistics().publishes_succeeded, 50);
    });
}

/// The quota is used up and the queue is full: acknowledgements and PUBREL leave all the same.
#[test]
fn acknowledgements_need_no_room_in_the_queue() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(2);
        let (client, mut link) = server.connect_by(builder, "20 06 00 00 03 21 00 01").await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let _first = client.publish("u", "").qos(QOS_2).try_enqueue().unwrap();
        let _second = client.publish("u", "").qos(QOS_2).try_enqueue().unwrap();
        assert!(
            client
                .publish("u", "")
                .qos(QOS_1)
                .try_enqueue()
                .unwrap_err()
                .is_full()
        );
        let id = publish_id(&link.expect_kind(0x34).await);
        link.send(publish(0x2, "t", Some(9), b"1")).await;
        let message = next(&mut messages).await;
        messages.acknowledge(&message).unwrap();
        link.expect(ack(0x40, 9)).await;
        link.send(ack(0x50, id)).await;
        link.expect(ack(0x62, id)).await;
        // A subscribe has a reserve of its own.
        let subscribe = async { client.subscribe("v").await.unwrap() };
        soon(async { tokio::join!(subscribe, link.grant("00")) }).await;
    });
}

#[test]
fn whoever_waits_for_room_is_told_when_the_client_closes() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().outbound_messages(1);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let accepted = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let mut waiting = client.publish("t", "2").qos(QOS_1).enqueue();
        assert!(poll_once(&mut waiting).is_pending());
        let mut reserving = client.reserve();
        assert!(poll_once(&mut reserving).is_pending());
        link.expect_kind(0x32).await;
        link.send("E0 01 8E").await;
        drop(link);
        assert!(matches!(
            soon(accepted).await,
            Err(PublishError::Unknown { .. })
        ));
        match soon(waiting).await {
            Err(PublishError::Closed {
                reason: CloseReason::Final(_),
                message,
            }) => {
                assert_eq!(&message.payload[..], b"2");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(soon(reserving).await, Err(CloseReason::Final(_))));
    });
}

/// Messages of QoS 0 do not wait for the answers to others.
#[test]
fn qos_0_goes_on_while_the_quota_is_used_up() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect("20 06 00 00 03 21 00 01").await;
        let _first = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let _second = client.publish("t", "2").qos(QOS_1).enqueue().await.unwrap();
        link.expect_kind(0x32).await;
        for _ in 0..10 {
            assert_eq!(
                soon(client.publish("t", "0")).await.unwrap(),
                Published::Sent
            );
            link.expect(publish(0x0, "t", None, b"0")).await;
        }
    });
}

/// What was accepted offline is bounded too.
#[test]
fn the_queue_is_bounded_offline() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().outbound_messages(3).start().unwrap();
        let mut completions = Vec::new();
        for number in 0..3 {
            let publish = client.publish("t", number.to_string()).qos(QOS_1);
            completions.push(publish.try_enqueue().unwrap());
        }
        match client.publish("t", "3").qos(QOS_1).try_enqueue() {
            Err(PublishError::NotAccepted {
                rule: Rule::QueueFull,
                ..
            }) => {}
            other => panic!("{other:?}"),
        }
        let (mut link, _) = server.answer(RESUMED).await;
        // Not known to the client: it comes back clean.
        assert_eq!(link.packet().await, [0xE0, 0x00]);
        drop(link);
        let (mut link, _) = server.answer(NEW_SESSION).await;
        for (id, completion) in (1..).zip(completions) {
            link.expect(publish(0x2, "t", Some(id), (id - 1).to_string().as_bytes()))
                .await;
            link.send(ack(0x40, id)).await;
            soon(completion).await.unwrap();
        }
    });
}
