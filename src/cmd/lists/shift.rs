//! LMOVE and RPOPLPUSH: an element from an end of one list to an end of another, or of the same.

use super::element::{Held, end, note_changes, reply};
use crate::cmd::row::{Deprecated, category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::list::{End, List};
use crate::resp::{Args, Error};

const SHIFT: Command = Command {
    flags: flag::WRITE | flag::DENYOOM,
    categories: category::LIST,
    keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::DELETE), KeySpec::one(2, key::RW | key::INSERT)],
    plan: Plan::Keys,
    group: "list",
    ..Command::BASE
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "lmove",
        full_name: "lmove",
        arity: 5,
        run: lmove,
        summary: "Moves an element from an end of one list to an end of another.",
        since: "6.2.0",
        syntax: "source:key destination:key wherefrom:(left=LEFT | right=RIGHT) whereto:(left=LEFT | right=RIGHT)",
        ..SHIFT
    },
    Command {
        name: "rpoplpush",
        full_name: "rpoplpush",
        arity: 3,
        run: rpoplpush,
        summary: "Moves the last element of one list to the head of another.",
        since: "1.2.0",
        syntax: "source:key destination:key",
        deprecated: Some(Deprecated { since: "6.2.0", instead: "`LMOVE` with `RIGHT` and `LEFT`" }),
        ..SHIFT
    },
];

fn lmove(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (from, to) = (end(args, 3)?, end(args, 4)?);
    match shift(cx, args.at(1), args.at(2), from, to)? {
        Some(held) => reply(cx.out, held.element()),
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

fn rpoplpush(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    match shift(cx, args.at(1), args.at(2), End::Back, End::Front)? {
        Some(held) => reply(cx.out, held.element()),
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

/// Moves an element; what was moved, or none when there is no source.
pub(super) fn shift(
    cx: &mut Cx<'_>,
    source: &[u8],
    destination: &[u8],
    from: End,
    to: End,
) -> Result<Option<Held>, Error> {
    let limits = cx.list_limits();
    // The keys may live on different shards, and one is lent at a time. A source that is absent hides what the destination is.
    let fits = cx.keys.edit::<List>(destination).map(|_| ());
    let Some(mut list) = cx.keys.edit::<List>(source)? else { return Ok(None) };
    fits?;
    let Some(held) = list.pop(from, Held::of) else { return Ok(None) };
    if source == destination {
        list.make_room(held.weight(), 1, limits);
        list.push(to, held.element());
        list.shrink(limits);
        drop(list);
    } else {
        list.shrink(limits);
        list.sweep();
        let mut other = cx.keys.edit_or(destination, List::new)?;
        other.make_room(held.weight(), 1, limits);
        other.push(to, held.element());
        drop(other);
        // One change in all.
        note_changes(&mut cx.keys, source, 0);
    }
    cx.keys.changed(destination);
    tell(cx, source, destination, (from, to), &held);
    Ok(Some(held))
}

/// Says for the log what was moved: each side its part, if they are of two stores. A command that does not wait is logged as it came
/// if they are of one.
fn tell(cx: &mut Cx<'_>, source: &[u8], destination: &[u8], (from, to): (End, End), held: &Held) {
    let side = |end: End, front: &'static str, back: &'static str| {
        if end == End::Front { front.as_bytes() } else { back.as_bytes() }
    };
    if !cx.keys.share_store(source, destination) {
        cx.keys.effect(source, &[side(from, "LPOP", "RPOP"), source]);
        let push = side(to, "LPUSH", "RPUSH");
        held.element().with(|element| cx.keys.effect(destination, &[push, destination, element]));
    } else if cx.row.name == "brpoplpush" {
        cx.keys.effect(source, &[b"RPOPLPUSH", source, destination]);
    } else if cx.row.is(flag::BLOCKING) {
        let (from, to) = (side(from, "LEFT", "RIGHT"), side(to, "LEFT", "RIGHT"));
        cx.keys.effect(source, &[b"LMOVE", source, destination, from, to]);
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn elements_go_from_list_to_list() {
        for shards in [1, 4] {
            World::new(shards).expect(&[
                ("RPUSH a 1 2 3", ":3\r\n"),
                ("LMOVE a b LEFT RIGHT", "$1\r\n1\r\n"),
                ("LMOVE a b right left", "$1\r\n3\r\n"),
                ("LRANGE b 0 -1", "*2\r\n$1\r\n3\r\n$1\r\n1\r\n"),
                ("RPOPLPUSH a b", "$1\r\n2\r\n"),
                ("EXISTS a", ":0\r\n"),
                ("LRANGE b 0 -1", "*3\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n1\r\n"),
                ("RPOPLPUSH b b", "$1\r\n1\r\n"),
                ("LMOVE b b LEFT LEFT", "$1\r\n1\r\n"),
                ("LRANGE b 0 -1", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"),
                ("RPUSH one x", ":1\r\n"),
                ("RPOPLPUSH one one", "$1\r\nx\r\n"),
                ("LLEN one", ":1\r\n"),
                ("SET s v", "+OK\r\n"),
                ("LMOVE nosuch s LEFT LEFT", "$-1\r\n"),
                (
                    "LMOVE b s LEFT LEFT",
                    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
                ),
                (
                    "LMOVE s b LEFT LEFT",
                    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
                ),
                ("LLEN b", ":3\r\n"),
                ("LMOVE b a LEFT UP", "-ERR syntax error\r\n"),
                ("LMOVE b a LEFT", "-ERR wrong number of arguments for 'lmove' command\r\n"),
            ]);
        }
    }
}
