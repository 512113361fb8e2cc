//! Sending: one chunk a connection, one send of it in the kernel at a time.
//!
//! The kernel itself waits for room and goes on (`MSG_WAITALL`), so a chunk is one completion; what is short all the same
//! (an interrupted send, a chunk above 1 GiB or of very many pieces) goes out in more. A zero-copy send completes twice: with its result,
//! and, when the network has let go of the memory, with a notification. The chunk is handed back after both. That costs a
//! round trip per chunk, so it is for chunks so large that copying them costs more.

use super::conns::Conn;
use super::net::{Chunk, ConnId, Event};
use super::ops::{self, Done};
use super::ring::Ring;
use io_uring::squeue;

impl Ring {
    #[inline]
    pub(super) fn start_send(&mut self, id: ConnId, chunk: Chunk) {
        let zero_copy_from = self.zero_copy_from;
        let conn = self.conns.get(id).expect("a send on a connection that was reported closed");
        assert!(conn.chunk.is_none(), "a second chunk while one is under way");
        if conn.closing || chunk.is_empty() {
            let result = if conn.closing { Err(libc::ECANCELED) } else { Ok(()) };
            self.early.push_back(Event::Sent { conn: id, chunk, result });
            return;
        }
        conn.chunk = Some(chunk);
        conn.sent = 0;
        conn.send_errno = 0;
        let entry = send_rest(conn, id, zero_copy_from);
        self.queued_sends += 1;
        self.push(entry);
    }

    #[inline]
    pub(super) fn on_send(&mut self, done: Done) -> Option<Event> {
        let id = done.conn();
        let zero_copy_from = self.zero_copy_from;
        let conn = self.conns.get(id)?; // an earlier tenant's: cannot be
        if done.notification() {
            conn.notifications -= 1;
        } else {
            conn.sending = false;
            conn.notifications += i16::from(done.more());
            conn.sent += done.result.max(0) as usize;
            let len = conn.chunk.as_ref().map_or(0, Chunk::len);
            if conn.sent < len && go_on(conn, done.result) {
                let entry = send_rest(conn, id, zero_copy_from);
                self.push(entry);
                return None;
            }
        }
        if conn.sending || conn.notifications != 0 {
            if conn.closing {
                self.finish_close(id);
            }
            return None;
        }
        let chunk = conn.chunk.take().expect("a send under way has a chunk");
        let result = if conn.send_errno == 0 { Ok(()) } else { Err(conn.send_errno) };
        if conn.closing {
            self.finish_close(id);
        }
        Some(Event::Sent { conn: id, chunk, result })
    }
}

/// The entry for what is left of the chunk.
#[inline]
fn send_rest(conn: &mut Conn, id: ConnId, zero_copy_from: usize) -> squeue::Entry {
    conn.sending = true;
    let fd = conn.raw_fd();
    match conn.chunk.as_mut().expect("there is something to send") {
        Chunk::Owned(text) => {
            let rest = &text[conn.sent..];
            if rest.len() >= zero_copy_from && !conn.plain {
                return ops::send_zero_copy(fd, id, rest);
            }
            ops::send(fd, id, rest)
        }
        Chunk::Mixed(message) => {
            let zero_copy = message.len() - conn.sent >= zero_copy_from && !conn.plain;
            let rest = message.rest(conn.sent);
            if zero_copy {
                return ops::send_message_zero_copy(fd, id, rest);
            }
            ops::send_message(fd, id, rest)
        }
    }
}

/// Whether a send that is not complete goes on; else the reason is noted.
#[cold]
fn go_on(conn: &mut Conn, result: i32) -> bool {
    if conn.closing {
        conn.send_errno = libc::ECANCELED;
        return false;
    }
    match -result {
        ..0 | libc::EINTR | libc::EAGAIN => true,
        // A Unix socket, or no memory left that may be pinned: copy.
        libc::EOPNOTSUPP | libc::ENOMEM | libc::ENOBUFS if !conn.plain => {
            conn.plain = true;
            true
        }
        // Nothing sent and no error: the kernel does not do that, and a loop must not come of it.
        0 => {
            conn.send_errno = libc::EIO;
            false
        }
        errno => {
            conn.send_errno = errno;
            false
        }
    }
}
