//! Renewal: stamps of uses that have aged are written as coarser ones before they come round ([`crate::store::lru`]), a few buckets
//! with every round of the clock. One pass over all keys takes nine minutes where an LRU policy evicts, and days elsewhere.

use super::Core;
use crate::ring::net::World;
use crate::store::lru::{FINE_ROUND_US, ROUND_PARTS, ROUND_US};

/// Buckets of a database in one go, about 100 us: ten times a second, they are those of 30 M keys in nine minutes.
const SLICE_BUCKETS: usize = 512;
const PART_US: u64 = ROUND_US / ROUND_PARTS;
const FINE_PART_US: u64 = FINE_ROUND_US / ROUND_PARTS;

/// What a shard has renewed.
pub(super) struct Renewed {
    until_us: u64,
    /// There may be fine stamps until then: for some rounds after the last was written.
    fine_until_us: u64,
}

impl Renewed {
    pub fn new(now_us: u64) -> Renewed {
        Renewed { until_us: now_us, fine_until_us: now_us }
    }
}

impl Core {
    /// Renews what is due since the last time, when the store is at home.
    pub(super) fn renew_slice(&mut self, net: &mut dyn World) {
        let now_us = self.now.mono_us;
        let renewed = &mut self.cron.renewed;
        if self.access.lfu.is_some() || self.access.fifo {
            renewed.until_us = now_us;
            return;
        }
        if self.access.fine {
            renewed.fine_until_us = now_us + 4 * FINE_ROUND_US;
        }
        let part_us = if now_us < renewed.fine_until_us { FINE_PART_US } else { PART_US };
        let parts = now_us.saturating_sub(renewed.until_us) / part_us;
        if parts == 0 || !self.take(net, self.id) {
            return;
        }
        self.cron.renewed.until_us += parts * part_us;
        self.hand.store(self.id).renew_stamps(self.now, parts, SLICE_BUCKETS);
        self.put_back(net);
    }
}
