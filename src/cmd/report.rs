//! What shards tell about themselves: a command that needs all of them gets one [`Report`] each (`Plan::Gather`).

use super::Session;
use crate::metrics::{CommandStats, Counters, LatencyEvents};

/// The sections of a report, as bits of `Plan::Gather`.
pub struct Sections;

impl Sections {
    pub const CLIENTS: u32 = 1;
    pub const COUNTERS: u32 = 1 << 1;
    /// Calls, errors and histograms per command.
    pub const COMMANDS: u32 = 1 << 2;
    pub const SLOWLOG: u32 = 1 << 3;
    pub const LATENCY: u32 = 1 << 4;
    /// The keyspace: sizes and memory.
    pub const STORE: u32 = 1 << 5;
    /// Clients in numbers only: cheap with many of them.
    pub const CLIENT_TOTALS: u32 = 1 << 6;
}

/// A connection as CLIENT LIST shows it.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    pub session: Session,
    /// Unread request bytes, and the room kept for them.
    pub query_bytes: usize,
    pub query_capacity: usize,
    /// Reply bytes in the buffer, its capacity, and chunks under way.
    pub out_bytes: usize,
    pub out_capacity: usize,
    pub chunks: usize,
    pub chunk_bytes: usize,
    pub blocked: bool,
    pub closing: bool,
    /// The shard that serves it.
    pub shard: usize,
}

/// One row of SLOWLOG.
#[derive(Clone, Debug)]
pub struct SlowEntry {
    /// Unique and rising over all shards.
    pub id: u64,
    pub at_secs: i64,
    pub took_us: u64,
    /// At most 32 arguments of at most 128 bytes, as Redis trims them.
    pub args: Vec<Vec<u8>>,
    pub addr: std::sync::Arc<str>,
    pub name: std::sync::Arc<str>,
}

/// A shard's logical database in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct DbReport {
    pub keys: usize,
    pub expires: usize,
    pub avg_ttl_ms: i64,
    /// Table and entry blocks; large values.
    pub table_bytes: usize,
    pub value_bytes: usize,
}

/// What one shard tells. Sections that were not asked for are empty.
#[derive(Clone, Default)]
pub struct Report {
    pub shard: usize,
    pub clients: Vec<ClientInfo>,
    pub connected: usize,
    pub blocked: usize,
    pub input_bytes: usize,
    pub output_bytes: usize,
    pub counters: Counters,
    pub commands: Vec<CommandStats>,
    pub slowlog: Vec<SlowEntry>,
    pub latency: LatencyEvents,
    pub dbs: Vec<DbReport>,
    pub tally: crate::store::Tally,
    pub dirty: u64,
}
