//! Sorted sets by numbers: memory per member, time per insert, score, rank and range at 10^3, 10^5 and 10^7 members, and the
//! longest insert while the set grows.
//!
//! `cargo bench --bench zset -- [members]` (default 10,000,000). Members of 14 bytes, random scores. Run by the tests (without
//! `--bench`), it does a tiny round and checks that ranks are right.

use kring::ds::zset::{Limits, Zset};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: kring::base::heap::Allocator = kring::base::heap::Allocator;

/// What Redis 7.0 does, too.
const LIMITS: Limits = Limits { entries: 128, value: 64 };
const SEED: u64 = 42;
/// Operations that a time is the mean of.
const OPERATIONS: u64 = 200_000;
const RANGE: usize = 100;

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|p| p.parse::<usize>().ok()).unwrap_or(0);
    pages * 4096
}

fn member(n: u64) -> [u8; 14] {
    let mut text = *b"member00000000";
    let mut n = n;
    for digit in text[6..].iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    text
}

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ z >> 31
}

fn score(n: u64) -> f64 {
    (mix(n) >> 20) as f64
}

/// CPU time of this thread, ns.
fn cpu_ns() -> u64 {
    let t =
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
    t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
}

/// Nanoseconds per call of `f` with random numbers below `members`.
fn time(members: u64, operations: u64, mut f: impl FnMut(u64)) -> f64 {
    let start = cpu_ns();
    (0..operations).for_each(|i| f(mix(i ^ 0x5555) % members));
    (cpu_ns() - start) as f64 / operations as f64
}

fn operations(zset: &mut Zset, members: u64, operations: u64) {
    let scores = time(members, operations, |n| assert_eq!(zset.score(&member(n)), Some(score(n))));
    let ranks = time(members, operations, |n| {
        black_box(zset.rank(&member(n)));
    });
    let ranges = time(members, operations / 20, |n| {
        let mut bytes = 0;
        zset.walk(n as usize, RANGE, false, |member, _| {
            bytes += member.text_len();
            true
        });
        black_box(bytes);
    });
    let changes = time(members, operations, |n| {
        zset.rescore(&member(n), score(n), score(n) + 1e9);
        zset.rescore(&member(n), score(n) + 1e9, score(n));
    });
    println!(
        "  score {scores:5.0} ns, rank {ranks:5.0} ns, range of {RANGE} {ranges:6.0} ns, new score {:5.0} ns",
        changes / 2.0
    );
}

fn main() {
    let bench = std::env::args().any(|a| a == "--bench");
    let asked = std::env::args().filter_map(|a| a.parse::<u64>().ok()).next();
    let total = asked.unwrap_or(if bench { 10_000_000 } else { 20_000 });
    let mut zset = Zset::new(14, LIMITS, SEED);
    let before = resident();
    let (mut start, mut longest, mut above) = (cpu_ns(), 0, 0);
    let mut last = start;
    let mut since = 0;
    for n in 0..total {
        zset.insert(&member(n), score(n), LIMITS, SEED);
        let now = cpu_ns();
        longest = longest.max(now - last);
        above += u64::from(now - last > 1_000_000);
        last = now;
        let members = n + 1;
        if members == total || [1_000, 100_000, 1_000_000].contains(&members) {
            println!(
                "{members:9} members ({}): resident {:5.1} B, counted {:5.1} B, insert {:4.0} ns, longest {} us, {above} above 1 ms",
                zset.encoding(),
                (resident().saturating_sub(before)) as f64 / members as f64,
                zset.heap_bytes() as f64 / members as f64,
                (now - start) as f64 / (members - since) as f64,
                longest / 1_000,
            );
            operations(&mut zset, members, if bench { OPERATIONS } else { 1_000 });
            (start, since, last) = (cpu_ns(), members, cpu_ns());
        }
    }
    assert!(
        zset.rank(&member(0))
            .is_some_and(|(rank, found)| { found == score(0) && rank == zset.count_scores(|s| s < found) })
    );
    let start = cpu_ns();
    zset.remove_range(0, total as usize / 2);
    println!("removal of half by rank: {:.0} ns a member", (cpu_ns() - start) as f64 / (total / 2) as f64);
}
