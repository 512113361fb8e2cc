//! A list as RDB writes it.
//!
//! ```text
//!   1  count, that many strings                                               Redis before 2.6 for long lists
//!  10  a ziplist as a string                                                  before 3.2 for short ones
//!  14  count of nodes, for each a ziplist as a string                         before 7.0
//!  18  count of nodes, for each 2 and a listpack, or 1 and a large element    since 7.0: what is written
//! ```
//! A node that is compressed in memory is written as it is.

use super::Corrupt;
use super::rdb_string::{decode_len, decode_string, encode_len, encode_packed, encode_string};
use super::value::Reading;
use super::ziplist::Ziplist;
use crate::ds::list::{Builder, Limits, List, Saved};
use crate::ds::listpack::{Element, Listpack};

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
    list.save(|node| match node {
        Saved::Whole { bytes, plain } => {
            encode_len(out, if plain { PLAIN } else { PACK });
            encode_string(out, bytes, compress);
        }
        Saved::Squeezed { lzf, len, plain } => {
            encode_len(out, if plain { PLAIN } else { PACK });
            encode_packed(out, lzf, len);
        }
    });
    NODES
}

/// Takes a list off the front.
pub fn decode(kind: u8, input: &mut &[u8], reading: &Reading<'_>) -> Result<List, Corrupt> {
    let limits =
        Limits { size: reading.config.list_max_listpack_size, depth: reading.config.list_compress_depth };
    let mut builder = Builder::new(limits);
    let rounds = if kind == ZIPLIST { 1 } else { decode_len(input)? };
    for _ in 0..rounds {
        match kind {
            STRINGS => builder.push(Element::of(&decode_string(input)?.into_bytes())),
            NODES => decode_node(input, &mut builder)?,
            _ => {
                let bytes = decode_string(input)?.into_bytes();
                builder.push_pack(Ziplist::parse(&bytes)?.to_listpack());
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
        PLAIN => builder.push_plain(bytes),
        PACK => builder.push_pack(Listpack::from_bytes(bytes).ok_or(Corrupt)?),
        _ => return Err(Corrupt),
    }
    Ok(())
}
