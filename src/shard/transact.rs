//! MULTI and EXEC at work: a command joins its session's queue; the queue runs as one.
//!
//! ```text
//!  EXEC ─ reports of all shards, if a queued command asks for some
//!       ─ all stores that the queue and the watched keys need: borrowed, lent to its job, or fetched home
//!       ─ every command of the queue, each counted and timed as if it came alone
//!       ─ the orders that they gave, one after the other; then the reply goes out
//! ```
//! A queue with a command that only home can run (it gives an order, or tells of all shards) runs at home. What such a command
//! tells or orders holds for those behind it in the queue: see [`Core::foresee`].

use super::batch::{brief_key, place_of};
use super::connections::Waits;
use super::drive::{Stop, Work};
use super::mail::Chore;
use super::orders::Step;
use super::planted::Planted;
use super::{Core, Letter};
use crate::cmd::registry::Found;
use crate::cmd::row::flag;
use crate::cmd::server::debug;
use crate::cmd::session::ReplyMode;
use crate::cmd::transaction::{Queue, Watched};
use crate::cmd::{Order, Outcome, Plan, Report, Session};
use crate::resp::{Args, Mark, Out};
use crate::ring::net::{ConnId, World};
use crate::store::ShardSet;
use std::collections::VecDeque;

const NOT_QUEUED: &str = "ERR Command not allowed inside a transaction";

impl Core {
    /// A command between MULTI and EXEC: it joins the queue, or spoils the transaction.
    #[inline(never)]
    pub(super) fn queue(
        &mut self,
        work: &mut Work<'_>,
        found: Found,
        args: Args<'_>,
        mark: Mark,
    ) -> Option<Stop> {
        work.session.last_command = Some(found.id);
        let place = place_of(found, args, self.shared.route);
        let refused = if found.row.is(flag::NO_MULTI) {
            Some(NOT_QUEUED)
        } else if found.row.is(flag::PROTECTED) {
            debug::refusal(&self.config, work.session)
        } else {
            None
        };
        let Some(transaction) = &mut work.session.transaction else { return None };
        if let Some(text) = refused {
            transaction.spoiled = true;
            work.out.error_text(text);
            work.out.take_errors();
            self.tallies.rejected(text.as_bytes(), Some(found.id));
        } else {
            transaction.push(found, args, place);
            if transaction.memory as u64 > self.config.client_query_buffer_limit {
                self.tallies.counters.query_buffer_closed += 1;
                return Some(Stop::Close);
            }
            work.out.raw(b"+QUEUED\r\n");
        }
        self.reply_mode(work, mark);
        None
    }

    /// A command was refused: if it came between MULTI and EXEC, nothing will run. The text to reply with, since EXEC itself, which
    /// ends what was begun, says more.
    pub(super) fn spoil(&mut self, session: &mut Session, found: Option<Found>, text: Vec<u8>) -> Vec<u8> {
        if found.is_none_or(|found| found.row.name != "exec") {
            if let Some(transaction) = &mut session.transaction {
                transaction.spoiled |= transaction.queueing;
            }
            return text;
        }
        self.forget_watches(session);
        session.transaction = None;
        let why = text.strip_prefix(b"ERR ").unwrap_or(&text);
        [b"EXECABORT Transaction discarded because of: ", why].concat()
    }

    /// Runs the queue of a session. The stores that it needs are in hand.
    #[inline(never)]
    pub(super) fn exec(&mut self, net: &mut dyn World, work: &mut Work<'_>) -> Option<Stop> {
        // The rest of the transaction stays where it is: CLIENT LIST in the queue tells of it.
        let queue = std::mem::take(&mut work.session.transaction.as_mut()?.queue);
        let asked = work.session.last_command;
        work.out.array(queue.len());
        let hashes = self.prefetch_queue(&queue, work);
        let mut orders = Orders::default();
        let (mut ticks, mut slept_us) = (net.ticks_ns(), 0);
        for (i, hash) in (0..queue.len()).zip(hashes) {
            let (found, args) = queue.at(i);
            if let Plan::Gather(parts) = found.row.plan {
                self.bring_up_to_date(work.reports.as_deref_mut().unwrap_or_default(), parts);
            }
            let mark = work.out.mark();
            let mut outcome = self.call(work, found, hash, args);
            if let Outcome::Consult = outcome {
                outcome = self.consult_at_once(work, found, hash, args);
            }
            self.hand.stamp_ready();
            if let Outcome::Everywhere(Order::Sleep(us)) = outcome {
                // Here and now, stores in hand: what comes behind it is to come later.
                net.sleep_us(us);
                slept_us += us;
            }
            let done = net.ticks_ns();
            self.account(work, found, args, mark, done.saturating_sub(ticks));
            ticks = done;
            if self.planted(Planted::PutBackEarly) && i + 1 < queue.len() {
                self.let_go(net);
            }
            if work.session.reply == ReplyMode::Off || orders.silent {
                work.out.cut(mark);
            }
            if let Outcome::Block(block) = outcome {
                (block.at_once)(work.out);
            } else if let Outcome::Everywhere(order) = outcome
                && !matches!(order, Order::Sleep(_))
            {
                let order = self.stamped(order);
                self.foresee(&order, work.reports.as_deref_mut().unwrap_or_default());
                orders.silent |=
                    matches!(&order, Order::Kill(ids) if ids.binary_search(&work.session.id).is_ok());
                orders.add(order, work.out);
            }
        }
        work.session.last_command = asked;
        work.session.transaction = None;
        work.reports = None;
        // One instant for all of the queue; whoever waits for what it has done is served at a later one.
        self.now = self.now.later(slept_us);
        orders.finish(work.out)
    }

    /// Sends for the first keys of the queue's commands, and gives their hashes (0: not known).
    fn prefetch_queue(&self, queue: &Queue, work: &Work<'_>) -> Vec<u64> {
        let hash = |i: usize| {
            let (found, args) = queue.at(i);
            let Some(key) = brief_key(found).and_then(|at| args.get(at)) else { return 0 };
            let table = self.hand.peek(self.hand.owner(key)).db(work.session.db).table();
            let hash = table.hash(key);
            table.prefetch(hash);
            hash
        };
        (0..queue.len()).map(hash).collect()
    }

    /// Brings into reports that were gathered before what has happened since: in the stores, which are all in hand, and here.
    fn bring_up_to_date(&mut self, reports: &mut [Report], parts: u32) {
        let now = self.now;
        for report in reports {
            if report.shard == self.id {
                self.tallies.report(parts, now, report);
                report.repl_id = self.repl_id.clone();
            }
            self.report_store(parts, report);
        }
    }

    /// Does at once what an order will do here, as far as commands behind it in the queue can tell, and to the reports what it
    /// will do elsewhere. All shards carry it out when the queue has run.
    fn foresee(&mut self, order: &Order, reports: &mut [Report]) {
        match order {
            Order::Configure(pairs) => self.configure(pairs),
            Order::ResetStats => {
                self.tallies.reset();
                for report in reports {
                    report.counters = Default::default();
                    report.errors = Default::default();
                    report.commands.clear();
                    self.hand.store(report.shard).tally = Default::default();
                }
            }
            Order::ResetSlowlog { before } => {
                self.tallies.slowlog.retain(|entry| entry.id >= *before);
                reports.iter_mut().for_each(|report| report.slowlog.clear());
            }
            Order::ResetLatency(events) => {
                self.tallies.latency.reset(events);
                reports.iter_mut().for_each(|report| {
                    report.latency.reset(events);
                });
            }
            Order::Kill(ids) => {
                reports
                    .iter_mut()
                    .for_each(|r| r.clients.retain(|c| ids.binary_search(&c.session.id).is_err()));
            }
            Order::ReplId(id) => {
                self.repl_id = id.as_str().into();
                reports.iter_mut().for_each(|report| report.repl_id = self.repl_id.clone());
            }
            Order::PackedFrom(bytes) => self.packed_from = *bytes,
            Order::Listen(_)
            | Order::WriteConfig
            | Order::WriteWholeConfig
            | Order::PauseCron(_)
            | Order::Pause { .. }
            | Order::Unpause
            | Order::Sleep(_)
            | Order::ActiveExpire(_)
            | Order::Log(_)
            | Order::Purge
            | Order::Save(_)
            | Order::Rewrite
            | Order::Reload(_)
            | Order::ReloadLog
            | Order::Unblock { .. }
            | Order::Shutdown(_) => {}
        }
    }

    /// Sends a job for stores that could not be had, since the next command can run at home only.
    pub(super) fn fetch(&mut self, id: ConnId, need: ShardSet) {
        let Some(conn) = self.conn(id) else { return };
        let Some(session) = conn.session.take() else { return };
        conn.shown = Some(session.clone());
        conn.waits = Waits::Job;
        self.dispatch(Box::new(super::Job::errand(self.id, id, session, need)));
    }

    /// Has the owners forget what a session watches, when their stores are not in hand.
    pub(super) fn forget_watches(&mut self, session: &mut Session) {
        let Some(transaction) = &mut session.transaction else { return };
        let Some(watcher) = transaction.watcher.take() else { return };
        let mut keys = std::mem::take(&mut transaction.keys);
        while let Some(last) = keys.last() {
            let owner = self.shared.route.owner(&last.key);
            let here = |watched: &mut Watched| self.shared.route.owner(&watched.key) == owner;
            let keys = keys.extract_if(.., here).collect();
            self.post(owner, Letter::Chore(Chore::Unwatch { watcher: watcher.clone(), keys }));
        }
    }
}

/// The orders that a queue gave, each with the replies behind its own.
#[derive(Default)]
struct Orders {
    steps: VecDeque<Step>,
    /// The replies before the first order that replies itself.
    first: Option<Out>,
    /// The client has killed itself: as in Redis, it hears no more.
    silent: bool,
}

impl Orders {
    fn add(&mut self, order: Order, out: &mut Out) {
        if order.replies() {
            let before = std::mem::replace(out, Out::with_buffer(Vec::new(), out.proto()));
            self.put(before);
        }
        self.steps.push_back(Step { order, rest: Out::default() });
    }

    /// Replies that are written belong to the latest order that replies itself.
    fn put(&mut self, replies: Out) {
        let latest = self.steps.iter_mut().rev().find(|step| step.order.replies());
        match (&self.first, latest) {
            (Some(_), Some(step)) => step.rest = replies,
            _ => self.first = Some(replies),
        }
    }

    fn finish(mut self, out: &mut Out) -> Option<Stop> {
        if self.first.is_some() {
            let rest = std::mem::take(out);
            self.put(rest);
            *out = self.first.take().unwrap_or_default();
        }
        (!self.steps.is_empty()).then_some(Stop::Orders(self.steps))
    }
}
