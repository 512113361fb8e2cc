//! Who looks after the log as a whole: shard 0. Generations follow each other here, bases are made, failures are mended.
//!
//! ```text
//!  turn      a mark in every store's log ─ each owner writes what is before it ─ LogTurned ─ all: the storage plane brings the
//!            files to the disk, makes the next ones, lists them ─ each owner goes on
//!  rewrite   one instant: a cut of the data and a turn of the log ─ the walk writes a base ─ the storage plane lists it in
//!            the place of the old base and of all files before the turn
//!  start     CONFIG SET appendonly yes: the same, but the files are listed together with the base, and the log begins at the cut
//!  mend      after a failed write or sync: the same; what the old files lack is in the base
//!  end       CONFIG SET appendonly no, SHUTDOWN: a turn with nothing behind it
//! ```
//! FLUSHALL, FLUSHDB and SWAPDB turn the generation too; what they do stands alone in a file between the two.

use super::saves::{SAVER, Waiter, Why};
use super::{Core, Letter};
use crate::cmd::ShutdownMode;
use crate::cmd::save::LogState;
use crate::ring::net::World;
use std::path::PathBuf;
use std::sync::Arc;

/// So many generations (FLUSHALL begins one) are worth a rewrite whatever their size: each has a file per shard.
const GENERATIONS_MAX: u32 = 128;
/// What a failure of the storage plane is told as.
const EIO: i32 = 5;
/// After a failure the next attempt waits so long, in seconds.
const RETRY_SECS: i64 = 5;

const IN_PROGRESS: &str = "ERR Background append only file rewriting already in progress";
const SCHEDULED: &str = "Background append only file rewriting scheduled";
const STARTED: &str = "Background append only file rewriting started";
const NOT_SYNCED: &str = "ERR Errors trying to SHUTDOWN. Check logs.";

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
    pub ends: Vec<Option<u64>>,
    /// What stands alone before the next generation.
    pub whole: Option<Arc<[u8]>>,
    pub next: Next,
}

/// A base that was written, to be listed.
#[derive(Clone, Debug)]
pub struct NewBase {
    pub path: PathBuf,
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
    purpose: Purpose,
    saved: bool,
    /// The generation that its turn began.
    from: Option<u64>,
}

/// Why the log ends.
#[derive(Clone, Copy)]
enum End {
    Off,
    Shutdown(ShutdownMode),
}

/// What shard 0 knows of the log.
#[derive(Default)]
pub(super) struct Rewriter {
    under_way: Option<Rewrite>,
    /// The turn that shards are coming to: their ends, and what stands alone.
    ends: Vec<Option<Option<u64>>>,
    whole: Option<Arc<[u8]>>,
    /// Turns are numbered from 0 since the log was switched on, and several may be under way (FLUSHALL's, or that of a rewrite
    /// which was given up): the next that all shards come to, the next that the storage plane makes, and whose is whose.
    comes: u64,
    made: u64,
    of_rewrite: Option<u64>,
    of_end: Option<u64>,
    /// The first files are being made, for which no turn is in any store.
    starts: bool,
    end: Option<End>,
    /// Generations that have begun since the last rewrite.
    generations: u32,
    last_try_secs: i64,
    last_errno: i32,
}

impl Rewriter {
    /// Whether a base is being made, or the log ends.
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some() || self.end.is_some()
    }

    /// Why the base that is being made is made.
    pub fn purpose(&self) -> Option<Purpose> {
        self.under_way.as_ref().map(|rewrite| rewrite.purpose)
    }
}

impl Core {
    /// BGREWRITEAOF.
    pub(super) fn rewrite_asked(&mut self, net: &mut dyn World, waiter: Waiter) {
        if self.rewriter.is_busy() {
            return self.tell(waiter, Err(IN_PROGRESS.into()));
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

    fn begin_rewrite(&mut self, net: &mut dyn World, purpose: Purpose) {
        self.rewriter.under_way = Some(Rewrite { purpose, saved: false, from: None });
        self.rewriter.last_try_secs = self.now.secs();
        self.shared.saves.log.begin_rewrite(self.now.secs());
        self.begin_save(net, Why::Rewrite, None);
    }

    /// The cut of a rewrite: all stores are in hand.
    pub(super) fn cut_log(&mut self) {
        let Some(rewrite) = &self.rewriter.under_way else { return };
        match rewrite.purpose {
            Purpose::Rewrite | Purpose::Mend => {
                self.hand.turn_logs(None);
                self.rewriter.of_rewrite = Some(self.hand.peek(self.id).log.turned() - 1);
            }
            Purpose::Start => {
                self.hand.iter_mut().for_each(|store| store.log.switch(true));
                (self.rewriter.comes, self.rewriter.made, self.rewriter.starts) = (0, 0, true);
                self.shared.saves.log.set_state(LogState::Starting);
                let ends = vec![None; self.shared.route.shards()];
                self.shared.control.turn_log(LogTurn { ends, whole: None, next: Next::Unlisted });
            }
            Purpose::Alone => {}
        }
    }

    /// A shard has come to the end of the generation.
    pub(super) fn log_turned(&mut self, shard: usize, end: u64, broken: bool, whole: Option<Arc<[u8]>>) {
        let shards = self.shared.route.shards();
        self.rewriter.ends.resize(shards, None);
        self.rewriter.ends[shard] = Some((!broken).then_some(end));
        self.rewriter.whole = whole;
        if self.rewriter.ends.iter().any(Option::is_none) {
            return;
        }
        let ends: Vec<Option<u64>> = std::mem::take(&mut self.rewriter.ends).into_iter().flatten().collect();
        self.shared.saves.log.add_earlier(ends.iter().flatten().sum());
        let ends_log = self.rewriter.of_end == Some(self.rewriter.comes);
        self.rewriter.comes += 1;
        let whole = self.rewriter.whole.take();
        // Nothing may be listed behind a file that is not whole, until there is a base.
        let mends =
            matches!(self.rewriter.purpose(), Some(Purpose::Mend | Purpose::Start)) || ends.contains(&None);
        let next = match (ends_log, mends) {
            (true, _) => Next::End,
            (false, true) => Next::Unlisted,
            (false, false) => Next::Listed,
        };
        self.shared.control.turn_log(LogTurn { ends, whole, next });
    }

    /// The storage plane has made the next generation (its number), or could not.
    pub fn generation_made(&mut self, net: &mut dyn World, result: Result<u64, String>) {
        let starts = std::mem::take(&mut self.rewriter.starts);
        let number = (!starts).then_some(self.rewriter.made);
        self.rewriter.made += u64::from(!starts);
        if number.is_some() && number == self.rewriter.of_end {
            return self.log_ended(net, result.map(drop));
        }
        match result {
            Ok(generation) => {
                self.rewriter.generations += 1;
                if starts || number == self.rewriter.of_rewrite {
                    self.rewriter.of_rewrite = None;
                    if let Some(rewrite) = &mut self.rewriter.under_way {
                        rewrite.from = Some(generation);
                    }
                    self.base_if_ready();
                }
            }
            Err(why) => {
                self.warn(format!("The next files of the append-only log cannot be made: {why}"));
                self.rewriter.of_rewrite = None;
                if self.shared.saves.log.state() == LogState::On {
                    self.shared.saves.log.set_errno(EIO);
                    self.rewriter.last_errno = EIO;
                }
                for shard in 0..self.shared.route.shards() {
                    self.post(shard, Letter::LogTurnFailed);
                }
                self.rewrite_failed(net);
            }
        }
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
            path: self.base_path(),
            from: rewrite.from,
            as_commands: !self.config.aof_use_rdb_preamble,
            keeps_history: self.config.aof_disable_auto_gc,
        };
        self.shared.control.new_base(base);
    }

    /// Where a base is written before it has its name.
    pub(super) fn base_path(&self) -> PathBuf {
        PathBuf::from(&self.config.dir)
            .join(&self.config.appenddirname)
            .join(format!("temp-{}.base", self.config.appendfilename))
    }

    /// The base is listed, with so many bytes in all files, or could not be.
    pub fn base_made(&mut self, net: &mut dyn World, result: Result<u64, String>) {
        let Some(rewrite) = &self.rewriter.under_way else { return };
        let purpose = rewrite.purpose;
        match result {
            Ok(bytes) => {
                self.rewriter.under_way = None;
                self.rewriter.generations = 0;
                let board = &self.shared.saves.log;
                board.end_rewrite(self.now.secs(), true);
                board.set_base_bytes(bytes);
                if purpose != Purpose::Alone {
                    board.set_state(LogState::On);
                    board.set_strict(self.config.appendfsync == "always");
                }
                if purpose == Purpose::Mend && self.rewriter.last_errno != 0 {
                    self.rewriter.last_errno = 0;
                    board.set_errno(0);
                    self.warn("The append-only log can be written again");
                }
                self.note("Background AOF rewrite finished successfully");
            }
            Err(why) => {
                self.warn(format!("Background append only file rewriting error: {why}"));
                self.rewrite_failed(net);
            }
        }
    }

    fn rewrite_failed(&mut self, net: &mut dyn World) {
        let Some(rewrite) = self.rewriter.under_way.take() else { return };
        self.rewriter.of_rewrite = None;
        self.shared.saves.log.end_rewrite(self.now.secs(), false);
        self.saver_gives_up(net);
        if rewrite.purpose == Purpose::Start {
            self.drop_log(net);
        }
    }

    /// What was begun is not to be: without a base the log says nothing.
    fn drop_log(&mut self, net: &mut dyn World) {
        self.shared.saves.log.set_state(LogState::Off);
        self.end_log(net, End::Off);
    }

    /// A write or a sync failed at some shard.
    pub(super) fn log_failure(&mut self, errno: i32) {
        let why = std::io::Error::from_raw_os_error(errno);
        if self.rewriter.last_errno == 0 {
            self.warn(format!(
                "The append-only log cannot be written: {why}. Writes are refused until a new base and new files can be written"
            ));
        }
        self.rewriter.last_errno = errno;
    }

    /// Begins what is due: the log's start or end, a rewrite, the way out of a failure.
    pub(super) fn look_after_log(&mut self, net: &mut dyn World) {
        let saves = self.shared.saves.clone();
        if self.id != SAVER || self.rewriter.is_busy() || self.saver.is_busy() || saves.is_loading() {
            return;
        }
        let (board, wanted) = (&saves.log, self.config.appendonly);
        let may_try = self.now.secs() - self.rewriter.last_try_secs >= RETRY_SECS;
        match board.state() {
            LogState::Off if wanted && (may_try || self.rewriter.last_try_secs == 0) => {
                self.begin_rewrite(net, Purpose::Start);
            }
            LogState::On if !wanted => self.end_log(net, End::Off),
            LogState::On if board.errno() != 0 => {
                if may_try {
                    self.begin_rewrite(net, Purpose::Mend);
                }
            }
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
        percent > 0 && (large || self.rewriter.generations >= GENERATIONS_MAX)
    }

    /// The log ends once all that was logged is on the disk.
    fn end_log(&mut self, net: &mut dyn World, end: End) {
        self.rewriter.end = Some(end);
        self.want_log_end(net);
    }

    /// All stores are in hand: the log ends here.
    pub(super) fn stop_logs(&mut self) {
        self.hand.turn_logs(None);
        self.hand.iter_mut().for_each(|store| store.log.stop());
        self.rewriter.of_end = Some(self.hand.peek(self.id).log.turned() - 1);
    }

    /// SHUTDOWN: brings the log to its end before the process ends. Whether there is one.
    pub(super) fn ends_log_first(&mut self, net: &mut dyn World, mode: ShutdownMode) -> bool {
        if self.shared.saves.log.state() == LogState::Off || self.shared.saves.is_loading() {
            return false;
        }
        self.end_log(net, End::Shutdown(mode));
        true
    }

    fn log_ended(&mut self, net: &mut dyn World, result: Result<(), String>) {
        let Some(end) = self.rewriter.end.take() else { return };
        self.rewriter.of_end = None;
        self.shared.saves.log.set_state(LogState::Off);
        self.shared.saves.log.set_errno(0);
        self.rewriter.last_errno = 0;
        for shard in 0..self.shared.route.shards() {
            self.post(shard, Letter::LogClosed);
        }
        if let Err(why) = &result {
            self.warn(format!("The append-only log could not be brought to the disk: {why}"));
        }
        match (end, result) {
            (End::Off, _) => {}
            (End::Shutdown(mode), Err(_)) if !mode.force => self.resume(Err(NOT_SYNCED.into())),
            (End::Shutdown(mode), _) => self.shared.control.shutdown(mode),
        }
        let _ = net;
    }
}
