//! One file from what many shards keep: databases are selected as pieces come, large values written out, the checksum taken.

use super::write;
use crate::ds::table::Kept;
use crate::persist::crc64::crc64;
use crate::persist::rdb_string::encode_long;
use bytes::Bytes;

/// Puts a file together, in order, as blocks of bytes.
pub struct Assembly {
    db: Option<usize>,
    sum: bool,
    compress: bool,
    crc: u64,
    entries: u64,
}

impl Assembly {
    /// A file with a checksum if `sum` (`rdbchecksum`), with strings compressed if `compress` (`rdbcompression`).
    pub fn new(sum: bool, compress: bool) -> Assembly {
        Assembly { db: None, sum, compress, crc: 0, entries: 0 }
    }

    /// Entries so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Passes bytes on that are as they should be in the file.
    pub fn raw(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if self.sum {
            self.crc = crc64(self.crc, &bytes);
        }
        bytes
    }

    /// The bytes of a piece, in parts: large ones are not copied.
    pub fn piece(&mut self, db: usize, kept: Kept) -> Vec<Bytes> {
        self.entries += kept.entries;
        let (bytes, mut parts, mut at) = (Bytes::from(kept.bytes), Vec::new(), 0);
        if self.db != Some(db) {
            self.db = Some(db);
            let mut select = Vec::new();
            write::select(&mut select, db as u64);
            parts.push(Bytes::from(select));
        }
        for (place, text) in &kept.shared {
            let mut head = Vec::new();
            let text = encode_long(&mut head, text, self.compress);
            parts.extend([bytes.slice(at..*place), head.into(), text]);
            at = *place;
        }
        parts.push(bytes.slice(at..));
        if self.sum {
            self.crc = parts.iter().fold(self.crc, |crc, part| crc64(crc, part));
        }
        parts
    }

    /// The last bytes.
    pub fn end(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        write::end(&mut out);
        let mut out = self.raw(out);
        out.extend_from_slice(&self.crc.to_le_bytes());
        out
    }
}
