//! A string that does not fit into its entry: bytes shared with the sockets that send them, and the room that they lie in.
//!
//! `Bytes` does not tell how large its block is, and a string that was appended to may lie in one of twice its length. So
//! the room stands beside it, in the word that the value has to spare.

use crate::ds::malloc::malloc_size;
use bytes::{Bytes, BytesMut};
use std::ops::Deref;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Long {
    bytes: Box<Bytes>,
    /// Bytes asked of the allocator.
    room: usize,
}

const _: () = assert!(size_of::<Long>() == 16);

/// What `Bytes` keeps of a block that is larger than what is in it.
const OWNER: usize = 3 * size_of::<usize>();

impl Long {
    /// Lets `f` change bytes in place, or in a copy of the same room while somebody shares them.
    pub fn change<R>(&mut self, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut text = self.take();
        let result = f(&mut text);
        *self.bytes = text.freeze();
        result
    }

    /// The bytes, to be changed; a copy of the same room while somebody shares them.
    pub fn into_mut(mut self) -> BytesMut {
        self.take()
    }

    fn take(&mut self) -> BytesMut {
        let bytes = std::mem::take(&mut *self.bytes);
        if bytes.is_unique() {
            return BytesMut::from(bytes);
        }
        let mut text = BytesMut::with_capacity(self.room);
        text.extend_from_slice(&bytes);
        text
    }

    /// Bytes that it takes beside its entry, as allocated.
    pub fn heap_bytes(&self) -> usize {
        let owner = if self.room > self.bytes.len() { malloc_size(OWNER) } else { 0 };
        malloc_size(size_of::<Bytes>()) + malloc_size(self.room) + owner
    }
}

impl Deref for Long {
    type Target = Bytes;

    #[inline]
    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

impl From<Vec<u8>> for Long {
    fn from(text: Vec<u8>) -> Long {
        Long { room: text.capacity(), bytes: Box::new(text.into()) }
    }
}

impl From<BytesMut> for Long {
    fn from(text: BytesMut) -> Long {
        Long { room: text.capacity(), bytes: Box::new(text.freeze()) }
    }
}

impl From<&[u8]> for Long {
    fn from(text: &[u8]) -> Long {
        text.to_vec().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_string_counts_whatever_is_in_it() {
        let exact = Long::from(&[7; 1_040][..]);
        assert_eq!(exact.heap_bytes(), 32 + 1_280);
        let mut text = BytesMut::with_capacity(4_000);
        text.extend_from_slice(&[7; 2_000]);
        let mut roomy = Long::from(text);
        assert_eq!(roomy.heap_bytes(), 32 + 4_096 + 32);
        roomy.change(|bytes| bytes[0] = 1);
        assert_eq!((roomy.heap_bytes(), roomy[0]), (32 + 4_096 + 32, 1));
        assert_eq!(roomy.into_mut().capacity(), 4_000);
    }

    #[test]
    fn what_somebody_shares_is_copied_with_its_room() {
        let mut text = BytesMut::with_capacity(4_000);
        text.extend_from_slice(&[7; 2_000]);
        let mut long = Long::from(text);
        let (held, before) = ((*long).clone(), long.heap_bytes());
        long.change(|bytes| bytes.fill(1));
        assert_eq!((held[0], long[0], long.heap_bytes()), (7, 1, before));
        assert!(long.into_mut().capacity() >= 4_000);
    }
}
