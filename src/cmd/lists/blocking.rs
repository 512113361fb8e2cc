//! BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH: as their sisters without the B, but where those find nothing these wait.

use super::element::{end, reply};
use super::pop::{parse_several, take, tell_pop};
use super::shift::shift;
use crate::cmd::block::{Block, timeout_secs};
use crate::cmd::row::{Begin, Deprecated, Find, category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::list::{End, List};
use crate::resp::{Args, Out};
use crate::store::Kind;

const BASE: Command = Command {
    flags: flag::WRITE | flag::NOSCRIPT | flag::BLOCKING,
    categories: category::LIST,
    keys: &[KeySpec::range(1, -2, 1, key::RW | key::ACCESS | key::DELETE)],
    plan: Plan::Keys,
    group: "list",
    ..Command::BASE
};

/// What moves an element.
const SHIFT: Command = Command {
    flags: BASE.flags | flag::DENYOOM,
    keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::DELETE), KeySpec::one(2, key::RW | key::INSERT)],
    ..BASE
};

/// The keys of BLMPOP, which has its timeout before them.
const COUNTED: KeySpec = KeySpec {
    begin: Begin::Index(2),
    find: Find::Count { num: 0, first: 1, step: 1 },
    flags: key::RW | key::ACCESS | key::DELETE,
    notes: "",
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "blpop",
        full_name: "blpop",
        arity: -3,
        run: blpop,
        summary: "Takes the first element of a list, or waits for one.",
        since: "2.0.0",
        complexity: "O(N) with N the number of keys",
        syntax: "key:key ... timeout:double",
        ..BASE
    },
    Command {
        name: "brpop",
        full_name: "brpop",
        arity: -3,
        run: brpop,
        summary: "Takes the last element of a list, or waits for one.",
        since: "2.0.0",
        complexity: "O(N) with N the number of keys",
        syntax: "key:key ... timeout:double",
        ..BASE
    },
    Command {
        name: "blmpop",
        full_name: "blmpop",
        arity: -5,
        flags: flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
        keys: &[COUNTED],
        run: blmpop,
        summary: "Takes elements from the first list of several that has any, or waits for one that has.",
        since: "7.0.0",
        complexity: "O(N+M), N being the number of keys and M the number of elements taken",
        syntax: "timeout:double numkeys:integer key:key ... where:(left=LEFT | right=RIGHT) [COUNT count:integer]",
        ..BASE
    },
    Command {
        name: "blmove",
        full_name: "blmove",
        arity: 6,
        run: blmove,
        summary: "Moves an element from an end of one list to an end of another, or waits for one.",
        since: "6.2.0",
        syntax: "source:key destination:key wherefrom:(left=LEFT | right=RIGHT) whereto:(left=LEFT | right=RIGHT) \
                 timeout:double",
        ..SHIFT
    },
    Command {
        name: "brpoplpush",
        full_name: "brpoplpush",
        arity: 4,
        run: brpoplpush,
        summary: "Moves the last element of one list to the head of another, or waits for one.",
        since: "2.2.0",
        syntax: "source:key destination:key timeout:double",
        deprecated: Some(Deprecated { since: "6.2.0", instead: "`BLMOVE` with `RIGHT` and `LEFT`" }),
        ..SHIFT
    },
];

fn wait(keys: impl IntoIterator<Item = usize>, timeout_ms: Option<u64>) -> Done {
    Ok(Outcome::Block(Box::new(Block::on(Kind::List, keys, timeout_ms))))
}

fn blpop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    pop(cx, args, End::Front)
}

fn brpop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    pop(cx, args, End::Back)
}

fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Done {
    let last = args.len() - 1;
    let timeout = timeout_secs(args.at(last), cx.env.now)?;
    let limits = cx.list_limits();
    for at in 1..last {
        let name = args.at(at);
        if !cx.keys.holds(name) {
            continue;
        }
        let Some(mut list) = cx.keys.edit::<List>(name)? else { continue };
        cx.out.array(2);
        cx.out.bulk(name);
        list.pop(end, |element| reply(cx.out, element));
        list.shrink(limits);
        list.sweep();
        cx.keys.changed(name);
        tell_pop(cx, name, end, None);
        return Ok(Outcome::Done);
    }
    wait(1..last, timeout)
}

fn blmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (names, end, count) = parse_several(args, 2)?;
    let timeout = timeout_secs(args.at(1), cx.env.now)?;
    for name in names.iter() {
        if cx.keys.holds(name) && cx.keys.edit::<List>(name)?.is_some() {
            cx.out.array(2);
            cx.out.bulk(name);
            let taken = take(cx, name, end, count)?;
            tell_pop(cx, name, end, Some(taken));
            return Ok(Outcome::Done);
        }
    }
    wait(3..3 + names.len(), timeout)
}

fn blmove(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (from, to) = (end(args, 3)?, end(args, 4)?);
    shift_or_wait(cx, args, from, to)
}

fn brpoplpush(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    shift_or_wait(cx, args, End::Back, End::Front)
}

fn shift_or_wait(cx: &mut Cx<'_>, args: Args<'_>, from: End, to: End) -> Done {
    let timeout = timeout_secs(args.at(args.len() - 1), cx.env.now)?;
    if let Some(held) = shift(cx, args.at(1), args.at(2), from, to)? {
        reply(cx.out, held.element());
        return Ok(Outcome::Done);
    }
    let nothing: fn(&mut Out) = Out::null;
    // As in Redis: no element at once, but no array when the time is over.
    Ok(Outcome::Block(Box::new(Block { at_once: nothing, ..Block::on(Kind::List, [1], timeout) })))
}

#[cfg(test)]
mod tests {
    use crate::cmd::Outcome;
    use crate::cmd::testing::World;

    /// A request, and the keys (by their place) and milliseconds that it waits for.
    type Case = (&'static str, &'static [usize], Option<u64>);

    #[test]
    fn what_is_there_is_taken_at_once() {
        for shards in [1, 4] {
            World::new(shards).expect(&[
                ("RPUSH b 1 2 3 4 5 6", ":6\r\n"),
                ("BLPOP a b 0", "*2\r\n$1\r\nb\r\n$1\r\n1\r\n"),
                ("BRPOP b a 0", "*2\r\n$1\r\nb\r\n$1\r\n6\r\n"),
                ("BLMPOP 0 2 a b LEFT COUNT 2", "*2\r\n$1\r\nb\r\n*2\r\n$1\r\n2\r\n$1\r\n3\r\n"),
                ("BLMOVE b c LEFT RIGHT 0", "$1\r\n4\r\n"),
                ("BRPOPLPUSH b c 0", "$1\r\n5\r\n"),
                ("EXISTS b", ":0\r\n"),
                ("LRANGE c 0 -1", "*2\r\n$1\r\n5\r\n$1\r\n4\r\n"),
                ("BLMOVE c c LEFT RIGHT 0", "$1\r\n5\r\n"),
                ("LRANGE c 0 -1", "*2\r\n$1\r\n4\r\n$1\r\n5\r\n"),
            ]);
        }
    }

    #[test]
    fn what_is_not_there_is_waited_for() {
        let cases: &[Case] = &[
            ("BLPOP a 0", &[1], None),
            ("BRPOP a b a 1.5", &[1, 2, 3], Some(1_500)),
            ("BLMPOP 0.1 2 a b LEFT", &[3, 4], Some(100)),
            ("BLMOVE a b LEFT LEFT 0", &[1], None),
            ("BRPOPLPUSH a s 2", &[1], Some(2_000)),
        ];
        let mut world = World::new(3);
        world.run("SET s v");
        for (line, keys, timeout_ms) in cases {
            assert_eq!(world.run(line), "", "{line}");
            match world.outcome.take() {
                Some(Outcome::Block(block)) => {
                    assert_eq!((&block.keys[..], block.timeout_ms), (*keys, *timeout_ms), "{line}");
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
        world.run("RPUSH k 1");
        let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        world.expect(&[
            ("BLPOP s 0", wrong_type),
            ("BLPOP a s 0", wrong_type),
            ("BLPOP s x", "-ERR timeout is not a float or out of range\r\n"),
            ("BRPOP a -1", "-ERR timeout is negative\r\n"),
            ("BLPOP a", "-ERR wrong number of arguments for 'blpop' command\r\n"),
            // The timeout is looked at last.
            ("BLMPOP x 1 a UP", "-ERR syntax error\r\n"),
            ("BLMPOP x 1 a LEFT", "-ERR timeout is not a float or out of range\r\n"),
            ("BLMPOP 0 0 a LEFT", "-ERR numkeys should be greater than 0\r\n"),
            ("BLMPOP 0 1 a UP", "-ERR syntax error\r\n"),
            ("BLMPOP 0 2 a s LEFT", wrong_type),
            ("BLMOVE a b LEFT UP x", "-ERR syntax error\r\n"),
            ("BLMOVE a b LEFT LEFT x", "-ERR timeout is not a float or out of range\r\n"),
            ("BLMOVE s b LEFT LEFT 0", wrong_type),
            ("BLMOVE k s LEFT LEFT 0", wrong_type),
            ("BRPOPLPUSH s b -1", "-ERR timeout is negative\r\n"),
            ("LLEN k", ":1\r\n"),
        ]);
    }
}
