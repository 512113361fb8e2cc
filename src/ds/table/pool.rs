//! Where segments live: for each size a dense stack of blocks, so that growing leaves no holes.
//!
//! All segments of a table hold nearly the same number of entries, so they grow from one size to the next in waves. With an
//! ordinary allocator the pages of the old size would stay until the last segment on them has grown: twice the memory at the
//! end of each wave. Segments can move, though: the directory alone points to them. So the hole of a freed segment is filled
//! with the last one of its size, and chunks follow need exactly. A fill copies at most 8 KiB. Of a huge page that chunks lie in, all must
//! go before it does: those of sparse pages are moved together by who calls [`Pool::compact`].
//!
//! ```text
//! sizes of 32, 36, ... 64 buckets: | chunk 256 KiB | chunk | chunk ~~~~ |     the last chunk is partly used; see `chunks`
//! smaller (a table's only segment), larger (floods), and all while there are few: blocks of their own
//! ```
//! A table of few segments would leave most of a chunk empty, and there may be a hundred thousand such tables (sets, hashes):
//! below [`LONE_MAX`] segments every new block is one of its own. A segment's head says what its block is.
//!
//! Blocks of their own come from the system's allocator, for the reasons given in [`heap`](crate::ds::heap).
//!
//! SAFETY contract: [`Pool::alloc`] gives a block of `segment::bytes(buckets)` bytes, aligned to 128, until [`Pool::free`].
//! Dropping the pool frees the stacks; other blocks must have been freed before.

use super::chunks::{CHUNK, Chunks};
use super::segment::{self, FULL_BUCKETS, Head};
use crate::base::pages;
use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::ptr::NonNull;

/// With so many bytes in segments chunks are parts of huge pages: what the last one wastes is little then. Few under test, so that small
/// tables have some.
const HUGE_FROM: usize = if cfg!(test) { 256 << 10 } else { 2 << 20 };
/// Bucket counts are multiples of this from here on.
pub const SIZE_STEP: usize = 4;
/// Fewest buckets of a segment in a stack.
pub const STACKED_MIN: usize = FULL_BUCKETS / 2;
const STACKS: usize = (FULL_BUCKETS - STACKED_MIN) / SIZE_STEP + 1;
/// Up to so many segments each has a block of its own. Few under test, so that both kinds meet.
const LONE_MAX: usize = if cfg!(test) { 3 } else { 16 };

/// What the system's allocator takes beside a block of its own: 8 bytes, rounded to 16.
const BLOCK_HEAD: usize = 16;

#[derive(Default)]
struct Stack {
    chunks: Vec<NonNull<u8>>,
    len: usize,
}

/// See the module's text.
#[derive(Default)]
pub struct Pool {
    /// One for each size; none while no segment is in a stack.
    stacks: Vec<Stack>,
    chunks: Chunks,
    /// Live segments.
    len: usize,
    /// Those that are in stacks.
    stacked: usize,
    bytes: usize,
}

// SAFETY: every pointer in a pool points into memory that the pool owns alone.
unsafe impl Send for Pool {}

impl Pool {
    /// Bytes of live segments.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes held beyond what chunks in use take.
    pub fn slack(&self) -> usize {
        self.chunks.slack()
    }

    /// A block for a segment, uninitialised but for its head's `lone`. Aborts when memory is exhausted.
    pub fn alloc(&mut self, buckets: usize) -> *mut Head {
        self.len += 1;
        let stack = stack_of(buckets).filter(|_| self.len > LONE_MAX);
        self.bytes += cost(buckets, stack.is_none());
        let head = match stack {
            None => alloc_lone(buckets).as_ptr().cast(),
            Some(stack) => self.alloc_stacked(stack, buckets),
        };
        // SAFETY: the block begins with room for a head.
        unsafe { (&raw mut (*head).lone).write(stack.is_none()) };
        head
    }

    fn alloc_stacked(&mut self, stack: usize, buckets: usize) -> *mut Head {
        if self.stacks.is_empty() {
            self.stacks.resize_with(STACKS, Stack::default);
        }
        self.stacked += 1;
        let stack = &mut self.stacks[stack];
        let index = stack.len;
        if index == stack.chunks.len() * per_chunk(buckets) {
            let is_huge = self.bytes >= HUGE_FROM;
            stack.chunks.push(self.chunks.alloc(|| if is_huge { take() } else { None }));
        }
        stack.len += 1;
        stack.block(index, buckets)
    }

    /// Gives a segment's block back. When another segment was moved into it, `Some(that segment's old address)`: it now lives
    /// at `head`.
    ///
    /// # Safety
    /// `head` came from [`Pool::alloc`] of this pool with the same bucket count and is initialised; no handle of it is used again.
    pub unsafe fn free(&mut self, head: *mut Head, buckets: usize) -> Option<*mut Head> {
        self.len -= 1;
        // SAFETY: the caller's promise: the segment is live.
        let stack = stack_of(buckets).filter(|_| unsafe { !(*head).lone });
        self.bytes -= cost(buckets, stack.is_none());
        let Some(stack) = stack else {
            // SAFETY: the caller's promise: it came from the allocator with this layout.
            unsafe { System.dealloc(head.cast(), lone_layout(buckets)) };
            return None;
        };
        let stack = &mut self.stacks[stack];
        stack.len -= 1;
        let last = stack.block(stack.len, buckets);
        if last != head {
            // SAFETY: both are blocks of this size in the stack, and they are not the same one.
            unsafe { head.cast::<u8>().copy_from_nonoverlapping(last.cast(), segment::bytes(buckets)) };
        }
        if stack.len == (stack.chunks.len() - 1) * per_chunk(buckets)
            && let Some(chunk) = stack.chunks.pop()
        {
            // SAFETY: it came from there, and nothing lives in it.
            unsafe { self.chunks.free(chunk, give) };
        }
        self.stacked -= 1;
        if self.stacked == 0 {
            // A table that shrank to few segments keeps no chunk.
            self.chunks.drop_spare();
        }
        (last != head).then_some(last)
    }

    /// Moves the segments of one chunk from the huge page that holds least to others, when they have room for all that lies there: `moved`
    /// hears where each lives now. Copies [`CHUNK`] bytes.
    pub fn compact(&mut self, mut moved: impl FnMut(*mut Head)) {
        let Some((from, to)) = self.chunks.thin() else { return };
        let place = |stack: &Stack| stack.chunks.iter().position(|chunk| *chunk == from);
        let found = self.stacks.iter().enumerate().find_map(|(i, stack)| Some((i, place(stack)?)));
        let (i, at) = found.expect("chunks in use are those of stacks");
        let (stack, buckets) = (&mut self.stacks[i], STACKED_MIN + i * SIZE_STEP);
        // SAFETY: both are chunks, of which the second was free until now.
        unsafe { to.as_ptr().copy_from_nonoverlapping(from.as_ptr(), CHUNK) };
        stack.chunks[at] = to;
        let per = per_chunk(buckets);
        (at * per..stack.len.min((at + 1) * per)).for_each(|index| moved(stack.block(index, buckets)));
        // SAFETY: it came from there, and nothing lives in it any more.
        unsafe { self.chunks.free(from, give) };
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for chunk in self.stacks.iter().flat_map(|stack| &stack.chunks) {
            // SAFETY: it came from there, and nothing uses it any more.
            unsafe { self.chunks.free(*chunk, give) };
        }
        self.chunks.drop_spare();
    }
}

/// A huge page, if one is ready.
fn take() -> Option<pages::Taken> {
    #[cfg(test)]
    if testing::ON.get() {
        return testing::page();
    }
    pages::take()
}

/// Gives a huge page back.
fn give(page: pages::Taken) {
    #[cfg(test)]
    if page.node == testing::NODE {
        return testing::give(page);
    }
    // SAFETY: `Chunks` gives back what it took, once, when nothing lives in it.
    unsafe { pages::give(page) };
}

impl Stack {
    fn block(&self, index: usize, buckets: usize) -> *mut Head {
        let chunk = self.chunks[index / per_chunk(buckets)];
        let offset = index % per_chunk(buckets) * segment::bytes(buckets);
        // SAFETY: a chunk holds `per_chunk` blocks.
        unsafe { chunk.as_ptr().add(offset).cast() }
    }
}

fn stack_of(buckets: usize) -> Option<usize> {
    if !(STACKED_MIN..=FULL_BUCKETS).contains(&buckets) {
        return None;
    }
    debug_assert_eq!(buckets % SIZE_STEP, 0);
    Some((buckets - STACKED_MIN) / SIZE_STEP)
}

/// The bytes that a segment takes, with what the system's allocator writes in front of a block of its own.
fn cost(buckets: usize, lone: bool) -> usize {
    segment::bytes(buckets) + if lone { BLOCK_HEAD } else { 0 }
}

fn per_chunk(buckets: usize) -> usize {
    CHUNK / segment::bytes(buckets)
}

fn alloc_lone(buckets: usize) -> NonNull<u8> {
    let layout = lone_layout(buckets);
    // SAFETY: it has a size.
    NonNull::new(unsafe { System.alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

fn lone_layout(buckets: usize) -> Layout {
    Layout::from_size_align(segment::bytes(buckets), align_of::<Head>()).expect("at most 128 KiB")
}

/// Blocks like huge pages, for tests that ask for them: nobody makes huge ones there.
#[cfg(test)]
pub mod testing {
    use super::{Layout, NonNull, pages};
    use std::alloc::{alloc, dealloc};
    use std::cell::Cell;

    thread_local! {
        /// Whether tables of this thread get some.
        pub static ON: Cell<bool> = const { Cell::new(false) };
    }
    pub const NODE: u8 = u8::MAX;

    fn layout() -> Layout {
        Layout::from_size_align(pages::BLOCK, pages::BLOCK).expect("a power of two")
    }

    pub fn page() -> Option<pages::Taken> {
        // SAFETY: the layout has a size.
        NonNull::new(unsafe { alloc(layout()) }).map(|block| pages::Taken { block, node: NODE })
    }

    pub fn give(page: pages::Taken) {
        // SAFETY: it came from `page`.
        unsafe { dealloc(page.block.as_ptr(), layout()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_segments_have_blocks_of_their_own() {
        let mut pool = Pool::default();
        let size = STACKED_MIN;
        let mut live: Vec<*mut Head> = (0..LONE_MAX).map(|_| pool.alloc(size)).collect();
        assert!(pool.stacks.is_empty());
        live.extend((0..10).map(|_| pool.alloc(size)));
        assert_eq!((pool.stacked, pool.len), (10, LONE_MAX + 10));
        assert_eq!(pool.bytes(), (LONE_MAX + 10) * segment::bytes(size) + LONE_MAX * BLOCK_HEAD);
        // SAFETY: the blocks are live, and freed from the last one on none moves.
        let moved = live.drain(..).rev().filter_map(|head| unsafe { pool.free(head, size) }).count();
        assert_eq!((moved, pool.len, pool.stacked, pool.bytes()), (0, 0, 0, 0));
        assert!(pool.slack() == 0 && pool.stacks.iter().all(|s| s.chunks.is_empty()));
    }
}
