//! Which core each shard gets.

use super::BootError;
use crate::config::Config;

/// The core of each shard, in order. More shards than cores share them.
pub(super) fn assign(config: &Config) -> Result<Vec<Option<usize>>, BootError> {
    let usable = usable();
    let chosen = if config.cpu_list.0.is_empty() { usable.clone() } else { config.cpu_list.0.clone() };
    if let Some(missing) = chosen.iter().find(|c| !usable.contains(c)) {
        return Err(BootError::NoSuchCore { core: *missing, usable });
    }
    let shards = if config.shards == 0 { chosen.len().max(1) } else { config.shards };
    if chosen.is_empty() {
        return Ok(vec![None; shards]);
    }
    Ok((0..shards).map(|s| Some(chosen[s % chosen.len()])).collect())
}

/// The cores that the calling thread may use.
pub(super) fn usable() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|c| c.id).collect()
}

/// Pins the calling thread; false when the kernel refuses.
pub(super) fn pin(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CpuList;

    #[test]
    fn shards_share_cores_when_there_are_more() {
        let config = Config { shards: 5, cpu_list: CpuList(vec![0]), ..Config::default() };
        assert_eq!(assign(&config).expect("core 0 exists"), vec![Some(0); 5]);
        let config = Config { cpu_list: CpuList(vec![100_000]), ..Config::default() };
        assert!(matches!(assign(&config), Err(BootError::NoSuchCore { core: 100_000, .. })));
    }
}
