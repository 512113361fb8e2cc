//! Taking stores and putting them back, and connections that wait for one which is away.
//!
//! A store is away for a few microseconds, or, when the core that holds it has something else to run, for milliseconds. So: spin
//! for somewhat longer than a batch takes, once, and not at all when the holder is a shard on the same core, which cannot
//! run meanwhile. Who then finds it away still, spins no more for what the same shard holds until that has put something back. The
//! connection is put off; the shard goes on with others, and when there are none it asks the cell for a call and sleeps, which is what
//! gives the holder its core back. Only a connection that was put off again and again sends its batch to the owner by mail:
//! there it has its turn for certain.

use super::Core;
use super::connections::Waits;
use super::evict::Room;
use super::log::BATCH;
use super::planted::Planted;
use crate::base::cell::{Back, caller_bit};
use crate::base::heap::is_short;
use crate::ring::net::{ConnId, World};
use crate::store::{Garbage, ShardSet, Store, Value};

/// With so many bytes on their way to be freed, shards free values themselves.
const GARBAGE_BYTES: u64 = 32 << 20;
/// A string at least this large is freed by another thread: to give its memory back to the kernel may take a fraction of a
/// millisecond. To hand over one of 1 MB took a quarter of the CPU of its SET.
const STRING_HANDED_FROM: usize = 8 << 20;
/// How often in a row a connection is put off before it sends its batch to the owner.
const PUT_OFF_MAX: u8 = 4;

/// The shards that are pinned to the same core as shard `id`.
pub(super) fn siblings(cores: &[Option<usize>], id: usize) -> ShardSet {
    let mut set = ShardSet::EMPTY;
    let Some(Some(core)) = cores.get(id) else { return set };
    let same = |s: &usize| *s != id && cores[*s] == Some(*core);
    (0..cores.len()).filter(same).for_each(|s| set.insert(s));
    set
}

impl Room {
    /// Notes who has to be woken because a store of this shard went back, for when the hands are empty.
    #[inline]
    pub fn note_back(&mut self, shard: usize, back: Back, here: usize, shards: usize) {
        if !back.is_quiet() {
            self.note_calls(shard, back, here, shards);
        }
    }

    #[cold]
    fn note_calls(&mut self, shard: usize, back: Back, here: usize, shards: usize) {
        let called = |s: &usize| back.wanted && *s == shard || back.callers & caller_bit(*s) != 0;
        (0..shards).filter(|s| *s != here).filter(called).for_each(|s| self.to_wake.insert(s));
    }
}

impl Core {
    /// Takes a store into the hand: at once, or within a short spin.
    #[inline]
    pub(super) fn take(&mut self, net: &mut dyn World, shard: usize) -> bool {
        if self.take_now(shard) {
            return true;
        }
        let Some(store) = self.take_late(net, shard) else {
            self.tallies.counters.borrow_misses += 1;
            return false;
        };
        self.got(shard, store);
        true
    }

    /// Takes a store into the hand, if it is there.
    #[inline]
    pub(super) fn take_now(&mut self, shard: usize) -> bool {
        let taken = self.shared.cells[shard].take();
        taken.map(|store| self.got(shard, store)).is_some()
    }

    #[inline]
    fn got(&mut self, shard: usize, store: Box<Store>) {
        let cell = &self.shared.cells[shard];
        let before = cell.holder();
        if before != self.id {
            cell.set_holder(self.id);
            if !self.away.is_empty() {
                // It has put a store back, so it runs.
                self.away.remove(&ShardSet::one(before));
            }
        }
        self.hand.add(store);
        self.tallies.counters.borrows += 1;
    }

    /// Spins for a store that is away, unless its holder does not run.
    #[inline(never)]
    fn take_late(&mut self, net: &mut dyn World, shard: usize) -> Option<Box<Store>> {
        let cell = &self.shared.cells[shard];
        let until = net.ticks_ns() + self.policy.take_spin_ns;
        loop {
            let holder = cell.holder();
            if cell.is_wanted() || self.siblings.contains(holder) || self.away.contains(holder) {
                return None;
            }
            std::hint::spin_loop();
            let taken = cell.take();
            if taken.is_some() {
                return taken;
            }
            if net.ticks_ns() >= until {
                self.away.insert(holder);
                return None;
            }
        }
    }

    /// Takes the stores of a set, in ascending order, or none.
    pub(super) fn take_all(&mut self, net: &mut dyn World, set: ShardSet) -> bool {
        for shard in set.iter() {
            if !self.take(net, shard) {
                self.put_back(net);
                return false;
            }
        }
        true
    }

    /// Puts every store in hand back, and then, with empty hands, wakes who waits for one and sends garbage away: both may enter
    /// the kernel.
    #[inline]
    pub(super) fn put_back(&mut self, net: &mut dyn World) {
        if self.hand.has_news() {
            self.publish();
        }
        while let Some(shard) = self.hand.first() {
            let Some(mut store) = self.hand.remove(shard) else { break };
            if let Some(mut more) = store.take_garbage() {
                self.room.garbage.append(&mut more);
            }
            self.room.tell(&self.shared, &store);
            let back = self.shared.cells[shard].put(store);
            self.room.note_back(shard, back, self.id, self.shared.cells.len());
        }
        if !self.room.is_tidy() {
            self.tidy(net);
        }
    }

    /// Tells how far the stores in hand have logged, before anybody can take one: who does may depend on the others. Notes what
    /// replies that saw them wait for, and owners that have to hear of it now.
    fn publish(&mut self) {
        let board = &self.shared.saves.log;
        let strict = board.is_strict();
        for store in self.hand.iter().filter(|store| store.log.has_news()) {
            let (line, position) = (board.of(store.shard()), store.log.position());
            let before = line.logged();
            if position > before {
                line.set_logged(position);
            }
            if strict {
                self.hold.add_seen(store, board);
            }
            let waits = store.log.len() as u64;
            // Nothing waited before, and so the owner does not count the time; or there is enough for a write.
            let due = strict || waits <= position - before.min(position) || waits >= BATCH;
            if position > before && due && store.shard() != self.id {
                self.room.to_wake.insert(store.shard());
            }
        }
    }

    #[cold]
    fn tidy(&mut self, net: &mut dyn World) {
        let to_wake = std::mem::replace(&mut self.room.to_wake, ShardSet::EMPTY);
        if !self.planted(Planted::NotCalled) {
            to_wake.iter().for_each(|shard| net.wake(shard));
        }
        let mut garbage = std::mem::take(&mut self.room.garbage);
        if !garbage.is_empty() {
            if self.shared.control.pending().bytes > GARBAGE_BYTES {
                // More comes than the other thread frees: memory would grow over its bound. Databases still go there.
                garbage.retain(|g| matches!(g, Garbage::Table { .. }));
            } else {
                // A string is a block or two. Where memory is short room is wanted now, and not when that thread has its turn; else the
                // next string has the memory that is warm, and nobody is woken.
                let at_once = if is_short() { usize::MAX } else { STRING_HANDED_FROM };
                let is_string = |g: &Garbage| matches!(g, Garbage::Value(Value::Str(_)));
                garbage.retain(|g| !is_string(g) || g.bytes() >= at_once);
            }
            if garbage.is_empty() && !is_short() {
                self.cron.freed = true;
                return;
            }
            self.tallies.counters.lazy_freed += garbage.iter().map(|g| g.objects() as u64).sum::<u64>();
            self.shared.control.free(garbage);
        }
    }

    /// The next command of a connection needs stores of which one is away: it waits for that here, or, if it has done so often,
    /// at the owner.
    pub(super) fn put_off(&mut self, id: ConnId, need: ShardSet) {
        let away = need.iter().find(|&s| !self.shared.cells[s].is_home()).or(need.next(0));
        let Some(conn) = self.conn(id) else { return };
        let Some(shard) = away else { return self.mark_ready(id) };
        if conn.put_off > PUT_OFF_MAX {
            conn.put_off = 0;
            return self.mail_batch(id, need);
        }
        conn.waits = Waits::Store;
        self.put_off.push((id, shard));
    }

    /// Connections go on whose store is back.
    pub(super) fn go_on(&mut self) {
        if self.put_off.is_empty() {
            return;
        }
        let mut put_off = std::mem::take(&mut self.put_off);
        put_off.retain(|&(id, shard)| {
            if !self.shared.cells[shard].is_home() {
                return true;
            }
            if let Some(conn) = self.conn(id)
                && conn.waits == Waits::Store
            {
                conn.waits = Waits::Nothing;
                self.mark_ready(id);
            }
            false
        });
        self.put_off = put_off;
    }

    /// Asks to be called when a store is back that connections wait for: before sleeping. Whether one is back already.
    pub(super) fn ask_for_calls(&self) -> bool {
        self.put_off.iter().any(|&(_, shard)| {
            let cell = &self.shared.cells[shard];
            cell.call(self.id);
            cell.is_home()
        })
    }

    /// Whether a store is here that connections wait for.
    pub fn keeps_waiting(&self) -> bool {
        self.put_off.iter().any(|&(_, shard)| self.shared.cells[shard].is_home())
    }
}
