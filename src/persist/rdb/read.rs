//! Cutting a file into its items, piece by piece.

use super::shape::{Ahead, Stop, type_of};
use super::{CHECKSUM_SINCE, HEADER, MAGIC, MAGIC_OF_VALKEY, VERSION_OF_VALKEY, VERSIONS_READ, op};
use crate::persist::crc64::crc64;
use crate::persist::rdb_string::decode_string;
use std::borrow::Cow;
use std::fmt;

/// From this much on, an item that is not whole is looked at again only when half as much again has come.
const PATIENT_FROM: usize = 64 * 1024;

/// Whether a file that begins with these bytes means to be a snapshot.
pub fn has_magic(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || head.starts_with(MAGIC_OF_VALKEY)
}

/// What is wrong with a file, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Bytes of the file before the item in question.
    pub offset: u64,
    pub what: What,
}

/// What is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// It does not begin as an RDB file does.
    NotRdb,
    Version(u32),
    ValkeyVersion(u32),
    Truncated,
    Corrupt(&'static str),
    UnknownType(u8),
    /// It holds data of a module.
    Module,
    /// It is of a node that was being given slots.
    SlotImport,
    /// It holds functions in the form of a release candidate.
    OldFunctions,
    Checksum {
        found: u64,
        computed: u64,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::NotRdb => {
                f.write_str("it is no RDB file: it does not begin with REDIS or VALKEY and a version")?;
            }
            What::Version(version) => {
                let last = VERSIONS_READ.end();
                write!(f, "its RDB version is {version}; versions 1 to {last} can be read")?;
            }
            What::ValkeyVersion(version) => {
                write!(f, "its RDB version is {version} of Valkey's; of those {VERSION_OF_VALKEY} can be read")?;
            }
            What::Truncated => f.write_str("it ends too early")?,
            What::Corrupt(why) => write!(f, "it is damaged: {why}")?,
            What::UnknownType(kind) => write!(f, "it holds a value of unknown type {kind}")?,
            What::Module => f.write_str("it holds data of a module, which kring cannot read")?,
            What::SlotImport => f.write_str(
                "it was written while slots were moving into a node of a cluster: their keys are not all there",
            )?,
            What::OldFunctions => {
                f.write_str("it holds functions as a release candidate of 7.0 wrote them")?
            }
            What::Checksum { found, computed } => {
                write!(
                    f,
                    "RDB CRC error: its checksum is {found:016x}, but its content gives {computed:016x}"
                )?;
            }
        }
        write!(f, " (at byte {})", self.offset)
    }
}

/// A key and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    pub db: u64,
    pub key: Cow<'a, [u8]>,
    /// RDB's number of the value's type and encoding.
    pub kind: u8,
    /// The value as it stands in the file.
    pub value: &'a [u8],
    /// Unix ms.
    pub expire_at: Option<i64>,
    /// Seconds since its last use, if the file tells.
    pub idle_secs: Option<u64>,
    /// The counter of its uses, if the file tells.
    pub frequency: Option<u8>,
    /// Where it stands in the file.
    pub offset: u64,
}

/// What a file consists of.
#[derive(PartialEq, Eq, Debug)]
pub enum Item<'a> {
    Version(u32),
    Aux {
        name: Cow<'a, [u8]>,
        value: Cow<'a, [u8]>,
    },
    /// The source of a library of functions.
    Library(Cow<'a, [u8]>),
    /// How many keys, and keys with a TTL, a database has.
    Sizes {
        db: u64,
        keys: u64,
        expires: u64,
    },
    Entry(Entry<'a>),
    /// The file is whole. What follows is no part of it.
    End,
}

/// What has been said of the entry that comes next.
#[derive(Clone, Copy, Default)]
struct Said {
    expire_at: Option<i64>,
    idle_secs: Option<u64>,
    frequency: Option<u8>,
}

/// An item, with places in the buffer instead of bytes.
enum Found {
    /// Nothing to tell.
    Nothing,
    Aux(Span, Span),
    Library(Span),
    Sizes(u64, u64),
    Entry {
        kind: u8,
        key: Span,
        value: Span,
    },
    End,
}

type Span = (usize, usize);

/// Reads a file that is pushed in pieces.
pub struct Reader {
    buf: Vec<u8>,
    /// Everything before this has been given out.
    at: usize,
    /// Everything before this is in the checksum.
    summed: usize,
    /// Bytes of the file before the buffer's first.
    before: u64,
    /// Nothing new is to be seen until the buffer is this long.
    want: usize,
    whole: bool,
    check: bool,
    crc: u64,
    /// 0: the header is not read yet.
    version: u32,
    is_valkey: bool,
    db: u64,
    said: Said,
    ended: bool,
    compared: bool,
}

impl Reader {
    /// A reader that compares the checksum if `check` (`rdbchecksum`).
    pub fn new(check: bool) -> Reader {
        Reader {
            buf: Vec::new(),
            at: 0,
            summed: 0,
            before: 0,
            want: 0,
            whole: false,
            check,
            crc: 0,
            version: 0,
            is_valkey: false,
            db: 0,
            said: Said::default(),
            ended: false,
            compared: false,
        }
    }

    /// More of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.sum();
        self.buf.drain(..self.at);
        self.before += self.at as u64;
        self.want = self.want.saturating_sub(self.at);
        (self.at, self.summed) = (0, 0);
        self.buf.extend_from_slice(bytes);
    }

    /// That was all of it.
    pub fn finish(&mut self) {
        self.whole = true;
    }

    /// Bytes of the file that have been given out.
    pub fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    #[cfg(test)]
    pub(super) fn buf_capacity(&self) -> usize {
        self.buf.capacity()
    }

    /// Whether the file had a checksum that was compared.
    pub fn has_checksum(&self) -> bool {
        self.compared
    }

    /// Bytes that came after the end.
    pub fn left_over(&self) -> usize {
        if self.ended { self.buf.len() - self.at } else { 0 }
    }

    /// The next item; none when more of the file is needed.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, Broken> {
        loop {
            if self.ended || (self.buf.len() < self.want && !self.whole) {
                return Ok(None);
            }
            let start = self.at;
            let offset = self.position();
            let broken = |what| Err(Broken { offset, what });
            let found = match self.step() {
                Ok(found) => found,
                Err(Stop::Short(_)) if self.whole => return broken(What::Truncated),
                Err(Stop::Short(more)) => {
                    let have = self.buf.len() - start;
                    let patient = if have < PATIENT_FROM { 0 } else { have / 2 };
                    self.want = self.buf.len().saturating_add(more.max(patient));
                    return Ok(None);
                }
                Err(Stop::Corrupt(why)) => return broken(What::Corrupt(why)),
                Err(Stop::UnknownType(kind)) => return broken(What::UnknownType(kind)),
                Err(Stop::Module) => return broken(What::Module),
                Err(Stop::SlotImport) => return broken(What::SlotImport),
            };
            if start == 0 && self.before == 0 {
                let known =
                    if self.is_valkey { VERSION_OF_VALKEY..=VERSION_OF_VALKEY } else { VERSIONS_READ };
                return if known.contains(&self.version) {
                    Ok(Some(Item::Version(self.version)))
                } else {
                    self.refuse_header()
                };
            }
            match found {
                Found::Nothing => {}
                Found::Aux(name, value) => {
                    let (name, value) = (self.text(name, offset)?, self.text(value, offset)?);
                    return Ok(Some(Item::Aux { name, value }));
                }
                Found::Library(_) if self.buf[start] == op::LIBRARY_OF_RC => {
                    return broken(What::OldFunctions);
                }
                Found::Library(text) => return Ok(Some(Item::Library(self.text(text, offset)?))),
                Found::Sizes(keys, expires) => {
                    return Ok(Some(Item::Sizes { db: self.db, keys, expires }));
                }
                Found::End => {
                    self.end(start, offset)?;
                    return Ok(Some(Item::End));
                }
                Found::Entry { kind, key, value } => {
                    let Said { expire_at, idle_secs, frequency } = std::mem::take(&mut self.said);
                    let key = self.text(key, offset)?;
                    let value = &self.buf[value.0..value.1];
                    let db = self.db;
                    let entry = Entry { db, key, kind, value, expire_at, idle_secs, frequency, offset };
                    return Ok(Some(Item::Entry(entry)));
                }
            }
        }
    }

    /// Why the header is refused.
    fn refuse_header(&self) -> Result<Option<Item<'_>>, Broken> {
        let what = match (self.version, self.is_valkey) {
            (0, _) => What::NotRdb,
            (version, true) => What::ValkeyVersion(version),
            (version, false) => What::Version(version),
        };
        Err(Broken { offset: 0, what })
    }

    /// The bytes of a string.
    fn text(&self, (from, to): Span, offset: u64) -> Result<Cow<'_, [u8]>, Broken> {
        use crate::persist::rdb_string::Text;
        match decode_string(&mut &self.buf[from..to]) {
            Ok(Text::Plain(text)) => Ok(Cow::Borrowed(text)),
            Ok(text) => Ok(Cow::Owned(text.into_bytes())),
            Err(_) => Err(Broken { offset, what: What::Corrupt("a string that cannot be decompressed") }),
        }
    }

    fn step(&mut self) -> Result<Found, Stop> {
        let mut ahead = Ahead { rest: &self.buf[self.at..] };
        let whole = self.buf.len();
        if self.at == 0 && self.before == 0 {
            let header = ahead.skip(HEADER)?;
            let valkey = header.strip_prefix(MAGIC_OF_VALKEY);
            self.is_valkey = valkey.is_some();
            let digits = valkey.or_else(|| header.strip_prefix(MAGIC));
            let digits = digits.and_then(|d| std::str::from_utf8(d).ok());
            let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
            self.version = digits.and_then(|d| d.parse().ok()).unwrap_or(0);
            self.at = HEADER;
            return Ok(Found::Nothing);
        }
        let mut found = Found::Nothing;
        let place = |ahead: &Ahead<'_>| whole - ahead.rest.len();
        let string = |ahead: &mut Ahead<'_>| {
            let from = whole - ahead.rest.len();
            ahead.string().map(|text| (from, from + text.len()))
        };
        match ahead.byte()? {
            op::EXPIRE_SECS => {
                let secs = i32::from_le_bytes(ahead.number()?);
                self.said.expire_at = Some(i64::from(secs) * 1_000);
            }
            op::EXPIRE_MS => self.said.expire_at = Some(i64::from_le_bytes(ahead.number()?)),
            op::FREQUENCY => self.said.frequency = Some(ahead.byte()?),
            op::IDLE => self.said.idle_secs = Some(ahead.len()?),
            op::SELECT => self.db = ahead.len()?,
            op::SIZES => found = Found::Sizes(ahead.len()?, ahead.len()?),
            op::SLOT => drop((ahead.len()?, ahead.len()?, ahead.len()?)),
            op::AUX => found = Found::Aux(string(&mut ahead)?, string(&mut ahead)?),
            op::LIBRARY | op::LIBRARY_OF_RC => found = Found::Library(string(&mut ahead)?),
            op::MODULE => return Err(Stop::Module),
            op::SLOT_IMPORT if self.is_valkey => return Err(Stop::SlotImport),
            op::END => {
                if self.version >= CHECKSUM_SINCE {
                    ahead.skip(size_of::<u64>())?;
                }
                found = Found::End;
            }
            byte => {
                // A byte that is no type is told before anything is read on.
                let kind = type_of(byte, self.is_valkey).ok_or(Stop::UnknownType(byte))?;
                let key = string(&mut ahead)?;
                let from = place(&ahead);
                ahead.value(kind)?;
                found = Found::Entry { kind, key, value: (from, place(&ahead)) };
            }
        }
        self.at = place(&ahead);
        Ok(found)
    }

    /// Brings the checksum up to what was given out.
    fn sum(&mut self) {
        if self.check {
            self.crc = crc64(self.crc, &self.buf[self.summed..self.at]);
        }
        self.summed = self.at;
    }

    /// Compares the checksum behind the end, which stands at `start`.
    fn end(&mut self, start: usize, offset: u64) -> Result<(), Broken> {
        self.ended = true;
        let after = start + 1;
        let Some(found) = self.buf[after..self.at].first_chunk() else { return Ok(()) };
        let found = u64::from_le_bytes(*found);
        if !self.check || found == 0 {
            return Ok(());
        }
        let computed = crc64(self.crc, &self.buf[self.summed..after]);
        self.compared = true;
        if found == computed {
            return Ok(());
        }
        Err(Broken { offset, what: What::Checksum { found, computed } })
    }
}
