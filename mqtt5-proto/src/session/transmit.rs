//! What goes out: answers first, then requests, then messages as far as the limits allow (sections
//! 4.4, 4.6 and 4.9).

use alloc::boxed::Box;

use bytes::{Bytes, BytesMut};

use super::connection::{Connection, Mark, Marked};
use super::events::Events;
use super::lifecycle::request_event;
use super::limits::{FIRST_ID, delivery};
use super::messages::{Content, List, Outgoing, Place};
use super::outbound::Outbound;
use super::packet_ids::{PacketIds, PendingRequest, Request};
use super::{Limits, OperationId, Phase, PublishVerdict, RequestVerdict, Rule, Session};
use crate::codec::{Encode, encode_head, packet_size};
use crate::packet::{ApplicationMessage, Delivery, PacketId, Publish, QoS};
use crate::time::Instant;

/// How much one call puts into the caller's buffer, give or take a packet.
const CHUNK: usize = 64 << 10;

/// How much may be handed out before the transport has taken it.
const WINDOW: u64 = 256 << 10;

/// Payloads from this size on are handed out as they lie, not copied.
const LARGE_PAYLOAD: usize = 4096;

/// What [`Session::poll_transmit`] has for the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// Bytes were appended to the buffer.
    Buffered,
    /// Bytes were appended to the buffer, and this payload comes right behind them, before
    /// anything that is appended later.
    Payload(Bytes),
    /// All is said: send what was handed out, close the transport, and call
    /// [`handle_closed`](Session::handle_closed). Bound the time for that: the peer may not read
    /// any more. After our own DISCONNECT it is best to shut down
    /// writing and to read until the peer closes, for a second at most: closing with unread bytes
    /// can destroy the DISCONNECT on its way.
    ///
    /// If nothing was handed out since the phase became [`Closing`](Phase::Closing), there is no
    /// DISCONNECT of ours: the server has sent one, or does not answer. What was handed out before
    /// is then of no use, and the transport is best closed at once (section 3.14.4).
    Close,
}

/// What became of the attempt to send the next message.
#[derive(Clone, Copy)]
enum Step {
    /// Written.
    Written,
    /// Written but for the payload of the message at this place, which is large and comes behind
    /// the buffer.
    WrittenHead(Place),
    /// Taken out of the way with a verdict.
    Settled,
    /// Nothing can go now.
    Blocked,
}

impl Session {
    /// What is to be sent next; appended to `out`, which may hold earlier bytes. Call until `None`.
    ///
    /// Stops on its own while 256 KiB wait for
    /// [`handle_transmitted`](Self::handle_transmitted), so that a peer which does not read
    /// cannot make `out` grow.
    #[inline]
    pub fn poll_transmit(&mut self, out: &mut BytesMut, now: Instant) -> Option<Transmit> {
        let connection = self.connection.as_ref()?;
        let idle = connection.control.is_empty() && !self.outbound.has_waiting();
        if idle && connection.phase == Phase::Connected {
            return None;
        }
        self.transmit(out, now)
    }

    fn transmit(&mut self, out: &mut BytesMut, now: Instant) -> Option<Transmit> {
        let connection = self.connection.as_mut()?;
        let start = out.len();
        let room = connection.room();
        // A peer that does not read does not hold up the end.
        if !connection.control.is_empty() && (room > 0 || connection.phase == Phase::Closing) {
            take_control(connection, self.inbound.unsent_acks(), out);
        }
        let mut payload = None;
        if connection.phase == Phase::Connected {
            if !self.outbound.requests.is_empty() {
                put_requests(&mut self.outbound, connection, &mut self.events, start, out);
            }
            while out.len() - start < room.min(CHUNK)
                && self.outbound.has_waiting_message()
                && let Some(limits) = &connection.limits
            {
                let offset = connection.polled + (out.len() - start) as u64;
                let (outbound, events) = (&mut self.outbound, &mut self.events);
                match put_message(outbound, events, limits, offset, now, out) {
                    Step::Written | Step::Settled => {}
                    Step::WrittenHead(place) => {
                        let message = outbound.messages.get(place).and_then(Outgoing::message);
                        payload = message.map(|message| message.payload.clone());
                        break;
                    }
                    Step::Blocked => break,
                }
            }
        }
        connection.polled += (out.len() - start) as u64;
        if let Some(payload) = payload {
            connection.polled += payload.len() as u64;
            return Some(Transmit::Payload(payload));
        }
        if out.len() > start {
            return Some(Transmit::Buffered);
        }
        let said_all = connection.phase == Phase::Closing && connection.control.is_empty();
        let closes = said_all && !connection.close_told;
        connection.close_told |= closes;
        closes.then_some(Transmit::Close)
    }

    /// The transport took `bytes` more bytes of what was handed out.
    #[inline]
    pub fn handle_transmitted(&mut self, bytes: usize, now: Instant) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let transmitted = connection.transmitted.saturating_add(bytes as u64);
        connection.transmitted = transmitted.min(connection.polled);
        if bytes > 0 {
            connection.last_sent = now;
            if let Some(keep_alive) = &mut connection.keep_alive {
                keep_alive.handle_sent(connection.transmitted, now);
            }
        }
        if !connection.marks.is_empty() {
            self.pass_marks();
        }
        if self.outbound.messages.first(List::WrittenQos0).is_some() {
            self.finish_qos0();
        }
    }

    /// What follows from the bytes that the transport took.
    fn pass_marks(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let transmitted = connection.transmitted;
        while let Some(mark) = connection
            .marks
            .pop_front_if(|mark| mark.end <= transmitted)
        {
            match mark.what {
                Marked::Acks(count) => {
                    connection.marked_acks -= count;
                    self.inbound.handle_acks_sent(count);
                }
                Marked::Disconnect => connection.disconnect_sent = true,
            }
        }
    }

    /// Messages of QoS 0 are done when the transport has taken them.
    fn finish_qos0(&mut self) {
        let transmitted = self.connection.as_ref().map_or(0, |c| c.transmitted);
        while let Some(place) = self.outbound.messages.first(List::WrittenQos0)
            && let Some(message) = self.outbound.messages.get(place)
            && message.start + packet_size(message.remaining_length) as u64 <= transmitted
            && let Some(operation) = self.outbound.finish_sent(place)
        {
            self.events.push_verdict(operation, PublishVerdict::Sent);
        }
    }
}

impl Connection {
    /// How many bytes may still be handed out before the transport takes some, give or take a
    /// packet.
    #[inline]
    fn room(&self) -> usize {
        let waiting = self.polled - self.transmitted;
        usize::try_from(WINDOW.saturating_sub(waiting)).unwrap_or(usize::MAX)
    }
}

/// Moves the answers to `out`, with a mark behind the acknowledgements among them.
fn take_control(connection: &mut Connection, unsent_acks: usize, out: &mut BytesMut) {
    let start = connection.polled;
    let end = start + connection.control.len() as u64;
    out.extend_from_slice(&connection.control);
    connection.control.clear();
    let acks = unsent_acks - connection.marked_acks;
    if acks > 0 {
        connection.marked_acks += acks;
        connection.marks.push_back(Mark {
            start,
            end,
            what: Marked::Acks(acks),
        });
    }
    if connection.end.is_some() {
        connection.marks.push_back(Mark {
            start,
            end,
            what: Marked::Disconnect,
        });
    }
}

fn put_requests(
    outbound: &mut Outbound,
    connection: &Connection,
    events: &mut Events,
    start: usize,
    out: &mut BytesMut,
) {
    let Some(limits) = &connection.limits else {
        return;
    };
    while outbound.packet_ids.has_free() && out.len() - start < connection.room() {
        let Some((operation, request)) = outbound.requests.pop_front() else {
            return;
        };
        if let Err(rule) = check_request(&request, limits) {
            outbound.settle(None);
            let subscribed = RequestVerdict::Rejected { rule };
            let unsubscribed = RequestVerdict::Rejected { rule };
            events.push(request_event(operation, &request, subscribed, unsubscribed));
            continue;
        }
        let offset = connection.polled + (out.len() - start) as u64;
        let pending = PendingRequest {
            operation,
            request,
            start: offset,
        };
        let Some(id) = outbound.packet_ids.take_for_request(pending) else {
            return;
        };
        outbound.packet_ids.encode_request(id, out);
    }
}

/// Whether the server takes `request`, measured in full.
pub(super) fn check_request(request: &Request, limits: &Limits) -> Result<(), Rule> {
    let size = match request {
        Request::Subscribe(request) => {
            limits.check_subscribe(request)?;
            request
                .to_packet(FIRST_ID)
                .ok_or(Rule::NoTopicFilter)?
                .packet_size()?
        }
        Request::Unsubscribe(request) => request
            .to_packet(FIRST_ID)
            .ok_or(Rule::NoTopicFilter)?
            .packet_size()?,
    };
    limits.check_size(size)
}

/// Sends the next message, if there is one that may go.
#[inline]
fn put_message(
    outbound: &mut Outbound,
    events: &mut Events,
    limits: &Limits,
    offset: u64,
    now: Instant,
    out: &mut BytesMut,
) -> Step {
    let quota = outbound.in_flight < usize::from(limits.receive_maximum.get());
    if quota && let Some(place) = outbound.resend {
        return put_again(outbound, events, limits, place, offset, now, out);
    }
    let first = outbound
        .messages
        .first(List::Waiting)
        .filter(|_| quota && outbound.packet_ids.has_free());
    let operation = |place| {
        outbound
            .messages
            .get(place)
            .map(|message| message.operation)
    };
    let next = match (first, outbound.messages.first(List::WaitingQos0)) {
        (Some(first), Some(qos0)) if operation(first) < operation(qos0) => Some(first),
        (first, qos0) => qos0.or(first),
    };
    match next {
        Some(place) => put_first(outbound, events, limits, place, offset, now, out),
        None => Step::Blocked,
    }
}

/// Sends a message for the first time.
#[inline]
fn put_first(
    outbound: &mut Outbound,
    events: &mut Events,
    limits: &Limits,
    place: Place,
    offset: u64,
    now: Instant,
    out: &mut BytesMut,
) -> Step {
    let Some(outgoing) = outbound.messages.get_mut(place) else {
        return Step::Blocked;
    };
    let Content::Message(message) = &outgoing.content else {
        return Step::Blocked;
    };
    let expires = outgoing.expires();
    if expires.is_some_and(|expires| expires <= now) {
        return settle(outbound.take(place), events, |message| {
            PublishVerdict::Expired { message }
        });
    }
    if let Err(rule) = limits.check_message(message, outgoing.remaining_length) {
        return settle(outbound.take(place), events, |message| {
            PublishVerdict::Rejected { rule, message }
        });
    }
    let (delivery, list) = match message.qos {
        QoS::AtMostOnce => (Delivery::AtMostOnce, List::WrittenQos0),
        qos => {
            let Some(id) = outbound.packet_ids.take_for_message(place) else {
                return Step::Blocked;
            };
            outgoing.packet_id = Some(id);
            outgoing.counted = true;
            outbound.in_flight += 1;
            (delivery(qos, id, false), List::Publishes)
        }
    };
    outgoing.start = offset;
    let whole = write(
        message,
        outgoing.remaining_length,
        delivery,
        expires,
        now,
        out,
    );
    outbound.messages.move_last(place, list);
    if whole {
        Step::Written
    } else {
        Step::WrittenHead(place)
    }
}

/// Sends a message again that an earlier connection had taken on.
#[inline(never)]
fn put_again(
    outbound: &mut Outbound,
    events: &mut Events,
    limits: &Limits,
    place: Place,
    offset: u64,
    now: Instant,
    out: &mut BytesMut,
) -> Step {
    outbound.skip_resend(place);
    let Some(outgoing) = outbound.messages.get_mut(place) else {
        return Step::Blocked;
    };
    let (Content::Message(message), Some(id)) = (&outgoing.content, outgoing.packet_id) else {
        return Step::Blocked;
    };
    if let Err(rule) = limits.check_message(message, outgoing.remaining_length) {
        return settle(outbound.give_up(place), events, |message| {
            PublishVerdict::Rejected { rule, message }
        });
    }
    outgoing.counted = true;
    outgoing.start = offset;
    outbound.in_flight += 1;
    let (delivery, expires) = (delivery(message.qos, id, true), outgoing.expires());
    let whole = write(
        message,
        outgoing.remaining_length,
        delivery,
        expires,
        now,
        out,
    );
    if whole {
        Step::Written
    } else {
        Step::WrittenHead(place)
    }
}

/// The verdict of a message that was taken out of the way.
#[cold]
fn settle(
    taken: Option<(OperationId, ApplicationMessage)>,
    events: &mut Events,
    verdict: impl FnOnce(Box<ApplicationMessage>) -> PublishVerdict,
) -> Step {
    let Some((operation, message)) = taken else {
        return Step::Blocked;
    };
    events.push_verdict(operation, verdict(Box::new(message)));
    Step::Settled
}

/// Writes a PUBLISH, with its payload unless that is large. Tells whether that is all of it.
#[inline]
fn write(
    message: &ApplicationMessage,
    remaining_length: u32,
    delivery: Delivery,
    expires: Option<Instant>,
    now: Instant,
    out: &mut BytesMut,
) -> bool {
    let whole = message.payload.len() < LARGE_PAYLOAD;
    if whole {
        out.reserve(packet_size(remaining_length));
    }
    if message.properties.is_none() {
        // The usual case, of which the compiler knows what is left out.
        let publish = Publish {
            properties: None,
            ..message.to_publish(delivery)
        };
        encode_head(&publish, remaining_length, out);
    } else {
        write_head(message, remaining_length, delivery, expires, now, out);
    }
    if whole {
        out.extend_from_slice(&message.payload);
    }
    whole
}

/// All but the payload.
#[inline(never)]
fn write_head(
    message: &ApplicationMessage,
    remaining_length: u32,
    delivery: Delivery,
    expires: Option<Instant>,
    now: Instant,
    out: &mut BytesMut,
) {
    let mut publish = message.to_publish(delivery);
    let shortened;
    if let Some(expires) = expires
        && let Some(properties) = &message.properties
    {
        // The interval takes four bytes whatever it says.
        let mut properties = (**properties).clone();
        properties.message_expiry_interval = Some(whole_seconds(expires, now));
        shortened = properties;
        publish.properties = Some(&shortened);
    }
    encode_head(&publish, remaining_length, out);
}

/// What is left until `expires`, rounded up. An exchange that was begun goes on when nothing is
/// left, and then says one second: some servers take 0 for "never".
fn whole_seconds(expires: Instant, now: Instant) -> u32 {
    let left = expires.saturating_since(now);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

impl PacketIds {
    fn encode_request(&self, id: PacketId, out: &mut BytesMut) {
        match self.request(id) {
            Some(Request::Subscribe(request)) => {
                if let Some(packet) = request.to_packet(id) {
                    let _ = packet.encode(out);
                }
            }
            Some(Request::Unsubscribe(request)) => {
                if let Some(packet) = request.to_packet(id) {
                    let _ = packet.encode(out);
                }
            }
            None => {}
        }
    }
}
