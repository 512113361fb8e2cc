//! What a command's row says.

use super::{Cx, Done, Session};
use crate::resp::Args;
use crate::store::{Route, ShardSet};

/// Facts of a command, as bits of [`Command::flags`]. Names and meanings are those of COMMAND INFO.
pub mod flag {
    pub const WRITE: u32 = 1;
    pub const READONLY: u32 = 1 << 1;
    pub const DENYOOM: u32 = 1 << 2;
    pub const ADMIN: u32 = 1 << 3;
    pub const PUBSUB: u32 = 1 << 4;
    pub const NOSCRIPT: u32 = 1 << 5;
    pub const BLOCKING: u32 = 1 << 6;
    pub const LOADING: u32 = 1 << 7;
    pub const STALE: u32 = 1 << 8;
    pub const SKIP_MONITOR: u32 = 1 << 9;
    pub const SKIP_SLOWLOG: u32 = 1 << 10;
    pub const ASKING: u32 = 1 << 11;
    pub const FAST: u32 = 1 << 12;
    pub const NO_AUTH: u32 = 1 << 13;
    pub const MAY_REPLICATE: u32 = 1 << 14;
    pub const NO_ASYNC_LOADING: u32 = 1 << 15;
    pub const NO_MULTI: u32 = 1 << 16;
    pub const MOVABLEKEYS: u32 = 1 << 17;
    pub const ALLOW_BUSY: u32 = 1 << 18;
    pub const PROTECTED: u32 = 1 << 19;
    /// kring's own: may touch much memory, so it runs where the data lives.
    pub const HEAVY: u32 = 1 << 24;
    /// kring's own: subcommands are dispatched by rows, but COMMAND does not show them (DEBUG).
    pub const HIDE_SUBCOMMANDS: u32 = 1 << 25;
    /// kring's own: runs at once also between MULTI and EXEC.
    pub const UNQUEUED: u32 = 1 << 26;

    /// The names that COMMAND INFO gives, in its order.
    pub const NAMES: &[(u32, &str)] = &[
        (WRITE, "write"),
        (READONLY, "readonly"),
        (DENYOOM, "denyoom"),
        (ADMIN, "admin"),
        (PUBSUB, "pubsub"),
        (NOSCRIPT, "noscript"),
        (BLOCKING, "blocking"),
        (LOADING, "loading"),
        (STALE, "stale"),
        (SKIP_MONITOR, "skip_monitor"),
        (SKIP_SLOWLOG, "skip_slowlog"),
        (ASKING, "asking"),
        (FAST, "fast"),
        (NO_AUTH, "no_auth"),
        (NO_ASYNC_LOADING, "no_async_loading"),
        (NO_MULTI, "no_multi"),
        (MOVABLEKEYS, "movablekeys"),
        (ALLOW_BUSY, "allow_busy"),
    ];
}

/// ACL categories, as bits of [`Command::categories`]. READ, WRITE, ADMIN, DANGEROUS, FAST, SLOW, BLOCKING and PUBSUB
/// that follow from the flags are added by COMMAND itself.
pub mod category {
    pub const KEYSPACE: u32 = 1;
    pub const READ: u32 = 1 << 1;
    pub const WRITE: u32 = 1 << 2;
    pub const SET: u32 = 1 << 3;
    pub const SORTEDSET: u32 = 1 << 4;
    pub const LIST: u32 = 1 << 5;
    pub const HASH: u32 = 1 << 6;
    pub const STRING: u32 = 1 << 7;
    pub const BITMAP: u32 = 1 << 8;
    pub const HYPERLOGLOG: u32 = 1 << 9;
    pub const GEO: u32 = 1 << 10;
    pub const STREAM: u32 = 1 << 11;
    pub const PUBSUB: u32 = 1 << 12;
    pub const ADMIN: u32 = 1 << 13;
    pub const FAST: u32 = 1 << 14;
    pub const SLOW: u32 = 1 << 15;
    pub const BLOCKING: u32 = 1 << 16;
    pub const DANGEROUS: u32 = 1 << 17;
    pub const CONNECTION: u32 = 1 << 18;
    pub const TRANSACTION: u32 = 1 << 19;
    pub const SCRIPTING: u32 = 1 << 20;

    /// The names that COMMAND INFO gives, in its order.
    pub const NAMES: &[(u32, &str)] = &[
        (KEYSPACE, "keyspace"),
        (READ, "read"),
        (WRITE, "write"),
        (SET, "set"),
        (SORTEDSET, "sortedset"),
        (LIST, "list"),
        (HASH, "hash"),
        (STRING, "string"),
        (BITMAP, "bitmap"),
        (HYPERLOGLOG, "hyperloglog"),
        (GEO, "geo"),
        (STREAM, "stream"),
        (PUBSUB, "pubsub"),
        (ADMIN, "admin"),
        (FAST, "fast"),
        (SLOW, "slow"),
        (BLOCKING, "blocking"),
        (DANGEROUS, "dangerous"),
        (CONNECTION, "connection"),
        (TRANSACTION, "transaction"),
        (SCRIPTING, "scripting"),
    ];
}

/// What a command does to the keys of a spec, as bits of [`KeySpec::flags`] (COMMAND INFO's key specification flags).
pub mod key {
    pub const RO: u32 = 1;
    pub const RW: u32 = 1 << 1;
    pub const OW: u32 = 1 << 2;
    pub const RM: u32 = 1 << 3;
    pub const ACCESS: u32 = 1 << 4;
    pub const UPDATE: u32 = 1 << 5;
    pub const INSERT: u32 = 1 << 6;
    pub const DELETE: u32 = 1 << 7;
    pub const NOT_KEY: u32 = 1 << 8;
    pub const INCOMPLETE: u32 = 1 << 9;
    pub const VARIABLE: u32 = 1 << 10;

    /// The names that COMMAND INFO gives, in its order.
    pub const NAMES: &[(u32, &str)] = &[
        (RO, "RO"),
        (RW, "RW"),
        (OW, "OW"),
        (RM, "RM"),
        (ACCESS, "access"),
        (UPDATE, "update"),
        (INSERT, "insert"),
        (DELETE, "delete"),
        (NOT_KEY, "not_key"),
        (INCOMPLETE, "incomplete"),
        (VARIABLE, "variable_flags"),
    ];
}

/// Where a group of keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(usize),
    /// After this word, looked for from an argument on (backwards from the end when negative).
    Keyword { word: &'static str, from: i32 },
    /// After the last option of this name, options beginning at argument 2; `skips` are options with values, and how many.
    /// COMMAND calls it unknown.
    Option { word: &'static str, skips: &'static [(&'static str, usize)] },
    /// Nowhere: the names come from data.
    Unknown,
}

/// How the keys of a group lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// From the beginning to `last` (relative to it; negative counts from the end: -1 is the last argument), every
    /// `step`th; `limit` n > 1 takes only the first 1/n of them.
    Range { last: i32, step: usize, limit: usize },
    /// The argument at `num` (relative) says how many follow from `first` (relative), every `step`th.
    Count { num: usize, first: usize, step: usize },
}

/// One group of keys among a command's arguments.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    pub begin: Begin,
    pub find: Find,
    pub flags: u32,
    /// For COMMAND INFO: what else is to know, in our words.
    pub notes: &'static str,
}

impl KeySpec {
    /// One key, argument `at`.
    pub const fn one(at: usize, flags: u32) -> KeySpec {
        KeySpec {
            begin: Begin::Index(at),
            find: Find::Range { last: 0, step: 1, limit: 0 },
            flags,
            notes: "",
        }
    }

    /// Keys from argument `first` to `last` (relative to `first`, or negative: from the end), every `step`th.
    pub const fn range(first: usize, last: i32, step: usize, flags: u32) -> KeySpec {
        KeySpec { begin: Begin::Index(first), find: Find::Range { last, step, limit: 0 }, flags, notes: "" }
    }

    /// The argument at `num` says how many keys follow it.
    pub const fn counted(num: usize, flags: u32) -> KeySpec {
        KeySpec {
            begin: Begin::Index(num),
            find: Find::Count { num: 0, first: 1, step: 1 },
            flags,
            notes: "",
        }
    }

    /// The same with notes.
    pub const fn with_notes(self, notes: &'static str) -> KeySpec {
        KeySpec { notes, ..self }
    }

    /// Whether COMMAND cannot say where its keys are.
    pub fn is_unknown(&self) -> bool {
        matches!(self.begin, Begin::Option { .. } | Begin::Unknown)
    }

    /// Calls `f` with the position of each key; false when the arguments do not fit the spec.
    pub fn each(&self, args: Args<'_>, f: &mut dyn FnMut(usize)) -> bool {
        let Some(start) = self.start(args) else { return true };
        let len = args.len();
        match self.find {
            Find::Range { last, step, limit } => {
                let mut end = if last >= 0 {
                    start + last as usize
                } else {
                    (len as i64 + last as i64).max(0) as usize
                };
                if limit > 1 && last < 0 {
                    // As Redis reckons it: of an odd number the smaller part.
                    let part = (len.saturating_sub(start) / limit) as i64 + last as i64;
                    let Ok(part) = usize::try_from(part) else { return false };
                    end = start + part;
                }
                if start >= len || end >= len {
                    return false;
                }
                (start..=end).step_by(step).for_each(f);
                true
            }
            Find::Count { num, first, step } => {
                let count = args.get(start + num).and_then(crate::base::number::parse_i64);
                let Some(count) = count.and_then(|c| usize::try_from(c).ok()) else { return false };
                let from = start + first;
                if count == 0
                    || from.checked_add((count - 1).saturating_mul(step)).is_none_or(|end| end >= len)
                {
                    return false;
                }
                (from..).step_by(step).take(count).for_each(f);
                true
            }
        }
    }

    fn start(&self, args: Args<'_>) -> Option<usize> {
        match self.begin {
            Begin::Index(at) => Some(at),
            Begin::Keyword { word, from } if from >= 0 => {
                (from as usize..args.len()).find(|&i| args.is(i, word)).map(|i| i + 1)
            }
            Begin::Keyword { word, from } => {
                let last = (args.len() as i64 + from as i64).max(0) as usize;
                (1..=last.min(args.len() - 1)).rev().find(|&i| args.is(i, word)).map(|i| i + 1)
            }
            Begin::Option { word, skips } => {
                let (mut found, mut i) = (None, 2);
                while i < args.len() {
                    let skipped =
                        skips.iter().find(|(name, _)| args.is(i, name)).map_or(0, |(_, skip)| *skip);
                    if skipped == 0 && args.is(i, word) && i + 1 < args.len() {
                        found = Some(i + 1);
                    }
                    i += 1 + skipped;
                }
                found
            }
            Begin::Unknown => None,
        }
    }
}

/// Which stores a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// None: it runs wherever its batch is.
    Anywhere,
    /// One shard's.
    Shard(usize),
    /// Those of a set of shards.
    Shards(ShardSet),
    /// Every shard's.
    All,
}

impl Where {
    /// The stores of a set.
    pub fn of(set: ShardSet) -> Where {
        match (set.len(), set.next(0)) {
            (0, _) | (_, None) => Where::Anywhere,
            (1, Some(shard)) => Where::Shard(shard),
            _ => Where::Shards(set),
        }
    }
}

/// What a call needs that also depends on its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    pub place: Where,
    /// Reports of every shard first, as for [`Plan::Gather`]; 0: none.
    pub parts: u32,
    /// Runs at home only.
    pub home: bool,
}

impl Needs {
    /// These stores, and nothing else.
    pub fn at(place: Where) -> Needs {
        Needs { place, parts: 0, home: false }
    }
}

/// How a command gets what it works on. It keeps sharding out of the commands' bodies.
#[derive(Clone, Copy)]
pub enum Plan {
    /// Needs no store: runs wherever its batch is, on the session alone.
    Anywhere,
    /// The store of its first key.
    Owner,
    /// The stores of all its keys.
    Keys,
    /// All stores.
    All,
    /// All stores, at home: it may return an [`super::Order`] besides.
    AllAtHome,
    /// As the arguments say.
    By(fn(Args<'_>, Route) -> Where),
    /// The same, but often the lowest of these stores is enough: it is tried with that one alone, unless more are in hand, and
    /// may return [`super::Outcome::Wider`].
    Lowest(fn(Args<'_>, Route) -> Where),
    /// As what its session holds says, asked when its turn comes.
    Session(fn(&Session, Args<'_>, Route) -> Needs),
    /// A report of every shard first ([`Cx::reports`]); then runs at home, with no store.
    Gather(u32),
    /// Runs at home, with no store: it needs the connection's own shard or returns an [`super::Order`].
    Home,
}

/// That a command is kept for old clients only.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// The Redis release that says so.
    pub since: &'static str,
    /// What to use: COMMAND DOCS's `replaced_by`.
    pub instead: &'static str,
}

/// A command's function.
pub type Run = fn(&mut Cx<'_>, Args<'_>) -> Done;

/// A command's row. Build one with struct update from [`Command::BASE`].
pub struct Command {
    /// Lower case; a subcommand's own word only (`get` of `config|get`).
    pub name: &'static str,
    /// `parent|name` for a subcommand, the name for a command: what metrics and errors call it.
    pub full_name: &'static str,
    /// Number of arguments, name included; negative: at least.
    pub arity: i32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Bits of [`category`], beyond those that follow from the flags.
    pub categories: u32,
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    pub plan: Plan,
    pub run: Run,
    pub subcommands: &'static [Command],
    /// For COMMAND DOCS: what it does, in one sentence of ours.
    pub summary: &'static str,
    /// The Redis release that brought it.
    pub since: &'static str,
    /// COMMAND DOCS's group: string, generic, bitmap, connection, server, ...
    pub group: &'static str,
    pub complexity: &'static str,
    /// Its arguments in the notation of `cmd/syntax.rs`, from which COMMAND DOCS is built.
    pub syntax: &'static str,
    /// COMMAND INFO's tips (`request_policy:all_shards`, ...).
    pub tips: &'static [&'static str],
    pub deprecated: Option<Deprecated>,
}

impl Command {
    /// What rows are built from.
    pub const BASE: Command = Command {
        name: "",
        full_name: "",
        arity: -1,
        flags: 0,
        categories: 0,
        keys: &[],
        plan: Plan::Anywhere,
        run: |_, _| Ok(super::Outcome::Done),
        subcommands: &[],
        summary: "",
        since: "1.0.0",
        group: "generic",
        complexity: "O(1)",
        syntax: "",
        tips: &[],
        deprecated: None,
    };

    /// Whether `n` arguments, name included, are a fit.
    #[inline]
    pub fn takes(&self, n: usize) -> bool {
        let n = n as i32;
        if self.arity >= 0 { n == self.arity } else { n >= -self.arity }
    }

    /// Whether it is a subcommand: its first word does not say which.
    pub fn is_subcommand(&self) -> bool {
        self.name != self.full_name
    }

    /// Whether all bits of `flags` are set.
    #[inline]
    pub fn is(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// The positions of all keys, or none when the arguments do not fit.
    pub fn key_positions(&self, args: Args<'_>) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        let fits = self.keys.iter().all(|spec| spec.each(args, &mut |i| found.push(i)));
        fits.then_some(found)
    }
}
