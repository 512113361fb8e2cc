//! What a command costs in user space: batches of GET and SET through a whole core (parse, plan, store, run, count, reply),
//! with a world that takes replies and gives nothing: no sockets, no kernel.
//!
//! `cargo bench --bench core -- [keys] [pipeline] [rounds] [shards]`, all commands on one core whoever owns the keys; prints nanoseconds per command. Run by the tests (without `--bench`),
//! it does a tiny round.

#[path = "world/sink.rs"]
mod sink;

use kring::base::prng::{seeded, xorshift};
use kring::config::{Config, SavePoints};
use kring::shard::BURST;
use sink::{NOW, Sink, burst_at, cores, get, set, turn};
use std::time::Instant;

/// Bytes of a value.
const VALUE: usize = 64;
/// Batches that are made ahead, and used again and again.
const BATCHES: u64 = 5_000;

fn main() {
    let mut args = sink::numbers();
    let tiny = !sink::is_bench();
    let keys = args.next().unwrap_or(if tiny { 1_000 } else { 1_000_000 });
    let depths: Vec<u64> = args.next().map_or(vec![1, 8, 32], |d| vec![d]);
    let rounds = args.next().unwrap_or(if tiny { 100 } else { 100_000 });
    let shards = args.next().unwrap_or(1) as usize;
    // Without save points: nobody would ever write the snapshot that so many SETs begin.
    let config = Config { save: SavePoints(Vec::new()), ..Config::default() };
    let (mut cores, _shared) = cores(shards, config);
    let core = &mut cores[0];
    let mut world = Sink::new();
    let mut batch = Vec::new();
    for key in 0..keys {
        set(&mut batch, key, VALUE);
        if batch.len() > 12_000 || key + 1 == keys {
            turn(core, &mut world, &batch);
            batch.clear();
        }
    }
    let mut state = seeded(1);
    for depth in depths {
        for (name, one_in) in [("GET", u64::MAX), ("SET", 1), ("SET:GET 1:10", 11)] {
            if std::env::var("KIND").is_ok_and(|k| k != name) {
                continue;
            }
            let batches: Vec<Vec<u8>> = (0..rounds.min(BATCHES))
                .map(|_| {
                    let mut batch = Vec::new();
                    for _ in 0..depth {
                        let write = xorshift(&mut state).is_multiple_of(one_in);
                        let key = xorshift(&mut state) % keys;
                        if write { set(&mut batch, key, VALUE) } else { get(&mut batch, key) }
                    }
                    batch
                })
                .collect();
            let began = Instant::now();
            for i in 0..rounds {
                turn(core, &mut world, &batches[i as usize % batches.len()]);
            }
            let ns = began.elapsed().as_nanos() as f64 / (rounds * depth) as f64;
            println!("{name:>12}, {keys} keys, pipeline {depth:>2}: {ns:6.1} ns");
            if depth == 1 {
                let bursts: Vec<&[Vec<u8>]> = batches.chunks_exact(BURST).collect();
                let began = Instant::now();
                for i in 0..rounds as usize {
                    burst_at(core, &mut world, bursts[i % bursts.len()], NOW);
                }
                let ns = began.elapsed().as_nanos() as f64 / (rounds as usize * BURST) as f64;
                println!("{name:>12}, {keys} keys, {BURST} connections: {ns:6.1} ns");
            }
        }
    }
}
