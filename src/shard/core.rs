//! The core of a shard: its state, and the calls by which its driver tells it what happened.

use super::batch::Batch;
use super::build::Delivery;
use super::connections::{Conn, Input, Peer, Waits};
use super::cron::Cron;
use super::evict::Room;
use super::gate::Gate;
use super::heads::Heads;
use super::hold::Hold;
use super::log::LogWriter;
use super::mail::Chore;
use super::orders::{Nap, Parked};
use super::planted::Planted;
use super::policy::Policy;
use super::replay::Stream;
use super::rewrite::Rewriter;
use super::saves::{SAVER, Saver};
use super::shared::Shared;
use super::tallies::Tallies;
use super::walk::Walk;
use super::{Job, Letter};
use crate::base::prng;
use crate::base::time::Now;
use crate::cmd::{Order, PauseMode, Session};
use crate::config::Config;
use crate::ring::net::{Chunk, ConnId, World};
use crate::store::{Hand, ShardSet};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Reply buffers that are kept for reuse, and the largest that is.
const SPARE_MAX: usize = 512;
const SPARE_BYTES_MAX: usize = 64 * 1024;
/// Letters to itself that a shard handles in one turn.
const OWN_LETTERS_PER_TURN: usize = 256;
/// A request buffer at least this large is worth asking the allocator to give memory back.
const PURGE_FROM: usize = 4 << 20;
/// How many connections with requests in hand run in one turn, one batch each.
const READY_PER_TURN: usize = 256;

/// What a client hears when `maxclients` are served already.
const TOO_MANY: &str = "-ERR max number of clients reached\r\n";
/// What a client of another machine hears while there is no password.
const PROTECTED: &str = "-DENIED kring is running in protected mode: it has no password, so it serves this machine's own \
    clients only. To serve others: set a password (requirepass in the configuration file, or CONFIG SET requirepass), or turn \
    protected mode off (protected-mode no) if no untrusted host can reach this one.\r\n";

/// A shard without its ring.
pub struct Core {
    pub(super) id: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) config: Arc<Config>,
    pub(super) policy: Policy,
    /// How uses of keys are noted, with this turn's clock.
    pub(super) access: crate::store::Policy,
    pub(super) now: Now,
    pub(super) conns: Vec<Option<Box<Conn>>>,
    pub(super) hand: Hand,
    pub(super) batch: Batch,
    pub(super) heads: Heads,
    /// Requests of other connections follow at once, and stores stay in hand for them.
    pub(super) in_burst: bool,
    /// Connections of whose requests more than a little may be missing.
    pub(super) to_fill: Vec<ConnId>,
    /// Jobs at this owner, in order; the first waits for the store.
    pub(super) waiting: VecDeque<Box<Job>>,
    /// Reports that were asked for and need the store.
    pub(super) asks: VecDeque<(usize, u64, u32)>,
    /// What others want done in this shard's store.
    pub(super) chores: VecDeque<Chore>,
    /// Connections with requests in hand.
    pub(super) ready: VecDeque<ConnId>,
    /// Connections with replies to send.
    pub(super) dirty: Vec<ConnId>,
    /// Connections that wait for a store, each with its shard.
    pub(super) put_off: Vec<(ConnId, usize)>,
    /// Shards that held a store for longer than a spin, and have put none back since.
    pub(super) away: ShardSet,
    /// The other shards on this one's core.
    pub(super) siblings: ShardSet,
    /// Connections that wait for locked keys.
    pub(super) locked_out: Vec<ConnId>,
    /// Connections that CLIENT PAUSE holds.
    pub(super) paused: Vec<ConnId>,
    pub(super) pause: Option<(i64, PauseMode)>,
    /// When waits end, on the monotonic clock in microseconds.
    pub(super) deadlines: BTreeSet<(u64, ConnId)>,
    /// The session of commands that are run again after a wait.
    pub(super) stand_in: Option<Box<Session>>,
    pub(super) outbox: Vec<(usize, Letter)>,
    /// Letters of this shard to itself, for its own turn.
    pub(super) own_mail: VecDeque<Letter>,
    pub(super) parked: HashMap<u64, Parked>,
    pub(super) next_ticket: u64,
    pub(super) naps: VecDeque<Nap>,
    pub(super) spare: Vec<Vec<u8>>,
    pub(super) tallies: Tallies,
    pub(super) cron: Cron,
    /// The bound on memory.
    pub(super) room: Room,
    pub(super) active_expire: bool,
    /// DEBUG QUICKLIST-PACKED-THRESHOLD; 0: none is set.
    pub(super) packed_from: u32,
    /// What keeps commands out in this turn.
    pub(super) gate: Gate,
    /// Entries of a snapshot to build.
    pub(super) deliveries: VecDeque<Delivery>,
    /// Files of a log that are replayed.
    pub(super) streams: Vec<Stream>,
    /// A snapshot's walk under way.
    pub(super) walk: Option<Walk>,
    /// Commands are held back while the server is shut down or reloaded.
    pub(super) is_halted: bool,
    /// The log of this shard, and what replies of the batch under way wait for in all of them.
    pub(super) log: LogWriter,
    pub(super) hold: Hold,
    /// Connections with replies that wait for the disk.
    pub(super) held: Vec<ConnId>,
    /// Connections that wait for the log to be on the disk (WAITAOF), and how far.
    pub(super) for_disk: Vec<(ConnId, Hold)>,
    /// Used by one shard only.
    pub(super) saver: Saver,
    pub(super) rewriter: Rewriter,
    /// CONFIG RESETSTAT came: the store's counters start anew.
    pub(super) reset_tally: bool,
    pub(super) random: u64,
    last_placed: usize,
    /// DEBUG CHANGE-REPL-ID; empty: the run id.
    pub(super) repl_id: Arc<str>,
}

impl Core {
    /// Shard `id` of those that share `shared`.
    pub fn new(id: usize, shared: Arc<Shared>, config: Arc<Config>, now: Now) -> Core {
        let route = shared.route;
        let tallies = Tallies::new(shared.registry.len(), &config, now);
        Core {
            id,
            policy: Policy::new(&config, route.shards()),
            access: super::tallies::access_policy(&config, now),
            now,
            conns: Vec::new(),
            hand: Hand::new(route),
            batch: Batch::default(),
            heads: Heads::default(),
            in_burst: false,
            to_fill: Vec::new(),
            waiting: VecDeque::new(),
            asks: VecDeque::new(),
            chores: VecDeque::new(),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            put_off: Vec::new(),
            away: ShardSet::EMPTY,
            siblings: super::lend::siblings(&shared.server.cores, id),
            locked_out: Vec::new(),
            paused: Vec::new(),
            pause: None,
            deadlines: BTreeSet::new(),
            stand_in: None,
            outbox: Vec::new(),
            own_mail: VecDeque::new(),
            parked: HashMap::new(),
            next_ticket: 0,
            naps: VecDeque::new(),
            spare: Vec::new(),
            tallies,
            cron: Cron::new(now),
            room: Room::new(&config, shared.server.total_memory),
            config,
            active_expire: true,
            packed_from: 0,
            gate: Gate::default(),
            deliveries: VecDeque::new(),
            streams: Vec::new(),
            walk: None,
            is_halted: false,
            log: LogWriter::default(),
            hold: Hold::default(),
            held: Vec::new(),
            for_disk: Vec::new(),
            saver: Saver::default(),
            rewriter: Rewriter::default(),
            reset_tally: false,
            random: prng::seeded(now.wall_us as u64 ^ (id as u64) << 32),
            last_placed: route.shards() - 1,
            repl_id: Arc::from(""),
            shared,
        }
    }

    /// The configuration in force here.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// A turn begins at this time.
    pub fn begin_turn(&mut self, now: Now) {
        self.now = now;
        self.room.now = now;
        self.access.frozen = self.pause.is_some();
        self.access.clock = crate::store::lru::stamp(now, self.access.fine);
        self.tell_strict();
        self.access.now = now;
        self.look_at_gate();
        self.tallies.counters.turns += 1;
    }

    /// A turn took so long.
    pub fn end_turn(&mut self, ns: u64) {
        self.tallies.counters.turn_ns += ns;
    }

    /// Shard 0 tells what `appendfsync` is: it decides whether replies wait for the disk.
    pub(super) fn tell_strict(&self) {
        if self.id == SAVER {
            self.shared.saves.log.set_always(self.config.appendfsync == "always");
        }
    }

    /// The acceptor has a new connection: the shard that shall serve it, which is counted, or why nobody does.
    pub fn place(&mut self, peer: &Peer) -> Result<usize, &'static str> {
        if self.shared.connected() >= self.config.maxclients as usize {
            self.tallies.counters.rejected_connections += 1;
            return Err(TOO_MANY);
        }
        if self.config.protected_mode && self.config.requirepass.is_empty() && !peer.local {
            self.tallies.counters.rejected_connections += 1;
            return Err(PROTECTED);
        }
        let shard = self.shared.least_connected(self.last_placed);
        self.last_placed = shard;
        self.shared.connections[shard].fetch_add(1, Ordering::Relaxed);
        Ok(shard)
    }

    /// A connection to serve. The acceptor has counted it.
    pub fn open(&mut self, conn: ConnId, peer: Peer) {
        let id = self.shared.next_client.fetch_add(1, Ordering::Relaxed);
        let mut session = Box::new(Session::new(id, self.now.secs()));
        session.authenticated = self.config.requirepass.is_empty();
        (session.addr, session.laddr) = (peer.addr, peer.laddr);
        (session.fd, session.unix, session.local) = (peer.fd, peer.unix, peer.local);
        let at = conn.index();
        if self.conns.len() <= at {
            self.conns.resize_with(at + 1, || None);
        }
        assert!(self.conns[at].is_none(), "a connection is open at most once");
        self.conns[at] = Some(Box::new(Conn::new(conn, session)));
        self.count_client(conn);
        self.tallies.counters.connections += 1;
    }

    /// The connection of an id, unless it is gone.
    pub(super) fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        if id.is_stream() {
            return self.stream_conn(id);
        }
        self.conns.get_mut(id.index())?.as_deref_mut().filter(|c| c.id == id)
    }

    /// Bytes arrived.
    pub fn data(&mut self, net: &mut dyn World, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.count_arrival(id, bytes.len()) else { return };
        if conn.may_run() && conn.input.is_none() {
            return self.run_in_place(net, id, bytes);
        }
        if self.in_burst {
            // What comes now may take memory, or close the connection.
            self.put_back(net);
        }
        let Some(conn) = self.conn(id) else { return };
        Core::input_of(conn).push(bytes);
        self.run_arrived(net, id);
        self.note_missing(id);
    }

    /// So many bytes have come from the peer: the connection, if they are of use.
    #[inline]
    pub(super) fn count_arrival(&mut self, id: ConnId, bytes: usize) -> Option<&mut Conn> {
        self.tallies.counters.net_input += bytes as u64;
        self.tallies.counters.reads += 1;
        let now_secs = self.now.secs();
        let conn = self.conn(id).filter(|conn| !conn.closing && !conn.closed)?;
        conn.note_use(now_secs);
        if let Some(session) = &mut conn.session {
            session.net_in += bytes as u64;
        }
        Some(conn)
    }

    /// Runs requests to which something was added, if they may run.
    pub(super) fn run_arrived(&mut self, net: &mut dyn World, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        let Some(input) = &conn.input else { return };
        let complete = input.buf.len() >= input.want;
        let runs = conn.may_run() && complete;
        self.count_client(id);
        if runs {
            // A request that is too long does not run because it has come to its end.
            self.check_input(net, id);
            if self.conn(id).is_some_and(|conn| conn.may_run()) {
                self.run_input(net, id);
            }
        }
        if self.planted(Planted::RunAhead) {
            self.run_ahead(net, id);
        }
        self.check_input(net, id);
    }

    /// The peer sends no more, or the socket failed.
    pub fn eof(&mut self, net: &mut dyn World, id: ConnId, errno: i32) {
        let Some(conn) = self.conn(id) else { return };
        conn.eof = true;
        if errno != 0 {
            return self.close(net, id);
        }
        self.close_if_done(net, id);
    }

    /// A chunk is out, or has failed.
    pub fn sent(&mut self, net: &mut dyn World, id: ConnId, chunk: Chunk, result: Result<(), i32>) {
        let len = chunk.len();
        self.recycle(chunk.into_buffer());
        if result.is_ok() {
            self.tallies.counters.net_output += len as u64;
            self.tallies.counters.writes += 1;
        }
        let now_secs = self.now.secs();
        let Some(conn) = self.conn(id) else { return };
        conn.sending = 0;
        if result.is_ok() {
            conn.note_use(now_secs);
        }
        if let (Ok(()), Some(session)) = (result, &mut conn.session) {
            session.net_out += len as u64;
        }
        if result.is_err() {
            return self.close(net, id);
        }
        if !conn.out.is_empty() || !conn.chunks.is_empty() {
            self.mark_dirty(id);
        } else if conn.waits == Waits::Reader {
            conn.waits = Waits::Nothing;
            self.mark_ready(id);
        }
        self.close_if_done(net, id);
    }

    /// A connection that was closed is gone for good.
    pub fn closed(&mut self, id: ConnId) {
        if self.conn(id).is_none() {
            return;
        }
        self.forget_client(id);
        self.conns[id.index()] = None;
        self.shared.connections[self.id].fetch_sub(1, Ordering::Relaxed);
    }

    /// Runs what is ready: jobs that wait, connections with requests in hand, timers.
    pub fn work(&mut self, net: &mut dyn World) {
        self.nap(net);
        self.go_on();
        for _ in 0..OWN_LETTERS_PER_TURN {
            let Some(letter) = self.own_mail.pop_front() else { break };
            self.mail(net, letter);
        }
        self.serve_waiting(net);
        self.build(net);
        self.replay(net);
        for _ in 0..self.ready.len().min(READY_PER_TURN) {
            let Some(id) = self.ready.pop_front() else { break };
            let Some(conn) = self.conn(id) else { continue };
            conn.in_ready = false;
            if conn.may_run() {
                self.run_input(net, id);
                self.check_input(net, id);
                self.note_missing(id);
            }
            self.close_if_done(net, id);
        }
        if !self.to_fill.is_empty() {
            self.fill(net);
        }
        self.tick(net);
        self.write_log(net);
    }

    /// Whether there is work that no event announces.
    pub fn is_busy(&self) -> bool {
        !self.ready.is_empty()
            || !self.dirty.is_empty()
            || !self.to_fill.is_empty()
            || !self.naps.is_empty()
            || !self.own_mail.is_empty()
            || !self.outbox.is_empty()
            || self.cron.is_busy()
            || self.room.is_busy()
            || !self.deliveries.is_empty()
            || self.has_news_of_log()
            || self.has_replay()
            || self.walk.as_ref().is_some_and(|walk| walk.next_us() <= self.now.mono_us)
    }

    /// Whether nothing is under way here: no job, report, order, letter or reply.
    pub fn is_quiet(&self) -> bool {
        !self.is_busy()
            && !self.wants_store()
            && self.parked.is_empty()
            && self.streams.is_empty()
            && self.put_off.is_empty()
            && self.walk.is_none()
            && !self.saver.is_busy()
            && self.hand.held() == 0
            && self.conns.iter().all(Option::is_none)
    }

    /// Whether a connection waits although its wait is over: then the letter that tells is on its way.
    pub fn expects_word(&self) -> bool {
        self.conns.iter().flatten().any(|conn| conn.blocked.as_ref().is_some_and(|b| b.wait.is_over()))
    }

    /// Whether jobs, reports or chores wait for this shard's store.
    pub fn wants_store(&self) -> bool {
        !self.waiting.is_empty() || !self.asks.is_empty() || !self.chores.is_empty()
    }

    /// Looks once more for the store that jobs wait for, and for those that connections wait for: the last thing before sleeping.
    /// Whether one was there.
    pub fn retry_waiting(&mut self, net: &mut dyn World) -> bool {
        if self.ask_for_calls() {
            return true;
        }
        let want = |core: &Core| core.waiting.len() + core.asks.len() + core.chores.len();
        let before = want(self);
        if before == 0 {
            return false;
        }
        self.serve_waiting(net);
        want(self) < before
    }

    /// Whether letters to other shards wait.
    pub fn has_mail(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Counts wake-ups that were sent.
    pub fn count_wakes(&mut self, wakes: u64) {
        self.tallies.counters.wakes += wakes;
    }

    /// Counts a turn that sleeps.
    pub fn count_sleep(&mut self) {
        self.tallies.counters.sleeps += 1;
    }

    /// Sends a new connection to the shard that shall serve it.
    pub fn hand_over(&mut self, shard: usize, fd: OwnedFd, peer: Peer) {
        self.outbox.push((shard, Letter::Conn { fd, peer }));
    }

    /// All letters to other shards, in order.
    pub fn drain_mail(&mut self) -> std::vec::Drain<'_, (usize, Letter)> {
        self.outbox.drain(..)
    }

    pub(super) fn post(&mut self, to: usize, letter: Letter) {
        if to == self.id {
            // Never handled inside of what sends it: commands that mail to their own shard would nest without bound.
            return self.own_mail.push_back(letter);
        }
        if let Letter::Visit(_) | Letter::Home(_) = letter {
            self.tallies.counters.hops += 1;
        }
        self.outbox.push((to, letter));
    }

    /// A letter arrived.
    pub fn mail(&mut self, net: &mut dyn World, letter: Letter) {
        match letter {
            Letter::Visit(job) => {
                self.waiting.push_back(job);
                self.serve_waiting(net);
            }
            Letter::Home(job) => self.come_home(net, *job),
            Letter::Conn { .. } => unreachable!("the driver adopts connections"),
            Letter::Ask { from, ticket, parts } => {
                self.asks.push_back((from, ticket, parts));
                self.serve_waiting(net);
            }
            Letter::Answer { ticket, report } => self.answered(net, ticket, *report),
            Letter::Sequence { from, ticket, order } => self.sequence(from, ticket, order),
            Letter::Do { from, ticket, order } => {
                if let Order::Sleep(us) = *order {
                    let turn = self.tallies.counters.turns;
                    return self.naps.push_back(Nap { us, from, ticket, turn });
                }
                self.carry_out(net, &order);
                self.post(from, Letter::Done { ticket });
            }
            Letter::Done { ticket } => self.done(net, ticket),
            Letter::Save { from, ticket, order } => self.save_asked(net, (from, ticket), order),
            Letter::Told { ticket, result } => self.told(net, ticket, result),
            Letter::Walk { cut, line } => self.walk(cut, line),
            Letter::Unwalk { cut } => self.unwalk(net, cut),
            Letter::Halt { on } => self.set_halted(on),
            Letter::Halted => self.halted(net),
            Letter::LogTurned { shard, number, end, whole } => {
                self.log_turned(net, (shard, number), end, whole);
            }
            Letter::LogFailed { errno } => self.log_failure(errno),
            Letter::LogClosed => self.log_closed(net),
            Letter::LogTurnFailed => self.log_turn_failed(net),
            Letter::Served { conn, wait, out, left } => self.served(net, conn, wait, *out, left),
            Letter::Unlocked => self.unlocked(net),
            Letter::Chore(chore) => {
                self.chores.push_back(chore);
                self.serve_waiting(net);
            }
        }
    }

    pub(super) fn mark_ready(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        if conn.in_ready || conn.input.is_none() {
            return;
        }
        conn.in_ready = true;
        self.ready.push_back(id);
    }

    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        if conn.in_dirty {
            return;
        }
        conn.in_dirty = true;
        self.dirty.push(id);
    }

    /// Gives a reply buffer back to the pool.
    pub(super) fn recycle(&mut self, buf: Vec<u8>) {
        if buf.capacity() > 0 && buf.capacity() <= SPARE_BYTES_MAX && self.spare.len() < SPARE_MAX {
            self.spare.push(buf);
        }
    }

    /// Closes a connection now; replies that wait are lost.
    pub(super) fn close(&mut self, net: &mut dyn World, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        if conn.closed || self.outlives_its_client(id) {
            return;
        }
        let Some(conn) = self.conn(id) else { return };
        conn.closed = true;
        let input = conn.input.take();
        // A session that is away with a job is looked after when it comes home.
        let session = conn.session.take();
        self.drop_input(input);
        self.close_blocked(id);
        if let Some(mut session) = session {
            self.forget_watches(&mut session);
        }
        self.assert_empty_handed();
        net.close(id);
    }

    /// Closes a connection that has nothing left to do here.
    pub(super) fn close_if_done(&mut self, net: &mut dyn World, id: ConnId) {
        let is_paused = self.pause.is_some();
        let Some(conn) = self.conn(id) else { return };
        if id.is_stream()
            || !(conn.closing || conn.eof)
            || conn.closed
            || conn.in_dirty
            || conn.in_ready
            || conn.owed() > 0
        {
            return;
        }
        // Nobody waits for keys on behalf of a client that is gone; and, as in Redis, what CLIENT PAUSE has held back is not run for it.
        // What is held back for another reason was sent in time.
        let idle = match conn.waits {
            Waits::Nothing | Waits::Block => true,
            Waits::Pause => is_paused,
            Waits::Job | Waits::Store | Waits::Ticket(_) | Waits::Reader | Waits::Lock => false,
        };
        if conn.closing || idle {
            self.close(net, id);
        }
    }

    /// Frees a connection's requests; when they were large, what is free goes back to the kernel soon.
    pub(super) fn drop_input(&mut self, input: Option<Box<Input>>) {
        self.cron.purge |= input.is_some_and(|input| input.room() >= PURGE_FROM);
    }

    /// What the driver is asked for now may take it into the kernel, where nobody goes with a store.
    #[inline]
    pub(super) fn assert_empty_handed(&self) {
        debug_assert_eq!(self.hand.held(), 0, "a store is in hand");
    }

    /// Bounds what a connection has sent and not run.
    pub(super) fn check_input(&mut self, net: &mut dyn World, id: ConnId) {
        if id.is_stream() {
            return;
        }
        let query_limit = self.config.client_query_buffer_limit as usize;
        let backlog = self.config.input_backlog as usize;
        let Some(conn) = self.conn(id) else { return };
        let unread = conn.unread();
        // What waits for its turn only is a backlog, not one request that is too long. From who waits for keys it is read on, as
        // Redis does: else nobody would notice that it is gone.
        let runs = conn.may_run() && !conn.in_ready || conn.waits == Waits::Block;
        if runs && unread > query_limit {
            self.tallies.counters.query_buffer_closed += 1;
            return self.close(net, id);
        }
        let stop = !runs && unread > backlog;
        if stop != conn.recv_paused && !conn.closed && !conn.eof {
            conn.recv_paused = stop;
            self.assert_empty_handed();
            if stop { net.pause_recv(id) } else { net.resume_recv(id) }
        }
    }

    pub(super) fn input_of(conn: &mut Conn) -> &mut Input {
        conn.input.get_or_insert_with(Box::default)
    }
}
