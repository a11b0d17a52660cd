//! Packet Identifiers in use by us, and what uses them (section 2.2.1).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::exchange::Sender;
use super::outbound::Queued;
use super::{OperationId, SubscribeRequest, UnsubscribeRequest};
use crate::packet::{
    AckProperties, ApplicationMessage, PacketId, PublishReasonCode, QoS, Received,
};
use crate::time::Instant;

/// A message of QoS 1 or 2 that has a Packet Identifier.
#[derive(Debug)]
pub(super) struct Exchange {
    /// `None` once its verdict was given although the exchange goes on.
    pub(super) operation: Option<OperationId>,
    pub(super) state: Sender,
    /// Dropped when the PUBREC has come.
    pub(super) message: Option<ApplicationMessage>,
    pub(super) accepted: Instant,
    /// Where its PUBLISH starts in the stream of bytes of this connection.
    pub(super) start: u64,
    /// Whether bytes of it left on an earlier connection. Those of which none left go back to the
    /// queue when their connection ends.
    pub(super) sent: bool,
    /// Whether it counts to the server's Receive Maximum on this connection.
    pub(super) counted: bool,
    /// The answer of the PUBREC, kept for the verdict.
    pub(super) pubrec: Option<(Received<PublishReasonCode>, Option<Box<AckProperties>>)>,
    links: Links,
}

/// A SUBSCRIBE or UNSUBSCRIBE.
#[derive(Debug)]
pub(super) enum Request {
    Subscribe(Box<SubscribeRequest>),
    Unsubscribe(Box<UnsubscribeRequest>),
}

impl Request {
    pub(super) fn filters(&self) -> usize {
        match self {
            Self::Subscribe(request) => request.subscriptions.len(),
            Self::Unsubscribe(request) => request.filters.len(),
        }
    }
}

#[derive(Debug)]
pub(super) struct PendingRequest {
    pub(super) operation: OperationId,
    pub(super) request: Request,
    /// Where its packet starts in the stream of bytes of this connection.
    pub(super) start: u64,
}

#[derive(Debug)]
enum Slot {
    Free,
    Publish(Exchange),
    Request(PendingRequest),
}

/// Neighbours in one of the lists; 0 is none.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    previous: u16,
    next: u16,
    list: List,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum List {
    #[default]
    None,
    /// Waits for PUBACK or PUBREC, in the order of first sending.
    Publishes,
    /// Waits for PUBCOMP, in the order of the PUBRECs.
    Releases,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    first: u16,
    last: u16,
}

/// Packet Identifiers in use, and what uses them.
///
/// The table grows with the identifiers in use; freed ones are used again first in, first out, so
/// that a small window stays small.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: VecDeque<PacketId>,
    publishes: Ends,
    releases: Ends,
}

impl Table {
    fn slot(&self, id: PacketId) -> Option<&Slot> {
        self.slots.get(usize::from(id.get()) - 1)
    }

    fn slot_mut(&mut self, id: PacketId) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(id.get()) - 1)
    }

    pub(super) fn exchange(&self, id: PacketId) -> Option<&Exchange> {
        match self.slot(id)? {
            Slot::Publish(exchange) => Some(exchange),
            _ => None,
        }
    }

    pub(super) fn exchange_mut(&mut self, id: PacketId) -> Option<&mut Exchange> {
        match self.slot_mut(id)? {
            Slot::Publish(exchange) => Some(exchange),
            _ => None,
        }
    }

    pub(super) fn request(&self, id: PacketId) -> Option<&Request> {
        match self.slot(id)? {
            Slot::Request(pending) => Some(&pending.request),
            _ => None,
        }
    }

    pub(super) fn is_request(&self, id: PacketId) -> bool {
        matches!(self.slot(id), Some(Slot::Request(_)))
    }

    pub(super) fn has_free_id(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < usize::from(u16::MAX)
    }

    fn insert(&mut self, slot: Slot) -> Option<PacketId> {
        if let Some(id) = self.free.pop_front() {
            *self.slot_mut(id)? = slot;
            return Some(id);
        }
        let id = PacketId::new(u16::try_from(self.slots.len() + 1).ok()?)?;
        self.slots.push(slot);
        Some(id)
    }

    fn remove(&mut self, id: PacketId) -> Slot {
        self.unlink(id);
        let Some(slot) = self.slot_mut(id) else {
            return Slot::Free;
        };
        let slot = core::mem::replace(slot, Slot::Free);
        if !matches!(slot, Slot::Free) {
            self.free.push_back(id);
        }
        slot
    }

    pub(super) fn insert_request(&mut self, request: PendingRequest) -> Option<PacketId> {
        self.insert(Slot::Request(request))
    }

    pub(super) fn remove_request(&mut self, id: PacketId) -> Option<PendingRequest> {
        if !self.is_request(id) {
            return None;
        }
        match self.remove(id) {
            Slot::Request(request) => Some(request),
            _ => None,
        }
    }

    /// Gives `queued` an identifier and the last place in the order of sending.
    pub(super) fn insert_publish(&mut self, queued: Queued, start: u64) -> Option<PacketId> {
        let state = match queued.message.qos {
            QoS::ExactlyOnce => Sender::AwaitPubrec,
            _ => Sender::AwaitPuback,
        };
        let id = self.insert(Slot::Publish(Exchange {
            operation: Some(queued.operation),
            state,
            message: Some(queued.message),
            accepted: queued.accepted,
            start,
            sent: false,
            counted: true,
            pubrec: None,
            links: Links::default(),
        }))?;
        self.link(id, List::Publishes);
        Some(id)
    }

    pub(super) fn remove_publish(&mut self, id: PacketId) -> Option<Exchange> {
        self.exchange(id)?;
        match self.remove(id) {
            Slot::Publish(exchange) => Some(exchange),
            _ => None,
        }
    }

    fn ends_mut(&mut self, list: List) -> &mut Ends {
        match list {
            List::Releases => &mut self.releases,
            _ => &mut self.publishes,
        }
    }

    fn links_mut(&mut self, id: u16) -> Option<&mut Links> {
        self.exchange_mut(PacketId::new(id)?)
            .map(|exchange| &mut exchange.links)
    }

    fn link(&mut self, id: PacketId, list: List) {
        let last = core::mem::replace(&mut self.ends_mut(list).last, id.get());
        match self.links_mut(last) {
            Some(links) => links.next = id.get(),
            None => self.ends_mut(list).first = id.get(),
        }
        if let Some(links) = self.links_mut(id.get()) {
            *links = Links {
                previous: last,
                next: 0,
                list,
            };
        }
    }

    /// The PUBREC of `id` has come: from now on it waits for PUBCOMP, behind those before it.
    pub(super) fn move_to_releases(&mut self, id: PacketId) {
        self.unlink(id);
        self.link(id, List::Releases);
    }

    /// Takes `id` out of its list; it stays in use.
    pub(super) fn unlink(&mut self, id: PacketId) {
        let Some(links) = self.links_mut(id.get()) else {
            return;
        };
        let Links {
            previous,
            next,
            list,
        } = core::mem::take(links);
        if list == List::None {
            return;
        }
        match self.links_mut(previous) {
            Some(links) => links.next = next,
            None => self.ends_mut(list).first = next,
        }
        match self.links_mut(next) {
            Some(links) => links.previous = previous,
            None => self.ends_mut(list).last = previous,
        }
    }

    /// The first message that waits for PUBACK or PUBREC.
    pub(super) fn first_publish(&self) -> Option<PacketId> {
        PacketId::new(self.publishes.first)
    }

    /// The first exchange that waits for PUBCOMP.
    pub(super) fn first_release(&self) -> Option<PacketId> {
        PacketId::new(self.releases.first)
    }

    /// The one behind `id` in its list.
    pub(super) fn next(&self, id: PacketId) -> Option<PacketId> {
        PacketId::new(self.exchange(id)?.links.next)
    }

    /// Takes all requests out, in the order of their operations.
    pub(super) fn take_requests(&mut self) -> Vec<PendingRequest> {
        let mut requests: Vec<_> = (1..=u16::MAX)
            .take(self.slots.len())
            .filter_map(|id| self.remove_request(PacketId::new(id)?))
            .collect();
        requests.sort_unstable_by_key(|pending| pending.operation);
        requests
    }
}
