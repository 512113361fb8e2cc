//! Commands about the server as a whole: what it is, what it does, how it is doing.
//!
//! None of them knows of shards by another way than everybody else: what shards count comes as one [`Report`] each
//! (`Plan::Gather`), what shards shall do goes out as one [`Order`].
//!
//! [`Report`]: super::Report
//! [`Order`]: super::Order

mod calls;
mod text;

pub mod clock;
pub mod config;
pub mod debug;
pub mod info;
pub mod latency;
pub mod lolwut;
pub mod memory;
pub mod shutdown;
pub mod slowlog;
