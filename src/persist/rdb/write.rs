//! Writing a file: the pieces that stand around its values.

use super::shape::least_version;
use super::{HEADER, MAGIC, VERSION_OF_7_0, op};
use crate::ds::View;
use crate::persist::rdb_string::{encode_len, encode_string};
use crate::persist::value;
use crate::store::Value;

/// What is said of a key besides its value.
#[derive(Clone, Copy, Default, Debug)]
pub struct Traits {
    /// Unix ms.
    pub expire_at: Option<i64>,
    pub idle_secs: Option<u64>,
    pub frequency: Option<u8>,
}

/// A value that the file's version cannot hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooNew {
    /// The version that can.
    pub needs: u8,
}

/// Begins a file.
pub fn header(out: &mut Vec<u8>, version: u8) {
    let before = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(format!("{version:04}").as_bytes());
    debug_assert_eq!(out.len() - before, HEADER);
}

/// An aux field.
pub fn aux(out: &mut Vec<u8>, name: &str, text: &str) {
    out.push(op::AUX);
    encode_string(out, name.as_bytes(), false);
    encode_string(out, text.as_bytes(), false);
}

/// A library of functions.
pub fn library(out: &mut Vec<u8>, source: &[u8], compress: bool) {
    out.push(op::LIBRARY);
    encode_string(out, source, compress);
}

/// The entries that follow are in this database.
pub fn select(out: &mut Vec<u8>, db: u64) {
    out.push(op::SELECT);
    encode_len(out, db);
}

/// The size of the database, for whoever makes room ahead.
pub fn sizes(out: &mut Vec<u8>, keys: u64, expires: u64) {
    out.push(op::SIZES);
    encode_len(out, keys);
    encode_len(out, expires);
}

/// All of an entry before its value; where the type stands, which is written as 0.
pub fn entry_head(out: &mut Vec<u8>, key: &[u8], traits: Traits) -> usize {
    if let Some(at) = traits.expire_at {
        out.push(op::EXPIRE_MS);
        out.extend_from_slice(&at.to_le_bytes());
    }
    if let Some(secs) = traits.idle_secs {
        out.push(op::IDLE);
        encode_len(out, secs);
    }
    if let Some(uses) = traits.frequency {
        out.extend_from_slice(&[op::FREQUENCY, uses]);
    }
    let kind_at = out.len();
    out.push(0);
    encode_string(out, key, false);
    kind_at
}

/// An entry. When the version cannot hold the value, nothing is written.
pub fn entry(
    out: &mut Vec<u8>,
    key: &[u8],
    value: View<'_, Value>,
    traits: Traits,
    (version, compress): (u8, bool),
) -> Result<(), TooNew> {
    let before = out.len();
    let kind_at = entry_head(out, key, traits);
    let encode = if version < VERSION_OF_7_0 { value::encode_for_5 } else { value::encode };
    out[kind_at] = encode(out, value, compress);
    let needs = least_version(out[kind_at]);
    if needs > version {
        out.truncate(before);
        return Err(TooNew { needs });
    }
    Ok(())
}

/// The end, without the checksum of all of it, which is eight bytes in little-endian (0: none).
pub fn end(out: &mut Vec<u8>) {
    out.push(op::END);
}
