//! Layer 5: the storage plane, a glommio executor on a thread of its own. Shards never touch a file; who needs one asks
//! here, and hears when it is done.

#![forbid(unsafe_code)]

mod plane;
mod rewrite;

pub use plane::{Answer, Edit, Plane};
