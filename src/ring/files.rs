//! Log files: written page by page around the page cache, several writes at once.
//!
//! A write that the kernel takes in part goes on where it stopped; one that gets nowhere has failed. Nothing is tried again
//! by itself: what a failed write has left on the disk is for the core to judge.

use super::net::{Event, FileId, FileWrite};
use super::ops::{self, Done};
use super::ring::Ring;
use crate::base::direct::PAGE;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};

/// So many fit into a completion's tag.
const NUMBERS: u32 = 1 << 24;

/// Files that are open, and what is under way on them.
#[derive(Default)]
pub(super) struct Files {
    files: HashMap<u32, OwnedFd>,
    /// Numbers are not used twice: what is under way on a file that was given up must not be taken for another's.
    next: u32,
    /// Writes under way, by slot, with the bytes that are written. Slots are reused.
    writes: Vec<Option<(FileWrite, usize)>>,
    syncs: usize,
}

impl Files {
    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.syncs == 0 && self.writes.iter().all(Option::is_none)
    }

    fn fd(&self, file: FileId) -> i32 {
        self.files.get(&file.0).map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl Ring {
    /// Takes a file that was opened for writing; the driver gives the number to the core.
    pub fn add_file(&mut self, fd: OwnedFd) -> FileId {
        let files = &mut self.files;
        let number = files.next;
        files.next = (files.next + 1) % NUMBERS;
        files.files.insert(number, fd);
        FileId(number)
    }

    pub(super) fn forget_file(&mut self, file: FileId) {
        // Closing may wait for the disk, but there is nothing left to write.
        self.files.files.remove(&file.0);
    }

    pub(super) fn start_write(&mut self, write: FileWrite) {
        let writes = &mut self.files.writes;
        let slot = writes.iter().position(Option::is_none).unwrap_or(writes.len());
        if slot == writes.len() {
            writes.push(None);
        }
        writes[slot] = Some((write, 0));
        self.push_write(slot);
    }

    fn push_write(&mut self, slot: usize) {
        let Some((write, done)) = &self.files.writes[slot] else { return };
        let fd = self.files.fd(write.file);
        let from = write.pages.as_ptr().wrapping_add(*done);
        let entry =
            ops::write(fd, slot, write.at + *done as u64, from, write.pages.len() - done, write.durable);
        self.push(entry);
    }

    pub(super) fn on_write(&mut self, done: Done) -> Option<Event> {
        let slot = done.index();
        let (write, written) = self.files.writes.get_mut(slot)?.as_mut()?;
        *written += done.result.max(0) as usize;
        let rest = write.pages.len() - *written;
        let result = match -done.result {
            _ if rest == 0 => Ok(()),
            libc::EINTR | libc::EAGAIN => {
                self.push_write(slot);
                return None;
            }
            // Part of it: the rest tells why it stopped, if it goes on with a whole page.
            ..0 if written.is_multiple_of(PAGE) => {
                self.push_write(slot);
                return None;
            }
            ..=0 => Err(libc::ENOSPC),
            errno => Err(errno),
        };
        let (write, _) = self.files.writes[slot].take()?;
        Some(Event::Written { write, result })
    }

    pub(super) fn start_sync(&mut self, file: FileId) {
        self.files.syncs += 1;
        let entry = ops::sync(self.files.fd(file), file.0);
        self.push(entry);
    }

    pub(super) fn on_sync(&mut self, done: Done) -> Event {
        self.files.syncs -= 1;
        let result = if done.result < 0 { Err(-done.result) } else { Ok(()) };
        Event::Synced { file: FileId(done.index() as u32), result }
    }
}
