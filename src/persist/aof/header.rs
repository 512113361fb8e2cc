//! The line that opens a frame, and the line that opens a file: written and read. Both are drawn in [`super`].
//!
//! A header has one spelling only (fixed widths, lowercase), so a changed byte makes it another header, which its checksum
//! shows, or none at all.

use super::blank::LINE_MAX;
use crate::store::log::Part;
use crate::store::{SHARDS_MAX, ShardSet};
use crc32c::crc32c;

/// What every header begins with; 1 is the format's version.
pub(super) const MARK: &[u8] = b"#kring:1 ";
/// What the line begins with that opens a file.
const FILE_MARK: &[u8] = b"#kring-file:1 ";
/// What it ends with when the files before it were closed. Behind the program's name, so that those who know nothing of it take it for a
/// part of that.
const AFTER_CLOSED: &str = " after=closed";
/// The payload of the frame that closes a file.
pub(super) const END: &[u8] = b"#kring-end:1\n";
/// Digits of the widest set of shards.
const SET_MAX: usize = SHARDS_MAX / 4;
/// The length of the longest header.
pub(super) const HEADER_MAX: usize =
    MARK.len() + 4 * (2 + 16) + (2 + 4) + 2 * (2 + 8) + (2 + 16) + (2 + SET_MAX) + 9;
const _: () = assert!(HEADER_MAX <= LINE_MAX);

/// What a file's first frame says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileInfo {
    /// Drawn at random for a generation; every header of its files repeats it.
    pub log_id: u64,
    /// Whose log it is.
    pub shard: u16,
    /// Which generation it belongs to.
    pub generation: u64,
    /// How many files, one a shard, the generation has; 1 when it stands alone.
    pub shards: u16,
    /// Whether it holds an operation on the whole keyspace and stands alone between two generations.
    pub alone: bool,
    /// Whether the files of the generation before it, by number, end with frames that close them: one without has lost its end.
    pub after_closed: bool,
    /// Program and version.
    pub creator: String,
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub log_id: u64,
    pub shard: u16,
    pub sequence: u64,
    pub durable: u64,
    /// Bytes of payload.
    pub len: u64,
    pub part: Option<Part>,
    /// The payload's checksum.
    pub crc: u32,
    /// Bytes of the line.
    pub size: usize,
}

/// Why there is no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// What is here could be the start of one.
    Short,
    Not,
}

/// Appends a number in `DIGITS` lowercase hex digits, 16 at most.
#[inline]
pub(super) fn push_hex<const DIGITS: usize>(out: &mut Vec<u8>, value: u64) {
    let high = hex8((value >> 32) as u32);
    let low = hex8(value as u32);
    if DIGITS > 8 {
        out.extend_from_slice(&high[16 - DIGITS..]);
    }
    out.extend_from_slice(&low[8usize.saturating_sub(DIGITS)..]);
}

/// Eight digits at a time: each of the eight nibbles gets a byte, which becomes its digit.
#[inline]
fn hex8(value: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut x = u64::from(value);
    x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    x = (x | x << 4) & (0x0f * ONES);
    let letters = (x + 6 * ONES) >> 4 & ONES;
    (x + u64::from(b'0') * ONES + letters * u64::from(b'a' - 10 - b'0')).to_be_bytes()
}

/// Appends a set as a number in `digits` hex digits: bit 0 is shard 0.
pub(super) fn push_set(out: &mut Vec<u8>, set: &ShardSet, digits: usize) {
    for digit in (0..digits).rev() {
        let bits = (0..4).filter(|bit| set.contains(4 * digit + bit)).map(|bit| 1u64 << bit).sum();
        push_hex::<1>(out, bits);
    }
}

/// Appends the line that opens a file.
pub(super) fn push_file(out: &mut Vec<u8>, info: &FileInfo) {
    out.extend_from_slice(FILE_MARK);
    out.extend_from_slice(b"g=");
    push_hex::<16>(out, info.generation);
    out.extend_from_slice(b" s=");
    push_hex::<4>(out, info.shards.into());
    out.extend_from_slice(if info.alone { b" alone" } else { b" shard" });
    out.extend_from_slice(b" by=");
    out.extend_from_slice(info.creator.as_bytes());
    if info.after_closed {
        out.extend_from_slice(AFTER_CLOSED.as_bytes());
    }
    out.push(b'\n');
}

/// Reads the header that `text` begins with, and compares its own checksum. The payload's is left to the caller.
pub(super) fn parse(text: &[u8]) -> Result<Header, Stop> {
    let mut line = Line { text, at: 0 };
    line.word(MARK)?;
    let log_id = line.field(b"l=", 16)?;
    let shard = line.field(b" s=", 4)? as u16;
    let sequence = line.field(b" q=", 16)?;
    let durable = line.field(b" d=", 16)?;
    let len = line.field(b" n=", 16)?;
    line.word(b" ")?;
    let part = match line.peek()? {
        b'x' => Some(line.part()?),
        _ => None,
    };
    let crc = line.field(b"c=", 8)? as u32;
    line.word(b" h=")?;
    let summed = line.at;
    let own = line.hex(8)? as u32;
    line.word(b"\n")?;
    if own != crc32c(&text[..summed]) {
        return Err(Stop::Not);
    }
    let header = Header { log_id, shard, sequence, durable, len, part, crc, size: line.at };
    let known = |part: &Part| usize::from(shard) < SHARDS_MAX && part.participants.contains(shard.into());
    if header.part.as_ref().is_some_and(|part| !known(part)) { Err(Stop::Not) } else { Ok(header) }
}

/// Reads the line that opens a file, from its first frame.
pub(super) fn parse_file(header: &Header, payload: &[u8]) -> Option<FileInfo> {
    let mut line = Line { text: payload, at: 0 };
    line.word(FILE_MARK).ok()?;
    let generation = line.field(b"g=", 16).ok()?;
    let shards = line.field(b" s=", 4).ok()? as u16;
    let alone = line.word(b" alone").is_ok();
    if !alone {
        line.word(b" shard").ok()?;
    }
    line.word(b" by=").ok()?;
    let rest = &payload[line.at..];
    let creator = std::str::from_utf8(&rest[..rest.iter().position(|b| *b == b'\n')?]).ok()?;
    let (creator, after_closed) = match creator.strip_suffix(AFTER_CLOSED) {
        Some(creator) => (creator, true),
        None => (creator, false),
    };
    let fits = (1..=SHARDS_MAX).contains(&shards.into()) && header.shard < shards;
    fits.then(|| FileInfo {
        log_id: header.log_id,
        shard: header.shard,
        generation,
        shards,
        alone,
        after_closed,
        creator: creator.to_string(),
    })
}

/// A line that is being read.
struct Line<'a> {
    text: &'a [u8],
    at: usize,
}

impl Line<'_> {
    fn rest(&self) -> &[u8] {
        &self.text[self.at..]
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.rest().first().copied().ok_or(Stop::Short)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        let rest = self.rest();
        if !rest.starts_with(word) {
            return Err(if word.starts_with(rest) { Stop::Short } else { Stop::Not });
        }
        self.at += word.len();
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<u64, Stop> {
        let mut value = 0;
        for _ in 0..digits {
            value = value << 4 | digit(self.peek()?).ok_or(Stop::Not)?;
            self.at += 1;
        }
        Ok(value)
    }

    fn field(&mut self, name: &[u8], digits: usize) -> Result<u64, Stop> {
        self.word(name)?;
        self.hex(digits)
    }

    fn part(&mut self) -> Result<Part, Stop> {
        let id = self.field(b"x=", 16)?;
        self.word(b" p=")?;
        let digits = self.rest().iter().take(SET_MAX + 1).take_while(|b| digit(**b).is_some()).count();
        if digits == self.rest().len() && digits <= SET_MAX {
            return Err(Stop::Short);
        }
        if digits == 0 || digits > SET_MAX {
            return Err(Stop::Not);
        }
        let mut participants = ShardSet::EMPTY;
        for low in (0..digits).rev().map(|i| 4 * i) {
            let bits = self.hex(1)?;
            (0..4).filter(|bit| bits >> bit & 1 == 1).for_each(|bit| participants.insert(low + bit));
        }
        self.word(b" ")?;
        Ok(Part { id, participants })
    }
}

fn digit(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some((byte - b'0').into()),
        b'a'..=b'f' => Some((byte - b'a' + 10).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hex_of_fixed_width() {
        let numbers = (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1, !(1 << bit)]);
        for value in numbers.chain([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]) {
            let mut out = Vec::new();
            push_hex::<16>(&mut out, value);
            push_hex::<8>(&mut out, value & 0xffff_ffff);
            push_hex::<4>(&mut out, value & 0xffff);
            push_hex::<1>(&mut out, value & 0xf);
            let (word, half, nibble) = (value & 0xffff_ffff, value & 0xffff, value & 0xf);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!("{value:016x}{word:08x}{half:04x}{nibble:x}")
            );
        }
    }
}
