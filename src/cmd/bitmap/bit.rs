//! One bit: SETBIT, GETBIT.

use super::words::bit_at;
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::strings::Text;
use crate::cmd::strings::edit::{len_for_write, patch};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "setbit",
        full_name: "setbit",
        arity: 4,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::BITMAP,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE)],
        plan: Plan::Owner,
        run: setbit,
        summary: "Sets or clears one bit of the string that a key holds and gives the bit that was there.",
        since: "2.2.0",
        group: "bitmap",
        syntax: "key:key offset:integer value:integer",
        ..Command::BASE
    },
    Command {
        name: "getbit",
        full_name: "getbit",
        arity: 3,
        flags: flag::READONLY | flag::FAST,
        categories: category::BITMAP,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
        plan: Plan::Owner,
        run: getbit,
        summary: "Gives one bit of the string that a key holds.",
        since: "2.2.0",
        group: "bitmap",
        syntax: "key:key offset:integer",
        ..Command::BASE
    },
];

/// Reads a bit's offset; the byte it is in must be one that a string can have. `unit` bits make one step.
pub(super) fn offset(cx: &Cx<'_>, text: &[u8], unit: usize) -> Result<usize, Error> {
    parse_i64(text)
        .and_then(|n| usize::try_from(n).ok())
        .and_then(|n| n.checked_mul(unit))
        .filter(|n| ((n / 8) as u64) < cx.env.config.proto_max_bulk_len)
        .ok_or(Error::BitOffset)
}

fn setbit(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(1);
    let at = offset(cx, args.at(2), 1)?;
    let on = match args.at(3) {
        b"0" => 0,
        b"1" => 1,
        _ => return Err(Error::BitValue),
    };
    let grows = len_for_write(&mut cx.keys, name)?.is_none_or(|len| len <= at / 8);
    let old = patch(&mut cx.keys, name, at / 8 + 1, |bytes| {
        let old = bit_at(bytes, at);
        bytes[at / 8] ^= (old ^ on) << (7 - at % 8);
        old
    });
    if grows || old != on {
        cx.keys.changed(name);
    }
    cx.out.int(old as i64);
    Ok(Outcome::Done)
}

fn getbit(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let at = offset(cx, args.at(2), 1)?;
    let bit = match cx.keys.read(args.at(1)) {
        Some(entry) => {
            Text::of(entry.view())?.with(|bytes| if at / 8 < bytes.len() { bit_at(bytes, at) } else { 0 })
        }
        None => 0,
    };
    cx.out.int(bit as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn bits_are_set_and_read() {
        let mut w = World::new(2);
        assert_eq!(w.run("SETBIT k 7 1"), ":0\r\n");
        assert_eq!(w.run("SETBIT k 7 0"), ":1\r\n");
        assert_eq!(w.run("SETBIT k 7 1"), ":0\r\n");
        assert_eq!(w.run("GET k"), "$1\r\n\u{1}\r\n");
        assert_eq!(w.encoding("k"), "raw");
        assert_eq!(w.run("SETBIT k 100 0"), ":0\r\n");
        assert_eq!(w.run("STRLEN k"), ":13\r\n");
        assert_eq!(w.run("GETBIT k 7"), ":1\r\n");
        assert_eq!(w.run("GETBIT k 6"), ":0\r\n");
        assert_eq!(w.run("GETBIT k 4294967295"), ":0\r\n");
        assert_eq!(w.run("GETBIT nokey 0"), ":0\r\n");
        w.run("SET n 10");
        assert_eq!(w.run("GETBIT n 2"), ":1\r\n");
        assert_eq!(w.run("SETBIT n 0 0"), ":0\r\n");
        assert_eq!(w.run("GET n"), "$2\r\n10\r\n");
        assert_eq!(w.encoding("n"), "raw");
    }

    #[test]
    fn what_changes_nothing_is_no_write() {
        let mut w = World::new(1);
        w.run("SETBIT k 7 1");
        let dirty = w.hand.peek(0).dirty;
        w.run("SETBIT k 7 1");
        assert_eq!(w.hand.peek(0).dirty, dirty);
        w.run("SETBIT k 8 0");
        assert_eq!(w.hand.peek(0).dirty, dirty + 1, "it grew");
    }

    #[test]
    fn long_strings_grow_and_change_in_place() {
        let mut w = World::new(1);
        assert_eq!(w.run("SETBIT k 1000000 1"), ":0\r\n");
        assert_eq!(w.run("SETBIT k 1000000 1"), ":1\r\n");
        assert_eq!(w.run("SETBIT k 2000000 1"), ":0\r\n");
        assert_eq!(w.run("BITCOUNT k"), ":2\r\n");
        assert_eq!(w.run("STRLEN k"), ":250001\r\n");
        let counted = w.hand.peek(0).db(0).value_bytes();
        assert!(counted == w.weight("k") && counted > 500_002, "with room to spare: {counted}");
    }

    #[test]
    fn errors() {
        let mut w = World::new(1);
        for bad in
            ["SETBIT k -1 1", "SETBIT k abc 1", "SETBIT k 4294967296 5", "GETBIT k -1", "GETBIT k 4294967296"]
        {
            assert_eq!(w.run(bad), "-ERR bit offset is not an integer or out of range\r\n", "{bad}");
        }
        for bad in ["2", "abc", "-1", "01"] {
            let reply = w.run(&format!("SETBIT k 7 {bad}"));
            assert_eq!(reply, "-ERR bit is not an integer or out of range\r\n");
        }
    }
}
