//! Reading fields: HGET, HMGET, HEXISTS, HSTRLEN; HLEN; all of them: HGETALL, HKEYS, HVALS.

use super::lookup::{Asked, ask, bury, due, reply_name, text};
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hash::{Field, Found, Hash};
use crate::resp::{Args, Error, Out};

const HGET: Command = Command {
    name: "hget",
    full_name: "hget",
    arity: 3,
    flags: flag::READONLY | flag::FAST,
    categories: category::HASH,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    run: hget,
    summary: "Gives the value of a field.",
    since: "2.0.0",
    group: "hash",
    syntax: "key:key field:string",
    ..Command::BASE
};

const HGETALL: Command = Command {
    name: "hgetall",
    full_name: "hgetall",
    arity: 2,
    flags: flag::READONLY | flag::HEAVY,
    run: hgetall,
    summary: "Gives all fields and their values.",
    complexity: "O(N) for a hash of N fields.",
    syntax: "key:key",
    tips: &["nondeterministic_output_order"],
    ..HGET
};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    HGET,
    Command {
        name: "hmget",
        full_name: "hmget",
        arity: -3,
        run: hmget,
        summary: "Gives the values of several fields.",
        complexity: "O(N) for N fields asked for.",
        syntax: "key:key field:string ...",
        ..HGET
    },
    Command {
        name: "hexists",
        full_name: "hexists",
        keys: &[KeySpec::one(1, key::RO)],
        run: hexists,
        summary: "Tells whether a hash has a field.",
        ..HGET
    },
    Command {
        name: "hstrlen",
        full_name: "hstrlen",
        keys: &[KeySpec::one(1, key::RO)],
        run: hstrlen,
        summary: "Gives the length of a field's value, in bytes.",
        since: "3.2.0",
        ..HGET
    },
    Command {
        name: "hlen",
        full_name: "hlen",
        arity: 2,
        keys: &[KeySpec::one(1, key::RO)],
        run: hlen,
        summary: "Counts the fields of a hash.",
        syntax: "key:key",
        ..HGET
    },
    HGETALL,
    Command {
        name: "hkeys",
        full_name: "hkeys",
        run: hkeys,
        summary: "Gives the names of all fields.",
        ..HGETALL
    },
    Command {
        name: "hvals",
        full_name: "hvals",
        run: hvals,
        summary: "Gives the values of all fields.",
        ..HGETALL
    },
];

/// Looks a field up for reading and replies with what `reply` makes of it.
#[inline]
fn with_field(cx: &mut Cx<'_>, args: Args<'_>, reply: impl FnOnce(&mut Out, Option<Found<'_>>)) -> Done {
    let (key, field, now_ms) = (args.at(1), args.at(2), cx.keys.now.ms());
    let found = match cx.keys.look::<Hash>(key)? {
        None => None,
        Some(hash) => match ask(hash, field, now_ms) {
            Asked::There(found) => Some(found),
            Asked::Absent => None,
            Asked::Due => {
                bury(cx, key, &[field])?;
                None
            }
        },
    };
    reply(cx.out, found);
    Ok(Outcome::Done)
}

fn hget(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    with_field(cx, args, reply_value)
}

#[inline]
fn reply_value(out: &mut Out, found: Option<Found<'_>>) {
    match found {
        Some(found) => text(&found.value).reply(out),
        None => out.null(),
    }
}

fn hexists(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    with_field(cx, args, |out, found| out.int(found.is_some() as i64))
}

fn hstrlen(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    with_field(cx, args, |out, found| out.int(found.map_or(0, |found| text(&found.value).len() as i64)))
}

fn hmget(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (key, now_ms) = (args.at(1), cx.keys.now.ms());
    let hash = cx.keys.look::<Hash>(key)?;
    let mut past = Vec::new();
    cx.out.array(args.len() - 2);
    for field in args.from(2).iter() {
        match hash.map_or(Asked::Absent, |hash| ask(hash, field, now_ms)) {
            Asked::There(found) => text(&found.value).reply(cx.out),
            Asked::Absent => cx.out.null(),
            Asked::Due => {
                past.push(field);
                cx.out.null();
            }
        }
    }
    if !past.is_empty() {
        bury(cx, key, &past)?;
    }
    Ok(Outcome::Done)
}

fn hlen(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let len = cx.keys.look::<Hash>(args.at(1))?.map_or(0, Hash::len);
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

fn hgetall(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    all(cx, args, Out::map, |out, field| {
        reply_name(out, &field);
        text(&field.value).reply(out);
    })
}

fn hkeys(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    all(cx, args, Out::array, |out, field| reply_name(out, &field))
}

fn hvals(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    all(cx, args, Out::array, |out, field| text(&field.value).reply(out))
}

/// Replies with every field that is not past its time, behind a head that says how many those are.
fn all(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    head: fn(&mut Out, usize),
    reply: impl Fn(&mut Out, Field<'_>),
) -> Result<Outcome, Error> {
    let now_ms = cx.keys.now.ms();
    let Some(hash) = cx.keys.look::<Hash>(args.at(1))? else {
        head(cx.out, 0);
        return Ok(Outcome::Done);
    };
    let past = match hash.min_expire() {
        Some(at) if at <= now_ms => hash.iter().filter(|field| due(field.expire_at, now_ms)).count(),
        _ => 0,
    };
    head(cx.out, hash.len() - past);
    let out = &mut *cx.out;
    hash.for_each(&mut |field| {
        if past == 0 || !due(field.expire_at, now_ms) {
            reply(out, field);
        }
    });
    Ok(Outcome::Done)
}
