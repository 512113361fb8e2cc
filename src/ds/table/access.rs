//! An entry being changed.

use super::super::entry::{Entry, Owned, Payload, Ref, View, ViewMut};
use super::super::heap::{Blocks, Heap};
use super::bucket::Slot;
use super::{Position, Table};

/// An entry being changed. It knows its place, so nothing here searches.
pub struct Mut<'a, V, B: Blocks = Heap> {
    table: &'a mut Table<V, B>,
    at: Position,
    entry: Entry,
}

impl<'a, V, B: Blocks> Mut<'a, V, B> {
    #[inline]
    pub(super) fn new(table: &'a mut Table<V, B>, at: Position, entry: Entry) -> Self {
        debug_assert!(at.slot().entry() == entry);
        Mut { table, at, entry }
    }

    #[inline]
    pub fn key(&self) -> &[u8] {
        self.entry.key()
    }

    #[inline]
    pub fn view(&self) -> View<'_, V> {
        // SAFETY: the entry is the table's, whose boxed values are V's; `self` is borrowed meanwhile.
        unsafe { self.entry.view() }
    }

    #[inline]
    pub fn view_mut(&mut self) -> ViewMut<'_, V> {
        // SAFETY: as in `view`, and `self` is borrowed alone.
        unsafe { self.entry.view_mut() }
    }

    /// When the key expires, unix ms.
    #[inline]
    pub fn expire_at(&self) -> Option<i64> {
        self.entry.expire_at()
    }

    /// The 24 access bits.
    #[inline]
    pub fn access(&self) -> u32 {
        self.entry.access()
    }

    #[inline]
    pub fn set_access(&self, access: u32) {
        self.entry.set_access(access);
    }

    /// The 2 bits that are the user's.
    #[inline]
    pub fn mark(&self) -> u8 {
        self.entry.mark()
    }

    #[inline]
    pub fn set_mark(&mut self, mark: u8) {
        self.entry.set_mark(mark);
    }

    /// Bytes that the entry takes in the heap, size class included.
    pub fn heap_bytes(&self) -> usize {
        self.entry.block_size::<B>()
    }

    #[inline]
    pub fn as_ref(&self) -> Ref<'_, V> {
        // SAFETY: the entry is the table's, which is borrowed as long as `self` is.
        unsafe { Ref::new(self.entry) }
    }

    #[inline]
    pub fn into_ref(self) -> Ref<'a, V> {
        // SAFETY: as in `as_ref`; the table stays borrowed.
        unsafe { Ref::new(self.entry) }
    }

    /// Writes another value; key, TTL, access and mark stay. Gives the boxed value that was replaced.
    #[inline]
    pub fn set_payload(&mut self, payload: Payload<V>) -> Option<V> {
        let old = self.take_old(&payload);
        if let Err(payload) = self.entry.overwrite::<V, B>(payload) {
            let e = self.entry;
            let moved =
                Entry::write(&mut self.table.heap, e.key(), payload, e.expire_at(), e.access(), e.mark());
            self.move_to(moved);
        }
        old
    }

    /// Writes value and TTL (or its absence), clears the mark. Gives the boxed value that was replaced.
    #[inline]
    pub(super) fn replace(&mut self, payload: Payload<V>, expire: Option<i64>) -> Option<V> {
        if let (Payload::Bytes(text), None) = (&payload, expire)
            && self.entry.rewrite::<B>(text)
        {
            return None;
        }
        let before = self.entry.expire_at();
        if before.is_none() && expire.is_none() {
            self.entry.set_mark(0);
            return self.set_payload(payload);
        }
        let old = self.take_old(&payload);
        let moved =
            Entry::write(&mut self.table.heap, self.entry.key(), payload, expire, self.entry.access(), 0);
        self.move_to(moved);
        self.count_expire(before, expire);
        old
    }

    /// Sets or removes the TTL (unix ms). Gives the old one.
    pub fn set_expire(&mut self, expire: Option<i64>) -> Option<i64> {
        let before = self.entry.expire_at();
        match (before, expire) {
            (None, None) => return None,
            (Some(_), Some(at)) => self.entry.set_expire_in_place(at),
            _ => {
                let moved = self.entry.with_expire(&mut self.table.heap, expire);
                self.move_to(moved);
            }
        }
        self.count_expire(before, expire);
        before
    }

    /// Moves the entry to another block, with all that it is.
    pub(super) fn relocate(&mut self) {
        let moved = self.entry.with_expire(&mut self.table.heap, self.entry.expire_at());
        self.move_to(moved);
    }

    /// Whether a cut still needs the value, and has it if the entry is deleted now.
    #[inline]
    pub fn is_guarded(&self) -> bool {
        self.cut_hash().is_some_and(|hash| self.table.wants_value(hash))
    }

    /// Takes the entry out of the table and gives its value; inline bytes are copied.
    pub fn remove(mut self) -> Owned<V> {
        self.keep_value();
        // SAFETY: `detach` frees the block next, without reading the value.
        let value = unsafe { self.entry.take() };
        self.detach();
        value
    }

    /// Takes the entry out of the table and drops its value, except that a boxed one is given back, unless a cut still needs it. Copies
    /// nothing.
    pub fn delete(self) -> Option<V> {
        let wanted = self.cut_hash().filter(|hash| self.table.wants_value(*hash));
        // SAFETY: `detach` frees the block next, without reading the value.
        let mut old = unsafe { self.entry.take_boxed() };
        if let Some(hash) = wanted
            && let Some(value) = old.take()
        {
            self.table.hand_over(hash, value);
        }
        self.detach();
        old
    }

    /// Frees place and block; the value was taken out.
    fn detach(self) {
        self.table.unlink(self.at);
        // SAFETY: the entry was unlinked and its value taken.
        unsafe { self.entry.free(&mut self.table.heap) };
        self.table.shrink_if_sparse(self.at.seg);
    }

    /// The hash, if there is a cut that may need the value.
    #[inline]
    fn cut_hash(&self) -> Option<u64> {
        let may_need = self.table.cut.is_some() && self.entry.is_boxed();
        may_need.then(|| self.table.hash(self.entry.key()))
    }

    /// The value leaves its place: a cut may need it.
    #[inline]
    fn keep_value(&mut self) {
        if let Some(hash) = self.cut_hash() {
            self.table.keep_guarded(hash);
        }
    }

    /// Takes the old value out before `payload` overwrites it.
    #[inline]
    fn take_old(&mut self, payload: &Payload<V>) -> Option<V> {
        self.keep_value();
        // SAFETY: every caller overwrites the value or frees the block next, without reading the value.
        let old = unsafe { self.entry.take_boxed() };
        self.table.boxed -= usize::from(old.is_some());
        self.table.boxed += usize::from(matches!(payload, Payload::Boxed(_)));
        old
    }

    /// Lets the place point to a new block and frees the old one.
    fn move_to(&mut self, moved: Entry) {
        let bucket = self.at.seg.bucket(self.at.bucket);
        bucket.set_slot(self.at.place, Slot::new(moved, bucket.slot(self.at.place).tag()));
        // SAFETY: the place points to the new block, so nothing refers to the old one.
        unsafe { self.entry.free(&mut self.table.heap) };
        self.entry = moved;
    }

    fn count_expire(&mut self, before: Option<i64>, after: Option<i64>) {
        self.table.expires += usize::from(after.is_some());
        self.table.expires -= usize::from(before.is_some());
        if let Some(at) = after {
            self.table.note_expire(self.at.seg, at);
        }
    }
}
