//! What a log's directory holds, before any of it is loaded: the manifest, what each of its files is, and in which order they are read.
//!
//! Whatever does not fit together is refused here, in one line that says what to do.

use super::dir::{LogPlace, TEMPORARY};
use super::files;
use crate::persist::aof::{
    Commands, Content, Item, Manifest, Opened, Scan, Stage, Tail, Tear, Why, content, stages,
};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, String>;

/// Bytes that tell what a file is: its first frame is among them.
const HEAD: usize = 64 << 10;
/// Bytes that [`content`] looks at.
const LOOK: usize = 4_096;
/// The longest payload of a frame that is read. A header vouches for its length, so this bounds no damage; what is written is bounded
/// by memory.
pub(super) const PAYLOAD_MAX: u64 = 1 << 48;

/// A file of the log.
#[derive(Clone, Debug)]
pub struct Found {
    pub path: PathBuf,
    /// Bytes.
    pub len: u64,
    pub content: Content,
    /// What its first frame says.
    pub opened: Opened,
}

/// The files of a log.
#[derive(Clone, Debug)]
pub struct Survey {
    pub manifest: Manifest,
    pub base: Option<Found>,
    /// As in the manifest.
    pub incr: Vec<Found>,
    /// The order in which they are read.
    pub stages: Vec<Stage>,
    /// What is strange about it, and yet no reason not to load it.
    pub warning: Option<String>,
}

impl Survey {
    /// Looks at the files of a manifest.
    pub fn of(dir: &Path, manifest: Manifest) -> Result<Survey> {
        let warning = missing_base(dir, &manifest)?;
        let base = manifest.base().map(|base| Found::of(&dir.join(&base.name))).transpose()?;
        let incr: Vec<Found> =
            manifest.incr().iter().map(|m| Found::of(&dir.join(&m.name))).collect::<Result<_>>()?;
        let opened: Vec<Opened> = incr.iter().map(|found| found.opened.clone()).collect();
        let stages = stages(&opened).map_err(|e| {
            let path = incr.get(e.file).map_or(dir, |found| &found.path);
            format!("{}: {}; {RESTORE}", path.display(), e.why)
        })?;
        let survey = Survey { manifest, base, incr, stages, warning };
        for found in survey.stages.iter().flat_map(|stage| &survey.incr[places(stage)]) {
            if found.opened == Opened::Blank {
                return Err(format!("{}: what it held is gone; {RESTORE}", found.path.display()));
            }
        }
        Ok(survey)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.base.iter().chain(&self.incr).map(|found| found.len).sum()
    }

    /// Generations, what is no frame counted as one each.
    pub fn generations(&self) -> u32 {
        let alone = |stage: &&Stage| matches!(stage, Stage::Alone { .. });
        (self.stages.len() - self.stages.iter().filter(alone).count()) as u32
    }

    /// Whether the files of a stage end with frames that close them, or have lost their end: the generation that follows tells.
    pub fn is_to_be_closed(&self, stage: usize) -> bool {
        let (Stage::Generation { generation, .. } | Stage::Alone { generation, .. }) = self.stages[stage]
        else {
            return false;
        };
        let next = self.stages.get(stage + 1).map(|next| &self.incr[places(next)][0].opened);
        matches!(next, Some(Opened::Framed(info)) if info.after_closed && info.generation == generation + 1)
    }

    /// The highest number of a generation.
    pub fn last_number(&self) -> u64 {
        let number = |found: &Found| match &found.opened {
            Opened::Framed(info) => info.generation,
            Opened::Blank | Opened::Plain => 0,
        };
        self.base.iter().chain(&self.incr).map(number).max().unwrap_or(0)
    }
}

/// Looks for the base of a manifest without one. A log begins with incremental file 1, with or without a base, and those before a
/// later first one went when a base came: it is lost then. Redis loads what is left in either case. A base that a rewrite has left, when
/// the power failed before the manifest that names it was on the disk, lies beside a log that still begins with 1, and has all.
fn missing_base(dir: &Path, manifest: &Manifest) -> Result<Option<String>> {
    if manifest.base().is_some() {
        return Ok(None);
    }
    let append = manifest.append();
    let temporary = inode(&dir.join(format!("{TEMPORARY}{append}.base")));
    let in_vain = |name: &str| temporary.is_some() && inode(&dir.join(name)) == temporary;
    let mut bases = list(dir)?;
    bases.retain(|name| is_ours(name, append) == Some(Named::Base) && !in_vain(name));
    bases.retain(|name| manifest.history().iter().all(|member| member.name != *name));
    bases.sort();
    let path = dir.join(Manifest::file_name(append));
    let path = path.display();
    let begins = match manifest.incr().first() {
        Some(first) if first.seq == 1 => {
            let told = |name: &String| {
                format!(
                    "{path} names no base, but {name} lies beside it: nothing of that is loaded. If the log rests on it, stop, and name \
                     it: 'file {name} seq N type b'"
                )
            };
            return Ok(bases.last().map(told));
        }
        Some(first) => format!("begins with {}", first.name),
        None => "names no other file".into(),
    };
    match bases.last() {
        None if manifest.incr().is_empty() => Ok(None),
        None => Ok(Some(format!("{path} names no base, and {begins}: what came before that is not loaded"))),
        Some(name) => Err(format!(
            "{path} names no base, and {begins}, but {name} lies beside it: restore the line 'file {name} seq N type b', or move that file \
             away to load the log without it"
        )),
    }
}

/// What a file is whatever its name.
pub(super) fn inode(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|about| (about.dev(), about.ino()))
}

/// What is said of a file that another one, which follows it, says is closed.
pub(super) fn unclosed(found: &Found) -> String {
    format!(
        "{}: its end is missing, at byte {} or behind: the frame that closes it is not there, and files that were written later follow; \
         {RESTORE}",
        found.path.display(),
        found.len
    )
}

const RESTORE: &str = "restore the files that the manifest names from a backup";

/// The places of a stage's files in the manifest.
pub(super) fn places(stage: &Stage) -> std::ops::Range<usize> {
    match *stage {
        Stage::Generation { first, shards, .. } => first..first + shards,
        Stage::Alone { file, .. } | Stage::Plain { file } => file..file + 1,
    }
}

impl Found {
    /// Its name, without the path.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Looks at a file.
    pub fn of(path: &Path) -> Result<Found> {
        let name = path.display();
        let about = match path.metadata() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(format!("{name}: the file is missing, though the manifest names it; {RESTORE}"));
            }
            about => about.map_err(files::failed("look at", path))?,
        };
        if !about.is_file() {
            return Err(format!("{name} is no file, though the manifest names it"));
        }
        let head = files::read_start(path, HEAD)?;
        let content = content(&head[..head.len().min(LOOK)]);
        let opened = match content {
            Content::Blank => Opened::Blank,
            Content::Plain | Content::Rdb => Opened::Plain,
            Content::Framed => {
                let mut scan = Scan::new(PAYLOAD_MAX);
                scan.push(&head);
                let _ = scan.next_frame();
                let info = scan.info().cloned();
                Opened::Framed(info.ok_or(format!("{name}: its first frame is damaged; {RESTORE}"))?)
            }
            Content::Unknown => {
                return Err(format!(
                    "{name} was written by a later version of kring, which this one cannot read"
                ));
            }
        };
        Ok(Found { path: path.to_path_buf(), len: about.len(), content, opened })
    }
}

/// How the dataset of a log begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Start {
    /// A manifest tells.
    Manifest(Manifest),
    /// The one file of a release before Redis 7 is there: it becomes the base, with this manifest.
    Upgrade(Manifest),
    /// There is no log, but a snapshot.
    Snapshot(PathBuf),
    Empty,
}

/// How it begins; `snapshot` is one that exists.
pub(super) fn start(place: &LogPlace, snapshot: Option<&Path>) -> Result<Start> {
    let path = place.manifest();
    let old = place.old_file();
    let has_old = old.is_file();
    if let Some(text) = files::read(&path)? {
        let manifest = Manifest::parse(&place.filename, &text)
            .map_err(|e| format!("{}: {e}; restore the manifest from a backup", path.display()))?;
        // A move of the old file that was cut short.
        let moved_half = has_old
            && manifest.incr().is_empty()
            && manifest.base().is_some_and(|b| b.name == place.filename && !place.file(&b.name).exists());
        return Ok(if moved_half { Start::Upgrade(manifest) } else { Start::Manifest(manifest) });
    }
    if let Some(name) = orphan(place)? {
        return Err(format!(
            "{} is missing, but {} lies beside it: restore the manifest from a backup, or move the files away",
            path.display(),
            place.file(&name).display()
        ));
    }
    if has_old {
        return Ok(Start::Upgrade(Manifest::of_single_file(&place.filename)));
    }
    Ok(snapshot.map_or(Start::Empty, |path| Start::Snapshot(path.to_path_buf())))
}

/// A file of a log in a directory without a manifest. One that was made and never written on is none.
fn orphan(place: &LogPlace) -> Result<Option<String>> {
    let mut names: Vec<String> = list(&place.path())?;
    names.retain(|name| is_ours(name, &place.filename).is_some() && !is_leftover(&place.file(name)));
    names.sort();
    Ok(names.into_iter().next())
}

/// The names in a directory; none when there is no directory.
pub(super) fn list(dir: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(files::failed("list", dir))?,
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// What a file is by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Named {
    Base,
    Incr,
}

/// Whether a name is one that we would give: `<filename>.<number>.base.rdb|aof` or `<filename>.<number>.incr.aof`.
pub(super) fn is_ours(name: &str, filename: &str) -> Option<Named> {
    let rest = name.strip_prefix(filename)?.strip_prefix('.')?;
    let (number, kind) = rest.split_once('.')?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match kind {
        "base.rdb" | "base.aof" => Some(Named::Base),
        "incr.aof" => Some(Named::Incr),
        _ => None,
    }
}

/// Whether a file holds the frame that opens it, all of it or torn, and nothing else: made for a generation whose manifest was never
/// written.
pub(super) fn is_leftover(path: &Path) -> bool {
    let Some(bytes) = all_of_short(path) else { return false };
    if content(&bytes) == Content::Blank {
        return true;
    }
    let mut scan = scan_of(&bytes);
    while scan.next_frame().is_some() {}
    let torn = matches!(scan.tail(), Some(Tail::Torn(Tear { why: Why::Short, later: None, .. })));
    content(&bytes) == Content::Framed
        && match scan.info() {
            Some(info) => scan.frames() == 1 && !info.alone,
            None => torn,
        }
}

/// Whether a file stands alone and has an operation on the whole keyspace and no data, of a generation behind `last`: its turn was
/// never listed, so it has never been.
pub(super) fn is_void_operation(path: &Path, last: u64) -> bool {
    let Some(bytes) = all_of_short(path) else { return false };
    let mut scan = scan_of(&bytes);
    let mut void = true;
    while let Some(frame) = scan.next_frame() {
        let mut commands = Commands::new(i64::MAX);
        loop {
            match commands.next(frame.payload) {
                Ok(None) => break,
                Ok(Some(Item::Command(args))) => {
                    void &= VOID.iter().any(|name| args.at(0).eq_ignore_ascii_case(name.as_bytes()));
                }
                Ok(Some(Item::Time(_))) => {}
                Err(_) => return false,
            }
        }
    }
    let behind = scan.info().is_some_and(|info| info.alone && info.generation > last);
    void && behind && scan.frames() - u64::from(scan.is_closed()) > 1 && scan.tail() == Some(&Tail::Clean)
}

/// Commands that bring no data.
const VOID: [&str; 4] = ["SELECT", "FLUSHALL", "FLUSHDB", "SWAPDB"];

/// The bytes of a file that is not longer than one without data.
fn all_of_short(path: &Path) -> Option<Vec<u8>> {
    let len = path.metadata().map_or(u64::MAX, |about| about.len());
    if len > LOOK as u64 { None } else { files::read_start(path, LOOK).ok() }
}

fn scan_of(bytes: &[u8]) -> Scan {
    let mut scan = Scan::new(PAYLOAD_MAX);
    scan.push(bytes);
    scan.finish();
    scan
}
