//! Streams: routing, acknowledgement, sharing of work, queues.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mqtt5_client::proto::packet::PublishReasonCode;
use mqtt5_client::{Client, Message, Messages, Notice, QoS, StallPolicy, StreamEnd, WhenFull};
use support::*;

fn next(messages: &mut Messages) -> Message {
    now(messages.next()).expect("ended")
}

fn payload(messages: &mut Messages) -> String {
    String::from_utf8(next(messages).payload().to_vec()).unwrap()
}

#[test]
fn a_message_is_acknowledged_when_the_next_one_is_asked_for() {
    let (client, mut sim) = Sim::connected(options());
    let mut messages = granted(&mut sim, client.subscribe("a"), 1);
    sim.send(&publish(1, 1, "a", &[1], "x"));
    sim.send(&publish(2, 2, "a", &[1], "y"));
    assert!(sim.packets().is_empty());
    assert_eq!(payload(&mut messages), "x");
    assert!(sim.packets().is_empty());
    assert_eq!(payload(&mut messages), "y");
    assert_eq!(sim.packets(), [puback(1)]);
    assert!(waits(messages.next()));
    assert_eq!(sim.packets(), [[0x50, 2, 0, 2]]);
    sim.send(&[0x62, 2, 0, 2]);
    assert_eq!(sim.packets(), [[0x70, 2, 0, 2]]);
}

#[test]
fn dropping_a_message_acknowledges_nothing_and_explicitly_is_at_once() {
    let (client, mut sim) = Sim::connected(options());
    let mut messages = granted(&mut sim, client.subscribe("a"), 1);
    sim.send(&publish(1, 1, "a", &[1], "x"));
    sim.send(&publish(1, 2, "a", &[1], "y"));
    drop(next(&mut messages));
    assert!(sim.packets().is_empty());
    let second = next(&mut messages);
    assert_eq!(sim.packets(), [puback(1)]);
    messages
        .reject(&second, PublishReasonCode::NotAuthorized)
        .unwrap();
    assert_eq!(sim.packets(), [[0x40, 3, 0, 2, 0x87]]);
    assert!(messages.acknowledge(&second).is_err());
    assert!(waits(messages.next()));
    assert!(sim.packets().is_empty());
}

#[test]
fn manual_acknowledgements_leave_in_the_order_of_the_standard() {
    let (client, mut sim) = Sim::connected(options());
    let mut messages = granted(&mut sim, client.subscribe("a").manual_acknowledge(), 1);
    for id in 1..=3 {
        sim.send(&publish(1, id, "a", &[1], "x"));
    }
    let taken = [
        next(&mut messages),
        next(&mut messages),
        next(&mut messages),
    ];
    assert!(waits(messages.next()));
    messages.acknowledge(&taken[2]).unwrap();
    messages.acknowledge(&taken[1]).unwrap();
    assert!(sim.packets().is_empty());
    messages.acknowledge(&taken[0]).unwrap();
    assert_eq!(sim.packets(), [puback(1), puback(2), puback(3)]);
}

#[test]
fn clones_share_the_work_and_what_one_leaves_undone() {
    let (client, mut sim) = Sim::connected(options());
    let mut first = granted(&mut sim, client.subscribe("a"), 1);
    let mut second = first.clone();
    let flag = Flag::new();
    let waker = std::task::Waker::from(flag.clone());
    for id in 1..=3 {
        sim.send(&publish(1, id, "a", &[1], &format!("{id}")));
    }
    assert_eq!(payload(&mut first), "1");
    assert_eq!(payload(&mut second), "2");
    assert_eq!(payload(&mut second), "3");
    // Not before the first: the standard orders acknowledgements.
    assert!(sim.packets().is_empty());
    {
        let mut waiting = pin!(second.next());
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert!(flag.take());
        let Poll::Ready(Some(message)) = waiting.as_mut().poll(&mut cx) else {
            panic!()
        };
        assert_eq!(message.payload(), b"1");
    }
    assert!(waits(second.next()));
    assert_eq!(sim.packets(), [puback(1), puback(2), puback(3)]);
}

#[test]
fn a_message_of_several_streams_is_acknowledged_by_all_and_the_worst_reason_wins() {
    let (client, mut sim) = Sim::connected(options());
    let mut one = granted(&mut sim, client.subscribe("a/#"), 1);
    let mut two = granted(&mut sim, client.subscribe("a/+"), 1);
    sim.send(&publish(1, 1, "a/b", &[1, 2], "x"));
    let message = next(&mut one);
    one.reject(&message, PublishReasonCode::QuotaExceeded)
        .unwrap();
    assert!(sim.packets().is_empty());
    assert_eq!(payload(&mut two), "x");
    assert!(waits(two.next()));
    assert_eq!(sim.packets(), [[0x40, 3, 0, 1, 0x97]]);
    // One owner goes without acknowledging.
    sim.send(&publish(1, 1, "a/b", &[1, 2], "y"));
    drop(two);
    assert_eq!(payload(&mut one), "y");
    assert!(waits(one.next()));
    assert_eq!(sim.packets(), [unsubscribe(1, "a/+"), puback(1)]);
}

#[test]
fn identifiers_route_if_the_filter_agrees_and_filters_do_otherwise() {
    let (client, mut sim) = Sim::connected(options());
    let mut one = granted(&mut sim, client.subscribe("a/#"), 1);
    let mut two = granted(&mut sim, client.subscribe("a/+"), 1);
    // The server sends one copy for each.
    sim.send(&publish(0, 0, "a/b", &[1], "for one"));
    sim.send(&publish(0, 0, "a/b", &[2], "for two"));
    assert_eq!(payload(&mut one), "for one");
    assert_eq!(payload(&mut two), "for two");
    // Unknown, not fitting, or missing.
    for identifiers in [&[9][..], &[][..]] {
        sim.send(&publish(0, 0, "a/b", identifiers, "both"));
        assert_eq!(
            (payload(&mut one), payload(&mut two)),
            ("both".into(), "both".into())
        );
    }
    sim.send(&publish(0, 0, "a/b/c", &[2], "wrong"));
    assert_eq!(payload(&mut one), "wrong");
    assert_eq!((one.waiting(), two.waiting()), (0, 0));
}

#[test]
fn what_nobody_claims_is_acknowledged_discarded_and_counted() {
    let (client, mut sim) = Sim::connected(options());
    let mut tap = client.observe(8);
    sim.send(&publish(1, 1, "a", &[], "x"));
    sim.send(&publish(0, 0, "a", &[], "y"));
    assert_eq!(sim.packets(), [puback(1)]);
    assert_eq!(client.statistics().unclaimed_discarded, 2);
    assert_eq!(now(tap.next()).unwrap().payload(), b"x");
    let mut rest = client.messages();
    sim.send(&publish(1, 1, "a", &[], "z"));
    assert_eq!(payload(&mut rest), "z");
    assert!(sim.packets().is_empty());
    // Without a consumer it is treated like the others.
    drop(rest);
    assert_eq!(sim.packets(), [puback(1)]);
}

#[test]
fn a_durable_session_holds_what_nobody_claims() {
    let durable = options().durable("c", Duration::from_secs(60));
    let (client, mut sim) = Sim::connected_by(durable, CONNACK_RESUMED);
    sim.send(&publish(1, 1, "a/1", &[7], "x"));
    sim.send(&publish(1, 2, "b/1", &[8], "y"));
    assert!(sim.packets().is_empty());
    let mut a = client.subscribe("a/+").declare().unwrap();
    assert_eq!(sim.packets().len(), 1);
    assert_eq!(payload(&mut a), "x");
    let mut rest = client.messages();
    assert_eq!(payload(&mut rest), "y");
    assert!(waits(a.next()));
    assert!(waits(rest.next()));
    assert_eq!(sim.packets(), [puback(1), puback(2)]);
    // Dropping the stream keeps the subscription.
    sim.send(&suback(1, 2));
    drop(a);
    assert!(sim.packets().is_empty());
}

#[test]
fn what_several_dropped_streams_had_is_held_once_and_not_acknowledged_unread() {
    for lost in [false, true] {
        let durable = options().durable("c", Duration::from_secs(60));
        let (client, mut sim) = Sim::connected_by(durable, CONNACK_RESUMED);
        let one = granted(&mut sim, client.subscribe("a/#"), 1);
        let two = granted(&mut sim, client.subscribe("a/+"), 1);
        sim.send(&publish(1, 1, "a/b", &[1, 2], "x"));
        if lost {
            sim.reset();
            sim.reconnect(CONNACK);
        }
        let mut rest = client.messages();
        drop(one);
        drop(two);
        assert!(sim.packets().iter().all(|packet| packet[0] != 0x40));
        assert_eq!(payload(&mut rest), "x");
        assert!(waits(rest.next()));
        let acknowledged = sim.packets().contains(&puback(1));
        assert_eq!(acknowledged, !lost);
    }
}

#[test]
fn a_message_of_qos_0_that_two_streams_had_comes_to_nobody_twice() {
    let (client, mut sim) = Sim::connected(options());
    let one = granted(&mut sim, client.subscribe("a/#"), 1);
    let two = granted(&mut sim, client.subscribe("a/+"), 1);
    let mut rest = client.messages();
    sim.send(&publish(0, 0, "a/b", &[1, 2], "x"));
    drop(one);
    drop(two);
    assert!(waits(rest.next()));
    assert_eq!(client.statistics().unclaimed_discarded, 2);
}

#[test]
fn the_newest_or_the_oldest_of_qos_0_is_dropped_and_counted() {
    for (when_full, kept) in [
        (WhenFull::DropNewest, ["1", "2"]),
        (WhenFull::DropOldest, ["2", "3"]),
    ] {
        let (client, mut sim) = Sim::connected(options());
        let subscribe = client.subscribe("a").buffer(2).when_full(when_full);
        let mut messages = granted(&mut sim, subscribe, 1);
        sim.send(&publish(1, 1, "a", &[1], "never dropped"));
        for n in 1..=3 {
            sim.send(&publish(0, 0, "a", &[1], &format!("{n}")));
        }
        assert_eq!(payload(&mut messages), "never dropped");
        assert_eq!([payload(&mut messages), payload(&mut messages)], kept);
        assert_eq!(client.statistics().qos0_dropped, 1);
    }
}

#[test]
fn reading_rests_for_a_full_queue_while_nobody_waits_for_an_answer() {
    let (client, mut sim) = Sim::connected(options());
    let subscribe = client
        .subscribe("a")
        .buffer(2)
        .when_full(WhenFull::PauseReading);
    let mut messages = granted(&mut sim, subscribe, 1);
    for n in 0..100 {
        sim.send(&publish(0, 0, "a", &[1], &format!("{n}")));
    }
    assert_eq!(messages.waiting(), 2);
    for n in 0..50 {
        assert_eq!(payload(&mut messages), format!("{n}"));
        sim.settle();
    }
    assert_eq!(client.statistics().qos0_dropped, 0);
    // An answer is waited for: reading goes on, and what has no room is dropped.
    let mut done = pin!(client.publish("b", "").qos(QoS::AtLeastOnce).into_future());
    assert!(poll(done.as_mut()).is_pending());
    sim.settle();
    sim.send(&publish(0, 0, "a", &[1], "no room"));
    sim.send(&puback(1));
    assert!(poll(done).is_ready());
    assert_eq!(client.statistics().qos0_dropped, 1);
}

#[test]
fn a_flood_is_read_a_little_at_a_time_so_that_its_consumer_has_a_chance() {
    let (client, mut sim) = Sim::connected(options());
    let subscribe = client.subscribe("a").buffer(usize::MAX);
    let mut messages = granted(&mut sim, subscribe, 1);
    let message = publish(0, 0, "a", &[1], &"x".repeat(100));
    let flood = message.repeat(10_000);
    sim.lay(&flood);
    let mut taken = 0;
    while sim.unread() > 0 {
        let before = sim.unread();
        let again = sim.run_once();
        assert!(again || sim.unread() == 0, "nobody would read the rest");
        let read = before - sim.unread();
        assert!(read > 0 && read <= 200 << 10, "{read}");
        while messages.waiting() > 0 {
            assert_eq!(payload(&mut messages).len(), 100);
            taken += 1;
        }
    }
    assert!(!sim.run_once());
    assert_eq!(taken, 10_000);
}

#[test]
fn what_comes_in_pieces_is_read_to_its_end() {
    for piece in 1..20 {
        let (client, mut sim) = Sim::connected(options());
        let mut messages = granted(&mut sim, client.subscribe("a"), 1);
        sim.wire().lock().unwrap().piece = Some(piece);
        let two = [publish(0, 0, "a", &[1], "1"), publish(0, 0, "a", &[1], "2")].concat();
        let (begun, rest) = two.split_at(5);
        sim.send(begun);
        assert_eq!((sim.unread(), messages.waiting()), (0, 0));
        sim.send(rest);
        assert_eq!(sim.unread(), 0);
        assert_eq!([payload(&mut messages), payload(&mut messages)], ["1", "2"]);
    }
}

#[test]
fn thousands_of_small_messages_of_one_read_all_come() {
    let (client, mut sim) = Sim::connected(options());
    let subscribe = client.subscribe("a").buffer(usize::MAX);
    let messages = granted(&mut sim, subscribe, 1);
    sim.send(&publish(0, 0, "a", &[1], "").repeat(6_000));
    assert_eq!((sim.unread(), messages.waiting()), (0, 6_000));
}

#[test]
fn a_stalled_consumer_is_told_and_refused_by_policy() {
    for policy in [StallPolicy::Hold, StallPolicy::Refuse] {
        let (client, mut sim) = Sim::connected(options().receive_maximum(4).stall_policy(policy));
        let mut notices = client.notices(4);
        let mut messages = granted(&mut sim, client.subscribe("a").manual_acknowledge(), 1);
        sim.send(&publish(1, 1, "a", &[1], "stuck"));
        sim.send(&publish(1, 2, "a", &[1], "done"));
        sim.send(&publish(1, 3, "a", &[1], "done"));
        let stuck = next(&mut messages);
        for _ in 0..2 {
            let done = next(&mut messages);
            messages.acknowledge(&done).unwrap();
        }
        assert!(matches!(
            now(notices.next()),
            Some(Notice::AcksStalled { .. })
        ));
        let packets = sim.packets();
        if policy == StallPolicy::Hold {
            assert!(packets.is_empty());
            messages.acknowledge(&stuck).unwrap();
            assert_eq!(sim.packets().len(), 3);
        } else {
            assert_eq!(packets, [vec![0x40, 3, 0, 1, 0x97], puback(2), puback(3)]);
            assert!(messages.acknowledge(&stuck).is_err());
        }
    }
}

#[test]
fn a_consumer_may_publish_with_every_queue_full() {
    let (client, mut sim) = Sim::connected(options().outbound_messages(1).receive_maximum(2));
    let mut messages = granted(&mut sim, client.subscribe("a").buffer(1), 1);
    let _stuck = client
        .publish("b", "0")
        .qos(QoS::AtLeastOnce)
        .try_enqueue()
        .unwrap();
    assert_eq!(sim.packets().len(), 1);
    for n in 0..10u8 {
        let id = n % 2 + 1;
        sim.send(&publish(1, id, "a", &[1], "x"));
        drop(next(&mut messages));
        let mut answer = pin!(client.publish("b", "1").qos(QoS::AtLeastOnce).into_future());
        assert!(poll(answer.as_mut()).is_pending());
        assert!(waits(messages.next()));
        assert_eq!(sim.packets(), [puback(id)]);
    }
}

#[test]
fn streams_end_with_the_client_after_what_waits_in_them() {
    let (client, mut sim) = Sim::connected(options());
    let mut messages = granted(&mut sim, client.subscribe("a"), 1);
    sim.send(&publish(0, 0, "a", &[1], "last"));
    sim.drop_driver();
    assert_eq!(payload(&mut messages), "last");
    assert!(now(messages.next()).is_none());
    assert!(matches!(messages.end_reason(), Some(StreamEnd::Closed(_))));
    let ended: Option<Message> = now(client.observe(1).next());
    assert!(ended.is_none());
}

#[test]
fn thousands_of_subscriptions_are_told_apart() {
    let (client, mut sim) = Sim::connected(options());
    let streams: Vec<Messages> = (0..100)
        .map(|n| client.subscribe(format!("t/{n}")).declare().unwrap())
        .collect();
    assert_eq!(sim.packets().len(), 100);
    sim.send(&publish(0, 0, "t/41", &[42], "x"));
    for (n, stream) in streams.iter().enumerate() {
        assert_eq!(stream.waiting(), usize::from(n == 41));
    }
    let clients: Client = streams[0].client();
    assert!(clients.state().is_connected());
}

#[test]
fn a_refused_message_leaves_the_queue_in_which_it_waited() {
    let policy = StallPolicy::Refuse;
    let (client, mut sim) = Sim::connected(options().receive_maximum(4).stall_policy(policy));
    let stuck = granted(&mut sim, client.subscribe("stuck"), 1);
    let mut done = granted(&mut sim, client.subscribe("done"), 1);
    for round in 0..20u64 {
        sim.send(&publish(1, 1, "stuck", &[1], "x"));
        sim.send(&publish(1, 2, "done", &[2], "x"));
        now(done.next()).unwrap();
        assert!(waits(done.next()));
        assert_eq!(sim.packets(), [vec![0x40, 3, 0, 1, 0x97], puback(2)]);
        assert_eq!(client.statistics().stalled_refused, round + 1);
        assert_eq!(stuck.waiting(), 0);
    }
}

#[test]
fn a_server_that_releases_early_cannot_fill_a_queue() {
    let (client, mut sim) = Sim::connected(options().receive_maximum(4).receive_excess(0));
    let messages = granted(&mut sim, client.subscribe("a"), 1);
    for _ in 0..100 {
        sim.send(&publish(2, 1, "a", &[1], "x"));
        sim.send(&[0x62, 2, 0, 1]);
    }
    assert!(client.state().is_connected());
    assert!(messages.waiting() <= 8, "{}", messages.waiting());
}

#[test]
fn a_server_that_loses_its_session_cannot_fill_a_queue() {
    let (client, mut sim) = Sim::connected(options().receive_maximum(4).receive_excess(0));
    let mut messages = granted(&mut sim, client.subscribe("a").manual_acknowledge(), 1);
    for round in 0..10u8 {
        for id in 1..=4 {
            sim.send(&publish(1, id, "a", &[1], &format!("{round}{id}")));
        }
        sim.reset();
        sim.reconnect(CONNACK);
        sim.packets();
        sim.send(&suback(1, 2));
    }
    assert!(messages.waiting() <= 8, "{}", messages.waiting());
    for id in 1..=4 {
        sim.send(&publish(1, id, "a", &[1], "last"));
    }
    let mut last = 0;
    while messages.waiting() > 0 {
        let message = now(messages.next()).unwrap();
        let done = messages.acknowledge(&message).is_ok();
        assert_eq!(done, message.payload() == b"last");
        last += u32::from(done);
    }
    assert_eq!(last, 4);
    assert_eq!(sim.packets().len(), 4);
}

#[test]
fn dropping_the_oldest_keeps_to_the_bound_in_bytes() {
    let (client, mut sim) = Sim::connected(options());
    let subscribe = client.subscribe("a").when_full(WhenFull::DropOldest);
    let messages = granted(&mut sim, subscribe.buffer_bytes(100), 1);
    for _ in 0..9 {
        sim.send(&publish(0, 0, "a", &[1], "x"));
    }
    for _ in 0..9 {
        sim.send(&publish(0, 0, "a", &[1], &"x".repeat(95)));
    }
    assert_eq!(messages.waiting(), 1);
    assert_eq!(client.statistics().qos0_dropped, 17);
}

#[test]
fn what_was_read_is_not_lost_when_reading_rests() {
    let (client, mut sim) = Sim::connected(options());
    let subscribe = client.subscribe("a").when_full(WhenFull::PauseReading);
    let mut messages = granted(&mut sim, subscribe.buffer(1), 1);
    sim.send(&publish(0, 0, "a", &[1], "1"));
    sim.send(&publish(0, 0, "a", &[1], "2"));
    sim.wire().lock().unwrap().server_closed = true;
    for _ in 0..3 {
        let _ = client.publish("b", "x").try_enqueue();
        sim.settle();
    }
    assert_eq!(now(messages.next()).unwrap().payload(), b"1");
    sim.settle();
    assert_eq!(messages.waiting(), 1);
    assert_eq!(now(messages.next()).unwrap().payload(), b"2");
    sim.settle();
    assert!(!client.state().is_connected());
}

#[test]
fn a_publish_wakes_a_driver_that_rests_at_the_end_of_its_input() {
    let (client, mut sim) = Sim::connected(options());
    let subscribe = client.subscribe("a").when_full(WhenFull::PauseReading);
    let messages = granted(&mut sim, subscribe.buffer(1), 1);
    sim.set_window(Some(0));
    let sent = client.publish("b", "x").try_enqueue().unwrap();
    sim.settle();
    sim.send(&[&publish(0, 0, "a", &[1], "1")[..], &[0x30, 9]].concat());
    {
        let wire = sim.wire();
        let mut wire = wire.lock().unwrap();
        wire.server_closed = true;
    }
    sim.set_window(None);
    now(sent).unwrap();
    assert_eq!(messages.waiting(), 1);
    let message = client.publish("b", "x").qos(QoS::AtLeastOnce);
    let _sent = message.try_enqueue().unwrap();
    sim.settle();
    assert!(!client.state().is_connected());
}

#[test]
fn what_a_subscription_without_a_stream_brings_is_held_though_another_was_unsubscribed() {
    let durable = options().durable("c", Duration::from_secs(60));
    let (client, mut sim) = Sim::connected_by(durable, CONNACK_RESUMED);
    let left = granted(&mut sim, client.subscribe("a/#"), 1);
    drop(granted(&mut sim, client.subscribe("a/+"), 1));
    let mut leaving = pin!(left.unsubscribe());
    assert!(poll(leaving.as_mut()).is_pending());
    assert_eq!(sim.packets(), [unsubscribe(1, "a/#")]);
    sim.send(&unsuback(1, 0));
    assert!(poll(leaving).is_ready());
    // One for both of them, and one for what was left alone.
    sim.send(&publish(1, 1, "a/b", &[], "held"));
    sim.send(&publish(1, 2, "a", &[], "gone"));
    assert_eq!(
        sim.packets(),
        Vec::<Vec<u8>>::new(),
        "a PUBACK overtakes none"
    );
    let mut again = granted(&mut sim, client.subscribe("a/+"), 1);
    assert_eq!(payload(&mut again), "held");
    assert!(waits(again.next()));
    assert_eq!(sim.packets(), [puback(1), puback(2)]);
    assert_eq!(client.statistics().unclaimed_discarded, 1);
}
