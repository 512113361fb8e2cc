//! How commits get to the disk for good under `appendfsync always`: a shard measures both ways on its own log, and keeps the faster.
//!
//! | way | what | good | bad |
//! |---|---|---|---|
//! | *dsync* | every write is durable by itself | one trip, several under way | without FUA the kernel ends it in a worker that is bound to the core of the drive's interrupt; when a shard, or anything else, keeps that core busy, it waits for a time slice, milliseconds |
//! | *fdatasync* | a plain write, then a sync that covers all writes that were complete before it | the sync's thread runs on whatever core is free; one for many writes | two trips |
//!
//! Which is faster depends on the drive, on the cores, on the clients and on what else runs, so it changes while the server runs, and
//! what blocking calls take at start does not tell it: there the caller itself ends the write. Hence trials, of commits that are
//! made anyway:
//!
//! ```text
//!  the kept way: TRIAL commits measured ─ time for a trial ─> the other way: SETTLE commits pass, TRIAL are measured, fewer if they are
//!     ^                                                       slow
//!     └─ clearly faster: it is kept, and confirmed soon; else back to the kept one, and the next trial is PATIENCE times as far away ─┘
//! ```
//! Measured, ext4 on a virtual drive without FUA, other work on both cores, server and client at real-time priority: 1 connection 0.3 k
//! SET/s by dsync, 4.7 k by fdatasync; 10 connections 9 k and 28 k; 50 connections 33 k and 76 k. At rest, without other work, 10
//! connections had 50 to 63 k by dsync.
//!
//! Cost: two numbers a commit. A trial that fails costs at most what [`TRIAL`] commits take twice, once in [`PAUSE_MOST_US`].

/// Commits that are measured before ways are compared.
const TRIAL: u64 = 32;
/// Commits that pass before: they were under way when the way changed, or stood behind such.
const SETTLE: u64 = 3;
/// How long a way is kept before the first trial, and at most; each trial in vain makes it so many times as long.
const PAUSE_US: u64 = 250_000;
const PAUSE_MOST_US: u64 = 60_000_000;
const PATIENCE: u64 = 4;
/// When commits take twice as long as they did at the last trial, the next one comes after so long.
const WORSE_US: u64 = 1_000_000;

/// How a commit gets to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Way {
    #[default]
    Dsync,
    Fdatasync,
}

impl Way {
    fn other(self) -> Way {
        match self {
            Way::Dsync => Way::Fdatasync,
            Way::Fdatasync => Way::Dsync,
        }
    }

    /// As `log-commit` has it.
    pub fn name(self) -> &'static str {
        match self {
            Way::Dsync => "dsync",
            Way::Fdatasync => "fdatasync",
        }
    }
}

/// What a comparison has led to, in microseconds a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Verdict {
    pub way: Way,
    pub us: u64,
    /// What the other way took.
    pub other_us: u64,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Commits {
    kept: Way,
    /// The other way is on trial; what the kept one took, in all.
    trial: Option<u64>,
    settle: u64,
    count: u64,
    sum_us: u64,
    /// The commit that is measured: its position, and when it began.
    sample: Option<(u64, u64)>,
    /// What the kept way took when it was compared last, in all.
    compared_us: u64,
    /// When that was; none: never.
    last_us: Option<u64>,
    pause_us: u64,
    /// What a commit took lately.
    lately_us: u64,
}

impl Commits {
    /// How the next commit is made; `log-commit` says what is up to us.
    pub fn way(&mut self, knob: &str) -> Way {
        let fixed = match knob {
            "dsync" => Way::Dsync,
            "fdatasync" => Way::Fdatasync,
            _ if self.trial.is_some() => return self.kept.other(),
            _ => return self.kept,
        };
        if self.kept != fixed || self.trial.is_some() {
            *self = Commits { kept: fixed, settle: SETTLE, ..Commits::default() };
        }
        fixed
    }

    /// What a commit took lately, in microseconds.
    pub fn lately_us(&self) -> u64 {
        self.lately_us
    }

    /// Whether both ways have been compared.
    pub fn is_compared(&self) -> bool {
        self.last_us.is_some()
    }

    /// What was under way is not measured: the log goes on elsewhere.
    pub fn forget(&mut self) {
        self.sample = None;
    }

    /// A commit is on its way.
    pub fn begun(&mut self, position: u64, now_us: u64) {
        self.sample.get_or_insert((position, now_us));
    }

    /// All up to here is on the disk. Whether that ends a comparison; there are some only if both ways may be taken.
    pub fn lasts(&mut self, position: u64, now_us: u64, both: bool) -> Option<Verdict> {
        let (_, began_us) = self.sample.take_if(|(sample, _)| *sample <= position)?;
        if self.settle > 0 {
            self.settle -= 1;
            return None;
        }
        self.count += 1;
        self.sum_us += now_us.saturating_sub(began_us);
        if let Some(kept_us) = self.trial {
            let is_over = self.count == TRIAL || self.sum_us > 2 * kept_us;
            return is_over.then(|| self.judge(kept_us, now_us));
        }
        if self.count == TRIAL {
            self.lately_us = self.sum_us / TRIAL;
            if both && self.is_due(now_us) {
                self.trial = Some(self.sum_us);
                self.settle = SETTLE;
            }
            (self.count, self.sum_us) = (0, 0);
        }
        None
    }

    /// Whether it is time to try the other way.
    fn is_due(&self, now_us: u64) -> bool {
        let Some(last_us) = self.last_us else { return true };
        let since_us = now_us.saturating_sub(last_us);
        since_us >= self.pause_us || since_us >= WORSE_US && self.sum_us > 2 * self.compared_us
    }

    fn judge(&mut self, kept_us: u64, now_us: u64) -> Verdict {
        // One that was stopped early is known by what it took so far.
        let (tried, kept) = (self.sum_us / self.count, kept_us / TRIAL);
        let wins = self.count == TRIAL && tried * 10 < kept * 9;
        self.pause_us = match self.last_us {
            Some(_) if !wins => (self.pause_us * PATIENCE).min(PAUSE_MOST_US),
            _ => PAUSE_US,
        };
        self.compared_us = if wins { self.sum_us } else { kept_us };
        if wins {
            self.kept = self.kept.other();
        }
        (self.trial, self.last_us) = (None, Some(now_us));
        (self.settle, self.count, self.sum_us) = (if wins { 0 } else { SETTLE }, 0, 0);
        let (us, other_us) = if wins { (tried, kept) } else { (kept, tried) };
        self.lately_us = us;
        Verdict { way: self.kept, us, other_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits, one after the other, until so much time has passed; how many were made each way.
    fn run(commits: &mut Commits, now_us: &mut u64, for_us: u64, takes: impl Fn(Way) -> u64) -> (u64, u64) {
        let (mut made, until) = ((0, 0), *now_us + for_us);
        let mut position = *now_us;
        while *now_us < until {
            let way = commits.way("auto");
            position += 1;
            commits.begun(position, *now_us);
            *now_us += takes(way);
            commits.lasts(position, *now_us, true);
            match way {
                Way::Dsync => made.0 += 1,
                Way::Fdatasync => made.1 += 1,
            }
        }
        made
    }

    #[test]
    fn the_faster_way_is_kept_and_the_other_one_is_tried_seldom() {
        for (dsync_us, fdatasync_us) in [(100, 200), (200, 100), (3_000, 150), (100, 105)] {
            let takes = |way| if way == Way::Dsync { dsync_us } else { fdatasync_us };
            let (mut commits, mut now_us) = (Commits::default(), 1);
            run(&mut commits, &mut now_us, 1_000_000, takes);
            let (dsync, fdatasync) = run(&mut commits, &mut now_us, 60_000_000, takes);
            let (most, least) =
                if dsync_us <= fdatasync_us { (dsync, fdatasync) } else { (fdatasync, dsync) };
            assert!(least <= 4 * (TRIAL + SETTLE) && most > 100 * least, "{dsync} {fdatasync}");
        }
    }

    #[test]
    fn what_becomes_slow_is_left_soon() {
        let (mut commits, mut now_us) = (Commits::default(), 1);
        run(&mut commits, &mut now_us, 100_000_000, |way| if way == Way::Dsync { 100 } else { 150 });
        assert_eq!(commits.way("auto"), Way::Dsync);
        run(&mut commits, &mut now_us, 2_000_000, |way| if way == Way::Dsync { 1_000 } else { 150 });
        assert_eq!(commits.way("auto"), Way::Fdatasync);
    }

    #[test]
    fn a_slow_trial_is_stopped() {
        let (mut commits, mut now_us) = (Commits::default(), 1);
        let takes = |way| if way == Way::Dsync { 100 } else { 50_000 };
        let (_, fdatasync) = run(&mut commits, &mut now_us, 240_000, takes);
        assert!(fdatasync <= SETTLE + 1, "{fdatasync}");
    }

    #[test]
    fn a_way_that_is_prescribed_is_taken_at_once() {
        let mut commits = Commits::default();
        for way in [Way::Fdatasync, Way::Dsync, Way::Fdatasync] {
            assert_eq!(commits.way(way.name()), way);
        }
        assert_eq!(commits.way("auto"), Way::Fdatasync, "it goes on from there");
        for position in 0..10 * TRIAL {
            commits.begun(position, 0);
            assert_eq!(commits.lasts(position, 7, false), None);
        }
        assert_eq!((commits.way("auto"), commits.lately_us()), (Way::Fdatasync, 7));
    }
}
