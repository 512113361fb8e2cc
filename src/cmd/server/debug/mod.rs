//! DEBUG: for tests of servers and clients. Off unless `enable-debug-command` allows it.
//!
//! Subcommands are rows, each with the plan it needs, but COMMAND does not show them, as in Redis. A call that fits no
//! row comes to the container itself, which words the error.

mod digest;
mod object;
mod populate;
mod protocol;
mod rows;
mod switches;

pub use rows::{COMMANDS, refusal};
