//! The two brokers of the integration suite, behind one face.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Mutex;

use mqtt5_proto::QoS;
use mqtt5_proto::codec::MaximumPacketSize;
use mqtt5_proto::packet::{PacketType, PublishReasonCode};
use mqtt5_testkit::{Config as TestConfig, FaultyLink, Restart, TestBroker};

use super::mosquitto::{Config as MosquittoConfig, Mosquitto};
use super::until;

/// Which broker a test runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Testkit,
    Mosquitto,
}

/// What a test asks of its broker, in terms that both brokers know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) users: Vec<(&'static str, &'static str)>,
    /// The one topic that nobody may publish to.
    pub(crate) forbidden_topic: Option<&'static str>,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) maximum_packet_size: Option<u32>,
    pub(crate) maximum_qos: Option<u8>,
    pub(crate) retain_unavailable: bool,
    pub(crate) server_keep_alive: Option<u16>,
}

/// A broker behind a link that can be cut.
pub(crate) struct Broker {
    kind: Kind,
    running: Running,
    pub(crate) link: FaultyLink,
}

enum Running {
    Testkit(TestBroker),
    Mosquitto(Mutex<Mosquitto>),
}

impl Broker {
    pub(crate) async fn start(kind: Kind) -> Self {
        Self::start_with(kind, Setup::default()).await
    }

    pub(crate) async fn start_with(kind: Kind, setup: Setup) -> Self {
        let running = match kind {
            Kind::Testkit => Running::Testkit(start_testkit(&setup).await),
            Kind::Mosquitto => Running::Mosquitto(Mutex::new(start_mosquitto(&setup))),
        };
        let address = match &running {
            Running::Testkit(broker) => broker.address(),
            Running::Mosquitto(broker) => broker.lock().unwrap().address(),
        };
        let link = FaultyLink::to(address).await.unwrap();
        Self {
            kind,
            running,
            link,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The address over the link.
    pub(crate) fn url(&self) -> String {
        self.link.url()
    }

    /// The address past the link, for those that are never cut.
    pub(crate) fn direct_url(&self) -> String {
        format!("mqtt://{}", self.direct_address())
    }

    /// The broker's own address.
    pub(crate) fn direct_address(&self) -> SocketAddr {
        match &self.running {
            Running::Testkit(broker) => broker.address(),
            Running::Mosquitto(broker) => broker.lock().unwrap().address(),
        }
    }

    /// Takes the broker out of service; sessions and retained messages are kept.
    pub(crate) fn stop(&self) {
        match &self.running {
            Running::Testkit(broker) => {
                broker.accept_connections(false);
                broker.restart(Restart::KeepSessions);
            }
            Running::Mosquitto(broker) => broker.lock().unwrap().stop(),
        }
    }

    /// Takes the broker out of service; sessions are lost.
    pub(crate) fn crash(&self) {
        match &self.running {
            Running::Testkit(broker) => {
                broker.accept_connections(false);
                broker.restart(Restart::LoseSessions);
            }
            Running::Mosquitto(broker) => broker.lock().unwrap().kill(),
        }
    }

    /// Puts the broker into service again.
    pub(crate) fn resume(&self) {
        match &self.running {
            Running::Testkit(broker) => broker.accept_connections(true),
            Running::Mosquitto(broker) => broker.lock().unwrap().resume(),
        }
    }

    /// Waits until the broker has noticed that a client's connection is gone.
    pub(crate) async fn sees_gone(&self, client_id: &str) {
        match &self.running {
            Running::Testkit(broker) => {
                let gone =
                    |broker: &mqtt5_testkit::Broker| broker.connection_of(client_id).is_none();
                broker.wait_for(gone).await.unwrap();
            }
            Running::Mosquitto(broker) => {
                let ends = [
                    format!("Client {client_id} closed"),
                    format!("Client {client_id} disconnected"),
                    format!("Bad socket read/write on client {client_id}:"),
                ];
                until(|| {
                    let log = broker.lock().unwrap().log();
                    ends.iter().any(|end| log.contains(end))
                })
                .await;
            }
        }
    }

    /// Waits until the broker has had a DISCONNECT from a client.
    pub(crate) async fn sees_disconnect(&self, client_id: &str) {
        match &self.running {
            Running::Testkit(broker) => {
                let has_come = |broker: &mqtt5_testkit::Broker| {
                    broker.received().any(|record| {
                        record.packet_type() == Some(PacketType::Disconnect)
                            && record.client_id == client_id
                    })
                };
                broker.wait_for(has_come).await.unwrap();
            }
            Running::Mosquitto(broker) => {
                let text = format!("Received DISCONNECT from {client_id}\n");
                until(|| broker.lock().unwrap().log().contains(&text)).await;
            }
        }
    }

    /// What Mosquitto has logged; nothing for the test broker.
    pub(crate) fn mosquitto_log(&self) -> String {
        match &self.running {
            Running::Testkit(_) => String::new(),
            Running::Mosquitto(broker) => broker.lock().unwrap().log(),
        }
    }

    /// The test broker, for tests that script it.
    pub(crate) fn testkit(&self) -> &TestBroker {
        match &self.running {
            Running::Testkit(broker) => broker,
            Running::Mosquitto(_) => panic!("this test runs against the test broker alone"),
        }
    }
}

async fn start_testkit(setup: &Setup) -> TestBroker {
    let mut config = TestConfig::default();
    for (name, password) in &setup.users {
        config.credentials = config.credentials.with_user(*name, *password);
    }
    config.connack.receive_maximum = setup.receive_maximum.and_then(NonZeroU16::new);
    config.connack.maximum_packet_size = setup.maximum_packet_size.and_then(MaximumPacketSize::new);
    config.connack.maximum_qos = setup.maximum_qos.and_then(QoS::from_raw);
    config.connack.retain_available = setup.retain_unavailable.then_some(false);
    config.connack.server_keep_alive = setup.server_keep_alive;
    let broker = TestBroker::start_with(config).await.unwrap();
    if let Some(topic) = setup.forbidden_topic {
        let topic = topic.try_into().unwrap();
        broker.script(|broker, _| broker.refuse_publish(topic, PublishReasonCode::NotAuthorized));
    }
    broker
}

fn start_mosquitto(setup: &Setup) -> Mosquitto {
    // Unless told otherwise it drops what a slow client leaves waiting.
    let mut config = MosquittoConfig::new()
        .persistence()
        .line("set_tcp_nodelay true")
        .line("max_queued_messages 0");
    for (name, password) in &setup.users {
        config = config.user(name, password);
    }
    if let Some(topic) = setup.forbidden_topic {
        // Later lines take precedence over the wildcard for what they name.
        config = config.acl(&format!("topic readwrite #\ntopic deny {topic}\n"));
    }
    if let Some(maximum) = setup.receive_maximum {
        config = config.max_inflight_messages(maximum);
    }
    if let Some(maximum) = setup.maximum_packet_size {
        config = config.max_packet_size(maximum);
    }
    if let Some(maximum) = setup.maximum_qos {
        config = config.max_qos(maximum);
    }
    if setup.retain_unavailable {
        config = config.retain_available(false);
    }
    if let Some(seconds) = setup.server_keep_alive {
        config = config.max_keepalive(seconds);
    }
    Mosquitto::start(config)
}

/// Makes a test of each named function for each broker: `testkit::NAME` and `mosquitto::NAME`. Once
/// per module.
macro_rules! on_both_brokers {
    ($($name:ident),* $(,)?) => {
        mod testkit {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let test = super::$name($crate::support::broker::Kind::Testkit);
                $crate::support::within_limit(test).await;
            })*
        }

        mod mosquitto {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let test = super::$name($crate::support::broker::Kind::Mosquitto);
                $crate::support::within_limit(test).await;
            })*
        }
    };
}
pub(crate) use on_both_brokers;
