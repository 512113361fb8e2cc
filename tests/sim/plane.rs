//! The storage plane of the log: it ends generations, makes the next ones, and keeps the manifest, all in memory but by the
//! rules of the real one (`kring::storage::aof`). Each of its steps is whole: a real one is made so by a rename.
//!
//! ```text
//!  turn   cut the files where they end ─ make what stands alone, and the next files ─ list them (or draft them, until
//!         there is a base) ─ give each shard its file ─ when all have theirs, tell shard 0
//!  base   list it with all generations from its own on: the draft too
//! ```

use crate::disk::{Crash, Disk};
use crate::rng::Rng;
use kring::persist::aof::{Framer, pad};
use kring::ring::net::FileId;
use kring::shard::{LogStart, LogTurn, NewBase, Next};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// What shards ask for.
pub enum Ask {
    Turn(LogTurn),
    Base(NewBase),
}

/// What they hear.
pub enum Answer {
    Opened(LogStart),
    Made(Result<u64, String>),
    Based(Result<u64, String>),
}

/// A part of the log that replays as one.
#[derive(Clone)]
enum Stage {
    Alone(Vec<u8>),
    Generation(u64, Vec<FileId>),
}

/// What a crash leaves of the log.
pub struct Image {
    pub base: Option<Vec<u8>>,
    /// The files of each stage.
    pub stages: Vec<Vec<Vec<u8>>>,
}

/// See the module's text.
pub struct Plane {
    asked: Arc<Mutex<VecDeque<Ask>>>,
    disk: Rc<RefCell<Disk>>,
    direct: bool,
    base: Option<Vec<u8>>,
    listed: Vec<Stage>,
    draft: Vec<Stage>,
    /// A turn whose files are cut.
    half: Option<LogTurn>,
    /// The number of a generation whose files are being handed out.
    made: Option<u64>,
    pub answers: Vec<VecDeque<Answer>>,
    last_number: u64,
    rng: Rng,
    /// Generations that were begun, and bases listed.
    pub turns: u64,
    pub bases: u64,
}

impl Plane {
    pub fn new(
        asked: Arc<Mutex<VecDeque<Ask>>>,
        disk: Rc<RefCell<Disk>>,
        shards: usize,
        seed: u64,
        direct: bool,
    ) -> Plane {
        let mut plane = Plane {
            asked,
            disk,
            direct,
            base: None,
            listed: vec![],
            draft: vec![],
            half: None,
            made: None,
            answers: (0..shards).map(|_| VecDeque::new()).collect(),
            last_number: 0,
            rng: Rng::new(seed ^ 0x91a),
            turns: 0,
            bases: 0,
        };
        plane.next(None, false);
        plane.made = None;
        plane
    }

    pub fn is_idle(&self) -> bool {
        self.half.is_none()
            && self.made.is_none()
            && self.answers.iter().all(VecDeque::is_empty)
            && self.asked.lock().expect("one thread").is_empty()
    }

    /// Whether the files that are written now are in the manifest.
    pub fn is_listed(&self) -> bool {
        self.draft.is_empty()
    }

    /// The files that are written now, by shard.
    pub fn current(&self) -> &[FileId] {
        match self.draft.last().or(self.listed.last()) {
            Some(Stage::Generation(_, files)) => files,
            _ => &[],
        }
    }

    /// One step. `base`: the bytes of the base that was written last.
    pub fn work(&mut self, base: &mut Option<Vec<u8>>) {
        if self.made.is_some() && self.answers.iter().all(VecDeque::is_empty) {
            let number = self.made.take().expect("just seen");
            return self.answers[0].push_back(Answer::Made(Ok(number)));
        }
        if self.made.is_some() {
            return;
        }
        if let Some(turn) = self.half.take() {
            return self.turn(turn);
        }
        let asked = self.asked.lock().expect("one thread").pop_front();
        match asked {
            None => {}
            Some(Ask::Turn(turn)) => {
                let current = self.current().to_vec();
                assert_eq!(turn.ends.len(), current.len(), "every shard has come to the turn");
                for (file, end) in current.iter().zip(&turn.ends) {
                    if let Some(end) = end {
                        self.disk.borrow_mut().cut(*file, end.len);
                    }
                }
                // All are whole: then they are closed.
                if turn.ends.iter().all(Option::is_some) {
                    for (file, end) in current.iter().zip(turn.ends.iter().flatten()) {
                        self.disk.borrow_mut().append(*file, &end.closing);
                    }
                }
                self.half = Some(turn);
            }
            Some(Ask::Base(new)) => {
                let base = base.take().expect("a base that was written");
                self.new_base(&new, base);
            }
        }
    }

    fn turn(&mut self, turn: LogTurn) {
        let faults = self.disk.borrow().faults;
        if self.rng.permille(faults * 5) {
            return self.answers[0].push_back(Answer::Made(Err("the disk is full".into())));
        }
        match turn.next {
            Next::End => self.answers[0].push_back(Answer::Made(Ok(self.last_number))),
            Next::Listed => self.next(turn.whole.as_deref(), !self.draft.is_empty()),
            Next::Unlisted => self.next(turn.whole.as_deref(), true),
        }
    }

    fn next(&mut self, whole: Option<&[u8]>, drafts: bool) {
        let mut stages = Vec::new();
        if let Some(commands) = whole {
            self.last_number += 1;
            let mut framer = Framer::alone(self.rng.below(usize::MAX) as u64, self.last_number);
            let mut bytes = Vec::new();
            framer.begin_file(&mut bytes);
            framer.frame(&mut bytes, commands, None);
            stages.push(Stage::Alone(bytes));
        }
        self.last_number += 1;
        self.turns += 1;
        let (number, log_id) = (self.last_number, self.rng.below(usize::MAX) as u64);
        let shards = self.answers.len();
        let mut files = Vec::new();
        for shard in 0..shards {
            let mut framer = Framer::new(log_id, shard, number, shards);
            let mut bytes = Vec::new();
            framer.begin_file(&mut bytes);
            pad(&mut bytes);
            framer.set_durable(1);
            let file = self.disk.borrow_mut().create(shard, &bytes);
            files.push(file);
            let (framer, len) = (Box::new(framer), bytes.len() as u64);
            let start = LogStart { file, framer, len, direct: self.direct };
            self.answers[shard].push_back(Answer::Opened(start));
        }
        stages.push(Stage::Generation(number, files));
        if drafts {
            self.draft.extend(stages)
        } else {
            self.listed.extend(stages)
        }
        self.made = Some(number);
    }

    fn new_base(&mut self, new: &NewBase, base: Vec<u8>) {
        let all: Vec<Stage> = self.listed.iter().chain(&self.draft).cloned().collect();
        let from = new.from.expect("there is a log");
        let is_it = |stage: &Stage| matches!(stage, Stage::Generation(number, _) if *number == from);
        let at = all.iter().position(is_it).expect("the base belongs to a generation");
        (self.listed, self.draft) = (all[at..].to_vec(), vec![]);
        self.base = Some(base);
        self.bases += 1;
        self.answers[0].push_back(Answer::Based(Ok(0)));
    }

    /// What a crash leaves.
    pub fn image(&mut self, crash: Crash) -> Image {
        let mut disk = self.disk.borrow_mut();
        let files = |stage: &Stage| match stage {
            Stage::Alone(bytes) => vec![bytes.clone()],
            Stage::Generation(_, files) => files.iter().map(|file| disk.image(*file, crash)).collect(),
        };
        Image { base: self.base.clone(), stages: self.listed.iter().map(files).collect() }
    }
}
