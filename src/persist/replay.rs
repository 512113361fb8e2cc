//! Commands of a log on their way from who reads its files to the shards that run them again.
//!
//! ```text
//!  file ─ pieces of whole commands ─> the shard that replays it
//!       <─ answers, one a piece: it has run, or what went wrong ─
//! ```

use std::sync::mpsc::Sender;

/// Commands of one file.
pub struct Piece {
    /// Which file: a number of its own from its first piece to its last.
    pub stream: u32,
    /// Whole commands, and annotations.
    pub bytes: Vec<u8>,
    /// The file has no more.
    pub last: bool,
    /// Where the answer goes.
    pub back: Sender<Replayed>,
}

/// A piece that has run, or has not.
pub struct Replayed {
    pub stream: u32,
    /// An empty buffer for another piece.
    pub spare: Vec<u8>,
    pub trouble: Option<Trouble>,
}

/// Why a log cannot be replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// Where the command begins in its piece.
    pub at: usize,
    /// Its name, as it stands there; empty when it has none.
    pub command: String,
    pub error: String,
}
