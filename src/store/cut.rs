//! A cut of a whole store: what a snapshot is made from (see [`crate::ds::table`] for how a table keeps its content).
//!
//! ```text
//!  begin_cut ── every database's table keeps what it holds, under the database's number of this moment
//!  SWAPDB       tables move with the number that they had at the cut
//!  FLUSHDB      the old table is set aside and walked to its end, then it becomes garbage
//!  cut_slice    walks on, database by database
//! ```
//! The cut is part of the store, so whoever holds the store, owner or borrower, keeps what it overwrites.

use super::{Garbage, Store, Value};
use crate::ds::Table;
use crate::ds::table::{Keeper, Kept, Passed};

/// What a cut needs beside the tables.
pub(super) struct Aside {
    /// Which cut it is.
    id: u64,
    /// Tables of databases that were emptied since, with the numbers that they had.
    tables: Vec<(usize, Box<Table<Value>>)>,
    /// Databases whose tables the cut is not done with, among thousands perhaps that have nothing for it: the next one last.
    live: Vec<usize>,
}

/// Where a table of a cut is.
enum Place {
    Aside(usize),
    Db(usize),
}

impl Aside {
    /// Bytes of the tables, without what large values take.
    pub fn bytes(&self) -> usize {
        self.tables.iter().map(|(_, table)| table.bytes()).sum()
    }
}

impl Store {
    /// From now on the store as it is at this moment is kept, as cut `id`; `keeper` makes one for each database.
    pub fn begin_cut(&mut self, id: u64, keeper: &mut dyn FnMut() -> Box<dyn Keeper<Value>>) {
        assert!(self.aside.is_none(), "one cut at a time");
        let mut live = Vec::new();
        for (number, db) in self.dbs.iter_mut() {
            db.cut_as = number;
            if !db.is_empty() {
                live.push(number);
            }
            db.table_mut().begin_cut(keeper());
        }
        live.reverse();
        self.aside = Some(Aside { id, tables: Vec::new(), live });
    }

    /// The cut under way.
    pub fn cut(&self) -> Option<u64> {
        self.aside.as_ref().map(|aside| aside.id)
    }

    /// Bytes of tables that were set aside for the cut.
    pub fn aside_weight(&self) -> usize {
        self.aside.as_ref().map_or(0, Aside::bytes)
    }

    /// Bytes of tables and of large values that are there for the cut alone, beside [`Store::kept_weight`]. Of values as of the last
    /// change of each.
    pub fn held_weight(&self) -> usize {
        self.aside_weight() + self.cut_tables().map(|(_, table)| table.held_weight()).sum::<usize>()
    }

    /// Bytes that were kept and not taken away.
    pub fn kept_weight(&self) -> usize {
        self.cut_tables().map(|(_, table)| table.kept_weight()).sum()
    }

    /// Those of them that can be taken away now.
    pub fn ready_weight(&self) -> usize {
        match self.cut_tables().find(|(_, table)| table.is_midway()) {
            Some((_, table)) => table.ready_weight(),
            None => self.cut_tables().map(|(_, table)| table.ready_weight()).sum(),
        }
    }

    /// The tables of the cut, with the numbers that their databases had.
    fn cut_tables(&self) -> impl Iterator<Item = (usize, &Table<Value>)> {
        let aside =
            self.aside.iter().flat_map(|aside| &aside.tables).map(|(number, table)| (*number, &**table));
        let live = self.aside.iter().flat_map(|aside| &aside.live).map(|&i| &self.dbs[i]);
        aside.chain(live.map(|db| (db.cut_as, db.table())))
    }

    /// Whether the walk goes on once what was kept is taken away: the end of a large value that somebody has changed at its middle, or
    /// the last of an emptied table.
    pub fn waits_for_taking(&self) -> bool {
        if let Some((_, table)) = self.cut_tables().find(|(_, table)| table.is_midway()) {
            return !table.is_open();
        }
        let last = self.aside.as_ref().and_then(|aside| aside.tables.last());
        last.is_some_and(|(_, table)| table.is_walked() && table.kept_weight() > 0)
    }

    /// Walks on for so many buckets or parts of large values, database by database; whether all of them are through.
    pub fn cut_slice(&mut self, steps: usize) -> bool {
        let Some(aside) = &mut self.aside else { return true };
        // A value that is kept in parts comes to its end before anything else is taken away.
        let midway = aside.tables.iter_mut().map(|(_, table)| &mut **table).find(|table| table.is_midway());
        let live = aside.live.iter().copied().find(|&i| self.dbs[i].table().is_midway());
        if let Some(table) = midway.or(live.map(|i| self.dbs[i].table_mut())) {
            if table.is_open() {
                table.cut_slice(steps);
            }
            return false;
        }
        // What was set aside takes memory that nobody else needs: it goes first.
        while let Some((_, table)) = aside.tables.last_mut() {
            if !table.cut_slice(steps) {
                return false;
            }
            if table.kept_weight() > 0 {
                // It is taken away first.
                return false;
            }
            if let Some((_, table)) = aside.tables.pop() {
                self.garbage.push(garbage(table));
            }
        }
        while let Some(&i) = aside.live.last() {
            let table = self.dbs[i].table_mut();
            if !table.cut_slice(steps) {
                return false;
            }
            if table.owes_kept() {
                break;
            }
            aside.live.pop();
        }
        aside.live.iter().rev().all(|&i| self.dbs[i].table_mut().cut_slice(steps))
    }

    /// Takes away what was kept, with the number that its database had at the cut. A piece that goes on is the last one, and the
    /// first one of the next time goes on with it.
    pub fn take_kept(&mut self, f: &mut dyn FnMut(usize, Kept)) {
        let Some(aside) = &mut self.aside else { return };
        let mut places: Vec<Place> = (0..aside.tables.len())
            .map(Place::Aside)
            .chain(aside.live.iter().rev().map(|&i| Place::Db(i)))
            .collect();
        places.sort_by_key(|place| match *place {
            Place::Aside(i) => !aside.tables[i].1.is_midway(),
            Place::Db(i) => !self.dbs[i].table().is_midway(),
        });
        let mut done = Vec::new();
        for place in places {
            let (number, table) = match place {
                Place::Aside(i) => (aside.tables[i].0, &mut *aside.tables[i].1),
                Place::Db(i) => (self.dbs[i].cut_as, self.dbs[i].table_mut()),
            };
            while let Some(kept) = table.take_kept() {
                f(kept.of.unwrap_or(number), kept);
            }
            done.append(&mut table.take_done());
            if table.is_midway() {
                break;
            }
        }
        done.into_iter().for_each(|value| self.discard_value(value));
    }

    /// Ends the cut, walked through or not.
    pub fn end_cut(&mut self) {
        let Some(aside) = self.aside.take() else { return };
        let done: Vec<Value> = self.dbs.iter_mut().flat_map(|(_, db)| db.table_mut().end_cut()).collect();
        done.into_iter().for_each(|value| self.discard_value(value));
        self.garbage.extend(aside.tables.into_iter().map(|(_, table)| garbage(table)));
    }

    /// The value of a key, which the cut needs, goes elsewhere: into another database, or `away` into the store of another shard. What the
    /// table there has to look after; nothing if it is half on its way to the file, which it goes to from this shard.
    pub(super) fn pass_on(&mut self, db: usize, hash: u64, away: bool) -> Option<Passed> {
        let db = &mut self.dbs[db];
        let number = db.cut_as;
        db.table_mut().pass_on(hash, number, !away)
    }

    /// The other end of [`Store::pass_on`]: the table of `db` looks after the value from now on.
    pub(super) fn take_over(&mut self, db: usize, hash: u64, key: &[u8], passed: Passed) {
        self.dbs[db].table_mut().take_over(hash, key, passed);
        if let Some(aside) = &mut self.aside
            && !aside.live.contains(&db)
        {
            aside.live.push(db);
        }
    }

    /// Two databases have changed places.
    pub(super) fn swap_in_cut(&mut self, a: usize, b: usize) {
        for i in self.aside.iter_mut().flat_map(|aside| &mut aside.live) {
            *i = if *i == a {
                b
            } else if *i == b {
                a
            } else {
                *i
            };
        }
    }

    /// The table of a database that is emptied: garbage, unless a cut still needs it.
    /// `bytes` is all that it takes.
    pub(super) fn set_aside(&mut self, number: usize, table: Table<Value>, bytes: usize) {
        match &mut self.aside {
            Some(aside) if table.is_cut() => aside.tables.push((number, Box::new(table))),
            _ => self.discard(Garbage::Table { table: Box::new(table), bytes }),
        }
    }
}

/// A table that a cut has done with. What its large values take is not known any more.
fn garbage(table: Box<Table<Value>>) -> Garbage {
    let bytes = table.bytes();
    Garbage::Table { table, bytes }
}
