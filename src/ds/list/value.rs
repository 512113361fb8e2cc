//! A list in either encoding, and when it changes from one to the other.

use super::change::{Wanted, remove_from_pack};
use super::node::{Node, Saved};
use super::quicklist::{Quicklist, walk_pack};
use super::{End, Limits};
use crate::ds::listpack::{Element, Listpack};
use crate::ds::malloc::{fitted, malloc_size};
use std::ops::ControlFlow;

/// See the module's text.
///
/// Before a change that adds, a command calls [`List::make_room`]; after one that removes, [`List::shrink`].
#[derive(Clone, Debug)]
pub struct List(Form);

#[derive(Clone, Debug)]
enum Form {
    Pack(Listpack),
    Quick(Box<Quicklist>),
}

const _: () = assert!(size_of::<List>() == 16);

impl Default for List {
    fn default() -> List {
        List::new()
    }
}

impl List {
    /// An empty list.
    pub fn new() -> List {
        List(Form::Pack(Listpack::new()))
    }

    /// How many elements.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Pack(pack) => pack.len(),
            Form::Quick(list) => list.len(),
        }
    }

    /// Whether it holds nothing, so that its key goes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Pack(pack) => pack.is_empty(),
            Form::Quick(list) => list.len() == 0,
        }
    }

    /// Bytes that it takes beside its entry, as allocated. O(1): asked around every write.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Form::Pack(pack) => malloc_size(pack.bytes()),
            Form::Quick(list) => list.heap_bytes(),
        }
    }

    /// Its encoding by Redis's name.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Pack(_) => "listpack",
            Form::Quick(list) if list.is_pack() => "listpack",
            Form::Quick(_) => "quicklist",
        }
    }

    /// Its nodes, or one for a listpack.
    pub fn nodes(&self) -> usize {
        match &self.0 {
            Form::Pack(_) => 1,
            Form::Quick(list) => list.nodes(),
        }
    }

    /// Becomes a quicklist if `count` texts of `bytes` bytes in all would be too much for one node.
    #[inline]
    pub fn make_room(&mut self, bytes: usize, count: usize, limits: Limits) {
        if let Form::Quick(list) = &self.0
            && list.is_pack()
        {
            self.catch_up(bytes, count, limits);
        }
        match &mut self.0 {
            Form::Pack(pack) if limits.exceeded(pack.bytes() + bytes, pack.len() + count) => {
                let pack = std::mem::take(pack);
                let mut list = Quicklist::new(limits);
                if !pack.is_empty() {
                    list.push_node(Node::of(pack));
                }
                self.0 = Form::Quick(Box::new(list));
            }
            Form::Pack(_) => {}
            // What DEBUG has set is for all lists; the knobs a list keeps as it has found them, as in Redis.
            Form::Quick(list) => list.set_packed_from(limits.packed_from),
        }
    }

    /// Becomes a listpack if what was removed left one node, at most half full.
    #[inline]
    pub fn shrink(&mut self, limits: Limits) {
        self.settle(limits, true);
    }

    fn settle(&mut self, limits: Limits, shrunk: bool) {
        let Form::Quick(list) = &mut self.0 else { return };
        if list.is_pack() {
            return self.catch_up(0, 0, limits);
        }
        if list.nodes() != 1 || !limits.suits_listpack(list.node(0).bytes(), list.len(), shrunk) {
            return;
        }
        if list.cut.is_some() {
            if !list.node(0).is_plain() {
                list.set_pack(None);
            }
            return;
        }
        let list = std::mem::replace(&mut **list, Quicklist::new(limits));
        self.0 = match list.into_listpack() {
            Ok(pack) => Form::Pack(pack),
            Err(list) => Form::Quick(Box::new(list)),
        };
    }

    /// A list of nodes that would be a listpack did not a cut need them is about to take texts: it becomes one when the cut has ended, and
    /// is none when they are too much for it. Not when the cut ends: nobody takes the weight of the list anew then.
    #[cold]
    fn catch_up(&mut self, bytes: usize, count: usize, limits: Limits) {
        let Form::Quick(list) = &mut self.0 else { return };
        if list.cut.is_none() {
            self.0 = Form::Pack(list.to_listpack());
        } else if limits.exceeded(list.content_bytes() + bytes, list.len() + count) {
            list.set_pack(Some(limits));
        }
    }

    /// From now on a list of nodes keeps those from this rank on as they are now: [`List::give`] gives them. Whether it is one.
    pub fn begin_cut(&mut self, from: u64) -> bool {
        match &mut self.0 {
            Form::Pack(_) => false,
            Form::Quick(list) => {
                list.begin_cut(from);
                true
            }
        }
    }

    /// Gives the next node of the cut.
    pub fn give(&mut self, f: impl FnOnce(Saved<'_>)) {
        if let Form::Quick(list) = &mut self.0 {
            list.give(f);
        }
    }

    /// All of the cut has been given, or nobody wants the rest.
    pub fn end_cut(&mut self) {
        if let Form::Quick(list) = &mut self.0 {
            list.end_cut();
        }
    }

    /// Bytes that are kept for a cut. They are not among [`List::heap_bytes`].
    pub fn cut_bytes(&self) -> usize {
        match &self.0 {
            Form::Pack(_) => 0,
            Form::Quick(list) => list.cut_bytes(),
        }
    }

    /// Adds an element at an end.
    #[inline]
    pub fn push(&mut self, end: End, element: Element<'_>) {
        match (&mut self.0, end) {
            (Form::Pack(pack), End::Front) => pack.push_front(element),
            (Form::Pack(pack), End::Back) => pack.push_back(element),
            (Form::Quick(list), _) => list.push(end, element),
        }
    }

    /// Adds several, one after the other, at an end.
    pub fn push_all<'a>(&mut self, end: End, elements: impl Iterator<Item = Element<'a>>) {
        let pack = match &mut self.0 {
            Form::Quick(list) => return elements.for_each(|element| list.push(end, element)),
            Form::Pack(pack) => pack,
        };
        let mut elements: Vec<Element<'a>> = elements.collect();
        let at = match end {
            End::Back => pack.end(),
            End::Front => {
                elements.reverse();
                pack.first().unwrap_or(pack.end())
            }
        };
        pack.insert_all(at, &elements);
    }

    /// Takes an element from an end; `f` sees it before. None when there is none.
    #[inline]
    pub fn pop<R>(&mut self, end: End, f: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        match &mut self.0 {
            Form::Pack(pack) => {
                let at = match end {
                    End::Front => pack.first(),
                    End::Back => pack.last(),
                }?;
                let result = f(pack.get(at));
                pack.remove(at, 1);
                Some(result)
            }
            Form::Quick(list) => list.pop(end, f),
        }
    }

    /// Lets `f` see the elements from `from` on until it breaks: towards the back if `start` is the front, else towards the
    /// front.
    pub fn walk(&self, from: usize, start: End, mut f: impl FnMut(Element<'_>) -> ControlFlow<()>) {
        let _ = match &self.0 {
            Form::Pack(pack) => walk_pack(pack, Some(from), start, &mut f),
            Form::Quick(list) => list.walk(from, start, &mut f),
        };
    }

    /// Lets `f` see up to `count` elements from `from` on; `start` as in [`List::walk`].
    pub fn each(&self, from: usize, count: usize, start: End, mut f: impl FnMut(Element<'_>)) {
        let mut left = count;
        if left == 0 {
            return;
        }
        self.walk(from, start, |element| {
            f(element);
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }

    /// The place of the first element with this text.
    pub fn position(&self, text: &[u8]) -> Option<usize> {
        let mut found = None;
        self.matches(text, usize::MAX, End::Front, |index| {
            found = Some(index);
            ControlFlow::Break(())
        });
        found
    }

    /// Lets `f` see the places of the elements with this text, seen from an end, until it breaks. At most `most` elements are
    /// looked at.
    pub fn matches(&self, text: &[u8], most: usize, start: End, mut f: impl FnMut(usize) -> ControlFlow<()>) {
        let from = if start == End::Front { 0 } else { self.len().saturating_sub(1) };
        let mut left = most;
        if left == 0 {
            return;
        }
        let wanted = Wanted::new(text);
        let mut index = from;
        self.walk(from, start, |element| {
            if wanted.is(element) {
                f(index)?;
            }
            index = if start == End::Front { index + 1 } else { index.wrapping_sub(1) };
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }

    /// Writes another element over the one at `index`; false when there is none.
    pub fn replace(&mut self, index: usize, element: Element<'_>) -> bool {
        match &mut self.0 {
            Form::Pack(pack) => match pack.seek(index as i64) {
                Some(at) => pack.replace(at, element),
                None => return false,
            },
            Form::Quick(list) if index < list.len() => list.replace(index, element),
            Form::Quick(_) => return false,
        }
        true
    }

    /// Adds an element before the one at `index` or, if `after`, behind it.
    pub fn insert(&mut self, index: usize, after: bool, element: Element<'_>) {
        match &mut self.0 {
            Form::Pack(pack) => {
                let at = pack.seek((index + usize::from(after)) as i64).unwrap_or(pack.end());
                pack.insert(at, element);
            }
            Form::Quick(list) => list.insert(index, after, element),
        }
    }

    /// Removes up to `most` elements from `index` on.
    pub fn remove(&mut self, index: usize, most: usize) {
        match &mut self.0 {
            Form::Pack(pack) => {
                if let Some(at) = pack.seek(index as i64) {
                    pack.remove(at, most);
                }
            }
            Form::Quick(list) => list.remove(index, most),
        }
    }

    /// Removes up to `most` elements with this text, seen from an end; how many.
    pub fn remove_equal(&mut self, text: &[u8], end: End, most: usize) -> usize {
        let wanted = Wanted::new(text);
        match &mut self.0 {
            Form::Pack(pack) => remove_from_pack(pack, wanted, end, most),
            Form::Quick(list) => list.remove_equal(wanted, end, most),
        }
    }

    /// Lets `f` see the nodes from this rank on as RDB saves them, until it returns false.
    pub fn save(&self, from: usize, mut f: impl FnMut(Saved<'_>) -> bool) {
        match &self.0 {
            Form::Pack(pack) => _ = f(Saved::Whole { bytes: pack.as_bytes(), plain: false }),
            Form::Quick(list) => _ = list.iter_from(from).all(|node| f(node.saved())),
        }
    }

    /// Whether all counts and sums are right.
    #[cfg(test)]
    pub(super) fn check(&self) {
        if let Form::Quick(list) = &self.0 {
            list.check();
        }
    }
}

/// The largest node that is taken as it is, in bytes.
const PACK_MAX: usize = 1 << 20;

/// A list that is made of what was saved.
pub struct Builder {
    list: Quicklist,
}

impl Builder {
    /// Starts with nothing.
    pub fn new(limits: Limits) -> Builder {
        Builder { list: Quicklist::new(limits) }
    }

    /// Adds an element.
    pub fn push(&mut self, element: Element<'_>) {
        self.list.push(End::Back, element);
    }

    /// Adds a whole node of elements; what no Redis would make is dealt out anew. An empty one adds nothing.
    pub fn push_pack(&mut self, pack: Listpack) {
        if pack.bytes() > PACK_MAX {
            pack.iter().for_each(|element| self.push(element));
        } else if !pack.is_empty() {
            self.list.push_node(Node::of(pack));
        }
    }

    /// Adds a large element in a node of its own.
    pub fn push_plain(&mut self, text: Vec<u8>) {
        self.list.push_node(Node::Plain(fitted(text)));
    }

    /// The list, in the encoding that is its due.
    pub fn finish(self) -> List {
        let limits = self.list.limits();
        let mut list = List(Form::Quick(Box::new(self.list)));
        if list.is_empty() {
            return List::new();
        }
        list.settle(limits, false);
        list
    }
}
