//! The figures that INFO memory and MEMORY share.
//!
//! ```text
//!  used      = dataset (entries and values, as allocated) + index of the tables + clients (connections and buffers)
//!              + buffers of the append-only log + what a snapshot under way keeps
//!  active    = used + what the heaps of entries hold and do not use
//!  allocator = resident, less what the process had before its first client: code, stacks, rings
//! ```
//! The dataset is counted exactly by the stores. `maxmemory` bounds what is used, less the buffers of log and snapshot: no eviction
//! makes them smaller. Garbage (removed, not freed yet) does not count:
//! after FLUSHALL nothing is used, as in Redis, whoever frees it and when.

use crate::cmd::server::text::ratio;
use crate::cmd::{Env, Report};

/// What allocates.
pub const ALLOCATOR: &str = "mimalloc";

/// Bytes, of all shards.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub used: u64,
    pub peak: u64,
    pub rss: u64,
    /// Resident when the server had started: not counted as used.
    pub startup: u64,
    /// Held by the heaps of entries, used or not, and by everything else that is used.
    pub active: u64,
    /// Keys and values.
    pub dataset: u64,
    /// Requests and replies under way.
    pub clients: u64,
    /// What the append-only log has not written.
    pub log_buffer: u64,
    /// What a snapshot keeps until it is written.
    pub snapshot_buffer: u64,
    pub keys: u64,
    pub connected: u64,
}

impl Figures {
    /// The figures of the reports' total.
    pub fn of(env: &Env<'_>, total: &Report) -> Figures {
        let stores = total.data_bytes() as u64;
        let index: usize = total.dbs.values().map(|db| db.overhead_bytes).sum();
        let dataset = stores - index as u64;
        let clients = total.client_bytes as u64;
        let (log_buffer, snapshot_buffer) = (env.saves.log.buffered(), total.kept_bytes as u64);
        let used = total.used_bytes() as u64 + log_buffer;
        let slack: usize = total.dbs.values().map(|db| db.slack_bytes).sum();
        Figures {
            used,
            peak: env.memory.used_peak.max(used),
            rss: env.memory.rss,
            startup: env.memory.startup,
            active: used + slack as u64,
            dataset,
            clients,
            log_buffer,
            snapshot_buffer,
            keys: total.dbs.values().map(|db| db.keys as u64).sum(),
            connected: total.connected as u64,
        }
    }

    /// Bytes that `maxmemory` does not bound.
    pub fn not_evictable(&self) -> u64 {
        self.log_buffer + self.snapshot_buffer
    }

    /// Bytes that are not keys and values.
    pub fn overhead(&self) -> u64 {
        self.used - self.dataset
    }

    /// How much of it is data.
    pub fn dataset_percent(&self) -> f64 {
        ratio(self.dataset, self.used) * 100.0
    }

    /// How near the peak is.
    pub fn peak_percent(&self) -> f64 {
        ratio(self.used, self.peak) * 100.0
    }

    /// What is resident of data and buffers.
    pub fn resident(&self) -> u64 {
        self.rss.saturating_sub(self.startup)
    }

    /// Resident bytes of the whole process per byte used.
    pub fn fragmentation(&self) -> f64 {
        ratio(self.rss, self.used)
    }

    /// Resident bytes beyond those used; negative when some are swapped out.
    pub fn fragmentation_bytes(&self) -> i64 {
        self.rss as i64 - self.used as i64
    }

    /// A ratio, and a difference in bytes, between two of the figures.
    pub fn between(a: u64, b: u64) -> (f64, i64) {
        (ratio(a, b), a as i64 - b as i64)
    }
}
