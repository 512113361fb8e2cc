//! LSET, LINSERT, LREM, LTRIM: changes in the middle.

use super::element::{note_changes, place, range};
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::list::{End, List};
use crate::ds::listpack::Element;
use crate::resp::{Args, Error};

const CHANGE: Command =
    Command { categories: category::LIST, plan: Plan::Owner, group: "list", ..Command::BASE };

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "linsert",
        full_name: "linsert",
        arity: 5,
        flags: flag::WRITE | flag::DENYOOM | flag::HEAVY,
        keys: &[KeySpec::one(1, key::RW | key::INSERT)],
        run: linsert,
        summary: "Adds an element before or behind the first one that equals another.",
        since: "2.2.0",
        complexity: "O(N), N being the number of elements before it",
        syntax: "key:key where:(before=BEFORE | after=AFTER) pivot:string element:string",
        ..CHANGE
    },
    Command {
        name: "lrem",
        full_name: "lrem",
        arity: 4,
        flags: flag::WRITE | flag::HEAVY,
        keys: &[KeySpec::one(1, key::RW | key::DELETE)],
        run: lrem,
        summary: "Removes elements that equal a text, seen from one end or all.",
        complexity: "O(N), N being the length of the list",
        syntax: "key:key count:integer element:string",
        ..CHANGE
    },
    Command {
        name: "lset",
        full_name: "lset",
        arity: 4,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
        run: lset,
        summary: "Replaces the element of a list at an index.",
        complexity: "O(N), N being the distance from the nearer end; nodes are skipped whole",
        syntax: "key:key index:integer element:string",
        ..CHANGE
    },
    Command {
        name: "ltrim",
        full_name: "ltrim",
        arity: 4,
        flags: flag::WRITE,
        keys: &[KeySpec::one(1, key::RW | key::DELETE)],
        run: ltrim,
        summary: "Removes all elements of a list but those from one index to another.",
        complexity: "O(N), N being the number of elements that are removed",
        syntax: "key:key start:integer stop:integer",
        ..CHANGE
    },
];

fn lset(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, text, limits) = (args.at(1), args.at(3), cx.list_limits());
    let Some(mut list) = cx.keys.edit::<List>(name)? else { return Err(Error::NoSuchKey) };
    let index = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    // Before the index is looked at, as in Redis: the encoding may change and nothing else.
    list.make_room(text.len(), 1, limits);
    let at = place(index, list.len()).ok_or(Error::OutOfRange)?;
    list.replace(at, Element::of(text));
    list.shrink(limits);
    drop(list);
    cx.keys.changed(name);
    cx.out.ok();
    Ok(Outcome::Done)
}

fn linsert(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let after = match () {
        () if args.is(2, "after") => true,
        () if args.is(2, "before") => false,
        () => return Err(Error::Syntax),
    };
    let (name, text, limits) = (args.at(1), args.at(4), cx.list_limits());
    let Some(mut list) = cx.keys.edit::<List>(name)? else {
        cx.out.int(0);
        return Ok(Outcome::Done);
    };
    list.make_room(text.len(), 1, limits);
    let Some(pivot) = list.position(args.at(3)) else {
        cx.out.int(-1);
        return Ok(Outcome::Done);
    };
    list.insert(pivot, after, Element::of(text));
    cx.out.int(list.len() as i64);
    drop(list);
    cx.keys.changed(name);
    Ok(Outcome::Done)
}

fn lrem(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, limits) = (args.at(1), cx.list_limits());
    let count = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let Some(mut list) = cx.keys.edit::<List>(name)? else {
        cx.out.int(0);
        return Ok(Outcome::Done);
    };
    let (end, most) = match count {
        0 => (End::Front, usize::MAX),
        1.. => (End::Front, count as usize),
        _ => (End::Back, count.unsigned_abs() as usize),
    };
    let removed = list.remove_equal(args.at(3), end, most);
    if removed > 0 {
        list.shrink(limits);
        list.sweep();
        note_changes(&mut cx.keys, name, removed);
    }
    cx.out.int(removed as i64);
    Ok(Outcome::Done)
}

fn ltrim(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, limits) = (args.at(1), cx.list_limits());
    let start = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let stop = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
    let Some(mut list) = cx.keys.edit::<List>(name)? else {
        cx.out.ok();
        return Ok(Outcome::Done);
    };
    let len = list.len();
    let (first, kept) = range(start, stop, len);
    list.remove(first + kept, usize::MAX);
    list.remove(0, first);
    list.shrink(limits);
    list.sweep();
    note_changes(&mut cx.keys, name, len - kept);
    cx.out.ok();
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

    #[test]
    fn lists_are_changed_in_the_middle() {
        World::new(2).expect(&[
            ("RPUSH k a b c", ":3\r\n"),
            ("LSET k 1 x", "+OK\r\n"),
            ("LSET k -1 7", "+OK\r\n"),
            ("LSET k 3 x", "-ERR index out of range\r\n"),
            ("LSET k x x", "-ERR value is not an integer or out of range\r\n"),
            ("LSET nosuch x x", "-ERR no such key\r\n"),
            ("LINSERT k BEFORE 7 y", ":4\r\n"),
            ("LINSERT k after 7 z", ":5\r\n"),
            ("LINSERT k AFTER nosuch z", ":-1\r\n"),
            ("LINSERT nosuch AFTER a z", ":0\r\n"),
            ("LINSERT k BESIDE a z", "-ERR syntax error\r\n"),
            ("LRANGE k 0 -1", "*5\r\n$1\r\na\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\n7\r\n$1\r\nz\r\n"),
            ("LTRIM k 1 -2", "+OK\r\n"),
            ("LRANGE k 0 -1", "*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\n7\r\n"),
            ("LTRIM k 5 10", "+OK\r\n"),
            ("EXISTS k", ":0\r\n"),
            ("LTRIM k 0 1", "+OK\r\n"),
            ("LTRIM k 0 x", "-ERR value is not an integer or out of range\r\n"),
            ("SET s v", "+OK\r\n"),
            ("LSET s 0 a", WRONG_TYPE),
            ("LINSERT s AFTER a b", WRONG_TYPE),
            ("LREM s 0 a", WRONG_TYPE),
            ("LTRIM s 0 0", WRONG_TYPE),
        ]);
    }

    #[test]
    fn equal_elements_are_removed() {
        World::new(2).expect(&[
            ("RPUSH k a 1 a 1 a 1", ":6\r\n"),
            ("LREM k 1 a", ":1\r\n"),
            ("LREM k -1 a", ":1\r\n"),
            ("LRANGE k 0 -1", "*4\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n1\r\n"),
            ("LREM k 0 nosuch", ":0\r\n"),
            ("LREM k 0 1", ":3\r\n"),
            ("LREM k -5 a", ":1\r\n"),
            ("EXISTS k", ":0\r\n"),
            ("LREM k 0 a", ":0\r\n"),
            ("LREM k x a", "-ERR value is not an integer or out of range\r\n"),
        ]);
    }

    /// Redis 7.4 converts before it looks whether there is anything to do.
    #[test]
    fn encodings_change_even_when_nothing_else_does() {
        let mut world = World::new(1);
        world.config.list_max_listpack_size = 2;
        for command in ["LINSERT k AFTER nosuch z", "LSET k 9 z"] {
            world.run("DEL k");
            world.run("RPUSH k a b");
            assert_eq!(world.encoding("k"), "listpack");
            world.run(command);
            assert_eq!(world.encoding("k"), "quicklist");
            world.run("LPOP k");
            assert_eq!(world.encoding("k"), "listpack");
        }
    }
}
