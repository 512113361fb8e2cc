//! Sets: random requests to both servers; after each batch every set compared, and carried across by DUMP and RESTORE.
//!
//! Redis 7.0 knows no listpack sets. One run turns them off in kring, so that encodings compare too; the other leaves them on.

use super::compare::How;
use super::pair::{Pair, Step};
use crate::reply::Reply;
use crate::rng::{Rng, seed};

const ROUNDS: u64 = 12;
const BATCHES: usize = 30;
const BATCH: usize = 12;
const KEYS: &[&str] = &["a", "b", "c", "d", "{t}1", "{t}2", "text", "nosuch"];
/// RDB's number of an intset, and its mark of a compressed string.
const INTSET: u8 = 11;
const PACKED: u8 = 0xc3;

#[test]
fn encodings_of_redis_7_0() {
    run(3, &["--set-max-listpack-entries", "0"], true);
}

#[test]
fn listpack_sets_on_one_shard() {
    run(1, &[], false);
}

#[test]
fn listpack_sets_on_eight_shards() {
    run(8, &["--set-max-listpack-entries", "20"], false);
}

fn run(shards: usize, settings: &[&str], encodings: bool) {
    let rounds = std::env::var("KRING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut pair = Pair::start_with(shards, 2, settings);
    for round in 0..rounds {
        let mut rng = Rng::new(seed().wrapping_add(round << 8).wrapping_add(shards as u64));
        pair.reset();
        let most = ["512", "8", "0", "60"][round as usize % 4];
        pair.exchange(0, &[Step::words(&format!("CONFIG SET set-max-intset-entries {most}"))]);
        pair.exchange(0, &[Step::words("SET text 5")]);
        for _ in 0..BATCHES {
            let batch: Vec<Step> = (0..1 + rng.below(BATCH)).map(|_| step(&mut rng)).collect();
            pair.exchange(rng.below(2), &batch);
            let alike = compare_all(&mut pair, encodings) && carry_all(&mut pair, encodings);
            if !alike || pair.has_enough() {
                break;
            }
        }
    }
    pair.assert_alike(&format!("sets on {shards} shards, KRING_SEED={} KRING_ROUNDS={rounds}", seed()));
}

fn key(rng: &mut Rng) -> String {
    rng.pick(KEYS).to_string()
}

fn keys(rng: &mut Rng) -> Vec<String> {
    (0..1 + rng.below(4)).map(|_| key(rng)).collect()
}

fn member(rng: &mut Rng) -> String {
    match rng.below(12) {
        0 => "m".repeat(rng.below(80)),
        1..=2 => format!("m{}", rng.below(30)),
        3 => rng
            .pick(&["01", "-0", "9223372036854775807", "-9223372036854775808", "9223372036854775808", ""])
            .to_string(),
        4 => (rng.next() as i64 >> rng.below(63)).to_string(),
        _ => rng.below(60).to_string(),
    }
}

fn members(rng: &mut Rng) -> Vec<String> {
    let most = if rng.one_in(12) { 150 } else { 5 };
    (0..1 + rng.below(most)).map(|_| member(rng)).collect()
}

fn step(rng: &mut Rng) -> Step {
    let (mut words, how) = match rng.below(24) {
        0..=6 => ([vec!["SADD".into(), key(rng)], members(rng)].concat(), How::Bytes),
        7..=8 => ([vec!["SREM".into(), key(rng)], members(rng)].concat(), How::Bytes),
        9 => (vec!["SISMEMBER".into(), key(rng), member(rng)], How::Bytes),
        10 => ([vec!["SMISMEMBER".into(), key(rng)], members(rng)].concat(), How::Bytes),
        11 => (vec!["SMOVE".into(), key(rng), key(rng), member(rng)], How::Bytes),
        12 => {
            let count = rng.pick(&["0", "100000", "9223372036854775807", "-1", "x"]).to_string();
            (vec!["SPOP".into(), key(rng), count], How::AnyOrder)
        }
        13 => {
            let count = rng.pick(&["0", "1", "-3", "5", "100000", "x", "-9223372036854775808"]).to_string();
            (vec!["SRANDMEMBER".into(), key(rng), count], How::Kind)
        }
        14..=16 => {
            let name = rng.pick(&["SINTER", "SUNION", "SDIFF", "SDIFF"]).to_string();
            ([vec![name], keys(rng)].concat(), How::AnyOrder)
        }
        17..=19 => {
            let name = rng.pick(&["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]).to_string();
            ([vec![name, key(rng)], keys(rng)].concat(), How::Bytes)
        }
        20..=21 => {
            let keys = keys(rng);
            let count = if rng.one_in(6) {
                rng.pick(&["0", "-1", "x", "9"]).to_string()
            } else {
                keys.len().to_string()
            };
            let tails: [&[&str]; 7] = [
                &[],
                &["LIMIT", "0"],
                &["limit", "2"],
                &["LIMIT", "-1"],
                &["LIMIT", "x"],
                &["LIMIT"],
                &["NOSUCH", "1"],
            ];
            let tail = rng.pick(&tails).iter().map(ToString::to_string).collect();
            ([vec!["SINTERCARD".into(), count], keys, tail].concat(), How::Bytes)
        }
        22 => {
            let options: [&[&str]; 6] = [
                &["COUNT", "100000"],
                &["MATCH", "1*", "COUNT", "100000"],
                &["COUNT", "0"],
                &["COUNT", "x"],
                &["MATCH"],
                &["TYPE", "set"],
            ];
            let cursor = if rng.one_in(8) { "x" } else { "0" };
            let options = rng.pick(&options).iter().map(ToString::to_string).collect();
            ([vec!["SSCAN".into(), key(rng), cursor.into()], options].concat(), How::Bytes)
        }
        _ => (vec![rng.pick(&["DEL", "SMEMBERS", "SCARD", "COPY"]).to_string(), key(rng)], How::AnyOrder),
    };
    let mut how = how;
    match words[0].as_str() {
        // Its members come in an order of each server's own, within an array of two.
        "SSCAN" => how = How::Kind,
        "COPY" => words.push(key(rng)),
        _ if rng.one_in(40) && words.len() > 1 => drop(words.pop()),
        _ if rng.one_in(60) => words.push("junk".into()),
        _ => {}
    }
    // What is random, and not read only, would part the datasets.
    if words[0] == "SPOP" && words.len() == 2 {
        words[0] = "SCARD".into();
    }
    Step { args: words.into_iter().map(String::into_bytes).collect(), how }
}

fn compare_all(pair: &mut Pair, encodings: bool) -> bool {
    let mut steps = Vec::new();
    for key in KEYS {
        for line in ["SCARD", "SMEMBERS", "DEBUG DIGEST-VALUE", "TYPE"] {
            steps.push(Step { how: How::AnyOrder, ..Step::words(&format!("{line} {key}")) });
        }
        if encodings {
            steps.push(Step::words(&format!("OBJECT ENCODING {key}")));
        }
    }
    pair.exchange(0, &steps)
}

/// Payloads of each server's sets to the other; those of intsets are the same bytes, unless compressed.
fn carry_all(pair: &mut Pair, encodings: bool) -> bool {
    let words = |line: &str| -> Vec<Vec<u8>> { line.split(' ').map(Into::into).collect() };
    let mut alike = true;
    for key in KEYS {
        let (kring, redis) = pair.both(&words(&format!("DUMP {key}")));
        let parsed = |raw: &[u8]| Reply::parse(raw).expect("a whole reply").0;
        let (Reply::Bulk(of_kring), Reply::Bulk(of_redis)) = (parsed(&kring), parsed(&redis)) else {
            continue;
        };
        let packed = [&of_redis, &of_kring].iter().any(|payload| payload[1] == PACKED);
        if of_redis[0] == INTSET && encodings && !packed && redis != kring {
            pair.note("DUMP", format!("DUMP {key}\n    redis: {of_redis:?}\n    kring: {of_kring:?}"));
            alike = false;
        }
        for payload in [of_kring, of_redis] {
            let mut restore = words("RESTORE carried 0");
            restore.extend([payload, b"REPLACE".to_vec()]);
            alike &= pair.exchange(0, &[Step { args: restore, how: How::Bytes }]);
            let digest = words(&format!("DEBUG DIGEST-VALUE {key} carried"));
            let (kring, redis) = pair.both(&digest);
            let (Reply::Array(k), Reply::Array(r)) = (parsed(&kring), parsed(&redis)) else {
                panic!("two digests are an array")
            };
            if k[0] != k[1] || r[0] != r[1] || k != r {
                pair.note("carried", format!("{key} was carried to something else: {k:?} {r:?}"));
                alike = false;
            }
        }
        pair.exchange(0, &[Step::words("DEL carried")]);
    }
    alike
}
