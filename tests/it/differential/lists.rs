//! Lists: random rounds, each with other limits of encodings; at the end every list goes to the other server and back.

use super::compare::How;
use super::grammar::{Node, generate, parse};
use super::pair::{Pair, Step};
use crate::reply::Reply;
use crate::rng::{Rng, seed};

/// Rounds of a plain `cargo test`, and batches in each.
const ROUNDS: u64 = 30;
const BATCHES: usize = 40;
/// Commands in a batch at most.
const BATCH: usize = 16;
const KEYS: &[&str] = &["l1", "l2", "l3", "l4"];

/// Weights and templates; `{l1|..}` are few, so that lists grow, and `s` holds a string.
const ROWS: &[(usize, &str)] = &[
    (20, "RPUSH {l1|l2|l3|l4|s} <elem>+"),
    (20, "LPUSH {l1|l2|l3|l4|s} <elem>+"),
    (6, "RPUSH {l1|l2} <elem>+ <elem>+ <elem>+ <elem>+ <elem>+ <elem>+"),
    (3, "LPUSHX {l1|l2|l3|l4|s} <elem>+"),
    (3, "RPUSHX {l1|l2|l3|l4|s} <elem>+"),
    (4, "LPOP {l1|l2|l3|l4|s} <count>?"),
    (4, "RPOP {l1|l2|l3|l4|s} <count>?"),
    (3, "LLEN {l1|l2|l3|l4|s}"),
    (6, "LRANGE {l1|l2|l3|l4|s} <index> <index>"),
    (6, "LINDEX {l1|l2|l3|l4|s} <index>"),
    (8, "LSET {l1|l2|l3|l4|s} <index> <elem>"),
    (8, "LINSERT {l1|l2|l3|l4|s} {BEFORE|AFTER|before|x} <elem> <elem>"),
    (6, "LREM {l1|l2|l3|l4|s} <index> <elem>"),
    (1, "LTRIM {l1|l2|l3|l4|s} <index> <index>"),
    (2, "LTRIM {l1|l2|l3|l4} {0|1|2} {-1|-2|-3}"),
    (6, "LPOS {l1|l2|l3|l4|s} <elem> {RANK <index>|COUNT <count>|MAXLEN <count>}*"),
    (6, "LMOVE {l1|l2|l3|l4|s} {l1|l2|l3|l4|s} {LEFT|RIGHT|left|x} {LEFT|RIGHT|right}"),
    (4, "RPOPLPUSH {l1|l2|l3|l4|s} {l1|l2|l3|l4|s}"),
    (3, "LMPOP {1|2|0|x} {l1|l2|l3|l4|s} {l1|l2|l3|l4|s}? {LEFT|RIGHT|x} {COUNT <count>|x}*"),
    (1, "COPY {l1|l2} {l3|l4} REPLACE"),
    (1, "DEL {l1|l2|l3|l4}"),
    (1, "RENAME {l1|l2} {l3|l4}"),
    (1, "TYPE {l1|l2|s}"),
];

#[test]
fn lists_answer_like_redis_on_one_shard() {
    compare(1);
}

#[test]
fn lists_answer_like_redis_on_three_shards() {
    compare(3);
}

fn compare(shards: usize) {
    let rounds = std::env::var("KRING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let templates: Vec<Vec<Node>> = ROWS.iter().map(|(_, template)| parse(template)).collect();
    let mut pair = Pair::start(shards, 2);
    for round in 0..rounds {
        let mut rng = Rng::new(seed().wrapping_add(round << 8).wrapping_add(shards as u64));
        pair.reset();
        limits(&mut pair, &mut rng);
        pair.exchange(0, &[Step::words("SET s string")]);
        for _ in 0..BATCHES {
            let batch: Vec<Step> =
                (0..1 + rng.below(BATCH)).flat_map(|_| step(&templates, &mut rng)).collect();
            pair.exchange(rng.below(2), &batch);
            if rng.one_in(10) {
                limits(&mut pair, &mut rng);
            }
            if pair.has_enough() {
                break;
            }
        }
        for key in KEYS {
            let digest = format!("DEBUG DIGEST-VALUE {key}");
            pair.exchange(0, &[Step::words(&digest), Step::words(&format!("LRANGE {key} 0 -1"))]);
            carry(&mut pair, key);
        }
    }
    pair.assert_alike(&format!("lists on {shards} shards, KRING_SEED={} KRING_ROUNDS={rounds}", seed()));
}

fn step(templates: &[Vec<Node>], rng: &mut Rng) -> [Step; 2] {
    let mut at = rng.below(ROWS.iter().map(|(weight, _)| weight).sum());
    let row = ROWS.iter().position(|(weight, _)| {
        let here = at < *weight;
        at = at.wrapping_sub(*weight);
        here
    });
    let args = generate(&templates[row.expect("below the sum")], rng).args;
    [Step { args, how: How::Bytes }, Step::words(&format!("OBJECT ENCODING {}", rng.pick(KEYS)))]
}

/// Other limits, the same on both.
fn limits(pair: &mut Pair, rng: &mut Rng) {
    let size = rng.pick(&["-2", "-1", "-5", "1", "2", "4", "16", "128"]);
    let depth = rng.pick(&["0", "0", "1", "2"]);
    let set = format!("CONFIG SET list-max-listpack-size {size} list-compress-depth {depth}");
    pair.exchange(0, &[Step::words(&set)]);
}

/// Each server restores what the other dumped.
fn carry(pair: &mut Pair, key: &str) {
    let (kring, redis) = pair.first();
    let (from_kring, from_redis) = (kring.run(&format!("DUMP {key}")), redis.run(&format!("DUMP {key}")));
    let (Reply::Bulk(ours), Reply::Bulk(theirs)) = (from_kring, from_redis) else { return };
    let digest = kring.run(&format!("DEBUG DIGEST-VALUE {key}"));
    for (client, payload) in [(kring, theirs), (redis, ours)] {
        assert!(client.call(&[b"RESTORE".as_slice(), b"copy", b"0", &payload, b"REPLACE"]).is_ok());
        assert_eq!(client.run("DEBUG DIGEST-VALUE copy"), digest);
        assert_eq!(client.run("DEL copy"), Reply::Int(1));
    }
}
