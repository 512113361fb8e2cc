//! Blocking: a connection whose command waits for keys, or for time to pass.
//!
//! ```text
//!  Outcome::Block ─ Wait into the lines of its keys (`store/lines.rs`) ─ the connection's other requests wait
//!  a command has changed a key that somebody waits for:
//!      its holder runs the first in line again ─ Letter::Served ─> home: the reply goes out
//!  home: time is up, CLIENT UNBLOCK, the client is gone ─ Chore::Leave ─> the owners of its keys
//! ```
//! Those who wait are served before the command that made the key ready is over, or the transaction: nobody sees what they
//! were due. One who waits on several shards is served by whoever is first to have something; the claim in its [`Wait`]
//! decides. One who needs stores that its keys do not tell (BLMOVE: where to) is served by a holder who has these too: a command
//! that may wake it takes them beforehand ([`Core::cross`]).

use super::connections::Waits;
use super::drive::{Stop, Work, flags_of};
use super::hold::Hold;
use super::mail::Chore;
use super::planted::Planted;
use super::{Core, Letter};
use crate::cmd::block::{Block, OnDisk};
use crate::cmd::registry::Found;
use crate::cmd::row::{flag, key};
use crate::cmd::session::ReplyMode;
use crate::cmd::{Outcome, Plan, Session, Where};
use crate::resp::{Args, Out, Parser};
use crate::ring::net::{ConnId, World};
use crate::store::{Saved, ShardSet, Wait, Waiter};
use std::collections::HashSet;
use std::sync::Arc;

/// Up to so many keys are compared with each other, which allocates nothing.
const FEW_KEYS: usize = 16;
const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

/// A wait, as its home keeps it.
pub struct Blocked {
    pub wait: Arc<Wait>,
    /// On the monotonic clock; `None`: for ever.
    deadline_us: Option<u64>,
    /// CLIENT REPLY: the client wants no reply to this command.
    silent: bool,
    timed_out: fn(&mut Out),
    /// Also over, or with another reply, when the log is on the disk.
    on_disk: Option<OnDisk>,
}

/// What was served while the job that began to wait was still on its way home.
pub(super) struct Early {
    wait: Arc<Wait>,
    out: Out,
}

impl Core {
    /// A command has nothing to give: it joins the lines of its keys, whose stores are in hand.
    pub(super) fn block(&mut self, work: &mut Work<'_>, found: Found, args: Args<'_>, block: Block) -> Stop {
        let route = self.shared.route;
        let saved = block.args.unwrap_or_else(|| Saved::of(args.iter()));
        let keys = distinct(saved.args(), block.keys);
        let mut shards = ShardSet::EMPTY;
        keys.iter().for_each(|at| shards.insert(route.owner(saved.args().at(*at))));
        let mut needs = self.need(super::batch::place_of(found, args, route));
        needs.remove(&shards);
        let session = &*work.session;
        let (home, conn) = work.client;
        let deadline_us =
            block.timeout_ms.map(|ms| self.now.mono_us.saturating_add(ms.saturating_mul(1_000)));
        let waiter = Waiter {
            home,
            conn: conn.0,
            id: session.id,
            db: session.db,
            proto: session.proto,
            no_touch: session.no_touch,
            until_us: deadline_us.unwrap_or(u64::MAX),
            addr: session.addr.clone(),
            name: session.name.clone(),
        };
        // Behind everybody in each of its lines, whose stores are all in hand.
        let ticket = shards.iter().map(|shard| self.hand.peek(shard).next_ticket()).max().unwrap_or(0);
        let wait = Wait::new(waiter, ticket, found.id, saved, keys, block.wake, (shards, needs));
        let wait = Arc::new(wait);
        for key in wait.keys() {
            self.hand.store(route.owner(key)).join_line(session.db, key, &wait);
        }
        let silent = matches!(session.reply, ReplyMode::Off | ReplyMode::Skipping);
        let (timed_out, on_disk) = (block.timed_out, block.on_disk);
        Stop::Block(Box::new(Blocked { wait, deadline_us, silent, timed_out, on_disk }))
    }

    /// A connection waits, at its home.
    pub(super) fn begin_wait(&mut self, net: &mut dyn World, id: ConnId, blocked: Box<Blocked>) {
        let Some(conn) = self.conn(id).filter(|conn| !conn.closed) else { return self.give_up(&blocked) };
        conn.waits = Waits::Block;
        let early = conn.early.take();
        if let Some(at) = blocked.deadline_us {
            self.deadlines.insert((at, id));
        }
        let for_disk = blocked.on_disk.is_some();
        if let Some(conn) = self.conn(id) {
            conn.blocked = Some(blocked);
        }
        if for_disk {
            // Its stores are back: all that it wrote has been told.
            let mut hold = Hold::default();
            hold.add_all(&self.shared.saves.log);
            self.for_disk.push((id, hold));
        }
        match early {
            Some(early) => self.served(net, id, early.wait, early.out, ShardSet::EMPTY),
            None => {
                self.check_input(net, id);
                self.close_if_done(net, id);
            }
        }
    }

    /// A connection that waits no more: the reply that it gets, if it wants one. Then its next requests have their turn. `served`: the
    /// reply comes from a write.
    fn end_wait(&mut self, net: &mut dyn World, id: ConnId, served: bool, reply: impl FnOnce(&mut Out)) {
        let Some(blocked) = self.forget_wait(id) else { return };
        let Some(conn) = self.conn(id) else { return };
        if !blocked.silent {
            let proto = blocked.wait.waiter.proto;
            conn.out.set_proto(proto);
            reply(&mut conn.out);
            conn.out.take_errors();
        }
        conn.waits = Waits::Nothing;
        // A wait that was in vain is a read, and reads go on while the log cannot be written.
        if served || !self.gate.bars_logged() {
            self.hold_for_all(id);
        }
        self.unparked(net, id);
    }

    fn forget_wait(&mut self, id: ConnId) -> Option<Box<Blocked>> {
        let blocked = self.conn(id)?.blocked.take()?;
        if let Some(at) = blocked.deadline_us {
            self.deadlines.remove(&(at, id));
        }
        Some(blocked)
    }

    /// A connection that waits is closed.
    pub(super) fn close_blocked(&mut self, id: ConnId) {
        if let Some(blocked) = self.forget_wait(id) {
            self.give_up(&blocked);
        }
    }

    /// Nobody will hear the reply: the wait is over, unless somebody serves it just now.
    pub(super) fn give_up(&mut self, blocked: &Blocked) {
        if blocked.wait.claim() {
            blocked.wait.end();
            self.leave_lines(&blocked.wait, &blocked.wait.shards);
        }
    }

    /// Has owners take a wait that is over out of their lines.
    fn leave_lines(&mut self, wait: &Arc<Wait>, shards: &ShardSet) {
        for shard in shards.iter() {
            self.post(shard, Letter::Chore(Chore::Leave(wait.clone())));
        }
    }

    /// Ends the waits whose time has come.
    pub(super) fn end_waits(&mut self, net: &mut dyn World) {
        while let Some(&(at, id)) = self.deadlines.first()
            && at <= self.now.mono_us
        {
            self.deadlines.pop_first();
            let Some(blocked) = self.conn(id).and_then(|conn| conn.blocked.as_deref()) else { continue };
            let (wait, timed_out) = (blocked.wait.clone(), blocked.timed_out);
            if !wait.claim() {
                // It has been served: the reply is on its way.
                continue;
            }
            wait.end();
            self.leave_lines(&wait, &wait.shards);
            self.tallies.ran(wait.command, 0, 1);
            self.end_wait(net, id, false, timed_out);
        }
    }

    /// Ends the waits of those whose writes are on the disk.
    pub(super) fn end_disk_waits(&mut self, net: &mut dyn World) {
        let shared = self.shared.clone();
        if shared.saves.log.errno() != 0 {
            // What could not be written is on the disk when a new base is.
            return;
        }
        for (id, mut hold) in std::mem::take(&mut self.for_disk) {
            let Some(blocked) = self.conn(id).and_then(|conn| conn.blocked.as_deref_mut()) else { continue };
            let Some(on_disk) = blocked.on_disk else { continue };
            if !hold.is_met(&shared.saves.log) {
                self.for_disk.push((id, hold));
                continue;
            }
            blocked.timed_out = on_disk.reply;
            let wait = blocked.wait.clone();
            if on_disk.ends && wait.claim() {
                wait.end();
                self.tallies.ran(wait.command, 0, 1);
                self.end_wait(net, id, false, on_disk.reply);
            }
        }
    }

    /// CLIENT UNBLOCK has ended a wait.
    pub(super) fn unblock(&mut self, net: &mut dyn World, wait: &Arc<Wait>, error: bool) {
        if wait.waiter.home != self.id {
            return;
        }
        self.leave_lines(wait, &wait.shards);
        let id = ConnId(wait.waiter.conn);
        let Some(conn) = self.conn(id) else { return };
        let Some(blocked) = conn.blocked.as_deref().filter(|b| Arc::ptr_eq(&b.wait, wait)) else { return };
        let timed_out = blocked.timed_out;
        self.tallies.ran(wait.command, 0, 1);
        if error {
            self.tallies.failed(Some(wait.command), UNBLOCKED.as_bytes());
            return self.end_wait(net, id, false, |out| out.error_text(UNBLOCKED));
        }
        self.end_wait(net, id, false, timed_out);
    }

    /// A wait was served by a shard that held a key of it; `left` are the shards in whose lines it still stands.
    pub(super) fn served(
        &mut self,
        net: &mut dyn World,
        id: ConnId,
        wait: Arc<Wait>,
        mut out: Out,
        left: ShardSet,
    ) {
        self.leave_lines(&wait, &left);
        let Some(conn) = self.conn(id) else { return };
        if conn.waits == Waits::Job {
            conn.early = Some(Box::new(Early { wait, out }));
            return;
        }
        if conn.blocked.as_deref().is_some_and(|blocked| Arc::ptr_eq(&blocked.wait, &wait)) {
            self.end_wait(net, id, true, |replies| replies.append(&mut out));
        }
        let (buf, _) = out.take(Vec::new());
        self.recycle(buf);
    }

    /// Serves those who wait for keys that are ready in the stores in hand. It ends: whoever is served is out of line.
    #[inline(never)]
    pub(super) fn serve_ready(&mut self, net: &mut dyn World) {
        while let Some((shard, db, key)) = self.hand.next_ready() {
            self.serve_line(net, shard, db, &key);
        }
    }

    fn serve_line(&mut self, net: &mut dyn World, shard: usize, db: usize, key: &[u8]) {
        let (mut left, any) = self.hand.peek(shard).line_len(db, key);
        let mut from = 0;
        while left > 0 {
            left -= 1;
            let store = self.hand.peek(shard);
            let kind = store.kind_of(db, key, self.now.ms());
            if kind.is_none() && any == 0 {
                return;
            }
            let next = if self.planted(Planted::LastComeFirstServed) {
                store.in_line(db, key, left)
            } else {
                store.next_in_line(db, key, from)
            };
            let Some(wait) = next else { return };
            from = wait.ticket + 1;
            // Time that is up comes first, though its home may not have seen it yet.
            let in_time = wait.waiter.until_us > self.now.mono_us;
            if wait.wake.on(kind) && in_time && (wait.claim() || self.planted(Planted::ServedTwice)) {
                match self.run_again(net, &wait) {
                    Some(out) => {
                        wait.end();
                        self.hand_out(wait, out);
                        self.hand.stamp_ready();
                    }
                    None => wait.release(),
                }
            } else if wait.is_over() {
                self.hand.store(shard).leave_line(db, key, &wait);
            }
        }
    }

    /// Sends a reply to who waited for it, and takes it out of the lines that are in hand.
    fn hand_out(&mut self, wait: Arc<Wait>, out: Out) {
        let mut left = wait.shards;
        for key in wait.keys() {
            let owner = self.shared.route.owner(key);
            if self.hand.has(owner) {
                self.hand.store(owner).leave_line(wait.waiter.db, key, &wait);
            }
        }
        left.remove(&self.hand.set());
        let (home, conn) = (wait.waiter.home, ConnId(wait.waiter.conn));
        self.post(home, Letter::Served { conn, wait, out: Box::new(out), left });
    }

    /// Runs a command that waits again, with the stores in hand: its reply, unless there is still nothing to give.
    fn run_again(&mut self, net: &mut dyn World, wait: &Wait) -> Option<Out> {
        let covered = self.hand.set().covers(&wait.needs);
        assert!(covered, "a command that wakes others takes the stores that they need");
        let mut session = self.stand_in.take().unwrap_or_else(|| Box::new(Session::new(0, 0)));
        stand_in(&mut session, &wait.waiter);
        let mut out = Out::with_buffer(self.spare.pop().unwrap_or_default(), session.proto);
        let mut work = Work {
            session: &mut session,
            out: &mut out,
            input: &[],
            at: 0,
            parser: Parser::default(),
            partial: &mut Vec::new(),
            home: false,
            client: (wait.waiter.home, ConnId(wait.waiter.conn)),
            room: usize::MAX,
            reports: None,
        };
        let found = Found { id: wait.command, row: self.shared.registry.row(wait.command) };
        let (args, mark, began) = (wait.saved.args(), work.out.mark(), net.ticks_ns());
        let outcome = self.call(&mut work, found, 0, args);
        self.end_unit();
        let served = !matches!(outcome, Outcome::Block(_));
        if served {
            self.account(&mut work, found, args, mark, net.ticks_ns().saturating_sub(began));
        }
        self.stand_in = Some(session);
        if served {
            return Some(out);
        }
        let (buf, _) = out.take(Vec::new());
        self.recycle(buf);
        None
    }

    /// A command that changes keys, in stores that others wait in who need more stores to be served: takes those too. `Some`:
    /// they could not be had.
    #[cold]
    pub(super) fn cross(
        &mut self,
        net: &mut dyn World,
        work: &Work<'_>,
        found: Found,
        args: Args<'_>,
    ) -> Option<Stop> {
        if flags_of(found, work.session) & (flag::WRITE | flag::MAY_REPLICATE) == 0 {
            return None;
        }
        loop {
            let held = self.hand.set();
            let mut set = held;
            set.add(&self.needs_of_woken(found, args));
            if set == held {
                return None;
            }
            // With more stores in hand there may be more to wake.
            if !self.have(net, Where::of(set), found) {
                let home = self.needs(work.session, found, args).home;
                return Some(if home { Stop::Fetch(set) } else { Stop::Mail(set) });
            }
        }
    }

    /// What those need whom a command may wake, and whom they may wake in turn.
    fn needs_of_woken(&self, found: Found, args: Args<'_>) -> ShardSet {
        let row = found.row;
        let listed = matches!(row.plan, Plan::Owner | Plan::Keys)
            && !row.is(flag::MOVABLEKEYS)
            && row.keys.iter().all(|spec| spec.flags & key::INCOMPLETE == 0);
        let mut set = ShardSet::EMPTY;
        if listed {
            for key in row.key_positions(args).unwrap_or_default().into_iter().map(|at| args.at(at)) {
                let store = self.hand.peek(self.shared.route.owner(key));
                if store.has_line(key) {
                    set.add(&store.needs_of_lines());
                }
            }
        } else {
            self.hand.iter().for_each(|store| set.add(&store.needs_of_lines()));
        }
        loop {
            let before = set;
            for shard in before.iter().filter(|shard| self.hand.has(*shard)) {
                set.add(&self.hand.peek(shard).needs_of_lines());
            }
            if set == before {
                return set;
            }
        }
    }
}

/// The positions of keys without those of a key that is named again: it is waited for once.
fn distinct(args: Args<'_>, mut keys: Vec<usize>) -> Vec<usize> {
    if keys.len() <= FEW_KEYS {
        for (i, at) in std::mem::take(&mut keys).into_iter().enumerate() {
            if i == 0 || keys.iter().all(|other| args.at(*other) != args.at(at)) {
                keys.push(at);
            }
        }
        return keys;
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.retain(|at| seen.insert(args.at(*at)));
    keys
}

/// Makes a session look like that of a client who waits, as far as its command can tell.
fn stand_in(session: &mut Session, waiter: &Waiter) {
    session.id = waiter.id;
    session.db = waiter.db;
    session.proto = waiter.proto;
    session.no_touch = waiter.no_touch;
    session.addr = waiter.addr.clone();
    session.name = waiter.name.clone();
}

#[cfg(test)]
mod tests;
