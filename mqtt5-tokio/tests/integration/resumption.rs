//! Sessions that go on over cuts and restarts, and sessions that are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use mqtt5_testkit::{Direction, LinkPlan};
use mqtt5_tokio::{Client, Messages, Notice, PublishError, Published, QoS};

use crate::clients::{connect, connection, direct, expect, next, over_link, publish, state};
use crate::support::broker::{Broker, Kind, on_both_brokers};
use crate::support::soon;

on_both_brokers! {
    a_cut_at_any_byte_to_the_broker_loses_and_doubles_nothing,
    a_cut_at_any_byte_to_the_client_loses_and_doubles_nothing,
    a_second_cut_at_any_byte_to_the_broker_loses_and_doubles_nothing,
    a_second_cut_at_any_byte_to_the_client_loses_and_doubles_nothing,
    a_restart_of_the_broker_is_survived,
    a_queue_at_the_broker_survives_its_restart_and_ours,
    a_lost_session_is_told_and_made_up_for,
    a_lost_session_leaves_a_released_message_unknown,
    states_tell_of_a_cut,
}

const QOS1: QoS = QoS::AtLeastOnce;
const QOS2: QoS = QoS::ExactlyOnce;

async fn a_cut_at_any_byte_to_the_broker_loses_and_doubles_nothing(kind: Kind) {
    cut_at_every_byte(kind, Direction::FromClient, false, 0..=60).await;
}

async fn a_cut_at_any_byte_to_the_client_loses_and_doubles_nothing(kind: Kind) {
    cut_at_every_byte(kind, Direction::ToClient, false, 0..=60).await;
}

async fn a_second_cut_at_any_byte_to_the_broker_loses_and_doubles_nothing(kind: Kind) {
    cut_at_every_byte(kind, Direction::FromClient, true, 0..=80).await;
}

async fn a_second_cut_at_any_byte_to_the_client_loses_and_doubles_nothing(kind: Kind) {
    cut_at_every_byte(kind, Direction::ToClient, true, 0..=60).await;
}

/// How often each message was seen.
type Seen = BTreeMap<String, u32>;

/// Takes messages until all `wanted` were seen.
async fn see(stream: &mut Messages, seen: &mut Seen, wanted: &[String]) {
    while !wanted.iter().all(|wanted| seen.contains_key(wanted)) {
        let message = next(stream).await;
        let payload = String::from_utf8_lossy(message.payload()).into_owned();
        *seen.entry(payload).or_default() += 1;
    }
}

async fn publish_two(client: &Client, topic: &str, payloads: &[String; 2]) {
    let [first, second] = payloads;
    tokio::join!(
        publish(client, topic, first, QOS1),
        publish(client, topic, second, QOS2)
    );
}

/// While messages of QoS 1 and 2 go both ways, the link is cut after each number of bytes. With
/// `second`, the next link is, after an earlier cut: in the handshake, and in what is repeated.
async fn cut_at_every_byte(kind: Kind, way: Direction, second: bool, bytes: RangeInclusive<u64>) {
    let broker = Broker::start(kind).await;
    let client = connect(over_link(&broker, "client")).await;
    let peer = connect(direct(&broker, "peer")).await;
    let mut down = soon(client.subscribe("down")).await.unwrap();
    let mut up = soon(peer.subscribe("up")).await.unwrap();
    let (mut seen_down, mut seen_up) = (Seen::new(), Seen::new());
    let mut rounds = 0;
    for count in bytes {
        rounds += 1;
        let ups = [format!("{count} up 1"), format!("{count} up 2")];
        let downs = [format!("{count} down 1"), format!("{count} down 2")];
        // Fewer bytes than a round has, so that there is something to repeat.
        let first = if second { Some(count % 40) } else { None };
        let cuts = first.into_iter().chain([count]);
        broker.link.script_now(cuts.map(move |after| {
            if count.is_multiple_of(2) {
                LinkPlan::sound().close(way, after)
            } else {
                LinkPlan::sound().reset(way, after)
            }
        }));
        tokio::join!(
            publish_two(&client, "up", &ups),
            publish_two(&peer, "down", &downs),
            see(&mut down, &mut seen_down, &downs),
            see(&mut up, &mut seen_up, &ups),
        );
    }
    // Whatever was sent twice is in front of these.
    let ups = ["last up 1".to_owned(), "last up 2".to_owned()];
    let downs = ["last down 1".to_owned(), "last down 2".to_owned()];
    tokio::join!(
        publish_two(&client, "up", &ups),
        publish_two(&peer, "down", &downs),
        see(&mut down, &mut seen_down, &downs),
        see(&mut up, &mut seen_up, &ups),
    );
    let of_broker = released_and_published_again(&broker.mosquitto_log());
    for (seen, allowed) in [(&seen_down, of_broker), (&seen_up, 0)] {
        assert_eq!(seen.len(), 2 * rounds + 2);
        let doubled: Vec<_> = seen
            .iter()
            .filter(|(payload, times)| payload.ends_with('2') && **times > 1)
            .collect();
        assert!(
            doubled.len() <= allowed,
            "more than once: {doubled:?}; of these, the broker is to blame for {allowed}"
        );
    }
    let statistics = client.statistics();
    assert_eq!(statistics.sessions_lost, 0);
    assert_eq!(statistics.publishes_failed, 0);
    assert_eq!(
        statistics.publishes_succeeded,
        statistics.publishes_accepted
    );
    let expected = u64::try_from(rounds).unwrap() / 2;
    assert!(statistics.connections > expected, "{statistics:?}");
    soon(client.disconnect()).await.unwrap();
    soon(peer.disconnect()).await.unwrap();
}

/// How often Mosquitto has published a message of QoS 2 again after it had released it. Version
/// 2.0.11 does so if its link is cut while it resends, and before it comes to the PUBREL; a client
/// that has answered the first PUBREL has to take it for a new message.
fn released_and_published_again(log: &str) -> usize {
    let mut released = BTreeSet::new();
    let mut count = 0;
    for line in log.lines() {
        let id_after = |start: &str| {
            let (_, rest) = line.split_once(start)?;
            rest.split([',', ')']).next()
        };
        if let Some(id) = id_after("Sending PUBREL to client (m") {
            released.insert(id);
        } else if let Some(id) = id_after("Received PUBCOMP from client (Mid: ") {
            released.remove(id);
        } else if let Some(id) = id_after("Sending PUBLISH to client (d1, q2, r0, m") {
            count += usize::from(released.remove(id));
        }
    }
    count
}

async fn a_restart_of_the_broker_is_survived(kind: Kind) {
    let broker = Broker::start(kind).await;
    // Mosquitto 2.0.11 does not save a session that was begun with Clean Start 1.
    let durable = direct(&broker, "c").durable("c", Duration::from_secs(600));
    let client = connect(durable).await;
    let mut stream = soon(client.subscribe("t")).await.unwrap();
    broker.stop();
    state(&client, |state| (!state.is_connected()).then_some(())).await;
    // Nobody is there to take it.
    let offline = client.publish("t", "offline").qos(QOS2);
    let offline = offline.try_enqueue().unwrap();
    broker.resume();
    soon(offline).await.unwrap();
    expect(&mut stream, "offline").await;
    let info = connection(&client, 2).await;
    assert!(info.session_present && !info.session_lost, "{info:?}");
    publish(&client, "t", "online", QOS1).await;
    expect(&mut stream, "online").await;
}

async fn a_queue_at_the_broker_survives_its_restart_and_ours(kind: Kind) {
    let broker = Broker::start(kind).await;
    let hour = Duration::from_secs(3600);
    let durable = || direct(&broker, "durable").durable("durable", hour);
    let client = connect(durable()).await;
    let stream = soon(client.subscribe("t")).await.unwrap();
    soon(client.disconnect()).await.unwrap();
    drop(stream);

    let publisher = connect(direct(&broker, "publisher")).await;
    publish(&publisher, "t", "one", QOS1).await;
    publish(&publisher, "t", "two", QOS2).await;
    soon(publisher.disconnect()).await.unwrap();
    broker.stop();
    broker.resume();

    let client = durable().start().unwrap();
    let mut stream = client.subscribe("t").declare().unwrap();
    assert!(soon(client.connected()).await.unwrap().session_present);
    assert_eq!(expect(&mut stream, "one").await.qos(), QOS1);
    assert_eq!(expect(&mut stream, "two").await.qos(), QOS2);
    publish(&client, "t", "three", QOS1).await;
    expect(&mut stream, "three").await;
}

async fn a_lost_session_is_told_and_made_up_for(kind: Kind) {
    let broker = Broker::start(kind).await;
    let client = connect(over_link(&broker, "c")).await;
    let mut notices = client.notices(16);
    let mut plain = soon(client.subscribe("plain/+")).await.unwrap();
    let mut many = soon(client.subscribe_many(["many/a", "many/b"]))
        .await
        .unwrap();

    // The broker takes the messages, but its answers do not come through.
    broker.link.accept_connections(false);
    let mute = LinkPlan::sound().silence(Direction::ToClient, 0);
    broker.link.script_now([mute]);
    let before = broker.link.counters().bytes_from_client;
    let enqueue = |payload: &'static str, qos| {
        let publish = client.publish("elsewhere", payload).qos(qos);
        publish.try_enqueue().unwrap()
    };
    let in_flight = [enqueue("1", QOS1), enqueue("2", QOS2)];
    let all_has_gone = (broker.link).wait_for(|seen| seen.bytes_from_client == before + 2 * 17);
    all_has_gone.await.unwrap();
    broker.link.reset_connections();
    state(&client, |state| (!state.is_connected()).then_some(())).await;
    let unsent = [enqueue("3", QOS1), enqueue("4", QOS2)];
    broker.crash();
    broker.resume();
    broker.link.accept_connections(true);

    let info = connection(&client, 2).await;
    assert!(info.session_lost && !info.session_present, "{info:?}");
    assert_eq!(
        (info.sessions_lost, client.statistics().sessions_lost),
        (1, 1)
    );
    assert_eq!(soon(notices.next()).await, Some(Notice::SessionLost));
    for (payload, completion) in ["1", "2"].into_iter().zip(in_flight) {
        let error = soon(completion).await.unwrap_err();
        assert!(matches!(error, PublishError::Unknown { .. }), "{error:?}");
        assert!(!error.is_certain());
        let message = error.into_message().unwrap();
        assert_eq!(&message.payload[..], payload.as_bytes());
        // As it came, it can be published again.
        soon(client.publish_message(message)).await.unwrap();
    }
    // What was never sent is not touched by it.
    for completion in unsent {
        let published = soon(completion).await.unwrap();
        assert!(
            matches!(published, Published::Acknowledged(_)),
            "{published:?}"
        );
    }
    for (stream, topic) in [(&mut plain, "plain/x"), (&mut many, "many/a")] {
        publish(&client, topic, "again", QOS2).await;
        expect(stream, "again").await;
    }
    publish(&client, "many/b", "again", QOS2).await;
    expect(&mut many, "again").await;
}

async fn a_lost_session_leaves_a_released_message_unknown(kind: Kind) {
    let broker = Broker::start(kind).await;
    // With a subscriber, so that the PUBREC has no reason code and its least length.
    let peer = connect(direct(&broker, "peer")).await;
    let mut stream = soon(peer.subscribe("t")).await.unwrap();
    let client = connect(over_link(&broker, "c")).await;
    broker.link.accept_connections(false);
    let cut = LinkPlan::sound().reset(Direction::ToClient, 4);
    broker.link.script_now([cut]);
    let completion = client.publish("t", "x").qos(QOS2).try_enqueue().unwrap();
    state(&client, |state| (!state.is_connected()).then_some(())).await;
    broker.crash();
    broker.resume();
    broker.link.accept_connections(true);
    let error = soon(completion).await.unwrap_err();
    assert!(
        matches!(error, PublishError::Unknown { message: None }),
        "{error:?}"
    );
    // The peer's session is lost as well, and its stream goes on.
    connection(&peer, 2).await;
    publish(&peer, "t", "marker", QOS2).await;
    while next(&mut stream).await.payload() != b"marker" {}
}

async fn states_tell_of_a_cut(kind: Kind) {
    use mqtt5_tokio::ConnectionState::{Connected, Connecting, Waiting};

    let broker = Broker::start(kind).await;
    let client = connect(over_link(&broker, "c")).await;
    let Connected(info) = client.state() else {
        panic!("{:?}", client.state());
    };
    assert_eq!(
        (info.number, info.session_present, info.session_lost),
        (1, false, false)
    );
    assert_eq!(info.client_id.as_str(), "c");

    let mut changes = client.state_changes();
    broker.link.accept_connections(false);
    broker.link.reset_connections();
    // The states come in turn; only the latest of them is told to who looks late.
    let mut most_failed = 0;
    while most_failed < 3 {
        match soon(changes.changed()).await.unwrap() {
            Waiting {
                failed,
                cause,
                delay,
            } => {
                assert!(failed >= most_failed && delay <= Duration::from_millis(10));
                assert!(!cause.to_string().is_empty());
                most_failed = failed;
            }
            Connecting { failed } => assert!(failed >= most_failed),
            other => panic!("{other:?}"),
        }
    }
    broker.link.accept_connections(true);
    let info = loop {
        match soon(changes.changed()).await.unwrap() {
            Connected(info) => break info,
            Waiting { .. } | Connecting { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        (info.number, info.session_present, info.session_lost),
        (2, true, false)
    );
    assert_eq!(client.statistics().connections, 2);

    soon(client.disconnect()).await.unwrap();
    let last = soon(changes.changed()).await.unwrap();
    let closed = matches!(
        last,
        mqtt5_tokio::ConnectionState::Closed(mqtt5_tokio::CloseReason::Requested)
    );
    assert!(closed, "{last:?}");
    assert!(soon(changes.changed()).await.is_none());
}
