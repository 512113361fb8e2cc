//! Hashes.
//!
//! | file | commands |
//! |---|---|
//! | `get` | HGET, HMGET, HEXISTS, HSTRLEN, HLEN, HGETALL, HKEYS, HVALS |
//! | `set` | HSET, HMSET, HSETNX |
//! | `delete` | HDEL, HGETDEL |
//! | `number` | HINCRBY, HINCRBYFLOAT |
//! | `random` | HRANDFIELD |
//! | `scan` | HSCAN |
//! | `expire` | HEXPIRE and its like, HPERSIST |
//! | `ttl` | HTTL and its like |
//! | `with_expiry` | HGETEX, HSETEX |
//!
//! Fields may expire. As in Redis, one past its time is invisible but counted by HLEN until it is removed: by the command
//! that asks for it ([`lookup`]) or by active expiry.

pub mod delete;
pub mod expire;
pub mod get;
mod lookup;
pub mod number;
pub mod random;
pub mod scan;
pub mod set;
#[cfg(test)]
mod tests;
mod times;
pub mod ttl;
pub mod with_expiry;

pub(super) use lookup::{Asked, ask, text};
