//! What the commands of field expiry have in common: `FIELDS n field ...`, and how times are given.

use crate::base::number::parse_i64;
use crate::ds::hash::EXPIRE_MAX;
use crate::resp::{Args, Error};

/// The names behind `FIELDS n`.
#[derive(Clone, Copy)]
pub struct Fields<'a>(Args<'a>);

impl<'a> Fields<'a> {
    /// The fields of a command that reads or removes; `FIELDS` is argument `at`.
    pub fn of_reader(args: Args<'a>, at: usize) -> Result<Fields<'a>, Error> {
        Fields::parse(args, at, "ERR Number of fields must be a positive integer")
    }

    /// The fields of a command that sets expiries.
    pub fn of_setter(args: Args<'a>, at: usize) -> Result<Fields<'a>, Error> {
        Fields::parse(args, at, "ERR Parameter `numFields` should be greater than 0")
    }

    fn parse(args: Args<'a>, at: usize, bad_number: &'static str) -> Result<Fields<'a>, Error> {
        if at >= args.len() || !args.is(at, "fields") {
            return Err(Error::text_of(
                "ERR Mandatory argument FIELDS is missing or not at the right position",
            ));
        }
        let number = args.get(at + 1).and_then(parse_i64).filter(|n| *n > 0);
        let number = number.ok_or(Error::text_of(bad_number))?;
        let names = args.from(at + 2);
        if usize::try_from(number) != Ok(names.len()) {
            return Err(Error::text_of("ERR The `numfields` parameter must match the number of arguments"));
        }
        Ok(Fields(names))
    }

    /// How many, at least one.
    pub fn len(self) -> usize {
        self.0.len()
    }

    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        self.0.iter()
    }
}

/// How a time is given.
#[derive(Clone, Copy)]
pub struct Unit {
    pub seconds: bool,
    /// A unix time, not a span from now.
    pub absolute: bool,
}

impl Unit {
    /// The unit that an option names: EX, PX, EXAT, PXAT.
    pub fn of(word: &[u8]) -> Option<Unit> {
        let (unit, absolute) = match word.len() {
            2 => (word, false),
            4 if word[2..].eq_ignore_ascii_case(b"at") => (&word[..2], true),
            _ => return None,
        };
        match unit {
            [b'e' | b'E', b'x' | b'X'] => Some(Unit { seconds: true, absolute }),
            [b'p' | b'P', b'x' | b'X'] => Some(Unit { seconds: false, absolute }),
            _ => None,
        }
    }

    /// The unix time, in ms, that a client's number stands for. It may have passed, and may be 0. `command` is named in the
    /// error.
    pub fn time(self, text: &[u8], now_ms: i64, command: &'static str) -> Result<i64, Error> {
        let value = parse_i64(text).ok_or(Error::NotInteger)?;
        if value < 0 {
            return Err(Error::text_of("ERR invalid expire time, must be >= 0"));
        }
        let ms = if self.seconds { value.checked_mul(1_000) } else { Some(value) };
        let base = if self.absolute { 0 } else { now_ms };
        let at = ms.and_then(|ms| ms.checked_add(base));
        at.filter(|at| *at <= EXPIRE_MAX).ok_or(Error::ExpireTime(command))
    }
}
