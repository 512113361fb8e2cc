//! The append-only log as bytes: each shard's file is a Redis AOF, and a sequence of checked frames at the same time.
//!
//! ```text
//!  file    frame 0, frame 1, ..., blank lines [, the frame that closes it]
//!  write   frame, frame, ..., blank lines up to a multiple of 4,096 bytes
//!
//!  frame   #kring:1 l=<16> s=<4> q=<16> d=<16> n=<16> [x=<16> p=<1-128>] c=<8> h=<8> LF       114 bytes without x and p
//!          |        |      |     |      |      |       |      |          |     CRC-32C of the line up to `h=`
//!          |        |      |     |      |      |       |      |          CRC-32C of the payload
//!          |        |      |     |      |      |       |      shards with a part of the transaction: bit 0 is shard 0
//!          |        |      |     |      |      |       the transaction that this is a part of
//!          |        |      |     |      |      bytes of payload
//!          |        |      |     |      frames from 0 on that were on disk for good when this one was made
//!          |        |      |     sequence: frames before it in this file
//!          |        |      shard
//!          |        log id: random, one for a generation, so that no block of another file is taken for one of ours
//!          an annotation line to Redis; 1 is the format's version
//!          payload: whole RESP commands, and annotations such as `#TS:1700000000`
//!
//!  frame 0 begins with the line      #kring-file:1 g=<16> s=<4> shard|alone by=<program-version>[ after=closed] LF
//!                                generation  shards                                the files of generation g-1 are closed
//!
//!  the frame that closes a file has the payload     #kring-end:1 LF
//! ```
//! All numbers are fixed-width lowercase hex. A header vouches for itself, so its length is believed before the payload is read. Lines that begin with `#` are annotations: Redis (since 7.0), Valkey and their
//! `check-aof` tools skip them between commands while a line has fewer than 1,024 bytes. So a file loads there at any time,
//! filled ahead and with its process killed too.
//!
//! **Clean and torn.** A file ends cleanly when behind its last frame there are blank lines or zero bytes only. What else
//! is there is a *tear*: the writes in flight when the process or the machine died, none of them acknowledged, or damage to
//! what was. The `d` field of a whole frame further on tells which: it is damage when that frame knew of more durable frames
//! than can be read before the tear. Damage is never mended by cutting the file.
//!
//! **Closed.** When a generation ends in order (the process stops, the log is switched off, the next generation begins), all of its files
//! are brought to the disk, and only then each gets the frame that closes it, which knows that all before it is durable. So no damage in
//! a closed file is taken for a tear, and a transaction that is not whole there is damage too. The next generation says that the files
//! before it are closed: one that is not has lost its end. After a crash, or when a write has failed, no file is closed and none is
//! expected to be; nor is any of a version that did not close files.
//!
//! | module | what |
//! |---|---|
//! | `blank` | padding and filler |
//! | `header` | the lines that open a frame and a file |
//! | `framer` | frames made |
//! | `scan` | frames read, and the verdict on a file's end |
//! | `recover` | how far the files of a generation go together |
//! | `commands`, `plain` | the commands in a payload; Redis's own files |
//! | `manifest`, `stages` | which files a log is made of, and what they are to each other |
//! | `merge`, `readable`, `quoted` | a log as lines for people |

mod blank;
mod commands;
mod framer;
mod header;
mod manifest;
mod merge;
mod plain;
mod quoted;
mod readable;
mod recover;
mod scan;
mod stages;

pub use crate::store::log::Part;
pub use blank::{BLOCK, filler, pad};
pub use commands::{Commands, Defect, Item, Malformed, part};
pub use framer::{FileEnd, Framer};
pub use header::FileInfo;
pub use manifest::{BaseForm, Kind, Manifest, Member, Refusal, Refused};
pub use merge::{Held, Merge, Turn};
pub use plain::{Content, Place, PlainCommand, PlainScan, PlainTail, content};
pub use readable::Readable;
pub use recover::{Cut, Log, recover};
pub use scan::{Frame, Later, Scan, Tail, Tear, Why};
pub use stages::{Disorder, Opened, Stage, stages};
