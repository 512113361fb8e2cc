//! What the commands of lists have in common: elements on their way in and out, ends, the limits in force.

use crate::cmd::Cx;
use crate::config::Config;
use crate::ds::list::{End, Limits};
use crate::ds::listpack::Element;
use crate::resp::{Args, Error, Out};
use crate::store::Keys;

/// The limits that the configuration sets now.
#[inline]
pub fn limits(config: &Config) -> Limits {
    Limits::new(config.list_max_listpack_size, config.list_compress_depth)
}

/// Says that a key was changed so many times as Redis counts them; 0: it was touched, and nothing in it changed.
#[inline]
pub fn note_changes(keys: &mut Keys<'_>, key: &[u8], changes: usize) {
    keys.changed(key);
    let dirty = &mut keys.store_of(key).dirty;
    *dirty = *dirty + changes as u64 - 1;
}

/// Writes an element as a bulk string.
#[inline]
pub fn reply(out: &mut Out, element: Element<'_>) {
    match element {
        Element::Int(n) => out.bulk_int(n),
        Element::Str(text) => out.bulk(text),
    }
}

/// LEFT or RIGHT.
pub(super) fn end(args: Args<'_>, at: usize) -> Result<End, Error> {
    match () {
        () if at >= args.len() => Err(Error::Syntax),
        () if args.is(at, "left") => Ok(End::Front),
        () if args.is(at, "right") => Ok(End::Back),
        () => Err(Error::Syntax),
    }
}

/// The elements from `start` to `stop`, both inclusive, negative ones counted from the end: the first and how many.
pub(super) fn range(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop { (0, 0) } else { (start as usize, (stop - start + 1) as usize) }
}

/// The element that an index means, negative ones counted from the end, if it is there.
pub(super) fn place(index: i64, len: usize) -> Option<usize> {
    let at = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(at).ok().filter(|at| *at < len)
}

impl Cx<'_> {
    /// The limits of lists.
    #[inline]
    pub(super) fn list_limits(&self) -> Limits {
        Limits { packed_from: self.env.packed_from, ..limits(self.env.config) }
    }
}

/// An element outside of its list, on its way to another.
pub enum Held {
    Int(i64),
    Text(Vec<u8>),
}

impl Held {
    /// A copy of an element.
    pub fn of(element: Element<'_>) -> Held {
        match element {
            Element::Int(n) => Held::Int(n),
            Element::Str(text) => Held::Text(text.to_vec()),
        }
    }

    /// The element.
    pub fn element(&self) -> Element<'_> {
        match self {
            Held::Int(n) => Element::Int(*n),
            Held::Text(text) => Element::of(text),
        }
    }

    /// What it counts for when a list makes room: as in Redis, a number counts nothing.
    pub fn weight(&self) -> usize {
        match self {
            Held::Int(_) => 0,
            Held::Text(text) => text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_at_both_ends() {
        for (start, stop, len, wanted) in [
            (0, -1, 3, (0, 3)),
            (-2, -1, 3, (1, 2)),
            (-100, 1, 3, (0, 2)),
            (1, 100, 3, (1, 2)),
            (3, 5, 3, (0, 0)),
            (2, 1, 3, (0, 0)),
            (i64::MIN, i64::MAX, 3, (0, 3)),
            (i64::MAX, i64::MIN, 3, (0, 0)),
            (0, 0, 0, (0, 0)),
            (0, -1, 0, (0, 0)),
        ] {
            assert_eq!(range(start, stop, len), wanted, "{start} {stop} {len}");
        }
        assert_eq!(place(-3, 3), Some(0));
        assert_eq!((place(-4, 3), place(3, 3), place(i64::MIN, 3)), (None, None, None));
    }
}
