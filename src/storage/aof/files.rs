//! The few things that are done to files of the log's directory, each whole and durable when it returns.
//!
//! A file that has got another name is a special case: when the name cannot be made durable, everybody sees the new one, and a
//! loss of power may bring back the old one. Who renames hears of it ([`Unnamed`]), since from then on both have to be right.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

type Result<T> = std::result::Result<T, String>;

/// Why a file has not got its name for good.
#[derive(Debug)]
pub(super) enum Unnamed {
    /// It has not got it at all.
    Not(String),
    /// It has it, but not durably.
    Unsynced(String),
}

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Unnamed::Not(why) | Unnamed::Unsynced(why)) = self;
        f.write_str(why)
    }
}

impl From<Unnamed> for String {
    fn from(unnamed: Unnamed) -> String {
        unnamed.to_string()
    }
}

/// Asks the system for something. All that changes files or brings them to the disk goes through here: tests have it fail.
fn ask<T>(_what: &'static str, call: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
    #[cfg(test)]
    faults::meet(_what)?;
    call()
}

/// What failed, with the name of the file.
pub(super) fn failed<'a>(what: &'a str, path: &'a Path) -> impl FnOnce(std::io::Error) -> String + 'a {
    move |error| format!("cannot {what} {}: {error}", path.display())
}

/// Makes names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let synced = File::open(dir).and_then(|d| ask("sync a directory", || d.sync_all()));
    synced.map_err(failed("sync the directory", dir))
}

/// Makes a directory if it is absent. Its name is durable: who made it before may have failed at that.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    match ask("make a directory", || std::fs::create_dir(dir)) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {}
        made => made.map_err(failed("make the directory", dir))?,
    }
    sync_dir(dir.parent().unwrap_or(Path::new(".")))
}

/// Claims a directory for this process, until it is dropped or the process ends, however that may be. `None`: there is no such
/// directory.
pub(super) fn claim(dir: &Path) -> Result<Option<File>> {
    let claim = match File::open(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed("open", dir))?,
    };
    match claim.try_lock() {
        Ok(()) => Ok(Some(claim)),
        Err(TryLockError::WouldBlock) => Err(format!(
            "{} is used by another server: stop it, or set another dir or appenddirname",
            dir.display()
        )),
        // A file system without locks: there is nobody to ask.
        Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => Ok(Some(claim)),
        Err(TryLockError::Error(e)) => Err(failed("lock", dir)(e)),
    }
}

/// A file's bytes; none when it is absent.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read", path)(e)),
    }
}

/// The first bytes of a file, at most so many.
pub(super) fn read_start(path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed("open", path))?;
    file.take(most as u64).read_to_end(&mut bytes).map_err(failed("read", path))?;
    Ok(bytes)
}

/// Replaces a small file whole or not at all. The name becomes durable.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::result::Result<(), Unnamed> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!("temp-{name}"));
    write(&temporary, bytes).map_err(Unnamed::Not)?;
    rename(&temporary, path)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = ask("create a file", || File::create(path)).map_err(failed("create", path))?;
    put(&mut file, bytes).map_err(failed("write", path))
}

/// Writes bytes, durably.
fn put(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    ask("write a file", || file.write_all(bytes))?;
    ask("sync a file", || file.sync_all())
}

/// Gives a file another name, durably. A file of that name is replaced.
pub(super) fn rename(from: &Path, to: &Path) -> std::result::Result<(), Unnamed> {
    let renamed = ask("rename a file", || std::fs::rename(from, to));
    renamed.map_err(failed("rename", from)).map_err(Unnamed::Not)?;
    let dir = to.parent().unwrap_or(Path::new("."));
    let synced = sync_dir(dir).and_then(|()| match from.parent() {
        Some(other) if other != dir => sync_dir(other),
        _ => Ok(()),
    });
    synced.map_err(Unnamed::Unsynced)
}

/// Gives a file a second name, durably, where the file system knows such; else another one.
pub(super) fn link(from: &Path, to: &Path) -> Result<()> {
    match ask("link a file", || std::fs::hard_link(from, to)) {
        Ok(()) => sync_dir(to.parent().unwrap_or(Path::new("."))),
        Err(_) => Ok(rename(from, to)?),
    }
}

/// Removes a file; one that is absent is fine. Whether it was there.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match ask("remove a file", || std::fs::remove_file(path)) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true).map_err(failed("remove", path)),
    }
}

/// A new file with these bytes, to be written on; around the page cache, when the file system lets us. Its name is not durable yet.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(File, bool)> {
    let created = ask("create a file", || OpenOptions::new().write(true).create_new(true).open(path));
    let mut file = created.map_err(failed("create", path))?;
    put(&mut file, bytes).map_err(failed("write", path))?;
    drop(file);
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.custom_flags(nix::libc::O_DIRECT).open(path) {
        Ok(file) => Ok((file, true)),
        Err(e) if e.kind() == ErrorKind::InvalidInput => {
            let file = OpenOptions::new().read(true).write(true).open(path);
            Ok((file.map_err(failed("open", path))?, false))
        }
        Err(e) => Err(failed("open", path)(e)),
    }
}

/// What is to be done at the end of a file: its path, and how many bytes it has or is to have.
pub(super) type End<'a> = (&'a Path, u64);

/// Writes at the ends of files, durably; when that fails all end there as before.
pub(super) fn append(ends: &[(End<'_>, &[u8])]) -> Result<()> {
    let change = |file: &File, len, bytes: &[u8]| ask("write a file", || file.write_all_at(bytes, len));
    let written = change_all("write", ends, change);
    if written.is_err() {
        // Durably as well: half a frame that a power loss brings back would be damage.
        ends.iter().for_each(|(end, _)| drop(cut(&[*end])));
    }
    written
}

/// Cuts files off, durably.
pub(super) fn cut(ends: &[End<'_>]) -> Result<()> {
    let ends: Vec<_> = ends.iter().map(|end| (*end, ())).collect();
    change_all("cut off", &ends, |file, len, ()| ask("cut a file", || file.set_len(len)))
}

/// Changes all, and then syncs all: what the file system does for the first sync, most of it is for the others too.
fn change_all<T: Copy>(
    what: &str,
    ends: &[(End<'_>, T)],
    change: impl Fn(&File, u64, T) -> std::io::Result<()>,
) -> Result<()> {
    let mut changed = Vec::with_capacity(ends.len());
    for ((path, len), how) in ends {
        let file = OpenOptions::new().write(true).open(path).map_err(failed("open", path))?;
        change(&file, *len, *how).map_err(failed(what, path))?;
        changed.push((path, file));
    }
    for (path, file) in changed {
        ask("sync a file", || file.sync_all()).map_err(failed(what, path))?;
    }
    Ok(())
}

/// Calls that fail, for tests: those of the thread that asks for it.
#[cfg(test)]
pub(super) mod faults {
    use std::cell::RefCell;
    use std::io::{Error, Result};

    const EIO: i32 = 5;

    #[derive(Default)]
    struct Plan {
        /// Calls that succeed before one fails; none: no call fails.
        left: Option<usize>,
        /// All that come after it fail too.
        lasting: bool,
        failed: Vec<&'static str>,
        /// All that were made.
        made: Vec<&'static str>,
    }

    thread_local! {
        static PLAN: RefCell<Plan> = RefCell::default();
    }

    /// The call after the next `left` fails, and, if it is `lasting`, all behind it.
    pub fn begin(left: usize, lasting: bool) {
        PLAN.set(Plan { left: Some(left), lasting, ..Plan::default() });
    }

    /// No call fails any more. What the calls that did were for.
    pub fn end() -> Vec<&'static str> {
        PLAN.take().failed
    }

    /// The calls that were made since it began.
    pub fn made() -> Vec<&'static str> {
        PLAN.with_borrow(|plan| plan.made.clone())
    }

    pub(super) fn meet(what: &'static str) -> Result<()> {
        PLAN.with_borrow_mut(|plan| {
            let Some(left) = &mut plan.left else { return Ok(()) };
            plan.made.push(what);
            if *left > 0 {
                *left -= 1;
                return Ok(());
            }
            plan.failed.push(what);
            if !plan.lasting {
                plan.left = None;
            }
            Err(Error::from_raw_os_error(EIO))
        })
    }
}
