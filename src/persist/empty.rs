//! Collections without elements. No server keeps one, but early releases of Redis wrote some: RESTORE refuses them, and whoever
//! loads a file steps over them, as Redis does.

use super::rdb_string::{decode_len, decode_string};
use super::ziplist::Ziplist;
use super::{Corrupt, value::STRING};
use crate::ds::listpack::Listpack;

/// Bytes of a time in front of a hash whose fields expire.
const TIME: usize = 8;
/// Before a listpack in a node of a list.
const PACK: u64 = 2;

/// Whether all of `body` is a value of this number that has no elements.
pub fn is_empty(kind: u8, body: &[u8]) -> bool {
    let mut rest = body;
    elements(kind, &mut rest) == Ok(0) && rest.is_empty()
}

/// How many elements a value has, as far as it takes to know that there are none.
fn elements(kind: u8, input: &mut &[u8]) -> Result<usize, Corrupt> {
    match kind {
        STRING => Ok(1),
        // A count, and that many elements: lists, sets, sorted sets and hashes in full.
        1..=5 | 22 | 150 => count(input),
        10 | 12 | 13 => ziplist(input),
        14 => nodes(input, ziplist),
        16 | 17 | 20 | 23 => listpack(input),
        18 => nodes(input, |input| if decode_len(input)? == PACK { listpack(input) } else { Ok(1) }),
        24 | 25 => {
            *input = input.get(TIME..).ok_or(Corrupt)?;
            if kind == 24 { count(input) } else { listpack(input) }
        }
        _ => Err(Corrupt),
    }
}

fn count(input: &mut &[u8]) -> Result<usize, Corrupt> {
    usize::try_from(decode_len(input)?).map_err(|_| Corrupt)
}

/// The nodes of a list, up to the first that has elements.
fn nodes(input: &mut &[u8], one: impl Fn(&mut &[u8]) -> Result<usize, Corrupt>) -> Result<usize, Corrupt> {
    for _ in 0..decode_len(input)? {
        let found = one(input)?;
        if found > 0 {
            return Ok(found);
        }
    }
    Ok(0)
}

fn ziplist(input: &mut &[u8]) -> Result<usize, Corrupt> {
    Ok(Ziplist::parse(&decode_string(input)?.into_bytes())?.len())
}

fn listpack(input: &mut &[u8]) -> Result<usize, Corrupt> {
    Ok(Listpack::from_bytes(decode_string(input)?.into_bytes()).ok_or(Corrupt)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_PACK: &[u8] = b"\x07\x07\0\0\0\0\0\xff";
    const EMPTY_ZIPLIST: &[u8] = b"\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff";

    #[test]
    fn what_has_no_elements_is_told_from_what_is_damaged() {
        let behind = |front: &[u8], body: &[u8]| [front, body].concat();
        for kind in [1, 2, 3, 4, 5, 14, 18, 22] {
            assert!(is_empty(kind, b"\0"), "{kind}");
            assert!(
                !is_empty(kind, b"\x01\x01a") && !is_empty(kind, b"\0x") && !is_empty(kind, b""),
                "{kind}"
            );
        }
        for kind in [10, 12, 13] {
            assert!(is_empty(kind, EMPTY_ZIPLIST), "{kind}");
        }
        for kind in [16, 17, 20, 23] {
            assert!(is_empty(kind, EMPTY_PACK), "{kind}");
        }
        assert!(is_empty(14, &behind(b"\x02", &[EMPTY_ZIPLIST, EMPTY_ZIPLIST].concat())));
        assert!(is_empty(18, &behind(b"\x01\x02", EMPTY_PACK)) && !is_empty(18, b"\x01\x01\x01a"));
        assert!(
            is_empty(24, &[0; 9]) && is_empty(25, &behind(&[0; 8], EMPTY_PACK)) && !is_empty(25, EMPTY_PACK)
        );
        assert!(!is_empty(0, b"\0") && !is_empty(15, b"\0") && !is_empty(99, b"\0"));
    }

    /// A count that the bytes cannot fill costs nothing.
    #[test]
    fn a_huge_count_is_no_work() {
        assert!(!is_empty(14, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"));
    }
}
