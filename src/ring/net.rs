//! The seam between the core of a shard and the world: what the core asks (`Net`) and what it is told (`Event`).
//!
//! The core never sees a file descriptor, a ring or a clock. The real `Net` is [`super::Ring`]; the simulation
//! has one of its own, which delays, reorders and drops at a seed's will.

use super::message::Message;
use crate::base::direct::Pages;
use std::borrow::Cow;
use std::os::fd::OwnedFd;

/// A connection of one shard: `generation << 32 | index`. The generation keeps a completion that arrives late
/// from being taken for one of the index's next tenant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ConnId(pub u64);

impl ConnId {
    /// The place in a shard's connection table; dense and reused.
    pub fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }
}

/// Bytes on their way to a socket. The driver owns them until [`Event::Sent`] gives them back.
#[derive(Debug)]
pub enum Chunk {
    /// A reply buffer; it returns to its pool.
    Owned(Vec<u8>),
    /// With large values in it, shared with the store instead of copied.
    Mixed(Box<Message>),
}

impl Chunk {
    /// How many bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Chunk::Owned(text) => text.len(),
            Chunk::Mixed(message) => message.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, gathered: for drivers that are no sockets.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Chunk::Owned(text) => text.into(),
            Chunk::Mixed(message) => message.pieces().collect::<Vec<_>>().concat().into(),
        }
    }

    /// The reply buffer.
    pub fn into_buffer(self) -> Vec<u8> {
        match self {
            Chunk::Owned(text) => text,
            Chunk::Mixed(message) => message.into_text(),
        }
    }
}

/// A log file of one shard, by its number at the driver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId(pub u32);

/// A write to a log file. The driver owns the pages until [`Event::Written`] gives them back.
#[derive(Debug)]
pub struct FileWrite {
    pub file: FileId,
    /// Where its first byte goes.
    pub at: u64,
    pub pages: Pages,
    /// Whether it is complete only when it is on the disk for good.
    pub durable: bool,
    /// What the core knows it by.
    pub serial: u64,
}

/// A driver that opens no files is not asked to write any.
const NO_FILES: &str = "nobody has opened a log file here";

/// What the core asks of its driver. No call blocks, none fails: a failure comes back as an [`Event`].
pub trait Net {
    /// Sends all of `chunk` (short sends are the driver's business). At most one chunk per connection is under way.
    fn send(&mut self, conn: ConnId, chunk: Chunk);
    /// Starts what was asked for so far, in the middle of a turn, instead of at its end.
    fn start_now(&mut self) {}
    /// A number that changes while the peer takes what is on its way to it.
    fn progress(&self, _conn: ConnId) -> u64 {
        0
    }
    /// How many bytes of an argument have to be missing for [`Net::fill`] to pay. By default it never does.
    fn fill_from(&self) -> usize {
        usize::MAX
    }
    /// Receives what comes next straight into `buf`, behind what is in it, until it is at least `until` bytes long.
    /// [`Event::Filled`] gives it back, perhaps before; until then no [`Event::Data`] comes. At most one buffer per connection is
    /// under way, none while reading is paused.
    fn fill(&mut self, conn: ConnId, buf: Vec<u8>, until: usize) {
        unreachable!("not asked for: {conn:?}, {} of {until} bytes", buf.len())
    }
    /// Stops reading from `conn`: what is in the kernel stays there, and the peer feels it.
    fn pause_recv(&mut self, conn: ConnId);
    /// Reads from `conn` again.
    fn resume_recv(&mut self, conn: ConnId);
    /// Shuts the socket down, cancels what is under way, and frees it: [`Event::Closed`] is the last word.
    fn close(&mut self, conn: ConnId);
    /// Wakes another shard that may sleep in its ring.
    fn wake(&mut self, shard: usize);
    /// Writes whole pages to a log file. Several writes may be under way, and end in any order.
    fn write_file(&mut self, write: FileWrite) {
        unreachable!("{NO_FILES}: {write:?}")
    }
    /// Brings all that was written to a log file before to the disk.
    fn sync_file(&mut self, file: FileId) {
        unreachable!("{NO_FILES}: {file:?}")
    }
    /// Is done with a log file, which has nothing under way.
    fn close_file(&mut self, file: FileId) {
        unreachable!("{NO_FILES}: {file:?}")
    }
}

/// All that a shard's core needs of its driver: sockets, and the little it may know of time passing.
pub trait World: Net {
    /// A fast monotonic clock in nanoseconds, for the time that commands take.
    fn ticks_ns(&self) -> u64;
    /// CPU time of this thread so far, in the program and in the kernel, in microseconds.
    fn cpu_us(&self) -> (u64, u64) {
        (0, 0)
    }
    /// Stands still: DEBUG SLEEP.
    fn sleep_us(&mut self, us: u64);
}

/// A provided buffer that holds received bytes; see `Pool::bytes`. It must be given back.
#[derive(Debug, PartialEq, Eq)]
pub struct BufId(pub u16);

/// What happened, in the order of the completion queue.
#[derive(Debug)]
pub enum Event {
    /// A listening socket (by its number) has a new connection. Nothing is armed on it yet.
    Accepted { listener: usize, fd: OwnedFd },
    /// Accepting failed (out of descriptors, say); the driver re-arms by itself after a pause.
    AcceptFailed { listener: usize, errno: i32 },
    /// `len` bytes arrived.
    Data { conn: ConnId, buf: BufId, len: usize },
    /// `came` bytes arrived in a buffer of [`Net::fill`]: 0 when the peer closed or the socket failed, of which `Eof` tells next.
    Filled { conn: ConnId, buf: Vec<u8>, came: usize },
    /// The peer closed (errno 0) or the socket failed. No more `Data` follows.
    Eof { conn: ConnId, errno: i32 },
    /// A chunk is out, or failed with an errno. Either way here it is back.
    Sent { conn: ConnId, chunk: Chunk, result: Result<(), i32> },
    /// All operations of a closed connection have ended and its id is free.
    Closed { conn: ConnId },
    /// A write to a log file is complete, or failed with an errno.
    Written { write: FileWrite, result: Result<(), i32> },
    /// What was written to a log file before the sync was asked for is on the disk, or may not be.
    Synced { file: FileId, result: Result<(), i32> },
    /// Another shard rang.
    Woken,
}
