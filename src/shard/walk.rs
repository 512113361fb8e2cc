//! Walking a cut: each shard goes through its own store in slices between its turns, and sends what it finds to the writer.
//!
//! A slice takes about [`SLICE_NS`], then clients have as long. When so much is on its way that the writer is behind, the walk
//! waits, not the clients: what they overwrite meanwhile is kept in the store, and goes out with the next slice.

use super::Core;
use crate::persist::rdb::Line;
use crate::ring::net::World;
use crate::store::Kept;

/// How long a slice takes, in nanoseconds.
const SLICE_NS: u64 = 100_000;
/// Buckets between two looks at the clock.
const BUCKETS: usize = 8;
/// Bytes after which a slice ends.
const SLICE_BYTES: usize = 128 << 10;
/// Bytes of a shard on their way to the writer at which its walk waits.
const WINDOW: usize = 8 << 20;
/// How long the walk waits for the writer, or for the store, in microseconds.
const WRITER_US: u64 = 1_000;
const STORE_US: u64 = 100;

/// A walk under way.
pub(super) struct Walk {
    /// Which cut it goes through.
    pub cut: u64,
    pub line: Line,
    /// When it goes on, on the monotonic clock.
    pub next_us: u64,
    /// Commands that had run at the last slice.
    pub commands: u64,
}

impl Core {
    /// One slice of the walk, when it is due and the store is at home.
    pub(super) fn walk_slice(&mut self, net: &mut dyn World) {
        let (now_us, commands) = (self.now.mono_us, self.tallies.counters.commands);
        let Some(walk) = self.walk.as_mut().filter(|walk| walk.next_us <= now_us) else { return };
        if walk.line.weight(self.id) > WINDOW {
            walk.next_us = now_us + WRITER_US;
            return;
        }
        // While clients are at work they have half of the time.
        let busy = walk.commands != commands;
        (walk.commands, walk.next_us) = (commands, now_us + STORE_US);
        let cut = walk.cut;
        if !self.take(net, self.id) {
            return;
        }
        let began = net.ticks_ns();
        let store = self.hand.store(self.id);
        if store.cut() != Some(cut) {
            // It was given up, or another has taken its place.
            self.walk = None;
            return self.put_back(net);
        }
        let mut pieces = Vec::new();
        let overwritten = store.kept_weight() as u64;
        let mut through = false;
        while !through && store.kept_weight() < SLICE_BYTES && net.ticks_ns().saturating_sub(began) < SLICE_NS
        {
            through = store.cut_slice(BUCKETS);
        }
        store.take_kept(&mut |db, kept| pieces.push((db, kept)));
        if through {
            store.end_cut();
        }
        self.put_back(net);
        let took_us = net.ticks_ns().saturating_sub(began) / 1_000;
        self.shared.saves.note_kept(overwritten);
        self.send_pieces(pieces, through);
        if let Some(walk) = &mut self.walk {
            walk.next_us = now_us + if busy { 2 * took_us } else { 0 };
        }
    }

    fn send_pieces(&mut self, pieces: Vec<(usize, Kept)>, through: bool) {
        let Some(walk) = &self.walk else { return };
        let heard = pieces.into_iter().all(|(db, kept)| walk.line.send(self.id, db, kept));
        if through {
            walk.line.through();
        }
        if through || !heard {
            // When nobody listens any more, whoever looks after snapshots ends the cut.
            self.walk = None;
        }
    }

    /// A cut was given up.
    pub(super) fn unwalk(&mut self, net: &mut dyn World, cut: u64) {
        self.walk.take_if(|walk| walk.cut == cut);
        // When the store is away its cut goes on for nothing, until the next one takes its place.
        if self.take(net, self.id) {
            let store = self.hand.store(self.id);
            if store.cut() == Some(cut) {
                store.end_cut();
            }
            self.put_back(net);
        }
    }
}
