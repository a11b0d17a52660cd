//! Packet Identifiers in use by us, and what uses them (section 2.2.1).

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::messages::{Place, grow_slowly};
use super::{OperationId, SubscribeRequest, UnsubscribeRequest};
use crate::packet::PacketId;

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

#[derive(Clone, Copy, Debug)]
enum User {
    Nobody,
    Message(Place),
    Request,
}

/// Packet Identifiers in use, and what uses them.
///
/// The table grows with the identifiers in use; freed ones are used again first in, first out, so
/// that a small window stays small.
#[derive(Debug, Default)]
pub(super) struct PacketIds {
    users: Vec<User>,
    free: VecDeque<PacketId>,
    requests: BTreeMap<PacketId, PendingRequest>,
}

impl PacketIds {
    #[inline]
    fn user(&self, id: PacketId) -> User {
        let index = usize::from(id.get()) - 1;
        self.users.get(index).copied().unwrap_or(User::Nobody)
    }

    #[inline]
    fn set_user(&mut self, id: PacketId, user: User) {
        if let Some(slot) = self.users.get_mut(usize::from(id.get()) - 1) {
            *slot = user;
        }
    }

    /// The message whose exchange has this identifier.
    #[inline]
    pub(super) fn message(&self, id: PacketId) -> Option<Place> {
        match self.user(id) {
            User::Message(place) => Some(place),
            _ => None,
        }
    }

    pub(super) fn request(&self, id: PacketId) -> Option<&Request> {
        self.requests.get(&id).map(|pending| &pending.request)
    }

    #[inline]
    pub(super) fn is_request(&self, id: PacketId) -> bool {
        matches!(self.user(id), User::Request)
    }

    #[inline]
    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty() || self.users.len() < usize::from(u16::MAX)
    }

    #[inline]
    fn take(&mut self, user: User) -> Option<PacketId> {
        if let Some(id) = self.free.pop_front() {
            self.set_user(id, user);
            return Some(id);
        }
        let id = PacketId::new(u16::try_from(self.users.len() + 1).ok()?)?;
        grow_slowly(&mut self.users);
        self.users.push(user);
        Some(id)
    }

    /// An identifier for the exchange of a message.
    #[inline]
    pub(super) fn take_for_message(&mut self, place: Place) -> Option<PacketId> {
        self.take(User::Message(place))
    }

    /// An identifier for a request.
    pub(super) fn take_for_request(&mut self, request: PendingRequest) -> Option<PacketId> {
        let id = self.take(User::Request)?;
        self.requests.insert(id, request);
        Some(id)
    }

    /// The exchange with this identifier is over.
    #[inline]
    pub(super) fn release(&mut self, id: PacketId) {
        if !matches!(self.user(id), User::Nobody) {
            self.set_user(id, User::Nobody);
            self.free.push_back(id);
        }
    }

    pub(super) fn remove_request(&mut self, id: PacketId) -> Option<PendingRequest> {
        let request = self.requests.remove(&id)?;
        self.release(id);
        Some(request)
    }

    /// Takes all requests out, in the order of their operations.
    pub(super) fn take_requests(&mut self) -> Vec<PendingRequest> {
        let ids: Vec<_> = self.requests.keys().copied().collect();
        let requests = ids.into_iter().filter_map(|id| self.remove_request(id));
        let mut requests: Vec<_> = requests.collect();
        requests.sort_unstable_by_key(|pending| pending.operation);
        requests
    }

    /// The messages that have an identifier.
    pub(super) fn messages(&self) -> impl Iterator<Item = Place> + '_ {
        self.users.iter().filter_map(|user| match user {
            User::Message(place) => Some(*place),
            _ => None,
        })
    }
}
