//! BITPOS.

use super::words::{self, Unit, index};
use crate::cmd::row::{category, flag, key};
use crate::cmd::strings::{Text, clamp};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[Command {
    name: "bitpos",
    full_name: "bitpos",
    arity: -3,
    flags: flag::READONLY | flag::HEAVY,
    categories: category::BITMAP,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    run: bitpos,
    summary: "Finds the first bit that is set, or clear, in the string that a key holds.",
    since: "2.8.7",
    group: "bitmap",
    complexity: "O(N), N being the bytes looked at",
    syntax: "key:key bit:integer [index:(start:integer [end_index:(end:integer [index_unit:(byte=BYTE | \
             bit=BIT)@7.0.0])])]",
    ..Command::BASE
}];

fn bitpos(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let set = match index(args, 2)? {
        0 => false,
        1 => true,
        _ => return Err(Error::text_of("ERR The bit argument must be 1 or 0.")),
    };
    // Arguments are read before the key is looked up, as Redis does since 7.2; the unit before the end.
    let len = args.len();
    if len > 6 {
        return Err(Error::Syntax);
    }
    let start = if len > 3 { index(args, 3)? } else { 0 };
    let unit = if len > 5 { Unit::parse(args, 5)? } else { Unit::Byte };
    let end = if len > 4 { Some(index(args, 4)?) } else { None };
    let Some(entry) = cx.keys.read(args.at(1)) else {
        cx.out.int(if set { -1 } else { 0 });
        return Ok(Outcome::Done);
    };
    let position = Text::of(entry.view())?.with(|bytes| {
        let range = clamp(start, end.unwrap_or(-1), bytes.len() * 8 / unit.bits());
        if range.is_empty() {
            return -1;
        }
        match words::first(bytes, range.start * unit.bits()..range.end * unit.bits(), set) {
            Some(at) => at as i64,
            // With no end given, the string goes on with clear bits.
            None if !set && end.is_none() => bytes.len() as i64 * 8,
            None => -1,
        }
    });
    cx.out.int(position);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn positions() {
        let mut w = World::new(2);
        w.run("SET g \"Hello World\"");
        w.run("SET ff \"\\xff\\xff\"");
        w.run("SET n 10");
        w.run("SET e \"\"");
        for (rest, position) in [
            ("g 1 -100 -200", 1),
            ("g 1 -200 -100", 1),
            ("g 0 -1 -5", -1),
            ("g 1 5 3", -1),
            ("g 1 100 200", -1),
            ("g 0 100", -1),
            ("g 1 7 9 BIT", 9),
            ("g 1 -3 -1 bit", 85),
            ("g 1 -100 -200 bit", -1),
            ("g 1 0 -1 byte", 1),
            ("ff 0", 16),
            ("ff 0 0", 16),
            ("ff 0 0 -1", -1),
            ("ff 0 1 1", -1),
            ("ff 0 3", -1),
            ("n 1", 2),
            ("e 0", -1),
            ("e 1", -1),
            ("e 0 0", -1),
            ("nokey 0", 0),
            ("nokey 1", -1),
            ("nokey 0 5 6", 0),
        ] {
            assert_eq!(w.run(&format!("BITPOS {rest}")), format!(":{position}\r\n"), "{rest}");
        }
    }

    #[test]
    fn errors() {
        let mut w = World::new(1);
        w.run("SET g x");
        for name in ["g", "nokey"] {
            for bad in ["2", "2 foo", "-1"] {
                let reply = w.run(&format!("BITPOS {name} {bad}"));
                assert_eq!(reply, "-ERR The bit argument must be 1 or 0.\r\n");
            }
            for bad in ["abc", "1 abc", "1 0 abc", "1 0 abc bit"] {
                let reply = w.run(&format!("BITPOS {name} {bad}"));
                assert_eq!(reply, "-ERR value is not an integer or out of range\r\n");
            }
            for bad in ["1 0 -1 foo", "1 0 abc foo", "1 0 -1 bit x"] {
                assert_eq!(w.run(&format!("BITPOS {name} {bad}")), "-ERR syntax error\r\n");
            }
        }
    }
}
