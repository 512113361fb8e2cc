//! Layer 1: data structures (a stand-in table until the real one lands).
pub mod table;
