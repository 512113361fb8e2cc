//! What a command is given, and what it may give back.

use super::block::Block;
use super::save::SaveBoard;
use super::{Registry, Report, Session};
use crate::base::number::parse_i64;
use crate::base::time::Now;
use crate::config::Config;
use crate::resp::{Error, Out};
use crate::store::{Keys, Wait, WrongType};
use std::sync::Arc;

/// Facts of the process that do not change while it runs.
#[derive(Clone, Debug, Default)]
pub struct ServerInfo {
    /// 40 hexadecimal digits, new at each start.
    pub run_id: String,
    pub pid: u32,
    pub executable: String,
    pub config_file: String,
    /// The kernel, as `uname` names it: `Linux 6.1.0 x86_64`.
    pub os: String,
    pub started_us: i64,
    pub shards: usize,
    /// The core of each shard, in order; none when it is not pinned.
    pub cores: Vec<Option<usize>>,
    /// Clients that the limit of open files allows.
    pub clients: usize,
    pub total_memory: u64,
}

/// What surrounds a command, the same for a whole batch.
pub struct Env<'a> {
    pub now: Now,
    pub config: &'a Config,
    pub registry: &'a Registry,
    pub server: &'a ServerInfo,
    /// Memory of the process, read by the control plane about ten times a second: resident and allocated bytes.
    pub memory: MemoryNow,
    /// What is known of snapshots.
    pub saves: &'a SaveBoard,
    /// The shard that runs the command.
    pub shard: usize,
    /// Texts of lists of this length or more have nodes of their own, if DEBUG has set one; 0: it has not.
    pub packed_from: u32,
}

/// The process's memory and CPU time as the control plane last read them, and what it keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryNow {
    pub rss: u64,
    /// Resident when the server had started: code, stacks, rings, tables.
    pub startup: u64,
    pub rss_peak: u64,
    pub used_peak: u64,
    pub cpu_user_us: u64,
    pub cpu_sys_us: u64,
    /// Of the main thread alone.
    pub cpu_main_user_us: u64,
    pub cpu_main_sys_us: u64,
    /// For how long memory was over `maxmemory` in spite of evictions: in all, and this time.
    pub exceeded_ms: u64,
    pub exceeding_ms: u64,
    /// Removed, and not freed yet.
    pub garbage_objects: u64,
    /// Connections that MIGRATE has made and keeps.
    pub kept_peers: u64,
}

/// A command at work.
pub struct Cx<'a> {
    /// The keyspace, as far as the plan has put it in hand.
    pub keys: Keys<'a>,
    pub out: &'a mut Out,
    pub session: &'a mut Session,
    pub env: &'a Env<'a>,
    /// One report a shard, for `Plan::Gather`.
    pub reports: &'a [Report],
    /// The name of the command that runs, for errors that quote it.
    pub row: &'static super::Command,
}

impl Cx<'_> {
    /// The database that an argument names.
    pub fn database(&self, text: &[u8]) -> Result<usize, Error> {
        let index = parse_i64(text).ok_or(Error::NotInteger)?;
        if i32::try_from(index).is_err() {
            return Err(Error::text_of(
                "ERR value is out of range, value must between -2147483648 and 2147483647",
            ));
        }
        let databases = self.env.config.databases as usize;
        usize::try_from(index).ok().filter(|index| *index < databases).ok_or(Error::DbIndex)
    }
}

impl From<WrongType> for Error {
    fn from(_: WrongType) -> Error {
        Error::WrongType
    }
}

/// What a function returns: an outcome, or a client's mistake that becomes the reply.
pub type Done = Result<Outcome, Error>;

/// What a command leaves to be done.
pub enum Outcome {
    /// Nothing: the reply is written.
    Done,
    /// Close the connection once the reply is out.
    Close,
    /// Something every shard has to do. The reply, written already, goes out when all have.
    Everywhere(Order),
    /// Run the queue of the session's transaction, whose stores are in hand (EXEC).
    Exec,
    /// The stores in hand are not enough: it is to run again with all that [`super::Plan::Lowest`] names. Nothing is changed or
    /// written.
    Wider,
    /// Nothing to give yet: wait for keys, or for time to pass.
    Block(Box<Block>),
    /// Another server is to be asked first; the session holds what ([`super::migration`]). It runs again when the answer is there.
    Consult,
}

/// Who waits under CLIENT PAUSE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PauseMode {
    Write,
    All,
}

/// How SHUTDOWN wants it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShutdownMode {
    pub nosave: bool,
    pub save: bool,
    pub now: bool,
    pub force: bool,
    /// The one under way is to be called off.
    pub abort: bool,
}

/// How a snapshot is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SaveKind {
    /// The reply says that it is on the disk.
    Foreground,
    /// The reply says that it has begun.
    Background,
    /// The reply says that it has begun, or will when a rewrite of the log is over.
    Scheduled,
    /// After FLUSHALL: the reply is OK when it is on the disk, or could not be.
    Emptied,
}

/// What DEBUG RELOAD does beside loading.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReloadMode {
    pub nosave: bool,
    pub noflush: bool,
    /// Keys that are there are replaced.
    pub merge: bool,
}

/// Something that every shard does.
#[derive(Clone, Debug)]
pub enum Order {
    /// CONFIG SET: these names and values, checked already. Every shard applies them in the same sequence.
    Configure(Vec<(String, String)>),
    /// The same where `port` or `bind` are among them: the control plane opens the sockets first, and the reply says whether it could.
    Listen(Vec<(String, String)>),
    /// CONFIG REWRITE: the control plane brings the file up to date, and the reply says how it went.
    WriteConfig,
    /// DEBUG CONFIG-REWRITE-FORCE-ALL: the same with a line for every knob.
    WriteWholeConfig,
    /// CONFIG RESETSTAT.
    ResetStats,
    /// SLOWLOG RESET, of entries with lower numbers than this, which the shard that gives the order fills in.
    ResetSlowlog { before: u64 },
    /// LATENCY RESET of these events; empty: all.
    ResetLatency(Vec<String>),
    /// CLIENT KILL: these ids, ascending. The caller's own reply goes out first.
    Kill(Vec<u64>),
    /// CLIENT PAUSE, until this time (unix ms).
    Pause { until_ms: i64, mode: PauseMode },
    /// CLIENT UNPAUSE.
    Unpause,
    /// DEBUG SLEEP, in microseconds.
    Sleep(u64),
    /// DEBUG SET-ACTIVE-EXPIRE.
    ActiveExpire(bool),
    /// DEBUG QUICKLIST-PACKED-THRESHOLD, in bytes; 0: as the configuration says.
    PackedFrom(u32),
    /// DEBUG PAUSE-CRON.
    PauseCron(bool),
    /// DEBUG LOG: a line for the log.
    Log(String),
    /// DEBUG CHANGE-REPL-ID.
    ReplId(String),
    /// MEMORY PURGE: give free memory back to the kernel.
    Purge,
    /// CLIENT UNBLOCK has ended this wait, as if time had, or with an error.
    Unblock { wait: Arc<Wait>, error: bool },
    /// SAVE, BGSAVE: the reply says what became of it.
    Save(SaveKind),
    /// BGREWRITEAOF: likewise.
    Rewrite,
    /// DEBUG RELOAD: likewise.
    Reload(ReloadMode),
    /// DEBUG LOADAOF: likewise.
    ReloadLog,
    /// SHUTDOWN: a reply comes only when it fails.
    Shutdown(ShutdownMode),
}

impl Order {
    /// Whether who carries it out writes the reply too.
    pub fn replies(&self) -> bool {
        matches!(
            self,
            Order::Listen(_)
                | Order::WriteConfig
                | Order::WriteWholeConfig
                | Order::Save(_)
                | Order::Rewrite
                | Order::Reload(_)
                | Order::ReloadLog
                | Order::Shutdown(_)
        )
    }
}
