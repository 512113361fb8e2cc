//! Valid payloads of every type and encoding, and how values of each type are used.

use super::Bench;
use kring::persist::dump;
use kring::persist::rdb::{Item, Reader};

/// Files of redis-server 7.0, whose values are samples too.
const FILES: [&[u8]; 3] = [
    include_bytes!("../data/redis-7.0-strings.rdb"),
    include_bytes!("../data/redis-7.0-types.rdb"),
    include_bytes!("../data/redis-7.0-lru.rdb"),
];
/// Longer ones would be damaged in their text only.
const LONGEST: usize = 4_000;

/// What a key of a name is made by.
fn recipes() -> Vec<(&'static str, Vec<String>)> {
    let each = |n: usize, one: &dyn Fn(usize) -> String| (0..n).map(one).collect::<Vec<_>>().join(" ");
    let one = |line: String| vec![line];
    let long = "0123456789".repeat(10);
    vec![
        ("int", one("SET f 12345".into())),
        ("a negative int", one("SET f -9000000000".into())),
        ("embstr", one("SET f short".into())),
        ("raw", one(format!("SET f {long}"))),
        ("raw, compressed", one(format!("SET f {}", "ab".repeat(600)))),
        ("bits", one("SETBIT f 700 1".into())),
        ("sparse hyperloglog", one(format!("PFADD f {}", each(20, &|i| i.to_string())))),
        (
            "dense hyperloglog",
            vec![format!("PFADD f {}", each(9, &|i| i.to_string())), "PFDEBUG TODENSE f".into()],
        ),
        ("listpack list", one(format!("RPUSH f a 1 -5 70000 {long} 99999999999"))),
        ("quicklist", one(format!("RPUSH f {}", each(300, &|i| format!("{i}-{}", &long[..i % 60]))))),
        ("quicklist with a plain node", one(format!("RPUSH f a {} b", "x".repeat(9_000)))),
        ("intset of 16 bits", one("SADD f 1 -5 700".into())),
        ("intset of 32 bits", one("SADD f 1 -5 70000 9".into())),
        ("intset of 64 bits", one("SADD f 1 -5 5000000000".into())),
        ("listpack set", one(format!("SADD f a 1 -5 {}", each(20, &|i| format!("m{i}"))))),
        ("hashtable set", one(format!("SADD f {}", each(150, &|i| format!("m{i}"))))),
        (
            "listpack zset",
            one(format!("ZADD f 1 a 1.5 b -inf c +inf d 3 7 {}", each(9, &|i| format!("{i} m{i}")))),
        ),
        ("skiplist zset", one(format!("ZADD f {}", each(150, &|i| format!("{} m{i}", i * 7 % 50))))),
        ("geo", one("GEOADD f 13.361389 38.115556 Palermo 15.087269 37.502669 Catania".into())),
        ("listpack hash", one(format!("HSET f a 1 b text c -70000 {}", each(9, &|i| format!("f{i} {i}"))))),
        ("hashtable hash", one(format!("HSET f a {long} {}", each(140, &|i| format!("f{i} v{i}"))))),
        (
            "listpackex hash",
            vec!["HSET f a 1 b 2 c 3 d 4".into(), "HPEXPIREAT f 1900000000000 FIELDS 2 a c".into()],
        ),
        (
            "hashtable hash with times",
            vec![
                format!("HSET f a {long} {}", each(140, &|i| format!("f{i} v{i}"))),
                "HPEXPIREAT f 1900000000000 FIELDS 2 f1 f7".into(),
                "HPEXPIREAT f 1800000500000 FIELDS 1 f9".into(),
            ],
        ),
        ("stream", (1..40).map(|i| format!("XADD f {i}-{} a {i} b text{i}", i % 3)).collect()),
        (
            "stream with groups",
            (1..30)
                .map(|i| format!("XADD f {}-1 field{} {i}", 1_700_000_000_000u64 + i, i % 3))
                .chain(
                    [
                        "XGROUP CREATE f g 0",
                        "XGROUP CREATE f h $",
                        "XREADGROUP GROUP g one COUNT 7 STREAMS f >",
                        "XREADGROUP GROUP g two COUNT 3 STREAMS f >",
                        "XGROUP CREATECONSUMER f g idle",
                        "XACK f g 1700000000002-1",
                        "XDEL f 1700000000005-1 1700000000012-1",
                        "XTRIM f MAXLEN 20",
                    ]
                    .map(String::from),
                )
                .collect(),
        ),
        ("empty stream", vec!["XGROUP CREATE f g $ MKSTREAM".into(), "XGROUP CREATECONSUMER f g c".into()]),
    ]
}

/// Each with its name: those that commands make here, and those in files of redis-server.
pub fn all(bench: &mut Bench) -> Vec<(String, Vec<u8>)> {
    let mut samples = Vec::new();
    for (name, lines) in recipes() {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for (line, reply) in lines.iter().zip(bench.lines(&lines)) {
            assert!(!reply.starts_with(b"-"), "{name}: {line}: {}", reply.escape_ascii());
        }
        let payload = bench.bulk(&[b"DUMP", b"f"]).unwrap_or_else(|| panic!("{name} is not there"));
        samples.push((name.to_string(), payload));
        bench.lines(&["DEL f"]);
    }
    for file in FILES {
        let mut reader = Reader::new(true);
        reader.push(file);
        reader.finish();
        while let Ok(Some(item)) = reader.next_item() {
            match item {
                Item::Entry(entry) if entry.value.len() <= LONGEST => {
                    let name = format!("redis's {}", entry.key.escape_ascii());
                    samples.push((name, dump::payload(entry.kind, entry.value)));
                }
                Item::End => break,
                _ => {}
            }
        }
    }
    samples
}

/// How a value of a type is used: two commands, of which the second lists what the first counts; how many items it lists for each; and
/// commands that read, change, and take it apart. What they reply is theirs: errors too.
pub fn uses(kind: &str) -> (&'static [&'static str], i64, &'static [&'static str]) {
    match kind {
        "string" => (&["STRLEN f", "GET f"], 1, STRING),
        "list" => (&["LLEN f", "LRANGE f 0 -1"], 1, LIST),
        "set" => (&["SCARD f", "SMEMBERS f"], 1, SET),
        "zset" => (&["ZCARD f", "ZRANGE f 0 -1 WITHSCORES"], 2, ZSET),
        "hash" => (&["HLEN f", "HGETALL f"], 2, HASH),
        "stream" => (&["XLEN f", "XRANGE f - +"], 1, STREAM),
        other => panic!("a {other}"),
    }
}

const STRING: &[&str] = &[
    "BITCOUNT f",
    "BITPOS f 1",
    "GETRANGE f 1 -2",
    "PFCOUNT f",
    "PFADD f a b c",
    "PFMERGE g f",
    "PFDEBUG ENCODING f",
    "INCR f",
    "APPEND f x",
    "SETRANGE f 3 y",
    "GETDEL f",
];
const LIST: &[&str] = &[
    "LINDEX f 0",
    "LINDEX f -1",
    "LPOS f x RANK -1",
    "LINSERT f BEFORE a new",
    "LSET f 0 12",
    "LREM f 0 b",
    "RPUSH f 5 text",
    "LMOVE f g RIGHT LEFT",
    "SORT f ALPHA LIMIT 0 5",
    "LTRIM f 1 -2",
    "LRANGE f 0 -1",
    "LPOP f 1000000",
];
const SET: &[&str] = &[
    "SISMEMBER f m1",
    "SRANDMEMBER f -5",
    "SSCAN f 0 COUNT 1000",
    "SADD f new 7 5000000001",
    "SREM f a m1 1",
    "SUNIONSTORE g f",
    "SDIFF g f",
    "SMEMBERS f",
    "SPOP f 1000000",
];
const ZSET: &[&str] = &[
    "ZRANK f m1 WITHSCORE",
    "ZSCORE f a",
    "ZRANGE f -inf +inf BYSCORE LIMIT 1 5",
    "ZRANGE f - + BYLEX",
    "ZCOUNT f 0 5",
    "GEOPOS f Palermo",
    "GEOSEARCH f FROMLONLAT 15 37 BYRADIUS 200 km",
    "ZSCAN f 0 COUNT 1000",
    "ZADD f 5 new 7 m1",
    "ZINCRBY f 2 a",
    "ZREM f b m3",
    "ZUNIONSTORE g 1 f",
    "ZREMRANGEBYRANK f 0 0",
    "ZRANGE f 0 -1",
    "ZPOPMIN f 1000000",
];
const HASH: &[&str] = &[
    "HGET f a",
    "HRANDFIELD f -4 WITHVALUES",
    "HSCAN f 0 COUNT 1000",
    "HPTTL f FIELDS 2 a f1",
    "HSET f new 1 a 2",
    "HINCRBY f a 5",
    "HPEXPIRE f 100000 FIELDS 2 new f2",
    "HPERSIST f FIELDS 1 c",
    "HDEL f b f3 new",
    "HGETALL f",
];
const STREAM: &[&str] = &[
    "XREVRANGE f + - COUNT 3",
    "XINFO STREAM f FULL COUNT 0",
    "XINFO GROUPS f",
    "XINFO CONSUMERS f g",
    "XPENDING f g - + 100",
    "XREADGROUP GROUP g two COUNT 5 STREAMS f >",
    "XREADGROUP GROUP g one STREAMS f 0",
    "XAUTOCLAIM f g two 0 0 COUNT 100",
    "XADD f * a b",
    "XDEL f 3-0 1700000000007-1",
    "XACK f g 1700000000003-1",
    "XGROUP DELCONSUMER f g one",
    "XGROUP DESTROY f g",
    "XTRIM f MAXLEN 3",
    "XRANGE f - +",
];
