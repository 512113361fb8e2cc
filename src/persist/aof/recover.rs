//! How far the logs of a generation go together: a transaction is in all of its participants' logs or in none.
//!
//! ```text
//!  shard 0   a  T1  b  T2  c            T2 is not in shard 1's log, which was torn in front of it: shard 0 is cut there, and
//!  shard 1   d  T1  T3  |               with T2 goes c, which may rest on it
//!  shard 2   T3  e                      T3 stays: it is in both
//! ```
//! What is cut off may hold parts of further transactions, which then are not whole either, and so on: to a fixpoint. Two
//! consistent sets of cuts have a consistent union, so there is a largest one; each step here cuts only what no consistent
//! set can hold, so this finds it. Cost: the parts sorted once, then each is cut at most once.

use super::scan::Frame;
use crate::store::ShardSet;
use crate::store::log::Part;
use std::collections::HashMap;

/// What a scan found in one shard's file, as far as recovery needs it: 32 bytes for each part of a transaction, none for
/// other frames.
#[derive(Clone, Debug)]
pub struct Log {
    shard: usize,
    frames: u64,
    /// Where the last frame ends.
    end: u64,
    parts: Vec<Mark>,
    sets: Vec<ShardSet>,
    numbers: HashMap<ShardSet, u32>,
}

/// A part of a transaction.
#[derive(Clone, Copy, Debug)]
struct Mark {
    id: u64,
    /// Frames before it.
    frame: u64,
    /// Where the frame before it ends.
    cut: u64,
    /// The number of its participants' set.
    set: u32,
}

/// How much of a shard's file stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    pub shard: usize,
    /// Where the file is to be cut: the end of the last frame that stays.
    pub end: u64,
    /// Frames that stay.
    pub frames: u64,
    /// Whole frames that go.
    pub dropped_frames: u64,
    /// Bytes of the file from the cut to the end of the last whole frame.
    pub dropped_bytes: u64,
    /// The transactions whose parts go, in the order of the log.
    pub dropped_transactions: Vec<u64>,
}

impl Log {
    /// The log of a shard, empty so far. A file that never came to its first frame stays so.
    pub fn new(shard: usize) -> Log {
        Log { shard, frames: 0, end: 0, parts: Vec::new(), sets: Vec::new(), numbers: HashMap::new() }
    }

    /// The file's next frame.
    pub fn push(&mut self, frame: &Frame<'_>) {
        self.push_mark(frame.end, frame.part.as_ref());
    }

    /// The file's next frame: where it ends, and the part that it is.
    pub fn push_mark(&mut self, end: u64, part: Option<&Part>) {
        if let Some(part) = part {
            let set = *self.numbers.entry(part.participants).or_insert(self.sets.len() as u32);
            if set as usize == self.sets.len() {
                self.sets.push(part.participants);
            }
            self.parts.push(Mark { id: part.id, frame: self.frames, cut: self.end, set });
        }
        self.frames += 1;
        self.end = end;
    }

    /// The log as it is when the first `parts` parts stay.
    fn cut(&self, parts: usize) -> Cut {
        let dropped = &self.parts[parts..];
        let (frames, end) = dropped.first().map_or((self.frames, self.end), |mark| (mark.frame, mark.cut));
        Cut {
            shard: self.shard,
            end,
            frames,
            dropped_frames: self.frames - frames,
            dropped_bytes: self.end - end,
            dropped_transactions: dropped.iter().map(|mark| mark.id).collect(),
        }
    }
}

/// Where the files of one generation have to be cut, in the order of `logs`, which hold each shard once.
///
/// When a file of a generation loses anything, what follows that generation (later generations, operations on the whole
/// keyspace) rests on what is lost: the caller drops it too, or refuses.
pub fn recover(logs: &[Log]) -> Vec<Cut> {
    let mut fix = Fixpoint::new(logs);
    let mut from = 0;
    while from < fix.places.len() {
        let end = fix.end_of(from);
        if !fix.is_whole(from..end) {
            fix.drop(from);
            fix.settle();
        }
        from = end;
    }
    logs.iter().zip(&fix.stay).map(|(log, parts)| log.cut(*parts)).collect()
}

/// Where a part is: the transaction, the log, the number of the part there.
type Place = (u64, u32, u32);

struct Fixpoint<'a> {
    logs: &'a [Log],
    /// All parts, those of a transaction next to each other.
    places: Vec<Place>,
    /// How many parts of each log stay.
    stay: Vec<usize>,
    /// Transactions that lost a part.
    broken: Vec<u64>,
}

impl<'a> Fixpoint<'a> {
    fn new(logs: &'a [Log]) -> Fixpoint<'a> {
        let parts = |(i, log): (usize, &'a Log)| {
            log.parts.iter().enumerate().map(move |(n, mark)| (mark.id, i as u32, n as u32))
        };
        let mut places: Vec<Place> = logs.iter().enumerate().flat_map(parts).collect();
        places.sort_unstable();
        let stay = logs.iter().map(|log| log.parts.len()).collect();
        Fixpoint { logs, places, stay, broken: Vec::new() }
    }

    /// The end of the transaction that begins at `from`.
    fn end_of(&self, from: usize) -> usize {
        let id = self.places[from].0;
        from + self.places[from..].iter().take_while(|place| place.0 == id).count()
    }

    /// Whether all participants have a part.
    fn is_whole(&self, transaction: std::ops::Range<usize>) -> bool {
        let (mut present, mut participants) = (ShardSet::EMPTY, ShardSet::EMPTY);
        for &(_, log, part) in &self.places[transaction] {
            let log = &self.logs[log as usize];
            present.insert(log.shard);
            participants.add(&log.sets[log.parts[part as usize].set as usize]);
        }
        present.covers(&participants)
    }

    /// Cuts all logs in front of the transaction that begins at `from`.
    fn drop(&mut self, from: usize) {
        for at in from..self.end_of(from) {
            let (_, log, part) = self.places[at];
            let (log, part) = (log as usize, part as usize);
            if part < self.stay[log] {
                self.broken.extend(self.logs[log].parts[part..self.stay[log]].iter().map(|mark| mark.id));
                self.stay[log] = part;
            }
        }
    }

    /// Cuts until every transaction that lost a part is gone everywhere.
    fn settle(&mut self) {
        while let Some(id) = self.broken.pop() {
            self.drop(self.places.partition_point(|place| place.0 < id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};

    /// A shard's frames: the transaction of each, if it is a part of one.
    type History = Vec<Option<Part>>;

    const FRAME: u64 = 100;

    fn logs(histories: &[History]) -> Vec<Log> {
        let log = |(shard, history): (usize, &History)| {
            let mut log = Log::new(shard);
            // Frames do not begin where the one before ends: there is padding.
            history
                .iter()
                .enumerate()
                .for_each(|(i, part)| log.push_mark(i as u64 * FRAME + 60, part.as_ref()));
            log
        };
        histories.iter().enumerate().map(log).collect()
    }

    /// Whether the first `keep` frames of each history hold every transaction whole or not at all.
    fn consistent(histories: &[History], keep: &[usize]) -> bool {
        let kept = |shard: usize, id| histories[shard][..keep[shard]].iter().flatten().any(|p| p.id == id);
        let all = histories.iter().zip(keep).flat_map(|(history, keep)| history[..*keep].iter().flatten());
        all.into_iter().all(|part| part.participants.iter().all(|s| s < histories.len() && kept(s, part.id)))
    }

    /// The largest consistent cut, found by trying all.
    fn largest(histories: &[History]) -> Vec<usize> {
        let mut best = vec![0; histories.len()];
        let mut keep = best.clone();
        loop {
            if consistent(histories, &keep) {
                best.iter_mut().zip(&keep).for_each(|(best, keep)| *best = (*best).max(*keep));
            }
            let Some(shard) = (0..keep.len()).find(|s| keep[*s] < histories[*s].len()) else { break };
            keep[shard] += 1;
            keep[..shard].fill(0);
        }
        assert!(consistent(histories, &best), "consistent cuts have a consistent union");
        best
    }

    /// What shards logged that ran transactions and other commands, cut somewhere.
    fn random_histories(state: &mut u64) -> Vec<History> {
        let mut below = |n: usize| (xorshift(state) % n as u64) as usize;
        let shards = 1 + below(4);
        let mut histories = vec![History::new(); shards];
        for id in 0..below(9) as u64 {
            let mut participants = ShardSet::EMPTY;
            (0..1 + below(shards)).for_each(|_| participants.insert(below(shards)));
            let part = Part { id: id.wrapping_mul(0x9e37_79b9), participants };
            participants.iter().for_each(|s| histories[s].push(Some(part)));
            histories[below(shards)].push(None);
        }
        for history in &mut histories {
            let len = history.len();
            match below(4) {
                0 => history.truncate(below(len + 1)),
                1 => history.truncate(len.saturating_sub(below(3))),
                _ => {}
            }
            history.truncate(8);
        }
        histories
    }

    #[test]
    fn the_largest_consistent_cut_is_found() {
        let mut state = seeded(5);
        for round in 0..1_500 {
            let histories = random_histories(&mut state);
            let cuts = recover(&logs(&histories));
            let keep: Vec<usize> = cuts.iter().map(|cut| cut.frames as usize).collect();
            assert_eq!(keep, largest(&histories), "round {round}: {histories:?}");
            for (cut, history) in cuts.iter().zip(&histories) {
                let (all, kept) = (history.len() as u64, cut.frames);
                let end = |frames: u64| frames.checked_sub(1).map_or(0, |last| last * FRAME + 60);
                assert_eq!((cut.end, cut.dropped_frames), (end(kept), all - kept));
                assert_eq!(cut.dropped_bytes, end(all) - end(kept));
                let dropped = history[kept as usize..].iter().flatten().map(|part| part.id);
                assert_eq!(cut.dropped_transactions, dropped.collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_chain_of_transactions_falls_as_a_whole() {
        // Transaction i is at shards i and i + 1; the last shard lost its part of the last one.
        let shards = 512;
        let mut histories = vec![History::new(); shards];
        for i in (0..shards - 1).rev() {
            let part = Part { id: i as u64, participants: ShardSet::range(i, i + 2) };
            histories[i].push(Some(part));
            histories[i + 1].push(Some(part));
        }
        assert!(recover(&logs(&histories)).iter().all(|cut| cut.dropped_frames == 0));
        histories[shards - 1].clear();
        let cuts = recover(&logs(&histories));
        assert!(cuts.iter().all(|cut| cut.frames == 0));
        assert_eq!(cuts[3].dropped_transactions, [3, 2]);
    }

    #[test]
    fn a_participant_without_a_log_is_one_that_lost_everything() {
        let part = Part { id: 1, participants: ShardSet::all(2) };
        let mut log = Log::new(0);
        log.push_mark(60, None);
        log.push_mark(160, Some(&part));
        let cuts = recover(&[log.clone()]);
        assert_eq!((cuts[0].end, cuts[0].frames, cuts[0].dropped_bytes), (60, 1, 100));
        assert_eq!(recover(&[log, Log::new(1)])[0], cuts[0]);
        assert!(recover(&[]).is_empty());
    }
}
