//! HyperLogLog: how many distinct elements were seen, to within 0.81 %, in at most 12 KiB.
//!
//! ```text
//!  | "HYLL" | encoding u8 | 3 bytes, 0 | cardinality u64 | registers |
//!
//!  encoding 0, dense:  16,384 registers of 6 bits, low bits first
//!  encoding 1, sparse: runs of equal registers
//!  cardinality:        little-endian; the highest bit says that it must be found anew
//! ```
//! An element's hash chooses a register (14 bits) and is looked at for its lowest set bit; the register keeps the highest
//! position seen. The estimate comes from the histogram of registers ([`estimate`]).
//!
//! Such a value is a plain string to everything else, so it is Redis's byte for byte: hash, seed, the moments at which runs
//! are joined and at which sparse becomes dense. A client may have made the string up: what is no HyperLogLog, or damaged, is
//! found, and nothing here panics on it.
//!
//! P. Flajolet, E. Fusy, O. Gandouet, F. Meunier: HyperLogLog, 2007; S. Heule, M. Nunkesser, A. Hall: HyperLogLog in
//! practice, 2013.

mod check;
mod dense;
mod estimate;
mod sparse;
#[cfg(test)]
mod tests;

pub use check::self_test;
pub use sparse::{Run, runs};

/// Bits of the hash that choose a register.
const INDEX_BITS: u32 = 14;
/// How many registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of the hash that a register's value comes from.
const VALUE_BITS: u32 = 64 - INDEX_BITS;
/// Bytes before the registers.
pub const HEADER: usize = 16;
/// Bytes of a dense one.
pub const DENSE_BYTES: usize = HEADER + REGISTERS * 6 / 8;
const HASH_SEED: u64 = 0xadc8_3b19;

const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING: usize = 4;
const CARDINALITY: std::ops::Range<usize> = 8..16;
/// In the last byte of the cardinality: it is out of date.
const STALE: u8 = 0x80;

const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// All registers, a byte each: what several are merged into.
pub type Registers = [u8; REGISTERS];

/// The runs of a sparse one do not add up to all registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damaged;

/// An empty one, sparse.
pub fn new() -> Vec<u8> {
    let mut text = vec![0; HEADER];
    text[..4].copy_from_slice(MAGIC);
    text[ENCODING] = SPARSE;
    sparse::push_zeros(&mut text, REGISTERS);
    text
}

/// Whether a string is one, by its header and length. The other functions here want that.
pub fn is_one(text: &[u8]) -> bool {
    text.len() >= HEADER
        && text.starts_with(MAGIC)
        && match text[ENCODING] {
            DENSE => text.len() == DENSE_BYTES,
            encoding => encoding == SPARSE,
        }
}

/// Whether it is sparse.
#[inline]
pub fn is_sparse(text: &[u8]) -> bool {
    text[ENCODING] == SPARSE
}

/// The cardinality that it keeps, unless that is out of date.
pub fn kept(text: &[u8]) -> Option<u64> {
    let card = text[CARDINALITY].first_chunk::<8>()?;
    (card[7] & STALE == 0).then(|| u64::from_le_bytes(*card))
}

/// Keeps a cardinality in it.
pub fn keep(text: &mut [u8], cardinality: u64) {
    text[CARDINALITY].copy_from_slice(&cardinality.to_le_bytes());
}

/// Says that what it keeps is out of date.
pub fn invalidate(text: &mut [u8]) {
    text[CARDINALITY.end - 1] |= STALE;
}

/// The register of an element, and what it is to hold at least: 1 to 51.
#[inline]
fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur64a(element, HASH_SEED);
    // The bit above all others ends the search.
    let rest = hash >> INDEX_BITS | 1 << VALUE_BITS;
    (hash as usize & (REGISTERS - 1), rest.trailing_zeros() as u8 + 1)
}

/// Adds an element to a dense one; whether a register changed.
#[inline]
pub fn add_dense(text: &mut [u8], element: &[u8]) -> bool {
    let (index, value) = place(element);
    dense::raise(&mut text[HEADER..], index, value)
}

/// Whether adding an element would change it.
pub fn would_change(text: &[u8], element: &[u8]) -> Result<bool, Damaged> {
    let (index, value) = place(element);
    if !is_sparse(text) {
        return Ok(dense::get(&text[HEADER..], index) < value);
    }
    Ok(sparse::get(&text[HEADER..], index)? < value)
}

/// Adds an element; whether a register changed. A sparse one becomes dense when it would grow beyond `sparse_max` bytes.
pub fn add(text: &mut Vec<u8>, element: &[u8], sparse_max: usize) -> Result<bool, Damaged> {
    let (index, value) = place(element);
    raise(text, index, value, sparse_max)
}

/// Makes a register hold `value` at least.
pub fn raise(text: &mut Vec<u8>, index: usize, value: u8, sparse_max: usize) -> Result<bool, Damaged> {
    if is_sparse(text) {
        match sparse::raise(text, index, value, sparse_max)? {
            sparse::Raised::No => return Ok(false),
            sparse::Raised::Yes => return Ok(true),
            sparse::Raised::TooLarge => make_dense(text)?,
        }
    }
    Ok(dense::raise(&mut text[HEADER..], index, value))
}

/// Makes it dense.
pub fn make_dense(text: &mut Vec<u8>) -> Result<(), Damaged> {
    if !is_sparse(text) {
        return Ok(());
    }
    let mut made = vec![0; DENSE_BYTES];
    made[..HEADER].copy_from_slice(&text[..HEADER]);
    made[ENCODING] = DENSE;
    sparse::each(&text[HEADER..], |index, value| _ = dense::raise(&mut made[HEADER..], index, value))?;
    *text = made;
    Ok(())
}

/// Raises registers to those of another.
pub fn merge(into: &mut Registers, text: &[u8]) -> Result<(), Damaged> {
    let mut raise = |index: usize, value: u8| into[index] = into[index].max(value);
    if is_sparse(text) {
        return sparse::each(&text[HEADER..], raise);
    }
    dense::each(&text[HEADER..], &mut raise);
    Ok(())
}

/// The value of each register.
pub fn registers(text: &[u8]) -> Result<Box<Registers>, Damaged> {
    let mut all = Box::new([0; REGISTERS]);
    merge(&mut all, text)?;
    Ok(all)
}

/// The estimate of its cardinality.
pub fn count(text: &[u8]) -> Result<u64, Damaged> {
    let mut histogram = estimate::Histogram::default();
    if is_sparse(text) {
        sparse::histogram(&text[HEADER..], &mut histogram)?;
    } else {
        dense::each(&text[HEADER..], &mut |_, value| histogram.add(value, 1));
    }
    Ok(histogram.estimate())
}

/// The estimate of what merged registers have seen.
pub fn count_registers(registers: &Registers) -> u64 {
    let mut histogram = estimate::Histogram::default();
    registers.iter().for_each(|value| histogram.add(*value, 1));
    histogram.estimate()
}

/// MurmurHash2's 64-bit variant A (A. Appleby), of little-endian words.
fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = (hash ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash ^= hash >> R;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> R
}
