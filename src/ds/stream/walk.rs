//! The live entries of a range of ids, forwards and backwards.
//!
//! A walk seeks the node that the range begins in, O(log n), reads on entry by entry, and finds the next node by its id.

use super::node::Reader;
use super::{Entry, Index, Node, StreamId};

/// Entries in rising order.
pub struct Forwards<'a> {
    nodes: &'a Index<Node>,
    /// Nodes that come next.
    chunk: &'a [(StreamId, Node)],
    reader: Option<Reader<'a>>,
    /// Where the walk is in the node, or the entry that it was at: what follows is looked for when it is asked for.
    at: usize,
    last: Option<Entry<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Forwards<'a> {
    pub(super) fn new(nodes: &'a Index<Node>, start: StreamId, end: StreamId) -> Forwards<'a> {
        let first = nodes.up_to(start).last().map_or(StreamId::MIN, |(id, _)| *id);
        let mut walk =
            Forwards { nodes, chunk: nodes.from(first), reader: None, at: 0, last: None, start, end };
        walk.turn();
        walk.at = walk.reader.map_or(0, |reader| reader.seek(start));
        walk
    }

    /// Goes on to the next node; whether there is one.
    fn turn(&mut self) -> bool {
        let Some(((id, node), rest)) = self.chunk.split_first() else {
            self.reader = None;
            return false;
        };
        self.chunk = match (rest, id.next()) {
            ([], Some(next)) => self.nodes.from(next),
            _ => rest,
        };
        let reader = Reader::new(*id, node);
        self.at = reader.first;
        self.reader = Some(reader);
        true
    }
}

impl<'a> Iterator for Forwards<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if let Some(last) = self.last.take() {
            self.at = last.end();
        }
        loop {
            let reader = self.reader?;
            while self.at < reader.end() {
                let entry = reader.entry(self.at);
                if !entry.live || entry.id < self.start {
                    self.at = entry.end();
                    continue;
                }
                if entry.id > self.end {
                    self.reader = None;
                    return None;
                }
                self.last = Some(entry);
                return self.last;
            }
            self.turn();
        }
    }
}

/// Entries in falling order.
pub struct Backwards<'a> {
    nodes: &'a Index<Node>,
    /// Nodes that come next, the last one first.
    chunk: &'a [(StreamId, Node)],
    reader: Option<Reader<'a>>,
    /// The end of the entry that comes next.
    at: usize,
    start: StreamId,
    end: StreamId,
}

impl<'a> Backwards<'a> {
    pub(super) fn new(nodes: &'a Index<Node>, start: StreamId, end: StreamId) -> Backwards<'a> {
        let mut walk = Backwards { nodes, chunk: nodes.up_to(end), reader: None, at: 0, start, end };
        walk.turn();
        walk
    }

    fn turn(&mut self) {
        let Some(((id, node), rest)) = self.chunk.split_last() else {
            self.reader = None;
            return;
        };
        self.chunk = match (rest, id.prev()) {
            ([], Some(before)) => self.nodes.up_to(before),
            _ => rest,
        };
        let reader = Reader::new(*id, node);
        self.at = reader.end();
        self.reader = Some(reader);
    }
}

impl<'a> Iterator for Backwards<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let reader = self.reader?;
            while let Some(entry) = reader.entry_before(self.at) {
                self.at = entry.at;
                if !entry.live || entry.id > self.end {
                    continue;
                }
                if entry.id < self.start {
                    self.reader = None;
                    return None;
                }
                return Some(entry);
            }
            self.turn();
        }
    }
}
