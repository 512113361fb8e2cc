//! HyperLogLogs: strings that estimate how many distinct elements were added to them ([`crate::ds::hyperloglog`]).
//!
//! ```text
//!  count    PFADD, PFCOUNT, PFMERGE         debug    PFDEBUG, PFSELFTEST
//!  text     the string of an entry, checked and changed
//! ```

pub mod count;
pub mod debug;
#[cfg(test)]
mod tests;
mod text;
