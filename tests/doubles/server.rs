//! A server without sockets, threads and files: some cores, which take their turns, and one client.

use super::nobody::Nobody;
use kring::base::time::Now;
use kring::cmd::ServerInfo;
use kring::config::Config;
use kring::ring::net::{Chunk, ConnId, Net, World};
use kring::shard::{Core, Peer, Shared};
use std::sync::Arc;

/// Turns after which something is stuck.
pub const TURNS_MAX: usize = 20_000;
const DATABASES: usize = 3;
const CONN: ConnId = ConnId(1 << 32);

/// A world with one client, whose replies are gathered.
#[derive(Default)]
pub struct Ear {
    pub heard: Vec<u8>,
    chunks: Vec<(ConnId, Chunk)>,
}

impl Net for Ear {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        self.heard.extend_from_slice(&chunk.bytes());
        self.chunks.push((conn, chunk));
    }
    fn pause_recv(&mut self, _conn: ConnId) {}
    fn resume_recv(&mut self, _conn: ConnId) {}
    fn close(&mut self, _conn: ConnId) {}
    fn wake(&mut self, _shard: usize) {}
}

impl World for Ear {
    fn ticks_ns(&self) -> u64 {
        0
    }
    fn sleep_us(&mut self, _us: u64) {}
}

/// See the module's text.
pub struct SmallServer {
    pub cores: Vec<Core>,
    pub shared: Arc<Shared>,
    ears: Vec<Ear>,
    now: Now,
    /// The shard that the client lives on, once there is one.
    home: Option<usize>,
    /// By how much a turn moves the clocks; at 0 the one on the wall stands still.
    pub turn_us: i64,
}

impl SmallServer {
    pub fn new(shards: usize, config: Config) -> SmallServer {
        let info = ServerInfo { shards, total_memory: 1 << 30, clients: 10, ..ServerInfo::default() };
        let config = Arc::new(config);
        let shared = Arc::new(Shared::new(info, DATABASES, 7, Box::new(Nobody)));
        let now = Now { wall_us: 1_800_000_000_000_000, mono_us: 1_000_000 };
        let cores = (0..shards).map(|id| Core::new(id, shared.clone(), config.clone(), now)).collect();
        let ears = (0..shards).map(|_| Ear::default()).collect();
        SmallServer { cores, shared, ears, now, home: None, turn_us: 0 }
    }

    /// One turn of every core.
    pub fn turn(&mut self) {
        self.now.mono_us += if self.turn_us > 0 { self.turn_us as u64 } else { 1_000 };
        self.now.wall_us += self.turn_us;
        for id in 0..self.cores.len() {
            let (core, ear) = (&mut self.cores[id], &mut self.ears[id]);
            core.work(ear);
            core.flush(ear);
            core.begin_turn(self.now);
            for (conn, chunk) in std::mem::take(&mut ear.chunks) {
                core.sent(ear, conn, chunk, Ok(()));
            }
            let mail: Vec<_> = core.drain_mail().collect();
            for (to, letter) in mail {
                self.cores[to].mail(&mut self.ears[to], letter);
            }
        }
    }

    /// Sends requests, and gives so many replies, which `reply_len` tells apart.
    pub fn ask(
        &mut self,
        requests: &[u8],
        replies: usize,
        reply_len: impl Fn(&[u8]) -> Option<usize>,
    ) -> Vec<Vec<u8>> {
        let home = match self.home {
            Some(home) => home,
            None => self.open(),
        };
        self.cores[home].data(&mut self.ears[home], CONN, requests);
        let mut found = Vec::new();
        for _ in 0..TURNS_MAX {
            let heard = &mut self.ears[home].heard;
            let mut at = 0;
            while at < heard.len()
                && let Some(len) = reply_len(&heard[at..])
            {
                found.push(heard[at..at + len].to_vec());
                at += len;
            }
            heard.drain(..at);
            if found.len() == replies {
                return found;
            }
            self.turn();
        }
        panic!("{} of {replies} replies came", found.len());
    }

    fn open(&mut self) -> usize {
        let peer = Peer { addr: "a".into(), laddr: "b".into(), fd: 1, unix: false, local: true };
        let home = self.cores[0].place(&peer).expect("there is room");
        self.cores[home].open(CONN, peer);
        self.home = Some(home);
        home
    }
}
