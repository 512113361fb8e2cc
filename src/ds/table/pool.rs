//! Where segments live: for each size a dense stack of blocks, so that growing leaves no holes.
//!
//! All segments of a table hold nearly the same number of entries, so they grow from one size to the next in waves. With an
//! ordinary allocator the pages of the old size would stay until the last segment on them has grown: twice the memory at the
//! end of each wave. Segments can move, though: the directory alone points to them. So the hole of a freed segment is filled
//! with the last one of its size, and memory follows need exactly. A fill copies at most 8 KiB.
//!
//! ```text
//! sizes of 32, 36, ... 64 buckets: | chunk 256 KiB | chunk | chunk ~~~~ |     the last chunk is partly used
//! smaller (a table's only segment) and larger (floods): blocks of their own
//! ```
//! All come from the system's allocator, for the reasons given in [`heap`](crate::ds::heap).
//!
//! SAFETY contract: [`Pool::alloc`] gives a block of `segment::bytes(buckets)` bytes, aligned to 128, until [`Pool::free`].
//! Dropping the pool frees the stacks; other blocks must have been freed before.

use super::segment::{self, FULL_BUCKETS, Head};
use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::ptr::NonNull;

const CHUNK: usize = 256 << 10;
/// Bucket counts are multiples of this from here on.
pub const SIZE_STEP: usize = 4;
/// Fewest buckets of a segment in a stack.
pub const STACKED_MIN: usize = FULL_BUCKETS / 2;
const STACKS: usize = (FULL_BUCKETS - STACKED_MIN) / SIZE_STEP + 1;

#[derive(Default)]
struct Stack {
    chunks: Vec<NonNull<u8>>,
    len: usize,
}

/// See the module's text.
#[derive(Default)]
pub struct Pool {
    stacks: [Stack; STACKS],
    /// One empty chunk is kept for the next need.
    spare: Option<NonNull<u8>>,
    bytes: usize,
}

// SAFETY: every pointer in a pool points into memory that the pool owns alone.
unsafe impl Send for Pool {}

impl Pool {
    /// Bytes of live segments.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// An uninitialised block for a segment. Aborts when memory is exhausted.
    pub fn alloc(&mut self, buckets: usize) -> *mut Head {
        self.bytes += segment::bytes(buckets);
        let Some(stack) = stack_of(buckets) else {
            return alloc_chunk(lone_layout(buckets)).as_ptr().cast();
        };
        let index = self.stacks[stack].len;
        if index == self.stacks[stack].chunks.len() * per_chunk(buckets) {
            let chunk = self.spare.take().unwrap_or_else(|| alloc_chunk(chunk_layout()));
            self.stacks[stack].chunks.push(chunk);
        }
        self.stacks[stack].len += 1;
        self.stacks[stack].block(index, buckets)
    }

    /// Gives a segment's block back. When another segment was moved into it, `Some(that segment's old address)`: it now lives
    /// at `head`.
    ///
    /// # Safety
    /// `head` came from [`Pool::alloc`] of this pool with the same bucket count and is initialised; no handle of it is used again.
    pub unsafe fn free(&mut self, head: *mut Head, buckets: usize) -> Option<*mut Head> {
        self.bytes -= segment::bytes(buckets);
        let Some(stack) = stack_of(buckets) else {
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
            && let Some(old) = self.spare.replace(chunk)
        {
            // SAFETY: it came from `alloc_chunk` with this layout, and nothing lives in it.
            unsafe { System.dealloc(old.as_ptr(), chunk_layout()) };
        }
        (last != head).then_some(last)
    }

    /// Whether segments of this size outlive [`Pool::free`] not being called.
    pub fn is_lone(buckets: usize) -> bool {
        stack_of(buckets).is_none()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let chunks = self.stacks.iter().flat_map(|s| &s.chunks).chain(&self.spare);
        for chunk in chunks {
            // SAFETY: it came from `alloc_chunk` with this layout.
            unsafe { System.dealloc(chunk.as_ptr(), chunk_layout()) };
        }
    }
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

fn per_chunk(buckets: usize) -> usize {
    CHUNK / segment::bytes(buckets)
}

fn alloc_chunk(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layouts here have a size.
    NonNull::new(unsafe { System.alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

fn chunk_layout() -> Layout {
    Layout::from_size_align(CHUNK, align_of::<Head>()).expect("a power of two")
}

fn lone_layout(buckets: usize) -> Layout {
    Layout::from_size_align(segment::bytes(buckets), align_of::<Head>()).expect("at most 128 KiB")
}
