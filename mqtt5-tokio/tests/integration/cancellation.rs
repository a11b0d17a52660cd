//! Futures that are dropped: at each number of polls, and then everything still works.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mqtt5_proto::packet::PacketType;
use mqtt5_testkit::{AuthenticationScript, Effect, TestBroker, When};
use mqtt5_tokio::proto::codec::BinaryData;
use mqtt5_tokio::proto::session::Challenge;
use mqtt5_tokio::{
    Authenticator, Client, ConnectionState, Messages, NoAnswer, QoS, ReconnectPolicy,
    UnobservedVerdict, builder,
};

use crate::clients::{
    EVERY_QOS, connect, connection, direct, expect, next, over_link, publish, state,
};
use crate::support::broker::{Broker, Kind, on_both_brokers};
use crate::support::{soon, until, within_limit};

on_both_brokers! {
    a_publish_can_be_dropped_at_any_poll,
    an_enqueue_and_a_completion_can_be_dropped_at_any_poll,
    who_waits_for_room_can_leave_the_line,
    a_subscribe_can_be_dropped_at_any_poll,
    an_unsubscribe_can_be_dropped_at_any_poll,
    a_receive_can_be_dropped_at_any_poll,
    a_wait_for_a_state_can_be_dropped_at_any_poll,
    a_disconnect_goes_on_when_it_is_dropped,
    a_connect_can_be_dropped_at_any_poll,
}

const QOS1: QoS = QoS::AtLeastOnce;

/// How many messages may be on their way in these tests.
const WINDOW: usize = 4;

/// More polls than any of these futures gets.
const POLLS: usize = 6;

/// Polls a future whenever it is woken, up to `polls` times; then drops it. What it gave, if it did.
async fn polled<F: IntoFuture>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future.into_future());
    let mut left = polls;
    soon(poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }))
    .await
}

/// How many messages [`check`] receives.
const OF_ONE_CHECK: u64 = 3 * WINDOW as u64;

/// No room and no Packet Identifier has leaked, and everything works.
async fn check(client: &Client) {
    let mut permits = Vec::new();
    for _ in 0..WINDOW {
        permits.push(soon(client.reserve()).await.unwrap());
    }
    assert!(
        client
            .publish("check", "x")
            .try_enqueue()
            .unwrap_err()
            .is_full()
    );
    drop(permits);
    let mut stream = soon(client.subscribe("check")).await.unwrap();
    for _ in 0..3 {
        let mut completions = Vec::new();
        for n in 0..WINDOW {
            let publish = client.publish("check", n.to_string()).qos(QOS1);
            completions.push(publish.try_enqueue().unwrap());
        }
        for completion in completions {
            soon(completion).await.unwrap();
        }
        for n in 0..WINDOW {
            let mut message = next(&mut stream).await;
            while message.dup() {
                // Of an earlier check, whose last acknowledgement was lost in a cut.
                message = next(&mut stream).await;
            }
            assert_eq!(message.payload(), n.to_string().as_bytes());
        }
    }
    soon(stream.unsubscribe()).await.unwrap();
}

async fn small(broker: &Broker) -> Client {
    connect(direct(broker, "c").outbound_messages(WINDOW)).await
}

async fn a_publish_can_be_dropped_at_any_poll(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = small(&broker).await;
    let mut stream = soon(client.subscribe("t")).await.unwrap();
    for qos in EVERY_QOS {
        let mut accepted = Vec::new();
        for polls in 0..POLLS {
            for _ in 0..=WINDOW {
                let payload = format!("{polls} {}", qos as u8);
                let publish = client.publish("t", payload.clone()).qos(qos);
                let before = client.statistics().publishes_accepted;
                if let Some(published) = polled(publish, polls).await {
                    published.unwrap();
                }
                // Nobody else publishes here.
                if client.statistics().publishes_accepted > before {
                    accepted.push(payload);
                }
            }
        }
        assert!(accepted.iter().all(|payload| !payload.starts_with('0')));
        assert!(accepted.iter().any(|payload| payload.starts_with('1')));
        // What was accepted is published, and nothing else.
        for payload in &accepted {
            expect(&mut stream, payload).await;
        }
        publish(&client, "t", "marker", qos).await;
        expect(&mut stream, "marker").await;
        check(&client).await;
    }
    let statistics = client.statistics();
    assert_eq!(
        statistics.publishes_succeeded,
        statistics.publishes_accepted
    );
}

async fn an_enqueue_and_a_completion_can_be_dropped_at_any_poll(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = small(&broker).await;
    let mut verdicts = client.verdicts(1000);
    for qos in EVERY_QOS {
        for polls in 0..POLLS {
            for _ in 0..=WINDOW {
                let enqueue = client.publish("t", "x").qos(qos).enqueue();
                let Some(completion) = polled(enqueue, polls).await else {
                    continue;
                };
                let completion = completion.unwrap();
                let operation = completion.operation();
                if let Some(published) = polled(completion, polls).await {
                    published.unwrap();
                    continue;
                }
                // The verdict that nobody waits for comes here.
                let verdict: UnobservedVerdict = soon(verdicts.next()).await.unwrap();
                assert_eq!(verdict.operation, operation);
            }
        }
        check(&client).await;
    }
    assert_eq!(verdicts.lost(), 0);
    // One that was ready and not taken does not hold its room either.
    let completion = client.publish("t", "x").qos(QOS1).try_enqueue().unwrap();
    until(|| {
        let statistics = client.statistics();
        statistics.publishes_succeeded == statistics.publishes_accepted
    })
    .await;
    drop(completion);
    soon(verdicts.next()).await.unwrap();
    check(&client).await;
}

async fn who_waits_for_room_can_leave_the_line(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = small(&broker).await;
    let mut stream = soon(client.subscribe("t")).await.unwrap();
    for leaves in 0..3 {
        let mut permits = Vec::new();
        for _ in 0..WINDOW {
            permits.push(soon(client.reserve()).await.unwrap());
        }
        let mut line: Vec<_> = (0..3)
            .map(|n| {
                let publish = client.publish("t", format!("{leaves} {n}")).qos(QOS1);
                tokio_test_task(publish)
            })
            .collect();
        for waiting in &mut line {
            assert!(waiting.poll_once().await.is_none());
        }
        // So can those who wait for a permit.
        let mut reserve = tokio_test_task(client.reserve());
        assert!(reserve.poll_once().await.is_none());
        drop(reserve);
        drop(line.remove(leaves));
        // One place is enough for those who stay, one after the other.
        drop(permits.pop());
        for waiting in line {
            soon(waiting.future).await.unwrap();
        }
        for n in (0..3).filter(|n| *n != leaves) {
            expect(&mut stream, &format!("{leaves} {n}")).await;
        }
        // A permit that was used for something that is dropped is free again.
        let permit = permits.pop().unwrap();
        drop(permit.publish("t", "never").qos(QOS1));
        let permit = permits.pop().unwrap();
        drop(permit.publish("t", "never").qos(QOS1).enqueue());
        drop(permits);
        check(&client).await;
    }
    publish(&client, "t", "marker", QOS1).await;
    expect(&mut stream, "marker").await;
}

/// A future that can be polled once and then be kept.
struct Task<F> {
    future: std::pin::Pin<Box<F>>,
}

fn tokio_test_task<F: IntoFuture>(future: F) -> Task<F::IntoFuture> {
    Task {
        future: Box::pin(future.into_future()),
    }
}

impl<F: Future> Task<F> {
    async fn poll_once(&mut self) -> Option<F::Output> {
        poll_fn(|cx| match self.future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}

async fn a_subscribe_can_be_dropped_at_any_poll(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = small(&broker).await;
    let peer = connect(direct(&broker, "peer")).await;
    for polls in 0..POLLS {
        let subscribe = client.subscribe_many(["sub/a", "sub/b"]);
        let stream: Option<Messages> = polled(subscribe, polls).await.map(Result::unwrap);
        if let Some(mut stream) = stream {
            publish(&peer, "sub/a", "here", QOS1).await;
            expect(&mut stream, "here").await;
            continue;
        }
        // Answers come in order: with those to this, the SUBSCRIBE has its own, and what it did is
        // on the way to being undone; with those to the next, it is undone.
        check(&client).await;
        check(&client).await;
        let before = client.statistics().messages_received;
        publish(&peer, "sub/a", "gone", QOS1).await;
        publish(&peer, "sub/b", "gone", QOS1).await;
        check(&client).await;
        let received = client.statistics().messages_received - before;
        assert_eq!(received, OF_ONE_CHECK, "dropped after {polls} polls");
    }
    check(&client).await;
}

async fn an_unsubscribe_can_be_dropped_at_any_poll(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = small(&broker).await;
    for polls in 0..POLLS {
        let stream = soon(client.subscribe("t")).await.unwrap();
        let _ = polled(stream.unsubscribe(), polls).await;
        // It is sent all the same: dropped before the first poll, as for any stream.
        publish(&client, "t", "gone", QOS1).await;
        check(&client).await;
    }
    let received = client.statistics().messages_received;
    assert_eq!(received, OF_ONE_CHECK * u64::try_from(POLLS).unwrap());
}

async fn a_receive_can_be_dropped_at_any_poll(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = small(&broker).await;
    let mut stream = soon(client.subscribe("t")).await.unwrap();
    let mut tap = client.observe(1000);
    for qos in EVERY_QOS {
        let mut expected = 0;
        for round in 0..50 {
            let payload = round.to_string();
            let publishing = publish(&client, "t", &payload, qos);
            let receiving = async {
                for polls in 0..POLLS {
                    if let Some(message) = polled(stream.next(), polls % 2).await {
                        assert_eq!(message.unwrap().payload(), expected.to_string().as_bytes());
                        expected += 1;
                    }
                    tokio::task::yield_now().await;
                }
            };
            tokio::join!(publishing, receiving);
        }
        while expected < 50 {
            expect(&mut stream, &expected.to_string()).await;
            expected += 1;
        }
        assert_eq!(stream.waiting(), 0);
        for round in 0..50 {
            let message = loop {
                if let Some(message) = polled(tap.next(), 1).await {
                    break message.unwrap();
                }
                tokio::task::yield_now().await;
            };
            assert_eq!(message.payload(), round.to_string().as_bytes());
        }
    }
    drop(tap);
    check(&client).await;
}

async fn a_wait_for_a_state_can_be_dropped_at_any_poll(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = connect(over_link(&broker, "c").outbound_messages(WINDOW)).await;
    let mut changes = client.state_changes();
    let mut notices = client.notices(10);
    for polls in 0..POLLS {
        assert!(polled(changes.changed(), polls.min(1)).await.is_none());
        assert!(polled(notices.next(), polls.min(1)).await.is_none());
        assert!(polled(client.connected(), polls.max(1)).await.is_some());
        broker.link.accept_connections(false);
        broker.link.reset_connections();
        state(&client, |state| (!state.is_connected()).then_some(())).await;
        let _ = polled(client.connected(), polls).await;
        let number = client.statistics().connections + 1;
        broker.link.accept_connections(true);
        loop {
            let change = polled(changes.changed(), polls).await;
            match change {
                Some(Some(ConnectionState::Connected(info))) if info.number == number => break,
                Some(None) => panic!("the client is closed"),
                _ => {}
            }
            // Without a poll there is no change to be told.
            if polls == 0 {
                connection(&client, number).await;
                while !matches!(soon(changes.changed()).await, Some(ConnectionState::Connected(info)) if info.number == number)
                {
                }
                break;
            }
        }
        check(&client).await;
    }
}

async fn a_disconnect_goes_on_when_it_is_dropped(kind: Kind) {
    let broker = Broker::start(kind).await;
    for (polls, id) in ["p0", "p1", "p2", "p3"].into_iter().enumerate() {
        let client = connect(direct(&broker, id)).await;
        let completion = client.publish("t", "x").qos(QOS1).try_enqueue().unwrap();
        let ended = polled(client.disconnect(), polls).await;
        soon(completion).await.unwrap();
        if polls == 0 {
            assert!(ended.is_none());
            publish(&client, "t", "x", QOS1).await;
            continue;
        }
        broker.sees_disconnect(id).await;
        state(&client, |state| {
            matches!(state, ConnectionState::Closed(_)).then_some(())
        })
        .await;
        let again = soon(client.disconnect()).await;
        assert!(again.is_ok(), "{again:?}");
    }
}

async fn a_connect_can_be_dropped_at_any_poll(kind: Kind) {
    let broker = Broker::start(kind).await;
    // Each under a name of its own: the broker may come to an abandoned CONNECT late, and would
    // have it take over the connection of the next client.
    for (polls, id) in ["p0", "p1", "p2", "p3", "p4", "p5"].into_iter().enumerate() {
        if let Some(client) = polled(over_link(&broker, id).connect(), polls).await {
            publish(&client.unwrap(), "t", "x", QOS1).await;
        }
        // The attempt ends with its future.
        let idle = broker.link.wait_for(|seen| seen.open == 0);
        idle.await.unwrap();
    }
    let client = connect(over_link(&broker, "last")).await;
    publish(&client, "t", "x", QOS1).await;
}

#[derive(Debug)]
struct Password;

impl Authenticator for Password {
    fn begin(&mut self) -> Option<BinaryData> {
        None
    }

    fn respond(&mut self, _: &Challenge) -> Result<Option<BinaryData>, NoAnswer> {
        Ok(Some(b"answer"[..].try_into().map_err(|_| NoAnswer)?))
    }
}

/// Mosquitto has no enhanced authentication without a plugin.
#[tokio::test]
async fn a_reauthentication_can_be_dropped_at_any_poll() {
    within_limit(async {
        let config = mqtt5_testkit::Config {
            authentication: Some(
                AuthenticationScript::new("method")
                    .unwrap()
                    .challenge("question", "answer"),
            ),
            ..mqtt5_testkit::Config::default()
        };
        let broker = TestBroker::start_with(config).await.unwrap();
        let client = builder(&broker.url()).unwrap();
        let client = client
            .authentication("method", Password)
            .outbound_messages(WINDOW);
        let client = soon(client.connect()).await.unwrap();
        for polls in 0..POLLS {
            let _ = polled(client.reauthenticate(), polls).await;
            // Not before the one that is under way is over.
            loop {
                match soon(client.reauthenticate()).await {
                    Ok(()) => break,
                    Err(mqtt5_tokio::ReauthenticateError::NotAccepted(_)) => {
                        tokio::task::yield_now().await;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
            check(&client).await;
        }
        assert_eq!(client.statistics().connections, 1);
    })
    .await;
}

/// What is cancelled while nothing is answered is carried out, and its room is free after that.
#[tokio::test]
async fn what_is_dropped_while_the_broker_is_silent_ends_when_it_speaks() {
    within_limit(async {
        let broker = TestBroker::start().await.unwrap();
        let builder = builder(&broker.url()).unwrap().outbound_messages(WINDOW);
        let client = soon(builder.reconnect(ReconnectPolicy::never()).connect())
            .await
            .unwrap();
        let mut stream = soon(client.subscribe("t")).await.unwrap();
        broker.add_fault(When::received(PacketType::Publish).always(), Effect::Hold);
        for n in 0..WINDOW {
            let publish = client.publish("t", n.to_string()).qos(QOS1);
            assert!(polled(publish, 1).await.is_none());
        }
        // The queue is full: this one is never accepted.
        assert!(
            polled(client.publish("t", "never").qos(QOS1), 1)
                .await
                .is_none()
        );
        assert!(polled(client.reserve(), 1).await.is_none());
        broker
            .wait_for(|broker| broker.held() == WINDOW)
            .await
            .unwrap();
        broker.script(|broker, _| broker.clear_faults());
        assert_eq!(broker.release_held(), WINDOW);
        for n in 0..WINDOW {
            expect(&mut stream, &n.to_string()).await;
        }
        check(&client).await;
        publish(&client, "t", "marker", QOS1).await;
        expect(&mut stream, "marker").await;
        let error = soon(client.disconnect().drain_timeout(Duration::ZERO)).await;
        assert!(error.is_ok(), "{error:?}");
        assert!(soon(stream.next()).await.is_none());
    })
    .await;
}
