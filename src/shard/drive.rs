//! The life of a command: parse a batch, fetch its memory, take the stores, run, count.

use super::batch::{Batch, End, Parsed, Place, Reading, Rules, place_of};
use super::block::Blocked;
use super::connections::Waits;
use super::hold::Hold;
use super::orders::{Bill, Step};
use super::{Core, Job};
use crate::cmd::registry::{Found, Missing};
use crate::cmd::row::flag;
use crate::cmd::session::ReplyMode;
use crate::cmd::{Needs, Order, Outcome, PauseMode, Plan, Report, Session, Where, unknown};
use crate::resp::{Args, Error, Limits, Mark, Out, Parser, Span};
use crate::ring::net::{ConnId, World};
use crate::store::{Lent, ShardSet};
use std::collections::VecDeque;

/// Bytes of requests that one connection runs before others have their turn.
const BYTES_PER_TURN: usize = 64 * 1024;

/// The most commands that one job carries.
const MAILED_COMMANDS: usize = 128;
/// Requests of so many bytes are lent to their commands.
const LENT_FROM: usize = 32 << 10;

/// A batch at work: whose it is, and where its requests and replies are.
pub(super) struct Work<'a> {
    pub session: &'a mut Session,
    pub out: &'a mut Out,
    pub input: &'a [u8],
    /// Everything before this has run.
    pub at: usize,
    pub parser: Parser,
    pub partial: &'a mut Vec<Span>,
    /// Whether this is the connection's home, with what only it can do.
    pub home: bool,
    /// Its home, and its name there.
    pub client: (usize, ConnId),
    /// Reply bytes to gather before the peer has to read some.
    pub room: usize,
    /// The reports that the first command asked for.
    pub reports: Option<Vec<Report>>,
}

/// Why a batch stopped.
pub(super) enum Stop {
    /// All whole commands have run.
    Empty,
    /// Others have their turn first.
    Yield,
    /// Enough replies wait for the peer.
    Full,
    /// The next command needs stores that could not be had.
    Mail(ShardSet),
    /// The next command needs these stores, which may be borrowed, and one of them is away for longer than a spin.
    Away(ShardSet),
    /// The next command can run at home only.
    Home,
    /// The next command can run at home only, and needs stores that could not be had.
    Fetch(ShardSet),
    /// The next command needs reports of all shards.
    Gather(u32),
    /// The last command gave an order; its reply waits until it is carried out, and so do its books.
    Order(Order, Option<Box<Bill>>),
    /// The last command gave several; they are carried out one after the other.
    Orders(VecDeque<Step>),
    /// The last command waits for keys, or for time to pass.
    Block(Box<Blocked>),
    /// The next command asks another server.
    Consult,
    /// The next command names a key that is locked; the count of unlocks when it did.
    Locked(u64),
    /// CLIENT PAUSE holds the next command.
    Pause,
    /// The connection closes once its replies are out.
    Close,
}

impl Stop {
    /// Whether the command that stopped a batch has run.
    fn is_behind(stop: &Option<Stop>) -> bool {
        matches!(stop, None | Some(Stop::Order(..) | Stop::Orders(_) | Stop::Block(_) | Stop::Close))
    }

    /// What an outcome stops for; `None`: go on.
    #[inline]
    pub fn of(outcome: Outcome) -> Option<Stop> {
        if let Outcome::Done = outcome {
            // It holds nothing: nobody has to find out what is to be dropped.
            std::mem::forget(outcome);
            return None;
        }
        Stop::of_other(outcome)
    }

    #[cold]
    fn of_other(outcome: Outcome) -> Option<Stop> {
        match outcome {
            Outcome::Done => None,
            Outcome::Close => Some(Stop::Close),
            Outcome::Everywhere(order) => Some(Stop::Order(order, None)),
            Outcome::Exec | Outcome::Block(_) | Outcome::Wider | Outcome::Consult => {
                unreachable!("no brief command does so; `one` knows")
            }
        }
    }
}

impl Work<'_> {
    /// Whether so many replies wait for the peer that no command runs for now: but one whose keys are locked, for which others wait.
    fn is_full(&self) -> bool {
        self.out.len() >= self.room && self.session.migration.is_none()
    }

    /// Whether this command of a log, MULTI or EXEC, needs not run: nobody looks on between them.
    fn passes_over(&mut self, found: Found) -> bool {
        let at = self.at;
        let name = found.row.name;
        let Some(replay) = &mut self.session.replay else { return false };
        let wanted = match name {
            "multi" => false,
            "exec" => true,
            _ => return false,
        };
        if std::mem::replace(&mut replay.in_multi, !wanted) != wanted {
            self.session.note_trouble(at, name.as_bytes(), b"it is not expected here");
        }
        true
    }
}

impl Core {
    /// Runs requests that have just arrived, where they lie.
    pub(super) fn run_in_place(&mut self, net: &mut dyn World, id: ConnId, bytes: &[u8]) {
        let mut partial = Vec::new();
        let Some((stop, at, parser)) = self.run(net, id, bytes, (0, Parser::default()), &mut partial, None)
        else {
            return;
        };
        let want = self.batch.want.saturating_sub(at);
        let Some(conn) = self.conn(id) else { return };
        let stays = at < bytes.len() && !matches!(stop, Stop::Close);
        if stays {
            let input = Core::input_of(conn);
            if let Stop::Empty = stop {
                input.buf.reserve_exact(want);
            }
            input.buf.extend_from_slice(&bytes[at..]);
            input.restart(0);
            if let Stop::Empty = stop {
                // The tail is one command that is not complete: go on where its parser stopped.
                input.parser = parser.shifted(at);
                input.spans = partial.iter().map(|s| s.shifted(at)).collect();
                input.want = want;
            }
            self.count_client(id);
        }
        self.settle(net, id, stop);
        if stays {
            self.note_missing(id);
        }
    }

    /// Runs requests that wait at the connection.
    pub(super) fn run_input(&mut self, net: &mut dyn World, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        let reports = conn.reports.take();
        if conn.input.as_ref().is_some_and(|input| input.filling.is_some()) {
            // What is with the driver ends within a request.
            return;
        }
        let Some(mut input) = conn.input.take() else { return };
        let mut partial = std::mem::take(&mut input.spans);
        let state = (input.at, input.parser);
        let len = input.buf.len();
        let ran = if len >= LENT_FROM {
            let lent = Lent::from(std::mem::take(&mut input.buf));
            let ran = self.run_lent(net, id, &lent, state, &mut partial, reports);
            let is_over = matches!(ran, Some((_, at, _)) if at == len);
            if !(is_over && lent.is_shared()) {
                input.buf = lent.into_vec();
            }
            ran
        } else {
            self.run(net, id, &input.buf, state, &mut partial, reports)
        };
        let stop = match ran {
            None => return,
            Some((stop @ Stop::Empty, at, parser)) => {
                (input.at, input.parser, input.spans, input.want) = (at, parser, partial, self.batch.want);
                stop
            }
            Some((stop, at, _)) => {
                input.restart(at);
                stop
            }
        };
        let keep = input.at < len && !matches!(stop, Stop::Close);
        match self.conn(id) {
            Some(conn) if keep => conn.input = Some(input),
            _ => self.drop_input(Some(input)),
        }
        self.count_client(id);
        self.settle(net, id, stop);
    }

    /// Drives a connection's batch: why it stopped, how far it came, and the parser there.
    pub(super) fn run(
        &mut self,
        net: &mut dyn World,
        id: ConnId,
        bytes: &[u8],
        (at, parser): (usize, Parser),
        partial: &mut Vec<Span>,
        reports: Option<Vec<Report>>,
    ) -> Option<(Stop, usize, Parser)> {
        let spare = self.spare.pop();
        let conn = self.conn(id)?;
        let mut session = conn.session.take()?;
        let owed = conn.owed();
        let mut out = std::mem::take(&mut conn.out);
        if out.capacity() == 0 {
            out = Out::with_buffer(spare.unwrap_or_default(), session.proto);
        } else if let Some(spare) = spare {
            self.spare.push(spare);
        }
        // A job may have left replies here and changed the protocol elsewhere.
        out.set_proto(session.proto);
        // Of a log's commands no reply leaves.
        let room = if session.is_replay() { usize::MAX } else { self.room(owed).saturating_add(out.len()) };
        let mut work = Work {
            session: &mut session,
            out: &mut out,
            input: bytes,
            at,
            parser,
            partial,
            home: true,
            client: (self.id, id),
            room,
            reports,
        };
        self.hold = Hold::default();
        let stop = if owed > 0 && work.is_full() { Stop::Full } else { self.drive(net, &mut work) };
        let (at, parser) = (work.at, work.parser);
        let reports = work.reports.take();
        if work.session.is_replay() {
            work.out.clear();
        }
        let is_brief = matches!(stop, Stop::Empty) && at == bytes.len() && self.is_short_of_burst(bytes);
        if !is_brief {
            self.put_back(net);
        }
        let conn = self.conn(id)?;
        conn.put_off = if let Stop::Away(_) = stop { conn.put_off + 1 } else { 0 };
        if let Stop::Fetch(_) = stop {
            // It still needs them when the stores are here.
            conn.reports = reports;
        }
        conn.session = Some(session);
        conn.out = out;
        if conn.out.is_empty() {
            let (buf, _) = conn.out.take(Vec::new());
            self.recycle(buf);
        } else {
            self.let_reads_out();
            self.hold_replies(id);
            self.mark_dirty(id);
        }
        Some((stop, at, parser))
    }

    /// Does what a stop calls for, at home. The requests that did not run are the connection's input.
    fn settle(&mut self, net: &mut dyn World, id: ConnId, stop: Stop) {
        match stop {
            Stop::Empty | Stop::Home => {}
            Stop::Yield => self.mark_ready(id),
            Stop::Full => self.wait_for(id, Waits::Reader),
            Stop::Pause => {
                self.wait_for(id, Waits::Pause);
                self.paused.push(id);
            }
            Stop::Close => {
                if let Some(conn) = self.conn(id) {
                    conn.closing = true;
                    conn.input = None;
                }
                self.close_if_done(net, id);
            }
            Stop::Gather(parts) => self.gather(id, parts),
            Stop::Order(order, bill) => self.give_order(id, order, bill),
            Stop::Orders(steps) => self.give_orders(id, steps),
            Stop::Block(blocked) => self.begin_wait(net, id, blocked),
            Stop::Mail(need) => self.mail_batch(id, need),
            Stop::Away(need) => self.put_off(id, need),
            Stop::Fetch(need) => self.fetch(id, need),
            Stop::Consult => self.consult(id),
            Stop::Locked(unlocks) => self.wait_for_unlock(id, unlocks),
        }
    }

    pub(super) fn wait_for(&mut self, id: ConnId, what: Waits) {
        if let Some(conn) = self.conn(id) {
            conn.waits = what;
        }
    }

    /// Sends the next whole commands on their way as a job.
    pub(super) fn mail_batch(&mut self, id: ConnId, need: ShardSet) {
        let Some(mut input) = self.conn(id).and_then(|c| c.input.take()) else { return };
        let len = self.mailable(&input.buf[input.at..]);
        let batch = input.buf[input.at..input.at + len].to_vec();
        let spare = self.spare.pop().unwrap_or_default();
        let home = self.id;
        let Some(conn) = self.conn(id) else { return };
        let Some(mut session) = conn.session.take() else { return };
        if let Some(replay) = &mut session.replay {
            replay.base = input.at;
        }
        let at = input.at + len;
        input.restart(at);
        input.mailed = size_of::<Job>() + batch.capacity() + spare.capacity();
        // Kept also when it is empty: what the job cannot run comes back to its place.
        conn.input = Some(input);
        conn.shown = Some(session.clone());
        conn.waits = Waits::Job;
        let out = Out::with_buffer(spare, session.proto);
        self.dispatch(Box::new(Job::new(home, id, out, session, batch, need)));
    }

    /// How many bytes the next commands take, at most so many of them as are mailed at once.
    fn mailable(&mut self, rest: &[u8]) -> usize {
        let rules = Rules {
            limits: Limits { bulk_max: i64::MAX, authenticated: true },
            depth: MAILED_COMMANDS,
            registry: &self.shared.registry,
            logged: false,
            route: self.shared.route,
            hasher: &self.shared.hasher,
            table: None,
        };
        let (mut parser, mut partial) = (Parser::default(), Vec::new());
        let mut reading = Reading { parser: &mut parser, partial: &mut partial, start: 0 };
        self.batch.fill(rest, &mut reading, &rules, &mut self.heads);
        self.batch.commands.last().map_or(rest.len(), |c| c.end)
    }

    /// Runs commands until something stops them. The stores it took stay in hand.
    pub(super) fn drive(&mut self, net: &mut dyn World, work: &mut Work<'_>) -> Stop {
        let began = work.at;
        work.session.last_secs = self.now.secs();
        loop {
            if work.at - began >= BYTES_PER_TURN && work.home {
                return Stop::Yield;
            }
            if work.is_full() {
                return Stop::Full;
            }
            let mut batch = std::mem::take(&mut self.batch);
            let migrates = work.session.migration.is_some();
            // Who has not authenticated may do so with the next command: what follows it is read after that.
            let is_admitted = migrates || self.admits(work.session);
            let is_here = self.have_only(net, work);
            let rules = Rules {
                limits: Limits { bulk_max: self.bulk_max(work.session), authenticated: is_admitted },
                depth: if work.reports.is_some() || migrates || !is_admitted { 1 } else { self.policy.depth },
                registry: &self.shared.registry,
                logged: work.session.is_replay() && self.shared.registry.has_other_names(),
                route: self.shared.route,
                hasher: &self.shared.hasher,
                table: is_here.then(|| self.hand.peek(0).db(work.session.db).table()),
            };
            let mut reading = Reading { parser: &mut work.parser, partial: work.partial, start: work.at };
            let end = batch.fill(work.input, &mut reading, &rules, &mut self.heads);
            self.use_wait(net, work, &batch);
            let stop = self.run_batch(net, work, &batch);
            self.batch = batch;
            if self.hand.held() > 1 && !self.is_short_of_burst(work.input) {
                // Others wait for so many; one may stay for what comes next.
                self.put_back(net);
            }
            if let Some(stop) = stop {
                work.partial.clear();
                return stop;
            }
            // They were for the command that has run.
            work.reports = None;
            match end {
                End::More => work.at = self.batch.rest,
                End::Partial => {
                    work.at = self.batch.rest;
                    return Stop::Empty;
                }
                End::Error(error) => {
                    if work.session.reply == ReplyMode::On {
                        work.out.error_bytes(&error.text());
                    }
                    work.out.take_errors();
                    if work.session.is_replay() {
                        work.session.note_trouble(self.batch.rest, b"", &error.text());
                        return Stop::Close;
                    }
                    self.tallies.counters.error_replies += 1;
                    work.at = work.input.len();
                    return Stop::Close;
                }
            }
        }
    }

    /// Runs the commands of a batch in turn, until something stops them.
    fn run_batch(&mut self, net: &mut dyn World, work: &mut Work<'_>, batch: &Batch) -> Option<Stop> {
        let mut ticks = net.ticks_ns();
        let mut i = 0;
        let mut fetched = 0;
        while let Some(command) = batch.commands.get(i) {
            work.at = command.start;
            let brief = command.key != 0 && self.may_run_brief(work);
            let (ran, stop) = match command.place {
                Place::Shard(s)
                    if brief
                        && self.have_run(net, work, batch, i, &mut fetched)
                        && !self.hand.is_crossed()
                        && (self.fits(command, s as usize) || work.session.is_replay()) =>
                {
                    self.run_brief(net, work, batch, i, &mut ticks)
                }
                Place::Anywhere if let n @ 1.. = self.run_whole(net, work, batch, i, &mut ticks) => (n, None),
                _ => {
                    let args = batch.args(i, work.input);
                    let stop = self.one(net, work, &batch.commands[i], args, &mut ticks);
                    (Stop::is_behind(&stop) as usize, stop)
                }
            };
            if ran > 0 {
                work.at = batch.commands[i + ran - 1].end;
            }
            if stop.is_some() {
                return stop;
            }
            if work.session.is_stuck() {
                return Some(Stop::Close);
            }
            if ran == 0 {
                return Some(Stop::Full);
            }
            i += ran;
        }
        None
    }

    /// Whether the store of shard `s` is in hand, or could be taken.
    #[inline]
    fn have_one(&mut self, net: &mut dyn World, s: usize, found: Option<Found>) -> bool {
        if self.hand.has(s) {
            return true;
        }
        let may = found.is_some_and(|f| self.policy.may_borrow(self.id, s, f.row));
        self.put_back(net);
        may && self.take(net, s)
    }

    /// Whether the stores of `place` are in hand, or could be taken.
    pub(super) fn have(&mut self, net: &mut dyn World, place: Where, found: Found) -> bool {
        let set = match place {
            Where::Anywhere => return true,
            Where::Shard(s) => return self.have_one(net, s, Some(found)),
            Where::Shards(set) => set,
            Where::All => ShardSet::all(self.shared.route.shards()),
        };
        if self.hand.held() >= set.len() && set.iter().all(|s| self.hand.has(s)) {
            return true;
        }
        self.put_back(net);
        set.iter().all(|s| self.policy.may_borrow(self.id, s, found.row)) && self.take_all(net, set)
    }

    /// Why a command stops that could not have these stores.
    #[cold]
    fn away_or_mail(&self, need: ShardSet, found: Found) -> Stop {
        let borrows = need.iter().all(|s| self.policy.may_borrow(self.id, s, found.row));
        if borrows { Stop::Away(need) } else { Stop::Mail(need) }
    }

    /// What a command needs that its place alone does not tell.
    pub(super) fn needs(&self, session: &Session, found: Found, args: Args<'_>) -> Needs {
        match found.row.plan {
            Plan::Session(needs) => needs(session, args, self.shared.route),
            Plan::AllAtHome => Needs { home: true, ..Needs::at(Where::All) },
            _ => Needs::at(place_of(found, args, self.shared.route)),
        }
    }

    /// The lowest of several stores.
    fn lowest(&self, place: Where) -> Where {
        self.need(place).next(0).map_or(place, Where::Shard)
    }

    pub(super) fn need(&self, place: Where) -> ShardSet {
        match place {
            Where::Anywhere => ShardSet::EMPTY,
            Where::Shard(s) => ShardSet::one(s),
            Where::Shards(set) => set,
            Where::All => ShardSet::all(self.shared.route.shards()),
        }
    }

    /// Whether a client may run commands: it has authenticated, or there is no password any more.
    #[inline]
    pub(super) fn admits(&self, session: &Session) -> bool {
        session.authenticated || self.config.requirepass.is_empty()
    }

    /// One command. `None`: it is done, go on.
    #[inline]
    fn one(
        &mut self,
        net: &mut dyn World,
        work: &mut Work<'_>,
        command: &Parsed,
        args: Args<'_>,
        ticks: &mut u64,
    ) -> Option<Stop> {
        let mark = work.out.mark();
        let found = match command.found {
            Ok(found)
                if command.fits
                    && (self.admits(work.session)
                        || found.row.is(flag::NO_AUTH)
                        || work.session.migration.is_some()) =>
            {
                found
            }
            refused => return self.refuse(work, refused, args, mark),
        };
        if work.session.is_replay() {
            if work.passes_over(found) {
                return None;
            }
        } else if self.holds_back(found, work.session) && !self.may_call_off(found) {
            return Some(if work.home { Stop::Pause } else { Stop::Home });
        } else if !self.gate.is_open()
            && let Some(stop) = self.bar(work, found, flags_of(found, work.session), mark)
        {
            if self.abandon_migration(work.session) {
                work.out.cut(mark);
                return Some(Stop::Close);
            }
            return stop;
        }
        if work.session.migration.as_ref().is_some_and(|migration| migration.asks()) {
            // It ran elsewhere. Its stores are not needed before there is an answer.
            return Some(work.consult());
        }
        if work.session.is_queueing() && !found.row.is(flag::UNQUEUED) {
            if !self.make_room(net, None) {
                // A queue takes memory too.
                return self.refuse_oom(work, found, mark);
            }
            return self.queue(work, found, args, mark);
        }
        match command.place {
            Place::Shard(s) => {
                let s = s as usize;
                if !self.have_one(net, s, Some(found)) {
                    let borrows = self.policy.may_borrow(self.id, s, found.row);
                    let need = ShardSet::one(s);
                    return Some(if borrows { Stop::Away(need) } else { Stop::Mail(need) });
                }
            }
            Place::Several => {
                let needs = self.needs(work.session, found, args);
                if needs.home && !work.home {
                    return Some(Stop::Home);
                }
                if needs.parts != 0 && work.reports.is_none() {
                    return Some(Stop::Gather(needs.parts));
                }
                let place = match found.row.plan {
                    Plan::Lowest(_) => self.lowest(needs.place),
                    _ => needs.place,
                };
                if !self.have(net, place, found) {
                    let set = self.need(place);
                    return Some(if needs.home { Stop::Fetch(set) } else { self.away_or_mail(set, found) });
                }
            }
            Place::Anywhere => match found.row.plan {
                Plan::Gather(_) | Plan::Home if !work.home => return Some(Stop::Home),
                Plan::Gather(parts) if work.reports.is_none() => return Some(Stop::Gather(parts)),
                _ => {}
            },
        }
        let may_grow = flags_of(found, work.session) & flag::DENYOOM != 0 && !work.session.is_replay();
        let here = match command.place {
            Place::Shard(s) => Some(s as usize),
            _ => None,
        };
        if may_grow && !self.make_room(net, here) {
            return self.refuse_oom(work, found, mark);
        }
        if self.hand.is_crossed() {
            if let Some(stop) = self.cross(net, work, found, args) {
                return Some(stop);
            }
            if let Some(unlocks) = self.meets_lock(work.session, found, args) {
                return Some(Stop::Locked(unlocks));
            }
        }
        work.session.last_command = Some(found.id);
        // What it has waited for an answer counts, as in Redis.
        let asked_us = work.session.migration.as_ref().map(|migration| migration.began_us);
        let mut silenced_from = mark;
        let mut outcome = self.call(work, found, command.hash, args);
        if let Outcome::Wider = outcome {
            let place = place_of(found, args, self.shared.route);
            if !self.have(net, place, found) {
                return Some(self.away_or_mail(self.need(place), found));
            }
            outcome = self.call(work, found, command.hash, args);
        }
        if asked_us.is_some() {
            self.tell_unlocked();
        }
        let is_asking = matches!(outcome, Outcome::Consult);
        let mut stop = match outcome {
            Outcome::Consult => Some(work.consult()),
            Outcome::Exec => {
                let replies = work.session.reply == ReplyMode::On;
                let stop = self.exec(net, work);
                if replies {
                    // A CLIENT REPLY OFF in the queue has silenced what came after it, not all.
                    silenced_from = work.out.mark();
                }
                stop
            }
            Outcome::Block(block) if work.session.is_replay() => {
                // What it waits for does not come.
                (block.at_once)(work.out);
                None
            }
            Outcome::Block(block) => Some(self.block(work, found, args, *block)),
            outcome => Stop::of(outcome),
        };
        // Before those are served who wait: what they get are units of their own.
        self.end_unit();
        // Of a log's commands nobody gets anything before all have run.
        if self.hand.has_ready() && !work.session.is_replay() {
            self.serve_ready(net);
        }
        let done = net.ticks_ns();
        let began = std::mem::replace(ticks, done);
        if is_asking {
            return stop;
        }
        match &mut stop {
            // Who waits is counted when it is served, or given up.
            Some(Stop::Block(_)) => {}
            Some(Stop::Order(_, bill)) => *bill = Some(Box::new(Bill::new(found, args, began))),
            _ => {
                let asked_ns = asked_us.map_or(0, |at| self.now.mono_us.saturating_sub(at) * 1_000);
                self.account(work, found, args, mark, done.saturating_sub(began) + asked_ns);
            }
        }
        if work.session.reply != ReplyMode::On {
            self.reply_mode(work, silenced_from);
        }
        stop
    }

    /// The longest argument that a session may send. What has begun runs to its end, whatever the bound is by now.
    #[inline]
    fn bulk_max(&self, session: &Session) -> i64 {
        let is_bound = !session.is_replay() && session.migration.is_none();
        if is_bound { self.config.proto_max_bulk_len as i64 } else { i64::MAX }
    }

    /// Whether a command runs though all are held back: SHUTDOWN may call off what they are held back for.
    #[cold]
    fn may_call_off(&self, found: Found) -> bool {
        self.is_halted && found.row.name == "shutdown"
    }

    /// Whether CLIENT PAUSE, the server's own halt, or a log that has to catch up holds a command back.
    #[inline]
    fn holds_back(&self, found: Found, session: &Session) -> bool {
        let mode = self.pause.map(|(_, mode)| mode);
        if mode.is_none() && !self.gate.is_behind() {
            return self.is_halted;
        }
        self.is_halted
            || mode == Some(PauseMode::All)
            || flags_of(found, session) & (flag::WRITE | flag::MAY_REPLICATE) != 0
    }

    /// Says why a command may not run, in Redis's order of refusals.
    #[cold]
    fn refuse(
        &mut self,
        work: &mut Work<'_>,
        found: Result<Found, Missing>,
        args: Args<'_>,
        mark: Mark,
    ) -> Option<Stop> {
        if work.session.is_replay() && (args.at(0).starts_with(b"#") || self.replay_alone(work, found, args))
        {
            // An annotation, or what only a log may have.
            return None;
        }
        if found.is_err() && unknown::is_http(args.at(0)) {
            // A browser was tricked into speaking to us: it learns nothing, not even what came before.
            work.out.clear();
            return Some(Stop::Close);
        }
        let text = match found {
            Err(Missing::Command) => unknown::unknown_command(args),
            Err(Missing::Subcommand) => unknown::unknown_subcommand(args),
            Ok(found) if !found.row.takes(args.len()) => {
                Error::Arity(found.row.full_name).text().into_owned().into_bytes()
            }
            Ok(_) => Error::NoAuth.text().into_owned().into_bytes(),
        };
        let text = self.spoil(work.session, found.ok(), text);
        work.out.error_bytes(&text);
        work.out.take_errors();
        if work.session.is_replay() {
            work.session.note_trouble(work.at, args.at(0), &text);
            return None;
        }
        self.tallies.rejected(&text, found.ok().map(|f| f.id));
        self.reply_mode(work, mark);
        None
    }
}

/// The flags of a command, for EXEC those of its queue too.
pub(super) fn flags_of(found: Found, session: &Session) -> u32 {
    match (&found.row.plan, &session.transaction) {
        (Plan::Session(_), Some(transaction)) => found.row.flags | transaction.queue.flags,
        _ => found.row.flags,
    }
}
