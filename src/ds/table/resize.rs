//! Growing, splitting, shrinking and merging segments.
//!
//! A segment is never changed in place: its slots move to one or two new segments, and the old one is freed. The work is
//! bounded by a segment's places. Sizes, in buckets: 1, 2, 4, 8, ... in steps of 4, each at least an eighth up from 32 on, to
//! 64; then two of about 36. After a step a segment is at most [`FILL_PERCENT`] full.

use super::bucket::PLACES;
use super::pool::{Pool, SIZE_STEP, STACKED_MIN};
use super::segment::{FULL_BUCKETS, MAX_BUCKETS, MAX_DEPTH, NEVER, Seg};
use super::{Directory, Table};

/// How full a new segment may be.
const FILL_PERCENT: usize = 82;
/// A segment with less in it is shrunk or merged.
const SPARSE_PERCENT: usize = 30;
/// Two segments are merged when both fit into this many buckets.
const MERGED_BUCKETS: usize = STACKED_MIN;

/// The size above `buckets`.
fn size_above(buckets: usize) -> usize {
    let least = buckets + (buckets / 8).max(1);
    if least <= 2 { least } else { least.next_multiple_of(SIZE_STEP) }
}

/// The least size for `len` entries.
fn size_for(len: usize) -> usize {
    let buckets = (len * 100).div_ceil(PLACES * FILL_PERCENT).max(1);
    if buckets <= 2 { buckets } else { buckets.next_multiple_of(SIZE_STEP) }
}

impl<V> Table<V> {
    /// The first segment.
    pub(super) fn start(&mut self) {
        let head = self.pool.alloc(1);
        // SAFETY: the pool sized the block for one bucket.
        let seg = unsafe { Seg::init(head, 1, 0, 0, NEVER) };
        self.dir.start(seg);
        self.segments = 1;
    }

    /// Makes room in a segment where some hash found no place.
    #[cold]
    pub(super) fn grow(&mut self, seg: Seg) {
        let depth = seg.depth();
        if seg.buckets() < FULL_BUCKETS || depth == MAX_DEPTH {
            self.rebuild(&[seg], depth, size_above(seg.buckets()));
        } else {
            self.rebuild(&[seg], depth + 1, STACKED_MIN);
        }
    }

    /// After removals: gives memory back once a segment is sparse. Handles of segments are void after it.
    pub(super) fn shrink_if_sparse(&mut self, seg: Seg) {
        if self.len == 0 {
            return self.clear_segments();
        }
        let len = seg.head().len as usize;
        if len * 100 < seg.buckets() * PLACES * SPARSE_PERCENT {
            self.shrink(seg);
        }
    }

    #[cold]
    fn shrink(&mut self, seg: Seg) {
        let prefix = seg.head().prefix;
        let least = if seg.depth() == 0 { 1 } else { STACKED_MIN };
        let fitting = size_for(seg.head().len as usize).max(least);
        if fitting * 4 <= seg.buckets() * 3 {
            self.rebuild(&[seg], seg.depth(), fitting);
        }
        while self.merge(prefix) {}
    }

    /// Merges the segment at `hash` with its buddy if both are small.
    fn merge(&mut self, hash: u64) -> bool {
        let seg = self.dir.lookup(hash);
        let Some(depth) = seg.depth().checked_sub(1) else { return false };
        let prefix = seg.head().prefix;
        let buddy = self.dir.lookup(prefix ^ 1 << (63 - depth));
        let together = (seg.head().len + buddy.head().len) as usize;
        if buddy.depth() != seg.depth()
            || size_for(together) > MERGED_BUCKETS
            || !self.dir.reaches(hash, depth)
        {
            return false;
        }
        self.rebuild(&[seg, buddy], depth, size_for(together).max(STACKED_MIN));
        self.dir.shrink(prefix);
        true
    }

    /// Replaces `old` (a segment, or two buddies) by one segment, or two halves if `depth` is one more than theirs, of at
    /// least `least` buckets each.
    fn rebuild(&mut self, old: &[Seg], depth: u32, least: usize) {
        let first = old[0];
        let prefix = first.head().prefix & !(u64::MAX >> depth);
        let min_expire = old.iter().map(|s| s.head().min_expire).min().unwrap_or(NEVER);
        let parts = if depth > first.depth() { 2 } else { 1 };
        let mut sizes = [least; 2];
        if parts == 2 {
            let mut lens = [0; 2];
            first
                .slots(0..first.buckets())
                .for_each(|(.., slot)| lens[first.half(first.known_hash(slot))] += 1);
            sizes = lens.map(|len| size_for(len).max(least));
            self.dir.deepen(prefix, depth);
        }
        let new = loop {
            let new: Vec<Seg> = (0..parts)
                .map(|i| {
                    let prefix = if i == 0 { prefix } else { prefix | 1 << (64 - depth) };
                    let head = self.pool.alloc(sizes[i]);
                    // SAFETY: the pool sized the block.
                    unsafe { Seg::init(head, sizes[i], prefix, depth, min_expire) }
                })
                .collect();
            if old.iter().all(|s| s.transfer(&new, |slot| self.hash(slot.entry().key()))) {
                break new;
            }
            // Out of reach somewhere: the segment that failed may be either, so both get more room.
            for seg in new.into_iter().rev() {
                // SAFETY: nothing points to it yet. Freed in reverse order, it is the last of its size: none moves.
                let moved = unsafe { self.pool.free(seg.head_ptr(), seg.buckets()) };
                debug_assert!(moved.is_none());
            }
            sizes = sizes.map(size_above);
            assert!(
                sizes[0].max(sizes[1]) <= MAX_BUCKETS,
                "more than 64 keys share 42 bits of hash: the seed is known"
            );
        };
        new.iter().for_each(|&seg| self.dir.set(seg));
        self.segments = self.segments + new.len() - old.len();
        self.free_segments(old);
    }

    /// Frees segments that the directory no longer names.
    fn free_segments(&mut self, old: &[Seg]) {
        let mut rest: [Option<Seg>; 2] = [old.first().copied(), old.get(1).copied()];
        while let Some(seg) = rest[0].take() {
            rest.swap(0, 1);
            // SAFETY: nothing names the segment any more.
            let Some(from) = (unsafe { self.pool.free(seg.head_ptr(), seg.buckets()) }) else { continue };
            // SAFETY: the pool moved a live segment here.
            let moved = unsafe { Seg::from_head(seg.head_ptr()) };
            match rest[0] {
                Some(next) if next.head_ptr() == from => rest[0] = Some(moved),
                _ => self.dir.set(moved),
            }
        }
    }

    /// The last entry is gone: so is all memory.
    fn clear_segments(&mut self) {
        let segments: Vec<Seg> = self.all_segments().collect();
        for seg in segments {
            if Pool::is_lone(seg.buckets()) {
                // SAFETY: the segment came from the pool and the directory that names it is dropped below.
                unsafe { self.pool.free(seg.head_ptr(), seg.buckets()) };
            }
        }
        self.pool = Pool::default();
        self.dir = Directory::new();
        self.segments = 0;
    }
}
