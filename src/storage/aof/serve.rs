//! What the thread of the log is asked for, with the directory that it owns.

use super::dir::{AofDir, Generation, LogPlace, NewBase, Note, Turn};
use super::files;
use super::load::LoadLog;
use super::survey::{self, Start, Survey};
use crate::persist::aof::Manifest;

/// Loads a log, and answers. The directory is kept for what follows.
pub(in crate::storage) fn load(request: LoadLog, log: &mut Option<AofDir>) {
    // One that is loaded again is claimed again.
    *log = None;
    let (request, answer) = request.split();
    answer(super::load::load(request).map(|(recovered, dir)| {
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
pub(in crate::storage) fn claim(log: &mut Option<AofDir>, place: &LogPlace) -> Result<(), String> {
    opened(log, place)?.claim()
}

/// See [`AofDir::turn`].
pub(in crate::storage) fn turn(
    log: &mut Option<AofDir>,
    place: &LogPlace,
    turn: Turn,
) -> Result<Option<Generation>, String> {
    opened(log, place)?.turn(turn)
}

/// See [`AofDir::new_base`]. Afterwards all files of the log have so many bytes.
pub(in crate::storage) fn new_base(
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
            return Ok(AofDir::new(place.clone(), claim, Manifest::new(&place.filename), 0));
        }
    };
    let survey = Survey::of(&place.path(), manifest)?;
    let last_number = survey.last_number();
    let mut dir = AofDir::new(place, claim, survey.manifest, last_number);
    dir.tidy(true)?;
    Ok(dir)
}
