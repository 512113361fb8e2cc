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

use survey::{Start, Survey};

/// Loads a log, and answers. The directory is kept for what follows.
pub(super) fn load(request: LoadLog, log: &mut Option<AofDir>) {
    let (request, answer) = request.split();
    answer(load::load(request).map(|(recovered, dir)| {
        *log = Some(dir);
        recovered
    }));
}

/// Begins a generation of a log, which may have files already.
pub(super) fn begin(
    log: &mut Option<AofDir>,
    place: LogPlace,
    shards: usize,
    names: bool,
) -> Result<Generation, String> {
    if log.as_ref().is_none_or(|log| *log.place() != place) {
        *log = Some(open(place)?);
    }
    match log {
        Some(log) => log.begin(shards, names),
        None => Err("there is no log".into()),
    }
}

/// A directory that nothing was loaded from.
fn open(place: LogPlace) -> Result<AofDir, String> {
    let manifest = match survey::start(&place, None)? {
        Start::Manifest(manifest) => manifest,
        Start::Upgrade(_) | Start::Snapshot(_) | Start::Empty => {
            return Ok(AofDir::new(place.clone(), crate::persist::aof::Manifest::new(&place.filename), 0));
        }
    };
    let survey = Survey::of(&place.path(), manifest)?;
    let last_number = survey.last_number();
    let mut dir = AofDir::new(place, survey.manifest, last_number);
    dir.tidy()?;
    Ok(dir)
}
