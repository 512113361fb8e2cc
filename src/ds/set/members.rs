//! The form of a set that is a table: a member is the key of an entry without a value.

use super::Member;
use crate::ds::listpack::Element;
use crate::ds::malloc::Malloc;
use crate::ds::table::{Each, Kept, Stats, Walked};
use crate::ds::{Payload, Ref, Table};

/// See the module's text.
pub struct Members {
    table: Table<(), Malloc>,
    /// The secret that members are hashed with: a copy has it too.
    seed: u64,
}

impl Members {
    pub fn new(seed: u64) -> Members {
        Members { table: Table::new(seed), seed }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The shape of its table, and the bytes that this takes.
    pub fn stats(&self) -> (Stats, usize) {
        (self.table.stats(), self.table.bytes())
    }

    /// Bytes of table and entries.
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }

    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        self.table.get(self.table.hash(member), member).is_some()
    }

    /// Adds a member; whether it was absent.
    #[inline]
    pub fn insert(&mut self, member: &[u8]) -> bool {
        let hash = self.table.hash(member);
        if self.table.get(hash, member).is_some() {
            return false;
        }
        self.table.insert(hash, member, Payload::Bytes(&[]), None);
        true
    }

    pub fn remove(&mut self, member: &[u8]) -> bool {
        let hash = self.table.hash(member);
        self.table.get_mut(hash, member).map(|found| found.delete()).is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        self.table.iter().map(|entry| Element::Str(entry.key()))
    }

    pub fn begin_cut(&mut self, cursor: u64, mut keep: impl FnMut(&[u8], &mut Kept) + Send + 'static) {
        let keep = move |entry: &Ref<'_, ()>, kept: &mut Kept| keep(entry.key(), kept);
        self.table.begin_cut_from(cursor, Box::new(Each(keep)));
    }

    pub fn under_cut(&mut self) -> &mut dyn Walked {
        &mut self.table
    }

    pub fn cut_bytes(&self) -> usize {
        self.table.kept_weight()
    }

    pub fn random(&self, rng: impl FnMut() -> u64) -> Option<Member<'_>> {
        self.table.random(rng).map(|entry| Element::Str(entry.key()))
    }

    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(Member<'_>)) -> u64 {
        self.table.scan(cursor, &mut |entry| f(Element::Str(entry.key())))
    }
}

impl Clone for Members {
    fn clone(&self) -> Self {
        let mut twin = Members::new(self.seed);
        for entry in self.table.iter() {
            // The same seed, so the same hash.
            let hash = self.table.hash(entry.key());
            twin.table.insert(hash, entry.key(), Payload::Bytes(&[]), None);
        }
        twin
    }
}
