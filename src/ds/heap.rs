//! The slab heap of one table: where its entries live.
//!
//! Why not the process's allocator: memory must belong to the store and not to the core that ran the command (DESIGN 6),
//! it must be counted exactly, and whoever holds the store is alone, so nothing here is atomic. A 56-byte entry takes 56
//! bytes; all overhead is 64 bytes in 64 KiB, and what frees leave open.
//!
//! ```text
//! chunk: what is taken from the system at a time: 1 MiB, or, once there are some, a huge page of 2 MiB
//!   +--------+--------+-- ... --+--------+
//!   | slab 0 | slab 1 |         | slab n |     slab: 64 KiB, aligned to its size, blocks of one size class
//!   +--------+--------+-- ... --+--------+
//! slab:  | header 64 B | block | block | block | ... never handed out yet ... |
//!                                                ^ bump
//! ```
//! A block's slab is found by masking its address. Freed blocks form a list through their first 8 bytes; blocks that were
//! never handed out are untouched memory, so a nearly empty slab costs the pages that it used and no more. Slabs with room
//! form a list per class. An empty slab goes back to its chunk; an empty chunk goes back to the allocator unless it is the last
//! with room.
//!
//! Size classes: every 8 bytes up to 320 (so that a short key with 256 bytes wastes none), then steps of about 12 % up to 2112, then as many blocks to a slab as go, down to
//! four. Larger blocks come from the global allocator and count as it rounds them.
//! Cost: alloc and free are a few loads and stores; the slab's header line is the one that may miss the cache.
//!
//! Small chunks come from the system's allocator whatever the process uses: mimalloc takes 6 bytes more per key for them (resident,
//! 2 MiB aligned chunks) and pauses for milliseconds now and then. Huge ones are made ahead by a thread ([`pages`]), for a
//! fault that clears 2 MiB took 8-20 ms on a virtual machine; when none is ready, a small one does. They save a pipelined GET
//! among 1 M keys a third of its user time.
//!
//! SAFETY contract: [`Heap::alloc`] gives a block of at least `size` bytes, aligned to 8, that nobody else has until it is
//! given to [`Heap::free`] with the same size. Dropping the heap frees all slabs, whatever lives in them; blocks above
//! [`SMALL_MAX`] are not tracked and must have been freed before.

use super::malloc::malloc_size;
use super::table::prefetch;
use crate::base::pages;
use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::ptr::{self, NonNull};

/// Bytes of a slab, also its alignment.
const SLAB: usize = 64 << 10;
/// Bytes of a small chunk.
const CHUNK: usize = 1 << 20;
/// With so many bytes in live blocks, chunks are huge pages: what the last one wastes is little then.
const HUGE_FROM: usize = 4 << 20;
/// Largest block kept in slabs; larger ones come from the global allocator.
pub const SMALL_MAX: usize = 16_368;
/// Classes in steps of 8 bytes.
const FINE: usize = 40;
const CLASSES: usize = FINE + 34;

/// Block sizes by class.
const SIZES: [u16; CLASSES] = {
    let coarse: [u16; CLASSES - FINE] = [
        360,
        400,
        448,
        504,
        568,
        640,
        720,
        808,
        904,
        1016,
        1144,
        1288,
        1448,
        1624,
        1832,
        2112,
        2336,
        2616,
        2976,
        3272,
        3632,
        4088,
        4360,
        4672,
        5032,
        5456,
        5952,
        6544,
        7272,
        8184,
        9352,
        10_912,
        13_088,
        SMALL_MAX as u16,
    ];
    let mut sizes = [0; CLASSES];
    let mut i = 0;
    while i < CLASSES {
        sizes[i] = if i < FINE { (i as u16 + 1) * 8 } else { coarse[i - FINE] };
        i += 1;
    }
    sizes
};

/// Class by size in 8-byte words, rounded up.
const CLASS_OF: [u8; SMALL_MAX / 8 + 1] = {
    let mut classes = [0; SMALL_MAX / 8 + 1];
    let mut words = 0;
    let mut class = 0;
    while words < classes.len() {
        if words * 8 > SIZES[class] as usize {
            class += 1;
        }
        classes[words] = class as u8;
        words += 1;
    }
    classes
};

/// The start of a slab.
#[repr(C, align(64))]
struct Slab {
    /// Head of the list of freed blocks; each holds the next one's address in its first 8 bytes.
    free: *mut u8,
    /// Neighbours in the list of slabs with room of this class.
    next: *mut Slab,
    prev: *mut Slab,
    /// Offset of the first byte never handed out.
    bump: u32,
    live: u32,
    size: u32,
    /// Index of the chunk.
    chunk: u32,
    class: u8,
    listed: bool,
}

const _: () = assert!(size_of::<Slab>() == 64);
// A chunk's free slabs are a u32.
const _: () = assert!(CHUNK / SLAB == 16 && pages::BLOCK / SLAB == u32::BITS as usize);
const _: () = assert!(SIZES[FINE - 1] == 320 && SIZES[CLASSES - 1] as usize == SMALL_MAX);

struct Chunk {
    base: NonNull<u8>,
    /// A bit per slab that is not in use; 0 with a dangling base when the chunk was given back.
    free: u32,
    /// A huge page, of this node.
    huge: Option<u8>,
}

impl Chunk {
    /// All its slabs.
    fn all(&self) -> u32 {
        if self.huge.is_some() { u32::MAX } else { u16::MAX.into() }
    }

    fn bytes(&self) -> usize {
        if self.huge.is_some() { pages::BLOCK } else { CHUNK }
    }

    /// Gives its memory back.
    ///
    /// # Safety
    /// It came from `new_chunk`, was not given back, and no slab of it is used again.
    unsafe fn give_back(&self) {
        // SAFETY: the caller's promise; the layout is that of small chunks.
        unsafe {
            match self.huge {
                Some(node) => pages::give(pages::Taken { block: self.base, node }),
                None => System.dealloc(self.base.as_ptr(), chunk_layout()),
            }
        }
    }
}

/// Where a table's entries come from: a [`Heap`] of its own, or the process's allocator as long as the table is small
/// ([`Malloc`](super::malloc::Malloc)). An entry remembers of its block whether it lies in a slab.
pub trait Blocks: Default + Send {
    /// The bytes that a block for `size` bytes takes, in a slab or not.
    fn block_size(size: usize, slab: bool) -> usize;

    /// A block of at least `size` bytes, aligned to 8, at an address below 2^47, and whether it lies in a slab. Its content
    /// is undefined.
    fn alloc(&mut self, size: usize) -> (NonNull<u8>, bool);

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from [`Blocks::alloc`] of this value, which said `slab`, with a size of the same [`Blocks::block_size`],
    /// and is not used again.
    unsafe fn free(&mut self, block: NonNull<u8>, size: usize, slab: bool);

    /// Whether a live block of this size lies among fewer others than a new one would, so that memory can be given back if it
    /// moves.
    fn is_sparse(&mut self, _block: NonNull<u8>, _size: usize) -> bool {
        false
    }

    /// Fetches what [`Blocks::is_sparse`] will read of a live block's surroundings.
    #[inline]
    fn prefetch(_block: *const u8) {}

    /// Bytes in live blocks, as [`Blocks::block_size`] gives them.
    fn live_bytes(&self) -> usize;

    /// Bytes held, used or not.
    fn reserved_bytes(&self) -> usize;

    /// Live blocks that dropping the allocator would not free.
    fn large_blocks(&self) -> usize;
}

impl Blocks for Heap {
    #[inline]
    fn block_size(size: usize, _slab: bool) -> usize {
        Heap::block_size(size)
    }

    #[inline]
    fn alloc(&mut self, size: usize) -> (NonNull<u8>, bool) {
        (Heap::alloc(self, size), true)
    }

    /// # Safety
    /// As [`Blocks::free`].
    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>, size: usize, _slab: bool) {
        // SAFETY: the caller's promise is the same.
        unsafe { Heap::free(self, block, size) };
    }

    fn is_sparse(&mut self, block: NonNull<u8>, size: usize) -> bool {
        Heap::is_sparse(self, block, size)
    }

    #[inline]
    fn prefetch(block: *const u8) {
        prefetch(block.map_addr(|a| a & !(SLAB - 1)));
    }

    fn live_bytes(&self) -> usize {
        Heap::live_bytes(self)
    }

    fn reserved_bytes(&self) -> usize {
        Heap::reserved_bytes(self)
    }

    fn large_blocks(&self) -> usize {
        Heap::large_blocks(self)
    }
}

/// The heap. See the module's text.
pub struct Heap {
    /// By class: the first slab with room.
    room: [*mut Slab; CLASSES],
    chunks: Vec<Chunk>,
    /// Chunks that have free slabs.
    with_room: Vec<u32>,
    /// Indices in `chunks` whose memory was given back.
    vacant: Vec<u32>,
    live_bytes: usize,
    chunk_bytes: usize,
    large_bytes: usize,
    large_blocks: usize,
}

// SAFETY: every pointer in a heap points into memory that the heap owns alone.
unsafe impl Send for Heap {}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl Heap {
    /// An empty heap; holds no memory.
    pub fn new() -> Self {
        Heap {
            room: [ptr::null_mut(); CLASSES],
            chunks: Vec::new(),
            with_room: Vec::new(),
            vacant: Vec::new(),
            live_bytes: 0,
            chunk_bytes: 0,
            large_bytes: 0,
            large_blocks: 0,
        }
    }

    /// The bytes that a block for `size` bytes takes.
    #[inline]
    pub fn block_size(size: usize) -> usize {
        if size > SMALL_MAX { malloc_size(size) } else { SIZES[class_of(size)] as usize }
    }

    /// Bytes in live blocks, size classes included.
    pub fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    /// Whether a live block lies in a slab that ranks below the one where the next block of its class comes from, so that moving
    /// it fills a slab and empties another. A slab that ranks above all others of its class becomes the one to fill. What moves,
    /// moves upwards, so it ends when all slabs but one of each class, and all chunks but one, are full or empty.
    pub fn is_sparse(&mut self, block: NonNull<u8>, size: usize) -> bool {
        if size > SMALL_MAX {
            return false;
        }
        let slab: *mut Slab = block.as_ptr().map_addr(|a| a & !(SLAB - 1)).cast();
        let class = class_of(size);
        // SAFETY: the block is live, so its slab is in use and its header valid.
        let (chunk, listed) = unsafe { ((*slab).chunk, (*slab).listed) };
        if self.room[class].is_null() || self.room[class] == slab {
            // Only a new slab could take it.
            let better = |fullest: &u32| self.chunk_rank(chunk) < self.chunk_rank(*fullest);
            if self.fullest_chunk().filter(better).is_none() {
                return false;
            }
            self.open_slab(class);
        }
        let filled = self.room[class];
        // SAFETY: listed slabs are in use.
        let filled_chunk = unsafe { (*filled).chunk };
        let rank = |heap: &Heap, slab: *mut Slab, chunk| {
            // SAFETY: both slabs are in use.
            (heap.chunk_rank(chunk), unsafe { (*slab).live }, slab.addr())
        };
        if rank(self, slab, chunk) < rank(self, filled, filled_chunk) {
            return true;
        }
        if listed {
            self.unlink(slab);
            self.link(slab);
        }
        false
    }

    /// Chunks of which an eighth is free rank below all others, the emptiest lowest.
    fn chunk_rank(&self, chunk: u32) -> (i32, i64) {
        let c = &self.chunks[chunk as usize];
        let free = c.free.count_ones();
        if free * 8 >= c.all().count_ones() { (-(free as i32), -i64::from(chunk)) } else { (1, 0) }
    }

    /// The chunk with room that has the fewest free slabs.
    fn fullest_chunk(&self) -> Option<u32> {
        self.with_room.iter().copied().min_by_key(|chunk| self.chunks[*chunk as usize].free.count_ones())
    }

    /// Live blocks above [`SMALL_MAX`].
    pub fn large_blocks(&self) -> usize {
        self.large_blocks
    }

    /// Bytes that the heap holds from the allocator, used or not (pages never touched are not resident).
    pub fn reserved_bytes(&self) -> usize {
        self.chunk_bytes + self.large_bytes
    }

    /// A block of at least `size` bytes, aligned to 8. Its content is undefined. Aborts when memory is exhausted.
    #[inline]
    pub fn alloc(&mut self, size: usize) -> NonNull<u8> {
        if size > SMALL_MAX {
            return self.alloc_large(size);
        }
        let class = class_of(size);
        self.live_bytes += SIZES[class] as usize;
        let slab = self.room[class];
        if slab.is_null() {
            return self.alloc_in_new_slab(class);
        }
        self.take_block(slab)
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from [`Heap::alloc`] of this heap with a size of the same [`Heap::block_size`], and is not used again.
    #[inline]
    pub unsafe fn free(&mut self, block: NonNull<u8>, size: usize) {
        if size > SMALL_MAX {
            // SAFETY: the caller's promise.
            return unsafe { self.free_large(block, size) };
        }
        let block = block.as_ptr();
        let slab: *mut Slab = block.map_addr(|a| a & !(SLAB - 1)).cast();
        // SAFETY: the block is live, so its slab is in use and its header valid; the block's memory is ours again.
        let (live, listed, class) = unsafe {
            debug_assert_eq!((*slab).size as usize, Self::block_size(size));
            block.cast::<*mut u8>().write((*slab).free);
            (*slab).free = block;
            (*slab).live -= 1;
            ((*slab).live, (*slab).listed, (*slab).class as usize)
        };
        self.live_bytes -= SIZES[class] as usize;
        if !listed {
            self.link(slab);
        }
        if live == 0 {
            self.retire(slab);
        }
    }

    /// Takes a block out of a slab that has room, and the slab out of its list when that was the last one.
    #[inline]
    fn take_block(&mut self, slab: *mut Slab) -> NonNull<u8> {
        // SAFETY: listed slabs are in use and have a freed block or room behind `bump`; both are inside the slab.
        unsafe {
            let s = &mut *slab;
            let mut block = s.free;
            if block.is_null() {
                block = slab.cast::<u8>().add(s.bump as usize);
                s.bump += s.size;
            } else {
                s.free = block.cast::<*mut u8>().read();
            }
            s.live += 1;
            if s.free.is_null() && (s.bump + s.size) as usize > SLAB {
                self.unlink(slab);
            }
            NonNull::new_unchecked(block)
        }
    }

    #[cold]
    fn alloc_in_new_slab(&mut self, class: usize) -> NonNull<u8> {
        let slab = self.open_slab(class);
        self.take_block(slab)
    }

    /// A new slab, the next to be filled of its class.
    fn open_slab(&mut self, class: usize) -> *mut Slab {
        // From the fullest, so that the others may become empty.
        let chunk = self.fullest_chunk().unwrap_or_else(|| self.new_chunk());
        let c = &mut self.chunks[chunk as usize];
        let index = c.free.trailing_zeros();
        c.free &= c.free - 1;
        if c.free == 0 {
            self.with_room.retain(|&with_room| with_room != chunk);
        }
        // SAFETY: `index` is a slab of the chunk, the slab was free, so its memory is nobody's.
        let slab = unsafe {
            let slab: *mut Slab = c.base.as_ptr().add(index as usize * SLAB).cast();
            slab.write(Slab {
                free: ptr::null_mut(),
                next: ptr::null_mut(),
                prev: ptr::null_mut(),
                bump: size_of::<Slab>() as u32,
                live: 0,
                size: SIZES[class] as u32,
                chunk,
                class: class as u8,
                listed: false,
            });
            slab
        };
        self.link(slab);
        slab
    }

    fn new_chunk(&mut self) -> u32 {
        let page = if self.live_bytes >= HUGE_FROM { pages::take() } else { None };
        let huge = page.map(|page| page.node);
        // SAFETY: the layout has a size.
        let base =
            page.map(|page| page.block).or_else(|| NonNull::new(unsafe { System.alloc(chunk_layout()) }));
        let Some(base) = base else { handle_alloc_error(chunk_layout()) };
        assert!(base.addr().get() >> 47 == 0, "Linux gives addresses of 47 bits unless asked for more");
        let mut chunk = Chunk { base, free: 0, huge };
        chunk.free = chunk.all();
        self.chunk_bytes += chunk.bytes();
        let index = match self.vacant.pop() {
            Some(index) => {
                self.chunks[index as usize] = chunk;
                index
            }
            None => {
                self.chunks.push(chunk);
                self.chunks.len() as u32 - 1
            }
        };
        self.with_room.push(index);
        index
    }

    fn link(&mut self, slab: *mut Slab) {
        // SAFETY: `slab` and the list's head are slabs in use.
        unsafe {
            let head = &mut self.room[(*slab).class as usize];
            (*slab).prev = ptr::null_mut();
            (*slab).next = *head;
            (*slab).listed = true;
            if !head.is_null() {
                (**head).prev = slab;
            }
            *head = slab;
        }
    }

    fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: `slab` is in use and listed, so its neighbours are too.
        unsafe {
            let Slab { next, prev, class, .. } = *slab;
            if prev.is_null() {
                self.room[class as usize] = next;
            } else {
                (*prev).next = next;
            }
            if !next.is_null() {
                (*next).prev = prev;
            }
            (*slab).listed = false;
        }
    }

    /// Gives an empty slab back to its chunk: kept for its class, some dozen such slabs would hold as many chunks.
    #[cold]
    fn retire(&mut self, slab: *mut Slab) {
        self.unlink(slab);
        // SAFETY: the slab is in use; it holds no live block.
        let chunk = unsafe { (*slab).chunk };
        let c = &mut self.chunks[chunk as usize];
        let index = (slab.addr() - c.base.as_ptr().addr()) / SLAB;
        if c.free == 0 {
            self.with_room.push(chunk);
        }
        c.free |= 1 << index;
        if c.free == c.all() && self.with_room.len() > 1 {
            c.free = 0;
            self.chunk_bytes -= c.bytes();
            // SAFETY: no slab of the chunk is in use, and it came from `new_chunk`.
            unsafe { c.give_back() };
            c.base = NonNull::dangling();
            self.vacant.push(chunk);
            self.with_room.retain(|&c| c != chunk);
        }
    }

    #[cold]
    fn alloc_large(&mut self, size: usize) -> NonNull<u8> {
        let layout = large_layout(size);
        self.live_bytes += layout.size();
        self.large_bytes += layout.size();
        self.large_blocks += 1;
        // SAFETY: the layout has a size.
        let Some(block) = NonNull::new(unsafe { std::alloc::alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        assert!(block.addr().get() >> 47 == 0, "as for chunks");
        block
    }

    /// # Safety
    /// As [`Heap::free`].
    #[cold]
    unsafe fn free_large(&mut self, block: NonNull<u8>, size: usize) {
        let layout = large_layout(size);
        self.live_bytes -= layout.size();
        self.large_bytes -= layout.size();
        self.large_blocks -= 1;
        // SAFETY: the caller's promise: it came from `alloc_large` with this layout.
        unsafe { std::alloc::dealloc(block.as_ptr(), layout) };
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        debug_assert_eq!(self.large_blocks, 0);
        for chunk in &self.chunks {
            if !self.vacant.is_empty() && chunk.base == NonNull::dangling() {
                continue;
            }
            // SAFETY: the chunk came from `new_chunk` and was not given back; the slabs go with the heap.
            unsafe { chunk.give_back() };
        }
    }
}

#[inline]
fn class_of(size: usize) -> usize {
    CLASS_OF[size.div_ceil(8)] as usize
}

const fn chunk_layout() -> Layout {
    match Layout::from_size_align(CHUNK, SLAB) {
        Ok(layout) => layout,
        Err(_) => panic!("a power of two"),
    }
}

fn large_layout(size: usize) -> Layout {
    Layout::from_size_align(malloc_size(size), 8).expect("a block is far below isize::MAX")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(rng: &mut u64) -> u64 {
        *rng ^= *rng << 13;
        *rng ^= *rng >> 7;
        *rng ^= *rng << 17;
        *rng
    }

    #[test]
    fn classes_fit() {
        for size in 0..=SMALL_MAX {
            let block = Heap::block_size(size);
            assert!(block >= size && block.is_multiple_of(8));
            assert!(!(1..=320).contains(&size) || block < size + 8);
            let most = if size <= 9_352 { 116 } else { 126 };
            assert!(size <= 320 || block * 100 <= size * most, "{size}: {block}");
        }
    }

    /// Blocks keep what is written to them, are disjoint and aligned, and the accounting ends at zero.
    #[test]
    fn random_blocks_keep_their_bytes() {
        let steps = if cfg!(miri) { 2_000 } else { 200_000 };
        let mut heap = Heap::new();
        let mut live: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
        let mut rng = 7;
        let mut bytes = 0;
        for step in 0..steps {
            let growing = (step / (steps / 8)) % 2 == 0;
            if next(&mut rng) % 16 < if growing { 11 } else { 4 } || live.is_empty() {
                let size = match next(&mut rng) % 8 {
                    0 => next(&mut rng) as usize % 20_000,
                    1..4 => 56,
                    _ => next(&mut rng) as usize % 300,
                };
                let p = heap.alloc(size);
                assert_eq!(p.addr().get() % 8, 0);
                let mark = step as u8;
                // SAFETY: the block is ours and has `size` bytes.
                unsafe { p.as_ptr().write_bytes(mark, size) };
                bytes += Heap::block_size(size);
                live.push((p, size, mark));
            } else {
                let i = next(&mut rng) as usize % live.len();
                let (p, size, mark) = live.swap_remove(i);
                // SAFETY: the block is live and was filled with `mark`.
                unsafe {
                    assert!(std::slice::from_raw_parts(p.as_ptr(), size).iter().all(|&b| b == mark));
                    heap.free(p, size);
                }
                bytes -= Heap::block_size(size);
            }
            assert_eq!(heap.live_bytes(), bytes);
        }
        for (p, size, _) in live {
            // SAFETY: the block is live.
            unsafe { heap.free(p, size) };
        }
        assert_eq!((heap.live_bytes(), heap.large_blocks()), (0, 0));
        assert!(heap.reserved_bytes() <= 6 * CHUNK, "{}", heap.reserved_bytes());
    }

    /// Moves what is sparse until nothing is: what is left then is a slab of each class and a chunk.
    #[test]
    fn what_is_moved_together_leaves_little_open() {
        let mut heap = Heap::new();
        let mut rng = 5;
        let size = |n: u64| if n.is_multiple_of(3) { 56 } else { 40 + (n as usize * 37) % 3_000 };
        let count = if cfg!(miri) { 300 } else { 40_000 };
        let mut live: Vec<(NonNull<u8>, usize)> =
            (0..count).map(|n| (heap.alloc(size(n)), size(n))).collect();
        for (block, size) in live.split_off(count as usize / 100).into_iter() {
            if next(&mut rng).is_multiple_of(4) {
                live.push((block, size));
            } else {
                // SAFETY: the block is live.
                unsafe { heap.free(block, size) };
            }
        }
        let before = heap.reserved_bytes();
        let (mut rounds, mut moves) = (0, 0);
        loop {
            let mut moved = 0;
            for (block, size) in &mut live {
                if heap.is_sparse(*block, *size) {
                    let to = heap.alloc(*size);
                    // SAFETY: the block is live and has no other name.
                    unsafe { heap.free(*block, *size) };
                    *block = to;
                    moved += 1;
                }
            }
            (rounds, moves) = (rounds + 1, moves + moved);
            if moved == 0 {
                break;
            }
            assert!(rounds < 50, "it ends");
        }
        let slack = heap.reserved_bytes() - heap.live_bytes();
        assert!(
            cfg!(miri) || slack <= heap.live_bytes() / 50 + CLASSES * SLAB / 2 + CHUNK,
            "{slack} of {before}"
        );
        assert!(moves < 4 * live.len(), "{moves} moves of {}", live.len());
        for (block, size) in live {
            // SAFETY: the block is live.
            unsafe { heap.free(block, size) };
        }
    }
}
