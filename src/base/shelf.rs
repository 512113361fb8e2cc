//! Large blocks that a shard has freed while memory is short, kept for its next need.
//!
//! ```text
//!  dealloc ──> | newest | ... | oldest | ──> its memory goes back to the kernel
//!  alloc   <── the newest of just its size
//! ```
//! Near the bound what is freed has to go back at once, or fragments take more than may be in use. But where values of one size take
//! the place of each other, the next one needs just what the last has freed, and to be given 64 KiB by the kernel anew, a fault a page,
//! takes twice as long as all else that its SET does. So a little is kept, by each shard for itself: the threads that have a shelf ask
//! for it ([`have`]), and do not end before the process does.
//!
//! SAFETY contract: a block is on a shelf or in use; who takes it off owns it.

use std::cell::UnsafeCell;
use std::ops::RangeInclusive;

/// Blocks of these sizes, in bytes, as the allocator rounds them.
pub const SIZES: RangeInclusive<usize> = 16 << 10..=2 << 20;
/// The most bytes of a shelf, and blocks.
const MOST_BYTES: usize = 2 << 20;
const PLACES: usize = 16;

struct Shelf {
    is_on: bool,
    len: usize,
    bytes: usize,
    /// The oldest first.
    blocks: [(*mut u8, usize); PLACES],
}

thread_local! {
    static SHELF: UnsafeCell<Shelf> =
        const { UnsafeCell::new(Shelf { is_on: false, len: 0, bytes: 0, blocks: [(std::ptr::null_mut(), 0); PLACES] }) };
}

/// The calling thread has a shelf from now on.
pub fn have() {
    with(|shelf| shelf.is_on = true);
}

#[inline]
fn with<R>(f: impl FnOnce(&mut Shelf) -> R) -> R {
    // SAFETY: the shelf is this thread's, and no `f` below allocates, frees or comes back here.
    SHELF.with(|shelf| f(unsafe { &mut *shelf.get() }))
}

impl Shelf {
    fn remove(&mut self, i: usize) -> (*mut u8, usize) {
        let found = self.blocks[i];
        self.blocks.copy_within(i + 1..self.len, i);
        self.len -= 1;
        self.bytes -= found.1;
        found
    }
}

/// A block of so many bytes, if there is one.
#[inline]
pub fn take(bytes: usize) -> Option<*mut u8> {
    with(|shelf| {
        let i = shelf.blocks[..shelf.len].iter().rposition(|(_, size)| *size == bytes)?;
        Some(shelf.remove(i).0)
    })
}

/// Whether the calling thread's shelf is empty.
#[inline]
pub fn is_empty() -> bool {
    with(|shelf| shelf.len == 0)
}

/// Puts a block of so many bytes on the shelf, and gives those to `give_up` for which there is no place then: it, if there is no shelf.
pub fn put(block: *mut u8, bytes: usize, mut give_up: impl FnMut(*mut u8, usize)) {
    if !with(|shelf| shelf.is_on) || bytes > MOST_BYTES {
        return give_up(block, bytes);
    }
    while let Some((old, size)) = with(|shelf| {
        let is_full = shelf.len == PLACES || shelf.bytes + bytes > MOST_BYTES;
        is_full.then(|| shelf.remove(0))
    }) {
        give_up(old, size);
    }
    with(|shelf| {
        shelf.blocks[shelf.len] = (block, bytes);
        shelf.len += 1;
        shelf.bytes += bytes;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block that is never looked into.
    fn block(n: usize) -> *mut u8 {
        std::ptr::without_provenance_mut(n)
    }

    #[test]
    fn the_newest_of_a_size_comes_first_and_the_oldest_goes() {
        let mut gone = Vec::new();
        put(block(1), 20_480, |block, _| gone.push(block.addr()));
        assert_eq!((gone.as_slice(), take(20_480)), (&[1][..], None), "there is no shelf");
        have();
        gone.clear();
        for n in 1..=20 {
            put(block(n), if n % 2 == 0 { 20_480 } else { 65_536 }, |block, _| gone.push(block.addr()));
        }
        assert_eq!(gone, [1, 2, 3, 4]);
        assert_eq!(
            (take(20_480), take(20_480), take(65_536)),
            (Some(block(20)), Some(block(18)), Some(block(19)))
        );
        assert_eq!(take(20_488), None);
        gone.clear();
        put(block(100), MOST_BYTES, |block, _| gone.push(block.addr()));
        assert_eq!(gone.len(), 13, "a large one takes the place of all");
        put(block(101), MOST_BYTES + 1, |block, _| gone.push(block.addr()));
        assert_eq!((gone.last(), take(MOST_BYTES)), (Some(&101), Some(block(100))));
        assert!(is_empty());
    }
}
