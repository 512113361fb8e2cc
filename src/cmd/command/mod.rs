//! COMMAND: what the server knows of its commands, told from their rows.
//!
//! [`family`] has the row, COUNT and HELP; [`info`] tells the facts that clients route by, [`docs`] those that people
//! read, [`list`] names, [`getkeys`] where a call's keys are. A test compares every row with what Redis says.

pub mod docs;
pub mod getkeys;
pub mod info;
pub mod list;

mod family;

#[cfg(test)]
mod redis70;

pub use family::COMMANDS;
pub use info::first_last_step;
