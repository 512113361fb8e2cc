//! How the commands find a hash, its fields, and what of them is past its time.

use crate::cmd::Cx;
use crate::cmd::strings::Text;
use crate::ds::View;
use crate::ds::hash::{Field, Found, Hash, Shape};
use crate::resp::{Error, Out};
use bytes::Bytes;

/// What hashes go by, as the configuration says at the moment.
#[inline]
pub fn shape(cx: &Cx<'_>) -> Shape {
    let config = cx.env.config;
    let limit = |knob: u64| usize::try_from(knob).unwrap_or(usize::MAX);
    Shape {
        entries: limit(config.hash_max_listpack_entries),
        value: limit(config.hash_max_listpack_value),
        seed: cx.keys.seed(),
    }
}

/// A value as a string that can be a reply.
#[inline]
pub fn text<'a>(value: &View<'a, Bytes>) -> Text<'a> {
    match value {
        View::Int(n) => Text::Int(*n),
        View::Bytes(text) => Text::Bytes(text),
        View::Boxed(text) => Text::Shared(text),
    }
}

/// Whether an expiry has come.
#[inline]
pub fn due(expire_at: Option<i64>, now_ms: i64) -> bool {
    expire_at.is_some_and(|at| at <= now_ms)
}

/// A field that was asked for.
pub enum Asked<'a> {
    There(Found<'a>),
    Absent,
    /// It is past its time: the caller removes it.
    Due,
}

/// Looks a field up.
#[inline]
pub fn ask<'a>(hash: &'a Hash, field: &[u8], now_ms: i64) -> Asked<'a> {
    match hash.get(field) {
        None => Asked::Absent,
        Some(found) if due(found.expire_at, now_ms) => Asked::Due,
        Some(found) => Asked::There(found),
    }
}

/// Removes fields that a reader found past their time, and the key if none is left.
#[cold]
pub fn bury(cx: &mut Cx<'_>, key: &[u8], fields: &[&[u8]]) -> Result<(), Error> {
    let Some(mut hash) = cx.keys.edit::<Hash>(key)? else { return Ok(()) };
    let gone: Vec<&[u8]> = fields.iter().copied().filter(|field| hash.remove(field)).collect();
    hash.sweep();
    cx.keys.fields_gone(key, &gone);
    Ok(())
}

/// Says that a key was changed so many times, as Redis counts them.
#[inline]
pub fn note_changes(cx: &mut Cx<'_>, key: &[u8], changes: usize) {
    if changes > 0 {
        cx.keys.changed(key);
        cx.keys.store_of(key).dirty += changes as u64 - 1;
    }
}

/// Says for the log that fields were removed: by the command, or since it found them past their time.
pub fn tell_removed(cx: &mut Cx<'_>, key: &[u8], fields: &[&[u8]]) {
    if !fields.is_empty() && cx.keys.logs(key) {
        let words: Vec<&[u8]> = [b"HDEL", key].into_iter().chain(fields.iter().copied()).collect();
        cx.keys.effect(key, &words);
    }
}

/// Says for the log that fields were given an expiry (unix ms), or lost theirs.
pub fn tell_expiry(cx: &mut Cx<'_>, key: &[u8], expire_at: Option<i64>, fields: &[&[u8]]) {
    if fields.is_empty() || !cx.keys.logs(key) {
        return;
    }
    let (mut time, mut number) = (itoa::Buffer::new(), itoa::Buffer::new());
    let mut words: Vec<&[u8]> = match expire_at {
        Some(at) => vec![b"HPEXPIREAT", key, time.format(at).as_bytes()],
        None => vec![b"HPERSIST", key],
    };
    words.extend([b"FIELDS", number.format(fields.len()).as_bytes()]);
    words.extend(fields);
    cx.keys.effect(key, &words);
}

/// Replies with the name of a field.
#[inline]
pub fn reply_name(out: &mut Out, field: &Field<'_>) {
    field.name.with(|name| out.bulk(name));
}
