//! How commands leave their effects in the logs of the stores in hand ([`super::log`]).
//!
//! ```text
//!  begin ─ the command runs ─┬─ it tells its effects itself: Keys::effect
//!                            ├─ it only changed something:    the store owes; who ran it logs it as it came
//!                            └─ it met what expired:          Log::gone, alone
//!  seal  ─ the unit is over
//! ```
//! All of it does nothing while the log of the key's store is off.

use super::log::Log;
use super::{Hand, Keys, Store};
use crate::resp::Args;

impl Hand {
    /// Whether a store in hand keeps a log. They all do, or none.
    #[inline]
    pub fn logs(&self) -> bool {
        match self.only().or_else(|| self.first()) {
            Some(shard) => self.peek(shard).log.is_on(),
            None => false,
        }
    }

    /// A command begins that may change any store in hand.
    #[inline]
    pub fn begin_logs(&mut self) {
        match self.only() {
            Some(shard) => self.store(shard).begin_log(),
            None => self.iter_mut().for_each(Store::begin_log),
        }
    }
}

impl Store {
    /// A command begins that may change this store.
    #[inline]
    pub fn begin_log(&mut self) {
        self.log.begin(self.dirty);
    }

    /// Whether the command that ran has changed this store and has not told how.
    #[inline]
    pub fn owes_effects(&self) -> bool {
        self.log.owes(self.dirty)
    }
}

impl Log {
    /// Fields of a hash are gone by themselves.
    pub(super) fn fields_gone(&mut self, db: usize, key: &[u8], fields: &[impl AsRef<[u8]>]) {
        if self.is_on() {
            let names = fields.iter().map(AsRef::as_ref);
            let words: Vec<&[u8]> = [b"HDEL", key].into_iter().chain(names).collect();
            self.alone(db, words.into_iter());
        }
    }
}

impl Keys<'_> {
    /// Whether the store of a key keeps a log.
    #[inline]
    pub fn logs(&self, key: &[u8]) -> bool {
        self.hand.peek(self.hand.owner(key)).log.is_on()
    }

    /// Whether two keys live in one store.
    #[inline]
    pub fn share_store(&self, one: &[u8], other: &[u8]) -> bool {
        self.hand.owner(one) == self.hand.owner(other)
    }

    /// What the command that runs did to a key: a command that does the same. With this the command has told all that it did to
    /// the key's store.
    pub fn effect(&mut self, key: &[u8], words: &[&[u8]]) {
        let db = self.db;
        self.store_of(key).log.effect(db, words.iter().copied());
    }

    /// The same as [`Keys::effect`]: the command as it came, but for some arguments.
    pub fn effect_with(&mut self, key: &[u8], args: Args<'_>, other: &[(usize, &[u8])]) {
        let db = self.db;
        let word = |(i, word)| other.iter().find(|(at, _)| *at == i).map_or(word, |(_, other)| *other);
        self.store_of(key).log.effect(db, args.iter().enumerate().map(word));
    }

    /// What happens beside the work of a command, whether that goes on or not.
    pub fn effect_alone(&mut self, key: &[u8], words: &[&[u8]]) {
        let db = self.db;
        self.store_of(key).log.alone(db, words.iter().copied());
    }

    /// The command that runs has nothing to tell of what it did to the store of a key.
    pub fn say(&mut self, key: &[u8]) {
        self.store_of(key).log.say();
    }
}
