//! The log's directory: which files there are, in memory and in its manifest, and the steps from one state to the next.
//!
//! ```text
//!  begin      new incremental files, one a shard ─> manifest names them ─> the shards write
//!  turn       [the stand-alone file, whole] + new incremental files ─> manifest ─> the shards write on there
//!  new base   temporary file gets a name ─> manifest: base and what follows it, the rest is history ─> history removed ─> manifest
//! ```
//! Every step is durable before the next: files are synced before the manifest names them, and nothing is removed that the manifest on
//! the disk names as more than history. So a crash leaves files that no manifest names, never names without files.

use super::files;
use crate::persist::aof::{BLOCK, Entry, FileInfo, Framer, Manifest, content, pad};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, String>;

/// What a file's name begins with until the manifest names it.
const TEMPORARY: &str = "temp-";

/// Where the log is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPlace {
    /// The working directory of the server.
    pub dir: PathBuf,
    /// `appenddirname`
    pub dirname: String,
    /// `appendfilename`
    pub filename: String,
}

impl LogPlace {
    /// The directory.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.dirname)
    }

    /// The manifest.
    pub fn manifest(&self) -> PathBuf {
        self.path().join(format!("{}.manifest", self.filename))
    }

    /// The file that releases of Redis before 7 wrote.
    pub fn old_file(&self) -> PathBuf {
        self.dir.join(&self.filename)
    }
}

/// A new file of a shard.
pub struct LogFile {
    /// Open for reading and writing, around the page cache if [`Generation::direct`].
    pub file: OwnedFd,
    /// Its frames so far: the one that opens it, which is on the disk.
    pub framer: Framer,
    /// Where to write on: a multiple of [`BLOCK`].
    pub len: u64,
    /// Its name in the directory.
    pub name: String,
}

/// New files, one a shard, which the manifest on the disk names.
pub struct Generation {
    pub number: u64,
    pub log_id: u64,
    /// By shard.
    pub files: Vec<LogFile>,
    /// Whether they are written around the page cache.
    pub direct: bool,
}

/// A base that was written under a temporary name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewBase {
    pub file: PathBuf,
    /// An RDB file, else commands.
    pub is_rdb: bool,
    /// Files of this generation and of later ones follow it.
    pub before: u64,
    /// `aof-disable-auto-gc`: what is history stays.
    pub keeps_history: bool,
}

/// See the module's text. Owned by the storage thread.
pub struct AofDir {
    place: LogPlace,
    manifest: Manifest,
    /// The generation of the files that are written now, and of those before, by the first of their sequence numbers.
    generations: Vec<(u64, u64)>,
    /// Files of a generation that no base has been written for: not in the manifest yet.
    unnamed: Option<Vec<Entry>>,
    random: fn() -> Result<u64>,
}
