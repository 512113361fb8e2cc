//! Stand-ins for what a shard meets: a control plane that does nothing, and a server of some cores in one thread.
//!
//! Shared by the simulation, the fuzzer, the benches and `tests/no_alloc.rs`.

#![allow(dead_code, reason = "each user needs a part")]

pub mod nobody;
pub mod server;
