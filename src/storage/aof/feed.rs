//! Files of a log on their way to the shards: read ahead, cut into pieces of whole commands, several pieces under way.
//!
//! Files that are fed together run side by side, each as one stream; the caller puts together only files whose order does not
//! matter. What is under way is bounded by the file: [`WINDOW`] pieces of about [`PIECE`] bytes, or of one long command.

mod deal;

pub use deal::Owner;
pub(super) use deal::Table;

use super::survey::PAYLOAD_MAX;
use crate::persist::aof::{Log, Place, PlainScan, PlainTail, Scan, Tail, Tear, Why, part};
use crate::persist::replay::{Piece, Replayed, Trouble};
use crate::storage::source::Source;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender};

/// A piece goes to its shard when it has so many bytes.
const PIECE: usize = 128 << 10;
/// A frame that is longer goes in several: where a shard reads, places are numbers of 32 bits.
const WHOLE_MAX: usize = 256 << 20;
/// Pieces of one file under way at a time.
const WINDOW: usize = 4;
/// Empty buffers that are kept.
const SPARE: usize = 64;

/// How a file is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Frames, up to this place.
    Frames { end: u64 },
    /// Commands alone, from this place on.
    Plain { from: u64 },
}

/// A file to replay.
#[derive(Clone, Debug)]
pub(super) struct Meal {
    pub path: PathBuf,
    pub form: Form,
    /// The shard that runs its commands.
    pub shard: usize,
    /// The shard that wrote it, where it is noted which transactions it has a part of.
    pub writer: Option<usize>,
}

/// How a file ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// Where it would have to be cut to end with a whole command, outside of a transaction.
    pub valid: u64,
    pub tail: PlainTail,
    /// Where commands without frames begin behind frames: Redis went on with this file.
    pub appended: Option<u64>,
    /// Whether its last frame closes it.
    pub closed: bool,
    /// Its parts of transactions, if they were to be noted.
    pub log: Option<Log>,
}

/// The line to the shards.
pub(super) struct Feeder {
    deliver: Box<dyn FnMut(usize, Piece) + Send>,
    back: Sender<Replayed>,
    replayed: Receiver<Replayed>,
    streams: u32,
    spare: Vec<Vec<u8>>,
}

impl Feeder {
    /// A line that gives a piece to a shard by `deliver`.
    pub fn new(deliver: Box<dyn FnMut(usize, Piece) + Send>) -> Feeder {
        let (back, replayed) = std::sync::mpsc::channel();
        Feeder { deliver, back, replayed, streams: 0, spare: Vec::new() }
    }

    /// Replays files side by side, to the end of all, and tells of bytes as they are read. What is under way has come back in any
    /// case.
    pub async fn feed(&mut self, meals: &[Meal], read: &mut dyn FnMut(u64)) -> Result<Vec<Ended>, String> {
        let mut lanes = Vec::new();
        for meal in meals {
            let lane = Lane::open(meal, self.streams).await;
            lanes.push(lane.map_err(|e| format!("{}: {e}", meal.path.display()))?);
            self.streams += 1;
        }
        let fed = self.run(&mut lanes, read).await;
        let home = self.wait_for_all(&mut lanes);
        let mut ended = Vec::new();
        for mut lane in lanes {
            ended.push(lane.ended());
            lane.source.close().await;
        }
        fed.and(home).map(|()| ended)
    }

    async fn run(&mut self, lanes: &mut [Lane], read: &mut dyn FnMut(u64)) -> Result<(), String> {
        loop {
            while let Ok(replayed) = self.replayed.try_recv() {
                self.take_back(lanes, replayed)?;
            }
            // The file that is least ahead of its shard has its turn.
            let hungry = |lane: &&mut Lane| !lane.through && lane.under_way.len() < WINDOW;
            if let Some(lane) = lanes.iter_mut().filter(hungry).min_by_key(|lane| lane.under_way.len()) {
                let name = lane.path.display().to_string();
                lane.fill(read).await.map_err(|e| format!("{name}: {e}"))?;
                self.send(lane);
            } else if lanes.iter().all(|lane| lane.through) {
                return Ok(());
            } else {
                self.wait_for_one(lanes)?;
            }
        }
    }

    /// Sends a file's piece on its way.
    fn send(&mut self, lane: &mut Lane) {
        let spare = self.spare.pop().unwrap_or_default();
        let next = Filling { bytes: spare, ..Filling::default() };
        let Filling { bytes, places, .. } = std::mem::replace(&mut lane.piece, next);
        lane.under_way.push_back(places);
        let piece = Piece { stream: lane.stream, bytes, last: lane.through, back: self.back.clone() };
        (self.deliver)(lane.shard, piece);
    }

    fn wait_for_one(&mut self, lanes: &mut [Lane]) -> Result<(), String> {
        let replayed = self.replayed.recv().map_err(|_| "the shards have stopped")?;
        self.take_back(lanes, replayed)
    }

    /// A piece comes back.
    fn take_back(&mut self, lanes: &mut [Lane], replayed: Replayed) -> Result<(), String> {
        if self.spare.len() < SPARE {
            self.spare.push(replayed.spare);
        }
        let Some(lane) = lanes.iter_mut().find(|lane| lane.stream == replayed.stream) else { return Ok(()) };
        let places = lane.under_way.pop_front().unwrap_or_default();
        match replayed.trouble {
            None => Ok(()),
            Some(trouble) => Err(explain(&lane.path, &places, &trouble)),
        }
    }

    /// Waits for what is under way; the first error of those that come back.
    fn wait_for_all(&mut self, lanes: &mut [Lane]) -> Result<(), String> {
        let mut first = Ok(());
        while lanes.iter().any(|lane| !lane.under_way.is_empty()) {
            let came = self.wait_for_one(lanes);
            first = first.and(came);
        }
        first
    }
}

/// A file under way.
struct Lane {
    path: PathBuf,
    shard: usize,
    stream: u32,
    source: Source,
    cutter: Cutter,
    piece: Filling,
    /// Where the bytes of the pieces under way come from, oldest first.
    under_way: VecDeque<Vec<(usize, u64)>>,
    /// Its last piece is made.
    through: bool,
}

impl Lane {
    async fn open(meal: &Meal, stream: u32) -> Result<Lane, String> {
        let (from, end, cutter) = match meal.form {
            Form::Frames { end } => (0, Some(end), Cutter::frames(WHOLE_MAX, meal.writer.map(Log::new))),
            Form::Plain { from } => (from, None, Cutter::Plain(PlainScan::new(from, i64::MAX))),
        };
        let (source, _) = Source::open(&meal.path, from, end).await?;
        Ok(Lane {
            path: meal.path.clone(),
            shard: meal.shard,
            stream,
            source,
            cutter,
            piece: Filling::default(),
            under_way: VecDeque::new(),
            through: false,
        })
    }

    /// Fills the piece, or ends the file.
    async fn fill(&mut self, read: &mut dyn FnMut(u64)) -> Result<(), String> {
        while !self.cutter.cut(&mut self.piece)? {
            if self.cutter.is_over() {
                self.through = true;
                return self.cutter.verdict();
            }
            let bytes = self.source.next().await?;
            match bytes.len() {
                0 => self.cutter.finish(),
                _ => self.cutter.push(&bytes),
            }
            read(bytes.len() as u64);
        }
        Ok(())
    }

    fn ended(&mut self) -> Ended {
        match &mut self.cutter {
            Cutter::Frames { scan, log, .. } => Ended {
                valid: scan.end(),
                tail: PlainTail::Clean,
                appended: scan.tail().and_then(appended),
                closed: scan.is_closed(),
                log: log.take().map(|log| *log),
            },
            Cutter::Plain(plain) => {
                let tail = plain.tail().unwrap_or(PlainTail::Clean);
                Ended { valid: plain.valid(), tail, appended: None, closed: false, log: None }
            }
        }
    }
}

/// What went wrong, and where in the file.
fn explain(path: &Path, places: &[(usize, u64)], trouble: &Trouble) -> String {
    let last = places.iter().take_while(|(at, _)| *at <= trouble.at).last();
    let at = last.map_or(0, |(at, place)| place + (trouble.at - at) as u64);
    let Trouble { command, error, .. } = trouble;
    let name = path.display();
    if command.is_empty() {
        return format!("{name}: the commands at byte {at} cannot be run: {error}");
    }
    format!("{name}: the command '{command}' at byte {at} cannot be run: {error}")
}

/// A piece in the making.
#[derive(Default)]
struct Filling {
    bytes: Vec<u8>,
    /// Places in the piece, and where they are in the file.
    places: Vec<(usize, u64)>,
    /// Bytes before a transaction that has not ended.
    whole: usize,
}

impl Filling {
    fn add(&mut self, bytes: &[u8], at: u64) {
        let goes_on =
            self.places.last().is_some_and(|(from, place)| place + (self.bytes.len() - from) as u64 == at);
        if !goes_on {
            self.places.push((self.bytes.len(), at));
        }
        self.bytes.extend_from_slice(bytes);
    }
}

/// Cuts whole commands out of what was read.
enum Cutter {
    Frames { scan: Scan, whole_max: usize, long: Box<Long>, log: Option<Box<Log>> },
    Plain(PlainScan),
}

/// What is left of a frame that goes in several pieces.
#[derive(Default)]
struct Long {
    bytes: Vec<u8>,
    at: usize,
    /// Where the bytes are in the file.
    place: u64,
}

impl Long {
    /// Adds whole commands to a piece until it is full; whether it is.
    fn cut(&mut self, piece: &mut Filling) -> Result<bool, String> {
        while self.at < self.bytes.len() {
            let (rest, place) = (&self.bytes[self.at..], self.place + self.at as u64);
            let room = PIECE.saturating_sub(piece.bytes.len());
            let whole = part(rest, room, false).map_err(|e| damaged(&format!("behind byte {place}: {e}")))?;
            piece.add(&rest[..whole], place);
            self.at += whole;
            if piece.bytes.len() >= PIECE {
                return Ok(true);
            }
        }
        self.bytes = Vec::new();
        Ok(false)
    }
}

impl Cutter {
    fn frames(whole_max: usize, log: Option<Log>) -> Cutter {
        Cutter::Frames {
            scan: Scan::new(PAYLOAD_MAX),
            whole_max,
            long: Box::default(),
            log: log.map(Box::new),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Cutter::Frames { scan, .. } => scan.push(bytes),
            Cutter::Plain(plain) => plain.push(bytes),
        }
    }

    fn finish(&mut self) {
        match self {
            Cutter::Frames { scan, .. } => scan.finish(),
            Cutter::Plain(plain) => plain.finish(),
        }
    }

    /// Whether all commands were taken.
    fn is_over(&self) -> bool {
        match self {
            Cutter::Frames { scan, .. } => scan.tail().is_some(),
            Cutter::Plain(plain) => plain.tail().is_some(),
        }
    }

    /// What keeps a file from being loaded whatever the configuration says.
    fn verdict(&self) -> Result<(), String> {
        match self {
            Cutter::Frames { scan, .. } => match scan.tail() {
                Some(tail) if appended(tail).is_some() => Ok(()),
                Some(Tail::Torn(tear) | Tail::Damaged(tear)) => Err(damaged(&tear.to_string())),
                Some(Tail::Clean) | None => Ok(()),
            },
            Cutter::Plain(plain) => match plain.tail() {
                Some(PlainTail::Malformed(malformed)) => Err(damaged(&format!("in that {malformed}"))),
                _ => Ok(()),
            },
        }
    }

    /// Adds commands to a piece until it is full or there are no more for now; whether it is full. What is within a transaction
    /// leaves with its EXEC only: it may not come.
    fn cut(&mut self, piece: &mut Filling) -> Result<bool, String> {
        match self {
            Cutter::Frames { scan, whole_max, long, log } => {
                if long.cut(piece)? {
                    return Ok(true);
                }
                while let Some(frame) = scan.next_frame() {
                    if let Some(log) = log {
                        log.push(&frame);
                    }
                    if frame.payload.len() > *whole_max {
                        **long = Long { bytes: frame.payload.to_vec(), at: 0, place: frame.payload_at };
                        if long.cut(piece)? {
                            return Ok(true);
                        }
                        continue;
                    }
                    piece.add(frame.payload, frame.payload_at);
                    if piece.bytes.len() >= PIECE {
                        return Ok(true);
                    }
                }
            }
            Cutter::Plain(plain) => {
                while let Some(command) = plain.next_command() {
                    piece.add(command.text, command.offset);
                    let is_whole = matches!(command.place, Place::Outside | Place::Exec);
                    if is_whole {
                        piece.whole = piece.bytes.len();
                    }
                    if is_whole && piece.bytes.len() >= PIECE {
                        return Ok(true);
                    }
                }
                if plain.tail().is_some() {
                    piece.bytes.truncate(piece.whole);
                }
            }
        }
        Ok(false)
    }
}

/// Where commands without frames begin that Redis appended behind the frames.
pub(super) fn appended(tail: &Tail) -> Option<u64> {
    match tail {
        Tail::Damaged(Tear { at, why: Why::Appended, .. }) => Some(*at),
        _ => None,
    }
}

/// What is said of a file that was damaged in its middle.
pub(super) fn damaged(what: &str) -> String {
    format!("it is damaged {what}; restore it from a backup, or look at it with kring-server --check-aof")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::aof::Framer;

    #[test]
    fn a_long_frame_goes_in_several_pieces() {
        let command = |n: usize| format!("*2\r\n$3\r\nDEL\r\n$8\r\nkey{n:05}\r\n");
        let unit = |n| ["*1\r\n$5\r\nMULTI\r\n", &command(n), &command(n), "*1\r\n$4\r\nEXEC\r\n"].concat();
        let (short, long) = (command(1), (0..3 * PIECE / 80).map(unit).collect::<String>());
        let (mut file, mut framer) = (Vec::new(), Framer::new(1, 0, 1, 1));
        framer.begin_file(&mut file);
        for payload in [&short, &long, &short] {
            framer.frame(&mut file, payload.as_bytes(), None);
        }
        let mut cutter = Cutter::frames(1_000, None);
        cutter.push(&file);
        cutter.finish();
        let (mut all, mut pieces) = (Vec::new(), 0);
        loop {
            let mut piece = Filling::default();
            let full = cutter.cut(&mut piece).expect("it is whole");
            pieces += 1;
            for (i, (at, place)) in piece.places.iter().enumerate() {
                let end = piece.places.get(i + 1).map_or(piece.bytes.len(), |next| next.0);
                assert!(piece.bytes[*at..end] == file[*place as usize..][..end - at], "places are right");
            }
            assert_eq!(part(&piece.bytes, usize::MAX, false), Ok(piece.bytes.len()), "commands are whole");
            assert!(piece.bytes.len() < PIECE + 100);
            all.append(&mut piece.bytes);
            if !full {
                break;
            }
        }
        assert!(pieces > 3 && cutter.is_over() && cutter.verdict().is_ok());
        assert!(all.ends_with([short.as_str(), &long, &short].concat().as_bytes()));
    }
}
