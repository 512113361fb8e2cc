//! Strings: one file a group of commands, each with its rows ([`super::FAMILIES`] lists them).
//!
//! ```text
//!  Text     what an entry holds, seen as a string       integer | bytes in the entry | shared bytes
//!  stored   a string on its way in                      int when it is one's text, else as it is
//!  edit     changes in place                            grows with room to spare, marks the entry raw
//! ```
//! What OBJECT ENCODING says of a string follows from how it came: SET, GETSET, MSET and APPEND to no key store integers
//! as `int`; INCRBYFLOAT never does; a string that was edited is `raw` however short.

pub mod edit;
pub mod get;
pub mod lcs;
pub mod many;
pub mod number;
mod options;
pub mod range;
pub mod set;
mod text;

pub(super) use range::clamp;
pub(super) use text::{Text, put_raw};
