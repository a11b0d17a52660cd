//! Subscriptions: over cuts, lost sessions, refusals, and dropped futures.

mod support;

use std::pin::pin;
use std::task::Poll;

use mqtt5_client::{Notice, QoS, StreamEnd, SubscribeError, UnsubscribeError};
use support::*;

#[test]
fn the_answer_is_told_and_messages_route_from_the_command_on() {
    let (client, mut sim) = Sim::connected(options());
    let mut subscribing = pin!(client.subscribe("a").qos(QoS::AtLeastOnce).into_future());
    assert!(poll(subscribing.as_mut()).is_pending());
    assert_eq!(sim.packets(), [subscribe(1, 1, "a", 1)]);
    sim.send(&publish(0, 0, "a", &[1], "early"));
    sim.send(&suback(1, 0));
    let Poll::Ready(Ok(mut messages)) = poll(subscribing) else {
        panic!()
    };
    assert_eq!(messages.granted(), Some(QoS::AtMostOnce));
    assert_eq!(now(messages.next()).unwrap().payload(), b"early");
}

#[test]
fn a_refusal_is_an_error_and_leaves_nothing_behind() {
    let (client, mut sim) = Sim::connected(options());
    let mut subscribing = pin!(client.subscribe("a").into_future());
    assert!(poll(subscribing.as_mut()).is_pending());
    sim.packets();
    sim.send(&suback(1, 0x87));
    let Poll::Ready(Err(SubscribeError::Refused { reason_code, .. })) = poll(subscribing) else {
        panic!()
    };
    assert_eq!(reason_code.raw(), 0x87);
    assert!(sim.packets().is_empty());
    sim.send(&publish(0, 0, "a", &[1], "x"));
    assert_eq!(client.statistics().unclaimed_discarded, 1);
}

#[test]
fn several_filters_have_an_answer_each() {
    let (client, mut sim) = Sim::connected(options());
    let mut subscribing = pin!(client.subscribe_many(["a", "b", "a"]).into_future());
    assert!(poll(subscribing.as_mut()).is_pending());
    assert_eq!(sim.packets()[0].len(), 2 + 5 + 8);
    sim.send(&[0x90, 5, 0, 1, 0, 0x87, 1]);
    let Poll::Ready(Ok(mut messages)) = poll(subscribing) else {
        panic!()
    };
    let grants = messages.grants();
    assert!(grants[0].result.unwrap().is_err());
    assert_eq!(grants[1].result, Some(Ok(QoS::AtLeastOnce)));
    sim.send(&publish(0, 0, "b", &[1], "x"));
    assert_eq!(now(messages.next()).unwrap().payload(), b"x");
    let mut refused = pin!(client.subscribe_many(["c", "d"]).into_future());
    assert!(poll(refused.as_mut()).is_pending());
    sim.packets();
    sim.send(&[0x90, 5, 0, 1, 0, 0x87, 0x87]);
    assert!(matches!(
        poll(refused),
        Poll::Ready(Err(SubscribeError::Refused { .. }))
    ));
}

#[test]
fn a_pending_subscribe_is_made_again_while_its_future_lives() {
    let (client, mut sim) = Sim::connected(options());
    let mut kept = pin!(client.subscribe("kept").into_future());
    let mut dropped = Box::pin(client.subscribe("dropped").into_future());
    assert!(poll(kept.as_mut()).is_pending());
    assert!(poll(dropped.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 2);
    sim.reset();
    drop(dropped);
    sim.reconnect(CONNACK_RESUMED);
    let packets = sim.packets();
    assert!(
        packets.contains(&subscribe(1, 1, "kept", 2)),
        "{packets:x?}"
    );
    sim.send(&suback(1, 1));
    let packets = [packets, sim.packets()].concat();
    assert!(matches!(poll(kept), Poll::Ready(Ok(_))));
    // The server may or may not have made the other: what was asked for again is undone.
    let asked = packets.contains(&subscribe(2, 2, "dropped", 2));
    if asked {
        sim.send(&suback(2, 1));
        assert!(
            sim.packets()
                .iter()
                .any(|packet| packet.ends_with(b"dropped"))
        );
    }
}

#[test]
fn a_dropped_subscribe_is_undone_when_its_answer_comes() {
    let (client, mut sim) = Sim::connected(options());
    let mut dropped = Box::pin(client.subscribe("a").into_future());
    assert!(poll(dropped.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 1);
    drop(dropped);
    assert!(sim.packets().is_empty());
    sim.send(&suback(1, 1));
    assert_eq!(sim.packets(), [unsubscribe(1, "a")]);
    sim.send(&unsuback(1, 0));
    // Unless somebody wants it by now.
    let mut dropped = Box::pin(client.subscribe("b").into_future());
    assert!(poll(dropped.as_mut()).is_pending());
    let mut wanted = pin!(client.subscribe("b").into_future());
    assert!(poll(wanted.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 2);
    drop(dropped);
    sim.send(&suback(1, 1));
    sim.send(&suback(2, 1));
    assert!(matches!(poll(wanted.as_mut()), Poll::Ready(Ok(_))));
    let packets = sim.packets();
    assert_eq!(
        packets,
        [unsubscribe(1, "b")],
        "its stream is dropped with the result"
    );
}

#[test]
fn a_lost_session_is_restored_with_the_original_options() {
    let (client, mut sim) = Sim::connected(options());
    let mut notices = client.notices(4);
    let subscribe_a = client.subscribe("a").qos(QoS::AtLeastOnce).no_local(true);
    let mut a = subscribe_a.retain_as_published(true).declare().unwrap();
    let mut b = client.subscribe("b").declare().unwrap();
    let asked = sim.packets();
    assert_eq!(asked[0], subscribe(1, 1, "a", 0b1101));
    sim.send(&suback(1, 1));
    sim.send(&suback(2, 1));
    sim.reset();
    // A resumed session has them still.
    sim.reconnect(CONNACK_RESUMED);
    assert!(sim.packets().is_empty());
    sim.reset();
    sim.reconnect(CONNACK);
    assert_eq!(sim.packets(), asked);
    assert!(matches!(now(notices.next()), Some(Notice::SessionLost)));
    let mqtt5_client::ConnectionState::Connected(info) = client.state() else {
        panic!()
    };
    assert!(info.session_lost && info.number == 3 && info.sessions_lost == 1);
    sim.send(&suback(1, 1));
    sim.send(&suback(2, 0x87));
    assert!(
        matches!(now(notices.next()), Some(Notice::SubscriptionLost(filter)) if filter.as_str() == "b")
    );
    assert!(now(b.next()).is_none());
    assert!(matches!(b.end_reason(), Some(StreamEnd::Refused(_))));
    assert!(waits(a.next()));
}

#[test]
fn the_last_stream_of_a_filter_unsubscribes_it() {
    let (client, mut sim) = Sim::connected(options());
    let first = client
        .subscribe("a")
        .qos(QoS::AtMostOnce)
        .no_local(true)
        .declare()
        .unwrap();
    let mut second = client
        .subscribe("a")
        .qos(QoS::AtLeastOnce)
        .declare()
        .unwrap();
    // The second asks for what is enough for both.
    assert_eq!(
        sim.packets(),
        [subscribe(1, 1, "a", 0b0100), subscribe(2, 2, "a", 0b0001)]
    );
    sim.send(&suback(1, 0));
    sim.send(&suback(2, 1));
    drop(first);
    assert!(sim.packets().is_empty());
    let clone = second.clone();
    let mut leaving = pin!(clone.unsubscribe());
    assert!(poll(leaving.as_mut()).is_pending());
    assert_eq!(sim.packets(), [unsubscribe(1, "a")]);
    sim.send(&publish(1, 1, "a", &[2], "under way"));
    sim.send(&unsuback(1, 0x11));
    assert!(matches!(poll(leaving), Poll::Ready(Ok(()))));
    assert_eq!(now(second.next()).unwrap().payload(), b"under way");
    assert!(now(second.next()).is_none());
    assert!(matches!(second.end_reason(), Some(StreamEnd::Unsubscribed)));
    assert_eq!(sim.packets(), [puback(1)]);
    drop(second);
    assert!(sim.packets().is_empty());
}

#[test]
fn an_unsubscribe_survives_a_cut_and_ends_with_the_client() {
    let (client, mut sim) = Sim::connected(options());
    let a = client.subscribe("a").declare().unwrap();
    sim.packets();
    sim.send(&suback(1, 1));
    let mut leaving = pin!(a.unsubscribe());
    assert!(poll(leaving.as_mut()).is_pending());
    assert_eq!(sim.packets(), [unsubscribe(1, "a")]);
    sim.reset();
    sim.reconnect(CONNACK);
    assert_eq!(
        sim.packets(),
        [unsubscribe(1, "a")],
        "asked again, and not restored"
    );
    sim.drop_driver();
    assert!(matches!(
        poll(leaving),
        Poll::Ready(Err(UnsubscribeError::Closed(_)))
    ));
}

#[test]
fn a_server_without_identifiers_is_asked_without() {
    let (client, mut sim) = Sim::new(options());
    let mut a = client.subscribe("a").declare().unwrap();
    sim.run();
    sim.packets();
    // Subscription Identifier Available: 0.
    sim.send(&[0x20, 5, 0, 0, 2, 0x29, 0]);
    assert_eq!(sim.packets(), [packet(0x82, &[&[0, 1, 0, 0, 1, b'a', 2]])]);
    sim.send(&suback(1, 1));
    sim.send(&publish(0, 0, "a", &[], "x"));
    assert_eq!(now(a.next()).unwrap().payload(), b"x");
    assert!(a.end_reason().is_none());
}

#[test]
fn what_the_server_cannot_do_is_told_at_once_or_when_it_is_known() {
    let (client, mut sim) = Sim::new(options());
    let mut subscribing = pin!(client.subscribe("a/#").into_future());
    assert!(poll(subscribing.as_mut()).is_pending());
    sim.run();
    sim.packets();
    // Wildcard Subscription Available: 0.
    sim.send(&[0x20, 5, 0, 0, 2, 0x28, 0]);
    assert!(matches!(
        poll(subscribing),
        Poll::Ready(Err(SubscribeError::NotAccepted(_)))
    ));
    assert!(matches!(
        now(client.subscribe("a/#")),
        Err(SubscribeError::NotAccepted(_))
    ));
    let shared = client.subscribe("$share/g/a").no_local(true);
    assert!(matches!(
        now(shared),
        Err(SubscribeError::NoLocalOnShared(_))
    ));
    assert!(sim.packets().is_empty());
}

#[test]
fn a_subscribe_ends_with_the_driver() {
    let (client, mut sim) = Sim::connected(options());
    let mut sent = pin!(client.subscribe("a").into_future());
    assert!(poll(sent.as_mut()).is_pending());
    sim.settle();
    sim.set_window(Some(0));
    let mut unsent = pin!(client.subscribe("b").into_future());
    assert!(poll(unsent.as_mut()).is_pending());
    sim.drop_driver();
    assert!(matches!(
        poll(sent),
        Poll::Ready(Err(SubscribeError::Closed(_)))
    ));
    assert!(matches!(
        poll(unsent),
        Poll::Ready(Err(SubscribeError::Closed(_)))
    ));
    assert!(matches!(
        now(client.subscribe("c")),
        Err(SubscribeError::Closed(_))
    ));
}

#[test]
fn every_clone_that_unsubscribes_waits_for_the_server() {
    let (client, mut sim) = Sim::connected(options());
    let first = granted(&mut sim, client.subscribe("a"), 1);
    let second = first.clone();
    let mut first = pin!(first.unsubscribe());
    assert!(poll(first.as_mut()).is_pending());
    let mut second = pin!(second.unsubscribe());
    assert!(poll(second.as_mut()).is_pending());
    for id in 1..=u8::try_from(sim.packets().len()).unwrap() {
        sim.send(&unsuback(id, 0x87));
    }
    assert!(matches!(poll(first), Poll::Ready(Err(_))));
    assert!(matches!(poll(second), Poll::Ready(Err(_))));
}

#[test]
fn a_dropped_subscribe_whose_answer_was_cut_off_is_undone() {
    let (client, mut sim) = Sim::connected(options());
    let mut dropped = Box::pin(client.subscribe("a").into_future());
    assert!(poll(dropped.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 1);
    drop(dropped);
    sim.reset();
    sim.reconnect(CONNACK_RESUMED);
    assert_eq!(sim.packets(), [unsubscribe(1, "a")]);
}

#[test]
fn a_refusal_after_a_lost_session_ends_the_older_stream_too() {
    let (client, mut sim) = Sim::connected(options());
    let older = granted(&mut sim, client.subscribe("a"), 1);
    let mut newer = pin!(client.subscribe("a").into_future());
    assert!(poll(newer.as_mut()).is_pending());
    sim.packets();
    sim.reset();
    sim.reconnect(CONNACK);
    assert_eq!(sim.packets().len(), 1);
    sim.send(&suback(1, 0x87));
    assert!(matches!(poll(newer), Poll::Ready(Err(_))));
    assert!(matches!(older.end_reason(), Some(StreamEnd::Refused(_))));
}

#[test]
fn a_request_that_is_made_again_has_one_identifier_for_all_its_filters() {
    let (client, mut sim) = Sim::connected(options());
    let many = client.subscribe_many(["a/+", "a/b"]).declare().unwrap();
    let other = client.subscribe("a/+").declare().unwrap();
    assert_eq!(sim.packets().len(), 2);
    sim.send(&suback(2, 2));
    sim.reset();
    sim.reconnect(CONNACK_RESUMED);
    let packets = sim.packets();
    assert_eq!(packets.len(), 1);
    let identifier = packets[0][6];
    sim.send(&[0x90, 5, 0, 1, 0, 2, 2]);
    sim.send(&publish(0, 0, "a/b", &[identifier], "x"));
    assert_eq!((many.waiting(), other.waiting()), (1, 1));
}

#[test]
fn an_identifier_holds_until_the_server_has_agreed_to_the_next() {
    let (client, mut sim) = Sim::connected(options());
    let older = granted(&mut sim, client.subscribe("a/+"), 1);
    let many = client.subscribe_many(["a/+", "a/b"]).declare().unwrap();
    assert_eq!(sim.packets().len(), 1);
    sim.send(&[0x90, 5, 0, 1, 0, 2, 2]);
    let newer = client.subscribe("a/+").declare().unwrap();
    assert_eq!(sim.packets().len(), 1);
    // Both filters have it at the server still, also if it refuses the next.
    sim.send(&publish(0, 0, "a/b", &[2], "x"));
    assert_eq!((older.waiting(), many.waiting()), (1, 1));
    sim.send(&suback(1, 0x87));
    sim.send(&publish(0, 0, "a/b", &[2], "x"));
    assert_eq!((older.waiting(), many.waiting()), (2, 2));
    drop(newer);
    // One that was agreed to takes its place: each copy goes to its own.
    let newer = client.subscribe("a/+").declare().unwrap();
    sim.send(&suback(1, 2));
    sim.send(&publish(0, 0, "a/b", &[2], "x"));
    sim.send(&publish(0, 0, "a/b", &[4], "x"));
    assert_eq!(
        (older.waiting(), many.waiting(), newer.waiting()),
        (3, 4, 1)
    );
}

#[test]
fn a_subscribe_that_no_longer_fits_is_undone_where_it_may_have_been_done() {
    let (client, mut sim) = Sim::connected(options());
    let mut subscribing = pin!(client.subscribe("a/#").into_future());
    assert!(poll(subscribing.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 1);
    sim.reset();
    sim.reconnect(&[0x20, 5, 1, 0, 2, 0x28, 0]);
    assert!(matches!(
        poll(subscribing),
        Poll::Ready(Err(SubscribeError::NotAccepted(_)))
    ));
    assert_eq!(sim.packets(), [unsubscribe(1, "a/#")]);
}

#[test]
fn a_request_that_does_not_fit_takes_no_older_stream_with_it_after_a_lost_session() {
    let (client, mut sim) = Sim::connected(options());
    let mut older = granted(&mut sim, client.subscribe("a"), 1);
    sim.reset();
    let newer = client.subscribe_many(["a", "+"]).declare().unwrap();
    // Wildcard Subscription Available: 0.
    sim.reconnect(&[0x20, 5, 0, 0, 2, 0x28, 0]);
    assert!(matches!(newer.end_reason(), Some(StreamEnd::NotPossible)));
    assert_eq!(sim.packets(), [subscribe(1, 2, "a", 2)]);
    sim.send(&suback(1, 2));
    sim.send(&publish(0, 0, "a", &[2], "x"));
    assert_eq!(now(older.next()).unwrap().payload(), b"x");
}

#[test]
fn a_malformed_answer_takes_no_older_stream_with_it_after_a_lost_session() {
    let (client, mut sim) = Sim::connected(options());
    let mut older = granted(&mut sim, client.subscribe("a"), 1);
    sim.reset();
    let newer = client.subscribe_many(["a", "b"]).declare().unwrap();
    sim.reconnect(CONNACK);
    assert_eq!(sim.packets().len(), 1);
    // One code for two filters.
    sim.send(&suback(1, 2));
    assert!(matches!(newer.end_reason(), Some(StreamEnd::NotPossible)));
    let packets = sim.packets();
    assert_eq!(packets, [unsubscribe(1, "b"), subscribe(2, 2, "a", 2)]);
    sim.send(&unsuback(1, 0));
    sim.send(&suback(2, 2));
    sim.send(&publish(0, 0, "a", &[2], "x"));
    assert_eq!(now(older.next()).unwrap().payload(), b"x");
}
