//! The real loop of a shard: one turn handles what has completed, reads the mail, runs what is ready, sends what was
//! replied, and enters the kernel once.
//!
//! The mail is also read after every burst: between connections, but not among those whose requests are expected together. Their stores
//! are in hand, and a letter may want one of them. So a letter waits for [`BURST`] batches at most, while what is replied to it, as all
//! replies, waits for the end of the turn.

use super::mail::Mesh;
use super::{BURST, Core, Delivery, Letter, LogStart, Peer};
use crate::cmd::migration::Answer;
use crate::persist::aof::Framer;
use crate::persist::replay::Piece;
use crate::ring::net::{BufId, Chunk, ConnId, Event, FileId, FileWrite, Net, World};
use crate::ring::{Clock, Error, Pool, Ring, Wait, socket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// Letters read before connections have their turn again.
const LETTERS_PER_TURN: usize = 256;
/// How long a shard that stops waits for its connections to close.
const DRAIN: Duration = Duration::from_secs(2);
/// The longest sleep, when nothing else ends it.
const SLEEP_MAX_US: u64 = 1_000_000;

/// Where to listen from now on.
pub struct Sockets {
    pub open: Vec<OwnedFd>,
    /// Numbers of listeners, counted from 0 in the order in which they were opened.
    pub close: Vec<usize>,
    /// What CONFIG SET was asked for.
    pub pairs: Vec<(String, String)>,
}

/// What the control plane tells a shard, after ringing its bell.
pub enum Notice {
    /// The configuration file was written, or why not.
    ConfigWritten { ticket: u64, result: Result<(), String> },
    /// To shard 0: the sockets for a CONFIG SET of a connection of shard `from`, or the reply that says why there are none.
    Listens { from: usize, ticket: u64, result: Result<Sockets, String> },
    /// What another server has answered.
    Consulted { ticket: u64, answer: Answer },
    /// Entries of a snapshot for this shard.
    Deliver(Delivery),
    /// Commands of a log to replay here.
    Replay(Piece),
    /// To shard 0: a snapshot was written, or why not.
    Saved(Result<(), String>),
    /// To shard 0: a snapshot was loaded again, or why not.
    Reloaded(Result<(), String>),
    /// A file for this shard's log. The sender hears when it is taken.
    LogOpened { file: OwnedFd, framer: Box<Framer>, len: u64, direct: bool, taken: Sender<()> },
    /// To shard 0: the next generation of the log is made (its number), or why not.
    GenerationMade(Result<u64, String>),
    /// To shard 0: the new base is listed, with so many bytes in all files of the log, or why not.
    BaseMade(Result<u64, String>),
    /// To shard 0: a signal wants the process to end.
    Terminate { interrupt: bool },
}

/// A shard ready to run.
pub struct Setup {
    pub core: Core,
    pub ring: Ring,
    pub pool: Pool,
    pub mesh: Mesh,
    pub clock: Clock,
    /// One flag a shard: it sleeps in its ring, and a letter has to wake it.
    pub sleepers: Arc<[AtomicBool]>,
    pub id: usize,
    pub notices: Receiver<Notice>,
    pub stop: Arc<AtomicBool>,
}

/// The ring, and what else the core may know of the world.
struct Port {
    ring: Ring,
    clock: Clock,
    sleepers: Arc<[AtomicBool]>,
    wakes: u64,
}

impl Net for Port {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        self.ring.send(conn, chunk);
    }

    fn start_now(&mut self) {
        self.ring.start_now();
    }

    fn progress(&self, conn: ConnId) -> u64 {
        self.ring.progress(conn)
    }

    fn fill_from(&self) -> usize {
        self.ring.fill_from()
    }

    fn fill(&mut self, conn: ConnId, buf: Vec<u8>, until: usize) {
        self.ring.fill(conn, buf, until);
    }

    fn pause_recv(&mut self, conn: ConnId) {
        self.ring.pause_recv(conn);
    }

    fn resume_recv(&mut self, conn: ConnId) {
        self.ring.resume_recv(conn);
    }

    fn close(&mut self, conn: ConnId) {
        self.ring.close(conn);
    }

    fn wake(&mut self, shard: usize) {
        // One wake-up is enough: who takes the flag sends it.
        if self.sleepers[shard].load(Ordering::SeqCst) && self.sleepers[shard].swap(false, Ordering::SeqCst) {
            self.wakes += 1;
            self.ring.wake(shard);
        }
    }

    fn write_file(&mut self, write: FileWrite) {
        self.ring.write_file(write);
    }

    fn sync_file(&mut self, file: FileId) {
        self.ring.sync_file(file);
    }

    fn close_file(&mut self, file: FileId) {
        self.ring.close_file(file);
    }
}

impl World for Port {
    #[inline]
    fn ticks_ns(&self) -> u64 {
        self.clock.ticks_ns()
    }

    fn cpu_us(&self) -> (u64, u64) {
        self.clock.cpu_us()
    }

    fn sleep_us(&mut self, us: u64) {
        self.clock.stand_still(us);
    }
}

/// Runs a shard until the process stops.
pub fn run(setup: Setup) -> Result<(), Error> {
    let Setup { mut core, ring, mut pool, mut mesh, clock, sleepers, id, notices, stop } = setup;
    let mut port = Port { ring, clock, sleepers, wakes: 0 };
    let mut spin = Spin::default();
    let mut burst = Vec::with_capacity(BURST);
    while !stop.load(Ordering::Relaxed) {
        core.begin_turn(port.clock.now());
        let began = port.clock.ticks_ns();
        while let Some(event) = port.ring.next_event() {
            let other = match event {
                Event::Data { conn, buf, len } => {
                    burst.push(Data { conn, buf, len });
                    if burst.len() < BURST {
                        continue;
                    }
                    None
                }
                event => Some(event),
            };
            take_burst(&mut core, &mut port, &mut pool, &mut burst);
            if let Some(event) = other {
                handle(&mut core, &mut port, event, &notices);
            }
            read_mail(&mut core, &mut port, &mut mesh);
            post_mail(&mut core, &mut port, &mut mesh);
        }
        take_burst(&mut core, &mut port, &mut pool, &mut burst);
        read_mail(&mut core, &mut port, &mut mesh);
        core.work(&mut port);
        core.flush(&mut port);
        post_mail(&mut core, &mut port, &mut mesh);
        let idle = mesh.push_on(|target| port.wake(target)) && !core.is_busy() && mesh.is_empty();
        core.count_wakes(std::mem::take(&mut port.wakes));
        core.end_turn(port.clock.ticks_ns().saturating_sub(began));
        if !idle || spin.found_work(core.config().spin_us, &mut port, &mesh) {
            port.ring.turn(Wait::No)?;
            continue;
        }
        sleep(&mut core, &mut port, &mesh, id)?;
    }
    drain(&mut port)
}

/// Sleeps in the ring until something happens. Whoever has mail for this shard, or its store, from now on rings.
fn sleep(core: &mut Core, port: &mut Port, mesh: &Mesh, id: usize) -> Result<(), Error> {
    port.sleepers[id].store(true, Ordering::SeqCst);
    let mut wait = Wait::For(Duration::from_micros(core.deadline_us().min(SLEEP_MAX_US)));
    if !mesh.is_empty() || core.retry_waiting(port) || core.is_busy() {
        wait = Wait::No;
    } else {
        core.count_sleep();
    }
    let turned = port.ring.turn(wait);
    port.sleepers[id].store(false, Ordering::SeqCst);
    turned
}

/// Bytes that have arrived.
struct Data {
    conn: ConnId,
    buf: BufId,
    len: usize,
}

/// Tells the core of what has arrived since the last other event.
#[inline]
fn take_burst(core: &mut Core, port: &mut Port, pool: &mut Pool, burst: &mut Vec<Data>) {
    let is_alone = burst.len() < 2;
    if !is_alone {
        core.expect(port, burst.iter().map(|data| (data.conn, pool.bytes(&data.buf, data.len))));
    }
    for Data { conn, buf, len } in burst.drain(..) {
        core.data(port, conn, pool.bytes(&buf, len));
        pool.give_back(buf);
    }
    if !is_alone {
        core.end_burst(port);
    }
}

#[inline]
fn handle(core: &mut Core, port: &mut Port, event: Event, notices: &Receiver<Notice>) {
    match event {
        Event::Data { .. } => unreachable!("it is part of a burst"),
        Event::Filled { conn, buf, came } => core.received(port, conn, buf, came),
        Event::Sent { conn, chunk, result } => core.sent(port, conn, chunk, result),
        Event::Eof { conn, errno } => core.eof(port, conn, errno),
        Event::Closed { conn } => core.closed(conn),
        Event::Accepted { fd, .. } => accepted(core, fd),
        Event::AcceptFailed { .. } => {}
        Event::Written { write, result } => core.written(port, write, result),
        Event::Synced { file, result } => core.synced(port, file, result),
        Event::Woken => {
            while let Ok(notice) = notices.try_recv() {
                take_notice(core, port, notice);
            }
        }
    }
}

fn take_notice(core: &mut Core, port: &mut Port, notice: Notice) {
    match notice {
        Notice::Listens { from, ticket, result } => {
            let told = result.map(|Sockets { open, close, pairs }| {
                for fd in open {
                    port.ring.listen(fd);
                }
                close.into_iter().for_each(|number| port.ring.unlisten(number));
                pairs
            });
            core.listens(from, ticket, told);
        }
        Notice::ConfigWritten { ticket, result } => core.config_written(port, ticket, result),
        Notice::Consulted { ticket, answer } => core.consulted(port, ticket, answer),
        Notice::Deliver(delivery) => core.deliver(delivery),
        Notice::Replay(piece) => core.replay_piece(piece),
        Notice::Saved(result) => core.saved(port, result),
        Notice::Reloaded(result) => core.reloaded(port, result),
        Notice::LogOpened { file, framer, len, direct, taken } => {
            let file = port.ring.add_file(file);
            core.log_opened(port, LogStart { file, framer, len, direct });
            // Who does not listen any more has given up.
            let _ = taken.send(());
        }
        Notice::GenerationMade(result) => core.generation_made(port, result),
        Notice::BaseMade(result) => core.base_made(port, result),
        Notice::Terminate { interrupt } => core.terminate(interrupt),
    }
}

/// A new connection at the acceptor: serve it here, hand it over, or refuse it.
fn accepted(core: &mut Core, fd: OwnedFd) {
    let unix = socket::is_unix(&fd);
    let local = unix || socket::is_loopback(&fd);
    let peer = Peer {
        addr: socket::peer_name(&fd).into(),
        laddr: socket::local_name(&fd).into(),
        fd: fd.as_raw_fd(),
        unix,
        local,
    };
    match core.place(&peer) {
        Ok(shard) => core.hand_over(shard, fd, peer),
        Err(text) => socket::refuse(fd, text),
    }
}

fn adopt(core: &mut Core, port: &mut Port, fd: OwnedFd, peer: Peer) {
    // A socket that takes no options is about to fail anyway, and says so when it is read.
    let _ = socket::set_conn_options(&fd, true, core.config().tcp_keepalive);
    let conn = port.ring.adopt(fd);
    core.open(conn, peer);
}

#[inline]
fn read_mail(core: &mut Core, port: &mut Port, mesh: &mut Mesh) {
    for _ in 0..LETTERS_PER_TURN {
        match mesh.receive() {
            None => return,
            Some(Letter::Conn { fd, peer }) => adopt(core, port, fd, peer),
            Some(letter) => core.mail(port, letter),
        }
    }
}

#[inline]
fn post_mail(core: &mut Core, port: &mut Port, mesh: &mut Mesh) {
    if !core.has_mail() {
        return;
    }
    let mut own = Vec::new();
    for (to, letter) in core.drain_mail() {
        match letter {
            Letter::Conn { fd, peer } if !mesh.leads_to(to) => own.push((fd, peer)),
            letter => {
                mesh.send(to, letter);
                port.wake(to);
            }
        }
    }
    own.into_iter().for_each(|(fd, peer)| adopt(core, port, fd, peer));
}

/// Closes what is open and waits for the kernel to be done with it, so that the port is free at exit.
fn drain(port: &mut Port) -> Result<(), Error> {
    port.ring.stop_listening();
    port.ring.close_all();
    let until = port.clock.mono_ns() + DRAIN.as_nanos() as u64;
    while !port.ring.drained() && port.clock.mono_ns() < until {
        port.ring.turn(Wait::For(Duration::from_millis(10)))?;
        while port.ring.next_event().is_some() {}
    }
    Ok(())
}

/// Spins before sleeping, as long as that has paid off lately.
#[derive(Default)]
struct Spin {
    /// The present budget, in microseconds: doubled by a success, halved by a failure.
    budget_us: u32,
}

impl Spin {
    /// Polls for work within the budget, at most `max_us`; whether there is some.
    fn found_work(&mut self, max_us: u32, port: &mut Port, mesh: &Mesh) -> bool {
        if max_us == 0 {
            return false;
        }
        let budget = self.budget_us.clamp(1, max_us);
        let until = port.ticks_ns() + u64::from(budget) * 1_000;
        loop {
            if port.ring.peek() || !mesh.is_empty() {
                self.budget_us = (budget * 2).min(max_us);
                return true;
            }
            if port.ticks_ns() >= until {
                self.budget_us = budget / 2;
                return false;
            }
            std::hint::spin_loop();
        }
    }
}
