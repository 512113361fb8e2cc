//! INFO: what the server tells about itself, section by section, with Redis 7.4's names in Redis's order.
//!
//! A section is a row in [`sections`]; adding one is adding a row and a function. What belongs to a later release
//! (snapshots, replication, scripts) shows what an idle Redis shows that has none of it configured.
//!
//! Reading order: [`reply`] (the command), [`sections`] (the rows), then the sections.

mod activity;
mod keyspace;
mod per_command;
mod process;
mod reply;
mod sections;

pub use reply::COMMANDS;
