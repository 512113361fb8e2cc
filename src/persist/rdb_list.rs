//! A list as RDB writes it.
//!
//! ```text
//!   1  count, that many strings                                               Redis before 2.6 for long lists
//!  10  a ziplist as a string                                                  before 3.2 for short ones
//!  14  count of nodes, for each a ziplist as a string                         before 7.0; written for `rdb-version 9`
//!  18  count of nodes, for each 2 and a listpack, or 1 and a large element    since 7.0: what is written
//! ```
//! A node that is compressed in memory is written as it is.

use super::Corrupt;
use super::rdb_string::{decode_len, decode_string, encode_len, encode_packed, encode_string};
use super::value::Reading;
use super::ziplist::{self, Ziplist};
use crate::base::lzf;
use crate::ds::list::{Builder, Limits, List, Saved};
use crate::ds::listpack::{Element, Listpack};
use crate::ds::table::{Kept, Mark};

const STRINGS: u8 = 1;
const ZIPLIST: u8 = 10;
const ZIPLISTS: u8 = 14;
const NODES: u8 = 18;

/// RDB's numbers for it, one an encoding.
pub const KINDS: &[u8] = &[STRINGS, ZIPLIST, ZIPLISTS, NODES];

/// Before a large element.
const PLAIN: u64 = 1;
/// Before a listpack.
const PACK: u64 = 2;

/// Appends the content and gives its number.
pub fn encode(out: &mut Vec<u8>, list: &List, compress: bool) -> u8 {
    encode_len(out, list.nodes() as u64);
    list.save(0, |node| {
        encode_node(out, node, compress);
        true
    });
    NODES
}

fn encode_node(out: &mut Vec<u8>, node: Saved<'_>, compress: bool) {
    match node {
        Saved::Whole { bytes, plain } => {
            encode_len(out, if plain { PLAIN } else { PACK });
            encode_string(out, bytes, compress);
        }
        Saved::Squeezed { lzf, len, plain } => {
            encode_len(out, if plain { PLAIN } else { PACK });
            encode_packed(out, lzf, len);
        }
    }
}

/// See [`super::value::begin`]. The parts are nodes; the mark is one's rank.
pub fn begin(out: &mut Vec<u8>, list: &List) -> (u8, Mark) {
    encode_len(out, list.nodes() as u64);
    (NODES, Mark { at: [0; 2], left: list.nodes() as u64 })
}

/// See [`super::value::go_on`].
pub fn go_on(out: &mut Vec<u8>, list: &List, mark: Mark, until: usize, compress: bool) -> Mark {
    let (first, mut count) = (mark.at[0], 0);
    list.save(first as usize, |node| {
        encode_node(out, node, compress);
        count += 1;
        out.len() < until
    });
    mark.after(count, [first + count, 0])
}

/// See [`super::value::guard`].
pub fn guard(list: &mut List, mark: Mark) -> bool {
    list.begin_cut(mark.at[0])
}

/// See [`super::value::collect`].
pub fn collect(kept: &mut Kept, list: &mut List, mark: Mark, until: usize, compress: bool) -> Mark {
    let mut count = 0;
    while count < mark.left && kept.bytes.len() < until {
        list.give(|node| encode_node(&mut kept.bytes, node, compress));
        count += 1;
    }
    if count == mark.left {
        list.end_cut();
    }
    mark.after(count, mark.at)
}

/// Appends the content as Redis 5 reads it, and gives its number; another when it cannot be held so.
pub fn encode_for_5(out: &mut Vec<u8>, list: &List, compress: bool) -> u8 {
    let before = out.len();
    let mut holds = true;
    encode_len(out, list.nodes() as u64);
    list.save(0, |node| {
        let block = match node {
            Saved::Whole { bytes, plain } => ziplist_of(bytes, plain),
            Saved::Squeezed { lzf, len, plain } => {
                lzf::decompress(lzf, len).and_then(|bytes| ziplist_of(&bytes, plain))
            }
        };
        match block {
            Some(block) => encode_string(out, &block, compress),
            None => holds = false,
        }
        holds
    });
    if holds {
        return ZIPLISTS;
    }
    // Not even one element may be longer than a ziplist.
    out.truncate(before);
    encode(out, list, compress)
}

/// The ziplist of a node: of a listpack, or of one large element.
fn ziplist_of(bytes: &[u8], plain: bool) -> Option<Vec<u8>> {
    if plain {
        return ziplist::encode(std::iter::once(Element::Str(bytes)), usize::MAX);
    }
    ziplist::encode(Listpack::from_bytes(bytes.to_vec())?.iter(), usize::MAX)
}

/// Takes a list off the front.
pub fn decode(kind: u8, input: &mut &[u8], reading: &Reading<'_>) -> Result<List, Corrupt> {
    let limits = Limits::new(reading.config.list_max_listpack_size, reading.config.list_compress_depth);
    let mut builder = Builder::new(limits);
    let rounds = if kind == ZIPLIST { 1 } else { decode_len(input)? };
    for _ in 0..rounds {
        match kind {
            STRINGS => builder.push(Element::of(&decode_string(input)?.into_bytes())),
            NODES => decode_node(input, &mut builder)?,
            _ => {
                let bytes = decode_string(input)?.into_bytes();
                let block = Ziplist::parse(&bytes)?;
                match block.to_listpack() {
                    Some(pack) => builder.push_pack(pack),
                    // Of few elements that are very long.
                    None => block.iter().for_each(|element| builder.push(element)),
                }
            }
        }
    }
    let mut list = builder.finish();
    if kind == ZIPLIST {
        // Such a list was one block and may be more than one may hold.
        list.make_room(0, 0, limits);
    }
    if list.is_empty() { Err(Corrupt) } else { Ok(list) }
}

fn decode_node(input: &mut &[u8], builder: &mut Builder) -> Result<(), Corrupt> {
    let form = decode_len(input)?;
    let bytes = decode_string(input)?.into_bytes();
    match form {
        PLAIN if !bytes.is_empty() => builder.push_plain(bytes),
        PACK => builder.push_pack(Listpack::from_bytes(bytes).ok_or(Corrupt)?),
        _ => return Err(Corrupt),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::ziplist::tests::ziplist;
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::config::Config;
    use crate::ds::list::End;

    fn read(kind: u8, bytes: &[u8], config: &Config) -> Result<List, Corrupt> {
        let mut input = bytes;
        let list = decode(kind, &mut input, &Reading { config, seed: 7 })?;
        if input.is_empty() { Ok(list) } else { Err(Corrupt) }
    }

    fn texts(list: &List) -> Vec<Vec<u8>> {
        let mut texts = Vec::new();
        list.each(0, usize::MAX, End::Front, |element| texts.push(element.to_vec()));
        texts
    }

    fn written(list: &List, compress: bool) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(encode(&mut out, list, compress), NODES);
        out
    }

    /// Some texts of all sorts.
    fn sample(seed: u64, count: usize) -> Vec<Vec<u8>> {
        let mut rng = seeded(seed);
        let mut text = |i: usize| match xorshift(&mut rng) % 5 {
            0 => (xorshift(&mut rng) as i64 >> (xorshift(&mut rng) % 64)).to_string().into_bytes(),
            1 if i.is_multiple_of(50) => vec![b'L'; 20_000],
            2 => vec![b'x'; xorshift(&mut rng) as usize % 300],
            _ => format!("text {}", xorshift(&mut rng) % 1_000).into_bytes(),
        };
        (0..count).map(&mut text).collect()
    }

    fn made(texts: &[Vec<u8>], config: &Config) -> List {
        let limits = Limits::new(config.list_max_listpack_size, config.list_compress_depth);
        let mut list = List::new();
        for text in texts {
            list.make_room(text.len(), 1, limits);
            list.push(End::Back, Element::of(text));
        }
        list
    }

    fn config(size: i32, depth: u32) -> Config {
        Config { list_max_listpack_size: size, list_compress_depth: depth, ..Config::default() }
    }

    #[test]
    fn what_was_written_is_read() {
        for (seed, count) in [(1, 1), (2, 10), (3, 500), (4, 3_000)] {
            let texts_in = sample(seed, count);
            for size in [-2, -1, 3, 128] {
                for depth in [0, 1, 3] {
                    let config = config(size, depth);
                    let list = made(&texts_in, &config);
                    for compress in [true, false] {
                        let bytes = written(&list, compress);
                        let back = read(NODES, &bytes, &config).expect("whole");
                        assert_eq!(texts(&back), texts_in);
                        assert_eq!((back.encoding(), back.nodes()), (list.encoding(), list.nodes()));
                        let mut old = Vec::new();
                        assert_eq!(encode_for_5(&mut old, &list, compress), ZIPLISTS);
                        let back = read(ZIPLISTS, &old, &config).expect("whole");
                        assert_eq!((texts(&back), back.nodes()), (texts_in.clone(), list.nodes()));
                        for cut in (0..bytes.len()).step_by(1 + bytes.len() / 50) {
                            assert!(read(NODES, &bytes[..cut], &config).is_err());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn older_forms_are_read() {
        let (texts_in, config) = (sample(5, 200), Config::default());
        let mut strings = Vec::new();
        encode_len(&mut strings, texts_in.len() as u64);
        texts_in.iter().for_each(|text| encode_string(&mut strings, text, true));
        assert_eq!(texts(&read(STRINGS, &strings, &config).expect("whole")), texts_in);

        let elements: Vec<Element<'_>> = texts_in.iter().map(|text| Element::of(text)).collect();
        let mut one = Vec::new();
        encode_string(&mut one, &ziplist(&elements), true);
        let list = read(ZIPLIST, &one, &config).expect("whole");
        assert_eq!((texts(&list), list.encoding()), (texts_in.clone(), "quicklist"));

        let mut several = Vec::new();
        encode_len(&mut several, 21);
        elements.chunks(10).for_each(|chunk| encode_string(&mut several, &ziplist(chunk), true));
        encode_string(&mut several, &ziplist(&[]), true);
        let list = read(ZIPLISTS, &several, &config).expect("whole");
        assert_eq!((texts(&list), list.nodes()), (texts_in, 20));
    }

    #[test]
    fn lists_of_one_small_node_are_listpacks() {
        let few: Vec<Vec<u8>> = vec![b"a".to_vec(), b"1".to_vec()];
        let elements: Vec<Element<'_>> = few.iter().map(|text| Element::of(text)).collect();
        let mut bytes = vec![1];
        encode_string(&mut bytes, &ziplist(&elements), true);
        for (kind, bytes) in [(ZIPLISTS, &bytes[..]), (ZIPLIST, &bytes[1..]), (STRINGS, b"\x02\x01a\xc0\x01")]
        {
            let list = read(kind, bytes, &Config::default()).expect("whole");
            assert_eq!((texts(&list), list.encoding()), (few.clone(), "listpack"));
        }
    }

    #[test]
    fn nothing_is_no_list() {
        let mut node = vec![1, 2];
        encode_string(&mut node, Listpack::new().as_bytes(), true);
        let mut block = vec![1];
        encode_string(&mut block, &ziplist(&[]), true);
        for (kind, bytes) in
            [(STRINGS, &b"\0"[..]), (NODES, b"\0"), (ZIPLISTS, b"\0"), (NODES, &node), (ZIPLISTS, &block)]
        {
            assert!(read(kind, bytes, &Config::default()).is_err());
        }
        assert!(read(NODES, b"\x01\x03\x01a", &Config::default()).is_err(), "no such container");
    }

    /// Damaged bytes of every form: refused, or read as a list that works. `KRING_FUZZ` makes more.
    #[test]
    fn damage_never_panics() {
        let rounds = std::env::var("KRING_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
        let config = config(4, 1);
        let texts_in = sample(6, 30);
        let elements: Vec<Element<'_>> = texts_in.iter().map(|text| Element::of(text)).collect();
        let mut good = vec![(NODES, written(&made(&texts_in, &config), false))];
        good.push((NODES, written(&made(&texts_in, &Config::default()), true)));
        let mut bytes = vec![2];
        elements.chunks(15).for_each(|chunk| encode_string(&mut bytes, &ziplist(chunk), false));
        good.push((ZIPLISTS, bytes));
        let mut bytes = Vec::new();
        encode_string(&mut bytes, &ziplist(&elements), false);
        good.push((ZIPLIST, bytes));
        let mut rng = seeded(7);
        for round in 0..rounds {
            let (kind, good) = &good[round % good.len()];
            let mut bad = good.clone();
            for _ in 0..1 + xorshift(&mut rng) % 3 {
                let at = xorshift(&mut rng) as usize % bad.len();
                bad[at] ^= 1 << (xorshift(&mut rng) % 8);
            }
            if xorshift(&mut rng).is_multiple_of(4) {
                bad.truncate(xorshift(&mut rng) as usize % bad.len());
            }
            let Ok(mut list) = read(*kind, &bad, &config) else { continue };
            assert_eq!(texts(&list).len(), list.len());
            let middle = list.len() / 2;
            list.insert(middle, true, Element::Str(b"new"));
            list.replace(middle, Element::Int(7));
            list.remove_equal(b"x", End::Back, 3);
            while list.pop(End::Front, |element| element.text_len()).is_some() {}
            assert!(list.is_empty());
        }
    }
}
