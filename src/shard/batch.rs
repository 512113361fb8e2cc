//! A batch: commands that were parsed ahead of the one that runs, so that their memory is on its way when their turn comes.

use crate::cmd::registry::{Found, Missing, Registry};
use crate::cmd::row::Begin;
use crate::cmd::{Plan, Where};
use crate::resp::{Args, Limits, Parser, ProtocolError, Span, Step, whole};
use crate::store::Route;

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
    /// The hash of its first key, once the key's store was in hand; else 0.
    pub hash: u64,
}

/// Where a command has to run, in short: most need one store or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Anywhere,
    Shard(u32),
    /// More than one: [`place_of`] tells which.
    Several,
}

/// What a batch is parsed by.
pub(super) struct Rules<'a> {
    pub limits: Limits,
    /// The most commands.
    pub depth: usize,
    pub registry: &'a Registry,
    pub route: Route,
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
}

impl Batch {
    /// Parses up to `rules.depth` commands of `input` from where `place` says, and leaves there where it stopped.
    pub fn fill(&mut self, input: &[u8], place: &mut Reading<'_>, rules: &Rules<'_>) -> End {
        let Reading { parser, partial, start } = place;
        self.commands.clear();
        self.spans.clear();
        self.inline.clear();
        self.spans.append(partial);
        let mut start = *start;
        let mut first = 0;
        self.rest = start;
        while self.commands.len() < rules.depth {
            if rules.limits.authenticated
                && parser.is_fresh()
                && let Some(end) = whole(input, parser.position(), &mut self.spans)
            {
                **parser = Parser::at(end);
                self.add(input, (start, end), first, false, rules);
                first = self.spans.len();
                start = end;
                self.rest = end;
                continue;
            }
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
                    first = self.spans.len();
                    start = end;
                    self.rest = end;
                }
            }
        }
        End::More
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
        let found = rules.registry.find(args);
        let fits = found.is_ok_and(|f| f.row.takes(args.len()));
        let place = match found {
            Ok(found) if fits => short_place(found, args, rules.route),
            _ => Place::Anywhere,
        };
        self.commands.push(Parsed { found, fits, place, start, end, spans, inline, hash: 0 });
    }

    /// The first key of command `i`, which goes by `Plan::Owner`.
    #[inline]
    pub fn first_key<'a>(&'a self, i: usize, input: &'a [u8]) -> Option<&'a [u8]> {
        let row = self.commands[i].found.ok()?.row;
        match (row.plan, row.keys.first()?.begin) {
            (Plan::Owner, Begin::Index(at)) => self.args(i, input).get(at),
            _ => None,
        }
    }

    /// The arguments of command `i`.
    #[inline]
    pub fn args<'a>(&'a self, i: usize, input: &'a [u8]) -> Args<'a> {
        let c = &self.commands[i];
        let buf = if c.inline { &self.inline[..] } else { input };
        Args::new(buf, &self.spans[c.spans.0 as usize..c.spans.1 as usize])
    }
}

#[inline]
fn short_place(found: Found, args: Args<'_>, route: Route) -> Place {
    if let Plan::Owner = found.row.plan
        && route.shards() == 1
    {
        return Place::Shard(0);
    }
    match place_of(found, args, route) {
        Where::Anywhere => Place::Anywhere,
        Where::Shard(s) => Place::Shard(s as u32),
        Where::Shards(_) | Where::All => Place::Several,
    }
}

/// The stores that a call of the right number of arguments needs.
pub(super) fn place_of(found: Found, args: Args<'_>, route: Route) -> Where {
    match found.row.plan {
        Plan::Anywhere | Plan::Gather(_) | Plan::Home => Where::Anywhere,
        Plan::Owner => {
            let begin = found.row.keys.first().map(|k| k.begin);
            match begin {
                Some(Begin::Index(at)) if at < args.len() => Where::Shard(route.owner(args.at(at))),
                _ => Where::Anywhere,
            }
        }
        Plan::Keys => keys_place(found.row, args, route),
        Plan::All if route.shards() == 1 => Where::Shard(0),
        Plan::All => Where::All,
        Plan::By(place) => place(args, route),
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
