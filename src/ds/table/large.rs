//! The large entries of a cut: kept in parts, guarded before they change, collected.

use super::super::entry::{Ref, ViewMut};
use super::Table;
use super::cut::Cut;
use super::keeper::{Keeper, Mark};
use super::kept::{Kept, Pieces};
use crate::ds::heap::Blocks;

/// An entry that is kept up to a mark.
pub(super) struct Open<V> {
    pub(super) hash: u64,
    pub(super) key: Box<[u8]>,
    pub(super) mark: Mark,
    pub(super) guarded: bool,
    /// The value, when the entry has been deleted since.
    pub(super) value: Option<V>,
}

/// An entry whose value keeps by itself what is behind its beginning.
pub(super) struct Guarded<V> {
    pub(super) key: Box<[u8]>,
    pub(super) head: Kept,
    pub(super) mark: Mark,
    /// The value, when the entry has been deleted since.
    pub(super) value: Option<V>,
}

impl<V> Cut<V> {
    /// Keeps a part of a large entry: of the open one, or the beginning of another. What is guarded takes memory for that: it goes first.
    pub(super) fn keep_part<B: Blocks>(&mut self, table: &mut Table<V, B>) {
        if self.open.is_some() {
            return self.go_on(table, false);
        }
        if let Some((hash, Guarded { key, head, mark, value })) = self.guarded.pop_first() {
            self.pieces.for_entry().append(head);
            self.open = Some(Open { hash, key, mark, guarded: true, value });
        } else if let Some((hash, key)) = self.large.pop_first() {
            let mark = self.keeper.begin(&table.large(hash, &key), self.pieces.for_entry());
            self.open = mark.map(|mark| Open { hash, key, mark, guarded: false, value: None });
        }
    }

    /// Keeps the next part of the open entry.
    pub(super) fn go_on<B: Blocks>(&mut self, table: &mut Table<V, B>, at_once: bool) {
        let Some(open) = &mut self.open else { return };
        let next = if open.guarded {
            let value = match &mut open.value {
                Some(value) => value,
                None => table.guarded_value(open.hash, &open.key),
            };
            collect(&mut *self.keeper, value, open.mark, &mut self.pieces)
        } else {
            let entry = table.large(open.hash, &open.key);
            self.keeper.go_on(&entry, open.mark, at_once, self.pieces.for_part())
        };
        match next {
            Some(mark) => open.mark = mark,
            None => {
                self.done.extend(self.open.take().and_then(|open| open.value));
                self.pieces.append(std::mem::take(&mut self.behind));
            }
        }
    }

    /// A large entry of this hash is about to be changed: it is guarded, or else kept to its end.
    pub(super) fn guard<B: Blocks>(&mut self, table: &mut Table<V, B>, hash: u64) {
        if let Some(open) = self.open.as_mut().filter(|open| open.hash == hash) {
            open.guarded = open.guarded || table.guard_large(&mut *self.keeper, (hash, &open.key), open.mark);
            while self.open.as_ref().is_some_and(|open| open.hash == hash && !open.guarded) {
                self.go_on(table, true);
            }
            return;
        }
        let Some(key) = self.large.remove(&hash) else { return };
        let mut head = Kept::default();
        let mut mark = self.keeper.begin(&table.large(hash, &key), &mut head);
        if let Some(mark) = mark.filter(|mark| table.guard_large(&mut *self.keeper, (hash, &key), *mark)) {
            self.guarded.insert(hash, Guarded { key, head, mark, value: None });
            return;
        }
        let pieces = if self.open.is_some() { &mut self.behind } else { &mut self.pieces };
        pieces.for_entry().append(head);
        while let Some(at) = mark {
            mark = self.keeper.go_on(&table.large(hash, &key), at, true, pieces.for_part());
        }
    }

    /// The value of a guarded entry of this hash leaves its place: what it has not handed over is kept.
    pub(super) fn keep_guarded<B: Blocks>(&mut self, table: &mut Table<V, B>, hash: u64) {
        if self.guarded_here(hash).is_none() {
            return;
        }
        while self.is_open(hash) {
            self.go_on(table, true);
        }
        let Some(Guarded { key, head, mark, .. }) = self.guarded.remove(&hash) else { return };
        let pieces = if self.open.is_some() { &mut self.behind } else { &mut self.pieces };
        pieces.for_entry().append(head);
        let mut mark = Some(mark);
        while let Some(at) = mark {
            mark = collect(&mut *self.keeper, table.guarded_value(hash, &key), at, pieces);
        }
    }

    /// Nobody wants what is kept any more. Gives the values that it has.
    pub(super) fn release<B: Blocks>(mut self, table: &mut Table<V, B>) -> Vec<V> {
        let open = self.open.take().filter(|open| open.guarded).map(|open| (open.hash, open.key, open.value));
        let others = self.guarded.into_iter().map(|(hash, guarded)| (hash, guarded.key, guarded.value));
        for (hash, key, value) in open.into_iter().chain(others) {
            match value {
                Some(value) => self.done.push(value),
                None => self.keeper.release(table.guarded_value(hash, &key)),
            }
        }
        self.done
    }
}

/// Collects a part of a guarded value. It may be empty, and then no piece begins with it: the last part of a value never is.
fn collect<V>(keeper: &mut dyn Keeper<V>, value: &mut V, mark: Mark, pieces: &mut Pieces) -> Option<Mark> {
    let mut part = Kept::default();
    let next = keeper.collect(value, mark, &mut part);
    assert!(next.is_some() || !part.is_empty(), "a value ends with a part");
    if !part.is_empty() {
        pieces.for_part().append(part);
    }
    next
}

impl<V, B: Blocks> Table<V, B> {
    /// A large entry that was noted.
    fn large(&self, hash: u64, key: &[u8]) -> Ref<'_, V> {
        self.get(hash, key).expect("an entry is kept before it goes")
    }

    /// Its value, where that does not lie in the entry.
    fn value_of_large(&mut self, hash: u64, key: &[u8]) -> Option<&mut V> {
        let (_, entry) = self.find(hash, key).expect("an entry is kept before it goes");
        // SAFETY: the entry is this table's, which is borrowed alone as long as the value is.
        match unsafe { entry.view_mut() } {
            ViewMut::Boxed(value) => Some(value),
            ViewMut::Int(_) | ViewMut::Bytes(_) => None,
        }
    }

    /// The value of one that is guarded.
    fn guarded_value(&mut self, hash: u64, key: &[u8]) -> &mut V {
        self.value_of_large(hash, key).expect("a guarded value is kept before it leaves its place")
    }

    fn guard_large(&mut self, keeper: &mut dyn Keeper<V>, (hash, key): (u64, &[u8]), mark: Mark) -> bool {
        self.value_of_large(hash, key).is_some_and(|value| keeper.guard(value, mark))
    }
}
