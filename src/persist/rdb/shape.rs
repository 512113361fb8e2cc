//! Where things end: the shapes of RDB's values, as far as it takes to step over them.
//!
//! ```text
//!  0           string                             16 17 20   one string (a listpack)
//!  1 2 14      n, n strings                       18         n, n * (kind of node, string)
//!  3           n, n * (string, score as text)     15 19 21   a stream: listpacks, numbers, groups
//!  4           n, 2 n strings                     22         n, n * (expiry, string, string)
//!  5           n, n * (string, 8 bytes)           24         8 bytes, then as 22
//!  9 to 13     one string                         23         one string      25   8 bytes, string
//!  150         n, n * (string, string, 8 bytes)   22 of Valkey
//! ```
//! Nothing is decoded or kept, so a hostile value costs no more than its bytes.

use super::VALKEY_TYPES;

/// Why nothing was stepped over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// At least so many more bytes are needed.
    Short(usize),
    /// No file looks like this.
    Corrupt(&'static str),
    /// A type that no file of the known versions has.
    UnknownType(u8),
    /// What a module wrote.
    Module,
    /// Slots that were on their way into a node of a cluster.
    SlotImport,
}

type Step<T> = Result<T, Stop>;

const STRING: u8 = 0;
const SET: u8 = 2;
const LIST: u8 = 1;
const ZSET: u8 = 3;
const HASH: u8 = 4;
const ZSET_2: u8 = 5;
const MODULE: u8 = 6;
const MODULE_2: u8 = 7;
const ZIPMAP: u8 = 9;
const HASH_ZIPLIST: u8 = 13;
const QUICKLIST: u8 = 14;
const STREAM: u8 = 15;
const HASH_LISTPACK: u8 = 16;
const ZSET_LISTPACK: u8 = 17;
const QUICKLIST_2: u8 = 18;
const STREAM_2: u8 = 19;
const SET_LISTPACK: u8 = 20;
const STREAM_3: u8 = 21;
const HASH_EXPIRY_OF_RC: u8 = 22;
const HASH_LISTPACK_EX_OF_RC: u8 = 23;
const HASH_EXPIRY: u8 = 24;
const HASH_LISTPACK_EX: u8 = 25;
/// Valkey's hash whose fields expire, as it stands in its files.
const VALKEY_HASH: u8 = 22;
const VALKEY_HASH_HERE: u8 = VALKEY_HASH + VALKEY_TYPES;

/// Bytes of a stream's id in a group's list, and of a time.
const STREAM_ID: usize = 16;
const TIME: usize = 8;
/// First bytes of strings that are integers, and of compressed ones.
const INT_8: u8 = 0xc0;
const INT_32: u8 = 0xc2;
const PACKED: u8 = 0xc3;

/// The first version of the format that has this type.
pub fn least_version(kind: u8) -> u8 {
    match kind {
        ..=STREAM => 9,
        HASH_LISTPACK..=STREAM_2 => 10,
        SET_LISTPACK | STREAM_3 => 11,
        _ => 12,
    }
}

/// The type that a byte of a file stands for, one of Valkey's or not; none when there is no such.
pub fn type_of(byte: u8, is_valkey: bool) -> Option<u8> {
    match byte {
        VALKEY_HASH if is_valkey => Some(VALKEY_HASH_HERE),
        ..=STREAM_3 => Some(byte),
        ..=HASH_LISTPACK_EX if !is_valkey => Some(byte),
        _ => None,
    }
}

/// What is still to step over.
pub struct Ahead<'a> {
    pub rest: &'a [u8],
}

impl<'a> Ahead<'a> {
    pub fn skip(&mut self, n: usize) -> Step<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or_else(|| self.short(n))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Step<u8> {
        Ok(self.skip(1)?[0])
    }

    /// Of `n` bytes some have not come yet.
    #[cold]
    fn short(&self, n: usize) -> Stop {
        Stop::Short(n - self.rest.len())
    }

    pub fn number<const N: usize>(&mut self) -> Step<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.short(N))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn len_after(&mut self, first: u8) -> Step<u64> {
        match first {
            0..0x40 => Ok(u64::from(first)),
            0x40..0x80 => Ok(u64::from(first - 0x40) << 8 | u64::from(self.byte()?)),
            0x80 => Ok(u64::from(u32::from_be_bytes(self.number()?))),
            0x81 => Ok(u64::from_be_bytes(self.number()?)),
            _ => Err(Stop::Corrupt("a length that is none")),
        }
    }

    pub fn len(&mut self) -> Step<u64> {
        let first = self.byte()?;
        self.len_after(first)
    }

    fn bytes(&mut self, len: u64) -> Step<()> {
        let len = usize::try_from(len).map_err(|_| Stop::Corrupt("a string longer than memory"))?;
        self.skip(len).map(drop)
    }

    /// Steps over a string and gives its bytes as written.
    pub fn string(&mut self) -> Step<&'a [u8]> {
        let from = self.rest;
        let first = self.byte()?;
        match first {
            INT_8..=INT_32 => drop(self.skip(1 << (first - INT_8))?),
            PACKED => {
                let (packed, _) = (self.len()?, self.len()?);
                self.bytes(packed)?;
            }
            _ => {
                let len = self.len_after(first)?;
                self.bytes(len)?;
            }
        }
        Ok(&from[..from.len() - self.rest.len()])
    }

    fn strings(&mut self, n: u64) -> Step<()> {
        (0..n).try_for_each(|_| self.string().map(drop))
    }

    fn times(&mut self, n: u64, mut step: impl FnMut(&mut Self) -> Step<()>) -> Step<()> {
        (0..n).try_for_each(|_| step(self))
    }

    /// Steps over a value of this type.
    pub fn value(&mut self, kind: u8) -> Step<()> {
        match kind {
            STRING | ZIPMAP..=HASH_ZIPLIST | HASH_LISTPACK | ZSET_LISTPACK | SET_LISTPACK => self.strings(1),
            LIST | SET | QUICKLIST => {
                let n = self.len()?;
                self.strings(n)
            }
            HASH => {
                let n = self.len()?;
                self.strings(n.checked_mul(2).ok_or(Stop::Corrupt("a hash longer than memory"))?)
            }
            ZSET => {
                let n = self.len()?;
                self.times(n, |it| {
                    it.string()?;
                    // Three values stand for not-a-number and the infinities.
                    match it.byte()? {
                        253.. => Ok(()),
                        len => it.skip(usize::from(len)).map(drop),
                    }
                })
            }
            ZSET_2 => {
                let n = self.len()?;
                self.times(n, |it| {
                    it.string()?;
                    it.skip(size_of::<f64>()).map(drop)
                })
            }
            QUICKLIST_2 => {
                let n = self.len()?;
                self.times(n, |it| {
                    it.len()?;
                    it.string().map(drop)
                })
            }
            STREAM | STREAM_2 | STREAM_3 => self.stream(kind),
            HASH_EXPIRY | HASH_LISTPACK_EX => {
                self.skip(TIME)?;
                self.value(kind - (HASH_EXPIRY - HASH_EXPIRY_OF_RC))
            }
            HASH_EXPIRY_OF_RC => {
                let n = self.len()?;
                self.times(n, |it| {
                    it.len()?;
                    it.strings(2)
                })
            }
            HASH_LISTPACK_EX_OF_RC => self.strings(1),
            VALKEY_HASH_HERE => {
                let n = self.len()?;
                self.times(n, |it| {
                    it.strings(2)?;
                    it.skip(TIME).map(drop)
                })
            }
            MODULE | MODULE_2 => Err(Stop::Module),
            _ => Err(Stop::UnknownType(kind)),
        }
    }

    fn lens(&mut self, n: u64) -> Step<()> {
        self.times(n, |it| it.len().map(drop))
    }

    fn stream(&mut self, kind: u8) -> Step<()> {
        let nodes = self.len()?;
        self.strings(nodes.checked_mul(2).ok_or(Stop::Corrupt("a stream longer than memory"))?)?;
        // Entries and the last id; then the first id, the largest deleted one, and entries ever added.
        self.lens(if kind == STREAM { 3 } else { 8 })?;
        let groups = self.len()?;
        self.times(groups, |it| {
            it.string()?;
            it.lens(if kind == STREAM { 2 } else { 3 })?;
            let pending = it.len()?;
            it.times(pending, |it| {
                it.skip(STREAM_ID + TIME)?;
                it.len().map(drop)
            })?;
            let consumers = it.len()?;
            it.times(consumers, |it| {
                it.string()?;
                it.skip(if kind == STREAM_3 { 2 * TIME } else { TIME })?;
                let pending = it.len()?;
                it.times(pending, |it| it.skip(STREAM_ID).map(drop))
            })
        })
    }
}
