//! The open loop's clock: when each request is due, whatever the server does.
//!
//! Arrivals are fixed beforehand, evenly spaced or as a Poisson process. A request that cannot go out at its time,
//! as all connections wait for replies, keeps its time: its latency is counted from when it was due, so a stall of
//! the server is seen by every request that it delays, not only by those it had in hand.

use crate::keys::Rng;

/// The schedule of one thread; times in ns of the run's clock.
pub struct Pacer {
    gap_ns: f64,
    next_ns: f64,
    poisson: bool,
}

impl Pacer {
    /// `rate` requests per second from `start_ns` on.
    pub fn new(rate: f64, poisson: bool, start_ns: u64, rng: &mut Rng) -> Self {
        let mut pacer = Pacer { gap_ns: 1e9 / rate, next_ns: start_ns as f64, poisson };
        // A random phase, so that threads do not march in step.
        pacer.next_ns += pacer.gap_ns * rng.unit();
        pacer
    }

    /// When the next request is due.
    pub fn due_ns(&self) -> u64 {
        self.next_ns as u64
    }

    /// That one is out; on to the one after.
    pub fn advance(&mut self, rng: &mut Rng) {
        self.next_ns += if self.poisson { -(1.0 - rng.unit()).ln() * self.gap_ns } else { self.gap_ns };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gaps between `n` arrivals at 10 per us.
    fn gaps(poisson: bool, n: usize) -> Vec<f64> {
        let mut rng = Rng::new(5);
        let mut pacer = Pacer::new(1e7, poisson, 1_000_000, &mut rng);
        let mut last = pacer.next_ns;
        assert!((1_000_000.0..1_000_100.0).contains(&last));
        let mut gaps = Vec::new();
        for _ in 0..n {
            pacer.advance(&mut rng);
            gaps.push(pacer.next_ns - last);
            last = pacer.next_ns;
        }
        gaps
    }

    #[test]
    fn even_arrivals_are_even() {
        assert!(gaps(false, 1000).iter().all(|g| (g - 100.0).abs() < 1e-6));
    }

    #[test]
    fn poisson_arrivals_have_exponential_gaps() {
        let gaps = gaps(true, 100_000);
        let mean = gaps.iter().sum::<f64>() / 1e5;
        let deviation = (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 1e5).sqrt();
        assert!((99.0..101.0).contains(&mean) && (98.0..102.0).contains(&deviation), "{mean} {deviation}");
        let long = gaps.iter().filter(|g| **g > 100.0).count() as f64 / 1e5;
        assert!((long - (-1f64).exp()).abs() < 0.01, "{long}");
    }
}
