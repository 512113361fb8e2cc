//! Beginnings of requests that were seen lately: most requests begin like one before them, up to the first key.
//!
//! ```text
//!  *2\r\n $3\r\n GET\r\n | $5\r\n hello\r\n        what is left of the bar says which command it is, how many arguments it has
//! ```
//! Comparing 16 bytes finds the row, checks the arity and says where the key is, instead of reading a number twice, folding a
//! name and looking it up. What is not found here, or does not fit, is read by the parser and the registry as ever.

use super::batch::brief_key;
use crate::cmd::registry::Found;
use crate::resp::{Span, argument};

/// Places; a beginning has one that it can be in.
const PLACES: usize = 16;
/// The longest beginning, in bytes: of a command with a name of up to six letters.
const LONGEST: usize = 16;

/// One beginning and what it stands for.
#[derive(Clone, Copy)]
struct Head {
    bytes: u128,
    mask: u128,
    len: usize,
    /// Where the name starts.
    name: usize,
    args: usize,
    found: Option<Found>,
    key: usize,
}

/// Never found: no bytes are 1 under a mask of 0.
const NONE: Head = Head { bytes: 1, mask: 0, len: 0, name: 0, args: 0, found: None, key: 0 };

/// A request that begins like one before it.
pub(super) struct Known {
    pub found: Found,
    /// The argument that is its only key.
    pub key: usize,
    pub end: usize,
}

/// The beginnings seen lately.
pub(super) struct Heads([Head; PLACES]);

impl Default for Heads {
    fn default() -> Self {
        Heads([NONE; PLACES])
    }
}

/// The place of a beginning: by its count of arguments and the name's first two letters.
#[inline]
fn place(word: u128) -> usize {
    let count = (word >> 8) as u8;
    let (first, second) = ((word >> 64) as u8, (word >> 72) as u8);
    usize::from(count ^ first.wrapping_mul(5) ^ second.wrapping_mul(3)) % PLACES
}

impl Heads {
    /// Reads the request at `pos` when its beginning is known and all of it is here: appends its spans.
    #[inline]
    pub fn read(&self, input: &[u8], pos: usize, spans: &mut Vec<Span>) -> Option<Known> {
        let word = u128::from_le_bytes(*input.get(pos..)?.first_chunk::<LONGEST>()?);
        let head = &self.0[place(word)];
        if word & head.mask != head.bytes {
            return None;
        }
        let found = head.found?;
        let first = spans.len();
        let mut at = pos + head.len;
        spans.push(Span::new(pos + head.name, at - 2));
        for _ in 1..head.args {
            let Some(span) = argument(input, at) else {
                spans.truncate(first);
                return None;
            };
            spans.push(span);
            at = span.end() + 2;
        }
        Some(Known { found, key: head.key, end: at })
    }

    /// Remembers how a request begins that was read otherwise: its name's span, and how many arguments it has.
    pub fn learn(&mut self, input: &[u8], start: usize, name: Span, args: usize, found: Found) {
        let Some(key) = brief_key(found).filter(|key| *key < args) else { return };
        let len = name.end() + 2 - start;
        let Some(chunk) = input.get(start..).and_then(|rest| rest.first_chunk::<LONGEST>()) else { return };
        if len > LONGEST || found.row.is_subcommand() {
            return;
        }
        let mask = if len == LONGEST { u128::MAX } else { (1 << (8 * len)) - 1 };
        let word = u128::from_le_bytes(*chunk);
        self.0[place(word)] =
            Head { bytes: word & mask, mask, len, name: len - 2 - name.len(), args, found: Some(found), key };
    }
}
