//! What commands did to a store, as the append-only log will say it, until the owner takes it to the file.
//!
//! ```text
//!  bytes    | *3 SET.. | *1 MULTI *2 INCR.. *3 RPUSH.. *1 EXEC | *2 DEL.. | ...
//!  breaks                                                      ^ a part of a transaction ends, or a generation
//!  position   start ...                                                     start + bytes.len()
//! ```
//! A *unit* is what takes effect as one: a command, or all of a transaction. It is open while its commands run and closed by
//! [`Hand::seal_logs`]: if it is of one store, its effects lie there, wrapped in MULTI and EXEC when there are several; if it is of
//! several stores, each has its part, marked with the transaction's id and its participants. Nobody takes an open unit, since who
//! takes holds the store.
//!
//! The *position* counts bytes ever logged here. `deps` says what a reply that saw this store depends on elsewhere: how far the logs of
//! other shards have to be on the disk so that recovery keeps everything up to here. Transactions over several shards merge these vectors,
//! like vector clocks, so they are transitive.
//!
//! Cost: a memcpy of the command; nothing at all while the log is off, but a look at a flag.

use super::hand::SHARDS_MAX;
use super::{Hand, ShardSet};
use std::sync::Arc;

/// No database is selected: a file begins here, or it is not known.
const NONE: u32 = u32::MAX;
/// Buffers larger than this are not kept for reuse, in bytes.
const KEEP: usize = 1 << 20;
const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// How far the log of each shard has to be on the disk, by shard.
pub type Deps = Arc<[u64]>;

/// A part of a transaction over several shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Unique in its generation.
    pub id: u64,
    /// The shards that have a part.
    pub participants: ShardSet,
}

/// What lies between two stretches of bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Break {
    /// Bytes from here to `end` (both counted in [`Taken::bytes`]) are a part of a transaction.
    Part { from: usize, end: usize, part: Part },
    /// The generation ends at `at`. `whole`: what stands alone between it and the next one. It and the number are the same in
    /// all shards.
    Turn { at: usize, whole: Option<Arc<[u8]>>, number: u64 },
}

/// What an owner takes.
#[derive(Default, Debug)]
pub struct Taken {
    pub bytes: Vec<u8>,
    /// In order.
    pub breaks: Vec<Break>,
    /// The positions before `bytes` and behind.
    pub from: u64,
    pub position: u64,
}

/// See the module's text.
#[derive(Default)]
pub struct Log {
    on: bool,
    bytes: Vec<u8>,
    breaks: Vec<Break>,
    /// The position of what was taken last.
    taken: u64,
    /// The database that the stream has selected.
    db: u32,
    /// Where the open unit begins, in which database, and how many effects it has.
    open: usize,
    open_db: u32,
    effects: u32,
    /// Something that stands alone has been cut out of the open unit: all that follows in it stands behind that.
    in_whole: bool,
    /// The command that runs tells its effects itself.
    said: bool,
    /// How many changes the store had counted when it began.
    changes: u64,
    deps: Option<Deps>,
    /// Generations that have ended.
    turns: u64,
}

impl Log {
    /// Whether effects are logged.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Logs from here on, or no more. What was not taken is dropped when it goes off.
    pub fn switch(&mut self, on: bool) {
        let position = self.position();
        let turns = self.turns;
        *self = Log { on, taken: position, turns, db: NONE, open_db: NONE, ..Log::default() };
    }

    /// Logs again after [`Log::stop`].
    pub fn go_on(&mut self) {
        self.on = true;
    }

    /// Logs no more; what is here is taken as ever.
    pub fn stop(&mut self) {
        self.on = false;
    }

    /// How many bytes were ever logged.
    #[inline]
    pub fn position(&self) -> u64 {
        self.taken + (self.bytes.len() + self.turns_here()) as u64
    }

    /// A turn takes a byte of the positions, so that what comes behind it can be told from what comes before.
    fn turns_here(&self) -> usize {
        self.breaks.iter().filter(|b| matches!(b, Break::Turn { .. })).count()
    }

    /// What a reply that saw this store depends on in other logs.
    #[inline]
    pub fn deps(&self) -> Option<&Deps> {
        self.deps.as_ref()
    }

    /// Everything that was depended on is on the disk.
    pub fn forget_deps(&mut self) {
        self.deps = None;
    }

    /// Whether there is something to take.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.breaks.is_empty()
    }

    /// Bytes that wait to be taken.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there may be something that its owner has not heard of.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.on || !self.is_empty()
    }

    /// Memory that it takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.breaks.capacity() * size_of::<Break>()
    }

    /// Takes all closed units; `spare` is the buffer for what comes next.
    pub fn take(&mut self, mut spare: Vec<u8>) -> Taken {
        assert!(self.effects == 0, "a unit is closed before its store is put back");
        spare.clear();
        if spare.capacity() > KEEP {
            spare = Vec::new();
        }
        let (from, position) = (self.taken, self.position());
        self.taken = position;
        self.open = 0;
        let breaks = std::mem::take(&mut self.breaks);
        Taken { bytes: std::mem::replace(&mut self.bytes, spare), breaks, from, position }
    }

    /// A command begins, the store having counted so many changes: nothing is said of it yet.
    #[inline]
    pub fn begin(&mut self, changes: u64) {
        self.said = false;
        self.changes = changes;
    }

    /// Whether the command that runs has changed the store, as its count of changes says, and has not told how.
    #[inline]
    pub fn owes(&self, changes: u64) -> bool {
        self.on && !self.said && self.changes != changes
    }

    /// Whether the command that runs has told its effects itself.
    #[inline]
    pub fn has_said(&self) -> bool {
        self.said
    }

    /// The command that runs tells its own effects, and may have none here.
    #[inline]
    pub fn say(&mut self) {
        self.said = true;
    }

    fn select(&mut self, db: usize) {
        if self.db == db as u32 {
            return;
        }
        self.db = db as u32;
        let mut digits = itoa::Buffer::new();
        array(&mut self.bytes, &[b"SELECT", digits.format(db).as_bytes()]);
    }

    /// An effect of the command that runs, in its own words.
    pub fn effect<'a>(&mut self, db: usize, words: impl ExactSizeIterator<Item = &'a [u8]>) {
        if !self.on {
            return;
        }
        self.said = true;
        self.select(db);
        write(&mut self.bytes, words);
        self.effects += 1;
    }

    /// An effect that is RESP already: one whole command.
    #[inline]
    pub fn verbatim(&mut self, db: usize, resp: &[u8]) {
        self.select(db);
        self.bytes.extend_from_slice(resp);
        self.effects += 1;
    }

    /// A key is gone by itself: it expired, or was evicted.
    pub fn gone(&mut self, db: usize, key: &[u8]) {
        self.alone(db, [b"DEL", key].into_iter());
    }

    /// Something that happened by itself, whatever the command does that met it. It takes effect alone, before the unit.
    pub fn alone<'a>(&mut self, db: usize, words: impl ExactSizeIterator<Item = &'a [u8]>) {
        if !self.on {
            return;
        }
        self.select(db);
        write(&mut self.bytes, words);
        if self.effects == 0 && !self.in_whole {
            self.open_here();
        } else {
            self.effects += 1;
        }
    }

    #[inline]
    fn open_here(&mut self) {
        self.open = self.bytes.len();
        self.open_db = self.db;
    }

    /// Closes a unit of this store alone.
    #[inline]
    pub fn seal(&mut self) {
        if self.effects > 1 {
            self.wrap();
        }
        self.effects = 0;
        self.open_here();
    }

    #[inline(never)]
    fn wrap(&mut self) {
        self.bytes.splice(self.open..self.open, MULTI.iter().copied());
        self.bytes.extend_from_slice(EXEC);
    }

    fn seal_part(&mut self, part: Part) {
        let from = self.open;
        self.seal();
        self.breaks.push(Break::Part { from, end: self.bytes.len(), part });
    }

    /// Cuts the open unit out, for what stands alone; whatever follows selects its database anew.
    fn cut_out(&mut self, to: &mut Vec<u8>) {
        if self.effects > 0 {
            if self.open_db != NONE {
                // It was selected before the unit, so the unit itself does not say it.
                let mut digits = itoa::Buffer::new();
                array(to, &[b"SELECT", digits.format(self.open_db).as_bytes()]);
            }
            to.extend_from_slice(&self.bytes[self.open..]);
            self.bytes.truncate(self.open);
        }
        self.effects = 0;
        self.in_whole = true;
        (self.db, self.open_db) = (NONE, NONE);
    }

    fn turn(&mut self, whole: Option<Arc<[u8]>>) {
        assert!(self.effects == 0, "a generation ends between units");
        self.turns += 1;
        self.breaks.push(Break::Turn { at: self.bytes.len(), whole, number: self.turns });
        self.in_whole = false;
        self.db = NONE;
        self.open_here();
    }
}

/// Appends a command as RESP.
pub fn write<'a>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'a [u8]>) {
    let mut digits = itoa::Buffer::new();
    let mut number = |out: &mut Vec<u8>, mark: u8, n: usize| {
        out.push(mark);
        out.extend_from_slice(digits.format(n).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    number(out, b'*', words.len());
    for word in words {
        number(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn array(out: &mut Vec<u8>, words: &[&[u8]]) {
    write(out, words.iter().copied());
}

impl Hand {
    /// Closes the unit that is open in the stores held: one command's, or one transaction's.
    #[inline]
    pub fn seal_logs(&mut self) {
        if let Some(only) = self.only()
            && self.whole.is_none()
        {
            self.store(only).log.seal();
            return;
        }
        self.seal_all();
    }

    #[inline(never)]
    fn seal_all(&mut self) {
        if let Some(mut whole) = self.whole.take() {
            let before = whole.bytes.len();
            self.iter_mut().for_each(|store| store.log.cut_out(&mut whole.bytes));
            whole.mixed |= whole.bytes.len() > before;
            let unit: Arc<[u8]> = if whole.commands > 1 || whole.mixed {
                [MULTI, &whole.bytes, EXEC].concat().into()
            } else {
                whole.bytes.into()
            };
            self.turn_logs(Some(unit));
            return;
        }
        let mut participants = ShardSet::EMPTY;
        self.iter()
            .filter(|store| store.log.effects > 0)
            .for_each(|store| participants.insert(store.shard()));
        let Some(first) = participants.next(0) else { return };
        if participants.len() == 1 {
            return self.store(first).log.seal();
        }
        // The first participant's position is its own; with its number behind it nobody else's.
        let id = self.peek(first).log.position() * SHARDS_MAX as u64 + first as u64;
        for shard in participants.iter() {
            self.store(shard).log.seal_part(Part { id, participants });
        }
        self.merge_deps(participants);
    }

    /// From here on whatever depends on one of these stores depends on all that they depend on.
    fn merge_deps(&mut self, shards: ShardSet) {
        let mut deps = vec![0; self.route().shards()];
        for shard in shards.iter() {
            let log = &self.peek(shard).log;
            for (mine, theirs) in deps.iter_mut().zip(log.deps.iter().flat_map(|deps| deps.iter())) {
                *mine = (*mine).max(*theirs);
            }
            deps[shard] = deps[shard].max(log.position());
        }
        let deps: Deps = deps.into();
        for shard in shards.iter() {
            self.store(shard).log.deps = Some(deps.clone());
        }
    }

    /// A command that concerns the whole keyspace, with all stores in hand: it stands alone between two generations, together with the
    /// rest of its unit. `resp` selects the database that it is about, if it is about one.
    pub fn log_whole(&mut self, resp: &[u8]) {
        if !self.iter().all(|store| store.log.on) {
            return;
        }
        let mut whole = self.whole.take().unwrap_or_default();
        for store in self.iter_mut() {
            let before = whole.bytes.len();
            store.log.cut_out(&mut whole.bytes);
            store.log.said = true;
            whole.mixed |= whole.bytes.len() > before;
        }
        whole.bytes.extend_from_slice(resp);
        whole.commands += 1;
        self.whole = Some(whole);
    }

    /// Ends the generation, with all stores in hand and no unit open: the turn's number.
    pub fn turn_logs(&mut self, whole: Option<Arc<[u8]>>) -> u64 {
        self.iter_mut().for_each(|store| store.log.turn(whole.clone()));
        self.merge_deps(ShardSet::all(self.route().shards()));
        self.iter().next().map_or(0, |store| store.log.turns)
    }
}

/// Commands that concern the whole keyspace, of the unit that is open.
#[derive(Default)]
pub(super) struct Whole {
    bytes: Vec<u8>,
    commands: u32,
    /// Effects of single stores lie among them.
    mixed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Route, Store};

    fn hand(shards: usize) -> Hand {
        let mut hand = Hand::new(Route::new(shards));
        for shard in 0..shards {
            let mut store = Box::new(Store::new(shard, 16, 0));
            store.log.switch(true);
            hand.add(store);
        }
        hand
    }

    fn effect(hand: &mut Hand, shard: usize, db: usize, words: &str) {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        hand.store(shard).log.effect(db, words.into_iter());
    }

    fn members(part: &Part) -> Vec<usize> {
        part.participants.iter().collect()
    }

    /// The commands of some RESP, words apart by blanks.
    fn commands(resp: &[u8]) -> String {
        let text = String::from_utf8_lossy(resp);
        let lines = text.split("\r\n").filter(|line| !line.starts_with('$') && !line.is_empty());
        let shown = lines.map(|line| if line.starts_with('*') { "|" } else { line });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn several_effects_of_a_unit_are_wrapped() {
        let mut hand = hand(1);
        effect(&mut hand, 0, 0, "SET a 1");
        hand.seal_logs();
        hand.store(0).log.gone(0, b"old");
        effect(&mut hand, 0, 0, "SET b 1");
        effect(&mut hand, 0, 3, "DEL c");
        hand.seal_logs();
        hand.seal_logs();
        effect(&mut hand, 0, 3, "DEL d");
        hand.seal_logs();
        let log = &mut hand.store(0).log;
        let taken = log.take(Vec::new());
        assert_eq!(
            commands(&taken.bytes),
            "| SELECT 0 | SET a 1 | DEL old | MULTI | SET b 1 | SELECT 3 | DEL c | EXEC | DEL d"
        );
        assert!(taken.breaks.is_empty() && log.is_empty());
        assert_eq!((taken.position, log.position()), (taken.bytes.len() as u64, taken.bytes.len() as u64));
    }

    #[test]
    fn what_spans_shards_has_a_part_in_each() {
        let mut hand = hand(4);
        effect(&mut hand, 3, 0, "SET a 1");
        effect(&mut hand, 1, 0, "SET b 1");
        effect(&mut hand, 1, 0, "SET c 1");
        hand.seal_logs();
        effect(&mut hand, 0, 0, "SET d 1");
        effect(&mut hand, 1, 0, "SET e 1");
        hand.seal_logs();
        let (zero, one, three) =
            (hand.peek(0).log.position(), hand.peek(1).log.position(), hand.peek(3).log.position());
        assert_eq!(hand.peek(0).log.deps().expect("it has some")[..], [zero, one, 0, three]);
        assert!(hand.peek(3).log.deps().expect("it has some")[1] < one, "the second came later");
        assert!(hand.peek(2).log.deps().is_none());
        let taken = hand.store(1).log.take(Vec::new());
        let [Break::Part { from: 0, end, part: first }, Break::Part { from, end: last, part: second }] =
            &taken.breaks[..]
        else {
            panic!("{:?}", taken.breaks)
        };
        assert_eq!((end, *last), (from, taken.bytes.len()));
        assert_eq!((members(first), members(second)), (vec![1, 3], vec![0, 1]));
        assert_eq!(commands(&taken.bytes), "| MULTI | SELECT 0 | SET b 1 | SET c 1 | EXEC | SET e 1");
        assert_ne!(first.id, second.id);
        let third = hand.store(3).log.take(Vec::new());
        assert!(matches!(&third.breaks[..], [Break::Part { part, .. }] if part == first));
    }

    #[test]
    fn what_concerns_all_keys_stands_alone_with_its_unit() {
        let mut hand = hand(2);
        effect(&mut hand, 0, 0, "SET a 1");
        hand.seal_logs();
        hand.log_whole(b"*1\r\n$8\r\nFLUSHALL\r\n");
        hand.seal_logs();
        effect(&mut hand, 0, 0, "SET b 1");
        effect(&mut hand, 1, 5, "SET c 1");
        hand.log_whole(b"*1\r\n$8\r\nFLUSHALL\r\n");
        effect(&mut hand, 0, 0, "SET d 1");
        hand.seal_logs();
        effect(&mut hand, 0, 0, "SET e 1");
        hand.seal_logs();
        let zero = hand.store(0).log.take(Vec::new());
        let one = hand.store(1).log.take(Vec::new());
        let turns = |taken: &Taken| {
            taken
                .breaks
                .iter()
                .map(|b| match b {
                    Break::Turn { at, whole, .. } => (*at, commands(whole.as_deref().unwrap_or_default())),
                    Break::Part { .. } => panic!("there is none"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(commands(&zero.bytes), "| SELECT 0 | SET a 1 | SELECT 0 | SET e 1");
        assert!(one.bytes.is_empty());
        let alone =
            "| MULTI | SELECT 0 | SET b 1 | SELECT 5 | SET c 1 | FLUSHALL | SELECT 0 | SET d 1 | EXEC";
        let a = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n".len();
        assert_eq!(turns(&zero), [(a, "| FLUSHALL".into()), (a, alone.into())]);
        assert_eq!(turns(&one), [(0, "| FLUSHALL".into()), (0, alone.into())]);
        assert_eq!(zero.position, zero.bytes.len() as u64 + 2);
        assert_eq!(hand.peek(0).log.position(), zero.position);
    }
}
