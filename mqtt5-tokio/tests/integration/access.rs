//! Who may connect, who may publish what, and who comes later.

use mqtt5_proto::session::EndReason;
use mqtt5_tokio::{
    Builder, CloseReason, ConnectError, Culprit, PublishError, QoS, ReconnectPolicy, StreamEnd,
    builder,
};

use crate::clients::{connect, direct, expect, publish, state};
use crate::support::broker::{Broker, Kind, Setup, on_both_brokers};
use crate::support::soon;

on_both_brokers! {
    credentials_that_are_refused_are_final,
    a_topic_that_is_not_allowed_is_refused,
    a_second_client_with_the_same_identifier_ends_the_first,
}

fn is_refusal(reason: &CloseReason) -> bool {
    let CloseReason::Final(failure) = reason else {
        return false;
    };
    // Bad user name or password, or not authorized.
    let codes = [0x86, 0x87];
    matches!(
        failure.end_reason(),
        Some(EndReason::Refused { reason_code, .. }) if codes.contains(&reason_code.raw())
    )
}

async fn credentials_that_are_refused_are_final(kind: Kind) {
    let setup = Setup {
        users: vec![("heinz", "right")],
        ..Setup::default()
    };
    let broker = Broker::start_with(kind, setup).await;
    let with = |credentials: &str| -> Builder {
        let url = broker.url().replace("://", &format!("://{credentials}@"));
        builder(&url).unwrap()
    };
    for wrong in ["heinz:wrong", "heinz", "karl:right", ":right"] {
        let error = soon(with(wrong).connect()).await.unwrap_err();
        let ConnectError::Closed(reason) = error else {
            panic!("{error:?}");
        };
        assert!(is_refusal(&reason), "{wrong}: {reason:?}");
        assert_eq!(reason.culprit(), Culprit::Server);
    }
    // A client that is to try again and again gives up all the same.
    let before = broker.link.counters().attempts;
    let client = with("heinz:wrong").start().unwrap();
    let waiting = client.publish("t", "x").qos(QoS::AtLeastOnce);
    let publishing = tokio::spawn(waiting.into_future());
    let reason = soon(client.connected()).await.unwrap_err();
    assert!(is_refusal(&reason), "{reason:?}");
    assert_eq!(broker.link.counters().attempts, before + 1);
    // Accepted or not by then, it was not sent.
    let error = soon(publishing).await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            PublishError::NeverSent { .. } | PublishError::Closed { .. }
        ),
        "{error:?}"
    );
    assert_eq!(error.payload().unwrap(), "x");

    let client = soon(with("heinz:right").connect()).await.unwrap();
    publish(&client, "t", "x", QoS::ExactlyOnce).await;
    soon(client.disconnect()).await.unwrap();
}

async fn a_topic_that_is_not_allowed_is_refused(kind: Kind) {
    let setup = Setup {
        forbidden_topic: Some("secret"),
        ..Setup::default()
    };
    let broker = Broker::start_with(kind, setup).await;
    let client = connect(direct(&broker, "c")).await;
    let peer = connect(direct(&broker, "peer")).await;
    let mut all = soon(peer.subscribe("#")).await.unwrap();
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let error = soon(client.publish("secret", "x").qos(qos))
            .await
            .unwrap_err();
        let PublishError::Refused(answer) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(answer.reason_code.raw(), 0x87);
        assert_eq!(answer.completion, None);
        assert_eq!(error.culprit(), Culprit::Server);
        // The exchange is over: its place is free for the next one.
        publish(&client, "public", "allowed", qos).await;
        expect(&mut all, "allowed").await;
    }
    // There is no answer to one of QoS 0.
    soon(client.connected()).await.unwrap();
    soon(client.publish("secret", "x").qos(QoS::AtMostOnce))
        .await
        .unwrap();
    publish(&client, "public", "allowed", QoS::AtLeastOnce).await;
    expect(&mut all, "allowed").await;
    assert_eq!(client.statistics().publishes_failed, 2);
    if kind == Kind::Testkit {
        // Mosquitto 2.0.11 closes the connection after its refusal.
        assert_eq!(client.statistics().connections, 1);
    }
}

async fn a_second_client_with_the_same_identifier_ends_the_first(kind: Kind) {
    let broker = Broker::start(kind).await;
    // Mosquitto 2.0.11 closes the older connection without a word. Two clients that connect again
    // would drive each other out for ever.
    let says_why = kind == Kind::Testkit;
    let mut builder = direct(&broker, "same");
    if !says_why {
        builder = builder.reconnect(ReconnectPolicy::never());
    }
    let first = connect(builder).await;
    let mut stream = soon(first.subscribe("t")).await.unwrap();
    let second = connect(direct(&broker, "same")).await;
    let reason = state(&first, |state| match state {
        mqtt5_tokio::ConnectionState::Closed(reason) => Some(reason.clone()),
        _ => None,
    })
    .await;
    let CloseReason::Final(failure) = &reason else {
        panic!("{reason:?}");
    };
    let taken_over = match failure.end_reason() {
        Some(EndReason::ServerDisconnected { reason_code, .. }) => reason_code.raw() == 0x8E,
        _ => false,
    };
    assert_eq!(taken_over, says_why, "{reason:?}");
    assert!(soon(stream.next()).await.is_none());
    assert!(matches!(
        stream.end_reason(),
        Some(StreamEnd::Closed(CloseReason::Final(_)))
    ));
    let error = soon(first.publish("t", "x")).await.unwrap_err();
    assert!(matches!(error, PublishError::Closed { .. }), "{error:?}");
    assert_eq!(&error.into_message().unwrap().payload[..], b"x");

    let mut stream = soon(second.subscribe("t")).await.unwrap();
    publish(&second, "t", "mine", QoS::AtLeastOnce).await;
    expect(&mut stream, "mine").await;
    assert_eq!(second.statistics().connections, 1);
}
