//! PFDEBUG and PFSELFTEST: a look into a HyperLogLog, and a test of all that makes one.

use super::text::{bytes_of, in_place, put_back};
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hyperloglog::{HEADER, is_sparse, make_dense, registers, runs, self_test};
use crate::resp::{Args, Error};
use std::fmt::Write;

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "pfdebug",
        full_name: "pfdebug",
        arity: 3,
        flags: flag::WRITE | flag::DENYOOM | flag::ADMIN,
        categories: category::HYPERLOGLOG,
        keys: &[KeySpec::one(2, key::RW | key::ACCESS)],
        plan: Plan::Owner,
        run: pfdebug,
        summary: "Shows registers, runs or the encoding of a HyperLogLog, or makes it dense.",
        since: "2.8.9",
        group: "hyperloglog",
        complexity: "O(N), N being the registers",
        syntax: "subcommand:string key:key",
        ..Command::BASE
    },
    Command {
        name: "pfselftest",
        full_name: "pfselftest",
        arity: 1,
        flags: flag::ADMIN,
        categories: category::HYPERLOGLOG,
        run: pfselftest,
        summary: "Tests registers, encodings and estimates of HyperLogLogs.",
        since: "2.8.9",
        group: "hyperloglog",
        complexity: "Some 50 milliseconds.",
        ..Command::BASE
    },
];

fn pfdebug(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(2);
    let Some(entry) = cx.keys.write(name) else {
        return Err(Error::text_of("ERR The specified key does not exist"));
    };
    let text = bytes_of(entry.view())?;
    let sparse = is_sparse(text);
    if args.is(1, "getreg") {
        let registers = registers(text)?;
        cx.out.array(registers.len());
        registers.iter().for_each(|value| cx.out.int(i64::from(*value)));
        to_dense(cx, name)?;
    } else if args.is(1, "decode") {
        if !sparse {
            in_place(entry, |_| {});
            return Err(Error::text_of("ERR HLL encoding is not sparse"));
        }
        cx.out.bulk(decoded(text).as_bytes());
        in_place(entry, |_| {});
    } else if args.is(1, "encoding") {
        cx.out.simple(if sparse { "sparse" } else { "dense" });
        in_place(entry, |_| {});
    } else if args.is(1, "todense") {
        to_dense(cx, name)?;
        cx.out.int(sparse as i64);
    } else {
        in_place(entry, |_| {});
        return Err(Error::quote("ERR Unknown PFDEBUG subcommand '", args.at(1), "'"));
    }
    Ok(Outcome::Done)
}

/// Makes a key's HyperLogLog dense; one that is already stays as it is.
fn to_dense(cx: &mut Cx<'_>, name: &[u8]) -> Result<(), Error> {
    let Some(entry) = cx.keys.peek(name) else { return Ok(()) };
    let text = bytes_of(entry.view())?;
    if is_sparse(text) {
        let mut text = text.to_vec();
        make_dense(&mut text)?;
        put_back(&mut cx.keys, name, text);
        cx.keys.changed(name);
    }
    Ok(())
}

/// The runs of a sparse one: `z` and `Z` for short and long ones of zeros, `v` for a value and how often.
fn decoded(text: &[u8]) -> String {
    let mut out = String::new();
    for run in runs(&text[HEADER..]) {
        let gap = if out.is_empty() { "" } else { " " };
        let _ = match (run.value, run.bytes) {
            (0, 1) => write!(out, "{gap}z:{}", run.len),
            (0, _) => write!(out, "{gap}Z:{}", run.len),
            (value, _) => write!(out, "{gap}v:{value},{}", run.len),
        };
    }
    out
}

fn pfselftest(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let seed = cx.keys.random();
    self_test(seed, cx.env.config.hll_sparse_max_bytes as usize)
        .map_err(|why| Error::text_of(format!("TESTFAILED {why}")))?;
    cx.out.ok();
    Ok(Outcome::Done)
}
