//! Blocks for tables that are values: from the process's allocator while the table is small, since a hash of some hundred
//! fields must not hold slabs of its own and there may be a million of them; from slabs for what comes once it is large.
//!
//! The allocator rounds a member of 14 bytes (an entry of 22) to 32, a slab to 24. Blocks stay where they are, so a table that
//! has grown has some of both kinds, and an entry remembers which its block is.
//!
//! The allocator's sizes are counted as mimalloc rounds them: to 8, 16, 32, 48, 64, then four to each doubling up to 512 KiB,
//! then to some part of themselves, an eighth at most. `tests/weights.rs` compares that with what mimalloc gives. It holds for blocks that [`Allocator`] gave and
//! that never shrank in place, which leaves a block its old size: so what shrinks moves ([`fitted`], [`shrink`]).
//!
//! [`Allocator`]: crate::base::heap::Allocator

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
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// The largest block that shares a page of the allocator with others.
const BIG: usize = 512 * KIB;

/// The bytes that the allocator takes for `size` bytes.
pub const fn malloc_size(size: usize) -> usize {
    match size {
        0..=8 => 8,
        9..=64 => size.next_multiple_of(16),
        65..=BIG => size.next_multiple_of(1 << (size - 1).ilog2() >> 2),
        _ => {
            // Up to these sizes, to multiples of these.
            let step = match size / MIB {
                0..2 => 64 * KIB,
                2..8 => 256 * KIB,
                8..32 => MIB,
                _ => 4 * MIB,
            };
            size.next_multiple_of(step)
        }
    }
}

/// The bytes that a vector with room for so many items takes from the allocator.
#[inline]
pub fn room_bytes<T>(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { malloc_size(capacity * size_of::<T>()) }
}

/// Bytes in a block for no more than them.
pub fn fitted(bytes: Vec<u8>) -> Box<[u8]> {
    if malloc_size(bytes.capacity()) == malloc_size(bytes.len()) {
        bytes.into_boxed_slice()
    } else {
        bytes.as_slice().into()
    }
}

/// Leaves a vector room for `room` items, or for what it holds if that is more.
pub fn shrink<T>(items: &mut Vec<T>, room: usize) {
    let room = room.max(items.len());
    if room_bytes::<T>(room) < room_bytes::<T>(items.capacity()) {
        let mut moved = Vec::with_capacity(room);
        moved.append(items);
        *items = moved;
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
        for (size, block) in [
            (1, 8),
            (8, 8),
            (9, 16),
            (24, 32),
            (64, 64),
            (65, 80),
            (128, 128),
            (129, 160),
            (1000, 1024),
            (1025, 1280),
        ] {
            assert_eq!(malloc_size(size), block, "{size}");
        }
        for size in (1..10_000).chain((10_000..2 << 20).step_by(97)) {
            assert_eq!(malloc_size(malloc_size(size)), malloc_size(size), "{size}");
            assert!(malloc_size(size) >= size);
        }
        assert_eq!([66_000, 300_000, 524_289, 3 << 20].map(malloc_size), [81_920, 327_680, 589_824, 3 << 20]);
    }

    #[test]
    fn what_shrinks_moves_to_a_smaller_block() {
        let mut bytes = vec![7; 2_000];
        bytes.truncate(1_500);
        let (before, block) = (bytes.as_ptr(), fitted(bytes));
        assert!(block.as_ptr() != before && block.len() == 1_500);
        let mut bytes = block.into_vec();
        bytes.truncate(1_400);
        let before = bytes.as_ptr();
        let block = fitted(bytes);
        assert_eq!(block.as_ptr(), before, "it fits already");
        let mut items: Vec<u64> = (0..100).collect();
        items.truncate(40);
        shrink(&mut items, 48);
        assert_eq!((items.capacity(), items.len()), (48, 40));
        shrink(&mut items, 8);
        assert_eq!(items.capacity(), 40);
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
