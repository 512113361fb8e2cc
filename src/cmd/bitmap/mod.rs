//! Strings as rows of bits, bit 0 being the highest one of the first byte: one file a group of commands, each with its
//! rows ([`super::FAMILIES`] lists them).

pub mod bit;
pub mod count;
pub mod field;
pub mod op;
pub mod position;
mod words;
