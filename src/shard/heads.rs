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
    found: Option<Found>,
    len: u8,
    /// Where the name starts.
    name: u8,
    /// The argument that is its only key.
    key: u8,
    args: u32,
}

const _: () = assert!(size_of::<Head>() == 64);

/// Never found: no bytes are 1 under a mask of 0.
const NONE: Head = Head { bytes: 1, mask: 0, found: None, len: 0, name: 0, key: 0, args: 0 };

/// A request that begins like one before it.
pub(super) struct Known {
    pub found: Found,
    /// Which argument is its only key, and where that lies.
    pub key: u32,
    pub key_span: Span,
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
    /// The known beginning of the request at `pos`.
    #[inline]
    fn head(&self, input: &[u8], pos: usize) -> Option<&Head> {
        let word = u128::from_le_bytes(*input.get(pos..)?.first_chunk::<LONGEST>()?);
        let head = &self.0[place(word)];
        (word & head.mask == head.bytes).then_some(head)
    }

    /// Whether the request at `pos` begins like a command with a key that was seen before: brief ones only are.
    pub fn know(&self, input: &[u8], pos: usize) -> bool {
        self.head(input, pos).is_some()
    }

    /// Reads the request at `pos` when its beginning is known and all of it is here: appends its spans.
    #[inline(always)]
    pub fn read(&self, input: &[u8], pos: usize, spans: &mut Vec<Span>) -> Option<Known> {
        let head = self.head(input, pos)?;
        let found = head.found?;
        let first = spans.len();
        let mut at = pos + usize::from(head.len);
        spans.push(Span::new(pos + usize::from(head.name), at - 2));
        for _ in 1..head.args {
            let Some(span) = argument(input, at) else {
                spans.truncate(first);
                return None;
            };
            spans.push(span);
            at = span.end() + 2;
        }
        let key_span = spans[first + usize::from(head.key)];
        Some(Known { found, key: head.key.into(), key_span, end: at })
    }

    /// Remembers how a request begins that was read otherwise: its name's span, and how many arguments it has.
    pub fn learn(&mut self, input: &[u8], start: usize, name: Span, args: usize, found: Found) {
        let Some(key) = brief_key(found).filter(|key| *key < args) else { return };
        let len = name.end() + 2 - start;
        let Some(chunk) = input.get(start..).and_then(|rest| rest.first_chunk::<LONGEST>()) else { return };
        if len > LONGEST || found.row.is_subcommand() {
            return;
        }
        let (Ok(key), Ok(args)) = (u8::try_from(key), u32::try_from(args)) else { return };
        let mask = if len == LONGEST { u128::MAX } else { (1 << (8 * len)) - 1 };
        let word = u128::from_le_bytes(*chunk);
        let name = (len - 2 - name.len()) as u8;
        self.0[place(word)] =
            Head { bytes: word & mask, mask, found: Some(found), len: len as u8, name, key, args };
    }
}
