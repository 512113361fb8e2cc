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
mod show;
mod survey;

pub use check::{Listener, Verdict, check};
pub use dir::{After, AofDir, Generation, LogFile, LogPlace, NewBase, Note, Turn};
pub use load::{LoadLog, Recovered};
pub use show::{Form, show};

use survey::{Start, Survey};

/// Loads a log, and answers. The directory is kept for what follows.
pub(super) fn load(request: LoadLog, log: &mut Option<AofDir>) {
    let (request, answer) = request.split();
    answer(load::load(request).map(|(recovered, dir)| {
        *log = Some(dir);
        recovered
    }));
}

/// The log's directory, opened if it was not yet.
fn opened<'a>(log: &'a mut Option<AofDir>, place: &LogPlace) -> Result<&'a mut AofDir, String> {
    let dir = match log.take().filter(|log| log.place() == place) {
        Some(dir) => dir,
        None => open(place.clone())?,
    };
    Ok(log.insert(dir))
}

/// See [`AofDir::claim`].
pub(super) fn claim(log: &mut Option<AofDir>, place: &LogPlace) -> Result<(), String> {
    opened(log, place)?.claim()
}

/// See [`AofDir::turn`].
pub(super) fn turn(
    log: &mut Option<AofDir>,
    place: &LogPlace,
    turn: Turn,
) -> Result<Option<Generation>, String> {
    opened(log, place)?.turn(turn)
}

/// See [`AofDir::new_base`]. Afterwards all files of the log have so many bytes.
pub(super) fn new_base(
    log: &mut Option<AofDir>,
    place: &LogPlace,
    base: NewBase,
) -> Result<(u64, Vec<Note>), String> {
    let dir = opened(log, place)?;
    dir.new_base(base).map(|notes| (dir.bytes(), notes))
}

/// A directory that nothing was loaded from.
fn open(place: LogPlace) -> Result<AofDir, String> {
    let claim = files::claim(&place.path())?;
    let manifest = match survey::start(&place, None)? {
        Start::Manifest(manifest) => manifest,
        Start::Upgrade(_) | Start::Snapshot(_) | Start::Empty => {
            return Ok(AofDir::new(
                place.clone(),
                claim,
                crate::persist::aof::Manifest::new(&place.filename),
                0,
            ));
        }
    };
    let survey = Survey::of(&place.path(), manifest)?;
    let last_number = survey.last_number();
    let mut dir = AofDir::new(place, claim, survey.manifest, last_number);
    dir.tidy(true)?;
    Ok(dir)
}

#[cfg(test)]
mod tests;
