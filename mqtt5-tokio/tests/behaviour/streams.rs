//! Streams of messages: what goes where, how long, and who acknowledges.

use std::time::Duration;

use mqtt5_testkit::TestBroker;
use mqtt5_tokio::proto::codec::Utf8String;
use mqtt5_tokio::proto::packet::{AckProperties, PublishReasonCode};
use mqtt5_tokio::proto::session::AckError;
use mqtt5_tokio::{Client, CloseReason, Messages, QoS, StreamEnd};
use tokio::net::TcpStream;

use crate::support::{
    Link, NEW_SESSION, QOS_0, QOS_1, QOS_2, RESUMED, Server, ack, client_of, id_of, inject, next,
    next_text, nothing_else, packet, poll_once, publish, run, run_on_two_threads, soon, subscribed,
    text,
};

/// A PUBLISH of QoS 1 with these Subscription Identifiers.
fn identified(topic: &str, id: u16, identifiers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&id.to_be_bytes());
    body.push(u8::try_from(2 * identifiers.len()).unwrap());
    for identifier in identifiers {
        body.extend_from_slice(&[0x0B, *identifier]);
    }
    body.extend_from_slice(payload);
    packet(0x32, &body)
}

/// The Subscription Identifier of a SUBSCRIBE.
fn identifier_of(subscribe: &[u8]) -> u8 {
    assert_eq!(subscribe[4..6], [2, 0x0B], "no identifier");
    subscribe[6]
}

async fn subscribe(
    client: &Client,
    link: &mut Link<TcpStream>,
    filter: &'static str,
) -> (Messages, u8) {
    let subscribe = async { client.subscribe(filter).await.unwrap() };
    let (messages, packet) = soon(async { tokio::join!(subscribe, link.grant("02")) }).await;
    (messages, identifier_of(&packet))
}

#[test]
fn handles_and_streams_outlive_reconnects() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        let handle = client.clone();
        let mut messages = soon(client.subscribe("t")).await.unwrap();
        for number in 0..10_u64 {
            soon(handle.publish("t", number.to_string()).qos(QOS_2))
                .await
                .unwrap();
            assert_eq!(next_text(&mut messages).await, number.to_string());
            assert!(messages.end_reason().is_none());
            broker.drop_connections();
            soon(broker.wait_for(|broker| broker.connection_of("c").is_some()))
                .await
                .unwrap();
        }
        soon(handle.connected()).await.unwrap();
        assert!(client.statistics().connections > 5);
    });
}

#[test]
fn a_stream_gets_only_what_its_filter_matches() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        let mut one = soon(client.subscribe("one/+")).await.unwrap();
        let mut two = soon(client.subscribe("two/#")).await.unwrap();
        for number in 0..5 {
            inject(&broker, &format!("two/{number}"), "2", QOS_1);
            inject(&broker, &format!("one/{number}"), "1", QOS_1);
        }
        for number in 0..5 {
            assert_eq!(next(&mut one).await.topic(), format!("one/{number}"));
            assert_eq!(next(&mut two).await.topic(), format!("two/{number}"));
        }
        assert_eq!((one.waiting(), two.waiting()), (0, 0));
    });
}

/// One exchange, two owners: acknowledged when both have, by the worse reason.
#[test]
fn a_message_of_overlapping_streams_is_acknowledged_once_by_the_worst_reason() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let (mut all, all_id) = subscribe(&client, &mut link, "#").await;
        let (mut some, some_id) = subscribe(&client, &mut link, "a/+").await;
        assert_ne!(all_id, some_id);
        link.send(identified("a/b", 5, &[all_id, some_id], b"1"))
            .await;
        let mine = next(&mut all).await;
        let yours = next(&mut some).await;
        assert_eq!(
            (text(&mine), text(&yours)),
            ("1".to_owned(), "1".to_owned())
        );
        some.reject(&yours, PublishReasonCode::NotAuthorized)
            .unwrap();
        nothing_else(&client, &mut link).await;
        all.acknowledge(&mine).unwrap();
        link.expect("40 03 00 05 87").await;

        // In the other order, and by asking for the next.
        link.send(identified("a/b", 6, &[some_id, all_id], b"2"))
            .await;
        let mine = next(&mut all).await;
        assert_eq!(next_text(&mut some).await, "2");
        all.reject(&mine, PublishReasonCode::QuotaExceeded).unwrap();
        nothing_else(&client, &mut link).await;
        assert!(poll_once(&mut some.next()).is_pending());
        link.expect("40 03 00 06 97").await;
        nothing_else(&client, &mut link).await;
    });
}

/// What the owner of the worst reason says goes with it, whoever was last.
#[test]
fn the_worst_reason_keeps_its_properties() {
    fn because(text: &str) -> AckProperties {
        AckProperties {
            reason_string: Some(Utf8String::new(text).unwrap()),
            ..AckProperties::default()
        }
    }
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let (mut all, all_id) = subscribe(&client, &mut link, "#").await;
        let (mut some, some_id) = subscribe(&client, &mut link, "a/+").await;
        for last_is_worst in [false, true] {
            link.send(identified("a/b", 5, &[all_id, some_id], b""))
                .await;
            let (mine, yours) = (next(&mut all).await, next(&mut some).await);
            let worst = || {
                let reason = PublishReasonCode::QuotaExceeded;
                all.reject_with(&mine, reason, because("W")).unwrap();
            };
            let better = || {
                let reason = PublishReasonCode::NotAuthorized;
                some.reject_with(&yours, reason, because("B")).unwrap();
            };
            if last_is_worst {
                better();
                worst();
            } else {
                worst();
                better();
            }
            link.expect("40 08 00 05 97 04 1F 00 01 57").await;
        }
    });
}

#[test]
fn the_end_of_one_owner_leaves_the_acknowledgement_to_the_other() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let (mut all, all_id) = subscribe(&client, &mut link, "#").await;
        let (some, some_id) = subscribe(&client, &mut link, "a/+").await;
        link.send(identified("a/b", 5, &[all_id, some_id], b"1"))
            .await;
        let message = next(&mut all).await;
        assert_eq!(some.waiting(), 1);
        drop(some);
        link.expect_kind(0xA2).await;
        nothing_else(&client, &mut link).await;
        all.acknowledge(&message).unwrap();
        link.expect(ack(0x40, 5)).await;
    });
}

/// The session is lost between the two: neither of them acknowledges anything any more.
#[test]
fn a_shared_message_of_a_lost_session_is_nobodys_to_acknowledge() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let (mut all, all_id) = subscribe(&client, &mut link, "#").await;
        let (mut some, some_id) = subscribe(&client, &mut link, "a/+").await;
        link.send(identified("a/b", 5, &[all_id, some_id], b"1"))
            .await;
        let (mine, yours) = (next(&mut all).await, next(&mut some).await);
        drop(link);
        let (mut link, _) = server.answer(NEW_SESSION).await;
        link.grant("02").await;
        link.grant("02").await;
        assert_eq!(all.acknowledge(&mine), Err(AckError::SessionLost));
        assert_eq!(some.acknowledge(&yours), Err(AckError::SessionLost));
        nothing_else(&client, &mut link).await;
    });
}

/// A server that sends a copy for each subscription: each is an exchange of its own, and each goes
/// to its own stream.
#[test]
fn copies_with_one_identifier_each_go_to_one_stream_each() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let (mut all, all_id) = subscribe(&client, &mut link, "#").await;
        let (mut some, some_id) = subscribe(&client, &mut link, "a/+").await;
        link.send(identified("a/b", 5, &[some_id], b"for some"))
            .await;
        link.send(identified("a/b", 6, &[all_id], b"for all")).await;
        assert_eq!(next_text(&mut some).await, "for some");
        assert_eq!(next_text(&mut all).await, "for all");
        assert_eq!((all.waiting(), some.waiting()), (0, 0));
    });
}

/// An identifier proves nothing by itself: unknown, or of a filter that does not match.
#[test]
fn an_identifier_that_does_not_fit_leaves_the_choice_to_the_filters() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let (mut one, one_id) = subscribe(&client, &mut link, "one").await;
        let (mut two, _) = subscribe(&client, &mut link, "two").await;
        link.send(identified("two", 1, &[one_id], b"wrong identifier"))
            .await;
        link.send(identified("one", 2, &[99], b"unknown identifier"))
            .await;
        link.send(identified("one", 3, &[], b"no identifier")).await;
        assert_eq!(next_text(&mut two).await, "wrong identifier");
        assert_eq!(next_text(&mut one).await, "unknown identifier");
        assert_eq!(next_text(&mut one).await, "no identifier");
        assert!(client.state().is_connected());
    });
}

/// Subscription Identifiers not available: none is sent, and filters alone decide.
#[test]
fn without_subscription_identifiers_the_filters_decide() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect("20 05 00 00 02 29 00").await;
        let subscribe = async { client.subscribe("a/+").await.unwrap() };
        let (mut some, packet) = soon(async { tokio::join!(subscribe, link.grant("02")) }).await;
        assert_eq!(packet[4], 0, "an identifier was sent");
        let subscribe = async { client.subscribe("#").await.unwrap() };
        let (mut all, _) = soon(async { tokio::join!(subscribe, link.grant("02")) }).await;
        link.send(publish(0x2, "a/b", Some(1), b"both")).await;
        link.send(publish(0x2, "c", Some(2), b"one")).await;
        assert_eq!(next_text(&mut some).await, "both");
        assert_eq!(next_text(&mut all).await, "both");
        assert_eq!(next_text(&mut all).await, "one");
        assert_eq!(some.waiting(), 0);
    });
}

#[test]
fn the_same_filter_twice_shares_one_subscription() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        let mut one = soon(client.subscribe("t").qos(QOS_2)).await.unwrap();
        // Asking for less does not take anything from the first.
        let mut two = soon(client.subscribe("t").qos(QOS_0)).await.unwrap();
        assert_eq!(one.granted(), Some(QOS_2));
        inject(&broker, "t", "both", QOS_2);
        let first = next(&mut one).await;
        assert_eq!((text(&first).as_str(), first.qos()), ("both", QOS_2));
        assert_eq!(next_text(&mut two).await, "both");

        // The first goes, the subscription stays for the second.
        soon(one.unsubscribe()).await.unwrap();
        broker.script(|broker, _| assert_eq!(broker.subscriptions("c").count(), 1));
        inject(&broker, "t", "second only", QOS_1);
        assert_eq!(next_text(&mut two).await, "second only");
        soon(two.unsubscribe()).await.unwrap();
        broker.script(|broker, _| assert_eq!(broker.subscriptions("c").count(), 0));
    });
}

#[test]
fn several_filters_in_one_stream_give_each_message_once() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        let filters = ["a/+", "a/#", "b"];
        let mut messages = soon(client.subscribe_many(filters)).await.unwrap();
        inject(&broker, "a/x", "1", QOS_1);
        inject(&broker, "b", "2", QOS_1);
        assert_eq!(next_text(&mut messages).await, "1");
        assert_eq!(next_text(&mut messages).await, "2");
        assert_eq!(messages.grants().len(), 3);
    });
}

/// Clones share the work: each message goes to one of them, and none is lost.
#[test]
fn clones_of_a_stream_share_its_messages() {
    run_on_two_threads(async {
        let broker = TestBroker::start().await.unwrap();
        let client = soon(client_of(&broker).connect()).await.unwrap();
        let messages = soon(client.subscribe("t")).await.unwrap();
        let mut workers = Vec::new();
        for _ in 0..3 {
            let mut mine = messages.clone();
            workers.push(tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Some(message) = mine.next().await {
                    seen.push(text(&message).parse::<usize>().unwrap());
                    tokio::task::yield_now().await;
                }
                seen
            }));
        }
        for number in 0..90 {
            inject(&broker, "t", &number.to_string(), QOS_1);
        }
        soon(broker.wait_for(|broker| broker.unacknowledged("c") == 0 && broker.queued("c") == 0))
            .await
            .unwrap();
        soon(messages.unsubscribe()).await.unwrap();
        let mut seen = Vec::new();
        for worker in workers {
            seen.extend(soon(worker).await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..90).collect::<Vec<_>>());
    });
}

/// Before the SUBACK, as the standard allows.
#[test]
fn messages_are_routed_from_the_moment_of_the_command() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = client.subscribe("t").declare().unwrap();
        let subscribe = link.expect_kind(0x82).await;
        link.send(publish(0x2, "t", Some(1), b"early")).await;
        assert_eq!(next_text(&mut messages).await, "early");
        assert_eq!(messages.granted(), None);
        let id = id_of(&subscribe).to_be_bytes();
        link.send(packet(0x90, &[id[0], id[1], 0, 1])).await;
        soon(async {
            while messages.granted() != Some(QoS::AtLeastOnce) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
}

/// Ephemeral: acknowledged, discarded, counted.
#[test]
fn unclaimed_messages_of_an_ephemeral_session_are_acknowledged_discarded_and_counted() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        link.send(publish(0x2, "nobody", Some(1), b"")).await;
        link.expect(ack(0x40, 1)).await;
        link.send(publish(0x4, "nobody", Some(2), b"")).await;
        link.expect(ack(0x50, 2)).await;
        link.send(publish(0x0, "nobody", None, b"")).await;
        soon(async {
            while client.statistics().unclaimed_discarded < 3 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // Not kept for somebody who comes later.
        assert_eq!(client.messages().waiting(), 0);
    });
}

/// Durable: held for `messages()`, or for a stream that claims them.
#[test]
fn unclaimed_messages_of_a_durable_session_are_held() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().durable("c", Duration::from_secs(60));
        let (client, mut link) = server.connect_by(builder, RESUMED).await;
        link.send(publish(0x2, "one", Some(1), b"1")).await;
        link.send(publish(0x4, "two", Some(2), b"2")).await;
        link.send(publish(0x2, "three", Some(3), b"3")).await;
        link.send(publish(0x0, "one", None, b"not held")).await;
        soon(async {
            while client.statistics().messages_received < 4 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        nothing_else(&client, &mut link).await;
        assert_eq!(client.statistics().unclaimed_discarded, 1);

        let mut two = client.subscribe("two").declare().unwrap();
        link.expect_kind(0x82).await;
        assert_eq!(next_text(&mut two).await, "2");
        let mut rest = client.messages();
        assert_eq!(next_text(&mut rest).await, "1");
        assert_eq!(next_text(&mut rest).await, "3");
        link.expect(ack(0x40, 1)).await;
    });
}

#[test]
fn unclaimed_messages_go_to_the_one_who_asks_for_them() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut claimed = subscribed(&client, &mut link, "claimed").await;
        let mut unclaimed = client.messages();
        link.send(publish(0x2, "claimed", Some(1), b"1")).await;
        link.send(publish(0x2, "nobody", Some(2), b"2")).await;
        assert_eq!(next_text(&mut claimed).await, "1");
        assert_eq!(next_text(&mut unclaimed).await, "2");
        assert_eq!(unclaimed.waiting(), 0);
        assert_eq!(client.statistics().unclaimed_discarded, 0);
    });
}

/// A tap sees everything, owes nothing, and tells what it lost.
#[test]
fn an_observer_sees_all_messages_without_a_duty_to_acknowledge() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let mut observer = client.observe(2);
        for id in 1..=4 {
            link.send(publish(0x2, "t", Some(id), id.to_string().as_bytes()))
                .await;
            assert_eq!(next_text(&mut messages).await, id.to_string());
        }
        assert_eq!(observer.lost(), 2);
        assert_eq!(text(&soon(observer.next()).await.unwrap()), "3");
        assert_eq!(text(&soon(observer.next()).await.unwrap()), "4");
        for id in 1..=3 {
            link.expect(ack(0x40, id)).await;
        }
        nothing_else(&client, &mut link).await;
    });
}

#[test]
fn a_stream_says_why_it_ended() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;

        // Unsubscribed: clones take what waits, then the end.
        let messages = subscribed(&client, &mut link, "gone").await;
        let mut clone = messages.clone();
        assert!(clone.end_reason().is_none());
        link.send(publish(0x2, "gone", Some(1), b"waiting")).await;
        soon(async {
            while clone.waiting() == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let unsubscribing = tokio::spawn(messages.unsubscribe());
        let unsubscribe = link.expect_kind(0xA2).await;
        let id = id_of(&unsubscribe).to_be_bytes();
        link.send(packet(0xB0, &[id[0], id[1], 0, 0])).await;
        soon(unsubscribing).await.unwrap().unwrap();
        assert_eq!(next_text(&mut clone).await, "waiting");
        assert!(soon(clone.next()).await.is_none());
        assert!(matches!(clone.end_reason(), Some(StreamEnd::Unsubscribed)));
        link.expect(ack(0x40, 1)).await;

        // Refused.
        let mut refused = client.subscribe("forbidden").declare().unwrap();
        link.grant("87").await;
        assert!(soon(refused.next()).await.is_none());
        match refused.end_reason() {
            Some(StreamEnd::Refused(code)) => assert_eq!(code.raw(), 0x87),
            other => panic!("{other:?}"),
        }

        // The end of the client.
        let mut last = subscribed(&client, &mut link, "last").await;
        let ending = tokio::spawn(client.disconnect().into_future());
        assert_eq!(link.packet().await[0], 0xE0);
        drop(link);
        soon(ending).await.unwrap().unwrap();
        assert!(soon(last.next()).await.is_none());
        assert!(matches!(
            last.end_reason(),
            Some(StreamEnd::Closed(CloseReason::Requested))
        ));
    });
}

#[test]
fn an_ephemeral_session_unsubscribes_when_its_stream_is_dropped() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let messages = subscribed(&client, &mut link, "t").await;
        link.send(publish(0x2, "t", Some(1), b"waiting")).await;
        soon(async {
            while messages.waiting() == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let clone = messages.clone();
        drop(messages);
        nothing_else(&client, &mut link).await;
        drop(clone);
        // What waited is nobody's now.
        let mut kinds = [link.packet().await[0], link.packet().await[0]];
        kinds.sort_unstable();
        assert_eq!(kinds, [0x40, 0xA2]);
        assert_eq!(client.statistics().unclaimed_discarded, 1);
    });
}

#[test]
fn a_durable_session_keeps_the_subscription_of_a_dropped_stream() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().durable("c", Duration::from_secs(60));
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let messages = subscribed(&client, &mut link, "t").await;
        drop(messages);
        link.send(publish(0x2, "t", Some(1), b"held")).await;
        soon(async {
            while client.statistics().messages_received < 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        nothing_else(&client, &mut link).await;
        // The next stream of that filter finds it.
        let mut again = client.subscribe("t").declare().unwrap();
        link.grant("02").await;
        assert_eq!(next_text(&mut again).await, "held");
    });
}

/// Retained messages come to every stream of the filter, since they share the subscription.
#[test]
fn a_shared_subscription_is_matched_without_its_prefix() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect("20 05 00 00 02 29 00").await;
        let subscribe = async { client.subscribe("$share/group/a/+").await.unwrap() };
        let (mut messages, _) = soon(async { tokio::join!(subscribe, link.grant("02")) }).await;
        link.send(publish(0x2, "a/b", Some(1), b"work")).await;
        assert_eq!(next_text(&mut messages).await, "work");
    });
}

/// A PUBACK was lost with its connection, and the message is repeated when its stream is gone.
#[test]
fn a_message_of_an_unsubscribed_stream_does_not_hold_up_a_durable_session() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().durable("c", Duration::from_secs(60));
        let (client, mut link) = server.connect_by(builder, RESUMED).await;
        let mut kept = subscribed(&client, &mut link, "kept").await;
        let gone = subscribed(&client, &mut link, "gone").await;
        let leaving = tokio::spawn(gone.unsubscribe());
        let unsubscribe = link.expect_kind(0xA2).await;
        let id = id_of(&unsubscribe).to_be_bytes();
        link.send(packet(0xB0, &[id[0], id[1], 0, 0])).await;
        soon(leaving).await.unwrap().unwrap();

        link.send(publish(0xA, "gone", Some(1), b"again")).await;
        link.send(publish(0x2, "kept", Some(2), b"2")).await;
        assert_eq!(next_text(&mut kept).await, "2");
        assert!(poll_once(&mut kept.next()).is_pending());
        link.expect(ack(0x40, 1)).await;
        link.expect(ack(0x40, 2)).await;
    });
}
