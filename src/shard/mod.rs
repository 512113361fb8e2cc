//! Layer 5: a shard at work. [`Core`] is all of it that can be simulated: connections, batches, borrowed stores,
//! jobs and loans, orders, timers. It asks the world through [`crate::ring::net::Net`] and is told of it by calls; the real
//! loop ([`run`]) drives it from an io_uring, the simulation from a seed.
//!
//! ```text
//!  bytes of a connection ─ drive: parse ─ plan ─ take the stores ─ run ─ put them back at the batch's end
//!                                            │ a store stays away: the connection waits for a call, some times
//!                                            └─ Job: the rest of the batch, by mail to the owner, and home again
//! ```
//! Order holds because a connection has one batch under way at a time: at home, in a job, or parked while all shards
//! report ([`orders`]). Stores are taken in ascending order and nothing waits with a store in hand, except a job for a
//! higher store, in its owner's queue ([`jobs`]). A transaction runs as one command that needs the stores of all its commands
//! ([`transact`]; one that came whole: [`whole`]). A command that waits is kept by the owners of its keys and run again by whoever makes one ready ([`block`]).

#![forbid(unsafe_code)]

mod abort;
mod ahead;
mod batch;
mod block;
mod build;
mod burst;
mod call;
mod compact;
mod connections;
mod consult;
mod core;
mod cron;
mod drive;
mod evict;
mod evict_clients;
mod expire;
mod fill;
mod flush;
mod gate;
mod halt;
mod heads;
mod hold;
mod jobs;
mod later;
pub mod ledger;
mod lend;
mod log;
pub mod mail;
mod orders;
mod planted;
pub mod policy;
mod renew;
mod replay;
mod rewrite;
mod run;
mod saves;
mod shared;
mod tallies;
#[cfg(test)]
#[path = "../../tests/doubles/nobody.rs"]
mod testing;
mod transact;
mod walk;
mod whole;

pub use build::Delivery;
pub use burst::BURST;
pub use connections::Peer;
pub use core::Core;
pub use log::LogStart;
pub use mail::{Job, Letter, Mesh};
#[doc(hidden)]
pub use planted::Planted;
pub use replay::alone_at;
pub use rewrite::{LogTurn, NewBase, Next};
pub use run::{Notice, Setup, Sockets, run};
pub use shared::{Control, LoadRequest, MemoryBoard, Pending, SaveRequest, Shared};
