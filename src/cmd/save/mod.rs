//! Snapshots: the commands that ask for one, and what the process knows of them.

mod board;
#[cfg(test)]
mod exact;
mod log_board;
mod rows;

pub use board::{LoadNow, SaveBoard, SaveFor, SaveNow};
pub use log_board::{LogBoard, LogState, ShardLog};
pub use rows::COMMANDS;
