//! The nodes of a long list, in chunks; what happens at its ends; reading.
//!
//! Nodes have a rank: 0 is the first one. Ends are never compressed; with a depth of d, nodes of rank d and above on both
//! sides are ([`Quicklist::settle`] keeps it so).

use super::End;
use super::cut::{Cut, Numbers};
use super::limits::Limits;
use super::node::{Content, Node};
use crate::ds::listpack::{Element, Listpack};
use crate::ds::malloc::{malloc_size, room_bytes};
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Nodes of a chunk at most.
const CHUNK: usize = 512;
/// A chunk of fewer nodes is joined with a neighbour, if both then fill half of one at most.
const SPARSE: usize = CHUNK / 8;

/// Some nodes in a row.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) nodes: VecDeque<Node>,
    /// Elements that they hold.
    len: usize,
    /// For a cut.
    pub(super) numbers: Numbers,
}

impl Chunk {
    /// Bytes that the nodes themselves take.
    fn heap_bytes(&self) -> usize {
        room_bytes::<Node>(self.nodes.capacity())
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Quicklist {
    pub(super) chunks: VecDeque<Chunk>,
    /// Elements.
    len: usize,
    nodes: usize,
    /// Bytes of all blocks, and of the chunks.
    bytes: usize,
    /// As configured when the list became one of nodes.
    limits: Limits,
    /// It would be a listpack, did not a cut need its nodes.
    is_pack: bool,
    /// A cut under way.
    pub(super) cut: Option<Box<Cut>>,
}

impl Clone for Quicklist {
    fn clone(&self) -> Quicklist {
        let twin =
            |chunk: &Chunk| Chunk { nodes: chunk.nodes.clone(), len: chunk.len, numbers: Numbers::None };
        let chunks: VecDeque<Chunk> = self.chunks.iter().map(twin).collect();
        // Copies have no room to spare.
        let spared = |list: &VecDeque<Chunk>| list.iter().map(Chunk::heap_bytes).sum::<usize>();
        let bytes = self.bytes - spared(&self.chunks) + spared(&chunks);
        Quicklist { chunks, bytes, cut: None, ..*self }
    }
}

impl Quicklist {
    pub fn new(limits: Limits) -> Quicklist {
        Quicklist { chunks: VecDeque::new(), len: 0, nodes: 0, bytes: 0, limits, is_pack: false, cut: None }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Whether it would be a listpack, did not a cut need its nodes.
    #[inline]
    pub fn is_pack(&self) -> bool {
        self.is_pack
    }

    /// From now on it would be one; or is more than one may hold, and one of nodes with these limits.
    pub fn set_pack(&mut self, outgrown: Option<Limits>) {
        self.is_pack = outgrown.is_none();
        self.limits = outgrown.unwrap_or(self.limits);
    }

    /// The listpack that it would be.
    pub fn to_listpack(&self) -> Listpack {
        let mut pack = Listpack::new();
        let _ = self.walk(0, End::Front, &mut |element| {
            pack.push_back(element);
            ControlFlow::Continue(())
        });
        pack
    }

    /// Bytes that its elements take, uncompressed.
    pub fn content_bytes(&self) -> usize {
        self.iter_from(0).map(Node::bytes).sum()
    }

    pub fn set_packed_from(&mut self, packed_from: u32) {
        self.limits.packed_from = packed_from;
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Bytes that it takes, as allocated. O(1).
    pub fn heap_bytes(&self) -> usize {
        let chunks = room_bytes::<Chunk>(self.chunks.capacity());
        malloc_size(size_of::<Quicklist>()) + chunks + self.bytes
    }

    /// Those from this rank on; O(chunks) for the first.
    pub fn iter_from(&self, rank: usize) -> impl Iterator<Item = &Node> {
        let (chunk, place) = if rank < self.nodes { self.place(rank) } else { (self.chunks.len(), 0) };
        self.chunks.iter().skip(chunk).flat_map(|chunk| &chunk.nodes).skip(place)
    }

    /// The only node's listpack, when there is one node and it is no large element.
    pub fn into_listpack(mut self) -> Result<Listpack, Quicklist> {
        if self.nodes != 1 || self.node(0).is_plain() {
            return Err(self);
        }
        let mut node = self.remove_node(0);
        node.expand();
        let Node::Pack { pack, .. } = node else { unreachable!("it is no large element") };
        Ok(pack)
    }

    /// The chunk and the place in it of the node of this rank.
    fn place(&self, rank: usize) -> (usize, usize) {
        if rank <= self.nodes / 2 {
            let mut left = rank;
            for (at, chunk) in self.chunks.iter().enumerate() {
                if left < chunk.nodes.len() {
                    return (at, left);
                }
                left -= chunk.nodes.len();
            }
        } else {
            let mut left = self.nodes - rank;
            for (at, chunk) in self.chunks.iter().enumerate().rev() {
                if left <= chunk.nodes.len() {
                    return (at, chunk.nodes.len() - left);
                }
                left -= chunk.nodes.len();
            }
        }
        panic!("ranks are below the number of nodes")
    }

    pub(super) fn node(&self, rank: usize) -> &Node {
        let (chunk, at) = self.place(rank);
        &self.chunks[chunk].nodes[at]
    }

    /// The rank of the node that holds an element, and the element's place in it.
    pub(super) fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        let (mut rank, mut left) = (0, index);
        if index <= self.len / 2 {
            let chunk = self.chunks.iter().find(|chunk| {
                let here = left < chunk.len;
                if !here {
                    (rank, left) = (rank + chunk.nodes.len(), left - chunk.len);
                }
                here
            })?;
            return locate_in(chunk, left).map(|(node, offset)| (rank + node, offset));
        }
        (rank, left) = (self.nodes, self.len - index);
        let chunk = self.chunks.iter().rev().find(|chunk| {
            rank -= chunk.nodes.len();
            let here = left <= chunk.len;
            if !here {
                left -= chunk.len;
            }
            here
        })?;
        locate_in(chunk, chunk.len - left).map(|(node, offset)| (rank + node, offset))
    }

    /// Changes a node at a known place, and keeps the counts.
    #[inline]
    fn change_at<R>(&mut self, place: (usize, usize), change: impl FnOnce(&mut Node) -> R) -> R {
        if self.cut.is_some() {
            self.keep_node(place);
        }
        self.reform_at(place, change)
    }

    /// The same for what leaves the node's elements as they are.
    #[inline]
    fn reform_at<R>(&mut self, (chunk, at): (usize, usize), change: impl FnOnce(&mut Node) -> R) -> R {
        let chunk = &mut self.chunks[chunk];
        let node = &mut chunk.nodes[at];
        let (count, bytes) = (node.count(), node.heap_bytes());
        let result = change(node);
        let added = node.count();
        chunk.len = chunk.len - count + added;
        self.len = self.len - count + added;
        self.bytes = self.bytes - bytes + node.heap_bytes();
        result
    }

    /// Changes a node, which is not compressed meanwhile.
    pub(super) fn change<R>(&mut self, rank: usize, change: impl FnOnce(&mut Node) -> R) -> R {
        let inner = self.is_inner(rank);
        self.change_at(self.place(rank), |node| {
            node.expand();
            let result = change(node);
            if inner {
                node.squeeze();
            }
            result
        })
    }

    /// Whether a node of this rank is compressed.
    fn is_inner(&self, rank: usize) -> bool {
        let depth = self.limits.depth as usize;
        depth > 0 && rank >= depth && self.nodes - 1 - rank >= depth
    }

    /// Compresses and expands nodes after up to `changed` of them have come or gone.
    pub(super) fn settle(&mut self, changed: usize) {
        let depth = self.limits.depth as usize;
        if depth == 0 || self.nodes == 0 {
            return;
        }
        let outermost = depth.saturating_sub(changed).min(self.nodes);
        // Two come at a time, at most, and push others inwards.
        for distance in outermost..=depth.saturating_add(1).min(self.nodes - 1) {
            for rank in [distance, self.nodes - 1 - distance] {
                let inner = self.is_inner(rank);
                self.reform_at(self.place(rank), |node| if inner { node.squeeze() } else { node.expand() });
            }
        }
    }

    /// Puts a node before the one of this rank, or behind all, and compresses it if it is to be. Others are
    /// [settled](Quicklist::settle) by the caller.
    pub(super) fn insert_node(&mut self, rank: usize, node: Node) {
        let (chunk, at) = self.room_at(rank);
        let (count, block) = (node.count(), node.heap_bytes());
        let chunk = &mut self.chunks[chunk];
        let before = chunk.heap_bytes();
        chunk.numbers.insert(at, chunk.nodes.len());
        chunk.nodes.insert(at, node);
        chunk.len += count;
        self.bytes = self.bytes - before + chunk.heap_bytes() + block;
        self.len += count;
        self.nodes += 1;
        if self.is_inner(rank) {
            self.reform_at(self.place(rank), Node::squeeze);
        }
    }

    /// A place for a node of this rank, in a chunk that is not full.
    fn room_at(&mut self, rank: usize) -> (usize, usize) {
        let full = |chunk: Option<&Chunk>| chunk.is_none_or(|chunk| chunk.nodes.len() == CHUNK);
        if rank == self.nodes {
            if full(self.chunks.back()) {
                self.chunks.push_back(Chunk::default());
            }
            let last = self.chunks.len() - 1;
            return (last, self.chunks[last].nodes.len());
        }
        if rank == 0 {
            if full(self.chunks.front()) {
                self.chunks.push_front(Chunk::default());
            }
            return (0, 0);
        }
        let (chunk, at) = self.place(rank);
        if self.chunks[chunk].nodes.len() < CHUNK {
            return (chunk, at);
        }
        self.bytes -= self.chunks[chunk].heap_bytes();
        let nodes = self.chunks[chunk].nodes.split_off(CHUNK / 2);
        let len = nodes.iter().map(Node::count).sum();
        self.chunks[chunk].len -= len;
        let numbers = self.chunks[chunk].numbers.split_off(CHUNK / 2);
        self.chunks.insert(chunk + 1, Chunk { nodes, len, numbers });
        self.bytes += self.chunks[chunk].heap_bytes() + self.chunks[chunk + 1].heap_bytes();
        if at < CHUNK / 2 { (chunk, at) } else { (chunk + 1, at - CHUNK / 2) }
    }

    /// Takes a node out, to use it.
    pub(super) fn remove_node(&mut self, rank: usize) -> Node {
        let (node, number) = self.unlink_node(rank);
        if let Some(number) = number {
            self.keep_gone(number, node.clone());
        }
        node
    }

    /// Removes a node.
    pub(super) fn drop_node(&mut self, rank: usize) {
        if let (node, Some(number)) = self.unlink_node(rank) {
            self.keep_gone(number, node);
        }
    }

    /// Takes a node out, and tells the number that it has for a cut.
    fn unlink_node(&mut self, rank: usize) -> (Node, Option<u64>) {
        let (at, place) = self.place(rank);
        let chunk = &mut self.chunks[at];
        let number = chunk.numbers.remove(place, chunk.nodes.len());
        let node = chunk.nodes.remove(place).expect("places are of nodes");
        let count = node.count();
        chunk.len -= count;
        self.len -= count;
        self.nodes -= 1;
        self.bytes -= node.heap_bytes();
        let left = chunk.nodes.len();
        if left == 0 {
            self.bytes -= chunk.heap_bytes();
            self.chunks.remove(at);
        } else if left < SPARSE {
            self.join_chunks(at);
            self.join_chunks(at.wrapping_sub(1));
        }
        (node, number)
    }

    /// Joins a chunk with the next one, when they are half of one at most.
    fn join_chunks(&mut self, at: usize) {
        let next = at.wrapping_add(1);
        let (Some(one), Some(other)) = (self.chunks.get(at), self.chunks.get(next)) else { return };
        if one.nodes.len() + other.nodes.len() > CHUNK / 2 {
            return;
        }
        self.bytes -= one.heap_bytes() + other.heap_bytes();
        let Some(mut other) = self.chunks.remove(next) else { return };
        let chunk = &mut self.chunks[at];
        chunk.numbers.append(other.numbers, (chunk.nodes.len(), other.nodes.len()));
        chunk.nodes.append(&mut other.nodes);
        chunk.len += other.len;
        self.bytes += chunk.heap_bytes();
    }

    fn end_place(&self, end: End) -> Option<(usize, usize)> {
        match end {
            End::Front => (self.nodes > 0).then_some((0, 0)),
            End::Back => {
                let chunk = self.chunks.len().checked_sub(1)?;
                Some((chunk, self.chunks[chunk].nodes.len() - 1))
            }
        }
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: End, element: Element<'_>) {
        let limits = self.limits;
        if let Some(place @ (chunk, at)) = self.end_place(end)
            && self.chunks[chunk].nodes[at].takes(element.text_len(), limits)
        {
            return self.change_at(place, |node| {
                let Some((pack, count)) = node.pack_mut() else { return };
                match end {
                    End::Front => pack.push_front(element),
                    End::Back => pack.push_back(element),
                }
                *count += 1;
            });
        }
        let rank = if end == End::Front { 0 } else { self.nodes };
        self.insert_node(rank, Node::new(element, limits));
        self.settle(1);
    }

    /// Adds a node behind all, as it is.
    pub fn push_node(&mut self, node: Node) {
        self.insert_node(self.nodes, node);
        self.settle(1);
    }

    /// Takes an element from an end; `f` sees it before.
    pub fn pop<R>(&mut self, end: End, f: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let place = self.end_place(end)?;
        let node = &self.chunks[place.0].nodes[place.1];
        if node.count() > 1 {
            return self.change_at(place, |node| {
                let (pack, count) = node.pack_mut().expect("ends are not compressed");
                let at = match end {
                    End::Front => pack.first(),
                    End::Back => pack.last(),
                }?;
                let result = f(pack.get(at));
                pack.remove(at, 1);
                *count -= 1;
                Some(result)
            });
        }
        let result = match node {
            Node::Pack { pack, .. } => f(pack.get(pack.first()?)),
            Node::Plain(text) => f(Element::Str(text)),
            Node::Squeezed { .. } => unreachable!("ends are not compressed"),
        };
        self.drop_node(if end == End::Front { 0 } else { self.nodes - 1 });
        self.settle(1);
        Some(result)
    }

    /// Lets `f` see the elements from `from` on, towards the back or (`End::Back`) from there towards the front.
    pub fn walk<'a>(
        &'a self,
        from: usize,
        start: End,
        f: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some((rank, offset)) = self.locate(from) else { return ControlFlow::Continue(()) };
        let (chunk, at) = self.place(rank);
        let mut offset = Some(offset);
        let mut see = |node: &'a Node| walk_node(node, offset.take(), start, f);
        match start {
            End::Front => {
                self.chunks[chunk].nodes.range(at..).try_for_each(&mut see)?;
                self.chunks.range(chunk + 1..).flat_map(|c| &c.nodes).try_for_each(see)
            }
            End::Back => {
                self.chunks[chunk].nodes.range(..=at).rev().try_for_each(&mut see)?;
                self.chunks.range(..chunk).rev().flat_map(|c| c.nodes.iter().rev()).try_for_each(see)
            }
        }
    }

    /// Whether all counts and sums are right.
    #[cfg(test)]
    pub fn check(&self) {
        let (mut len, mut nodes, mut bytes) = (0, 0, 0);
        for chunk in &self.chunks {
            assert!(!chunk.nodes.is_empty() && chunk.nodes.len() <= CHUNK);
            assert_eq!(chunk.len, chunk.nodes.iter().map(Node::count).sum());
            len += chunk.len;
            bytes += chunk.heap_bytes();
            for node in &chunk.nodes {
                let squeezed = matches!(node, Node::Squeezed { .. });
                assert!(!squeezed || self.is_inner(nodes), "rank {nodes} of {}", self.nodes);
                if self.is_inner(nodes) && !squeezed {
                    let mut twin = node.clone();
                    twin.squeeze();
                    assert!(!matches!(twin, Node::Squeezed { .. }), "rank {nodes} of {}", self.nodes);
                }
                let count = match node.read() {
                    Content::Pack(pack) => pack.len(),
                    Content::Plain(_) => 1,
                };
                assert!(count > 0 && count == node.count());
                bytes += node.heap_bytes();
                nodes += 1;
            }
        }
        assert_eq!((len, nodes, bytes), (self.len, self.nodes, self.bytes));
    }
}

/// The node of a chunk that holds its element `index`, and the element's place in it.
fn locate_in(chunk: &Chunk, index: usize) -> Option<(usize, usize)> {
    let mut left = index;
    if index <= chunk.len / 2 {
        for (at, node) in chunk.nodes.iter().enumerate() {
            if left < node.count() {
                return Some((at, left));
            }
            left -= node.count();
        }
    } else {
        left = chunk.len - index;
        for (at, node) in chunk.nodes.iter().enumerate().rev() {
            if left <= node.count() {
                return Some((at, node.count() - left));
            }
            left -= node.count();
        }
    }
    None
}

fn walk_node(
    node: &Node,
    offset: Option<usize>,
    start: End,
    f: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match node.read() {
        Content::Pack(pack) => walk_pack(&pack, offset, start, f),
        Content::Plain(text) => f(Element::Str(&text)),
    }
}

/// Lets `f` see the elements of a listpack from `offset` on, or all.
pub(super) fn walk_pack(
    pack: &Listpack,
    offset: Option<usize>,
    start: End,
    f: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let first = match (offset, start) {
        (Some(offset), _) => pack.seek(offset as i64),
        (None, End::Front) => pack.first(),
        (None, End::Back) => pack.last(),
    };
    let mut at = first;
    while let Some(here) = at {
        f(pack.get(here))?;
        at = match start {
            End::Front => pack.next(here),
            End::Back => pack.before(here),
        };
    }
    ControlFlow::Continue(())
}
