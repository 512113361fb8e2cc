//! Histories: what clients ask, what comes back, and whether it may be so.
//!
//! ```text
//! script  random requests whose replies are known beforehand, or can be checked together; rare, zoo: others
//! client  one connection's requests and replies, each reply checked as it comes
//! queues  requests about queues            order  the checks of queues         check  those of registers and counters
//! mortals  requests about keys that expire, and their checks
//! ends    what is there before the first request, and after the last
//! ```
//! Shared by the simulation (`tests/sim`), where time is counted in steps, and by the tests of a real process (`tests/it`), where it
//! is a counter that all clients share.

#![allow(dead_code, reason = "each user needs a part")]

pub mod check;
pub mod client;
pub mod ends;
pub mod mortals;
pub mod order;
pub mod queues;
pub mod rare;
pub mod rng;
pub mod script;
pub mod zoo;
