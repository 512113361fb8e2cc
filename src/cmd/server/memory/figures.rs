//! The figures that INFO memory and MEMORY share.
//!
//! ```text
//!  used = startup (resident when the server had started) + dataset (as allocated) + clients (connections and buffers)
//! ```
//! The dataset is counted exactly by the stores. What the process had before its first client, code included, is one figure,
//! so that `rss / used` tells fragmentation and nothing else.

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
    /// Resident when the server had started.
    pub startup: u64,
    /// Keys and values.
    pub dataset: u64,
    /// Requests and replies under way.
    pub clients: u64,
    pub keys: u64,
    pub connected: u64,
}

impl Figures {
    /// The figures of the reports' total.
    pub fn of(env: &Env<'_>, total: &Report) -> Figures {
        let dataset = total.data_bytes() as u64;
        let clients = (total.input_bytes + total.output_bytes) as u64;
        let startup = env.memory.startup;
        let used = startup + dataset + clients;
        Figures {
            used,
            peak: (env.memory.used_peak + startup).max(used),
            rss: env.memory.rss,
            startup,
            dataset,
            clients,
            keys: total.dbs.iter().map(|db| db.keys as u64).sum(),
            connected: total.connected as u64,
        }
    }

    /// Bytes that are not keys and values.
    pub fn overhead(&self) -> u64 {
        self.used - self.dataset
    }

    /// Of what came after the start, how much is data.
    pub fn dataset_percent(&self) -> f64 {
        ratio(self.dataset, self.used - self.startup) * 100.0
    }

    /// How near the peak is.
    pub fn peak_percent(&self) -> f64 {
        ratio(self.used, self.peak) * 100.0
    }

    /// Resident bytes per byte used.
    pub fn fragmentation(&self) -> f64 {
        ratio(self.rss, self.used)
    }

    /// Resident bytes beyond those used; negative when some are swapped out.
    pub fn fragmentation_bytes(&self) -> i64 {
        self.rss as i64 - self.used as i64
    }
}
