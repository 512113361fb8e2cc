//! The keyspace of one database: a hash table that never pauses to grow.
//!
//! ```text
//! hash of the key, 64 bits:  | directory ......... | window 10 | ........ | fingerprint 8 |
//!                                   |                   |                        |
//!  directory (2 levels)             v                   v                        v
//!  +---+---+---+---+---+        segment: head, 1..64 buckets            bucket: 128 bytes
//!  | . | . | . | . | . | ---->  | h | b0 | b1 | b2 | ... | ---->  | 14 fingerprints | 14 slots | ----> entry
//!  +---+---+---+---+---+
//! ```
//! Extendible hashing: the hash's top bits choose a segment, the next ones a bucket in it. A segment that is full first grows
//! by four buckets, and at 64 splits in two; either touches at most some 900 slots, and reads no entry but for one split in ten.
//! So no insert pauses, and memory follows the number of keys in small steps instead of doubling: a bucket's 128
//! bytes serve some 12 entries. Removals shrink and merge segments the same way; an empty table holds nothing.
//!
//! Everything lies in hash order: a SCAN cursor is a position in hash space (its top 48 bits) and a scan step emits one home
//! bucket, so an element that is there from start to end is emitted whatever grows or shrinks meanwhile.
//!
//! | cost | |
//! |---|---|
//! | get | directory (cached), 2 lines of the bucket, 1-2 lines of the entry |
//! | memory | 16-byte key, 32-byte value: 56 for the entry, 11 for its place; resident 67.7-69.1 a key at any size from 1 M to 10 M |
//! | longest insert | a split: 14 us (p50), 51 us (p99) while growing to 10 M keys on a busy virtual machine |
//!
//! | file | |
//! |---|---|
//! | `bucket` | 14 places and the SIMD probe |
//! | `segment` | placing, removing, moving slots among buckets |
//! | `pool`, `chunks` | memory of segments |
//! | `directory` | from a hash to its segment |
//! | `resize` | growing, splitting, shrinking, merging |
//! | `transfer` | moving slots into new segments |
//! | `access` | `Mut`: an entry being changed |
//! | `walk` | SCAN, iteration, sampling |
//! | `expire` | active expiry in slices |
//! | `pick` | samples, a hand that goes round, lookups by hash: for eviction |
//! | `cut`, `large` | the table of one instant, for snapshots; the large entries of it |
//! | `keeper`, `kept` | who puts that into another form, and what has been |
//!
//! SAFETY contract of the folder: a table owns all its segments and entries alone. Handles to them ([`Seg`], `BucketRef`,
//! [`Entry`]) are made from what the table holds and dropped before anything that could free or move their target; what
//! leaves the folder (`Ref`, `Mut`) borrows the table. All boxed values have type `V`.

mod access;
mod bucket;
mod chunks;
mod cut;
mod directory;
mod expire;
mod keeper;
mod kept;
mod large;
mod pick;
mod pool;
mod resize;
mod segment;
mod transfer;
mod walk;

pub use super::entry::Ref;
pub use access::Mut;
pub use expire::Last;
pub use keeper::{Each, Keeper, Mark, Walked};
pub use kept::Kept;
pub use large::Passed;
pub use pick::{ClockHand, STEPS_PER_ROUND};

use super::entry::{Entry, Payload};
use super::heap::{Blocks, Heap};
use ahash::RandomState;
pub(super) use bucket::prefetch;
use bucket::{Slot, fingerprint};
use cut::Cut;
use directory::Directory;
use pool::Pool;
use segment::{PROBES, Seg};
use std::hash::{BuildHasher, Hasher};
use std::marker::PhantomData;

/// The keyspace of one database, or the members of one large value. `V` is what does not fit into an entry, `B` where the
/// entries come from. See the module's text.
pub struct Table<V, B: Blocks = Heap> {
    dir: Directory,
    pool: Pool,
    heap: B,
    hasher: KeyHasher,
    len: usize,
    /// Entries with a TTL.
    expires: usize,
    /// Entries that hold a `V`.
    boxed: usize,
    segments: usize,
    /// A cut under way.
    cut: Option<Box<Cut<V>>>,
    /// What buckets of this moment are marked with.
    version: u8,
    /// Cuts given up since the last that was walked through.
    given_up: u8,
    values: PhantomData<V>,
}

// SAFETY: a table owns all that it points to; the V's in it are its own.
unsafe impl<V: Send, B: Blocks> Send for Table<V, B> {}

/// How keys are hashed: alike in all tables of one seed, so that a hash can be taken before the table is at hand.
#[derive(Clone)]
pub struct KeyHasher(RandomState);

impl KeyHasher {
    /// The hasher of the tables of this seed.
    pub fn new(seed: u64) -> Self {
        let word = |i: u64| {
            let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ z >> 31
        };
        KeyHasher(RandomState::with_seeds(word(1), word(2), word(3), word(4)))
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

/// Where an entry lies.
#[derive(Clone, Copy)]
struct Position {
    seg: Seg,
    bucket: usize,
    place: usize,
}

impl Position {
    #[inline]
    fn slot(self) -> Slot {
        self.seg.bucket(self.bucket).slot(self.place)
    }
}

/// The shape of a table, for DEBUG HTSTATS.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub entries: usize,
    pub segments: usize,
    /// Places for entries.
    pub capacity: usize,
    /// Places for segments.
    pub directory: usize,
    /// By distance from the home bucket: how many entries.
    pub distances: [usize; PROBES],
}

impl<V, B: Blocks> Table<V, B> {
    /// An empty table, which holds no memory. The seed is the hash's secret: take it from the system's randomness, or fix it
    /// for a simulation.
    pub fn new(seed: u64) -> Self {
        Table {
            dir: Directory::new(),
            pool: Pool::default(),
            heap: B::default(),
            hasher: KeyHasher::new(seed),
            len: 0,
            expires: 0,
            boxed: 0,
            segments: 0,
            cut: None,
            version: 0,
            given_up: 0,
            values: PhantomData,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many entries have a TTL.
    #[inline]
    pub fn expires(&self) -> usize {
        self.expires
    }

    /// Bytes of blocks, segments and directory, as allocated; without what the V's hold elsewhere.
    pub fn bytes(&self) -> usize {
        self.heap.live_bytes() + self.pool.bytes() + self.dir.bytes()
    }

    /// Bytes of segments and directory: what the table takes beside its entries.
    pub fn index_bytes(&self) -> usize {
        self.pool.bytes() + self.dir.bytes()
    }

    /// Bytes that the heap of entries holds from the allocator, beyond what is in use: its fragmentation.
    pub fn heap_slack(&self) -> usize {
        self.heap.reserved_bytes() - self.heap.live_bytes()
    }

    /// Bytes held for segments beyond what they take: parts of huge pages.
    pub fn index_slack(&self) -> usize {
        self.pool.slack()
    }

    /// The hash of a key: callers compute it once and pass it on.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    /// Fetches the lines of the key's bucket.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if self.len != 0 {
            let seg = self.dir.lookup(hash);
            seg.bucket(seg.home(hash)).prefetch();
        }
    }

    /// Fetches the first two lines of the entry that may be the key's; reads its bucket. When it can only lie beyond that one: fetches
    /// the next bucket instead, and says so.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) -> bool {
        if self.len == 0 {
            return false;
        }
        let seg = self.dir.lookup(hash);
        let home = seg.home(hash);
        let bucket = seg.bucket(home);
        if let Some(place) = bucket.matches(fingerprint(hash)).next() {
            bucket.slot(place).entry().prefetch();
            return false;
        }
        let is_beyond = bucket.overflow() != 0;
        if is_beyond {
            seg.bucket(seg.probe(home, 1)).prefetch();
        }
        is_beyond
    }

    /// Fetches the entry that may be the key's in the bucket beyond its own, as most are that lie beyond at all.
    #[inline]
    pub fn prefetch_beyond(&self, hash: u64) {
        if self.len == 0 {
            return;
        }
        let seg = self.dir.lookup(hash);
        let bucket = seg.bucket(seg.probe(seg.home(hash), 1));
        if let Some(place) = bucket.matches(fingerprint(hash)).next() {
            bucket.slot(place).entry().prefetch();
        }
    }

    #[inline(always)]
    fn find(&self, hash: u64, key: &[u8]) -> Option<(Position, Entry)> {
        debug_assert_eq!(hash, self.hash(key));
        if self.len == 0 {
            return None;
        }
        let seg = self.dir.lookup(hash);
        let (home, fp) = (seg.home(hash), fingerprint(hash));
        let bucket = seg.bucket(home);
        for place in bucket.matches(fp) {
            let entry = bucket.slot(place).entry();
            if entry.key_is(key) {
                return Some((Position { seg, bucket: home, place }, entry));
            }
        }
        if bucket.overflow() == 0 { None } else { Self::find_beyond(seg, home, fp, key) }
    }

    /// The rest of a search, beyond the home bucket: few come here.
    #[inline(never)]
    fn find_beyond(seg: Seg, home: usize, fp: u8, key: &[u8]) -> Option<(Position, Entry)> {
        for i in 1..seg.probes() {
            let b = seg.probe(home, i);
            let bucket = seg.bucket(b);
            for place in bucket.matches(fp) {
                let entry = bucket.slot(place).entry();
                if entry.key_is(key) {
                    return Some((Position { seg, bucket: b, place }, entry));
                }
            }
            if bucket.overflow() == 0 {
                return None;
            }
        }
        None
    }

    #[inline]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<Ref<'_, V>> {
        let (_, entry) = self.find(hash, key)?;
        // SAFETY: the entry is this table's, which is borrowed.
        Some(unsafe { Ref::new(entry) })
    }

    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<Mut<'_, V, B>> {
        let (at, entry) = self.find(hash, key)?;
        if self.cut.is_some() {
            self.keep_entry(at, hash);
        }
        Some(Mut::new(self, at, entry))
    }

    /// Adds a key that is absent, with access and mark 0.
    pub fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        payload: Payload<V>,
        expire: Option<i64>,
    ) -> Mut<'_, V, B> {
        debug_assert!(self.find(hash, key).is_none());
        self.boxed += usize::from(matches!(payload, Payload::Boxed(_)));
        let entry = Entry::write(&mut self.heap, key, payload, expire, 0, 0);
        if self.dir.is_empty() {
            self.start();
        }
        let at = loop {
            let seg = self.dir.lookup(hash);
            if self.cut.is_some() {
                self.keep_place(seg, hash);
            }
            let slot = Slot::new(entry, seg.tag(hash));
            match seg.place(hash, fingerprint(hash), slot) {
                Some((bucket, place)) => break Position { seg, bucket, place },
                None => self.grow(seg),
            }
        };
        at.seg.head_mut().len += 1;
        self.len += 1;
        if let Some(when) = expire {
            self.expires += 1;
            self.note_expire(at.seg, when);
        }
        Mut::new(self, at, entry)
    }

    /// Sets value and TTL (or its absence) of a key, absent or not; clears the mark. A new key's access is 0, an old one's is
    /// kept. Gives the entry, the boxed value that was replaced, and whether the key existed.
    #[inline]
    pub fn upsert_mut(
        &mut self,
        hash: u64,
        key: &[u8],
        payload: Payload<V>,
        expire: Option<i64>,
    ) -> (Mut<'_, V, B>, Option<V>, bool) {
        let Some((at, entry)) = self.find(hash, key) else {
            return (self.insert(hash, key, payload, expire), None, false);
        };
        if self.cut.is_some() {
            self.keep_entry(at, hash);
        }
        let mut found = Mut::new(self, at, entry);
        let old = found.replace(payload, expire);
        (found, old, true)
    }

    /// [`Table::upsert_mut`] without the entry.
    #[inline]
    pub fn upsert(
        &mut self,
        hash: u64,
        key: &[u8],
        payload: Payload<V>,
        expire: Option<i64>,
    ) -> (Option<V>, bool) {
        let (_, old, existed) = self.upsert_mut(hash, key, payload, expire);
        (old, existed)
    }

    #[inline]
    fn note_expire(&mut self, seg: Seg, at: i64) {
        seg.note_expire(at);
        self.dir.note_expire(seg.head().prefix, at);
    }

    /// Takes an entry out of its place. Value and block are the caller's, to take and to free.
    fn unlink(&mut self, at: Position) -> Entry {
        let entry = at.slot().entry();
        at.seg.unplace(at.bucket, at.place);
        self.len -= 1;
        self.expires -= usize::from(entry.expire_at().is_some());
        self.boxed -= usize::from(entry.is_boxed());
        entry
    }

    /// All segments in hash order.
    fn all_segments(&self) -> impl Iterator<Item = Seg> {
        let mut next = if self.dir.is_empty() { None } else { Some(0) };
        std::iter::from_fn(move || {
            let seg = self.dir.lookup(next?);
            next = seg.end();
            Some(seg)
        })
    }

    /// The table's shape; reads every bucket.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { entries: self.len, directory: self.dir.places(), ..Stats::default() };
        for seg in self.all_segments() {
            stats.segments += 1;
            stats.capacity += seg.buckets() * bucket::PLACES;
            for (b, _, slot) in seg.slots(0..seg.buckets()) {
                let home = seg.home(seg.known_hash(slot));
                let distance = if b >= home { b - home } else { b + seg.buckets() - home };
                stats.distances[distance] += 1;
            }
        }
        stats
    }

    /// How many bits of hash the directory uses at most.
    #[cfg(test)]
    pub(super) fn depth(&self) -> u32 {
        self.dir.depth()
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        self.segments
    }
}

impl<V, B: Blocks> Drop for Table<V, B> {
    fn drop(&mut self) {
        let values = self.boxed != 0 && std::mem::needs_drop::<V>();
        let segments: Vec<Seg> = self.all_segments().collect();
        for seg in segments {
            if values || self.heap.large_blocks() != 0 {
                for b in 0..seg.buckets() {
                    transfer::prefetch_ahead(seg, b, true);
                    for (.., slot) in seg.slots(b..b + 1) {
                        let entry = slot.entry();
                        // SAFETY: the table goes, so this is the last use of value and block.
                        unsafe {
                            drop(entry.take_boxed::<V>());
                            entry.free(&mut self.heap);
                        }
                    }
                }
            }
            if seg.head().lone {
                // SAFETY: the segment came from the pool; nothing uses it any more. Lone blocks move no others.
                unsafe { self.pool.free(seg.head_ptr(), seg.buckets()) };
            }
        }
    }
}
