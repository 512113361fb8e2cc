//! A hash against an ordered map, in every encoding.

use super::*;
use crate::base::prng::{seeded, xorshift};
use std::collections::BTreeMap;

type Twin = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

fn shape(entries: usize) -> Shape {
    Shape { entries, value: 64, seed: 7 }
}

fn text(value: &View<'_, Bytes>) -> Vec<u8> {
    with_text(value, <[u8]>::to_vec)
}

fn content(hash: &Hash) -> Twin {
    hash.iter().map(|f| (f.name.to_vec(), (text(&f.value), f.expire_at))).collect()
}

/// Walks the structure: what it says of itself is what it holds.
fn check(hash: &Hash, twin: &Twin) {
    assert_eq!((hash.len(), hash.is_empty()), (twin.len(), twin.is_empty()));
    assert_eq!(&content(hash), twin);
    let earliest = twin.values().filter_map(|(_, at)| *at).min();
    match hash.as_triples() {
        Some(pack) => {
            assert_eq!(hash.min_expire(), earliest);
            let order: Vec<i64> = packed::triples(pack).map(|f| f.expire_at.unwrap_or(i64::MAX)).collect();
            assert!(order.is_sorted(), "{order:?}");
        }
        None => {
            assert_eq!(hash.min_expire().is_some(), earliest.is_some());
            assert!(hash.min_expire() <= earliest, "a lower bound");
        }
    }
    if let Some(pack) = hash.as_pairs().or(hash.as_triples()) {
        assert!(Listpack::from_bytes(pack.as_bytes().to_vec()).is_some());
    }
    let mut met = Twin::new();
    let mut cursor = 0;
    loop {
        cursor = hash.scan(cursor, &mut |f| {
            met.insert(f.name.to_vec(), (text(&f.value), f.expire_at));
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(&met, twin);
}

fn value(rng: &mut u64) -> Vec<u8> {
    match xorshift(rng) % 12 {
        0..=3 => (xorshift(rng) as i32 % 1_000).to_string().into_bytes(),
        4 => Vec::new(),
        5 => xorshift(rng).to_string().into_bytes(),
        6 => vec![b'l'; 60 + xorshift(rng) as usize % 10],
        7 => vec![b'x'; 1_000 + xorshift(rng) as usize % 2_000],
        _ => (0..xorshift(rng) % 20).map(|_| xorshift(rng) as u8).collect(),
    }
}

#[test]
fn random_edits_in_every_encoding() {
    let mut reached = std::collections::BTreeSet::new();
    for seed in 0..if cfg!(miri) { 2 } else { 40 } {
        let rng = &mut seeded(seed);
        // Small ones stay listpacks; others become tables on their way.
        let limits = Shape {
            entries: [1_000, 20, 0][seed as usize % 3],
            value: [100_000, 64][seed as usize / 3 % 2],
            seed,
        };
        let (mut hash, mut twin, mut now) = (Hash::new(), Twin::new(), 1_000);
        for step in 0..if cfg!(miri) { 60 } else { 1_500 } {
            let field = match xorshift(rng) % 50 {
                n @ 0..40 => n.to_string().into_bytes(),
                n => vec![b'f'; n as usize],
            };
            match xorshift(rng) % 12 {
                0..=3 => {
                    let value = value(rng);
                    let keep = xorshift(rng).is_multiple_of(2);
                    let before = twin.get(&field).and_then(|(_, at)| *at);
                    let old = twin.insert(field.clone(), (value.clone(), before.filter(|_| keep)));
                    let expiry = if keep { Expiry::Keep } else { Expiry::Clear };
                    assert_eq!(hash.set(&field, &value, expiry, &limits), old.is_none());
                }
                4 | 5 => assert_eq!(hash.remove(&field), twin.remove(&field).is_some()),
                6..=8 if seed % 4 != 0 => {
                    let at =
                        (!xorshift(rng).is_multiple_of(4)).then(|| now + 1 + (xorshift(rng) % 300) as i64);
                    let found = twin.get_mut(&field).map(|(_, theirs)| *theirs = at).is_some();
                    assert_eq!(hash.set_expire(&field, at), found);
                }
                9 => {
                    now += (xorshift(rng) % 40) as i64;
                    let budget = 1 + xorshift(rng) as usize % 10;
                    let before = twin.len();
                    let mut removed = 0;
                    while hash.min_expire().is_some_and(|at| at <= now) {
                        removed +=
                            hash.expire_slice(now, budget, &mut |field| assert!(twin.contains_key(field))).1;
                    }
                    twin.retain(|_, (_, at)| at.is_none_or(|at| at > now));
                    assert_eq!(removed, before - twin.len());
                }
                10 if step % 10 == 0 => hash = hash.clone(),
                _ => {
                    let found = hash.get(&field).map(|f| (text(&f.value), f.expire_at));
                    assert_eq!(found.as_ref(), twin.get(&field));
                    let random = hash.random(&mut || xorshift(rng)).map(|f| f.name.to_vec());
                    assert!(random.map_or(twin.is_empty(), |name| twin.contains_key(&name)));
                }
            }
            check(&hash, &twin);
            reached.insert(hash.encoding());
        }
        let weight = hash.heap_bytes();
        for field in twin.keys() {
            assert!(hash.remove(field));
        }
        assert!(hash.is_empty() && hash.heap_bytes() <= weight);
    }
    assert_eq!(reached.len(), 3, "{reached:?}");
}

#[test]
fn a_hash_becomes_a_table_where_redis_makes_it_one() {
    let set = |hash: &mut Hash, field: &str, value: &str, shape: &Shape| {
        hash.set(field.as_bytes(), value.as_bytes(), Expiry::Clear, shape);
        hash.encoding()
    };
    let mut hash = Hash::new();
    for i in 0..4 {
        assert_eq!(set(&mut hash, &i.to_string(), "v", &shape(4)), "listpack");
    }
    assert_eq!(set(&mut hash, "3", "w", &shape(4)), "listpack");
    assert_eq!(set(&mut hash.clone(), "4", "v", &shape(4)), "hashtable");
    assert_eq!(set(&mut hash.clone(), "3", &"v".repeat(64), &shape(4)), "listpack");
    assert_eq!(set(&mut hash.clone(), "3", &"v".repeat(65), &shape(4)), "hashtable");
    assert_eq!(set(&mut hash.clone(), &"f".repeat(65), "v", &shape(9)), "hashtable");
    // The limit is looked at on every write, an overwriting one too.
    assert_eq!(set(&mut hash, "3", "x", &shape(3)), "hashtable");
    assert!(hash.remove(b"1") && hash.remove(b"2"));
    assert_eq!(hash.encoding(), "hashtable");
}

#[test]
fn expiries_come_with_the_listpackex_and_stay_in_a_table() {
    let mut hash = Hash::new();
    for field in ["a", "b", "c"] {
        hash.set(field.as_bytes(), b"v", Expiry::Clear, &shape(3));
    }
    assert!(!hash.set_expire(b"none", Some(5)));
    assert_eq!(hash.encoding(), "listpack");
    assert!(hash.set_expire(b"c", Some(20)) && hash.set_expire(b"b", Some(10)));
    assert_eq!(hash.encoding(), "listpackex");
    let names: Vec<Vec<u8>> = hash.iter().map(|f| f.name.to_vec()).collect();
    assert_eq!(names, [b"b", b"c", b"a"]);
    assert_eq!(hash.min_expire(), Some(10));
    hash.set(b"d", b"v", Expiry::Clear, &shape(3));
    assert_eq!((hash.encoding(), hash.min_expire()), ("hashtable", Some(10)));
    assert_eq!(hash.get(b"c").and_then(|f| f.expire_at), Some(20));
    assert!(hash.set_expire(b"b", None) && hash.set_expire(b"c", None));
    assert_eq!(hash.min_expire(), None);
}

#[test]
fn weights_follow_the_content() {
    let mut hash = Hash::table(1);
    let empty = hash.heap_bytes();
    hash.set(b"f", &[b'x'; 100_000], Expiry::Clear, &shape(0));
    assert!(hash.heap_bytes() > empty + 100_000);
    assert_eq!(hash.clone().heap_bytes(), hash.heap_bytes());
    hash.set(b"f", b"short", Expiry::Clear, &shape(0));
    assert!(hash.heap_bytes() < empty + 1_000);
    hash.set(b"f", &[b'x'; 100_000], Expiry::Clear, &shape(0));
    assert!(hash.set_expire(b"f", Some(1)));
    assert_eq!(hash.expire_slice(1, 10, &mut |field| assert_eq!(field, b"f")), (1, 1));
    assert_eq!(hash.heap_bytes(), empty);
}
