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
use super::hold::Hold;
use super::mail::Chore;
use super::saves::WHOLE;
use super::{Core, Job, Letter};
use crate::resp::Parser;
use crate::ring::net::World;

/// After chores on so many keys the store is put back, for others to have it in between. A chore is done whole.
pub(super) const CHORE_KEYS_PER_HOLD: usize = 256;

impl Core {
    /// Sends the first job on its way, to the lowest shard that it needs.
    pub(super) fn dispatch(&mut self, job: Box<Job>) {
        let first = self.first_visit(&job).unwrap_or(job.home);
        self.post(first, Letter::Visit(job));
    }

    /// Serves jobs, reports and chores that wait for this shard's store, as long as it can be had.
    pub(super) fn serve_waiting(&mut self, net: &mut dyn World) {
        let mut did_chores = false;
        while self.wants_store() {
            let cell = &self.shared.cells[self.id];
            let mut taken = cell.take_as_owner();
            if taken.is_none() {
                // Say so, then look again: a put in between may not have seen the wish.
                cell.set_wanted(true);
                taken = cell.take_as_owner();
            }
            let Some(store) = taken else { return };
            cell.set_holder(self.id);
            if let Some((from, ticket, parts)) = self.asks.pop_front() {
                self.hand.add(store);
                let report = self.report(parts, net.cpu_us());
                self.put_back(net);
                self.post(from, Letter::Answer { ticket, report: Box::new(report) });
                continue;
            }
            // Chores and jobs take turns.
            if !self.chores.is_empty() && (!did_chores || self.waiting.is_empty()) {
                self.hand.add(store);
                self.do_chores();
                self.put_back(net);
                did_chores = true;
                continue;
            }
            did_chores = false;
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
        let mut next = self.next_visit(job, self.id);
        while let Some(shard) = next {
            let Some(store) = self.shared.cells[shard].take() else { break };
            job.loans.push(store);
            next = self.next_visit(job, shard);
        }
        next
    }

    /// Does what others have asked for in this shard's store, which is in hand; what there is no time for now stays.
    pub(super) fn do_chores(&mut self) {
        let store = self.hand.store(self.id);
        let mut keys_done = 0;
        while keys_done < CHORE_KEYS_PER_HOLD
            && let Some(chore) = self.chores.pop_front()
        {
            keys_done += chore.keys();
            match chore {
                Chore::Unwatch { watcher, keys } => {
                    keys.iter().for_each(|watched| store.unwatch(watched.db, &watched.key, &watcher));
                }
                Chore::Unlock { holder, keys } => keys.iter().for_each(|key| store.unlock(key, holder)),
                Chore::Leave(wait) => {
                    let here = |key: &&[u8]| self.shared.route.owner(key) == self.id;
                    wait.keys().filter(here).for_each(|key| store.leave_line(wait.waiter.db, key, &wait));
                }
            }
        }
        self.tell_unlocked();
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
        let need = match stop {
            Stop::Mail(need) | Stop::Away(need) => Some(need),
            _ => None,
        };
        if let Some(need) = need {
            job.need = need;
            return self.dispatch(job);
        }
        job.close = matches!(stop, Stop::Close);
        match stop {
            Stop::Block(blocked) => job.blocked = Some(blocked),
            Stop::Locked(unlocks) => job.locked_out = Some(unlocks),
            _ => {}
        }
        let home = job.home;
        self.post(home, Letter::Home(job));
    }

    /// A job is back: its replies, its session, and what it could not run elsewhere.
    pub(super) fn come_home(&mut self, net: &mut dyn World, mut job: Job) {
        self.bend_replies(&mut job.out);
        let id = job.conn;
        let brings = !job.loans.is_empty();
        job.loans.drain(..).for_each(|store| self.hand.add(store));
        if id == WHOLE {
            return self.whole_in_hand(net);
        }
        let Some(conn) = self.conn(id).filter(|conn| !conn.closed) else {
            self.forget_watches(&mut job.session);
            self.abandon_migration(&mut job.session);
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
        let is_doomed = std::mem::take(&mut conn.doomed);
        conn.out.append(&mut job.out);
        conn.input.iter_mut().for_each(|input| input.mailed = 0);
        if !job.input.is_empty() {
            Core::input_of(conn).push_front(&job.input);
        }
        conn.input.take_if(|input| input.len() == 0);
        let (buf, _) = job.out.take(Vec::new());
        self.recycle(buf);
        self.hold = job.hold;
        self.hold_replies(id);
        if let Some(blocked) = job.blocked {
            self.mark_dirty(id);
            return self.begin_wait(net, id, blocked);
        }
        if is_doomed {
            self.close(net, id);
        }
        if let Some(unlocks) = job.locked_out {
            self.mark_dirty(id);
            self.wait_for_unlock(id, unlocks);
            return self.close_if_done(net, id);
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
