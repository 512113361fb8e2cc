//! The control plane's side of what shards ask: messages to the main thread, garbage to a thread that frees it, files to the
//! storage plane.

use super::peers::{self, Peers};
use crate::base::heap::{give_back_free_memory, is_short};
use crate::cmd::migration::{Answer, Request};
use crate::cmd::save::{SaveBoard, SaveFor};
use crate::cmd::{Registry, ShutdownMode};
use crate::config::{Config, rewrite};
use crate::persist::rdb::{Batch, Built};
use crate::persist::replay::Piece;
use crate::ring::Bell;
use crate::shard::{
    Control, Delivery, LoadRequest, LogTurn, NewBase, Next, Notice, Pending, SaveRequest, alone_at,
};
use crate::storage::aof::{self, After, Generation, LoadLog, LogPlace, Recovered, Turn};
use crate::storage::{Load, Loaded, Save, Saved};
use crate::store::{Garbage, Route};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When nothing was freed for so long, what is free goes back to the kernel. Shards tell of strings that they free themselves every
/// round of their cron, ten times a second by default.
const GIVE_BACK_AFTER: Duration = Duration::from_millis(300);

/// What the main thread is told.
pub(super) enum Message {
    /// SHUTDOWN.
    Shutdown,
    /// CONFIG SET of where to listen, for a connection of shard `from`.
    Listen { from: usize, ticket: u64, pairs: Vec<(String, String)> },
    /// A shutdown was given up.
    GoesOn,
    /// A signal that ends the process.
    Signal(nix::sys::signal::Signal),
    /// The dataset is loaded, or cannot be.
    Loaded(Result<Loaded, String>),
    /// The dataset is loaded from the append-only log, or cannot be.
    LogLoaded(Result<Recovered, String>),
    /// The same for DEBUG LOADAOF.
    LogReloaded(Result<Recovered, String>),
    /// A line for the log, a warning or not.
    Note { text: String, warns: bool },
    /// A line for the log, unless it has been there.
    Once(String),
    /// A shard's loop ended, with an error if it was not told to.
    Ended { shard: usize, error: Option<String> },
}

/// What is on its way to be freed.
#[derive(Default)]
pub(super) struct PendingGarbage {
    objects: AtomicU64,
    bytes: AtomicU64,
}

impl PendingGarbage {
    /// So much of it is freed.
    pub fn gone(&self, objects: usize, bytes: usize) {
        self.objects.fetch_sub(objects as u64, Relaxed);
        self.bytes.fetch_sub(bytes as u64, Relaxed);
    }
}

/// Frees what comes, and gives what is free back to the kernel once nothing more has come for a while: large values that are written
/// over all the time lie in the same memory then, instead of being given new pages each time. Where memory is short it goes at once.
pub(super) fn free_all(heap: &Receiver<Vec<Garbage>>, freed: &PendingGarbage) {
    let mut waits = false;
    loop {
        let garbage = match heap.recv_timeout(if waits { GIVE_BACK_AFTER } else { Duration::MAX }) {
            Ok(garbage) => garbage,
            Err(RecvTimeoutError::Timeout) => {
                give_back_free_memory();
                waits = false;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for piece in garbage {
            let (objects, bytes) = (piece.objects(), piece.bytes());
            drop(piece);
            freed.gone(objects, bytes);
        }
        waits = !is_short();
        if !waits {
            give_back_free_memory();
        }
    }
}

/// The line from the shards to the control plane.
pub(super) struct Line {
    pub main: Sender<Message>,
    pub garbage: Sender<Vec<Garbage>>,
    pub pending: Arc<PendingGarbage>,
    pub storage: crate::storage::Plane,
    pub registry: Arc<Registry>,
    pub peers: Peers,
    pub config_file: Option<std::path::PathBuf>,
    /// Where the append-only log is.
    pub log_place: Mutex<LogPlace>,
    /// A bell and a letterbox per shard.
    pub shards: Vec<(Bell, Sender<Notice>)>,
}

impl Line {
    fn log_place(&self) -> LogPlace {
        self.log_place.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

impl Control for Line {
    fn free(&self, garbage: Vec<Garbage>) {
        self.pending.objects.fetch_add(garbage.iter().map(|g| g.objects() as u64).sum(), Relaxed);
        self.pending.bytes.fetch_add(garbage.iter().map(|g| g.bytes() as u64).sum(), Relaxed);
        // When the thread is gone the process ends: the memory goes with it.
        let _ = self.garbage.send(garbage);
    }

    fn pending(&self) -> Pending {
        Pending { objects: self.pending.objects.load(Relaxed), bytes: self.pending.bytes.load(Relaxed) }
    }

    fn write_config(&self, shard: usize, ticket: u64, config: Arc<Config>) {
        self.write_config_as(shard, ticket, config, false);
    }

    fn write_config_as(&self, shard: usize, ticket: u64, config: Arc<Config>, whole: bool) {
        let (bell, letterbox) = self.shards[shard].clone();
        let answer = move |result: Result<(), String>| {
            let _ = letterbox.send(Notice::ConfigWritten { ticket, result });
            bell.ring();
        };
        match &self.config_file {
            Some(path) => {
                let edit = move |old: Option<&[u8]>| rewrite(old, &config, whole);
                self.storage.rewrite_file(path.clone(), Box::new(edit), Box::new(answer));
            }
            None => answer(Err("the server is running without a config file".into())),
        }
    }

    fn listen(&self, from: usize, ticket: u64, pairs: Vec<(String, String)>) {
        let _ = self.main.send(Message::Listen { from, ticket, pairs });
    }

    fn consult(&self, shard: usize, ticket: u64, request: Request) {
        let (bell, letterbox) = self.shards[shard].clone();
        let answer = move |answer: Answer| {
            let _ = letterbox.send(Notice::Consulted { ticket, answer });
            bell.ring();
        };
        self.peers.ask(request, Box::new(answer));
    }

    fn consult_now(&self, request: Request) -> Answer {
        peers::ask_now(&request)
    }

    fn kept_peers(&self) -> usize {
        self.peers.kept()
    }

    fn purge(&self, whole: bool) {
        give_back_free_memory();
        if whole {
            crate::base::heap::trim_system_heap();
        }
    }

    fn goes_on(&self) {
        let _ = self.main.send(Message::GoesOn);
    }

    fn shutdown(&self, _mode: ShutdownMode) {
        // What the mode asked for is done.
        let _ = self.main.send(Message::Shutdown);
    }

    fn save(&self, request: SaveRequest) {
        let SaveRequest { path, what, head, sum, compress, delay_us, inbox, saves } = request;
        let (bell, letterbox) = self.shards[0].clone();
        let main = self.main.clone();
        let place = self.log_place();
        let path = if what == SaveFor::Log { place.temporary_base() } else { path };
        let name = path.display().to_string();
        let answer = move |done: Result<Saved, String>| {
            if let Ok(Saved { direct: false, .. }) = done {
                let text =
                    format!("{name} is written through the page cache: its file system refuses O_DIRECT");
                let _ = main.send(Message::Once(text));
            }
            let _ = letterbox.send(Notice::Saved(done.map(drop)));
            bell.ring();
        };
        let progress = move |entries, bytes| saves.note_save(entries, bytes);
        let (progress, answer) = (Box::new(progress), Box::new(answer));
        let is_awaited = what == SaveFor::Waiter;
        let save = Save { path, is_awaited, head, sum, compress, delay_us, inbox, progress, answer };
        if what != SaveFor::Log {
            return self.storage.save(save);
        }
        let storage = self.storage.clone();
        let claimed = move |claimed: Result<(), String>| match claimed {
            Ok(()) => storage.save(save),
            Err(why) => (save.answer)(Err(why)),
        };
        self.storage.claim_log(place, Box::new(claimed));
    }

    fn load(&self, request: LoadRequest) {
        let (bell, letterbox) = self.shards[0].clone();
        let saves = request.saves.clone();
        let answer = move |done: Result<Loaded, String>| {
            let done = done.map(|loaded| drop(saves.end_load(loaded.keys, loaded.expired, loaded.libraries)));
            let _ = letterbox.send(Notice::Reloaded(done));
            bell.ring();
        };
        load(&self.storage, &self.shards, request, Box::new(answer));
    }

    fn place_log(&self, dir: &str) {
        self.log_place.lock().unwrap_or_else(|e| e.into_inner()).dir = PathBuf::from(dir);
    }

    fn look_for_room(&self, saves: &Arc<SaveBoard>) {
        let saves = saves.clone();
        // A file system that does not tell has no bound that could be kept.
        let answer = move |room: Option<u64>| saves.log.end_look(room.unwrap_or(u64::MAX));
        self.storage.look_for_room(self.log_place().path(), Box::new(answer));
    }

    fn load_log(&self, config: Arc<Config>, saves: Arc<SaveBoard>, goes_on: bool) {
        let main = self.main.clone();
        let answer = move |done: Result<Recovered, String>| {
            let _ = main.send(Message::LogReloaded(done));
        };
        let from = (self.log_place(), None, goes_on);
        let with = (&*config, self.registry.clone());
        load_log(&self.storage, &self.shards, from, with, saves, Box::new(answer));
    }

    fn turn_log(&self, turn: LogTurn) {
        let LogTurn { ends, whole, next } = turn;
        let after = match next {
            Next::Listed => After::Named,
            Next::Unlisted => After::Unnamed,
            Next::End => After::Nothing,
        };
        let (shards, main) = (self.shards.clone(), self.main.clone());
        let answer = move |made: Result<Option<Generation>, String>| {
            let number = made
                .map(|generation| generation.map_or(0, |generation| hand_out(generation, &shards, &main)));
            let (bell, letterbox) = &shards[0];
            let _ = letterbox.send(Notice::GenerationMade(number));
            bell.ring();
        };
        self.storage.turn_log(self.log_place(), Turn { ends, whole, after }, Box::new(answer));
    }

    fn new_base(&self, base: NewBase) {
        let NewBase { from, as_commands, keeps_history } = base;
        let place = self.log_place();
        let (bell, letterbox) = self.shards[0].clone();
        let main = self.main.clone();
        let answer = move |made: Result<(u64, Vec<aof::Note>), String>| {
            let bytes = made.map(|(bytes, notes)| {
                notes.into_iter().for_each(|aof::Note { text, warns }| {
                    let _ = main.send(Message::Note { text, warns });
                });
                bytes
            });
            let _ = letterbox.send(Notice::BaseMade(bytes));
            bell.ring();
        };
        let base = aof::NewBase { path: place.temporary_base(), as_commands, from, keeps_history };
        self.storage.new_base(place, base, Box::new(answer));
    }

    fn note(&self, text: String, warns: bool) {
        let _ = self.main.send(Message::Note { text, warns });
    }
}

/// Gives every shard its file of a generation; returns when all have taken them, with the generation's number.
pub(super) fn hand_out(
    generation: Generation,
    shards: &[(Bell, Sender<Notice>)],
    main: &Sender<Message>,
) -> u64 {
    let Generation { number, files, direct, .. } = generation;
    if !direct {
        let text = "The append-only log is written through the page cache: its file system refuses O_DIRECT";
        let _ = main.send(Message::Once(text.into()));
    }
    let (taken, all) = channel();
    for ((bell, letterbox), log) in shards.iter().zip(files) {
        let (file, framer, len) = (log.file, Box::new(log.framer), log.len);
        let _ = letterbox.send(Notice::LogOpened { file, framer, len, direct, taken: taken.clone() });
        bell.ring();
    }
    drop(taken);
    // The line is closed when all have it, or have ended.
    while all.recv().is_ok() {}
    number
}

/// Has the storage plane read a snapshot and give it to the shards.
pub(super) fn load(
    storage: &crate::storage::Plane,
    shards: &[(Bell, Sender<Notice>)],
    request: LoadRequest,
    answer: Box<dyn FnOnce(Result<Loaded, String>) + Send>,
) {
    let LoadRequest { path, check, databases, delay_us, replace, saves } = request;
    let route = Route::new(shards.len());
    let (deliver, built) = deliver_to(shards, replace);
    let about = saves.clone();
    let used_mem = Box::new(move |bytes| about.note_load_memory(bytes));
    let progress = Box::new(move |done, total| saves.note_load(done, total));
    storage.load(Load {
        path,
        check,
        route,
        databases,
        delay_us,
        deliver,
        built,
        progress,
        used_mem,
        answer,
    });
}

/// What gives a shard its batch.
type Deliver = Box<dyn FnMut(usize, Batch) + Send>;

/// What gives batches to shards, and where they come back.
fn deliver_to(shards: &[(Bell, Sender<Notice>)], replace: bool) -> (Deliver, Receiver<Built>) {
    let (back, built) = channel();
    let shards = shards.to_vec();
    let deliver = move |shard: usize, batch: Batch| {
        let (bell, letterbox) = &shards[shard];
        let _ = letterbox.send(Notice::Deliver(Delivery { batch, replace, back: back.clone() }));
        bell.ring();
    };
    (Box::new(deliver), built)
}

/// Where the log of a configuration is.
pub(super) fn log_place(config: &Config) -> LogPlace {
    LogPlace {
        dir: PathBuf::from(&config.dir),
        dirname: config.appenddirname.clone(),
        filename: config.appendfilename.clone(),
    }
}

/// Has the storage plane load the append-only log, or begin one from a snapshot; and, if so wanted, begin a generation to write on.
pub(super) fn load_log(
    storage: &crate::storage::Plane,
    shards: &[(Bell, Sender<Notice>)],
    (place, snapshot, goes_on): (LogPlace, Option<PathBuf>, bool),
    (config, registry): (&Config, Arc<Registry>),
    saves: Arc<SaveBoard>,
    answer: Box<dyn FnOnce(Result<Recovered, String>) + Send>,
) {
    let (deliver, built) = deliver_to(shards, false);
    let letterboxes = shards.to_vec();
    let replay = move |shard: usize, piece: Piece| {
        let (bell, letterbox) = &letterboxes[shard];
        let _ = letterbox.send(Notice::Replay(piece));
        bell.ring();
    };
    let route = Route::new(shards.len());
    let about = saves.clone();
    storage.load_log(LoadLog {
        place,
        snapshot,
        check: config.rdbchecksum,
        route,
        databases: u64::from(config.databases),
        load_truncated: config.aof_load_truncated,
        keeps_history: config.aof_disable_auto_gc,
        goes_on,
        deliver,
        built,
        replay: Box::new(replay),
        owner: Box::new(move |args| alone_at(&registry, route, args)),
        used_mem: Box::new(move |bytes| about.note_load_memory(bytes)),
        progress: Box::new(move |done, total| saves.note_load(done, total)),
        answer,
    });
}
