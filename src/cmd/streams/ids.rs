//! Ids as clients write them.
//!
//! ```text
//!  5-3   5 (the number left out)   -  +  the lowest and the highest   (5-3  without itself   5-*  the next of 5   *
//! ```

use crate::base::number::parse_i64;
use crate::cmd::unknown::c_text;
use crate::ds::stream::{StreamId, Wanted};
use crate::resp::Error;

const BAD: Error =
    Error::Text(std::borrow::Cow::Borrowed("ERR Invalid stream ID specified as stream command argument"));
const BAD_START: &str = "ERR invalid start ID for the interval";
const BAD_END: &str = "ERR invalid end ID for the interval";

/// Longer texts are no ids.
const TEXT_MAX: usize = 127;

/// A number as C's strtoull reads it when it is not a plain one, since Redis does: blanks, a sign, leading zeros.
fn number(text: &[u8]) -> Option<u64> {
    if let Some(n) = parse_i64(text) {
        return u64::try_from(n).ok();
    }
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t'..=b'\r')).count();
    signed(&text[blanks..])
}

fn signed(text: &[u8]) -> Option<u64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(if negative { value.wrapping_neg() } else { value })
}

/// Milliseconds, and the text of the number behind them if there is one.
fn parts(text: &[u8]) -> Option<(u64, Option<&[u8]>)> {
    match memchr::memchr(b'-', text) {
        None => Some((number(text)?, None)),
        Some(at) => Some((number(&text[..at])?, Some(&text[at + 1..]))),
    }
}

fn whole(text: &[u8]) -> Result<&[u8], Error> {
    // As in Redis, a NUL ends the text.
    if text.len() > TEXT_MAX { Err(BAD) } else { Ok(c_text(text, TEXT_MAX)) }
}

/// An id; `missing` is its number when the text leaves that out.
pub(super) fn strict_id(text: &[u8], missing: u64) -> Result<StreamId, Error> {
    let (ms, seq) = parts(whole(text)?).ok_or(BAD)?;
    let seq = seq.map_or(Some(missing), number).ok_or(BAD)?;
    Ok(StreamId { ms, seq })
}

/// An id, the lowest or the highest one.
pub(super) fn any_id(text: &[u8], missing: u64) -> Result<StreamId, Error> {
    match whole(text)? {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        text => strict_id(text, missing),
    }
}

/// The id of an entry that is to be added, other than `*`.
pub(super) fn new_id(text: &[u8]) -> Result<Wanted, Error> {
    let (ms, seq) = parts(whole(text)?).ok_or(BAD)?;
    match seq {
        Some(b"*") => Ok(Wanted::Within(ms)),
        Some(seq) => Ok(Wanted::Exactly(StreamId { ms, seq: number(seq).ok_or(BAD)? })),
        None => Ok(Wanted::Exactly(StreamId { ms, seq: 0 })),
    }
}

/// An end of an interval, and whether it is left out itself.
fn end_of_interval(text: &[u8], missing: u64) -> Result<(StreamId, bool), Error> {
    match text {
        [b'(', rest @ ..] if !rest.is_empty() => Ok((strict_id(rest, missing)?, true)),
        _ => Ok((any_id(text, missing)?, false)),
    }
}

/// The lowest id of an interval that begins with this text.
pub(super) fn interval_start(text: &[u8]) -> Result<StreamId, Error> {
    match end_of_interval(text, 0)? {
        (id, false) => Ok(id),
        (id, true) => id.next().ok_or(Error::text_of(BAD_START)),
    }
}

/// The highest id of an interval that ends with this text.
pub(super) fn interval_end(text: &[u8]) -> Result<StreamId, Error> {
    match end_of_interval(text, u64::MAX)? {
        (id, false) => Ok(id),
        (id, true) => id.prev().ok_or(Error::text_of(BAD_END)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-server 7.0.15 takes.
    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let id = StreamId::new;
        for (text, expected) in [
            ("5-3", Some(id(5, 3))),
            ("5", Some(id(5, 9))),
            ("0", Some(id(0, 9))),
            ("18446744073709551615-18446744073709551615", Some(StreamId::MAX)),
            ("18446744073709551616-1", None),
            ("05-007", Some(id(5, 7))),
            (" 5-+7", Some(id(5, 7))),
            ("\x0b5-1", Some(id(5, 1))),
            ("\t\x0b 5-1", Some(id(5, 1))),
            ("5--7", None),
            ("5- -1", Some(id(5, u64::MAX))),
            ("5-", None),
            ("-5", None),
            ("-", None),
            ("+", None),
            ("", None),
            ("a", None),
            ("5-1a", None),
            ("5-1-1", None),
            ("5-*", None),
            ("5-1\x00junk", Some(id(5, 1))),
        ] {
            assert_eq!(strict_id(text.as_bytes(), 9).ok(), expected, "{text:?}");
        }
        assert_eq!(strict_id(&[b'0'; 128], 0).ok(), None);
        assert_eq!(strict_id(&[b'0'; 127], 0).ok(), Some(id(0, 0)));
        assert_eq!(any_id(b"+", 0).ok(), Some(StreamId::MAX));
        assert_eq!(new_id(b"7-*").ok(), Some(Wanted::Within(7)));
        assert_eq!(new_id(b"7").ok(), Some(Wanted::Exactly(id(7, 0))));
        assert_eq!(interval_start(b"(5-1").ok(), Some(id(5, 2)));
        assert_eq!(interval_end(b"(5").ok(), Some(id(5, u64::MAX - 1)));
        assert_eq!(interval_end(b"(0-0").map_err(|e| e.text().into_owned()), Err(BAD_END.into()));
        assert_eq!(interval_start(b"(").ok(), None);
        assert_eq!(interval_start(b"(-").ok(), None);
    }
}
