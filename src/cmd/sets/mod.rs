//! Sets: one file a group of commands, each with its rows ([`super::FAMILIES`] lists them).
//!
//! ```text
//!  members   into a set, out of it, is it there, how many, all; from one set to another
//!  random    members at random, to look at or to take
//!  algebra   intersection, union, difference, as a reply or into a key      combine   how they are found
//!  scan      all members in small steps
//! ```

pub mod algebra;
mod combine;
pub mod members;
pub mod random;
pub mod scan;
#[cfg(test)]
mod tests;

use super::Cx;
use crate::ds::listpack::Element;
use crate::ds::set::{Limits, Member};
use crate::resp::Out;
use crate::store::Keys;

/// Where sets change their form, as the configuration says now.
fn limits(cx: &Cx<'_>) -> Limits {
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
fn reply(member: Member<'_>, out: &mut Out) {
    match member {
        Element::Int(n) => out.bulk_int(n),
        Element::Str(text) => out.bulk(text),
    }
}

/// Says that a key was changed `times` times, which Redis counts one by one.
#[inline]
fn changed(keys: &mut Keys<'_>, name: &[u8], times: usize) {
    if let Some(more) = times.checked_sub(1) {
        keys.changed(name);
        keys.store_of(name).dirty += more as u64;
    }
}
