//! Layer 1: io_uring, the only door between a shard and the kernel's sockets.
//!
//! ```text
//!   shard core ── Net: send, fill, close, wake, ... ───► Ring ── SQ ──► kernel
//!        ▲                                                ▲              │
//!        └────────────── Event: Data, Sent, Woken ────────┴───── CQ ◄────┘
//! ```
//! A shard's turn is: `turn` (one `io_uring_enter`: everything queued goes in, everything finished comes out),
//! `next_event` until it says `None`, run the core, again. All else in here exists to keep that at one system call.
//!
//! Invariants
//! - A [`Ring`] lives and dies on one thread: it is `!Send`, and the kernel enforces it (`SINGLE_ISSUER`).
//! - Memory that an operation under way points to (a chunk, the receive buffers, one that is filled) is owned here until its last
//!   completion has been seen. Dropping a ring waits for them, and leaks what the kernel won't let go.
//! - A connection's index is reused only when no operation of its last tenant is under way. Its generation, part of
//!   every `user_data`, is the second lock on that door.
//! - What ends a multishot is the missing `F_MORE`, whatever the result says.
//!
//! Reading order: [`net`] (the seam), [`ops`] (what goes in), `ring` (the turn), then one file an operation:
//! `accept`, `recv` (with `fill`), `send` (with `message`), `close`, `wake`, `files`; beside them `conns` and `buffers` hold the state, and `options`,
//! `probe`, `clock`, `socket` serve the boot. [`peer`] is no part of a ring: a connection to another server, for threads that may wait.

mod accept;
mod buffers;
mod clock;
mod close;
mod conns;
mod files;
mod fill;
mod message;
pub mod net;
mod ops;
mod options;
pub mod peer;
pub mod probe;
mod recv;
#[expect(clippy::module_inception, reason = "it holds Ring")]
mod ring;
mod send;
pub mod socket;
mod wake;

#[cfg(test)]
mod tests;

pub use buffers::Pool;
pub use clock::Clock;
pub use message::Message;
pub use net::{BufId, Chunk, ConnId, Event, FileId, FileWrite, Net, World};
pub use options::{Error, Options};
pub use ring::{Ring, Wait, open};
pub use wake::Bell;
