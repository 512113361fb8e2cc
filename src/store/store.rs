//! One shard's data as a value, and what it leaves for the shard to carry away.

use super::cut::Aside;
use super::lines::Lines;
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
}

/// A value at least this long is freed off the hot path, in bytes.
pub const LAZY_FREE_FROM: usize = 64 * 1024;

/// The most garbage that waits for the shard to take it away; what comes then is freed on the spot.
const GARBAGE_MAX: usize = 4_096;

/// One shard's data.
pub struct Store {
    shard: usize,
    seed: u64,
    pub(super) dbs: Vec<Db>,
    /// Counters of INFO.
    pub tally: Tally,
    /// Writes since the start (`rdb_changes_since_last_save`).
    pub dirty: u64,
    /// What the append-only log will say.
    pub log: Log,
    /// How many keys somebody watches or waits for: while it is 0, nobody has to hear of a change.
    observers: usize,
    pub(super) watches: Watches,
    pub(super) lines: Lines,
    /// A cut under way.
    pub(super) aside: Option<Aside>,
    pub(super) garbage: Vec<Garbage>,
    /// The next keys to go when memory is short.
    pub(super) pool: Pool,
    /// The database that was changed last; the others weigh what `settled` says of them.
    touched: usize,
    settled: usize,
}

impl Store {
    /// An empty store of `databases` databases. The seed decides how keys are hashed, alike in all shards.
    pub fn new(shard: usize, databases: usize, seed: u64) -> Store {
        let dbs = (0..databases).map(|_| Db::new(seed)).collect();
        Store {
            shard,
            seed,
            dbs,
            tally: Tally::default(),
            dirty: 0,
            log: Log::default(),
            observers: 0,
            watches: Watches::default(),
            aside: None,
            lines: Lines::default(),
            garbage: Vec::new(),
            pool: Pool::default(),
            touched: 0,
            settled: 0,
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
            self.settled = self.settled + self.dbs[self.touched].bytes() - self.dbs[index].bytes();
            self.touched = index;
        }
        &mut self.dbs[index]
    }

    /// How many databases.
    pub fn databases(&self) -> usize {
        self.dbs.len()
    }

    /// Whether somebody has to hear of changes.
    #[inline]
    pub fn is_observed(&self) -> bool {
        self.observers > 0
    }

    pub(super) fn count_observers(&mut self) {
        self.observers = self.watches.keys() + self.lines.keys();
    }

    /// Tells those who observe a key that it has changed, or is gone.
    #[inline(never)]
    pub(super) fn note_change(&mut self, db: usize, key: &[u8]) {
        self.tell_watchers(db, key);
        self.mark_ready(db, key);
    }

    /// Exchanges two databases.
    pub fn swap(&mut self, a: usize, b: usize, now_ms: i64) {
        if self.is_observed() && a != b {
            self.tell_of_swap(a, b, now_ms);
            self.tell_of_swap(b, a, now_ms);
            self.mark_all_ready(a);
            self.mark_all_ready(b);
        }
        self.dbs.swap(a, b);
        self.settle();
        // One change of the keyspace, in however many shards.
        self.dirty += (self.shard == 0) as u64;
    }

    /// Empties a database; the old content becomes garbage. How many keys there were.
    pub fn flush(&mut self, db: usize) -> usize {
        if self.is_observed() {
            self.tell_of_flush(db);
            self.mark_all_ready(db);
        }
        let old = std::mem::replace(&mut self.dbs[db], Db::new(self.seed));
        self.settle();
        let keys = old.len();
        if keys > 0 {
            self.dirty += keys as u64;
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
        if value.heap_bytes() >= LAZY_FREE_FROM {
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
        self.dbs.iter().map(Db::bytes).sum::<usize>() + aside
    }

    /// The same in O(1), for each command that may not go over `maxmemory`.
    #[inline]
    pub fn weight(&self) -> usize {
        let aside = self.aside.as_ref().map_or(0, Aside::bytes);
        self.settled + self.dbs[self.touched].bytes() + aside
    }

    /// Weighs every database anew.
    pub(super) fn settle(&mut self) {
        let all: usize = self.dbs.iter().map(Db::bytes).sum();
        self.settled = all - self.dbs[self.touched].bytes();
    }

    /// Moves entries of loose heaps together, going on by so many buckets; how many, `None` if no heap is loose.
    pub fn compact_slice(&mut self, buckets: usize) -> Option<usize> {
        self.dbs.iter_mut().find_map(|db| db.compact_slice(buckets))
    }

    /// Removes expired keys and fields of hashes, at most about `budget` entries looked at; how many were. Removals are
    /// counted.
    pub fn expire_slice(&mut self, now_ms: i64, budget: usize) -> Expired {
        let mut total = Expired::default();
        let mut changed = self.is_observed().then(Vec::new);
        let Store { dbs, garbage, log, .. } = self;
        for (i, db) in dbs.iter_mut().enumerate() {
            if total.looked_at >= budget {
                break;
            }
            let mut note = |key: &[u8]| {
                if let Some(changed) = &mut changed {
                    changed.push((i, Box::from(key)));
                }
            };
            total.add(db.expire_slice(now_ms, budget - total.looked_at, garbage, &mut |key| {
                log.gone(i, key);
                note(key);
            }));
            let left = budget.saturating_sub(total.looked_at);
            let is_on = log.is_on();
            total.add(db.expire_fields((now_ms, left), garbage, is_on, &mut |key, fields| {
                log.fields_gone(i, key, fields);
                note(key);
            }));
        }
        for (db, key) in changed.into_iter().flatten() {
            let key: Box<[u8]> = key;
            self.note_change(db, &key);
        }
        self.tally.expired += total.removed as u64;
        self.tally.expired_fields += total.fields as u64;
        self.settle();
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_can_cross_threads() {
        fn is_send<T: Send>() {}
        is_send::<Store>();
        is_send::<Garbage>();
    }
}
