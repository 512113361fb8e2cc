//! What is counted per command.

use hdrhistogram::Histogram;

/// The longest time a histogram tells apart, in nanoseconds; what takes longer counts as this.
pub const HISTOGRAM_MAX_NS: u64 = 1_000_000_000;

/// Calls of one command at one shard. The histogram (about 20 KiB) is made at the first call.
#[derive(Clone, Default)]
pub struct CommandStats {
    pub calls: u64,
    /// Nanoseconds spent in it.
    pub ns: u64,
    /// Refused before it ran: arity, authentication, out of memory.
    pub rejected: u64,
    /// Ran and replied with an error.
    pub failed: u64,
    /// Nanoseconds per call; two significant digits.
    pub histogram: Option<Box<Histogram<u64>>>,
}

impl CommandStats {
    /// Counts `n` calls of so long each; `track` says whether to keep the time in the histogram.
    #[inline]
    pub fn record(&mut self, ns: u64, n: u32, track: bool) {
        self.calls += u64::from(n);
        self.ns += ns * u64::from(n);
        if !track {
            return;
        }
        let histogram = self.histogram.get_or_insert_with(|| {
            Box::new(Histogram::new_with_bounds(1, HISTOGRAM_MAX_NS, 2).expect("constant bounds are valid"))
        });
        histogram.saturating_record_n(ns.max(1), u64::from(n));
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &CommandStats) {
        self.calls += other.calls;
        self.ns += other.ns;
        self.rejected += other.rejected;
        self.failed += other.failed;
        match (&mut self.histogram, &other.histogram) {
            (Some(mine), Some(theirs)) => mine.add(&**theirs).expect("all histograms have the same bounds"),
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More calls of one length than 32 bits can count.
    #[test]
    fn very_many_calls_are_all_in_the_histogram() {
        let mut stats = CommandStats::default();
        (0..3).for_each(|_| stats.record(100, u32::MAX, true));
        let mut sum = stats.clone();
        sum.add(&stats);
        assert_eq!(stats.histogram.as_ref().unwrap().count_at(100), 3 * u64::from(u32::MAX));
        assert_eq!(sum.histogram.unwrap().len(), 6 * u64::from(u32::MAX));
    }

    #[test]
    fn calls_add_up_over_shards() {
        let (mut a, mut b) = (CommandStats::default(), CommandStats::default());
        a.record(100, 1, true);
        b.record(300, 1, true);
        b.record(u64::MAX / 2, 1, true);
        b.record(5, 1, false);
        a.add(&b);
        assert_eq!(a.calls, 4);
        assert_eq!(a.histogram.expect("recorded").len(), 3);
    }
}
