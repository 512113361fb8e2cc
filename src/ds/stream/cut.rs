//! A stream as it was at one instant, part by part, while it goes on changing: see [`crate::ds::table`] for what wants to know.
//!
//! ```text
//!  Stream     what is known of its entries, noted at the cut          nodes: an index under a cut (see `undo`)
//!  Groups     those that have gone since, by name; the names that were not there
//!  Group      noted when it is first looked up to be changed, or when its turn comes; its pending entries: an index under a cut
//!  Consumer   the same
//! ```
//! So a command keeps the nodes and the pending entries that it changes, and what little there is beside them in the group and the
//! consumers that it names; of a group all consumers' slots, 4 bytes each. Parts come in the order in which a file holds them.

use super::group::{Consumer, Group, Groups, Nack};
use super::value::Body;
use super::{Log, StreamId};
use std::collections::{BTreeMap, BTreeSet};

/// Ids of pending entries that are given at a time.
const IDS: usize = 32;

/// What is known of a stream's entries.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub len: u64,
    pub first_id: StreamId,
    pub last_id: StreamId,
    pub max_deleted: StreamId,
    pub added: u64,
    pub groups: usize,
}

impl Head {
    /// What is known now of a log, and how many groups stand beside it.
    pub fn of(log: &Log, groups: usize) -> Head {
        let (first_id, last_id) = (log.first_id(), log.last_id);
        Head { len: log.len(), first_id, last_id, max_deleted: log.max_deleted, added: log.added, groups }
    }
}

/// A part of a stream.
pub enum Part<'a> {
    /// Entries in one block, and the id that it begins with.
    Node(StreamId, &'a [u8]),
    Head(Head),
    Group {
        name: &'a [u8],
        last_id: StreamId,
        entries_read: Option<u64>,
        pending: usize,
    },
    /// A pending entry of a group.
    Nack(StreamId, &'a Nack),
    Consumers(usize),
    Consumer {
        name: &'a [u8],
        seen_ms: i64,
        pending: usize,
    },
    /// A pending entry of a consumer.
    Own(StreamId),
}

/// Who takes parts.
pub type Taker<'a> = dyn FnMut(Part<'_>) + 'a;

/// A cut under way, of a stream.
#[derive(Debug)]
pub(super) struct Cut {
    head: Head,
    head_given: bool,
}

impl Body {
    /// From now on the nodes from this one on, and all that stands behind them in a file, are kept as they are now.
    pub fn begin_cut(&mut self, from: StreamId) {
        self.cut = Some(Box::new(Cut { head: Head::of(&self.log, self.groups.len()), head_given: false }));
        self.log.begin_cut(from);
        self.groups.begin_cut();
    }

    /// Gives the next parts: a node, or some of the others; whether there are more. After the last the cut has ended.
    pub fn give(&mut self, f: &mut Taker<'_>) -> bool {
        let Some(cut) = &mut self.cut else { return false };
        let more = if self.log.is_cut() {
            self.log.give(f);
            true
        } else if !cut.head_given {
            cut.head_given = true;
            f(Part::Head(cut.head));
            cut.head.groups > 0
        } else {
            self.groups.give(f)
        };
        if !more {
            self.end_cut();
        }
        more
    }

    /// Nobody wants the rest.
    pub fn end_cut(&mut self) {
        self.cut = None;
        self.log.end_cut();
        self.groups.end_cut();
    }

    /// Bytes that are kept.
    pub fn cut_bytes(&self) -> usize {
        self.log.cut_bytes() + self.groups.cut_bytes()
    }
}

/// A cut under way, of a stream's groups.
#[derive(Debug, Default)]
pub(super) struct OldGroups {
    /// Groups that are not all given.
    left: usize,
    /// The group that was given last, and whether it goes on.
    at: Option<Box<[u8]>>,
    is_midway: bool,
    /// Groups that have gone since, by name; none: it was not there at the cut.
    gone: BTreeMap<Box<[u8]>, Option<Box<Group>>>,
    /// Bytes of those, and of what groups that are there keep.
    pub(super) bytes: usize,
}

impl OldGroups {
    /// Whether a group of this name that is there now was there at the cut, and is not all given.
    pub fn wants(&self, name: &[u8]) -> bool {
        let is_passed = self.at.as_deref().is_some_and(|at| name < at || name == at && !self.is_midway);
        !is_passed && !self.gone.contains_key(name)
    }

    /// A group of this name has gone; or has come, and none was there.
    pub fn note(&mut self, name: &[u8], gone: Option<Box<Group>>) {
        if self.wants(name) {
            self.bytes += gone.as_ref().map_or(0, |group| group.heap_bytes());
            self.gone.insert(name.into(), gone);
        }
    }
}

impl Groups {
    fn begin_cut(&mut self) {
        self.cut = Some(Box::new(OldGroups { left: self.list.len(), ..OldGroups::default() }));
    }

    fn end_cut(&mut self) {
        if self.cut.take().is_some() {
            self.list.iter_mut().for_each(|group| group.end_cut());
        }
    }

    fn cut_bytes(&self) -> usize {
        self.cut.as_ref().map_or(0, |cut| cut.bytes)
    }

    /// Gives the next parts; whether there are more.
    fn give(&mut self, f: &mut Taker<'_>) -> bool {
        let Some(mut cut) = self.cut.take() else { return false };
        if !cut.is_midway {
            (cut.at, cut.is_midway) = (self.next_of(&cut), true);
        }
        let name = cut.at.take().unwrap_or_default();
        let gone = cut.gone.get_mut(&name).map(Option::as_deref_mut);
        let is_here = gone.is_none();
        let group = gone.unwrap_or_else(|| self.live_mut(&name)).expect("a group is kept until it is given");
        let kept = group.cut_bytes();
        cut.is_midway = group.give(f);
        if is_here {
            cut.bytes = cut.bytes - kept + group.cut_bytes();
        }
        if !cut.is_midway {
            cut.left -= 1;
            let gone = cut.gone.remove(&name).flatten();
            cut.bytes -= gone.map_or(0, |group| group.heap_bytes());
        }
        cut.at = Some(name);
        let more = cut.left > 0;
        self.cut = Some(cut);
        more
    }

    /// The name of the group that is given next.
    fn next_of(&self, cut: &OldGroups) -> Option<Box<[u8]>> {
        let at = cut.at.as_deref();
        let mut gone =
            cut.gone.iter().filter(|(name, gone)| gone.is_some() && at.is_none_or(|at| at < &***name));
        let mut live = self.list[self.rank_after(at)..].iter().map(|group| group.name());
        let (gone, live) = (gone.next().map(|(name, _)| &**name), live.find(|name| cut.wants(name)));
        gone.into_iter().chain(live).min().map(Box::from)
    }
}

/// How far the parts of a group have been given.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Begin,
    Nacks,
    /// The consumer of this rank comes next.
    Consumer(usize),
    /// Its pending entries.
    Own(usize),
}

/// A cut under way, of a group.
#[derive(Debug)]
pub(super) struct OldGroup {
    last_id: StreamId,
    entries_read: Option<u64>,
    pending: usize,
    /// The slots of its consumers, by name.
    order: Vec<u32>,
    stage: Stage,
    /// Slots of consumers that came later, or have been given: nothing is kept of them.
    free: BTreeSet<u32>,
    /// Consumers that have gone since, by slot.
    gone: BTreeMap<u32, Box<Consumer>>,
    /// Bytes that consumers keep.
    bytes: usize,
}

impl OldGroup {
    /// A consumer has come into this slot.
    pub fn came(&mut self, slot: u32) {
        self.free.insert(slot);
    }

    /// A consumer has gone from this slot.
    pub fn went(&mut self, slot: u32, consumer: Box<Consumer>) {
        if !self.free.contains(&slot) {
            self.bytes += consumer.heap_bytes();
            self.gone.insert(slot, consumer);
            self.free.insert(slot);
        }
    }
}

/// A cut under way, of a consumer.
#[derive(Debug)]
pub(super) struct OldConsumer {
    seen_ms: i64,
    pending: usize,
}

impl Group {
    /// From now on the group is kept as it is now, if it is not already.
    #[cold]
    pub(super) fn begin_cut(&mut self) {
        if self.cut.is_some() {
            return;
        }
        self.pending.begin_cut(StreamId::MIN);
        self.cut = Some(Box::new(OldGroup {
            last_id: self.last_id,
            entries_read: self.entries_read,
            pending: self.pending.len(),
            order: self.order.clone(),
            stage: Stage::Begin,
            free: BTreeSet::new(),
            gone: BTreeMap::new(),
            bytes: 0,
        }));
    }

    fn end_cut(&mut self) {
        if self.cut.take().is_some() {
            self.pending.end_cut();
            self.slots.iter_mut().flatten().for_each(|consumer| consumer.end_cut());
        }
    }

    /// Bytes that are kept, without what consumers that are there note of their ids: that is less than the group does.
    pub(super) fn cut_bytes(&self) -> usize {
        let own = |cut: &OldGroup| size_of::<OldGroup>() + cut.order.len() * size_of::<u32>() + cut.bytes;
        self.cut.as_ref().map_or(0, |cut| own(cut) + self.pending.cut_bytes())
    }

    /// The consumer of a slot is about to change.
    #[cold]
    pub(super) fn keep_consumer(&mut self, slot: u32) {
        if let Some(cut) = &self.cut
            && !cut.free.contains(&slot)
            && let Some(consumer) = &mut self.slots[slot as usize]
        {
            consumer.begin_cut();
        }
    }

    /// Gives the next parts; whether there are more.
    fn give(&mut self, f: &mut Taker<'_>) -> bool {
        self.begin_cut();
        let (name, Some(cut)) = (&*self.name, &mut self.cut) else { return false };
        match cut.stage {
            Stage::Begin => {
                let OldGroup { last_id, entries_read, pending, .. } = **cut;
                f(Part::Group { name, last_id, entries_read, pending });
                cut.stage = Stage::Nacks;
            }
            Stage::Nacks if self.pending.is_cut() => {
                self.pending.give(IDS, &mut |id, nack| f(Part::Nack(id, nack)));
            }
            Stage::Nacks => {
                f(Part::Consumers(cut.order.len()));
                cut.stage = Stage::Consumer(0);
            }
            Stage::Consumer(rank) | Stage::Own(rank) => {
                let slot = cut.order[rank];
                let here = &mut self.slots[slot as usize];
                let consumer =
                    cut.gone.get_mut(&slot).or(here.as_mut()).expect("it is kept until it is given");
                if matches!(cut.stage, Stage::Consumer(_)) {
                    f(consumer.begin_cut());
                    cut.stage = Stage::Own(rank);
                } else {
                    consumer.pending.give(IDS, &mut |id, ()| f(Part::Own(id)));
                }
                if !consumer.pending.is_cut() {
                    consumer.end_cut();
                    cut.bytes -= cut.gone.remove(&slot).map_or(0, |gone| gone.heap_bytes());
                    cut.free.insert(slot);
                    cut.stage = Stage::Consumer(rank + 1);
                }
            }
        }
        let more = !matches!(cut.stage, Stage::Consumer(rank) if rank == cut.order.len());
        if !more {
            self.end_cut();
        }
        more
    }
}

impl Consumer {
    /// From now on the consumer is kept as it is now, if it is not already.
    fn begin_cut(&mut self) -> Part<'_> {
        if self.cut.is_none() {
            self.pending.begin_cut(StreamId::MIN);
        }
        let (seen_ms, pending) = (self.seen_ms, self.pending.len());
        let cut = self.cut.get_or_insert_with(|| Box::new(OldConsumer { seen_ms, pending }));
        Part::Consumer { name: &self.name, seen_ms: cut.seen_ms, pending: cut.pending }
    }

    fn end_cut(&mut self) {
        if self.cut.take().is_some() {
            self.pending.end_cut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stream;
    use super::*;

    /// Nothing is kept of groups and consumers that came after the cut, nor of those that were given.
    #[test]
    fn what_is_new_or_given_is_not_kept() {
        let mut stream = Stream::default();
        let keeps = |stream: &mut Stream, group: &[u8], consumer: &[u8]| {
            let mut edit = stream.groups.edit(group).expect("there");
            let slot = edit.find(consumer).or_else(|| edit.create(consumer, 0)).expect("made");
            (7..9).for_each(|ms| edit.assign(StreamId::new(ms, 0), slot, 0, 1));
            edit.saw(slot, 0);
            let kept = edit.cut.is_some();
            (kept, edit.consumer(slot).cut.is_some())
        };
        stream.groups.create(b"g", StreamId::MIN, None);
        assert_eq!(keeps(&mut stream, b"g", b"a"), (false, false));
        assert_eq!(keeps(&mut stream, b"g", b"z"), (false, false));
        stream.begin_cut(StreamId::MIN);
        stream.groups.create(b"a new one", StreamId::MIN, None);
        assert_eq!(keeps(&mut stream, b"a new one", b"x"), (false, false));
        assert_eq!(keeps(&mut stream, b"g", b"a new one"), (true, false));
        assert_eq!(keeps(&mut stream, b"g", b"a"), (true, true));
        let mut consumers = 0;
        while consumers < 2 {
            assert!(stream.give(&mut |part| consumers += usize::from(matches!(part, Part::Consumer { .. }))));
        }
        assert_eq!(keeps(&mut stream, b"g", b"a"), (true, false));
        assert_eq!(keeps(&mut stream, b"g", b"z"), (true, true));
        while stream.give(&mut |_| ()) {}
        assert_eq!(keeps(&mut stream, b"g", b"z"), (false, false));
        assert_eq!(stream.cut_bytes(), 0);
    }
}
