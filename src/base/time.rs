//! Time as a shard sees it: read once per turn of its loop and passed in.

/// One instant, on the wall and on the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Microseconds since the Unix epoch.
    pub wall_us: i64,
    /// Microseconds since some fixed point; never goes back.
    pub mono_us: u64,
}

impl Now {
    /// The same instant with a wall clock that no time to live has reached: how a log is replayed. What its keys are past is for those
    /// to find who come later.
    pub fn before_all(self) -> Now {
        Now { wall_us: i64::MIN, ..self }
    }

    /// Milliseconds since the Unix epoch, as expiry counts them.
    pub fn ms(self) -> i64 {
        self.wall_us / 1_000
    }

    /// So many microseconds later.
    pub fn later(self, us: u64) -> Now {
        Now { wall_us: self.wall_us.saturating_add_unsigned(us), mono_us: self.mono_us.saturating_add(us) }
    }

    /// Seconds since the Unix epoch.
    pub fn secs(self) -> i64 {
        self.wall_us / 1_000_000
    }
}
