//! One simulated shard: a core and the moves of its loop, as the real loop (`kring::shard::run`) makes them.
//!
//! ```text
//!  Turn ── events and letters, in any number and order
//!   └─> Worked ─> Flushed ─┬─ something to do: Turn
//!                          └─> Dozing (the flag is up; look once more) ─> Asleep ── an event, the bell, a timer: Turn
//! ```
//! Other shards move between any two of these. A shard whom only its timer wakes must not have slept through anything: that
//! check finds lost wake-ups even where time would heal them.

use crate::disk::Landed;
use crate::net::{Board, Ripe, SimNet};
use crate::rng::Rng;
use kring::base::cell::Cell;
use kring::base::time::Now;
use kring::config::Config;
use kring::ring::net::ConnId;
use kring::shard::{BURST, Core, Peer, Shared};
use kring::store::Store;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Turn,
    Worked,
    Flushed,
    Dozing,
    Asleep { until_us: u64 },
}

/// What a move was, as far as it concerns the world.
pub enum Happened {
    Nothing,
    /// The core shall read the letter that waits.
    ReadsMail,
    /// The core shall read the control plane's answer.
    ReadsNotice,
    /// The core has got so many bytes of a connection.
    Fed {
        conn: ConnId,
        client: usize,
        fed: usize,
    },
    /// Reply bytes have come to a client.
    Delivered {
        conn: ConnId,
        client: usize,
        bytes: Vec<u8>,
    },
    /// A connection is gone.
    Closed {
        conn: ConnId,
        client: usize,
    },
}

/// Bytes that a core will be told of: whose they are, and how many of its bytes there are with them.
struct Data {
    conn: ConnId,
    client: usize,
    fed: usize,
    bytes: Vec<u8>,
}

/// A core in its loop.
pub struct Shard {
    id: usize,
    pub core: Core,
    pub net: SimNet,
    board: Rc<Board>,
    phase: Phase,
    /// What has come together with the last event and follows it. Other shards move meanwhile.
    burst: VecDeque<Data>,
    /// When its turn began, as it was told: Unix ms.
    turn_ms: i64,
    /// How much its clock is slow, which no clock should be: to see that the checks notice.
    pub slow_ms: i64,
}

impl Shard {
    pub fn new(
        id: usize,
        shared: &Arc<Shared>,
        config: &Arc<Config>,
        board: &Rc<Board>,
        now: Now,
        (late_pieces, fill_from): (usize, usize),
    ) -> Shard {
        let core = Core::new(id, shared.clone(), config.clone(), now);
        let net = SimNet::new(board.clone(), late_pieces, fill_from);
        let (turn_ms, slow_ms) = (now.ms(), 0);
        let burst = VecDeque::new();
        Shard { id, core, net, board: board.clone(), phase: Phase::Turn, burst, turn_ms, slow_ms }
    }

    /// Takes a connection that the acceptor has placed here.
    pub fn adopt(&mut self, client: usize, peer: Peer) -> ConnId {
        let id = self.net.connect(client);
        self.core.open(id, peer);
        id
    }

    /// Whether nothing is under way here.
    pub fn is_quiet(&self) -> bool {
        self.burst.is_empty() && self.core.is_quiet() && self.net.ripe().is_empty()
    }

    /// What is under way, for a failure.
    pub fn describe(&self) -> String {
        let (quiet, wants) = (self.core.is_quiet(), self.core.wants_store());
        format!(
            "shard {} in {:?}: quiet {quiet}, wants its store {wants}, sockets {:?}",
            self.id,
            self.phase,
            self.net.describe()
        )
    }

    /// One move.
    pub fn step(
        &mut self,
        rng: &mut Rng,
        now: Now,
        mail: bool,
        notice: bool,
        cell: &Cell<Store>,
    ) -> Happened {
        match self.phase {
            Phase::Turn => return self.turn(rng, mail, notice),
            Phase::Worked => {
                self.core.flush(&mut self.net);
                self.phase = Phase::Flushed;
            }
            Phase::Flushed if mail || self.core.is_busy() => self.begin(now),
            Phase::Flushed => {
                self.board.sleeps[self.id].set(true);
                self.phase = Phase::Dozing;
            }
            Phase::Dozing => {
                if mail || self.core.retry_waiting(&mut self.net) || self.core.is_busy() {
                    self.begin(now);
                } else {
                    self.phase = Phase::Asleep { until_us: now.mono_us + self.core.deadline_us() };
                }
            }
            Phase::Asleep { until_us } => {
                if self.board.rung[self.id].get() || notice || !self.net.ripe().is_empty() || self.landing() {
                    self.begin(now);
                } else if now.mono_us >= until_us {
                    assert!(!mail, "shard {} slept through a letter", self.id);
                    assert!(!self.core.keeps_waiting(), "shard {} slept while a store was back", self.id);
                    let overslept = self.core.holds_for_nothing();
                    assert!(
                        !overslept,
                        "shard {} slept while what its replies wait for was on the disk",
                        self.id
                    );
                    let store = if self.core.wants_store() { cell.take_as_owner() } else { None };
                    assert!(
                        store.is_none(),
                        "shard {} slept while the store it waits for was there",
                        self.id
                    );
                    self.begin(now);
                }
            }
        }
        Happened::Nothing
    }

    fn begin(&mut self, now: Now) {
        self.board.sleeps[self.id].set(false);
        self.board.rung[self.id].set(false);
        self.turn_ms = now.ms();
        self.core.begin_turn(Now { wall_us: now.wall_us - self.slow_ms * 1_000, ..now });
        self.phase = Phase::Turn;
    }

    /// What its clock shows, or will show when it runs anything next.
    pub fn clock_ms(&self, now: Now) -> i64 {
        if let Phase::Asleep { .. } = self.phase { now.ms() } else { self.turn_ms }
    }

    /// Whether something of a log file may end now.
    fn landing(&self) -> bool {
        self.net.disk.as_ref().is_some_and(|disk| disk.borrow().is_ripe(self.id))
    }

    fn land(&mut self) {
        let disk = self.net.disk.clone().expect("it was ripe");
        let landed = disk.borrow_mut().land(self.id);
        match landed {
            Landed::Written(write, result) => self.core.written(&mut self.net, write, result),
            Landed::Synced(file, result) => self.core.synced(&mut self.net, file, result),
        }
    }

    /// An event, a letter, or the end of the turn.
    fn turn(&mut self, rng: &mut Rng, mail: bool, notice: bool) -> Happened {
        if let Some(data) = self.burst.pop_front() {
            let happened = self.data(data);
            if self.burst.is_empty() {
                self.core.end_burst(&mut self.net);
            }
            return happened;
        }
        let ripe = self.net.ripe();
        let at = rng.below(8);
        let landing = self.landing();
        if at == 0 || ripe.is_empty() && !mail && !notice && !landing {
            self.core.work(&mut self.net);
            self.phase = Phase::Worked;
            return Happened::Nothing;
        }
        if landing && (at == 2 || at == 3) {
            self.land();
            return Happened::Nothing;
        }
        if notice && at == 1 {
            return Happened::ReadsNotice;
        }
        if mail && (at < 4 || ripe.is_empty()) {
            return Happened::ReadsMail;
        }
        if ripe.is_empty() {
            return Happened::Nothing;
        }
        let (conn, event) = rng.pick(&ripe);
        if event == Ripe::Data && rng.below(2) == 0 {
            let others = ripe.iter().filter(|other| other.1 == Ripe::Data && other.0 != conn);
            let burst = [conn].into_iter().chain(others.map(|other| other.0)).take(BURST);
            self.burst = burst.filter_map(|conn| self.arrived(rng, conn)).collect();
            self.core.expect(&mut self.net, self.burst.iter().map(|data| (data.conn, data.bytes.as_slice())));
            return Happened::Nothing;
        }
        self.event(rng, conn, event)
    }

    /// What comes next of a connection.
    fn arrived(&mut self, rng: &mut Rng, conn: ConnId) -> Option<Data> {
        let socket = self.net.socket(conn)?;
        let bytes = socket.piece(rng);
        Some(Data { conn, client: socket.client, fed: socket.fed, bytes })
    }

    fn data(&mut self, data: Data) -> Happened {
        let Data { conn, client, fed, bytes } = data;
        self.core.data(&mut self.net, conn, &bytes);
        Happened::Fed { conn, client, fed }
    }

    fn event(&mut self, rng: &mut Rng, conn: ConnId, event: Ripe) -> Happened {
        let Some(socket) = self.net.socket(conn) else { return Happened::Nothing };
        let client = socket.client;
        match event {
            Ripe::Data => {
                let data = self.arrived(rng, conn);
                data.map_or(Happened::Nothing, |data| self.data(data))
            }
            Ripe::Filled => {
                let (buf, came) = socket.take_filled(rng);
                let fed = socket.fed;
                self.core.received(&mut self.net, conn, buf, came);
                Happened::Fed { conn, client, fed }
            }
            Ripe::Sent => {
                let (chunk, result, seen) = socket.take_sent(rng);
                let bytes = chunk.bytes()[..seen].to_vec();
                self.core.sent(&mut self.net, conn, chunk, result);
                Happened::Delivered { conn, client, bytes }
            }
            Ripe::Eof => {
                let errno = socket.take_eof(rng);
                self.core.eof(&mut self.net, conn, errno);
                Happened::Nothing
            }
            Ripe::Closed => {
                self.core.closed(conn);
                self.net.free(conn);
                Happened::Closed { conn, client }
            }
        }
    }
}
