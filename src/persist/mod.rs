//! Layer 3: what data looks like as bytes outside of a store. No files here: bytes in, bytes out.
//!
//! | module | what |
//! |---|---|
//! | [`crc64`] | the checksum of RDB files and DUMP payloads |
//! | [`lzf`] | the compression of RDB strings |
//! | [`ziplist`] | the short lists of older files |
//! | [`rdb_string`] | lengths and strings as RDB writes them |
//! | [`value`] | a value of any type as RDB writes it; one file a type: `rdb_list`, `rdb_set`, `rdb_zset`, `rdb_hash`, `rdb_stream` |
//! | [`dump`] | DUMP payloads: one value, its format's version, a checksum |
//! | [`empty`] | collections without elements, which a load steps over |
//! | [`rdb`] | whole files: written, and cut into entries |
//! | [`functions`] | libraries of functions, as logs change them |
//! | [`replay`] | commands of a log, on their way to the shards that run them again |
//! | [`aof`] | the append-only log: frames, their reading and recovery, the manifest, Redis's own files |
//!
//! Whatever is read may be hostile: every decoder is bounded by its input and answers [`Corrupt`] instead of panicking or
//! taking memory that the input cannot fill.

#![forbid(unsafe_code)]

pub mod aof;
mod corrupt;
pub mod crc64;
pub mod dump;
pub mod empty;
pub mod functions;
pub mod rdb;
mod rdb_hash;
mod rdb_list;
mod rdb_set;
mod rdb_stream;
pub mod rdb_string;
mod rdb_zset;
pub mod replay;
pub mod value;
pub mod ziplist;

pub use corrupt::Corrupt;
