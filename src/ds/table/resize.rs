//! Growing, splitting, shrinking and merging segments.
//!
//! A segment is never changed in place: its slots move to one or two new segments, and the old one is freed. The work is
//! bounded by a segment's places. Sizes, in buckets: 1, 2, 4, 8, 12, ... 64; then two of about 36. After a step a segment is at most [`FILL_PERCENT`] full.

use super::bucket::{PLACES, Slot};
use super::pool::{Pool, SIZE_STEP, STACKED_MIN};
use super::segment::{FULL_BUCKETS, MAX_BUCKETS, MAX_DEPTH, NEVER, Seg};
use super::transfer::{Filler, transfer, transfer_in_order};
use super::{Directory, Table};
use crate::ds::heap::Blocks;

/// How full a new segment may be.
const FILL_PERCENT: usize = 86;
/// A segment with less in it is shrunk or merged.
const SPARSE_PERCENT: usize = 30;
/// So many entries fit into a segment of any size, however close their hashes are.
const FEW: usize = PLACES * 4;
/// Two segments are merged when both fit into this many buckets.
const MERGED_BUCKETS: usize = STACKED_MIN;

/// The size above `buckets`.
fn size_above(buckets: usize) -> usize {
    if buckets == 1 { 2 } else { (buckets + 1).next_multiple_of(SIZE_STEP) }
}

/// How many buckets the entries of a segment need for themselves. Few fit anywhere; more may lie close together in hash space,
/// as when all around them has expired, and then its present size tells. Merged, each half has half of the buckets.
fn buckets_used(seg: Seg) -> usize {
    let len = seg.head().len as usize;
    match seg.buckets() {
        _ if len <= FEW => size_for(len),
        // As a split leaves it, with some room.
        buckets if buckets < FULL_BUCKETS * 3 / 4 => STACKED_MIN,
        buckets => buckets,
    }
}

/// The least size for `len` entries.
fn size_for(len: usize) -> usize {
    let buckets = (len * 100).div_ceil(PLACES * FILL_PERCENT).max(1);
    if buckets <= 2 { buckets } else { buckets.next_multiple_of(SIZE_STEP) }
}

impl<V, B: Blocks> Table<V, B> {
    /// The first segment.
    pub(super) fn start(&mut self) {
        let head = self.pool.alloc(1);
        // SAFETY: the pool sized the block for one bucket.
        let seg = unsafe { Seg::init(head, 1, (0, 0), NEVER, self.version) };
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
            || 2 * buckets_used(seg).max(buckets_used(buddy)) > FULL_BUCKETS
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
        if self.cut.is_some() {
            self.keep_segments(old);
        }
        let first = old[0];
        let prefix = first.head().prefix & !(u64::MAX >> depth);
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
        let new = self.fill(old, prefix, depth, &mut sizes[..parts]);
        new.iter().for_each(|&seg| self.dir.set(seg));
        self.segments = self.segments + new.len() - old.len();
        self.free_segments(old);
    }

    /// New segments of `sizes` buckets or more with all slots of `old`.
    fn fill(&mut self, old: &[Seg], prefix: u64, depth: u32, sizes: &mut [usize]) -> Vec<Seg> {
        let min_expire = old.iter().map(|s| s.head().min_expire).min().unwrap_or(NEVER);
        for attempt in 0.. {
            let mut new: Vec<Filler> = Vec::with_capacity(sizes.len());
            for (i, &size) in sizes.iter().enumerate() {
                let prefix = if i == 0 { prefix } else { prefix | 1 << (64 - depth) };
                // SAFETY: the pool sizes the block.
                new.push(Filler::new(unsafe {
                    Seg::init(self.pool.alloc(size), size, (prefix, depth), min_expire, self.version)
                }));
            }
            let rehash = |slot: Slot| self.hash(slot.entry().key());
            let done = match attempt {
                0 => old.iter().all(|&s| transfer(s, &mut new, rehash)),
                // What came in the order of its hashes lies in heaps, and not every order of moving finds places for one.
                _ => transfer_in_order(old, &mut new, rehash),
            };
            if done {
                return new.into_iter().map(Filler::finish).collect();
            }
            // Out of reach somewhere: the segment that failed may be either, so both get more room.
            for seg in new.into_iter().map(Filler::finish).rev() {
                // SAFETY: nothing points to it yet. Freed in reverse order, it is the last of its size: none moves.
                let moved = unsafe { self.pool.free(seg.head_ptr(), seg.buckets()) };
                debug_assert!(moved.is_none());
            }
            for size in &mut *sizes {
                *size = size_above(*size);
                assert!(*size <= MAX_BUCKETS, "more than 100 keys share 42 bits of hash: the seed is known");
            }
        }
        unreachable!("it ends with places for all, or with the assertion")
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
            if seg.head().lone {
                // SAFETY: the segment came from the pool and the directory that names it is dropped below.
                unsafe { self.pool.free(seg.head_ptr(), seg.buckets()) };
            }
        }
        self.pool = Pool::default();
        self.dir = Directory::new();
        self.segments = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Payload, View};
    use super::*;

    #[test]
    fn sizes_hold_what_they_are_for() {
        for len in 0..2_000 {
            let size = size_for(len);
            assert!(len * 100 <= size * PLACES * FILL_PERCENT);
            assert!(size <= 2 || size.is_multiple_of(SIZE_STEP));
            assert!(
                size_above(size) > size
                    && (size_above(size) == 2 || size_above(size).is_multiple_of(SIZE_STEP))
            );
        }
    }

    /// Through every depth up to where tags are made anew and nodes split, and back to nothing. Memory follows all the way.
    #[test]
    fn memory_follows_the_keys_up_and_down() {
        let keys: u64 = if cfg!(miri) { 500 } else { 200_000 };
        let mut table = Table::<()>::new(3);
        let per_key = |table: &Table<()>| table.bytes() as u64 / table.len().max(1) as u64;
        for n in 0..keys {
            let key = n.to_be_bytes();
            table.insert(table.hash(&key), &key, Payload::Int(n as i64), None);
            assert!(n < 1_000 || per_key(&table) < 24 + 24, "{n}: {}", per_key(&table));
        }
        assert!(cfg!(miri) || table.depth() > 10);
        for n in 0..keys {
            let key = n.to_be_bytes();
            let hash = table.hash(&key);
            let found = table.get_mut(hash, &key).expect("it was inserted");
            assert!(matches!(found.view(), View::Int(i) if i == n as i64));
            found.delete();
            assert!(table.len() < 1_000 || per_key(&table) < 24 + 60, "{n}: {}", per_key(&table));
        }
        assert_eq!((table.len(), table.bytes(), table.segments()), (0, 0, 0));
    }
}
