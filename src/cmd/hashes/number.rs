//! Values that are numbers: HINCRBY, HINCRBYFLOAT. The field keeps its expiry.

use super::lookup::{Asked, ask, note_changes, shape, tell_expiry, text};
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
    let write = |sum: &i64, write: &mut dyn FnMut(&[u8])| write(itoa::Buffer::new().format(*sum).as_bytes());
    let (sum, was) = change(cx, args, add, write)?;
    if let Was::Due = was {
        // Who replays this still has the field.
        let mut digits = itoa::Buffer::new();
        cx.keys.effect(args.at(1), &[b"HSET", args.at(1), args.at(2), digits.format(sum).as_bytes()]);
    }
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
    let (sum, was) = change(cx, args, add, |sum, write| write(sum))?;
    // Not as it came: the log's reader may round otherwise. HSET takes the expiry away.
    cx.keys.effect(args.at(1), &[b"HSET", args.at(1), args.at(2), &sum]);
    if let Was::There(Some(at)) = was {
        tell_expiry(cx, args.at(1), Some(at), &[args.at(2)]);
    }
    cx.out.bulk(&sum);
    Ok(Outcome::Done)
}

/// What a field was before it was changed.
enum Was {
    /// With this expiry, unix ms.
    There(Option<i64>),
    Absent,
    /// Past its time.
    Due,
}

/// Lets `f` make a new value of a field's old one; `write` gives the text of it. After an error nothing has changed.
fn change<T>(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    f: impl FnOnce(Option<Text<'_>>) -> Result<T, Error>,
    write: impl FnOnce(&T, &mut dyn FnMut(&[u8])),
) -> Result<(T, Was), Error> {
    let (key, field, now_ms) = (args.at(1), args.at(2), cx.keys.now.ms());
    let shape = shape(cx);
    let mut hash = cx.keys.edit_or(key, Hash::new)?;
    let (new, was) = match ask(&hash, field, now_ms) {
        Asked::There(found) => (f(Some(text(&found.value))), Was::There(found.expire_at)),
        Asked::Absent => (f(None), Was::Absent),
        Asked::Due => (f(None), Was::Due),
    };
    let past = matches!(was, Was::Due);
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
    cx.keys.count_fields_gone(key, past as usize);
    note_changes(cx, key, 1);
    Ok((new, was))
}
