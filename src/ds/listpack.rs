//! A listpack: a short list of strings and integers in one block of bytes, the small form of every collection.
//!
//! ```text
//!  | total bytes u32 | count u16 | entry | entry | ... | 0xFF |        little-endian; count 65,535: not known, count them
//!  entry: | encoding and data | its length, 1 to 5 bytes, readable from behind |
//!
//!  0nnnnnnn                        an integer, 0 to 127
//!  10nnnnnn bytes                  a string of up to 63 bytes
//!  110nnnnn 1 byte                 a signed integer of 13 bits, high bits first
//!  1110nnnn 1 byte, bytes          a string of up to 4,095 bytes, high bits first
//!  11110000 4 bytes, bytes         any string; length little-endian
//!  11110001 .. 11110100            an integer of 16, 24, 32, 64 bits, little-endian
//! ```
//! It is Redis's format byte for byte, since RDB files and DUMP payloads hold such blocks verbatim. The block always has
//! exactly its size: a write reallocates it (mostly in place: allocators round up) and moves what lies behind.
//!
//! Positions are offsets of entries in the block; they are good until the next write. Cost: everything is O(bytes), except
//! first, last and next. Blocks from outside come in through [`Listpack::from_bytes`], which checks every byte, so all else
//! trusts the block.

use super::malloc::fitted;
use crate::base::number::parse_i64;

pub(super) const HEADER: usize = 6;
pub(super) const END: u8 = 0xFF;
/// The count when there are too many for its field.
pub(super) const UNCOUNTED: u16 = u16::MAX;
/// Largest block, bytes: what its total can say, and Redis's own bound.
pub const BYTES_MAX: usize = 1 << 30;

/// See the module's text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Listpack(Box<[u8]>);

/// One element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Element<'a> {
    Int(i64),
    Str(&'a [u8]),
}

impl<'a> Element<'a> {
    /// The element that a text becomes: an integer when it is the text of one.
    pub fn of(text: &'a [u8]) -> Element<'a> {
        if text.len() <= crate::base::number::I64_TEXT_MAX
            && let Some(n) = parse_i64(text)
        {
            return Element::Int(n);
        }
        Element::Str(text)
    }

    /// The same text in the form that it would be stored in here: what is the text of an integer is one.
    pub fn shortest(self) -> Element<'a> {
        match self {
            Element::Str(text) => Element::of(text),
            Element::Int(_) => self,
        }
    }

    /// Lets `f` see the element's text.
    #[inline]
    pub fn with<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Element::Int(n) => f(itoa::Buffer::new().format(n).as_bytes()),
            Element::Str(text) => f(text),
        }
    }

    /// The element's text.
    pub fn to_vec(self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }

    /// The length of its text.
    #[inline]
    pub fn text_len(self) -> usize {
        match self {
            Element::Int(n) => {
                let digits = n.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
                digits as usize + usize::from(n < 0)
            }
            Element::Str(text) => text.len(),
        }
    }

    /// Bytes of the encoding and data.
    fn encoded_len(self) -> usize {
        match self {
            Element::Int(n) => match n {
                0..=127 => 1,
                -4096..=4095 => 2,
                -32_768..=32_767 => 3,
                -8_388_608..=8_388_607 => 4,
                -2_147_483_648..=2_147_483_647 => 5,
                _ => 9,
            },
            Element::Str(text) => match text.len() {
                0..=63 => 1 + text.len(),
                64..=4095 => 2 + text.len(),
                _ => 5 + text.len(),
            },
        }
    }

    /// Bytes that the element takes in a listpack.
    pub fn size(self) -> usize {
        let data = self.encoded_len();
        data + back_len(data)
    }

    pub(super) fn encode(self, out: &mut [u8]) {
        let len = self.encoded_len();
        match self {
            Element::Int(n) => match len {
                1 => out[0] = n as u8,
                2 => {
                    let bits = (n & 0x1FFF) as u16;
                    out[0] = 0xC0 | (bits >> 8) as u8;
                    out[1] = bits as u8;
                }
                3..=5 => {
                    out[0] = 0xF1 + (len - 3) as u8;
                    out[1..len].copy_from_slice(&n.to_le_bytes()[..len - 1]);
                }
                _ => {
                    out[0] = 0xF4;
                    out[1..9].copy_from_slice(&n.to_le_bytes());
                }
            },
            Element::Str(text) => {
                match len - text.len() {
                    1 => out[0] = 0x80 | text.len() as u8,
                    2 => {
                        out[0] = 0xE0 | (text.len() >> 8) as u8;
                        out[1] = text.len() as u8;
                    }
                    _ => {
                        out[0] = 0xF0;
                        out[1..5].copy_from_slice(&(text.len() as u32).to_le_bytes());
                    }
                }
                out[len - text.len()..len].copy_from_slice(text);
            }
        }
        encode_back(len, &mut out[len..]);
    }
}

/// Bytes of the length behind an entry's data.
fn back_len(data: usize) -> usize {
    match data {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// Writes the length that is read from behind: seven bits a byte, all but the first marked.
fn encode_back(data: usize, out: &mut [u8]) {
    let n = back_len(data);
    for (i, byte) in out[..n].iter_mut().enumerate() {
        let bits = (data >> (7 * (n - 1 - i))) as u8 & 127;
        *byte = if i == 0 { bits } else { bits | 128 };
    }
}

/// The length that ends right before `end`, and how many bytes it takes.
fn decode_back(bytes: &[u8], end: usize) -> Option<(usize, usize)> {
    let mut data = 0;
    for n in 0..5 {
        let byte = *bytes.get(end.checked_sub(n + 1)?)?;
        data |= usize::from(byte & 127) << (7 * n);
        if byte & 128 == 0 {
            return Some((data, n + 1));
        }
    }
    None
}

/// The bytes of encoding and data of the entry at `at`; None past the block or on an unknown encoding.
#[inline]
fn data_len(bytes: &[u8], at: usize) -> Option<usize> {
    Some(match *bytes.get(at)? {
        0..=0x7F => 1,
        first @ 0x80..=0xBF => 1 + usize::from(first & 0x3F),
        0xC0..=0xDF => 2,
        first @ 0xE0..=0xEF => 2 + (usize::from(first & 0x0F) << 8 | usize::from(*bytes.get(at + 1)?)),
        0xF0 => {
            let len = bytes.get(at + 1..at + 5)?.first_chunk::<4>()?;
            5 + u32::from_le_bytes(*len) as usize
        }
        0xF1 => 3,
        0xF2 => 4,
        0xF3 => 5,
        0xF4 => 9,
        _ => return None,
    })
}

/// The position behind the element at `at`.
#[inline]
pub(super) fn behind(block: &[u8], at: usize) -> usize {
    let data = data_len(block, at).expect("positions are of entries");
    at + data + back_len(data)
}

/// The position of the element that ends at `at`.
#[inline]
pub(super) fn before(block: &[u8], at: usize) -> Option<usize> {
    if at <= HEADER {
        return None;
    }
    let (data, back) = decode_back(block, at).expect("every entry ends with its length");
    Some(at - back - data)
}

/// The element at a position of a block.
#[inline]
pub(super) fn element(b: &[u8], at: usize) -> Element<'_> {
    let number = |n: usize| {
        let mut wide = [0; 8];
        wide[8 - n..].copy_from_slice(&b[at + 1..at + 1 + n]);
        i64::from_le_bytes(wide) >> (64 - 8 * n)
    };
    match b[at] {
        first @ 0..=0x7F => Element::Int(i64::from(first)),
        first @ 0x80..=0xBF => Element::Str(&b[at + 1..][..usize::from(first & 0x3F)]),
        first @ 0xC0..=0xDF => {
            let bits = i64::from(first & 0x1F) << 8 | i64::from(b[at + 1]);
            Element::Int(bits << 51 >> 51)
        }
        first @ 0xE0..=0xEF => {
            let len = usize::from(first & 0x0F) << 8 | usize::from(b[at + 1]);
            Element::Str(&b[at + 2..][..len])
        }
        0xF0 => {
            let len = u32::from_le_bytes([b[at + 1], b[at + 2], b[at + 3], b[at + 4]]) as usize;
            Element::Str(&b[at + 5..][..len])
        }
        first @ 0xF1..=0xF3 => Element::Int(number(usize::from(first - 0xF1) + 2)),
        0xF4 => Element::Int(number(8)),
        _ => unreachable!("positions are of entries"),
    }
}

impl Default for Listpack {
    fn default() -> Self {
        Listpack::new()
    }
}

impl Listpack {
    /// An empty one.
    pub fn new() -> Listpack {
        Listpack(Box::new([HEADER as u8 + 1, 0, 0, 0, 0, 0, END]))
    }

    /// Takes a block from outside; None unless every byte of it is right.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Listpack> {
        let total = u32::from_le_bytes(*bytes.first_chunk::<4>()?) as usize;
        if total != bytes.len() || !(HEADER + 1..=BYTES_MAX).contains(&total) || bytes[total - 1] != END {
            return None;
        }
        let count = u16::from_le_bytes([bytes[4], bytes[5]]);
        let (mut at, mut found) = (HEADER, 0usize);
        while at < total - 1 {
            let data = data_len(&bytes, at)?;
            let end = at.checked_add(data)?.checked_add(back_len(data))?;
            if end > total - 1 || decode_back(&bytes, end) != Some((data, back_len(data))) {
                return None;
            }
            at = end;
            found += 1;
        }
        (count == UNCOUNTED || usize::from(count) == found).then(|| Listpack(fitted(bytes)))
    }

    /// The listpack that a block is which was one before, lent.
    #[expect(clippy::borrowed_box, reason = "the box itself becomes the value")]
    pub(super) fn over(block: &Box<[u8]>) -> &Listpack {
        // SAFETY: a listpack is its block (`repr(transparent)`), and whatever the bytes are, reading them is safe.
        unsafe { &*std::ptr::from_ref(block).cast::<Listpack>() }
    }

    /// As [`Listpack::over`], to change it.
    pub(super) fn over_mut(block: &mut Box<[u8]>) -> &mut Listpack {
        // SAFETY: as in `over`.
        unsafe { &mut *std::ptr::from_mut(block).cast::<Listpack>() }
    }

    /// The block itself.
    pub(super) fn into_block(self) -> Box<[u8]> {
        self.0
    }

    /// The block.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The block, to be kept in another form.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_vec()
    }

    /// Bytes of the block.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        match u16::from_le_bytes([self.0[4], self.0[5]]) {
            UNCOUNTED => self.iter().count(),
            count => usize::from(count),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.len() == HEADER + 1
    }

    /// The position of the end marker: where to insert behind all others.
    pub fn end(&self) -> usize {
        self.0.len() - 1
    }

    /// The first element's position.
    #[inline]
    pub fn first(&self) -> Option<usize> {
        (!self.is_empty()).then_some(HEADER)
    }

    /// The last element's position.
    pub fn last(&self) -> Option<usize> {
        self.before(self.end())
    }

    /// The position behind the element at `at`: the next one's, or [`Listpack::end`].
    #[inline]
    pub fn behind(&self, at: usize) -> usize {
        behind(&self.0, at)
    }

    /// The next element's position.
    #[inline]
    pub fn next(&self, at: usize) -> Option<usize> {
        let next = self.behind(at);
        (next < self.end()).then_some(next)
    }

    /// The position of the element before the one at `at`, or before the end.
    pub fn before(&self, at: usize) -> Option<usize> {
        before(&self.0, at)
    }

    /// The position of element `index`; negative counts from the end, -1 being the last.
    pub fn seek(&self, index: i64) -> Option<usize> {
        let count = u16::from_le_bytes([self.0[4], self.0[5]]);
        let mut index = index;
        if count != UNCOUNTED {
            let count = i64::from(count);
            if index >= count || index < -count {
                return None;
            }
            // From the nearer end.
            if index >= 0 && index > count / 2 {
                index -= count;
            } else if index < -(count / 2) {
                index += count;
            }
        }
        if index >= 0 {
            (0..index).try_fold(self.first()?, |at, _| self.next(at))
        } else {
            (index..-1).try_fold(self.last()?, |at, _| self.before(at))
        }
    }

    /// The element at a position.
    #[inline]
    pub fn get(&self, at: usize) -> Element<'_> {
        element(&self.0, at)
    }

    /// All elements, first to last.
    pub fn iter(&self) -> impl Iterator<Item = Element<'_>> + Clone {
        self.positions().map(|at| self.get(at))
    }

    /// The positions of all elements.
    pub fn positions(&self) -> impl Iterator<Item = usize> + Clone {
        std::iter::successors(self.first(), |at| self.next(*at))
    }

    /// The position of the first element with this text among those at `from` and every `step`th behind it.
    pub fn find(&self, from: usize, text: &[u8], step: usize) -> Option<usize> {
        let wanted = Element::of(text);
        let mut at = from;
        while at < self.end() {
            if self.get(at) == wanted {
                return Some(at);
            }
            for _ in 0..step {
                if at >= self.end() {
                    return None;
                }
                at = self.behind(at);
            }
        }
        None
    }

    /// Adds an element before the one at `at` (or at [`Listpack::end`]); `at` is then its position.
    pub fn insert(&mut self, at: usize, element: Element<'_>) {
        self.splice(at, 0, &[element]);
    }

    /// Adds several, in this order, before the one at `at`.
    pub fn insert_all(&mut self, at: usize, elements: &[Element<'_>]) {
        self.splice(at, 0, elements);
    }

    /// Adds an element behind all others.
    pub fn push_back(&mut self, element: Element<'_>) {
        self.splice(self.end(), 0, &[element]);
    }

    /// Adds an element before all others.
    pub fn push_front(&mut self, element: Element<'_>) {
        self.splice(HEADER, 0, &[element]);
    }

    /// Writes another element over the one at `at`.
    pub fn replace(&mut self, at: usize, element: Element<'_>) {
        self.splice(at, 1, &[element]);
    }

    /// Removes up to `count` elements from the one at `at` on; `at` is then the position of what followed, or the end.
    pub fn remove(&mut self, at: usize, count: usize) {
        self.splice(at, count, &[]);
    }

    /// Removes the elements at these positions, which ascend, in one pass.
    pub fn remove_each(&mut self, positions: &[usize]) {
        let count = self.len() - positions.len();
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        let (mut from, mut to) = (0, 0);
        for &at in positions {
            bytes.copy_within(from..at, to);
            to += at - from;
            let data = data_len(&bytes, at).expect("positions are of entries");
            from = at + data + back_len(data);
        }
        bytes.copy_within(from.., to);
        bytes.truncate(to + bytes.len() - from);
        self.0 = fitted(bytes);
        self.settle(count);
    }

    /// Keeps what comes before `at` and gives the rest.
    pub fn split_off(&mut self, at: usize) -> Listpack {
        let mut rest = Listpack::new();
        rest.append_block(&self.0[at..self.end()], self.counted_from(at));
        let count = self.counted_from(HEADER) - rest.counted_from(HEADER);
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        bytes.truncate(at);
        bytes.push(END);
        self.0 = fitted(bytes);
        self.settle(count);
        rest
    }

    /// Adds all elements of another behind these.
    pub fn append(&mut self, other: &Listpack) {
        self.append_block(&other.0[HEADER..other.end()], other.len());
    }

    fn append_block(&mut self, entries: &[u8], added: usize) {
        let count = self.len() + added;
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        bytes.pop();
        bytes.reserve_exact(entries.len() + 1);
        bytes.extend_from_slice(entries);
        bytes.push(END);
        self.0 = fitted(bytes);
        self.settle(count);
    }

    fn counted_from(&self, at: usize) -> usize {
        let mut at = at;
        let mut n = 0;
        while at < self.end() {
            at = self.behind(at);
            n += 1;
        }
        n
    }

    /// Replaces up to `removed` elements from `at` on by others: every write comes down to this.
    fn splice(&mut self, at: usize, removed: usize, added: &[Element<'_>]) {
        let (mut cut, mut gone) = (at, 0);
        while gone < removed && cut < self.end() {
            cut = self.behind(cut);
            gone += 1;
        }
        let size: usize = added.iter().map(|e| e.size()).sum();
        let count = self.len() - gone + added.len();
        let tail = self.0.len() - cut;
        let total = at + size + tail;
        assert!(total <= BYTES_MAX, "callers bound what they put into one block");
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        if total > bytes.len() {
            bytes.reserve_exact(total - bytes.len());
            bytes.resize(total, 0);
        }
        bytes.copy_within(cut..cut + tail, at + size);
        bytes.truncate(total);
        let mut to = at;
        for element in added {
            element.encode(&mut bytes[to..]);
            to += element.size();
        }
        self.0 = fitted(bytes);
        self.settle(count);
    }

    /// Writes the header.
    fn settle(&mut self, count: usize) {
        let total = self.0.len() as u32;
        self.0[..4].copy_from_slice(&total.to_le_bytes());
        let count = u16::try_from(count).unwrap_or(UNCOUNTED);
        self.0[4..HEADER].copy_from_slice(&count.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};

    fn texts(pack: &Listpack) -> Vec<Vec<u8>> {
        pack.iter().map(Element::to_vec).collect()
    }

    fn checked(pack: &Listpack) {
        assert_eq!(Listpack::from_bytes(pack.as_bytes().to_vec()).as_ref(), Some(pack));
    }

    #[test]
    fn numbers_keep_their_value_in_the_shortest_form() {
        for (n, size) in [
            (0, 2),
            (127, 2),
            (128, 3),
            (-1, 3),
            (4095, 3),
            (-4096, 3),
            (4096, 4),
            (-4097, 4),
            (32_767, 4),
            (-32_769, 5),
            (8_388_607, 5),
            (8_388_608, 6),
            (i64::from(i32::MIN), 6),
            (i64::from(i32::MAX) + 1, 10),
            (i64::MIN, 10),
            (i64::MAX, 10),
        ] {
            let mut pack = Listpack::new();
            pack.push_back(Element::Int(n));
            assert_eq!(pack.iter().next(), Some(Element::Int(n)), "{n}");
            assert_eq!(pack.bytes(), HEADER + 1 + size, "{n}");
            assert_eq!(Element::Int(n).text_len(), n.to_string().len());
            checked(&pack);
        }
    }

    #[test]
    fn strings_of_every_length_class() {
        let mut pack = Listpack::new();
        for len in [0, 1, 63, 64, 125, 126, 127, 4095, 4096, 16_378, 16_379, 2_100_000] {
            pack.push_front(Element::Str(&vec![b'x'; len]));
            assert_eq!(pack.get(HEADER).text_len(), len);
            checked(&pack);
        }
        assert_eq!(pack.last().map(|at| pack.get(at)), Some(Element::Str(b"")));
        let backwards = std::iter::successors(pack.last(), |at| pack.before(*at)).count();
        assert_eq!(backwards, 12);
    }

    /// Against a vector of texts, with every operation.
    #[test]
    fn random_edits_match_a_vector() {
        let mut rng = seeded(5);
        for _ in 0..40 {
            let (mut pack, mut twin): (Listpack, Vec<Vec<u8>>) = (Listpack::new(), Vec::new());
            for _ in 0..400 {
                let text = match xorshift(&mut rng) % 4 {
                    0 => (xorshift(&mut rng) as i64 >> (xorshift(&mut rng) % 64)).to_string().into_bytes(),
                    1 => vec![b'a'; xorshift(&mut rng) as usize % 200],
                    _ => vec![b'b'; xorshift(&mut rng) as usize % 8],
                };
                let index = xorshift(&mut rng) as usize % (twin.len() + 1);
                let at = pack.seek(index as i64).unwrap_or(pack.end());
                match xorshift(&mut rng) % 8 {
                    0..=3 => {
                        pack.insert(at, Element::of(&text));
                        twin.insert(index, text);
                    }
                    4 if index < twin.len() => {
                        pack.replace(at, Element::of(&text));
                        twin[index] = text;
                    }
                    4 => {
                        let removed = xorshift(&mut rng) % 5;
                        let positions: Vec<usize> = pack
                            .positions()
                            .enumerate()
                            .filter(|(i, _)| *i as u64 % 5 == removed)
                            .map(|(_, at)| at)
                            .collect();
                        pack.remove_each(&positions);
                        let mut i = 0;
                        twin.retain(|_| {
                            i += 1;
                            (i - 1) % 5 != removed
                        });
                    }
                    5 => {
                        let n = xorshift(&mut rng) as usize % 4;
                        pack.remove(at, n);
                        twin.drain(index..(index + n).min(twin.len()));
                    }
                    6 => {
                        let rest = pack.split_off(at);
                        assert_eq!(texts(&rest), twin[index..]);
                        checked(&pack);
                        pack.append(&rest);
                    }
                    _ => {
                        let found = pack.first().and_then(|first| pack.find(first, &text, 1));
                        let wanted = twin.iter().position(|t| *t == text);
                        assert_eq!(found, wanted.and_then(|i| pack.seek(i as i64)));
                    }
                }
                assert_eq!(texts(&pack), twin);
                assert_eq!(pack.len(), twin.len());
                checked(&pack);
            }
            for i in 0..twin.len() as i64 {
                let back = i - twin.len() as i64;
                assert_eq!(pack.seek(i), pack.seek(back));
                assert_eq!(pack.seek(i).map(|at| pack.get(at).to_vec()).as_ref(), twin.get(i as usize));
            }
            assert_eq!(pack.seek(twin.len() as i64), None);
        }
    }

    #[test]
    fn more_elements_than_the_header_counts() {
        let mut pack = Listpack::new();
        let many: Vec<Element<'_>> = (0..70_000).map(|i| Element::Int(i % 100)).collect();
        pack.insert_all(pack.end(), &many);
        assert_eq!(pack.len(), 70_000);
        assert_eq!(pack.seek(-1).map(|at| pack.get(at)), Some(Element::Int(99)));
        pack.remove(HEADER, 10_000);
        assert_eq!(pack.len(), 60_000);
        assert_eq!(&pack.as_bytes()[4..6], 60_000u16.to_le_bytes());
    }

    #[test]
    fn damaged_blocks_are_refused_or_whole() {
        let mut pack = Listpack::new();
        for text in [&b"hello"[..], b"12", b"-7000", b"123456789012", &[b'z'; 100]] {
            pack.push_back(Element::of(text));
        }
        let good = pack.as_bytes().to_vec();
        for cut in 0..good.len() {
            assert_eq!(Listpack::from_bytes(good[..cut].to_vec()), None);
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Some(pack) = Listpack::from_bytes(bad) {
                assert!(pack.len() <= 5 && texts(&pack).len() == pack.iter().count());
                assert_eq!(
                    std::iter::successors(pack.last(), |at| pack.before(*at)).count(),
                    pack.iter().count()
                );
            }
        }
    }
}
