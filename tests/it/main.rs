//! The integration tests: real processes, raw sockets, a public client, and redis-server beside kring as the oracle.
//!
//! ```text
//! server   starts and ends a server process       differential/  the same commands to both, bytes compared
//! client   a raw connection                       protocol, pipelines, sockets, limits, lifecycle, expiry, memory  one process
//! reply    RESP2 and RESP3, raw bytes kept        order, atomic, clients  many clients, many shards
//! rng      seeded choices                         transactions, blocking                public_client  the `redis` crate
//!                                                 log_files                             redis-server loads our log's files
//! histories  random requests of many clients, killed at any moment: the checks of the simulation (`tests/history`) on a process
//! log_home  a directory where logs live       log_faults, log_full, log_live          kill -9, a full disk, a log that changes under load
//! migrate   keys to and from other servers        log_promises, log_damage              a log, snapshots, directories, reloads, damage
//! ```
//! Every test starts its own server on a port of its own in a directory of its own, and ends it when it is done or
//! panics. Nothing sleeps to wait for something: a wait is a loop with a deadline (`wait_until`).

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a failed test panics

#[path = "../history/mod.rs"]
mod history;

mod client;
mod renames;
mod reply;
mod rng;
mod server;

mod atomic;
mod blocking;
mod books;
mod clients;
mod differential;
mod expiry;
mod histories;
mod large;
mod lifecycle;
mod limits;
mod log_boot;
mod log_damage;
mod log_faults;
mod log_files;
mod log_full;
mod log_home;
mod log_live;
mod log_promises;
mod memory;
mod memory_tools;
mod migrate;
mod order;
mod pipelines;
mod protocol;
mod public_client;
mod reviewed;
mod snapshots;
mod sockets;
mod stream_waits;
mod transactions;
