//! Histories of a real process: many clients over sockets, some of them killed at any moment, checked as those of the simulation are
//! (`tests/history`).
//!
//! ```text
//! round   what has to be there ─ clients, each in a thread, and one who kills ─ all gone ─ what is left ─ the checks
//! killed  the client closes its socket, within a request too ─ CLIENT KILL ─ it says that it asks no more
//! ```
//! Time is a counter that all threads share: a client takes a number before it writes a request and after it has read a reply, so the
//! interval that the checks see holds the true one. Threads do what they want, so a seed draws the same requests again, not the same run.
//!
//! `KRING_HISTORY_SECS=600 cargo test --release --test it histories` is the long form: so many seconds each.

use crate::client::PATIENCE;
use crate::history::client::{Link, Op};
use crate::history::ends::{self, Found};
use crate::history::rng::Rng;
use crate::history::script::{self, Author, Request, Topics};
use crate::server::{Server, wait_until};
use kring::ring::net::ConnId;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long each test goes on, unless the environment says otherwise.
const SHORT: Duration = Duration::from_secs(3);
/// Rounds at least, on a busy machine too.
const ROUNDS_MIN: u64 = 3;
/// How long a client looks for replies before it does something else.
const GLANCE: Duration = Duration::from_millis(1);
/// Glances in vain, at one who waits for a queue, after which it may lose patience.
const PATIENT_FOR: usize = 20;
/// A shard's clock is that of its turn, which may have begun so much earlier on a busy machine; none is ahead by more than this.
const BEHIND_MS: i64 = 2_000;
const AHEAD_MS: i64 = 20;
/// The pause between two kills.
const KILL_EVERY: Duration = Duration::from_millis(4);

/// What one round is like.
struct Plan {
    seed: u64,
    topics: Topics,
    clients: usize,
    budget: usize,
    burst: usize,
    depth: usize,
    /// Per thousand moves of a client: it vanishes.
    drops: usize,
    kills: bool,
}

impl Plan {
    fn random(seed: u64) -> Plan {
        let mut rng = Rng::new(seed);
        let sweeps = rng.permille(250);
        let topics = Topics {
            counters: rng.between(1, 3),
            groups: rng.between(1, 3),
            width: rng.between(2, 6),
            names: rng.between(2, 5),
            accounts: rng.between(2, 6),
            transactions: rng.pick(&[0, 200, 500]),
            queues: rng.pick(&[0, 1, 3, 6]),
            mixed: rng.permille(600),
            fifo: rng.permille(500),
            timed: true,
            sweeps,
            pauses: rng.pick(&[0, 0, 5]),
            configs: rng.pick(&[0, 20]),
            reports: rng.pick(&[0, 20]),
            saves: rng.pick(&[0, 2]),
            naps: rng.pick(&[0, 0, 2]),
            peeps: rng.pick(&[0, 300]),
            mortals: rng.pick(&[0, 300]),
            ..Topics::default()
        };
        Plan {
            seed,
            topics,
            clients: rng.between(2, 10),
            budget: rng.between(50, 400),
            burst: rng.pick(&[1, 4, 20]),
            depth: rng.pick(&[1, 8, 40]),
            drops: rng.pick(&[0, 5, 20]),
            kills: rng.permille(600),
        }
    }
}

/// What the threads of a round share.
struct Round<'a> {
    plan: &'a Plan,
    addr: SocketAddr,
    /// The time: everybody takes numbers of it.
    clock: AtomicU64,
    /// Connections that the server closed for no reason of their own, and kills that were asked for.
    cut_off: AtomicU64,
    kills: AtomicU64,
    over: AtomicBool,
}

impl Round<'_> {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst)
    }
}

/// A client, from one connection to the next.
struct Caller<'a> {
    round: &'a Round<'a>,
    at: usize,
    rng: Rng,
    author: Author,
    ops: Vec<Op>,
    budget: usize,
    socket: TcpStream,
    link: Link,
}

impl<'a> Caller<'a> {
    fn new(round: &'a Round<'a>, at: usize) -> Caller<'a> {
        let rng = Rng::new(round.plan.seed ^ (at as u64 + 1) << 40);
        let (author, budget) = (Author::new(at), round.plan.budget);
        let (socket, link) = (connect(round.addr), Link::new(0, ConnId(0), 0));
        Caller { round, at, rng, author, ops: vec![], budget, socket, link }
    }

    /// Asks all that it has to ask: its part of the history.
    fn run(mut self) -> Vec<Op> {
        let mut quiet_since = Instant::now();
        let mut glances = 0;
        while self.budget > 0 || !self.link.waiting.is_empty() {
            if self.rng.permille(self.round.plan.drops) {
                self.vanish();
                continue;
            }
            let asks = !self.link.ended && self.budget > 0 && self.link.waiting.len() < self.round.plan.depth;
            if asks && self.rng.permille(600) {
                self.ask();
            }
            if self.listen() {
                (quiet_since, glances) = (Instant::now(), 0);
                continue;
            }
            glances += 1;
            let waits = self.link.waiting.front().is_some_and(|(op, _)| self.ops[*op].waits());
            if waits && !self.link.ended && glances > PATIENT_FOR && self.rng.permille(100) {
                self.half_close();
            }
            let stuck = quiet_since.elapsed() > PATIENCE && !self.link.waiting.is_empty() && !waits;
            let owed: Vec<&Op> = self.link.waiting.iter().map(|(op, _)| &self.ops[*op]).collect();
            assert!(!stuck, "client {} is stuck; it is owed {owed:#?}", self.at);
        }
        self.say_goodbye(quiet_since);
        self.ops
    }

    /// Writes some requests.
    fn ask(&mut self) {
        let burst = self.rng.between(1, self.round.plan.burst).min(self.budget);
        self.budget -= burst;
        let mut bytes = Vec::new();
        for _ in 0..burst {
            for Request { bytes: more, text, what } in
                self.author.next(&mut self.rng, &self.round.plan.topics)
            {
                bytes.extend(more);
                self.note(text, what);
            }
        }
        self.write(&bytes);
    }

    /// A request is about to be written.
    fn note(&mut self, text: String, what: crate::history::client::What) {
        self.link.written += 1;
        self.link.waiting.push_back((self.ops.len(), self.link.written));
        self.ops.push(Op::new(text, what, self.at, self.link.number));
    }

    /// From now on the server may have all that is asked.
    fn invoke(&mut self) {
        let now = self.round.now();
        self.link.fed(self.link.written, &mut self.ops, now, unix_ms() - BEHIND_MS);
    }

    /// Writes bytes, and reads on while the server takes none.
    fn write(&mut self, bytes: &[u8]) {
        let connection = self.link.number;
        self.invoke();
        let mut at = 0;
        while at < bytes.len() && self.link.number == connection {
            match self.socket.write(&bytes[at..]) {
                Ok(n) => at += n,
                Err(e) if is_late(&e) => {
                    self.listen();
                }
                Err(_) => return self.was_cut_off(),
            }
        }
    }

    /// Takes what has come; whether anything has.
    fn listen(&mut self) -> bool {
        let mut chunk = [0; 16 << 10];
        match self.socket.read(&mut chunk) {
            Ok(0) => self.was_cut_off(),
            Ok(n) => {
                let now = self.round.now();
                self.link.receive(&chunk[..n], &mut self.ops, now, unix_ms() + AHEAD_MS);
            }
            Err(e) if is_late(&e) => return false,
            Err(_) => self.was_cut_off(),
        }
        true
    }

    /// The server has closed the connection.
    fn was_cut_off(&mut self) {
        if !self.link.ended_well(&self.ops) {
            self.round.cut_off.fetch_add(1, SeqCst);
        }
        self.reconnect();
    }

    fn reconnect(&mut self) {
        self.link = Link::new(0, ConnId(0), self.link.number + 1);
        self.socket = connect(self.round.addr);
        self.author.reconnect();
    }

    /// Goes away, perhaps in the middle of a request.
    fn vanish(&mut self) {
        if self.rng.permille(500) && !self.link.ended {
            let mut bytes = Vec::new();
            for Request { bytes: more, text, what } in
                self.author.next(&mut self.rng, &self.round.plan.topics)
            {
                bytes.extend(more);
                self.note(text, what);
            }
            self.invoke();
            let some = self.rng.below(bytes.len() + 1);
            // What cannot be written now is not asked.
            let _ = self.socket.write(&bytes[..some]);
        }
        self.reconnect();
    }

    fn half_close(&mut self) {
        self.link.ended = true;
        // Who is cut off already notices when it reads.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Its last request, if it has one; then the server closes.
    fn say_goodbye(&mut self, since: Instant) {
        let connection = self.link.number;
        if !self.link.ended
            && let Some(Request { bytes, text, what }) =
                script::goodbye(&mut self.rng, &self.round.plan.topics)
        {
            self.note(text, what);
            self.write(&bytes);
            self.link.ended = self.link.number == connection;
        } else if !self.link.ended {
            self.half_close();
        }
        while self.link.number == connection {
            self.listen();
            assert!(since.elapsed() < 2 * PATIENCE, "the server does not close client {}", self.at);
        }
    }
}

fn unix_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).unwrap_or_else(|e| panic!("cannot connect: {e}"));
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(GLANCE)).unwrap();
    socket.set_write_timeout(Some(GLANCE)).unwrap();
    socket
}

/// Kills clients, one after the other, until the round is over.
fn kill(server: &Server, round: &Round<'_>) {
    let mut rng = Rng::new(round.plan.seed ^ 0x6b11);
    let mut own = server.connect();
    while round.plan.kills && !round.over.load(SeqCst) {
        let (list, me) = (own.run("CLIENT LIST").text(), own.run("CLIENT ID").int());
        let ids = list.lines().filter_map(|line| line.split(' ').next()?.strip_prefix("id="));
        let ids: Vec<&str> = ids.filter(|id| *id != me.to_string()).collect();
        if !ids.is_empty() {
            // Counted before, so that no client notices a kill that nobody has counted.
            round.kills.fetch_add(1, SeqCst);
            own.run(&format!("CLIENT KILL ID {}", rng.pick(&ids)));
        }
        std::thread::sleep(KILL_EVERY);
    }
}

/// One round: how many requests were made.
fn round(server: &Server, plan: &Plan) -> usize {
    let ask = |requests: Vec<Vec<String>>| -> Vec<Vec<u8>> {
        let mut client = server.connect();
        requests.iter().map(|words| client.raw_of(&words.join(" "))).collect()
    };
    server.connect().ok("FLUSHALL");
    ask(ends::setup(&plan.topics));
    let (cut_off, kills, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let shared = Round { plan, addr: server.addr(), clock: AtomicU64::new(1), cut_off, kills, over };
    let ops: Vec<Op> = std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill(server, &shared));
        let clients: Vec<_> = (0..plan.clients)
            .map(|at| {
                let shared = &shared;
                scope.spawn(move || Caller::new(shared, at).run())
            })
            .collect();
        let ops: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        shared.over.store(true, SeqCst);
        killer.join().unwrap();
        ops.into_iter().flat_map(|ops| ops.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut last = server.connect();
    wait_until("only one client is there", || last.run("CLIENT LIST").text().lines().count() == 1);
    let (cut_off, kills) = (shared.cut_off.load(SeqCst), shared.kills.load(SeqCst));
    assert!(cut_off <= kills, "{cut_off} clients were cut off, and {kills} killed");
    let found = Found::read(&plan.topics, &ask(ends::looks(&plan.topics)));
    ends::check_all(&ops, &plan.topics, &found);
    ops.len()
}

/// Says which seed failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nthe round of seed {}\n", self.0);
        }
    }
}

/// Rounds for as long as is wanted.
fn rounds(shards: usize, args: &[&str]) {
    let secs = std::env::var("KRING_HISTORY_SECS").ok().map(|secs| secs.parse().expect("seconds"));
    let until = Instant::now() + secs.map_or(SHORT, Duration::from_secs);
    let all = [&["--enable-debug-command", "yes"], args].concat();
    let server = Server::kring(shards, &all);
    let first = crate::rng::seed() ^ (shards as u64) << 32;
    let (mut ops, mut seed) = (0, first);
    while Instant::now() < until || seed < first + ROUNDS_MIN {
        let _banner = Seed(seed);
        ops += round(&server, &Plan::random(seed));
        seed += 1;
    }
    println!("{shards} shards {args:?}: {} rounds, {ops} requests", seed - first);
}

#[test]
fn histories_of_one_shard_are_linear() {
    rounds(1, &[]);
}

#[test]
fn histories_of_two_shards_are_linear() {
    rounds(2, &[]);
}

#[test]
fn histories_of_four_shards_are_linear() {
    rounds(4, &[]);
}

/// Without borrowing every foreign command goes by mail, and several stores by loan.
#[test]
fn histories_by_mail_alone_are_linear() {
    rounds(4, &["--borrow", "no", "--take-spin-ns", "0"]);
}
