//! Commands that ask another server (MIGRATE), and those who want a key that is on its way there.
//!
//! ```text
//!  home: Outcome::Consult ─ parked ─> Control::consult ─> a thread that may wait ─> Core::consulted ─ the command runs again
//!  a locked key: ─ word is left in its store ─ home, parked ─ Letter::Unlocked ─ tried again
//! ```
//! Nothing here holds a store while the other server is asked, but a transaction: there the stores stay in hand, since nobody may
//! see it half done.
//!
//! A client that goes meanwhile, or is killed, is kept until its keys are here or there: what the other server has taken has to go
//! from here, whoever hears of it. Nobody can miss the letter: who finds a lock notes the count of unlocks with the store in hand,
//! and looks at it again before it parks; who unlocks with the store in hand counts first, and writes then.

use super::connections::Waits;
use super::drive::{Stop, Work};
use super::mail::Chore;
use super::{Core, Letter};
use crate::cmd::keyspace::migrate::key_arguments;
use crate::cmd::keyspace::sort::may_look_up;
use crate::cmd::migration::{Answer, State};
use crate::cmd::registry::Found;
use crate::cmd::row::flag;
use crate::cmd::{Command, Outcome, Session};
use crate::resp::Args;
use crate::ring::net::{ConnId, World};
use crate::store::Store;
use std::sync::atomic::Ordering;

impl Core {
    /// Asks what the next command of a connection wants to know.
    pub(super) fn consult(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id) else { return };
        let migration = conn.session.as_mut().and_then(|session| session.migration.as_mut());
        let Some(request) = migration.and_then(|migration| migration.take_request()) else { return };
        let ticket = self.park(id);
        self.shared.control.consult(self.id, ticket, request);
    }

    /// Another server has answered, or could not be asked.
    pub fn consulted(&mut self, net: &mut dyn World, ticket: u64, answer: Answer) {
        let Some(id) = self.unpark(ticket) else { return };
        let Some(conn) = self.conn(id) else { return };
        conn.waits = Waits::Nothing;
        if let Some(migration) = conn.session.as_mut().and_then(|session| session.migration.as_mut()) {
            migration.state = State::Told(answer);
        }
        self.unparked(net, id);
    }

    /// The same in a transaction: asks, stores in hand, and runs the command again.
    pub(super) fn consult_at_once(
        &mut self,
        work: &mut Work<'_>,
        found: Found,
        hash: u64,
        args: Args<'_>,
    ) -> Outcome {
        if let Some(migration) = &mut work.session.migration
            && let Some(request) = migration.take_request()
        {
            migration.state = State::Told(self.shared.control.consult_now(request));
        }
        let outcome = self.call(work, found, hash, args);
        self.tell_unlocked();
        outcome
    }

    /// Whether a command has to wait for a key that is locked, in the stores in hand; then the count of unlocks.
    #[cold]
    pub(super) fn meets_lock(&mut self, session: &Session, found: Found, args: Args<'_>) -> Option<u64> {
        if session.migration.is_some() || session.is_replay() || !self.hand.has_locks() {
            return None;
        }
        let mut met = self.meets(Some(session.db), found.row, args);
        if let Some(transaction) = &session.transaction
            && found.row.name == "exec"
        {
            let queue = &transaction.queue;
            let mut commands = (0..queue.len()).map(|i| queue.at(i));
            // There may be a SELECT among them.
            met = met.or_else(|| commands.find_map(|(found, args)| self.meets(None, found.row, args)));
        }
        self.hand.store(met?).await_unlock();
        Some(self.shared.unlocks.load(Ordering::SeqCst))
    }

    /// The shard of a locked key that a command names, in this database or in any; or that it looks up or writes to without naming it.
    fn meets(&self, db: Option<usize>, row: &Command, args: Args<'_>) -> Option<usize> {
        // These name another database beside the client's.
        let db = db.filter(|_| !matches!(row.name, "copy" | "move"));
        let named: Vec<&[u8]> = match row.name {
            "migrate" => key_arguments(args).map(|at| args.at(at)).collect(),
            _ => row.key_positions(args).unwrap_or_default().into_iter().map(|at| args.at(at)).collect(),
        };
        let met = named.iter().find_map(|key| self.locked_at(db, key));
        met.or_else(|| self.meets_by_pattern(db, row, args)).or_else(|| self.meets_by_serving(row, named))
    }

    /// The shard of a key that is locked, if its store is in hand.
    fn locked_at(&self, db: Option<usize>, key: &[u8]) -> Option<usize> {
        let owner = self.shared.route.owner(key);
        (self.hand.has(owner) && self.hand.peek(owner).is_locked(db, key)).then_some(owner)
    }

    /// The same of one that BY or GET of SORT may name.
    fn meets_by_pattern(&self, db: Option<usize>, row: &Command, args: Args<'_>) -> Option<usize> {
        if !matches!(row.name, "sort" | "sort_ro") {
            return None;
        }
        let reads = |store: &Store| store.locked_keys(db).any(|key| may_look_up(args, key));
        self.hand.iter().find(|store| reads(store)).map(|store| store.shard())
    }

    /// The same of one that somebody writes to whom a command serves (BLMOVE), or whom that one serves in turn.
    fn meets_by_serving<'a>(&'a self, row: &Command, mut fed: Vec<&'a [u8]>) -> Option<usize> {
        if row.flags & (flag::WRITE | flag::MAY_REPLICATE) == 0 {
            return None;
        }
        let mut seen = 0;
        while let Some(key) = fed.get(seen).copied() {
            seen += 1;
            let owner = self.shared.route.owner(key);
            if !self.hand.has(owner) {
                continue;
            }
            for wait in self.hand.peek(owner).waiting_for(key) {
                let (row, args) = (self.shared.registry.row(wait.command), wait.saved.args());
                let positions = row.key_positions(args).unwrap_or_default();
                for key in positions.iter().filter(|at| !wait.keys.contains(at)).map(|at| args.at(*at)) {
                    let met = self.locked_at(Some(wait.waiter.db), key);
                    if met.is_some() {
                        return met;
                    }
                    if !fed.contains(&key) {
                        fed.push(key);
                    }
                }
            }
        }
        None
    }

    /// A connection waits until keys are unlocked, unless some were since it looked.
    pub(super) fn wait_for_unlock(&mut self, id: ConnId, unlocks: u64) {
        if self.shared.unlocks.load(Ordering::SeqCst) != unlocks {
            return self.mark_ready(id);
        }
        self.wait_for(id, Waits::Lock);
        self.locked_out.push(id);
    }

    /// Keys were unlocked in the stores in hand: tells those who wait.
    pub(super) fn tell_unlocked(&mut self) {
        let awaited = self.hand.iter_mut().fold(false, |any, store| store.take_awaited() | any);
        if awaited {
            self.shared.unlocks.fetch_add(1, Ordering::SeqCst);
            for shard in 0..self.shared.route.shards() {
                self.post(shard, Letter::Unlocked);
            }
        }
    }

    /// Those who wait for locked keys try again.
    pub(super) fn unlocked(&mut self, net: &mut dyn World) {
        for id in std::mem::take(&mut self.locked_out) {
            let Some(conn) = self.conn(id).filter(|conn| conn.waits == Waits::Lock) else { continue };
            conn.waits = Waits::Nothing;
            self.unparked(net, id);
        }
    }

    /// A session's command will not run again: its keys stay here, and are unlocked. Whether its client is gone.
    pub(super) fn abandon_migration(&mut self, session: &mut Session) -> bool {
        let Some(migration) = session.migration.take() else { return false };
        if migration.copied {
            return migration.doomed;
        }
        let mut keys = migration.keys;
        while let Some(last) = keys.last() {
            let owner = self.shared.route.owner(last);
            let here = |key: &mut Box<[u8]>| self.shared.route.owner(key) == owner;
            let keys = keys.extract_if(.., here).collect();
            self.post(owner, Letter::Chore(Chore::Unlock { holder: session.id, keys }));
        }
        migration.doomed
    }

    /// Whether a connection that is to be closed has keys under way: it is closed when they are here or there.
    pub(super) fn outlives_its_client(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conn(id) else { return false };
        if let Some(session) = &mut conn.session {
            let Some(migration) = &mut session.migration else { return false };
            migration.doomed = true;
            conn.forget_replies();
            if conn.waits == Waits::Reader {
                conn.waits = Waits::Nothing;
                self.mark_ready(id);
            }
            return true;
        }
        let is_away = conn.shown.as_ref().is_some_and(|session| session.migration.is_some());
        conn.doomed |= is_away;
        is_away
    }
}

impl Work<'_> {
    /// What a command that asks another server stops for.
    pub(super) fn consult(&self) -> Stop {
        if self.home { Stop::Consult } else { Stop::Home }
    }
}
