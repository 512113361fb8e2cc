//! GET and the commands that read a whole string and then do something to its key: GETDEL, GETEX; STRLEN.

use super::options::{Expiry, Form, Options};
use super::text::Text;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::Args;

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "get",
        full_name: "get",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
        plan: Plan::Owner,
        run: get,
        summary: "Gives the string that a key holds.",
        group: "string",
        syntax: "key:key",
        ..Command::BASE
    },
    Command {
        name: "getdel",
        full_name: "getdel",
        arity: 2,
        flags: flag::WRITE | flag::FAST,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::DELETE)],
        plan: Plan::Owner,
        run: getdel,
        summary: "Gives the string that a key holds and removes the key.",
        since: "6.2.0",
        group: "string",
        syntax: "key:key",
        ..Command::BASE
    },
    Command {
        name: "getex",
        full_name: "getex",
        arity: -2,
        flags: flag::WRITE | flag::FAST,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE).with_notes("It changes the TTL.")],
        plan: Plan::Owner,
        run: getex,
        summary: "Gives the string that a key holds and sets or removes the key's TTL.",
        since: "6.2.0",
        group: "string",
        syntax: "key:key [expiration:(EX seconds:integer | PX milliseconds:integer | EXAT \
                 unix-time-seconds:unix-time | PXAT unix-time-milliseconds:unix-time | persist=PERSIST)]",
        ..Command::BASE
    },
    Command {
        name: "strlen",
        full_name: "strlen",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RO)],
        plan: Plan::Owner,
        run: strlen,
        summary: "Gives the length of the string that a key holds, in bytes.",
        since: "2.2.0",
        group: "string",
        syntax: "key:key",
        ..Command::BASE
    },
];

#[inline]
fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    match cx.keys.read(args.at(1)) {
        Some(entry) => Text::of(entry.view())?.reply(cx.out),
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

fn getdel(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(1);
    let Some(entry) = cx.keys.read(name) else {
        cx.out.null();
        return Ok(Outcome::Done);
    };
    Text::of(entry.view())?.reply(cx.out);
    cx.keys.delete(name);
    cx.keys.changed(name);
    cx.keys.effect(name, &[b"DEL", name]);
    Ok(Outcome::Done)
}

fn getex(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(1);
    let options = Options::parse(args.from(2), Form::Getex)?;
    let now_ms = cx.keys.now.ms();
    let Some(entry) = cx.keys.read(name) else {
        cx.out.null();
        return Ok(Outcome::Done);
    };
    let text = Text::of(entry.view())?;
    let had_ttl = entry.expire_at().is_some();
    // Redis reads the time only now: a key that is absent hides a bad one.
    let expire_at = options.expiry.at(cx.env.now.ms(), "getex")?;
    text.reply(cx.out);
    match expire_at {
        Some(at) if at <= now_ms => {
            cx.keys.delete(name);
            cx.keys.effect(name, &[b"DEL", name]);
        }
        Some(at) => {
            cx.keys.set_expire(name, Some(at));
            cx.keys.effect(name, &[b"PEXPIREAT", name, itoa::Buffer::new().format(at).as_bytes()]);
        }
        None if matches!(options.expiry, Expiry::Persist) && had_ttl => {
            cx.keys.set_expire(name, None);
            cx.keys.effect(name, &[b"PERSIST", name]);
        }
        None => return Ok(Outcome::Done),
    }
    cx.keys.changed(name);
    Ok(Outcome::Done)
}

fn strlen(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let len = match cx.keys.read(args.at(1)) {
        Some(entry) => Text::of(entry.view())?.len(),
        None => 0,
    };
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn a_string_is_read_in_both_protocols() {
        let mut w = World::new(3);
        w.run("SET k hello");
        assert_eq!(w.run("GET k"), "$5\r\nhello\r\n");
        assert_eq!(w.run("GET nokey"), "$-1\r\n");
        assert_eq!(w.run("GET k extra"), "-ERR wrong number of arguments for 'get' command\r\n");
        assert_eq!(w.run("STRLEN k"), ":5\r\n");
        assert_eq!(w.run("STRLEN nokey"), ":0\r\n");
        w.run("SET n -9223372036854775808");
        assert_eq!(w.run("STRLEN n"), ":20\r\n");
        assert_eq!(w.run("GET n"), "$20\r\n-9223372036854775808\r\n");
        w.proto(Proto::Resp3);
        assert_eq!(w.run("GET nokey"), "_\r\n");
        assert_eq!(w.run("GETEX nokey"), "_\r\n");
        assert_eq!(w.run("GETDEL nokey"), "_\r\n");
    }

    #[test]
    fn long_strings_are_shared_with_the_reply() {
        let mut w = World::new(1);
        for len in [1024, 1025, 16 * 1024 - 1, 16 * 1024, 100_000] {
            let value = "x".repeat(len);
            w.run_args(&[b"SET", b"k", value.as_bytes()]);
            assert_eq!(w.run("GET k"), format!("${len}\r\n{value}\r\n"));
            assert_eq!(w.run("STRLEN k"), format!(":{len}\r\n"));
            assert_eq!(w.run("GETDEL k"), format!("${len}\r\n{value}\r\n"));
            assert_eq!(w.run("GET k"), "$-1\r\n");
        }
    }

    #[test]
    fn hits_and_misses_are_counted() {
        let mut w = World::new(1);
        w.run("SET k v");
        for line in ["GET k", "GET no", "GETEX k", "SET k v GET", "GETSET k v", "STRLEN no", "GETDEL k"] {
            w.run(line);
        }
        let tally = w.hand.peek(0).tally;
        assert_eq!((tally.hits, tally.misses), (5, 2));
    }

    #[test]
    fn getdel_removes() {
        let mut w = World::new(2);
        w.run("SET k v");
        assert_eq!(w.run("GETDEL k"), "$1\r\nv\r\n");
        assert_eq!(w.run("GETDEL k"), "$-1\r\n");
    }

    #[test]
    fn getex_changes_the_ttl() {
        let mut w = World::new(2);
        let ttl = |w: &mut World| w.expire_at("k").map(|at| at - w.now.ms());
        w.run("SET k v");
        assert_eq!(w.run("GETEX k EX 100"), "$1\r\nv\r\n");
        assert_eq!(ttl(&mut w), Some(100_000));
        assert_eq!(w.run("GETEX k"), "$1\r\nv\r\n");
        assert_eq!(ttl(&mut w), Some(100_000), "plain GETEX leaves it");
        assert_eq!(w.run("GETEX k PXAT 1700000000500"), "$1\r\nv\r\n");
        assert_eq!(ttl(&mut w), Some(500));
        assert_eq!(w.run("GETEX k PERSIST PERSIST"), "$1\r\nv\r\n");
        assert_eq!(ttl(&mut w), None);
        assert_eq!(w.run("GETEX k PXAT 1"), "$1\r\nv\r\n");
        assert_eq!(w.run("GET k"), "$-1\r\n", "a time that is past deletes");
    }

    #[test]
    fn getex_errors_come_in_redis_order() {
        let mut w = World::new(1);
        assert_eq!(w.run("GETEX nokey EX 0"), "$-1\r\n");
        assert_eq!(w.run("GETEX nokey EX abc"), "$-1\r\n");
        assert_eq!(w.run("GETEX nokey FOO"), "-ERR syntax error\r\n");
        w.run("SET k v");
        assert_eq!(w.run("GETEX k EX 0"), "-ERR invalid expire time in 'getex' command\r\n");
        assert_eq!(w.run("GETEX k EXAT -1"), "-ERR invalid expire time in 'getex' command\r\n");
        assert_eq!(w.run("GETEX k EX abc"), "-ERR value is not an integer or out of range\r\n");
        for bad in
            ["PERSIST EX 1", "EX 10 PERSIST", "KEEPTTL", "NX", "XX", "GET", "EX", "EX 10 PX 10", "EXAT"]
        {
            assert_eq!(w.run(&format!("GETEX k {bad}")), "-ERR syntax error\r\n", "{bad}");
        }
    }
}
