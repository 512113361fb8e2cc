//! A set as RDB writes it.
//!
//! ```text
//!   2  count, members                  a string each
//!  11  a string: an intset's block
//!  20  a string: a listpack's block    (since RDB 11)
//! ```
//! A listpack is written as number 2, which Redis 7.0 reads too.

use super::Corrupt;
use super::rdb_string::{decode_len, decode_string, encode_len, encode_string};
use super::value::Reading;
use crate::ds::intset::Intset;
use crate::ds::listpack::{Element, Listpack};
use crate::ds::set::{Limits, Set};
use crate::ds::table::Mark;

const MEMBERS: u8 = 2;
const INTSET: u8 = 11;
const LISTPACK: u8 = 20;

/// RDB's numbers for it, one an encoding.
pub const KINDS: &[u8] = &[MEMBERS, INTSET, LISTPACK];

/// Appends the content and gives its number.
pub fn encode(out: &mut Vec<u8>, set: &Set, compress: bool) -> u8 {
    if let Some(ints) = set.as_ints() {
        encode_string(out, ints.as_bytes(), compress);
        return INTSET;
    }
    encode_len(out, set.len() as u64);
    set.each(|member| {
        member.with(|text| encode_string(out, text, compress));
        true
    });
    MEMBERS
}

/// See [`super::value::begin`]. The parts are members of a table; the mark is a scan's cursor.
pub fn begin(out: &mut Vec<u8>, set: &Set) -> (u8, Mark) {
    encode_len(out, set.len() as u64);
    (MEMBERS, Mark { at: [0; 2], left: set.len() as u64 })
}

/// See [`super::value::go_on`].
pub fn go_on(out: &mut Vec<u8>, set: &Set, mark: Mark, until: usize, compress: bool) -> Mark {
    let (mut cursor, mut count) = (mark.at[0], 0);
    while count < mark.left && out.len() < until {
        cursor = set.scan(cursor, &mut |member| {
            member.with(|text| encode_string(out, text, compress));
            count += 1;
        });
    }
    mark.after(count, [cursor, 0])
}

/// See [`super::value::guard`].
pub fn guard(set: &mut Set, mark: Mark, compress: bool) -> bool {
    set.begin_cut(mark.at[0], move |member, kept| {
        kept.entries += 1;
        encode_string(&mut kept.bytes, member, compress);
    })
}

/// Takes a set off the front.
pub fn decode(kind: u8, input: &mut &[u8], reading: &Reading<'_>) -> Result<Set, Corrupt> {
    let config = reading.config;
    let limits = Limits {
        ints: config.set_max_intset_entries as usize,
        entries: config.set_max_listpack_entries as usize,
        value: config.set_max_listpack_value as usize,
        seed: reading.seed,
    };
    let set = match kind {
        MEMBERS => return members(input, &limits),
        INTSET => ints(decode_string(input)?.into_bytes(), &limits)?,
        LISTPACK => pack(decode_string(input)?.into_bytes(), &limits)?,
        _ => return Err(Corrupt),
    };
    if set.is_empty() { Err(Corrupt) } else { Ok(set) }
}

fn members(input: &mut &[u8], limits: &Limits) -> Result<Set, Corrupt> {
    let count = decode_len(input)?;
    if count == 0 {
        return Err(Corrupt);
    }
    // As in Redis: many members make a table at once, the others what they would make one by one.
    let mut set = if count > limits.ints as u64 { Set::table(limits.seed) } else { Set::ints() };
    for _ in 0..count {
        if !set.add_text(&decode_string(input)?.into_bytes(), limits) {
            return Err(Corrupt);
        }
    }
    Ok(set)
}

fn ints(block: Vec<u8>, limits: &Limits) -> Result<Set, Corrupt> {
    let ints = Intset::from_bytes(block).ok_or(Corrupt)?;
    let many = ints.len() > limits.ints;
    let mut set = Set::from(ints);
    if many {
        set.make_table(limits.seed);
    }
    Ok(set)
}

fn pack(block: Vec<u8>, limits: &Limits) -> Result<Set, Corrupt> {
    let pack = Listpack::from_bytes(block).ok_or(Corrupt)?;
    // A lookup relies on integers being integers, and a set on members being distinct. The table that tells them apart is
    // the set itself when there are many.
    let mut distinct = Set::table(limits.seed);
    for member in pack.iter() {
        let as_added = member.with(|text| Element::of(text) == member);
        if !as_added || !distinct.add(member, limits) {
            return Err(Corrupt);
        }
    }
    Ok(if distinct.len() > limits.entries { distinct } else { Set::from(pack) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::config::Config;
    use crate::ds::{Owned, View};
    use crate::persist::dump;
    use crate::store::{Collection, Value};
    use std::collections::BTreeSet;

    const DEFAULT: Limits = Limits { ints: 512, entries: 128, value: 64, seed: 3 };

    fn of(members: &[&str]) -> Set {
        let mut set = Set::ints();
        members.iter().for_each(|member| _ = set.add_text(member.as_bytes(), &DEFAULT));
        set
    }

    fn texts(set: &Set) -> BTreeSet<Vec<u8>> {
        let mut all = BTreeSet::new();
        set.each(|member| all.insert(member.to_vec()));
        all
    }

    fn read_with(kind: u8, mut body: &[u8], config: &Config) -> Result<Set, Corrupt> {
        let set = decode(kind, &mut body, &Reading { config, seed: 5 })?;
        if body.is_empty() { Ok(set) } else { Err(Corrupt) }
    }

    fn read(kind: u8, body: &[u8]) -> Result<Set, Corrupt> {
        read_with(kind, body, &Config::default())
    }

    fn written(set: &Set) -> (u8, Vec<u8>) {
        let mut out = Vec::new();
        let kind = encode(&mut out, set, true);
        (kind, out)
    }

    /// What Redis 7.0.15 answers to DUMP after these members were added in this order.
    #[test]
    fn payloads_are_redis_s_byte_for_byte() {
        const GOLDEN: &[(&[&str], &str)] =
            &[(&["1", "2", "300"], "0b0e0200000003000000010002002c010a00"), (&["a"], "020101610a00")];
        for (members, hex) in GOLDEN {
            let value = of(members).wrap();
            let payload = dump::dump(View::Boxed(&value), true);
            let ours: String = payload[..payload.len() - 8].iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(ours, *hex, "{members:?}");
        }
    }

    #[test]
    fn every_form_comes_back() {
        let many: Vec<String> = (0..300).map(|i| format!("member:{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for (set, kind) in [
            (of(&["1", "-70000", "5000000000"]), INTSET),
            (of(&["1", "a", ""]), MEMBERS),
            (of(&many[..100]), MEMBERS),
            (of(&many), MEMBERS),
            (of(&[&"x".repeat(100)]), MEMBERS),
        ] {
            let (number, body) = written(&set);
            assert_eq!(number, kind);
            let back = read(number, &body).expect("it is whole");
            assert_eq!((texts(&back), back.encoding()), (texts(&set), set.encoding()));
            for cut in 0..body.len() {
                assert!(read(number, &body[..cut]).is_err(), "cut to {cut}");
            }
        }
        let mut body = Vec::new();
        let mut pack = Listpack::new();
        ["a", "12", ""].iter().for_each(|text| pack.push_back(Element::of(text.as_bytes())));
        encode_string(&mut body, pack.as_bytes(), true);
        let back = read(LISTPACK, &body).expect("it is whole");
        assert_eq!((texts(&back), back.encoding()), (texts(&of(&["a", "12", ""])), "listpack"));
    }

    #[test]
    fn thresholds_of_the_reader_count() {
        let few = Config { set_max_intset_entries: 2, set_max_listpack_entries: 2, ..Config::default() };
        let (kind, body) = written(&of(&["1", "2", "3"]));
        assert_eq!(read_with(kind, &body, &few).map(|set| set.encoding()), Ok("hashtable"));
        let (kind, body) = written(&of(&["a", "b"]));
        assert_eq!(read_with(kind, &body, &few).map(|set| set.encoding()), Ok("listpack"));
        let (kind, body) = written(&of(&["a", "b", "c"]));
        assert_eq!(read_with(kind, &body, &few).map(|set| set.encoding()), Ok("hashtable"));
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let block = |elements: &[Element<'_>]| {
            let (mut pack, mut body) = (Listpack::new(), Vec::new());
            pack.insert_all(pack.end(), elements);
            encode_string(&mut body, pack.as_bytes(), false);
            body
        };
        assert!(read(LISTPACK, &block(&[])).is_err(), "empty");
        assert!(read(LISTPACK, &block(&[Element::Str(b"a"), Element::Str(b"a")])).is_err(), "twice");
        assert!(read(LISTPACK, &block(&[Element::Str(b"12")])).is_err(), "an integer as text");
        assert!(read(INTSET, &written(&of(&["1"])).1[..3]).is_err());
        assert!(read(MEMBERS, &[0]).is_err(), "empty");
        assert!(read(MEMBERS, b"\x02\x01a\x01a").is_err(), "twice");
        assert!(read(MEMBERS, b"\x02\xc0\x05\xc0\x05").is_err(), "twice");
        assert!(
            read(MEMBERS, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a").is_err(),
            "a claim without members"
        );
        let mut empty = Vec::new();
        encode_string(&mut empty, Intset::new().as_bytes(), true);
        assert!(read(INTSET, &empty).is_err(), "empty");
    }

    /// Valid payloads with bits flipped, bytes replaced or the end cut off: refused, or a set in order. `KRING_FUZZ` makes
    /// more.
    #[test]
    fn damage_never_panics() {
        let runs = std::env::var("KRING_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
        let mut rng = seeded(23);
        let many: Vec<String> = (0..40).map(|i| format!("m{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut bodies = vec![written(&of(&["1", "-70000", "7", "90"])), written(&of(&many))];
        for width in ["5", "90000", "5000000000"] {
            bodies.push(written(&of(&[width, "3", "-9"])));
        }
        let mut pack = Listpack::new();
        many.iter().chain(&["1", "-500", "99999999"]).for_each(|m| pack.push_back(Element::of(m.as_bytes())));
        let mut body = Vec::new();
        encode_string(&mut body, pack.as_bytes(), false);
        bodies.push((LISTPACK, body));
        for _ in 0..runs {
            let (kind, good) = &bodies[xorshift(&mut rng) as usize % bodies.len()];
            let mut bad = good.clone();
            for _ in 0..1 + xorshift(&mut rng) % 3 {
                let at = xorshift(&mut rng) as usize % bad.len();
                bad[at] = if xorshift(&mut rng).is_multiple_of(2) {
                    bad[at] ^ 1 << (xorshift(&mut rng) % 8)
                } else {
                    xorshift(&mut rng) as u8
                };
            }
            if xorshift(&mut rng).is_multiple_of(4) {
                bad.truncate(xorshift(&mut rng) as usize % (bad.len() + 1));
            }
            let kind = if xorshift(&mut rng).is_multiple_of(10) {
                KINDS[xorshift(&mut rng) as usize % 3]
            } else {
                *kind
            };
            let Ok(set) = read(kind, &bad) else { continue };
            assert_eq!(texts(&set).len(), set.len());
            for member in texts(&set) {
                assert!(set.contains_text(&member), "{member:?}");
            }
            let value: Value = set.wrap();
            let again = dump::dump(View::Boxed(&value), true);
            let config = Config::default();
            let restored = dump::restore(&again, &Reading { config: &config, seed: 1 });
            assert!(matches!(restored, Ok(Owned::Boxed(Value::Set(_)))));
        }
    }
}
