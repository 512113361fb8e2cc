//! Submission entries, one block per operation, and the `user_data` that finds the way back.
//!
//! ```text
//!   63      56 55              32 31                              0
//!   | kind   | index             | generation                     |
//! ```
//! `index` is a connection's or a listener's; the generation is the connection's and 0 elsewhere. An operation whose
//! outcome nobody waits for (cancel, close, waking a peer) is tagged `QUIET` and posts no completion unless it fails.

use super::net::ConnId;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{cqueue, opcode};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

/// Kinds of completion, as the top byte of `user_data`.
pub mod kind {
    pub const QUIET: u8 = 0;
    pub const RECV: u8 = 1;
    pub const SEND: u8 = 2;
    pub const ACCEPT: u8 = 3;
    /// Posted by another ring, by its `MSG_RING`.
    pub const WOKEN: u8 = 4;
    pub const BELL: u8 = 5;
    pub const WRITE: u8 = 6;
    pub const SYNC: u8 = 7;
}

/// The group of the one provided-buffer ring.
pub const BUFFER_GROUP: u16 = 0;
/// Connections that fit into `index`.
pub const MAX_CONNS: usize = 1 << 24;
/// One send asks for at most this much: results are `i32`.
pub const MAX_SEND: usize = 1 << 30;

/// A completion, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub tag: u64,
    pub result: i32,
    pub flags: u32,
}

impl Done {
    pub fn new(cqe: &cqueue::Entry) -> Done {
        Done { tag: cqe.user_data(), result: cqe.result(), flags: cqe.flags() }
    }

    pub fn kind(self) -> u8 {
        (self.tag >> 56) as u8
    }

    pub fn index(self) -> usize {
        (self.tag >> 32 & 0xff_ffff) as usize
    }

    pub fn conn(self) -> ConnId {
        ConnId(self.tag << 32 | self.index() as u64)
    }

    /// Whether more completions of the same operation follow.
    pub fn more(self) -> bool {
        cqueue::more(self.flags)
    }

    /// Whether the kernel has let go of the memory of a zero-copy send.
    pub fn notification(self) -> bool {
        cqueue::notif(self.flags)
    }

    /// The receive buffer that was filled.
    pub fn buffer(self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }
}

const fn tag(kind: u8, index: usize, generation: u32) -> u64 {
    (kind as u64) << 56 | (index as u64) << 32 | generation as u64
}

fn conn_tag(kind: u8, conn: ConnId) -> u64 {
    tag(kind, conn.index(), (conn.0 >> 32) as u32)
}

pub fn recv(fd: RawFd, conn: ConnId) -> Entry {
    opcode::RecvMulti::new(Fd(fd), BUFFER_GROUP).build().user_data(conn_tag(kind::RECV, conn))
}

/// One piece, into one of the shared buffers.
pub fn recv_once(fd: RawFd, conn: ConnId) -> Entry {
    opcode::Recv::new(Fd(fd), std::ptr::null_mut(), 0)
        .buf_group(BUFFER_GROUP)
        .build()
        .flags(Flags::BUFFER_SELECT)
        .user_data(conn_tag(kind::RECV, conn))
}

/// One piece. `room` must outlive the completion.
pub fn recv_into(fd: RawFd, conn: ConnId, room: &mut [MaybeUninit<u8>]) -> Entry {
    let len = room.len() as u32;
    opcode::Recv::new(Fd(fd), room.as_mut_ptr().cast(), len).build().user_data(conn_tag(kind::RECV, conn))
}

pub fn cancel_recv(conn: ConnId) -> Entry {
    quiet(opcode::AsyncCancel::new(conn_tag(kind::RECV, conn)).build())
}

/// The kernel itself goes on after a short send (`MSG_WAITALL`): the socket's whole chunk is one completion.
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;

/// `bytes` must outlive the completion.
pub fn send(fd: RawFd, conn: ConnId, bytes: &[u8]) -> Entry {
    let len = bytes.len().min(MAX_SEND) as u32;
    opcode::Send::new(Fd(fd), bytes.as_ptr(), len)
        .flags(SEND_FLAGS)
        .build()
        .user_data(conn_tag(kind::SEND, conn))
}

/// `bytes` must outlive the notification that follows the completion.
pub fn send_zero_copy(fd: RawFd, conn: ConnId, bytes: &[u8]) -> Entry {
    let len = bytes.len().min(MAX_SEND) as u32;
    opcode::SendZc::new(Fd(fd), bytes.as_ptr(), len)
        .flags(SEND_FLAGS)
        .build()
        .user_data(conn_tag(kind::SEND, conn))
}

/// What `message` points to must outlive the completion.
pub fn send_message(fd: RawFd, conn: ConnId, message: *const libc::msghdr) -> Entry {
    opcode::SendMsg::new(Fd(fd), message)
        .flags(SEND_FLAGS as u32)
        .build()
        .user_data(conn_tag(kind::SEND, conn))
}

/// What `message` points to must outlive the notification that follows the completion.
pub fn send_message_zero_copy(fd: RawFd, conn: ConnId, message: *const libc::msghdr) -> Entry {
    opcode::SendMsgZc::new(Fd(fd), message)
        .flags(SEND_FLAGS as u32)
        .build()
        .user_data(conn_tag(kind::SEND, conn))
}

pub fn accept(fd: RawFd, listener: usize) -> Entry {
    opcode::AcceptMulti::new(Fd(fd)).flags(libc::SOCK_CLOEXEC).build().user_data(tag(
        kind::ACCEPT,
        listener,
        0,
    ))
}

pub fn cancel_accept(listener: usize) -> Entry {
    quiet(opcode::AsyncCancel::new(tag(kind::ACCEPT, listener, 0)).build())
}

/// Cancels all that is under way on `fd`.
pub fn cancel_all(fd: RawFd) -> Entry {
    quiet(opcode::AsyncCancel2::new(CancelBuilder::fd(Fd(fd)).all()).build())
}

pub fn close(fd: RawFd) -> Entry {
    quiet(opcode::Close::new(Fd(fd)).build())
}

/// Posts a `WOKEN` completion into the ring behind `fd`. The ring may be gone: the failure is quiet too.
pub fn wake(ring_fd: RawFd) -> Entry {
    quiet(opcode::MsgRingData::new(Fd(ring_fd), 0, tag(kind::WOKEN, 0, 0), None).build())
}

/// A completion whenever the eventfd behind `fd` is written. Edge-triggered, so it needs no read.
pub fn watch_bell(fd: RawFd) -> Entry {
    opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).multi(true).build().user_data(tag(kind::BELL, 0, 0))
}

/// The most bytes of one write to a file: whole pages, and less than the kernel takes. The rest is the next.
const MAX_WRITE: usize = 1 << 30;

/// `bytes` must outlive the completion. `slot` is the write's place among those under way.
pub fn write(fd: RawFd, slot: usize, at: u64, bytes: *const u8, len: usize, durable: bool) -> Entry {
    let flags = if durable { libc::RWF_DSYNC } else { 0 };
    let len = len.min(MAX_WRITE) as u32;
    opcode::Write::new(Fd(fd), bytes, len).offset(at).rw_flags(flags as _).build().user_data(tag(
        kind::WRITE,
        slot,
        0,
    ))
}

/// The data of a file, and what of its metadata finds them again.
pub fn sync(fd: RawFd, file: u32) -> Entry {
    let flags = io_uring::types::FsyncFlags::DATASYNC;
    opcode::Fsync::new(Fd(fd)).flags(flags).build().user_data(tag(kind::SYNC, file as usize, 0))
}

fn quiet(entry: Entry) -> Entry {
    entry.flags(Flags::SKIP_SUCCESS).user_data(tag(kind::QUIET, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_the_round_trip() {
        for (index, generation) in [(0, 1), (7, u32::MAX), (MAX_CONNS - 1, 0x8000_0001)] {
            let conn = ConnId(u64::from(generation) << 32 | index as u64);
            let done = Done { tag: conn_tag(kind::SEND, conn), result: 0, flags: 0 };
            assert_eq!((done.kind(), done.index(), done.conn()), (kind::SEND, index, conn));
        }
    }
}
