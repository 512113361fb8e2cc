//! Moving the slots of old segments into new ones.
//!
//! New segments are filled from empty, so the next free place of a bucket is the number of slots put into it. Keeping these
//! numbers beside saves a probe per slot, which would wait for the byte that the slot before it just wrote.

use super::bucket::{PLACES, Slot, fingerprint};
use super::segment::{MAX_BUCKETS, NEVER, Seg};

/// How far ahead buckets, and entries that must be hashed again, are fetched.
const BUCKETS_AHEAD: usize = 4;
const ENTRIES_AHEAD: usize = 1;

/// A segment being filled.
pub struct Filler {
    seg: Seg,
    /// Slots in each bucket.
    filled: [u8; MAX_BUCKETS],
    len: u32,
    /// Whether one of them is of an entry with a TTL.
    expires: bool,
}

impl Filler {
    /// `seg` must be empty.
    pub fn new(seg: Seg) -> Self {
        debug_assert_eq!(seg.head().len, 0);
        Filler { seg, filled: [0; MAX_BUCKETS], len: 0, expires: false }
    }

    /// The segment, with what was put into it.
    pub fn finish(self) -> Seg {
        let head = self.seg.head_mut();
        head.len = self.len;
        if !self.expires {
            // Both halves of a segment get its bounds.
            (head.min_expire, head.pass_min) = (NEVER, NEVER);
        }
        self.seg
    }

    /// As [`Seg::place`]; false when there is no free place in reach.
    #[inline]
    fn put(&mut self, hash: u64, fp: u8, slot: Slot) -> bool {
        let seg = self.seg;
        let home = seg.home(hash);
        for i in 0..seg.probes() {
            let b = seg.probe(home, i);
            let place = usize::from(self.filled[b]);
            if place == PLACES {
                continue;
            }
            self.filled[b] += 1;
            self.len += 1;
            self.expires |= slot.has_ttl();
            seg.bucket(b).set(place, fp, slot.with_tag(seg.tag(hash)));
            for passed in 0..i {
                seg.bucket(seg.probe(home, passed)).pass();
            }
            return true;
        }
        false
    }
}

/// Moves all slots of `from` into `to`: one segment, or the two halves by the hash bit after `from`'s depth. `rehash` gives
/// the hash of a slot whose tag holds too few bits. False when a place was out of reach: `to` is then of no use.
pub fn transfer(from: Seg, to: &mut [Filler], rehash: impl Fn(Slot) -> u64) -> bool {
    let known = from.tags_reach(to[0].seg.depth());
    let knower = from.knower();
    for b in 0..from.buckets() {
        prefetch_ahead(from, b, !known);
        let bucket = from.bucket(b);
        for place in bucket.occupied() {
            let slot = bucket.slot(place);
            let hash = if known { knower.hash(slot) } else { rehash(slot) };
            let half = if to.len() == 1 { 0 } else { from.half(hash) };
            let fp = bucket.fingerprint(place);
            debug_assert!(known || fp == fingerprint(hash));
            if !to[half].put(hash, fp, slot) {
                return false;
            }
        }
    }
    true
}

/// The same for all of `old`, in the order of their hashes. All reach equally far, so no other order finds places where this one does
/// not; round the end of a segment that holds from the widest gap on. Slower.
pub fn transfer_in_order(old: &[Seg], to: &mut [Filler], rehash: impl Fn(Slot) -> u64) -> bool {
    let mut slots: Vec<(u64, u8, Slot)> = Vec::new();
    for seg in old {
        let known = seg.tags_reach(to[0].seg.depth());
        for (b, place, slot) in seg.slots(0..seg.buckets()) {
            let hash = if known { seg.known_hash(slot) } else { rehash(slot) };
            slots.push((hash, seg.bucket(b).fingerprint(place), slot));
        }
    }
    slots.sort_unstable_by_key(|(hash, ..)| *hash);
    let middle = match to.len() {
        1 => slots.len(),
        _ => slots.partition_point(|(hash, ..)| old[0].half(*hash) == 0),
    };
    let (low, high) = slots.split_at(middle);
    to.iter_mut().zip([low, high]).all(|(to, slots)| {
        let homes: Vec<usize> = slots.iter().map(|(hash, ..)| to.seg.home(*hash)).collect();
        let before = |i: usize| match i {
            0 => homes[0] + to.seg.buckets() - homes[homes.len() - 1],
            _ => homes[i] - homes[i - 1],
        };
        let first = (0..homes.len()).max_by_key(|i| before(*i)).unwrap_or(0);
        slots[first..].iter().chain(&slots[..first]).all(|(hash, fp, slot)| to.put(*hash, *fp, *slot))
    })
}

/// Fetches what a walk over a segment reads soon after bucket `b`.
#[inline]
pub fn prefetch_ahead(from: Seg, b: usize, entries: bool) {
    if b + BUCKETS_AHEAD < from.buckets() {
        from.bucket(b + BUCKETS_AHEAD).prefetch();
    }
    if entries && b + ENTRIES_AHEAD < from.buckets() {
        let at = b + ENTRIES_AHEAD;
        from.slots(at..at + 1).for_each(|(.., slot)| slot.entry().prefetch_key());
    }
}
