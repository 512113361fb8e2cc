//! Walking the table: SCAN, iteration, random entries.

use super::bucket::PLACES;
use super::segment::Seg;
use super::{Ref, Table};

/// A cursor is the top bits of a hash; these are below it.
const CURSOR_SHIFT: u32 = 16;
/// Places looked at before a random pick settles for the next entry in sight.
const RANDOM_TRIES: usize = 64;
/// Buckets looked at for each entry that a sample asks for.
const SAMPLE_BUCKETS: usize = 4;

impl<V> Table<V> {
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
            // The low bits are neither in the prefix nor in the window.
            let place = (hash & 0xFFFF) as usize * PLACES >> 16;
            let bucket = seg.bucket(seg.home(hash));
            if bucket.occupied().any(|p| p == place) {
                // SAFETY: the entry is this table's, which is borrowed.
                return Some(unsafe { Ref::new(bucket.slot(place).entry()) });
            }
        }
        let mut found = None;
        self.walk_from(rng(), usize::MAX, |entry| {
            found = Some(entry);
            false
        });
        found
    }

    /// Up to `n` entries that lie together behind the hash position `r`. Looks at some `4 n` buckets.
    pub fn sample(&self, r: u64, n: usize, f: &mut dyn FnMut(Ref<'_, V>)) {
        let mut left = n;
        if self.len == 0 || n == 0 {
            return;
        }
        self.walk_from(r, n.saturating_mul(SAMPLE_BUCKETS), |entry| {
            f(entry);
            left -= 1;
            left != 0
        });
    }

    /// Gives entries to `f` from the bucket at `hash` on, once around at most, while it returns true and for no more than
    /// `buckets` buckets.
    fn walk_from<'a>(&'a self, hash: u64, buckets: usize, mut f: impl FnMut(Ref<'a, V>) -> bool) {
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
                for (.., slot) in seg.slots(b..b + 1) {
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
