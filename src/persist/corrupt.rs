//! The one error of every decoder.

/// The bytes are not what they claim to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;
