//! What the tests of the session share: a scripted peer. It is given the server's bytes, holds the
//! clock, and compares what the client sends with bytes written down from the standard.

#![allow(dead_code, reason = "no test uses all of it")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

use core::num::NonZeroU16;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt5_proto::codec::{BinaryData, Utf8String};
use mqtt5_proto::packet::{ApplicationMessage, Disconnect, DisconnectReasonCode, Subscription};
use mqtt5_proto::session::{
    AckToken, Connected, ConnectionEnd, EndReason, Event, InputStatus, Message, OperationId, Phase,
    PublishVerdict, SessionConfig, SubscribeRequest, Transmit, UnsubscribeRequest, Warning,
};
use mqtt5_proto::{Instant, QoS, Session, Topic, TopicFilter};

/// CONNACK: accepted, no session.
pub(crate) const ACCEPTED: &str = "20 03 00 00 00";
/// CONNACK: accepted, session present.
pub(crate) const RESUMED: &str = "20 03 01 00 00";
/// The CONNECT of [`config`] with Clean Start 1: expiry 300 s, Receive Maximum 256, Maximum Packet
/// Size 16 MiB, client identifier "c".
pub(crate) const CONNECT_CLEAN: &str = "10 1B 00 04 4D 51 54 54 05 02 00 00 \
     0D 11 00 00 01 2C 21 01 00 27 01 00 00 00 00 01 63";
/// The same with Clean Start 0.
pub(crate) const CONNECT_RESUME: &str = "10 1B 00 04 4D 51 54 54 05 00 00 00 \
     0D 11 00 00 01 2C 21 01 00 27 01 00 00 00 00 01 63";

/// The bytes of `text`: hexadecimal numbers; spaces, and bars between packets, are ignored.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '|')
        .map(|c| c.to_digit(16).unwrap())
        .collect();
    assert_eq!(digits.len() % 2, 0, "half a byte in {text:?}");
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

/// Client "c", no keep alive, so that no clock matters unless a test wants one to.
pub(crate) fn config() -> SessionConfig {
    SessionConfig {
        client_id: text("c"),
        keep_alive: 0,
        ..SessionConfig::default()
    }
}

pub(crate) fn text(text: &str) -> Utf8String {
    Utf8String::new(text).unwrap()
}

pub(crate) fn data(bytes: &'static [u8]) -> BinaryData {
    BinaryData::new(bytes).unwrap()
}

pub(crate) fn maximum(value: u16) -> NonZeroU16 {
    NonZeroU16::new(value).unwrap()
}

/// A message for topic "t".
pub(crate) fn message(qos: QoS, payload: &str) -> ApplicationMessage {
    ApplicationMessage::new(
        Topic::new("t").unwrap(),
        Bytes::copy_from_slice(payload.as_bytes()),
    )
    .with_qos(qos)
}

/// A message for topic "t" with a Message Expiry Interval.
pub(crate) fn expiring(qos: QoS, payload: &str, seconds: u32) -> ApplicationMessage {
    let mut message = message(qos, payload);
    message.properties_mut().message_expiry_interval = Some(seconds);
    message
}

/// A session, the server at its other end, and the transport between them.
pub(crate) struct Peer {
    pub(crate) session: Session,
    pub(crate) now: Instant,
    input: BytesMut,
    /// Polled and not taken by the transport.
    held: usize,
    asked_to_close: bool,
}

impl Peer {
    pub(crate) fn new(config: SessionConfig) -> Self {
        Self {
            session: Session::new(config),
            now: Instant::from_start(Duration::from_secs(1000)),
            input: BytesMut::new(),
            held: 0,
            asked_to_close: false,
        }
    }

    /// Connected with [`config`], new session.
    pub(crate) fn connected() -> Self {
        Self::connected_with(config(), ACCEPTED)
    }

    pub(crate) fn connected_with(config: SessionConfig, connack: &str) -> Self {
        let mut peer = Self::new(config);
        peer.connect(connack);
        peer
    }

    // --- the transport ------------------------------------------------------

    pub(crate) fn open(&mut self) {
        self.input.clear();
        self.held = 0;
        self.asked_to_close = false;
        self.session.handle_opened(self.now);
    }

    /// Opens, lets the CONNECT go, gives `connack` and takes its event.
    #[track_caller]
    pub(crate) fn connect(&mut self, connack: &str) -> Connected {
        self.open();
        self.drain();
        self.given(connack);
        self.expect_connected()
    }

    /// The transport breaks; what comes of it stays in the events.
    pub(crate) fn cut(&mut self) {
        self.session.handle_closed(self.now);
    }

    /// The transport breaks and opens again; the events of both are skipped until the CONNACK.
    #[track_caller]
    pub(crate) fn reconnect(&mut self, connack: &str) -> Connected {
        self.cut();
        self.open();
        self.drain();
        self.events();
        self.given(connack);
        self.expect_connected()
    }

    /// The server sends `bytes`, hexadecimal.
    pub(crate) fn given(&mut self, bytes: &str) -> InputStatus {
        self.given_bytes(&hex(bytes))
    }

    pub(crate) fn given_bytes(&mut self, bytes: &[u8]) -> InputStatus {
        self.input.extend_from_slice(bytes);
        self.session.handle_input(&mut self.input, self.now)
    }

    /// Goes on with what lies in the input.
    pub(crate) fn given_nothing(&mut self) -> InputStatus {
        self.session.handle_input(&mut self.input, self.now)
    }

    fn poll(&mut self) -> (Vec<u8>, bool) {
        let (mut sent, mut out, mut closes) = (Vec::new(), BytesMut::new(), false);
        while let Some(transmit) = self.session.poll_transmit(&mut out, self.now) {
            let appended = out.split();
            sent.extend_from_slice(&appended);
            match transmit {
                Transmit::Buffered => {
                    assert!(!closes, "bytes behind the close");
                    assert!(!appended.is_empty(), "Buffered, and nothing was appended");
                }
                Transmit::Payload(payload) => sent.extend_from_slice(&payload),
                Transmit::Close => {
                    assert!(!closes, "closed twice");
                    closes = true;
                }
            }
        }
        self.held += sent.len();
        self.asked_to_close |= closes;
        (sent, closes)
    }

    /// All that the client sends now; the transport takes it.
    pub(crate) fn drain(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let (sent, _) = self.poll();
            self.transmit_all();
            if sent.is_empty() {
                return all;
            }
            all.extend_from_slice(&sent);
        }
    }

    /// The client sends exactly these bytes now, and the transport takes them.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: &str) {
        let sent = self.drain();
        same(&sent, &hex(bytes));
    }

    /// The client hands out exactly these bytes; the transport does not take them yet.
    #[track_caller]
    pub(crate) fn expect_held(&mut self, bytes: &str) {
        let (sent, _) = self.poll();
        same(&sent, &hex(bytes));
    }

    #[track_caller]
    pub(crate) fn expect_held_bytes(&mut self, bytes: &[u8]) {
        let (sent, _) = self.poll();
        same(&sent, bytes);
    }

    /// The client hands out what it has; the transport does not take it.
    pub(crate) fn poll_only(&mut self) -> Vec<u8> {
        self.poll().0
    }

    /// Whether the end of this connection was asked for.
    pub(crate) fn asked_to_close(&self) -> bool {
        self.asked_to_close
    }

    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        self.expect("");
    }

    /// The client sends exactly these bytes and asks for the end of the connection.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, bytes: &str) {
        let (sent, closes) = self.poll();
        self.transmit_all();
        same(&sent, &hex(bytes));
        assert!(closes, "the connection is to be closed");
        assert_eq!(self.session.phase(), Phase::Closing);
    }

    /// The transport takes `bytes` more of what was handed out.
    pub(crate) fn transmit(&mut self, bytes: usize) {
        assert!(bytes <= self.held);
        self.held -= bytes;
        self.session.handle_transmitted(bytes, self.now);
    }

    pub(crate) fn transmit_all(&mut self) {
        if self.held > 0 {
            self.transmit(self.held);
        }
    }

    // --- the clock ----------------------------------------------------------

    /// Time passes; the timer fires at its end, if it should have by then.
    pub(crate) fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
        let mut fired = 0;
        while self
            .session
            .poll_timeout()
            .is_some_and(|timeout| timeout <= self.now)
        {
            self.session.handle_timeout(self.now);
            fired += 1;
            assert!(fired < 100, "what is due stays due");
        }
    }

    pub(crate) fn wait_seconds(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    // --- commands -----------------------------------------------------------

    #[track_caller]
    pub(crate) fn publish(&mut self, qos: QoS, payload: &str) -> OperationId {
        self.publish_message(message(qos, payload))
    }

    #[track_caller]
    pub(crate) fn publish_message(&mut self, message: ApplicationMessage) -> OperationId {
        self.session.publish(message, self.now).unwrap()
    }

    #[track_caller]
    pub(crate) fn qos0(&mut self, payload: &str) -> OperationId {
        self.publish(QoS::AtMostOnce, payload)
    }

    #[track_caller]
    pub(crate) fn qos1(&mut self, payload: &str) -> OperationId {
        self.publish(QoS::AtLeastOnce, payload)
    }

    #[track_caller]
    pub(crate) fn qos2(&mut self, payload: &str) -> OperationId {
        self.publish(QoS::ExactlyOnce, payload)
    }

    #[track_caller]
    pub(crate) fn subscribe(&mut self, filters: &[&str]) -> OperationId {
        let subscriptions = filters
            .iter()
            .map(|filter| Subscription::new(TopicFilter::new(filter).unwrap()))
            .collect();
        let request = SubscribeRequest {
            subscriptions,
            ..SubscribeRequest::default()
        };
        self.session.subscribe(request).unwrap()
    }

    #[track_caller]
    pub(crate) fn unsubscribe(&mut self, filters: &[&str]) -> OperationId {
        let filters = filters.iter().map(|filter| TopicFilter::new(filter));
        let request = UnsubscribeRequest {
            filters: filters.collect::<Result<_, _>>().unwrap(),
            ..UnsubscribeRequest::default()
        };
        self.session.unsubscribe(request).unwrap()
    }

    #[track_caller]
    pub(crate) fn acknowledge(&mut self, token: AckToken) {
        let code = mqtt5_proto::packet::PublishReasonCode::Success;
        self.session.acknowledge(token, code).unwrap();
    }

    #[track_caller]
    pub(crate) fn disconnect(&mut self) {
        let packet = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
        self.session.disconnect(packet).unwrap();
    }

    // --- events -------------------------------------------------------------

    pub(crate) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.session.poll_event()).collect()
    }

    #[track_caller]
    pub(crate) fn event(&mut self) -> Event {
        self.session.poll_event().expect("an event")
    }

    #[track_caller]
    pub(crate) fn expect_no_event(&mut self) {
        assert_eq!(self.session.poll_event(), None);
    }

    #[track_caller]
    pub(crate) fn expect_connected(&mut self) -> Connected {
        match self.event() {
            Event::Connected(connected) => *connected,
            other => panic!("{other:?} instead of Connected"),
        }
    }

    /// The connection is gone; no other event comes before that.
    #[track_caller]
    pub(crate) fn expect_disconnected(&mut self) -> ConnectionEnd {
        match self.event() {
            Event::Disconnected(end) => *end,
            other => panic!("{other:?} instead of Disconnected"),
        }
    }

    /// The transport closes; why the connection ended.
    #[track_caller]
    pub(crate) fn end(&mut self) -> EndReason {
        self.cut();
        self.expect_disconnected().reason
    }

    /// The transport closes; after other events it is told that this was why.
    #[track_caller]
    pub(crate) fn events_until_end(&mut self, reason: &EndReason) {
        self.cut();
        match self.events().pop() {
            Some(Event::Disconnected(end)) => assert_eq!(end.reason, *reason),
            other => panic!("{other:?} instead of Disconnected"),
        }
    }

    /// The next event is this message.
    #[track_caller]
    pub(crate) fn expect_message(&mut self, payload: &str) -> Message {
        match self.event() {
            Event::Message(message) => {
                assert_eq!(
                    String::from_utf8_lossy(message.payload()),
                    payload,
                    "the payload"
                );
                message
            }
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// The next event is this message, of QoS 1 or 2.
    #[track_caller]
    pub(crate) fn expect_token(&mut self, payload: &str) -> AckToken {
        self.expect_message(payload).token().expect("a token")
    }

    /// The next event is the verdict of this publish.
    #[track_caller]
    pub(crate) fn expect_verdict(&mut self, expected: OperationId) -> PublishVerdict {
        match self.event() {
            Event::Published { operation, verdict } => {
                assert_eq!(operation, expected, "the operation of {verdict:?}");
                verdict
            }
            other => panic!("{other:?} instead of a verdict"),
        }
    }

    /// The next event: this publish was acknowledged with PUBACK or PUBREC of `reason_code`.
    #[track_caller]
    pub(crate) fn expect_acknowledged(&mut self, operation: OperationId, reason_code: u8) {
        match self.expect_verdict(operation) {
            PublishVerdict::Acknowledged(ack) => assert_eq!(ack.reason_code.raw(), reason_code),
            other => panic!("{other:?} instead of Acknowledged"),
        }
    }

    /// The next event: this publish was refused with `reason_code`.
    #[track_caller]
    pub(crate) fn expect_refused(&mut self, operation: OperationId, reason_code: u8) {
        match self.expect_verdict(operation) {
            PublishVerdict::Refused(ack) => assert_eq!(ack.reason_code.raw(), reason_code),
            other => panic!("{other:?} instead of Refused"),
        }
    }

    #[track_caller]
    pub(crate) fn expect_warning(&mut self) -> Warning {
        match self.event() {
            Event::Warning(warning) => warning,
            other => panic!("{other:?} instead of a warning"),
        }
    }

    /// As [`expect_violation`](Self::expect_violation), after events that are of no interest.
    #[track_caller]
    pub(crate) fn expect_violation_after_events(&mut self, bytes: &str, code: u8) {
        self.events();
        self.drain();
        self.expect_violation(bytes, code);
    }

    /// After the bytes the client sends DISCONNECT with `code` and wants the connection closed; no
    /// event tells of the bytes.
    #[track_caller]
    pub(crate) fn expect_violation(&mut self, bytes: &str, code: u8) -> EndReason {
        assert_eq!(self.given(bytes), InputStatus::Closed);
        self.expect_close(&format!("E0 01 {code:02X}"));
        let reason = self.end();
        match &reason {
            EndReason::Violation(error) => assert_eq!(error.reason_code(), code),
            other => panic!("{other:?} instead of a violation"),
        }
        reason
    }
}

#[track_caller]
fn same(sent: &[u8], expected: &[u8]) {
    assert!(
        sent == expected,
        "\n  sent: {}\n  want: {}",
        upper(sent),
        upper(expected)
    );
}

fn upper(bytes: &[u8]) -> String {
    let text: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    text.join(" ")
}

/// The message that a verdict hands back.
#[track_caller]
pub(crate) fn handed_back(verdict: PublishVerdict) -> ApplicationMessage {
    match verdict {
        PublishVerdict::Rejected { message, .. }
        | PublishVerdict::Expired { message }
        | PublishVerdict::NeverSent { message }
        | PublishVerdict::Unknown {
            message: Some(message),
        } => *message,
        other => panic!("{other:?} hands nothing back"),
    }
}

/// It may have been delivered, and this was it.
#[track_caller]
pub(crate) fn expect_unknown(verdict: PublishVerdict, payload: &str) {
    assert!(
        matches!(verdict, PublishVerdict::Unknown { .. }),
        "{verdict:?}"
    );
    assert_eq!(handed_back(verdict).payload, payload.as_bytes());
}

/// It never left, and this was it.
#[track_caller]
pub(crate) fn expect_never_sent(verdict: PublishVerdict, payload: &str) {
    assert!(
        matches!(verdict, PublishVerdict::NeverSent { .. }),
        "{verdict:?}"
    );
    assert_eq!(handed_back(verdict).payload, payload.as_bytes());
}

/// It expired, and this was it.
#[track_caller]
pub(crate) fn expect_expired(verdict: PublishVerdict, payload: &str) {
    assert!(
        matches!(verdict, PublishVerdict::Expired { .. }),
        "{verdict:?}"
    );
    assert_eq!(handed_back(verdict).payload, payload.as_bytes());
}
