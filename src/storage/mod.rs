//! Layer 5: the storage plane, a glommio executor on a thread of its own. Shards never touch a file; who needs one asks
//! here, and hears when it is done.

mod replace;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

/// What is called with the outcome: nothing, or why it failed.
pub type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// The line to the storage thread.
#[derive(Clone)]
pub struct Plane {
    requests: Sender<Request>,
}

enum Request {
    Replace { path: PathBuf, content: Vec<u8>, answer: Answer },
}

impl Plane {
    /// Starts the thread. It sleeps until it is asked for something, and ends with the last line to it.
    pub fn start() -> std::io::Result<Plane> {
        let (requests, inbox) = channel();
        std::thread::Builder::new().name("kring-storage".into()).spawn(move || serve(inbox))?;
        Ok(Plane { requests })
    }

    /// Replaces a file by one of this content, whole or not at all: temporary file, fsync, rename, fsync of the directory.
    pub fn replace_file(&self, path: PathBuf, content: Vec<u8>, answer: Answer) {
        if let Err(lost) = self.requests.send(Request::Replace { path, content, answer }) {
            let Request::Replace { answer, .. } = lost.0;
            answer(Err("the storage thread has ended".into()));
        }
    }
}

fn serve(inbox: Receiver<Request>) {
    for request in inbox {
        match request {
            Request::Replace { path, content, answer } => answer(replace::replace_file(path, content)),
        }
    }
}
