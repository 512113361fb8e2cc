//! One keyspace over the stores in hand: how a command looks keys up and changes them.
//!
//! Every call takes care of lazy expiry: a key past its time is gone, and is removed by who meets it. Reads keep the
//! access clock and the hit and miss counters as Redis does. A command that changed a key says so with
//! [`Keys::changed`].

use super::access::{self, Lfu};
use super::db::Weight;
use super::{Db, Hand, Store, Value, fifo};
use crate::base::time::Now;
use crate::ds::{Mut, Owned, Payload, Ref, View};

/// What the configuration says about the access clock.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether keys count uses (an LFU `maxmemory-policy`) or note the last one.
    pub lfu: Option<Lfu>,
    /// Whether keys stand in queues (an s3fifo `maxmemory-policy`).
    pub fifo: bool,
    /// Whether the data stays as it is: what has expired is not there, but nobody removes it (CLIENT PAUSE).
    pub frozen: bool,
    /// Whether uses are noted to less than a millisecond ([`super::lru`]): memory is bounded, and the longest unused keys go.
    pub fine: bool,
    /// What a key that is used in this turn is stamped with: [`super::lru::stamp`].
    pub clock: u32,
    /// The time of this turn, also where [`Keys::now`] stands still.
    pub now: Now,
}

/// Where a key lives.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// The key, by its address and length: the one that this was found out for, and no other that equals it.
    key: (*const u8, usize),
    hash: u64,
    shard: usize,
}

impl Ahead {
    #[inline]
    pub fn new(key: &[u8], hash: u64, shard: usize) -> Ahead {
        Ahead { key: (key.as_ptr(), key.len()), hash, shard }
    }

    #[inline]
    fn is_of(&self, key: &[u8]) -> bool {
        self.key == (key.as_ptr(), key.len())
    }
}

/// How many keys of a command have their memory sent for at once: about as many lines as a core can wait for.
const GROUP: usize = 16;

/// The keyspace that a command sees.
pub struct Keys<'a> {
    /// The stores in hand, for commands that span databases or whole shards.
    pub hand: &'a mut Hand,
    /// The selected database.
    pub db: usize,
    /// The time that tells what has expired: that of this turn, or, while a log is replayed, before all ([`Now::before_all`]).
    pub now: Now,
    /// How uses are noted.
    pub policy: Policy,
    /// False under CLIENT NO-TOUCH: reads leave the access clock alone.
    pub touch: bool,
    /// Where the key that is asked for next lives, when that was found out ahead.
    pub ahead: Option<Ahead>,
    /// The state of the xorshift generator that LFU counters and RANDOMKEY draw from.
    pub random: &'a mut u64,
}

/// An entry's content outside of a table, on its way to another key.
pub struct Taken {
    pub value: Owned<Value>,
    /// Unix ms.
    pub expire_at: Option<i64>,
    /// As in [`access`].
    pub access: u32,
    /// As in [`super::RAW`].
    pub mark: u8,
}

/// How a lookup counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
    Peek,
}

impl Keys<'_> {
    /// The same stores, seen through another database.
    pub fn in_db(&mut self, db: usize) -> Keys<'_> {
        Keys { hand: self.hand, db, random: self.random, ahead: None, ..*self }
    }

    /// Whether the store of a key is in hand: always, but for a command that waits on keys of several shards and is run again.
    pub fn holds(&self, key: &[u8]) -> bool {
        self.hand.has(self.hand.route().owner(key))
    }

    /// The store of a key.
    #[inline]
    pub fn store_of(&mut self, key: &[u8]) -> &mut Store {
        let owner = self.owner(key);
        self.hand.store(owner)
    }

    /// The database that a key is in.
    #[inline]
    pub fn db_of(&mut self, key: &[u8]) -> &mut Db {
        let db = self.db;
        self.store_of(key).db_mut(db)
    }

    /// A random number.
    pub fn random(&mut self) -> u64 {
        crate::base::prng::xorshift(self.random)
    }

    /// Where a key lives: its shard, and its hash.
    #[inline]
    pub(super) fn home(&self, key: &[u8]) -> (usize, u64) {
        match &self.ahead {
            Some(ahead) if ahead.is_of(key) => (ahead.shard, ahead.hash),
            _ => self.find_home(key),
        }
    }

    #[inline(never)]
    fn find_home(&self, key: &[u8]) -> (usize, u64) {
        let shard = self.hand.owner(key);
        (shard, self.hand.peek(shard).db(self.db).table().hash(key))
    }

    /// The shard of a key.
    #[inline]
    fn owner(&self, key: &[u8]) -> usize {
        match &self.ahead {
            Some(ahead) if ahead.is_of(key) => ahead.shard,
            _ => self.hand.owner(key),
        }
    }

    /// Calls `each` for the first `count` keys in turn, with the memory of each sent for before it is needed. `key` gives them by number.
    pub fn each_ahead<'k>(
        &mut self,
        count: usize,
        key: impl Fn(usize) -> &'k [u8],
        mut each: impl FnMut(&mut Self, usize, &'k [u8]),
    ) {
        let mut group = [Ahead::new(&[], 0, 0); GROUP];
        let mut first = 0;
        while first < count {
            let group = &mut group[..(count - first).min(GROUP)];
            for (i, ahead) in group.iter_mut().enumerate() {
                let key = key(first + i);
                let shard = self.hand.owner(key);
                let table = self.hand.peek(shard).db(self.db).table();
                *ahead = Ahead::new(key, table.hash(key), shard);
                table.prefetch(ahead.hash);
            }
            for ahead in group.iter() {
                self.hand.peek(ahead.shard).db(self.db).table().prefetch_entry(ahead.hash);
            }
            for (i, ahead) in group.iter().enumerate() {
                self.ahead = Some(*ahead);
                each(self, first + i, key(first + i));
            }
            first += group.len();
        }
    }

    #[inline]
    pub(super) fn find(&mut self, key: &[u8], how: Use) -> Option<(usize, u64)> {
        let (shard, hash) = self.home(key);
        let (now, policy, touch, index) = (self.now, self.policy, self.touch, self.db);
        let store = self.hand.store(shard);
        let found = match store.db(index).table().get(hash, key) {
            None => None,
            Some(entry) if entry.expire_at().is_some_and(|at| at <= now.ms()) => Some(false),
            Some(entry) => {
                if touch && how != Use::Peek {
                    note_use(&entry, &policy, self.random);
                }
                Some(true)
            }
        };
        if how == Use::Read {
            let counter = if found == Some(true) { &mut store.tally.hits } else { &mut store.tally.misses };
            *counter += 1;
        }
        match found {
            Some(true) => Some((shard, hash)),
            Some(false) if policy.frozen => None,
            Some(false) => {
                store.remove(index, hash, key);
                store.tally.expired += 1;
                store.log.gone(index, key);
                if store.is_observed() {
                    store.note_change(index, key);
                }
                None
            }
            None => None,
        }
    }

    /// Looks a key up for reading: counts a hit or a miss and notes the use.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<Ref<'_, Value>> {
        let (shard, hash) = self.home(key);
        if self.hand.peek(shard).db(self.db).expires() != 0 {
            return self.read_mortal(key);
        }
        // Nothing here can have expired: one probe does.
        let (db, tally) = self.hand.store(shard).for_reading(self.db);
        let Some(entry) = db.table().get(hash, key) else {
            tally.misses += 1;
            return None;
        };
        tally.hits += 1;
        if self.touch {
            note_use(&entry, &self.policy, self.random);
        }
        Some(entry)
    }

    /// The same where keys expire.
    #[inline(never)]
    fn read_mortal(&mut self, key: &[u8]) -> Option<Ref<'_, Value>> {
        let (shard, hash) = self.find(key, Use::Read)?;
        self.hand.peek(shard).db(self.db).table().get(hash, key)
    }

    /// Looks a key up without noting it.
    pub fn peek(&mut self, key: &[u8]) -> Option<Ref<'_, Value>> {
        let (shard, hash) = self.find(key, Use::Peek)?;
        self.hand.peek(shard).db(self.db).table().get(hash, key)
    }

    /// Bytes of the entry by which a hash is found when a field of it is due, if it has any that expire.
    pub fn filed_bytes(&self, key: &[u8]) -> Option<usize> {
        let (shard, _) = self.home(key);
        self.hand.peek(shard).db(self.db).filed_bytes(key)
    }

    /// Looks a key up to change it in place: notes the use. Long strings are changed with [`Keys::set_value`] and
    /// collections with [`Keys::edit`], which keep the weights right.
    pub fn write(&mut self, key: &[u8]) -> Option<Mut<'_, Value>> {
        let (shard, hash) = self.find(key, Use::Write)?;
        self.hand.store(shard).db_mut(self.db).table_mut().get_mut(hash, key)
    }

    /// Looks a key up as TYPE, TTL and OBJECT do: counts a hit or a miss, but leaves the access clock alone.
    pub fn inspect(&mut self, key: &[u8]) -> Option<Ref<'_, Value>> {
        let touch = std::mem::replace(&mut self.touch, false);
        let found = self.find(key, Use::Read);
        self.touch = touch;
        let (shard, hash) = found?;
        self.hand.peek(shard).db(self.db).table().get(hash, key)
    }

    /// Whether a key is there. Counts as [`Keys::inspect`] does.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.inspect(key).is_some()
    }

    /// The access bits that a new key starts with.
    pub fn new_access(&self) -> u32 {
        match self.policy.lfu {
            None => self.policy.clock,
            Some(_) => access::lfu_new(self.policy.now.secs()),
        }
    }

    /// Sets a key to a value with this TTL (unix ms), whatever was there. Its mark becomes 0.
    #[inline]
    pub fn set(&mut self, key: &[u8], payload: Payload<'_, Value>, expire_at: Option<i64>) {
        self.set_used(key, payload, expire_at, None);
    }

    #[inline]
    fn set_used(
        &mut self,
        key: &[u8],
        payload: Payload<'_, Value>,
        expire_at: Option<i64>,
        access: Option<u32>,
    ) {
        let (shard, hash) = self.home(key);
        let (index, fresh) = (self.db, self.new_access());
        let keeps_count = self.policy.lfu.is_some();
        let (fifo, now_ms) = (self.policy.fifo, self.policy.now.ms());
        let store = self.hand.store(shard);
        let gone = if store.cut().is_some() { store.let_go(index, hash, key) } else { None };
        if fifo {
            return store.set_queued(index, (hash, key), payload, expire_at, (now_ms, gone));
        }
        let access = access.or(gone.filter(|_| keeps_count));
        let db = store.db_mut(index);
        let came = if let Payload::Boxed(value) = &payload { Some(Weight::of(value)) } else { None };
        let (entry, old, existed) = db.table_mut().upsert_mut(hash, key, payload, expire_at);
        // As in Redis, a key that is overwritten keeps its count of uses.
        if access.is_some() || !(existed && keeps_count) {
            entry.set_access(access.unwrap_or(fresh));
        }
        if came.is_none() && old.is_none() {
            // Short both: nothing that is weighed.
            return;
        }
        db.account(key, Weight::of_old(old.as_ref()), came.unwrap_or_default());
        if let Some(value) = old {
            store.discard_value(value);
        }
    }

    /// Gives a key that is there another value; TTL and access clock stay. `mark` as in [`super::RAW`].
    pub fn set_value(&mut self, key: &[u8], payload: Payload<'_, Value>, mark: u8) {
        let (shard, hash) = self.home(key);
        let index = self.db;
        let store = self.hand.store(shard);
        let db = store.db_mut(index);
        let came = Weight::of_payload(&payload);
        let Some(mut entry) = db.table_mut().get_mut(hash, key) else { return };
        let old = entry.set_payload(payload);
        entry.set_mark(mark);
        db.account(key, Weight::of_old(old.as_ref()), came);
        if let Some(value) = old {
            store.discard_value(value);
        }
    }

    /// Takes the large value of a key out, so that it can be changed without a copy, and leaves 0 in its place:
    /// [`Keys::set_value`] must follow. None, and nothing changes, when the value is a small one.
    pub fn lift_value(&mut self, key: &[u8]) -> Option<Value> {
        let (shard, hash) = self.find(key, Use::Write)?;
        let db = self.hand.store(shard).db_mut(self.db);
        let mut entry = db.table_mut().get_mut(hash, key)?;
        if !matches!(entry.view(), View::Boxed(_)) {
            return None;
        }
        let value = entry.set_payload(Payload::Int(0))?;
        db.account(key, Weight::of(&value), Weight::default());
        Some(value)
    }

    /// Changes the TTL of a key that is there (unix ms); whether it was there.
    pub fn set_expire(&mut self, key: &[u8], expire_at: Option<i64>) -> bool {
        let Some((shard, hash)) = self.find(key, Use::Peek) else { return false };
        match self.hand.store(shard).db_mut(self.db).table_mut().get_mut(hash, key) {
            Some(mut entry) => {
                entry.set_expire(expire_at);
                true
            }
            None => false,
        }
    }

    /// Removes a key; whether it was there. A large value is left for the shard to free.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let Some((shard, hash)) = self.find(key, Use::Peek) else { return false };
        let index = self.db;
        self.hand.store(shard).remove(index, hash, key);
        true
    }

    /// Removes a key and gives back its content.
    fn take(&mut self, key: &[u8]) -> Option<Taken> {
        let (shard, hash) = self.find(key, Use::Peek)?;
        let db = self.hand.store(shard).db_mut(self.db);
        let entry = db.table_mut().get_mut(hash, key)?;
        let (expire_at, access, mark) = (entry.expire_at(), entry.access(), entry.mark());
        let value = entry.remove();
        if let Owned::Boxed(value) = &value {
            db.account(key, Weight::of(value), Weight::default());
        }
        Some(Taken { value, expire_at, access, mark })
    }

    /// Removes a key and gives back its content, which goes to another name in a database: a cut may have to find it there.
    pub fn take_for(&mut self, key: &[u8], new_key: &[u8], db: usize) -> Option<Taken> {
        let (here, there) = (self.home(key), self.home(new_key));
        let cut = self.hand.peek(here.0).cut();
        if cut.is_some() && cut == self.hand.peek(there.0).cut() {
            self.tell_cut((here, there), key, new_key, db);
        }
        self.take(key)
    }

    /// A key is about to be taken and put under another name, between stores that are under a cut. If that needs the value, what is there
    /// goes first.
    #[cold]
    fn tell_cut(
        &mut self,
        ((shard, hash), (new_shard, new_hash)): ((usize, u64), (usize, u64)),
        key: &[u8],
        new_key: &[u8],
        db: usize,
    ) {
        let index = self.db;
        let Some(entry) = self.hand.store(shard).db_mut(index).table_mut().get_mut(hash, key) else { return };
        if !entry.is_guarded() {
            return;
        }
        self.hand.store(new_shard).remove(db, new_hash, new_key);
        let there = self.hand.peek(new_shard).db(db).table();
        if !there.can_take_over(new_hash) {
            return;
        }
        if (shard, index) == (new_shard, db) {
            self.hand.store(shard).db_mut(db).table_mut().follow(hash, new_hash, new_key);
        } else if let Some(passed) = self.hand.store(shard).pass_on(index, hash, shard != new_shard) {
            self.hand.store(new_shard).take_over(db, new_hash, new_key, passed);
        }
    }

    /// Puts a new value under a key, replacing what is there. `mark` as in [`super::RAW`].
    pub fn put(&mut self, key: &[u8], value: Owned<Value>, expire_at: Option<i64>, mark: u8) {
        self.place(key, Taken { value, expire_at, access: self.new_access(), mark });
    }

    /// Puts content that was elsewhere, or should look so, under a key, replacing what is there.
    pub fn place(&mut self, key: &[u8], content: Taken) {
        let Taken { value, expire_at, access, mark } = content;
        match value {
            Owned::Int(n) => self.set_used(key, Payload::Int(n), expire_at, Some(access)),
            Owned::Bytes(b) => self.set_used(key, Payload::Bytes(&b), expire_at, Some(access)),
            Owned::Boxed(v) => self.set_used(key, Payload::Boxed(v), expire_at, Some(access)),
        }
        if mark == 0 {
            return;
        }
        let Some((shard, hash)) = self.find(key, Use::Peek) else { return };
        if let Some(mut entry) = self.hand.store(shard).db_mut(self.db).table_mut().get_mut(hash, key) {
            entry.set_mark(mark);
        }
    }

    /// Says that fields of a hash were found past their time and removed: not what a command changed.
    pub fn fields_gone(&mut self, key: &[u8], fields: &[impl AsRef<[u8]>]) {
        if fields.is_empty() {
            return;
        }
        let db = self.db;
        self.store_of(key).log.fields_gone(db, key, fields);
        self.count_fields_gone(key, fields.len());
    }

    /// The same of so many fields, by a command that tells of them itself.
    pub fn count_fields_gone(&mut self, key: &[u8], fields: usize) {
        let db = self.db;
        let store = self.store_of(key);
        store.tally.expired_fields += fields as u64;
        if fields > 0 && store.is_observed() {
            store.note_change(db, key);
        }
    }

    /// Adds content under a key that is absent; one that is there is replaced if `replace`. Whether it was put there.
    pub fn add(&mut self, key: &[u8], content: Taken, replace: bool) -> bool {
        let adds = replace || self.peek(key).is_none();
        if adds {
            self.place(key, content);
        }
        adds
    }

    /// Says that a command changed a key.
    #[inline]
    pub fn changed(&mut self, key: &[u8]) {
        let db = self.db;
        let store = self.store_of(key);
        store.dirty += 1;
        if store.is_observed() {
            store.note_change(db, key);
        }
    }

    /// Says that a command changed so much beside what a key holds: a stream's groups. As in Redis WATCH does not look at that; who
    /// waits for the key looks again.
    pub fn changed_beside(&mut self, key: &[u8], changes: u64) {
        let db = self.db;
        let store = self.store_of(key);
        store.dirty += changes;
        if changes > 0 && store.is_observed() {
            store.mark_ready(db, key);
        }
    }
}

/// Notes a use of an entry, as the policy counts them.
#[inline]
fn note_use(entry: &Ref<'_, Value>, policy: &Policy, random: &mut u64) {
    let access = match policy.lfu {
        None if policy.fifo => fifo::used(entry.access()),
        None => policy.clock,
        Some(lfu) => access::lfu_used(
            entry.access(),
            policy.now.secs(),
            lfu,
            crate::base::prng::xorshift(random) as u32,
        ),
    };
    entry.set_access(access);
}

impl Store {
    /// A database to look into, and the tally of what is found.
    #[inline]
    fn for_reading(&mut self, db: usize) -> (&Db, &mut super::Tally) {
        (&self.dbs[db], &mut self.tally)
    }

    /// [`Keys::set`] where keys stand in queues.
    #[inline(never)]
    fn set_queued(
        &mut self,
        index: usize,
        (hash, key): (u64, &[u8]),
        payload: Payload<'_, Value>,
        expire_at: Option<i64>,
        (now_ms, gone): (i64, Option<u32>),
    ) {
        let came = Weight::of_payload(&payload);
        let db = self.db_mut(index);
        let (table, queues) = db.with_fifo(now_ms);
        let keys = table.len();
        let (entry, old, existed) = table.upsert_mut(hash, key, payload, expire_at);
        let before = gone.or(existed.then(|| entry.access()));
        entry.set_access(before.map_or_else(|| queues.enter(hash, keys, now_ms), fifo::used));
        db.account(key, Weight::of_old(old.as_ref()), came);
        if let Some(value) = old {
            self.discard_value(value);
        }
    }

    /// A key is about to be overwritten, under a cut. If that needs the value the key goes first, so that the cut has it; gives the access bits.
    #[cold]
    fn let_go(&mut self, db: usize, hash: u64, key: &[u8]) -> Option<u32> {
        let entry = self.db_mut(db).table_mut().get_mut(hash, key)?;
        let access = entry.access();
        entry.is_guarded().then(|| {
            self.remove(db, hash, key);
            access
        })
    }

    /// Removes an entry that is there.
    pub(super) fn remove(&mut self, db: usize, hash: u64, key: &[u8]) {
        let db = self.db_mut(db);
        let Some(entry) = db.table_mut().get_mut(hash, key) else { return };
        let went = match entry.view() {
            View::Boxed(value) => Weight::of(value),
            View::Int(_) | View::Bytes(_) => Weight::default(),
        };
        let value = entry.delete();
        db.account(key, went, Weight::default());
        if let Some(value) = value {
            self.discard_value(value);
        }
    }
}
