//! When keys go: setting, reading and removing TTLs.
//!
//! A time that has passed removes the key at once. TTLs are kept in milliseconds; seconds are rounded to the nearest.

use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error};

const CHANGES: &[KeySpec] = &[KeySpec::one(1, key::RW | key::UPDATE)];
const READS: &[KeySpec] = &[KeySpec::one(1, key::RO | key::ACCESS)];

/// A row that sets a TTL.
const SETS: Command = Command {
    arity: -3,
    flags: flag::WRITE | flag::FAST,
    categories: category::KEYSPACE,
    keys: CHANGES,
    plan: Plan::Owner,
    group: "generic",
    ..Command::BASE
};

/// A row that reads a TTL.
const GETS: Command = Command {
    arity: 2,
    flags: flag::READONLY | flag::FAST,
    categories: category::KEYSPACE,
    keys: READS,
    plan: Plan::Owner,
    group: "generic",
    syntax: "key:key",
    ..Command::BASE
};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "expire",
        full_name: "expire",
        run: expire,
        summary: "Lets a key expire after some seconds.",
        syntax: "key:key seconds:integer [condition:(nx=NX | xx=XX | gt=GT | lt=LT)@7.0.0]",
        ..SETS
    },
    Command {
        name: "pexpire",
        full_name: "pexpire",
        run: pexpire,
        summary: "Lets a key expire after some milliseconds.",
        since: "2.6.0",
        syntax: "key:key milliseconds:integer [condition:(nx=NX | xx=XX | gt=GT | lt=LT)@7.0.0]",
        ..SETS
    },
    Command {
        name: "expireat",
        full_name: "expireat",
        run: expireat,
        summary: "Lets a key expire at a Unix time in seconds.",
        since: "1.2.0",
        syntax: "key:key unix-time-seconds:unix-time [condition:(nx=NX | xx=XX | gt=GT | lt=LT)@7.0.0]",
        ..SETS
    },
    Command {
        name: "pexpireat",
        full_name: "pexpireat",
        run: pexpireat,
        summary: "Lets a key expire at a Unix time in milliseconds.",
        since: "2.6.0",
        syntax: "key:key unix-time-milliseconds:unix-time [condition:(nx=NX | xx=XX | gt=GT | lt=LT)@7.0.0]",
        ..SETS
    },
    Command {
        name: "ttl",
        full_name: "ttl",
        run: ttl,
        summary: "Gives the seconds until a key expires.",
        tips: &["nondeterministic_output"],
        ..GETS
    },
    Command {
        name: "pttl",
        full_name: "pttl",
        run: pttl,
        summary: "Gives the milliseconds until a key expires.",
        since: "2.6.0",
        tips: &["nondeterministic_output"],
        ..GETS
    },
    Command {
        name: "expiretime",
        full_name: "expiretime",
        run: expiretime,
        summary: "Gives the Unix time in seconds at which a key expires.",
        since: "7.0.0",
        ..GETS
    },
    Command {
        name: "pexpiretime",
        full_name: "pexpiretime",
        run: pexpiretime,
        summary: "Gives the Unix time in milliseconds at which a key expires.",
        since: "7.0.0",
        ..GETS
    },
    Command {
        name: "persist",
        full_name: "persist",
        arity: 2,
        run: persist,
        summary: "Removes the TTL of a key.",
        since: "2.2.0",
        syntax: "key:key",
        ..SETS
    },
];

/// When an EXPIRE applies: any combination that makes sense.
#[derive(Default)]
struct Condition {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Condition {
    fn parse(args: Args<'_>) -> Result<Condition, Error> {
        let mut condition = Condition::default();
        for i in 3..args.len() {
            if args.is(i, "nx") {
                condition.nx = true;
            } else if args.is(i, "xx") {
                condition.xx = true;
            } else if args.is(i, "gt") {
                condition.gt = true;
            } else if args.is(i, "lt") {
                condition.lt = true;
            } else {
                return Err(Error::quote("ERR Unsupported option ", args.at(i), ""));
            }
        }
        let Condition { nx, xx, gt, lt } = condition;
        if nx && (xx || gt || lt) {
            return Err(Error::text_of(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if gt && lt {
            return Err(Error::text_of("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    /// Whether `at` may replace the time a key has. No time at all counts as the latest.
    fn allows(&self, current: Option<i64>, at: i64) -> bool {
        !(self.nx && current.is_some()
            || self.xx && current.is_none()
            || self.gt && current.is_none_or(|current| at <= current)
            || self.lt && current.is_some_and(|current| at >= current))
    }
}

/// The EXPIRE family: the time is in units of `unit_ms`, counted from `base_ms`.
fn expire_from(cx: &mut Cx<'_>, args: Args<'_>, unit_ms: i64, base_ms: i64) -> Done {
    let condition = Condition::parse(args)?;
    let at = parse_i64(args.at(2))
        .ok_or(Error::NotInteger)?
        .checked_mul(unit_ms)
        .and_then(|ms| ms.checked_add(base_ms))
        .ok_or(Error::ExpireTime(cx.row.full_name))?;
    let (key, now_ms) = (args.at(1), cx.keys.now.ms());
    let applies = match cx.keys.write(key) {
        Some(mut entry) if condition.allows(entry.expire_at(), at) => {
            if at > now_ms {
                entry.set_expire(Some(at));
                cx.keys.effect(key, &[b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
            } else {
                cx.keys.delete(key);
                cx.keys.effect(key, &[b"DEL", key]);
            }
            cx.keys.changed(key);
            true
        }
        _ => false,
    };
    cx.out.int(applies as i64);
    Ok(Outcome::Done)
}

fn expire(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let now_ms = cx.env.now.ms();
    expire_from(cx, args, 1_000, now_ms)
}

fn pexpire(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let now_ms = cx.env.now.ms();
    expire_from(cx, args, 1, now_ms)
}

fn expireat(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    expire_from(cx, args, 1_000, 0)
}

fn pexpireat(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    expire_from(cx, args, 1, 0)
}

/// The TTL family: replies with what `answer` makes of the time, -1 for a key without one, -2 for no key.
fn reply_time(cx: &mut Cx<'_>, args: Args<'_>, answer: impl Fn(i64) -> i64) -> Done {
    let reply = match cx.keys.inspect(args.at(1)).map(|entry| entry.expire_at()) {
        Some(Some(at)) => answer(at),
        Some(None) => -1,
        None => -2,
    };
    cx.out.int(reply);
    Ok(Outcome::Done)
}

/// Milliseconds to the nearest second.
fn rounded_secs(ms: i64) -> i64 {
    ms / 1_000 + (ms % 1_000 >= 500) as i64
}

fn ttl(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let now_ms = cx.keys.now.ms();
    reply_time(cx, args, |at| rounded_secs(at - now_ms))
}

fn pttl(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let now_ms = cx.keys.now.ms();
    reply_time(cx, args, |at| at - now_ms)
}

fn expiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply_time(cx, args, rounded_secs)
}

fn pexpiretime(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    reply_time(cx, args, |at| at)
}

fn persist(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let removed = cx.keys.write(key).is_some_and(|mut entry| entry.set_expire(None).is_some());
    if removed {
        cx.keys.changed(key);
    }
    cx.out.int(removed as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    #[test]
    fn replies_are_redis_s() {
        World::new(3).expect(&[
            ("SET k v", "+OK\r\n"),
            ("TTL k", ":-1\r\n"),
            ("PTTL k", ":-1\r\n"),
            ("EXPIRETIME k", ":-1\r\n"),
            ("PEXPIRETIME k", ":-1\r\n"),
            ("TTL nosuch", ":-2\r\n"),
            ("PTTL nosuch", ":-2\r\n"),
            ("EXPIRETIME nosuch", ":-2\r\n"),
            ("PEXPIRETIME nosuch", ":-2\r\n"),
            ("PERSIST k", ":0\r\n"),
            ("PERSIST nosuch", ":0\r\n"),
            ("EXPIRE nosuch 10", ":0\r\n"),
            ("EXPIRE k 100", ":1\r\n"),
            ("TTL k", ":100\r\n"),
            ("PERSIST k", ":1\r\n"),
            ("PERSIST k", ":0\r\n"),
            ("TTL k", ":-1\r\n"),
            ("EXPIRE k 100 XX", ":0\r\n"),
            ("EXPIRE k 100 GT", ":0\r\n"),
            ("EXPIRE k 100 NX", ":1\r\n"),
            ("EXPIRE k 200 NX", ":0\r\n"),
            ("EXPIRE k 200 LT", ":0\r\n"),
            ("EXPIRE k 50 GT", ":0\r\n"),
            ("EXPIRE k 200 gt", ":1\r\n"),
            ("TTL k", ":200\r\n"),
            ("EXPIRE k 100 XX LT", ":1\r\n"),
            ("TTL k", ":100\r\n"),
            ("EXPIRE k 300 XX XX", ":1\r\n"),
            ("EXPIRE k 300 XX GT", ":0\r\n"),
            ("PERSIST k", ":1\r\n"),
            ("EXPIRE k 300 LT", ":1\r\n"),
            ("TTL k", ":300\r\n"),
            ("EXPIRE k 10 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"),
            ("EXPIRE k 10 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"),
            ("EXPIRE k 10 NX LT", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"),
            ("EXPIRE k 10 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n"),
            ("EXPIRE k 10 XX GT LT", "-ERR GT and LT options at the same time are not compatible\r\n"),
            (
                "EXPIRE k 10 NX GT LT",
                "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n",
            ),
            ("EXPIRE k 10 WHAT", "-ERR Unsupported option WHAT\r\n"),
            ("EXPIRE k 10 NX WHAT", "-ERR Unsupported option WHAT\r\n"),
            ("EXPIRE k x WHAT", "-ERR Unsupported option WHAT\r\n"),
            ("EXPIRE k x", "-ERR value is not an integer or out of range\r\n"),
            ("EXPIRE k 1.5", "-ERR value is not an integer or out of range\r\n"),
            ("EXPIRE nosuch x", "-ERR value is not an integer or out of range\r\n"),
            ("EXPIRE k", "-ERR wrong number of arguments for 'expire' command\r\n"),
            ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"),
            ("EXPIRE nosuch 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"),
            ("EXPIRE k -9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"),
            ("EXPIRE k 9223372036854775", "-ERR invalid expire time in 'expire' command\r\n"),
            ("EXPIRE k 9223372036854776", "-ERR invalid expire time in 'expire' command\r\n"),
            ("PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"),
            ("EXPIREAT k 9223372036854776", "-ERR invalid expire time in 'expireat' command\r\n"),
            ("EXPIREAT k -9223372036854776", "-ERR invalid expire time in 'expireat' command\r\n"),
            ("PEXPIRE k -9223372036854775808 GT", ":0\r\n"),
            ("PEXPIREAT k 9223372036854775807", ":1\r\n"),
            ("PEXPIRETIME k", ":9223372036854775807\r\n"),
            ("EXPIRETIME k", ":9223372036854776\r\n"),
            ("EXPIREAT k 33177117420", ":1\r\n"),
            ("EXPIRETIME k", ":33177117420\r\n"),
            ("PEXPIRETIME k", ":33177117420000\r\n"),
            ("PEXPIREAT k 33177117420500", ":1\r\n"),
            ("EXPIRETIME k", ":33177117421\r\n"),
            ("PEXPIRETIME k", ":33177117420500\r\n"),
            ("PEXPIREAT k 33177117420499", ":1\r\n"),
            ("EXPIRETIME k", ":33177117420\r\n"),
            ("EXPIRE k 0", ":1\r\n"),
            ("EXISTS k", ":0\r\n"),
            ("SET k v", "+OK\r\n"),
            ("EXPIRE k -1", ":1\r\n"),
            ("EXISTS k", ":0\r\n"),
            ("SET k v", "+OK\r\n"),
            ("EXPIREAT k 1", ":1\r\n"),
            ("EXISTS k", ":0\r\n"),
            ("SET k v", "+OK\r\n"),
            ("PEXPIREAT k 1 GT", ":0\r\n"),
            ("EXISTS k", ":1\r\n"),
            ("PEXPIREAT k 1 LT", ":1\r\n"),
            ("EXISTS k", ":0\r\n"),
            ("SET k v", "+OK\r\n"),
            ("PEXPIRE k -9223372036854775808", ":1\r\n"),
            ("EXISTS k", ":0\r\n"),
            ("EXPIRE nosuch 10 NX WHAT", "-ERR Unsupported option WHAT\r\n"),
            ("TTL", "-ERR wrong number of arguments for 'ttl' command\r\n"),
            ("PERSIST", "-ERR wrong number of arguments for 'persist' command\r\n"),
        ]);
    }

    #[test]
    fn a_key_goes_at_its_millisecond() {
        let mut world = World::new(2);
        world.run("SET k v");
        assert_eq!(world.run("PEXPIRE k 1500"), ":1\r\n");
        world.advance_ms(1);
        assert_eq!(world.run("TTL k"), ":1\r\n");
        assert_eq!(world.run("PTTL k"), ":1499\r\n");
        world.advance_ms(1_498);
        assert_eq!(world.run("TTL k"), ":0\r\n");
        assert_eq!(world.run("GET k"), "$1\r\nv\r\n");
        world.advance_ms(1);
        assert_eq!(world.run("PTTL k"), ":-2\r\n");
        assert_eq!(world.run("EXPIRE k 10"), ":0\r\n");
        assert_eq!(world.run("PERSIST k"), ":0\r\n");
    }

    #[test]
    fn seconds_are_rounded_to_the_nearest() {
        for (ms, secs) in [(0, 0), (499, 0), (500, 1), (1_499, 1), (i64::MAX, 9_223_372_036_854_776)] {
            assert_eq!(rounded_secs(ms), secs);
        }
    }
}
