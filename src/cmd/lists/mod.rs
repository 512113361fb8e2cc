//! Lists: one file a group of commands, each with its rows ([`super::FAMILIES`] lists them).
//!
//! Encodings change as in Redis 7.4: before elements are added a listpack may become a quicklist
//! ([`List::make_room`](crate::ds::list::List::make_room)), by the lengths of the texts as they were sent; after elements went a
//! quicklist may become a listpack again ([`List::shrink`](crate::ds::list::List::shrink)).

pub mod blocking;
pub mod change;
mod element;
pub mod pop;
pub mod push;
pub mod read;
pub mod shift;

pub(super) use element::{limits, note_changes};
