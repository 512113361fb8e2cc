//! Sorted sets and positions, in both forms: random batches, then every key's content, digest and payload compared.
//!
//! Two things are left alone, because Redis leaves them open: ranges by member where scores differ, and which of several
//! members at the same distance are among the `COUNT` nearest.

use super::compare::How::{self, Bytes, Kind};
use super::grammar::{Node, generate, parse};
use super::pair::{Pair, Step};
use crate::reply::Reply;
use crate::rng::{Rng, seed};

/// Rounds of a plain `cargo test` (`KRING_ROUNDS`), and batches in each.
const ROUNDS: u64 = 12;
const BATCHES: usize = 60;
/// Commands in a batch at most.
const BATCH: usize = 16;
const LINKS: usize = 4;

/// Weight, template, how replies compare. `<zkey>` are keys of any type, `<lkey>` sorted sets whose scores are all equal,
/// `<gkey>` positions.
const SORTED: &[(usize, &str, How)] = &[
    (1, "SET <zkey> x", Bytes),
    (1, "DEL <zkey>+", Bytes),
    (2, "SADD <zkey> <member>+ <member>+", Bytes),
    (20, "ZADD <zkey> {<score> <member>}+", Bytes),
    (20, "ZADD <zkey> {NX|XX|GT|LT|CH|INCR}* {<score> <member>}+", Bytes),
    (4, "ZADD <zkey> {<score> <member>}+ {<score> <member>}+ {<score> <member>}+ {<score> <member>}+", Bytes),
    (8, "ZINCRBY <zkey> <score> <member>", Bytes),
    (8, "ZREM <zkey> <member>+", Bytes),
    (3, "ZCARD <zkey>", Bytes),
    (6, "ZSCORE <zkey> <member>", Bytes),
    (4, "ZMSCORE <zkey> <member>+", Bytes),
    (6, "ZRANK <zkey> <member>", Bytes),
    (6, "ZREVRANK <zkey> <member>", Bytes),
    (6, "ZCOUNT <zkey> <bound> <bound>", Bytes),
    (8, "ZRANGE <zkey> <off> <off> {REV|WITHSCORES|LIMIT <off> <off>}*", Bytes),
    (8, "ZRANGE <zkey> <bound> <bound> BYSCORE {REV|WITHSCORES|LIMIT <off> <off>}*", Bytes),
    (4, "ZREVRANGE <zkey> <off> <off> {WITHSCORES}?", Bytes),
    (4, "ZRANGEBYSCORE <zkey> <bound> <bound> {WITHSCORES|LIMIT <off> <off>|REV}*", Bytes),
    (4, "ZREVRANGEBYSCORE <zkey> <bound> <bound> {WITHSCORES|LIMIT <off> <off>}*", Bytes),
    (4, "ZRANGESTORE <zkey> <zkey> <off> <off> {REV|LIMIT <off> <off>}*", Bytes),
    (4, "ZRANGESTORE <zkey> <zkey> <bound> <bound> BYSCORE {REV|LIMIT <off> <off>}*", Bytes),
    (3, "ZREMRANGEBYRANK <zkey> <off> <off>", Bytes),
    (3, "ZREMRANGEBYSCORE <zkey> <bound> <bound>", Bytes),
    (4, "ZPOPMIN <zkey> {1|2|0|-1|x}?", Bytes),
    (4, "ZPOPMAX <zkey> {1|2|0|-1|x}?", Bytes),
    (4, "ZMPOP {1|2|3|0|x} <zkey>+ {MIN|MAX} {COUNT {1|2|0|x}}*", Bytes),
    (
        3,
        "ZRANDMEMBER <zkey> {{0|1|2|-2|100|-5|x|9223372036854775807|-9223372036854775808} {WITHSCORES|x}?}?",
        Kind,
    ),
    (6, "ZUNION {1|2|3|0|x} <zkey>+ {WEIGHTS <score>+|AGGREGATE {SUM|MIN|MAX|x}|WITHSCORES}*", Bytes),
    (6, "ZINTER {1|2|3|0|x} <zkey>+ {WEIGHTS <score>+|AGGREGATE {SUM|MIN|MAX|x}|WITHSCORES}*", Bytes),
    (6, "ZDIFF {1|2|3|0|x} <zkey>+ {WITHSCORES}?", Bytes),
    (6, "ZUNIONSTORE <zkey> 2 <zkey> <zkey> {WEIGHTS <score> <score>|AGGREGATE {SUM|MIN|MAX}}*", Bytes),
    (6, "ZINTERSTORE <zkey> 2 <zkey> <zkey> {WEIGHTS <score> <score>|AGGREGATE {SUM|MIN|MAX}}*", Bytes),
    (4, "ZUNIONSTORE <zkey> {1|2|3|0|x} <zkey>+", Bytes),
    (4, "ZDIFFSTORE <zkey> {1|2|3|0|x} <zkey>+", Bytes),
    (4, "ZINTERCARD {1|2|3|0|x} <zkey>+ {LIMIT {0|1|2|-1|x}}*", Bytes),
    (3, "ZSCAN <zkey> 0 {MATCH <pat>|COUNT {1|10|0|x}|TYPE zset}*", Kind),
    (3, "SORT <zkey> {BY nosort|DESC|LIMIT {0|1|5} {2|3|100}}* ALPHA", Bytes),
    (12, "ZADD <lkey> {0 <member>}+", Bytes),
    (4, "ZREM <lkey> <member>+", Bytes),
    (6, "ZLEXCOUNT <lkey> <lex> <lex>", Bytes),
    (6, "ZRANGE <lkey> <lex> <lex> BYLEX {REV|LIMIT <off> <off>|WITHSCORES}*", Bytes),
    (4, "ZRANGEBYLEX <lkey> <lex> <lex> {LIMIT <off> <off>}*", Bytes),
    (4, "ZREVRANGEBYLEX <lkey> <lex> <lex> {LIMIT <off> <off>}*", Bytes),
    (2, "ZREMRANGEBYLEX <lkey> <lex> <lex>", Bytes),
    (4, "ZRANGESTORE <zkey> <lkey> <lex> <lex> BYLEX {REV|LIMIT <off> <off>}*", Bytes),
];

const POSITIONS: &[(usize, &str, How)] = &[
    (30, "GEOADD <gkey> {NX|XX|CH}* {<lon> <lat> <member>}+", Bytes),
    (20, "GEOADD <gkey> {<near> <near> <member>}+ {<near> <near> <member>}+", Bytes),
    (4, "ZREM <gkey> <member>+", Bytes),
    (6, "GEOPOS <gkey> <member>*", Bytes),
    (6, "GEOHASH <gkey> <member>*", Bytes),
    (8, "GEODIST <gkey> <member> <member> <unit>?", Bytes),
    (
        20,
        "GEOSEARCH <gkey> {FROMLONLAT <lon> <lat>|FROMLONLAT <near> <near>|FROMMEMBER <member>} \
         {BYRADIUS <radius> <unit>|BYBOX <radius> <radius> <unit>} \
         {ASC|DESC|COUNT {1|3|0|x}|ANY|WITHCOORD|WITHDIST|WITHHASH}*",
        Bytes,
    ),
    (
        4,
        "GEOSEARCH <gkey> {FROMLONLAT <lon> <lat>|FROMMEMBER <member>|BYRADIUS <radius> <unit>|BYBOX <radius> <radius> <unit>|ASC|STOREDIST}+ WITHDIST",
        Bytes,
    ),
    (
        10,
        "GEOSEARCHSTORE <stored> <gkey> {FROMLONLAT <near> <near>|FROMMEMBER <member>} \
         {BYRADIUS <radius> <unit>|BYBOX <radius> <radius> <unit>} {ASC|COUNT {1|3}|STOREDIST|WITHDIST}*",
        Bytes,
    ),
    (
        8,
        "GEORADIUS <gkey> <lon> <lat> <radius> <unit> \
         {ASC|DESC|COUNT {1|3|0|x}|ANY|WITHCOORD|WITHDIST|WITHHASH|STORE <stored>|STOREDIST <stored>}*",
        Bytes,
    ),
    (
        8,
        "GEORADIUSBYMEMBER <gkey> <member> <radius> <unit> \
         {ASC|DESC|COUNT {1|3}|ANY|WITHDIST|STORE <stored>|STOREDIST <stored>}*",
        Bytes,
    ),
    (4, "GEORADIUS_RO <gkey> <near> <near> <radius> <unit> {ASC|WITHDIST|STORE <gkey>}*", Bytes),
    (4, "GEORADIUSBYMEMBER_RO <gkey> <member> <radius> <unit> {ASC|WITHDIST|STORE <gkey>}*", Bytes),
    (1, "SET <gkey> x", Bytes),
    (1, "DEL <gkey>", Bytes),
];

#[test]
fn sorted_sets_answer_like_redis() {
    for shards in [1, 3] {
        compare(SORTED, shards);
    }
}

#[test]
fn positions_answer_like_redis() {
    for shards in [1, 3] {
        compare(POSITIONS, shards);
    }
}

fn compare(rows: &'static [(usize, &'static str, How)], shards: usize) {
    let rounds = std::env::var("KRING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let templates: Vec<Vec<Node>> = rows.iter().map(|(_, template, _)| parse(template)).collect();
    let total: usize = rows.iter().map(|row| row.0).sum();
    let mut pair = Pair::start(shards, LINKS);
    for round in 0..rounds {
        let mut rng = Rng::new(seed().wrapping_add(round << 8).wrapping_add(shards as u64));
        limits(&mut pair, &mut rng);
        for _ in 0..BATCHES {
            let batch: Vec<Step> = (0..1 + rng.below(BATCH))
                .map(|_| {
                    let mut at = rng.below(total);
                    let row = rows.iter().position(|row| {
                        let here = at < row.0;
                        at = at.saturating_sub(row.0);
                        here
                    });
                    let row = row.expect("at is below the total");
                    let mut args = generate(&templates[row], &mut rng).args;
                    keep_order_known(&mut args);
                    Step { args, how: rows[row].2 }
                })
                .collect();
            if !pair.exchange(rng.below(LINKS), &batch) {
                pair.reset();
            }
            if pair.has_enough() {
                break;
            }
        }
        whole_dataset(&mut pair);
    }
    pair.assert_alike(&format!("{shards} shards, KRING_SEED={} KRING_ROUNDS={rounds}", seed()));
}

/// What breaks requests on purpose must not make their replies arbitrary: no other score than 0 for members of `<lkey>`, and
/// no pattern behind BY that makes all members equal.
fn keep_order_known(args: &mut [Vec<u8>]) {
    let is = |args: &[Vec<u8>], at: usize, word: &str| {
        args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    };
    let adds = is(args, 0, "zadd") && args.get(1).is_some_and(|key| key.starts_with(b"l"));
    for score in args.iter_mut().skip(2).filter(|_| adds) {
        if std::str::from_utf8(score).is_ok_and(|text| text.parse::<f64>().is_ok()) {
            *score = b"0".to_vec();
        }
    }
    for at in 1..args.len() {
        if is(args, 0, "sort") && is(args, at - 1, "by") {
            args[at] = b"nosort".to_vec();
        }
    }
}

/// Low thresholds on both sides, so that both forms are met.
fn limits(pair: &mut Pair, rng: &mut Rng) {
    let entries = rng.pick(&["0", "1", "3", "8", "128"]);
    let value = rng.pick(&["0", "4", "64"]);
    let steps = [
        Step::words(&format!("CONFIG SET zset-max-listpack-entries {entries}")),
        Step::words(&format!("CONFIG SET zset-max-listpack-value {value}")),
    ];
    pair.exchange(0, &steps);
}

/// Each key's content, encoding and digest, and its payload carried across.
fn whole_dataset(pair: &mut Pair) {
    let (_, keys) = pair.both(&[b"KEYS".to_vec(), b"*".to_vec()]);
    let (keys, _) = Reply::parse(&keys).expect("a whole reply");
    for key in keys.array() {
        let step = |words: &str| {
            let args = words.split(' ').map(|w| if w == "<k>" { key.bytes().to_vec() } else { w.into() });
            Step { args: args.collect(), how: Bytes }
        };
        let alike = pair.exchange(
            1,
            &[
                step("TYPE <k>"),
                step("SCARD <k>"),
                step("ZRANGE <k> 0 -1 WITHSCORES"),
                step("OBJECT ENCODING <k>"),
                step("DEBUG DIGEST-VALUE <k>"),
            ],
        );
        if alike {
            carry(pair, key.bytes());
        }
    }
    pair.exchange(0, &[Step::words("DEBUG DIGEST"), Step::words("FLUSHALL")]);
}

/// DUMP here, RESTORE there, and the other way round.
fn carry(pair: &mut Pair, key: &[u8]) {
    let args = |words: [&[u8]; 2]| words.map(<[u8]>::to_vec);
    let (kring, redis) = pair.both(&args([b"DUMP", key]));
    let payload = |raw: &[u8]| Reply::parse(raw).expect("a whole reply").0.bytes().to_vec();
    let (ours, theirs) = (payload(&kring), payload(&redis));
    let restore = |payload: &[u8]| {
        let words: [&[u8]; 5] = [b"RESTORE", b"carried", b"0", payload, b"REPLACE"];
        words.map(<[u8]>::to_vec).to_vec()
    };
    for (payload, from) in [(&ours, "kring"), (&theirs, "redis")] {
        let steps = [
            Step { args: restore(payload), how: Bytes },
            Step::words("OBJECT ENCODING carried"),
            Step::words("DEBUG DIGEST-VALUE carried"),
            Step::words("DEL carried"),
        ];
        if !pair.exchange(0, &steps) {
            pair.note("payloads", format!("a payload of {from} for {key:?}"));
        }
    }
}
