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
//! | [`load`] | the whole of a boot |
//! | [`mend`] | the files that were written last, cut where they are whole |
//! | [`feed`] | files on their way to the shards |
//! | [`dir`] | new generations and bases: files and manifest |
//! | [`files`] | the steps that all of them are made of |

mod dir;
mod feed;
mod files;
mod load;
mod mend;
mod survey;

pub use dir::{AofDir, Generation, LogFile, LogPlace, NewBase, Note};
pub use load::{LoadLog, Recovered};
