//! COMMAND GETKEYS and GETKEYSANDFLAGS: which arguments of a call are keys, and what the call does to them.

use super::family::BASE;
use super::info::names;
use crate::cmd::keyspace::migrate;
use crate::cmd::row::key;
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::{Args, Error};

pub(super) const GETKEYS: Command = Command {
    name: "getkeys",
    full_name: "command|getkeys",
    arity: -4,
    run: command_getkeys,
    summary: "Tells which arguments of a call are keys.",
    complexity: "O(N) with N the number of arguments of the call",
    ..BASE
};

pub(super) const GETKEYSANDFLAGS: Command = Command {
    name: "getkeysandflags",
    full_name: "command|getkeysandflags",
    arity: -4,
    run: command_getkeysandflags,
    summary: "Tells which arguments of a call are keys, and what it does to them.",
    since: "7.0.0",
    complexity: "O(N) with N the number of arguments of the call",
    ..BASE
};

fn command_getkeys(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let found = keys(cx, args)?;
    cx.out.array(found.len());
    found.iter().for_each(|(key, _)| cx.out.bulk(key));
    Ok(Outcome::Done)
}

fn command_getkeysandflags(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let found = keys(cx, args)?;
    cx.out.array(found.len());
    for (text, flags) in found {
        cx.out.array(2);
        cx.out.bulk(text);
        names(cx.out, flags, key::NAMES, "");
    }
    Ok(Outcome::Done)
}

/// The keys of the call that follows COMMAND's own two words, with bits of [`key`].
fn keys<'a>(cx: &Cx<'_>, args: Args<'a>) -> Result<Vec<(&'a [u8], u32)>, Error> {
    let call = args.from(2);
    let Ok(found) = cx.env.registry.find(call) else {
        return Err(Error::text_of("ERR Invalid command specified"));
    };
    let row = found.row;
    let specs = || row.keys.iter().filter(|spec| spec.flags & key::NOT_KEY == 0);
    if specs().next().is_none() {
        return Err(Error::text_of("ERR The command has no key arguments"));
    }
    if !row.takes(call.len()) {
        return Err(Error::text_of("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    let fits = match row.name {
        // Its specifications are incomplete, and find the empty string beside KEYS.
        "migrate" => {
            keys.extend(migrate::named_keys(call).map(|at| (call.at(at), row.keys[0].flags)));
            true
        }
        _ => specs().all(|spec| {
            let flags = of_this_call(row, call, spec.flags);
            spec.each(call, &mut |at| keys.push((call.at(at), flags)))
        }),
    };
    if !fits || keys.is_empty() {
        return Err(Error::text_of("ERR Invalid arguments specified for command"));
    }
    Ok(keys)
}

const OVERWRITES: u32 = key::OW | key::UPDATE;
const READS: u32 = key::RO | key::ACCESS;
const READS_AND_WRITES: u32 = key::RW | key::ACCESS | key::UPDATE;

/// The flags of a key whose specification says that they vary with the options (`variable_flags`).
fn of_this_call(row: &Command, call: Args<'_>, flags: u32) -> u32 {
    if flags & key::VARIABLE == 0 {
        return flags;
    }
    match row.name {
        "set" if (3..call.len()).any(|i| call.is(i, "get")) => READS_AND_WRITES,
        "set" => OVERWRITES,
        "bitfield" if bitfield_only_reads(call) => READS,
        "bitfield" => READS_AND_WRITES,
        _ => flags & !key::VARIABLE,
    }
}

/// Whether all of BITFIELD's operations are whole GETs; OVERFLOW between them changes nothing.
fn bitfield_only_reads(call: Args<'_>) -> bool {
    let mut i = 2;
    while i < call.len() {
        let left = call.len() - 1 - i;
        if call.is(i, "get") && left >= 2 {
            i += 3;
        } else if call.is(i, "overflow") && left >= 1 {
            i += 2;
        } else {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::row::flag;
    use crate::cmd::testing::World;
    use crate::cmd::{KeySpec, Registry};

    const ONE: &[KeySpec] = &[KeySpec::one(1, READS_AND_WRITES | key::VARIABLE)];
    const ROWS: &[Command] = &[
        Command { name: "set", full_name: "set", arity: -3, flags: flag::WRITE, keys: ONE, ..Command::BASE },
        Command { name: "bitfield", full_name: "bitfield", arity: -2, keys: ONE, ..Command::BASE },
        Command { name: "zinter", full_name: "zinter", arity: -3, keys: COUNTED, ..Command::BASE },
        Command { name: "mset", full_name: "mset", arity: -3, keys: PAIRS, ..Command::BASE },
        Command { name: "bitop", full_name: "bitop", arity: -4, keys: BITOP, ..Command::BASE },
        Command { name: "spublish", full_name: "spublish", arity: 3, keys: CHANNEL, ..Command::BASE },
        Command { name: "config", full_name: "config", arity: -2, subcommands: SUBS, ..Command::BASE },
    ];
    const SUBS: &[Command] = &[Command { name: "get", full_name: "config|get", arity: -3, ..Command::BASE }];
    const COUNTED: &[KeySpec] = &[KeySpec::counted(1, READS)];
    const PAIRS: &[KeySpec] = &[KeySpec::range(1, -1, 2, OVERWRITES)];
    const BITOP: &[KeySpec] = &[KeySpec::one(2, OVERWRITES), KeySpec::range(3, -1, 1, READS)];
    const CHANNEL: &[KeySpec] = &[KeySpec::one(1, key::NOT_KEY)];

    fn world() -> World {
        let mut world = World::new(1);
        world.registry = Registry::new(&[ROWS, super::super::COMMANDS]);
        world
    }

    /// The expected texts are those of redis-server 7.0.15.
    #[test]
    fn keys_are_found_or_the_call_is_refused() {
        let mut world = world();
        for (call, expected) in [
            ("set k v", "*1\r\n$1\r\nk\r\n"),
            ("MSET a b c", "*2\r\n$1\r\na\r\n$1\r\nc\r\n"),
            ("bitop and a b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
            ("zinter 2 a b weights", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
            ("bitop and a", "-ERR Invalid number of arguments specified for command\r\n"),
            ("nope k", "-ERR Invalid command specified\r\n"),
            ("config nope", "-ERR Invalid command specified\r\n"),
            ("config get x", "-ERR The command has no key arguments\r\n"),
            ("spublish a b", "-ERR The command has no key arguments\r\n"),
            ("zinter 2 a", "-ERR Invalid arguments specified for command\r\n"),
            ("zinter 0 a", "-ERR Invalid arguments specified for command\r\n"),
            ("zinter -1 a", "-ERR Invalid arguments specified for command\r\n"),
            ("zinter x a", "-ERR Invalid arguments specified for command\r\n"),
            ("config", "-ERR wrong number of arguments for 'command|getkeys' command\r\n"),
        ] {
            assert_eq!(world.run(&format!("COMMAND GETKEYS {call}")), expected, "{call}");
        }
    }

    /// The expected texts are those of redis-server 7.0.15.
    #[test]
    fn flags_vary_with_the_options() {
        let mut world = world();
        let (ow, ro) = ("*2\r\n+OW\r\n+update\r\n", "*2\r\n+RO\r\n+access\r\n");
        let rw = "*3\r\n+RW\r\n+access\r\n+update\r\n";
        for (call, expected) in [
            ("SET k v", ow),
            ("SET k v GET", rw),
            ("SET k GET", ow),
            ("SET k v EX 10 get", rw),
            ("BITFIELD k", ro),
            ("BITFIELD k GET u8 0", ro),
            ("BITFIELD k GET u8 0 OVERFLOW WRAP", ro),
            ("BITFIELD k SET u8 0 1", rw),
            ("BITFIELD k GET u8", rw),
            ("BITFIELD k FOO u8 0", rw),
        ] {
            let reply = world.run(&format!("COMMAND GETKEYSANDFLAGS {call}"));
            assert_eq!(reply, format!("*1\r\n*2\r\n$1\r\nk\r\n{expected}"), "{call}");
        }
    }
}
