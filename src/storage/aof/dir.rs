//! The log's directory: which files there are, in memory and in its manifest, and the steps from one state to the next.
//!
//! ```text
//!  begin      new incremental files, one a shard ─> manifest names them ─> the shards write
//!  turn       files cut where they end ─> the frames that close them ─> [the stand-alone file, whole] + new incremental files ─> manifest ─> the shards write on there
//!  new base   temporary file gets a second name ─> manifest: base and what follows it, the rest is history ─> the first name and
//!             history removed ─> manifest
//! ```
//! Every step is durable before the next: files are synced before the manifest names them, and nothing is removed that the manifest on
//! the disk names as more than history. So a crash leaves files that no manifest names, never names without files.
//!
//! When a new manifest has its name, but the directory cannot be synced, nobody can say which of the two a loss of power leaves: the
//! step has failed, and yet all files of both stay, and what follows builds on the new one.

use super::commands;
use super::files::{self, Unnamed};
use crate::persist::aof::{BaseForm, FileEnd, Framer, Manifest, pad};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Result<T> = std::result::Result<T, String>;

/// What a file's name begins with until the manifest names it.
pub(super) const TEMPORARY: &str = "temp-";
/// What stands behind the name of a file that had to move out of the way, before a number.
pub(super) const ASIDE: &str = ".unlisted-";
/// Numbers that are tried.
const ASIDE_MAX: u32 = 1_000;

/// Where a log is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPlace {
    /// The working directory of the server.
    pub dir: PathBuf,
    /// `appenddirname`
    pub dirname: String,
    /// `appendfilename`
    pub filename: String,
}

impl LogPlace {
    /// The directory.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.dirname)
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Its manifest.
    pub fn manifest(&self) -> PathBuf {
        self.file(&Manifest::file_name(&self.filename))
    }

    /// The file that releases of Redis before 7 wrote.
    pub fn old_file(&self) -> PathBuf {
        self.dir.join(&self.filename)
    }

    /// A name for what will be the log's next base, while it is written.
    pub fn temporary_base(&self) -> PathBuf {
        self.file(&format!("{TEMPORARY}{}.base", self.filename))
    }
}

/// A new file of a shard.
#[derive(Debug)]
pub struct LogFile {
    /// Open for reading and writing, around the page cache if [`Generation::direct`].
    pub file: OwnedFd,
    /// Its frames so far: the one that opens it, which is on the disk.
    pub framer: Framer,
    /// Where to write on: a multiple of [`BLOCK`](crate::persist::aof::BLOCK).
    pub len: u64,
    /// Its name in the directory.
    pub name: String,
}

/// New files, one a shard.
#[derive(Debug)]
pub struct Generation {
    pub number: u64,
    pub log_id: u64,
    /// By shard.
    pub files: Vec<LogFile>,
    /// Whether they are written around the page cache.
    pub direct: bool,
}

/// What follows the end of a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// The next one, which the manifest names at once: its files go on where those before ended.
    Named,
    /// The next one. The manifest names it, and those behind it, with a base that has all they rest on.
    Unnamed,
    /// Nothing.
    Nothing,
}

/// The end of a generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Where each shard's file ends; `None`: it is left as it is.
    pub ends: Vec<Option<FileEnd>>,
    /// An operation on the whole keyspace, as commands: it stands alone between the two.
    pub whole: Option<Arc<[u8]>>,
    pub after: After,
}

/// A base that was written, and synced, under a temporary name in the log's directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewBase {
    pub path: PathBuf,
    /// An RDB file that becomes one of commands.
    pub as_commands: bool,
    /// The first generation that follows it; `None`: there is none.
    pub from: Option<u64>,
    /// `aof-disable-auto-gc`: history stays.
    pub keeps_history: bool,
}

/// A line for the server's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    pub text: String,
    pub warns: bool,
}

impl Note {
    pub(super) fn say(text: impl Into<String>) -> Note {
        Note { text: text.into(), warns: false }
    }

    pub(super) fn warn(text: impl Into<String>) -> Note {
        Note { text: text.into(), warns: true }
    }
}

/// See the module's text. Owned by the storage thread.
pub struct AofDir {
    place: LogPlace,
    /// Keeps other servers out, once there is a directory.
    claim: Option<File>,
    /// As it is on the disk.
    manifest: Manifest,
    /// Files that have no base yet, added to the manifest: they have temporary names, and the manifest on the disk lacks them.
    draft: Option<Manifest>,
    /// The generations that were begun here, and their first sequence numbers.
    begun: Vec<(u64, u64)>,
    /// The highest number of a generation.
    last_number: u64,
    /// Whether all files of that generation are closed.
    pub(super) closed: bool,
    /// The files that are written now, by shard.
    current: Vec<PathBuf>,
}

impl AofDir {
    /// A directory with this manifest, whose files are of generations up to `last_number`.
    pub(super) fn new(place: LogPlace, claim: Option<File>, manifest: Manifest, last_number: u64) -> AofDir {
        AofDir {
            place,
            claim,
            manifest,
            draft: None,
            begun: Vec::new(),
            last_number,
            closed: false,
            current: Vec::new(),
        }
    }

    /// The directory's place.
    pub fn place(&self) -> &LogPlace {
        &self.place
    }

    /// The highest number of a generation.
    pub(super) fn last_number(&self) -> u64 {
        self.last_number
    }

    /// The manifest on the disk.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Begins a generation of so many shards that goes on where the files before it ended.
    pub fn begin(&mut self, shards: usize) -> Result<Generation> {
        self.drop_draft();
        self.next(None, shards)
    }

    /// Ends the generation and begins the next, of as many shards as it has ends. What is before the turn is on the disk, and the
    /// manifest names what follows, before it returns.
    pub fn turn(&mut self, turn: Turn) -> Result<Option<Generation>> {
        let Turn { ends, whole, after } = turn;
        self.closed = false;
        let known = self.current.iter().zip(&ends);
        let ended: Vec<_> =
            known.filter_map(|(path, end)| Some((path.as_path(), end.as_ref()?.len))).collect();
        files::cut(&ended)?;
        self.close(&ends);
        match after {
            After::Nothing => {
                self.current.clear();
                self.drop_draft();
                return Ok(None);
            }
            After::Unnamed if self.draft.is_none() => self.draft = Some(self.manifest.clone()),
            // What waits for a base goes on waiting.
            After::Named | After::Unnamed => {}
        }
        self.next(whole.as_deref(), ends.len()).map(Some)
    }

    /// Closes the files of the generation, all of which are on the disk: they are as good without, so a failure (the disk is full) is
    /// none. When one of them is not whole, what it lacks is missing in the others too.
    fn close(&mut self, ends: &[Option<FileEnd>]) {
        let all = !self.current.is_empty() && ends.iter().all(Option::is_some);
        let known = self.current.iter().zip(ends.iter().flatten());
        let closing: Vec<_> = known.map(|(path, end)| ((path.as_path(), end.len), &*end.closing)).collect();
        self.closed = all && files::append(&closing).is_ok();
    }

    fn next(&mut self, whole: Option<&[u8]>, shards: usize) -> Result<Generation> {
        let mut made = Vec::new();
        let done = self.try_next(whole, shards, &mut made);
        // What no manifest can name is as if it had never been. What cannot be removed is found at the next start.
        made.iter().for_each(|path| drop(files::remove(path)));
        done
    }

    /// `made`: files that were made, while it is certain that no manifest names them.
    fn try_next(
        &mut self,
        whole: Option<&[u8]>,
        shards: usize,
        made: &mut Vec<PathBuf>,
    ) -> Result<Generation> {
        self.claim()?;
        let mut next = self.draft.as_ref().unwrap_or(&self.manifest).clone();
        let mut number = self.last_number;
        if let Some(commands) = whole {
            number += 1;
            let mut framer = Framer::alone(random()?, number).after_closed(self.closed);
            let mut bytes = Vec::new();
            framer.begin_file(&mut bytes);
            framer.frame(&mut bytes, commands, None);
            framer.end_file(&mut bytes);
            self.make(&next.standalone(), &bytes, made)?;
        }
        let after_closed = self.closed || whole.is_some();
        number += 1;
        let log_id = random()?;
        let names = next.begin_generation(shards);
        let first = next.incr().len() - names.len();
        let first_seq = next.incr()[first].seq;
        let mut direct = true;
        let mut opened = Vec::new();
        for (shard, name) in names.into_iter().enumerate() {
            let mut framer = Framer::new(log_id, shard, number, shards).after_closed(after_closed);
            let mut bytes = Vec::new();
            framer.begin_file(&mut bytes);
            pad(&mut bytes);
            let (file, around) = self.make(&name, &bytes, made)?;
            framer.set_durable(1);
            direct &= around;
            opened.push(LogFile { file: file.into(), framer, len: bytes.len() as u64, name });
        }
        files::sync_dir(&self.place.path())?;
        let listed = match &mut self.draft {
            Some(draft) => {
                *draft = next;
                Ok(())
            }
            None => self.commit(next),
        };
        if let Err(Unnamed::Not(why)) = listed {
            return Err(why);
        }
        self.last_number = number;
        self.current = made.split_off(made.len() - shards);
        self.begun.push((number, first_seq));
        made.clear();
        listed?;
        Ok(Generation { number, log_id, files: opened, direct })
    }

    /// Makes a file, under the name that it has for now.
    fn make(&self, name: &str, bytes: &[u8], made: &mut Vec<PathBuf>) -> Result<(File, bool)> {
        let path = match &self.draft {
            Some(_) => self.place.file(&format!("{TEMPORARY}{name}")),
            None => self.place.file(name),
        };
        set_aside(&path)?;
        let created = files::create(&path, bytes);
        made.push(path);
        created
    }

    /// Makes the directory if it is absent, and sees to it that it is ours.
    pub(super) fn claim(&mut self) -> Result<()> {
        if self.claim.is_none() {
            files::make_dir(&self.place.path())?;
            self.claim = files::claim(&self.place.path())?;
        }
        Ok(())
    }

    /// As if its process had ended: another one may take the directory.
    #[cfg(test)]
    pub(super) fn let_go(&self) {
        let freed = self.claim.as_ref().map_or(Ok(()), File::unlock);
        freed.expect("a lock of ours is let go");
    }

    /// What the shards would say when their files end there.
    #[cfg(test)]
    pub(super) fn ends(&self, lens: &[Option<u64>]) -> Vec<Option<FileEnd>> {
        let end = |(path, len): (&PathBuf, &Option<u64>)| {
            let bytes = std::fs::read(path).expect("there");
            let mut scan = crate::persist::aof::Scan::new(u32::MAX);
            let len = (*len)?.min(bytes.len() as u64);
            scan.push(&bytes[..len as usize]);
            while scan.next_frame().is_some() {}
            let info = scan.info().expect("its first frame");
            let mut framer = Framer::new(info.log_id, info.shard.into(), info.generation, info.shards.into());
            let mut closing = Vec::new();
            for _ in 0..scan.frames() {
                framer.frame(&mut closing, b"", None);
            }
            closing.clear();
            framer.end_file(&mut closing);
            Some(FileEnd { len, closing })
        };
        self.current.iter().zip(lens).map(end).collect()
    }

    /// Makes this the manifest. It is also when that is not durable: see the module's text.
    pub(super) fn commit(&mut self, manifest: Manifest) -> std::result::Result<(), Unnamed> {
        let named = files::replace(&self.place.manifest(), &manifest.format());
        if !matches!(named, Err(Unnamed::Not(_))) {
            self.manifest = manifest;
        }
        named
    }

    /// A base was written: it takes the place of the one before and of all files before its generation.
    pub fn new_base(&mut self, base: NewBase) -> Result<Vec<Note>> {
        self.claim()?;
        let mut notes = Vec::new();
        let first_seq = match base.from {
            None => u64::MAX,
            Some(from) => {
                let begun = self.begun.iter().find(|(number, _)| *number == from);
                begun.ok_or("the base belongs to no generation of this log")?.1
            }
        };
        let form = if base.as_commands { commands::convert(&base.path, &mut notes)? } else { BaseForm::Rdb };
        let mut next = self.draft.as_ref().unwrap_or(&self.manifest).clone();
        let name = next.new_base(form);
        next.retire(first_seq);
        let path = self.place.file(&name);
        set_aside(&path)?;
        // While it has both names and no manifest names it, a start knows that it was made in vain.
        let linked = files::link(&base.path, &path).map_err(Unnamed::Not);
        let named = linked.and_then(|()| self.name_files(&next)).and_then(|()| self.commit(next));
        if let Err(Unnamed::Not(why)) = named {
            // The manifest knows nothing of it.
            drop(files::remove(&path));
            drop(files::remove(&base.path));
            return Err(why);
        }
        self.draft = None;
        self.begun.retain(|(number, _)| base.from.is_some_and(|from| *number >= from));
        // What stays is removed at the next start.
        drop(files::remove(&base.path));
        named?;
        if !base.keeps_history {
            notes.extend(self.remove_history());
        }
        Ok(notes)
    }

    /// Bytes of all files that the manifest names as part of the log, but for those that the shards write: these are filled ahead.
    pub fn bytes(&self) -> u64 {
        let incr = self.manifest.incr();
        let whole = &incr[..incr.len().saturating_sub(self.current.len())];
        let members = self.manifest.base().into_iter().chain(whole);
        members.filter_map(|m| Some(self.place.file(&m.name).metadata().ok()?.len())).sum()
    }

    /// Gives files that waited for a base their names, those that this manifest has; the others go.
    fn name_files(&mut self, next: &Manifest) -> std::result::Result<(), Unnamed> {
        let Some(draft) = &self.draft else { return Ok(()) };
        let waited = draft.incr()[self.manifest.incr().len()..].to_vec();
        for member in &waited {
            let (temporary, path) =
                (self.place.file(&format!("{TEMPORARY}{}", member.name)), self.place.file(&member.name));
            if !temporary.exists() && path.exists() {
                // It got its name before, and the manifest could not be written.
                continue;
            }
            if next.incr().contains(member) {
                set_aside(&path).map_err(Unnamed::Not)?;
                let renamed = files::rename(&temporary, &path);
                if let Err(Unnamed::Not(_)) = renamed {
                    return renamed;
                }
                if let Some(current) = self.current.iter_mut().find(|current| **current == temporary) {
                    *current = path;
                }
                // That this name is not durable says nothing of the manifest's.
                renamed.map_err(|unsynced| Unnamed::Not(unsynced.into()))?;
            } else {
                files::remove(&temporary).map_err(Unnamed::Not)?;
            }
        }
        Ok(())
    }

    /// Removes what is history from the directory and from the manifest.
    pub(super) fn remove_history(&mut self) -> Vec<Note> {
        let mut next = self.manifest.clone();
        let history = next.purge();
        if history.is_empty() {
            return Vec::new();
        }
        let keeps = |why| Note::warn(format!("old files of the log are kept for now: {why}"));
        // The manifest that names them as more than history must not come back.
        if let Err(why) = files::sync_dir(&self.place.path()) {
            return vec![keeps(why)];
        }
        let removed = history.iter().map(|name| files::remove(&self.place.file(name)));
        let failed: Vec<String> = removed.filter_map(|done| done.err()).collect();
        // What the manifest still names as history is removed another time.
        let forgotten = if failed.is_empty() { self.commit(next) } else { Ok(()) };
        failed.into_iter().chain(forgotten.err().map(String::from)).map(keeps).collect()
    }

    /// Forgets files that wait for a base that will not come.
    fn drop_draft(&mut self) {
        let Some(draft) = self.draft.take() else { return };
        for member in &draft.incr()[self.manifest.incr().len()..] {
            // What stays is removed at the next start.
            let removed = files::remove(&self.place.file(&format!("{TEMPORARY}{}", member.name)));
            if let Ok(false) = removed {
                // It had its name when the manifest could not be written.
                drop(files::remove(&self.place.file(&member.name)));
            }
        }
    }
}

/// Moves a file out of the way whose name is needed: no manifest names it, but who knows what it is.
fn set_aside(path: &Path) -> Result<()> {
    if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for n in 1..ASIDE_MAX {
        let aside = path.with_file_name(format!("{name}{ASIDE}{n}"));
        if !aside.exists() {
            return Ok(files::rename(path, &aside)?);
        }
    }
    Err(format!("{} is in the way: move it away", path.display()))
}

/// Draws the id of a log.
fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    let path = Path::new("/dev/urandom");
    File::open(path).and_then(|mut f| f.read_exact(&mut bytes)).map_err(files::failed("read", path))?;
    Ok(u64::from_le_bytes(bytes))
}
