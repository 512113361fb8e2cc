//! MEMORY: what memory goes into, of the process and of one key.

mod doctor;
mod figures;
mod rows;

pub use figures::{ALLOCATOR, Figures};
pub use rows::COMMANDS;
