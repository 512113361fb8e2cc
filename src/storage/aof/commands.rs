//! An RDB file turned into one of commands, for those who want a base that is (`aof-use-rdb-preamble no`).
//!
//! A string becomes a SET; any other value a RESTORE of the bytes that it has in the snapshot, which every server takes that could
//! read the snapshot. Libraries of functions have no such command here: a snapshot with some stays what it is.

use super::dir::Note;
use super::files::{self, failed};
use crate::persist::aof::BaseForm;
use crate::persist::dump;
use crate::persist::rdb::{Entry, Item, Reader};
use crate::persist::rdb_string::decode_string;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

/// Bytes read at a time.
const PIECE: usize = 1 << 20;
/// The type of a string.
const STRING: u8 = 0;

/// Turns a file into one of commands, in its place; what it is afterwards.
pub(super) fn convert(path: &Path, notes: &mut Vec<Note>) -> Result<BaseForm, String> {
    let temporary = path.with_extension("commands");
    let done = write(path, &temporary);
    match done {
        Ok(true) => {
            files::rename(&temporary, path)?;
            Ok(BaseForm::Aof)
        }
        Ok(false) => {
            files::remove(&temporary)?;
            let text = "The base of the log stays an RDB file: it has libraries of functions";
            notes.push(Note::warn(text));
            Ok(BaseForm::Rdb)
        }
        Err(why) => {
            // The next one overwrites it.
            drop(files::remove(&temporary));
            Err(why)
        }
    }
}

/// Writes a file's commands into another, durably; false when it has what no command makes.
fn write(from: &Path, to: &Path) -> Result<bool, String> {
    let mut file = File::open(from).map_err(failed("open", from))?;
    let mut out = BufWriter::with_capacity(PIECE, File::create(to).map_err(failed("create", to))?);
    let (mut reader, mut piece) = (Reader::new(false), vec![0; PIECE]);
    let mut db = 0;
    loop {
        let got = file.read(&mut piece).map_err(failed("read", from))?;
        reader.push(&piece[..got]);
        if got == 0 {
            reader.finish();
        }
        while let Some(item) = reader.next_item().map_err(|e| format!("{}: {e}", from.display()))? {
            match item {
                Item::Library(_) => return Ok(false),
                Item::End => {
                    let file = out.into_inner().map_err(|e| failed("write", to)(e.into_error()))?;
                    return file.sync_all().map(|()| true).map_err(failed("sync", to));
                }
                Item::Entry(entry) => {
                    let bytes = entry_commands(&entry, &mut db)
                        .ok_or_else(|| format!("{}: a value is damaged", from.display()))?;
                    out.write_all(&bytes).map_err(failed("write", to))?;
                }
                Item::Version(_) | Item::Aux { .. } | Item::Sizes { .. } => {}
            }
        }
    }
}

/// The commands that make an entry, when `db` is selected.
pub(super) fn entry_commands(entry: &Entry<'_>, db: &mut u64) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut of = |words: &[&[u8]]| command(&mut out, words.iter().copied());
    if std::mem::replace(db, entry.db) != entry.db {
        of(&[b"SELECT", entry.db.to_string().as_bytes()]);
    }
    let expire_at = entry.expire_at.map(|at| at.to_string());
    if entry.kind == STRING {
        let text = decode_string(&mut &*entry.value).ok()?.into_bytes();
        match &expire_at {
            None => of(&[b"SET", &entry.key, &text]),
            Some(at) => of(&[b"SET", &entry.key, &text, b"PXAT", at.as_bytes()]),
        }
        return Some(out);
    }
    let payload = dump::payload(entry.kind, entry.value);
    match &expire_at {
        None => of(&[b"RESTORE", &entry.key, b"0", &payload]),
        Some(at) => of(&[b"RESTORE", &entry.key, at.as_bytes(), &payload, b"ABSTTL"]),
    }
    Some(out)
}

/// Appends a command.
pub(super) fn command<'a>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'a [u8]>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}
