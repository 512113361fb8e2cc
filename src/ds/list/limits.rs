//! How large a node of a list may grow, and when a list is one node: `list-max-listpack-size` and `list-compress-depth`.

/// What a node may hold in bytes, by `list-max-listpack-size` from -1 to -5: sizes that the allocator's pages of 64 KiB hold without a
/// remainder, as the header of such a page lies elsewhere (`tests/weights.rs` looks).
const NODE_BYTES: [usize; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];
/// What a node may hold in bytes where its elements are counted.
const COUNTED_BYTES: usize = 8 << 10;
/// What an element may take beside its text.
const ELEMENT_OVERHEAD: usize = 8;

/// The two knobs of lists, and what DEBUG has set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Elements of a node, or -1 to -5 for 4 to 64 KiB.
    pub size: i32,
    /// Nodes at each end that stay uncompressed; 0: all.
    pub depth: u32,
    /// Texts of this length or more have nodes of their own, whatever the size says; 0: those that no node would take.
    pub packed_from: u32,
}

impl Limits {
    /// The limits that the knobs set.
    pub fn new(size: i32, depth: u32) -> Limits {
        Limits { size, depth, packed_from: 0 }
    }

    /// Bytes of a node at most, and its elements.
    fn bounds(self) -> (usize, usize) {
        match usize::try_from(self.size) {
            Ok(count) => (COUNTED_BYTES, count.max(1)),
            Err(_) => {
                let level = self.size.unsigned_abs() as usize - 1;
                (NODE_BYTES[level.min(NODE_BYTES.len() - 1)], usize::MAX)
            }
        }
    }

    /// Whether this is too much for one node.
    pub fn exceeded(self, bytes: usize, count: usize) -> bool {
        let (most_bytes, most) = self.bounds();
        bytes > most_bytes || count > most
    }

    /// Whether a node of so many bytes and elements takes a text of `len` bytes more.
    pub fn takes(self, bytes: usize, count: usize, len: usize) -> bool {
        let (most_bytes, most) = self.bounds();
        bytes + len + ELEMENT_OVERHEAD <= most_bytes && count < most
    }

    /// Whether a text has a node of its own, as it is.
    pub fn is_large(self, len: usize) -> bool {
        if self.packed_from > 0 { len >= self.packed_from as usize } else { len > self.bounds().0 }
    }

    /// Whether a list of one node may be a listpack again; when it has `shrunk`, only at half of the bounds, so that a list
    /// at the border does not go to and fro.
    pub fn suits_listpack(self, bytes: usize, count: usize, shrunk: bool) -> bool {
        let (most_bytes, most) = match self.size {
            // Here Redis bounds the count alone.
            0.. => (usize::MAX, self.bounds().1),
            _ => self.bounds(),
        };
        let part = if shrunk { 2 } else { 1 };
        bytes <= most_bytes / part && count <= most / part
    }
}
