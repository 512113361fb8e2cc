//! The 24 bits per key that eviction judges by, where they count how often it was used (LFU).
//!
//! ```text
//!  16 bits   minutes of the last decrement    8 bits   logarithmic counter
//! ```
//! Elsewhere they tell when that was ([`super::lru`]), or are a place in a queue ([`super::fifo`]).
//!
//! The counter is Morris's approximate counting (1978): it grows with probability 1 / ((counter - 5) * factor + 1).

/// What a new key's counter starts at, so that it is not the first to go.
pub const LFU_INIT: u32 = 5;

/// How LFU counters grow and decay (`lfu-log-factor`, `lfu-decay-time` in minutes).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lfu {
    pub log_factor: u32,
    pub decay_minutes: u32,
}

fn minutes(secs: i64) -> u32 {
    (secs / 60) as u32 & 0xffff
}

/// The access bits of a key that is new at `secs`.
pub fn lfu_new(secs: i64) -> u32 {
    minutes(secs) << 8 | LFU_INIT
}

/// The access bits of a key with this counter at `secs`.
pub fn lfu_of(counter: u8, secs: i64) -> u32 {
    minutes(secs) << 8 | counter as u32
}

/// A use may seem to lie ahead by so many minutes: the clock on the wall was set back, or a snapshot tells of a time before.
const AHEAD_MAX: u32 = 24 * 60;

/// The counter, after the decay due at `secs`.
pub fn lfu_counter(access: u32, secs: i64, lfu: Lfu) -> u32 {
    let elapsed = match minutes(secs).wrapping_sub(access >> 8) & 0xffff {
        ahead if ahead > 0xffff - AHEAD_MAX => 0,
        elapsed => elapsed,
    };
    let periods = elapsed.checked_div(lfu.decay_minutes).unwrap_or(0);
    (access & 0xff).saturating_sub(periods)
}

/// The access bits after one more use; `random` decides whether the counter grows.
pub fn lfu_used(access: u32, secs: i64, lfu: Lfu, random: u32) -> u32 {
    let mut counter = lfu_counter(access, secs, lfu);
    if counter < 255 {
        let base = counter.saturating_sub(LFU_INIT) as u64;
        let odds = base * lfu.log_factor as u64 + 1;
        if (random as u64) < (1u64 << 32) / odds {
            counter += 1;
        }
    }
    minutes(secs) << 8 | counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_decays_and_grows() {
        let lfu = Lfu { log_factor: 10, decay_minutes: 1 };
        let new = lfu_new(0);
        assert_eq!(lfu_counter(new, 0, lfu), LFU_INIT);
        assert_eq!(lfu_counter(new, 180, lfu), LFU_INIT - 3);
        assert_eq!(lfu_counter(new, 6_000, lfu), 0);
        assert_eq!(lfu_counter(new, 6_000, Lfu { decay_minutes: 0, ..lfu }), LFU_INIT);
        // Used a minute and ten hours later than this.
        assert_eq!([60, 36_000].map(|later| lfu_counter(lfu_of(200, later), 0, lfu)), [200; 2]);
        assert_eq!(lfu_counter(lfu_of(200, 0), 30 * 86_400, lfu), 0);
        assert_eq!(lfu_used(new, 0, lfu, 0) & 0xff, LFU_INIT + 1);
        assert_eq!(lfu_used(lfu_used(new, 0, lfu, 0), 0, lfu, u32::MAX) & 0xff, LFU_INIT + 1);
    }
}
