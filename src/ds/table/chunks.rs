//! Chunks that segments lie in, 256 KiB each: by themselves while a table is small, then eight to a huge page.
//!
//! ```text
//! block, a huge page of 2 MiB:  | chunk | chunk | chunk | chunk | ~~~~~ | ~~~~~ | ~~~~~ | ~~~~~ |     free: a bit each
//! ```
//! A search looks at one bucket among millions. In pages of 4 KiB the processor knows where few of them are, and to find out takes
//! longer than the bucket itself, above all on a virtual machine, where it goes through two page tables. Sizes of segments come in
//! waves and all chunks are alike, so what one size gives back the next one takes. When there are far fewer, the chunks of sparse pages
//! are moved together ([`Chunks::thin`]).
//!
//! SAFETY contract: [`Chunks::alloc`] gives [`CHUNK`] bytes, aligned to a segment's head, that nobody else has until they are given to
//! [`Chunks::free`]. All chunks must be freed, and what is spare dropped, before it goes.

use super::segment::Head;
use crate::base::pages::{self, Taken};
use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::ptr::NonNull;

/// Bytes of a chunk.
pub const CHUNK: usize = 256 << 10;
/// All chunks of a block are free.
const ALL_FREE: u8 = u8::MAX;

/// Chunks of a block.
const PER_BLOCK: usize = u8::BITS as usize;

const _: () = assert!(pages::BLOCK / CHUNK == PER_BLOCK);

/// A huge page, cut into chunks.
struct Block {
    page: Taken,
    /// A bit per chunk that is free.
    free: u8,
}

/// See the module's text.
#[derive(Default)]
pub struct Chunks {
    blocks: Vec<Block>,
    /// One chunk of its own is kept for the next need.
    spare: Option<NonNull<u8>>,
    /// Bytes of chunks in use and of all blocks.
    used: usize,
    held: usize,
}

impl Chunks {
    /// Bytes held that no chunk in use has.
    pub fn slack(&self) -> usize {
        self.held - self.used
    }

    /// A chunk of undefined content. Aborts when memory is exhausted. When no block has room, `take` gives another, or nothing.
    pub fn alloc(&mut self, take: impl FnOnce() -> Option<Taken>) -> NonNull<u8> {
        self.used += CHUNK;
        // Of the fullest, so that others may empty.
        let fullest =
            self.blocks.iter_mut().filter(|block| block.free != 0).min_by_key(|b| b.free.count_ones());
        if let Some(block) = fullest {
            return block.alloc();
        }
        if let Some(page) = take() {
            self.held += pages::BLOCK;
            let mut block = Block { page, free: ALL_FREE };
            let chunk = block.alloc();
            self.blocks.push(block);
            return chunk;
        }
        self.spare.take().unwrap_or_else(|| {
            self.held += CHUNK;
            // SAFETY: the layout has a size.
            NonNull::new(unsafe { System.alloc(layout()) }).unwrap_or_else(|| handle_alloc_error(layout()))
        })
    }

    /// Gives a chunk back.
    ///
    /// # Safety
    /// It came from [`Chunks::alloc`] of this value and is not used again; `give` frees what `take` gave.
    pub unsafe fn free(&mut self, chunk: NonNull<u8>, give: impl FnOnce(Taken)) {
        self.used -= CHUNK;
        let start = chunk.addr().get() & !(pages::BLOCK - 1);
        let Some(i) = self.blocks.iter().position(|b| b.page.block.addr().get() == start) else {
            if let Some(old) = self.spare.replace(chunk) {
                self.held -= CHUNK;
                // SAFETY: what is in no block came from the allocator with this layout.
                unsafe { System.dealloc(old.as_ptr(), layout()) };
            }
            return;
        };
        let block = &mut self.blocks[i];
        block.free |= 1 << ((chunk.addr().get() - start) / CHUNK);
        if block.free == ALL_FREE {
            self.held -= pages::BLOCK;
            give(self.blocks.swap_remove(i).page);
        }
    }

    /// When the other huge pages have room for all that lies in the one that holds least: a chunk of it, and one of theirs, in use from
    /// now on, where its content is to go; then the first is to be given back.
    pub fn thin(&mut self) -> Option<(NonNull<u8>, NonNull<u8>)> {
        let free = |block: &Block| block.free.count_ones() as usize;
        let (least, sparse) = self.blocks.iter().enumerate().max_by_key(|(_, block)| free(block))?;
        let room = self.blocks.iter().map(free).sum::<usize>() - free(sparse);
        if room + free(sparse) < PER_BLOCK {
            return None;
        }
        let from = sparse.chunk(sparse.free.trailing_ones());
        let others = self.blocks.iter_mut().enumerate().filter(|(i, block)| *i != least && block.free != 0);
        let (_, fullest) = others.min_by_key(|(_, block)| block.free.count_ones())?;
        self.used += CHUNK;
        Some((from, fullest.alloc()))
    }

    /// Frees the chunk that is kept for the next need.
    pub fn drop_spare(&mut self) {
        if let Some(spare) = self.spare.take() {
            self.held -= CHUNK;
            // SAFETY: it came from the allocator with this layout.
            unsafe { System.dealloc(spare.as_ptr(), layout()) };
        }
    }
}

impl Block {
    /// A free chunk of it. There is one.
    fn alloc(&mut self) -> NonNull<u8> {
        let i = self.free.trailing_zeros();
        self.free &= self.free - 1;
        self.chunk(i)
    }

    fn chunk(&self, i: u32) -> NonNull<u8> {
        debug_assert!(i < u8::BITS);
        // SAFETY: a block holds that many chunks.
        unsafe { self.page.block.add(i as usize * CHUNK) }
    }
}

fn layout() -> Layout {
    Layout::from_size_align(CHUNK, align_of::<Head>()).expect("a power of two")
}

#[cfg(test)]
mod tests {
    use super::super::pool::testing::{give, page};
    use super::*;

    #[test]
    fn a_sparse_block_is_emptied_when_others_have_room() {
        let mut chunks = Chunks::default();
        let mut held: Vec<_> = (0..4 * PER_BLOCK).map(|_| chunks.alloc(page)).collect();
        assert!(chunks.thin().is_none(), "all are full");
        // Blocks keep 3, 2, 6 and 8 chunks.
        let mut blocks: Vec<_> = chunks.blocks.iter().map(|b| b.page.block.addr().get()).collect();
        for (start, kept) in blocks.drain(..).zip([3, 2, 6, 8]) {
            let of = |c: &NonNull<u8>| c.addr().get() & !(pages::BLOCK - 1) == start;
            let gone: Vec<_> = held.iter().copied().filter(of).skip(kept).collect();
            held.retain(|c| !gone.contains(c));
            // SAFETY: they are ours, and forgotten.
            gone.into_iter().for_each(|chunk| unsafe { chunks.free(chunk, give) });
        }
        let mut moved = 0;
        while let Some((from, to)) = chunks.thin() {
            let at = held.iter().position(|c| *c == from).expect("it is in use");
            assert!(!held.contains(&to));
            held[at] = to;
            // SAFETY: it is ours, and forgotten.
            unsafe { chunks.free(from, give) };
            moved += 1;
        }
        // Of the first two blocks the smaller one went, and then there was no room for another.
        assert_eq!((moved, chunks.blocks.len(), chunks.slack()), (2, 3, 5 * CHUNK));
        for chunk in held {
            // SAFETY: it is ours.
            unsafe { chunks.free(chunk, give) };
        }
    }

    #[test]
    fn chunks_fill_blocks_and_leave_them() {
        let mut chunks = Chunks::default();
        let lone = chunks.alloc(|| None);
        let mut held: Vec<_> = (0..17).map(|_| chunks.alloc(page)).collect();
        assert_eq!((chunks.blocks.len(), chunks.slack()), (3, 7 * CHUNK));
        for chunk in &held {
            // SAFETY: they are ours.
            unsafe { chunk.as_ptr().write_bytes(0xaa, CHUNK) };
        }
        held.sort_unstable();
        held.dedup();
        assert_eq!(held.len(), 17);
        // One of each of two blocks goes; the next comes from the fuller of them.
        let first = |chunk: &NonNull<u8>| chunk.addr().get().is_multiple_of(pages::BLOCK);
        let full: Vec<_> = chunks.blocks.iter().filter(|b| b.free == 0).map(|b| b.page.block).collect();
        for block in &full {
            let at = held.iter().position(|c| c == block && first(c)).expect("its first chunk is in use");
            // SAFETY: it is live, and forgotten here.
            unsafe { chunks.free(held.swap_remove(at), give) };
        }
        assert_eq!(chunks.slack(), 9 * CHUNK);
        held.push(chunks.alloc(|| unreachable!("there is room")));
        assert!(full.contains(held.last().expect("one was added")));
        for chunk in held.drain(..).chain([lone]) {
            // SAFETY: as above.
            unsafe { chunks.free(chunk, give) };
        }
        assert_eq!((chunks.blocks.len(), chunks.used, chunks.slack()), (0, 0, CHUNK), "one is spare");
        chunks.drop_spare();
        assert_eq!(chunks.slack(), 0);
    }
}
