//! Frames are read back from a file that comes in pieces, each one whole and checked or not at all.
//!
//! ```text
//!  Between  blank lines, zeros, or a frame at the start of the buffer      -> a frame is given out, or a tear begins
//!  Appended commands without a frame at the file's end, as Redis appends them   -> damage, that is none to Redis
//!  Behind   a tear: the next mark of a header is searched, byte by byte     -> whole frames of this log are counted
//!  Over     the file has ended: there is a verdict
//! ```
//! Memory: the frame that is being read, at most a header and the payload limit, and the piece that was pushed last. A length
//! is believed once the header's checksum is right, so damage never makes a scan wait for gigabytes. The payload's checksum
//! is computed as the pieces come. Behind a tear only right headers are followed, so the search is linear too.

use super::blank::{Blank, blank};
use super::commands::{Found, Walk};
use super::header::{END, FileInfo, HEADER_MAX, Header, MARK, Stop, parse, parse_file};
use crate::resp::Args;
use crate::store::log::Part;
use crc32c::crc32c_append;
use memchr::memmem;
use std::fmt;

/// A frame, whole and checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Where its header begins in the file.
    pub offset: u64,
    /// Where its payload begins in the file.
    pub payload_at: u64,
    /// Where it ends: the file may be cut here.
    pub end: u64,
    /// How many frames stand before it in the file.
    pub sequence: u64,
    /// How many frames of the file were on disk for good when it was made.
    pub durable: u64,
    /// Whole commands and annotations.
    pub payload: &'a [u8],
    /// Set when it is a part of a transaction of several shards.
    pub part: Option<Part>,
}

/// What a file's end turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tail {
    /// Nothing but blank lines and zeros behind the last frame.
    Clean,
    /// The last writes, none of them acknowledged, arrived in part or not at all. Cutting the file at [`Scan::end`] mends it.
    Torn(Tear),
    /// Frames are missing that were on disk for good, or others wrote here ([`Why::Appended`]). Cutting the file would lose
    /// what was acknowledged.
    Damaged(Tear),
}

/// Where reading stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tear {
    /// The first byte that could not be read.
    pub at: u64,
    pub why: Why,
    /// The sequence of the frame that was due.
    pub due: u64,
    /// Whole frames of this log further on.
    pub later: Option<Later>,
}

/// Whole frames behind a tear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Later {
    /// Where the first of them begins.
    pub at: u64,
    /// The sequence of the first; when it is the one that was due, no frame is missing.
    pub sequence: u64,
    pub frames: u64,
    /// How many frames of the file were on disk for good, by the last of them.
    pub durable: u64,
}

/// What is wrong with the bytes at a tear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// They are neither a frame's header nor blank.
    Header,
    /// The frame's checksum is not that of its payload.
    Checksum,
    /// The file ends within a frame.
    Short,
    /// The frame's payload is longer than any that is written.
    TooLong(u64),
    /// The frame is one of another log.
    Foreign { log_id: u64, shard: u16 },
    /// The frame has another sequence than the one that was due.
    Sequence(u64),
    /// There are zeros in front of the frame.
    Hole,
    /// The file's first frame does not say what file it is.
    Nameless,
    /// Commands without frames, up to the end: Redis ran on this log and appended to its last file. Behind [`Tear::at`] it is a
    /// file for [`PlainScan`](super::PlainScan).
    Appended,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Header => f.write_str("neither a frame nor padding"),
            Why::Checksum => f.write_str("a frame with a wrong checksum"),
            Why::Short => f.write_str("the file ends within a frame"),
            Why::TooLong(len) => {
                write!(f, "a frame with a payload of {len} bytes, which is more than is ever written")
            }
            Why::Foreign { log_id, shard } => {
                write!(f, "a frame of another log ({log_id:016x}, shard {shard})")
            }
            Why::Sequence(found) => write!(f, "frame {found} stands where another one is due"),
            Why::Hole => f.write_str("zeros in front of a frame"),
            Why::Appended => f.write_str("commands without frames, as Redis appends them"),
            Why::Nameless => f.write_str("a first frame that does not say what file this is"),
        }
    }
}

impl fmt::Display for Tear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}, where frame {} is due: {}", self.at, self.due, self.why)?;
        let Some(later) = &self.later else { return Ok(()) };
        write!(f, "; {} whole frames follow from byte {} on", later.frames, later.at)?;
        if later.sequence == self.due { f.write_str(", none is missing") } else { Ok(()) }
    }
}

/// Where a scan is.
enum State {
    Between,
    /// At a tear, with so many commands behind it so far.
    Appended(Tear, Walk, u64),
    Behind(Tear),
    Over(Tail),
}

/// What a step led to.
enum Step {
    /// There is more to see.
    On,
    /// More of the file is needed, or there is a verdict.
    Stop,
    Frame(Header),
}

/// Reads a file that is pushed in pieces of any size.
///
/// Push a piece, take frames until there are none, and so on; then [`Scan::finish`], the last frames, and [`Scan::tail`].
pub struct Scan {
    buf: Vec<u8>,
    /// Everything before this has been dealt with.
    at: usize,
    /// Bytes of the file before the buffer's first.
    before: u64,
    whole: bool,
    payload_max: u64,
    state: State,
    info: Option<FileInfo>,
    /// The frame that is due.
    due: u64,
    end: u64,
    /// Whether the last frame closes the file.
    closed: bool,
    /// Where the zeros begin that were met since the last frame.
    zeros: Option<u64>,
    /// The checksum of the frame at `at`: so far, and over how much of its payload. None: not begun.
    sum: Option<(u32, usize)>,
}

impl Scan {
    /// A scan of a file whose payloads have at most so many bytes.
    pub fn new(payload_max: impl Into<u64>) -> Scan {
        Scan {
            buf: Vec::new(),
            at: 0,
            before: 0,
            whole: false,
            payload_max: payload_max.into(),
            state: State::Between,
            info: None,
            due: 0,
            end: 0,
            closed: false,
            zeros: None,
            sum: None,
        }
    }

    /// More of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        debug_assert!(!self.whole, "the file has ended");
        if let State::Appended(_, walk, _) = &mut self.state {
            walk.shift(self.at);
        }
        self.buf.drain(..self.at);
        self.before += self.at as u64;
        self.at = 0;
        self.buf.extend_from_slice(bytes);
    }

    /// That was all of it.
    pub fn finish(&mut self) {
        self.whole = true;
    }

    /// What file it is, once its first frame has been given out.
    pub fn info(&self) -> Option<&FileInfo> {
        self.info.as_ref()
    }

    /// Where the last frame ends that was given out; 0 before the first.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether the last frame that was given out closes the file: its writer had brought all to the disk, and wrote no more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many frames were given out.
    pub fn frames(&self) -> u64 {
        self.due
    }

    /// The verdict, once the file has ended and all frames were taken.
    pub fn tail(&self) -> Option<&Tail> {
        match &self.state {
            State::Over(tail) => Some(tail),
            _ => None,
        }
    }

    /// The next frame; none when more of the file is needed, or when there is a verdict.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        loop {
            let step = match self.state {
                State::Between => self.between(),
                State::Appended(..) => self.appended(),
                State::Behind(_) => self.behind(),
                State::Over(_) => Step::Stop,
            };
            match step {
                Step::On => {}
                Step::Stop => return None,
                Step::Frame(header) => return Some(self.give(&header)),
            }
        }
    }

    fn give(&mut self, header: &Header) -> Frame<'_> {
        let offset = self.place();
        let payload = self.at + header.size;
        let payload_at = offset + header.size as u64;
        self.skip(header.size + header.len as usize);
        self.due += 1;
        self.end = self.place();
        self.closed = self.buf[payload..self.at] == *END;
        Frame {
            offset,
            payload_at,
            end: self.end,
            sequence: header.sequence,
            durable: header.durable,
            payload: &self.buf[payload..self.at],
            part: header.part,
        }
    }

    /// Where `at` is in the file.
    fn place(&self) -> u64 {
        self.before + self.at as u64
    }

    fn rest(&self) -> &[u8] {
        &self.buf[self.at..]
    }

    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
        self.sum = None;
    }

    /// What stands where a frame may begin?
    fn between(&mut self) -> Step {
        match self.rest() {
            [] => return self.wait_or(|scan| scan.over(Tail::Clean)),
            [0, ..] => {
                let zeros = self.rest().iter().take_while(|b| **b == 0).count();
                self.zeros.get_or_insert(self.before + self.at as u64);
                self.skip(zeros);
                return Step::On;
            }
            _ => {}
        }
        match blank(self.rest()) {
            Blank::Lines(bytes) => {
                self.skip(bytes);
                Step::On
            }
            Blank::Short => self.wait_or(|scan| scan.over(Tail::Clean)),
            Blank::Not => self.framed(),
        }
    }

    /// Is it a frame, the one that is due?
    fn framed(&mut self) -> Step {
        let header = match parse(self.rest()) {
            Ok(header) => header,
            Err(Stop::Short) => return self.wait_or(|scan| scan.tear(Why::Short, 1)),
            Err(Stop::Not) => return self.strange(),
        };
        if header.len > self.payload_max {
            return self.tear(Why::TooLong(header.len), 1);
        }
        match self.check(&header) {
            None => self.wait_or(|scan| scan.tear(Why::Short, 1)),
            Some(false) => self.tear(Why::Checksum, 1),
            Some(true) => match self.doubt(&header) {
                Some(why) => self.tear(why, 0),
                None => Step::Frame(header),
            },
        }
    }

    /// Whether the frame at `at` has the checksum that its header says; none while it is not whole.
    fn check(&mut self, header: &Header) -> Option<bool> {
        let rest = &self.buf[self.at..];
        let (crc, done) = self.sum.unwrap_or((0, 0));
        let payload = &rest[header.size..];
        let have = payload.len().min(header.len as usize);
        let crc = crc32c_append(crc, &payload[done..have]);
        self.sum = Some((crc, have));
        (have == header.len as usize).then_some(crc == header.crc)
    }

    /// Why a whole frame is not the one that is due. Takes in what the first one says.
    fn doubt(&mut self, header: &Header) -> Option<Why> {
        let Header { log_id, shard, .. } = *header;
        if self.info.as_ref().is_some_and(|info| (info.log_id, info.shard) != (log_id, shard)) {
            return Some(Why::Foreign { log_id, shard });
        }
        if header.sequence != self.due {
            return Some(Why::Sequence(header.sequence));
        }
        if self.zeros.is_some() {
            return Some(Why::Hole);
        }
        if self.info.is_none() {
            let payload = &self.rest()[header.size..][..header.len as usize];
            self.info = parse_file(header, payload);
        }
        self.info.is_none().then_some(Why::Nameless)
    }

    /// More of the file is needed; when there is no more, `then`.
    fn wait_or(&mut self, then: impl FnOnce(&mut Scan) -> Step) -> Step {
        if self.whole { then(self) } else { Step::Stop }
    }

    fn over(&mut self, tail: Tail) -> Step {
        self.state = State::Over(tail);
        Step::Stop
    }

    /// A tear: goes on behind it, `skip` bytes from here.
    fn tear(&mut self, why: Why, skip: usize) -> Step {
        let at = match why {
            Why::Hole => self.zeros.unwrap_or(self.place()),
            _ => self.place(),
        };
        self.state = State::Behind(Tear { at, why, due: self.due, later: None });
        self.skip(skip);
        Step::On
    }

    /// Neither a frame nor blank. What was never framed begins with a command, or the time of one.
    fn strange(&mut self) -> Step {
        let begins = self.rest().starts_with(b"*") || self.rest().starts_with(b"#T");
        if !begins || self.info.is_none() || self.zeros.is_some() {
            return self.tear(Why::Header, 1);
        }
        let tear = Tear { at: self.place(), why: Why::Header, due: self.due, later: None };
        self.state = State::Appended(tear, Walk::new(i64::MAX), 0);
        Step::On
    }

    /// Are there commands up to the end, and nothing else? A torn frame's payload has padding behind it, and seldom begins as
    /// Redis begins, which selects a database first.
    fn appended(&mut self) -> Step {
        let State::Appended(_, walk, commands) = &mut self.state else { return Step::On };
        let end = match walk.step(&self.buf, self.at) {
            Found::Time { end, .. } => end,
            Found::Command { end } => {
                let args = Args::new(&self.buf, &walk.spans);
                if *commands == 0 && !args.is(0, "select") && !args.is(0, "multi") {
                    return self.not_appended();
                }
                *commands += 1;
                end
            }
            Found::Short if !self.whole => return Step::Stop,
            Found::Short if *commands > 0 => return self.verdict(),
            _ => return self.not_appended(),
        };
        self.skip(end - self.at);
        Step::On
    }

    fn not_appended(&mut self) -> Step {
        if let State::Appended(tear, ..) = std::mem::replace(&mut self.state, State::Between) {
            self.state = State::Behind(tear);
        }
        Step::On
    }

    /// Looks for whole frames behind a tear.
    fn behind(&mut self) -> Step {
        let rest = self.rest();
        let Some(found) = memmem::find(rest, MARK) else {
            // A mark may be cut in two by the piece's end.
            self.skip(rest.len().saturating_sub(MARK.len() - 1));
            return self.wait_or(Scan::verdict);
        };
        self.skip_to(found);
        let header = match parse(self.rest()) {
            Ok(header) if header.len <= self.payload_max => header,
            Err(Stop::Short) if !self.whole => return Step::Stop,
            _ => return self.on(1),
        };
        match self.check(&header) {
            None if !self.whole => Step::Stop,
            Some(true) => {
                self.note(&header);
                self.on(header.size + header.len as usize)
            }
            _ => self.on(1),
        }
    }

    /// As [`Scan::skip`], but a frame that is being summed stays so.
    fn skip_to(&mut self, bytes: usize) {
        if bytes > 0 {
            self.skip(bytes);
        }
    }

    fn on(&mut self, bytes: usize) -> Step {
        self.skip(bytes);
        Step::On
    }

    /// A whole frame behind the tear: counts when it is one of this log. When the first frame is lost, which log this is can be
    /// told from the others only.
    fn note(&mut self, header: &Header) {
        let at = self.place();
        let (log_id, shard) = match &self.info {
            Some(info) => (info.log_id, info.shard),
            None => (header.log_id, header.shard),
        };
        let State::Behind(tear) = &mut self.state else { return };
        if (log_id, shard) != (header.log_id, header.shard) || header.sequence < tear.due {
            return;
        }
        let first = Later { at, sequence: header.sequence, frames: 0, durable: 0 };
        let later = tear.later.get_or_insert(first);
        later.frames += 1;
        later.durable = later.durable.max(header.durable);
    }

    /// The file has ended at or behind a tear.
    fn verdict(&mut self) -> Step {
        let tail = match std::mem::replace(&mut self.state, State::Between) {
            State::Appended(tear, ..) => Tail::Damaged(Tear { why: Why::Appended, ..tear }),
            State::Behind(tear) if tear.later.as_ref().is_some_and(|later| later.durable > tear.due) => {
                Tail::Damaged(tear)
            }
            State::Behind(tear) => Tail::Torn(tear),
            State::Between | State::Over(_) => Tail::Clean,
        };
        self.over(tail)
    }

    /// The most that is kept between two pieces.
    pub fn memory_max(&self) -> usize {
        HEADER_MAX.saturating_add(self.payload_max as usize)
    }
}

#[cfg(test)]
mod tests;
