//! LATENCY DOCTOR: what the events mean, in words.

use crate::cmd::server::text::Text;
use crate::config::Config;
use crate::metrics::{LatencyEvent, LatencyEvents};

/// The diagnosis at a time in seconds.
pub fn diagnose(text: &mut Text, events: &LatencyEvents, config: &Config, now_secs: i64) {
    if config.latency_monitor_threshold == 0 {
        text.write(format_args!(
            "Latency monitoring is off. Turn it on with CONFIG SET latency-monitor-threshold <milliseconds>.\n"
        ));
        return;
    }
    if events.iter().next().is_none() {
        text.write(format_args!("No latency spike has been seen.\n"));
        return;
    }
    for (i, (name, event)) in events.iter().enumerate() {
        let spikes = Spikes::of(event, now_secs);
        text.write(format_args!(
            "{}. {name}: {} latency spikes (average {}ms, mean deviation {}ms, period {:.2} sec). \
             Worst all time event {}ms.\n",
            i + 1,
            event.entries.len(),
            spikes.average_ms,
            spikes.deviation_ms,
            spikes.period_secs,
            event.max_ms
        ));
    }
    text.write(format_args!("\nAdvice:\n\n"));
    events.iter().for_each(|(name, _)| advise(text, name, config));
}

/// An event's entries in three numbers.
struct Spikes {
    average_ms: u64,
    deviation_ms: u64,
    period_secs: f64,
}

impl Spikes {
    fn of(event: &LatencyEvent, now_secs: i64) -> Spikes {
        let count = (event.entries.len() as u64).max(1);
        let mean_of = |ms: &dyn Fn(u64) -> u64| {
            event.entries.iter().map(|(_, entry)| ms(*entry as u64)).sum::<u64>() / count
        };
        let average_ms = mean_of(&|ms| ms);
        let since = event.entries.first().map_or(0, |(secs, _)| now_secs - secs).max(0);
        Spikes {
            average_ms,
            deviation_ms: mean_of(&|ms| ms.abs_diff(average_ms)),
            period_secs: since as f64 / count as f64,
        }
    }
}

fn advise(text: &mut Text, event: &str, config: &Config) {
    if event == "command" {
        let threshold_us = config.latency_monitor_threshold.saturating_mul(1_000);
        if config.slowlog_log_slower_than < 0 || config.slowlog_log_slower_than > threshold_us {
            text.write(format_args!(
                "- The slow log misses some of these commands. Let it see them: \
                 CONFIG SET slowlog-log-slower-than {threshold_us}\n"
            ));
        }
        text.write(format_args!(
            "- SLOWLOG GET shows which commands took long. One that walks a large value, or many keys, holds up \
             its shard: ask for less at a time (SCAN, ranges), or cut the value into several keys.\n"
        ));
    }
    if event.starts_with("expire") {
        text.write(format_args!(
            "- Many keys run out at the same time. Spread their times to live by a random part.\n"
        ));
    }
    text.write(format_args!(
        "- {event}: see that each shard has its core to itself (cpu-list, INFO shards), and that the machine \
         does not swap.\n"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_are_told_in_numbers() {
        let told = |events: &LatencyEvents, threshold, slower_than| {
            let config = Config {
                latency_monitor_threshold: threshold,
                slowlog_log_slower_than: slower_than,
                ..Config::default()
            };
            let mut text = Text::default();
            diagnose(&mut text, events, &config, 1_004);
            String::from_utf8_lossy(text.as_bytes()).into_owned()
        };
        let mut events = LatencyEvents::default();
        assert!(told(&events, 0, 0).starts_with("Latency monitoring is off."));
        assert_eq!(told(&events, 1, 0), "No latency spike has been seen.\n");
        for (i, ms) in [2, 4, 6, 8].into_iter().enumerate() {
            events.note("command", 1_000 + i as i64, ms);
        }
        let text = told(&events, 1, 10_000);
        let line = "1. command: 4 latency spikes (average 5ms, mean deviation 2ms, period 1.00 sec). \
                    Worst all time event 8ms.\n";
        assert!(text.starts_with(line), "{text}");
        assert!(text.contains("slowlog-log-slower-than 1000\n"));
        assert!(!told(&events, 1, 0).contains("slowlog-log-slower-than"));
    }
}
