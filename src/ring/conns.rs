//! The connection table: what is under way on each socket.
//!
//! ```text
//!   slots: | conn 0 | conn 1 | ... |  dense, 64 bytes each, grows by doubling, never shrinks
//!   free:  | 17 | 4 |                 indices last used first, so that the busy part stays small
//!
//!   receiving:  Off ──arm──► Armed ──cancel──► Cancelling ──ECANCELED──► Off
//!                              └───ENOBUFS───► Starved ──buffers came──► Armed
//!               Off ──fill──► Filling ──data──► Off
//! ```
//! A slot's generation changes when it is freed. It starts at 1, so that no `ConnId` is ever 0.

use super::fill::Filling;
use super::net::{Chunk, ConnId};
use super::ops::MAX_CONNS;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// What the receive of a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recv {
    /// Nothing is under way: paused, or the peer closed.
    Off,
    Armed,
    /// Its cancellation is under way, its last completion has not come.
    Cancelling,
    /// It ended because there were no buffers and waits in the ring's queue for some.
    Starved,
    /// It goes into the core's buffer.
    Filling,
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    /// The chunk on its way out. The kernel may hold its address for as long as it is here.
    pub chunk: Option<Chunk>,
    /// A buffer of the core's that what comes goes into. The kernel may hold its address while `recv` is `Filling`.
    pub filling: Option<Box<Filling>>,
    /// How much of the chunk is out.
    pub sent: usize,
    /// Taken when the socket is closed, which a zero-copy send's notification may outlast.
    pub fd: Option<OwnedFd>,
    pub generation: u32,
    /// Why the chunk failed, or 0.
    pub send_errno: i32,
    /// Zero-copy notifications still to come.
    pub notifications: i16,
    pub recv: Recv,
    /// The next receive, or the one that is armed, brings one piece and ends.
    pub once: bool,
    /// The core wants data (it has not paused).
    pub reading: bool,
    /// The peer closed or the socket failed: there will never be data again.
    pub ended: bool,
    /// A send is in the kernel.
    pub sending: bool,
    /// This socket has refused zero-copy.
    pub plain: bool,
    /// `close` was called; only completions are awaited.
    pub closing: bool,
    /// Nothing of it is left but the word that it is closed; its place is free once that is told.
    pub gone: bool,
    /// The slot has a tenant.
    pub open: bool,
}

const _: () = assert!(size_of::<Conn>() == 64);

impl Conn {
    fn vacant(generation: u32) -> Conn {
        Conn {
            chunk: None,
            filling: None,
            sent: 0,
            fd: None,
            generation,
            send_errno: 0,
            notifications: 0,
            recv: Recv::Off,
            once: false,
            reading: true,
            ended: false,
            sending: false,
            plain: false,
            closing: false,
            gone: false,
            open: false,
        }
    }

    /// The socket. Operations are started only before it is taken for closing.
    #[inline]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_ref().expect("operations start before the socket closes").as_raw_fd()
    }

    /// Whether the kernel still holds the socket for one of our operations.
    pub fn busy(&self) -> bool {
        self.sending || matches!(self.recv, Recv::Armed | Recv::Cancelling | Recv::Filling)
    }
}

/// All connections of a ring.
#[derive(Default)]
pub struct Conns {
    slots: Vec<Conn>,
    free: Vec<u32>,
}

impl Conns {
    /// Connections open or closing.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn insert(&mut self, fd: OwnedFd) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            assert!(self.slots.len() < MAX_CONNS, "16,777,216 connections on one shard");
            self.slots.push(Conn::vacant(1));
            self.slots.len() as u32 - 1
        });
        let conn = &mut self.slots[index as usize];
        conn.fd = Some(fd);
        conn.open = true;
        ConnId(u64::from(conn.generation) << 32 | u64::from(index))
    }

    /// The connection, unless it is gone.
    #[inline]
    pub fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.slots.get_mut(id.index())?;
        (u64::from(conn.generation) == id.0 >> 32 && conn.open).then_some(conn)
    }

    /// The socket of a connection that is open.
    pub fn fd(&self, id: ConnId) -> Option<&OwnedFd> {
        let conn = self.slots.get(id.index())?;
        conn.fd.as_ref().filter(|_| u64::from(conn.generation) == id.0 >> 32 && conn.open)
    }

    /// Frees the slot. Nothing of it may be under way.
    pub fn remove(&mut self, id: ConnId) {
        let conn = self.get(id).expect("only open connections are removed");
        assert!(!conn.busy() && conn.notifications == 0 && conn.chunk.is_none(), "removed too early");
        assert!(conn.filling.is_none(), "removed with a buffer of the core's");
        let generation = conn.generation.wrapping_add(1).max(1);
        self.slots[id.index()] = Conn::vacant(generation);
        self.free.push(id.index() as u32);
    }

    /// The open connections.
    pub fn ids(&self) -> Vec<ConnId> {
        let open = self.slots.iter().enumerate().filter(|(_, conn)| conn.open);
        open.map(|(index, conn)| ConnId(u64::from(conn.generation) << 32 | index as u64)).collect()
    }

    /// Takes the memory that the kernel may still read or write, for a ring that is dropped before its time.
    pub fn take_memory(&mut self) -> Vec<(Option<Chunk>, Option<Box<Filling>>)> {
        self.slots.iter_mut().map(|conn| (conn.chunk.take(), conn.filling.take())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn fd() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn an_index_is_reused_last_in_first_out_with_a_new_generation() {
        let mut conns = Conns::default();
        let (a, b) = (conns.insert(fd()), conns.insert(fd()));
        conns.remove(a);
        conns.remove(b);
        assert_eq!(conns.len(), 0);
        let c = conns.insert(fd());
        assert_eq!(c.index(), b.index());
        assert_ne!(c, b);
        assert!(conns.get(b).is_none() && conns.get(a).is_none() && conns.get(c).is_some());
        assert!(conns.get(ConnId(99)).is_none());
        assert_eq!(conns.ids(), [c]);
    }

    #[test]
    fn a_generation_wraps_past_zero() {
        let mut conns = Conns::default();
        let id = conns.insert(fd());
        conns.get(id).unwrap().generation = u32::MAX;
        conns.remove(ConnId(u64::from(u32::MAX) << 32));
        assert_eq!(conns.insert(fd()).0 >> 32, 1);
    }
}
