//! The ring itself: set up, the turn, and what a completion is turned into.
//!
//! One `io_uring_enter` a turn. `DEFER_TASKRUN` keeps the kernel's side of each operation from interrupting us: it runs
//! inside that call, in one batch, and `TASKRUN_FLAG` shows in shared memory that there is some, so that a spinning
//! shard enters only for a reason. The ring's descriptor is registered, which saves the look-up per call; the
//! `io-uring` crate knows no registered descriptor across calls, hence the calls of our own.

use super::accept::Listener;
use super::buffers::{Buffers, Pool};
use super::conns::Conns;
use super::files::Files;
use super::net::{Chunk, ConnId, Event, FileId, FileWrite, Net};
use super::ops::{Done, kind};
use super::options::{Error, Options};
use super::wake::{Bell, Peer};
use io_uring::{EnterFlags, IoUring, squeue};
use nix::errno::Errno;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

/// How long dropping a ring waits for the kernel to let go of memory, in steps.
const DROP_STEPS: usize = 20;
const DROP_STEP: Duration = Duration::from_millis(25);

/// What a turn does when there is nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Returns.
    No,
    /// Sleeps until something completes, at most this long.
    For(Duration),
}

/// A shard's io_uring.
pub struct Ring {
    io: IoUring,
    enter: Enter,
    /// Entries that found the submission queue full twice. Bounded by the operations that connections can have.
    backlog: VecDeque<squeue::Entry>,
    /// Events that no completion stands for.
    pub(super) early: VecDeque<Event>,
    pub(super) conns: Conns,
    /// Connections whose receive ended for want of buffers, longest waiting first.
    pub(super) starved: VecDeque<ConnId>,
    /// Connections whose receive is armed in the next turn, if they still need one.
    pub(super) later: Vec<ConnId>,
    pub(super) listeners: Vec<Listener>,
    pub(super) peers: Vec<Peer>,
    pub(super) bell: Option<Bell>,
    /// Submissions so far, plus 1.
    pub(super) batch: u64,
    /// A wake-up came that has not been told of.
    pub(super) woken: bool,
    pub(super) zero_copy_from: usize,
    fill_from: usize,
    /// Plain sends queued since the last turn.
    pub(super) queued_sends: u32,
    pub(super) buffers: Rc<Buffers>,
    pub(super) files: Files,
}

/// Opens a ring for the calling thread. The pool is apart so that received bytes can be borrowed while the ring
/// serves as `&mut impl Net`.
pub fn open(options: &Options) -> Result<(Ring, Pool), Error> {
    let io = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(options.cq_entries)
        .build(options.entries)
        .map_err(super::probe::setup_error)?;
    let buffers = Rc::new(Buffers::map(options.recv_buffers, options.recv_buffer_bytes)?);
    buffers.register(&io.submitter()).map_err(|e| Error::call("io_uring_register of receive buffers", &e))?;
    let enter = Enter::new(&io)?;
    let ring = Ring {
        io,
        enter,
        backlog: VecDeque::new(),
        early: VecDeque::new(),
        conns: Conns::default(),
        starved: VecDeque::new(),
        later: Vec::new(),
        listeners: Vec::new(),
        peers: Vec::new(),
        bell: None,
        batch: 1,
        woken: false,
        zero_copy_from: options.zero_copy_from,
        fill_from: options.fill_from,
        queued_sends: 0,
        buffers: Rc::clone(&buffers),
        files: Files::default(),
    };
    Ok((ring, Pool::new(buffers)))
}

impl Ring {
    /// The descriptor that other rings send their wake-ups to.
    pub fn fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }

    /// Takes a connected socket, whose options are set, and starts to read from it.
    pub fn adopt(&mut self, fd: OwnedFd) -> ConnId {
        let conn = self.conns.insert(fd);
        self.arm_recv(conn);
        conn
    }

    /// Connections that are open or closing.
    pub fn conns_open(&self) -> usize {
        self.conns.len()
    }

    /// Hands the kernel all that is queued and collects what is done: one system call, or none when there is nothing
    /// to hand over and nothing to collect.
    pub fn turn(&mut self, wait: Wait) -> Result<(), Error> {
        let wait = self.resume_accepting(wait);
        if !self.later.is_empty() {
            self.arm_later();
        }
        let buffers = self.buffers.publish();
        if !self.starved.is_empty() {
            self.feed_starved(buffers);
        }
        self.flush_backlog();
        let to_submit = self.io.submission().len() as u32;
        self.batch += 1;
        // Sends that find room complete inside the submit, and would end the wait before it began: wait for one thing
        // more than them. Should one not find room, the wait for the others is short.
        let sends = std::mem::take(&mut self.queued_sends);
        let want = if self.enter.min_wait { 1 + sends } else { 1 };
        match wait {
            Wait::For(limit) if self.quiet() => self.enter.call(to_submit, want, Some(limit)),
            _ if to_submit > 0 || self.work_waits() => self.enter.call(to_submit, 0, None),
            _ => Ok(()),
        }
    }

    /// Whether [`Ring::turn`] or [`Ring::next_event`] would find something. Makes no system call: for spinning.
    #[inline]
    pub fn peek(&mut self) -> bool {
        !self.quiet() || self.work_waits()
    }

    /// The next thing that happened, until there is none.
    #[inline]
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.early.pop_front() {
                if let Event::Closed { conn } = event {
                    // Not before it is told: the core would meet the index's next tenant first.
                    self.conns.remove(conn);
                }
                return Some(event);
            }
            let Some(cqe) = self.io.completion().next() else {
                return std::mem::take(&mut self.woken).then_some(Event::Woken);
            };
            let done = Done::new(&cqe);
            let event = match done.kind() {
                kind::RECV => self.on_recv(done),
                kind::SEND => self.on_send(done),
                kind::ACCEPT => self.on_accept(done),
                kind::WOKEN => {
                    self.woken = true;
                    None
                }
                kind::BELL => {
                    self.on_bell(done);
                    None
                }
                kind::WRITE => self.on_write(done),
                kind::SYNC => Some(self.on_sync(done)),
                // What nobody waits for failed: a wake-up of a ring that is gone, a cancel that came too late.
                _ => None,
            };
            if event.is_some() {
                return event;
            }
        }
    }

    /// No event is at hand.
    #[inline]
    fn quiet(&mut self) -> bool {
        self.early.is_empty() && !self.woken && self.io.completion().is_empty()
    }

    /// The kernel has completions that it can only post inside an enter.
    #[inline]
    fn work_waits(&mut self) -> bool {
        let queue = self.io.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    /// Queues an operation. Memory it points to must live until its last completion has been seen.
    #[inline]
    pub(super) fn push(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() && self.try_push(&entry) {
            return;
        }
        self.push_slowly(entry);
    }

    #[inline]
    fn try_push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: entries come from `ops`. Those that point to memory are `send`s of a `Conn`'s chunk, receives into its buffer
        // and `write`s of the pages in `Files`, whose heap blocks neither move nor are freed before the completion: `on_send`,
        // `on_fill`, `on_write` and `Drop` see to it.
        unsafe { self.io.submission().push(entry) }.is_ok()
    }

    /// The queue is full: submit in the middle and go on; what still doesn't fit waits for the next turn.
    #[cold]
    fn push_slowly(&mut self, entry: squeue::Entry) {
        self.backlog.push_back(entry);
        self.submit();
        self.flush_backlog();
    }

    /// Submits what is queued, and collects nothing.
    fn submit(&mut self) {
        let queued = self.io.submission().len() as u32;
        if queued == 0 {
            return;
        }
        self.batch += 1;
        // Those that have completed end no wait: it does not begin while they are there.
        self.queued_sends = 0;
        // A failure here shows again in the next turn, which reports it.
        let _ = self.enter.submit(queued);
    }

    fn flush_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.try_push(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    /// Whether nothing is open and nothing waits to be submitted: after [`Ring::stop_listening`] and
    /// [`Ring::close_all`], turns lead here, and the ports are free.
    pub fn drained(&mut self) -> bool {
        let idle = self.conns.len() == 0 && self.listeners.iter().all(Listener::is_closed);
        idle && self.files.is_idle()
            && self.backlog.is_empty()
            && self.io.submission().is_empty()
            && self.early.is_empty()
    }
}

impl Net for Ring {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        self.start_send(conn, chunk);
    }

    fn start_now(&mut self) {
        self.submit();
    }

    fn progress(&self, conn: ConnId) -> u64 {
        self.conns.fd(conn).map_or(0, super::socket::progress)
    }

    fn fill_from(&self) -> usize {
        self.fill_from
    }

    fn fill(&mut self, conn: ConnId, buf: Vec<u8>, until: usize) {
        self.start_fill(conn, buf, until);
    }

    fn pause_recv(&mut self, conn: ConnId) {
        self.pause(conn);
    }

    fn resume_recv(&mut self, conn: ConnId) {
        self.resume(conn);
    }

    fn close(&mut self, conn: ConnId) {
        self.start_close(conn);
    }

    fn wake(&mut self, shard: usize) {
        self.wake_peer(shard);
    }

    fn write_file(&mut self, write: FileWrite) {
        self.start_write(write);
    }

    fn sync_file(&mut self, file: FileId) {
        self.start_sync(file);
    }

    fn close_file(&mut self, file: FileId) {
        self.forget_file(file);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.stop_listening();
        self.close_all();
        for step in 0..DROP_STEPS {
            let wait = if step == 0 { Wait::No } else { Wait::For(DROP_STEP) };
            if self.drained() || self.turn(wait).is_err() {
                break;
            }
            while let Some(event) = self.next_event() {
                if let Event::Data { buf, .. } = event {
                    self.buffers.give_back(buf.0);
                }
            }
        }
        self.enter.unregister();
        if self.conns.len() > 0 {
            // The kernel may yet read these chunks and write these buffers, so they are never freed. (Shared buffers it no longer
            // fills: that happens inside our enter only, and there will be none.)
            std::mem::forget(self.conns.take_memory());
        }
        if !self.files.is_idle() {
            // Likewise for pages that the kernel may yet write.
            std::mem::forget(std::mem::take(&mut self.files));
        }
    }
}

/// `io_uring_enter` on a registered descriptor.
struct Enter {
    ring: RawFd,
    /// The ring's place among the thread's registered descriptors.
    registered: u32,
    flags: u32,
    /// The kernel (6.12 on) can wait for several completions for a while, and for one after that.
    min_wait: bool,
}

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct GetEvents {
    sigmask: u64,
    sigmask_bytes: u32,
    min_wait_us: u32,
    timeout: u64,
}

/// `struct io_uring_rsrc_update`.
#[repr(C)]
struct RsrcUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// How long a wait holds out for more than one completion, which only matters when a peer's socket is full. Longer than a
/// tick of the kernel (1 to 4 ms): a timer that is due before the next tick has to be programmed, which on a virtual
/// machine costs more than the wait saves (measured, 8 shards on 2 cores: 19 us per command with 100 us, 9.8 without).
const MIN_WAIT_US: u32 = 5_000;

/// `IORING_REGISTER_RING_FDS` and its inverse.
const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;

impl Enter {
    fn new(io: &IoUring) -> Result<Enter, Error> {
        let mut enter = Enter {
            ring: io.as_raw_fd(),
            registered: u32::MAX,
            flags: 0,
            min_wait: io.params().is_feature_min_timeout(),
        };
        // Sleeping in a ring counts as waiting for I/O, which makes an idle server look like a busy disk.
        if io.params().is_feature_no_iowait() {
            enter.flags |= EnterFlags::NO_IOWAIT.bits();
        }
        let data = io.as_raw_fd() as u64;
        enter.registered = enter
            .register(REGISTER_RING_FDS, data)
            .map_err(|errno| Error::Call { call: "io_uring_register of the ring's descriptor", errno })?;
        enter.flags |= EnterFlags::REGISTERED_RING.bits();
        Ok(enter)
    }

    fn register(&self, operation: u32, data: u64) -> Result<u32, Errno> {
        let mut update = RsrcUpdate { offset: self.registered, reserved: 0, data };
        // SAFETY: the kernel reads and writes one `io_uring_rsrc_update`, which lives on this frame.
        let result =
            unsafe { libc::syscall(libc::SYS_io_uring_register, self.ring, operation, &raw mut update, 1) };
        Errno::result(result).map(|_| update.offset)
    }

    /// The registration holds the ring open as much as its descriptor does.
    fn unregister(&self) {
        let _ = self.register(UNREGISTER_RING_FDS, 0);
    }

    /// Submits, runs the deferred work, waits for `want` completions at most `limit`.
    #[inline]
    fn call(&self, to_submit: u32, want: u32, limit: Option<Duration>) -> Result<(), Error> {
        let flags = self.flags | EnterFlags::GETEVENTS.bits();
        let result = match limit {
            None => self.raw(to_submit, want, flags, std::ptr::null(), 0),
            Some(limit) => {
                let timeout = libc::timespec {
                    tv_sec: limit.as_secs().min(i64::MAX as u64) as i64,
                    tv_nsec: i64::from(limit.subsec_nanos()),
                };
                let arg = GetEvents {
                    sigmask: 0,
                    sigmask_bytes: 0,
                    min_wait_us: if want > 1 { MIN_WAIT_US } else { 0 },
                    timeout: &raw const timeout as u64,
                };
                let flags = flags | EnterFlags::EXT_ARG.bits();
                self.raw(to_submit, want, flags, &raw const arg, size_of::<GetEvents>())
            }
        };
        match result {
            // Time is up; a signal came; the kernel is short of memory or of room and takes the entries next time.
            Ok(()) | Err(Errno::ETIME | Errno::EINTR | Errno::EAGAIN | Errno::EBUSY) => Ok(()),
            Err(errno) => Err(Error::Call { call: "io_uring_enter", errno }),
        }
    }

    /// Submits and no more.
    fn submit(&self, to_submit: u32) -> Result<(), Errno> {
        self.raw(to_submit, 0, self.flags, std::ptr::null(), 0)
    }

    #[inline]
    fn raw(
        &self,
        submit: u32,
        want: u32,
        flags: u32,
        arg: *const GetEvents,
        bytes: usize,
    ) -> Result<(), Errno> {
        // SAFETY: `arg` is null or points to `bytes` bytes that outlive the call, as does the timeout in it. The entries
        // submitted were pushed under the promise of `try_push`.
        let result = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, self.registered, submit, want, flags, arg, bytes)
        };
        Errno::result(result).map(drop)
    }
}
