//! A segment: the buckets of all hashes that begin with its prefix.
//!
//! ```text
//! | head, 128 bytes | bucket 0 | bucket 1 | ... | bucket n-1 |        n = 1 .. 64 (more only under a flood of equal hashes)
//! hash: | prefix: depth bits | window: 10 bits | ......................... | fingerprint: 8 bits |
//! tag of a slot: 19 bits of the hash from the last multiple of 10 at or below depth, so it always holds the window
//! ```
//! An entry's home bucket is `window * n >> 10`: buckets lie in hash order whatever n is, which is what makes SCAN's cursors
//! positions in hash space. When the home bucket is full the entry goes to the next one with a free place (wrapping around,
//! at most [`PROBES`] buckets in all), and every full bucket on the way counts it in `overflow`; a search goes on only while
//! that count is not 0, and a removal takes the counts back, so there are no tombstones.
//!
//! SAFETY contract: a [`Seg`] is made for a live, initialised segment; it is used only until the segment is freed or moved.

use super::bucket::{Bucket, BucketRef, PLACES, Slot, TAG_BITS, prefetch};
use std::ops::Range;

/// Buckets that an entry may lie in, counted from its home.
pub const PROBES: usize = 8;
/// So many buckets before its turn a pass sends for a bucket; half as many before it, for its entries.
const BUCKETS_AHEAD: usize = 4;
/// Longest prefix, bits: four billion segments.
pub const MAX_DEPTH: u32 = 32;
/// Bits of hash that choose the home bucket.
pub const WINDOW: u32 = 10;
/// Buckets at which a segment splits instead of growing. Small under test, so that tests reach great depths.
pub const FULL_BUCKETS: usize = if cfg!(test) { 8 } else { 64 };
/// Buckets that the window can tell apart.
pub const MAX_BUCKETS: usize = (1 << WINDOW) - 1;
/// Tags start at multiples of this many bits.
const TAG_STEP: u32 = TAG_BITS - WINDOW + 1;
/// No entry expires.
pub const NEVER: i64 = i64::MAX;

// The overflow count is a u8: it cannot saturate when this holds.
const _: () = assert!((PROBES - 1) * PLACES < 256);

/// The first bytes of a segment.
#[repr(C, align(128))]
pub struct Head {
    /// The hash bits that all entries begin with, at the top; the rest 0.
    pub prefix: u64,
    /// No entry expires before this, unix ms.
    pub min_expire: i64,
    /// The same for what the current expiry pass has seen.
    pub pass_min: i64,
    pub len: u32,
    pub buckets: u16,
    pub depth: u8,
    /// Whether the block is one of its own; the pool's.
    pub lone: bool,
}

const _: () = assert!(size_of::<Head>() == 128);
const DEPTH_MASK: usize = 127;
const BUCKETS_SHIFT: u32 = 48;

/// Bytes of a segment.
pub const fn bytes(buckets: usize) -> usize {
    size_of::<Head>() + buckets * size_of::<Bucket>()
}

/// The first bit of the tags in a segment of this depth.
#[inline]
fn tag_base(depth: u32) -> u32 {
    depth - depth % TAG_STEP
}

/// A segment's address with its depth and bucket count around it: all that a search needs to know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seg(*mut Head);

/// What prefix and tags of a segment say of the hashes of its slots.
#[derive(Clone, Copy)]
pub struct Knower {
    above: u64,
    base: u32,
}

impl Knower {
    /// The hash as far as it is known; the bits below are 0.
    #[inline]
    pub fn hash(self, slot: Slot) -> u64 {
        self.above | u64::from(slot.tag()) << (64 - TAG_BITS) >> self.base
    }
}

impl Seg {
    /// # Safety
    /// `head` is a live, initialised segment and stays so while the handle or a copy of it is used.
    pub unsafe fn from_head(head: *mut Head) -> Self {
        // SAFETY: the caller's promise.
        let (depth, buckets) = unsafe { ((*head).depth, (*head).buckets) };
        Seg(head.map_addr(|a| a | usize::from(depth) | usize::from(buckets) << BUCKETS_SHIFT))
    }

    /// Writes an empty segment.
    ///
    /// # Safety
    /// `head` is valid for `bytes(buckets)` bytes, aligned to 128, and nobody else's; its `lone` is set.
    pub unsafe fn init(
        head: *mut Head,
        buckets: usize,
        (prefix, depth): (u64, u32),
        min_expire: i64,
        version: u8,
    ) -> Self {
        assert!(depth <= MAX_DEPTH && buckets <= MAX_BUCKETS);
        // SAFETY: the caller's promise.
        unsafe {
            let lone = (*head).lone;
            head.write(Head {
                prefix,
                min_expire,
                pass_min: min_expire,
                len: 0,
                buckets: buckets as u16,
                depth: depth as u8,
                lone,
            });
            for i in 0..buckets {
                let bucket = head.add(1).cast::<Bucket>().add(i);
                BucketRef::init(bucket, version);
                prefetch(bucket.cast::<u8>().add(64));
            }
            Self::from_head(head)
        }
    }

    #[inline]
    pub fn depth(self) -> u32 {
        (self.0.addr() & DEPTH_MASK) as u32
    }

    #[inline]
    pub fn buckets(self) -> usize {
        self.0.addr() >> BUCKETS_SHIFT
    }

    #[inline]
    pub fn head_ptr(self) -> *mut Head {
        self.0.map_addr(|a| a & ((1 << BUCKETS_SHIFT) - 1) & !DEPTH_MASK)
    }

    #[inline]
    pub fn head<'a>(self) -> &'a Head {
        // SAFETY: the segment is live; references to its head never outlive the expression that made them.
        unsafe { &*self.head_ptr() }
    }

    #[inline]
    pub fn head_mut<'a>(self) -> &'a mut Head {
        // SAFETY: as in `head`.
        unsafe { &mut *self.head_ptr() }
    }

    #[inline]
    pub fn bucket(self, i: usize) -> BucketRef {
        debug_assert!(i < self.buckets());
        // SAFETY: the segment is live and has that many buckets.
        unsafe { BucketRef::from_raw(self.head_ptr().add(1).cast::<Bucket>().add(i)) }
    }

    /// The home bucket of a hash. Only the bits down to the window's end count.
    #[inline]
    pub fn home(self, hash: u64) -> usize {
        let window = (hash << self.depth()) >> (64 - WINDOW);
        (window as usize * self.buckets()) >> WINDOW
    }

    /// The bucket `i` steps after `home`.
    #[inline]
    pub fn probe(self, home: usize, i: usize) -> usize {
        let b = home + i;
        if b < self.buckets() { b } else { b - self.buckets() }
    }

    /// How many buckets an entry may lie in.
    #[inline]
    pub fn probes(self) -> usize {
        PROBES.min(self.buckets())
    }

    /// The tag that a slot for this hash has here.
    #[inline]
    pub fn tag(self, hash: u64) -> u32 {
        (hash << tag_base(self.depth()) >> (64 - TAG_BITS)) as u32
    }

    /// Whether the tags here hold all that tags of a segment of `depth` need.
    pub fn tags_reach(self, depth: u32) -> bool {
        tag_base(depth) <= tag_base(self.depth())
    }

    /// What this segment knows of its slots' hashes.
    #[inline]
    pub fn knower(self) -> Knower {
        let base = tag_base(self.depth());
        Knower { above: self.head().prefix & !(u64::MAX >> base), base }
    }

    /// What prefix and tag say of a slot's hash; bits that neither knows are 0. Always good for [`Seg::home`].
    #[inline]
    pub fn known_hash(self, slot: Slot) -> u64 {
        self.knower().hash(slot)
    }

    /// The first hash past this segment's; `None` at the end of hash space.
    pub fn end(self) -> Option<u64> {
        match self.depth() {
            0 => None,
            depth => self.head().prefix.checked_add(1 << (64 - depth)),
        }
    }

    /// The first hash whose home is bucket `i`; `None` at the end of hash space.
    pub fn bucket_start(self, i: usize) -> Option<u64> {
        if i >= self.buckets() {
            return self.end();
        }
        let window = (i << WINDOW).div_ceil(self.buckets()) as u64;
        Some(self.head().prefix | window << (64 - WINDOW) >> self.depth())
    }

    /// Puts an entry into the first free place from its home on; `None` when there is none in reach. Counting it in the
    /// head's `len` is the caller's.
    #[inline]
    pub fn place(self, hash: u64, fp: u8, slot: Slot) -> Option<(usize, usize)> {
        let home = self.home(hash);
        for i in 0..self.probes() {
            let b = self.probe(home, i);
            let bucket = self.bucket(b);
            let Some(place) = bucket.free_places().next() else { continue };
            bucket.set(place, fp, slot);
            for passed in 0..i {
                self.bucket(self.probe(home, passed)).pass();
            }
            return Some((b, place));
        }
        None
    }

    /// Frees a place; the entry itself is the caller's.
    #[inline]
    pub fn unplace(self, b: usize, place: usize) {
        let bucket = self.bucket(b);
        let mut i = self.home(self.known_hash(bucket.slot(place)));
        bucket.clear(place);
        while i != b {
            self.bucket(i).unpass();
            i = self.probe(i, 1);
        }
        self.head_mut().len -= 1;
    }

    /// Notes that an entry expires at `at`.
    #[inline]
    pub fn note_expire(self, at: i64) {
        let head = self.head_mut();
        head.min_expire = head.min_expire.min(at);
        head.pass_min = head.pass_min.min(at);
    }

    /// The fingerprints and slots of the buckets in `range`, with their bucket and place.
    pub fn slots(self, range: Range<usize>) -> impl Iterator<Item = (usize, usize, Slot)> {
        range.flat_map(move |b| {
            let bucket = self.bucket(b);
            bucket.occupied().map(move |place| (b, place, bucket.slot(place)))
        })
    }

    /// In a pass through all buckets, before it is at bucket `b`: sends for a bucket further on, and has `fetch` send for the entries of one
    /// between.
    #[inline]
    pub fn fetch_ahead(self, b: usize, fetch: impl Fn(Slot)) {
        if b + BUCKETS_AHEAD < self.buckets() {
            self.bucket(b + BUCKETS_AHEAD).prefetch();
            let near = b + BUCKETS_AHEAD / 2;
            self.slots(near..near + 1).for_each(|(.., slot)| fetch(slot));
        }
    }

    /// Which half of the segment a hash belongs to.
    #[inline]
    pub fn half(self, hash: u64) -> usize {
        (hash << self.depth() >> 63) as usize
    }
}
