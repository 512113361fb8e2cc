//! The directory: from a hash to its segment.
//!
//! ```text
//! root: 2^root_bits nodes        node: 2^bits segments (bits is 9 once there are two nodes)
//!   hash: | root_bits ... |        hash: | skip bits | bits: index in the node | ...
//! ```
//! Why two levels: a flat directory of a large table doubles in one go, a pause that grows with the table. Here a step copies
//! one node (4 KiB), or the root (a 16-byte entry for every few hundred thousand keys). Both levels work the same way: an
//! entry of depth d fills all 2^(bits - d) places that begin with its prefix. Nodes and root shrink again when nothing uses
//! their last bit.
//!
//! A lookup reads the root (always cached), then the node, then the segment's bucket itself: what a segment's head would say is
//! in the handle.
//!
//! SAFETY contract: nodes are owned by the directory; segments are not.

use super::segment::{NEVER, Seg};
use crate::ds::malloc::room_bytes;

/// Most bits of a node. Few under test, so that nodes split and merge often.
const NODE_BITS: u32 = if cfg!(test) { 3 } else { 9 };

/// A table of segments for all hashes with one prefix.
struct Node {
    /// No entry below expires before this, unix ms.
    min_expire: i64,
    /// How many bits the prefix has.
    skip: u32,
    segs: Vec<Seg>,
}

/// What a lookup needs of a node, in the root.
#[derive(Clone, Copy)]
struct NodeRef {
    /// The node's segments.
    segs: *const Seg,
    skip: u32,
    /// Index in `Directory::nodes`.
    id: u32,
}

/// See the module's text.
pub struct Directory {
    root: Vec<NodeRef>,
    root_bits: u32,
    bits: u32,
    nodes: Vec<Option<Node>>,
    /// Indices of `nodes` that are free.
    vacant: Vec<u32>,
    /// Of all that is above, as allocated: kept, because collections are weighed around every write.
    bytes: usize,
}

// SAFETY: the pointers in a directory point into its own nodes, and to segments of the table that owns it.
unsafe impl Send for Directory {}

/// The top `bits` bits of a hash.
#[inline]
fn top(hash: u64, bits: u32) -> usize {
    ((hash >> 1) >> (63 - bits)) as usize
}

impl Directory {
    /// A directory without a segment: lookups are not allowed until [`Directory::start`].
    pub const fn new() -> Self {
        Directory { root: Vec::new(), root_bits: 0, bits: 0, nodes: Vec::new(), vacant: Vec::new(), bytes: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Begins with one segment for all hashes.
    pub fn start(&mut self, seg: Seg) {
        debug_assert!(self.is_empty() && seg.depth() == 0);
        self.nodes.push(Some(Node { min_expire: NEVER, skip: 0, segs: vec![seg] }));
        self.root = vec![NodeRef { segs: std::ptr::null(), skip: 0, id: 0 }];
        self.refresh(0);
        self.weigh();
    }

    /// The segment of a hash.
    #[inline]
    pub fn lookup(&self, hash: u64) -> Seg {
        debug_assert!(!self.is_empty());
        // SAFETY: the root has 2^root_bits entries and a node 2^bits.
        unsafe {
            let node = *self.root.get_unchecked(top(hash, self.root_bits));
            *node.segs.add(top(hash << node.skip, self.bits))
        }
    }

    fn node(&self, hash: u64) -> &Node {
        let id = self.root[top(hash, self.root_bits)].id;
        self.nodes[id as usize].as_ref().expect("the root names live nodes")
    }

    fn node_mut(&mut self, hash: u64) -> (u32, &mut Node) {
        let id = self.root[top(hash, self.root_bits)].id;
        (id, self.nodes[id as usize].as_mut().expect("the root names live nodes"))
    }

    /// Makes the root point to a node wherever its prefix says.
    fn refresh_at(&mut self, id: u32, prefix: u64) {
        let node = self.nodes[id as usize].as_ref().expect("only live nodes are refreshed");
        let entry = NodeRef { segs: node.segs.as_ptr(), skip: node.skip, id };
        let first = top(prefix, self.root_bits);
        self.root[first..first + (1 << (self.root_bits - node.skip))].fill(entry);
    }

    fn refresh(&mut self, prefix: u64) {
        let (id, _) = self.node_mut(prefix);
        self.refresh_at(id, prefix);
    }

    /// Enters a segment wherever its prefix says. The directory must be deep enough.
    pub fn set(&mut self, seg: Seg) {
        let bits = self.bits;
        let prefix = seg.head().prefix;
        let (_, node) = self.node_mut(prefix);
        node.min_expire = node.min_expire.min(seg.head().min_expire);
        let first = top(prefix << node.skip, bits);
        let count = 1 << (node.skip + bits - seg.depth());
        node.segs[first..first + count].fill(seg);
    }

    /// Makes room for segments of `depth` at `hash`.
    pub fn deepen(&mut self, hash: u64, depth: u32) {
        while depth > self.node(hash).skip + self.bits {
            if self.bits < NODE_BITS {
                self.double_node();
            } else {
                self.split_node(hash);
            }
        }
    }

    /// How many bits a lookup uses at most.
    #[cfg(test)]
    pub fn depth(&self) -> u32 {
        self.root_bits + self.bits
    }

    /// The only node gets one more bit.
    fn double_node(&mut self) {
        let (_, node) = self.node_mut(0);
        node.segs = node.segs.iter().flat_map(|&seg| [seg, seg]).collect();
        self.bits += 1;
        self.refresh(0);
        self.weigh();
    }

    fn split_node(&mut self, hash: u64) {
        let (id, node) = self.node_mut(hash);
        let prefix = hash & !(u64::MAX >> node.skip);
        node.skip += 1;
        let skip = node.skip;
        let doubled: Vec<Seg> = node.segs.iter().flat_map(|&seg| [seg, seg]).collect();
        let (low, high) = doubled.split_at(doubled.len() / 2);
        node.segs = low.to_vec();
        let other = Node { min_expire: node.min_expire, skip, segs: high.to_vec() };
        if skip > self.root_bits {
            self.root = self.root.iter().flat_map(|&n| [n, n]).collect();
            self.root_bits += 1;
        }
        let other_id = self.vacant.pop().unwrap_or(self.nodes.len() as u32);
        if other_id as usize == self.nodes.len() {
            self.nodes.push(None);
        }
        self.nodes[other_id as usize] = Some(other);
        self.refresh_at(id, prefix);
        self.refresh_at(other_id, prefix | 1 << (64 - skip));
        self.weigh();
    }

    /// Whether a segment at `hash` may become one of depth `depth`, that is, its node's prefix is not longer.
    pub fn reaches(&self, hash: u64, depth: u32) -> bool {
        self.node(hash).skip <= depth
    }

    /// Gives up bits that no segment around `hash` uses any more; call after segments were merged.
    pub fn shrink(&mut self, hash: u64) {
        while self.shrink_once(hash) {
            self.weigh();
        }
    }

    fn shrink_once(&mut self, hash: u64) -> bool {
        let skip = self.node(hash).skip;
        if self.nodes.len() - self.vacant.len() == 1 {
            let bits = self.bits;
            let (_, node) = self.node_mut(0);
            if bits == 0 || node.segs.iter().any(|s| s.depth() == bits) {
                return false;
            }
            node.segs = node.segs.iter().step_by(2).copied().collect();
            self.bits -= 1;
            self.refresh(0);
            return true;
        }
        let buddy = hash ^ 1 << (64 - skip);
        let deepest = skip + self.bits;
        let mergeable = |n: &Node| n.skip == skip && n.segs.iter().all(|s| s.depth() < deepest);
        if !mergeable(self.node(hash)) || !mergeable(self.node(buddy)) {
            return false;
        }
        let (low, high) = (hash.min(buddy), hash.max(buddy));
        let high_id = self.node_mut(high).0;
        let Some(gone) = self.nodes[high_id as usize].take() else { return false };
        self.vacant.push(high_id);
        let (low_id, node) = self.node_mut(low);
        node.skip -= 1;
        node.min_expire = node.min_expire.min(gone.min_expire);
        node.segs = node.segs.iter().chain(&gone.segs).step_by(2).copied().collect();
        let prefix = low & !(u64::MAX >> (skip - 1));
        self.refresh_at(low_id, prefix);
        while self.root_bits > 0 && self.root.iter().all(|n| n.skip < self.root_bits) {
            self.root = self.root.iter().step_by(2).copied().collect();
            self.root_bits -= 1;
        }
        true
    }

    /// Notes that an entry at `hash` expires at `at`.
    #[inline]
    pub fn note_expire(&mut self, hash: u64, at: i64) {
        let (_, node) = self.node_mut(hash);
        node.min_expire = node.min_expire.min(at);
    }

    /// No entry in the table expires before this.
    pub fn min_expire(&self) -> i64 {
        self.nodes.iter().flatten().map(|n| n.min_expire).min().unwrap_or(NEVER)
    }

    /// The earliest expiry below the node of `hash` (a lower bound), and the first hash past it; `None` at the end.
    pub fn node_expiry(&self, hash: u64) -> (i64, Option<u64>) {
        let node = self.node(hash);
        let end = match node.skip {
            0 => None,
            skip => ((hash >> (64 - skip)) + 1).checked_shl(64 - skip).filter(|&end| end != 0),
        };
        (node.min_expire, end)
    }

    /// Finds the node's bound anew from its segments. Reads up to 512 heads.
    pub fn tighten(&mut self, hash: u64) {
        let (_, node) = self.node_mut(hash);
        node.min_expire = node.segs.iter().map(|s| s.head().min_expire).min().unwrap_or(NEVER);
    }

    /// Places for segments.
    pub fn places(&self) -> usize {
        (self.nodes.len() - self.vacant.len()) << self.bits
    }

    /// Bytes, as allocated. O(1).
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts the bytes anew, after a step that made or dropped a node.
    fn weigh(&mut self) {
        let nodes = self.nodes.iter().flatten().map(|n| room_bytes::<Seg>(n.segs.capacity())).sum::<usize>();
        self.bytes = nodes
            + room_bytes::<Option<Node>>(self.nodes.capacity())
            + room_bytes::<NodeRef>(self.root.capacity())
            + room_bytes::<u32>(self.vacant.capacity());
    }
}
