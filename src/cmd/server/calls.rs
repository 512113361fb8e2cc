//! Calls per command, by the name that users see.

use crate::cmd::Registry;
use crate::cmd::row::flag;
use crate::metrics::CommandStats;
use std::collections::BTreeMap;

/// What was called or refused at least once, by name. Subcommands that COMMAND hides count for their container.
pub fn calls(registry: &Registry, stats: &[CommandStats]) -> BTreeMap<&'static str, CommandStats> {
    let mut calls = BTreeMap::<&'static str, CommandStats>::new();
    for (id, stats) in stats.iter().enumerate().take(registry.len()) {
        if stats.calls + stats.rejected + stats.failed == 0 {
            continue;
        }
        calls.entry(shown_name(registry, id as u32)).or_default().add(stats);
    }
    calls
}

fn shown_name(registry: &Registry, id: u32) -> &'static str {
    let name = registry.row(id).full_name;
    match name.split_once('|') {
        Some((parent, _)) if hides_subcommands(registry, parent) => parent,
        _ => name,
    }
}

fn hides_subcommands(registry: &Registry, name: &str) -> bool {
    registry.own(name.as_bytes()).is_some_and(|found| found.row.is(flag::HIDE_SUBCOMMANDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::FAMILIES;

    #[test]
    fn hidden_subcommands_count_for_their_container() {
        let registry = Registry::new(FAMILIES);
        let id = |name: &str| {
            (0..registry.len()).find(|id| registry.row(*id as u32).full_name == name).expect("a row")
        };
        let mut stats = vec![CommandStats::default(); registry.len()];
        for name in ["get", "debug", "debug|sleep", "slowlog|get"] {
            stats[id(name)].record(1_000, 1, true);
        }
        let calls = calls(&registry, &stats);
        assert_eq!(calls.keys().copied().collect::<Vec<_>>(), ["debug", "get", "slowlog|get"]);
        assert_eq!(calls["debug"].calls, 2);
    }
}
