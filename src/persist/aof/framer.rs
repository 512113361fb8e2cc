//! Frames are made: a header in front of a payload, all appended to the bytes of a write.
//!
//! A frame costs one pass over its payload for the copy and one for the checksum, and some 30 ns for the header. Nothing is
//! allocated but what the write's own buffer grows by.

use super::header::{END, FileInfo, HEADER_MAX, MARK, push_file, push_hex, push_set};
use crate::store::SHARDS_MAX;
use crate::store::log::Part;
use crc32c::crc32c;

/// Makes the frames of one file.
///
/// A write is made of any number of frames and then [`pad`](super::pad); its first byte stands at a multiple of
/// [`BLOCK`](super::BLOCK) in the file.
#[derive(Debug)]
pub struct Framer {
    info: FileInfo,
    /// What all headers begin with, up to the sequence.
    head: Vec<u8>,
    sequence: u64,
    durable: u64,
}

/// Where a file ends, and what closes it there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEnd {
    /// Bytes of the file.
    pub len: u64,
    /// The frame to write behind them, see [`Framer::end_file`].
    pub closing: Vec<u8>,
}

impl Framer {
    /// For the log of `shard` in a generation of so many shards. The id is drawn at random, once for all files of a
    /// generation.
    pub fn new(log_id: u64, shard: usize, generation: u64, shards: usize) -> Framer {
        assert!(shard < shards && shards <= SHARDS_MAX, "shard {shard} of {shards}");
        Framer::of(FileInfo {
            log_id,
            shard: shard as u16,
            generation,
            shards: shards as u16,
            alone: false,
            after_closed: false,
            creator: concat!("kring-", env!("CARGO_PKG_VERSION")).into(),
        })
    }

    /// For the file of an operation on the whole keyspace, which is a generation of its own.
    pub fn alone(log_id: u64, generation: u64) -> Framer {
        let info = Framer::new(log_id, 0, generation, 1).info;
        Framer::of(FileInfo { alone: true, ..info })
    }

    /// The same, of a file that says whether those of the generation before it were closed.
    pub fn after_closed(mut self, closed: bool) -> Framer {
        self.info.after_closed = closed;
        self
    }

    fn of(info: FileInfo) -> Framer {
        let mut head = MARK.to_vec();
        head.extend_from_slice(b"l=");
        push_hex::<16>(&mut head, info.log_id);
        head.extend_from_slice(b" s=");
        push_hex::<4>(&mut head, info.shard.into());
        head.extend_from_slice(b" q=");
        Framer { info, head, sequence: 0, durable: 0 }
    }

    /// What the file's first frame says.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// The sequence of the next frame: how many there are.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Tells that the first `frames` frames of the file are on disk for good. Later headers repeat it, which is how recovery
    /// tells a log that lost what was acknowledged from one whose last writes, several in flight, arrived in part.
    pub fn set_durable(&mut self, frames: u64) {
        debug_assert!(frames <= self.sequence);
        self.durable = self.durable.max(frames);
    }

    /// Appends the first frame, which says what file this is. Nothing may stand before it.
    pub fn begin_file(&mut self, out: &mut Vec<u8>) {
        assert!(self.sequence == 0, "the file has begun");
        let mut line = Vec::new();
        push_file(&mut line, &self.info);
        self.frame(out, &line, None);
    }

    /// Appends the frame that closes the file; nothing follows. It says that all before it is on the disk for good, so it is
    /// written when that is so, or before anybody takes the file for a part of the log.
    pub fn end_file(&mut self, out: &mut Vec<u8>) {
        self.set_durable(self.sequence);
        self.frame(out, END, None);
    }

    /// Appends a frame and gives its sequence. The payload is made of whole commands.
    pub fn frame(&mut self, out: &mut Vec<u8>, payload: &[u8], part: Option<&Part>) -> u64 {
        let start = out.len();
        out.reserve(HEADER_MAX + payload.len());
        out.extend_from_slice(&self.head);
        push_hex::<16>(out, self.sequence);
        out.extend_from_slice(b" d=");
        push_hex::<16>(out, self.durable);
        out.extend_from_slice(b" n=");
        push_hex::<16>(out, payload.len() as u64);
        if let Some(part) = part {
            assert!(part.participants.contains(self.info.shard.into()), "a part of someone else");
            out.extend_from_slice(b" x=");
            push_hex::<16>(out, part.id);
            out.extend_from_slice(b" p=");
            push_set(out, &part.participants, usize::from(self.info.shards).div_ceil(4));
        }
        out.extend_from_slice(b" c=");
        push_hex::<8>(out, crc32c(payload).into());
        out.extend_from_slice(b" h=");
        let header = crc32c(&out[start..]);
        push_hex::<8>(out, header.into());
        out.push(b'\n');
        out.extend_from_slice(payload);
        self.sequence += 1;
        self.sequence - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::aof::blank::LINE_MAX;
    use crate::persist::aof::header::{Stop, parse, parse_file};
    use crate::store::ShardSet;

    #[test]
    fn a_header_looks_as_it_is_drawn() {
        let mut framer = Framer::new(0xfeed, 1, 7, 6);
        let mut out = Vec::new();
        framer.begin_file(&mut out);
        framer.set_durable(1);
        let begun = out.len();
        let part = Part {
            id: 255,
            participants: [1, 5].iter().fold(ShardSet::EMPTY, |mut set, s| {
                set.insert(*s);
                set
            }),
        };
        assert_eq!(framer.frame(&mut out, b"*1\r\n$4\r\nPING\r\n", Some(&part)), 1);
        let text = String::from_utf8(out[begun..].to_vec()).unwrap();
        let head = "#kring:1 l=000000000000feed s=0001 q=0000000000000001 d=0000000000000001 n=000000000000000e x=00000000000000ff p=22 c=";
        assert!(text.starts_with(head), "{text}");
        let payload = "*1\r\n$4\r\nPING\r\n";
        let line = format!("{head}{:08x} h=", crc32c(payload.as_bytes()));
        assert_eq!(text, format!("{line}{:08x}\n{payload}", crc32c(line.as_bytes())));
        let header = parse(&out).unwrap();
        let first = &out[header.size..begun];
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            std::str::from_utf8(first).unwrap(),
            format!("#kring-file:1 g=0000000000000007 s=0006 shard by=kring-{version}\n")
        );
        assert_eq!(parse_file(&header, first).as_ref(), Some(framer.info()));
    }

    #[test]
    fn headers_round_trip_and_every_part_of_one_is_short() {
        for shards in [1, 4, 5, 64, 511, 512] {
            let mut framer = Framer::new(u64::MAX, shards - 1, 0, shards);
            let part = Part { id: u64::MAX, participants: ShardSet::all(shards) };
            for part in [None, Some(part)] {
                let mut out = Vec::new();
                let sequence = framer.frame(&mut out, b"", part.as_ref());
                let header = parse(&out).unwrap();
                assert_eq!((header.log_id, header.shard), (u64::MAX, shards as u16 - 1));
                assert_eq!((header.sequence, header.len, header.part), (sequence, 0, part));
                assert_eq!((header.size, header.crc), (out.len(), 0));
                assert!(out.len() <= HEADER_MAX && out.len() <= LINE_MAX);
                for cut in 0..out.len() {
                    assert_eq!(parse(&out[..cut]), Err(Stop::Short), "{cut} of {}", out.escape_ascii());
                }
            }
        }
        let mut out = Vec::new();
        let all = Part { id: 0, participants: ShardSet::all(512) };
        Framer::new(0, 0, 0, 512).frame(&mut out, b"", Some(&all));
        assert_eq!(out.len(), HEADER_MAX);
    }

    #[test]
    fn a_file_says_whether_those_before_it_were_closed() {
        for closed in [false, true] {
            let mut framer = Framer::new(1, 0, 9, 2).after_closed(closed);
            let mut out = Vec::new();
            framer.begin_file(&mut out);
            let header = parse(&out).unwrap();
            let line = std::str::from_utf8(&out[header.size..]).unwrap();
            assert_eq!(line.ends_with(" after=closed\n"), closed, "{line}");
            let info = parse_file(&header, line.as_bytes()).unwrap();
            assert_eq!((info.after_closed, &info), (closed, framer.info()));
            // All that was written is durable when a file is closed.
            let begun = out.len();
            framer.frame(&mut out, b"", None);
            let closing = out.len();
            framer.end_file(&mut out);
            assert_eq!(parse(&out[begun..]).unwrap().durable, 0);
            let header = parse(&out[closing..]).unwrap();
            assert_eq!((header.sequence, header.durable), (2, 2));
            assert_eq!(&out[closing + header.size..], b"#kring-end:1\n");
        }
    }

    #[test]
    fn files_that_stand_alone_say_so() {
        let mut out = Vec::new();
        Framer::alone(1, 9).begin_file(&mut out);
        let header = parse(&out).unwrap();
        let info = parse_file(&header, &out[header.size..]).unwrap();
        assert!(info.alone && info.generation == 9 && info.shards == 1);
    }
}
