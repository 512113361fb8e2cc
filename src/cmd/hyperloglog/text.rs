//! The string of an entry as a HyperLogLog: checked before it is believed, and `raw` to OBJECT ENCODING once it was touched.

use crate::cmd::strings::Text;
use crate::ds::hyperloglog::{Damaged, is_one};
use crate::ds::{INLINE_MAX, Mut, Payload, View, ViewMut};
use crate::resp::Error;
use crate::store::{Keys, RAW, Value};

impl From<Damaged> for Error {
    fn from(_: Damaged) -> Error {
        Error::text_of("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// The bytes of an entry that is a HyperLogLog.
pub fn bytes_of<'a>(view: View<'a, Value>) -> Result<&'a [u8], Error> {
    let bytes = match Text::of(view)? {
        Text::Int(_) => &[],
        Text::Bytes(bytes) => bytes,
        Text::Shared(bytes) => bytes,
    };
    if is_one(bytes) {
        Ok(bytes)
    } else {
        Err(Error::text_of("WRONGTYPE Key is not a valid HyperLogLog string value."))
    }
}

/// Lets `change` at the bytes of an entry, which keep their number.
pub fn in_place(mut entry: Mut<'_, Value>, change: impl FnOnce(&mut [u8])) {
    match entry.view_mut() {
        ViewMut::Bytes(bytes) => change(bytes),
        ViewMut::Boxed(Value::Str(shared)) => {
            shared.change(change);
        }
        ViewMut::Int(_) | ViewMut::Boxed(_) => {}
    }
    entry.set_mark(RAW);
}

/// Gives a key that is there another string; its TTL stays.
pub fn put_back(keys: &mut Keys<'_>, name: &[u8], text: Vec<u8>) {
    if text.len() <= INLINE_MAX {
        keys.set_value(name, Payload::Bytes(&text), RAW);
    } else {
        keys.set_value(name, Payload::Boxed(Value::string(text)), RAW);
    }
}
