//! Who looks after the log as a whole: shard 0. Generations follow each other here, bases are made, failures are mended.
//!
//! ```text
//!  turn      a mark in every store's log ─ each owner writes what is before it ─ LogTurned ─ all: the storage plane brings the
//!            files to the disk, makes the next ones, lists them ─ each owner goes on
//!  rewrite   one instant: a cut of the data and a turn of the log ─ the walk writes a base ─ the storage plane lists it in
//!            the place of the old base and of all files before the turn
//!  start     CONFIG SET appendonly yes: the same, but the files are listed together with the base, and the log begins at the cut
//!  mend      after a failed write or sync: the same; what the old files lack is in the base
//!  end       CONFIG SET appendonly no, SHUTDOWN, DEBUG LOADAOF: a turn with nothing behind it
//! ```
//! FLUSHALL, FLUSHDB and SWAPDB turn the generation too; what they do stands alone in a file between the two.

use super::saves::{SAVER, Waiter, Why};
use super::{Core, Letter};
use crate::cmd::save::LogState;
use crate::cmd::{Order, ShutdownMode};
use crate::persist::aof::FileEnd;
use crate::ring::net::World;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many generations (FLUSHALL begins one) are worth a rewrite whatever their size: each has a file per shard.
const GENERATIONS_MAX: u32 = 128;
/// What a failure of the storage plane is told as if it has no number.
const EIO: i32 = 5;
/// After a failure the next attempt waits so long, in seconds.
const RETRY_SECS: i64 = 5;

const IN_PROGRESS: &str = "ERR Background append only file rewriting already in progress";
const SCHEDULED: &str = "Background append only file rewriting scheduled";
const STARTED: &str = "Background append only file rewriting started";
const NOT_SYNCED: &str = "ERR Errors trying to SHUTDOWN. Check logs.";
const NOT_RELOADED: &str = "ERR Error trying to load the AOF files, check server logs.";

/// What follows a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// The next generation, listed in the manifest.
    Listed,
    /// The next generation, which is listed when its base is.
    Unlisted,
    /// Nothing.
    End,
}

/// A turn, as the storage plane has to make it.
#[derive(Clone, Debug)]
pub struct LogTurn {
    /// Where each shard's file ends; `None`: it is left as it is.
    pub ends: Vec<Option<FileEnd>>,
    /// What stands alone before the next generation.
    pub whole: Option<Arc<[u8]>>,
    pub next: Next,
}

/// A base that was written, to be listed.
#[derive(Clone, Debug)]
pub struct NewBase {
    /// The first generation that is not in it; `None`: there is no log.
    pub from: Option<u64>,
    /// Whether it becomes a file of commands.
    pub as_commands: bool,
    /// Whether the files that it replaces stay.
    pub keeps_history: bool,
}

/// Why a base is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Rewrite,
    /// The log begins.
    Start,
    /// After a failure.
    Mend,
    /// There is no log: only the base is made.
    Alone,
}

struct Rewrite {
    id: u64,
    purpose: Purpose,
    saved: bool,
    /// The number of its turn.
    turn: Option<u64>,
    /// The generation that its turn began.
    from: Option<u64>,
}

/// Why the log ends.
#[derive(Clone, Copy)]
pub(super) enum End {
    Off,
    Shutdown(ShutdownMode),
    /// It is loaded again.
    Reload,
}

impl End {
    /// Whether it is not to be when something cannot be written.
    fn needs_all(self) -> bool {
        match self {
            End::Off => false,
            End::Shutdown(mode) => !mode.force,
            End::Reload => true,
        }
    }
}

/// Whose turn of the log it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turner {
    /// That of the rewrite of this id, which may have failed since.
    Rewrite(u64),
    /// That of an operation on the whole keyspace.
    Whole,
    /// The log ends.
    End,
}

/// What shard 0 knows of the log.
#[derive(Default)]
pub(super) struct Rewriter {
    under_way: Option<Rewrite>,
    /// How many rewrites have begun: the id of the last.
    begun: u64,
    /// The turn that shards are coming to: their ends, and what stands alone.
    ends: Vec<Option<Option<FileEnd>>>,
    whole: Option<Arc<[u8]>>,
    /// Turns that the storage plane was asked for, in order: shards may come to the next one before it is heard that the one before
    /// is made.
    asked: VecDeque<Turner>,
    /// The rewrites whose bases it was asked to list, in order: one may fail meanwhile, and the next one begin.
    bases: VecDeque<u64>,
    /// A write or a sync has failed since the last rewrite's turn.
    fails: bool,
    /// The log ends; by which turn, once that is known; and what is to end it when the rewrite under way is over.
    end: Option<End>,
    end_turn: Option<u64>,
    pub(super) end_after: Option<End>,
    last_try_secs: i64,
    last_errno: i32,
}

impl Rewriter {
    /// Whether a base is being made, or the log ends.
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some() || self.end.is_some()
    }

    /// Whether the log comes to its end.
    pub fn ends(&self) -> bool {
        self.end.is_some()
    }
}

/// The number in what the storage plane says of a failure, or that of the one before.
fn errno_of(why: &str, before: i32) -> i32 {
    let number = why.rsplit_once("(os error ").and_then(|(_, rest)| rest.split(')').next());
    let other = if before == 0 { EIO } else { before };
    number.and_then(|n| n.parse().ok()).unwrap_or(other)
}

impl Core {
    /// BGREWRITEAOF.
    pub(super) fn rewrite_asked(&mut self, net: &mut dyn World, waiter: Waiter) {
        if self.rewriter.under_way.is_some() {
            return self.tell(waiter, Err(IN_PROGRESS.into()));
        }
        if self.rewriter.ends() {
            return self.do_later(waiter, Order::Rewrite);
        }
        if self.saver.is_busy() {
            self.shared.saves.log.schedule(true);
            return self.tell(waiter, Ok(SCHEDULED));
        }
        self.tell(waiter, Ok(STARTED));
        let purpose = match self.shared.saves.log.state() {
            LogState::On => Purpose::Rewrite,
            _ => Purpose::Alone,
        };
        self.begin_rewrite(net, purpose);
    }

    pub(super) fn begin_rewrite(&mut self, net: &mut dyn World, purpose: Purpose) {
        if let Purpose::Start | Purpose::Alone = purpose {
            self.shared.control.place_log(&self.config.dir);
        }
        self.rewriter.begun += 1;
        let id = self.rewriter.begun;
        self.rewriter.under_way = Some(Rewrite { id, purpose, saved: false, turn: None, from: None });
        self.rewriter.last_try_secs = self.now.secs();
        self.shared.saves.log.begin_rewrite(self.now.secs());
        self.begin_save(net, Why::Rewrite, None);
    }

    /// The cut of a rewrite: all stores are in hand.
    pub(super) fn cut_log(&mut self) {
        let Some(rewrite) = &self.rewriter.under_way else { return };
        match rewrite.purpose {
            Purpose::Rewrite | Purpose::Mend => {
                // It may have been stopped for a SHUTDOWN that did not come to pass.
                self.hand.iter_mut().for_each(|store| store.log.go_on());
                let turn = self.hand.turn_logs(None);
                if let Some(rewrite) = &mut self.rewriter.under_way {
                    rewrite.turn = Some(turn);
                }
            }
            Purpose::Start => {
                self.hand.iter_mut().for_each(|store| store.log.switch(true));
                self.shared.saves.log.set_state(LogState::Starting);
                let ends = vec![None; self.shared.route.shards()];
                self.rewriter.asked.push_back(Turner::Rewrite(rewrite.id));
                self.forget_failures();
                self.shared.control.turn_log(LogTurn { ends, whole: None, next: Next::Unlisted });
            }
            Purpose::Alone => {}
        }
    }

    /// A shard has come to the end of the generation, by the turn of this number.
    pub(super) fn log_turned(
        &mut self,
        net: &mut dyn World,
        (shard, number): (usize, u64),
        end: Option<FileEnd>,
        whole: Option<Arc<[u8]>>,
    ) {
        let shards = self.shared.route.shards();
        self.rewriter.ends.resize(shards, None);
        self.rewriter.ends[shard] = Some(end);
        self.rewriter.whole = whole;
        if self.rewriter.ends.iter().any(Option::is_none) {
            return;
        }
        let ends: Vec<Option<FileEnd>> =
            std::mem::take(&mut self.rewriter.ends).into_iter().flatten().collect();
        self.shared.saves.log.add_earlier(ends.iter().flatten().map(|end| end.len).sum());
        let whole = self.rewriter.whole.take();
        let rewrite = self.rewriter.under_way.as_ref();
        let turner = match (self.rewriter.end_turn, rewrite) {
            (Some(end), _) if end == number => Turner::End,
            (_, Some(rewrite)) if rewrite.turn == Some(number) => Turner::Rewrite(rewrite.id),
            _ => Turner::Whole,
        };
        let (broken, purpose) = (ends.iter().any(Option::is_none), rewrite.map(|rewrite| rewrite.purpose));
        let next = match (turner, purpose) {
            (Turner::End, _) if broken && self.rewriter.end.is_some_and(End::needs_all) => {
                return self.log_ended(Err("a write has failed".into()));
            }
            (Turner::End, _) => Next::End,
            (_, Some(Purpose::Mend | Purpose::Start)) => Next::Unlisted,
            // What the files before lack is in the base: until it is there, nothing may follow them.
            (Turner::Rewrite(_), _) if broken => Next::Unlisted,
            (Turner::Whole, _) if broken => {
                return self.turn_failed(net, "what comes before it is not whole");
            }
            _ => Next::Listed,
        };
        if let Turner::Rewrite(_) = turner {
            self.rewriter.fails = false;
        }
        self.rewriter.asked.push_back(turner);
        self.shared.control.turn_log(LogTurn { ends, whole, next });
    }

    /// The storage plane has made the next generation (its number), or could not.
    pub fn generation_made(&mut self, net: &mut dyn World, result: Result<u64, String>) {
        match (self.rewriter.asked.pop_front(), result) {
            (Some(Turner::End), result) => self.log_ended(result.map(drop)),
            (turner, Ok(generation)) => {
                self.shared.saves.log.note_generation();
                // What a rewrite that has failed asked for is made too. A base that said it began there would be older than its log.
                let is_its = |rewrite: &&mut Rewrite| turner == Some(Turner::Rewrite(rewrite.id));
                if let Some(rewrite) = self.rewriter.under_way.as_mut().filter(is_its) {
                    rewrite.from = Some(generation);
                    self.base_if_ready();
                }
            }
            (_, Err(why)) => self.turn_failed(net, &why),
        }
    }

    fn turn_failed(&mut self, net: &mut dyn World, why: &str) {
        self.warn(format!("The next files of the append-only log cannot be made: {why}"));
        if self.shared.saves.log.state() == LogState::On {
            self.log_failure(errno_of(why, self.shared.saves.log.errno()));
            for shard in 0..self.shared.route.shards() {
                self.post(shard, Letter::LogTurnFailed);
            }
        }
        self.rewrite_failed(net);
    }

    /// The base of a rewrite was written, or could not be.
    pub(super) fn base_saved(&mut self, net: &mut dyn World, result: Result<(), String>) {
        match result {
            Ok(()) => {
                if let Some(rewrite) = &mut self.rewriter.under_way {
                    rewrite.saved = true;
                }
                self.base_if_ready();
            }
            Err(why) => {
                self.warn(format!("Background append only file rewriting error: {why}"));
                self.rewrite_failed(net);
            }
        }
    }

    fn base_if_ready(&mut self) {
        let Some(rewrite) = self.rewriter.under_way.as_ref().filter(|rewrite| rewrite.saved) else { return };
        if rewrite.from.is_none() && rewrite.purpose != Purpose::Alone {
            return;
        }
        let base = NewBase {
            from: rewrite.from,
            as_commands: !self.config.aof_use_rdb_preamble,
            keeps_history: self.config.aof_disable_auto_gc,
        };
        let id = rewrite.id;
        self.rewriter.bases.push_back(id);
        self.shared.control.new_base(base);
    }

    /// The base is listed, with so many bytes in all files, or could not be.
    pub fn base_made(&mut self, net: &mut dyn World, result: Result<u64, String>) {
        let of = self.rewriter.bases.pop_front();
        let Some(rewrite) = self.rewriter.under_way.as_ref().filter(|rewrite| of == Some(rewrite.id)) else {
            // It is of one that has failed since: whoever begins anew does not rely on it.
            return;
        };
        let purpose = rewrite.purpose;
        match result {
            Ok(bytes) => {
                self.rewriter.under_way = None;
                let board = &self.shared.saves.log;
                board.end_rewrite(self.now.secs(), true);
                board.set_base_bytes(bytes);
                board.set_generations(0);
                if purpose != Purpose::Alone {
                    board.set_state(LogState::On);
                }
                if self.rewriter.last_errno != 0 && !self.rewriter.fails {
                    self.rewriter.last_errno = 0;
                    board.set_errno(0);
                    self.warn("The append-only log can be written again");
                }
                self.note("Background AOF rewrite finished successfully");
                self.end_after_rewrite(net, true);
            }
            Err(why) => {
                self.warn(format!("Background append only file rewriting error: {why}"));
                self.rewrite_failed(net);
            }
        }
    }

    fn rewrite_failed(&mut self, net: &mut dyn World) {
        let Some(rewrite) = self.rewriter.under_way.take() else { return };
        self.shared.saves.log.end_rewrite(self.now.secs(), false);
        self.give_up_walk();
        if rewrite.purpose == Purpose::Start {
            // Without a base the log says nothing.
            self.shared.saves.log.set_state(LogState::Off);
            self.forget_failures();
            self.want_log_dropped(net);
        }
        self.end_after_rewrite(net, false);
    }

    /// What could not be written is of a log that is no more.
    fn forget_failures(&mut self) {
        self.shared.saves.log.set_errno(0);
        (self.rewriter.last_errno, self.rewriter.fails) = (0, false);
    }

    /// FLUSHALL: a base of what was there before is of no use any more. It is given up where nothing rests on it, and made again.
    pub(super) fn give_up_base(&mut self) {
        match self.rewriter.under_way.as_ref().map(|rewrite| rewrite.purpose) {
            Some(Purpose::Alone) => self.shared.saves.log.schedule(true),
            // As if it had not been tried.
            Some(Purpose::Start) => self.rewriter.last_try_secs = 0,
            Some(Purpose::Rewrite | Purpose::Mend) | None => return,
        }
        self.give_up_walk();
    }

    /// All stores are in hand: what was logged is nobody's any more.
    pub(super) fn drop_logs(&mut self) {
        self.hand.iter_mut().for_each(|store| store.log.switch(false));
        for shard in 0..self.shared.route.shards() {
            self.post(shard, Letter::LogClosed);
        }
    }

    /// Whoever has waited for the rewrite to be over goes on.
    fn end_after_rewrite(&mut self, net: &mut dyn World, done: bool) {
        self.go_on_reloading(net, done);
        let Some(end) = self.rewriter.end_after.take() else { return };
        if !self.ends_log_first(net, end) {
            self.log_is_over(end);
        }
    }

    /// What was reloaded has no base: from here on nobody can tell what the log means, until another one is made.
    pub(super) fn reload_without_base(&mut self) {
        if self.shared.saves.log.state() == LogState::On && self.shared.saves.log.errno() == 0 {
            self.log_failure(EIO);
        }
    }

    /// A write or a sync failed at some shard.
    pub(super) fn log_failure(&mut self, errno: i32) {
        if self.shared.saves.log.state() == LogState::Off {
            return;
        }
        // The end of a rewrite may have said meanwhile that all is well.
        self.shared.saves.log.set_errno(errno);
        self.rewriter.fails = true;
        let why = std::io::Error::from_raw_os_error(errno);
        if self.rewriter.last_errno == 0 {
            self.warn(format!(
                "The append-only log cannot be written: {why}. Writes are refused until a new base and new files can be written"
            ));
        }
        self.rewriter.last_errno = errno;
    }

    /// `always`: how far files may be filled ahead depends on what is free.
    pub(super) fn look_for_room(&self) {
        let saves = &self.shared.saves;
        if self.id == SAVER && saves.log.is_strict() && saves.log.begin_look() {
            self.shared.control.look_for_room(saves);
        }
    }

    /// Begins what is due: the log's start or end, a rewrite, the way out of a failure.
    pub(super) fn look_after_log(&mut self, net: &mut dyn World) {
        let saves = self.shared.saves.clone();
        if self.id != SAVER || self.rewriter.is_busy() || self.saver.is_busy() || saves.is_loading() {
            return;
        }
        self.ask_again(net);
        if self.saver.is_busy() {
            return;
        }
        let (board, wanted) = (&saves.log, self.config.appendonly);
        let may_try = self.now.secs() - self.rewriter.last_try_secs >= RETRY_SECS;
        if board.state() == LogState::On && wanted && board.errno() != 0 {
            if may_try {
                self.begin_rewrite(net, Purpose::Mend);
            }
            return;
        }
        match board.state() {
            LogState::Off if wanted && (may_try || self.rewriter.last_try_secs == 0) => {
                self.begin_rewrite(net, Purpose::Start);
            }
            LogState::On if !wanted => self.end_log(net, End::Off),
            LogState::On if board.is_scheduled() => self.begin_rewrite(net, Purpose::Rewrite),
            LogState::On if self.has_grown() && (may_try || !board.rewrites().2) => {
                self.begin_rewrite(net, Purpose::Rewrite);
            }
            _ if board.is_scheduled() => self.begin_rewrite(net, Purpose::Alone),
            _ => {}
        }
    }

    /// Whether the log has grown so much that it is rewritten.
    fn has_grown(&self) -> bool {
        let (base, now) = self.shared.saves.log.sizes();
        let percent = u64::from(self.config.auto_aof_rewrite_percentage);
        let grown = (now.saturating_sub(base)).saturating_mul(100) / base.max(1);
        let large = now > self.config.auto_aof_rewrite_min_size && grown >= percent;
        percent > 0 && (large || self.shared.saves.log.generations() >= GENERATIONS_MAX)
    }

    /// The log ends once all that was logged is on the disk.
    fn end_log(&mut self, net: &mut dyn World, end: End) {
        self.rewriter.end = Some(end);
        self.want_log_end(net);
    }

    /// All stores are in hand: the log ends here.
    pub(super) fn stop_logs(&mut self) {
        self.rewriter.end_turn = Some(self.hand.turn_logs(None));
        self.hand.iter_mut().for_each(|store| store.log.stop());
    }

    /// SHUTDOWN, DEBUG LOADAOF: brings the log to its end first. Whether there is one.
    pub(super) fn ends_log_first(&mut self, net: &mut dyn World, end: End) -> bool {
        if self.shared.saves.log.state() == LogState::Off || self.shared.saves.is_loading() {
            return false;
        }
        if self.rewriter.under_way.is_some() {
            self.rewriter.end_after = Some(end);
        } else if self.shared.saves.log.errno() != 0 && end.needs_all() {
            // What was acknowledged before the failure may be in memory only.
            self.refuse_end(end, "it cannot be written at the moment");
        } else {
            self.end_log(net, end);
        }
        true
    }

    fn log_ended(&mut self, result: Result<(), String>) {
        self.rewriter.end_turn = None;
        let Some(end) = self.rewriter.end.take() else { return };
        if let (Err(why), true) = (&result, end.needs_all()) {
            self.log_failure(errno_of(why, self.shared.saves.log.errno()));
            for shard in 0..self.shared.route.shards() {
                self.post(shard, Letter::LogTurnFailed);
            }
            return self.refuse_end(end, why);
        }
        self.shared.saves.log.set_state(LogState::Off);
        self.forget_failures();
        for shard in 0..self.shared.route.shards() {
            self.post(shard, Letter::LogClosed);
        }
        if let Err(why) = &result {
            self.warn(format!("The append-only log could not be brought to the disk: {why}"));
        }
        self.log_is_over(end);
    }

    /// There is no log any more.
    fn log_is_over(&mut self, end: End) {
        match end {
            // DEBUG RELOAD may have waited for it.
            End::Off => self.resume_reloaded(),
            End::Shutdown(mode) => self.shared.control.shutdown(mode),
            End::Reload => self.close_logs(),
        }
    }

    /// What was acknowledged would be lost.
    fn refuse_end(&mut self, end: End, why: &str) {
        if let End::Reload = end {
            self.warn(format!(
                "The append-only log is not loaded, since it could not be brought to the disk: {why}"
            ));
            return self.resume(Err(NOT_RELOADED.into()));
        }
        self.warn(format!(
            "The append-only log could not be brought to the disk, can't exit: {why}. SHUTDOWN FORCE exits all the same"
        ));
        self.resume(Err(NOT_SYNCED.into()));
    }
}
