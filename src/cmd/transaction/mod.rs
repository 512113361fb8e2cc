//! Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH ([`rows`]), and what a session keeps for them ([`state`]).
//!
//! ```text
//!  MULTI ─ commands ─> Queue (in the session)          EXEC: the stores of all of them and of all watched keys in hand,
//!  WATCH ─ Watcher ──> the keys' stores                      then the whole queue runs
//! ```
//! The commands wait where the session is and move with it. Which stores EXEC needs is known when it comes: the union of what
//! each queued command needs. The shard runs the queue (`shard/transact.rs`), since it counts and times every command in it.

pub mod rows;
pub mod state;

pub use rows::{COMMANDS, unwatch_all};
pub use state::{Queue, Transaction, Watched};
