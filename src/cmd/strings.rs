//! Strings.

use super::row::{category, flag, key};
use super::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::{INLINE_MAX, Payload, Ref, View};
use crate::resp::{Args, Error, Out};
use crate::store::{Value, int_of};
use bytes::Bytes;

/// This family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "get",
        full_name: "get",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
        plan: Plan::Owner,
        run: get,
        summary: "Gives the string that a key holds.",
        group: "string",
        syntax: "key:key",
        ..Command::BASE
    },
    Command {
        name: "set",
        full_name: "set",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE | key::VARIABLE)],
        plan: Plan::Owner,
        run: set,
        summary: "Sets a key to a string, with conditions and a TTL if asked.",
        group: "string",
        syntax: "key:key value:string",
        ..Command::BASE
    },
];

/// The form in which a string is stored.
pub(super) fn payload(text: &[u8]) -> Payload<'_, Value> {
    match int_of(text) {
        Some(n) => Payload::Int(n),
        None if text.len() <= INLINE_MAX => Payload::Bytes(text),
        None => Payload::Boxed(Value::Str(Bytes::copy_from_slice(text))),
    }
}

/// Replies with the string that an entry holds.
#[inline]
pub(super) fn reply_string(out: &mut Out, entry: &Ref<'_, Value>) -> Result<(), Error> {
    match entry.view() {
        View::Int(n) => out.bulk_int(n),
        View::Bytes(b) => out.bulk(b),
        View::Boxed(Value::Str(b)) => out.bulk_shared(b),
    }
    Ok(())
}

fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    match cx.keys.read(args.at(1)) {
        Some(entry) => reply_string(cx.out, &entry)?,
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

fn set(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if args.len() > 3 {
        return Err(Error::Syntax);
    }
    cx.keys.set(args.at(1), payload(args.at(2)), None);
    cx.keys.changed(args.at(1));
    cx.out.ok();
    Ok(Outcome::Done)
}
