//! S3-FIFO, the queues behind the `s3fifo` policies: most keys are used once, so who is new has to show itself first.
//!
//! After Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction" (SOSP 2023), fitted to what an
//! entry has: 24 access bits and no links.
//!
//! ```text
//!  new key ──> small, a tenth of the keys ── used meanwhile ──> main ──┐ used: one use less, and another round
//!     │          │ not used                                     ^  │ <──┘
//!     │          v                                              │  v not used
//!     └──< ghost: fingerprints of those that went ── seen again ┘  gone
//!
//!  access bits: | uses 2 | main 1 | stamp 21 |     small: its number in the queue     main: when it came, in steps of the hand
//! ```
//! *Small* is a true queue: 8 bytes for a tenth of the keys. *Main* has none: a hand goes round the table in hash order, as in
//! CLOCK, and passes over what came to main less than half a round ago, so that a key stays a round on average, as in a queue.
//! *Ghost* remembers as many keys as main holds, 2 bytes each. In all some 2.6 bytes a key, counted with the database.
//!
//! A key that was there before the policy, or lost its place because small overflowed while memory was not short, is met by
//! the hand as one of main.
//!
//! Cost: an eviction from small looks one key up by its hash; the hand reads some dozen entries that lie together.

use super::{Db, Store, Value};
use crate::base::time::Now;
use crate::ds::{ClockHand, STEPS_PER_ROUND, Table};
use std::collections::VecDeque;

const STAMP: u32 = (1 << 21) - 1;
const MAIN: u32 = 1 << 21;
const USES_SHIFT: u32 = 22;
const USES_MAX: u32 = 3;

/// Uses in small that bring a key to main.
const PROMOTED_FROM: u32 = 1;
/// Small gives a victim when it has more than this part of the keys.
const SMALL_PART: usize = 10;
/// Small never has more than this part, and a few.
const SMALL_MAX_PART: usize = 8;
const SMALL_FEW: usize = 16;
/// Stamps of small must not come round while they are in use.
const SMALL_MAX: usize = 1 << 20;
/// Steps that a key of main is passed over for.
const YOUNG_STEPS: u32 = STEPS_PER_ROUND / 2;
/// Keys of small looked at for one victim.
const SMALL_TRIES: usize = 256;
/// Buckets that the hand passes in one go, and goes for one victim until the search is left for the next time.
const BUCKETS: usize = 16;
const SWEEPS: usize = 256;
/// Rounds after which all uses are worn off.
const ROUNDS: u32 = USES_MAX + 3;

/// The access bits after one more use.
#[inline]
pub fn used(access: u32) -> u32 {
    if uses(access) < USES_MAX { access + (1 << USES_SHIFT) } else { access }
}

/// Uses that count.
#[inline]
pub fn uses(access: u32) -> u32 {
    access >> USES_SHIFT
}

/// Hashes of a block of small: few, for caches of a few hundred keys a shard.
const BLOCK: usize = 15;
/// Places for blocks that are kept, however few there are.
const SPARE_BLOCKS: usize = 16;

struct Block {
    /// When its first key came, unix ms.
    began_ms: i64,
    hashes: [u64; BLOCK],
}

const _: () = assert!(size_of::<Block>() == 128);

/// The small queue: what came last at the back. It grows a block at a time.
#[derive(Default)]
struct Small {
    blocks: VecDeque<Box<Block>>,
    /// Places taken in the last block, and given back in the first.
    last: usize,
    first: usize,
    /// The stamp of the key at the front.
    front: u32,
    len: usize,
}

impl Small {
    /// Adds a key; its stamp.
    fn push(&mut self, hash: u64, now_ms: i64) -> u32 {
        if self.blocks.is_empty() || self.last == BLOCK {
            self.blocks.push_back(Box::new(Block { began_ms: now_ms, hashes: [0; BLOCK] }));
            self.last = 0;
        }
        if let Some(block) = self.blocks.back_mut() {
            block.hashes[self.last] = hash;
        }
        self.last += 1;
        self.len += 1;
        self.front.wrapping_add(self.len as u32 - 1) & STAMP
    }

    /// Takes the oldest key out: its hash and its stamp.
    fn pop(&mut self) -> Option<(u64, u32)> {
        if self.len == 0 {
            return None;
        }
        let found = (self.blocks.front()?.hashes[self.first], self.front);
        self.len -= 1;
        self.first += 1;
        self.front = self.front.wrapping_add(1) & STAMP;
        if self.first == BLOCK || self.len == 0 {
            self.blocks.pop_front();
            self.first = 0;
            // Else the most blocks that there ever were would be paid for, when memory is short by keys that could stay.
            if self.blocks.capacity() > 4 * self.blocks.len() + SPARE_BLOCKS {
                self.blocks.shrink_to(2 * self.blocks.len());
            }
        }
        Some(found)
    }

    fn holds(&self, stamp: u32) -> bool {
        (stamp.wrapping_sub(self.front) & STAMP) < self.len as u32
    }
}

/// Fingerprints in a bucket of ghosts, the latest first.
const GHOSTS: usize = 16;

/// Fingerprints of keys that went from small: a new one pushes the oldest out of its bucket.
#[derive(Default)]
struct Ghosts {
    buckets: Vec<[u16; GHOSTS]>,
}

impl Ghosts {
    /// Where a hash belongs, and its fingerprint, never 0.
    fn place(&self, hash: u64) -> (usize, u16) {
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bucket = (u128::from(mixed) * self.buckets.len() as u128) >> 64;
        (bucket as usize, (hash as u16).max(1))
    }

    /// Remembers a key, of as many as main holds of `keys`.
    fn add(&mut self, hash: u64, keys: usize) {
        let room = self.buckets.len() * GHOSTS;
        if room == 0 || keys > 2 * room || keys < room / 4 && room > GHOSTS {
            // The size follows the keys' number in coarse steps; what was remembered is forgotten then.
            self.buckets = vec![[0; GHOSTS]; (keys - keys / SMALL_PART) / GHOSTS + 1];
        }
        let (bucket, fingerprint) = self.place(hash);
        let bucket = &mut self.buckets[bucket];
        bucket.copy_within(..GHOSTS - 1, 1);
        bucket[0] = fingerprint;
    }

    /// Whether a key is remembered; it is not any more.
    fn take(&mut self, hash: u64) -> bool {
        if self.buckets.is_empty() {
            return false;
        }
        let (bucket, fingerprint) = self.place(hash);
        let bucket = &mut self.buckets[bucket];
        let Some(at) = bucket.iter().position(|f| *f == fingerprint) else { return false };
        bucket.copy_within(at + 1.., at);
        bucket[GHOSTS - 1] = 0;
        true
    }
}

/// The queues of one database of one shard.
pub struct Fifo {
    small: Small,
    ghosts: Ghosts,
    hand: ClockHand,
    /// When the hand began this round and the one before, unix ms.
    round_ms: i64,
    last_round_ms: i64,
}

impl Fifo {
    /// Empty queues.
    pub fn new(now_ms: i64) -> Fifo {
        Fifo {
            small: Small::default(),
            ghosts: Ghosts::default(),
            hand: ClockHand::default(),
            round_ms: now_ms,
            last_round_ms: now_ms,
        }
    }

    /// Bytes, as allocated. O(1).
    pub fn bytes(&self) -> usize {
        size_of::<Fifo>()
            + self.small.blocks.len() * size_of::<Block>()
            + self.small.blocks.capacity() * size_of::<Box<Block>>()
            + self.ghosts.buckets.capacity() * size_of::<[u16; GHOSTS]>()
    }

    /// A new key comes into a table of `keys`; its access bits.
    pub fn enter(&mut self, hash: u64, keys: usize, now_ms: i64) -> u32 {
        if self.ghosts.take(hash) {
            return MAIN | self.hand.steps() & STAMP;
        }
        let most = (keys / SMALL_MAX_PART + SMALL_FEW).min(SMALL_MAX);
        while self.small.len >= most {
            self.small.pop();
        }
        self.small.push(hash, now_ms)
    }

    /// Whether the next victim is one of small.
    fn takes_small(&self, keys: usize) -> bool {
        self.small.len * SMALL_PART >= keys.max(1)
    }

    /// Since when the next victim has been there, unix ms. Small is passed through about nine times as fast as main, so its times
    /// count nine times.
    pub fn born_ms(&self, keys: usize, now_ms: i64) -> i64 {
        match self.small.blocks.front() {
            Some(block) if self.takes_small(keys) => {
                now_ms - (now_ms - block.began_ms) * (SMALL_PART as i64 - 1)
            }
            _ => {
                let round = self.round_ms - self.last_round_ms;
                self.last_round_ms + ((i128::from(round) * i128::from(self.hand.turn())) >> 16) as i64
            }
        }
    }

    /// Writes the key of the next victim; false when none was found so far.
    pub fn victim(
        &mut self,
        table: &mut Table<Value>,
        volatile: bool,
        now_ms: i64,
        key: &mut Vec<u8>,
    ) -> bool {
        key.clear();
        let small_first = self.takes_small(table.len());
        small_first && self.take_small(table, volatile, key)
            || self.take_main(table, volatile, now_ms, key)
            || self.take_small(table, volatile, key)
    }

    fn take_small(&mut self, table: &mut Table<Value>, volatile: bool, key: &mut Vec<u8>) -> bool {
        let keys = table.len();
        for _ in 0..SMALL_TRIES {
            let Some((hash, stamp)) = self.small.pop() else { return false };
            // A key that was deleted, or has come anew since, has no such stamp.
            let found = table.find_hash(hash, &mut |entry| entry.access() & (MAIN | STAMP) == stamp);
            let Some(entry) = found else { continue };
            if uses(entry.access()) < PROMOTED_FROM && !(volatile && entry.expire_at().is_none()) {
                key.extend_from_slice(entry.key());
                self.ghosts.add(hash, keys);
                return true;
            }
            entry.set_access(MAIN | self.hand.steps() & STAMP);
        }
        false
    }

    fn take_main(
        &mut self,
        table: &mut Table<Value>,
        volatile: bool,
        now_ms: i64,
        key: &mut Vec<u8>,
    ) -> bool {
        let first_round = self.hand.rounds();
        for _ in 0..SWEEPS {
            let (round, steps, small) = (self.hand.rounds(), self.hand.steps(), &self.small);
            let victim = table.sweep(&mut self.hand, BUCKETS, volatile, &mut |entry| {
                let access = entry.access();
                let in_main = access & MAIN != 0;
                let young = in_main && (steps.wrapping_sub(access) & STAMP) < YOUNG_STEPS;
                if young || !in_main && small.holds(access & STAMP) || volatile && entry.expire_at().is_none()
                {
                    return false;
                }
                if uses(access) == 0 {
                    return true;
                }
                entry.set_access((access | MAIN) - (1 << USES_SHIFT));
                false
            });
            let found = victim.map(|entry| key.extend_from_slice(entry.key())).is_some();
            if self.hand.rounds() != round {
                self.last_round_ms = std::mem::replace(&mut self.round_ms, now_ms);
            }
            if found {
                return true;
            }
            if self.hand.rounds().wrapping_sub(first_round) > ROUNDS || table.is_empty() {
                return false;
            }
        }
        false
    }
}

impl Db {
    /// Since when its next victim has been there, unix ms; queues that there are not yet are as old as can be.
    fn born_ms(&self, now_ms: i64) -> i64 {
        self.fifo().map_or(0, |fifo| fifo.born_ms(self.len(), now_ms))
    }
}

impl Store {
    /// The database whose next victim is the oldest, and since when it has been there.
    fn oldest_db(&self, volatile: bool, now_ms: i64) -> Option<(i64, usize)> {
        let may_go =
            self.dbs.iter().filter(|(_, db)| if volatile { db.expires() > 0 } else { !db.is_empty() });
        may_go.map(|(i, db)| (db.born_ms(now_ms), i)).min()
    }

    /// What the shards compare under S3-FIFO: since when the next victim has been there, unix ms.
    pub(super) fn fifo_sign(&self, volatile: bool, now: Now) -> Option<u64> {
        self.oldest_db(volatile, now.ms()).map(|(born_ms, _)| born_ms.max(0) as u64)
    }

    /// Removes the key that S3-FIFO gives up first; whether there was one.
    pub(super) fn evict_fifo(&mut self, volatile: bool, now: Now) -> bool {
        let Some((_, db)) = self.oldest_db(volatile, now.ms()) else { return false };
        let mut key = std::mem::take(&mut self.pool.buffer);
        let (table, fifo) = self.db_mut(db).with_fifo(now.ms());
        let found = fifo.victim(table, volatile, now.ms(), &mut key);
        if found {
            let hash = table.hash(&key);
            self.drop_key(db, hash, &key);
        }
        self.pool.buffer = key;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::ds::Payload;
    use std::collections::HashMap;

    /// A cache of so many keys, driven as a command family would.
    struct Cache {
        store: Store,
        keys: usize,
        now: Now,
        hits: usize,
        asked: usize,
    }

    impl Cache {
        fn new(keys: usize) -> Cache {
            let now = Now { wall_us: 1_700_000_000_000_000, mono_us: 0 };
            Cache { store: Store::new(0, 1, 7), keys, now, hits: 0, asked: 0 }
        }

        fn ask(&mut self, n: u64) {
            self.now.wall_us += 100;
            self.asked += 1;
            let key = n.to_be_bytes();
            let hash = self.store.db(0).table().hash(&key);
            if let Some(entry) = self.store.db(0).table().get(hash, &key) {
                entry.set_access(used(entry.access()));
                self.hits += 1;
                return;
            }
            while self.store.db(0).len() >= self.keys {
                assert!(self.store.evict_fifo(false, self.now));
            }
            let (table, fifo) = self.store.db_mut(0).with_fifo(self.now.ms());
            let keys = table.len();
            let (entry, ..) = table.upsert_mut(hash, &key, Payload::Int(0), None);
            entry.set_access(fifo.enter(hash, keys, self.now.ms()));
        }

        fn ratio(&self) -> f64 {
            self.hits as f64 / self.asked as f64
        }
    }

    /// The true queues of the paper, of so many keys.
    fn paper(trace: &[u64], keys: usize) -> f64 {
        let (mut small, mut main, mut ghost) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        let (mut cached, mut hits) = (HashMap::<u64, u32>::new(), 0);
        for &n in trace {
            if let Some(uses) = cached.get_mut(&n) {
                *uses = (*uses + 1).min(USES_MAX);
                hits += 1;
                continue;
            }
            while cached.len() >= keys {
                if small.len() * SMALL_PART >= keys || main.is_empty() {
                    let Some(k) = small.pop_front() else { break };
                    if cached[&k] >= PROMOTED_FROM {
                        cached.insert(k, 0);
                        main.push_back(k);
                    } else {
                        cached.remove(&k);
                        ghost.push_back(k);
                        if ghost.len() > keys - keys / SMALL_PART {
                            ghost.pop_front();
                        }
                    }
                } else if let Some(k) = main.pop_front() {
                    match cached[&k] {
                        0 => {
                            cached.remove(&k);
                        }
                        uses => {
                            cached.insert(k, uses - 1);
                            main.push_back(k);
                        }
                    }
                }
            }
            match ghost.iter().position(|k| *k == n) {
                Some(at) => {
                    ghost.remove(at);
                    main.push_back(n);
                }
                None => small.push_back(n),
            }
            cached.insert(n, 0);
        }
        hits as f64 / trace.len() as f64
    }

    /// Mostly few keys out of many (a power law), with a scan now and then.
    fn trace(seed: u64, scans: bool) -> Vec<u64> {
        let mut state = seeded(seed);
        let mut trace = Vec::new();
        while trace.len() < 60_000 {
            let r = (xorshift(&mut state) >> 11) as f64 / (1u64 << 53) as f64;
            trace.push((r.powi(4) * 20_000.0) as u64);
            if scans && trace.len() % 10_000 == 5_000 {
                let from = 1_000_000 + trace.len() as u64 * 10;
                trace.extend(from..from + 3_000);
            }
        }
        trace
    }

    #[test]
    fn it_hits_as_the_queues_of_the_paper_do() {
        for (seed, scans) in [(1, false), (2, true)] {
            let trace = trace(seed, scans);
            for keys in [200, 2_000] {
                let mut cache = Cache::new(keys);
                trace.iter().for_each(|n| cache.ask(*n));
                let (ours, theirs) = (cache.ratio(), paper(&trace, keys));
                assert!(ours > theirs - 0.01, "{keys} keys, scans {scans}: {ours:.4} and {theirs:.4}");
            }
        }
    }

    #[test]
    fn keys_of_before_and_deleted_ones_do_no_harm() {
        let mut cache = Cache::new(1_000);
        // As another policy left them: any access bits.
        for n in 0..1_000u64 {
            let key = n.to_be_bytes();
            let table = cache.store.db_mut(0).table_mut();
            let (entry, ..) = table.upsert_mut(table.hash(&key), &key, Payload::Int(0), None);
            entry.set_access((n as u32).wrapping_mul(0x9e37_79b9) & 0xff_ffff);
        }
        for n in 1_000..9_000u64 {
            // Each comes twice, so that it goes on to main.
            cache.ask(n);
            cache.ask((n - 20).max(1_000));
            let key = (n - 3).to_be_bytes();
            if n % 7 == 0 {
                let table = cache.store.db_mut(0).table_mut();
                table.get_mut(table.hash(&key), &key).map(crate::ds::Mut::delete);
            }
        }
        let left = cache.store.db(0).table().iter();
        let old = left.filter(|e| u64::from_be_bytes(e.key().try_into().expect("8 bytes")) < 1_000).count();
        assert!(old < 200, "{old}");
    }

    #[test]
    fn only_keys_with_a_ttl_go_when_only_they_may() {
        let mut store = Store::new(0, 1, 7);
        let now = Now { wall_us: 1_000_000, mono_us: 0 };
        for n in 0..4_000u64 {
            let (table, fifo) = store.db_mut(0).with_fifo(now.ms());
            let (hash, keys) = (table.hash(&n.to_be_bytes()), table.len());
            let expire = (n % 8 == 0).then_some(9_000_000);
            let (entry, ..) = table.upsert_mut(hash, &n.to_be_bytes(), Payload::Int(0), expire);
            entry.set_access(fifo.enter(hash, keys, now.ms()));
        }
        for _ in 0..500 {
            assert!(store.evict_fifo(true, now));
        }
        assert!(!store.evict_fifo(true, now), "none is left");
        assert_eq!((store.db(0).len(), store.db(0).expires()), (3_500, 0));
    }

    /// Whole segments without a TTL are passed over: else the hand would read them all for one key, or give up.
    #[test]
    fn few_keys_with_a_ttl_are_found_among_very_many() {
        let mut store = Store::new(0, 1, 7);
        let now = Now { wall_us: 1_000_000, mono_us: 0 };
        for n in 0..400_000u64 {
            let table = store.db_mut(0).table_mut();
            let expire = (n % 40_000 == 7).then_some(9_000_000);
            table.upsert(table.hash(&n.to_be_bytes()), &n.to_be_bytes(), Payload::Int(0), expire);
        }
        for left in (0..10).rev() {
            assert!(store.evict_fifo(true, now), "found at once");
            assert_eq!(store.db(0).expires(), left);
        }
        assert!(!store.evict_fifo(true, now) && store.db(0).len() == 399_990);
    }

    #[test]
    fn ghosts_take_two_bytes_and_small_grows_by_blocks() {
        let mut fifo = Fifo::new(0);
        for n in 0..80_000u64 {
            fifo.enter(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), 80_000, 0);
        }
        assert!(fifo.small.len <= 80_000 / SMALL_MAX_PART + SMALL_FEW);
        fifo.ghosts.add(1, 80_000);
        assert!(fifo.bytes() < 80_000 * 3, "{}", fifo.bytes());
        assert!(fifo.ghosts.take(1) && !fifo.ghosts.take(1));
        while fifo.small.pop().is_some() {}
        let places = fifo.small.blocks.capacity();
        assert!(places <= SPARE_BLOCKS, "an empty queue keeps {places} places");
    }
}
