//! A map from the Packet Identifiers that the peer uses.

use alloc::vec::Vec;

use crate::packet::PacketId;

/// How many chains there are at least, once there is something to hold.
const LEAST: usize = 8;

/// Holds few of the identifiers at a time: its size follows how many there are, not which. Peers
/// count them up, and then each has a chain for itself; whatever a peer does, no chain has more
/// than 256 links, because no more of the 65,535 identifiers go into it before the chains double.
#[derive(Debug)]
pub(super) struct IdMap<T> {
    /// Where each chain begins; a power of two of them.
    heads: Vec<Link>,
    entries: Vec<Entry<T>>,
    /// The chain of free entries.
    free: Link,
    used: usize,
}

/// One more than the index of an entry; 0 is the end.
type Link = u32;

#[derive(Debug)]
struct Entry<T> {
    id: PacketId,
    next: Link,
    value: Option<T>,
}

impl<T> Default for IdMap<T> {
    fn default() -> Self {
        Self {
            heads: Vec::new(),
            entries: Vec::new(),
            free: 0,
            used: 0,
        }
    }
}

impl<T> IdMap<T> {
    #[inline]
    fn chain(&self, id: PacketId) -> usize {
        usize::from(id.get()) & self.heads.len().wrapping_sub(1)
    }

    #[inline]
    fn entry(&self, link: Link) -> Option<&Entry<T>> {
        self.entries.get((link as usize).wrapping_sub(1))
    }

    #[inline]
    fn entry_mut(&mut self, link: Link) -> Option<&mut Entry<T>> {
        self.entries.get_mut((link as usize).wrapping_sub(1))
    }

    /// The entry of `id`, and the one before it in its chain.
    #[inline]
    fn find(&self, id: PacketId) -> Option<(Link, Link)> {
        let mut previous = 0;
        let mut link = *self.heads.get(self.chain(id))?;
        loop {
            let entry = self.entry(link)?;
            if entry.id == id {
                return Some((link, previous));
            }
            previous = link;
            link = entry.next;
        }
    }

    #[inline]
    pub(super) fn get(&self, id: PacketId) -> Option<&T> {
        let (link, _) = self.find(id)?;
        self.entry(link)?.value.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: PacketId) -> Option<&mut T> {
        let (link, _) = self.find(id)?;
        self.entry_mut(link)?.value.as_mut()
    }

    /// Puts `value` at `id`, where nothing is.
    #[inline]
    pub(super) fn insert(&mut self, id: PacketId, value: T) {
        if self.used >= self.heads.len() {
            self.double();
        }
        let chain = self.chain(id);
        let Some(head) = self.heads.get_mut(chain) else {
            return;
        };
        let next = *head;
        let entry = Entry {
            id,
            next,
            value: Some(value),
        };
        self.used += 1;
        if let Some(free) = self.entries.get_mut((self.free as usize).wrapping_sub(1)) {
            *head = self.free;
            self.free = free.next;
            *free = entry;
        } else {
            self.entries.push(entry);
            // There are 65,535 identifiers at most.
            *head = u32::try_from(self.entries.len()).unwrap_or(0);
        }
    }

    fn double(&mut self) {
        let chains = (2 * self.heads.len()).max(LEAST);
        self.heads.clear();
        self.heads.resize(chains, 0);
        // All entries are in use, or there would be no need to grow.
        for (link, entry) in (1..).zip(&mut self.entries) {
            if let Some(head) = self
                .heads
                .get_mut(usize::from(entry.id.get()) & (chains - 1))
            {
                entry.next = core::mem::replace(head, link);
            }
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, id: PacketId) -> Option<T> {
        let (link, previous) = self.find(id)?;
        let chain = self.chain(id);
        let free = core::mem::replace(&mut self.free, link);
        self.used -= 1;
        let entry = self.entry_mut(link)?;
        let next = core::mem::replace(&mut entry.next, free);
        let value = entry.value.take();
        match self.entry_mut(previous) {
            Some(previous) => previous.next = next,
            None => *self.heads.get_mut(chain)? = next,
        }
        value
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| entry.value.as_ref())
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let entries = self.entries.iter_mut();
        entries.filter_map(|entry| entry.value.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    /// Against a map that is known to be right, with identifiers that share a chain.
    #[test]
    fn behaves_as_a_map_does() {
        let mut state = 1u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for stride in [1u16, 8, 16, 64] {
            let (mut map, mut model) = (IdMap::default(), BTreeMap::new());
            for step in 0..20_000u32 {
                let number = u16::try_from(random(60)).unwrap_or(0) * stride + 65_535 % stride;
                let Some(id) = PacketId::new(number.max(1)) else {
                    continue;
                };
                if random(2) == 0 && !model.contains_key(&id) {
                    map.insert(id, step);
                    model.insert(id, step);
                } else {
                    assert_eq!(map.remove(id), model.remove(&id));
                }
                assert_eq!(map.values().count(), model.len());
                for number in 1..=60 * stride + stride {
                    let id = PacketId::new(number);
                    assert!(step % 500 != 0 || id.is_none_or(|id| map.get(id) == model.get(&id)));
                }
                assert_eq!(map.get(id), model.get(&id));
            }
        }
    }

    #[test]
    fn its_size_follows_how_many_it_holds() {
        let mut map = IdMap::default();
        for number in 1..=u16::MAX {
            let Some(id) = PacketId::new(number) else {
                continue;
            };
            map.insert(id, ());
            assert_eq!(map.remove(id), Some(()));
        }
        assert_eq!(map.heads.len(), LEAST);
    }
}
