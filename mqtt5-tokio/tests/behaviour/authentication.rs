//! Enhanced authentication, with the CONNECT and later.

use std::sync::{Arc, Mutex};

use mqtt5_testkit::{AuthenticationScript, Config, TestBroker};
use mqtt5_tokio::proto::codec::BinaryData;
use mqtt5_tokio::proto::session::{Challenge, EndReason};
use mqtt5_tokio::{Authenticator, CloseReason, Culprit, Failure, NoAnswer, ReauthenticateError};

use crate::support::{
    NEW_SESSION, QOS_1, Server, client_of, closed, run, run_on_two_threads, soon, until,
};

/// Answers `server-first` with `client-final`, and notes what it was asked.
#[derive(Clone, Default)]
struct Scripted {
    seen: Arc<Mutex<Vec<String>>>,
    gives_up: bool,
    distrusts: bool,
}

fn text(data: Option<&BinaryData>) -> String {
    data.map(|data| String::from_utf8_lossy(data.as_bytes()).into_owned())
        .unwrap_or_default()
}

fn data(text: &'static str) -> Option<BinaryData> {
    Some(BinaryData::new(text.as_bytes()).unwrap())
}

impl Authenticator for Scripted {
    fn begin(&mut self) -> Option<BinaryData> {
        self.seen.lock().unwrap().push("begin".to_owned());
        data("client-first")
    }

    fn respond(&mut self, challenge: &Challenge) -> Result<Option<BinaryData>, NoAnswer> {
        self.seen
            .lock()
            .unwrap()
            .push(text(challenge.data.as_ref()));
        if self.gives_up {
            Err(NoAnswer)
        } else {
            Ok(data("client-final"))
        }
    }

    fn verify(&mut self, data: Option<&BinaryData>) -> Result<(), NoAnswer> {
        self.seen.lock().unwrap().push(text(data));
        if self.distrusts {
            Err(NoAnswer)
        } else {
            Ok(())
        }
    }
}

async fn broker() -> TestBroker {
    let script = AuthenticationScript::new("SCRAM-X")
        .unwrap()
        .expect_initial("client-first")
        .challenge("server-first", "client-final")
        .finally("server-final");
    let config = Config {
        authentication: Some(script),
        ..Config::default()
    };
    TestBroker::start_with(config).await.unwrap()
}

#[test]
fn enhanced_authentication_works_with_the_connect_with_a_reconnect_and_later() {
    run_on_two_threads(async {
        let broker = broker().await;
        let authenticator = Scripted::default();
        let seen = Arc::clone(&authenticator.seen);
        let take = || std::mem::take(&mut *seen.lock().unwrap());
        let builder = client_of(&broker).authentication("SCRAM-X", authenticator);
        let client = soon(builder.connect()).await.unwrap();
        soon(client.publish("t", "1").qos(QOS_1)).await.unwrap();
        assert_eq!(take(), ["begin", "server-first", "server-final"]);

        soon(client.reauthenticate()).await.unwrap();
        soon(client.publish("t", "2").qos(QOS_1)).await.unwrap();
        assert_eq!(take(), ["begin", "server-first", "server-final"]);

        broker.drop_connections();
        until(&client, |state| {
            matches!(state, mqtt5_tokio::ConnectionState::Connected(info) if info.number == 2)
        })
        .await;
        soon(client.publish("t", "3").qos(QOS_1)).await.unwrap();
        assert_eq!(take(), ["begin", "server-first", "server-final"]);
    });
}

#[test]
fn an_authenticator_that_gives_up_is_the_end_of_the_client() {
    run_on_two_threads(async {
        for (gives_up, distrusts) in [(true, false), (false, true)] {
            let broker = broker().await;
            let authenticator = Scripted {
                gives_up,
                distrusts,
                ..Scripted::default()
            };
            let builder = client_of(&broker).authentication("SCRAM-X", authenticator);
            let client = builder.start().unwrap();
            let reason = closed(&client).await;
            assert!(matches!(reason, CloseReason::Authentication), "{reason:?}");
            assert_eq!(reason.culprit(), Culprit::Caller);
        }
    });
}

#[test]
fn an_answer_that_the_server_does_not_like_is_final() {
    run_on_two_threads(async {
        let script = AuthenticationScript::new("SCRAM-X")
            .unwrap()
            .challenge("x", "something else");
        let config = Config {
            authentication: Some(script),
            ..Config::default()
        };
        let broker = TestBroker::start_with(config).await.unwrap();
        let builder = client_of(&broker).authentication("SCRAM-X", Scripted::default());
        let client = builder.start().unwrap();
        match closed(&client).await {
            CloseReason::Final(Failure::Ended(end)) => match *end {
                EndReason::Refused { reason_code, .. } => assert_eq!(reason_code.raw(), 0x87),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    });
}

/// A server that forgets the method, or names another one, and one that asks out of turn.
#[test]
fn a_server_that_breaks_the_rules_of_authentication_is_left() {
    let rows = [
        ("success without the method", NEW_SESSION),
        ("success with another method", "20 07 00 00 04 15 00 01 59"),
        ("challenge with another method", "F0 06 18 04 15 00 01 59"),
        ("challenge without a method", "F0 02 18 00"),
        ("success by AUTH", "F0 06 00 04 15 00 01 58"),
        ("re-authentication by the server", "F0 06 19 04 15 00 01 58"),
    ];
    run(async {
        for (what, bytes) in rows {
            let server = Server::start().await;
            let builder = server.builder().authentication("X", Scripted::default());
            let client = builder.start().unwrap();
            let mut link = server.accept().await;
            link.expect_kind(0x10).await;
            link.send(bytes).await;
            let rest = link.rest().await;
            // A DISCONNECT may be sent (section 4.12) and need not.
            assert!(
                rest.is_empty() || rest == [0xE0, 0x01, 0x82],
                "{what}: {rest:?}"
            );
            let (_link, _) = server.answer("20 07 00 00 04 15 00 01 58").await;
            soon(client.connected()).await.unwrap();
        }
    });
}

#[test]
fn a_reauthentication_ends_with_its_connection_and_is_told() {
    run(async {
        let server = Server::start().await;
        let connack = "20 07 00 00 04 15 00 01 58";
        let builder = server.builder().authentication("X", Scripted::default());
        let (client, mut link) = server.connect_by(builder, connack).await;
        let client_too = client.clone();
        let running = tokio::spawn(async move { client_too.reauthenticate().await });
        let auth = link.expect_kind(0xF0).await;
        assert_eq!(auth[2], 0x19);
        // A second one has to wait for the first.
        match soon(client.reauthenticate()).await {
            Err(ReauthenticateError::NotAccepted(_)) => {}
            other => panic!("{other:?}"),
        }
        drop(link);
        match soon(running).await.unwrap() {
            Err(ReauthenticateError::Disconnected) => {}
            other => panic!("{other:?}"),
        }
        let (_link, _) = server.answer(connack).await;
    });
}
