//! The line to the storage thread, and the thread.

use super::rewrite;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

/// What is called with the outcome: nothing, or why it failed.
pub type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// What makes the new text of a file from the old one, if there is a file.
pub type Edit = Box<dyn FnOnce(Option<&str>) -> String + Send>;

/// The line to the storage thread.
#[derive(Clone)]
pub struct Plane {
    requests: Sender<Request>,
}

enum Request {
    Rewrite { path: PathBuf, edit: Edit, answer: Answer },
}

impl Plane {
    /// Starts the thread. It sleeps until it is asked for something, and ends with the last line to it.
    pub fn start() -> std::io::Result<Plane> {
        let (requests, inbox) = channel();
        std::thread::Builder::new().name("kring-storage".into()).spawn(move || serve(inbox))?;
        Ok(Plane { requests })
    }

    /// Replaces a text file by what `edit` makes of it, whole or not at all: temporary file, fsync, rename, fsync of the
    /// directory.
    pub fn rewrite_file(&self, path: PathBuf, edit: Edit, answer: Answer) {
        if let Err(lost) = self.requests.send(Request::Rewrite { path, edit, answer }) {
            let Request::Rewrite { answer, .. } = lost.0;
            answer(Err("the storage thread has ended".into()));
        }
    }
}

fn serve(inbox: Receiver<Request>) {
    for request in inbox {
        match request {
            Request::Rewrite { path, edit, answer } => answer(rewrite::rewrite_file(path, edit)),
        }
    }
}
