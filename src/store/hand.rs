//! The stores that a command holds, and the way from a key to its owner.

use super::Store;
use super::log::Whole;
use crate::base::crc16::{HASH_SLOTS, hash_slot};

/// How many shards there can be at most.
pub const SHARDS_MAX: usize = 512;

/// From a key to its shard: the hash slots are dealt out in even, contiguous ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    shards: u32,
}

impl Route {
    /// The route over this many shards, 1 to [`SHARDS_MAX`].
    pub fn new(shards: usize) -> Route {
        assert!((1..=SHARDS_MAX).contains(&shards), "1 to {SHARDS_MAX} shards");
        Route { shards: shards as u32 }
    }

    /// How many shards.
    pub fn shards(self) -> usize {
        self.shards as usize
    }

    /// The owner of a key.
    #[inline]
    pub fn owner(self, key: &[u8]) -> usize {
        if self.shards == 1 {
            return 0;
        }
        (hash_slot(key) as u32 * self.shards / HASH_SLOTS as u32) as usize
    }
}

/// A set of shards.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ShardSet {
    bits: [u64; SHARDS_MAX / 64],
}

impl ShardSet {
    /// No shard.
    pub const EMPTY: ShardSet = ShardSet { bits: [0; SHARDS_MAX / 64] };

    /// One shard.
    pub fn one(shard: usize) -> ShardSet {
        let mut set = ShardSet::EMPTY;
        set.insert(shard);
        set
    }

    /// The first `n` shards.
    pub fn all(n: usize) -> ShardSet {
        let mut set = ShardSet::EMPTY;
        (0..n).for_each(|s| set.insert(s));
        set
    }

    /// The shards from `first` on, below `end`.
    pub fn range(first: usize, end: usize) -> ShardSet {
        let mut set = ShardSet::EMPTY;
        (first..end).for_each(|s| set.insert(s));
        set
    }

    /// Adds a shard.
    pub fn insert(&mut self, shard: usize) {
        self.bits[shard / 64] |= 1 << (shard % 64);
    }

    /// Adds all shards of another set.
    pub fn add(&mut self, other: &ShardSet) {
        self.bits.iter_mut().zip(other.bits).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Takes all shards of another set away.
    pub fn remove(&mut self, other: &ShardSet) {
        self.bits.iter_mut().zip(other.bits).for_each(|(mine, theirs)| *mine &= !theirs);
    }

    /// Whether all shards of another set are in it.
    pub fn covers(&self, other: &ShardSet) -> bool {
        self.bits.iter().zip(other.bits).all(|(mine, theirs)| theirs & !mine == 0)
    }

    /// Whether a shard is in the set.
    pub fn contains(&self, shard: usize) -> bool {
        self.bits[shard / 64] & 1 << (shard % 64) != 0
    }

    /// How many shards.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|w| *w == 0)
    }

    /// The shards, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.bits.iter().enumerate().flat_map(|(i, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(i * 64 + bit)
            })
        })
    }

    /// The lowest shard that is not below `from`.
    #[inline]
    pub fn next(&self, from: usize) -> Option<usize> {
        let mut at = from / 64;
        let mut word = self.bits.get(at)? & u64::MAX << (from % 64);
        while word == 0 {
            at += 1;
            word = *self.bits.get(at)?;
        }
        Some(at * 64 + word.trailing_zeros() as usize)
    }
}

/// The stores in one hand.
pub struct Hand {
    route: Route,
    stores: Vec<Option<Box<Store>>>,
    set: ShardSet,
    held: usize,
    /// The store to look in first: the only one, when there is one.
    last: usize,
    /// What concerns the whole keyspace, of the unit that is open in the logs.
    pub(super) whole: Option<Whole>,
    /// Whether every key that is asked for is in the store `last`.
    narrow: bool,
    /// The stamp of the next key that is ready for who waits for it.
    stamp: u64,
}

impl Hand {
    /// An empty hand.
    pub fn new(route: Route) -> Hand {
        let stores = (0..route.shards()).map(|_| None).collect();
        Hand { route, stores, set: ShardSet::EMPTY, held: 0, last: 0, narrow: false, whole: None, stamp: 0 }
    }

    /// The way from keys to shards.
    pub fn route(&self) -> Route {
        self.route
    }

    /// Takes a store in.
    pub fn add(&mut self, store: Box<Store>) {
        let shard = store.shard();
        assert!(self.stores[shard].is_none(), "a store is held once");
        self.stores[shard] = Some(store);
        self.set.insert(shard);
        self.held += 1;
        self.last = shard;
        self.narrow = self.held == 1;
    }

    /// Gives a store away.
    pub fn remove(&mut self, shard: usize) -> Option<Box<Store>> {
        let store = self.stores[shard].take()?;
        self.set.remove(&ShardSet::one(shard));
        self.held -= 1;
        self.narrow = self.held == 1;
        if self.narrow {
            self.last = self.set.next(0).unwrap_or(0);
        }
        Some(store)
    }

    /// Until [`Hand::widen`] only keys of this shard, whose store is held, will be asked for: nobody has to find out whose they are.
    #[inline]
    pub fn narrow(&mut self, shard: usize) {
        self.last = shard;
        self.narrow = true;
    }

    /// Keys of every store held may be asked for.
    #[inline]
    pub fn widen(&mut self) {
        self.narrow = self.held == 1;
    }

    /// Whether a key is ready, in a store held, that somebody waits for.
    #[inline]
    pub fn has_ready(&self) -> bool {
        match self.held {
            0 => false,
            1 => self.stores[self.last].as_ref().is_some_and(|store| store.has_ready()),
            _ => self.iter().any(Store::has_ready),
        }
    }

    /// A command has run, and others follow before those are served who wait: what it has made ready comes before what the
    /// next ones will, whatever their stores. (Where several keys become ready by one command, no order of theirs can be told.)
    #[inline]
    pub fn stamp_ready(&mut self) {
        if self.held > 1 {
            let stamp = &mut self.stamp;
            self.stores.iter_mut().flatten().for_each(|store| store.stamp_ready(stamp));
        }
    }

    /// The next ready key, its shard and its database: first ready, first served.
    pub fn next_ready(&mut self) -> Option<(usize, usize, Box<[u8]>)> {
        let first = self.iter().filter_map(|store| Some((store.next_stamp()?, store.shard()))).min()?;
        let shard = first.1;
        let (db, key) = self.store(shard).next_ready()?;
        Some((shard, db, key))
    }

    /// Whether somebody waits, in a store held, who needs others beside it, or a key there is locked.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        match self.held {
            0 => false,
            1 => self.stores[self.last].as_ref().is_some_and(|store| store.is_crossed()),
            _ => self.iter().any(Store::is_crossed),
        }
    }

    /// Whether a key is locked in a store held.
    pub fn has_locks(&self) -> bool {
        self.iter().any(Store::has_locks)
    }

    /// The shards whose stores are held.
    pub fn set(&self) -> ShardSet {
        self.set
    }

    /// How many stores are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether a shard's store is held.
    #[inline]
    pub fn has(&self, shard: usize) -> bool {
        self.stores[shard].is_some()
    }

    /// The only store held, by its shard.
    #[inline]
    pub fn only(&self) -> Option<usize> {
        (self.held == 1).then_some(self.last)
    }

    /// Whether the owner of a store held may have to hear of its log.
    #[inline]
    pub fn has_news(&self) -> bool {
        match self.only() {
            Some(shard) => self.peek(shard).log.has_news(),
            None => self.held > 0 && self.iter().any(|store| store.log.has_news()),
        }
    }

    /// The lowest of the shards whose store is held.
    #[inline]
    pub fn first(&self) -> Option<usize> {
        self.set.next(0)
    }

    /// A shard's store, which the plan has put into this hand.
    #[inline]
    pub fn store(&mut self, shard: usize) -> &mut Store {
        self.stores[shard].as_mut().expect("the plan took every store that the command touches")
    }

    /// A shard's store, to look at.
    #[inline]
    pub fn peek(&self, shard: usize) -> &Store {
        self.stores[shard].as_ref().expect("the plan took every store that the command touches")
    }

    /// Where a key lives among the stores held.
    #[inline]
    pub fn owner(&self, key: &[u8]) -> usize {
        debug_assert!(!self.narrow || self.last == self.route.owner(key) || self.held == 1);
        if self.narrow { self.last } else { self.route.owner(key) }
    }

    /// All stores held, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &Store> {
        self.stores.iter().flatten().map(|s| &**s)
    }

    /// All stores held, ascending, for writing.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Store> {
        self.stores.iter_mut().flatten().map(|s| &mut **s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_dealt_out_evenly() {
        for shards in [1, 2, 3, 7, 8, 64] {
            let route = Route::new(shards);
            let mut counts = vec![0u32; shards];
            for i in 0..20_000 {
                counts[route.owner(format!("key:{i}").as_bytes())] += 1;
            }
            let even = 20_000 / shards as u32;
            assert!(counts.iter().all(|c| c.abs_diff(even) < even / 3 + 60), "{shards}: {counts:?}");
        }
        let route = Route::new(8);
        assert_eq!(route.owner(b"{a}1"), route.owner(b"{a}2"));
    }

    #[test]
    fn a_set_lists_its_shards_in_order() {
        let mut set = ShardSet::EMPTY;
        for s in [500, 3, 64, 63] {
            set.insert(s);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 63, 64, 500]);
        assert_eq!(set.next(4), Some(63));
        assert_eq!(set.next(501), None);
        assert_eq!(set.len(), 4);
    }

    #[test]
    fn a_hand_knows_its_only_store() {
        let mut hand = Hand::new(Route::new(4));
        assert_eq!(hand.only(), None);
        hand.add(Box::new(Store::new(2, 1, 0)));
        assert_eq!(hand.only(), Some(2));
        hand.add(Box::new(Store::new(0, 1, 0)));
        assert_eq!(hand.only(), None);
        assert!(hand.remove(2).is_some());
        assert_eq!(hand.only(), Some(0));
        assert!(hand.remove(2).is_none());
    }
}
