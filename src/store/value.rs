//! Values that are more than a few bytes, and the names Redis gives to what they are.

use super::Long;
use crate::base::number::parse_i64;
use crate::ds::hash::Hash;
use crate::ds::list::List;
use crate::ds::set::Set;
use crate::ds::stream::Stream;
use crate::ds::zset::Zset;
use crate::ds::{INLINE_MAX, Owned, Ref, View};

/// The mark of a string entry that Redis would hold as `raw`, however short: it was modified in place.
pub const RAW: u8 = 1;

/// The longest string that Redis calls `embstr`.
pub const EMBSTR_MAX: usize = 44;

// Every entry that holds a value holds it whole.
const _: () = assert!(size_of::<Value>() == 24);

/// The type of a value, by Redis's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    String,
    List,
    Set,
    Zset,
    Hash,
    Stream,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Kind; 6] = [Kind::String, Kind::List, Kind::Set, Kind::Zset, Kind::Hash, Kind::Stream];

    /// As TYPE gives it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Zset => "zset",
            Kind::Hash => "hash",
            Kind::Stream => "stream",
        }
    }
}

/// Bytes of the values of a database, by type.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct PerKind([usize; Kind::ALL.len()]);

impl PerKind {
    /// All together.
    #[inline]
    pub fn sum(&self) -> usize {
        self.0.iter().sum()
    }

    /// Those of a type.
    #[inline]
    pub fn of(&self, kind: Kind) -> usize {
        self.0[kind as usize]
    }

    /// The same, to change it.
    #[inline]
    pub fn of_mut(&mut self, kind: Kind) -> &mut usize {
        &mut self.0[kind as usize]
    }

    /// Adds another database's.
    pub fn add(&mut self, other: &PerKind) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// A value that does not fit into its entry. It lies in the entry itself, so it is kept small: two or three words.
#[derive(Clone, Debug)]
pub enum Value {
    /// A long string, shared with the sockets that send it.
    Str(Long),
    List(List),
    Set(Set),
    Zset(Zset),
    Hash(Hash),
    Stream(Stream),
}

impl Value {
    /// A long string.
    pub fn string(text: impl Into<Long>) -> Value {
        Value::Str(text.into())
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Str(_) => Kind::String,
            Value::List(_) => Kind::List,
            Value::Set(_) => Kind::Set,
            Value::Zset(_) => Kind::Zset,
            Value::Hash(_) => Kind::Hash,
            Value::Stream(_) => Kind::Stream,
        }
    }

    /// Bytes it takes beside its entry. O(1).
    pub fn heap_bytes(&self) -> usize {
        match self {
            Value::Str(text) => text.heap_bytes(),
            Value::List(list) => list.heap_bytes(),
            Value::Set(set) => set.heap_bytes(),
            Value::Zset(zset) => zset.heap_bytes(),
            Value::Hash(hash) => hash.heap_bytes(),
            Value::Stream(stream) => stream.heap_bytes(),
        }
    }

    /// As [`Collection::min_expire`].
    #[inline]
    pub fn min_expire(&self) -> Option<i64> {
        match self {
            Value::Hash(hash) => hash.min_expire(),
            Value::Str(_) | Value::List(_) | Value::Set(_) | Value::Zset(_) | Value::Stream(_) => None,
        }
    }

    fn encoding(&self) -> &'static str {
        match self {
            Value::Str(_) => "raw",
            Value::List(list) => list.encoding(),
            Value::Set(set) => set.encoding(),
            Value::Zset(zset) => zset.encoding(),
            Value::Hash(hash) => hash.encoding(),
            Value::Stream(stream) => stream.encoding(),
        }
    }
}

/// A type of value that [`Keys::look`](super::Keys::look) and [`Keys::edit`](super::Keys::edit) find under a key.
pub trait Collection: Sized {
    /// Its type.
    const KIND: Kind;
    /// The collection that a value is, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;
    /// The same, to change it.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// As a value.
    fn wrap(self) -> Value;
    /// Bytes it takes beside its entry.
    fn heap_bytes(&self) -> usize;
    /// Whether its key is to go.
    fn is_empty(&self) -> bool;
    /// None of its parts expires before this, unix ms; None when no part ever does. Its key is filed under that time.
    #[inline]
    fn min_expire(&self) -> Option<i64> {
        None
    }
}

macro_rules! collections {
    ($($kind:ident $({$($more:item)*})?),*) => {$(
        impl Collection for $kind {
            const KIND: Kind = Kind::$kind;

            #[inline]
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$kind(found) = value { Some(found) } else { None }
            }

            #[inline]
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$kind(found) = value { Some(found) } else { None }
            }

            fn wrap(self) -> Value {
                Value::$kind(self)
            }

            fn heap_bytes(&self) -> usize {
                $kind::heap_bytes(self)
            }

            fn is_empty(&self) -> bool {
                $kind::is_empty(self)
            }

            $($($more)*)?
        }
    )*};
}

collections!(
    List,
    Set,
    Zset,
    Hash {
        #[inline]
        fn min_expire(&self) -> Option<i64> {
            Hash::min_expire(self)
        }
    },
    Stream
);

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
        None => Owned::Boxed(Value::string(text)),
    }
}

/// The encoding of an entry, by the name OBJECT ENCODING gives.
pub fn encoding(entry: &Ref<'_, Value>) -> &'static str {
    match entry.view() {
        View::Int(_) => "int",
        View::Bytes(b) if b.len() <= EMBSTR_MAX && entry.mark() & RAW == 0 => "embstr",
        View::Bytes(_) => "raw",
        View::Boxed(value) => value.encoding(),
    }
}

/// The integer that a string is stored as, when it is the text of one.
pub fn int_of(text: &[u8]) -> Option<i64> {
    if text.len() > crate::base::number::I64_TEXT_MAX { None } else { parse_i64(text) }
}
