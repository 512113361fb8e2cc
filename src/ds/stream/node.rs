//! A node of a stream: entries in one block, a listpack as Redis lays it out.
//!
//! ```text
//!  | live | dead | n | name 1 | ... | name n | 0 |                                             the master entry
//!  | flags | ms | seq | value 1 | ... | value n | 3 + n |                                      flags: 2, the master's names
//!  | flags | ms | seq | m | name 1 | value 1 | ... | name m | value m | 4 + 2m |               flags: 0, its own
//! ```
//! Each field is an element of the listpack (see [`crate::ds::listpack`]). `ms` and `seq` are differences to the id of the
//! node, which is that of its first entry. Bit 1 of the flags says that the entry was deleted. The last element of an
//! entry counts those before it, so that a walk can go backwards.
//!
//! The block is a whole listpack at any time: RDB files and DUMP payloads take it as it is. It has room to grow, by half at
//! a time, until [`Node::fit`] takes that away: so an append writes behind the last entry and rarely moves anything.

use super::undo::Item;
use super::{Limits, StreamId};
use crate::ds::listpack::{BYTES_MAX, END, Element, HEADER, Listpack, UNCOUNTED, before, behind, element};
use crate::ds::malloc::malloc_size;

/// Flags of an entry.
const DEAD: i64 = 1;
const SAME_NAMES: i64 = 2;

/// What an element may take beside its text, and an entry beside its names and values.
const ELEMENT_MAX: usize = 10;
const ENTRY_MAX: usize = 64;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Node {
    bytes: Vec<u8>,
}

/// What a block from outside holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Entries that are not deleted.
    pub live: u64,
    /// The ids of the first and the last of them.
    pub edges: Option<(StreamId, StreamId)>,
}

fn int(block: &[u8], at: usize) -> i64 {
    match element(block, at) {
        Element::Int(n) => n,
        Element::Str(_) => unreachable!("blocks are checked when they come in"),
    }
}

fn skip(block: &[u8], at: usize, elements: usize) -> usize {
    (0..elements).fold(at, |at, _| behind(block, at))
}

impl Node {
    /// A node of one entry. `fields`: names and values in turn.
    pub fn new<'a>(fields: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Node {
        let mut node = Node { bytes: Vec::new() };
        let names = fields.clone().step_by(2);
        let text: usize = fields.clone().map(<[u8]>::len).sum();
        node.make_room(2 * (text + fields.len() * ELEMENT_MAX) + ENTRY_MAX);
        node.bytes.extend_from_slice(&[0; HEADER]);
        node.push(Element::Int(0));
        node.push(Element::Int(0));
        node.push(Element::Int(fields.len() as i64 / 2));
        let count = 4 + names.len();
        names.for_each(|name| node.push(Element::of(name)));
        node.push(Element::Int(0));
        node.bytes.push(END);
        node.bytes[4..HEADER].copy_from_slice(&(count.min(usize::from(UNCOUNTED)) as u16).to_le_bytes());
        node.append(StreamId::MIN, StreamId::MIN, fields);
        node
    }

    /// Takes a block from outside for the node of this id; None unless all of it is right and its live entries rise.
    pub fn from_listpack(pack: Listpack, master: StreamId) -> Option<(Node, Census)> {
        let node = Node { bytes: pack.into_bytes() };
        let mut left = Unchecked { block: &node.bytes, at: HEADER };
        let (live, dead, names) = (left.int()?, left.int()?, left.int()?);
        left.skip(names)?;
        if left.int()? != 0 {
            return None;
        }
        let (mut found_dead, mut census) = (0, Census::default());
        while left.at < node.bytes.len() - 1 {
            let (flags, ms, seq) = (left.int()?, left.int()?, left.int()?);
            let elements = match flags & !DEAD {
                SAME_NAMES => names.checked_add(3)?,
                0 => left.int()?.checked_mul(2)?.checked_add(4)?,
                _ => return None,
            };
            left.skip(elements - 3 - i64::from(flags & SAME_NAMES == 0))?;
            if left.int()? != elements {
                return None;
            }
            if flags & DEAD != 0 {
                found_dead += 1;
                continue;
            }
            let id = shifted(master, ms, seq);
            let (first, last) = census.edges.unwrap_or((id, StreamId::MIN));
            if id < master || id <= last {
                return None;
            }
            census = Census { live: census.live + 1, edges: Some((first, id)) };
        }
        (live == census.live as i64 && dead == found_dead).then_some((node, census))
    }

    /// The block, as RDB files and DUMP payloads hold it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of its block, as allocated.
    pub fn heap_bytes(&self) -> usize {
        malloc_size(self.bytes.capacity())
    }

    /// How many entries are not deleted.
    pub fn live(&self) -> u64 {
        int(&self.bytes, HEADER) as u64
    }

    /// Whether an entry of so much text belongs into this node, as Redis decides it.
    pub fn takes(&self, text: usize, limits: Limits) -> bool {
        let bytes = if limits.bytes == 0 { BYTES_MAX } else { BYTES_MAX.min(limits.bytes) };
        let entries = || int(&self.bytes, HEADER) + int(&self.bytes, behind(&self.bytes, HEADER));
        self.bytes.len() + text < bytes && (limits.entries == 0 || entries() < limits.entries as i64)
    }

    /// Adds an entry behind all others. `master`: this node's id.
    pub fn append<'a>(
        &mut self,
        master: StreamId,
        id: StreamId,
        fields: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) {
        let pairs = fields.len() / 2;
        let same = self.has_names(fields.clone().step_by(2));
        let text: usize = fields.clone().map(<[u8]>::len).sum();
        self.make_room(text + fields.len() * ELEMENT_MAX + ENTRY_MAX);
        self.bytes.pop();
        self.push(Element::Int(if same { SAME_NAMES } else { 0 }));
        self.push(Element::Int(id.ms.wrapping_sub(master.ms) as i64));
        self.push(Element::Int(id.seq.wrapping_sub(master.seq) as i64));
        let elements = if same {
            fields.skip(1).step_by(2).for_each(|value| self.push(Element::of(value)));
            3 + pairs
        } else {
            self.push(Element::Int(pairs as i64));
            fields.for_each(|text| self.push(Element::of(text)));
            4 + 2 * pairs
        };
        self.push(Element::Int(elements as i64));
        self.bytes.push(END);
        let counted = u16::from_le_bytes([self.bytes[4], self.bytes[5]]);
        let count = (usize::from(counted) + elements + 1).min(usize::from(UNCOUNTED)) as u16;
        self.bytes[4..HEADER].copy_from_slice(&count.to_le_bytes());
        self.set_int(HEADER, int(&self.bytes, HEADER) + 1);
        self.settle();
    }

    /// Marks the entry at this position as deleted.
    pub fn bury(&mut self, at: usize) {
        let flags = int(&self.bytes, at);
        debug_assert!(flags & DEAD == 0);
        self.set_int(at, flags | DEAD);
        self.count_dead(1);
    }

    /// Marks entries from the front as deleted, as long as `goes` says so of their ids; how many were.
    pub fn bury_front(&mut self, master: StreamId, mut goes: impl FnMut(&Entry<'_>) -> bool) -> u64 {
        let reader = Reader::new(master, self);
        let (mut at, mut buried) = (reader.first, Vec::new());
        while at < reader.end() {
            let entry = reader.entry(at);
            if !goes(&entry) {
                break;
            }
            at = entry.end();
            if entry.live {
                buried.push(entry.at);
            }
        }
        // Flags all take the same room, so that positions stay.
        for at in &buried {
            self.set_int(*at, int(&self.bytes, *at) | DEAD);
        }
        self.count_dead(buried.len() as i64);
        buried.len() as u64
    }

    /// Gives back the room for more entries.
    pub fn fit(&mut self) {
        if malloc_size(self.bytes.len()) < self.heap_bytes() {
            // Shrunk in place, a block keeps its old size.
            self.bytes = self.bytes.as_slice().to_vec();
        }
    }

    fn count_dead(&mut self, more: i64) {
        let dead = behind(&self.bytes, HEADER);
        // From behind, so that the position in front stays.
        self.set_int(dead, int(&self.bytes, dead) + more);
        self.set_int(HEADER, int(&self.bytes, HEADER) - more);
    }

    /// Whether the master entry has these names.
    fn has_names<'a>(&self, mut names: impl ExactSizeIterator<Item = &'a [u8]>) -> bool {
        let count = skip(&self.bytes, HEADER, 2);
        if int(&self.bytes, count) != names.len() as i64 {
            return false;
        }
        let mut at = behind(&self.bytes, count);
        names.all(|name| {
            let same = match element(&self.bytes, at) {
                Element::Str(text) => text == name,
                number => number.with(|text| text == name),
            };
            at = behind(&self.bytes, at);
            same
        })
    }

    fn make_room(&mut self, more: usize) {
        let (len, capacity) = (self.bytes.len(), self.bytes.capacity());
        if len + more > capacity {
            self.bytes.reserve_exact(malloc_size((len + more).max(capacity + capacity / 2)) - len);
        }
    }

    fn push(&mut self, element: Element<'_>) {
        let at = self.bytes.len();
        self.bytes.resize(at + element.size(), 0);
        element.encode(&mut self.bytes[at..]);
    }

    fn set_int(&mut self, at: usize, n: i64) {
        let (new, len) = (Element::Int(n), self.bytes.len());
        let (size, old) = (new.size(), behind(&self.bytes, at) - at);
        if size > old {
            self.make_room(size - old);
            self.bytes.resize(len + size - old, 0);
        }
        if size != old {
            self.bytes.copy_within(at + old..len, at + size);
            self.bytes.truncate(len + size - old);
            self.settle();
        }
        new.encode(&mut self.bytes[at..]);
    }

    /// Writes the block's total.
    fn settle(&mut self) {
        let total = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
    }
}

impl Item for Node {
    fn heap_bytes(&self) -> usize {
        Node::heap_bytes(self)
    }
}

fn shifted(master: StreamId, ms: i64, seq: i64) -> StreamId {
    StreamId { ms: master.ms.wrapping_add(ms as u64), seq: master.seq.wrapping_add(seq as u64) }
}

/// A listpack whose elements nobody has looked at yet.
struct Unchecked<'a> {
    block: &'a [u8],
    at: usize,
}

impl Unchecked<'_> {
    fn int(&mut self) -> Option<i64> {
        match (self.at < self.block.len() - 1).then(|| element(self.block, self.at))? {
            Element::Int(n) => {
                self.at = behind(self.block, self.at);
                Some(n)
            }
            Element::Str(_) => None,
        }
    }

    fn skip(&mut self, elements: i64) -> Option<()> {
        for _ in 0..u64::try_from(elements).ok()? {
            if self.at >= self.block.len() - 1 {
                return None;
            }
            self.at = behind(self.block, self.at);
        }
        Some(())
    }
}

/// A node that is being read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    block: &'a [u8],
    master: StreamId,
    /// The master entry's names: where they begin, and how many.
    names: usize,
    fields: usize,
    /// The first entry's position.
    pub first: usize,
}

impl<'a> Reader<'a> {
    pub fn new(master: StreamId, node: &'a Node) -> Reader<'a> {
        let block = &node.bytes[..];
        let count = skip(block, HEADER, 2);
        let fields = int(block, count) as usize;
        let names = behind(block, count);
        Reader { block, master, names, fields, first: skip(block, names, fields + 1) }
    }

    /// The position behind the last entry.
    pub fn end(&self) -> usize {
        self.block.len() - 1
    }

    /// The entry at a position.
    pub fn entry(&self, at: usize) -> Entry<'a> {
        let block = self.block;
        let flags = int(block, at);
        let ms = behind(block, at);
        let seq = behind(block, ms);
        let rest = behind(block, seq);
        let id = shifted(self.master, int(block, ms), int(block, seq));
        let live = flags & DEAD == 0;
        if flags & SAME_NAMES != 0 {
            return Entry { id, live, at, block, names: Some(self.names), body: rest, fields: self.fields };
        }
        let fields = int(block, rest) as usize;
        Entry { id, live, at, block, names: None, body: behind(block, rest), fields }
    }

    /// The entry that ends at a position; None at the first one.
    pub fn entry_before(&self, at: usize) -> Option<Entry<'a>> {
        if at <= self.first {
            return None;
        }
        let count = before(self.block, at)?;
        let start = (0..int(self.block, count)).try_fold(count, |at, _| before(self.block, at))?;
        Some(self.entry(start))
    }

    /// A position from which on a walk meets all live entries from `id` on, and few before. It looks from both ends:
    /// readers mostly ask for what is new.
    pub fn seek(&self, id: StreamId) -> usize {
        let (mut front, mut back) = (self.first, self.end());
        while front < back {
            let first = self.entry(front);
            if first.id >= id {
                break;
            }
            front = first.end();
            match self.entry_before(back) {
                Some(last) if last.id < id => return back,
                Some(last) => back = last.at,
                None => break,
            }
        }
        front
    }
}

/// An entry in its node.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub id: StreamId,
    /// Whether it is not deleted.
    pub live: bool,
    /// Its position in the node.
    pub(super) at: usize,
    block: &'a [u8],
    /// Where its names are, when they are the master entry's.
    names: Option<usize>,
    /// Where its values are, or its names and values in turn.
    body: usize,
    fields: usize,
}

impl<'a> Entry<'a> {
    /// How many names, or values.
    pub fn len(&self) -> usize {
        self.fields
    }

    /// Whether it has none, which only a payload from outside can bring about.
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Its names and values.
    pub fn fields(&self) -> Fields<'a> {
        Fields { block: self.block, names: self.names, at: self.body, left: self.fields }
    }

    /// The position behind it.
    pub(super) fn end(&self) -> usize {
        let elements = if self.names.is_some() { self.fields } else { 2 * self.fields };
        skip(self.block, self.body, elements + 1)
    }
}

/// Names and values of an entry.
pub struct Fields<'a> {
    block: &'a [u8],
    names: Option<usize>,
    at: usize,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Element<'a>, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name_at = self.names.unwrap_or(self.at);
        let name = element(self.block, name_at);
        match &mut self.names {
            Some(names) => *names = behind(self.block, name_at),
            None => self.at = behind(self.block, name_at),
        }
        let value = element(self.block, self.at);
        self.at = behind(self.block, self.at);
        Some((name, value))
    }
}
