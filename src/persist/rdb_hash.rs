//! A hash as RDB writes it.
//!
//! ```text
//!   4  count | field, value | ...                                  a table
//!   9  string: zipmap (below)                                      read only: before Redis 2.6
//!  13  string: ziplist of fields and values                        read only: before Redis 7.0
//!  16  string: listpack of fields and values
//!  22  count | expiry, field, value | ...                          read only: candidates of Redis 7.4
//!  23  string: listpack of fields, values and expiries             read only: the same
//!  24  earliest expiry: 8 bytes | count | expiry, field, value ... a table with expiries, since Redis 7.4
//!  25  earliest expiry: 8 bytes | string: listpack of fields, values and expiries
//! ```
//! Expiries are unix ms, 0 for none; those of 24 count from one before the earliest. Without any, a hash is written as 4 or
//! 16, which Redis 7.0 reads.
//!
//! ```text
//!  zipmap:  number of fields, 254: many | length, field | length, free, value, free bytes | ... | 255
//!  length:  one byte up to 253; 254 and 4 bytes, little-endian
//! ```

use super::Corrupt;
use super::rdb_string::{decode_len, decode_string, encode_len, encode_string, take};
use super::value::Reading;
use crate::ds::hash::{EXPIRE_MAX, Expiry, Hash, Shape, with_text};
use crate::ds::listpack::{Element, Listpack};
use std::collections::HashSet;

const TABLE: u8 = 4;
const ZIPMAP: u8 = 9;
const ZIPLIST: u8 = 13;
const LISTPACK: u8 = 16;
const EARLY_TABLE_EX: u8 = 22;
const EARLY_LISTPACK_EX: u8 = 23;
const TABLE_EX: u8 = 24;
const LISTPACK_EX: u8 = 25;

/// RDB's numbers for it, one an encoding.
pub const KINDS: &[u8] =
    &[TABLE, ZIPMAP, ZIPLIST, LISTPACK, EARLY_TABLE_EX, EARLY_LISTPACK_EX, TABLE_EX, LISTPACK_EX];

/// Appends the content and gives its number.
pub fn encode(out: &mut Vec<u8>, hash: &Hash, compress: bool) -> u8 {
    let earliest = earliest(hash);
    if let Some(pack) = hash.as_pairs() {
        encode_string(out, pack.as_bytes(), compress);
        return LISTPACK;
    }
    if let Some(at) = earliest {
        out.extend_from_slice(&at.to_le_bytes());
    }
    if let Some(pack) = hash.as_triples() {
        if earliest.is_some() {
            encode_string(out, pack.as_bytes(), compress);
            return LISTPACK_EX;
        }
        encode_string(out, without_expiries(pack).as_bytes(), compress);
        return LISTPACK;
    }
    encode_len(out, hash.len() as u64);
    hash.for_each(&mut |field| {
        if let Some(earliest) = earliest {
            encode_len(out, field.expire_at.map_or(0, |at| (at - earliest + 1) as u64));
        }
        field.name.with(|name| encode_string(out, name, compress));
        with_text(&field.value, |text| encode_string(out, text, compress));
    });
    if earliest.is_some() { TABLE_EX } else { TABLE }
}

/// The earliest expiry, exactly.
fn earliest(hash: &Hash) -> Option<i64> {
    hash.min_expire()?;
    hash.iter().filter_map(|field| field.expire_at).min()
}

/// The listpack of a listpackex.
fn without_expiries(triples: &Listpack) -> Listpack {
    let kept = triples.iter().enumerate().filter(|(i, _)| i % 3 != 2).map(|(_, element)| element);
    pack_of(&kept.collect::<Vec<_>>())
}

fn pack_of(elements: &[Element<'_>]) -> Listpack {
    let mut pack = Listpack::new();
    pack.insert_all(pack.end(), elements);
    pack
}

/// Takes a hash off the front.
pub fn decode(kind: u8, input: &mut &[u8], reading: &Reading<'_>) -> Result<Hash, Corrupt> {
    let limit = |knob: u64| usize::try_from(knob).unwrap_or(usize::MAX);
    let shape = Shape {
        entries: limit(reading.config.hash_max_listpack_entries),
        value: limit(reading.config.hash_max_listpack_value),
        seed: reading.seed,
    };
    match kind {
        TABLE => decode_table(input, &shape, |_| Ok(None)),
        EARLY_TABLE_EX => decode_table(input, &shape, |input| expiry(decode_len(input)?, 0)),
        TABLE_EX => {
            let earliest = decode_time(input)?;
            decode_table(input, &shape, |input| expiry(decode_len(input)?, earliest))
        }
        LISTPACK => of_pairs(listpack(input)?, &shape),
        EARLY_LISTPACK_EX => of_triples(&listpack(input)?, &shape),
        LISTPACK_EX => {
            decode_time(input)?;
            of_triples(&listpack(input)?, &shape)
        }
        ZIPMAP => of_zipmap(&decode_string(input)?.into_bytes(), &shape),
        _ => Err(Corrupt),
    }
}

/// The earliest expiry that stands before the rest.
fn decode_time(input: &mut &[u8]) -> Result<u64, Corrupt> {
    let bytes = take(input, 8)?;
    let time = u64::from_le_bytes(*bytes.first_chunk().ok_or(Corrupt)?);
    if time <= EXPIRE_MAX as u64 { Ok(time) } else { Err(Corrupt) }
}

/// The expiry that is written as `n`: counted from one before `earliest`, or from the epoch when that is 0.
fn expiry(n: u64, earliest: u64) -> Result<Option<i64>, Corrupt> {
    if n == 0 {
        return Ok(None);
    }
    let at = n.checked_add(earliest.saturating_sub(1)).ok_or(Corrupt)?;
    i64::try_from(at).ok().filter(|at| *at <= EXPIRE_MAX).map(Some).ok_or(Corrupt)
}

/// Reads fields one by one; `expiry` takes what stands before each.
fn decode_table(
    input: &mut &[u8],
    shape: &Shape,
    expiry: impl Fn(&mut &[u8]) -> Result<Option<i64>, Corrupt>,
) -> Result<Hash, Corrupt> {
    let count = decode_len(input)?;
    if count == 0 {
        return Err(Corrupt);
    }
    let mut hash = if count > shape.entries as u64 { Hash::table(shape.seed) } else { Hash::new() };
    for _ in 0..count {
        let expire_at = expiry(input)?;
        let field = decode_string(input)?.into_bytes();
        let value = decode_string(input)?.into_bytes();
        if !hash.set(&field, &value, Expiry::Clear, shape) {
            return Err(Corrupt);
        }
        if expire_at.is_some() {
            hash.set_expire(&field, expire_at);
        }
    }
    Ok(hash)
}

fn listpack(input: &mut &[u8]) -> Result<Listpack, Corrupt> {
    let pack = Listpack::from_bytes(decode_string(input)?.into_bytes()).ok_or(Corrupt)?;
    if pack.is_empty() { Err(Corrupt) } else { Ok(pack) }
}

/// The element as it would be written here: what is the text of an integer is one.
fn canonical(element: Element<'_>) -> Element<'_> {
    match element {
        Element::Str(text) => Element::of(text),
        Element::Int(_) => element,
    }
}

/// Whether every name comes once; they are canonical.
fn differ<'a>(mut names: impl Iterator<Item = Element<'a>>) -> bool {
    let mut met = HashSet::new();
    names.all(|name| met.insert(match name {
        Element::Int(n) => (Some(n), &b""[..]),
        Element::Str(text) => (None, text),
    }))
}

fn of_pairs(pack: Listpack, shape: &Shape) -> Result<Hash, Corrupt> {
    let elements: Vec<Element<'_>> = pack.iter().map(canonical).collect();
    if elements.len() % 2 != 0 || !differ(elements.iter().step_by(2).copied()) {
        return Err(Corrupt);
    }
    let as_it_is = elements.iter().eq(pack.iter().collect::<Vec<_>>().iter());
    let pack = if as_it_is { drop(elements); pack } else { pack_of(&elements) };
    Ok(Hash::of_pairs(pack, shape))
}

fn of_triples(pack: &Listpack, shape: &Shape) -> Result<Hash, Corrupt> {
    let elements: Vec<Element<'_>> = pack.iter().map(canonical).collect();
    if elements.len() % 3 != 0 || !differ(elements.iter().step_by(3).copied()) {
        return Err(Corrupt);
    }
    let mut fields = Vec::with_capacity(elements.len() / 3);
    for field in elements.chunks_exact(3) {
        match field[2] {
            Element::Int(at) if (0..=EXPIRE_MAX).contains(&at) => fields.push((at, field)),
            Element::Int(_) | Element::Str(_) => return Err(Corrupt),
        }
    }
    // Earliest first, those without an expiry last.
    fields.sort_by_key(|(at, _)| at.wrapping_sub(1) as u64);
    let sorted: Vec<Element<'_>> = fields.iter().flat_map(|(_, field)| field.iter().copied()).collect();
    Ok(Hash::of_triples(pack_of(&sorted), shape))
}

fn of_zipmap(bytes: &[u8], shape: &Shape) -> Result<Hash, Corrupt> {
    const END: u8 = 255;
    let (_, mut rest) = bytes.split_first().ok_or(Corrupt)?;
    let mut hash = Hash::new();
    let mut count = 0;
    while let Some(len) = zipmap_len(&mut rest)? {
        let field = take(&mut rest, len)?;
        let len = zipmap_len(&mut rest)?.ok_or(Corrupt)?;
        let free = take(&mut rest, 1)?[0];
        let value = take(&mut rest, len)?;
        take(&mut rest, usize::from(free))?;
        if !hash.set(field, value, Expiry::Clear, shape) {
            return Err(Corrupt);
        }
        count += 1;
    }
    let said = bytes[0];
    let right = said == 254 || usize::from(said) == count;
    if hash.is_empty() || !rest.is_empty() || !right || bytes.last() != Some(&END) {
        return Err(Corrupt);
    }
    Ok(hash)
}

/// A length of a zipmap; None at its end.
fn zipmap_len(rest: &mut &[u8]) -> Result<Option<usize>, Corrupt> {
    Ok(match take(rest, 1)?[0] {
        255 => None,
        254 => {
            let bytes = take(rest, 4)?;
            Some(u32::from_le_bytes(*bytes.first_chunk().ok_or(Corrupt)?) as usize)
        }
        short => Some(usize::from(short)),
    })
}
