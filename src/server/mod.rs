//! Layer 6: from a configuration to a running process, and back to none.

#![forbid(unsafe_code)]

mod boot;
mod check;
mod check_aof;
mod control;
mod cores;
mod dataset;
mod log;
mod peers;
mod sockets;

pub use boot::{BootError, serve};
pub use check::check_rdb;
pub use check_aof::{check_aof, show_aof};
