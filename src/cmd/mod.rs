//! Layer 4: the commands. One row and one function a command, one file a family.
//!
//! A row drives everything that is not the command's own work: dispatch, arity, COMMAND and COMMAND DOCS, categories,
//! routing, per-command metrics. A function sees one keyspace ([`Cx::keys`]), its arguments and a writer; which
//! stores it needs is the row's [`Plan`]. A function parses all, looks up and checks the type, changes, replies.
//! What outlives it, or concerns more than stores, is returned as an [`Outcome`].

#![forbid(unsafe_code)]

pub mod block;
pub mod cx;
pub mod effects;
pub mod migration;
pub mod registry;
pub mod report;
pub mod row;
pub mod session;
#[cfg(test)]
pub mod testing;

pub mod help;
pub mod syntax;
pub mod unknown;
pub mod version;

pub mod bitmap;
pub mod client;
pub mod command;
pub mod connection;
pub mod geo;
pub mod hashes;
pub mod hyperloglog;
pub mod keyspace;
pub mod lists;
pub mod save;
pub mod server;
pub mod sets;
pub mod streams;
pub mod strings;
pub mod transaction;
pub mod zsets;

pub use cx::{Cx, Done, Env, Order, Outcome, PauseMode, ReloadMode, SaveKind, ServerInfo, ShutdownMode};
pub use registry::Registry;
pub use report::{ClientInfo, Report, Sections, SlowEntry};
pub use row::{Command, KeySpec, Needs, Plan, Where};
pub use session::{Replaying, Session};

/// Every family's rows. A new family is added here.
pub const FAMILIES: &[&[Command]] = &[
    connection::basic::COMMANDS,
    connection::auth::COMMANDS,
    connection::hello::COMMANDS,
    client::COMMANDS,
    command::COMMANDS,
    strings::get::COMMANDS,
    strings::set::COMMANDS,
    strings::number::COMMANDS,
    strings::range::COMMANDS,
    strings::edit::COMMANDS,
    strings::many::COMMANDS,
    strings::lcs::COMMANDS,
    hashes::get::COMMANDS,
    hashes::set::COMMANDS,
    hashes::delete::COMMANDS,
    hashes::number::COMMANDS,
    hashes::random::COMMANDS,
    hashes::scan::COMMANDS,
    hashes::expire::COMMANDS,
    hashes::ttl::COMMANDS,
    hashes::with_expiry::COMMANDS,
    bitmap::bit::COMMANDS,
    bitmap::count::COMMANDS,
    bitmap::position::COMMANDS,
    bitmap::op::COMMANDS,
    bitmap::field::COMMANDS,
    lists::push::COMMANDS,
    lists::pop::COMMANDS,
    lists::read::COMMANDS,
    lists::blocking::COMMANDS,
    lists::change::COMMANDS,
    lists::shift::COMMANDS,
    sets::members::COMMANDS,
    sets::random::COMMANDS,
    sets::algebra::COMMANDS,
    sets::scan::COMMANDS,
    hyperloglog::count::COMMANDS,
    hyperloglog::debug::COMMANDS,
    streams::add::COMMANDS,
    streams::range::COMMANDS,
    streams::edit::COMMANDS,
    streams::read::COMMANDS,
    streams::group::COMMANDS,
    streams::pending::COMMANDS,
    streams::claim::COMMANDS,
    streams::info::COMMANDS,
    zsets::add::COMMANDS,
    zsets::remove::COMMANDS,
    zsets::read::COMMANDS,
    zsets::range::COMMANDS,
    zsets::pop::COMMANDS,
    zsets::blocking::COMMANDS,
    zsets::random::COMMANDS,
    zsets::algebra::COMMANDS,
    zsets::scan::COMMANDS,
    geo::position::COMMANDS,
    geo::search::COMMANDS,
    geo::radius::COMMANDS,
    keyspace::databases::COMMANDS,
    keyspace::existence::COMMANDS,
    keyspace::expiry::COMMANDS,
    keyspace::iteration::COMMANDS,
    keyspace::migrate::COMMANDS,
    keyspace::object::COMMANDS,
    keyspace::serialization::COMMANDS,
    keyspace::sort::COMMANDS,
    keyspace::transfer::COMMANDS,
    keyspace::wait::COMMANDS,
    server::info::COMMANDS,
    server::config::COMMANDS,
    server::clock::COMMANDS,
    server::lolwut::COMMANDS,
    save::COMMANDS,
    server::shutdown::COMMANDS,
    server::debug::COMMANDS,
    server::memory::COMMANDS,
    server::slowlog::COMMANDS,
    server::latency::COMMANDS,
    transaction::COMMANDS,
];
