//! LATENCY HISTOGRAM: calls within each power of two, cumulatively.
//!
//! As in Redis the bounds are powers of two of nanoseconds from 1,024 ns on, told in whole microseconds after the
//! histogram has rounded them up to what it tells apart: 1, 2, 4, 8, 16, 33, 66, 132, ... A bound that adds no call is
//! left out.

use crate::cmd::server::calls::calls;
use crate::cmd::{Cx, Done, Outcome, Report};
use crate::metrics::{CommandStats, HISTOGRAM_MAX_NS};
use crate::resp::Args;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

const FIRST_BOUND_NS: u64 = 1_024;

pub(super) fn histogram(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut calls = calls(cx.env.registry, &Report::total(cx.reports).commands);
    calls.retain(|_, stats| stats.histogram.as_ref().is_some_and(|h| !h.is_empty()));
    let chosen = match args.len() {
        2 => calls.keys().copied().collect(),
        _ => args.iter().skip(2).flat_map(|word| named(&calls, word)).collect::<Vec<_>>(),
    };
    cx.out.map(chosen.len());
    for name in chosen {
        cx.out.bulk(name.as_bytes());
        let stats = &calls[name];
        cx.out.map(2);
        cx.out.bulk(b"calls");
        cx.out.int(stats.calls as i64);
        cx.out.bulk(b"histogram_usec");
        let buckets = stats.histogram.as_ref().map(|h| buckets(h)).unwrap_or_default();
        cx.out.map(buckets.len());
        for (bound_us, count) in buckets {
            cx.out.int(bound_us as i64);
            cx.out.int(count as i64);
        }
    }
    Ok(Outcome::Done)
}

/// What a client's word stands for: a command with its subcommands, or one subcommand (`config|get`).
fn named(calls: &BTreeMap<&'static str, CommandStats>, word: &[u8]) -> Vec<&'static str> {
    let word = String::from_utf8_lossy(word).to_ascii_lowercase();
    let is_meant = |name: &&&str| **name == word || name.split('|').next() == Some(&word);
    calls.keys().filter(is_meant).copied().collect()
}

/// Bounds in microseconds, and how many calls took no longer.
fn buckets(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    let mut buckets = Vec::new();
    let (mut bound_ns, mut before) = (FIRST_BOUND_NS, 0);
    loop {
        let count = histogram.count_between(0, bound_ns);
        if count > before {
            buckets.push((histogram.highest_equivalent(bound_ns) / 1_000, count));
            before = count;
        }
        if bound_ns > HISTOGRAM_MAX_NS {
            return buckets;
        }
        bound_ns *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn bounds_are_those_of_redis() {
        let mut stats = CommandStats::default();
        let bounds = [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1_056, 2_113, 4_227, 8_454];
        for us in bounds {
            stats.record(us * 1_000 - 500, 1, true);
        }
        stats.record(u64::MAX / 4, 1, true);
        let found = buckets(stats.histogram.as_ref().expect("recorded"));
        let expected = bounds.iter().copied().chain([1_082_130]).zip(1..).collect::<Vec<_>>();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_container_stands_for_its_subcommands() {
        let mut world = World::new(2);
        for name in ["set", "slowlog|get", "slowlog|len"] {
            let id = (0..world.registry.len()).find(|id| world.registry.row(*id as u32).full_name == name);
            for report in &mut world.reports {
                report.commands.resize_with(world.registry.len(), Default::default);
                report.commands[id.expect("a row")].record(1_500, 1, true);
            }
        }
        let one = |name: &str| {
            format!(
                "${}\r\n{name}\r\n*4\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n*2\r\n:2\r\n:2\r\n",
                name.len()
            )
        };
        assert_eq!(world.run("LATENCY HISTOGRAM SET nosuch get"), format!("*2\r\n{}", one("set")));
        assert_eq!(world.run("LATENCY HISTOGRAM slowlog|len"), format!("*2\r\n{}", one("slowlog|len")));
        let both = format!("*4\r\n{}{}", one("slowlog|get"), one("slowlog|len"));
        assert_eq!(world.run("LATENCY HISTOGRAM slowlog"), both);
        assert!(world.run("LATENCY HISTOGRAM").starts_with("*6\r\n"));
        world.proto(Proto::Resp3);
        assert!(world.run("LATENCY HISTOGRAM set").ends_with("%1\r\n:2\r\n:2\r\n"));
    }
}
