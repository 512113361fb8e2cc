//! XINFO: what a stream, its groups and their consumers are like.

use super::{BASE, reply};
use crate::base::number::parse_i64;
use crate::cmd::help::help;
use crate::cmd::row::{category, flag, key};
use crate::cmd::unknown::unknown_or_arity;
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::stream::radix::radix_nodes;
use crate::ds::stream::{Consumer, Entry, Group, Log, Stream, StreamId};
use crate::resp::{Args, Error, Out};

/// This file's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "xinfo",
    full_name: "xinfo",
    arity: -2,
    categories: 0,
    subcommands: &[CONSUMERS, GROUPS, STREAM, HELP],
    summary: "Holds the commands that tell about streams.",
    complexity: "Depends on the subcommand.",
    ..BASE
}];

const SUB: Command = Command {
    flags: flag::READONLY,
    keys: &[KeySpec::one(2, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    ..BASE
};

const CONSUMERS: Command = Command {
    name: "consumers",
    full_name: "xinfo|consumers",
    arity: 4,
    run: xinfo_consumers,
    summary: "Lists the consumers of a group.",
    syntax: "key:key groupname:string",
    tips: &["nondeterministic_output"],
    ..SUB
};

const GROUPS: Command = Command {
    name: "groups",
    full_name: "xinfo|groups",
    arity: 3,
    run: xinfo_groups,
    summary: "Lists the groups of a stream.",
    syntax: "key:key",
    ..SUB
};

const STREAM: Command = Command {
    name: "stream",
    full_name: "xinfo|stream",
    arity: -3,
    flags: flag::READONLY | flag::HEAVY,
    run: xinfo_stream,
    summary: "Tells about a stream; with FULL, about its entries, groups and consumers too.",
    complexity: "O(N), N being the number of nodes, or of what FULL shows",
    syntax: "key:key [FULL full:([COUNT count:integer])]",
    ..SUB
};

const HELP: Command = Command {
    name: "help",
    full_name: "xinfo|help",
    arity: 2,
    flags: flag::LOADING | flag::STALE,
    categories: category::STREAM,
    run: xinfo_help,
    summary: "Lists the subcommands.",
    ..BASE
};

/// Entries that FULL shows of each list.
const SHOWN: u64 = 10;

fn name(out: &mut Out, name: &str) {
    out.bulk(name.as_bytes());
}

fn number(out: &mut Out, label: &str, value: u64) {
    name(out, label);
    out.int(value as i64);
}

fn maybe(out: &mut Out, label: &str, value: Option<u64>) {
    name(out, label);
    match value {
        Some(value) => out.int(value as i64),
        None => out.null(),
    }
}

fn maybe_entry(out: &mut Out, entry: Option<Entry<'_>>) {
    match entry {
        Some(entry) => reply::entry(out, &entry),
        None => out.null(),
    }
}

/// How many entries a group has not read, if that can be told.
fn lag(log: &Log, group: &Group) -> Option<u64> {
    let front = log.first_id();
    if log.added == 0 || log.is_empty() {
        return Some(0);
    }
    if group.last_id < front && log.max_deleted < front {
        return Some(log.len());
    }
    let counted = group.entries_read.filter(|_| !log.has_gaps_from(group.last_id));
    let read = counted.or_else(|| log.added_up_to(group.last_id))?;
    Some(log.added.wrapping_sub(read))
}

fn xinfo_consumers(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let now_ms = cx.env.now.ms();
    let stream = cx.keys.look::<Stream>(args.at(2))?.ok_or(Error::NoSuchKey)?;
    let Some(group) = stream.groups.get(args.at(3)) else {
        reply::no_group(cx.out, args.at(2), args.at(3));
        return Ok(Outcome::Done);
    };
    let out = &mut *cx.out;
    out.array(group.consumers_len());
    for consumer in group.consumers() {
        let since = |ms: i64| now_ms.saturating_sub(ms).max(0);
        out.map(4);
        name(out, "name");
        out.bulk(consumer.name());
        number(out, "pending", consumer.pending() as u64);
        name(out, "idle");
        out.int(since(consumer.seen_ms));
        name(out, "inactive");
        out.int(if consumer.active_ms == -1 { -1 } else { since(consumer.active_ms) });
    }
    Ok(Outcome::Done)
}

fn xinfo_groups(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let stream = cx.keys.look::<Stream>(args.at(2))?.ok_or(Error::NoSuchKey)?;
    let out = &mut *cx.out;
    out.array(stream.groups.len());
    for group in stream.groups.iter() {
        out.map(6);
        name(out, "name");
        out.bulk(group.name());
        number(out, "consumers", group.consumers_len() as u64);
        number(out, "pending", group.pending() as u64);
        name(out, "last-delivered-id");
        reply::id(out, group.last_id);
        maybe(out, "entries-read", group.entries_read);
        maybe(out, "lag", lag(&stream.log, group));
    }
    Ok(Outcome::Done)
}

/// What XINFO STREAM is asked for: None for the short form, else how much FULL shows (0: all). The outer None: no such form.
fn form(args: Args<'_>) -> Result<Option<Option<u64>>, Error> {
    match args.len() {
        3 => Ok(Some(None)),
        4 if args.is(3, "full") => Ok(Some(Some(SHOWN))),
        6 if args.is(3, "full") && args.is(4, "count") => {
            let count = parse_i64(args.at(5)).ok_or(Error::NotInteger)?;
            Ok(Some(Some(u64::try_from(count).unwrap_or(SHOWN))))
        }
        _ => Ok(None),
    }
}

fn xinfo_stream(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let stream = cx.keys.look::<Stream>(args.at(2))?.ok_or(Error::NoSuchKey)?;
    let Some(full) = form(args)? else {
        cx.out.error_bytes(&unknown_or_arity(args));
        return Ok(Outcome::Done);
    };
    let (out, log) = (&mut *cx.out, &stream.log);
    out.map(if full.is_some() { 9 } else { 10 });
    number(out, "length", log.len());
    number(out, "radix-tree-keys", log.nodes().len() as u64);
    number(out, "radix-tree-nodes", radix_nodes(log.nodes().iter().map(|(id, _)| id)) as u64);
    name(out, "last-generated-id");
    reply::id(out, log.last_id);
    name(out, "max-deleted-entry-id");
    reply::id(out, log.max_deleted);
    number(out, "entries-added", log.added);
    name(out, "recorded-first-entry-id");
    reply::id(out, log.first_id());
    let Some(count) = full else {
        number(out, "groups", stream.groups.len() as u64);
        let all = (StreamId::MIN, StreamId::MAX);
        name(out, "first-entry");
        maybe_entry(out, log.range(all.0, all.1).next());
        name(out, "last-entry");
        maybe_entry(out, log.range_back(all.0, all.1).next());
        return Ok(Outcome::Done);
    };
    name(out, "entries");
    reply::entries(out, log.range(StreamId::MIN, StreamId::MAX), count);
    name(out, "groups");
    out.array(stream.groups.len());
    stream.groups.iter().for_each(|group| whole_group(out, log, group, count));
    Ok(Outcome::Done)
}

/// How many of a list FULL shows.
fn shown(len: usize, count: u64) -> usize {
    if count == 0 { len } else { len.min(usize::try_from(count).unwrap_or(usize::MAX)) }
}

fn whole_group(out: &mut Out, log: &Log, group: &Group, count: u64) {
    out.map(7);
    name(out, "name");
    out.bulk(group.name());
    name(out, "last-delivered-id");
    reply::id(out, group.last_id);
    maybe(out, "entries-read", group.entries_read);
    maybe(out, "lag", lag(log, group));
    number(out, "pel-count", group.pending() as u64);
    name(out, "pending");
    let shown = shown(group.pending(), count);
    out.array(shown);
    for (id, nack) in group.pending_from(StreamId::MIN).take(shown) {
        out.array(4);
        reply::id(out, id);
        out.bulk(group.owner(nack).name());
        out.int(nack.delivered_ms);
        out.int(nack.count as i64);
    }
    name(out, "consumers");
    out.array(group.consumers_len());
    group.consumers().for_each(|consumer| whole_consumer(out, group, consumer, count));
}

fn whole_consumer(out: &mut Out, group: &Group, consumer: &Consumer, count: u64) {
    out.map(5);
    name(out, "name");
    out.bulk(consumer.name());
    name(out, "seen-time");
    out.int(consumer.seen_ms);
    name(out, "active-time");
    out.int(consumer.active_ms);
    number(out, "pel-count", consumer.pending() as u64);
    name(out, "pending");
    let shown = shown(consumer.pending(), count);
    out.array(shown);
    let ids = consumer.pending_from(StreamId::MIN).take(shown);
    for (id, nack) in ids.filter_map(|(id, ())| group.nack(id).map(|nack| (id, nack))) {
        out.array(3);
        reply::id(out, id);
        out.int(nack.delivered_ms);
        out.int(nack.count as i64);
    }
}

fn xinfo_help(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    help(
        cx.out,
        args,
        &[
            ("CONSUMERS <key> <groupname>", "Show the consumers of a group."),
            ("GROUPS <key>", "Show the groups of a stream."),
            (
                "STREAM <key> [FULL [COUNT <count>]]",
                "Show a stream; with FULL, its first entries, its groups and their consumers as well.",
            ),
        ],
    );
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    fn lag_and_read(w: &mut World) -> (String, String) {
        let info = w.run("XINFO GROUPS s");
        let after = |label: &str| {
            let rest = info.split_once(&format!("{label}\r\n")).expect("told").1;
            rest.split("\r\n").next().expect("a line").to_string()
        };
        (after("lag"), after("entries-read"))
    }

    /// What 7.4 tells after deletions and trims.
    #[test]
    fn lag_is_told_when_it_is_known() {
        let mut w = World::new(1);
        let mut step = |line: &str, lag: &str, read: &str| {
            w.run(line);
            assert_eq!(lag_and_read(&mut w), (lag.to_string(), read.to_string()), "{line}");
        };
        step("XGROUP CREATE s g $ MKSTREAM", ":0", "$-1");
        step("XADD s 0-1 a 1", ":1", "$-1");
        step("XADD s 0-2 a 1", ":2", "$-1");
        step("XREADGROUP GROUP g c STREAMS s >", ":0", ":2");
        step("XADD s 0-3 a 1", ":1", ":2");
        step("XADD s 0-4 a 1", ":2", ":2");
        step("XDEL s 0-1 0-2", ":2", ":2");
        step("XDEL s 0-3", ":1", ":2");
        step("XADD s 0-5 a 1", ":2", ":2");
        step("XADD s 0-6 a 1", ":3", ":2");
        step("XDEL s 0-5", "$-1", ":2");
        step("XTRIM s MAXLEN 1", ":1", ":2");
        step("XREADGROUP GROUP g c STREAMS s >", ":0", ":6");
        step("XDEL s 0-6", ":0", ":6");
    }

    #[test]
    fn consumers_tell_when_they_asked_and_when_they_got() {
        let mut w = World::new(1);
        w.run("XADD s 1-1 a 1");
        w.run("XGROUP CREATE s g 0");
        let info = |w: &mut World| w.run("XINFO CONSUMERS s g");
        w.run("XREADGROUP GROUP g c COUNT 1 STREAMS s 0");
        w.advance_ms(5);
        let of = |pending: u32, idle: u32, inactive: i32| {
            format!(
                "*1\r\n*8\r\n$4\r\nname\r\n$1\r\nc\r\n$7\r\npending\r\n:{pending}\r\n$4\r\nidle\r\n:{idle}\r\n\
                 $8\r\ninactive\r\n:{inactive}\r\n"
            )
        };
        assert_eq!(info(&mut w), of(0, 5, -1));
        w.run("XREADGROUP GROUP g c STREAMS s >");
        w.advance_ms(3);
        assert_eq!(info(&mut w), of(1, 3, 3));
        w.run("XREADGROUP GROUP g c STREAMS s >");
        assert_eq!(info(&mut w), of(1, 0, 3));
        w.run("XCLAIM s g c 100 1-1");
        assert_eq!(info(&mut w), of(1, 0, 3));
        w.run("XAUTOCLAIM s g c 0 0");
        assert_eq!(info(&mut w), of(1, 0, 0));
    }

    #[test]
    fn help_names_every_subcommand() {
        let mut w = World::new(1);
        for row in super::COMMANDS.iter().chain(crate::cmd::streams::group::COMMANDS) {
            let help = w.run(&format!("{} HELP", row.name)).to_ascii_lowercase();
            for sub in row.subcommands {
                assert!(help.contains(&format!("\n+{}", sub.name)), "{}", sub.full_name);
            }
        }
    }
}
