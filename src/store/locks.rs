//! Keys that are on their way to another server: until it has answered, nobody else may use them.
//!
//! ```text
//!  MIGRATE ─ lock ─ ... the other server ... ─ unlock      changed: somebody has written to the key in spite of the lock
//!               └─ who meets a locked key waits, and leaves word ([`Store::await_unlock`]) with the store in hand
//! ```
//! Whoever changes a key holds its store, so a lock needs no more than a look at it before a command runs. Some changes are of no
//! command that names the key: its time comes, memory is short, its database is emptied. The lock does not stop these but takes note,
//! so that MIGRATE removes nothing but what it has sent. Fields of a hash whose time comes are no such change: they end where the hash
//! goes, too. Where databases are exchanged a lock goes with its key.

use super::Store;
use std::collections::BTreeMap;

/// One key of one database.
struct Lock {
    db: usize,
    /// The client whose MIGRATE holds it.
    holder: u64,
    changed: bool,
}

/// The locked keys of one store.
#[derive(Default)]
pub(super) struct Locks {
    by_key: BTreeMap<Box<[u8]>, Vec<Lock>>,
    /// Somebody waits for a key to be free again.
    awaited: bool,
}

impl Locks {
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// How many keys have locks.
    pub fn keys(&self) -> usize {
        self.by_key.len()
    }

    fn find(&self, db: usize, key: &[u8]) -> Option<&Lock> {
        self.by_key.get(key)?.iter().find(|lock| lock.db == db)
    }
}

impl Store {
    /// Locks a key for a client. Nothing happens when it is locked already.
    pub fn lock(&mut self, db: usize, key: &[u8], holder: u64) {
        if self.locks.find(db, key).is_none() {
            self.locks.by_key.entry(key.into()).or_default().push(Lock { db, holder, changed: false });
            self.count_observers();
        }
    }

    /// Whether a key is locked; `db`: in this database, or in any.
    pub fn is_locked(&self, db: Option<usize>, key: &[u8]) -> bool {
        match db {
            Some(db) => self.locks.find(db, key).is_some(),
            None => self.locks.by_key.contains_key(key),
        }
    }

    /// The locked keys of a database, or of any.
    pub fn locked_keys(&self, db: Option<usize>) -> impl Iterator<Item = &[u8]> {
        let here = move |locks: &[Lock]| locks.iter().any(|lock| db.is_none_or(|db| lock.db == db));
        self.locks.by_key.iter().filter(move |(_, locks)| here(locks)).map(|(key, _)| &**key)
    }

    /// Whether any key is.
    #[inline]
    pub fn has_locks(&self) -> bool {
        !self.locks.is_empty()
    }

    /// The database that a client's locked key is in by now, and whether the key is what it was when it was locked.
    pub fn locked(&self, key: &[u8], holder: u64) -> Option<(usize, bool)> {
        let lock = self.locks.by_key.get(key)?.iter().find(|lock| lock.holder == holder)?;
        Some((lock.db, !lock.changed))
    }

    /// Frees a client's key.
    pub fn unlock(&mut self, key: &[u8], holder: u64) {
        let Some(locks) = self.locks.by_key.get_mut(key) else { return };
        locks.retain(|lock| lock.holder != holder);
        if locks.is_empty() {
            self.locks.by_key.remove(key);
        }
        self.count_observers();
    }

    /// Somebody waits for a key of this store to be free again.
    pub fn await_unlock(&mut self) {
        self.locks.awaited = true;
    }

    /// Whether somebody waits, who is told now.
    pub fn take_awaited(&mut self) -> bool {
        std::mem::take(&mut self.locks.awaited)
    }

    /// A key has changed.
    pub(super) fn tell_lock(&mut self, db: usize, key: &[u8]) {
        if self.locks.is_empty() {
            return;
        }
        if let Some(locks) = self.locks.by_key.get_mut(key) {
            locks.iter_mut().filter(|lock| lock.db == db).for_each(|lock| lock.changed = true);
        }
    }

    /// A database is emptied.
    pub(super) fn tell_locks_of_flush(&mut self, db: usize) {
        let all = self.locks.by_key.values_mut().flatten();
        all.filter(|lock| lock.db == db).for_each(|lock| lock.changed = true);
    }

    /// Two databases are exchanged.
    pub(super) fn tell_locks_of_swap(&mut self, a: usize, b: usize) {
        for lock in self.locks.by_key.values_mut().flatten() {
            lock.db = match lock.db {
                db if db == a => b,
                db if db == b => a,
                db => db,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ds::Payload;
    use crate::ds::hash::{Expiry, Hash, Shape};
    use crate::store::{Kind, Value};

    fn put(store: &mut Store, db: usize, key: &[u8], expire: Option<i64>) {
        let table = store.db_mut(db).table_mut();
        table.upsert(table.hash(key), key, Payload::Int(1), expire);
        store.note_change(db, key);
    }

    #[test]
    fn a_lock_is_of_one_key_in_one_database() {
        let mut store = Store::new(0, 3, 7);
        assert!(!store.has_locks() && !store.is_crossed() && !store.is_observed());
        store.lock(1, b"k", 7);
        store.lock(1, b"k", 8);
        assert!(store.has_locks() && store.is_crossed() && store.is_observed());
        assert!(store.is_locked(Some(1), b"k") && store.is_locked(None, b"k"));
        assert!(!store.is_locked(Some(0), b"k") && !store.is_locked(None, b"j"));
        assert_eq!(
            (store.locked_keys(Some(1)).collect(), store.locked_keys(Some(0)).count()),
            (vec![&b"k"[..]], 0)
        );
        store.lock(0, b"k", 8);
        store.unlock(b"k", 7);
        assert!(store.is_locked(Some(0), b"k") && !store.is_locked(Some(1), b"k"));
        assert_eq!((store.locked(b"k", 7), store.locked(b"k", 8)), (None, Some((0, true))));
        store.unlock(b"k", 7);
        store.unlock(b"k", 8);
        assert!(!store.has_locks() && !store.is_crossed() && !store.is_observed());
    }

    #[test]
    fn a_lock_notes_every_change_of_its_key_and_no_other() {
        let changes: [fn(&mut Store); 3] = [
            |store| put(store, 0, b"k", None),
            |store| _ = store.flush(0),
            |store| _ = store.expire_slice(10, 100, false),
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut store = Store::new(0, 3, 7);
            put(&mut store, 0, b"k", Some(9));
            store.lock(0, b"k", 7);
            put(&mut store, 1, b"k", None);
            put(&mut store, 0, b"j", None);
            store.flush(1);
            store.swap(1, 2, 5);
            assert_eq!(store.locked(b"k", 7), Some((0, true)), "{i}");
            change(&mut store);
            assert_eq!(store.locked(b"k", 7), Some((0, false)), "{i}");
        }
    }

    #[test]
    fn fields_that_come_to_their_end_are_no_change() {
        let mut store = Store::new(0, 1, 7);
        let mut hash = Hash::new();
        let shape = Shape { entries: 9, value: 9, seed: 1 };
        for (field, at) in [(b"f", Some(5)), (b"g", None)] {
            hash.set(field, b"v", Expiry::Keep, &shape);
            hash.set_expire(field, at);
        }
        let (table, weight, filed) = store.db_mut(0).parts_mut(Kind::Hash);
        *weight += hash.heap_bytes();
        filed.refile(b"h", hash.min_expire());
        table.upsert(table.hash(b"h"), b"h", Payload::Boxed(Value::Hash(hash)), None);
        store.lock(0, b"h", 7);
        assert_eq!(store.expire_slice(10, 100, false).fields, 1);
        assert_eq!(store.locked(b"h", 7), Some((0, true)));
    }

    #[test]
    fn a_lock_goes_with_its_key_into_another_database() {
        let mut store = Store::new(0, 3, 7);
        put(&mut store, 0, b"k", None);
        store.lock(0, b"k", 7);
        store.lock(2, b"k", 8);
        store.swap(0, 2, 5);
        assert_eq!((store.locked(b"k", 7), store.locked(b"k", 8)), (Some((2, true)), Some((0, true))));
        store.swap(1, 2, 5);
        assert!(store.is_locked(Some(1), b"k") && !store.is_locked(Some(2), b"k"));
    }

    #[test]
    fn who_waits_is_told_once() {
        let mut store = Store::new(0, 1, 7);
        store.lock(0, b"k", 7);
        store.await_unlock();
        assert!(store.take_awaited() && !store.take_awaited());
    }
}
