//! Every mistake that a client can make, with Redis's exact words.

use std::borrow::Cow;

/// A client's mistake. The reply is [`Error::text`] after a `-`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    Syntax,
    WrongType,
    NotInteger,
    NotFloat,
    OutOfRange,
    Overflow,
    NanOrInfinity,
    NoSuchKey,
    NegativeValue,
    DbIndex,
    StringTooLong,
    BitOffset,
    BitValue,
    BitType,
    InvalidCursor,
    SameObject,
    NoAuth,
    BusyKey,
    BadPayload,
    /// Wrong number of arguments for this command or subcommand (`config|get`).
    Arity(&'static str),
    /// The expire time of this command is out of bounds.
    ExpireTime(&'static str),
    /// Any other, code first.
    Text(Cow<'static, str>),
    /// One that quotes what a client sent, which need be no text.
    Quote(Vec<u8>),
}

impl Error {
    /// An error that needs no row of its own.
    pub fn text_of(text: impl Into<Cow<'static, str>>) -> Error {
        Error::Text(text.into())
    }

    /// An error with a client's word in it: as C prints it, up to a NUL.
    pub fn quote(before: &str, word: &[u8], behind: &str) -> Error {
        let word = word.split(|b| *b == 0).next().unwrap_or_default();
        Error::Quote([before.as_bytes(), word, behind.as_bytes()].concat())
    }

    /// The reply's text, code first.
    pub fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Error::Syntax => "ERR syntax error",
            Error::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Error::NotInteger => "ERR value is not an integer or out of range",
            Error::NotFloat => "ERR value is not a valid float",
            Error::OutOfRange => "ERR index out of range",
            Error::Overflow => "ERR increment or decrement would overflow",
            Error::NanOrInfinity => "ERR increment would produce NaN or Infinity",
            Error::NoSuchKey => "ERR no such key",
            Error::NegativeValue => "ERR value is out of range, must be positive",
            Error::DbIndex => "ERR DB index is out of range",
            Error::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Error::BitOffset => "ERR bit offset is not an integer or out of range",
            Error::BitValue => "ERR bit is not an integer or out of range",
            Error::BitType => {
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
            }
            Error::InvalidCursor => "ERR invalid cursor",
            Error::SameObject => "ERR source and destination objects are the same",
            Error::NoAuth => "NOAUTH Authentication required.",
            Error::BusyKey => "BUSYKEY Target key name already exists.",
            Error::BadPayload => "ERR DUMP payload version or checksum are wrong",
            Error::Arity(name) => {
                return Cow::Owned(format!("ERR wrong number of arguments for '{name}' command"));
            }
            Error::ExpireTime(name) => {
                return Cow::Owned(format!("ERR invalid expire time in '{name}' command"));
            }
            Error::Text(text) => return Cow::Borrowed(text),
            Error::Quote(text) => return String::from_utf8_lossy(text),
        })
    }
}
