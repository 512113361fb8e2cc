//! Items on their way out of a tree.

use super::super::malloc::shrink;
use super::grow::room;
use super::item::Item;
use super::tree::{FULL, Inner, Node, Tree, weight};
use std::cmp::Ordering;

/// A node below this width looks for a neighbour to join.
const SPARSE: usize = FULL / 4;
/// Two nodes join when they are no wider together.
const JOINED_MAX: usize = FULL * 3 / 4;
/// Unused room that a leaf may keep, in items.
const SLACK_MAX: usize = 16;

impl Tree {
    /// Takes the item of this score and member out; whether it was there.
    pub fn remove(&mut self, score: f64, member: &[u8]) -> bool {
        let found = remove(&mut self.root, score, member, &mut self.bytes);
        self.lower();
        found
    }

    /// Takes the items of ranks `from..to` out and gives them, in order.
    pub fn remove_range(&mut self, from: usize, to: usize) -> Vec<Item> {
        let mut out = Vec::with_capacity(to - from);
        remove_range(&mut self.root, from, to, &mut out, &mut self.bytes);
        self.lower();
        out
    }

    /// Takes roots away that have one child or none.
    fn lower(&mut self) {
        while let Node::Inner(inner) = &mut self.root
            && inner.children.len() <= 1
        {
            let child = inner.children.pop().unwrap_or_default();
            // Its rows weigh the same without the child.
            self.bytes -= self.root.own_bytes();
            self.root = child;
        }
        if let Node::Leaf(items) = &mut self.root
            && items.is_empty()
        {
            self.bytes -= weight(items);
            *items = Vec::new();
        }
    }
}

fn trim(items: &mut Vec<Item>, bytes: &mut usize) {
    if items.capacity() - items.len() > SLACK_MAX {
        *bytes -= weight(items);
        let room = room(items.len());
        shrink(items, room);
        *bytes += weight(items);
    }
}

fn remove(node: &mut Node, score: f64, member: &[u8], bytes: &mut usize) -> bool {
    match node {
        Node::Leaf(items) => {
            let at = items.partition_point(|item| item.against(score, member) == Ordering::Less);
            let found = items.get(at).is_some_and(|item| item.against(score, member) == Ordering::Equal);
            if found {
                items.remove(at);
                trim(items, bytes);
            }
            found
        }
        Node::Inner(inner) => {
            let not_behind = |item: &Item| item.against(score, member) != Ordering::Greater;
            let Some(at) = inner.firsts.partition_point(not_behind).checked_sub(1) else { return false };
            if !remove(&mut inner.children[at], score, member, bytes) {
                return false;
            }
            inner.counts[at] -= 1;
            settle(inner, at, bytes);
            true
        }
    }
}

fn remove_range(node: &mut Node, from: usize, to: usize, out: &mut Vec<Item>, bytes: &mut usize) {
    match node {
        Node::Leaf(items) => {
            out.extend(items.drain(from..to));
            trim(items, bytes);
        }
        Node::Inner(inner) => {
            let mut before = 0;
            let counts = inner.counts.clone();
            for (at, count) in counts.iter().enumerate() {
                let (start, end) = (from.max(before), to.min(before + count));
                if start < end {
                    let child = &mut inner.children[at];
                    remove_range(child, start - before, end - before, out, bytes);
                    inner.counts[at] -= end - start;
                }
                before += count;
            }
            // From behind, so that what goes does not move what is still to be looked at.
            for at in (0..counts.len()).rev() {
                if at < inner.children.len() && inner.counts[at] < counts[at] {
                    settle(inner, at, bytes);
                }
            }
        }
    }
}

/// Sees to a child that has lost items: an empty one goes, a sparse one joins a neighbour, the first item may be another.
fn settle(inner: &mut Inner, at: usize, bytes: &mut usize) {
    let Some(first) = inner.children[at].first() else {
        let gone = inner.remove(at);
        *bytes -= gone.own_bytes();
        return;
    };
    inner.firsts[at] = first;
    if inner.children[at].width() >= SPARSE {
        return;
    }
    let width = |at: usize| inner.children.get(at).map_or(FULL, Node::width);
    let fits = |neighbour: usize| width(at) + width(neighbour) <= JOINED_MAX;
    if fits(at + 1) {
        join(inner, at, bytes);
    } else if at > 0 && fits(at - 1) {
        join(inner, at - 1, bytes);
    }
}

/// Moves all of the child after `at` into the one at `at`.
fn join(inner: &mut Inner, at: usize, bytes: &mut usize) {
    let right = inner.remove(at + 1);
    let left = &mut inner.children[at];
    *bytes -= left.own_bytes() + right.own_bytes();
    match (&mut *left, right) {
        (Node::Leaf(left), Node::Leaf(right)) => {
            let wanted = room(left.len() + right.len());
            left.reserve_exact(wanted.saturating_sub(left.len()));
            left.extend_from_slice(&right);
            shrink(left, wanted);
        }
        (Node::Inner(left), Node::Inner(mut right)) => {
            left.firsts.append(&mut right.firsts);
            left.counts.append(&mut right.counts);
            left.children.append(&mut right.children);
        }
        _ => unreachable!("neighbours lie equally deep"),
    }
    *bytes += left.own_bytes();
    inner.note(at);
}
