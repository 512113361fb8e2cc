//! Both forms against a naive twin, and the tree's shape while it grows and shrinks.

use super::large::Large;
use super::{Limits, Zset};
use crate::base::prng::{seeded, xorshift};
use crate::ds::listpack::Element;
use std::collections::BTreeMap;

const PACKED: Limits = Limits { entries: usize::MAX, value: usize::MAX };
const LARGE: Limits = Limits { entries: 0, value: 0 };

/// A sorted set as a sorted vector.
#[derive(Default)]
struct Naive(Vec<(f64, Vec<u8>)>);

impl Naive {
    fn set(&mut self, member: &[u8], score: f64) {
        self.0.retain(|(_, m)| m != member);
        let at = self.0.partition_point(|(s, m)| (*s, m.as_slice()) < (score, member));
        self.0.insert(at, (score, member.to_vec()));
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        self.0.iter().find(|(_, m)| m == member).map(|(s, _)| *s)
    }
}

fn all(zset: &Zset, reverse: bool) -> Vec<(f64, Vec<u8>)> {
    let mut found = Vec::new();
    zset.walk(0, usize::MAX, reverse, |member, score| {
        found.push((score, member.to_vec()));
        true
    });
    found
}

fn set(zset: &mut Zset, member: &[u8], score: f64, limits: Limits) {
    match zset.score(member) {
        Some(old) => zset.rescore(member, old, score),
        None => zset.insert(member, score, limits, 5),
    }
}

fn compare(zset: &Zset, twin: &Naive, rng: &mut u64) {
    zset.check();
    assert_eq!(zset.len(), twin.0.len());
    assert_eq!(all(zset, false), twin.0);
    assert!(all(zset, true).iter().eq(twin.0.iter().rev()));
    for _ in 0..8 {
        let pick = xorshift(rng) as usize % (twin.0.len() + 1);
        let count = xorshift(rng) as usize % 9;
        for reverse in [false, true] {
            let mut found = Vec::new();
            zset.walk(pick, count, reverse, |member, _| {
                found.push(member.to_vec());
                true
            });
            let members = twin.0.iter().map(|(_, m)| m.clone());
            let expected: Vec<Vec<u8>> = match reverse {
                false => members.skip(pick).take(count).collect(),
                true => members.rev().skip(pick).take(count).collect(),
            };
            assert_eq!(found, expected);
        }
        let bound = (xorshift(rng) % 60) as f64 - 10.0;
        assert_eq!(zset.count_scores(|s| s < bound), twin.0.partition_point(|(s, _)| *s < bound));
        if let Some((score, member)) = twin.0.get(pick) {
            assert_eq!(zset.rank(member), Some((pick, *score)));
            assert_eq!(zset.score(member), Some(*score));
        }
    }
}

/// Random edits. Few scores make ties, few members make meetings.
fn edits(limits: Limits, members: u64, steps: usize, seed: u64) {
    let mut rng = seeded(seed);
    let (mut zset, mut twin) = (Zset::new(1, limits, 5), Naive::default());
    for step in 0..steps {
        let member = match xorshift(&mut rng) % members {
            n if n % 3 == 0 => n.to_string().into_bytes(),
            n => format!("member:{n}").into_bytes(),
        };
        let score = match xorshift(&mut rng) % 8 {
            0 => f64::INFINITY,
            1 => -0.5,
            n => (xorshift(&mut rng) % 40) as f64 + n as f64 / 8.0,
        };
        match xorshift(&mut rng) % 16 {
            0..=9 => {
                set(&mut zset, &member, score, limits);
                twin.set(&member, score);
            }
            10..=14 => {
                assert_eq!(zset.remove(&member), twin.score(&member));
                twin.0.retain(|(_, m)| *m != member);
            }
            _ => {
                let from = xorshift(&mut rng) as usize % (twin.0.len() + 1);
                let wide = xorshift(&mut rng) as usize % if step % 7 == 0 { 400 } else { 6 };
                let to = (from + wide).min(twin.0.len());
                zset.remove_range(from, to);
                twin.0.drain(from..to);
            }
        }
        if step % 64 == 0 {
            compare(&zset, &twin, &mut rng);
        }
    }
    compare(&zset, &twin, &mut rng);
    let copy = zset.clone();
    zset.remove_range(0, zset.len());
    assert!(zset.is_empty());
    zset.check();
    compare(&copy, &twin, &mut rng);
}

#[test]
fn random_edits_match_a_sorted_vector() {
    let scale = if cfg!(miri) { 20 } else { 1 };
    for seed in 0..4 {
        edits(PACKED, 60, 2_000 / scale, seed);
        edits(LARGE, 60, 2_000 / scale, seed);
        edits(LARGE, 3_000, 12_000 / scale, seed);
        edits(Limits { entries: 50, value: 8 }, 200, 2_000 / scale, seed);
    }
}

/// Orders of insertion that are hard on trees; each must stay shallow and dense.
#[test]
fn trees_stay_dense() {
    let n: u64 = if cfg!(miri) { 500 } else { 40_000 };
    type ScoreOf = fn(u64, u64) -> f64;
    let orders: [(&str, ScoreOf); 6] = [
        ("ascending", |i, _| i as f64),
        ("descending", |i, n| (n - i) as f64),
        ("random", |i, _| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64),
        ("from both ends", |i, _| if i % 2 == 0 { i as f64 } else { -(i as f64) }),
        ("into the middle", |i, n| if i % 2 == 0 { i as f64 } else { (2 * n - i) as f64 }),
        ("down into a gap", |i, n| if i < n / 2 { i as f64 } else { (n / 2) as f64 - 1.0 / i as f64 }),
    ];
    for (name, score) in orders {
        let mut large = Large::new(1);
        for i in 0..n {
            large.insert(format!("{i:08}").as_bytes(), score(i, n));
        }
        let depth = large.check();
        let bytes = large.tree_bytes() as f64 / n as f64;
        assert!(depth <= 4 && (cfg!(miri) || bytes < 21.0), "{name}: depth {depth}, {bytes} bytes an item");
        for i in (0..n).filter(|i| i % 10 != 0) {
            assert!(large.remove(format!("{i:08}").as_bytes()).is_some());
        }
        large.check();
        let bytes = large.tree_bytes() as f64 / large.len() as f64;
        assert!(cfg!(miri) || bytes < 45.0, "{name}: {bytes} bytes an item after removals");
        large.remove_range(0, large.len());
        assert_eq!((large.check(), large.tree_bytes()), (1, 0));
    }
}

#[test]
fn forms_change_at_the_limits_and_never_back() {
    let limits = Limits { entries: 3, value: 5 };
    let mut zset = Zset::new(5, limits, 1);
    for member in ["a", "b", "c"] {
        zset.insert(member.as_bytes(), 1.0, limits, 1);
        assert_eq!(zset.encoding(), "listpack");
    }
    zset.insert(b"d", 1.0, limits, 1);
    assert_eq!(zset.encoding(), "skiplist");
    zset.remove(b"d");
    zset.remove(b"c");
    assert_eq!(zset.encoding(), "skiplist");
    assert_eq!(Zset::new(6, limits, 1).encoding(), "skiplist");
    let mut zset = Zset::new(1, limits, 1);
    zset.insert(b"a", 1.0, limits, 1);
    zset.insert(b"longer", 1.0, limits, 1);
    assert_eq!(zset.encoding(), "skiplist");
    for (members, form) in
        [(&["a", "b"][..], "listpack"), (&["a", "longer"], "skiplist"), (&["a", "b", "c", "d"], "skiplist")]
    {
        let mut gathered = Large::new(1);
        members.iter().for_each(|m| gathered.gather(m.as_bytes(), 2.0));
        let zset = Zset::from_gathered(gathered, limits);
        assert_eq!((zset.encoding(), zset.len()), (form, members.len()));
    }
}

#[test]
fn scores_are_stored_as_redis_stores_them() {
    let mut zset = Zset::new(1, PACKED, 1);
    for (i, score) in [1.5, -0.0, 3.0, f64::INFINITY, 1e17, 0.1, 1e300].into_iter().enumerate() {
        zset.insert(format!("m{i}").as_bytes(), score, PACKED, 1);
    }
    let stored: Vec<Vec<u8>> =
        zset.as_listpack().unwrap().iter().skip(1).step_by(2).map(Element::to_vec).collect();
    let expected = ["0", "0.1", "1.5", "3", "100000000000000000", "1e+300", "inf"];
    assert_eq!(stored, expected.map(|t| t.as_bytes().to_vec()));
    assert!(zset.score(b"m1").is_some_and(|s| s.is_sign_positive()));
    let mut large = Zset::new(1, LARGE, 1);
    large.insert(b"m", -0.0, LARGE, 1);
    assert!(large.score(b"m").is_some_and(|s| s.is_sign_negative()));
}

#[test]
fn scans_meet_everything() {
    for limits in [PACKED, LARGE] {
        let mut zset = Zset::new(1, limits, 1);
        (0..500).for_each(|i| zset.insert(format!("{i}").as_bytes(), f64::from(i), limits, 1));
        let (mut seen, mut cursor) = (BTreeMap::new(), 0);
        loop {
            cursor = zset.scan(cursor, &mut |member, score| {
                seen.insert(member.to_vec(), score.to_bits());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), 500);
    }
}

#[test]
fn weight_is_what_is_allocated() {
    let mut zset = Zset::new(1, LARGE, 1);
    assert!(zset.heap_bytes() < 1_000);
    let n = if cfg!(miri) { 300 } else { 100_000u64 };
    for i in 0..n {
        zset.insert(
            format!("member{:08}", i).as_bytes(),
            (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 30) as f64,
            LARGE,
            1,
        );
    }
    let each = zset.heap_bytes() as f64 / n as f64;
    assert!((45.0..75.0).contains(&each), "{each} bytes a member");
    println!("{each:.1} bytes a member of 14 bytes");
    zset.remove_range(0, zset.len());
    assert!(zset.heap_bytes() < 2_000, "{}", zset.heap_bytes());
}
