//! What all shards see: the cells of the stores, the way to them, facts of the process, and a few counters.

use super::ledger::Ledger;
use super::planted::Planted;
use super::rewrite::{LogTurn, NewBase};
use crate::base::cell::Cell;
use crate::base::time::Now;
use crate::cmd::cx::MemoryNow;
use crate::cmd::migration::{Answer, Request};
use crate::cmd::save::{SaveBoard, SaveFor};
use crate::cmd::{FAMILIES, Registry, ServerInfo, ShutdownMode};
use crate::config::Config;
use crate::ds::KeyHasher;
use crate::persist::rdb::Inbox;
use crate::store::{Garbage, Route, Store};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// A control plane without sockets is not asked about others.
const NO_PEERS: &str = "nobody here asks other servers";

/// What shards ask of the control plane. No call blocks, but for [`Control::consult_now`].
pub trait Control: Send + Sync {
    /// Free this memory somewhere else.
    fn free(&self, garbage: Vec<Garbage>);
    /// Garbage that is on its way to be freed.
    fn pending(&self) -> Pending {
        Pending::default()
    }
    /// Bring the configuration file up to date; the answer comes as [`super::Core::config_written`] with this ticket.
    fn write_config(&self, shard: usize, ticket: u64, config: Arc<Config>);
    /// The same; with `whole` the file gets a line for every knob. (A control plane without files need not tell.)
    fn write_config_as(&self, shard: usize, ticket: u64, config: Arc<Config>, _whole: bool) {
        self.write_config(shard, ticket, config);
    }
    /// Listen as these pairs of `port`, `bind` and others say; the answer comes to shard 0 as [`super::Core::listens`], after the
    /// sockets.
    fn listen(&self, _from: usize, _ticket: u64, _pairs: Vec<(String, String)>) {
        unreachable!("a control plane without sockets is asked for none")
    }
    /// Ask another server; the answer comes as [`super::Core::consulted`] with this ticket.
    fn consult(&self, _shard: usize, _ticket: u64, _request: Request) {
        unreachable!("{NO_PEERS}")
    }
    /// The same at once: this one call stands still until there is an answer. A transaction makes it.
    fn consult_now(&self, _request: Request) -> Answer {
        unreachable!("{NO_PEERS}")
    }
    /// Connections to other servers that are kept for more of this.
    fn kept_peers(&self) -> usize {
        0
    }
    /// Give free memory back to the kernel: this thread's, and what no thread owns too if `whole`.
    fn purge(&self, whole: bool);
    /// A shutdown was given up: the next signal is a first one again.
    fn goes_on(&self) {}
    /// Stop the process.
    fn shutdown(&self, mode: ShutdownMode);
    /// Write a snapshot; the answer comes to shard 0 as [`super::Core::saved`].
    fn save(&self, request: SaveRequest);
    /// Read a snapshot: batches come to the shards as [`super::Core::deliver`], the answer to shard 0 as
    /// [`super::Core::reloaded`].
    fn load(&self, request: LoadRequest);
    /// A log begins: it lies in this directory from now on. (A control plane without files has no log.)
    fn place_log(&self, _dir: &str) {}
    /// Look how much is free where the log lies, and tell the board: [`end_look`](crate::cmd::save::LogBoard::end_look). (A control
    /// plane without files has room.)
    fn look_for_room(&self, saves: &Arc<SaveBoard>) {
        saves.log.end_look(u64::MAX);
    }
    /// Read the append-only log again, which has come to its end, and begin its next generation if it goes on; the answer comes to
    /// shard 0 as [`super::Core::reloaded`]. If it cannot be read the process ends, with the log as it is.
    fn load_log(&self, _config: Arc<Config>, _saves: Arc<SaveBoard>, _goes_on: bool) {}
    /// Bring the append-only log's generation to its end and make the next one: each shard hears of its file, shard 0 as
    /// [`super::Core::generation_made`].
    fn turn_log(&self, _turn: LogTurn) {}
    /// List a new base of the append-only log; the answer comes to shard 0 as [`super::Core::base_made`].
    fn new_base(&self, _base: NewBase) {}
    /// A line for the log, a warning or not.
    fn note(&self, text: String, warns: bool);
    /// A bug that the shards shall have: for tests of the tests.
    #[doc(hidden)]
    fn planted(&self) -> Planted {
        Planted::Nothing
    }
}

/// A snapshot to write.
pub struct SaveRequest {
    pub path: PathBuf,
    /// The log's next base lies where the log is, whatever the path.
    pub what: SaveFor,
    /// What the file begins with.
    pub head: Vec<u8>,
    /// Whether it ends with a checksum.
    pub sum: bool,
    pub compress: bool,
    /// Microseconds to wait for each key.
    pub delay_us: f64,
    /// What the shards send.
    pub inbox: Inbox,
    pub saves: Arc<SaveBoard>,
}

/// A snapshot to read.
pub struct LoadRequest {
    pub path: PathBuf,
    /// Whether its checksum is compared.
    pub check: bool,
    pub databases: u64,
    /// Microseconds to wait for each key.
    pub delay_us: f64,
    /// Whether keys that are there are replaced.
    pub replace: bool,
    pub saves: Arc<SaveBoard>,
}

/// Garbage that is on its way to be freed.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Pending {
    pub objects: u64,
    pub bytes: u64,
}

/// The process's memory, as the control plane last read it.
#[derive(Default)]
pub struct MemoryBoard {
    pub rss: AtomicU64,
    /// Resident when the server had started.
    pub startup: AtomicU64,
    pub rss_peak: AtomicU64,
    pub used_peak: AtomicU64,
    pub cpu_user_us: AtomicU64,
    pub cpu_sys_us: AtomicU64,
    pub cpu_main_user_us: AtomicU64,
    pub cpu_main_sys_us: AtomicU64,
}

impl MemoryBoard {
    pub(super) fn read(&self) -> MemoryNow {
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        MemoryNow {
            rss: get(&self.rss),
            startup: get(&self.startup),
            rss_peak: get(&self.rss_peak),
            used_peak: get(&self.used_peak),
            cpu_user_us: get(&self.cpu_user_us),
            cpu_sys_us: get(&self.cpu_sys_us),
            cpu_main_user_us: get(&self.cpu_main_user_us),
            cpu_main_sys_us: get(&self.cpu_main_sys_us),
            ..MemoryNow::default()
        }
    }
}

/// What all shards of a process share.
pub struct Shared {
    pub cells: Vec<Cell<Store>>,
    pub route: Route,
    /// How all stores hash keys.
    pub hasher: KeyHasher,
    pub registry: Arc<Registry>,
    pub server: ServerInfo,
    pub control: Box<dyn Control>,
    /// Connections per shard: the acceptor adds, the shard that closes subtracts.
    pub connections: Vec<AtomicUsize>,
    pub next_client: AtomicU64,
    pub next_slow: AtomicU64,
    /// How often keys were unlocked that somebody waited for.
    pub unlocks: AtomicU64,
    /// The rank of `loglevel` that CONFIG SET has asked for; 255: none yet.
    pub log_level: AtomicU8,
    pub memory: MemoryBoard,
    /// What stores and clients take, by shard.
    pub ledger: Ledger,
    pub saves: Arc<SaveBoard>,
    pub(super) planted: Planted,
}

impl Shared {
    /// Shards of empty stores.
    pub fn new(server: ServerInfo, databases: usize, seed: u64, control: Box<dyn Control>) -> Shared {
        let shards = server.shards;
        let saves = Arc::new(SaveBoard::new(shards, server.started_us / 1_000_000));
        Shared {
            cells: (0..shards).map(|s| Cell::new(Box::new(Store::new(s, databases, seed)))).collect(),
            route: Route::new(shards),
            hasher: KeyHasher::new(seed),
            registry: Arc::new(Registry::new(FAMILIES)),
            server,
            planted: control.planted(),
            control,
            connections: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
            next_client: AtomicU64::new(1),
            next_slow: AtomicU64::new(0),
            unlocks: AtomicU64::new(0),
            log_level: AtomicU8::new(u8::MAX),
            memory: MemoryBoard::default(),
            ledger: Ledger::new(shards),
            saves,
        }
    }

    /// The process's memory, for reports that say that so much is in use, without the log: what a client is told counts for the peak,
    /// whenever the control plane looks.
    pub fn memory_now(&self, now: Now, used: u64) -> MemoryNow {
        self.memory.used_peak.fetch_max(used + self.saves.log.buffered(), Ordering::Relaxed);
        let (exceeded_us, exceeding_us) = self.ledger.exceeded_times_us(now.mono_us);
        let pending = self.control.pending();
        MemoryNow {
            exceeded_ms: exceeded_us / 1_000,
            exceeding_ms: exceeding_us / 1_000,
            garbage_objects: pending.objects,
            kept_peers: self.control.kept_peers() as u64,
            ..self.memory.read()
        }
    }

    /// All connections of the process.
    pub fn connected(&self) -> usize {
        self.connections.iter().map(|c| c.load(Ordering::Relaxed)).sum()
    }

    /// The shard that has the fewest connections gets the next; of equals, the first after `last`.
    pub fn least_connected(&self, last: usize) -> usize {
        let n = self.connections.len();
        (1..=n)
            .map(|i| (last + i) % n)
            .min_by_key(|s| self.connections[*s].load(Ordering::Relaxed))
            .unwrap_or(0)
    }
}
