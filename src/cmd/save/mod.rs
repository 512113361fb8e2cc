//! Snapshots: the commands that ask for one, and what the process knows of them.

mod board;
#[cfg(test)]
mod exact;
mod rows;

pub use board::{LoadNow, SaveBoard};
pub use rows::COMMANDS;
