//! The line to the storage threads, and the threads: one for short requests, one for snapshots, which may take long, one for the
//! append-only log, whose directory it owns.

use super::aof::{self, AofDir, Generation, LoadLog, LogPlace, NewBase, Note, Turn};
use super::load::{self, Load};
use super::rewrite;
use super::room::room;
use super::save::{self, Save};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

/// What is called with the outcome: nothing, or why it failed.
pub type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// What makes the new text of a file from the old one, if there is a file.
pub type Edit = Box<dyn FnOnce(Option<&[u8]>) -> Vec<u8> + Send>;

/// What is called with the files of a new generation of the log, if there is one, or why it could not be made.
pub type Turned = Box<dyn FnOnce(Result<Option<Generation>, String>) + Send>;

/// What is called when a base is in its place, with the bytes of all files of the log, or why it is not.
pub type Based = Box<dyn FnOnce(Result<(u64, Vec<Note>), String>) + Send>;

/// What is called with the bytes that are free on a file system, if it tells.
pub type Measured = Box<dyn FnOnce(Option<u64>) + Send>;

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
    Turn { place: LogPlace, turn: Turn, answer: Turned },
    NewBase { place: LogPlace, base: NewBase, answer: Based },
    Claim { place: LogPlace, answer: Answer },
}

enum Request {
    Rewrite { path: PathBuf, edit: Edit, answer: Answer },
    Room { dir: PathBuf, answer: Measured },
    Save(Box<Save>),
    Load(Box<Load>),
}

const GONE: &str = "the storage thread has ended";

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

    /// Looks how much is free where a directory lies.
    pub fn look_for_room(&self, dir: PathBuf, answer: Measured) {
        if let Err(lost) = self.requests.send(Request::Room { dir, answer }) {
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

    /// Ends a log's generation and begins the next: see [`AofDir::turn`].
    pub fn turn_log(&self, place: LogPlace, turn: Turn, answer: Turned) {
        self.ask_log(LogRequest::Turn { place, turn, answer });
    }

    /// Gives a log its new base, which has been written: see [`AofDir::new_base`].
    pub fn new_base(&self, place: LogPlace, base: NewBase, answer: Based) {
        self.ask_log(LogRequest::NewBase { place, base, answer });
    }

    /// Makes a log's directory if there is none, and sees to it that no other server uses it.
    pub fn claim_log(&self, place: LogPlace, answer: Answer) {
        self.ask_log(LogRequest::Claim { place, answer });
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
            LogRequest::Turn { answer, .. } => answer(Err(GONE.into())),
            LogRequest::NewBase { answer, .. } => answer(Err(GONE.into())),
            LogRequest::Claim { answer, .. } => answer(Err(GONE.into())),
        }
    }
}

fn serve_log(inbox: Receiver<LogRequest>) {
    let mut log: Option<AofDir> = None;
    for request in inbox {
        match request {
            LogRequest::Load(load) => aof::load(*load, &mut log),
            LogRequest::Turn { place, turn, answer } => answer(aof::turn(&mut log, &place, turn)),
            LogRequest::NewBase { place, base, answer } => answer(aof::new_base(&mut log, &place, base)),
            LogRequest::Claim { place, answer } => answer(aof::claim(&mut log, &place)),
        }
    }
}

impl Request {
    /// There is nobody to carry it out.
    fn refuse(self) {
        match self {
            Request::Rewrite { answer, .. } => answer(Err(GONE.into())),
            Request::Room { answer, .. } => answer(None),
            Request::Save(save) => (save.answer)(Err(GONE.into())),
            Request::Load(load) => (load.answer)(Err(GONE.into())),
        }
    }
}

fn serve(inbox: Receiver<Request>) {
    for request in inbox {
        match request {
            Request::Rewrite { path, edit, answer } => answer(rewrite::rewrite_file(path, edit)),
            Request::Room { dir, answer } => answer(room(&dir)),
            Request::Save(save) => save::save(*save),
            Request::Load(load) => load::load(*load),
        }
    }
}
