//! BZPOPMIN, BZPOPMAX, BZMPOP: as their sisters without the B, but where those find nothing these wait.

use super::ROW;
use super::pop::{End, Shape, Wish, pop};
use crate::cmd::block::{Block, timeout_secs};
use crate::cmd::row::{Begin, Find, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::Args;
use crate::store::Kind;

const KEY: u32 = key::RW | key::ACCESS | key::DELETE;

const BASE: Command = Command {
    arity: -3,
    flags: flag::WRITE | flag::NOSCRIPT | flag::BLOCKING | flag::FAST,
    keys: &[KeySpec::range(1, -2, 1, KEY)],
    plan: Plan::Keys,
    since: "5.0.0",
    complexity: "O(log(N)), N being the members of the sorted set",
    syntax: "key:key ... timeout:double",
    ..ROW
};

/// The keys of BZMPOP, which has its timeout before them.
const COUNTED: KeySpec = KeySpec {
    begin: Begin::Index(2),
    find: Find::Count { num: 0, first: 1, step: 1 },
    flags: KEY,
    notes: "",
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "bzpopmin",
        full_name: "bzpopmin",
        run: bzpopmin,
        summary: "Takes the member with the lowest score of a sorted set, or waits for one.",
        ..BASE
    },
    Command {
        name: "bzpopmax",
        full_name: "bzpopmax",
        run: bzpopmax,
        summary: "Takes the member with the highest score of a sorted set, or waits for one.",
        ..BASE
    },
    Command {
        name: "bzmpop",
        full_name: "bzmpop",
        arity: -5,
        flags: flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
        keys: &[COUNTED],
        run: bzmpop,
        summary: "Takes members from an end of the first sorted set of several that has any, or waits for one that has.",
        since: "7.0.0",
        complexity: "O(K)+O(log(N)+M) for K keys and M of N members taken.",
        syntax: "timeout:double numkeys:integer key:key ... where:(min=MIN | max=MAX) [COUNT count:integer]",
        ..BASE
    },
];

fn wait(keys: impl IntoIterator<Item = usize>, timeout_ms: Option<u64>) -> Done {
    Ok(Outcome::Block(Box::new(Block::on(Kind::Zset, keys, timeout_ms))))
}

fn bzpopmin(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    pop_or_wait(cx, args, End::Min)
}

fn bzpopmax(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    pop_or_wait(cx, args, End::Max)
}

fn pop_or_wait(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Done {
    let last = args.len() - 1;
    let timeout = timeout_secs(args.at(last), cx.env.now)?;
    for at in 1..last {
        if cx.keys.holds(args.at(at)) && pop(cx, args.at(at), end, 1, Shape::Single)? {
            return Ok(Outcome::Done);
        }
    }
    wait(1..last, timeout)
}

fn bzmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let wish = Wish::parse(args.from(2))?;
    let timeout = timeout_secs(args.at(1), cx.env.now)?;
    for name in wish.keys.iter() {
        if cx.keys.holds(name) && pop(cx, name, wish.end, wish.count, Shape::Keyed)? {
            return Ok(Outcome::Done);
        }
    }
    wait(3..3 + wish.keys.len(), timeout)
}

#[cfg(test)]
mod tests {
    use crate::cmd::Outcome;
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn what_is_there_is_taken_at_once() {
        for shards in [1, 4] {
            let mut world = World::new(shards);
            world.expect(&[
                ("ZADD b 1 x 2 y 3 z 4 w", ":4\r\n"),
                ("BZPOPMIN a b 0", "*3\r\n$1\r\nb\r\n$1\r\nx\r\n$1\r\n1\r\n"),
                ("BZPOPMAX b a 0", "*3\r\n$1\r\nb\r\n$1\r\nw\r\n$1\r\n4\r\n"),
                ("BZMPOP 0 2 a b MAX", "*2\r\n$1\r\nb\r\n*1\r\n*2\r\n$1\r\nz\r\n$1\r\n3\r\n"),
            ]);
            world.proto(Proto::Resp3);
            assert_eq!(world.run("BZPOPMIN b 0"), "*3\r\n$1\r\nb\r\n$1\r\ny\r\n,2\r\n");
            assert_eq!(world.run("EXISTS b"), ":0\r\n");
        }
    }

    #[test]
    fn what_is_not_there_is_waited_for() {
        let mut world = World::new(3);
        for (line, keys, timeout_ms) in [
            ("BZPOPMIN a 0", &[1][..], None),
            ("BZPOPMAX a b a 1.5", &[1, 2, 3], Some(1_500)),
            ("BZMPOP 0.1 2 a b MIN COUNT 3", &[3, 4], Some(100)),
        ] {
            assert_eq!(world.run(line), "", "{line}");
            match world.outcome.take() {
                Some(Outcome::Block(block)) => {
                    assert_eq!((&block.keys[..], block.timeout_ms), (keys, timeout_ms), "{line}");
                }
                _ => panic!("{line} does not wait"),
            }
        }
    }

    /// The expected texts are those of redis-server 7.0.15.
    #[test]
    fn mistakes_are_refused() {
        let mut world = World::new(3);
        world.run("SET s v");
        let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        world.expect(&[
            ("BZPOPMIN s 0", wrong_type),
            ("BZPOPMAX a s 0", wrong_type),
            ("BZPOPMIN s x", "-ERR timeout is not a float or out of range\r\n"),
            ("BZPOPMAX a -1", "-ERR timeout is negative\r\n"),
            ("BZPOPMIN a", "-ERR wrong number of arguments for 'bzpopmin' command\r\n"),
            // The timeout is looked at last.
            ("BZMPOP x 1 a MID", "-ERR syntax error\r\n"),
            ("BZMPOP x 1 a MIN", "-ERR timeout is not a float or out of range\r\n"),
            ("BZMPOP 0 0 a MIN", "-ERR numkeys should be greater than 0\r\n"),
            ("BZMPOP 0 1 a MID", "-ERR syntax error\r\n"),
            ("BZMPOP 0 2 a s MIN", wrong_type),
        ]);
    }
}
