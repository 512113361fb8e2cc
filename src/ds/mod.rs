//! Layer 1: the data structures. They do no I/O, read no clock and no global, and know nothing of Redis's commands.
//!
//! | module | what |
//! |---|---|
//! | [`table`] | the keyspace of one database: extendible hashing, SIMD-probed buckets, stable SCAN cursors, TTLs |
//! | [`entry`] | the one block of memory that holds a key, its TTL and its value |
//! | [`heap`] | the slab heap that the blocks of a database come from: one per table, no atomics, exact accounting |
//! | [`malloc`] | the blocks of tables that are values: the process's allocator, counted |
//! | [`listpack`] | a short list in one block: the small form of every collection |
//! | [`hyperloglog`] | an estimate of how many distinct elements were seen, in a string |
//! | [`intset`] | a short set of integers in one block |
//! | [`list`], [`set`], [`hash`], [`zset`], [`stream`] | the collections, each in all its encodings |
//!
//! Unsafe code stays inside; each file says what it promises and what it relies on. `naive` is the table's twin in plain
//! safe code: the oracle of the differential tests.

pub mod entry;
pub mod hash;
pub mod heap;
pub mod hyperloglog;
pub mod intset;
pub mod list;
pub mod listpack;
pub mod malloc;
#[cfg(test)]
mod naive;
pub mod set;
pub mod stream;
pub mod table;
pub mod zset;

pub use entry::{INLINE_MAX, Owned, Payload, View, ViewMut};
pub use table::{ClockHand, KeyHasher, Mut, Ref, STEPS_PER_ROUND, Table};
