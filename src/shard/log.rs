//! The owner's end of the log: it takes from its store what commands have left there, makes frames of it, and writes them with its
//! own ring.
//!
//! ```text
//!  store.log ─take─ frames ─ pages ─┬─ flying: up to FLYING writes at once ─ the oldest ones that are complete: written
//!                                   │                always: each write is durable by itself, or a sync follows at once ([`commits`])
//!                                   └─                everysec: a sync a second       ─> durable (LogBoard)
//!  a turn of the generation: what comes before it is written ─ LogTurned ─ the next file comes ─ go on
//! ```
//! `always`: whatever one turn of the loop has logged is one write, several may be under way. Otherwise effects are gathered
//! until there are [`BATCH`] bytes or [`DELAY_US`] have passed: that much can be lost when the process is killed.
//!
//! Under `always` the file is filled ahead with blank lines: a durable write of a block that is there already is one trip to the disk,
//! that of a new one takes the file system's journal too. Not so when little is free: what is filled ahead for one shard is not there
//! for the data of another.
//!
//! A failed write or sync is not tried again: nothing is acknowledged from then on, writes are refused, and what is logged is
//! dropped until a new generation with a new base replaces everything ([`super::rewrite`]).

mod commits;

use self::commits::{Commits, Verdict, Way};
use super::saves::SAVER;
use super::{Core, Letter};
use crate::base::direct::{PAGE, Pages};
use crate::persist::aof::{FileEnd, Framer, Malformed, filler, pad, part};
use crate::ring::net::{FileId, FileWrite, World};
use crate::store::log::{Break, Taken};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Writes of a shard under way at once. With more of them each waits for the others at the drive and carries fewer commands: on a virtual
/// drive without FUA, builds with 8 and 4 in turn (`kring-bench -c N --ratio 1:0`, medians of 5 runs), 50 connections had 95 and 100 k SET/s
/// with p99 of 1.55 and 1.04 ms, 250 had 152 and 167 k with 3.9 and 3.3 ms; 2 and 3 were no better.
const FLYING: usize = 4;
/// When effects are gathered: so many bytes are written at once, or what there is after so long.
pub(super) const BATCH: u64 = 256 << 10;
const DELAY_US: u64 = 20_000;
/// How often `everysec` syncs.
const SYNC_US: u64 = 1_000_000;
/// How far a file is filled ahead of what is written: a little at first, since many files stay small (FLUSHALL begins new ones), then
/// far, since a file that grows makes durable writes wait for the file system's journal. Half of it is left when the next pieces come.
const FILL_FIRST: u64 = FILL_PIECE as u64;
const FILL_MOST: u64 = 32 << 20;
/// Of what is free on the file system, all shards together may have so much filled ahead: one part in so many. The rest is for data.
const FILL_SHARE: u64 = 8;
/// What a file holds when it is filled far.
const FILL_FAR_FROM: u64 = 256 << 10;
/// Each piece makes the file grow, which holds up a commit that meets it: the file is locked meanwhile, and goes to the disk with its new
/// size. So large pieces, which are few. Measured, ext4 without a journal, p99 of durable writes in us: 170 with nothing filled, 300 to 430
/// with pieces of 256 KiB, 120 to 270 with 1 MiB; 180 to 310 with 256 KiB in another file, so a file beside would gain nothing.
const FILL_PIECE: usize = 1 << 20;
/// Buffers that are kept for reuse.
const SPARE_PAGES: usize = FLYING;
/// The largest of them.
const SPARE_BYTES: usize = 1 << 20;
/// A log that is so many bytes behind its store, or so long, holds writes back until it has caught up; less long when a generation
/// ends, since each end behind it takes as long again.
const BEHIND_BYTES: u64 = 64 << 20;
const BEHIND_US: u64 = 500_000;
const BEHIND_AT_TURN_US: u64 = 150_000;
/// Longer stretches of units are several frames, so that who reads them needs no more memory at once than a unit takes.
const FRAME_MOST: usize = 64 << 20;
/// What a log fails with that has to hold a command which no reader takes: a new base holds its value.
const EFBIG: i32 = 27;
/// Serials of writes that fill a file ahead.
const FILL: u64 = u64::MAX;

/// A new file for a shard's log.
#[derive(Debug)]
pub struct LogStart {
    pub file: FileId,
    /// Makes its frames; the one that opens it is there.
    pub framer: Box<Framer>,
    /// Where to write on.
    pub len: u64,
    /// Whether it is written around the page cache.
    pub direct: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Off,
    Open,
    /// The generation is over here; its successor's file is being made.
    Waiting,
}

/// A write under way.
struct Flight {
    serial: u64,
    position: u64,
    frames: u64,
    durable: bool,
    done: bool,
}

/// A sync under way: what it covers, when it began, and whether it covers data that do not last without it.
struct Sync {
    position: u64,
    frames: u64,
    began_us: u64,
    of_data: bool,
}

/// How far a file is filled ahead.
#[derive(Default)]
struct Fill {
    /// Blank lines, or what stands instead of them, up to here.
    end: u64,
    /// Pieces follow each other until it is far enough.
    on: bool,
    under_way: bool,
    /// Filled, and not synced since.
    unsynced: bool,
    pages: Option<Pages>,
}

/// What was taken and not written: it stands behind the end of a generation.
struct Rest {
    taken: Taken,
    /// How far into it, in bytes and breaks, and the position there.
    at: usize,
    breaks: usize,
    position: u64,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct LogWriter {
    state: State,
    file: Option<FileId>,
    framer: Option<Box<Framer>>,
    /// Where the next write goes.
    at: u64,
    fill: Fill,
    /// Pages that wait until no piece of filling is under way where they go.
    parked: Option<FileWrite>,
    direct: bool,
    flying: VecDeque<Flight>,
    next_serial: u64,
    /// The position of all that was taken from the store.
    taken: u64,
    rest: Option<Rest>,
    written: u64,
    written_frames: u64,
    /// Something was written since the last sync that does not last by itself.
    unsynced: bool,
    sync: Option<Sync>,
    next_sync_us: u64,
    commits: Commits,
    /// When what waits is written at the latest.
    due_us: Option<u64>,
    /// The store was away.
    again: bool,
    failed: bool,
    last_stamp_secs: i64,
    /// A position that was not written yet, and since when it has been waiting.
    oldest: Option<(u64, u64)>,
    bytes: Vec<u8>,
    spare: Vec<u8>,
    pages: Vec<Pages>,
}

impl LogWriter {
    /// Whether no more is taken from the store for now.
    fn is_full(&self) -> bool {
        self.rest.is_some() || self.parked.is_some() || self.flying.len() >= FLYING
    }

    /// When it has to be looked at.
    pub fn next_us(&self) -> u64 {
        // While the next file is being made, or nothing can be written, no sync comes: who looked at once would look without a rest.
        let syncs = self.state == State::Open && !self.failed && self.unsynced && self.sync.is_none();
        let sync = if syncs { self.next_sync_us } else { u64::MAX };
        self.due_us.unwrap_or(u64::MAX).min(sync)
    }

    fn idle(&self) -> bool {
        self.flying.is_empty() && self.sync.is_none() && !self.fill.under_way
    }
}

impl Core {
    /// Whether something has come to the log since it was looked at last, or to replies that wait for logs: whoever brought it has
    /// not rung a shard that was awake, so who is about to sleep looks again.
    pub(super) fn has_news_of_log(&self) -> bool {
        let log = &self.log;
        if log.again || self.holds_for_nothing() {
            return true;
        }
        if log.state != State::Open || log.is_full() {
            return false;
        }
        let waits = self.shared.saves.log.of(self.id).logged().saturating_sub(log.taken);
        waits > 0 && (log.due_us.is_none() || waits >= BATCH)
    }

    /// How the log is brought to the disk: (durable writes, a sync a second).
    fn log_mode(&self) -> (bool, bool) {
        match self.config.appendfsync {
            "always" => (true, false),
            "everysec" => (false, true),
            _ => (false, false),
        }
    }

    /// Writes what there is to write. Once a turn.
    pub(super) fn write_log(&mut self, net: &mut dyn World) {
        if self.log.state == State::Off {
            return;
        }
        let (always, everysec) = self.log_mode();
        self.look_whether_behind();
        if self.log.state == State::Open {
            self.gather_log(net, always);
            self.end_generation_if_due();
        }
        if self.log.state == State::Open && !self.log.failed {
            self.sync_log(net, always, everysec);
            if always && self.log.direct {
                self.fill_log(net);
            }
        }
    }

    /// A disk that is slower than the clients, or many operations on the whole keyspace one after the other: without a bound the
    /// memory would be full of what waits, and a crash would lose more than `everysec` may.
    fn look_whether_behind(&mut self) {
        let line = self.shared.saves.log.of(self.id);
        let (log, logged) = (&mut self.log, line.logged());
        if log.oldest.is_some_and(|(position, _)| position <= log.written) {
            log.oldest = None;
        }
        if log.failed || logged <= log.written {
            log.oldest = None;
        } else {
            log.oldest.get_or_insert((logged, self.now.mono_us));
        }
        let bound = if log.rest.is_some() { BEHIND_AT_TURN_US } else { BEHIND_US };
        let late = log.oldest.is_some_and(|(_, since)| self.now.mono_us.saturating_sub(since) > bound);
        if let Some((position, _)) = log.oldest.as_mut().filter(|_| late) {
            // Until all is written that there is, not only what was too late.
            *position = logged;
        }
        let behind = late || !log.failed && logged.saturating_sub(log.written) > BEHIND_BYTES;
        if line.set_behind(behind) && behind {
            self.shared.saves.log.note_delayed_sync();
        }
    }

    fn gather_log(&mut self, net: &mut dyn World, always: bool) {
        self.log.again = false;
        if self.log.is_full() {
            return;
        }
        let waits = self.shared.saves.log.of(self.id).logged().saturating_sub(self.log.taken);
        if waits == 0 {
            return;
        }
        let due = *self.log.due_us.get_or_insert(self.now.mono_us + DELAY_US);
        if !always && waits < BATCH && self.now.mono_us < due {
            return;
        }
        if !self.take(net, self.id) {
            self.log.again = true;
            return;
        }
        let spare = std::mem::take(&mut self.log.spare);
        let taken = self.hand.store(self.id).log.take(spare);
        self.put_back(net);
        self.log.due_us = None;
        self.log.taken = taken.position;
        let position = taken.from;
        self.log.rest = Some(Rest { taken, at: 0, breaks: 0, position });
        self.write_rest(net, always);
    }

    /// Makes frames of what was taken, up to the end of the generation, and writes them.
    fn write_rest(&mut self, net: &mut dyn World, always: bool) {
        let Some(mut rest) = self.log.rest.take() else { return };
        let mut out = std::mem::take(&mut self.log.bytes);
        out.clear();
        let failed = self.log.failed;
        let mut framed = Ok(());
        if let Some(framer) = self.log.framer.as_mut().filter(|_| !failed) {
            if self.config.aof_timestamp_enabled && self.log.last_stamp_secs != self.now.secs() {
                self.log.last_stamp_secs = self.now.secs();
                framer.frame(&mut out, format!("#TS:{}\r\n", self.now.secs()).as_bytes(), None);
            }
            framed = frame(framer, &mut rest, &mut out, FRAME_MOST);
        } else {
            skip(&mut rest);
        }
        if framed.is_err() {
            out.clear();
            skip(&mut rest);
            self.log_failed(net, EFBIG);
        }
        let position = rest.position;
        if rest.at < rest.taken.bytes.len() || rest.breaks < rest.taken.breaks.len() {
            self.log.rest = Some(rest);
        } else {
            self.log.spare = rest.taken.bytes;
        }
        if !out.is_empty() {
            pad(&mut out);
            let durable = always && self.log.commits.way(self.config.log_commit) == Way::Dsync;
            self.send_pages(net, &out, position, durable);
        }
        self.log.bytes = out;
    }

    fn send_pages(&mut self, net: &mut dyn World, bytes: &[u8], position: u64, durable: bool) {
        let log = &mut self.log;
        let (Some(file), Some(framer)) = (log.file, &log.framer) else { return };
        let mut pages = log.pages.pop().unwrap_or_default();
        pages.fill(bytes);
        log.next_serial += 1;
        let serial = log.next_serial;
        log.flying.push_back(Flight { serial, position, frames: framer.sequence(), durable, done: false });
        log.commits.begun(position, self.now.mono_us);
        let write = FileWrite { file, at: log.at, pages, durable, serial };
        log.at += bytes.len() as u64;
        self.shared.saves.log.of(self.id).file_bytes.store(log.at, Relaxed);
        if log.fill.under_way && log.at > log.fill.end {
            // A piece that is under way there would be written over it.
            log.parked = Some(write);
            return;
        }
        log.fill.end = log.fill.end.max(log.at);
        net.write_file(write);
    }

    /// A write to a log file is complete, or has failed.
    pub fn written(&mut self, net: &mut dyn World, write: FileWrite, result: Result<(), i32>) {
        let FileWrite { mut pages, serial, at, file, .. } = write;
        if self.log.file != Some(file) {
            // Its file was given up while it was under way.
            return;
        }
        if serial == FILL {
            return self.filled(net, at, pages, result);
        }
        if self.log.pages.len() < SPARE_PAGES && pages.capacity() <= SPARE_BYTES {
            pages.fill(&[]);
            self.log.pages.push(pages);
        }
        if let Some(flight) = self.log.flying.iter_mut().find(|flight| flight.serial == serial) {
            flight.done = true;
        }
        if let Err(errno) = result {
            self.log_failed(net, errno);
        }
        self.land(net);
    }

    /// Moves the log on by the oldest writes that are complete.
    fn land(&mut self, net: &mut dyn World) {
        let log = &mut self.log;
        let mut lasts = None;
        while let Some(flight) = log.flying.pop_front_if(|flight| flight.done) {
            (log.written, log.written_frames) = (flight.position, flight.frames);
            log.unsynced |= !flight.durable;
            if flight.durable && !log.unsynced && log.sync.as_ref().is_none_or(|sync| !sync.of_data) {
                lasts = Some((flight.position, flight.frames));
            }
        }
        self.shared.saves.log.of(self.id).written.store(self.log.written, Relaxed);
        if let Some((position, frames)) = lasts
            && !self.log.failed
        {
            self.note_durable(net, position, frames);
        }
    }

    fn note_durable(&mut self, net: &mut dyn World, position: u64, frames: u64) {
        if let Some(framer) = &mut self.log.framer {
            framer.set_durable(frames);
        }
        self.set_durable(net, position);
        if self.log_mode().0 {
            self.compare_ways(position);
        }
    }

    /// What a commit took, and what follows from it.
    fn compare_ways(&mut self, position: u64) {
        let (both, is_first) = (self.config.log_commit == "auto", !self.log.commits.is_compared());
        let verdict = self.log.commits.lasts(position, self.now.mono_us, both);
        let way = self.log.commits.way(self.config.log_commit);
        let line = self.shared.saves.log.of(self.id);
        line.set_commits(way == Way::Fdatasync, self.log.commits.lately_us());
        if let (Some(Verdict { way, us, other_us }), true, SAVER) = (verdict, is_first, self.id) {
            self.note(format!(
                "The append-only log commits by {}, which took {us} us; the other way took {other_us} us",
                way.name()
            ));
        }
    }

    fn set_durable(&mut self, net: &mut dyn World, position: u64) {
        let board = &self.shared.saves.log;
        board.of(self.id).set_durable(position);
        for (shard, line) in board.all().iter().enumerate() {
            if shard != self.id && line.waits() {
                net.wake(shard);
            }
        }
    }

    fn sync_log(&mut self, net: &mut dyn World, always: bool, everysec: bool) {
        let log = &mut self.log;
        let Some(file) = log.file else { return };
        let spared = self.config.no_appendfsync_on_rewrite && self.shared.saves.has_child();
        let due = always || everysec && self.now.mono_us >= log.next_sync_us && !spared;
        if everysec && spared {
            log.next_sync_us = log.next_sync_us.max(self.now.mono_us + DELAY_US);
        }
        let fills = log.fill.unsynced && !log.fill.on;
        if log.sync.is_some() || !due || !log.unsynced && !fills {
            return;
        }
        log.fill.unsynced = false;
        // A write that comes from now on is not covered.
        let of_data = std::mem::take(&mut log.unsynced);
        let (position, frames) = (log.written, log.written_frames);
        log.sync = Some(Sync { position, frames, began_us: self.now.mono_us, of_data });
        log.next_sync_us = self.now.mono_us + SYNC_US;
        net.sync_file(file);
    }

    /// A sync of a log file is over.
    pub fn synced(&mut self, net: &mut dyn World, file: FileId, result: Result<(), i32>) {
        if self.log.file != Some(file) {
            return;
        }
        let Some(sync) = self.log.sync.take() else { return };
        if self.now.mono_us.saturating_sub(sync.began_us) > SYNC_US {
            self.shared.saves.log.note_delayed_sync();
        }
        match result {
            Err(errno) => self.log_failed(net, errno),
            Ok(()) if self.log.failed => {}
            Ok(()) if self.log.unsynced => self.note_durable(net, sync.position, sync.frames),
            // What has come since lasts by itself.
            Ok(()) => self.note_durable(net, self.log.written, self.log.written_frames),
        }
    }

    /// Fills the file ahead of what is written, a piece at a time.
    fn fill_log(&mut self, net: &mut dyn World) {
        let log = &mut self.log;
        let ahead = log.fill.end.saturating_sub(log.at);
        let most = if log.at < FILL_FAR_FROM { FILL_FIRST } else { FILL_MOST };
        let wanted = fill_wanted(most, self.shared.saves.log.room(), self.shared.route.shards() as u64);
        log.fill.on = ahead < wanted / 2 || log.fill.on && ahead < wanted;
        let Some(file) = log.file else { return };
        if !log.fill.on || log.fill.under_way {
            return;
        }
        let pages = log.fill.pages.take().unwrap_or_else(|| {
            let mut piece = vec![0; FILL_PIECE];
            piece.chunks_mut(PAGE).for_each(filler);
            let mut pages = Pages::default();
            pages.fill(&piece);
            pages
        });
        log.fill.under_way = true;
        net.write_file(FileWrite { file, at: log.fill.end, pages, durable: false, serial: FILL });
    }

    /// A piece is filled, or could not be.
    fn filled(&mut self, net: &mut dyn World, at: u64, pages: Pages, result: Result<(), i32>) {
        let fill = &mut self.log.fill;
        fill.under_way = false;
        match result {
            Ok(()) => {
                fill.end = at + pages.len() as u64;
                fill.unsynced = true;
            }
            // It only saves time: what is acknowledged will tell whether the disk is full.
            Err(_) => fill.end = fill.end.max(self.log.at + FILL_MOST),
        }
        fill.pages = Some(pages);
        if let Some(write) = self.log.parked.take() {
            self.log.fill.end = self.log.fill.end.max(self.log.at);
            net.write_file(write);
        }
    }

    /// The end of a generation was met, and all before it is written: tells who makes the next one.
    fn end_generation_if_due(&mut self) {
        let at_turn = self.log.rest.as_ref().is_some_and(Rest::is_at_turn);
        if !at_turn || !self.log.idle() {
            return;
        }
        let Some((number, whole)) = self.log.rest.as_mut().and_then(Rest::pass_turn) else { return };
        self.log.state = State::Waiting;
        let (len, failed) = (self.log.at, self.log.failed);
        let end = self.log.framer.as_mut().filter(|_| !failed).map(|framer| {
            let mut closing = Vec::new();
            framer.end_file(&mut closing);
            FileEnd { len, closing }
        });
        self.post(SAVER, Letter::LogTurned { shard: self.id, number, end, whole });
    }

    /// The next generation has a file for this shard.
    pub fn log_opened(&mut self, net: &mut dyn World, start: LogStart) {
        if let Some(old) = self.log.file.take() {
            net.close_file(old);
        }
        let log = &mut self.log;
        log.written_frames = start.framer.sequence();
        log.framer = Some(start.framer);
        (log.file, log.direct) = (Some(start.file), start.direct);
        let pages = log.fill.pages.take();
        (log.at, log.fill) = (start.len, Fill { end: start.len, pages, ..Fill::default() });
        (log.unsynced, log.failed) = (false, false);
        log.commits.forget();
        log.state = State::Open;
        let passed = log.rest.as_ref().map_or(log.taken, |rest| rest.position);
        log.written = passed;
        self.shared.saves.log.of(self.id).written.store(passed, Relaxed);
        // Whoever made the file has brought to the disk what came before.
        self.set_durable(net, passed);
        let always = self.log_mode().0;
        self.log.last_stamp_secs = 0;
        self.write_rest(net, always);
    }

    /// There is no log any more: everything is written, or given up.
    pub(super) fn log_closed(&mut self, net: &mut dyn World) {
        if let Some(old) = self.log.file.take() {
            net.close_file(old);
        }
        let logged = self.shared.saves.log.of(self.id).logged();
        let next_serial = self.log.next_serial;
        self.log = LogWriter { taken: logged, written: logged, next_serial, ..LogWriter::default() };
        self.shared.saves.log.of(self.id).set_behind(false);
        self.set_durable(net, logged);
    }

    /// The next generation could not be made: what is logged from here on is dropped, until another one can.
    pub(super) fn log_turn_failed(&mut self, net: &mut dyn World) {
        self.log.state = State::Open;
        self.log.failed = true;
        // What is behind the turn is dropped, up to the next.
        self.write_rest(net, false);
    }

    fn log_failed(&mut self, net: &mut dyn World, errno: i32) {
        if std::mem::replace(&mut self.log.failed, true) {
            return;
        }
        self.shared.saves.log.set_errno(errno);
        (0..self.shared.route.shards()).filter(|shard| *shard != self.id).for_each(|shard| net.wake(shard));
        self.post(SAVER, Letter::LogFailed { errno });
    }
}

/// How far a file is filled ahead where so much is free for so many of them: less than a piece is nothing.
fn fill_wanted(most: u64, room: u64, shards: u64) -> u64 {
    let share = room / (FILL_SHARE * shards);
    if share < FILL_PIECE as u64 { 0 } else { most.min(share) }
}

impl Rest {
    fn is_at_turn(&self) -> bool {
        matches!(self.taken.breaks.get(self.breaks), Some(Break::Turn { at, .. }) if *at == self.at)
    }

    /// Steps over the end of a generation: its number, and what stands alone behind it.
    fn pass_turn(&mut self) -> Option<(u64, Option<Arc<[u8]>>)> {
        let Some(Break::Turn { whole, number, .. }) = self.taken.breaks.get(self.breaks) else { return None };
        self.breaks += 1;
        self.position += 1;
        Some((*number, whole.clone()))
    }
}

/// Makes frames of what was taken, up to the next end of a generation. An error: a command is longer than any that is read.
fn frame(framer: &mut Framer, rest: &mut Rest, out: &mut Vec<u8>, most: usize) -> Result<(), Malformed> {
    let from = rest.at;
    let framed = loop {
        let to = match rest.taken.breaks.get(rest.breaks) {
            Some(Break::Part { from, .. }) => *from,
            Some(Break::Turn { at, .. }) => *at,
            None => rest.taken.bytes.len(),
        };
        if let Err(too_long) = plain(framer, &rest.taken.bytes[rest.at..to], out, most) {
            break Err(too_long);
        }
        rest.at = to;
        let Some(Break::Part { end, part: whose, .. }) = rest.taken.breaks.get(rest.breaks) else {
            break Ok(());
        };
        let bytes = &rest.taken.bytes[to..*end];
        if bytes.len() > most
            && let Err(too_long) = part(bytes, usize::MAX, false)
        {
            break Err(too_long);
        }
        framer.frame(out, bytes, Some(whose));
        rest.at = *end;
        rest.breaks += 1;
    };
    rest.position += (rest.at - from) as u64;
    framed
}

/// Frames of units of this shard alone.
fn plain(framer: &mut Framer, bytes: &[u8], out: &mut Vec<u8>, most: usize) -> Result<(), Malformed> {
    let mut rest = bytes;
    while rest.len() > most {
        let (unit, behind) = rest.split_at(part(rest, most, true)?);
        framer.frame(out, unit, None);
        rest = behind;
    }
    if !rest.is_empty() {
        framer.frame(out, rest, None);
    }
    Ok(())
}

/// Drops what was taken, up to the next end of a generation.
fn skip(rest: &mut Rest) {
    let from = rest.at;
    while let Some(Break::Part { end, .. }) = rest.taken.breaks.get(rest.breaks) {
        rest.at = *end;
        rest.breaks += 1;
    }
    rest.at = match rest.taken.breaks.get(rest.breaks) {
        Some(Break::Turn { at, .. }) => *at,
        _ => rest.taken.bytes.len(),
    };
    rest.position += (rest.at - from) as u64;
}

#[cfg(test)]
mod tests;
