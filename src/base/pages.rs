//! Blocks of huge pages for what is large: made ahead by a thread of their own, because a fault that clears 2 MiB takes 0.2 ms, and
//! 10 ms where a hypervisor has to find the memory first.
//!
//! ```text
//!  shard: take ──┐ try, never wait          the thread: [`serve`]
//!                ▼                            ▲ is rung when a block was taken or wanted
//!           ready blocks  <── made, touched ──┤
//!  shard: give ──> spent blocks ──────────────┴──> reused, or unmapped
//! ```
//! Why huge pages: with the entries of 1 M keys in pages of 4 KiB, translating addresses took a third of the user time of a pipelined
//! GET on a virtual machine (each miss walks two page tables, which are not cached either).
//!
//! Nothing is made before somebody asks; then some blocks are kept ready while memory grows, and one when it does not. Who finds
//! none takes ordinary memory. Where no thread serves (tests, tools) or the kernel has no huge pages to give, all do.
//!
//! SAFETY contract: [`take`] gives a block that nobody else has, of [`BLOCK`] bytes, aligned to its size, of undefined content,
//! until it is given to [`give`].

use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Bytes of a block, also its alignment: a huge page of this processor.
pub const BLOCK: usize = 2 << 20;
/// While blocks are taken, this part of those in use is kept ready, within bounds.
const READY_PART: usize = 8;
const READY_MIN: usize = 4;
const READY_MAX: usize = 16;
/// For so long after the last one was taken.
const QUIET: Duration = Duration::from_secs(5);

/// A block's address.
struct Block(NonNull<u8>);

// SAFETY: a block is memory that its holder owns alone; no thread is special to it.
unsafe impl Send for Block {}

struct Reserve {
    ready: Vec<Block>,
    spent: Vec<Block>,
    in_use: usize,
    /// Somebody has asked for one: ever, lately, and since the thread looked last.
    wanted: bool,
    busy: bool,
    asked: bool,
    maker: Option<Thread>,
}

static RESERVE: Mutex<Reserve> = Mutex::new(Reserve {
    ready: Vec::new(),
    spent: Vec::new(),
    in_use: 0,
    wanted: false,
    busy: false,
    asked: false,
    maker: None,
});

impl Reserve {
    /// How many blocks to keep ready.
    fn target(&self) -> usize {
        match (self.wanted, self.busy) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => (self.in_use / READY_PART).clamp(READY_MIN, READY_MAX),
        }
    }
}

/// The reserve, unless somebody else is at it.
fn reserve() -> Option<MutexGuard<'static, Reserve>> {
    RESERVE.try_lock().ok()
}

/// A block, if one is ready.
pub fn take() -> Option<NonNull<u8>> {
    let mut reserve = reserve()?;
    let maker = reserve.maker.clone()?;
    let block = reserve.ready.pop();
    reserve.in_use += usize::from(block.is_some());
    (reserve.wanted, reserve.asked) = (true, true);
    drop(reserve);
    maker.unpark();
    block.map(|block| block.0)
}

/// Gives a block back.
///
/// # Safety
/// It came from [`take`] and is not used again.
pub unsafe fn give(block: NonNull<u8>) {
    let Some(mut reserve) = reserve() else {
        // Its place among those in use stays taken: a figure that decides how many are kept ready, no more.
        return unmap(Block(block));
    };
    reserve.in_use -= 1;
    reserve.spent.push(Block(block));
    let maker = reserve.maker.clone();
    drop(reserve);
    if let Some(maker) = maker {
        maker.unpark();
    }
}

/// Keeps blocks ready, in the calling thread, which does nothing else. Returns only when the kernel gives no huge pages.
pub fn serve() {
    let lock = || RESERVE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    lock().maker = Some(std::thread::current());
    let mut quiet_at = Instant::now();
    loop {
        let mut reserve = lock();
        let now = Instant::now();
        if std::mem::take(&mut reserve.asked) {
            (reserve.busy, quiet_at) = (true, now + QUIET);
        } else if now >= quiet_at {
            reserve.busy = false;
        }
        let (busy, lacks) = (reserve.busy, reserve.ready.len() < reserve.target());
        let spare = if reserve.ready.len() > reserve.target() { reserve.ready.pop() } else { None };
        if let Some(block) = spare.or_else(|| reserve.spent.pop()) {
            if lacks {
                reserve.ready.push(block);
            } else {
                drop(reserve);
                unmap(block);
            }
            continue;
        }
        drop(reserve);
        if !lacks {
            if busy {
                std::thread::park_timeout(QUIET)
            } else {
                std::thread::park()
            }
            continue;
        }
        let Some(block) = make() else {
            lock().maker = None;
            return;
        };
        lock().ready.push(block);
    }
}

/// A block of fresh memory, there already.
fn make() -> Option<Block> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, at an address that the kernel chooses; what is cut off of it is ours and unused.
    unsafe {
        let base = libc::mmap(ptr::null_mut(), 2 * BLOCK, prot, flags, -1, 0);
        if base == libc::MAP_FAILED {
            return None;
        }
        let before = base.addr().next_multiple_of(BLOCK) - base.addr();
        let block = base.byte_add(before);
        if before > 0 {
            libc::munmap(base, before);
        }
        libc::munmap(block.byte_add(BLOCK), BLOCK - before);
        let block = NonNull::new(block.cast::<u8>()).map(Block)?;
        if libc::madvise(block.0.as_ptr().cast(), BLOCK, libc::MADV_HUGEPAGE) != 0 {
            unmap(block);
            return None;
        }
        block.0.as_ptr().write_volatile(0);
        Some(block)
    }
}

fn unmap(block: Block) {
    // SAFETY: the block is a mapping of its own that nobody uses any more.
    unsafe { libc::munmap(block.0.as_ptr().cast(), BLOCK) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore)]
    fn blocks_are_made_ahead_and_reused() {
        assert!(take().is_none(), "nobody serves yet");
        std::thread::spawn(serve);
        let until = Instant::now() + Duration::from_secs(20);
        let mut taken = Vec::new();
        while taken.len() < 3 && Instant::now() < until {
            match take() {
                Some(block) => taken.push(block),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        for block in taken {
            assert_eq!(block.addr().get() % BLOCK, 0);
            // SAFETY: the block is ours.
            unsafe {
                block.as_ptr().write_bytes(7, BLOCK);
                give(block);
            }
        }
    }
}
