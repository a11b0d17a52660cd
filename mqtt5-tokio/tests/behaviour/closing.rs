//! The end of a client: by its user, by dropping it, by the runtime.

use std::time::Duration;

use mqtt5_client::Client as AnyClient;
use mqtt5_tokio::proto::packet::DisconnectReasonCode;
use mqtt5_tokio::{
    ClientOptions, CloseReason, Completion, ConnectionState, DisconnectError, PublishError,
    Published, ReconnectPolicy, StreamEnd, SubscribeError,
};

use crate::support::{
    Link, ManualTime, NEW_SESSION, QOS_0, QOS_1, QOS_2, Server, ack, closed, next, pipe, poll_once,
    publish, publish_id, run, settle, soon, subscribed,
};

/// DISCONNECT 0x00 with Session Expiry Interval 0: an ephemeral session ends with its client.
const GOODBYE: &str = "E0 07 00 05 11 00 00 00 00";

#[test]
fn disconnect_waits_for_answers_and_gives_every_verdict() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let qos_0 = client.publish("t", "0").qos(QOS_0).enqueue().await.unwrap();
        let qos_1 = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let qos_2 = client.publish("t", "2").qos(QOS_2).enqueue().await.unwrap();
        let ending = tokio::spawn(client.disconnect().into_future());
        link.expect_kind(0x30).await;
        link.expect_kind(0x32).await;
        link.expect_kind(0x34).await;
        // New work is not taken any more, what was taken is finished.
        match client.publish("t", "late").qos(QOS_1).try_enqueue() {
            Err(PublishError::NotAccepted { message, .. }) => {
                assert_eq!(&message.payload[..], b"late");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            soon(client.subscribe("t")).await,
            Err(SubscribeError::NotAccepted(_))
        ));
        link.send(ack(0x50, 2)).await;
        link.expect(ack(0x62, 2)).await;
        link.send(ack(0x70, 2)).await;
        link.send(ack(0x40, 1)).await;
        link.expect(GOODBYE).await;
        assert!(link.rest().await.is_empty());
        soon(ending).await.unwrap().unwrap();
        assert_eq!(soon(qos_0).await.unwrap(), Published::Sent);
        assert!(matches!(soon(qos_1).await, Ok(Published::Acknowledged(_))));
        assert!(matches!(soon(qos_2).await, Ok(Published::Acknowledged(_))));
    });
}

#[test]
fn disconnect_does_not_wait_beyond_its_drain_timeout() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect("20 06 00 00 03 21 00 01").await;
        let sent = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let waiting = client.publish("t", "2").qos(QOS_1).enqueue().await.unwrap();
        let disconnect = client.disconnect().drain_timeout(Duration::from_millis(30));
        let ending = tokio::spawn(disconnect.into_future());
        link.expect_kind(0x32).await;
        link.expect(GOODBYE).await;
        drop(link);
        soon(ending).await.unwrap().unwrap();
        assert!(matches!(
            soon(sent).await,
            Err(PublishError::Unknown { message: Some(_) })
        ));
        match soon(waiting).await {
            Err(PublishError::NeverSent { message }) => assert_eq!(&message.payload[..], b"2"),
            other => panic!("{other:?}"),
        }
    });
}

/// From another task, while a consumer waits: its acknowledgements first, then DISCONNECT, then the
/// end of the connection.
#[test]
fn acknowledgements_that_were_given_leave_before_the_disconnect() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        for id in 1..=3 {
            link.send(publish(0x2, "t", Some(id), b"")).await;
        }
        for _ in 0..3 {
            let message = next(&mut messages).await;
            messages.acknowledge(&message).unwrap();
        }
        let ending = tokio::spawn(client.disconnect().into_future());
        for id in 1..=3 {
            link.expect(ack(0x40, id)).await;
        }
        link.expect(GOODBYE).await;
        assert!(link.rest().await.is_empty());
        soon(ending).await.unwrap().unwrap();
        assert!(soon(messages.next()).await.is_none());
    });
}

/// The server was sending when the client went: what it sent is read away, so that no reset destroys
/// the DISCONNECT, and with it the difference to a crash.
#[test]
fn unread_input_does_not_destroy_the_disconnect() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let ending = tokio::spawn(client.disconnect().into_future());
        link.send(publish(0x0, "t", None, &[7; 1000]).repeat(2000))
            .await;
        let mut seen = Vec::new();
        soon(tokio::io::AsyncReadExt::read_to_end(&mut link.0, &mut seen))
            .await
            .unwrap();
        assert!(seen.ends_with(&crate::support::hex(GOODBYE)));
        drop(link);
        soon(ending).await.unwrap().unwrap();
    });
}

#[test]
fn reason_and_expiry_of_the_disconnect_are_the_callers() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let disconnect = client
            .disconnect()
            .reason_code(DisconnectReasonCode::DisconnectWithWillMessage)
            .session_expiry(Duration::from_secs(258));
        let ending = tokio::spawn(disconnect.into_future());
        link.expect("E0 07 04 05 11 00 00 01 02").await;
        assert!(link.rest().await.is_empty());
        soon(ending).await.unwrap().unwrap();

        // A durable session stays as it is.
        let builder = server.builder().durable("c", Duration::from_secs(60));
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let ending = tokio::spawn(client.disconnect().into_future());
        link.expect("E0 00").await;
        assert!(link.rest().await.is_empty());
        soon(ending).await.unwrap().unwrap();
    });
}

#[test]
fn a_second_disconnect_waits_for_the_same_end() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let first = tokio::spawn(client.disconnect().into_future());
        let second = tokio::spawn(client.disconnect().into_future());
        link.expect(GOODBYE).await;
        assert!(link.rest().await.is_empty());
        soon(first).await.unwrap().unwrap();
        soon(second).await.unwrap().unwrap();
        assert!(matches!(closed(&client).await, CloseReason::Requested));
    });
}

/// A cancelled disconnect goes on.
#[test]
fn a_dropped_disconnect_ends_the_client_in_the_background() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut ending = client.disconnect().into_future();
        assert!(poll_once(&mut ending).is_pending());
        drop(ending);
        link.expect(GOODBYE).await;
        assert!(link.rest().await.is_empty());
        closed(&client).await;
    });
}

#[test]
fn disconnect_without_a_connection_ends_at_once_and_says_so() {
    run(async {
        let server = Server::start().await;
        let policy = ReconnectPolicy::fixed(Duration::from_secs(3600));
        let builder = server.builder().reconnect(policy);
        let (client, link) = server.connect_by(builder, NEW_SESSION).await;
        drop(link);
        crate::support::until(&client, |state| {
            matches!(state, ConnectionState::Waiting { .. })
        })
        .await;
        match soon(client.disconnect()).await {
            Err(DisconnectError::NotConnected) => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(closed(&client).await, CloseReason::Requested));

        // With something queued it waits for a connection as long as it may.
        let policy = ReconnectPolicy::fixed(Duration::from_secs(3600));
        let builder = server.builder().reconnect(policy);
        let (client, link) = server.connect_by(builder, NEW_SESSION).await;
        drop(link);
        crate::support::until(&client, |state| {
            matches!(state, ConnectionState::Waiting { .. })
        })
        .await;
        let queued = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let disconnect = client.disconnect().drain_timeout(Duration::from_millis(20));
        assert!(matches!(
            soon(disconnect).await,
            Err(DisconnectError::NotConnected)
        ));
        assert!(matches!(
            soon(queued).await,
            Err(PublishError::NeverSent { .. })
        ));
    });
}

/// The link breaks in the middle of the drain: the next connection finishes it.
#[test]
fn a_cut_while_draining_is_survived() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let completion = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        link.expect_kind(0x32).await;
        let ending = tokio::spawn(client.disconnect().into_future());
        settle().await;
        drop(link);
        let (mut link, _) = server.answer(crate::support::RESUMED).await;
        link.expect(publish(0xA, "t", Some(1), b"1")).await;
        link.send(ack(0x40, 1)).await;
        link.expect(GOODBYE).await;
        drop(link);
        soon(ending).await.unwrap().unwrap();
        soon(completion).await.unwrap();
    });
}

/// A server that reads nothing at all does not hold the client: the clock is the test's.
#[test]
fn a_server_that_does_not_read_is_left_after_a_bounded_time() {
    run(async {
        let time = ManualTime::default();
        let (pipe, mut server) = pipe(64);
        let options = ClientOptions::new()
            .client_id("c")
            .reconnect(ReconnectPolicy::never());
        let (client, driver) = AnyClient::new(options, pipe, time.clone()).unwrap();
        tokio::spawn(driver);
        let link = server.answer(NEW_SESSION).await;
        soon(client.connected()).await.unwrap();
        let stuck = client
            .publish("t", vec![7; 10_000])
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        let ending = tokio::spawn(client.disconnect().into_future());
        settle().await;
        assert!(!ending.is_finished());
        time.advance(Duration::from_secs(5));
        settle().await;
        time.advance(Duration::from_secs(3));
        match soon(ending).await.unwrap() {
            Err(DisconnectError::NotSent) => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            soon(stuck).await,
            Err(PublishError::Unknown { message: Some(_) })
        ));
        drop(link);
    });
}

/// It reads everything and never closes its side.
#[test]
fn a_server_that_does_not_close_is_left_after_a_bounded_time() {
    run(async {
        let time = ManualTime::default();
        let (pipe, mut server) = pipe(1024);
        let options = ClientOptions::new().client_id("c");
        let (client, driver) = AnyClient::new(options, pipe, time.clone()).unwrap();
        tokio::spawn(driver);
        let mut link: Link<_> = server.answer(NEW_SESSION).await;
        soon(client.connected()).await.unwrap();
        let ending = tokio::spawn(client.disconnect().into_future());
        link.expect(GOODBYE).await;
        settle().await;
        assert!(!ending.is_finished());
        time.advance(Duration::from_secs(1));
        soon(ending).await.unwrap().unwrap();
        drop(link);
    });
}

#[test]
fn dropping_the_last_handle_and_stream_ends_the_client_in_the_background() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let completion = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let id = publish_id(&link.expect_kind(0x32).await);
        drop(client.clone());
        drop(client);
        // A stream is a handle too.
        link.send(publish(0x2, "t", Some(1), b"")).await;
        let message = next(&mut messages).await;
        messages.acknowledge(&message).unwrap();
        link.expect(ack(0x40, 1)).await;
        drop(messages);
        // The subscription goes with its stream, or with the session. The drain waits for the answer
        // to the message, whose completion gets its verdict.
        let mut packet = link.packet().await;
        assert_eq!(packet[0], 0xA2);
        link.send(crate::support::packet(0xB0, &[packet[2], packet[3], 0, 0]))
            .await;
        link.send(ack(0x40, id)).await;
        packet = link.packet().await;
        assert_eq!(packet, crate::support::hex(GOODBYE));
        drop(link);
        assert!(matches!(
            soon(completion).await,
            Ok(Published::Acknowledged(_))
        ));
    });
}

/// What one that outlived its client can still learn.
struct Survivors {
    sent: Completion,
    queued: Completion,
    qos_0: Completion,
}

async fn assert_told(survivors: Survivors) {
    match soon(survivors.sent).await {
        Err(PublishError::Unknown {
            message: Some(message),
        }) => {
            assert_eq!(&message.payload[..], b"sent");
        }
        other => panic!("{other:?}"),
    }
    match soon(survivors.queued).await {
        Err(PublishError::NeverSent { message }) => assert_eq!(&message.payload[..], b"queued"),
        other => panic!("{other:?}"),
    }
    assert_eq!(soon(survivors.qos_0).await.unwrap(), Published::Sent);
}

#[test]
fn dropping_the_driver_resolves_everything() {
    run(async {
        let (pipe, mut server) = pipe(1024);
        let options = ClientOptions::new().client_id("c");
        let (client, driver) = AnyClient::new(options, pipe, ManualTime::default()).unwrap();
        let driving = tokio::spawn(driver);
        let mut link = server.answer("20 06 00 00 03 21 00 01").await;
        soon(client.connected()).await.unwrap();
        let sent = client
            .publish("t", "sent")
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        let queued = client
            .publish("t", "queued")
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        let qos_0 = client.publish("t", "0").enqueue().await.unwrap();
        let first = link.expect_kind(0x32).await;
        assert_eq!(publish_id(&first), 1);
        link.expect_kind(0x30).await;
        let mut messages = client.subscribe("t").declare().unwrap();
        let subscribing = tokio::spawn(client.subscribe("u").into_future());
        let waiting = tokio::spawn(async move {
            let message = messages.next().await;
            (messages, message)
        });
        settle().await;
        driving.abort();
        let _ = driving.await;
        assert_told(Survivors {
            sent,
            queued,
            qos_0,
        })
        .await;
        let (messages, message) = soon(waiting).await.unwrap();
        assert!(message.is_none());
        let end = messages.end_reason();
        assert!(matches!(
            end,
            Some(StreamEnd::Closed(CloseReason::DriverDropped))
        ));
        assert!(matches!(
            soon(subscribing).await.unwrap(),
            Err(SubscribeError::Closed(_))
        ));
        assert!(matches!(
            soon(client.connected()).await,
            Err(CloseReason::DriverDropped)
        ));
        assert!(matches!(
            soon(client.disconnect()).await,
            Err(DisconnectError::Closed(_))
        ));
    });
}

/// The client lives on one runtime, its user on another one.
#[test]
fn dropping_the_runtime_resolves_everything() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (client, server, link, survivors) = runtime.block_on(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect("20 06 00 00 03 21 00 01").await;
        let sent = client
            .publish("t", "sent")
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        let queued = client
            .publish("t", "queued")
            .qos(QOS_1)
            .enqueue()
            .await
            .unwrap();
        let qos_0 = client.publish("t", "0").enqueue().await.unwrap();
        link.expect_kind(0x32).await;
        link.expect_kind(0x30).await;
        (
            client,
            server,
            link,
            Survivors {
                sent,
                queued,
                qos_0,
            },
        )
    });
    drop(link);
    drop(server);
    runtime.shutdown_timeout(Duration::from_secs(5));
    run(async {
        assert_told(survivors).await;
        assert!(matches!(
            closed(&client).await,
            CloseReason::DriverDropped | CloseReason::Final(_)
        ));
        assert!(matches!(
            soon(client.publish("t", "late").qos(QOS_1)).await,
            Err(PublishError::Closed { .. })
        ));
    });
}

/// Never polled at all.
#[test]
fn a_driver_that_was_never_run_resolves_everything_when_it_goes() {
    run(async {
        let (pipe, _server) = pipe(1024);
        let options = ClientOptions::new().client_id("c");
        let (client, driver) = AnyClient::new(options, pipe, ManualTime::default()).unwrap();
        let queued = client.publish("t", "1").qos(QOS_2).enqueue().await.unwrap();
        let mut declared = client.subscribe("t").declare().unwrap();
        drop(driver);
        assert!(matches!(
            soon(queued).await,
            Err(PublishError::NeverSent { .. })
        ));
        assert!(soon(declared.next()).await.is_none());
        soon(client.connected()).await.unwrap_err();
    });
}

/// Taps end with the client, after what they hold.
#[test]
fn observers_and_watchers_end_with_the_client() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut states = client.state_changes();
        let (mut observed, mut verdicts) = (client.observe(4), client.verdicts(4));
        let mut notices = client.notices(4);
        drop(client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap());
        link.expect_kind(0x32).await;
        link.send(ack(0x40, 1)).await;
        let ending = tokio::spawn(client.disconnect().into_future());
        link.expect(GOODBYE).await;
        drop(link);
        soon(ending).await.unwrap().unwrap();
        assert!(soon(verdicts.next()).await.is_some());
        assert!(soon(verdicts.next()).await.is_none());
        assert!(soon(observed.next()).await.is_none());
        assert!(soon(notices.next()).await.is_none());
        assert!(matches!(
            soon(states.changed()).await,
            Some(ConnectionState::Closed(_))
        ));
        assert!(soon(states.changed()).await.is_none());
    });
}
