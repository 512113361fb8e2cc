//! How many nodes a radix tree over these ids would have: XINFO STREAM tells it, and tools that watch Redis read it.
//!
//! Redis keeps nodes under their ids' sixteen bytes. Its tree has a leaf for every id, a node wherever ids part, and one
//! for every run of bytes between two of those. Where neighbours part follows from how many bytes they have in common, so
//! one pass over the ids in order, with the parting places of the current path on a stack, counts them all: O(n).

use super::StreamId;

/// Bytes of an id.
const DEPTH: usize = 16;

/// The count, for ids in rising order.
pub fn radix_nodes(ids: impl Iterator<Item = StreamId>) -> usize {
    let run = |from: usize, to: usize| usize::from(to > from + 1);
    // Depths at which the path to the last id parts, rising.
    let mut path: Vec<usize> = Vec::with_capacity(DEPTH);
    let mut nodes = 0;
    let mut last: Option<u128> = None;
    // Where the last id's leaf hangs.
    let mut parent = None;
    for id in ids {
        let id = u128::from_be_bytes(id.to_bytes());
        if let Some(last) = last {
            let shared = (last ^ id).leading_zeros() as usize / 8;
            nodes += 1 + run(parent.map_or(shared, |p: usize| p.max(shared)), DEPTH);
            while let Some(&depth) = path.last()
                && depth > shared
            {
                path.pop();
                let above = path.last().map_or(shared, |d| (*d).max(shared));
                nodes += 1 + run(above, depth);
            }
            if path.last() != Some(&shared) {
                path.push(shared);
            }
            parent = Some(shared);
        }
        last = Some(id);
    }
    if last.is_none() {
        return 1;
    }
    // The last leaf, its path, and the run from the root.
    nodes += 1 + parent.map_or(1, |p| run(p, DEPTH));
    while let Some(depth) = path.pop() {
        nodes += 1 + path.last().map_or(usize::from(depth > 0), |above| run(*above, depth));
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(ids: &[(u64, u64)]) -> usize {
        radix_nodes(ids.iter().map(|(ms, seq)| StreamId::new(*ms, *seq)))
    }

    /// The counts are those of redis-server 7.0.15, with `stream-node-max-entries` 1.
    #[test]
    fn counts_are_those_of_redis() {
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[(1, 1)]), 2);
        assert_eq!(count(&[(1, 1), (1, 2)]), 4);
        assert_eq!(count(&[(1, 1), (1, 2), (1, 3)]), 5);
        assert_eq!(count(&[(1, 1), (2, 1)]), 6);
        assert_eq!(count(&[(1, 1), (1, 2), (2, 1), (2, 2)]), 10);
        assert_eq!(count(&[(1, 1), (256, 1), (257, 1), (65536, 0), (65536, 255), (65536, 256)]), 17);
        assert_eq!(count(&[(0, 1), (1 << 63, 0)]), 5);
    }
}
