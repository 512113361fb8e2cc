//! How long fields live: HTTL, HPTTL, HEXPIRETIME, HPEXPIRETIME. A number for each field: -2 where there is no such field,
//! -1 where it has no expiry. Seconds are rounded up.

use super::lookup::{Asked, ask};
use super::times::Fields;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hash::Hash;
use crate::resp::Args;

const GETS: Command = Command {
    arity: -5,
    flags: flag::READONLY | flag::FAST,
    categories: category::HASH,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    since: "7.4.0",
    group: "hash",
    complexity: "O(N) for N fields.",
    syntax: "key:key FIELDS fields:(numfields:integer field:string ...)",
    ..Command::BASE
};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "httl",
        full_name: "httl",
        run: httl,
        summary: "Gives the seconds until fields expire.",
        tips: &["nondeterministic_output"],
        ..GETS
    },
    Command {
        name: "hpttl",
        full_name: "hpttl",
        run: hpttl,
        summary: "Gives the milliseconds until fields expire.",
        tips: &["nondeterministic_output"],
        ..GETS
    },
    Command {
        name: "hexpiretime",
        full_name: "hexpiretime",
        run: hexpiretime,
        summary: "Gives the Unix times in seconds at which fields expire.",
        ..GETS
    },
    Command {
        name: "hpexpiretime",
        full_name: "hpexpiretime",
        run: hpexpiretime,
        summary: "Gives the Unix times in milliseconds at which fields expire.",
        ..GETS
    },
];

fn httl(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let now_ms = cx.keys.now.ms();
    reply_times(cx, args, |at| secs(at - now_ms))
}

fn hpttl(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let now_ms = cx.keys.now.ms();
    reply_times(cx, args, |at| at - now_ms)
}

fn hexpiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply_times(cx, args, secs)
}

fn hpexpiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply_times(cx, args, |at| at)
}

/// Milliseconds in seconds, rounded up.
fn secs(ms: i64) -> i64 {
    (ms + 999) / 1_000
}

fn reply_times(cx: &mut Cx<'_>, args: Args<'_>, answer: impl Fn(i64) -> i64) -> Done {
    let now_ms = cx.keys.now.ms();
    let hash = cx.keys.look::<Hash>(args.at(1))?;
    let fields = Fields::of_reader(args, 2)?;
    cx.out.array(fields.len());
    for field in fields.iter() {
        let time = match hash.map_or(Asked::Absent, |hash| ask(hash, field, now_ms)) {
            Asked::Absent | Asked::Due => -2,
            Asked::There(found) => found.expire_at.map_or(-1, &answer),
        };
        cx.out.int(time);
    }
    Ok(Outcome::Done)
}
