//! The lines in which blocked commands wait for keys of a store, and the keys that may be ready for them.
//!
//! ```text
//!  Lines ── db ── key ── Line: ticket ── Wait ...     first come, first served
//!    └─ ready: (stamp, db, key) ...                    changed since their lines were looked at
//! ```
//! A wait has one ticket for all its lines, higher than any in them when it joins, so leaving one is O(log n) wherever it stands.
//! Stamps tell in what order keys of several stores in one hand became ready ([`Hand::stamp_ready`](super::Hand::stamp_ready)).
//!
//! A change of a key puts it among the ready ones, when a line waits for it. Who holds the store goes through the line before it does
//! anything else with the store (`shard/block.rs`): so nobody sees a key that somebody in line should have had.

use super::wait::Wait;
use super::{Kind, ShardSet, Store, kind};
use crate::base::time::Now;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Those who wait for one key.
#[derive(Default)]
struct Line {
    /// By ticket.
    waits: BTreeMap<u64, Arc<Wait>>,
    /// The key is among the ready ones.
    ready: bool,
    /// How many of them any change wakes, also the key's removal.
    any: usize,
}

/// A key that may have something for those who wait for it.
struct Ready {
    stamp: u64,
    db: usize,
    key: Box<[u8]>,
}

/// Ready since the hand has last given out stamps.
const UNSTAMPED: u64 = u64::MAX;

/// The lines of one store, by database.
#[derive(Default)]
pub(super) struct Lines {
    dbs: BTreeMap<usize, BTreeMap<Box<[u8]>, Line>>,
    /// How many keys have one.
    keys: usize,
    /// In the order in which they became so.
    ready: VecDeque<Ready>,
    /// Above every ticket that was ever in one.
    next_ticket: u64,
    /// How many places in line are of waits that need more stores than those of their keys, and at least these stores.
    crossing: usize,
    needs: ShardSet,
}

impl Lines {
    pub fn keys(&self) -> usize {
        self.keys
    }

    fn line(&self, db: usize, key: &[u8]) -> Option<&Line> {
        self.dbs.get(&db)?.get(key)
    }

    fn join(&mut self, db: usize, key: &[u8], wait: &Arc<Wait>) {
        let line = self.dbs.entry(db).or_default().entry(key.into()).or_insert_with(|| {
            self.keys += 1;
            Line::default()
        });
        line.any += wait.wake.any as usize;
        if !wait.needs.is_empty() {
            self.crossing += 1;
            self.needs.add(&wait.needs);
        }
        debug_assert!(line.waits.last_key_value().is_none_or(|(last, _)| *last < wait.ticket));
        line.waits.insert(wait.ticket, wait.clone());
        self.next_ticket = self.next_ticket.max(wait.ticket + 1);
    }

    /// Takes a wait out of a line, if it stands there, and keeps the books.
    fn leave(&mut self, db: usize, key: &[u8], wait: &Wait) {
        let Some(of_db) = self.dbs.get_mut(&db) else { return };
        let Some(line) = of_db.get_mut(key) else { return };
        if line.waits.remove(&wait.ticket).is_none() {
            return;
        }
        line.any -= wait.wake.any as usize;
        self.crossing -= !wait.needs.is_empty() as usize;
        // What the others need is not told apart: the set shrinks when nobody is left.
        if self.crossing == 0 {
            self.needs = ShardSet::EMPTY;
        }
        if line.waits.is_empty() {
            of_db.remove(key);
            self.keys -= 1;
            if of_db.is_empty() {
                self.dbs.remove(&db);
            }
        }
    }

    fn mark(&mut self, db: usize, key: &[u8]) {
        let Some(line) = self.dbs.get_mut(&db).and_then(|of_db| of_db.get_mut(key)) else { return };
        if !std::mem::replace(&mut line.ready, true) {
            self.ready.push_back(Ready { stamp: UNSTAMPED, db, key: key.into() });
        }
    }

    fn mark_all(&mut self, db: usize) {
        let Some(of_db) = self.dbs.get_mut(&db) else { return };
        for (key, line) in of_db {
            if !std::mem::replace(&mut line.ready, true) {
                self.ready.push_back(Ready { stamp: UNSTAMPED, db, key: key.clone() });
            }
        }
    }
}

impl Store {
    /// A command waits for a key from now on, behind those who wait already.
    pub fn join_line(&mut self, db: usize, key: &[u8], wait: &Arc<Wait>) {
        self.lines.join(db, key, wait);
        self.count_observers();
    }

    /// A command waits for a key no more.
    pub fn leave_line(&mut self, db: usize, key: &[u8], wait: &Arc<Wait>) {
        self.lines.leave(db, key, wait);
        self.count_observers();
    }

    /// A ticket that puts a wait behind all others in any line of this store.
    pub fn next_ticket(&self) -> u64 {
        self.lines.next_ticket
    }

    /// How many wait for a key, and how many of them any change wakes.
    pub fn line_len(&self, db: usize, key: &[u8]) -> (usize, usize) {
        self.lines.line(db, key).map_or((0, 0), |line| (line.waits.len(), line.any))
    }

    /// Who is number `at` in a key's line. O(at).
    pub fn in_line(&self, db: usize, key: &[u8], at: usize) -> Option<Arc<Wait>> {
        self.lines.line(db, key)?.waits.values().nth(at).cloned()
    }

    /// The first in a key's line whose ticket is `from` or higher.
    pub fn next_in_line(&self, db: usize, key: &[u8], from: u64) -> Option<Arc<Wait>> {
        self.lines.line(db, key)?.waits.range(from..).next().map(|(_, wait)| wait.clone())
    }

    /// Whether a key is ready that somebody waits for.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.lines.ready.is_empty()
    }

    /// The next ready key, and its database.
    pub fn next_ready(&mut self) -> Option<(usize, Box<[u8]>)> {
        let Ready { db, key, .. } = self.lines.ready.pop_front()?;
        if let Some(line) = self.lines.dbs.get_mut(&db).and_then(|of_db| of_db.get_mut(&key)) {
            line.ready = false;
        }
        Some((db, key))
    }

    /// The stamp of the next ready key; those without one come last.
    pub(super) fn next_stamp(&self) -> Option<u64> {
        self.lines.ready.front().map(|ready| ready.stamp)
    }

    /// Gives keys that became ready since the last time stamps, from `next` on.
    pub(super) fn stamp_ready(&mut self, next: &mut u64) {
        let ready = &mut self.lines.ready;
        let old = ready.iter().rev().take_while(|ready| ready.stamp == UNSTAMPED).count();
        let from = ready.len() - old;
        for ready in ready.range_mut(from..) {
            ready.stamp = *next;
            *next += 1;
        }
    }

    /// The type of a key, if it is there at that time.
    pub fn kind_of(&self, db: usize, key: &[u8], now_ms: i64) -> Option<Kind> {
        let table = self.dbs[db].table();
        let entry = table.get(table.hash(key), key)?;
        entry.expire_at().is_none_or(|at| at > now_ms).then(|| kind(&entry))
    }

    /// Whether a command has to be looked at before it runs here: somebody in a line needs more stores than this one, or a key is
    /// locked.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        self.lines.crossing > 0 || self.has_locks()
    }

    /// The stores that those in line need beyond their keys'. Who is served may feed another line of this store, so this is
    /// not told apart by keys.
    pub fn needs_of_lines(&self) -> ShardSet {
        self.lines.needs
    }

    /// Those who wait for a key, in whatever database.
    pub fn waiting_for(&self, key: &[u8]) -> impl Iterator<Item = &Arc<Wait>> {
        self.lines.dbs.values().filter_map(|of_db| of_db.get(key)).flat_map(|line| line.waits.values())
    }

    /// Whether somebody waits for a key, in whatever database.
    pub fn has_line(&self, key: &[u8]) -> bool {
        self.lines.dbs.values().any(|of_db| of_db.contains_key(key))
    }

    /// How many keys somebody waits for, and for how many of them also in case they go.
    pub fn blocking_keys(&self) -> (usize, usize) {
        let lines = self.lines.dbs.values().flat_map(BTreeMap::values);
        (self.lines.keys, lines.filter(|line| line.any > 0).count())
    }

    /// A list or a sorted set that is there although somebody waits for it: none, while the store is at rest. (A stream may be
    /// there, and what is waited for not be in it.)
    pub fn overlooked(&self, now: Now) -> Option<(usize, Box<[u8]>)> {
        let of_db = |(&db, lines): (&usize, &BTreeMap<Box<[u8]>, Line>)| {
            let due = |key: &[u8], line: &Line| {
                let found = self.kind_of(db, key, now.ms()).filter(|kind| *kind != Kind::Stream);
                let waits = |w: &Wait| !w.is_over() && w.waiter.until_us > now.mono_us;
                found.is_some() && line.waits.values().any(|w| waits(w) && found == Some(w.wake.kind))
            };
            lines.iter().find(|(key, line)| due(key, line)).map(|(key, _)| (db, key.clone()))
        };
        self.lines.dbs.iter().find_map(of_db)
    }

    pub(super) fn mark_ready(&mut self, db: usize, key: &[u8]) {
        self.lines.mark(db, key);
    }

    /// Any key of a database may have changed.
    pub(super) fn mark_all_ready(&mut self, db: usize) {
        self.lines.mark_all(db);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(id: u64, keys: &[&str], any: bool) -> Arc<Wait> {
        Wait::sample(id, keys, any)
    }

    fn store() -> Store {
        Store::new(0, 3, 7)
    }

    fn line(store: &Store, key: &[u8]) -> Vec<u64> {
        (0..).map_while(|at| store.in_line(0, key, at)).map(|wait| wait.waiter.id).collect()
    }

    #[test]
    fn lines_keep_their_order() {
        let mut store = store();
        let (a, b, c) = (wait(1, &["k"], false), wait(2, &["k", "j"], true), wait(3, &["k"], false));
        for wait in [&a, &b, &c] {
            wait.keys().for_each(|key| store.join_line(0, key, wait));
        }
        assert_eq!((line(&store, b"k"), line(&store, b"j")), (vec![1, 2, 3], vec![2]));
        assert_eq!((store.blocking_keys(), store.line_len(0, b"k")), ((2, 2), (3, 1)));
        store.leave_line(0, b"k", &a);
        assert!(b.claim());
        b.end();
        store.leave_line(0, b"k", &b);
        store.leave_line(0, b"j", &b);
        assert_eq!((line(&store, b"k"), store.blocking_keys(), store.is_observed()), (vec![3], (1, 0), true));
        store.leave_line(0, b"k", &c);
        store.leave_line(0, b"k", &c);
        assert!(!store.is_observed());
    }

    #[test]
    fn a_change_makes_a_key_ready_once_and_only_if_somebody_waits() {
        let mut store = store();
        store.note_change(0, b"k");
        assert!(!store.has_ready());
        store.join_line(0, b"k", &wait(1, &["k"], false));
        store.note_change(1, b"k");
        store.note_change(0, b"j");
        assert!(!store.has_ready());
        (0..3).for_each(|_| store.note_change(0, b"k"));
        assert_eq!(store.next_ready(), Some((0, b"k"[..].into())));
        assert_eq!(store.next_ready(), None);
        store.note_change(0, b"k");
        store.flush(0);
        store.swap(0, 1, 0);
        assert_eq!(store.next_ready(), Some((0, b"k"[..].into())));
        assert!(!store.has_ready());
        store.swap(0, 1, 0);
        assert!(store.has_ready());
    }

    #[test]
    fn leaving_a_long_line_costs_no_walk_through_it() {
        const LONG: u64 = 40_000;
        let mut store = store();
        let waits: Vec<_> = (0..LONG).map(|id| wait(id, &["k"], false)).collect();
        waits.iter().for_each(|wait| store.join_line(0, b"k", wait));
        let began = std::time::Instant::now();
        waits.iter().rev().for_each(|wait| store.leave_line(0, b"k", wait));
        assert_eq!(store.line_len(0, b"k"), (0, 0));
        // A walk for each would be 800 million steps.
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[test]
    fn a_ticket_is_behind_all_others() {
        let mut store = store();
        store.join_line(0, b"k", &wait(7, &["k"], false));
        assert_eq!(store.next_ticket(), 8);
        store.join_line(1, b"j", &wait(9, &["j"], false));
        assert_eq!(store.next_ticket(), 10);
        assert_eq!(store.next_in_line(0, b"k", 0).map(|wait| wait.ticket), Some(7));
        assert!(store.next_in_line(0, b"k", 8).is_none());
    }

    #[test]
    fn what_lines_need_beyond_their_store_is_known() {
        let mut store = store();
        let mut far = wait(1, &["k"], false);
        Arc::get_mut(&mut far).unwrap().needs = ShardSet::one(5);
        store.join_line(0, b"k", &far);
        store.join_line(0, b"j", &wait(2, &["j"], false));
        assert!(store.is_crossed());
        assert_eq!(store.needs_of_lines(), ShardSet::one(5));
        store.leave_line(0, b"k", &far);
        assert!(!store.is_crossed() && store.needs_of_lines().is_empty());
        assert!(store.has_line(b"j") && !store.has_line(b"k"));
    }
}
