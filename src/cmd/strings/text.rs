//! Strings as commands see them, and the way of a new one into the keyspace.

use crate::ds::{INLINE_MAX, Owned, Payload, View};
use crate::resp::{Error, Out};
use crate::store::{Keys, Lent, Long, RAW, Value, int_of};
use bytes::Bytes;

/// A string that an entry holds.
pub(in crate::cmd) enum Text<'a> {
    Int(i64),
    /// Short: lies in the entry.
    Bytes(&'a [u8]),
    /// Long: can be shared with a socket.
    Shared(&'a Bytes),
}

impl<'a> Text<'a> {
    /// The string of an entry; WRONGTYPE when it holds something else.
    #[inline]
    pub fn of(view: View<'a, Value>) -> Result<Text<'a>, Error> {
        Ok(match view {
            View::Int(n) => Text::Int(n),
            View::Bytes(bytes) => Text::Bytes(bytes),
            View::Boxed(Value::Str(bytes)) => Text::Shared(bytes),
            View::Boxed(
                Value::List(_) | Value::Set(_) | Value::Zset(_) | Value::Hash(_) | Value::Stream(_),
            ) => return Err(Error::WrongType),
        })
    }

    /// Lets `f` see the bytes.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Text::Int(n) => f(itoa::Buffer::new().format(*n).as_bytes()),
            Text::Bytes(bytes) => f(bytes),
            Text::Shared(bytes) => f(bytes),
        }
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.with(<[u8]>::len)
    }

    /// The bytes, to keep while other keys are looked up: long ones are shared, not copied.
    pub fn hold(&self) -> Bytes {
        match self {
            Text::Shared(bytes) => (*bytes).clone(),
            short => short.with(Bytes::copy_from_slice),
        }
    }

    /// Replies with the string.
    #[inline(always)]
    pub fn reply(&self, out: &mut Out) {
        match self {
            Text::Int(n) => out.bulk_int(*n),
            Text::Bytes(bytes) => out.bulk(bytes),
            Text::Shared(bytes) => out.bulk_shared(bytes),
        }
    }
}

/// The form in which a string that a client sent is stored: an integer when it is the text of one.
#[inline]
pub(super) fn stored(text: &[u8]) -> Payload<'_, Value> {
    match int_of(text) {
        Some(n) => Payload::Int(n),
        None => stored_as_is(text),
    }
}

/// The same of one that may lie in a request which is lent: a long one stays there.
#[inline]
pub(super) fn stored_within<'a>(text: &'a [u8], lent: Option<&Lent>) -> Payload<'a, Value> {
    match lent.and_then(|lent| Long::within(lent, text)) {
        Some(long) => Payload::Boxed(Value::Str(long)),
        None => stored(text),
    }
}

/// The form of a string that stays text whatever it reads.
pub(super) fn stored_as_is(text: &[u8]) -> Payload<'_, Value> {
    if text.len() <= INLINE_MAX { Payload::Bytes(text) } else { Payload::Boxed(Value::string(text)) }
}

/// Sets a key, without a TTL, to a string that Redis would hold as `raw`.
pub(in crate::cmd) fn put_raw(keys: &mut Keys<'_>, key: &[u8], text: Vec<u8>) {
    let value = if text.len() <= INLINE_MAX { Owned::Bytes(text) } else { Owned::Boxed(Value::string(text)) };
    keys.put(key, value, None, RAW);
}
