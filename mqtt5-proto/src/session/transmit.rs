//! What goes out: answers first, then requests, then messages as far as the limits allow (sections
//! 4.4, 4.6 and 4.9).

use alloc::boxed::Box;

use bytes::{Bytes, BytesMut};

use super::connection::{Connection, Mark, Marked};
use super::exchange::Sender;
use super::in_flight::{PendingRequest, Request, Table};
use super::lifecycle::request_event;
use super::limits::{FIRST_ID, delivery};
use super::outbound::{Outbound, Queued, expires};
use super::{Event, Limits, OperationId, Phase, PublishVerdict, RequestVerdict, Rule, Session};
use crate::codec::Encode;
use crate::packet::{ApplicationMessage, Delivery, PacketId};
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
    Close,
}

/// What became of the attempt to send the next message.
enum Step {
    /// Written; behind the buffer comes a payload, if it is large.
    Written(Option<Bytes>),
    /// Taken out of the way with a verdict.
    Settled(OperationId, PublishVerdict),
    /// Nothing can go now.
    Blocked,
}

impl Session {
    /// What is to be sent next; appended to `out`, which may hold earlier bytes. Call until `None`.
    ///
    /// Stops on its own while 256 KiB wait for
    /// [`handle_transmitted`](Self::handle_transmitted), so that a peer which does not read
    /// cannot make `out` grow.
    pub fn poll_transmit(&mut self, out: &mut BytesMut, now: Instant) -> Option<Transmit> {
        let connection = self.connection.as_mut()?;
        let start = out.len();
        // A peer that does not read does not hold up the end.
        if connection.phase == Phase::Closing || has_room(connection, out, start) {
            take_control(connection, self.inbound.unsent_acks(), out);
        }
        let mut payload = None;
        if connection.phase == Phase::Connected {
            put_requests(&mut self.outbound, connection, &mut self.events, start, out);
            while payload.is_none() && out.len() - start < CHUNK && has_room(connection, out, start)
            {
                let offset = connection.polled + (out.len() - start) as u64;
                match put_message(&mut self.outbound, connection, offset, now, out) {
                    Step::Written(tail) => payload = tail,
                    Step::Settled(operation, verdict) => {
                        self.events
                            .push_back(Event::Published { operation, verdict });
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
    pub fn handle_transmitted(&mut self, bytes: usize, now: Instant) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let transmitted = connection.transmitted.saturating_add(bytes as u64);
        connection.transmitted = transmitted.min(connection.polled);
        if bytes > 0 {
            connection.last_sent = now;
            if let Some(keep_alive) = &mut connection.keep_alive {
                keep_alive.handle_sent(now);
            }
        }
        while connection
            .marks
            .front()
            .is_some_and(|mark| mark.end <= connection.transmitted)
        {
            let Some(mark) = connection.marks.pop_front() else {
                break;
            };
            match mark.what {
                Marked::Message(queued) => {
                    self.outbound.settle(Some(&queued.message));
                    let (operation, verdict) = (queued.operation, PublishVerdict::Sent);
                    self.events
                        .push_back(Event::Published { operation, verdict });
                }
                Marked::Acks(count) => {
                    connection.marked_acks -= count;
                    self.inbound.handle_acks_sent(count);
                }
                Marked::Disconnect => connection.disconnect_sent = true,
            }
        }
    }
}

fn has_room(connection: &Connection, out: &BytesMut, start: usize) -> bool {
    connection.polled + (out.len() - start) as u64 - connection.transmitted < WINDOW
}

/// Moves the answers to `out`, with a mark behind the acknowledgements among them.
fn take_control(connection: &mut Connection, unsent_acks: usize, out: &mut BytesMut) {
    if connection.control.is_empty() {
        return;
    }
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
    events: &mut alloc::collections::VecDeque<Event>,
    start: usize,
    out: &mut BytesMut,
) {
    let Some(limits) = &connection.limits else {
        return;
    };
    while outbound.table.has_free_id() && has_room(connection, out, start) {
        let Some((operation, request)) = outbound.requests.pop_front() else {
            return;
        };
        if let Err(rule) = check_request(&request, limits) {
            outbound.settle(None);
            let subscribed = RequestVerdict::Rejected { rule };
            let unsubscribed = RequestVerdict::Rejected { rule };
            events.push_back(request_event(operation, &request, subscribed, unsubscribed));
            continue;
        }
        let offset = connection.polled + (out.len() - start) as u64;
        let pending = PendingRequest {
            operation,
            request,
            start: offset,
        };
        let Some(id) = outbound.table.insert_request(pending) else {
            return;
        };
        outbound.table.encode_request(id, out);
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
    connection: &mut Connection,
    offset: u64,
    now: Instant,
    out: &mut BytesMut,
) -> Step {
    let Some(limits) = &connection.limits else {
        return Step::Blocked;
    };
    let quota = outbound.in_flight < usize::from(limits.receive_maximum.get());
    if let Some(id) = outbound.resend {
        if quota {
            return put_again(outbound, limits, id, offset, now, out);
        }
        return put_qos0(outbound, connection, offset, now, out);
    }
    let first = outbound
        .queue
        .front()
        .filter(|_| quota && outbound.table.has_free_id());
    let first_qos0 = outbound.queue_qos0.front();
    match (first, first_qos0) {
        (Some(first), Some(qos0)) if qos0.operation < first.operation => {
            put_qos0(outbound, connection, offset, now, out)
        }
        (None, Some(_)) => put_qos0(outbound, connection, offset, now, out),
        (Some(_), _) => put_first(outbound, limits, offset, now, out),
        (None, None) => Step::Blocked,
    }
}

/// Sends a message of QoS 1 or 2 for the first time.
#[inline]
fn put_first(
    outbound: &mut Outbound,
    limits: &Limits,
    offset: u64,
    now: Instant,
    out: &mut BytesMut,
) -> Step {
    let Some(queued) = outbound.queue.pop_front() else {
        return Step::Blocked;
    };
    let queued = match check_queued(outbound, limits, queued, now) {
        Ok(queued) => queued,
        Err(step) => return step,
    };
    let Some(id) = outbound.table.insert_publish(queued, offset) else {
        return Step::Blocked;
    };
    outbound.in_flight += 1;
    match outbound.table.exchange(id) {
        Some(exchange) => match &exchange.message {
            Some(message) => {
                let delivery = delivery(message.qos, id, false);
                Step::Written(write(message, delivery, exchange.accepted, now, out))
            }
            None => Step::Blocked,
        },
        None => Step::Blocked,
    }
}

#[inline]
fn put_qos0(
    outbound: &mut Outbound,
    connection: &mut Connection,
    offset: u64,
    now: Instant,
    out: &mut BytesMut,
) -> Step {
    let Some(limits) = &connection.limits else {
        return Step::Blocked;
    };
    let Some(queued) = outbound.queue_qos0.pop_front() else {
        return Step::Blocked;
    };
    let queued = match check_queued(outbound, limits, queued, now) {
        Ok(queued) => queued,
        Err(step) => return step,
    };
    let before = out.len();
    let tail = write(
        &queued.message,
        Delivery::AtMostOnce,
        queued.accepted,
        now,
        out,
    );
    let size = out.len() - before + tail.as_ref().map_or(0, Bytes::len);
    connection.marks.push_back(Mark {
        start: offset,
        end: offset + size as u64,
        what: Marked::Message(queued),
    });
    Step::Written(tail)
}

/// Sends a message again that an earlier connection had taken on.
fn put_again(
    outbound: &mut Outbound,
    limits: &Limits,
    id: PacketId,
    offset: u64,
    now: Instant,
    out: &mut BytesMut,
) -> Step {
    outbound.skip_resend(id);
    let Some(exchange) = outbound.table.exchange_mut(id) else {
        return Step::Blocked;
    };
    let Some(message) = &exchange.message else {
        return Step::Blocked;
    };
    if let Err(rule) = limits.check_message(message) {
        return reject_again(outbound, id, rule);
    }
    exchange.counted = true;
    exchange.start = offset;
    let delivery = delivery(message.qos, id, true);
    let tail = write(message, delivery, exchange.accepted, now, out);
    outbound.in_flight += 1;
    Step::Written(tail)
}

/// A message of QoS 2 that was sent keeps its Packet Identifier: a PUBREC may be on its way, and
/// would be taken for that of another message.
fn reject_again(outbound: &mut Outbound, id: PacketId, rule: Rule) -> Step {
    let Some((operation, message)) = outbound.give_up(id) else {
        return Step::Blocked;
    };
    Step::Settled(
        operation,
        PublishVerdict::Rejected {
            rule,
            message: Box::new(message),
        },
    )
}

/// Whether a queued message may go; if not, its verdict.
fn check_queued(
    outbound: &mut Outbound,
    limits: &Limits,
    queued: Queued,
    now: Instant,
) -> Result<Queued, Step> {
    let expired = queued.expires().is_some_and(|expires| expires <= now);
    let fits = limits.check_message(&queued.message);
    if !expired && fits.is_ok() {
        return Ok(queued);
    }
    outbound.settle(Some(&queued.message));
    let message = Box::new(queued.message);
    let verdict = match fits {
        Err(rule) if !expired => PublishVerdict::Rejected { rule, message },
        _ => PublishVerdict::Expired { message },
    };
    Err(Step::Settled(queued.operation, verdict))
}

/// Writes a PUBLISH; a large payload is returned instead of copied.
#[inline]
fn write(
    message: &ApplicationMessage,
    delivery: Delivery,
    accepted: Instant,
    now: Instant,
    out: &mut BytesMut,
) -> Option<Bytes> {
    let mut publish = message.to_publish(delivery);
    let shortened;
    if let Some(expires) = expires(message, accepted)
        && let Some(properties) = &message.properties
    {
        let mut properties = (**properties).clone();
        properties.message_expiry_interval = Some(whole_seconds(expires, now));
        shortened = properties;
        publish.properties = Some(&shortened);
    }
    // The size was checked against the limits, and those against the protocol's.
    if message.payload.len() < LARGE_PAYLOAD {
        let _ = publish.encode(out);
        return None;
    }
    let _ = publish.encode_without_payload(out);
    Some(message.payload.clone())
}

/// What is left until `expires`, rounded up. An exchange that was begun goes on when nothing is
/// left, and then says one second: some servers take 0 for "never".
fn whole_seconds(expires: Instant, now: Instant) -> u32 {
    let left = expires.saturating_since(now);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

impl Table {
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

impl Outbound {
    /// Takes the operation of an exchange away from it, for a verdict without an answer.
    fn give_up(&mut self, id: PacketId) -> Option<(OperationId, ApplicationMessage)> {
        let exchange = self.table.exchange(id)?;
        let (operation, message) = if exchange.state == Sender::AwaitPubrec {
            self.table.unlink(id);
            let exchange = self.table.exchange_mut(id)?;
            (exchange.operation.take()?, exchange.message.take()?)
        } else {
            let exchange = self.table.remove_publish(id)?;
            (exchange.operation?, exchange.message?)
        };
        self.settle(Some(&message));
        Some((operation, message))
    }
}
