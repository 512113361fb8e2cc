//! What every command that changes sorted sets asks and says.

use crate::cmd::Cx;
use crate::ds::zset::Limits;

/// Up to where a sorted set is a listpack.
pub fn limits(cx: &Cx<'_>) -> Limits {
    let of = |knob: u64| usize::try_from(knob).unwrap_or(usize::MAX);
    Limits {
        entries: of(cx.env.config.zset_max_listpack_entries),
        value: of(cx.env.config.zset_max_listpack_value),
    }
}

/// Says that a command made this many changes to a key.
pub fn changed(cx: &mut Cx<'_>, key: &[u8], changes: usize) {
    if changes > 0 {
        cx.keys.changed(key);
        cx.keys.store_of(key).dirty += changes as u64 - 1;
    }
}
