//! Waking a shard that sleeps in its ring: another shard by `MSG_RING`, a thread without a ring by a [`Bell`].
//!
//! Wake-ups carry nothing and collapse: a batch of submissions holds at most one for a peer, and all that came are told
//! of as one, after the other events of a turn. So whatever was published before any of them is seen after the telling.

use super::ops::{self, Done};
use super::options::Error;
use super::ring::Ring;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Another shard's ring.
pub struct Peer {
    fd: RawFd,
    /// The batch of submissions that holds the last wake-up for it.
    batch: u64,
}

/// Wakes the ring it hangs on, from any thread; clones ring at the same one.
#[derive(Clone, Debug)]
pub struct Bell(Arc<OwnedFd>);

impl Bell {
    /// A bell that hangs nowhere yet: see [`Ring::hang`].
    pub fn new() -> Result<Bell, Error> {
        // SAFETY: the call takes no memory.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        let fd = Errno::result(fd).map_err(|errno| Error::Call { call: "eventfd", errno })?;
        // SAFETY: a new descriptor, which nobody else owns.
        Ok(Bell(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Wakes the ring; [`super::Event::Woken`] tells it. One write(2), fit for a signal handler.
    pub fn ring(&self) {
        // The counter is never read, and can't overflow: 2^64 - 1 rings. So it can't fail.
        let _ = nix::unistd::write(&self.0, &1u64.to_ne_bytes());
    }
}

impl Ring {
    /// The rings of all shards by number, this one's included. A ring whose descriptor closes must not be rung
    /// at any more than a closed one may be used: keep them open until all shards have stopped.
    pub fn set_peers(&mut self, rings: Vec<RawFd>) {
        self.peers = rings.into_iter().map(|fd| Peer { fd, batch: 0 }).collect();
    }

    /// Lets `bell` wake this ring, which has no other.
    pub fn hang(&mut self, bell: Bell) {
        assert!(self.bell.is_none(), "a ring has one bell");
        self.push(ops::watch_bell(bell.0.as_raw_fd()));
        self.bell = Some(bell);
    }

    pub(super) fn wake_peer(&mut self, shard: usize) {
        let own = self.fd();
        let peer = &mut self.peers[shard];
        if peer.fd == own {
            self.woken = true;
            return;
        }
        if peer.batch == self.batch {
            return;
        }
        peer.batch = self.batch;
        let entry = ops::wake(peer.fd);
        self.push(entry);
    }

    pub(super) fn on_bell(&mut self, done: Done) {
        self.woken = true;
        if !done.more()
            && let Some(bell) = &self.bell
        {
            let entry = ops::watch_bell(bell.0.as_raw_fd());
            self.push(entry);
        }
    }
}
