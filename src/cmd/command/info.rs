//! COMMAND and COMMAND INFO: the facts that clients route by.

use super::family::{BASE, lookup, visible};
use crate::cmd::row::{Begin, Find, category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome};
use crate::resp::{Args, Out};

pub(super) const INFO: Command = Command {
    name: "info",
    full_name: "command|info",
    arity: -2,
    run: command_info,
    summary: "Tells the facts of these commands, or of all.",
    complexity: "O(N) with N the number of commands asked for",
    syntax: "[command-name:string ...]",
    tips: &["nondeterministic_output_order"],
    ..BASE
};

pub(super) fn command(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    all(cx)
}

fn command_info(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if args.len() == 2 {
        return all(cx);
    }
    cx.out.array(args.len() - 2);
    for name in args.from(2).iter() {
        match lookup(cx.env.registry, name) {
            Some(row) => facts(cx.out, row),
            None => cx.out.null(),
        }
    }
    Ok(Outcome::Done)
}

fn all(cx: &mut Cx<'_>) -> Done {
    let commands = cx.env.registry.commands();
    cx.out.array(commands.len());
    commands.for_each(|row| facts(cx.out, row));
    Ok(Outcome::Done)
}

fn facts(out: &mut Out, row: &'static Command) {
    let (first, last, step) = first_last_step(row);
    out.array(10);
    out.bulk(row.full_name.as_bytes());
    out.int(row.arity as i64);
    names(out, row.flags, flag::NAMES, "");
    out.int(first);
    out.int(last);
    out.int(step);
    names(out, categories(row), category::NAMES, "@");
    out.set(row.tips.len());
    row.tips.iter().for_each(|tip| out.bulk(tip.as_bytes()));
    out.set(row.keys.len());
    row.keys.iter().for_each(|spec| key_spec(out, spec));
    let subcommands = visible(row);
    out.set(subcommands.len());
    subcommands.iter().for_each(|sub| facts(out, sub));
}

/// A set of the names of the bits that are set.
pub(super) fn names(out: &mut Out, bits: u32, table: &[(u32, &str)], prefix: &str) {
    let set = || table.iter().filter(|(bit, _)| bits & bit != 0);
    out.set(set().count());
    set().for_each(|(_, name)| out.simple(&format!("{prefix}{name}")));
}

/// A command's ACL categories: its own, and those that follow from its flags.
pub fn categories(row: &Command) -> u32 {
    let mut found = row.categories;
    let mut add = |flags: u32, categories: u32| {
        if row.flags & flags != 0 {
            found |= categories;
        }
    };
    add(flag::WRITE, category::WRITE);
    if row.categories & category::SCRIPTING == 0 {
        add(flag::READONLY, category::READ);
    }
    add(flag::ADMIN, category::ADMIN | category::DANGEROUS);
    add(flag::PUBSUB, category::PUBSUB);
    add(flag::FAST, category::FAST);
    add(flag::BLOCKING, category::BLOCKING);
    found | if row.is(flag::FAST) { 0 } else { category::SLOW }
}

/// The first key, the last key and the step between keys, as clients knew it before key specifications: what the
/// specifications of plain ranges amount to, all zero when there is none. A negative last key counts from the end.
pub fn first_last_step(row: &Command) -> (i64, i64, i64) {
    let range = |spec: &KeySpec| match (spec.begin, spec.find) {
        (Begin::Index(at), Find::Range { last, step, .. }) => {
            let at = at as i64;
            Some((at, if last >= 0 { at + last as i64 } else { last as i64 }, step as i64))
        }
        _ => None,
    };
    if let [only] = row.keys {
        return range(only).unwrap_or((0, 0, 0));
    }
    // Several ranges amount to one when each begins right after the one before.
    let mut joined: Option<(i64, i64)> = None;
    for (first, last, step) in row.keys.iter().filter_map(range) {
        let follows = joined.is_none_or(|(_, end)| end == first - 1);
        if step == 1 && follows {
            let start = joined.map_or(first, |(start, _)| start.min(first));
            joined = Some((start, last));
        }
    }
    joined.map_or((0, 0, 0), |(first, last)| (first, last, 1))
}

fn key_spec(out: &mut Out, spec: &KeySpec) {
    out.map(3 + !spec.notes.is_empty() as usize);
    if !spec.notes.is_empty() {
        out.bulk(b"notes");
        out.bulk(spec.notes.as_bytes());
    }
    out.bulk(b"flags");
    names(out, spec.flags, key::NAMES, "");
    out.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(at) => search(out, "index", &[("index", at as i64)]),
        Begin::Keyword { word, from } => {
            typed(out, "keyword", 2);
            out.bulk(b"keyword");
            out.bulk(word.as_bytes());
            out.bulk(b"startfrom");
            out.int(from as i64);
        }
        Begin::Option { .. } | Begin::Unknown => search(out, "unknown", &[]),
    }
    out.bulk(b"find_keys");
    match spec.find {
        _ if spec.is_unknown() => search(out, "unknown", &[]),
        Find::Range { last, step, limit } => {
            let fields = [("lastkey", last as i64), ("keystep", step as i64), ("limit", limit as i64)];
            search(out, "range", &fields);
        }
        Find::Count { num, first, step } => {
            let fields = [("keynumidx", num as i64), ("firstkey", first as i64), ("keystep", step as i64)];
            search(out, "keynum", &fields);
        }
    }
}

/// `{type: kind, spec: {` and `len` fields follow.
fn typed(out: &mut Out, kind: &str, len: usize) {
    out.map(2);
    out.bulk(b"type");
    out.bulk(kind.as_bytes());
    out.bulk(b"spec");
    out.map(len);
}

fn search(out: &mut Out, kind: &str, fields: &[(&str, i64)]) {
    typed(out, kind, fields.len());
    for (name, value) in fields {
        out.bulk(name.as_bytes());
        out.int(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    /// The expected texts are those of redis-server 7.0.15.
    #[test]
    fn facts_are_told_as_redis_tells_them() {
        let mut world = World::new(1);
        let id = "*10\r\n$9\r\nclient|id\r\n:2\r\n*3\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n\
                  *2\r\n+@slow\r\n+@connection\r\n*0\r\n*0\r\n*0\r\n";
        let get = "*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n\
                   +@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n*4\r\n\
                   $4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n\
                   $4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n\
                   $5\r\nlimit\r\n:0\r\n*0\r\n";
        assert_eq!(
            world.run("COMMAND INFO nope get client|id client|nope get|x"),
            format!("*5\r\n$-1\r\n{get}{id}$-1\r\n$-1\r\n")
        );
        world.proto(Proto::Resp3);
        let get3 = "*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n~3\r\n+@read\r\n+@string\r\n\
                    +@fast\r\n~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n%2\r\n\
                    $4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n%2\r\n\
                    $4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n\
                    $5\r\nlimit\r\n:0\r\n~0\r\n";
        assert_eq!(world.run("COMMAND INFO GET nope"), format!("*2\r\n{get3}_\r\n"));
        let all = world.run("COMMAND");
        assert!(all.starts_with(&format!("*{}\r\n*10\r\n", world.registry.commands().len())));
        assert_eq!(world.run("COMMAND INFO"), all);
    }

    #[test]
    fn hidden_subcommands_are_not_shown() {
        const SUBS: &[Command] = &[Command { name: "b", full_name: "a|b", ..Command::BASE }];
        const OPEN: Command = Command { name: "a", full_name: "a", subcommands: SUBS, ..Command::BASE };
        const HIDDEN: Command = Command { flags: flag::HIDE_SUBCOMMANDS, ..OPEN };
        assert_eq!((visible(&OPEN).len(), visible(&HIDDEN).len()), (1, 0));
    }

    #[test]
    fn ranges_amount_to_first_last_and_step() {
        const TWO: &[KeySpec] = &[KeySpec::one(1, key::OW), KeySpec::one(2, key::RO)];
        const REST: &[KeySpec] = &[KeySpec::one(2, key::OW), KeySpec::range(3, -1, 1, key::RO)];
        const PAIRS: &[KeySpec] = &[KeySpec::range(1, -1, 2, key::OW)];
        const COUNTED: &[KeySpec] = &[KeySpec::counted(1, key::RO)];
        const STORE: &[KeySpec] = &[KeySpec::one(1, key::OW), KeySpec::counted(2, key::RO)];
        for (keys, expected) in [
            (TWO, (1, 2, 1)),
            (REST, (2, -1, 1)),
            (PAIRS, (1, -1, 2)),
            (COUNTED, (0, 0, 0)),
            (STORE, (1, 1, 1)),
            (&[], (0, 0, 0)),
        ] {
            assert_eq!(first_last_step(&Command { keys, ..Command::BASE }), expected);
        }
    }
}
