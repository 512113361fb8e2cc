//! Walking the table: SCAN, iteration, random entries.

use super::bucket::{PLACES, prefetch};
use super::segment::Seg;
use super::{Ref, Table};
use crate::ds::heap::Blocks;

/// A cursor is the top bits of a hash; these are below it.
pub(super) const CURSOR_SHIFT: u32 = 16;
/// Places looked at before a random pick settles for the next entry in sight.
const RANDOM_TRIES: usize = 64;
/// Buckets looked at for each entry that a sample asks for.
const SAMPLE_BUCKETS: usize = 4;

/// A place in a bucket, from a random number whose high bits choose the bucket: the low ones are neither in the prefix nor in
/// the window.
fn random_place(r: u64) -> usize {
    ((r & 0xFFFF) as usize * PLACES) >> 16
}

impl<V, B: Blocks> Table<V, B> {
    /// Emits the entries of one home bucket and returns the cursor of the next; start with 0, 0 means done. Cursors are below
    /// 2^48, and any number is a valid one. An entry present during a whole scan is emitted at least once.
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(Ref<'_, V>)) -> u64 {
        if self.len == 0 {
            return 0;
        }
        let hash = cursor << CURSOR_SHIFT;
        let seg = self.dir.lookup(hash);
        let home = seg.home(hash);
        let mut b = home;
        for _ in 0..seg.probes() {
            for (.., slot) in seg.slots(b..b + 1) {
                if seg.home(seg.known_hash(slot)) == home {
                    // SAFETY: the entry is this table's, which is borrowed.
                    f(unsafe { Ref::new(slot.entry()) });
                }
            }
            if seg.bucket(b).overflow() == 0 {
                break;
            }
            b = seg.probe(b, 1);
        }
        seg.bucket_start(home + 1).map_or(0, |hash| hash >> CURSOR_SHIFT)
    }

    /// All entries, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = Ref<'_, V>> {
        self.all_segments().flat_map(|seg| {
            seg.slots(0..seg.buckets()).map(|(.., slot)| {
                // SAFETY: the entry is this table's, which is borrowed.
                unsafe { Ref::new(slot.entry()) }
            })
        })
    }

    /// An entry, nearly uniformly at random; `None` when the table is empty. Looks at no more than some dozens of places while
    /// the table is not sparse, and walks on to the next entry when it is.
    pub fn random(&self, mut rng: impl FnMut() -> u64) -> Option<Ref<'_, V>> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..RANDOM_TRIES {
            let hash = rng();
            let seg = self.dir.lookup(hash);
            let place = random_place(hash);
            let bucket = seg.bucket(seg.home(hash));
            if bucket.occupied().any(|p| p == place) {
                // SAFETY: the entry is this table's, which is borrowed.
                return Some(unsafe { Ref::new(bucket.slot(place).entry()) });
            }
        }
        let mut found = None;
        self.walk_from(rng(), 0, usize::MAX, |entry| {
            found = Some(entry);
            false
        });
        found
    }

    /// Up to `n` entries that lie together behind the place that `r` names: every place is as likely as the others, for new
    /// entries take the first free ones. Looks at some `4 n` buckets.
    pub fn sample(&self, r: u64, n: usize, f: &mut dyn FnMut(Ref<'_, V>)) {
        let mut left = n;
        if self.len == 0 || n == 0 {
            return;
        }
        self.walk_from(r, random_place(r), n.saturating_mul(SAMPLE_BUCKETS), |entry| {
            f(entry);
            left -= 1;
            left != 0
        });
    }

    /// Fetches what [`Table::sample`] of the same `r` will read; reads its bucket.
    pub fn prefetch_sample(&self, r: u64, n: usize) {
        if self.len == 0 {
            return;
        }
        let seg = self.dir.lookup(r);
        let b = seg.home(r);
        let (bucket, first) = (seg.bucket(b), random_place(r));
        let places = bucket.occupied().filter(|place| *place >= first).take(n);
        let fetched = places.map(|place| prefetch(bucket.slot(place).entry().as_ptr())).count();
        if fetched < n && b + 1 < seg.buckets() {
            let next = seg.bucket(b + 1);
            next.occupied().take(n - fetched).for_each(|place| prefetch(next.slot(place).entry().as_ptr()));
        }
    }

    /// Gives entries to `f` from this place of the bucket at `hash` on, once around at most, while it returns true and for no
    /// more than `buckets` buckets.
    fn walk_from<'a>(
        &'a self,
        hash: u64,
        place: usize,
        buckets: usize,
        mut f: impl FnMut(Ref<'a, V>) -> bool,
    ) {
        let mut first = place;
        let mut seg: Seg = self.dir.lookup(hash);
        let mut b = seg.home(hash);
        let mut left = buckets;
        // One more than there are: the first segment is entered in its middle and left at its end.
        for _ in 0..=self.segments {
            while b < seg.buckets() {
                if left == 0 {
                    return;
                }
                left -= 1;
                let from = std::mem::take(&mut first);
                for (.., slot) in seg.slots(b..b + 1).filter(|(_, place, _)| *place >= from) {
                    // SAFETY: the entry is this table's, which is borrowed.
                    if !f(unsafe { Ref::new(slot.entry()) }) {
                        return;
                    }
                }
                b += 1;
            }
            seg = self.dir.lookup(seg.end().unwrap_or(0));
            b = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Payload;
    use super::*;
    use std::collections::HashSet;

    fn rng(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn put(table: &mut Table<()>, n: u64) {
        let key = n.to_be_bytes();
        table.upsert(table.hash(&key), &key, Payload::Int(n as i64), None);
    }

    fn remove(table: &mut Table<()>, n: u64) {
        let key = n.to_be_bytes();
        let hash = table.hash(&key);
        if let Some(found) = table.get_mut(hash, &key) {
            found.delete();
        }
    }

    fn number(entry: &Ref<'_, ()>) -> u64 {
        u64::from_be_bytes(entry.key().try_into().expect("keys here have 8 bytes"))
    }

    /// Redis's guarantee: what is there from start to end of a scan is emitted, while the table grows, shrinks and churns.
    #[test]
    fn scan_misses_nothing_that_stays() {
        let scale = if cfg!(miri) { 1 } else { 40 };
        for seed in 0..8 {
            let mut state = seed;
            let mut table = Table::<()>::new(seed);
            let stay = 50 * scale * (1 + seed % 3);
            let others = 500 * scale;
            (0..stay).for_each(|n| put(&mut table, n));
            if seed % 2 == 0 {
                (stay..stay + others).for_each(|n| put(&mut table, n));
            }
            let (mut seen, mut cursor, mut steps) = (HashSet::new(), 0, 0);
            loop {
                cursor = table.scan(cursor, &mut |entry| {
                    seen.insert(number(&entry));
                });
                assert!(cursor < 1 << 48);
                if cursor == 0 {
                    break;
                }
                steps += 1;
                assert!(steps < 100 * others, "it ends");
                for _ in 0..rng(&mut state) % 40 {
                    let n = stay + rng(&mut state) % others;
                    // Even seeds shrink, odd ones grow.
                    if rng(&mut state).is_multiple_of(4) == seed.is_multiple_of(2) {
                        put(&mut table, n);
                    } else {
                        remove(&mut table, n);
                    }
                }
            }
            assert!((0..stay).all(|n| seen.contains(&n)), "seed {seed}");
        }
    }

    #[test]
    fn scan_of_a_still_table_emits_once() {
        let mut table = Table::<()>::new(1);
        assert_eq!(table.scan(0, &mut |_| panic!("nothing is there")), 0);
        (0..5_000).for_each(|n| put(&mut table, n));
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            cursor = table.scan(cursor, &mut |entry| seen.push(number(&entry)));
            if cursor == 0 {
                break;
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..5_000).collect::<Vec<_>>());
        // Cursors that no scan gave are valid.
        let mut state = 3;
        for _ in 0..1_000 {
            assert!(table.scan(rng(&mut state) >> 16, &mut |_| ()) < 1 << 48);
        }
    }

    #[test]
    fn random_reaches_all_and_is_nearly_even() {
        let mut table = Table::<()>::new(5);
        assert!(table.random(|| 0).is_none());
        let mut state = 9;
        for keys in [1u64, 7, 300, 2_000] {
            (0..keys).for_each(|n| put(&mut table, n));
            let mut counts = vec![0u32; keys as usize];
            for _ in 0..keys * 100 {
                let entry = table.random(|| rng(&mut state)).expect("it is not empty");
                counts[number(&entry) as usize] += 1;
            }
            assert!(counts.iter().all(|&n| (20..400).contains(&n)), "{keys}: {counts:?}");
        }
        // A sparse table: all but one key gone.
        (1..2_000).for_each(|n| remove(&mut table, n));
        assert_eq!(table.random(|| 0).map(|entry| number(&entry)), Some(0));
    }

    #[test]
    fn samples_reach_every_place() {
        let mut table = Table::<()>::new(5);
        (0..3_000).for_each(|n| put(&mut table, n));
        let (mut state, mut counts) = (1, vec![0; 3_000]);
        for _ in 0..60_000 {
            table.sample(rng(&mut state), 5, &mut |entry| counts[number(&entry) as usize] += 1);
        }
        assert!(counts.iter().all(|&n| (20..400).contains(&n)), "{counts:?}");
    }

    #[test]
    fn samples_have_the_size_asked_for() {
        let mut table = Table::<()>::new(5);
        table.sample(0, 5, &mut |_| panic!("nothing is there"));
        (0..3_000).for_each(|n| put(&mut table, n));
        let mut state = 1;
        for n in 0..200 {
            let mut seen = HashSet::new();
            table.sample(rng(&mut state), n % 20, &mut |entry| assert!(seen.insert(number(&entry))));
            assert_eq!(seen.len(), n % 20);
        }
    }
}
