//! Layer 3: what data looks like as bytes outside of a store. No files here: bytes in, bytes out.
//!
//! | module | what |
//! |---|---|
//! | [`crc64`] | the checksum of RDB files and DUMP payloads |
//! | [`lzf`] | the compression of RDB strings |
//! | [`rdb_string`] | lengths and strings as RDB writes them |
//! | [`dump`] | DUMP payloads: one value, its format's version, a checksum |
//!
//! Whatever is read may be hostile: every decoder is bounded by its input and answers [`Corrupt`] instead of panicking or
//! taking memory that the input cannot fill.

#![forbid(unsafe_code)]

mod corrupt;
pub mod crc64;
pub mod dump;
pub mod lzf;
pub mod rdb_string;

pub use corrupt::Corrupt;
