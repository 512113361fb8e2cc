//! SORT and SORT_RO: the elements of a list, set or sorted set in order, or what other keys say of them.
//!
//! ```text
//!  options   what is asked for            pattern   the key, and the field of a hash, that an element stands for
//!  source    the elements, their texts gathered in one block            order     weights and comparison
//! ```
//! Keys that patterns name may live on any shard, so a call with such patterns has all stores in hand, unless a `{tag}` before the `*`
//! says where they are.
//!
//! Elements that are equal to the comparison keep their order, except with BY and LIMIT, where it is what Redis's algorithm makes of
//! it (`partial`).

mod options;
mod order;
mod partial;
mod pattern;
mod rows;
mod source;

pub use rows::{COMMANDS, may_look_up};
