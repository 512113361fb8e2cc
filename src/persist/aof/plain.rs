//! The files of Redis and Valkey: commands without frames, perhaps behind an RDB file.
//!
//! ```text
//!  [RDB file] command, command, MULTI, command, command, EXEC, ... [command cut off]
//!                            ^ valid, while EXEC has not come     ^ valid
//! ```
//! There is no checksum. What can be told is whether the file ends within a command or a transaction, and where it would have
//! to be cut then, which is where Redis cuts it (`aof-load-truncated`).

use super::blank::{Blank, blank};
use super::commands::{Defect, Found, Malformed, Walk};
use super::header::MARK;
use crate::persist::rdb::has_magic;
use crate::resp::Args;

/// What kind of file it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// Nothing, blank lines or zeros: a log whose first frame never came, as far as the first bytes tell.
    /// [`Scan`](super::Scan) finds frames further on, if that one was lost.
    Blank,
    /// Frames: for [`Scan`](super::Scan).
    Framed,
    /// Frames of a format that this version does not know.
    Unknown,
    /// An RDB file, which commands may follow: for [`rdb::Reader`](crate::persist::rdb::Reader), then [`PlainScan`].
    Rdb,
    /// Commands: for [`PlainScan`].
    Plain,
}

/// Tells by a file's first 4,096 bytes, or all of them, what it is.
pub fn content(head: &[u8]) -> Content {
    if head.starts_with(MARK) {
        return Content::Framed;
    }
    if head.starts_with(b"#kring:") {
        return Content::Unknown;
    }
    if has_magic(head) {
        return Content::Rdb;
    }
    let mut rest = head;
    loop {
        rest = match (blank(rest), rest) {
            (Blank::Lines(bytes), _) => &rest[bytes..],
            (Blank::Short, _) | (_, []) => return Content::Blank,
            (_, [0, rest @ ..]) => rest,
            _ if rest.starts_with(MARK) => return Content::Framed,
            _ => return Content::Plain,
        };
    }
}

/// A command of such a file.
#[derive(Clone, Copy)]
pub struct PlainCommand<'a> {
    /// Where it begins in the file.
    pub offset: u64,
    /// Where it ends.
    pub end: u64,
    pub args: Args<'a>,
    /// All of it, as it stands in the file.
    pub text: &'a [u8],
    /// What it is to a transaction.
    pub place: Place,
    /// Unix seconds, as last told by the file.
    pub time: Option<i64>,
}

/// What a command is to a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Outside,
    Multi,
    /// Between MULTI and EXEC: takes effect with the EXEC, if that comes.
    Within,
    Exec,
}

/// How such a file ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlainTail {
    Clean,
    /// Within a command, or a transaction without its EXEC. [`PlainScan::valid`] tells where to cut.
    Truncated {
        /// Where what is not whole begins: the command, or the end of the file.
        at: u64,
    },
    /// It cannot be read on from here.
    Malformed(Malformed),
}

/// Reads the commands of a file that is pushed in pieces of any size.
///
/// Push a piece, take commands until there are none, and so on; then [`PlainScan::finish`], the last commands, and
/// [`PlainScan::tail`].
pub struct PlainScan {
    buf: Vec<u8>,
    /// Everything before this has been given out.
    at: usize,
    /// Bytes of the file before the buffer's first.
    before: u64,
    walk: Walk,
    whole: bool,
    time: Option<i64>,
    in_multi: bool,
    valid: u64,
    tail: Option<PlainTail>,
}

impl PlainScan {
    /// A scan of commands that begin at `offset` of the file (0, or behind its RDB file) and have arguments of at most
    /// `bulk_max` bytes.
    pub fn new(offset: u64, bulk_max: i64) -> PlainScan {
        PlainScan {
            buf: Vec::new(),
            at: 0,
            before: offset,
            walk: Walk::new(bulk_max),
            whole: false,
            time: None,
            in_multi: false,
            valid: offset,
            tail: None,
        }
    }

    /// More of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.walk.shift(self.at);
        self.buf.drain(..self.at);
        self.before += self.at as u64;
        self.at = 0;
        self.buf.extend_from_slice(bytes);
    }

    /// That was all of it.
    pub fn finish(&mut self) {
        self.whole = true;
    }

    /// Where the last command ends that is whole and part of no transaction that is not.
    pub fn valid(&self) -> u64 {
        self.valid
    }

    /// The verdict: once something cannot be read, or the file has ended and all commands were taken.
    pub fn tail(&self) -> Option<PlainTail> {
        self.tail
    }

    /// The next command; none when more of the file is needed, or when there is a verdict.
    pub fn next_command(&mut self) -> Option<PlainCommand<'_>> {
        while self.tail.is_none() {
            let found = self.walk.step(&self.buf, self.at);
            match found {
                Found::Command { end } => return Some(self.give(end)),
                Found::Time { secs, end } => {
                    self.time = Some(secs);
                    self.at = end;
                }
                Found::Annotation { end } if self.buf[self.at..end].starts_with(MARK) => {
                    self.tail = Some(self.malformed(Defect::Frame));
                }
                Found::Annotation { end } => self.at = end,
                Found::Short if !self.whole => return None,
                Found::Short => self.tail = Some(self.ended()),
                Found::Bad(what) => self.tail = Some(self.malformed(what)),
            }
        }
        None
    }

    fn malformed(&self, what: Defect) -> PlainTail {
        PlainTail::Malformed(Malformed { at: self.before + self.at as u64, what })
    }

    fn ended(&self) -> PlainTail {
        let clean = self.at == self.buf.len() && !self.in_multi;
        if clean { PlainTail::Clean } else { PlainTail::Truncated { at: self.before + self.at as u64 } }
    }

    fn give(&mut self, end: usize) -> PlainCommand<'_> {
        let offset = self.before + self.at as u64;
        let start = std::mem::replace(&mut self.at, end);
        let text = &self.buf[start..end];
        let end = self.before + end as u64;
        let args = Args::new(&self.buf, &self.walk.spans);
        let place = match self.in_multi {
            true if args.is(0, "exec") => Place::Exec,
            true => Place::Within,
            false if args.is(0, "multi") => Place::Multi,
            false => Place::Outside,
        };
        self.in_multi = matches!(place, Place::Multi | Place::Within);
        if !self.in_multi {
            self.valid = end;
        }
        PlainCommand { offset, end, args, text, place, time: self.time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::aof::{BLOCK, Framer, filler, pad};

    const FILE: &[u8] = b"#TS:5\r\n*1\r\n$4\r\nPING\r\n*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n*1\r\n$4\r\nEXEC\r\n#TS:6\r\n*1\r\n$4\r\nPONG\r\n";

    /// Offset, end, place and time of a command.
    type Seen = (u64, u64, Place, Option<i64>);

    fn scan(file: &[u8], piece: usize) -> (Vec<Seen>, PlainTail, u64) {
        let mut scan = PlainScan::new(9, 1000);
        let mut found = Vec::new();
        let mut take = |scan: &mut PlainScan| {
            while let Some(c) = scan.next_command() {
                assert!(c.args.iter().all(|arg| !arg.is_empty()));
                found.push((c.offset, c.end, c.place, c.time));
            }
        };
        for bytes in file.chunks(piece) {
            scan.push(bytes);
            take(&mut scan);
        }
        scan.finish();
        take(&mut scan);
        (found, scan.tail().expect("a verdict"), scan.valid())
    }

    #[test]
    fn commands_and_transactions_are_told_however_the_file_is_cut_into_pieces() {
        let whole = scan(FILE, FILE.len());
        let places: Vec<Place> = whole.0.iter().map(|c| c.2).collect();
        assert_eq!(places, [Place::Outside, Place::Multi, Place::Within, Place::Exec, Place::Outside]);
        assert_eq!((whole.0[0].0, whole.0[0].3, whole.0[4].3), (16, Some(5), Some(6)));
        assert_eq!((whole.1, whole.2), (PlainTail::Clean, 9 + FILE.len() as u64));
        for piece in 1..FILE.len() {
            assert_eq!(scan(FILE, piece), whole, "pieces of {piece}");
        }
    }

    #[test]
    fn a_cut_at_every_byte_keeps_whole_commands_and_whole_transactions() {
        let all = scan(FILE, 100).0;
        let exec = all[3].1 as usize - 9;
        for cut in 0..FILE.len() {
            let (found, tail, valid) = scan(&FILE[..cut], 7);
            let end = 9 + cut as u64;
            let whole = all.iter().filter(|c| c.1 <= end).count();
            assert_eq!(found, all[..whole]);
            let outside = all[..whole].iter().rev().find(|c| matches!(c.2, Place::Outside | Place::Exec));
            assert_eq!(valid, outside.map_or(9, |c| c.1), "cut at {cut}");
            let clean = [0, 7, 21, exec, exec + 7].contains(&cut);
            assert_eq!(tail == PlainTail::Clean, clean, "cut at {cut}: {tail:?}");
        }
    }

    #[test]
    fn malformed_files_are_told_with_the_place() {
        let file = b"*1\r\n$4\r\nPING\r\n*1\r\n4\r\n";
        let (found, tail, valid) = scan(file, 3);
        assert_eq!((found.len(), valid), (1, 23));
        let PlainTail::Malformed(malformed) = tail else { panic!() };
        assert_eq!(malformed.at, 23);
        let (_, tail, _) = scan(b"#kring:1 l=", 3);
        assert_eq!(tail, PlainTail::Truncated { at: 9 });
        let (_, tail, _) = scan(b"#kring:1 x\n", 3);
        assert_eq!(tail, PlainTail::Malformed(Malformed { at: 9, what: Defect::Frame }));
    }

    #[test]
    fn what_a_file_is_shows_at_its_beginning() {
        let mut framed = Vec::new();
        Framer::new(1, 0, 0, 1).begin_file(&mut framed);
        pad(&mut framed);
        let mut blank = vec![0; BLOCK];
        filler(&mut blank);
        let zeros = [blank.clone(), vec![0; 100]].concat();
        let cases: [(&[u8], Content); 10] = [
            (&framed, Content::Framed),
            (&[zeros.clone(), framed.clone()].concat(), Content::Framed),
            (&blank, Content::Blank),
            (&zeros, Content::Blank),
            (b"", Content::Blank),
            (b"#kring:2 ", Content::Unknown),
            (b"REDIS0011", Content::Rdb),
            (b"VALKEY080", Content::Rdb),
            (FILE, Content::Plain),
            (b"\0\0*1", Content::Plain),
        ];
        for (head, kind) in cases {
            assert_eq!(content(head), kind);
        }
    }
}
