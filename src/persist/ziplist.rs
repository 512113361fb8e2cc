//! Ziplists: what older RDB files hold where listpacks are today. They are written for `rdb-version 9` alone.
//!
//! ```text
//!  | total bytes u32 | offset of the last entry u32 | count u16 | entry | entry | ... | 0xFF |   little-endian; count 65,535: not known
//!  entry: | bytes of the entry before: 1 byte below 254, or 0xFE and 4 | encoding and data |
//!
//!  00nnnnnn bytes                  a string of up to 63 bytes
//!  01nnnnnn 1 byte, bytes          a string of up to 16,383 bytes, high bits first
//!  10...... 4 bytes, bytes         any string; length big-endian
//!  11000000, 11010000, 11100000    an integer of 16, 32, 64 bits, little-endian
//!  11110000, 11111110              an integer of 24, of 8 bits
//!  11110001 .. 11111101            an integer, 0 to 12
//! ```

use super::Corrupt;
use crate::ds::listpack::{BYTES_MAX, Element, Listpack};

const HEADER: usize = 10;
const END: u8 = 0xFF;
/// The count when there are too many for its field.
const UNCOUNTED: u16 = u16::MAX;
/// Before a length of 4 bytes.
const LONG: u8 = 0xFE;

/// The longest ziplist that hashes and sorted sets are written as: later releases of Redis 6 read no longer one.
pub const MOST: usize = 1 << 30;

/// A ziplist in which every byte was checked.
#[derive(Clone, Copy, Debug)]
pub struct Ziplist<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Ziplist<'a> {
    /// Takes a block from outside.
    pub fn parse(bytes: &'a [u8]) -> Result<Ziplist<'a>, Corrupt> {
        let number = |at: usize| {
            let four = bytes.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*four) as usize)
        };
        let (total, tail) = (number(0).ok_or(Corrupt)?, number(4).ok_or(Corrupt)?);
        if total != bytes.len() || total < HEADER + 1 || bytes[total - 1] != END {
            return Err(Corrupt);
        }
        let (mut at, mut last, mut len) = (HEADER, HEADER, 0);
        let mut before = 0;
        while at < total - 1 {
            let entry = entry(&bytes[..total - 1], at).ok_or(Corrupt)?;
            if entry.before != before {
                return Err(Corrupt);
            }
            before = entry.end - at;
            last = at;
            at = entry.end;
            len += 1;
        }
        let count = u16::from_le_bytes([bytes[8], bytes[9]]);
        let counted = count == UNCOUNTED || usize::from(count) == len;
        if tail == last && counted { Ok(Ziplist { bytes, len }) } else { Err(Corrupt) }
    }

    /// How many entries.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The entries, first to last.
    pub fn iter(self) -> impl Iterator<Item = Element<'a>> + Clone {
        let entries = &self.bytes[..self.bytes.len() - 1];
        let mut at = HEADER;
        std::iter::from_fn(move || {
            let entry = entry(entries, at)?;
            at = entry.end;
            Some(entry.element)
        })
    }

    /// The same entries as a listpack; none when that would be longer than one may be.
    pub fn to_listpack(self) -> Option<Listpack> {
        self.to_listpack_within(BYTES_MAX)
    }

    fn to_listpack_within(self, most: usize) -> Option<Listpack> {
        let mut pack = Listpack::new();
        // A string that is the text of a number becomes one, as if it were added now.
        let elements: Vec<Element<'a>> = self.iter().map(Element::shortest).collect();
        let size: usize = elements.iter().map(|element| element.size()).sum();
        if pack.bytes() + size > most {
            return None;
        }
        pack.insert_all(pack.end(), &elements);
        Some(pack)
    }
}

/// A ziplist of these elements, as Redis before 7 would write it; none when it would be longer than `most` bytes.
pub fn encode<'a>(elements: impl Iterator<Item = Element<'a>>, most: usize) -> Option<Vec<u8>> {
    let most = most.min(u32::MAX as usize);
    let mut out = vec![0; HEADER];
    let (mut before, mut last, mut len) = (0, HEADER, 0usize);
    for element in elements {
        // The element's own head, the length before it, and the end.
        if out.len() + element.text_len() + 11 > most {
            return None;
        }
        last = out.len();
        match u8::try_from(before) {
            Ok(short) if short < LONG => out.push(short),
            _ => {
                out.push(LONG);
                out.extend_from_slice(&(before as u32).to_le_bytes());
            }
        }
        encode_element(&mut out, element);
        before = out.len() - last;
        len += 1;
    }
    out.push(END);
    let total = out.len() as u32;
    out[..4].copy_from_slice(&total.to_le_bytes());
    out[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    out[8..HEADER].copy_from_slice(&u16::try_from(len).unwrap_or(UNCOUNTED).to_le_bytes());
    Some(out)
}

fn encode_element(out: &mut Vec<u8>, element: Element<'_>) {
    match element {
        Element::Int(n @ 0..=12) => out.push(0xF1 + n as u8),
        Element::Int(n) => {
            let (first, len) = match n {
                -0x80..=0x7F => (0xFE, 1),
                -0x8000..=0x7FFF => (0xC0, 2),
                -0x80_0000..=0x7F_FFFF => (0xF0, 3),
                -0x8000_0000..=0x7FFF_FFFF => (0xD0, 4),
                _ => (0xE0, 8),
            };
            out.push(first);
            out.extend_from_slice(&n.to_le_bytes()[..len]);
        }
        Element::Str(text) => {
            match text.len() {
                len @ 0..=0x3F => out.push(len as u8),
                len @ 0x40..=0x3FFF => out.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]),
                len => {
                    out.push(0x80);
                    out.extend_from_slice(&(len as u32).to_be_bytes());
                }
            }
            out.extend_from_slice(text);
        }
    }
}

struct Entry<'a> {
    /// The length that it says the entry before it has.
    before: usize,
    element: Element<'a>,
    end: usize,
}

/// Reads the entry at `at`; none past the end or on an unknown encoding.
fn entry(bytes: &[u8], at: usize) -> Option<Entry<'_>> {
    let mut rest = bytes.get(at..)?;
    let before = match take::<1>(&mut rest)? {
        [LONG] => u32::from_le_bytes(take(&mut rest)?) as usize,
        [END] => return None,
        [short] => usize::from(short),
    };
    let [first] = take(&mut rest)?;
    let text = match first >> 6 {
        0 => Some(usize::from(first & 0x3F)),
        1 => Some(usize::from(first & 0x3F) << 8 | usize::from(take::<1>(&mut rest)?[0])),
        2 => Some(u32::from_be_bytes(take(&mut rest)?) as usize),
        _ => None,
    };
    let element = match (text, first) {
        (Some(len), _) => {
            let (text, behind) = rest.split_at_checked(len)?;
            rest = behind;
            Element::Str(text)
        }
        (None, 0xC0) => Element::Int(i16::from_le_bytes(take(&mut rest)?).into()),
        (None, 0xD0) => Element::Int(i32::from_le_bytes(take(&mut rest)?).into()),
        (None, 0xE0) => Element::Int(i64::from_le_bytes(take(&mut rest)?)),
        (None, 0xF0) => {
            let [a, b, c] = take(&mut rest)?;
            Element::Int((i32::from_le_bytes([0, a, b, c]) >> 8).into())
        }
        (None, 0xFE) => Element::Int(i8::from_le_bytes(take(&mut rest)?).into()),
        (None, 0xF1..=0xFD) => Element::Int(i64::from(first & 0x0F) - 1),
        _ => return None,
    };
    Some(Entry { before, element, end: bytes.len() - rest.len() })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};

    /// A ziplist of these elements, as Redis before 7 would write it.
    pub(in crate::persist) fn ziplist(elements: &[Element<'_>]) -> Vec<u8> {
        encode(elements.iter().copied(), usize::MAX).expect("they are short")
    }

    #[test]
    fn every_encoding_is_read() {
        let (middle, long) = (vec![b'm'; 300], vec![b'l'; 20_000]);
        let mut elements: Vec<Element<'_>> = [
            0,
            1,
            12,
            13,
            -1,
            127,
            128,
            -128,
            -129,
            32_767,
            32_768,
            -32_769,
            8_388_607,
            -8_388_608,
            8_388_608,
            i64::from(i32::MIN),
            i64::from(i32::MAX) + 1,
            i64::MIN,
            i64::MAX,
        ]
        .into_iter()
        .map(Element::Int)
        .collect();
        elements.extend([&b""[..], b"short", &middle, &long, b"12", b"end"].map(Element::Str));
        let bytes = ziplist(&elements);
        let read = Ziplist::parse(&bytes).expect("whole");
        assert_eq!(read.iter().collect::<Vec<_>>(), elements);
        assert_eq!(read.len(), elements.len());
        let texts = |all: &mut dyn Iterator<Item = Element<'_>>| all.map(Element::to_vec).collect::<Vec<_>>();
        let pack = read.to_listpack().expect("short");
        assert_eq!(texts(&mut pack.iter()), texts(&mut elements.iter().copied()));
        assert_eq!(pack.seek(-2).map(|at| pack.get(at)), Some(Element::Int(12)));
    }

    /// The block of `RPUSH l a 2 -300` in a dump of Redis 6.
    #[test]
    fn a_block_of_redis_is_read() {
        let bytes = [
            0x15, 0, 0, 0, 0x10, 0, 0, 0, 3, 0, // header
            0, 1, b'a', 3, 0xF3, 2, 0xC0, 0xD4, 0xFE, // entries, the last at 15
            0xFF,
        ];
        let mut bytes = bytes.to_vec();
        bytes[0] = bytes.len() as u8;
        bytes[4] = 15;
        let read = Ziplist::parse(&bytes).expect("whole");
        let elements: Vec<Element<'_>> = read.iter().collect();
        assert_eq!(elements, [Element::Str(b"a"), Element::Int(2), Element::Int(-300)]);
    }

    /// `KRING_FUZZ` makes more.
    #[test]
    fn what_is_too_long_or_has_too_many_is_told() {
        let some = || (0..5).map(|_| Element::Str(b"0123456789"));
        assert!(encode(some(), 1_000).is_some());
        for most in 0..70 {
            assert!(encode(some(), most).is_none_or(|bytes| bytes.len() <= most), "{most}");
        }
        let many = encode((0..70_000).map(Element::Int), usize::MAX).expect("short");
        assert_eq!(Ziplist::parse(&many).expect("whole").len(), 70_000);
        assert_eq!(many[8..HEADER], [255, 255]);
    }

    /// A few megabytes of a compressed string may grow into one.
    #[test]
    fn one_that_no_listpack_holds_is_told() {
        let block = encode([&[b'x'; 300][..]; 4].into_iter().map(Element::Str), usize::MAX).expect("short");
        let read = Ziplist::parse(&block).expect("whole");
        let bytes = read.to_listpack().expect("short").bytes();
        assert!(read.to_listpack_within(bytes).is_some() && read.to_listpack_within(bytes - 1).is_none());
    }

    #[test]
    fn damage_is_refused_or_harmless() {
        let long = vec![b'x'; 400];
        let elements = [
            Element::Str(b"abc"),
            Element::Int(7),
            Element::Str(&long),
            Element::Int(-70_000),
            Element::Str(b""),
        ];
        let good = ziplist(&elements);
        for cut in 0..good.len() {
            assert!(Ziplist::parse(&good[..cut]).is_err(), "cut to {cut}");
        }
        let mut rng = seeded(9);
        let runs = std::env::var("KRING_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
        for _ in 0..runs {
            let mut bad = good.clone();
            for _ in 0..1 + xorshift(&mut rng) % 3 {
                let at = xorshift(&mut rng) as usize % bad.len();
                bad[at] = xorshift(&mut rng) as u8;
            }
            if let Ok(read) = Ziplist::parse(&bad) {
                assert_eq!(read.iter().count(), read.len());
                assert_eq!(read.to_listpack().expect("short").len(), read.len());
            }
        }
        assert!(Ziplist::parse(&ziplist(&[])).is_ok_and(Ziplist::is_empty));
    }
}
