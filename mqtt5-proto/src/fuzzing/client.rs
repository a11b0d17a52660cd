//! A session as a fuzzer drives it, watched: its operations and their verdicts, its packets, its
//! budgets.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::BytesMut;

use super::wire::{Reach, Wire, is_violation_code};
use crate::packet::{ApplicationMessage, PacketType, QoS};
use crate::session::{
    AckToken, ConnectionEnd, EndReason, Event, InputStatus, OperationId, Phase, PublishVerdict,
    RequestVerdict, SessionConfig, SubscribeRequest, Transmit, UnsubscribeRequest,
};
use crate::{Instant, Session};

/// What an operation without a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Publish(QoS, u32),
    /// With so many filters.
    Subscribe(usize),
    Unsubscribe(usize),
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) session: Session,
    pub(super) wire: Wire,
    pub(super) now: Instant,
    /// Tokens of all messages that came.
    pub(super) tokens: Vec<AckToken>,
    pending: Vec<(OperationId, Kind)>,
    last: Option<OperationId>,
    /// How many requests were lost with their connection.
    unknown_requests: usize,
    /// Given to the session, and not taken by it.
    input: BytesMut,
    /// The same, before it takes of it.
    given: Vec<u8>,
    /// Opened, and its end not told; and whether its acceptance was told.
    open: bool,
    accepted: bool,
    asked_to_close: bool,
}

impl Client {
    pub(super) fn new(config: SessionConfig) -> Self {
        Self {
            session: Session::new(config),
            wire: Wire::default(),
            now: Instant::from_start(Duration::from_secs(1)),
            tokens: Vec::new(),
            pending: Vec::new(),
            last: None,
            unknown_requests: 0,
            input: BytesMut::new(),
            given: Vec::new(),
            open: false,
            accepted: false,
            asked_to_close: false,
        }
    }

    /// Whether the session wants the connection to be closed.
    pub(super) const fn asked_to_close(&self) -> bool {
        self.asked_to_close
    }

    /// What holds after every step.
    pub(super) fn check(&self) {
        let (session, config) = (&self.session, self.session.config());
        let operations = session.pending_operations();
        // The verdict of some may wait among the events.
        assert!(operations <= self.pending.len());
        assert!(operations <= config.outbound_messages);
        let messages = self.pending.iter();
        let messages = messages.filter(|(_, kind)| matches!(kind, Kind::Publish(..)));
        // A message that is too large for the budget goes alone.
        assert!(session.pending_bytes() <= config.outbound_bytes || messages.count() >= 1);
        assert!(operations > 0 || session.pending_bytes() == 0);
    }

    /// The end of all: every operation has its verdict, and nothing is held any more.
    pub(super) fn finish(mut self) {
        self.abandon();
        assert_eq!(self.session.pending_operations(), 0);
        assert_eq!(self.session.pending_bytes(), 0);
        assert!(self.session.is_settled());
        assert_eq!(self.session.phase(), Phase::Offline);
        assert_eq!(
            self.session.poll_transmit(&mut BytesMut::new(), self.now),
            None
        );
    }
}

/// The application.
impl Client {
    fn accept(&mut self, operation: OperationId, kind: Kind) {
        assert!(self.last < Some(operation), "numbers of operations rise");
        self.last = Some(operation);
        self.pending.push((operation, kind));
    }

    /// `message` has the number `number`, which stands in its topic.
    pub(super) fn publish(&mut self, number: u32, message: ApplicationMessage) {
        let (qos, before) = (message.qos, self.session.pending_bytes());
        match self.session.publish(message, self.now) {
            Ok(operation) => self.accept(operation, Kind::Publish(qos, number)),
            Err(refused) => {
                assert!(is_number(&refused.given, number));
                assert_eq!(self.session.pending_bytes(), before);
            }
        }
    }

    pub(super) fn subscribe(&mut self, request: SubscribeRequest) {
        let filters = request.subscriptions.len();
        if let Ok(operation) = self.session.subscribe(request) {
            assert_ne!(filters, 0);
            self.accept(operation, Kind::Subscribe(filters));
        }
    }

    pub(super) fn unsubscribe(&mut self, request: UnsubscribeRequest) {
        let filters = request.filters.len();
        if let Ok(operation) = self.session.unsubscribe(request) {
            assert_ne!(filters, 0);
            self.accept(operation, Kind::Unsubscribe(filters));
        }
    }

    pub(super) fn take_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.event(&event);
        }
        assert_eq!(self.session.pending_operations(), self.pending.len());
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Published { operation, verdict } => match self.settle(*operation) {
                Kind::Publish(qos, number) => self.published(qos, number, verdict),
                other => panic!("{verdict:?} for {other:?}"),
            },
            Event::Subscribed { operation, verdict } => match self.settle(*operation) {
                Kind::Subscribe(filters) => self.answered(filters, verdict),
                other => panic!("{verdict:?} for {other:?}"),
            },
            Event::Unsubscribed { operation, verdict } => match self.settle(*operation) {
                Kind::Unsubscribe(filters) => self.answered(filters, verdict),
                other => panic!("{verdict:?} for {other:?}"),
            },
            Event::Message(message) => {
                assert_eq!(message.token().is_some(), message.qos() > QoS::AtMostOnce);
                assert!(!message.topic().is_empty());
                if let Some(token) = message.token() {
                    assert!(!self.tokens.contains(&token), "a token is used twice");
                    self.tokens.push(token);
                }
            }
            Event::Connected(_) => {
                assert!(self.open && !self.accepted);
                self.accepted = true;
            }
            Event::Disconnected(end) => {
                assert!(core::mem::take(&mut self.open), "told twice");
                assert!(end.was_connected || !self.accepted);
                self.ended(end);
            }
            Event::AcksStalled { waiting, .. } => assert!(*waiting >= 2),
            Event::Challenge(_) | Event::Reauthenticated(_) => {
                assert!(self.session.config().authentication.is_some());
            }
            Event::Warning(_) => {}
        }
    }

    /// The verdict of `operation`, the only one.
    fn settle(&mut self, operation: OperationId) -> Kind {
        let index = self.pending.iter().position(|(id, _)| *id == operation);
        self.pending
            .remove(index.expect("a verdict for what has none"))
            .1
    }

    fn published(&mut self, qos: QoS, number: u32, verdict: &PublishVerdict) {
        let reach = self.wire.reach(number);
        let left = matches!(reach, Some(Reach::Part | Reach::All));
        match verdict {
            PublishVerdict::Sent => {
                assert_eq!((qos, reach), (QoS::AtMostOnce, Some(Reach::All)));
            }
            PublishVerdict::Acknowledged(ack) => {
                assert_ne!(qos, QoS::AtMostOnce);
                assert!(!ack.reason_code.is_error());
                assert_eq!(ack.completion.is_some(), qos == QoS::ExactlyOnce);
            }
            PublishVerdict::Refused(ack) => {
                assert_ne!(qos, QoS::AtMostOnce);
                assert!(ack.reason_code.is_error() && ack.completion.is_none());
            }
            PublishVerdict::Rejected { message, .. } => {
                assert!(is_number(message, number));
                self.wire.rejected(number);
            }
            PublishVerdict::Expired { message } | PublishVerdict::NeverSent { message } => {
                assert!(is_number(message, number));
                assert!(!left, "{verdict:?} was sent");
            }
            PublishVerdict::Unknown { message } => {
                assert!(left || reach.is_none(), "{verdict:?} was not sent");
                match message {
                    Some(message) => assert!(is_number(message, number)),
                    None => assert_eq!(qos, QoS::ExactlyOnce),
                }
            }
        }
    }

    fn answered<R>(&mut self, filters: usize, verdict: &RequestVerdict<R>) {
        match verdict {
            RequestVerdict::Answered { reason_codes, .. } => {
                assert_eq!(reason_codes.len(), filters);
            }
            RequestVerdict::Unknown => self.unknown_requests += 1,
            RequestVerdict::MalformedAnswer
            | RequestVerdict::Rejected { .. }
            | RequestVerdict::NeverSent => {}
        }
    }

    /// A DISCONNECT went out if one was due, and with the right code.
    fn ended(&self, end: &ConnectionEnd) {
        let sent = self.wire.disconnect();
        let due = self.asked_to_close && end.was_connected;
        match &end.reason {
            EndReason::Requested => assert!(sent.is_some() || !self.asked_to_close),
            EndReason::Violation(error) => {
                let code = match error.reason_code() {
                    // Of a CONNECT, which no server sends whatever is in it.
                    0x84 => 0x82,
                    code => code,
                };
                assert!(is_violation_code(code), "{error:?}");
                assert!(sent.is_none_or(|sent| sent == code), "{error:?}: {sent:?}");
                assert!(sent.is_some() || !due || self.wire.packet_size() < 3);
                // A CONNACK that accepts may itself be the violation.
                let accepted = end.was_connected || error.packet == Some(PacketType::Connack);
                assert!(sent.is_none() || accepted);
            }
            EndReason::UnexpectedSessionPresent | EndReason::PacketSizeUnusable { .. } => {
                assert!(sent.is_none_or(|sent| sent == 0));
                assert!(sent.is_some() || !due || self.wire.packet_size() < 2);
            }
            _ => assert_eq!(sent, None, "{:?}", end.reason),
        }
    }
}

/// The transport and the clock.
impl Client {
    pub(super) fn open(&mut self) {
        self.close();
        self.wire.opened();
        (self.open, self.accepted, self.asked_to_close) = (true, false, false);
        self.input.clear();
        self.given.clear();
        self.session.handle_opened(self.now);
    }

    pub(super) fn close(&mut self) {
        self.end(Session::handle_closed);
    }

    /// Gives up: every operation gets its verdict.
    pub(super) fn abandon(&mut self) {
        self.end(Session::abandon);
        assert!(self.pending.is_empty(), "no verdict: {:?}", self.pending);
    }

    fn end(&mut self, how: fn(&mut Session, Instant)) {
        self.take_events();
        let left = self.wire.closed();
        self.unknown_requests = 0;
        how(&mut self.session, self.now);
        self.take_events();
        assert!(!self.open, "the end of the connection was not told");
        assert!(left.is_none_or(|left| left == self.unknown_requests));
    }

    /// The server's `bytes` arrive.
    pub(super) fn give(&mut self, bytes: &[u8]) -> InputStatus {
        let listens = !matches!(self.session.phase(), Phase::Offline | Phase::Closing);
        self.input.extend_from_slice(bytes);
        self.given.extend_from_slice(bytes);
        let status = self.session.handle_input(&mut self.input, self.now);
        let taken = self.given.len() - self.input.len();
        if listens {
            let all = status != InputStatus::Closed;
            self.wire.server_bytes(&self.given[..taken], all);
        }
        self.given.drain(..taken);
        if let InputStatus::NeedMore { missing } = status {
            assert_ne!(missing, 0);
        }
        status
    }

    /// Takes all that the session hands out; appends it to `sent`.
    pub(super) fn poll(&mut self, sent: &mut Vec<u8>) {
        let mut out = BytesMut::new();
        while let Some(transmit) = self.session.poll_transmit(&mut out, self.now) {
            assert!(!self.asked_to_close, "{transmit:?} behind the close");
            match transmit {
                Transmit::Buffered => assert!(!out.is_empty()),
                Transmit::Payload(payload) => out.extend_from_slice(&payload),
                Transmit::Close => self.asked_to_close = true,
            }
            // Verdicts that free a Packet Identifier come before its next use.
            self.take_events();
            self.wire.client_bytes(&out);
            sent.extend_from_slice(&out);
            out.clear();
        }
    }

    /// The transport takes so many bytes more of what was handed out, or all.
    pub(super) fn transmit(&mut self, bytes: u64) {
        let bytes = bytes.min(self.wire.held());
        self.wire.transmitted(bytes);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.session.handle_transmitted(bytes, self.now);
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        // A PINGREQ and its deadline can be due at once, and the expiry of messages.
        for _ in 0..3 {
            if self.session.poll_timeout().is_some_and(|at| at <= self.now) {
                self.session.handle_timeout(self.now);
            }
        }
        let next = self.session.poll_timeout();
        assert!(
            next.is_none_or(|at| at > self.now),
            "a timer that never rests"
        );
    }
}

fn is_number(message: &ApplicationMessage, number: u32) -> bool {
    super::wire::number_of(message.topic.as_str()) == number
}
