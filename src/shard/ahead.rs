//! Before a run: the stores that its commands need are taken together, and their memory is sent for.
//!
//! ```text
//!  batch:   GET a (2)   GET b (0)   SET c (2)   GET d (1)   PING   GET e (0)
//!           └──── one run: stores 0, 1, 2 in hand ────────┘
//! ```
//! Taking a store that another core had last moves a handful of cache lines; with a store for each command that would cost more than
//! the commands do. So a run takes the stores of all its commands at once, in ascending order, and holds them to the end of the
//! batch: commands run in the order they came in, and nobody sees one without those before it. A store that stays away ends
//! the run before the first command that needs it.

use super::Core;
use super::batch::{Batch, Parsed, Place};
use super::drive::Work;
use crate::ds::Table;
use crate::ring::net::World;
use crate::store::{Hand, ShardSet, Value};

/// Memory is sent for by so many commands at a time: what they wait for, mostly the walk to the page, overlaps only when
/// no other work stands between. Entries are sent for one such group before they are used, buckets one before that.
const GROUP: usize = 4;
/// The fewest commands for which it pays to send for memory ahead.
const FETCH_FROM: usize = 2;

impl Core {
    /// Whether brief command `i` of a batch has its store in hand. With it come those of the brief commands behind it, as far as
    /// they can be had; what is in hand is sent for, `fetched` says up to which command.
    pub(super) fn have_run(
        &mut self,
        net: &mut dyn World,
        work: &Work<'_>,
        batch: &Batch,
        i: usize,
        fetched: &mut usize,
    ) -> bool {
        let Place::Shard(shard) = batch.commands[i].place else { return false };
        let is_new = !self.hand.has(shard as usize);
        if is_new {
            self.put_back(net);
            if !self.take_run(net, &batch.commands[i..], shard as usize) {
                return false;
            }
        }
        if is_new || i >= *fetched {
            *fetched = i + self.fetch_run(work.session.db, batch, i);
        }
        true
    }

    /// Whether the only store there is could be had before a batch is read whose first command needs it: buckets are sent for while
    /// the others are parsed, then.
    pub(super) fn have_only(&mut self, net: &mut dyn World, work: &Work<'_>) -> bool {
        self.shared.route.shards() == 1
            && self.policy.depth >= FETCH_FROM
            && work.parser.is_fresh()
            && self.heads.know(work.input, work.parser.position())
            && self.may_run_brief(work)
            && (self.hand.has(0) || self.take(net, 0))
    }

    /// Takes the stores of the brief commands that these begin with, the first of which needs `first`, with empty hands.
    fn take_run(&mut self, net: &mut dyn World, commands: &[Parsed], first: usize) -> bool {
        let set = self.stores_of_run(commands);
        let mut next = set.next(0);
        while let Some(shard) = next {
            if !self.take(net, shard) && shard == first {
                self.put_back(net);
                return false;
            }
            next = set.next(shard + 1);
        }
        if self.hand.held() > 1 && self.hand.is_crossed() {
            // Who waits in one of them need not concern the others.
            self.put_back(net);
            return self.take(net, first);
        }
        self.hand.has(first)
    }

    /// The stores of the brief commands that these begin with, as far as they may be borrowed.
    fn stores_of_run(&self, commands: &[Parsed]) -> ShardSet {
        let mut set = ShardSet::EMPTY;
        if self.shared.route.shards() == 1 {
            return ShardSet::one(0);
        }
        for command in commands {
            let Parsed { found: Ok(found), place: Place::Shard(shard), key: 1.., .. } = command else {
                break;
            };
            let shard = *shard as usize;
            if !set.contains(shard) {
                if !self.policy.may_borrow(self.id, shard, found.row) {
                    break;
                }
                set.insert(shard);
            }
        }
        set
    }

    /// Sends for the memory of the first of these commands, as far as their stores are in hand: for the buckets that they look in,
    /// and then, when these are here, for the entries of a group. How many commands were looked at.
    fn fetch_run(&self, db: usize, batch: &Batch, from: usize) -> usize {
        let commands = &batch.commands[from..];
        if commands.len() < FETCH_FROM {
            return commands.len();
        }
        let first = &commands[..commands.len().min(2 * GROUP)];
        if !batch.is_sent_for {
            send_for(&self.hand, db, first, Table::prefetch);
        }
        send_for(&self.hand, db, &first[..first.len().min(GROUP)], Table::prefetch_entry);
        first.len()
    }
}

/// Before command `ran` of a run that begins with command `from`: sends for the entries of the next group, and the buckets of the
/// one after it.
#[inline]
pub(super) fn fetch_ahead(hand: &Hand, db: usize, batch: &Batch, from: usize, ran: usize) {
    let commands = &batch.commands[from..];
    if !ran.is_multiple_of(GROUP) || commands.len() <= ran + GROUP {
        return;
    }
    let next = &commands[ran + GROUP..];
    let (next, later) = next.split_at(next.len().min(GROUP));
    send_for(hand, db, next, Table::prefetch_entry);
    if !batch.is_sent_for {
        send_for(hand, db, &later[..later.len().min(GROUP)], Table::prefetch);
    }
}

/// Sends for what brief commands will look at, as far as their stores are in hand. Apart, so that it has all registers.
#[inline(never)]
fn send_for(hand: &Hand, db: usize, commands: &[Parsed], send: impl Fn(&Table<Value>, u64)) {
    let mut last: Option<(u32, &Table<Value>)> = None;
    for command in commands {
        let Parsed { place: Place::Shard(shard), key: 1.., hash, .. } = *command else { continue };
        let table = match last {
            Some((same, table)) if same == shard => table,
            _ if hand.has(shard as usize) => hand.peek(shard as usize).db(db).table(),
            _ => continue,
        };
        last = Some((shard, table));
        send(table, hash);
    }
}
