//! Layer 1: RESP2 and RESP3, the two forms of Redis's protocol: requests in, replies out. Bytes only.

#![forbid(unsafe_code)]

mod error;
mod parse;
#[cfg(test)]
pub(crate) mod testing;
mod write;

pub use error::Error;
pub use parse::{Args, Limits, Parser, ProtocolError, Span, Step, argument, whole};
pub use write::{Mark, Out, Proto, SHARE_FROM};
