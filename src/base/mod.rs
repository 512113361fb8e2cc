//! Layer 0: what every other layer stands on, and nothing that knows of Redis's data.

pub mod cell;
pub mod cpu;
pub mod crc16;
pub mod direct;
pub mod double;
pub mod geohash;
pub mod geoshape;
pub mod glob;
pub mod heap;
pub mod longdouble;
pub mod lzf;
pub mod numa;
pub mod number;
pub mod pages;
pub mod prng;
pub mod shelf;
pub mod time;
