//! A batch: commands that were parsed ahead of the one that runs, so that their memory is on its way when their turn comes.

use crate::cmd::registry::{Found, Missing, Registry};
use crate::cmd::row::Begin;
use crate::cmd::{Plan, Where};
use crate::resp::{Args, Limits, Parser, ProtocolError, Span, Step};
use crate::store::Route;

/// A command of a batch.
pub(super) struct Parsed {
    pub found: Result<Found, Missing>,
    /// Its stores; `None` when it does not go by a plan of stores (errors, Home, Gather).
    pub place: Where,
    /// Where it starts and ends in the input.
    pub start: usize,
    pub end: usize,
    spans: (u32, u32),
    inline: bool,
    /// The hash of its first key, once the key's store was in hand; else 0.
    pub hash: u64,
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
}

impl Batch {
    /// Parses up to `depth` commands of `input` with `parser`, which is left where it stopped. `partial` holds the spans of a
    /// command that was begun before, and afterwards those of the one that is not complete.
    pub fn fill(
        &mut self,
        input: &[u8],
        parser: &mut Parser,
        partial: &mut Vec<Span>,
        limits: &Limits,
        depth: usize,
        registry: &Registry,
        route: Route,
        start: usize,
    ) -> End {
        self.commands.clear();
        self.spans.clear();
        self.inline.clear();
        self.spans.append(partial);
        let mut start = start;
        let mut first = 0;
        self.rest = start;
        while self.commands.len() < depth {
            match parser.step(input, limits, &mut self.spans, &mut self.inline) {
                Step::Incomplete { .. } => {
                    partial.extend_from_slice(&self.spans[first..]);
                    return End::Partial;
                }
                Step::Error(e) => return End::Error(e),
                Step::Command { end, inline } => {
                    let spans = (first as u32, self.spans.len() as u32);
                    first = self.spans.len();
                    *parser = Parser::at(end);
                    if spans.0 < spans.1 {
                        let buf = if inline { &self.inline } else { input };
                        let args = Args::new(buf, &self.spans[spans.0 as usize..]);
                        let found = registry.find(args);
                        let place = place_of(&found, args, route);
                        self.commands.push(Parsed { found, place, start, end, spans, inline, hash: 0 });
                    }
                    start = end;
                    self.rest = end;
                }
            }
        }
        End::More
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

/// The stores that a call needs. Calls that are in error anyway need none.
#[inline]
fn place_of(found: &Result<Found, Missing>, args: Args<'_>, route: Route) -> Where {
    let Ok(found) = found else { return Where::Anywhere };
    if !found.row.takes(args.len()) {
        return Where::Anywhere;
    }
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
