//! Reading and writing fields together with their expiries: HGETEX, HSETEX (of Redis 8).

use super::lookup::{Asked, ask, note_changes, shape, tell_expiry, tell_removed, text};
use super::times::{Fields, Unit};
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hash::{Expiry, Hash};
use crate::resp::{Args, Error};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "hgetex",
        full_name: "hgetex",
        arity: -5,
        flags: flag::WRITE | flag::FAST,
        categories: category::HASH,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE).with_notes("It changes expiries.")],
        plan: Plan::Owner,
        run: hgetex,
        summary: "Gives the values of fields and sets or removes their expiry.",
        since: "8.0.0",
        group: "hash",
        complexity: "O(N) for N fields.",
        syntax: "key:key [expiration:(EX seconds:integer | PX milliseconds:integer | EXAT unix-time-seconds:unix-time \
                 | PXAT unix-time-milliseconds:unix-time | persist=PERSIST)] \
                 FIELDS fields:(numfields:integer field:string ...)",
        ..Command::BASE
    },
    Command {
        name: "hsetex",
        full_name: "hsetex",
        arity: -6,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        categories: category::HASH,
        keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
        plan: Plan::Owner,
        run: hsetex,
        summary: "Sets fields and their expiry.",
        since: "8.0.0",
        group: "hash",
        complexity: "O(N) for N fields.",
        syntax: "key:key [condition:(fnx=FNX | fxx=FXX)] \
                 [expiration:(EX seconds:integer | PX milliseconds:integer | EXAT unix-time-seconds:unix-time \
                 | PXAT unix-time-milliseconds:unix-time | keepttl=KEEPTTL)] \
                 FIELDS fields:(numfields:integer data:(field:string value:string) ...)",
        ..Command::BASE
    },
];

/// What HGETEX does to the expiries.
#[derive(Clone, Copy)]
enum Change {
    Nothing,
    Persist,
    /// Unix ms.
    At(i64),
}

impl Change {
    fn expire_at(self) -> Option<i64> {
        match self {
            Change::At(at) => Some(at),
            Change::Nothing | Change::Persist => None,
        }
    }
}

fn parse_hgetex<'a>(
    args: Args<'a>,
    now_ms: i64,
    command: &'static str,
) -> Result<(Change, Fields<'a>), Error> {
    let (change, at) = if let Some(unit) = Unit::of(args.at(2)) {
        (Change::At(unit.time(args.at(3), now_ms, command)?), 4)
    } else if args.is(2, "persist") {
        (Change::Persist, 3)
    } else {
        (Change::Nothing, 2)
    };
    Ok((change, Fields::of_reader(args, at)?))
}

fn hgetex(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (key, now_ms, command) = (args.at(1), cx.keys.now.ms(), cx.row.full_name);
    // The type comes before the arguments.
    let Some(mut hash) = cx.keys.edit::<Hash>(key)? else {
        let (_, fields) = parse_hgetex(args, cx.env.now.ms(), command)?;
        cx.out.array(fields.len());
        fields.iter().for_each(|_| cx.out.null());
        return Ok(Outcome::Done);
    };
    let (change, fields) = parse_hgetex(args, cx.env.now.ms(), command)?;
    if !matches!(change, Change::Nothing) {
        hash.carry_expiries();
    }
    let (mut gone, mut set, mut changed) = (Vec::new(), Vec::new(), 0);
    cx.out.array(fields.len());
    for field in fields.iter() {
        let had = match ask(&hash, field, now_ms) {
            Asked::Absent => {
                cx.out.null();
                continue;
            }
            Asked::Due => {
                cx.out.null();
                hash.remove(field);
                gone.push(field);
                continue;
            }
            Asked::There(found) => {
                text(&found.value).reply(cx.out);
                found.expire_at
            }
        };
        match change {
            Change::Nothing => continue,
            Change::Persist if had.is_none() => continue,
            Change::At(at) if at <= now_ms => {
                hash.remove(field);
                gone.push(field);
            }
            Change::Persist | Change::At(_) => {
                hash.set_expire(field, change.expire_at());
                set.push(field);
            }
        }
        changed += 1;
    }
    hash.sweep();
    cx.keys.count_fields_gone(key, gone.len());
    note_changes(cx, key, changed);
    tell_removed(cx, key, &gone);
    tell_expiry(cx, key, change.expire_at(), &set);
    Ok(Outcome::Done)
}

/// When HSETEX sets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// FNX
    NoneThere,
    /// FXX
    AllThere,
}

/// What HSETEX gives the fields.
#[derive(Clone, Copy)]
enum Given {
    /// KEEPTTL
    Keep,
    /// Unix ms.
    At(i64),
}

/// What HSETEX was asked for.
struct Wish<'a> {
    when: Option<When>,
    given: Option<Given>,
    /// Fields and values in turn.
    pairs: Args<'a>,
}

impl<'a> Wish<'a> {
    fn parse(args: Args<'a>, now_ms: i64, command: &'static str) -> Result<Wish<'a>, Error> {
        let (mut when, mut given) = (None, None);
        let mut i = 2;
        while i < args.len() {
            let word = args.at(i);
            if args.is(i, "fields") {
                return Ok(Wish { when, given, pairs: pairs(args, i, command)? });
            }
            let unit = Unit::of(word);
            if unit.is_some() || args.is(i, "keepttl") {
                if given.is_some() {
                    return Err(Error::text_of(
                        "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                    ));
                }
                given = Some(match unit {
                    None => Given::Keep,
                    Some(unit) => {
                        i += 1;
                        let time = args.get(i).ok_or(Error::text_of("ERR missing expire time"))?;
                        Given::At(unit.time(time, now_ms, command)?)
                    }
                });
            } else if args.is(i, "fxx") || args.is(i, "fnx") {
                let said = if args.is(i, "fxx") { When::AllThere } else { When::NoneThere };
                if when.replace(said).is_some() {
                    return Err(Error::text_of("ERR Only one of FXX or FNX arguments can be specified"));
                }
            } else {
                return Err(Error::quote("ERR unknown argument: ", word, ""));
            }
            i += 1;
        }
        Err(Error::Arity(command))
    }
}

/// The fields and values behind `FIELDS n`, which is argument `at`.
fn pairs<'a>(args: Args<'a>, at: usize, command: &'static str) -> Result<Args<'a>, Error> {
    if at + 3 >= args.len() {
        return Err(Error::Arity(command));
    }
    let number = parse_i64(args.at(at + 1)).filter(|n| (1..=i64::from(i32::MAX)).contains(n));
    let number = number.ok_or(Error::text_of("ERR invalid number of fields"))?;
    let rest = args.from(at + 2);
    if !rest.len().is_multiple_of(2) || number as usize != rest.len() / 2 {
        return Err(Error::Arity(command));
    }
    Ok(rest)
}

fn hsetex(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (key, now_ms) = (args.at(1), cx.keys.now.ms());
    let wish = Wish::parse(args, cx.env.now.ms(), cx.row.full_name)?;
    let shape = shape(cx);
    let mut hash = cx.keys.edit_or(key, Hash::new)?;
    let (holds, past) = holds(&mut hash, &wish, now_ms);
    if !holds {
        hash.sweep();
        cx.keys.fields_gone(key, &past);
        cx.out.int(0);
        return Ok(Outcome::Done);
    }
    if matches!(wish.given, Some(Given::At(_))) {
        hash.carry_expiries();
    }
    let mut gone = past.len();
    for i in (0..wish.pairs.len()).step_by(2) {
        let field = wish.pairs.at(i);
        // What has come to its end is not kept.
        let keeps = wish.given.is_some() && !matches!(ask(&hash, field, now_ms), Asked::Due);
        hash.set(field, wish.pairs.at(i + 1), if keeps { Expiry::Keep } else { Expiry::Clear }, &shape);
        match wish.given {
            Some(Given::At(at)) if at > now_ms => drop(hash.set_expire(field, Some(at))),
            Some(Given::At(_)) => {
                hash.remove(field);
                gone += 1;
            }
            Some(Given::Keep) | None => {}
        }
    }
    hash.sweep();
    cx.keys.count_fields_gone(key, gone);
    note_changes(cx, key, wish.pairs.len() / 2);
    tell_set(cx, key, &wish);
    cx.out.int(1);
    Ok(Outcome::Done)
}

/// Says for the log what HSETEX did: the values, then the expiries, which HSET takes away.
fn tell_set(cx: &mut Cx<'_>, key: &[u8], wish: &Wish<'_>) {
    if !cx.keys.logs(key) {
        return;
    }
    let names: Vec<&[u8]> = wish.pairs.iter().step_by(2).collect();
    match wish.given {
        Some(Given::At(at)) if at <= cx.keys.now.ms() => {
            return tell_removed(cx, key, &names);
        }
        _ => {
            let words: Vec<&[u8]> = [b"HSET", key].into_iter().chain(wish.pairs.iter()).collect();
            cx.keys.effect(key, &words);
        }
    }
    match wish.given {
        None => {}
        Some(Given::At(at)) => tell_expiry(cx, key, Some(at), &names),
        Some(Given::Keep) => {
            let Some(hash) = cx.keys.again::<Hash>(key) else { return };
            let kept = |name| Some((name, hash.get(name)?.expire_at?));
            let kept: Vec<(&[u8], i64)> = names.into_iter().filter_map(kept).collect();
            kept.into_iter().for_each(|(name, at)| tell_expiry(cx, key, Some(at), &[name]));
        }
    }
}

/// Whether the condition holds, and which fields past their time were removed while it was looked at.
fn holds<'a>(hash: &mut Hash, wish: &Wish<'a>, now_ms: i64) -> (bool, Vec<&'a [u8]>) {
    let mut past = Vec::new();
    let Some(when) = wish.when else { return (true, past) };
    for field in wish.pairs.iter().step_by(2) {
        let there = match ask(hash, field, now_ms) {
            Asked::There(_) => true,
            Asked::Absent => false,
            Asked::Due => {
                hash.remove(field);
                past.push(field);
                false
            }
        };
        if there != (when == When::AllThere) {
            return (false, past);
        }
    }
    (true, past)
}
