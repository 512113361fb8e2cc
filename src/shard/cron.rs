//! What happens by the clock: idle clients, soft output limits, the end of a pause, rates, active expiry.

use super::Core;
use super::connections::Waits;
use super::renew::Renewed;
use crate::base::time::Now;
use crate::ring::net::{ConnId, World};
use crate::store::Expired;

/// How often active expiry looks for what is due, in microseconds.
const EXPIRE_US: u64 = 100_000;
/// The same when it found much. With 100,000 keys a second that live for one, a tenth of all was dead at times, now a twenty-fifth.
const EXPIRE_SOON_US: u64 = 30_000;
/// Connections looked at in one round; all are within a second or, with very many, a few.
const CONNS_PER_ROUND: usize = 1_000;

/// The timers of a shard.
pub(super) struct Cron {
    next_round_us: u64,
    next_expire_us: u64,
    /// What active expiry did since it last had a pause.
    expired: Expired,
    pub next_compact_us: u64,
    pub renewed: Renewed,
    busy: bool,
    /// Much memory was freed here: give it back to the kernel.
    pub purge: bool,
    /// Large strings were freed here. The thread that frees garbage hears of it, and gives memory back when no more is freed.
    pub freed: bool,
    conn_cursor: usize,
    /// DEBUG PAUSE-CRON: nothing of its own accord, but for what ends waits and what is under way for the disk.
    paused: bool,
}

impl Cron {
    pub fn new(now: Now) -> Cron {
        Cron {
            next_round_us: now.mono_us,
            next_expire_us: now.mono_us,
            expired: Expired::default(),
            next_compact_us: now.mono_us,
            renewed: Renewed::new(now.mono_us),
            busy: false,
            purge: false,
            freed: false,
            conn_cursor: 0,
            paused: false,
        }
    }

    /// Stops what goes by the clock, or has it go on.
    pub fn pause(&mut self, on: bool) {
        self.paused = on;
        self.busy &= !on;
    }

    /// Whether expiry wants the next turn.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    pub fn expire_due(&self, now: Now) -> bool {
        now.mono_us >= self.next_expire_us
    }

    /// The store was away: try at the next turn that comes.
    pub fn expire_again(&mut self, now: Now) {
        self.next_expire_us = now.mono_us + 1_000;
    }

    /// A slice did so much, and took `took_ns`. With more to do the next one comes at once: the share of the time is 1/4 at effort 1,
    /// up to 1/2 at 10.
    pub fn expire_done(&mut self, now: Now, (slice, more): (Expired, bool), took_ns: u64, effort: u64) {
        self.expired.add(slice);
        let took_us = took_ns / 1_000 + 1;
        let pause = if more {
            took_us * (13 - effort.clamp(1, 10)) / 4
        } else if std::mem::take(&mut self.expired).is_dense() {
            EXPIRE_SOON_US
        } else {
            EXPIRE_US
        };
        self.busy = more;
        self.next_expire_us = now.mono_us + took_us + pause;
    }
}

impl Core {
    /// Runs what the clock calls for.
    pub(super) fn tick(&mut self, net: &mut dyn World) {
        self.end_pause();
        self.end_waits(net);
        let goes = !self.cron.paused;
        if goes {
            self.expire_slice(net);
        }
        self.walk_slice(net);
        self.weigh_after_change(net);
        self.keep_room(net);
        if goes {
            self.compact_slice(net);
        }
        self.bound_clients(net);
        if self.now.mono_us < self.cron.next_round_us {
            return;
        }
        self.cron.next_round_us = self.now.mono_us + 1_000_000 / u64::from(self.config.hz.max(1));
        if !goes {
            return self.look_after_log(net);
        }
        self.look_for_room();
        self.tallies.sample(self.now);
        if std::mem::take(&mut self.cron.purge) {
            self.shared.control.purge(false);
        }
        if std::mem::take(&mut self.cron.freed) {
            self.shared.control.free(Vec::new());
        }
        self.look_at_save_points(net);
        self.look_after_log(net);
        self.look_after_connections(net);
        self.renew_slice(net);
    }

    /// When the loop has to turn again at the latest, in microseconds from now.
    pub fn deadline_us(&self) -> u64 {
        let mut next = self.cron.next_round_us;
        if !self.cron.paused {
            next = next.min(self.cron.next_expire_us).min(self.cron.next_compact_us);
        }
        if let Some((until_ms, _)) = self.pause {
            let left_us = (until_ms.saturating_sub(self.now.ms()).max(0) as u64).saturating_mul(1_000);
            next = next.min(self.now.mono_us.saturating_add(left_us));
        }
        next = next.min(self.log.next_us());
        if let Some(walk) = &self.walk {
            next = next.min(walk.next_us());
        }
        if let Some(&(at, _)) = self.deadlines.first() {
            next = next.min(at);
        }
        next.saturating_sub(self.now.mono_us)
    }

    fn end_pause(&mut self) {
        if self.pause.is_some_and(|(until_ms, _)| until_ms <= self.now.ms()) {
            (self.pause, self.access.frozen) = (None, false);
        }
        if self.pause.is_none() && !self.is_halted && !self.gate.is_behind() && !self.paused.is_empty() {
            for id in std::mem::take(&mut self.paused) {
                self.unpause_conn(id);
            }
        }
    }

    /// A pause does not hold this connection any more.
    pub(super) fn unpause_conn(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id)
            && conn.waits == Waits::Pause
        {
            conn.waits = Waits::Nothing;
            self.mark_ready(id);
        }
    }

    fn look_after_connections(&mut self, net: &mut dyn World) {
        if self.paused.len() > self.conns.len() {
            // Most of these have gone since.
            let paused = std::mem::take(&mut self.paused);
            self.paused = paused.into_iter().filter(|id| self.conn(*id).is_some()).collect();
        }
        let timeout_secs = self.config.timeout as i64;
        let now_secs = self.now.secs();
        for _ in 0..self.conns.len().min(CONNS_PER_ROUND) {
            self.cron.conn_cursor = (self.cron.conn_cursor + 1) % self.conns.len();
            let Some(conn) = &mut self.conns[self.cron.conn_cursor] else { continue };
            let id = conn.id;
            if timeout_secs > 0 && conn.sending > 0 {
                // The kernel sends a chunk to its end without a word in between.
                let taken = net.progress(id);
                if std::mem::replace(&mut conn.taken, taken) != taken {
                    conn.note_use(now_secs);
                }
            }
            let idle_secs = conn.session.as_ref().map_or(0, |s| now_secs - s.last_secs);
            let idle = timeout_secs > 0
                && matches!(conn.waits, Waits::Nothing | Waits::Reader)
                && idle_secs > timeout_secs;
            if idle {
                self.close(net, id);
            } else if conn.owed() > 0 {
                self.check_output(net, id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long expiry rests after slices that looked at so many entries and removed so many.
    fn rest_us(slices: &[(usize, usize)]) -> u64 {
        let now = Now { wall_us: 0, mono_us: 0 };
        let mut cron = Cron::new(now);
        for (i, &(looked_at, removed)) in slices.iter().enumerate() {
            let more = i + 1 < slices.len();
            cron.expire_done(now, (Expired { looked_at, removed, fields: 0 }, more), 0, 1);
            assert_eq!(cron.busy, more);
        }
        cron.next_expire_us
    }

    #[test]
    fn where_much_was_due_expiry_looks_again_soon() {
        let (often, seldom) = (rest_us(&[(2_048, 80), (300, 0)]), rest_us(&[(2_048, 20), (300, 10)]));
        assert!(often < seldom, "the last slice alone does not tell: {often}, {seldom}");
        assert_eq!(seldom, rest_us(&[(0, 0)]), "nothing is due");
        assert_eq!(seldom, rest_us(&[(50, 50)]), "so few say nothing");
    }
}
