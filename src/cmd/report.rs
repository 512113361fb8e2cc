//! What shards tell about themselves: a command that needs all of them gets one [`Report`] each (`Plan::Gather`).

use super::Session;
use crate::metrics::{CommandStats, Counters, ErrorCounts, LatencyEvents, Rates};
use crate::store::{PerKind, Wait};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sections of a report, as bits of `Plan::Gather`.
pub struct Sections;

impl Sections {
    pub const CLIENTS: u32 = 1;
    /// Counters, rates and errors by code.
    pub const COUNTERS: u32 = 1 << 1;
    /// Calls and histograms per command.
    pub const COMMANDS: u32 = 1 << 2;
    pub const SLOWLOG: u32 = 1 << 3;
    pub const LATENCY: u32 = 1 << 4;
    /// The keyspace: sizes and memory.
    pub const STORE: u32 = 1 << 5;
    /// Clients in numbers only: cheap with many of them.
    pub const CLIENT_TOTALS: u32 = 1 << 6;
    /// The commands that wait.
    pub const WAITS: u32 = 1 << 7;
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
    /// Hashes that have fields with a TTL.
    pub field_expires: usize,
    /// Table and entry blocks; large values.
    pub table_bytes: usize,
    pub value_bytes: usize,
    /// The same by type.
    pub values: PerKind,
    /// Of `table_bytes`, what is not entries: the index, eviction's queues.
    pub overhead_bytes: usize,
    /// Held by the table's heap and not used.
    pub slack_bytes: usize,
}

/// What one shard tells. Sections that were not asked for are empty.
#[derive(Clone, Default)]
pub struct Report {
    pub shard: usize,
    pub clients: Vec<ClientInfo>,
    pub connected: usize,
    pub blocked: usize,
    /// Connections and their buffers.
    pub client_bytes: usize,
    /// The largest input and output of any one client in the last seconds, in bytes.
    pub largest_input: usize,
    pub largest_output: usize,
    pub counters: Counters,
    pub rates: Rates,
    pub errors: ErrorCounts,
    /// By the command's number ([`super::Registry::row`]); shorter when later ones were never called.
    pub commands: Vec<CommandStats>,
    pub slowlog: Vec<SlowEntry>,
    pub latency: LatencyEvents,
    /// By number; those that are not there are empty.
    pub dbs: BTreeMap<usize, DbReport>,
    /// Tables that a snapshot still needs although their databases were emptied, bytes.
    pub aside_bytes: usize,
    /// What a snapshot keeps of overwritten entries until it is written, bytes.
    pub kept_bytes: usize,
    pub tally: crate::store::Tally,
    pub dirty: u64,
    /// Keys that clients watch, and clients that do.
    pub watched_keys: usize,
    pub watching: usize,
    /// Keys that blocked clients wait for, and those of them for whose removal they wait too.
    pub blocking_keys: usize,
    pub blocking_keys_on_nokey: usize,
    /// The share of keys with a TTL that were past it when active expiry looked, in percent: an average that follows the last slices.
    pub stale_percent: f64,
    /// CPU time of the shard's thread, in microseconds.
    pub cpu_user_us: u64,
    pub cpu_sys_us: u64,
    /// Blocked clients that will not wait for ever.
    pub timeouts: usize,
    pub waits: Vec<Arc<Wait>>,
    /// The replication id, the same at all shards (DEBUG CHANGE-REPL-ID).
    pub repl_id: std::sync::Arc<str>,
}

impl DbReport {
    /// Bytes that the database takes.
    pub fn bytes(&self) -> usize {
        self.table_bytes + self.value_bytes
    }

    fn add(&mut self, other: &DbReport) {
        let expires = self.expires + other.expires;
        if expires > 0 {
            let ttls = self.avg_ttl_ms as i128 * self.expires as i128
                + other.avg_ttl_ms as i128 * other.expires as i128;
            self.avg_ttl_ms = (ttls / expires as i128) as i64;
        }
        self.keys += other.keys;
        self.expires = expires;
        self.field_expires += other.field_expires;
        self.table_bytes += other.table_bytes;
        self.value_bytes += other.value_bytes;
        self.values.add(&other.values);
        self.slack_bytes += other.slack_bytes;
        self.overhead_bytes += other.overhead_bytes;
    }
}

impl Report {
    /// All shards as one: sums, and the slow log with the latest entry first.
    pub fn total(reports: &[Report]) -> Report {
        let mut total = Report::default();
        reports.iter().for_each(|report| total.add(report));
        total.slowlog.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
        total
    }

    /// Bytes of keys and values.
    pub fn data_bytes(&self) -> usize {
        self.dbs.values().map(DbReport::bytes).sum()
    }

    /// Bytes in use, as far as the report tells.
    pub fn used_bytes(&self) -> usize {
        self.data_bytes() + self.aside_bytes + self.client_bytes + self.kept_bytes
    }

    fn add(&mut self, other: &Report) {
        self.clients.extend_from_slice(&other.clients);
        self.connected += other.connected;
        self.blocked += other.blocked;
        self.client_bytes += other.client_bytes;
        self.largest_input = self.largest_input.max(other.largest_input);
        self.largest_output = self.largest_output.max(other.largest_output);
        self.counters.add(&other.counters);
        self.rates.add(&other.rates);
        self.errors.add(&other.errors);
        add_each(&mut self.commands, &other.commands, CommandStats::add);
        self.slowlog.extend_from_slice(&other.slowlog);
        self.latency.add(&other.latency);
        other.dbs.iter().for_each(|(i, db)| self.dbs.entry(*i).or_default().add(db));
        self.aside_bytes += other.aside_bytes;
        self.kept_bytes += other.kept_bytes;
        self.tally.add(&other.tally);
        self.dirty += other.dirty;
        self.stale_percent += other.stale_percent;
        self.cpu_user_us += other.cpu_user_us;
        self.cpu_sys_us += other.cpu_sys_us;
        self.watched_keys += other.watched_keys;
        self.watching += other.watching;
        self.blocking_keys += other.blocking_keys;
        self.blocking_keys_on_nokey += other.blocking_keys_on_nokey;
        self.timeouts += other.timeouts;
        self.waits.extend_from_slice(&other.waits);
        self.repl_id = other.repl_id.clone();
    }
}

/// Adds row by row; what is missing on the left starts from nothing.
fn add_each<T: Default>(mine: &mut Vec<T>, theirs: &[T], add: fn(&mut T, &T)) {
    if mine.len() < theirs.len() {
        mine.resize_with(theirs.len(), T::default);
    }
    mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| add(mine, theirs));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(id: u64) -> SlowEntry {
        SlowEntry { id, at_secs: 0, took_us: 1, args: Vec::new(), addr: "".into(), name: "".into() }
    }

    #[test]
    fn shards_add_up() {
        let db = |keys, expires, avg_ttl_ms| DbReport { keys, expires, avg_ttl_ms, ..DbReport::default() };
        let a =
            Report { slowlog: vec![slow(1), slow(4)], dbs: [(0, db(5, 1, 100))].into(), ..Report::default() };
        let b = Report {
            slowlog: vec![slow(2)],
            dbs: [(0, db(7, 3, 500)), (1, db(1, 0, 0))].into(),
            ..Report::default()
        };
        let total = Report::total(&[a, b]);
        assert_eq!(total.slowlog.iter().map(|e| e.id).collect::<Vec<_>>(), [4, 2, 1]);
        assert_eq!((total.dbs[&0].keys, total.dbs[&0].expires, total.dbs[&0].avg_ttl_ms), (12, 4, 400));
        assert_eq!(total.dbs[&1].keys, 1);
    }
}
