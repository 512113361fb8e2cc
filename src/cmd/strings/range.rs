//! Parts of a string: GETRANGE, and SUBSTR, its first name.

use super::text::Text;
use crate::base::number::parse_i64;
use crate::cmd::row::{Deprecated, category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error, SHARE_FROM};
use std::ops::Range;

const GETRANGE: Command = Command {
    name: "getrange",
    full_name: "getrange",
    arity: 4,
    flags: flag::READONLY,
    categories: category::STRING,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    run: getrange,
    summary: "Gives a part of the string that a key holds.",
    since: "2.4.0",
    group: "string",
    complexity: "O(N), N being the bytes of the part",
    syntax: "key:key start:integer end:integer",
    ..Command::BASE
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    GETRANGE,
    Command {
        name: "substr",
        full_name: "substr",
        run: substr,
        since: "1.0.0",
        deprecated: Some(Deprecated { since: "2.0.0", instead: "`GETRANGE`" }),
        ..GETRANGE
    },
];

/// The part of `len` items from `start` to `end`, both inclusive; negative ones count from the end. Empty when there is
/// none. What lies before the first item is moved to it, so -200 to -100 of ten items is the first one, as in Redis.
pub(in crate::cmd) fn clamp(start: i64, end: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_end = |i: i64| if i < 0 { (i + len).max(0) } else { i };
    let (first, last) = (from_end(start), from_end(end).min(len - 1));
    if first > last { 0..0 } else { first as usize..last as usize + 1 }
}

fn getrange(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let start = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let end = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
    let Some(entry) = cx.keys.read(args.at(1)) else {
        cx.out.bulk(b"");
        return Ok(Outcome::Done);
    };
    let text = Text::of(entry.view())?;
    let part = match start < 0 && end < 0 && start > end {
        true => 0..0,
        false => clamp(start, end, text.len()),
    };
    match text {
        Text::Shared(bytes) if part.len() >= SHARE_FROM => cx.out.bulk_shared(&bytes.slice(part)),
        text => text.with(|bytes| cx.out.bulk(&bytes[part])),
    }
    Ok(Outcome::Done)
}

fn substr(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    getrange(cx, args)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn parts() {
        let mut w = World::new(2);
        w.run("SET g \"Hello World\"");
        for (range, part) in [
            ("0 -1", "Hello World"),
            ("-5 -1", "World"),
            ("-1 -5", ""),
            ("100 200", ""),
            ("-100 2", "Hel"),
            ("-100 -200", ""),
            ("-200 -100", "H"),
            ("5 3", ""),
            ("0 0", "H"),
            ("9223372036854775807 -9223372036854775808", ""),
            ("-9223372036854775808 9223372036854775807", "Hello World"),
        ] {
            let want = format!("${}\r\n{part}\r\n", part.len());
            assert_eq!(w.run(&format!("GETRANGE g {range}")), want, "{range}");
            assert_eq!(w.run(&format!("SUBSTR g {range}")), want, "{range}");
        }
        assert_eq!(w.run("GETRANGE nokey 0 1"), "$0\r\n\r\n");
        assert_eq!(w.run("GETRANGE nokey abc 1"), "-ERR value is not an integer or out of range\r\n");
        w.run("SET n -123");
        assert_eq!(w.run("GETRANGE n 0 1"), "$2\r\n-1\r\n");
        w.run("SET e \"\"");
        assert_eq!(w.run("GETRANGE e 0 -1"), "$0\r\n\r\n");
    }

    #[test]
    fn parts_of_long_strings() {
        let mut w = World::new(1);
        let value: String = (0..50_000u32).map(|i| (b'a' + (i % 26) as u8) as char).collect();
        w.run_args(&[b"SET", b"k", value.as_bytes()]);
        for (a, b) in [(0, 49_999), (5, 16_388), (5, 16_387), (100, 40_000), (49_999, 49_999)] {
            let part = &value[a..=b];
            assert_eq!(w.run(&format!("GETRANGE k {a} {b}")), format!("${}\r\n{part}\r\n", part.len()));
        }
    }
}
