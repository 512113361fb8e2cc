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
//! Each node of memory has a reserve and a thread of its own, which stays on the node's processors: a block is near the core that
//! first takes it, as ordinary memory is, and goes back where it came from.
//!
//! SAFETY contract: [`take`] gives a block that nobody else has, of [`BLOCK`] bytes, aligned to its size, of undefined content,
//! until it is given to [`give`].

use super::heap::is_short;
use super::numa::{NODES_MAX, here};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Bytes of a block, also its alignment: a huge page of this processor.
pub const BLOCK: usize = 2 << 20;
/// While blocks are taken, this part of those in use is kept ready, within bounds.
const READY_PART: usize = 128;
const READY_MIN: usize = 1;
const READY_MAX: usize = 16;
/// While memory is near its bound: it does not grow then.
const READY_WHEN_SHORT: usize = 2;
/// For so long after the last one was taken.
const QUIET: Duration = Duration::from_secs(5);
/// When the kernel had none to give, it is asked again after this time.
const RETRY: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(5) };

/// A block that was taken, and the node whose reserve it is of.
#[derive(Clone, Copy)]
pub struct Taken {
    pub block: NonNull<u8>,
    pub node: u8,
}

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

static RESERVES: [Mutex<Reserve>; NODES_MAX] = [const {
    Mutex::new(Reserve {
        ready: Vec::new(),
        spent: Vec::new(),
        in_use: 0,
        wanted: false,
        busy: false,
        asked: false,
        maker: None,
    })
}; NODES_MAX];

impl Reserve {
    /// How many blocks to keep ready.
    fn target(&self) -> usize {
        match (self.wanted, self.busy) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) if is_short() => READY_WHEN_SHORT,
            (true, true) => (self.in_use / READY_PART).clamp(READY_MIN, READY_MAX),
        }
    }
}

/// A node's reserve, unless somebody else is at it.
fn reserve(node: usize) -> Option<MutexGuard<'static, Reserve>> {
    RESERVES[node].try_lock().ok()
}

/// A block near this core, if one is ready.
pub fn take() -> Option<Taken> {
    take_of(here())
}

fn take_of(node: usize) -> Option<Taken> {
    let mut reserve = reserve(node)?;
    let maker = reserve.maker.clone()?;
    let block = reserve.ready.pop();
    reserve.in_use += usize::from(block.is_some());
    (reserve.wanted, reserve.asked) = (true, true);
    drop(reserve);
    maker.unpark();
    block.map(|block| Taken { block: block.0, node: node as u8 })
}

/// Gives a block back.
///
/// # Safety
/// It came from [`take`] and is not used again.
pub unsafe fn give(taken: Taken) {
    let block = Block(taken.block);
    let Some(mut reserve) = reserve(taken.node.into()) else {
        // Its place among those in use stays taken: a figure that decides how many are kept ready, no more.
        return unmap(block);
    };
    reserve.in_use = reserve.in_use.saturating_sub(1);
    let Some(maker) = reserve.maker.clone() else {
        // Nobody would look at it.
        drop(reserve);
        return unmap(block);
    };
    reserve.spent.push(block);
    drop(reserve);
    maker.unpark();
}

/// Keeps blocks of a node ready, in the calling thread, which does nothing else and stays on that node's processors.
pub fn serve(node: usize) -> ! {
    serve_by(node, make)
}

fn serve_by(node: usize, mut make: impl FnMut() -> Option<Block>) -> ! {
    let lock = || RESERVES[node].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut quiet_at = Instant::now();
    loop {
        lock().maker = Some(std::thread::current());
        while keep_ready(&lock, &mut quiet_at, &mut make) {}
        // What is ready stays; meanwhile nobody takes, and who gives unmaps.
        lock().maker = None;
        std::thread::sleep(RETRY);
    }
}

/// Does one thing that is to be done, or waits; false when the kernel gives no huge pages.
fn keep_ready<'a>(
    lock: &impl Fn() -> MutexGuard<'a, Reserve>,
    quiet_at: &mut Instant,
    make: &mut impl FnMut() -> Option<Block>,
) -> bool {
    let mut reserve = lock();
    let now = Instant::now();
    if std::mem::take(&mut reserve.asked) {
        (reserve.busy, *quiet_at) = (true, now + QUIET);
    } else if now >= *quiet_at {
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
        return true;
    }
    drop(reserve);
    if lacks {
        let made = make();
        let is_made = made.is_some();
        lock().ready.extend(made);
        return is_made;
    }
    if busy {
        std::thread::park_timeout(QUIET)
    } else {
        std::thread::park()
    }
    true
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
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    /// Blocks of a node, as they become ready; each test has a node of its own.
    fn some(node: usize, count: usize) -> Vec<Taken> {
        let until = Instant::now() + Duration::from_secs(20);
        let mut taken = Vec::new();
        while taken.len() < count && Instant::now() < until {
            match take_of(node) {
                Some(block) => taken.push(block),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        taken
    }

    #[test]
    #[cfg_attr(miri, ignore)]
    fn blocks_are_made_ahead_and_reused() {
        assert!(take_of(1).is_none(), "nobody serves yet");
        std::thread::spawn(|| serve(1));
        for taken in some(1, 3) {
            assert_eq!((taken.block.addr().get() % BLOCK, taken.node), (0, 1));
            // SAFETY: the block is ours.
            unsafe {
                taken.block.as_ptr().write_bytes(7, BLOCK);
                give(taken);
            }
        }
    }

    /// The kernel has none for a while: who gives one back meanwhile does not leave it where nobody looks, and later there are some
    /// again.
    #[test]
    #[cfg_attr(miri, ignore)]
    fn after_a_shortage_blocks_are_made_again() {
        static IS_SHORT: AtomicBool = AtomicBool::new(false);
        let reserve = || RESERVES[2].lock().expect("not poisoned");
        std::thread::spawn(|| serve_by(2, || if IS_SHORT.load(Relaxed) { None } else { make() }));
        let mut made = some(2, 1);
        IS_SHORT.store(true, Relaxed);
        let until = Instant::now() + Duration::from_secs(20);
        while reserve().maker.is_some() && Instant::now() < until {
            made.extend(take_of(2));
        }
        assert!(reserve().maker.is_none() && !made.is_empty());
        // SAFETY: the blocks are ours.
        made.drain(..).for_each(|taken| unsafe { give(taken) });
        while !reserve().spent.is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(reserve().spent.is_empty());
        IS_SHORT.store(false, Relaxed);
        assert_eq!(some(2, 2).len(), 2);
    }
}
