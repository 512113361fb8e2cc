//! Positions on the globe, kept in sorted sets: a member's score is the geohash of its position.
//!
//! ```text
//!  position   GEOADD, GEOPOS, GEODIST, GEOHASH
//!  search     GEOSEARCH, GEOSEARCHSTORE       radius   GEORADIUS and its kin: their rows and arguments
//!  query      what a search asks for, read from the arguments
//!  found      what it finds: from cells to ranges of scores to members, sorted and replied
//! ```

mod arguments;
mod found;
pub mod position;
mod query;
pub mod radius;
pub mod search;

use super::row::{category, key};
use super::{Command, KeySpec, Plan};

/// What the rows of this family have in common.
const ROW: Command = Command {
    categories: category::GEO,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    since: "3.2.0",
    group: "geo",
    ..Command::BASE
};
