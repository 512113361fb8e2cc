//! OBJECT: what a value looks like from within. It leaves the access clock alone.

use crate::cmd::help::help;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::config::MemoryOrPercent;
use crate::ds::{Ref, View};
use crate::resp::{Args, Error};
use crate::store::{Value, access, fifo, lru};

/// This file's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "object",
    full_name: "object",
    arity: -2,
    subcommands: SUBCOMMANDS,
    summary: "Looks into the value of a key.",
    since: "2.2.3",
    group: "generic",
    complexity: "Depends on the subcommand.",
    ..Command::BASE
}];

const KEY: &[KeySpec] = &[KeySpec::one(2, key::RO)];

const SUBCOMMANDS: &[Command] = &[
    Command {
        name: "encoding",
        full_name: "object|encoding",
        arity: 3,
        flags: flag::READONLY,
        categories: category::KEYSPACE,
        keys: KEY,
        plan: Plan::Owner,
        run: encoding,
        summary: "Names the encoding of a key's value.",
        since: "2.2.3",
        group: "generic",
        syntax: "key:key",
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
    Command {
        name: "freq",
        full_name: "object|freq",
        arity: 3,
        flags: flag::READONLY,
        categories: category::KEYSPACE,
        keys: KEY,
        plan: Plan::Owner,
        run: freq,
        summary: "Gives the logarithmic counter of a key's uses, under an LFU policy.",
        since: "4.0.0",
        group: "generic",
        syntax: "key:key",
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
    Command {
        name: "help",
        full_name: "object|help",
        arity: 2,
        flags: flag::LOADING | flag::STALE,
        categories: category::KEYSPACE,
        run: object_help,
        summary: "Lists the subcommands.",
        since: "6.2.0",
        group: "generic",
        ..Command::BASE
    },
    Command {
        name: "idletime",
        full_name: "object|idletime",
        arity: 3,
        flags: flag::READONLY,
        categories: category::KEYSPACE,
        keys: KEY,
        plan: Plan::Owner,
        run: idletime,
        summary: "Gives the seconds since a key was last used, unless an LFU policy is in force.",
        since: "2.2.3",
        group: "generic",
        syntax: "key:key",
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
    Command {
        name: "refcount",
        full_name: "object|refcount",
        arity: 3,
        flags: flag::READONLY,
        categories: category::KEYSPACE,
        keys: KEY,
        plan: Plan::Owner,
        run: refcount,
        summary: "Gives the number of references to a key's value.",
        since: "2.2.3",
        group: "generic",
        syntax: "key:key",
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
];

/// Redis keeps one object for each of these integers and reports no true count for it.
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;
/// What it reports instead.
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

const FREQ_UNTRACKED: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
    that when switching between policies at runtime LRU and LFU data will take some time to adjust.";
const IDLE_UNTRACKED_FIFO: &str = "ERR An s3fifo maxmemory policy is selected, idle time not tracked.";
const IDLE_UNTRACKED: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
    switching between policies at runtime LRU and LFU data will take some time to adjust.";

fn encoding(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    match cx.keys.inspect(args.at(2)) {
        Some(entry) => cx.out.bulk(crate::store::encoding(&entry).as_bytes()),
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

fn freq(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (now, policy) = (cx.keys.now, cx.keys.policy);
    match (cx.keys.inspect(args.at(2)), policy.lfu) {
        (None, _) => cx.out.null(),
        (Some(entry), _) if policy.fifo => cx.out.int(i64::from(fifo::uses(entry.access()))),
        (Some(_), None) => return Err(Error::text_of(FREQ_UNTRACKED)),
        (Some(entry), Some(lfu)) => {
            cx.out.int(access::lfu_counter(entry.access(), now.secs(), lfu) as i64);
        }
    }
    Ok(Outcome::Done)
}

fn idletime(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (now, policy) = (cx.keys.now, cx.keys.policy);
    match (cx.keys.inspect(args.at(2)), policy.lfu) {
        (None, _) => cx.out.null(),
        (Some(_), _) if policy.fifo => return Err(Error::text_of(IDLE_UNTRACKED_FIFO)),
        (Some(_), Some(_)) => return Err(Error::text_of(IDLE_UNTRACKED)),
        (Some(entry), None) => cx.out.int(lru::idle_secs(entry.access(), now) as i64),
    }
    Ok(Outcome::Done)
}

fn refcount(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    // A value that is to know when it was used is nobody else's.
    let config = cx.env.config;
    let shares = config.maxmemory == MemoryOrPercent::Bytes(0) || !config.maxmemory_policy.tracks_use();
    match cx.keys.inspect(args.at(2)).map(|entry| if shares { references(&entry) } else { 1 }) {
        Some(count) => cx.out.int(count),
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

/// How many references to a value Redis would report.
pub fn references(entry: &Ref<'_, Value>) -> i64 {
    match entry.view() {
        View::Int(n) if SHARED_INTEGERS.contains(&n) => SHARED_REFCOUNT,
        _ => 1,
    }
}

fn object_help(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    help(
        cx.out,
        args,
        &[
            ("ENCODING <key>", "Names the form in which the value of <key> is held."),
            ("FREQ <key>", "Gives the logarithmic counter of the uses of <key> (LFU policies only)."),
            ("IDLETIME <key>", "Gives the seconds since <key> was last used (not under LFU policies)."),
            ("REFCOUNT <key>", "Gives the number of references to the value of <key>."),
        ],
    );
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;
    use crate::store::access::Lfu;

    #[test]
    fn replies_are_redis_s() {
        World::new(3).expect(&[
            ("SET i 42", "+OK\r\n"),
            ("SET n -42", "+OK\r\n"),
            ("SET big 10000", "+OK\r\n"),
            ("SET e hello", "+OK\r\n"),
            ("SET r aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "+OK\r\n"),
            ("OBJECT ENCODING i", "$3\r\nint\r\n"),
            ("OBJECT ENCODING e", "$6\r\nembstr\r\n"),
            ("OBJECT ENCODING r", "$3\r\nraw\r\n"),
            ("OBJECT ENCODING nosuch", "$-1\r\n"),
            ("OBJECT REFCOUNT i", ":2147483647\r\n"),
            ("OBJECT REFCOUNT n", ":1\r\n"),
            ("OBJECT REFCOUNT big", ":1\r\n"),
            ("OBJECT REFCOUNT e", ":1\r\n"),
            ("OBJECT REFCOUNT nosuch", "$-1\r\n"),
            ("OBJECT IDLETIME nosuch", "$-1\r\n"),
            ("OBJECT FREQ i", "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.\r\n"),
            ("OBJECT FREQ nosuch", "$-1\r\n"),
            ("OBJECT", "-ERR wrong number of arguments for 'object' command\r\n"),
            ("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command\r\n"),
            ("OBJECT ENCODING a b", "-ERR wrong number of arguments for 'object|encoding' command\r\n"),
            ("OBJECT HELP x", "-ERR wrong number of arguments for 'object|help' command\r\n"),
            ("OBJECT IDLETIME nosuch", "$-1\r\n"),
            ("OBJECT FREQ nosuch", "$-1\r\n"),
        ]);
    }

    #[test]
    fn an_s3fifo_policy_counts_up_to_three_uses() {
        let mut world = World::new(2);
        world.policy.fifo = true;
        world.expect(&[("SET i 42", "+OK\r\n"), ("OBJECT FREQ i", ":0\r\n"), ("GET i", "$2\r\n42\r\n")]);
        world.expect(&[("OBJECT FREQ i", ":1\r\n"), ("SET i 43", "+OK\r\n"), ("OBJECT FREQ i", ":2\r\n")]);
        assert!(world.run("OBJECT IDLETIME i").starts_with("-ERR An s3fifo maxmemory policy"));
        assert_eq!(world.run("RENAME i j"), "+OK\r\n");
        assert_eq!(world.run("OBJECT FREQ j"), ":0\r\n");
    }

    #[test]
    fn an_lfu_policy_counts_uses() {
        let mut world = World::new(2);
        world.policy.lfu = Some(Lfu { log_factor: 10, decay_minutes: 1 });
        world.expect(&[
            ("SET i 42", "+OK\r\n"),
            (
                "OBJECT IDLETIME i",
                "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.\r\n",
            ),
            ("OBJECT IDLETIME nosuch", "$-1\r\n"),
            ("OBJECT FREQ nosuch", "$-1\r\n"),
            ("OBJECT FREQ i", ":5\r\n"),
        ]);
        world.advance_ms(2 * 60_000);
        assert_eq!(world.run("OBJECT FREQ i"), ":3\r\n");
    }

    #[test]
    fn idle_time_passes_until_a_read() {
        let mut world = World::new(2);
        world.run("SET k v");
        world.advance_ms(100_000);
        for command in ["OBJECT ENCODING k", "OBJECT REFCOUNT k", "TTL k", "PERSIST nosuch"] {
            world.run(command);
            assert_eq!(world.run("OBJECT IDLETIME k"), ":100\r\n");
        }
        world.run("GET k");
        assert_eq!(world.run("OBJECT IDLETIME k"), ":0\r\n");
    }

    #[test]
    fn idle_times_are_whole_seconds_whatever_is_noted() {
        for fine in [false, true] {
            let mut world = World::new(2);
            world.policy.fine = fine;
            world.advance_ms(100_300);
            world.run("SET k v");
            for (passed_ms, shown) in
                [(600, ":0\r\n"), (600, ":1\r\n"), (59_000, ":60\r\n"), (900_000, ":960\r\n")]
            {
                world.advance_ms(passed_ms);
                assert_eq!(world.run("OBJECT IDLETIME k"), shown, "fine {fine}");
            }
        }
    }

    #[test]
    fn a_missing_key_is_null_in_both_protocols() {
        let mut world = World::new(1);
        world.proto(Proto::Resp3);
        assert_eq!(world.run("OBJECT ENCODING nosuch"), "_\r\n");
    }

    #[test]
    fn help_has_redis_s_frame() {
        let reply = World::new(1).run("OBJECT HELP");
        assert!(reply.starts_with("*11\r\n+OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n+ENCODING <key>\r\n+    "));
        assert!(reply.ends_with("\r\n+HELP\r\n+    Prints this help.\r\n"));
        assert_eq!(reply.matches("\r\n").count(), 12);
    }
}
