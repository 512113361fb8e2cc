//! What a list held at one instant, node by node, while it goes on changing: see [`crate::ds::table`] for what wants to know.
//!
//! ```text
//!  at the cut   0 1 | 2 3 4 5 | 6 7 8               nodes are numbered, chunk by chunk
//!  the list     0 1 | x 3 y 5 | 6 z                 x, y, z have come since, or were changed
//!  kept         2, 4, 7, 8                          as they were
//! ```
//! A node that is about to be changed is copied first, and one that goes moves over: nodes are what is copied on write. What is left of
//! them stays in order, so the numbers of a chunk are one until a node in it changes, and the next node to be given is among those
//! kept or the first in the list that has a number.
//!
//! | cost | |
//! |---|---|
//! | no cut under way | one look at a pointer a change |
//! | the cut itself | O(chunks) |
//! | a change under a cut | a copy of the node; the first in a chunk: numbers for its nodes |

use super::node::{Node, Saved};
use super::quicklist::Quicklist;
use std::collections::{BTreeMap, VecDeque};

#[cfg(test)]
mod tests;

/// The number of a node that was not there at the cut.
const NEW: u64 = u64::MAX;

/// A cut under way.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// The number of the node that is given next: those before it are not needed any more.
    next: u64,
    kept: BTreeMap<u64, Node>,
    /// Bytes of those.
    bytes: usize,
}

impl Cut {
    /// Keeps a node that had this number.
    fn keep(&mut self, number: u64, node: Node) {
        if number >= self.next {
            self.bytes += node.heap_bytes();
            self.kept.insert(number, node);
        }
    }
}

/// The numbers of a chunk's nodes.
#[derive(Debug, Default)]
pub(super) enum Numbers {
    /// None was there at the cut, or is still needed.
    #[default]
    None,
    /// All were there, this one first.
    From(u64),
    Each(VecDeque<u64>),
}

impl Numbers {
    /// One each, of a chunk of so many nodes.
    fn spell(&mut self, nodes: usize) -> Option<&mut VecDeque<u64>> {
        if let Numbers::From(first) = *self {
            *self = Numbers::Each((first..).take(nodes).collect());
        }
        match self {
            Numbers::Each(each) => Some(each),
            Numbers::None | Numbers::From(_) => None,
        }
    }

    fn known(number: u64) -> Option<u64> {
        (number != NEW).then_some(number)
    }

    /// A node of so many is about to be changed: it has no number from now on.
    fn forget(&mut self, at: usize, nodes: usize) -> Option<u64> {
        Numbers::known(std::mem::replace(self.spell(nodes)?.get_mut(at)?, NEW))
    }

    /// A node comes to so many.
    pub fn insert(&mut self, at: usize, nodes: usize) {
        if let Some(each) = self.spell(nodes) {
            each.insert(at, NEW);
        }
    }

    /// A node of so many goes.
    pub fn remove(&mut self, at: usize, nodes: usize) -> Option<u64> {
        match self {
            Numbers::From(first) if at == 0 => {
                *first += 1;
                Some(*first - 1)
            }
            Numbers::From(first) if at + 1 == nodes => Some(*first + at as u64),
            _ => Numbers::known(self.spell(nodes)?.remove(at)?),
        }
    }

    /// Those of the nodes from `at` on, which become a chunk of their own.
    pub fn split_off(&mut self, at: usize) -> Numbers {
        match self {
            Numbers::None => Numbers::None,
            Numbers::From(first) => Numbers::From(*first + at as u64),
            Numbers::Each(each) => Numbers::Each(each.split_off(at)),
        }
    }

    /// The nodes of another chunk come behind these: so many, and so many of the other.
    pub fn append(&mut self, mut other: Numbers, (nodes, others): (usize, usize)) {
        if matches!((&*self, &other), (Numbers::None, Numbers::None)) {
            return;
        }
        let mut all = self.spell(nodes).map_or_else(|| [NEW].repeat(nodes).into(), std::mem::take);
        match other.spell(others) {
            Some(each) => all.append(each),
            None => all.extend([NEW].repeat(others)),
        }
        *self = Numbers::Each(all);
    }

    /// The place of a node of so many.
    fn find(&self, number: u64, nodes: usize) -> Option<usize> {
        match self {
            Numbers::None => None,
            Numbers::From(first) => number.checked_sub(*first).map(|at| at as usize).filter(|at| *at < nodes),
            Numbers::Each(each) => each.iter().position(|n| *n == number),
        }
    }
}

impl Quicklist {
    /// From now on the nodes from this rank on are kept as they are now, until they are given or the cut ends.
    pub fn begin_cut(&mut self, from: u64) {
        let mut number = 0;
        for chunk in &mut self.chunks {
            chunk.numbers = Numbers::From(number);
            number += chunk.nodes.len() as u64;
        }
        self.cut = Some(Box::new(Cut { next: from, ..Cut::default() }));
    }

    /// Nobody wants the rest.
    pub fn end_cut(&mut self) {
        if self.cut.take().is_some() {
            self.chunks.iter_mut().for_each(|chunk| chunk.numbers = Numbers::None);
        }
    }

    /// Bytes that are kept.
    pub fn cut_bytes(&self) -> usize {
        self.cut.as_ref().map_or(0, |cut| cut.bytes)
    }

    /// A node is about to be changed.
    #[cold]
    pub(super) fn keep_node(&mut self, (chunk, at): (usize, usize)) {
        let chunk = &mut self.chunks[chunk];
        if let Some(number) = chunk.numbers.forget(at, chunk.nodes.len())
            && let Some(cut) = &mut self.cut
        {
            cut.keep(number, chunk.nodes[at].clone());
        }
    }

    /// A node has gone that had this number.
    #[cold]
    pub(super) fn keep_gone(&mut self, number: u64, node: Node) {
        if let Some(cut) = &mut self.cut {
            cut.keep(number, node);
        }
    }

    /// Gives the next node of the cut.
    pub fn give(&mut self, f: impl FnOnce(Saved<'_>)) {
        let Some(cut) = &mut self.cut else { return };
        let number = cut.next;
        cut.next += 1;
        if let Some(node) = cut.kept.remove(&number) {
            cut.bytes -= node.heap_bytes();
            return f(node.saved());
        }
        for chunk in &mut self.chunks {
            match chunk.numbers.find(number, chunk.nodes.len()) {
                Some(at) => return f(chunk.nodes[at].saved()),
                // All of it lies before.
                None => chunk.numbers = Numbers::None,
            }
        }
        panic!("what is not kept is in the list");
    }
}
