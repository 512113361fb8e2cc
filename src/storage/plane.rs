//! The line to the storage threads, and the threads: one for short requests, one for snapshots, which may take long.

use super::load::{self, Load};
use super::rewrite;
use super::save::{self, Save};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

/// What is called with the outcome: nothing, or why it failed.
pub type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// What makes the new text of a file from the old one, if there is a file.
pub type Edit = Box<dyn FnOnce(Option<&str>) -> String + Send>;

/// The line to the storage threads.
#[derive(Clone)]
pub struct Plane {
    requests: Sender<Request>,
    snapshots: Sender<Request>,
}

enum Request {
    Rewrite { path: PathBuf, edit: Edit, answer: Answer },
    Save(Box<Save>),
    Load(Box<Load>),
}

const GONE: &str = "the storage thread has ended";

impl Plane {
    /// Starts the threads. They sleep until they are asked for something, and end with the last line to them.
    pub fn start() -> std::io::Result<Plane> {
        let thread = |name: &str| {
            let (requests, inbox) = channel();
            std::thread::Builder::new().name(name.into()).spawn(move || serve(inbox)).map(|_| requests)
        };
        Ok(Plane { requests: thread("kring-storage")?, snapshots: thread("kring-snapshot")? })
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
