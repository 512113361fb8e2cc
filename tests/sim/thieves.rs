//! Other cores at work: stores that are away for a while, as if a command of theirs used them.
//!
//! In one thread a command is over before another shard moves, so no core would ever find a store away but for loans. Thieves
//! take stores between any two moves, and inside of a move whenever the core looks at its fast clock: between two commands of
//! a batch, and in the spin for a store.

use crate::net::Board;
use crate::rng::Rng;
use kring::shard::Shared;
use kring::store::Store;
use std::sync::Arc;

/// A theft lasts so many moments at most when it is over before the core looks again.
const BRIEF: usize = 4;

/// The stores that are away, and when they come back.
pub struct Thieves {
    shared: Arc<Shared>,
    rng: Rng,
    held: Vec<(Box<Store>, u64)>,
    moment: u64,
    /// How often, per thousand moments, and for how many of them at most.
    permille: usize,
    hold: usize,
}

impl Thieves {
    pub fn new(shared: Arc<Shared>, seed: u64, permille: usize, hold: usize) -> Thieves {
        Thieves { shared, rng: Rng::new(seed), held: vec![], moment: 0, permille, hold }
    }

    /// A moment passes: stores come back, and while `open` others go.
    pub fn moment(&mut self, board: &Board, open: bool) {
        self.moment += 1;
        let now = self.moment;
        for (store, _) in self.held.extract_if(.., |(_, until)| *until <= now) {
            let shard = store.shard();
            board.call(shard, self.shared.cells[shard].put(store));
        }
        if open && self.rng.permille(self.permille) {
            let shard = self.rng.below(self.shared.cells.len());
            let most = self.rng.pick(&[BRIEF, self.hold]);
            let cell = &self.shared.cells[shard];
            let wanted = cell.is_wanted();
            if let Some(store) = cell.take() {
                assert!(!wanted, "the owner of store {shard} waits for it, and another core gets it");
                self.held.push((store, now + 1 + self.rng.below(most) as u64));
            }
        }
    }

    /// How many stores are away.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}
