//! Lengths and strings as RDB writes them, the bricks of files and of DUMP payloads.
//!
//! ```text
//!  00nnnnnn                             length 0 to 63
//!  01nnnnnn nnnnnnnn                    length to 16,383, big-endian
//!  10000000 4 bytes                     length to 2^32 - 1, big-endian
//!  10000001 8 bytes                     any length, big-endian
//!  11000000 1 byte                      a string that is the text of an i8
//!  11000001 2 bytes                     ... of an i16, little-endian
//!  11000010 4 bytes                     ... of an i32, little-endian
//!  11000011 packed length, length, LZF  a compressed string
//! ```
//! A string is its length and its bytes, or one of the last four. Decoding a plain string does not copy it.

use super::Corrupt;
use crate::base::lzf;
use crate::base::number::{format_i64, parse_i64};
use bytes::Bytes;

const LEN_14: u8 = 0x40;
const LEN_32: u8 = 0x80;
const LEN_64: u8 = 0x81;
const INT_8: u8 = 0xc0;
const INT_16: u8 = 0xc1;
const INT_32: u8 = 0xc2;
const PACKED: u8 = 0xc3;

/// Strings above this are worth an attempt at compression, in bytes.
const PACK_FROM: usize = 21;
/// What compression must save, in bytes.
const PACK_SAVES: usize = 4;
/// The longest text of an i32.
const I32_TEXT_MAX: usize = 11;

/// Appends a length.
pub fn encode_len(out: &mut Vec<u8>, len: u64) {
    if len < 1 << 6 {
        out.push(len as u8);
    } else if len < 1 << 14 {
        out.extend_from_slice(&[LEN_14 | (len >> 8) as u8, len as u8]);
    } else if let Ok(len) = u32::try_from(len) {
        out.push(LEN_32);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(LEN_64);
        out.extend_from_slice(&len.to_be_bytes());
    }
}

/// Appends an integer as a string: in binary when it is an i32, else its text.
pub fn encode_i64(out: &mut Vec<u8>, value: i64) {
    if let Ok(small) = i8::try_from(value) {
        out.extend_from_slice(&[INT_8, small as u8]);
    } else if let Ok(small) = i16::try_from(value) {
        out.push(INT_16);
        out.extend_from_slice(&small.to_le_bytes());
    } else if let Ok(small) = i32::try_from(value) {
        out.push(INT_32);
        out.extend_from_slice(&small.to_le_bytes());
    } else {
        let mut buf = itoa::Buffer::new();
        let text = format_i64(value, &mut buf);
        encode_len(out, text.len() as u64);
        out.extend_from_slice(text);
    }
}

/// Appends a string in its shortest form; compressed if that saves enough and `compress` (`rdbcompression`) allows it.
pub fn encode_string(out: &mut Vec<u8>, text: &[u8], compress: bool) {
    if text.len() <= I32_TEXT_MAX
        && let Some(value) = parse_i64(text).filter(|v| i32::try_from(*v).is_ok())
    {
        return encode_i64(out, value);
    }
    if compress && text.len() >= PACK_FROM {
        let mut packed = Vec::new();
        if lzf::compress(text, &mut packed, text.len() - PACK_SAVES) {
            return encode_packed(out, &packed, text.len());
        }
    }
    encode_len(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// Appends what stands before a string that is too long to be copied, and gives what has to follow.
pub fn encode_long(out: &mut Vec<u8>, text: &Bytes, compress: bool) -> Bytes {
    let mut packed = Vec::new();
    let is_packed =
        compress && text.len() >= PACK_FROM && lzf::compress(text, &mut packed, text.len() - PACK_SAVES);
    if !is_packed {
        encode_len(out, text.len() as u64);
        return text.clone();
    }
    encode_packed_head(out, packed.len(), text.len());
    packed.into()
}

fn encode_packed_head(out: &mut Vec<u8>, packed: usize, len: usize) {
    out.push(PACKED);
    encode_len(out, packed as u64);
    encode_len(out, len as u64);
}

/// Appends a string of `len` bytes that is compressed already.
pub fn encode_packed(out: &mut Vec<u8>, lzf: &[u8], len: usize) {
    encode_packed_head(out, lzf.len(), len);
    out.extend_from_slice(lzf);
}

/// A string that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text<'a> {
    /// It was written as an integer.
    Int(i64),
    /// It stands in the input.
    Plain(&'a [u8]),
    /// It was compressed.
    Unpacked(Vec<u8>),
}

impl Text<'_> {
    /// The string's own bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Text::Int(n) => format_i64(n, &mut itoa::Buffer::new()).to_vec(),
            Text::Plain(text) => text.to_vec(),
            Text::Unpacked(text) => text,
        }
    }
}

/// Takes `n` bytes off the front.
pub fn take<'a>(input: &mut &'a [u8], n: usize) -> Result<&'a [u8], Corrupt> {
    let (taken, rest) = input.split_at_checked(n).ok_or(Corrupt)?;
    *input = rest;
    Ok(taken)
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Corrupt> {
    let (taken, rest) = input.split_first_chunk::<N>().ok_or(Corrupt)?;
    *input = rest;
    Ok(*taken)
}

fn len_after(first: u8, input: &mut &[u8]) -> Result<u64, Corrupt> {
    match first {
        0..LEN_14 => Ok(first as u64),
        LEN_14..LEN_32 => Ok(((first - LEN_14) as u64) << 8 | take_array::<1>(input)?[0] as u64),
        LEN_32 => Ok(u32::from_be_bytes(take_array(input)?) as u64),
        LEN_64 => Ok(u64::from_be_bytes(take_array(input)?)),
        _ => Err(Corrupt),
    }
}

/// Takes a length off the front.
pub fn decode_len(input: &mut &[u8]) -> Result<u64, Corrupt> {
    let [first] = take_array(input)?;
    len_after(first, input)
}

fn decode_size(input: &mut &[u8]) -> Result<usize, Corrupt> {
    usize::try_from(decode_len(input)?).map_err(|_| Corrupt)
}

/// Takes a string off the front.
pub fn decode_string<'a>(input: &mut &'a [u8]) -> Result<Text<'a>, Corrupt> {
    let [first] = take_array(input)?;
    match first {
        INT_8 => Ok(Text::Int(i8::from_le_bytes(take_array(input)?) as i64)),
        INT_16 => Ok(Text::Int(i16::from_le_bytes(take_array(input)?) as i64)),
        INT_32 => Ok(Text::Int(i32::from_le_bytes(take_array(input)?) as i64)),
        PACKED => {
            let (packed, len) = (decode_size(input)?, decode_size(input)?);
            let text = lzf::decompress(take(input, packed)?, len).ok_or(Corrupt)?;
            Ok(Text::Unpacked(text))
        }
        _ => {
            let len = usize::try_from(len_after(first, input)?).map_err(|_| Corrupt)?;
            Ok(Text::Plain(take(input, len)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_string(&mut out, text, true);
        out
    }

    #[test]
    fn every_length_form_is_read_back() {
        for len in [0, 1, 63, 64, 16_383, 16_384, u32::MAX as u64, u32::MAX as u64 + 1, u64::MAX] {
            let mut out = Vec::new();
            encode_len(&mut out, len);
            let size = match len {
                0..=63 => 1,
                64..=16_383 => 2,
                16_384..=0xffff_ffff => 5,
                _ => 9,
            };
            assert_eq!(out.len(), size);
            let mut input = &out[..];
            assert_eq!(decode_len(&mut input), Ok(len));
            assert!(input.is_empty());
            for cut in 0..out.len() {
                assert_eq!(decode_len(&mut &out[..cut]), Err(Corrupt));
            }
        }
        for first in 0x82..=0xff {
            assert_eq!(decode_len(&mut &[first, 0, 0, 0, 0, 0, 0, 0, 0][..]), Err(Corrupt));
        }
    }

    #[test]
    fn integers_take_the_bytes_that_redis_gives_them() {
        for (value, size) in [(0, 2), (-1, 2), (127, 2), (128, 3), (-129, 3), (32_767, 3), (32_768, 5)] {
            assert_eq!(encoded(value.to_string().as_bytes()).len(), size);
        }
        for value in [0, i8::MIN as i64, i16::MIN as i64, i32::MIN as i64, i64::MIN, i64::MAX, 1 << 31] {
            let text = value.to_string();
            let mut both = encoded(text.as_bytes());
            let one = both.len();
            encode_i64(&mut both, value);
            assert_eq!(both[..one], both[one..]);
            let read = decode_string(&mut &both[..one]).expect("whole");
            assert_eq!(read.into_bytes(), text.as_bytes());
        }
        assert_eq!(encoded(b"01"), b"\x0201");
        assert_eq!(encoded(b"-0"), b"\x02-0");
    }

    #[test]
    fn strings_of_every_length_are_read_back_and_cuts_are_refused() {
        let mut rng = seeded(3);
        for len in (0..300).chain([16_383, 16_384, 100_000]) {
            for spread in [1, 3, 256] {
                let text: Vec<u8> = (0..len).map(|_| (xorshift(&mut rng) % spread) as u8).collect();
                let bytes = encoded(&text);
                assert!(bytes.len() <= text.len() + 5);
                let mut input = &bytes[..];
                assert_eq!(decode_string(&mut input).map(Text::into_bytes), Ok(text));
                assert!(input.is_empty());
                for cut in (0..bytes.len()).take(400) {
                    assert_eq!(decode_string(&mut &bytes[..cut]), Err(Corrupt));
                }
            }
        }
    }

    #[test]
    fn a_claim_that_the_input_cannot_meet_takes_no_memory() {
        let mut bomb = vec![PACKED, 3];
        encode_len(&mut bomb, 1 << 40);
        bomb.extend_from_slice(&[0, b'x', 0]);
        assert_eq!(decode_string(&mut &bomb[..]), Err(Corrupt));
        let mut long = Vec::new();
        encode_len(&mut long, u64::MAX);
        assert_eq!(decode_string(&mut &long[..]), Err(Corrupt));
    }
}
