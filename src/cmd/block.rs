//! Commands that wait: what such a command returns when it has nothing to give, and how the time that it may wait is read.
//!
//! ```text
//!  run: nothing to give ─> Outcome::Block ─> the client waits in the lines of its keys
//!  a key changes ─> run again, in the holder's hands ─┬─ a reply: it goes to the client
//!                                                     └─ Outcome::Block: it keeps its place in line
//! ```
//! What a command has to keep to:
//! - It returns [`Outcome::Block`](super::Outcome::Block) with nothing changed and nothing written.
//! - It is called again with the same arguments (or [`Block::args`]) whenever a key of [`Block::keys`] has changed as
//!   [`Block::wake`] wants it. The session is a stand-in with the client's database and protocol; how long it waits was settled by the
//!   first call.
//! - When its keys live on several shards, only some of their stores may be in hand then: it asks
//!   [`Keys::holds`](crate::store::Keys::holds) before it looks at a key that it waits on, and passes over those it does not
//!   hold. They are not ready. The stores of its other keys (where it moves something to) are always in hand.

use crate::base::longdouble::LongDouble;
use crate::base::number::parse_i64;
use crate::base::time::Now;
use crate::resp::{Error, Out};
use crate::store::{Kind, Saved, Wake};

/// How a command waits.
pub struct Block {
    /// Which arguments are the keys that it waits on; none: only time ends the wait.
    pub keys: Vec<usize>,
    pub wake: Wake,
    /// In milliseconds; `None`: for ever.
    pub timeout_ms: Option<u64>,
    /// What it is called again with, when not with the arguments it had: `keys` are counted in these.
    pub args: Option<Saved>,
    /// Its reply where nothing may wait, in a transaction.
    pub at_once: fn(&mut Out),
    /// Its reply when the time is over.
    pub timed_out: fn(&mut Out),
    /// It waits for all that was logged to be on the disk.
    pub on_disk: Option<OnDisk>,
}

/// What happens when the log is on the disk.
#[derive(Clone, Copy)]
pub struct OnDisk {
    /// The reply from then on.
    pub reply: fn(&mut Out),
    /// Whether the wait is over.
    pub ends: bool,
}

impl Block {
    /// Waits until one of the keys is of this type; else no array, as most commands say.
    pub fn on(kind: Kind, keys: impl IntoIterator<Item = usize>, timeout_ms: Option<u64>) -> Block {
        Block {
            keys: keys.into_iter().collect(),
            wake: Wake { kind, any: false },
            timeout_ms,
            args: None,
            at_once: Out::null_array,
            timed_out: Out::null_array,
            on_disk: None,
        }
    }

    /// Waits for the time to pass.
    pub fn for_time(timeout_ms: Option<u64>, reply: fn(&mut Out)) -> Block {
        Block { at_once: reply, timed_out: reply, ..Block::on(Kind::String, [], timeout_ms) }
    }
}

const NEGATIVE: Error = Error::Text(std::borrow::Cow::Borrowed("ERR timeout is negative"));
const TOO_LONG: Error = Error::Text(std::borrow::Cow::Borrowed("ERR timeout is out of range"));

/// A time to wait in seconds, with decimals, as milliseconds: rounded up. `None`: for ever.
pub fn timeout_secs(text: &[u8], now: Now) -> Result<Option<u64>, Error> {
    let secs =
        LongDouble::parse(text).ok_or(Error::text_of("ERR timeout is not a float or out of range"))?.to_f64();
    // A millisecond is not begun by what the number lacks in precision.
    let ms = match (secs * 1e6).round() / 1e3 {
        us if us == 0.0 && secs > 0.0 => 1.0,
        ms => ms.ceil(),
    };
    match ms {
        ms if ms > i64::MAX as f64 => Err(TOO_LONG),
        ms if ms < 0.0 => Err(NEGATIVE),
        ms => checked(ms as i64, now),
    }
}

/// A time to wait in milliseconds. `None`: for ever.
pub fn timeout_ms(text: &[u8], now: Now) -> Result<Option<u64>, Error> {
    let ms = parse_i64(text).ok_or(Error::text_of("ERR timeout is not an integer or out of range"))?;
    if ms < 0 {
        return Err(NEGATIVE);
    }
    checked(ms, now)
}

/// The end of the wait must be a time that can be told.
fn checked(ms: i64, now: Now) -> Result<Option<u64>, Error> {
    now.ms().checked_add(ms).ok_or(TOO_LONG)?;
    Ok((ms > 0).then_some(ms as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { wall_us: 1_700_000_000_000_000, mono_us: 0 };

    /// What is no number, and what is negative, as redis-server 7.0.15 says it; what is too long as 7.4 does.
    #[test]
    fn seconds_are_read_as_redis_does() {
        let bad = "ERR timeout is not a float or out of range";
        let (long, negative) = ("ERR timeout is out of range", "ERR timeout is negative");
        for (text, expected) in [
            ("0", Ok(None)),
            ("-0", Ok(None)),
            ("-0.0001", Ok(None)),
            ("1", Ok(Some(1_000))),
            ("0.001", Ok(Some(1))),
            ("0.029", Ok(Some(29))),
            ("1.001", Ok(Some(1_001))),
            ("0.0015", Ok(Some(2))),
            ("0.0000000001", Ok(Some(1))),
            ("0x10", Ok(Some(16_000))),
            ("1e3", Ok(Some(1_000_000))),
            (".5", Ok(Some(500))),
            ("", Err(bad)),
            ("abc", Err(bad)),
            ("nan", Err(bad)),
            (" 1", Err(bad)),
            ("-1", Err(negative)),
            ("-0.001", Err(negative)),
            ("-inf", Err(negative)),
            ("inf", Err(long)),
            ("1e30", Err(long)),
            ("9223372036854775807", Err(long)),
            ("9223372036854775", Err(long)),
        ] {
            let got = timeout_secs(text.as_bytes(), NOW);
            assert_eq!(got.map_err(|e| e.text().into_owned()), expected.map_err(str::to_string), "{text}");
        }
    }

    #[test]
    fn milliseconds_are_read_as_redis_does() {
        for (text, expected) in [
            ("0", Ok(None)),
            ("250", Ok(Some(250))),
            ("-1", Err("ERR timeout is negative")),
            ("1.5", Err("ERR timeout is not an integer or out of range")),
            ("x", Err("ERR timeout is not an integer or out of range")),
            ("9223372036854775807", Err("ERR timeout is out of range")),
        ] {
            let got = timeout_ms(text.as_bytes(), NOW);
            assert_eq!(got.map_err(|e| e.text().into_owned()), expected.map_err(str::to_string), "{text}");
        }
    }
}
