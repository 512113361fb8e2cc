//! The two ends of a list.

/// An end of a list: where something is added or taken, or from which it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Front,
    Back,
}
