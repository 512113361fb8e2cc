//! A stream as one value: its entries and its groups. Unlike other collections it may be empty: it knows its last id.

use super::cut::Cut;
use super::{Groups, Log};
use crate::ds::malloc::malloc_size;
use std::ops::{Deref, DerefMut};

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Stream(Box<Body>);

/// What a stream is made of.
#[derive(Debug, Default)]
pub struct Body {
    pub log: Log,
    pub groups: Groups,
    /// A cut under way.
    pub(super) cut: Option<Box<Cut>>,
}

impl Clone for Body {
    fn clone(&self) -> Self {
        Body { log: self.log.clone(), groups: self.groups.clone(), cut: None }
    }
}

impl Deref for Stream {
    type Target = Body;

    fn deref(&self) -> &Body {
        &self.0
    }
}

impl DerefMut for Stream {
    fn deref_mut(&mut self) -> &mut Body {
        &mut self.0
    }
}

impl Stream {
    /// Whether its key goes: never by itself.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes that it takes beside its entry, as allocated. O(1): asked around every write.
    pub fn heap_bytes(&self) -> usize {
        malloc_size(size_of::<Body>()) + self.log.heap_bytes() + self.groups.heap_bytes()
    }

    /// Its encoding by Redis's name.
    pub fn encoding(&self) -> &'static str {
        "stream"
    }
}
