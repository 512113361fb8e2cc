//! Sorted sets: one file a group of commands, each with its rows ([`super::FAMILIES`] lists them).
//!
//! ```text
//!  add      ZADD, ZINCRBY                  GEOADD adds through it too
//!  remove   ZREM, ZREMRANGEBY*
//!  read     scores, ranks, counts
//!  range    ZRANGE, its older forms, ZRANGESTORE
//!  pop      ZPOPMIN, ZPOPMAX, ZMPOP        blocking  the same with a B: they wait
//!  random   ZRANDMEMBER
//!  algebra  ZUNION, ZINTER, ZDIFF and what stores or counts their results
//!  scan     ZSCAN
//! ```
//! Bounds of every kind become ranks ([`bounds`]): a range is counted without being walked, and the length of a reply is known
//! before its first member is.

pub mod add;
pub mod algebra;
pub mod blocking;
mod bounds;
mod frame;
pub mod pop;
pub mod random;
pub mod range;
pub mod read;
pub mod remove;
mod result;
pub mod scan;
mod source;

pub(in crate::cmd) use add::{How, add};
pub(in crate::cmd) use result::store;

use super::row::{category, key};
use super::{Command, KeySpec, Plan};

/// What the rows of this family have in common.
const ROW: Command = Command {
    categories: category::SORTEDSET,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    group: "sorted-set",
    ..Command::BASE
};
