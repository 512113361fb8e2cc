//! Receiving straight into a buffer of the core's: the rest of a large argument, which need not pass through the shared buffers.
//!
//! ```text
//!   fill ──► multishot cancelled, what it still brings appended ──► plain receive behind what is there ──► Filled
//!                                                                         then: a single receive, later a multishot one
//! ```
//! A receive takes what is there, as much as fits. Who has sent one large argument is likely to send another, so what is armed
//! behind it is a receive of one piece: it need not be cancelled, which costs more than to arm it anew. Whether the next comes
//! straight is known when the core has seen that piece, so nothing is armed before the next turn ([`Ring::arm_later`]).

use super::conns::Recv;
use super::net::{ConnId, Event};
use super::ops;
use super::ring::Ring;

/// The most bytes of one receive: others have their turn, and the core looks at its limits.
const FILL_AT_ONCE: usize = 512 << 10;

/// A buffer on loan from the core.
#[derive(Debug)]
pub struct Filling {
    pub buf: Vec<u8>,
    /// What was in it.
    before: usize,
    /// It is to be so long.
    until: usize,
}

impl Ring {
    pub(super) fn start_fill(&mut self, id: ConnId, mut buf: Vec<u8>, until: usize) {
        let conn = self.conns.get(id).expect("a buffer for a connection that was reported closed");
        assert!(conn.filling.is_none() && until > buf.len(), "a second buffer, or one that is full");
        buf.reserve_exact(until - buf.len());
        conn.filling = Some(Box::new(Filling { before: buf.len(), buf, until }));
        match conn.recv {
            Recv::Armed => {
                conn.recv = Recv::Cancelling;
                self.push(ops::cancel_recv(id));
            }
            Recv::Off | Recv::Starved if conn.closing || conn.ended => {} // nothing will come
            Recv::Off | Recv::Starved => self.receive_into(id),
            Recv::Cancelling => {}
            Recv::Filling => unreachable!("it has a buffer"),
        }
    }

    /// Starts the receive of a buffer, when no other is under way.
    fn receive_into(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let fd = conn.raw_fd();
        let Some(Filling { buf, until, .. }) = conn.filling.as_deref_mut() else { return };
        let len = (*until - buf.len()).min(FILL_AT_ONCE);
        conn.recv = Recv::Filling;
        let entry = ops::recv_into(fd, id, &mut buf.spare_capacity_mut()[..len]);
        self.push(entry);
    }

    /// Data of the receive that is being cancelled: it comes before what the buffer is filled with.
    pub(super) fn fill_behind(&mut self, id: ConnId, bytes: (u16, usize), ended: bool) -> Option<Event> {
        let filling = self.conns.get(id)?.filling.as_deref_mut()?;
        filling.buf.extend_from_slice(self.buffers.bytes(bytes.0, bytes.1));
        self.buffers.give_back(bytes.0);
        if ended { self.go_on_filling(id) } else { None }
    }

    /// The receive that was under way when the buffer came has ended.
    pub(super) fn go_on_filling(&mut self, id: ConnId) -> Option<Event> {
        let conn = self.conns.get(id)?;
        let filling = conn.filling.as_deref()?;
        if filling.buf.len() >= filling.until || conn.ended {
            return self.filled(id);
        }
        self.receive_into(id);
        None
    }

    /// A receive into a buffer has ended.
    pub(super) fn on_fill(&mut self, id: ConnId, result: i32) -> Option<Event> {
        let conn = self.conns.get(id)?;
        conn.recv = Recv::Off;
        if conn.closing {
            self.finish_close(id);
            return None;
        }
        match result {
            1.. => {
                let buf = &mut conn.filling.as_deref_mut().expect("it was filled").buf;
                // SAFETY: the kernel has written so many bytes behind those that were there, into room that it was given.
                unsafe { buf.set_len(buf.len() + result as usize) };
                self.filled(id)
            }
            errno if matches!(-errno, libc::ECANCELED | libc::EINTR | libc::EAGAIN) => {
                self.receive_into(id);
                None
            }
            errno => {
                conn.ended = true;
                self.early.push_back(Event::Eof { conn: id, errno: -errno });
                self.filled(id)
            }
        }
    }

    /// Gives a buffer back.
    fn filled(&mut self, id: ConnId) -> Option<Event> {
        let conn = self.conns.get(id)?;
        let filling = conn.filling.take()?;
        conn.once = true;
        self.later.push(id);
        Some(Event::Filled { conn: id, came: filling.buf.len() - filling.before, buf: filling.buf })
    }

    /// Arms the receives that were left to the next turn.
    #[cold]
    pub(super) fn arm_later(&mut self) {
        let mut later = std::mem::take(&mut self.later);
        for id in later.drain(..) {
            let idle = |conn: &mut super::conns::Conn| {
                conn.recv == Recv::Off && conn.reading && !conn.ended && !conn.closing
            };
            if self.conns.get(id).is_some_and(idle) {
                self.arm_recv(id);
            }
        }
        self.later = later;
    }
}
