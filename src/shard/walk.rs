//! Walking a cut: each shard goes through its own store in slices between its turns, and sends what it finds to the writer.
//!
//! Clients come first: a slice is taken in a turn that had no command to run, so the walk has the time that they leave; when they leave
//! none it has one slice of [`SLICE_NS`] every [`PAUSE_US`]. When so much is on its way that the writer is behind, the walk
//! waits, not the clients: what they overwrite meanwhile is kept in the store, and goes out with the next slice. While it waits
//! the shard sleeps, so a writer on the same core has the time that nobody else wants.

use super::Core;
use crate::persist::rdb::Line;
use crate::ring::net::World;
use crate::store::{Kept, Store};

/// How long a slice takes while clients are at work, and while they are not, in nanoseconds: who comes meanwhile waits so long.
const SLICE_NS: u64 = 15_000;
const LONG_SLICE_NS: u64 = 100_000;
/// Clients are at work when the last command ran less than so many microseconds ago.
const AT_WORK_US: u64 = 1_000;
/// How long clients without a pause can keep the walk from its next slice, in microseconds.
const PAUSE_US: u64 = 500;
/// Buckets, or parts of large values, between two looks at the clock.
const STEPS: usize = 2;
/// Bytes of a piece: what is gathered in the store before it is sent. A slice ends at them.
const PIECE: usize = 64 << 10;
/// Bytes of a shard on their way to the writer at which its walk waits.
const WINDOW: usize = 2 << 20;
/// How long the walk waits for the writer, or for the store, in microseconds.
const WRITER_US: u64 = 500;
const STORE_US: u64 = 100;

/// A writer that has been behind for so long may lack the core that this shard has without a pause: it is given some of it.
const STARVES_US: u64 = 50_000;
const CEDED_US: u64 = 100;

/// A walk under way.
pub(super) struct Walk {
    /// Which cut it goes through.
    pub cut: u64,
    pub line: Line,
    /// It was given up: only the cut is still to be ended.
    is_over: bool,
    /// When it goes on, on the monotonic clock.
    next_us: u64,
    /// When its last slice ended.
    slice_us: u64,
    /// Since when it has been waiting for the writer.
    behind_us: Option<u64>,
    /// Bytes that its last slice left in the store.
    left: usize,
    /// Bytes there that commands have kept, at most, and all that is known to be held in the store for the snapshot because of them.
    kept: usize,
    held: usize,
    /// Commands that had run at the last turn, and when one ran last.
    commands: u64,
    command_us: u64,
}

impl Walk {
    pub fn new(cut: u64, line: Line, now_us: u64) -> Walk {
        Walk {
            cut,
            line,
            is_over: false,
            next_us: now_us,
            slice_us: now_us,
            behind_us: None,
            left: 0,
            kept: 0,
            held: 0,
            commands: 0,
            command_us: now_us,
        }
    }

    /// When the shard has to turn again for it.
    pub fn next_us(&self) -> u64 {
        self.next_us
    }
}

impl Core {
    /// One slice of the walk, when it is due and the store is at home.
    pub(super) fn walk_slice(&mut self, net: &mut dyn World) {
        let (now_us, commands) = (self.now.mono_us, self.tallies.counters.commands);
        let Some(walk) = self.walk.as_mut().filter(|walk| walk.next_us <= now_us) else { return };
        if walk.is_over {
            return self.end_walk(net);
        }
        if walk.line.weight(self.id) > WINDOW {
            let since = *walk.behind_us.get_or_insert(now_us);
            walk.next_us = now_us + WRITER_US;
            if now_us.saturating_sub(since) > STARVES_US {
                net.sleep_us(CEDED_US);
            }
            return;
        }
        walk.behind_us = None;
        if walk.commands != commands {
            (walk.commands, walk.command_us) = (commands, now_us);
            if now_us < walk.slice_us + PAUSE_US {
                return;
            }
        }
        let slice_ns = if now_us < walk.command_us + AT_WORK_US { SLICE_NS } else { LONG_SLICE_NS };
        walk.next_us = now_us + STORE_US;
        let cut = walk.cut;
        if !self.take(net, self.id) {
            return;
        }
        let began = net.ticks_ns();
        let store = self.hand.store(self.id);
        if store.cut() != Some(cut) {
            // It was given up, or another has taken its place.
            self.forget_walk();
            return self.put_back(net);
        }
        let mut pieces = Vec::new();
        let before = (store.kept_weight(), store.held_weight());
        let mut through = false;
        let full = |store: &Store| store.ready_weight() >= PIECE || store.waits_for_taking();
        // Of many databases the look alone may take as long as a slice: a step is made all the same.
        while !through && !full(store) {
            through = store.cut_slice(STEPS);
            if net.ticks_ns().saturating_sub(began) >= slice_ns {
                break;
            }
        }
        if through || full(store) {
            store.take_kept(&mut |db, kept| pieces.push((db, kept)));
        }
        let after = (store.kept_weight(), store.held_weight());
        if through {
            store.end_cut();
        }
        self.put_back(net);
        let took_us = net.ticks_ns().saturating_sub(began) / 1_000;
        self.shared.saves.note_slice(took_us);
        if let Some(walk) = &mut self.walk {
            (walk.next_us, walk.slice_us) = (now_us, now_us + took_us);
            walk.kept += before.0.saturating_sub(walk.left);
            self.shared.saves.note_held(&mut walk.held, walk.kept + before.1);
            (walk.left, walk.kept) = (after.0, walk.kept.min(after.0));
            self.shared.saves.note_held(&mut walk.held, if through { 0 } else { walk.kept + after.1 });
        }
        self.send_pieces(pieces, through);
    }

    fn send_pieces(&mut self, pieces: Vec<(usize, Kept)>, through: bool) {
        let Some(walk) = &mut self.walk else { return };
        let heard = pieces.into_iter().all(|(db, kept)| walk.line.send(self.id, db, kept));
        if through {
            walk.line.through();
        }
        // When nobody listens any more, all that is left to do is to end the cut.
        walk.is_over = !heard;
        if through {
            self.walk = None;
        }
    }

    /// A cut was given up. While the store is away it goes on for nothing: what it keeps would have no end.
    pub(super) fn unwalk(&mut self, net: &mut dyn World, cut: u64) {
        let now_us = self.now.mono_us;
        if let Some(walk) = self.walk.as_mut().filter(|walk| walk.cut == cut) {
            (walk.is_over, walk.next_us) = (true, now_us);
            self.end_walk(net);
        }
    }

    /// There is no walk any more, nor anything that is held for it.
    pub(super) fn forget_walk(&mut self) {
        if let Some(mut walk) = self.walk.take() {
            self.shared.saves.note_held(&mut walk.held, 0);
        }
    }

    fn end_walk(&mut self, net: &mut dyn World) {
        if !self.take(net, self.id) {
            if let Some(walk) = &mut self.walk {
                walk.next_us = self.now.mono_us + STORE_US;
            }
            return;
        }
        let store = self.hand.store(self.id);
        if store.cut() == self.walk.as_ref().map(|walk| walk.cut) {
            store.end_cut();
        }
        self.forget_walk();
        self.put_back(net);
    }
}
