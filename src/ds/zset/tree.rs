//! The order of a large sorted set: a B+ tree that counts.
//!
//! ```text
//!  inner:  | first item of each child .. | items in each child .. | child .. |          up to 64 children
//!               |
//!  leaf:   | item | item | item | ...                                                    up to 64 items, 16 bytes each
//! ```
//! A child's count makes ranks cheap: the rank of an item is the sum of the counts left of its path, and the item of a rank is
//! found by walking them down. A range is a pair of ranks, whatever it was asked by. The children's first items stand in the
//! parent, exact at all times, so that a search reads two or three lines a level.
//!
//! Leaves hold room for what they hold, in steps of 8 items: random insertion leaves nodes two thirds full, and the
//! room that a full-sized leaf would waste is a third of what a tree weighs. What comes before or behind everything else opens
//! a leaf of its own when its leaf is full, so that ascending and descending insertion fill leaves to the brim.
//! A node below a quarter joins a neighbour if the two fit in three quarters.
//!
//! | cost | |
//! |---|---|
//! | insert, remove, rank, item of a rank | O(log n): 4 levels for 10^7 items |
//! | a range of m items | O(log n + m) |
//! | memory | some 18 bytes an item |
//!
//! The code is safe; items are followed by [`Item::member`] only, whose contract the owner of the tree keeps. Insertion is in
//! `grow`, removal in `shrink`.

use super::super::malloc::{malloc_size, room_bytes};
use super::item::Item;
use std::cmp::Ordering;

/// Items in a leaf, and children of an inner node, at most.
pub(super) const FULL: usize = 64;

/// See the module's text.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) root: Node,
    /// Bytes of all nodes, as allocated.
    pub(super) bytes: usize,
}

pub(super) enum Node {
    Leaf(Vec<Item>),
    Inner(Box<Inner>),
}

/// Children with what is known of them: three rows of the same length.
#[derive(Default)]
pub(super) struct Inner {
    pub firsts: Vec<Item>,
    pub counts: Vec<usize>,
    pub children: Vec<Node>,
}

impl Default for Node {
    fn default() -> Self {
        Node::Leaf(Vec::new())
    }
}

impl Inner {
    /// Adds a child that is not empty.
    pub fn insert(&mut self, at: usize, child: Node) {
        self.firsts.insert(at, child.first().expect("a child is not empty"));
        self.counts.insert(at, child.count());
        self.children.insert(at, child);
    }

    pub fn remove(&mut self, at: usize) -> Node {
        self.firsts.remove(at);
        self.counts.remove(at);
        self.children.remove(at)
    }

    /// Brings what is known of a child up to date.
    pub fn note(&mut self, at: usize) {
        self.firsts[at] = self.children[at].first().expect("a child is not empty");
        self.counts[at] = self.children[at].count();
    }

    /// Bytes of the rows, as allocated.
    pub fn rows(&self) -> usize {
        weight(&self.firsts) + weight(&self.counts) + weight(&self.children)
    }
}

/// Bytes of a row, as allocated.
pub(super) fn weight<T>(row: &Vec<T>) -> usize {
    room_bytes::<T>(row.capacity())
}

impl Node {
    pub fn first(&self) -> Option<Item> {
        match self {
            Node::Leaf(items) => items.first().copied(),
            Node::Inner(inner) => inner.firsts.first().copied(),
        }
    }

    /// Items below.
    pub fn count(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(inner) => inner.counts.iter().sum(),
        }
    }

    /// Items or children.
    pub fn width(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(inner) => inner.children.len(),
        }
    }

    /// Bytes of this node alone.
    pub fn own_bytes(&self) -> usize {
        match self {
            Node::Leaf(items) => weight(items),
            Node::Inner(inner) => malloc_size(size_of::<Inner>()) + inner.rows(),
        }
    }

    /// Gives `f` up to `count` items from rank `from` on, upwards. False when `f` wants no more.
    fn up(&self, mut from: usize, mut count: usize, f: &mut impl FnMut(Item) -> bool) -> bool {
        match self {
            Node::Leaf(items) => run(items, from, count, f),
            Node::Inner(inner) => {
                for (child, &held) in inner.children.iter().zip(&inner.counts) {
                    if from >= held {
                        from -= held;
                        continue;
                    }
                    if !child.up(from, count, f) {
                        return false;
                    }
                    count = count.saturating_sub(held - from);
                    from = 0;
                    if count == 0 {
                        break;
                    }
                }
                true
            }
        }
    }

    /// The same downwards, `from` counted from the end.
    fn down(&self, mut from: usize, mut count: usize, f: &mut impl FnMut(Item) -> bool) -> bool {
        match self {
            Node::Leaf(items) => run_back(items, from, count, f),
            Node::Inner(inner) => {
                for (child, &held) in inner.children.iter().zip(&inner.counts).rev() {
                    if from >= held {
                        from -= held;
                        continue;
                    }
                    if !child.down(from, count, f) {
                        return false;
                    }
                    count = count.saturating_sub(held - from);
                    from = 0;
                    if count == 0 {
                        break;
                    }
                }
                true
            }
        }
    }
}

/// Members fetched ahead of a walk.
const AHEAD: usize = 6;

fn run(items: &[Item], from: usize, count: usize, f: &mut impl FnMut(Item) -> bool) -> bool {
    let end = items.len().min(from.saturating_add(count));
    let items = &items[from..end];
    items.iter().take(AHEAD).for_each(|item| item.prefetch());
    for (i, item) in items.iter().enumerate() {
        if let Some(next) = items.get(i + AHEAD) {
            next.prefetch();
        }
        if !f(*item) {
            return false;
        }
    }
    true
}

fn run_back(items: &[Item], from: usize, count: usize, f: &mut impl FnMut(Item) -> bool) -> bool {
    let end = items.len() - from;
    let items = &items[end.saturating_sub(count)..end];
    items.iter().rev().take(AHEAD).for_each(|item| item.prefetch());
    for (i, item) in items.iter().enumerate().rev() {
        if i >= AHEAD {
            items[i - AHEAD].prefetch();
        }
        if !f(*item) {
            return false;
        }
    }
    true
}

impl Tree {
    /// Items in all.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.root.count()
    }

    /// Bytes of all nodes, as allocated.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many items from the first on `holds` is true of; it must not become true again once it is false.
    pub fn rank(&self, holds: impl Fn(&Item) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(items) => return rank + items.partition_point(&holds),
                Node::Inner(inner) => {
                    let Some(at) = inner.firsts.partition_point(&holds).checked_sub(1) else { return rank };
                    rank += inner.counts[..at].iter().sum::<usize>();
                    node = &inner.children[at];
                }
            }
        }
    }

    /// The item of a rank.
    pub fn nth(&self, mut rank: usize) -> Option<Item> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(items) => return items.get(rank).copied(),
                Node::Inner(inner) => {
                    let mut counts = inner.counts.iter();
                    let at = counts.position(|count| {
                        let here = rank < *count;
                        if !here {
                            rank -= count;
                        }
                        here
                    })?;
                    node = &inner.children[at];
                }
            }
        }
    }

    /// Gives `f` up to `count` items from rank `from` on, until it returns false; from the other end with `reverse`.
    pub fn walk(&self, from: usize, count: usize, reverse: bool, mut f: impl FnMut(Item) -> bool) {
        if count == 0 {
            return;
        }
        if reverse && from < self.root.count() {
            self.root.down(from, count, &mut f);
        } else if from < self.root.count() {
            self.root.up(from, count, &mut f);
        }
    }

    /// Gives an item that is there another score, if it stays where it is in its leaf. False, and nothing changes, when it has
    /// to move.
    pub fn rescore(&mut self, score: f64, member: &[u8], new: f64) -> bool {
        let before = |item: &Item| item.against(score, member) == Ordering::Less;
        let mut node = &mut self.root;
        loop {
            match node {
                Node::Inner(inner) => {
                    let not_behind = |item: &Item| item.against(score, member) != Ordering::Greater;
                    let at = inner.firsts.partition_point(not_behind).saturating_sub(1);
                    node = &mut inner.children[at];
                }
                Node::Leaf(items) => {
                    let at = items.partition_point(before);
                    // The first of a leaf stands in its parents too, and what follows the last is elsewhere.
                    let stays = at > 0
                        && at + 1 < items.len()
                        && items[at - 1].against(new, member) == Ordering::Less
                        && items[at + 1].against(new, member) == Ordering::Greater;
                    if stays {
                        items[at].score = new;
                    }
                    return stays;
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod shape {
    use super::*;

    /// Panics unless the tree is as it should be; gives its depth.
    pub fn check(tree: &Tree) -> usize {
        let mut bytes = 0;
        let depth = check_node(&tree.root, true, &mut bytes);
        assert_eq!(bytes, tree.bytes);
        let mut last: Option<Item> = None;
        tree.walk(0, usize::MAX, false, |item| {
            assert!(last.is_none_or(|last| last.order(&item) == Ordering::Less));
            last = Some(item);
            true
        });
        depth
    }

    fn check_node(node: &Node, root: bool, bytes: &mut usize) -> usize {
        *bytes += node.own_bytes();
        assert!(node.width() <= FULL && (root || node.width() > 0));
        let Node::Inner(inner) = node else { return 1 };
        assert!(inner.counts.len() == inner.children.len() && inner.firsts.len() == inner.children.len());
        let mut depths = inner.children.iter().enumerate().map(|(i, child)| {
            assert_eq!(inner.counts[i], child.count());
            assert!(child.first().is_some_and(|first| first.order(&inner.firsts[i]) == Ordering::Equal));
            check_node(child, false, bytes)
        });
        let depth = depths.next().expect("an inner node has children");
        assert!(depths.all(|d| d == depth), "all leaves lie equally deep");
        depth + 1
    }
}
