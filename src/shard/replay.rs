//! A log at work again: its commands run as those of a connection that is none. Nobody hears its replies; what a client could be
//! refused for is not refused; no time passes for its keys; and the first error ends it.
//!
//! ```text
//!  storage ─ Piece: whole commands of one file ─> its shard: they go the way of any requests, over all shards
//!          <─ Replayed: the piece has run, or where and why not ─
//! ```
//! One file is one stream: its pieces run in order. Streams run beside each other, so only files whose order does not matter are
//! streams at the same time.

use super::Core;
use super::batch::place_of;
use super::connections::{Conn, Input};
use super::drive::Work;
use crate::cmd::registry::{Found, Missing, Registry};
use crate::cmd::{Session, Where};
use crate::persist::functions::{self, Meant};
use crate::persist::replay::{Piece, Replayed, Trouble};
use crate::resp::Args;
use crate::ring::net::{ConnId, World};
use crate::store::Route;
use std::collections::VecDeque;
use std::sync::mpsc::Sender;

/// The generation of ids that stand for streams: no socket lives to see it.
const GENERATION: u64 = 0x8000_0000;
/// Bytes of a buffer that goes back for its next use.
const KEPT: usize = 1 << 20;

impl ConnId {
    /// Stands for a stream.
    fn of_stream(stream: u32) -> ConnId {
        ConnId(GENERATION << 32 | u64::from(stream))
    }

    /// Whether it stands for a stream.
    #[inline]
    pub(super) fn is_stream(self) -> bool {
        self.0 >> 32 == GENERATION
    }
}

/// The shard that alone a command of a log concerns; none when it is several's or has no shard.
pub fn alone_at(registry: &Registry, route: Route, args: Args<'_>) -> Option<usize> {
    let found = registry.find_logged(args).ok().filter(|found| found.row.takes(args.len()))?;
    match place_of(found, args, route) {
        Where::Shard(shard) => Some(shard),
        Where::Anywhere | Where::Shards(_) | Where::All => None,
    }
}

/// A file being replayed.
pub(super) struct Stream {
    conn: Box<Conn>,
    pieces: VecDeque<Piece>,
    /// The piece that runs: whether it is the last, and where its answer goes.
    at_hand: Option<(bool, Sender<Replayed>)>,
    over: bool,
}

impl Stream {
    fn new(id: ConnId, now_secs: i64) -> Stream {
        let mut session = Box::new(Session::new(0, now_secs));
        session.authenticated = true;
        session.replay = Some(Box::default());
        Stream { conn: Box::new(Conn::new(id, session)), pieces: VecDeque::new(), at_hand: None, over: false }
    }

    /// Whether it can go on.
    fn wants_turn(&self) -> bool {
        (self.conn.may_run() || self.conn.closing) && (self.at_hand.is_some() || !self.pieces.is_empty())
    }
}

impl Core {
    /// A piece of a log has come.
    pub fn replay_piece(&mut self, piece: Piece) {
        let id = ConnId::of_stream(piece.stream);
        if self.stream(id).is_none() {
            let stream = Stream::new(id, self.now.secs());
            self.streams.push(stream);
        }
        if let Some(stream) = self.stream(id) {
            stream.pieces.push_back(piece);
        }
    }

    /// Takes a command that a log may have and a client may not; whether it was one.
    pub(super) fn replay_alone(
        &self,
        work: &mut Work<'_>,
        found: Result<Found, Missing>,
        args: Args<'_>,
    ) -> bool {
        if found.is_ok() {
            return false;
        }
        match functions::meant(args) {
            Some(Ok(Meant::Change(change))) => self.shared.saves.change_libraries(change),
            Some(Ok(Meant::Nothing)) => {}
            Some(Err(why)) => work.session.note_trouble(work.at, args.at(0), why.as_bytes()),
            None => return false,
        }
        true
    }

    fn stream(&mut self, id: ConnId) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.conn.id == id)
    }

    /// The connection that stands for a stream.
    #[cold]
    pub(super) fn stream_conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.stream(id).map(|stream| &mut *stream.conn)
    }

    /// Whether a stream can go on.
    pub(super) fn has_replay(&self) -> bool {
        self.streams.iter().any(Stream::wants_turn)
    }

    /// Goes on with the streams.
    pub(super) fn replay(&mut self, net: &mut dyn World) {
        if self.streams.is_empty() {
            return;
        }
        for i in 0..self.streams.len() {
            self.answer_piece(i);
            if self.next_piece(i) {
                let id = self.streams[i].conn.id;
                self.run_input(net, id);
            }
        }
        self.streams.retain(|stream| !stream.over);
    }

    /// Answers for the piece at hand when it has run.
    fn answer_piece(&mut self, i: usize) {
        let stream = &mut self.streams[i];
        let conn = &mut stream.conn;
        if !conn.may_run() && !conn.closing || conn.in_ready {
            return;
        }
        let Some((last, back)) = stream.at_hand.take() else { return };
        let input = conn.input.take();
        let left = input.as_ref().map_or(0, |input| input.len());
        let mut trouble = None;
        if let Some(replaying) = conn.session.as_mut().and_then(|session| session.replay.as_mut()) {
            trouble = replaying.trouble.clone();
            replaying.base = 0;
            if trouble.is_none() && (conn.closing || left > 0 || last && replaying.in_multi) {
                let at = input.as_ref().map_or(0, |input| input.at);
                let error = if left > 0 { "it is cut off" } else { "it ends what was to follow" };
                trouble = Some(Trouble { at, command: String::new(), error: error.into() });
            }
        }
        conn.closing |= trouble.is_some();
        let mut spare = input.map_or(Vec::new(), |input| input.buf);
        spare.clear();
        if spare.capacity() > KEPT {
            spare = Vec::new();
        }
        stream.over = last;
        // Who reads the file has given up when nobody takes it.
        let _ = back.send(Replayed { stream: (conn.id.0 & u64::from(u32::MAX)) as u32, spare, trouble });
    }

    /// Takes the next piece up; whether there is one that shall run.
    fn next_piece(&mut self, i: usize) -> bool {
        let stream = &mut self.streams[i];
        if stream.at_hand.is_some() {
            return false;
        }
        let Some(Piece { bytes, last, back, .. }) = stream.pieces.pop_front() else { return false };
        stream.at_hand = Some((last, back));
        let runs = !stream.conn.closing;
        stream.conn.input = Some(Box::new(Input { buf: bytes, ..Input::default() }));
        runs
    }
}

#[cfg(test)]
mod tests;
