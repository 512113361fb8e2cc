//! Multishot receive into provided buffers: one entry a connection, then a completion per piece of data.
//!
//! It ends with the completion that lacks `F_MORE`: because we cancelled it, because the peer closed, because the
//! completion queue was full, or because there was no buffer (`ENOBUFS`). In the last case the connection queues up:
//! each turn arms as many as there are buffers, longest waiting first, and an entry that is armed is served before one that was
//! armed all along. So a greedy connection, which comes back to the end of the queue, cannot starve the others.

use super::conns::Recv;
use super::net::{BufId, ConnId, Event};
use super::ops::{self, Done};
use super::ring::Ring;

impl Ring {
    /// Arms the receive of an open connection that has none.
    pub(super) fn arm_recv(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        conn.recv = Recv::Armed;
        let entry = if conn.once { ops::recv_once(conn.raw_fd(), id) } else { ops::recv(conn.raw_fd(), id) };
        self.push(entry);
    }

    pub(super) fn pause(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        conn.reading = false;
        match conn.recv {
            Recv::Armed => {
                conn.recv = Recv::Cancelling;
                self.push(ops::cancel_recv(id));
            }
            Recv::Starved => conn.recv = Recv::Off, // its place in the queue goes stale
            // A buffer of the core's is filled first.
            Recv::Off | Recv::Cancelling | Recv::Filling => {}
        }
    }

    pub(super) fn resume(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        conn.reading = true;
        // One that is being cancelled is armed again by its last completion.
        if conn.recv == Recv::Off && !conn.ended && !conn.closing {
            self.arm_recv(id);
        }
    }

    /// Arms as many starved connections as the kernel has buffers, longest waiting first.
    #[cold]
    pub(super) fn feed_starved(&mut self, buffers: u32) {
        let mut left = buffers;
        while left > 0
            && let Some(id) = self.starved.pop_front()
        {
            if self.conns.get(id).is_some_and(|conn| conn.recv == Recv::Starved) {
                self.arm_recv(id);
                left -= 1;
            }
        }
    }

    #[inline]
    pub(super) fn on_recv(&mut self, done: Done) -> Option<Event> {
        let id = done.conn();
        let buf = done.buffer().map(|buffer| self.buffers.lend(buffer));
        let Some(conn) = self.conns.get(id) else {
            self.drop_buffer(buf); // of an earlier tenant: cannot be, and must not reach this one
            return None;
        };
        if conn.recv == Recv::Filling {
            return self.on_fill(id, done.result);
        }
        let mut rearm = false;
        if !done.more() {
            conn.recv = Recv::Off;
            rearm = conn.reading;
        }
        if conn.closing {
            self.drop_buffer(buf);
            self.finish_close(id);
            return None;
        }
        if conn.filling.is_some() {
            return self.on_recv_before_fill(id, buf, done);
        }
        match (buf, done.result) {
            (Some(buf), len @ 1..) => {
                if rearm && std::mem::take(&mut conn.once) {
                    self.later.push(id);
                } else if rearm {
                    self.arm_recv(id);
                }
                Some(Event::Data { conn: id, buf, len: len as usize })
            }
            (buf, result) => {
                self.drop_buffer(buf);
                self.on_recv_ended(id, -result, rearm)
            }
        }
    }

    /// A completion of a receive that is being cancelled because the core has a buffer to be filled.
    #[cold]
    fn on_recv_before_fill(&mut self, id: ConnId, buf: Option<BufId>, done: Done) -> Option<Event> {
        let ended = !done.more();
        match (buf, done.result) {
            (Some(buf), len @ 1..) => self.fill_behind(id, (buf.0, len as usize), ended),
            (buf, result) => {
                self.drop_buffer(buf);
                let errno = -result;
                if !matches!(errno, libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN) {
                    self.conns.get(id)?.ended = true;
                    self.early.push_back(Event::Eof { conn: id, errno });
                }
                if ended { self.go_on_filling(id) } else { None }
            }
        }
    }

    fn drop_buffer(&self, buf: Option<BufId>) {
        if let Some(buf) = buf {
            self.buffers.give_back(buf.0);
        }
    }

    /// A receive that brought no data.
    fn on_recv_ended(&mut self, id: ConnId, errno: i32, rearm: bool) -> Option<Event> {
        let conn = self.conns.get(id)?;
        match errno {
            libc::ENOBUFS => {
                self.buffers.ran_dry();
                if rearm {
                    conn.recv = Recv::Starved;
                    self.starved.push_back(id);
                }
                None
            }
            libc::ECANCELED | libc::EINTR | libc::EAGAIN => {
                if rearm {
                    self.arm_recv(id);
                }
                None
            }
            errno => {
                conn.ended = true;
                Some(Event::Eof { conn: id, errno })
            }
        }
    }
}
