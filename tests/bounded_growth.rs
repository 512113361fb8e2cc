//! No insertion into a large collection does work that grows with the collection.
//!
//! What a step moves it moves into memory that it takes, so the bytes that one insertion asks for bound what it copies and clears.
//! A counting allocator adds them up, and what tables ask the system for shows in its sum. The twin is a collection of the
//! standard library, whose table doubles: it shows that the count sees such a step, and how far above the bound it is.

#![allow(clippy::unwrap_used)] // a failed test panics

use kring::ds::hash::{Expiry, Hash, Shape};
use kring::ds::list::{End, Limits as ListLimits, List};
use kring::ds::listpack::Element;
use kring::ds::set::{Limits as SetLimits, Set};
use kring::ds::stream::{Limits as StreamLimits, Stream, StreamId};
use kring::ds::zset::{Limits as ZsetLimits, Zset};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashSet;

/// Elements: enough for directories of several nodes, and for sorted sets of four levels.
const MEMBERS: u64 = 400_000;
/// After so many insertions the system's allocator is asked for its sum, which takes it long.
const LOOK_EVERY: u64 = 256;
/// What one insertion may ask for. Half of it is a chunk of slabs, of which the kernel gives what is touched: the first slab. A
/// segment that splits asks for two others, and a vector of their handles doubles.
const MOST_BYTES: usize = 2 << 20;

struct Counting;

thread_local! {
    /// Bytes that this thread asked for.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn note(bytes: usize) {
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + bytes));
}

// SAFETY: every call goes to the system's allocator as it came, so all that holds of that one holds of this one.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that are in use of the system's allocator, which tables ask past the one above.
fn in_use() -> usize {
    // SAFETY: the call reads the allocator's own counts.
    let system = unsafe { libc::mallinfo2() };
    system.uordblks + system.hblkhd
}

/// The most that one insertion asked for, or by how much more memory is in use after a few of them.
fn largest_step(mut insert: impl FnMut(u64)) -> usize {
    let mut most = 0;
    let mut before = in_use();
    for n in 0..MEMBERS {
        ASKED.set(0);
        insert(n);
        most = most.max(ASKED.get());
        if n.is_multiple_of(LOOK_EVERY) {
            let after = in_use();
            most = most.max(after.saturating_sub(before));
            before = after;
        }
    }
    most
}

/// A number's place in an order that jumps about.
fn scattered(n: u64) -> u64 {
    n * 7_919 % MEMBERS
}

fn member(n: u64) -> String {
    format!("member:{n:09}")
}

/// One test, for threads share the system's counts.
#[test]
fn an_insertion_does_not_pay_for_what_is_there() {
    let mut twin = HashSet::new();
    let naive = largest_step(|n| {
        twin.insert(member(n));
    });
    assert!(naive > 4 * MOST_BYTES, "a table that doubles is seen: {naive}");
    drop(twin);

    let check =
        |what: &str, most: usize| assert!(most <= MOST_BYTES, "{what}: {most} bytes in one insertion");
    let limits = SetLimits { ints: 512, entries: 128, value: 64, seed: 7 };
    let mut set = Set::new(b"first", 1, &limits);
    check("a set", largest_step(|n| _ = set.add_text(member(n).as_bytes(), &limits)));
    drop(set);

    let shape = Shape { entries: 512, value: 64, seed: 7 };
    let mut hash = Hash::new();
    let set = |n: u64| _ = hash.set(member(n).as_bytes(), b"value", Expiry::Keep, &shape);
    check("a hash", largest_step(set));
    drop(hash);

    let limits = ZsetLimits { entries: 128, value: 64 };
    for (what, order) in [
        ("a sorted set, ascending", (|n| n) as fn(u64) -> u64),
        ("a sorted set, descending", |n| MEMBERS - n),
        ("a sorted set, scattered", scattered),
    ] {
        let first = member(order(0));
        let mut zset = Zset::new(first.len(), limits, 7);
        let insert = |n: u64| zset.insert(member(order(n)).as_bytes(), order(n) as f64, limits, 7);
        check(what, largest_step(insert));
    }

    let limits = ListLimits::new(-2, 0);
    for end in [End::Front, End::Back] {
        let mut list = List::new();
        let push = |n: u64| {
            let text = member(n);
            list.make_room(text.len(), 1, limits);
            list.push(end, Element::of(text.as_bytes()));
        };
        check("a list", largest_step(push));
    }

    let limits = StreamLimits { bytes: 4_096, entries: 100 };
    let mut stream = Stream::default();
    let append = |n: u64| {
        let text = member(n);
        let fields: [&[u8]; 2] = [b"field", text.as_bytes()];
        stream.log.append(StreamId::new(n + 1, 0), limits, fields.into_iter());
    };
    check("a stream", largest_step(append));
}
