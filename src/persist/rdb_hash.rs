//! A hash as RDB writes it.
//!
//! ```text
//!   4  count | field, value | ...                                  a table
//!   9  string: zipmap (below)                                      read only: before Redis 2.6
//!  13  string: ziplist of fields and values                        before Redis 7.0; written for `rdb-version 9`
//!  16  string: listpack of fields and values
//!  22  count | expiry, field, value | ...                          read only: candidates of Redis 7.4
//!  23  string: listpack of fields, values and expiries             read only: the same
//!  24  earliest expiry: 8 bytes | count | expiry, field, value ... a table with expiries, since Redis 7.4
//!  25  earliest expiry: 8 bytes | string: listpack of fields, values and expiries
//! 150  count | field, value, expiry: 8 bytes, -1 for none | ...   read only: 22 of Valkey 9
//! ```
//! Expiries are unix ms, 0 for none; those of 24 count from one before the earliest. Without any, a hash is written as 4 or
//! 16, which Redis 7.0 reads.
//!
//! ```text
//!  zipmap:  number of fields, 254: many | length, field | length, free, value, free bytes | ... | 255
//!  length:  one byte up to 253; 254 and 4 bytes, little-endian
//! ```

use super::Corrupt;
use super::rdb::VALKEY_TYPES;
use super::rdb_string::{decode_len, decode_string, encode_len, encode_string, take};
use super::value::Reading;
use super::ziplist::{self, Ziplist};
use crate::ds::hash::{EXPIRE_MAX, Expiry, Field, Hash, Shape, with_text};
use crate::ds::listpack::{Element, Listpack};
use crate::ds::table::Mark;
use std::collections::HashSet;

const TABLE: u8 = 4;
const ZIPMAP: u8 = 9;
const ZIPLIST: u8 = 13;
const LISTPACK: u8 = 16;
const EARLY_TABLE_EX: u8 = 22;
const EARLY_LISTPACK_EX: u8 = 23;
const TABLE_EX: u8 = 24;
const LISTPACK_EX: u8 = 25;
const VALKEY_TABLE_EX: u8 = 22 + VALKEY_TYPES;

/// RDB's numbers for it, one an encoding.
pub const KINDS: &[u8] = &[
    TABLE,
    ZIPMAP,
    ZIPLIST,
    LISTPACK,
    EARLY_TABLE_EX,
    EARLY_LISTPACK_EX,
    TABLE_EX,
    LISTPACK_EX,
    VALKEY_TABLE_EX,
];

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
    encode_fields(out, hash, earliest, compress);
    if earliest.is_some() { TABLE_EX } else { TABLE }
}

/// Appends the content as Redis 5 reads it, and gives its number; another when fields expire, which it cannot hold.
pub fn encode_for_5(out: &mut Vec<u8>, hash: &Hash, compress: bool) -> u8 {
    if earliest(hash).is_some() {
        return encode(out, hash, compress);
    }
    let block = match (hash.as_pairs(), hash.as_triples()) {
        (Some(pack), _) => ziplist::encode(pack.iter(), ziplist::MOST),
        (None, Some(pack)) => ziplist::encode(without_expiries(pack).iter(), ziplist::MOST),
        (None, None) => None,
    };
    if let Some(block) = block {
        encode_string(out, &block, compress);
        return ZIPLIST;
    }
    encode_fields(out, hash, None, compress);
    TABLE
}

/// Appends all fields one by one, with their expiries when there is an earliest one.
fn encode_fields(out: &mut Vec<u8>, hash: &Hash, earliest: Option<i64>, compress: bool) {
    encode_len(out, hash.len() as u64);
    hash.for_each(&mut |field| encode_field(out, &field, earliest, compress));
}

fn encode_field(out: &mut Vec<u8>, field: &Field<'_>, earliest: Option<i64>, compress: bool) {
    if let Some(earliest) = earliest {
        encode_len(out, field.expire_at.map_or(0, |at| (at - earliest + 1) as u64));
    }
    field.name.with(|name| encode_string(out, name, compress));
    with_text(&field.value, |text| encode_string(out, text, compress));
}

/// See [`super::value::begin`]. The parts are fields of a table; the mark is a scan's cursor and the earliest expiry, 0 for none. As in
/// Redis a lower bound of that serves too: nobody has to look at all fields first.
pub fn begin(out: &mut Vec<u8>, hash: &Hash) -> (u8, Mark) {
    let earliest = hash.min_expire();
    if let Some(at) = earliest {
        out.extend_from_slice(&at.to_le_bytes());
    }
    encode_len(out, hash.len() as u64);
    let kind = if earliest.is_some() { TABLE_EX } else { TABLE };
    (kind, Mark { at: [0, earliest.unwrap_or(0) as u64], left: hash.len() as u64 })
}

/// See [`super::value::go_on`].
pub fn go_on(out: &mut Vec<u8>, hash: &Hash, mark: Mark, until: usize, compress: bool) -> Mark {
    let [mut cursor, earliest] = mark.at;
    let (earliest_at, mut count) = ((earliest != 0).then_some(earliest as i64), 0);
    while count < mark.left && out.len() < until {
        cursor = hash.scan(cursor, &mut |field| {
            encode_field(out, &field, earliest_at, compress);
            count += 1;
        });
    }
    mark.after(count, [cursor, earliest])
}

/// See [`super::value::guard`].
pub fn guard(hash: &mut Hash, mark: Mark, compress: bool) -> bool {
    let [cursor, earliest] = mark.at;
    let earliest = (earliest != 0).then_some(earliest as i64);
    hash.begin_cut(cursor, move |field, kept| {
        kept.entries += 1;
        encode_field(&mut kept.bytes, field, earliest, compress);
    })
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
        TABLE => decode_table(input, &shape, |_| Ok(None), |_| Ok(None)),
        EARLY_TABLE_EX => decode_table(input, &shape, |input| expiry(decode_len(input)?, 0), |_| Ok(None)),
        TABLE_EX => {
            let earliest = decode_time(input)?;
            decode_table(input, &shape, |input| expiry(decode_len(input)?, earliest), |_| Ok(None))
        }
        VALKEY_TABLE_EX => decode_table(input, &shape, |_| Ok(None), valkey_expiry),
        LISTPACK => of_pairs(listpack(input)?, &shape),
        EARLY_LISTPACK_EX => of_triples(&listpack(input)?, &shape, false),
        LISTPACK_EX => {
            decode_time(input)?;
            of_triples(&listpack(input)?, &shape, true)
        }
        ZIPLIST => {
            let pack = Ziplist::parse(&decode_string(input)?.into_bytes())?.to_listpack().ok_or(Corrupt)?;
            if pack.is_empty() { Err(Corrupt) } else { of_pairs(pack, &shape) }
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

/// The expiry behind a field of Valkey's.
fn valkey_expiry(input: &mut &[u8]) -> Result<Option<i64>, Corrupt> {
    match i64::from_le_bytes(*take(input, 8)?.first_chunk().ok_or(Corrupt)?) {
        -1 => Ok(None),
        at if (1..=EXPIRE_MAX).contains(&at) => Ok(Some(at)),
        _ => Err(Corrupt),
    }
}

/// Reads fields one by one; `before` and `behind` take what stands around each.
fn decode_table(
    input: &mut &[u8],
    shape: &Shape,
    before: impl Fn(&mut &[u8]) -> Result<Option<i64>, Corrupt>,
    behind: impl Fn(&mut &[u8]) -> Result<Option<i64>, Corrupt>,
) -> Result<Hash, Corrupt> {
    let count = decode_len(input)?;
    if count == 0 {
        return Err(Corrupt);
    }
    let mut hash = if count > shape.entries as u64 { Hash::table(shape.seed) } else { Hash::new() };
    for _ in 0..count {
        let expire_at = before(input)?;
        let field = decode_string(input)?.into_bytes();
        let value = decode_string(input)?.into_bytes();
        let expire_at = expire_at.or(behind(input)?);
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

/// Whether every name comes once; they are canonical.
fn differ<'a>(mut names: impl Iterator<Item = Element<'a>>) -> bool {
    let mut met = HashSet::new();
    names.all(|name| {
        met.insert(match name {
            Element::Int(n) => (Some(n), &b""[..]),
            Element::Str(text) => (None, text),
        })
    })
}

fn of_pairs(pack: Listpack, shape: &Shape) -> Result<Hash, Corrupt> {
    let elements: Vec<Element<'_>> = pack.iter().map(Element::shortest).collect();
    if !elements.len().is_multiple_of(2) || !differ(elements.iter().step_by(2).copied()) {
        return Err(Corrupt);
    }
    let as_it_is = elements.iter().eq(pack.iter().collect::<Vec<_>>().iter());
    let pack = if as_it_is {
        drop(elements);
        pack
    } else {
        pack_of(&elements)
    };
    Ok(Hash::of_pairs(pack, shape))
}

fn of_triples(pack: &Listpack, shape: &Shape, in_order: bool) -> Result<Hash, Corrupt> {
    let elements: Vec<Element<'_>> = pack.iter().map(Element::shortest).collect();
    if !elements.len().is_multiple_of(3) || !differ(elements.iter().step_by(3).copied()) {
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
    let order = |(at, _): &(i64, &[Element<'_>])| at.wrapping_sub(1) as u64;
    if in_order && !fields.is_sorted_by_key(order) {
        return Err(Corrupt);
    }
    fields.sort_by_key(order);
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
            let long = u32::from_le_bytes(*bytes.first_chunk().ok_or(Corrupt)?) as usize;
            // What fits one byte is not written in five.
            Some(if long < 254 { return Err(Corrupt) } else { long })
        }
        short => Some(usize::from(short)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::ziplist::tests::ziplist;
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::config::Config;

    type Content = Vec<(Vec<u8>, Vec<u8>, Option<i64>)>;

    fn read(kind: u8, bytes: &[u8]) -> Result<Hash, Corrupt> {
        let mut input = bytes;
        let hash = decode(kind, &mut input, &Reading { config: &Config::default(), seed: 7 })?;
        if input.is_empty() { Ok(hash) } else { Err(Corrupt) }
    }

    fn content(hash: &Hash) -> Content {
        let mut all: Content = hash
            .iter()
            .map(|f| (f.name.to_vec(), with_text(&f.value, <[u8]>::to_vec), f.expire_at))
            .collect();
        all.sort();
        all
    }

    fn written(hash: &Hash) -> (u8, Vec<u8>) {
        let mut out = Vec::new();
        let kind = encode(&mut out, hash, true);
        (kind, out)
    }

    /// A hash of so many fields; every `expires`th has an expiry.
    fn sample(fields: usize, expires: usize, entries: usize) -> Hash {
        let shape = Shape { entries, value: 64, seed: 7 };
        let mut hash = Hash::new();
        for i in 0..fields {
            let name = if i % 3 == 0 { i.to_string() } else { format!("field:{i}") };
            let value = if i == 7 { "v".repeat(3_000) } else { (i * 977 % 1_000).to_string() };
            hash.set(name.as_bytes(), value.as_bytes(), Expiry::Clear, &shape);
            if expires != 0 && i % expires == 0 {
                hash.set_expire(name.as_bytes(), Some(1_700_000_000_000 + (i * 7_919 % 1_000) as i64));
            }
        }
        hash
    }

    fn samples() -> Vec<(u8, Hash)> {
        vec![
            (LISTPACK, sample(5, 0, 512)),
            (LISTPACK_EX, sample(6, 2, 512)),
            (TABLE, sample(10, 0, 512)),
            (TABLE, sample(600, 0, 512)),
            (TABLE_EX, sample(600, 3, 512)),
            (TABLE_EX, sample(4, 1, 0)),
        ]
    }

    #[test]
    fn every_form_is_read_back() {
        for (kind, hash) in samples() {
            let (number, bytes) = written(&hash);
            assert_eq!(number, kind);
            let back = read(kind, &bytes).expect("whole");
            assert_eq!(content(&back), content(&hash), "{kind}");
            assert_eq!(back.min_expire().is_some(), hash.min_expire().is_some());
            if hash.len() > 512 || kind == LISTPACK || kind == LISTPACK_EX {
                assert_eq!(back.encoding(), hash.encoding(), "{kind}");
            }
            for cut in 0..bytes.len().min(400) {
                assert!(read(kind, &bytes[..cut]).is_err(), "{kind} cut to {cut}");
            }
        }
    }

    #[test]
    fn a_listpackex_without_expiries_is_written_for_redis_7_0() {
        let mut hash = sample(6, 2, 512);
        for i in ["0", "field:2", "field:4"] {
            assert!(hash.set_expire(i.as_bytes(), None));
        }
        let (kind, bytes) = written(&hash);
        assert_eq!((kind, hash.encoding()), (LISTPACK, "listpackex"));
        assert_eq!(content(&read(kind, &bytes).expect("whole")), content(&hash));
    }

    #[test]
    fn older_forms_are_read() {
        let elements = [Element::Str(b"a"), Element::Int(1), Element::Str(b"b"), Element::Str(b"12")];
        let expected: Content = vec![(b"a".into(), b"1".into(), None), (b"b".into(), b"12".into(), None)];
        let string = |text: &[u8]| {
            let mut out = Vec::new();
            encode_string(&mut out, text, false);
            out
        };
        let hash = read(ZIPLIST, &string(&ziplist(&elements))).expect("whole");
        assert_eq!((content(&hash), hash.encoding()), (expected.clone(), "listpack"));
        assert!(hash.get(b"b").is_some());
        assert!(read(ZIPLIST, &string(&ziplist(&elements[..3]))).is_err(), "half a field");
        assert!(read(ZIPLIST, &string(&ziplist(&[]))).is_err(), "no field");
        // Fields "a" and "b"; a free byte behind the value of the first.
        let zipmap = b"\x02\x01a\x01\x011x\x01b\x02\x0012\xff";
        assert_eq!(content(&read(ZIPMAP, &string(zipmap)).expect("whole")), expected);
        let long = [b"\xfe\x01a\xfe\x2c\x01\x00\x00\x00".as_slice(), &[b'v'; 300], b"\xff"].concat();
        let hash = read(ZIPMAP, &string(&long)).expect("whole");
        assert_eq!((hash.len(), hash.encoding()), (1, "hashtable"));
        for bad in [
            b"\x03\x01a\x01\x001\xff".as_slice(),
            b"\x01\x01a\x01\x001",
            b"\x01\x01a\x01\x001\xffx",
            b"\x02\x01a\x01\x001\x01a\x01\x001\xff",
            b"\x00\xff",
            b"",
        ] {
            assert!(read(ZIPMAP, &string(bad)).is_err(), "{bad:?}");
        }
    }

    /// The forms of Redis 7.4: two fields, one with an expiry; the candidates' ones hold absolute times.
    #[test]
    fn forms_with_expiries_are_those_of_redis() {
        let expected: Content =
            vec![(b"a".into(), b"x".into(), Some(1_700_000_000_000)), (b"b".into(), b"y".into(), None)];
        let at = 1_700_000_000_000i64;
        let table = [&at.to_le_bytes()[..], b"\x02\x01\x01a\x01x\x00\x01b\x01y"].concat();
        assert_eq!(content(&read(TABLE_EX, &table).expect("whole")), expected);
        let mut early = vec![2];
        encode_len(&mut early, at as u64);
        early.extend_from_slice(b"\x01a\x01x\x00\x01b\x01y");
        assert_eq!(content(&read(EARLY_TABLE_EX, &early).expect("whole")), expected);
        let pack = pack_of(&[
            Element::Str(b"a"),
            Element::Str(b"x"),
            Element::Int(at),
            Element::Str(b"b"),
            Element::Str(b"y"),
            Element::Int(0),
        ]);
        let mut string = Vec::new();
        encode_string(&mut string, pack.as_bytes(), false);
        let hash = read(EARLY_LISTPACK_EX, &string).expect("whole");
        assert_eq!((content(&hash), hash.encoding()), (expected.clone(), "listpackex"));
        let whole = [&at.to_le_bytes()[..], &string].concat();
        let hash = read(LISTPACK_EX, &whole).expect("whole");
        assert_eq!(written(&hash), (LISTPACK_EX, whole));
    }

    #[test]
    fn what_no_hash_can_be_is_refused() {
        let packed = |elements: &[Element<'_>]| {
            let mut out = Vec::new();
            encode_string(&mut out, pack_of(elements).as_bytes(), false);
            out
        };
        let (a, one) = (Element::Str(b"a"), Element::Int(1));
        assert!(read(LISTPACK, &packed(&[])).is_err());
        assert!(read(LISTPACK, &packed(&[a])).is_err());
        assert!(read(LISTPACK, &packed(&[a, one, a, one])).is_err(), "twice");
        assert!(
            read(LISTPACK, &packed(&[one, a, Element::Str(b"1"), a])).is_err(),
            "twice, as number and as text"
        );
        assert!(read(EARLY_LISTPACK_EX, &packed(&[a, one])).is_err());
        assert!(read(EARLY_LISTPACK_EX, &packed(&[a, one, a])).is_err(), "no time");
        assert!(read(EARLY_LISTPACK_EX, &packed(&[a, one, Element::Int(-1)])).is_err());
        assert!(read(EARLY_LISTPACK_EX, &packed(&[a, one, Element::Int(EXPIRE_MAX + 1)])).is_err());
        let mut zipmap = Vec::new();
        encode_string(&mut zipmap, b"\x01\xfe\x01\0\0\0a\x01\0x\xff", false);
        assert!(read(ZIPMAP, &zipmap).is_err(), "a short length in five bytes");
        assert!(read(TABLE, b"\x00").is_err(), "no field");
        assert!(read(TABLE, b"\x02\x01a\x01x\x01a\x01y").is_err(), "twice");
        assert!(read(TABLE, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x01x").is_err(), "far too many");
        let mut late = vec![1];
        encode_len(&mut late, EXPIRE_MAX as u64 + 1);
        late.extend_from_slice(b"\x01a\x01x");
        assert!(read(EARLY_TABLE_EX, &late).is_err());
        assert!(read(TABLE_EX, &[&[0xff; 8][..], b"\x01\x00\x01a\x01x"].concat()).is_err());
        // Out of order, and a number as text: taken from a release candidate, and put right; from a release, refused.
        let (seven, eight) = (Element::Str(b"7"), Element::Str(b"8"));
        let jumbled =
            packed(&[a, one, Element::Int(0), seven, a, Element::Int(9), eight, a, Element::Int(5)]);
        assert!(read(LISTPACK_EX, &[&[0; 8][..], &jumbled].concat()).is_err());
        let hash = read(EARLY_LISTPACK_EX, &jumbled).expect("whole");
        assert_eq!(hash.iter().map(|f| f.name.to_vec()).collect::<Vec<_>>(), [b"8", b"7", b"a"]);
        assert!(hash.get(b"7").is_some() && hash.min_expire() == Some(5));
    }

    /// `KRING_FUZZ=n` makes so many runs.
    #[test]
    fn damage_never_panics_and_never_makes_more_than_it_holds() {
        let runs = std::env::var("KRING_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000usize);
        let mut rng = seeded(13);
        let string = |text: &[u8]| {
            let mut out = Vec::new();
            encode_string(&mut out, text, false);
            out
        };
        let mut good: Vec<(u8, Vec<u8>)> = samples().iter().map(|(_, hash)| written(hash)).collect();
        good.retain(|(_, bytes)| bytes.len() < 3_000);
        let elements = [Element::Str(b"a"), Element::Int(1), Element::Str(b"b"), Element::Str(b"12")];
        good.push((ZIPLIST, string(&ziplist(&elements))));
        good.push((ZIPMAP, string(b"\x02\x01a\x01\x011x\x01b\x02\x0012\xff")));
        for (kind, bytes) in &good {
            for _ in 0..runs.div_ceil(good.len()) {
                let mut bad = bytes.clone();
                for _ in 0..1 + xorshift(&mut rng) % 3 {
                    let at = xorshift(&mut rng) as usize % bad.len();
                    bad[at] ^= 1 << (xorshift(&mut rng) % 8);
                }
                if xorshift(&mut rng).is_multiple_of(4) {
                    bad.truncate(xorshift(&mut rng) as usize % (bad.len() + 1));
                }
                let kind = if xorshift(&mut rng).is_multiple_of(8) {
                    KINDS[xorshift(&mut rng) as usize % KINDS.len()]
                } else {
                    *kind
                };
                let Ok(hash) = read(kind, &bad) else { continue };
                // It is a hash like any other: all of it is found, and it can be written.
                assert!(!hash.is_empty() && hash.len() <= 100 * bad.len());
                for (name, value, expire_at) in content(&hash) {
                    let found = hash.get(&name).expect("what is there is found");
                    assert_eq!(with_text(&found.value, <[u8]>::to_vec), value);
                    assert_eq!(found.expire_at, expire_at);
                }
                let (kind, again) = written(&hash);
                assert_eq!(content(&read(kind, &again).expect("whole")), content(&hash));
            }
        }
    }
}
