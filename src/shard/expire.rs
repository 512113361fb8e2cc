//! Active expiry: keys and fields of hashes past their time go although nobody asks for them, in slices between the turns.
//!
//! Every segment of a table knows a lower bound of its earliest TTL, so a slice costs nothing where nothing is due; where little
//! is due in each, it waits up to 400 ms until more is, so that a key costs tens of looks and not hundreds. While
//! much is due, slices follow each other turn by turn, as large a share of the time as `active-expire-effort` allows.

use super::Core;
use crate::ring::net::World;
use crate::store::Expired;

/// Entries that one slice looks at: 100 to 200 us.
const SLICE_ENTRIES: usize = 2_048;

impl Core {
    /// One slice, when it is due and the store is at home.
    pub(super) fn expire_slice(&mut self, net: &mut dyn World) {
        if !self.cron.expire_due(self.now) {
            return;
        }
        // As in Redis, nothing expires by itself while clients are paused.
        // And while a log is replayed, each command has to find what was there.
        if !self.active_expire || self.gate.is_loading() || self.pause.is_some() || self.is_halted {
            return self.cron.expire_done(self.now, (Expired::default(), false), 0, 1);
        }
        if !self.take(net, self.id) {
            return self.cron.expire_again(self.now);
        }
        let began = net.ticks_ns();
        self.reset_own_tally();
        let short = self.is_short();
        let store = self.hand.store(self.id);
        let keys = store.dbs().map(|(_, db)| db.expires()).sum();
        let expired = store.expire_slice(self.now.ms(), SLICE_ENTRIES, short);
        if store.has_ready() {
            self.serve_ready(net);
        }
        let store = self.hand.store(self.id);
        self.shared.saves.note_changes(self.id, store.dirty);
        self.tell_room();
        self.put_back(net);
        let took_ns = net.ticks_ns().saturating_sub(began);
        let threshold_ms = self.config.latency_monitor_threshold as u64;
        self.tallies.note_latency("expire-cycle", self.now, took_ns, threshold_ms);
        let more = expired.looked_at >= SLICE_ENTRIES && expired.removed + expired.fields > 0;
        self.tallies.expired(&expired, keys, took_ns, more);
        self.cron.expire_done(self.now, (expired, more), took_ns, self.config.active_expire_effort as u64);
    }
}
