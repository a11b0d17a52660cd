//! Publishing: acceptance, verdicts, cancellation, back-pressure.

mod support;

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mqtt5_client::proto::session::{PublishVerdict, Rule};
use mqtt5_client::{CloseReason, PublishError, Published, QoS, ReconnectPolicy};
use support::*;

#[test]
fn qos_0_is_sent_when_the_transport_took_it() {
    let (client, mut sim) = Sim::connected(options());
    sim.set_window(Some(3));
    let mut sent = pin!(client.publish("a", "b").enqueue());
    let Poll::Ready(Ok(completion)) = poll(sent.as_mut()) else {
        panic!()
    };
    let mut completion = pin!(completion);
    sim.settle();
    assert!(poll(completion.as_mut()).is_pending());
    sim.set_window(None);
    assert!(matches!(poll(completion), Poll::Ready(Ok(Published::Sent))));
    assert_eq!(sim.packets(), [[0x30, 5, 0, 1, b'a', 0, b'b']]);
}

#[test]
fn qos_1_waits_for_the_servers_verdict() {
    let (client, mut sim) = Sim::connected(options());
    let mut done = pin!(client.publish("a", "b").qos(QoS::AtLeastOnce).into_future());
    assert!(poll(done.as_mut()).is_pending());
    assert_eq!(sim.packets(), [[0x32, 7, 0, 1, b'a', 0, 1, 0, b'b']]);
    sim.send(&[0x40, 3, 0, 1, 0x87]);
    let Poll::Ready(Err(error)) = poll(done) else {
        panic!()
    };
    let PublishError::Refused(answer) = error else {
        panic!()
    };
    assert_eq!(answer.reason_code.raw(), 0x87);
}

#[test]
fn a_message_that_was_not_accepted_is_dropped_with_its_future() {
    let (client, mut sim) = Sim::connected(options().outbound_messages(1));
    let first = client
        .publish("a", "1")
        .qos(QoS::AtLeastOnce)
        .try_enqueue()
        .unwrap();
    assert_eq!(sim.packets().len(), 1);
    let second = client.publish("a", "2").qos(QoS::AtLeastOnce);
    let mut second = Box::pin(second.into_future());
    let flag = Flag::new();
    let waker = Waker::from(flag.clone());
    let mut third = pin!(client.publish("a", "3").qos(QoS::AtLeastOnce).into_future());
    assert!(poll(second.as_mut()).is_pending());
    assert!(
        third
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    sim.send(&puback(1));
    now(first).unwrap();
    // The second is the first in line and goes away: the third is told.
    assert!(!flag.take());
    drop(second);
    assert!(flag.take());
    assert!(poll(third.as_mut()).is_pending());
    assert_eq!(sim.packets(), [[0x32, 7, 0, 1, b'a', 0, 1, 0, b'3']]);
    sim.send(&puback(1));
    assert!(poll(third).is_ready());
    assert_eq!(client.statistics().publishes_accepted, 2);
}

#[test]
fn a_message_that_waits_keeps_its_place_however_often_it_is_polled() {
    let (client, mut sim) = Sim::connected(options().outbound_messages(1));
    let first = client.publish("a", "1").qos(QoS::AtLeastOnce);
    let first = first.try_enqueue().unwrap();
    assert_eq!(sim.packets().len(), 1);
    let mut second = pin!(client.publish("a", "2").qos(QoS::AtLeastOnce).enqueue());
    let flag = Flag::new();
    let waker = Waker::from(flag.clone());
    for _ in 0..3 {
        let polled = second.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    sim.send(&puback(1));
    now(first).unwrap();
    assert!(flag.take());
    assert!(poll(second).is_ready());
}

#[test]
fn an_accepted_message_runs_to_its_end_whoever_listens() {
    let (client, mut sim) = Sim::connected(options());
    let mut verdicts = client.verdicts(1);
    let completion = client
        .publish("a", "b")
        .qos(QoS::AtLeastOnce)
        .try_enqueue()
        .unwrap();
    let operation = completion.operation();
    drop(completion);
    let second = client
        .publish("a", "b")
        .qos(QoS::AtLeastOnce)
        .try_enqueue()
        .unwrap();
    assert_eq!(sim.packets().len(), 2);
    sim.send(&puback(1));
    sim.send(&puback(2));
    // The verdict came before the completion was dropped.
    drop(second);
    assert_eq!(verdicts.lost(), 1);
    let told = now(verdicts.next()).unwrap();
    assert_ne!(told.operation, operation);
    assert!(matches!(told.verdict, PublishVerdict::Acknowledged(_)));
    assert_eq!(client.statistics().verdicts_unobserved, 2);
}

#[test]
fn a_verdict_that_nobody_took_counts_to_the_bound() {
    let (client, mut sim) = Sim::connected(options().outbound_messages(2));
    let first = client.publish("a", "1").try_enqueue().unwrap();
    let second = client.publish("a", "2").try_enqueue().unwrap();
    assert_eq!(sim.packets().len(), 2);
    let error = client.publish("a", "3").try_enqueue().unwrap_err();
    assert!(error.is_full());
    assert_eq!(&error.into_message().unwrap().payload[..], b"3");
    now(first).unwrap();
    let third = client.publish("a", "3").try_enqueue().unwrap();
    drop(second);
    drop(third);
}

#[test]
fn a_permit_keeps_room_and_gives_it_back() {
    let (client, mut sim) = Sim::connected(options().outbound_messages(1));
    let permit = now(client.reserve()).unwrap();
    assert!(
        client
            .publish("a", "1")
            .try_enqueue()
            .unwrap_err()
            .is_full()
    );
    let mut line = pin!(client.reserve());
    assert!(poll(line.as_mut()).is_pending());
    // Who waits comes before who tries.
    let completion = permit.publish("a", "2").try_enqueue().unwrap();
    sim.settle();
    now(completion).unwrap();
    assert!(
        client
            .publish("a", "3")
            .try_enqueue()
            .unwrap_err()
            .is_full()
    );
    let Poll::Ready(Ok(permit)) = poll(line) else {
        panic!()
    };
    drop(permit);
    drop(client.publish("a", "4").try_enqueue().unwrap());
    assert_eq!(sim.packets().len(), 2);
}

#[test]
fn a_byte_bound_holds_back_and_never_locks_out() {
    let (client, mut sim) = Sim::connected(options().outbound_bytes(1000));
    let big = || client.publish("a", vec![0; 5000]).qos(QoS::AtLeastOnce);
    let first = big().try_enqueue().unwrap();
    assert!(big().try_enqueue().unwrap_err().is_full());
    let mut second = pin!(big().into_future());
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 1);
    sim.send(&puback(1));
    now(first).unwrap();
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 1);
}

#[test]
fn what_cannot_be_sent_is_given_back() {
    let (client, mut sim) = Sim::connected_by(options(), &[0x20, 7, 0, 0, 4, 0x24, 1, 0x25, 0]);
    let error = now(client.publish("a/#", "1")).unwrap_err();
    assert!(matches!(error, PublishError::InvalidTopic { .. }));
    assert_eq!(&error.payload().unwrap()[..], b"1");
    let error = now(client.publish("a", "2").content_type("\0")).unwrap_err();
    assert_eq!(error.to_string(), "invalid Content Type: holds U+0000");
    assert_eq!(&error.payload().unwrap()[..], b"2");
    let error = now(client.publish("a", "3").qos(QoS::ExactlyOnce)).unwrap_err();
    let PublishError::NotAccepted {
        rule: Rule::MaximumQoS { .. },
        message,
    } = error
    else {
        panic!()
    };
    assert_eq!(&message.payload[..], b"3");
    assert!(now(client.publish_message(*message).retain(true)).is_err());
    let error = now(client.publish("a", vec![0xFF]).utf8()).unwrap_err();
    assert!(matches!(
        error,
        PublishError::NotAccepted {
            rule: Rule::PayloadFormat,
            ..
        }
    ));
    assert!(sim.packets().is_empty());
}

#[test]
fn qos_0_without_a_connection_is_refused_unless_asked_for() {
    let (client, _sim) = Sim::new(options());
    let error = now(client.publish("a", "1")).unwrap_err();
    assert!(matches!(
        error,
        PublishError::NotAccepted {
            rule: Rule::NotConnected,
            ..
        }
    ));
    let (client, mut sim) = Sim::new(options().queue_qos0_offline(true));
    let completion = client.publish("a", "1").try_enqueue().unwrap();
    sim.run();
    sim.send(CONNACK);
    now(completion).unwrap();
}

#[test]
fn a_message_that_waits_offline_expires_in_time() {
    let policy = ReconnectPolicy::fixed(Duration::from_secs(60));
    let (client, mut sim) = Sim::connected(options().reconnect(policy));
    sim.reset();
    let publish = client.publish("a", "1").qos(QoS::AtLeastOnce);
    let completion = publish
        .message_expiry_interval(Duration::from_millis(1500))
        .try_enqueue()
        .unwrap();
    let mut completion = pin!(completion);
    sim.settle();
    sim.advance(Duration::from_millis(1999));
    assert!(poll(completion.as_mut()).is_pending());
    sim.advance(Duration::from_millis(2));
    let Poll::Ready(Err(PublishError::Expired { message })) = poll(completion) else {
        panic!()
    };
    assert_eq!(&message.payload[..], b"1");
}

#[test]
fn dropping_the_driver_gives_every_verdict() {
    let (client, mut sim) = Sim::connected(options().outbound_messages(3));
    let qos1 = |payload| client.publish("a", payload).qos(QoS::AtLeastOnce);
    let sent = qos1("1").try_enqueue().unwrap();
    assert_eq!(sim.packets().len(), 1);
    sim.set_window(Some(0));
    let unsent = qos1("2").try_enqueue().unwrap();
    let qos0 = client.publish("a", "3").try_enqueue().unwrap();
    let mut waiting = pin!(qos1("4").into_future());
    let mut reserving = pin!(client.reserve());
    assert!(poll(waiting.as_mut()).is_pending());
    assert!(poll(reserving.as_mut()).is_pending());
    sim.drop_driver();
    assert!(matches!(
        now(sent),
        Err(PublishError::Unknown { message: Some(_) })
    ));
    assert!(matches!(now(unsent), Err(PublishError::NeverSent { .. })));
    assert!(matches!(now(qos0), Err(PublishError::NeverSent { .. })));
    let Poll::Ready(Err(PublishError::Closed { reason, message })) = poll(waiting) else {
        panic!()
    };
    assert!(matches!(reason, CloseReason::DriverDropped));
    assert_eq!(&message.payload[..], b"4");
    assert!(matches!(
        poll(reserving),
        Poll::Ready(Err(CloseReason::DriverDropped))
    ));
    assert!(matches!(
        now(client.connected()),
        Err(CloseReason::DriverDropped)
    ));
    assert!(now(qos1("5")).is_err());
    assert!(now(client.disconnect()).is_err());
}

#[test]
fn a_resumed_session_sends_again_and_a_lost_one_tells() {
    let (client, mut sim) = Sim::connected(options());
    let mut kept = pin!(client.publish("a", "1").qos(QoS::AtLeastOnce).into_future());
    assert!(poll(kept.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 1);
    sim.reset();
    let connect = sim.reconnect(CONNACK_RESUMED);
    assert_eq!(connect[9] & 0x02, 0, "Clean Start");
    assert_eq!(sim.packets(), [[0x3A, 7, 0, 1, b'a', 0, 1, 0, b'1']]);
    sim.reset();
    assert!(poll(kept.as_mut()).is_pending());
    sim.reconnect(CONNACK);
    let Poll::Ready(Err(PublishError::Unknown {
        message: Some(message),
    })) = poll(kept)
    else {
        panic!()
    };
    assert_eq!(&message.payload[..], b"1");
}

#[test]
fn large_payloads_and_small_packets_keep_their_order() {
    let (client, mut sim) = Sim::connected(options());
    sim.set_window(Some(0));
    for n in 0..30usize {
        let payload =
            vec![b'a' + u8::try_from(n % 26).unwrap(); if n % 3 == 0 { 50_000 } else { 3 }];
        drop(
            client
                .publish(format!("t/{n}"), payload)
                .try_enqueue()
                .unwrap(),
        );
    }
    for _ in 0..200 {
        sim.set_window(Some(7777));
    }
    let packets = sim.packets();
    assert_eq!(packets.len(), 30);
    for (n, packet) in packets.iter().enumerate() {
        assert_eq!(
            *packet.last().unwrap(),
            b'a' + u8::try_from(n % 26).unwrap()
        );
    }
    assert_eq!(client.statistics().publishes_succeeded, 30);
}

#[test]
fn a_permit_that_waits_for_bytes_does_not_wait_behind_those_without() {
    let (client, mut sim) = Sim::connected(options().outbound_messages(2).outbound_bytes(100));
    let large = "x".repeat(90);
    let message = || client.publish("a", large.clone()).qos(QoS::AtLeastOnce);
    let first = message().try_enqueue().unwrap();
    let permit = now(client.reserve()).unwrap();
    let mut line = pin!(message().enqueue());
    assert!(poll(line.as_mut()).is_pending());
    let mut second = pin!(permit.publish("a", large.clone()).enqueue());
    let flag = Flag::new();
    let waker = Waker::from(flag.clone());
    assert!(
        second
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert_eq!(sim.packets().len(), 1);
    // The verdict is not taken: there is room in bytes, but no message more than the permit's.
    sim.send(&puback(1));
    assert!(poll(line.as_mut()).is_pending());
    assert!(flag.take());
    assert!(poll(second.as_mut()).is_ready());
    now(first).unwrap();
}

#[test]
fn who_publishes_without_a_pause_gives_the_driver_a_chance_and_loses_nothing() {
    let (client, mut sim) = Sim::connected(options());
    let flag = Flag::new();
    let waker = Waker::from(flag.clone());
    let mut cx = Context::from_waker(&waker);
    let (mut breaths, mut in_a_row) = (0, 0);
    for n in 0..2_000u32 {
        let mut enqueue = pin!(client.publish("a", n.to_string()).enqueue());
        loop {
            match enqueue.as_mut().poll(&mut cx) {
                Poll::Ready(accepted) => {
                    drop(accepted.unwrap());
                    in_a_row += 1;
                    break;
                }
                Poll::Pending => {
                    assert!(flag.take(), "nobody would go on with it");
                    breaths += 1;
                    in_a_row = 0;
                    sim.settle();
                }
            }
        }
        assert!(in_a_row <= 1_000, "the driver is kept waiting");
    }
    assert!(breaths < 20, "{breaths}");
    let sent: Vec<_> = sim
        .packets()
        .iter()
        .map(|packet| String::from_utf8(packet[6..].to_vec()).unwrap())
        .collect();
    assert_eq!(sent.len(), 2_000);
    assert!(sent.iter().enumerate().all(|(n, p)| *p == n.to_string()));
}
