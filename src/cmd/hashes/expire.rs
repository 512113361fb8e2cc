//! When fields go: HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT, HPERSIST.
//!
//! A time that has passed removes the field at once. The reply has a number for each field:
//!
//! | | |
//! |---|---|
//! | -2 | no such field |
//! | -1 | HPERSIST: it has no expiry |
//! | 0 | the condition does not hold |
//! | 1 | done |
//! | 2 | removed at once |

use super::lookup::{Asked, ask, note_changes, tell_expiry, tell_removed};
use super::times::{Fields, Unit};
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hash::Hash;
use crate::resp::{Args, Error};

const NO_FIELD: i64 = -2;
const NO_EXPIRY: i64 = -1;
const NOT_MET: i64 = 0;
const DONE: i64 = 1;
const REMOVED: i64 = 2;

const SETS: Command = Command {
    arity: -6,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    categories: category::HASH,
    keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
    plan: Plan::Owner,
    since: "7.4.0",
    group: "hash",
    complexity: "O(N) for N fields.",
    ..Command::BASE
};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "hexpire",
        full_name: "hexpire",
        run: hexpire,
        summary: "Lets fields expire after some seconds.",
        syntax: "key:key seconds:integer [condition:(nx=NX | xx=XX | gt=GT | lt=LT)] \
                 FIELDS fields:(numfields:integer field:string ...)",
        ..SETS
    },
    Command {
        name: "hpexpire",
        full_name: "hpexpire",
        run: hpexpire,
        summary: "Lets fields expire after some milliseconds.",
        syntax: "key:key milliseconds:integer [condition:(nx=NX | xx=XX | gt=GT | lt=LT)] \
                 FIELDS fields:(numfields:integer field:string ...)",
        ..SETS
    },
    Command {
        name: "hexpireat",
        full_name: "hexpireat",
        run: hexpireat,
        summary: "Lets fields expire at a Unix time in seconds.",
        syntax: "key:key unix-time-seconds:unix-time [condition:(nx=NX | xx=XX | gt=GT | lt=LT)] \
                 FIELDS fields:(numfields:integer field:string ...)",
        ..SETS
    },
    Command {
        name: "hpexpireat",
        full_name: "hpexpireat",
        run: hpexpireat,
        summary: "Lets fields expire at a Unix time in milliseconds.",
        syntax: "key:key unix-time-milliseconds:unix-time [condition:(nx=NX | xx=XX | gt=GT | lt=LT)] \
                 FIELDS fields:(numfields:integer field:string ...)",
        ..SETS
    },
    Command {
        name: "hpersist",
        full_name: "hpersist",
        arity: -5,
        flags: flag::WRITE | flag::FAST,
        run: hpersist,
        summary: "Removes the expiry of fields.",
        syntax: "key:key FIELDS fields:(numfields:integer field:string ...)",
        ..SETS
    },
];

/// When a time applies.
#[derive(Clone, Copy)]
enum Condition {
    Always,
    Nx,
    Xx,
    Gt,
    Lt,
}

impl Condition {
    fn of(args: Args<'_>, at: usize) -> Condition {
        let words =
            [("nx", Condition::Nx), ("xx", Condition::Xx), ("gt", Condition::Gt), ("lt", Condition::Lt)];
        words
            .iter()
            .find(|(word, _)| args.is(at, word))
            .map_or(Condition::Always, |(_, condition)| *condition)
    }

    /// Whether `at` may replace the time that a field has. No time at all counts as the latest.
    fn allows(self, current: Option<i64>, at: i64) -> bool {
        match self {
            Condition::Always => true,
            Condition::Nx => current.is_none(),
            Condition::Xx => current.is_some(),
            Condition::Gt => current.is_some_and(|current| at > current),
            Condition::Lt => current.is_none_or(|current| at < current),
        }
    }
}

fn hexpire(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    expire_in(cx, args, Unit { seconds: true, absolute: false })
}

fn hpexpire(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    expire_in(cx, args, Unit { seconds: false, absolute: false })
}

fn hexpireat(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    expire_in(cx, args, Unit { seconds: true, absolute: true })
}

fn hpexpireat(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    expire_in(cx, args, Unit { seconds: false, absolute: true })
}

/// Time, condition and fields of a call.
fn parse<'a>(
    args: Args<'a>,
    unit: Unit,
    now_ms: i64,
    command: &'static str,
) -> Result<(i64, Condition, Fields<'a>), Error> {
    let at = unit.time(args.at(2), now_ms, command)?;
    let condition = Condition::of(args, 3);
    let fields = Fields::of_setter(args, if matches!(condition, Condition::Always) { 3 } else { 4 })?;
    Ok((at, condition, fields))
}

fn expire_in(cx: &mut Cx<'_>, args: Args<'_>, unit: Unit) -> Done {
    let (key, now_ms, command) = (args.at(1), cx.keys.now.ms(), cx.row.full_name);
    // The type comes before the arguments.
    let Some(mut hash) = cx.keys.edit::<Hash>(key)? else {
        let (.., fields) = parse(args, unit, cx.env.now.ms(), command)?;
        return no_fields(cx, fields);
    };
    let (at, condition, fields) = parse(args, unit, cx.env.now.ms(), command)?;
    hash.carry_expiries();
    let (mut changed, mut gone, mut set) = (0, Vec::new(), Vec::new());
    cx.out.array(fields.len());
    for field in fields.iter() {
        let code = match ask(&hash, field, now_ms) {
            Asked::Absent => NO_FIELD,
            Asked::Due => {
                hash.remove(field);
                gone.push(field);
                NO_FIELD
            }
            Asked::There(found) if !condition.allows(found.expire_at, at) => NOT_MET,
            Asked::There(_) if at <= now_ms => {
                hash.remove(field);
                gone.push(field);
                changed += 1;
                REMOVED
            }
            Asked::There(_) => {
                hash.set_expire(field, Some(at));
                set.push(field);
                changed += 1;
                DONE
            }
        };
        cx.out.int(code);
    }
    hash.sweep();
    cx.keys.count_fields_gone(key, gone.len());
    note_changes(cx, key, changed);
    tell_removed(cx, key, &gone);
    tell_expiry(cx, key, Some(at), &set);
    Ok(Outcome::Done)
}

/// The reply where there is no hash.
fn no_fields(cx: &mut Cx<'_>, fields: Fields<'_>) -> Done {
    cx.out.array(fields.len());
    fields.iter().for_each(|_| cx.out.int(NO_FIELD));
    Ok(Outcome::Done)
}

fn hpersist(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (key, now_ms) = (args.at(1), cx.keys.now.ms());
    let Some(mut hash) = cx.keys.edit::<Hash>(key)? else {
        let fields = Fields::of_reader(args, 2)?;
        return no_fields(cx, fields);
    };
    let fields = Fields::of_reader(args, 2)?;
    let mut changed = Vec::new();
    cx.out.array(fields.len());
    for field in fields.iter() {
        let code = match ask(&hash, field, now_ms) {
            Asked::Absent | Asked::Due => NO_FIELD,
            Asked::There(found) if found.expire_at.is_none() => NO_EXPIRY,
            Asked::There(_) => {
                hash.set_expire(field, None);
                changed.push(field);
                DONE
            }
        };
        cx.out.int(code);
    }
    drop(hash);
    note_changes(cx, key, changed.len());
    tell_expiry(cx, key, None, &changed);
    Ok(Outcome::Done)
}
