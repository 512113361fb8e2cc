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

/// A string may take more memory by one part in so many where it need not be copied then. It is the step from one of the
/// allocator's sizes to the next: one of just 64 KiB lies in 80, as in Redis.
const WASTE: usize = 4;

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

/// A buffer of requests that strings may be kept in: the next command is parsed from it, and what it stores can stay where it lies.
#[derive(Clone, Debug)]
pub struct Lent {
    bytes: Bytes,
    room: usize,
}

impl Lent {
    /// Whether a string has stayed in it, or another holds it.
    pub fn is_shared(&self) -> bool {
        !self.bytes.is_unique()
    }

    /// The buffer again: itself, or a copy when a string has stayed in it.
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes.into()
    }
}

impl From<Vec<u8>> for Lent {
    fn from(buf: Vec<u8>) -> Lent {
        Lent { room: buf.capacity(), bytes: buf.into() }
    }
}

impl Deref for Lent {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Long {
    /// A part of a buffer as a string that stays in it, if that takes hardly more memory than a copy would ([`WASTE`]), but for who
    /// owns it.
    pub fn within(lent: &Lent, text: &[u8]) -> Option<Long> {
        let is_inside = lent.bytes.as_ptr_range().contains(&text.as_ptr());
        let waste = malloc_size(lent.room).saturating_sub(malloc_size(text.len()));
        (is_inside && waste <= text.len() / WASTE)
            .then(|| Long { bytes: Box::new(lent.bytes.slice_ref(text)), room: lent.room })
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
    fn a_string_stays_in_a_request_that_is_hardly_larger() {
        let request = |len: usize| {
            let mut buf = Vec::with_capacity(len + 6);
            buf.extend_from_slice(b"SET ");
            buf.resize(len + 4, 7);
            buf.extend_from_slice(b"\r\n");
            Lent::from(buf)
        };
        let lent = request(100_000);
        let at = lent.as_ptr();
        let long = Long::within(&lent, &lent[4..100_004]).expect("a copy would be as large");
        assert_eq!((long.as_ptr(), long.len()), (at.wrapping_add(4), 100_000));
        assert_eq!(long.heap_bytes(), Long::from(&lent[4..100_004]).heap_bytes() + 32);
        assert!(Long::within(&lent, &lent[4..50_000]).is_none(), "too much would stay with it");
        assert!(Long::within(&lent, b"elsewhere").is_none());
        let copy = lent.into_vec();
        assert_ne!(copy.as_ptr(), at, "the string has it");
        assert!(long.iter().all(|b| *b == 7));

        let lent = request(1 << 16);
        let long = Long::within(&lent, &lent[4..65_540]).expect("the next larger block");
        assert_eq!(long.heap_bytes(), 32 + 81_920 + 32);
        drop(long);
        assert!(Long::within(&lent, &lent[4..57_348]).is_none(), "two blocks larger");
        let at = lent.as_ptr();
        let again = lent.into_vec();
        assert_eq!(again.as_ptr(), at, "nothing has stayed");
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
