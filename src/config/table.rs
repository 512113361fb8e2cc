//! The rows.
//!
//! ```text
//! /// One line of documentation.
//! "redis-name" | "alias" => field: Type = default, rule, when, status;
//! ```
//! Defaults are Redis 7.4's. A `rule` bounds the type (`Int`, `Memory`, ...); `Any` leaves it to the type alone.

use super::knob::Rule::{
    Any, Clamped, Directory, EventClasses, FileName, Flags, Int, Memory, Octal, OneOf, TitleTemplate, Words,
};
use super::knob::Status::{Inert, Pending, Refused, Works};
use super::knob::When::{Boot, Live, Protected};
use super::knob::{Knob, Rule};
use super::special::*;
use super::value::Value;

/// Declares [`Config`] and [`KNOBS`] from one list of rows.
macro_rules! knobs {
    ($( $section:literal { $(
        #[doc = $doc:literal]
        $name:literal $(| $alias:literal)? => $field:ident: $ty:ty = $default:expr, $rule:expr, $when:expr, $status:expr;
    )* } )*) => {
        /// The effective configuration: one field a knob, named as in redis.conf with `_` for `-`.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config { $($( #[doc = $doc] pub $field: $ty, )*)* }

        impl Default for Config {
            fn default() -> Config {
                Config { $($( $field: $default, )*)* }
            }
        }

        pub(super) static KNOBS: &[Knob] = &[ $($( {
            const RULE: Rule = $rule;
            Knob {
                name: $name,
                alias: [$(Some($alias),)? None][0],
                section: $section,
                doc: $doc,
                rule: RULE,
                when: $when,
                status: $status,
                takes: <$ty as Value>::takes,
                get: |config| Value::show(&config.$field, &RULE),
                assign: |config, words| Value::assign(&mut config.$field, words, &RULE),
                lines: |config| Value::lines(&config.$field, &$default, &RULE),
                copy: |from, to| to.$field = from.$field.clone(),
                same: |a, b| a.$field == b.$field,
                accumulates: <$ty as Value>::ACCUMULATES,
                several_words: <$ty as Value>::SEVERAL_WORDS || matches!(RULE, Rule::Flags(_)),
            }
        }, )*)* ];
    };
}

const I32: i64 = i32::MAX as i64;
const U32: i64 = u32::MAX as i64;
const I64: i64 = i64::MAX;
const MB: u64 = 1024 * 1024;

/// Shards at most: each has a store slot, and a mailbox from each of the others.
pub const MAX_SHARDS: i64 = 512;
/// Addresses that `bind` takes.
pub const MAX_BIND: usize = 16;

const REPLICATION: &str = "replication belongs to a later release";
const CLUSTER: &str = "cluster mode belongs to a later release";
const TLS: &str = "TLS belongs to a later release";
const ACL: &str = "ACL users belong to a later release";
const SCRIPTS: &str = "scripts belong to a later release";
const TRACKING: &str = "client tracking belongs to a later release";
const NO_FORK: &str = "kring never forks";
const NO_JEMALLOC: &str = "kring has no jemalloc";
const OWN_THREADS: &str = "kring runs one thread per shard: use shards and cpu-list";
const ALWAYS_LAZY: &str = "large values and flushed databases are always freed off the hot path";
const NO_TITLE: &str = "kring keeps the process title that it was started with";
/// Requests are addressed by 32-bit offsets, and a buffer may hold as much again that has run.
const INPUT_MAX: i64 = (1 << 31) - 1;
const NO_SYSLOG: &str = "kring logs to logfile or the standard output; a service manager forwards that";

knobs! {
    "kring" {
        /// Shards, one pinned thread and one part of the keyspace each; 0 takes every usable core.
        "shards" => shards: usize = 0, Int(0, MAX_SHARDS), Boot, Works;
        /// Cores for the shards in order, as in "0-3,8"; empty takes the usable ones. More shards than cores share them.
        "cpu-list" => cpu_list: CpuList = CpuList::default(), Any, Boot, Works;
        /// Microseconds, at most, that an idle shard polls before it sleeps in its ring; it adapts below that.
        "spin-us" => spin_us: u32 = 0, Int(0, 1_000_000), Live, Works;
        /// Nanoseconds to spin for a store that another core holds before the connection is put off.
        "take-spin-ns" => take_spin_ns: u32 = 10_000, Int(0, 1_000_000), Live, Works;
        /// Whether a shard borrows other shards' stores; no mails every command to the owner of its key.
        "borrow" => borrow: bool = true, Any, Live, Works;
        /// How `appendfsync always` commits: dsync by durable writes, fdatasync by writes and syncs, auto by what was faster of late.
        "log-commit" => log_commit: &'static str = "auto", OneOf(&["auto", "dsync", "fdatasync"]), Live, Works;
        /// Receive buffers per shard, shared by its connections (rounded up to a power of two).
        "recv-buffers" => recv_buffers: u16 = 256, Int(1, 32768), Boot, Works;
        /// Bytes of one receive buffer; whole commands inside are parsed without a copy.
        "recv-buffer-bytes" => recv_buffer_bytes: u32 = 16384, Memory(1024, 1 << 20), Boot, Works;
        /// Submission entries of a shard's ring (rounded up to a power of two).
        "ring-entries" => ring_entries: u32 = 1024, Int(64, 32768), Boot, Works;
        /// Bytes of output from which a send avoids the copy into the kernel; 0 never does.
        "zero-copy-from" => zero_copy_from: u64 = 4 * MB, Memory(0, I64), Boot, Works;
        /// Bytes of unsent replies at which a client's pipeline pauses until they are out.
        "output-high-water" => output_high_water: u64 = MB, Memory(4096, I64), Live, Works;
        /// Bytes of requests not yet run at which kring stops reading from a client.
        "input-backlog" => input_backlog: u64 = 64 * MB, Memory(65536, INPUT_MAX), Live, Works;
        /// Commands of a pipeline whose table buckets are prefetched together; 1 prefetches none ahead.
        "prefetch-depth" => prefetch_depth: usize = 32, Int(1, 64), Live, Works;
    }
    "Network" {
        /// Addresses to listen on; a leading - makes one optional, * stands for all of them.
        "bind" => bind: Vec<String> = vec!["*".into(), "-::*".into()], Words(MAX_BIND), Live, Works;
        /// TCP port; 0 listens on none.
        "port" => port: u16 = 6379, Int(0, 65535), Live, Works;
        /// Connections that may wait to be accepted (the kernel caps it at net.core.somaxconn).
        "tcp-backlog" => tcp_backlog: u32 = 511, Int(0, I32), Boot, Works;
        /// Path of a Unix socket to listen on; empty for none.
        "unixsocket" => unixsocket: String = String::new(), Any, Boot, Works;
        /// Mode of the Unix socket, octal; 0 leaves it to the umask.
        "unixsocketperm" => unixsocketperm: u32 = 0, Octal(0o777), Boot, Works;
        /// Seconds after which an idle client is closed; 0 never.
        "timeout" => timeout: u32 = 0, Int(0, I32), Live, Works;
        /// Seconds between TCP keepalive probes; 0 sends none.
        "tcp-keepalive" => tcp_keepalive: u32 = 300, Int(0, I32), Live, Works;
        /// Refuses clients from other hosts while no password is set.
        "protected-mode" => protected_mode: bool = true, Any, Live, Works;
        /// Clients that may be connected at a time.
        "maxclients" => maxclients: u32 = 10000, Int(1, U32), Live, Works;
        /// Local address for connections that the server opens.
        "bind-source-addr" => bind_source_addr: String = String::new(), Any, Live, Inert(REPLICATION);
        /// Mark of the listening sockets (SO_MARK); 0 for none.
        "socket-mark-id" => socket_mark_id: u32 = 0, Int(0, U32), Boot, Pending;
        /// Connections accepted per turn of the loop.
        "max-new-connections-per-cycle" => max_new_connections_per_cycle: u32 = 10, Int(1, 1000), Live,
            Inert("one multishot accept takes what the kernel has");
        /// TLS connections accepted per turn of the loop.
        "max-new-tls-connections-per-cycle" => max_new_tls_connections_per_cycle: u32 = 1, Int(1, 1000), Live, Inert(TLS);
        /// Threads for socket I/O.
        "io-threads" => io_threads: u32 = 1, Int(1, 128), Boot, Inert(OWN_THREADS);
        /// Whether the I/O threads read as well.
        "io-threads-do-reads" => io_threads_do_reads: bool = false, Any, Boot, Inert(OWN_THREADS);
    }
    "Clients" {
        /// Password of the default user; empty for none.
        "requirepass" => requirepass: String = String::new(), Any, Live, Works;
        /// Bytes of one argument at most.
        "proto-max-bulk-len" => proto_max_bulk_len: u64 = 512 * MB, Memory(MB as i64, (512 * MB) as i64), Live, Works;
        /// Bytes of an unfinished request at which its client is closed.
        "client-query-buffer-limit" => client_query_buffer_limit: u64 = 1024 * MB, Memory(MB as i64, INPUT_MAX), Live, Works;
        /// Per class: bytes of unsent replies at which a client is closed (hard), or after so many seconds (soft).
        "client-output-buffer-limit" => client_output_buffer_limit: OutputLimits = OutputLimits::default(), Any, Live, Works;
        /// Memory of all clients together, bytes or percent of maxmemory; 0 for no bound.
        "maxmemory-clients" => maxmemory_clients: MemoryOrPercent = MemoryOrPercent::Bytes(0), Any, Live, Works;
        /// Keys remembered for client-side caching; 0 for no bound.
        "tracking-table-max-keys" => tracking_table_max_keys: u64 = 1_000_000, Int(0, I64), Live, Inert(TRACKING);
        /// Who may run DEBUG: no, yes, or local connections.
        "enable-debug-command" => enable_debug_command: EnableCommand = EnableCommand::No, Any, Boot, Works;
        /// Who may CONFIG SET protected knobs: no, yes, or local connections.
        "enable-protected-configs" => enable_protected_configs: EnableCommand = EnableCommand::No, Any, Boot, Works;
        /// Who may run MODULE: no, yes, or local connections.
        "enable-module-command" => enable_module_command: EnableCommand = EnableCommand::No, Any, Boot,
            Inert("kring has no modules");
    }
    "General" {
        /// Databases that SELECT reaches.
        "databases" => databases: u32 = 16, Int(1, I32), Boot, Works;
        /// Goes to the background once it is up.
        "daemonize" => daemonize: bool = false, Any, Boot, Works;
        /// The service manager to report to.
        "supervised" => supervised: &'static str = "no", OneOf(&["upstart", "systemd", "auto", "no"]), Boot,
            Inert("run it as a service of type simple");
        /// File for the process id; a daemon without one uses /var/run/redis.pid.
        "pidfile" => pidfile: String = String::new(), Any, Boot, Works;
        /// Least level that is logged.
        "loglevel" => loglevel: LogLevel = LogLevel::Notice, Any, Live, Works;
        /// File for the log; empty for the standard output.
        "logfile" => logfile: String = String::new(), Any, Boot, Works;
        /// Directory for files; the server works there.
        "dir" => dir: String = ".".into(), Directory, Protected, Works;
        /// Sends the log to syslog.
        "syslog-enabled" => syslog_enabled: bool = false, Any, Boot, Inert(NO_SYSLOG);
        /// Name in syslog.
        "syslog-ident" => syslog_ident: String = "redis".into(), Any, Boot, Inert(NO_SYSLOG);
        /// Facility in syslog.
        "syslog-facility" => syslog_facility: &'static str = "local0",
            OneOf(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]), Boot,
            Inert(NO_SYSLOG);
        /// Shows a banner in the log when the log is not a terminal.
        "always-show-logo" => always_show_logo: bool = false, Any, Boot, Inert("kring has no logo");
        /// Whether the process title tells what the server does.
        "set-proc-title" => set_proc_title: bool = true, Any, Boot, Inert(NO_TITLE);
        /// The process title, with {title}, {listen-addr}, {server-mode}, {port}, {tls-port}, {unixsocket}, {config-file}.
        "proc-title-template" => proc_title_template: String = "{title} {listen-addr} {server-mode}".into(),
            TitleTemplate, Live, Inert(NO_TITLE);
        /// Logs a report when the server crashes.
        "crash-log-enabled" => crash_log_enabled: bool = true, Any, Live, Inert("a panic prints its place and stops");
        /// Tests memory when the server crashes.
        "crash-memcheck-enabled" => crash_memcheck_enabled: bool = true, Any, Live, Inert("kring tests no memory");
        /// What a failure to propagate a command does.
        "propagation-error-behavior" => propagation_error_behavior: &'static str = "ignore",
            OneOf(&["ignore", "panic", "panic-on-replicas"]), Live, Inert(REPLICATION);
        /// Warnings not to give.
        "ignore-warnings" => ignore_warnings: String = String::new(), Any, Live, Inert("kring has no such warnings");
        /// Locale in which strings compare in SORT and in scripts.
        "locale-collate" => locale_collate: String = String::new(), Any, Live, Inert("strings compare as bytes");
        /// Leaves users' data out of log lines about crashes.
        "hide-user-data-from-log" => hide_user_data_from_log: bool = false, Any, Live,
            Inert("kring logs no users' data");
        /// What SIGINT does.
        "shutdown-on-sigint" => shutdown_on_sigint: String = "default".into(), Flags(SHUTDOWN), Live, Works;
        /// What SIGTERM does.
        "shutdown-on-sigterm" => shutdown_on_sigterm: String = "default".into(), Flags(SHUTDOWN), Live, Works;
        /// Seconds that a shutdown waits for lagging replicas.
        "shutdown-timeout" => shutdown_timeout: u32 = 10, Int(0, I32), Live, Inert(REPLICATION);
        /// Sets the kernel's out-of-memory score.
        "oom-score-adj" => oom_score_adj: &'static str = "no", OneOf(&["no", "yes", "relative", "absolute"]), Live, Pending;
        /// Out-of-memory scores of a master, a replica and a child process.
        "oom-score-adj-values" => oom_score_adj_values: OomScores = OomScores([0, 200, 800]), Any, Live, Inert(NO_FORK);
        /// Collections and large values in small pages: no pauses of milliseconds as they grow, but slower to read at random.
        "disable-thp" => disable_thp: bool = true, Any, Boot, Works;
        /// Cores of the server's threads.
        "server-cpulist" | "server_cpulist" => server_cpulist: String = String::new(), Any, Boot, Inert(OWN_THREADS);
        /// Cores of the background threads.
        "bio-cpulist" | "bio_cpulist" => bio_cpulist: String = String::new(), Any, Boot, Inert(OWN_THREADS);
        /// Cores of the child that rewrites the AOF.
        "aof-rewrite-cpulist" | "aof_rewrite_cpulist" => aof_rewrite_cpulist: String = String::new(), Any, Boot, Inert(NO_FORK);
        /// Cores of the child that saves.
        "bgsave-cpulist" | "bgsave_cpulist" => bgsave_cpulist: String = String::new(), Any, Boot, Inert(NO_FORK);
    }
    "Time and expiry" {
        /// Times per second that housekeeping runs, 1 to 500.
        "hz" => hz: u32 = 10, Clamped(1, 500), Live, Works;
        /// Runs housekeeping more often with many clients.
        "dynamic-hz" => dynamic_hz: bool = true, Any, Live, Inert("a shard's housekeeping does not grow with clients");
        /// How hard active expiry works, 1 to 10.
        "active-expire-effort" => active_expire_effort: u32 = 1, Int(1, 10), Live, Works;
        /// Frees expired values off the hot path.
        "lazyfree-lazy-expire" => lazyfree_lazy_expire: bool = false, Any, Live, Inert(ALWAYS_LAZY);
        /// Frees evicted values off the hot path.
        "lazyfree-lazy-eviction" => lazyfree_lazy_eviction: bool = false, Any, Live, Inert(ALWAYS_LAZY);
        /// Frees values that a command replaces (RENAME, say) off the hot path.
        "lazyfree-lazy-server-del" => lazyfree_lazy_server_del: bool = false, Any, Live, Inert(ALWAYS_LAZY);
        /// DEL frees as UNLINK does.
        "lazyfree-lazy-user-del" => lazyfree_lazy_user_del: bool = false, Any, Live, Inert(ALWAYS_LAZY);
        /// FLUSHALL and FLUSHDB without an argument free as ASYNC does.
        "lazyfree-lazy-user-flush" => lazyfree_lazy_user_flush: bool = false, Any, Live, Inert(ALWAYS_LAZY);
        /// Rehashes in idle time.
        "activerehashing" => activerehashing: bool = true, Any, Live, Inert("tables grow a segment at a time");
    }
    "Memory" {
        /// Bytes that keys, values and clients' buffers may take, or percent of the machine's memory; 0 for no bound.
        "maxmemory" => maxmemory: MemoryOrPercent = MemoryOrPercent::Bytes(0), Memory(0, I64), Live, Works;
        /// Which keys are evicted when memory is full; what keys note about their uses follows from it.
        "maxmemory-policy" => maxmemory_policy: MaxmemoryPolicy = MaxmemoryPolicy::NoEviction, Any, Live, Works;
        /// Keys looked at to evict one.
        "maxmemory-samples" => maxmemory_samples: u32 = 5, Int(1, I32), Live, Works;
        /// How long eviction may delay a command, 0 to 100: up to 10, 50 microseconds each; at 100 without bound.
        "maxmemory-eviction-tenacity" => maxmemory_eviction_tenacity: u32 = 10, Int(0, 100), Live, Works;
        /// How slowly the LFU counter grows.
        "lfu-log-factor" => lfu_log_factor: u32 = 10, Int(0, I32), Live, Works;
        /// Minutes in which the LFU counter falls by one; 0 keeps it.
        "lfu-decay-time" => lfu_decay_time: u32 = 1, Int(0, I32), Live, Works;
        /// Lets jemalloc purge in a thread of its own.
        "jemalloc-bg-thread" => jemalloc_bg_thread: bool = true, Any, Live, Inert(NO_JEMALLOC);
        /// Moves values to fight fragmentation.
        "activedefrag" => activedefrag: bool = false, Any, Live,
            Inert("entries are always moved together when their heap is loose");
        /// Bytes of fragmentation below which nothing is moved.
        "active-defrag-ignore-bytes" => active_defrag_ignore_bytes: u64 = 100 * MB, Memory(1, I64), Live, Inert(NO_JEMALLOC);
        /// Percent of fragmentation to start at.
        "active-defrag-threshold-lower" => active_defrag_threshold_lower: u32 = 10, Int(0, 1000), Live, Inert(NO_JEMALLOC);
        /// Percent of fragmentation for full effort.
        "active-defrag-threshold-upper" => active_defrag_threshold_upper: u32 = 100, Int(0, 1000), Live, Inert(NO_JEMALLOC);
        /// Percent of CPU at the lower threshold.
        "active-defrag-cycle-min" => active_defrag_cycle_min: u32 = 1, Int(1, 99), Live, Inert(NO_JEMALLOC);
        /// Percent of CPU at the upper threshold.
        "active-defrag-cycle-max" => active_defrag_cycle_max: u32 = 25, Int(1, 99), Live, Inert(NO_JEMALLOC);
        /// Fields of a value looked at in one go.
        "active-defrag-max-scan-fields" => active_defrag_max_scan_fields: u64 = 1000, Int(1, I64), Live, Inert(NO_JEMALLOC);
    }
    "Observation" {
        /// Microseconds from which a command is in the slow log; 0 logs all, -1 none.
        "slowlog-log-slower-than" => slowlog_log_slower_than: i64 = 10000, Int(-1, I64), Live, Works;
        /// Entries of the slow log.
        "slowlog-max-len" => slowlog_max_len: u64 = 128, Int(0, I64), Live, Works;
        /// Milliseconds from which LATENCY records an event; 0 for never.
        "latency-monitor-threshold" => latency_monitor_threshold: i64 = 0, Int(0, I64), Live, Works;
        /// Keeps a latency histogram per command.
        "latency-tracking" => latency_tracking: bool = true, Any, Live, Works;
        /// Percentiles that INFO latencystats shows.
        "latency-tracking-info-percentiles" => latency_tracking_info_percentiles: Percentiles = Percentiles::default(),
            Any, Live, Works;
        /// Classes of keyspace events that are published.
        "notify-keyspace-events" => notify_keyspace_events: String = String::new(), EventClasses, Live, Pending;
    }
    "Encodings" {
        /// Fields up to which a hash is a listpack.
        "hash-max-listpack-entries" | "hash-max-ziplist-entries" => hash_max_listpack_entries: u64 = 512, Int(0, I64), Live, Works;
        /// Bytes of a field or value up to which a hash is a listpack.
        "hash-max-listpack-value" | "hash-max-ziplist-value" => hash_max_listpack_value: u64 = 64, Memory(0, I64), Live, Works;
        /// Entries of a list's node, or -1 to -5 for 4 to 64 KiB.
        "list-max-listpack-size" | "list-max-ziplist-size" => list_max_listpack_size: i32 = -2, Int(i32::MIN as i64, I32), Live, Works;
        /// Nodes at each end of a list that stay uncompressed; 0 compresses none.
        "list-compress-depth" => list_compress_depth: u32 = 0, Int(0, I32), Live, Works;
        /// Members up to which a set of integers is an intset.
        "set-max-intset-entries" => set_max_intset_entries: u64 = 512, Int(0, I64), Live, Works;
        /// Members up to which a set is a listpack.
        "set-max-listpack-entries" => set_max_listpack_entries: u64 = 128, Int(0, I64), Live, Works;
        /// Bytes of a member up to which a set is a listpack.
        "set-max-listpack-value" => set_max_listpack_value: u64 = 64, Memory(0, I64), Live, Works;
        /// Members up to which a sorted set is a listpack.
        "zset-max-listpack-entries" | "zset-max-ziplist-entries" => zset_max_listpack_entries: u64 = 128, Int(0, I64), Live, Works;
        /// Bytes of a member up to which a sorted set is a listpack.
        "zset-max-listpack-value" | "zset-max-ziplist-value" => zset_max_listpack_value: u64 = 64, Memory(0, I64), Live, Works;
        /// Bytes up to which a hyperloglog is sparse.
        "hll-sparse-max-bytes" => hll_sparse_max_bytes: u64 = 3000, Memory(0, I64), Live, Works;
        /// Bytes of a stream's node; 0 for no bound.
        "stream-node-max-bytes" => stream_node_max_bytes: u64 = 4096, Memory(0, I64), Live, Works;
        /// Entries of a stream's node; 0 for no bound.
        "stream-node-max-entries" => stream_node_max_entries: u64 = 100, Int(0, I64), Live, Works;
        /// Checks the structure of values that RESTORE or a master sends.
        "sanitize-dump-payload" => sanitize_dump_payload: &'static str = "no", OneOf(&["no", "yes", "clients"]), Live,
            Inert("kring always checks");
    }
    "Scripts" {
        /// Milliseconds after which a running script may be killed.
        "busy-reply-threshold" | "lua-time-limit" => busy_reply_threshold: i64 = 5000, Int(0, I64), Live, Inert(SCRIPTS);
    }
    "Snapshots" {
        /// Save points: a snapshot is written when so many seconds and changes have passed since the last.
        "save" => save: SavePoints = SavePoints(vec![(3600, 1), (300, 100), (60, 10_000)]), Any, Live, Works;
        /// Refuses writes after a failed save in the background, while there are save points.
        "stop-writes-on-bgsave-error" => stop_writes_on_bgsave_error: bool = true, Any, Live, Works;
        /// Compresses strings in snapshots.
        "rdbcompression" => rdbcompression: bool = true, Any, Live, Works;
        /// Ends a snapshot with a checksum, and compares it when one is loaded.
        "rdbchecksum" => rdbchecksum: bool = true, Any, Boot, Works;
        /// File of the snapshot.
        "dbfilename" => dbfilename: String = "dump.rdb".into(), FileName("dbfilename can't be a path, just a filename"),
            Protected, Works;
        /// Format of snapshots: 9 (read by Redis 5 and later), 10 (7.0), 11 (7.2), 12 (7.4); auto: 12 where fields of hashes expire, else 10. Bases of the log are always auto.
        "rdb-version" => rdb_version: &'static str = "auto", OneOf(&["auto", "9", "10", "11", "12"]), Live, Works;
        /// Deletes the files of a full synchronisation.
        "rdb-del-sync-files" => rdb_del_sync_files: bool = false, Any, Live, Inert(REPLICATION);
        /// Syncs a snapshot as it grows.
        "rdb-save-incremental-fsync" => rdb_save_incremental_fsync: bool = true, Any, Live,
            Inert("snapshots are written around the page cache");
    }
    "Append-only file" {
        /// Logs every write.
        "appendonly" => appendonly: bool = false, Any, Live, Works;
        /// First part of the log's file names.
        "appendfilename" => appendfilename: String = "appendonly.aof".into(),
            FileName("appendfilename can't be a path, just a filename"), Boot, Works;
        /// Directory of the log.
        "appenddirname" => appenddirname: String = "appendonlydir".into(),
            FileName("appenddirname can't be a path, just a dirname"), Boot, Works;
        /// When the log is synced.
        "appendfsync" => appendfsync: &'static str = "everysec", OneOf(&["everysec", "always", "no"]), Live, Works;
        /// Leaves syncs out during a rewrite or a snapshot in the background.
        "no-appendfsync-on-rewrite" => no_appendfsync_on_rewrite: bool = false, Any, Live, Works;
        /// Percent of growth at which the log is rewritten.
        "auto-aof-rewrite-percentage" => auto_aof_rewrite_percentage: u32 = 100, Int(0, I32), Live, Works;
        /// Bytes below which the log is not rewritten.
        "auto-aof-rewrite-min-size" => auto_aof_rewrite_min_size: u64 = 64 * MB, Memory(0, I64), Live, Works;
        /// Loads a log whose end is cut off.
        "aof-load-truncated" => aof_load_truncated: bool = true, Any, Live, Works;
        /// Starts the log with a snapshot.
        "aof-use-rdb-preamble" => aof_use_rdb_preamble: bool = true, Any, Live, Works;
        /// Writes times into the log.
        "aof-timestamp-enabled" => aof_timestamp_enabled: bool = false, Any, Live, Works;
        /// Syncs a rewritten log as it grows.
        "aof-rewrite-incremental-fsync" => aof_rewrite_incremental_fsync: bool = true, Any, Live, Inert("bases are written around the page cache");
        /// Keeps old files of the log.
        "aof-disable-auto-gc" => aof_disable_auto_gc: bool = false, Any, Live, Works;
    }
    "Replication" {
        /// The master: host and port.
        "replicaof" | "slaveof" => replicaof: Master = Master(None), Any, Boot, Refused;
        /// User on the master.
        "masteruser" => masteruser: String = String::new(), Any, Live, Inert(REPLICATION);
        /// Password on the master.
        "masterauth" => masterauth: String = String::new(), Any, Live, Inert(REPLICATION);
        /// Replicas without which writes are refused; 0 for none. There are no replicas yet: any other number refuses all writes.
        "min-replicas-to-write" | "min-slaves-to-write" => min_replicas_to_write: u32 = 0, Int(0, I32), Live, Works;
        /// Seconds of lag up to which such a replica counts; 0: none is asked for.
        "min-replicas-max-lag" | "min-slaves-max-lag" => min_replicas_max_lag: u32 = 10, Int(0, I32), Live, Works;
        /// A replica answers while its link is down.
        "replica-serve-stale-data" | "slave-serve-stale-data" => replica_serve_stale_data: bool = true, Any, Live, Inert(REPLICATION);
        /// A replica refuses writes.
        "replica-read-only" | "slave-read-only" => replica_read_only: bool = true, Any, Live, Inert(REPLICATION);
        /// A replica evicts nothing by itself.
        "replica-ignore-maxmemory" | "slave-ignore-maxmemory" => replica_ignore_maxmemory: bool = true, Any, Live, Inert(REPLICATION);
        /// A replica flushes off the hot path before a full synchronisation.
        "replica-lazy-flush" | "slave-lazy-flush" => replica_lazy_flush: bool = false, Any, Live, Inert(REPLICATION);
        /// A replica goes on when its disk fails.
        "replica-ignore-disk-write-errors" => replica_ignore_disk_write_errors: bool = false, Any, Live, Inert(REPLICATION);
        /// Sentinel's priority for promoting this replica.
        "replica-priority" | "slave-priority" => replica_priority: u32 = 100, Int(0, I32), Live, Inert(REPLICATION);
        /// Whether Sentinel shows this replica.
        "replica-announced" => replica_announced: bool = true, Any, Live, Inert(REPLICATION);
        /// Address that a replica tells its master.
        "replica-announce-ip" | "slave-announce-ip" => replica_announce_ip: String = String::new(), Any, Live, Inert(REPLICATION);
        /// Port that a replica tells its master.
        "replica-announce-port" | "slave-announce-port" => replica_announce_port: u16 = 0, Int(0, 65535), Live, Inert(REPLICATION);
        /// Sends snapshots to replicas without a file.
        "repl-diskless-sync" => repl_diskless_sync: bool = true, Any, Live, Inert(REPLICATION);
        /// Seconds to wait for more replicas before such a snapshot.
        "repl-diskless-sync-delay" => repl_diskless_sync_delay: u32 = 5, Int(0, I32), Live, Inert(REPLICATION);
        /// Replicas for which it waits no longer; 0 for no such number.
        "repl-diskless-sync-max-replicas" => repl_diskless_sync_max_replicas: u32 = 0, Int(0, I32), Live, Inert(REPLICATION);
        /// Loads a snapshot from a master without a file.
        "repl-diskless-load" => repl_diskless_load: &'static str = "disabled",
            OneOf(&["disabled", "on-empty-db", "swapdb"]), Live, Inert(REPLICATION);
        /// Lets the kernel gather small packets to replicas.
        "repl-disable-tcp-nodelay" => repl_disable_tcp_nodelay: bool = false, Any, Live, Inert(REPLICATION);
        /// Seconds between pings to replicas.
        "repl-ping-replica-period" | "repl-ping-slave-period" => repl_ping_replica_period: u32 = 10, Int(1, I32), Live, Inert(REPLICATION);
        /// Seconds of silence after which a link is down.
        "repl-timeout" => repl_timeout: u32 = 60, Int(1, I32), Live, Inert(REPLICATION);
        /// Bytes of history kept for replicas that come back.
        "repl-backlog-size" => repl_backlog_size: u64 = MB, Memory(1, I64), Live, Inert(REPLICATION);
        /// Seconds without replicas after which the history goes; 0 keeps it.
        "repl-backlog-ttl" => repl_backlog_ttl: u64 = 3600, Int(0, I64), Live, Inert(REPLICATION);
    }
    "Access" {
        /// File of ACL users.
        "aclfile" => aclfile: String = String::new(), Any, Boot, Refused;
        /// Entries of ACL LOG.
        "acllog-max-len" => acllog_max_len: u64 = 128, Int(0, I64), Live, Inert(ACL);
        /// Channels of a new user.
        "acl-pubsub-default" => acl_pubsub_default: &'static str = "resetchannels",
            OneOf(&["allchannels", "resetchannels"]), Live, Inert(ACL);
    }
    "Cluster" {
        /// Runs as a node of a cluster.
        "cluster-enabled" => cluster_enabled: bool = false, Any, Boot, Refused;
        /// File of the cluster's state.
        "cluster-config-file" => cluster_config_file: String = "nodes.conf".into(), Any, Boot, Inert(CLUSTER);
        /// Milliseconds of silence after which a node fails.
        "cluster-node-timeout" => cluster_node_timeout: u64 = 15000, Int(0, I64), Live, Inert(CLUSTER);
        /// Port of the cluster bus; 0 for port + 10000.
        "cluster-port" => cluster_port: u16 = 0, Int(0, 65535), Boot, Inert(CLUSTER);
        /// Address to announce.
        "cluster-announce-ip" => cluster_announce_ip: String = String::new(), Any, Live, Inert(CLUSTER);
        /// Port to announce.
        "cluster-announce-port" => cluster_announce_port: u16 = 0, Int(0, 65535), Live, Inert(CLUSTER);
        /// TLS port to announce.
        "cluster-announce-tls-port" => cluster_announce_tls_port: u16 = 0, Int(0, 65535), Live, Inert(CLUSTER);
        /// Bus port to announce.
        "cluster-announce-bus-port" => cluster_announce_bus_port: u16 = 0, Int(0, 65535), Live, Inert(CLUSTER);
        /// Host name to announce.
        "cluster-announce-hostname" => cluster_announce_hostname: String = String::new(), Any, Live, Inert(CLUSTER);
        /// Name of the node for humans.
        "cluster-announce-human-nodename" => cluster_announce_human_nodename: String = String::new(), Any, Live, Inert(CLUSTER);
        /// What clients are told to connect to.
        "cluster-preferred-endpoint-type" => cluster_preferred_endpoint_type: &'static str = "ip",
            OneOf(&["ip", "hostname", "unknown-endpoint"]), Live, Inert(CLUSTER);
        /// A replica does not take over by itself.
        "cluster-replica-no-failover" | "cluster-slave-no-failover" => cluster_replica_no_failover: bool = false, Any, Live, Inert(CLUSTER);
        /// How old a replica's data may be when it takes over.
        "cluster-replica-validity-factor" | "cluster-slave-validity-factor" => cluster_replica_validity_factor: u32 = 10, Int(0, I32), Live, Inert(CLUSTER);
        /// Replicas that a master keeps when others migrate.
        "cluster-migration-barrier" => cluster_migration_barrier: u32 = 1, Int(0, I32), Live, Inert(CLUSTER);
        /// Replicas migrate to masters without one.
        "cluster-allow-replica-migration" => cluster_allow_replica_migration: bool = true, Any, Live, Inert(CLUSTER);
        /// Stops when a slot has no node.
        "cluster-require-full-coverage" => cluster_require_full_coverage: bool = true, Any, Live, Inert(CLUSTER);
        /// Answers reads while the cluster is down.
        "cluster-allow-reads-when-down" => cluster_allow_reads_when_down: bool = false, Any, Live, Inert(CLUSTER);
        /// Serves shard channels while the cluster is down.
        "cluster-allow-pubsubshard-when-down" => cluster_allow_pubsubshard_when_down: bool = true, Any, Live, Inert(CLUSTER);
        /// Bytes that may wait on a link of the bus; 0 for no bound.
        "cluster-link-sendbuf-limit" => cluster_link_sendbuf_limit: u64 = 0, Memory(0, I64), Live, Inert(CLUSTER);
    }
    "TLS" {
        /// Port for TLS; 0 for none.
        "tls-port" => tls_port: u16 = 0, Int(0, 65535), Live, Refused;
        /// Certificate.
        "tls-cert-file" => tls_cert_file: String = String::new(), Any, Live, Inert(TLS);
        /// Its key.
        "tls-key-file" => tls_key_file: String = String::new(), Any, Live, Inert(TLS);
        /// Password of the key.
        "tls-key-file-pass" => tls_key_file_pass: String = String::new(), Any, Live, Inert(TLS);
        /// Certificate as a client.
        "tls-client-cert-file" => tls_client_cert_file: String = String::new(), Any, Live, Inert(TLS);
        /// Key of the client certificate.
        "tls-client-key-file" => tls_client_key_file: String = String::new(), Any, Live, Inert(TLS);
        /// Password of that key.
        "tls-client-key-file-pass" => tls_client_key_file_pass: String = String::new(), Any, Live, Inert(TLS);
        /// Diffie-Hellman parameters.
        "tls-dh-params-file" => tls_dh_params_file: String = String::new(), Any, Live, Inert(TLS);
        /// File of authorities.
        "tls-ca-cert-file" => tls_ca_cert_file: String = String::new(), Any, Live, Inert(TLS);
        /// Directory of authorities.
        "tls-ca-cert-dir" => tls_ca_cert_dir: String = String::new(), Any, Live, Inert(TLS);
        /// Whether clients need a certificate.
        "tls-auth-clients" => tls_auth_clients: &'static str = "yes", OneOf(&["no", "yes", "optional"]), Live, Inert(TLS);
        /// TLS to the master.
        "tls-replication" => tls_replication: bool = false, Any, Live, Inert(TLS);
        /// TLS on the cluster bus.
        "tls-cluster" => tls_cluster: bool = false, Any, Live, Inert(TLS);
        /// Protocol versions.
        "tls-protocols" => tls_protocols: String = String::new(), Any, Live, Inert(TLS);
        /// Ciphers up to TLS 1.2.
        "tls-ciphers" => tls_ciphers: String = String::new(), Any, Live, Inert(TLS);
        /// Ciphers of TLS 1.3.
        "tls-ciphersuites" => tls_ciphersuites: String = String::new(), Any, Live, Inert(TLS);
        /// The server chooses the cipher.
        "tls-prefer-server-ciphers" => tls_prefer_server_ciphers: bool = false, Any, Live, Inert(TLS);
        /// Keeps sessions.
        "tls-session-caching" => tls_session_caching: bool = true, Any, Live, Inert(TLS);
        /// Sessions kept; 0 for no bound.
        "tls-session-cache-size" => tls_session_cache_size: u32 = 20480, Int(0, I32), Live, Inert(TLS);
        /// Seconds that a session is kept.
        "tls-session-cache-timeout" => tls_session_cache_timeout: u32 = 300, Int(0, I32), Live, Inert(TLS);
    }
    "For tests" {
        /// Microseconds that the writer of a snapshot waits for each key; -n waits for one in n keys.
        "rdb-key-save-delay" => rdb_key_save_delay: i32 = 0, Int(-I32 - 1, I32), Live, Works;
        /// Microseconds that loading a snapshot waits for each key; -n waits for one in n keys.
        "key-load-delay" => key_load_delay: i32 = 0, Int(-I32 - 1, I32), Live, Works;
        /// Bytes after which a load looks after clients.
        "loading-process-events-interval-bytes" => loading_process_events_interval_bytes: u64 = 2 * MB, Int(1024, I32), Live,
            Inert("shards serve clients while a snapshot is loaded");
        /// Milliseconds after which a command that still runs is logged.
        "watchdog-period" => watchdog_period: u32 = 0, Int(0, I32), Live, Inert("kring has no watchdog");
        /// Ends the process by exit, not by a signal, after a panic.
        "use-exit-on-panic" => use_exit_on_panic: bool = false, Any, Live, Inert("kring aborts");
        /// Keeps what Lua scripts should no longer use.
        "lua-enable-deprecated-api" => lua_enable_deprecated_api: bool = false, Any, Boot, Inert(SCRIPTS);
    }
}
