//! The databases of one store, of which few among a million may be in use.
//!
//! ```text
//!  0 .. 63    lie side by side and are there from the start
//!  64 ..      are made when something is put into them, and dropped when they have been empty for a moment
//!  the rest   look like one that is empty
//! ```
//! So what goes through all databases goes through those in use, and `databases` may be as high as one likes. To look up one of the
//! first costs what an index into a vector does; of the others a step or two of a small tree.

use super::Db;
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

/// How many are there from the start: their memory is small, and more are rarely used. Few in builds for tests, of which some use no more
/// than three: the simulation meets others too.
const NEAR: usize = match cfg!(debug_assertions) {
    true if cfg!(test) => 3,
    true => 2,
    false => 64,
};
/// How many that are empty are dropped at a time.
const DROPPED_AT_ONCE: usize = 64;

/// See the module's text.
pub(super) struct Databases {
    near: Vec<Db>,
    far: BTreeMap<usize, Box<Db>>,
    /// What one looks like that nothing was put into.
    blank: Box<Db>,
    count: usize,
    seed: u64,
}

impl Databases {
    pub fn new(count: usize, seed: u64) -> Databases {
        let near = (0..count.min(NEAR)).map(|_| Db::new(seed)).collect();
        Databases { near, far: BTreeMap::new(), blank: Box::new(Db::new(seed)), count, seed }
    }

    /// Those that are there, ascending: all that hold something are among them.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Db)> {
        self.near.iter().enumerate().chain(self.far.iter().map(|(index, db)| (*index, &**db)))
    }

    /// The same for writing.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Db)> {
        self.near.iter_mut().enumerate().chain(self.far.iter_mut().map(|(index, db)| (*index, &mut **db)))
    }

    /// The first that is there, from this number on.
    pub fn next(&self, from: usize) -> Option<usize> {
        if from < self.near.len() {
            Some(from)
        } else {
            self.far.range(from..).next().map(|(index, _)| *index)
        }
    }

    /// Leaves an empty database in the place of one, if that is there, and gives it.
    pub fn take(&mut self, index: usize) -> Option<Box<Db>> {
        match self.near.get_mut(index) {
            Some(db) => Some(Box::new(std::mem::replace(db, Db::new(self.seed)))),
            None => self.far.remove(&index),
        }
    }

    /// Exchanges two.
    pub fn swap(&mut self, a: usize, b: usize) {
        if a.max(b) < self.near.len() {
            return self.near.swap(a, b);
        }
        let (was_a, was_b) = (self.take(a), self.take(b));
        self.put(a, was_b);
        self.put(b, was_a);
    }

    fn put(&mut self, index: usize, db: Option<Box<Db>>) {
        let Some(db) = db else { return };
        match self.near.get_mut(index) {
            Some(place) => *place = *db,
            None => _ = self.far.insert(index, db),
        }
    }

    /// Drops some that are empty; not while a cut is under way, which may need them.
    pub fn drop_empty(&mut self) {
        let mut left = DROPPED_AT_ONCE;
        self.far.retain(|_, db| {
            let goes = left > 0 && db.is_empty();
            left -= goes as usize;
            !goes
        });
    }

    #[inline(never)]
    fn far(&self, index: usize) -> &Db {
        assert!(index < self.count, "a session's database was checked");
        self.far.get(&index).unwrap_or(&self.blank)
    }

    #[inline(never)]
    fn far_mut(&mut self, index: usize) -> &mut Db {
        assert!(index < self.count, "a session's database was checked");
        self.far.entry(index).or_insert_with(|| Box::new(Db::new(self.seed)))
    }
}

impl Index<usize> for Databases {
    type Output = Db;

    #[inline]
    fn index(&self, index: usize) -> &Db {
        match self.near.get(index) {
            Some(db) => db,
            None => self.far(index),
        }
    }
}

impl IndexMut<usize> for Databases {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut Db {
        if index < self.near.len() { &mut self.near[index] } else { self.far_mut(index) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::ds::{Payload, View};
    use std::collections::BTreeSet;

    const COUNT: usize = 1_000_000;

    fn there(store: &Store) -> BTreeSet<usize> {
        store.dbs().filter(|(_, db)| !db.is_empty()).map(|(index, _)| index).collect()
    }

    #[test]
    fn a_million_databases_cost_what_the_used_ones_do() {
        let mut store = Store::new(0, COUNT, 7);
        let numbers = [0, 1, NEAR - 1, NEAR, NEAR + 1, 5_000, COUNT - 1];
        let mut rng = seeded(3);
        let mut model = BTreeMap::<usize, u64>::new();
        for round in 0..3_000u64 {
            let mut draw = || numbers[xorshift(&mut rng) as usize % numbers.len()];
            let (a, b) = (draw(), draw());
            match round % 7 {
                0 => {
                    store.flush(a);
                    model.remove(&a);
                }
                1 | 2 => {
                    store.swap(a, b, 0);
                    let (was_a, was_b) = (model.remove(&a), model.remove(&b));
                    model.extend(was_b.map(|n| (a, n)));
                    model.extend(was_a.map(|n| (b, n)));
                }
                3 => _ = store.expire_slice(5, 100, false),
                4 => {
                    let table = store.db_mut(a).table_mut();
                    table.get_mut(table.hash(b"k"), b"k").map(crate::ds::Mut::delete);
                    model.remove(&a);
                }
                5 if round % 100 == 0 => {
                    assert_eq!(store.flush_all(), model.len());
                    model.clear();
                }
                _ => {
                    let table = store.db_mut(a).table_mut();
                    table.upsert(table.hash(b"k"), b"k", Payload::Int(round as i64), None);
                    model.insert(a, round);
                }
            }
            assert_eq!(there(&store), model.keys().copied().collect());
            let table = store.db(a).table();
            let found = table.get(table.hash(b"k"), b"k").map(|entry| match entry.view() {
                View::Int(n) => n as u64,
                View::Bytes(_) | View::Boxed(_) => panic!("a number was put there"),
            });
            assert_eq!(found, model.get(&a).copied());
            assert_eq!(store.weight(), store.bytes());
        }
        store.flush_all();
        store.expire_slice(5, 100, false);
        assert_eq!(store.dbs().count(), NEAR, "what is empty is dropped");
    }

    #[test]
    #[should_panic(expected = "was checked")]
    fn there_is_none_beyond_the_last() {
        Store::new(0, 100, 7).db(100);
    }
}
