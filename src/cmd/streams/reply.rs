//! Entries and ids on their way to a client.

use crate::cmd::Cx;
use crate::cmd::unknown::c_text;
use crate::ds::listpack::Element;
use crate::ds::stream::id::ID_TEXT_MAX;
use crate::ds::stream::{Entry, StreamId};
use crate::resp::Out;

/// Writes an id.
#[inline]
pub(super) fn id(out: &mut Out, id: StreamId) {
    out.bulk(id.text(b'-', &mut [0; ID_TEXT_MAX]));
}

fn element(out: &mut Out, element: Element<'_>) {
    match element {
        Element::Int(n) => out.bulk_int(n),
        Element::Str(text) => out.bulk(text),
    }
}

/// Writes an entry: its id, and its names and values in turn.
pub(super) fn entry(out: &mut Out, entry: &Entry<'_>) {
    out.array(2);
    id(out, entry.id);
    out.array(entry.len() * 2);
    for (name, value) in entry.fields() {
        element(out, name);
        element(out, value);
    }
}

/// Writes an array of entries, at most `count` of them (0: all).
pub(super) fn entries<'a>(out: &mut Out, all: impl Iterator<Item = Entry<'a>>, count: u64) {
    let mark = out.mark();
    let most = if count == 0 { usize::MAX } else { count as usize };
    let written = all.take(most).map(|e| entry(out, &e)).count();
    out.array_since(mark, written);
}

/// Writes an error that quotes names as a client sent them: texts and names in turn.
pub(super) fn error_quoting(out: &mut Out, parts: &[&[u8]]) {
    let cut: Vec<&[u8]> = parts.iter().map(|part| c_text(part, usize::MAX)).collect();
    out.error_bytes(&cut.concat());
}

/// Writes that a key or a group of it is missing, as the commands do that need both.
pub(super) fn no_key_or_group(out: &mut Out, key: &[u8], group: &[u8]) {
    error_quoting(out, &[b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"]);
}

/// Writes that a key that is there has no such group.
pub(super) fn no_group(out: &mut Out, key: &[u8], group: &[u8]) {
    error_quoting(out, &[b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"]);
}

/// Says that a command changed a key so many times.
pub(super) fn changed_by(cx: &mut Cx<'_>, key: &[u8], changes: u64) {
    if changes > 0 {
        cx.keys.changed(key);
        cx.keys.store_of(key).dirty += changes - 1;
    }
}
