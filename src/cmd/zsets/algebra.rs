//! Sets out of several sets: ZUNION, ZINTER, ZDIFF, their STORE forms, ZINTERCARD.
//!
//! The keys may live on different shards and are seen one at a time, so what goes on from one to the next is a copy: of the
//! smallest set for an intersection, of the first for a difference, of the result for a union. As in Redis, scores are combined
//! from the smallest set to the largest, which decides how sums are rounded.

use super::source::Source;
use super::{ROW, result};
use crate::base::double::parse_double;
use crate::base::number::parse_i64;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::listpack::Element;
use crate::ds::zset::Gathered;
use crate::resp::{Args, Error};
use crate::store::Keys;

/// What the rows that reply with the result have in common.
const READ: Command = Command {
    arity: -3,
    flags: flag::READONLY | flag::MOVABLEKEYS | flag::HEAVY,
    keys: &[KeySpec::counted(1, key::RO | key::ACCESS)],
    plan: Plan::Keys,
    ..ROW
};

/// What the rows that store it have in common.
const STORE: Command = Command {
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS | flag::HEAVY,
    keys: &[KeySpec::one(1, key::OW | key::UPDATE), KeySpec::counted(2, key::RO | key::ACCESS)],
    ..READ
};

const UNION_COST: &str = "O(N)+O(M*log(M)) for N members in all and M in the result.";
const INTER_COST: &str = "O(N*K)+O(M*log(M)) for N members in the smallest of K sets and M in the result.";
const DIFF_COST: &str = "O(N*K)+O(M*log(M)) for N members in the first of K sets and M in the result.";

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zunion",
        full_name: "zunion",
        run: zunion,
        summary: "Gives the members of several sets, with their scores combined.",
        since: "6.2.0",
        complexity: UNION_COST,
        syntax: "numkeys:integer key:key ... [WEIGHTS weight:integer ...] \
                 [AGGREGATE aggregate:(sum=SUM | min=MIN | max=MAX)] [withscores=WITHSCORES]",
        ..READ
    },
    Command {
        name: "zunionstore",
        full_name: "zunionstore",
        run: zunionstore,
        summary: "Stores the members of several sets, with their scores combined.",
        since: "2.0.0",
        complexity: UNION_COST,
        syntax: "destination:key numkeys:integer key:key ... [WEIGHTS weight:integer ...] \
                 [AGGREGATE aggregate:(sum=SUM | min=MIN | max=MAX)]",
        ..STORE
    },
    Command {
        name: "zinter",
        full_name: "zinter",
        run: zinter,
        summary: "Gives the members that several sets share, with their scores combined.",
        since: "6.2.0",
        complexity: INTER_COST,
        syntax: "numkeys:integer key:key ... [WEIGHTS weight:integer ...] \
                 [AGGREGATE aggregate:(sum=SUM | min=MIN | max=MAX)] [withscores=WITHSCORES]",
        ..READ
    },
    Command {
        name: "zinterstore",
        full_name: "zinterstore",
        run: zinterstore,
        summary: "Stores the members that several sets share, with their scores combined.",
        since: "2.0.0",
        complexity: INTER_COST,
        syntax: "destination:key numkeys:integer key:key ... [WEIGHTS weight:integer ...] \
                 [AGGREGATE aggregate:(sum=SUM | min=MIN | max=MAX)]",
        ..STORE
    },
    Command {
        name: "zintercard",
        full_name: "zintercard",
        run: zintercard,
        summary: "Counts the members that several sets share.",
        since: "7.0.0",
        complexity: "O(N*K) for N members in the smallest of K sets.",
        syntax: "numkeys:integer key:key ... [LIMIT limit:integer]",
        ..READ
    },
    Command {
        name: "zdiff",
        full_name: "zdiff",
        run: zdiff,
        summary: "Gives the members of the first set that no other set has.",
        since: "6.2.0",
        complexity: DIFF_COST,
        syntax: "numkeys:integer key:key ... [withscores=WITHSCORES]",
        ..READ
    },
    Command {
        name: "zdiffstore",
        full_name: "zdiffstore",
        run: zdiffstore,
        summary: "Stores the members of the first set that no other set has.",
        since: "6.2.0",
        complexity: DIFF_COST,
        syntax: "destination:key numkeys:integer key:key ...",
        ..STORE
    },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

/// How the scores of one member become one.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // The sum of both infinities is 0, as in Redis.
            Aggregate::Sum => not_nan(a + b),
            Aggregate::Min if b < a => b,
            Aggregate::Max if b > a => b,
            Aggregate::Min | Aggregate::Max => a,
        }
    }
}

fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// One of the sets.
#[derive(Clone, Copy)]
struct Input<'a> {
    key: &'a [u8],
    len: usize,
    weight: f64,
}

/// What is done with the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Reply,
    Store,
    Count,
}

struct Query<'a> {
    inputs: Vec<Input<'a>>,
    aggregate: Aggregate,
    with_scores: bool,
    /// The most that ZINTERCARD counts; 0: no limit.
    limit: usize,
}

impl<'a> Query<'a> {
    /// Reads the arguments from the number of keys on. The keys are looked up before what follows them is read, as in Redis.
    fn parse(
        cx: &mut Cx<'_>,
        args: Args<'a>,
        operation: Operation,
        purpose: Use,
    ) -> Result<Query<'a>, Error> {
        let number = parse_i64(args.at(0)).ok_or(Error::NotInteger)?;
        if number < 1 {
            let text = format!("ERR at least 1 input key is needed for '{}' command", cx.row.full_name);
            return Err(Error::text_of(text));
        }
        let number = usize::try_from(number).ok().filter(|n| *n < args.len()).ok_or(Error::Syntax)?;
        let mut inputs = Vec::with_capacity(number);
        for key in args.range(1, number + 1).iter() {
            let len = Source::find(&mut cx.keys, key, true)?.map_or(0, Source::len);
            inputs.push(Input { key, len, weight: 1.0 });
        }
        let mut query = Query { inputs, aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        query.options(args.from(number + 1), operation, purpose)?;
        Ok(query)
    }

    fn options(&mut self, args: Args<'_>, operation: Operation, purpose: Use) -> Result<(), Error> {
        let combines = operation != Operation::Diff && purpose != Use::Count;
        let mut i = 0;
        while i < args.len() {
            let left = args.len() - i;
            if combines && left > self.inputs.len() && args.is(i, "weights") {
                for input in &mut self.inputs {
                    i += 1;
                    input.weight =
                        parse_double(args.at(i)).ok_or(Error::text_of("ERR weight value is not a float"))?;
                }
            } else if combines && left >= 2 && args.is(i, "aggregate") {
                i += 1;
                self.aggregate = match () {
                    _ if args.is(i, "sum") => Aggregate::Sum,
                    _ if args.is(i, "min") => Aggregate::Min,
                    _ if args.is(i, "max") => Aggregate::Max,
                    _ => return Err(Error::Syntax),
                };
            } else if purpose == Use::Reply && args.is(i, "withscores") {
                self.with_scores = true;
            } else if purpose == Use::Count && left >= 2 && args.is(i, "limit") {
                i += 1;
                let limit = parse_i64(args.at(i)).and_then(|n| usize::try_from(n).ok());
                self.limit = limit.ok_or(Error::text_of("ERR LIMIT can't be negative"))?;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(())
    }

    fn run(mut self, keys: &mut Keys<'_>, operation: Operation) -> Result<Gathered, Error> {
        match operation {
            Operation::Union => {
                self.inputs.sort_by_key(|input| input.len);
                self.union(keys)
            }
            Operation::Inter => {
                let mut result = Gathered::new(keys.seed());
                self.inter(keys)?.into_iter().for_each(|(member, score)| result.gather(&member, score));
                Ok(result)
            }
            Operation::Diff => self.diff(keys),
        }
    }

    fn union(&self, keys: &mut Keys<'_>) -> Result<Gathered, Error> {
        let mut result = Gathered::new(keys.seed());
        for input in &self.inputs {
            let Some(source) = Source::find(keys, input.key, false)? else { continue };
            source.each(|member, score| {
                let score = not_nan(input.weight * score);
                member.with(|member| {
                    let old = result.score(member);
                    result.gather(member, old.map_or(score, |old| self.aggregate.of(old, score)));
                });
            });
        }
        Ok(result)
    }

    /// The members that all sets share.
    fn inter(&mut self, keys: &mut Keys<'_>) -> Result<Vec<(Vec<u8>, f64)>, Error> {
        self.inputs.sort_by_key(|input| input.len);
        let first = self.inputs[0];
        let mut members = copy(keys, first.key, |score| not_nan(first.weight * score))?;
        for input in &self.inputs[1..] {
            let source = Source::find(keys, input.key, false)?;
            let Some(source) = source.filter(|_| !members.is_empty()) else { return Ok(Vec::new()) };
            members.retain_mut(|(member, score)| match source.score(member) {
                Some(other) => {
                    *score = self.aggregate.of(*score, other * input.weight);
                    true
                }
                None => false,
            });
        }
        Ok(members)
    }

    /// How many members all sets share, counted as far as the limit.
    fn count_shared(&mut self, keys: &Keys<'_>) -> usize {
        self.inputs.sort_by_key(|input| input.len);
        let sources: Option<Vec<Source<'_>>> =
            self.inputs.iter().map(|input| Source::again(keys, input.key)).collect();
        let Some([smallest, others @ ..]) = sources.as_deref() else { return 0 };
        let mut shared = 0;
        smallest.each_while(|member, _| {
            let is_shared = member.with(|text| others.iter().all(|other| other.score(text).is_some()));
            shared += usize::from(is_shared);
            self.limit == 0 || shared < self.limit
        });
        shared
    }

    fn diff(&self, keys: &mut Keys<'_>) -> Result<Gathered, Error> {
        let mut members = copy(keys, self.inputs[0].key, |score| score)?;
        for input in &self.inputs[1..] {
            if let Some(source) = Source::find(keys, input.key, false)?.filter(|_| !members.is_empty()) {
                members.retain(|(member, _)| source.score(member).is_none());
            }
        }
        let mut result = Gathered::new(keys.seed());
        members.iter().for_each(|(member, score)| result.gather(member, *score));
        Ok(result)
    }
}

/// The members of a set, their scores changed by `f`.
fn copy(keys: &mut Keys<'_>, key: &[u8], f: impl Fn(f64) -> f64) -> Result<Vec<(Vec<u8>, f64)>, Error> {
    let Some(source) = Source::find(keys, key, false)? else { return Ok(Vec::new()) };
    let mut members = Vec::with_capacity(source.len());
    source.each(|member, score| members.push((member.to_vec(), f(score))));
    Ok(members)
}

fn zunion(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply(cx, args, Operation::Union)
}

fn zinter(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply(cx, args, Operation::Inter)
}

fn zdiff(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply(cx, args, Operation::Diff)
}

fn reply(cx: &mut Cx<'_>, args: Args<'_>, operation: Operation) -> Done {
    let query = Query::parse(cx, args.from(1), operation, Use::Reply)?;
    let with_scores = query.with_scores;
    let mut found = query.run(&mut cx.keys, operation)?;
    found.build();
    result::begin(cx.out, found.len(), with_scores);
    found.walk(0, usize::MAX, false, |member, score| {
        result::member(cx.out, Element::Str(member), score, with_scores);
        true
    });
    Ok(Outcome::Done)
}

fn zunionstore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    store(cx, args, Operation::Union)
}

fn zinterstore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    store(cx, args, Operation::Inter)
}

fn zdiffstore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    store(cx, args, Operation::Diff)
}

fn store(cx: &mut Cx<'_>, args: Args<'_>, operation: Operation) -> Done {
    let query = Query::parse(cx, args.from(2), operation, Use::Store)?;
    let found = query.run(&mut cx.keys, operation)?;
    let len = result::store(cx, args.at(1), found);
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

fn zintercard(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut query = Query::parse(cx, args.from(1), Operation::Inter, Use::Count)?;
    cx.out.int(query.count_shared(&cx.keys) as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn results_in_both_forms_over_shards() {
        for (entries, shards) in [(0, 1), (128, 3), (2, 8)] {
            let mut w = World::new(shards);
            w.config.zset_max_listpack_entries = entries;
            w.run("ZADD a 1 x 2 y 3 z");
            w.run("ZADD b 10 y 20 z 30 w 40 v");
            w.expect(&[
                (
                    "ZUNION 2 a b WITHSCORES",
                    "*10\r\n$1\r\nx\r\n$1\r\n1\r\n$1\r\ny\r\n$2\r\n12\r\n$1\r\nz\r\n$2\r\n23\r\n\
                     $1\r\nw\r\n$2\r\n30\r\n$1\r\nv\r\n$2\r\n40\r\n",
                ),
                (
                    "ZINTER 2 a b WITHSCORES WEIGHTS 2 1",
                    "*4\r\n$1\r\ny\r\n$2\r\n14\r\n$1\r\nz\r\n$2\r\n26\r\n",
                ),
                ("ZINTER 2 b a AGGREGATE MAX", "*2\r\n$1\r\ny\r\n$1\r\nz\r\n"),
                ("ZINTER 2 a none", "*0\r\n"),
                ("ZDIFF 2 a b WITHSCORES", "*2\r\n$1\r\nx\r\n$1\r\n1\r\n"),
                ("ZDIFF 3 b none a", "*2\r\n$1\r\nw\r\n$1\r\nv\r\n"),
                ("ZINTERCARD 2 a b", ":2\r\n"),
                ("ZINTERCARD 2 a b LIMIT 1", ":1\r\n"),
                ("ZINTERCARD 2 a b LIMIT 0", ":2\r\n"),
                ("ZUNIONSTORE d 2 a b AGGREGATE MIN", ":5\r\n"),
                ("ZSCORE d y", "$1\r\n2\r\n"),
                ("ZINTERSTORE d 2 a b WEIGHTS 1 -1", ":2\r\n"),
                ("ZRANGE d 0 -1 WITHSCORES", "*4\r\n$1\r\nz\r\n$3\r\n-17\r\n$1\r\ny\r\n$2\r\n-8\r\n"),
                ("ZDIFFSTORE d 2 a a", ":0\r\n"),
                ("EXISTS d", ":0\r\n"),
                ("ZUNIONSTORE a 1 a WEIGHTS 2", ":3\r\n"),
                ("ZSCORE a z", "$1\r\n6\r\n"),
                ("SADD p x y q", ":3\r\n"),
                ("ZINTER 2 p b WITHSCORES WEIGHTS 3 1", "*2\r\n$1\r\ny\r\n$2\r\n13\r\n"),
                ("ZDIFF 2 p a WITHSCORES", "*2\r\n$1\r\nq\r\n$1\r\n1\r\n"),
                ("ZUNIONSTORE p 1 p", ":3\r\n"),
                ("TYPE p", "+zset\r\n"),
                ("ZADD i inf m", ":1\r\n"),
                ("ZADD j -inf m", ":1\r\n"),
                ("ZUNION 2 i j WITHSCORES", "*2\r\n$1\r\nm\r\n$1\r\n0\r\n"),
                ("ZUNION 1 i WEIGHTS 0 WITHSCORES", "*2\r\n$1\r\nm\r\n$1\r\n0\r\n"),
            ]);
            w.proto(Proto::Resp3);
            assert_eq!(w.run("ZUNION 1 j WITHSCORES"), "*1\r\n*2\r\n$1\r\nm\r\n,-inf\r\n");
        }
    }

    #[test]
    fn a_limited_count_looks_no_further() {
        let mut w = World::new(2);
        let pairs: Vec<String> = (0..50_000).map(|i| format!("{i} m{i}")).collect();
        w.run(&format!("ZADD a {}", pairs.join(" ")));
        w.run("ZUNIONSTORE b 1 a");
        assert_eq!(w.run("ZINTERCARD 2 a b"), ":50000\r\n");
        let began = std::time::Instant::now();
        (0..1_000).for_each(|_| assert_eq!(w.run("ZINTERCARD 2 a b LIMIT 2"), ":2\r\n"));
        // A copy of all members each time would be 50 million of them.
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[test]
    fn errors() {
        let mut w = World::new(2);
        w.run("SET s v");
        w.run("ZADD z 1 a");
        let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        w.expect(&[
            ("ZUNION x z", "-ERR value is not an integer or out of range\r\n"),
            ("ZUNION 0 z", "-ERR at least 1 input key is needed for 'zunion' command\r\n"),
            ("ZINTERSTORE d 0 z", "-ERR at least 1 input key is needed for 'zinterstore' command\r\n"),
            ("ZUNION 2 z", "-ERR syntax error\r\n"),
            ("ZUNION 2 z s", wrong_type),
            ("ZUNION 1 s NOSUCH", wrong_type),
            ("ZUNION 1 z NOSUCH", "-ERR syntax error\r\n"),
            ("ZUNION 1 z WEIGHTS", "-ERR syntax error\r\n"),
            ("ZUNION 1 z WEIGHTS x", "-ERR weight value is not a float\r\n"),
            ("ZUNION 1 z AGGREGATE AVG", "-ERR syntax error\r\n"),
            ("ZUNIONSTORE d 1 z WITHSCORES", "-ERR syntax error\r\n"),
            ("ZDIFF 1 z WEIGHTS 1", "-ERR syntax error\r\n"),
            ("ZDIFFSTORE d 1 z WITHSCORES", "-ERR syntax error\r\n"),
            ("ZINTERCARD 1 z LIMIT -1", "-ERR LIMIT can't be negative\r\n"),
            ("ZINTERCARD 1 z LIMIT x", "-ERR LIMIT can't be negative\r\n"),
            ("ZINTERCARD 1 z WITHSCORES", "-ERR syntax error\r\n"),
        ]);
    }
}
