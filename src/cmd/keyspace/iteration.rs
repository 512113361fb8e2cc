//! Walking over keys: all at once, in steps, at random, or just their number.
//!
//! SCAN's cursor says which shard it is at and where in that shard's table:
//! ```text
//!  cursor = position in the table (below 2^48) * shards + shard         0: the beginning and the end
//! ```
//! A call looks in the cursor's shard, which most often has all that it was asked for, so it needs only that store. Where a shard
//! ends before, the call is made again with the stores from there on, and goes on in the next ones: a small keyspace is over in one
//! call, as in Redis. The table guarantees that what is there during a whole walk is met, and keys do not move between shards.

use crate::base::glob;
use crate::base::number::{parse_i64, parse_u64};
use crate::cmd::row::{category, flag};
use crate::cmd::{Command, Cx, Done, Outcome, Plan, Where};
use crate::ds::Ref;
use crate::resp::{Args, Error, Out};
use crate::store::{Keys, Route, ShardSet, Value, kind};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "keys",
        full_name: "keys",
        arity: 2,
        flags: flag::READONLY | flag::HEAVY,
        categories: category::KEYSPACE | category::DANGEROUS,
        plan: Plan::All,
        run: keys,
        summary: "Lists all keys that match a pattern.",
        group: "generic",
        complexity: "O(N) for N keys in the database.",
        syntax: "pattern:pattern",
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        ..Command::BASE
    },
    Command {
        name: "scan",
        full_name: "scan",
        arity: -2,
        flags: flag::READONLY,
        categories: category::KEYSPACE,
        plan: Plan::Lowest(shards_from_cursor),
        run: scan,
        summary: "Walks over the keys of the database in small steps.",
        since: "2.8.0",
        group: "generic",
        complexity: "O(1) a call; O(N) for a whole walk over N keys.",
        syntax: "cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type:string@6.0.0]",
        tips: &["nondeterministic_output", "request_policy:special"],
        ..Command::BASE
    },
    Command {
        name: "randomkey",
        full_name: "randomkey",
        arity: 1,
        flags: flag::READONLY,
        categories: category::KEYSPACE,
        plan: Plan::All,
        run: randomkey,
        summary: "Gives a key of the database at random.",
        group: "generic",
        tips: &["request_policy:all_shards", "nondeterministic_output"],
        ..Command::BASE
    },
    Command {
        name: "dbsize",
        full_name: "dbsize",
        arity: 1,
        flags: flag::READONLY | flag::FAST,
        categories: category::KEYSPACE,
        plan: Plan::All,
        run: dbsize,
        summary: "Counts the keys of the database.",
        group: "server",
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        ..Command::BASE
    },
];

/// How many keys a SCAN looks at, unless COUNT says otherwise.
const SCAN_COUNT: i64 = 10;
/// The places in the table that a SCAN looks at for each key it was asked for: a sparse table ends a call, too.
const SCAN_PLACES: u64 = 10;
/// What a walk over something else than a hash says to that option.
pub const NOVALUES: &str = "ERR NOVALUES option can only be used in HSCAN";

fn expired(entry: &Ref<'_, Value>, now_ms: i64) -> bool {
    entry.expire_at().is_some_and(|at| at <= now_ms)
}

fn keys(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let pattern = Some(args.at(1)).filter(|pattern| *pattern != b"*");
    let (db, now_ms) = (cx.keys.db, cx.keys.now.ms());
    let mut found = Found::new(cx.out);
    for store in cx.keys.hand.iter() {
        for entry in store.db(db).table().iter() {
            let wanted = pattern.is_none_or(|pattern| glob::matches(pattern, entry.key(), false));
            if wanted && !expired(&entry, now_ms) {
                found.add(entry.key());
            }
        }
    }
    found.reply(cx.out);
    Ok(Outcome::Done)
}

/// Keys on their way into an array whose length is not yet known.
struct Found {
    replies: Out,
    len: usize,
}

impl Found {
    fn new(out: &Out) -> Found {
        Found { replies: Out::with_buffer(Vec::new(), out.proto()), len: 0 }
    }

    fn add(&mut self, key: &[u8]) {
        self.replies.bulk(key);
        self.len += 1;
    }

    fn reply(mut self, out: &mut Out) {
        out.array(self.len);
        out.append(&mut self.replies);
    }
}

/// What SCAN was asked for.
struct Wish<'a> {
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    count: u64,
}

impl<'a> Wish<'a> {
    fn parse(args: Args<'a>) -> Result<Wish<'a>, Error> {
        let mut wish = Wish { pattern: None, kind: None, count: SCAN_COUNT as u64 };
        let mut i = 2;
        while i < args.len() {
            if args.is(i, "novalues") {
                return Err(Error::text_of(NOVALUES));
            }
            let value = args.get(i + 1).ok_or(Error::Syntax)?;
            if args.is(i, "count") {
                let count = parse_i64(value).ok_or(Error::NotInteger)?;
                wish.count = u64::try_from(count).ok().filter(|n| *n > 0).ok_or(Error::Syntax)?;
            } else if args.is(i, "match") {
                wish.pattern = Some(value).filter(|pattern| *pattern != b"*");
            } else if args.is(i, "type") {
                wish.kind = Some(value);
            } else {
                return Err(Error::Syntax);
            }
            i += 2;
        }
        Ok(wish)
    }

    /// Types that do not exist have no keys: not an error.
    fn wants(&self, entry: &Ref<'_, Value>) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, entry.key(), false))
            && self.kind.is_none_or(|name| kind(entry).name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// SCAN's plan: the cursor's shard, and perhaps those after it. A bad cursor needs no store to be refused.
fn shards_from_cursor(args: Args<'_>, route: Route) -> Where {
    let shards = route.shards();
    match args.get(1).and_then(parse_u64).map(|cursor| (cursor % shards as u64) as usize) {
        None => Where::Anywhere,
        Some(last) if last + 1 == shards => Where::Shard(last),
        Some(first) => Where::Shards(ShardSet::range(first, shards)),
    }
}

fn scan(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let cursor = parse_u64(args.at(1)).ok_or(Error::InvalidCursor)?;
    let wish = Wish::parse(args)?;
    let mut found = Found::new(cx.out);
    let Some(next) = scan_step(&mut cx.keys, cursor, &wish, &mut found) else { return Ok(Outcome::Wider) };
    cx.out.array(2);
    cx.out.bulk(next.to_string().as_bytes());
    found.reply(cx.out);
    Ok(Outcome::Done)
}

/// Looks at about as many keys as are wished for from a cursor on, and gives the next cursor. None: that takes a store that is
/// not in hand.
fn scan_step(keys: &mut Keys<'_>, cursor: u64, wish: &Wish<'_>, found: &mut Found) -> Option<u64> {
    let shards = keys.hand.route().shards() as u64;
    let (mut shard, mut position) = (cursor % shards, cursor / shards);
    let now_ms = keys.now.ms();
    let (mut seen, mut places) = (0, wish.count.saturating_mul(SCAN_PLACES));
    let mut gone: Vec<Vec<u8>> = Vec::new();
    loop {
        if !keys.hand.has(shard as usize) {
            return None;
        }
        let table = keys.hand.peek(shard as usize).db(keys.db).table();
        position = table.scan(position, &mut |entry| {
            seen += 1;
            if expired(&entry, now_ms) {
                gone.push(entry.key().to_vec());
            } else if wish.wants(&entry) {
                found.add(entry.key());
            }
        });
        places -= 1;
        if position == 0 {
            shard += 1;
        }
        if shard == shards || seen >= wish.count || places == 0 {
            break;
        }
    }
    for key in &gone {
        // Looking an expired key up removes it.
        keys.peek(key);
    }
    Some(if shard == shards { 0 } else { position * shards + shard })
}

fn randomkey(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    // Every turn but the last removes an expired key by looking it up, so this ends.
    while let Some(shard) = random_shard(&mut cx.keys) {
        let Keys { hand, random, db, now, .. } = &mut cx.keys;
        let Some(entry) = hand.peek(shard).db(*db).table().random(|| crate::base::prng::xorshift(random))
        else {
            break;
        };
        if !expired(&entry, now.ms()) {
            cx.out.bulk(entry.key());
            return Ok(Outcome::Done);
        }
        let key = entry.key().to_vec();
        cx.keys.peek(&key);
    }
    cx.out.null();
    Ok(Outcome::Done)
}

/// A shard, as likely as it has keys; none when nobody has one.
fn random_shard(keys: &mut Keys<'_>) -> Option<usize> {
    let db = keys.db;
    let total: usize = keys.hand.iter().map(|store| store.db(db).len()).sum();
    let mut nth = (keys.random() as usize).checked_rem(total)?;
    for store in keys.hand.iter() {
        let len = store.db(db).len();
        if nth < len {
            return Some(store.shard());
        }
        nth -= len;
    }
    None
}

fn dbsize(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let db = cx.keys.db;
    let len: usize = cx.keys.hand.iter().map(|store| store.db(db).len()).sum();
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::base::prng::{seeded, xorshift};
    use crate::cmd::testing::World;
    use std::collections::BTreeSet;

    #[test]
    fn replies_are_redis_s() {
        World::new(1).expect(&[
            ("SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"),
            ("SCAN 0 COUNT 0", "-ERR syntax error\r\n"),
            ("SCAN 0 COUNT -1", "-ERR syntax error\r\n"),
            ("SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n"),
            ("SCAN 0 COUNT", "-ERR syntax error\r\n"),
            ("SCAN 0 MATCH", "-ERR syntax error\r\n"),
            ("SCAN 0 TYPE", "-ERR syntax error\r\n"),
            ("SCAN 0 WHAT", "-ERR syntax error\r\n"),
            ("SCAN 0 NOVALUES", "-ERR NOVALUES option can only be used in HSCAN\r\n"),
            ("SCAN 0 COUNT 5 novalues", "-ERR NOVALUES option can only be used in HSCAN\r\n"),
            ("SCAN 0 WHAT x", "-ERR syntax error\r\n"),
            ("SCAN x", "-ERR invalid cursor\r\n"),
            ("SCAN -1x", "-ERR invalid cursor\r\n"),
            ("SCAN 99999999999999999999", "-ERR invalid cursor\r\n"),
            ("SCAN x COUNT 0", "-ERR invalid cursor\r\n"),
            ("SCAN 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n"),
            ("SCAN 0 MATCH * COUNT 1 TYPE nosuch", "*2\r\n$1\r\n0\r\n*0\r\n"),
            ("SET k v", "+OK\r\n"),
            ("SCAN 0 TYPE nosuch", "*2\r\n$1\r\n0\r\n*0\r\n"),
            ("SCAN 0 TYPE STRING", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"),
            ("SCAN 0 type string match k* count 100", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"),
            ("SCAN 0 MATCH x", "*2\r\n$1\r\n0\r\n*0\r\n"),
            ("KEYS *", "*1\r\n$1\r\nk\r\n"),
            ("KEYS nosuch", "*0\r\n"),
            ("KEYS", "-ERR wrong number of arguments for 'keys' command\r\n"),
            ("KEYS a b", "-ERR wrong number of arguments for 'keys' command\r\n"),
            ("RANDOMKEY", "$1\r\nk\r\n"),
            ("RANDOMKEY a", "-ERR wrong number of arguments for 'randomkey' command\r\n"),
            ("DEL k", ":1\r\n"),
            ("RANDOMKEY", "$-1\r\n"),
        ]);
    }

    /// One call: the next cursor and the keys (none of which hold line breaks).
    fn scan(world: &mut World, cursor: u64, options: &str) -> (u64, Vec<String>) {
        let reply = world.run(&format!("SCAN {cursor} {options}"));
        let lines: Vec<&str> = reply.split("\r\n").collect();
        let keys =
            lines[4..].iter().skip(1).step_by(2).map(|key| key.to_string()).filter(|key| !key.is_empty());
        (lines[2].parse().expect("a cursor"), keys.collect())
    }

    fn walk(world: &mut World, options: &str, between: &mut dyn FnMut(&mut World)) -> Vec<String> {
        let (mut cursor, mut all) = (0, Vec::new());
        for _ in 0..100_000 {
            let (next, keys) = scan(world, cursor, options);
            all.extend(keys);
            if next == 0 {
                return all;
            }
            cursor = next;
            between(world);
        }
        panic!("a walk without end");
    }

    #[test]
    fn a_walk_meets_what_stays_whatever_comes_and_goes() {
        for shards in [1, 2, 3, 8] {
            let mut world = World::new(shards);
            let stay: BTreeSet<String> = (0..300).map(|i| format!("stay:{i}")).collect();
            stay.iter().for_each(|key| drop(world.run(&format!("SET {key} v"))));
            let (mut rng, mut serial) = (seeded(shards as u64), 0);
            let met = walk(&mut world, "COUNT 7", &mut |world| {
                for _ in 0..5 {
                    serial += 1;
                    world.run(&format!("SET come:{serial} v"));
                    world.run(&format!("DEL come:{}", xorshift(&mut rng) % (serial + 1)));
                }
            });
            let met: BTreeSet<String> = met.into_iter().filter(|key| key.starts_with("stay")).collect();
            assert_eq!(met, stay, "{shards} shards");
        }
    }

    #[test]
    fn a_quiet_walk_meets_each_key_once() {
        let mut world = World::new(3);
        (0..500).for_each(|i| drop(world.run(&format!("SET key:{i} v"))));
        let met = walk(&mut world, "", &mut |_| {});
        assert_eq!(met.len(), 500);
        assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), 500);
        let some = walk(&mut world, "MATCH key:1? COUNT 100", &mut |_| {});
        assert_eq!(some.len(), 10);
        assert!(walk(&mut world, "TYPE hash", &mut |_| {}).is_empty());
        assert_eq!(walk(&mut world, "COUNT 9223372036854775807", &mut |_| {}).len(), 500);
        for cursor in [u64::MAX, u64::MAX / 3, 1 << 48, (1 << 48) * 3 - 1] {
            scan(&mut world, cursor, "");
        }
    }

    #[test]
    fn expired_keys_are_not_met_and_go() {
        let mut world = World::new(2);
        for i in 0..100 {
            world.run(&format!("SET key:{i} v"));
            world.run(&format!("PEXPIRE key:{i} {}", 10 + i % 2 * 1_000));
        }
        world.advance_ms(10);
        assert_eq!(world.run("KEYS *").matches('$').count(), 50);
        assert_eq!(world.run("DBSIZE"), ":100\r\n");
        assert_eq!(walk(&mut world, "", &mut |_| {}).len(), 50);
        assert_eq!(world.run("DBSIZE"), ":50\r\n");
        world.advance_ms(1_000);
        assert_eq!(world.run("RANDOMKEY"), "$-1\r\n");
        assert_eq!(world.run("DBSIZE"), ":0\r\n");
        let expired: u64 = world.hand.iter().map(|store| store.tally.expired).sum();
        assert_eq!(expired, 100);
    }

    #[test]
    fn every_key_has_its_chance() {
        let mut world = World::new(3);
        (0..20).for_each(|i| drop(world.run(&format!("SET key:{i} v"))));
        let met: BTreeSet<String> = (0..2_000).map(|_| world.run("RANDOMKEY")).collect();
        assert_eq!(met.len(), 20);
    }
}
