//! What eviction asks of a table: entries with a TTL near a random place, a hand that goes round, an entry by its hash alone.

use super::bucket::{fingerprint, prefetch};
use super::segment::{NEVER, Seg};
use super::{Mut, Position, Ref, Table};
use crate::ds::heap::Blocks;
use std::ptr::NonNull;

/// A hand on its way round a table: it meets every entry that stays once a round, in hash order.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockHand {
    hash: u64,
    place: usize,
    rounds: u32,
}

/// How far ahead of itself compaction sends for buckets: where it moves nothing it is done with one before the next has come.
const BUCKETS_AHEAD: usize = 6;

/// A hand counts a round in so many steps.
pub const STEPS_PER_ROUND: u32 = 16;

impl ClockHand {
    /// Steps since the hand was made.
    pub fn steps(self) -> u32 {
        self.rounds.wrapping_mul(STEPS_PER_ROUND) + (self.hash >> 60) as u32
    }

    /// Whole rounds since the hand was made.
    pub fn rounds(self) -> u32 {
        self.rounds
    }

    /// Goes on to this hash, or begins the next round.
    fn go_on(&mut self, next: Option<u64>) {
        self.place = 0;
        self.rounds = self.rounds.wrapping_add(u32::from(next.is_none()));
        self.hash = next.unwrap_or(0);
    }

    /// How far into the round it is, in parts of 2^16.
    pub fn turn(self) -> u64 {
        self.hash >> 48
    }

    /// How far it has come since it was made, in the same parts.
    pub fn position(self) -> u64 {
        (u64::from(self.rounds) << 16) + self.turn()
    }
}

impl<V, B: Blocks> Table<V, B> {
    /// Up to about `n` entries with a TTL that lie behind the hash position `from`. Looks at no more than `buckets` buckets and
    /// passes over whole segments and nodes of the directory that hold no TTL. Returns where to go on.
    pub fn sample_expiring(&self, from: u64, n: usize, buckets: usize, f: &mut dyn FnMut(Ref<'_, V>)) -> u64 {
        let (mut at, mut found, mut looked, mut wraps) = (from, 0, 0, 0);
        while self.expires > 0 && found < n && looked < buckets && wraps < 2 {
            let (node_min, node_end) = self.dir.node_expiry(at);
            let seg = self.dir.lookup(at);
            looked += 1;
            let next = if node_min == NEVER {
                node_end
            } else if seg.head().min_expire == NEVER {
                seg.end()
            } else {
                let b = seg.home(at);
                let mortal = || seg.slots(b..b + 1).filter(|(.., slot)| slot.has_ttl());
                mortal().for_each(|(.., slot)| prefetch(slot.entry().as_ptr()));
                for (.., slot) in mortal() {
                    found += 1;
                    // SAFETY: the entry is this table's, which is borrowed.
                    f(unsafe { Ref::new(slot.entry()) });
                }
                seg.bucket_start(b + 1)
            };
            wraps += usize::from(next.is_none());
            at = next.unwrap_or(0);
        }
        at
    }

    /// Moves a hand on by up to `buckets` buckets, until `judge` says yes to an entry. It may change their access bits. When only
    /// entries with a TTL are asked for (`expiring`), what holds none counts as one bucket, whatever it is.
    pub fn sweep(
        &mut self,
        hand: &mut ClockHand,
        buckets: usize,
        expiring: bool,
        judge: &mut dyn FnMut(&Ref<'_, V>) -> bool,
    ) -> Option<Mut<'_, V, B>> {
        for _ in 0..buckets {
            if self.len == 0 {
                return None;
            }
            if expiring && let Some(next) = self.without_ttl(hand.hash) {
                hand.go_on(next);
                continue;
            }
            let seg = self.dir.lookup(hand.hash);
            let b = seg.home(hand.hash);
            let bucket = seg.bucket(b);
            let may_go = |place: &usize| !expiring || bucket.slot(*place).has_ttl();
            if hand.place == 0 {
                let fetched = bucket.occupied().filter(may_go);
                fetched.for_each(|place| prefetch(bucket.slot(place).entry().as_ptr()));
            }
            for place in bucket.occupied().filter(|place| *place >= hand.place && may_go(place)) {
                let entry = bucket.slot(place).entry();
                // SAFETY: the entry is this table's, which is borrowed.
                if judge(&unsafe { Ref::new(entry) }) {
                    hand.place = place + 1;
                    return Some(Mut::new(self, Position { seg, bucket: b, place }, entry));
                }
            }
            hand.go_on(seg.bucket_start(b + 1));
        }
        None
    }

    /// Where the segment of a hash ends, or all of its node of the directory, if there is no entry with a TTL in it.
    fn without_ttl(&mut self, hash: u64) -> Option<Option<u64>> {
        let (node_min, node_end) = self.dir.node_expiry(hash);
        if node_min == NEVER {
            return Some(node_end);
        }
        let seg = self.dir.lookup(hash);
        if seg.head().min_expire != NEVER {
            return None;
        }
        if seg.end() == node_end {
            self.dir.tighten(hash);
        }
        Some(seg.end())
    }

    /// Moves a hand on by `buckets` buckets and moves the entries there that lie in sparse slabs together; how many were moved.
    pub fn compact(&mut self, hand: &mut ClockHand, buckets: usize) -> usize {
        let mut moved = 0;
        for _ in 0..buckets {
            if self.len == 0 {
                break;
            }
            let seg = self.dir.lookup(hand.hash);
            let b = seg.home(hand.hash);
            hand.hash = seg.bucket_start(b + 1).unwrap_or(0);
            // An entry and the head of its slab are in no cache, and the heads of slabs get in each other's way there.
            self.prefetch_for_compaction(hand.hash);
            let bucket = seg.bucket(b);
            for place in bucket.occupied() {
                let entry = bucket.slot(place).entry();
                let at = NonNull::new(entry.as_ptr());
                if at.is_some_and(|block| self.heap.is_sparse(block, entry.size())) {
                    Mut::new(self, Position { seg, bucket: b, place }, entry).relocate();
                    moved += 1;
                }
            }
        }
        moved
    }

    /// Fetches what [`Table::compact`] will read of the bucket at `hash`, and a bucket that comes later.
    fn prefetch_for_compaction(&self, hash: u64) {
        let seg = self.dir.lookup(hash);
        let b = seg.home(hash);
        if b + BUCKETS_AHEAD < seg.buckets() {
            seg.bucket(b + BUCKETS_AHEAD).prefetch();
        }
        let bucket = seg.bucket(b);
        for entry in bucket.occupied().map(|place| bucket.slot(place).entry()) {
            prefetch(entry.as_ptr());
            B::prefetch(entry.as_ptr());
        }
    }

    /// Moves some segments from the sparsest of their huge pages to others, if those have room for all that lie there; how many. A quarter
    /// of a megabyte is copied.
    pub fn compact_index(&mut self) -> usize {
        let (dir, mut moved) = (&mut self.dir, 0);
        self.pool.compact(|head| {
            // SAFETY: a live segment was moved there.
            dir.set(unsafe { Seg::from_head(head) });
            moved += 1;
        });
        moved
    }

    /// An entry whose hash seems to be this one, as far as its place tells (some 30 bits), and to which `judge` says yes.
    pub fn find_hash(
        &mut self,
        hash: u64,
        judge: &mut dyn FnMut(&Ref<'_, V>) -> bool,
    ) -> Option<Mut<'_, V, B>> {
        if self.len == 0 {
            return None;
        }
        let seg = self.dir.lookup(hash);
        let mut b = seg.home(hash);
        for _ in 0..seg.probes() {
            let bucket = seg.bucket(b);
            for place in bucket.matches(fingerprint(hash)) {
                let slot = bucket.slot(place);
                let entry = slot.entry();
                // SAFETY: the entry is this table's, which is borrowed.
                if slot.tag() == seg.tag(hash) && judge(&unsafe { Ref::new(entry) }) {
                    return Some(Mut::new(self, Position { seg, bucket: b, place }, entry));
                }
            }
            if bucket.overflow() == 0 {
                return None;
            }
            b = seg.probe(b, 1);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Payload, View};
    use super::*;
    use std::collections::HashSet;

    fn put(table: &mut Table<()>, n: u64, expire: Option<i64>) {
        let key = n.to_be_bytes();
        table.upsert(table.hash(&key), &key, Payload::Int(0), expire);
    }

    fn number(key: &[u8]) -> u64 {
        u64::from_be_bytes(key.try_into().expect("keys here have 8 bytes"))
    }

    #[test]
    fn one_expiring_key_among_many_is_found() {
        let mut table = Table::<()>::new(3);
        (0..20_000).for_each(|n| put(&mut table, n, None));
        assert_eq!(table.sample_expiring(77, 5, 100, &mut |_| panic!("there is none")), 77);
        put(&mut table, 4_711, Some(9));
        let (mut at, mut found) = (1 << 63, Vec::new());
        for _ in 0..1_000 {
            at = table.sample_expiring(at, 1, 16, &mut |entry| found.push(number(entry.key())));
        }
        assert!(found.len() > 10 && found.iter().all(|n| *n == 4_711), "{}", found.len());
    }

    #[test]
    fn expiring_keys_are_sampled_all_over() {
        let mut table = Table::<()>::new(3);
        (0..10_000).for_each(|n| put(&mut table, n, (n % 10 == 0).then_some(n as i64 + 1)));
        let mut seen = HashSet::new();
        for r in 0..2_000u64 {
            let from = r.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            table.sample_expiring(from, 5, 64, &mut |entry| {
                assert!(entry.expire_at().is_some());
                seen.insert(number(entry.key()));
            });
        }
        assert!(seen.len() > 950, "{}", seen.len());
    }

    #[test]
    fn a_hand_meets_every_entry_once_a_round_while_others_go() {
        let mut table = Table::<()>::new(3);
        (0..5_000).for_each(|n| put(&mut table, n, None));
        let (mut hand, mut met, mut gone) = (ClockHand::default(), vec![0; 5_000], 0);
        while hand.rounds() < 3 {
            let victim = table.sweep(&mut hand, 1, false, &mut |entry| {
                met[number(entry.key()) as usize] += 1;
                number(entry.key()).is_multiple_of(5)
            });
            if let Some(victim) = victim {
                victim.delete();
                gone += 1;
            }
        }
        assert_eq!((gone, table.len()), (1_000, 4_000));
        // Where segments shrink behind a victim, the rest of its bucket may be passed over or met twice.
        let even = met.iter().enumerate().filter(|(n, times)| n % 5 != 0 && **times == 3).count();
        assert!(even > 3_950, "{even}");
        assert_eq!((hand.steps() / STEPS_PER_ROUND, hand.position() >> 16), (3, 3));
    }

    #[test]
    fn segments_leave_sparse_huge_pages() {
        super::super::pool::testing::ON.set(true);
        let mut table = Table::<String>::new(5);
        for n in 0..200_000u64 {
            let key = n.to_be_bytes();
            table.upsert(table.hash(&key), &key, Payload::Int(n as i64), None);
        }
        for n in (0..200_000u64).filter(|n| !n.is_multiple_of(8)) {
            let key = n.to_be_bytes();
            table.get_mut(table.hash(&key), &key).map(Mut::delete);
        }
        let (before, bytes) = (table.index_slack(), table.bytes());
        let moved = (0..100).map(|_| table.compact_index()).sum::<usize>();
        assert!(moved > 0 && table.index_slack() < before, "{moved}, {before} {}", table.index_slack());
        assert!(table.index_slack() < 2 * crate::base::pages::BLOCK && table.bytes() == bytes);
        assert_eq!(table.compact_index(), 0, "all lie together");
        for n in 0..200_000u64 {
            let key = n.to_be_bytes();
            let found = table.get(table.hash(&key), &key);
            assert_eq!(found.is_some(), n.is_multiple_of(8), "{n}");
        }
        // What was moved can grow and go like the rest.
        for n in 0..200_000u64 {
            let key = n.to_be_bytes();
            table.upsert(table.hash(&key), &key, Payload::Int(n as i64), None);
        }
        for n in 0..200_000u64 {
            let key = n.to_be_bytes();
            table.get_mut(table.hash(&key), &key).map(Mut::delete);
        }
        assert_eq!((table.len(), table.index_slack()), (0, 0));
        super::super::pool::testing::ON.set(false);
    }

    #[test]
    fn compaction_moves_all_that_is_left_together() {
        let mut table = Table::<String>::new(3);
        let value =
            |n: u64| if n.is_multiple_of(3) { Payload::Boxed(n.to_string()) } else { Payload::Int(n as i64) };
        for n in 0..60_000u64 {
            let key = n.to_be_bytes();
            table.upsert(table.hash(&key), &key, value(n), n.is_multiple_of(2).then_some(n as i64));
        }
        let gone = |n: &u64| !n.is_multiple_of(8);
        for key in (0..60_000u64).filter(gone).map(u64::to_be_bytes) {
            let hash = table.hash(&key);
            table.get_mut(hash, &key).map(Mut::delete);
        }
        let (before, bytes) = (table.heap_slack(), table.bytes());
        let mut hand = ClockHand::default();
        let moved: usize = (0..2_000).map(|_| table.compact(&mut hand, 16)).sum();
        assert!(moved > 1_000, "{moved}");
        assert!(table.heap_slack() < before && table.bytes() == bytes, "{before} {}", table.heap_slack());
        for n in (0..60_000u64).filter(|n| !gone(n)) {
            let key = n.to_be_bytes();
            let entry = table.get(table.hash(&key), &key).expect("it stays");
            assert_eq!(entry.expire_at(), Some(n as i64));
            match entry.view() {
                View::Boxed(text) => assert_eq!(*text, n.to_string()),
                View::Int(i) => assert_eq!(i, n as i64),
                View::Bytes(_) => panic!("none was put"),
            }
        }
    }

    #[test]
    fn an_entry_is_found_by_its_hash() {
        let mut table = Table::<()>::new(3);
        (0..5_000).for_each(|n| put(&mut table, n, None));
        for n in 0..6_000u64 {
            let hash = table.hash(&n.to_be_bytes());
            let found = table.find_hash(hash, &mut |_| true).map(|entry| number(entry.key()));
            assert_eq!(found, (n < 5_000).then_some(n));
        }
        let hash = table.hash(&7u64.to_be_bytes());
        assert!(table.find_hash(hash, &mut |_| false).is_none());
    }
}
