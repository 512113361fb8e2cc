//! Replies that wait for the disk: under `appendfsync always` none leaves before everything that it could have seen is there
//! for good, in this shard's log and, by [`crate::store::log::Deps`], in all others that it depends on.
//!
//! ```text
//!  batch ─ stores put back: (shard, position) each ─> Hold ─> a chunk of replies behind it
//!  owner: a commit is on the disk ─ durable moves ─> rings shards that wait ─> chunks whose hold is met leave
//! ```
//! Commands run on meanwhile. When the log cannot be written any more nobody can say what will be kept: such connections
//! are closed, like those of a server that crashed. That holds until there is a new base: the files that come before it say nothing of what
//! the old ones lack.

use super::Core;
use crate::cmd::save::LogBoard;
use crate::ring::net::{ConnId, World};
use crate::store::Store;
use std::collections::VecDeque;

/// How far the logs of some shards have to be on the disk.
#[derive(Default, Debug)]
pub struct Hold {
    points: Vec<(u32, u64)>,
}

/// The chunks of a connection that wait.
#[derive(Default)]
pub(super) struct Holds {
    /// Chunks that have been sent since this was made.
    pub sent: u64,
    /// Chunks that wait, by the number of those before them, ascending. Those behind them wait too.
    queue: VecDeque<(u64, Hold)>,
}

impl Hold {
    /// Whether there is nothing to wait for.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// One log has to be so far.
    pub fn add(&mut self, shard: usize, position: u64) {
        match self.points.iter_mut().find(|point| point.0 == shard as u32) {
            Some(point) => point.1 = point.1.max(position),
            None => self.points.push((shard as u32, position)),
        }
    }

    /// All of another's too.
    pub fn merge(&mut self, other: &Hold) {
        other.points.iter().for_each(|(shard, position)| self.add(*shard as usize, *position));
    }

    /// What a reply waits for that has seen `store`.
    pub fn add_seen(&mut self, store: &Store, board: &LogBoard) {
        let position = store.log.position();
        if position > board.of(store.shard()).durable() {
            self.add(store.shard(), position);
        }
        for (shard, position) in store.log.deps().into_iter().flat_map(|deps| deps.iter().enumerate()) {
            if *position > board.of(shard).durable() {
                self.add(shard, *position);
            }
        }
    }

    /// Whatever has been logged anywhere.
    pub fn add_all(&mut self, board: &LogBoard) {
        for (shard, line) in board.all().iter().enumerate() {
            let logged = line.logged();
            if logged > line.durable() {
                self.add(shard, logged);
            }
        }
    }

    /// Whether the logs are so far.
    pub fn is_met(&mut self, board: &LogBoard) -> bool {
        self.points.retain(|(shard, position)| *position > board.of(*shard as usize).durable());
        self.points.is_empty()
    }
}

impl Core {
    /// The replies that a connection has gathered wait for what its last batch has seen.
    pub(super) fn hold_replies(&mut self, id: ConnId) {
        if self.hold.is_empty() {
            return;
        }
        let hold = std::mem::take(&mut self.hold);
        let Some(conn) = self.conn(id) else { return };
        if conn.out.is_empty() {
            return;
        }
        let ahead = conn.chunks.len() as u64;
        conn.shelve_replies();
        let holds = conn.holds.get_or_insert_default();
        holds.queue.push_back((holds.sent + ahead, hold));
        if !std::mem::replace(&mut conn.is_held, true) {
            self.held.push(id);
        }
        self.mark_dirty(id);
    }

    /// While the log cannot be written reads go on, whatever they see. A batch that ran behind the closed gate has written nothing; one
    /// that ran before, though the log had failed already, waits, in vain perhaps.
    pub(super) fn let_reads_out(&mut self) {
        if self.gate.bars_logged() {
            self.hold = Hold::default();
        }
    }

    /// The replies that a connection has gathered depend on something that ran elsewhere, no one knows where.
    pub(super) fn hold_for_all(&mut self, id: ConnId) {
        let board = &self.shared.saves.log;
        if board.is_strict() {
            self.hold = Hold::default();
            self.hold.add_all(board);
            self.hold_replies(id);
        }
    }

    /// Whether the next chunk of a connection's replies has to wait.
    pub(super) fn must_wait(&mut self, id: ConnId) -> bool {
        let shared = self.shared.clone();
        let board = &shared.saves.log;
        let Some(conn) = self.conn(id) else { return false };
        let Some(holds) = &mut conn.holds else { return false };
        while let Some((chunk, hold)) = holds.queue.front_mut()
            && *chunk == holds.sent
        {
            if board.errno() != 0 || !hold.is_met(board) {
                return true;
            }
            holds.queue.pop_front();
        }
        false
    }

    /// Whether replies wait that need not any more: then somebody has rung.
    pub fn holds_for_nothing(&self) -> bool {
        let board = &self.shared.saves.log;
        let is_free = |holds: &Holds| {
            let first = holds.queue.front().filter(|(chunk, _)| *chunk == holds.sent);
            first.is_some_and(|(_, hold)| {
                hold.points.iter().all(|(s, at)| *at <= board.of(*s as usize).durable())
            })
        };
        let conns =
            self.held.iter().filter_map(|id| self.conns.get(id.index())?.as_ref().filter(|c| c.id == *id));
        conns.filter(|conn| conn.sending == 0).any(|conn| conn.holds.as_deref().is_some_and(is_free))
    }

    /// Lets go what waited for the disk, or gives it up when the log cannot be written.
    pub(super) fn release_held(&mut self, net: &mut dyn World) {
        if self.held.is_empty() && self.for_disk.is_empty() {
            return;
        }
        let (shared, id) = (self.shared.clone(), self.id);
        let board = &shared.saves.log;
        // Before looking: whoever moves a log on from here on rings.
        board.of(id).set_waits(true);
        let broken = board.errno() != 0;
        let mut held = std::mem::take(&mut self.held);
        held.retain(|id| {
            let waits = self.must_wait(*id);
            if waits && broken {
                self.close(net, *id);
                return false;
            }
            if !waits {
                self.mark_dirty(*id);
            }
            let Some(conn) = self.conn(*id) else { return false };
            conn.is_held = conn.holds.as_ref().is_some_and(|holds| !holds.queue.is_empty());
            conn.is_held
        });
        held.append(&mut self.held);
        self.held = held;
        self.end_disk_waits(net);
        if self.held.is_empty() && self.for_disk.is_empty() {
            board.of(id).set_waits(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_met_when_every_log_is_far_enough() {
        let board = LogBoard::new(3);
        let mut hold = Hold::default();
        hold.add(0, 10);
        hold.add(0, 5);
        let mut other = Hold::default();
        other.add(2, 7);
        hold.merge(&other);
        board.of(0).set_durable(10);
        assert!(!hold.is_met(&board));
        board.of(2).set_durable(8);
        assert!(hold.is_met(&board));
        board.of(1).set_logged(4);
        let mut all = Hold::default();
        all.add_all(&board);
        assert_eq!(all.points, [(1, 4)]);
    }
}
