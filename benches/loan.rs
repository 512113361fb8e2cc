//! What it costs to have stores in hand: taking and putting back one, eight, and the slow way of a loan.
//!
//! `cargo bench --bench loan -- [rounds]`. Run by the tests (without `--bench`), it does a tiny round. The loan is the whole life of
//! a job in user space: MGET of two keys on two shards, the second of which is away; the job is made, lent the first
//! store, waits for the second, runs, comes home, and its reply is sent.

#[path = "world/sink.rs"]
mod sink;

use kring::base::cell::Cell;
use kring::config::Config;
use kring::shard::Core;
use kring::store::Store;
use sink::{Sink, cores, deliver, settle, turn};
use std::hint::black_box;
use std::time::Instant;

const STORES: usize = 8;

fn time(what: &str, rounds: u64, mut f: impl FnMut()) {
    let began = Instant::now();
    (0..rounds).for_each(|_| f());
    println!("{what:<52} {:8.1} ns", began.elapsed().as_nanos() as f64 / rounds as f64);
}

fn cells(rounds: u64) {
    let cells: Vec<Cell<Store>> = (0..STORES).map(|s| Cell::new(Box::new(Store::new(s, 1, 7)))).collect();
    time("take a store and put it back:", rounds, || {
        let store = cells[0].take().expect("nobody else takes");
        let _nobody = cells[0].put(black_box(store));
    });
    let mut hand = Vec::with_capacity(STORES);
    time("take eight stores in order and put them back:", rounds, || {
        hand.extend(cells.iter().map(|cell| cell.take().expect("nobody else takes")));
        cells.iter().zip(hand.drain(..)).for_each(|(cell, store)| {
            let _ = cell.put(black_box(store));
        });
    });
}

/// MGET of one key on each of the two shards.
fn mget(shards: usize) -> Vec<u8> {
    let route = kring::store::Route::new(shards);
    let on = |shard| {
        (0..).map(sink::key).find(|k| route.owner(k.as_bytes()) == shard).expect("there are many keys")
    };
    format!("*3\r\n$4\r\nMGET\r\n$16\r\n{}\r\n$16\r\n{}\r\n", on(0), on(1)).into_bytes()
}

fn commands(rounds: u64) {
    let config = Config { take_spin_ns: 0, slowlog_log_slower_than: -1, ..Config::default() };
    let (mut cores, shared) = cores(2, config);
    let mut world = Sink::new();
    let batch = mget(2);
    time("MGET over two shards, both stores taken:", rounds, || turn(&mut cores[0], &mut world, &batch));
    assert_eq!(&world.last[..4], b"*2\r\n");
    let before = world.bytes;
    time("MGET over two shards, by a loan:", rounds, || {
        let away = shared.cells[1].take_as_owner().expect("it lies there between rounds");
        turn(&mut cores[0], &mut world, &batch);
        deliver(&mut cores, &mut world);
        let _owner = shared.cells[1].put(away);
        let owner: &mut Core = &mut cores[1];
        owner.work(&mut world);
        deliver(&mut cores, &mut world);
        cores[0].work(&mut world);
        settle(&mut cores[0], &mut world);
    });
    assert_eq!(
        world.bytes - before,
        rounds * b"*2\r\n$-1\r\n$-1\r\n".len() as u64,
        "each round had its reply"
    );
}

fn main() {
    let rounds = sink::numbers().next().unwrap_or(if sink::is_bench() { 1_000_000 } else { 100 });
    cells(rounds);
    commands(rounds);
}
