//! A stream as RDB writes it.

use super::Corrupt;
use super::value::Reading;
use crate::ds::stream::Stream;

/// RDB's numbers for it, one an encoding.
pub const KINDS: &[u8] = &[];

/// Appends the content and gives its number.
pub fn encode(_out: &mut Vec<u8>, _stream: &Stream, _compress: bool) -> u8 {
    0
}

/// Takes a stream off the front.
pub fn decode(_kind: u8, _input: &mut &[u8], _reading: &Reading<'_>) -> Result<Stream, Corrupt> {
    Err(Corrupt)
}
