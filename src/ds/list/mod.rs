//! The value of a list: elements in order, reached from both ends.
//!
//! ```text
//!  listpack    one block, up to list-max-listpack-size
//!  quicklist   chunk ── chunk ── chunk              each up to 512 nodes, and how many elements they hold
//!                └─ node, node, node, ...           24 bytes: where its block is, and how many elements that holds
//!                    └─ listpack | one large element | either of them, compressed
//! ```
//! Redis links its nodes; here they lie in chunks. A list of 10 million short elements has 12,500 nodes of 8 KiB in 25 chunks, so
//! an index is found by adding up 25 counts and then at most 256. A list of 10 million large elements has as many nodes:
//! one deque of them would now and then be copied whole when it grows, 240 MB in a pause of 50 ms and more; the deque of
//! chunks is 0.8 MB then.
//!
//! How elements are dealt out to nodes follows Redis in all that shows: what a node takes, when it is split and with which
//! neighbours it is joined decide whether one node is left, and so when a list becomes a listpack again.
//!
//! Cost: both ends O(1) nodes; an index O(chunks + 512 + bytes of a node); a change in the middle the same.

mod change;
mod cut;
mod end;
mod limits;
mod node;
mod quicklist;
#[cfg(test)]
mod tests;
mod value;

pub use end::End;
pub use limits::Limits;
pub use node::Saved;
pub use value::{Builder, List};
