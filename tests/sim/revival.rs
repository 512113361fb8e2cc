//! What a crash has left, recovered by the real code and replayed into fresh stores of another server.

use crate::client::reply_len;
use crate::doubles::server::{SmallServer, TURNS_MAX};
use crate::plane::Image;
use crate::scribe;
use crate::script::Request;
use kring::config::{Config, SavePoints};
use kring::persist::aof::{Cut, Log, Scan, Tail, recover};
use kring::persist::replay::Piece;
use std::sync::mpsc::channel;

const PAYLOAD_MAX: u64 = 1 << 30;

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

/// A server that came up after a crash.
pub struct Revived {
    server: SmallServer,
    streams: u32,
}

impl Revived {
    /// Recovers and replays on so many shards.
    pub fn new(image: &Image, shards: usize) -> Result<Revived, String> {
        let save = SavePoints(vec![]);
        let config = Config { databases: 3, protected_mode: false, save, ..Config::default() };
        let server = SmallServer::new(shards, config);
        server.shared.saves.begin_load(0);
        let mut revived = Revived { server, streams: 0 };
        if let Some(base) = &image.base {
            revived.replay(vec![scribe::as_commands(base)])?;
        }
        for (at, files) in image.stages.iter().enumerate() {
            let (streams, _) = stage(files, at + 1 == image.stages.len())?;
            revived.replay(streams)?;
        }
        revived.server.shared.saves.end_load(0, 0, vec![]);
        revived.server.turn();
        Ok(revived)
    }

    fn replay(&mut self, streams: Vec<Vec<u8>>) -> Result<(), String> {
        let (back, replayed) = channel();
        let mut left = streams.len();
        for bytes in streams {
            self.streams += 1;
            let stream = self.streams;
            let piece = Piece { stream, bytes, last: true, back: back.clone() };
            let shard = stream as usize % self.server.cores.len();
            self.server.cores[shard].replay_piece(piece);
        }
        for _ in 0..TURNS_MAX {
            if left == 0 {
                return Ok(());
            }
            self.server.turn();
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
        let bytes: Vec<u8> = requests.iter().flat_map(|words| Request::of(words).bytes).collect();
        self.server.ask(&bytes, requests.len(), reply_len)
    }
}
