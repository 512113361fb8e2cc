//! kring: a Redis-compatible in-memory data server for Linux, a pinned thread per core, each with an io_uring of its own.
//!
//! This page is the map. README.md says how to run it and how to add things; tuning.md has every knob and metric.
//!
//! # Layers
//!
//! A module imports lower numbers only; modules that share a number do not see each other. `tests/tidy.rs` checks it.
//!
//! ```text
//!  6  server   configuration to process, and back to none
//!  5  shard    a core at work: connections, batches, jobs, the loop        storage   files, on a thread of its own
//!  4  cmd      a row and a function per command
//!  3  persist  data as bytes outside of a store
//!  2  store    a shard's data as one value
//!  1  ds       the structures it is made of     resp   the protocol        ring      io_uring
//!  0  base     cells, numbers, CRC, time        config a row per knob      metrics   a row per counter
//! ```
//!
//! # How it works, in five sentences
//!
//! Each shard's data is one value, the *store*, in a cell from which it is taken whole and put back. The shard that owns
//! a connection parses its requests where they arrived, takes the store that the keys live in, its own or another's, runs
//! the commands as plain single-threaded code, and puts the store back. Only when a store stays away again and again does the
//! rest of the batch travel as a *job*, by lock-free queues, to the owner and home again. A command over several shards takes their
//! stores in ascending order and has them all in hand while it runs, so it is atomic. Replies leave once per turn of the
//! loop, in the system call that also brings new requests.
//!
//! # Invariants
//!
//! - `ds`, `store`, `persist` and `cmd` do no I/O, read no clock and no global, and never import `ring`. Time and
//!   randomness come in as arguments, so that a seed replays a run (`tests/sim`).
//! - After boot only `ring` and `storage` make system calls (reading a clock and the control plane's look at memory apart),
//!   and only `shard` sends between cores.
//! - Nobody touches a store that it does not hold. Nobody sleeps, enters the kernel or waits for I/O with a store in
//!   hand (DEBUG SLEEP and MIGRATE between MULTI and EXEC apart); a job with a loan waits only for owners of higher number, which rules out deadlock.
//! - A command runs to completion where the stores that it needs are in hand. What outlives it, or concerns more than
//!   stores, it returns as an [`cmd::Outcome`].
//! - A connection has one batch under way at a time: at home, in a job, or parked. Program order follows.
//! - Who waits for a key is served before the command, or the transaction, that made the key ready is over: nobody else sees
//!   what it was due.
//! - `unsafe` lives in `base`, `ds` and `ring`; the rest forbids it. Every block says why it is sound, and the structures
//!   have a naive twin in safe code that tests compare them with.
//! - Every queue, buffer and loop has a named bound.
//! - In the steady state a GET of a short value allocates nothing and copies its key nowhere (`tests/no_alloc.rs`).
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | shard | one core's thread, ring and store; there may be more shards than cores, which then take turns |
//! | store | a shard's data: one `Send` value, moved but never shared |
//! | hash slot | one of the 16,384 numbers that CRC16 gives a key or its `{tag}`; slots are dealt out to shards |
//! | owner | the shard that a key's hash slot belongs to |
//! | home | the shard that serves a connection |
//! | cell | where a store lies while nobody uses it (a store's *slot*); one atomic word |
//! | hand | the stores that a shard holds at the moment |
//! | borrow | take a store from its cell, run commands on it, put it back |
//! | batch | commands of one connection that were parsed together |
//! | job | a batch under way by mail because a store could not be had |
//! | visit | a job's stop at a shard; the last one is home |
//! | hop | one mailing of a job |
//! | loan | a store that its owner has moved into a job that waits for others |
//! | errand | a job that brings stores home, for a transaction that can run nowhere else |
//! | chore | something small to do in an owner's store, which nobody waits for |
//! | wait | a blocked command, kept by the owners of the keys that it waits on |
//! | line | those who wait for one key: first come, first served |
//! | lock | of a key that is on its way to another server: who names it waits |
//! | order | something that all shards carry out, in one sequence: CONFIG SET, CLIENT KILL |
//! | report | what a shard tells a command that asks all of them: INFO, CLIENT LIST |
//! | frame | one commit in a shard's log: a header that checks it, then commands |
//! | generation | a log's files, one a shard, between two rewrites or operations on the whole keyspace |
//! | turn | one pass of a shard's loop: one system call, then all that it brought |
//! | knob | a setting of the configuration |
//!
//! # Modules, in reading order

// Stand-ins of `tests/doubles` serve tests in here too, and name the crate as those outside do.
#[cfg(test)]
extern crate self as kring;

/// Layer 0. What every layer stands on: the cell of a store, numbers, CRC16, glob patterns, time.
pub mod base;
/// Layer 0. Every knob, one row each: redis.conf, flags, CONFIG.
pub mod config;
/// Layer 0. What a shard counts, one row each; latencies, rates, errors.
pub mod metrics;

/// Layer 1. The table of keys, the entry that holds one, the heap that entries come from.
pub mod ds;
/// Layer 1. RESP2 and RESP3: requests in, replies out, bytes only.
pub mod resp;
/// Layer 1. io_uring, behind the seam ([`ring::net`]) that the simulation replaces.
pub mod ring;

/// Layer 2. A shard's data as one value, and the keyspace that a command sees of it.
pub mod store;

/// Layer 3. What data looks like outside of a store, DUMP, RDB and the log: bytes only, no files.
pub mod persist;

/// Layer 4. The commands: one row and one function each, a file or folder per family.
pub mod cmd;

/// Layer 5. A shard at work: connections, batches, borrowed stores, jobs, orders, timers, the loop.
pub mod shard;
/// Layer 5. Files, on a thread of their own, so that no shard ever waits for one.
pub mod storage;

/// Layer 6. From a configuration to a running process, and back to none.
pub mod server;
