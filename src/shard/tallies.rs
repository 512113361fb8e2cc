//! What a shard has counted, and the slow log it keeps.

use super::Core;
use crate::base::time::Now;
use crate::cmd::server::slowlog::trim;
use crate::cmd::{Report, Sections, Session, SlowEntry};
use crate::config::Config;
use crate::metrics::{CommandStats, Counters, ErrorCounts, LatencyEvents, RateSampler};
use crate::resp::Args;
use crate::store::access::Lfu;
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
}

impl Tallies {
    pub fn new(commands: usize, now: Now) -> Tallies {
        Tallies {
            counters: Counters::default(),
            commands: vec![CommandStats::default(); commands],
            slowlog: VecDeque::new(),
            latency: LatencyEvents::default(),
            errors: ErrorCounts::default(),
            rates: RateSampler::new(now.mono_us),
        }
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&mut self) {
        self.counters = Counters::default();
        self.errors = ErrorCounts::default();
        self.commands.iter_mut().for_each(|c| *c = CommandStats::default());
    }

    /// How uses of keys are noted under this configuration.
    #[inline]
    pub fn lfu(&self, config: &Config) -> Option<Lfu> {
        config
            .maxmemory_policy
            .is_lfu()
            .then(|| Lfu { log_factor: config.lfu_log_factor, decay_minutes: config.lfu_decay_time })
    }

    /// A command ran.
    #[inline]
    pub fn ran(&mut self, id: u32, ns: u64, track: bool, failed: bool) {
        self.counters.commands += 1;
        let stats = &mut self.commands[id as usize];
        stats.record(ns, track);
        stats.failed += failed as u64;
    }

    /// A command replied with this error.
    pub fn failed(&mut self, text: &[u8]) {
        self.counters.error_replies += 1;
        self.errors.note(text);
    }

    /// A command was refused with this error.
    pub fn rejected(&mut self, text: &[u8], id: Option<u32>) {
        if let Some(id) = id {
            self.commands[id as usize].rejected += 1;
        }
        self.failed(text);
    }

    /// Notes an event for LATENCY when it took long enough.
    #[inline]
    pub fn note_latency(&mut self, event: &'static str, now: Now, ns: u64, threshold_ms: u64) {
        if threshold_ms > 0 && ns >= threshold_ms * 1_000_000 {
            self.latency.note(event, now.secs(), (ns / 1_000_000) as u32);
        }
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
    /// A row for SLOWLOG.
    #[cold]
    pub(super) fn note_slow(&mut self, session: &Session, args: Args<'_>, took_us: u64) {
        let max = self.config.slowlog_max_len as usize;
        self.tallies.slowlog.push_front(SlowEntry {
            id: self.shared.next_slow.fetch_add(1, Ordering::Relaxed),
            at_secs: self.now.secs(),
            took_us,
            args: trim(args),
            addr: session.addr.clone(),
            name: session.name.clone(),
        });
        self.tallies.slowlog_limit(max);
    }
}
