//! Messages on their way out. Each keeps its place from its acceptance to its end, and only changes
//! lists: what it waits for is told by the list, and the order within it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use super::OperationId;
use super::exchange::Sender;
use crate::packet::{
    AckProperties, ApplicationMessage, PacketId, PublishReasonCode, QoS, Received,
};
use crate::time::Instant;

/// The answer of a PUBACK or PUBREC.
pub(super) type AckAnswer = (Received<PublishReasonCode>, Option<Box<AckProperties>>);

/// A message that was accepted, and its exchange if it has begun.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// `None` once its verdict was given although the exchange goes on.
    pub(super) operation: Option<OperationId>,
    pub(super) content: Content,
    pub(super) accepted: Instant,
    /// Where its PUBLISH starts in the stream of bytes of this connection.
    pub(super) start: u64,
    /// The Remaining Length of its PUBLISH.
    pub(super) remaining_length: u32,
    /// From its first sending on; none at QoS 0.
    pub(super) packet_id: Option<PacketId>,
    /// Of an exchange that has begun.
    pub(super) state: Sender,
    /// Whether bytes of it left on an earlier connection. Those of which none left wait again when
    /// their connection ends.
    pub(super) sent: bool,
    /// Whether it counts to the server's Receive Maximum on this connection.
    pub(super) counted: bool,
    links: Links,
}

/// What is known of a message when it is accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) operation: OperationId,
    pub(super) at: Instant,
    pub(super) qos: QoS,
    /// The Remaining Length of its PUBLISH.
    pub(super) remaining_length: u32,
}

/// What is kept of a message.
#[derive(Debug)]
pub(super) enum Content {
    Message(ApplicationMessage),
    /// The PUBREC has come: the message is the server's, its answer is kept for the verdict.
    Released(Option<AckAnswer>),
    /// The verdict was given and the message handed back.
    Gone,
}

impl Outgoing {
    /// What a free place holds.
    const NONE: Self = Self {
        operation: None,
        content: Content::Gone,
        accepted: Instant::ZERO,
        start: 0,
        remaining_length: 0,
        packet_id: None,
        state: Sender::AwaitPuback,
        sent: false,
        counted: false,
        links: Links {
            previous: None,
            next: None,
            list: List::None,
        },
    };

    /// The message, which is handed back.
    pub(super) fn take_message(&mut self) -> Option<ApplicationMessage> {
        match core::mem::replace(&mut self.content, Content::Gone) {
            Content::Message(message) => Some(message),
            content => {
                self.content = content;
                None
            }
        }
    }

    #[inline]
    pub(super) const fn message(&self) -> Option<&ApplicationMessage> {
        match &self.content {
            Content::Message(message) => Some(message),
            _ => None,
        }
    }

    /// When the message expires, if it does.
    #[inline]
    pub(super) fn expires(&self) -> Option<Instant> {
        expiry(self.message()?, self.accepted)
    }
}

/// When `message`, which was accepted then, expires, if it does.
#[inline]
pub(super) fn expiry(message: &ApplicationMessage, accepted: Instant) -> Option<Instant> {
    let seconds = message.properties.as_ref()?.message_expiry_interval?;
    Some(accepted + Duration::from_secs(seconds.into()))
}

/// Where a message is kept: one more than its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(NonZeroU32);

impl Place {
    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Neighbours in a list.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    previous: Option<Place>,
    next: Option<Place>,
    list: List,
}

/// What a message waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum List {
    #[default]
    None,
    /// Of QoS 1 or 2, to be sent for the first time, in the order of acceptance.
    Waiting,
    /// Of QoS 0, to be sent: the quota does not hold them up.
    WaitingQos0,
    /// Of QoS 0: until the transport has taken its bytes.
    WrittenQos0,
    /// For PUBACK or PUBREC, in the order of first sending.
    Publishes,
    /// For PUBCOMP, in the order of the PUBRECs.
    Releases,
}

/// How many messages may be accepted at once: what places can be numbered for, less those that
/// exchanges keep whose verdict was given.
pub(super) const MAXIMUM: usize = (u32::MAX - u16::MAX as u32 - 1) as usize;

const LISTS: usize = List::Releases as usize + 1;

#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    first: Option<Place>,
    last: Option<Place>,
}

/// The messages, in as many places as were ever needed at once.
#[derive(Debug, Default)]
pub(super) struct Messages {
    places: Vec<Outgoing>,
    /// Free places, chained by `next`.
    free: Option<Place>,
    ends: [Ends; LISTS],
}

/// Makes room by an eighth where doubling would hold twice the memory that is needed.
#[inline]
pub(super) fn grow_slowly<T>(items: &mut Vec<T>) {
    if items.len() == items.capacity() {
        items.reserve_exact((items.len() / 8).max(16));
    }
}

impl Messages {
    #[inline]
    pub(super) fn get(&self, place: Place) -> Option<&Outgoing> {
        self.places.get(place.index())
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Outgoing> {
        self.places.get_mut(place.index())
    }

    /// A place for a message that was accepted, last in `list`; `None` if there are 4,294,967,295
    /// already. All but its content is as it is to be.
    #[inline]
    pub(super) fn add(&mut self, accepted: Accepted, list: List) -> Option<&mut Outgoing> {
        let place = match self.free {
            Some(place) => place,
            None => self.grow()?,
        };
        let previous = self.ends_mut(list).last.replace(place);
        match previous.and_then(|previous| self.get_mut(previous)) {
            Some(previous) => previous.links.next = Some(place),
            None => self.ends_mut(list).first = Some(place),
        }
        let free = self.places.get_mut(place.index())?;
        self.free = free.links.next;
        free.operation = Some(accepted.operation);
        free.accepted = accepted.at;
        free.start = 0;
        free.remaining_length = accepted.remaining_length;
        free.packet_id = None;
        free.state = match accepted.qos {
            QoS::ExactlyOnce => Sender::AwaitPubrec,
            _ => Sender::AwaitPuback,
        };
        free.sent = false;
        free.counted = false;
        free.links = Links {
            previous,
            next: None,
            list,
        };
        Some(free)
    }

    /// A new place.
    fn grow(&mut self) -> Option<Place> {
        let number = u32::try_from(self.places.len() + 1).ok()?;
        grow_slowly(&mut self.places);
        self.places.push(Outgoing::NONE);
        Some(Place(NonZeroU32::new(number)?))
    }

    /// Ends a message: takes it out of its list and frees its place. What was not taken out of it
    /// before is dropped.
    #[inline]
    pub(super) fn remove(&mut self, place: Place) {
        let next = self.free;
        let Some(message) = self.get_mut(place) else {
            return;
        };
        message.content = Content::Gone;
        let free = Links {
            next,
            ..Links::default()
        };
        let links = core::mem::replace(&mut message.links, free);
        self.free = Some(place);
        self.close_gap(links);
    }

    #[inline]
    fn ends_mut(&mut self, list: List) -> &mut Ends {
        &mut self.ends[list as usize]
    }

    #[inline]
    fn link_last(&mut self, place: Place, list: List) {
        let previous = self.ends_mut(list).last.replace(place);
        match previous.and_then(|previous| self.get_mut(previous)) {
            Some(previous) => previous.links.next = Some(place),
            None => self.ends_mut(list).first = Some(place),
        }
        self.set_links(place, previous, None, list);
    }

    fn link_first(&mut self, place: Place, list: List) {
        let next = self.ends_mut(list).first.replace(place);
        match next.and_then(|next| self.get_mut(next)) {
            Some(next) => next.links.previous = Some(place),
            None => self.ends_mut(list).last = Some(place),
        }
        self.set_links(place, None, next, list);
    }

    #[inline]
    fn set_links(
        &mut self,
        place: Place,
        previous: Option<Place>,
        next: Option<Place>,
        list: List,
    ) {
        if let Some(message) = self.get_mut(place) {
            message.links = Links {
                previous,
                next,
                list,
            };
        }
    }

    /// Takes a message out of its list; it keeps its place.
    #[inline]
    pub(super) fn unlink(&mut self, place: Place) {
        if let Some(message) = self.get_mut(place) {
            let links = core::mem::take(&mut message.links);
            self.close_gap(links);
        }
    }

    /// Links the neighbours of what was taken out of a list.
    #[inline]
    fn close_gap(&mut self, links: Links) {
        let Links {
            previous,
            next,
            list,
        } = links;
        if list == List::None {
            return;
        }
        match previous.and_then(|previous| self.get_mut(previous)) {
            Some(previous) => previous.links.next = next,
            None => self.ends_mut(list).first = next,
        }
        match next.and_then(|next| self.get_mut(next)) {
            Some(next) => next.links.previous = previous,
            None => self.ends_mut(list).last = previous,
        }
    }

    /// Moves a message to the end of `list`.
    #[inline]
    pub(super) fn move_last(&mut self, place: Place, list: List) {
        self.unlink(place);
        self.link_last(place, list);
    }

    /// Moves a message to the start of `list`.
    pub(super) fn move_first(&mut self, place: Place, list: List) {
        self.unlink(place);
        self.link_first(place, list);
    }

    #[inline]
    pub(super) fn first(&self, list: List) -> Option<Place> {
        self.ends[list as usize].first
    }

    pub(super) fn last(&self, list: List) -> Option<Place> {
        self.ends[list as usize].last
    }

    /// The one behind `place` in its list.
    #[inline]
    pub(super) fn next(&self, place: Place) -> Option<Place> {
        self.get(place)?.links.next
    }

    /// The one before `place` in its list.
    pub(super) fn previous(&self, place: Place) -> Option<Place> {
        self.get(place)?.links.previous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn accepted(number: u64) -> Accepted {
        Accepted {
            operation: OperationId::nth(number),
            at: Instant::ZERO,
            qos: QoS::AtLeastOnce,
            remaining_length: 7,
        }
    }

    fn in_order(messages: &Messages, list: List) -> Vec<u64> {
        let next = |place: &Place| messages.next(*place);
        let places = core::iter::successors(messages.first(list), next);
        let found = places.filter_map(|place| messages.get(place)?.operation);
        found.map(|operation| operation.get() - 1).collect()
    }

    #[test]
    fn all_places_that_were_freed_are_used_again() {
        let mut messages = Messages::default();
        for round in 0..3 {
            for number in 0..10 {
                messages.add(accepted(10 * round + number), List::Waiting);
            }
            let order: Vec<_> = (10 * round..10 * round + 10).collect();
            assert_eq!(in_order(&messages, List::Waiting), order);
            // From the middle, from both ends, and the rest.
            for number in [5, 4, 6, 1, 10, 2, 9, 3, 8, 7] {
                messages.remove(Place(NonZeroU32::MIN.saturating_add(number - 1)));
            }
            assert_eq!(messages.first(List::Waiting), None);
            assert_eq!(messages.last(List::Waiting), None);
        }
        assert_eq!(messages.places.len(), 10);
    }

    #[test]
    fn a_place_that_is_used_again_tells_nothing_of_before() {
        let mut messages = Messages::default();
        if let Some(first) = messages.add(accepted(0), List::Waiting) {
            first.start = 9;
            first.packet_id = PacketId::new(3);
            first.sent = true;
            first.counted = true;
        }
        let place = Place(NonZeroU32::MIN);
        messages.move_last(place, List::Publishes);
        messages.remove(place);
        let again = Accepted {
            qos: QoS::ExactlyOnce,
            ..accepted(1)
        };
        messages.add(again, List::Waiting);
        assert_eq!(messages.places.len(), 1);
        assert_eq!(in_order(&messages, List::Waiting), [1]);
        let kept = messages.get(place);
        assert!(kept.is_some_and(|kept| {
            kept.state == Sender::AwaitPubrec
                && (kept.start, kept.packet_id) == (0, None)
                && !(kept.sent || kept.counted)
        }));
    }
}
