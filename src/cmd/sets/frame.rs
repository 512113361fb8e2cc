//! What the commands of the family begin and end with.

use crate::cmd::Cx;
use crate::ds::listpack::Element;
use crate::ds::set::{Limits, Member};
use crate::resp::Out;
use crate::store::Keys;

/// Where sets change their form, as the configuration says now.
pub fn limits(cx: &Cx<'_>) -> Limits {
    let config = cx.env.config;
    Limits {
        ints: config.set_max_intset_entries as usize,
        entries: config.set_max_listpack_entries as usize,
        value: config.set_max_listpack_value as usize,
        seed: cx.keys.seed(),
    }
}

/// Replies with a member.
#[inline]
pub fn reply(member: Member<'_>, out: &mut Out) {
    match member {
        Element::Int(n) => out.bulk_int(n),
        Element::Str(text) => out.bulk(text),
    }
}

/// Says that a key was changed `times` times, which Redis counts one by one.
#[inline]
pub fn changed(keys: &mut Keys<'_>, name: &[u8], times: usize) {
    if let Some(more) = times.checked_sub(1) {
        keys.changed(name);
        keys.store_of(name).dirty += more as u64;
    }
}
