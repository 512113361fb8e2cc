//! Changes in the middle of a quicklist.

use super::End;
use super::node::{Content, Node};
use super::quicklist::Quicklist;
use crate::ds::listpack::{Element, Listpack};

/// Bytes that two listpacks need only once: header and end.
const FRAME: usize = 7;
/// A node whose element was replaced by a longer one may grow to so many times what nodes may hold.
const OVERSIZE: usize = 2;

/// A text that elements are compared with.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    text: &'a [u8],
    number: Option<i64>,
}

impl<'a> Wanted<'a> {
    pub fn new(text: &'a [u8]) -> Wanted<'a> {
        match Element::of(text) {
            Element::Int(n) => Wanted { text, number: Some(n) },
            Element::Str(_) => Wanted { text, number: None },
        }
    }

    /// Whether an element has this text. (A listpack from elsewhere may hold a number as a string.)
    #[inline]
    pub fn is(&self, element: Element<'_>) -> bool {
        match element {
            Element::Int(n) => self.number == Some(n),
            Element::Str(text) => text == self.text,
        }
    }
}

/// Removes from a listpack up to `most` elements with this text, seen from an end; how many.
pub(super) fn remove_from_pack(pack: &mut Listpack, wanted: Wanted<'_>, end: End, most: usize) -> usize {
    let found = matches(pack, wanted, end, most);
    if !found.is_empty() {
        pack.remove_each(&found);
    }
    found.len()
}

/// Where these elements are, in ascending order.
fn matches(pack: &Listpack, wanted: Wanted<'_>, end: End, most: usize) -> Vec<usize> {
    let hit = |at: &usize| wanted.is(pack.get(*at));
    match end {
        End::Front => pack.positions().filter(hit).take(most).collect(),
        End::Back => {
            let back = std::iter::successors(pack.last(), |at| pack.before(*at));
            let mut found: Vec<usize> = back.filter(hit).take(most).collect();
            found.reverse();
            found
        }
    }
}

impl Quicklist {
    /// Adds an element before the one at `index` or, if `after`, behind it.
    pub fn insert(&mut self, index: usize, after: bool, element: Element<'_>) {
        let Some((rank, offset)) = self.locate(index) else { return };
        let (limits, len) = (self.limits(), element.text_len());
        let boundary = offset + usize::from(after);
        let count = self.node(rank).count();
        if self.node(rank).takes(len, limits) {
            return self.add_to(rank, boundary, element);
        }
        let large = limits.is_large(len);
        // A large element's node has nothing but edges.
        let at_edge = boundary == if after { count } else { 0 };
        if at_edge {
            // The neighbour on this side may take it.
            let neighbour = if after { rank + 1 } else { rank.wrapping_sub(1) };
            if neighbour < self.nodes() && self.node(neighbour).takes(len, limits) {
                let boundary = if after { 0 } else { self.node(neighbour).count() };
                return self.add_to(neighbour, boundary, element);
            }
        }
        if at_edge {
            self.insert_node(rank + usize::from(after), Node::new(element, limits));
            return self.settle(1);
        }
        self.split(rank, boundary);
        match (large, after) {
            (true, _) => {
                self.insert_node(rank + 1, Node::new(element, limits));
                self.settle(2);
            }
            (false, true) => {
                self.add_to(rank + 1, 0, element);
                self.settle(1);
                self.merge_around(rank);
            }
            (false, false) => {
                self.add_to(rank, boundary, element);
                self.settle(1);
                self.merge_around(rank + 1);
            }
        }
    }

    /// Adds an element to a node that takes it, before its element `boundary` or behind all.
    fn add_to(&mut self, rank: usize, boundary: usize, element: Element<'_>) {
        self.change(rank, |node| {
            let Some((pack, count)) = node.pack_mut() else { return };
            let at = pack.seek(boundary as i64).unwrap_or(pack.end());
            pack.insert(at, element);
            *count += 1;
        });
    }

    /// Splits a node: elements from `boundary` on become a node of their own behind it.
    fn split(&mut self, rank: usize, boundary: usize) {
        let rest = self.change(rank, |node| {
            let (pack, count) = node.pack_mut()?;
            let at = pack.seek(boundary as i64)?;
            let rest = pack.split_off(at);
            let moved = *count - boundary as u32;
            *count = boundary as u32;
            Some(Node::Pack { pack: rest, count: moved })
        });
        if let Some(rest) = rest {
            self.insert_node(rank + 1, rest);
        }
    }

    /// Joins the two nodes before a node, the two behind it, and it with what is left beside it, where limits allow it.
    fn merge_around(&mut self, rank: usize) {
        let mut rank = rank;
        if rank >= 2 && self.merge(rank - 2) {
            rank -= 1;
        }
        self.merge(rank + 1);
        if rank >= 1 && self.merge(rank - 1) {
            rank -= 1;
        }
        self.merge(rank);
    }

    /// Joins the node of this rank with the next one, if there is one and limits allow it.
    fn merge(&mut self, rank: usize) -> bool {
        if rank + 1 >= self.nodes() {
            return false;
        }
        let (one, other) = (self.node(rank), self.node(rank + 1));
        let (bytes, count) =
            (one.bytes() + other.bytes() - FRAME.min(one.bytes()), one.count() + other.count());
        if one.is_plain() || other.is_plain() || self.limits().exceeded(bytes, count) {
            return false;
        }
        let mut other = self.remove_node(rank + 1);
        other.expand();
        let Node::Pack { pack: added, count: more } = other else { return false };
        self.change(rank, |node| {
            if let Some((pack, count)) = node.pack_mut() {
                pack.append(&added);
                *count += more;
            }
        });
        self.settle(1);
        true
    }

    /// Writes another element over the one at `index`.
    pub fn replace(&mut self, index: usize, element: Element<'_>) {
        let Some((rank, offset)) = self.locate(index) else { return };
        let limits = self.limits();
        let large = limits.is_large(element.text_len());
        let count = self.node(rank).count();
        match (self.node(rank).is_plain(), large) {
            (false, false) => {
                let bytes = self.change(rank, |node| {
                    if let Some((pack, _)) = node.pack_mut()
                        && let Some(at) = pack.seek(offset as i64)
                    {
                        pack.replace(at, element);
                    }
                    node.bytes()
                });
                // Nodes must not grow without bound, or changing them takes ever longer.
                if count > 1 && limits.exceeded(bytes / OVERSIZE, 0) {
                    self.split(rank, if offset == 0 { 1 } else { offset });
                    self.settle(1);
                }
            }
            (true, _) => {
                self.insert(index, true, element);
                self.remove(index, 1);
            }
            (false, true) => {
                if offset + 1 < count {
                    self.split(rank, offset + 1);
                }
                self.insert_node(rank + 1, Node::new(element, limits));
                self.settle(2);
                self.remove(index, 1);
                if offset > 0 {
                    self.merge_around(rank + 1);
                }
            }
        }
    }

    /// Removes up to `most` elements from `index` on.
    pub fn remove(&mut self, index: usize, most: usize) {
        let Some((mut rank, mut offset)) = self.locate(index) else { return };
        let (mut left, before) = (most.min(self.len() - index), self.nodes());
        while left > 0 {
            let count = self.node(rank).count();
            let cut = left.min(count - offset);
            if cut == count {
                self.drop_node(rank);
            } else {
                self.change(rank, |node| {
                    let Some((pack, count)) = node.pack_mut() else { return };
                    if let Some(at) = pack.seek(offset as i64) {
                        pack.remove(at, cut);
                        *count -= cut as u32;
                    }
                });
                rank += 1;
            }
            left -= cut;
            offset = 0;
        }
        self.settle(before - self.nodes());
    }

    /// Removes up to `most` elements with this text, seen from an end; how many.
    pub fn remove_equal(&mut self, wanted: Wanted<'_>, end: End, most: usize) -> usize {
        let (before, mut removed) = (self.nodes(), 0);
        // How many nodes of this end were looked at and are left.
        let mut seen = 0;
        while removed < most && seen < self.nodes() {
            let rank = match end {
                End::Front => seen,
                End::Back => self.nodes() - 1 - seen,
            };
            let node = self.node(rank);
            let found = match node.read() {
                Content::Plain(text) if wanted.is(Element::Str(&text)) => vec![0],
                Content::Plain(_) => Vec::new(),
                Content::Pack(pack) => matches(&pack, wanted, end, most - removed),
            };
            removed += found.len();
            if found.len() == node.count() {
                self.drop_node(rank);
                continue;
            }
            if !found.is_empty() {
                self.change(rank, |node| {
                    let Some((pack, count)) = node.pack_mut() else { return };
                    pack.remove_each(&found);
                    *count -= found.len() as u32;
                });
            }
            seen += 1;
        }
        self.settle(before - self.nodes());
        removed
    }
}
