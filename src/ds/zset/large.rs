//! The large form of a sorted set, which OBJECT ENCODING calls `skiplist`: a table of the members, each with its score as an
//! 8-byte value, and a tree that has them in order.
//!
//! ```text
//!  table: member -> score                      one block a member: | header 8 | member | padding | score 8 |
//!                 ^
//!  tree:  score, address of the block          16 bytes a member and some 2 for room and inner nodes
//! ```
//! SAFETY contract: the tree's items point at blocks of the table, so what the tree holds is taken out before the block goes,
//! and nothing here gives a member a TTL or a value of another size, which would move its block. Both are dropped together,
//! and dropping a tree follows no item.

use super::item::Item;
use super::tree::Tree;
use crate::ds::malloc::Malloc;
use crate::ds::table::{Each, Kept, Stats, Walked};
use crate::ds::{Payload, Ref, Table, View};
use std::cmp::Ordering;

/// See the module's text.
pub struct Large {
    table: Table<(), Malloc>,
    tree: Tree,
    /// The secret with which members are hashed.
    seed: u64,
}

fn score_of(view: View<'_, ()>) -> f64 {
    match view {
        View::Int(bits) => f64::from_bits(bits as u64),
        View::Bytes(_) | View::Boxed(()) => unreachable!("a member's value is its score"),
    }
}

fn payload<'a>(score: f64) -> Payload<'a, ()> {
    Payload::Int(score.to_bits() as i64)
}

impl Large {
    /// An empty one, whose members are hashed with this secret.
    pub fn new(seed: u64) -> Large {
        Large { table: Table::new(seed), tree: Tree::default(), seed }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The shape of its table, and the bytes that this takes.
    pub fn stats(&self) -> (Stats, usize) {
        (self.table.stats(), self.table.bytes())
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub fn heap_bytes(&self) -> usize {
        self.table.bytes() + self.tree.bytes()
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.table.get(self.table.hash(member), member).map(|entry| score_of(entry.view()))
    }

    /// Sets the score of a member, there or not; the tree is not told. For building a set whole, see [`Large::build`].
    pub fn gather(&mut self, member: &[u8], score: f64) {
        self.table.upsert(self.table.hash(member), member, payload(score), None);
    }

    /// Makes the tree out of what was gathered into an empty set.
    pub fn build(&mut self) {
        // SAFETY: the blocks stay while the table is not changed; the old tree is replaced.
        let mut items: Vec<Item> =
            self.table.iter().map(|entry| unsafe { Item::new(score_of(entry.view()), &entry) }).collect();
        items.sort_unstable_by(Item::order);
        self.tree = Tree::from_sorted(&items);
    }

    /// Adds a member that is not there.
    pub fn insert(&mut self, member: &[u8], score: f64) {
        let entry = self.table.insert(self.table.hash(member), member, payload(score), None).into_ref();
        // SAFETY: the block stays until `remove` and `remove_range`, which take the item out of the tree before it goes.
        let item = unsafe { Item::new(score, &entry) };
        self.tree.insert(item);
    }

    /// Gives a member that is there another score.
    pub fn rescore(&mut self, member: &[u8], old: f64, new: f64) {
        let Some(mut entry) = self.table.get_mut(self.table.hash(member), member) else { return };
        entry.set_payload(payload(new));
        if self.tree.rescore(old, member, new) {
            return;
        }
        self.tree.remove(old, member);
        // SAFETY: as in `insert`; the new value has the old one's size, so the block stayed.
        let item = unsafe { Item::new(new, &entry.into_ref()) };
        self.tree.insert(item);
    }

    /// Takes a member out and gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let entry = self.table.get_mut(self.table.hash(member), member)?;
        let score = score_of(entry.view());
        self.tree.remove(score, member);
        entry.delete();
        Some(score)
    }

    /// Takes the members of ranks `from..to` out.
    pub fn remove_range(&mut self, from: usize, to: usize) {
        for item in self.tree.remove_range(from, to) {
            // The member's bytes are read up to here and go with the entry.
            let hash = self.table.hash(item.member());
            if let Some(entry) = self.table.get_mut(hash, item.member()) {
                entry.delete();
            }
        }
    }

    /// How many members from the lowest on `holds` is true of; it must not become true again once it is false.
    pub fn count_while(&self, holds: impl Fn(f64, &[u8]) -> bool) -> usize {
        self.tree.rank(|item| holds(item.score, item.member()))
    }

    /// How many members have scores of which `holds` is true, which is so of the lowest up to some bound.
    pub fn count_scores(&self, holds: impl Fn(f64) -> bool) -> usize {
        self.tree.rank(|item| holds(item.score))
    }

    /// A member's rank and score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.tree.rank(|item| item.against(score, member) == Ordering::Less), score))
    }

    /// The member of a rank.
    pub fn nth(&self, rank: usize) -> Option<(&[u8], f64)> {
        self.tree.nth(rank).map(|item| (item.member(), item.score))
    }

    /// Gives `f` up to `count` members from rank `from` on, until it returns false; from the highest down with `reverse`.
    pub fn walk(&self, from: usize, count: usize, reverse: bool, mut f: impl FnMut(&[u8], f64) -> bool) {
        self.tree.walk(from, count, reverse, |item| f(item.member(), item.score));
    }

    /// One step of a scan in the table's order; see [`Table::scan`].
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(&[u8], f64)) -> u64 {
        self.table.scan(cursor, &mut |entry| f(entry.key(), score_of(entry.view())))
    }

    /// From now on the members up to the one of this rank are kept, in no order: see [`Table::begin_cut`].
    pub fn begin_cut(&mut self, rank: usize, mut keep: impl FnMut(&[u8], f64, &mut Kept) + Send + 'static) {
        let last = self.nth(rank).map(|(member, score)| (member.to_vec(), score));
        let keep = move |entry: &Ref<'_, ()>, kept: &mut Kept| {
            let (member, score) = (entry.key(), score_of(entry.view()));
            let is_in =
                last.as_ref().is_some_and(|last| score < last.1 || score == last.1 && member <= &last.0[..]);
            if is_in {
                keep(member, score, kept);
            }
        };
        self.table.begin_cut(Box::new(Each(keep)));
    }

    pub fn cut_bytes(&self) -> usize {
        self.table.kept_weight()
    }

    pub fn under_cut(&mut self) -> &mut dyn Walked {
        &mut self.table
    }

    #[cfg(test)]
    pub(super) fn check(&self) -> usize {
        assert_eq!(self.tree.len(), self.table.len());
        super::tree::shape::check(&self.tree)
    }

    #[cfg(test)]
    pub(super) fn tree_bytes(&self) -> usize {
        self.tree.bytes()
    }
}

impl Clone for Large {
    fn clone(&self) -> Self {
        let mut copy = Large::new(self.seed);
        self.walk(0, usize::MAX, false, |member, score| {
            copy.gather(member, score);
            true
        });
        copy.build();
        copy
    }
}
