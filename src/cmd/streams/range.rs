//! XLEN, XRANGE and XREVRANGE.

use super::ids::{interval_end, interval_start};
use super::{BASE, reply};
use crate::base::number::parse_i64;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::stream::Stream;
use crate::resp::{Args, Error};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "xlen",
        full_name: "xlen",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::one(1, key::RO)],
        plan: Plan::Owner,
        run: xlen,
        summary: "Tells how many entries a stream has.",
        syntax: "key:key",
        ..BASE
    },
    Command {
        name: "xrange",
        full_name: "xrange",
        arity: -4,
        flags: flag::READONLY | flag::HEAVY,
        keys: READ,
        plan: Plan::Owner,
        run: xrange,
        summary: "Gives the entries of a range of ids.",
        complexity: "O(log M + N) with M entries in the stream and N in the reply",
        syntax: "key:key start:string end:string [COUNT count:integer]",
        ..BASE
    },
    Command {
        name: "xrevrange",
        full_name: "xrevrange",
        arity: -4,
        flags: flag::READONLY | flag::HEAVY,
        keys: READ,
        plan: Plan::Owner,
        run: xrevrange,
        summary: "Gives the entries of a range of ids, the last one first.",
        complexity: "O(log M + N) with M entries in the stream and N in the reply",
        syntax: "key:key end:string start:string [COUNT count:integer]",
        ..BASE
    },
];

const READ: &[KeySpec] = &[KeySpec::one(1, key::RO | key::ACCESS)];

fn xlen(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let len = cx.keys.look::<Stream>(args.at(1))?.map_or(0, |stream| stream.log.len());
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

fn xrange(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    range(cx, args, false)
}

fn xrevrange(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    range(cx, args, true)
}

fn range(cx: &mut Cx<'_>, args: Args<'_>, backwards: bool) -> Done {
    let (first, last) = if backwards { (3, 2) } else { (2, 3) };
    let start = interval_start(args.at(first))?;
    let end = interval_end(args.at(last))?;
    let mut count = None;
    let mut i = 4;
    while i < args.len() {
        if !args.is(i, "count") || i + 1 == args.len() {
            return Err(Error::Syntax);
        }
        let number = parse_i64(args.at(i + 1)).ok_or(Error::NotInteger)?;
        count = Some(u64::try_from(number).unwrap_or(0));
        i += 2;
    }
    let Some(stream) = cx.keys.look::<Stream>(args.at(1))? else {
        cx.out.array(0);
        return Ok(Outcome::Done);
    };
    match count {
        Some(0) => cx.out.null_array(),
        _ if backwards => reply::entries(cx.out, stream.log.range_back(start, end), count.unwrap_or(0)),
        _ => reply::entries(cx.out, stream.log.range(start, end), count.unwrap_or(0)),
    }
    Ok(Outcome::Done)
}
