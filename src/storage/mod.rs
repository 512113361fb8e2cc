//! Layer 5: the storage plane, glommio executors on threads of their own. Shards never touch a file; who needs one asks
//! here, and hears when it is done.
//!
//! | module | what |
//! |---|---|
//! | [`plane`] | the line to the threads |
//! | [`aof`] | the append-only log's directory |
//! | [`save`], [`load`] | snapshots: from shards to a file, from a file to shards |
//! | [`sink`], [`source`] | a file that is written, or read, from beginning to end |
//! | [`rewrite`] | a small file replaced as a whole |
//! | [`room`] | how much is free on a file system |
//! | [`executor`] | what all of it runs on |

#![forbid(unsafe_code)]

pub mod aof;
mod executor;
mod load;
mod plane;
mod rewrite;
mod room;
mod save;
mod sink;
mod source;

pub use load::{Load, Loaded};
pub use plane::{Answer, Based, Edit, Plane, Turned};
pub use save::{Save, Saved};
