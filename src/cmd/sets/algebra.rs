//! Sets combined: SINTER, SINTERCARD, SUNION, SDIFF; SINTERSTORE, SUNIONSTORE, SDIFFSTORE.
//!
//! The stores of all keys are in hand, so all sets are seen at once and none is copied.

use super::combine::{Way, diff_stored, inter, inter_stored, probe, scratch, subtract, union, way};
use super::frame::{limits, reply};
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::Owned;
use crate::ds::set::Set;
use crate::resp::{Args, Error, Out};
use crate::store::{Collection, Keys};

/// What rows of this file have in common.
const BASE: Command = Command { categories: category::SET, plan: Plan::Keys, group: "set", ..Command::BASE };

const READ: Command = Command {
    arity: -2,
    flags: flag::READONLY | flag::HEAVY,
    keys: &[KeySpec::range(1, -1, 1, key::RO | key::ACCESS)],
    syntax: "key:key ...",
    tips: &["nondeterministic_output_order"],
    ..BASE
};

const STORE: Command = Command {
    arity: -3,
    flags: flag::WRITE | flag::DENYOOM | flag::HEAVY,
    keys: &[KeySpec::one(1, key::OW | key::UPDATE), KeySpec::range(2, -1, 1, key::RO | key::ACCESS)],
    syntax: "destination:key key:key ...",
    ..BASE
};

const OF_SMALLEST: &str = "O(N*M), N being the members of the smallest set and M the number of sets";
const OF_ALL: &str = "O(N), N being the members of all sets";

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "sinter",
        full_name: "sinter",
        run: sinter,
        summary: "Gives the members that several sets have in common.",
        complexity: OF_SMALLEST,
        ..READ
    },
    Command {
        name: "sunion",
        full_name: "sunion",
        run: sunion,
        summary: "Gives the members of several sets, each once.",
        complexity: OF_ALL,
        ..READ
    },
    Command {
        name: "sdiff",
        full_name: "sdiff",
        run: sdiff,
        summary: "Gives the members of a set that several others lack.",
        complexity: OF_ALL,
        ..READ
    },
    Command {
        name: "sintercard",
        full_name: "sintercard",
        arity: -3,
        flags: flag::READONLY | flag::MOVABLEKEYS | flag::HEAVY,
        keys: &[KeySpec::counted(1, key::RO | key::ACCESS)],
        run: sintercard,
        summary: "Counts the members that several sets have in common, up to a limit.",
        since: "7.0.0",
        complexity: OF_SMALLEST,
        syntax: "numkeys:integer key:key ... [LIMIT limit:integer]",
        ..BASE
    },
    Command {
        name: "sinterstore",
        full_name: "sinterstore",
        keys: &[KeySpec::one(1, key::RW | key::UPDATE), KeySpec::range(2, -1, 1, key::RO | key::ACCESS)],
        run: sinterstore,
        summary: "Keeps the members that several sets have in common in a key.",
        complexity: OF_SMALLEST,
        ..STORE
    },
    Command {
        name: "sunionstore",
        full_name: "sunionstore",
        run: sunionstore,
        summary: "Keeps the members of several sets in a key.",
        complexity: OF_ALL,
        ..STORE
    },
    Command {
        name: "sdiffstore",
        full_name: "sdiffstore",
        run: sdiffstore,
        summary: "Keeps the members of a set that several others lack in a key.",
        complexity: OF_ALL,
        ..STORE
    },
];

/// Looks all keys up, in order, as reads that count; the first one of another type is the error.
fn look_at_all(keys: &mut Keys<'_>, names: Args<'_>) -> Result<(), Error> {
    names.iter().try_for_each(|name| Ok(keys.look::<Set>(name).map(drop)?))
}

/// The sets, after [`look_at_all`]; none for a key that is absent.
fn sets<'a>(keys: &'a Keys<'_>, names: Args<'_>) -> Vec<Option<&'a Set>> {
    names.iter().map(|name| keys.again(name)).collect()
}

/// Members on their way into a set whose size is not yet known.
struct Found {
    replies: Out,
    len: usize,
}

impl Found {
    fn new(out: &Out) -> Found {
        Found { replies: Out::with_buffer(Vec::new(), out.proto()), len: 0 }
    }

    fn reply(mut self, out: &mut Out) {
        out.set(self.len);
        out.append(&mut self.replies);
    }
}

fn reply_all(set: &Set, out: &mut Out) {
    out.set(set.len());
    set.each(|member| {
        reply(member, out);
        true
    });
}

fn sinter(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let names = args.from(1);
    look_at_all(&mut cx.keys, names)?;
    let mut found = Found::new(cx.out);
    if let Some(mut sets) = sets(&cx.keys, names).into_iter().collect::<Option<Vec<&Set>>>() {
        inter(&mut sets, |member| {
            reply(member, &mut found.replies);
            found.len += 1;
            true
        });
    }
    found.reply(cx.out);
    Ok(Outcome::Done)
}

fn sunion(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let names = args.from(1);
    look_at_all(&mut cx.keys, names)?;
    let limits = limits(cx);
    let sets = sets(&cx.keys, names);
    match sets.as_slice() {
        // Nothing to be made one with.
        [Some(only)] => reply_all(only, cx.out),
        sets => reply_all(&union(sets, scratch(sets, &limits), &limits), cx.out),
    }
    Ok(Outcome::Done)
}

fn sdiff(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let names = args.from(1);
    look_at_all(&mut cx.keys, names)?;
    let limits = limits(cx);
    let sets = sets(&cx.keys, names);
    if way(&sets) == Way::Subtract {
        reply_all(&subtract(&sets, scratch(&sets, &limits), &limits), cx.out);
        return Ok(Outcome::Done);
    }
    let mut found = Found::new(cx.out);
    if way(&sets) == Way::Probe {
        probe(&sets, |member| {
            reply(member, &mut found.replies);
            found.len += 1;
        });
    }
    found.reply(cx.out);
    Ok(Outcome::Done)
}

fn sintercard(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let count = parse_i64(args.at(1)).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let count = count.ok_or(Error::text_of("ERR numkeys should be greater than 0"))?;
    if count > args.len() - 2 {
        return Err(Error::text_of("ERR Number of keys can't be greater than number of args"));
    }
    let mut limit = 0;
    for i in (2 + count..args.len()).step_by(2) {
        let value = args.get(i + 1).filter(|_| args.is(i, "limit")).ok_or(Error::Syntax)?;
        limit = parse_i64(value)
            .and_then(|n| u64::try_from(n).ok())
            .ok_or(Error::text_of("ERR LIMIT can't be negative"))?;
    }
    let names: Vec<&[u8]> = args.from(2).iter().take(count).collect();
    for name in &names {
        cx.keys.look::<Set>(name)?;
    }
    let mut found = 0;
    if let Some(mut sets) = names.iter().map(|name| cx.keys.again(name)).collect::<Option<Vec<&Set>>>() {
        inter(&mut sets, |_| {
            found += 1;
            found != limit
        });
    }
    cx.out.int(found as i64);
    Ok(Outcome::Done)
}

/// Puts a result under a key, or removes the key when it is empty; replies with its size.
fn keep(cx: &mut Cx<'_>, name: &[u8], result: Set) -> Done {
    let len = result.len();
    if len > 0 {
        cx.keys.put(name, Owned::Boxed(result.wrap()), None, 0);
        cx.keys.changed(name);
    } else if cx.keys.delete(name) {
        cx.keys.changed(name);
    }
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

fn sinterstore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    look_at_all(&mut cx.keys, args.from(2))?;
    let limits = limits(cx);
    let sets = sets(&cx.keys, args.from(2)).into_iter().collect::<Option<Vec<&Set>>>();
    let result = sets.map_or_else(Set::ints, |mut sets| inter_stored(&mut sets, &limits));
    keep(cx, args.at(1), result)
}

fn sunionstore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    look_at_all(&mut cx.keys, args.from(2))?;
    let limits = limits(cx);
    let result = union(&sets(&cx.keys, args.from(2)), Set::ints(), &limits);
    keep(cx, args.at(1), result)
}

fn sdiffstore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    look_at_all(&mut cx.keys, args.from(2))?;
    let limits = limits(cx);
    let result = diff_stored(&sets(&cx.keys, args.from(2)), &limits);
    keep(cx, args.at(1), result)
}
