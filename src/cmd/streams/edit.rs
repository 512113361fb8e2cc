//! XDEL, and XSETID, which sets what a stream remembers of ids and entries.

use super::ids::strict_id;
use super::{BASE, reply};
use crate::base::number::parse_i64;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::stream::{Stream, StreamId};
use crate::resp::{Args, Error};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "xdel",
        full_name: "xdel",
        arity: -3,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::DELETE)],
        plan: Plan::Owner,
        run: xdel,
        summary: "Deletes entries of a stream by their ids.",
        complexity: "O(log N) for each id, with N entries in the stream",
        syntax: "key:key id:string ...",
        ..BASE
    },
    Command {
        name: "xsetid",
        full_name: "xsetid",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
        plan: Plan::Owner,
        run: xsetid,
        summary: "Sets the last id of a stream and its counters, as replicas need it.",
        syntax: "key:key last-id:string [ENTRIESADDED entries_added:integer@7.0.0] \
                 [MAXDELETEDID max_deleted_entry_id:string@7.0.0]",
        ..BASE
    },
];

/// Reads ids, all of them before the first is used.
pub(super) fn ids(args: Args<'_>) -> Result<Vec<StreamId>, Error> {
    args.iter().map(|text| strict_id(text, 0)).collect()
}

fn xdel(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(1);
    let mut deleted = 0;
    if let Some(mut stream) = cx.keys.edit::<Stream>(name)? {
        deleted = stream.log.delete(&ids(args.from(2))?);
    }
    reply::changed_by(cx, name, deleted);
    cx.out.int(deleted as i64);
    Ok(Outcome::Done)
}

fn xsetid(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let fail = |text: &'static str| Err(Error::text_of(text));
    let id = strict_id(args.at(2), 0)?;
    let (mut added, mut max_deleted) = (None, StreamId::MIN);
    let mut i = 3;
    while i < args.len() {
        if i + 1 < args.len() && args.is(i, "entriesadded") {
            let number = parse_i64(args.at(i + 1)).ok_or(Error::NotInteger)?;
            let Ok(number) = u64::try_from(number) else {
                return fail("ERR entries_added must be positive");
            };
            added = Some(number);
        } else if i + 1 < args.len() && args.is(i, "maxdeletedid") {
            max_deleted = strict_id(args.at(i + 1), 0)?;
            if id < max_deleted {
                return fail(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                );
            }
        } else {
            return Err(Error::Syntax);
        }
        i += 2;
    }
    let name = args.at(1);
    let Some(mut stream) = cx.keys.edit::<Stream>(name)? else { return Err(Error::NoSuchKey) };
    let log = &mut stream.log;
    if id < log.max_deleted {
        return fail("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
    }
    if log.last_live().is_some_and(|last| id < last) {
        return fail("ERR The ID specified in XSETID is smaller than the target stream top item");
    }
    if !log.is_empty() && added.is_some_and(|added| log.len() > added) {
        return fail("ERR The entries_added specified in XSETID is smaller than the target stream length");
    }
    log.last_id = id;
    log.added = added.unwrap_or(log.added);
    if max_deleted != StreamId::MIN {
        log.max_deleted = max_deleted;
    }
    drop(stream);
    cx.keys.changed_beside(name, 1);
    cx.out.ok();
    Ok(Outcome::Done)
}
