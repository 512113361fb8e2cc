//! What a command did, as the append-only log says it.
//!
//! Logged are effects: deterministic, absolute, owned by one shard. How they come about, from the best to the last resort:
//!
//! | the command | what is logged |
//! |---|---|
//! | tells its effects itself ([`Keys::effect`]) | what it tells: `SET k v PXAT t`, not `SETEX k 10 v` |
//! | changed one store, which has all its keys | the command as it came |
//! | takes a list of keys that it writes, on several stores (MSET, DEL) | in each store the command with the keys that live there |
//! | changed several stores, or one by what it read of another | in each store the keys that it wrote, as they are now: DEL or RESTORE |
//!
//! A command that had nothing to do, or failed, leaves nothing. Whether something has changed says the store's count of changes.

use super::row::{Begin, Find, flag, key};
use super::{Command, Cx, Done, KeySpec};
use crate::persist::dump;
use crate::resp::Args;
use crate::store::Keys;

/// Commands that can change keys have one of these flags.
pub const CHANGES: u32 = flag::WRITE | flag::MAY_REPLICATE;
/// What a spec's keys are to the command, if it writes them.
const WRITES: u32 = key::RW | key::OW | key::RM;

/// Runs a command, whose stores are in hand. Its effects are in their logs then, and the unit open.
pub fn run(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if cx.row.flags & CHANGES == 0 || !cx.keys.hand.logs() {
        return (cx.row.run)(cx, args);
    }
    cx.keys.hand.begin_logs();
    let done = (cx.row.run)(cx, args);
    tell(&mut cx.keys, cx.row, args, done.is_ok());
    done
}

/// Logs what a command has changed and not told.
fn tell(keys: &mut Keys<'_>, row: &Command, args: Args<'_>, ok: bool) {
    if let Some(shard) = keys.hand.only() {
        if keys.hand.peek(shard).owes_effects() {
            tell_one(keys, shard, row, args, ok, true);
        }
        return;
    }
    for shard in keys.hand.set().iter() {
        if keys.hand.peek(shard).owes_effects() {
            let whole = lives_on(keys, row, args, shard);
            tell_one(keys, shard, row, args, ok, whole);
        }
    }
}

/// What it changed in one store; `whole`: all its keys live there.
fn tell_one(keys: &mut Keys<'_>, shard: usize, row: &Command, args: Args<'_>, ok: bool, whole: bool) {
    if whole && ok {
        let db = keys.db;
        let name = own_name(row, args);
        let words = args.iter().enumerate().map(|(i, word)| if i == 0 { name } else { word });
        keys.hand.store(shard).log.effect(db, words);
    } else if ok && let Some(step) = list_of_written(row) {
        tell_part(keys, shard, row, args, step);
    } else {
        tell_states(keys, shard, row, args);
    }
}

/// The name of a command in a log: as it came, unless the client calls it by another name.
#[inline]
fn own_name<'a>(row: &Command, args: Args<'a>) -> &'a [u8] {
    if is_own_name(row, args.at(0)) { args.at(0) } else { own_word(row).as_bytes() }
}

#[inline]
fn is_own_name(row: &Command, name: &[u8]) -> bool {
    own_word(row).as_bytes().eq_ignore_ascii_case(name)
}

/// The first word of a command, by the row of it or of its subcommand.
#[inline]
fn own_word(row: &Command) -> &'static str {
    if row.is_subcommand() { row.full_name.split('|').next().unwrap_or(row.full_name) } else { row.name }
}

/// Whether all keys of a command live on a shard.
fn lives_on(keys: &Keys<'_>, row: &Command, args: Args<'_>, shard: usize) -> bool {
    let route = keys.hand.route();
    let mut all = true;
    for spec in row.keys {
        all &= spec.begin != Begin::Unknown;
        spec.each(args, &mut |i| all &= route.owner(args.at(i)) == shard);
    }
    all
}

/// The step of a command whose keys are all arguments at that distance, and all written.
fn list_of_written(row: &Command) -> Option<usize> {
    match row.keys {
        [KeySpec { begin: Begin::Index(1), find: Find::Range { last: -1, step, limit: 0 }, flags, .. }]
            if flags & WRITES != 0 =>
        {
            Some(*step)
        }
        _ => None,
    }
}

/// The command with those of its keys that live on a shard.
fn tell_part(keys: &mut Keys<'_>, shard: usize, row: &Command, args: Args<'_>, step: usize) {
    let (db, route) = (keys.db, keys.hand.route());
    let mut words = vec![own_name(row, args)];
    for i in (1..args.len()).step_by(step) {
        if route.owner(args.at(i)) == shard {
            words.extend(args.range(i, (i + step).min(args.len())).iter());
        }
    }
    keys.hand.store(shard).log.effect(db, words.into_iter());
}

/// The keys on a shard that a command says it writes, as they are now.
fn tell_states(keys: &mut Keys<'_>, shard: usize, row: &Command, args: Args<'_>) {
    let route = keys.hand.route();
    let (mut written, mut known) = (Vec::new(), true);
    for spec in row.keys.iter().filter(|spec| spec.flags & WRITES != 0) {
        known &= spec.begin != Begin::Unknown;
        spec.each(args, &mut |i| written.push(args.at(i)));
    }
    written.retain(|key| route.owner(key) == shard);
    debug_assert!(known && !written.is_empty(), "{} changed a key that it does not name", row.full_name);
    written.into_iter().for_each(|key| tell_state(keys, key));
}

/// Logs a key as it is now.
pub fn tell_state(keys: &mut Keys<'_>, key: &[u8]) {
    if !keys.logs(key) {
        return;
    }
    let Some(entry) = keys.peek(key) else { return keys.effect(key, &[b"DEL", key]) };
    let payload = dump::dump(entry.view(), true);
    let mut digits = itoa::Buffer::new();
    let expire_at = digits.format(entry.expire_at().unwrap_or(0)).as_bytes();
    keys.effect(key, &[b"RESTORE", key, expire_at, &payload, b"REPLACE", b"ABSTTL"]);
}

/// A key was given a result that the arguments alone do not lead to, if they came from other stores.
pub fn tell_result(keys: &mut Keys<'_>, key: &[u8]) {
    if keys.hand.only().is_none() {
        tell_state(keys, key);
    }
}

/// Logs a brief command that ran on a store, and closes its unit. `raw`: the command as RESP, if it came so.
#[inline]
pub fn tell_brief(
    keys: &mut Keys<'_>,
    shard: usize,
    row: &Command,
    (args, raw): (Args<'_>, Option<&[u8]>),
    ok: bool,
) {
    let db = keys.db;
    let store = keys.hand.store(shard);
    if store.owes_effects() {
        match raw {
            Some(raw) if ok && is_own_name(row, args.at(0)) => store.log.verbatim(db, raw),
            _ => tell_one(keys, shard, row, args, ok, true),
        }
    }
    keys.hand.store(shard).log.seal();
}

#[cfg(test)]
mod tests;
