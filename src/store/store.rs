//! One shard's data as a value, and what it leaves for the shard to carry away.

use super::cut::Aside;
use super::databases::Databases;
use super::lines::Lines;
use super::locks::Locks;
use super::log::Log;
use super::victims::Pool;
use super::watch::Watches;
use super::{Db, Expired, Value};
use crate::ds::Table;

/// What a store has counted since it was made or reset.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Lookups for reading that found their key.
    pub hits: u64,
    /// Lookups for reading that did not.
    pub misses: u64,
    /// Keys that expired.
    pub expired: u64,
    /// Fields of hashes that expired.
    pub expired_fields: u64,
    /// Keys removed to make room.
    pub evicted: u64,
}

impl Tally {
    /// Adds another store's.
    pub fn add(&mut self, other: &Tally) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.expired += other.expired;
        self.expired_fields += other.expired_fields;
        self.evicted += other.evicted;
    }
}

/// Memory on its way to be freed where it delays nobody.
pub enum Garbage {
    /// A large value.
    Value(Value),
    /// A whole database, and what it weighs.
    Table { table: Box<Table<Value>>, bytes: usize },
}

impl Garbage {
    /// Bytes that are freed with it.
    pub fn bytes(&self) -> usize {
        match self {
            Garbage::Value(value) => value.heap_bytes(),
            Garbage::Table { bytes, .. } => *bytes,
        }
    }

    /// Keys that it was of, as Redis counts what is freed lazily.
    pub fn objects(&self) -> usize {
        match self {
            Garbage::Value(_) => 1,
            Garbage::Table { table, .. } => table.len(),
        }
    }
}

/// A collection at least this large is freed off the hot path, in bytes; and a string, which is a block or two: a smaller one is freed
/// sooner than it is handed over, and its memory is there for the next. Of larger ones the shard judges when its stores are back.
const LAZY_FREE_FROM: usize = 64 << 10;
const LAZY_FREE_STRING_FROM: usize = 512 << 10;

/// Whether a value is to be freed off the hot path.
pub(super) fn frees_slowly(value: &Value) -> bool {
    value.heap_bytes() >= if let Value::Str(_) = value { LAZY_FREE_STRING_FROM } else { LAZY_FREE_FROM }
}

/// The most garbage that waits for the shard to take it away; what comes then is freed on the spot.
const GARBAGE_MAX: usize = 4_096;

/// One shard's data.
pub struct Store {
    shard: usize,
    seed: u64,
    pub(super) dbs: Databases,
    /// Counters of INFO.
    pub tally: Tally,
    /// Writes since the start (`rdb_changes_since_last_save`).
    pub dirty: u64,
    /// What the append-only log will say.
    pub log: Log,
    /// How many keys somebody watches, waits for or has locked: while it is 0, nobody has to hear of a change.
    observers: usize,
    pub(super) watches: Watches,
    pub(super) lines: Lines,
    pub(super) locks: Locks,
    /// A cut under way.
    pub(super) aside: Option<Aside>,
    pub(super) garbage: Vec<Garbage>,
    /// The next keys to go when memory is short.
    pub(super) pool: Pool,
    /// The database that was changed last; the others weigh what `settled` says of them.
    touched: usize,
    settled: usize,
    /// The database that the next slice of expiry begins with.
    expire_first: usize,
}

impl Store {
    /// An empty store of `databases` databases. The seed decides how keys are hashed, alike in all shards.
    pub fn new(shard: usize, databases: usize, seed: u64) -> Store {
        Store {
            shard,
            seed,
            dbs: Databases::new(databases, seed),
            tally: Tally::default(),
            dirty: 0,
            log: Log::default(),
            observers: 0,
            watches: Watches::default(),
            aside: None,
            lines: Lines::default(),
            locks: Locks::default(),
            garbage: Vec::new(),
            pool: Pool::default(),
            touched: 0,
            settled: 0,
            expire_first: 0,
        }
    }

    /// Whose store this is.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// The secret that keys and members are hashed with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A database by its number, which the session has checked.
    pub fn db(&self, index: usize) -> &Db {
        &self.dbs[index]
    }

    /// A database by its number, for writing.
    #[inline]
    pub fn db_mut(&mut self, index: usize) -> &mut Db {
        if index != self.touched {
            self.touch(index);
        }
        &mut self.dbs[index]
    }

    /// From now on another database is the one that changes.
    #[inline(never)]
    fn touch(&mut self, index: usize) {
        self.settled = self.settled + self.dbs[self.touched].bytes() - self.dbs[index].bytes();
        self.touched = index;
    }

    /// The databases that may hold something, and their numbers, ascending.
    pub fn dbs(&self) -> impl Iterator<Item = (usize, &Db)> {
        self.dbs.iter()
    }

    /// Whether somebody has to hear of changes.
    #[inline]
    pub fn is_observed(&self) -> bool {
        self.observers > 0
    }

    pub(super) fn count_observers(&mut self) {
        self.observers = self.watches.keys() + self.lines.keys() + self.locks.keys();
    }

    /// Tells those who observe a key that it has changed, or is gone.
    #[inline(never)]
    pub(super) fn note_change(&mut self, db: usize, key: &[u8]) {
        self.tell_watchers(db, key);
        self.tell_lock(db, key);
        self.mark_ready(db, key);
    }

    /// The same of a hash whose fields have come to their end. That is no news to who has locked it: they end where it goes, too.
    fn note_fields_gone(&mut self, db: usize, key: &[u8]) {
        self.tell_watchers(db, key);
        self.mark_ready(db, key);
    }

    /// Exchanges two databases.
    pub fn swap(&mut self, a: usize, b: usize, now_ms: i64) {
        if self.is_observed() && a != b {
            self.tell_of_swap(a, b, now_ms);
            self.tell_of_swap(b, a, now_ms);
            self.tell_locks_of_swap(a, b);
            self.mark_all_ready(a);
            self.mark_all_ready(b);
        }
        self.dbs.swap(a, b);
        self.swap_in_cut(a, b);
        self.settle();
        // One change of the keyspace, in however many shards.
        self.dirty += (self.shard == 0) as u64;
    }

    /// Empties a database; the old content becomes garbage. How many keys there were.
    pub fn flush(&mut self, db: usize) -> usize {
        let keys = self.empty(db);
        self.settle();
        keys
    }

    /// Empties all.
    pub fn flush_all(&mut self) -> usize {
        let (mut keys, mut next) = (0, self.dbs.next(0));
        while let Some(db) = next {
            keys += self.empty(db);
            next = self.dbs.next(db + 1);
        }
        self.settle();
        keys
    }

    /// [`Store::flush`] of one, before all are weighed anew.
    fn empty(&mut self, db: usize) -> usize {
        if self.is_observed() {
            self.tell_of_flush(db);
            self.tell_locks_of_flush(db);
            self.mark_all_ready(db);
        }
        let Some(old) = self.dbs.take(db) else { return 0 };
        let keys = old.len();
        self.dirty += keys as u64;
        // One that is empty already may have been so only since the cut, and hold what was kept of it.
        if keys > 0 || old.table().owes_kept() {
            let bytes = old.bytes();
            self.set_aside(old.cut_as, old.into_table(), bytes);
        }
        keys
    }

    /// Leaves garbage for the shard to carry away.
    pub fn discard(&mut self, garbage: Garbage) {
        if self.garbage.len() < GARBAGE_MAX {
            self.garbage.push(garbage);
        }
    }

    /// Leaves a value for the shard to free when it is large, else frees it here.
    pub fn discard_value(&mut self, value: Value) {
        if frees_slowly(&value) {
            self.discard(Garbage::Value(value));
        }
    }

    /// Whether garbage waits.
    #[inline]
    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    /// The garbage that waits.
    pub fn take_garbage(&mut self) -> Option<Vec<Garbage>> {
        (!self.garbage.is_empty()).then(|| std::mem::take(&mut self.garbage))
    }

    /// Bytes that the data takes: blocks, tables and large values, as allocated. Asks every database.
    pub fn bytes(&self) -> usize {
        let aside = self.aside.as_ref().map_or(0, Aside::bytes);
        self.dbs.iter().map(|(_, db)| db.bytes()).sum::<usize>() + aside
    }

    /// The same in O(1), for each command that may not go over `maxmemory`.
    #[inline]
    pub fn weight(&self) -> usize {
        let aside = self.aside.as_ref().map_or(0, Aside::bytes);
        self.settled + self.dbs[self.touched].bytes() + aside
    }

    /// Weighs every database anew.
    pub(super) fn settle(&mut self) {
        let all: usize = self.dbs.iter().map(|(_, db)| db.bytes()).sum();
        self.settled = all - self.dbs[self.touched].bytes();
    }

    /// Moves entries of loose heaps together, going on by so many buckets; how many, `None` if no heap is loose. A heap is loose
    /// sooner while memory is `short`.
    pub fn compact_slice(&mut self, buckets: usize, short: bool) -> Option<usize> {
        self.dbs.iter_mut().find_map(|(_, db)| db.compact_slice(buckets, short))
    }

    /// The same in the database that was changed last, while memory is short.
    pub fn compact_touched(&mut self, buckets: usize) -> Option<usize> {
        self.dbs[self.touched].compact_slice(buckets, true)
    }

    /// Removes expired keys and fields of hashes, at most about `budget` entries looked at; how many were. A quarter of the budget
    /// is for fields, what keys leave of the rest too; the database that began is not the next to begin. Keys that are due may wait a
    /// little for others, unless memory is `short`. Removals are counted.
    pub fn expire_slice(&mut self, now_ms: i64, budget: usize, short: bool) -> Expired {
        let mut total = Expired::default();
        let mut changed = self.is_observed().then(Changed::new);
        // Of many databases few have anything to expire.
        let may_expire = self.dbs.iter().filter(|(_, db)| db.expires() > 0 || db.field_expires() > 0);
        let mut order: Vec<usize> = may_expire.map(|(i, _)| i).collect();
        let first = order.partition_point(|i| *i < self.expire_first);
        order.rotate_left(first);
        let mut busy = None;
        for (pass, most) in [(Pass::Fields, budget / 4), (Pass::Keys, budget), (Pass::Fields, budget)] {
            for &i in &order {
                if total.looked_at >= most {
                    break;
                }
                let left = most - total.looked_at;
                let done = self.expire_in(i, pass, (now_ms, left), short, &mut changed);
                if done.looked_at > 0 && pass == Pass::Keys {
                    busy.get_or_insert(i);
                }
                total.add(done);
            }
        }
        self.expire_first = busy.map_or(self.expire_first, |busy| busy + 1);
        for (pass, db, key) in changed.into_iter().flatten() {
            match pass {
                Pass::Keys => self.note_change(db, &key),
                Pass::Fields => self.note_fields_gone(db, &key),
            }
        }
        self.tally.expired += total.removed as u64;
        self.tally.expired_fields += total.fields as u64;
        if self.aside.is_none() {
            self.dbs.drop_empty();
        }
        self.settle();
        total
    }

    fn expire_in(
        &mut self,
        index: usize,
        pass: Pass,
        (now_ms, budget): (i64, usize),
        short: bool,
        changed: &mut Option<Changed>,
    ) -> Expired {
        let Store { dbs, garbage, log, .. } = self;
        let mut note = |key: &[u8]| {
            if let Some(changed) = changed {
                changed.push((pass, index, Box::from(key)));
            }
        };
        let is_on = log.is_on();
        match pass {
            Pass::Keys => dbs[index].expire_slice((now_ms, short), budget, garbage, &mut |key| {
                log.gone(index, key);
                note(key);
            }),
            Pass::Fields => dbs[index].expire_fields((now_ms, budget), garbage, is_on, &mut |key, fields| {
                log.fields_gone(index, key, fields);
                note(key);
            }),
        }
    }
}

/// Keys, and their databases, that observers are to hear of, and what was found in them.
type Changed = Vec<(Pass, usize, Box<[u8]>)>;

/// What a slice of expiry goes through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Keys,
    Fields,
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::ds::Payload;
    use crate::ds::hash::{Expiry, Hash, Shape};

    fn put(store: &mut Store, db: usize, n: u64, at: i64) {
        let table = store.db_mut(db).table_mut();
        let key = n.to_be_bytes();
        table.upsert(table.hash(&key), &key, Payload::Int(0), Some(at));
    }

    /// Much that is due in one database, or in keys, keeps neither other databases nor fields waiting.
    #[test]
    fn every_database_and_every_kind_gets_its_share_of_a_slice() {
        let mut store = Store::new(0, 16, 7);
        for n in 0..5_000 {
            put(&mut store, 0, n, 1);
            put(&mut store, 3, n, 1);
        }
        let mut hash = Hash::new();
        for n in 0..200u32 {
            hash.set(&n.to_be_bytes(), b"v", Expiry::Keep, &Shape { entries: 9, value: 9, seed: 1 });
            hash.set_expire(&n.to_be_bytes(), Some(1));
        }
        let (table, weight, filed) = store.db_mut(9).parts_mut(super::super::Kind::Hash);
        *weight += hash.heap_bytes();
        filed.refile(b"h", hash.min_expire());
        table.upsert(table.hash(b"h"), b"h", Payload::Boxed(Value::Hash(hash)), None);
        for _ in 0..4 {
            store.expire_slice(10, 1_000, false);
        }
        let left = [0, 3].map(|db| store.db(db).len());
        assert!(left.iter().all(|left| (2_500..4_500).contains(left)), "{left:?}");
        assert_eq!((store.db(9).len(), store.tally.expired_fields), (0, 200));
        // Where only fields are due they get the whole slice.
        assert_eq!(store.tally.expired as usize, 10_000 - left[0] - left[1]);
    }

    /// A steady stream of writes with a TTL, in slices of an ideal clock: how much is dead, and what it costs to find it.
    fn stream(per_ms: u64, ttl_ms: i64, run_ms: i64) -> (f64, f64) {
        let mut store = Store::new(0, 1, 7);
        let (mut n, mut looked, mut removed, mut dead) = (0u64, 0, 0, 0.0f64);
        for now in 1..run_ms {
            for _ in 0..per_ms {
                n += 1;
                put(&mut store, 0, n.wrapping_mul(0x9e37_79b9_7f4a_7c15), now + ttl_ms);
            }
            if now % 100 != 0 {
                continue;
            }
            let live = per_ms as usize * ttl_ms as usize;
            if now > ttl_ms * 3 / 2 {
                dead = dead.max((store.db(0).len() as f64 - live as f64) / live as f64);
            }
            loop {
                let done = store.expire_slice(now, 2_048, false);
                (looked, removed) = (looked + done.looked_at, removed + done.removed);
                if done.looked_at < 2_048 || done.removed == 0 {
                    break;
                }
            }
        }
        (dead, looked as f64 / removed as f64)
    }

    #[test]
    fn a_steady_stream_leaves_few_dead_keys_and_each_costs_few_looks() {
        let (dead, looks) = stream(4, 8_000, 20_000);
        assert!(dead < 0.05 && looks < 45.0, "{dead:.3} dead, {looks:.1} looks a key");
    }

    /// As many keys as a shard may have that expire within the same second: with what one slice looks at, and a slice every 100 ms
    /// where nothing is left to do, all are gone within the next two.
    #[test]
    fn what_expires_within_a_second_is_gone_soon_after() {
        let mut store = Store::new(0, 1, 7);
        (0..50_000).for_each(|n| put(&mut store, 0, n, 10_000 + n as i64 % 1_000));
        // It has learned to wait before.
        (50_000..60_000).for_each(|n| put(&mut store, 0, n, n as i64 % 10_000));
        let mut slices = 0;
        for now in (0..12_000).step_by(100) {
            while store.expire_slice(now, 2_048, false).looked_at >= 2_048 {
                slices += 1;
            }
        }
        assert_eq!(store.db(0).len(), 0);
        assert!(slices < 3_000, "{slices}");
    }

    #[test]
    fn a_store_can_cross_threads() {
        fn is_send<T: Send>() {}
        is_send::<Store>();
        is_send::<Garbage>();
    }
}
