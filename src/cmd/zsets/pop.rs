//! Members taken from an end: ZPOPMIN, ZPOPMAX, ZMPOP.

use super::ROW;
use super::frame::changed;
use crate::base::number::parse_i64;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::zset::Zset;
use crate::resp::{Args, Error};

const KEY: u32 = key::RW | key::ACCESS | key::DELETE;

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zpopmin",
        full_name: "zpopmin",
        arity: -2,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::one(1, KEY)],
        run: zpopmin,
        summary: "Takes the members with the lowest scores out of a sorted set.",
        since: "5.0.0",
        complexity: "O(log(N)+M) for M of N members taken.",
        syntax: "key:key [count:integer]",
        ..ROW
    },
    Command {
        name: "zpopmax",
        full_name: "zpopmax",
        arity: -2,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::one(1, KEY)],
        run: zpopmax,
        summary: "Takes the members with the highest scores out of a sorted set.",
        since: "5.0.0",
        complexity: "O(log(N)+M) for M of N members taken.",
        syntax: "key:key [count:integer]",
        ..ROW
    },
    Command {
        name: "zmpop",
        full_name: "zmpop",
        arity: -4,
        flags: flag::WRITE | flag::MOVABLEKEYS,
        keys: &[KeySpec::counted(1, KEY)],
        plan: Plan::Keys,
        run: zmpop,
        summary: "Takes members from an end of the first sorted set that is not empty.",
        since: "7.0.0",
        complexity: "O(K)+O(log(N)+M) for K keys and M of N members taken.",
        syntax: "numkeys:integer key:key ... where:(min=MIN | max=MAX) [COUNT count:integer]",
        ..ROW
    },
];

/// An end of a sorted set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Min,
    Max,
}

/// How popped members are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Members and scores in turn.
    Flat,
    /// Pairs.
    Nested,
    /// The key, then pairs.
    Keyed,
    /// The key, a member and its score.
    Single,
}

fn zpopmin(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    pop_command(cx, args, End::Min)
}

fn zpopmax(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    pop_command(cx, args, End::Max)
}

fn pop_command(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Done {
    let count = match args.len() {
        2 => None,
        3 => {
            let count = parse_i64(args.at(2)).and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or(Error::NegativeValue)?)
        }
        _ => return Err(Error::Syntax),
    };
    let shape = if count.is_some() && cx.out.resp3() { Shape::Nested } else { Shape::Flat };
    if !pop(cx, args.at(1), end, count.unwrap_or(1), shape)? {
        cx.out.array(0);
    }
    Ok(Outcome::Done)
}

/// Takes up to `count` members from an end and replies with them; false, and no reply, when the key is absent.
pub fn pop(cx: &mut Cx<'_>, key: &[u8], end: End, count: usize, shape: Shape) -> Result<bool, Error> {
    let Some(mut zset) = cx.keys.edit::<Zset>(key)? else { return Ok(false) };
    let out = &mut *cx.out;
    let len = zset.len();
    let taken = count.min(len);
    match shape {
        Shape::Flat => out.array(taken * 2),
        Shape::Nested => out.array(taken),
        Shape::Keyed => {
            out.array(2);
            out.bulk(key);
            out.array(taken);
        }
        Shape::Single => {
            out.array(3);
            out.bulk(key);
        }
    }
    zset.walk(0, taken, end == End::Max, |member, score| {
        if matches!(shape, Shape::Nested | Shape::Keyed) {
            out.array(2);
        }
        member.with(|member| out.bulk(member));
        out.double(score);
        true
    });
    if taken == len {
        // The whole value goes to where large ones are freed.
        drop(zset);
        cx.keys.delete(key);
    } else {
        let from = if end == End::Min { 0 } else { len - taken };
        zset.remove_range(from, from + taken);
        drop(zset);
    }
    changed(cx, key, taken);
    tell(cx, key, end, taken, shape);
    Ok(true)
}

/// Says for the log what a command took from the one of its keys that had something.
fn tell(cx: &mut Cx<'_>, key: &[u8], end: End, taken: usize, shape: Shape) {
    let pop: &[u8] = if end == End::Min { b"ZPOPMIN" } else { b"ZPOPMAX" };
    match shape {
        // ZPOPMIN and ZPOPMAX themselves.
        Shape::Flat | Shape::Nested => {}
        Shape::Single => cx.keys.effect(key, &[pop, key]),
        Shape::Keyed => cx.keys.effect(key, &[pop, key, itoa::Buffer::new().format(taken).as_bytes()]),
    }
}

/// What ZMPOP asks for.
pub struct Wish<'a> {
    pub keys: Args<'a>,
    pub end: End,
    pub count: usize,
}

impl<'a> Wish<'a> {
    /// Reads the arguments from the number of keys on.
    pub fn parse(args: Args<'a>) -> Result<Wish<'a>, Error> {
        let positive = |at: usize, text: &'static str| {
            let number = args.get(at).and_then(parse_i64).filter(|n| *n > 0);
            number.and_then(|n| usize::try_from(n).ok()).ok_or(Error::text_of(text))
        };
        let numkeys = positive(0, "ERR numkeys should be greater than 0")?;
        let at = numkeys.checked_add(1).filter(|at| *at < args.len()).ok_or(Error::Syntax)?;
        let end = match () {
            _ if args.is(at, "min") => End::Min,
            _ if args.is(at, "max") => End::Max,
            _ => return Err(Error::Syntax),
        };
        let mut count = None;
        let mut i = at + 1;
        while i < args.len() {
            if count.is_some() || !args.is(i, "count") || i + 1 == args.len() {
                return Err(Error::Syntax);
            }
            count = Some(positive(i + 1, "ERR count should be greater than 0")?);
            i += 2;
        }
        Ok(Wish { keys: args.range(1, at), end, count: count.unwrap_or(1) })
    }
}

fn zmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let wish = Wish::parse(args.from(1))?;
    for key in wish.keys.iter() {
        if pop(cx, key, wish.end, wish.count, Shape::Keyed)? {
            return Ok(Outcome::Done);
        }
    }
    cx.out.null_array();
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn ends_are_popped_in_both_forms() {
        for entries in [0, 128] {
            let mut w = World::new(3);
            w.config.zset_max_listpack_entries = entries;
            w.expect(&[
                ("ZADD z 1 a 2 b 3 c 4 d 5 e", ":5\r\n"),
                ("ZPOPMIN z", "*2\r\n$1\r\na\r\n$1\r\n1\r\n"),
                ("ZPOPMAX z 2", "*4\r\n$1\r\ne\r\n$1\r\n5\r\n$1\r\nd\r\n$1\r\n4\r\n"),
                ("ZPOPMAX z 0", "*0\r\n"),
                ("ZPOPMIN none", "*0\r\n"),
                ("ZPOPMIN z -1", "-ERR value is out of range, must be positive\r\n"),
                ("ZPOPMIN z x", "-ERR value is out of range, must be positive\r\n"),
                ("ZPOPMIN z 1 2", "-ERR syntax error\r\n"),
                ("ZMPOP 2 none z MAX", "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n"),
                ("ZMPOP 1 z MIN COUNT 9", "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n"),
                ("EXISTS z", ":0\r\n"),
                ("ZMPOP 1 z MIN COUNT 9", "*-1\r\n"),
                ("ZMPOP 0 z MIN", "-ERR numkeys should be greater than 0\r\n"),
                ("ZMPOP x z MIN", "-ERR numkeys should be greater than 0\r\n"),
                ("ZMPOP 2 z MIN", "-ERR syntax error\r\n"),
                ("ZMPOP 9223372036854775807 z MIN", "-ERR syntax error\r\n"),
                ("ZMPOP 1 z MID", "-ERR syntax error\r\n"),
                ("ZMPOP 1 z MIN COUNT", "-ERR syntax error\r\n"),
                ("ZMPOP 1 z MIN COUNT 0", "-ERR count should be greater than 0\r\n"),
                ("ZMPOP 1 z MIN COUNT 1 COUNT 1", "-ERR syntax error\r\n"),
                ("SET s v", "+OK\r\n"),
                (
                    "ZMPOP 2 none s MIN",
                    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
                ),
                ("ZPOPMIN s", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ]);
            w.proto(Proto::Resp3);
            w.run("ZADD z 1 a 2 b 3 c");
            assert_eq!(w.run("ZPOPMIN z"), "*2\r\n$1\r\na\r\n,1\r\n");
            assert_eq!(w.run("ZPOPMIN z 1"), "*1\r\n*2\r\n$1\r\nb\r\n,2\r\n");
            assert_eq!(w.run("ZMPOP 1 z MIN"), "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nc\r\n,3\r\n");
            assert_eq!(w.run("ZMPOP 1 z MIN"), "_\r\n");
        }
    }
}
