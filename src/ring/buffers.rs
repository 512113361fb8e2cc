//! The provided-buffer ring: receive buffers shared by all connections of a shard, which the kernel takes as data
//! comes. So an idle connection holds no buffer at all.
//!
//! ```text
//!   one private mapping:
//!   | ring of entries: 16 bytes each, a power of two of them | page-aligned: buffer 0 | buffer 1 | ... |
//!     addr:8 len:4 id:2 resv:2   (entry 0's resv is the tail that the kernel reads)
//!
//!   a buffer's life:   free stack ──publish──► kernel ──CQE──► lent to the core ──give_back──► free stack
//! ```
//! The kernel consumes its ring first in, first out: given all buffers, even a lone connection would cycle through
//! megabytes and miss every cache. So free buffers are a stack, and the kernel holds only a *window* of them, which
//! doubles after a turn in which it ran dry. Cost: 16 bytes of ring, 3 bytes of state and the buffer itself, which takes memory once
//! it is touched.
//!
//! [`Pool`] and the ring share the state: received bytes may be borrowed from the pool while the ring, as `&mut dyn
//! Net`, is busy. A buffer is `lent` between its completion and `give_back`, and both sides check: a double
//! give-back, which would let the kernel write below a reader, stops the process instead.

use super::net::BufId;
use super::ops::BUFFER_GROUP;
use super::options::Error;
use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// The kernel's bound on entries of a buffer ring.
pub const MAX_BUFFERS: u16 = 32_768;
/// How many buffers the kernel is given at first.
const FIRST_WINDOW: u32 = 64;
const PAGE: usize = 4096;
const ENTRY: usize = 16;
const _: () = assert!(size_of::<BufRingEntry>() == ENTRY);

/// The receive buffers as the core sees them: bytes to read, and a way to give them back.
pub struct Pool {
    buffers: Rc<Buffers>,
}

impl Pool {
    pub(super) fn new(buffers: Rc<Buffers>) -> Pool {
        Pool { buffers }
    }

    /// The first `len` bytes of a buffer, as an [`super::Event::Data`] announced them.
    #[inline]
    pub fn bytes<'a>(&'a self, buf: &'a BufId, len: usize) -> &'a [u8] {
        self.buffers.bytes(buf.0, len)
    }

    /// Gives a buffer back; the kernel may fill it again from the next turn on.
    #[inline]
    pub fn give_back(&mut self, buf: BufId) {
        self.buffers.give_back(buf.0);
    }

    /// Bytes of one buffer.
    pub fn buffer_bytes(&self) -> usize {
        self.buffers.bytes_each
    }

    /// Buffers that the core holds.
    pub fn lent(&self) -> usize {
        self.buffers.lent.iter().filter(|lent| lent.get()).count()
    }
}

/// The state that the pool and the ring share. All interior mutability is `Cell`s: both live on one thread.
pub struct Buffers {
    map: NonNull<c_void>,
    map_bytes: usize,
    /// Where buffer 0 starts in the mapping.
    first: usize,
    bytes_each: usize,
    mask: u16,
    tail: Cell<u16>,
    /// Buffers that the kernel may hold at a time.
    window: Cell<u32>,
    /// It ran out of them since the last turn.
    dry: Cell<bool>,
    /// Buffers that it does hold, as far as completions tell.
    published: Cell<u32>,
    free: RefCell<Vec<u16>>,
    lent: Box<[Cell<bool>]>,
}

impl Buffers {
    /// Maps `count` buffers of `bytes_each`; nothing is resident yet.
    pub fn map(count: u16, bytes_each: u32) -> Result<Buffers, Error> {
        assert!((1..=MAX_BUFFERS).contains(&count) && bytes_each > 0, "1 to 32,768 receive buffers");
        let entries = count.next_power_of_two();
        let first = (usize::from(entries) * ENTRY).next_multiple_of(PAGE);
        let map_bytes = first + usize::from(count) * bytes_each as usize;
        let length = NonZeroUsize::new(map_bytes).expect("count and size are not zero");
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping aliases nothing.
        let map =
            unsafe { mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }
                .map_err(|errno| Error::Call { call: "mmap of the receive buffers", errno })?;
        Ok(Buffers {
            map,
            map_bytes,
            first,
            bytes_each: bytes_each as usize,
            mask: entries - 1,
            tail: Cell::new(0),
            window: Cell::new(FIRST_WINDOW.min(u32::from(count))),
            dry: Cell::new(false),
            published: Cell::new(0),
            free: RefCell::new((0..count).rev().collect()),
            lent: vec![Cell::new(false); usize::from(count)].into(),
        })
    }

    /// Tells the kernel of the ring of buffers. They must stay mapped for as long as the ring is open.
    pub fn register(&self, submitter: &Submitter<'_>) -> std::io::Result<()> {
        let addr = self.map.as_ptr() as u64;
        // SAFETY: the mapping holds `mask + 1` entries, page-aligned; `Ring` keeps it until its ring is closed.
        unsafe { submitter.register_buf_ring_with_flags(addr, self.mask + 1, BUFFER_GROUP, 0) }
    }

    /// Tops up what the kernel holds to the window, with one update of the tail. Returns what it holds.
    #[inline]
    pub fn publish(&self) -> u32 {
        if self.dry.replace(false) {
            self.window.set((self.window.get() * 2).min(self.lent.len() as u32));
        }
        let (mut published, window) = (self.published.get(), self.window.get());
        if published >= window {
            return published;
        }
        let mut free = self.free.borrow_mut();
        let mut tail = self.tail.get();
        while published < window
            && let Some(id) = free.pop()
        {
            let at = self.map.as_ptr() as usize + self.first + usize::from(id) * self.bytes_each;
            // SAFETY: `tail & mask` is within the ring; the kernel reads an entry only below the tail it was told,
            // and this one has been consumed, for fewer buffers exist than entries. No reference outlives the block,
            // and the setters leave `resv` alone, which in entry 0 is the tail.
            unsafe {
                let entry = &mut *self.map.as_ptr().cast::<BufRingEntry>().add(usize::from(tail & self.mask));
                entry.set_addr(at as u64);
                entry.set_len(self.bytes_each as u32);
                entry.set_bid(id);
            }
            tail = tail.wrapping_add(1);
            published += 1;
        }
        if tail != self.tail.get() {
            self.tail.set(tail);
            self.published.set(published);
            // SAFETY: the tail lies in the mapping, aligned, and the kernel only reads it.
            let shared = unsafe { &*BufRingEntry::tail(self.map.as_ptr().cast()).cast::<AtomicU16>() };
            shared.store(tail, Ordering::Release);
        }
        published
    }

    /// The kernel ran dry: from the next turn on it may hold twice as many.
    pub fn ran_dry(&self) {
        self.dry.set(true);
    }

    /// A completion said that the kernel filled this buffer: the core's from now on.
    #[inline]
    pub fn lend(&self, id: u16) -> BufId {
        let was = self.lent[usize::from(id)].replace(true);
        assert!(!was, "the kernel filled a receive buffer that was lent");
        self.published.set(self.published.get() - 1);
        BufId(id)
    }

    #[inline]
    pub fn give_back(&self, id: u16) {
        let was = self.lent[usize::from(id)].replace(false);
        assert!(was, "a receive buffer was given back twice");
        self.free.borrow_mut().push(id);
    }

    #[inline]
    pub fn bytes(&self, id: u16, len: usize) -> &[u8] {
        assert!(self.lent[usize::from(id)].get() && len <= self.bytes_each, "not a lent receive buffer");
        // SAFETY: within the mapping, which lives as long as `self`. A lent buffer is not the kernel's, and it stops being
        // lent only through `Pool::give_back`, whose `&mut Pool` excludes this borrow of the pool.
        unsafe {
            let start = self.map.as_ptr().cast::<u8>().add(self.first + usize::from(id) * self.bytes_each);
            std::slice::from_raw_parts(start, len)
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the ring that told the kernel of it has been closed (it holds a share).
        let _ = unsafe { munmap(self.map, self.map_bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_bounds_what_the_kernel_holds_and_widens() {
        let buffers = Buffers::map(300, 128).unwrap();
        assert_eq!(buffers.publish(), FIRST_WINDOW);
        buffers.ran_dry();
        buffers.ran_dry();
        assert_eq!(buffers.publish(), 2 * FIRST_WINDOW);
        for _ in 0..2 {
            buffers.ran_dry();
            buffers.publish();
        }
        assert_eq!(buffers.publish(), 300);
    }

    #[test]
    fn a_buffer_given_back_is_the_next_one_published() {
        let buffers = Buffers::map(4, 128).unwrap();
        buffers.publish();
        let buf = buffers.lend(2);
        assert_eq!(buffers.bytes(buf.0, 128), [0; 128]);
        assert_eq!(buffers.publish(), 3);
        buffers.give_back(2);
        assert_eq!(buffers.publish(), 4);
    }

    #[test]
    #[should_panic(expected = "given back twice")]
    fn a_double_give_back_is_caught() {
        let buffers = Buffers::map(4, 128).unwrap();
        buffers.publish();
        buffers.lend(1);
        buffers.give_back(1);
        buffers.give_back(1);
    }
}
