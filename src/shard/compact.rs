//! Compaction: after deletions and evictions the slabs of a heap hold few entries each. These are moved together, a slice
//! between turns, until the rest can be given back. Only a bucket's slot points to an entry, so moving one is a copy.

use super::Core;
use crate::ring::net::World;

/// Buckets of one slice: about 100 us.
const SLICE_BUCKETS: usize = 128;
/// How often the heaps are looked at, in microseconds.
const LOOK_US: u64 = 100_000;
/// A slice is followed by so many times its own time without one: while nothing presses, while memory is near its bound, and
/// where a slice found nothing to move.
const PAUSES: u64 = 6;
const PAUSES_WHEN_SHORT: u64 = 2;
const PAUSES_WHEN_IDLE: u64 = 20;
const RETRY_US: u64 = 1_000;

impl Core {
    /// One slice, when it is due and the store is at home.
    pub(super) fn compact_slice(&mut self, net: &mut dyn World) {
        if self.now.mono_us < self.cron.next_compact_us {
            return;
        }
        if !self.take(net, self.id) {
            self.cron.next_compact_us = self.now.mono_us + RETRY_US;
            return;
        }
        let began = net.ticks_ns();
        let short = self.is_short();
        let moved = self.hand.store(self.id).compact_slice(SLICE_BUCKETS, short);
        self.put_back(net);
        let took_us = net.ticks_ns().saturating_sub(began) / 1_000 + 1;
        self.tallies.counters.compacted += moved.unwrap_or(0) as u64;
        let pause_us = match moved {
            None => LOOK_US,
            Some(0) => took_us * PAUSES_WHEN_IDLE,
            Some(_) if short => took_us * PAUSES_WHEN_SHORT,
            Some(_) => took_us * PAUSES,
        };
        self.cron.next_compact_us = self.now.mono_us + took_us + pause_us;
    }
}
