//! kring
pub mod base;
pub mod cmd;
pub mod config;
pub mod ds;
pub mod metrics;
pub mod persist;
pub mod resp;
pub mod ring;
pub mod server;
pub mod shard;
pub mod storage;
pub mod store;
