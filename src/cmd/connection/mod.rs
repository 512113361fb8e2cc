//! Commands about the connection itself: it greets ([`hello`]), it proves who it is ([`auth`]), and the rest
//! ([`basic`]). They change the [`Session`](super::Session) only, which travels with the client's commands, so they run
//! wherever their batch is.

pub mod auth;
pub mod basic;
pub mod hello;
