//! Values that are more than a few bytes, and the names Redis gives to what they are.

use crate::base::number::parse_i64;
use crate::ds::{INLINE_MAX, Owned, Ref, View};
use bytes::Bytes;

/// The mark of a string entry that Redis would hold as `raw`, however short: it was modified in place.
pub const RAW: u8 = 1;

/// The longest string that Redis calls `embstr`.
pub const EMBSTR_MAX: usize = 44;

/// The type of a value, by Redis's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    String,
}

impl Kind {
    /// As TYPE gives it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
        }
    }
}

/// A value that does not fit into its entry.
#[derive(Clone, Debug)]
pub enum Value {
    /// A long string, shared with the sockets that send it.
    Str(Bytes),
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Str(_) => Kind::String,
        }
    }

    /// Bytes it takes beside its entry.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Value::Str(bytes) => bytes.len(),
        }
    }
}

/// The type of an entry's value.
pub fn kind(entry: &Ref<'_, Value>) -> Kind {
    match entry.view() {
        View::Int(_) | View::Bytes(_) => Kind::String,
        View::Boxed(value) => value.kind(),
    }
}

/// A string in the form in which it is stored, without another copy when it is long.
pub fn string_of(text: Vec<u8>) -> Owned<Value> {
    match int_of(&text) {
        Some(n) => Owned::Int(n),
        None if text.len() <= INLINE_MAX => Owned::Bytes(text),
        None => Owned::Boxed(Value::Str(Bytes::from(text))),
    }
}

/// The encoding of an entry, by the name OBJECT ENCODING gives.
pub fn encoding(entry: &Ref<'_, Value>) -> &'static str {
    match entry.view() {
        View::Int(_) => "int",
        View::Bytes(b) if b.len() <= EMBSTR_MAX && entry.mark() & RAW == 0 => "embstr",
        View::Bytes(_) => "raw",
        View::Boxed(Value::Str(_)) => "raw",
    }
}

/// The integer that a string is stored as, when it is the text of one.
pub fn int_of(text: &[u8]) -> Option<i64> {
    if text.len() > crate::base::number::I64_TEXT_MAX { None } else { parse_i64(text) }
}
