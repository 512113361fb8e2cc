//! What a crash has left, recovered by the real code and replayed into fresh stores of another server.

use crate::client::reply_len;
use crate::plane::Image;
use crate::script::Request;
use crate::{client::What, scribe};
use kring::base::time::Now;
use kring::cmd::{ServerInfo, ShutdownMode};
use kring::config::{Config, SavePoints};
use kring::persist::aof::{Cut, Log, Scan, Tail, recover};
use kring::persist::replay::Piece;
use kring::ring::net::{Chunk, ConnId, Net, World};
use kring::shard::{Control, Core, LoadRequest, Peer, SaveRequest, Shared};
use kring::store::Garbage;
use std::sync::Arc;
use std::sync::mpsc::channel;

/// Turns after which a replay is stuck.
const TURNS_MAX: usize = 20_000;
const PAYLOAD_MAX: u64 = 1 << 30;
const CONN: ConnId = ConnId(1 << 32);

/// One file as it was read.
pub struct Found {
    log: Log,
    /// Where each frame ends in `bytes`.
    ends: Vec<usize>,
    /// The payloads of all frames but the first, one behind the other.
    pub bytes: Vec<u8>,
}

/// Reads a file; `last`: it may have a torn end.
pub fn read(shard: usize, image: &[u8], last: bool) -> Result<Found, String> {
    let mut scan = Scan::new(PAYLOAD_MAX);
    scan.push(image);
    scan.finish();
    let mut found = Found { log: Log::new(shard), ends: vec![], bytes: vec![] };
    while let Some(frame) = scan.next_frame() {
        found.log.push(&frame);
        if frame.sequence > 0 {
            found.bytes.extend_from_slice(frame.payload);
        }
        found.ends.push(found.bytes.len());
    }
    match scan.tail() {
        Some(Tail::Clean) => Ok(found),
        Some(Tail::Torn(_)) if last => Ok(found),
        tail => Err(format!("shard {shard}, of the last generation: {last}: {tail:?}")),
    }
}

/// The commands of each file of a stage, and where the files are cut.
pub fn stage(files: &[Vec<u8>], last: bool) -> Result<(Vec<Vec<u8>>, Vec<Cut>), String> {
    let found = files.iter().enumerate().map(|(shard, image)| read(shard, image, last));
    let mut found = found.collect::<Result<Vec<Found>, String>>()?;
    let logs: Vec<Log> = found.iter().map(|found| found.log.clone()).collect();
    let cuts = recover(&logs);
    if !last && let Some(cut) = cuts.iter().find(|cut| cut.dropped_frames > 0) {
        return Err(format!("an earlier generation is not whole: {cut:?}"));
    }
    for (found, cut) in found.iter_mut().zip(&cuts) {
        let end = (cut.frames as usize).checked_sub(1).map_or(0, |at| found.ends[at]);
        found.bytes.truncate(end);
    }
    Ok((found.into_iter().map(|found| found.bytes).collect(), cuts))
}

struct Nothing;

impl Control for Nothing {
    fn free(&self, _garbage: Vec<Garbage>) {}
    fn write_config(&self, _shard: usize, _ticket: u64, _config: Arc<Config>) {}
    fn purge(&self, _whole: bool) {}
    fn shutdown(&self, _mode: ShutdownMode) {}
    fn save(&self, _request: SaveRequest) {}
    fn load(&self, _request: LoadRequest) {}
    fn note(&self, _text: String, _warns: bool) {}
}

/// A world with one client, whose replies are gathered.
#[derive(Default)]
struct Ear {
    heard: Vec<u8>,
    chunks: Vec<(ConnId, Chunk)>,
}

impl Net for Ear {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        self.heard.extend_from_slice(chunk.as_slice());
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

/// A server that came up after a crash.
pub struct Revived {
    cores: Vec<Core>,
    ears: Vec<Ear>,
    shared: Arc<Shared>,
    now: Now,
    streams: u32,
}

impl Revived {
    /// Recovers and replays on so many shards.
    pub fn new(image: &Image, shards: usize) -> Result<Revived, String> {
        let info = ServerInfo { shards, total_memory: 1 << 30, clients: 10, ..ServerInfo::default() };
        let save = SavePoints(vec![]);
        let config = Arc::new(Config { databases: 3, protected_mode: false, save, ..Config::default() });
        let shared = Arc::new(Shared::new(info, 3, 7, Box::new(Nothing)));
        shared.saves.begin_load(0);
        let now = Now { wall_us: 1_800_000_000_000_000, mono_us: 1_000_000 };
        let cores = (0..shards).map(|id| Core::new(id, shared.clone(), config.clone(), now)).collect();
        let ears = (0..shards).map(|_| Ear::default()).collect();
        let mut revived = Revived { cores, ears, shared, now, streams: 0 };
        if let Some(base) = &image.base {
            revived.replay(vec![scribe::as_commands(base)])?;
        }
        for (at, files) in image.stages.iter().enumerate() {
            let (streams, _) = stage(files, at + 1 == image.stages.len())?;
            revived.replay(streams)?;
        }
        revived.shared.saves.end_load(0, 0, vec![]);
        revived.turn();
        Ok(revived)
    }

    fn turn(&mut self) {
        self.now.mono_us += 1_000;
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

    fn replay(&mut self, streams: Vec<Vec<u8>>) -> Result<(), String> {
        let (back, replayed) = channel();
        let mut left = streams.len();
        for bytes in streams {
            self.streams += 1;
            let stream = self.streams;
            let piece = Piece { stream, bytes, last: true, back: back.clone() };
            let shard = stream as usize % self.cores.len();
            self.cores[shard].replay_piece(piece);
        }
        for _ in 0..TURNS_MAX {
            if left == 0 {
                return Ok(());
            }
            self.turn();
            for answer in replayed.try_iter() {
                left -= 1;
                if let Some(trouble) = answer.trouble {
                    return Err(format!("the log does not replay: {trouble:?}"));
                }
            }
        }
        Err("the replay is stuck".into())
    }

    /// The replies to these requests.
    pub fn ask(&mut self, requests: &[Vec<String>]) -> Vec<Vec<u8>> {
        let peer = Peer { addr: "a".into(), laddr: "b".into(), fd: 1, unix: false, local: true };
        let shard = self.cores[0].place(&peer).expect("there is room");
        self.cores[shard].open(CONN, peer);
        let bytes: Vec<u8> = requests
            .iter()
            .flat_map(|words| {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                Request::new(&words, false, What::Anything).bytes
            })
            .collect();
        self.cores[shard].data(&mut self.ears[shard], CONN, &bytes);
        let mut replies = Vec::new();
        for _ in 0..TURNS_MAX {
            self.turn();
            let heard = &mut self.ears[shard].heard;
            while let Some(len) = reply_len_of(heard) {
                replies.push(heard.drain(..len).collect());
            }
            if replies.len() == requests.len() {
                return replies;
            }
        }
        panic!("{} of {} replies came", replies.len(), requests.len());
    }
}

fn reply_len_of(bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() { None } else { reply_len(bytes) }
}
