//! HyperLogLogs: random requests to both servers; after each batch the bytes of every string compared.

use super::compare::How;
use super::pair::{Pair, Step};
use crate::rng::{Rng, seed};

const ROUNDS: u64 = 8;
const BATCHES: usize = 25;
const BATCH: usize = 10;
const KEYS: &[&str] = &["a", "b", "c", "{t}1", "{t}2", "other", "nosuch"];

#[test]
fn bytes_are_those_of_redis_on_one_shard() {
    run(1);
}

#[test]
fn bytes_are_those_of_redis_on_four_shards() {
    run(4);
}

fn run(shards: usize) {
    let rounds = std::env::var("KRING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut pair = Pair::start(shards, 2);
    for round in 0..rounds {
        let mut rng = Rng::new(seed().wrapping_add(round << 8).wrapping_add(shards as u64));
        pair.reset();
        let most = ["3000", "100", "0", "16000"][round as usize % 4];
        pair.exchange(0, &[Step::words(&format!("CONFIG SET hll-sparse-max-bytes {most}"))]);
        let others = ["SET other 5", "SET other HYLL", "SADD other 1", "SET other \"\""];
        pair.exchange(0, &[Step::words(rng.pick::<&str>(&others))]);
        for _ in 0..BATCHES {
            let batch: Vec<Step> = (0..1 + rng.below(BATCH)).map(|_| step(&mut rng)).collect();
            pair.exchange(rng.below(2), &batch);
            if !compare_all(&mut pair) || pair.has_enough() {
                break;
            }
        }
    }
    pair.assert_alike(&format!(
        "HyperLogLogs on {shards} shards, KRING_SEED={} KRING_ROUNDS={rounds}",
        seed()
    ));
}

fn key(rng: &mut Rng) -> String {
    rng.pick(KEYS).to_string()
}

fn keys(rng: &mut Rng, least: usize) -> Vec<String> {
    (0..least + rng.below(3)).map(|_| key(rng)).collect()
}

fn step(rng: &mut Rng) -> Step {
    let words = match rng.below(16) {
        0..=7 => {
            let most = *rng.pick(&[1, 3, 30, 600]);
            let element = |rng: &mut Rng| "e".repeat(rng.below(9)) + &rng.below(6_000).to_string();
            let count = rng.below(most + 1);
            let mut words = vec!["PFADD".into(), key(rng)];
            words.extend((0..count).map(|_| element(rng)));
            words
        }
        8..=10 => [vec!["PFCOUNT".into()], keys(rng, 1)].concat(),
        11..=12 => [vec!["PFMERGE".into()], keys(rng, 1)].concat(),
        13 => vec!["PFCOUNT".into(), key(rng)],
        14 => {
            let what =
                rng.pick(&["GETREG", "decode", "ENCODING", "NOSUCH", "ENCODING", "DECODE"]).to_string();
            let rare = if rng.one_in(6) { "TODENSE".to_string() } else { what };
            vec!["PFDEBUG".into(), rare, key(rng)]
        }
        _ => {
            let line = rng.pick(&["DEL", "PFADD", "PFCOUNT", "PFMERGE", "PFDEBUG GETREG"]).to_string();
            line.split(' ').map(String::from).chain([key(rng)]).collect()
        }
    };
    Step { args: words.into_iter().map(String::into_bytes).collect(), how: How::Bytes }
}

fn compare_all(pair: &mut Pair) -> bool {
    let lines = KEYS.iter().flat_map(|key| [format!("GET {key}"), format!("OBJECT ENCODING {key}")]);
    let steps: Vec<Step> = lines.map(|line| Step::words(&line)).collect();
    pair.exchange(0, &steps)
}

/// Strings that a client made up: right headers with wrong registers, wrong headers, and what both servers say of them.
#[test]
fn made_up_strings_answer_like_redis() {
    let mut pair = Pair::start(2, 1);
    let mut rng = Rng::new(seed());
    for n in 0..300 {
        let line = format!("PFADD good {}", rng.below(1_000));
        pair.exchange(0, &[Step::words("SELECT 0"), Step::words(&line)]);
        let mut text = pair.first().1.run("GET good").bytes().to_vec();
        for _ in 0..1 + rng.below(2) {
            let at = if n % 3 == 0 { rng.below(16) } else { 16 + rng.below(text.len() - 16) };
            text[at] = rng.next() as u8;
        }
        if n % 5 == 0 {
            text.truncate(rng.below(text.len()));
        }
        let set = vec![b"SET".to_vec(), b"bad".to_vec(), text];
        pair.exchange(0, &[Step { args: set, how: How::Bytes }]);
        // Counting first: Redis adds to a damaged one where it can, register by register.
        for line in [
            "PFCOUNT bad good",
            "PFCOUNT bad",
            "PFDEBUG ENCODING bad",
            "PFMERGE to bad",
            "PFDEBUG GETREG bad",
        ] {
            pair.exchange(0, &[Step::words(line)]);
        }
        pair.exchange(
            0,
            &[Step::words("GET bad"), Step::words("GET to"), Step::words("OBJECT ENCODING bad")],
        );
        pair.exchange(0, &[Step::words("DEL to"), Step::words("PFADD bad x y z")]);
    }
    pair.assert_alike("made-up strings");
}
