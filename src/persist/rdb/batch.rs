//! Entries on their way from who reads the file to who owns their keys: many in one block of memory, used again and again.

use super::Entry;
use std::borrow::Cow;

/// Entries of one shard.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Place>,
    /// Keys past their time are kept: commands of a log follow that may know them.
    pub keeps_past: bool,
}

/// An entry whose key and value lie in the block, one after the other.
struct Place {
    db: u64,
    kind: u8,
    from: usize,
    value: usize,
    to: usize,
    expire_at: Option<i64>,
    idle_secs: Option<u64>,
    frequency: Option<u8>,
    offset: u64,
}

impl Batch {
    /// Adds an entry.
    pub fn push(&mut self, entry: &Entry<'_>) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(&entry.key);
        let value = self.bytes.len();
        self.bytes.extend_from_slice(entry.value);
        self.entries.push(Place {
            db: entry.db,
            kind: entry.kind,
            from,
            value,
            to: self.bytes.len(),
            expire_at: entry.expire_at,
            idle_secs: entry.idle_secs,
            frequency: entry.frequency,
            offset: entry.offset,
        });
    }

    /// Bytes of keys and values.
    pub fn weight(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(|place| Entry {
            db: place.db,
            key: Cow::Borrowed(&self.bytes[place.from..place.value]),
            kind: place.kind,
            value: &self.bytes[place.value..place.to],
            expire_at: place.expire_at,
            idle_secs: place.idle_secs,
            frequency: place.frequency,
            offset: place.offset,
        })
    }

    /// Empties it; memory above `keep` bytes is given back.
    pub fn clear(&mut self, keep: usize) {
        self.entries.clear();
        self.bytes.clear();
        self.bytes.shrink_to(keep);
    }
}

/// What became of a batch at its owner.
pub struct Built {
    pub shard: usize,
    /// Empty, to be filled again.
    pub batch: Batch,
    pub keys: u64,
    /// Entries whose time was over.
    pub expired: u64,
    /// Collections without elements, which were left out.
    pub empty: u64,
    /// What is wrong with an entry, if one is: the rest was not built.
    pub trouble: Option<String>,
}
