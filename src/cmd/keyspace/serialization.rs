//! Values as bytes that any Redis understands, out and in.

use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::persist::dump::{self, Refused};
use crate::persist::value::Reading;
use crate::resp::{Args, Error};
use crate::store::{Keys, Taken, access, lru};
use bytes::Bytes;

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "dump",
        full_name: "dump",
        arity: 2,
        flags: flag::READONLY,
        categories: category::KEYSPACE,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
        plan: Plan::Owner,
        run: dump,
        summary: "Gives the value of a key as bytes that RESTORE takes.",
        since: "2.6.0",
        group: "generic",
        complexity: "O(N) for a value of N bytes.",
        syntax: "key:key",
        tips: &["nondeterministic_output"],
        ..Command::BASE
    },
    Command {
        name: "restore",
        full_name: "restore",
        arity: -4,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::KEYSPACE | category::DANGEROUS,
        keys: &[KeySpec::one(1, key::OW | key::UPDATE)],
        plan: Plan::Owner,
        run: restore,
        summary: "Makes a key of what DUMP gave.",
        since: "2.6.0",
        group: "generic",
        complexity: "O(N) for a value of N bytes.",
        syntax: "key:key ttl:integer serialized-value:string [replace=REPLACE@3.0.0] [absttl=ABSTTL@5.0.0] \
                 [IDLETIME seconds:integer@5.0.0] [FREQ frequency:integer@5.0.0]",
        ..Command::BASE
    },
];

fn dump(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    match cx.keys.read(args.at(1)) {
        Some(entry) => cx.out.bulk_shared(&Bytes::from(dump::dump(entry.view(), true))),
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

/// How a restored key has been used.
#[derive(Clone, Copy)]
enum Used {
    Unknown,
    /// Not for this many seconds.
    Idle(i64),
    /// As this logarithmic counter says.
    Freq(u8),
}

impl Used {
    /// The access bits. What the policy in force does not track is ignored.
    fn access(self, keys: &Keys<'_>) -> u32 {
        let secs = keys.policy.now.secs();
        match (self, keys.policy.lfu) {
            (Used::Idle(idle), None) => lru::idle_since(idle.max(0) as u64, keys.policy.now),
            (Used::Freq(counter), Some(_)) => access::lfu_of(counter, secs),
            _ => keys.new_access(),
        }
    }
}

struct Wish {
    replace: bool,
    absttl: bool,
    used: Used,
}

impl Wish {
    fn parse(args: Args<'_>) -> Result<Wish, Error> {
        let mut wish = Wish { replace: false, absttl: false, used: Used::Unknown };
        let mut i = 4;
        while i < args.len() {
            let value = args.get(i + 1);
            match (value, wish.used) {
                _ if args.is(i, "replace") => wish.replace = true,
                _ if args.is(i, "absttl") => wish.absttl = true,
                (Some(value), Used::Unknown | Used::Idle(_)) if args.is(i, "idletime") => {
                    let idle = parse_i64(value).ok_or(Error::NotInteger)?;
                    if idle < 0 {
                        return Err(Error::text_of("ERR Invalid IDLETIME value, must be >= 0"));
                    }
                    wish.used = Used::Idle(idle);
                    i += 1;
                }
                (Some(value), Used::Unknown | Used::Freq(_)) if args.is(i, "freq") => {
                    let freq = u8::try_from(parse_i64(value).ok_or(Error::NotInteger)?);
                    wish.used =
                        Used::Freq(freq.map_err(|_| {
                            Error::text_of("ERR Invalid FREQ value, must be >= 0 and <= 255")
                        })?);
                    i += 1;
                }
                _ => return Err(Error::Syntax),
            }
            i += 1;
        }
        Ok(wish)
    }
}

/// Says for the log that a key was restored with a TTL from now on: as it came, but with the time at which it ends.
fn tell_ttl(cx: &mut Cx<'_>, key: &[u8], args: Args<'_>, expire_at: i64) {
    let mut digits = itoa::Buffer::new();
    let mut words: Vec<&[u8]> = args.iter().collect();
    // Clients may call it by another name.
    words[0] = b"RESTORE";
    words[2] = digits.format(expire_at).as_bytes();
    words.push(b"ABSTTL");
    cx.keys.effect(key, &words);
}

fn restore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let wish = Wish::parse(args)?;
    let key = args.at(1);
    if !wish.replace && cx.keys.peek(key).is_some() {
        return Err(Error::BusyKey);
    }
    let ttl = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    if ttl < 0 {
        return Err(Error::text_of("ERR Invalid TTL value, must be >= 0"));
    }
    let reading = Reading { config: cx.env.config, seed: cx.keys.seed() };
    let restore = if cx.env.saves.skips_checksums() { dump::restore_unchecked } else { dump::restore };
    let value = restore(args.at(3), &reading).map_err(|refused| match refused {
        Refused::Footer => Error::BadPayload,
        Refused::Data => Error::text_of("ERR Bad data format"),
    })?;
    let now_ms = cx.keys.now.ms();
    let expire_at = match ttl {
        0 => None,
        _ if wish.absttl => Some(ttl),
        _ => Some(cx.env.now.ms().saturating_add(ttl)),
    };
    if expire_at.is_some_and(|at| at <= now_ms) {
        if cx.keys.delete(key) {
            cx.keys.changed(key);
            cx.keys.effect(key, &[b"DEL", key]);
        }
    } else {
        let access = wish.used.access(&cx.keys);
        cx.keys.place(key, Taken { value, expire_at, access, mark: 0 });
        cx.keys.changed(key);
        if let (Some(at), false) = (expire_at, wish.absttl) {
            tell_ttl(cx, key, args, at);
        }
    }
    cx.out.ok();
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::store::access::Lfu;

    #[test]
    fn replies_are_redis_s() {
        World::new(3).expect(&[
            ("SET k v", "+OK\r\n"),
            ("RESTORE k 0 x", "-BUSYKEY Target key name already exists.\r\n"),
            ("RESTORE k 0 x REPLACE", "-ERR DUMP payload version or checksum are wrong\r\n"),
            ("RESTORE j 0 x", "-ERR DUMP payload version or checksum are wrong\r\n"),
            ("RESTORE j 0 \"\"", "-ERR DUMP payload version or checksum are wrong\r\n"),
            ("RESTORE j -1 x", "-ERR Invalid TTL value, must be >= 0\r\n"),
            ("RESTORE j abc x", "-ERR value is not an integer or out of range\r\n"),
            ("RESTORE k -1 x", "-BUSYKEY Target key name already exists.\r\n"),
            ("RESTORE j 0 x WHAT", "-ERR syntax error\r\n"),
            ("RESTORE j 0 x IDLETIME", "-ERR syntax error\r\n"),
            ("RESTORE j 0 x IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0\r\n"),
            ("RESTORE j 0 x IDLETIME abc", "-ERR value is not an integer or out of range\r\n"),
            ("RESTORE j 0 x FREQ", "-ERR syntax error\r\n"),
            ("RESTORE j 0 x FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n"),
            ("RESTORE j 0 x FREQ -1", "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n"),
            ("RESTORE j 0 x IDLETIME 1 FREQ 1", "-ERR syntax error\r\n"),
            ("RESTORE j 0 x FREQ 1 IDLETIME 1", "-ERR syntax error\r\n"),
            ("RESTORE k 0 x FREQ 1", "-BUSYKEY Target key name already exists.\r\n"),
            ("RESTORE j -1 x REPLACE", "-ERR Invalid TTL value, must be >= 0\r\n"),
            ("RESTORE j 0", "-ERR wrong number of arguments for 'restore' command\r\n"),
            ("DUMP nosuch", "$-1\r\n"),
            ("DUMP", "-ERR wrong number of arguments for 'dump' command\r\n"),
            (
                "RESTORE n 0 \"\\x00\\xc0\\x05\\n\\x00\\x8d\\x93\"",
                "-ERR DUMP payload version or checksum are wrong\r\n",
            ),
        ]);
    }

    /// The payload of a key, out of DUMP's reply.
    fn payload(world: &mut World, key: &str) -> Vec<u8> {
        let reply = world.run_bytes(&[b"DUMP", key.as_bytes()]);
        let head = reply.iter().position(|b| *b == b'\n').expect("a bulk string") + 1;
        reply[head..reply.len() - 2].to_vec()
    }

    fn restored(world: &mut World, ttl: &str, options: &[&str]) -> String {
        let payload = payload(world, "k");
        let mut args: Vec<&[u8]> = vec![b"RESTORE", b"j", ttl.as_bytes(), &payload];
        args.extend(options.iter().map(|option| option.as_bytes()));
        world.run_args(&args)
    }

    #[test]
    fn what_was_dumped_is_restored_with_its_encoding() {
        let mut world = World::new(3);
        for len in [0, 1, 5, 20, 21, 44, 45, 1_024, 1_025, 100_000] {
            for byte in [b'x', 0, 255] {
                world.run_args(&[b"SET", b"k", &vec![byte; len]]);
                assert_eq!(restored(&mut world, "0", &["replace"]), "+OK\r\n");
                assert_eq!(world.run_bytes(&[b"GET", b"j"]), world.run_bytes(&[b"GET", b"k"]));
                assert_eq!(world.run("OBJECT ENCODING j"), world.run("OBJECT ENCODING k"));
            }
        }
        for int in [0, 127, -128, 40_000, i64::MAX, i64::MIN] {
            world.run(&format!("SET k {int}"));
            restored(&mut world, "0", &["REPLACE"]);
            assert_eq!(world.run("GET j"), world.run("GET k"));
            assert_eq!(world.run("OBJECT ENCODING j"), "$3\r\nint\r\n");
        }
    }

    #[test]
    fn a_restored_key_has_the_ttl_that_was_asked_for() {
        let mut world = World::new(2);
        world.run("SET k v");
        restored(&mut world, "1500", &[]);
        assert_eq!(world.run("PTTL j"), ":1500\r\n");
        restored(&mut world, "1700000002000", &["ABSTTL", "REPLACE"]);
        assert_eq!(world.run("PTTL j"), ":2000\r\n");
        restored(&mut world, "9223372036854775807", &["REPLACE"]);
        assert_eq!(world.run("PEXPIRETIME j"), ":9223372036854775807\r\n");
        restored(&mut world, "0", &["REPLACE"]);
        assert_eq!(world.run("PTTL j"), ":-1\r\n");
        assert_eq!(restored(&mut world, "1", &["ABSTTL"]), "-BUSYKEY Target key name already exists.\r\n");
        assert_eq!(restored(&mut world, "1", &["ABSTTL", "REPLACE"]), "+OK\r\n");
        assert_eq!(world.run("EXISTS j"), ":0\r\n");
    }

    #[test]
    fn a_restored_key_has_the_uses_that_were_asked_for() {
        let mut world = World::new(2);
        world.run("SET k v");
        restored(&mut world, "0", &["IDLETIME", "1000"]);
        assert_eq!(world.run("OBJECT IDLETIME j"), ":1000\r\n");
        restored(&mut world, "0", &["IDLETIME", "9223372036854775807", "REPLACE"]);
        assert_eq!(world.run("OBJECT IDLETIME j"), ":234881024\r\n");
        restored(&mut world, "0", &["FREQ", "200", "REPLACE"]);
        assert_eq!(world.run("OBJECT IDLETIME j"), ":0\r\n");
        world.policy.lfu = Some(Lfu { log_factor: 10, decay_minutes: 1 });
        restored(&mut world, "0", &["FREQ", "200", "REPLACE"]);
        assert_eq!(world.run("OBJECT FREQ j"), ":200\r\n");
        restored(&mut world, "0", &["IDLETIME", "200", "REPLACE"]);
        assert_eq!(world.run("OBJECT FREQ j"), ":5\r\n");
    }

    #[test]
    fn types_that_are_not_known_are_bad_data() {
        // A value of a module.
        let mut payload = b"\x07\x01\x02\x0a\x00".to_vec();
        let crc = crate::persist::crc64::crc64(0, &payload);
        payload.extend_from_slice(&crc.to_le_bytes());
        let reply = World::new(1).run_args(&[b"RESTORE", b"j", b"0", &payload]);
        assert_eq!(reply, "-ERR Bad data format\r\n");
    }
}
