//! What the process knows of its append-only log. Each shard's line is written by that shard (`logged` by whoever holds its
//! store) and read by all.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// A shard's log. Positions count bytes of effects since the start of the process.
#[repr(align(128))]
#[derive(Default)]
pub struct ShardLog {
    /// Up to here effects have been logged.
    logged: AtomicU64,
    /// Up to here they are on the disk for good.
    durable: AtomicU64,
    /// The shard has replies that wait for other logs.
    waits: AtomicBool,
    /// It is so far behind that writes wait.
    behind: AtomicBool,
    /// Bytes of its files, padding included.
    pub file_bytes: AtomicU64,
    /// Up to here they are in a file.
    pub written: AtomicU64,
    /// `always`: commits are writes with a sync behind them, not durable writes.
    syncs_apart: AtomicBool,
    /// What a commit took lately; 0: not known.
    commit_us: AtomicU64,
}

/// Whether there is a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogState {
    Off,
    /// It was switched on, and its first base is being written: nothing is promised yet.
    Starting,
    On,
}

/// See the module's text.
pub struct LogBoard {
    shards: Vec<ShardLog>,
    state: AtomicU8,
    /// Why the last write or sync failed; 0: it did not.
    errno: AtomicI32,
    /// `appendfsync always`.
    always: AtomicBool,
    rewriting: AtomicBool,
    scheduled: AtomicBool,
    rewrite_failed: AtomicBool,
    rewrites: AtomicU64,
    failures_in_row: AtomicU64,
    began_secs: AtomicI64,
    took_secs: AtomicI64,
    /// Bytes of all files of the log when the process started or the last rewrite ended.
    base_bytes: AtomicU64,
    /// Bytes of files before the present generations'.
    earlier_bytes: AtomicU64,
    /// Generations since the last rewrite.
    generations: AtomicU32,
    delayed_syncs: AtomicU64,
    /// Bytes that were free where it lies when somebody looked last; 0: none, or nobody has looked.
    room: AtomicU64,
    /// Somebody looks.
    looking: AtomicBool,
}

impl LogBoard {
    /// The logs of so many shards, off.
    pub fn new(shards: usize) -> LogBoard {
        LogBoard {
            shards: (0..shards).map(|_| ShardLog::default()).collect(),
            state: AtomicU8::new(0),
            errno: AtomicI32::new(0),
            always: AtomicBool::new(false),
            rewriting: AtomicBool::new(false),
            scheduled: AtomicBool::new(false),
            rewrite_failed: AtomicBool::new(false),
            rewrites: AtomicU64::new(0),
            failures_in_row: AtomicU64::new(0),
            began_secs: AtomicI64::new(0),
            took_secs: AtomicI64::new(-1),
            base_bytes: AtomicU64::new(0),
            earlier_bytes: AtomicU64::new(0),
            generations: AtomicU32::new(0),
            delayed_syncs: AtomicU64::new(0),
            room: AtomicU64::new(0),
            looking: AtomicBool::new(false),
        }
    }

    /// A shard's line.
    #[inline]
    pub fn of(&self, shard: usize) -> &ShardLog {
        &self.shards[shard]
    }

    /// All lines.
    pub fn all(&self) -> &[ShardLog] {
        &self.shards
    }

    /// Bytes that are free where the log lies, as far as is known.
    pub fn room(&self) -> u64 {
        self.room.load(Ordering::Relaxed)
    }

    /// Somebody wants to look; false: somebody does.
    pub fn begin_look(&self) -> bool {
        !self.looking.swap(true, Ordering::Relaxed)
    }

    /// So much was free.
    pub fn end_look(&self, room: u64) {
        self.room.store(room, Ordering::Relaxed);
        self.looking.store(false, Ordering::Relaxed);
    }

    /// Whether there is a log.
    pub fn state(&self) -> LogState {
        match self.state.load(Ordering::Acquire) {
            0 => LogState::Off,
            1 => LogState::Starting,
            _ => LogState::On,
        }
    }

    /// See [`LogState`].
    pub fn set_state(&self, state: LogState) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Whether replies may not leave before what they saw is on the disk: `appendfsync always`, and there is a log. It holds from
    /// the moment that there is one.
    #[inline]
    pub fn is_strict(&self) -> bool {
        self.always.load(Ordering::Acquire) && self.state() == LogState::On
    }

    /// What `appendfsync` is.
    pub fn set_always(&self, always: bool) {
        if self.always.load(Ordering::Relaxed) != always {
            self.always.store(always, Ordering::Release);
        }
    }

    /// Why the log cannot be written; 0: it can, or there is none.
    #[inline]
    pub fn errno(&self) -> i32 {
        let errno = self.errno.load(Ordering::Acquire);
        // Of a log that has not begun yet nothing is promised, and of one that has ended nothing is left.
        if errno != 0 && self.state() != LogState::On { 0 } else { errno }
    }

    /// A write or a sync failed, or (0) all is well again.
    pub fn set_errno(&self, errno: i32) {
        self.errno.store(errno, Ordering::Release);
    }

    /// So many generations stand behind the base.
    pub fn set_generations(&self, generations: u32) {
        self.generations.store(generations, Ordering::Relaxed);
    }

    /// Another one has begun.
    pub fn note_generation(&self) {
        self.generations.fetch_add(1, Ordering::Relaxed);
    }

    /// Generations behind the base.
    pub fn generations(&self) -> u32 {
        self.generations.load(Ordering::Relaxed)
    }

    /// A rewrite begins.
    pub fn begin_rewrite(&self, now_secs: i64) {
        self.began_secs.store(now_secs, Ordering::Relaxed);
        self.rewriting.store(true, Ordering::Relaxed);
        self.scheduled.store(false, Ordering::Relaxed);
    }

    /// A rewrite is over.
    pub fn end_rewrite(&self, now_secs: i64, done: bool) {
        self.rewriting.store(false, Ordering::Relaxed);
        self.took_secs.store(now_secs - self.began_secs.load(Ordering::Relaxed), Ordering::Relaxed);
        self.rewrite_failed.store(!done, Ordering::Relaxed);
        if done {
            self.rewrites.fetch_add(1, Ordering::Relaxed);
            self.failures_in_row.store(0, Ordering::Relaxed);
        } else {
            self.failures_in_row.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a rewrite is under way, since when (Unix seconds).
    pub fn rewrite_now(&self) -> Option<i64> {
        self.rewriting.load(Ordering::Relaxed).then(|| self.began_secs.load(Ordering::Relaxed))
    }

    /// One is wanted when what is under way is over.
    pub fn schedule(&self, wanted: bool) {
        self.scheduled.store(wanted, Ordering::Relaxed);
    }

    /// Whether one is wanted.
    pub fn is_scheduled(&self) -> bool {
        self.scheduled.load(Ordering::Relaxed)
    }

    /// Rewrites that succeeded, those that failed since, whether the last failed, and how long it took in seconds (-1: none).
    pub fn rewrites(&self) -> (u64, u64, bool, i64) {
        (
            self.rewrites.load(Ordering::Relaxed),
            self.failures_in_row.load(Ordering::Relaxed),
            self.rewrite_failed.load(Ordering::Relaxed),
            self.took_secs.load(Ordering::Relaxed),
        )
    }

    /// A rewrite has ended, or the process begun: so many bytes are in files that nobody writes any more. What all have now is what
    /// they are compared with from then on.
    pub fn set_base_bytes(&self, bytes: u64) {
        self.earlier_bytes.store(bytes, Ordering::Relaxed);
        self.base_bytes.store(self.sizes().1, Ordering::Relaxed);
    }

    /// A generation has ended with so many bytes in its files.
    pub fn add_earlier(&self, bytes: u64) {
        self.earlier_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.shards.iter().for_each(|shard| shard.file_bytes.store(0, Ordering::Relaxed));
    }

    /// Bytes of all files at the last rewrite, and now.
    pub fn sizes(&self) -> (u64, u64) {
        let files: u64 = self.shards.iter().map(|shard| shard.file_bytes.load(Ordering::Relaxed)).sum();
        (self.base_bytes.load(Ordering::Relaxed), self.earlier_bytes.load(Ordering::Relaxed) + files)
    }

    /// Bytes that are not in a file yet, or on their way there.
    pub fn buffered(&self) -> u64 {
        self.shards.iter().map(|s| s.logged().saturating_sub(s.written.load(Ordering::Relaxed))).sum()
    }

    /// Whether writes wait until a log has caught up.
    #[inline]
    pub fn is_behind(&self) -> bool {
        self.shards.iter().any(|shard| shard.behind.load(Ordering::Relaxed))
    }

    /// How commits get to the disk, for INFO, and what one took lately where that was longest.
    pub fn commits(&self) -> (&'static str, u64) {
        let apart = self.shards.iter().filter(|shard| shard.syncs_apart.load(Ordering::Relaxed)).count();
        let way = match apart {
            0 => "dsync",
            all if all == self.shards.len() => "fdatasync",
            _ => "mixed",
        };
        let took_us = self.shards.iter().map(|shard| shard.commit_us.load(Ordering::Relaxed)).max();
        (way, took_us.unwrap_or(0))
    }

    /// A sync took longer than a second, or writes had to wait.
    pub fn note_delayed_sync(&self) {
        self.delayed_syncs.fetch_add(1, Ordering::Relaxed);
    }

    /// How often one did.
    pub fn delayed_syncs(&self) -> u64 {
        self.delayed_syncs.load(Ordering::Relaxed)
    }
}

impl ShardLog {
    /// Up to where effects have been logged.
    #[inline]
    pub fn logged(&self) -> u64 {
        self.logged.load(Ordering::Acquire)
    }

    /// Told by who puts the store back, before anybody can take it.
    #[inline]
    pub fn set_logged(&self, position: u64) {
        self.logged.store(position, Ordering::Release);
    }

    /// Up to where they are on the disk.
    #[inline]
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// Told by the owner.
    pub fn set_durable(&self, position: u64) {
        self.durable.store(position, Ordering::SeqCst);
    }

    /// How commits get to the disk, and what one took lately.
    pub fn set_commits(&self, syncs_apart: bool, took_us: u64) {
        self.syncs_apart.store(syncs_apart, Ordering::Relaxed);
        self.commit_us.store(took_us, Ordering::Relaxed);
    }

    /// It is too far behind, or not any more. Whether that is new.
    pub fn set_behind(&self, behind: bool) -> bool {
        let new = self.behind.load(Ordering::Relaxed) != behind;
        if new {
            self.behind.store(behind, Ordering::Relaxed);
        }
        new
    }

    /// The shard has replies that wait for other logs, or has none any more.
    pub fn set_waits(&self, waits: bool) {
        if self.waits.load(Ordering::Relaxed) != waits {
            self.waits.store(waits, Ordering::SeqCst);
        }
    }

    /// Whether it has.
    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_strict_and_can_fail_from_the_moment_that_it_is_on() {
        let board = LogBoard::new(1);
        board.set_always(true);
        for (state, on) in [(LogState::Off, false), (LogState::Starting, false), (LogState::On, true)] {
            board.set_errno(28);
            board.set_state(state);
            assert_eq!((board.is_strict(), board.errno()), (on, if on { 28 } else { 0 }), "{state:?}");
        }
        board.set_always(false);
        assert!(!board.is_strict());
    }
}
