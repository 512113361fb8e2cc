//! When to borrow, when to spin, when to mail: every decision about other shards' stores, with its knobs.
//!
//! Measured on two cores (DESIGN 4): a take nearly always succeeds at once, since a store is in use a few percent of
//! the time; a hop costs a wake-up (28 us idle) or a context switch. So: borrow, spin for somewhat longer than a batch takes, then
//! wait to be called, and mail only when that was of no use. Heavy commands go where their memory is near, when that is another core.

use crate::cmd::Command;
use crate::cmd::row::flag;
use crate::config::Config;

/// The knobs, as the configuration sets them.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether other shards' stores are borrowed at all (`borrow`); else every command for another shard is mailed.
    pub borrow: bool,
    /// How long to spin on a store that is away, in nanoseconds (`take-spin-ns`).
    pub take_spin_ns: u64,
    /// Whether heavy commands are mailed to their owner at once.
    pub mail_heavy: bool,
    /// How many commands are parsed, and their memory fetched, ahead of the one that runs (`prefetch-depth`).
    pub depth: usize,
}

/// The most commands that are parsed ahead.
pub const DEPTH_MAX: usize = 64;

impl Policy {
    /// The policy of a configuration for so many shards on so many cores.
    pub fn new(config: &Config, shards: usize) -> Policy {
        Policy {
            borrow: config.borrow,
            take_spin_ns: config.take_spin_ns as u64,
            mail_heavy: shards > 1,
            depth: config.prefetch_depth.clamp(1, DEPTH_MAX),
        }
    }

    /// Whether `here` may borrow the store of `owner` for this command.
    pub fn may_borrow(&self, here: usize, owner: usize, row: &Command) -> bool {
        here == owner || self.borrow && !(self.mail_heavy && row.is(flag::HEAVY))
    }
}
