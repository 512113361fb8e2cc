//! The value of a list: elements in order, reached from both ends.

use super::listpack::Listpack;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct List {
    pack: Listpack,
}

impl List {
    /// Whether it holds nothing, so that its key goes.
    pub fn is_empty(&self) -> bool {
        self.pack.is_empty()
    }

    /// Bytes that it takes beside its entry, as allocated. O(1): asked around every write.
    pub fn heap_bytes(&self) -> usize {
        super::malloc::malloc_size(self.pack.bytes())
    }

    /// Its encoding by Redis's name.
    pub fn encoding(&self) -> &'static str {
        "listpack"
    }
}
