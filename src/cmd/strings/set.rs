//! SET and its older forms: SETNX, SETEX, PSETEX, GETSET.

use super::options::{Condition, Expiry, Form, Options, Unit, unix_ms};
use super::text::{Text, stored_within};
use crate::cmd::row::{Deprecated, category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "set",
        full_name: "set",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE | key::VARIABLE)
            .with_notes("It reads the key with `GET` only.")],
        plan: Plan::Owner,
        run: set,
        summary: "Sets a key to a string, with conditions and a TTL if asked.",
        group: "string",
        syntax: "key:key value:string [condition:(nx=NX | xx=XX)@2.6.12] [get=GET@6.2.0] [expiration:(EX \
                 seconds:integer@2.6.12 | PX milliseconds:integer@2.6.12 | EXAT \
                 unix-time-seconds:unix-time@6.2.0 | PXAT unix-time-milliseconds:unix-time@6.2.0 | \
                 keepttl=KEEPTTL@6.0.0)]",
        ..Command::BASE
    },
    Command {
        name: "setnx",
        full_name: "setnx",
        arity: 3,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::OW | key::INSERT)],
        plan: Plan::Owner,
        run: setnx,
        summary: "Sets a key to a string unless the key is there.",
        group: "string",
        syntax: "key:key value:string",
        deprecated: Some(Deprecated { since: "2.6.12", instead: "`SET` with `NX`" }),
        ..Command::BASE
    },
    Command {
        name: "setex",
        full_name: "setex",
        arity: 4,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::OW | key::UPDATE)],
        plan: Plan::Owner,
        run: setex,
        summary: "Sets a key to a string with a TTL in seconds.",
        since: "2.0.0",
        group: "string",
        syntax: "key:key seconds:integer value:string",
        deprecated: Some(Deprecated { since: "2.6.12", instead: "`SET` with `EX`" }),
        ..Command::BASE
    },
    Command {
        name: "psetex",
        full_name: "psetex",
        arity: 4,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::OW | key::UPDATE)],
        plan: Plan::Owner,
        run: psetex,
        summary: "Sets a key to a string with a TTL in milliseconds.",
        since: "2.6.0",
        group: "string",
        syntax: "key:key milliseconds:integer value:string",
        deprecated: Some(Deprecated { since: "2.6.12", instead: "`SET` with `PX`" }),
        ..Command::BASE
    },
    Command {
        name: "getset",
        full_name: "getset",
        arity: 3,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE)],
        plan: Plan::Owner,
        run: getset,
        summary: "Sets a key to a string and gives the string that was there.",
        group: "string",
        syntax: "key:key value:string",
        deprecated: Some(Deprecated { since: "6.2.0", instead: "`SET` with `GET`" }),
        ..Command::BASE
    },
];

#[inline]
fn set(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if args.len() > 3 {
        return set_with_options(cx, args);
    }
    put(cx, args.at(1), args.at(2), None);
    cx.out.ok();
    Ok(Outcome::Done)
}

/// Sets a key and says so.
#[inline]
fn put(cx: &mut Cx<'_>, name: &[u8], text: &[u8], expire_at: Option<i64>) {
    cx.keys.set(name, stored_within(text, cx.session.lent.as_deref()), expire_at);
    cx.keys.changed(name);
}

fn set_with_options(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, text) = (args.at(1), args.at(2));
    let options = Options::parse(args.from(3), Form::Set)?;
    let asked = options.expiry.at(cx.env.now.ms(), "set")?;
    if options.get {
        reply_old(cx, name)?;
    }
    let sets = match options.condition {
        None => true,
        Some(Condition::Absent) => cx.keys.write(name).is_none(),
        Some(Condition::Present) => cx.keys.write(name).is_some(),
    };
    if !sets {
        if !options.get {
            cx.out.null();
        }
        return Ok(Outcome::Done);
    }
    let expire_at = match options.expiry {
        Expiry::Keep => cx.keys.peek(name).and_then(|entry| entry.expire_at()),
        _ => asked,
    };
    put(cx, name, text, expire_at);
    match (options.expiry, asked) {
        (_, Some(at)) => tell_ttl(cx, name, text, at),
        (Expiry::Keep, None) if options.get => {
            cx.keys.effect(name, &[b"SET", name, text, b"KEEPTTL"]);
        }
        (_, None) if options.get => cx.keys.effect(name, &[b"SET", name, text]),
        // The options do the same again.
        (_, None) => {}
    }
    if !options.get {
        cx.out.ok();
    }
    Ok(Outcome::Done)
}

/// Says that a key was set with a TTL, for the log.
fn tell_ttl(cx: &mut Cx<'_>, name: &[u8], text: &[u8], expire_at: i64) {
    let mut digits = itoa::Buffer::new();
    cx.keys.effect(name, &[b"SET", name, text, b"PXAT", digits.format(expire_at).as_bytes()]);
}

/// Replies with the string that is there before it is replaced.
fn reply_old(cx: &mut Cx<'_>, name: &[u8]) -> Result<(), Error> {
    match cx.keys.read(name) {
        Some(entry) => Text::of(entry.view())?.reply(cx.out),
        None => cx.out.null(),
    }
    Ok(())
}

fn setnx(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let absent = cx.keys.write(args.at(1)).is_none();
    if absent {
        put(cx, args.at(1), args.at(2), None);
    }
    cx.out.int(absent as i64);
    Ok(Outcome::Done)
}

fn setex(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    set_with_ttl(cx, args, Unit::EX)
}

fn psetex(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    set_with_ttl(cx, args, Unit::PX)
}

fn set_with_ttl(cx: &mut Cx<'_>, args: Args<'_>, unit: Unit) -> Done {
    let expire_at = unix_ms(args.at(2), unit, cx.env.now.ms(), cx.row.full_name)?;
    put(cx, args.at(1), args.at(3), Some(expire_at));
    tell_ttl(cx, args.at(1), args.at(3), expire_at);
    cx.out.ok();
    Ok(Outcome::Done)
}

fn getset(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply_old(cx, args.at(1))?;
    put(cx, args.at(1), args.at(2), None);
    cx.keys.effect(args.at(1), &[b"SET", args.at(1), args.at(2)]);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    fn ttl(w: &mut World, key: &str) -> Option<i64> {
        w.expire_at(key).map(|at| at - w.now.ms())
    }

    #[test]
    fn conditions() {
        let mut w = World::new(3);
        assert_eq!(w.run("SET k v XX"), "$-1\r\n");
        assert_eq!(w.run("SET k v NX"), "+OK\r\n");
        assert_eq!(w.run("SET k w NX NX"), "$-1\r\n");
        assert_eq!(w.run("SET k w XX"), "+OK\r\n");
        assert_eq!(w.run("SET k x NX GET"), "$1\r\nw\r\n");
        assert_eq!(w.run("GET k"), "$1\r\nw\r\n");
        assert_eq!(w.run("SET new x NX GET"), "$-1\r\n");
        assert_eq!(w.run("GET new"), "$1\r\nx\r\n");
        assert_eq!(w.run("SET none x XX GET"), "$-1\r\n");
        assert_eq!(w.run("GET none"), "$-1\r\n");
        assert_eq!(w.run("SET k y get"), "$1\r\nw\r\n");
        assert_eq!(w.run("GETSET k z"), "$1\r\ny\r\n");
        assert_eq!(w.run("GETSET other z"), "$-1\r\n");
        assert_eq!(w.run("SETNX k a"), ":0\r\n");
        assert_eq!(w.run("SETNX fresh a"), ":1\r\n");
        w.proto(Proto::Resp3);
        assert_eq!(w.run("SET nope 1 XX"), "_\r\n");
    }

    #[test]
    fn times_to_live() {
        let mut w = World::new(2);
        assert_eq!(w.run("SET k v EX 10 EX 20"), "+OK\r\n");
        assert_eq!(ttl(&mut w, "k"), Some(20_000));
        assert_eq!(w.run("SET k v KEEPTTL KEEPTTL"), "+OK\r\n");
        assert_eq!(ttl(&mut w, "k"), Some(20_000));
        assert_eq!(w.run("SET k v"), "+OK\r\n");
        assert_eq!(ttl(&mut w, "k"), None);
        assert_eq!(w.run("SET k v px 1500"), "+OK\r\n");
        assert_eq!(ttl(&mut w, "k"), Some(1_500));
        assert_eq!(w.run("SET k v ExAt 1700000001"), "+OK\r\n");
        assert_eq!(ttl(&mut w, "k"), Some(1_000));
        assert_eq!(w.run("GETSET k v"), "$1\r\nv\r\n");
        assert_eq!(ttl(&mut w, "k"), None);
        assert_eq!(w.run("SETEX k 10 v"), "+OK\r\n");
        assert_eq!(ttl(&mut w, "k"), Some(10_000));
        assert_eq!(w.run("PSETEX k 10 v"), "+OK\r\n");
        w.advance_ms(9);
        assert_eq!(w.run("GET k"), "$1\r\nv\r\n");
        w.advance_ms(1);
        assert_eq!(w.run("GET k"), "$-1\r\n");
        assert_eq!(w.run("SET k v EXAT 1"), "+OK\r\n");
        assert_eq!(w.run("GET k"), "$-1\r\n", "set to a time that is past, so it has expired");
        assert_eq!(w.run("SET k v EXAT 9223372036854775"), "+OK\r\n");
        assert_eq!(w.run("GET k"), "$1\r\nv\r\n");
    }

    #[test]
    fn errors() {
        let mut w = World::new(1);
        for bad in [
            "EX",
            "EX 10 PX 10",
            "NX XX",
            "KEEPTTL EX 10",
            "EX 10 KEEPTTL",
            "PERSIST",
            "FOO",
            "EX 10 NX GET XX",
            "EX abc foo",
            "EXAT 10 EX 10",
            "EXXX 10",
        ] {
            assert_eq!(w.run(&format!("SET k v {bad}")), "-ERR syntax error\r\n", "{bad}");
        }
        for bad in [
            "EX 0",
            "EX 9223372036854775807",
            "PX 9223372036854775807",
            "EXAT 9223372036854776",
            "PXAT -5",
            "PX -1",
        ] {
            let reply = w.run(&format!("SET k v {bad}"));
            assert_eq!(reply, "-ERR invalid expire time in 'set' command\r\n", "{bad}");
        }
        assert_eq!(w.run("SET k v EX abc"), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(w.run("SETEX k 0 v"), "-ERR invalid expire time in 'setex' command\r\n");
        assert_eq!(w.run("PSETEX k 0 v"), "-ERR invalid expire time in 'psetex' command\r\n");
        assert_eq!(
            w.run("PSETEX k 9223372036854775807 v"),
            "-ERR invalid expire time in 'psetex' command\r\n"
        );
        assert_eq!(w.run("SETEX k abc v"), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(w.run("SET k"), "-ERR wrong number of arguments for 'set' command\r\n");
        assert_eq!(w.run("GET k"), "$-1\r\n", "nothing was set");
        assert_eq!(w.hand.peek(0).dirty, 0);
    }

    #[test]
    fn encodings() {
        let mut w = World::new(1);
        for (value, encoding) in [
            ("10", "int"),
            ("-9223372036854775808", "int"),
            ("9223372036854775807", "int"),
            ("9223372036854775808", "embstr"),
            ("12345678901234567890", "embstr"),
            ("007", "embstr"),
            ("", "embstr"),
            ("01234567890123456789012345678901234567890123", "embstr"),
            ("012345678901234567890123456789012345678901234", "raw"),
        ] {
            for set in ["SET k", "GETSET k", "SETEX k 10", "MSET k"] {
                w.run(&format!("{set} \"{value}\""));
                assert_eq!(w.encoding("k"), encoding, "{set} {value}");
                assert_eq!(w.run("GET k"), format!("${}\r\n{value}\r\n", value.len()));
            }
        }
    }
}
