//! A batch: commands that were parsed ahead of the one that runs, so that their memory is on its way when their turn comes.

use super::heads::Heads;
use crate::cmd::registry::{Found, Missing, Registry};
use crate::cmd::row::{Begin, flag};
use crate::cmd::{Plan, Where};
use crate::ds::{KeyHasher, Table};
use crate::resp::{Args, Limits, Parser, ProtocolError, Span, Step, whole};
use crate::store::{Route, Value};

/// A command of a batch.
pub(super) struct Parsed {
    pub found: Result<Found, Missing>,
    /// Whether the number of its arguments fits the row.
    pub fits: bool,
    /// Whose stores it needs, in short.
    pub place: Place,
    /// Where it starts and ends in the input.
    pub start: usize,
    pub end: usize,
    spans: (u32, u32),
    inline: bool,
    /// The argument that is the only key of a brief command, which runs on that key's store alone; else 0.
    pub key: u32,
    /// The hash of that key.
    pub hash: u64,
}

impl Parsed {
    /// The command as RESP, if it came so.
    #[inline]
    pub fn raw<'a>(&self, input: &'a [u8]) -> Option<&'a [u8]> {
        if self.inline { None } else { input.get(self.start..self.end) }
    }
}

/// Where a command has to run, in short: most need one store or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Anywhere,
    Shard(u32),
    /// More than one, or what its session says: [`Core::needs`](super::Core) tells which.
    Several,
}

/// What a batch is parsed by.
pub(super) struct Rules<'a> {
    pub limits: Limits,
    /// The most commands.
    pub depth: usize,
    pub registry: &'a Registry,
    /// Whether they are a log's, where commands have other names than clients call them by.
    pub logged: bool,
    pub route: Route,
    pub hasher: &'a KeyHasher,
    /// The table that all keys are in, if it is at hand already: what they will look at is sent for while others are parsed.
    pub table: Option<&'a Table<Value>>,
}

impl Rules<'_> {
    /// The hash of a brief command's key, whose bucket is on its way then.
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        let hash = self.hasher.hash(key);
        if let Some(table) = self.table {
            table.prefetch(hash);
        }
        hash
    }
}

/// How far the input was read: the state of the command that was begun at `start`, and its spans so far.
pub(super) struct Reading<'a> {
    pub parser: &'a mut Parser,
    pub partial: &'a mut Vec<Span>,
    pub start: usize,
}

/// What ended a batch.
pub(super) enum End {
    /// It is full, or all was read.
    More,
    /// What follows is not complete: the state to go on with.
    Partial,
    Error(ProtocolError),
}

/// Scratch of one shard, reused for every batch.
#[derive(Default)]
pub(super) struct Batch {
    pub commands: Vec<Parsed>,
    pub spans: Vec<Span>,
    pub inline: Vec<u8>,
    /// Where the first command starts that is not in the batch.
    pub rest: usize,
    /// How long the input has to be for the command that is not complete, as far as it has said.
    pub want: usize,
    /// Whether the buckets of all brief commands have been sent for.
    pub is_sent_for: bool,
}

impl Batch {
    /// Parses up to `rules.depth` commands of `input` from where `place` says, and leaves there where it stopped.
    pub fn fill(
        &mut self,
        input: &[u8],
        place: &mut Reading<'_>,
        rules: &Rules<'_>,
        heads: &mut Heads,
    ) -> End {
        let Reading { parser, partial, start } = place;
        self.commands.clear();
        self.spans.clear();
        self.inline.clear();
        self.spans.append(partial);
        self.is_sent_for = rules.table.is_some();
        let mut start = *start;
        self.rest = start;
        while self.commands.len() < rules.depth {
            if rules.limits.authenticated && !rules.logged && parser.is_fresh() {
                let mut at = parser.position();
                while self.commands.len() < rules.depth
                    && let Some(end) = self.whole(input, start, at, rules, heads)
                {
                    (start, at) = (end, end);
                }
                **parser = Parser::at(at);
                self.rest = start;
                if self.commands.len() == rules.depth {
                    break;
                }
            }
            let first = self.commands.last().map_or(0, |c| c.spans.1 as usize);
            match parser.step(input, &rules.limits, &mut self.spans, &mut self.inline) {
                Step::Incomplete { want } => {
                    self.want = want;
                    partial.extend_from_slice(&self.spans[first..]);
                    return End::Partial;
                }
                Step::Error(e) => return End::Error(e),
                Step::Command { end, inline } => {
                    **parser = Parser::at(end);
                    self.add(input, (start, end), first, inline, rules);
                    start = end;
                    self.rest = end;
                }
            }
        }
        End::More
    }

    /// Adds a command that is here as a whole and has few and short arguments: where it ends.
    #[inline]
    fn whole(
        &mut self,
        input: &[u8],
        start: usize,
        pos: usize,
        rules: &Rules<'_>,
        heads: &mut Heads,
    ) -> Option<usize> {
        let first = self.spans.len();
        if let Some(known) = heads.read(input, pos, &mut self.spans) {
            let key = known.key_span.of(input);
            self.commands.push(Parsed {
                found: Ok(known.found),
                fits: true,
                place: Place::Shard(rules.route.owner(key) as u32),
                start,
                end: known.end,
                spans: (first as u32, self.spans.len() as u32),
                inline: false,
                key: known.key,
                hash: rules.hash(key),
            });
            return Some(known.end);
        }
        let end = whole(input, pos, &mut self.spans)?;
        self.add(input, (start, end), first, false, rules);
        if let Some(Parsed { found: Ok(found), fits: true, .. }) = self.commands.last() {
            heads.learn(input, pos, self.spans[first], self.spans.len() - first, *found);
        }
        Some(end)
    }

    /// Adds the command whose spans begin at `first`, unless it is empty.
    #[inline]
    fn add(
        &mut self,
        input: &[u8],
        (start, end): (usize, usize),
        first: usize,
        inline: bool,
        rules: &Rules<'_>,
    ) {
        let spans = (first as u32, self.spans.len() as u32);
        if spans.0 == spans.1 {
            return;
        }
        let buf = if inline { &self.inline } else { input };
        let args = Args::new(buf, &self.spans[first..]);
        let found = if rules.logged { rules.registry.find_logged(args) } else { rules.registry.find(args) };
        let fits = found.is_ok_and(|f| f.row.takes(args.len()));
        let place = match found {
            Ok(found) if fits => short_place(found, args, rules.route),
            _ => Place::Anywhere,
        };
        let key = found.ok().filter(|_| fits).and_then(brief_key).unwrap_or(0);
        let hash = if key > 0 { rules.hash(args.at(key)) } else { 0 };
        let key = key as u32;
        self.commands.push(Parsed { found, fits, place, start, end, spans, inline, key, hash });
    }

    /// The arguments of command `i`.
    #[inline]
    pub fn args<'a>(&'a self, i: usize, input: &'a [u8]) -> Args<'a> {
        self.args_of(&self.commands[i], input)
    }

    /// The arguments of a command of this batch.
    #[inline]
    pub fn args_of<'a>(&'a self, c: &Parsed, input: &'a [u8]) -> Args<'a> {
        let buf = if c.inline { &self.inline[..] } else { input };
        Args::new(buf, &self.spans[c.spans.0 as usize..c.spans.1 as usize])
    }
}

/// Which argument is the key of a brief command: one that runs on a single key's store and does nothing else.
pub(super) fn brief_key(found: Found) -> Option<usize> {
    let row = found.row;
    match (row.plan, row.keys.first()?.begin) {
        (Plan::Owner, Begin::Index(at)) if row.flags & (flag::HEAVY | flag::BLOCKING) == 0 => Some(at),
        _ => None,
    }
}

#[inline]
fn short_place(found: Found, args: Args<'_>, route: Route) -> Place {
    if let Plan::Owner = found.row.plan
        && route.shards() == 1
    {
        return Place::Shard(0);
    }
    if let Plan::Session(_) = found.row.plan {
        return Place::Several;
    }
    match place_of(found, args, route) {
        Where::Anywhere => Place::Anywhere,
        Where::Shard(s) => Place::Shard(s as u32),
        Where::Shards(_) | Where::All => Place::Several,
    }
}

/// The stores that a call of the right number of arguments needs, but for what its session says.
pub(super) fn place_of(found: Found, args: Args<'_>, route: Route) -> Where {
    match found.row.plan {
        Plan::Anywhere | Plan::Gather(_) | Plan::Home | Plan::Session(_) => Where::Anywhere,
        Plan::Owner => {
            let begin = found.row.keys.first().map(|k| k.begin);
            match begin {
                Some(Begin::Index(at)) if at < args.len() => Where::Shard(route.owner(args.at(at))),
                _ => Where::Anywhere,
            }
        }
        Plan::Keys => keys_place(found.row, args, route),
        Plan::All if route.shards() == 1 => Where::Shard(0),
        Plan::All | Plan::AllAtHome => Where::All,
        Plan::By(place) | Plan::Lowest(place) => place(args, route),
    }
}

fn keys_place(row: &crate::cmd::Command, args: Args<'_>, route: Route) -> Where {
    if route.shards() == 1 {
        return Where::Shard(0);
    }
    let mut set = crate::store::ShardSet::EMPTY;
    for spec in row.keys {
        spec.each(args, &mut |i| set.insert(route.owner(args.at(i))));
    }
    match (set.len(), set.next(0)) {
        (0, _) | (_, None) => Where::Shard(0),
        (1, Some(shard)) => Where::Shard(shard),
        _ => Where::Shards(set),
    }
}
