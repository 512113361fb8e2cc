//! Layer 0: every knob of the server, one row each.
//!
//! A row in `table` declares a knob's Redis name, field, type, default, bounds, when it may change, whether this
//! release honours it, and one line of documentation. All else is derived from the rows: the fields of [`Config`],
//! the `--name` flags and `--help`, CONFIG GET, SET and REWRITE, and the table in tuning.md. So a knob is added by
//! adding a row, and a release that starts to honour a knob changes one word of it.
//!
//! ```text
//! file, stdin, flags --load--> Config --matching--> CONFIG GET
//!                               |  ^--set_all------ CONFIG SET
//!                               +-----rewrite-----> CONFIG REWRITE
//! ```
//!
//! Reading order: `knob` (what a row is), `value` and `special` (the types a row may have), `table` (the
//! rows), `words` (the syntax of a line), `load` and `flags` (boot), `live` (CONFIG GET and SET),
//! `rewrite`, `tables` (documentation).
//!
//! Invariants: every alias and every knob of Redis 7.0 and 7.4 that `CONFIG GET *` shows has a row; a `Config` holds
//! effective values only, so a knob that belongs to a later release stays at its default ("off").

#![forbid(unsafe_code)]

mod flags;
mod knob;
mod live;
mod load;
mod rewrite;
mod special;
mod table;
mod tables;
mod value;
mod words;

#[cfg(test)]
mod redis70;

pub use flags::{Start, from_args, help};
pub use knob::{Knob, Rule, Status, When, find, knobs};
pub use live::SetError;
pub use load::{FatalConfig, Loaded, Rename};
pub use rewrite::rewrite;
pub use special::{
    ClientLimit, CpuList, EnableCommand, LogLevel, Master, MaxmemoryPolicy, MemoryOrPercent, OomScores,
    OutputLimits, Percentiles, SavePoints, delay_us,
};
pub use table::{Config, MAX_BIND, MAX_SHARDS};
pub use tables::markdown_table;
pub use value::memory as parse_memory;
pub use words::{NOT_TEXT, quote, split_words};
