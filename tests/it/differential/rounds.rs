//! Random rounds: batches on several connections, then the whole dataset compared.

use super::compare::{How, sorted};
use super::grammar::{Node, generate, parse};
use super::pair::{Pair, Step};
use super::rows;
use crate::reply::Reply;
use crate::rng::{Rng, seed};
use std::collections::BTreeSet;

/// Rounds of a plain `cargo test`, and batches in each.
const ROUNDS: u64 = 30;
const BATCHES: usize = 60;
/// Commands in a batch at most.
const BATCH: usize = 16;
/// One batch in so many is a transaction.
const TRANSACTION: usize = 5;
const LINKS: usize = 4;
/// Databases that the values reach.
const DATABASES: usize = 3;

#[test]
fn one_shard_answers_like_redis() {
    compare(1);
}

#[test]
fn two_shards_answer_like_redis() {
    compare(2);
}

#[test]
fn three_shards_answer_like_redis() {
    compare(3);
}

#[test]
fn eight_shards_answer_like_redis() {
    compare(8);
}

fn compare(shards: usize) {
    let rounds = std::env::var("KRING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let templates: Vec<Vec<Node>> = rows::ROWS.iter().map(|r| parse(r.template)).collect();
    let mut pair = Pair::start(shards, LINKS);
    for round in 0..rounds {
        // Each round can be run alone, and shard counts see different requests.
        let seed = seed().wrapping_add(round << 8).wrapping_add(shards as u64);
        let mut rng = Rng::new(seed);
        if rng.one_in(2) {
            pair.reset();
        }
        for _ in 0..BATCHES {
            let batch = batch(&templates, &mut rng);
            if !pair.exchange(rng.below(LINKS), &batch) {
                // The datasets may differ from here on, which would be told as many differences.
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

/// Commands, and after a command with keys what became of one of them.
fn batch(templates: &[Vec<Node>], rng: &mut Rng) -> Vec<Step> {
    let mut batch = Vec::new();
    let transaction = rng.one_in(TRANSACTION);
    if transaction {
        batch.push(Step::words("MULTI"));
    }
    for _ in 0..1 + rng.below(BATCH) {
        let row = rows::at(rng.below(rows::total_weight()));
        let request = generate(&templates[row], rng);
        batch.push(Step { args: request.args, how: rows::ROWS[row].how });
        if !request.keys.is_empty() && rng.one_in(2) {
            let key = rng.pick(&request.keys).clone();
            batch.push(Step {
                args: vec![b"OBJECT".to_vec(), b"ENCODING".to_vec(), key.clone()],
                how: How::Bytes,
            });
            batch.push(Step { args: vec![b"GET".to_vec(), key], how: How::Bytes });
        }
    }
    if transaction {
        batch.push(Step::words("EXEC"));
    }
    batch
}

/// Every key of every database: value, lifetime, encoding, and the digest over all.
fn whole_dataset(pair: &mut Pair) {
    let mut alike = true;
    for db in 0..DATABASES {
        alike &= pair.exchange(0, &[Step::words(&format!("SELECT {db}")), Step::words("DBSIZE")]);
        let (kring, redis) = pair.both(&[b"KEYS".to_vec(), b"*".to_vec()]);
        let parsed = |raw: &[u8]| Reply::parse(raw).expect("a whole reply").0;
        let (kring, redis) = (parsed(&kring), parsed(&redis));
        if sorted(&kring) != sorted(&redis) {
            let text = format!("KEYS * in database {db}\n    redis: {redis:?}\n    kring: {kring:?}");
            pair.note("KEYS of the dataset", text);
            alike = false;
        }
        if !matches!(redis, Reply::Array(_)) {
            return;
        }
        let steps: Vec<Step> = redis.array().iter().flat_map(|key| about(key.bytes())).collect();
        alike &= pair.exchange(0, &steps);
        alike &= scans_find_all(pair, &redis);
        alike &= random_key_is_a_key(pair, &redis);
    }
    alike &= pair.exchange(0, &[Step::words("SELECT 0"), Step::words("DEBUG DIGEST")]);
    if !alike {
        pair.reset();
    }
}

fn about(key: &[u8]) -> [Step; 4] {
    let step = |words: &[&str], how| {
        let mut args: Vec<Vec<u8>> = words.iter().map(|w| w.as_bytes().to_vec()).collect();
        args.push(key.to_vec());
        Step { args, how }
    };
    [
        step(&["GET"], How::Bytes),
        step(&["PTTL"], How::Near(20_000)),
        step(&["OBJECT", "ENCODING"], How::Bytes),
        step(&["DEBUG", "DIGEST-VALUE"], How::Bytes),
    ]
}

/// SCAN from 0 back to 0 finds what KEYS finds.
fn scans_find_all(pair: &mut Pair, keys: &Reply) -> bool {
    let found = pair.first().0.scan("COUNT 3");
    let all: BTreeSet<Vec<u8>> = keys.array().iter().map(|k| k.bytes().to_vec()).collect();
    if found != all {
        pair.note("SCAN", format!("SCAN found {} keys of {}", found.len(), all.len()));
    }
    found == all
}

fn random_key_is_a_key(pair: &mut Pair, keys: &Reply) -> bool {
    let reply = pair.first().0.run("RANDOMKEY");
    let holds = match &reply {
        Reply::Null => keys.array().is_empty(),
        key => keys.array().contains(key),
    };
    if !holds {
        pair.note("RANDOMKEY", format!("RANDOMKEY gave {reply:?}, which is no key"));
    }
    holds
}
