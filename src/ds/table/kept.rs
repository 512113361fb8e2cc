//! What a cut has kept, in pieces of some size.

use bytes::Bytes;
use std::collections::VecDeque;

/// Bytes of a piece from which on the next entry, or part of one, begins another: one that grew to any size would be copied as it grows.
const PIECE: usize = 64 << 10;

/// What was kept of a cut and not yet taken away.
#[derive(Default)]
pub struct Kept {
    pub bytes: Vec<u8>,
    /// Large strings, shared instead of copied: each with its place in `bytes`.
    pub shared: Vec<(usize, Bytes)>,
    /// Entries that begin here.
    pub entries: u64,
    /// The last entry goes on in the table's next piece, and nothing else may come between.
    pub goes_on: bool,
    /// The number of the table that its entries were in at the cut, if that is another than this one.
    pub of: Option<usize>,
    /// Why an entry could not be kept.
    pub trouble: Option<String>,
}

impl Kept {
    /// Whether there is nothing to take away.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.entries == 0 && self.trouble.is_none()
    }

    /// Puts another behind it.
    pub(super) fn append(&mut self, other: Kept) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.shared.extend(other.shared.into_iter().map(|(at, text)| (before + at, text)));
        self.entries += other.entries;
        self.trouble = self.trouble.take().or(other.trouble);
    }

    /// Bytes that it holds on to.
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.shared.iter().map(|(_, value)| value.len()).sum::<usize>()
    }
}

/// What is kept, in pieces.
#[derive(Default)]
pub(super) struct Pieces {
    full: VecDeque<Kept>,
    last: Kept,
    /// Bytes of the full ones.
    full_bytes: usize,
    /// The piece that was taken away last goes on.
    pub(super) goes_on: bool,
}

impl Pieces {
    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.last.is_empty()
    }

    pub(super) fn weight(&self) -> usize {
        self.full_bytes + self.last.weight()
    }

    /// The piece for the next part of an entry.
    pub(super) fn for_part(&mut self) -> &mut Kept {
        if self.last.bytes.len() >= PIECE {
            let of = self.last.of;
            self.last.goes_on = true;
            self.finish();
            self.last.of = of;
        }
        &mut self.last
    }

    /// The piece for the next entry, which was in this table at the cut.
    pub(super) fn for_entry(&mut self) -> &mut Kept {
        self.for_entry_of(None)
    }

    /// The same for one that was in another table perhaps.
    pub(super) fn for_entry_of(&mut self, of: Option<usize>) -> &mut Kept {
        if self.last.bytes.len() >= PIECE || self.last.of != of {
            self.finish();
        }
        self.last.of = of;
        &mut self.last
    }

    /// They go to another table, and were in the one of this number.
    pub(super) fn leave(&mut self, number: usize) {
        for piece in self.full.iter_mut().chain([&mut self.last]) {
            piece.of.get_or_insert(number);
        }
    }

    fn finish(&mut self) {
        if !self.last.is_empty() {
            self.full_bytes += self.last.weight();
            self.full.push_back(std::mem::take(&mut self.last));
        }
    }

    /// Puts others behind its own.
    pub(super) fn append(&mut self, mut others: Pieces) {
        others.finish();
        if !others.full.is_empty() {
            self.finish();
            self.full_bytes += others.full_bytes;
            self.full.append(&mut others.full);
        }
    }

    pub(super) fn take(&mut self, is_open: bool) -> Option<Kept> {
        let piece = match self.full.pop_front() {
            Some(piece) => {
                self.full_bytes -= piece.weight();
                piece
            }
            None if self.last.is_empty() => return None,
            None => Kept { goes_on: is_open, ..std::mem::take(&mut self.last) },
        };
        self.goes_on = piece.goes_on;
        if self.last.is_empty() {
            self.last.of = piece.of.filter(|_| piece.goes_on);
        }
        Some(piece)
    }
}
