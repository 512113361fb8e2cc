//! The log: one line an event, to the standard output or `logfile`, in the shape that Redis's log readers know.

use crate::config::LogLevel;
use nix::sys::time::TimeValLike;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where lines go. Only the control plane writes: no shard waits for a log.
pub(super) struct Log {
    to: Mutex<Option<File>>,
    /// The least rank of lines that are written ([`LogLevel::rank`]).
    rank: AtomicU8,
}

impl Log {
    /// A log to this file; the empty name is the standard output.
    pub fn open(path: &str, level: LogLevel) -> io::Result<Log> {
        let to = match path {
            "" => None,
            path => Some(OpenOptions::new().create(true).append(true).open(path)?),
        };
        Ok(Log { to: Mutex::new(to), rank: AtomicU8::new(level.rank()) })
    }

    /// Follows CONFIG SET loglevel: the rank that a shard has left there, if any has.
    pub fn keep_level(&self, asked: &AtomicU8) {
        let rank = asked.load(Ordering::Relaxed);
        if rank != u8::MAX {
            self.rank.store(rank, Ordering::Relaxed);
        }
    }

    /// Worth knowing in production.
    pub fn notice(&self, text: &str) {
        self.line(LogLevel::Notice, '*', text);
    }

    /// Something to act upon.
    pub fn warning(&self, text: &str) {
        self.line(LogLevel::Warning, '#', text);
    }

    fn line(&self, level: LogLevel, mark: char, text: &str) {
        if level.rank() < self.rank.load(Ordering::Relaxed) {
            return;
        }
        let line = format!("{}:M {} {mark} {text}\n", std::process::id(), timestamp());
        let mut to = self.to.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // There is nowhere to report a log that cannot be written.
        let _ = match &mut *to {
            Some(file) => file.write_all(line.as_bytes()),
            None => io::stdout().write_all(line.as_bytes()),
        };
    }
}

/// `20 Nov 2026 12:00:00.123`, in UTC.
fn timestamp() -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let now =
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).map_or(0, |t| t.num_milliseconds());
    let (secs, ms) = (now / 1_000, now % 1_000);
    let (year, month, day) = civil(secs / 86_400);
    let (h, m, s) = (secs / 3_600 % 24, secs / 60 % 60, secs % 60);
    format!("{day:02} {} {year} {h:02}:{m:02}:{s:02}.{ms:03}", MONTHS[month as usize - 1])
}

/// Year, month and day of a day since 1970-01-01 (Hinnant's days-to-civil algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + (month <= 2) as i64, month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_777), (2026, 11, 20));
    }
}
