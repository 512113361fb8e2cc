//! The id of an entry: when it was added, in milliseconds, and a number that tells entries of one millisecond apart.

/// The longest text of an id: two numbers of twenty digits and what parts them.
pub const ID_TEXT_MAX: usize = 41;

/// See the module's text. Ids order by time, then by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    /// The lowest one, which no entry has.
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    /// The highest one.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The id right behind this one.
    #[inline]
    pub fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => Some(StreamId { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id right before this one.
    #[inline]
    pub fn prev(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => Some(StreamId { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Sixteen bytes that order as the ids do.
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The id of these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> StreamId {
        let both = u128::from_be_bytes(bytes);
        StreamId { ms: (both >> 64) as u64, seq: both as u64 }
    }

    /// Its text, the two numbers parted by `between`.
    #[inline]
    pub fn text(self, between: u8, buf: &mut [u8; ID_TEXT_MAX]) -> &[u8] {
        let mut number = itoa::Buffer::new();
        let ms = number.format(self.ms).as_bytes();
        let at = ms.len();
        buf[..at].copy_from_slice(ms);
        buf[at] = between;
        let seq = number.format(self.seq).as_bytes();
        let end = at + 1 + seq.len();
        buf[at + 1..end].copy_from_slice(seq);
        &buf[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_neighbours_bytes_and_a_text() {
        let id = StreamId::new;
        assert_eq!(id(1, 2).next(), Some(id(1, 3)));
        assert_eq!(id(1, u64::MAX).next(), Some(id(2, 0)));
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(id(1, 0).prev(), Some(id(0, u64::MAX)));
        assert_eq!(StreamId::MIN.prev(), None);
        for one in [id(0, 1), id(1, 0), id(1 << 40, 7), StreamId::MAX] {
            assert_eq!(StreamId::from_bytes(one.to_bytes()), one);
            assert!(one.prev().is_some_and(|p| p < one && p.to_bytes() < one.to_bytes()));
        }
        let mut buf = [0; ID_TEXT_MAX];
        assert_eq!(id(15, 3).text(b'-', &mut buf), b"15-3");
        assert_eq!(StreamId::MAX.text(b'.', &mut buf), b"18446744073709551615.18446744073709551615");
    }
}
