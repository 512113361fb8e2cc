//! Other cores at work: stores that are away for a while, as if a command of theirs used them.
//!
//! In one thread a command is over before another shard moves, so no core would ever find a store away but for loans. Thieves
//! take stores between any two moves, and inside of a move whenever the core looks at its fast clock: between two commands of
//! a batch, and in the spin for a store. At such moments also somebody passes by who takes the stores of a group of keys that only
//! MSET and EXEC write, and looks at it: it must be whole, which shows a store that is put back within a call.

use crate::net::Board;
use crate::rng::Rng;
use crate::script::{Topics, group_keys};
use kring::ds::View;
use kring::shard::Shared;
use kring::store::{ShardSet, Store, Value};
use std::sync::Arc;

/// A theft lasts so many moments at most when it is over before the core looks again.
const BRIEF: usize = 4;
/// Per thousand moments: somebody looks at a group.
const LOOKS: usize = 60;

/// The stores that are away, and when they come back.
pub struct Thieves {
    shared: Arc<Shared>,
    rng: Rng,
    held: Vec<(Box<Store>, u64)>,
    moment: u64,
    /// How often, per thousand moments, and for how many of them at most.
    permille: usize,
    hold: usize,
    /// The keys of each group, and the shards that they live on.
    groups: Vec<(Vec<String>, ShardSet)>,
    /// Groups that were looked at, and found to hold something.
    pub seen: u64,
}

impl Thieves {
    pub fn new(shared: Arc<Shared>, seed: u64, permille: usize, hold: usize, topics: &Topics) -> Thieves {
        let group = |group: usize| {
            let keys = group_keys(group, topics.width);
            let mut shards = ShardSet::EMPTY;
            keys.iter().for_each(|key| shards.insert(shared.route.owner(key.as_bytes())));
            (keys, shards)
        };
        let groups = (0..topics.groups).map(group).collect();
        Thieves { rng: Rng::new(seed), held: vec![], moment: 0, permille, hold, groups, seen: 0, shared }
    }

    /// A moment passes: stores come back, and while `open` others go.
    pub fn moment(&mut self, board: &Board, open: bool) {
        self.moment += 1;
        let now = self.moment;
        for (store, _) in self.held.extract_if(.., |(_, until)| *until <= now) {
            let shard = store.shard();
            board.call(shard, self.shared.cells[shard].put(store));
        }
        if open && self.rng.permille(LOOKS) {
            self.look(board);
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

    /// Looks at a group whose stores are all at home.
    fn look(&mut self, board: &Board) {
        let at = self.rng.below(self.groups.len());
        let (keys, shards) = &self.groups[at];
        let cells = &self.shared.cells;
        let stores: Vec<Box<Store>> = shards.iter().map_while(|shard| cells[shard].take()).collect();
        if stores.len() == shards.len() {
            let value = |key: &String| {
                let owner = self.shared.route.owner(key.as_bytes());
                let store = stores.iter().find(|store| store.shard() == owner).expect("just taken");
                let table = store.db(0).table();
                let entry = table.get(table.hash(key.as_bytes()), key.as_bytes())?;
                Some(number_of(entry.view()))
            };
            let values: Vec<Option<i64>> = keys.iter().map(value).collect();
            let whole = values.iter().all(|value| *value == values[0]);
            assert!(whole, "who passed by saw a torn group: g{at} is {values:?}");
            self.seen += u64::from(values[0].is_some());
        }
        for store in stores {
            let shard = store.shard();
            board.call(shard, cells[shard].put(store));
        }
    }

    /// How many stores are away.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// The number that an entry holds.
fn number_of(view: View<'_, Value>) -> i64 {
    match view {
        View::Int(n) => n,
        View::Bytes(_) | View::Boxed(_) => panic!("only numbers are written there"),
    }
}
