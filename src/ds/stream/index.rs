//! An ordered map from stream ids: a B+ tree.
//!
//! ```text
//!  Inner  | bound, child | bound, child | ...      up to 32; every id of a child is at least its bound
//!  Leaf   | id, value | id, value | ...            up to 32, in order
//! ```
//! Why a B+ tree, where Redis has a radix tree: ids arrive in rising order and mostly leave in that order. An id behind
//! all others fills a leaf to the brim and then opens a new one, so leaves of a log are full; trimming from the front
//! empties one leaf after the other. A seek looks at a few hundred contiguous bytes a level, and a walk goes along a
//! slice. Nothing ever grows as a whole: the most that one call moves is a leaf.
//!
//! A child's bound guides seeks; the first child's is never looked at. A leaf that shrinks below a quarter joins a
//! neighbour when both fit. Cost: O(log n) for all but `len` and `bytes`, which are O(1).
//!
//! Who changes an index under a cut ([`super::undo`]) keeps what it changes; without one that is a look at a pointer.

use super::StreamId;
use super::undo::{Item, Undo};
use crate::ds::malloc::room_bytes;

/// The most that a node of the tree holds.
const FULL: usize = 32;
/// Below this a node looks for a neighbour to join, if both then hold at most [`JOINED`].
const SPARSE: usize = FULL / 4;
const JOINED: usize = FULL * 3 / 4;
/// The capacity that a node starts with.
const FIRST: usize = 4;

/// See the module's text.
#[derive(Debug)]
pub struct Index<V> {
    pub(super) root: Tree<V>,
    len: usize,
    bytes: usize,
    /// A cut under way.
    pub(super) undo: Option<Box<Undo<V>>>,
}

#[derive(Clone, Debug)]
pub(super) enum Tree<V> {
    Leaf(Vec<(StreamId, V)>),
    Inner(Vec<(StreamId, Tree<V>)>),
}

enum Inserted<V> {
    New,
    /// There was a value.
    Over(V),
    /// The node was full: this one stands behind it, from this id on.
    Split(StreamId, Tree<V>),
}

/// Makes room for one more.
fn widen<T>(items: &mut Vec<T>, bytes: &mut usize) {
    let old = items.capacity();
    if items.len() == old {
        items.reserve_exact((old * 2).clamp(FIRST, FULL) - items.len());
        *bytes += room_bytes::<T>(items.capacity()) - room_bytes::<T>(old);
    }
}

/// Gives memory back when most of it is unused. It moves to a new block: in place, allocators keep the old size.
fn narrow<T>(items: &mut Vec<T>, bytes: &mut usize) {
    let old = items.capacity();
    if old > FIRST && items.len() * 4 <= old {
        let mut fewer = Vec::with_capacity((items.len() * 2).max(FIRST));
        fewer.append(items);
        *items = fewer;
        *bytes -= room_bytes::<T>(old) - room_bytes::<T>(items.capacity());
    }
}

/// Puts an item at `at` of a node. What does not fit becomes a node of its own: all behind the middle, or the item alone
/// when it stands behind all others.
fn place<T>(items: &mut Vec<T>, at: usize, item: T, bytes: &mut usize) -> Option<Vec<T>> {
    if items.len() < FULL {
        widen(items, bytes);
        items.insert(at, item);
        return None;
    }
    let mut right = Vec::new();
    if at == FULL {
        widen(&mut right, bytes);
        right.push(item);
        return Some(right);
    }
    let middle = FULL / 2;
    right.reserve_exact(FULL);
    *bytes += room_bytes::<T>(right.capacity());
    right.extend(items.drain(middle..));
    if at <= middle {
        items.insert(at, item)
    } else {
        right.insert(at - middle, item)
    }
    Some(right)
}

impl<V> Tree<V> {
    fn len(&self) -> usize {
        match self {
            Tree::Leaf(items) => items.len(),
            Tree::Inner(children) => children.len(),
        }
    }

    /// Bytes of the blocks below, this node's included.
    fn bytes(&self) -> usize {
        match self {
            Tree::Leaf(items) => room_bytes::<(StreamId, V)>(items.capacity()),
            Tree::Inner(children) => {
                let below: usize = children.iter().map(|(_, child)| child.bytes()).sum();
                below + room_bytes::<(StreamId, Tree<V>)>(children.capacity())
            }
        }
    }

    /// The child that an id belongs to.
    #[inline]
    fn child(children: &[(StreamId, Tree<V>)], id: StreamId) -> usize {
        match children.last() {
            Some((bound, _)) if *bound <= id => children.len() - 1,
            _ => children.partition_point(|(bound, _)| *bound <= id).saturating_sub(1),
        }
    }

    fn insert(&mut self, id: StreamId, value: V, bytes: &mut usize) -> Inserted<V> {
        match self {
            Tree::Leaf(items) => {
                let at = match items.last() {
                    Some((last, _)) if *last < id => items.len(),
                    _ => items.partition_point(|(i, _)| *i < id),
                };
                if let Some((found, old)) = items.get_mut(at)
                    && *found == id
                {
                    return Inserted::Over(std::mem::replace(old, value));
                }
                match place(items, at, (id, value), bytes) {
                    None => Inserted::New,
                    Some(right) => Inserted::Split(right[0].0, Tree::Leaf(right)),
                }
            }
            Tree::Inner(children) => {
                let at = Tree::child(children, id);
                match children[at].1.insert(id, value, bytes) {
                    Inserted::Split(bound, tree) => match place(children, at + 1, (bound, tree), bytes) {
                        None => Inserted::New,
                        Some(right) => Inserted::Split(right[0].0, Tree::Inner(right)),
                    },
                    done => done,
                }
            }
        }
    }

    fn remove(&mut self, id: StreamId, bytes: &mut usize) -> Option<V> {
        match self {
            Tree::Leaf(items) => {
                let at = items.binary_search_by_key(&id, |(i, _)| *i).ok()?;
                let (_, value) = items.remove(at);
                narrow(items, bytes);
                Some(value)
            }
            Tree::Inner(children) => {
                let at = Tree::child(children, id);
                let value = children[at].1.remove(id, bytes)?;
                let left = children[at].1.len();
                if left == 0 {
                    *bytes -= children[at].1.bytes();
                    children.remove(at);
                    narrow(children, bytes);
                } else if left < SPARSE {
                    Tree::join_around(children, at, bytes);
                }
                Some(value)
            }
        }
    }

    /// Joins a child with the one before or behind it, if both fit.
    fn join_around(children: &mut Vec<(StreamId, Tree<V>)>, at: usize, bytes: &mut usize) {
        let fits =
            |i: usize| children.get(i + 1).is_some_and(|next| children[i].1.len() + next.1.len() <= JOINED);
        let first = match at.checked_sub(1) {
            Some(before) if fits(before) => before,
            _ if fits(at) => at,
            _ => return,
        };
        let (bound, right) = children.remove(first + 1);
        *bytes -= right.own_bytes() + children[first].1.own_bytes();
        match (&mut children[first].1, right) {
            (Tree::Leaf(left), Tree::Leaf(right)) => left.extend(right),
            (Tree::Inner(left), Tree::Inner(mut right)) => {
                // It is no first child any more, so its bound is looked at.
                right[0].0 = bound;
                left.extend(right);
            }
            _ => unreachable!("all leaves are equally deep"),
        }
        *bytes += children[first].1.own_bytes();
        narrow(children, bytes);
    }

    /// Bytes of this node's own block.
    fn own_bytes(&self) -> usize {
        match self {
            Tree::Leaf(items) => room_bytes::<(StreamId, V)>(items.capacity()),
            Tree::Inner(children) => room_bytes::<(StreamId, Tree<V>)>(children.capacity()),
        }
    }

    pub(super) fn from(&self, id: StreamId) -> &[(StreamId, V)] {
        match self {
            Tree::Leaf(items) => &items[items.partition_point(|(i, _)| *i < id)..],
            Tree::Inner(children) => {
                let rest = children[Tree::child(children, id)..].iter();
                rest.map(|(_, child)| child.from(id)).find(|found| !found.is_empty()).unwrap_or(&[])
            }
        }
    }

    fn up_to(&self, id: StreamId) -> &[(StreamId, V)] {
        match self {
            Tree::Leaf(items) => &items[..items.partition_point(|(i, _)| *i <= id)],
            Tree::Inner(children) => {
                let rest = children[..=Tree::child(children, id)].iter().rev();
                rest.map(|(_, child)| child.up_to(id)).find(|found| !found.is_empty()).unwrap_or(&[])
            }
        }
    }

    fn get_mut(&mut self, id: StreamId) -> Option<&mut V> {
        match self {
            Tree::Leaf(items) => {
                let at = items.binary_search_by_key(&id, |(i, _)| *i).ok()?;
                Some(&mut items[at].1)
            }
            Tree::Inner(children) => {
                let at = Tree::child(children, id);
                children[at].1.get_mut(id)
            }
        }
    }

    fn last_mut(&mut self) -> Option<(StreamId, &mut V)> {
        match self {
            Tree::Leaf(items) => items.last_mut().map(|(id, value)| (*id, value)),
            Tree::Inner(children) => children.last_mut()?.1.last_mut(),
        }
    }
}

impl<V> Default for Index<V> {
    fn default() -> Self {
        Index { root: Tree::Leaf(Vec::new()), len: 0, bytes: 0, undo: None }
    }
}

impl<V: Clone> Clone for Index<V> {
    fn clone(&self) -> Self {
        let root = self.root.clone();
        // Copies are made without room to grow.
        Index { len: self.len, bytes: root.bytes(), root, undo: None }
    }
}

impl<V: Item> Index<V> {
    /// Puts a value under an id; what was there is given back.
    pub fn insert(&mut self, id: StreamId, value: V) -> Option<V> {
        if self.undo.is_some() {
            self.keep(id);
        }
        self.put(id, value)
    }

    /// Takes an id out.
    pub fn remove(&mut self, id: StreamId) -> Option<V> {
        if self.undo.is_some() {
            self.keep(id);
        }
        self.unlink(id)
    }

    /// Takes an id out, and lets `f` see its value before that goes.
    pub fn discard<R>(&mut self, id: StreamId, f: impl FnOnce(&V) -> R) -> Option<R> {
        let value = self.unlink(id)?;
        let result = f(&value);
        if self.undo.is_some() {
            self.keep_gone(id, Some(value));
        }
        Some(result)
    }

    /// The value of an id, to change it.
    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut V> {
        if self.undo.is_some() {
            self.keep(id);
        }
        self.root.get_mut(id)
    }

    /// The highest id and its value, to change it.
    pub fn last_mut(&mut self) -> Option<(StreamId, &mut V)> {
        if self.undo.is_some()
            && let Some((last, _)) = self.last()
        {
            self.keep(*last);
        }
        self.root.last_mut()
    }
}

impl<V> Index<V> {
    /// How many ids.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of its blocks, as allocated; what values point to is not among them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn put(&mut self, id: StreamId, value: V) -> Option<V> {
        match self.root.insert(id, value, &mut self.bytes) {
            Inserted::Over(old) => return Some(old),
            Inserted::New => {}
            Inserted::Split(bound, right) => {
                let left = std::mem::replace(&mut self.root, Tree::Leaf(Vec::new()));
                let mut children = Vec::new();
                widen(&mut children, &mut self.bytes);
                children.push((StreamId::MIN, left));
                children.push((bound, right));
                self.root = Tree::Inner(children);
            }
        }
        self.len += 1;
        None
    }

    fn unlink(&mut self, id: StreamId) -> Option<V> {
        let value = self.root.remove(id, &mut self.bytes)?;
        self.len -= 1;
        while let Tree::Inner(children) = &mut self.root
            && children.len() <= 1
        {
            let only = children.pop();
            self.bytes -= self.root.own_bytes();
            self.root = only.map_or(Tree::Leaf(Vec::new()), |(_, child)| child);
        }
        Some(value)
    }

    /// The value of an id.
    pub fn get(&self, id: StreamId) -> Option<&V> {
        self.from(id).first().filter(|(found, _)| *found == id).map(|(_, value)| value)
    }

    /// Some of the ids from this one on, in order; empty when there are none.
    pub fn from(&self, id: StreamId) -> &[(StreamId, V)] {
        self.root.from(id)
    }

    /// Some of the ids up to this one, in order, the highest last; empty when there are none.
    pub fn up_to(&self, id: StreamId) -> &[(StreamId, V)] {
        self.root.up_to(id)
    }

    /// The lowest id.
    pub fn first(&self) -> Option<&(StreamId, V)> {
        self.from(StreamId::MIN).first()
    }

    /// The highest id.
    pub fn last(&self) -> Option<&(StreamId, V)> {
        self.up_to(StreamId::MAX).last()
    }

    /// All ids from this one on.
    pub fn iter_from(&self, id: StreamId) -> Iter<'_, V> {
        Iter { index: self, chunk: self.from(id) }
    }

    /// All ids.
    pub fn iter(&self) -> Iter<'_, V> {
        self.iter_from(StreamId::MIN)
    }
}

/// Ids in order: see [`Index::iter_from`].
pub struct Iter<'a, V> {
    index: &'a Index<V>,
    chunk: &'a [(StreamId, V)],
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (StreamId, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        let ((id, value), rest) = self.chunk.split_first()?;
        self.chunk = match (rest, id.next()) {
            ([], Some(next)) => self.index.from(next),
            _ => rest,
        };
        Some((*id, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use std::collections::BTreeMap;

    fn check(index: &Index<u64>, model: &BTreeMap<StreamId, u64>) {
        assert_eq!(index.len(), model.len());
        assert_eq!(index.bytes(), index.root.bytes());
        assert!(index.iter().eq(model.iter().map(|(id, v)| (*id, v))));
        assert_eq!(index.first().map(|f| f.0), model.keys().next().copied());
        assert_eq!(index.last().map(|f| f.0), model.keys().next_back().copied());
    }

    #[test]
    fn it_does_what_a_plain_map_does() {
        for (seed, spread) in [(1, 50), (2, 3_000), (3, 40_000)] {
            let mut rng = seeded(seed);
            let (mut index, mut model) = (Index::default(), BTreeMap::new());
            for step in 0..30_000u64 {
                let n = xorshift(&mut rng);
                let id = StreamId::new(n % spread / 7, n % spread % 7);
                // Growing, then shrinking, then at random.
                let adds = match step / 10_000 {
                    0 => 9,
                    1 => 2,
                    _ => 5,
                };
                if n >> 32 & 15 < adds {
                    assert_eq!(index.insert(id, step), model.insert(id, step));
                } else {
                    assert_eq!(index.remove(id), model.remove(&id));
                }
                let probe = StreamId::new(xorshift(&mut rng) % spread / 7, n % 7);
                assert_eq!(index.get(probe), model.get(&probe));
                assert_eq!(index.get_mut(probe), model.get_mut(&probe));
                assert_eq!(index.from(probe).first().map(|f| f.0), model.range(probe..).next().map(|f| *f.0));
                assert_eq!(
                    index.up_to(probe).last().map(|f| f.0),
                    model.range(..=probe).next_back().map(|f| *f.0)
                );
                if step % 500 == 0 {
                    check(&index, &model);
                    check(&index.clone(), &model);
                }
            }
            check(&index, &model);
            let all: Vec<StreamId> = model.keys().copied().collect();
            for id in all {
                assert!(index.remove(id).is_some());
            }
            assert_eq!((index.len(), index.bytes()), (0, index.root.bytes()));
        }
    }

    #[test]
    fn a_queue_stays_dense_and_shrinks() {
        let mut index = Index::default();
        for n in 0..100_000u64 {
            index.insert(StreamId::new(n, 0), n);
        }
        let dense = 100_000 * 24;
        assert!(index.bytes() < dense * 11 / 10, "{} bytes", index.bytes());
        for n in 0..100_000u64 {
            assert_eq!(index.first().map(|f| f.1), Some(n));
            assert_eq!(index.remove(StreamId::new(n, 0)), Some(n));
        }
        assert!(index.bytes() < 1_000);
        // One of every fifty is left behind.
        for n in 0..100_000u64 {
            index.insert(StreamId::new(n, 0), n);
        }
        for n in (0..100_000u64).filter(|n| n % 50 != 0) {
            index.remove(StreamId::new(n, 0));
        }
        assert_eq!(index.len(), 2_000);
        assert!(index.bytes() < 2_000 * 24 * 4, "{} bytes", index.bytes());
    }
}
