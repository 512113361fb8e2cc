//! The process's allocator: mimalloc, which `main.rs` names, and what is asked of it beside memory.
//!
//! Why not the `mimalloc` crate: it asks for an alignment even where all blocks have it, which sends a request of more than
//! 1024 bytes down a path that adds 7 to its size. One that is exactly a size class then takes the next, a quarter more.

use super::shelf;
use libmimalloc_sys as mi;
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Blocks of these sizes share pages of mimalloc's with others, and none of these pages goes back to the kernel before all of
/// its blocks are free. So where memory is short the inside of such a block goes back when it is freed ([`set_short`]), or a moment later
/// ([`shelf`]).
const SHARING: RangeInclusive<usize> = 16 << 10..=512 << 10;
/// What the kernel gives and takes.
const KERNEL_PAGE: usize = 4 << 10;
/// What mimalloc writes into a free block.
const LINK: usize = 16;

/// mimalloc's option that lets it ask for huge pages (`mi_option_allow_thp`, which the bindings do not name): the number is that of the
/// version whose options end where the assertion says. Two further on is the largest object of an arena: with that at 0 every page
/// of mimalloc's becomes a mapping of its own, at ever new addresses, and its map of pages grows without end.
const ALLOW_HUGE: mi::mi_option_t = 43;
const _: () = assert!(mi::_mi_option_last == 47, "count the options again");
/// How long mimalloc keeps memory that nobody uses, in milliseconds (`mi_option_purge_delay`, which the bindings do not name either): by itself for a second, in which large
/// values that are written over leave more than twice `maxmemory`. Where memory is short, not at all: with 10 ms most of that stayed.
const PURGE_DELAY: mi::mi_option_t = 15;
const DELAY_MS: libc::c_long = 1_000;
const DELAY_WHEN_SHORT_MS: libc::c_long = 0;
/// Of `PR_SET_THP_DISABLE`: where huge pages are asked for, they may come. Linux 6.18.
const UNLESS_ASKED_FOR: libc::c_ulong = 1 << 1;

static IS_SHORT: AtomicBool = AtomicBool::new(false);

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
        if shelf::SIZES.contains(&layout.size())
            && is_natural(layout)
            && let Some(block) = from_shelf(layout.size())
        {
            return block;
        }
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
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise: mimalloc gave the block, and it is not used again.
        unsafe {
            if shelf::SIZES.contains(&layout.size()) && IS_SHORT.load(Relaxed) {
                return free_large(block);
            }
            mi::mi_free(block.cast::<c_void>())
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if SHARING.contains(&layout.size()) && IS_SHORT.load(Relaxed) {
            // SAFETY: as in `dealloc`; the size is not 0.
            if let Some(moved) = unsafe { self.move_large(block, layout, size) } {
                return moved;
            }
        }
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

impl Allocator {
    /// What `realloc` does with a block that cannot stay where it is.
    ///
    /// # Safety
    /// As `realloc`.
    #[cold]
    unsafe fn move_large(&self, block: *mut u8, layout: Layout, size: usize) -> Option<*mut u8> {
        let new = Layout::from_size_align(size, layout.align()).ok()?;
        // SAFETY: the caller's promise; the two blocks are disjoint.
        unsafe {
            let usable = usable_bytes(block);
            if (usable / 2..=usable).contains(&size) {
                return None;
            }
            let moved = self.alloc(new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            Some(moved)
        }
    }
}

/// A block of the size class of so many bytes that this thread has freed and kept.
#[inline]
fn from_shelf(size: usize) -> Option<*mut u8> {
    if shelf::is_empty() {
        return None;
    }
    // SAFETY: it only computes a number.
    shelf::take(unsafe { mi::mi_good_size(size) })
}

/// Frees a large block where memory is short: the shard keeps it for a moment, then its pages go back to the kernel.
///
/// # Safety
/// As `dealloc`.
#[cold]
unsafe fn free_large(block: *mut u8) {
    // SAFETY: the caller's promise; blocks on the shelf are nobody's.
    unsafe {
        shelf::put(block, usable_bytes(block), |block, size| {
            if SHARING.contains(&size) {
                // All of it: what its end shares a page with is only the room behind it.
                give_inside_back(block, size);
            }
            mi::mi_free(block.cast::<c_void>());
        });
    }
}

/// Gives the whole pages inside a block back to the kernel, which gives empty ones when they are touched again.
///
/// # Safety
/// The block is of so many bytes, and what is in it is not read again.
#[cold]
unsafe fn give_inside_back(block: *mut u8, size: usize) {
    let first = (block.addr() + LINK).next_multiple_of(KERNEL_PAGE);
    let end = (block.addr() + size) / KERNEL_PAGE * KERNEL_PAGE;
    if first < end {
        let inside = block.with_addr(first).cast::<c_void>();
        // SAFETY: the caller's promise: these pages are of the block alone.
        unsafe { libc::madvise(inside, end - first, libc::MADV_DONTNEED) };
    }
}

/// Says whether memory is near its bound, so that what is freed is to go back to the kernel at once.
pub fn set_short(is_short: bool) {
    if IS_SHORT.load(Relaxed) != is_short {
        IS_SHORT.store(is_short, Relaxed);
        // SAFETY: sets a number, which mimalloc looks up whenever it gives something up.
        unsafe { mi::mi_option_set(PURGE_DELAY, if is_short { DELAY_WHEN_SHORT_MS } else { DELAY_MS }) };
    }
}

/// Whether memory is near its bound.
pub fn is_short() -> bool {
    IS_SHORT.load(Relaxed)
}

/// The bytes of a block, which are more than were asked for.
///
/// # Safety
/// [`Allocator`] gave the block, and it is live.
pub unsafe fn usable_bytes(block: *const u8) -> usize {
    // SAFETY: the caller's promise.
    unsafe { mi::mi_usable_size(block.cast()) }
}

/// The chunks of tables come from the system's allocator. Each becomes a mapping of its own, which goes back to the kernel when it
/// is freed; by itself the allocator takes larger and larger blocks out of a heap that only shrinks at its end.
pub fn map_chunks_alone() {
    // SAFETY: sets a number.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, SMALLEST_CHUNK) };
}

/// Bytes of the smallest chunk: of a stack of segments.
const SMALLEST_CHUNK: libc::c_int = 256 << 10;

/// The allocator's memory comes from the kernel in small pages from now on, at boot. By itself it asks for huge ones, and who first
/// touches one waits until its 2 MiB are cleared: 0.2 ms, and 5 ms where a hypervisor has to find the memory first. Of the blocks that
/// are made ahead ([`super::pages`]) nobody waits for one, and they stay as they are.
pub fn take_small_pages() {
    // SAFETY: sets a number. It holds for what is reserved later.
    unsafe { mi::mi_option_set(ALLOW_HUGE, 0) };
    // SAFETY: no memory is concerned. For machines where all memory may be huge; older kernels refuse, which does no harm.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1 as libc::c_ulong, UNLESS_ASKED_FOR, 0, 0) };
    // What is reserved already: the gigabyte around any block.
    let block = Box::new(0_u64);
    let at = (&raw const *block).addr();
    let Some(mapping) =
        std::fs::read_to_string("/proc/self/maps").ok().and_then(|maps| mapping_of(at, &maps))
    else {
        return;
    };
    let start = (&raw const *block).with_addr(mapping.start).cast_mut().cast::<c_void>();
    // SAFETY: changes no content. Where the kernel has no huge pages at all it refuses.
    unsafe { libc::madvise(start, mapping.len(), libc::MADV_NOHUGEPAGE) };
}

/// The mapping that an address lies in, of the lines of `/proc/self/maps`.
fn mapping_of(at: usize, maps: &str) -> Option<Range<usize>> {
    maps.lines().find_map(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let mapping = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        mapping.contains(&at).then_some(mapping)
    })
}

/// Gives what is free in the system's allocator back to the kernel. It holds its locks meanwhile, some milliseconds.
pub fn trim_system_heap() {
    // SAFETY: may be called at any time.
    unsafe { libc::malloc_trim(0) };
}

/// Gives the calling thread's free memory back to the kernel. Does nothing harmful under another allocator.
pub fn give_back_free_memory() {
    // SAFETY: the call takes no memory of ours and may be made by any thread at any time.
    unsafe { mi::mi_collect(true) };
}
