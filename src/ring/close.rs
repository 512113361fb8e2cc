//! Closing: closing a descriptor does not end what is under way on it, so the order is
//!
//! ```text
//!   shutdown, cancel ──► last completions of recv and send ──► close the socket ──► last notification ──► Closed
//! ```
//! A zero-copy send that is cut off would keep its chunk until the peer has read what is in flight, or for the many
//! minutes after which TCP gives up on one that never reads. So its connection is aborted instead (`SO_LINGER` 0: a reset,
//! and the kernel drops what it had queued).

use super::conns::Recv;
use super::net::{ConnId, Event};
use super::ops;
use super::ring::Ring;
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use std::os::fd::IntoRawFd;

impl Ring {
    pub(super) fn start_close(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.closing {
            return;
        }
        conn.closing = true;
        if conn.recv == Recv::Starved {
            conn.recv = Recv::Off;
        }
        if conn.busy() {
            let fd = conn.raw_fd();
            // Fails if the peer was faster, which is as good. (`IORING_OP_SHUTDOWN` would start a kernel thread.)
            let _ = shutdown(fd, Shutdown::Both);
            self.push(ops::cancel_all(fd));
            return;
        }
        self.finish_close(id);
    }

    /// Goes as far with a connection that is closing as its completions allow.
    pub(super) fn finish_close(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.busy() {
            return;
        }
        conn.filling = None;
        let fd = conn.fd.take();
        let pinned = conn.notifications != 0;
        let over = !pinned && conn.chunk.is_none() && !conn.gone;
        conn.gone |= over;
        if let Some(fd) = fd {
            if pinned {
                let _ = setsockopt(&fd, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
            }
            self.push(ops::close(fd.into_raw_fd()));
        }
        if over {
            self.early.push_back(Event::Closed { conn: id });
        }
    }

    /// Closes every connection.
    pub fn close_all(&mut self) {
        for id in self.conns.ids() {
            self.start_close(id);
        }
    }
}
