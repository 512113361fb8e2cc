//! Sets: one file a group of commands, each with its rows ([`super::FAMILIES`] lists them).
//!
//! ```text
//!  members   into a set, out of it, is it there, how many, all; from one set to another
//!  random    members at random, to look at or to take
//!  algebra   intersection, union, difference, as a reply or into a key      combine   how they are found
//!  scan      all members in small steps
//!  frame     what they begin and end with: thresholds, replies, counted changes
//! ```

pub mod algebra;
mod combine;
mod frame;
pub mod members;
pub mod random;
pub mod scan;
#[cfg(test)]
mod tests;
