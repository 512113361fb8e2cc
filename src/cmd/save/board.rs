//! What the process knows of its snapshots, for INFO and for those who decide about the next. Each number is written by one
//! thread and read by all; none is needed to be exact at an instant.

use super::LogBoard;
use crate::persist::functions::{Change, apply};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

/// See the module's text.
pub struct SaveBoard {
    /// Of the append-only log.
    pub log: LogBoard,

    loading: AtomicBool,
    load_began_secs: AtomicI64,
    load_total: AtomicU64,
    load_done: AtomicU64,
    load_memory: AtomicU64,
    loaded_keys: AtomicU64,
    loaded_expired: AtomicU64,

    in_background: AtomicBool,
    /// What kind of file is being written, as a number of [`SaveFor`]; 0: none.
    writing: AtomicU8,
    began_ms: AtomicI64,
    last_save_secs: AtomicI64,
    last_failed: AtomicBool,
    last_took_secs: AtomicI64,
    saves: AtomicU64,
    keys_total: AtomicU64,
    keys_done: AtomicU64,
    bytes_done: AtomicU64,
    /// Bytes held for the snapshot alone, since somebody wrote: now, and the most of the save under way, of the last in the background, and
    /// of the log's last base.
    held_bytes: AtomicU64,
    held_peak: AtomicU64,
    last_held_peak: AtomicU64,
    last_base_held_peak: AtomicU64,
    cut_us: AtomicU64,
    slice_us: AtomicU64,

    /// Changes by shard, as each last told.
    changes: Vec<AtomicU64>,
    /// Changes of all shards that the last save has in it.
    saved_changes: AtomicU64,
    /// Saves that have begun, and the one of them that is to be given up.
    begun: AtomicU64,
    doomed: AtomicU64,
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION.
    skips_checksums: AtomicBool,
    /// Sources of libraries of functions, which the next file has again.
    libraries: Mutex<Vec<Vec<u8>>>,
    /// Changes of them that the log that is being loaded has had so far.
    library_changes: Mutex<Vec<Change>>,
}

/// A load under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoadNow {
    pub began_secs: i64,
    pub total_bytes: u64,
    pub done_bytes: u64,
    /// The memory that the dataset took where it was written.
    pub used_bytes: u64,
}

/// What a file is written for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SaveFor {
    /// Somebody waits for it: SAVE, or a stop of the server.
    Waiter = 1,
    Background,
    /// It is the base of the log.
    Log,
}

/// A file that is being written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SaveNow {
    pub what: SaveFor,
    pub began_ms: i64,
    pub keys_total: u64,
    pub keys_done: u64,
    pub bytes_done: u64,
    /// Bytes held for it alone, since somebody wrote: now, and at most.
    pub held_bytes: u64,
    pub held_peak: u64,
}

fn get(cell: &AtomicU64) -> u64 {
    cell.load(Ordering::Relaxed)
}

impl SaveBoard {
    /// A process of so many shards that starts now.
    pub fn new(shards: usize, now_secs: i64) -> SaveBoard {
        SaveBoard {
            log: LogBoard::new(shards),
            loading: AtomicBool::new(false),
            load_began_secs: AtomicI64::new(0),
            load_total: AtomicU64::new(0),
            load_done: AtomicU64::new(0),
            load_memory: AtomicU64::new(0),
            loaded_keys: AtomicU64::new(0),
            loaded_expired: AtomicU64::new(0),
            in_background: AtomicBool::new(false),
            writing: AtomicU8::new(0),
            began_ms: AtomicI64::new(0),
            last_save_secs: AtomicI64::new(now_secs),
            last_failed: AtomicBool::new(false),
            last_took_secs: AtomicI64::new(-1),
            saves: AtomicU64::new(0),
            keys_total: AtomicU64::new(0),
            keys_done: AtomicU64::new(0),
            bytes_done: AtomicU64::new(0),
            held_bytes: AtomicU64::new(0),
            held_peak: AtomicU64::new(0),
            last_held_peak: AtomicU64::new(0),
            last_base_held_peak: AtomicU64::new(0),
            cut_us: AtomicU64::new(0),
            slice_us: AtomicU64::new(0),
            changes: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            saved_changes: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            doomed: AtomicU64::new(0),
            skips_checksums: AtomicBool::new(false),
            libraries: Mutex::new(Vec::new()),
            library_changes: Mutex::new(Vec::new()),
        }
    }

    /// Whether RESTORE looks at checksums from now on.
    pub fn skip_checksums(&self, skips: bool) {
        self.skips_checksums.store(skips, Ordering::Relaxed);
    }

    /// Whether RESTORE leaves checksums unseen.
    pub fn skips_checksums(&self) -> bool {
        self.skips_checksums.load(Ordering::Relaxed)
    }

    /// Loading begins: clients have to wait.
    pub fn begin_load(&self, now_secs: i64) {
        self.load_began_secs.store(now_secs, Ordering::Relaxed);
        self.load_done.store(0, Ordering::Relaxed);
        self.load_memory.store(0, Ordering::Relaxed);
        self.loading.store(true, Ordering::Release);
    }

    /// Loading goes on.
    pub fn note_load(&self, done: u64, total: u64) {
        self.load_total.store(total, Ordering::Relaxed);
        self.load_done.store(done, Ordering::Relaxed);
    }

    /// The log that is being loaded changes the libraries. The snapshot before it has its own only when it is whole, so this takes
    /// effect at the end.
    pub fn change_libraries(&self, change: Change) {
        self.library_changes.lock().unwrap_or_else(|e| e.into_inner()).push(change);
    }

    /// The snapshot that is being loaded tells how much memory its dataset took.
    pub fn note_load_memory(&self, bytes: u64) {
        self.load_memory.store(bytes, Ordering::Relaxed);
    }

    /// Loading is over, with the libraries of a snapshot. What of a log's changes of them could not be made is told.
    pub fn end_load(&self, keys: u64, expired: u64, mut libraries: Vec<Vec<u8>>) -> Vec<String> {
        self.loaded_keys.store(keys, Ordering::Relaxed);
        self.loaded_expired.store(expired, Ordering::Relaxed);
        let changes = std::mem::take(&mut *self.library_changes.lock().unwrap_or_else(|e| e.into_inner()));
        let failed = changes.into_iter().filter_map(|change| apply(&mut libraries, change).err()).collect();
        *self.libraries.lock().unwrap_or_else(|e| e.into_inner()) = libraries;
        self.loading.store(false, Ordering::Release);
        failed
    }

    /// Whether the dataset is being loaded.
    #[inline]
    pub fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Acquire)
    }

    /// The load under way.
    pub fn load_now(&self) -> Option<LoadNow> {
        self.is_loading().then(|| LoadNow {
            began_secs: self.load_began_secs.load(Ordering::Relaxed),
            total_bytes: get(&self.load_total),
            done_bytes: get(&self.load_done),
            used_bytes: get(&self.load_memory),
        })
    }

    /// Keys of the last load, and keys whose time was over.
    pub fn loaded(&self) -> (u64, u64) {
        (get(&self.loaded_keys), get(&self.loaded_expired))
    }

    /// The libraries that a file has to have.
    pub fn libraries(&self) -> Vec<Vec<u8>> {
        self.libraries.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Whether there are any.
    pub fn has_libraries(&self) -> bool {
        !self.libraries.lock().unwrap_or_else(|e| e.into_inner()).is_empty()
    }

    /// A save of so many keys begins.
    pub fn begin_save(&self, now_ms: i64, keys: u64, what: SaveFor) {
        let in_background = what == SaveFor::Background;
        self.began_ms.store(now_ms, Ordering::Relaxed);
        self.keys_total.store(keys, Ordering::Relaxed);
        self.keys_done.store(0, Ordering::Relaxed);
        self.bytes_done.store(0, Ordering::Relaxed);
        self.held_peak.store(get(&self.held_bytes), Ordering::Relaxed);
        self.slice_us.store(0, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_background.store(in_background, Ordering::Relaxed);
        self.writing.store(what as u8, Ordering::Relaxed);
    }

    /// The dataset was emptied: a save in the background that has begun before is not to end.
    pub fn doom(&self) {
        if self.in_background() {
            self.doomed.store(get(&self.begun), Ordering::Relaxed);
        }
    }

    /// Whether the save that has begun last is to be given up.
    pub fn is_doomed(&self) -> bool {
        let doomed = get(&self.doomed);
        doomed != 0 && doomed == get(&self.begun)
    }

    /// A save goes on.
    pub fn note_save(&self, keys: u64, bytes: u64) {
        self.keys_done.store(keys, Ordering::Relaxed);
        self.bytes_done.store(bytes, Ordering::Relaxed);
    }

    /// The save under way.
    pub fn save_now(&self) -> Option<SaveNow> {
        let kinds = [SaveFor::Waiter, SaveFor::Background, SaveFor::Log];
        let writing = self.writing.load(Ordering::Relaxed);
        Some(SaveNow {
            what: *kinds.iter().find(|what| **what as u8 == writing)?,
            began_ms: self.began_ms.load(Ordering::Relaxed),
            keys_total: get(&self.keys_total),
            keys_done: get(&self.keys_done),
            bytes_done: get(&self.bytes_done),
            held_bytes: get(&self.held_bytes),
            held_peak: get(&self.held_peak),
        })
    }

    /// The base of the log is written, or could not be.
    pub fn end_base(&self) {
        self.writing.store(0, Ordering::Relaxed);
        self.last_base_held_peak.store(get(&self.held_peak), Ordering::Relaxed);
    }

    /// A cut was made, in so many microseconds: from the first look for the stores until they were all back at home.
    pub fn note_cut(&self, took_us: u64) {
        self.cut_us.store(took_us, Ordering::Relaxed);
    }

    /// A slice of the walk was taken, in so many microseconds.
    pub fn note_slice(&self, took_us: u64) {
        if took_us > get(&self.slice_us) {
            self.slice_us.fetch_max(took_us, Ordering::Relaxed);
        }
    }

    /// How long the longest slice of the last walk took.
    pub fn slice_us(&self) -> u64 {
        get(&self.slice_us)
    }

    /// How long the last cut took.
    pub fn cut_us(&self) -> u64 {
        get(&self.cut_us)
    }

    /// A shard that has `noted` so many bytes that it holds for a snapshot alone holds so many now.
    pub fn note_held(&self, noted: &mut usize, bytes: usize) {
        let change = bytes.wrapping_sub(std::mem::replace(noted, bytes)) as u64;
        if change != 0 {
            let held = self.held_bytes.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
            self.held_peak.fetch_max(held, Ordering::Relaxed);
        }
    }

    /// A save is over: it has in it the changes up to `changes`, or has failed. Only background saves have a status.
    pub fn end_save(&self, now_secs: i64, changes: Option<u64>) {
        self.writing.store(0, Ordering::Relaxed);
        let in_background = self.in_background.swap(false, Ordering::Relaxed);
        if let Some(changes) = changes {
            self.saved_changes.store(changes, Ordering::Relaxed);
            self.last_save_secs.store(now_secs, Ordering::Relaxed);
            self.saves.fetch_add(u64::from(!in_background), Ordering::Relaxed);
        }
        if in_background {
            self.saves.fetch_add(1, Ordering::Relaxed);
            let took = now_secs - self.began_secs();
            self.last_took_secs.store(took, Ordering::Relaxed);
            self.last_held_peak.store(get(&self.held_peak), Ordering::Relaxed);
        }
        // What was given up has not failed.
        if in_background && !self.is_doomed() || changes.is_some() {
            self.last_failed.store(changes.is_none(), Ordering::Relaxed);
        }
    }

    /// Whether a background save is under way.
    pub fn in_background(&self) -> bool {
        self.in_background.load(Ordering::Relaxed)
    }

    /// Whether anything is written in the background, a save or a log's base: what Redis has a child for.
    pub fn has_child(&self) -> bool {
        self.in_background() || self.log.rewrite_now().is_some()
    }

    /// When the save under way began.
    pub fn began_secs(&self) -> i64 {
        self.began_ms.load(Ordering::Relaxed) / 1_000
    }

    /// When the last save that succeeded ended; at first, when the process started.
    pub fn last_save_secs(&self) -> i64 {
        self.last_save_secs.load(Ordering::Relaxed)
    }

    /// Whether the last background save failed.
    #[inline]
    pub fn last_failed(&self) -> bool {
        self.last_failed.load(Ordering::Relaxed)
    }

    /// How long the last background save took; -1: there was none.
    pub fn last_took_secs(&self) -> i64 {
        self.last_took_secs.load(Ordering::Relaxed)
    }

    /// How many saves there were.
    pub fn saves(&self) -> u64 {
        get(&self.saves)
    }

    /// The most bytes that were held because somebody wrote: in the last save in the background, and while the log's last base was written.
    pub fn last_held_peaks(&self) -> (u64, u64) {
        (get(&self.last_held_peak), get(&self.last_base_held_peak))
    }

    /// A shard tells of its changes since the start.
    pub fn note_changes(&self, shard: usize, changes: u64) {
        self.changes[shard].store(changes, Ordering::Relaxed);
    }

    /// Changes since the last save, as far as the shards have told.
    pub fn unsaved(&self) -> u64 {
        self.since_save(self.changes.iter().map(get).sum())
    }

    /// Of so many changes since the start, those since the last save.
    pub fn since_save(&self, changes: u64) -> u64 {
        changes.saturating_sub(get(&self.saved_changes))
    }
}
