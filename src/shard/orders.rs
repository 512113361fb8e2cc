//! What concerns every shard: reports that a command gathers, and orders that all carry out.
//!
//! ```text
//!  gather:  home ─Ask→ each   ←Answer─ each                   then the command runs at home, with all reports
//!  order:   home ─Sequence→ shard 0 ─Do→ each ─Done→ home     then the reply goes out
//! ```
//! Shard 0 puts orders in one sequence, so that two CONFIG SETs end alike everywhere. The connection is parked meanwhile.

use super::connections::Waits;
use super::hold::Hold;
use super::saves::SAVER;
use super::{Core, Letter};
use crate::cmd::registry::Found;
use crate::cmd::report::DbReport;
use crate::cmd::server::slowlog::trim;
use crate::cmd::session::ReplyMode;
use crate::cmd::{ClientInfo, Order, Report, SaveKind, Sections};
use crate::resp::{Args, Out};
use crate::ring::net::{ConnId, World};
use crate::store::Db;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Who gives orders their sequence.
const SEQUENCER: usize = 0;
/// Entries with a TTL that an average is taken over.
const TTL_SAMPLES: usize = 64;

/// DEBUG SLEEP as one shard owes it.
pub(super) struct Nap {
    pub us: u64,
    pub from: usize,
    pub ticket: u64,
    /// The turn in which the order came.
    pub turn: u64,
}

/// An order of a transaction.
pub(super) struct Step {
    pub order: Order,
    /// The replies behind the order's own, when it replies itself.
    pub rest: Out,
}

/// A command that gave an order. It is counted when the order is carried out: what resets counts or empties the slow log is the
/// first to stand there, as in Redis, and the time is the whole time.
pub(super) struct Bill {
    found: Found,
    /// As the slow log keeps them.
    args: Vec<Vec<u8>>,
    /// When it began, in ticks.
    began: u64,
}

impl Bill {
    pub fn new(found: Found, args: Args<'_>, began: u64) -> Bill {
        Bill { found, args: trim(args, found.row), began }
    }
}

/// A connection that waits for other shards.
pub(super) struct Parked {
    conn: ConnId,
    /// The command, unless its books are kept already.
    bill: Option<Box<Bill>>,
    /// The replies that follow, and the orders after this one.
    rest: Out,
    then: VecDeque<Step>,
    left: usize,
    reports: Vec<Report>,
    /// The order replies itself, with OK when all have carried it out.
    says_ok: bool,
    /// What its reply waits for.
    hold: Hold,
}

impl Core {
    pub(super) fn park(&mut self, conn: ConnId) -> u64 {
        self.next_ticket += 1;
        let left = self.shared.route.shards();
        let (rest, then) = (Out::default(), VecDeque::new());
        let hold = Hold::default();
        let parked = Parked { conn, bill: None, rest, then, left, reports: vec![], says_ok: false, hold };
        self.parked.insert(self.next_ticket, parked);
        self.wait_for(conn, Waits::Ticket(self.next_ticket));
        self.next_ticket
    }

    /// What a parked connection has waited for is here.
    pub(super) fn unpark(&mut self, ticket: u64) -> Option<ConnId> {
        self.parked.remove(&ticket).map(|parked| parked.conn)
    }

    /// Asks every shard for a report, for the command that `conn` waits to run.
    pub(super) fn gather(&mut self, conn: ConnId, parts: u32) {
        let ticket = self.park(conn);
        for shard in 0..self.shared.route.shards() {
            self.post(shard, Letter::Ask { from: self.id, ticket, parts });
        }
    }

    pub(super) fn answered(&mut self, net: &mut dyn World, ticket: u64, report: Report) {
        let Some(parked) = self.parked.get_mut(&ticket) else { return };
        parked.reports.push(report);
        parked.left -= 1;
        if parked.left > 0 {
            return;
        }
        let Some(mut parked) = self.parked.remove(&ticket) else { return };
        parked.reports.sort_by_key(|r| r.shard);
        let Some(conn) = self.conn(parked.conn) else { return };
        conn.waits = Waits::Nothing;
        conn.reports = Some(parked.reports);
        self.unparked(net, parked.conn);
    }

    /// Gives an order to all shards; the connection waits until it is carried out.
    pub(super) fn give_order(&mut self, conn: ConnId, order: Order, bill: Option<Box<Bill>>) {
        let ticket = self.park(conn);
        let mut hold = Hold::default();
        if let Order::Save(SaveKind::Emptied) = order
            && self.shared.saves.log.is_strict()
        {
            // FLUSHALL has run: its reply is one to a write, though another shard sends it.
            hold.add_all(&self.shared.saves.log);
        }
        if let Some(parked) = self.parked.get_mut(&ticket) {
            (parked.bill, parked.hold) = (bill, hold);
        }
        let order = self.stamped(order);
        self.send_order(ticket, order);
    }

    /// The order with what only its shard knows: entries of the slow log that come while it is under way are to stay.
    pub(super) fn stamped(&self, order: Order) -> Order {
        match order {
            Order::ResetSlowlog { .. } => {
                Order::ResetSlowlog { before: self.shared.next_slow.load(Ordering::Relaxed) }
            }
            other => other,
        }
    }

    /// Gives orders to all shards, each when the one before is carried out. None left: the connection goes on.
    pub(super) fn give_orders(&mut self, conn: ConnId, mut steps: VecDeque<Step>) {
        let Some(Step { order, rest }) = steps.pop_front() else { return };
        let ticket = self.park(conn);
        if let Some(parked) = self.parked.get_mut(&ticket) {
            (parked.rest, parked.then) = (rest, steps);
        }
        self.send_order(ticket, order);
    }

    fn send_order(&mut self, ticket: u64, order: Order) {
        if let Order::Listen(pairs) = order {
            if let Some(parked) = self.parked.get_mut(&ticket) {
                parked.says_ok = true;
            }
            return self.shared.control.listen(self.id, ticket, pairs);
        }
        if let Order::WriteConfig | Order::WriteWholeConfig = order {
            let whole = matches!(order, Order::WriteWholeConfig);
            self.shared.control.write_config_as(self.id, ticket, self.config.clone(), whole);
            return;
        }
        if let Order::Save(_) | Order::Rewrite | Order::Reload(_) | Order::ReloadLog | Order::Shutdown(_) =
            order
        {
            return self.post(SAVER, Letter::Save { from: self.id, ticket, order });
        }
        self.post(SEQUENCER, Letter::Sequence { from: self.id, ticket, order });
    }

    /// The configuration file was written, or could not be.
    pub fn config_written(&mut self, net: &mut dyn World, ticket: u64, result: Result<(), String>) {
        let result = result.map(|()| "OK").map_err(|why| format!("ERR Rewriting config file: {why}"));
        self.told(net, ticket, result);
    }

    /// The sockets of a CONFIG SET are open, and its pairs are for all shards to take over; or they could not be opened. Shard 0 hears
    /// of this, so that the last sockets are those of the last pairs.
    pub fn listens(&mut self, from: usize, ticket: u64, result: Result<Vec<(String, String)>, String>) {
        match result {
            Ok(pairs) => self.sequence(from, ticket, Order::Configure(pairs)),
            Err(why) => self.post(from, Letter::Told { ticket, result: Err(why) }),
        }
    }

    /// An order that replies itself is carried out, or could not be.
    pub(super) fn told(&mut self, net: &mut dyn World, ticket: u64, result: Result<&'static str, String>) {
        let Some(mut parked) = self.parked.remove(&ticket) else { return };
        let id = parked.bill.as_ref().map(|bill| bill.found.id);
        self.settle_bill(net, &mut parked);
        if let Err(why) = &result {
            self.tallies.failed(id, why.as_bytes());
        }
        self.reply_for_order(parked.conn, result);
        self.hold = std::mem::take(&mut parked.hold);
        self.hold_replies(parked.conn);
        self.carried_out(net, parked);
    }

    fn reply_for_order(&mut self, id: ConnId, result: Result<&'static str, String>) {
        if let Some(conn) = self.conn(id)
            && conn.session.as_ref().is_some_and(|s| s.reply == ReplyMode::On)
        {
            match result {
                Ok(reply) => conn.out.simple(reply),
                Err(why) => conn.out.error_text(&why),
            }
            conn.out.take_errors();
        }
    }

    /// An order is carried out by all: on with the next, or with the connection's own commands.
    fn carried_out(&mut self, net: &mut dyn World, mut parked: Parked) {
        let id = parked.conn;
        if let Some(conn) = self.conn(id) {
            conn.out.append(&mut parked.rest);
            conn.waits = Waits::Nothing;
        }
        if parked.then.is_empty() {
            return self.unparked(net, id);
        }
        // The orders of a transaction are carried out to the last, whatever became of the client.
        self.give_orders(id, parked.then);
    }

    pub(super) fn sequence(&mut self, from: usize, ticket: u64, order: Order) {
        let order = Arc::new(order);
        for shard in 0..self.shared.route.shards() {
            self.post(shard, Letter::Do { from, ticket, order: order.clone() });
        }
    }

    /// Sleeps as ordered, once the order is on its way to all: they sleep at the same time.
    pub(super) fn nap(&mut self, net: &mut dyn World) {
        let turn = self.tallies.counters.turns;
        while let Some(nap) = self.naps.pop_front_if(|nap| nap.turn < turn) {
            net.sleep_us(nap.us);
            self.post(nap.from, Letter::Done { ticket: nap.ticket });
        }
    }

    /// Keeps the books of a command whose order is carried out.
    fn settle_bill(&mut self, net: &mut dyn World, parked: &mut Parked) {
        let Some(bill) = parked.bill.take() else { return };
        let Bill { found, args, began } = *bill;
        let ns = net.ticks_ns().saturating_sub(began);
        self.tallies.ran(found.id, ns, 1);
        let Some(mut session) = self.conn(parked.conn).and_then(|c| c.session.take()) else { return };
        session.commands += 1;
        if ns >= self.tallies.watch_ns {
            self.note_slow_words(&session, found, || args, ns);
        }
        if let Some(conn) = self.conn(parked.conn) {
            conn.session = Some(session);
        }
    }

    pub(super) fn done(&mut self, net: &mut dyn World, ticket: u64) {
        let Some(parked) = self.parked.get_mut(&ticket) else { return };
        parked.left -= 1;
        if parked.left > 0 {
            return;
        }
        let Some(mut parked) = self.parked.remove(&ticket) else { return };
        self.settle_bill(net, &mut parked);
        if parked.says_ok {
            self.reply_for_order(parked.conn, Ok("OK"));
        }
        self.carried_out(net, parked);
    }

    pub(super) fn unparked(&mut self, net: &mut dyn World, id: ConnId) {
        self.mark_ready(id);
        self.mark_dirty(id);
        // What ran with the reports may have been all that was read: read on.
        self.check_input(net, id);
        self.close_if_done(net, id);
    }

    pub(super) fn carry_out(&mut self, net: &mut dyn World, order: &Order) {
        match order {
            Order::Configure(pairs) => self.configure(pairs),
            Order::Listen(_) | Order::WriteConfig | Order::WriteWholeConfig => {}
            Order::ResetStats => {
                self.tallies.reset();
                self.shared.ledger.reset_times();
                self.reset_tally = true;
                // When the store is away, its counters go as soon as it is back.
                if self.take(net, self.id) {
                    self.reset_own_tally();
                    self.put_back(net);
                }
            }
            Order::ResetSlowlog { before } => self.tallies.slowlog.retain(|entry| entry.id >= *before),
            Order::ResetLatency(events) => {
                self.tallies.latency.reset(events);
            }
            Order::Kill(ids) => self.kill(net, ids),
            Order::Pause { until_ms, mode } => {
                // As in Redis, a pause that is in force is never shortened or weakened.
                let (until, all) =
                    self.pause.map_or((0, false), |(u, m)| (u, m == crate::cmd::PauseMode::All));
                let mode = if all { crate::cmd::PauseMode::All } else { *mode };
                self.pause = Some((until.max(*until_ms), mode));
                self.access.frozen = true;
            }
            Order::Unpause => {
                (self.pause, self.access.frozen) = (None, false);
                for id in std::mem::take(&mut self.paused) {
                    self.unpause_conn(id);
                }
            }
            // Who carries it out does so at the end of a turn: see `Core::nap`.
            Order::Sleep(_) => {}
            Order::ActiveExpire(on) => self.active_expire = *on,
            Order::PackedFrom(bytes) => self.packed_from = *bytes,
            Order::PauseCron(on) => self.cron.pause(*on),
            Order::ReplId(id) => self.repl_id = id.as_str().into(),
            Order::Log(text) if self.id == SEQUENCER => self.shared.control.note(text.clone(), true),
            Order::Log(_) => {}
            Order::Purge => self.shared.control.purge(self.id == SEQUENCER),
            Order::Unblock { wait, error } => self.unblock(net, wait, *error),
            // The shard that looks after snapshots carries these out.
            Order::Save(_) | Order::Rewrite | Order::Reload(_) | Order::ReloadLog | Order::Shutdown(_) => {}
        }
    }

    pub(super) fn configure(&mut self, pairs: &[(String, String)]) {
        let mut config = (*self.config).clone();
        // The shard that gave the order has checked it against the same settings.
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        if config.set_all(&pairs, true).is_ok() {
            self.policy = super::policy::Policy::new(&config, self.shared.route.shards());
            self.tallies.configure(&config);
            self.access = super::tallies::access_policy(&config, self.now);
            self.access.frozen = self.pause.is_some();
            self.bound_memory(&config);
            if config.loglevel != self.config.loglevel {
                self.shared.log_level.store(config.loglevel.rank(), Ordering::Relaxed);
            }
            self.config = Arc::new(config);
            self.tell_strict();
        }
    }

    /// Closes the clients of these ids, which ascend.
    fn kill(&mut self, net: &mut dyn World, ids: &[u64]) {
        let mut found = Vec::new();
        for conn in self.conns.iter_mut().flatten() {
            let session = conn.session.as_ref().or(conn.shown.as_ref());
            if let Some(session) = session.filter(|s| ids.binary_search(&s.id).is_ok()) {
                // What waits for another server comes to its end first.
                let is_asking = session.migration.is_some();
                conn.closing |= !is_asking;
                found.push((conn.id, !is_asking && matches!(conn.waits, Waits::Ticket(_))));
            }
        }
        for (id, parked) in found {
            // Who killed itself is parked, and gets its reply first.
            if !parked {
                self.close(net, id);
            }
        }
    }

    /// Carries out what CONFIG RESETSTAT left to do. This shard's store is in hand.
    pub(super) fn reset_own_tally(&mut self) {
        if std::mem::take(&mut self.reset_tally) {
            self.hand.store(self.id).tally = Default::default();
        }
    }

    /// What this shard has to say; `cpu_us`: its time in the program and in the kernel. Its store is in hand.
    pub(super) fn report(&mut self, parts: u32, cpu_us: (u64, u64)) -> Report {
        let mut report = Report { shard: self.id, ..Report::default() };
        (report.cpu_user_us, report.cpu_sys_us) = cpu_us;
        if parts & Sections::CLIENTS != 0 {
            report.clients = self.client_infos();
        }
        if parts & Sections::CLIENT_TOTALS != 0 {
            for conn in self.conns.iter().flatten().filter(|c| !c.closed) {
                report.connected += 1;
                let session = conn.session.as_ref().or(conn.shown.as_ref());
                let watched = session.and_then(|s| s.transaction.as_ref()).map_or(0, |t| t.watching());
                report.watching += (watched > 0) as usize;
                report.blocked += conn.waits.is_blocked() as usize;
                report.client_bytes += conn.memory();
                report.largest_input = report.largest_input.max(conn.unread());
                report.largest_output = report.largest_output.max(conn.owed());
            }
        }
        if parts & Sections::WAITS != 0 {
            let waits = self.conns.iter().flatten().filter_map(|conn| conn.blocked.as_deref());
            report.waits = waits.map(|blocked| blocked.wait.clone()).collect();
        }
        report.timeouts = self.deadlines.len();
        self.tallies.report(parts, self.now, &mut report);
        report.repl_id = self.repl_id.clone();
        self.reset_own_tally();
        self.report_store(parts, &mut report);
        report
    }

    /// What a report says of its shard's store, which is in hand.
    pub(super) fn report_store(&self, parts: u32, report: &mut Report) {
        let store = self.hand.peek(report.shard);
        report.tally = store.tally;
        report.dirty = store.dirty;
        report.watched_keys = store.watched_keys();
        (report.blocking_keys, report.blocking_keys_on_nokey) = store.blocking_keys();
        if parts & Sections::STORE != 0 {
            let now_ms = self.now.ms();
            report.dbs = store.dbs().map(|(i, db)| (i, db_report(db, now_ms))).collect();
            (report.aside_bytes, report.kept_bytes) = (store.aside_weight(), store.kept_weight());
        }
    }

    fn client_infos(&self) -> Vec<ClientInfo> {
        let of = |conn: &super::connections::Conn| {
            let session = conn.session.as_ref().or(conn.shown.as_ref())?;
            let input = conn.input.as_ref();
            Some(ClientInfo {
                session: (**session).clone(),
                query_bytes: conn.unread(),
                query_capacity: input.map_or(0, |i| i.room()),
                out_bytes: conn.out.len(),
                out_capacity: conn.out.capacity(),
                chunks: conn.chunks.len() + (conn.sending > 0) as usize,
                chunk_bytes: conn.chunk_bytes + conn.sending,
                blocked: conn.waits.is_blocked(),
                closing: conn.closing,
                shard: self.id,
            })
        };
        self.conns.iter().flatten().filter(|c| !c.closed).filter_map(|c| of(c)).collect()
    }
}

fn db_report(db: &Db, now_ms: i64) -> DbReport {
    let mut report = DbReport {
        keys: db.len(),
        expires: db.expires(),
        avg_ttl_ms: 0,
        field_expires: db.field_expires(),
        table_bytes: db.bytes() - db.value_bytes(),
        value_bytes: db.value_bytes(),
        values: db.values(),
        slack_bytes: db.table().heap_slack() + db.table().index_slack(),
        overhead_bytes: db.overhead(),
    };
    if db.expires() > 0 {
        let ttls = db.table().iter().take(TTL_SAMPLES * 16).filter_map(|e| e.expire_at());
        let (n, sum) =
            ttls.take(TTL_SAMPLES).fold((0i64, 0i64), |(n, sum), at| (n + 1, sum + (at - now_ms).max(0)));
        report.avg_ttl_ms = sum.checked_div(n).unwrap_or(0);
    }
    report
}
