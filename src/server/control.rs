//! The control plane's side of what shards ask: messages to the main thread, garbage to a thread that frees it, files to the
//! storage plane.

use crate::cmd::ShutdownMode;
use crate::config::{Config, rewrite};
use crate::ring::Bell;
use crate::shard::{Control, Notice};
use crate::store::Garbage;
use std::sync::Arc;
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

/// The line from the shards to the control plane.
pub(super) struct Line {
    pub main: Sender<Message>,
    pub garbage: Sender<Vec<Garbage>>,
    pub storage: crate::storage::Plane,
    pub config_file: Option<std::path::PathBuf>,
    /// A bell and a letterbox per shard.
    pub shards: Vec<(Bell, Sender<Notice>)>,
}

impl Control for Line {
    fn free(&self, garbage: Vec<Garbage>) {
        // When the thread is gone the process ends: the memory goes with it.
        let _ = self.garbage.send(garbage);
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
