//! Members as replies, and as the value of a destination key.

use super::frame::{changed, limits};
use crate::cmd::Cx;
use crate::ds::Owned;
use crate::ds::listpack::Element;
use crate::ds::zset::{Gathered, Zset};
use crate::resp::Out;
use crate::store::Collection;

/// The beginning of a reply of this many members, with their scores or without. Scores stand beside their members in RESP2 and
/// make pairs in RESP3.
pub fn begin(out: &mut Out, members: usize, with_scores: bool) {
    out.array(if with_scores && !out.resp3() { members * 2 } else { members });
}

/// One member of such a reply.
#[inline]
pub fn member(out: &mut Out, member: Element<'_>, score: f64, with_scores: bool) {
    if with_scores && out.resp3() {
        out.array(2);
    }
    member.with(|member| out.bulk(member));
    if with_scores {
        out.double(score);
    }
}

/// Makes a sorted set of what was gathered the value of a key; an empty one removes the key. How many members it has.
pub fn store(cx: &mut Cx<'_>, key: &[u8], gathered: Gathered) -> usize {
    let zset = Zset::from_gathered(gathered, limits(cx));
    let len = zset.len();
    if len > 0 {
        cx.keys.put(key, Owned::Boxed(zset.wrap()), None, 0);
        changed(cx, key, 1);
    } else if cx.keys.delete(key) {
        changed(cx, key, 1);
    }
    len
}
