//! Active expiry: finding the entries whose time has come, in slices.
//!
//! Every segment keeps a lower bound of the earliest expiry in it, and so does every node of the directory (512 segments). A
//! slice goes round in hash order and enters only what may hold a due entry, so a table where nothing is due costs a look at
//! some bounds. A segment's bound is found anew by each pass through it; a pass may be cut anywhere and go on in a later slice.

use super::bucket::prefetch;
use super::segment::{NEVER, Seg};
use super::{Position, Ref, Table};
use crate::ds::heap::Blocks;

/// Cursors are the top bits of a hash; these are below it.
const CURSOR_SHIFT: u32 = 16;
/// Looking at a segment's bound costs as much budget as this part of an entry.
const BOUNDS_PER_ENTRY: usize = 4;
/// The value of an entry that has expired.
pub enum Last<'a, V> {
    Free(V),
    /// A cut has it.
    Kept(&'a V),
}

/// Who hears of keys that have expired, and of their values where those are boxed.
pub type Hears<'a, V> = dyn FnMut(&[u8], Option<Last<'_, V>>) + 'a;

impl<V> Last<'_, V> {
    /// A look at it.
    pub fn value(&self) -> &V {
        match self {
            Last::Free(value) => value,
            Last::Kept(value) => value,
        }
    }

    /// The value itself, unless a cut has it.
    pub fn free(self) -> Option<V> {
        match self {
            Last::Free(value) => Some(value),
            Last::Kept(_) => None,
        }
    }
}

impl<V, B: Blocks> Table<V, B> {
    /// No entry expires before this, unix ms.
    pub fn min_expire(&self) -> i64 {
        self.dir.min_expire()
    }

    /// Removes entries that expire at or before `now_ms` and gives `f` their keys and boxed values; goes once around the table at most, beginning
    /// at `cursor` (any number is valid) and leaving it where the next slice goes on. `budget` bounds the entries with a TTL
    /// that are looked at (by a bucket more at most), and the bounds looked at too. Returns how many entries were.
    pub fn expire_slice(
        &mut self,
        cursor: &mut usize,
        now_ms: i64,
        budget: usize,
        f: &mut Hears<'_, V>,
    ) -> usize {
        self.expire_overdue(cursor, (now_ms, 0), budget, f)
    }

    /// The same, entering only what may hold an entry that is due for `grace_ms` already: all that is due there goes then. So a
    /// segment of hundreds of entries is not read again and again for one of them each time.
    pub fn expire_overdue(
        &mut self,
        cursor: &mut usize,
        (now_ms, grace_ms): (i64, i64),
        budget: usize,
        f: &mut Hears<'_, V>,
    ) -> usize {
        let start = (*cursor as u64) << CURSOR_SHIFT;
        let enter_ms = now_ms.saturating_sub(grace_ms);
        if self.min_expire() > enter_ms {
            return 0;
        }
        let mut at = start;
        let mut wrapped = false;
        let mut looked = 0;
        let mut bounds = budget.saturating_mul(BOUNDS_PER_ENTRY);
        while looked < budget && bounds > 0 && self.expires > 0 {
            let (node_min, node_end) = self.dir.node_expiry(at);
            let next = if node_min > enter_ms {
                node_end
            } else {
                bounds -= 1;
                let seg = self.dir.lookup(at);
                let next = if seg.head().min_expire > enter_ms {
                    seg.end()
                } else {
                    self.expire_segment(seg, at, now_ms, budget, &mut looked, f)
                };
                if next == node_end && self.len != 0 {
                    self.dir.tighten(at);
                }
                next
            };
            at = next.unwrap_or(0);
            if wrapped && (next.is_none() || at >= start) {
                break;
            }
            wrapped |= next.is_none();
        }
        *cursor = (at >> CURSOR_SHIFT) as usize;
        looked
    }

    /// Goes through a segment from the hash `from` on until `looked` reaches the budget; returns where to go on.
    fn expire_segment(
        &mut self,
        seg: Seg,
        from: u64,
        now_ms: i64,
        budget: usize,
        looked: &mut usize,
        f: &mut Hears<'_, V>,
    ) -> Option<u64> {
        let first = seg.home(from);
        if first == 0 {
            seg.head_mut().pass_min = NEVER;
        }
        let mut b = first;
        while b < seg.buckets() && (*looked < budget || b == first) {
            seg.fetch_ahead(b, |slot| {
                if slot.has_ttl() {
                    prefetch(slot.entry().as_ptr());
                }
            });
            for place in seg.bucket(b).occupied() {
                let slot = seg.bucket(b).slot(place);
                if !slot.has_ttl() {
                    continue;
                }
                *looked += 1;
                match slot.entry().expire_at() {
                    Some(at) if at <= now_ms => self.expire_entry(Position { seg, bucket: b, place }, f),
                    Some(at) => seg.head_mut().pass_min = seg.head().pass_min.min(at),
                    None => {}
                }
            }
            b += 1;
        }
        let next = seg.bucket_start(b);
        if b == seg.buckets() {
            seg.head_mut().min_expire = seg.head().pass_min;
        }
        self.shrink_if_sparse(seg);
        next
    }

    fn expire_entry(&mut self, at: Position, f: &mut Hears<'_, V>) {
        let mut wanted = None;
        if self.cut.is_some() {
            // SAFETY: the entry is this table's, which is borrowed.
            let entry: Ref<'_, V> = unsafe { Ref::new(at.slot().entry()) };
            let hash = self.hash(entry.key());
            self.keep_entry(at, hash);
            wanted = Some(hash).filter(|hash| self.wants_value(*hash));
        }
        let entry = self.unlink(at);
        // SAFETY: the entry is in no place any more, so its value is read here for the last time.
        let value = unsafe { entry.take_boxed() };
        match (wanted, value) {
            (Some(hash), Some(value)) => {
                f(entry.key(), Some(Last::Kept(&value)));
                self.hand_over(hash, value);
            }
            (_, value) => f(entry.key(), value.map(Last::Free)),
        }
        // SAFETY: as above, and the value was taken.
        unsafe { entry.free(&mut self.heap) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Payload;
    use super::*;

    fn put(table: &mut Table<()>, n: u64, expire: Option<i64>) {
        let key = n.to_be_bytes();
        table.upsert(table.hash(&key), &key, Payload::Int(0), expire);
    }

    #[test]
    fn tables_can_be_sent() {
        fn send<T: Send>() {}
        send::<Table<String>>();
    }

    #[test]
    fn nothing_due_costs_nothing() {
        let mut table = Table::<()>::new(0);
        let mut cursor = 7;
        let mut none = |_: &[u8], _: Option<Last<'_, ()>>| panic!("nothing is due");
        assert_eq!(table.expire_slice(&mut cursor, i64::MAX, 100, &mut none), 0);
        (0..5_000).for_each(|n| put(&mut table, n, (n % 2 == 0).then_some(1_000 + n as i64)));
        assert_eq!(table.expires(), 2_500);
        assert_eq!(table.expire_slice(&mut cursor, 999, 100, &mut none), 0);
        assert_eq!(table.min_expire(), 1_000);
    }

    #[test]
    fn slices_find_all_that_is_due_and_tighten_the_bounds() {
        let mut table = Table::<()>::new(0);
        (0..20_000).for_each(|n| put(&mut table, n, (n % 4 == 0).then_some(n as i64)));
        let (mut cursor, mut gone, mut slices) = (0, 0, 0);
        while table.min_expire() < 10_000 {
            let looked = table.expire_slice(&mut cursor, 9_999, 100, &mut |key, _| {
                assert!(u64::from_be_bytes(key.try_into().expect("8 bytes")) < 10_000);
                gone += 1;
            });
            assert!(looked < 100 + 14);
            slices += 1;
            assert!(slices < 500, "it ends");
        }
        assert_eq!((gone, table.len(), table.expires()), (2_500, 17_500, 2_500));
        assert_eq!(table.expire_slice(&mut cursor, 9_999, 100, &mut |_, _| panic!("all are gone")), 0);
    }

    /// What expires while a slice goes round leaves dense segments among empty ones: they must not be merged into one that
    /// cannot hold them.
    #[test]
    fn keys_that_expire_one_after_the_other_leave_a_sound_table() {
        for pace in 1..8 {
            let mut table = Table::<()>::new(pace as u64);
            (0..60_000).for_each(|n| put(&mut table, n, Some(n as i64 % 1_000)));
            let (mut cursor, mut at) = (0, 0);
            while !table.is_empty() {
                at = (at + pace).min(1_000);
                table.expire_slice(&mut cursor, at, 256, &mut |_, _| ());
                if let Some(n) = (0..60_000u64).find(|n| *n as i64 % 1_000 > at) {
                    let key = n.to_be_bytes();
                    assert!(table.get(table.hash(&key), &key).is_some(), "{n}");
                }
            }
            assert_eq!(table.bytes(), 0);
        }
    }
}
