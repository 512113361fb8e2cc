//! Replies on their way out: one chunk under way per connection, and what bounds those that wait.

use super::Core;
use super::connections::{Conn, Waits};
use crate::ring::net::{Chunk, ConnId, World};

/// The most bytes of replies that wait for a client which has not authenticated: Redis's buffer and the 1 KB behind it.
const STRANGER_MAX: u64 = 17 << 10;

impl Core {
    /// Sends what this turn's commands have replied: one send per connection that has no other under way.
    pub fn flush(&mut self, net: &mut dyn World) {
        self.release_held(net);
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            self.flush_one(net, id);
        }
        self.dirty = dirty;
    }

    /// The store that a batch of this connection begins with is away: instead of waiting for it, sends what others have been replied so
    /// far. It would be sent at the end of the turn, in a system call that takes longer than the store is away.
    #[inline(never)]
    pub(super) fn flush_meanwhile(&mut self, net: &mut dyn World, busy: ConnId) {
        self.assert_empty_handed();
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut sends = false;
        dirty.retain(|&id| {
            if id != busy {
                sends |= self.flush_one(net, id);
            }
            id == busy
        });
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
        // Where the disk is waited for, all replies may have been held back.
        if sends {
            net.start_now();
        }
    }

    /// Whether there is something to send now.
    fn flush_one(&mut self, net: &mut dyn World, id: ConnId) -> bool {
        let Some(conn) = self.conn(id) else { return false };
        conn.in_dirty = false;
        if id.is_stream() {
            // Nobody hears what orders and jobs have replied.
            conn.out.clear();
            return false;
        }
        if conn.closed {
            return false;
        }
        // A parked connection's replies wait for the order that its last command gave.
        if conn.sending == 0 && !matches!(conn.waits, Waits::Ticket(_)) {
            if conn.is_held && self.must_wait(id) {
                self.check_output(net, id);
                return false;
            }
            if let Some(chunk) = self.conn(id).and_then(Conn::next_chunk) {
                self.send(net, id, chunk);
                return true;
            }
        }
        self.check_output(net, id);
        self.close_if_done(net, id);
        false
    }

    fn send(&mut self, net: &mut dyn World, id: ConnId, chunk: Chunk) {
        if let Some(conn) = self.conn(id) {
            conn.sending = chunk.len();
        }
        self.assert_empty_handed();
        net.send(id, chunk);
        self.check_output(net, id);
    }

    /// Closes a connection whose replies are over `client-output-buffer-limit normal`, or too many for one that has not
    /// authenticated.
    pub(super) fn check_output(&mut self, net: &mut dyn World, id: ConnId) {
        self.count_client(id);
        let limit = self.config.client_output_buffer_limit.normal;
        let now_us = self.now.mono_us;
        let Some(conn) = self.conn(id) else { return };
        let owed = conn.owed() as u64;
        if limit.soft == 0 || owed <= limit.soft {
            conn.soft_since_us = 0;
        } else if conn.soft_since_us == 0 {
            conn.soft_since_us = now_us.max(1);
        }
        let soft = conn.soft_since_us != 0
            && now_us - conn.soft_since_us > limit.soft_seconds.saturating_mul(1_000_000);
        let hard = if limit.hard > 0 { limit.hard } else { u64::MAX };
        let stranger = owed > STRANGER_MAX
            && self.conn(id).and_then(|c| c.session.as_deref()).is_some_and(|s| !s.authenticated)
            && !self.config.requirepass.is_empty();
        if soft || owed > hard || stranger {
            self.tallies.counters.output_buffer_closed += 1;
            self.close(net, id);
        }
    }

    /// How many more reply bytes a connection may gather before its next commands wait for its peer. With an output limit
    /// in force nothing waits: the limit judges.
    pub(super) fn room(&self, owed: usize) -> usize {
        let limit = &self.config.client_output_buffer_limit.normal;
        if limit.hard > 0 || limit.soft > 0 {
            return usize::MAX;
        }
        (self.config.output_high_water as usize).saturating_sub(owed)
    }
}
