//! XGROUP: makes and removes groups and their consumers.

use super::ids::{any_id, strict_id};
use super::{BASE, reply};
use crate::base::number::parse_i64;
use crate::cmd::help::help;
use crate::cmd::row::{category, flag, key};
use crate::cmd::unknown::unknown_or_arity;
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::stream::{Stream, StreamId};
use crate::resp::{Args, Error};

/// This file's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "xgroup",
    full_name: "xgroup",
    arity: -2,
    categories: 0,
    subcommands: &[CREATE, SETID, DESTROY, CREATECONSUMER, DELCONSUMER, HELP],
    summary: "Holds the commands that make and remove consumer groups.",
    complexity: "Depends on the subcommand.",
    ..BASE
}];

const SUB: Command = Command { flags: flag::WRITE, plan: Plan::Owner, ..BASE };
const INSERTS: &[KeySpec] = &[KeySpec::one(2, key::RW | key::INSERT)];
const UPDATES: &[KeySpec] = &[KeySpec::one(2, key::RW | key::UPDATE)];
const DELETES: &[KeySpec] = &[KeySpec::one(2, key::RW | key::DELETE)];

const CREATE: Command = Command {
    name: "create",
    full_name: "xgroup|create",
    arity: -5,
    flags: flag::WRITE | flag::DENYOOM,
    keys: INSERTS,
    run: xgroup_create,
    summary: "Makes a consumer group.",
    syntax: "key:key groupname:string id:(id:string | new_id=$) [mkstream=MKSTREAM] \
             [ENTRIESREAD entries_read:integer]",
    ..SUB
};

const SETID: Command = Command {
    name: "setid",
    full_name: "xgroup|setid",
    arity: -5,
    keys: UPDATES,
    run: xgroup_setid,
    summary: "Sets the last id that a group was given.",
    syntax: "key:key groupname:string id:(id:string | new_id=$) [ENTRIESREAD entries_read:integer]",
    ..SUB
};

const DESTROY: Command = Command {
    name: "destroy",
    full_name: "xgroup|destroy",
    arity: 4,
    keys: DELETES,
    run: xgroup_destroy,
    summary: "Removes a consumer group.",
    complexity: "O(N), N being the number of entries pending in the group",
    syntax: "key:key groupname:string",
    ..SUB
};

const CREATECONSUMER: Command = Command {
    name: "createconsumer",
    full_name: "xgroup|createconsumer",
    arity: 5,
    flags: flag::WRITE | flag::DENYOOM,
    keys: INSERTS,
    run: xgroup_createconsumer,
    summary: "Makes a consumer of a group.",
    since: "6.2.0",
    syntax: "key:key groupname:string consumername:string",
    ..SUB
};

const DELCONSUMER: Command = Command {
    name: "delconsumer",
    full_name: "xgroup|delconsumer",
    arity: 5,
    keys: DELETES,
    run: xgroup_delconsumer,
    summary: "Removes a consumer of a group, and what it has not acknowledged.",
    complexity: "O(N log M), with N of the group's M pending entries being the consumer's",
    syntax: "key:key groupname:string consumername:string",
    ..SUB
};

const HELP: Command = Command {
    name: "help",
    full_name: "xgroup|help",
    arity: 2,
    flags: flag::LOADING | flag::STALE,
    categories: category::STREAM,
    run: xgroup_help,
    summary: "Lists the subcommands.",
    ..BASE
};

const NO_KEY: &str = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
     MKSTREAM option to create an empty stream automatically.";
const BUSY: &str = "BUSYGROUP Consumer Group name already exists";
const BAD_ENTRIES_READ: &str = "ERR value for ENTRIESREAD must be positive or -1";

/// What may follow the id of CREATE and SETID.
#[derive(Default)]
struct Options {
    mkstream: bool,
    entries_read: Option<u64>,
}

impl Options {
    /// None: a word that is no option.
    fn parse(args: Args<'_>, create: bool) -> Result<Option<Options>, Error> {
        let mut options = Options::default();
        let mut i = 5;
        while i < args.len() {
            if create && args.is(i, "mkstream") {
                options.mkstream = true;
            } else if i + 1 < args.len() && args.is(i, "entriesread") {
                let read = parse_i64(args.at(i + 1)).ok_or(Error::NotInteger)?;
                if read < -1 {
                    return Err(Error::text_of(BAD_ENTRIES_READ));
                }
                options.entries_read = u64::try_from(read).ok();
                i += 1;
            } else {
                return Ok(None);
            }
            i += 1;
        }
        Ok(Some(options))
    }
}

fn refuse(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    cx.out.error_bytes(&unknown_or_arity(args));
    Ok(Outcome::Done)
}

fn no_group(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply::no_group(cx.out, args.at(2), args.at(3));
    Ok(Outcome::Done)
}

fn xgroup_create(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let Some(options) = Options::parse(args, true)? else { return refuse(cx, args) };
    let (name, group) = (args.at(2), args.at(3));
    let last_id = cx.keys.edit::<Stream>(name)?.map(|stream| stream.log.last_id);
    if last_id.is_none() && !options.mkstream {
        return Err(Error::text_of(NO_KEY));
    }
    if args.len() > 8 {
        return refuse(cx, args);
    }
    let id = match args.at(4) {
        b"$" => last_id.unwrap_or(StreamId::MIN),
        text => strict_id(text, 0)?,
    };
    let mut stream = cx.keys.edit_or(name, Stream::default)?;
    if !stream.groups.create(group, id, options.entries_read) {
        return Err(Error::text_of(BUSY));
    }
    drop(stream);
    match last_id {
        Some(_) => cx.keys.changed_beside(name, 1),
        None => cx.keys.changed(name),
    }
    cx.out.ok();
    Ok(Outcome::Done)
}

fn xgroup_setid(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let Some(options) = Options::parse(args, false)? else { return refuse(cx, args) };
    let name = args.at(2);
    let Some(mut stream) = cx.keys.edit::<Stream>(name)? else { return Err(Error::text_of(NO_KEY)) };
    let last_id = stream.log.last_id;
    let Some(mut group) = stream.groups.edit(args.at(3)) else {
        drop(stream);
        return no_group(cx, args);
    };
    if args.len() > 7 {
        drop(group);
        drop(stream);
        return refuse(cx, args);
    }
    group.last_id = match args.at(4) {
        b"$" => last_id,
        text => any_id(text, 0)?,
    };
    group.entries_read = options.entries_read;
    drop(group);
    drop(stream);
    cx.keys.changed_beside(name, 1);
    cx.out.ok();
    Ok(Outcome::Done)
}

fn xgroup_destroy(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(2);
    let Some(mut stream) = cx.keys.edit::<Stream>(name)? else { return Err(Error::text_of(NO_KEY)) };
    let destroyed = stream.groups.destroy(args.at(3));
    drop(stream);
    cx.keys.changed_beside(name, u64::from(destroyed));
    cx.out.int(i64::from(destroyed));
    Ok(Outcome::Done)
}

fn xgroup_createconsumer(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, now_ms) = (args.at(2), cx.env.now.ms());
    let Some(mut stream) = cx.keys.edit::<Stream>(name)? else { return Err(Error::text_of(NO_KEY)) };
    let Some(created) = stream.groups.edit(args.at(3)).map(|mut group| group.create(args.at(4), now_ms))
    else {
        drop(stream);
        return no_group(cx, args);
    };
    drop(stream);
    let created = created.is_some();
    cx.keys.changed_beside(name, u64::from(created));
    cx.out.int(i64::from(created));
    Ok(Outcome::Done)
}

fn xgroup_delconsumer(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(2);
    let Some(mut stream) = cx.keys.edit::<Stream>(name)? else { return Err(Error::text_of(NO_KEY)) };
    let Some(deleted) = stream.groups.edit(args.at(3)).map(|mut group| group.delete(args.at(4))) else {
        drop(stream);
        return no_group(cx, args);
    };
    drop(stream);
    cx.keys.changed_beside(name, u64::from(deleted.is_some()));
    cx.out.int(deleted.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}

fn xgroup_help(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    help(
        cx.out,
        args,
        &[
            (
                "CREATE <key> <groupname> <id|$> [option]",
                "Make a group that reads on from <id>, or from the last entry ($). Options:\n\
                 * MKSTREAM\n  Make the stream as well if it is not there.\n\
                 * ENTRIESREAD <entries_read>\n  How many entries the group counts as read.",
            ),
            ("CREATECONSUMER <key> <groupname> <consumer>", "Make a consumer of a group."),
            ("DELCONSUMER <key> <groupname> <consumer>", "Remove a consumer of a group."),
            ("DESTROY <key> <groupname>", "Remove a group."),
            (
                "SETID <key> <groupname> <id|$> [ENTRIESREAD <entries_read>]",
                "Say where a group reads on from, and how many entries it counts as read.",
            ),
        ],
    );
    Ok(Outcome::Done)
}
