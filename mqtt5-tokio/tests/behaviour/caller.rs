//! Whatever the caller passes: an error that names the rule, and what was passed in given back.

use std::time::Duration;

use mqtt5_tokio::proto::codec::BinaryData;
use mqtt5_tokio::proto::packet::{DisconnectReasonCode, PayloadFormatIndicator, Will};
use mqtt5_tokio::proto::session::Rule;
use mqtt5_tokio::{
    Client, ConnectError, Culprit, DisconnectError, OptionsError, Publish, PublishError, QoS,
    ReauthenticateError, SubscribeError, Topic, UrlError,
};
use tokio::net::TcpStream;

use crate::support::{
    Link, NEW_SESSION, QOS_0, QOS_1, QOS_2, Server, ack, publish, quick, run, soon,
};

/// After all that was refused the connection is as it was: an ordinary message is the next packet.
async fn nothing_was_sent(client: &Client, link: &mut Link<TcpStream>) {
    soon(client.publish("fine", "")).await.unwrap();
    link.expect(publish(0x0, "fine", None, b"")).await;
    assert!(client.state().is_connected());
}

#[test]
fn topics_that_are_none_are_refused_with_their_payload() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let long = "x".repeat(65_536);
        for topic in ["", "a/+", "#", "a/#/b", "nul\0", long.as_str()] {
            for qos in [QOS_0, QOS_1, QOS_2] {
                let error = soon(client.publish(topic, "mine").qos(qos))
                    .await
                    .unwrap_err();
                assert!(
                    matches!(error, PublishError::InvalidTopic { .. }),
                    "{topic}: {error:?}"
                );
                assert_eq!(error.payload().unwrap(), "mine");
                assert_eq!(error.culprit(), Culprit::Caller);
                assert!(error.is_certain());
                client
                    .publish(topic, "mine")
                    .qos(qos)
                    .try_enqueue()
                    .unwrap_err();
            }
        }
        let error = client
            .publish("t", "mine")
            .response_topic("a/#")
            .try_enqueue()
            .unwrap_err();
        assert!(matches!(error, PublishError::InvalidTopic { .. }));
        assert_eq!(error.payload().unwrap(), "mine");
        nothing_was_sent(&client, &mut link).await;
    });
}

#[test]
fn properties_that_cannot_be_sent_are_named_and_the_message_given_back() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let long = "x".repeat(65_536);
        type Change = Box<dyn Fn(Publish) -> Publish>;
        let (a, b, c, d) = (long.clone(), long.clone(), long.clone(), vec![0_u8; 65_536]);
        let rows: [(&str, Change); 6] = [
            (
                "Content Type",
                Box::new(move |publish| publish.content_type(a.as_str())),
            ),
            (
                "Content Type",
                Box::new(|publish| publish.content_type("nul\0")),
            ),
            (
                "User Property",
                Box::new(move |publish| publish.user_property(&b, "")),
            ),
            (
                "User Property",
                Box::new(move |publish| publish.user_property("", &c)),
            ),
            (
                "User Property",
                Box::new(|publish| publish.user_property("nul\0", "")),
            ),
            (
                "Correlation Data",
                Box::new(move |publish| publish.correlation_data(d.clone())),
            ),
        ];
        for (name, change) in rows {
            let publish = change(client.publish("t", "mine").qos(QOS_1));
            match publish.try_enqueue().unwrap_err() {
                PublishError::InvalidProperty {
                    property, message, ..
                } => {
                    assert_eq!(property, name);
                    assert_eq!((&message.payload[..], message.qos), (&b"mine"[..], QOS_1));
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        nothing_was_sent(&client, &mut link).await;
    });
}

/// CONNACK: Maximum QoS 1, Retain Available 0, Maximum Packet Size 100.
#[test]
fn messages_beyond_the_servers_limits_are_refused_by_their_rule_and_given_back() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server
            .connect("20 0C 00 00 09 24 01 25 00 27 00 00 00 64")
            .await;
        let refused = |publish: Publish, expected: &dyn Fn(&Rule) -> bool| match publish
            .try_enqueue()
            .unwrap_err()
        {
            PublishError::NotAccepted { rule, message } => {
                assert!(expected(&rule), "{rule}");
                assert_eq!(message.topic.as_str(), "t");
            }
            other => panic!("{other:?}"),
        };
        refused(client.publish("t", "").qos(QOS_2), &|rule| {
            *rule
                == Rule::MaximumQoS {
                    maximum: QoS::AtLeastOnce,
                }
        });
        refused(client.publish("t", "").retain(true), &|rule| {
            *rule == Rule::RetainAvailable
        });
        refused(client.publish("t", vec![7; 100]), &|rule| {
            matches!(
                rule,
                Rule::MaximumPacketSize {
                    size: 106,
                    limit: 100
                }
            )
        });
        refused(client.publish("t", vec![0xFF]).utf8(), &|rule| {
            *rule == Rule::PayloadFormat
        });
        // At the limit it is taken.
        soon(client.publish("t", vec![7; 94])).await.unwrap();
        link.expect(publish(0x0, "t", None, &[7; 94])).await;
        nothing_was_sent(&client, &mut link).await;
    });
}

#[test]
fn filters_that_are_none_are_refused() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let long = "x".repeat(65_536);
        for filter in [
            "",
            "a#",
            "a/#/b",
            "#/a",
            "a+",
            "+a/b",
            "nul\0",
            "$share/g",
            "$share//a",
            "$share/g/",
            "$share/+/a",
            "$share/#",
            "$share/a#/b",
            long.as_str(),
        ] {
            let error = soon(client.subscribe(filter)).await.unwrap_err();
            assert!(
                matches!(error, SubscribeError::InvalidFilter(_)),
                "{filter}: {error:?}"
            );
            assert_eq!(error.culprit(), Culprit::Caller);
            client.subscribe(filter).declare().unwrap_err();
            // One bad filter among good ones is the caller's mistake too.
            soon(client.subscribe_many(["fine", filter]))
                .await
                .unwrap_err();
        }
        let none: [&str; 0] = [];
        match soon(client.subscribe_many(none)).await.unwrap_err() {
            SubscribeError::NotAccepted(Rule::NoTopicFilter) => {}
            other => panic!("{other:?}"),
        }
        match soon(client.subscribe("$share/g/a").no_local(true))
            .await
            .unwrap_err()
        {
            SubscribeError::NoLocalOnShared(_) => {}
            other => panic!("{other:?}"),
        }
        match soon(client.subscribe("a").user_property("nul\0", ""))
            .await
            .unwrap_err()
        {
            SubscribeError::InvalidUserProperty(_) => {}
            other => panic!("{other:?}"),
        }
        nothing_was_sent(&client, &mut link).await;
    });
}

/// CONNACK: neither wildcards nor shared subscriptions; and a size that a long filter exceeds.
#[test]
fn subscriptions_that_the_server_does_not_take_are_refused_by_their_rule() {
    run(async {
        let server = Server::start().await;
        let connack = "20 0C 00 00 09 28 00 2A 00 27 00 00 00 32";
        let (client, mut link) = server.connect(connack).await;
        let long = "x".repeat(60);
        for (filter, expected) in [
            ("a/#", Rule::WildcardSubscriptionAvailable),
            ("+", Rule::WildcardSubscriptionAvailable),
            ("$share/g/a", Rule::SharedSubscriptionAvailable),
            (
                long.as_str(),
                Rule::MaximumPacketSize {
                    size: 70,
                    limit: 50,
                },
            ),
        ] {
            match soon(client.subscribe(filter)).await.unwrap_err() {
                SubscribeError::NotAccepted(rule) => assert_eq!(rule, expected, "{filter}"),
                other => panic!("{filter}: {other:?}"),
            }
        }
        nothing_was_sent(&client, &mut link).await;
    });
}

#[test]
fn options_that_cannot_be_sent_are_named() {
    run(async {
        let long = "x".repeat(65_536);
        let url = "mqtt://localhost:1";
        let mut will = Will::new(
            Topic::new("w").unwrap(),
            BinaryData::new(vec![0xFF]).unwrap(),
        );
        let format = Some(PayloadFormatIndicator::Utf8);
        will.properties.payload_format_indicator = format;
        let rows = [
            ("client identifier", quick(url).client_id(long.as_str())),
            ("client identifier", quick(url).client_id("nul\0")),
            ("user name", quick(url).user_name(long.as_str())),
            ("password", quick(url).password(vec![0; 65_536])),
            ("user property", quick(url).user_property("", &long)),
            (
                "keep alive",
                quick(url).keep_alive(Duration::from_secs(65_536)),
            ),
            (
                "session expiry",
                quick(url).session_expiry(Duration::from_secs(u64::MAX / 2)),
            ),
            ("receive maximum", quick(url).receive_maximum(0)),
            ("maximum packet size", quick(url).maximum_packet_size(0)),
            ("inbound budget", quick(url).inbound_budget(0)),
            (
                "durable session",
                quick(url).durable("", Duration::from_secs(60)),
            ),
            ("durable session", quick(url).durable("c", Duration::ZERO)),
            ("Will", quick(url).will(will)),
        ];
        for (name, builder) in rows {
            match builder.start() {
                Err(ConnectError::Options(error)) => {
                    assert!(error.to_string().contains(name), "{name}: {error}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        // The first mistake counts.
        let builder = quick(url).receive_maximum(0).maximum_packet_size(0);
        let Err(ConnectError::Options(error)) = builder.start() else {
            panic!()
        };
        assert_eq!(
            error,
            OptionsError::OutOfRange {
                option: "receive maximum"
            }
        );
    });
}

#[test]
fn urls_that_are_none_are_refused_without_showing_the_password() {
    for (url, expected) in [
        ("localhost", UrlError::NoScheme),
        (
            "http://user:secret@h",
            UrlError::UnknownScheme("http".to_owned()),
        ),
        (
            "quic://user:secret@h",
            UrlError::UnknownScheme("quic".to_owned()),
        ),
        ("mqtt://", UrlError::NoHost),
        ("mqtt://user:secret@h:99999", UrlError::Port),
        ("mqtt://user:secret@h/path", UrlError::Path),
        ("mqtt://user:secret%zz@h", UrlError::PercentEncoding),
    ] {
        let error = mqtt5_tokio::builder(url).unwrap_err();
        assert_eq!(error, expected, "{url}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[test]
fn a_client_needs_a_runtime_and_says_so() {
    match quick("mqtt://localhost:1").start() {
        Err(ConnectError::NoRuntime) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_disconnect_that_a_client_may_not_send_is_refused_and_the_client_goes_on() {
    run(async {
        let server = Server::start().await;
        let builder = server.builder().session_expiry(Duration::ZERO);
        let (client, mut link) = server.connect_by(builder, NEW_SESSION).await;
        let reason = DisconnectReasonCode::ServerShuttingDown;
        match soon(client.disconnect().reason_code(reason)).await {
            Err(DisconnectError::NotAccepted(Rule::ReasonCode)) => {}
            other => panic!("{other:?}"),
        }
        match soon(client.disconnect().session_expiry(Duration::from_secs(1))).await {
            Err(DisconnectError::NotAccepted(Rule::SessionExpiryInterval)) => {}
            other => panic!("{other:?}"),
        }
        assert!(client.disconnect().user_property("nul\0", "").is_err());
        nothing_was_sent(&client, &mut link).await;
    });
}

#[test]
fn reauthenticating_without_an_authenticator_is_refused() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        match soon(client.reauthenticate()).await {
            Err(ReauthenticateError::NotAccepted(Rule::Authentication)) => {}
            other => panic!("{other:?}"),
        }
        nothing_was_sent(&client, &mut link).await;
    });
}

/// Setters called twice: one value leaves.
#[test]
fn a_property_that_may_come_once_is_sent_once() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let publish = client
            .publish("t", "x")
            .content_type("1")
            .content_type("2")
            .message_expiry_interval(Duration::from_secs(1))
            .message_expiry_interval(Duration::from_secs(2))
            .correlation_data(vec![1])
            .correlation_data(vec![2])
            .response_topic("a")
            .response_topic("b")
            .utf8()
            .utf8()
            .user_property("k", "1")
            .user_property("k", "2");
        soon(publish).await.unwrap();
        link.expect(
            "30 26 00 01 74 21 \
             01 01 \
             02 00 00 00 02 \
             03 00 01 32 \
             08 00 01 62 \
             09 00 01 02 \
             26 00 01 6B 00 01 31 \
             26 00 01 6B 00 01 32 \
             78",
        )
        .await;
    });
}

/// The caller learns the server's reason, with its words, for every message.
#[test]
fn every_publish_has_a_completion_with_the_servers_reason() {
    run(async {
        let server = Server::start().await;
        let (client, mut link) = server.connect(NEW_SESSION).await;
        let refused = client.publish("t", "1").qos(QOS_1).enqueue().await.unwrap();
        let unwanted = client.publish("t", "2").qos(QOS_1).enqueue().await.unwrap();
        let taken = client.publish("t", "3").qos(QOS_1).enqueue().await.unwrap();
        link.send("40 09 00 01 87 05 1F 00 02 6E 6F").await;
        link.send("40 03 00 02 10").await;
        link.send(ack(0x40, 3)).await;
        match soon(refused).await {
            Err(PublishError::Refused(answer)) => {
                assert_eq!(answer.reason_code.raw(), 0x87);
                let text = answer.properties.unwrap().reason_string.unwrap();
                assert_eq!(text.as_str(), "no");
            }
            other => panic!("{other:?}"),
        }
        for (completion, code) in [(unwanted, 0x10), (taken, 0x00)] {
            match soon(completion).await {
                Ok(mqtt5_tokio::Published::Acknowledged(answer)) => {
                    assert_eq!(answer.reason_code.raw(), code);
                }
                other => panic!("{other:?}"),
            }
        }
    });
}
