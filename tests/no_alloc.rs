//! The steady state of a GET hit on a short value: no heap allocation, and no copy of the key.
//!
//! A counting allocator stands under this binary, and a whole core (parse, plan, store, run, count, reply) is driven without
//! sockets. Where there is no allocation a key can be copied into memory that is there already only, so the parser is looked at
//! as well: its arguments lie in the bytes that arrived.
//!
//! A failure shows where each of the first allocations came from.

#![allow(clippy::unwrap_used)] // a failed test panics

#[path = "../benches/world/sink.rs"]
mod sink;

use kring::config::{Config, SavePoints};
use kring::resp::{Args, Limits, Parser, Step};
use kring::shard::BURST;
use sink::{NOW, Sink, burst_at, cores, get, set, turn, turn_at};
use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;

/// Keys in the store, and bytes of each value: short enough to lie in their entry.
const KEYS: u64 = 1_000;
const VALUE: usize = 64;
/// Batches before counting, and while counting.
const WARM_UP: u64 = 500;
const ROUNDS: u64 = 2_000;
/// Allocations that a failure shows.
const SHOWN: u64 = 3;

struct Counting;

thread_local! {
    /// Allocations of this thread while it counts.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

impl Counting {
    fn note(size: usize) {
        if !COUNTS.get() {
            return;
        }
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        if ALLOCATIONS.get() <= SHOWN {
            // Taking a backtrace allocates.
            COUNTS.set(false);
            eprintln!("an allocation of {size} bytes:\n{}", Backtrace::force_capture());
            COUNTS.set(true);
        }
    }
}

// SAFETY: every call goes to the system's allocator as it came, so all that holds of that one holds of this one.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::note(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`; the memory is the system allocator's.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Counting::note(size);
        // SAFETY: as in `dealloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `f` makes on this thread.
fn allocations(f: impl FnOnce()) -> u64 {
    ALLOCATIONS.set(0);
    COUNTS.set(true);
    f();
    COUNTS.set(false);
    ALLOCATIONS.get()
}

/// Batches of `depth` GETs, over all keys.
fn batches(depth: u64) -> Vec<Vec<u8>> {
    let batch = |first: u64| {
        let mut batch = Vec::new();
        (0..depth).for_each(|i| get(&mut batch, (first + i * 7) % KEYS));
        batch
    };
    (0..KEYS).map(batch).collect()
}

/// Runs GET hits through the first of so many shards, of one connection or of several at a time, and demands that none allocates,
/// whatever shard its key is on.
fn hits_do_not_allocate(shards: usize, depth: u64, together: bool) {
    // A thread that the machine stops in the middle of a GET would earn it a row in SLOWLOG.
    // Nor is a save point to fall due.
    let config = Config { slowlog_log_slower_than: -1, save: SavePoints(Vec::new()), ..Config::default() };
    let (mut cores, _shared) = cores(shards, config);
    let core = &mut cores[0];
    let mut world = Sink::new();
    for key in 0..KEYS {
        let mut request = Vec::new();
        set(&mut request, key, VALUE);
        turn(core, &mut world, &request);
    }
    let batches = batches(depth);
    // Time passes, so that the timers' work is in it as well: 100 us a turn.
    let mut now = NOW;
    let mut run = |rounds: u64, world: &mut Sink| {
        for round in 0..rounds {
            now.wall_us += 100;
            now.mono_us += 100;
            let first = (round % (KEYS - BURST as u64)) as usize;
            match together {
                true => burst_at(core, world, &batches[first..first + BURST], now),
                false => turn_at(core, world, &batches[first], now),
            }
        }
    };
    run(WARM_UP, &mut world);
    let before = world.bytes;
    let found = allocations(|| run(ROUNDS, &mut world));
    let reply = format!("${VALUE}\r\n").len() + VALUE + 2;
    let gets = ROUNDS * depth * if together { BURST as u64 } else { 1 };
    assert_eq!(world.bytes - before, gets * reply as u64, "every GET is a hit");
    assert!(world.last.starts_with(b"$64\r\nvvv"));
    assert_eq!(found, 0, "allocations in {ROUNDS} batches of {depth} GET hits, {shards} shards");
}

#[test]
fn a_get_hit_does_not_allocate() {
    hits_do_not_allocate(1, 1, false);
}

#[test]
fn a_pipeline_of_get_hits_does_not_allocate() {
    for depth in [2, 16, 32, 100] {
        hits_do_not_allocate(1, depth, false);
    }
}

#[test]
fn a_get_hit_in_a_borrowed_store_does_not_allocate() {
    for depth in [1, 32] {
        hits_do_not_allocate(8, depth, false);
    }
}

#[test]
fn get_hits_of_several_connections_do_not_allocate() {
    for (shards, depth) in [(1, 1), (1, 32), (8, 1), (8, 4)] {
        hits_do_not_allocate(shards, depth, true);
    }
}

#[test]
fn the_parser_leaves_arguments_where_they_arrived() {
    let mut input = Vec::new();
    (0..32).for_each(|key| get(&mut input, key));
    let limits = Limits { bulk_max: i64::MAX, authenticated: true };
    let (mut parser, mut spans, mut inline) = (Parser::default(), Vec::new(), Vec::new());
    let arrived = input.as_ptr_range();
    for number in 0..32 {
        spans.clear();
        let Step::Command { end, inline: false } = parser.step(&input, &limits, &mut spans, &mut inline)
        else {
            panic!("command {number} is whole");
        };
        let key = Args::new(&input, &spans).at(1);
        assert_eq!(key, sink::key(number).as_bytes());
        assert!(arrived.contains(&key.as_ptr()), "the key lies outside of the input");
        parser = Parser::at(end);
    }
    assert!(inline.is_empty(), "nothing was copied");
}

#[test]
fn the_allocator_counts() {
    let found = allocations(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(10))));
    assert_eq!(found, 1);
}
