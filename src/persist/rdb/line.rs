//! The line from the shards that walk a cut to the one who writes its file.
//!
//! Each shard sees how much of its own is on the way, and waits with its walk while that is too much. What it must keep because
//! somebody writes is not held up by this: it waits in the store.
//!
//! A large value comes in several pieces, which stay together in the file: what others send meanwhile waits at the writer's end, and
//! they with their walks once that is too much.

use crate::ds::table::Kept;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// What goes over the line.
pub enum Piece {
    /// Entries of one database.
    Entries { shard: usize, db: usize, kept: Kept },
    /// This shard has sent all it has.
    Through,
    /// The file is not wanted any more.
    GivenUp,
}

struct State {
    /// By shard: bytes on the way.
    weights: Vec<AtomicUsize>,
    given_up: AtomicBool,
}

/// A shard's end.
#[derive(Clone)]
pub struct Line {
    to: Sender<Piece>,
    state: Arc<State>,
}

/// The writer's end.
pub struct Inbox {
    from: Receiver<Piece>,
    state: Arc<State>,
}

/// Pieces in an order in which they can be written.
#[derive(Default)]
pub struct Order {
    waiting: VecDeque<Piece>,
    /// The shard whose last piece goes on.
    midway: Option<usize>,
}

impl Order {
    /// A piece has come.
    pub fn push(&mut self, piece: Piece) {
        self.waiting.push_back(piece);
    }

    /// Takes the next one to write, if it has come.
    pub fn pop(&mut self) -> Option<Piece> {
        let of = |piece: &Piece| match piece {
            Piece::Entries { shard, kept, .. } => Some((*shard, kept.goes_on)),
            Piece::Through | Piece::GivenUp => None,
        };
        let at = match self.midway {
            None => 0,
            Some(midway) => {
                self.waiting.iter().position(|piece| of(piece).is_some_and(|(shard, _)| shard == midway))?
            }
        };
        let piece = self.waiting.remove(at)?;
        if let Some((shard, goes_on)) = of(&piece) {
            self.midway = goes_on.then_some(shard);
        }
        Some(piece)
    }
}

/// A line from so many shards.
pub fn line(shards: usize) -> (Line, Inbox) {
    let (to, from) = channel();
    let weights = (0..shards).map(|_| AtomicUsize::new(0)).collect();
    let state = Arc::new(State { weights, given_up: AtomicBool::new(false) });
    (Line { to, state: state.clone() }, Inbox { from, state })
}

impl Line {
    /// Sends entries. Whether there still is somebody who writes them.
    pub fn send(&self, shard: usize, db: usize, kept: Kept) -> bool {
        self.state.weights[shard].fetch_add(kept.weight(), Ordering::Relaxed);
        self.to.send(Piece::Entries { shard, db, kept }).is_ok()
    }

    /// One shard has sent all.
    pub fn through(&self) {
        // Without a writer there is nothing to finish.
        let _ = self.to.send(Piece::Through);
    }

    /// Asks the writer to stop.
    pub fn give_up(&self) {
        self.state.given_up.store(true, Ordering::Relaxed);
        let _ = self.to.send(Piece::GivenUp);
    }

    /// Bytes of a shard that are not written yet.
    pub fn weight(&self, shard: usize) -> usize {
        self.state.weights[shard].load(Ordering::Relaxed)
    }
}

impl Inbox {
    /// The next piece if one is there.
    pub fn try_next(&self) -> Option<Piece> {
        self.from.try_recv().ok()
    }

    /// Waits for the next piece; none when all shards are gone.
    pub fn next(&self) -> Option<Piece> {
        self.from.recv().ok()
    }

    /// Entries of a shard are written.
    pub fn written(&self, shard: usize, weight: usize) {
        self.state.weights[shard].fetch_sub(weight, Ordering::Relaxed);
    }

    /// Whether nobody wants the file any more.
    pub fn is_given_up(&self) -> bool {
        self.state.given_up.load(Ordering::Relaxed)
    }

    /// How many shards send.
    pub fn shards(&self) -> usize {
        self.state.weights.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_comes_before_others() {
        let piece = |shard, entries, goes_on| {
            let kept = Kept { entries, goes_on, ..Kept::default() };
            Piece::Entries { shard, db: 0, kept }
        };
        let mut order = Order::default();
        let take = |order: &mut Order| match order.pop() {
            Some(Piece::Entries { kept, .. }) => kept.entries,
            Some(Piece::Through | Piece::GivenUp) => 100,
            None => 0,
        };
        order.push(piece(0, 1, true));
        order.push(piece(1, 4, true));
        order.push(Piece::Through);
        assert_eq!([take(&mut order), take(&mut order)], [1, 0]);
        order.push(piece(0, 2, true));
        order.push(piece(0, 3, false));
        order.push(piece(1, 5, false));
        assert_eq!([0; 7].map(|_| take(&mut order)), [2, 3, 4, 5, 100, 0, 0]);
    }
}
