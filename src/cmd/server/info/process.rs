//! Server, Clients, Memory and CPU.

use super::sections::View;
use crate::cmd::server::memory::{ALLOCATOR, Figures};
use crate::cmd::server::text::Text;
use crate::cmd::version::{KRING_VERSION, REDIS_VERSION};
use crate::store::lru;

/// What runs, since when, and where it listens.
pub fn server(text: &mut Text, view: &View<'_>) {
    let (server, config, now) = (view.env.server, view.env.config, view.env.now);
    let uptime_secs = (now.wall_us - server.started_us).max(0) / 1_000_000;
    text.field("redis_version", REDIS_VERSION);
    text.field("redis_git_sha1", "00000000");
    text.field("redis_git_dirty", 0);
    text.field("redis_build_id", "0");
    text.field("kring_version", KRING_VERSION);
    text.field("redis_mode", "standalone");
    text.field("os", &server.os);
    text.field("arch_bits", usize::BITS);
    text.field("monotonic_clock", "POSIX clock_gettime");
    text.field("multiplexing_api", "io_uring");
    text.field("atomicvar_api", "rust-core");
    text.field("gcc_version", "0.0.0");
    text.field("process_id", server.pid);
    text.field("process_supervised", "no");
    text.field("run_id", &server.run_id);
    text.field("tcp_port", config.port);
    text.field("server_time_usec", now.wall_us);
    text.field("uptime_in_seconds", uptime_secs);
    text.field("uptime_in_days", uptime_secs / 86_400);
    text.field("hz", config.hz);
    text.field("configured_hz", config.hz);
    text.field("lru_clock", lru::wall_clock(now, 0));
    text.field("executable", &server.executable);
    text.field("config_file", &server.config_file);
    text.field("io_threads_active", 0);
    text.field("kring_shards", server.shards);
    listeners(text, view);
}

fn listeners(text: &mut Text, view: &View<'_>) {
    let config = view.env.config;
    let mut count = 0;
    let mut listener = |text: &mut Text, what: std::fmt::Arguments<'_>| {
        text.field(format_args!("listener{count}"), what);
        count += 1;
    };
    if config.port != 0 {
        let binds: String = config.bind.iter().map(|address| format!("bind={address},")).collect();
        listener(text, format_args!("name=tcp,{binds}port={}", config.port));
    }
    if !config.unixsocket.is_empty() {
        listener(text, format_args!("name=unix,bind={}", config.unixsocket));
    }
}

/// Who is connected.
pub fn clients(text: &mut Text, view: &View<'_>) {
    let total = view.total;
    text.field("connected_clients", total.connected);
    text.field("cluster_connections", 0);
    text.field("maxclients", view.env.config.maxclients);
    text.field("client_recent_max_input_buffer", total.largest_input);
    text.field("client_recent_max_output_buffer", total.largest_output);
    text.field("blocked_clients", total.blocked);
    text.field("tracking_clients", 0);
    text.field("pubsub_clients", 0);
    text.field("watching_clients", total.watching);
    text.field("clients_in_timeout_table", total.timeouts);
    text.field("total_watched_keys", total.watched_keys);
    text.field("total_blocking_keys", total.blocking_keys);
    text.field("total_blocking_keys_on_nokey", total.blocking_keys_on_nokey);
}

/// What memory goes into.
pub fn memory(text: &mut Text, view: &View<'_>) {
    let figures = Figures::of(view.env, view.total);
    text.bytes("used_memory", figures.used);
    text.bytes("used_memory_rss", figures.rss);
    text.bytes("used_memory_peak", figures.peak);
    text.field("used_memory_peak_perc", format_args!("{:.2}%", figures.peak_percent()));
    text.field("used_memory_overhead", figures.overhead());
    // What the process had at its start is not counted as used.
    text.field("used_memory_startup", 0);
    text.field("used_memory_dataset", figures.dataset);
    text.field("used_memory_dataset_perc", format_args!("{:.2}%", figures.dataset_percent()));
    text.field("allocator_allocated", figures.used);
    text.field("allocator_active", figures.active);
    text.field("allocator_resident", figures.resident());
    text.field("allocator_muzzy", 0);
    text.bytes("total_system_memory", view.env.server.total_memory);
    scripts_memory(text);
    text.bytes("maxmemory", view.env.config.maxmemory.of(view.env.server.total_memory));
    text.field("maxmemory_policy", view.env.config.maxmemory_policy.word());
    for (ratio, bytes, (above, beyond)) in [
        ("allocator_frag_ratio", "allocator_frag_bytes", Figures::between(figures.active, figures.used)),
        ("allocator_rss_ratio", "allocator_rss_bytes", Figures::between(figures.resident(), figures.active)),
        ("rss_overhead_ratio", "rss_overhead_bytes", Figures::between(figures.rss, figures.resident())),
    ] {
        text.ratio(ratio, above);
        text.field(bytes, beyond);
    }
    text.ratio("mem_fragmentation_ratio", figures.fragmentation());
    text.field("mem_fragmentation_bytes", figures.fragmentation_bytes());
    text.field("mem_not_counted_for_evict", figures.not_evictable());
    text.field("mem_replication_backlog", 0);
    text.field("mem_total_replication_buffers", 0);
    text.field("mem_clients_slaves", 0);
    text.field("mem_clients_normal", figures.clients);
    text.field("mem_cluster_links", 0);
    text.field("mem_aof_buffer", figures.log_buffer);
    text.field("mem_snapshot_buffer", figures.snapshot_buffer);
    text.field("mem_allocator", ALLOCATOR);
    text.field("mem_overhead_db_hashtable_rehashing", 0);
    text.field("active_defrag_running", 0);
    text.field("lazyfree_pending_objects", view.env.memory.garbage_objects);
    text.field("lazyfreed_objects", view.total.counters.lazy_freed);
}

/// There are no scripts and functions in this release.
fn scripts_memory(text: &mut Text) {
    text.field("used_memory_lua", 0);
    text.field("used_memory_vm_eval", 0);
    text.field("used_memory_lua_human", "0B");
    text.field("used_memory_scripts_eval", 0);
    text.field("number_of_cached_scripts", 0);
    text.field("number_of_functions", 0);
    text.field("number_of_libraries", 0);
    text.field("used_memory_vm_functions", 0);
    text.bytes("used_memory_vm_total", 0);
    text.field("used_memory_functions", 0);
    text.bytes("used_memory_scripts", 0);
}

/// CPU time, in seconds. kring never forks, so it has no children. Its main thread serves no clients, it looks after the process;
/// the section Shards has the time of each of those that do.
pub fn cpu(text: &mut Text, view: &View<'_>) {
    let memory = &view.env.memory;
    for (name, us) in [
        ("used_cpu_sys", memory.cpu_sys_us),
        ("used_cpu_user", memory.cpu_user_us),
        ("used_cpu_sys_children", 0),
        ("used_cpu_user_children", 0),
        ("used_cpu_sys_main_thread", memory.cpu_main_sys_us),
        ("used_cpu_user_main_thread", memory.cpu_main_user_us),
    ] {
        text.field(name, format_args!("{}.{:06}", us / 1_000_000, us % 1_000_000));
    }
}
