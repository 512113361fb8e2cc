//! Consumer groups: how far each has read, and what its consumers were given and have not acknowledged.
//!
//! A pending entry is one [`Nack`] in the group, under its id, which names its consumer; the consumer has the id alone. The
//! two views change together, here and nowhere else. A consumer is known inside of its group by its place in a list of
//! slots, which stays as long as it lives; its name stands in an order beside them.

use super::cut::{OldConsumer, OldGroup, OldGroups};
use super::index::Iter;
use super::undo::Item;
use super::{Index, StreamId};
use crate::ds::malloc::{malloc_size, room_bytes};
use std::ops::{Deref, DerefMut};

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nack {
    /// When it was last delivered, unix ms.
    pub delivered_ms: i64,
    /// How often.
    pub count: u64,
    /// The slot of its consumer.
    consumer: u32,
}

impl Item for Nack {}

/// A member of a group.
#[derive(Debug)]
pub struct Consumer {
    pub(super) name: Box<[u8]>,
    /// When it last asked for something, unix ms.
    pub seen_ms: i64,
    /// When it last got something, unix ms; -1: never.
    pub active_ms: i64,
    pub(super) pending: Index<()>,
    pub(super) cut: Option<Box<OldConsumer>>,
}

impl Clone for Consumer {
    fn clone(&self) -> Self {
        Consumer { name: self.name.clone(), pending: self.pending.clone(), cut: None, ..*self }
    }
}

impl Consumer {
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many entries it has not acknowledged.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The ids of those entries, from this one on.
    pub fn pending_from(&self, id: StreamId) -> Iter<'_, ()> {
        self.pending.iter_from(id)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        malloc_size(size_of::<Consumer>()) + malloc_size(self.name.len()) + self.pending.bytes()
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Group {
    pub(super) name: Box<[u8]>,
    /// The last id that was delivered.
    pub last_id: StreamId,
    /// How many entries of the stream were read, as far as that is known.
    pub entries_read: Option<u64>,
    pub(super) pending: Index<Nack>,
    pub(super) slots: Vec<Option<Box<Consumer>>>,
    /// Slots in use, by the names of their consumers; and those to use again.
    pub(super) order: Vec<u32>,
    vacant: Vec<u32>,
    /// Bytes of the consumers, as allocated.
    consumer_bytes: usize,
    /// A cut under way that has noted what the group was.
    pub(super) cut: Option<Box<OldGroup>>,
}

impl Clone for Group {
    fn clone(&self) -> Self {
        let slots = self.slots.clone();
        Group {
            name: self.name.clone(),
            pending: self.pending.clone(),
            consumer_bytes: slots.iter().flatten().map(|consumer| consumer.heap_bytes()).sum(),
            slots,
            order: self.order.clone(),
            vacant: self.vacant.clone(),
            cut: None,
            ..*self
        }
    }
}

impl Group {
    fn new(name: &[u8], last_id: StreamId, entries_read: Option<u64>) -> Group {
        Group {
            name: name.into(),
            last_id,
            entries_read,
            pending: Index::default(),
            slots: Vec::new(),
            order: Vec::new(),
            vacant: Vec::new(),
            consumer_bytes: 0,
            cut: None,
        }
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let lists = room_bytes::<Option<Box<Consumer>>>(self.slots.capacity())
            + room_bytes::<u32>(self.order.capacity())
            + room_bytes::<u32>(self.vacant.capacity());
        malloc_size(size_of::<Group>())
            + malloc_size(self.name.len())
            + self.pending.bytes()
            + self.consumer_bytes
            + lists
    }

    /// How many consumers it has.
    pub fn consumers_len(&self) -> usize {
        self.order.len()
    }

    /// Its consumers, by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.order.iter().map(|slot| self.consumer(*slot))
    }

    fn rank(&self, name: &[u8]) -> Result<usize, usize> {
        self.order.binary_search_by(|slot| self.consumer(*slot).name().cmp(name))
    }

    /// The slot of the consumer of this name.
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        self.rank(name).ok().map(|at| self.order[at])
    }

    /// The consumer of a slot that [`Group::find`] gave.
    pub fn consumer(&self, slot: u32) -> &Consumer {
        self.slots[slot as usize].as_ref().expect("slots in use are filled")
    }

    fn consumer_mut(&mut self, slot: u32) -> &mut Consumer {
        if self.cut.is_some() {
            self.keep_consumer(slot);
        }
        self.slots[slot as usize].as_mut().expect("slots in use are filled")
    }

    /// Makes a consumer; None when there is one of this name.
    pub fn create(&mut self, name: &[u8], now_ms: i64) -> Option<u32> {
        let at = self.rank(name).err()?;
        let pending = Index::default();
        let consumer = Consumer { name: name.into(), seen_ms: now_ms, active_ms: -1, pending, cut: None };
        self.consumer_bytes += consumer.heap_bytes();
        let slot = self.vacant.pop().unwrap_or(self.slots.len() as u32);
        if slot as usize == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot as usize] = Some(Box::new(consumer));
        self.order.insert(at, slot);
        if let Some(cut) = &mut self.cut {
            cut.came(slot);
        }
        Some(slot)
    }

    /// Removes a consumer and what it has not acknowledged; how much that was. None when there is none of this name.
    pub fn delete(&mut self, name: &[u8]) -> Option<usize> {
        let slot = self.order.remove(self.rank(name).ok()?);
        let consumer = self.slots[slot as usize].take()?;
        self.vacant.push(slot);
        self.consumer_bytes -= consumer.heap_bytes();
        for (id, ()) in consumer.pending.iter() {
            self.pending.remove(id);
        }
        let pending = consumer.pending();
        if let Some(cut) = &mut self.cut {
            cut.went(slot, consumer);
        }
        Some(pending)
    }

    /// Notes that a consumer asked for something.
    pub fn saw(&mut self, slot: u32, now_ms: i64) {
        self.consumer_mut(slot).seen_ms = now_ms;
    }

    /// Notes that a consumer got something.
    pub fn served(&mut self, slot: u32, now_ms: i64) {
        self.consumer_mut(slot).active_ms = now_ms;
    }

    /// How many entries are not acknowledged.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Those entries, from this id on.
    pub fn pending_from(&self, id: StreamId) -> Iter<'_, Nack> {
        self.pending.iter_from(id)
    }

    /// The lowest and the highest id of those entries.
    pub fn pending_edges(&self) -> Option<(StreamId, StreamId)> {
        Some((self.pending.first()?.0, self.pending.last()?.0))
    }

    /// The pending entry of this id.
    pub fn nack(&self, id: StreamId) -> Option<&Nack> {
        self.pending.get(id)
    }

    /// The consumer that has a pending entry.
    pub fn owner(&self, nack: &Nack) -> &Consumer {
        self.consumer(nack.consumer)
    }

    /// Gives an entry to a consumer, whoever had it before.
    pub fn assign(&mut self, id: StreamId, slot: u32, delivered_ms: i64, count: u64) {
        let old = self.pending.insert(id, Nack { delivered_ms, count, consumer: slot });
        match old {
            Some(old) if old.consumer == slot => return,
            Some(old) => self.forget(old.consumer, id),
            None => {}
        }
        let consumer = self.consumer_mut(slot);
        let before = consumer.pending.bytes();
        consumer.pending.insert(id, ());
        self.consumer_bytes = self.consumer_bytes - before + self.consumer(slot).pending.bytes();
    }

    /// Counts one more delivery of a pending entry.
    pub fn redeliver(&mut self, id: StreamId, now_ms: i64) {
        if let Some(nack) = self.pending.get_mut(id) {
            nack.delivered_ms = now_ms;
            nack.count = nack.count.wrapping_add(1);
        }
    }

    /// Takes an entry from those that are pending; whether it was one.
    pub fn release(&mut self, id: StreamId) -> bool {
        let Some(nack) = self.pending.remove(id) else { return false };
        self.forget(nack.consumer, id);
        true
    }

    fn forget(&mut self, slot: u32, id: StreamId) {
        let consumer = self.consumer_mut(slot);
        let before = consumer.pending.bytes();
        consumer.pending.remove(id);
        self.consumer_bytes = self.consumer_bytes - before + self.consumer(slot).pending.bytes();
    }
}

/// The groups of a stream, by name.
#[derive(Debug, Default)]
pub struct Groups {
    // Boxed, so that a group that is added or removed moves no more than pointers.
    #[expect(clippy::vec_box)]
    pub(super) list: Vec<Box<Group>>,
    bytes: usize,
    /// A cut under way.
    pub(super) cut: Option<Box<OldGroups>>,
}

impl Clone for Groups {
    fn clone(&self) -> Self {
        let list = self.list.clone();
        // Copies are made without room to grow.
        let bytes = list.iter().map(|group| group.heap_bytes()).sum();
        Groups { list, bytes, cut: None }
    }
}

impl Groups {
    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Bytes that they take, as allocated.
    pub fn heap_bytes(&self) -> usize {
        self.bytes + room_bytes::<Box<Group>>(self.list.capacity())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.list.iter().map(|group| &**group)
    }

    fn rank(&self, name: &[u8]) -> Result<usize, usize> {
        self.list.binary_search_by(|group| group.name().cmp(name))
    }

    /// How many have names up to this one.
    pub(super) fn rank_after(&self, name: Option<&[u8]>) -> usize {
        name.map_or(0, |name| self.rank(name).map_or_else(|at| at, |at| at + 1))
    }

    /// The group of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.rank(name).ok().map(|at| &*self.list[at])
    }

    pub(super) fn live_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.rank(name).ok().map(|at| &mut *self.list[at])
    }

    /// The group of this name, to change it.
    pub fn edit(&mut self, name: &[u8]) -> Option<GroupEdit<'_>> {
        let at = self.rank(name).ok()?;
        let (group, mut kept_before) = (&mut *self.list[at], 0);
        if let Some(cut) = &self.cut {
            kept_before = group.cut_bytes();
            if cut.wants(name) {
                group.begin_cut();
            }
        }
        let before = group.heap_bytes();
        Some(GroupEdit { group, bytes: &mut self.bytes, before, cut: self.cut.as_deref_mut(), kept_before })
    }

    /// Makes a group; whether there was none of this name.
    pub fn create(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<u64>) -> bool {
        let Err(at) = self.rank(name) else { return false };
        let group = Box::new(Group::new(name, last_id, entries_read));
        self.bytes += group.heap_bytes();
        self.list.insert(at, group);
        if let Some(cut) = &mut self.cut {
            cut.note(name, None);
        }
        true
    }

    /// Removes a group; whether there was one.
    pub fn destroy(&mut self, name: &[u8]) -> bool {
        let Ok(at) = self.rank(name) else { return false };
        let group = self.list.remove(at);
        self.bytes -= group.heap_bytes();
        if let Some(cut) = &mut self.cut {
            cut.bytes -= group.cut_bytes();
            cut.note(name, Some(group));
        }
        true
    }
}

/// A group that is being changed; when it is dropped its weight is taken anew.
pub struct GroupEdit<'a> {
    group: &'a mut Group,
    bytes: &'a mut usize,
    before: usize,
    /// The same of what it keeps for a cut.
    cut: Option<&'a mut OldGroups>,
    kept_before: usize,
}

impl Deref for GroupEdit<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl DerefMut for GroupEdit<'_> {
    fn deref_mut(&mut self) -> &mut Group {
        self.group
    }
}

impl Drop for GroupEdit<'_> {
    fn drop(&mut self) {
        *self.bytes = *self.bytes - self.before + self.group.heap_bytes();
        if let Some(cut) = &mut self.cut {
            cut.bytes = cut.bytes - self.kept_before + self.group.cut_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use std::collections::BTreeMap;

    fn weighed(groups: &Groups) -> usize {
        groups
            .iter()
            .map(|group| {
                let consumers: usize = group.consumers().map(Consumer::heap_bytes).sum();
                assert_eq!(consumers, group.consumer_bytes);
                group.heap_bytes()
            })
            .sum()
    }

    #[test]
    fn both_views_of_pending_entries_agree_with_a_model() {
        let mut rng = seeded(5);
        let mut groups = Groups::default();
        assert!(groups.create(b"g", StreamId::MIN, None) && !groups.create(b"g", StreamId::MIN, None));
        let mut model: BTreeMap<StreamId, (u32, u64)> = BTreeMap::new();
        for step in 0..20_000u64 {
            let n = xorshift(&mut rng);
            let id = StreamId::new(n >> 8 & 255, n >> 16 & 3);
            let name = [b'a' + (n >> 24 & 7) as u8];
            let mut group = groups.edit(b"g").expect("there");
            match n & 15 {
                0 => {
                    let had = group.find(&name);
                    let gone = group.delete(&name);
                    assert_eq!(gone.is_some(), had.is_some());
                    let before = model.len();
                    model.retain(|_, (slot, _)| Some(*slot) != had);
                    assert_eq!(gone.unwrap_or(0), before - model.len());
                }
                1..8 => assert_eq!(group.release(id), model.remove(&id).is_some()),
                _ => {
                    let slot = group.find(&name).or_else(|| group.create(&name, 0)).expect("made");
                    group.assign(id, slot, 0, step);
                    model.insert(id, (slot, step));
                }
            }
            drop(group);
            if step % 100 != 0 {
                continue;
            }
            let group = groups.get(b"g").expect("there");
            let all = group.pending_from(StreamId::MIN).map(|(id, n)| (id, (n.consumer, n.count)));
            assert!(all.eq(model.iter().map(|(id, v)| (*id, *v))));
            let names: Vec<&[u8]> = group.consumers().map(Consumer::name).collect();
            assert!(names.is_sorted() && names.len() == group.consumers_len());
            for consumer in group.consumers() {
                let slot = group.find(consumer.name()).expect("there");
                let own = model.iter().filter(|(_, (s, _))| *s == slot).map(|(id, _)| *id);
                assert!(consumer.pending_from(StreamId::MIN).map(|(id, ())| id).eq(own));
            }
            assert_eq!(weighed(&groups), groups.bytes);
            let copy = groups.clone();
            assert_eq!(weighed(&copy), copy.bytes);
        }
        assert!(groups.destroy(b"g") && !groups.destroy(b"g"));
        assert_eq!(groups.bytes, 0);
    }
}
