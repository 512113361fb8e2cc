//! BITCOUNT.

use super::words::{self, Unit, index};
use crate::cmd::row::{category, flag, key};
use crate::cmd::strings::{Text, clamp};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[Command {
    name: "bitcount",
    full_name: "bitcount",
    arity: -2,
    flags: flag::READONLY | flag::HEAVY,
    categories: category::BITMAP,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    run: bitcount,
    summary: "Counts the bits that are set in the string that a key holds.",
    since: "2.6.0",
    group: "bitmap",
    complexity: "O(N), N being the bytes looked at",
    syntax: "key:key [index:(start:integer end:integer [index_unit:(byte=BYTE | bit=BIT)@7.0.0])]",
    ..Command::BASE
}];

fn bitcount(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    // Arguments are read before the key is looked up, as Redis does since 7.2.
    let (start, end, unit) = match args.len() {
        2 => (0, -1, Unit::Byte),
        4 => (index(args, 2)?, index(args, 3)?, Unit::Byte),
        5 => (index(args, 2)?, index(args, 3)?, Unit::parse(args, 4)?),
        _ => return Err(Error::Syntax),
    };
    let Some(entry) = cx.keys.read(args.at(1)) else {
        cx.out.int(0);
        return Ok(Outcome::Done);
    };
    let bits = Text::of(entry.view())?.with(|bytes| {
        if start < 0 && end < 0 && start > end {
            return 0;
        }
        let range = clamp(start, end, bytes.len() * 8 / unit.bits());
        words::count(bytes, range.start * unit.bits()..range.end * unit.bits())
    });
    cx.out.int(bits as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn counts() {
        let mut w = World::new(2);
        w.run("SET g \"Hello World\"");
        w.run("SET n 10");
        w.run("SET e \"\"");
        for (rest, bits) in [
            ("g", 43),
            ("n", 5),
            ("e", 0),
            ("e 0 -1", 0),
            ("nokey", 0),
            ("nokey 0 -1 BIT", 0),
            ("g 0 0", 2),
            ("g 1 1 BYTE", 4),
            ("g -200 -100", 2),
            ("g -100 -200", 0),
            ("g -1 -5", 0),
            ("g 5 3", 0),
            ("g 5 30 bit", 12),
            ("g -1 -1 bit", 0),
            ("g 1 1 bit", 1),
            ("g 100 200", 0),
        ] {
            assert_eq!(w.run(&format!("BITCOUNT {rest}")), format!(":{bits}\r\n"), "{rest}");
        }
    }

    #[test]
    fn errors() {
        let mut w = World::new(1);
        w.run("SET g x");
        for name in ["g", "nokey"] {
            for bad in ["0", "0 -1 foo", "0 -1 bit x"] {
                assert_eq!(w.run(&format!("BITCOUNT {name} {bad}")), "-ERR syntax error\r\n");
            }
            let reply = w.run(&format!("BITCOUNT {name} abc 2"));
            assert_eq!(reply, "-ERR value is not an integer or out of range\r\n");
        }
    }
}
