//! Members on their way out: ZREM, ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX.

use super::ROW;
use super::bounds::{ByLex, ByRank, ByScore, Range};
use super::frame::changed;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome};
use crate::ds::zset::Zset;
use crate::resp::Args;

/// What the rows of ranges have in common.
const RANGE: Command = Command {
    arity: 4,
    flags: flag::WRITE,
    keys: &[KeySpec::one(1, key::RW | key::DELETE)],
    complexity: "O(log(N)+M) for M of N members removed.",
    ..ROW
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zrem",
        full_name: "zrem",
        arity: -3,
        flags: flag::WRITE | flag::FAST,
        run: zrem,
        summary: "Removes members from a sorted set.",
        since: "1.2.0",
        complexity: "O(M*log(N)) for M of N members removed.",
        syntax: "key:key member:string ...",
        ..RANGE
    },
    Command {
        name: "zremrangebyrank",
        full_name: "zremrangebyrank",
        run: zremrangebyrank,
        summary: "Removes the members whose ranks lie in a range.",
        since: "2.0.0",
        syntax: "key:key start:integer stop:integer",
        ..RANGE
    },
    Command {
        name: "zremrangebyscore",
        full_name: "zremrangebyscore",
        run: zremrangebyscore,
        summary: "Removes the members whose scores lie in a range.",
        since: "1.2.0",
        syntax: "key:key min:double max:double",
        ..RANGE
    },
    Command {
        name: "zremrangebylex",
        full_name: "zremrangebylex",
        run: zremrangebylex,
        summary: "Removes the members that lie in a range, in a set whose scores are all equal.",
        since: "2.8.9",
        syntax: "key:key min:string max:string",
        ..RANGE
    },
];

fn zrem(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut removed = 0;
    if let Some(mut zset) = cx.keys.edit::<Zset>(args.at(1))? {
        for member in args.from(2).iter() {
            removed += usize::from(zset.remove(member).is_some());
            if zset.is_empty() {
                break;
            }
        }
        zset.sweep();
    }
    changed(cx, args.at(1), removed);
    cx.out.int(removed as i64);
    Ok(Outcome::Done)
}

fn zremrangebyrank(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let range = Range::Rank(ByRank::parse(args.at(2), args.at(3))?);
    remove_range(cx, args, range)
}

fn zremrangebyscore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let range = Range::Score(ByScore::parse(args.at(2), args.at(3))?);
    remove_range(cx, args, range)
}

fn zremrangebylex(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let range = Range::Lex(ByLex::parse(args.at(2), args.at(3))?);
    remove_range(cx, args, range)
}

fn remove_range(cx: &mut Cx<'_>, args: Args<'_>, range: Range<'_>) -> Done {
    let key = args.at(1);
    let Some(mut zset) = cx.keys.edit::<Zset>(key)? else {
        cx.out.int(0);
        return Ok(Outcome::Done);
    };
    let (from, to) = range.ranks(&zset);
    let removed = to - from;
    if removed < zset.len() {
        zset.remove_range(from, to);
        drop(zset);
    } else {
        // The whole value goes to where large ones are freed.
        drop(zset);
        cx.keys.delete(key);
    }
    changed(cx, key, removed);
    if removed > 0 && matches!(range, Range::Lex(_)) {
        // Where scores differ, what is in a range of members depends on how the set is kept.
        let (mut first, mut last) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (first, last) = (first.format(from), last.format(to - 1));
        cx.keys.effect(key, &[b"ZREMRANGEBYRANK", key, first.as_bytes(), last.as_bytes()]);
    }
    cx.out.int(removed as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn members_and_ranges_in_both_forms() {
        for entries in [0, 128] {
            let mut w = World::new(2);
            w.config.zset_max_listpack_entries = entries;
            w.expect(&[
                ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h", ":8\r\n"),
                ("ZREM z a x a", ":1\r\n"),
                ("ZREM none a", ":0\r\n"),
                ("ZREMRANGEBYRANK z -2 -1", ":2\r\n"),
                ("ZREMRANGEBYRANK z 9 12", ":0\r\n"),
                ("ZREMRANGEBYSCORE z (2 4", ":2\r\n"),
                ("ZREMRANGEBYSCORE z 9 inf", ":0\r\n"),
                ("ZRANGE z 0 -1", "*3\r\n$1\r\nb\r\n$1\r\ne\r\n$1\r\nf\r\n"),
                ("ZREM z f e b b", ":3\r\n"),
                ("EXISTS z", ":0\r\n"),
                ("ZADD l 0 a 0 b 0 c", ":3\r\n"),
                ("ZREMRANGEBYLEX l [b [b", ":1\r\n"),
                ("ZREMRANGEBYLEX l - +", ":2\r\n"),
                ("EXISTS l", ":0\r\n"),
                ("ZREMRANGEBYLEX l - +", ":0\r\n"),
                ("ZREMRANGEBYRANK none a 1", "-ERR value is not an integer or out of range\r\n"),
                ("ZREMRANGEBYSCORE none a 1", "-ERR min or max is not a float\r\n"),
                ("ZREMRANGEBYLEX none a 1", "-ERR min or max not valid string range item\r\n"),
                ("SET s v", "+OK\r\n"),
                ("ZREM s a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
                (
                    "ZREMRANGEBYRANK s 0 -1",
                    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
                ),
            ]);
            assert_eq!(w.hand.iter().map(|s| s.db(0).value_bytes()).sum::<usize>(), 0);
        }
    }
}
