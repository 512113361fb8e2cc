//! A world for cores without sockets: replies are taken and handed back, wake-ups are nothing. Shared by the benches and by
//! tests/no_alloc.rs, each of which needs a part of it.

#![allow(dead_code, reason = "each user needs a part")]

#[path = "../../tests/doubles/nobody.rs"]
mod nobody;

use kring::base::time::Now;
use kring::cmd::ServerInfo;
use kring::config::Config;
use kring::ring::{Chunk, Clock, ConnId, Net, World};
use kring::shard::{BURST, Core, Peer, Shared};
use nobody::Nobody;
use std::sync::Arc;

/// Whether this is a run of `cargo bench`; else one of `cargo test`, which wants a tiny one.
pub fn is_bench() -> bool {
    std::env::args().any(|a| a == "--bench")
}

/// The numbers on the command line.
pub fn numbers() -> impl Iterator<Item = u64> {
    std::env::args().skip(1).filter_map(|a| a.parse().ok())
}

/// Takes replies.
pub struct Sink {
    clock: Clock,
    sent: Vec<(ConnId, Chunk)>,
    /// Reply bytes taken so far.
    pub bytes: u64,
    /// The last chunk's first bytes, to see that replies are what they should be.
    pub last: [u8; 16],
}

impl Sink {
    /// A world of its own.
    pub fn new() -> Sink {
        Sink { clock: Clock::calibrate(), sent: Vec::with_capacity(16), bytes: 0, last: [0; 16] }
    }
}

impl Net for Sink {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        self.bytes += chunk.len() as u64;
        let bytes = chunk.bytes();
        let n = bytes.len().min(self.last.len());
        self.last[..n].copy_from_slice(&bytes[..n]);
        self.sent.push((conn, chunk));
    }
    fn pause_recv(&mut self, _conn: ConnId) {}
    fn resume_recv(&mut self, _conn: ConnId) {}
    fn close(&mut self, _conn: ConnId) {}
    fn wake(&mut self, _shard: usize) {}
}

impl World for Sink {
    fn ticks_ns(&self) -> u64 {
        self.clock.ticks_ns()
    }
    fn sleep_us(&mut self, _us: u64) {}
}

/// When all of it happens.
pub const NOW: Now = Now { wall_us: 1_700_000_000_000_000, mono_us: 1 };

/// The connection of every core here that sends what comes alone.
pub const CONN: ConnId = ConnId(1 << 32);

/// Cores that share their stores, with open connections: [`CONN`], and as many as a burst has.
pub fn cores(shards: usize, config: Config) -> (Vec<Core>, Arc<Shared>) {
    let info = ServerInfo { shards, clients: 20_000, ..ServerInfo::default() };
    let shared = Arc::new(Shared::new(info, 16, 7, Box::new(Nobody)));
    let config = Arc::new(config);
    let cores = (0..shards).map(|id| {
        let mut core = Core::new(id, shared.clone(), config.clone(), NOW);
        for i in 0..BURST as u64 {
            let peer = Peer { addr: "a".into(), laddr: "b".into(), fd: 1, unix: false, local: true };
            core.open(ConnId(CONN.0 + i), peer);
        }
        core
    });
    (cores.collect(), shared)
}

/// One batch through a core, with its reply sent and taken back.
#[inline(never)]
pub fn turn(core: &mut Core, world: &mut Sink, batch: &[u8]) {
    turn_at(core, world, batch, NOW);
}

/// The same at some other time.
#[inline(never)]
pub fn turn_at(core: &mut Core, world: &mut Sink, batch: &[u8], now: Now) {
    core.begin_turn(now);
    core.data(world, CONN, batch);
    core.work(world);
    settle(core, world);
}

/// Requests of several connections, one each, that come together.
#[inline(never)]
pub fn burst_at(core: &mut Core, world: &mut Sink, requests: &[Vec<u8>], now: Now) {
    let each = || requests.iter().enumerate().map(|(i, bytes)| (ConnId(CONN.0 + i as u64), bytes.as_slice()));
    core.begin_turn(now);
    core.expect(world, each());
    each().for_each(|(conn, bytes)| core.data(world, conn, bytes));
    core.end_burst(world);
    core.work(world);
    settle(core, world);
}

/// Sends what a core has to say, and gives it its buffers back.
pub fn settle(core: &mut Core, world: &mut Sink) {
    core.flush(world);
    while let Some((conn, chunk)) = world.sent.pop() {
        core.sent(world, conn, chunk, Ok(()));
    }
}

/// Delivers letters until there are none.
pub fn deliver(cores: &mut [Core], world: &mut Sink) {
    let mut letters = Vec::new();
    loop {
        cores.iter_mut().for_each(|core| letters.extend(core.drain_mail()));
        if letters.is_empty() {
            return;
        }
        letters.drain(..).for_each(|(to, letter)| cores[to].mail(world, letter));
    }
}

/// The name of the key with this number, 16 bytes.
pub fn key(number: u64) -> String {
    format!("key:{number:012}")
}

/// Appends a request for GET.
pub fn get(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(format!("*2\r\n$3\r\nGET\r\n$16\r\n{}\r\n", key(number)).as_bytes());
}

/// Appends a request for SET with a value of `len` bytes.
pub fn set(out: &mut Vec<u8>, number: u64, len: usize) {
    let head = format!("*3\r\n$3\r\nSET\r\n$16\r\n{}\r\n${len}\r\n", key(number));
    out.extend_from_slice(head.as_bytes());
    out.resize(out.len() + len, b'v');
    out.extend_from_slice(b"\r\n");
}
