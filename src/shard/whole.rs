//! A transaction that came whole: MULTI, brief commands and EXEC, all in one batch. It runs where it lies, without a queue.
//!
//! ```text
//!  batch:   MULTI   SET {t}a 1   INCR {t}n   EXEC   ...
//!  replies: +OK     +QUEUED      +QUEUED     *2 +OK :1
//! ```
//! That is how client libraries send their transactions. Nothing can come between the commands of a batch of one connection, so
//! nobody can tell that they never were in a queue; only the copy of each, and the books kept of it, are saved. Whatever is not plain (a
//! watched key, a command that is refused or waits, a store that is away, no room) goes the usual way from MULTI on.

use super::Core;
use super::batch::{Batch, Parsed, Place};
use super::call::{Desk, Kinds};
use super::drive::Work;
use super::planted::Planted;
use crate::cmd::cx::MemoryNow;
use crate::cmd::registry::Found;
use crate::cmd::row::flag;
use crate::cmd::{Cx, Outcome, Where, effects};
use crate::ring::net::World;
use crate::store::{Ahead, ShardSet};

/// The most commands between MULTI and EXEC: a longer transaction is queued.
const WHOLE_MAX: usize = 64;

/// What lies between a MULTI and its EXEC.
struct Whole {
    exec: Found,
    len: usize,
    set: ShardSet,
    flags: u32,
    kinds: Kinds,
}

impl Core {
    /// Runs the transaction that may begin at command `from` of a batch: how many commands that were, 0 if it has to be queued.
    #[inline]
    pub(super) fn run_whole(
        &mut self,
        net: &mut dyn World,
        work: &mut Work<'_>,
        batch: &Batch,
        from: usize,
        ticks: &mut u64,
    ) -> usize {
        match batch.commands[from].found {
            Ok(found) if found.row.is(flag::UNQUEUED) && found.row.name == "multi" => {
                self.run_from_multi(net, work, batch, (from, found), ticks)
            }
            _ => 0,
        }
    }

    #[inline(never)]
    fn run_from_multi(
        &mut self,
        net: &mut dyn World,
        work: &mut Work<'_>,
        batch: &Batch,
        (from, multi): (usize, Found),
        ticks: &mut u64,
    ) -> usize {
        if work.session.transaction.is_some()
            || work.session.is_replay()
            || !self.may_run_brief(work)
            || self.planted(Planted::PutBackEarly)
        {
            return 0;
        }
        let Some(whole) = find_whole(&batch.commands[from + 1..]) else { return 0 };
        let commands = &batch.commands[from + 1..from + 1 + whole.len];
        if !self.have(net, Where::of(whole.set), whole.exec)
            || self.hand.is_crossed()
            || whole.flags & flag::DENYOOM != 0 && !self.make_room(net, None)
        {
            return 0;
        }
        let db = work.session.db;
        for command in commands {
            if let Place::Shard(shard) = command.place {
                self.hand.peek(shard as usize).db(db).table().prefetch(command.hash);
            }
        }
        work.out.ok();
        commands.iter().for_each(|_| work.out.raw(b"+QUEUED\r\n"));
        work.out.array(whole.len);
        self.call_each(work, batch, commands);
        work.session.last_command = Some(whole.exec.id);
        work.session.commands += whole.len as u64 + 2;
        // Before those are served who wait: what they get are units of their own.
        self.end_unit();
        if self.hand.has_ready() {
            self.serve_ready(net);
        }
        let done = net.ticks_ns();
        let ns = done.saturating_sub(std::mem::replace(ticks, done));
        // The time was taken once for all; as in Redis, EXEC's is that of its queue too.
        let each = ns / (whole.len as u64 + 2);
        self.tallies.ran(multi.id, each, 1);
        whole.kinds.each(|id, n| self.tallies.ran(id, each, n));
        self.tallies.ran(whole.exec.id, ns - each, 1);
        if ns >= self.tallies.watch_ns {
            self.note_slow_run(work, batch, from + 1..from + 1 + whole.len, ns);
        }
        whole.len + 2
    }

    /// Runs commands whose stores are in hand, one after the other, in one unit.
    fn call_each(&mut self, work: &mut Work<'_>, batch: &Batch, commands: &[Parsed]) {
        let Some(first) = commands.first().and_then(|command| command.found.ok()) else { return };
        let Desk { env, keys, tallies, .. } = self.desk(work.session, MemoryNow::default());
        let mut cx =
            Cx { keys, out: work.out, session: work.session, env: &env, reports: &[], row: first.row };
        let logs = cx.keys.hand.logs();
        for command in commands {
            let (Ok(found), Place::Shard(shard)) = (command.found, command.place) else { continue };
            let args = batch.args_of(command, work.input);
            let key = args.at(command.key as usize);
            if !logs {
                cx.keys.hand.narrow(shard as usize);
            }
            cx.keys.ahead = Some(Ahead::new(key, command.hash, shard as usize));
            cx.row = found.row;
            let mark = cx.out.mark();
            match effects::run(&mut cx, args) {
                Ok(outcome) => {
                    debug_assert!(matches!(outcome, Outcome::Done), "a brief command does no more")
                }
                Err(error) => cx.out.error(&error),
            }
            if cx.out.take_errors() > 0 {
                tallies.failed(Some(found.id), cx.out.error_since(mark).unwrap_or(b"ERR"));
            }
            cx.keys.hand.stamp_ready();
        }
        cx.keys.hand.widen();
    }
}

/// Looks for the EXEC of a transaction that these are behind the MULTI of; `None`: it is not here, or not all before it is plain.
fn find_whole(commands: &[Parsed]) -> Option<Whole> {
    let (mut set, mut flags, mut kinds) = (ShardSet::EMPTY, 0, Kinds::default());
    for (len, command) in commands.iter().take(WHOLE_MAX + 1).enumerate() {
        let found = command.found.ok().filter(|_| command.fits)?;
        match command.place {
            Place::Shard(shard) if command.key != 0 => set.insert(shard as usize),
            _ => {
                let is_exec = found.row.is(flag::UNQUEUED) && found.row.name == "exec";
                return (is_exec && len > 0).then_some(Whole { exec: found, len, set, flags, kinds });
            }
        }
        flags |= found.row.flags;
        if flags & (flag::NO_MULTI | flag::PROTECTED) != 0 || !kinds.count(found.id) {
            return None;
        }
    }
    None
}
