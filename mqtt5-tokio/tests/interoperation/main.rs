//! Other clients at the other end: Paho and gmqtt in Python, MQTT.js in JavaScript. The command line
//! clients of Mosquitto are in `../integration/tools.rs`.
//!
//! Such a peer subscribes to `to/peer`, says `ready`, prints three messages (`QoS|payload|Payload
//! Format Indicator|Content Type|Response Topic|Correlation Data|User Properties`), publishes three
//! to `from/peer` at QoS 0, 1 and 2 with properties, and leaves.
//!
//! `scripts/test clients` installs what they need, and `INTEROPERATION_PYTHON` and
//! `INTEROPERATION_NODE_MODULES` say where.

// Support that other tests need more of, and that has no better way to fail a test than to panic.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "tls")]
#[path = "../transports/certificates.rs"]
mod certificates;

use std::process::Stdio;
use std::time::Duration;

use mqtt5_testkit::TestBroker;
use mqtt5_tokio::proto::packet::PayloadFormatIndicator;
use mqtt5_tokio::{Builder, Message, QoS, builder};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use support::mosquitto::{Config, Mosquitto};
use support::{soon, within_limit};

const EVERY_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[derive(Clone, Copy)]
enum Peer {
    Paho,
    Gmqtt,
    MqttJs,
}

impl Peer {
    /// The peer's program, if what it needs is there.
    fn command(self) -> Command {
        let python = std::env::var("INTEROPERATION_PYTHON");
        let python = python.unwrap_or_else(|_| "python3".to_owned());
        let (program, script, check) = match self {
            Self::Paho => (
                python,
                "paho_peer.py",
                ["-c", "import paho.mqtt.properties"],
            ),
            Self::Gmqtt => (python, "gmqtt_peer.py", ["-c", "import gmqtt"]),
            Self::MqttJs => (
                "node".to_owned(),
                "mqttjs_peer.js",
                ["-e", "require('mqtt')"],
            ),
        };
        let command = || {
            let mut command = std::process::Command::new(&program);
            if let Ok(modules) = std::env::var("INTEROPERATION_NODE_MODULES") {
                command.env("NODE_PATH", modules);
            }
            command
        };
        let checked = command().args(check).output();
        assert!(
            checked.as_ref().is_ok_and(|output| output.status.success()),
            "{program} cannot run {script}: {checked:?}\nTo get what it needs:\n    \
             python3 -m venv target/clients\n    \
             target/clients/bin/pip install -r mqtt5-tokio/tests/interoperation/requirements.txt\n    \
             export INTEROPERATION_PYTHON=$PWD/target/clients/bin/python\n    \
             cp mqtt5-tokio/tests/interoperation/package.json target/clients\n    \
             npm install --prefix target/clients\n    \
             export INTEROPERATION_NODE_MODULES=$PWD/target/clients/node_modules\n\
             Node.js and npm are Debian's packages nodejs and npm"
        );
        let mut command = command();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interoperation");
        command.arg(format!("{folder}/{script}"));
        command.into()
    }
}

/// A peer that runs; ended when dropped.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
}

impl Running {
    fn start(peer: Peer, arguments: &[&str]) -> Self {
        let mut child = peer
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            stdin: child.stdin.take().unwrap(),
            child,
        }
    }

    async fn line(&mut self) -> String {
        let line = soon(self.lines.next_line()).await.unwrap();
        line.expect("the peer has ended")
    }

    async fn finish(mut self) {
        self.stdin.write_all(b"\n").await.unwrap_or_default();
        let status = soon(self.child.wait()).await.unwrap();
        assert!(status.success(), "{status}");
    }
}

/// Messages of every QoS from us to the peer and from the peer to us, with properties.
async fn both_ways(builder: Builder, peer: Peer, arguments: &[&str]) {
    let client = soon(builder.client_id("ours").connect()).await.unwrap();
    let mut from_peer = soon(client.subscribe("from/peer")).await.unwrap();
    let mut peer = Running::start(peer, arguments);
    assert_eq!(peer.line().await, "ready");

    for qos in EVERY_QOS {
        let number = qos as u8;
        let publish = client
            .publish("to/peer", format!("qos {number}"))
            .qos(qos)
            .utf8()
            .message_expiry_interval(Duration::from_secs(1000))
            .content_type("text/plain")
            .response_topic("answers")
            .correlation_data(b"4711".to_vec())
            .user_property("key one", "value one")
            .user_property("key", "two");
        soon(publish).await.unwrap();
        assert_eq!(
            peer.line().await,
            format!("{number}|qos {number}|1|text/plain|answers|4711|key one:value one key:two")
        );
    }
    for qos in EVERY_QOS {
        check(&soon(from_peer.next()).await.unwrap(), qos);
    }
    soon(client.disconnect()).await.unwrap();
    peer.finish().await;
}

fn check(message: &Message, qos: QoS) {
    assert_eq!(message.payload(), format!("qos {}", qos as u8).as_bytes());
    assert_eq!(message.qos(), qos);
    let properties = message.properties();
    let format = properties.payload_format_indicator();
    assert_eq!(format, Some(PayloadFormatIndicator::Utf8));
    let expiry = properties.message_expiry_interval();
    assert!(
        expiry.is_some_and(|left| (900..=1000).contains(&left)),
        "{expiry:?}"
    );
    assert_eq!(properties.content_type(), Some("text/plain"));
    assert_eq!(properties.response_topic(), Some("answers"));
    assert_eq!(properties.correlation_data(), Some(&b"4711"[..]));
    let user: Vec<_> = properties.user_properties().collect();
    assert_eq!(user, [("key one", "value one"), ("key", "two")]);
}

async fn through_both_brokers(peer: Peer) {
    let mosquitto = Mosquitto::start(Config::new());
    let url = format!("mqtt://{}", mosquitto.address());
    both_ways(builder(&url).unwrap(), peer, &[&url]).await;
    let broker = TestBroker::start().await.unwrap();
    let url = broker.url();
    both_ways(builder(&url).unwrap(), peer, &[&url]).await;
}

#[tokio::test]
async fn paho() {
    within_limit(through_both_brokers(Peer::Paho)).await;
}

#[tokio::test]
async fn gmqtt() {
    within_limit(through_both_brokers(Peer::Gmqtt)).await;
}

#[tokio::test]
async fn mqtt_js() {
    within_limit(through_both_brokers(Peer::MqttJs)).await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn paho_over_tls() {
    use certificates::{Authority, SecureMosquitto, Validity};
    use support::mosquitto::{Directory, write_private};

    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&["localhost"], Validity::Now);
        let broker = SecureMosquitto::start(&identity, None, &[]);
        let files = Directory::create();
        let ca = files.file("ca.pem");
        write_private(&ca, &authority.pem);
        let url = broker.url("mqtts", "localhost");
        let tls = mqtt5_tokio::TlsOptions::new().roots_pem(&authority.pem);
        let builder = builder(&url).unwrap().tls(tls);
        both_ways(builder, Peer::Paho, &[&url, ca.to_str().unwrap()]).await;
    })
    .await;
}

#[cfg(feature = "websocket")]
#[tokio::test]
async fn mqtt_js_and_paho_over_websocket() {
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};

    within_limit(async {
        // Beside the plain listener, without which Mosquitto 2.0.11 does not start; without
        // socket_domain, it would listen on every interface.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, support::mosquitto::free_port()));
        let _broker = Mosquitto::start(
            Config::new()
                .line(&format!("listener {} {}", address.port(), address.ip()))
                .line("protocol websockets")
                .line("socket_domain ipv4"),
        );
        support::until(|| TcpStream::connect(address).is_ok()).await;
        let url = format!("ws://{address}/mqtt");
        for peer in [Peer::MqttJs, Peer::Paho] {
            both_ways(builder(&url).unwrap(), peer, &[&url]).await;
        }
    })
    .await;
}
