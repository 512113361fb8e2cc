//! The entries of a stream, and what is known about those that are gone.

use super::cut::{Part, Taker};
use super::node::{Census, Reader};
use super::walk::{Backwards, Forwards};
use super::{Entry, Index, Node, StreamId};
use crate::ds::listpack::Listpack;

/// What a node may hold (`stream-node-max-bytes`, `stream-node-max-entries`); 0 for no bound.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: usize,
    pub entries: u64,
}

/// What a trim leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trim {
    /// This many entries.
    MaxLen(u64),
    /// Entries from this id on.
    MinId(StreamId),
}

/// The id that a new entry shall get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The time, in milliseconds, unless the stream is ahead of it.
    Auto(u64),
    /// Of these milliseconds, with the next number.
    Within(u64),
    Exactly(StreamId),
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Log {
    nodes: Index<Node>,
    /// Bytes of the nodes' blocks, as allocated.
    blocks: usize,
    length: u64,
    first_id: StreamId,
    /// The highest id that was given out.
    pub last_id: StreamId,
    /// The highest id that was deleted alone, not by a trim.
    pub max_deleted: StreamId,
    /// How many entries were ever added.
    pub added: u64,
}

impl Clone for Log {
    fn clone(&self) -> Self {
        let nodes = self.nodes.clone();
        // Copies are made without room to grow.
        let blocks = nodes.iter().map(|(_, node)| node.heap_bytes()).sum();
        Log { nodes, blocks, ..*self }
    }
}

impl Log {
    /// How many entries.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The id of the first entry; the lowest id when there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// Bytes that the entries take, as allocated.
    pub fn heap_bytes(&self) -> usize {
        self.nodes.bytes() + self.blocks
    }

    /// The nodes: blocks of entries by the ids that they begin with.
    pub fn nodes(&self) -> &Index<Node> {
        &self.nodes
    }

    /// From now on the nodes from this one on are kept as they are now: see [`super::cut`].
    pub(super) fn begin_cut(&mut self, from: StreamId) {
        self.nodes.begin_cut(from);
    }

    pub(super) fn end_cut(&mut self) {
        self.nodes.end_cut();
    }

    pub(super) fn cut_bytes(&self) -> usize {
        self.nodes.cut_bytes()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.nodes.is_cut()
    }

    /// Gives the next node of the cut.
    pub(super) fn give(&mut self, f: &mut Taker<'_>) {
        self.nodes.give(1, &mut |id, node| f(Part::Node(id, node.as_bytes())));
    }

    /// The id that an entry gets if it asks for this one; None when it would not be above all others.
    pub fn id_for(&self, wanted: Wanted) -> Option<StreamId> {
        let last = self.last_id;
        let id = match wanted {
            Wanted::Auto(ms) if ms > last.ms => StreamId::new(ms, 0),
            Wanted::Auto(_) => last.next()?,
            Wanted::Within(ms) if ms == last.ms => StreamId::new(ms, last.seq.checked_add(1)?),
            Wanted::Within(ms) => StreamId::new(ms, 0),
            Wanted::Exactly(id) => id,
        };
        (id > last).then_some(id)
    }

    /// Adds an entry. Its id comes from [`Log::id_for`]; `fields`: names and values in turn.
    pub fn append<'a>(
        &mut self,
        id: StreamId,
        limits: Limits,
        fields: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) {
        let text = fields.clone().map(<[u8]>::len).sum();
        let open = self.nodes.last_mut().and_then(|(master, node)| {
            let before = node.heap_bytes();
            let takes = node.takes(text, limits);
            if takes {
                node.append(master, id, fields.clone());
            } else {
                node.fit();
            }
            self.blocks = self.blocks - before + node.heap_bytes();
            takes.then_some(())
        });
        if open.is_none() {
            let node = Node::new(fields);
            self.blocks += node.heap_bytes();
            let over = self.nodes.insert(id, node);
            self.blocks -= over.map_or(0, |node| node.heap_bytes());
        }
        if self.length == 0 {
            self.first_id = id;
        }
        self.length += 1;
        self.added = self.added.wrapping_add(1);
        self.last_id = id;
    }

    /// Adds a node from outside behind all others; None unless its block is right and its entries follow those before.
    pub fn adopt(&mut self, master: StreamId, pack: Listpack) -> Option<()> {
        if self.nodes.last().is_some_and(|(last, _)| *last >= master) {
            return None;
        }
        let (node, Census { live, edges }) = Node::from_listpack(pack, master)?;
        if let Some((first, last)) = edges {
            if self.length > 0 && first <= self.last_id {
                return None;
            }
            if self.length == 0 {
                self.first_id = first;
            }
            self.last_id = last;
        }
        self.length += live;
        self.blocks += node.heap_bytes();
        self.nodes.insert(master, node);
        Some(())
    }

    /// Removes entries from the front until `trim` is met. An approximate trim removes whole nodes only, and entries up to
    /// `limit` (0: any number). How many were removed.
    pub fn trim(&mut self, trim: Trim, approximate: bool, limit: u64) -> u64 {
        let mut removed = 0;
        while let Some((master, node)) = self.nodes.first() {
            let (master, live) = (*master, node.live());
            if matches!(trim, Trim::MaxLen(max) if self.length <= max)
                || (limit > 0 && removed + live > limit)
            {
                break;
            }
            let whole = match trim {
                Trim::MaxLen(max) => self.length - live >= max,
                Trim::MinId(min) => last_of(master, node) < min,
            };
            if whole {
                self.drop_node(master);
                self.length -= live;
                removed += live;
                continue;
            }
            if !approximate {
                removed += self.trim_node(master, trim);
            }
            break;
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    fn trim_node(&mut self, master: StreamId, trim: Trim) -> u64 {
        let Some(node) = self.nodes.get_mut(master) else { return 0 };
        let (before, mut left) = (node.heap_bytes(), self.length);
        let removed = node.bury_front(master, |entry| {
            let goes = match trim {
                Trim::MaxLen(max) => left > max,
                Trim::MinId(min) => entry.id < min,
            };
            left -= u64::from(goes && entry.live);
            goes
        });
        self.blocks = self.blocks - before + node.heap_bytes();
        self.length -= removed;
        removed
    }

    /// Deletes these entries; how many were there.
    pub fn delete(&mut self, ids: &[StreamId]) -> u64 {
        let (mut deleted, mut first_gone) = (0, false);
        for id in ids {
            if !self.delete_one(*id) {
                continue;
            }
            first_gone |= *id == self.first_id;
            self.max_deleted = self.max_deleted.max(*id);
            deleted += 1;
        }
        if first_gone {
            self.find_first();
        }
        deleted
    }

    fn delete_one(&mut self, id: StreamId) -> bool {
        let Some(&(master, ref node)) = self.nodes.up_to(id).last() else { return false };
        let reader = Reader::new(master, node);
        let mut at = reader.seek(id);
        while at < reader.end() {
            let entry = reader.entry(at);
            if entry.live && entry.id == id {
                break;
            }
            if entry.live && entry.id > id {
                return false;
            }
            at = entry.end();
        }
        if at >= reader.end() {
            return false;
        }
        if node.live() == 1 {
            self.drop_node(master);
        } else if let Some(node) = self.nodes.get_mut(master) {
            let before = node.heap_bytes();
            node.bury(at);
            self.blocks = self.blocks - before + node.heap_bytes();
        }
        self.length -= 1;
        true
    }

    fn drop_node(&mut self, master: StreamId) {
        self.blocks -= self.nodes.discard(master, Node::heap_bytes).unwrap_or(0);
    }

    fn find_first(&mut self) {
        self.first_id = self.range(StreamId::MIN, StreamId::MAX).next().map_or(StreamId::MIN, |e| e.id);
    }

    /// The entries from `start` to `end`, rising.
    pub fn range(&self, start: StreamId, end: StreamId) -> Forwards<'_> {
        Forwards::new(&self.nodes, start, end)
    }

    /// The entries from `end` down to `start`.
    pub fn range_back(&self, start: StreamId, end: StreamId) -> Backwards<'_> {
        Backwards::new(&self.nodes, start, end)
    }

    /// The entry of this id.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The id of the last entry that is there.
    pub fn last_live(&self) -> Option<StreamId> {
        self.range_back(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id)
    }

    /// Whether an entry from `start` on may have been deleted from among the others.
    pub fn has_gaps_from(&self, start: StreamId) -> bool {
        self.length > 0 && self.max_deleted != StreamId::MIN && start <= self.max_deleted
    }

    /// How many entries were ever added up to this id, if that can be told.
    pub fn added_up_to(&self, id: StreamId) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last_id {
            return Some(self.added);
        }
        if id != StreamId::MIN && id < self.max_deleted || id > self.last_id {
            return None;
        }
        if id == self.last_id {
            return Some(self.added);
        }
        let whole = self.max_deleted == StreamId::MIN || self.max_deleted < self.first_id;
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less if whole => Some(self.added.wrapping_sub(self.length)),
            std::cmp::Ordering::Equal if whole => Some(self.added.wrapping_sub(self.length).wrapping_add(1)),
            _ => None,
        }
    }
}

/// The id of a node's last entry, deleted or not.
fn last_of(master: StreamId, node: &Node) -> StreamId {
    let reader = Reader::new(master, node);
    reader.entry_before(reader.end()).map_or(StreamId::MIN, |entry| entry.id)
}
