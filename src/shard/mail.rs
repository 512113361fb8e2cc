//! What shards send each other, and the queues it goes through: one bounded SPSC ring for each ordered pair of shards.
//!
//! A full ring is no error: what does not fit waits with the sender, in order. There is at most one job per
//! connection and one order per parked connection, so what waits is bounded by `maxclients`.

use crate::cmd::transaction::Watched;
use crate::cmd::{Order, Report, Session};
use crate::persist::aof::FileEnd;
use crate::persist::rdb::Line;
use crate::resp::Out;
use crate::ring::net::ConnId;
use crate::store::{ShardSet, Store, Wait, Watcher};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Peer;
use super::block::Blocked;
use super::hold::Hold;

/// How many letters a queue holds before its sender keeps them back.
const QUEUE_LEN: usize = 256;

/// A batch of commands under way by mail.
pub struct Job {
    pub home: usize,
    pub conn: ConnId,
    pub session: Box<Session>,
    pub out: Out,
    /// The commands still to run: whole ones, from the first that could not run at the sender's.
    pub input: Vec<u8>,
    /// The shards whose stores the first of them needs.
    pub need: ShardSet,
    /// Stores lent by the owners visited so far.
    pub loans: Vec<Box<Store>>,
    /// Close the connection after the replies.
    pub close: bool,
    /// It carries no commands, but brings the stores home.
    pub errand: bool,
    /// Its last command waits.
    pub blocked: Option<Box<Blocked>>,
    /// Its next command met a locked key; the count of unlocks when it did.
    pub locked_out: Option<u64>,
    /// What its replies wait for.
    pub hold: Hold,
}

impl Job {
    /// A job of these commands.
    pub(super) fn new(
        home: usize,
        conn: ConnId,
        out: Out,
        session: Box<Session>,
        input: Vec<u8>,
        need: ShardSet,
    ) -> Job {
        Job {
            home,
            conn,
            session,
            out,
            input,
            need,
            loans: Vec::new(),
            close: false,
            errand: false,
            blocked: None,
            locked_out: None,
            hold: Hold::default(),
        }
    }

    /// A job that brings stores home.
    pub(super) fn errand(home: usize, conn: ConnId, session: Box<Session>, need: ShardSet) -> Job {
        Job { errand: true, ..Job::new(home, conn, Out::default(), session, Vec::new(), need) }
    }
}

/// Something to do in an owner's store, when it is there next. Nobody waits for it.
pub enum Chore {
    /// A client that is gone, or has no more use for them, watches these keys no more.
    Unwatch { watcher: Arc<Watcher>, keys: Vec<Watched> },
    /// This wait is over.
    Leave(Arc<Wait>),
    /// These keys are not on their way to another server any more.
    Unlock { holder: u64, keys: Vec<Box<[u8]>> },
}

impl Chore {
    /// About how many keys it is about, of this and other shards.
    pub fn keys(&self) -> usize {
        match self {
            Chore::Unwatch { keys, .. } => keys.len(),
            Chore::Leave(wait) => wait.keys.len(),
            Chore::Unlock { keys, .. } => keys.len(),
        }
    }
}

/// Something for another shard.
pub enum Letter {
    /// A job that visits.
    Visit(Box<Job>),
    /// A job that has come home.
    Home(Box<Job>),
    /// A connection to serve.
    Conn { fd: OwnedFd, peer: Peer },
    /// Report these sections.
    Ask { from: usize, ticket: u64, parts: u32 },
    /// The report asked for.
    Answer { ticket: u64, report: Box<Report> },
    /// To the sequencer (shard 0): give this order to all.
    Sequence { from: usize, ticket: u64, order: Order },
    /// An order, in the sequencer's order.
    Do { from: usize, ticket: u64, order: Arc<Order> },
    /// The order is carried out.
    Done { ticket: u64 },
    /// Do this in the store of the shard that gets it.
    Chore(Chore),
    /// To the shard that looks after snapshots: this order concerns one.
    Save { from: usize, ticket: u64, order: Order },
    /// What became of it: the reply, or the error.
    Told { ticket: u64, result: Result<&'static str, String> },
    /// A cut was made: walk your part and send it here.
    Walk { cut: u64, line: Line },
    /// The cut was given up.
    Unwalk { cut: u64 },
    /// Hold commands back, or go on.
    Halt { on: bool },
    /// To the shard that looks after snapshots: no command runs here any more.
    Halted,
    /// To the shard that looks after the log: this shard's part of the generation is written, and its file ends so; `None`: after a
    /// failure it is worth nothing.
    LogTurned { shard: usize, number: u64, end: Option<FileEnd>, whole: Option<Arc<[u8]>> },
    /// To the same: a write or a sync failed.
    LogFailed { errno: i32 },
    /// There is no log any more.
    LogClosed,
    /// The next generation could not be made.
    LogTurnFailed,
    /// Keys were unlocked.
    Unlocked,
    /// The reply to a command that waited; it still stands in the lines of the shards that are left.
    Served { conn: ConnId, wait: Arc<Wait>, out: Box<Out>, left: ShardSet },
}

/// A shard's ends of all queues.
pub struct Mesh {
    to: Vec<Option<rtrb::Producer<Letter>>>,
    from: Vec<Option<rtrb::Consumer<Letter>>>,
    held_back: Vec<VecDeque<Letter>>,
    next: usize,
}

impl Mesh {
    /// The queues of `n` shards: one mesh each.
    pub fn all(n: usize) -> Vec<Mesh> {
        let mut meshes: Vec<Mesh> = (0..n)
            .map(|_| Mesh {
                to: (0..n).map(|_| None).collect(),
                from: (0..n).map(|_| None).collect(),
                held_back: (0..n).map(|_| VecDeque::new()).collect(),
                next: 0,
            })
            .collect();
        for sender in 0..n {
            for target in (0..n).filter(|t| *t != sender) {
                let (to, from) = rtrb::RingBuffer::new(QUEUE_LEN);
                meshes[sender].to[target] = Some(to);
                meshes[target].from[sender] = Some(from);
            }
        }
        meshes
    }

    /// Whether `target` is another shard.
    pub fn leads_to(&self, target: usize) -> bool {
        self.to[target].is_some()
    }

    /// Sends a letter, or holds it back while the queue is full.
    pub fn send(&mut self, target: usize, letter: Letter) {
        let Some(to) = &mut self.to[target] else { return };
        if !self.held_back[target].is_empty() {
            return self.held_back[target].push_back(letter);
        }
        if let Err(rtrb::PushError::Full(letter)) = to.push(letter) {
            self.held_back[target].push_back(letter);
        }
    }

    /// Sends what was held back, as far as there is room, and names each shard that got something; whether all is out.
    pub fn push_on(&mut self, mut pushed: impl FnMut(usize)) -> bool {
        let mut out = true;
        for (target, held) in self.held_back.iter_mut().enumerate() {
            let Some(to) = &mut self.to[target] else { continue };
            let before = held.len();
            while !to.is_full()
                && let Some(letter) = held.pop_front()
            {
                if let Err(rtrb::PushError::Full(letter)) = to.push(letter) {
                    held.push_front(letter);
                    break;
                }
            }
            if held.len() < before {
                pushed(target);
            }
            out &= held.is_empty();
        }
        out
    }

    /// The next letter, fairly over the senders.
    pub fn receive(&mut self) -> Option<Letter> {
        let n = self.from.len();
        for step in 0..n {
            let sender = (self.next + step) % n;
            if let Some(from) = &mut self.from[sender]
                && let Ok(letter) = from.pop()
            {
                self.next = sender + 1;
                return Some(letter);
            }
        }
        None
    }

    /// Whether nothing waits to be received.
    pub fn is_empty(&self) -> bool {
        self.from.iter().flatten().all(rtrb::Consumer::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_keep_their_order_beyond_the_queue() {
        let mut meshes = Mesh::all(2);
        let (mut a, mut b) = (meshes.remove(0), meshes.remove(0));
        for ticket in 0..3 * QUEUE_LEN as u64 {
            a.send(1, Letter::Done { ticket });
        }
        let mut expected = 0;
        loop {
            while let Some(letter) = b.receive() {
                assert!(matches!(letter, Letter::Done { ticket } if ticket == expected));
                expected += 1;
            }
            if a.push_on(|target| assert_eq!(target, 1)) && b.is_empty() {
                break;
            }
        }
        assert_eq!(expected, 3 * QUEUE_LEN as u64);
    }
}
