//! The kernel of one simulated shard: its sockets, its clock, and the bells of the others.
//!
//! ```text
//!  client ── up ──> [socket] ── Event::Data ──> Core
//!  client <─ taken ─ [socket] <─── send ─────── Core      Event::Sent gives the chunk back
//! ```
//! It keeps the promises of the real ring and asserts what the core promises in return: one send at a time, none after
//! a close. It makes use of every freedom that the ring has: pieces of any length, a piece that was under way when reading
//! was paused, data that arrives after the close, a send that fails or succeeds while the socket is being closed.

use crate::disk::Disk;
use crate::rng::Rng;
use crate::thieves::Thieves;
use kring::base::cell::{Back, caller_bit};
use kring::ring::net::{Chunk, ConnId, FileId, FileWrite, Net, World};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Linux error numbers that a socket may report.
const ECONNRESET: i32 = 104;
const EPIPE: i32 = 32;
const ECANCELED: i32 = 125;
/// What a call of the fast clock adds to it: enough for any spin to end after a few looks.
const TICK_NS: u64 = 1_500;

/// What shards see of each other: who sleeps in its ring, who was rung (the flags that the real loop shares), and
/// the thieves.
pub struct Board {
    pub sleeps: Vec<Cell<bool>>,
    pub rung: Vec<Cell<bool>>,
    pub thieves: RefCell<Thieves>,
    /// Whether the thieves take what they find.
    pub open: Cell<bool>,
}

impl Board {
    pub fn new(shards: usize, thieves: Thieves) -> Rc<Board> {
        let flags = || (0..shards).map(|_| Cell::new(false)).collect();
        let (sleeps, rung) = (flags(), flags());
        Rc::new(Board { sleeps, rung, thieves: RefCell::new(thieves), open: Cell::new(false) })
    }

    /// A moment of the other cores.
    pub fn moment(&self) {
        self.thieves.borrow_mut().moment(self, self.open.get());
    }

    /// Rings those who wait for a store that is back.
    pub fn call(&self, owner: usize, back: Back) {
        for shard in 0..self.sleeps.len() {
            if back.wanted && shard == owner || back.callers & caller_bit(shard) != 0 {
                self.wake(shard);
            }
        }
    }

    /// Rings a shard that sleeps: who takes the flag rings.
    pub fn wake(&self, shard: usize) {
        if self.sleeps[shard].replace(false) {
            self.rung[shard].set(true);
        }
    }
}

/// One connection, as the kernel of its shard sees it.
pub struct Socket {
    pub id: ConnId,
    pub client: usize,
    /// What the client has written, and how much of it the core has got.
    pub up: Vec<u8>,
    pub fed: usize,
    /// The client writes no more.
    pub half_closed: bool,
    /// The client is gone.
    pub aborted: bool,
    eof_told: bool,
    sending: Option<Chunk>,
    /// A buffer that what arrives goes into, and the length that it is to have.
    filling: Option<(Vec<u8>, usize)>,
    paused: bool,
    /// Pieces that were under way when reading was paused or the socket closed.
    late: usize,
    pub closing: bool,
}

/// What a socket has to tell the core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ripe {
    Data,
    Filled,
    Sent,
    Eof,
    Closed,
}

impl Socket {
    /// What may happen next on it.
    pub fn ripe(&self) -> impl Iterator<Item = Ripe> {
        let fills = self.filling.is_some();
        let reads = !fills && !self.eof_told && (!self.paused && !self.closing || self.late > 0);
        let all_fed = self.fed == self.up.len();
        let ends = self.aborted || self.half_closed && all_fed;
        let eof = reads && !self.closing && ends;
        [
            (reads && !all_fed).then_some(Ripe::Data),
            (fills && (!all_fed || ends)).then_some(Ripe::Filled),
            self.sending.is_some().then_some(Ripe::Sent),
            eof.then_some(Ripe::Eof),
            (self.closing && self.sending.is_none()).then_some(Ripe::Closed),
        ]
        .into_iter()
        .flatten()
    }

    /// The next piece that arrives.
    pub fn piece(&mut self, rng: &mut Rng) -> Vec<u8> {
        let left = self.up.len() - self.fed;
        let len = match rng.below(10) {
            0 => 1,
            1..=3 => rng.between(1, left.min(40)),
            4..=6 => rng.between(1, left),
            _ => left,
        };
        self.late = self.late.saturating_sub(1);
        self.fed += len;
        self.up[self.fed - len..self.fed].to_vec()
    }

    /// The buffer that was to be filled, and what has come: mostly a part of what is missing, sometimes more than that (a receive that
    /// was under way brought it), nothing when the peer is gone.
    pub fn take_filled(&mut self, rng: &mut Rng) -> (Vec<u8>, usize) {
        let (mut buf, until) = self.filling.take().expect("ripe");
        if self.fed == self.up.len() || self.aborted && rng.permille(300) {
            return (buf, 0);
        }
        let (late, fed) = (self.late, self.fed);
        let mut piece = self.piece(rng);
        self.late = late;
        if !rng.permille(200) {
            piece.truncate(until - buf.len());
            self.fed = fed + piece.len();
        }
        buf.extend_from_slice(&piece);
        (buf, piece.len())
    }

    /// The peer is told of as gone: the error number.
    pub fn take_eof(&mut self, rng: &mut Rng) -> i32 {
        self.eof_told = true;
        if self.aborted && !self.half_closed { rng.pick(&[0, ECONNRESET]) } else { 0 }
    }

    /// The chunk under way ends: how, and what of it the client sees.
    pub fn take_sent(&mut self, rng: &mut Rng) -> (Chunk, Result<(), i32>, usize) {
        let chunk = self.sending.take().expect("ripe");
        let len = chunk.len();
        if self.aborted {
            return (chunk, Err(rng.pick(&[EPIPE, ECONNRESET])), 0);
        }
        if self.closing && rng.permille(500) {
            return (chunk, Err(ECANCELED), rng.below(len + 1));
        }
        (chunk, Ok(()), len)
    }
}

/// A shard's sockets and clock.
pub struct SimNet {
    sockets: Vec<Option<Socket>>,
    generations: Vec<u64>,
    board: Rc<Board>,
    ticks: Cell<u64>,
    /// DEBUG SLEEP that has not passed yet, in microseconds.
    pub slept_us: u64,
    pub late_pieces: usize,
    pub fill_from: usize,
    /// Where log files are, if there is a log.
    pub disk: Option<Rc<RefCell<Disk>>>,
}

impl SimNet {
    pub fn new(board: Rc<Board>, late_pieces: usize, fill_from: usize) -> SimNet {
        let (sockets, generations, ticks) = (vec![], vec![], Cell::new(0));
        SimNet { sockets, generations, board, ticks, slept_us: 0, late_pieces, fill_from, disk: None }
    }

    /// A new connection of a client.
    pub fn connect(&mut self, client: usize) -> ConnId {
        let free = self.sockets.iter().position(Option::is_none);
        let at = free.unwrap_or(self.sockets.len());
        if free.is_none() {
            self.sockets.push(None);
            self.generations.push(0);
        }
        self.generations[at] += 1;
        let id = ConnId(self.generations[at] << 32 | at as u64);
        self.sockets[at] = Some(Socket {
            id,
            client,
            up: Vec::new(),
            fed: 0,
            half_closed: false,
            aborted: false,
            eof_told: false,
            sending: None,
            filling: None,
            paused: false,
            late: 0,
            closing: false,
        });
        id
    }

    /// The socket of a connection, unless it is gone.
    pub fn socket(&mut self, id: ConnId) -> Option<&mut Socket> {
        self.sockets.get_mut(id.index())?.as_mut().filter(|s| s.id == id)
    }

    /// Forgets a socket whose close has completed.
    pub fn free(&mut self, id: ConnId) {
        self.sockets[id.index()] = None;
    }

    /// All that may happen next.
    pub fn ripe(&self) -> Vec<(ConnId, Ripe)> {
        self.sockets.iter().flatten().flat_map(|s| s.ripe().map(|r| (s.id, r))).collect()
    }

    /// Every socket in a line, for a failure.
    pub fn describe(&self) -> Vec<String> {
        let line = |s: &Socket| {
            let (paused, closing, sends) = (s.paused, s.closing, s.sending.is_some());
            format!("{}/{} fed, paused {paused}, closing {closing}, sends {sends}", s.fed, s.up.len())
        };
        self.sockets.iter().flatten().map(line).collect()
    }

    fn disk(&self) -> std::cell::RefMut<'_, Disk> {
        self.disk.as_ref().expect("there is a log").borrow_mut()
    }

    fn open(&mut self, id: ConnId) -> &mut Socket {
        self.socket(id).filter(|s| !s.closing).expect("the core uses open sockets only")
    }
}

impl Net for SimNet {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        assert!(!chunk.is_empty(), "a send of nothing");
        let before = self.open(conn).sending.replace(chunk);
        assert!(before.is_none(), "a second send while one is under way");
    }

    fn fill_from(&self) -> usize {
        self.fill_from
    }

    fn fill(&mut self, conn: ConnId, buf: Vec<u8>, until: usize) {
        let socket = self.open(conn);
        assert!(!socket.paused && !socket.eof_told, "filled from a socket that is not read");
        assert!(buf.len() < until && until <= buf.capacity(), "{} of {until} bytes", buf.len());
        let before = socket.filling.replace((buf, until));
        assert!(before.is_none(), "a second buffer while one is under way");
    }

    fn pause_recv(&mut self, conn: ConnId) {
        let late = self.late_pieces;
        let socket = self.open(conn);
        assert!(!socket.paused, "paused twice");
        (socket.paused, socket.late) = (true, late);
    }

    fn resume_recv(&mut self, conn: ConnId) {
        let socket = self.open(conn);
        assert!(socket.paused, "resumed without a pause");
        (socket.paused, socket.late) = (false, 0);
    }

    fn close(&mut self, conn: ConnId) {
        let late = self.late_pieces;
        let socket = self.open(conn);
        (socket.closing, socket.late, socket.filling) = (true, late, None);
    }

    fn wake(&mut self, shard: usize) {
        self.board.wake(shard);
    }

    fn write_file(&mut self, write: FileWrite) {
        self.disk().write(write);
    }

    fn sync_file(&mut self, file: FileId) {
        self.disk().sync(file);
    }

    fn close_file(&mut self, file: FileId) {
        self.disk().close(file);
    }
}

impl World for SimNet {
    fn ticks_ns(&self) -> u64 {
        self.ticks.set(self.ticks.get() + TICK_NS);
        self.board.moment();
        self.ticks.get()
    }

    fn sleep_us(&mut self, us: u64) {
        self.slept_us += us;
    }
}
