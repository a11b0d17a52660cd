//! What the end of a connection means for the next one.

use std::time::Duration;

use mqtt5_client::Connect;
use mqtt5_tokio::proto::session::EndReason;
use mqtt5_tokio::{
    Client, ClientOptions, CloseReason, ConnectError, ConnectionState, Culprit, Failure,
    IoTransport, LoopGuard, PublishError, ReconnectPolicy, StreamEnd, SubscribeError, TokioTimer,
};
use tokio::io::DuplexStream;

use crate::support::{
    Link, ManualTime, NEW_SESSION, PipeServer, QOS_1, QOS_2, RESUMED, Server, ack, closed,
    is_clean, pipe, publish, publish_id, run, settle, soon, subscribed, until,
};

/// What a code asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Retry,
    Final,
}
use Then::{Final, Retry};

fn end_reason(reason: &CloseReason) -> &EndReason {
    match reason {
        CloseReason::Final(Failure::Ended(end)) => end,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_is_final_or_tried_again_by_its_code() {
    run(async {
        let mut codes: Vec<(u8, Then)> = Vec::new();
        for code in [0x80, 0x83, 0x88, 0x89, 0x97, 0x9C, 0x9F, 0xC0] {
            codes.push((code, Retry));
        }
        for code in [
            0x06, 0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x90, 0x95, 0x99, 0x9A, 0x9B,
            0x9D,
        ] {
            codes.push((code, Final));
        }
        for (code, then) in codes {
            let server = Server::start().await;
            let client = server.builder().start().unwrap();
            let (link, _) = server.answer(&format!("20 03 00 {code:02X} 00")).await;
            // Nothing is said to a server that has refused.
            assert!(link.rest().await.is_empty(), "{code:#04x}");
            match then {
                Retry => {
                    let (_link, connect) = server.answer(NEW_SESSION).await;
                    assert!(
                        is_clean(&connect),
                        "a session that never was cannot be resumed"
                    );
                    soon(client.connected()).await.unwrap();
                }
                Final => {
                    let reason = soon(client.connected()).await.unwrap_err();
                    match end_reason(&reason) {
                        EndReason::Refused { reason_code, .. } => {
                            assert_eq!(reason_code.raw(), code);
                        }
                        other => panic!("{code:#04x}: {other:?}"),
                    }
                    assert_eq!(reason.culprit(), Culprit::Server, "{code:#04x}");
                }
            }
        }
    });
}

#[test]
fn a_disconnect_of_the_server_is_final_or_followed_by_a_reconnect_by_its_code() {
    run(async {
        let retry = [
            0x00, 0x80, 0x81, 0x82, 0x83, 0x89, 0x8B, 0x8D, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96,
            0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2, 0xF0,
        ];
        let last = [0x87, 0x8C, 0x8E, 0x9D];
        let codes = retry.map(|code| (code, Retry)).into_iter();
        for (code, then) in codes.chain(last.map(|code| (code, Final))) {
            let server = Server::start().await;
            let (client, mut link) = server.connect(NEW_SESSION).await;
            let pending = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
            link.expect(publish(0x2, "t", Some(1), b"1")).await;
            link.send(vec![0xE0, 0x01, code]).await;
            // A DISCONNECT is not answered.
            assert!(link.rest().await.is_empty(), "{code:#04x}");
            match then {
                Retry => {
                    let (mut link, connect) = server.answer(RESUMED).await;
                    assert!(!is_clean(&connect), "{code:#04x}");
                    link.expect(publish(0xA, "t", Some(1), b"1")).await;
                    link.send(ack(0x40, 1)).await;
                    soon(pending).await.unwrap();
                }
                Final => {
                    match soon(pending).await {
                        Err(PublishError::Unknown { message: Some(_) }) => {}
                        other => panic!("{code:#04x}: {other:?}"),
                    }
                    let reason = closed(&client).await;
                    match end_reason(&reason) {
                        EndReason::ServerDisconnected { reason_code, .. } => {
                            assert_eq!(reason_code.raw(), code);
                        }
                        other => panic!("{code:#04x}: {other:?}"),
                    }
                }
            }
        }
    });
}

/// Illegal, and seen: taken as a refusal.
#[test]
fn a_disconnect_before_the_connack_is_a_refusal() {
    run(async {
        for (code, then) in [(0x87, Final), (0x8B, Retry), (0x86, Final), (0x89, Retry)] {
            let server = Server::start().await;
            let client = server.builder().start().unwrap();
            let mut link = server.accept().await;
            link.expect_kind(0x10).await;
            link.send(vec![0xE0, 0x01, code]).await;
            assert!(link.rest().await.is_empty());
            if then == Retry {
                let _link = server.answer(NEW_SESSION).await;
                soon(client.connected()).await.unwrap();
            } else {
                soon(client.connected()).await.unwrap_err();
            }
        }
    });
}

/// Whoever has the session now would be thrown out by our coming back, and would come back himself.
#[test]
fn a_session_taken_over_is_the_end_and_resolves_everything() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let sent = client.publish("t", "1").qos(QOS_2).enqueue().await.unwrap();
        link.expect_kind(0x34).await;
        let subscribing = tokio::spawn(client.subscribe("u").into_future());
        link.expect_kind(0x82).await;
        link.send("E0 01 8E").await;
        assert!(matches!(
            soon(sent).await,
            Err(PublishError::Unknown { message: Some(_) })
        ));
        assert!(matches!(
            soon(subscribing).await.unwrap(),
            Err(SubscribeError::Closed(_))
        ));
        assert!(soon(messages.next()).await.is_none());
        assert!(matches!(
            messages.end_reason(),
            Some(StreamEnd::Closed(CloseReason::Final(_)))
        ));
        assert!(matches!(
            client.state(),
            ConnectionState::Closed(CloseReason::Final(_))
        ));
    });
}

/// A client by pipes and a clock set by hand, with this policy; not connected yet.
fn scheduled(policy: ReconnectPolicy) -> (Client, PipeServer, ManualTime) {
    let time = ManualTime::default();
    let (pipe, server) = pipe(1024);
    let options = ClientOptions::new()
        .client_id("c")
        .keep_alive(Duration::ZERO)
        .retry_first_connect(true)
        .reconnect(policy);
    let (client, driver) = Client::new(options, pipe, time.clone()).unwrap();
    tokio::spawn(driver);
    (client, server, time)
}

/// Waits for the pause before the next attempt, sees that it is kept, and lets it pass.
async fn pause(client: &Client, server: &mut PipeServer, time: &ManualTime) -> (u32, Duration) {
    let state = until(client, |state| {
        matches!(state, ConnectionState::Waiting { .. })
    })
    .await;
    let ConnectionState::Waiting { failed, delay, .. } = state else {
        unreachable!()
    };
    time.advance(delay.saturating_sub(Duration::from_millis(1)));
    settle().await;
    assert!(server.0.try_recv().is_err(), "too early");
    time.advance(Duration::from_millis(1));
    (failed, delay)
}

async fn next_link(server: &mut PipeServer) -> Link<DuplexStream> {
    Link(soon(server.0.recv()).await.unwrap())
}

#[test]
fn attempts_back_off_up_to_the_longest_delay_and_start_over_after_a_long_connection() {
    run(async {
        let policy = ReconnectPolicy {
            jitter: 0.0,
            ..ReconnectPolicy::default()
        };
        let (client, mut server, time) = scheduled(policy);
        let delays = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0];
        for (attempt, expected) in (1..).zip(delays) {
            drop(next_link(&mut server).await);
            let (failed, delay) = pause(&client, &mut server, &time).await;
            assert_eq!(
                (failed, delay),
                (attempt, Duration::from_secs_f64(expected))
            );
        }
        // A connection that is cut at once does not help.
        drop(server.answer(NEW_SESSION).await);
        let (failed, delay) = pause(&client, &mut server, &time).await;
        assert_eq!((failed, delay), (0, Duration::from_secs(60)));
        // One that lasts does.
        let link = server.answer(RESUMED).await;
        soon(client.connected()).await.unwrap();
        time.advance(Duration::from_secs(11));
        drop(link);
        let (_, delay) = pause(&client, &mut server, &time).await;
        assert_eq!(delay, Duration::from_millis(500));
    });
}

#[test]
fn jitter_shortens_delays_and_makes_clients_differ() {
    run(async {
        let mut delays = Vec::new();
        for seed in 0..8 {
            let policy = ReconnectPolicy {
                seed: Some(seed),
                ..ReconnectPolicy::default()
            };
            let (client, mut server, time) = scheduled(policy);
            drop(next_link(&mut server).await);
            let (_, delay) = pause(&client, &mut server, &time).await;
            assert!(delay <= Duration::from_millis(500) && delay >= Duration::from_millis(250));
            delays.push(delay);
        }
        delays.dedup();
        assert!(delays.len() > 1, "all alike");
    });
}

#[test]
fn a_policy_that_gives_up_says_how_often_it_tried() {
    run(async {
        let policy = ReconnectPolicy {
            max_attempts: Some(3),
            ..ReconnectPolicy::fixed(Duration::from_millis(5))
        };
        let (client, mut server, time) = scheduled(policy);
        let queued = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        for _ in 0..2 {
            drop(next_link(&mut server).await);
            pause(&client, &mut server, &time).await;
        }
        drop(next_link(&mut server).await);
        match closed(&client).await {
            CloseReason::GaveUp { attempts: 3, .. } => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            soon(queued).await,
            Err(PublishError::NeverSent { .. })
        ));
    });
}

#[test]
fn connect_makes_one_attempt_and_says_why_it_failed() {
    run(async {
        let server = Server::start().await;
        let connecting = tokio::spawn(server.builder().connect());
        let (link, _) = server.answer("20 03 00 88 00").await;
        match soon(connecting).await.unwrap() {
            Err(ConnectError::Closed(reason)) => {
                let is_refusal = matches!(end_reason(&reason), EndReason::Refused { .. });
                assert!(is_refusal, "{reason}");
            }
            other => panic!("{other:?}"),
        }
        assert!(link.rest().await.is_empty());
    });
}

/// It takes the connection and never says a word.
#[test]
fn a_silent_server_is_given_up_after_the_connect_timeout() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().connect_timeout(Duration::from_millis(100));
        let connecting = tokio::spawn(builder.connect());
        let mut link = server.accept().await;
        link.expect_kind(0x10).await;
        match soon(connecting).await.unwrap() {
            Err(ConnectError::Closed(reason)) => {
                assert_eq!(*end_reason(&reason), EndReason::ConnectTimeout);
                assert_eq!(reason.culprit(), Culprit::Network);
            }
            other => panic!("{other:?}"),
        }
        assert!(link.rest().await.is_empty());

        // With a policy that goes on, the next attempt follows.
        let builder = server.builder().connect_timeout(Duration::from_millis(100));
        let client = builder.start().unwrap();
        let mut link = server.accept().await;
        link.expect_kind(0x10).await;
        assert!(link.rest().await.is_empty());
        let _link = server.answer(NEW_SESSION).await;
        soon(client.connected()).await.unwrap();
    });
}

/// The transport itself never opens.
#[test]
fn an_address_that_swallows_everything_is_given_up_after_the_connect_timeout() {
    struct Nowhere;
    impl Connect for Nowhere {
        type Transport = IoTransport<DuplexStream>;
        type Future = std::future::Pending<std::io::Result<Self::Transport>>;
        fn connect(&mut self) -> Self::Future {
            std::future::pending()
        }
    }
    run(async {
        let options = ClientOptions::new().connect_timeout(Duration::from_millis(50));
        let (client, driver) = Client::new(options, Nowhere, TokioTimer::new()).unwrap();
        tokio::spawn(driver);
        match soon(client.connected()).await {
            Err(CloseReason::Final(Failure::TimedOut)) => {}
            other => panic!("{other:?}"),
        }
    });
}

/// The exchange ends every connection that it is resumed on. Conn 1 begins the session; 2, 3 and 4
/// resume it.
async fn end_three_resumed_connections(server: &Server) {
    for connack in [NEW_SESSION, RESUMED, RESUMED, RESUMED] {
        let (mut link, _) = server.answer(connack).await;
        let packet = link.packet().await;
        assert_eq!((packet[0] & 0xF0, publish_id(&packet)), (0x30, 1));
        // A PUBREC for a message of QoS 1.
        link.send(ack(0x50, 1)).await;
        assert_eq!(link.rest().await, [0xE0, 0x01, 0x82]);
    }
}

#[test]
fn a_session_that_ends_every_connection_is_dropped_by_the_loop_guard() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().start().unwrap();
        let doomed = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        end_three_resumed_connections(&server).await;
        let (mut link, connect) = server.answer(NEW_SESSION).await;
        assert!(is_clean(&connect));
        assert!(matches!(
            soon(doomed).await,
            Err(PublishError::Unknown { message: Some(_) })
        ));
        let next = client.publish("t", "2").qos(QOS_1).enqueue().await.unwrap();
        let packet = link.expect_kind(0x32).await;
        link.send(ack(0x40, publish_id(&packet))).await;
        soon(next).await.unwrap();
    });
}

#[test]
fn the_loop_guard_stops_if_it_is_told_to() {
    run(async {
        let server = Server::start().await;
        let policy = ReconnectPolicy {
            loop_guard: LoopGuard::Stop,
            ..ReconnectPolicy::fixed(Duration::from_millis(1))
        };
        let client = server.builder().reconnect(policy).start().unwrap();
        let doomed = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        end_three_resumed_connections(&server).await;
        match closed(&client).await {
            CloseReason::LoopGuard(_) => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            soon(doomed).await,
            Err(PublishError::Unknown { message: Some(_) })
        ));
    });
}

/// Clean Start 1 as long as there is nothing to resume, also after a failure in between.
#[test]
fn a_session_that_did_not_outlive_its_connection_is_begun_anew() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().session_expiry(Duration::ZERO);
        let (client, link) = server.connect_by(builder, NEW_SESSION).await;
        drop(link);
        let (_link, connect) = server.answer(NEW_SESSION).await;
        assert!(is_clean(&connect));
        soon(client.connected()).await.unwrap();
    });
}

#[test]
fn a_server_that_closes_at_once_is_tried_again() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().start().unwrap();
        for _ in 0..5 {
            drop(server.accept().await);
        }
        let _link = server.answer(NEW_SESSION).await;
        soon(client.connected()).await.unwrap();
    });
}
