//! Persistence, Stats and Replication.

use super::sections::View;
use crate::cmd::save::{LoadNow, LogState, SaveFor, SaveNow};
use crate::cmd::server::text::Text;
use crate::metrics::METRICS;

/// Snapshots and the append-only log.
pub fn persistence(text: &mut Text, view: &View<'_>) {
    let saves = view.env.saves;
    let now_secs = view.env.now.secs();
    let saving = saves.in_background();
    text.field("loading", u8::from(saves.is_loading()));
    text.field("async_loading", 0);
    // What a fork copies on write kring keeps on write, and holds until it is on its way to the file; that is counted as it happens, so
    // its age is 0.
    let now = saves.save_now().filter(|now| now.what != SaveFor::Waiter);
    text.field("current_cow_peak", now.map_or(0, |now| now.held_peak));
    text.field("current_cow_size", now.map_or(0, |now| now.held_bytes));
    text.field("current_cow_size_age", 0);
    text.ratio("current_fork_perc", now.map_or(0.0, percent));
    text.field("current_save_keys_processed", now.map_or(0, |now| now.keys_done));
    text.field("current_save_keys_total", now.map_or(0, |now| now.keys_total));
    text.field("rdb_changes_since_last_save", saves.since_save(view.total.dirty));
    text.field("rdb_bgsave_in_progress", u8::from(saving));
    text.field("rdb_last_save_time", saves.last_save_secs());
    text.field("rdb_last_bgsave_status", if saves.last_failed() { "err" } else { "ok" });
    text.field("rdb_last_bgsave_time_sec", saves.last_took_secs());
    text.field("rdb_current_bgsave_time_sec", if saving { now_secs - saves.began_secs() } else { -1 });
    text.field("rdb_saves", saves.saves());
    text.field("rdb_last_cow_size", saves.last_held_peaks().0);
    let (keys, expired) = saves.loaded();
    text.field("rdb_last_load_keys_expired", expired);
    text.field("rdb_last_load_keys_loaded", keys);
    logs(text, view);
    snapshot(text, saves.save_now(), (saves.cut_us(), saves.slice_us()), view.env.now.ms());
    if let Some(load) = saves.load_now() {
        loading(text, load, now_secs);
    }
}

/// How much of its keys a file has, in percent.
fn percent(now: SaveNow) -> f64 {
    // Keys that were kept because somebody wrote may come on top of an estimate.
    if now.keys_total == 0 { 0.0 } else { (now.keys_done as f64 * 100.0 / now.keys_total as f64).min(100.0) }
}

/// How long the last cut of all stores and the longest slice since took, and a snapshot under way, whatever it is for: how far it is and how fast it goes.
fn snapshot(text: &mut Text, now: Option<SaveNow>, (cut_us, slice_us): (u64, u64), now_ms: i64) {
    let what = match now.map(|now| now.what) {
        None => "none",
        Some(SaveFor::Waiter) => "save",
        Some(SaveFor::Background) => "bgsave",
        Some(SaveFor::Log) => "aof_base",
    };
    text.field("kring_snapshot", what);
    text.field("kring_snapshot_cut_usec", cut_us);
    text.field("kring_snapshot_slice_usec", slice_us);
    let Some(now) = now else { return };
    let took_ms = (now_ms - now.began_ms).max(1) as u64;
    let per_sec = |n: u64| n.saturating_mul(1_000) / took_ms;
    text.ratio("kring_snapshot_perc", percent(now));
    text.field("kring_snapshot_keys", now.keys_done);
    text.field("kring_snapshot_bytes", now.bytes_done);
    text.field("kring_snapshot_keys_per_sec", per_sec(now.keys_done));
    text.field("kring_snapshot_bytes_per_sec", per_sec(now.bytes_done));
    text.field("kring_snapshot_time_ms", took_ms);
}

/// A load under way.
fn loading(text: &mut Text, load: LoadNow, now_secs: i64) {
    let LoadNow { began_secs, total_bytes, done_bytes, used_bytes } = load;
    let took_secs = (now_secs - began_secs).max(0) as u64;
    let left_bytes = total_bytes.saturating_sub(done_bytes);
    text.field("loading_start_time", began_secs);
    text.field("loading_total_bytes", total_bytes);
    text.field("loading_rdb_used_mem", used_bytes);
    text.field("loading_loaded_bytes", done_bytes);
    let percent = if total_bytes == 0 { 0.0 } else { done_bytes as f64 * 100.0 / total_bytes as f64 };
    text.field("loading_loaded_perc", format_args!("{percent:.2}"));
    text.field("loading_eta_seconds", (took_secs * left_bytes).checked_div(done_bytes).unwrap_or(1));
}

fn logs(text: &mut Text, view: &View<'_>) {
    let (log, now_secs) = (&view.env.saves.log, view.env.now.secs());
    let (rewrites, failures, failed, took_secs) = log.rewrites();
    let began = log.rewrite_now();
    // A log that was just switched on has its first base written at the next round of the clock; as in Redis it is said to be at it.
    let is_off = log.state() == LogState::Off;
    let begins = is_off && view.env.config.appendonly && !failed && !view.env.saves.is_loading();
    text.field("aof_enabled", u8::from(!is_off || begins));
    text.field("aof_rewrite_in_progress", u8::from(began.is_some() || begins));
    text.field("aof_rewrite_scheduled", u8::from(log.is_scheduled()));
    text.field("aof_last_rewrite_time_sec", took_secs);
    text.field("aof_current_rewrite_time_sec", began.map_or(-1, |began| now_secs - began));
    text.field("aof_last_bgrewrite_status", if failed { "err" } else { "ok" });
    text.field("aof_rewrites", rewrites);
    text.field("aof_rewrites_consecutive_failures", failures);
    text.field("aof_last_write_status", if log.errno() == 0 { "ok" } else { "err" });
    text.field("aof_last_cow_size", view.env.saves.last_held_peaks().1);
    text.field("module_fork_in_progress", 0);
    text.field("module_fork_last_cow_size", 0);
    if log.state() != LogState::Off {
        let (base, now) = log.sizes();
        text.field("aof_current_size", now);
        text.field("aof_base_size", base);
        text.field("aof_pending_rewrite", 0);
        text.field("aof_buffer_length", log.buffered());
        text.field("aof_pending_bio_fsync", 0);
        text.field("aof_delayed_fsync", log.delayed_syncs());
        if log.is_strict() {
            let (way, took_us) = log.commits();
            text.field("kring_log_commit", way);
            text.field("kring_log_commit_usec", took_us);
        }
    }
}

/// What has been done since the start or CONFIG RESETSTAT; kring's own counters last.
pub fn stats(text: &mut Text, view: &View<'_>) {
    traffic(text, view);
    keys(text, view);
    zeros(
        text,
        &["pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "latest_fork_usec", "total_forks"],
    );
    text.field("migrate_cached_sockets", view.env.memory.kept_peers);
    zeros(text, &["slave_expires_tracked_keys"]);
    text.field("active_defrag_hits", view.total.counters.compacted);
    zeros(
        text,
        &[
            "active_defrag_misses",
            "active_defrag_key_hits",
            "active_defrag_key_misses",
            "total_active_defrag_time",
            "current_active_defrag_time",
            "tracking_total_keys",
            "tracking_total_items",
            "tracking_total_prefixes",
        ],
    );
    replies(text, view);
    for metric in METRICS.iter().filter(|metric| metric.name.starts_with("kring_")) {
        text.field(metric.name, (metric.get)(&view.total.counters));
    }
}

fn zeros(text: &mut Text, names: &[&str]) {
    names.iter().for_each(|name| text.field(name, 0));
}

fn traffic(text: &mut Text, view: &View<'_>) {
    let (counters, rates) = (&view.total.counters, &view.total.rates);
    text.field("total_connections_received", counters.connections);
    text.field("total_commands_processed", counters.commands);
    text.field("instantaneous_ops_per_sec", rates.commands.round() as u64);
    text.field("total_net_input_bytes", counters.net_input);
    text.field("total_net_output_bytes", counters.net_output);
    zeros(text, &["total_net_repl_input_bytes", "total_net_repl_output_bytes"]);
    text.ratio("instantaneous_input_kbps", rates.net_input / 1024.0);
    text.ratio("instantaneous_output_kbps", rates.net_output / 1024.0);
    text.ratio("instantaneous_input_repl_kbps", 0.0);
    text.ratio("instantaneous_output_repl_kbps", 0.0);
    text.field("rejected_connections", counters.rejected_connections);
    zeros(text, &["sync_full", "sync_partial_ok", "sync_partial_err"]);
}

fn keys(text: &mut Text, view: &View<'_>) {
    let tally = &view.total.tally;
    text.field("expired_subkeys", tally.expired_fields);
    text.field("expired_keys", tally.expired);
    text.ratio("expired_stale_perc", view.total.stale_percent / view.reports.len().max(1) as f64);
    text.field("expired_time_cap_reached_count", view.total.counters.expire_capped);
    text.field("expire_cycle_cpu_milliseconds", view.total.counters.expire_ns / 1_000_000);
    text.field("evicted_keys", tally.evicted);
    text.field("evicted_clients", view.total.counters.evicted_clients);
    zeros(text, &["evicted_scripts"]);
    text.field("total_eviction_exceeded_time", view.env.memory.exceeded_ms);
    text.field("current_eviction_exceeded_time", view.env.memory.exceeding_ms);
    text.field("keyspace_hits", tally.hits);
    text.field("keyspace_misses", tally.misses);
}

fn replies(text: &mut Text, view: &View<'_>) {
    let (counters, rates) = (&view.total.counters, &view.total.rates);
    text.field("unexpected_error_replies", 0);
    text.field("total_error_replies", counters.error_replies);
    text.field("dump_payload_sanitizations", 0);
    text.field("total_reads_processed", counters.reads);
    text.field("total_writes_processed", counters.writes);
    zeros(text, &["io_threaded_reads_processed", "io_threaded_writes_processed"]);
    text.field("client_query_buffer_limit_disconnections", counters.query_buffer_closed);
    text.field("client_output_buffer_limit_disconnections", counters.output_buffer_closed);
    zeros(text, &["reply_buffer_shrinks", "reply_buffer_expands"]);
    text.field("eventloop_cycles", counters.turns);
    text.field("eventloop_duration_sum", counters.turn_ns / 1_000);
    text.field("eventloop_duration_cmd_sum", view.total.commands.iter().map(|c| c.ns).sum::<u64>() / 1_000);
    text.field("instantaneous_eventloop_cycles_per_sec", rates.turns.round() as u64);
    let turn_ns = if rates.turns > 0.0 { rates.turn_ns / rates.turns } else { 0.0 };
    text.field("instantaneous_eventloop_duration_usec", (turn_ns / 1_000.0).round() as u64);
    text.field("acl_access_denied_auth", counters.auth_failures);
    zeros(text, &["acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel"]);
}

/// Always a master without replicas.
pub fn replication(text: &mut Text, view: &View<'_>) {
    let repl_id = match &*view.total.repl_id {
        "" => &view.env.server.run_id,
        changed => changed,
    };
    text.field("role", "master");
    text.field("connected_slaves", 0);
    text.field("master_failover_state", "no-failover");
    text.field("master_replid", repl_id);
    text.field("master_replid2", "0".repeat(40));
    text.field("master_repl_offset", 0);
    text.field("second_repl_offset", -1);
    text.field("repl_backlog_active", 0);
    text.field("repl_backlog_size", view.env.config.repl_backlog_size);
    text.field("repl_backlog_first_byte_offset", 0);
    text.field("repl_backlog_histlen", 0);
}
