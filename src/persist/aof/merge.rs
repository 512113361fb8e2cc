//! The order in which frames of several shards are shown: each shard's own order, and the parts of a transaction together.
//!
//! ```text
//!  shard 0   a  T1  b            a, c, T1 (0), T1 (1), b, d
//!  shard 1   c  T1  d            by the time they tell (`#TS:`), else the lower shard first
//! ```
//! A part waits until all participants have come to theirs. Where that cannot be, since a log was cut, the lowest shard
//! goes on alone.

use super::commands::{Commands, Item};
use super::scan::Frame;
use crate::store::SHARDS_MAX;
use crate::store::log::Part;

/// A frame that waits for its turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// Where it begins in its file.
    pub offset: u64,
    pub sequence: u64,
    pub payload: Vec<u8>,
    pub part: Option<Part>,
}

impl From<&Frame<'_>> for Held {
    fn from(frame: &Frame<'_>) -> Held {
        let Frame { offset, sequence, part, payload, .. } = *frame;
        Held { offset, sequence, payload: payload.to_vec(), part }
    }
}

/// What comes next.
#[derive(PartialEq, Eq, Debug)]
pub enum Turn {
    /// The next frame of this file has to be fed.
    Feed(usize),
    /// This file's frame.
    Show(usize, Held),
    Done,
}

/// One file.
struct Head {
    shard: usize,
    held: Option<Held>,
    ended: bool,
    /// Unix seconds, as it last told.
    time: i64,
}

/// Merges the files of a generation, one frame of each in memory.
pub struct Merge {
    heads: Vec<Head>,
    /// From a shard to its file.
    files: Vec<Option<usize>>,
    /// Files whose frames are the next to show: parts of one transaction.
    together: Vec<usize>,
}

impl Merge {
    /// A merge of files of these shards.
    pub fn new(shards: impl IntoIterator<Item = usize>) -> Merge {
        let head = |shard| Head { shard, held: None, ended: false, time: 0 };
        let heads: Vec<Head> = shards.into_iter().map(head).collect();
        let mut files = vec![None; SHARDS_MAX];
        heads.iter().enumerate().for_each(|(file, head)| files[head.shard] = Some(file));
        Merge { heads, files, together: Vec::new() }
    }

    /// The next frame of a file, or its end.
    pub fn feed(&mut self, file: usize, frame: Option<Held>) {
        let head = &mut self.heads[file];
        head.ended = frame.is_none();
        if let Some(time) = frame.as_ref().and_then(|held| first_time(&held.payload)) {
            head.time = time;
        }
        head.held = frame;
    }

    /// What comes next.
    pub fn next_turn(&mut self) -> Turn {
        if self.together.is_empty() {
            if let Some(file) = self.heads.iter().position(|head| head.held.is_none() && !head.ended) {
                return Turn::Feed(file);
            }
            self.choose();
        }
        let next = self.together.pop().and_then(|file| Some((file, self.heads[file].held.take()?)));
        next.map_or(Turn::Done, |(file, held)| Turn::Show(file, held))
    }

    /// Chooses among the frames at hand.
    fn choose(&mut self) {
        let waiting = || (0..self.heads.len()).filter(|file| self.heads[*file].held.is_some());
        let ready = waiting().filter_map(|file| Some((file, self.group(file)?)));
        let earliest = ready.min_by_key(|(file, group)| {
            let time = group.iter().map(|file| self.heads[*file].time).max();
            (time, self.heads[*file].shard)
        });
        let group = earliest.map(|(_, group)| group).or_else(|| waiting().next().map(|file| vec![file]));
        self.together = group.unwrap_or_default();
        // They are popped from the end: the lowest shard first.
        self.together.sort_unstable_by_key(|file| std::cmp::Reverse(self.heads[*file].shard));
    }

    /// The files to show with this one; none while a participant has not come to its part.
    fn group(&self, file: usize) -> Option<Vec<usize>> {
        let Some(part) = self.heads[file].held.as_ref()?.part else { return Some(vec![file]) };
        let at_part = |file: &usize| {
            self.heads[*file].held.as_ref().and_then(|held| held.part).is_some_and(|p| p.id == part.id)
        };
        part.participants.iter().map(|shard| self.files[shard].filter(at_part)).collect()
    }
}

fn first_time(payload: &[u8]) -> Option<i64> {
    let mut commands = Commands::new(i64::MAX);
    match commands.next(payload) {
        Ok(Some(Item::Time(secs))) => Some(secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ShardSet;
    use std::collections::VecDeque;

    /// Its id and participants.
    type Transaction<'a> = Option<(u64, &'a [usize])>;

    fn frame(sequence: u64, time: i64, part: Transaction<'_>) -> Held {
        let part = part.map(|(id, shards)| {
            let mut participants = ShardSet::EMPTY;
            shards.iter().for_each(|s| participants.insert(*s));
            Part { id, participants }
        });
        let payload = if time == 0 { Vec::new() } else { format!("#TS:{time}\r\n").into_bytes() };
        Held { offset: 0, sequence, payload, part }
    }

    fn merged(files: Vec<Vec<Held>>) -> Vec<(usize, u64)> {
        let mut files: Vec<VecDeque<Held>> = files.into_iter().map(VecDeque::from).collect();
        let mut merge = Merge::new(0..files.len());
        let mut shown = Vec::new();
        loop {
            match merge.next_turn() {
                Turn::Feed(file) => merge.feed(file, files[file].pop_front()),
                Turn::Show(file, held) => shown.push((file, held.sequence)),
                Turn::Done => return shown,
            }
        }
    }

    #[test]
    fn parts_are_shown_together_and_times_in_order() {
        let both: Transaction<'_> = Some((7, &[0, 1]));
        let shown = merged(vec![
            vec![frame(0, 5, None), frame(1, 0, both), frame(2, 0, None)],
            vec![frame(0, 3, None), frame(1, 9, both), frame(2, 0, None)],
            vec![frame(0, 4, None), frame(1, 6, None)],
        ]);
        assert_eq!(shown, [(1, 0), (2, 0), (0, 0), (2, 1), (0, 1), (1, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn what_waits_for_a_lost_part_is_shown_in_the_end() {
        let lost: Transaction<'_> = Some((1, &[0, 1]));
        let shown = merged(vec![vec![frame(0, 0, lost), frame(1, 0, None)], vec![frame(0, 0, None)]]);
        assert_eq!(shown, [(1, 0), (0, 0), (0, 1)]);
        // Parts that wait for each other.
        let (a, b): (Transaction<'_>, Transaction<'_>) = (Some((1, &[0, 1])), Some((2, &[0, 1])));
        let shown = merged(vec![vec![frame(0, 0, a), frame(1, 0, b)], vec![frame(0, 0, b), frame(1, 0, a)]]);
        assert_eq!(shown, [(0, 0), (0, 1), (1, 0), (1, 1)]);
        assert!(merged(Vec::new()).is_empty());
    }
}
