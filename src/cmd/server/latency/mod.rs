//! LATENCY: the worst moments by event, and how long each command takes.

mod doctor;
mod graph;
mod histogram;
mod rows;

pub use rows::COMMANDS;
