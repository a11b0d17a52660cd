//! Subscribing and unsubscribing: answers, cuts, and futures that are dropped.

use mqtt5_testkit::{Effect, Restart, TestBroker, When};
use mqtt5_tokio::proto::packet::{PacketType, Received, RetainHandling, SubackReasonCode};
use mqtt5_tokio::{Notice, StreamEnd, SubscribeError, TopicFilter, UnsubscribeError};

use crate::support::{
    NEW_SESSION, QOS_0, QOS_1, QOS_2, RESUMED, Server, ack, client_of, closed, id_of, inject,
    next_text, packet, poll_once, publish, quick, run, run_on_two_threads, show, soon, subscribed,
};

#[test]
fn the_granted_qos_is_told_and_may_be_lower() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut streams = Vec::new();
        for (code, granted) in [("00", QOS_0), ("01", QOS_1), ("02", QOS_2)] {
            let subscribe = async { client.subscribe("t").await.unwrap() };
            let (messages, _) = soon(async { tokio::join!(subscribe, link.grant(code)) }).await;
            assert_eq!(messages.granted(), Some(granted));
            streams.push(messages);
        }
    });
}

#[test]
fn every_filter_has_a_result_of_its_own_and_only_all_failures_are_an_error() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let subscribe = async { client.subscribe_many(["a", "b", "c"]).await.unwrap() };
        let (mut messages, _) =
            soon(async { tokio::join!(subscribe, link.grant("87 01 C0")) }).await;
        let results: Vec<_> = messages
            .grants()
            .into_iter()
            .map(|grant| (grant.filter.as_str().to_owned(), grant.result.unwrap()))
            .map(|(filter, result)| (filter, result.map_err(Received::raw)))
            .collect();
        assert_eq!(
            results,
            [
                ("a".to_owned(), Err(0x87)),
                ("b".to_owned(), Ok(QOS_1)),
                ("c".to_owned(), Err(0xC0)),
            ]
        );
        assert_eq!(messages.granted(), Some(QOS_1));
        link.send(publish(0x2, "b", Some(1), b"1")).await;
        assert_eq!(next_text(&mut messages).await, "1");

        let subscribing = tokio::spawn(client.subscribe_many(["d", "e"]).into_future());
        link.grant("97 87").await;
        match soon(subscribing).await.unwrap() {
            Err(SubscribeError::Refused { reason_code, .. }) => {
                assert_eq!(reason_code.tabled(), Some(SubackReasonCode::QuotaExceeded));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_subscribe_without_a_connection_waits_for_one() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().start().unwrap();
        let subscribing = tokio::spawn(client.subscribe("t").into_future());
        let (mut link, _) = server.answer(NEW_SESSION).await;
        link.grant("01").await;
        assert_eq!(
            soon(subscribing).await.unwrap().unwrap().granted(),
            Some(QOS_1)
        );
    });
}

/// While its future lives: a new SUBSCRIBE on every connection, until one is answered. Whether the
/// session went on or not.
#[test]
fn a_pending_subscribe_is_made_again_after_a_cut() {
    run(async {
        for connack in [RESUMED, NEW_SESSION] {
            let server = Server::start().await;
            let (client, mut link) = server.connect(NEW_SESSION).await;
            let subscribing = tokio::spawn(client.subscribe("t").qos(QOS_1).into_future());
            let first = link.expect_kind(0x82).await;
            drop(link);
            for _ in 0..2 {
                let (mut link, _) = server.answer(connack).await;
                let again = link.expect_kind(0x82).await;
                assert_eq!(again[4..], first[4..], "other options");
                drop(link);
            }
            let (mut link, _) = server.answer(connack).await;
            link.grant("01").await;
            let mut messages = soon(subscribing).await.unwrap().unwrap();
            // Once, and not a second time to restore it.
            soon(client.publish("barrier", "")).await.unwrap();
            link.expect(publish(0x0, "barrier", None, b"")).await;
            link.send(publish(0x2, "t", Some(1), b"1")).await;
            assert_eq!(next_text(&mut messages).await, "1");
        }
    });
}

/// Its answer comes after all: what the server did is undone.
#[test]
fn a_dropped_pending_subscribe_is_undone_when_its_answer_comes() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut subscribing = client.subscribe("t").into_future();
        assert!(poll_once(&mut subscribing).is_pending());
        let subscribe = link.expect_kind(0x82).await;
        drop(subscribing);
        soon(client.publish("barrier", "")).await.unwrap();
        link.expect(publish(0x0, "barrier", None, b"")).await;
        let id = id_of(&subscribe).to_be_bytes();
        link.send(packet(0x90, &[id[0], id[1], 0, 2])).await;
        let unsubscribe = link.expect_kind(0xA2).await;
        assert!(
            unsubscribe.ends_with(b"\x00\x01t"),
            "{}",
            show(&unsubscribe)
        );
    });
}

#[test]
fn a_dropped_pending_subscribe_that_was_refused_leaves_nothing_to_undo() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut subscribing = client.subscribe("t").into_future();
        assert!(poll_once(&mut subscribing).is_pending());
        let subscribe = link.expect_kind(0x82).await;
        drop(subscribing);
        let id = id_of(&subscribe).to_be_bytes();
        link.send(packet(0x90, &[id[0], id[1], 0, 0x87])).await;
        link.send(publish(0x2, "t", Some(1), b"")).await;
        link.expect(ack(0x40, 1)).await;
    });
}

#[test]
fn a_dropped_pending_subscribe_is_not_made_again_after_a_cut() {
    run(async {
        for connack in [RESUMED, NEW_SESSION] {
            let server = Server::start().await;
            let (client, mut link) = server.connect(NEW_SESSION).await;
            let mut subscribing = client.subscribe("t").into_future();
            assert!(poll_once(&mut subscribing).is_pending());
            link.expect_kind(0x82).await;
            drop(subscribing);
            drop(link);
            let (mut link, _) = server.answer(connack).await;
            // The server may have done it before the cut; in a new session it does no harm.
            let unsubscribe = link.expect_kind(0xA2).await;
            assert!(
                unsubscribe.ends_with(b"\x00\x01t"),
                "{}",
                show(&unsubscribe)
            );
            let publishing = client
                .publish("barrier", "")
                .qos(QOS_1)
                .enqueue()
                .await
                .unwrap();
            link.expect_kind(0x32).await;
            drop(publishing);
        }
    });
}

/// A future that was dropped while another stream of the same filter waits or lives.
#[test]
fn undoing_one_subscribe_leaves_the_other_stream_of_its_filter() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let mut subscribing = client.subscribe("t").into_future();
        assert!(poll_once(&mut subscribing).is_pending());
        let subscribe = link.expect_kind(0x82).await;
        drop(subscribing);
        let id = id_of(&subscribe).to_be_bytes();
        link.send(packet(0x90, &[id[0], id[1], 0, 2])).await;
        link.send(publish(0x0, "t", None, b"1")).await;
        assert_eq!(next_text(&mut messages).await, "1");
        soon(client.publish("barrier", "")).await.unwrap();
        link.expect(publish(0x0, "barrier", None, b"")).await;
    });
}

/// The second one would have restored the subscription of the first.
#[test]
fn a_dropped_subscribe_does_not_keep_another_stream_from_being_restored() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let mut subscribing = client.subscribe("t").into_future();
        assert!(poll_once(&mut subscribing).is_pending());
        link.expect_kind(0x82).await;
        drop(link);
        drop(subscribing);
        let (mut link, _) = server.answer(NEW_SESSION).await;
        link.grant("02").await;
        link.send(publish(0x0, "t", None, b"restored")).await;
        assert_eq!(next_text(&mut messages).await, "restored");
    });
}

/// As before, but it is refused: that is the end for both.
#[test]
fn a_subscribe_that_was_to_restore_another_and_is_refused_ends_both() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut notices = client.notices(4);
        let mut messages = subscribed(&client, &mut link, "t").await;
        let subscribing = tokio::spawn(client.subscribe("t").into_future());
        link.expect_kind(0x82).await;
        drop(link);
        let (mut link, _) = server.answer(NEW_SESSION).await;
        link.grant("87").await;
        assert!(matches!(
            soon(subscribing).await.unwrap(),
            Err(SubscribeError::Refused { .. })
        ));
        assert!(soon(messages.next()).await.is_none());
        assert!(matches!(messages.end_reason(), Some(StreamEnd::Refused(_))));
        assert_eq!(soon(notices.next()).await, Some(Notice::SessionLost));
        assert!(matches!(
            soon(notices.next()).await,
            Some(Notice::SubscriptionLost(_))
        ));
    });
}

/// On a live connection the refusal of a second stream is its own.
#[test]
fn a_refused_second_stream_leaves_the_first_of_its_filter() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let subscribing = tokio::spawn(client.subscribe("t").into_future());
        link.grant("97").await;
        assert!(matches!(
            soon(subscribing).await.unwrap(),
            Err(SubscribeError::Refused { .. })
        ));
        link.send(publish(0x0, "t", None, b"1")).await;
        assert_eq!(next_text(&mut messages).await, "1");
    });
}

/// Literally the same SUBSCRIBE, but for its identifier.
#[test]
fn a_restored_subscription_keeps_its_options() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let subscribe = client
            .subscribe("t/#")
            .qos(QOS_1)
            .no_local(true)
            .retain_as_published(true)
            .retain_handling(RetainHandling::DoNotSend)
            .user_property("a", "b");
        let subscribe = async { subscribe.await.unwrap() };
        let (_messages, first) = soon(async { tokio::join!(subscribe, link.grant("01")) }).await;
        assert_eq!(
            show(&first[4..]),
            "09 0B 01 26 00 01 61 00 01 62 00 03 74 2F 23 2D",
        );
        for _ in 0..2 {
            drop(link);
            (link, _) = server.answer(NEW_SESSION).await;
            let again = link.grant("01").await;
            assert_eq!(again[4..], first[4..]);
        }
    });
}

/// The new server knows no identifiers: asked for again without.
#[test]
fn a_subscription_is_restored_without_an_identifier_where_there_are_none() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let pending = tokio::spawn(client.subscribe("u").into_future());
        link.expect_kind(0x82).await;
        drop(link);
        let (mut link, _) = server.answer("20 05 00 00 02 29 00").await;
        for _ in 0..2 {
            let subscribe = link.grant("02").await;
            assert_eq!(subscribe[4], 0, "{}", show(&subscribe));
        }
        let mut other = soon(pending).await.unwrap().unwrap();
        link.send(publish(0x0, "t", None, b"1")).await;
        link.send(publish(0x0, "u", None, b"2")).await;
        assert_eq!(next_text(&mut messages).await, "1");
        assert_eq!(next_text(&mut other).await, "2");
    });
}

/// What the new server does not take at all.
#[test]
fn a_pending_subscribe_that_no_longer_fits_is_rejected_by_its_rule() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().start().unwrap();
        let wildcard = tokio::spawn(client.subscribe("a/#").into_future());
        let mut declared = client.subscribe("$share/g/a").declare().unwrap();
        tokio::task::yield_now().await;
        let (_link, _) = server.answer("20 07 00 00 04 28 00 2A 00").await;
        match soon(wildcard).await.unwrap() {
            Err(SubscribeError::NotAccepted(rule)) => {
                assert!(rule.to_string().contains("wildcard"), "{rule}");
            }
            other => panic!("{other:?}"),
        }
        assert!(soon(declared.next()).await.is_none());
        assert!(matches!(
            declared.end_reason(),
            Some(StreamEnd::NotPossible)
        ));
    });
}

#[test]
fn an_answer_with_a_wrong_number_of_codes_fails_the_request_and_not_the_connection() {
    run(async {
        for codes in ["", "00 00", "00 00 00"] {
            let server = Server::start().await;
            let (client, mut link) = server.connect(NEW_SESSION).await;
            let subscribing = tokio::spawn(client.subscribe("t").into_future());
            link.grant(codes).await;
            match soon(subscribing).await.unwrap() {
                Err(SubscribeError::MalformedAnswer) => {}
                other => panic!("{other:?}"),
            }
            // What the server may have done is undone.
            let unsubscribe = link.expect_kind(0xA2).await;
            let id = id_of(&unsubscribe).to_be_bytes();
            link.send(packet(0xB0, &[id[0], id[1], 0, 0])).await;
            subscribed(&client, &mut link, "u").await;
            assert_eq!(client.statistics().connections, 1);
        }
    });
}

#[test]
fn an_unsubscribe_is_answered_refused_or_malformed() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        for code in ["00", "11", "87", "C0", "00 00"] {
            let messages = subscribed(&client, &mut link, "t").await;
            let mut clone = messages.clone();
            let unsubscribing = tokio::spawn(messages.unsubscribe());
            let unsubscribe = link.expect_kind(0xA2).await;
            let mut body = unsubscribe[2..4].to_vec();
            body.push(0);
            body.extend(crate::support::hex(code));
            link.send(packet(0xB0, &body)).await;
            match (code, soon(unsubscribing).await.unwrap()) {
                ("00" | "11", Ok(())) | ("00 00", Err(UnsubscribeError::MalformedAnswer)) => {}
                ("87" | "C0", Err(UnsubscribeError::Refused(refused))) => {
                    assert_eq!(format!("{:02X}", refused.raw()), code);
                }
                (_, other) => panic!("{code}: {other:?}"),
            }
            // Ended all the same.
            assert!(soon(clone.next()).await.is_none());
            drop(clone);
        }
    });
}

#[test]
fn a_dropped_unsubscribe_goes_on_in_the_background_over_a_cut() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        let messages = soon(client.subscribe("t")).await.unwrap();
        broker.add_fault(When::received(PacketType::Unsubscribe), Effect::CutBefore);
        let mut unsubscribing = Box::pin(messages.unsubscribe());
        assert!(poll_once(&mut unsubscribing).is_pending());
        drop(unsubscribing);
        soon(broker.wait_for(|broker| broker.subscriptions("c").count() == 0))
            .await
            .unwrap();
        assert!(client.statistics().connections >= 2);
    });
}

/// Somebody subscribes to the filter again before the UNSUBSCRIBE has left.
#[test]
fn a_new_stream_of_a_filter_that_is_being_left_keeps_it() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        for _ in 0..20 {
            let messages = soon(client.subscribe("t")).await.unwrap();
            drop(messages);
            let mut messages = soon(client.subscribe("t")).await.unwrap();
            inject(&broker, "t", "here", QOS_1);
            assert_eq!(next_text(&mut messages).await, "here");
            let unsubscribing = tokio::spawn(messages.unsubscribe());
            let again = client.subscribe("t").declare().unwrap();
            soon(unsubscribing).await.unwrap().unwrap();
            let wanted = || TopicFilter::new("t").unwrap();
            soon(broker.wait_for(move |broker| {
                broker.subscriptions("c").any(|filter| *filter == wanted())
            }))
            .await
            .unwrap();
            let mut again = again;
            inject(&broker, "t", "still", QOS_1);
            assert_eq!(next_text(&mut again).await, "still");
            soon(again.unsubscribe()).await.unwrap();
        }
    });
}

/// While a subscription is being restored, its stream goes, or a second one comes.
#[test]
fn a_stream_dropped_while_it_is_restored_leaves_no_subscription_behind() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        let messages = soon(client.subscribe("t")).await.unwrap();
        let held = broker.add_fault(When::sent(PacketType::Suback), Effect::Hold);
        broker.restart(Restart::LoseSessions);
        soon(broker.wait_for(|broker| broker.struck(held) == 1))
            .await
            .unwrap();
        drop(messages);
        broker.release_held();
        soon(broker.wait_for(|broker| broker.subscriptions("c").count() == 0))
            .await
            .unwrap();
    });
}

/// One granted, one pending for the same filter; both go while there is no connection.
#[test]
fn streams_dropped_offline_leave_no_subscription_behind() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let granted = subscribed(&client, &mut link, "t").await;
        let mut pending = client.subscribe("t").into_future();
        assert!(poll_once(&mut pending).is_pending());
        link.expect_kind(0x82).await;
        drop(link);
        drop(granted);
        drop(pending);
        let (mut link, _) = server.answer(RESUMED).await;
        let unsubscribe = link.expect_kind(0xA2).await;
        assert!(
            unsubscribe.ends_with(b"\x00\x01t"),
            "{}",
            show(&unsubscribe)
        );
    });
}

#[test]
fn streams_end_when_the_client_cannot_go_on() {
    run(async {
        let server = Server::start().await;
        let client = quick(&server.url()).start().unwrap();
        let mut declared = client.subscribe("t").declare().unwrap();
        let subscribing = tokio::spawn(client.subscribe("u").into_future());
        let (_link, _) = server.answer("20 03 00 87 00").await;
        closed(&client).await;
        assert!(soon(declared.next()).await.is_none());
        assert!(matches!(declared.end_reason(), Some(StreamEnd::Closed(_))));
        assert!(matches!(
            soon(subscribing).await.unwrap(),
            Err(SubscribeError::Closed(_))
        ));
    });
}
