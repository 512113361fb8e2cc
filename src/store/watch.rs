//! WATCH at the owners of the keys: who watches what, and who is told when it changes.
//!
//! ```text
//!  session ── Arc<Watcher> ──┐                 dirty: a watched key has changed, so EXEC must not run
//!  Store ── Watches ── db ── key ── [Watch]    one for each client that watches the key
//! ```
//! Whoever changes a key holds its store, and so finds the watchers there and marks them. EXEC holds the stores of all keys that
//! its client watches, so nothing can change between its look at the mark and its commands. While nobody watches anything, a
//! change costs one look at a counter ([`super::Store::is_observed`]).
//!
//! What counts is whether the key is there for a reader. One whose time was over already when the watch began counts as
//! absent: its removal is no change.

use super::{Db, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a client that watches keys shares with the stores that they live in.
#[derive(Default, Debug)]
pub struct Watcher {
    dirty: AtomicBool,
}

impl Watcher {
    /// Whether a watched key has changed.
    pub fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    fn mark(&self) {
        self.dirty.store(true, Ordering::Release);
    }
}

/// One client's watch of one key.
struct Watch {
    watcher: Arc<Watcher>,
    /// The key's time was over when the watch began, but nobody had removed it yet.
    expired: bool,
}

/// The keys of one store that somebody watches, by database.
#[derive(Default)]
pub(super) struct Watches {
    dbs: BTreeMap<usize, BTreeMap<Box<[u8]>, Vec<Watch>>>,
    /// How many keys there are in all databases.
    keys: usize,
}

impl Watches {
    pub fn keys(&self) -> usize {
        self.keys
    }

    fn add(&mut self, db: usize, key: &[u8], watch: Watch) {
        let of_db = self.dbs.entry(db).or_default();
        match of_db.get_mut(key) {
            Some(all) => all.push(watch),
            None => {
                of_db.insert(key.into(), vec![watch]);
                self.keys += 1;
            }
        }
    }

    /// The watch of a client on a key.
    fn find(&self, db: usize, key: &[u8], watcher: &Arc<Watcher>) -> Option<&Watch> {
        self.dbs.get(&db)?.get(key)?.iter().find(|w| Arc::ptr_eq(&w.watcher, watcher))
    }

    /// Goes through the watches of a key and drops those that `keep` does not want.
    fn retain(&mut self, db: usize, key: &[u8], keep: impl FnMut(&mut Watch) -> bool) {
        let Some(of_db) = self.dbs.get_mut(&db) else { return };
        let Some(all) = of_db.get_mut(key) else { return };
        all.retain_mut(keep);
        if all.is_empty() {
            of_db.remove(key);
            self.keys -= 1;
            if of_db.is_empty() {
                self.dbs.remove(&db);
            }
        }
    }

    /// The keys of a database that are watched.
    fn names(&self, db: usize) -> Vec<Box<[u8]>> {
        self.dbs.get(&db).map_or(Vec::new(), |keys| keys.keys().cloned().collect())
    }
}

/// What a key looks like in a database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Absent,
    /// There, but its time is over.
    Over,
    There,
}

fn look(db: &Db, key: &[u8], now_ms: i64) -> Seen {
    match db.table().get(db.table().hash(key), key).map(|entry| entry.expire_at()) {
        None => Seen::Absent,
        Some(Some(at)) if at <= now_ms => Seen::Over,
        Some(_) => Seen::There,
    }
}

impl Store {
    /// A client watches a key from now on. Nothing happens when it does so already.
    pub fn watch(&mut self, db: usize, key: &[u8], watcher: &Arc<Watcher>, now_ms: i64) -> bool {
        if self.watches.find(db, key, watcher).is_some() {
            return false;
        }
        let expired = look(&self.dbs[db], key, now_ms) == Seen::Over;
        self.watches.add(db, key, Watch { watcher: watcher.clone(), expired });
        self.count_observers();
        true
    }

    /// A client watches a key no more.
    pub fn unwatch(&mut self, db: usize, key: &[u8], watcher: &Arc<Watcher>) {
        self.watches.retain(db, key, |watch| !Arc::ptr_eq(&watch.watcher, watcher));
        self.count_observers();
    }

    /// Whether the time of a watched key has come since the watch began.
    pub fn watched_expired(&self, db: usize, key: &[u8], watcher: &Arc<Watcher>, now_ms: i64) -> bool {
        self.watches.find(db, key, watcher).is_some_and(|watch| !watch.expired)
            && look(&self.dbs[db], key, now_ms) == Seen::Over
    }

    /// How many keys are watched.
    pub fn watched_keys(&self) -> usize {
        self.watches.keys()
    }

    /// A key has changed: tells who watches it.
    pub(super) fn tell_watchers(&mut self, db: usize, key: &[u8]) {
        if self.watches.keys() == 0 {
            return;
        }
        let table = self.dbs[db].table();
        self.watches.retain(db, key, |watch| {
            if watch.expired && table.get(table.hash(key), key).is_none() {
                // It was absent for a reader before, and is now.
                watch.expired = false;
                return true;
            }
            watch.watcher.mark();
            false
        });
        self.count_observers();
    }

    /// A database is about to be emptied: tells who watches a key that is in it.
    pub(super) fn tell_of_flush(&mut self, db: usize) {
        for key in self.watches.names(db) {
            if look(&self.dbs[db], &key, i64::MIN) != Seen::Absent {
                self.watches.retain(db, &key, |watch| {
                    if !std::mem::take(&mut watch.expired) {
                        watch.watcher.mark();
                    }
                    true
                });
            }
        }
    }

    /// Database `db` is about to get the content of `other`: tells who watches a key that is in one of them.
    pub(super) fn tell_of_swap(&mut self, db: usize, other: usize, now_ms: i64) {
        for key in self.watches.names(db) {
            let before = look(&self.dbs[db], &key, now_ms);
            let after = look(&self.dbs[other], &key, now_ms);
            if (before, after) == (Seen::Absent, Seen::Absent) {
                continue;
            }
            self.watches.retain(db, &key, |watch| {
                let was_absent = watch.expired || before == Seen::Absent;
                if !was_absent || after == Seen::There {
                    watch.watcher.mark();
                }
                watch.expired = after == Seen::Over;
                true
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ds::Payload;

    const NOW: i64 = 1_000;

    fn store() -> Store {
        Store::new(0, 2, 7)
    }

    fn put(store: &mut Store, db: usize, key: &[u8], expire: Option<i64>) {
        let table = store.db_mut(db).table_mut();
        table.upsert(table.hash(key), key, Payload::Int(1), expire);
        store.note_change(db, key);
    }

    fn watch(store: &mut Store, key: &[u8]) -> Arc<Watcher> {
        let watcher = Arc::new(Watcher::default());
        store.watch(0, key, &watcher, NOW);
        watcher
    }

    #[test]
    fn a_change_marks_who_watches_and_nobody_else() {
        let mut store = store();
        let (a, b) = (watch(&mut store, b"a"), watch(&mut store, b"b"));
        assert_eq!((store.watched_keys(), store.is_observed()), (2, true));
        put(&mut store, 1, b"a", None);
        assert!(!a.is_dirty());
        put(&mut store, 0, b"a", None);
        assert!(a.is_dirty() && !b.is_dirty());
        store.unwatch(0, b"a", &a);
        store.unwatch(0, b"b", &b);
        assert_eq!((store.watched_keys(), store.is_observed()), (0, false));
    }

    #[test]
    fn a_key_is_watched_once_by_each() {
        let mut store = store();
        let a = watch(&mut store, b"k");
        assert!(!store.watch(0, b"k", &a, NOW));
        let b = watch(&mut store, b"k");
        store.unwatch(0, b"k", &a);
        put(&mut store, 0, b"k", None);
        assert!(!a.is_dirty() && b.is_dirty());
    }

    #[test]
    fn what_was_over_before_may_go_and_what_comes_is_a_change() {
        let mut store = store();
        put(&mut store, 0, b"k", Some(NOW));
        let old = watch(&mut store, b"k");
        assert!(!store.watched_expired(0, b"k", &old, NOW + 5));
        store.remove(0, store.db(0).table().hash(b"k"), b"k");
        store.note_change(0, b"k");
        assert!(!old.is_dirty());
        put(&mut store, 0, b"k", Some(NOW + 10));
        assert!(old.is_dirty());
        let new = watch(&mut store, b"k");
        assert!(!store.watched_expired(0, b"k", &new, NOW + 9));
        assert!(store.watched_expired(0, b"k", &new, NOW + 10));
    }

    #[test]
    fn flushes_and_swaps_are_changes_of_what_is_there() {
        // What the key is in database 0 and in 1 (None: absent; a time: with this end), and whether a flush of 0 and a
        // swap change it.
        for (here, there, flushed, swapped) in [
            (None, None, false, false),
            (Some(None), None, true, true),
            (None, Some(None), false, true),
            (Some(None), Some(None), true, true),
            (Some(Some(NOW)), None, false, false),
            (Some(Some(NOW)), Some(Some(NOW)), false, false),
            (Some(Some(NOW)), Some(None), false, true),
            (None, Some(Some(NOW)), false, false),
        ] {
            let made = || {
                let mut store = store();
                here.inspect(|expire| put(&mut store, 0, b"k", *expire));
                there.inspect(|expire| put(&mut store, 1, b"k", *expire));
                let watcher = watch(&mut store, b"k");
                (store, watcher)
            };
            let (mut store, watcher) = made();
            store.flush(0);
            assert_eq!(watcher.is_dirty(), flushed, "flush {here:?} {there:?}");
            let (mut store, watcher) = made();
            store.swap(0, 1, NOW);
            assert_eq!(watcher.is_dirty(), swapped, "swap {here:?} {there:?}");
            put(&mut store, 0, b"k", None);
            assert!(watcher.is_dirty());
        }
    }

    #[test]
    fn active_expiry_is_a_change() {
        let mut store = store();
        put(&mut store, 0, b"k", Some(NOW));
        let over = watch(&mut store, b"k");
        let watcher = Arc::new(Watcher::default());
        store.watch(0, b"k", &watcher, NOW - 1);
        store.expire_slice(NOW, 100, false);
        assert!(watcher.is_dirty() && !over.is_dirty());
    }
}
