//! One thread of load: its connections, and the loop that keeps them busy.
//!
//! Closed loop: a connection sends `pipeline` requests in one write, and the next ones when all replies are there.
//! Latency counts from the turn that sent them.
//! Open loop: a request goes to the connection that has been free longest when its time comes ([`Pacer`]), up to
//! `pipeline` per connection; when none is free it waits, and its latency counts from when it was due.

use crate::client_ring::{ClientRing, Conns, Event, Wait};
use crate::pacing::Pacer;
use crate::replies::Scanner;
use crate::report::{MAX_KINDS, Stats};
use crate::workload::Workload;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Set by SIGINT and SIGTERM: measuring ends as if time were up.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Longest sleep of a turn; bounds how late time limits and `STOP` are seen.
const NAP: Duration = Duration::from_millis(50);
/// Without a reply for this long while some are due, the run has failed.
const STALL_NS: u64 = 10_000_000_000;

/// One run of a thread. Times in ns after `origin`.
#[derive(Clone, Copy)]
pub struct Run {
    pub origin: Instant,
    /// What completes earlier is warm-up.
    pub from_ns: u64,
    pub until_ns: u64,
    /// Most requests to send.
    pub requests: u64,
    pub pipeline: usize,
    pub open: Option<OpenLoop>,
}

/// A fixed rate of arrivals for one thread.
#[derive(Clone, Copy)]
pub struct OpenLoop {
    pub rate: f64,
    pub poisson: bool,
    /// Never sleep: requests leave within a us of their time, for a whole core.
    pub spin: bool,
}

struct Conn {
    scanner: Scanner,
    /// Kinds of the requests whose replies are due, oldest first.
    kinds: VecDeque<u8>,
    /// Replies to the oldest that have come.
    heard: u32,
    /// When they were due; only in the open loop.
    dues: VecDeque<u64>,
    /// When the batch was sent; only in the closed loop.
    sent_ns: u64,
    /// In `Session::free`.
    free: bool,
}

/// A thread's connections, kept from run to run.
pub struct Driver {
    ring: ClientRing,
    conns: Vec<Conn>,
}

impl Driver {
    /// Takes connected sockets over.
    pub fn new(sockets: Vec<OwnedFd>, buffer_size: usize) -> Result<Self, String> {
        let mut ring = ClientRing::new(sockets.len(), buffer_size).map_err(|e| {
            format!("cannot set up io_uring ({e}): it needs Linux 6.1 and kernel.io_uring_disabled = 0")
        })?;
        let mut conns = Vec::new();
        for socket in sockets {
            let index = ring.add(socket) as usize;
            assert_eq!(index, conns.len());
            let (kinds, dues) = (VecDeque::new(), VecDeque::new());
            conns.push(Conn { scanner: Scanner::new(), kinds, heard: 0, dues, sent_ns: 0, free: false });
        }
        Ok(Driver { ring, conns })
    }

    /// Drives one run to its end. One that ends by time leaves replies due, so it must be the last.
    pub fn run(&mut self, load: Workload, run: Run) -> Result<Stats, String> {
        let names = load.commands().iter().map(|c| c.name.clone()).collect();
        let now = run.origin.elapsed().as_nanos() as u64;
        let mut session = Session {
            conns: &mut self.conns,
            stats: Stats::new(names),
            measuring: false,
            left: run.requests,
            now,
            heard_ns: now,
            outstanding: 0,
            started: Vec::new(),
            free: VecDeque::new(),
            pacer: None,
            failed: None,
            load,
            run,
        };
        session.start(self.ring.conns());
        session.measure(&mut self.ring)?;
        Ok(session.stats)
    }
}

struct Session<'a> {
    conns: &'a mut [Conn],
    load: Workload,
    run: Run,
    stats: Stats,
    measuring: bool,
    /// Requests that may still be sent.
    left: u64,
    /// Read once when a turn's completions are in.
    now: u64,
    /// When the last reply came.
    heard_ns: u64,
    outstanding: u64,
    /// Connections whose batch leaves with the next submit.
    started: Vec<u32>,
    /// Connections with room for a request of the open loop.
    free: VecDeque<u32>,
    pacer: Option<Pacer>,
    failed: Option<String>,
}

impl Session<'_> {
    fn start(&mut self, out: &mut Conns) {
        let ids = 0..self.conns.len() as u32;
        if let Some(open) = self.run.open {
            self.pacer = Some(Pacer::new(open.rate, open.poisson, self.now, &mut self.load.rng));
            self.conns.iter_mut().for_each(|conn| conn.free = true);
            self.free.extend(ids);
        } else {
            ids.for_each(|id| self.refill(out, id));
        }
    }

    /// Turns until time is up or all requests are answered.
    fn measure(&mut self, ring: &mut ClientRing) -> Result<(), String> {
        loop {
            if !self.measuring && self.now >= self.run.from_ns {
                self.measuring = true;
                self.stats.begin(self.now);
            }
            self.issue(ring.conns());
            self.turn(ring)?;
            let exhausted = self.left == 0 && self.outstanding == 0;
            if exhausted || self.now >= self.run.until_ns || STOP.load(Ordering::Relaxed) {
                break;
            }
        }
        let backlog = match (&self.pacer, self.run.open) {
            (Some(pacer), Some(open)) => (self.now.saturating_sub(pacer.due_ns()) as f64 / 1e9 * open.rate)
                .min(self.left as f64) as u64,
            _ => 0,
        };
        self.stats.end(self.now, backlog);
        Ok(())
    }

    fn turn(&mut self, ring: &mut ClientRing) -> Result<(), String> {
        let sent_ns = self.clock();
        for id in self.started.drain(..) {
            self.conns[id as usize].sent_ns = sent_ns;
        }
        ring.submit(self.wait(sent_ns)).map_err(|e| format!("io_uring_enter failed: {e}"))?;
        self.now = self.clock();
        ring.drain(|out, id, event| self.event(out, id, event));
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        if self.outstanding > 0 && self.now.saturating_sub(self.heard_ns) > STALL_NS {
            return Err(format!("the server has not answered for {} s", STALL_NS / 1_000_000_000));
        }
        Ok(())
    }

    fn clock(&self) -> u64 {
        self.run.origin.elapsed().as_nanos() as u64
    }

    fn wait(&self, now: u64) -> Wait {
        let mut limit = NAP.min(Duration::from_nanos(self.run.until_ns.saturating_sub(now)));
        if let (Some(pacer), Some(open)) = (&self.pacer, self.run.open) {
            if open.spin {
                return Wait::Poll;
            }
            if self.left > 0 && !self.free.is_empty() {
                limit = limit.min(Duration::from_nanos(pacer.due_ns().saturating_sub(now)));
            }
        }
        if limit.is_zero() { Wait::Poll } else { Wait::AtMost(limit) }
    }

    fn event(&mut self, out: &mut Conns, id: u32, event: Event<'_>) {
        match event {
            Event::Data(bytes) => self.replies(out, id, bytes),
            Event::Closed(0) => self.failed = Some("the server closed a connection".into()),
            Event::Closed(errno) => {
                let error = std::io::Error::from_raw_os_error(errno);
                self.failed = Some(format!("a connection failed: {error}"));
            }
            Event::Accepted => {}
        }
    }

    fn replies(&mut self, out: &mut Conns, id: u32, bytes: &[u8]) {
        let Session { conns, load, stats, outstanding, .. } = self;
        let conn = &mut conns[id as usize];
        let (kinds, dues, heard) = (&mut conn.kinds, &mut conn.dues, &mut conn.heard);
        let (now, open) = (self.now, self.pacer.is_some());
        // Replies of one batch have one latency, so they are counted here and recorded once per kind.
        let mut counts = [0u64; MAX_KINDS];
        let mut unasked = false;
        let scanned = conn.scanner.feed(bytes, |reply| {
            let Some(&kind) = kinds.front() else {
                unasked = true;
                return;
            };
            let command = &load.commands()[kind as usize];
            stats.judge(kind, command.expect.judge(reply), reply);
            *heard += 1;
            if *heard < command.replies {
                return;
            }
            *heard = 0;
            kinds.pop_front();
            *outstanding -= 1;
            counts[kind as usize] += 1;
            if open {
                let due = dues.pop_front().unwrap_or(now);
                stats.record(kind, now.saturating_sub(due), 1);
            }
        });
        if let Err(bad) = scanned {
            self.failed = Some(format!("the server does not speak RESP2: {}", bad.0));
        } else if unasked {
            self.failed = Some("the server sent more replies than requests".into());
        }
        stats.bytes_in += bytes.len() as u64;
        self.heard_ns = now;
        if open {
            self.offer(id);
            return;
        }
        let latency_ns = now.saturating_sub(conn.sent_ns);
        for (kind, &count) in counts.iter().enumerate().take(load.commands().len()) {
            if count > 0 {
                stats.record(kind as u8, latency_ns, count);
            }
        }
        if kinds.is_empty() {
            self.refill(out, id);
        }
    }

    /// Closed loop: the next batch of a connection.
    fn refill(&mut self, out: &mut Conns, id: u32) {
        let count = (self.run.pipeline as u64).min(self.left);
        if count == 0 {
            return;
        }
        self.left -= count;
        self.outstanding += count;
        let kinds = &mut self.conns[id as usize].kinds;
        let buffer = out.out(id);
        let before = buffer.len();
        for _ in 0..count {
            kinds.push_back(self.load.write(buffer));
        }
        self.stats.bytes_out += (buffer.len() - before) as u64;
        self.started.push(id);
    }

    /// Open loop: sends what is due, as long as connections have room.
    fn issue(&mut self, out: &mut Conns) {
        let Some(pacer) = &mut self.pacer else { return };
        let now = self.run.origin.elapsed().as_nanos() as u64;
        while self.left > 0 && pacer.due_ns() <= now && pacer.due_ns() < self.run.until_ns {
            let Some(id) = self.free.pop_front() else { return };
            let conn = &mut self.conns[id as usize];
            let buffer = out.out(id);
            let before = buffer.len();
            conn.kinds.push_back(self.load.write(buffer));
            conn.dues.push_back(pacer.due_ns());
            self.stats.bytes_out += (buffer.len() - before) as u64;
            pacer.advance(&mut self.load.rng);
            self.left -= 1;
            self.outstanding += 1;
            conn.free = conn.kinds.len() < self.run.pipeline;
            if conn.free {
                self.free.push_back(id);
            }
        }
    }

    fn offer(&mut self, id: u32) {
        let conn = &mut self.conns[id as usize];
        if !conn.free && conn.kinds.len() < self.run.pipeline {
            conn.free = true;
            self.free.push_back(id);
        }
    }
}
