//! The control plane's side of what shards ask: messages to the main thread, garbage to a thread that frees it, files to the
//! storage plane.

use crate::cmd::ShutdownMode;
use crate::config::{Config, rewrite};
use crate::ring::Bell;
use crate::shard::{Control, Notice, Pending};
use crate::store::Garbage;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;

/// What the main thread is told.
pub(super) enum Message {
    /// SHUTDOWN.
    Shutdown,
    /// A signal that ends the process.
    Signal(nix::sys::signal::Signal),
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
    pub fn gone(&self, bytes: usize) {
        self.objects.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(bytes as u64, Relaxed);
    }
}

/// The line from the shards to the control plane.
pub(super) struct Line {
    pub main: Sender<Message>,
    pub garbage: Sender<Vec<Garbage>>,
    pub pending: Arc<PendingGarbage>,
    pub storage: crate::storage::Plane,
    pub config_file: Option<std::path::PathBuf>,
    /// A bell and a letterbox per shard.
    pub shards: Vec<(Bell, Sender<Notice>)>,
}

impl Control for Line {
    fn free(&self, garbage: Vec<Garbage>) {
        self.pending.objects.fetch_add(garbage.len() as u64, Relaxed);
        self.pending.bytes.fetch_add(garbage.iter().map(|g| g.bytes() as u64).sum(), Relaxed);
        // When the thread is gone the process ends: the memory goes with it.
        let _ = self.garbage.send(garbage);
    }

    fn pending(&self) -> Pending {
        Pending { objects: self.pending.objects.load(Relaxed), bytes: self.pending.bytes.load(Relaxed) }
    }

    fn write_config(&self, shard: usize, ticket: u64, config: Arc<Config>) {
        let (bell, letterbox) = self.shards[shard].clone();
        let answer = move |result: Result<(), String>| {
            let _ = letterbox.send(Notice::ConfigWritten { ticket, result });
            bell.ring();
        };
        match &self.config_file {
            Some(path) => {
                let edit = move |old: Option<&str>| rewrite(old, &config);
                self.storage.rewrite_file(path.clone(), Box::new(edit), Box::new(answer));
            }
            None => answer(Err("the server is running without a config file".into())),
        }
    }

    fn purge(&self) {
        crate::base::heap::give_back_free_memory();
    }

    fn shutdown(&self, _mode: ShutdownMode) {
        // Nothing is saved in this release, so every mode is the same.
        let _ = self.main.send(Message::Shutdown);
    }
}
