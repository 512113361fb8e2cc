//! SLOWLOG: the commands that took long. Each shard keeps its own; a reply shows them as one.

use crate::base::number::parse_i64;
use crate::cmd::help::help;
use crate::cmd::keyspace::migrate;
use crate::cmd::row::flag;
use crate::cmd::{Command, Cx, Done, Order, Outcome, Plan, Report, Sections, SlowEntry};
use crate::resp::{Args, Error};

const ADMIN: u32 = flag::ADMIN | flag::LOADING | flag::STALE;

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "slowlog",
    full_name: "slowlog",
    arity: -2,
    summary: "Commands about the slow log.",
    since: "2.2.12",
    group: "server",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command {
            name: "get",
            full_name: "slowlog|get",
            arity: -2,
            flags: ADMIN,
            plan: Plan::Gather(Sections::SLOWLOG),
            run: get,
            summary: "Gives the latest entries of the slow log.",
            since: "2.2.12",
            group: "server",
            complexity: "O(N) where N is the number of entries returned",
            syntax: "[count:integer]",
            tips: &["request_policy:all_nodes", "nondeterministic_output"],
            ..Command::BASE
        },
        Command {
            name: "len",
            full_name: "slowlog|len",
            arity: 2,
            flags: ADMIN,
            plan: Plan::Gather(Sections::SLOWLOG),
            run: len,
            summary: "Counts the entries of the slow log.",
            since: "2.2.12",
            group: "server",
            tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
            ..Command::BASE
        },
        Command {
            name: "reset",
            full_name: "slowlog|reset",
            arity: 2,
            flags: ADMIN,
            plan: Plan::Home,
            run: reset,
            summary: "Empties the slow log.",
            since: "2.2.12",
            group: "server",
            complexity: "O(N) where N is the number of entries in the slowlog",
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            ..Command::BASE
        },
        Command {
            name: "help",
            full_name: "slowlog|help",
            arity: 2,
            flags: flag::LOADING | flag::STALE,
            run: |cx, args| {
                help(cx.out, args, HELP);
                Ok(Outcome::Done)
            },
            summary: "Lists the subcommands.",
            since: "6.2.0",
            group: "server",
            ..Command::BASE
        },
    ],
    ..Command::BASE
}];

const HELP: &[(&str, &str)] = &[
    (
        "GET [<count>]",
        "The latest <count> entries (default: 10, all: -1), each with its\nid, Unix time, microseconds, arguments, client address and client name.",
    ),
    ("LEN", "How many entries there are."),
    ("RESET", "Forget all entries."),
];

/// How many entries GET gives when it is not told.
const DEFAULT_COUNT: usize = 10;
/// The most arguments that an entry keeps; the last then tells how many were left out.
const ARGS_MAX: usize = 32;
/// The most bytes of an argument that an entry keeps.
const ARG_BYTES_MAX: usize = 128;

/// The settings that an entry does not tell.
const SECRETS: &[&str] =
    &["requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"];

/// The arguments of a command as an entry keeps them ([`SlowEntry::args`]).
pub fn trim(args: Args<'_>, row: &Command) -> Vec<Vec<u8>> {
    let kept = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let kept_bytes =
        |i| if is_secret(args, row, i) { b"(redacted)".to_vec() } else { trim_bytes(args.at(i)) };
    let mut trimmed: Vec<Vec<u8>> = (0..kept).map(kept_bytes).collect();
    if kept < args.len() {
        trimmed.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    trimmed
}

/// Whether an argument is a password, or the name that goes with one.
fn is_secret(args: Args<'_>, row: &Command, i: usize) -> bool {
    match row.full_name {
        "config|set" => i > 2 && i % 2 == 1 && SECRETS.iter().any(|name| args.is(i - 1, name)),
        "auth" => i > 0,
        "migrate" => migrate::is_secret(args, i),
        "hello" => i > 2 && (args.is(i - 1, "auth") || i > 3 && args.is(i - 2, "auth")),
        _ => false,
    }
}

fn trim_bytes(arg: &[u8]) -> Vec<u8> {
    match arg.len().checked_sub(ARG_BYTES_MAX) {
        None | Some(0) => arg.to_vec(),
        Some(more) => {
            let mut kept = arg[..ARG_BYTES_MAX].to_vec();
            kept.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
            kept
        }
    }
}

/// How many entries count: each shard keeps `slowlog-max-len`, all together show no more.
fn shown(cx: &Cx<'_>, entries: usize) -> usize {
    entries.min(usize::try_from(cx.env.config.slowlog_max_len).unwrap_or(usize::MAX))
}

fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if args.len() > 3 {
        return Err(Error::text_of(format!(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try SLOWLOG HELP.",
            String::from_utf8_lossy(args.at(1))
        )));
    }
    let count = match args.get(2) {
        None => DEFAULT_COUNT,
        Some(text) => match parse_i64(text) {
            Some(-1) => usize::MAX,
            Some(n) if n >= 0 => n as usize,
            _ => return Err(Error::text_of("ERR count should be greater than or equal to -1")),
        },
    };
    let entries = Report::total(cx.reports).slowlog;
    let count = count.min(shown(cx, entries.len()));
    cx.out.array(count);
    entries.iter().take(count).for_each(|entry| reply(cx, entry));
    Ok(Outcome::Done)
}

fn reply(cx: &mut Cx<'_>, entry: &SlowEntry) {
    cx.out.array(6);
    cx.out.int(entry.id as i64);
    cx.out.int(entry.at_secs);
    cx.out.int(entry.took_us as i64);
    cx.out.array(entry.args.len());
    entry.args.iter().for_each(|arg| cx.out.bulk(arg));
    cx.out.bulk(entry.addr.as_bytes());
    cx.out.bulk(entry.name.as_bytes());
}

fn len(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let entries = cx.reports.iter().map(|report| report.slowlog.len()).sum();
    let shown = shown(cx, entries);
    cx.out.int(shown as i64);
    Ok(Outcome::Done)
}

fn reset(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::ResetSlowlog { before: 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    fn entry(id: u64) -> SlowEntry {
        SlowEntry {
            id,
            at_secs: 1_700_000_000 + id as i64,
            took_us: 12_000,
            args: vec![b"get".to_vec(), b"k".to_vec()],
            addr: "127.0.0.1:5".into(),
            name: "me".into(),
        }
    }

    #[test]
    fn entries_of_all_shards_come_latest_first() {
        let mut world = World::new(2);
        world.reports[0].slowlog = vec![entry(1), entry(3)];
        world.reports[1].slowlog = vec![entry(2)];
        assert_eq!(world.run("SLOWLOG LEN"), ":3\r\n");
        let head = "*6\r\n:3\r\n:1700000003\r\n:12000\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\n$11\r\n127.0.0.1:5\r\n$2\r\nme\r\n";
        assert_eq!(world.run("SLOWLOG GET 1"), format!("*1\r\n{head}"));
        assert!(world.run("SLOWLOG GET").starts_with(&format!("*3\r\n{head}*6\r\n:2\r\n")));
        assert!(world.run("SLOWLOG GET -1").starts_with("*3\r\n"));
        assert_eq!(world.run("SLOWLOG GET 0"), "*0\r\n");
        world.config.slowlog_max_len = 2;
        assert!(world.run("SLOWLOG GET").starts_with("*2\r\n"));
        assert_eq!(world.run("SLOWLOG LEN"), ":2\r\n");
        assert_eq!(world.run("SLOWLOG RESET"), "+OK\r\n");
        assert!(matches!(world.outcome, Some(Outcome::Everywhere(Order::ResetSlowlog { .. }))));
    }

    #[test]
    fn mistakes_read_as_in_redis() {
        let mut world = World::new(1);
        for (line, reply) in [
            ("SLOWLOG GET x", "-ERR count should be greater than or equal to -1\r\n"),
            ("SLOWLOG GET -2", "-ERR count should be greater than or equal to -1\r\n"),
            (
                "SLOWLOG get 2 3",
                "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.\r\n",
            ),
            ("SLOWLOG LEN x", "-ERR wrong number of arguments for 'slowlog|len' command\r\n"),
        ] {
            assert_eq!(world.run(line), reply, "{line}");
        }
        assert!(world.run("SLOWLOG HELP").starts_with("*10\r\n+SLOWLOG <subcommand>"));
    }

    #[test]
    fn long_commands_are_trimmed_as_in_redis() {
        use crate::resp::{Limits, Parser, Step};
        let trimmed = |line: String| {
            let (mut spans, mut words) = (Vec::new(), Vec::new());
            let limits = Limits { bulk_max: i64::MAX, authenticated: true };
            let step = Parser::default().step(line.as_bytes(), &limits, &mut spans, &mut words);
            assert!(matches!(step, Step::Command { .. }));
            trim(Args::new(&words, &spans), &COMMANDS[0])
        };
        assert_eq!(trimmed("x ".repeat(32) + "\n").len(), 32);
        let long = trimmed("x ".repeat(33) + "\n");
        assert_eq!((long.len(), long[31].as_slice()), (32, &b"... (2 more arguments)"[..]));
        let bytes = &trimmed("y".repeat(200) + "\n")[0];
        assert_eq!(*bytes, ("y".repeat(128) + "... (72 more bytes)").into_bytes());
        assert_eq!(trimmed("y".repeat(128) + "\n")[0].len(), 128);
    }
}
