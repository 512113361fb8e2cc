//! LPUSH, RPUSH, and LPUSHX, RPUSHX, which add to lists that are there only.

use super::element::note_changes;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::list::{End, List};
use crate::ds::listpack::Element;
use crate::resp::Args;

const PUSH: Command = Command {
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    categories: category::LIST,
    keys: &[KeySpec::one(1, key::RW | key::INSERT)],
    plan: Plan::Owner,
    group: "list",
    complexity: "O(1) for each element",
    syntax: "key:key element:string ...",
    ..Command::BASE
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "lpush",
        full_name: "lpush",
        run: lpush,
        summary: "Adds elements at the head of a list, one after the other; makes the list if there is none.",
        ..PUSH
    },
    Command {
        name: "lpushx",
        full_name: "lpushx",
        run: lpushx,
        summary: "Adds elements at the head of a list, if there is one.",
        since: "2.2.0",
        ..PUSH
    },
    Command {
        name: "rpush",
        full_name: "rpush",
        run: rpush,
        summary: "Adds elements at the tail of a list, one after the other; makes the list if there is none.",
        ..PUSH
    },
    Command {
        name: "rpushx",
        full_name: "rpushx",
        run: rpushx,
        summary: "Adds elements at the tail of a list, if there is one.",
        since: "2.2.0",
        ..PUSH
    },
];

fn lpush(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    push(cx, args, End::Front, true)
}

fn lpushx(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    push(cx, args, End::Front, false)
}

fn rpush(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    push(cx, args, End::Back, true)
}

fn rpushx(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    push(cx, args, End::Back, false)
}

#[inline]
fn push(cx: &mut Cx<'_>, args: Args<'_>, end: End, make: bool) -> Done {
    let (name, texts, limits) = (args.at(1), args.from(2), cx.list_limits());
    let mut list = if make {
        cx.keys.edit_or(name, List::new)?
    } else if let Some(list) = cx.keys.edit::<List>(name)? {
        list
    } else {
        cx.out.int(0);
        return Ok(Outcome::Done);
    };
    let bytes = texts.iter().map(<[u8]>::len).sum();
    list.make_room(bytes, texts.len(), limits);
    match texts.len() {
        1 => list.push(end, Element::of(texts.at(0))),
        _ => list.push_all(end, texts.iter().map(Element::of)),
    }
    let len = list.len();
    drop(list);
    match texts.len() {
        1 => cx.keys.changed(name),
        many => note_changes(&mut cx.keys, name, many),
    }
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn elements_are_added_one_after_the_other() {
        World::new(2).expect(&[
            ("RPUSH k a b c", ":3\r\n"),
            ("LPUSH k d e", ":5\r\n"),
            ("LRANGE k 0 -1", "*5\r\n$1\r\ne\r\n$1\r\nd\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"),
            ("LPUSHX nosuch a b", ":0\r\n"),
            ("RPUSHX nosuch a", ":0\r\n"),
            ("EXISTS nosuch", ":0\r\n"),
            ("RPUSHX k 12 \"\"", ":7\r\n"),
            ("LPUSHX k x", ":8\r\n"),
            ("LRANGE k -2 -1", "*2\r\n$2\r\n12\r\n$0\r\n\r\n"),
            ("SET s v", "+OK\r\n"),
            ("RPUSH s a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("LPUSHX s a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("RPUSH k", "-ERR wrong number of arguments for 'rpush' command\r\n"),
            ("TYPE k", "+list\r\n"),
            ("OBJECT ENCODING k", "$8\r\nlistpack\r\n"),
        ]);
    }

    #[test]
    fn weights_are_kept() {
        let mut world = World::new(1);
        let weight = |world: &World| world.hand.peek(0).db(0).value_bytes();
        let empty = weight(&world);
        for i in 0..3_000 {
            world.run(&format!("RPUSH k element:{i}"));
        }
        assert_eq!(world.encoding("k"), "quicklist");
        assert!(weight(&world) > 3_000 * 12);
        world.run("COPY k twin");
        world.run("LTRIM twin 1000 1100");
        world.run("DEL k");
        assert!(weight(&world) < 10_000);
        world.run("DEL twin");
        assert_eq!(weight(&world), empty);
    }
}
