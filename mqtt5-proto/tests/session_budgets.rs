//! What a session may hold: operations, bytes, events, output (bounded whatever the peer does).

mod session_support;

use bytes::BytesMut;
use mqtt5_proto::packet::{ApplicationMessage, MessageProperties, UserProperty};
use mqtt5_proto::session::{
    Event, InputStatus, Phase, PublishVerdict, RequestVerdict, Rule, SessionConfig,
    SubscribeRequest, Transmit,
};
use mqtt5_proto::{QoS, Topic};
use session_support::*;

#[test]
fn operations_are_bounded_and_what_was_passed_in_comes_back() {
    let config = SessionConfig {
        outbound_messages: 2,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    let first = peer.qos1("a");
    peer.subscribe(&["a"]);
    let given = message(QoS::AtMostOnce, "b");
    let refused = peer.session.publish(given.clone(), peer.now).unwrap_err();
    assert_eq!((refused.rule, refused.given), (Rule::QueueFull, given));
    let subscription =
        mqtt5_proto::packet::Subscription::new(mqtt5_proto::TopicFilter::new("b").unwrap());
    let given = SubscribeRequest::from(subscription);
    let refused = peer.session.subscribe(given.clone()).unwrap_err();
    assert_eq!((refused.rule, refused.given), (Rule::QueueFull, given));
    peer.drain();
    // A verdict makes room, the sending does not.
    assert!(
        peer.session
            .publish(message(QoS::AtMostOnce, "b"), peer.now)
            .is_err()
    );
    peer.given("40 02 00 02");
    peer.expect_acknowledged(first, 0x00);
    peer.qos0("b");
}

#[test]
fn a_budget_of_bytes_can_be_used_up_to_the_last() {
    let mut peer = Peer::connected();
    peer.qos1("x");
    let one = peer.session.pending_bytes();
    let config = SessionConfig {
        outbound_bytes: 2 * one,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.qos1("x");
    peer.qos1("y");
    assert_eq!(peer.session.pending_bytes(), 2 * one);
    let refused = peer.session.publish(message(QoS::AtMostOnce, ""), peer.now);
    assert_eq!(refused.unwrap_err().rule, Rule::QueueFull);
}

#[test]
fn bytes_are_bounded_and_one_message_always_fits() {
    let config = SessionConfig {
        outbound_bytes: 10_000,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    // Larger than the budget, but alone.
    let large = peer.qos1(&"x".repeat(20_000));
    let refused = peer
        .session
        .publish(message(QoS::AtLeastOnce, "a"), peer.now)
        .unwrap_err();
    assert_eq!(refused.rule, Rule::QueueFull);
    assert!(peer.session.pending_bytes() > 20_000);
    peer.drain();
    peer.given("40 02 00 01");
    peer.expect_acknowledged(large, 0x00);
    assert_eq!(peer.session.pending_bytes(), 0);
    // Topics and properties count.
    let mut with_properties = message(QoS::AtLeastOnce, "");
    with_properties.properties_mut().user_properties =
        vec![UserProperty::new("k", &"v".repeat(9_900)).unwrap()];
    peer.publish_message(with_properties);
    assert!(
        peer.session
            .publish(message(QoS::AtLeastOnce, &"x".repeat(1000)), peer.now)
            .is_err()
    );
}

/// What a message for "t" with the payload "x" counts to the budget after `change`.
fn counted(change: impl FnOnce(&mut ApplicationMessage)) -> usize {
    let mut message = message(QoS::AtLeastOnce, "x");
    change(&mut message);
    let mut peer = Peer::new(config());
    peer.publish_message(message);
    peer.session.pending_bytes()
}

#[test]
fn every_byte_of_topic_payload_and_properties_counts_once() {
    let bare = counted(|_| {});
    let longer = counted(|message| {
        message.topic = Topic::new("t/123").unwrap();
        message.payload = "x12".into();
    });
    assert_eq!(longer, bare + 4 + 2);
    let empty = counted(|message| *message.properties_mut() = MessageProperties::default());
    let full = counted(|message| {
        let properties = message.properties_mut();
        properties.content_type = Some(text("12345"));
        properties.response_topic = Some(Topic::new("1234567").unwrap());
        properties.correlation_data = Some(data(b"12345678901"));
    });
    assert_eq!(full, empty + 5 + 7 + 11);
    let user = |properties: &[(&str, &str)]| {
        let properties = properties.iter();
        let properties = properties.map(|(name, value)| UserProperty::new(name, value).unwrap());
        counted(|message| message.properties_mut().user_properties = properties.collect())
    };
    let one = user(&[("nn", "vv")]);
    assert_eq!(user(&[("nn123", "vv")]), one + 3);
    assert_eq!(user(&[("nn", "vv12345")]), one + 5);
    assert_eq!(
        user(&[("nn", "vv"), ("nn", "vv")]) - empty,
        2 * (one - empty)
    );
    // And what holds them.
    assert!(empty - bare >= size_of::<MessageProperties>());
    assert!(one - empty >= size_of::<UserProperty>() + 4);
}

#[test]
fn a_budget_that_changes_holds_at_once() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.session.config_mut().outbound_messages = 1;
    assert!(
        peer.session
            .publish(message(QoS::AtLeastOnce, "b"), peer.now)
            .is_err()
    );
}

#[test]
fn input_rests_while_events_wait_to_be_taken_and_none_is_lost() {
    let mut peer = Peer::connected();
    let mut stream = Vec::new();
    for number in 0..1000_u16 {
        stream.extend_from_slice(&[0x30, 0x06, 0x00, 0x01, 0x74, 0x00]);
        stream.extend_from_slice(&number.to_be_bytes());
    }
    let mut status = peer.given_bytes(&stream);
    let mut next = 0_u16;
    loop {
        let events = peer.events();
        assert!(events.len() <= 260, "{} events at once", events.len());
        for event in events {
            match event {
                Event::Message(message) => assert_eq!(message.payload(), next.to_be_bytes()),
                other => panic!("{other:?}"),
            }
            next += 1;
        }
        if status != InputStatus::EventsWaiting {
            break;
        }
        status = peer.given_nothing();
    }
    assert_eq!(next, 1000);
    assert_eq!(status, InputStatus::NeedMore { missing: 2 });
}

#[test]
fn a_peer_that_sends_and_does_not_read_gets_no_more_answers() {
    let mut peer = Peer::connected();
    let flood = [0x62, 0x02, 0x00, 0x09].repeat(1000);
    let mut out = 0;
    let mut blocked = false;
    for _ in 0..1000 {
        blocked = peer.given_bytes(&flood) == InputStatus::OutputFull;
        out += peer.poll_only().len();
        if blocked {
            break;
        }
    }
    // 256 KiB handed out, and 64 KiB in stock.
    assert!(blocked);
    assert!(out <= (256 << 10) + (64 << 10) + 10, "{out} bytes");
    assert_eq!(peer.session.phase(), Phase::Connected);
    // Once it reads, all goes on.
    let mut answered = out;
    for _ in 0..1000 {
        peer.transmit_all();
        answered += peer.poll_only().len();
        if peer.given_nothing() != InputStatus::OutputFull {
            break;
        }
    }
    peer.transmit_all();
    answered += peer.drain().len();
    assert_eq!(answered % 5, 0);
    assert!(matches!(peer.given_nothing(), InputStatus::NeedMore { .. }));
}

#[test]
fn what_is_handed_out_and_not_taken_is_bounded() {
    let mut peer = Peer::connected();
    for _ in 0..1000 {
        peer.qos0(&"x".repeat(4000));
    }
    let mut out = BytesMut::new();
    let mut calls = 0;
    while let Some(transmit) = peer.session.poll_transmit(&mut out, peer.now) {
        assert_eq!(transmit, Transmit::Buffered);
        calls += 1;
    }
    // The window, give or take a packet; 64 KiB a call.
    assert!(out.len() <= (256 << 10) + 4010, "{}", out.len());
    assert!(calls >= 4);
    // As it is taken, more comes.
    let mut total = out.len();
    let mut held = out.len();
    while held > 0 {
        peer.session.handle_transmitted(held, peer.now);
        out.clear();
        while peer.session.poll_transmit(&mut out, peer.now).is_some() {}
        held = out.len();
        total += held;
    }
    // Remaining Length 3 + 1 + 4000, two bytes of length
    assert_eq!(total, 1000 * (1 + 2 + 4004));
    let sent = peer.events();
    assert_eq!(sent.len(), 1000);
    assert!(sent.iter().all(|event| matches!(
        event,
        Event::Published {
            verdict: PublishVerdict::Sent,
            ..
        }
    )));
}

#[test]
fn at_256_kib_on_their_way_not_one_byte_more_is_handed_out() {
    let mut peer = Peer::connected();
    // 4 bytes of fixed header and 4 in front of the payload: 128 KiB, and one byte less.
    let first = peer.qos0(&"x".repeat((128 << 10) - 8));
    peer.qos0(&"x".repeat((128 << 10) - 9));
    assert_eq!(peer.poll_only().len(), (256 << 10) - 1);
    // Room for a byte is room for a message,
    peer.qos0("a");
    peer.expect_held("30 05 00 01 74 00 61");
    // and as soon as fewer than 256 KiB are under way, the next one goes.
    peer.qos0("b");
    peer.transmit(6);
    peer.expect_held("");
    peer.expect_no_event();
    peer.transmit(1);
    peer.expect_held("30 05 00 01 74 00 62");
    peer.transmit((128 << 10) - 7);
    assert_eq!(peer.expect_verdict(first), PublishVerdict::Sent);
}

#[test]
fn handle_transmitted_takes_no_more_than_was_handed_out() {
    let mut peer = Peer::connected();
    let first = peer.qos0("a");
    peer.expect_held("30 05 00 01 74 00 61");
    peer.session.handle_transmitted(usize::MAX, peer.now);
    assert_eq!(peer.expect_verdict(first), PublishVerdict::Sent);
    let second = peer.qos0("b");
    peer.expect_held("30 05 00 01 74 00 62");
    peer.expect_no_event();
    peer.session.handle_transmitted(7, peer.now);
    assert_eq!(peer.expect_verdict(second), PublishVerdict::Sent);
}

#[test]
fn a_five_byte_header_costs_no_memory() {
    let config = SessionConfig {
        maximum_packet_size: mqtt5_proto::codec::MaximumPacketSize::PROTOCOL,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    let mut input = BytesMut::from(&hex("30 FF FF FF 7F")[..]);
    let capacity = input.capacity();
    let status = peer.session.handle_input(&mut input, peer.now);
    assert_eq!(
        status,
        InputStatus::NeedMore {
            missing: 268_435_455
        }
    );
    assert_eq!(input.capacity(), capacity);
}

#[test]
fn poll_transmit_appends_to_what_lies_in_the_buffer() {
    let mut peer = Peer::connected();
    peer.qos0("a");
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(
        peer.session.poll_transmit(&mut out, peer.now),
        Some(Transmit::Buffered)
    );
    assert_eq!(out[..6], b"before"[..]);
    assert_eq!(out[6..], hex("30 05 00 01 74 00 61"));
}

#[test]
fn what_lies_in_the_buffer_already_is_none_of_the_sessions_bytes() {
    let mut peer = Peer::connected();
    // More than the session itself would ever hand out at a time.
    let before = vec![0xFF; 300 << 10];
    let mut out = BytesMut::from(&before[..]);
    let subscribed = peer.subscribe(&["a"]);
    let unsubscribed = peer.unsubscribe(&["a"]);
    let first = peer.qos0("b");
    let second = peer.qos0("c");
    let third = peer.qos1("d");
    while peer.session.poll_transmit(&mut out, peer.now).is_some() {}
    assert_eq!(out[..before.len()], before[..]);
    let sent = hex("82 07 00 01 00 00 01 61 02 | A2 06 00 02 00 00 01 61 \
         | 30 05 00 01 74 00 62 | 30 05 00 01 74 00 63 | 32 07 00 01 74 00 03 00 64");
    assert_eq!(out[before.len()..], sent[..]);
    // The SUBSCRIBE, the UNSUBSCRIBE, and the first message but for a byte.
    peer.session.handle_transmitted(9 + 8 + 6, peer.now);
    peer.expect_no_event();
    peer.session.handle_transmitted(1, peer.now);
    assert_eq!(peer.expect_verdict(first), PublishVerdict::Sent);
    peer.expect_no_event();
    // One byte of the second message left, and none of the third.
    peer.session.handle_transmitted(1, peer.now);
    peer.cut();
    expect_unknown(peer.expect_verdict(second), "c");
    for operation in [subscribed, unsubscribed] {
        match peer.event() {
            Event::Subscribed {
                operation: settled,
                verdict: RequestVerdict::Unknown,
            }
            | Event::Unsubscribed {
                operation: settled,
                verdict: RequestVerdict::Unknown,
            } => assert_eq!(settled, operation),
            other => panic!("{other:?}"),
        }
    }
    peer.expect_disconnected();
    peer.connect(RESUMED);
    peer.expect("32 07 00 01 74 00 01 00 64");
    peer.given("40 02 00 01");
    peer.expect_acknowledged(third, 0x00);
}

#[test]
fn a_request_behind_what_lies_in_the_buffer_is_known_not_to_have_left() {
    let mut peer = Peer::connected();
    let mut out = BytesMut::from(&[0xFF; 100][..]);
    let sent = peer.subscribe(&["a"]);
    peer.unsubscribe(&["b"]);
    while peer.session.poll_transmit(&mut out, peer.now).is_some() {}
    peer.session.handle_transmitted(9, peer.now);
    peer.cut();
    assert_eq!(
        peer.event(),
        Event::Subscribed {
            operation: sent,
            verdict: RequestVerdict::Unknown
        }
    );
    peer.expect_disconnected();
    peer.connect(RESUMED);
    peer.expect("A2 06 00 01 00 00 01 62");
}
