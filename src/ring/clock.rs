//! Time: the wall clock and the monotonic clock (vDSO calls, about 20 ns), and ticks, for measuring what is shorter
//! than reading a clock (about 8 ns on x86-64).
//!
//! Ticks are the processor's time-stamp counter where it is invariant: one rate, whatever the frequency, in step across
//! cores. Elsewhere they are the nanoseconds of the monotonic clock.

use crate::base::time::Now;
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// How long calibration watches the counter: a read takes some 30 ns at each end, so the rate is good to about 10^-5.
const CALIBRATION: Duration = Duration::from_millis(5);

/// Reads the time. Calibrated once, then copied to every thread.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds per tick, times 2^32; 0 where ticks are nanoseconds.
    ns_per_tick: u64,
}

impl Clock {
    /// Measures the counter's rate; takes about 5 ms.
    pub fn calibrate() -> Clock {
        if !counter_is_invariant() {
            return Clock { ns_per_tick: 0 };
        }
        let (start_ns, start) = (read(ClockId::CLOCK_MONOTONIC), counter());
        std::thread::sleep(CALIBRATION);
        let (end_ns, end) = (read(ClockId::CLOCK_MONOTONIC), counter());
        let ticks = u128::from(end.saturating_sub(start)).max(1);
        Clock { ns_per_tick: ((u128::from(end_ns - start_ns) << 32) / ticks) as u64 }
    }

    /// Both clocks, once per turn of a shard's loop.
    pub fn now(&self) -> Now {
        Now { wall_us: self.wall_us() as i64, mono_us: self.mono_ns() / 1_000 }
    }

    /// Microseconds since 1970.
    pub fn wall_us(&self) -> u64 {
        read(ClockId::CLOCK_REALTIME) / 1_000
    }

    /// Milliseconds since 1970.
    pub fn wall_ms(&self) -> u64 {
        read(ClockId::CLOCK_REALTIME) / 1_000_000
    }

    /// Nanoseconds since some moment before the process; never goes back.
    pub fn mono_ns(&self) -> u64 {
        read(ClockId::CLOCK_MONOTONIC)
    }

    /// A cheap counter; only differences mean something.
    #[inline]
    pub fn ticks(&self) -> u64 {
        if self.ns_per_tick == 0 {
            return read(ClockId::CLOCK_MONOTONIC);
        }
        counter()
    }

    /// The counter as nanoseconds since some moment; the same on all cores.
    #[inline]
    pub fn ticks_ns(&self) -> u64 {
        self.ticks_to_ns(self.ticks())
    }

    /// CPU time of this thread so far, in the program and in the kernel, in microseconds.
    pub fn cpu_us(&self) -> (u64, u64) {
        cpu_us()
    }

    /// Stands still for so long: DEBUG SLEEP.
    pub fn stand_still(&self, us: u64) {
        std::thread::sleep(Duration::from_micros(us));
    }

    /// A difference of ticks in nanoseconds.
    #[inline]
    pub fn ticks_to_ns(&self, ticks: u64) -> u64 {
        if self.ns_per_tick == 0 {
            return ticks;
        }
        ((u128::from(ticks) * u128::from(self.ns_per_tick)) >> 32) as u64
    }
}

/// What `getrusage` says of the thread that asks: time in the program and in the kernel, in microseconds.
fn cpu_us() -> (u64, u64) {
    let us = |t: nix::sys::time::TimeVal| t.tv_sec() as u64 * 1_000_000 + t.tv_usec() as u64;
    getrusage(UsageWho::RUSAGE_THREAD)
        .map_or((0, 0), |usage| (us(usage.user_time()), us(usage.system_time())))
}

/// Nanoseconds of a clock.
fn read(id: ClockId) -> u64 {
    let time = clock_gettime(id).expect("Linux has this clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
fn counter_is_invariant() -> bool {
    use std::arch::x86_64::__cpuid;
    const POWER: u32 = 0x8000_0007; // advanced power management; EDX bit 8: invariant TSC
    __cpuid(0x8000_0000).eax >= POWER && __cpuid(POWER).edx & 1 << 8 != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn counter_is_invariant() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    #[test]
    fn ticks_measure_time() {
        for clock in [Clock::calibrate(), Clock { ns_per_tick: 0 }] {
            let measure = || {
                let (started, ticks) = (Instant::now(), clock.ticks());
                std::thread::sleep(Duration::from_millis(20));
                (clock.ticks_to_ns(clock.ticks() - ticks), started.elapsed().as_nanos() as u64)
            };
            // Another process may have its turn between the two looks.
            let agrees = (0..20).map(|_| measure()).any(|(ns, real)| ns.abs_diff(real) < real / 50);
            assert!(agrees, "ticks and the clock differ by more than 2 %");
        }
    }

    #[test]
    fn the_clocks_agree_with_the_library() {
        let clock = Clock::calibrate();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(clock.wall_ms().abs_diff(now.as_millis() as u64) < 1_000);
        assert!(clock.wall_us().abs_diff(now.as_micros() as u64) < 1_000_000);
        let before = clock.mono_ns();
        assert!(clock.mono_ns() >= before);
    }
}
