//! LLEN, LRANGE, LINDEX, LPOS: lists that are looked at.

use super::element::{place, range, reply};
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::list::{End, List};
use crate::resp::{Args, Error};
use std::ops::ControlFlow;

const READ: Command = Command {
    flags: flag::READONLY,
    categories: category::LIST,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    group: "list",
    ..Command::BASE
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "llen",
        full_name: "llen",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::one(1, key::RO)],
        run: llen,
        summary: "Gives the length of a list.",
        syntax: "key:key",
        ..READ
    },
    Command {
        name: "lrange",
        full_name: "lrange",
        arity: 4,
        run: lrange,
        summary: "Gives the elements of a list from one index to another.",
        complexity: "O(S+N), S being the distance of the first element from the nearer end, N the number of elements; nodes are skipped whole",
        syntax: "key:key start:integer stop:integer",
        ..READ
    },
    Command {
        name: "lindex",
        full_name: "lindex",
        arity: 3,
        run: lindex,
        summary: "Gives the element of a list at an index.",
        complexity: "O(N), N being the distance from the nearer end; nodes are skipped whole",
        syntax: "key:key index:integer",
        ..READ
    },
    Command {
        name: "lpos",
        full_name: "lpos",
        arity: -3,
        flags: flag::READONLY | flag::HEAVY,
        run: lpos,
        summary: "Gives the index of an element in a list, or of several that are equal.",
        since: "6.0.6",
        complexity: "O(N), N being the number of elements that are looked at",
        syntax: "key:key element:string [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]",
        ..READ
    },
];

fn llen(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let len = cx.keys.look::<List>(args.at(1))?.map_or(0, List::len);
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

fn lrange(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let start = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let stop = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
    let Some(list) = cx.keys.look::<List>(args.at(1))? else {
        cx.out.array(0);
        return Ok(Outcome::Done);
    };
    let (first, count) = range(start, stop, list.len());
    cx.out.array(count);
    list.each(first, count, End::Front, |element| reply(cx.out, element));
    Ok(Outcome::Done)
}

fn lindex(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    // As in Redis, a key that is absent hides an index that is none.
    let Some(list) = cx.keys.look::<List>(args.at(1))? else {
        cx.out.null();
        return Ok(Outcome::Done);
    };
    let index = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    match place(index, list.len()) {
        Some(at) => list.each(at, 1, End::Front, |element| reply(cx.out, element)),
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

const RANK_ZERO: &str = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
    or use negative to start from the end of the list";
const RANK_RANGE: &str =
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";

/// What LPOS is asked for.
struct Search {
    end: End,
    /// Which match is the first to be told, from 1.
    rank: u64,
    /// How many are told, 0 being all; none: one, and not as an array.
    count: Option<usize>,
    /// How many elements are looked at, 0 being all.
    most: usize,
}

impl Search {
    fn parse(args: Args<'_>) -> Result<Search, Error> {
        let mut search = Search { end: End::Front, rank: 1, count: None, most: 0 };
        let natural = |text: &[u8], error: &'static str| {
            parse_i64(text).and_then(|n| usize::try_from(n).ok()).ok_or(Error::text_of(error))
        };
        let mut i = 3;
        while i < args.len() {
            let text = args.get(i + 1).ok_or(Error::Syntax)?;
            if args.is(i, "rank") {
                let rank = parse_i64(text).ok_or(Error::NotInteger)?;
                search.end = if rank < 0 { End::Back } else { End::Front };
                search.rank = rank.unsigned_abs();
                match rank {
                    0 => return Err(Error::text_of(RANK_ZERO)),
                    i64::MIN => return Err(Error::text_of(RANK_RANGE)),
                    _ => {}
                }
            } else if args.is(i, "count") {
                search.count = Some(natural(text, "ERR COUNT can't be negative")?);
            } else if args.is(i, "maxlen") {
                search.most = natural(text, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(Error::Syntax);
            }
            i += 2;
        }
        Ok(search)
    }

    /// The places to be told.
    fn run(&self, list: &List, text: &[u8]) -> Vec<usize> {
        let unbounded = |n: usize| if n == 0 { usize::MAX } else { n };
        let (wanted, most) = (self.count.map_or(1, unbounded), unbounded(self.most));
        let (mut found, mut skipped) = (Vec::new(), 1);
        list.matches(text, most, self.end, |index| {
            if skipped < self.rank {
                skipped += 1;
                return ControlFlow::Continue(());
            }
            found.push(index);
            if found.len() == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        found
    }
}

fn lpos(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let search = Search::parse(args)?;
    let list = cx.keys.look::<List>(args.at(1))?;
    let found = list.map_or(Vec::new(), |list| search.run(list, args.at(2)));
    match (search.count, found.first()) {
        (Some(_), _) => {
            cx.out.array(found.len());
            found.iter().for_each(|index| cx.out.int(*index as i64));
        }
        (None, Some(index)) => cx.out.int(*index as i64),
        (None, None) => cx.out.null(),
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

    #[test]
    fn lists_are_looked_at() {
        World::new(2).expect(&[
            ("RPUSH k a b 3", ":3\r\n"),
            ("LLEN k", ":3\r\n"),
            ("LLEN nosuch", ":0\r\n"),
            ("LRANGE k 1 1", "*1\r\n$1\r\nb\r\n"),
            ("LRANGE k -2 -1", "*2\r\n$1\r\nb\r\n$1\r\n3\r\n"),
            ("LRANGE k 5 10", "*0\r\n"),
            ("LRANGE nosuch 0 -1", "*0\r\n"),
            ("LRANGE nosuch x -1", "-ERR value is not an integer or out of range\r\n"),
            ("LINDEX k 0", "$1\r\na\r\n"),
            ("LINDEX k -1", "$1\r\n3\r\n"),
            ("LINDEX k 3", "$-1\r\n"),
            ("LINDEX nosuch x", "$-1\r\n"),
            ("LINDEX k x", "-ERR value is not an integer or out of range\r\n"),
            ("SET s v", "+OK\r\n"),
            ("LLEN s", WRONG_TYPE),
            ("LRANGE s 0 -1", WRONG_TYPE),
            ("LINDEX s x", WRONG_TYPE),
            ("LPOS s a", WRONG_TYPE),
        ]);
    }

    #[test]
    fn equal_elements_are_found() {
        World::new(2).expect(&[
            ("RPUSH k a b c 1 2 3 c c", ":8\r\n"),
            ("LPOS k c", ":2\r\n"),
            ("LPOS k 2", ":4\r\n"),
            ("LPOS k x", "$-1\r\n"),
            ("LPOS k c RANK 2", ":6\r\n"),
            ("LPOS k c RANK -1", ":7\r\n"),
            ("LPOS k c RANK -4", "$-1\r\n"),
            ("LPOS k c COUNT 2", "*2\r\n:2\r\n:6\r\n"),
            ("LPOS k c COUNT 0 RANK -2", "*2\r\n:6\r\n:2\r\n"),
            ("LPOS k c COUNT 0 MAXLEN 7", "*2\r\n:2\r\n:6\r\n"),
            ("LPOS k c MAXLEN 2", "$-1\r\n"),
            ("LPOS k x COUNT 1", "*0\r\n"),
            ("LPOS nosuch x", "$-1\r\n"),
            ("LPOS nosuch x COUNT 1", "*0\r\n"),
            ("LPOS k c COUNT -1", "-ERR COUNT can't be negative\r\n"),
            ("LPOS k c MAXLEN x", "-ERR MAXLEN can't be negative\r\n"),
            ("LPOS k c RANK x", "-ERR value is not an integer or out of range\r\n"),
            ("LPOS k c RANK", "-ERR syntax error\r\n"),
            ("LPOS k c NOSUCH 1", "-ERR syntax error\r\n"),
            (
                "LPOS k c RANK 0",
                "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative \
                 to start from the end of the list\r\n",
            ),
        ]);
    }
}
