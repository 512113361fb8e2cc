//! A cut: the table as it was at one instant, while it goes on changing.
//!
//! ```text
//!  begin_cut ── version + 1: every bucket is older than the cut
//!  a write that meets an older bucket ──┐
//!  the walk, bucket by bucket ──────────┴─> its entries are kept, then it has the cut's version: nobody keeps them again
//! ```
//! What a bucket holds physically is kept together, so where an entry's home is does not matter. Segments that are rebuilt are
//! kept whole first, and new ones have the cut's version, so entries never move from an old bucket to another unseen. The
//! walk goes through hash space, as SCAN does, and so passes every bucket that was there at the cut and still is old.
//!
//! | cost | |
//! |---|---|
//! | no cut under way | one look at a pointer per write |
//! | a write under a cut | at most once per bucket: keeping its 14 entries; a split: some 900 |

use super::super::entry::Ref;
use super::Table;
use super::segment::Seg;
use crate::ds::heap::Blocks;
use bytes::Bytes;

/// What was kept of a cut and not yet taken away.
#[derive(Default)]
pub struct Kept {
    pub bytes: Vec<u8>,
    /// Large values, shared instead of copied: each with its place in `bytes`.
    pub shared: Vec<(usize, Bytes)>,
    pub entries: u64,
    /// Why an entry could not be kept.
    pub trouble: Option<String>,
}

impl Kept {
    /// Whether there is nothing to take away.
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && self.trouble.is_none()
    }

    /// Bytes that it holds on to.
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.shared.iter().map(|(_, value)| value.len()).sum::<usize>()
    }
}

/// Puts entries into another form, at the moment of the cut's need.
pub trait Keeper<V>: Send {
    /// Appends an entry.
    fn keep(&mut self, entry: &Ref<'_, V>, kept: &mut Kept);
}

/// Cuts that were given up in the middle since the last whole walk, at most: buckets may hold as many versions.
const GIVEN_UP_MAX: u8 = 200;
/// How many buckets ahead of the walk memory is sent for.
const BUCKETS_AHEAD: usize = 4;

/// A cut under way.
pub(super) struct Cut<V> {
    keeper: Box<dyn Keeper<V>>,
    kept: Kept,
    /// The hash at which the walk goes on; none: it is through.
    next: Option<u64>,
}

impl<V, B: Blocks> Table<V, B> {
    /// From now on the table as it is at this moment is kept, by `keeper`, until [`Table::end_cut`].
    pub fn begin_cut(&mut self, keeper: Box<dyn Keeper<V>>) {
        assert!(self.cut.is_none(), "one cut at a time");
        self.version = self.version.wrapping_add(1);
        if self.given_up >= GIVEN_UP_MAX {
            self.given_up = 0;
            let older = self.version.wrapping_sub(1);
            for seg in self.all_segments() {
                (0..seg.buckets()).for_each(|b| seg.bucket(b).set_version(older));
            }
        }
        self.cut = Some(Box::new(Cut { keeper, kept: Kept::default(), next: Some(0) }));
    }

    /// Whether a cut is under way.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Whether the walk is through.
    pub fn is_walked(&self) -> bool {
        self.len == 0 || self.cut.as_ref().is_none_or(|cut| cut.next.is_none())
    }

    /// Walks on for so many buckets; whether it is through.
    pub fn cut_slice(&mut self, buckets: usize) -> bool {
        for _ in 0..buckets {
            let Some(cut) = &self.cut else { return true };
            let Some(hash) = cut.next.filter(|_| self.len != 0) else { return true };
            let seg = self.dir.lookup(hash);
            let b = seg.home(hash);
            self.fetch_ahead(seg, b);
            self.keep_bucket(seg, b);
            if let Some(cut) = &mut self.cut {
                cut.next = seg.bucket_start(b + 1);
            }
        }
        false
    }

    fn fetch_ahead(&self, seg: Seg, b: usize) {
        if b + BUCKETS_AHEAD < seg.buckets() {
            seg.bucket(b + BUCKETS_AHEAD).prefetch();
            let near = b + BUCKETS_AHEAD / 2;
            seg.slots(near..near + 1).for_each(|(.., slot)| slot.entry().prefetch());
        }
    }

    /// Takes away what was kept so far.
    pub fn take_kept(&mut self) -> Option<Kept> {
        let cut = self.cut.as_mut().filter(|cut| !cut.kept.is_empty())?;
        Some(std::mem::take(&mut cut.kept))
    }

    /// Bytes that were kept and not taken away.
    pub fn kept_weight(&self) -> usize {
        self.cut.as_ref().map_or(0, |cut| cut.kept.weight())
    }

    /// Ends the cut, walked through or not. What was kept and not taken away is lost.
    pub fn end_cut(&mut self) {
        if let Some(cut) = self.cut.take() {
            let through = cut.next.is_none() || self.len == 0;
            self.given_up = if through { 0 } else { self.given_up + 1 };
        }
    }

    /// Keeps a bucket's entries if they are older than the cut.
    #[inline(never)]
    pub(super) fn keep_bucket(&mut self, seg: Seg, b: usize) {
        let Some(cut) = &mut self.cut else { return };
        let bucket = seg.bucket(b);
        if bucket.version() == self.version {
            return;
        }
        bucket.set_version(self.version);
        for place in bucket.occupied() {
            // SAFETY: the entry is this table's, which nobody changes meanwhile; its boxed values are V's.
            let entry = unsafe { Ref::new(bucket.slot(place).entry()) };
            cut.keeper.keep(&entry, &mut cut.kept);
            cut.kept.entries += 1;
        }
    }

    /// Keeps the bucket that the next entry of this hash will be put into.
    pub(super) fn keep_place(&mut self, seg: Seg, hash: u64) {
        let home = seg.home(hash);
        let chosen = (0..seg.probes()).map(|i| seg.probe(home, i));
        if let Some(b) = chosen.into_iter().find(|b| seg.bucket(*b).free_places().next().is_some()) {
            self.keep_bucket(seg, b);
        }
    }

    /// Keeps all that is old in segments that are about to be rebuilt.
    pub(super) fn keep_segments(&mut self, segments: &[Seg]) {
        for seg in segments {
            (0..seg.buckets()).for_each(|b| self.keep_bucket(*seg, b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Payload, View};
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use std::collections::BTreeMap;

    /// Keeps numbers as text.
    struct Numbers;

    impl Keeper<u64> for Numbers {
        fn keep(&mut self, entry: &Ref<'_, u64>, kept: &mut Kept) {
            let value = match entry.view() {
                View::Int(n) => n as u64,
                View::Boxed(n) => *n,
                View::Bytes(_) => panic!("no bytes here"),
            };
            let ttl = entry.expire_at().unwrap_or(0);
            for word in [u64::from_be_bytes(entry.key().try_into().expect("8 bytes")), value, ttl as u64] {
                kept.bytes.extend_from_slice(&word.to_be_bytes());
            }
        }
    }

    type Model = BTreeMap<u64, (u64, u64)>;

    fn add(model: &mut Model, kept: Option<Kept>) {
        let bytes = kept.map_or(Vec::new(), |kept| kept.bytes);
        for entry in bytes.as_chunks::<24>().0 {
            let word = |i: usize| u64::from_be_bytes(entry[i * 8..i * 8 + 8].try_into().expect("8 bytes"));
            assert!(model.insert(word(0), (word(1), word(2))).is_none(), "kept twice");
        }
    }

    fn change(table: &mut Table<u64>, model: &mut Model, rng: &mut u64, keys: u64, growing: bool) {
        let n = xorshift(rng) % keys;
        let key = n.to_be_bytes();
        let hash = table.hash(&key);
        let value = xorshift(rng);
        let removes = xorshift(rng) % 8 < if growing { 1 } else { 6 };
        if removes {
            if let Some(found) = table.get_mut(hash, &key) {
                found.delete();
            }
            model.remove(&n);
            return;
        }
        let ttl = (value.is_multiple_of(3)).then_some((value % 1_000) as i64);
        let payload = if value.is_multiple_of(2) {
            Payload::Boxed(value >> 1)
        } else {
            Payload::Int((value >> 1) as i64)
        };
        if value.is_multiple_of(5) {
            if let Some(mut found) = table.get_mut(hash, &key) {
                found.set_payload(payload);
                let ttl = found.expire_at().unwrap_or(0) as u64;
                model.insert(n, (value >> 1, ttl));
            }
            return;
        }
        table.upsert(hash, &key, payload, ttl);
        model.insert(n, (value >> 1, ttl.unwrap_or(0) as u64));
    }

    /// What is kept is the table at the cut, whatever happens between the slices; cuts that are given up do no harm.
    #[test]
    fn a_cut_is_the_table_at_its_instant() {
        let scale = if cfg!(miri) { 1 } else { 20 };
        for seed in 0..12 {
            let mut rng = seeded(seed);
            let mut table = Table::<u64>::new(seed);
            let mut model = Model::new();
            let keys = scale * (30 + 100 * (seed % 4));
            let mut cuts = 0;
            for round in 0..40u64 {
                let growing = round / 6 % 2 == 0;
                (0..keys).for_each(|_| change(&mut table, &mut model, &mut rng, keys, growing));
                let (expected, mut found) = (model.clone(), Model::new());
                table.begin_cut(Box::new(Numbers));
                let gives_up = xorshift(&mut rng).is_multiple_of(3);
                let writes = xorshift(&mut rng) % 60;
                loop {
                    (0..writes).for_each(|_| change(&mut table, &mut model, &mut rng, keys, growing));
                    if xorshift(&mut rng).is_multiple_of(8) {
                        let now = (xorshift(&mut rng) % 1_000) as i64;
                        table.expire_slice(&mut 0, now, 50, &mut |key, _| {
                            model.remove(&u64::from_be_bytes(key.try_into().expect("8 bytes")));
                        });
                    }
                    let through = table.cut_slice(1 + xorshift(&mut rng) as usize % 9);
                    add(&mut found, table.take_kept());
                    if through || (gives_up && xorshift(&mut rng).is_multiple_of(20)) {
                        if through {
                            assert!(found == expected, "seed {seed}, round {round}");
                            cuts += 1;
                        }
                        break;
                    }
                }
                table.end_cut();
            }
            assert!(cuts > 15);
        }
    }

    #[test]
    fn versions_wrap_around() {
        let mut table = Table::<u64>::new(1);
        let put = |table: &mut Table<u64>, n: u64| {
            table.upsert(table.hash(&n.to_be_bytes()), &n.to_be_bytes(), Payload::Int(1), None);
        };
        (0..200).for_each(|n| put(&mut table, n));
        for _ in 0..700 {
            table.begin_cut(Box::new(Numbers));
            table.cut_slice(3);
            table.end_cut();
        }
        table.begin_cut(Box::new(Numbers));
        while !table.cut_slice(3) {}
        assert_eq!(table.take_kept().map(|kept| kept.entries), Some(200));
        table.end_cut();
        for _ in 0..700 {
            table.begin_cut(Box::new(Numbers));
            while !table.cut_slice(64) {}
            assert_eq!(table.take_kept().map(|kept| kept.entries), Some(200));
            table.end_cut();
        }
    }
}
