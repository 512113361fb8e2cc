//! What a session keeps between MULTI or WATCH and EXEC.

use crate::cmd::registry::Found;
use crate::cmd::row::Needs;
use crate::cmd::{Plan, Where};
use crate::resp::{Args, Span};
use crate::store::{Route, ShardSet, Watcher};
use std::sync::Arc;

/// Room that the first command of a queue makes for those behind it.
const COMMANDS_AHEAD: usize = 8;

/// A key that a client watches.
#[derive(Debug)]
pub struct Watched {
    pub db: usize,
    pub key: Box<[u8]>,
}

/// A transaction that is being made, or keys that are watched for one.
///
/// A clone is for CLIENT LIST: it tells of the queue and the watched keys, but does not hold them.
#[derive(Default, Debug)]
pub struct Transaction {
    /// MULTI came: commands are queued.
    pub queueing: bool,
    /// A command could not be queued, so EXEC will run none.
    pub spoiled: bool,
    /// The commands that wait for EXEC.
    pub queue: Queue,
    /// How many they are, and the bytes that they and the watched keys take.
    pub queued: usize,
    pub memory: usize,
    /// The keys that are watched, and how many.
    pub keys: Vec<Watched>,
    watched: usize,
    /// What the stores of these keys know this client by.
    pub watcher: Option<Arc<Watcher>>,
}

impl Clone for Transaction {
    fn clone(&self) -> Transaction {
        Transaction {
            queueing: self.queueing,
            spoiled: self.spoiled,
            queued: self.queued,
            memory: self.memory,
            watched: self.watched,
            watcher: self.watcher.clone(),
            ..Transaction::default()
        }
    }
}

impl Transaction {
    /// Whether a watched key has changed.
    pub fn is_dirty(&self) -> bool {
        self.watcher.as_ref().is_some_and(|watcher| watcher.is_dirty())
    }

    /// How many keys are watched that matter: when one has changed, the others do not.
    pub fn watching(&self) -> usize {
        if self.is_dirty() { 0 } else { self.watched }
    }

    /// Adds a command to the queue.
    pub fn push(&mut self, found: Found, args: Args<'_>, place: Where) {
        let before = self.queue.bytes();
        self.queue.push(found, args, place);
        self.queued += 1;
        self.memory += self.queue.bytes() - before;
    }

    pub(super) fn count_memory(&mut self) {
        let keys: usize = self.keys.iter().map(|watched| size_of::<Watched>() + watched.key.len()).sum();
        self.memory = self.queue.bytes() + keys;
        self.watched = self.keys.len();
    }

    /// The stores of the watched keys.
    pub fn watched_place(&self, route: Route) -> Where {
        let mut set = ShardSet::EMPTY;
        self.keys.iter().for_each(|watched| set.insert(route.owner(&watched.key)));
        Where::of(set)
    }
}

/// Commands that wait for EXEC, and what they need together.
#[derive(Default)]
pub struct Queue {
    commands: Vec<Queued>,
    spans: Vec<Span>,
    text: Vec<u8>,
    /// The flags of any of them.
    pub flags: u32,
    parts: u32,
    home: bool,
    all: bool,
    set: ShardSet,
}

struct Queued {
    found: Found,
    spans: (u32, u32),
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Queue of {} commands", self.commands.len())
    }
}

impl Queue {
    /// How many commands.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Bytes of the commands, as they are kept.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.spans.len() * size_of::<Span>() + self.commands.len() * size_of::<Queued>()
    }

    fn push(&mut self, found: Found, args: Args<'_>, place: Where) {
        if self.commands.is_empty() {
            self.commands.reserve(COMMANDS_AHEAD);
            self.spans.reserve(COMMANDS_AHEAD * 3);
            self.text.reserve(COMMANDS_AHEAD * 32);
        }
        let first = self.spans.len() as u32;
        for arg in args.iter() {
            let start = self.text.len();
            self.text.extend_from_slice(arg);
            self.spans.push(Span::new(start, self.text.len()));
        }
        self.commands.push(Queued { found, spans: (first, self.spans.len() as u32) });
        self.flags |= found.row.flags;
        match found.row.plan {
            Plan::Gather(parts) => self.parts |= parts,
            Plan::Home => {}
            Plan::AllAtHome => self.add_place(place),
            _ => return self.add_place(place),
        }
        self.home = true;
    }

    fn add_place(&mut self, place: Where) {
        match place {
            Where::Anywhere => {}
            Where::Shard(shard) => self.set.insert(shard),
            Where::Shards(set) => self.set.add(&set),
            Where::All => self.all = true,
        }
    }

    /// Command `i`.
    pub fn at(&self, i: usize) -> (Found, Args<'_>) {
        let Queued { found, spans } = &self.commands[i];
        (*found, Args::new(&self.text, &self.spans[spans.0 as usize..spans.1 as usize]))
    }

    /// What all of them need, with the stores of `watched` keys. A report tells of all stores, and shall tell what the commands
    /// before it have changed.
    pub(super) fn needs(&self, watched: Where) -> Needs {
        let mut set = self.set;
        match watched {
            Where::Shard(shard) => set.insert(shard),
            Where::Shards(more) => set.add(&more),
            Where::Anywhere | Where::All => {}
        }
        let place = if self.all || self.parts != 0 { Where::All } else { Where::of(set) };
        Needs { place, parts: self.parts, home: self.home }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::{FAMILIES, Registry};

    fn queue(lines: &[(&str, Where)]) -> Transaction {
        let registry = Registry::new(FAMILIES);
        let mut transaction = Transaction::default();
        for (line, place) in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let ends = words.iter().scan(0, |at, word| {
                *at += word.len() + 1;
                Some(Span::new(*at - word.len() - 1, *at - 1))
            });
            let spans: Vec<Span> = ends.collect();
            let args = Args::new(line.as_bytes(), &spans);
            let Ok(found) = registry.find(args) else { panic!("{line}") };
            transaction.push(found, args, *place);
        }
        transaction
    }

    #[test]
    fn commands_are_kept_word_for_word() {
        let transaction = queue(&[("SET a 1", Where::Shard(1)), ("PING", Where::Anywhere)]);
        let words = |i| transaction.queue.at(i).1.iter().map(|a| a.to_vec()).collect::<Vec<_>>();
        assert_eq!((words(0).concat(), words(1).concat()), (b"SETa1".to_vec(), b"PING".to_vec()));
        assert_eq!(transaction.queue.at(0).0.row.name, "set");
        assert_eq!((transaction.queued, transaction.memory > 8), (2, true));
        assert_eq!((transaction.clone().queued, transaction.clone().queue.len()), (2, 0));
    }

    #[test]
    fn needs_add_up() {
        let of = |lines: &[(&str, Where)], watched| queue(lines).queue.needs(watched);
        let (one, two) = (("GET a", Where::Shard(1)), ("GET b", Where::Shard(3)));
        assert_eq!(of(&[one, one], Where::Anywhere), Needs::at(Where::Shard(1)));
        let mut both = ShardSet::one(1);
        both.insert(3);
        assert_eq!(of(&[one, two], Where::Shard(1)), Needs::at(Where::Shards(both)));
        assert_eq!(of(&[one], Where::Shard(3)), Needs::at(Where::Shards(both)));
        assert_eq!(of(&[one, ("DBSIZE", Where::All)], Where::Anywhere), Needs::at(Where::All));
        let home = Needs { home: true, ..Needs::at(Where::Shard(1)) };
        assert_eq!(of(&[one, ("CLIENT UNPAUSE", Where::Anywhere)], Where::Anywhere), home);
        let report = of(&[one, ("SLOWLOG LEN", Where::Anywhere)], Where::Anywhere);
        assert!(report.parts != 0 && report.home && report.place == Where::All);
    }
}
