//! What a shard has counted, and the slow log it keeps.

use super::Core;
use crate::base::time::Now;
use crate::cmd::registry::Found;
use crate::cmd::row::flag;
use crate::cmd::server::slowlog::trim;
use crate::cmd::{Report, Sections, Session, SlowEntry};
use crate::config::{Config, MemoryOrPercent};
use crate::metrics::{CommandStats, Counters, ErrorCounts, LatencyEvents, RateSampler};
use crate::resp::Args;
use crate::store::access::Lfu;
use crate::store::lru;
use crate::store::{Expired, Policy};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// The counters of a shard.
pub(super) struct Tallies {
    pub counters: Counters,
    pub commands: Vec<CommandStats>,
    pub slowlog: VecDeque<SlowEntry>,
    pub latency: LatencyEvents,
    errors: ErrorCounts,
    rates: RateSampler,
    track: bool,
    /// The share of keys with a TTL that were past it when active expiry looked, in percent.
    stale_percent: f64,
    /// Commands that take this long are looked at closely: for SLOWLOG, for LATENCY.
    pub watch_ns: u64,
}

/// How much of the average the last slice of active expiry makes, as in Redis.
const STALE_WEIGHT: f64 = 0.05;

/// How uses of keys are noted under a configuration.
pub(super) fn access_policy(config: &Config, now: Now) -> Policy {
    let lfu = config
        .maxmemory_policy
        .is_lfu()
        .then_some(Lfu { log_factor: config.lfu_log_factor, decay_minutes: config.lfu_decay_time });
    let fine = config.maxmemory_policy.is_lru() && config.maxmemory != MemoryOrPercent::Bytes(0);
    Policy {
        lfu,
        fifo: config.maxmemory_policy.is_fifo(),
        frozen: false,
        fine,
        clock: lru::stamp(now, fine),
        now,
    }
}

impl Tallies {
    pub fn new(commands: usize, config: &Config, now: Now) -> Tallies {
        let mut tallies = Tallies {
            counters: Counters::default(),
            commands: vec![CommandStats::default(); commands],
            slowlog: VecDeque::new(),
            latency: LatencyEvents::default(),
            errors: ErrorCounts::default(),
            rates: RateSampler::new(now.mono_us),
            track: true,
            stale_percent: 0.0,
            watch_ns: 0,
        };
        tallies.configure(config);
        tallies
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&mut self) {
        self.counters = Counters::default();
        self.errors = ErrorCounts::default();
        self.commands.iter_mut().for_each(|c| *c = CommandStats::default());
    }

    /// A configuration is in force.
    pub fn configure(&mut self, config: &Config) {
        self.track = config.latency_tracking;
        let slow_ns =
            u64::try_from(config.slowlog_log_slower_than).map_or(u64::MAX, |us| us.saturating_mul(1_000));
        let latency_ns = match config.latency_monitor_threshold {
            0 => u64::MAX,
            ms => (ms as u64).saturating_mul(1_000_000),
        };
        self.watch_ns = slow_ns.min(latency_ns);
        self.slowlog_limit(config.slowlog_max_len as usize);
    }

    /// `n` calls of a command ran, for so long each.
    #[inline]
    pub fn ran(&mut self, id: u32, ns: u64, n: u32) {
        self.counters.commands += u64::from(n);
        self.commands[id as usize].record(ns, n, self.track);
    }

    /// A command replied with this error.
    pub fn failed(&mut self, id: Option<u32>, text: &[u8]) {
        if let Some(id) = id {
            self.commands[id as usize].failed += 1;
        }
        self.counters.error_replies += 1;
        self.errors.note(text);
        self.counters.auth_failures += text.starts_with(b"WRONGPASS") as u64;
    }

    /// A command was refused with this error.
    pub fn rejected(&mut self, text: &[u8], id: Option<u32>) {
        if let Some(id) = id {
            self.commands[id as usize].rejected += 1;
        }
        self.failed(None, text);
    }

    /// Notes an event for LATENCY when it took long enough.
    #[inline]
    pub fn note_latency(&mut self, event: &'static str, now: Now, ns: u64, threshold_ms: u64) {
        if threshold_ms > 0 && ns >= threshold_ms.saturating_mul(1_000_000) {
            self.latency.note(event, now.secs(), (ns / 1_000_000) as u32);
        }
    }

    /// A slice of active expiry, before which `keys` had a TTL. `more`: it ended before all that was due was gone.
    pub fn expired(&mut self, found: &Expired, keys: usize, took_ns: u64, more: bool) {
        self.counters.expire_slices += 1;
        self.counters.expire_ns += took_ns;
        self.counters.expire_capped += u64::from(more);
        // A whole slice has found all that were past their time; one that was cut is a sample.
        let among = if more { found.looked_at } else { keys };
        let stale = if among == 0 { 0.0 } else { (found.removed as f64 * 100.0 / among as f64).min(100.0) };
        self.stale_percent += (stale - self.stale_percent) * STALE_WEIGHT;
    }

    /// The slow round of the clock.
    pub fn sample(&mut self, now: Now) {
        self.rates.sample(now.mono_us, &self.counters);
    }

    /// SLOWLOG keeps so many entries.
    pub fn slowlog_limit(&mut self, max: usize) {
        while self.slowlog.len() > max {
            self.slowlog.pop_back();
        }
    }

    /// Copies the sections asked for.
    pub fn report(&mut self, parts: u32, now: Now, report: &mut Report) {
        if parts & Sections::COUNTERS != 0 {
            self.sample(now);
            report.counters = self.counters.clone();
            report.rates = self.rates.rates();
            report.stale_percent = self.stale_percent;
            report.errors = self.errors.clone();
        }
        if parts & Sections::COMMANDS != 0 {
            report.commands = self.commands.clone();
        }
        if parts & Sections::SLOWLOG != 0 {
            report.slowlog = self.slowlog.iter().cloned().collect();
        }
        if parts & Sections::LATENCY != 0 {
            report.latency = self.latency.clone();
        }
    }
}

impl Core {
    /// Notes a command that took long, where it is asked for.
    #[cold]
    pub(super) fn note_slow(&mut self, session: &Session, found: Found, args: Args<'_>, ns: u64) {
        self.note_slow_words(session, found, || trim(args, found.row), ns);
    }

    /// The same, of arguments that are trimmed when they are wanted.
    #[cold]
    pub(super) fn note_slow_words(
        &mut self,
        session: &Session,
        found: Found,
        args: impl FnOnce() -> Vec<Vec<u8>>,
        ns: u64,
    ) {
        let event = if found.row.is(flag::FAST) { "fast-command" } else { "command" };
        self.tallies.note_latency(event, self.now, ns, self.config.latency_monitor_threshold as u64);
        let slow_us = self.config.slowlog_log_slower_than;
        if slow_us < 0 || ns / 1_000 < slow_us as u64 || found.row.is(flag::SKIP_SLOWLOG) {
            return;
        }
        self.tallies.slowlog.push_front(SlowEntry {
            id: self.shared.next_slow.fetch_add(1, Ordering::Relaxed),
            at_secs: self.now.secs(),
            took_us: ns / 1_000,
            args: args(),
            addr: session.addr.clone(),
            name: session.name.clone(),
        });
        self.tallies.slowlog_limit(self.config.slowlog_max_len as usize);
    }
}
