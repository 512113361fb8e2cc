//! An intset: a short set of integers, sorted, in one block of bytes.
//!
//! ```text
//!  | width u32: 2, 4 or 8 | count u32 | integer | integer | ... |        little-endian, ascending, each once
//! ```
//! It is Redis's format byte for byte, since RDB files and DUMP payloads hold such blocks verbatim. All integers have the
//! width that the widest one ever needed: a wider one makes the block over, and removals never narrow it.
//!
//! Cost: a lookup is a binary search; adding and removing move what lies behind. Blocks from outside come in through
//! [`Intset::from_bytes`], which checks them.

use super::malloc::fitted;

const HEADER: usize = 8;
/// The most members, Redis's bound too.
pub const LEN_MAX: usize = 1 << 30;

/// See the module's text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Intset(Box<[u8]>);

impl Default for Intset {
    fn default() -> Self {
        Intset::new()
    }
}

/// The bytes that an integer needs.
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

/// Appends an integer.
fn write(out: &mut Vec<u8>, value: i64, width: usize) {
    out.extend_from_slice(&value.to_le_bytes()[..width]);
}

impl Intset {
    /// An empty one.
    pub fn new() -> Intset {
        Intset(Box::new([2, 0, 0, 0, 0, 0, 0, 0]))
    }

    /// Takes a block from outside; None unless it is right. An empty one is.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Intset> {
        let width = u32::from_le_bytes(*bytes.first_chunk::<4>()?) as usize;
        let len = u32::from_le_bytes(*bytes.get(4..)?.first_chunk::<4>()?) as usize;
        let size = len.checked_mul(width)?.checked_add(HEADER)?;
        if !matches!(width, 2 | 4 | 8) || len > LEN_MAX || size != bytes.len() {
            return None;
        }
        let set = Intset(fitted(bytes));
        set.iter().is_sorted_by(|a, b| a < b).then_some(set)
    }

    /// The intset that a block is which was one before, lent.
    #[expect(clippy::borrowed_box, reason = "the box itself becomes the value")]
    pub(super) fn over(block: &Box<[u8]>) -> &Intset {
        // SAFETY: an intset is its block (`repr(transparent)`), and whatever the bytes are, reading them is safe.
        unsafe { &*std::ptr::from_ref(block).cast::<Intset>() }
    }

    /// As [`Intset::over`], to change it.
    pub(super) fn over_mut(block: &mut Box<[u8]>) -> &mut Intset {
        // SAFETY: as in `over`.
        unsafe { &mut *std::ptr::from_mut(block).cast::<Intset>() }
    }

    /// The block itself.
    pub(super) fn into_block(self) -> Box<[u8]> {
        self.0
    }

    /// The block.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn width(&self) -> usize {
        usize::from(self.0[0])
    }

    /// How many members.
    #[inline]
    pub fn len(&self) -> usize {
        u32::from_le_bytes([self.0[4], self.0[5], self.0[6], self.0[7]]) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Member `index`, ascending.
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        if index >= self.len() {
            return None;
        }
        let body = &self.0[HEADER..];
        Some(match self.width() {
            2 => i64::from(i16::from_le_bytes(*body[index * 2..].first_chunk()?)),
            4 => i64::from(i32::from_le_bytes(*body[index * 4..].first_chunk()?)),
            _ => i64::from_le_bytes(*body[index * 8..].first_chunk()?),
        })
    }

    /// All members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        (0..self.len()).map_while(|i| self.get(i))
    }

    /// The least member.
    pub fn min(&self) -> Option<i64> {
        self.get(0)
    }

    /// The greatest member.
    pub fn max(&self) -> Option<i64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// Where a value is, or where it would be.
    fn search(&self, value: i64) -> Result<usize, usize> {
        // Members often come in ascending order.
        if self.max().is_none_or(|max| value > max) {
            return Err(self.len());
        }
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(at) if at == value => return Ok(middle),
                Some(at) if at < value => low = middle + 1,
                _ => high = middle,
            }
        }
        Err(low)
    }

    /// Whether a value is a member.
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// Adds a value; whether it was absent.
    pub fn insert(&mut self, value: i64) -> bool {
        if width_of(value) > self.width() {
            self.widen(value);
            return true;
        }
        let Err(index) = self.search(value) else { return false };
        let (width, len) = (self.width(), self.len());
        assert!(len < LEN_MAX, "callers turn a larger one into a table");
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        let (at, end) = (HEADER + index * width, bytes.len());
        bytes.reserve_exact(width);
        bytes.resize(end + width, 0);
        bytes.copy_within(at..end, at + width);
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.settle(bytes, len + 1);
        true
    }

    /// Makes the block over for a value that needs a greater width: it is less or greater than all members.
    fn widen(&mut self, value: i64) {
        let (width, len) = (width_of(value), self.len());
        let mut bytes = Vec::with_capacity(HEADER + (len + 1) * width);
        bytes.extend_from_slice(&(width as u32).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        if value < 0 {
            write(&mut bytes, value, width);
        }
        self.iter().for_each(|member| write(&mut bytes, member, width));
        if value >= 0 {
            write(&mut bytes, value, width);
        }
        self.settle(bytes, len + 1);
    }

    /// Removes a value; whether it was a member.
    pub fn remove(&mut self, value: i64) -> bool {
        if width_of(value) > self.width() {
            return false;
        }
        let Ok(index) = self.search(value) else { return false };
        let (width, len) = (self.width(), self.len());
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        let at = HEADER + index * width;
        bytes.copy_within(at + width.., at);
        bytes.truncate(bytes.len() - width);
        self.settle(bytes, len - 1);
        true
    }

    /// Takes the changed bytes back and writes the count.
    fn settle(&mut self, bytes: Vec<u8>, len: usize) {
        self.0 = fitted(bytes);
        self.0[4..HEADER].copy_from_slice(&(len as u32).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use std::collections::BTreeSet;

    fn checked(set: &Intset) {
        assert_eq!(Intset::from_bytes(set.as_bytes().to_vec()).as_ref(), Some(set));
    }

    #[test]
    fn blocks_are_redis_s() {
        let mut set = Intset::new();
        assert_eq!(set.as_bytes(), [2, 0, 0, 0, 0, 0, 0, 0]);
        assert!(set.insert(5) && set.insert(-1) && !set.insert(5));
        assert_eq!(set.as_bytes(), [2, 0, 0, 0, 2, 0, 0, 0, 255, 255, 5, 0]);
        assert!(set.insert(40_000));
        assert_eq!(set.as_bytes()[..8], [4, 0, 0, 0, 3, 0, 0, 0]);
        assert!(set.insert(-3_000_000_000));
        assert_eq!(set.as_bytes()[..8], [8, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [-3_000_000_000, -1, 5, 40_000]);
        assert!(set.remove(-3_000_000_000) && !set.remove(7));
        assert_eq!(set.as_bytes()[0], 8, "it never narrows");
        assert_eq!((set.min(), set.max(), set.get(3)), (Some(-1), Some(40_000), None));
    }

    /// Against a tree, with values of every width.
    #[test]
    fn random_edits_match_a_tree() {
        let mut rng = seeded(3);
        for round in 0..60 {
            let (mut set, mut twin) = (Intset::new(), BTreeSet::new());
            for _ in 0..300 {
                let shift = 30 + xorshift(&mut rng) % 34;
                let value = if round % 2 == 0 {
                    xorshift(&mut rng) as i64 >> shift
                } else {
                    (xorshift(&mut rng) % 50) as i64
                };
                match xorshift(&mut rng) % 3 {
                    0 => assert_eq!(set.remove(value), twin.remove(&value)),
                    _ => assert_eq!(set.insert(value), twin.insert(value)),
                }
                assert_eq!(set.contains(value), twin.contains(&value));
                assert_eq!(set.len(), twin.len());
            }
            assert!(set.iter().eq(twin.iter().copied()));
            assert_eq!((set.min(), set.max()), (twin.first().copied(), twin.last().copied()));
            checked(&set);
        }
        for edge in [i64::MIN, i64::MAX, 32_767, 32_768, -32_768, -32_769, 1 << 31, -1 << 31, (1 << 31) - 1] {
            let mut set = Intset::new();
            assert!(set.insert(edge) && set.contains(edge) && !set.contains(edge.wrapping_add(1)));
            checked(&set);
        }
    }

    #[test]
    fn damaged_blocks_are_refused_or_whole() {
        let mut set = Intset::new();
        for value in [-70_000, -3, 0, 9, 500_000] {
            set.insert(value);
        }
        let good = set.as_bytes().to_vec();
        for cut in 0..good.len() {
            assert_eq!(Intset::from_bytes(good[..cut].to_vec()), None);
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Some(set) = Intset::from_bytes(bad) {
                assert!(set.len() == 5 && set.iter().is_sorted_by(|a, b| a < b));
            }
        }
        let twice = [2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0].to_vec();
        assert_eq!(Intset::from_bytes(twice), None);
    }
}
