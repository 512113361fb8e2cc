//! The options that SET and GETEX share.

use crate::base::number::parse_i64;
use crate::resp::{Args, Error};

/// Whose options they are: not all are for both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Set,
    Getex,
}

/// When SET sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    /// NX
    Absent,
    /// XX
    Present,
}

/// How a time is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unit {
    pub seconds: bool,
    /// A unix time, not a span from now.
    pub absolute: bool,
}

impl Unit {
    pub const EX: Unit = Unit { seconds: true, absolute: false };
    pub const PX: Unit = Unit { seconds: false, absolute: false };

    fn of(word: &[u8]) -> Option<Unit> {
        let (word, absolute) = match word.len() {
            2 => (word, false),
            4 if word[2..].eq_ignore_ascii_case(b"at") => (&word[..2], true),
            _ => return None,
        };
        match word {
            [b'e' | b'E', b'x' | b'X'] => Some(Unit { seconds: true, absolute }),
            [b'p' | b'P', b'x' | b'X'] => Some(Unit { seconds: false, absolute }),
            _ => None,
        }
    }
}

/// What becomes of the TTL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expiry<'a> {
    Unsaid,
    /// KEEPTTL
    Keep,
    /// PERSIST
    Persist,
    /// EX, PX, EXAT, PXAT and what follows.
    At(Unit, &'a [u8]),
}

impl Expiry<'_> {
    /// The time asked for (unix ms), if any was. `command` is named in the error.
    pub fn at(&self, now_ms: i64, command: &'static str) -> Result<Option<i64>, Error> {
        match self {
            Expiry::At(unit, text) => unix_ms(text, *unit, now_ms, command).map(Some),
            Expiry::Unsaid | Expiry::Keep | Expiry::Persist => Ok(None),
        }
    }
}

/// The unix time, in ms, that a client's number stands for.
pub(super) fn unix_ms(text: &[u8], unit: Unit, now_ms: i64, command: &'static str) -> Result<i64, Error> {
    let value = parse_i64(text).ok_or(Error::NotInteger)?;
    let ms = if unit.seconds { value.checked_mul(1_000) } else { Some(value) };
    ms.filter(|_| value > 0)
        .and_then(|ms| if unit.absolute { Some(ms) } else { ms.checked_add(now_ms) })
        .ok_or(Error::ExpireTime(command))
}

/// The options of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a> {
    pub condition: Option<Condition>,
    pub get: bool,
    pub expiry: Expiry<'a>,
}

impl<'a> Options<'a> {
    /// Reads options. An option may be repeated, not contradicted: the last time counts.
    pub fn parse(args: Args<'a>, form: Form) -> Result<Options<'a>, Error> {
        let mut options = Options { condition: None, get: false, expiry: Expiry::Unsaid };
        let set = form == Form::Set;
        let mut i = 0;
        while i < args.len() {
            if let Some(unit) = Unit::of(args.at(i)) {
                let time = args.get(i + 1).ok_or(Error::Syntax)?;
                options
                    .agree(|e| matches!(e, Expiry::At(said, _) if said == unit), Expiry::At(unit, time))?;
                i += 2;
                continue;
            }
            if set && args.is(i, "nx") {
                options.when(Condition::Absent)?;
            } else if set && args.is(i, "xx") {
                options.when(Condition::Present)?;
            } else if set && args.is(i, "get") {
                options.get = true;
            } else if set && args.is(i, "keepttl") {
                options.agree(|e| e == Expiry::Keep, Expiry::Keep)?;
            } else if !set && args.is(i, "persist") {
                options.agree(|e| e == Expiry::Persist, Expiry::Persist)?;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }

    fn when(&mut self, condition: Condition) -> Result<(), Error> {
        if self.condition.is_some_and(|said| said != condition) {
            return Err(Error::Syntax);
        }
        self.condition = Some(condition);
        Ok(())
    }

    fn agree(&mut self, same: impl Fn(Expiry<'a>) -> bool, expiry: Expiry<'a>) -> Result<(), Error> {
        if self.expiry != Expiry::Unsaid && !same(self.expiry) {
            return Err(Error::Syntax);
        }
        self.expiry = expiry;
        Ok(())
    }
}
