//! Values that are numbers: HINCRBY, HINCRBYFLOAT. The field keeps its expiry.

use super::lookup::{Asked, ask, note_changes, shape, text};
use crate::base::longdouble::LongDouble;
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::strings::Text;
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hash::{Expiry, Hash};
use crate::resp::{Args, Error};
use crate::store::int_of;

const HINCRBY: Command = Command {
    name: "hincrby",
    full_name: "hincrby",
    arity: 4,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    categories: category::HASH,
    keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE)],
    plan: Plan::Owner,
    run: hincrby,
    summary: "Adds to the integer that a field holds; no field counts as 0.",
    since: "2.0.0",
    group: "hash",
    syntax: "key:key field:string increment:integer",
    ..Command::BASE
};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    HINCRBY,
    Command {
        name: "hincrbyfloat",
        full_name: "hincrbyfloat",
        run: hincrbyfloat,
        summary: "Adds to the number that a field holds, integer or not; no field counts as 0.",
        since: "2.6.0",
        syntax: "key:key field:string increment:double",
        ..HINCRBY
    },
];

fn hincrby(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let by = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
    let add = |old: Option<Text<'_>>| {
        let old = match old {
            None => Some(0),
            Some(Text::Int(n)) => Some(n),
            Some(old) => old.with(int_of),
        };
        let old = old.ok_or(Error::text_of("ERR hash value is not an integer"))?;
        old.checked_add(by).ok_or(Error::Overflow)
    };
    let sum = change(cx, args, add, |sum, write| write(itoa::Buffer::new().format(*sum).as_bytes()))?;
    cx.out.int(sum);
    Ok(Outcome::Done)
}

fn hincrbyfloat(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let by = LongDouble::parse(args.at(3)).ok_or(Error::NotFloat)?;
    if by.is_infinite() {
        return Err(Error::text_of("ERR value is NaN or Infinity"));
    }
    let add = |old: Option<Text<'_>>| {
        let old = match old {
            None => Some(LongDouble::default()),
            Some(Text::Int(n)) => Some(LongDouble::from(n)),
            Some(old) => old.with(LongDouble::parse),
        };
        let old = old.ok_or(Error::text_of("ERR hash value is not a float"))?;
        Ok(old.checked_add(by).ok_or(Error::NanOrInfinity)?.to_text())
    };
    let sum = change(cx, args, add, |sum, write| write(sum))?;
    cx.out.bulk(&sum);
    Ok(Outcome::Done)
}

/// Lets `f` make a new value of a field's old one; `write` gives the text of it. After an error nothing has changed.
fn change<T>(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    f: impl FnOnce(Option<Text<'_>>) -> Result<T, Error>,
    write: impl FnOnce(&T, &mut dyn FnMut(&[u8])),
) -> Result<T, Error> {
    let (key, field, now_ms) = (args.at(1), args.at(2), cx.keys.now.ms());
    let shape = shape(cx);
    let mut hash = cx.keys.edit_or(key, Hash::new)?;
    let (new, past) = match ask(&hash, field, now_ms) {
        Asked::There(found) => (f(Some(text(&found.value))), false),
        Asked::Absent => (f(None), false),
        Asked::Due => (f(None), true),
    };
    let new = match new {
        Ok(new) => new,
        Err(error) => {
            hash.sweep();
            return Err(error);
        }
    };
    let expiry = if past { Expiry::Clear } else { Expiry::Keep };
    write(&new, &mut |text| {
        hash.set(field, text, expiry, &shape);
    });
    drop(hash);
    cx.keys.fields_expired(key, past as usize);
    note_changes(cx, key, 1);
    Ok(new)
}
