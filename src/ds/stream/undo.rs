//! What an index held at one instant, while it goes on changing: what was under an id is noted before it changes for the first time, and
//! giving all of it merges the notes with what is still as it was.
//!
//! Ids above the highest of that instant, and those that were given already, are nobody's concern: an append to a log notes nothing but
//! the node that it writes into.

use super::{Index, StreamId};
use std::collections::BTreeMap;

/// What an index holds under its ids.
pub trait Item: Clone {
    /// Bytes that it takes elsewhere.
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl Item for () {}
#[cfg(test)]
impl Item for u64 {}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Undo<V> {
    /// The lowest id that was not given yet, and the highest that was there.
    next: StreamId,
    last: StreamId,
    /// What was under ids that have changed; none: nothing was.
    notes: BTreeMap<StreamId, Option<V>>,
    bytes: usize,
}

impl<V: Item> Undo<V> {
    fn weight(note: Option<&V>) -> usize {
        size_of::<(StreamId, Option<V>)>() + note.map_or(0, V::heap_bytes)
    }

    fn wants(&self, id: StreamId) -> bool {
        (self.next..=self.last).contains(&id) && !self.notes.contains_key(&id)
    }

    fn note(&mut self, id: StreamId, was: Option<V>) {
        self.bytes += Undo::weight(was.as_ref());
        self.notes.insert(id, was);
    }
}

impl<V: Item> Index<V> {
    /// From now on what is under ids from this one on is kept as it is now, until it is given or the cut ends.
    pub fn begin_cut(&mut self, from: StreamId) {
        let last = self.last().map(|(id, _)| *id);
        let Some(last) = last.filter(|last| *last >= from) else { return };
        self.undo = Some(Box::new(Undo { next: from, last, notes: BTreeMap::new(), bytes: 0 }));
    }

    /// Nobody wants the rest.
    pub fn end_cut(&mut self) {
        self.undo = None;
    }

    /// Bytes that are kept.
    pub fn cut_bytes(&self) -> usize {
        self.undo.as_ref().map_or(0, |undo| undo.bytes)
    }

    /// What is under an id is about to change, or to go.
    #[cold]
    pub(super) fn keep(&mut self, id: StreamId) {
        if self.undo.as_ref().is_some_and(|undo| undo.wants(id)) {
            let was = self.get(id).cloned();
            self.keep_gone(id, was);
        }
    }

    /// The same of what has gone.
    #[cold]
    pub(super) fn keep_gone(&mut self, id: StreamId, was: Option<V>) {
        if let Some(undo) = self.undo.as_mut().filter(|undo| undo.wants(id)) {
            undo.note(id, was);
        }
    }

    /// Whether there is something that was not given.
    pub fn is_cut(&self) -> bool {
        self.undo.is_some()
    }

    /// Gives up to `most` of the next ids of the cut, and one at least. After the last the cut has ended.
    pub fn give(&mut self, most: usize, f: &mut dyn FnMut(StreamId, &V)) {
        let mut given = false;
        while !given && let Some(undo) = &mut self.undo {
            let live = self.root.from(undo.next);
            let noted = undo.notes.first_key_value().map(|(id, _)| *id);
            let end = match noted {
                Some(id) if live.first().is_none_or(|(first, _)| id <= *first) => {
                    let was = undo.notes.remove(&id).flatten();
                    undo.bytes -= Undo::weight(was.as_ref());
                    was.iter().for_each(|was| f(id, was));
                    given = was.is_some();
                    id
                }
                _ => {
                    let is_old = |id| id <= undo.last && noted.is_none_or(|noted| id < noted);
                    let old = live.iter().take(most).take_while(|(id, _)| is_old(*id));
                    given = true;
                    old.inspect(|(id, item)| f(*id, item)).last().expect("what was there is, or is noted").0
                }
            };
            match end.next().filter(|_| end < undo.last) {
                Some(next) => undo.next = next,
                None => self.undo = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};

    #[test]
    fn what_was_there_is_given_whatever_becomes_of_the_index() {
        for seed in 0..if cfg!(miri) { 3 } else { 300 } {
            let mut rng = seeded(seed + 1);
            let mut below = |n: u64| xorshift(&mut rng) % n;
            let spread = [10, 100, 1_500][seed as usize % 3];
            let mut index: Index<u64> = Index::default();
            for n in 0..below(spread) {
                index.insert(StreamId::new(below(spread), 0), n);
            }
            let from = StreamId::new(below(spread) / 2, 0);
            let expected: Vec<_> = index.iter_from(from).map(|(id, n)| (id, *n)).collect();
            index.begin_cut(from);
            let (mut found, pace) = (Vec::new(), below(30));
            while index.is_cut() {
                for step in 0..pace {
                    let id = StreamId::new(below(spread + 5), below(2) * below(2));
                    match below(7) {
                        0 | 1 => _ = index.insert(id, step),
                        2 => _ = index.remove(id),
                        3 => _ = index.discard(id, |_| ()),
                        4 => index.get_mut(id).into_iter().for_each(|n| *n += 1_000),
                        5 => index.last_mut().into_iter().for_each(|(_, n)| *n += 1_000),
                        _ => _ = index.discard(index.first().map_or(id, |first| first.0), |_| ()),
                    }
                }
                let before = found.len();
                index.give(1 + below(40) as usize, &mut |id, n| found.push((id, *n)));
                assert!(found.len() > before || found == expected, "it comes on");
            }
            assert!(found == expected && index.cut_bytes() == 0, "seed {seed}");
        }
    }

    /// An append is above all that was there, and what was given is nobody's concern: neither is noted.
    #[test]
    fn what_is_new_is_not_noted() {
        let mut index: Index<u64> = Index::default();
        let insert =
            |index: &mut Index<u64>, n, seq| assert_eq!(index.insert(StreamId::new(n, seq), n), None);
        let remove = |index: &mut Index<u64>, n| assert_eq!(index.remove(StreamId::new(n, 0)), Some(n));
        (0..100).for_each(|n| insert(&mut index, n, 0));
        index.begin_cut(StreamId::new(10, 0));
        (90..200).for_each(|n| insert(&mut index, n, 1));
        let gaps = index.cut_bytes();
        assert!(gaps > 0 && gaps < 10 * 50, "{gaps}");
        (0..10).for_each(|n| remove(&mut index, n));
        assert_eq!(index.cut_bytes(), gaps);
        index.give(5, &mut |_, _| ());
        (10..15).for_each(|n| remove(&mut index, n));
        assert_eq!(index.cut_bytes(), gaps);
        remove(&mut index, 15);
        assert!(index.cut_bytes() > gaps);
        index.end_cut();
        assert_eq!(index.cut_bytes(), 0);
    }
}
