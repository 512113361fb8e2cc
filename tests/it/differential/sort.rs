//! SORT and SORT_RO: collections of numbers and of texts, with weights in other keys.

use super::compare::How;
use super::grammar::{generate, parse};
use super::pair::{Pair, Step};
use crate::rng::{Rng, seed};

const ROUNDS: u64 = 10;
const STEPS: usize = 200;

/// What is sorted.
const SETUP: &[&str] = &[
    "RPUSH numbers 5 3 9 1 2 2 10 -4 0",
    "RPUSH floats 1.5 -0.25 1e3 3 0x10 inf -inf 2.50",
    "RPUSH texts b a c aa ab B 1 10 2",
    "RPUSH bad 1 x 2",
    "RPUSH twins 1 2 3 1 2 3",
    "MSET w_5 1 w_3 2 w_9 3 w_1 x w_2 5 w_10 1 w_a 7 w_b 6 w_c 5 string text",
    "MSET v_5 5 v_3 4 v_9 3 v_1 2 v_2 1 v_10 0 v_-4 -1 d_5 five d_3 three d_2 two d_a A d_b B",
    "RPUSH d_9 a list",
    "SADD integers 5 3 9 1 2 10 -4",
    "SADD words b a c aa ab B 10",
    "HSET h_5 f 1 g five",
    "HSET h_3 f 2",
    "HSET h_9 f 0.5 g nine",
    "HSET h_1 f x",
    "HSET h_2 f 9",
];

const TEMPLATES: &[&str] = &[
    "{SORT|SORT_RO|sort} {numbers|floats|texts|bad|twins|stored|none|string|integers|h_1} {ASC|DESC|ALPHA|LIMIT <index> <count>|\
     BY {w_*|v_*|d_*|nosort|*|none_*|w_*->f|h_*->f|h_*->g|v_*->|#}|GET {#|w_*|d_*|none_*|nostar|d_*->f|h_*->g|*}|STORE {stored|other}|x}*",
    "SORT {numbers|texts|twins|floats} {BY {v_*|nosort}}? {LIMIT {0|1|2} {1|3|-1|100}}? {ASC|DESC}? ALPHA? {GET #}? {STORE stored}?",
    // Small sets of texts keep another order in 7.0.
    "SORT words ALPHA {LIMIT <index> <count>|DESC|GET #|GET w_*|STORE stored}*",
    "SORT {words|integers} BY nosort STORE {stored|other}",
    "LRANGE {stored|other} 0 -1",
    "OBJECT ENCODING {stored|other}",
    "COMMAND GETKEYS {SORT|SORT_RO} numbers {LIMIT 0 1|BY store|GET x|STORE stored|DESC}*",
];

#[test]
fn sort_answers_like_redis_on_one_shard() {
    compare(1);
}

#[test]
fn sort_answers_like_redis_on_three_shards() {
    compare(3);
}

fn compare(shards: usize) {
    let templates: Vec<_> = TEMPLATES.iter().map(|template| parse(template)).collect();
    let mut pair = Pair::start(shards, 2);
    for round in 0..std::env::var("KRING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS) {
        let mut rng = Rng::new(seed().wrapping_add(round << 8).wrapping_add(shards as u64));
        pair.reset();
        let setup: Vec<Step> = SETUP.iter().map(|line| Step::words(line)).collect();
        pair.exchange(0, &setup);
        for _ in 0..STEPS {
            let template = &templates[rng.below(templates.len())];
            let args = generate(template, &mut rng).args;
            pair.exchange(rng.below(2), &[Step { args, how: How::Bytes }]);
        }
        pair.exchange(0, &[Step::words("DEBUG DIGEST")]);
    }
    pair.assert_alike(&format!("SORT on {shards} shards, KRING_SEED={}", seed()));
}
