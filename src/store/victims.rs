//! Which key goes first: what the policies judge by, and the candidates that a store has found so far.
//!
//! As in Redis, an eviction looks at a few keys at random and keeps the best of them in a pool of [`POOL`], so that what was
//! seen earlier counts too. Unlike there, a candidate that was used since is dropped when its turn comes. The best candidate's
//! *sign* is what shards compare, so that the worst key of the whole process goes first:
//!
//! | policy | sign | goes first |
//! |---|---|---|
//! | lru | when it was last used, as in [`super::lru`] | the longest unused |
//! | lfu | minute and counter | the least used, after decay |
//! | ttl | when it expires, ms | the earliest |
//! | random | none | any |
//! | s3fifo | since when the next in the queues of [`super::fifo`] is there, ms | the earliest; there are no candidates |
//!
//! Cost: an eviction reads `maxmemory-samples` entries of neighbouring places, and the victim once more. They lie anywhere in memory,
//! so the eviction before has fetched them.

use super::access::{self, Lfu};
use super::{Garbage, Store, Value, lru};
use crate::base::prng::xorshift;
use crate::base::time::Now;
use crate::ds::{Ref, Table};

/// Candidates that are kept: no more than this part of the keys, and in a small store a few. A candidate waits until as many have
/// gone before it, and who has just come should have had its chance by then, however few keys a shard has.
const POOL: usize = 16;
const POOL_PART: usize = 64;
const POOL_FEW: usize = 4;
/// Under LFU who has just come has the lowest count of all, so that those who wait are the new: fewer, or they get no chance.
const LFU_POOL: usize = 4;
const LFU_POOL_PART: usize = 128;
const LFU_POOL_FEW: usize = 2;
/// Buckets looked at in one go for keys with a TTL, where these are rare.
const EXPIRING_BUCKETS: usize = 64;
/// Goes without a candidate until a search is given up for now.
const TRIES: usize = 64;

/// About what a shard's turn takes.
const TURN_US: u64 = 500;

/// What a policy judges by.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Judge {
    Lru,
    Lfu(Lfu),
    Ttl,
    Random,
    Fifo,
}

/// How victims are chosen.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub judge: Judge,
    /// Only keys with a TTL may go.
    pub volatile: bool,
    /// Keys looked at for each that goes.
    pub samples: usize,
}

impl Rule {
    /// How soon the bearer of a sign goes: the highest first.
    #[inline]
    pub fn rank(&self, sign: u64, now: Now) -> u64 {
        match self.judge {
            Judge::Lru => lru::idle_us(sign as u32, now),
            Judge::Lfu(lfu) => u64::from(255 - access::lfu_counter(sign as u32, now.secs(), lfu)),
            Judge::Ttl => u64::MAX - 1 - sign,
            // The sign is a time in ms.
            Judge::Fifo => (now.ms().max(0) as u64).saturating_sub(sign),
            Judge::Random => 0,
        }
    }

    /// Whether a key of rank `mine` is about as good a victim as the best of all: a borrow is not worth a few percent of
    /// idle time, nor a turn of a loop by which the cores' clocks may differ.
    #[inline]
    pub fn near(&self, mine: u64, best: u64) -> bool {
        match self.judge {
            Judge::Lru => mine.saturating_add(mine / 8 + TURN_US) >= best,
            Judge::Fifo => mine.saturating_add(mine / 8) >= best,
            Judge::Lfu(_) | Judge::Ttl | Judge::Random => mine >= best,
        }
    }

    /// Candidates that a store of so many keys keeps.
    #[inline]
    fn candidates(&self, keys: usize) -> usize {
        match self.judge {
            Judge::Lfu(_) => (keys / LFU_POOL_PART).clamp(LFU_POOL_FEW, LFU_POOL),
            _ => (keys / POOL_PART).clamp(POOL_FEW, POOL),
        }
    }

    fn sign(&self, entry: &Ref<'_, Value>) -> u64 {
        match self.judge {
            Judge::Lru | Judge::Lfu(_) | Judge::Fifo => u64::from(entry.access()),
            Judge::Ttl => entry.expire_at().map_or(u64::MAX - 1, |at| at.max(0) as u64),
            Judge::Random => 0,
        }
    }
}

/// A key that may go.
#[derive(Default)]
struct Candidate {
    sign: u64,
    db: usize,
    key: Vec<u8>,
}

/// The candidates of a store, the best one last.
#[derive(Default)]
pub struct Pool {
    found: Vec<Candidate>,
    /// Key buffers to use again.
    spare: Vec<Vec<u8>>,
    /// Where the next two looks at keys will be: what they read is fetched ahead, for every entry lies elsewhere in memory.
    ahead: [u64; 2],
    /// Where the search for rare keys with a TTL goes on.
    cursor: u64,
    /// A victim's key.
    pub(super) buffer: Vec<u8>,
    /// The policy that the candidates were found under.
    judge: Option<Judge>,
}

/// Buffers of longer keys are not kept.
const SPARE_BYTES: usize = 255;

impl Pool {
    /// Takes a candidate among the best `most`.
    fn offer(&mut self, most: usize, sign: u64, rank: impl Fn(u64) -> u64, db: usize, key: &[u8]) {
        let mine = rank(sign);
        let at = self.found.partition_point(|c| rank(c.sign) < mine);
        if at == 0 && self.found.len() >= most || self.found.iter().any(|c| c.db == db && c.key == key) {
            return;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(key);
        self.found.insert(at, Candidate { sign, db, key: buffer });
        if self.found.len() > most {
            let worst = self.found.remove(0);
            self.recycle(worst.key);
        }
    }

    fn recycle(&mut self, mut key: Vec<u8>) {
        if key.capacity() <= SPARE_BYTES && self.spare.len() < POOL {
            key.clear();
            self.spare.push(key);
        }
    }

    fn clear(&mut self) {
        while let Some(candidate) = self.found.pop() {
            self.recycle(candidate.key);
        }
    }
}

/// Gives `f` some entries of a table that a rule lets go, near this place as far as there are any.
fn sample(table: &Table<Value>, rule: &Rule, at: u64, cursor: &mut u64, f: &mut dyn FnMut(Ref<'_, Value>)) {
    if !rule.volatile {
        return table.sample(at, rule.samples, f);
    }
    let mut found = false;
    table.sample_expiring(at, rule.samples, EXPIRING_BUCKETS, &mut |entry| {
        found = true;
        f(entry);
    });
    for _ in 0..TRIES {
        if found || table.expires() == 0 {
            return;
        }
        // They are rare: go on from where the last search ended, so that none is overlooked.
        *cursor = table.sample_expiring(*cursor, rule.samples, EXPIRING_BUCKETS, &mut |entry| {
            found = true;
            f(entry);
        });
    }
}

impl Store {
    /// Keys that a rule lets go.
    pub fn evictable(&self, rule: &Rule) -> usize {
        self.dbs.iter().map(|(_, db)| if rule.volatile { db.expires() } else { db.len() }).sum()
    }

    /// Looks at some keys of each database; the sign of the best candidate so far that nobody has used since.
    pub fn seek_victims(&mut self, rule: &Rule, now: Now, random: &mut u64) -> Option<u64> {
        if self.pool.judge != Some(rule.judge) {
            self.change_judge(rule);
        }
        if let Judge::Fifo = rule.judge {
            return self.fifo_sign(rule.volatile, now);
        }
        let most = rule.candidates(self.evictable(rule));
        let pool = &mut self.pool;
        let mut cursor = pool.cursor;
        let [at, next] = pool.ahead;
        pool.ahead = [next, xorshift(random)];
        for (index, db) in self.dbs.iter().filter(|(_, db)| !db.is_empty()) {
            sample(db.table(), rule, at, &mut cursor, &mut |entry| {
                pool.offer(most, rule.sign(&entry), |sign| rule.rank(sign, now), index, entry.key());
            });
            if !rule.volatile {
                db.table().prefetch_sample(pool.ahead[0], rule.samples);
            }
            db.table().prefetch(pool.ahead[1]);
        }
        pool.cursor = cursor;
        // The best is told to others, so it must be true.
        while let Some(best) = self.pool.found.pop() {
            if self.is_still(&best, rule) {
                let sign = best.sign;
                self.pool.found.push(best);
                return Some(sign);
            }
            self.pool.recycle(best.key);
        }
        None
    }

    /// Whether a candidate is there as it was found, and may go.
    fn is_still(&self, candidate: &Candidate, rule: &Rule) -> bool {
        let table = self.dbs[candidate.db].table();
        let entry = table.get(table.hash(&candidate.key), &candidate.key);
        entry.is_some_and(|e| rule.sign(&e) == candidate.sign && !(rule.volatile && e.expire_at().is_none()))
    }

    /// The sign of the best candidate so far.
    pub fn best_sign(&self, rule: &Rule, now: Now) -> Option<u64> {
        match rule.judge {
            Judge::Fifo => self.fifo_sign(rule.volatile, now),
            _ => self.pool.found.last().map(|c| c.sign),
        }
    }

    /// Another policy judges: what was found under the one before is worth nothing.
    fn change_judge(&mut self, rule: &Rule) {
        self.pool.clear();
        self.pool.judge = Some(rule.judge);
        if rule.judge != Judge::Fifo {
            self.dbs.iter_mut().for_each(|(_, db)| db.drop_fifo());
            self.settle();
        }
    }

    /// Removes the key that a rule lets go first among those seen; whether there was one. Its value, when it is large,
    /// becomes garbage.
    pub fn evict_one(&mut self, rule: &Rule, now: Now, random: &mut u64) -> bool {
        if let Judge::Random = rule.judge {
            return self.evict_any(rule, random);
        }
        if let Judge::Fifo = rule.judge {
            return self.evict_fifo(rule.volatile, now);
        }
        for _ in 0..TRIES {
            let Some(candidate) = self.pool.found.pop() else {
                if self.seek_victims(rule, now, random).is_none() {
                    return false;
                }
                continue;
            };
            let goes = self.is_still(&candidate, rule);
            if goes {
                let hash = self.dbs[candidate.db].table().hash(&candidate.key);
                self.drop_key(candidate.db, hash, &candidate.key);
            }
            self.pool.recycle(candidate.key);
            if goes {
                self.prefetch_victims();
                return true;
            }
        }
        false
    }

    /// Fetches what the next eviction is likely to read, and some of what the one after it will.
    fn prefetch_victims(&self) {
        let mut best = self.pool.found.iter().rev().map(|c| (self.dbs[c.db].table(), &c.key));
        if let Some((table, key)) = best.next() {
            table.prefetch_entry(table.hash(key));
        }
        if let Some((table, key)) = best.next() {
            table.prefetch(table.hash(key));
        }
    }

    /// Removes a key to make room.
    pub(super) fn drop_key(&mut self, db: usize, hash: u64, key: &[u8]) {
        let waiting = self.garbage.len();
        self.remove(db, hash, key);
        // A string is one block, freed at once: room is wanted now, and not when the thread that frees garbage has its turn.
        if self.garbage.len() > waiting
            && let Some(garbage) = self.garbage.pop_if(|g| matches!(g, Garbage::Value(Value::Str(_))))
        {
            drop(garbage);
        }
        self.tally.evicted += 1;
        self.log.gone(db, key);
        if self.is_observed() {
            self.note_change(db, key);
        }
    }

    fn evict_any(&mut self, rule: &Rule, random: &mut u64) -> bool {
        let total = self.evictable(rule);
        if total == 0 {
            return false;
        }
        let mut at = xorshift(random) as usize % total;
        let weight = |db: &super::Db| if rule.volatile { db.expires() } else { db.len() };
        let chosen = self.dbs.iter().find(|(_, db)| {
            let here = at < weight(db);
            at = at.saturating_sub(weight(db));
            here
        });
        let Some((db, chosen)) = chosen else { return false };
        let table = chosen.table();
        let mut key = None;
        if rule.volatile {
            let rule = Rule { samples: 1, ..*rule };
            sample(table, &rule, xorshift(random), &mut self.pool.cursor, &mut |entry| {
                key = Some(entry.key().to_vec())
            });
        } else {
            key = table.random(|| xorshift(random)).map(|entry| entry.key().to_vec());
        }
        let Some(key) = key else { return false };
        let hash = table.hash(&key);
        self.drop_key(db, hash, &key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::db::Weight;
    use super::*;
    use crate::ds::Payload;

    const NOW: Now = Now { wall_us: 1_000_000_000, mono_us: 5_000_000_000 };
    const LFU: Lfu = Lfu { log_factor: 10, decay_minutes: 1 };

    /// Keys 0..n in database `n % 2`; the higher, the older, the less used, the later to expire.
    fn store(n: u32) -> Store {
        let mut store = Store::new(0, 2, 7);
        for i in 0..n {
            let table = store.db_mut(i as usize % 2).table_mut();
            let key = i.to_be_bytes();
            let expire = (i % 4 == 0).then_some(2_000_000 + i64::from(i));
            let (entry, ..) = table.upsert_mut(table.hash(&key), &key, Payload::Int(0), expire);
            entry.set_access(lru::idle_since(u64::from(i / 10), NOW));
        }
        store
    }

    fn left(store: &Store) -> Vec<u32> {
        let keys = (0..2).flat_map(|db| store.db(db).table().iter().map(|e| e.key().to_vec()));
        keys.map(|k| u32::from_be_bytes(k.try_into().expect("4 bytes"))).collect()
    }

    fn rule(judge: Judge, volatile: bool) -> Rule {
        Rule { judge, volatile, samples: 5 }
    }

    fn evict(store: &mut Store, rule: Rule, n: usize) {
        let mut random = 42;
        for _ in 0..n {
            store.seek_victims(&rule, NOW, &mut random);
            assert!(store.evict_one(&rule, NOW, &mut random));
        }
    }

    fn mean(keys: &[u32]) -> f64 {
        keys.iter().map(|k| f64::from(*k)).sum::<f64>() / keys.len() as f64
    }

    #[test]
    fn the_longest_unused_go_first() {
        let mut store = store(4_000);
        evict(&mut store, rule(Judge::Lru, false), 2_000);
        let left = left(&store);
        assert_eq!((left.len(), store.tally.evicted), (2_000, 2_000));
        // The younger half, nearly: a perfect choice would leave a mean of 1,000, a random one of 2,000.
        assert!(mean(&left) < 1_200.0, "{}", mean(&left));
    }

    #[test]
    fn the_first_to_expire_go_first_and_the_rest_stays() {
        let mut store = store(4_000);
        evict(&mut store, rule(Judge::Ttl, true), 500);
        let left = left(&store);
        assert_eq!(left.iter().filter(|k| *k % 4 != 0).count(), 3_000);
        let volatile: Vec<u32> = left.into_iter().filter(|k| k % 4 == 0).collect();
        assert!(mean(&volatile) > 2_700.0, "{}", mean(&volatile));
        evict(&mut store, rule(Judge::Random, true), 500);
        let mut random = 1;
        for judge in [Judge::Ttl, Judge::Random, Judge::Lru, Judge::Lfu(LFU)] {
            assert!(!store.evict_one(&rule(judge, true), NOW, &mut random), "{judge:?}");
        }
        assert_eq!(store.evictable(&rule(Judge::Lru, false)), 3_000);
    }

    #[test]
    fn a_long_string_that_goes_makes_room_at_once() {
        let mut store = Store::new(0, 1, 7);
        let table = store.db_mut(0).table_mut();
        table.upsert(table.hash(b"k"), b"k", Payload::Boxed(Value::string(vec![1; 100_000])), None);
        let (left, came) = (Weight::default(), Weight::of(&Value::string(vec![1; 100_000])));
        store.db_mut(0).account(b"k", left, came);
        evict(&mut store, rule(Judge::Lru, false), 1);
        assert!(!store.has_garbage() && store.bytes() == 0);
    }

    #[test]
    fn the_least_used_go_first() {
        let mut store = store(0);
        for i in 0..2_000u32 {
            let table = store.db_mut(0).table_mut();
            let key = i.to_be_bytes();
            let (entry, ..) = table.upsert_mut(table.hash(&key), &key, Payload::Int(0), None);
            entry.set_access(access::lfu_of((i / 8) as u8, 1_000));
        }
        evict(&mut store, rule(Judge::Lfu(LFU), false), 1_000);
        assert!(mean(&left(&store)) > 1_350.0, "{}", mean(&left(&store)));
    }

    #[test]
    fn a_candidate_that_was_used_is_spared() {
        let mut store = store(10);
        let rule = rule(Judge::Lru, false);
        let mut random = 3;
        for _ in 0..20 {
            store.seek_victims(&rule, NOW, &mut random);
        }
        for db in 0..2 {
            store.db(db).table().iter().for_each(|e| e.set_access(lru::stamp(NOW.later(1_000), true)));
        }
        let spared = 7u32.to_be_bytes();
        let table = store.db(1).table();
        table
            .get(table.hash(&spared), &spared)
            .expect("there")
            .set_access(lru::stamp(NOW.later(3_000), true));
        for _ in 0..9 {
            assert!(store.evict_one(&rule, NOW.later(9_000), &mut random));
        }
        assert_eq!(left(&store).len(), 1);
    }

    #[test]
    fn ranks_compare_across_stores() {
        let lru = rule(Judge::Lru, false);
        let old = |us| u64::from(lru::stamp(Now { mono_us: NOW.mono_us - us, ..NOW }, true));
        assert!(lru.rank(old(9_000), NOW) > lru.rank(old(8_000), NOW));
        assert!(lru.near(9_000, 10_000) && lru.near(0, TURN_US) && !lru.near(5_000, 10_000));
        let ttl = rule(Judge::Ttl, true);
        assert!(ttl.rank(5, NOW) > ttl.rank(6, NOW));
        let lfu = rule(Judge::Lfu(LFU), false);
        let sign = |counter| u64::from(access::lfu_of(counter, 1_000));
        assert!(lfu.rank(sign(3), NOW) > lfu.rank(sign(4), NOW));
    }
}
