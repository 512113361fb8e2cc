//! Keys that come in the order in which another table of the same seed has them, as from a snapshot that the same process has written:
//! each falls next to the one before, in heaps that a table of random keys never sees. (The library's own tests have small segments.)

use kring::base::prng::xorshift;
use kring::ds::{Payload, Table};

const KEYS: u64 = 400_000;

/// A table's keys in the order of their hashes.
fn in_order(table: &Table<()>) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = (0..KEYS).map(|n| (table.hash(&n.to_be_bytes()), n)).collect();
    all.sort_unstable();
    all
}

fn insert(table: &mut Table<()>, (hash, n): (u64, u64)) {
    let key = n.to_be_bytes();
    if table.get(hash, &key).is_none() {
        table.insert(hash, &key, Payload::Int(n as i64), None);
    }
}

#[test]
fn keys_may_come_in_the_order_of_their_hashes() {
    let mut table = Table::<()>::new(1);
    let all = in_order(&table);
    all.iter().for_each(|at| insert(&mut table, *at));
    assert_eq!(table.len() as u64, KEYS);
    assert!(all.iter().all(|(hash, n)| table.get(*hash, &n.to_be_bytes()).is_some()));
}

#[test]
fn runs_of_such_keys_find_their_places_among_others() {
    for seed in 1..=6 {
        let mut random = seed;
        let all = in_order(&Table::<()>::new(seed));
        for others in [200, 1_300, 10_000] {
            let mut table = Table::<()>::new(seed);
            for _ in 0..others {
                insert(&mut table, all[(xorshift(&mut random) % KEYS) as usize]);
            }
            for _ in 0..30 {
                let from = (xorshift(&mut random) % (KEYS - 400)) as usize;
                let run = &all[from..from + 400];
                run.iter().for_each(|at| insert(&mut table, *at));
                assert!(run.iter().all(|(hash, n)| table.get(*hash, &n.to_be_bytes()).is_some()));
            }
        }
    }
}
