//! From one connection to the next: opening, CONNACK, closing, and what becomes of the session
//! (sections 3.1.2.4, 3.2.2 and 4.1).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::connection::{AuthState, Connection, Marked};
use super::keep_alive::{Due, KeepAlive};
use super::messages::List;
use super::packet_ids::Request;
use super::{
    Connected, ConnectionEnd, EndReason, Event, Limits, Phase, PublishVerdict, RequestVerdict,
    Session, Warning,
};
use crate::codec::{Encode, Utf8String, Violation};
use crate::packet::{
    ConnackProperties, ConnackView, DisconnectReasonCode, PacketId, PacketType, Pingreq, QoS,
};
use crate::time::Instant;

/// The smallest acknowledgement.
const SMALLEST_ACK: u32 = 4;

/// Who the session is, and what the server may know of it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) client_id: Utf8String,
    /// Whether the server may hold the session.
    pub(super) has_session: bool,
    /// Whether the next connection must drop what the server holds.
    pub(super) start_clean: bool,
    /// Whether a connection was accepted before under this identifier.
    connected_before: bool,
    /// What the last resumed connections ended by, and how many of them in a row.
    failure: Option<Failure>,
    repeated: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failure {
    packet: Option<PacketType>,
    packet_id: Option<PacketId>,
    code: u8,
}

impl Identity {
    pub(super) fn new(config: &super::SessionConfig) -> Self {
        Self {
            client_id: config.client_id.clone(),
            has_session: config.session_may_exist,
            start_clean: false,
            connected_before: false,
            failure: None,
            repeated: 0,
        }
    }
}

impl Session {
    /// The transport is open: a CONNECT is queued.
    ///
    /// It has Clean Start 0 only if the server may hold the session that we hold. A CONNECT with
    /// Clean Start 1 ends our session here and now.
    pub fn handle_opened(&mut self, now: Instant) {
        if self.connection.is_some() {
            self.handle_closed(now);
        }
        if !self.config.client_id.is_empty() && self.config.client_id != self.identity.client_id {
            self.end_session();
            self.identity = Identity::new(&self.config);
        }
        let clean_start = self.identity.start_clean || !self.identity.has_session;
        if clean_start {
            self.end_session();
        }
        let mut connection = Connection::new(&self.config, clean_start, now);
        connection.sent_client_id = !self.identity.client_id.is_empty();
        let connect = self
            .config
            .to_connect(self.identity.client_id.clone(), clean_start);
        if connect.encode(&mut connection.control).is_err() {
            // Only User Properties of 256 MiB can do this; no server would answer.
            connection.close_silently(EndReason::ConnectTimeout);
        }
        self.connection = Some(connection);
    }

    pub(super) fn handle_connack(&mut self, connack: &ConnackView<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        // Only an AUTH can wait there, and the server has decided without it.
        connection.control.clear();
        if connack.reason_code().raw() != 0 {
            connection.close_silently(refusal(connack));
            return;
        }
        let properties = connack.properties().to_owned();
        let session_present = connack.session_present();
        let (clean_start, last_sent) = (connection.clean_start, connection.last_sent);
        let Some(limits) = admit(connection, session_present, &properties) else {
            self.identity.start_clean |= clean_start && session_present;
            if clean_start || !session_present {
                self.end_session();
            }
            return;
        };
        let keep_alive = KeepAlive::new(limits.keep_alive, self.config.ping_timeout, last_sent);
        connection.keep_alive = Some(keep_alive);
        connection.resumed = session_present;
        self.warn_about(&properties, connack);
        let session_lost = !clean_start && !session_present && self.identity.connected_before;
        if session_present {
            self.outbound.resume();
            self.queue_releases();
        } else {
            self.end_session();
        }
        self.identity.start_clean &= !clean_start;
        self.identity.connected_before = true;
        let connected = Connected {
            session_present,
            session_lost,
            properties,
        };
        self.events.push(Event::Connected(Box::new(connected)));
    }

    fn warn_about(&mut self, properties: &ConnackProperties, connack: &ConnackView<'_>) {
        let Some(connection) = &self.connection else {
            return;
        };
        let sent_client_id = connection.sent_client_id;
        let no_method = connection.asked.authentication_method.is_none();
        match &properties.assigned_client_identifier {
            Some(_) if sent_client_id => self.warn(Warning::UnrequestedClientIdentifier),
            Some(assigned) => self.identity.client_id = assigned.clone(),
            None if !sent_client_id => self.warn(Warning::NoClientIdentifier),
            None => {}
        }
        let unrequested =
            properties.authentication_method.is_some() || properties.authentication_data.is_some();
        if unrequested && no_method {
            self.warn(Warning::UnrequestedAuthentication);
        }
        if connack.properties().maximum_qos() == Some(QoS::ExactlyOnce) {
            self.warn(Warning::MaximumQoS2);
        }
    }

    /// The transport is gone, by whatever side. What the connection owed gets its verdict, and the
    /// session waits for the next one or ends.
    pub fn handle_closed(&mut self, _now: Instant) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let reason = connection.end.take().unwrap_or(EndReason::TransportClosed);
        let was_connected = connection.limits.is_some();
        self.settle_marks(&mut connection);
        self.settle_qos0(connection.transmitted);
        self.settle_requests(connection.transmitted);
        self.outbound.handle_closed(connection.transmitted);
        self.inbound.handle_closed();
        if was_connected {
            let agreed = connection
                .limits
                .as_ref()
                .map_or(0, |limits| limits.session_expiry_interval);
            let last = connection
                .disconnect_expiry
                .filter(|_| connection.disconnect_sent);
            let resumable = last.unwrap_or(agreed) > 0 && !self.identity.client_id.is_empty();
            self.identity.has_session = resumable;
            if !resumable {
                self.end_session();
            }
        }
        let repeated = self.count_failure(&connection, &reason);
        let session_kept = self.identity.has_session && !self.identity.start_clean;
        let end = ConnectionEnd {
            reason,
            was_connected,
            session_kept,
            repeated,
        };
        self.events.push(Event::Disconnected(Box::new(end)));
    }

    /// Acknowledgements of which it is not known that they left.
    fn settle_marks(&mut self, connection: &mut Connection) {
        for mark in connection.marks.drain(..) {
            // Some of them may have been taken: the server is free to use their Packet Identifiers
            // for other messages, which must not be mistaken for these.
            if let Marked::Acks(count) = mark.what
                && mark.start < connection.transmitted
            {
                self.inbound.handle_acks_sent(count);
            }
        }
    }

    /// Messages of QoS 0 that the connection had taken on, and those that wait for one.
    fn settle_qos0(&mut self, transmitted: u64) {
        let mut unsent = None;
        while let Some(place) = self.outbound.messages.first(List::WrittenQos0) {
            let starts_at = self
                .outbound
                .messages
                .get(place)
                .map(|message| message.start);
            if starts_at.is_none_or(|start| start >= transmitted) {
                unsent = self.outbound.messages.last(List::WrittenQos0);
                break;
            }
            if let Some((operation, message)) = self.outbound.take(place) {
                let message = Some(Box::new(message));
                let verdict = PublishVerdict::Unknown { message };
                self.events.push_verdict(operation, verdict);
            }
        }
        while let Some(place) = unsent {
            unsent = self.outbound.messages.previous(place);
            self.outbound.messages.move_first(place, List::WaitingQos0);
            self.outbound.note_expiry(place);
        }
        if !self.config.queue_qos0 {
            self.never_sent(List::WaitingQos0);
        }
    }

    /// Gives up what is in `list`.
    fn never_sent(&mut self, list: List) {
        while let Some(place) = self.outbound.messages.first(list) {
            let Some((operation, message)) = self.outbound.take(place) else {
                continue;
            };
            let verdict = PublishVerdict::NeverSent {
                message: Box::new(message),
            };
            self.events.push_verdict(operation, verdict);
        }
    }

    /// Requests are not part of the session: an answer cannot come any more. Those that never left
    /// wait for the next connection.
    fn settle_requests(&mut self, transmitted: u64) {
        let requests = self.outbound.packet_ids.take_requests().into_iter();
        let (sent, unsent): (Vec<_>, Vec<_>) =
            requests.partition(|pending| pending.start < transmitted);
        for pending in sent {
            self.outbound.settle(None);
            self.events.push(request_event(
                pending.operation,
                &pending.request,
                RequestVerdict::Unknown,
                RequestVerdict::Unknown,
            ));
        }
        for pending in unsent.into_iter().rev() {
            let unsent = (pending.operation, pending.request);
            self.outbound.requests.push_front(unsent);
        }
    }

    /// Counts resumed connections that ended by an error at the same packet.
    fn count_failure(&mut self, connection: &Connection, reason: &EndReason) -> u32 {
        let code = match reason {
            EndReason::Violation(error) => Some(error.reason_code()),
            EndReason::ServerDisconnected { reason_code, .. } if reason_code.is_error() => {
                Some(reason_code.raw())
            }
            _ => None,
        };
        let failure = code.filter(|_| connection.resumed).map(|code| Failure {
            packet: connection.last_packet.map(|(packet, _)| packet),
            packet_id: connection.last_packet.and_then(|(_, packet_id)| packet_id),
            code,
        });
        if connection.limits.is_some() {
            let same = failure.is_some() && failure == self.identity.failure;
            self.identity.repeated = match failure {
                None => 0,
                Some(_) if same => self.identity.repeated + 1,
                Some(_) => 1,
            };
            self.identity.failure = failure;
        }
        self.identity.repeated
    }

    /// The session is over on our side.
    pub(super) fn end_session(&mut self) {
        for (operation, verdict) in self.outbound.end_session() {
            self.events.push_verdict(operation, verdict);
        }
        self.inbound.end_session();
        self.identity.has_session = false;
    }

    /// Makes the next CONNECT drop what the server holds (Clean Start 1). Our own half of the
    /// session ends when that CONNECT is sent.
    pub fn start_clean(&mut self) {
        self.identity.start_clean = true;
    }

    /// Gives up: every operation without a verdict gets one, and the session is over on our side.
    ///
    /// For the end of a process. A connection counts as closed; its transport should be closed by
    /// now.
    pub fn abandon(&mut self, now: Instant) {
        self.handle_closed(now);
        self.end_session();
        self.never_sent(List::Waiting);
        self.never_sent(List::WaitingQos0);
        for (operation, request) in core::mem::take(&mut self.outbound.requests) {
            self.outbound.settle(None);
            self.events.push(request_event(
                operation,
                &request,
                RequestVerdict::NeverSent,
                RequestVerdict::NeverSent,
            ));
        }
    }

    /// It is as late as [`poll_timeout`](Self::poll_timeout) said, or later.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (operation, message) in self.outbound.take_expired(now) {
            let verdict = PublishVerdict::Expired {
                message: Box::new(message),
            };
            self.events.push_verdict(operation, verdict);
        }
        let Some(connection) = &mut self.connection else {
            return;
        };
        match connection.phase {
            Phase::Connecting if connection.connect_deadline <= now => {
                connection.close_silently(EndReason::ConnectTimeout);
            }
            Phase::Connected => {
                let Some(keep_alive) = &mut connection.keep_alive else {
                    return;
                };
                match keep_alive.due(now) {
                    Due::Nothing => {}
                    Due::Ping => {
                        let _ = Pingreq.encode(&mut connection.control);
                        let end = connection.polled + connection.control.len() as u64;
                        keep_alive.handle_ping_queued(end, now);
                    }
                    Due::TimedOut => connection.close_silently(EndReason::KeepAliveTimeout),
                }
            }
            _ => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let connection = self
            .connection
            .as_ref()
            .and_then(|connection| match connection.phase {
                Phase::Connecting => Some(connection.connect_deadline),
                Phase::Connected => connection
                    .keep_alive
                    .as_ref()
                    .and_then(KeepAlive::next_timeout),
                _ => None,
            });
        [connection, self.outbound.next_expiry]
            .into_iter()
            .flatten()
            .min()
    }

    /// The application cannot take more, so nothing is read: the deadline of a PINGRESP, which may
    /// lie unread, is suspended. PINGREQs are sent all the same.
    pub fn handle_input_paused(&mut self, _now: Instant) {
        if let Some(keep_alive) = self.connection.as_mut().and_then(|c| c.keep_alive.as_mut()) {
            keep_alive.handle_paused();
        }
    }

    /// Reading goes on after [`handle_input_paused`](Self::handle_input_paused).
    pub fn handle_input_resumed(&mut self, now: Instant) {
        if let Some(keep_alive) = self.connection.as_mut().and_then(|c| c.keep_alive.as_mut()) {
            keep_alive.handle_resumed(now);
        }
    }
}

/// The verdict of a request, in the event of its kind.
pub(super) fn request_event(
    operation: super::OperationId,
    request: &Request,
    subscribed: RequestVerdict<crate::packet::SubackReasonCode>,
    unsubscribed: RequestVerdict<crate::packet::UnsubackReasonCode>,
) -> Event {
    match request {
        Request::Subscribe(_) => Event::Subscribed {
            operation,
            verdict: subscribed,
        },
        Request::Unsubscribe(_) => Event::Unsubscribed {
            operation,
            verdict: unsubscribed,
        },
    }
}

fn refusal(connack: &ConnackView<'_>) -> EndReason {
    let reason_code = connack.reason_code();
    if connack.is_v3() {
        return EndReason::ServerSpeaksV3 {
            return_code: reason_code.raw(),
        };
    }
    EndReason::Refused {
        reason_code,
        properties: Box::new(connack.properties().to_owned()),
    }
}

/// Takes the limits of a CONNACK that accepts, or closes the connection if they cannot be lived
/// with.
fn admit<'a>(
    connection: &'a mut Connection,
    session_present: bool,
    properties: &ConnackProperties,
) -> Option<&'a Limits> {
    connection.phase = Phase::Connected;
    let limits = Limits::negotiate(&connection.asked, properties);
    let limit = limits.maximum_packet_size.get();
    connection.packet_limit = limit as usize;
    if let Err(violation) = check_method(connection, properties) {
        connection.violation(PacketType::Connack, violation);
        return None;
    }
    connection.limits = Some(limits);
    // 0x00, so that the Will of this connection is not published.
    let code = Some(DisconnectReasonCode::NormalDisconnection);
    if limit < SMALLEST_ACK {
        connection.close(EndReason::PacketSizeUnusable { limit }, code);
        return None;
    }
    if session_present && connection.clean_start {
        connection.close(EndReason::UnexpectedSessionPresent, code);
        return None;
    }
    if connection.auth != AuthState::None {
        connection.auth = AuthState::Done;
    }
    connection.limits.as_ref()
}

/// A success must name the method that was asked for (`4.12.0-5`).
fn check_method(connection: &Connection, properties: &ConnackProperties) -> Result<(), Violation> {
    let asked = &connection.asked.authentication_method;
    match &properties.authentication_method {
        _ if asked.is_none() => Ok(()),
        None => Err(Violation::AuthenticationMethodMissing),
        method if method == asked => Ok(()),
        _ => Err(Violation::AuthenticationMethodMismatch),
    }
}
