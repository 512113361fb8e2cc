//! CLIENT: a client about itself ([`settings`]), about all of them ([`list`]), and against them ([`kill`], [`pause`]).
//!
//! What a client says about itself changes its [`Session`](super::Session) only. What concerns the connections of every
//! shard is gathered in reports first, or left as an [`Order`](super::Order) that every shard carries out.

pub mod kill;
pub mod list;
pub mod pause;
pub mod settings;

mod family;

pub use family::COMMANDS;
