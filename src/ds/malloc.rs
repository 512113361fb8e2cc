//! Blocks from the process's allocator, for tables that are values: a hash of some hundred fields must not hold slabs of its
//! own, and there may be a million of them. What is kept here is the count of bytes alone.
//!
//! Sizes are counted as mimalloc rounds them: to 8, 16, 32, 48, 64, then in steps of an eighth of the power of two below.

use super::heap::Blocks;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// See the module's text.
#[derive(Default)]
pub struct Malloc {
    live_bytes: usize,
    live: usize,
}

/// Larger blocks are rounded to pages.
const BIG: usize = 64 << 10;
const PAGE: usize = 4 << 10;

/// The bytes that the allocator takes for `size` bytes.
pub fn malloc_size(size: usize) -> usize {
    match size {
        0..=8 => 8,
        9..=64 => size.next_multiple_of(16),
        65..=BIG => size.next_multiple_of(1 << (size - 1).ilog2() >> 2),
        _ => size.next_multiple_of(PAGE),
    }
}

/// All sizes of one block size share a layout: an entry may be freed with another size than it was made with.
fn layout(size: usize) -> Layout {
    Layout::from_size_align(malloc_size(size), 8).expect("a block is far below isize::MAX")
}

impl Blocks for Malloc {
    #[inline]
    fn block_size(size: usize) -> usize {
        malloc_size(size)
    }

    #[inline]
    fn alloc(&mut self, size: usize) -> NonNull<u8> {
        let layout = layout(size);
        self.live_bytes += layout.size();
        self.live += 1;
        // SAFETY: an entry has a header, so the layout has a size.
        let Some(block) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        assert!(block.addr().get() >> 47 == 0, "Linux gives addresses of 47 bits unless asked for more");
        block
    }

    /// # Safety
    /// As [`Blocks::free`].
    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>, size: usize) {
        let layout = layout(size);
        self.live_bytes -= layout.size();
        self.live -= 1;
        // SAFETY: the caller's promise: the block came from `alloc`.
        unsafe { dealloc(block.as_ptr(), layout) };
    }

    fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    fn reserved_bytes(&self) -> usize {
        self.live_bytes
    }

    fn large_blocks(&self) -> usize {
        self.live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_as_the_allocator_rounds_them() {
        for (size, block) in
            [(1, 8), (8, 8), (9, 16), (24, 32), (64, 64), (65, 80), (128, 128), (129, 160), (1000, 1024)]
        {
            assert_eq!(malloc_size(size), block, "{size}");
        }
        for size in 1..10_000 {
            assert_eq!(malloc_size(malloc_size(size)), malloc_size(size), "{size}");
            assert!(malloc_size(size) >= size);
        }
    }
}
