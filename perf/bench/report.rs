//! What was measured, and how it is told: a table, a text plot, JSON.
//!
//! Latencies are kept in HDR histograms in ns: 3 significant digits, from 1 ns to 2 minutes, about 250 KB per kind of
//! command of which a run touches a few KB.

use crate::replies::Reply;
use crate::workload::Verdict;
use hdrhistogram::Histogram;
use std::fmt::Write;

/// Most kinds of commands in a mix.
pub const MAX_KINDS: usize = 16;
/// Longest latency that is told apart.
const MAX_NS: u64 = 120_000_000_000;
/// Percentiles shown, with their names.
const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];
/// Size of the plot.
const PLOT_ROWS: usize = 24;
const PLOT_WIDTH: usize = 50;

/// One kind of command.
pub struct Kind {
    pub name: String,
    pub latency: Histogram<u64>,
    pub misses: u64,
    pub errors: u64,
    /// Replies of a type or length that cannot be right.
    pub wrong: u64,
}

/// What one thread measured, or all of them.
#[derive(Default)]
pub struct Stats {
    pub kinds: Vec<Kind>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The first error reply or wrong reply.
    pub first_error: Option<String>,
    /// Requests of the open loop that were due before the end and had not been sent.
    pub backlog: u64,
    from_ns: u64,
    until_ns: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_NS, 3).expect("the bounds are constants that fit")
}

impl Stats {
    pub fn new(names: Vec<String>) -> Self {
        let kind = |name| Kind { name, latency: histogram(), misses: 0, errors: 0, wrong: 0 };
        Stats { kinds: names.into_iter().map(kind).collect(), ..Stats::default() }
    }

    /// Measuring begins: forgets the warm-up.
    pub fn begin(&mut self, now_ns: u64) {
        for kind in &mut self.kinds {
            kind.latency.reset();
            (kind.misses, kind.errors, kind.wrong) = (0, 0, 0);
        }
        (self.bytes_in, self.bytes_out, self.first_error) = (0, 0, None);
        self.from_ns = now_ns;
    }

    pub fn end(&mut self, now_ns: u64, backlog: u64) {
        self.until_ns = now_ns;
        self.backlog = backlog;
    }

    pub fn record(&mut self, kind: u8, latency_ns: u64, count: u64) {
        self.kinds[kind as usize].latency.saturating_record_n(latency_ns.max(1), count);
    }

    /// Counts a verdict; keeps the first bad reply.
    pub fn judge(&mut self, kind: u8, verdict: Verdict, reply: Reply<'_>) {
        if verdict == Verdict::Good {
            return;
        }
        let kind = &mut self.kinds[kind as usize];
        match verdict {
            Verdict::Good => {}
            Verdict::Miss => kind.misses += 1,
            Verdict::Error => kind.errors += 1,
            Verdict::Wrong => kind.wrong += 1,
        }
        if verdict != Verdict::Miss && self.first_error.is_none() {
            self.first_error = Some(match reply {
                Reply::Error(text) => format!("{}: {}", kind.name, String::from_utf8_lossy(text)),
                other => format!("{}: unexpected reply {other:?}", kind.name),
            });
        }
    }

    /// Adds another thread's numbers of the same mix.
    pub fn merge(&mut self, other: Stats) {
        if self.kinds.is_empty() {
            *self = other;
            return;
        }
        for (kind, theirs) in self.kinds.iter_mut().zip(other.kinds) {
            kind.latency.add(&theirs.latency).expect("all histograms have the same bounds");
            kind.misses += theirs.misses;
            kind.errors += theirs.errors;
            kind.wrong += theirs.wrong;
        }
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.backlog += other.backlog;
        self.first_error = self.first_error.take().or(other.first_error);
        self.from_ns = self.from_ns.min(other.from_ns);
        self.until_ns = self.until_ns.max(other.until_ns);
    }

    pub fn ops(&self) -> u64 {
        self.kinds.iter().map(|k| k.latency.len()).sum()
    }

    pub fn seconds(&self) -> f64 {
        self.until_ns.saturating_sub(self.from_ns) as f64 / 1e9
    }

    fn count(&self, f: fn(&Kind) -> u64) -> u64 {
        self.kinds.iter().map(f).sum()
    }

    fn all(&self) -> Histogram<u64> {
        let mut all = histogram();
        for kind in &self.kinds {
            all.add(&kind.latency).expect("all histograms have the same bounds");
        }
        all
    }
}

/// A process's cost over the measured window.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub total_s: f64,
    pub user_s: f64,
    pub system_s: f64,
}

/// Resident memory of the server in KiB at three moments.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// Before the first connection of this program.
    pub start_kib: u64,
    /// With the idle connections open, before the load.
    pub idle_kib: u64,
    pub end_kib: u64,
}

/// Everything a run says.
pub struct Report {
    pub stats: Stats,
    /// Arrivals per second asked for; None in the closed loop.
    pub offered: Option<f64>,
    pub client: Cost,
    pub server: Option<(Cost, Memory)>,
    /// Idle connections asked for, and still open at the end.
    pub idle: Option<(usize, usize)>,
}

impl Report {
    fn per_op(&self, cost: &Cost) -> [f64; 4] {
        let ops = self.stats.ops().max(1) as f64;
        let seconds = self.stats.seconds().max(1e-9);
        [cost.total_s * 1e6 / ops, cost.user_s * 1e6 / ops, cost.system_s * 1e6 / ops, cost.total_s / seconds]
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let mut s = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_text(&mut s);
        s
    }

    fn write_text(&self, s: &mut String) -> std::fmt::Result {
        let stats = &self.stats;
        let (ops, seconds) = (stats.ops(), stats.seconds().max(1e-9));
        let mbytes = (stats.bytes_in + stats.bytes_out) as f64 / 1e6;
        write!(
            s,
            "{ops} ops in {seconds:.3} s: {:.0} ops/s, {:.1} MB/s",
            ops as f64 / seconds,
            mbytes / seconds
        )?;
        match self.offered {
            Some(rate) => writeln!(s, " (offered {rate:.0}/s, {} due and not sent)", stats.backlog)?,
            None => writeln!(s)?,
        }
        write!(s, "\n{:<12}{:>12}{:>12}", "latency us", "ops", "ops/s")?;
        for (name, _) in PERCENTILES {
            write!(s, "{name:>10}")?;
        }
        writeln!(s, "{:>10}{:>10}{:>8}{:>8}", "max", "misses", "errors", "wrong")?;
        for kind in &stats.kinds {
            write_row(s, &kind.name, &kind.latency, seconds, (kind.misses, kind.errors, kind.wrong))?;
        }
        let all = stats.all();
        let counts = (stats.count(|k| k.misses), stats.count(|k| k.errors), stats.count(|k| k.wrong));
        if stats.kinds.len() > 1 {
            write_row(s, "all", &all, seconds, counts)?;
        }
        if let Some(error) = &stats.first_error {
            writeln!(s, "first error: {error}")?;
        }
        writeln!(s)?;
        write_plot(s, &all)?;
        writeln!(s)?;
        let client = self.per_op(&self.client);
        writeln!(s, "client CPU: {:.3} us/op, {:.0}% of a core", client[0], client[3] * 100.0)?;
        if let Some((cost, memory)) = &self.server {
            let [total, user, system, busy] = self.per_op(cost);
            write!(s, "server CPU: {total:.3} us/op ({user:.3} user, {system:.3} system), ")?;
            writeln!(s, "{:.0}% of a core", busy * 100.0)?;
            let Memory { start_kib, idle_kib, end_kib } = memory;
            writeln!(
                s,
                "server RSS: {start_kib} KiB at start, {idle_kib} before the load, {end_kib} at the end"
            )?;
        }
        if let Some((asked, open)) = self.idle {
            writeln!(s, "idle connections: {asked}, {open} still open at the end")?;
        }
        Ok(())
    }

    /// The report for programs: one JSON object; times in us, memory in KiB.
    pub fn json(&self) -> String {
        let stats = &self.stats;
        let seconds = stats.seconds().max(1e-9);
        let number = |value: Option<f64>| value.map_or("null".into(), |v| format!("{v:.4}"));
        let commands: Vec<String> = stats.kinds.iter().map(|k| kind_json(k, seconds)).collect();
        let fields = [
            ("ops", stats.ops().to_string()),
            ("seconds", format!("{seconds:.6}")),
            ("ops_per_s", format!("{:.2}", stats.ops() as f64 / seconds)),
            ("offered_per_s", number(self.offered)),
            ("backlog", stats.backlog.to_string()),
            ("mb_per_s", format!("{:.3}", (stats.bytes_in + stats.bytes_out) as f64 / 1e6 / seconds)),
            ("misses", stats.count(|k| k.misses).to_string()),
            ("errors", stats.count(|k| k.errors).to_string()),
            ("wrong", stats.count(|k| k.wrong).to_string()),
            ("first_error", stats.first_error.as_deref().map_or("null".into(), quote)),
            ("latency_us", latency_json(&stats.all())),
            ("commands", format!("[{}]", commands.join(","))),
            ("client", self.cost_json(&self.client, None)),
            ("server", self.server.map_or("null".into(), |(c, m)| self.cost_json(&c, Some(&m)))),
            (
                "idle",
                self.idle.map_or("null".into(), |(n, open)| format!("{{\"asked\":{n},\"open\":{open}}}")),
            ),
        ];
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}\n", fields.join(","))
    }

    fn cost_json(&self, cost: &Cost, memory: Option<&Memory>) -> String {
        let [total, user, system, busy] = self.per_op(cost);
        let mut s = format!("{{\"cpu_us_per_op\":{total:.5},\"user_us_per_op\":{user:.5},");
        let _ = write!(s, "\"system_us_per_op\":{system:.5},\"cores\":{busy:.4}");
        if let Some(Memory { start_kib, idle_kib, end_kib }) = memory {
            let _ = write!(
                s,
                ",\"rss_start_kib\":{start_kib},\"rss_idle_kib\":{idle_kib},\"rss_end_kib\":{end_kib}"
            );
        }
        s + "}"
    }
}

fn write_row(
    s: &mut String,
    name: &str,
    latency: &Histogram<u64>,
    seconds: f64,
    (misses, errors, wrong): (u64, u64, u64),
) -> std::fmt::Result {
    write!(s, "{name:<12}{:>12}{:>12.0}", latency.len(), latency.len() as f64 / seconds)?;
    for (_, p) in PERCENTILES {
        write!(s, "{:>10.1}", latency.value_at_percentile(p) as f64 / 1e3)?;
    }
    writeln!(s, "{:>10.1}{misses:>10}{errors:>8}{wrong:>8}", latency.max() as f64 / 1e3)
}

/// Rows of equal width on a logarithmic scale: upper edge, bar and share, share up to here.
fn write_plot(s: &mut String, latency: &Histogram<u64>) -> std::fmt::Result {
    let (min, max) = (latency.min().max(1) as f64, latency.max().max(1) as f64);
    if latency.is_empty() {
        return Ok(());
    }
    let step = (max / min).powf(1.0 / PLOT_ROWS as f64).max(1.1);
    let total = latency.len() as f64;
    let (mut low, mut below) = (0u64, 0u64);
    let mut rows = Vec::new();
    for row in 1..=PLOT_ROWS {
        let high = ((min * step.powi(row as i32)).ceil() as u64).min(latency.max());
        let upto = if high == latency.max() { latency.len() } else { latency.count_between(0, high) };
        rows.push((high, upto - below, upto));
        (low, below) = (high, upto);
        if low == latency.max() {
            break;
        }
    }
    debug_assert_eq!((low, below), (latency.max(), latency.len()));
    let most = rows.iter().map(|r| r.1).max().unwrap_or(1).max(1) as f64;
    for (high, count, upto) in rows {
        let bar = "#".repeat((count as f64 / most * PLOT_WIDTH as f64).ceil() as usize);
        let (share, upto) = (count as f64 / total * 100.0, upto as f64 / total * 100.0);
        writeln!(s, "<= {:>10.1} us {bar:<PLOT_WIDTH$} {share:>7.3}% {upto:>8.3}%", high as f64 / 1e3)?;
    }
    Ok(())
}

fn kind_json(kind: &Kind, seconds: f64) -> String {
    let ops = kind.latency.len();
    format!(
        "{{\"name\":{},\"ops\":{ops},\"ops_per_s\":{:.2},\"misses\":{},\"errors\":{},\"wrong\":{},\"latency_us\":{}}}",
        quote(&kind.name),
        ops as f64 / seconds,
        kind.misses,
        kind.errors,
        kind.wrong,
        latency_json(&kind.latency)
    )
}

fn latency_json(latency: &Histogram<u64>) -> String {
    let us = |ns: u64| format!("{:.3}", ns as f64 / 1e3);
    let mut fields = vec![format!("\"mean\":{:.3}", latency.mean() / 1e3)];
    fields.extend(PERCENTILES.map(|(name, p)| format!("\"{name}\":{}", us(latency.value_at_percentile(p)))));
    fields.push(format!("\"max\":{}", us(latency.max())));
    format!("{{{}}}", fields.join(","))
}

fn quote(text: &str) -> String {
    let mut s = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => s.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(s, "\\u{:04x}", c as u32);
            }
            c => s.push(c),
        }
    }
    s + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut stats = Stats::new(vec!["SET".into(), "GET".into()]);
        stats.record(0, 5, 100);
        stats.begin(1_000_000_000);
        for us in 1..=1000 {
            stats.record(1, us * 1000, 1);
        }
        stats.record(0, 7_000_000, 1);
        stats.judge(1, Verdict::Miss, Reply::Nil);
        stats.judge(0, Verdict::Error, Reply::Error(b"ERR \"x\"\n"));
        stats.end(3_000_000_000, 4);
        let server = Cost { total_s: 1.0, user_s: 0.25, system_s: 0.75 };
        let client = Cost::default();
        Report {
            stats,
            offered: Some(500.0),
            client,
            server: Some((server, Memory::default())),
            idle: Some((3, 2)),
        }
    }

    #[test]
    fn counts_only_what_was_measured() {
        let report = report();
        assert_eq!((report.stats.ops(), report.stats.seconds()), (1001, 2.0));
        let text = report.text();
        assert!(text.contains("1001 ops in 2.000 s: 500 ops/s"), "{text}");
        assert!(text.contains("first error: SET: ERR \"x\"") && text.contains("100.000%"), "{text}");
    }

    #[test]
    fn json_is_sound() {
        let json = report().json();
        assert!(json.contains("\"first_error\":\"SET: ERR \\\"x\\\"\\u000a\""), "{json}");
        assert!(json.contains("\"misses\":1,\"errors\":1,\"wrong\":0"), "{json}");
        assert!(json.contains("\"idle\":{\"asked\":3,\"open\":2}"), "{json}");
        assert_eq!(json.matches('{').count(), json.matches('}').count());
    }

    #[test]
    fn merging_adds() {
        let mut all = Stats::default();
        all.merge(report().stats);
        all.merge(report().stats);
        assert_eq!((all.ops(), all.seconds(), all.backlog), (2002, 2.0, 8));
        assert_eq!(all.kinds[0].errors, 2);
    }
}
