//! Values as RDB writes them: a number for type and encoding, then the content. Each type has a file of its own.
//!
//! The number written is the oldest since Redis 7.0 that can hold the value, so that 7.0 reads all that it can understand; for
//! `rdb-version 9` it is the oldest since Redis 5.

use super::rdb_string::{Text, decode_string, encode_i64, encode_string};
use super::{Corrupt, rdb_hash, rdb_list, rdb_set, rdb_stream, rdb_zset};
use crate::config::Config;
use crate::ds::{Owned, View};
use crate::store::{Value, string_of};

/// RDB's number for a string.
pub(super) const STRING: u8 = 0;

/// What reading a value depends on.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The thresholds of encodings.
    pub config: &'a Config,
    /// The secret with which members are hashed.
    pub seed: u64,
}

/// Appends a value's content and gives its number; strings are compressed if `compress` (`rdbcompression`).
pub fn encode(out: &mut Vec<u8>, value: View<'_, Value>, compress: bool) -> u8 {
    match value {
        View::Int(value) => encode_i64(out, value),
        View::Bytes(text) => encode_string(out, text, compress),
        View::Boxed(Value::Str(text)) => encode_string(out, text, compress),
        View::Boxed(Value::List(list)) => return rdb_list::encode(out, list, compress),
        View::Boxed(Value::Set(set)) => return rdb_set::encode(out, set, compress),
        View::Boxed(Value::Zset(zset)) => return rdb_zset::encode(out, zset, compress),
        View::Boxed(Value::Hash(hash)) => return rdb_hash::encode(out, hash, compress),
        View::Boxed(Value::Stream(stream)) => return rdb_stream::encode(out, stream, compress),
    }
    STRING
}

/// The same in a form that Redis 5 reads; when there is none, the number is of a later release.
pub fn encode_for_5(out: &mut Vec<u8>, value: View<'_, Value>, compress: bool) -> u8 {
    match value {
        View::Boxed(Value::List(list)) => rdb_list::encode_for_5(out, list, compress),
        View::Boxed(Value::Zset(zset)) => rdb_zset::encode_for_5(out, zset, compress),
        View::Boxed(Value::Hash(hash)) => rdb_hash::encode_for_5(out, hash, compress),
        View::Boxed(Value::Stream(stream)) => rdb_stream::encode_for_5(out, stream, compress),
        // Whatever is written of these is older.
        View::Int(_) | View::Bytes(_) | View::Boxed(Value::Str(_) | Value::Set(_)) => {
            encode(out, value, compress)
        }
    }
}

/// Takes a value of this number off the front. A collection without elements is corrupt.
pub fn decode(kind: u8, input: &mut &[u8], reading: &Reading<'_>) -> Result<Owned<Value>, Corrupt> {
    let value = match kind {
        STRING => {
            return Ok(match decode_string(input)? {
                Text::Int(value) => Owned::Int(value),
                text => string_of(text.into_bytes()),
            });
        }
        _ if rdb_list::KINDS.contains(&kind) => Value::List(rdb_list::decode(kind, input, reading)?),
        _ if rdb_set::KINDS.contains(&kind) => Value::Set(rdb_set::decode(kind, input, reading)?),
        _ if rdb_zset::KINDS.contains(&kind) => Value::Zset(rdb_zset::decode(kind, input, reading)?),
        _ if rdb_hash::KINDS.contains(&kind) => Value::Hash(rdb_hash::decode(kind, input, reading)?),
        _ if rdb_stream::KINDS.contains(&kind) => Value::Stream(rdb_stream::decode(kind, input, reading)?),
        _ => return Err(Corrupt),
    };
    Ok(Owned::Boxed(value))
}
