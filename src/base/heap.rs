//! The process's allocator: mimalloc, which `main.rs` names, and what is asked of it beside memory.
//!
//! Why not the `mimalloc` crate: it asks for an alignment even where all blocks have it, which sends a request of more than
//! 1024 bytes down a path that adds 7 to its size. One that is exactly a size class then takes the next, a quarter more.

use libmimalloc_sys as mi;
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

/// mimalloc, as Rust's allocator.
pub struct Allocator;

/// Every block is aligned to 16 bytes when it has as many, else to 8.
fn is_natural(layout: Layout) -> bool {
    layout.align() <= 8 || layout.align() == 16 && layout.size() > 8
}

// SAFETY: mimalloc keeps the contract: blocks are of the size asked for at least, its own until they are freed, and aligned
// as was asked or, where nothing was asked, as `is_natural` says (`tests/weights.rs` looks).
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any size and any power of two will do.
        unsafe {
            match is_natural(layout) {
                true => mi::mi_malloc(layout.size()).cast(),
                false => mi::mi_malloc_aligned(layout.size(), layout.align()).cast(),
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe {
            match is_natural(layout) {
                true => mi::mi_zalloc(layout.size()).cast(),
                false => mi::mi_zalloc_aligned(layout.size(), layout.align()).cast(),
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller's promise: mimalloc gave the block.
        unsafe { mi::mi_free(block.cast::<c_void>()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let natural = Layout::from_size_align(size, layout.align()).is_ok_and(is_natural);
        // SAFETY: as in `dealloc`; the size is not 0.
        unsafe {
            match natural {
                true => mi::mi_realloc(block.cast(), size).cast(),
                false => mi::mi_realloc_aligned(block.cast(), size, layout.align()).cast(),
            }
        }
    }
}

/// The bytes of a block, which are more than were asked for.
///
/// # Safety
/// [`Allocator`] gave the block, and it is live.
pub unsafe fn usable_bytes(block: *const u8) -> usize {
    // SAFETY: the caller's promise.
    unsafe { mi::mi_usable_size(block.cast()) }
}

/// Gives the calling thread's free memory back to the kernel. Does nothing harmful under another allocator.
pub fn give_back_free_memory() {
    // SAFETY: the call takes no memory of ours and may be made by any thread at any time.
    unsafe { mi::mi_collect(true) };
}
