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
//! Large entries are only noted when their bucket is kept. The walk keeps them one after the other, each in parts, before it goes on to
//! the next bucket. The parts of an entry stay together: what has to be kept while one is *open* comes behind it.
//!
//! Who is about to change a large entry has its value *guarded* first: from then on the value keeps what it holds by itself, as a table does
//! that has a cut of its own, and the walk collects that when it comes to the entry. If the entry goes meanwhile the cut has its value;
//! if it gets another key the cut looks there, and if it goes to another
//! table that has a cut too the two come to terms. A value that cannot do so is kept at once.
//!
//! | cost | |
//! |---|---|
//! | no cut under way | one look at a pointer per write |
//! | a write under a cut | at most once per bucket: keeping its 14 entries; a split: some 900; once per large entry: guarding it, or keeping it |

use super::super::entry::Ref;
use super::keeper::Keeper;
use super::kept::{Kept, Pieces};
use super::large::{Gone, Guarded, Open};
use super::segment::Seg;
use super::walk::CURSOR_SHIFT;
use super::{Position, Table};
use crate::ds::heap::Blocks;
use std::collections::BTreeMap;

/// Cuts that were given up in the middle since the last whole walk, at most: buckets may hold as many versions.
const GIVEN_UP_MAX: u8 = 200;

/// A cut under way.
pub(super) struct Cut<V> {
    pub(super) keeper: Box<dyn Keeper<V>>,
    /// What is kept, in order.
    pub(super) pieces: Pieces,
    /// What comes behind the open entry.
    pub(super) behind: Pieces,
    pub(super) open: Option<Open<V>>,
    /// Keys of large entries that were noted and are not begun, by their hashes.
    pub(super) large: BTreeMap<u64, Box<[u8]>>,
    /// Those that are guarded, by their hashes, and those of them that have gone.
    pub(super) guarded: BTreeMap<u64, Guarded>,
    pub(super) gone: Vec<Gone<V>>,
    /// Values of entries that have gone, and are kept to their ends.
    pub(super) done: Vec<V>,
    /// Bytes that guarded values keep and that those take which have gone.
    pub(super) held: usize,
    /// What lies before this hash was kept otherwise.
    from: u64,
    /// The hash at which the walk goes on; none: it is through.
    next: Option<u64>,
}

impl<V> Cut<V> {
    /// Keeps an entry of a bucket, or notes it.
    fn keep(&mut self, entry: &Ref<'_, V>, hash: impl Fn(&[u8]) -> u64) {
        if self.from != 0 && hash(entry.key()) < self.from {
            return;
        }
        if self.keeper.is_large(entry) {
            let hash = hash(entry.key());
            // There next to never is another one of the same hash.
            if !self.is_noted(hash) {
                self.large.insert(hash, entry.key().into());
                return;
            }
        }
        let pieces = if self.open.is_some() { &mut self.behind } else { &mut self.pieces };
        self.keeper.keep(entry, pieces.for_entry());
    }

    /// Whether an entry of this hash has been noted and is not kept to its end.
    #[inline]
    pub(super) fn is_noted(&self, hash: u64) -> bool {
        self.is_open(hash) || self.large.contains_key(&hash) || self.guarded.contains_key(&hash)
    }

    #[inline]
    pub(super) fn is_open(&self, hash: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.place.is_of(hash))
    }

    fn has_no_large(&self) -> bool {
        self.open.is_none() && self.large.is_empty() && self.guarded.is_empty() && self.gone.is_empty()
    }
}

impl<V, B: Blocks> Table<V, B> {
    /// From now on the table as it is at this moment is kept, by `keeper`, until [`Table::end_cut`].
    pub fn begin_cut(&mut self, keeper: Box<dyn Keeper<V>>) {
        self.begin_cut_from(0, keeper);
    }

    /// The same without what a scan has emitted before it gave this cursor.
    pub fn begin_cut_from(&mut self, cursor: u64, keeper: Box<dyn Keeper<V>>) {
        assert!(self.cut.is_none(), "one cut at a time");
        self.version = self.version.wrapping_add(1);
        if self.given_up >= GIVEN_UP_MAX {
            self.given_up = 0;
            let older = self.version.wrapping_sub(1);
            for seg in self.all_segments() {
                (0..seg.buckets()).for_each(|b| seg.bucket(b).set_version(older));
            }
        }
        self.cut = Some(Box::new(Cut {
            keeper,
            pieces: Pieces::default(),
            behind: Pieces::default(),
            open: None,
            large: BTreeMap::new(),
            guarded: BTreeMap::new(),
            gone: Vec::new(),
            done: Vec::new(),
            held: 0,
            from: cursor << CURSOR_SHIFT,
            next: Some(0),
        }));
    }

    /// Whether a cut is under way.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Whether the walk is through.
    pub fn is_walked(&self) -> bool {
        let is_through = |cut: &Cut<V>| (self.len == 0 || cut.next.is_none()) && cut.has_no_large();
        self.cut.as_deref().is_none_or(is_through)
    }

    /// Walks on for so many buckets, or parts of large entries; whether it is through.
    pub fn cut_slice(&mut self, steps: usize) -> bool {
        for _ in 0..steps {
            if self.is_walked() {
                return true;
            }
            self.cut_step();
        }
        false
    }

    fn cut_step(&mut self) {
        let Some(cut) = self.cut.as_deref() else { return };
        if !cut.has_no_large() {
            return self.with_cut(Cut::keep_part);
        }
        let Some(hash) = cut.next else { return };
        let seg = self.dir.lookup(hash);
        let b = seg.home(hash);
        seg.fetch_ahead(b, |slot| slot.entry().prefetch());
        self.keep_bucket(seg, b);
        if let Some(cut) = &mut self.cut {
            cut.next = seg.bucket_start(b + 1);
        }
    }

    fn with_cut(&mut self, f: impl FnOnce(&mut Cut<V>, &mut Self)) {
        if let Some(mut cut) = self.cut.take() {
            f(&mut cut, self);
            self.cut = Some(cut);
        }
    }

    #[cold]
    fn guard(&mut self, hash: u64) {
        self.with_cut(|cut, table| cut.guard(table, hash));
    }

    /// Whether the value of this hash is guarded, so that the cut takes it when its entry goes.
    #[cold]
    pub(super) fn wants_value(&self, hash: u64) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.guards(hash))
    }

    /// The value of an entry that has gone is the cut's.
    #[cold]
    pub(super) fn hand_over(&mut self, hash: u64, value: V) {
        if let Some(cut) = &mut self.cut {
            cut.hand_over(hash, value);
        }
    }

    /// An entry is about to lose its value, which is kept first if it is guarded.
    #[cold]
    pub(super) fn keep_guarded(&mut self, hash: u64) {
        self.with_cut(|cut, table| cut.keep_guarded(table, hash));
    }

    /// Takes away the next piece of what was kept.
    pub fn take_kept(&mut self) -> Option<Kept> {
        let cut = self.cut.as_mut()?;
        cut.pieces.take(cut.open.is_some())
    }

    /// Whether an entry is open.
    pub fn is_open(&self) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.open.is_some())
    }

    /// Whether an entry is open, or the piece that was taken away last goes on: the table's next pieces have to come next.
    pub fn is_midway(&self) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.open.is_some() || cut.pieces.goes_on)
    }

    /// Bytes that were kept and not taken away.
    pub fn kept_weight(&self) -> usize {
        self.cut.as_ref().map_or(0, |cut| cut.pieces.weight() + cut.behind.weight())
    }

    /// Bytes that large values hold for the cut, as of the last change of each.
    pub fn held_weight(&self) -> usize {
        self.cut.as_ref().map_or(0, |cut| cut.held)
    }

    /// Bytes that were kept and can be taken away now.
    pub fn ready_weight(&self) -> usize {
        self.cut.as_ref().map_or(0, |cut| cut.pieces.weight())
    }

    /// Whether a cut is under way for which there is something to keep or to take away.
    pub fn owes_kept(&self) -> bool {
        // Not by its weight: that an entry could not be kept weighs nothing.
        let is_taken = |cut: &Cut<V>| cut.pieces.is_empty() && cut.behind.is_empty();
        self.cut.as_deref().is_some_and(|cut| !(self.is_walked() && is_taken(cut)))
    }

    /// The values of entries that were deleted, of which all is kept now.
    pub fn take_done(&mut self) -> Vec<V> {
        self.cut.as_mut().map_or(Vec::new(), |cut| std::mem::take(&mut cut.done))
    }

    /// Ends the cut, walked through or not. What was kept and not taken away is lost. Gives the values of entries that were deleted.
    pub fn end_cut(&mut self) -> Vec<V> {
        let walked = self.is_walked();
        let Some(cut) = self.cut.take() else { return Vec::new() };
        self.given_up = if walked { 0 } else { self.given_up + 1 };
        cut.release(self)
    }

    /// An entry is about to be changed: its bucket is kept, and the entry itself guarded or kept when it is a large one.
    #[inline(never)]
    pub(super) fn keep_entry(&mut self, at: Position, hash: u64) {
        self.keep_bucket(at.seg, at.bucket);
        if self.cut.as_ref().is_some_and(|cut| cut.is_noted(hash)) {
            self.guard(hash);
        }
    }

    /// Keeps a bucket's entries if they are older than the cut; large ones are noted.
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
            cut.keep(&entry, |key| self.hasher.hash(key));
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
    use super::super::keeper::Mark;
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use std::collections::BTreeMap;

    /// Keeps numbers as bytes: key, value and TTL. One in eleven is large, and kept in parts: the words, then a mark a part.
    struct Numbers;

    const PART: u64 = u64::from_be_bytes(*b"the part");

    impl Numbers {
        fn parts(entry: &Ref<'_, u64>) -> u64 {
            let n = u64::from_be_bytes(entry.key().try_into().expect("8 bytes"));
            if n.is_multiple_of(11) { n % 7 } else { 0 }
        }
    }

    impl Keeper<u64> for Numbers {
        fn is_large(&self, entry: &Ref<'_, u64>) -> bool {
            Numbers::parts(entry) != 0
        }

        fn begin(&mut self, entry: &Ref<'_, u64>, kept: &mut Kept) -> Option<Mark> {
            self.keep(entry, kept);
            Some(Mark { at: [0, 0], left: Numbers::parts(entry) })
        }

        fn guard(&mut self, _value: &mut u64, _mark: Mark) -> bool {
            false
        }

        fn collect(&mut self, _: &mut u64, _: Mark, _at_once: bool, _: &mut Kept) -> Option<Mark> {
            None
        }

        fn release(&mut self, _value: &mut u64) {}

        fn go_on(&mut self, entry: &Ref<'_, u64>, mark: Mark, kept: &mut Kept) -> Option<Mark> {
            for word in [PART, u64::from_be_bytes(entry.key().try_into().expect("8 bytes")), mark.left] {
                kept.bytes.extend_from_slice(&word.to_be_bytes());
            }
            (mark.left > 1).then_some(Mark { left: mark.left - 1, ..mark })
        }

        fn keep(&mut self, entry: &Ref<'_, u64>, kept: &mut Kept) {
            let value = match entry.view() {
                View::Int(n) => n as u64,
                View::Boxed(n) => *n,
                View::Bytes(_) => panic!("no bytes here"),
            };
            let ttl = entry.expire_at().unwrap_or(0);
            kept.entries += 1;
            for word in [u64::from_be_bytes(entry.key().try_into().expect("8 bytes")), value, ttl as u64] {
                kept.bytes.extend_from_slice(&word.to_be_bytes());
            }
        }
    }

    type Model = BTreeMap<u64, (u64, u64)>;

    /// Adds pieces to a model; `midway` is the key whose parts have to come next, and how many.
    fn add(model: &mut Model, midway: &mut Option<(u64, u64)>, table: &mut Table<u64>) {
        while let Some(kept) = table.take_kept() {
            let words: Vec<u64> =
                kept.bytes.as_chunks().0.iter().map(|word| u64::from_be_bytes(*word)).collect();
            for entry in words.as_chunks::<3>().0 {
                if let Some((key, left)) = *midway {
                    assert_eq!(*entry, [PART, key, left], "parts stay together");
                    *midway = (left > 1).then_some((key, left - 1));
                    continue;
                }
                let [key, value, ttl] = *entry;
                assert!(model.insert(key, (value, ttl)).is_none(), "kept twice");
                *midway = (key.is_multiple_of(11) && key % 7 != 0).then_some((key, key % 7));
            }
            assert_eq!(kept.goes_on, midway.is_some());
            assert!(table.is_midway() || midway.is_none());
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
                let (expected, mut found, mut midway) = (model.clone(), Model::new(), None);
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
                    if through || xorshift(&mut rng).is_multiple_of(2) {
                        add(&mut found, &mut midway, &mut table);
                    }
                    if through || (gives_up && xorshift(&mut rng).is_multiple_of(20)) {
                        if through {
                            assert_eq!((midway, table.kept_weight()), (None, 0));
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
        let kept = |table: &mut Table<u64>| {
            std::iter::from_fn(|| table.take_kept()).map(|kept| kept.entries).sum::<u64>()
        };
        assert_eq!(kept(&mut table), 200);
        table.end_cut();
        for _ in 0..700 {
            table.begin_cut(Box::new(Numbers));
            while !table.cut_slice(64) {}
            assert_eq!(kept(&mut table), 200);
            table.end_cut();
        }
    }
}
