//! Members in order: ZRANGE, what it has replaced, and ZRANGESTORE.

use super::bounds::{ByLex, ByRank, ByScore, Range};
use super::frame::limits;
use super::{ROW, result};
use crate::base::number::parse_i64;
use crate::cmd::row::{Deprecated, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::zset::{Gathered, Zset};
use crate::resp::{Args, Error};

/// What the rows that only read have in common.
const READ: Command =
    Command { arity: -4, flags: flag::READONLY, complexity: "O(log(N)+M) for M of N members given.", ..ROW };

const fn instead(instead: &'static str) -> Option<Deprecated> {
    Some(Deprecated { since: "6.2.0", instead })
}

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zrange",
        full_name: "zrange",
        run: zrange,
        summary: "Gives the members whose ranks, scores or names lie in a range.",
        since: "1.2.0",
        syntax: "key:key start:string stop:string [sortby:(byscore=BYSCORE | bylex=BYLEX)@6.2.0] [rev=REV@6.2.0] \
                 [LIMIT offset_count:(offset:integer count:integer)@6.2.0] [withscores=WITHSCORES]",
        ..READ
    },
    Command {
        name: "zrangestore",
        full_name: "zrangestore",
        arity: -5,
        flags: flag::WRITE | flag::DENYOOM | flag::HEAVY,
        keys: &[KeySpec::one(1, key::OW | key::UPDATE), KeySpec::one(2, key::RO | key::ACCESS)],
        plan: Plan::Keys,
        run: zrangestore,
        summary: "Stores the members whose ranks, scores or names lie in a range under another key.",
        since: "6.2.0",
        syntax: "dst:key src:key min:string max:string [sortby:(byscore=BYSCORE | bylex=BYLEX)] [rev=REV] \
                 [LIMIT offset_count:(offset:integer count:integer)]",
        ..READ
    },
    Command {
        name: "zrevrange",
        full_name: "zrevrange",
        run: zrevrange,
        summary: "Gives the members whose ranks lie in a range, the highest score first.",
        since: "1.2.0",
        syntax: "key:key start:integer stop:integer [withscores=WITHSCORES]",
        deprecated: instead("`ZRANGE` with the `REV` argument"),
        ..READ
    },
    Command {
        name: "zrangebyscore",
        full_name: "zrangebyscore",
        run: zrangebyscore,
        summary: "Gives the members whose scores lie in a range.",
        since: "1.0.5",
        syntax: "key:key min:double max:double [withscores=WITHSCORES@2.0.0] \
                 [LIMIT offset_count:(offset:integer count:integer)]",
        deprecated: instead("`ZRANGE` with the `BYSCORE` argument"),
        ..READ
    },
    Command {
        name: "zrevrangebyscore",
        full_name: "zrevrangebyscore",
        run: zrevrangebyscore,
        summary: "Gives the members whose scores lie in a range, the highest first.",
        since: "2.2.0",
        syntax: "key:key max:double min:double [withscores=WITHSCORES] \
                 [LIMIT offset_count:(offset:integer count:integer)]",
        deprecated: instead("`ZRANGE` with the `REV` and `BYSCORE` arguments"),
        ..READ
    },
    Command {
        name: "zrangebylex",
        full_name: "zrangebylex",
        run: zrangebylex,
        summary: "Gives the members that lie in a range, in a set whose scores are all equal.",
        since: "2.8.9",
        syntax: "key:key min:string max:string [LIMIT offset_count:(offset:integer count:integer)]",
        deprecated: instead("`ZRANGE` with the `BYLEX` argument"),
        ..READ
    },
    Command {
        name: "zrevrangebylex",
        full_name: "zrevrangebylex",
        run: zrevrangebylex,
        summary: "Gives the members that lie in a range, the last first, in a set whose scores are all equal.",
        since: "2.8.9",
        syntax: "key:key max:string min:string [LIMIT offset_count:(offset:integer count:integer)]",
        deprecated: instead("`ZRANGE` with the `REV` and `BYLEX` arguments"),
        ..READ
    },
];

/// What a range is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What a command's name says already. None: its options may say it.
#[derive(Clone, Copy, Default)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    /// It is ZRANGESTORE, which has no use for scores.
    store: bool,
}

/// A range as it was asked for.
struct Query<'a> {
    range: Range<'a>,
    reverse: bool,
    offset: i64,
    /// Negative: no limit.
    limit: i64,
    with_scores: bool,
}

impl<'a> Query<'a> {
    /// Reads the arguments that follow the key: two ends, then options.
    fn parse(args: Args<'a>, form: Form) -> Result<Query<'a>, Error> {
        let (mut by, mut reverse) = (form.by, form.reverse);
        let (mut offset, mut limit, mut with_scores) = (0, -1, false);
        let mut i = 2;
        while i < args.len() {
            let number = |at: usize| parse_i64(args.at(at)).ok_or(Error::NotInteger);
            if !form.store && args.is(i, "withscores") {
                with_scores = true;
            } else if args.is(i, "limit") && i + 2 < args.len() {
                (offset, limit) = (number(i + 1)?, number(i + 2)?);
                i += 2;
            } else if reverse.is_none() && args.is(i, "rev") {
                reverse = Some(true);
            } else if by.is_none() && args.is(i, "bylex") {
                by = Some(By::Lex);
            } else if by.is_none() && args.is(i, "byscore") {
                by = Some(By::Score);
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(Error::text_of(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(Error::text_of(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (start, stop) = (args.at(0), args.at(1));
        let (min, max) = if reverse { (stop, start) } else { (start, stop) };
        let range = match by {
            By::Rank => Range::Rank(ByRank::parse(start, stop)?),
            By::Score => Range::Score(ByScore::parse(min, max)?),
            By::Lex => Range::Lex(ByLex::parse(min, max)?),
        };
        Ok(Query { range, reverse, offset, limit, with_scores })
    }

    /// The first rank, counted in the direction of the walk, and how many members.
    fn window(&self, zset: &Zset) -> (usize, usize) {
        let (from, to) = self.range.ranks(zset);
        if let Range::Rank(_) = self.range {
            return (from, to - from);
        }
        let first = if self.reverse { zset.len() - to } else { from };
        let Some(left) = usize::try_from(self.offset).ok().and_then(|skip| (to - from).checked_sub(skip))
        else {
            return (0, 0);
        };
        (first + (to - from - left), left.min(usize::try_from(self.limit).unwrap_or(usize::MAX)))
    }
}

const BY_SCORE: Form = Form { by: Some(By::Score), reverse: Some(false), store: false };
const BY_LEX: Form = Form { by: Some(By::Lex), reverse: Some(false), store: false };

fn zrange(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply(cx, args, Form::default())
}

fn zrevrange(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply(cx, args, Form { by: Some(By::Rank), reverse: Some(true), store: false })
}

fn zrangebyscore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply(cx, args, BY_SCORE)
}

fn zrevrangebyscore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply(cx, args, Form { reverse: Some(true), ..BY_SCORE })
}

fn zrangebylex(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply(cx, args, BY_LEX)
}

fn zrevrangebylex(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply(cx, args, Form { reverse: Some(true), ..BY_LEX })
}

fn reply(cx: &mut Cx<'_>, args: Args<'_>, form: Form) -> Done {
    let query = Query::parse(args.from(2), form)?;
    let Some(zset) = cx.keys.look::<Zset>(args.at(1))? else {
        cx.out.array(0);
        return Ok(Outcome::Done);
    };
    let (from, count) = query.window(zset);
    let (out, with_scores) = (&mut *cx.out, query.with_scores);
    result::begin(out, count, with_scores);
    zset.walk(from, count, query.reverse, |member, score| {
        result::member(out, member, score, with_scores);
        true
    });
    Ok(Outcome::Done)
}

fn zrangestore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let query = Query::parse(args.from(3), Form { store: true, ..Form::default() })?;
    let limits = limits(cx);
    let mut gathered = Gathered::new(cx.keys.seed());
    let mut ranks = None;
    if let Some(zset) = cx.keys.look::<Zset>(args.at(2))? {
        let (from, count) = query.window(zset);
        ranks = Some((if query.reverse { zset.len() - from - count } else { from }, count));
        // Redis begins with a listpack unless it knows better, and -0 becomes 0 in what has been in one.
        let mut packed = !matches!(query.range, Range::Rank(_)) || count <= limits.entries;
        zset.walk(from, count, query.reverse, |member, score| {
            member.with(|member| {
                packed &= gathered.len() < limits.entries && member.len() <= limits.value;
                gathered.gather(member, if packed { score + 0.0 } else { score });
            });
            true
        });
    }
    let len = result::store(cx, args.at(1), gathered);
    if let (Range::Lex(_), Some((from, count))) = (&query.range, ranks)
        && cx.keys.store_of(args.at(1)).owes_effects()
    {
        tell_ranks(cx, args, from, count);
    }
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

/// Says for the log what was stored by ranks: where scores differ, what is in a range of members depends on how the set is kept.
fn tell_ranks(cx: &mut Cx<'_>, args: Args<'_>, from: usize, count: usize) {
    let (target, source) = (args.at(1), args.at(2));
    if count == 0 {
        cx.keys.effect(target, &[b"DEL", target]);
    } else if cx.keys.share_store(target, source) {
        let (mut first, mut last) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (first, last) = (first.format(from), last.format(from + count - 1));
        cx.keys.effect(target, &[b"ZRANGESTORE", target, source, first.as_bytes(), last.as_bytes()]);
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    fn members(names: &str) -> String {
        let names: Vec<&str> = names.split_whitespace().collect();
        let all: String = names.iter().map(|name| format!("${}\r\n{name}\r\n", name.len())).collect();
        format!("*{}\r\n{all}", names.len())
    }

    #[test]
    fn ranges_in_both_forms() {
        for entries in [0, 128] {
            let mut w = World::new(3);
            w.config.zset_max_listpack_entries = entries;
            w.run("ZADD z 1 a 2 b 3 c 4 d 5 e");
            w.run("ZADD l 0 a 0 b 0 c 0 d 0 e");
            for (line, found) in [
                ("ZRANGE z 0 -1", "a b c d e"),
                ("ZRANGE z 1 2 REV", "d c"),
                ("ZRANGE z -2 -1 WITHSCORES", "d 4 e 5"),
                ("ZREVRANGE z 0 1 WITHSCORES", "e 5 d 4"),
                ("ZRANGE z 3 1", ""),
                ("ZRANGE z 0 1 LIMIT 5 -1", "a b"),
                ("ZRANGE z (1 3 BYSCORE", "b c"),
                ("ZRANGE z 3 (1 BYSCORE REV", "c b"),
                ("ZRANGE z -inf +inf BYSCORE LIMIT 1 2", "b c"),
                ("ZRANGE z +inf -inf BYSCORE REV LIMIT 1 2 WITHSCORES", "d 4 c 3"),
                ("ZRANGEBYSCORE z 2 4 LIMIT 1 -5", "c d"),
                ("ZRANGEBYSCORE z 2 4 LIMIT -1 5", ""),
                ("ZRANGEBYSCORE z 2 4 LIMIT 3 5", ""),
                ("ZRANGEBYSCORE z 2 4 LIMIT 1 0", ""),
                ("ZREVRANGEBYSCORE z 4 2 LIMIT 1 1", "c"),
                ("ZRANGE l [b (d BYLEX", "b c"),
                ("ZRANGE l + - BYLEX REV LIMIT 1 2", "d c"),
                ("ZRANGEBYLEX l - [c", "a b c"),
                ("ZREVRANGEBYLEX l + (c", "e d"),
                ("ZRANGE none 0 -1", ""),
            ] {
                assert_eq!(w.run(line), members(found), "{line}");
            }
            w.proto(Proto::Resp3);
            assert_eq!(w.run("ZRANGE z 0 0 WITHSCORES"), "*1\r\n*2\r\n$1\r\na\r\n,1\r\n");
        }
    }

    #[test]
    fn ranges_are_stored() {
        let mut w = World::new(3);
        w.config.zset_max_listpack_entries = 3;
        w.expect(&[
            ("ZADD z 1 a 2 b 3 c 4 d 5 e", ":5\r\n"),
            ("ZRANGESTORE dst z 1 3", ":3\r\n"),
            ("OBJECT ENCODING dst", "$8\r\nlistpack\r\n"),
            ("ZRANGE dst 0 -1", "*3\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n"),
            ("ZRANGESTORE dst z 0 -1 REV", ":5\r\n"),
            ("OBJECT ENCODING dst", "$8\r\nskiplist\r\n"),
            ("ZRANGESTORE z z 5 2 BYSCORE REV LIMIT 0 2", ":2\r\n"),
            ("ZRANGE z 0 -1", "*2\r\n$1\r\nd\r\n$1\r\ne\r\n"),
            ("ZRANGESTORE dst none 0 -1", ":0\r\n"),
            ("EXISTS dst", ":0\r\n"),
            ("ZRANGESTORE dst z 0 -1 WITHSCORES", "-ERR syntax error\r\n"),
            ("SET s v", "+OK\r\n"),
            ("ZRANGESTORE s z 0 -1", ":2\r\n"),
            ("TYPE s", "+zset\r\n"),
        ]);
    }

    #[test]
    fn errors() {
        let mut w = World::new(1);
        w.run("SET s v");
        let limit =
            "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX\r\n";
        w.expect(&[
            ("ZRANGE z 0 -1 LIMIT 0 1", limit),
            ("ZRANGE z 0 -1 LIMIT 0", "-ERR syntax error\r\n"),
            (
                "ZRANGE z - + BYLEX WITHSCORES",
                "-ERR syntax error, WITHSCORES not supported in combination with BYLEX\r\n",
            ),
            ("ZRANGE z a 1", "-ERR value is not an integer or out of range\r\n"),
            ("ZRANGE z a 1 BYSCORE", "-ERR min or max is not a float\r\n"),
            ("ZRANGE z 1 (2 BYLEX", "-ERR min or max not valid string range item\r\n"),
            ("ZRANGEBYSCORE z 1 2 LIMIT a 1", "-ERR value is not an integer or out of range\r\n"),
            ("ZRANGEBYSCORE z 1 2 REV", "-ERR syntax error\r\n"),
            ("ZRANGE z 1 2 REV REV", "-ERR syntax error\r\n"),
            ("ZRANGE z 1 2 BYLEX BYSCORE", "-ERR syntax error\r\n"),
            ("ZREVRANGE z 1 2 BYLEX", "-ERR syntax error\r\n"),
            ("ZRANGE s 0 -1", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("ZRANGE s x -1", "-ERR value is not an integer or out of range\r\n"),
        ]);
    }
}
