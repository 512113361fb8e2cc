//! Writing fields: HSET, HMSET, HSETNX. A field that is written loses its expiry.

use super::lookup::{Asked, ask, note_changes, shape};
use crate::cmd::row::Deprecated;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hash::{Expiry, Hash};
use crate::resp::{Args, Error};

const HSET: Command = Command {
    name: "hset",
    full_name: "hset",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    categories: category::HASH,
    keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
    plan: Plan::Owner,
    run: hset,
    summary: "Sets fields, and makes the hash if it is not there.",
    since: "2.0.0",
    group: "hash",
    complexity: "O(N) for N fields.",
    syntax: "key:key field_value:(field:string value:string) ...",
    ..Command::BASE
};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    HSET,
    Command {
        name: "hmset",
        full_name: "hmset",
        run: hmset,
        summary: "Sets fields.",
        deprecated: Some(Deprecated { since: "4.0.0", instead: "`HSET` with multiple field-value pairs" }),
        ..HSET
    },
    Command {
        name: "hsetnx",
        full_name: "hsetnx",
        arity: 4,
        keys: &[KeySpec::one(1, key::RW | key::INSERT)],
        run: hsetnx,
        summary: "Sets a field unless it is there.",
        complexity: "O(1)",
        syntax: "key:key field:string value:string",
        ..HSET
    },
];

fn hset(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let new = set_all(cx, args)?;
    cx.out.int(new as i64);
    Ok(Outcome::Done)
}

fn hmset(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    set_all(cx, args)?;
    cx.out.ok();
    Ok(Outcome::Done)
}

/// Sets the fields; how many were new.
#[inline]
fn set_all(cx: &mut Cx<'_>, args: Args<'_>) -> Result<usize, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::Arity(cx.row.full_name));
    }
    let (key, shape) = (args.at(1), shape(cx));
    let mut hash = cx.keys.edit_or(key, Hash::new)?;
    hash.expect((args.len() - 2) / 2, &shape);
    let pairs = (2..args.len()).step_by(2);
    let new = pairs.filter(|&i| hash.set(args.at(i), args.at(i + 1), Expiry::Clear, &shape)).count();
    drop(hash);
    note_changes(cx, key, (args.len() - 2) / 2);
    Ok(new)
}

fn hsetnx(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (key, field, now_ms) = (args.at(1), args.at(2), cx.keys.now.ms());
    let shape = shape(cx);
    let mut hash = cx.keys.edit_or(key, Hash::new)?;
    let past = match ask(&hash, field, now_ms) {
        Asked::There(_) => {
            drop(hash);
            cx.out.int(0);
            return Ok(Outcome::Done);
        }
        Asked::Absent => false,
        Asked::Due => true,
    };
    hash.set(field, args.at(3), Expiry::Clear, &shape);
    drop(hash);
    cx.keys.count_fields_gone(key, past as usize);
    note_changes(cx, key, 1);
    if past {
        // Who replays this still has the field.
        cx.keys.effect(key, &[b"HSET", key, field, args.at(3)]);
    }
    cx.out.int(1);
    Ok(Outcome::Done)
}
