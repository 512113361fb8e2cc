//! RDB files: a whole dataset as bytes, written by [`write`], cut into entries by [`Reader`]. No file is opened here.
//!
//! ```text
//!  "REDIS" 4 digits                           magic and version (1 to 12 are read, 9 to 12 written)
//!  "VALKEY" 3 digits                          the same since Valkey 9 (80 is read; earlier ones write 11 of Redis's)
//!  FA name value                              aux field: who wrote it, when, for whom
//!  F5 library                                 a library of functions
//!  FE db  [FB keys expires]                   the entries that follow are in this database; its size, as a hint
//!  [FD 4 bytes | FC 8 bytes] [F8 len | F9 1 byte]  type key value
//!   expiry s     expiry ms    idle s    uses        an entry (little-endian expiry, unix time)
//!  F4 slot keys expires                       sizes of a hash slot, as a hint
//!  F3 ...                                     Valkey: slots that were on their way into a cluster's node; refused
//!  FF  8 bytes                                the end, and the CRC-64 of all before (since version 5; 0: none)
//! ```
//! Lengths and strings are those of [`super::rdb_string`], values those of [`super::value`]. Databases may come back several
//! times and in any order, which is how shards can write one file together.
//!
//! A reader is given the file in pieces of any size and gives out entries whose values are still bytes: where a value
//! ends is known from its type alone ([`shape`]), so who decodes it need not be who reads the file.

mod assemble;
mod batch;
mod keep;
mod line;
mod read;
mod shape;
pub mod write;

pub use assemble::Assembly;
pub use batch::{Batch, Built};
pub use keep::{Form, PART, Uses, keeper};
pub use line::{Inbox, Line, Order, Piece, line};
pub use read::{Broken, Entry, Item, Reader, What, has_magic};
pub use shape::{least_version, type_of};

/// The versions that are read.
pub const VERSIONS_READ: std::ops::RangeInclusive<u32> = 1..=12;
/// The version of Valkey's own that is read: that of Valkey 9. A type of it that is another in Redis's has its number plus
/// [`VALKEY_TYPES`] once it is read.
pub const VERSION_OF_VALKEY: u32 = 80;
/// See [`VERSION_OF_VALKEY`].
pub const VALKEY_TYPES: u8 = 128;
/// The versions that are written: those of Redis 5, 7.0, 7.2 and 7.4.
pub const VERSIONS_WRITTEN: std::ops::RangeInclusive<u8> = 9..=12;
/// The version that all of Redis since 7.0 reads. What is older has neither listpacks nor functions.
pub const VERSION_OF_7_0: u8 = 10;

const MAGIC: &[u8; 5] = b"REDIS";
const MAGIC_OF_VALKEY: &[u8; 6] = b"VALKEY";
/// Magic and version, in bytes.
const HEADER: usize = 9;
/// The version from which files end with a checksum.
const CHECKSUM_SINCE: u32 = 5;

/// What stands where a type could.
pub(super) mod op {
    /// Valkey's alone.
    pub const SLOT_IMPORT: u8 = 0xf3;
    pub const SLOT: u8 = 0xf4;
    pub const LIBRARY: u8 = 0xf5;
    pub const LIBRARY_OF_RC: u8 = 0xf6;
    pub const MODULE: u8 = 0xf7;
    pub const IDLE: u8 = 0xf8;
    pub const FREQUENCY: u8 = 0xf9;
    pub const AUX: u8 = 0xfa;
    pub const SIZES: u8 = 0xfb;
    pub const EXPIRE_MS: u8 = 0xfc;
    pub const EXPIRE_SECS: u8 = 0xfd;
    pub const SELECT: u8 = 0xfe;
    pub const END: u8 = 0xff;
}

#[cfg(test)]
mod tests;
