//! Values as RDB writes them: a number for type and encoding, then the content. Each type has a file of its own.
//!
//! A large value can be written in parts, as long as it does not change: [`begin`], then [`go_on`] until nothing is left. Together they
//! give what [`encode`] gives, though fields and members may stand in another order.
//!
//! The number written is the oldest since Redis 7.0 that can hold the value, so that 7.0 reads all that it can understand; for
//! `rdb-version 9` it is the oldest since Redis 5.

use super::rdb_string::{Text, decode_string, encode_i64, encode_string};
use super::{Corrupt, rdb_hash, rdb_list, rdb_set, rdb_stream, rdb_zset};
use crate::config::Config;
use crate::ds::table::{Kept, Mark, Walked};
use crate::ds::{Owned, View};
use crate::store::{Value, string_of};

/// Buckets that a guarded value goes through at a time: some 4 KB.
const BUCKETS: usize = 8;

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

/// Whether a value is made of parts.
pub fn has_parts(value: &Value) -> bool {
    match value {
        Value::Str(_) => false,
        Value::List(list) => list.nodes() > 1,
        Value::Set(set) => set.is_table(),
        Value::Zset(zset) => zset.as_listpack().is_none(),
        Value::Hash(hash) => hash.as_pairs().is_none() && hash.as_triples().is_none(),
        Value::Stream(stream) => stream.log.nodes().len() > 1,
    }
}

/// Appends what stands before the parts of a value, and gives its number and where they begin; none when it has none.
pub fn begin(out: &mut Vec<u8>, value: &Value) -> Option<(u8, Mark)> {
    if !has_parts(value) {
        return None;
    }
    match value {
        Value::Str(_) => None,
        Value::List(list) => Some(rdb_list::begin(out, list)),
        Value::Set(set) => Some(rdb_set::begin(out, set)),
        Value::Zset(zset) => Some(rdb_zset::begin(out, zset)),
        Value::Hash(hash) => Some(rdb_hash::begin(out, hash)),
        Value::Stream(stream) => Some(rdb_stream::begin(out, stream)),
    }
}

/// Appends parts of a value that was begun, some `bytes` of them, and gives where the rest begins.
pub fn go_on(out: &mut Vec<u8>, value: &Value, mark: Mark, bytes: usize, compress: bool) -> Mark {
    let until = out.len() + bytes.max(1);
    match value {
        Value::Str(_) => Mark { left: 0, ..mark },
        Value::List(list) => rdb_list::go_on(out, list, mark, until, compress),
        Value::Set(set) => rdb_set::go_on(out, set, mark, until, compress),
        Value::Zset(zset) => rdb_zset::go_on(out, zset, mark, until, compress),
        Value::Hash(hash) => rdb_hash::go_on(out, hash, mark, until, compress),
        Value::Stream(stream) => rdb_stream::go_on(out, stream, mark, until, compress),
    }
}

/// From now on a value that was begun keeps what is behind the mark by itself, whatever becomes of it: [`collect`] takes it away.
/// Whether it can.
pub fn guard(value: &mut Value, mark: Mark, compress: bool) -> bool {
    match value {
        Value::Str(_) => false,
        Value::List(list) => rdb_list::guard(list, mark),
        Value::Set(set) => rdb_set::guard(set, mark, compress),
        Value::Zset(zset) => rdb_zset::guard(zset, mark, compress),
        Value::Hash(hash) => rdb_hash::guard(hash, mark, compress),
        Value::Stream(stream) => rdb_stream::guard(stream, mark),
    }
}

fn under_cut(value: &mut Value) -> Option<&mut dyn Walked> {
    match value {
        Value::Str(_) | Value::List(_) | Value::Stream(_) => None,
        Value::Set(set) => set.under_cut(),
        Value::Zset(zset) => zset.under_cut(),
        Value::Hash(hash) => hash.under_cut(),
    }
}

/// Bytes that a guarded value keeps.
pub fn cut_bytes(value: &Value) -> usize {
    match value {
        Value::Str(_) => 0,
        Value::List(list) => list.cut_bytes(),
        Value::Set(set) => set.cut_bytes(),
        Value::Zset(zset) => zset.cut_bytes(),
        Value::Hash(hash) => hash.cut_bytes(),
        Value::Stream(stream) => stream.cut_bytes(),
    }
}

/// Takes away some of what a guarded value has kept, of a list or stream some `bytes`, or lets it look for more, and gives where the
/// rest begins.
pub fn collect(kept: &mut Kept, value: &mut Value, mark: Mark, bytes: usize, compress: bool) -> Mark {
    let until = bytes.max(1);
    match value {
        Value::Str(_) => Mark { left: 0, ..mark },
        Value::List(list) => rdb_list::collect(kept, list, mark, until, compress),
        Value::Stream(stream) => rdb_stream::collect(kept, stream, mark, until, compress),
        Value::Set(_) | Value::Zset(_) | Value::Hash(_) => match under_cut(value) {
            Some(table) => collect_of(kept, table, mark),
            None => Mark { left: 0, ..mark },
        },
    }
}

fn collect_of(kept: &mut Kept, table: &mut dyn Walked, mark: Mark) -> Mark {
    let is_through = table.walk_on(BUCKETS);
    *kept = table.take().unwrap_or_default();
    let next = mark.after(kept.entries, mark.at);
    assert!(next.left == 0 || kept.entries > 0 || !is_through, "what a value held at the cut is kept");
    if next.left == 0 {
        table.end();
    }
    // An element is no entry of the whole.
    kept.entries = 0;
    next
}

/// Nobody wants what a guarded value has kept.
pub fn release(value: &mut Value) {
    match value {
        Value::Str(_) => {}
        Value::List(list) => list.end_cut(),
        Value::Stream(stream) => stream.end_cut(),
        Value::Set(_) | Value::Zset(_) | Value::Hash(_) => {
            if let Some(table) = under_cut(value) {
                table.end();
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ds::hash::{Expiry, Hash, Shape};
    use crate::ds::list::{Builder, Limits as ListLimits};
    use crate::ds::listpack::Element;
    use crate::ds::set::{Limits as SetLimits, Set};
    use crate::ds::stream::{Limits as StreamLimits, Stream, StreamId};
    use crate::ds::zset::{Limits as ZsetLimits, Zset};

    const SEED: u64 = 5;

    /// A value of each type that has parts, of so many elements.
    fn values(n: u64) -> Vec<Value> {
        let mut list = Builder::new(ListLimits::new(20, 1));
        let set_limits = SetLimits { ints: 0, entries: 0, value: 0, seed: SEED };
        let shape = Shape { entries: 0, value: 0, seed: SEED };
        let zset_limits = ZsetLimits { entries: 0, value: 0 };
        let stream_limits = StreamLimits { bytes: 4_096, entries: 30 };
        let (mut set, mut zset) = (Set::table(SEED), Zset::new(1, zset_limits, SEED));
        let (mut hash, mut expiring) = (Hash::table(SEED), Hash::table(SEED));
        let mut stream = Stream::default();
        for i in 0..n {
            let text = format!("{}element:{i}", "-".repeat(i as usize % 50)).into_bytes();
            list.push(Element::Str(&text));
            set.add_text(&text, &set_limits);
            zset.insert(&text, i as f64 / 3.0, zset_limits, SEED);
            for hash in [&mut hash, &mut expiring] {
                hash.set(&text, format!("value {i}").as_bytes(), Expiry::Clear, &shape);
            }
            if i % 3 == 0 {
                expiring.set_expire(&text, Some(1_000 + i as i64));
            }
            let fields: [&[u8]; 2] = [&text, b"v"];
            stream.log.append(StreamId::new(1 + i, i), stream_limits, fields.into_iter());
        }
        stream.groups.create(b"group", StreamId::new(2, 1), None);
        [Value::List(list.finish()), Value::Set(set), Value::Zset(zset), Value::Hash(hash)]
            .into_iter()
            .chain([Value::Hash(expiring), Value::Stream(stream)])
            .collect()
    }

    #[test]
    fn a_value_in_parts_is_the_value() {
        let reading = Reading { config: &Config::default(), seed: SEED };
        for (n, value) in
            [1_000, 3_000].into_iter().flat_map(|n| values(n).into_iter().map(move |value| (n, value)))
        {
            assert!(has_parts(&value));
            let mut whole = Vec::new();
            let kind = encode(&mut whole, View::Boxed(&value), true);
            for bytes in [0, 1, 100, 5_000, usize::MAX >> 1] {
                let mut out = Vec::new();
                let (number, mut mark) = begin(&mut out, &value).expect("it has parts");
                let mut parts = 0;
                while mark.left > 0 {
                    let before = (out.len(), mark.left);
                    mark = go_on(&mut out, &value, mark, bytes, true);
                    assert!(out.len() > before.0 && mark.left < before.1, "each part brings it on");
                    assert!(out.len() - before.0 < bytes.saturating_add(10_000));
                    parts += 1;
                }
                assert!(bytes >= 5_000 || parts > 3);
                assert_eq!((number, out.len()), (kind, whole.len()), "{n} elements, {bytes} bytes");
                let read = |mut bytes: &[u8]| match decode(kind, &mut bytes, &reading) {
                    Ok(Owned::Boxed(value)) if bytes.is_empty() => elements(&value),
                    other => panic!("{other:?}"),
                };
                assert_eq!(read(&out), read(&whole));
            }
        }
    }

    /// What is in a value, in an order of its own where the type has none.
    fn elements(value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        match value {
            Value::Hash(hash) => hash.for_each(&mut |field| found.push(format!("{field:?}"))),
            Value::Set(set) => set.each(|member| {
                found.push(format!("{member:?}"));
                true
            }),
            other => {
                let mut out = Vec::new();
                encode(&mut out, View::Boxed(other), false);
                found.push(format!("{out:?}"));
            }
        }
        found.sort();
        found
    }
}
