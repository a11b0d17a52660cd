//! What is promised of everything: verdicts under a storm of cuts, threads, and types.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use mqtt5_testkit::{Effect, Restart, TestBroker, When};
use mqtt5_tokio::proto::packet::ApplicationMessage;
use mqtt5_tokio::{
    Builder, Client, CloseReason, Completion, ConnectError, ConnectionInfo, ConnectionState,
    DisconnectBuilder, DisconnectError, Driver, Enqueue, Failure, Message, Messages,
    NetworkConnect, NextMessage, Notice, Observer, Permit, Publish, PublishError, PublishFuture,
    Published, Reserve, StateChanges, StreamEnd, Subscribe, SubscribeError, TokioTimer,
    UnobservedVerdict, UnsubscribeError,
};

use crate::support::{QOS_0, QOS_1, QOS_2, client_of, run_on_two_threads, soon, text};

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}
const fn is_static<T: 'static>() {}
const fn is_error<T: std::error::Error + Send + Sync + 'static>() {}
const fn is_clone<T: Clone>() {}

/// Checked when this compiles.
const _: () = {
    is_send::<Client>();
    is_sync::<Client>();
    is_clone::<Client>();
    is_static::<Client>();
    is_send::<Messages>();
    is_sync::<Messages>();
    is_clone::<Messages>();
    is_send::<NextMessage<'static>>();
    is_send::<Message>();
    is_sync::<Message>();
    is_send::<Builder>();
    is_send::<Publish>();
    is_send::<PublishFuture>();
    is_send::<Enqueue>();
    is_send::<Completion>();
    is_sync::<Completion>();
    is_send::<Permit>();
    is_send::<Reserve>();
    is_send::<Subscribe>();
    is_send::<<Subscribe as IntoFuture>::IntoFuture>();
    is_send::<DisconnectBuilder>();
    is_send::<<DisconnectBuilder as IntoFuture>::IntoFuture>();
    is_send::<StateChanges>();
    is_send::<Observer<Message>>();
    is_send::<Observer<Notice>>();
    is_send::<Observer<UnobservedVerdict>>();
    is_send::<ConnectionState>();
    is_sync::<ConnectionInfo>();
    is_send::<Driver<NetworkConnect, TokioTimer>>();
    is_static::<Driver<NetworkConnect, TokioTimer>>();
    is_send::<ApplicationMessage>();
    is_clone::<StreamEnd>();
    is_error::<PublishError>();
    is_error::<SubscribeError>();
    is_error::<UnsubscribeError>();
    is_error::<DisconnectError>();
    is_error::<ConnectError>();
    is_error::<CloseReason>();
    is_error::<Failure>();
};

/// Async functions of a handle can be spawned.
#[test]
fn every_future_can_go_to_another_thread() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        let mine = client.clone();
        let task = tokio::spawn(async move {
            let mut messages = mine.subscribe("t").await.unwrap();
            mine.publish("t", "1").qos(QOS_1).await.unwrap();
            let message = messages.next().await.unwrap();
            mine.connected().await.unwrap();
            drop(mine.reserve().await.unwrap());
            messages.unsubscribe().await.unwrap();
            mine.disconnect().await.unwrap();
            text(&message)
        });
        assert_eq!(soon(task).await.unwrap(), "1");
    });
}

/// How often each message came.
type Counts = BTreeMap<String, usize>;

async fn collect(mut messages: Messages) -> Counts {
    let mut counts = Counts::new();
    while let Some(message) = messages.next().await {
        *counts.entry(text(&message)).or_default() += 1;
    }
    counts
}

/// A client that publishes to itself while its link is cut after every few hundred bytes, in both
/// directions, in the middle of whatever is on its way.
async fn storm(cuts: usize, restarts: bool) -> (Vec<(String, bool)>, Counts) {
    let broker = TestBroker::start().await.unwrap();
    // So few in flight that what has to be resent fits between two cuts.
    let builder = client_of(&broker).outbound_messages(4).receive_maximum(4);
    let client = soon(builder.connect()).await.unwrap();
    let messages = soon(client.subscribe("t/#")).await.unwrap();
    let collecting = tokio::spawn(collect(messages));
    broker.add_fault(When::received_bytes(cuts).always(), Effect::CutAfter);
    broker.add_fault(When::sent_bytes(cuts + 61).always(), Effect::CutAfter);
    let mut verdicts = Vec::new();
    let mut pending = Vec::new();
    for number in 0..150 {
        let qos = [QOS_1, QOS_2, QOS_2, QOS_1, QOS_0][number % 5];
        let name = format!("{number}:{}", qos as u8);
        if qos == QOS_0 {
            // Not accepted without a connection; whatever happens, it is told.
            let told = soon(client.publish("t/0", name.clone())).await;
            verdicts.push((name, told.is_ok()));
            continue;
        }
        let publish = client.publish(format!("t/{number}"), name.clone()).qos(qos);
        pending.push((name, soon(publish.enqueue()).await.unwrap()));
        if pending.len() == 4 {
            for (name, completion) in pending.drain(..) {
                verdicts.push((name, was_taken(soon(completion).await)));
            }
        }
        if restarts && number % 40 == 39 {
            broker.restart(Restart::LoseSessions);
        }
    }
    for (name, completion) in pending {
        verdicts.push((name, was_taken(soon(completion).await)));
    }
    broker.script(|broker, _| broker.clear_faults());
    soon(broker.wait_for(|broker| {
        broker.connection_of("c").is_some()
            && broker.unacknowledged("c") == 0
            && broker.queued("c") == 0
    }))
    .await
    .unwrap();
    assert!(client.statistics().connections > 5, "hardly a storm");
    soon(client.disconnect()).await.unwrap();
    (verdicts, soon(collecting).await.unwrap())
}

fn was_taken(verdict: Result<Published, PublishError>) -> bool {
    match verdict {
        Ok(Published::Acknowledged(_)) => true,
        Err(PublishError::Unknown { .. } | PublishError::NeverSent { .. }) => false,
        other => panic!("{other:?}"),
    }
}

/// The session is kept: every message of QoS 1 arrives, every message of QoS 2 once.
#[test]
fn nothing_is_lost_and_qos_2_comes_once_under_a_storm_of_cuts() {
    run_on_two_threads(async {
        for cuts in [200, 300, 450] {
            let (verdicts, counts) = storm(cuts, false).await;
            assert_eq!(verdicts.len(), 150);
            for (name, taken) in verdicts {
                let count = counts.get(&name).copied().unwrap_or(0);
                match name.as_bytes().last() {
                    Some(b'0') => assert!(count <= 1, "{name} came {count} times"),
                    Some(b'1') => assert!(taken && count >= 1, "{name}: {count}, cuts {cuts}"),
                    _ => assert!(taken && count == 1, "{name}: {count}, cuts {cuts}"),
                }
            }
        }
    });
}

/// The session is lost again and again: each operation still has one verdict, and nothing of QoS 2
/// comes twice.
#[test]
fn every_operation_has_its_verdict_when_sessions_are_lost() {
    run_on_two_threads(async {
        let (verdicts, counts) = storm(300, true).await;
        assert_eq!(verdicts.len(), 150);
        for (name, _) in verdicts {
            if name.ends_with('2') {
                assert!(counts.get(&name).copied().unwrap_or(0) <= 1, "{name}");
            }
        }
    });
}

/// Many tasks, one client; futures that are dropped at any point of their life.
#[test]
fn dropped_futures_leak_neither_room_nor_wake_ups() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).outbound_messages(3).connect())
            .await
            .unwrap();
        let mut tasks = Vec::new();
        for task in 0..8_u32 {
            let client = client.clone();
            tasks.push(tokio::spawn(async move {
                for round in 0..50_u32 {
                    let publish = client.publish("t", "x").qos(QOS_2).into_future();
                    // Given up after so many polls.
                    let patience = (task * 7 + round) % 11;
                    let give_up = async {
                        for _ in 0..patience {
                            tokio::task::yield_now().await;
                        }
                    };
                    tokio::select! {
                        biased;
                        done = publish => { done.unwrap(); }
                        () = give_up => {}
                    }
                    let reserve = client.reserve();
                    tokio::select! {
                        biased;
                        permit = reserve => drop(permit.unwrap()),
                        () = tokio::task::yield_now() => {}
                    }
                }
            }));
        }
        for task in tasks {
            soon(task).await.unwrap();
        }
        // All of the room is there again.
        let mut permits = Vec::new();
        for _ in 0..3 {
            permits.push(soon(client.reserve()).await.unwrap());
        }
        drop(permits);
        soon(client.publish("t", "last").qos(QOS_2)).await.unwrap();
        let statistics = client.statistics();
        assert_eq!(
            statistics.publishes_accepted,
            statistics.publishes_succeeded + statistics.publishes_failed
        );
        assert_eq!(statistics.publishes_failed, 0);
        soon(client.disconnect()).await.unwrap();
    });
}

/// A password goes to the server and nowhere else.
#[test]
fn passwords_do_not_appear_in_debug_output() {
    let url = "mqtt://user:hunter2@localhost";
    let builder = mqtt5_tokio::builder(url).unwrap();
    assert!(!format!("{builder:?}").contains("hunter2"));
    let builder = builder.credentials("user", "hunter3");
    assert!(!format!("{builder:?}").contains("hunter3"));
}
