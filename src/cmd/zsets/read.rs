//! What sorted sets say of their members: ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK, ZCOUNT, ZLEXCOUNT.

use super::ROW;
use super::bounds::{ByLex, ByScore, Range};
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome};
use crate::ds::zset::Zset;
use crate::resp::{Args, Error};

/// What these rows have in common.
const FAST: Command = Command { flags: flag::READONLY | flag::FAST, ..ROW };

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zcard",
        full_name: "zcard",
        arity: 2,
        keys: &[KeySpec::one(1, key::RO)],
        run: zcard,
        summary: "Counts the members of a sorted set.",
        since: "1.2.0",
        syntax: "key:key",
        ..FAST
    },
    Command {
        name: "zscore",
        full_name: "zscore",
        arity: 3,
        run: zscore,
        summary: "Gives the score of a member.",
        since: "1.2.0",
        syntax: "key:key member:string",
        ..FAST
    },
    Command {
        name: "zmscore",
        full_name: "zmscore",
        arity: -3,
        run: zmscore,
        summary: "Gives the scores of several members.",
        since: "6.2.0",
        complexity: "O(N), N being the members asked for.",
        syntax: "key:key member:string ...",
        ..FAST
    },
    Command {
        name: "zrank",
        full_name: "zrank",
        arity: -3,
        run: zrank,
        summary: "Gives the rank of a member, the lowest score having rank 0.",
        since: "2.0.0",
        complexity: "O(log(N)), N being the members of the set.",
        syntax: "key:key member:string [withscore=WITHSCORE@7.2.0]",
        ..FAST
    },
    Command {
        name: "zrevrank",
        full_name: "zrevrank",
        arity: -3,
        run: zrevrank,
        summary: "Gives the rank of a member, the highest score having rank 0.",
        since: "2.0.0",
        complexity: "O(log(N)), N being the members of the set.",
        syntax: "key:key member:string [withscore=WITHSCORE@7.2.0]",
        ..FAST
    },
    Command {
        name: "zcount",
        full_name: "zcount",
        arity: 4,
        run: zcount,
        summary: "Counts the members whose scores lie in a range.",
        since: "2.0.0",
        complexity: "O(log(N)), N being the members of the set.",
        syntax: "key:key min:double max:double",
        ..FAST
    },
    Command {
        name: "zlexcount",
        full_name: "zlexcount",
        arity: 4,
        run: zlexcount,
        summary: "Counts the members that lie in a range, in a set whose scores are all equal.",
        since: "2.8.9",
        complexity: "O(log(N)), N being the members of the set.",
        syntax: "key:key min:string max:string",
        ..FAST
    },
];

fn zcard(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let len = cx.keys.look::<Zset>(args.at(1))?.map_or(0, Zset::len);
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

fn zscore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    match cx.keys.look::<Zset>(args.at(1))?.and_then(|zset| zset.score(args.at(2))) {
        Some(score) => cx.out.double(score),
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

fn zmscore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let zset = cx.keys.look::<Zset>(args.at(1))?;
    cx.out.array(args.len() - 2);
    for member in args.from(2).iter() {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => cx.out.double(score),
            None => cx.out.null(),
        }
    }
    Ok(Outcome::Done)
}

fn zrank(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    rank(cx, args, false)
}

fn zrevrank(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    rank(cx, args, true)
}

fn rank(cx: &mut Cx<'_>, args: Args<'_>, reverse: bool) -> Done {
    let with_score = match args.len() {
        3 => false,
        4 if args.is(3, "withscore") => true,
        4 => return Err(Error::Syntax),
        _ => return Err(Error::Arity(cx.row.full_name)),
    };
    let zset = cx.keys.look::<Zset>(args.at(1))?;
    let Some((len, (rank, score))) = zset.and_then(|zset| Some((zset.len(), zset.rank(args.at(2))?))) else {
        if with_score {
            cx.out.null_array();
        } else {
            cx.out.null();
        }
        return Ok(Outcome::Done);
    };
    let rank = if reverse { len - 1 - rank } else { rank };
    if with_score {
        cx.out.array(2);
    }
    cx.out.int(rank as i64);
    if with_score {
        cx.out.double(score);
    }
    Ok(Outcome::Done)
}

fn zcount(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let range = Range::Score(ByScore::parse(args.at(2), args.at(3))?);
    count(cx, args, range)
}

fn zlexcount(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let range = Range::Lex(ByLex::parse(args.at(2), args.at(3))?);
    count(cx, args, range)
}

fn count(cx: &mut Cx<'_>, args: Args<'_>, range: Range<'_>) -> Done {
    let (from, to) = cx.keys.look::<Zset>(args.at(1))?.map_or((0, 0), |zset| range.ranks(zset));
    cx.out.int((to - from) as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn scores_ranks_and_counts_in_both_forms() {
        for entries in [0, 128] {
            let mut w = World::new(2);
            w.config.zset_max_listpack_entries = entries;
            w.expect(&[
                ("ZADD z 1 a 2 b 2 c 3.5 d inf e -inf f", ":6\r\n"),
                ("ZCARD z", ":6\r\n"),
                ("ZCARD none", ":0\r\n"),
                ("ZSCORE z d", "$3\r\n3.5\r\n"),
                ("ZSCORE z e", "$3\r\ninf\r\n"),
                ("ZSCORE z x", "$-1\r\n"),
                ("ZSCORE none x", "$-1\r\n"),
                ("ZMSCORE z a x f", "*3\r\n$1\r\n1\r\n$-1\r\n$4\r\n-inf\r\n"),
                ("ZMSCORE none a", "*1\r\n$-1\r\n"),
                ("ZRANK z f", ":0\r\n"),
                ("ZRANK z c", ":3\r\n"),
                ("ZREVRANK z c", ":2\r\n"),
                ("ZREVRANK z e", ":0\r\n"),
                ("ZRANK z x", "$-1\r\n"),
                ("ZRANK z d WITHSCORE", "*2\r\n:4\r\n$3\r\n3.5\r\n"),
                ("ZREVRANK z d withscore", "*2\r\n:1\r\n$3\r\n3.5\r\n"),
                ("ZRANK z x WITHSCORE", "*-1\r\n"),
                ("ZRANK none x WITHSCORE", "*-1\r\n"),
                ("ZRANK z d WITHSCORES", "-ERR syntax error\r\n"),
                ("ZRANK z d WITHSCORE x", "-ERR wrong number of arguments for 'zrank' command\r\n"),
                ("ZREVRANK z d WITHSCORE x", "-ERR wrong number of arguments for 'zrevrank' command\r\n"),
                ("ZCOUNT z -inf +inf", ":6\r\n"),
                ("ZCOUNT z (-inf (inf", ":4\r\n"),
                ("ZCOUNT z 2 2", ":2\r\n"),
                ("ZCOUNT z (2 2", ":0\r\n"),
                ("ZCOUNT z (1 (3.5", ":2\r\n"),
                ("ZCOUNT z 3 2", ":0\r\n"),
                ("ZCOUNT z x 2", "-ERR min or max is not a float\r\n"),
                ("ZCOUNT none x 2", "-ERR min or max is not a float\r\n"),
                ("ZADD l 0 a 0 b 0 c 0 d", ":4\r\n"),
                ("ZLEXCOUNT l - +", ":4\r\n"),
                ("ZLEXCOUNT l + -", ":0\r\n"),
                ("ZLEXCOUNT l [b (d", ":2\r\n"),
                ("ZLEXCOUNT l (b [d", ":2\r\n"),
                ("ZLEXCOUNT l (d [b", ":0\r\n"),
                ("ZLEXCOUNT l b c", "-ERR min or max not valid string range item\r\n"),
                ("ZLEXCOUNT l -x +", "-ERR min or max not valid string range item\r\n"),
                ("SET s v", "+OK\r\n"),
                ("ZCARD s", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
                ("ZRANK s a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
                ("ZRANK s a x", "-ERR syntax error\r\n"),
            ]);
            w.proto(Proto::Resp3);
            assert_eq!(w.run("ZSCORE z d"), ",3.5\r\n");
            assert_eq!(w.run("ZMSCORE z e x"), "*2\r\n,inf\r\n_\r\n");
            assert_eq!(w.run("ZRANK z x WITHSCORE"), "_\r\n");
        }
    }
}
