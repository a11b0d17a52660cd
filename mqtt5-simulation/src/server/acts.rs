//! What the broker does of its own: messages, ends of connections, other offers.

use mqtt5_client::proto::packet::{
    ApplicationMessage, ConnackReasonCode, Disconnect, DisconnectReasonCode,
};
use mqtt5_client::proto::{QoS, Topic};
use mqtt5_testkit::Restart;

use super::Server;
use crate::application::Application;
use crate::random::Random;
use crate::scene::Scene;
use crate::settings::offer;
use crate::universe::{Made, Messages, TOPICS};

impl Server {
    /// The broker acts of its own.
    pub(crate) fn act(
        &mut self,
        random: &mut Random,
        applications: &mut [Application],
        scene: &mut Scene,
    ) {
        let now = scene.now();
        match random.below(100) {
            0..60 => self.publish(random, scene),
            60..66 => self.end_connection(random, scene),
            66..72 => {
                // A session does not end under a connection (`4.1.0-1`).
                let client = random.below(applications.len());
                let client_id = applications[client].settings.asked.client_id;
                if self.broker.has_session(client_id)
                    && self.broker.connection_of(client_id).is_none()
                {
                    scene.tally.forgotten_sessions += 1;
                    scene.note(format_args!("the session of {client_id} is lost"));
                    self.broker.lose_session(client_id);
                }
            }
            72..92 => {
                scene.tally.reconfigured += 1;
                let connack = if random.percent(40) {
                    Default::default()
                } else {
                    offer(random)
                };
                self.broker.configure(|config| config.connack = connack);
            }
            92..98 => self.refuse_connects(random, scene),
            _ => {
                scene.note(format_args!("the broker restarts"));
                let restart = random.one_of([Restart::KeepSessions, Restart::LoseSessions]);
                self.broker.restart(restart, now);
            }
        }
        self.send(applications, scene);
    }

    fn refuse_connects(&mut self, random: &mut Random, scene: &mut Scene) {
        scene.tally.refused_connects += 1;
        use ConnackReasonCode as Code;
        let codes = [
            Code::UnspecifiedError,
            Code::ServerUnavailable,
            Code::ServerBusy,
            Code::QuotaExceeded,
            Code::ConnectionRateExceeded,
            Code::UseAnotherServer,
            Code::NotAuthorized,
        ];
        let refuse = random.percent(50).then(|| random.one_of(codes));
        self.broker.configure(|config| config.refuse = refuse);
    }

    /// Takes everybody again.
    pub(crate) fn refuse_nobody(&mut self) {
        if self.broker.config().refuse.is_some() {
            self.broker.configure(|config| config.refuse = None);
        }
    }

    fn publish(&mut self, random: &mut Random, scene: &mut Scene) {
        let qos = random.one_of([QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
        let count = if random.percent(5) { 20 } else { 1 };
        for _ in 0..count {
            scene.tally.server_messages += 1;
            let made = Made {
                // Not to the last, whose subscriptions are refused.
                topic: random.below(TOPICS.len() - 1),
                length: crate::application::length(random),
                qos: qos as u8,
                retain: random.percent(2),
                expiry: random.percent(5).then_some(2),
            };
            let number = scene.messages.add(made);
            if let Some(message) = message(number, &scene.messages, qos) {
                self.broker.publish(message, scene.now());
            }
        }
    }

    fn end_connection(&mut self, random: &mut Random, scene: &mut Scene) {
        use DisconnectReasonCode as Code;
        let codes = [
            Code::NormalDisconnection,
            Code::UnspecifiedError,
            Code::ServerBusy,
            Code::ServerShuttingDown,
            Code::KeepAliveTimeout,
            Code::ProtocolError,
            Code::QuotaExceeded,
            Code::AdministrativeAction,
            Code::MaximumConnectTime,
            Code::UseAnotherServer,
            Code::ReceiveMaximumExceeded,
            Code::NotAuthorized,
            Code::SessionTakenOver,
        ];
        let Some(index) = self.choose(random) else {
            return;
        };
        let end = &self.ends[index];
        if end.forgotten || end.connect.is_some() {
            return;
        }
        let id = end.id;
        if random.percent(30) {
            scene.tally.server_closes += 1;
            self.broker.close(id, scene.now());
        } else {
            scene.tally.server_disconnects += 1;
            let limit = if random.percent(90) { 11 } else { codes.len() };
            let code = codes[random.below(limit)];
            self.broker
                .disconnect(id, &Disconnect::new(code), scene.now());
        }
    }
}

fn message(number: u32, messages: &Messages, qos: QoS) -> Option<ApplicationMessage> {
    let made = messages.get(number)?;
    let topic = Topic::new(TOPICS[made.topic]).ok()?;
    let mut message = ApplicationMessage::new(topic, messages.payload(number)).with_qos(qos);
    message.retain = made.retain;
    if let Some(expiry) = made.expiry {
        message
            .properties
            .get_or_insert_default()
            .message_expiry_interval = Some(expiry);
    }
    Some(message)
}
