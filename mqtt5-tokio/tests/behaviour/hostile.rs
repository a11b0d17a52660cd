//! Whatever bytes the peer sends.

use std::time::Duration;

use mqtt5_client::Transport;
use mqtt5_tokio::bytes::BytesMut;
use mqtt5_tokio::proto::session::{EndReason, Warning};
use mqtt5_tokio::{
    Client, ClientOptions, CloseReason, ConnectError, Culprit, Failure, IoTransport, Notice,
    PublishError, Published, ReconnectPolicy, SubscribeError, TokioTimer,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncWriteExt, DuplexStream};

use crate::support::{
    Link, NEW_SESSION, QOS_1, QOS_2, RESUMED, Server, ack, by_hand, closed, hex, id_of, is_clean,
    next, next_text, packet, publish, publish_id, run, show, soon, subscribed, text,
};

/// What ends a connection after its CONNACK, and the reason that the client gives. A message of
/// QoS 1 with the identifier 1 waits for its answer.
const AFTER_CONNACK: &[(&str, &str, u8)] = &[
    ("packet type 0", "00 00", 0x81),
    ("PUBACK with flags", "41 02 00 01", 0x81),
    ("PUBREL without its flags", "60 02 00 01", 0x81),
    ("SUBACK with flags", "92 04 00 01 00 00", 0x81),
    ("PINGRESP with flags", "D1 00", 0x81),
    ("DISCONNECT with flags", "E1 00", 0x81),
    ("AUTH with flags", "F8 00", 0x81),
    ("QoS 3", "36 06 00 01 74 00 01 00", 0x81),
    ("DUP at QoS 0", "38 04 00 01 74 00", 0x81),
    (
        "Remaining Length of five bytes, at the fourth",
        "30 80 80 80 80",
        0x81,
    ),
    ("padded Remaining Length", "D0 80 00", 0x81),
    ("padded Property Length", "30 05 00 01 74 80 00", 0x81),
    ("topic over the end", "30 03 00 05 74", 0x81),
    (
        "property section over the end",
        "30 05 00 01 74 02 01",
        0x81,
    ),
    ("property cut off", "30 05 00 01 74 01 01", 0x81),
    ("bytes left over", "40 05 00 01 00 00 00", 0x81),
    ("PINGRESP with a body", "D0 01 00", 0x81),
    ("PUBACK too short", "40 01 00", 0x81),
    ("SUBACK too short", "90 01 00", 0x81),
    ("PUBLISH without anything", "30 00", 0x81),
    ("ill-formed UTF-8", "30 05 00 02 C3 28 00", 0x81),
    ("surrogate", "30 06 00 03 ED A0 80 00", 0x81),
    ("overlong UTF-8", "30 05 00 02 C0 80 00", 0x81),
    ("U+0000", "30 04 00 01 00 00", 0x81),
    (
        "U+0000 in a property",
        "30 08 00 01 74 04 03 00 01 00",
        0x81,
    ),
    ("unknown property", "30 06 00 01 74 02 7F 00", 0x81),
    (
        "property of another packet",
        "40 06 00 01 00 02 01 00",
        0x81,
    ),
    ("HTTP", "48 54 54 50 2F 31 2E 31 20 34 30 30 0D 0A", 0x81),
    ("larger than our maximum", "30 FF FF FF 7F", 0x95),
    (
        "Content Type twice",
        "30 0C 00 01 74 08 03 00 01 61 03 00 01 62",
        0x82,
    ),
    (
        "Message Expiry Interval twice",
        "30 0E 00 01 74 0A 02 00 00 00 01 02 00 00 00 01",
        0x82,
    ),
    (
        "Reason String twice",
        "40 0C 00 01 00 08 1F 00 01 61 1F 00 01 62",
        0x82,
    ),
    ("Subscription Identifier 0", "30 06 00 01 74 02 0B 00", 0x82),
    (
        "Packet Identifier 0 in PUBLISH",
        "32 06 00 01 74 00 00 00",
        0x82,
    ),
    ("Packet Identifier 0 in PUBACK", "40 02 00 00", 0x82),
    ("Packet Identifier 0 in PUBREL", "62 02 00 00", 0x82),
    ("Packet Identifier 0 in SUBACK", "90 04 00 00 00 00", 0x82),
    ("no topic and no alias", "30 03 00 00 00", 0x82),
    (
        "alias above our maximum",
        "30 07 00 01 74 03 23 00 01",
        0x94,
    ),
    ("alias 0", "30 07 00 01 74 03 23 00 00", 0x94),
    ("a second CONNACK", "20 03 00 00 00", 0x82),
    (
        "CONNECT",
        "10 0D 00 04 4D 51 54 54 05 02 00 3C 00 00 00",
        0x82,
    ),
    ("SUBSCRIBE", "82 09 00 0A 00 00 03 61 2F 62 01", 0x82),
    ("UNSUBSCRIBE", "A2 08 00 0A 00 00 03 61 2F 62", 0x82),
    ("PINGREQ", "C0 00", 0x82),
    ("AUTH without method", "F0 00", 0x82),
    (
        "AUTH that nobody asked for",
        "F0 06 18 04 15 00 01 58",
        0x82,
    ),
    ("PUBREC for QoS 1", "50 02 00 01", 0x82),
    ("PUBCOMP for QoS 1", "70 02 00 01", 0x82),
    ("PUBACK for a SUBSCRIBE", "40 02 00 02", 0x82),
    ("untabled success in PUBACK", "40 03 00 01 01", 0x82),
    ("untabled reason in PUBREL", "62 03 00 09 80", 0x82),
];

/// The DISCONNECT says why, whatever waits goes on with the next connection, and nothing hangs.
#[test]
fn bad_packets_end_the_connection_with_the_right_reason_and_the_client_goes_on() {
    run(async {
        for &(what, bytes, code) in AFTER_CONNACK {
            let server = Server::start().await;
            let (client, mut link) = server.connect(NEW_SESSION).await;
            let publishing = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
            link.expect(publish(0x2, "t", Some(1), b"1")).await;
            let subscribing = tokio::spawn(client.subscribe("s").into_future());
            assert_eq!(id_of(&link.expect_kind(0x82).await), 2);
            link.send(bytes).await;
            let rest = link.rest().await;
            assert_eq!(show(&rest), format!("E0 01 {code:02X}"), "{what}");

            let (mut link, connect) = server.answer(RESUMED).await;
            assert!(!is_clean(&connect), "{what}");
            let mut answered = Vec::new();
            while answered.len() < 2 {
                let packet = link.packet().await;
                match packet[0] {
                    0x3A => link.send(ack(0x40, publish_id(&packet))).await,
                    0x82 => {
                        let suback = self::packet(0x90, &[packet[2], packet[3], 0, 2]);
                        link.send(suback).await;
                    }
                    _ => panic!("{what}: {}", show(&packet)),
                }
                answered.push(packet[0]);
            }
            assert!(
                matches!(soon(publishing).await, Ok(Published::Acknowledged(_))),
                "{what}"
            );
            soon(subscribing).await.unwrap().unwrap();
            assert_eq!(client.statistics().messages_received, 0, "{what}");
        }
    });
}

/// With an answer that a QoS 2 exchange cannot take, in both of its phases.
#[test]
fn a_wrong_answer_to_qos_2_ends_the_connection_and_the_exchange_goes_on() {
    run(async {
        for wrong in [ack(0x40, 1), ack(0x70, 1)] {
            let server = Server::start().await;
            let (client, mut link) = server.connect(NEW_SESSION).await;
            let completion = client.publish("t", "1").qos(QOS_2).enqueue().await.unwrap();
            link.expect_kind(0x34).await;
            link.send(wrong).await;
            assert_eq!(link.rest().await, [0xE0, 0x01, 0x82]);
            let (mut link, _) = server.answer(RESUMED).await;
            link.expect(publish(0xC, "t", Some(1), b"1")).await;
            link.send(ack(0x50, 1)).await;
            link.expect(ack(0x62, 1)).await;
            link.send(ack(0x40, 1)).await;
            assert_eq!(link.rest().await, [0xE0, 0x01, 0x82]);
            let (mut link, _) = server.answer(RESUMED).await;
            link.expect(ack(0x62, 1)).await;
            link.send(ack(0x70, 1)).await;
            soon(completion).await.unwrap();
        }
    });
}

/// Before the CONNACK nothing is said, the connection is closed, and the policy goes on.
#[test]
fn bad_packets_before_the_connack_end_the_attempt() {
    let rows = [
        ("HTTP", "48 54 54 50 2F 31 2E 31 20 34 30 30 0D 0A"),
        ("TLS alert", "15 03 01 00 02 02 28"),
        ("SSH", "53 53 48 2D 32 2E 30 2D"),
        ("packet type 0", "00 00"),
        ("endless length", "20 FF FF FF FF"),
        ("larger than our maximum", "20 FF FF FF 7F"),
        ("PUBLISH first", "30 04 00 01 74 00"),
        ("PINGRESP first", "D0 00"),
        ("SUBACK first", "90 04 00 01 00 00"),
        (
            "CONNECT first",
            "10 0D 00 04 4D 51 54 54 05 02 00 3C 00 00 00",
        ),
        ("AUTH that nobody asked for", "F0 06 18 04 15 00 01 58"),
        ("reserved flags", "20 03 02 00 00"),
        ("reserved flags of the header", "21 03 00 00 00"),
        ("Receive Maximum 0", "20 06 00 00 03 21 00 00"),
        ("Maximum Packet Size 0", "20 08 00 00 05 27 00 00 00 00"),
        ("Receive Maximum twice", "20 09 00 00 06 21 00 0A 21 00 0A"),
        ("Retain Available 2", "20 05 00 00 02 25 02"),
        ("Maximum QoS 3", "20 05 00 00 02 24 03"),
        ("Topic Alias", "20 06 00 00 03 23 00 01"),
        ("too short", "20 01 00"),
        ("bytes left over", "20 04 00 00 00 00"),
        ("success of MQTT 3.1.1", "20 02 00 00"),
    ];
    run(async {
        for (what, bytes) in rows {
            let server = Server::start().await;
            let client = server.builder().start().unwrap();
            let queued = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
            let mut link = server.accept().await;
            link.expect_kind(0x10).await;
            link.send(bytes).await;
            assert_eq!(show(&link.rest().await), "", "{what}");
            let (mut link, connect) = server.answer(NEW_SESSION).await;
            assert!(is_clean(&connect), "{what}");
            link.expect(publish(0x2, "t", Some(1), b"1")).await;
            link.send(ack(0x40, 1)).await;
            soon(queued).await.unwrap();
        }
    });
}

/// With one attempt only, the error says who is at fault.
#[test]
fn a_server_of_something_else_is_named_in_the_error() {
    run(async {
        let server = Server::start().await;
        let connecting = tokio::spawn(server.builder().connect());
        let mut link = server.accept().await;
        link.expect_kind(0x10).await;
        link.send(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())
            .await;
        match soon(connecting).await.unwrap() {
            Err(ConnectError::Closed(reason)) => {
                assert_eq!(reason.culprit(), Culprit::Peer);
                let end = reason.failure().and_then(Failure::end_reason);
                assert!(matches!(end, Some(EndReason::Violation(_))), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_server_of_mqtt_3_1_1_is_named_and_not_tried_again() {
    run(async {
        for code in 1..=5_u8 {
            let server = Server::start().await;
            let client = server.builder().start().unwrap();
            let mut link = server.accept().await;
            link.expect_kind(0x10).await;
            link.send(vec![0x20, 0x02, 0x00, code]).await;
            match soon(client.connected()).await {
                Err(CloseReason::Final(Failure::Ended(end))) => {
                    assert_eq!(*end, EndReason::ServerSpeaksV3 { return_code: code });
                    assert!(end.to_string().contains("3.1.1"));
                }
                other => panic!("{other:?}"),
            }
            assert!(link.rest().await.is_empty());
        }
    });
}

#[test]
fn a_server_without_room_for_an_acknowledgement_is_left_with_a_clear_error() {
    run(async {
        let server = Server::start().await;
        let client = server.builder().start().unwrap();
        let (_link, _) = server.answer("20 08 00 00 05 27 00 00 00 03").await;
        match soon(client.connected()).await {
            Err(CloseReason::Final(Failure::Ended(end))) => {
                assert_eq!(*end, EndReason::PacketSizeUnusable { limit: 3 });
            }
            other => panic!("{other:?}"),
        }
    });
}

/// What any publisher could push through a careless broker, and what is merely odd.
#[test]
fn odd_packets_that_any_publisher_could_cause_do_not_cost_the_connection() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut notices = client.notices(32);
        let mut messages = subscribed(&client, &mut link, "#").await;

        for harmless in [
            "40 02 00 63",       // PUBACK that nobody waits for
            "70 02 00 63",       // PUBCOMP
            "50 03 00 63 80",    // PUBREC that refuses
            "90 04 00 63 00 01", // SUBACK
            "B0 04 00 63 00 00", // UNSUBACK
            "D0 00",             // PINGRESP without a PINGREQ
        ] {
            link.send(harmless).await;
        }
        link.send("50 02 00 63").await;
        link.expect("62 03 00 63 92").await;
        link.send("62 02 00 63").await;
        link.expect("70 03 00 63 92").await;

        // A wildcard in the topic: refused by QoS, not delivered.
        link.send(publish(0x0, "a/+", None, b"")).await;
        link.send(publish(0x2, "a/#", Some(1), b"")).await;
        link.expect("40 03 00 01 90").await;
        link.send(publish(0x4, "+", Some(2), b"")).await;
        link.expect("50 03 00 02 90").await;
        // Payload Format Indicator 2, an unusable Response Topic, a control character.
        link.send("30 07 00 01 74 02 01 02 61").await;
        link.send("30 09 00 01 74 04 08 00 01 23 62").await;
        link.send("30 06 00 02 74 01 00 63").await;
        let seen = [
            next_text(&mut messages).await,
            next_text(&mut messages).await,
            next_text(&mut messages).await,
        ];
        assert_eq!(seen, ["a", "b", "c"]);

        let mut warnings = Vec::new();
        while warnings.len() < 7 {
            match soon(notices.next()).await {
                Some(Notice::Warning(warning)) => warnings.push(warning),
                other => panic!("{other:?}"),
            }
        }
        let count = |wanted: fn(&Warning) -> bool| warnings.iter().filter(|w| wanted(w)).count();
        assert_eq!(count(|w| matches!(w, Warning::UnknownRequest(_))), 2);
        assert_eq!(count(|w| matches!(w, Warning::WildcardInTopic)), 3);
        assert_eq!(count(|w| matches!(w, Warning::PayloadFormatIndicator)), 1);
        assert_eq!(count(|w| matches!(w, Warning::ResponseTopic)), 1);
        assert!(client.state().is_connected());
        assert_eq!(client.statistics().connections, 1);
    });
}

#[test]
fn untabled_failures_fail_the_operation_with_their_raw_code_and_nothing_else() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        for (flags, answer) in [(0x32, 0x40), (0x34, 0x50)] {
            let publish = client.publish("t", "1");
            let publish = publish.qos(if flags == 0x32 { QOS_1 } else { QOS_2 });
            let completion = publish.enqueue().await.unwrap();
            let packet = link.expect_kind(flags).await;
            let id = publish_id(&packet).to_be_bytes();
            link.send(vec![answer, 3, id[0], id[1], 0xC0]).await;
            match soon(completion).await {
                Err(PublishError::Refused(answer)) => assert_eq!(answer.reason_code.raw(), 0xC0),
                other => panic!("{other:?}"),
            }
        }
        let subscribing = tokio::spawn(client.subscribe("s").into_future());
        link.grant("C0").await;
        match soon(subscribing).await.unwrap() {
            Err(SubscribeError::Refused { reason_code, .. }) => {
                assert_eq!(reason_code.raw(), 0xC0);
            }
            other => panic!("{other:?}"),
        }
        assert!(client.state().is_connected());
    });
}

/// With aliases allowed: one that was never given, one beyond what we allow, and one of the
/// connection before.
#[test]
fn aliases_are_checked_and_do_not_outlive_their_connection() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().topic_alias_maximum(2);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        link.send("30 08 00 01 74 03 23 00 01 61").await;
        link.send("30 07 00 00 03 23 00 01 62").await;
        for expected in ["a", "b"] {
            let message = next(&mut messages).await;
            assert_eq!((message.topic(), text(&message).as_str()), ("t", expected));
        }
        for (bytes, code) in [
            ("30 07 00 00 03 23 00 02 63", 0x82),
            ("30 08 00 01 74 03 23 00 03 63", 0x94),
            // Given on the first connection.
            ("30 07 00 00 03 23 00 01 63", 0x82),
        ] {
            link.send(bytes).await;
            assert_eq!(link.rest().await, [0xE0, 0x01, code]);
            (link, _) = server.answer(RESUMED).await;
        }
        link.send(publish(0x0, "t", None, b"d")).await;
        assert_eq!(next_text(&mut messages).await, "d");
    });
}

/// Request Problem Information 0: explanations only where they are always allowed.
#[test]
fn explanations_that_were_declined_are_a_protocol_error() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().request_problem_information(false);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let completion = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        link.expect_kind(0x32).await;
        link.send("40 09 00 01 87 05 1F 00 02 6E 6F").await;
        assert_eq!(link.rest().await, [0xE0, 0x01, 0x82]);
        let (mut link, _) = server.answer(RESUMED).await;
        link.expect(publish(0xA, "t", Some(1), b"1")).await;
        link.send("40 03 00 01 87").await;
        assert!(matches!(
            soon(completion).await,
            Err(PublishError::Refused(_))
        ));
    });
}

/// A CONNACK that never becomes whole, and a DISCONNECT that never does.
#[test]
fn a_packet_that_never_ends_does_not_hold_the_client() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().connect_timeout(Duration::from_millis(50));
        let client = builder.start().unwrap();
        let mut link = server.accept().await;
        link.expect_kind(0x10).await;
        link.send("20 03 00 00").await;
        assert!(link.rest().await.is_empty());
        let (mut link, _) = server.answer(NEW_SESSION).await;
        soon(client.connected()).await.unwrap();
        link.send("E0 02 8B").await;
        let ending = tokio::spawn(client.disconnect().into_future());
        link.expect("E0 07 00 05 11 00 00 00 00").await;
        drop(link);
        soon(ending).await.unwrap().unwrap();
    });
}

/// Five bytes promise 256 MiB; one packet after the other is promised and not sent.
#[test]
fn a_promised_size_reserves_nothing() {
    /// Notes the most room that the client ever made.
    struct Watched {
        inner: IoTransport<DuplexStream>,
        most: Arc<AtomicUsize>,
    }
    impl Transport for Watched {
        fn poll_read(
            &mut self,
            cx: &mut Context<'_>,
            buffer: &mut BytesMut,
        ) -> Poll<io::Result<usize>> {
            self.most.fetch_max(buffer.capacity(), Ordering::SeqCst);
            self.inner.poll_read(cx, buffer)
        }
        fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.inner.poll_write(cx, bytes)
        }
        fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.inner.poll_flush(cx)
        }
        fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.inner.poll_close(cx)
        }
    }
    struct Once(Option<Watched>);
    impl mqtt5_client::Connect for Once {
        type Transport = Watched;
        type Future = std::future::Ready<io::Result<Watched>>;
        fn connect(&mut self) -> Self::Future {
            let gone = io::ErrorKind::ConnectionRefused.into();
            std::future::ready(self.0.take().ok_or(gone))
        }
    }
    run(async {
        let (near, far) = tokio::io::duplex(256);
        let most = Arc::new(AtomicUsize::new(0));
        let inner = IoTransport::new(near);
        let watched = Watched {
            inner,
            most: Arc::clone(&most),
        };
        let options = ClientOptions::new()
            .client_id("c")
            .maximum_packet_size(u32::MAX)
            .reconnect(ReconnectPolicy::never());
        let connect = Once(Some(watched));
        let (client, driver) = Client::new(options, connect, TokioTimer::new()).unwrap();
        tokio::spawn(driver);
        let mut link = Link(far);
        link.expect_kind(0x10).await;
        link.send(NEW_SESSION).await;
        soon(client.connected()).await.unwrap();
        link.send("30 FF FF FF 7F 00 01 74 00").await;
        // The pipe holds 256 bytes: most of these have been read.
        link.send(vec![7; 100_000]).await;
        drop(link);
        closed(&client).await;
        let most = most.load(Ordering::SeqCst);
        assert!(most < 1 << 20, "{most} bytes of room");
    });
}

/// A packet of 8 MiB in pieces of 64 bytes. Copied anew for every piece, or parsed, it would be
/// 500 GB.
#[test]
fn a_packet_in_many_pieces_costs_time_linear_in_its_size() {
    run(async {
        let options = ClientOptions::new().keep_alive(Duration::ZERO);
        let (client, _server, mut link, _time) = by_hand(64, options).await;
        let mut messages = client.messages();
        let payload: Vec<u8> = (0..8 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
        link.send(publish(0x0, "t", None, &payload)).await;
        assert!(next(&mut messages).await.payload() == payload);
    });
}

/// Every cut of a stream of packets into pieces gives the same.
#[test]
fn packets_may_come_in_any_pieces() {
    run(async {
        for size in [1, 2, 3, 5, 7, 11] {
            let server = Server::start().await;
            let (client, mut link) = server.connect(NEW_SESSION).await;
            let mut messages = subscribed(&client, &mut link, "t").await;
            let mut bytes = Vec::new();
            for id in 1..=20_u16 {
                bytes.extend(publish(0x2, "t", Some(id), id.to_string().as_bytes()));
                bytes.extend(hex("D0 00"));
            }
            let sending = tokio::spawn(async move {
                for piece in bytes.chunks(size) {
                    link.send(piece).await;
                    tokio::task::yield_now().await;
                }
                link
            });
            for id in 1..=20_u16 {
                assert_eq!(next_text(&mut messages).await, id.to_string());
            }
            soon(sending).await.unwrap();
        }
    });
}

/// Each of these is to be answered, and nobody reads the answers: the client stops reading, and
/// goes on when it can. The pipe is small, so what the peer got rid of, the client has taken.
#[test]
fn a_flood_from_a_peer_that_does_not_read_is_bounded() {
    run(async {
        let options = ClientOptions::new().keep_alive(Duration::ZERO);
        let (client, _server, mut link, _time) = by_hand(1024, options).await;
        let release = ack(0x62, 9);
        let flood = release.repeat(1024);
        let mut taken = 0;
        // 64 MiB would be a flood; it must not come that far.
        while taken < 64 << 20 {
            let writing = link.0.write(&flood[taken % 4..]);
            match tokio::time::timeout(Duration::from_millis(300), writing).await {
                Ok(written) => taken += written.unwrap(),
                Err(_) => break,
            }
        }
        assert!(taken < 4 << 20, "{taken} bytes were taken");
        // Finish the packet that was begun, as far as the client lets us; then read everything.
        let whole = taken / 4;
        let missing = (4 - taken % 4) % 4;
        let tail = release[4 - missing..].to_vec();
        let (mut reader, mut writer) = tokio::io::split(link.0);
        let writing = tokio::spawn(async move {
            writer.write_all(&tail).await.unwrap();
            writer
        });
        let mut answers = Link(tokio::io::join(&mut reader, tokio::io::sink()));
        let whole = whole + usize::from(missing > 0);
        for _ in 0..whole {
            answers.expect("70 03 00 09 92").await;
        }
        soon(writing).await.unwrap();
        assert!(client.state().is_connected());
        // And a client that is to end is not held by it.
        drop(reader);
        soon(client.disconnect().drain_timeout(Duration::ZERO))
            .await
            .ok();
    });
}

/// Nobody takes the messages, and nobody reads: what waits in the client is bounded all the same.
#[test]
fn a_flood_of_messages_is_bounded_by_the_queues() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let flood = publish(0x0, "t", None, &[7; 100]).repeat(1000);
        for _ in 0..20 {
            link.send(flood.clone()).await;
        }
        link.send(publish(0x2, "t", Some(1), b"last")).await;
        soon(async {
            while client.statistics().messages_received < 20_001 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(messages.waiting(), 1025);
        assert_eq!(client.statistics().qos0_dropped, 20_000 - 1024);
        let mut last = next(&mut messages).await;
        while text(&last) != "last" {
            last = next(&mut messages).await;
        }
    });
}

/// In the middle of a packet, again and again.
#[test]
fn a_connection_cut_inside_a_packet_leaves_nothing_behind() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let mut messages = subscribed(&client, &mut link, "t").await;
        let whole = publish(0x2, "t", Some(1), b"whole");
        for end in 1..whole.len() {
            link.send(&whole[..end]).await;
            drop(link);
            (link, _) = server.answer(RESUMED).await;
        }
        link.send(whole).await;
        assert_eq!(next_text(&mut messages).await, "whole");
        assert_eq!(client.statistics().messages_received, 1);
    });
}
