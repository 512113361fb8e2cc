//! Streams: entries under rising ids, and groups of consumers that share them.
//!
//! | file | commands |
//! |---|---|
//! | [`add`] | XADD, XTRIM |
//! | [`range`] | XLEN, XRANGE, XREVRANGE |
//! | [`edit`] | XDEL, XSETID |
//! | [`read`] | XREAD, XREADGROUP |
//! | [`group`] | XGROUP |
//! | [`pending`] | XACK, XPENDING |
//! | [`claim`] | XCLAIM, XAUTOCLAIM |
//! | [`info`] | XINFO |
//!
//! `ids` reads ids, `trimming` the options that XADD and XTRIM share, `reply` writes entries.

pub mod add;
pub mod claim;
pub mod edit;
mod effects;
pub mod group;
mod ids;
pub mod info;
pub mod pending;
pub mod range;
pub mod read;
mod reply;
mod trimming;

use super::Command;
use super::row::category;

/// What most rows start from.
const BASE: Command =
    Command { categories: category::STREAM, since: "5.0.0", group: "stream", ..Command::BASE };
