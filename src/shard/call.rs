//! Commands at work: one alone, or a run of brief ones on the same store, and the books that are kept of them.
//!
//! Most commands look at one key and are done within a hundred nanoseconds; what surrounds them would cost more than they do.
//! So a run of them shares it: the context is made once, the clock is read once, and the time taken is divided among them.

use super::Core;
use super::ahead::fetch_ahead;
use super::batch::{Batch, Parsed, Place};
use super::drive::{Stop, Work};
use super::evict::fits;
use super::shared::Shared;
use super::tallies::Tallies;
use crate::cmd::cx::MemoryNow;
use crate::cmd::registry::Found;
use crate::cmd::row::flag;
use crate::cmd::session::ReplyMode;
use crate::cmd::{Cx, Env, Outcome, Plan, Session, effects};
use crate::resp::{Args, Mark};
use crate::ring::net::World;
use crate::store::{Ahead, Keys};

/// The most kinds of commands that are counted together.
const KINDS_MAX: usize = 8;
/// Where commands are watched that take less than this, none is timed together with others.
const SHARED_WATCH_NS: u64 = 1_000_000;

/// How often each kind of command came in a run.
#[derive(Default)]
pub(super) struct Kinds {
    kinds: [(u32, u32); KINDS_MAX],
    len: usize,
    /// Which came last.
    last: usize,
}

impl Kinds {
    /// Counts one; false when there is no place for another kind.
    #[inline]
    pub fn count(&mut self, id: u32) -> bool {
        let last = &mut self.kinds[self.last % KINDS_MAX];
        if last.0 == id && last.1 != 0 {
            last.1 += 1;
            return true;
        }
        self.count_other(id)
    }

    #[inline(never)]
    fn count_other(&mut self, id: u32) -> bool {
        let known = self.kinds[..self.len].iter().position(|kind| kind.0 == id);
        self.last = known.unwrap_or(self.len);
        let Some(kind) = self.kinds.get_mut(self.last) else { return false };
        *kind = (id, kind.1 + 1);
        self.len = self.len.max(self.last + 1);
        true
    }

    /// Calls `f` with each kind, and how often it came.
    #[inline]
    pub fn each(&self, mut f: impl FnMut(u32, u32)) {
        self.kinds[..self.len].iter().for_each(|(id, n)| f(*id, *n));
    }
}

/// What commands run with.
pub(super) struct Desk<'a> {
    pub shared: &'a Shared,
    pub env: Env<'a>,
    pub keys: Keys<'a>,
    pub tallies: &'a mut Tallies,
}

impl Core {
    /// What commands of a client run with: the stores in hand, and what is the same for all.
    #[inline(always)]
    pub(super) fn desk(&mut self, session: &Session, memory: MemoryNow) -> Desk<'_> {
        let shared = &*self.shared;
        Desk {
            shared,
            env: Env {
                now: self.now,
                config: &self.config,
                registry: &shared.registry,
                server: &shared.server,
                saves: &shared.saves,
                memory,
                shard: self.id,
                packed_from: self.packed_from,
            },
            keys: Keys {
                hand: &mut self.hand,
                db: session.db,
                now: if session.is_replay() { self.now.before_all() } else { self.now },
                policy: self.access,
                touch: !session.no_touch,
                ahead: None,
                random: &mut self.random,
            },
            tallies: &mut self.tallies,
        }
    }

    /// Whether commands of this client may run as a run: nothing has to be looked at before or after each.
    pub(super) fn may_run_brief(&self, work: &Work<'_>) -> bool {
        work.session.is_replay()
            || self.pause.is_none()
                && !self.is_halted
                && !self.gate.is_behind()
                && self.gate.is_open()
                && work.session.reply == ReplyMode::On
                && self.tallies.watch_ns >= SHARED_WATCH_NS
                && !work.session.is_queueing()
                && self.admits(work.session)
    }

    /// Runs brief commands from `from` on, as long as their stores are in hand: how many ran, and what stopped the last. The first
    /// one's store is in hand.
    pub(super) fn run_brief(
        &mut self,
        net: &mut dyn World,
        work: &mut Work<'_>,
        batch: &Batch,
        from: usize,
        ticks: &mut u64,
    ) -> (usize, Option<Stop>) {
        let replays = work.session.is_replay();
        let limit = if replays { 0 } else { self.room.limit };
        let Some(first) = batch.commands.get(from).and_then(|c| c.found.ok()) else { return (0, None) };
        let Desk { shared, env, keys, tallies } = self.desk(work.session, MemoryNow::default());
        let db = keys.db;
        let mut cx = Cx {
            keys,
            out: &mut *work.out,
            session: &mut *work.session,
            env: &env,
            reports: &[],
            row: first.row,
        };
        let (mut ran, mut stop, mut last) = (0, None, first.id);
        let (mut here, mut is_logged, mut beyond) = (usize::MAX, false, 0);
        for command in &batch.commands[from..] {
            let Parsed { found: Ok(found), key: 1.., place: Place::Shard(s), .. } = command else { break };
            let s = *s as usize;
            if cx.out.len() >= work.room {
                break;
            }
            if s != here {
                if !cx.keys.hand.has(s) {
                    break;
                }
                cx.keys.hand.narrow(s);
                (here, is_logged) = (s, cx.keys.hand.peek(s).log.is_on());
            }
            // What does not fit is for `one`, which makes room. The first command has been looked at.
            if limit != 0
                && ran > 0
                && found.row.is(flag::DENYOOM)
                && !fits(shared, limit, cx.keys.hand.peek(s))
            {
                break;
            }
            fetch_ahead(cx.keys.hand, db, batch, from, ran, &mut beyond);
            // The arguments are found anew where they are needed once more: the call's are moved, not copied.
            let args = batch.args_of(command, work.input);
            cx.keys.ahead = Some(Ahead::new(args.at(command.key as usize), command.hash, s));
            cx.row = found.row;
            last = found.id;
            let mark = cx.out.mark();
            let logs = is_logged && found.row.flags & effects::CHANGES != 0;
            if logs {
                cx.keys.hand.store(s).begin_log();
            }
            let outcome = (found.row.run)(&mut cx, args);
            if logs {
                let request = (batch.args_of(command, work.input), command.raw(work.input));
                effects::tell_brief(&mut cx.keys, s, found.row, request, outcome.is_ok());
            }
            ran += 1;
            let ends = match outcome {
                Ok(outcome) => Stop::of(outcome),
                Err(error) => {
                    cx.out.error(&error);
                    None
                }
            };
            if cx.out.has_errors() {
                cx.out.take_errors();
                if replays {
                    let error = cx.out.error_since(mark).unwrap_or(b"ERR").to_vec();
                    let name = batch.args_of(command, work.input).at(0);
                    cx.session.note_trouble(command.start, name, &error);
                    break;
                }
                tallies.failed(Some(found.id), cx.out.error_since(mark).unwrap_or(b"ERR"));
            }
            if ends.is_some() {
                stop = ends;
                break;
            }
            if cx.keys.hand.peek(s).is_observed() && cx.keys.hand.has_ready() {
                break;
            }
        }
        cx.keys.hand.widen();
        cx.session.last_command = Some(last);
        cx.session.commands += ran as u64;
        let done = net.ticks_ns();
        let ns = done.saturating_sub(*ticks);
        *ticks = done;
        if replays {
            return (ran, stop);
        }
        self.count_run(&batch.commands[from..from + ran], ns);
        if self.hand.has_ready() {
            self.serve_ready(net);
        }
        if ns >= self.tallies.watch_ns {
            self.note_slow_run(work, batch, from..from + ran, ns);
        }
        (ran, stop)
    }

    /// Counts the commands of a run that took so long.
    fn count_run(&mut self, commands: &[Parsed], ns: u64) {
        let each = ns / (commands.len() as u64).max(1);
        let mut kinds = Kinds::default();
        for found in commands.iter().filter_map(|command| command.found.ok()) {
            if !kinds.count(found.id) {
                self.tallies.ran(found.id, each, 1);
            }
        }
        kinds.each(|id, n| self.tallies.ran(id, each, n));
    }

    /// A run took long: most likely for the sake of its longest request.
    #[cold]
    pub(super) fn note_slow_run(
        &mut self,
        work: &Work<'_>,
        batch: &Batch,
        run: std::ops::Range<usize>,
        ns: u64,
    ) {
        if let Some(longest) = batch.commands[run].iter().max_by_key(|c| c.end - c.start)
            && let Ok(found) = longest.found
        {
            self.note_slow(work.session, found, batch.args_of(longest, work.input), ns);
        }
    }

    /// Runs one command, whose stores are in hand. Its effects are in their logs then, as part of a unit that is open.
    pub(super) fn call(&mut self, work: &mut Work<'_>, found: Found, hash: u64, args: Args<'_>) -> Outcome {
        let reports = match found.row.plan {
            Plan::Gather(_) => work.reports.as_deref(),
            _ => None,
        };
        let memory = reports.map_or_else(MemoryNow::default, |reports| {
            self.shared.memory_now(self.now, reports.iter().map(|r| r.used_bytes() as u64).sum())
        });
        let Desk { env, mut keys, .. } = self.desk(work.session, memory);
        keys.ahead = match found.row.plan {
            Plan::Owner if hash != 0 => Some(Ahead::new(args.at(1), hash, keys.hand.owner(args.at(1)))),
            _ => None,
        };
        let mut cx = Cx {
            keys,
            out: work.out,
            session: work.session,
            env: &env,
            reports: reports.unwrap_or_default(),
            row: found.row,
        };
        match effects::run(&mut cx, args) {
            Ok(outcome) => outcome,
            Err(error) => {
                work.out.error(&error);
                Outcome::Done
            }
        }
    }

    /// What ran since the last unit takes effect as one.
    #[inline]
    pub(super) fn end_unit(&mut self) {
        if self.hand.logs() {
            self.hand.seal_logs();
        }
    }

    /// Keeps the books of one command.
    pub(super) fn account(&mut self, work: &mut Work<'_>, found: Found, args: Args<'_>, mark: Mark, ns: u64) {
        work.session.commands += 1;
        if work.session.is_replay() {
            if work.out.take_errors() > 0 {
                let error = work.out.error_since(mark).unwrap_or(b"ERR").to_vec();
                work.session.note_trouble(work.at, args.at(0), &error);
            }
            return;
        }
        self.tallies.ran(found.id, ns, 1);
        if work.out.take_errors() > 0 {
            self.tallies.failed(Some(found.id), work.out.error_since(mark).unwrap_or(b"ERR"));
        }
        if ns >= self.tallies.watch_ns {
            self.note_slow(work.session, found, args, ns);
        }
    }

    /// Drops the reply when CLIENT REPLY says so.
    pub(super) fn reply_mode(&self, work: &mut Work<'_>, mark: Mark) {
        match work.session.reply {
            ReplyMode::On => {}
            ReplyMode::Off => work.out.cut(mark),
            ReplyMode::SkipNext => work.session.reply = ReplyMode::Skipping,
            ReplyMode::Skipping => {
                work.out.cut(mark);
                work.session.reply = ReplyMode::On;
            }
        }
    }
}
