//! Hashes side by side: rounds of one family, in every encoding, with what the keyspace does to them; then each hash of
//! one server dumped and restored at the other. What 7.0 does not have is in `src/cmd/hashes/tests.rs`.

use super::compare::How::{self, AnyOrder, Bytes, Kind};
use super::grammar::{Node, generate, parse};
use super::pair::{Pair, Step};
use crate::reply::Reply;
use crate::rng::{Rng, seed};

/// Rounds of a plain `cargo test`, and commands in each.
const ROUNDS: u64 = 40;
const COMMANDS: usize = 250;

const ROWS: &[(usize, &str, How)] = &[
    (30, "HSET <hash> {<hfield> <hval>}+", Bytes),
    (4, "HMSET <hash> {<hfield> <hval>}+", Bytes),
    (5, "HSETNX <hash> <hfield> <hval>", Bytes),
    (10, "HDEL <hash> <hfield>+", Bytes),
    (8, "HGET <hash> <hfield>", Bytes),
    (6, "HMGET <hash> <hfield>+", Bytes),
    (4, "HEXISTS <hash> <hfield>", Bytes),
    (4, "HSTRLEN <hash> <hfield>", Bytes),
    (4, "HLEN <hash>", Bytes),
    (5, "HGETALL <hash>", AnyOrder),
    (3, "HKEYS <hash>", AnyOrder),
    (3, "HVALS <hash>", AnyOrder),
    (10, "HINCRBY <hash> <hfield> <int>", Bytes),
    (10, "HINCRBYFLOAT <hash> <hfield> <float>", Bytes),
    (2, "HRANDFIELD <hash>", Kind),
    (2, "HRANDFIELD <hash> {0|1|5|-7|100|abc|-9223372036854775808} {WITHVALUES|NOSUCH}?", Kind),
    (1, "HRANDFIELD <hash> 5000 WITHVALUES", AnyOrder),
    (2, "HSCAN <hash> 0 COUNT 100000 {MATCH <pat>}?", Kind),
    (2, "HSCAN <hash> {0|abc} {MATCH <pat>|COUNT <int>|NOSUCH x}*", Kind),
    (3, "DEL <hash>", Bytes),
    (3, "RENAME <hash> <hash>", Bytes),
    (3, "COPY <hash> <hash> REPLACE", Bytes),
    (2, "SET <hash> <hval>", Bytes),
    (2, "APPEND <hash> x", Bytes),
    (1, "TYPE <hash>", Bytes),
    (2, "CONFIG SET hash-max-listpack-entries {0|3|6|512}", Bytes),
    (2, "CONFIG SET hash-max-listpack-value {0|4|64|2000}", Bytes),
];

#[test]
fn hashes_answer_like_redis_on_one_shard() {
    compare(1);
}

#[test]
fn hashes_answer_like_redis_on_three_shards() {
    compare(3);
}

fn compare(shards: usize) {
    let rounds = std::env::var("KRING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let templates: Vec<Vec<Node>> = ROWS.iter().map(|(_, template, _)| parse(template)).collect();
    let total: usize = ROWS.iter().map(|(weight, ..)| weight).sum();
    let mut pair = Pair::start(shards, 2);
    for round in 0..rounds {
        let seed = seed().wrapping_add(round << 8).wrapping_add(shards as u64);
        let mut rng = Rng::new(seed);
        pair.reset();
        for _ in 0..COMMANDS {
            let row = row(rng.below(total));
            let request = generate(&templates[row], &mut rng);
            let key = request.args.get(1).cloned().unwrap_or_default();
            let mut batch = vec![Step { args: request.args, how: ROWS[row].2 }];
            batch.extend(about(&key));
            if !pair.exchange(rng.below(2), &batch) {
                pair.reset();
            }
        }
        for key in ["h1", "h2", "h3", "{t}h"] {
            carry(&mut pair, key);
        }
        if pair.has_enough() {
            break;
        }
    }
    pair.assert_alike(&format!("hashes on {shards} shards, KRING_SEED={} KRING_ROUNDS={rounds}", seed()));
}

fn row(mut at: usize) -> usize {
    for (i, (weight, ..)) in ROWS.iter().enumerate() {
        if at < *weight {
            return i;
        }
        at -= weight;
    }
    unreachable!("at is below the total weight")
}

fn step(words: &[&str], key: &[u8]) -> Step {
    let mut args: Vec<Vec<u8>> = words.iter().map(|w| w.as_bytes().to_vec()).collect();
    args.push(key.to_vec());
    Step { args, how: Bytes }
}

fn about(key: &[u8]) -> Vec<Step> {
    vec![step(&["OBJECT", "ENCODING"], key), step(&["DEBUG", "DIGEST-VALUE"], key)]
}

/// Each server's hash goes to the other one, and comes out as the same. A listpack has one order at both.
fn carry(pair: &mut Pair, key: &str) {
    let (kring, redis) = pair.first();
    let encoding = redis.run(&format!("OBJECT ENCODING {key}"));
    if redis.run(&format!("TYPE {key}")) != Reply::Simple("hash".into()) {
        return;
    }
    let dumps = [kring.run(&format!("DUMP {key}")), redis.run(&format!("DUMP {key}"))];
    if encoding == Reply::Bulk(b"listpack".to_vec()) {
        pair.exchange(0, &[step(&["HGETALL"], key.as_bytes())]);
    }
    let (kring, redis) = pair.first();
    let restore =
        |payload: &Reply| [b"RESTORE", key.as_bytes(), b"0", payload.bytes(), b"REPLACE"].map(<[u8]>::to_vec);
    for (client, dump) in [(kring, &dumps[1]), (redis, &dumps[0])] {
        let args = restore(dump);
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let restored = client.call(&args);
        assert!(restored.is_ok(), "{restored:?}: {dump:?}");
    }
    pair.exchange(0, &about(key.as_bytes()));
}
