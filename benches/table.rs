//! The keyspace table by numbers: memory per key, time per get and insert, the longest insert while it grows.
//!
//! `cargo bench --bench table -- [millions of keys]` (default 1). 16-byte keys, 32-byte values. Run by the tests (without
//! `--bench`), it does a tiny round and checks that it ends.

use kring::ds::malloc::Malloc;
use kring::ds::{Payload, Table, View};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: kring::base::heap::Allocator = kring::base::heap::Allocator;

/// Resident bytes of the process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|p| p.parse::<usize>().ok()).unwrap_or(0);
    pages * 4096
}

fn key(n: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut n = n;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    key
}

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ z >> 31
}

/// CPU time of this thread, ns: unlike wall time it leaves out what other processes took.
fn cpu_ns() -> u64 {
    let t =
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
    t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
}

/// Nanoseconds per call of `f` over `count` random numbers below `keys`.
fn time(keys: u64, count: u64, mut f: impl FnMut(u64)) -> f64 {
    let start = cpu_ns();
    for i in 0..count {
        f(mix(i) % keys);
    }
    (cpu_ns() - start) as f64 / count as f64
}

fn gets(table: &Table<Box<[u8]>>, keys: u64, count: u64) {
    let idle = time(keys, count, |n| {
        black_box(key(n));
    });
    let one = time(keys, count, |n| {
        let k = key(n);
        let found = table.get(table.hash(&k), &k);
        assert!(matches!(found.map(|r| r.view()), Some(View::Bytes(b)) if b.len() == 32));
    });
    let miss = time(keys, count, |n| {
        let k = key(n + keys);
        assert!(table.get(table.hash(&k), &k).is_none());
    });
    // As a pipeline of 32 runs: hash and fetch all buckets, then all entries, then the commands.
    const BATCH: usize = 32;
    let mut batch = Vec::with_capacity(BATCH);
    let pipelined = time(keys, count, |n| {
        let k = key(n);
        let hash = table.hash(&k);
        table.prefetch(hash);
        batch.push((hash, k));
        if batch.len() == BATCH {
            batch.iter().for_each(|&(hash, _)| _ = table.prefetch_entry(hash));
            for (hash, k) in batch.drain(..) {
                let found = table.get(hash, &k);
                assert!(matches!(found.map(|r| r.view()), Some(View::Bytes(b)) if b.len() == 32));
            }
        }
    });
    println!(
        "  get hit {:6.1} ns, miss {:6.1} ns, hit in batches of {BATCH} with prefetch {:6.1} ns",
        one - idle,
        miss - idle,
        pipelined - idle
    );
}

/// The members of one large set: blocks from the allocator first, then from slabs.
fn members(count: u64) {
    let before = resident();
    let mut table: Table<(), Malloc> = Table::new(42);
    let start = cpu_ns();
    for n in 0..count {
        let k = key(n);
        let member = &k[2..];
        table.insert(table.hash(member), member, Payload::Bytes(&[]), None);
    }
    let inserted = cpu_ns();
    let (counted, resident) =
        (table.bytes() as f64 / count as f64, (resident() - before) as f64 / count as f64);
    drop(table);
    println!(
        "{count:9} members of 14 bytes: resident {resident:5.1} B/member, counted {counted:5.1}, insert {:5.0} ns, drop {:4.0} ns",
        (inserted - start) as f64 / count as f64,
        (cpu_ns() - inserted) as f64 / count as f64,
    );
    assert!(counted < 40.0);
}

fn main() {
    let bench = std::env::args().any(|a| a == "--bench");
    let millions = std::env::args().filter_map(|a| a.parse::<f64>().ok()).next();
    let total = (millions.unwrap_or(if bench { 1.0 } else { 0.2 }) * 1e6) as u64;
    let mut stops: Vec<u64> = (1..=(total / 1_000_000).max(1) * 4).map(|q| q * 250_000).collect();
    stops.retain(|&n| n <= total);
    if stops.last() != Some(&total) {
        stops.push(total);
    }

    members(total);
    let mut table: Table<Box<[u8]>> = Table::new(42);
    let mut slow = Vec::with_capacity(1 << 16);
    let mut splits = Vec::with_capacity(1 << 16);
    let mut times = vec![0u64; 100_000];
    let mut worst_per_key = 0f64;
    times.fill(1);
    times.fill(0);
    let before = resident();
    let mut done = 0;
    for stop in stops {
        let start = cpu_ns();
        let mut t = start;
        for n in done..stop {
            let k = key(n);
            let hash = table.hash(&k);
            let segments = table.segments();
            table.insert(hash, &k, Payload::Bytes(&[b'v'; 32]), None);
            let now = cpu_ns();
            let ns = now - t;
            t = now;
            if table.segments() != segments {
                splits.push(ns);
            }
            let cell = (ns as usize / 10).min(times.len() - 1);
            times[cell] += 1;
            if ns > 50_000 {
                slow.push((n, ns / 1000));
            }
        }
        let insert_ns = (cpu_ns() - start) as f64 / (stop - done) as f64;
        done = stop;
        let per_key = (resident() - before) as f64 / done as f64;
        worst_per_key = worst_per_key.max(if done >= 1_000_000 { per_key } else { 0.0 });
        let stats = table.stats();
        println!(
            "{:9} keys: resident {:5.1} B/key, counted {:5.1}, places {:4.1}, fill {:.3}, segments {}, insert {:5.0} ns",
            done,
            per_key,
            table.bytes() as f64 / done as f64,
            (table.bytes() - done as usize * 56) as f64 / done as f64,
            stats.entries as f64 / stats.capacity as f64,
            stats.segments,
            insert_ns,
        );
        if done % 1_000_000 == 0 || done == total {
            println!("  distances {:?}", stats.distances.map(|d| (1000 * d / done as usize) as f64 / 10.0));
            gets(&table, done, if bench { 2_000_000 } else { 10_000 });
        }
    }
    let mut left = done / 10_000;
    let p9999 = times.iter().rposition(|&n| {
        left = left.saturating_sub(n);
        left == 0
    });
    println!("worst resident from 1 M keys on: {worst_per_key:.1} B/key");
    let above = slow.iter().filter(|s| s.1 >= 100).count();
    slow.sort_by_key(|s| std::cmp::Reverse(s.1));
    slow.truncate(12);
    println!(
        "insert p99.99 {} ns; {above} above 100 us; longest (key, us): {slow:?}",
        p9999.unwrap_or(0) * 10
    );

    splits.sort_unstable();
    let at = |percent: usize| splits.get(splits.len() * percent / 100).copied().unwrap_or(0);
    let long = splits.iter().filter(|&&ns| ns > 100_000).count();
    println!(
        "{} inserts that split, ns: p50 {}, p90 {}, p99 {}; {long} above 100 us",
        splits.len(),
        at(50),
        at(90),
        at(99)
    );
    // What the machine does to a loop that never touches the table, in as much time.
    let mut t = cpu_ns();
    let end = t + 1_000_000_000 * u64::from(bench);
    let mut noise = 0;
    while t < end {
        black_box((0..50).map(mix).sum::<u64>());
        let now = cpu_ns();
        noise += usize::from(now - t > 100_000);
        t = now;
    }
    println!("an idle loop has {noise} steps above 100 us a second: the machine's noise");

    let upsert = time(done, if bench { 2_000_000 } else { 10_000 }, |n| {
        let k = key(n);
        let hash = table.hash(&k);
        assert!(table.upsert(hash, &k, Payload::Bytes(&[b'w'; 32]), None).1);
    });
    println!("upsert of a present key {upsert:.0} ns");
    let start = cpu_ns();
    for n in 0..done {
        let k = key(n);
        let hash = table.hash(&k);
        table.get_mut(hash, &k).expect("it was inserted").delete();
    }
    println!(
        "delete {:.0} ns, then {} bytes counted, {} KiB resident",
        (cpu_ns() - start) as f64 / done as f64,
        table.bytes(),
        resident().saturating_sub(before) >> 10
    );
    assert_eq!((table.len(), table.bytes()), (0, 0));
}
