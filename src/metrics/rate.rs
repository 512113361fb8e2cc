//! How fast things go right now: the mean over the last sixteen tenths of a second, as INFO's `instantaneous_` fields.
//!
//! ```text
//!  samples   [ 0 | 1 | ... | 15 ]    a ring; each is one interval of 100 ms, as events per second
//! ```
//! A shard that sleeps takes no samples. The next one then stands for all the intervals that went by, so an idle time
//! pulls the mean down just as it should. 0.6 KiB a shard; a sample costs a few divisions.

use super::Counters;

/// How long one sample lasts, in microseconds, as in Redis.
pub const SAMPLE_US: u64 = 100_000;
/// How many samples make the mean, as in Redis.
pub const SAMPLES: usize = 16;

const SERIES: usize = 5;

/// Events per second, averaged over the last samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub commands: f64,
    /// Bytes read from clients.
    pub net_input: f64,
    /// Bytes written to clients.
    pub net_output: f64,
    /// Turns of the loop.
    pub turns: f64,
    /// Nanoseconds that they took.
    pub turn_ns: f64,
}

impl Rates {
    /// Adds another shard's.
    pub fn add(&mut self, other: &Rates) {
        self.commands += other.commands;
        self.net_input += other.net_input;
        self.net_output += other.net_output;
        self.turns += other.turns;
        self.turn_ns += other.turn_ns;
    }
}

/// Takes the samples. A shard calls [`RateSampler::sample`] once per turn, and before it reports.
#[derive(Clone, Debug, Default)]
pub struct RateSampler {
    samples: [[f64; SERIES]; SAMPLES],
    next: usize,
    last: [u64; SERIES],
    last_us: u64,
}

fn series(counters: &Counters) -> [u64; SERIES] {
    [counters.commands, counters.net_input, counters.net_output, counters.turns, counters.turn_ns]
}

impl RateSampler {
    /// A sampler that starts at this monotonic time.
    pub fn new(mono_us: u64) -> RateSampler {
        RateSampler { last_us: mono_us, ..RateSampler::default() }
    }

    /// Looks at the counters; does nothing until a sample is due.
    #[inline]
    pub fn sample(&mut self, mono_us: u64, counters: &Counters) {
        let elapsed = mono_us.saturating_sub(self.last_us);
        if elapsed >= SAMPLE_US {
            self.take(elapsed, mono_us, counters);
        }
    }

    fn take(&mut self, elapsed: u64, mono_us: u64, counters: &Counters) {
        let now = series(counters);
        let mut rates = [0.0; SERIES];
        for (rate, (now, last)) in rates.iter_mut().zip(now.iter().zip(&self.last)) {
            // Counters fall when CONFIG RESETSTAT clears them.
            *rate = now.saturating_sub(*last) as f64 * 1e6 / elapsed as f64;
        }
        for _ in 0..(elapsed / SAMPLE_US).min(SAMPLES as u64) {
            self.samples[self.next] = rates;
            self.next = (self.next + 1) % SAMPLES;
        }
        self.last = now;
        self.last_us = mono_us;
    }

    /// The means.
    pub fn rates(&self) -> Rates {
        let mean = |i: usize| self.samples.iter().map(|s| s[i]).sum::<f64>() / SAMPLES as f64;
        Rates { commands: mean(0), net_input: mean(1), net_output: mean(2), turns: mean(3), turn_ns: mean(4) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(commands: u64) -> Counters {
        Counters { commands, net_input: commands * 10, ..Counters::default() }
    }

    #[test]
    fn a_steady_rate_is_found_and_an_idle_time_counts() {
        let mut sampler = RateSampler::new(5);
        for i in 1..=SAMPLES as u64 {
            sampler.sample(5 + i * SAMPLE_US, &after(i * 50));
            sampler.sample(6 + i * SAMPLE_US, &after(i * 50 + 1));
        }
        let rates = sampler.rates();
        assert!((rates.commands - 500.0).abs() < 1.0, "{rates:?}");
        assert!((rates.net_input - 5_000.0).abs() < 10.0, "{rates:?}");
        // Half of the window asleep, then all of it.
        let end = 5 + SAMPLES as u64 * SAMPLE_US;
        sampler.sample(end + SAMPLE_US * 8, &after(801));
        let half = sampler.rates().commands;
        assert!((200.0..300.0).contains(&half), "{half}");
        sampler.sample(end + SAMPLE_US * 800, &after(801));
        assert_eq!(sampler.rates().commands, 0.0);
    }

    #[test]
    fn counters_that_were_reset_give_no_rate() {
        let mut sampler = RateSampler::new(0);
        sampler.sample(SAMPLE_US, &after(1_000));
        sampler.sample(SAMPLE_US * 17, &after(3));
        assert_eq!(sampler.rates(), Rates::default());
    }
}
