//! One logical database of one shard: its table, and what its large values weigh.

use super::{Garbage, LAZY_FREE_FROM, Value};
use crate::ds::{Owned, Table};

/// What a slice of active expiry did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Expired {
    pub looked_at: usize,
    pub removed: usize,
}

impl Expired {
    pub(super) fn add(&mut self, other: Expired) {
        self.looked_at += other.looked_at;
        self.removed += other.removed;
    }
}

/// One logical database of one shard.
pub struct Db {
    table: Table<Value>,
    value_bytes: usize,
    expire_cursor: usize,
}

impl Db {
    pub(super) fn new(seed: u64) -> Db {
        Db { table: Table::new(seed), value_bytes: 0, expire_cursor: 0 }
    }

    /// How many keys, expired ones that nobody has met included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// How many keys have a TTL.
    pub fn expires(&self) -> usize {
        self.table.expires()
    }

    /// The table, for scans and samples.
    pub fn table(&self) -> &Table<Value> {
        &self.table
    }

    pub(super) fn table_mut(&mut self) -> &mut Table<Value> {
        &mut self.table
    }

    /// The table, and the count of bytes in values.
    pub(super) fn parts_mut(&mut self) -> (&mut Table<Value>, &mut usize) {
        (&mut self.table, &mut self.value_bytes)
    }

    pub(super) fn into_table(self) -> Table<Value> {
        self.table
    }

    /// A large value came in.
    pub(super) fn weigh(&mut self, value: &Value) {
        self.value_bytes += value.heap_bytes();
    }

    /// A large value left.
    pub(super) fn unweigh(&mut self, value: &Value) {
        self.value_bytes -= value.heap_bytes();
    }

    /// Bytes that the database takes, as allocated.
    pub fn bytes(&self) -> usize {
        self.table.bytes() + self.value_bytes
    }

    /// Bytes of large values.
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// Removes expired keys, and names each to `gone`.
    pub(super) fn expire_slice(
        &mut self,
        now_ms: i64,
        budget: usize,
        garbage: &mut Vec<Garbage>,
        gone: &mut dyn FnMut(&[u8]),
    ) -> Expired {
        if self.table.expires() == 0 {
            return Expired::default();
        }
        let mut removed = 0;
        let mut freed = 0;
        let looked_at =
            self.table.expire_slice(&mut self.expire_cursor, now_ms, budget, &mut |key, owned| {
                removed += 1;
                gone(key);
                if let Owned::Boxed(value) = owned {
                    freed += value.heap_bytes();
                    if value.heap_bytes() >= LAZY_FREE_FROM {
                        garbage.push(Garbage::Value(value));
                    }
                }
            });
        self.value_bytes -= freed;
        Expired { looked_at, removed }
    }
}
