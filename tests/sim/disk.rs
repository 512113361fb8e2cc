//! The disk of the simulation: files in memory, of which every 4 KiB knows what is there for good and what may be there.
//!
//! ```text
//!  write ─ flying ─ lands, in any order, late ─┬─ durable: there for good
//!                                              ├─ else: there unless the power fails, until a sync that began later ends
//!                                              └─ failed: any part of it may be there, for ever
//!  image: what a crash leaves. Killed: all that landed, and any part of what flies. Power lost: of all that is not there for
//!         good any block, or any sector, or (cheap drives) any bytes at the head of one.
//! ```
//! It asserts what the log promises in return: whole blocks, no two writes under way at one place, nothing under way at the end.

use crate::rng::Rng;
use kring::persist::aof::{BLOCK, filler, pad};
use kring::ring::net::{FileId, FileWrite};
use std::rc::Rc;

/// What a drive writes as a whole.
const SECTOR: usize = 512;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

type Block = Rc<[u8; BLOCK]>;

/// What a crash does to a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    Killed,
    PowerLost,
    /// Only what is there for good stays: the least that any crash leaves.
    Worst,
}

/// A write to a block that is not there for good.
struct Version {
    block: Block,
    write: u64,
    landed: bool,
}

#[derive(Default)]
struct Place {
    lasts: Option<Block>,
    later: Vec<Version>,
}

struct Flying {
    write: FileWrite,
    number: u64,
    ripe: u64,
}

struct Syncing {
    covers: Vec<u64>,
    ripe: u64,
}

#[derive(Default)]
struct File {
    shard: usize,
    places: Vec<Place>,
    flying: Vec<Flying>,
    syncing: Option<Syncing>,
    /// Landed, and not synced.
    loose: Vec<u64>,
}

/// What has ended.
pub enum Landed {
    Written(FileWrite, Result<(), i32>),
    Synced(FileId, Result<(), i32>),
}

/// See the module's text.
pub struct Disk {
    files: Vec<File>,
    rng: Rng,
    /// For images, which change nothing of the run.
    fates: Rng,
    moment: u64,
    numbers: u64,
    /// How many moments something is under way at most.
    pub lag: usize,
    /// Per thousand writes and syncs: fail.
    pub faults: usize,
    blank: Block,
}

impl Disk {
    pub fn new(seed: u64, lag: usize, faults: usize) -> Disk {
        let mut blank = [0; BLOCK];
        filler(&mut blank);
        let (rng, fates) = (Rng::new(seed ^ 0xd15c), Rng::new(seed ^ 0xfa7e));
        Disk { files: vec![], rng, fates, moment: 0, numbers: 0, lag, faults, blank: Rc::new(blank) }
    }

    /// A moment passes.
    pub fn moment(&mut self) {
        self.moment += 1;
    }

    /// A file that has these bytes, for good.
    pub fn create(&mut self, shard: usize, bytes: &[u8]) -> FileId {
        let place = |chunk: &[u8; BLOCK]| Place { lasts: Some(Rc::new(*chunk)), later: vec![] };
        let (chunks, rest) = bytes.as_chunks::<BLOCK>();
        assert!(rest.is_empty(), "whole blocks");
        self.files.push(File { shard, places: chunks.iter().map(place).collect(), ..File::default() });
        FileId(self.files.len() as u32 - 1)
    }

    fn ripe_at(&mut self) -> u64 {
        self.moment + self.rng.below(self.lag + 1) as u64
    }

    pub fn write(&mut self, write: FileWrite) {
        let ripe = self.ripe_at();
        self.numbers += 1;
        let number = self.numbers;
        let file = &mut self.files[write.file.0 as usize];
        let (from, count) = (write.at as usize / BLOCK, write.pages.len() / BLOCK);
        assert!((write.at as usize).is_multiple_of(BLOCK) && count > 0, "a write of whole blocks: {write:?}");
        let end = |write: &FileWrite| write.at + write.pages.len() as u64;
        let meets = |other: &&Flying| other.write.at < end(&write) && write.at < end(&other.write);
        let other = file.flying.iter().find(meets);
        assert!(other.is_none(), "two writes under way at one place: {write:?}");
        file.places.resize_with(file.places.len().max(from + count), Place::default);
        for (place, page) in file.places[from..].iter_mut().zip(write.pages.iter()) {
            let block = if *page == *self.blank { self.blank.clone() } else { Rc::new(*page) };
            place.later.push(Version { block, write: number, landed: false });
        }
        file.flying.push(Flying { write, number, ripe });
    }

    pub fn sync(&mut self, file: FileId) {
        let ripe = self.ripe_at();
        let file = &mut self.files[file.0 as usize];
        assert!(file.syncing.is_none(), "two syncs under way");
        file.syncing = Some(Syncing { covers: std::mem::take(&mut file.loose), ripe });
    }

    pub fn close(&mut self, file: FileId) {
        let file = &self.files[file.0 as usize];
        assert!(file.flying.is_empty() && file.syncing.is_none(), "closed while something is under way");
    }

    /// Whether anything is under way.
    pub fn is_idle(&self) -> bool {
        self.files.iter().all(|file| file.flying.is_empty() && file.syncing.is_none())
    }

    /// Whether something of a shard may end now.
    pub fn is_ripe(&self, shard: usize) -> bool {
        let now = self.moment;
        let ripe = |file: &File| {
            file.flying.iter().any(|f| f.ripe <= now) || file.syncing.as_ref().is_some_and(|s| s.ripe <= now)
        };
        self.files.iter().any(|file| file.shard == shard && ripe(file))
    }

    /// Something of a shard ends, one of what may.
    pub fn land(&mut self, shard: usize) -> Landed {
        let now = self.moment;
        let mut ripe: Vec<(usize, Option<usize>)> = Vec::new();
        for (at, file) in self.files.iter().enumerate().filter(|(_, file)| file.shard == shard) {
            let flying = file.flying.iter().enumerate().filter(|(_, f)| f.ripe <= now);
            ripe.extend(flying.map(|(i, _)| (at, Some(i))));
            ripe.extend(file.syncing.iter().filter(|s| s.ripe <= now).map(|_| (at, None)));
        }
        let (at, flying) = self.rng.pick(&ripe);
        let result = if self.rng.permille(self.faults) { Err(self.rng.pick(&[EIO, ENOSPC])) } else { Ok(()) };
        let file = &mut self.files[at];
        match flying {
            Some(i) => {
                let Flying { write, number, .. } = file.flying.swap_remove(i);
                if result.is_ok() {
                    file.landed(&write, number);
                }
                Landed::Written(write, result)
            }
            None => {
                let Syncing { covers, .. } = file.syncing.take().expect("ripe");
                file.synced(&covers, result.is_ok());
                Landed::Synced(FileId(at as u32), result)
            }
        }
    }

    /// The storage plane cuts a file that nobody writes any more, and syncs it.
    pub fn cut(&mut self, file: FileId, end: u64) {
        self.close(file);
        let file = &mut self.files[file.0 as usize];
        for place in &mut file.places {
            let last = place.later.drain(..).rfind(|version| version.landed);
            place.lasts = last.map(|version| version.block).or(place.lasts.take());
        }
        file.places.truncate((end as usize).div_ceil(BLOCK));
    }

    /// The storage plane writes behind the end of such a file, and syncs it.
    pub fn append(&mut self, file: FileId, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        pad(&mut bytes);
        let place = |chunk: &[u8; BLOCK]| Place { lasts: Some(Rc::new(*chunk)), later: vec![] };
        self.files[file.0 as usize].places.extend(bytes.as_chunks::<BLOCK>().0.iter().map(place));
    }

    /// What a crash leaves of a file.
    pub fn image(&mut self, file: FileId, crash: Crash) -> Vec<u8> {
        let (file, rng, blank) = (&self.files[file.0 as usize], &mut self.fates, &self.blank);
        let is_blank = |place: &Place| {
            let blocks = place.later.iter().map(|v| &v.block).chain(&place.lasts);
            blocks.into_iter().all(|block| Rc::ptr_eq(block, blank))
        };
        // Of what is only filled ahead a little is enough.
        let used = file.places.iter().rposition(|place| !is_blank(place)).map_or(0, |at| at + 1);
        let mut image = Vec::new();
        let mut end = 0;
        let mood = rng.below(5);
        for place in &file.places[..file.places.len().min(used + 2)] {
            let from = image.len();
            image.resize(from + BLOCK, 0);
            let kept = place.fill(&mut image[from..], crash, mood, rng);
            end = if kept > 0 { from + kept } else { end };
        }
        image.truncate(end);
        image
    }
}

impl File {
    fn places_of(&mut self, write: &FileWrite) -> &mut [Place] {
        let from = write.at as usize / BLOCK;
        &mut self.places[from..from + write.pages.len() / BLOCK]
    }

    fn landed(&mut self, write: &FileWrite, number: u64) {
        for place in self.places_of(write) {
            let at =
                place.later.iter().position(|version| version.write == number).expect("it was under way");
            place.later[at].landed = true;
            if write.durable {
                place.lasts = place.later.drain(..=at).next_back().map(|version| version.block);
            }
        }
        if !write.durable {
            self.loose.push(number);
        }
    }

    fn synced(&mut self, covers: &[u64], done: bool) {
        for place in &mut self.places {
            let Some(at) = place.later.iter().rposition(|version| covers.contains(&version.write)) else {
                continue;
            };
            if done {
                place.lasts = place.later.drain(..=at).next_back().map(|version| version.block);
            } else {
                // No later sync tells what became of it.
                place.later.iter_mut().filter(|v| covers.contains(&v.write)).for_each(|v| v.landed = false);
            }
        }
    }
}

impl Place {
    /// What is left of a block: how many bytes of it the file has.
    fn fill(&self, out: &mut [u8], crash: Crash, mood: usize, rng: &mut Rng) -> usize {
        let mut kept = 0;
        if let Some(block) = &self.lasts {
            out.copy_from_slice(&block[..]);
            kept = BLOCK;
        }
        for version in &self.later {
            let stays = match crash {
                Crash::Worst => 0,
                Crash::Killed if version.landed => BLOCK,
                _ => match mood {
                    0 => 0,
                    1 => BLOCK,
                    _ => rng.pick(&[0, BLOCK, SECTOR]),
                },
            };
            if stays == BLOCK {
                out.copy_from_slice(&version.block[..]);
                kept = BLOCK;
            } else if stays == SECTOR {
                for (i, sector) in version.block.chunks(SECTOR).enumerate() {
                    let len = match rng.below(8) {
                        0..=3 => SECTOR,
                        4 if mood == 2 => rng.below(SECTOR),
                        _ => 0,
                    };
                    let at = i * SECTOR;
                    out[at..at + len].copy_from_slice(&sector[..len]);
                    kept = if len > 0 { kept.max(at + SECTOR) } else { kept };
                }
            }
        }
        kept
    }
}
