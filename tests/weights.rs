//! Whether what values say that they weigh is what the allocators gave for them: for every type, at many sizes, as it grows, at
//! its largest, and as it shrinks.
//!
//! Under this binary stands the server's allocator, which counts the bytes of its blocks by what is usable of them. The
//! segments and slabs of tables come from the system's allocator, which is asked for its sum.

#![allow(clippy::unwrap_used)] // a failed test panics

use kring::base::heap::{Allocator, usable_bytes};
use kring::base::prng::{seeded, xorshift};
use kring::ds::hash::{Expiry, Hash, Shape};
use kring::ds::list::{End, Limits as ListLimits, List};
use kring::ds::listpack::Element;
use kring::ds::malloc::malloc_size;
use kring::ds::set::{Limits as SetLimits, Set};
use kring::ds::stream::{Limits as StreamLimits, Stream, StreamId, Trim};
use kring::ds::zset::{Limits as ZsetLimits, Zset};
use kring::store::{Collection, Value};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::collections::HashSet;
use std::process::Command;

struct Counting;

thread_local! {
    /// Bytes of live blocks that this thread took, less those it gave back.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(block: *mut u8, sign: isize) -> *mut u8 {
    // SAFETY: the block is live.
    let bytes = unsafe { usable_bytes(block) };
    let _ = LIVE.try_with(|live| live.set(live.get() + sign * bytes as isize));
    block
}

// SAFETY: every call goes to the allocator under test as it came, so all that holds of that one holds of this one.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        count(unsafe { Allocator.alloc(layout) }, 1)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        count(unsafe { Allocator.alloc_zeroed(layout) }, 1)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(at, -1);
        // SAFETY: as in `alloc`.
        unsafe { Allocator.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(at, -1);
        // SAFETY: as in `alloc`.
        count(unsafe { Allocator.realloc(at, layout, size) }, 1)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes in use, of both allocators.
fn in_use() -> isize {
    // SAFETY: the call reads the allocator's own counts.
    let system = unsafe { libc::mallinfo2() };
    LIVE.get() + (system.uordblks + system.hblkhd) as isize
}

/// What was in use before a value was made.
struct Scale {
    before: isize,
    /// Bytes that may be free in slabs and between segments.
    slack: usize,
}

impl Scale {
    fn new(slack: usize) -> Scale {
        Scale { before: in_use(), slack }
    }

    /// Compares within 2 %, or, where more than blocks of mimalloc is in play, 5 % and what may be free there.
    fn check(&self, what: &str, says: usize) {
        let given = in_use() - self.before;
        let most = if self.slack == 0 { says / 50 } else { says / 20 + self.slack };
        let off = (given - says as isize).unsigned_abs();
        assert!(off <= most + 64, "{what}: says {says}, was given {given}");
    }
}

/// Tells the system's allocator to keep no small blocks that were freed: it would count them as used.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");

/// One test, in a process of its own: threads that start meanwhile would be counted too.
#[test]
fn values_weigh_what_was_given_for_them() {
    if std::env::var(TUNABLES.0).as_deref() != Ok(TUNABLES.1) {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let status = again.env(TUNABLES.0, TUNABLES.1).args(["--nocapture"]).status().unwrap();
        return assert!(status.success());
    }
    the_allocator_rounds_as_it_is_counted();
    full_nodes_lie_side_by_side();
    strings();
    lists();
    strings();
    lists();
    sets();
    hashes();
    sorted_sets();
    streams();
}

fn the_allocator_rounds_as_it_is_counted() {
    let sizes = (1..5_000).chain((5_000..600_000).step_by(1_613)).chain((600_000..5_000_000).step_by(70_001));
    for size in sizes.chain((0..52).map(|i| malloc_size(1 << (i / 4) << 6) + i)) {
        for align in [1, 8, 16] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the layout has a size; the block is freed once, with its layout.
            unsafe {
                let block = ALLOCATOR.alloc(layout);
                assert_eq!(block.addr() % align, 0, "{size}");
                if align <= 8 || size > 8 {
                    assert_eq!(usable_bytes(block), malloc_size(size), "{size} aligned to {align}");
                }
                ALLOCATOR.dealloc(block, layout);
            }
        }
    }
    // What grows in place or moves is as large as one made at once.
    let mut bytes: Vec<u8> = Vec::new();
    for size in (1..200_000).step_by(97) {
        bytes.reserve_exact(size - bytes.len());
        bytes.resize(size, 1);
        // SAFETY: the block is live.
        assert_eq!(unsafe { usable_bytes(bytes.as_ptr()) }, malloc_size(bytes.capacity()), "{size}");
    }
}

/// Blocks of full nodes of lists lie side by side: a header between them would cost a block in eight.
fn full_nodes_lie_side_by_side() {
    const BLOCK: usize = 8 << 10;
    const PAGE: usize = 64 << 10;
    let blocks: Vec<Vec<u8>> = (0..800).map(|_| Vec::with_capacity(BLOCK)).collect();
    let pages: HashSet<usize> = blocks.iter().map(|block| block.as_ptr().addr() / PAGE).collect();
    // The page that was begun before, and the one that is not full yet.
    assert!(
        pages.len() <= blocks.len() * BLOCK / PAGE + 2,
        "{} pages for {} blocks",
        pages.len(),
        blocks.len()
    );
}

fn strings() {
    for size in (1_025..40_000).step_by(61).chain([70_000, 100_000, 300_000, 600_000, 3_000_000]) {
        let scale = Scale::new(0);
        let value = Value::string(vec![7; size]);
        scale.check("a string", value.heap_bytes());
        // As APPEND leaves it.
        let Value::Str(long) = value else { panic!("a string") };
        let mut text = Vec::from(long.into_mut());
        text.reserve_exact(text.len());
        text.push(7);
        let value = Value::string(text);
        scale.check("one with room to spare", value.heap_bytes());
    }
}

/// Texts of 1 to `longest` bytes, mostly short.
fn text(random: &mut u64, n: u64, longest: u64) -> Vec<u8> {
    let len = 1 + (xorshift(random) % longest).min(xorshift(random) % longest) as usize;
    let mut text = format!("{n}:").into_bytes();
    text.resize(len.max(text.len()), b'x');
    text
}

/// How many elements collections have at most, and how long these are at most.
const SHAPES: [(u64, u64); 7] =
    [(1, 10), (10, 20), (100, 60), (120, 60), (400, 40), (1_000, 30), (90, 2_500)];
/// Too many for blocks of their own.
const LARGE: (u64, u64) = (200_000, 24);

/// What a table may have free: a chunk of slabs and one of each size of segment, mostly untouched; or small holes.
fn slack(elements: u64) -> usize {
    match elements {
        0..=1_000 => 512,
        1_001..=5_000 => 1 << 20,
        _ => 3 << 20,
    }
}

fn lists() {
    for depth in [0, 1] {
        for (elements, longest) in SHAPES.into_iter().chain([(300, 3_000)]) {
            let mut random = seeded(elements + longest);
            let limits = ListLimits::new(-2, depth);
            let scale = Scale::new(0);
            let mut list = List::new();
            for n in 0..elements {
                let text = text(&mut random, n, longest);
                list.make_room(text.len(), 1, limits);
                let end = if n % 3 == 0 { End::Front } else { End::Back };
                list.push(end, Element::of(&text));
                if n % 970 == 0 {
                    drop(text);
                    scale.check("a growing list", list.heap_bytes());
                }
            }
            scale.check("a list", list.heap_bytes());
            while list.len() as u64 > elements / 10 {
                list.pop(End::Front, |_| ());
                if list.len().is_multiple_of(3) {
                    list.remove(list.len() / 2, 1);
                }
                list.shrink(limits);
                if list.len().is_multiple_of(401) {
                    scale.check("a shrinking list", list.heap_bytes());
                }
            }
            scale.check("a shrunk list", list.heap_bytes());
        }
    }
}

fn sets() {
    let limits = SetLimits { ints: 512, entries: 128, value: 64, seed: 7 };
    for (elements, longest) in SHAPES.into_iter().chain([(300, 0), (5_000, 0), LARGE]) {
        let mut random = seeded(elements + longest);
        let members: Vec<Vec<u8>> = (0..elements)
            .map(|n| match longest {
                0 => (n * 7).to_string().into_bytes(),
                longest => text(&mut random, n, longest),
            })
            .collect();
        let scale = Scale::new(slack(elements));
        let mut set = Set::new(&members[0], 1, &limits);
        for member in &members {
            set.add_text(member, &limits);
        }
        scale.check(set.encoding(), set.heap_bytes());
        for member in &members[members.len() / 10..] {
            set.remove_text(member);
        }
        scale.check("a shrunk set", set.heap_bytes());
    }
}

fn hashes() {
    let shape = Shape { entries: 512, value: 64, seed: 7 };
    for expires in [false, true] {
        for (elements, longest) in SHAPES.into_iter().chain([LARGE]) {
            let mut random = seeded(elements + longest);
            let fields: Vec<(Vec<u8>, Vec<u8>)> =
                (0..elements).map(|n| (text(&mut random, n, 20), text(&mut random, n, longest))).collect();
            let scale = Scale::new(slack(elements));
            let mut hash = Hash::new();
            for (field, value) in &fields {
                hash.set(field, value, Expiry::Keep, &shape);
                if expires {
                    hash.set_expire(field, Some(1_000));
                }
            }
            scale.check(hash.encoding(), hash.heap_bytes());
            for (field, _) in &fields[fields.len() / 10..] {
                hash.remove(field);
            }
            scale.check("a shrunk hash", hash.heap_bytes());
        }
    }
}

fn sorted_sets() {
    let limits = ZsetLimits { entries: 128, value: 64 };
    for (elements, longest) in SHAPES.into_iter().chain([LARGE]) {
        let mut random = seeded(elements + longest);
        let members: Vec<(Vec<u8>, f64)> = (0..elements)
            .map(|n| (text(&mut random, n, longest), (xorshift(&mut random) % 100_000) as f64))
            .collect();
        let scale = Scale::new(slack(elements));
        let mut zset = Zset::new(members[0].0.len(), limits, 7);
        for (member, score) in &members {
            zset.insert(member, *score, limits, 7);
        }
        scale.check(zset.encoding(), zset.heap_bytes());
        for (member, _) in &members[members.len() / 10..] {
            zset.remove(member);
        }
        scale.check("a shrunk sorted set", zset.heap_bytes());
    }
}

fn streams() {
    let limits = StreamLimits { bytes: 4_096, entries: 100 };
    for (elements, longest) in SHAPES {
        let mut random = seeded(elements + longest);
        let texts: Vec<Vec<u8>> = (0..elements).map(|n| text(&mut random, n, longest)).collect();
        let scale = Scale::new(0);
        let mut stream = Stream::default();
        for (n, text) in texts.iter().enumerate() {
            let fields: [&[u8]; 2] = [b"field", text];
            stream.log.append(StreamId::new(n as u64 + 1, 0), limits, fields.into_iter());
            if n % 89 == 0 {
                scale.check("a growing stream", stream.heap_bytes());
            }
        }
        for name in [&b"first"[..], b"second group"] {
            stream.groups.create(name, StreamId::MIN, None);
            let mut group = stream.groups.edit(name).unwrap();
            for n in 0..elements.min(3_000) {
                let slot = group.create(format!("consumer {}", n % 40).as_bytes(), 1);
                let slot = slot.or_else(|| group.find(format!("consumer {}", n % 40).as_bytes()));
                group.assign(StreamId::new(n + 1, 0), slot.unwrap(), 1, 1);
            }
        }
        scale.check("a stream", stream.heap_bytes());
        stream.log.trim(Trim::MaxLen(elements / 10), false, 0);
        scale.check("a trimmed stream", stream.heap_bytes());
        assert!(!Collection::is_empty(&stream));
    }
}
