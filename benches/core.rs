//! What a command costs in user space: batches of GET and SET through a whole core (parse, plan, store, run, count, reply),
//! with a world that takes replies and gives nothing: no sockets, no kernel.
//!
//! `cargo bench --bench core -- [keys] [pipeline] [rounds]`; prints nanoseconds per command.

use kring::base::prng::{seeded, xorshift};
use kring::base::time::Now;
use kring::cmd::{ServerInfo, ShutdownMode};
use kring::config::Config;
use kring::ring::{Chunk, Clock, ConnId, Net, World};
use kring::shard::{Control, Core, Peer, Shared};
use kring::store::Garbage;
use std::sync::Arc;
use std::time::Instant;

/// Nobody to ask.
struct Nobody;

impl Control for Nobody {
    fn free(&self, _garbage: Vec<Garbage>) {}
    fn write_config(&self, _shard: usize, _ticket: u64, _config: Arc<Config>) {}
    fn purge(&self) {}
    fn shutdown(&self, _mode: ShutdownMode) {}
}

/// Takes replies.
struct Sink {
    clock: Clock,
    sent: Vec<(ConnId, Chunk)>,
}

impl Net for Sink {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
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

fn request(out: &mut Vec<u8>, key: u64, set: bool) {
    let key = format!("key:{key:012}");
    match set {
        true => out.extend_from_slice(
            format!("*3\r\n$3\r\nSET\r\n$16\r\n{key}\r\n$64\r\n{}\r\n", "v".repeat(64)).as_bytes(),
        ),
        false => out.extend_from_slice(format!("*2\r\n$3\r\nGET\r\n$16\r\n{key}\r\n").as_bytes()),
    }
}

/// One batch through the core, with its reply sent and taken back.
#[inline(never)]
fn turn(core: &mut Core, world: &mut Sink, conn: ConnId, batch: &[u8], now: Now) {
    core.begin_turn(now);
    core.data(world, conn, batch);
    core.flush(world);
    while let Some((conn, chunk)) = world.sent.pop() {
        core.sent(world, conn, chunk, Ok(()));
    }
}

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|a| a.parse::<u64>().ok());
    let tiny = std::env::args().any(|a| a == "--test") || !std::env::args().any(|a| a == "--bench");
    let keys = args.next().unwrap_or(if tiny { 1_000 } else { 1_000_000 });
    let depths: Vec<u64> = args.next().map_or(vec![1, 8, 32], |d| vec![d]);
    let rounds = args.next().unwrap_or(if tiny { 100 } else { 100_000 });
    let info = ServerInfo { shards: 1, ..ServerInfo::default() };
    let shared = Arc::new(Shared::new(info, 16, 7, Box::new(Nobody)));
    let now = Now { wall_us: 1_700_000_000_000_000, mono_us: 1 };
    let mut core = Core::new(0, shared, Arc::new(Config::default()), now);
    let mut world = Sink { clock: Clock::calibrate(), sent: Vec::new() };
    let conn = ConnId(1 << 32);
    core.open(conn, Peer { addr: "a".into(), laddr: "b".into(), fd: 1, unix: false, local: true });
    let mut batch = Vec::new();
    for key in 0..keys {
        request(&mut batch, key, true);
        if batch.len() > 12_000 || key + 1 == keys {
            turn(&mut core, &mut world, conn, &batch, now);
            batch.clear();
        }
    }
    let mut state = seeded(1);
    for depth in depths {
        for (name, one_in) in [("GET", u64::MAX), ("SET", 1), ("SET:GET 1:10", 11)] {
            let batches: Vec<Vec<u8>> = (0..rounds.min(5_000))
                .map(|_| {
                    let mut batch = Vec::new();
                    for _ in 0..depth {
                        let set = xorshift(&mut state) % one_in == 0;
                        request(&mut batch, xorshift(&mut state) % keys, set);
                    }
                    batch
                })
                .collect();
            let began = Instant::now();
            for i in 0..rounds {
                turn(&mut core, &mut world, conn, &batches[i as usize % batches.len()], now);
            }
            let ns = began.elapsed().as_nanos() as f64 / (rounds * depth) as f64;
            println!("{name:>12}, {keys} keys, pipeline {depth:>2}: {ns:6.1} ns");
        }
    }
}
