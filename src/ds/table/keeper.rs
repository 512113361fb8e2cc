//! Who puts the entries of a cut into another form, and what this asks of large ones.

use super::super::entry::Ref;
use super::Table;
use super::kept::Kept;
use crate::ds::heap::Blocks;

/// How far a keeper has come with an entry that it keeps in parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// What the keeper makes of it.
    pub at: [u64; 2],
    /// Elements that are not kept yet.
    pub left: u64,
}

impl Mark {
    /// Behind `count` more elements, at another place.
    pub fn after(self, count: u64, at: [u64; 2]) -> Mark {
        Mark { at, left: self.left.checked_sub(count).expect("no element comes twice") }
    }
}

/// Puts entries into another form, at the moment of the cut's need.
pub trait Keeper<V>: Send {
    /// Whether an entry is to be kept in parts.
    fn is_large(&self, entry: &Ref<'_, V>) -> bool;

    /// Appends an entry and counts it.
    fn keep(&mut self, entry: &Ref<'_, V>, kept: &mut Kept);

    /// Appends the beginning of a large one and counts it; none: there is nothing behind it.
    fn begin(&mut self, entry: &Ref<'_, V>, kept: &mut Kept) -> Option<Mark>;

    /// Appends the next part of one that has not changed since it was begun.
    fn go_on(&mut self, entry: &Ref<'_, V>, mark: Mark, kept: &mut Kept) -> Option<Mark>;

    /// Whether one that was begun is guarded at once, since it cannot be kept in parts otherwise.
    fn begins_guarded(&self, _entry: &Ref<'_, V>) -> bool {
        false
    }

    /// One that was begun is about to be changed. Whether its value keeps what is behind the mark by itself from now on.
    fn guard(&mut self, value: &mut V, mark: Mark) -> bool;

    /// Puts some of what a guarded value has kept into an empty piece, or nothing yet. After the last of it the value is guarded no more.
    /// Somebody may wait until all of it is kept `at_once`.
    fn collect(&mut self, value: &mut V, mark: Mark, at_once: bool, kept: &mut Kept) -> Option<Mark>;

    /// Nobody wants what a guarded value keeps.
    fn release(&mut self, value: &mut V);

    /// Bytes that a guarded value keeps, and those that it takes otherwise. O(1).
    fn weights(&self, _value: &V) -> (usize, usize) {
        (0, 0)
    }
}

/// Keeps entries of which none is large.
pub struct Each<F>(pub F);

impl<V, F: FnMut(&Ref<'_, V>, &mut Kept) + Send> Keeper<V> for Each<F> {
    fn is_large(&self, _entry: &Ref<'_, V>) -> bool {
        false
    }

    fn keep(&mut self, entry: &Ref<'_, V>, kept: &mut Kept) {
        (self.0)(entry, kept);
    }

    fn begin(&mut self, _entry: &Ref<'_, V>, _kept: &mut Kept) -> Option<Mark> {
        None
    }

    fn go_on(&mut self, _entry: &Ref<'_, V>, _mark: Mark, _kept: &mut Kept) -> Option<Mark> {
        None
    }

    fn guard(&mut self, _value: &mut V, _mark: Mark) -> bool {
        false
    }

    fn collect(&mut self, _value: &mut V, _mark: Mark, _at_once: bool, _kept: &mut Kept) -> Option<Mark> {
        None
    }

    fn release(&mut self, _value: &mut V) {}
}

/// A table under a cut, for one to whom it does not matter what is in it.
pub trait Walked {
    /// As [`Table::cut_slice`].
    fn walk_on(&mut self, steps: usize) -> bool;
    /// As [`Table::take_kept`].
    fn take(&mut self) -> Option<Kept>;
    /// As [`Table::end_cut`].
    fn end(&mut self);
}

impl<V, B: Blocks> Walked for Table<V, B> {
    fn walk_on(&mut self, steps: usize) -> bool {
        self.cut_slice(steps)
    }

    fn take(&mut self) -> Option<Kept> {
        self.take_kept()
    }

    fn end(&mut self) {
        self.end_cut();
    }
}
