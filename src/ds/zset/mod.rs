//! The value of a sorted set: members ordered by score, and by their bytes where scores are equal.
//!
//! | module | what |
//! |---|---|
//! | [`zset`] | the set in either form, and when it changes from one to the other |
//! | [`pack`] | small: a listpack, as in Redis |
//! | [`large`] | large: a table of members and a tree of scores; OBJECT ENCODING says `skiplist` |
//! | `tree`, `grow`, `shrink` | the order: a B+ tree that counts, so that ranks are cheap |
//! | `item` | a score and the address of its member |
//!
//! Every range, whether by rank, score or member, is a pair of ranks here: the bounds are turned into ranks (O(log n)), and
//! then members are walked, counted or removed by rank.

mod grow;
mod item;
pub mod large;
pub mod pack;
mod shrink;
#[cfg(test)]
mod tests;
mod tree;
#[expect(clippy::module_inception, reason = "it holds Zset")]
pub mod zset;

pub use large::Large as Gathered;
pub use zset::{Limits, Zset};
