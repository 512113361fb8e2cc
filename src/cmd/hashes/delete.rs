//! Removing fields: HDEL, HGETDEL. The key goes with its last field.

use super::lookup::{Asked, ask, note_changes, tell_removed, text};
use super::times::Fields;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hash::Hash;
use crate::resp::Args;

const HDEL: Command = Command {
    name: "hdel",
    full_name: "hdel",
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    categories: category::HASH,
    keys: &[KeySpec::one(1, key::RW | key::DELETE)],
    plan: Plan::Owner,
    run: hdel,
    summary: "Removes fields, and the hash when none is left.",
    since: "2.0.0",
    group: "hash",
    complexity: "O(N) for N fields to remove.",
    syntax: "key:key field:string ...",
    ..Command::BASE
};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    HDEL,
    Command {
        name: "hgetdel",
        full_name: "hgetdel",
        arity: -5,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::DELETE)],
        run: hgetdel,
        summary: "Gives the values of fields and removes them, and the hash when none is left.",
        since: "8.0.0",
        syntax: "key:key FIELDS fields:(numfields:integer field:string ...)",
        ..HDEL
    },
];

/// As in Redis, a field past its time that nobody has met counts as one that was there.
fn hdel(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let mut removed = 0;
    if let Some(mut hash) = cx.keys.edit::<Hash>(key)? {
        removed = args.from(2).iter().filter(|field| hash.remove(field)).count();
        hash.sweep();
    }
    note_changes(cx, key, removed);
    cx.out.int(removed as i64);
    Ok(Outcome::Done)
}

fn hgetdel(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (key, now_ms) = (args.at(1), cx.keys.now.ms());
    // The type comes before the arguments.
    let Some(mut hash) = cx.keys.edit::<Hash>(key)? else {
        let fields = Fields::of_reader(args, 2)?;
        cx.out.array(fields.len());
        fields.iter().for_each(|_| cx.out.null());
        return Ok(Outcome::Done);
    };
    let fields = Fields::of_reader(args, 2)?;
    let (mut removed, mut past, mut names) = (0, 0, Vec::new());
    cx.out.array(fields.len());
    for field in fields.iter() {
        match ask(&hash, field, now_ms) {
            Asked::There(found) => {
                text(&found.value).reply(cx.out);
                removed += 1;
            }
            Asked::Absent => {
                cx.out.null();
                continue;
            }
            Asked::Due => {
                cx.out.null();
                past += 1;
            }
        }
        hash.remove(field);
        names.push(field);
    }
    hash.sweep();
    cx.keys.count_fields_gone(key, past);
    note_changes(cx, key, removed);
    tell_removed(cx, key, &names);
    Ok(Outcome::Done)
}
