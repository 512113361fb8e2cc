//! Sparse registers: runs of equal ones.
//!
//! ```text
//!  00llllll             1 to 64 registers of 0
//!  01llllll llllllll    1 to 16,384 registers of 0; high bits first
//!  1vvvvvll             1 to 4 registers of 1 to 32
//! ```
//! Lengths and values are one less than they mean. Writing a register splits the run that holds it in up to three, and then
//! joins equal neighbours nearby. Cost: O(runs).

use super::estimate::Histogram;
use super::{Damaged, HEADER, REGISTERS, invalidate};

/// Longest run of zeros in one byte.
const ZEROS_MAX: usize = 64;
/// Longest run of a value.
const RUN_MAX: usize = 4;
/// Largest value of a run.
const VALUE_MAX: u8 = 32;
/// Runs looked at for equal neighbours after a write.
const JOIN_SCAN: usize = 5;

/// Some registers of one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub value: u8,
    pub len: usize,
    /// Bytes that it takes.
    pub bytes: usize,
}

/// The run at the start of the bytes; none when there is no whole one.
#[inline]
fn run(bytes: &[u8]) -> Option<Run> {
    Some(match *bytes.first()? {
        first @ 0..0x40 => Run { value: 0, len: usize::from(first) + 1, bytes: 1 },
        first @ 0x40..0x80 => {
            let len = usize::from(first & 0x3f) << 8 | usize::from(*bytes.get(1)?);
            Run { value: 0, len: len + 1, bytes: 2 }
        }
        first => Run { value: (first >> 2 & 31) + 1, len: usize::from(first & 3) + 1, bytes: 1 },
    })
}

/// All runs; what follows the last whole one is left out.
pub fn runs(mut bytes: &[u8]) -> impl Iterator<Item = Run> {
    std::iter::from_fn(move || {
        let run = run(bytes)?;
        bytes = &bytes[run.bytes..];
        Some(run)
    })
}

/// Appends a run of zeros.
pub fn push_zeros(out: &mut Vec<u8>, len: usize) {
    if len > ZEROS_MAX {
        out.extend_from_slice(&[0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8]);
    } else if len > 0 {
        out.push(len as u8 - 1);
    }
}

fn of_value(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len as u8 - 1)
}

/// Gives every register that is not 0.
pub fn each(bytes: &[u8], mut f: impl FnMut(usize, u8)) -> Result<(), Damaged> {
    let mut index = 0;
    for run in runs(bytes) {
        if run.value != 0 {
            if index + run.len > REGISTERS {
                return Err(Damaged);
            }
            (index..index + run.len).for_each(|i| f(i, run.value));
        }
        index += run.len;
    }
    if index == REGISTERS { Ok(()) } else { Err(Damaged) }
}

/// Counts the registers by value.
pub fn histogram(bytes: &[u8], histogram: &mut Histogram) -> Result<(), Damaged> {
    let mut index = 0;
    for run in runs(bytes) {
        histogram.add(run.value, run.len);
        index += run.len;
    }
    if index == REGISTERS { Ok(()) } else { Err(Damaged) }
}

/// The run that holds a register.
struct Held {
    /// Where it begins.
    at: usize,
    /// Where the run before it begins.
    before: Option<usize>,
    /// Its first register.
    first: usize,
    run: Run,
}

#[inline]
fn find(bytes: &[u8], index: usize) -> Result<Held, Damaged> {
    let (mut at, mut before, mut first) = (0, None, 0);
    loop {
        let run = run(&bytes[at..]).ok_or(Damaged)?;
        if index < first + run.len {
            return Ok(Held { at, before, first, run });
        }
        first += run.len;
        before = Some(at);
        at += run.bytes;
    }
}

/// A register's value.
pub fn get(bytes: &[u8], index: usize) -> Result<u8, Damaged> {
    find(bytes, index).map(|held| held.run.value)
}

/// What [`raise`] did.
pub enum Raised {
    No,
    Yes,
    /// Nothing: the value or the length is too large to stay sparse.
    TooLarge,
}

/// Makes a register of a whole string hold `value` at least.
pub fn raise(text: &mut Vec<u8>, index: usize, value: u8, max_bytes: usize) -> Result<Raised, Damaged> {
    if value > VALUE_MAX {
        return Ok(Raised::TooLarge);
    }
    let Held { at, before, first, run } = find(&text[HEADER..], index)?;
    if run.value >= value {
        return Ok(Raised::No);
    }
    let at = HEADER + at;
    if run.len == 1 && run.bytes == 1 {
        text[at] = of_value(value, 1);
    } else {
        let (left, right) = (index - first, first + run.len - 1 - index);
        let mut made = Vec::with_capacity(5);
        let rest = |len: usize, made: &mut Vec<u8>| match run.value {
            0 => push_zeros(made, len),
            value if len > 0 => made.push(of_value(value, len)),
            _ => {}
        };
        rest(left, &mut made);
        made.push(of_value(value, 1));
        rest(right, &mut made);
        if made.len() > run.bytes && text.len() + made.len() - run.bytes > max_bytes {
            return Ok(Raised::TooLarge);
        }
        text.splice(at..at + run.bytes, made);
    }
    join(text, HEADER + before.unwrap_or(0));
    invalidate(text);
    Ok(Raised::Yes)
}

/// Joins equal neighbours among the next few runs.
fn join(text: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOIN_SCAN {
        let Some(left) = text.get(at..).and_then(run) else { return };
        if left.value != 0
            && let Some(right) = run(&text[at + 1..])
            && right.value == left.value
            && left.len + right.len <= RUN_MAX
        {
            text[at + 1] = of_value(left.value, left.len + right.len);
            text.remove(at);
            continue;
        }
        at += left.bytes;
    }
}
