//! `maxmemory`: room is made before a command that may take more, from the keys that are the worst of all shards.
//!
//! ```text
//!  command that may grow ── in use <= maxmemory ──────────────────────────────────────> run
//!                              │ no
//!                              └─ look at some keys of the store in hand; is its worst about as bad as the worst
//!                                 that any shard has told (ledger)?  yes: it goes.  no: borrow that store, for as
//!                                 long as one eviction takes ── again, until there is room or the time is up
//! ```
//! The other store is only tried for, never waited for, so two shards that evict cannot hold each other up. When the time is up
//! the command runs all the same and the shards go on evicting between their turns; it is refused only when no key may go.

use super::batch::Parsed;
use super::drive::{Stop, Work};
use super::ledger::NO_SIGN;
use super::{Core, Shared};
use crate::base::heap::set_short;
use crate::base::prng::xorshift;
use crate::base::time::Now;
use crate::cmd::registry::Found;
use crate::cmd::row::flag;
use crate::config::{Config, MaxmemoryPolicy};
use crate::resp::Mark;
use crate::ring::net::World;
use crate::store::access::Lfu;
use crate::store::{Garbage, Judge, Rule, ShardSet, Store};
use std::sync::atomic::Ordering::Relaxed;

/// What a client hears when there is no room and nothing may go.
const OOM: &[u8] = b"OOM command not allowed when used memory > 'maxmemory'.";
/// Evictions between two looks at the clock.
const EVICTIONS_PER_LOOK: usize = 8;
/// Keys looked at for each that goes, whatever `maxmemory-samples` says.
const SAMPLES_MAX: usize = 64;
/// Buckets that an eviction goes through to move entries together, where the heap is loose. What evictions free lies scattered: to
/// win a slab of it where a tenth is free, ten times as much has to move. So compaction keeps pace with them, whatever its timer does.
const BUCKETS_PER_EVICTION: usize = 6;
/// Not so when far more is in use than may be, by this part of the bound and so many bytes, since the bound was lowered: most of what
/// was moved would go next, and evictions would take four times as long. Compaction follows when they are done.
const FAR_PART: u64 = 16;
const FAR_BYTES: u64 = 32 << 20;
/// Searches without a find, one after the other, until the rest is left for the next command.
const SEARCHES: usize = 64;
/// Shards chosen for one eviction before any will do.
const CHOICES: usize = 8;
/// With evictions, so much more is freed than is needed at once: for the next few commands, and no more of the bound than a 4096th.
const AHEAD_BYTES: u64 = 1024;
/// From this part of `maxmemory` on the owners keep telling what they would give, in percent.
const NEAR_PERCENT: u64 = 90;

/// What a shard knows about the bound on memory.
pub(super) struct Room {
    /// `maxmemory` in bytes; 0: none.
    pub limit: u64,
    /// `maxmemory-clients` in bytes; 0: none.
    pub clients_limit: u64,
    /// `None`: no key goes.
    rule: Option<Rule>,
    /// How long eviction may delay a command.
    slice_ns: u64,
    /// There is more to evict, between the turns.
    busy: bool,
    /// So much of it that nothing is moved together meanwhile.
    is_far: bool,
    /// The bound was set just now: what this shard's store weighs is to be told.
    is_new: bool,
    /// Garbage of stores that were borrowed to evict from, and owners to wake, both for when no store is in hand.
    pub garbage: Vec<Garbage>,
    pub to_wake: ShardSet,
    /// The time of this turn.
    pub now: Now,
    /// Bytes of this shard's clients, as counted by connection.
    pub clients: usize,
    /// When clients are looked at again.
    pub next_clients_us: u64,
}

/// How an eviction ended.
enum Evicted {
    Enough,
    /// Time was up, a store was away, or a search has not come round yet.
    Running,
    Nothing,
}

/// What came of the attempt to evict from one shard.
enum Attempt {
    Gone,
    /// Its worst key is not as bad as the shard has told.
    NotSoBad,
    /// It has none, or is away.
    Nothing,
}

/// How `maxmemory-policy` chooses.
fn rule_of(config: &Config) -> Option<Rule> {
    use MaxmemoryPolicy::*;
    let judge = match config.maxmemory_policy {
        NoEviction => return None,
        VolatileLru | AllkeysLru => Judge::Lru,
        VolatileLfu | AllkeysLfu => {
            Judge::Lfu(Lfu { log_factor: config.lfu_log_factor, decay_minutes: config.lfu_decay_time })
        }
        VolatileTtl => Judge::Ttl,
        VolatileRandom | AllkeysRandom => Judge::Random,
        VolatileS3fifo | AllkeysS3fifo => Judge::Fifo,
    };
    // More would make an eviction a walk through the table.
    let samples = (config.maxmemory_samples as usize).min(SAMPLES_MAX);
    Some(Rule { judge, volatile: config.maxmemory_policy.is_volatile(), samples })
}

/// `maxmemory-eviction-tenacity` as a time: 50 us a step up to 10, 15 percent more a step above, no bound at 100.
fn slice_ns(tenacity: u32) -> u64 {
    match tenacity {
        0..=10 => u64::from(tenacity) * 50_000,
        11..=99 => (500_000.0 * 1.15f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

impl Room {
    pub fn new(config: &Config, machine: u64) -> Room {
        let limit = config.maxmemory.of(machine);
        Room {
            limit,
            clients_limit: config.maxmemory_clients.of(limit),
            rule: rule_of(config),
            slice_ns: slice_ns(config.maxmemory_eviction_tenacity),
            busy: false,
            is_far: false,
            is_new: true,
            garbage: Vec::new(),
            to_wake: ShardSet::EMPTY,
            now: Now::default(),
            clients: 0,
            next_clients_us: 0,
        }
    }

    /// Whether evictions go on between the turns.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether nothing is left over from stores that were borrowed to evict from.
    pub fn is_tidy(&self) -> bool {
        self.garbage.is_empty() && self.to_wake.is_empty()
    }

    /// Tells how a store is that goes back to its cell.
    #[inline]
    pub fn tell(&self, shared: &Shared, store: &Store) {
        if self.limit == 0 {
            return;
        }
        match &self.rule {
            Some(rule) => tell(shared, store, rule, self.now),
            None => shared.ledger.of(store.shard()).set_store(store.weight()),
        }
    }

    /// Whether somebody wants to know what clients take.
    pub fn counts_clients(&self) -> bool {
        self.limit | self.clients_limit != 0
    }
}

impl Core {
    /// Whether there is room for a command on this store, which is in hand.
    #[inline]
    pub(super) fn fits(&self, command: &Parsed, shard: usize) -> bool {
        self.room.limit == 0
            || command.found.is_ok_and(|f| !f.row.is(flag::DENYOOM))
            || fits(&self.shared, self.room.limit, self.hand.peek(shard))
    }

    /// Makes room for a command whose stores are in hand, `here` if it needs only one; whether it may run.
    #[inline]
    pub(super) fn make_room(&mut self, net: &mut dyn World, here: Option<usize>) -> bool {
        // As in Redis, nothing is evicted, nor refused for want of room, while clients are paused.
        if self.room.limit == 0 || self.pause.is_some() {
            return true;
        }
        self.hand.iter().for_each(|s| self.shared.ledger.of(s.shard()).set_store(s.weight()));
        if self.shared.ledger.used() <= self.room.limit {
            self.shared.ledger.within(self.now.mono_us);
            return true;
        }
        self.make_room_now(net, here)
    }

    #[cold]
    fn make_room_now(&mut self, net: &mut dyn World, here: Option<usize>) -> bool {
        let began = net.ticks_ns();
        let evicted = self.evict(net, here, began);
        let took_ns = net.ticks_ns().saturating_sub(began);
        let threshold_ms = self.config.latency_monitor_threshold as u64;
        self.tallies.note_latency("eviction-cycle", self.now, took_ns, threshold_ms);
        let now_us = self.now.mono_us;
        match evicted {
            Evicted::Enough => self.shared.ledger.within(now_us),
            Evicted::Running | Evicted::Nothing => self.shared.ledger.exceeded(now_us),
        }
        self.room.busy = matches!(evicted, Evicted::Running);
        !matches!(evicted, Evicted::Nothing)
    }

    /// Refuses a command for which there is no room.
    #[cold]
    pub(super) fn refuse_oom(&mut self, work: &mut Work<'_>, found: Found, mark: Mark) -> Option<Stop> {
        let text = self.spoil(work.session, Some(found), OOM.to_vec());
        work.out.error_bytes(&text);
        work.out.take_errors();
        self.tallies.rejected(&text, Some(found.id));
        self.reply_mode(work, mark);
        None
    }

    /// Tells what the own store weighs when a bound was set: while there was none, nobody kept the account.
    pub(super) fn weigh_after_change(&mut self, net: &mut dyn World) {
        if self.room.is_new && self.take(net, self.id) {
            self.room.is_new = false;
            self.tell_room();
            self.put_back(net);
        }
    }

    /// Goes on evicting between the turns. No store is in hand.
    pub(super) fn keep_room(&mut self, net: &mut dyn World) {
        if self.room.limit == 0 || self.pause.is_some() || self.gate.is_loading() {
            return;
        }
        if self.shared.ledger.used() <= self.room.limit {
            self.room.busy = false;
            return self.shared.ledger.within(self.now.mono_us);
        }
        if self.room.rule.is_some() {
            self.make_room_now(net, None);
            self.put_back(net);
        }
    }

    /// Whether memory is near its bound.
    pub(super) fn is_short(&self) -> bool {
        let near = (self.room.limit / 100).saturating_mul(NEAR_PERCENT);
        self.room.limit != 0 && self.shared.ledger.used() >= near
    }

    /// Tells the others what this shard has. Its store is in hand.
    pub(super) fn tell_room(&mut self) {
        self.shared.ledger.of(self.id).set_store(self.hand.store(self.id).bytes());
        let short = self.is_short();
        set_short(short);
        let Some(rule) = self.room.rule.as_ref().filter(|_| short) else { return };
        let store = self.hand.store(self.id);
        store.seek_victims(rule, self.now, &mut self.random);
        tell(&self.shared, store, rule, self.now);
    }

    fn evict(&mut self, net: &mut dyn World, here: Option<usize>, began: u64) -> Evicted {
        let enough = self.room.limit - AHEAD_BYTES.min(self.room.limit / 4096);
        let Some(rule) = self.room.rule else {
            let beside = self.shared.ledger.used_beside(self.room.clients_limit);
            return if beside <= enough { Evicted::Enough } else { Evicted::Nothing };
        };
        let mut in_vain = 0;
        let far = enough.saturating_add(enough / FAR_PART + FAR_BYTES);
        for n in 1.. {
            let used = self.shared.ledger.used_beside(self.room.clients_limit);
            if used <= enough {
                return Evicted::Enough;
            }
            self.room.is_far = used > far;
            let found = self.evict_one(&rule, here);
            in_vain = if found { 0 } else { in_vain + 1 };
            // A search that has looked at many keys goes on where it ended, while there is time: else memory would grow with each
            // command that it is too long for.
            if !found && (in_vain > SEARCHES || !self.hand.iter().any(|store| store.evictable(&rule) > 0)) {
                let more =
                    self.hand.iter().any(|store| store.evictable(&rule) > 0) || self.may_go_elsewhere();
                return if more { Evicted::Running } else { Evicted::Nothing };
            }
            let looks = !found || n % EVICTIONS_PER_LOOK == 0;
            if looks && net.ticks_ns().saturating_sub(began) >= self.room.slice_ns {
                break;
            }
        }
        Evicted::Running
    }

    /// Whether a shard whose store is not in hand told of keys that may go.
    fn may_go_elsewhere(&self) -> bool {
        let mut others = (0..self.shared.route.shards()).filter(|s| !self.hand.has(*s));
        others.any(|s| self.shared.ledger.of(s).keys.load(Relaxed) > 0)
    }

    /// Removes one key, the worst of all shards as far as is known; false when none was found. Where many are about as bad, the
    /// command's own shard gives one: what comes and what goes stay even.
    fn evict_one(&mut self, rule: &Rule, here: Option<usize>) -> bool {
        let here = here.or_else(|| self.some_held(rule));
        let mine = here.and_then(|shard| {
            let store = self.hand.store(shard);
            let sign = match rule.judge {
                Judge::Random => None,
                _ => store.seek_victims(rule, self.now, &mut self.random),
            };
            self.shared.ledger.of(shard).sign.store(sign.unwrap_or(NO_SIGN), Relaxed);
            sign
        });
        for _ in 0..CHOICES {
            let chosen = match rule.judge {
                Judge::Random => self.any_shard().map(|shard| (shard, 0)),
                _ => self.worst_shard(rule, here.zip(mine)),
            };
            let Some((shard, promised)) = chosen else { break };
            match self.evict_from(shard, here == Some(shard), rule, promised) {
                Attempt::Gone => return true,
                // It has told better now.
                Attempt::NotSoBad => {}
                Attempt::Nothing => break,
            }
        }
        let mut any = here.into_iter().chain((0..self.shared.route.shards()).filter(|s| Some(*s) != here));
        any.any(|shard| matches!(self.evict_from(shard, here == Some(shard), rule, 0), Attempt::Gone))
    }

    /// A shard whose store is in hand, each as likely as it has keys: the first every time would be bled dry.
    fn some_held(&mut self, rule: &Rule) -> Option<usize> {
        if self.hand.only().is_some() {
            return self.hand.only();
        }
        let keys = |store: &Store| store.evictable(rule) as u64;
        let total: u64 = self.hand.iter().map(keys).sum();
        let mut at = xorshift(&mut self.random).checked_rem(total)?;
        let found = self.hand.iter().find(|store| {
            let found = at < keys(store);
            at = at.saturating_sub(keys(store));
            found
        });
        found.map(Store::shard)
    }

    /// A shard, each as likely as it has keys.
    fn any_shard(&mut self) -> Option<usize> {
        let accounts = self.shared.ledger.all();
        let total: u64 = accounts.iter().map(|a| a.keys.load(Relaxed)).sum();
        let mut at = xorshift(&mut self.random).checked_rem(total)?;
        accounts.iter().position(|a| {
            let keys = a.keys.load(Relaxed);
            let found = at < keys;
            at = at.saturating_sub(keys);
            found
        })
    }

    /// A shard that has one of the worst keys, and its rank; the one in hand when its own is about as bad, else any of them, each
    /// as likely as it has keys: the same shard every time would be bled dry for a difference of one tick.
    fn worst_shard(&mut self, rule: &Rule, mine: Option<(usize, u64)>) -> Option<(usize, u64)> {
        let accounts = self.shared.ledger.all();
        let now: Now = self.now;
        let others = || {
            let with_keys = accounts
                .iter()
                .enumerate()
                .filter(|(s, a)| a.keys.load(Relaxed) > 0 && mine.is_none_or(|(here, _)| *s != here));
            // Who has keys and has not told of any is asked first.
            with_keys.map(|(s, a)| match a.sign.load(Relaxed) {
                NO_SIGN => (s, u64::MAX),
                sign => (s, rule.rank(sign, now)),
            })
        };
        let mine = mine.map(|(here, sign)| (here, rule.rank(sign, now)));
        let Some(best) = others().map(|(_, rank)| rank).max() else { return mine };
        if let Some((_, rank)) = mine
            && rule.near(rank, best)
        {
            return mine;
        }
        let near = || others().filter(|(_, rank)| rule.near(*rank, best));
        let keys = |s: usize| accounts[s].keys.load(Relaxed).max(1);
        let total: u64 = near().map(|(s, _)| keys(s)).sum();
        let mut at = xorshift(&mut self.random).checked_rem(total)?;
        near().find(|(s, _)| {
            let found = at < keys(*s);
            at = at.saturating_sub(keys(*s));
            found
        })
    }

    /// Removes a key of this shard, unless its worst is better than was promised: its store is in hand, or can be borrowed at
    /// once. `sought`: its worst keys were looked for just now.
    fn evict_from(&mut self, shard: usize, sought: bool, rule: &Rule, promised: u64) -> Attempt {
        let moves = !self.room.is_far;
        if self.hand.has(shard) {
            let store = self.hand.store(shard);
            let found = match sought {
                true => evict_here(store, rule, self.now, moves, &mut self.random),
                false => evict_borrowed(store, rule, promised, self.now, moves, &mut self.random),
            };
            let account = self.shared.ledger.of(shard);
            account.set_store(store.weight());
            account.sign.store(store.best_sign(rule, self.now).unwrap_or(NO_SIGN), Relaxed);
            return found;
        }
        let Some(mut store) = self.shared.cells[shard].take() else { return Attempt::Nothing };
        let found = evict_borrowed(&mut store, rule, promised, self.now, moves, &mut self.random);
        self.room.garbage.extend(store.take_garbage().into_iter().flatten());
        tell(&self.shared, &store, rule, self.now);
        let back = self.shared.cells[shard].put(store);
        self.room.note_back(shard, back, self.id, self.shared.cells.len());
        found
    }
}

fn evict_borrowed(
    store: &mut Store,
    rule: &Rule,
    promised: u64,
    now: Now,
    moves: bool,
    random: &mut u64,
) -> Attempt {
    if rule.judge != Judge::Random {
        match store.seek_victims(rule, now, random) {
            None => return Attempt::Nothing,
            Some(sign) if !rule.near(rule.rank(sign, now), promised) => return Attempt::NotSoBad,
            Some(_) => {}
        }
    }
    evict_here(store, rule, now, moves, random)
}

/// Removes the first to go, and `moves` some others together.
fn evict_here(store: &mut Store, rule: &Rule, now: Now, moves: bool, random: &mut u64) -> Attempt {
    if !store.evict_one(rule, now, random) {
        return Attempt::Nothing;
    }
    if moves {
        store.compact_touched(BUCKETS_PER_EVICTION);
    }
    Attempt::Gone
}

/// Whether memory is within its bound, as far as it can be known with one store in hand.
#[inline]
pub(super) fn fits(shared: &Shared, limit: u64, store: &Store) -> bool {
    shared.ledger.of(store.shard()).set_store(store.weight());
    shared.ledger.used() <= limit
}

/// Tells how a store is, and what it would give.
fn tell(shared: &Shared, store: &Store, rule: &Rule, now: Now) {
    let account = shared.ledger.of(store.shard());
    account.set_store(store.weight());
    account.keys.store(store.evictable(rule) as u64, Relaxed);
    account.sign.store(store.best_sign(rule, now).unwrap_or(NO_SIGN), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eviction_looks_at_few_keys() {
        let of = |samples| Config {
            maxmemory_samples: samples,
            maxmemory_policy: MaxmemoryPolicy::AllkeysLru,
            ..Config::default()
        };
        assert_eq!(rule_of(&of(7)).map(|rule| rule.samples), Some(7));
        assert_eq!(rule_of(&of(i32::MAX as u32)).map(|rule| rule.samples), Some(SAMPLES_MAX));
    }

    #[test]
    fn tenacity_is_a_time() {
        assert_eq!((slice_ns(0), slice_ns(1), slice_ns(10)), (0, 50_000, 500_000));
        assert!(slice_ns(11) > 570_000 && slice_ns(99) > 60_000_000_000);
        assert_eq!(slice_ns(100), u64::MAX);
    }
}
