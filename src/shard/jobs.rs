//! Jobs: a batch whose stores could not be had at home travels to them.
//!
//! ```text
//!  home ──Visit──> owner 1 ──Visit──> owner 3 ──Home──> home
//!                  lends store 1      has 1 and 3 in hand: runs, puts both back
//! ```
//! An owner serves its jobs first come, first served; while one waits, the store's cell is `wanted` and no borrower
//! takes it. Owners are visited in ascending order, so no two jobs can wait for each other.

use super::connections::Waits;
use super::drive::{Stop, Work};
use super::evict::Room;
use super::hold::Hold;
use super::log::BATCH;
use super::mail::Chore;
use super::saves::WHOLE;
use super::{Core, Job, Letter, Shared};
use crate::metrics::Counters;
use crate::resp::Parser;
use crate::ring::net::World;
use crate::store::{Garbage, Hand, ShardSet, Store};

/// With so many bytes on their way to be freed, shards free values themselves.
const GARBAGE_BYTES: u64 = 32 << 20;

/// What taking stores and putting them back needs of a core, so that a command's context can hold the rest.
pub(super) struct Lending<'a> {
    pub shared: &'a Shared,
    pub net: &'a mut dyn World,
    pub counters: &'a mut Counters,
    pub room: &'a mut Room,
    pub hold: &'a mut Hold,
}

impl Lending<'_> {
    /// Takes a store into the hand: at once, or within a short spin.
    #[inline]
    pub fn take(&mut self, hand: &mut Hand, shard: usize, spin_ns: u64) -> bool {
        let cell = &self.shared.cells[shard];
        let mut taken = cell.take();
        if taken.is_none() && spin_ns > 0 {
            let until = self.net.ticks_ns() + spin_ns;
            while taken.is_none() && !cell.is_wanted() && self.net.ticks_ns() < until {
                std::hint::spin_loop();
                taken = cell.take();
            }
        }
        match taken {
            Some(store) => {
                hand.add(store);
                self.counters.borrows += 1;
                true
            }
            None => {
                self.counters.borrow_misses += 1;
                false
            }
        }
    }

    /// Puts every store in hand back, and then, with empty hands, wakes owners that wait and sends garbage away: both may
    /// enter the kernel.
    #[inline]
    pub fn put_back(&mut self, hand: &mut Hand, here: usize) {
        if let Some(shard) = hand.only()
            && !hand.peek(shard).has_garbage()
            && self.room.is_tidy()
        {
            let Some(store) = hand.remove(shard) else { return };
            self.room.tell(self.shared, &store);
            let wakes = store.log.has_news() && self.publish(&store);
            if (self.shared.cells[shard].put(store) | wakes) && shard != here {
                self.net.wake(shard);
            }
            return;
        }
        if hand.held() > 0 || !self.room.is_tidy() {
            self.put_back_all(hand, here);
        }
    }

    /// Tells how far a store has logged, and notes what replies that saw it wait for. Whether its owner has to hear of it now.
    fn publish(&mut self, store: &Store) -> bool {
        let board = &self.shared.saves.log;
        let (line, position) = (board.of(store.shard()), store.log.position());
        let before = line.logged();
        if position > before {
            line.set_logged(position);
        }
        if board.is_strict() {
            self.hold.add_seen(store, board);
            return position > before;
        }
        // Nothing waited before, and so the owner does not count the time; or there is enough for a write.
        let waits = store.log.len() as u64;
        position > before && (waits == position - before || waits >= BATCH)
    }

    fn put_back_all(&mut self, hand: &mut Hand, here: usize) {
        let mut garbage = std::mem::take(&mut self.room.garbage);
        let mut to_wake = std::mem::replace(&mut self.room.to_wake, ShardSet::EMPTY);
        // All positions before any store: who takes one of them may depend on the others.
        for store in hand.iter().filter(|store| store.log.has_news()) {
            if self.publish(store) {
                to_wake.insert(store.shard());
            }
        }
        to_wake.remove(&ShardSet::one(here));
        while let Some(shard) = hand.first() {
            let Some(mut store) = hand.remove(shard) else { break };
            if let Some(mut more) = store.take_garbage() {
                garbage.append(&mut more);
            }
            self.room.tell(self.shared, &store);
            if self.shared.cells[shard].put(store) && shard != here {
                to_wake.insert(shard);
            }
        }
        to_wake.iter().for_each(|shard| self.net.wake(shard));
        if !garbage.is_empty() {
            self.counters.lazy_freed += garbage.len() as u64;
            if self.shared.control.pending().bytes > GARBAGE_BYTES {
                // More comes than the other thread frees: memory would grow over its bound. Databases still go there.
                garbage.retain(|g| matches!(g, Garbage::Table { .. }));
            }
            self.shared.control.free(garbage);
        }
    }
}

impl Core {
    /// Takes a store into the hand: at once, or within a short spin.
    pub(super) fn take(&mut self, net: &mut dyn World, shard: usize) -> bool {
        let mut lending = Lending {
            shared: &self.shared,
            net,
            counters: &mut self.tallies.counters,
            room: &mut self.room,
            hold: &mut self.hold,
        };
        lending.take(&mut self.hand, shard, self.policy.take_spin_ns)
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

    /// Puts every store in hand back.
    pub(super) fn put_back(&mut self, net: &mut dyn World) {
        let mut lending = Lending {
            shared: &self.shared,
            net,
            counters: &mut self.tallies.counters,
            room: &mut self.room,
            hold: &mut self.hold,
        };
        lending.put_back(&mut self.hand, self.id);
    }

    /// Sends the first job on its way, to the lowest shard that it needs.
    pub(super) fn dispatch(&mut self, job: Box<Job>) {
        let first = job.need.next(0).unwrap_or(job.home);
        self.post(first, Letter::Visit(job));
    }

    /// Serves jobs, reports and chores that wait for this shard's store, as long as it can be had.
    pub(super) fn serve_waiting(&mut self, net: &mut dyn World) {
        while self.wants_store() {
            let cell = &self.shared.cells[self.id];
            let mut taken = cell.take_as_owner();
            if taken.is_none() {
                // Say so, then look again: a put in between may not have seen the wish.
                cell.set_wanted(true);
                taken = cell.take_as_owner();
            }
            let Some(store) = taken else { return };
            if let Some((from, ticket, parts)) = self.asks.pop_front() {
                self.hand.add(store);
                let report = self.report(parts);
                self.put_back(net);
                self.post(from, Letter::Answer { ticket, report: Box::new(report) });
                continue;
            }
            if !self.chores.is_empty() {
                self.hand.add(store);
                self.do_chores();
                self.put_back(net);
                continue;
            }
            let Some(mut job) = self.waiting.pop_front() else { break };
            job.loans.push(store);
            let next = self.take_for(&mut job);
            match next {
                Some(next) => {
                    self.tallies.counters.loans += 1;
                    self.post(next, Letter::Visit(job));
                }
                None => self.run_job(net, job),
            }
        }
        self.shared.cells[self.id].set_wanted(false);
    }

    /// Takes the higher stores that a job needs, as far as they are at home: the shard whose store is not. Without this,
    /// every such job would travel for each of its stores, and the stores with it.
    fn take_for(&mut self, job: &mut Job) -> Option<usize> {
        let mut next = job.need.next(self.id + 1);
        while let Some(shard) = next {
            let Some(store) = self.shared.cells[shard].take() else { break };
            job.loans.push(store);
            next = job.need.next(shard + 1);
        }
        next
    }

    /// Does what others have asked for in this shard's store, which is in hand.
    fn do_chores(&mut self) {
        let store = self.hand.store(self.id);
        for chore in self.chores.drain(..) {
            match chore {
                Chore::Unwatch { watcher, keys } => {
                    keys.iter().for_each(|watched| store.unwatch(watched.db, &watched.key, &watcher));
                }
                Chore::Leave(wait) => {
                    let here = |key: &&[u8]| self.shared.route.owner(key) == self.id;
                    wait.keys().filter(here).for_each(|key| store.sweep_line(wait.waiter.db, key));
                }
            }
        }
    }

    /// Runs a job that has all its stores, and sends it on.
    fn run_job(&mut self, net: &mut dyn World, mut job: Box<Job>) {
        if job.errand {
            let home = job.home;
            return self.post(home, Letter::Home(job));
        }
        for store in job.loans.drain(..) {
            self.hand.add(store);
        }
        let input = std::mem::take(&mut job.input);
        let mut work = Work {
            session: &mut job.session,
            out: &mut job.out,
            input: &input,
            at: 0,
            parser: Parser::default(),
            partial: &mut Vec::new(),
            home: false,
            client: (job.home, job.conn),
            room: usize::MAX,
            reports: None,
        };
        self.hold = Hold::default();
        let stop = self.drive(net, &mut work);
        let at = work.at;
        self.put_back(net);
        self.let_reads_out();
        job.hold.merge(&std::mem::take(&mut self.hold));
        job.input = input;
        job.input.drain(..at);
        if let Some(replay) = &mut job.session.replay {
            replay.base += at;
            job.out.clear();
        }
        if let Stop::Mail(need) = stop {
            job.need = need;
            return self.dispatch(job);
        }
        job.close = matches!(stop, Stop::Close);
        if let Stop::Block(blocked) = stop {
            job.blocked = Some(blocked);
        }
        let home = job.home;
        self.post(home, Letter::Home(job));
    }

    /// A job is back: its replies, its session, and what it could not run elsewhere.
    pub(super) fn come_home(&mut self, net: &mut dyn World, mut job: Job) {
        let id = job.conn;
        let brings = !job.loans.is_empty();
        job.loans.drain(..).for_each(|store| self.hand.add(store));
        if id == WHOLE {
            return self.whole_in_hand(net);
        }
        let Some(conn) = self.conn(id).filter(|conn| !conn.closed) else {
            self.forget_watches(&mut job.session);
            job.blocked.iter().for_each(|blocked| self.give_up(blocked));
            return self.put_back(net);
        };
        if let Some(replay) = &mut job.session.replay {
            // What is at hand begins at the beginning of the piece again.
            replay.base = 0;
        }
        conn.session = Some(job.session);
        conn.shown = None;
        conn.waits = Waits::Nothing;
        conn.closing |= job.close;
        conn.out.append(&mut job.out);
        if !job.input.is_empty() {
            Core::input_of(conn).push_front(&job.input);
        }
        conn.input.take_if(|input| input.len() == 0);
        let (_, buf) = job.out.take(Vec::new());
        self.recycle(buf);
        self.hold = job.hold;
        self.hold_replies(id);
        if let Some(blocked) = job.blocked {
            self.mark_dirty(id);
            return self.begin_wait(net, id, blocked);
        }
        let Some(conn) = self.conn(id) else { return };
        if brings && conn.may_run() {
            self.run_input(net, id);
            self.check_input(net, id);
        }
        self.put_back(net);
        self.mark_ready(id);
        self.mark_dirty(id);
        self.close_if_done(net, id);
    }
}
