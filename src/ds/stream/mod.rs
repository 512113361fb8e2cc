//! The value of a stream: entries in the order of their ids, and the groups that read them.
//!
//! ```text
//!  Stream -> Body
//!            log     ids in Index  ->  Node: a listpack of up to 100 entries or 4 KiB (the knobs stream-node-max-*)
//!            groups  by name       ->  Group: its pending entries in an Index, its consumers
//!                                      Consumer: the ids of its own pending entries in an Index
//! ```
//! | module | what |
//! |---|---|
//! | [`id`] | an id: milliseconds and a sequence number |
//! | [`index`] | an ordered map from ids: what holds nodes and pending entries |
//! | [`node`] | a node: entries in one block, as RDB files and DUMP payloads hold it |
//! | [`log`] | the entries of a stream, and what is known about those that are gone |
//! | [`walk`] | entries of a range, forwards and backwards |
//! | [`group`] | consumer groups |
//! | [`undo`] | an index of one instant, for snapshots |
//! | [`cut`] | a stream of one instant, part by part |
//! | [`radix`] | how many nodes a radix tree over the same ids would have, which XINFO tells |
//! | [`value`] | all of it as one value |

pub mod cut;
pub mod group;
pub mod id;
pub mod index;
pub mod log;
#[cfg(test)]
mod naive;
pub mod node;
pub mod radix;
pub mod undo;
pub mod value;
pub mod walk;

pub use group::{Consumer, Group, GroupEdit, Groups, Nack};
pub use id::StreamId;
pub use index::Index;
pub use log::{Limits, Log, Trim, Wanted};
pub use node::{Entry, Node};
pub use value::{Body, Stream};
