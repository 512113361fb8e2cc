//! Members on their way in: ZADD, ZINCRBY.

use super::ROW;
use super::frame::{changed, limits};
use crate::base::double::parse_double;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome};
use crate::ds::zset::{Limits, Zset};
use crate::resp::{Args, Error};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zadd",
        full_name: "zadd",
        arity: -4,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
        run: zadd,
        summary: "Adds members to a sorted set, or changes their scores.",
        since: "1.2.0",
        complexity: "O(log(N)) for each member, N being the members of the set.",
        syntax: "key:key [condition:(nx=NX | xx=XX)@3.0.2] [comparison:(gt=GT | lt=LT)@6.2.0] [change=CH@3.0.2] \
                 [increment=INCR@3.0.2] score_member:(score:double member:string) ...",
        ..ROW
    },
    Command {
        name: "zincrby",
        full_name: "zincrby",
        arity: 4,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE)],
        run: zincrby,
        summary: "Adds to the score of a member.",
        since: "1.2.0",
        complexity: "O(log(N)), N being the members of the set.",
        syntax: "key:key increment:integer member:string",
        ..ROW
    },
];

/// Which members ZADD touches, and what it replies.
#[derive(Clone, Copy, Default)]
pub struct How {
    /// Only new ones.
    pub nx: bool,
    /// Only old ones.
    pub xx: bool,
    /// Old ones only if the score grows.
    pub gt: bool,
    /// Old ones only if the score shrinks.
    pub lt: bool,
    /// The reply counts changed members too.
    pub ch: bool,
    /// Scores are added to what is there; the reply is the result.
    pub incr: bool,
}

/// What became of a member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Added,
    Updated,
    /// It has that score already.
    Same,
    /// The options forbid it.
    Refused,
}

impl How {
    /// Reads the options from argument 2 on, and says where they end.
    fn parse(args: Args<'_>) -> (How, usize) {
        let mut how = How::default();
        let mut i = 2;
        while i < args.len() {
            match () {
                _ if args.is(i, "nx") => how.nx = true,
                _ if args.is(i, "xx") => how.xx = true,
                _ if args.is(i, "ch") => how.ch = true,
                _ if args.is(i, "incr") => how.incr = true,
                _ if args.is(i, "gt") => how.gt = true,
                _ if args.is(i, "lt") => how.lt = true,
                _ => break,
            }
            i += 1;
        }
        (how, i)
    }

    fn check(self, members: usize) -> Result<(), Error> {
        if self.nx && self.xx {
            return Err(Error::text_of("ERR XX and NX options at the same time are not compatible"));
        }
        if self.nx && (self.gt || self.lt) || self.gt && self.lt {
            let text = "ERR GT, LT, and/or NX options at the same time are not compatible";
            return Err(Error::text_of(text));
        }
        if self.incr && members > 1 {
            return Err(Error::text_of("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// Adds one member or changes its score; gives the score that it has then.
    #[inline]
    fn apply(
        self,
        zset: &mut Zset,
        member: &[u8],
        score: f64,
        limits: Limits,
        seed: u64,
    ) -> Result<(Effect, f64), Error> {
        let Some(old) = zset.score(member) else {
            if self.xx {
                return Ok((Effect::Refused, score));
            }
            zset.insert(member, score, limits, seed);
            return Ok((Effect::Added, score));
        };
        if self.nx {
            return Ok((Effect::Refused, old));
        }
        let score = if self.incr { old + score } else { score };
        if score.is_nan() {
            return Err(Error::text_of("ERR resulting score is not a number (NaN)"));
        }
        if self.lt && score >= old || self.gt && score <= old {
            return Ok((Effect::Refused, old));
        }
        if score == old {
            return Ok((Effect::Same, score));
        }
        zset.rescore(member, old, score);
        Ok((Effect::Updated, score))
    }
}

fn zadd(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (how, from) = How::parse(args);
    add_pairs(cx, args, how, from)
}

/// The options of ZADD are looked for here too, as in Redis, where they leave no pair behind.
fn zincrby(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (how, from) = How::parse(args);
    add_pairs(cx, args, How { incr: true, ..how }, from)
}

/// Adds the members whose scores begin at argument `from`.
fn add_pairs(cx: &mut Cx<'_>, args: Args<'_>, how: How, from: usize) -> Done {
    let pairs = args.from(from);
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    how.check(pairs.len() / 2)?;
    let first = parse_double(pairs.at(0)).ok_or(Error::NotFloat)?;
    if pairs.len() == 2 {
        return add(cx, args.at(1), &[(first, pairs.at(1))], how);
    }
    let mut all = Vec::with_capacity(pairs.len() / 2);
    for i in (0..pairs.len()).step_by(2) {
        all.push((parse_double(pairs.at(i)).ok_or(Error::NotFloat)?, pairs.at(i + 1)));
    }
    add(cx, args.at(1), &all, how)
}

/// What a call has done.
#[derive(Default)]
struct Tally {
    added: usize,
    updated: usize,
    /// The score of the last member that the options let in.
    score: Option<f64>,
}

impl Tally {
    #[inline]
    fn add_all(
        &mut self,
        zset: &mut Zset,
        pairs: &[(f64, &[u8])],
        how: How,
        limits: Limits,
        seed: u64,
    ) -> Result<(), Error> {
        for (wanted, member) in pairs {
            let (effect, now) = how.apply(zset, member, *wanted, limits, seed)?;
            if effect != Effect::Refused {
                self.score = Some(now);
            }
            self.added += usize::from(effect == Effect::Added);
            self.updated += usize::from(effect == Effect::Updated);
        }
        Ok(())
    }
}

/// Adds members (at least one) with their scores, and replies.
pub fn add(cx: &mut Cx<'_>, key: &[u8], pairs: &[(f64, &[u8])], how: How) -> Done {
    let (limits, seed) = (limits(cx), cx.keys.seed());
    let mut tally = Tally::default();
    let done = match how.xx {
        // An absent key stays so under XX; else its first member comes in, whatever the other options.
        true => match cx.keys.edit::<Zset>(key)? {
            Some(mut zset) => {
                zset.expect(pairs.len(), limits, seed);
                tally.add_all(&mut zset, pairs, how, limits, seed)
            }
            None => Ok(()),
        },
        false => {
            let mut zset = cx.keys.edit_or(key, || Zset::new(pairs[0].1.len(), limits, seed))?;
            zset.expect(pairs.len(), limits, seed);
            tally.add_all(&mut zset, pairs, how, limits, seed)
        }
    };
    let Tally { added, updated, score } = tally;
    changed(cx, key, added + updated);
    done?;
    match score {
        Some(score) if how.incr => cx.out.double(score),
        None if how.incr => cx.out.null(),
        _ => cx.out.int((added + if how.ch { updated } else { 0 }) as i64),
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn options() {
        World::new(3).expect(&[
            ("ZADD z XX 1 a", ":0\r\n"),
            ("EXISTS z", ":0\r\n"),
            ("ZADD z 1 a 2 b 3 a", ":2\r\n"),
            ("ZSCORE z a", "$1\r\n3\r\n"),
            ("ZADD z NX 9 a 4 c", ":1\r\n"),
            ("ZADD z XX CH 5 a 4 c 1 d", ":1\r\n"),
            ("ZADD z GT CH 4 a 6 b", ":1\r\n"),
            ("ZADD z LT CH 6 a 5 b 7 e", ":2\r\n"),
            ("ZADD z INCR 2 a", "$1\r\n7\r\n"),
            ("ZADD z INCR NX 2 a", "$-1\r\n"),
            ("ZADD z INCR XX 2 nosuch", "$-1\r\n"),
            ("ZADD z INCR GT -2 a", "$-1\r\n"),
            ("ZADD z incr gt ch 0.5 a", "$3\r\n7.5\r\n"),
            ("ZADD z inf i", ":1\r\n"),
            ("ZADD z INCR -inf i", "-ERR resulting score is not a number (NaN)\r\n"),
            ("ZINCRBY z -inf i", "-ERR resulting score is not a number (NaN)\r\n"),
            ("ZINCRBY z 1 new", "$1\r\n1\r\n"),
            ("ZINCRBY z 0.1 new", "$3\r\n1.1\r\n"),
            ("ZINCRBY z NX new", "-ERR syntax error\r\n"),
            ("ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible\r\n"),
            ("ZADD z GT LT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible\r\n"),
            ("ZADD z GT NX 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible\r\n"),
            ("ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair\r\n"),
            ("ZADD z 1 a 2", "-ERR syntax error\r\n"),
            ("ZADD z NX CH", "-ERR syntax error\r\n"),
            ("ZADD z 1 a x b", "-ERR value is not a valid float\r\n"),
            ("ZADD z nan a", "-ERR value is not a valid float\r\n"),
            ("ZADD z 1", "-ERR wrong number of arguments for 'zadd' command\r\n"),
            ("SET s v", "+OK\r\n"),
            ("ZADD s 1 a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("ZADD s XX 1 a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("ZADD s x a", "-ERR value is not a valid float\r\n"),
            ("ZINCRBY s 1 a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
        ]);
    }

    #[test]
    fn increments_are_doubles_to_resp3() {
        let mut w = World::new(1);
        w.proto(Proto::Resp3);
        assert_eq!(w.run("ZADD z INCR 1.5 a"), ",1.5\r\n");
        assert_eq!(w.run("ZINCRBY z inf a"), ",inf\r\n");
        assert_eq!(w.run("ZADD z NX INCR 1 a"), "_\r\n");
    }

    #[test]
    fn changes_are_counted() {
        let mut w = World::new(1);
        w.run("ZADD z 1 a 2 b 3 a");
        assert_eq!(w.hand.peek(0).dirty, 3);
        w.run("ZADD z 3 a 2 b");
        assert_eq!(w.hand.peek(0).dirty, 3);
        w.run("ZREM z a b c");
        assert_eq!(w.hand.peek(0).dirty, 5);
        assert_eq!(w.hand.peek(0).db(0).value_bytes(), 0);
    }

    #[test]
    fn thresholds_are_live() {
        let mut w = World::new(1);
        w.config.zset_max_listpack_entries = 2;
        w.config.zset_max_listpack_value = 4;
        w.run("ZADD z 1 a 2 b");
        assert_eq!(w.encoding("z"), "listpack");
        w.run("ZADD z 3 c");
        assert_eq!(w.encoding("z"), "skiplist");
        w.run("ZADD y 1 abcd");
        assert_eq!(w.encoding("y"), "listpack");
        w.run("ZADD x 1 abcde");
        assert_eq!(w.encoding("x"), "skiplist");
        w.config.zset_max_listpack_entries = 0;
        w.run("ZADD v 1 a");
        assert_eq!(w.encoding("v"), "skiplist");
    }

    #[test]
    fn pairs_count_before_they_are_found_to_repeat() {
        let mut w = World::new(1);
        w.config.zset_max_listpack_entries = 2;
        w.run("ZADD z 1 a 1 a");
        assert_eq!(w.encoding("z"), "listpack");
        w.run("ZADD z XX 2 a 2 b 2 c");
        assert_eq!(w.encoding("z"), "skiplist");
        w.run("ZADD y 1 a 2 a 3 a");
        assert_eq!(w.encoding("y"), "skiplist");
        w.run("GEOADD g 1 1 a 1 1 a 1 1 a");
        assert_eq!(w.encoding("g"), "skiplist");
    }
}
