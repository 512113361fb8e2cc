//! Layer 2: a shard's data, as one value that one core holds at a time.
//!
//! ```text
//!  Store ── Db 0 .. Db n (SELECT)          one per logical database; beyond the first, those in use only
//!            ├─ FieldExpiry                which hashes have fields that expire, only when there are some
//!            └─ Table<Value>               key, TTL, access clock and short values in one block per key
//!                └─ Value                  what does not fit there: large strings, lists, sets, hashes, ...
//! ```
//! A store is `Send`, holds no `Rc`, reads no clock and knows nothing of rings or sockets. [`Hand`] holds the stores that a
//! command needs; [`Keys`] is how the command sees them: one keyspace.

#![forbid(unsafe_code)]

pub mod access;
mod cut;
mod databases;
mod db;
mod edit;
mod effects;
mod field_expiry;
pub mod fifo;
mod hand;
mod keys;
mod lines;
mod locks;
pub mod log;
mod long;
pub mod lru;
#[expect(clippy::module_inception, reason = "it holds Store")]
mod store;
mod value;
mod victims;
mod wait;
mod watch;

pub use crate::ds::table::Kept;
pub use db::{Db, Expired};
pub use edit::{Edit, WrongType};
pub use hand::{Hand, Route, SHARDS_MAX, ShardSet};
pub use keys::{Ahead, Keys, Policy, Taken};
pub use long::{Lent, Long};
pub use store::{Garbage, Store, Tally};
pub use value::{Collection, EMBSTR_MAX, Kind, PerKind, RAW, Value, encoding, int_of, kind, string_of};
pub use victims::{Judge, Rule};
pub use wait::{Saved, Wait, Waiter, Wake};
pub use watch::Watcher;
