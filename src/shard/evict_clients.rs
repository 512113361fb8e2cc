//! What clients take, and `maxmemory-clients`: when all together take too much, the largest of the process is closed.
//!
//! A connection is counted where its buffers change: when requests arrive, when they have run, when replies are sent. Every
//! shard tells the size of its largest client, so that the shard that has the largest of all closes it.

use super::Core;
use super::evict::Room;
use crate::config::Config;
use crate::ring::net::{ConnId, World};
use std::sync::atomic::Ordering::Relaxed;

/// How often a shard looks through its clients, in microseconds.
const LOOK_US: u64 = 20_000;

impl Core {
    /// Counts what a client takes now.
    #[inline]
    pub(super) fn count_client(&mut self, id: ConnId) {
        if !self.room.counts_clients() || id.is_stream() {
            return;
        }
        let Some(conn) = self.conn(id) else { return };
        let now = conn.memory();
        let before = std::mem::replace(&mut conn.counted, now);
        if now != before {
            self.room.clients = self.room.clients + now - before;
            let account = self.shared.ledger.of(self.id);
            account.set_clients(self.room.clients);
            let limit = self.room.clients_limit;
            if limit != 0 {
                // At once, so that no other shard closes a smaller one meanwhile.
                account.largest_client.fetch_max(now as u64, Relaxed);
                if now > before && self.shared.ledger.clients() > limit {
                    self.room.next_clients_us = 0;
                }
            }
        }
    }

    /// A client goes.
    pub(super) fn forget_client(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        let before = std::mem::take(&mut conn.counted);
        self.room.clients -= before;
        self.shared.ledger.of(self.id).set_clients(self.room.clients);
    }

    /// The bounds on memory may have changed.
    pub(super) fn bound_memory(&mut self, config: &Config) {
        let mut room = Room::new(config, self.shared.server.total_memory);
        let clients = room.counts_clients();
        (room.clients, room.now) = (self.room.clients, self.now);
        (room.garbage, room.to_wake) = (std::mem::take(&mut self.room.garbage), self.room.to_wake);
        self.room = room;
        let ids: Vec<ConnId> = self.conns.iter().flatten().map(|c| c.id).collect();
        for id in ids {
            if clients { self.count_client(id) } else { self.forget_client(id) }
        }
    }

    /// Closes the largest clients of the process, as far as they are this shard's, while all take too much.
    pub(super) fn bound_clients(&mut self, net: &mut dyn World) {
        let limit = self.room.clients_limit;
        if limit == 0 || self.now.mono_us < self.room.next_clients_us {
            return;
        }
        self.room.next_clients_us = self.now.mono_us + LOOK_US;
        loop {
            let conns = self.conns.iter().flatten().filter(|c| !c.closed);
            let may_go =
                conns.filter(|c| c.session.as_ref().is_some_and(|s| !s.no_evict && s.migration.is_none()));
            let largest = may_go.map(|c| (c.counted, c.id)).max_by_key(|(bytes, _)| *bytes);
            let (bytes, id) = largest.unzip();
            let own = self.shared.ledger.of(self.id);
            own.largest_client.store(bytes.unwrap_or(0) as u64, Relaxed);
            let largest_of_all =
                self.shared.ledger.all().iter().map(|a| a.largest_client.load(Relaxed)).max().unwrap_or(0);
            match (id, bytes) {
                (Some(id), Some(bytes))
                    if self.shared.ledger.clients() > limit && bytes as u64 >= largest_of_all =>
                {
                    self.tallies.counters.evicted_clients += 1;
                    self.close(net, id);
                    self.forget_client(id);
                }
                _ => return,
            }
        }
    }
}
