//! The core as a client under test. Time is a number; nothing waits.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "support of tests is no test to clippy"
)]

mod settings;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;
use mqtt5_conformance::{
    Answer, Arguments, Broken, Client, Heard, Instruction, Pace, Tells, Told, Verb,
};
use mqtt5_proto::codec::BinaryData;
use mqtt5_proto::packet::{
    AckProperties, Disconnect, DisconnectProperties, DisconnectReasonCode, PublishReasonCode,
};
use mqtt5_proto::session::{AckToken, Event, InputStatus, OperationId, Transmit};
use mqtt5_proto::{Instant, QoS, Session};

use crate::words;

/// One client under test.
#[derive(Default)]
pub(crate) struct SessionClient {
    session: Option<Session>,
    now: Duration,
    input: BytesMut,
    heard: VecDeque<Heard>,
    told: VecDeque<Told>,
    operations: HashMap<OperationId, String>,
    /// What the messages that were delivered are acknowledged with, in their order.
    tokens: Vec<Option<AckToken>>,
    acknowledges_qos1: bool,
    acknowledges_qos2: bool,
    authentication_answer: Option<BinaryData>,
}

impl SessionClient {
    fn instant(&self) -> Instant {
        Instant::from_start(Duration::from_secs(1000) + self.now)
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("connect comes first")
    }

    /// Takes all that the session wants: events, bytes, the end of the connection.
    fn settle(&mut self) {
        let now = self.instant();
        loop {
            let mut idle = true;
            while let Some(event) = self.session().poll_event() {
                idle = false;
                self.handle_event(&event);
            }
            let mut out = BytesMut::new();
            if let Some(transmit) = self.session().poll_transmit(&mut out, now) {
                idle = false;
                let mut bytes = out.to_vec();
                match transmit {
                    Transmit::Buffered => {}
                    Transmit::Payload(payload) => bytes.extend_from_slice(&payload),
                    Transmit::Close => {
                        self.session().handle_closed(now);
                        self.heard.push_back(Heard::Closed);
                        continue;
                    }
                }
                self.session().handle_transmitted(bytes.len(), now);
                self.heard.push_back(Heard::Bytes(bytes));
            }
            if idle {
                return;
            }
        }
    }

    fn handle_event(&mut self, event: &Event) {
        if let Event::Message(message) = event {
            self.told
                .push_back(Told::Delivered(words::message(message)));
            self.tokens.push(message.token());
            let by_itself = match message.qos() {
                QoS::ExactlyOnce => self.acknowledges_qos2,
                _ => self.acknowledges_qos1,
            };
            if let Some(token) = message.token()
                && by_itself
            {
                let success = PublishReasonCode::Success;
                self.session().acknowledge(token, success).unwrap();
            }
            return;
        }
        if matches!(event, Event::Challenge(_)) {
            let answer = self.authentication_answer.clone();
            self.session().authenticate(answer).unwrap();
            return;
        }
        if let Event::Disconnected(end) = event
            && end.repeated >= 3
        {
            self.session().start_clean();
        }
        let connected = matches!(event, Event::Connected(_));
        if let Some((name, words)) = settings::verdict(event, &self.operations) {
            self.told.push_back(Told::Verdict { name, words });
        }
        if connected {
            self.told.push_back(Told::Connected);
        }
    }

    fn open(&mut self) {
        let now = self.instant();
        self.input.clear();
        self.heard.clear();
        self.heard.push_back(Heard::Opened);
        self.session().handle_opened(now);
    }

    /// Lets the clock run to `until`, or to the first thing that is heard.
    fn run_clock(&mut self, until: Duration, stop_when_heard: bool) {
        while self.heard.is_empty() || !stop_when_heard {
            let limit = Instant::from_start(Duration::from_secs(1000) + until);
            let due = self.session.as_ref().and_then(Session::poll_timeout);
            let Some(due) = due.filter(|due| *due <= limit) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(due.since_start() - Duration::from_secs(1000));
            let now = self.instant();
            self.session().handle_timeout(now);
            self.settle();
        }
    }

    fn connect(&mut self, arguments: &Arguments) -> Answer {
        self.acknowledges_qos1 = arguments.get("puback") != Some("manual");
        self.acknowledges_qos2 = arguments.get("pubrec") != Some("manual");
        self.authentication_answer = arguments
            .bytes("authentication_answer")
            .map(|data| BinaryData::try_from(data).unwrap());
        let Some(config) = settings::config(arguments) else {
            return Answer::Refused;
        };
        self.session = Some(Session::new(config));
        self.open();
        Answer::Done
    }

    fn publish(&mut self, name: &str, arguments: &Arguments) -> Answer {
        let now = self.instant();
        let Some(message) = words::application_message(arguments) else {
            return Answer::Refused;
        };
        let accepted = self.session().publish(message, now);
        self.accepted(name, accepted.ok())
    }

    fn subscribe(&mut self, name: &str, arguments: &Arguments) -> Answer {
        let Some(request) = settings::subscribe_request(arguments) else {
            return Answer::Refused;
        };
        let accepted = self.session().subscribe(request);
        self.accepted(name, accepted.ok())
    }

    fn unsubscribe(&mut self, name: &str, arguments: &Arguments) -> Answer {
        let Some(request) = settings::unsubscribe_request(arguments) else {
            return Answer::Refused;
        };
        let accepted = self.session().unsubscribe(request);
        self.accepted(name, accepted.ok())
    }

    fn accepted(&mut self, name: &str, operation: Option<OperationId>) -> Answer {
        let Some(operation) = operation else {
            return Answer::Refused;
        };
        self.operations.insert(operation, name.to_owned());
        Answer::Done
    }

    fn acknowledge(&mut self, arguments: &Arguments) -> Answer {
        let number = usize::try_from(arguments.number("message").unwrap()).unwrap();
        let token = self.tokens[number - 1].expect("a message of QoS 1 or 2");
        let reason = words::reason(arguments, PublishReasonCode::Success);
        let Some(reason) = reason else {
            return Answer::Refused;
        };
        let reason_string = arguments.get("reason_string").and_then(words::text);
        let user_properties = words::user_properties(arguments).unwrap();
        let acknowledged = if reason_string.is_none() && user_properties.is_empty() {
            self.session().acknowledge(token, reason)
        } else {
            let properties = AckProperties {
                reason_string,
                user_properties,
            };
            self.session().acknowledge_with(token, reason, properties)
        };
        acknowledged.map_or(Answer::Refused, |()| Answer::Done)
    }

    fn disconnect(&mut self, arguments: &Arguments) -> Answer {
        let reason = words::reason(arguments, DisconnectReasonCode::NormalDisconnection);
        let Some(reason) = reason else {
            return Answer::Refused;
        };
        let mut packet = Disconnect::new(reason);
        let expiry = arguments.number("session_expiry");
        packet.properties = Some(Box::new(DisconnectProperties {
            session_expiry_interval: expiry.map(|expiry| u32::try_from(expiry).unwrap()),
            reason_string: arguments.get("reason_string").and_then(words::text),
            user_properties: words::user_properties(arguments).unwrap(),
            ..DisconnectProperties::default()
        }));
        let accepted = self.session().disconnect(packet);
        accepted.map_or(Answer::Refused, |()| Answer::Done)
    }
}

impl Client for SessionClient {
    fn tells(&self) -> Tells {
        Tells {
            deliveries: true,
            verdicts: true,
        }
    }

    fn pace(&self) -> Pace {
        Pace::default()
    }

    fn instruct(&mut self, instruction: &Instruction) -> Result<Answer, Broken> {
        let arguments = &instruction.arguments;
        let name = instruction.name.as_deref().unwrap_or_default();
        let answer = match instruction.verb {
            Verb::Connect => self.connect(arguments),
            Verb::Reconnect => {
                self.open();
                Answer::Done
            }
            Verb::Publish => self.publish(name, arguments),
            Verb::Subscribe => self.subscribe(name, arguments),
            Verb::Unsubscribe => self.unsubscribe(name, arguments),
            Verb::Acknowledge => self.acknowledge(arguments),
            Verb::Disconnect => self.disconnect(arguments),
            Verb::Authenticate => {
                let data = self.session().config().authentication.clone();
                let data = data.and_then(|authentication| authentication.data);
                let accepted = self.session().authenticate(data);
                accepted.map_or(Answer::Refused, |()| Answer::Done)
            }
        };
        if self.session.is_some() {
            self.settle();
        }
        Ok(answer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.input.extend_from_slice(bytes);
        loop {
            let now = self.instant();
            let mut input = std::mem::take(&mut self.input);
            let status = self.session().handle_input(&mut input, now);
            self.input = input;
            self.settle();
            if matches!(status, InputStatus::NeedMore { .. } | InputStatus::Closed) {
                return Ok(());
            }
        }
    }

    fn listen(&mut self, deadline: Duration) -> Result<Heard, Broken> {
        self.run_clock(deadline, true);
        Ok(self.heard.pop_front().unwrap_or(Heard::Nothing))
    }

    fn told(&mut self, _: Duration) -> Result<Option<Told>, Broken> {
        Ok(self.told.pop_front())
    }

    fn cut(&mut self) {
        let now = self.instant();
        self.session().handle_closed(now);
        self.settle();
        self.heard.clear();
    }

    fn wait(&mut self, time: Duration) {
        self.run_clock(self.now + time, false);
    }

    fn now(&self) -> Duration {
        self.now
    }
}
