//! Values that are more than a few bytes, and the names Redis gives to what they are.

use crate::base::number::parse_i64;
use crate::ds::{Ref, View};
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
