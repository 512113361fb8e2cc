//! LPOP, RPOP, LMPOP: elements taken from an end.

use super::element::{end, note_changes, reply};
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::list::{End, List};
use crate::resp::{Args, Error};

const POP: Command = Command {
    arity: -2,
    flags: flag::WRITE | flag::FAST,
    categories: category::LIST,
    keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::DELETE)],
    plan: Plan::Owner,
    group: "list",
    complexity: "O(N), N being the number of elements taken",
    syntax: "key:key [count:integer@6.2.0]",
    ..Command::BASE
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "lpop",
        full_name: "lpop",
        run: lpop,
        summary: "Takes one or several elements from the head of a list.",
        ..POP
    },
    Command {
        name: "rpop",
        full_name: "rpop",
        run: rpop,
        summary: "Takes one or several elements from the tail of a list.",
        ..POP
    },
    Command {
        name: "lmpop",
        full_name: "lmpop",
        arity: -4,
        flags: flag::WRITE | flag::MOVABLEKEYS,
        keys: &[KeySpec::counted(1, key::RW | key::ACCESS | key::DELETE)],
        plan: Plan::Keys,
        run: lmpop,
        summary: "Takes elements from the first list of several that has any.",
        since: "7.0.0",
        complexity: "O(N+M), N being the number of keys and M the number of elements taken",
        syntax: "numkeys:integer key:key ... where:(left=LEFT | right=RIGHT) [COUNT count:integer]",
        ..POP
    },
];

fn lpop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    pop(cx, args, End::Front)
}

fn rpop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    pop(cx, args, End::Back)
}

#[inline]
fn pop(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Done {
    let name = args.at(1);
    if args.len() > 2 {
        return pop_several(cx, args, end);
    }
    let limits = cx.list_limits();
    let Some(mut list) = cx.keys.edit::<List>(name)? else {
        cx.out.null();
        return Ok(Outcome::Done);
    };
    list.pop(end, |element| reply(cx.out, element));
    list.shrink(limits);
    list.sweep();
    cx.keys.changed(name);
    Ok(Outcome::Done)
}

fn pop_several(cx: &mut Cx<'_>, args: Args<'_>, end: End) -> Done {
    let count = match args.get(2) {
        Some(count) if args.len() == 3 => parse_i64(count).and_then(|count| usize::try_from(count).ok()),
        _ => return Err(Error::Arity(cx.row.full_name)),
    };
    let count = count.ok_or(Error::NegativeValue)?;
    let there = cx.keys.edit::<List>(args.at(1))?.is_some();
    match there {
        false => cx.out.null_array(),
        true if count == 0 => cx.out.array(0),
        true => drop(take(cx, args.at(1), end, count)?),
    }
    Ok(Outcome::Done)
}

/// Says for the log what a command took from the one of its keys that had something.
pub(super) fn tell_pop(cx: &mut Cx<'_>, name: &[u8], end: End, count: Option<usize>) {
    let pop: &[u8] = if end == End::Front { b"LPOP" } else { b"RPOP" };
    match count {
        None => cx.keys.effect(name, &[pop, name]),
        Some(count) => {
            cx.keys.effect(name, &[pop, name, itoa::Buffer::new().format(count).as_bytes()]);
        }
    }
}

/// Takes up to `count` elements from a list that is there, and replies with an array of them; how many.
pub(super) fn take(cx: &mut Cx<'_>, name: &[u8], end: End, count: usize) -> Result<usize, Error> {
    let limits = cx.list_limits();
    let Some(mut list) = cx.keys.edit::<List>(name)? else { return Ok(0) };
    let len = list.len();
    let count = count.min(len);
    cx.out.array(count);
    let (seen_from, first) = match end {
        End::Front => (0, 0),
        End::Back => (len - 1, len - count),
    };
    list.each(seen_from, count, end, |element| reply(cx.out, element));
    list.remove(first, count);
    list.shrink(limits);
    list.sweep();
    note_changes(&mut cx.keys, name, count);
    Ok(count)
}

fn lmpop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (names, end, count) = parse_several(args, 1)?;
    for name in names.iter() {
        if cx.keys.edit::<List>(name)?.is_some() {
            cx.out.array(2);
            cx.out.bulk(name);
            let taken = take(cx, name, end, count)?;
            tell_pop(cx, name, end, Some(taken));
            return Ok(Outcome::Done);
        }
    }
    cx.out.null_array();
    Ok(Outcome::Done)
}

/// `numkeys key [key ...] LEFT|RIGHT [COUNT count]`, `numkeys` being argument `at`: the keys, the end, and how many to take.
pub(super) fn parse_several(args: Args<'_>, at: usize) -> Result<(Args<'_>, End, usize), Error> {
    let positive = |text: &[u8], error: &'static str| {
        let number = parse_i64(text).filter(|n| *n > 0).and_then(|n| usize::try_from(n).ok());
        number.ok_or(Error::text_of(error))
    };
    let numkeys = positive(args.at(at), "ERR numkeys should be greater than 0")?;
    let behind = (at + 1).checked_add(numkeys).ok_or(Error::Syntax)?;
    let end = end(args, behind)?;
    let mut count = None;
    let mut i = behind + 1;
    while i < args.len() {
        let Some(text) = args.get(i + 1).filter(|_| args.is(i, "count") && count.is_none()) else {
            return Err(Error::Syntax);
        };
        count = Some(positive(text, "ERR count should be greater than 0")?);
        i += 2;
    }
    Ok((args.from(at + 1).first(numkeys), end, count.unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn elements_are_taken_from_both_ends() {
        let mut world = World::new(2);
        world.expect(&[
            ("RPUSH k a 2 c d e f", ":6\r\n"),
            ("LPOP k", "$1\r\na\r\n"),
            ("RPOP k", "$1\r\nf\r\n"),
            ("LPOP k 2", "*2\r\n$1\r\n2\r\n$1\r\nc\r\n"),
            ("LPOP k 0", "*0\r\n"),
            ("RPOP k 10", "*2\r\n$1\r\ne\r\n$1\r\nd\r\n"),
            ("EXISTS k", ":0\r\n"),
            ("LPOP k", "$-1\r\n"),
            ("LPOP k 0", "*-1\r\n"),
            ("RPOP k 3", "*-1\r\n"),
            ("LPOP k -1", "-ERR value is out of range, must be positive\r\n"),
            ("LPOP k x", "-ERR value is out of range, must be positive\r\n"),
            ("LPOP k 1 2", "-ERR wrong number of arguments for 'lpop' command\r\n"),
            ("SET s v", "+OK\r\n"),
            ("RPOP s", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("RPOP s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
        ]);
        world.proto(Proto::Resp3);
        world.expect(&[("LPOP k", "_\r\n"), ("LPOP k 1", "_\r\n")]);
    }

    #[test]
    fn the_first_list_that_has_any() {
        World::new(3).expect(&[
            ("RPUSH b 1 2 3", ":3\r\n"),
            ("LMPOP 2 a b LEFT", "*2\r\n$1\r\nb\r\n*1\r\n$1\r\n1\r\n"),
            ("LMPOP 2 b a right COUNT 5", "*2\r\n$1\r\nb\r\n*2\r\n$1\r\n3\r\n$1\r\n2\r\n"),
            ("LMPOP 2 b a RIGHT", "*-1\r\n"),
            ("SET s v", "+OK\r\n"),
            ("LMPOP 2 a s LEFT", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("LMPOP 0 a LEFT", "-ERR numkeys should be greater than 0\r\n"),
            ("LMPOP x a LEFT", "-ERR numkeys should be greater than 0\r\n"),
            ("LMPOP 9223372036854775807 a LEFT", "-ERR syntax error\r\n"),
            ("LMPOP 2 a LEFT", "-ERR syntax error\r\n"),
            ("LMPOP 1 a UP", "-ERR syntax error\r\n"),
            ("LMPOP 1 a LEFT COUNT", "-ERR syntax error\r\n"),
            ("LMPOP 1 a LEFT COUNT 0", "-ERR count should be greater than 0\r\n"),
            ("LMPOP 1 a LEFT COUNT 1 COUNT 1", "-ERR syntax error\r\n"),
        ]);
    }
}
