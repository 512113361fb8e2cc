//! Items on their way into a tree.

use super::super::malloc::shrink;
use super::item::Item;
use super::tree::{FULL, Inner, Node, Tree, weight};
use std::cmp::Ordering;

/// A leaf's room grows in steps of this many items, and by doubling before it has as many as [`STEPS_FROM`].
const STEP: usize = 8;
const STEPS_FROM: usize = 16;

/// The room for `items` items.
pub(super) fn room(items: usize) -> usize {
    match items {
        0..=2 => 2,
        3..=STEPS_FROM => items.next_power_of_two(),
        _ => items.next_multiple_of(STEP),
    }
}

/// Puts an item into a leaf that is not full.
fn put(items: &mut Vec<Item>, at: usize, item: Item, bytes: &mut usize) {
    if items.len() == items.capacity() {
        let before = weight(items);
        items.reserve_exact(room(items.len() + 1) - items.len());
        *bytes = *bytes - before + weight(items);
    }
    items.insert(at, item);
}

/// Parts a row at `at` and gives the right part, both with no more room than they need.
fn part(items: &mut Vec<Item>, at: usize) -> Vec<Item> {
    let mut right = Vec::with_capacity(room(items.len() - at));
    right.extend_from_slice(&items[at..]);
    items.truncate(at);
    shrink(items, room(at));
    right
}

impl Tree {
    /// Adds an item that is not there.
    pub fn insert(&mut self, item: Item) {
        let Some(right) = insert(&mut self.root, item, true, &mut self.bytes) else { return };
        let left = std::mem::take(&mut self.root);
        let mut inner = Box::new(Inner::default());
        inner.insert(0, left);
        inner.insert(1, right);
        self.root = Node::Inner(inner);
        self.bytes += self.root.own_bytes();
    }

    /// A tree of items that are in order, with full nodes.
    pub fn from_sorted(items: &[Item]) -> Tree {
        let mut row: Vec<Node> = items
            .chunks(FULL)
            .map(|chunk| {
                let mut leaf = Vec::with_capacity(room(chunk.len()));
                leaf.extend_from_slice(chunk);
                Node::Leaf(leaf)
            })
            .collect();
        let mut bytes: usize = row.iter().map(Node::own_bytes).sum();
        while row.len() > 1 {
            let mut above = Vec::with_capacity(row.len().div_ceil(FULL));
            let mut children = row.into_iter().peekable();
            while children.peek().is_some() {
                let mut inner = Box::new(Inner::default());
                children.by_ref().take(FULL).enumerate().for_each(|(i, child)| inner.insert(i, child));
                let inner = Node::Inner(inner);
                bytes += inner.own_bytes();
                above.push(inner);
            }
            row = above;
        }
        Tree { root: row.pop().unwrap_or_default(), bytes }
    }
}

/// Adds an item below a node; gives the node that is to stand right of it when it was split. `edge`: nothing stands right of
/// the node so far.
fn insert(node: &mut Node, item: Item, edge: bool, bytes: &mut usize) -> Option<Node> {
    let before = |other: &Item| other.order(&item) == Ordering::Less;
    match node {
        Node::Leaf(items) => {
            let at = items.partition_point(before);
            if items.len() < FULL {
                put(items, at, item, bytes);
                return None;
            }
            *bytes -= weight(items);
            let mut right = split_leaf(items, at, edge);
            *bytes += weight(items) + weight(&right);
            if at < FULL / 2 || at < items.len() {
                put(items, at, item, bytes);
            } else {
                put(&mut right, at - items.len(), item, bytes);
            }
            Some(Node::Leaf(right))
        }
        Node::Inner(inner) => {
            let at = inner.firsts.partition_point(before).saturating_sub(1);
            let edge = edge && at + 1 == inner.children.len();
            match insert(&mut inner.children[at], item, edge, bytes) {
                None => {
                    inner.counts[at] += 1;
                    if item.order(&inner.firsts[at]) == Ordering::Less {
                        inner.firsts[at] = item;
                    }
                    None
                }
                Some(right) => adopt(inner, at, right, edge, bytes),
            }
        }
    }
}

/// Parts a full leaf where an item wants to go to `at`: in the middle, or all to one side when it is the first or the last of
/// the whole tree.
fn split_leaf(items: &mut Vec<Item>, at: usize, edge: bool) -> Vec<Item> {
    match at {
        0 => std::mem::take(items),
        FULL if edge => Vec::new(),
        _ => part(items, FULL / 2),
    }
}

/// Takes in what was split off the child at `at`; gives what is split off in turn.
fn adopt(inner: &mut Inner, at: usize, right: Node, edge: bool, bytes: &mut usize) -> Option<Node> {
    *bytes -= inner.rows();
    inner.note(at);
    inner.insert(at + 1, right);
    let split = (inner.children.len() > FULL).then(|| {
        let cut = if edge { FULL } else { FULL / 2 };
        Node::Inner(Box::new(Inner {
            firsts: inner.firsts.split_off(cut),
            counts: inner.counts.split_off(cut),
            children: inner.children.split_off(cut),
        }))
    });
    *bytes += inner.rows() + split.as_ref().map_or(0, Node::own_bytes);
    split
}
