//! Who looks after snapshots: shard 0. It makes the cut, and knows who waits for what.
//!
//! ```text
//!  SAVE, BGSAVE, a save point ─────────┐
//!  SHUTDOWN, DEBUG RELOAD: see [`halt`] ─┴─ all stores in hand: the cut ─ each shard walks ─ the writer answers
//! ```
//! A cut is one instant: all stores are in one hand, each is told to keep what it holds, and all go home. Whoever shuts the
//! server down or reloads it first has every shard hold its commands back, so nothing is acknowledged that the last snapshot lacks.
//!
//! [`halt`]: super::halt

use super::abort::Abort;
use super::halt::Halt;
use super::planted::{Planted, keeper_of};
use super::walk::Walk;
use super::{Core, Job, Letter, SaveRequest};
use crate::cmd::save::{LogState, SaveBoard, SaveFor};
use crate::cmd::version::{KRING_VERSION, REDIS_VERSION};
use crate::cmd::{Order, SaveKind, Session, ShutdownMode};
use crate::config::{MaxmemoryPolicy, delay_us};
use crate::persist::rdb::{Form, Line, PART, Uses, VERSION_OF_7_0, VERSIONS_WRITTEN, line, write};
use crate::ring::net::{ConnId, World};
use crate::store::{ShardSet, Store};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

/// The shard that looks after snapshots.
pub(super) const SAVER: usize = 0;
/// Stands for a connection in the errand that fetches all stores.
pub(super) const WHOLE: ConnId = ConnId(u64::MAX);
/// Stands for the log's next base, which lies where the log is.
const BASE: &str = "next.base";
/// After a failure, save points wait so long, in seconds.
const RETRY_SECS: i64 = 5;

const IN_PROGRESS: &str = "ERR Background save already in progress";
const REWRITING: &str = "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
    schedule a BGSAVE whenever possible.";

/// Whose parked connection waits: home and ticket.
pub(super) type Waiter = (usize, u64);

/// What all stores are wanted in one hand for.
pub(super) enum Whole {
    Cut,
    /// Another dataset takes the place of what is there.
    Flush,
    /// The log ends, or was never begun.
    LogEnd,
    LogDrop,
}

/// Why a snapshot is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Asked(SaveKind),
    /// As the base of a log.
    Rewrite,
    /// The shards have halted until it is done.
    Final,
}

impl Why {
    fn what(self) -> SaveFor {
        match self {
            Why::Asked(SaveKind::Background) => SaveFor::Background,
            Why::Rewrite => SaveFor::Log,
            Why::Asked(_) | Why::Final => SaveFor::Waiter,
        }
    }
}

pub(super) struct UnderWay {
    why: Why,
    waiter: Option<Waiter>,
    cut: u64,
    pub line: Option<Line>,
    /// Changes that it has in it.
    changes: u64,
}

/// What shard 0 knows of snapshots.
#[derive(Default)]
pub(super) struct Saver {
    pub under_way: Option<UnderWay>,
    /// What all stores are being fetched for, in order: there may be several such errands.
    wholes: VecDeque<Whole>,
    pub halt: Option<Halt>,
    /// A signal has asked for a shutdown while the shards had halted for something else.
    pub signalled: Option<ShutdownMode>,
    pub abort: Abort,
    last_cut: u64,
    /// When the stores for the cut were first looked for.
    cut_began_ns: u64,
    last_try_secs: i64,
    /// Who has emptied the dataset while a snapshot was under way, and waits for the next.
    emptied: Vec<Waiter>,
    /// Nobody waits for that one.
    empties: bool,
    /// What waits for the log's rewrite to be over.
    pub later: Vec<(Waiter, Order)>,
    /// A snapshot is wanted when the log's rewrite is over.
    scheduled: bool,
}

impl Saver {
    /// Whether anything is under way.
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some() || self.halt.is_some() || !self.wholes.is_empty()
    }
}

impl Core {
    /// Somebody asks for a snapshot, or for what ends with one.
    pub(super) fn save_asked(&mut self, net: &mut dyn World, waiter: Waiter, order: Order) {
        match order {
            Order::Rewrite => self.rewrite_asked(net, waiter),
            Order::Save(SaveKind::Foreground) if self.rewriter.is_busy() => self.do_later(waiter, order),
            Order::Save(SaveKind::Background) if self.rewriter.is_busy() => {
                self.tell(waiter, Err(REWRITING.into()));
            }
            Order::Save(SaveKind::Scheduled) if self.rewriter.is_busy() => {
                self.saver.scheduled = true;
                self.tell(waiter, Ok("Background saving scheduled"));
            }
            Order::Save(SaveKind::Emptied) => self.save_emptied(net, waiter),
            Order::Save(_) if self.saver.is_busy() => self.tell(waiter, Err(IN_PROGRESS.into())),
            Order::Save(SaveKind::Scheduled) => {
                self.begin_save(net, Why::Asked(SaveKind::Background), Some(waiter));
            }
            Order::Save(kind) => self.begin_save(net, Why::Asked(kind), Some(waiter)),
            Order::Shutdown(_) | Order::Reload(_) | Order::ReloadLog => self.halt_asked(waiter, order),
            _ => unreachable!("`give_orders` sends no other"),
        }
    }

    /// FLUSHALL: an empty file takes the place of the one that is there, before anybody hears that the keys are gone. A save in
    /// the background would bring them back: it is given up. What has to end first is not waited for where there is a log: that
    /// does not bring them back.
    fn save_emptied(&mut self, net: &mut dyn World, waiter: Waiter) {
        if self.saver.halt.is_some() {
            // What the shards have halted for ends with a file of its own, or with none.
            return self.tell(waiter, Ok("OK"));
        }
        if !self.saver.is_busy() {
            return self.begin_save(net, Why::Asked(SaveKind::Emptied), Some(waiter));
        }
        if let Some(UnderWay { line: Some(line), why: Why::Asked(SaveKind::Background), .. }) =
            &self.saver.under_way
        {
            line.give_up();
        }
        if self.shared.saves.log.state() == LogState::On {
            self.saver.empties = true;
            return self.tell(waiter, Ok("OK"));
        }
        self.give_up_base();
        self.saver.emptied.push(waiter);
    }

    /// A save is over: on with those who wait for the next.
    fn next_emptied(&mut self, net: &mut dyn World) {
        let mut waiters = std::mem::take(&mut self.saver.emptied);
        let wanted = std::mem::take(&mut self.saver.empties) || !waiters.is_empty();
        // What has begun meanwhile has no keys in it either.
        let begins = wanted && self.saver.under_way.is_none() && self.saver.halt.is_none();
        let first = if begins { waiters.pop() } else { None };
        for waiter in waiters {
            self.tell(waiter, Ok("OK"));
        }
        if begins {
            self.begin_save(net, Why::Asked(SaveKind::Emptied), first);
        }
    }

    pub(super) fn tell(&mut self, (home, ticket): Waiter, result: Result<&'static str, String>) {
        self.post(home, Letter::Told { ticket, result });
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        self.shared.control.note(text.into(), false);
    }

    pub(super) fn warn(&self, text: impl Into<String>) {
        self.shared.control.note(text.into(), true);
    }

    /// Begins a snapshot when a save point is reached.
    pub(super) fn look_at_save_points(&mut self, net: &mut dyn World) {
        let saves = self.shared.saves.clone();
        if let Some(UnderWay { line: Some(line), why: Why::Asked(SaveKind::Background), .. }) =
            &self.saver.under_way
            && saves.is_doomed()
        {
            line.give_up();
        }
        if self.id != SAVER || self.saver.is_busy() || self.rewriter.is_busy() || saves.is_loading() {
            return;
        }
        let now_secs = self.now.secs();
        if saves.last_failed() && now_secs - self.saver.last_try_secs <= RETRY_SECS {
            return;
        }
        let changes = saves.unsaved();
        let since_secs = now_secs - saves.last_save_secs();
        let reached = |&&(secs, least): &&(u64, u64)| changes >= least && since_secs > secs as i64;
        if std::mem::take(&mut self.saver.scheduled) {
            self.note("Starting the snapshot that was scheduled");
        } else if let Some((secs, least)) = self.config.save.0.iter().find(reached) {
            self.note(format!("{least} changes in {secs} seconds. Saving..."));
        } else {
            return;
        }
        self.begin_save(net, Why::Asked(SaveKind::Background), None);
    }

    pub(super) fn begin_save(&mut self, net: &mut dyn World, why: Why, waiter: Option<Waiter>) {
        self.saver.last_cut += 1;
        self.saver.last_try_secs = self.now.secs();
        let cut = self.saver.last_cut;
        self.saver.cut_began_ns = net.ticks_ns();
        self.saver.under_way = Some(UnderWay { why, waiter, cut, line: None, changes: 0 });
        let is_base = why == Why::Rewrite;
        let told = if self.config.dbfilename.is_empty() && !is_base {
            "dbfilename is empty"
        } else if self.config.rdb_version == "9" && self.shared.saves.has_libraries() && !is_base {
            "libraries of functions need rdb-version 10, but it is 9"
        } else {
            return self.want_whole(net, Whole::Cut);
        };
        self.shared.saves.begin_save(self.now.ms(), 0, why.what());
        self.saved(net, Err(told.into()));
    }

    /// Gets all stores into the hand: at once, or by an errand.
    pub(super) fn want_whole(&mut self, net: &mut dyn World, what: Whole) {
        self.saver.wholes.push_back(what);
        let all = ShardSet::all(self.shared.route.shards());
        if self.take_all(net, all) {
            return self.whole_in_hand(net);
        }
        let session = Box::new(Session::new(0, self.now.secs()));
        self.dispatch(Box::new(Job::errand(SAVER, WHOLE, session, all)));
    }

    /// All stores are in hand.
    pub(super) fn whole_in_hand(&mut self, net: &mut dyn World) {
        match self.saver.wholes.pop_front() {
            Some(Whole::Cut) => self.make_cut(net),
            Some(Whole::LogEnd) => {
                self.stop_logs();
                self.put_back(net);
                self.next_emptied(net);
            }
            Some(Whole::LogDrop) => {
                self.drop_logs();
                self.put_back(net);
                self.next_emptied(net);
            }
            Some(Whole::Flush) => {
                self.hand.iter_mut().for_each(|store| _ = store.flush_all());
                self.put_back(net);
                self.load_again();
            }
            None => self.put_back(net),
        }
    }

    /// Gets all stores into the hand to end the log.
    pub(super) fn want_log_end(&mut self, net: &mut dyn World) {
        self.want_whole(net, Whole::LogEnd);
    }

    /// The same to forget what was logged.
    pub(super) fn want_log_dropped(&mut self, net: &mut dyn World) {
        self.want_whole(net, Whole::LogDrop);
    }

    /// A rewrite is given up: its walk too.
    pub(super) fn give_up_walk(&mut self) {
        if let Some(UnderWay { why: Why::Rewrite, line: Some(line), .. }) = &self.saver.under_way {
            line.give_up();
        }
    }

    /// The last snapshot before the server stops is not wanted any more. The writer answers.
    pub(super) fn give_up_final(&self) {
        if let Some(UnderWay { why: Why::Final, line: Some(line), .. }) = &self.saver.under_way {
            line.give_up();
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(&self.config.dir).join(&self.config.dbfilename)
    }

    /// How a file is written. All stores are in hand. `rdb-version` is for those who carry snapshots elsewhere; a log's base has to be
    /// written whatever there is.
    fn form(&self, is_base: bool) -> Form {
        use MaxmemoryPolicy::{AllkeysLru, VolatileLru};
        let uses = match (self.access.lfu, self.config.maxmemory_policy) {
            (Some(lfu), _) => Uses::Frequency(lfu),
            (None, AllkeysLru | VolatileLru) => Uses::Idle,
            (None, _) => Uses::Nothing,
        };
        let expires = |store: &Store| store.dbs().any(|(_, db)| db.field_expires() > 0);
        let version = match self.config.rdb_version.parse() {
            Ok(version) if !is_base => version,
            // The oldest that holds all there is: what else is newer is written in its older form.
            _ if self.hand.iter().any(expires) => *VERSIONS_WRITTEN.end(),
            _ => VERSION_OF_7_0,
        };
        Form { version, compress: self.config.rdbcompression, uses, part: PART, now: self.now }
    }

    /// The cut: from here on every store keeps what it holds now.
    fn make_cut(&mut self, net: &mut dyn World) {
        let Some(why) = self.saver.under_way.as_ref().map(|under_way| under_way.why) else {
            return self.put_back(net);
        };
        let (form, now_secs) = (self.form(why == Why::Rewrite), self.now.secs());
        let (shards, unguarded) = (self.shared.route.shards(), self.planted(Planted::Unguarded));
        let (to, inbox) = line(shards);
        let Some(under_way) = &mut self.saver.under_way else { return self.put_back(net) };
        let (mut keys, mut sizes) = (0, BTreeMap::new());
        for store in self.hand.iter_mut() {
            // One that failed may not have been ended everywhere yet.
            store.end_cut();
            store.begin_cut(under_way.cut, &mut || keeper_of(form, unguarded));
            under_way.changes += store.dirty;
            for (number, db) in store.dbs().filter(|(_, db)| !db.is_empty()) {
                let size: &mut (u64, u64) = sizes.entry(number).or_default();
                keys += db.len() as u64;
                *size = (size.0 + db.len() as u64, size.1 + db.expires() as u64);
            }
        }
        under_way.line = Some(to.clone());
        let (cut, waiter) = (under_way.cut, under_way.waiter);
        let rewrites = why == Why::Rewrite;
        if rewrites {
            self.cut_log();
        }
        self.put_back(net);
        let took_ns = net.ticks_ns().saturating_sub(self.saver.cut_began_ns);
        self.shared.saves.note_cut(took_ns / 1_000);
        let base = if rewrites { "1" } else { "0" };
        let head = head(&self.shared.saves, form, now_secs, self.shared.memory.read().rss, &sizes, base);
        let in_background = why == Why::Asked(SaveKind::Background);
        self.shared.saves.begin_save(self.now.ms(), keys, why.what());
        self.shared.control.save(SaveRequest {
            path: if rewrites { PathBuf::from(BASE) } else { self.path() },
            what: why.what(),
            head,
            sum: self.config.rdbchecksum,
            compress: self.config.rdbcompression,
            delay_us: delay_us(self.config.rdb_key_save_delay),
            inbox,
            saves: self.shared.saves.clone(),
        });
        for shard in 0..shards {
            self.post(shard, Letter::Walk { cut, line: to.clone() });
        }
        if in_background {
            self.note("Background saving started");
            if let (Some(waiter), Some(under_way)) = (waiter, &mut self.saver.under_way) {
                under_way.waiter = None;
                self.tell(waiter, Ok("Background saving started"));
            }
        }
    }

    /// A cut was made: this shard walks its part.
    pub(super) fn walk(&mut self, cut: u64, line: Line) {
        self.forget_walk();
        self.walk = Some(Walk::new(cut, line, self.now.mono_us));
    }

    /// A snapshot is on the disk under its name, or is not.
    pub fn saved(&mut self, net: &mut dyn World, result: Result<(), String>) {
        let Some(done) = self.saver.under_way.take() else { return };
        if done.why == Why::Rewrite {
            self.shared.saves.end_base();
            if result.is_err() {
                self.unwalk_all(done.cut);
            }
            self.base_saved(net, result);
            self.go_on_halting(net);
            return self.next_emptied(net);
        }
        self.shared.saves.end_save(self.now.secs(), result.is_ok().then_some(done.changes));
        if result.is_err() {
            self.unwalk_all(done.cut);
        }
        let in_background = done.why == Why::Asked(SaveKind::Background);
        match &result {
            Ok(()) if in_background => self.note("Background saving terminated with success"),
            Ok(()) => self.note("DB saved on disk"),
            Err(why) if in_background => self.warn(format!("Background saving error: {why}")),
            Err(why) => self.warn(format!("Saving failed: {why}")),
        }
        if let Some(waiter) = done.waiter {
            // SAVE's error has no words in Redis either. BGSAVE waits here only when it failed before the cut.
            let words = match done.why {
                Why::Asked(SaveKind::Background) => Ok("Background saving started"),
                // In Redis too, FLUSHALL is done when the keys are gone.
                Why::Asked(SaveKind::Emptied) => Ok("OK"),
                Why::Asked(SaveKind::Foreground | SaveKind::Scheduled) | Why::Rewrite | Why::Final => {
                    Err("ERR".into())
                }
            };
            self.tell(waiter, if result.is_ok() { Ok("OK") } else { words });
        }
        match (&self.saver.halt, done.why) {
            (Some(_), Why::Final) => self.after_final_save(net, result),
            _ => self.go_on_halting(net),
        }
        self.next_emptied(net);
    }

    fn unwalk_all(&mut self, cut: u64) {
        for shard in 0..self.shared.route.shards() {
            self.post(shard, Letter::Unwalk { cut });
        }
    }
}

/// What a file begins with: its version, who wrote it, libraries, the sizes of its databases.
fn head(
    saves: &SaveBoard,
    form: Form,
    now_secs: i64,
    used_bytes: u64,
    sizes: &BTreeMap<usize, (u64, u64)>,
    base: &str,
) -> Vec<u8> {
    let mut head = Vec::new();
    write::header(&mut head, form.version);
    write::aux(&mut head, "redis-ver", REDIS_VERSION);
    write::aux(&mut head, "redis-bits", "64");
    write::aux(&mut head, "ctime", &now_secs.to_string());
    write::aux(&mut head, "used-mem", &used_bytes.to_string());
    write::aux(&mut head, "aof-base", base);
    write::aux(&mut head, "kring-ver", KRING_VERSION);
    for source in saves.libraries() {
        write::library(&mut head, &source, form.compress);
    }
    for (db, (keys, expires)) in sizes {
        write::select(&mut head, *db as u64);
        write::sizes(&mut head, *keys, *expires);
    }
    head
}
