//! A sorted set as RDB writes it.
//!
//! ```text
//!   3  members u64 | member, score as text | ...        from the highest down; text: 1 byte length and bytes, or
//!                                                       253 NaN, 254 infinity, 255 minus infinity
//!   5  members u64 | member, score f64 LE | ...         from the highest down
//!  12  a ziplist of members and scores in turn, as one string
//!  17  the same as a listpack
//! ```
//! 5 and 17 are written, for `rdb-version 9` 12 in place of 17. The order of 3 and 5 is not relied on; that of 12 and 17 is what the set will have, so it must be right.

use super::Corrupt;
use super::rdb_string::{decode_len, decode_string, encode_len, encode_string, take};
use super::value::Reading;
use super::ziplist::{self, Ziplist};
use crate::base::double::parse_double;
use crate::ds::listpack::Listpack;
use crate::ds::table::Mark;
use crate::ds::zset::{Gathered, Limits, Zset};

/// RDB's numbers for it, one an encoding.
pub const KINDS: &[u8] = &[TEXT, BINARY, ZIPLIST, LISTPACK];

const TEXT: u8 = 3;
const BINARY: u8 = 5;
const ZIPLIST: u8 = 12;
const LISTPACK: u8 = 17;

/// What the first byte of a score in text says when it is no length.
const NAN: u8 = 253;
const PLUS_INFINITY: u8 = 254;
const MINUS_INFINITY: u8 = 255;

/// Appends the content and gives its number.
pub fn encode(out: &mut Vec<u8>, zset: &Zset, compress: bool) -> u8 {
    if let Some(pack) = zset.as_listpack() {
        encode_string(out, pack.as_bytes(), compress);
        return LISTPACK;
    }
    encode_members(out, zset, compress)
}

/// Appends the content as Redis 5 reads it, and gives its number.
pub fn encode_for_5(out: &mut Vec<u8>, zset: &Zset, compress: bool) -> u8 {
    match zset.as_listpack().and_then(|pack| ziplist::encode(pack.iter(), ziplist::MOST)) {
        Some(block) => {
            encode_string(out, &block, compress);
            ZIPLIST
        }
        None => encode_members(out, zset, compress),
    }
}

fn encode_members(out: &mut Vec<u8>, zset: &Zset, compress: bool) -> u8 {
    let (kind, mark) = begin(out, zset);
    go_on(out, zset, mark, usize::MAX, compress);
    kind
}

/// See [`super::value::begin`]. The parts are members; the mark is a rank from the highest down.
pub fn begin(out: &mut Vec<u8>, zset: &Zset) -> (u8, Mark) {
    encode_len(out, zset.len() as u64);
    (BINARY, Mark { at: [0; 2], left: zset.len() as u64 })
}

/// See [`super::value::go_on`].
pub fn go_on(out: &mut Vec<u8>, zset: &Zset, mark: Mark, until: usize, compress: bool) -> Mark {
    let (first, mut count) = (mark.at[0], 0);
    zset.walk(first as usize, usize::MAX, true, |member, score| {
        member.with(|member| encode_string(out, member, compress));
        out.extend_from_slice(&score.to_le_bytes());
        count += 1;
        out.len() < until
    });
    mark.after(count, [first + count, 0])
}

/// See [`super::value::guard`].
pub fn guard(zset: &mut Zset, mark: Mark, compress: bool) -> bool {
    zset.begin_cut(mark.left as usize - 1, move |member, score, kept| {
        kept.entries += 1;
        encode_string(&mut kept.bytes, member, compress);
        kept.bytes.extend_from_slice(&score.to_le_bytes());
    })
}

/// Takes a sorted set off the front.
pub fn decode(kind: u8, input: &mut &[u8], reading: &Reading<'_>) -> Result<Zset, Corrupt> {
    let limits = Limits {
        entries: usize::try_from(reading.config.zset_max_listpack_entries).unwrap_or(usize::MAX),
        value: usize::try_from(reading.config.zset_max_listpack_value).unwrap_or(usize::MAX),
    };
    let zset = match kind {
        LISTPACK => {
            let pack = Listpack::from_bytes(decode_string(input)?.into_bytes()).ok_or(Corrupt)?;
            Zset::from_listpack(pack, limits, reading.seed).ok_or(Corrupt)?
        }
        ZIPLIST => {
            let bytes = decode_string(input)?.into_bytes();
            let pack = Ziplist::parse(&bytes)?.to_listpack().ok_or(Corrupt)?;
            Zset::from_listpack(pack, limits, reading.seed).ok_or(Corrupt)?
        }
        _ => decode_members(kind, input, limits, reading.seed)?,
    };
    if zset.is_empty() { Err(Corrupt) } else { Ok(zset) }
}

fn decode_members(kind: u8, input: &mut &[u8], limits: Limits, seed: u64) -> Result<Zset, Corrupt> {
    let mut gathered = Gathered::new(seed);
    for _ in 0..decode_len(input)? {
        let member = decode_string(input)?.into_bytes();
        let score = if kind == TEXT { decode_text(input)? } else { decode_binary(input)? };
        if score.is_nan() || gathered.score(&member).is_some() {
            return Err(Corrupt);
        }
        gathered.gather(&member, score);
    }
    Ok(Zset::from_gathered(gathered, limits))
}

fn decode_binary(input: &mut &[u8]) -> Result<f64, Corrupt> {
    let bytes = take(input, 8)?.first_chunk::<8>().ok_or(Corrupt)?;
    Ok(f64::from_le_bytes(*bytes))
}

fn decode_text(input: &mut &[u8]) -> Result<f64, Corrupt> {
    match take(input, 1)?[0] {
        NAN => Err(Corrupt),
        PLUS_INFINITY => Ok(f64::INFINITY),
        MINUS_INFINITY => Ok(f64::NEG_INFINITY),
        len => parse_double(take(input, usize::from(len))?).ok_or(Corrupt),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ziplist::tests::ziplist;
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::config::Config;
    use crate::ds::listpack::Element;

    const SMALL: Limits = Limits { entries: 128, value: 64 };
    const LARGE: Limits = Limits { entries: 0, value: 0 };

    fn read(kind: u8, bytes: &[u8]) -> Result<Zset, Corrupt> {
        let config = Config::default();
        let mut input = bytes;
        let zset = decode(kind, &mut input, &Reading { config: &config, seed: 3 })?;
        if input.is_empty() { Ok(zset) } else { Err(Corrupt) }
    }

    fn content(zset: &Zset) -> Vec<(Vec<u8>, u64)> {
        let mut all = Vec::new();
        zset.walk(0, usize::MAX, false, |member, score| {
            all.push((member.to_vec(), score.to_bits()));
            true
        });
        all
    }

    fn sample(members: usize, limits: Limits) -> Zset {
        let mut zset = Zset::new(1, limits, 9);
        let mut rng = seeded(members as u64);
        for i in 0..members {
            let score = match i % 5 {
                0 => (xorshift(&mut rng) % 1_000) as f64 / 7.0,
                1 => f64::INFINITY,
                2 => f64::NEG_INFINITY,
                _ => (xorshift(&mut rng) % 100) as f64,
            };
            zset.insert(format!("m{i}").as_bytes(), score, limits, 9);
        }
        zset
    }

    #[test]
    fn both_forms_come_back() {
        for (members, limits, kind) in
            [(1, SMALL, LISTPACK), (100, SMALL, LISTPACK), (1, LARGE, BINARY), (3_000, LARGE, BINARY)]
        {
            let zset = sample(members, limits);
            let mut bytes = Vec::new();
            assert_eq!(encode(&mut bytes, &zset, true), kind);
            let back = read(kind, &bytes).unwrap();
            assert_eq!(content(&back), content(&zset));
            // What is read has the form that its size asks for.
            assert_eq!(back.encoding(), if members <= 128 { "listpack" } else { "skiplist" });
            let mut old = Vec::new();
            let old_kind = encode_for_5(&mut old, &zset, true);
            assert_eq!(old_kind, if kind == LISTPACK { ZIPLIST } else { BINARY });
            assert_eq!(content(&read(old_kind, &old).unwrap()), content(&zset));
        }
    }

    #[test]
    fn ziplists_become_listpacks() {
        let wrapped = |elements: &[Element<'_>]| {
            let mut bytes = Vec::new();
            encode_string(&mut bytes, &ziplist(elements), true);
            read(ZIPLIST, &bytes)
        };
        let text = |t: &'static str| Element::Str(t.as_bytes());
        let zset =
            wrapped(&[text("b"), text("-1.5"), Element::Int(7), Element::Int(2), text("a"), text("inf")])
                .unwrap();
        assert_eq!(zset.encoding(), "listpack");
        assert_eq!(
            (zset.score(b"b"), zset.score(b"7"), zset.score(b"a")),
            (Some(-1.5), Some(2.0), Some(f64::INFINITY))
        );
        assert_eq!(wrapped(&[text("a"), Element::Int(2), text("a"), Element::Int(3)]).err(), Some(Corrupt));
        assert_eq!(wrapped(&[text("a"), Element::Int(2), text("b"), Element::Int(1)]).err(), Some(Corrupt));
        assert_eq!(wrapped(&[text("a")]).err(), Some(Corrupt));
        assert_eq!(wrapped(&[]).err(), Some(Corrupt));
    }

    #[test]
    fn scores_in_text() {
        let mut bytes = vec![4];
        for (member, score) in [("a", &b"\x031.5"[..]), ("b", b"\xfe"), ("c", b"\xff"), ("d", b"\x0217")] {
            bytes.push(1);
            bytes.extend_from_slice(member.as_bytes());
            bytes.extend_from_slice(score);
        }
        let zset = read(TEXT, &bytes).unwrap();
        let order: Vec<Vec<u8>> = content(&zset).into_iter().map(|(m, _)| m).collect();
        assert_eq!(order, [b"c", b"a", b"d", b"b"].map(|m| m.to_vec()));
        assert_eq!(read(TEXT, b"\x01\x01a\xfd").err(), Some(Corrupt), "NaN");
        assert_eq!(read(TEXT, b"\x01\x01a\x01x").err(), Some(Corrupt), "no number");
    }

    #[test]
    fn wrong_content_is_refused() {
        let pack = |texts: &[&str]| {
            let mut pack = Listpack::new();
            texts.iter().for_each(|t| pack.push_back(Element::of(t.as_bytes())));
            let mut bytes = Vec::new();
            encode_string(&mut bytes, pack.as_bytes(), true);
            read(LISTPACK, &bytes).map(|zset| zset.len())
        };
        assert_eq!(pack(&["a", "1", "b", "2"]), Ok(2));
        assert_eq!(pack(&["a", "1", "b", "1"]), Ok(2));
        for bad in [&[][..], &["a"], &["a", "x"], &["a", "nan"], &["a", "2", "b", "1"], &["b", "1", "a", "1"]]
        {
            assert_eq!(pack(bad), Err(Corrupt), "{bad:?}");
        }
        assert_eq!(pack(&["a", "1", "a", "2"]), Err(Corrupt), "a member twice");
        assert_eq!(pack(&["7", "1", "b", "2", "7", "3"]), Err(Corrupt), "a member twice");
        let twice = [&b"\x02\x01a"[..], &1f64.to_le_bytes(), b"\x01a", &2f64.to_le_bytes()].concat();
        assert_eq!(read(BINARY, &twice).err(), Some(Corrupt));
        let nan = [&b"\x01\x01a"[..], &f64::NAN.to_le_bytes()].concat();
        assert_eq!(read(BINARY, &nan).err(), Some(Corrupt));
        assert_eq!(read(BINARY, b"\x00").err(), Some(Corrupt), "empty");
        assert_eq!(read(BINARY, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a").err(), Some(Corrupt));
    }

    /// `KRING_FUZZ=n` makes n runs of each.
    #[test]
    fn damage_is_refused_or_harmless() {
        let runs = std::env::var("KRING_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
        for (kind, limits) in [(LISTPACK, SMALL), (BINARY, LARGE)] {
            let mut good = Vec::new();
            encode(&mut good, &sample(40, limits), false);
            let mut rng = seeded(u64::from(kind));
            for _ in 0..runs {
                let mut bad = good.clone();
                for _ in 0..1 + xorshift(&mut rng) % 3 {
                    let bit = xorshift(&mut rng) as usize % (bad.len() * 8);
                    bad[bit / 8] ^= 1 << (bit % 8);
                }
                if xorshift(&mut rng).is_multiple_of(4) {
                    bad.truncate(xorshift(&mut rng) as usize % (bad.len() + 1));
                }
                if let Ok(zset) = read(kind, &bad) {
                    let all = content(&zset);
                    assert!(all.len() == zset.len() && all.len() <= bad.len());
                    assert!(all.iter().enumerate().all(|(i, (m, _))| zset.rank(m).is_some_and(|r| r.0 == i)));
                }
            }
        }
    }
}
