//! Sorted sets: one file a group of commands, each with its rows ([`super::FAMILIES`] lists them).
//!
//! ```text
//!  add      ZADD, ZINCRBY                  GEOADD adds through it too
//!  remove   ZREM, ZREMRANGEBY*
//!  read     scores, ranks, counts
//!  range    ZRANGE, its older forms, ZRANGESTORE
//!  pop      ZPOPMIN, ZPOPMAX, ZMPOP
//!  random   ZRANDMEMBER
//!  algebra  ZUNION, ZINTER, ZDIFF and what stores or counts their results
//!  scan     ZSCAN
//! ```
//! Bounds of every kind become ranks ([`bounds`]): a range is counted without being walked, and the length of a reply is known
//! before its first member is.

pub mod add;
pub mod algebra;
mod bounds;
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
use super::{Command, Cx, KeySpec, Plan};
use crate::ds::zset::Limits;

/// What the rows of this family have in common.
const ROW: Command = Command {
    categories: category::SORTEDSET,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    group: "sorted-set",
    ..Command::BASE
};

/// Up to where a sorted set is a listpack.
fn limits(cx: &Cx<'_>) -> Limits {
    let of = |knob: u64| usize::try_from(knob).unwrap_or(usize::MAX);
    Limits {
        entries: of(cx.env.config.zset_max_listpack_entries),
        value: of(cx.env.config.zset_max_listpack_value),
    }
}

/// Says that a command made this many changes to a key.
fn changed(cx: &mut Cx<'_>, key: &[u8], changes: usize) {
    if changes > 0 {
        cx.keys.changed(key);
        cx.keys.store_of(key).dirty += changes as u64 - 1;
    }
}
