//! Blocks for tables that are values: from the process's allocator while the table is small, since a hash of some hundred
//! fields must not hold slabs of its own and there may be a million of them; from slabs for what comes once it is large.
//!
//! The allocator rounds a member of 14 bytes (an entry of 22) to 32, a slab to 24. Blocks stay where they are, so a table that
//! has grown has some of both kinds, and an entry remembers which its block is.
//!
//! The allocator's sizes are counted as mimalloc rounds them: to 8, 16, 32, 48, 64, then in steps of an eighth of the power
//! of two below.

use super::heap::{Blocks, Heap};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// See the module's text.
#[derive(Default)]
pub struct Malloc {
    /// Bytes in blocks of the allocator.
    live_bytes: usize,
    /// How many of those blocks there are.
    live: usize,
    slabs: Option<Box<Heap>>,
}

/// While so many bytes are in blocks of the allocator, new ones come from slabs. Small under test, so that both kinds meet.
const SLABS_FROM: usize = if cfg!(test) { 4 << 10 } else { 128 << 10 };
/// With fewer than this, empty slabs go.
const SLABS_UNTIL: usize = SLABS_FROM / 2;
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

impl Malloc {
    /// Drops the slabs once the table is small again and none of its blocks lies in one.
    #[cold]
    fn drop_empty_slabs(&mut self) {
        if self.slabs.as_ref().is_some_and(|slabs| slabs.live_bytes() == 0) {
            self.slabs = None;
        }
    }
}

impl Blocks for Malloc {
    #[inline]
    fn block_size(size: usize, slab: bool) -> usize {
        if slab { Heap::block_size(size) } else { malloc_size(size) }
    }

    #[inline]
    fn alloc(&mut self, size: usize) -> (NonNull<u8>, bool) {
        if self.live_bytes >= SLABS_FROM {
            return (self.slabs.get_or_insert_default().alloc(size), true);
        }
        let layout = layout(size);
        self.live_bytes += layout.size();
        self.live += 1;
        // SAFETY: an entry has a header, so the layout has a size.
        let Some(block) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        assert!(block.addr().get() >> 47 == 0, "Linux gives addresses of 47 bits unless asked for more");
        (block, false)
    }

    /// # Safety
    /// As [`Blocks::free`].
    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>, size: usize, slab: bool) {
        match &mut self.slabs {
            // SAFETY: the caller's promise: the block came from these slabs.
            Some(slabs) if slab => unsafe { slabs.free(block, size) },
            _ => {
                let layout = layout(size);
                self.live_bytes -= layout.size();
                self.live -= 1;
                // SAFETY: the caller's promise: the block came from the allocator.
                unsafe { dealloc(block.as_ptr(), layout) };
            }
        }
        if self.live_bytes < SLABS_UNTIL && self.slabs.is_some() {
            self.drop_empty_slabs();
        }
    }

    fn live_bytes(&self) -> usize {
        self.live_bytes + self.slabs.as_ref().map_or(0, |slabs| slabs.live_bytes())
    }

    fn reserved_bytes(&self) -> usize {
        self.live_bytes + self.slabs.as_ref().map_or(0, |slabs| slabs.reserved_bytes())
    }

    fn large_blocks(&self) -> usize {
        self.live + self.slabs.as_ref().map_or(0, |slabs| slabs.large_blocks())
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
    #[test]
    fn what_comes_late_lies_in_slabs_which_go_when_the_table_shrinks() {
        let mut blocks = Malloc::default();
        let mut live = Vec::new();
        while blocks.live_bytes < SLABS_FROM {
            live.push(blocks.alloc(22));
        }
        assert!(live.iter().all(|(_, slab)| !slab));
        let before = blocks.live_bytes();
        let late: Vec<_> = (0..100).map(|_| blocks.alloc(22)).collect();
        assert!(late.iter().all(|(_, slab)| *slab));
        assert_eq!(blocks.live_bytes(), before + 100 * 24);
        assert_eq!(blocks.large_blocks(), live.len());
        for (block, slab) in live.into_iter().chain(late) {
            // SAFETY: the block is live.
            unsafe { blocks.free(block, 22, slab) };
        }
        assert!(blocks.slabs.is_none());
        assert_eq!((blocks.live_bytes(), blocks.reserved_bytes(), blocks.large_blocks()), (0, 0, 0));
    }
}
