//! The ring of the load generator and of its constant server: the only file of perf/ with `unsafe` in it.
//!
//! One thread, one ring, many stream sockets. Every socket has one multishot recv armed over a ring of provided
//! buffers, and at most one send in flight; what is queued meanwhile goes out with the next send. A turn is one
//! `io_uring_enter`: it submits all sends of the turn and waits for what comes.
//!
//! ```text
//! conns().out(c)  append requests        drain(f)  f(conns, c, Data(bytes) | Accepted | Closed)
//!      |                                      ^
//!      v                                      |
//!  [next] --swap--> [flight] --send--> kernel --recv--> provided buffers (given back when f returns)
//! ```
//!
//! Invariants behind the SAFETY comments:
//! - a slot's `flight` is neither touched nor freed while `sending`;
//! - a provided buffer is read only between its completion and `recycle`, when the kernel does not own it;
//! - the memory outlives the kernel's use of it: `Drop` cancels everything and waits, and leaks what does not end.

use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Submission queue entries; more than that in one turn is submitted in several calls.
const SQ_ENTRIES: u32 = 1024;
/// Completion queue entries; beyond, the kernel keeps the rest for the next call.
const CQ_ENTRIES: u32 = 16 * 1024;
/// Bounds of the number of provided buffers; a power of two each.
const MIN_BUFFERS: usize = 64;
const MAX_BUFFERS: usize = 1024;
/// How long `Drop` waits for the kernel to let go of the memory, in rounds of 10 ms.
const DROP_ROUNDS: usize = 100;
/// Sends up to this size are expected to complete at once: far less than a socket's buffer.
const SMALL_SEND: usize = 16 * 1024;
const GROUP: u16 = 0;
const PAGE: usize = 4096;

const OP_RECV: u64 = 1 << 32;
const OP_SEND: u64 = 2 << 32;
const OP_ACCEPT: u64 = 3 << 32;
const OP_MASK: u64 = 0xff << 32;

/// What came in for a connection.
pub enum Event<'a> {
    /// A listener has this new connection; its recv is armed.
    Accepted,
    /// Bytes of the stream, in order.
    Data(&'a [u8]),
    /// The peer closed (0) or the socket failed (errno); the last word of this connection.
    Closed(i32),
}

/// How long a turn may wait for completions.
#[derive(Clone, Copy)]
pub enum Wait {
    /// Do not sleep; enter the kernel only when there is something to do there.
    Poll,
    /// Sleep until something comes, at most this long.
    AtMost(Duration),
}

#[derive(Default)]
struct Slot {
    fd: Option<OwnedFd>,
    next: Vec<u8>,
    flight: Vec<u8>,
    sent: usize,
    sending: bool,
    receiving: bool,
    dirty: bool,
    closed: bool,
}

/// The connections and what they have to send.
#[derive(Default)]
pub struct Conns {
    slots: Vec<Slot>,
    dirty: Vec<u32>,
    rearm: Vec<u32>,
    free: Vec<u32>,
}

impl Conns {
    /// The output buffer of `conn`; what is appended leaves with the next `submit`.
    pub fn out(&mut self, conn: u32) -> &mut Vec<u8> {
        let slot = &mut self.slots[conn as usize];
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(conn);
        }
        &mut slot.next
    }

    fn insert(&mut self, fd: OwnedFd) -> u32 {
        let conn = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        self.slots[conn as usize].fd = Some(fd);
        self.slots[conn as usize].closed = false;
        self.rearm.push(conn);
        conn
    }

    /// Marks `conn` closed; true the first time. The shutdown makes an operation still under way end soon.
    fn close(&mut self, conn: u32) -> bool {
        let slot = &mut self.slots[conn as usize];
        let first = !slot.closed;
        slot.closed = true;
        slot.next.clear();
        if let Some(fd) = &slot.fd {
            // A socket that is not connected any more is what we want.
            let _ = nix::sys::socket::shutdown(fd.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        }
        first
    }

    /// Frees the slot of a closed connection once the kernel holds nothing of it.
    fn release(&mut self, conn: u32) {
        let slot = &mut self.slots[conn as usize];
        if slot.closed && !slot.sending && !slot.receiving && slot.fd.is_some() {
            slot.fd = None;
            slot.next.clear();
            slot.flight.clear();
            slot.sent = 0;
            self.free.push(conn);
        }
    }
}

/// An io_uring with its connections.
pub struct ClientRing {
    // Declared first, so dropped first: the kernel's side ends before the memory it knows.
    ring: IoUring,
    pool: Pool,
    conns: Conns,
    listener: Option<OwnedFd>,
    accepting: bool,
    /// Operations the kernel holds, accept included.
    in_flight: usize,
    /// Sends up to `SMALL_SEND` pushed since the last enter.
    small_sends: usize,
}

impl ClientRing {
    /// A ring for about `conns` connections that receive up to `buffer_size` bytes at once.
    pub fn new(conns: usize, buffer_size: usize) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(CQ_ENTRIES)
            .build(SQ_ENTRIES)?;
        let count = conns.next_power_of_two().clamp(MIN_BUFFERS, MAX_BUFFERS);
        let pool = Pool::new(count, buffer_size);
        // SAFETY: the entries live in `pool`, which is dropped after `ring`, or leaked.
        unsafe {
            let entries = pool.entries.as_ptr() as u64;
            ring.submitter().register_buf_ring_with_flags(entries, count as u16, GROUP, 0)?;
        }
        let conns = Conns::default();
        Ok(ClientRing { ring, pool, conns, listener: None, accepting: false, in_flight: 0, small_sends: 0 })
    }

    /// Takes a connected socket in; its number counts from 0 upward as long as none closes.
    pub fn add(&mut self, fd: OwnedFd) -> u32 {
        self.conns.insert(fd)
    }

    /// Accepts connections from a listening socket. One per ring.
    pub fn listen(&mut self, fd: OwnedFd) {
        self.listener = Some(fd);
    }

    /// The connections, to queue output from outside of `drain`.
    pub fn conns(&mut self) -> &mut Conns {
        &mut self.conns
    }

    /// Sends what is queued and waits for completions: the one system call of a turn.
    pub fn submit(&mut self, wait: Wait) -> io::Result<()> {
        self.push_all()?;
        let result = match wait {
            Wait::Poll => {
                let sq = self.ring.submission();
                let idle = sq.is_empty() && !sq.taskrun() && !sq.cq_overflow();
                drop(sq);
                if idle {
                    return Ok(());
                }
                self.ring.submit()
            }
            Wait::AtMost(limit) => {
                // A small send nearly always completes while it is submitted, so one completion more than those is
                // the first that brings news. `limit` bounds what a send into a full socket may hold back.
                let want = (self.small_sends + 1).min(CQ_ENTRIES as usize / 2);
                let limit = Timespec::from(limit);
                self.ring.submitter().submit_with_args(want, &SubmitArgs::new().timespec(&limit))
            }
        };
        self.small_sends = 0;
        match result {
            Ok(_) => Ok(()),
            Err(e) => match e.raw_os_error() {
                // Timed out, interrupted, or the completion queue wants to be drained first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(e),
            },
        }
    }

    /// Hands out all completions that are there; what `f` queues leaves with the next `submit`.
    pub fn drain(&mut self, mut f: impl FnMut(&mut Conns, u32, Event<'_>)) {
        let ClientRing { ring, pool, conns, in_flight, accepting, .. } = self;
        for cqe in ring.completion() {
            if !cqueue::more(cqe.flags()) {
                *in_flight -= 1;
            }
            let conn = cqe.user_data() as u32;
            match cqe.user_data() & OP_MASK {
                OP_RECV => received(pool, conns, conn, &cqe, &mut f),
                OP_SEND => sent(conns, conn, cqe.result(), &mut f),
                _ => {
                    *accepting = cqueue::more(cqe.flags());
                    accepted(conns, cqe.result(), &mut f);
                }
            }
        }
        pool.publish();
    }

    /// Prepares accepts, recvs and sends that are due.
    fn push_all(&mut self) -> io::Result<()> {
        if let (Some(listener), false) = (&self.listener, self.accepting) {
            let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build().user_data(OP_ACCEPT);
            self.push(&accept)?;
            self.accepting = true;
        }
        while let Some(conn) = self.conns.rearm.pop() {
            let slot = &mut self.conns.slots[conn as usize];
            let (Some(fd), false) = (&slot.fd, slot.closed) else { continue };
            slot.receiving = true;
            let fd = Fd(fd.as_raw_fd());
            self.push(&opcode::RecvMulti::new(fd, GROUP).build().user_data(OP_RECV | u64::from(conn)))?;
        }
        while let Some(conn) = self.conns.dirty.pop() {
            let slot = &mut self.conns.slots[conn as usize];
            slot.dirty = false;
            let (Some(fd), false, false) = (&slot.fd, slot.closed, slot.sending) else { continue };
            if slot.sent == slot.flight.len() {
                slot.flight.clear();
                slot.sent = 0;
                std::mem::swap(&mut slot.flight, &mut slot.next);
            }
            let rest = &slot.flight[slot.sent..];
            if rest.is_empty() {
                continue;
            }
            let len = u32::try_from(rest.len()).unwrap_or(u32::MAX);
            let send = opcode::Send::new(Fd(fd.as_raw_fd()), rest.as_ptr(), len);
            // WAITALL: the kernel goes on by itself after a short send.
            let send = send
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                .build()
                .user_data(OP_SEND | u64::from(conn));
            slot.sending = true;
            self.small_sends += usize::from(rest.len() <= SMALL_SEND);
            self.push(&send)?;
        }
        Ok(())
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        self.in_flight += 1;
        loop {
            // SAFETY: the only memory an entry points to is a slot's `flight`, which stays as it is while `sending`.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.ring.submit()?;
        }
    }
}

fn received(
    pool: &mut Pool,
    conns: &mut Conns,
    conn: u32,
    cqe: &cqueue::Entry,
    f: &mut impl FnMut(&mut Conns, u32, Event<'_>),
) {
    let result = cqe.result();
    if let Some(id) = cqueue::buffer_select(cqe.flags()) {
        if result > 0 && !conns.slots[conn as usize].closed {
            f(conns, conn, Event::Data(pool.bytes(id, result as usize)));
        }
        pool.recycle(id);
    }
    // ENOBUFS says that the pool is dry, no more: it is full again when this drain ends.
    if result <= 0 && result != -libc::ENOBUFS && conns.close(conn) {
        f(conns, conn, Event::Closed(-result));
    }
    if !cqueue::more(cqe.flags()) {
        conns.slots[conn as usize].receiving = false;
        conns.rearm.push(conn);
        conns.release(conn);
    }
}

fn sent(conns: &mut Conns, conn: u32, result: i32, f: &mut impl FnMut(&mut Conns, u32, Event<'_>)) {
    let slot = &mut conns.slots[conn as usize];
    slot.sending = false;
    if result < 0 {
        if conns.close(conn) {
            f(conns, conn, Event::Closed(-result));
        }
    } else {
        slot.sent += result as usize;
        if slot.sent < slot.flight.len() || !slot.next.is_empty() {
            conns.out(conn);
        }
    }
    conns.release(conn);
}

fn accepted(conns: &mut Conns, result: i32, f: &mut impl FnMut(&mut Conns, u32, Event<'_>)) {
    if result < 0 {
        return;
    }
    // SAFETY: a successful accept hands over a new descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(result as RawFd) };
    // Fails on a Unix socket, which has no Nagle to turn off.
    let _ = nix::sys::socket::setsockopt(&fd, nix::sys::socket::sockopt::TcpNoDelay, &true);
    let conn = conns.insert(fd);
    f(conns, conn, Event::Accepted);
}

impl Drop for ClientRing {
    fn drop(&mut self) {
        self.listener = None;
        for conn in 0..self.conns.slots.len() as u32 {
            self.conns.close(conn);
        }
        self.conns.rearm.clear();
        for _ in 0..DROP_ROUNDS {
            if self.in_flight == 0 {
                return;
            }
            let _ = self.submit(Wait::AtMost(Duration::from_millis(10)));
            // Entries not yet submitted cannot be cancelled, so this comes after; none left is fine.
            let _ = self.ring.submitter().register_sync_cancel(Some(Timespec::new()), CancelBuilder::any());
            self.drain(|_, _, _| {});
            self.conns.rearm.clear();
        }
        // The kernel may still write to these: better leaked than freed under its hands.
        std::mem::forget(std::mem::take(&mut self.conns.slots));
        self.pool.leaked = true;
    }
}

/// The provided buffers: `count` buffers of `size` bytes, and the ring of entries that offers them to the kernel.
struct Pool {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    count: usize,
    size: usize,
    tail: u16,
    leaked: bool,
}

impl Pool {
    fn new(count: usize, size: usize) -> Self {
        assert!(count.is_power_of_two() && count <= 1 << 15 && size > 0 && size <= u32::MAX as usize);
        let (entries_layout, bytes_layout) = Self::layouts(count, size);
        // SAFETY: neither layout is empty, as asserted above.
        let (entries, bytes) = unsafe { (alloc_zeroed(entries_layout), alloc_zeroed(bytes_layout)) };
        let Some(entries) = NonNull::new(entries.cast::<BufRingEntry>()) else {
            handle_alloc_error(entries_layout)
        };
        let Some(bytes) = NonNull::new(bytes) else { handle_alloc_error(bytes_layout) };
        let mut pool = Pool { entries, bytes, count, size, tail: 0, leaked: false };
        for id in 0..count as u16 {
            pool.recycle(id);
        }
        pool.publish();
        pool
    }

    fn layouts(count: usize, size: usize) -> (Layout, Layout) {
        let entries = Layout::from_size_align(count * size_of::<BufRingEntry>(), PAGE);
        let bytes = Layout::from_size_align(count * size, PAGE);
        (entries.expect("at most 2^15 entries"), bytes.expect("at most 2^15 buffers of 2^32 bytes"))
    }

    /// The first `len` bytes of a buffer that the kernel has filled and that is not recycled yet.
    fn bytes(&self, id: u16, len: usize) -> &[u8] {
        assert!((id as usize) < self.count && len <= self.size);
        // SAFETY: in bounds and initialised (zeroed at first); the kernel does not write to a buffer that it has
        // handed out, and `recycle` needs `&mut self`, so not while this slice lives.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().add(id as usize * self.size), len) }
    }

    /// Gives a buffer back; the kernel sees it at the next `publish`.
    fn recycle(&mut self, id: u16) {
        assert!((id as usize) < self.count);
        let at = self.tail as usize & (self.count - 1);
        // SAFETY: `at` and `id` are in bounds; an entry at or after the published tail is ours. The setters leave
        // the reserved field alone, which is the tail in entry 0.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(at);
            entry.set_addr(self.bytes.as_ptr().add(id as usize * self.size) as u64);
            entry.set_len(self.size as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&mut self) {
        // SAFETY: the tail lies in entry 0, aligned to 2, and only the kernel reads it besides us; the release
        // makes the entries visible before it.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.leaked {
            return;
        }
        let (entries, bytes) = Self::layouts(self.count, self.size);
        // SAFETY: allocated in `new` with these layouts, and the kernel holds no operation on them any more.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), entries);
            dealloc(self.bytes.as_ptr(), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    /// Much more than the buffers and the sockets hold: short sends, a dry pool, recvs that must be armed again.
    #[test]
    fn echoes_megabytes_in_order_and_ends_with_the_peer() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let echo = std::thread::spawn(move || {
            let mut bytes = vec![0; 5_000_000];
            theirs.read_exact(&mut bytes).unwrap();
            theirs.write_all(&bytes).unwrap();
        });
        let mut ring = ClientRing::new(1, 1000).unwrap();
        let conn = ring.add(ours.into());
        let sent: Vec<u8> = (0..5_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        ring.conns().out(conn).extend_from_slice(&sent);
        let (mut got, mut closed) = (Vec::new(), 0);
        while closed == 0 {
            ring.submit(Wait::AtMost(Duration::from_secs(10))).unwrap();
            ring.drain(|_, _, event| match event {
                Event::Data(bytes) => got.extend_from_slice(bytes),
                Event::Closed(errno) => closed += 1 + errno,
                Event::Accepted => {}
            });
        }
        assert!(closed == 1 && got == sent);
        echo.join().unwrap();
        assert_eq!(ring.in_flight, 0);
        let (other, _peer) = UnixStream::pair().unwrap();
        assert_eq!(ring.add(other.into()), conn, "a closed connection's slot is free again");
    }

    #[test]
    fn drops_with_operations_under_way() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut ring = ClientRing::new(1, 1000).unwrap();
        let conn = ring.add(ours.into());
        ring.conns().out(conn).resize(50_000_000, 1);
        ring.submit(Wait::AtMost(Duration::from_millis(1))).unwrap();
        assert_eq!(ring.in_flight, 2);
        drop(ring);
        drop(theirs);
    }
}
