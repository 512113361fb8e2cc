//! The few things that are done to files of the log's directory, each whole and durable when it returns.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

type Result<T> = std::result::Result<T, String>;

/// What failed, with the name of the file.
pub(super) fn failed<'a>(what: &'a str, path: &'a Path) -> impl FnOnce(std::io::Error) -> String + 'a {
    move |error| format!("cannot {what} {}: {error}", path.display())
}

/// Makes names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir).and_then(|d| d.sync_all()).map_err(failed("sync the directory", dir))
}

/// Makes a directory if it is absent.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    match std::fs::create_dir(dir) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        made => {
            made.map_err(failed("make the directory", dir))?;
            sync_dir(dir.parent().unwrap_or(Path::new(".")))
        }
    }
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
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!("temp-{name}"));
    let mut file = File::create(&temporary).map_err(failed("create", &temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", &temporary))?;
    rename(&temporary, path)
}

/// Gives a file another name, durably. A file of that name is replaced.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(failed("rename", from))?;
    let dir = to.parent().unwrap_or(Path::new("."));
    sync_dir(dir)?;
    match from.parent() {
        Some(other) if other != dir => sync_dir(other),
        _ => Ok(()),
    }
}

/// Removes a file; one that is absent is fine.
pub(super) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("remove", path)(e)),
        _ => Ok(()),
    }
}

/// A new file with these bytes, to be written on; around the page cache, when the file system lets us. Its name is not durable yet.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(File, bool)> {
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = written.map_err(failed("create", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", path))?;
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

/// Cuts a file off, durably.
pub(super) fn cut(path: &Path, len: u64) -> Result<()> {
    let file = OpenOptions::new().write(true).open(path).map_err(failed("open", path))?;
    file.set_len(len).and_then(|()| file.sync_all()).map_err(failed("cut off", path))
}
