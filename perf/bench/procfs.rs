//! CPU time and resident memory of a process, from its CPU clock and /proc.

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use std::fs;
use std::io;

/// CPU time used up to now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// All threads, in ns by the scheduler's own account; up to a tick (4 ms) behind for a thread that is running.
    pub total_ns: u64,
    /// The split, in clock ticks (10 ms): good to a percent after a few seconds.
    pub user_ticks: u64,
    pub system_ticks: u64,
}

impl Cpu {
    /// Reads it for a process.
    pub fn of(pid: u32) -> io::Result<Cpu> {
        let time = clock_getcpuclockid(Pid::from_raw(pid as i32))?.now()?;
        let total_ns = time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (user_ticks, system_ticks) = ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Cpu { total_ns, user_ticks, system_ticks })
    }

    /// What was used since `earlier`: total, user and system seconds. The ticks only split the total.
    pub fn since(&self, earlier: &Cpu) -> (f64, f64, f64) {
        let total = self.total_ns.saturating_sub(earlier.total_ns) as f64 / 1e9;
        let user = self.user_ticks.saturating_sub(earlier.user_ticks) as f64;
        let system = self.system_ticks.saturating_sub(earlier.system_ticks) as f64;
        let share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
        (total, total * share, total * (1.0 - share))
    }
}

/// utime and stime: fields 14 and 15, counted after the name, which may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Resident memory in KiB.
pub fn rss_kib(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or(io::ErrorKind::InvalidData)?;
    let kib = line.split_ascii_whitespace().next().and_then(|n| n.parse().ok());
    kib.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_process() {
        let me = std::process::id();
        let before = Cpu::of(me).unwrap();
        let mut x = 1u64;
        let started = std::time::Instant::now();
        while started.elapsed().as_millis() < 30 {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let (total, user, system) = Cpu::of(me).unwrap().since(&before);
        assert!(total > 0.005 && (user + system - total).abs() < 1e-9, "{total} {user} {system}");
        assert!(rss_kib(me).unwrap() > 500);
        assert_eq!(ticks("1 (a ) b) S 1 2 3 4 5 6 7 8 9 10 77 88 0"), Some((77, 88)));
    }
}
