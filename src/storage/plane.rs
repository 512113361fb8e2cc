//! The line to the storage threads, and the threads: one for short requests, one for snapshots, which may take long.

use super::aof::{self, AofDir, Generation, LoadLog, LogPlace, NewBase, Note};
use super::load::{self, Load};
use super::rewrite;
use super::save::{self, Save};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

/// What is called with the outcome: nothing, or why it failed.
pub type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// What makes the new text of a file from the old one, if there is a file.
pub type Edit = Box<dyn FnOnce(Option<&str>) -> String + Send>;

/// What is called with the files of a new generation of the log, or why there are none.
pub type Begun = Box<dyn FnOnce(Result<Generation, String>) + Send>;

/// What is called with what there is to say of a new base, and with the bytes of all files of the log.
pub type Based = Box<dyn FnOnce(Result<(Vec<Note>, u64), String>) + Send>;

/// The line to the storage threads.
#[derive(Clone)]
pub struct Plane {
    requests: Sender<Request>,
    snapshots: Sender<Request>,
    log: Sender<LogRequest>,
}

/// What the thread of the log is asked for. It owns the log's directory.
enum LogRequest {
    Load(Box<LoadLog>),
    Begin { place: LogPlace, shards: usize, names: bool, answer: Begun },
    Settle { ends: Vec<Option<u64>>, answer: Answer },
    Turn { whole: Option<Vec<u8>>, answer: Begun },
    NewBase { base: NewBase, answer: Based },
}

enum Request {
    Rewrite { path: PathBuf, edit: Edit, answer: Answer },
    Save(Box<Save>),
    Load(Box<Load>),
}

const GONE: &str = "the storage thread has ended";
const NO_LOG: &str = "there is no log";

impl Plane {
    /// Starts the threads. They sleep until they are asked for something, and end with the last line to them.
    pub fn start() -> std::io::Result<Plane> {
        Ok(Plane {
            requests: thread("kring-storage", serve)?,
            snapshots: thread("kring-snapshot", serve)?,
            log: thread("kring-log", serve_log)?,
        })
    }

    /// Writes a snapshot, after those that were asked for before.
    pub fn save(&self, save: Save) {
        if let Err(lost) = self.snapshots.send(Request::Save(Box::new(save))) {
            lost.0.refuse();
        }
    }

    /// Reads a snapshot.
    pub fn load(&self, load: Load) {
        if let Err(lost) = self.snapshots.send(Request::Load(Box::new(load))) {
            lost.0.refuse();
        }
    }

    /// Replaces a text file by what `edit` makes of it, whole or not at all: temporary file, fsync, rename, fsync of the
    /// directory.
    pub fn rewrite_file(&self, path: PathBuf, edit: Edit, answer: Answer) {
        if let Err(lost) = self.requests.send(Request::Rewrite { path, edit, answer }) {
            lost.0.refuse();
        }
    }
}

/// Starts a thread that carries out what it is asked for.
fn thread<T: Send + 'static>(name: &str, serve: fn(Receiver<T>)) -> std::io::Result<Sender<T>> {
    let (requests, inbox) = channel();
    std::thread::Builder::new().name(name.into()).spawn(move || serve(inbox)).map(|_| requests)
}

impl Plane {
    /// Loads a log and begins its next generation. Later requests for the log concern it.
    pub fn load_log(&self, load: LoadLog) {
        self.ask_log(LogRequest::Load(Box::new(load)));
    }

    /// Begins a generation of a log. With `names` its files go on where those before ended, without they wait for a base: see
    /// [`AofDir::begin`].
    pub fn begin_log(&self, place: LogPlace, shards: usize, names: bool, answer: Begun) {
        self.ask_log(LogRequest::Begin { place, shards, names, answer });
    }

    /// Brings the files of the generation to the disk, which nobody writes any more: see [`AofDir::settle`].
    pub fn settle_log(&self, ends: Vec<Option<u64>>, answer: Answer) {
        self.ask_log(LogRequest::Settle { ends, answer });
    }

    /// Begins the next generation, behind an operation on the whole keyspace if there is one: see [`AofDir::turn`].
    pub fn turn_log(&self, whole: Option<Vec<u8>>, answer: Begun) {
        self.ask_log(LogRequest::Turn { whole, answer });
    }

    /// Gives a log its new base, which has been written: see [`AofDir::new_base`].
    pub fn new_base(&self, base: NewBase, answer: Based) {
        self.ask_log(LogRequest::NewBase { base, answer });
    }

    fn ask_log(&self, request: LogRequest) {
        if let Err(lost) = self.log.send(request) {
            lost.0.refuse();
        }
    }
}

impl LogRequest {
    /// There is nobody to carry it out.
    fn refuse(self) {
        match self {
            LogRequest::Load(load) => (load.answer)(Err(GONE.into())),
            LogRequest::Begin { answer, .. } | LogRequest::Turn { answer, .. } => answer(Err(GONE.into())),
            LogRequest::Settle { answer, .. } => answer(Err(GONE.into())),
            LogRequest::NewBase { answer, .. } => answer(Err(GONE.into())),
        }
    }
}

fn serve_log(inbox: Receiver<LogRequest>) {
    let mut log: Option<AofDir> = None;
    for request in inbox {
        match request {
            LogRequest::Load(load) => aof::load(*load, &mut log),
            LogRequest::Begin { place, shards, names, answer } => {
                answer(aof::begin(&mut log, place, shards, names));
            }
            LogRequest::Settle { ends, answer } => {
                answer(log.as_mut().map_or(Ok(()), |log| log.settle(&ends)));
            }
            LogRequest::Turn { whole, answer } => {
                let log = log.as_mut().ok_or_else(|| NO_LOG.to_string());
                answer(log.and_then(|log| log.turn(whole.as_deref())));
            }
            LogRequest::NewBase { base, answer } => {
                let log = log.as_mut().ok_or_else(|| NO_LOG.to_string());
                answer(log.and_then(|log| Ok((log.new_base(base)?, log.bytes()))));
            }
        }
    }
}

impl Request {
    /// There is nobody to carry it out.
    fn refuse(self) {
        match self {
            Request::Rewrite { answer, .. } => answer(Err(GONE.into())),
            Request::Save(save) => (save.answer)(Err(GONE.into())),
            Request::Load(load) => (load.answer)(Err(GONE.into())),
        }
    }
}

fn serve(inbox: Receiver<Request>) {
    for request in inbox {
        match request {
            Request::Rewrite { path, edit, answer } => answer(rewrite::rewrite_file(path, edit)),
            Request::Save(save) => save::save(*save),
            Request::Load(load) => load::load(*load),
        }
    }
}
