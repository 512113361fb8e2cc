//! The value of a set: members, each once.

use super::listpack::Listpack;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pack: Listpack,
}

impl Set {
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
