//! The append-only log as files: what lies in its directory, loading it, cutting off what a crash tore, new files to write on,
//! new bases.
//!
//! ```text
//!  appendonlydir/  manifest ─ survey ─ base ─> shards ─ stage ─> shards ─ stage ─> shards ─ new generation ─> written on
//!                                                        files of a stage side by side
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`survey`] | what the directory holds, and whether it fits together |
//! | [`serve`] | what its thread is asked for |
//! | [`load`] | the whole of a boot |
//! | [`mend`] | the files that were written last, cut where they are whole |
//! | [`feed`] | files on their way to the shards |
//! | [`check`], [`show`] | a log looked at from outside: whether it is whole, and its commands |
//! | [`commands`] | an RDB file turned into commands |
//! | [`dir`] | new generations and bases: files and manifest |
//! | [`files`] | the steps that all of them are made of |

mod check;
mod commands;
mod dir;
mod feed;
mod files;
mod load;
mod mend;
mod serve;
mod show;
mod survey;

pub use check::{Listener, Verdict, check};
pub use dir::{After, AofDir, Generation, LogFile, LogPlace, NewBase, Note, Turn};
pub use feed::Owner;
pub use load::{LoadLog, Recovered};
pub(super) use serve::{claim, load, new_base, turn};
pub use show::{Form, show};

#[cfg(test)]
mod tests;
