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
/// no other work stands between. Entries are sent for one such group before they are used, buckets all before the first.
const GROUP: usize = 4;
/// Instead of waiting for a store a shard sends replies, when there are as many as make up for the system call; and when its own batch
/// is so long that others' may be.
const WORTH_SENDING: usize = 2;
const WORTH_A_CALL: usize = 8;
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

    /// Before a batch: when the store that it begins with is away, and its holder runs, something else is done for a moment.
    #[inline]
    pub(super) fn use_wait(&mut self, net: &mut dyn World, work: &Work<'_>, batch: &Batch) {
        let is_short = self.dirty.len() < WORTH_SENDING || batch.commands.len() < WORTH_A_CALL;
        if is_short || self.hand.held() > 0 || !work.home {
            return;
        }
        let Some(Parsed { place: Place::Shard(shard), .. }) = batch.commands.first() else { return };
        let cell = &self.shared.cells[*shard as usize];
        let holder = cell.holder();
        if !cell.is_home() && !self.siblings.contains(holder) && !self.away.contains(holder) {
            self.flush_meanwhile(net, work.client.1);
        }
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

    /// Sends for the memory of a run, as far as its stores are in hand: for the buckets that all its commands look in, unless these are on
    /// their way, and then for the entries of the first group. How many commands were looked at.
    fn fetch_run(&self, db: usize, batch: &Batch, from: usize) -> usize {
        let commands = &batch.commands[from..];
        if commands.len() >= FETCH_FROM {
            if !batch.is_sent_for {
                send_for(&self.hand, db, commands, |table, hash| {
                    table.prefetch(hash);
                    false
                });
            }
            send_for(&self.hand, db, &commands[..commands.len().min(GROUP)], Table::prefetch_entry);
        }
        commands.len()
    }
}

/// The commands of a group whose entries lie beyond the buckets where they belong: a bit each.
pub(super) type Beyond = u32;

/// Before command `ran` of a run that begins with command `from`: sends for the entries of the next group, and for those of this one
/// that were found to lie beyond their buckets.
#[inline]
pub(super) fn fetch_ahead(
    hand: &Hand,
    db: usize,
    batch: &Batch,
    from: usize,
    ran: usize,
    beyond: &mut Beyond,
) {
    if !ran.is_multiple_of(GROUP) {
        return;
    }
    let commands = &batch.commands[from + ran..];
    if *beyond != 0 {
        send_beyond(hand, db, commands, *beyond);
        *beyond = 0;
    }
    if let Some(next) = commands.get(GROUP..) {
        *beyond = send_for(hand, db, &next[..next.len().min(GROUP)], Table::prefetch_entry);
    }
}

/// Sends for what brief commands will look at, as far as their stores are in hand; for which of the first `send` said so. Apart, so
/// that it has all registers.
#[inline(never)]
fn send_for(
    hand: &Hand,
    db: usize,
    commands: &[Parsed],
    send: impl Fn(&Table<Value>, u64) -> bool,
) -> Beyond {
    let mut last: Option<(u32, &Table<Value>)> = None;
    let mut said: Beyond = 0;
    for (i, command) in commands.iter().enumerate() {
        let Parsed { place: Place::Shard(shard), key: 1.., hash, .. } = *command else { continue };
        let table = match last {
            Some((same, table)) if same == shard => table,
            _ if hand.has(shard as usize) => hand.peek(shard as usize).db(db).table(),
            _ => continue,
        };
        last = Some((shard, table));
        said |= Beyond::from(send(table, hash)) << (i % GROUP);
    }
    said
}

/// Sends for the entries of these of the commands, whose stores are in hand.
#[cold]
fn send_beyond(hand: &Hand, db: usize, commands: &[Parsed], these: Beyond) {
    for (i, command) in commands.iter().enumerate().take(GROUP) {
        if these & 1 << i != 0
            && let Parsed { place: Place::Shard(shard), hash, .. } = *command
            && hand.has(shard as usize)
        {
            hand.peek(shard as usize).db(db).table().prefetch_beyond(hash);
        }
    }
}
